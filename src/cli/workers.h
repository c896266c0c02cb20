/*
 * workers: the same work on many things, in several processes. Simulations share tables of names within a process, so processes and not
 * threads. Which worker does what makes no difference to the results.
 *
 *     static void work(void *arg, size_t index, void *result) {...}       -- in a process of its own: nothing else comes back
 *     workers_run(&(struct workers){.processes = 2, .result_bytes = sizeof(struct outcome), .work = work, .stop = &stopped, .arg = &my},
 *                 count, outcomes, &err)
 *
 * Blocks until all is done. A worker that dies takes its results along: that is an error. stop: asked by a signal, of which processes of the
 * group hear by themselves; the others are told.
 */
#ifndef WEIR_CLI_WORKERS_H
#define WEIR_CLI_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

struct error;

struct workers {
    size_t processes;
    size_t result_bytes; /* at most WORKERS_RESULT_MAX_BYTES */
    void (*work)(void *arg, size_t index, void *result);
    void (*done)(void *arg, size_t count); /* so many have come back; NULL */
    const bool *stop;                      /* set by a signal's handler */
    void *arg;
};
enum {
    WORKERS_MAX = 64,
    WORKERS_RESULT_MAX_BYTES = 4000 /* with its index it is written to a pipe at once, PIPE_BUF */
};

/* results: an array of `count`, in the order of indices. false: stopped (ERROR_NONE), or a worker could not start or died. */
bool workers_run(const struct workers *workers, size_t count, void *results, struct error *err);
/* Processors that may be used. */
size_t workers_usual(void);

#endif

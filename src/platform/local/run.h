/*
 * run: one process under a weir-shim, from its start, or from its adoption, to its end.
 *
 *     run_init(&run, base, dir, on_started, on_ended, replica);
 *     switch (run_find(&run, &end)) {
 *     case RUN_NOTHING: run_start(&run, 7, &command, &err); ...
 *
 * A directory belongs to at most one run at a time: its shim holds a lock on dir/lock as long as it lives. So a run is
 * never doubled, not even when Weir died between starting a shim and hearing of it. Runs are numbered by the caller; the number
 * comes back with the end, so that an end which was counted before Weir died is known again.
 * Neither callback is called inside run_find or run_start. Files: see shim/weir-shim.c.
 */
#ifndef WEIR_PLATFORM_LOCAL_RUN_H
#define WEIR_PLATFORM_LOCAL_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/local/files.h"

struct error;
struct event;
struct event_base;

enum run_how {
    RUN_EXITED,      /* code: its status */
    RUN_SIGNALLED,   /* code: the signal */
    RUN_UNSTARTABLE, /* code: errno; text says what could not be done */
    RUN_LOST,        /* the shim was killed, or the machine went down: nobody knows */
};
struct run_end {
    enum run_how how;
    int code;
    bool forced;                  /* killed when its grace period was over */
    int64_t number;               /* of the run; -1: not known */
    int64_t at_ms, started_at_ms; /* wall clock; 0: not known */
    char text[300];
};
/* "exited with status 1", "killed by signal 9 (Killed)" ...; at least 340 bytes. */
void run_end_words(const struct run_end *end, char *out, size_t size);
bool run_end_succeeded(const struct run_end *end);

struct run {
    struct event_base *base;
    char *dir;
    struct process_id shim, main; /* pid 0: not known */
    int64_t number, started_at_ms;
    int pidfd, ready_fd;
    struct event *exit_event, *ready_event;
    bool own; /* our child: reaped by us */
    void (*on_started)(void *arg);
    void (*on_ended)(void *arg, const struct run_end *end); /* once; then the run may be started again */
    void *arg;
};

void run_init(struct run *run, struct event_base *base, const char *dir, void (*on_started)(void *arg),
              void (*on_ended)(void *arg, const struct run_end *end), void *arg);
/* Lets go of the process, which goes on living. */
void run_done(struct run *run);

enum run_found {
    RUN_NOTHING, /* no process, and nothing to say about an earlier one */
    RUN_LIVE,    /* adopted: on_ended will be called */
    RUN_OVER,    /* no process; *end says how the last one ended */
    RUN_UNSURE,  /* somebody holds the directory, but it cannot be told who yet: ask again soon */
};
/* What is in the directory. note (at least 256 bytes) says why it is unsure. */
enum run_found run_find(struct run *run, struct run_end *end, char *note, size_t note_size);

struct run_command {
    const char *shim;
    char *const *argv, *const *envp; /* NULL-terminated */
    const char *cwd;
    int64_t grace_ms;
};
bool run_start(struct run *run, int64_t number, const struct run_command *command, struct error *err);
/* Asks the process tree to end, and kills it after the grace period; the earliest deadline of several calls counts. */
void run_stop(struct run *run, int64_t grace_ms);
bool run_lives(const struct run *run);

/* Starts `weir-shim --probe`; *pidfd becomes readable when it is over. pid is to be reaped with run_reap. */
bool run_probe(const struct run_command *command, int64_t timeout_ms, int *pidfd, struct error *err);
/* The exit status of a child that is over (128 + signal if it was killed); -1 if it cannot be told. */
int run_reap(int pidfd);

#endif

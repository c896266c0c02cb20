/*
 * recording: what a running Weir was told and decided, tick by tick, in compact files that `simulate`, `test`, `compare` and `tune` read.
 *
 *     struct recorder *r = recorder_open("/var/lib/weir/recording", &options, &err);   -- a folder, made if it is not there
 *     recorder_object(r, ...);   recorder_tick(r, ...);   recorder_applied(r, ...);   recorder_flush(r, &err);
 *     recorder_close(r);
 *
 *     struct recording *in = recording_open(path, &err);                -- a folder or one file
 *     while (recording_next(in, &entry, &err)) ...                      -- as it was written, by time
 *     recording_close(in);
 *
 * Files are JSON lines in gzip (zcat shows them), a new one at each start and whenever one is full; the oldest go when the folder has reached its
 * bound. A file that ends in the middle, after a kill -9, is read to where it goes. What the facts of a tick have in common with those of the
 * tick before is not written again. No text of a secret can be in them: values, counts and names of triggers only. docs/recording.md is the
 * format. Neither reads a clock: time is that of the entries. Not for threads.
 */
#ifndef WEIR_JOURNAL_RECORDING_H
#define WEIR_JOURNAL_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

struct error;
struct recorder;
struct recording;

struct recorder_options {
    int64_t file_bytes_max, folder_bytes_max; /* 0: defaults of limits.h */
};

struct recorded_object { /* what an object began with, or was changed to */
    const char *key;     /* "ScaledObject/shop/checkout" */
    int64_t at_ms, created_at_ms;
    uint64_t generation; /* tells versions of the manifest apart */
    int64_t interval_ms; /* between its polls, when it runs */
    bool is_job;
    const char *const *triggers; /* names */
    size_t trigger_count;
    size_t resource_count; /* how many of them are cpu or memory: the usages of a pod */
    const char *memory;    /* decide_memory_write, or NULL */
    size_t memory_length;
    struct series *const *series; /* writing only: what formulas look back at, one per trigger; NULL: none */
};
struct recorded_tick { /* one decision */
    const char *key;
    int64_t at_ms;
    const struct decide_facts
        *facts; /* samples of triggers, counts, pods where a trigger is cpu or memory; when read without series */
    const struct decide_memory *memory; /* writing only: after the decision. A later file may begin with it */
    int32_t before, after;
    bool write, active;
    enum decision_reason reason;
    bool has_value; /* of the formula */
    double value;
};
struct recorded_job_tick {
    const char *key;
    const struct job_facts *facts;
    int32_t create;
    double queue_length;
};

struct recorder *recorder_open(const char *folder, const struct recorder_options *options, struct error *err);
/* recorder_object comes before the first tick of an object, and when it changes: its triggers are those from then on.
   false once, when a file cannot be written; from then on nothing is, until a file can be opened again, some time later. */
bool recorder_object(struct recorder *recorder, const struct recorded_object *object, struct error *err);
bool recorder_tick(struct recorder *recorder, const struct recorded_tick *tick, struct error *err);
bool recorder_job_tick(struct recorder *recorder, const struct recorded_job_tick *tick, struct error *err);
/* The write its last decision asked for was carried out: decide_applied was called. */
bool recorder_applied(struct recorder *recorder, const char *key, int64_t at_ms, struct error *err);
/* Hands everything to the system, so that the death of the process loses nothing of it. To be called within seconds of an entry. */
bool recorder_flush(struct recorder *recorder, struct error *err);
void recorder_close(struct recorder *recorder); /* NULL is fine */

enum recording_entry_kind {
    RECORDING_OBJECT,
    RECORDING_SAMPLE, /* of a series, that no tick has: at the start, or between two ticks */
    RECORDING_TICK,
    RECORDING_JOB_TICK,
    RECORDING_APPLIED,
};
struct recording_entry { /* valid until the next call */
    enum recording_entry_kind kind;
    struct recorded_object object;
    struct recorded_tick tick;
    struct recorded_job_tick job_tick;
    const char *key, *trigger; /* of RECORDING_SAMPLE; key of RECORDING_APPLIED too */
    struct sample sample;      /* with its weight, for series_restore */
    int64_t applied_at_ms;
};
struct recording *recording_open(const char *path, struct error *err);
/* false: the end, with err->kind ERROR_NONE, or a line that cannot be read. */
bool recording_next(struct recording *recording, struct recording_entry *entry, struct error *err);
void recording_close(struct recording *recording); /* NULL is fine */
/* Whether a path is a folder, or a file that begins as a recording does. */
bool recording_is(const char *path);

#endif

/*
 * recording: what a running Weir was told and decided, tick by tick, in compact files that `simulate`, `test`, `compare` and `tune` read.
 *
 *     struct recorder *r = recorder_open("/var/lib/weir/recording", &options, &err);   -- a folder, made if it is not there
 *     recorder_object(r, ...);   recorder_tick(r, ...);
 *     recorder_close(r);
 *
 *     struct recording *in = recording_open(path, &err);                -- a folder or one file
 *     while (recording_next(in, &entry, &err)) ...                      -- by time
 *     recording_close(in);
 *
 * Files are JSON lines in gzip (zcat shows them), a new one at each start and whenever one is full; the oldest go when the folder has reached its
 * bound. A file that ends in the middle, after a kill -9, is read to where it goes. No text of a secret can be in them: values, counts and names
 * of triggers only. docs/recording.md is the format. Not for threads.
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
    const char *memory; /* decide_memory_write, or NULL */
    size_t memory_length;
    struct series *const *series; /* writing only: what formulas look back at; NULL: none */
};
struct recorded_tick { /* one decision */
    const char *key;
    int64_t at_ms;
    const struct decide_facts *facts; /* samples of triggers, counts, pods where a trigger is cpu or memory */
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
/* false once, when a file cannot be written; from then on nothing is, until a file can be opened again. */
bool recorder_object(struct recorder *recorder, const struct recorded_object *object, struct error *err);
bool recorder_tick(struct recorder *recorder, const struct recorded_tick *tick, struct error *err);
bool recorder_job_tick(struct recorder *recorder, const struct recorded_job_tick *tick, struct error *err);
void recorder_close(struct recorder *recorder);

enum recording_entry_kind { RECORDING_OBJECT, RECORDING_SAMPLE /* of a series at the start */, RECORDING_TICK, RECORDING_JOB_TICK };
struct recording_entry { /* valid until the next call */
    enum recording_entry_kind kind;
    struct recorded_object object;
    struct recorded_tick tick;
    struct recorded_job_tick job_tick;
    const char *key, *trigger; /* of RECORDING_SAMPLE */
    struct sample sample;
};
struct recording *recording_open(const char *path, struct error *err);
/* false: the end, with err->kind ERROR_NONE, or a line that cannot be read. */
bool recording_next(struct recording *recording, struct recording_entry *entry, struct error *err);
void recording_close(struct recording *recording);

#endif

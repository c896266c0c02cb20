/*
 * simulation_record: what a recording says of one object, in memory: its decisions in order, with what each was made from.
 *
 *     record_new(recording, "ScaledObject/shop/checkout", &err)    -- reads it to its end
 *     record->ticks[i].samples[record_column(record, i, "queue")]
 *     record_free(record)
 *
 * Bounded by SIM_INPUT_VALUES_MAX. Pure once it is read.
 */
#ifndef WEIR_SIM_SIMULATION_RECORD_H
#define WEIR_SIM_SIMULATION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

struct arena;
struct error;
struct recording;

struct record_version { /* what the object was from some tick on: begun, restarted, changed, or in a new file */
    const char **names; /* of its triggers */
    size_t count;
    uint64_t generation;
    int64_t created_at_ms;
    const char *memory; /* what it began with; NULL: nothing */
    size_t memory_length;
    size_t history; /* its samples in the record's history begin here */
};
struct record_sample { /* of a history, that no decision has */
    const char *trigger;
    struct sample sample;
};
struct record_tick {
    const struct record_version *version;
    struct decide_facts facts; /* without series */
    int32_t before, after;
    bool write, applied;  /* applied: the write was carried out */
    size_t history_until; /* samples of the record's history that were there before it */
};
struct record {
    struct arena *arena;
    struct record_tick *ticks;
    size_t count, size;
    struct record_sample *history;
    size_t history_count, history_size;
    size_t values;
};

#define RECORD_NONE SIZE_MAX

/* NULL: it cannot be read, or says nothing of that object. */
struct record *record_new(struct recording *recording, const char *key, struct error *err);
void record_free(struct record *record);                                   /* NULL is fine */
size_t record_column(const struct record_tick *tick, const char *trigger); /* RECORD_NONE: there is none of that name */

#endif

/* simulation_record: see simulation_record.h. Everything is copied: entries of a recording are gone with the next one. */
#include "sim/simulation_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "journal/recording.h"

struct reading {
    struct record *record;
    const struct record_version *version; /* in force; NULL: none yet */
    size_t resources;
};

static void *copy_of(struct record *record, const void *from, size_t count, size_t size)
{
    void *copy = arena_array(record->arena, count + 1, size);

    if (count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

/* ------------------------------------------------------------------ entries */

static void take_object(struct reading *on, const struct recorded_object *object)
{
    struct record *record = on->record;
    struct record_version *version = arena_alloc(record->arena, sizeof(*version));

    *version = (struct record_version){.count = object->trigger_count,
                                       .generation = object->generation,
                                       .created_at_ms = object->created_at_ms,
                                       .memory_length = object->memory_length,
                                       .history = record->history_count};
    if (object->memory)
        version->memory = copy_of(record, object->memory, object->memory_length, 1);
    version->names = arena_array(record->arena, object->trigger_count + 1, sizeof(*version->names));
    for (size_t i = 0; i < object->trigger_count; i++)
        version->names[i] = arena_copy(record->arena, object->triggers[i]);
    on->resources = object->resource_count;
    on->version = version;
}

static void copy_pods(struct reading *on, struct decide_facts *facts)
{
    struct pod_fact *pods = copy_of(on->record, facts->pods, facts->pod_count, sizeof(*pods));

    for (size_t i = 0; i < facts->pod_count; i++) {
        pods[i].name = arena_copy(on->record->arena, pods[i].name);
        pods[i].usage = copy_of(on->record, pods[i].usage, on->resources, sizeof(*pods[i].usage));
    }
    facts->pods = facts->pods ? pods : NULL;
}

static void take_tick(struct reading *on, const struct recorded_tick *from)
{
    struct record *record = on->record;
    struct record_tick *tick;

    if (record->count == record->size) {
        record->size = record->size ? 2 * record->size : 1024;
        record->ticks = mem_grow(record->ticks, record->size, sizeof(*record->ticks));
    }
    tick = &record->ticks[record->count++];
    *tick = (struct record_tick){.version = on->version,
                                 .facts = *from->facts,
                                 .before = from->before,
                                 .after = from->after,
                                 .write = from->write,
                                 .history_until = record->history_count};
    tick->facts.series = NULL;
    tick->facts.samples = copy_of(record, from->facts->samples, on->version->count, sizeof(struct sample));
    if (from->facts->good_at_ms)
        tick->facts.good_at_ms = copy_of(record, from->facts->good_at_ms, on->version->count, sizeof(int64_t));
    copy_pods(on, &tick->facts);
    record->values += on->version->count + tick->facts.pod_count * (on->resources + 1) + 1;
}

static void take_sample(struct reading *on, const char *trigger, const struct sample *sample)
{
    struct record *record = on->record;

    if (record->history_count == record->history_size) {
        record->history_size = record->history_size ? 2 * record->history_size : 256;
        record->history = mem_grow(record->history, record->history_size, sizeof(*record->history));
    }
    record->history[record->history_count++] =
        (struct record_sample){.trigger = arena_copy(record->arena, trigger), .sample = *sample};
    record->values++;
}

static bool is_of(const struct recording_entry *entry, const char *key)
{
    switch (entry->kind) {
    case RECORDING_OBJECT:
        return string_equal(entry->object.key, key);
    case RECORDING_TICK:
        return string_equal(entry->tick.key, key);
    case RECORDING_SAMPLE:
    case RECORDING_APPLIED:
        return string_equal(entry->key, key);
    case RECORDING_JOB_TICK:
        break;
    }
    return false;
}

static void take(struct reading *on, const struct recording_entry *entry)
{
    struct record *record = on->record;

    if (entry->kind == RECORDING_OBJECT)
        take_object(on, &entry->object);
    else if (entry->kind == RECORDING_SAMPLE)
        take_sample(on, entry->trigger, &entry->sample);
    else if (entry->kind == RECORDING_TICK && on->version)
        take_tick(on, &entry->tick);
    else if (entry->kind == RECORDING_APPLIED && record->count > 0)
        record->ticks[record->count - 1].applied = true;
}

/* ------------------------------------------------------------------ all */

static bool read_all(struct reading *on, struct recording *recording, const char *key, struct error *err)
{
    struct recording_entry entry;
    struct error ended = {.kind = ERROR_NONE};

    while (recording_next(recording, &entry, &ended)) {
        if (is_of(&entry, key))
            take(on, &entry);
        if (on->record->values > SIM_INPUT_VALUES_MAX)
            return error_set(err, ERROR_LIMIT, "the recording has more than %d values (SIM_INPUT_VALUES_MAX)",
                             SIM_INPUT_VALUES_MAX);
    }
    if (ended.kind != ERROR_NONE) {
        *err = ended;
        return false;
    }
    return on->record->count > 0 ||
           error_set(
               err, ERROR_INVALID,
               "the recording has no decision of %s; the manifest and the recording have to be of the same object",
               key);
}

struct record *record_new(struct recording *recording, const char *key, struct error *err)
{
    struct reading on = {.record = mem_alloc(sizeof(*on.record))};

    on.record->arena = arena_new(ARENA_USUAL);
    if (read_all(&on, recording, key, err))
        return on.record;
    record_free(on.record);
    return NULL;
}

void record_free(struct record *record)
{
    if (!record)
        return;
    arena_free(record->arena);
    free(record->ticks);
    free(record->history);
    free(record);
}

size_t record_column(const struct record_tick *tick, const char *trigger)
{
    for (size_t i = 0; i < tick->version->count; i++)
        if (string_equal(tick->version->names[i], trigger))
            return i;
    return RECORD_NONE;
}

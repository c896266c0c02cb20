/*
 * input_recording: the samples of one object of a recording, a column per trigger, at the times they were taken. While Weir did not run
 * nobody asked the sources: a pause of more than two intervals counts as failed, for the last value before it is not known to have held.
 * A sample that is not later than the one before it, as after a clock that was set back, is left out, as histories do.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "journal/recording.h"
#include "sim/input_internal.h"

struct reading {
    struct input *part;
    const char *key; /* NULL: the only one */
    char *found;     /* the one that is read */
    char **names;    /* of its triggers now */
    size_t count;
    int64_t interval_ms, last_ms; /* of its last tick */
};

static void forget_triggers(struct reading *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->names[i]);
    free(r->names);
    r->names = NULL;
    r->count = 0;
}

/* Each column that goes on from before the pause, unless it says nothing anyway. */
static bool bridge_pause(struct reading *r, int64_t at_ms, struct error *err)
{
    struct input_value failed = {.kind = INPUT_FAILED, .at_ms = r->last_ms + r->interval_ms};

    if (r->last_ms == 0 || at_ms - r->last_ms <= 2 * r->interval_ms)
        return true;
    for (size_t i = 0; i < r->part->column_count; i++) {
        const struct input_column *c = &r->part->columns[i];

        if (c->values[c->count - 1].kind == INPUT_OK && c->values[c->count - 1].at_ms < failed.at_ms &&
            !input_push(r->part, (uint16_t)i, &failed, err))
            return false;
    }
    return true;
}

static bool on_object(struct reading *r, const struct recorded_object *object, struct error *err)
{
    if (r->key && strcmp(object->key, r->key) != 0)
        return true;
    if (r->found && strcmp(object->key, r->found) != 0)
        return error_set(err, ERROR_INVALID, "it has several objects, as %.100s and %.100s: say which one", r->found,
                         object->key);
    if (!bridge_pause(r, object->at_ms, err))
        return false;
    free(r->found);
    forget_triggers(r);
    r->found = mem_copy(object->key);
    r->names = mem_array(object->trigger_count + 1, sizeof(*r->names));
    for (; r->count < object->trigger_count; r->count++)
        r->names[r->count] = mem_copy(object->triggers[r->count]);
    r->interval_ms = object->interval_ms;
    return true;
}

static bool add_sample(struct reading *r, const char *name, const struct sample *sample, struct error *err)
{
    struct input_value value = {.at_ms = sample->at_ms, .value = sample->value, .kind = INPUT_OK};
    uint16_t column = input_column(r->part, name);

    if (sample->state == SAMPLE_NONE)
        return true;
    if (sample->state != SAMPLE_OK) {
        value.kind = sample->state == SAMPLE_MISSING ? INPUT_MISSING : INPUT_FAILED;
        value.value = 0;
    }
    if (column == INPUT_NONE && !input_new_column(r->part, name, &column, err))
        return false;
    const struct input_column *c = &r->part->columns[column];
    if (c->count > 0 && sample->at_ms <= c->values[c->count - 1].at_ms)
        return true;
    return input_push(r->part, column, &value, err);
}

static bool on_samples(struct reading *r, const char *key, int64_t at_ms, const struct sample *samples,
                       struct error *err)
{
    if (!r->found || strcmp(key, r->found) != 0)
        return true;
    for (size_t i = 0; i < r->count; i++)
        if (!add_sample(r, r->names[i], &samples[i], err))
            return false;
    r->last_ms = at_ms;
    return true;
}

static bool on_entry(struct reading *r, const struct recording_entry *entry, struct error *err)
{
    switch (entry->kind) {
    case RECORDING_OBJECT:
        return on_object(r, &entry->object, err);
    case RECORDING_TICK:
        return on_samples(r, entry->tick.key, entry->tick.at_ms, entry->tick.facts->samples, err);
    case RECORDING_JOB_TICK:
        return on_samples(r, entry->job_tick.key, entry->job_tick.facts->now_ms, entry->job_tick.facts->samples, err);
    case RECORDING_SAMPLE:
    case RECORDING_APPLIED:
        break;
    }
    return true;
}

static bool read_all(struct reading *r, struct recording *in, const char *path, struct error *err)
{
    struct recording_entry entry;
    struct error ended;

    while (recording_next(in, &entry, &ended))
        if (!on_entry(r, &entry, err))
            return error_add_place(err, "%s", path);
    if (ended.kind != ERROR_NONE) {
        if (err)
            *err = ended;
        return false;
    }
    if (!r->found)
        error_set(err, ERROR_MISSING, "it has no object %s",
                  r->key ? r->key : "at all: nothing was decided while it was written");
    else if (r->part->value_count == 0)
        error_set(err, ERROR_MISSING, "no trigger of %.200s had an answer in it", r->found);
    r->part->clock = CLOCK_WALL;
    r->part->end_ms = r->last_ms + r->interval_ms;
    return (r->found && r->part->value_count > 0) || error_add_place(err, "%s", path);
}

bool input_read_recording(struct input *input, const char *path, const char *key, struct error *err)
{
    struct reading r = {.key = key};
    struct recording *in = recording_open(path, err);

    if (!in)
        return false;
    r.part = input_new();
    bool fine = read_all(&r, in, path, err) && (input_take(input, r.part, err) || error_add_place(err, "%s", path));
    recording_close(in);
    input_free(r.part);
    forget_triggers(&r);
    free(r.found);
    return fine;
}

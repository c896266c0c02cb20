/*
 * recording_state: one entry as what changed since the last one. Writer and reader keep the same state, and both come from the same zeros,
 * so a member that is not there means "as before".
 *
 *     at         ms                                    replicas, status, ready   counts
 *     samples    {"0": [age in ms, value, "missing"]}  by index of the trigger; the third only where it is not ok
 *     good       {"0": at}                             only where it is not the time of a new good sample; null: not known
 *     pods       [pod or index into the list before]   pods_failed
 *     decision   [before, after, reason, write, active], value
 *     job        [running, pending, created_last_at, create, queue_length]
 *
 * Doubles are written with the fewest digits that read back as the same bits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "journal/recording_internal.h"

enum { POD_LOOK_AHEAD = 64 }; /* places at which a pod is looked for in the list before, when some are gone */

void recorded_state_init(struct recorded_state *state, size_t trigger_count, size_t resource_count)
{
    *state = (struct recorded_state){.trigger_count = trigger_count, .resource_count = resource_count};
    state->samples = mem_array(trigger_count + 1, sizeof(*state->samples));
    state->good_at_ms = mem_array(trigger_count + 1, sizeof(*state->good_at_ms));
}

void recorded_state_done(struct recorded_state *state)
{
    free(state->samples);
    free(state->good_at_ms);
    arena_free(state->pod_arena);
    *state = (struct recorded_state){0};
}

/* ------------------------------------------------------------------ numbers */

static void write_number(double value, struct text *out)
{
    if (!isfinite(value))
        text_add_char(out, '"');
    text_add_number(out, value);
    if (!isfinite(value))
        text_add_char(out, '"');
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* Not ==: NaN is NaN here, and -0 is not 0. */
static bool same_bits(double a, double b)
{
    return bits_of(a) == bits_of(b);
}

static void write_count(const char *name, int32_t value, int32_t *last, struct text *out)
{
    if (value != *last)
        text_printf(out, ",\"%s\":%d", name, value);
    *last = value;
}

static void write_flag(const char *name, bool value, bool *last, struct text *out)
{
    if (value != *last)
        text_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
    *last = value;
}

static bool read_int(const struct tree *node, int64_t low, int64_t high, int64_t *out, struct error *err)
{
    int64_t value;

    if (!tree_integer(node, &value) || value < low || value > high)
        return error_set(err, ERROR_NONSENSE, "a number is missing or out of range");
    *out = value;
    return true;
}

static bool read_count(const struct tree *node, int32_t *out, struct error *err)
{
    int64_t value = 0;

    if (!node)
        return true;
    if (!read_int(node, INT32_MIN, INT32_MAX, &value, err))
        return false;
    *out = (int32_t)value;
    return true;
}

static bool read_double(const struct tree *node, double *out, struct error *err)
{
    return tree_number(node, out) || error_set(err, ERROR_NONSENSE, "a number cannot be read");
}

static bool read_flag(const struct tree *node, bool *out, struct error *err)
{
    return !node || tree_bool(node, out) ||
           error_set(err, ERROR_NONSENSE, "what should be true or false is %s", tree_type_name(node->type));
}

/* ------------------------------------------------------------------ samples */

static const char *sample_word(const struct sample *sample)
{
    static const char *const words[] = {
        [SAMPLE_NONE] = "none", [SAMPLE_MISSING] = "missing", [SAMPLE_FAILED] = "failed"};

    if (sample->state == SAMPLE_OK)
        return sample->stand_in ? "stand-in" : NULL;
    return words[sample->state];
}

void recorded_sample_write(const struct sample *sample, struct text *out)
{
    const char *word = sample_word(sample);

    write_number(sample->value, out);
    if (word)
        text_printf(out, ",\"%s\"", word);
}

bool recorded_sample_read(const struct tree *list, size_t first, struct sample *out, struct error *err)
{
    const struct tree *word = tree_index(list, first + 1);

    if (!read_double(tree_index(list, first), &out->value, err))
        return false;
    out->state = SAMPLE_OK;
    out->stand_in = false;
    if (!word)
        return true;
    for (enum sample_state state = SAMPLE_NONE; state <= SAMPLE_FAILED; state++)
        for (int stand_in = 0; stand_in < 2; stand_in++) {
            struct sample sample = {.state = state, .stand_in = stand_in != 0};
            const char *known = sample_word(&sample);

            if (known && string_equal(tree_string(word), known)) {
                out->state = state;
                out->stand_in = state == SAMPLE_OK;
                return true;
            }
        }
    return error_set(err, ERROR_NONSENSE, "'%.40s' is no state of a sample",
                     tree_string(word) ? tree_string(word) : tree_type_name(word->type));
}

static bool same_sample(const struct sample *a, const struct sample *b)
{
    return a->at_ms == b->at_ms && a->state == b->state && a->stand_in == b->stand_in && same_bits(a->value, b->value);
}

static bool is_good(const struct sample *sample)
{
    return sample->state == SAMPLE_OK;
}

/* When its last good value was taken is told by the sample ... */
static void take_good(struct recorded_state *state, const bool *changed)
{
    for (size_t i = 0; i < state->trigger_count; i++)
        if (changed[i] && is_good(&state->samples[i]))
            state->good_at_ms[i] = state->samples[i].at_ms;
}

/* ... unless somebody else asked meanwhile. */
static void write_good(struct recorded_state *state, const int64_t *good, struct text *out)
{
    const char *before = ",\"good\":{";
    bool known_again = good && state->good_unknown;

    if (!good && !state->good_unknown)
        text_add(out, ",\"good\":null");
    state->good_unknown = !good;
    for (size_t i = 0; good && i < state->trigger_count; i++) {
        if (good[i] == state->good_at_ms[i])
            continue;
        text_printf(out, "%s\"%zu\":%lld", before, i, (long long)good[i]);
        state->good_at_ms[i] = good[i];
        before = ",";
    }
    if (known_again && before[1])
        text_add(out, before);
    if (known_again || !before[1])
        text_add_char(out, '}');
}

/* changed: one per trigger, set here. */
static void write_samples(struct recorded_state *state, const struct sample *samples, bool *changed, struct text *out)
{
    const char *before = ",\"samples\":{";
    static const struct sample none;

    for (size_t i = 0; i < state->trigger_count; i++) {
        const struct sample *sample = samples ? &samples[i] : &none;

        changed[i] = !same_sample(sample, &state->samples[i]);
        if (!changed[i])
            continue;
        text_printf(out, "%s\"%zu\":[%lld,", before, i, (long long)(state->at_ms - sample->at_ms));
        recorded_sample_write(sample, out);
        text_add_char(out, ']');
        state->samples[i] = *sample;
        before = ",";
    }
    if (!before[1])
        text_add_char(out, '}');
}

static bool read_index(const struct tree *member, size_t count, size_t *out, struct error *err)
{
    char *end;
    unsigned long index = strtoul(member->key, &end, 10);

    if (*end || end == member->key || index >= count)
        return error_set(err, ERROR_NONSENSE, "'%.40s' is no trigger of this object", member->key);
    *out = index;
    return true;
}

static bool read_samples(struct recorded_state *state, const struct tree *samples, struct error *err)
{
    for (const struct tree *member = samples ? samples->first : NULL; member; member = member->next) {
        struct sample sample = {.state = SAMPLE_NONE};
        int64_t age = 0;
        size_t i = 0;

        if (!member->key)
            return error_set(err, ERROR_NONSENSE, "samples are a list, not an object");
        if (!read_index(member, state->trigger_count, &i, err) ||
            !read_int(tree_index(member, 0), -((int64_t)1 << 53), (int64_t)1 << 53, &age, err) ||
            !recorded_sample_read(member, 1, &sample, err))
            return false;
        sample.at_ms = state->at_ms - age;
        state->samples[i] = sample;
        if (is_good(&sample))
            state->good_at_ms[i] = sample.at_ms;
    }
    return true;
}

static bool read_good(struct recorded_state *state, const struct tree *good, struct error *err)
{
    size_t i = 0;

    if (!good)
        return true;
    state->good_unknown = good->type == TREE_NULL;
    for (const struct tree *member = good->first; member; member = member->next)
        if (!member->key || !read_index(member, state->trigger_count, &i, err) ||
            !read_int(member, INT64_MIN, INT64_MAX, &state->good_at_ms[i], err))
            return error_set(err, ERROR_NONSENSE, "good has no time of a trigger");
    return true;
}

/* ------------------------------------------------------------------ pods */

static bool same_usage(const struct pod_usage *a, const struct pod_usage *b)
{
    return a->has_usage == b->has_usage && a->has_request == b->has_request && a->usage == b->usage &&
           a->request == b->request && a->at_ms == b->at_ms && a->window_ms == b->window_ms;
}

static bool same_pod(const struct pod_fact *a, const struct pod_fact *b, size_t usages)
{
    if (!string_equal(a->name, b->name) || a->phase != b->phase || a->ready != b->ready || a->deleted != b->deleted ||
        a->start_at_ms != b->start_at_ms || a->ready_at_ms != b->ready_at_ms)
        return false;
    for (size_t i = 0; i < usages; i++)
        if (!same_usage(&a->usage[i], &b->usage[i]))
            return false;
    return true;
}

static void write_pod(const struct pod_fact *pod, size_t usages, struct text *out)
{
    text_add_char(out, '[');
    text_add_json_string(out, pod->name, strlen(pod->name));
    text_printf(out, ",%d,%d,%d,%lld,%lld", pod->phase, pod->ready, pod->deleted, (long long)pod->start_at_ms,
                (long long)pod->ready_at_ms);
    for (size_t i = 0; i < usages; i++) {
        const struct pod_usage *u = &pod->usage[i];

        text_printf(out, ",[%d,%lld,%lld,%lld,%lld]", u->has_usage + 2 * u->has_request, (long long)u->usage,
                    (long long)u->request, (long long)u->at_ms, (long long)u->window_ms);
    }
    text_add_char(out, ']');
}

static struct pod_fact copy_pod(struct arena *arena, const struct pod_fact *pod, size_t usages)
{
    struct pod_fact copy = *pod;
    struct pod_usage *usage = arena_array(arena, usages + 1, sizeof(*usage));

    memcpy(usage, pod->usage, usages * sizeof(*usage));
    copy.name = arena_copy(arena, pod->name);
    copy.usage = usage;
    return copy;
}

/* The same pod in the list before, at or soon after `from`; else its count. */
static size_t find_pod(const struct recorded_state *state, size_t from, const struct pod_fact *pod)
{
    for (size_t i = from; i < state->pod_count && i < from + POD_LOOK_AHEAD; i++)
        if (same_pod(&state->pods[i], pod, state->resource_count))
            return i;
    return state->pod_count;
}

static bool same_pods(const struct recorded_state *state, const struct pod_fact *pods, size_t count)
{
    for (size_t i = 0; i < count && count == state->pod_count; i++)
        if (!same_pod(&state->pods[i], &pods[i], state->resource_count))
            return false;
    return count == state->pod_count;
}

static void take_pods(struct recorded_state *state, struct arena *arena, struct pod_fact *pods, size_t count)
{
    arena_free(state->pod_arena);
    state->pod_arena = arena;
    state->pods = pods;
    state->pod_count = count;
}

static void write_pods(struct recorded_state *state, const struct pod_fact *pods, size_t count, struct text *out)
{
    size_t expected = 0;

    if (same_pods(state, pods, count))
        return;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct pod_fact *copies = arena_array(arena, count + 1, sizeof(*copies));
    text_add(out, ",\"pods\":[");
    for (size_t i = 0; i < count; i++) {
        size_t at = find_pod(state, expected, &pods[i]);

        if (i > 0)
            text_add_char(out, ',');
        if (at < state->pod_count)
            text_printf(out, "%zu", at);
        else
            write_pod(&pods[i], state->resource_count, out);
        expected = at < state->pod_count ? at + 1 : expected + 1;
        copies[i] = copy_pod(arena, &pods[i], state->resource_count);
    }
    text_add_char(out, ']');
    take_pods(state, arena, copies, count);
}

static bool read_usage(const struct tree *list, struct pod_usage *out, struct error *err)
{
    int64_t has = 0, *const into[] = {&out->usage, &out->request, &out->at_ms, &out->window_ms};

    if (!read_int(tree_index(list, 0), 0, 3, &has, err))
        return false;
    out->has_usage = has & 1;
    out->has_request = has & 2;
    for (size_t i = 0; i < 4; i++)
        if (!read_int(tree_index(list, i + 1), INT64_MIN, INT64_MAX, into[i], err))
            return false;
    return true;
}

static bool read_pod(const struct recorded_state *state, const struct tree *list, struct arena *arena,
                     struct pod_fact *out, struct error *err)
{
    int64_t phase = 0, ready = 0, deleted = 0, at;
    const char *name = tree_string(tree_index(list, 0));

    if (tree_integer(list, &at)) {
        if (at < 0 || (size_t)at >= state->pod_count)
            return error_set(err, ERROR_NONSENSE, "there was no pod %lld before", (long long)at);
        *out = copy_pod(arena, &state->pods[at], state->resource_count);
        return true;
    }
    struct pod_usage *usage = arena_array(arena, state->resource_count + 1, sizeof(*usage));
    if (!name || !read_int(tree_index(list, 1), POD_PENDING, POD_UNKNOWN, &phase, err) ||
        !read_int(tree_index(list, 2), POD_READY_NONE, POD_READY_UNKNOWN, &ready, err) ||
        !read_int(tree_index(list, 3), 0, 1, &deleted, err) ||
        !read_int(tree_index(list, 4), INT64_MIN, INT64_MAX, &out->start_at_ms, err) ||
        !read_int(tree_index(list, 5), INT64_MIN, INT64_MAX, &out->ready_at_ms, err))
        return error_set(err, ERROR_NONSENSE, "a pod is not [name, phase, ready, deleted, start, ready at, usages]");
    for (size_t i = 0; i < state->resource_count; i++)
        if (!read_usage(tree_index(list, 6 + i), &usage[i], err))
            return error_set(err, ERROR_NONSENSE, "a usage of a pod is not [has, usage, request, at, window]");
    out->name = arena_copy(arena, name);
    out->phase = (enum pod_phase)phase;
    out->ready = (enum pod_ready)ready;
    out->deleted = deleted != 0;
    out->usage = usage;
    return true;
}

static bool read_pods(struct recorded_state *state, const struct tree *list, struct error *err)
{
    size_t count = tree_count(list), i = 0;

    if (!list)
        return true;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct pod_fact *pods = arena_array(arena, count + 1, sizeof(*pods));
    for (const struct tree *item = list->first; item; item = item->next, i++)
        if (!read_pod(state, item, arena, &pods[i], err)) {
            arena_free(arena);
            return false;
        }
    take_pods(state, arena, pods, count);
    return true;
}

/* ------------------------------------------------------------------ decisions */

static void write_decision(struct recorded_state *state, const struct recorded_tick *tick, struct text *out)
{
    if (tick->before != state->before || tick->after != state->after || tick->write != state->write ||
        tick->active != state->active || tick->reason != state->reason)
        text_printf(out, ",\"decision\":[%d,%d,\"%s\",%s,%s]", tick->before, tick->after,
                    decision_reason_name(tick->reason), tick->write ? "true" : "false",
                    tick->active ? "true" : "false");
    state->before = tick->before;
    state->after = tick->after;
    state->write = tick->write;
    state->active = tick->active;
    state->reason = tick->reason;
    double value = tick->has_value ? tick->value : 0;
    if (tick->has_value != state->has_value || !same_bits(value, state->value)) {
        text_add(out, ",\"value\":");
        if (tick->has_value)
            write_number(value, out);
        else
            text_add(out, "null");
    }
    state->has_value = tick->has_value;
    state->value = value;
}

static bool read_reason(const struct tree *node, enum decision_reason *out, struct error *err)
{
    for (enum decision_reason reason = 0; reason < REASON_COUNT; reason++)
        if (string_equal(tree_string(node), decision_reason_name(reason))) {
            *out = reason;
            return true;
        }
    return error_set(err, ERROR_NONSENSE, "'%.40s' is no reason of a decision",
                     tree_string(node) ? tree_string(node) : "");
}

static bool read_decision(struct recorded_state *state, const struct tree *list, const struct tree *value,
                          struct error *err)
{
    if (list &&
        (!tree_index(list, 4) || !read_count(tree_index(list, 0), &state->before, err) ||
         !read_count(tree_index(list, 1), &state->after, err) ||
         !read_reason(tree_index(list, 2), &state->reason, err) ||
         !read_flag(tree_index(list, 3), &state->write, err) || !read_flag(tree_index(list, 4), &state->active, err)))
        return error_set(err, ERROR_NONSENSE, "a decision is not [before, after, reason, write, active]");
    if (!value)
        return true;
    state->has_value = value->type != TREE_NULL;
    state->value = 0;
    return !state->has_value || read_double(value, &state->value, err);
}

static void write_job(struct recorded_state *state, const struct recorded_job_tick *tick, struct text *out)
{
    const struct job_facts *f = tick->facts;

    if (f->running != state->running || f->pending != state->pending || tick->create != state->create ||
        f->created_last_at_ms != state->created_last_at_ms || !same_bits(tick->queue_length, state->queue_length)) {
        text_printf(out, ",\"job\":[%d,%d,%lld,%d,", f->running, f->pending, (long long)f->created_last_at_ms,
                    tick->create);
        write_number(tick->queue_length, out);
        text_add_char(out, ']');
    }
    state->running = f->running;
    state->pending = f->pending;
    state->created_last_at_ms = f->created_last_at_ms;
    state->create = tick->create;
    state->queue_length = tick->queue_length;
}

static bool read_job(struct recorded_state *state, const struct tree *list, struct error *err)
{
    return !list || (read_count(tree_index(list, 0), &state->running, err) &&
                     read_count(tree_index(list, 1), &state->pending, err) &&
                     read_int(tree_index(list, 2), INT64_MIN, INT64_MAX, &state->created_last_at_ms, err) &&
                     read_count(tree_index(list, 3), &state->create, err) &&
                     read_double(tree_index(list, 4), &state->queue_length, err));
}

/* ------------------------------------------------------------------ entries */

void recorded_state_write_tick(struct recorded_state *state, const struct recorded_tick *tick, struct text *out)
{
    const struct decide_facts *f = tick->facts;
    bool changed[TRIGGERS_MAX] = {false};

    state->at_ms = tick->at_ms;
    text_printf(out, ",\"at\":%lld", (long long)tick->at_ms);
    write_count("replicas", f->replicas, &state->replicas, out);
    write_count("status", f->status_replicas, &state->status_replicas, out);
    write_count("ready", f->ready_replicas, &state->ready_replicas, out);
    write_samples(state, f->samples, changed, out);
    take_good(state, changed);
    write_good(state, f->good_at_ms, out);
    if (state->resource_count > 0) {
        write_flag("pods_failed", f->pods_failed, &state->pods_failed, out);
        write_pods(state, f->pods, f->pod_count, out);
    }
    write_decision(state, tick, out);
}

void recorded_state_write_job(struct recorded_state *state, const struct recorded_job_tick *tick, struct text *out)
{
    bool changed[TRIGGERS_MAX] = {false};

    state->at_ms = tick->facts->now_ms;
    text_printf(out, ",\"at\":%lld", (long long)state->at_ms);
    write_samples(state, tick->facts->samples, changed, out);
    take_good(state, changed);
    write_job(state, tick, out);
}

void recorded_state_write_all(const struct recorded_state *state, bool is_job, struct text *out)
{
    struct recorded_state zero;
    struct decide_facts facts = {.now_ms = state->at_ms,
                                 .replicas = state->replicas,
                                 .status_replicas = state->status_replicas,
                                 .ready_replicas = state->ready_replicas,
                                 .samples = state->samples,
                                 .good_at_ms = state->good_unknown ? NULL : state->good_at_ms,
                                 .pods = state->pods,
                                 .pod_count = state->pod_count,
                                 .pods_failed = state->pods_failed};
    struct job_facts job_facts = {.now_ms = state->at_ms,
                                  .running = state->running,
                                  .pending = state->pending,
                                  .samples = state->samples,
                                  .created_last_at_ms = state->created_last_at_ms};
    struct recorded_tick tick = {.at_ms = state->at_ms,
                                 .facts = &facts,
                                 .before = state->before,
                                 .after = state->after,
                                 .write = state->write,
                                 .active = state->active,
                                 .reason = state->reason,
                                 .has_value = state->has_value,
                                 .value = state->value};
    struct recorded_job_tick job = {.facts = &job_facts, .create = state->create, .queue_length = state->queue_length};

    recorded_state_init(&zero, state->trigger_count, state->resource_count);
    if (is_job)
        recorded_state_write_job(&zero, &job, out);
    else
        recorded_state_write_tick(&zero, &tick, out);
    recorded_state_done(&zero);
}

bool recorded_state_read(struct recorded_state *state, const struct tree *line, struct error *err)
{
    return read_int(tree_get(line, "at"), INT64_MIN / 2, INT64_MAX / 2, &state->at_ms, err) &&
           read_count(tree_get(line, "replicas"), &state->replicas, err) &&
           read_count(tree_get(line, "status"), &state->status_replicas, err) &&
           read_count(tree_get(line, "ready"), &state->ready_replicas, err) &&
           read_samples(state, tree_get(line, "samples"), err) && read_good(state, tree_get(line, "good"), err) &&
           read_flag(tree_get(line, "pods_failed"), &state->pods_failed, err) &&
           read_pods(state, tree_get(line, "pods"), err) &&
           read_decision(state, tree_get(line, "decision"), tree_get(line, "value"), err) &&
           read_job(state, tree_get(line, "job"), err);
}

/*
 * simulation_replay: a simulation that goes along with a recording. Polls are at the times of the record. As long as every decision is the
 * recorded one, all it is made from is recorded too, so that it has to be the same, bit for bit; from the first that differs on, samples
 * are still those of the record, and what runs is the simulation's own.
 *
 *     facts (recorded ones) -> decide -> as recorded? -> the write is carried out if it was then -> the next recorded time
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "sim/simulation_internal.h"
#include "sim/simulation_record.h"

static const struct record_tick *tick_at(const struct simulation *s, size_t i)
{
    return &s->record->ticks[i];
}

bool simulation_read_record(struct simulation *s, struct error *err)
{
    const struct record_tick *first, *last;

    if (!s->options.recording)
        return true;
    if (s->options.model)
        return error_set(err, ERROR_INVALID, "a recording has its own replicas: simulate it without a model");
    s->record = record_new(s->options.recording, s->key, err);
    if (!s->record)
        return false;
    first = tick_at(s, 0);
    last = tick_at(s, s->record->count - 1);
    s->options.start_at_ms = first->facts.now_ms;
    s->options.initial = first->facts.replicas > 0 ? first->facts.replicas : 0;
    if (s->options.duration_ms < 0)
        s->options.duration_ms = last->facts.now_ms - first->facts.now_ms + 1;
    return true;
}

bool simulation_replay_has(const struct simulation *s, const char *trigger)
{
    return s->record && record_column(tick_at(s, 0), trigger) != RECORD_NONE;
}

void simulation_replay_start(struct simulation *s)
{
    size_t count = s->policy->trigger_count + 1;

    s->replay.samples = mem_array(count, sizeof(*s->replay.samples));
    s->replay.good_at_ms = mem_array(count, sizeof(*s->replay.good_at_ms));
    s->replay.sampled_at_ms = mem_array(count, sizeof(*s->replay.sampled_at_ms));
    s->replay.series = mem_array(count, sizeof(*s->replay.series));
}

void simulation_replay_end(struct simulation *s)
{
    for (size_t i = 0; s->replay.series && i < s->policy->trigger_count; i++)
        series_free(s->replay.series[i]);
    free(s->replay.samples);
    free(s->replay.good_at_ms);
    free(s->replay.sampled_at_ms);
    free(s->replay.series);
    record_free(s->record);
}

/* ------------------------------------------------------------------ one decision */

/* The recorded decision of this moment: one after the other, even where two were made at once; once parted, the newest. */
static const struct record_tick *tick_now(struct simulation *s)
{
    int64_t now = loop_now_ms(s->loop);

    while ((s->replay.done || s->parted) && s->replay.at + 1 < s->record->count &&
           tick_at(s, s->replay.at + 1)->facts.now_ms <= now) {
        s->replay.at++;
        s->replay.done = false;
    }
    return tick_at(s, s->replay.at);
}

void simulation_replay_sample(struct simulation *s, uint16_t trigger, struct sample *sample, struct error *why)
{
    const struct record_tick *tick = tick_now(s);
    size_t column = record_column(tick, s->policy->names[trigger]);

    if (column == RECORD_NONE) {
        sample->state = SAMPLE_FAILED;
        error_set(why, ERROR_MISSING, "the recording has nothing of it from here on");
        return;
    }
    *sample = tick->facts.samples[column];
    if (sample->state != SAMPLE_OK)
        error_set(why, sample->state == SAMPLE_FAILED ? ERROR_UNREACHABLE : ERROR_MISSING, "as recorded");
}

static size_t trigger_named(const struct simulation *s, const char *name)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++)
        if (strcmp(s->policy->names[i], name) == 0)
            return i;
    return RECORD_NONE;
}

/* What formulas look back at, and no decision has. */
static void restore_history(struct simulation *s, size_t until)
{
    for (; s->replay.history_at < until; s->replay.history_at++) {
        const struct record_sample *from = &s->record->history[s->replay.history_at];
        size_t trigger = trigger_named(s, from->trigger);

        if (trigger != RECORD_NONE && s->replay.series[trigger])
            series_restore(s->replay.series[trigger], &from->sample);
    }
}

static void renew_series(struct simulation *s)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++) {
        int64_t history = s->policy->triggers[i].history_ms, interval = policy_interval_ms(s->policy, i, 1);
        int64_t samples = history / (interval > 0 ? interval : 1000) + 16; /* as the running system has it */

        series_free(s->replay.series[i]);
        s->replay.series[i] =
            history > 0 ? series_new(history, samples > HISTORY_SAMPLES_MAX ? HISTORY_SAMPLES_MAX : (size_t)samples)
                        : NULL;
        s->replay.sampled_at_ms[i] = INT64_MIN;
    }
}

/* The running system began, began again, or went on in another file: what it remembered then is what is remembered now. */
static void begin_version(struct simulation *s, const struct record_version *version, struct policy *policy,
                          struct decide_memory **memory)
{
    struct decide_memory *recorded;
    bool first = s->replay.version == NULL;

    s->replay.version = version;
    renew_series(s);
    s->replay.history_at = version->history;
    if (first)
        policy->rules.created_at_ms = version->created_at_ms;
    if (!version->memory || policy->generation != version->generation ||
        !decide_memory_read(&policy->rules, version->memory, version->memory_length, &recorded))
        return;
    policy->rules.created_at_ms = version->created_at_ms;
    decide_memory_free(*memory);
    *memory = recorded;
}

/* Triggers that the recording does not have keep what was gathered. */
static void take_samples(struct simulation *s, const struct record_tick *tick)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++) {
        size_t column = record_column(tick, s->policy->names[i]);
        struct sample *sample = &s->replay.samples[i];

        if (column != RECORD_NONE && s->feeds[i].kind == FEED_RECORD) {
            *sample = tick->facts.samples[column];
            if (tick->facts.good_at_ms)
                s->replay.good_at_ms[i] = tick->facts.good_at_ms[column];
        }
        if (s->replay.series[i] && sample->state != SAMPLE_NONE && sample->at_ms > s->replay.sampled_at_ms[i]) {
            series_add(s->replay.series[i], sample);
            s->replay.sampled_at_ms[i] = sample->at_ms;
        }
    }
}

void simulation_replay_facts(struct simulation *s, struct policy *policy, struct decide_facts *facts,
                             struct decide_memory **memory)
{
    const struct record_tick *tick = tick_now(s);

    if (tick->version != s->replay.version && (!s->parted || !s->replay.version))
        begin_version(s, tick->version, policy, memory);
    restore_history(s, tick->history_until);
    memcpy(s->replay.samples, facts->samples, policy->trigger_count * sizeof(*s->replay.samples));
    memcpy(s->replay.good_at_ms, facts->good_at_ms, policy->trigger_count * sizeof(*s->replay.good_at_ms));
    take_samples(s, tick);
    facts->samples = s->replay.samples;
    facts->series = s->replay.series;
    facts->good_at_ms = tick->facts.good_at_ms ? s->replay.good_at_ms : NULL;
    if (s->parted)
        return;
    facts->now_ms = tick->facts.now_ms;
    facts->replicas = tick->facts.replicas;
    facts->status_replicas = tick->facts.status_replicas;
    facts->ready_replicas = tick->facts.ready_replicas;
    facts->pods = tick->facts.pods;
    facts->pod_count = tick->facts.pod_count;
    facts->pods_failed = tick->facts.pods_failed;
    if (facts->replicas >= 0 && (facts->replicas != s->spec || facts->ready_replicas != s->counts.ready))
        simulation_place(s, facts->replicas, facts->ready_replicas);
}

void simulation_replay_decided(struct simulation *s, const struct decision *decision)
{
    const struct record_tick *tick = tick_at(s, s->replay.at);

    if (!s->parted && (decision->after != tick->after || decision->write != tick->write)) {
        s->parted = true;
        s->result.parted_ms = simulation_now_ms(s);
    }
    s->replay.done = true;
}

bool simulation_replay_fails(const struct simulation *s)
{
    return s->record && !s->parted && !tick_at(s, s->replay.at)->applied;
}

/* ------------------------------------------------------------------ the next */

int64_t simulation_replay_next_ms(struct simulation *s)
{
    int64_t now = loop_now_ms(s->loop), next;

    if (s->replay.at + 1 >= s->record->count)
        return s->duration_ms + 1; /* beyond the end */
    next = tick_at(s, s->replay.at + 1)->facts.now_ms;
    return next > now ? next - now : 0;
}

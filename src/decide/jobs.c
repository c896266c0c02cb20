/*
 * jobs: how many jobs to create now. A ScaledJob only ever adds; sections in comments are those of
 * keda-operator/04-scaledjob.md.
 *
 * A sample that was already there when jobs were last created does not create again: those jobs take its messages,
 * and they are not counted as running yet wherever the platform's view lags (failure-modes J1). The minimum is topped
 * up regardless.
 */
#include "decide/jobs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "decide/hpa.h"

enum { JOBS_MAX_DEFAULT = 100 }; /* where maxReplicaCount is not set */

struct job_bounds job_bounds(const struct job_rules *rules)
{
    int32_t max = rules->max < 0 ? JOBS_MAX_DEFAULT : rules->max;
    int32_t min = rules->min < 0 ? 0 : rules->min > max ? max : rules->min;
    bool whole = rules->max < 0 || rules->min > max; /* then nothing is subtracted for the minimum */

    return (struct job_bounds){min, whole ? max : max - min};
}

double job_max_value(double length, double target, int32_t max)
{
    if (target == 0 || isnan(target))
        return 0;
    double jobs = length / target;
    return jobs < (double)max ? jobs : max;
}

/* ------------------------------------------------------------------ all triggers together (4) */

static bool takes_its_place(enum job_combination combination, double queue, double taken)
{
    if (combination == JOB_COMBINE_MIN)
        return taken == 0 || queue < taken; /* a 0 never stays */
    return queue > taken;
}

static void combine_one(const struct job_queue *queues, size_t count, enum job_combination combination,
                        struct job_wish *out)
{
    for (size_t i = 0; i < count; i++) {
        if (!queues[i].active || !takes_its_place(combination, queues[i].length, out->queue_length))
            continue;
        out->queue_length = queues[i].length;
        out->max_value = queues[i].max_value;
        out->active = true;
    }
}

static void combine_sum(const struct job_queue *queues, size_t count, bool average, struct job_wish *out)
{
    size_t active = 0;

    for (size_t i = 0; i < count; i++) {
        if (!queues[i].active)
            continue;
        out->queue_length += queues[i].length;
        out->max_value += queues[i].max_value;
        active++;
    }
    out->active = active > 0;
    if (average && active > 0) {
        out->queue_length /= (double)active;
        out->max_value /= (double)active;
    }
}

void job_combine(const struct job_queue *queues, size_t count, enum job_combination combination,
                 const struct job_bounds *bounds, struct job_wish *out)
{
    *out = (struct job_wish){0};
    if (combination == JOB_COMBINE_AVG || combination == JOB_COMBINE_SUM)
        combine_sum(queues, count, combination == JOB_COMBINE_AVG, out);
    else
        combine_one(queues, count, combination, out);
    if (bounds->min > 0)
        out->active = true;
    if (out->max_value > bounds->max)
        out->max_value = bounds->max;
    out->scale_to = hpa_ceil32(out->queue_length);
    out->max_scale = hpa_ceil32(out->max_value);
}

/* ------------------------------------------------------------------ how many more may run (5) */

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t custom_effective(const struct job_rules *rules, int64_t running, int64_t max_scale, int64_t max)
{
    double busy = trunc((double)running * rules->custom_running_ratio);

    return lesser(max_scale - rules->custom_deduction - hpa_trunc32(busy), max);
}

static int64_t strategy_effective(const struct job_rules *rules, int64_t running, int64_t pending, int64_t max_scale,
                                  int64_t max)
{
    switch (rules->strategy) {
    case JOB_CUSTOM:
        if (isnan(rules->custom_running_ratio))
            break;
        return custom_effective(rules, running, max_scale, max);
    case JOB_ACCURATE:
        return max_scale + running - pending > max ? max - running : max_scale - pending;
    case JOB_EAGER:
        return lesser(max - running - pending, max_scale);
    case JOB_DEFAULT:
        break;
    }
    return max_scale - running;
}

int32_t job_effective(const struct job_rules *rules, int32_t running, int32_t pending, int32_t max_scale,
                      int32_t *scale_to)
{
    struct job_bounds bounds = job_bounds(rules);

    if (running < bounds.min) {
        *scale_to = bounds.min - running;
        return *scale_to;
    }
    if (rules->strategy == JOB_EAGER)
        *scale_to = bounds.max;
    return hpa_trunc32(
        (double)strategy_effective(rules, (int64_t)running - bounds.min, pending, max_scale, bounds.max));
}

/* ------------------------------------------------------------------ pending and finished jobs (5, 8) */

static bool has_condition(const struct job_pod *pod, const char *wanted)
{
    for (size_t i = 0; i < pod->condition_count; i++)
        if (strcmp(pod->conditions[i], wanted) == 0)
            return true;
    return false;
}

static bool pod_is_up(const struct job_pod *pod, const char *const *wanted, size_t wanted_count)
{
    if (wanted_count == 0)
        return pod->phase == POD_RUNNING || pod->phase == POD_SUCCEEDED;
    for (size_t i = 0; i < wanted_count; i++)
        if (!has_condition(pod, wanted[i]))
            return false;
    return true;
}

bool job_is_pending(const char *const *wanted, size_t wanted_count, const struct job_pod *pods, size_t pod_count)
{
    for (size_t i = 0; i < pod_count; i++)
        if (pod_is_up(&pods[i], wanted, wanted_count))
            return false;
    return true;
}

struct finished_at {
    int64_t at_ms;
    size_t index;
};

static int oldest_first(const void *a, const void *b)
{
    const struct finished_at *x = a, *y = b;

    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static void remove_oldest(const struct job_finished *jobs, size_t count, bool succeeded, int32_t limit, bool *remove)
{
    struct finished_at *sorted = mem_array(count + 1, sizeof(*sorted));
    size_t found = 0, kept = limit < 0 ? 0 : (size_t)limit;

    for (size_t i = 0; i < count; i++)
        if (jobs[i].succeeded == succeeded)
            sorted[found++] = (struct finished_at){jobs[i].at_ms, i};
    qsort(sorted, found, sizeof(*sorted), oldest_first);
    for (size_t i = 0; i < found; i++)
        remove[sorted[i].index] = i + kept < found;
    free(sorted);
}

void job_history(const struct job_finished *jobs, size_t count, int32_t successful_limit, int32_t failed_limit,
                 bool *remove)
{
    remove_oldest(jobs, count, true, successful_limit, remove);
    remove_oldest(jobs, count, false, failed_limit, remove);
}

/* ------------------------------------------------------------------ one decision */

/* false: the trigger says nothing now, because it failed, has no value, or is no queue at all. */
static bool read_queue(const struct job_rules *rules, const struct job_facts *facts, uint16_t i,
                       const struct job_bounds *bounds, struct job_decision *out, struct job_queue *queue)
{
    static const struct sample nothing;
    const struct decide_trigger *trigger = &rules->triggers[i];
    const struct sample *sample = facts->samples ? &facts->samples[i] : &nothing;
    struct decision_input *input = &out->inputs[i];
    double target = facts->targets && facts->targets[i] > 0 ? facts->targets[i] : trigger->target;

    *input = (struct decision_input){.proposal = -1, .age_ms = -1, .state = sample->state};
    if (trigger->kind != METRIC_EXTERNAL || sample->state == SAMPLE_NONE)
        return false;
    input->age_ms = facts->now_ms > sample->at_ms ? facts->now_ms - sample->at_ms : 0;
    if (sample->state == SAMPLE_FAILED || !isfinite(sample->value)) {
        input->state = SAMPLE_FAILED;
        out->error = true;
        return false;
    }
    input->value = sample->value;
    input->stand_in = sample->stand_in;
    input->held = sample->state == SAMPLE_MISSING;
    input->active = sample->state == SAMPLE_OK && sample_is_active(sample, sample->value, trigger->activation);
    queue->length = sample->value;
    queue->active = input->active;
    queue->max_value =
        job_max_value(sample->value, trigger->target_type == TARGET_AVERAGE_VALUE ? target : 0, bounds->max);
    input->proposal = hpa_ceil32(queue->max_value < 0 ? 0 : queue->max_value);
    return sample->state == SAMPLE_OK;
}

static bool is_new(const struct job_facts *facts, uint16_t i)
{
    return facts->created_last_at_ms == 0 || facts->samples[i].at_ms > facts->created_last_at_ms;
}

void decide_jobs(const struct job_rules *rules, const struct job_facts *facts, struct job_decision *out)
{
    struct job_bounds bounds = job_bounds(rules);
    struct job_queue queues[TRIGGERS_MAX];
    struct job_wish wish;
    size_t count = 0;
    bool news = false;

    *out = (struct job_decision){.at_ms = facts->now_ms, .input_count = rules->trigger_count};
    out->running = facts->running < 0 ? 0 : facts->running;
    out->pending = facts->pending < 0 ? 0 : facts->pending;
    for (uint16_t i = 0; i < rules->trigger_count; i++) {
        if (!read_queue(rules, facts, i, &bounds, out, &queues[count]))
            continue;
        news |= is_new(facts, i);
        count++;
    }
    job_combine(queues, count, rules->combination, &bounds, &wish);
    out->active = wish.active;
    out->queue_length = wish.queue_length;
    out->max_value = wish.max_value;
    out->scale_to = wish.scale_to;
    out->max_scale = wish.max_scale;
    out->effective = job_effective(rules, out->running, out->pending, wish.max_scale, &out->scale_to);
    bool below_min = out->running < bounds.min;
    if (rules->paused || !out->active || out->effective <= 0 || (!news && !below_min))
        return;
    out->create = out->scale_to < out->effective ? out->scale_to : out->effective;
    if (out->create < 0)
        out->create = 0;
}

enum decision_reason job_decision_reason(const struct job_rules *rules, const struct job_decision *decision)
{
    if (rules->paused)
        return REASON_PAUSED;
    if (decision->create > 0)
        return decision->running == 0 ? REASON_ACTIVATED : REASON_ABOVE_TARGET;
    if (decision->error)
        return REASON_HELD;
    return decision->active ? REASON_STEADY : REASON_INACTIVE;
}

/*
 * hpa_object: one sync of a HorizontalPodAutoscaler, told as Kubernetes tells it: a sequence of early ends, each
 * leaving its conditions and events. The arithmetic is hpa.c's. Sections in comments are those of hpa-algorithm.md.
 */
#include "decide/hpa_object.h"

#include <assert.h>
#include <string.h>

#include "base/time.h"

/* ------------------------------------------------------------------ names */

const char *hpa_metric_type_name(enum hpa_metric_type type)
{
    static const char *const names[] = {"External", "Object", "Pods", "Resource", "ContainerResource"};

    return names[type];
}

static const char *const reason_names[HPA_REASON_COUNT] = {
#define REASON(name) #name,
    HPA_REASONS(REASON)
#undef REASON
};
static const char *const condition_names[HPA_CONDITIONS] = {
    "AbleToScale",
    "ScalingActive",
    "ScalingLimited",
    "ScaledToZero",
};

const char *hpa_reason_name(enum hpa_reason reason)
{
    return reason_names[reason];
}

const char *hpa_condition_name(enum hpa_condition_type type)
{
    return condition_names[type];
}

bool hpa_reason_find(const char *name, enum hpa_reason *out)
{
    for (int i = 0; i < HPA_REASON_COUNT; i++) {
        if (strcmp(reason_names[i], name) == 0) {
            *out = (enum hpa_reason)i;
            return true;
        }
    }
    return false;
}

bool hpa_condition_find(const char *name, enum hpa_condition_type *out)
{
    for (int i = 0; i < HPA_CONDITIONS; i++) {
        if (strcmp(condition_names[i], name) == 0) {
            *out = (enum hpa_condition_type)i;
            return true;
        }
    }
    return false;
}

static enum hpa_reason metric_failure(enum hpa_metric_type type)
{
    static const enum hpa_reason reasons[] = {
        HPA_REASON_FailedGetExternalMetric,
        HPA_REASON_FailedGetObjectMetric,
        HPA_REASON_FailedGetPodsMetric,
        HPA_REASON_FailedGetResourceMetric,
        HPA_REASON_FailedGetContainerResourceMetric,
    };

    return reasons[type];
}

static enum hpa_reason limit_reason(enum hpa_limit limit)
{
    static const enum hpa_reason reasons[] = {
        HPA_REASON_DesiredWithinRange, HPA_REASON_TooFewReplicas, HPA_REASON_TooManyReplicas,
        HPA_REASON_ScaleUpLimit,       HPA_REASON_ScaleDownLimit,
    };

    return reasons[limit];
}

/* ------------------------------------------------------------------ state */

void hpa_controller_default(struct hpa_controller *controller)
{
    *controller = (struct hpa_controller){
        .downscale_stabilization_ms = 5 * MINUTE_MS,
        .cpu_initialization_ms = 5 * MINUTE_MS,
        .readiness_delay_ms = 30 * SECOND_MS,
        .tolerance = 0.1,
        .configurable_tolerance = true,
    };
}

void hpa_state_done(struct hpa_state *state)
{
    hpa_moments_done(&state->wishes);
    hpa_moments_done(&state->ups);
    hpa_moments_done(&state->downs);
}

static struct hpa_condition *find_condition(struct hpa_state *state, enum hpa_condition_type type)
{
    for (int i = 0; i < state->condition_count; i++)
        if (state->conditions[i].type == type)
            return &state->conditions[i];
    return NULL;
}

const struct hpa_condition *hpa_state_condition(const struct hpa_state *state, enum hpa_condition_type type)
{
    for (int i = 0; i < state->condition_count; i++)
        if (state->conditions[i].type == type)
            return &state->conditions[i];
    return NULL;
}

void hpa_state_set(struct hpa_state *state, enum hpa_condition_type type, bool status, enum hpa_reason reason)
{
    struct hpa_condition *condition = find_condition(state, type);

    if (!condition)
        condition = &state->conditions[state->condition_count++];
    *condition = (struct hpa_condition){.type = type, .status = status, .reason = reason};
}

static void remove_condition(struct hpa_state *state, enum hpa_condition_type type)
{
    struct hpa_condition *condition = find_condition(state, type);

    if (!condition)
        return;
    struct hpa_condition *end = state->conditions + state->condition_count;
    memmove(condition, condition + 1, (size_t)(end - condition - 1) * sizeof(*condition));
    state->condition_count--;
}

/* ------------------------------------------------------------------ proposals of all metrics (7) */

struct sync { /* one sync under way */
    const struct hpa_object *object;
    const struct hpa_controller *controller;
    const struct hpa_sync_facts *facts;
    struct hpa_state *state;
    struct hpa_outcome *out;
    struct hpa_tolerance tolerance;
};

static void emit(struct sync *s, enum hpa_reason event)
{
    s->out->events[s->out->event_count++] = event;
}

static struct hpa_tolerance tolerance_of(const struct hpa_object *object, const struct hpa_controller *controller)
{
    struct hpa_tolerance tolerance = {controller->tolerance, controller->tolerance};

    if (object->behavior && controller->configurable_tolerance) {
        if (object->behavior->up.tolerance >= 0)
            tolerance.up = object->behavior->up.tolerance;
        if (object->behavior->down.tolerance >= 0)
            tolerance.down = object->behavior->down.tolerance;
    }
    return tolerance;
}

static int32_t count_ready(const struct hpa_sync_facts *facts)
{
    int32_t ready = 0;

    for (size_t i = 0; i < facts->pod_count; i++)
        ready += facts->pods[i].phase == POD_RUNNING && facts->pods[i].ready == POD_READY_TRUE;
    return ready;
}

static void propose_number(struct sync *s, const struct hpa_metric *metric, const struct hpa_samples *samples,
                           struct hpa_proposal *out)
{
    bool average = metric->type == HPA_EXTERNAL ? metric->has_average : metric->target_type == TARGET_AVERAGE_VALUE;
    int64_t sum = hpa_sum(samples->values, samples->count);

    if (average && metric->type == HPA_EXTERNAL && !hpa_sum_average(samples->values, samples->count, &sum))
        hpa_propose_everything(out);
    else if (average)
        hpa_propose_average(sum, metric->average, s->facts->status_replicas, &s->tolerance, out);
    else
        hpa_propose_value(sum, metric->value, s->facts->replicas, s->facts->pod_count, count_ready(s->facts),
                          &s->tolerance, out);
}

static void propose_per_pod(struct sync *s, size_t index, struct hpa_proposal *out)
{
    const struct hpa_metric *metric = &s->object->metrics[index];

    hpa_propose_pods(&(struct hpa_pods){.pods = s->facts->pods,
                                        .pod_count = s->facts->pod_count,
                                        .usage = index,
                                        .foreign = s->facts->samples[index].values,
                                        .foreign_count = s->facts->samples[index].count,
                                        .cpu = metric->cpu,
                                        .utilization = metric->has_utilization,
                                        .target = metric->has_utilization ? metric->utilization : metric->average,
                                        .spec_replicas = s->facts->replicas,
                                        .now_ms = s->facts->now_ms,
                                        .cpu_initialization_ms = s->controller->cpu_initialization_ms,
                                        .readiness_delay_ms = s->controller->readiness_delay_ms},
                     &s->tolerance, out);
}

static void propose(struct sync *s, size_t index, struct hpa_proposal *out)
{
    const struct hpa_metric *metric = &s->object->metrics[index];
    const struct hpa_samples *samples = &s->facts->samples[index];

    *out = (struct hpa_proposal){0};
    if (samples->failed)
        out->fault = HPA_FETCH_FAILED;
    else if (metric->type != HPA_EXTERNAL && metric->type != HPA_OBJECT)
        propose_per_pod(s, index, out);
    else if (samples->count == 0)
        out->fault = HPA_NO_METRICS;
    else
        propose_number(s, metric, samples, out);
}

static bool selector_is_good(struct sync *s)
{
    switch (s->facts->selector) {
    case HPA_SELECTOR_GOOD:
        return true;
    case HPA_SELECTOR_EMPTY:
        emit(s, HPA_REASON_SelectorRequired);
        hpa_state_set(s->state, HPA_SCALING_ACTIVE, false, HPA_REASON_InvalidSelector);
        return false;
    case HPA_SELECTOR_INVALID:
        emit(s, HPA_REASON_InvalidSelector);
        hpa_state_set(s->state, HPA_SCALING_ACTIVE, false, HPA_REASON_InvalidSelector);
        return false;
    case HPA_SELECTOR_AMBIGUOUS:
        emit(s, HPA_REASON_AmbiguousSelector);
        hpa_state_set(s->state, HPA_SCALING_ACTIVE, false, HPA_REASON_AmbiguousSelector);
        return false;
    }
    return false;
}

/* false: the sync ends here; nothing may be taken away on half the knowledge. */
static bool combine(struct sync *s, int32_t *best)
{
    struct hpa_outcome *out = s->out;
    size_t failed = 0;
    enum hpa_reason first = HPA_REASON_FailedGetExternalMetric;

    if (!selector_is_good(s))
        return false;
    out->measured = true;
    *best = 0;
    for (size_t i = 0; i < s->object->metric_count; i++) {
        struct hpa_proposal *proposal = &out->proposals[out->proposal_count++];

        propose(s, i, proposal);
        if (proposal->fault) {
            if (failed++ == 0)
                first = metric_failure(s->object->metrics[i].type);
            emit(s, metric_failure(s->object->metrics[i].type));
        } else if (*best == 0 || proposal->replicas > *best) {
            *best = proposal->replicas;
        }
    }
    out->error = failed > 0;
    if (failed == s->object->metric_count || (failed > 0 && *best < s->facts->replicas)) {
        hpa_state_set(s->state, HPA_SCALING_ACTIVE, false, first);
        return false;
    }
    hpa_state_set(s->state, HPA_SCALING_ACTIVE, true, HPA_REASON_ValidMetricFound);
    return true;
}

/* ------------------------------------------------------------------ normalisation (8, 9) */

static enum hpa_reason able_reason(bool behavior, int32_t wish, int32_t stable, int32_t current)
{
    if (stable == wish)
        return HPA_REASON_ReadyForNewScale;
    return behavior && wish >= current ? HPA_REASON_ScaleUpStabilized : HPA_REASON_ScaleDownStabilized;
}

int32_t hpa_normalize(const struct hpa_object *object, const struct hpa_controller *controller, int64_t now_ms,
                      int32_t current, int32_t wish, struct hpa_state *state, int32_t *stabilized)
{
    const struct scaling_behavior *behavior = object->behavior;
    int64_t window_ms = controller->downscale_stabilization_ms, up_ms = 0;
    enum hpa_limit limit;
    int32_t after;

    if (behavior) {
        up_ms = behavior->up.window_s * SECOND_MS;
        if (behavior->down.window_s >= 0)
            window_ms = behavior->down.window_s * SECOND_MS;
        *stabilized = hpa_stabilize(&state->wishes, &state->wishes, now_ms, up_ms, window_ms, current, wish);
    } else {
        *stabilized = hpa_stabilize_plain(&state->wishes, now_ms, window_ms, wish);
    }
    hpa_moments_recycle(&state->wishes, now_ms, up_ms > window_ms ? up_ms : window_ms, wish);
    hpa_state_set(state, HPA_ABLE_TO_SCALE, true, able_reason(behavior != NULL, wish, *stabilized, current));
    if (behavior)
        after = hpa_limit(behavior, &state->ups, &state->downs, now_ms, current, *stabilized, object->min, object->max,
                          &limit);
    else
        after = hpa_limit_plain(current, *stabilized, object->min, object->max, &limit);
    hpa_state_set(state, HPA_SCALING_LIMITED, after != *stabilized, limit_reason(limit));
    return after;
}

/* ------------------------------------------------------------------ the sync (4, 10) */

static bool from_zero_is_possible(const struct hpa_object *object)
{
    for (size_t i = 0; i < object->metric_count; i++)
        if (object->metrics[i].type == HPA_EXTERNAL || object->metrics[i].type == HPA_OBJECT)
            return true;
    return false;
}

static void finish(struct sync *s, int32_t desired)
{
    s->out->replicas = desired;
    s->state->desired = desired;
}

/* The scale could not be written, or nothing could be computed: status keeps what was desired before. */
static void finish_failed(struct sync *s)
{
    s->out->error = true;
    s->out->replicas = s->facts->replicas;
}

static void write_scale(struct sync *s, int32_t desired)
{
    int32_t current = s->facts->replicas;

    if (s->facts->scale_update_failed) {
        emit(s, HPA_REASON_FailedRescale);
        hpa_state_set(s->state, HPA_ABLE_TO_SCALE, false, HPA_REASON_FailedUpdateScale);
        finish_failed(s);
        return;
    }
    hpa_state_set(s->state, HPA_ABLE_TO_SCALE, true, HPA_REASON_SucceededRescale);
    emit(s, HPA_REASON_SuccessfulRescale);
    s->out->rescaled = true;
    if (s->object->behavior)
        hpa_store_event(s->object->behavior, &s->state->ups, &s->state->downs, s->facts->now_ms, current, desired);
    if (!s->controller->scale_to_zero) {
        remove_condition(s->state, HPA_SCALED_TO_ZERO);
    } else {
        bool zeroed = current > 0 && desired == 0 && s->object->min == 0 && from_zero_is_possible(s->object);

        hpa_state_set(s->state, HPA_SCALED_TO_ZERO, zeroed,
                      zeroed ? HPA_REASON_ScaledToZero : HPA_REASON_NotScaledToZero);
    }
    finish(s, desired);
}

static bool was_zeroed(struct sync *s)
{
    const struct hpa_condition *zeroed = hpa_state_condition(s->state, HPA_SCALED_TO_ZERO);

    return s->controller->scale_to_zero && zeroed && zeroed->status;
}

/* A target at 0 rests, whatever the minimum is, unless this HPA itself put it there. */
static bool rests_at_zero(struct sync *s)
{
    if (s->facts->replicas != 0)
        return false;
    return !(was_zeroed(s) && (s->object->min != 0 || from_zero_is_possible(s->object)));
}

static void sync_by_metrics(struct sync *s)
{
    int32_t current = s->facts->replicas, wish, desired;

    if (!combine(s, &wish)) {
        emit(s, HPA_REASON_FailedComputeMetricsReplicas);
        finish_failed(s);
        return;
    }
    s->out->recommended = wish < 0 ? 0 : wish;
    s->out->computed = true;
    desired = hpa_normalize(s->object, s->controller, s->facts->now_ms, current, s->out->recommended, s->state,
                            &s->out->stabilized);
    if (current == 0 && s->object->min != 0 && was_zeroed(s) && desired < s->object->min)
        desired = s->object->min;
    if (desired != current)
        write_scale(s, desired);
    else
        finish(s, desired);
}

void hpa_sync(const struct hpa_object *object, const struct hpa_controller *controller,
              const struct hpa_sync_facts *facts, struct hpa_state *state, struct hpa_outcome *out)
{
    struct sync s = {.object = object, .controller = controller, .facts = facts, .state = state, .out = out};

    assert(object->metric_count <= TRIGGERS_MAX);
    *out = (struct hpa_outcome){0};
    s.tolerance = tolerance_of(object, controller);
    if (facts->scale_get_failed) {
        hpa_state_set(state, HPA_ABLE_TO_SCALE, false, HPA_REASON_FailedGetScale);
        emit(&s, HPA_REASON_FailedGetScale);
        finish_failed(&s);
        return;
    }
    hpa_state_set(state, HPA_ABLE_TO_SCALE, true, HPA_REASON_SucceededGetScale);
    if (!state->wished) {
        state->wished = true;
        hpa_moments_add(&state->wishes, facts->now_ms, facts->replicas);
    }
    if (rests_at_zero(&s)) {
        if (!controller->scale_to_zero)
            remove_condition(state, HPA_SCALED_TO_ZERO);
        hpa_state_set(state, HPA_SCALING_ACTIVE, false, HPA_REASON_ScalingDisabled);
        finish(&s, 0);
    } else if (facts->replicas != 0 && facts->replicas > object->max) {
        write_scale(&s, object->max);
    } else if (facts->replicas != 0 && facts->replicas < object->min) {
        write_scale(&s, object->min);
    } else {
        sync_by_metrics(&s);
    }
}

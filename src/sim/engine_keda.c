/*
 * engine_keda: KEDA's operator and the HorizontalPodAutoscaler it feeds (serving-model.md 7.1; keda-operator/03; hpa-algorithm.md).
 *
 *     poll  --> decide() in hpa mode: values, fallback, activity --> 0 <-> max(min, 1)
 *     sync  --> the same values in milli, as KEDA's metrics server answers --> hpa_sync() --> everything above 0
 *
 * KEDA's rules differ from ours here: what is missing counts at once as the value KEDA would use, a result that is no number is 0, and
 * activation is strict. The rules of direct mode are put right for that once, when the engine is made.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/time.h"
#include "decide/keda.h"
#include "sim/engine_internal.h"

enum { MILLI = 3 }; /* digits of Kubernetes' unit */

/* ------------------------------------------------------------------ rules */

static void as_keda(struct decide_rules *rules)
{
    rules->mode = DECIDE_HPA;
    rules->missing_hold_ms = 0;
    rules->formula_as_keda = true;
    rules->formula_activation_inclusive = false;
}

/* A direction that is paused is disabled in the HPA (keda-operator/02). */
static const struct scaling_behavior *behavior_of(const struct decide_rules *rules, struct scaling_behavior *own)
{
    if (!rules->paused_scale_in && !rules->paused_scale_out)
        return rules->behavior;
    if (rules->behavior)
        *own = *rules->behavior;
    else
        scaling_behavior_default(own);
    if (rules->paused_scale_in)
        own->down.select = SELECT_DISABLED;
    if (rules->paused_scale_out)
        own->up.select = SELECT_DISABLED;
    return own;
}

static struct hpa_metric number_metric(enum target_type type, double target)
{
    int64_t milli = hpa_target_units(target, MILLI);

    if (type == TARGET_VALUE)
        return (struct hpa_metric){.type = HPA_EXTERNAL, .has_value = true, .value = milli};
    return (struct hpa_metric){.type = HPA_EXTERNAL, .has_average = true, .average = milli};
}

static struct hpa_metric resource_metric(const struct decide_trigger *t)
{
    struct hpa_metric metric = {.type = t->container ? HPA_CONTAINER_RESOURCE : HPA_RESOURCE,
                                .cpu = t->kind == METRIC_CPU};

    metric.has_utilization = t->target_type == TARGET_UTILIZATION;
    metric.has_average = !metric.has_utilization;
    metric.utilization = metric.has_utilization ? hpa_trunc32(fmax(1, t->target)) : 0;
    metric.average = metric.has_average ? hpa_target_units(t->target, MILLI) : 0;
    return metric;
}

static void add_metric(struct sim_engine *e, int32_t cause, struct hpa_metric metric)
{
    e->needs_pods |= metric.has_value || metric.type != HPA_EXTERNAL;
    e->metric_causes[e->hpa.metric_count] = cause;
    e->metrics[e->hpa.metric_count++] = metric;
}

/* One metric per trigger; a formula speaks for all that are external. Without a target there is none (KEDA refuses that). */
static void add_metrics(struct sim_engine *e)
{
    if (e->rules.formula && e->rules.formula_target > 0)
        add_metric(e, CAUSE_FORMULA, number_metric(e->rules.formula_type, e->rules.formula_target));
    for (uint16_t i = 0; i < e->rules.trigger_count && e->hpa.metric_count < TRIGGERS_MAX; i++) {
        const struct decide_trigger *t = &e->rules.triggers[i];

        if (t->kind != METRIC_EXTERNAL)
            add_metric(e, i, resource_metric(t));
        else if (!e->rules.formula && t->target > 0)
            add_metric(e, i, number_metric(t->target_type, t->target));
    }
}

void keda_engine_init(struct sim_engine *e)
{
    size_t size = (size_t)e->rules.trigger_count + 1;

    as_keda(&e->rules);
    e->metrics = mem_array(size, sizeof(*e->metrics));
    e->metric_causes = mem_array(size, sizeof(*e->metric_causes));
    e->hpa_samples = mem_array(size, sizeof(*e->hpa_samples));
    e->milli = mem_array(size, sizeof(*e->milli));
    e->usage = mem_array(size, sizeof(*e->usage));
    e->no_usage = mem_array(size, sizeof(*e->no_usage));
    e->hpa = (struct hpa_object){.min = e->rules.min < 1 ? 1 : e->rules.min,
                                 .max = e->rules.max,
                                 .behavior = behavior_of(&e->rules, &e->behavior),
                                 .metrics = e->metrics};
    hpa_controller_default(&e->controller);
    e->controller.tolerance = e->rules.tolerance;
    e->controller.downscale_stabilization_ms = e->rules.downscale_stabilization_ms;
    e->controller.cpu_initialization_ms = e->rules.cpu_initialization_ms;
    e->controller.readiness_delay_ms = e->rules.readiness_delay_ms;
    add_metrics(e);
}

void keda_engine_done(struct sim_engine *e)
{
    hpa_state_done(&e->state);
    free(e->metrics);
    free(e->metric_causes);
    free(e->hpa_samples);
    free(e->milli);
    free(e->usage);
    free(e->no_usage);
    free(e->pods);
}

/* ------------------------------------------------------------------ the operator */

static void read_if_nobody_scrapes(struct sim_engine *e, int64_t now_ms)
{
    if (e->options.scrape_ms == 0)
        sim_engine_read(e, now_ms);
}

void keda_engine_poll(struct sim_engine *e, int64_t now_ms)
{
    struct decide_facts facts;

    read_if_nobody_scrapes(e, now_ms);
    sim_engine_facts(e, now_ms, &facts);
    decide(&e->rules, &facts, e->memory, e->options.trace, &e->decision);
    e->options.world.decided(e->options.world.arg, &e->decision, e->samples);
}

/* ------------------------------------------------------------------ what the HPA is told */

/* Utilization in percent, or the average in the target's unit, is what each ready pod uses. */
static struct pod_usage usage_of(const struct sim_engine *e, size_t metric, int64_t now_ms)
{
    const struct sample *sample = &e->samples[e->metric_causes[metric]];
    bool known = sample->state == SAMPLE_OK && isfinite(sample->value);

    return (struct pod_usage){.has_usage = known,
                              .has_request = true,
                              .usage =
                                  known ? llround(sample->value * (e->metrics[metric].has_utilization ? 10 : 1000)) : 0,
                              .request = 1000,
                              .at_ms = now_ms,
                              .window_ms = MINUTE_MS};
}

/* Pods that are ready have been so for a while; the others have just started. */
static void fill_pods(struct sim_engine *e, const struct decide_facts *facts, struct hpa_sync_facts *out)
{
    size_t count = facts->replicas > 0 ? (size_t)facts->replicas : 0;
    size_t ready = facts->ready_replicas > 0 ? (size_t)facts->ready_replicas : 0;

    if (count > e->pod_size) {
        e->pod_size = count * 2;
        e->pods = mem_grow(e->pods, e->pod_size, sizeof(*e->pods));
    }
    for (size_t m = 0; m < e->hpa.metric_count; m++)
        if (e->metrics[m].type != HPA_EXTERNAL)
            e->usage[m] = usage_of(e, m, facts->now_ms);
    for (size_t i = 0; i < count; i++)
        e->pods[i] = (struct pod_fact){.name = "",
                                       .phase = POD_RUNNING,
                                       .ready = i < ready ? POD_READY_TRUE : POD_READY_FALSE,
                                       .start_at_ms = i < ready ? facts->now_ms - HOUR_MS : facts->now_ms,
                                       .ready_at_ms = i < ready ? facts->now_ms - HOUR_MS : facts->now_ms,
                                       .usage = i < ready ? e->usage : e->no_usage};
    out->pods = e->pods;
    out->pod_count = count;
}

/* What KEDA's metrics server answers for one metric. */
static void answer(struct sim_engine *e, size_t metric)
{
    int32_t cause = e->metric_causes[metric];
    struct hpa_samples *samples = &e->hpa_samples[metric];
    struct keda_metric value = {0};
    bool good;

    if (e->metrics[metric].type != HPA_EXTERNAL) {
        *samples = (struct hpa_samples){0};
        return;
    }
    if (cause == CAUSE_FORMULA) {
        good = keda_composite(&e->rules, &e->decision, &value.milli);
    } else {
        good = keda_metric(&e->rules, &e->decision, (size_t)cause, &value) && !value.placeholder;
    }
    e->milli[metric] = value.milli;
    *samples = (struct hpa_samples){.failed = !good, .values = &e->milli[metric], .count = 1};
}

/* An evaluation for the HPA: it counts failures like any other, but only the operator's polls say when the object was last active. */
static void evaluate(struct sim_engine *e, const struct decide_facts *facts)
{
    int64_t last_active_at_ms = decide_memory_last_active_at_ms(e->memory);

    decide(&e->rules, facts, e->memory, e->options.trace, &e->decision);
    decide_memory_set_last_active(e->memory, last_active_at_ms);
}

static bool is_resting(const struct sim_engine *e, const struct decide_facts *facts)
{
    return facts->replicas <= 0 || e->rules.paused || e->rules.has_paused_replicas;
}

void keda_engine_sync(struct sim_engine *e, int64_t now_ms)
{
    struct decide_facts facts;
    struct hpa_sync_facts sync = {0};
    struct hpa_outcome outcome;

    sim_engine_facts(e, now_ms, &facts);
    if (e->rules.paused || e->rules.has_paused_replicas)
        return; /* there is no HPA then (keda-operator/02) */
    sync = (struct hpa_sync_facts){.now_ms = facts.now_ms,
                                   .replicas = facts.replicas,
                                   .status_replicas = facts.status_replicas,
                                   .samples = e->hpa_samples};
    if (!is_resting(e, &facts)) {
        read_if_nobody_scrapes(e, now_ms);
        evaluate(e, &facts);
        for (size_t m = 0; m < e->hpa.metric_count; m++)
            answer(e, m);
        if (e->needs_pods)
            fill_pods(e, &facts, &sync);
    }
    hpa_sync(&e->hpa, &e->controller, &sync, &e->state, &outcome);
    if (is_resting(e, &facts))
        return;
    keda_engine_tell(e, &outcome);
    e->options.world.decided(e->options.world.arg, &e->decision, e->samples);
}

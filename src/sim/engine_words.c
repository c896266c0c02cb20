/*
 * engine_words: what a HorizontalPodAutoscaler did in a sync, told as a decision: a closed chain of the same steps as ours, so that reports and
 * explanations read alike. Nothing is computed here; the numbers are the HPA's.
 */
#include <stddef.h>

#include "decide/hpa.h"
#include "sim/engine_internal.h"

enum { STEPS_FOR_METRICS_MAX = DECISION_STEPS_MAX - 8 }; /* the rest is for what comes after the metrics */

/* With very many triggers what is merely said is left out, and moves are merged; the chain stays closed. */
static void push(struct decision *d, enum step_kind kind, int32_t cause, int32_t after, double measured, double limit)
{
    int32_t before = d->step_count > 0 ? d->steps[d->step_count - 1].after : d->before;

    if (cause != CAUSE_OBJECT && d->step_count >= STEPS_FOR_METRICS_MAX) {
        if (before == after)
            return;
        before = d->steps[--d->step_count].before;
    }
    d->steps[d->step_count++] = (struct decision_step){
        .kind = kind, .cause = cause, .before = before, .after = after, .measured = measured, .limit = limit};
}

/* Steps about values stay; what the operator would do goes. */
static void keep_values(struct decision *d)
{
    uint16_t kept = 0;

    for (uint16_t i = 0; i < d->step_count; i++) {
        switch (d->steps[i].kind) {
        case STEP_CURRENT:
        case STEP_NOT_ASKED:
        case STEP_HELD_MISSING:
        case STEP_HELD_FAILED:
        case STEP_HOLD_ENDED:
        case STEP_FALLBACK:
        case STEP_FALLBACK_WAITS:
        case STEP_NEGATIVE:
            d->steps[kept++] = d->steps[i];
            break;
        default:
            break;
        }
    }
    d->step_count = kept;
}

/* ------------------------------------------------------------------ the metrics */

static double target_of(const struct hpa_metric *metric)
{
    if (metric->has_utilization)
        return metric->utilization;
    return hpa_from_units(metric->has_value ? metric->value : metric->average, 3);
}

static double measured_of(const struct sim_engine *e, size_t metric, const struct hpa_proposal *proposal)
{
    if (e->metrics[metric].has_utilization)
        return (double)proposal->utilization;
    return hpa_from_units(e->metrics[metric].type == HPA_EXTERNAL ? e->milli[metric] : proposal->usage, 3);
}

static bool by_fallback(const struct decision *d, int32_t cause)
{
    return cause == CAUSE_FORMULA ? d->fallback : d->inputs[cause].fallback;
}

static void tell_fault(struct decision *d, int32_t cause, const struct hpa_metric *metric, enum hpa_fault fault,
                       double measured)
{
    if (metric->type != HPA_EXTERNAL)
        push(d, STEP_RESOURCE_FAILED, cause, d->steps[d->step_count - 1].after, 0, 0);
    else if (fault == HPA_NO_PODS)
        push(d, STEP_NO_PODS, cause, d->steps[d->step_count - 1].after, measured, target_of(metric));
}

static void tell_resource(struct decision_input *input, const struct hpa_proposal *proposal, double measured)
{
    input->state = proposal->fault ? SAMPLE_FAILED : SAMPLE_OK;
    input->held = proposal->fault != HPA_OK;
    input->age_ms = 0;
    input->value = proposal->fault ? 0 : measured;
}

/* Each metric's proposal; the chain goes to the greatest. The cause that won, or CAUSE_OBJECT. */
static int32_t tell_metrics(struct sim_engine *e, const struct hpa_outcome *outcome)
{
    struct decision *d = &e->decision;
    int32_t best = -1, winner = CAUSE_OBJECT;

    for (size_t m = 0; m < outcome->proposal_count; m++) {
        const struct hpa_proposal *proposal = &outcome->proposals[m];
        int32_t cause = e->metric_causes[m], replicas = proposal->replicas < 0 ? 0 : proposal->replicas;
        double measured = measured_of(e, m, proposal);

        if (e->metrics[m].type != HPA_EXTERNAL)
            tell_resource(&d->inputs[cause], proposal, measured);
        if (proposal->fault) {
            tell_fault(d, cause, &e->metrics[m], proposal->fault, measured);
            continue;
        }
        if (cause >= 0)
            d->inputs[cause].proposal = replicas;
        if (best >= 0 && replicas <= best) {
            push(d, STEP_OUTBID, cause, d->steps[d->step_count - 1].after, measured, replicas);
            continue;
        }
        best = replicas;
        winner = cause;
        push(d,
             by_fallback(d, cause) ? STEP_FALLBACK_ASKS
             : proposal->within    ? STEP_WITHIN_TOLERANCE
                                   : STEP_PROPOSED,
             cause, replicas, measured, target_of(&e->metrics[m]));
    }
    return winner;
}

/* ------------------------------------------------------------------ what became of the wish */

static double window_s(const struct sim_engine *e, bool down)
{
    const struct scaling_behavior *behavior = e->hpa.behavior;
    int32_t given = behavior ? (down ? behavior->down.window_s : behavior->up.window_s) : down ? -1 : 0;

    return given >= 0 ? given : (double)e->controller.downscale_stabilization_ms / 1000;
}

static void tell_stabilized(struct sim_engine *e, const struct hpa_outcome *outcome)
{
    struct decision *d = &e->decision;
    bool down = outcome->stabilized > outcome->recommended;

    if (outcome->stabilized == outcome->recommended)
        return;
    push(d, down ? STEP_STABILIZED_DOWN : STEP_STABILIZED_UP, CAUSE_OBJECT, outcome->stabilized, 0, window_s(e, down));
    d->reason = REASON_STABILIZED;
}

static void tell_limited(struct sim_engine *e, const struct hpa_outcome *outcome)
{
    const struct hpa_condition *limited = hpa_state_condition(&e->state, HPA_SCALING_LIMITED);
    struct decision *d = &e->decision;

    if (outcome->replicas == outcome->stabilized || !limited)
        return;
    switch (limited->reason) {
    case HPA_REASON_TooFewReplicas:
        push(d, STEP_AT_MIN, CAUSE_OBJECT, outcome->replicas, 0, 0);
        d->reason = REASON_AT_MIN;
        break;
    case HPA_REASON_TooManyReplicas:
        push(d, STEP_AT_MAX, CAUSE_OBJECT, outcome->replicas, 0, 0);
        d->reason = REASON_AT_MAX;
        break;
    default:
        push(d, outcome->replicas < outcome->stabilized ? STEP_RATE_LIMITED_UP : STEP_RATE_LIMITED_DOWN, CAUSE_OBJECT,
             outcome->replicas, 0, 0);
        d->reason = REASON_RATE_LIMITED;
        break;
    }
}

/* Too little is known: nothing is done. Or the number was out of bounds, and the metrics were not looked at. */
static void tell_early_end(struct sim_engine *e, const struct hpa_outcome *outcome)
{
    struct decision *d = &e->decision;
    int32_t stands = d->steps[d->step_count - 1].after;

    if (outcome->rescaled) {
        push(d, outcome->replicas > d->before ? STEP_AT_MIN : STEP_AT_MAX, CAUSE_OBJECT, outcome->replicas, 0, 0);
        d->reason = outcome->replicas > d->before ? REASON_AT_MIN : REASON_AT_MAX;
        return;
    }
    if (stands != d->before)
        push(d, STEP_HELD, CAUSE_OBJECT, d->before, 0, 0);
    d->reason = REASON_HELD;
    d->held = true;
}

void keda_engine_tell(struct sim_engine *e, const struct hpa_outcome *outcome)
{
    struct decision *d = &e->decision;

    keep_values(d);
    d->next_at_ms = 0;
    d->wished = outcome->computed ? outcome->recommended : -1;
    d->error |= outcome->error;
    d->reason = REASON_STEADY;
    int32_t winner = tell_metrics(e, outcome);
    if (!outcome->computed) {
        tell_early_end(e, outcome);
    } else {
        if (winner != CAUSE_OBJECT && by_fallback(d, winner))
            d->reason = REASON_FALLBACK;
        else if (outcome->recommended != d->before)
            d->reason = outcome->recommended > d->before ? REASON_ABOVE_TARGET : REASON_BELOW_TARGET;
        tell_stabilized(e, outcome);
        tell_limited(e, outcome);
    }
    d->after = outcome->replicas;
    d->write = d->after != d->before;
}

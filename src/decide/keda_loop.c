/*
 * keda_loop: hpa mode. KEDA's operator decides only between 0 (or idle) and the minimum; a HorizontalPodAutoscaler
 * does the rest, and keda.h shows what it is fed. The table is keda-operator/03 4; where 09-quirks part 2 is done
 * better it says so here.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "decide/decide_internal.h"
#include "decide/keda.h"

/* ------------------------------------------------------------------ the decision */

static bool needs_waking(const struct decide_rules *rules, int32_t replicas)
{
    return replicas == 0 || (rules->idle >= 0 && replicas < rules->min);
}

static void wake(struct making *m, bool by_trigger, int32_t cause, double measured, double limit)
{
    int32_t floor = m->rules->min > 1 ? m->rules->min : 1;

    m->out->reason = REASON_ACTIVATED;
    if (m->rules->paused_scale_out) {
        say(m, STEP_SCALE_OUT_PAUSED, CAUSE_OBJECT, 0, 0);
        m->out->reason = REASON_PAUSED;
        return;
    }
    if (by_trigger)
        move(m, step_of_activity(m, cause), cause, floor, measured, limit);
    else
        move(m, m->rules->force_activation ? STEP_FORCED : STEP_ALWAYS_ACTIVE, CAUSE_OBJECT, floor, 0, 0);
    m->memory->last_active_at_ms = m->facts.now_ms;
}

static void stay_active(struct making *m)
{
    m->out->reason = m->held ? REASON_HELD : REASON_STEADY;
    say(m, STEP_LEFT_TO_HPA, CAUSE_OBJECT, 0, 0);
    if (!m->out->error)
        m->memory->last_active_at_ms = m->facts.now_ms;
}

static void rest(struct making *m)
{
    int32_t count = m->rules->idle >= 0 ? m->rules->idle : 0;
    int64_t until_ms;
    double inactive_s;

    if (m->rules->paused_scale_in) {
        say(m, STEP_SCALE_IN_PAUSED, CAUSE_OBJECT, 0, 0);
        m->out->reason = REASON_PAUSED;
    } else if (!cooldown_is_over(m, &inactive_s, &until_ms)) {
        say(m, STEP_COOLDOWN, CAUSE_OBJECT, inactive_s, (double)until_ms / 1000);
        wake_up_at(m, later_ms(until_ms, 1));
        m->out->reason = REASON_COOLDOWN;
    } else {
        move(m, STEP_DEACTIVATED, CAUSE_OBJECT, count, inactive_s, (double)m->rules->cooldown_ms / 1000);
        m->out->reason = REASON_DEACTIVATED;
    }
}

/* An error never takes the last replica: with fallback.replicas 0 KEDA does that below the threshold already, here
   it waits for it (failure-modes Z1). A missing value that is held delays the cooldown (DESIGN.md 3.5). */
static void hold(struct making *m)
{
    m->out->reason = REASON_HELD;
    if (!m->out->error && m->facts.replicas > 0)
        m->memory->last_active_at_ms = m->facts.now_ms;
}

void decide_keda(struct making *m)
{
    const struct decide_rules *rules = m->rules;
    int32_t current = m->facts.replicas, cause;
    double measured, limit;
    bool by_trigger = note_activity(m, &cause, &measured, &limit);
    bool active = by_trigger || rules->force_activation || (only_resources(rules) && !m->out->error);

    m->out->active = active;
    if (active && needs_waking(rules, current)) {
        wake(m, by_trigger, cause, measured, limit);
    } else if (active) {
        stay_active(m);
    } else if (m->held) {
        hold(m);
    } else if ((rules->idle >= 0 && current > rules->idle) || (current > 0 && rules->min <= 0)) {
        say(m, STEP_INACTIVE, CAUSE_OBJECT, 0, 0);
        rest(m);
    } else if (rules->idle < 0 && current < rules->min) {
        move(m, STEP_AT_MIN, CAUSE_OBJECT, rules->min, 0, 0);
        m->out->reason = REASON_AT_MIN;
    } else {
        say(m, STEP_INACTIVE, CAUSE_OBJECT, 0, 0);
        m->out->reason = REASON_INACTIVE;
    }
}

/* ------------------------------------------------------------------ what the HPA is fed */

bool keda_fallback_usable(const struct decide_rules *rules)
{
    return rules->has_fallback && rules->fallback_threshold >= 0 && rules->fallback_replicas >= 0 &&
           (!rules->formula || rules->formula_target > 0);
}

int64_t keda_milli(double value)
{
    char text[400];
    double milli = 0;

    if (!isfinite(value) || value <= 0)
        return 0;
    snprintf(text, sizeof(text), "%.3f", value); /* the decimal text is what is rounded, not value x 1000 */
    milli = strtod(text, NULL) * 1000;
    return milli >= 9.2e18 ? INT64_MAX : (int64_t)llround(milli);
}

bool keda_cut_milli(double value, int64_t *milli)
{
    double cut = trunc(value * 1000);

    if (!(cut > -9223372036854775808.0 && cut < 9223372036854775808.0))
        return false;
    *milli = (int64_t)cut;
    return true;
}

double keda_metric_scale(double target)
{
    return target > 0 && target < 0.1 ? pow(10, hpa_digits(target) - 3) : 1;
}

static double target_of(const struct decide_rules *rules, size_t trigger)
{
    return rules->formula ? rules->formula_target : rules->triggers[trigger].target;
}

static enum target_type target_type_of(const struct decide_rules *rules, size_t trigger)
{
    return rules->formula ? rules->formula_type : rules->triggers[trigger].target_type;
}

/* The value that makes the HPA ask for the fallback's replicas; per ready pod for Value (keda-operator/03 6.3).
   With none ready KEDA fails; here one is assumed, so that the trigger still counts as active (failure-modes B9). */
static int64_t fallback_milli(const struct decide_rules *rules, const struct decision *decision, size_t trigger)
{
    int64_t milli, target = hpa_target_units(target_of(rules, trigger), 3);

    if (__builtin_mul_overflow(target, (int64_t)decision->inputs[trigger].proposal, &milli))
        return INT64_MAX;
    if (target_type_of(rules, trigger) == TARGET_VALUE)
        milli /= decision->ready > 0 ? decision->ready : 1;
    return milli;
}

bool keda_metric(const struct decide_rules *rules, const struct decision *decision, size_t trigger,
                 struct keda_metric *out)
{
    const struct decision_input *input = &decision->inputs[trigger];
    bool usable = keda_fallback_usable(rules);

    *out = (struct keda_metric){.failures = input->failures, .failing = input->failures > 0};
    if (input->fallback) {
        out->composite = rules->formula != NULL;
        out->milli = fallback_milli(rules, decision, trigger);
        return true;
    }
    if (input->state == SAMPLE_OK) {
        out->milli = keda_milli(input->value);
        return true;
    }
    if (input->state == SAMPLE_FAILED && usable && rules->fallback_behavior == FALLBACK_SCALING_MODIFIERS &&
        input->failures > rules->fallback_threshold) {
        out->placeholder = true;
        out->milli = -1000;
        return true;
    }
    if (input->state != SAMPLE_MISSING || input->held)
        return false;
    out->milli = keda_milli(input->value); /* its hold is over */
    return true;
}

bool keda_composite(const struct decide_rules *rules, const struct decision *decision, int64_t *milli)
{
    for (uint16_t i = 0; i < decision->input_count; i++) {
        if (decision->inputs[i].fallback) {
            *milli = fallback_milli(rules, decision, i);
            return true;
        }
    }
    if (!decision->has_formula || decision->formula_state != SAMPLE_OK)
        return false;
    double value = decision->formula.type == FORMULA_INT ? (double)decision->formula.integer : decision->formula.number;
    return keda_cut_milli(value, milli);
}

/* ------------------------------------------------------------------ conditions and events */

const char *keda_condition_name(enum keda_condition_type type)
{
    static const char *const names[] = {"Ready", "Active", "Fallback", "Paused"};

    return names[type];
}

const char *keda_status_name(enum keda_status status)
{
    static const char *const names[] = {"", "True", "False", "Unknown"};

    return names[status];
}

static bool has_step(const struct decision *decision, enum step_kind kind)
{
    for (uint16_t i = 0; i < decision->step_count; i++)
        if (decision->steps[i].kind == kind)
            return true;
    return false;
}

static struct keda_condition ready_condition(const struct decide_rules *rules, const struct decision *decision)
{
    if (decision->reason == REASON_UNREADABLE)
        return (struct keda_condition){KEDA_FALSE, "ErrorGettingCurrentReplicas"};
    if (!decision->error || decision->paused)
        return (struct keda_condition){KEDA_TRUE, "ScaledObjectReady"};
    if (decision->active && !needs_waking(rules, decision->before))
        return (struct keda_condition){KEDA_UNKNOWN, "PartialTriggerError"};
    if (!decision->active && !rules->has_fallback)
        return (struct keda_condition){KEDA_FALSE, "TriggerError"};
    return (struct keda_condition){KEDA_TRUE, "ScaledObjectReady"};
}

static struct keda_condition active_condition(const struct decision *decision)
{
    if (decision->active)
        return (struct keda_condition){KEDA_TRUE, "ScalerActive"};
    if (has_step(decision, STEP_COOLDOWN))
        return (struct keda_condition){KEDA_FALSE, "ScalerCooldown"};
    return (struct keda_condition){KEDA_FALSE, "ScalerNotActive"};
}

static struct keda_condition fallback_condition(const struct decide_rules *rules, const struct decision *decision)
{
    if (!keda_fallback_usable(rules))
        return (struct keda_condition){KEDA_UNKNOWN, ""};
    for (uint16_t i = 0; i < decision->input_count; i++)
        if (decision->inputs[i].failures > rules->fallback_threshold)
            return (struct keda_condition){KEDA_TRUE, "FallbackExists"};
    return (struct keda_condition){KEDA_FALSE, "NoFallbackFound"};
}

void keda_view(const struct decide_rules *rules, const struct decision *decision, bool fallback_was_true,
               struct keda_view *out)
{
    *out = (struct keda_view){0};
    out->conditions[KEDA_READY] = ready_condition(rules, decision);
    if (decision->paused) {
        out->conditions[KEDA_PAUSED] = (struct keda_condition){KEDA_TRUE, "ScaledObjectPaused"};
        return;
    }
    out->conditions[KEDA_FALLBACK] = fallback_condition(rules, decision);
    if (decision->reason == REASON_UNREADABLE)
        return;
    out->conditions[KEDA_ACTIVE] = active_condition(decision);
    out->activated = decision->reason == REASON_ACTIVATED;
    out->deactivated = decision->reason == REASON_DEACTIVATED;
    out->fallback_activated = decision->fallback && !fallback_was_true;
    out->fallback_deactivated = !decision->fallback && fallback_was_true;
}

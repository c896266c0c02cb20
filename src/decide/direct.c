/*
 * direct: how many replicas, decided here alone, from 0 to the maximum (DESIGN.md 3.1; serving-model.md 7.2).
 *
 *   asleep (0, or the idle count)  --active--> the computed count at once, unlimited; old wishes are forgotten
 *        ^                                        |
 *        +-- inactive longer than the cooldown ---+   from any size
 *
 * Awake, each decision is one sync of the HPA algorithm with max(min, 1) as its minimum: proposals, the greatest
 * wins, stabilized, limited. A proposal that cannot be made counts as a failing metric there: it forbids going below
 * what runs.
 */
#include <math.h>

#include "base/time.h"
#include "decide/decide_internal.h"

/* ------------------------------------------------------------------ activity */

bool note_activity(struct making *m, int32_t *cause, double *measured, double *limit)
{
    const struct decide_rules *rules = m->rules;

    *measured = m->formula.value;
    *limit = rules->formula_activation;
    *cause = CAUSE_FORMULA;
    if (rules->formula)
        return m->formula.active;
    for (uint16_t i = 0; i < rules->trigger_count; i++) {
        if (!m->readings[i].active)
            continue;
        *cause = i;
        *measured = m->readings[i].value;
        *limit = rules->triggers[i].activation;
        return true;
    }
    *cause = CAUSE_OBJECT;
    return false;
}

static bool cause_is_fallback(const struct making *m, int32_t cause)
{
    return (cause == CAUSE_FORMULA ? m->formula.kind : m->readings[cause].kind) == READING_FALLBACK;
}

enum step_kind step_of_activity(const struct making *m, int32_t cause)
{
    if (cause >= 0 && m->facts.samples && m->facts.samples[cause].activity == ACTIVITY_ON)
        return STEP_SAID_ACTIVE;
    return m->rules->mode != DECIDE_HPA && cause_is_fallback(m, cause) ? STEP_FALLBACK_ACTIVE : STEP_ACTIVATED;
}

bool cooldown_is_over(const struct making *m, double *inactive_s, int64_t *until_ms)
{
    bool never = m->memory->last_active_at_ms == NEVER_MS;
    int64_t since_ms = never ? m->rules->created_at_ms : m->memory->last_active_at_ms;

    *until_ms = later_ms(since_ms, never ? m->rules->initial_cooldown_ms : m->rules->cooldown_ms);
    *inactive_s = since_ms > m->facts.now_ms ? 0 : (double)(m->facts.now_ms - (since_ms < 0 ? 0 : since_ms)) / 1000;
    return *until_ms < m->facts.now_ms;
}

static bool is_asleep(const struct making *m)
{
    const struct decide_rules *rules = m->rules;

    return m->facts.replicas == 0 || (rules->idle >= 0 && rules->idle < rules->min && m->facts.replicas <= rules->idle);
}

/* ------------------------------------------------------------------ proposals */

struct tally {    /* the proposals so far */
    int32_t best; /* -1: none yet */
    int32_t winner;
    int metrics, failed;
    bool by_fallback;
};

static struct hpa_tolerance tolerance_of(const struct decide_rules *rules)
{
    struct hpa_tolerance tolerance = {rules->tolerance, rules->tolerance};

    if (rules->behavior && rules->behavior->up.tolerance >= 0)
        tolerance.up = rules->behavior->up.tolerance;
    if (rules->behavior && rules->behavior->down.tolerance >= 0)
        tolerance.down = rules->behavior->down.tolerance;
    return tolerance;
}

/* One proposal joins: the chain moves to it when it is the greatest so far. floor: from 0 it starts at the minimum. */
static void join(struct making *m, struct tally *tally, enum step_kind kind, int32_t cause, int32_t replicas,
                 double measured, double limit)
{
    replicas = replicas < 0 ? 0 : replicas;
    if (cause >= 0)
        m->out->inputs[cause].proposal = replicas;
    if (tally->best >= 0 && replicas <= tally->best) {
        say(m, STEP_OUTBID, cause, measured, replicas);
        return;
    }
    tally->best = replicas;
    tally->winner = cause;
    tally->by_fallback = kind == STEP_FALLBACK_ASKS;
    move(m, kind, cause, replicas, measured, limit);
}

static void propose_number(struct making *m, struct tally *tally, int32_t cause, double value, double target,
                           enum target_type type, int32_t spec)
{
    struct hpa_tolerance tolerance = tolerance_of(m->rules);
    int digits = hpa_digits(target);
    int64_t units = hpa_units(value, digits), target_units = hpa_target_units(target, digits);
    struct hpa_proposal proposal;

    if (type == TARGET_VALUE)
        hpa_propose_value(units, target_units, spec, (size_t)m->facts.status_replicas, m->facts.ready_replicas,
                          &tolerance, &proposal);
    else
        hpa_propose_average(units, target_units, spec == 0 ? 0 : m->facts.status_replicas, &tolerance, &proposal);
    if (proposal.fault) {
        tally->failed++;
        m->held = true;
        say(m, STEP_NO_PODS, cause, value, target);
    } else {
        join(m, tally, proposal.within ? STEP_WITHIN_TOLERANCE : STEP_PROPOSED, cause, proposal.replicas, value,
             target);
    }
}

static void propose_reading(struct making *m, struct tally *tally, int32_t cause, const struct reading *reading,
                            double target, enum target_type type, int32_t spec)
{
    if (reading->kind == READING_HELD) {
        tally->metrics++;
        tally->failed++;
    } else if (reading->kind == READING_FALLBACK) {
        tally->metrics++;
        join(m, tally, STEP_FALLBACK_ASKS, cause, reading->replicas, 0, 0);
    } else if (target > 0) {
        tally->metrics++;
        propose_number(m, tally, cause, reading->value, target, type, spec);
    } else if (cause == CAUSE_FORMULA) {
        tally->metrics++;
        join(m, tally, STEP_NO_TARGET, cause, m->low, reading->value, 0);
    }
}

static int64_t resource_target(const struct decide_trigger *trigger)
{
    if (trigger->target_type == TARGET_UTILIZATION)
        return trigger->target < 1 ? 1 : (int64_t)fmin(trigger->target, 1e9);
    return hpa_target_units(trigger->target, 3);
}

static void propose_resource(struct making *m, struct tally *tally, uint16_t index, size_t usage)
{
    const struct decide_trigger *trigger = &m->rules->triggers[index];
    struct hpa_tolerance tolerance = tolerance_of(m->rules);
    struct hpa_proposal proposal = {.fault = HPA_FETCH_FAILED};
    bool utilization = trigger->target_type == TARGET_UTILIZATION;
    struct decision_input *input = &m->out->inputs[index];

    tally->metrics++;
    if (!m->facts.pods_failed && m->facts.pods)
        hpa_propose_pods(&(struct hpa_pods){.pods = m->facts.pods,
                                            .pod_count = m->facts.pod_count,
                                            .usage = usage,
                                            .cpu = trigger->kind == METRIC_CPU,
                                            .utilization = utilization,
                                            .target = resource_target(trigger),
                                            .spec_replicas = m->facts.replicas,
                                            .now_ms = m->facts.now_ms,
                                            .cpu_initialization_ms = m->rules->cpu_initialization_ms,
                                            .readiness_delay_ms = m->rules->readiness_delay_ms},
                         &tolerance, &proposal);
    input->state = proposal.fault ? SAMPLE_FAILED : SAMPLE_OK;
    if (proposal.fault) {
        tally->failed++;
        m->held = input->held = true;
        m->out->error |= proposal.fault == HPA_FETCH_FAILED || proposal.fault == HPA_MISSING_REQUEST;
        say(m, STEP_RESOURCE_FAILED, index, 0, 0);
        return;
    }
    input->age_ms = 0;
    input->value = utilization ? (double)proposal.utilization : hpa_from_units(proposal.usage, 3);
    join(m, tally, proposal.within ? STEP_WITHIN_TOLERANCE : STEP_PROPOSED, index, proposal.replicas, input->value,
         trigger->target);
}

/* spec: replicas that the proposals start from; 0 when waking up, where neither tolerance nor pods matter. */
static void propose_all(struct making *m, struct tally *tally, int32_t spec)
{
    const struct decide_rules *rules = m->rules;
    size_t usage = 0;

    if (rules->formula)
        propose_reading(m, tally, CAUSE_FORMULA, &m->formula, rules->formula_target, rules->formula_type, spec);
    for (uint16_t i = 0; i < rules->trigger_count; i++) {
        const struct decide_trigger *trigger = &rules->triggers[i];

        if (trigger->kind != METRIC_EXTERNAL) {
            if (spec > 0)
                propose_resource(m, tally, i, usage);
            usage++;
        } else if (!rules->formula) {
            double told = m->facts.targets ? m->facts.targets[i] : 0;

            propose_reading(m, tally, i, &m->readings[i], told > 0 ? told : trigger->target, trigger->target_type,
                            spec);
        }
    }
}

/* ------------------------------------------------------------------ waking up and falling asleep */

/* From 0 (or idle) the first count is the computed one, not rate-limited; and it is the first wish of a new life. */
static void wake(struct making *m, enum step_kind kind, int32_t cause, double measured, double limit)
{
    struct tally tally = {.best = m->low, .winner = cause};

    m->out->reason = REASON_ACTIVATED;
    move(m, kind, cause, m->low, measured, limit);
    propose_all(m, &tally, 0);
    m->out->wished = tally.best;
    if (m->now_count > m->high) {
        move(m, STEP_AT_MAX, CAUSE_OBJECT, m->high, 0, 0);
        m->out->reason = REASON_AT_MAX;
    }
    if (m->rules->paused_scale_out && m->now_count > m->facts.replicas) {
        move(m, STEP_SCALE_OUT_PAUSED, CAUSE_OBJECT, m->facts.replicas, 0, 0);
        m->out->reason = REASON_PAUSED;
        return;
    }
    memory_forget_wishes(m->memory);
    memory_wish(m->memory, m->facts.now_ms, 0, m->now_count);
}

static void decide_asleep(struct making *m, bool active)
{
    int32_t cause;
    double measured, limit;

    if (note_activity(m, &cause, &measured, &limit))
        wake(m, step_of_activity(m, cause), cause, measured, limit);
    else if (active && m->rules->force_activation)
        wake(m, STEP_FORCED, CAUSE_OBJECT, 0, 0);
    else if (active)
        wake(m, STEP_ALWAYS_ACTIVE, CAUSE_OBJECT, 0, 0);
    else if (m->rules->min > 0 && m->rules->idle < 0)
        wake(m, STEP_AT_MIN, CAUSE_OBJECT, 0, 0);
    else if (m->held)
        m->out->reason = REASON_HELD;
    else {
        m->out->reason = REASON_INACTIVE;
        say(m, STEP_INACTIVE, CAUSE_OBJECT, 0, 0);
    }
}

/* Inactive with a place to rest: true when the decision is made. Until the cooldown is over the HPA's algorithm
   goes on. */
static bool fall_asleep(struct making *m)
{
    const struct decide_rules *rules = m->rules;
    int32_t rest = rules->idle < 0 ? 0 : rules->idle;
    int64_t until_ms;
    double inactive_s;

    say(m, STEP_INACTIVE, CAUSE_OBJECT, 0, 0);
    if (rules->idle < 0 && rules->min > 0)
        return false;
    if (!cooldown_is_over(m, &inactive_s, &until_ms)) {
        say(m, STEP_COOLDOWN, CAUSE_OBJECT, inactive_s, (double)until_ms / 1000);
        wake_up_at(m, later_ms(until_ms, 1));
        m->out->reason = REASON_COOLDOWN;
        return false;
    }
    if (rest >= m->facts.replicas)
        return false;
    move(m, STEP_DEACTIVATED, CAUSE_OBJECT, rest, inactive_s, (double)rules->cooldown_ms / 1000);
    m->out->reason = REASON_DEACTIVATED;
    if (rules->paused_scale_in) {
        move(m, STEP_SCALE_IN_PAUSED, CAUSE_OBJECT, m->facts.replicas, 0, 0);
        m->out->reason = REASON_PAUSED;
        return true;
    }
    memory_forget_wishes(m->memory);
    return true;
}

/* ------------------------------------------------------------------ one sync of the HPA's algorithm */

struct windows {
    int64_t up_ms, down_ms;
};

static struct windows windows_of(const struct decide_rules *rules)
{
    struct windows windows = {0, rules->downscale_stabilization_ms};

    if (rules->behavior) {
        windows.up_ms = rules->behavior->up.window_s < 0 ? 0 : rules->behavior->up.window_s * SECOND_MS;
        if (rules->behavior->down.window_s >= 0)
            windows.down_ms = rules->behavior->down.window_s * SECOND_MS;
    }
    return windows;
}

void decide_memory_take_over(const struct decide_rules *rules, struct decide_memory *memory, int64_t now_ms,
                             int32_t replicas)
{
    struct windows windows = windows_of(rules);

    if (replicas > 0)
        memory_wish(memory, now_ms, windows.up_ms > windows.down_ms ? windows.up_ms : windows.down_ms, replicas);
}

/* Stabilization ends when the last wish that holds the size leaves its window: one for as much, or for more where what runs lies between. */
static void note_window_end(struct making *m, const struct hpa_moments *wishes, bool falling, int64_t window_ms,
                            int32_t held_at)
{
    int64_t edge_ms = m->rules->behavior ? 0 : 1; /* without behavior the edge still counts */
    const struct hpa_moment *last = NULL;

    for (uint16_t i = 0; i < wishes->count; i++)
        if (falling ? wishes->items[i].count >= held_at : wishes->items[i].count <= held_at)
            last = &wishes->items[i];
    if (last)
        wake_up_at(m, later_ms(last->at_ms, later_ms(window_ms, edge_ms)));
}

static int32_t stabilize(struct making *m, int32_t wish)
{
    struct decide_memory *memory = m->memory;
    struct windows windows = windows_of(m->rules);
    int64_t now_ms = m->facts.now_ms;
    int32_t stable = m->rules->behavior ? hpa_stabilize(&memory->highs, &memory->lows, now_ms, windows.up_ms,
                                                        windows.down_ms, m->facts.replicas, wish)
                                        : hpa_stabilize_plain(&memory->highs, now_ms, windows.down_ms, wish);

    memory_wish(memory, now_ms, windows.up_ms > windows.down_ms ? windows.up_ms : windows.down_ms, wish);
    if (stable > wish) {
        move(m, STEP_STABILIZED_DOWN, CAUSE_OBJECT, stable, 0, (double)windows.down_ms / 1000);
        note_window_end(m, &memory->highs, true, windows.down_ms, stable);
    } else if (stable < wish) {
        move(m, STEP_STABILIZED_UP, CAUSE_OBJECT, stable, 0, (double)windows.up_ms / 1000);
        note_window_end(m, &memory->lows, false, windows.up_ms, stable);
    }
    if (stable != wish)
        m->out->reason = REASON_STABILIZED;
    return stable;
}

/* A rate limit gives way when the oldest change leaves its policy's period. */
static void note_period_ends(struct making *m, const struct scaling_rules *rules)
{
    const struct hpa_moments *lists[] = {&m->memory->ups, &m->memory->downs};

    for (int p = 0; p < rules->policy_count; p++)
        for (int l = 0; l < 2; l++)
            for (uint16_t i = 0; i < lists[l]->count; i++)
                wake_up_at(m, later_ms(lists[l]->items[i].at_ms, rules->policies[p].period_s * SECOND_MS));
}

static void limit(struct making *m, int32_t stable)
{
    static const struct {
        enum step_kind step;
        enum decision_reason reason;
    } words[] = {
        [HPA_TOO_FEW] = {STEP_AT_MIN, REASON_AT_MIN},
        [HPA_TOO_MANY] = {STEP_AT_MAX, REASON_AT_MAX},
        [HPA_SCALE_UP_LIMIT] = {STEP_RATE_LIMITED_UP, REASON_RATE_LIMITED},
        [HPA_SCALE_DOWN_LIMIT] = {STEP_RATE_LIMITED_DOWN, REASON_RATE_LIMITED},
    };
    const struct decide_rules *rules = m->rules;
    enum hpa_limit why;
    int32_t after = rules->behavior ? hpa_limit(rules->behavior, &m->memory->ups, &m->memory->downs, m->facts.now_ms,
                                                m->facts.replicas, stable, m->low, m->high, &why)
                                    : hpa_limit_plain(m->facts.replicas, stable, m->low, m->high, &why);

    if (why == HPA_WITHIN_RANGE)
        return;
    move(m, words[why].step, CAUSE_OBJECT, after, 0, 0);
    m->out->reason = words[why].reason;
    if (rules->behavior && why == HPA_SCALE_UP_LIMIT)
        note_period_ends(m, &rules->behavior->up);
    else if (rules->behavior && why == HPA_SCALE_DOWN_LIMIT)
        note_period_ends(m, &rules->behavior->down);
}

/* false: too little is known to go where the proposals point. */
static bool combine(struct making *m, struct tally *tally)
{
    int32_t current = m->facts.replicas;

    propose_all(m, tally, current);
    m->out->wished = tally->best;
    if (tally->metrics == 0)
        return false;
    if (tally->failed < tally->metrics && (tally->failed == 0 || tally->best >= current))
        return true;
    if (m->now_count != current)
        move(m, STEP_HELD, CAUSE_OBJECT, current, 0, 0);
    m->out->reason = REASON_HELD;
    return false;
}

static void sync(struct making *m)
{
    struct tally tally = {.best = -1, .winner = CAUSE_OBJECT};
    int32_t current = m->facts.replicas;

    if (m->memory->highs.count == 0) /* the first wish ever is what runs (hpa-algorithm.md 16.9) */
        memory_wish(m->memory, m->facts.now_ms, 0, current);
    if (current > m->high) {
        move(m, STEP_AT_MAX, CAUSE_OBJECT, m->high, 0, 0);
        m->out->reason = REASON_AT_MAX;
    } else if (current < m->low) {
        move(m, STEP_AT_MIN, CAUSE_OBJECT, m->low, 0, 0);
        m->out->reason = REASON_AT_MIN;
    } else if (combine(m, &tally)) {
        if (tally.by_fallback)
            m->out->reason = REASON_FALLBACK;
        else if (tally.best != current)
            m->out->reason = tally.best > current ? REASON_ABOVE_TARGET : REASON_BELOW_TARGET;
        limit(m, stabilize(m, tally.best));
    }
}

static void obey_half_pauses(struct making *m)
{
    int32_t current = m->facts.replicas;

    if (m->rules->paused_scale_in && m->now_count < current)
        move(m, STEP_SCALE_IN_PAUSED, CAUSE_OBJECT, current, 0, 0);
    else if (m->rules->paused_scale_out && m->now_count > current)
        move(m, STEP_SCALE_OUT_PAUSED, CAUSE_OBJECT, current, 0, 0);
    else
        return;
    m->out->reason = REASON_PAUSED;
}

void decide_direct(struct making *m)
{
    int32_t cause;
    double measured, limit_at;
    bool active = note_activity(m, &cause, &measured, &limit_at) || m->rules->force_activation ||
                  (!m->rules->formula && only_resources(m->rules));

    m->out->active = active;
    m->out->reason = REASON_STEADY;
    if (active || (m->held && m->facts.replicas > 0)) /* time under a hold is not inactivity */
        m->memory->last_active_at_ms = m->facts.now_ms;
    if (is_asleep(m)) {
        decide_asleep(m, active);
        return;
    }
    if (!active && !m->held && fall_asleep(m))
        return;
    bool cooling = m->out->reason == REASON_COOLDOWN;
    sync(m);
    obey_half_pauses(m);
    if (cooling && m->now_count == m->facts.replicas && m->out->reason != REASON_PAUSED)
        m->out->reason = REASON_COOLDOWN; /* that is why it is not zero yet; the chain tells the rest */
}

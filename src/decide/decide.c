/*
 * decide: the order of a decision, and the chain of steps it leaves behind.
 *
 * The chain is the product: every step starts where the one before it ended, so no replica changes without a cause. A
 * step either says something (before == after) or moves the number. With very many triggers what is merely said is
 * left out and moves are merged, so that the chain stays closed within DECISION_STEPS_MAX; the inputs keep every
 * trigger's proposal.
 */
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "decide/decide_internal.h"

/* Instants beyond this are a broken clock; the bound keeps sums of instants and spans within int64. */
#define INSTANT_MAX_MS (INT64_MAX / 4)

/* ------------------------------------------------------------------ the chain */

static double tame(double value)
{
    return isnan(value) ? 0 : value > 1e300 ? 1e300 : value < -1e300 ? -1e300 : value;
}

static void push(struct making *m, enum step_kind kind, int32_t cause, int32_t after, double measured, double limit)
{
    struct decision *d = m->out;
    struct decision_step step = {.kind = kind,
                                 .cause = cause,
                                 .before = m->now_count,
                                 .after = after,
                                 .measured = tame(measured),
                                 .limit = tame(limit)};
    bool of_trigger = cause >= 0;

    if (of_trigger && d->step_count >= STEPS_FOR_TRIGGERS_MAX) {
        if (step.before == after)
            return;
        step.before = d->steps[d->step_count - 1].before;
        d->step_count--;
    }
    assert(d->step_count < DECISION_STEPS_MAX);
    d->steps[d->step_count++] = step;
    m->now_count = after;
}

void say(struct making *m, enum step_kind kind, int32_t cause, double measured, double limit)
{
    push(m, kind, cause, m->now_count, measured, limit);
}

void move(struct making *m, enum step_kind kind, int32_t cause, int32_t after, double measured, double limit)
{
    push(m, kind, cause, after, measured, limit);
}

void wake_up_at(struct making *m, int64_t at_ms)
{
    struct decision *d = m->out;

    if (at_ms > d->at_ms && at_ms < INSTANT_MAX_MS && (d->next_at_ms == 0 || at_ms < d->next_at_ms))
        d->next_at_ms = at_ms;
}

/* ------------------------------------------------------------------ beginning and end */

static int32_t at_least_zero(int32_t count)
{
    return count < 0 ? 0 : count;
}

static void begin(struct making *m, const struct decide_rules *rules, const struct decide_facts *facts,
                  struct decide_memory *memory, struct decision *out)
{
    assert(rules->trigger_count <= TRIGGERS_MAX && memory->trigger_count == rules->trigger_count);
    memset(out, 0, offsetof(struct decision, steps));
    m->rules = rules;
    m->facts = *facts;
    m->memory = memory;
    m->out = out;
    m->held = false;
    m->formula = (struct reading){.kind = READING_UNUSED};

    m->facts.now_ms = facts->now_ms < 0 ? 0 : facts->now_ms > INSTANT_MAX_MS ? INSTANT_MAX_MS : facts->now_ms;
    m->facts.status_replicas = at_least_zero(facts->status_replicas);
    m->facts.ready_replicas = at_least_zero(facts->ready_replicas);
    m->facts.replicas = facts->replicas < 0 ? -1 : facts->replicas;
    memory_tidy(memory, m->facts.now_ms);

    m->high = at_least_zero(rules->max);
    m->low = rules->min < 1 ? 1 : rules->min;
    if (m->low > m->high) /* refused at admission; should it get here, the maximum is the safer word */
        m->low = m->high;
    m->now_count = m->facts.replicas;
    out->at_ms = m->facts.now_ms;
    out->before = m->facts.replicas;
    out->ready = m->facts.ready_replicas;
    out->wished = -1;
    out->formula_state = SAMPLE_NONE;
    out->input_count = rules->trigger_count;
}

/* While paused nothing is evaluated: the inputs are shown as they are. */
static void show_inputs(struct making *m)
{
    for (uint16_t i = 0; i < m->rules->trigger_count; i++) {
        const struct sample *sample = m->facts.samples ? &m->facts.samples[i] : NULL;

        m->out->inputs[i] = (struct decision_input){.proposal = -1, .age_ms = -1};
        if (!sample || sample->state == SAMPLE_NONE)
            continue;
        m->out->inputs[i].state = sample->state;
        m->out->inputs[i].value = isfinite(sample->value) ? sample->value : 0;
        m->out->inputs[i].failures = m->memory->triggers[i].failures;
    }
}

/* The whole object rests. What was wished before is no wish any more, as the HPA is deleted and made anew by KEDA. */
static void decide_paused(struct making *m)
{
    const struct decide_rules *rules = m->rules;

    show_inputs(m);
    memory_forget_wishes(m->memory);
    m->out->paused = true;
    m->out->reason = REASON_PAUSED;
    if (rules->has_paused_replicas && m->facts.replicas >= 0)
        move(m, STEP_PAUSED_AT, CAUSE_OBJECT, at_least_zero(rules->paused_replicas), 0, 0);
    else
        say(m, STEP_PAUSED, CAUSE_OBJECT, 0, 0);
}

static void finish(struct making *m)
{
    m->out->after = m->now_count;
    m->out->write = m->out->after != m->out->before;
    m->out->held |= m->held;
    assert(decision_is_closed(m->out));
}

void decide(const struct decide_rules *rules, const struct decide_facts *facts, struct decide_memory *memory,
            bool trace, struct decision *out)
{
    struct making m;

    begin(&m, rules, facts, memory, out);
    if (m.facts.replicas >= 0)
        say(&m, STEP_CURRENT, CAUSE_OBJECT, 0, 0);
    if (rules->paused || rules->has_paused_replicas) {
        decide_paused(&m);
        finish(&m);
        return;
    }
    read_values(&m);
    if (rules->formula)
        read_formula(&m, trace);
    if (m.facts.replicas < 0) {
        say(&m, STEP_UNREADABLE, CAUSE_OBJECT, 0, 0);
        out->reason = REASON_UNREADABLE;
    } else if (rules->mode == DECIDE_HPA) {
        decide_keda(&m);
    } else {
        decide_direct(&m);
    }
    finish(&m);
}

void decide_applied(const struct decide_rules *rules, struct decide_memory *memory, const struct decision *decision)
{
    if (!rules->behavior || !decision->write || rules->mode == DECIDE_HPA)
        return;
    for (uint16_t i = 0; i < decision->step_count;
         i++) { /* those are not rate-limited, and no events of the autoscaler */
        switch (decision->steps[i].kind) {
        case STEP_ACTIVATED:
        case STEP_SAID_ACTIVE:
        case STEP_FORCED:
        case STEP_FALLBACK_ACTIVE:
        case STEP_ALWAYS_ACTIVE:
        case STEP_DEACTIVATED:
        case STEP_PAUSED_AT:
            return;
        default:
            break;
        }
    }
    if (decision->before > 0)
        hpa_store_event(rules->behavior, &memory->ups, &memory->downs, decision->at_ms, decision->before,
                        decision->after);
}

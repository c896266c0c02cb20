/*
 * evaluate: the formula's result as one more reading (DESIGN.md 3.5).
 *
 * Direct mode: it always runs, with nil for each trigger that has no value. A finite result counts. An error, or a
 * nil, is `missing` when only missing triggers were nil, else `failed`; NaN and infinities are always `failed`. When
 * the hold of a missing result is over, it runs once more with the values that KEDA would use. Hpa mode: it runs when
 * no trigger is held, and a trigger's fallback speaks in its place (keda-operator/03 7).
 *
 * What functions of the formula remember (ema, held ...) advances once per decision: every further run of the same
 * decision (trace, search for what divided by zero, the run with stand-ins) starts from a copy of what was remembered
 * before.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "decide/decide_internal.h"
#include "decide/keda.h"

struct evaluation { /* the formula's inputs and its memory, for the runs of one decision */
    struct making *m;
    struct formula_env env;
    struct formula_state state;
    void *before;  /* copy of what was remembered before; NULL: the formula remembers nothing */
    void *scratch; /* another copy, for runs that must leave no trace */
    int32_t names;
    double values[TRIGGERS_MAX];
    bool nil[TRIGGERS_MAX], missing[TRIGGERS_MAX];
    int64_t at_ms[TRIGGERS_MAX];
    struct series *series[TRIGGERS_MAX];
};

/* ------------------------------------------------------------------ inputs */

static void fill_name(struct evaluation *e, uint16_t i)
{
    const struct making *m = e->m;
    int32_t name = m->rules->triggers[i].formula_name;
    const struct decision_input *input = &m->out->inputs[i];

    if (name < 0)
        return;
    assert(name < TRIGGERS_MAX);
    e->nil[name] = m->rules->mode == DECIDE_HPA ? m->readings[i].kind != READING_VALUE : input->state != SAMPLE_OK;
    e->values[name] = e->nil[name] ? 0 : m->readings[i].value;
    e->missing[name] = input->state == SAMPLE_MISSING;
    e->at_ms[name] = m->facts.good_at_ms ? m->facts.good_at_ms[i] : 0;
    e->series[name] = m->facts.series ? m->facts.series[i] : NULL;
}

static void fill(struct evaluation *e, struct making *m)
{
    const struct decide_rules *rules = m->rules;
    double pending = (double)m->facts.status_replicas - (double)m->facts.ready_replicas;

    e->m = m;
    e->names = 0;
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        if (rules->triggers[i].formula_name >= e->names)
            e->names = rules->triggers[i].formula_name + 1;
    for (int32_t n = 0; n < e->names; n++) {
        e->values[n] = 0;
        e->nil[n] = true;
        e->missing[n] = false;
        e->at_ms[n] = 0;
        e->series[n] = NULL;
    }
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        fill_name(e, i);
    e->state = (struct formula_state){
        .replicas = m->facts.replicas < 0 ? 0 : m->facts.replicas,
        .ready_replicas = m->facts.ready_replicas,
        .pending_replicas = pending < 0 ? 0 : pending,
        .min_replicas = rules->min,
        .max_replicas = rules->max,
        .target = rules->formula_target,
    };
    e->env = (struct formula_env){
        .values = e->values,
        .nil = e->nil,
        .missing = e->missing,
        .at_ms = m->facts.good_at_ms ? e->at_ms : NULL,
        .series = e->series,
        .state = &e->state,
        .now_ms = m->facts.now_ms,
        .memory = m->memory->formula_memory,
    };
}

/* ------------------------------------------------------------------ runs */

static void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = mem_alloc(size);

    memcpy(copy, bytes, size);
    return copy;
}

/* The inputs for a run that must not advance what the formula remembers. */
static struct formula_env *aside(struct evaluation *e, struct formula_env *env)
{
    *env = e->env;
    if (!e->before)
        return env;
    if (!e->scratch)
        e->scratch = mem_alloc(e->m->memory->formula_bytes);
    memcpy(e->scratch, e->before, e->m->memory->formula_bytes);
    env->memory = e->scratch;
    return env;
}

static bool is_number(const struct formula_value *value)
{
    return value->type == FORMULA_NUMBER || value->type == FORMULA_INT;
}

static double number_of(const struct formula_value *value)
{
    return value->type == FORMULA_INT ? (double)value->integer : value->number;
}

static void run(struct evaluation *e, struct formula_result *result)
{
    formula_eval(e->m->rules->formula, &e->env, result);
}

/* A result that is no finite number is searched for the sub-expression that made it. */
static void explain_infinite(struct evaluation *e, struct formula_result *result)
{
    struct formula_env env;

    formula_check_finite(e->m->rules->formula, aside(e, &env), result);
    if (result->value.type == FORMULA_FAILED)
        return;
    result->value.type = FORMULA_FAILED; /* finite, but too large for hpa mode's milli: the whole formula is to blame */
    result->error = (struct formula_error){.fault = FAULT_NOT_FINITE};
}

static void record(struct decision *d, const struct formula_result *result)
{
    bool failed = result->value.type == FORMULA_FAILED;

    d->has_formula = true;
    d->formula = result->value;
    if (!isfinite(d->formula.number))
        d->formula.number = 0;
    d->formula_fault = failed ? result->error.fault : FAULT_NONE;
    d->fault_begin = failed ? (uint32_t)result->error.begin : 0;
    d->fault_end = failed ? (uint32_t)result->error.end : 0;
}

/* ------------------------------------------------------------------ trace */

static void keep_trace(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value,
                       const char *repr)
{
    struct decision *d = arg;
    struct decision_trace entry = {.begin = (uint32_t)begin,
                                   .end = (uint32_t)end,
                                   .type = (uint8_t)value->type,
                                   .depth = (uint8_t)(depth > UINT8_MAX ? UINT8_MAX : depth),
                                   .number = number_of(value)};
    uint16_t deepest = 0;

    (void)repr;
    if (!isfinite(entry.number))
        entry.number = 0;
    if (d->trace_count == DECISION_TRACE_MAX) { /* the inner ones give way: the whole is evaluated last */
        for (uint16_t i = 1; i < d->trace_count; i++)
            if (d->trace[i].depth > d->trace[deepest].depth)
                deepest = i;
        if (entry.depth >= d->trace[deepest].depth)
            return;
        d->trace_count--;
        memmove(&d->trace[deepest], &d->trace[deepest + 1], (d->trace_count - deepest) * sizeof(d->trace[0]));
    }
    d->trace[d->trace_count++] = entry;
}

static void run_traced(struct evaluation *e)
{
    struct formula_env env;
    struct formula_result result;

    aside(e, &env);
    env.trace = keep_trace;
    env.trace_arg = e->m->out;
    formula_eval(e->m->rules->formula, &env, &result);
}

/* ------------------------------------------------------------------ direct mode */

struct nils {                           /* which triggers had no value, of those the formula refers to */
    int32_t missing, failed, not_asked; /* the first of each kind, or CAUSE_FORMULA */
};

static struct nils find_nils(const struct evaluation *e)
{
    struct nils nils = {CAUSE_FORMULA, CAUSE_FORMULA, CAUSE_FORMULA};

    for (int32_t i = e->m->rules->trigger_count - 1; i >= 0; i--) {
        int32_t name = e->m->rules->triggers[i].formula_name;

        if (name < 0 || !e->nil[name] || !formula_uses(e->m->rules->formula, (size_t)name))
            continue;
        switch (e->m->out->inputs[i].state) {
        case SAMPLE_MISSING:
            nils.missing = i;
            break;
        case SAMPLE_NONE:
            nils.not_asked = i;
            break;
        case SAMPLE_OK:
        case SAMPLE_FAILED:
            nils.failed = i;
            break;
        }
    }
    return nils;
}

/* One evaluation per poll: the clock is the sample of the trigger that failed, else of the first one there is. */
static int64_t evaluation_at_ms(const struct evaluation *e, int32_t cause)
{
    const struct making *m = e->m;

    if (cause >= 0 && m->facts.samples)
        return m->facts.samples[cause].at_ms;
    for (uint16_t i = 0; i < m->rules->trigger_count; i++)
        if (m->rules->triggers[i].formula_name >= 0 && m->facts.samples && m->facts.samples[i].state != SAMPLE_NONE)
            return m->facts.samples[i].at_ms;
    return m->facts.now_ms;
}

static void accept(struct evaluation *e, double value)
{
    struct making *m = e->m;

    m->formula = (struct reading){.kind = READING_VALUE, .value = value};
    m->out->formula_state = SAMPLE_OK;
    if (value < 0) { /* before activation too (serving-model.md 7.2) */
        say(m, STEP_NEGATIVE, CAUSE_FORMULA, value, 0);
        m->formula.value = 0;
    }
}

static void fail(struct evaluation *e, int32_t cause)
{
    e->m->out->formula_state = SAMPLE_FAILED;
    read_failed(e->m, &e->m->memory->formula, cause, evaluation_at_ms(e, cause), &e->m->formula);
    if (e->m->formula.kind == READING_FALLBACK)
        e->m->out->error = false;
}

/* The hold of a missing result is over: the values KEDA would use stand in. */
static void run_with_stand_ins(struct evaluation *e)
{
    struct making *m = e->m;
    struct formula_result result;
    int64_t since_ms = m->memory->formula.missing_since_ms;

    for (uint16_t i = 0; i < m->rules->trigger_count; i++) {
        int32_t name = m->rules->triggers[i].formula_name;

        if (name < 0 || m->out->inputs[i].state != SAMPLE_MISSING)
            continue;
        e->nil[name] = false;
        e->values[name] = m->out->inputs[i].value;
    }
    if (e->before)
        memcpy(m->memory->formula_memory, e->before, m->memory->formula_bytes);
    run(e, &result);
    if (is_number(&result.value) && !isfinite(number_of(&result.value)))
        explain_infinite(e, &result);
    record(m->out, &result);
    if (is_number(&result.value)) {
        m->memory->formula.failures = 0;
        accept(e, number_of(&result.value));
    } else {
        fail(e, CAUSE_FORMULA);
        m->memory->formula.missing_since_ms = since_ms; /* still missing: the hold does not begin again */
    }
}

static void miss(struct evaluation *e, int32_t cause)
{
    struct making *m = e->m;

    m->out->formula_state = SAMPLE_MISSING;
    read_missing(m, &m->memory->formula, cause, m->out->inputs[cause].value, &m->formula);
    if (m->formula.kind == READING_VALUE)
        run_with_stand_ins(e);
}

static void evaluate_direct(struct evaluation *e)
{
    struct making *m = e->m;
    struct formula_result result;

    run(e, &result);
    bool infinite = is_number(&result.value) && !isfinite(number_of(&result.value));
    if (infinite)
        explain_infinite(e, &result);
    record(m->out, &result);
    if (is_number(&result.value)) {
        read_good(&m->memory->formula, evaluation_at_ms(e, CAUSE_FORMULA));
        accept(e, number_of(&result.value));
        return;
    }
    struct nils nils = find_nils(e);
    if (infinite) {
        fail(e, CAUSE_FORMULA);
    } else if (nils.failed >= 0) {
        fail(e, nils.failed);
    } else if (nils.not_asked >= 0) {
        m->formula = (struct reading){.kind = READING_HELD};
        m->held = true;
        say(m, STEP_NOT_ASKED, nils.not_asked, 0, 0);
    } else if (nils.missing >= 0) {
        miss(e, nils.missing);
    } else {
        fail(e, CAUSE_FORMULA);
    }
}

/* ------------------------------------------------------------------ hpa mode */

static bool held_by_trigger(const struct making *m)
{
    for (uint16_t i = 0; i < m->rules->trigger_count; i++)
        if (m->readings[i].kind == READING_HELD)
            return true;
    return false;
}

static const struct reading *first_fallback(const struct making *m)
{
    for (uint16_t i = 0; i < m->rules->trigger_count; i++)
        if (m->readings[i].kind == READING_FALLBACK)
            return &m->readings[i];
    return NULL;
}

/* nil with behavior scalingModifiers means the configured replicas (keda-operator/03 6.5). */
static bool nil_means_fallback(const struct making *m, const struct formula_result *result)
{
    return result->value.type == FORMULA_NIL && m->rules->fallback_behavior == FALLBACK_SCALING_MODIFIERS &&
           keda_fallback_usable(m->rules);
}

static void fail_in_hpa_mode(struct making *m)
{
    m->formula = (struct reading){.kind = READING_HELD, .failed = true};
    m->out->formula_state = SAMPLE_FAILED;
    m->out->error = m->held = true;
    say(m, STEP_HELD_FAILED, CAUSE_FORMULA, 0, 0);
}

static void hand_on_as_keda(struct formula_result *result)
{
    int64_t milli;

    if (!is_number(&result->value))
        return;
    if (!keda_cut_milli(number_of(&result->value), &milli))
        milli = 0;
    result->value = (struct formula_value){.type = FORMULA_NUMBER, .number = (double)milli / 1000};
}

static void evaluate_in_hpa_mode(struct evaluation *e)
{
    struct making *m = e->m;
    struct formula_result result;
    int64_t milli;

    run(e, &result);
    if (m->rules->formula_as_keda)
        hand_on_as_keda(&result);
    if (is_number(&result.value) && !keda_cut_milli(number_of(&result.value), &milli))
        explain_infinite(e, &result);
    record(m->out, &result);
    if (nil_means_fallback(m, &result)) {
        m->formula =
            (struct reading){.kind = READING_VALUE, .value = m->rules->fallback_replicas * m->rules->formula_target};
        m->out->formula = (struct formula_value){.type = FORMULA_NUMBER, .number = m->formula.value};
        m->out->formula_state = SAMPLE_OK;
    } else if (is_number(&result.value)) {
        m->formula = (struct reading){.kind = READING_VALUE, .value = number_of(&result.value)};
        m->out->formula_state = SAMPLE_OK;
    } else {
        fail_in_hpa_mode(m);
    }
}

/* ------------------------------------------------------------------ both */

static bool is_active(const struct making *m, double value)
{
    return value > m->rules->formula_activation ||
           (m->rules->formula_activation_inclusive && value >= m->rules->formula_activation);
}

void read_formula(struct making *m, bool trace)
{
    const struct reading *fallback = first_fallback(m);
    struct evaluation e;

    if (m->rules->mode == DECIDE_HPA && held_by_trigger(m)) {
        m->formula = (struct reading){.kind = READING_HELD};
        return;
    }
    if (m->rules->mode == DECIDE_HPA && fallback) {
        m->formula = *fallback;
        return;
    }
    e.before = e.scratch = NULL;
    fill(&e, m);
    if (m->memory->formula_bytes > 0)
        e.before = copy_bytes(m->memory->formula_memory, m->memory->formula_bytes);
    if (m->rules->mode == DECIDE_HPA)
        evaluate_in_hpa_mode(&e);
    else
        evaluate_direct(&e);
    if (trace)
        run_traced(&e);
    if (m->formula.kind == READING_VALUE)
        m->formula.active = is_active(m, m->formula.value);
    free(e.before);
    free(e.scratch);
}

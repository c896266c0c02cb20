/*
 * values: what each trigger's sample is worth. No data is not zero (DESIGN.md 3.5):
 *
 *   ok       --> value
 *   missing  --> held until missing_hold_ms have passed since it began; then the value KEDA would use
 *   failed   --> held; counted; more than failureThreshold in a row --> fallback
 *   not asked yet --> held
 *
 * With a formula in direct mode the triggers only feed it, and hold and fallback are those of its result (evaluate.c).
 */
#include <math.h>

#include "decide/decide_internal.h"
#include "decide/keda.h"

bool only_resources(const struct decide_rules *rules)
{
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        if (rules->triggers[i].kind == METRIC_EXTERNAL)
            return false;
    return true;
}

/* ------------------------------------------------------------------ counting */

static bool counts_anew(const struct trigger_memory *memory, int64_t at_ms)
{
    return at_ms == 0 || at_ms != memory->counted_at_ms;
}

void read_good(struct trigger_memory *memory, int64_t at_ms)
{
    memory->failures = 0;
    memory->missing_since_ms = NEVER_MS;
    memory->counted_at_ms = at_ms;
}

static void count_failure(struct making *m, struct trigger_memory *memory, int64_t at_ms)
{
    if (m->rules->mode == DECIDE_HPA && !keda_fallback_usable(m->rules))
        return; /* KEDA keeps no account then (keda-operator/03 6.1) */
    if (counts_anew(memory, at_ms) && memory->failures < INT32_MAX)
        memory->failures++;
    memory->counted_at_ms = at_ms;
}

/* ------------------------------------------------------------------ fallback */

static int32_t fallback_replicas(const struct making *m)
{
    int32_t asked = m->rules->fallback_replicas < 0 ? 0 : m->rules->fallback_replicas;
    int32_t current = m->facts.replicas < 0 ? asked : m->facts.replicas;

    switch (m->rules->fallback_behavior) {
    case FALLBACK_CURRENT:
        return current;
    case FALLBACK_CURRENT_IF_HIGHER:
        return current > asked ? current : asked;
    case FALLBACK_CURRENT_IF_LOWER:
        return current < asked ? current : asked;
    case FALLBACK_STATIC:
    case FALLBACK_SCALING_MODIFIERS: /* the formula had its chance: it runs with nil from the first failure on */
        return asked;
    }
    return asked;
}

static bool fallback_applies(const struct making *m, const struct trigger_memory *memory)
{
    if (m->rules->mode == DECIDE_HPA) {
        if (!keda_fallback_usable(m->rules) || m->rules->fallback_behavior == FALLBACK_SCALING_MODIFIERS)
            return false;
    }
    return m->rules->has_fallback && memory->failures > m->rules->fallback_threshold;
}

/* In hpa mode a formula sees nil only where KEDA gives it: past the threshold, with behavior scalingModifiers (6.5
   there). */
static bool nil_applies(const struct making *m, const struct trigger_memory *memory)
{
    return m->rules->mode == DECIDE_HPA && m->rules->formula && keda_fallback_usable(m->rules) &&
           m->rules->fallback_behavior == FALLBACK_SCALING_MODIFIERS && memory->failures > m->rules->fallback_threshold;
}

/* ------------------------------------------------------------------ the three states without a value */

void read_failed(struct making *m, struct trigger_memory *memory, int32_t cause, int64_t at_ms, struct reading *out)
{
    const struct decide_rules *rules = m->rules;

    count_failure(m, memory, at_ms);
    memory->missing_since_ms = NEVER_MS; /* an outage is not a while of empty answers: their hold begins anew */
    if (fallback_applies(m, memory)) {
        *out = (struct reading){.kind = READING_FALLBACK, .replicas = fallback_replicas(m)};
        out->active = rules->mode == DECIDE_HPA || out->replicas > 0;
        m->out->fallback = true;
        say(m, STEP_FALLBACK, cause, memory->failures, rules->fallback_threshold);
        return;
    }
    if (nil_applies(m, memory)) {
        *out = (struct reading){.kind = READING_UNUSED, .failed = true};
        say(m, STEP_FALLBACK, cause, memory->failures, rules->fallback_threshold);
        return;
    }
    *out = (struct reading){.kind = READING_HELD, .failed = true};
    m->held = true;
    m->out->error = true;
    if (rules->has_fallback)
        say(m, STEP_FALLBACK_WAITS, cause, memory->failures, rules->fallback_threshold);
    else
        say(m, STEP_HELD_FAILED, cause, memory->failures, 0);
}

void read_missing(struct making *m, struct trigger_memory *memory, int32_t cause, double stand_in, struct reading *out)
{
    int64_t now_ms = m->facts.now_ms, hold_ms = m->rules->missing_hold_ms;

    if (memory->missing_since_ms == NEVER_MS)
        memory->missing_since_ms = now_ms;
    int64_t missing_ms = now_ms - memory->missing_since_ms, until_ms = later_ms(memory->missing_since_ms, hold_ms);
    if (hold_ms > 0 && missing_ms <= hold_ms) {
        memory->failures = 0; /* the source did answer */
        *out = (struct reading){.kind = READING_HELD};
        m->held = true;
        say(m, STEP_HELD_MISSING, cause, (double)missing_ms / 1000, hold_ms == INT64_MAX ? 0 : (double)until_ms / 1000);
        wake_up_at(m, later_ms(until_ms, 1));
    } else {
        *out = (struct reading){.kind = READING_VALUE, .value = isfinite(stand_in) ? stand_in : 0};
        say(m, STEP_HOLD_ENDED, cause, (double)missing_ms / 1000, out->value);
    }
}

/* ------------------------------------------------------------------ one trigger */

/* KEDA turns what is not a usable number into 0 on its way to the HPA (keda-operator/03 10). */
static double value_in_mode(const struct making *m, double value)
{
    return m->rules->mode == DECIDE_HPA && value < 0 ? 0 : value;
}

static enum sample_state state_of(const struct sample *sample)
{
    return sample->state == SAMPLE_OK && !isfinite(sample->value) ? SAMPLE_FAILED : sample->state;
}

/* In direct mode a formula asks only what a trigger says now; its own result is what is held and counted. */
static void note_for_formula(struct making *m, uint16_t i, const struct sample *sample, struct decision_input *input)
{
    struct trigger_memory *memory = &m->memory->triggers[i];

    m->readings[i] = (struct reading){.kind = READING_UNUSED, .value = input->value};
    if (input->state == SAMPLE_FAILED) {
        count_failure(m, memory, sample->at_ms);
        m->out->error = true; /* also where the formula copes with it: somebody should look */
    } else if (input->state != SAMPLE_NONE)
        read_good(memory, sample->at_ms);
}

static void read_external(struct making *m, uint16_t i, const struct sample *sample)
{
    struct decision_input *input = &m->out->inputs[i];
    struct trigger_memory *memory = &m->memory->triggers[i];
    struct reading *reading = &m->readings[i];

    *reading = (struct reading){.kind = READING_HELD};
    switch (input->state) {
    case SAMPLE_OK:
        if (m->rules->mode != DECIDE_HPA || keda_fallback_usable(m->rules))
            read_good(memory, sample->at_ms);
        memory->missing_since_ms = NEVER_MS;
        *reading = (struct reading){.kind = READING_VALUE, .value = value_in_mode(m, sample->value)};
        break;
    case SAMPLE_MISSING:
        read_missing(m, memory, i, value_in_mode(m, sample->value), reading);
        memory->failures = 0;
        break;
    case SAMPLE_FAILED:
        read_failed(m, memory, i, sample->at_ms, reading);
        break;
    case SAMPLE_NONE:
        if (m->rules->formula) { /* nil, and the formula says what that means */
            reading->kind = READING_UNUSED;
            break;
        }
        m->held = true;
        say(m, STEP_NOT_ASKED, i, 0, 0);
        break;
    }
    if (reading->kind == READING_VALUE) {
        input->value = reading->value;
        reading->active = sample_is_active(sample, reading->value, m->rules->triggers[i].activation);
    }
    if (reading->kind == READING_HELD && sample->activity == ACTIVITY_ON)
        reading->active = true; /* pushed: that there is work is known, only how much is not */
}

static void read_trigger(struct making *m, uint16_t i)
{
    static const struct sample nothing;
    const struct sample *sample = m->facts.samples ? &m->facts.samples[i] : &nothing;
    struct decision_input *input = &m->out->inputs[i];

    *input = (struct decision_input){.proposal = -1, .age_ms = -1};
    if (m->rules->triggers[i].kind != METRIC_EXTERNAL) {
        m->readings[i] = (struct reading){.kind = READING_RESOURCE};
        return;
    }
    input->state = state_of(sample);
    if (input->state != SAMPLE_NONE) {
        int64_t age_ms = later_ms(m->facts.now_ms, sample->at_ms == INT64_MIN ? INT64_MAX : -sample->at_ms);

        input->age_ms = age_ms < 0 ? 0 : age_ms;
        input->value = isfinite(sample->value) ? sample->value : 0;
        input->stand_in = sample->state == SAMPLE_OK && sample->stand_in;
    }
    if (m->rules->formula && m->rules->mode != DECIDE_HPA)
        note_for_formula(m, i, sample, input);
    else
        read_external(m, i, sample);
    input->active = m->readings[i].active;
    input->fallback = m->readings[i].kind == READING_FALLBACK;
    input->held = m->readings[i].kind == READING_HELD;
    input->failures = m->memory->triggers[i].failures;
    if (input->fallback)
        input->proposal = m->readings[i].replicas;
}

void read_values(struct making *m)
{
    for (uint16_t i = 0; i < m->rules->trigger_count; i++)
        read_trigger(m, i);
}

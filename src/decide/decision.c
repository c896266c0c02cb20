/*
 * decision: the record itself: is it whole, does it say the same as another, how is it kept small.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "decide/decide_internal.h"

enum { FORMAT_VERSION = 1 };

/* ------------------------------------------------------------------ whole */

static bool counts_are_possible(const struct decision *d)
{
    return d->step_count > 0 && d->step_count <= DECISION_STEPS_MAX && d->input_count <= TRIGGERS_MAX &&
           d->trace_count <= DECISION_TRACE_MAX && (unsigned)d->reason < REASON_COUNT;
}

/* Words are looked up by these, so bytes from a journal may not make them anything else. */
static bool words_are_known(const struct decision *d)
{
    bool known = (unsigned)d->formula_fault <= FAULT_NOT_FINITE && (unsigned)d->formula_state <= SAMPLE_FAILED &&
                 (unsigned)d->formula.type <= FORMULA_FAILED && isfinite(d->formula.number) && d->at_ms >= 0 &&
                 d->at_ms <= INT64_MAX / 4 && d->next_at_ms >= 0 && d->next_at_ms <= INT64_MAX / 4;

    for (uint16_t i = 0; i < d->input_count; i++)
        known &= (unsigned)d->inputs[i].state <= SAMPLE_FAILED && isfinite(d->inputs[i].value);
    for (uint16_t i = 0; i < d->trace_count; i++)
        known &= isfinite(d->trace[i].number);
    return known;
}

bool decision_is_closed(const struct decision *decision)
{
    int32_t count = decision->before;

    if (!counts_are_possible(decision) || !words_are_known(decision))
        return false;
    for (uint16_t i = 0; i < decision->step_count; i++) {
        const struct decision_step *step = &decision->steps[i];

        if (step->before != count || (unsigned)step->kind >= STEP_KINDS || step->cause < CAUSE_FORMULA ||
            step->cause >= decision->input_count || !isfinite(step->measured) || !isfinite(step->limit))
            return false;
        count = step->after;
    }
    return count == decision->after && decision->write == (decision->after != decision->before);
}

bool decision_same_outcome(const struct decision *a, const struct decision *b)
{
    if (a->after != b->after || a->before != b->before || a->reason != b->reason || a->active != b->active ||
        a->held != b->held || a->fallback != b->fallback || a->paused != b->paused || a->error != b->error ||
        a->formula_state != b->formula_state || a->formula_fault != b->formula_fault ||
        a->input_count != b->input_count)
        return false;
    for (uint16_t i = 0; i < a->input_count; i++)
        if (a->inputs[i].state != b->inputs[i].state || a->inputs[i].active != b->inputs[i].active ||
            a->inputs[i].fallback != b->inputs[i].fallback || a->inputs[i].held != b->inputs[i].held)
            return false;
    return true;
}

/* ------------------------------------------------------------------ packed */

static void code_flags(struct coder *c, struct decision *d)
{
    CODE(c, d->write);
    CODE(c, d->active);
    CODE(c, d->held);
    CODE(c, d->fallback);
    CODE(c, d->paused);
    CODE(c, d->error);
    CODE(c, d->reason);
    CODE(c, d->wished);
    CODE(c, d->next_at_ms);
}

static void code_formula(struct coder *c, struct decision *d)
{
    CODE(c, d->has_formula);
    CODE(c, d->formula_state);
    if (!d->has_formula)
        return;
    CODE(c, d->formula.type);
    code_number(c, &d->formula.number);
    CODE(c, d->formula.integer);
    CODE(c, d->formula_fault);
    CODE(c, d->fault_begin);
    CODE(c, d->fault_end);
}

static void code_step(struct coder *c, struct decision_step *step)
{
    CODE(c, step->kind);
    CODE(c, step->cause);
    CODE(c, step->before);
    CODE(c, step->after);
    code_number(c, &step->measured);
    code_number(c, &step->limit);
}

static void code_input(struct coder *c, struct decision_input *input)
{
    CODE(c, input->state);
    CODE(c, input->stand_in);
    CODE(c, input->active);
    CODE(c, input->fallback);
    CODE(c, input->held);
    code_number(c, &input->value);
    CODE(c, input->age_ms);
    CODE(c, input->proposal);
    CODE(c, input->failures);
}

static void code_trace(struct coder *c, struct decision_trace *trace)
{
    CODE(c, trace->begin);
    CODE(c, trace->end);
    CODE(c, trace->type);
    CODE(c, trace->depth);
    code_number(c, &trace->number);
}

static void code_decision(struct coder *c, struct decision *d)
{
    CODE(c, d->at_ms);
    CODE(c, d->before);
    CODE(c, d->after);
    CODE(c, d->ready);
    code_flags(c, d);
    code_formula(c, d);
    CODE(c, d->step_count);
    CODE(c, d->input_count);
    CODE(c, d->trace_count);
    if (!counts_are_possible(d))
        c->broken = true;
    for (uint16_t i = 0; i < d->step_count && !c->broken; i++)
        code_step(c, &d->steps[i]);
    for (uint16_t i = 0; i < d->input_count && !c->broken; i++)
        code_input(c, &d->inputs[i]);
    for (uint16_t i = 0; i < d->trace_count && !c->broken; i++)
        code_trace(c, &d->trace[i]);
}

void *decision_pack(const struct decision *decision, size_t *bytes)
{
    struct coder c = {.writing = true};
    int64_t version = FORMAT_VERSION;

    code_integer(&c, &version);
    code_decision(&c, (struct decision *)decision); /* writing only reads it */
    *bytes = c.at;
    return c.bytes;
}

bool decision_unpack(const void *packed, size_t bytes, struct decision *out)
{
    struct coder c = {.bytes = (unsigned char *)packed, .size = bytes}; /* reading leaves the bytes alone */
    struct decision d;
    int64_t version = 0;

    memset(&d, 0, sizeof(d));
    code_integer(&c, &version);
    if (c.broken || version != FORMAT_VERSION)
        return false;
    code_decision(&c, &d);
    if (c.broken || c.at != c.size || !decision_is_closed(&d))
        return false;
    *out = d;
    return true;
}

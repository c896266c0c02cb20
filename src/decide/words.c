/*
 * words: a decision in sentences and as JSON. All texts come from the tables of decide.h; nothing here decides.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "decide/decide_internal.h"

enum { SUMMARY_STEPS_MAX = 3 };

/* ------------------------------------------------------------------ names */

static const struct {
    const char *name, *sentence;
} steps[STEP_KINDS] = {
#define STEP(kind, text, sentence) {text, sentence},
    DECISION_STEPS(STEP)
#undef STEP
};

const char *step_kind_name(enum step_kind kind)
{
    return steps[kind].name;
}

const char *decision_reason_name(enum decision_reason reason)
{
    static const char *const names[REASON_COUNT] = {
#define REASON(name, text) text,
        DECISION_REASONS(REASON)
#undef REASON
    };

    return names[reason];
}

const char *sample_state_name(enum sample_state state)
{
    static const char *const names[] = {"none", "ok", "missing", "failed"};

    return names[state];
}

void words_cause(int32_t cause, const struct decision_names *names, struct text *out)
{
    if (cause == CAUSE_FORMULA)
        text_add(out, "formula");
    else if (cause >= 0 && names && names->triggers && (size_t)cause < names->trigger_count && names->triggers[cause])
        text_add(out, names->triggers[cause]);
    else if (cause >= 0)
        text_printf(out, "s%d", cause);
}

/* ------------------------------------------------------------------ numbers for people */

/* Whole numbers in full, others with about four digits: 0.30000000000000004 is 0.3 to whoever reads it. */
void words_number(double value, struct text *out)
{
    char digits[64];

    if (value == trunc(value) && fabs(value) < 1e15) {
        snprintf(digits, sizeof(digits), "%.0f", value == 0 ? 0.0 : value);
    } else if (fabs(value) >= 1000 && fabs(value) < 1e15) {
        snprintf(digits, sizeof(digits), "%.1f", value);
        if (strstr(digits, ".0"))
            *strstr(digits, ".0") = '\0';
    } else {
        snprintf(digits, sizeof(digits), "%.4g", value);
    }
    text_add(out, digits);
}

void words_duration(double seconds, struct text *out)
{
    char words[64];

    duration_format_words((int64_t)(fmax(0, fmin(seconds, 1e15)) * 1000), words, sizeof(words));
    text_add(out, words);
}

void words_time(double seconds, struct text *out)
{
    char words[64];

    if (seconds <= 0 || seconds > 2e11) { /* nobody waits for the year 8000: held for as long as it lasts */
        text_add(out, "it has one again");
        return;
    }
    instant_format((int64_t)(seconds * 1000), words, sizeof(words));
    text_add(out, words);
}

/* ------------------------------------------------------------------ sentences */

static bool is_word(const char *word, size_t length, const char *expected)
{
    return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

static void add_placeholder(const struct decision_step *step, const struct decision_names *names, const char *word,
                            size_t length, struct text *out)
{
    if (is_word(word, length, "cause"))
        words_cause(step->cause, names, out);
    else if (is_word(word, length, "before"))
        text_printf(out, "%d", step->before);
    else if (is_word(word, length, "after"))
        text_printf(out, "%d", step->after);
    else if (is_word(word, length, "measured"))
        words_number(step->measured, out);
    else if (is_word(word, length, "limit"))
        words_number(step->limit, out);
    else if (is_word(word, length, "measured:duration"))
        words_duration(step->measured, out);
    else if (is_word(word, length, "limit:duration"))
        words_duration(step->limit, out);
    else if (is_word(word, length, "limit:time"))
        words_time(step->limit, out);
}

/* What exactly went wrong inside the formula, where a step speaks of its failure. */
static void add_fault(const struct decision *d, const struct decision_step *step, const struct decision_names *names,
                      struct text *out)
{
    bool about_failure =
        step->kind == STEP_HELD_FAILED || step->kind == STEP_FALLBACK_WAITS || step->kind == STEP_FALLBACK;

    if (step->cause != CAUSE_FORMULA || !about_failure || d->formula_fault == FAULT_NONE)
        return;
    text_printf(out, " (%s", formula_fault_name(d->formula_fault));
    if (names && names->formula && d->fault_begin < d->fault_end && d->fault_end <= strlen(names->formula))
        text_printf(out, " in %.*s", (int)(d->fault_end - d->fault_begin), names->formula + d->fault_begin);
    text_add(out, ")");
}

void decision_write_step(const struct decision *decision, size_t step, const struct decision_names *names,
                         struct text *out)
{
    const struct decision_step *s = &decision->steps[step];
    const char *at = steps[s->kind].sentence;

    for (const char *open = strchr(at, '{'); open; open = strchr(at, '{')) {
        const char *close = strchr(open, '}');

        text_append(out, at, (size_t)(open - at));
        add_placeholder(s, names, open + 1, (size_t)(close - open - 1), out);
        at = close + 1;
    }
    text_add(out, at);
    add_fault(decision, s, names, out);
}

/* Where nothing moved: the last word that decided something. */
static size_t telling_step(const struct decision *d)
{
    for (size_t i = d->step_count; i > 1; i--)
        if (d->steps[i - 1].kind != STEP_OUTBID)
            return i - 1;
    return 0;
}

/* The steps that moved the number tell the story. */
void decision_write_summary(const struct decision *decision, const struct decision_names *names, struct text *out)
{
    size_t moves = 0, told = 0;

    for (uint16_t i = 0; i < decision->step_count; i++)
        moves += decision->steps[i].before != decision->steps[i].after;
    if (decision->before < 0)
        text_add(out, "unknown");
    else if (decision->before == decision->after)
        text_printf(out, "%d", decision->before);
    else
        text_printf(out, "%d -> %d", decision->before, decision->after);
    text_add(out, ": ");
    if (moves == 0) {
        decision_write_step(decision, telling_step(decision), names, out);
        return;
    }
    for (uint16_t i = 0; i < decision->step_count; i++) {
        if (decision->steps[i].before == decision->steps[i].after)
            continue;
        if (moves - told++ > SUMMARY_STEPS_MAX)
            continue;
        decision_write_step(decision, i, names, out);
        text_add(out, told < moves ? "; " : "");
    }
}

/* ------------------------------------------------------------------ JSON */

static void add_key(const char *key, struct text *out)
{
    if (out->length > 0 && !strchr("{[", out->bytes[out->length - 1]))
        text_add_char(out, ',');
    text_printf(out, "\"%s\":", key);
}

static void add_string(const char *key, const char *value, struct text *out)
{
    add_key(key, out);
    text_add_json_string(out, value, strlen(value));
}

static void add_integer(const char *key, int64_t value, struct text *out)
{
    add_key(key, out);
    text_printf(out, "%lld", (long long)value);
}

static void add_number(const char *key, double value, struct text *out)
{
    add_key(key, out);
    if (isfinite(value))
        text_add_number(out, value);
    else
        text_add(out, "null");
}

static void add_bool(const char *key, bool value, struct text *out)
{
    add_key(key, out);
    text_add(out, value ? "true" : "false");
}

static void add_instant(const char *key, int64_t at_ms, struct text *out)
{
    char text[64];

    instant_format_ms(at_ms, text, sizeof(text));
    add_string(key, text, out);
}

/* null for a count there is none of. */
static void add_count(const char *key, int32_t value, struct text *out)
{
    if (value >= 0) {
        add_integer(key, value, out);
    } else {
        add_key(key, out);
        text_add(out, "null");
    }
}

static void open_item(struct text *out)
{
    if (out->bytes[out->length - 1] != '[')
        text_add_char(out, ',');
    text_add_char(out, '{');
}

static void add_cause_key(const char *key, int32_t cause, const struct decision_names *names, struct text *out)
{
    struct text name;

    text_init(&name, 4096);
    words_cause(cause, names, &name);
    add_string(key, name.bytes, out);
    text_done(&name);
}

static void add_piece(const char *key, const char *formula, uint32_t begin, uint32_t end, struct text *out)
{
    if (!formula || begin >= end || end > strlen(formula))
        return;
    add_key(key, out);
    text_add_json_string(out, formula + begin, end - begin);
}

static void add_value(const char *key, uint8_t type, double number, struct text *out)
{
    if (type == FORMULA_NUMBER || type == FORMULA_INT) {
        add_number(key, number, out);
    } else {
        add_key(key, out);
        text_add(out, type == FORMULA_BOOL ? (number != 0 ? "true" : "false") : "null");
    }
}

static void add_formula(const struct decision *d, const struct decision_names *names, struct text *out)
{
    const char *formula = names ? names->formula : NULL;
    double number = d->formula.type == FORMULA_INT ? (double)d->formula.integer : d->formula.number;

    add_key("formula", out);
    text_add_char(out, '{');
    if (formula)
        add_string("text", formula, out);
    add_string("state", sample_state_name(d->formula_state), out);
    add_value("value", (uint8_t)d->formula.type, number, out);
    if (d->formula_fault != FAULT_NONE) {
        add_string("fault", formula_fault_name(d->formula_fault), out);
        add_piece("place", formula, d->fault_begin, d->fault_end, out);
    }
    text_add_char(out, '}');
}

static void add_input(const struct decision *d, uint16_t i, const struct decision_names *names, struct text *out)
{
    const struct decision_input *input = &d->inputs[i];

    open_item(out);
    add_cause_key("name", i, names, out);
    add_string("state", sample_state_name(input->state), out);
    if (input->state == SAMPLE_OK || input->state == SAMPLE_MISSING)
        add_number("value", input->value, out);
    if (input->age_ms >= 0)
        add_number("age_s", (double)input->age_ms / 1000, out);
    add_bool("active", input->active, out);
    add_bool("held", input->held, out);
    add_bool("fallback", input->fallback, out);
    add_bool("stand_in", input->stand_in, out);
    add_integer("failures", input->failures, out);
    add_count("proposal", input->proposal, out);
    text_add_char(out, '}');
}

static void add_step(const struct decision *d, uint16_t i, const struct decision_names *names, struct text *out)
{
    const struct decision_step *step = &d->steps[i];
    struct text sentence;

    open_item(out);
    add_string("step", step_kind_name(step->kind), out);
    add_cause_key("cause", step->cause, names, out);
    add_count("before", step->before, out);
    add_count("after", step->after, out);
    add_number("measured", step->measured, out);
    add_number("limit", step->limit, out);
    text_init(&sentence, 16 * 1024);
    decision_write_step(d, i, names, &sentence);
    add_string("text", sentence.bytes, out);
    text_done(&sentence);
    text_add_char(out, '}');
}

static void add_trace(const struct decision *d, uint16_t i, const struct decision_names *names, struct text *out)
{
    const struct decision_trace *trace = &d->trace[i];

    open_item(out);
    add_piece("text", names ? names->formula : NULL, trace->begin, trace->end, out);
    add_integer("begin", trace->begin, out);
    add_integer("end", trace->end, out);
    add_integer("depth", trace->depth, out);
    add_value("value", trace->type, trace->number, out);
    text_add_char(out, '}');
}

typedef void add_item(const struct decision *, uint16_t, const struct decision_names *, struct text *);

static void add_list(const char *key, add_item *add, uint16_t count, const struct decision *d,
                     const struct decision_names *names, struct text *out)
{
    add_key(key, out);
    text_add_char(out, '[');
    for (uint16_t i = 0; i < count; i++)
        add(d, i, names, out);
    text_add_char(out, ']');
}

static void add_summary(const struct decision *d, const struct decision_names *names, struct text *out)
{
    struct text summary;

    text_init(&summary, 64 * 1024);
    decision_write_summary(d, names, &summary);
    add_string("summary", summary.bytes, out);
    text_done(&summary);
}

void decision_write_json(const struct decision *decision, const struct decision_names *names, struct text *out)
{
    text_add_char(out, '{');
    add_instant("at", decision->at_ms, out);
    add_count("before", decision->before, out);
    add_count("after", decision->after, out);
    add_bool("write", decision->write, out);
    add_string("reason", decision_reason_name(decision->reason), out);
    add_summary(decision, names, out);
    add_bool("active", decision->active, out);
    add_bool("held", decision->held, out);
    add_bool("fallback", decision->fallback, out);
    add_bool("paused", decision->paused, out);
    add_bool("error", decision->error, out);
    add_count("wished", decision->wished, out);
    add_integer("ready", decision->ready, out);
    if (decision->next_at_ms > 0)
        add_instant("next", decision->next_at_ms, out);
    if (decision->has_formula)
        add_formula(decision, names, out);
    add_list("inputs", add_input, decision->input_count, decision, names, out);
    add_list("steps", add_step, decision->step_count, decision, names, out);
    if (decision->trace_count > 0)
        add_list("trace", add_trace, decision->trace_count, decision, names, out);
    text_add_char(out, '}');
}

/* ------------------------------------------------------------------ ScaledJob */

void job_decision_write_summary(const struct job_decision *decision, struct text *out)
{
    text_printf(out, "%d running, %d pending; queue ", decision->running, decision->pending);
    words_number(decision->queue_length, out);
    text_printf(out, " asks for %d, room for %d: ", decision->max_scale,
                decision->effective < 0 ? 0 : decision->effective);
    text_printf(out, decision->create == 1 ? "%d job is created" : "%d jobs are created", decision->create);
    if (decision->error)
        text_add(out, " (some trigger failed)");
    else if (!decision->active)
        text_add(out, " (no trigger is active)");
}

void job_decision_write_json(const struct job_decision *decision, const struct decision_names *names, struct text *out)
{
    struct decision inputs; /* the list of inputs is written as any decision's is */
    struct text summary;

    inputs.input_count = decision->input_count;
    memcpy(inputs.inputs, decision->inputs, decision->input_count * sizeof(inputs.inputs[0]));
    text_add_char(out, '{');
    add_instant("at", decision->at_ms, out);
    text_init(&summary, 4096);
    job_decision_write_summary(decision, &summary);
    add_string("summary", summary.bytes, out);
    text_done(&summary);
    add_bool("active", decision->active, out);
    add_bool("error", decision->error, out);
    add_integer("running", decision->running, out);
    add_integer("pending", decision->pending, out);
    add_number("queue_length", decision->queue_length, out);
    add_number("max_value", decision->max_value, out);
    add_integer("scale_to", decision->scale_to, out);
    add_integer("max_scale", decision->max_scale, out);
    add_integer("effective", decision->effective, out);
    add_integer("create", decision->create, out);
    add_list("inputs", add_input, decision->input_count, &inputs, names, out);
    text_add_char(out, '}');
}

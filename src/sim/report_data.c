/*
 * report_data: what a page says, as JSON. docs/simulate.md "The report" names the members; web/report.js reads them.
 *
 * Small by three habits: all columns of a run share its list of times; what repeats is written once, followed by how often as a string (5,"3"
 * is 5 5 5 5); sentences stand without their numbers, once (report_words.c). A value of a column is a number; [a,b] the extremes of a row
 * in their order, with a null after them where the row has a moment without value; null: none at all; [] nothing was said in that row.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/report_internal.h"

enum { FORMAT_VERSION = 1, CHART_DIGITS = 5 };

/* ------------------------------------------------------------------ JSON */

static void data_comma(struct text *out)
{
    if (out->length > 0 && !strchr("{[:,", out->bytes[out->length - 1]))
        text_add_char(out, ',');
}

void data_string(struct text *out, const char *string)
{
    data_comma(out);
    if (string)
        text_add_json_string(out, string, strlen(string));
    else
        text_add(out, "null");
}

/* With the comma before it. */
static void data_key(struct text *out, const char *key)
{
    data_string(out, key);
    text_add_char(out, ':');
}

static void data_integer(struct text *out, int64_t value)
{
    data_comma(out);
    text_printf(out, "%lld", (long long)value);
}

/* All digits; not finite: null. */
static void data_number(struct text *out, double value)
{
    data_comma(out);
    if (isfinite(value))
        text_add_number(out, value);
    else
        text_add(out, "null");
}

/* For charts: five digits. */
static void data_short_number(struct text *out, double value)
{
    char digits[40];

    if (isfinite(value) && (value != trunc(value) || fabs(value) >= 1e7)) {
        snprintf(digits, sizeof(digits), "%.*g", CHART_DIGITS, value);
        value = strtod(digits, NULL);
    }
    data_number(out, value == 0 ? 0 : value); /* no -0 */
}

static void data_open(struct text *out, char bracket)
{
    data_comma(out);
    text_add_char(out, bracket);
}

static void data_text(struct text *out, const char *key, const char *string)
{
    data_key(out, key);
    data_string(out, string);
}

static void data_count(struct text *out, const char *key, int64_t value)
{
    data_key(out, key);
    data_integer(out, value);
}

static void data_real(struct text *out, const char *key, double value)
{
    data_key(out, key);
    data_number(out, value);
}

static void data_list(struct text *out, const char *key)
{
    data_key(out, key);
    text_add_char(out, '[');
}

/* ------------------------------------------------------------------ a decision */

static void data_value(struct text *out, uint8_t type, double number)
{
    data_comma(out);
    if (type == FORMULA_NUMBER || type == FORMULA_INT)
        text_add_number(out, number);
    else
        text_add(out, type == FORMULA_BOOL ? (number != 0 ? "true" : "false") : "null");
}

static void data_steps(struct sim_report_run *run, const struct simulation_tick *tick, struct text *out)
{
    struct text sentence;

    text_init(&sentence, SENTENCE_MAX_BYTES);
    decision_write_summary(tick->decision, tick->names, &sentence);
    data_comma(out);
    words_add(&run->words, sentence.bytes, out);
    data_open(out, '[');
    for (uint16_t i = 0; i < tick->decision->step_count; i++) {
        text_clear(&sentence);
        decision_write_step(tick->decision, i, tick->names, &sentence);
        data_open(out, '[');
        data_integer(out, tick->decision->steps[i].after);
        data_comma(out);
        words_add(&run->words, sentence.bytes, out);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
    text_done(&sentence);
}

/* State, value, age in seconds, replicas it asks for, and what else is so of it, as bits. */
static void data_input(const struct decision_input *input, struct text *out)
{
    bool known = input->state == SAMPLE_OK || input->state == SAMPLE_MISSING;

    data_open(out, '[');
    data_integer(out, (int64_t)input->state);
    data_number(out, known ? input->value : NAN);
    data_number(out, input->age_ms >= 0 ? (double)input->age_ms / 1000 : NAN);
    data_number(out, input->proposal >= 0 ? (double)input->proposal : NAN);
    data_integer(out, input->active + 2 * input->held + 4 * input->fallback + 8 * input->stand_in);
    data_integer(out, input->failures);
    text_add_char(out, ']');
}

static void data_formula(const struct decision *d, struct text *out)
{
    double number = d->formula.type == FORMULA_INT ? (double)d->formula.integer : d->formula.number;

    if (!d->has_formula) {
        data_number(out, NAN);
        return;
    }
    data_open(out, '[');
    data_integer(out, (int64_t)d->formula_state);
    data_value(out, (uint8_t)d->formula.type, number);
    if (d->formula_fault != FAULT_NONE) {
        data_string(out, formula_fault_name(d->formula_fault));
        data_integer(out, d->fault_begin);
        data_integer(out, d->fault_end);
    }
    text_add_char(out, ']');
}

static void data_trace(const struct decision *d, struct text *out)
{
    data_open(out, '[');
    for (uint16_t i = 0; i < d->trace_count; i++) {
        if (d->trace[i].depth == 0)
            continue;
        data_integer(out, d->trace[i].begin);
        data_integer(out, d->trace[i].end);
        data_value(out, d->trace[i].type, d->trace[i].number);
    }
    text_add_char(out, ']');
}

void data_details(struct sim_report_run *run, const struct simulation_tick *tick, struct text *out)
{
    const struct decision *d = tick->decision;

    data_integer(out, d->before);
    data_integer(out, d->after);
    data_integer(out, tick->ready);
    data_integer(out, d->reason);
    data_steps(run, tick, out);
    data_open(out, '[');
    for (uint16_t i = 0; i < d->input_count; i++)
        data_input(&d->inputs[i], out);
    text_add_char(out, ']');
    data_formula(d, out);
    data_trace(d, out);
}

/* ------------------------------------------------------------------ columns */

/* Writes items that may repeat: each is made in `item`, and written when the next one differs. */
struct repeats {
    struct text *out, item, last;
    int64_t more;
};

static void repeats_flush(struct repeats *r)
{
    if (r->more == 1)
        text_printf(r->out, ",%s", r->last.bytes);
    else if (r->more > 1)
        text_printf(r->out, ",\"%lld\"", (long long)r->more);
    r->more = 0;
}

static void repeats_add(struct repeats *r)
{
    if (r->last.length > 0 && strcmp(r->item.bytes, r->last.bytes) == 0) {
        r->more++;
    } else {
        repeats_flush(r);
        data_comma(r->out);
        text_add(r->out, r->item.bytes);
        text_clear(&r->last);
        text_add(&r->last, r->item.bytes);
    }
    text_clear(&r->item);
}

static void repeats_begin(struct repeats *r, struct text *out)
{
    *r = (struct repeats){.out = out};
    text_init(&r->item, 256);
    text_init(&r->last, 256);
    data_open(out, '[');
}

static void repeats_end(struct repeats *r)
{
    repeats_flush(r);
    text_add_char(r->out, ']');
    text_done(&r->item);
    text_done(&r->last);
}

static void cell_write(const struct cell *cell, struct text *out)
{
    if (!cell || (!cell->known && !cell->gap)) {
        text_add(out, "[]");
    } else if (!cell->known) {
        text_add(out, "null");
    } else if (cell->low == cell->high && !cell->gap) {
        data_short_number(out, cell->low);
    } else {
        text_add_char(out, '[');
        data_short_number(out, cell->high_first ? cell->high : cell->low);
        data_short_number(out, cell->high_first ? cell->low : cell->high);
        text_add(out, cell->gap ? ",null]" : "]");
    }
}

static void data_column(const struct sim_report_run *run, const char *key, size_t index, struct text *out)
{
    const struct column *column = &run->grid.columns[index];
    struct repeats r;

    if (column->used == 0)
        return;
    data_key(out, key);
    repeats_begin(&r, out);
    for (size_t row = 0; row < run->grid.used; row++) {
        if (run->grid.first_ms[row] < 0)
            continue;
        cell_write(row < column->used ? &column->cells[row] : NULL, &r.item);
        repeats_add(&r);
    }
    repeats_end(&r);
}

/* Each as the span since the one before. */
static void data_times(const struct grid *grid, struct text *out)
{
    int64_t before_ms = 0;
    struct repeats r;

    data_key(out, "times");
    repeats_begin(&r, out);
    for (size_t row = 0; row < grid->used; row++) {
        if (grid->first_ms[row] < 0)
            continue;
        text_printf(&r.item, "%lld", (long long)(grid->first_ms[row] - before_ms));
        before_ms = grid->first_ms[row];
        repeats_add(&r);
    }
    repeats_end(&r);
}

/* ------------------------------------------------------------------ a run */

static void data_about(const struct sim_report_run *run, struct text *out)
{
    data_text(out, "name", run->about.name);
    data_text(out, "object", run->object);
    data_count(out, "start", run->about.start_at_ms);
    data_count(out, "end", run->end_ms);
    data_real(out, "price", run->about.price_per_hour);
    data_text(out, "currency", run->about.currency);
    data_count(out, "min", run->min);
    data_count(out, "max", run->max);
    data_count(out, "ticks", run->ticks);
    data_count(out, "grid", run->grid.width_ms);
}

static const char *target_type_name(enum target_type type)
{
    static const char *const names[] = {"AverageValue", "Value", "Utilization"};

    return names[type];
}

static void data_triggers(const struct sim_report_run *run, struct text *out)
{
    data_list(out, "triggers");
    for (size_t i = 0; i < run->trigger_count; i++) {
        data_open(out, '{');
        data_text(out, "name", run->triggers[i].name);
        data_text(out, "type", run->triggers[i].type);
        data_real(out, "target", run->triggers[i].target);
        data_text(out, "targetType", target_type_name(run->triggers[i].target_type));
        data_column(run, "values", run->first_trigger + i, out);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void data_parts(const struct sim_report_run *run, struct text *out)
{
    if (!run->formula)
        return;
    data_key(out, "formula");
    text_add_char(out, '{');
    data_text(out, "text", run->formula);
    data_real(out, "target", run->formula_target);
    data_text(out, "targetType", target_type_name(run->formula_type));
    data_column(run, "values", run->value, out);
    data_list(out, "parts");
    for (size_t i = 0; i < run->part_count; i++) {
        const struct part *part = &run->parts[i];

        data_open(out, '{');
        data_count(out, "begin", part->begin);
        data_count(out, "end", part->end);
        data_count(out, "depth", part->depth);
        data_column(run, "values", part->column, out);
        text_add_char(out, '}');
    }
    text_add(out, "]}");
}

static void data_measures(const struct sim_report_run *run, struct text *out)
{
    static const char *const charts[] = {"demand", "backlog", "slo"};

    data_list(out, "measures");
    for (size_t i = 0; i < run->measure_count; i++) {
        const struct measure *measure = &run->measures[i];

        data_open(out, '{');
        data_text(out, "chart", charts[measure->chart]);
        data_text(out, "name", measure->name);
        data_text(out, "unit", measure->unit);
        data_real(out, "goal", measure->goal);
        data_column(run, "values", measure->column, out);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

/* Span since the one before, before, after: three numbers an event, in one list. */
static void data_moves(const struct sim_report_run *run, struct text *out)
{
    int64_t before_ms = 0;

    data_list(out, "moves");
    for (size_t i = 0; i < run->move_count; i++) {
        data_integer(out, run->moves[i].at_ms - before_ms);
        data_integer(out, run->moves[i].before);
        data_integer(out, run->moves[i].after);
        before_ms = run->moves[i].at_ms;
    }
    text_add_char(out, ']');
    data_count(out, "movesLeftOut", run->moves_left_out);
}

static void data_records(const struct sim_report_run *run, struct text *out)
{
    data_list(out, "records");
    for (size_t i = 0; i < run->record_count; i++) {
        const struct record *record = &run->records[i];

        data_open(out, '[');
        data_integer(out, record->at_ms);
        data_integer(out, record->until_ms);
        data_integer(out, record->decisions);
        data_integer(out, record->others);
        data_integer(out, record->moves);
        text_printf(out, ",%s]", record->details);
    }
    text_add_char(out, ']');
    data_list(out, "sentences");
    for (size_t i = 0; i < run->words.count; i++)
        data_string(out, run->words.skeletons[i]);
    text_add_char(out, ']');
}

static void data_top(const struct sim_report_run *run, struct text *out)
{
    data_list(out, "facts");
    for (size_t i = 0; i < run->fact_count; i++) {
        data_open(out, '[');
        data_string(out, run->facts[i].name);
        data_string(out, run->facts[i].words);
        data_number(out, run->facts[i].number);
        data_integer(out, (int64_t)run->facts[i].better);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
    data_list(out, "findings");
    for (size_t i = 0; i < run->verdict_count; i++) {
        data_open(out, '[');
        data_string(out, finding_severity_name(run->verdicts[i].severity));
        data_string(out, run->verdicts[i].code);
        data_string(out, run->verdicts[i].sentence);
        data_string(out, run->verdicts[i].remedy);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
}

static void data_run(const struct sim_report_run *run, struct text *out)
{
    data_open(out, '{');
    data_about(run, out);
    data_top(run, out);
    data_times(&run->grid, out);
    data_column(run, "wanted", run->wanted, out);
    data_column(run, "ready", run->ready, out);
    data_column(run, "pending", run->pending, out);
    data_triggers(run, out);
    data_parts(run, out);
    data_measures(run, out);
    data_moves(run, out);
    data_records(run, out);
    text_add_char(out, '}');
}

/* ------------------------------------------------------------------ the page */

static void data_reasons(struct text *out)
{
    data_list(out, "reasons");
    for (int i = 0; i < REASON_COUNT; i++)
        data_string(out, decision_reason_name((enum decision_reason)i));
    text_add_char(out, ']');
}

static void data_partings(const struct sim_report *report, struct text *out)
{
    data_list(out, "partings");
    for (size_t i = 0; i < report->parting_count; i++) {
        data_open(out, '[');
        data_integer(out, report->partings[i].from_ms);
        data_integer(out, report->partings[i].until_ms);
        data_string(out, report->partings[i].sentence);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
}

void sim_report_data(struct sim_report *report, struct text *out)
{
    size_t runs = report->run_count > 0 ? report->run_count : 1;

    text_add_char(out, '{');
    data_count(out, "format", FORMAT_VERSION);
    data_text(out, "title", report->title);
    data_text(out, "subtitle", report->subtitle);
    data_reasons(out);
    data_partings(report, out);
    data_list(out, "runs");
    for (size_t i = 0; i < report->run_count; i++) { /* they share what one page may weigh */
        grid_narrow(&report->runs[i]->grid, SIM_REPORT_ROWS_MAX / runs);
        run_fold(report->runs[i], SIM_REPORT_RECORDS_MAX / runs);
        data_run(report->runs[i], out);
    }
    text_add(out, "]}");
}

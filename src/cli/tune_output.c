/*
 * tune_output: see tune_output.h. One row for each of the front; its values stand in columns named a, b, c ..., since the paths of fields are
 * long, and the list of these comes first. A front that is longer than a screen is shown in part; JSON has all of it.
 */
#include "cli/tune_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"

enum { ROWS_MAX = 16, VALUE_COLUMNS = 8, WORDS_BYTES = 32 };

/* ---- text ---- */

static void write_letter(size_t parameter, struct text *out)
{
    text_printf(out, parameter < 26 ? "%c" : "a%c", (int)('a' + parameter % 26));
}

static void write_number(const struct tune_parameter *p, double number, struct text *out)
{
    text_add_number(out, number);
    text_add(out, p->duration ? "s" : "");
}

static void write_parameters(const struct tune_shown *s, struct text *out)
{
    for (size_t i = 0; i < s->space->count; i++) {
        const struct tune_parameter *p = &s->space->list[i];

        text_add(out, "  ");
        write_letter(i, out);
        text_printf(out, "  %s: ", p->path);
        write_number(p, p->low, out);
        text_add(out, " to ");
        write_number(p, p->high, out);
        text_add(out, ", now ");
        write_number(p, p->now, out);
        text_add_char(out, '\n');
    }
}

static void write_head(const struct tune_shown *s, struct text *out)
{
    const struct tune_result *r = s->result;
    char on[WORDS_BYTES], off[WORDS_BYTES];

    duration_format_words(s->tuned_on_ms, on, sizeof(on));
    duration_format_words(s->duration_ms - s->tuned_on_ms, off, sizeof(off));
    if (r->stopped)
        text_printf(out, "interrupted: this is what there was after %zu candidates\n", r->count);
    text_printf(out,
                "%s: %zu candidates, seed %llu; tuned on the first %s, held out the last %s; wanted %.4g %% in SLO\n",
                s->policy, r->count, (unsigned long long)s->seed, on, off, 100 * s->share);
    text_printf(out, "%s:\n", s->space->marked ? "values marked with weir:tune" : "values, inferred");
    write_parameters(s, out);
}

static void write_outcome(const struct tune_outcome *o, bool known, double share, struct text *out)
{
    if (!known)
        text_printf(out, "  %9s %10s %7s", "-", "-", "-");
    else if (o->failed)
        text_printf(out, "  %9s %10s %7s", "refused", "-", "-");
    else
        text_printf(out, "  %7.2f %%%s%10.4g %7.0f", 100 * o->in_slo, o->in_slo < share ? "!" : " ", o->replica_hours,
                    o->events);
}

static void write_cell(const struct tune_shown *s, const struct tune_candidate *c, size_t i, struct text *out)
{
    const struct tune_parameter *p = &s->space->list[i];
    struct text cell;

    text_init(&cell, WORDS_BYTES);
    write_number(p, c->as_written ? p->now : tune_value(p, c->point[i]), &cell);
    text_printf(out, " %*s", VALUE_COLUMNS, cell.bytes);
    text_done(&cell);
}

static void write_row(const struct tune_shown *s, const char *name, const struct tune_candidate *c,
                      const struct tune_held *held, struct text *out)
{
    text_printf(out, "%-10s", name);
    write_outcome(&c->outcome, true, s->share, out);
    write_outcome(&held->outcome, held->known, s->share, out);
    text_add_char(out, ' ');
    for (size_t i = 0; i < s->space->count; i++)
        write_cell(s, c, i, out);
    text_add_char(out, '\n');
}

static void write_columns(const struct tune_shown *s, struct text *out)
{
    text_printf(out, "\n%-10s  %-28s  held out\n%-10s", "", "tuned on", "");
    for (int part = 0; part < 2; part++)
        text_printf(out, "  %9s %10s %7s", "in SLO", "rep. hours", "events");
    text_add_char(out, ' ');
    for (size_t i = 0; i < s->space->count; i++)
        text_printf(out, " %*c", VALUE_COLUMNS, (int)('a' + i % 26));
    text_add_char(out, '\n');
}

/* Of a long front both ends, and as many between them as fit, evenly. */
static size_t shown_index(size_t row, size_t rows, size_t count)
{
    return rows < 2 ? 0 : row * (count - 1) / (rows - 1);
}

static void write_advice(const struct tune_shown *s, struct text *out)
{
    const struct tune_result *r = s->result;
    const struct tune_outcome *best = r->front_count ? &r->list[r->front[0]].outcome : NULL;

    if (!best)
        return;
    if (best->in_slo < s->share)
        text_printf(out,
                    "\nno candidate has %.4g %% in SLO; the nearest is shown. More replicas may be needed than "
                    "maxReplicaCount allows, or faster starts.\n",
                    100 * s->share);
    if (s->price > 0)
        text_printf(out, "\nthe cheapest costs %.4g where it was tuned, the manifest as written %.4g\n",
                    best->replica_hours * s->price, r->list[0].outcome.replica_hours * s->price);
    if (s->held[1].known && s->held[1].outcome.in_slo < s->share && best->in_slo >= s->share)
        text_add(out, "\n! what was held out does not have the share: the cheapest were tuned too closely; choose one "
                      "further down, or tune on more\n");
}

void tune_write_text(const struct tune_shown *shown, struct text *out)
{
    const struct tune_result *r = shown->result;
    size_t rows = r->front_count < ROWS_MAX ? r->front_count : ROWS_MAX;
    char name[WORDS_BYTES];

    write_head(shown, out);
    if (r->count == 0)
        return;
    write_columns(shown, out);
    write_row(shown, "as written", &r->list[0], &shown->held[0], out);
    for (size_t row = 0; row < rows; row++) {
        size_t i = shown_index(row, rows, r->front_count);

        snprintf(name, sizeof(name), "%zu", i + 1);
        write_row(shown, name, &r->list[r->front[i]], &shown->held[i + 1], out);
    }
    if (rows < r->front_count)
        text_printf(out, "%zu of %zu are shown; -o json has all\n", rows, r->front_count);
    write_advice(shown, out);
}

/* ---- JSON ---- */

static void write_json_number(struct text *out, const char *name, double number)
{
    text_printf(out, "\"%s\":", name);
    if (isfinite(number))
        text_add_number(out, number);
    else
        text_add(out, "null");
}

static void write_json_outcome(const char *name, const struct tune_outcome *o, struct text *out)
{
    text_printf(out, ",\"%s\":{", name);
    if (o->failed) {
        text_add(out, "\"refused\":true}");
        return;
    }
    write_json_number(out, "in_slo", o->in_slo);
    text_add_char(out, ',');
    write_json_number(out, "replica_hours", o->replica_hours);
    text_add_char(out, ',');
    write_json_number(out, "events", o->events);
    text_add_char(out, ',');
    write_json_number(out, "oscillation", o->oscillation);
    text_add_char(out, ',');
    write_json_number(out, "recovery_s", o->recovery_s);
    if (o->ttft_p99_s >= 0) {
        text_add_char(out, ',');
        write_json_number(out, "ttft_p99_s", o->ttft_p99_s);
    }
    text_add_char(out, '}');
}

static void write_json_candidate(const struct tune_shown *s, const struct tune_candidate *c,
                                 const struct tune_held *held, struct text *out)
{
    text_add(out, "{\"values\":{");
    for (size_t i = 0; i < s->space->count; i++) {
        const struct tune_parameter *p = &s->space->list[i];

        text_add(out, i ? "," : "");
        write_json_number(out, p->path, c->as_written ? p->now : tune_value(p, c->point[i]));
    }
    text_add_char(out, '}');
    write_json_outcome("tuned_on", &c->outcome, out);
    if (held->known)
        write_json_outcome("held_out", &held->outcome, out);
    text_add_char(out, '}');
}

static void write_json_head(const struct tune_shown *s, struct text *out)
{
    const struct tune_result *r = s->result;

    text_add(out, "{\"policy\":");
    text_add_json_string(out, s->policy, strlen(s->policy));
    text_printf(out, ",\"interrupted\":%s,\"candidates\":%zu,\"seed\":%llu,", r->stopped ? "true" : "false", r->count,
                (unsigned long long)s->seed);
    write_json_number(out, "share", s->share);
    text_printf(out, ",\"tuned_on_ms\":%lld,\"duration_ms\":%lld,\"marked\":%s,\"parameters\":[",
                (long long)s->tuned_on_ms, (long long)s->duration_ms, s->space->marked ? "true" : "false");
    for (size_t i = 0; i < s->space->count; i++) {
        const struct tune_parameter *p = &s->space->list[i];

        text_printf(out, "%s\n{\"field\":\"%s\",", i ? "," : "", p->path);
        write_json_number(out, "low", p->low);
        text_add_char(out, ',');
        write_json_number(out, "high", p->high);
        text_add_char(out, ',');
        write_json_number(out, "now", p->now);
        text_add_char(out, '}');
    }
    text_add(out, "\n]");
}

void tune_write_json(const struct tune_shown *shown, struct text *out)
{
    const struct tune_result *r = shown->result;

    write_json_head(shown, out);
    if (r->count > 0) {
        text_add(out, ",\n\"as_written\":");
        write_json_candidate(shown, &r->list[0], &shown->held[0], out);
    }
    text_add(out, ",\n\"front\":[");
    for (size_t i = 0; i < r->front_count; i++) {
        text_add(out, i ? ",\n" : "\n");
        write_json_candidate(shown, &r->list[r->front[i]], &shown->held[i + 1], out);
    }
    text_add(out, "\n]}\n");
}

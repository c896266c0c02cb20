/*
 * input_table: rows with a time, as CSV and JSON lines have them. The first row says in which form times are written, and all others must
 * follow it. Rows that come at a steady pace must not pause: a value would silently hold over the gap. Changes written down when they
 * happened have no pace, so nothing is missing between them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "sim/input_internal.h"

enum { PACE_DISTANCES_MIN = 4, PACE_SHARE_PERCENT = 90, PACE_JITTER_PERCENT = 10 };

#define RELATIVE_BELOW     1e8  /* seconds: three years from 0, and 1973 */
#define MILLISECONDS_FROM  1e11 /* seconds in the year 5138; milliseconds in 1973 */
#define MILLISECONDS_BELOW 1e15

static const char *const time_names[] = {"time", "t", "t_s", "timestamp"};

bool table_is_time_name(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(time_names) / sizeof(time_names[0]); i++)
        if (strlen(time_names[i]) == length && strncasecmp(time_names[i], name, length) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ times */

static const char *const form_names[] = {
    [TIME_UNKNOWN] = "",
    [TIME_RELATIVE] = "seconds from 0",
    [TIME_SECONDS] = "seconds since 1970",
    [TIME_MILLISECONDS] = "milliseconds since 1970",
    [TIME_RFC3339] = "RFC 3339",
};

/* Which form a number is in, by its size; t_s: it says itself that it is seconds. */
static enum time_form form_of(double number, bool t_s)
{
    if (number < RELATIVE_BELOW)
        return TIME_RELATIVE;
    return number < MILLISECONDS_FROM || t_s ? TIME_SECONDS : TIME_MILLISECONDS;
}

static bool read_time(const struct table *table, const char *time, size_t length, enum time_form *form, int64_t *at_ms,
                      struct error *err)
{
    char copy[40];
    double number;

    if (number_parse(time, length, &number)) {
        if (!(number >= 0 && number < MILLISECONDS_BELOW))
            return error_set(err, ERROR_INVALID, "the time %.*s is out of range", (int)(length < 40 ? length : 40),
                             time);
        *form = form_of(number, table->t_s);
        *at_ms = llround(*form == TIME_MILLISECONDS ? number : number * 1000);
        return true;
    }
    snprintf(copy, sizeof(copy), "%.*s", (int)(length < 39 ? length : 39), time);
    if (length >= sizeof(copy) || !instant_parse(copy, at_ms))
        return error_set(err, ERROR_INVALID,
                         "'%s' is no time: write seconds, milliseconds since 1970, or RFC 3339 "
                         "(2026-01-31T12:00:00Z)",
                         copy);
    *form = TIME_RFC3339;
    return *at_ms >= 0 || error_set(err, ERROR_INVALID, "the time %s is before 1970", copy);
}

static bool check_order(const struct table *table, int64_t at_ms, const char *time, size_t length, struct error *err)
{
    const struct table_row *last = table->count > 0 ? &table->rows[table->count - 1] : NULL;

    if (!last || at_ms > last->at_ms)
        return true;
    if (at_ms == last->at_ms)
        return error_set(err, ERROR_INVALID, "the time %.*s was in line %zu already: leave one of them out",
                         (int)(length < 40 ? length : 40), time, last->line);
    return error_set(err, ERROR_INVALID,
                     "the time goes back by %.3f s from line %zu: sort the rows by time, or cut there",
                     (double)(last->at_ms - at_ms) / 1000, last->line);
}

bool table_begin_row(struct table *table, size_t line, const char *time, size_t length, struct error *err)
{
    enum time_form form = TIME_UNKNOWN;
    int64_t at_ms = 0;

    if (!read_time(table, time, length, &form, &at_ms, err))
        return false;
    if (table->form == TIME_UNKNOWN) {
        table->form = form;
        table->part->clock = form == TIME_RELATIVE ? CLOCK_RELATIVE : CLOCK_WALL;
    }
    if (form != table->form)
        return error_set(err, ERROR_INVALID, "the time %.*s is in %s, the first one is in %s: write all in one form",
                         (int)(length < 40 ? length : 40), time, form_names[form], form_names[table->form]);
    if (!check_order(table, at_ms, time, length, err))
        return false;
    if (table->count == table->size) {
        table->size = table->size ? table->size * 2 : 256;
        table->rows = mem_grow(table->rows, table->size, sizeof(*table->rows));
    }
    table->rows[table->count++] = (struct table_row){.at_ms = at_ms, .line = line};
    return true;
}

bool table_add(struct table *table, uint16_t column, struct input_value *value, struct error *err)
{
    struct table_row *row = &table->rows[table->count - 1];

    row->says |= value->kind == INPUT_OK;
    value->at_ms = row->at_ms;
    return input_push(table->part, column, value, err);
}

/* ------------------------------------------------------------------ gaps */

static int by_size(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* The distance at which rows come, or 0 when they come at none. */
static int64_t pace(const struct table *table)
{
    size_t count = table->count > 0 ? table->count - 1 : 0, near = 0;

    if (count < PACE_DISTANCES_MIN)
        return 0;
    int64_t *distances = mem_array(count, sizeof(*distances));
    for (size_t i = 0; i < count; i++)
        distances[i] = table->rows[i + 1].at_ms - table->rows[i].at_ms;
    qsort(distances, count, sizeof(*distances), by_size);
    int64_t median = distances[count / 2];
    for (size_t i = 0; i < count; i++)
        near += llabs(distances[i] - median) * 100 <= median * PACE_JITTER_PERCENT;
    free(distances);
    return near * 100 >= count * PACE_SHARE_PERCENT || near + 1 == count ? median : 0;
}

static bool find_gap(const struct table *table, struct error *err)
{
    int64_t step = pace(table);

    for (size_t i = 0; step > 0 && i + 1 < table->count; i++) {
        const struct table_row *row = &table->rows[i];
        int64_t distance = row[1].at_ms - row->at_ms;

        if (!row->says || distance * 2 <= step * 3)
            continue;
        error_set(err, ERROR_INVALID,
                  "rows are %.10g s apart, but %.10g s lie between line %zu and this one: add the rows, or one with _ "
                  "(missing), failed or stale in each cell that says what held meanwhile",
                  (double)step / 1000, (double)distance / 1000, row->line);
        return error_add_place(err, "%s:%zu", table->name, row[1].line);
    }
    return true;
}

bool table_finish(struct table *table, struct error *err)
{
    size_t count = table->count;

    if (count == 0) {
        error_set(err, ERROR_INVALID, "there is no row with a time and values in it");
        return error_add_place(err, "%s", table->name);
    }
    table->part->end_ms = table->rows[count - 1].at_ms;
    if (count > 1)
        table->part->end_ms += table->rows[count - 1].at_ms - table->rows[count - 2].at_ms;
    return find_gap(table, err);
}

void table_done(struct table *table)
{
    free(table->rows);
}

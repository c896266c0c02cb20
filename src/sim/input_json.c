/*
 * input_json: JSON lines, one object a row with the same members in each; and answers of Prometheus' query_range, where a step without a
 * point is one where the query had no value.
 *
 *     {"time": 1767225600, "queue": 12, "rate": null}
 *     {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {...}, "values": [[1767225600, "12"], ...]}]}}
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/lines.h"
#include "base/text.h"
#include "base/tree.h"
#include "sim/input_internal.h"

enum { SERIES_NAME_MAX_BYTES = 512 };

/* ------------------------------------------------------------------ JSON lines */

static const struct tree *time_member(const struct tree *row)
{
    for (const struct tree *member = row->first; member; member = member->next)
        if (table_is_time_name(member->key, strlen(member->key)))
            return member;
    return NULL;
}

static bool begin_json_row(struct table *table, const struct tree *row, size_t line, struct error *err)
{
    const struct tree *time = row->type == TREE_MAP ? time_member(row) : NULL;

    if (row->type != TREE_MAP)
        return error_set(err, ERROR_INVALID, "this is %s: each line is an object with a time and values",
                         tree_type_name(row->type));
    if (!time || (time->type != TREE_NUMBER && time->type != TREE_STRING))
        return error_set(
            err, ERROR_INVALID,
            "there is no time in it: give each line a member time, t, t_s or timestamp, a number or RFC 3339");
    table->t_s = strlen(time->key) == 3;
    return table_begin_row(table, line, time->text, time->length, err);
}

static bool add_member(struct table *table, uint16_t column, const struct tree *member, struct error *err)
{
    struct input_value value;
    const struct input_column *of = &table->part->columns[column];

    if (of->count >= table->count)
        return error_set(err, ERROR_INVALID, "'%s' is there twice", of->name);
    if (member->type != TREE_NULL && member->type != TREE_NUMBER && member->type != TREE_STRING)
        return error_set(err, ERROR_INVALID, "'%s' is %s: write a number, null (missing), \"failed\" or \"stale\"",
                         of->name, tree_type_name(member->type));
    return input_parse_word(member->type == TREE_NULL ? "" : member->text,
                            member->type == TREE_NULL ? 0 : member->length, of, &value, err) &&
           table_add(table, column, &value, err);
}

static bool add_members(struct table *table, const struct tree *row, struct error *err)
{
    const struct tree *time = time_member(row);
    uint16_t column;

    for (const struct tree *member = row->first; member; member = member->next) {
        if (member == time)
            continue;
        column = input_column(table->part, member->key);
        if (column == INPUT_NONE && table->count > 1)
            return error_set(err, ERROR_INVALID, "'%.100s' was not in the first line: give every line the same members",
                             member->key);
        if (column == INPUT_NONE && !input_new_column(table->part, member->key, &column, err))
            return false;
        if (!add_member(table, column, member, err))
            return false;
    }
    for (size_t i = 0; i < table->part->column_count; i++)
        if (table->part->columns[i].count < table->count)
            return error_set(err, ERROR_INVALID, "'%.100s' is not in this line: write null if it had no value",
                             table->part->columns[i].name);
    if (table->part->column_count == 0)
        return error_set(err, ERROR_INVALID, "there is nothing but the time in it: add a member for each trigger");
    return true;
}

static bool read_json_row(struct table *table, const char *line, size_t length, size_t number, struct arena *arena,
                          struct error *err)
{
    struct tree *row;

    return tree_read_json(line, length, false, arena, &row, err) && begin_json_row(table, row, number, err) &&
           add_members(table, row, err);
}

static bool read_json_rows(struct table *table, struct lines *in, const char *line, size_t length, struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct error ended = {.kind = ERROR_NONE};
    bool fine = true;

    do {
        arena_reset(arena);
        if (strspn(line, " \t") < length)
            fine = read_json_row(table, line, length, lines_number(in), arena, err);
    } while (fine && lines_next(in, &line, &length, &ended));
    arena_free(arena);
    if (!fine)
        return error_add_place(err, "%s:%zu", table->name, lines_number(in));
    if (ended.kind == ERROR_NONE)
        return table_finish(table, err);
    if (err)
        *err = ended;
    return error_add_place(err, "%s", table->name);
}

/* ------------------------------------------------------------------ query_range */

/* up{job="a"}; without labels the metric's name alone, or "". */
static void write_series_name(const struct tree *metric, struct text *out)
{
    const char *separator = "{";

    text_add(out, tree_string(tree_get(metric, "__name__")));
    for (const struct tree *label = metric ? metric->first : NULL; label; label = label->next) {
        if (strcmp(label->key, "__name__") == 0 || label->type != TREE_STRING)
            continue;
        text_add(out, separator);
        text_add(out, label->key);
        text_add_char(out, '=');
        text_add_json_string(out, label->text, label->length);
        separator = ",";
    }
    if (*separator == ',')
        text_add_char(out, '}');
}

static bool name_series(struct input *part, const struct tree *series, const char *column, uint16_t *at,
                        struct error *err)
{
    struct text name;
    bool fine = false;

    text_init(&name, SERIES_NAME_MAX_BYTES);
    if (column)
        text_add(&name, column);
    else
        write_series_name(tree_get(series, "metric"), &name);
    if (name.overflowed)
        error_set(err, ERROR_LIMIT, "its labels have more than %d bytes: aggregate them, as sum(...) does",
                  SERIES_NAME_MAX_BYTES);
    else if (name.length == 0)
        error_set(err, ERROR_INVALID, "it has no labels, so nothing says which trigger it is: name the column");
    else if (input_column(part, name.bytes) != INPUT_NONE)
        error_set(err, ERROR_INVALID, "'%.200s' is there twice", name.bytes);
    else
        fine = input_new_column(part, name.bytes, at, err);
    text_done(&name);
    return fine;
}

static bool read_point(const struct tree *point, int64_t last_ms, struct input_value *out, struct error *err)
{
    double seconds;

    if (!tree_number(tree_index(point, 0), &seconds) || !tree_number(tree_index(point, 1), &out->value) ||
        !(seconds >= 0 && seconds < 1e11))
        return error_set(err, ERROR_NONSENSE, "it is not [seconds, \"value\"], as query_range gives");
    out->kind = INPUT_OK;
    out->at_ms = llround(seconds * 1000);
    if (out->at_ms <= last_ms)
        return error_set(err, ERROR_INVALID,
                         "its time is not after the one before: is the answer put together by hand?");
    return true;
}

static bool read_series(struct input *part, const struct tree *series, const char *column, struct error *err)
{
    const struct tree *values = tree_get(series, "values");
    struct input_value value = {.at_ms = -1};
    size_t index = 0;
    uint16_t at;

    if (tree_count(values) == 0)
        return error_set(
            err, ERROR_NONSENSE, "it has no values%s",
            tree_get(series, "histograms") ? ", but histograms: ask for a number, say histogram_quantile(...)" : "");
    if (!name_series(part, series, column, &at, err))
        return false;
    for (const struct tree *point = values->first; point; point = point->next, index++)
        if (!read_point(point, value.at_ms, &value, err) || !input_push(part, at, &value, err))
            return error_add_place(err, "values[%zu]", index);
    return true;
}

/* The step that was asked for: the least distance between two points. 0: there are no two. */
static int64_t find_step(const struct input *part)
{
    int64_t step = INT64_MAX;

    for (size_t i = 0; i < part->column_count; i++)
        for (size_t j = 1; j < part->columns[i].count; j++) {
            int64_t distance = part->columns[i].values[j].at_ms - part->columns[i].values[j - 1].at_ms;

            step = distance < step ? distance : step;
        }
    return step == INT64_MAX ? 0 : step;
}

static void find_span(const struct input *part, int64_t *first, int64_t *last)
{
    *first = INT64_MAX;
    *last = 0;
    for (size_t i = 0; i < part->column_count; i++) {
        const struct input_column *c = &part->columns[i];

        *first = c->values[0].at_ms < *first ? c->values[0].at_ms : *first;
        *last = c->values[c->count - 1].at_ms > *last ? c->values[c->count - 1].at_ms : *last;
    }
}

/* Puts in that there was no value where Prometheus leaves out the step. */
static bool fill_steps(struct input *part, uint16_t at, int64_t first, int64_t last, int64_t step, struct error *err)
{
    struct input_column old = part->columns[at];
    struct input_value missing = {.kind = INPUT_MISSING, .at_ms = first};
    bool fine = true;

    part->columns[at] = (struct input_column){.name = old.name};
    part->value_count -= old.count;
    if (old.values[0].at_ms > first)
        fine = input_push(part, at, &missing, err);
    for (size_t i = 0; i < old.count && fine; i++) {
        int64_t next = i + 1 < old.count ? old.values[i + 1].at_ms : last + step;

        missing.at_ms = old.values[i].at_ms + step;
        fine = input_push(part, at, &old.values[i], err) &&
               (next - old.values[i].at_ms < step + step / 2 + 1 || input_push(part, at, &missing, err));
    }
    free(old.values);
    return fine;
}

static bool finish_range(struct input *part, struct error *err)
{
    int64_t step = find_step(part), first, last;

    find_span(part, &first, &last);
    part->clock = CLOCK_WALL;
    part->end_ms = last + step;
    for (size_t i = 0; step > 0 && i < part->column_count; i++)
        if (!fill_steps(part, (uint16_t)i, first, last, step, err))
            return false;
    return true;
}

static bool read_range(struct input *part, const struct tree *answer, const char *column, struct error *err)
{
    const struct tree *data = tree_get(answer, "data");
    const struct tree *result = tree_get(data, "result");
    const char *status = tree_string(tree_get(answer, "status")), *type = tree_string(tree_get(data, "resultType"));
    const char *why = tree_string(tree_get(answer, "error"));
    size_t index = 0;

    if (status && strcmp(status, "success") != 0)
        return error_set(err, ERROR_INVALID, "Prometheus answered that it failed: %.200s",
                         why ? why : "it does not say why");
    if (!type || strcmp(type, "matrix") != 0)
        return error_set(err, ERROR_INVALID, "data.resultType is %s, not matrix: ask /api/v1/query_range",
                         type ? type : "not there");
    if (tree_count(result) == 0)
        return error_set(err, ERROR_INVALID, "the query had no value in that span: the answer is empty");
    if (column && tree_count(result) > 1)
        return error_set(err, ERROR_INVALID,
                         "there are %zu series for the one column '%.100s': make it one, say with sum(...)",
                         tree_count(result), column);
    for (const struct tree *series = result->first; series; series = series->next, index++)
        if (!read_series(part, series, column, err))
            return error_add_place(err, "data.result[%zu]", index);
    return finish_range(part, err);
}

/* ------------------------------------------------------------------ which of the two */

/* The rest of the file, for an answer that was laid out in lines. */
static bool collect(struct lines *in, const char *line, size_t length, struct text *out, struct error *err)
{
    struct error ended = {.kind = ERROR_NONE};

    do {
        if (!text_append(out, line, length) || !text_add_char(out, '\n'))
            return error_set(err, ERROR_LIMIT,
                             "the answer has more than %d bytes (LINE_MAX_BYTES); ask for shorter spans",
                             LINE_MAX_BYTES);
    } while (lines_next(in, &line, &length, &ended));
    if (ended.kind != ERROR_NONE && err)
        *err = ended;
    return ended.kind == ERROR_NONE;
}

static bool read_answer(struct input *part, struct lines *in, const char *line, size_t length, const char *column,
                        struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct text bytes;
    struct tree *answer;

    text_init(&bytes, LINE_MAX_BYTES);
    bool fine = collect(in, line, length, &bytes, err) &&
                tree_read_json(bytes.bytes, bytes.length, false, arena, &answer, err) &&
                read_range(part, answer, column, err);
    text_done(&bytes);
    arena_free(arena);
    return fine;
}

/* A line that is a whole object is a row, unless it has what answers have; so is one that ends like an object but cannot be read. What
   goes on in the next line is an answer. */
static bool is_row(const char *line, size_t length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree;
    bool row;

    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    if (tree_read_json(line, length, false, arena, &tree, NULL))
        row = !tree_get(tree, "data") && !(tree_get(tree, "status") && tree_get(tree, "error"));
    else
        row = length > 1 && line[length - 1] == '}';
    arena_free(arena);
    return row;
}

bool input_read_json(struct input *part, const char *name, struct lines *in, const char *line, size_t length,
                     const char *column, struct error *err)
{
    if (!is_row(line, length))
        return read_answer(part, in, line, length, column, err) || error_add_place(err, "%s", name);
    struct table table = {.part = part, .name = name};
    bool fine = read_json_rows(&table, in, line, length, err);
    table_done(&table);
    return fine;
}

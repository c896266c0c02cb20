/*
 * input: columns and what was said in them. Readers fill an input of their own, with times as the file counts them, and hand it over when
 * the file was read to its end; so a file that is wrong in its last line leaves nothing behind.
 */
#include "sim/input_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"

struct input *input_new(void)
{
    return mem_alloc(sizeof(struct input));
}

static void free_columns(struct input *input)
{
    for (size_t i = 0; i < input->column_count; i++) {
        free(input->columns[i].name);
        free(input->columns[i].values);
    }
    free(input->columns);
}

void input_free(struct input *input)
{
    if (!input)
        return;
    free_columns(input);
    free(input);
}

/* ------------------------------------------------------------------ questions */

size_t input_columns(const struct input *input)
{
    return input->column_count;
}

const char *input_name(const struct input *input, uint16_t column)
{
    return input->columns[column].name;
}

uint16_t input_column(const struct input *input, const char *name)
{
    for (size_t i = 0; i < input->column_count; i++)
        if (strcmp(input->columns[i].name, name) == 0)
            return (uint16_t)i;
    return INPUT_NONE;
}

size_t input_values(const struct input *input, uint16_t column, const struct input_value **out)
{
    *out = input->columns[column].values;
    return input->columns[column].count;
}

int64_t input_start_ms(const struct input *input)
{
    return input->clock == CLOCK_WALL ? input->origin_ms : 0;
}

int64_t input_end_ms(const struct input *input)
{
    return input->end_ms;
}

bool input_at(const struct input *input, uint16_t column, int64_t at_ms, struct input_value *out)
{
    const struct input_column *c = &input->columns[column];
    size_t low = 0, high = c->count; /* values before low are at or before at_ms, those from high on after it */

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (c->values[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *out = c->values[low - 1];
    return true;
}

/* ------------------------------------------------------------------ filling */

static uint16_t append_column(struct input *input, const char *name)
{
    if (input->column_count == input->column_size) {
        input->column_size = input->column_size ? input->column_size * 2 : 8;
        input->columns = mem_grow(input->columns, input->column_size, sizeof(*input->columns));
    }
    input->columns[input->column_count] = (struct input_column){.name = mem_copy(name)};
    return (uint16_t)input->column_count++;
}

bool input_new_column(struct input *input, const char *name, uint16_t *column, struct error *err)
{
    if (input->column_count >= SIM_INPUT_COLUMNS_MAX)
        return error_set(err, ERROR_LIMIT,
                         "there are more than %d columns (SIM_INPUT_COLUMNS_MAX); leave out those no trigger reads",
                         SIM_INPUT_COLUMNS_MAX);
    *column = append_column(input, name);
    return true;
}

static void append_value(struct input *input, struct input_column *c, const struct input_value *value)
{
    if (c->count == c->size) {
        c->size = c->size ? c->size * 2 : 64;
        c->values = mem_grow(c->values, c->size, sizeof(*c->values));
    }
    c->values[c->count++] = *value;
    input->value_count++;
}

bool input_push(struct input *input, uint16_t column, const struct input_value *value, struct error *err)
{
    if (input->value_count >= SIM_INPUT_VALUES_MAX)
        return error_set(err, ERROR_LIMIT,
                         "there are more than %d values (SIM_INPUT_VALUES_MAX); cut the span, or leave out columns",
                         SIM_INPUT_VALUES_MAX);
    append_value(input, &input->columns[column], value);
    return true;
}

/* The value at index ends where the next would be if the distance stayed as it was. */
static int64_t end_of(const struct input_column *c)
{
    int64_t last = c->values[c->count - 1].at_ms;

    return c->count > 1 ? last + (last - c->values[c->count - 2].at_ms) : last;
}

void input_add(struct input *input, const char *column, const struct input_value *value)
{
    uint16_t at = input_column(input, column);

    if (at == INPUT_NONE) {
        at = append_column(input, column);
        input->columns[at].from_start = true;
    }
    append_value(input, &input->columns[at], value);
    if (input->end_ms < end_of(&input->columns[at]))
        input->end_ms = end_of(&input->columns[at]);
}

/* ------------------------------------------------------------------ handing over */

static bool may_take(const struct input *input, const struct input *part, struct error *err)
{
    for (size_t i = 0; i < part->column_count; i++)
        if (input_column(input, part->columns[i].name) != INPUT_NONE)
            return error_set(err, ERROR_INVALID, "there is a column '%s' already: name it once, or rename one",
                             part->columns[i].name);
    if (input->column_count + part->column_count > SIM_INPUT_COLUMNS_MAX)
        return error_set(err, ERROR_LIMIT, "all files together have more than %d columns (SIM_INPUT_COLUMNS_MAX)",
                         SIM_INPUT_COLUMNS_MAX);
    if (input->value_count + part->value_count > SIM_INPUT_VALUES_MAX)
        return error_set(err, ERROR_LIMIT,
                         "all files together have more than %d values (SIM_INPUT_VALUES_MAX); cut the span",
                         SIM_INPUT_VALUES_MAX);
    if (input->clock != CLOCK_START && part->clock != CLOCK_START && input->clock != part->clock)
        return error_set(err, ERROR_INVALID,
                         "its times count %s, those of a file before it %s: they cannot be laid over each other; write "
                         "both in one way",
                         part->clock == CLOCK_WALL ? "since 1970" : "from 0",
                         input->clock == CLOCK_WALL ? "since 1970" : "from 0");
    return true;
}

/* So that what stands at the clock's `origin_ms` comes to be at 0. */
static void move_origin(struct input *input, int64_t origin_ms)
{
    int64_t by = input->origin_ms - origin_ms;

    for (size_t i = 0; i < input->column_count; i++)
        if (!input->columns[i].from_start)
            for (size_t j = 0; j < input->columns[i].count; j++)
                input->columns[i].values[j].at_ms += by;
    input->end_ms += by;
    input->origin_ms = origin_ms;
}

/* The earliest time in it: where it starts. */
static int64_t first_ms(const struct input *part)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < part->column_count; i++)
        if (part->columns[i].count > 0 && part->columns[i].values[0].at_ms < first)
            first = part->columns[i].values[0].at_ms;
    return first == INT64_MAX ? 0 : first;
}

bool input_take(struct input *input, struct input *part, struct error *err)
{
    if (!may_take(input, part, err))
        return false;
    if (part->clock != CLOCK_START) {
        int64_t first = first_ms(part);

        if (input->clock == CLOCK_START) {
            input->clock = part->clock;
            input->origin_ms = first;
        } else if (first < input->origin_ms) {
            move_origin(input, first);
        }
        move_origin(part, input->origin_ms);
    }
    for (size_t i = 0; i < part->column_count; i++) {
        uint16_t at = append_column(input, part->columns[i].name);

        free(part->columns[i].name);
        part->columns[i].name = input->columns[at].name;
        input->columns[at] = part->columns[i];
        input->columns[at].from_start = part->clock == CLOCK_START;
    }
    input->value_count += part->value_count;
    if (input->end_ms < part->end_ms)
        input->end_ms = part->end_ms;
    free(part->columns);
    *part = (struct input){0};
    return true;
}

/* ------------------------------------------------------------------ words */

bool input_make_stale(const struct input_column *of, struct input_value *out, struct error *err)
{
    for (size_t i = of->count; i-- > 0;)
        if (of->values[i].kind == INPUT_OK || of->values[i].kind == INPUT_STALE) {
            out->kind = INPUT_STALE;
            out->value = of->values[i].value;
            return true;
        }
    return error_set(err, ERROR_INVALID,
                     "stale goes on with the last value, but '%s' has none before it: write _ (missing) or failed",
                     of->name);
}

static bool is(const char *word, size_t length, const char *known)
{
    return strlen(known) == length && memcmp(word, known, length) == 0;
}

bool input_parse_word(const char *word, size_t length, const struct input_column *of, struct input_value *out,
                      struct error *err)
{
    out->value = 0;
    if (length == 0 || is(word, length, "_") || is(word, length, "null"))
        out->kind = INPUT_MISSING;
    else if (is(word, length, "failed"))
        out->kind = INPUT_FAILED;
    else if (is(word, length, "stale"))
        return input_make_stale(of, out, err);
    else if (number_parse(word, length, &out->value))
        out->kind = INPUT_OK;
    else
        return error_set(
            err, ERROR_INVALID,
            "'%.*s' of '%s' is nothing a source can say: a number, _ or nothing (missing), failed, or stale",
            (int)(length < 60 ? length : 60), word, of->name);
    return true;
}

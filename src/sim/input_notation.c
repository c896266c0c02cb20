/*
 * input_notation: values written as in tests of Prometheus' rules: words with blanks between them, each standing for one value or several.
 *
 *     5          a value                      5x3        that value, and three times more
 *     0+10x3     0 10 20 30                   9-3x2      9 6 3
 *     _  _x3     missing, once or three times; failed and stale the same
 *
 * 0x10 is therefore eleven zeros and no hexadecimal number. A word cannot stand for more values than an input may have.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/tree.h"
#include "sim/input_internal.h"

enum { COUNT_DIGITS_MAX = 8 };

struct word {
    const char *from, *at, *end;
    double value, step;
    int64_t more; /* values after the first */
    enum input_kind kind;
};

static bool not_understood(const struct word *w, struct error *err)
{
    size_t length = (size_t)(w->end - w->from);

    return error_set(
        err, ERROR_INVALID,
        "'%.*s' is not understood: write 5, 5x3 (and 3 times more), 0+10x3 (0 10 20 30), _, failed or stale",
        (int)(length < 60 ? length : 60), w->from);
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static bool next_is(const struct word *w, const char *words)
{
    size_t length = strlen(words);

    return (size_t)(w->end - w->at) >= length && memcmp(w->at, words, length) == 0;
}

/* Digits, a point, an exponent; NaN and Inf. */
static const char *skip_number(const struct word *w)
{
    const char *at = w->at;

    if (next_is(w, "NaN") || next_is(w, "Inf"))
        return at + 3;
    at = skip_digits(at, w->end);
    if (at < w->end && *at == '.')
        at = skip_digits(at + 1, w->end);
    if (at > w->at && at < w->end && (*at == 'e' || *at == 'E')) {
        const char *exponent = at + 1 < w->end && (at[1] == '+' || at[1] == '-') ? at + 2 : at + 1;
        const char *after = skip_digits(exponent, w->end);

        if (after > exponent)
            at = after;
    }
    return at;
}

static bool take_number(struct word *w, double *out)
{
    const char *end;
    double sign = 1;

    if (w->at < w->end && (*w->at == '+' || *w->at == '-'))
        sign = *w->at++ == '-' ? -1 : 1;
    end = skip_number(w);
    if (end == w->at || !number_parse(w->at, (size_t)(end - w->at), out))
        return false;
    *out *= sign;
    w->at = end;
    return true;
}

/* x and a count, at the end of the word; nothing: 0. */
static bool take_count(struct word *w, bool needed)
{
    w->more = 0;
    if (w->at == w->end)
        return !needed;
    const char *digits = w->at + 1, *end = skip_digits(digits, w->end);
    if (*w->at != 'x' || end != w->end || end == digits || end - digits > COUNT_DIGITS_MAX)
        return false;
    w->more = strtoll(digits, NULL, 10);
    return true;
}

/* One of the words that are no number; those count themselves: _x3 is three. */
static bool take_name(struct word *w, const char *name, enum input_kind kind)
{
    if (!next_is(w, name))
        return false;
    w->at += strlen(name);
    w->kind = kind;
    bool counted = w->at < w->end;
    if (!take_count(w, false))
        w->at = w->from;
    w->more -= counted;
    return true;
}

static bool parse_word(struct word *w, struct error *err)
{
    w->step = 0;
    w->kind = INPUT_OK;
    if (take_name(w, "_", INPUT_MISSING) || take_name(w, "failed", INPUT_FAILED) || take_name(w, "stale", INPUT_STALE))
        return w->at != w->from || not_understood(w, err);
    if (!take_number(w, &w->value))
        return not_understood(w, err);
    bool steps = w->at < w->end && (*w->at == '+' || *w->at == '-');
    if ((steps && !take_number(w, &w->step)) || !take_count(w, steps))
        return not_understood(w, err);
    return true;
}

static bool push_word(struct input *part, const struct word *w, int64_t step_ms, struct error *err)
{
    struct input_column *column = &part->columns[0];

    for (int64_t i = 0; i <= w->more; i++) {
        struct input_value value = {.at_ms = (int64_t)column->count * step_ms, .kind = w->kind};

        if (w->kind == INPUT_OK)
            value.value = w->step == 0 ? w->value : w->value + (double)i * w->step;
        if (w->kind == INPUT_STALE && !input_make_stale(column, &value, err))
            return false;
        if (!input_push(part, 0, &value, err))
            return false;
    }
    return true;
}

static bool read_words(struct input *part, const char *values, int64_t step_ms, struct error *err)
{
    static const char blanks[] = " \t\r\n";
    struct word w = {.from = values + strspn(values, blanks)};

    for (; *w.from; w.from = w.end + strspn(w.end, blanks)) {
        w.at = w.from;
        w.end = w.from + strcspn(w.from, blanks);
        if (!parse_word(&w, err) || !push_word(part, &w, step_ms, err))
            return error_add_place(err, "values:%zu", (size_t)(w.from - values) + 1);
    }
    if (part->value_count == 0)
        return error_set(err, ERROR_INVALID, "there are no values: write what the source says, as in 0x10 5+1x20");
    part->end_ms = (int64_t)part->value_count * step_ms;
    return true;
}

bool input_read_notation(struct input *input, const char *column, const char *values, int64_t step_ms,
                         struct error *err)
{
    struct input *part = input_new();
    uint16_t at;
    bool fine = false;

    if (step_ms <= 0 || step_ms > HISTORY_SPAN_MAX_MS)
        error_set(err, ERROR_INVALID, "values come every %lld ms, which is no step: write 1ms to 7 days (168h)",
                  (long long)step_ms);
    else
        fine = input_new_column(part, column, &at, err) && read_words(part, values, step_ms, err) &&
               input_take(input, part, err);
    input_free(part);
    return fine || error_add_place(err, "%s", column);
}

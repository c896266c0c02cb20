/*
 * explain_history: replicas and the values of triggers over time, a row of characters each.
 *
 *     the last hour
 *       wanted        ▁▁▁▁▃▃▃▃█████      3  1..3
 *       requests      ▁▁▂▃▄▄▅▆▆▇▇█    23.5  0..40, target 10
 *
 * History comes in spans of equal length, of five minutes at least, and leaves out those in which nothing was known: each covers the columns
 * of its time.
 */
#include "cli/explain_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "cli/explain_view.h"
#include "cli/paper.h"
#include "cli/spark.h"

enum {
    POINTS_MAX = 60,
    POINTS_MIN = 10,
    NAME_COLUMN = 2,
    SPARK_COLUMN = 26, /* after a name */
    FIGURES = 30,      /* columns behind the row: the value now, the least and the greatest, the target */
};

#define ROUNDING 1e-6 /* of a column: spans and columns often begin together */

struct row {
    struct spark_cell cells[POINTS_MAX];
    double low, high, last; /* of all values; NAN: there was none */
};

int explain_points(int columns)
{
    int points = columns == 0 ? POINTS_MAX : columns - SPARK_COLUMN - FIGURES;

    return points > POINTS_MAX ? POINTS_MAX : points < POINTS_MIN ? POINTS_MIN : points;
}

/* The columns that the i-th span covers, [first, last); none where it is outside. */
static void place_of(const json_t *history, size_t i, int points, int *first, int *last)
{
    double begin = view_number(history, "since"), end = view_number(history, "until");
    double at = json_number_value(json_array_get(json_object_get(history, "times"), i));
    double column_s = (end - begin) / points;

    *first = *last = 0;
    if (!(column_s > 0))
        return;
    double from = floor((at - begin) / column_s + ROUNDING);
    double to = ceil((at + view_number(history, "spanSeconds") - begin) / column_s - ROUNDING);
    *first = (int)fmax(0, fmin(points, from));
    *last = (int)fmax(0, fmin(points, to));
}

static void take_range(struct row *row, int first, int last, const json_t *range)
{
    const json_t *mean = json_array_get(range, 1);
    double least = json_number_value(json_array_get(range, 0)), most = json_number_value(json_array_get(range, 2));

    if (!json_is_number(mean) || first >= last)
        return;
    for (int column = first; column < last; column++)
        row->cells[column] = (struct spark_cell){SPARK_VALUE, json_number_value(mean)};
    row->last = json_number_value(mean);
    row->low = isnan(row->low) || least < row->low ? least : row->low;
    row->high = isnan(row->high) || most > row->high ? most : row->high;
}

static struct row row_new(void)
{
    return (struct row){.low = NAN, .high = NAN, .last = NAN};
}

static struct row read_row(const json_t *history, const json_t *values, int points)
{
    struct row row = row_new();

    for (size_t i = 0; i < json_array_size(values); i++) {
        int first, last;

        place_of(history, i, points, &first, &last);
        take_range(&row, first, last, json_array_get(values, i));
    }
    return row;
}

/* A span that was mostly without a value shows that. */
static void mark_gaps(struct row *row, const json_t *history, const json_t *shares, enum spark_kind kind, int points)
{
    for (size_t i = 0; i < json_array_size(shares); i++) {
        int first, last;

        place_of(history, i, points, &first, &last);
        for (int column = first; column < last && json_number_value(json_array_get(shares, i)) > 0.5; column++)
            row->cells[column].kind = kind;
    }
}

static void put_row(struct paper *paper, const char *name, const struct row *row, double high, int points,
                    const char *more)
{
    char last[40] = "-", low[40], high_text[40];

    paper_to(paper, NAME_COLUMN);
    paper_put(paper, INK_PLAIN, "%.*s",
              (int)paper_fit(paper->unicode, name, strlen(name), SPARK_COLUMN - NAME_COLUMN - 1, &(int){0}), name);
    paper_to(paper, SPARK_COLUMN);
    spark_put(paper, fmin(0, isnan(row->low) ? 0 : row->low), high, row->cells, (size_t)points);
    if (!isnan(row->last))
        explain_number(row->last, last, sizeof(last));
    paper_put(paper, INK_STRONG, " %6s", last);
    if (!isnan(row->low)) {
        explain_number(row->low, low, sizeof(low));
        explain_number(row->high, high_text, sizeof(high_text));
        paper_put(paper, INK_FAINT, "  %s..%s", low, high_text);
    }
    paper_put(paper, INK_FAINT, "%s", more);
    paper_end(paper);
}

/* A mean over the last minutes is not what is so now: where the record knows that, it is shown. */
static void set_now(struct row *row, const json_t *value)
{
    if (json_is_number(value))
        row->last = json_number_value(value);
}

static const json_t *input_of(const json_t *view, const char *name)
{
    json_t *input;
    size_t i;

    json_array_foreach(json_object_get(view, "inputs"), i,
                       input) if (strcmp(view_text(input, "name"), name) == 0) return input;
    return NULL;
}

static void put_trigger(struct paper *paper, const json_t *view, const json_t *trigger, int points)
{
    const json_t *history = json_object_get(view, "history"), *input = input_of(view, view_text(trigger, "name"));
    struct row row = read_row(history, json_object_get(trigger, "values"), points);
    const json_t *target = json_object_get(trigger, "target");
    char more[64] = "", number[40];

    if (strcmp(view_text(input, "state"), "ok") == 0)
        set_now(&row, json_object_get(input, "value"));
    mark_gaps(&row, history, json_object_get(trigger, "missing"), SPARK_MISSING, points);
    mark_gaps(&row, history, json_object_get(trigger, "failed"), SPARK_FAILED, points);
    if (json_is_number(target) && json_number_value(target) != 0) {
        explain_number(json_number_value(target), number, sizeof(number));
        snprintf(more, sizeof(more), ", target %s", number);
    }
    put_row(paper, view_text(trigger, "name"), &row, row.high, points, more);
}

/* The objective of weir.dev/slo: the share of each span in which it held. */
static void put_objective(struct paper *paper, const json_t *history, int points)
{
    const json_t *shares = json_object_get(history, "slo");
    struct row row = row_new();

    for (size_t i = 0; i < json_array_size(shares); i++) {
        json_t *share = json_array_get(shares, i), *range = json_pack("[O,O,O]", share, share, share);
        int first, last;

        place_of(history, i, points, &first, &last);
        take_range(&row, first, last, range);
        json_decref(range);
    }
    if (!isnan(row.last))
        put_row(paper, "objective held", &row, 1, points, "");
}

void explain_put_history(struct paper *paper, const json_t *view)
{
    const json_t *history = json_object_get(view, "history"), *trigger;
    int points = explain_points(paper->columns);
    char span[40];
    size_t i;

    if (!json_is_object(history) || json_array_size(json_object_get(history, "times")) == 0)
        return;
    struct row wanted = read_row(history, json_object_get(history, "wanted"), points);
    struct row ready = read_row(history, json_object_get(history, "ready"), points);
    set_now(&wanted, json_object_get(view, "after"));
    set_now(&ready, json_object_get(view, "ready"));
    double high = fmax(wanted.high, ready.high); /* one scale, so that both can be compared; fmax leaves a NAN out */

    duration_format_words((int64_t)(view_number(history, "until") - view_number(history, "since")) * SECOND_MS, span,
                          sizeof(span));
    paper_end(paper);
    paper_put(paper, INK_HEAD, "history of %s", span);
    paper_end(paper);
    put_row(paper, "wanted", &wanted, high, points, "");
    put_row(paper, "ready", &ready, high, points, "");
    put_objective(paper, history, points);
    json_array_foreach(json_object_get(history, "triggers"), i, trigger) put_trigger(paper, view, trigger, points);
}

/*
 * series_window: questions about the good samples of a window (now - window, now].
 *
 * All are one pass over the window, found by bisection, except the quantile, which sorts a copy. A merged sample counts as
 * often as the samples it stands for, but never as more than one reading of a counter. Times are taken relative to now, in
 * seconds, and centred on their mean before a line is laid through them: epoch milliseconds squared would leave no digits.
 */
#include "series/series_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/time.h"

/* A walk over the good samples of a window. */
struct window {
    const struct series *series;
    size_t next, end;
};

static struct window window_of(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    size_t first = series_after(series, instant_before(now_ms, window_ms));
    size_t end = series_after(series, now_ms);

    return (struct window){series, first < end ? first : end, end};
}

/* NULL: no more. */
static const struct sample *window_next(struct window *window)
{
    while (window->next < window->end) {
        const struct sample *sample = series_at(window->series, window->next++);
        if (sample_is_good(sample))
            return sample;
    }
    return NULL;
}

/* A sum that carries what each addition rounds away (Neumaier), so that long windows do not drift. */
struct sum {
    double total, lost;
};

static void sum_add(struct sum *sum, double x)
{
    double total = sum->total + x;

    if (fabs(sum->total) >= fabs(x))
        sum->lost += (sum->total - total) + x;
    else
        sum->lost += (x - total) + sum->total;
    sum->total = total;
}

static double sum_value(const struct sum *sum)
{
    return isfinite(sum->total) ? sum->total + sum->lost : sum->total;
}

struct moments {
    double count, sum, mean; /* NaN, if there is no sample, but for the count */
};

/* The mean for values whose sum is beyond a double. */
static double running_mean(struct window window)
{
    const struct sample *sample;
    double mean = 0, count = 0;

    while ((sample = window_next(&window))) {
        count += sample->weight;
        mean += (sample->value / count - mean / count) * sample->weight;
    }
    return mean;
}

static struct moments moments_of(struct window window)
{
    struct window again = window;
    const struct sample *sample;
    struct sum sum = {0, 0};
    struct moments m = {0, NAN, NAN};

    while ((sample = window_next(&window))) {
        m.count += sample->weight;
        sum_add(&sum, sample->value * sample->weight);
    }
    if (m.count > 0) {
        m.sum = sum_value(&sum);
        m.mean = isfinite(m.sum) ? m.sum / m.count : running_mean(again);
    }
    return m;
}

double series_avg(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    return moments_of(window_of(series, now_ms, window_ms)).mean;
}

double series_sum(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    return moments_of(window_of(series, now_ms, window_ms)).sum;
}

double series_min(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct window window = window_of(series, now_ms, window_ms);
    const struct sample *sample;
    double least = NAN;

    while ((sample = window_next(&window)))
        least = fmin(least, sample->value); /* NaN gives way */
    return least;
}

double series_max(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct window window = window_of(series, now_ms, window_ms);
    const struct sample *sample;
    double most = NAN;

    while ((sample = window_next(&window)))
        most = fmax(most, sample->value);
    return most;
}

double series_stddev(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct window window = window_of(series, now_ms, window_ms);
    struct moments m = moments_of(window);
    const struct sample *sample;
    struct sum squares = {0, 0};

    while ((sample = window_next(&window))) {
        double distance = sample->value - m.mean;
        sum_add(&squares, distance * distance * sample->weight);
    }
    return m.count > 0 ? sqrt(sum_value(&squares) / m.count) : NAN;
}

/* ---- quantiles ---- */

struct weighted {
    double value;
    unsigned weight;
};

static int by_value(const void *a, const void *b)
{
    const struct weighted *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

/* The value at a rank, counted from 0, when every value stands as often as it weighs. */
static double at_rank(const struct weighted *sorted, double rank)
{
    double before = 0;
    size_t i = 0;

    while (rank >= before + sorted[i].weight)
        before += sorted[i++].weight;
    return sorted[i].value;
}

static double quantile_of(const struct weighted *sorted, double total, double q)
{
    double rank = q * (total - 1), low = floor(rank), above = rank - low;
    double high = low + 1 < total ? low + 1 : total - 1;

    return at_rank(sorted, low) * (1 - above) + at_rank(sorted, high) * above;
}

double series_quantile(const struct series *series, double q, int64_t now_ms, int64_t window_ms)
{
    struct window window = window_of(series, now_ms, window_ms);
    struct weighted *sorted;
    const struct sample *sample;
    size_t count = 0;
    double total = 0, result = NAN;

    sorted = mem_array(window.end - window.next + 1, sizeof(*sorted));
    while ((sample = window_next(&window))) {
        sorted[count++] = (struct weighted){sample->value, sample->weight};
        total += sample->weight;
    }
    if (count > 0 && !isnan(q)) {
        qsort(sorted, count, sizeof(*sorted), by_value);
        result = q < 0 ? -INFINITY : q > 1 ? INFINITY : quantile_of(sorted, total, q);
    }
    free(sorted);
    return result;
}

/* ---- change ---- */

/* From the first to the last good sample of a window. */
struct change {
    double first, last, increase, seconds;
    size_t count;
};

static struct change change_of(struct window window)
{
    const struct sample *sample;
    struct change c = {0};
    int64_t first_ms = 0;

    while ((sample = window_next(&window))) {
        if (c.count == 0) {
            c.first = sample->value;
            first_ms = sample->at_ms;
        } else if (sample->value >= c.last) {
            c.increase += sample->value - c.last;
        } else {
            c.increase += fmax(sample->value, 0); /* the counter began anew at 0 */
        }
        c.last = sample->value;
        c.seconds = (double)(sample->at_ms - first_ms) / 1000;
        c.count++;
    }
    return c;
}

double series_increase(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct change c = change_of(window_of(series, now_ms, window_ms));

    return c.count >= 2 ? c.increase : NAN;
}

double series_rate(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct change c = change_of(window_of(series, now_ms, window_ms));

    return c.count >= 2 ? c.increase / c.seconds : NAN;
}

double series_delta(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    struct change c = change_of(window_of(series, now_ms, window_ms));

    return c.count >= 2 ? c.last - c.first : NAN;
}

/* value = mean + slope x (seconds from now - mean_s) */
struct line {
    double slope, mean, mean_s;
};

static double seconds_from(int64_t now_ms, const struct sample *sample)
{
    return (double)(sample->at_ms - now_ms) / 1000;
}

static double mean_time(struct window window, int64_t now_ms)
{
    const struct sample *sample;
    double total = 0, count = 0;

    while ((sample = window_next(&window))) {
        total += seconds_from(now_ms, sample) * sample->weight;
        count += sample->weight;
    }
    return total / count;
}

/* Least squares. Slope NaN: fewer than two samples. */
static struct line line_through(struct window window, int64_t now_ms)
{
    struct line line = {NAN, moments_of(window).mean, mean_time(window, now_ms)};
    const struct sample *sample;
    struct sum both = {0, 0}, squares = {0, 0};
    size_t count = 0;

    while ((sample = window_next(&window))) {
        double s = seconds_from(now_ms, sample) - line.mean_s;
        sum_add(&both, s * (sample->value - line.mean) * sample->weight);
        sum_add(&squares, s * s * sample->weight);
        count++;
    }
    if (count >= 2)
        line.slope = sum_value(&both) / sum_value(&squares);
    return line;
}

double series_deriv(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    return line_through(window_of(series, now_ms, window_ms), now_ms).slope;
}

double series_predict_linear(const struct series *series, int64_t now_ms, int64_t window_ms, int64_t ahead_ms)
{
    struct line line = line_through(window_of(series, now_ms, window_ms), now_ms);

    return line.mean + line.slope * ((double)ahead_ms / 1000 - line.mean_s);
}

/* ---- single samples ---- */

/* The last good one of the first `end` samples, or NULL. */
static const struct sample *last_good(const struct series *series, size_t end)
{
    while (end > 0 && !sample_is_good(series_at(series, end - 1)))
        end--;
    return end > 0 ? series_at(series, end - 1) : NULL;
}

double series_ago(const struct series *series, int64_t now_ms, int64_t ago_ms)
{
    const struct sample *sample = last_good(series, series_after(series, instant_before(now_ms, ago_ms)));

    return sample ? sample->value : NAN;
}

double series_recent(const struct series *series, int64_t now_ms, int64_t window_ms)
{
    const struct sample *sample = last_good(series, series_after(series, now_ms));

    return sample && sample->at_ms > instant_before(now_ms, window_ms) ? sample->value : NAN;
}

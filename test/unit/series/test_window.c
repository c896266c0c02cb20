/*
 * Windows: known answers, and random histories against the same questions asked naively of a plain array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "series/series.h"

static void add(struct series *s, int64_t at_ms, double value)
{
    series_add(s, &(struct sample){.state = SAMPLE_OK, .value = value, .at_ms = at_ms});
}

/* One sample a second from 1 s on; NaN in the table is a failed one. */
static struct series *series_of(const double *values, size_t count)
{
    struct series *s = series_new(HOUR_MS, 1000);

    for (size_t i = 0; i < count; i++)
        series_add(s, &(struct sample){.state = isnan(values[i]) ? SAMPLE_FAILED : SAMPLE_OK,
                                       .value = isnan(values[i]) ? 1e9 : values[i],
                                       .at_ms = (int64_t)(i + 1) * SECOND_MS});
    return s;
}

static void assert_near(double actual, double expected)
{
    if (isnan(expected)   ? isnan(actual)
        : isinf(expected) ? actual == expected
                          : fabs(actual - expected) <= 1e-9 * (1 + fabs(expected)))
        return;
    fail_msg("%.17g instead of %.17g", actual, expected);
}

static void test_counters(void **state)
{
    static const struct {
        double values[6];
        size_t count;
        double increase, rate, delta;
    } cases[] = {
        {{10, 20, 40}, 3, 30, 15, 30},
        {{10, 20, 5, 8}, 4, 18, 6, -2},    /* a reset: 10 + 5 + 3 */
        {{10, 0, 10, 0, 10}, 5, 20, 5, 0}, /* restarts over and over */
        {{10, NAN, 40}, 3, 30, 15, 30},    /* a failed poll in between takes up time only */
        {{NAN, 7, 7, NAN}, 4, 0, 0, 0},
        {{5}, 1, NAN, NAN, NAN},
        {{NAN, NAN}, 2, NAN, NAN, NAN},
        {{3, -4}, 2, 0, 0, -7},         /* no counter goes below 0: nothing is gained by it */
        {{INFINITY, 1, 4}, 3, 3, 3, 3}, /* an infinity is no reading */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct series *s = series_of(cases[i].values, cases[i].count);
        assert_near(series_increase(s, 10 * SECOND_MS, MINUTE_MS), cases[i].increase);
        assert_near(series_rate(s, 10 * SECOND_MS, MINUTE_MS), cases[i].rate);
        assert_near(series_delta(s, 10 * SECOND_MS, MINUTE_MS), cases[i].delta);
        series_free(s);
    }
}

static void test_windows_are_half_open(void **state)
{
    struct series *s = series_of((double[]){1, 2, 4, 8}, 4);

    (void)state;
    assert_near(series_sum(s, 4 * SECOND_MS, 2 * SECOND_MS), 12); /* (2 s, 4 s] */
    assert_near(series_sum(s, 4 * SECOND_MS, 2 * SECOND_MS + 1), 14);
    assert_near(series_sum(s, 3 * SECOND_MS, HOUR_MS), 7); /* what came after now does not count */
    assert_near(series_sum(s, 4 * SECOND_MS, 0), NAN);
    assert_near(series_sum(s, 4 * SECOND_MS, -5), NAN);
    assert_near(series_sum(s, 4 * SECOND_MS, INT64_MAX), 15);
    assert_near(series_sum(s, INT64_MIN, HOUR_MS), NAN);
    assert_near(series_recent(s, 6 * SECOND_MS, 2 * SECOND_MS), NAN);
    assert_near(series_recent(s, 6 * SECOND_MS, 2 * SECOND_MS + 1), 8);
    assert_near(series_ago(s, 4 * SECOND_MS, SECOND_MS), 4);
    assert_near(series_ago(s, 4 * SECOND_MS, SECOND_MS + 1), 2);
    assert_near(series_ago(s, 4 * SECOND_MS, MINUTE_MS), NAN);
    series_free(s);
}

static void test_quantiles(void **state)
{
    static const struct {
        double q, expected;
    } cases[] = {
        {0, 1}, {0.25, 1.75}, {0.5, 2.5}, {0.9, 3.7}, {1, 4}, {-0.1, -INFINITY}, {1.1, INFINITY}, {NAN, NAN},
    };
    struct series *s = series_of((double[]){3, 1, NAN, 4, 2}, 5);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_near(series_quantile(s, cases[i].q, 5 * SECOND_MS, MINUTE_MS), cases[i].expected);
    assert_near(series_quantile(s, 0.5, HOUR_MS, SECOND_MS), NAN);
    assert_near(series_quantile(s, 2, HOUR_MS, SECOND_MS), NAN);
    series_free(s);
}

/* In epoch milliseconds a naive fit loses every digit: 1.7e12 squared has 24 of them. */
static void test_lines_far_from_the_epoch(void **state)
{
    struct series *s = series_new(HOUR_MS, 1000);
    int64_t start = INT64_C(1767225600000);

    (void)state;
    for (int i = 0; i < 60; i++)
        add(s, start + i * 100, 5 + 0.25 * i);
    assert_near(series_deriv(s, start + 6000, HOUR_MS), 2.5);
    assert_near(series_predict_linear(s, start + 5900, HOUR_MS, 10 * SECOND_MS), 5 + 0.25 * 59 + 25);
    series_free(s);
}

static void test_lines_need_two_samples(void **state)
{
    struct series *s = series_of((double[]){NAN, 3}, 2);

    (void)state;
    assert_near(series_deriv(s, 5 * SECOND_MS, HOUR_MS), NAN);
    assert_near(series_predict_linear(s, 5 * SECOND_MS, HOUR_MS, 0), NAN);
    series_free(s);
}

static void test_exact_where_one_expects_it(void **state)
{
    double tenths[100];
    struct series *s;

    (void)state;
    for (int i = 0; i < 100; i++)
        tenths[i] = 0.1;
    s = series_of(tenths, 100);
    assert_true(series_sum(s, HOUR_MS, HOUR_MS) == 10);
    assert_true(series_avg(s, HOUR_MS, HOUR_MS) == 0.1);
    assert_true(series_stddev(s, HOUR_MS, HOUR_MS) == 0);
    series_free(s);
    s = series_of((double[]){1e308, 1e308, 1e308}, 3);
    assert_near(series_avg(s, HOUR_MS, HOUR_MS) / 1e308, 1);
    series_free(s);
}

/* Merged samples count for all they stand for. */
static void test_merged_samples_keep_their_weight(void **state)
{
    struct series *s = series_new(1000 * SECOND_MS, 50);

    (void)state;
    for (int i = 1; i <= 1000; i++)
        add(s, i * SECOND_MS, i <= 750 ? 0 : 100);
    assert_in_range(series_count(s), 25, 50);
    assert_true(fabs(series_avg(s, 1000 * SECOND_MS, 1000 * SECOND_MS) - 25) < 4);
    assert_true(series_quantile(s, 0.5, 1000 * SECOND_MS, 1000 * SECOND_MS) == 0);
    assert_true(series_quantile(s, 0.8, 1000 * SECOND_MS, 1000 * SECOND_MS) == 100);
    assert_true(fabs(series_sum(s, 1000 * SECOND_MS, 1000 * SECOND_MS) - 25000) < 4000);
    series_free(s);
}

/* ---- random histories ---- */

struct history {
    struct sample samples[300];
    size_t count;
};

/* The good ones of a window, in order. */
static size_t naive_window(const struct history *h, int64_t now_ms, int64_t window_ms, struct sample *out)
{
    size_t count = 0;

    for (size_t i = 0; i < h->count; i++)
        if (h->samples[i].state == SAMPLE_OK && h->samples[i].at_ms > now_ms - window_ms &&
            h->samples[i].at_ms <= now_ms)
            out[count++] = h->samples[i];
    return count;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double naive_quantile(const struct sample *w, size_t count, double q)
{
    double values[300], rank = q * (double)(count - 1);
    size_t low = (size_t)floor(rank);

    for (size_t i = 0; i < count; i++)
        values[i] = w[i].value;
    qsort(values, count, sizeof(*values), ascending);
    return values[low] + (rank - (double)low) * (values[low + 1 < count ? low + 1 : low] - values[low]);
}

static double naive_slope(const struct sample *w, size_t count)
{
    double t = 0, v = 0, both = 0, squares = 0;

    for (size_t i = 0; i < count; i++) {
        t += (double)(w[i].at_ms - w[0].at_ms) / 1000 / (double)count;
        v += w[i].value / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        double s = (double)(w[i].at_ms - w[0].at_ms) / 1000 - t;
        both += s * (w[i].value - v);
        squares += s * s;
    }
    return both / squares;
}

static void compare(const struct series *s, const struct history *h, int64_t now_ms, int64_t window_ms)
{
    struct sample w[300];
    size_t count = naive_window(h, now_ms, window_ms, w);
    double sum = 0, least = INFINITY, most = -INFINITY, squares = 0, increase = 0;

    for (size_t i = 0; i < count; i++) {
        sum += w[i].value;
        least = fmin(least, w[i].value);
        most = fmax(most, w[i].value);
        if (i > 0)
            increase += w[i].value >= w[i - 1].value ? w[i].value - w[i - 1].value : fmax(w[i].value, 0);
    }
    for (size_t i = 0; i < count; i++)
        squares += pow(w[i].value - sum / (double)count, 2);
    assert_near(series_sum(s, now_ms, window_ms), count ? sum : NAN);
    assert_near(series_avg(s, now_ms, window_ms), count ? sum / (double)count : NAN);
    assert_near(series_min(s, now_ms, window_ms), count ? least : NAN);
    assert_near(series_max(s, now_ms, window_ms), count ? most : NAN);
    assert_near(series_stddev(s, now_ms, window_ms), count ? sqrt(squares / (double)count) : NAN);
    assert_near(series_quantile(s, 0.3, now_ms, window_ms), count ? naive_quantile(w, count, 0.3) : NAN);
    assert_near(series_increase(s, now_ms, window_ms), count > 1 ? increase : NAN);
    assert_near(series_rate(s, now_ms, window_ms),
                count > 1 ? increase / ((double)(w[count - 1].at_ms - w[0].at_ms) / 1000) : NAN);
    assert_near(series_deriv(s, now_ms, window_ms), count > 1 ? naive_slope(w, count) : NAN);
    assert_near(series_recent(s, now_ms, window_ms), count ? w[count - 1].value : NAN);
    count = naive_window(h, now_ms - window_ms, 1000 * DAY_MS, w);
    assert_near(series_ago(s, now_ms, window_ms), count ? w[count - 1].value : NAN);
}

static void test_random_histories(void **state)
{
    unsigned seed = 20260101;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct series *s = series_new(DAY_MS, 300);
        struct history h = {.count = 0};
        int64_t now = 1000000 + rand_r(&seed) % 1000;
        size_t length = (size_t)rand_r(&seed) % 300;

        while (h.count < length) {
            struct sample *next = &h.samples[h.count++];
            *next = (struct sample){.state = rand_r(&seed) % 5 ? SAMPLE_OK : SAMPLE_FAILED, .at_ms = now};
            next->value = (double)(rand_r(&seed) % 2000 - 500) / 8;
            series_add(s, next);
            now += 1 + rand_r(&seed) % 20000;
        }
        for (int i = 0; i < 20; i++)
            compare(s, &h, now - rand_r(&seed) % 1000000, rand_r(&seed) % 3000000);
        series_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_windows_are_half_open),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_lines_far_from_the_epoch),
        cmocka_unit_test(test_lines_need_two_samples),
        cmocka_unit_test(test_exact_where_one_expects_it),
        cmocka_unit_test(test_merged_samples_keep_their_weight),
        cmocka_unit_test(test_random_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

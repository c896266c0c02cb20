/*
 * The ring: what it keeps, forgets and merges, and what it makes of a clock that jumps (failure-modes.md M10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/time.h"
#include "series/series.h"

static void add(struct series *s, int64_t at_ms, double value)
{
    series_add(s, &(struct sample){.state = SAMPLE_OK, .value = value, .at_ms = at_ms});
}

static void add_state(struct series *s, int64_t at_ms, enum sample_state state)
{
    series_add(s, &(struct sample){.state = state, .value = 77, .at_ms = at_ms});
}

/* The times that are there, as one text: "1000 2000". */
static void assert_times(const struct series *s, const char *expected)
{
    char times[512] = "";
    size_t length = 0;

    for (size_t i = 0; i < series_count(s); i++)
        length += (size_t)snprintf(times + length, sizeof(times) - length, "%s%lld", i ? " " : "",
                                   (long long)series_at(s, i)->at_ms);
    assert_string_equal(times, expected);
}

static void test_keeps_its_span_and_the_one_before(void **state)
{
    struct series *s = series_new(1000, 100);

    (void)state;
    for (int64_t t = 0; t <= 3000; t += 500)
        add(s, t, (double)t);
    assert_times(s, "2000 2500 3000"); /* 2000 was current when the span (2000, 3000] began */
    assert_true(series_ago(s, 3000, 1000) == 2000);
    series_free(s);
}

static void test_keeps_the_last_good_one_before_the_span(void **state)
{
    struct series *s = series_new(1000, 100);

    (void)state;
    add(s, 100, 5);
    add_state(s, 200, SAMPLE_FAILED);
    add_state(s, 300, SAMPLE_MISSING);
    add(s, 1400, 6);
    assert_times(s, "100 1400");
    assert_true(series_ago(s, 1400, 1000) == 5);
    add(s, 2100, 7); /* more than two spans after 100: too old to stand for anything */
    assert_times(s, "1400 2100");
    series_free(s);
}

static void test_failures_alone_do_not_pile_up(void **state)
{
    struct series *s = series_new(1000, 100000);

    (void)state;
    add(s, 0, 1);
    for (int64_t t = 10; t < 100000; t += 10)
        add_state(s, t, SAMPLE_FAILED);
    assert_in_range(series_count(s), 100, 102);
    series_free(s);
}

static void test_same_instant_replaces(void **state)
{
    struct series *s = series_new(1000, 100);

    (void)state;
    add(s, 10, 1);
    add(s, 20, 2);
    add(s, 20, 3);
    assert_times(s, "10 20");
    assert_true(series_recent(s, 20, 100) == 3);
    add_state(s, 20, SAMPLE_FAILED);
    assert_true(series_recent(s, 20, 100) == 1);
    series_free(s);
}

static void test_clock_that_goes_back_a_little(void **state)
{
    struct series *s = series_new(HOUR_MS, 100);

    (void)state;
    add(s, 100000, 1);
    add(s, 90000, 2);  /* dropped */
    add(s, 100000, 3); /* replaces: the clock has caught up */
    add(s, 101000, 4);
    assert_times(s, "100000 101000");
    assert_true(series_ago(s, 101000, 500) == 3);
    series_free(s);
}

static void test_clock_that_goes_back_for_good(void **state)
{
    struct series *s = series_new(HOUR_MS, 100);

    (void)state;
    add(s, 10 * HOUR_MS, 1);
    for (int64_t t = 0; t <= MINUTE_MS; t += 10000)
        add(s, t, 2);
    assert_times(s, "36000000");
    add(s, MINUTE_MS + 1, 3);
    assert_times(s, "60001");
    add(s, MINUTE_MS + 2, 4);
    assert_times(s, "60001 60002");
    series_free(s);
}

static void test_clock_that_goes_back_twice(void **state)
{
    struct series *s = series_new(HOUR_MS, 100);

    (void)state;
    add(s, 10 * HOUR_MS, 1);
    add(s, 5 * HOUR_MS, 2);
    add(s, HOUR_MS, 3); /* back again: the minute starts anew */
    add(s, HOUR_MS + MINUTE_MS, 4);
    assert_times(s, "36000000");
    add(s, HOUR_MS + MINUTE_MS + 1, 5);
    assert_times(s, "3660001");
    series_free(s);
}

static void test_clock_that_jumps_ahead(void **state)
{
    struct series *s = series_new(HOUR_MS, 100);

    (void)state;
    add(s, 1000, 1);
    add(s, 2000, 2);
    add(s, 365 * DAY_MS, 3);
    assert_int_equal(series_count(s), 1);
    assert_true(series_avg(s, 365 * DAY_MS, HOUR_MS) == 3);
    series_free(s);
}

static void test_memory_grows_with_what_is_there(void **state)
{
    struct series *s = series_new(DAY_MS, 4096);
    size_t empty = series_bytes(s);

    (void)state;
    assert_in_range(empty, 1, 128);
    for (int i = 0; i < 10; i++)
        add(s, i * 1000, i);
    assert_in_range(series_bytes(s), empty + 10 * 24, empty + 20 * 24);
    for (int i = 10; i < 100000; i++)
        add(s, i * 1000, i);
    assert_int_equal(series_bytes(s), empty + 4096 * 24);
    series_free(s);
    series_free(NULL);
}

/* A day in 200 samples, polled every second: no stretch may stay empty, and all samples must still count. */
static void test_thinning_is_even(void **state)
{
    struct series *s = series_new(DAY_MS, 200);
    int64_t now = 0, gap = 0, weight = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        now = i * SECOND_MS;
        add(s, now, i);
    }
    assert_in_range(series_count(s), 100, 200);
    assert_true(series_at(s, 0)->at_ms <= now - DAY_MS + 2 * DAY_MS / 200);
    for (size_t i = 1; i < series_count(s); i++) {
        int64_t step = series_at(s, i)->at_ms - series_at(s, i - 1)->at_ms;
        assert_true(step > 0);
        if (step > gap)
            gap = step;
    }
    for (size_t i = 1; i < series_count(s); i++)
        weight += series_at(s, i)->weight;
    assert_in_range(gap, 1, 2 * 2 * DAY_MS / 200);
    assert_in_range(weight, 86400 - 864, 86400 + 864);              /* the first stretch lies across the begin */
    assert_int_equal(series_at(s, series_count(s) - 1)->weight, 1); /* the newest are as they came */
    assert_true(series_avg(s, now, DAY_MS) > 199999 - 43200 - 900 && series_avg(s, now, DAY_MS) < 199999 - 43200 + 900);
    series_free(s);
}

static void test_thinning_keeps_good_ones(void **state)
{
    struct series *s = series_new(1000, 4);

    (void)state;
    for (int64_t t = 0; t <= 2000; t += 20)
        if (t % 200 == 0)
            add(s, t, (double)t);
        else
            add_state(s, t, SAMPLE_FAILED);
    assert_in_range(series_count(s), 1, 4);
    assert_true(series_avg(s, 2000, 1000) >= 1000);
    series_free(s);
}

static void test_tiny_rings(void **state)
{
    (void)state;
    for (size_t max = 0; max < 6; max++) {
        struct series *s = series_new(1000, max);
        for (int64_t t = 1; t < 5000; t++) {
            add(s, t, (double)t);
            assert_in_range(series_count(s), 1, max ? max : 1);
            assert_true(series_recent(s, t, 1) == (double)t);
        }
        series_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_its_span_and_the_one_before),
        cmocka_unit_test(test_keeps_the_last_good_one_before_the_span),
        cmocka_unit_test(test_failures_alone_do_not_pile_up),
        cmocka_unit_test(test_same_instant_replaces),
        cmocka_unit_test(test_clock_that_goes_back_a_little),
        cmocka_unit_test(test_clock_that_goes_back_for_good),
        cmocka_unit_test(test_clock_that_goes_back_twice),
        cmocka_unit_test(test_clock_that_jumps_ahead),
        cmocka_unit_test(test_memory_grows_with_what_is_there),
        cmocka_unit_test(test_thinning_is_even),
        cmocka_unit_test(test_thinning_keeps_good_ones),
        cmocka_unit_test(test_tiny_rings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

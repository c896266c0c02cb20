/* Durations, instants, the calendar. Durations and instants must agree with Go's time package. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"5s", 5000000000},
        {"+5s", 5000000000},
        {"-2m", -120000000000},
        {"1h30m", 5400000000000},
        {"1.5h", 5400000000000},
        {".5s", 500000000},
        {"5.s", 5000000000},
        {"250ms", 250000000},
        {"1us", 1000},
        {"1\xc2\xb5s", 1000},
        {"1\xce\xbcs", 1000},
        {"1ns", 1},
        {"0.1ns", 0},
        {"1s1h1s", 3602000000000}, /* any order, any number of times */
        {"0.9223372036854775807h", 3320413933267},
        {"0.3333333333333333333h", 1200000000000}, /* digits beyond int64 are dropped */
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775.807us", INT64_MAX},
        {"2562047h47m16.854775807s", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = 77;
        assert_true(duration_parse_ns(cases[i].text, strlen(cases[i].text), &ns));
        assert_true(ns == cases[i].ns);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "5",
                                        "s",
                                        ".s",
                                        "-",
                                        "-.s",
                                        "5 s",
                                        " 5s",
                                        "5s ",
                                        "1d",
                                        "1H",
                                        "1h30",
                                        "--1s",
                                        "1e3s",
                                        "3000000h",
                                        "9223372036854775808ns",
                                        "9223372036854775807ns1ns",
                                        "-9223372036854775809ns",
                                        "1\xc2s",
                                        "infs"};
    int64_t value = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(duration_parse_ns(cases[i], strlen(cases[i]), &value));
    assert_false(duration_parse_ms(NULL, &value));
    assert_false(duration_parse_ms("1us", &value)); /* would be lost */
    assert_true(value == 77);
    assert_true(duration_parse_ms("1s1us", &value) && value == 1000);
    assert_true(duration_parse_ms("0", &value) && value == 0);
    assert_true(duration_parse_ns("30mXYZ", 3, &value) && value == 30 * 60 * INT64_C(1000000000));
}

static void durations_are_written_as_go_does(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1100, "1.1\xc2\xb5s"},
        {2200000, "2.2ms"},
        {999999999, "999.999999ms"},
        {3300000000, "3.3s"},
        {5400000000000, "1h30m0s"},
        {300000000000, "5m0s"},
        {61001000000, "1m1.001s"},
        {-1000, "-1\xc2\xb5s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        int64_t back;
        duration_format_ns(cases[i].ns, text, sizeof text);
        assert_string_equal(text, cases[i].text);
        assert_true(duration_parse_ns(text, strlen(text), &back) && back == cases[i].ns);
    }
}

static void durations_in_words(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0 s"},
        {250, "250 ms"},
        {1000, "1 s"},
        {1500, "1.5 s"},
        {45 * SECOND_MS, "45 s"},
        {5 * MINUTE_MS, "5 min"},
        {5 * MINUTE_MS + 30 * SECOND_MS, "5 min 30 s"},
        {2 * HOUR_MS + 10 * MINUTE_MS + 5 * SECOND_MS, "2 h 10 min"},
        {3 * DAY_MS + 4 * HOUR_MS, "3 d 4 h"},
        {-45 * SECOND_MS, "-45 s"},
        {INT64_MIN, "-106751991167 d 7 h"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        duration_format_words(cases[i].ms, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void instants_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        int64_t at_ms;
        const char *again;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z"},
        {"2026-01-01T00:00:00Z", 1767225600000, "2026-01-01T00:00:00.000Z"},
        {"2026-01-01T00:00:00.123Z", 1767225600123, "2026-01-01T00:00:00.123Z"},
        {"2026-01-01T00:00:00.1239999Z", 1767225600123, "2026-01-01T00:00:00.123Z"},
        {"2026-01-01T01:30:00+01:30", 1767225600000, "2026-01-01T00:00:00.000Z"},
        {"2025-12-31T19:00:00-05:00", 1767225600000, "2026-01-01T00:00:00.000Z"},
        {"2024-02-29T23:59:59Z", 1709251199000, "2024-02-29T23:59:59.000Z"},
        {"1969-12-31T23:59:59.5Z", -500, "1969-12-31T23:59:59.500Z"},
        {"0001-01-01T00:00:00Z", -62135596800000, "0001-01-01T00:00:00.000Z"},
        {"9999-12-31T23:59:59Z", 253402300799000, "9999-12-31T23:59:59.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t at_ms = 77;
        char text[32];
        assert_true(instant_parse(cases[i].text, &at_ms));
        assert_true(at_ms == cases[i].at_ms);
        instant_format_ms(at_ms, text, sizeof text);
        assert_string_equal(text, cases[i].again);
    }
    char text[32];
    instant_format(-500, text, sizeof text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
}

static void what_is_no_instant_is_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "2026-01-01",
                                        "2026-01-01T00:00:00",
                                        "2026-01-01 00:00:00Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-00-01T00:00:00Z",
                                        "2025-02-29T00:00:00Z",
                                        "2100-02-29T00:00:00Z",
                                        "2026-04-31T00:00:00Z",
                                        "2026-01-00T00:00:00Z",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01T00:60:00Z",
                                        "2026-01-01T00:00:60Z",
                                        "2026-01-01T00:00:00.Z",
                                        "2026-01-01T00:00:00Zx",
                                        "2026-01-01T00:00:00+1:00",
                                        "2026-01-01T00:00:00+01:60",
                                        "2026-1-01T00:00:00Z",
                                        "2026-01-01t00:00:00z",
                                        "+026-01-01T00:00:00Z"};
    int64_t at_ms = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(instant_parse(cases[i], &at_ms));
    assert_false(instant_parse(NULL, &at_ms));
    assert_true(at_ms == 77);
}

static void dates_overflow_into_the_next_unit(void **state)
{
    (void)state;
    assert_true(civil_to_seconds(1970, 1, 1, 0, 0, 0) == 0);
    assert_true(civil_to_seconds(2025, 13, 1, 0, 0, 0) == civil_to_seconds(2026, 1, 1, 0, 0, 0));
    assert_true(civil_to_seconds(2025, 0, 1, 0, 0, 0) == civil_to_seconds(2024, 12, 1, 0, 0, 0));
    assert_true(civil_to_seconds(2025, -11, 1, 0, 0, 0) == civil_to_seconds(2024, 1, 1, 0, 0, 0));
    assert_true(civil_to_seconds(2025, 2, 29, 0, 0, 0) == civil_to_seconds(2025, 3, 1, 0, 0, 0));
    assert_true(civil_to_seconds(2024, 3, 0, 0, 0, 0) == civil_to_seconds(2024, 2, 29, 0, 0, 0));
    assert_true(civil_to_seconds(2025, 1, 1, 25, -61, 3600) == civil_to_seconds(2025, 1, 2, 0, 59, 0));
}

/* Day by day over four centuries, counted along by hand. */
static void the_calendar_is_gregorian(void **state)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct civil expected = {.year = 1800, .month = 1, .day = 1, .weekday = 3, .yearday = 1};

    (void)state;
    int64_t start = civil_to_seconds(1800, 1, 1, 0, 0, 0);
    for (int64_t at = start; expected.year < 2201; at += 86400) {
        struct civil c;
        civil_from_seconds(at + 86399, &c);
        assert_true(c.year == expected.year && c.month == expected.month && c.day == expected.day);
        assert_true(c.weekday == expected.weekday && c.yearday == expected.yearday);
        assert_true(c.hour == 23 && c.minute == 59 && c.second == 59);
        assert_true(civil_to_seconds(c.year, c.month, c.day, 0, 0, 0) == at);
        bool leap = expected.year % 4 == 0 && (expected.year % 100 != 0 || expected.year % 400 == 0);
        expected.weekday = (expected.weekday + 1) % 7;
        expected.yearday++;
        if (++expected.day > month_days[expected.month - 1] + (leap && expected.month == 2)) {
            expected.day = 1;
            if (++expected.month > 12) {
                expected.month = 1;
                expected.yearday = 1;
                expected.year++;
            }
        }
    }
}

static void no_instant_is_too_far(void **state)
{
    static const int64_t cases[] = {INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct civil c;
        civil_from_seconds(cases[i], &c);
        assert_in_range(c.month, 1, 12);
        assert_in_range(c.day, 1, 31);
        assert_in_range(c.weekday, 0, 6);
        assert_in_range(c.yearday, 1, 366);
        assert_true(civil_to_seconds(c.year, c.month, c.day, c.hour, c.minute, c.second) == cases[i]);
        char text[32];
        instant_format_ms(cases[i], text, sizeof text);
        assert_true(strlen(text) < sizeof text - 1 && text[strlen(text) - 1] == 'Z');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(durations_are_written_as_go_does),
        cmocka_unit_test(durations_in_words),
        cmocka_unit_test(instants_are_read_and_written),
        cmocka_unit_test(what_is_no_instant_is_refused),
        cmocka_unit_test(dates_overflow_into_the_next_unit),
        cmocka_unit_test(the_calendar_is_gregorian),
        cmocka_unit_test(no_instant_is_too_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

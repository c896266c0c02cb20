/* Kubernetes quantities. hpa-algorithm.md 2.1, _common.md 3. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/quantity.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void quantities_become_milli(void **state)
{
    static const struct {
        const char *text;
        int64_t milli;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"5", 5000},
        {"+5", 5000},
        {"007", 7000},
        {".5", 500},
        {"5.", 5000},
        {"500m", 500},
        {"1n", 1}, /* away from zero */
        {"1.0001", 1001},
        {"-1500u", -2},
        {"100u", 1},
        {"0.0000000000000000000000000000000000000000000000000001", 1},
        {"2k", 2000000},
        {"1.5G", 1500000000000},
        {"1Ki", 1024000},
        {"0.1Ki", 102400},
        {"1Pi", 1125899906842624000},
        {"12e6", 12000000000},
        {"1E-3", 1},
        {"1E", INT64_MAX}, /* exa, not an exponent */
        {"1E3", 1000000},
        {"9223372036854775.807", INT64_MAX},
        {"9223372036854775.806", INT64_MAX - 1},
        {"-9223372036854775.808", INT64_MIN},
        {"9e99999999999999999999", INT64_MAX},
        {"-1e400", INT64_MIN},
        {"1e-999999999999", 1},
        {"0e99999999999", 0},
        {"1."
         "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "1",
         1001},
        {"1."
         "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "0",
         1000},
        {"100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000e-"
         "105",
         100},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t milli = 77;
        assert_true(quantity_parse_milli(cases[i].text, &milli));
        assert_true(milli == cases[i].milli);
    }
}

static void what_is_no_quantity_is_refused(void **state)
{
    static const char *const cases[] = {"",    " ",    "m",   "e3",   ".",     "-",  "1K",  "1ki",
                                        "1 ",  " 1",   "1_0", "0x1",  "1.2.3", "1e", "1e+", "1e1.5",
                                        "1mi", "1ee3", "--1", "1Kii", "1e3m",  "1k5"};
    int64_t milli = 77;
    double value = 77;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(quantity_parse_milli(cases[i], &milli));
        assert_false(quantity_parse_double(cases[i], &value));
    }
    assert_false(quantity_parse_milli(NULL, &milli));
    assert_true(milli == 77 && value == 77); /* untouched */
}

static void other_units_than_milli(void **state)
{
    int64_t value;

    (void)state;
    assert_true(quantity_parse("1500m", 0, &value) && value == 2);
    assert_true(quantity_parse("-1500m", 0, &value) && value == -2);
    assert_true(quantity_parse("0.001", 6, &value) && value == 1000);
    assert_true(quantity_parse("1n", 9, &value) && value == 1);
    assert_true(quantity_parse("0.1n", 9, &value) && value == 1);
    assert_true(quantity_parse("1E", 0, &value) && value == 1000000000000000000);
    assert_true(quantity_parse("10E", 0, &value) && value == INT64_MAX);
}

/* As mantissa x 10^exponent: 0.57 is one rounding away from what strtod makes of it. */
static void doubles_are_made_as_the_hpa_makes_them(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0.57", 570 * 1e-3}, {"570m", 570 * 1e-3}, {"0.1", 0.1},     {"100m", 0.1},      {"0", 0}, {"2", 2},
        {"1k", 1000},         {"1Ki", 1024},        {"-0.25", -0.25}, {"50u", 50 * 1e-6},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        double value;
        assert_true(quantity_parse_double(cases[i].text, &value));
        assert_true(value == cases[i].value && signbit(value) == signbit(cases[i].value));
    }
    assert_true(570 * 1e-3 != 0.57);
    double zero;
    assert_true(quantity_parse_double("-0", &zero) && !signbit(zero));
}

static void quantities_are_written_canonically(void **state)
{
    static const struct {
        int64_t milli;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1500, "1500m"},
        {2000, "2"},
        {2000000, "2k"},
        {2500000, "2500"},
        {-1500, "-1500m"},
        {1, "1m"},
        {-3000, "-3"},
        {1000000000000000000, "1P"},
        {INT64_MAX, "9223372036854775807m"},
        {INT64_MIN, "-9223372036854775808m"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        quantity_format_milli(cases[i].milli, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void metric_values_are_written_as_keda_does(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {2.5, "2500m"},
        {3, "3"},
        {3000, "3k"},
        {0.0004, "0"},
        {0.0005, "1m"},
        {0.0015, "2m"},
        {0.0025, "3m"},
        {NAN, "0"},
        {INFINITY, "0"},
        {-INFINITY, "0"},
        {-5, "0"},
        {-0.0, "0"},
        {1e20, "100E"},
        {1e300, "10000000000E"},
        {1234.5678, "1234568m"},
        {0.1 + 0.2, "300m"},
        {12345678901234567890.0, "12345678901234567168"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        quantity_format_double(cases[i].value, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_become_milli),
        cmocka_unit_test(what_is_no_quantity_is_refused),
        cmocka_unit_test(other_units_than_milli),
        cmocka_unit_test(doubles_are_made_as_the_hpa_makes_them),
        cmocka_unit_test(quantities_are_written_canonically),
        cmocka_unit_test(metric_values_are_written_as_keda_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

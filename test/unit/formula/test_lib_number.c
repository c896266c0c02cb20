/*
 * Numbers: what Go 1.26 printed, read and computed for the same input, one row each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/text.h"
#include "formula/library.h"

static const struct {
    double value;
    const char *string, *json;
} formats[] = {
    {0x0p+00, "0", "0"},
    {-0x0p+00, "-0", "-0"},
    {0x1p+00, "1", "1"},
    {-0x1p+00, "-1", "-1"},
    {0x1.999999999999ap-04, "0.1", "0.1"},
    {0x1.86ap+16, "100000", "100000"},
    {0x1.e847fp+19, "999999.5", "999999.5"},
    {0x1.e847ep+19, "999999", "999999"},
    {0x1.e848p+19, "1e+06", "1000000"},
    {0x1.2d687cccccccdp+20, "1.2345678e+06", "1234567.8"},
    {0x1.5af1d78b58c4p+66, "1e+20", "100000000000000000000"},
    {0x1.b1ae4d6e2ef5p+69, "1e+21", "1e+21"},
    {0x1.4542ba12a337cp+70, "1.5e+21", "1.5e+21"},
    {0x1.ac53a7e04bcdap+66, "1.2345678901234568e+20", "123456789012345680000"},
    {0x1.a36e2eb1c432dp-14, "0.0001", "0.0001"},
    {0x1.3a92a30553261p-13, "0.00015", "0.00015"},
    {0x1.4f8b588e368f1p-17, "1e-05", "0.00001"},
    {0x1.0c6f7a0b5ed8dp-20, "1e-06", "0.000001"},
    {0x1.0c2ac1dbbe3d8p-20, "9.99e-07", "9.99e-7"},
    {0x1.ad7f29abcaf48p-24, "1e-07", "1e-7"},
    {0x1.249ad2594c37dp+332, "1e+100", "1e+100"},
    {0x1.bff2ee48e053p-333, "1e-100", "1e-100"},
    {0x1p-1074, "5e-324", "5e-324"},
    {0x1p-1022, "2.2250738585072014e-308", "2.2250738585072014e-308"},
    {0x1.fffffffffffffp+1023, "1.7976931348623157e+308", "1.7976931348623157e+308"},
    {0x1p-44, "5.684341886080802e-14", "5.684341886080802e-14"},
    {0x1p-1074, "5e-324", "5e-324"},
    {0x1p+1023, "8.98846567431158e+307", "8.98846567431158e+307"},
    {0x1p+53, "9.007199254740992e+15", "9007199254740992"},
    {0x1.3333333333333p-02, "0.3", "0.3"},
    {0x1.5555555555555p-02, "0.3333333333333333", "0.3333333333333333"},
    {0x1.921fb54442d18p+01, "3.141592653589793", "3.141592653589793"},
    {-0x1.4p+01, "-2.5", "-2.5"},
    {0x1.1666666666666p+02, "4.35", "4.35"},
    {0x1.52d02c7e14af6p+76, "1e+23", "1e+23"},
    {0x1.c7e83209e90b2p+72, "8.41e+21", "8.41e+21"},
    {0x1p-1072, "2e-323", "2e-323"},
    {0x1.0aaa9930be0dfp+05, "33.3333", "33.3333"},
};

static const struct {
    struct span text;
    bool ok;
    double value;
} floats[] = {
    {{"1_000", 5}, true, 0x1.f4p+09},
    {{"0x_1p4", 6}, true, 0x1p+04},
    {{"1__0", 4}, false, 0x0p+00},
    {{"_1", 2}, false, 0x0p+00},
    {{"1_", 2}, false, 0x0p+00},
    {{"0x1_0p4", 7}, true, 0x1p+08},
    {{"0x10", 4}, false, 0x0p+00},
    {{"1e5", 3}, true, 0x1.86ap+16},
    {{"1e", 2}, false, 0x0p+00},
    {{"+inf", 4}, true, INFINITY},
    {{"-Infinity", 9}, true, -INFINITY},
    {{"iNf", 3}, true, INFINITY},
    {{"nan", 3}, true, NAN},
    {{"NaN", 3}, true, NAN},
    {{"+nan", 4}, false, 0x0p+00},
    {{"1_0e1_0", 7}, true, 0x1.74876e8p+36},
    {{"1e400", 5}, false, 0x0p+00},
    {{"1e-400", 6}, true, 0x0p+00},
    {{".5", 2}, true, 0x1p-01},
    {{"5.", 2}, true, 0x1.4p+02},
    {{".", 1}, false, 0x0p+00},
    {{"", 0}, false, 0x0p+00},
    {{"0_1", 3}, true, 0x1p+00},
    {{"0x.8p1", 6}, true, 0x1p+00},
    {{"0x1.p1", 6}, true, 0x1p+01},
    {{"0xp1", 4}, false, 0x0p+00},
    {{"1p4", 3}, false, 0x0p+00},
    {{"0b1", 3}, false, 0x0p+00},
    {{"inf_", 4}, false, 0x0p+00},
    {{"1_.5", 4}, false, 0x0p+00},
    {{"1._5", 4}, false, 0x0p+00},
    {{"0X1P+4", 6}, true, 0x1p+04},
    {{"1e-99999999999999999999", 23}, true, 0x0p+00},
    {{"0e99999999999999999999", 22}, true, 0x0p+00},
    {{"infi", 4}, false, 0x0p+00},
    {{" 1", 2}, false, 0x0p+00},
    {{"1 ", 2}, false, 0x0p+00},
    {{"1,5", 3}, false, 0x0p+00},
    {{"1e+", 3}, false, 0x0p+00},
    {{"--1", 3}, false, 0x0p+00},
    {{"0x1.8p-1074", 11}, true, 0x1p-1073},
    {{"0x1.fffffffffffff8p1023", 23}, false, 0x0p+00},
    {{"1.7976931348623159e308", 22}, false, 0x0p+00},
    {{"2.4703282292062328e-324", 23}, true, 0x1p-1074},
    {{"-12.5e-1", 8}, true, -0x1.4p+00},
    {{"0.1", 3}, true, 0x1.999999999999ap-04},
    {{"1\000", 2}, false, 0x0p+00},
};

static const struct {
    struct span text;
    bool ok;
    int64_t value;
} ints[] = {
    {{"12", 2}, true, 12},
    {{"+12", 3}, true, 12},
    {{"-12", 3}, true, -12},
    {{"0", 1}, true, 0},
    {{"-0", 2}, true, 0},
    {{"007", 3}, true, 7},
    {{"9223372036854775807", 19}, true, 9223372036854775807},
    {{"9223372036854775808", 19}, false, 0},
    {{"-9223372036854775808", 20}, true, INT64_MIN},
    {{"-9223372036854775809", 20}, false, 0},
    {{"99999999999999999999", 20}, false, 0},
    {{"", 0}, false, 0},
    {{"+", 1}, false, 0},
    {{"-", 1}, false, 0},
    {{"--1", 3}, false, 0},
    {{" 1", 2}, false, 0},
    {{"1 ", 2}, false, 0},
    {{"1_0", 3}, false, 0},
    {{"0x10", 4}, false, 0},
    {{"1.0", 3}, false, 0},
    {{"1e3", 3}, false, 0},
    {{"1\000", 2}, false, 0},
};

static const struct {
    double x, y, power;
} powers[] = {
    {0x0p+00, 0x0p+00, 0x1p+00},
    {0x0p+00, -0x0p+00, 0x1p+00},
    {0x0p+00, 0x1p+00, 0x0p+00},
    {0x0p+00, 0x1p+01, 0x0p+00},
    {0x0p+00, -0x1p+00, INFINITY},
    {0x0p+00, -0x1.8p+01, INFINITY},
    {0x0p+00, 0x1p-01, 0x0p+00},
    {0x0p+00, -0x1p-01, INFINITY},
    {0x0p+00, 0x1.158e460913dp+63, 0x0p+00},
    {0x0p+00, INFINITY, 0x0p+00},
    {0x0p+00, -INFINITY, INFINITY},
    {0x0p+00, NAN, NAN},
    {-0x0p+00, 0x0p+00, 0x1p+00},
    {-0x0p+00, -0x0p+00, 0x1p+00},
    {-0x0p+00, 0x1p+00, -0x0p+00},
    {-0x0p+00, 0x1p+01, 0x0p+00},
    {-0x0p+00, -0x1p+00, -INFINITY},
    {-0x0p+00, -0x1.8p+01, -INFINITY},
    {-0x0p+00, 0x1p-01, 0x0p+00},
    {-0x0p+00, -0x1p-01, INFINITY},
    {-0x0p+00, 0x1.158e460913dp+63, 0x0p+00},
    {-0x0p+00, INFINITY, 0x0p+00},
    {-0x0p+00, -INFINITY, INFINITY},
    {-0x0p+00, NAN, NAN},
    {0x1p+00, 0x0p+00, 0x1p+00},
    {0x1p+00, -0x0p+00, 0x1p+00},
    {0x1p+00, 0x1p+00, 0x1p+00},
    {0x1p+00, 0x1p+01, 0x1p+00},
    {0x1p+00, -0x1p+00, 0x1p+00},
    {0x1p+00, -0x1.8p+01, 0x1p+00},
    {0x1p+00, 0x1p-01, 0x1p+00},
    {0x1p+00, -0x1p-01, 0x1p+00},
    {0x1p+00, 0x1.158e460913dp+63, 0x1p+00},
    {0x1p+00, INFINITY, 0x1p+00},
    {0x1p+00, -INFINITY, 0x1p+00},
    {0x1p+00, NAN, 0x1p+00},
    {-0x1p+00, 0x0p+00, 0x1p+00},
    {-0x1p+00, -0x0p+00, 0x1p+00},
    {-0x1p+00, 0x1p+00, -0x1p+00},
    {-0x1p+00, 0x1p+01, 0x1p+00},
    {-0x1p+00, -0x1p+00, -0x1p+00},
    {-0x1p+00, -0x1.8p+01, -0x1p+00},
    {-0x1p+00, 0x1p-01, NAN},
    {-0x1p+00, -0x1p-01, NAN},
    {-0x1p+00, 0x1.158e460913dp+63, 0x1p+00},
    {-0x1p+00, INFINITY, 0x1p+00},
    {-0x1p+00, -INFINITY, 0x1p+00},
    {-0x1p+00, NAN, NAN},
    {0x1p+01, 0x0p+00, 0x1p+00},
    {0x1p+01, -0x0p+00, 0x1p+00},
    {0x1p+01, 0x1p+00, 0x1p+01},
    {0x1p+01, 0x1p+01, 0x1p+02},
    {0x1p+01, -0x1p+00, 0x1p-01},
    {0x1p+01, -0x1.8p+01, 0x1p-03},
    {0x1p+01, 0x1p-01, 0x1.6a09e667f3bcdp+00},
    {0x1p+01, -0x1p-01, 0x1.6a09e667f3bccp-01},
    {0x1p+01, 0x1.158e460913dp+63, INFINITY},
    {0x1p+01, INFINITY, INFINITY},
    {0x1p+01, -INFINITY, 0x0p+00},
    {0x1p+01, NAN, NAN},
    {-0x1.8p+01, 0x0p+00, 0x1p+00},
    {-0x1.8p+01, -0x0p+00, 0x1p+00},
    {-0x1.8p+01, 0x1p+00, -0x1.8p+01},
    {-0x1.8p+01, 0x1p+01, 0x1.2p+03},
    {-0x1.8p+01, -0x1p+00, -0x1.5555555555555p-02},
    {-0x1.8p+01, -0x1.8p+01, -0x1.2f684bda12f68p-05},
    {-0x1.8p+01, 0x1p-01, NAN},
    {-0x1.8p+01, -0x1p-01, NAN},
    {-0x1.8p+01, 0x1.158e460913dp+63, INFINITY},
    {-0x1.8p+01, INFINITY, INFINITY},
    {-0x1.8p+01, -INFINITY, 0x0p+00},
    {-0x1.8p+01, NAN, NAN},
    {0x1.3333333333333p-02, 0x0p+00, 0x1p+00},
    {0x1.3333333333333p-02, -0x0p+00, 0x1p+00},
    {0x1.3333333333333p-02, 0x1p+00, 0x1.3333333333333p-02},
    {0x1.3333333333333p-02, 0x1p+01, 0x1.70a3d70a3d70ap-04},
    {0x1.3333333333333p-02, -0x1p+00, 0x1.aaaaaaaaaaaabp+01},
    {0x1.3333333333333p-02, -0x1.8p+01, 0x1.284bda12f684cp+05},
    {0x1.3333333333333p-02, 0x1p-01, 0x1.186f174f88472p-01},
    {0x1.3333333333333p-02, -0x1p-01, 0x1.d363d1848dcbfp+00},
    {0x1.3333333333333p-02, 0x1.158e460913dp+63, 0x0p+00},
    {0x1.3333333333333p-02, INFINITY, 0x0p+00},
    {0x1.3333333333333p-02, -INFINITY, INFINITY},
    {0x1.3333333333333p-02, NAN, NAN},
    {INFINITY, 0x0p+00, 0x1p+00},
    {INFINITY, -0x0p+00, 0x1p+00},
    {INFINITY, 0x1p+00, INFINITY},
    {INFINITY, 0x1p+01, INFINITY},
    {INFINITY, -0x1p+00, 0x0p+00},
    {INFINITY, -0x1.8p+01, 0x0p+00},
    {INFINITY, 0x1p-01, INFINITY},
    {INFINITY, -0x1p-01, 0x0p+00},
    {INFINITY, 0x1.158e460913dp+63, INFINITY},
    {INFINITY, INFINITY, INFINITY},
    {INFINITY, -INFINITY, 0x0p+00},
    {INFINITY, NAN, NAN},
    {-INFINITY, 0x0p+00, 0x1p+00},
    {-INFINITY, -0x0p+00, 0x1p+00},
    {-INFINITY, 0x1p+00, -INFINITY},
    {-INFINITY, 0x1p+01, INFINITY},
    {-INFINITY, -0x1p+00, -0x0p+00},
    {-INFINITY, -0x1.8p+01, -0x0p+00},
    {-INFINITY, 0x1p-01, INFINITY},
    {-INFINITY, -0x1p-01, 0x0p+00},
    {-INFINITY, 0x1.158e460913dp+63, INFINITY},
    {-INFINITY, INFINITY, INFINITY},
    {-INFINITY, -INFINITY, 0x0p+00},
    {-INFINITY, NAN, NAN},
    {NAN, 0x0p+00, 0x1p+00},
    {NAN, -0x0p+00, 0x1p+00},
    {NAN, 0x1p+00, NAN},
    {NAN, 0x1p+01, NAN},
    {NAN, -0x1p+00, NAN},
    {NAN, -0x1.8p+01, NAN},
    {NAN, 0x1p-01, NAN},
    {NAN, -0x1p-01, NAN},
    {NAN, 0x1.158e460913dp+63, NAN},
    {NAN, INFINITY, NAN},
    {NAN, -INFINITY, NAN},
    {NAN, NAN, NAN},
    {0x1.199999999999ap+00, 0x1.8p+01, 0x1.54bc6a7ef9db4p+00},
    {0x1.199999999999ap+00, 0x1.4p+03, 0x1.4bffc0c03023dp+01},
    {0x1.599999999999ap+01, 0x1.ep+03, 0x1.68a245a7042p+21},
    {0x1.8f9999999999ap+06, 0x1.cp+02, 0x1.694248c00b27ep+46},
    {0x1.8f9999999999ap+06, -0x1.cp+02, 0x1.6ad1f25c6539ep-47},
    {-0x1.a666666666666p+01, 0x1.4p+02, -0x1.875a9b280f12ap+08},
    {0x1.6666666666666p-01, 0x1.f4p+09, 0x1.58225657b31e8p-515},
    {0x1.6666666666666p-01, 0x1.77p+11, 0x0p+00},
    {0x1.00068db8bac71p+00, 0x1.86ap+16, 0x1.57fdd2fe5f8bdp+14},
    {0x1.4p+03, 0x1.34p+08, 0x1.1ccf385ebc8a3p+1023},
    {0x1.4p+03, 0x1.35p+08, INFINITY},
    {0x1.4p+03, -0x1.4p+08, 0x1.fap-1064},
    {0x1.4p+03, -0x1.9p+08, 0x0p+00},
    {0x1p-1074, 0x1p+01, 0x0p+00},
    {0x1p+01, -0x1.0c8p+10, 0x1p-1074},
    {0x1p+01, -0x1.0ccp+10, 0x0p+00},
    {0x1p+01, 0x1.ff8p+09, 0x1p+1023},
    {0x1p+01, 0x1p+10, INFINITY},
    {0x1.4e718d7d7625ap+664, 0x1.8p+01, INFINITY},
    {0x1.8p+01, 0x1.38p+05, 0x1.c1ec8b85c2ffcp+61},
    {0x1.ep+02, 0x1.6p+03, 0x1.f77b68066bcp+31},
    {-0x1p+00, 0x1.7e43c8800759cp+996, 0x1p+00},
    {0x1.ff7ced916872bp-01, 0x1.7e43c8800759cp+996, 0x0p+00},
    {0x1.004189374bc6ap+00, -0x1.7e43c8800759cp+996, 0x0p+00},
    {-0x1p+01, 0x1.3333333333333p-02, NAN},
    {-0x1p+03, 0x1.5555555555555p-02, NAN},
};

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void test_formats(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        text_clear(&out);
        assert_true(lib_add_float(&out, formats[i].value));
        assert_string_equal(out.bytes, formats[i].string);
        text_clear(&out);
        assert_true(lib_json_add_float(&out, formats[i].value, NULL));
        assert_string_equal(out.bytes, formats[i].json);
    }
    text_done(&out);
}

static void test_formats_without_digits(void **state)
{
    static const struct {
        double value;
        const char *string;
    } rows[] = {{NAN, "NaN"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}};
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        text_clear(&out);
        assert_true(lib_add_float(&out, rows[i].value));
        assert_string_equal(out.bytes, rows[i].string);
        assert_false(lib_json_add_float(&out, rows[i].value, NULL));
    }
    text_clear(&out);
    assert_true(lib_add_int(&out, INT64_MIN));
    assert_string_equal(out.bytes, "-9223372036854775808");
    text_done(&out);
}

static void test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        double value = 0;
        if (lib_parse_float(floats[i].text, &value) != floats[i].ok || !same(value, floats[i].value))
            fail_msg("float \"%s\" gives %a", floats[i].text.bytes, value);
    }
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        int64_t value = 0;
        if (lib_parse_int(ints[i].text, &value) != ints[i].ok || value != ints[i].value)
            fail_msg("int \"%s\" gives %lld", ints[i].text.bytes, (long long)value);
    }
}

static void test_powers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
        double power = lib_pow(powers[i].x, powers[i].y);
        if (!same(power, powers[i].power))
            fail_msg("%a ** %a is %a, not %a", powers[i].x, powers[i].y, power, powers[i].power);
    }
}

/* Through exp() and log(), whose last bits are not Go's: near is enough (expr-language.md 5.3). */
static void test_fractional_powers(void **state)
{
    static const double cases[][3] = {{2, 0.3, 1.2311444133449163},
                                      {10, -2.75, 0.0017782794100389225},
                                      {0.5, 3.9, 0.066985841408518321},
                                      {1e100, 0.123, 1995262314968.8792}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(fabs(lib_pow(cases[i][0], cases[i][1]) / cases[i][2] - 1) < 1e-13);
}

static void test_conversion_to_int(void **state)
{
    static const struct {
        double value;
        int64_t expected;
    } rows[] = {
        {2.9, 2},
        {-2.9, -2},
        {-0.0, 0},
        {9223372036854774784.0, INT64_C(9223372036854774784)},
        {0x1p63, INT64_MIN},
        {-0x1p63, INT64_MIN},
        {-0x1.8p63, INT64_MIN},
        {NAN, INT64_MIN},
        {INFINITY, INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(lib_float_to_int(rows[i].value) == rows[i].expected);
}

static void test_rounding(void **state)
{
    static const double cases[][2] = {{2.5, 3},
                                      {-2.5, -3},
                                      {0.49999999999999994, 0},
                                      {-0.2, -0.0},
                                      {1e300, 1e300},
                                      {0.5, 1},
                                      {4503599627370497.5, 4503599627370498}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(same(lib_round(cases[i][0]), cases[i][1]));
}

static void test_full_texts(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 3);
    assert_false(lib_add_float(&out, 1.25));
    assert_true(out.overflowed);
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),           cmocka_unit_test(test_formats_without_digits),
        cmocka_unit_test(test_reading),           cmocka_unit_test(test_powers),
        cmocka_unit_test(test_fractional_powers), cmocka_unit_test(test_conversion_to_int),
        cmocka_unit_test(test_rounding),          cmocka_unit_test(test_full_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

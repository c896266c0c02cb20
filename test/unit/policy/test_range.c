/* Interval arithmetic over the text of formulas: a counts from 0 up, c is a cron (1 up), p counts pods. */
#include "check.h"

#include <math.h>

#include "policy/policy_internal.h"

static const struct range_name names[] = {{"a", 0, false}, {"b", 0, false}, {"c", 1, false}, {"p", 0, true}};

/* zero: the divisors that can be 0, blank between two. */
static const struct {
    const char *formula;
    bool known;
    double low, high;
    const char *zero;
} rows[] = {
    {"5", true, 5, 5, ""},
    {"a", true, 0, INFINITY, ""},
    {"-a + 3", true, -INFINITY, 3, ""},
    {"a - b", true, -INFINITY, INFINITY, ""},
    {"2 * c - 1", true, 1, INFINITY, ""},
    {"a > 5 ? 1 : 0", true, 0, 1, ""},
    {"a > 5 && b < 3 || !(a == 1)", true, 0, 1, ""},
    {"a ?? 7", true, 0, INFINITY, ""},
    {"max(a, 3)", true, 3, INFINITY, ""},
    {"min(a, 3, 4)", true, 0, 3, ""},
    {"clamp(a, 2, 8)", true, 2, 8, ""},
    {"ceil(min(a, 2.5))", true, 0, 3, ""},
    {"abs(-a - 1)", true, 1, INFINITY, ""},
    {"avg_over(a, \"5m\") + 1", true, 1, INFINITY, ""},
    {"between(\"08:00\", \"20:00\", \"UTC\") ? 5 : 2", true, 2, 5, ""},
    {"a ** 2", true, 0, INFINITY, ""},
    {"0.5 + 1e2", true, 100.5, 100.5, ""},
    {"a / b", true, 0, INFINITY, "b"},
    {"a / c", true, 0, INFINITY, ""},
    {"a / 2 // half of it", true, 0, INFINITY, ""},
    {"a / (b + 1)", true, 0, INFINITY, ""},
    {"a / (b - 1)", true, -INFINITY, INFINITY, "(b - 1)"},
    {"1 / (a / p)", true, 0, INFINITY, "p (a / p)"},
    {"b > 0 ? a / b : 0", true, 0, INFINITY, ""},
    {"b == 0 ? 0 : a / b", true, 0, INFINITY, ""},
    {"b > 0 && a / b > 2 ? 1 : 0", true, 0, 1, ""},
    {"a > 0 ? a / b : 0", true, 0, INFINITY, "b"},
    {"a % b", true, -INFINITY, INFINITY, "b"},
    {"a / 0", true, 0, INFINITY, "0"},
    {"sum([a, b])", false, 0, 0, ""},
    {"count([a], {# > 1})", false, 0, 0, ""},
    {"$env[\"x-y\"]", false, 0, 0, ""},
    {"let x = a; x", false, 0, 0, ""},
    {"a | max(3)", false, 0, 0, ""},
    {"nobody", false, 0, 0, ""},
    {"a +", false, 0, 0, ""},
    {"", false, 0, 0, ""},
    {"((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))))))"
     "))))))))))))))))))))))))))))))))",
     false, 0, 0, ""},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range_result r;
        struct text zero;

        formula_range(rows[i].formula, names, sizeof(names) / sizeof(names[0]), &r);
        text_init(&zero, 1000);
        for (size_t k = 0; k < r.divisor_count; k++) {
            if (r.divisors[k].zero)
                text_printf(&zero, "%s%s", zero.length ? " " : "", r.divisors[k].text);
        }
        if (r.known != rows[i].known || (r.known && (r.low != rows[i].low || r.high != rows[i].high)) ||
            strcmp(zero.bytes, rows[i].zero) != 0)
            fail_msg("%s: known %d, %g..%g, zero \"%s\"", rows[i].formula, r.known, r.low, r.high, zero.bytes);
        text_done(&zero);
    }
}

static void test_identifiers(void **state)
{
    (void)state;
    assert_true(source_uses("max(target, 1)", "target"));
    assert_false(source_uses("targets + 1", "target"));
    assert_false(source_uses("\"target\" == x.target // target", "target"));
    assert_true(source_uses("$env[\"a\"] + 1e3", "$env"));
    assert_false(source_uses("1e3 + 0x1f", "e3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_identifiers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What values formulas can have: a, b from 0 up, c is 1 or more (a cron), p counts pods, s is 0..1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "formula/range.h"

static const char *const names[] = {"a", "b", "c", "p", "s"};
static const struct range_name ranges[] = {
    {0, INFINITY, false}, {0, INFINITY, false}, {1, INFINITY, false}, {0, INFINITY, true}, {0, 1, false}};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void examine(const char *formula, struct range_result *out)
{
    struct formula_options options = {.names = names, .name_count = NAMES, .extensions = true, .history = true};
    struct formula_state state = {.min_replicas = 1, .max_replicas = 20, .target = 10};

    formula_range(formula, strlen(formula), &options, ranges, &state, out);
}

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
    {"max(a, 1 - 0 / c)", true, 1, INFINITY, ""},
    {"max(a, 1 - 0 / b)", true, 0, INFINITY, "b"}, /* at b = 0 the second is no number, and a is what is left */
    {"min(1, 0 / b)", true, 0, 1, "b"},
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
    {"a / (b - 1)", true, -INFINITY, INFINITY, "b - 1"},
    {"1 / (a / p)", true, 0, INFINITY, "p a / p"},
    {"b > 0 ? a / b : 0", true, 0, INFINITY, ""},
    {"b == 0 ? 0 : a / b", true, 0, INFINITY, ""},
    {"b > 0 && a / b > 2 ? 1 : 0", true, 0, 1, ""},
    {"a > 0 ? a / b : 0", true, 0, INFINITY, "b"},
    {"int(a) % int(b)", true, 0, INFINITY, "int(b)"},
    {"a / 0", true, 0, INFINITY, "0"},
    {"s * 100 - 20", true, -20, 80, ""},
    {"s > 0 ? a / s : 0", true, 0, INFINITY, ""},
    {"a > 10 ? a : 10", true, 10, INFINITY, ""},
    {"a > 10 ? 10 : a", true, 0, 10, ""},
    {"a > 10 ? avg_over(a, \"5m\") : 12", true, 0, INFINITY, ""},
    {"a > 10 ? ema(a * 2, \"5m\") : 12", true, 0, INFINITY, ""},
    {"a > 10 ? clamp(a, 0, 50) : 12", true, 10, 50, ""},
    {"a >= 2 && b > 0 ? 6 / a : 3", true, 0, 3, ""},
    {"a < 1 || b / a > 2 ? 1 : 0", true, 0, 1, ""},
    {"a / max_replicas", true, 0, INFINITY, ""},
    {"min_replicas + max_replicas", true, 21, 21, ""},
    {"min(replicas, 50)", true, 0, 20, ""},
    {"hour(\"UTC\")", true, 0, 23, ""},
    {"let x = b + 1; a / x", true, 0, INFINITY, ""},
    {"sum([a, c])", true, 1, INFINITY, ""},
    {"a / count([b], {# > 1})", true, -INFINITY, INFINITY, ""},
    {"$env[\"a\"] + 1", true, 1, INFINITY, ""},
    {"a | max(3)", true, 3, INFINITY, ""},
    {"nobody", false, 0, 0, ""},
    {"a +", false, 0, 0, ""},
    {"", false, 0, 0, ""},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range_result r;
        struct text zero;

        examine(rows[i].formula, &r);
        text_init(&zero, 1000);
        for (size_t k = 0; k < r.divisor_count; k++) {
            if (r.divisors[k].zero)
                text_printf(&zero, "%s%s", zero.length ? " " : "", r.divisors[k].text);
        }
        if (r.known != rows[i].known || r.low != rows[i].low || r.high != rows[i].high ||
            strcmp(zero.bytes, rows[i].zero) != 0)
            fail_msg("%s: known %d, %g..%g, zero \"%s\"", rows[i].formula, r.known, r.low, r.high, zero.bytes);
        text_done(&zero);
    }
}

/* "a+": rises with a, "a-": falls, "a*": both; P the pods, F a feedback; "a=": a missing value is thought of. */
static const struct {
    const char *formula, *moves;
} directions[] = {
    {"5", ""},
    {"a", "a+"},
    {"-a", "a-"},
    {"a - b", "a+ b-"},
    {"a * b", "a+ b+"},
    {"a * (b - 3)", "a* b+"},
    {"a / b", "a+ b-"},
    {"1 / (a / p)", "a- P+ F"},
    {"p / a", "a- P+ F"},
    {"2 * p / max(a, 1)", "a- P+ F"},
    {"a / p", "a+ P-"},
    {"a * replicas", "a+ P+"},
    {"a / (ready_replicas / replicas)", "a+ P*"},
    {"replicas + (a > 10 ? 1 : b > 3 ? -1 : 0)", "a+ b- P+"},
    {"replicas > 3 ? a : b", "a+ b+ P*"},
    {"a > 5 ? 1 : 0", "a+"},
    {"a < 5 ? 1 : 0", "a-"},
    {"a > 5 ? 0 : 1", "a-"},
    {"!(a > 5) ? 1 : 0", "a-"},
    {"a >= 100 ? b : 0", "a+ b+"},
    {"a > 5 && b < 3 ? 1 : 0", "a+ b-"},
    {"a == 5 ? 1 : 0", "a*"},
    {"max(a, 10 - b)", "a+ b-"},
    {"abs(a - 5)", "a*"},
    {"int(a) % 5", "a*"},
    {"a ** 2", "a+"},
    {"ceil(a / 10)", "a+"},
    {"a ?? 7", "a+ a="},
    {"missing(a) ? 3 : a", "a+ a="},
    {"recent(a, \"5m\") ?? 1", "a+ a="},
    {"avg_over(a, \"5m\") + ema(b, \"1m\")", "a+ b+"},
    {"delta(a, \"5m\")", "a*"},
    {"hysteresis(a, 2, b) ? 1 : 0", "a+ b-"},
    {"clamp(a, 1, b)", "a+ b+"},
    {"let x = a * 2; x + b", "a+ b+"},
    {"sum([a, b])", "a+ b+"},
    {"mean(a, b)", "a+ b+"},
    {"count([a, b], {# > 1})", "a* b*"},
    {"a in [1, 2] ? 1 : 0", "a*"},
};

static void write_directions(const struct range_result *r, struct text *out)
{
    for (size_t i = 0; i < NAMES; i++) {
        bool up = r->rises >> i & 1, down = r->falls >> i & 1;

        if (up || down)
            text_printf(out, "%s%s%c", out->length ? " " : "", names[i], up && down ? '*' : up ? '+' : '-');
    }
    if (r->rises_with_pods || r->falls_with_pods)
        text_printf(out, "%sP%c", out->length ? " " : "",
                    r->rises_with_pods && r->falls_with_pods ? '*'
                    : r->rises_with_pods                     ? '+'
                                                             : '-');
    text_add(out, r->feedback ? " F" : "");
    for (size_t i = 0; i < NAMES; i++) {
        if (r->covered >> i & 1)
            text_printf(out, " %s=", names[i]);
    }
}

static void test_directions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
        struct range_result r;
        struct text text;

        examine(directions[i].formula, &r);
        text_init(&text, 1000);
        write_directions(&r, &text);
        if (!r.known || strcmp(text.bytes ? text.bytes : "", directions[i].moves) != 0)
            fail_msg("%s: %s, not %s", directions[i].formula, text.bytes, directions[i].moves);
        text_done(&text);
    }
}

static const struct {
    const char *formula;
    bool counted;
    double divided_by, added;
    int sole;
} shapes[] = {
    {"a", false, 0, 0, 0},
    {"b + 1", false, 0, 1, 1},
    {"2 + b", false, 0, 2, 1},
    {"a + b + 1", false, 0, 1, -1},
    {"ceil(a / 10)", true, 10, 0, 0},
    {"max(1, ceil(a / 10.5))", true, 10.5, 0, 0},
    {"clamp(a / 4, min_replicas, max_replicas)", false, 4, 0, 0},
    {"max(a, b)", false, 0, 0, -1},
    {"a / b", false, 0, 0, -1},
    {"a > 1 ? 5 : 1", false, 0, 0, -1},
};

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct range_result r;

        examine(shapes[i].formula, &r);
        if (!r.known || r.counted != shapes[i].counted || r.divided_by != shapes[i].divided_by ||
            r.added != shapes[i].added || r.sole != shapes[i].sole)
            fail_msg("%s: counted %d, divided by %g, added %g, sole %d", shapes[i].formula, r.counted, r.divided_by,
                     r.added, r.sole);
    }
}

static void test_windows_and_uses(void **state)
{
    struct range_result r;

    (void)state;
    examine("max_over(a, \"5m\") + rate(b, 90) + recent(c, \"10m\")", &r);
    assert_int_equal(r.window_count, 3);
    assert_string_equal(r.windows[0].function, "max_over");
    assert_int_equal(r.windows[0].name, 0);
    assert_int_equal(r.windows[0].window_ms, 300 * 1000);
    assert_int_equal(r.windows[1].window_ms, 90 * 1000);
    assert_int_equal(r.windows[2].window_ms, 600 * 1000);
    examine("hour(\"UTC\") > 8 ? target : 0", &r);
    assert_true(r.uses_clock && r.uses_target && !r.uses_replicas);
    examine("a + pending_replicas", &r);
    assert_true(r.uses_replicas && !r.uses_clock && !r.uses_target);
}

/* However long or deep: an answer, and soon. */
static void test_bounds(void **state)
{
    struct range_result r;
    struct text text;

    (void)state;
    text_init(&text, 100 * 1000);
    text_add(&text, "a");
    for (int i = 0; i < 4000; i++)
        text_add(&text, " + a");
    examine(text.bytes, &r);
    assert_true(r.known);
    assert_false(r.low > 0);
    text_done(&text);
    examine("let x = a + a; let y = x + x; let z = y + y; z < z + 1 < 2 * z ? 1 : 0", &r);
    assert_true(r.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_directions),
                                       cmocka_unit_test(test_shapes), cmocka_unit_test(test_windows_and_uses),
                                       cmocka_unit_test(test_bounds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Weir's own names: history, freshness, calendar, state, and functions that remember (DESIGN.md 4).
 */
#include "formula_test.h"

#include "base/time.h"
#include "series/series.h"

enum { NOON = 1768478400 }; /* Thu 2026-01-15 12:00:00 UTC */

static struct series *ramp(void) /* 0 at -10 min, 1 at -9 min ... 10 now */
{
    struct series *s = series_new(HOUR_MS, 100);

    for (int i = 0; i <= 10; i++)
        series_add(s,
                   &(struct sample){.state = SAMPLE_OK, .value = i, .at_ms = NOON * SECOND_MS - (10 - i) * MINUTE_MS});
    return s;
}

static void test_history(void **state)
{
    static const struct test_row rows[] = {
        {"avg_over(a, '2m')", "9.5"},
        {"max_over(a, '5m')", "10"},
        {"min_over(a, '5m')", "6"},
        {"sum_over(a, '2m')", "19"},
        {"delta(a, '5m')", "4"},
        {"rate(a, '5m') * 60", "1"},
        {"deriv(a, '5m') * 60", "1"},
        {"ago(a, '3m')", "7"},
        {"recent(a, 30)", "10"},
        {"quantile_over(a, 0.5, '3m')", "9"},
        {"round(predict_linear(a, '5m', '5m'))", "15"},
        {"avg_over(b, '5m')", "nil"},
        {"avg_over(b, '5m') ?? 3", "int 3"},
        {"avg_over($env['a'], '2m')", "9.5"},
        {"age(a)", "30"},
        {"age(b)", "nil"},
        {"missing(n)", "true"},
        {"missing(a)", "false"},
        {"avg_over(a + 1, '5m')", "refused bad-argument 1:12"},
        {"avg_over(zz, '5m')", "refused unknown-name 1:10"},
        {"avg_over(a, string(a))", "refused bad-argument 1:13"},
        {"avg_over(a, 'soon')", "refused bad-argument 1:1"},
        {"avg_over(a)", "refused arg-count 1:1"},
        {"avg_over(a, '30d')", "refused bad-argument 1:1"},
        {"avg_over(a, '200h')", "refused limit 1:1"},
    };
    struct series *series[TEST_NAMES] = {ramp()};
    const int64_t at_ms[TEST_NAMES] = {NOON * SECOND_MS - 30 * SECOND_MS};
    struct formula_env env = {
        .values = test_values, .nil = test_nil, .now_ms = NOON * SECOND_MS, .series = series, .at_ms = at_ms};

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, true, &env);
    series_free(series[0]);
}

static void test_history_needed(void **state)
{
    struct formula *f =
        test_compile("avg_over(a, '2m') + max_over(a, '10m') + ago(b, '1h') + age(n)", FORMULA_WRAP_KEDA, true, NULL);
    struct formula_error err;

    (void)state;
    assert_non_null(f);
    assert_int_equal(formula_history_ms(f, 0), 10 * MINUTE_MS);
    assert_int_equal(formula_history_ms(f, 1), HOUR_MS);
    assert_int_equal(formula_history_ms(f, 2), 0);
    assert_true(formula_uses(f, 2) && !formula_uses(f, 3));
    assert_int_equal(formula_memory_bytes(f), 0);
    formula_unref(f);
    assert_null(formula_compile("avg_over(a, '2m')", 17,
                                &(struct formula_options){.names = test_names, .name_count = 1, .extensions = true},
                                &err));
    assert_int_equal(err.fault, FAULT_BAD_ARGUMENT); /* plain values have no past */
}

static void test_state_and_calendar(void **state)
{
    static const struct test_row rows[] = {
        {"replicas + ready_replicas * 10", "23"},
        {"clamp(a, 2, 5)", "2"},
        {"clamp(9, min_replicas, max_replicas)", "9"},
        {"clamp(n, 1, 2)", "nil"},
        {"hour('UTC')", "int 12"},
        {"hour('Europe/Paris')", "int 13"},
        {"minute('UTC')", "int 0"},
        {"weekday('UTC')", "int 4"},
        {"between('08:00', '20:00', 'UTC')", "true"},
        {"between('12:00', '12:01', 'UTC')", "true"},
        {"between('08:00', '12:00', 'UTC')", "false"},
        {"between('20:00', '13:00', 'UTC')", "true"},
        {"between('20:00', '08:00', 'UTC')", "false"},
        {"between('8:00', '20:00', 'UTC')", "refused bad-argument 1:1"},
        {"hour('No/Where')", "refused bad-argument 1:1"},
        {"hour(a)", "refused bad-argument 1:6"},
        {"let target = 5; target", "int 5"},
        {"let hour = 5; hour('UTC')", "refused not-callable 1:15"},
        {"targt + 1", "refused unknown-name 1:1"},
    };
    const struct formula_state target = {3, 2, 1, 1, 10, 5};
    struct formula_env env = {.values = test_values, .nil = test_nil, .now_ms = NOON * SECOND_MS, .state = &target};

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, true, &env);
    env.state = NULL;
    TEST_ROWS(((const struct test_row[]){
                  {"replicas", "nil"}, {"replicas + 1", "fails nil-operand"}, {"replicas ?? 1.0", "1"}}),
              FORMULA_WRAP_NONE, true, &env);
}

/* A trigger's name wins over Weir's; without extensions they are unknown. */
static void test_shadowing(void **state)
{
    static const char *const names[] = {"replicas", "hour"};
    const double values[] = {41, 2};
    const struct formula_state target = {3, 2, 1, 1, 10, 5};
    struct formula_options options = {.names = names, .name_count = 2, .extensions = true};
    struct formula_env env = {.values = values, .state = &target};
    struct formula_error err;
    struct formula_result r;
    struct formula *f = formula_compile("replicas + hour", 15, &options, &err);

    (void)state;
    assert_non_null(f);
    formula_eval(f, &env, &r);
    assert_true(r.value.number == 43);
    formula_unref(f);
    assert_null(formula_compile("hour('UTC')", 11, &options, &err));
    assert_int_equal(err.fault, FAULT_NOT_CALLABLE);
    options.extensions = false;
    assert_null(formula_compile("clamp(hour, 1, 2)", 17, &options, &err));
    assert_int_equal(err.fault, FAULT_UNKNOWN_NAME);
}

struct step {
    int at_s;
    double a;
    const char *expected;
};

/* Evaluates at each step with the same memory, twice: the second time must say the same. */
static void play(const char *text, const struct step *steps, size_t count)
{
    struct formula_error err;
    struct formula *f = test_compile(text, FORMULA_WRAP_NONE, true, &err);
    void *memory;
    struct text out;

    assert_non_null(f);
    memory = calloc(1, formula_memory_bytes(f));
    assert_true(formula_memory_bytes(f) > 0);
    text_init(&out, 256);
    for (size_t i = 0; i < 2 * count; i++) {
        const struct step *s = &steps[i / 2];
        const double values[TEST_NAMES] = {s->a};
        const bool nil[TEST_NAMES] = {isnan(s->a)};
        struct formula_env env = {
            .values = values, .nil = nil, .now_ms = (NOON + s->at_s) * SECOND_MS, .memory = memory};
        struct formula_result r;

        formula_eval(f, &env, &r);
        text_clear(&out);
        test_describe(&r, "", &out);
        if (strcmp(out.bytes, s->expected) != 0)
            fail_msg("%s at %d s: expected %s, got %s", text, s->at_s, s->expected, out.bytes);
    }
    text_done(&out);
    free(memory);
    formula_unref(f);
}

#define PLAY(text, ...)                                                                                                \
    play(text, (const struct step[]){__VA_ARGS__}, sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void test_memory(void **state)
{
    (void)state;
    PLAY("hysteresis(a, 2, 5)", {0, 3, "false"}, {1, 5, "true"}, {2, 3, "true"}, {3, NAN, "nil"}, {4, 3, "true"},
         {5, 2, "false"}, {6, 4.9, "false"});
    PLAY("held(a > 1, '10s')", {0, 2, "false"}, {9, 2, "false"}, {10, 2, "true"}, {11, 0, "false"}, {12, 2, "false"},
         {22, 2, "true"}, {5, 2, "false"}, {15, 2, "true"});
    PLAY("cooldown(a > 1, '10s')", {0, 0, "false"}, {1, 2, "true"}, {5, 0, "true"}, {10, 0, "true"}, {11, 0, "false"},
         {12, 2, "true"});
    PLAY("ema(a, '10s')", {0, 8, "8"}, {10, 0, "4"}, {20, 0, "2"}, {30, INFINITY, "2"}, {30, 2, "2"}, {40, 2, "2"});
    /* a branch not taken does not touch its memory; two calls have two slots */
    PLAY("a > 0 ? ema(a, '10s') : 0", {0, 8, "8"}, {10, -1, "int 0"}, {10, 4, "6"});
    PLAY("ema(a, '10s') - ema(a * 2, '10s')", {0, 8, "-8"}, {10, 0, "-4"});
}

static void test_memory_rules(void **state)
{
    static const struct test_row rows[] = {
        {"map([1], ema(a, '1m'))", "refused bad-argument 1:10"},
        {"held(a, '1m')", "refused bad-argument 1:6"},
        {"ema(a, '0s')", "refused bad-argument 1:1"},
        {"ema(a, '1m')", "1.5"},
        {"hysteresis(a, 1, 2) ? 1 : 0", "int 0"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, true, &env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_needed),
        cmocka_unit_test(test_state_and_calendar),
        cmocka_unit_test(test_shadowing),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

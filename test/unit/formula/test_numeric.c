/*
 * The fast path: exact where ints and floats meet, silent where nil matters, small. test_outcome evaluates every row
 * on both paths.
 */
#include "formula_test.h"

static void test_same_as_boxed(void **state)
{
    static const struct test_row rows[] = {
        {"a + b * 2 - 1 / 4", "-2.75"},
        {"1 / 0", "+Inf"},
        {"-1 / 0", "-Inf"},
        {"0 / 0", "NaN"},
        {"a ** 2 + b ^ 3", "-5.75"},
        {"-a", "-1.5"},
        {"a > 1 ? 1 : a", "int 1"},
        {"9223372036854775807 + 1", "int -9223372036854775808"},
        {"int(a) * 5 % 3", "int 2"},
        {"int(a) % int(b + 2)", "fails divide-by-zero"},
        {"int(0 / 0.0)", "int -9223372036854775808"},
        {"(int(a) - 1) * -5", "int 0"},
        {"a > 1 && b < 0 || n > 1", "true"},
        {"a < 1 && n > 1", "false"},
        {"not (a > 1)", "false"},
        {"a > 1 == b > 1", "refused type-mismatch 1:7"},
        {"(a > 1) == (b > 1)", "false"},
        {"n ?? a", "1.5"},
        {"n ?? b ?? a", "-2"},
        {"n ?? n", "nil"},
        {"n == nil ? a : b", "1.5"},
        {"a != nil ? a : n", "1.5"},
        {"a > 9 ? n : b", "-2"},
        {"a < 9 ? n : b", "nil"},
        {"let x = a + 1; x * x", "6.25"},
        {"let x = (n ?? 2.0) * 1; let y = x * 2; x + y", "6"},
        {"sum([a, b, 0.3])", "-0.19999999999999996"},
        {"sum([a * 0 + 0.1, 0.2, 0.3])", "0.6"},
        {"max(a, b, 3)", "int 3"},
        {"min([a, b], 0)", "-2"},
        {"mean([a, b, 1, 2])", "0.625"},
        {"median([a, b, 1])", "1"},
        {"median(a, b)", "-0.25"},
        {"max(1, 2) + min(3, 4)", "int 5"},
        {"ceil(a) + floor(a) + round(b / 4)", "2"},
        {"abs(b) + abs(-3)", "5"},
        {"max(0 / 0.0, 1)", "NaN"},
        {"max(1, 0 / 0.0)", "int 1"},
        {"1 / max(b * 0, 0)", "-Inf"},
        {"9007199254740993 == 9007199254740992.0", "true"},
        {"a >= 1.5 && a <= 1.5 && !(a < 1.5) && !(a > 1.5)", "true"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

/* float(...) around an int-or-float: the fast path holds it as a double, and zero keeps its sign. */
static void test_either_wrapped(void **state)
{
    static const struct test_row rows[] = {
        {"a > 1 ? 1 : a", "1"},
        {"(a > 1 ? 0 : a) * -5" /* of ints: no sign */, "0"},
        {"(a > 1 ? 0.0 : a) * -5", "-0"},
        {"-(a > 1 ? 0 : a)", "0"},
        {"(a > 9 ? 1 : a) + (b > 9 ? 2 : b)", "-0.5"},
        {"max(1, a) + 1", "2.5"},
        {"(a > 9 ? 0 : 1) - (b > 0 ? 1 : 1)", "0"},
        {"a > 1 ? (b > 1 ? 1 : 2) : (b > 3 ? a : 4)", "2"},
        {"n ?? 5", "5"},
        {"(n ?? 5) + a", "6.5"},
        {"max(n ?? 0, a)", "1.5"},
        {"n", "fails nil-operand"},
        {"a + n", "fails nil-operand"},
        {"(n ?? 1) + n", "fails nil-operand"},
        {"int(a > 1 ? 2 : a)", "2"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_KEDA, false, &env);
}

/* What a usual formula costs in memory, and that large ones still work. */
static void test_sizes(void **state)
{
    static const char usual[] = "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0";
    static const char *const names[] = {"validation_drift", "available_gpus", "request_queue_length"};
    static const double values[] = {0.3, 4, 120};
    struct formula_env env = {.values = values};
    struct formula_result r;
    struct formula *f =
        formula_compile(usual, sizeof(usual) - 1,
                        &(struct formula_options){.names = names, .name_count = 3, .wrap = FORMULA_WRAP_KEDA}, NULL);

    (void)state;
    assert_non_null(f);
    assert_true(formula_bytes(f) < 600);
    assert_true(formula_uses(f, 0) && formula_uses(f, 2) && !formula_uses(f, 3));
    assert_string_equal(formula_source(f), usual);
    formula_eval(f, &env, &r);
    assert_int_equal(r.value.type, FORMULA_NUMBER);
    assert_true(r.value.number == 1);
    formula_unref(formula_ref(f));
    formula_unref(f);
}

static void test_more_than_a_frame_holds(void **state)
{
    struct text text, out;
    struct formula_env env = TEST_ENV;

    (void)state;
    text_init(&text, 64 * 1024);
    text_init(&out, 1024);
    text_add(&text, "0.0");
    for (int i = 1; i <= 300; i++) /* 300 constants: more than the 256 registers */
        text_printf(&text, " + a * %d.5", i);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "67950");
    text_clear(&text);
    text_add(&text, "a");
    for (int i = 1; i < 5000; i++)
        text_add(&text, "+a");
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "7500");
    text_done(&text);
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_boxed),
        cmocka_unit_test(test_either_wrapped),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_more_than_a_frame_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

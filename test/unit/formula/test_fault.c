/*
 * What a person is told: places in the user's text, nearest names, traces, and why a result is not finite.
 */
#include "formula_test.h"

static void test_messages(void **state)
{
    static const struct {
        const char *formula, *says;
        int line, column;
    } rows[] = {
        {"a + my_trigge", "unknown name 'my_trigge'", 1, 5},
        {"a + maxx(1, 2)", "did you mean 'max'", 1, 5},
        {"aa + 1", "did you mean 'a'", 1, 1},
        {"let total = a; totl", "did you mean 'total'", 1, 16},
        {"a % 2", "use int(...)", 1, 3},
        {"a > 1", "? 1 : 0", 1, 3},
        {"sum(a)", "put the values in brackets", 1, 5},
        {"not a == b", "write not (...)", 1, 1},
        {"(a", "ends too early", 1, 3},
        {"n ?? 1 > 2", "parentheses", 1, 8},
        {"a\n + ) b", "unexpected ')'", 2, 4},
        {"avg_ovr(a, '5m')", "did you mean 'avg_over'", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct formula_error err;

        assert_null(test_compile(rows[i].formula, FORMULA_WRAP_KEDA, true, &err));
        if (!strstr(err.text, rows[i].says) || err.line != rows[i].line || err.column != rows[i].column)
            fail_msg("%s: got %d:%d %s", rows[i].formula, err.line, err.column, err.text);
        assert_true(formula_fault_is_compile(err.fault));
    }
}

static void test_shown_with_caret(void **state)
{
    static const char source[] = "1 +\n\ta + zz";
    struct formula_error err;
    struct text out;

    (void)state;
    text_init(&out, 1024);
    assert_null(test_compile(source, FORMULA_WRAP_KEDA, false, &err));
    assert_int_equal(err.begin, 9);
    assert_int_equal(err.end, 11);
    formula_error_write(&err, source, &out);
    assert_non_null(strstr(out.bytes, "formula:2:6: unknown name 'zz'"));
    assert_non_null(strstr(out.bytes, "\n |  a + zz\n | .....^\n"));
    text_done(&out);
}

static void test_run_error_has_a_place(void **state)
{
    struct formula *f = test_compile("a +\n n * 2", FORMULA_WRAP_KEDA, false, NULL);
    struct formula_env env = TEST_ENV;
    struct formula_result r;

    (void)state;
    formula_eval(f, &env, &r);
    assert_int_equal(r.value.type, FORMULA_FAILED);
    assert_int_equal(r.error.fault, FAULT_NIL_OPERAND);
    assert_int_equal(r.error.line, 2);
    assert_int_equal(r.error.column, 4);
    assert_int_equal(r.error.begin, 5);
    assert_int_equal(r.error.end, 10);
    formula_unref(f);
}

struct traced {
    const char *source;
    struct text text;
};

static void see(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value, const char *repr)
{
    struct traced *t = arg;

    (void)value;
    text_printf(&t->text, "%d:%.*s=%s;", depth, (int)(end - begin), t->source + begin, repr);
}

static void test_trace(void **state)
{
    static const struct {
        const char *formula, *trace;
        enum formula_wrap wrap;
    } rows[] = {
        {"a + 2 * b", "1:a=1.5;2:b=-2;1:2 * b=-4;0:a + 2 * b=-2.5;", FORMULA_WRAP_KEDA},
        {"a > 1 && n > 1 || true", "0:a > 1 && n > 1 || true=true;", FORMULA_WRAP_NONE},
        {"a > 1 ? 1 : b", "2:a=1.5;1:a > 1=true;0:a > 1 ? 1 : b=1;", FORMULA_WRAP_KEDA},
        {"n ?? 5", "1:n=<nil>;0:n ?? 5=5;", FORMULA_WRAP_KEDA},
        {"let x = a; max(x, 2)", "1:a=1.5;2:x=1.5;1:max(x, 2)=2;0:let x = a; max(x, 2)=2;", FORMULA_WRAP_KEDA},
    };
    struct traced t;
    struct formula_env env = TEST_ENV;

    (void)state;
    text_init(&t.text, 4096);
    env.trace = see;
    env.trace_arg = &t;
    env.trace_repr = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct formula *f = test_compile(rows[i].formula, rows[i].wrap, false, NULL);
        struct formula_result r;

        text_clear(&t.text);
        t.source = rows[i].formula;
        formula_eval(f, &env, &r);
        assert_string_equal(t.text.bytes, rows[i].trace);
        formula_keep_traced(f);
        for (int again = 0; again < 2; again++) {
            text_clear(&t.text);
            formula_eval(f, &env, &r);
            assert_string_equal(t.text.bytes, rows[i].trace);
        }
        formula_unref(f);
    }
    text_done(&t.text);
}

static void test_not_finite(void **state)
{
    static const struct {
        const char *formula, *says;
    } rows[] = {
        {"2 * (a / 0)", "a / 0: division by 0"},
        {"1 + 1 / (a - 1.5)", "1 / (a - 1.5): division by 0"},
        {"(a - a) / (b + 2) * 3", "(a - a) / (b + 2): division by 0"},
        {"a * 1e308 * 1e308", "a * 1e308 * 1e308: too large for a number"},
        {"(0 - a) ** 0.25", "(0 - a) ** 0.25: not a number"},
        {"float('inf')", "float('inf'): too large"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct formula *f = test_compile(rows[i].formula, FORMULA_WRAP_KEDA, false, NULL);
        struct formula_result r;

        formula_eval(f, &env, &r);
        assert_int_equal(r.value.type, FORMULA_NUMBER);
        formula_check_finite(f, &env, &r);
        assert_int_equal(r.value.type, FORMULA_FAILED);
        assert_int_equal(r.error.fault, FAULT_NOT_FINITE);
        if (!strstr(r.error.text, rows[i].says))
            fail_msg("%s: %s", rows[i].formula, r.error.text);
        formula_unref(f);
    }
    struct formula *f = test_compile("a", FORMULA_WRAP_KEDA, false, NULL);
    struct formula_result r;
    formula_eval(f, &env, &r);
    formula_check_finite(f, &env, &r);
    assert_int_equal(r.value.type, FORMULA_NUMBER);
    formula_unref(f);
}

static void test_table_of_functions(void **state)
{
    size_t count;
    const struct formula_function *functions = formula_functions(&count);

    (void)state;
    assert_true(count > 90);
    for (size_t i = 0; i < count; i++) {
        assert_true(strncmp(functions[i].signature, functions[i].name, strlen(functions[i].name)) == 0);
        assert_true(functions[i].summary[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_shown_with_caret),
        cmocka_unit_test(test_run_error_has_a_place),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_table_of_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

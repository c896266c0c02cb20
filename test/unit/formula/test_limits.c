/*
 * Bounds: whatever a formula is, compiling and evaluating it ends, in bounded time, stack and memory, with an error
 * that names the bound.
 */
#include "formula_test.h"

#include "base/limits.h"

static void repeat(struct text *text, const char *part, int times)
{
    for (int i = 0; i < times; i++)
        text_add(text, part);
}

/* before x times, middle, after x times */
static void nested(struct text *text, const char *before, const char *middle, const char *after, int times)
{
    text_clear(text);
    repeat(text, before, times);
    text_add(text, middle);
    repeat(text, after, times);
}

static void test_depth(void **state)
{
    static const struct {
        const char *before, *after;
    } shapes[] = {{"(", ")"},         {"[", "]"},           {"-", ""},
                  {"abs(", ")"},      {"a > 1 ? ", " : 0"}, {"a ** ", ""},
                  {"map([1], ", ")"}, {"let x = 1; ", ""},  {"if a > 1 {", "} else {1}"},
                  {"{x: ", "}"},      {"a - ", ""},         {"a ?? ", ""}};
    struct text text, out;
    struct formula_env env = TEST_ENV;

    (void)state;
    text_init(&text, 1024 * 1024);
    text_init(&out, 64 * 1024);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        nested(&text, shapes[i].before, "a", shapes[i].after, 20 * 1000);
        test_outcome(text.bytes, FORMULA_WRAP_KEDA, false, &env, &out);
        if (strncmp(out.bytes, "refused limit", 13) != 0 && strncmp(out.bytes, "refused node-limit", 18) != 0 &&
            strncmp(out.bytes, "refused redeclare", 17) != 0)
            fail_msg("%s...: %s", shapes[i].before, out.bytes);
    }
    nested(&text, "(", "a", ")", 1000);
    test_outcome(text.bytes, FORMULA_WRAP_KEDA, false, &env, &out);
    assert_string_equal(out.bytes, "1.5");
    text_done(&text);
    text_done(&out);
}

static void test_long_chains(void **state)
{
    struct text text, out;
    struct formula_env env = TEST_ENV;

    (void)state;
    text_init(&text, 1024 * 1024);
    text_init(&out, 1024);
    nested(&text, "", "[[a]]", "[0:]", 3000);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "array [[1.5]]");
    nested(&text, "", "a", " | string() | float()", 2000);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "1.5");
    nested(&text, "a > 0 && ", "a > 0", "", 2400);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "true");
    nested(&text, "", "a", " + a", 5000);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    assert_string_equal(out.bytes, "refused node-limit 1:1");
    text_done(&text);
    text_done(&out);
}

/* Each comparison chain evaluates its middle twice; chains within chains double. */
static void test_doubling_chains(void **state)
{
    struct text text, out;
    struct formula_env env = TEST_ENV;

    (void)state;
    text_init(&text, 64 * 1024);
    text_init(&out, 1024);
    nested(&text, "0 < (", "sum([a][:])", " < 9 ? 1 : 2) < 3", 40);
    test_outcome(text.bytes, FORMULA_WRAP_NONE, false, &env, &out);
    if (strncmp(out.bytes, "refused", 7) != 0)
        fail_msg("%s", out.bytes);
    text_done(&text);
    text_done(&out);
}

static void test_work_and_memory(void **state)
{
    static const struct test_row rows[] = {
        {"let x = 1..30000; all(x, {let y = #; any(x, # == -1) || true})", "true"}, /* any is dropped by folding */
        {"let x = 1..30000; all(x, {let y = #; none(x, # == -y)})", "fails limit"},
        {"let x = 1..900000; all(1..90000, # + 1000000 not in x)", "fails limit"},
        {"reduce(1..64, #acc + #acc, 'ab')", "fails limit"},
        {"len(reduce(1..20000, [#acc]))", "int 1"},
        {"string(reduce(1..20000, [#acc]))", "fails limit"},
        {"toJSON(reduce(1..20000, [#acc]))", "fails limit"},
        {"flatten(reduce(1..20000, [#acc]))", "fails limit"},
        {"max(reduce(1..20000, [#acc]))", "fails limit"},
        {"reduce(1..20000, [#acc]) == reduce(1..20000, [#acc])", "fails limit"},
        {"len(uniq(1..100000))", "fails limit"},
        {"len(1..999999)", "int 999999"},
        {"len(1..1000000)", "fails memory-budget"},
        {"len(map(1..600000, #))", "fails memory-budget"},
        {"len((0 - 9223372036854775807 - 1)..9223372036854775807)", "int 0"},
        {"sort(map(1..3000, -#))[0]", "int -3000"},
        {"len(groupBy(1..20000, # % 1000))", "int 1000"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_source_length(void **state)
{
    char *spaces = malloc(FORMULA_SOURCE_MAX_BYTES + 1);
    struct formula_error err;

    (void)state;
    memset(spaces, ' ', FORMULA_SOURCE_MAX_BYTES + 1);
    assert_null(formula_compile(spaces, FORMULA_SOURCE_MAX_BYTES + 1,
                                &(struct formula_options){.wrap = FORMULA_WRAP_NONE}, &err));
    assert_int_equal(err.fault, FAULT_LIMIT);
    free(spaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth),           cmocka_unit_test(test_long_chains),
        cmocka_unit_test(test_doubling_chains), cmocka_unit_test(test_work_and_memory),
        cmocka_unit_test(test_source_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

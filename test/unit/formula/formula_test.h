/*
 * formula_test: what the tests of the language share: triggers a = 1.5, b = -2, n = nil, my-trigger = 7, and one call
 * that compiles, evaluates and says in a line what came out.
 */
#ifndef WEIR_TEST_FORMULA_TEST_H
#define WEIR_TEST_FORMULA_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "formula/formula.h"

enum { TEST_NAMES = 4 };
static const char *const test_names[TEST_NAMES] = {"a", "b", "n", "my-trigger"};
static const double test_values[TEST_NAMES] = {1.5, -2, 0, 7};
static const bool test_nil[TEST_NAMES] = {false, false, true, false};

static inline struct formula *test_compile(const char *text, enum formula_wrap wrap, bool extensions,
                                           struct formula_error *err)
{
    return formula_compile(text, strlen(text),
                           &(struct formula_options){.names = test_names,
                                                     .name_count = TEST_NAMES,
                                                     .wrap = wrap,
                                                     .extensions = extensions,
                                                     .history = extensions},
                           err);
}

static inline void test_describe(const struct formula_result *r, const char *repr, struct text *out)
{
    switch (r->value.type) {
    case FORMULA_NIL:
        text_add(out, "nil");
        break;
    case FORMULA_BOOL:
        text_add(out, r->value.integer ? "true" : "false");
        break;
    case FORMULA_INT:
        text_printf(out, "int %lld", (long long)r->value.integer);
        break;
    case FORMULA_NUMBER:
        text_add_number(out, r->value.number);
        break;
    case FORMULA_OTHER:
        text_printf(out, "%s %s", r->other_type, repr);
        break;
    case FORMULA_FAILED:
        text_printf(out, "fails %s", formula_fault_name(r->error.fault));
        break;
    }
}

/* "1.5", "int 3", "array [1 2]", "fails nil-operand", "refused syntax 1:3". Evaluates both ways and wants them to agree. */
static inline void test_outcome(const char *text, enum formula_wrap wrap, bool extensions,
                                const struct formula_env *env, struct text *out)
{
    struct formula_error err;
    struct formula_result r, again;
    struct text repr, second;
    struct formula *f = test_compile(text, wrap, extensions, &err);

    text_clear(out);
    if (!f) {
        text_printf(out, "refused %s %d:%d", formula_fault_name(err.fault), err.line, err.column);
        return;
    }
    text_init(&repr, 4096);
    text_init(&second, 4096);
    formula_eval(f, env, &r);
    formula_eval_repr(f, env, &again, &repr);
    test_describe(&r, repr.bytes, out);
    test_describe(&again, repr.bytes, &second);
    assert_string_equal(out->bytes, second.bytes);
    text_done(&repr);
    text_done(&second);
    formula_unref(f);
}

struct test_row {
    const char *formula, *expected;
};

static inline void test_rows(const struct test_row *rows, size_t count, enum formula_wrap wrap, bool extensions,
                             const struct formula_env *env)
{
    struct text out;

    text_init(&out, 4096);
    for (size_t i = 0; i < count; i++) {
        test_outcome(rows[i].formula, wrap, extensions, env, &out);
        if (strcmp(out.bytes, rows[i].expected) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].formula, rows[i].expected, out.bytes);
    }
    text_done(&out);
}

#define TEST_ENV                                                                                                       \
    {                                                                                                                  \
        .values = test_values, .nil = test_nil, .now_ms = INT64_C(1768478400000)                                       \
    } /* Thu 2026-01-15 12:00 UTC */
#define TEST_ROWS(rows, wrap, extensions, env) test_rows(rows, sizeof(rows) / sizeof((rows)[0]), wrap, extensions, env)

#endif

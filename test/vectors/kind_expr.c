/*
 * expr: formulas with known results (expr-language.md 13). A line holds a formula, the triggers with their values,
 * how the text is wrapped, and the outcome: a float64 (compared by its bits), nil, another value by its type and how
 * it prints, or a class of error of which only compile or run is binding.
 *
 * Deviations, each a rule with a reason:
 *   upstream-bug       the original corrupts its stack around findLast and the like (11); we evaluate them properly
 *   int-overflow-conv  float to int out of range is the processor's business (5.4); ours is amd64's, so this should not occur
 */
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/tree.h"
#include "formula/formula.h"

enum { REPR_MAX_BYTES = 1024 * 1024 };

struct inputs {
    const char **names;
    double *values;
    bool *nil;
    size_t count;
};

static struct inputs read_env(const struct tree *env)
{
    struct inputs in = {.count = tree_count(env)};
    const struct tree *value = env ? env->first : NULL;

    in.names = mem_array(in.count + 1, sizeof(*in.names));
    in.values = mem_array(in.count + 1, sizeof(*in.values));
    in.nil = mem_array(in.count + 1, sizeof(*in.nil));
    for (size_t i = 0; value && i < in.count; i++, value = value->next) {
        in.names[i] = value->key;
        in.nil[i] = value->type == TREE_NULL;
        if (!in.nil[i])
            tree_number(value, &in.values[i]);
    }
    return in;
}

static void free_env(struct inputs *in)
{
    free(in->names);
    free(in->values);
    free(in->nil);
}

static bool has_tag(const struct tree *c, const char *tag)
{
    for (const struct tree *t = tree_get(c, "tags") ? tree_get(c, "tags")->first : NULL; t; t = t->next)
        if (string_equal(tree_string(t), tag))
            return true;
    return false;
}

static bool same_number(double x, double y, bool loosely)
{
    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    if (x == y)
        return signbit(x) == signbit(y);
    return loosely && fabs(x - y) <= 1e-14 * fmax(fabs(x), fabs(y));
}

/* "value 1.5", "nil", "array [1 2]", "run error nil-operand" */
static void describe(const struct formula_result *r, const char *repr, struct text *out)
{
    static const char *const types[] = {[FORMULA_BOOL] = "bool", [FORMULA_INT] = "int"};

    switch (r->value.type) {
    case FORMULA_NIL:
        text_add(out, "nil");
        break;
    case FORMULA_NUMBER:
        text_add(out, "value ");
        text_add_number(out, r->value.number);
        break;
    case FORMULA_FAILED:
        text_printf(out, "run error %s (%s)", formula_fault_name(r->error.fault), r->error.text);
        break;
    case FORMULA_OTHER:
        text_printf(out, "%s %s", r->other_type, repr);
        break;
    default:
        text_printf(out, "%s %s", types[r->value.type], repr);
        break;
    }
}

static bool matches(const struct tree *expect, const struct formula_result *r, const char *repr, bool loosely)
{
    static const char *const types[] = {[FORMULA_BOOL] = "bool", [FORMULA_INT] = "int"};
    double value;

    if (tree_get(expect, "run_error"))
        return r->value.type == FORMULA_FAILED;
    if (tree_get(expect, "nil"))
        return r->value.type == FORMULA_NIL;
    if (tree_number(tree_get(expect, "value"), &value))
        return r->value.type == FORMULA_NUMBER && same_number(value, r->value.number, loosely);
    if (!tree_get(expect, "nonfloat"))
        return false;
    if (r->value.type != FORMULA_OTHER && r->value.type != FORMULA_BOOL && r->value.type != FORMULA_INT)
        return false;
    return string_equal(tree_string(tree_get(expect, "nonfloat")),
                        r->value.type == FORMULA_OTHER ? r->other_type : types[r->value.type]) &&
           string_equal(tree_string(tree_get(expect, "repr")), repr);
}

/* The fast path and the printing path must agree. */
static bool agrees(const struct formula_result *x, const struct formula_result *y)
{
    if (x->value.type != y->value.type)
        return false;
    if (x->value.type == FORMULA_NUMBER)
        return memcmp(&x->value.number, &y->value.number, sizeof(double)) == 0 ||
               (isnan(x->value.number) && isnan(y->value.number));
    return x->value.type != FORMULA_INT || x->value.integer == y->value.integer;
}

static bool evaluate(const struct tree *expect, const struct formula *f, const struct inputs *in, bool loosely,
                     struct vector_result *result)
{
    struct formula_env env = {.values = in->values, .nil = in->nil, .now_ms = INT64_C(1768478400000)};
    struct formula_result r, printed;
    struct text repr;
    bool good;

    text_init(&repr, REPR_MAX_BYTES);
    formula_eval(f, &env, &r);
    formula_eval_repr(f, &env, &printed, &repr);
    good = agrees(&r, &printed) && matches(expect, &r, repr.bytes, loosely);
    describe(&r, repr.bytes, &result->got);
    if (!agrees(&r, &printed)) {
        text_add(&result->got, ", but boxed: ");
        describe(&printed, repr.bytes, &result->got);
    }
    text_done(&repr);
    return good;
}

static bool run(const struct tree *c, const struct inputs *in, struct vector_result *result)
{
    const struct tree *formula = tree_get(c, "formula"), *expect = tree_get(c, "expect");
    struct formula_options options = {.names = in->names, .name_count = in->count};
    struct formula_error err;
    struct formula *f;
    bool good;

    options.wrap = string_equal(tree_string(tree_get(c, "wrap")), "keda") ? FORMULA_WRAP_KEDA : FORMULA_WRAP_NONE;
    f = formula_compile(formula->text, formula->length, &options, &err);
    if (!f) {
        text_printf(&result->got, "compile error %s (%s)", formula_fault_name(err.fault), err.text);
        return tree_get(expect, "compile_error") != NULL;
    }
    good = evaluate(expect, f, in, has_tag(c, "pow-frac"), result);
    formula_unref(f);
    return good;
}

enum vector_outcome vector_expr(const struct tree *c, const char *path, struct vector_result *result)
{
    const struct tree *formula = tree_get(c, "formula"), *expect = tree_get(c, "expect");
    struct inputs in;
    bool good;

    (void)path;
    if (!formula || formula->type != TREE_STRING || !expect) {
        text_add(&result->expected, "a case with formula and expect");
        return VECTOR_FAILED;
    }
    text_printf(&result->expected, "%.300s to give ", formula->text);
    tree_write_json(expect, &result->expected);
    in = read_env(tree_get(c, "env"));
    good = run(c, &in, result);
    free_env(&in);
    if (good)
        return VECTOR_PASSED;
    if (has_tag(c, "upstream-bug")) {
        result->rule = "findLast and its kin are evaluated properly (expr-language.md 11)";
        return VECTOR_DEVIATING;
    }
    return VECTOR_FAILED;
}

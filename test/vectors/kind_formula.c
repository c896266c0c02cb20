/*
 * formula: modifiers with their triggers' values in hpa mode: refused when compiled, failed when run, or the
 * composite metric in milli. A trigger past its failure threshold is nil there; one below it still has its value.
 */
#include <math.h>
#include <string.h>

#include "decide/keda.h"
#include "decide_case.h"

struct formula_case {
    struct decide_case base;
    const char *names[TRIGGERS_MAX];
    struct decide_trigger triggers[TRIGGERS_MAX];
    struct sample samples[TRIGGERS_MAX];
    int failures[TRIGGERS_MAX];
    struct decide_rules rules;
};

static bool is_resource(const char *type)
{
    return strcmp(type, "cpu") == 0 || strcmp(type, "memory") == 0;
}

static void read_trigger(struct formula_case *c, const struct tree *t)
{
    uint16_t i = c->rules.trigger_count++;
    int failures = count_or(t, "failures", 0);
    bool resource = is_resource(string_or(t, "type", "")), nil = failures > c->rules.fallback_threshold;

    c->names[i] = resource ? NULL : string_or(t, "name", NULL);
    c->triggers[i] =
        (struct decide_trigger){.kind = resource ? METRIC_CPU : METRIC_EXTERNAL, .formula_name = resource ? -1 : i};
    if (c->rules.has_fallback && c->rules.fallback_behavior == FALLBACK_SCALING_MODIFIERS && nil) {
        c->samples[i] = (struct sample){.state = SAMPLE_FAILED, .at_ms = NOW_MS};
        c->failures[i] = failures - 1; /* this evaluation is one more */
    } else if (tree_get(t, "value")) {
        c->samples[i] = (struct sample){.state = SAMPLE_OK, .value = number_or(t, "value", 0), .at_ms = NOW_MS};
    }
}

static void read_case(struct formula_case *c)
{
    const struct tree *fallback = tree_get(c->base.in, "fallback"), *list = tree_get(c->base.in, "triggers");
    const struct tree *modifiers = tree_get(c->base.in, "scalingModifiers");
    const char *target = string_or(modifiers, "target", "");

    c->rules = (struct decide_rules){
        .mode = DECIDE_HPA,
        .max = 100,
        .idle = -1,
        .triggers = c->triggers,
        .tolerance = 0.1,
        .missing_hold_ms = 30 * MINUTE_MS,
        .has_fallback = !is_null(fallback),
        .fallback_threshold = count_or(fallback, "failureThreshold", 0),
        .fallback_replicas = count_or(fallback, "replicas", 0),
        .fallback_behavior = strcmp(string_or(fallback, "behavior", ""), "scalingModifiers") == 0
                                 ? FALLBACK_SCALING_MODIFIERS
                                 : FALLBACK_STATIC,
    };
    number_parse(target, strlen(target), &c->rules.formula_target);
    for (const struct tree *t = list->first; t && c->rules.trigger_count < TRIGGERS_MAX; t = t->next)
        read_trigger(c, t);
}

static bool compile(struct formula_case *c, struct formula_error *err)
{
    const char *source = string_or(tree_get(c->base.in, "scalingModifiers"), "formula", "");

    c->rules.formula = formula_compile(
        source, strlen(source),
        &(struct formula_options){.names = c->names, .name_count = c->rules.trigger_count, .wrap = FORMULA_WRAP_KEDA},
        err);
    return c->rules.formula != NULL;
}

static void run(struct formula_case *c, struct decision *d)
{
    struct decide_memory *memory = decide_memory_new(&c->rules);

    for (uint16_t i = 0; i < c->rules.trigger_count; i++)
        decide_memory_set_failures(memory, i, c->failures[i]);
    decide(&c->rules,
           &(struct decide_facts){
               .now_ms = NOW_MS, .replicas = 1, .status_replicas = 1, .ready_replicas = 1, .samples = c->samples},
           memory, false, d);
    decide_memory_free(memory);
}

static void compare(struct formula_case *c, const struct decision *d)
{
    int64_t milli = 0;
    bool served = keda_composite(&c->rules, d, &milli);

    if (flag(c->base.expect, "error") == served)
        differ(&c->base, "error", flag(c->base.expect, "error"), !served);
    else if (served)
        compare_integer(&c->base, c->base.expect, "milli", milli);
}

enum vector_outcome vector_formula(const struct tree *tree, const char *path, struct vector_result *result)
{
    struct formula_case c = {
        .base = {.in = tree_get(tree, "in"), .expect = tree_get(tree, "expect"), .result = result, .same = true}};
    struct formula_error err = {.fault = FAULT_NONE};
    struct decision d;

    (void)path;
    read_case(&c);
    bool compiled = compile(&c, &err);
    if (compiled == flag(c.base.expect, "invalid")) {
        differ_text(&c.base, "compile", compiled ? "refused" : "accepted", err.text);
        formula_unref(c.rules.formula);
        return VECTOR_FAILED;
    }
    if (!compiled)
        return VECTOR_PASSED;
    run(&c, &d);
    compare(&c, &d);
    formula_unref(c.rules.formula);
    if (c.base.same)
        return VECTOR_PASSED;
    if (d.formula_fault == FAULT_NOT_FINITE) {
        result->rule = "a result that divides by zero or does not fit is failed, where KEDA makes it the least int64 "
                       "(failure-modes F1, F2)";
        return VECTOR_DEVIATING;
    }
    return VECTOR_FAILED;
}

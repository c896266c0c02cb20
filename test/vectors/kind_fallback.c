/*
 * fallback: polls of one metric in hpa mode: what is counted, when the fallback speaks, and what the HPA would then
 * be served.
 */
#include <math.h>
#include <string.h>

#include "decide/keda.h"
#include "decide_case.h"

static enum fallback_behavior read_behavior(const char *name)
{
    static const char *const names[] = {
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers",
    };

    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum fallback_behavior)i;
    return FALLBACK_STATIC;
}

static enum target_type read_target_type(const char *name)
{
    return strcmp(name, "Value") == 0 ? TARGET_VALUE : TARGET_AVERAGE_VALUE;
}

static double read_target(const struct tree *modifiers)
{
    const char *text = string_or(modifiers, "target", "");
    double target = 0;

    return number_parse(text, strlen(text), &target) && target > 0 ? target : 0;
}

static void read_rules(const struct tree *in, struct decide_trigger *trigger, struct decide_rules *out)
{
    const struct tree *metric = tree_get(in, "metric"), *fallback = tree_get(in, "fallback");
    const struct tree *modifiers = tree_get(in, "scalingModifiers");
    const char *formula = string_or(modifiers, "formula", "");
    static const char *const names[] = {"q"};

    *trigger = (struct decide_trigger){.target_type = read_target_type(string_or(metric, "targetType", "")),
                                       .target = number_or(metric, "target", 0),
                                       .formula_name = is_null(modifiers) ? -1 : 0};
    *out = (struct decide_rules){
        .mode = DECIDE_HPA,
        .max = 100,
        .idle = -1,
        .cooldown_ms = 300 * SECOND_MS,
        .trigger_count = 1,
        .triggers = trigger,
        .formula_target = read_target(modifiers),
        .formula_type = read_target_type(string_or(modifiers, "metricType", "")),
        .has_fallback = !is_null(fallback),
        .fallback_threshold = count_or(fallback, "failureThreshold", 0),
        .fallback_replicas = count_or(fallback, "replicas", 0),
        .fallback_behavior = read_behavior(string_or(fallback, "behavior", "")),
        .tolerance = 0.1,
        .missing_hold_ms = 30 * MINUTE_MS,
    };
    if (*formula)
        out->formula = formula_compile(
            formula, strlen(formula),
            &(struct formula_options){.names = names, .name_count = 1, .wrap = FORMULA_WRAP_KEDA}, NULL);
}

static struct sample read_poll(const struct tree *poll, int64_t at_ms)
{
    struct sample sample = {.state = SAMPLE_FAILED, .at_ms = at_ms};

    if (!is_null(poll) && quantity_parse_double(poll->text, &sample.value))
        sample.state = SAMPLE_OK;
    return sample;
}

static void compare_metric(struct decide_case *c, const struct tree *expect, bool served, const struct keda_metric *got)
{
    const struct tree *metric = tree_index(tree_get(expect, "metrics"), 0);
    const char *name = string_or(tree_get(c->in, "metric"), "name", "");

    if (flag(expect, "error") == served) {
        differ(c, "error", flag(expect, "error"), !served);
        return;
    }
    if (!served)
        return;
    compare_integer(c, metric, "milli", got->milli);
    compare_text(c, metric, "name", got->composite ? "composite-metric" : name);
}

static void compare_poll(struct decide_case *c, const struct tree *expect, const struct decide_rules *rules,
                         const struct decision *d)
{
    struct keda_metric metric;
    struct keda_view view;
    bool served = keda_metric(rules, d, 0, &metric);

    keda_view(rules, d, false, &view);
    compare_metric(c, expect, served, &metric);
    compare_flag(c, expect, "fallback", d->fallback);
    compare_integer(c, expect, "failures", metric.failures);
    compare_text(c, expect, "health", metric.failing ? "Failing" : "Happy");
    compare_text(c, tree_get(expect, "fallbackCondition"), "status",
                 keda_status_name(view.conditions[KEDA_FALLBACK].status));
    compare_text(c, tree_get(expect, "fallbackCondition"), "reason", view.conditions[KEDA_FALLBACK].reason);
}

/* The rules by which hpa mode differs on purpose. */
static const char *deviation(const struct decide_case *c, const struct decide_rules *rules)
{
    bool by_value = (rules->formula ? rules->formula_type : rules->triggers[0].target_type) == TARGET_VALUE;

    if (rules->formula && rules->formula_target > 0 && rules->formula_target != trunc(rules->formula_target))
        return "fallback works beside a fractional target of the modifiers, where KEDA silently switches it off "
               "(failure-modes B8)";
    if (by_value && count_or(c->in, "readyReplicas", 0) == 0)
        return "fallback of a Value target works with no ready replica (failure-modes B9)";
    return NULL;
}

enum vector_outcome vector_fallback(const struct tree *tree, const char *path, struct vector_result *result)
{
    struct decide_case c = {
        .in = tree_get(tree, "in"), .expect = tree_get(tree, "expect"), .result = result, .same = true};
    const struct tree *expect = tree_get(c.expect, "polls")->first;
    struct decide_trigger trigger;
    struct decide_rules rules;
    struct decision d;
    int64_t now_ms = NOW_MS;

    (void)path;
    read_rules(c.in, &trigger, &rules);
    struct decide_memory *memory = decide_memory_new(&rules);
    decide_memory_set_failures(memory, 0, count_or(c.in, "previousFailures", 0));
    for (const struct tree *poll = tree_get(c.in, "polls")->first; poll && expect;
         poll = poll->next, expect = expect->next) {
        struct sample sample = read_poll(poll, now_ms);

        decide(&rules,
               &(struct decide_facts){.now_ms = now_ms,
                                      .replicas = count_or(c.in, "currentReplicas", 0),
                                      .status_replicas = count_or(c.in, "currentReplicas", 0),
                                      .ready_replicas = count_or(c.in, "readyReplicas", 0),
                                      .samples = &sample},
               memory, false, &d);
        compare_poll(&c, expect, &rules, &d);
        now_ms += 15 * SECOND_MS;
    }
    decide_memory_free(memory);
    const char *rule = c.same ? NULL : deviation(&c, &rules);
    formula_unref(rules.formula);
    result->rule = rule;
    return c.same ? VECTOR_PASSED : rule ? VECTOR_DEVIATING : VECTOR_FAILED;
}

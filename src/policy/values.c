/*
 * values: what the values of a formula can be, and what follows for the replicas: whether the object can ever wake, sleep,
 * grow, stop growing, and what happens while a source gives nothing. formula/range.h knows the values; here is what they
 * mean under the object's target, metricType, activation and bounds (DESIGN.md 4).
 *
 * What holds for every value is a warning; what depends on what the author meant is advice.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "policy/policy_internal.h"

/* A value on the edge of a whole number asks for that number; what arithmetic adds below this share does not count. */
#define EDGE 1e-9

/* ------------------------------------------------------------------ what the triggers give */

enum { LABELS_MAX = 64 }; /* of a pod template that are looked at; Kubernetes' own objects have under ten */

static bool selects_target(const struct building *b, const struct workload *w, const char *text)
{
    struct label labels[LABELS_MAX];
    struct selector *selector;
    struct error ignored;
    size_t count = 0;

    if (!text || !selector_parse(text, b->scratch, &selector, &ignored))
        return false;
    for (const struct tree *l = w->template.labels ? w->template.labels->first : NULL; l && count < LABELS_MAX;
         l = l->next) {
        if (tree_string(l))
            labels[count++] = (struct label){l->key, tree_string(l)};
    }
    return selector_matches(selector, labels, count);
}

static bool is_pod_word(const char *name)
{
    static const char *const words[] = {"pods",         "pod_count",        "podcount",      "pods_count",
                                        "num_pods",     "ready_pods",       "pods_ready",    "running_pods",
                                        "pods_running", "replicas",         "replica_count", "ready_replicas",
                                        "num_replicas", "current_replicas", "replicacount"};

    for (size_t i = 0; name && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(words[i], name) == 0)
            return true;
    }
    return false;
}

/* NULL: it is not in the files. */
static const struct workload *target_of(const struct building *b)
{
    const struct policy_context *context = b->context;

    return context->find_workload ? context->find_workload(context->find_workload_arg, &b->policy->target) : NULL;
}

bool surely_counts_own_pods(const struct building *b, const struct trigger_spec *spec)
{
    const struct workload *w = string_equal(spec->type, "kubernetes-workload") ? target_of(b) : NULL;

    return w && selects_target(b, w, tree_string(tree_get(spec->metadata, "podSelector")));
}

/* Where the target is not in the files: a selector that has its name in it, or a name that says so. */
static bool counts_own_pods(const struct building *b, const struct trigger_spec *spec)
{
    const char *selector = tree_string(tree_get(spec->metadata, "podSelector"));

    if (!string_equal(spec->type, "kubernetes-workload"))
        return is_pod_word(spec->name);
    if (target_of(b))
        return surely_counts_own_pods(b, spec);
    return is_pod_word(spec->name) ||
           (selector && b->policy->target.name[0] && strstr(selector, b->policy->target.name));
}

/* Outside its window cron gives 1. */
static struct range_name range_of_cron(const struct trigger_spec *spec)
{
    double desired;

    if (!tree_number(tree_get(spec->metadata, "desiredReplicas"), &desired))
        return (struct range_name){.low = 1, .high = INFINITY};
    return (struct range_name){.low = fmin(desired, 1), .high = fmax(desired, 1)};
}

static struct range_name range_of(const struct building *b, const struct trigger_spec *spec)
{
    struct range_name r = {.low = 0, .high = INFINITY, .pods = counts_own_pods(b, spec)};
    const struct tree *query = query_of(spec);
    struct query_shape shape;

    if (string_equal(spec->type, "cron"))
        return range_of_cron(spec);
    if (query) {
        query_read(query->text, &shape);
        r.high = shape.high;
        if (isfinite(shape.low) || shape.window_ms == 0)
            r.low = fmin(shape.low, 0); /* without series it counts as 0 in the end */
    }
    return r;
}

void find_values(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    struct range_name *names = arena_array(m->b->scratch, m->name_count ? m->name_count : 1, sizeof(*names));
    struct formula_state state = {
        .min_replicas = rules->min, .max_replicas = rules->max, .target = rules->formula_target};
    struct formula_options options = {.names = m->names,
                                      .name_count = m->name_count,
                                      .extensions = !m->b->context->settings->keda_parity,
                                      .history = true};

    for (size_t i = 0; i < m->name_count; i++)
        names[i] = range_of(m->b, &m->b->specs[m->owner[i]]);
    formula_range(m->o->formula, strlen(m->o->formula), &options, names, &state, &m->range);
}

/* ------------------------------------------------------------------ no value at all */

static void check_divisors(struct modifiers *m)
{
    for (size_t i = 0; i < m->range.divisor_count; i++) {
        const struct range_divisor *d = &m->range.divisors[i];
        const char *name = d->name >= 0 ? m->names[d->name] : NULL;
        bool part = name && strcmp(name, d->text) != 0;

        if (!d->zero || (d->pods && !d->quotient))
            continue; /* of a count of pods advise_average() speaks */
        modifiers_say(
            m, FINDING_WARNING, "formula-division-by-zero", "formula",
            name ? arena_printf(m->b->scratch, "guard it: %s > 0 ? ... : 0", name) : "guard it",
            "the formula divides by %s, which can be 0%s%s%s: the result is then no number, and nothing can be "
            "decided from it",
            d->text, part ? " when " : "", part ? name : "", part ? " is" : "");
    }
}

/* false: the type always has a value, or the manifest says that none is a failure. */
static bool may_be_missing(const struct trigger_spec *spec)
{
    const char *ignore = tree_string(tree_get(spec->metadata, "ignoreNullValues"));

    return !string_equal(spec->type, "cron") && !string_equal(spec->type, "kubernetes-workload") &&
           !string_equal(ignore, "false");
}

static bool is_zero_divisor(const struct range_result *r, size_t name)
{
    for (size_t i = 0; i < r->divisor_count; i++) {
        if (r->divisors[i].zero && r->divisors[i].name == (int)name)
            return true;
    }
    return false;
}

/* "No data" counts as 0 in the end, and here 0 asks for the most. */
static void check_missing(struct modifiers *m)
{
    for (size_t i = 0; i < m->name_count && i < RANGE_NAMES_MAX; i++) {
        uint64_t bit = UINT64_C(1) << i;
        const struct trigger_spec *spec = &m->b->specs[m->owner[i]];
        bool at_once = m->b->strict || string_equal(tree_string(tree_get(spec->metadata, "ignoreNullValues")), "true");

        if (!(m->range.falls & bit) || (m->range.rises & bit) || (m->range.covered & bit) || !may_be_missing(spec) ||
            is_zero_divisor(&m->range, i))
            continue;
        modifiers_say(m, FINDING_ADVICE, "formula-missing-value", "formula",
                      arena_printf(m->b->scratch, "say what no value means, e.g. %s ?? 1000000", m->names[i]),
                      "%s without a value counts as 0%s, and at 0 the formula is at its largest: a source that is down "
                      "would look like the best case",
                      m->names[i], at_once ? "" : " when weir.dev/missing-hold is over");
    }
}

/* ------------------------------------------------------------------ on and off */

static void check_activation(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    double bound = rules->formula_activation;
    bool zero = rules->min == 0 || rules->idle >= 0;

    if (!zero)
        return;
    if (rules->formula_activation_inclusive ? m->range.high < bound : m->range.high <= bound)
        modifiers_say(m, FINDING_WARNING, "formula-never-active",
                      m->o->formula_activation ? "activationTarget" : "formula",
                      rules->formula_activation_inclusive || m->range.high < bound
                          ? "lower activationTarget"
                          : "lower activationTarget: the value must be above it",
                      "the formula is at most %g, so it never gets %s %g: the object stays at %d", m->range.high,
                      rules->formula_activation_inclusive ? "to" : "above", bound, rules->idle >= 0 ? rules->idle : 0);
    else if (m->range.low > bound || (rules->formula_activation_inclusive && m->range.low >= bound))
        modifiers_say(m, FINDING_ADVICE, "formula-always-active", "formula",
                      "let it reach the activation value only under load, or set minReplicaCount: 1",
                      "the formula is at least %g, so the object is always active and never returns to %d",
                      m->range.low, rules->idle >= 0 ? rules->idle : 0);
}

/* ------------------------------------------------------------------ how many */

static int32_t least_replicas(const struct decide_rules *rules)
{
    return rules->min > 1 ? rules->min : 1;
}

/* With Value: it never grows, for that takes a ratio outside of the tolerance. */
static bool stays_below(const struct modifiers *m, double tolerance)
{
    const struct decide_rules *rules = &m->b->policy->rules;

    if (rules->formula_type == TARGET_VALUE)
        return m->range.high <= rules->formula_target * (1 + tolerance);
    return m->range.high / rules->formula_target <= least_replicas(rules) * (1 + EDGE);
}

double upscale_tolerance(const struct building *b)
{
    const struct scaling_behavior *behavior = b->policy->rules.behavior;

    return behavior && behavior->up.tolerance >= 0 ? behavior->up.tolerance : b->policy->rules.tolerance;
}

static void check_reach(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    bool is_switch = m->range.low >= 0 && m->range.high <= 1;
    double most = m->range.high / rules->formula_target;

    if (rules->formula_target <= 0 || !isfinite(m->range.high) || m->range.high <= 0 ||
        rules->max <= least_replicas(rules))
        return;
    if (stays_below(m, upscale_tolerance(m->b)))
        modifiers_say(m, is_switch ? FINDING_ADVICE : FINDING_WARNING, "formula-below-target", "target",
                      is_switch ? "fine for a switch; else let the formula give an amount, not 0 or 1"
                                : "lower target, or let the formula follow the load",
                      "the formula is at most %g and target is %g, so it never asks for more than %d replica%s",
                      m->range.high, rules->formula_target, least_replicas(rules),
                      least_replicas(rules) == 1 ? "" : "s");
    else if (rules->formula_type == TARGET_AVERAGE_VALUE && m->o->max_replicas > 0 &&
             ceil(most * (1 - EDGE)) < rules->max)
        modifiers_say(m, FINDING_ADVICE, "formula-saturates", "formula",
                      "lower maxReplicaCount, or let the formula go higher",
                      "the formula is at most %g, which asks for %g replicas: maxReplicaCount %d is never reached",
                      m->range.high, ceil(most * (1 - EDGE)), rules->max);
}

/* p / x: every new pod raises the value, which asks for the next one; and Value multiplies by the pods once more. */
static void check_feedback(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    bool by_value = rules->formula_type == TARGET_VALUE && m->range.rises_with_pods && !m->range.falls_with_pods;

    if (rules->formula_target <= 0 || (!m->range.feedback && !by_value))
        return;
    modifiers_say(
        m, FINDING_WARNING, "formula-positive-feedback", "formula",
        "let the formula follow the load itself, a total that does not change when pods are added",
        "the value rises with the number of pods%s: each new replica raises it, and it asks for the next one, up to "
        "%d",
        m->range.feedback ? " and falls as they do more work" : ", and metricType Value multiplies by them again",
        rules->max);
}

/* ------------------------------------------------------------------ what its arithmetic means under the target */

/* A quotient by the number of pods is a value per replica, and AverageValue divides by the replicas once more, in effect. */
static void advise_average(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    bool pods = false;

    for (size_t i = 0; i < m->range.divisor_count; i++)
        pods |= m->range.divisors[i].pods;
    if (!pods)
        return;
    if (rules->formula_target > 0 && rules->formula_type == TARGET_AVERAGE_VALUE)
        modifiers_say(
            m, FINDING_ADVICE, "average-value", "metricType",
            "write metricType: Value if the formula's value is meant per replica",
            "metricType AverageValue asks for ceil(value / %g) replicas, however many run now. A value that is divided "
            "by the pods already is per replica: with metricType Value the answer is ceil(ready replicas x value / %g)",
            rules->formula_target, rules->formula_target);
    if (rules->min > 0)
        modifiers_say(m, FINDING_ADVICE, "formula-needs-replicas", "formula", NULL,
                      "the formula divides by a number of pods: minReplicaCount: %d keeps that above 0, so that there "
                      "always is a value",
                      rules->min);
    else
        modifiers_say(m, FINDING_WARNING, "formula-needs-replicas", "formula", "set minReplicaCount: 1",
                      "the formula divides by a number of pods, which is 0 after scaling to zero: there is no sensible "
                      "value to wake up by");
}

/* x / 10 counts replicas already; target 10 divides once more. */
static void check_divided_twice(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    double by = m->range.divided_by, target = rules->formula_target;

    if (rules->formula_type != TARGET_AVERAGE_VALUE || by <= 1 || target <= 1 || (by != target && !m->range.counted))
        return;
    modifiers_say(m, by == target && m->range.counted ? FINDING_WARNING : FINDING_ADVICE, "divided-twice", "target",
                  "write target: \"1\", or take the division out of the formula",
                  "the formula divides by %g, and target divides by %g once more: one replica for %g", by, target,
                  by * target);
}

void check_values(struct modifiers *m)
{
    if (!m->range.known)
        return;
    check_divisors(m);
    check_missing(m);
    check_activation(m);
    check_reach(m);
    check_feedback(m);
    advise_average(m);
    check_divided_twice(m);
}

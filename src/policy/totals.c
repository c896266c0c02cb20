/*
 * totals: does what a query gives fit what metricType makes of it? AverageValue takes a total and asks for
 * ceil(total / threshold) replicas, whatever runs now; Value takes a measure that sinks as replicas are added and asks for
 * ceil(ready replicas x value / threshold). The commonest mistakes are the one for the other: a mean under AverageValue
 * lets an overloaded fleet shrink, a ratio under it never gets above one or two replicas, a total under Value runs away.
 *
 * What a query gives is read off its text (query.c). Where PromQL itself bounds the value, it is a warning; where only its
 * shape speaks, advice.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

struct asked { /* one query and what becomes of it */
    struct building *b;
    const struct trigger_spec *spec;
    const struct tree *query;
    struct query_shape shape;
    enum target_type type;
    double target;
    bool own; /* the trigger's threshold counts, not a formula's target */
};

static void say(const struct asked *a, enum finding_severity severity, const char *code, const char *remedy,
                const char *text)
{
    struct place place = {.file = a->spec->place.file,
                          .doc = a->spec->place.doc,
                          .line = a->query->key_line,
                          .column = a->query->key_column};

    building_find(a->b, severity, code, &place,
                  arena_printf(a->b->scratch, "spec.triggers[%d].metadata.query", a->spec->index), remedy, "%s", text);
}

static const char *threshold_name(const struct asked *a)
{
    return a->own ? "threshold" : "target";
}

/* The largest value there can be asks for so many. */
static void check_bounded(const struct asked *a)
{
    const struct decide_rules *rules = &a->b->policy->rules;
    double most = ceil(a->shape.high / a->target - 1e-9);
    bool ratio = a->shape.kind == QUERY_RATIO;

    if (most >= rules->max || most <= 0)
        return;
    say(a, ratio ? FINDING_WARNING : FINDING_ADVICE, "ratio-as-total",
        "write metricType: Value, so that the ratio is multiplied by the replicas that are ready",
        arena_printf(
            a->b->scratch,
            "the query gives at most %g, and metricType AverageValue asks for ceil(value / %g) replicas: never more "
            "than %g, however high the load",
            a->shape.high, a->target, most));
}

static void check_average(const struct asked *a)
{
    const char *name = threshold_name(a);

    if (isfinite(a->shape.high)) {
        check_bounded(a);
    } else if (a->shape.kind == QUERY_PER_POD) {
        say(a, FINDING_ADVICE, "average-value",
            "write metricType: Value, or leave the division by the pods out of the query",
            arena_printf(
                a->b->scratch,
                "the query divides by a number of pods already, and metricType AverageValue takes its value for a "
                "total: ceil(value / %s), however many run now",
                name));
    } else if (a->shape.kind == QUERY_MEAN) {
        say(a, FINDING_ADVICE, "mean-as-total", "write metricType: Value, or take the sum instead of the mean",
            arena_printf(
                a->b->scratch,
                "the query gives a mean or quantile, which does not grow with the fleet, and metricType AverageValue "
                "takes it for a total: a fleet larger than value / %s shrinks, even under overload",
                name));
    } else if (a->shape.kind == QUERY_RATIO) {
        say(a, FINDING_ADVICE, "ratio-as-total", "write metricType: Value if the ratio is one of use to capacity",
            arena_printf(a->b->scratch,
                         "the query gives a ratio, and metricType AverageValue takes it for a total: ceil(value / %s) "
                         "replicas, however many run now",
                         name));
    }
}

static void check_divided(const struct asked *a)
{
    if (a->shape.divided_by > 1 && a->shape.divided_by == a->target)
        say(a, FINDING_ADVICE, "divided-twice", "write threshold: \"1\", or take the division out of the query",
            arena_printf(a->b->scratch, "the query divides by %g, and %s divides by %g once more: one replica for %g",
                         a->shape.divided_by, threshold_name(a), a->target, a->shape.divided_by * a->target));
}

static void check_query(const struct asked *a)
{
    if (a->type == TARGET_AVERAGE_VALUE) {
        check_average(a);
        check_divided(a);
    } else if (a->type == TARGET_VALUE && a->shape.kind == QUERY_TOTAL) {
        say(a, FINDING_ADVICE, "total-under-value", "write metricType: AverageValue for a total",
            arena_printf(
                a->b->scratch,
                "metricType Value multiplies by the replicas that are ready, and the query gives a total, which new "
                "replicas do not lower: above %s it asks for more with every one of them",
                threshold_name(a)));
    }
}

/* n busy + 1 spare: from ten replicas on the one is within the tolerance of 0.1, and nothing moves. */
static void check_spare(struct modifiers *m, double added, double target, const struct place *place, const char *field)
{
    double tolerance = upscale_tolerance(m->b), from = tolerance > 0 ? added / (target * tolerance) : INFINITY;

    if (added < target || from > m->b->policy->rules.max)
        return;
    building_find(
        m->b, FINDING_ADVICE, "spare-within-tolerance", place, field,
        "set spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.tolerance: \"0\"",
        "with %.0f or more replicas at work the spare that + %g stands for is not added: the difference is within "
        "the tolerance of %g",
        ceil(from - 1e-9), added, tolerance);
}

static void check_one(struct modifiers *m, size_t i, enum target_type type, double target, bool own)
{
    const struct trigger_spec *spec = &m->b->specs[i];
    struct asked a = {.b = m->b, .spec = spec, .query = query_of(spec), .type = type, .target = target, .own = own};
    struct place place;

    if (!a.query || target <= 0)
        return;
    query_read(a.query->text, &a.shape);
    check_query(&a);
    place = (struct place){
        .file = spec->place.file, .doc = spec->place.doc, .line = a.query->key_line, .column = a.query->key_column};
    if (type == TARGET_AVERAGE_VALUE)
        check_spare(m, a.shape.added, target, &place,
                    arena_printf(m->b->scratch, "spec.triggers[%d].metadata.query", spec->index));
}

/* ceil(own pods / value): with 1 it asks for what runs already, so that nothing ever shrinks; below 1 for ever more. */
static void check_own_pods(struct modifiers *m, size_t i)
{
    const struct trigger_spec *spec = &m->b->specs[i];
    double target = m->b->policy->rules.triggers[i].target;

    if (target <= 0 || !surely_counts_own_pods(m->b, spec))
        return;
    building_find(m->b, FINDING_WARNING, "counts-itself", &spec->place,
                  arena_printf(m->b->scratch, "spec.triggers[%d].metadata.podSelector", spec->index),
                  "count the pods that bring the load, not those that carry it",
                  "the selector finds the pods of %s %s itself: the trigger asks for ceil(own pods / %g), %s",
                  m->b->policy->target.kind, m->b->policy->target.name, target,
                  target < 1    ? "which is more with every pod, up to the maximum"
                  : target <= 1 ? "which is what runs already, so that nothing is ever taken away"
                                : "which is never more than runs already");
}

void check_totals(struct modifiers *m)
{
    const struct decide_rules *rules = &m->b->policy->rules;
    int sole = m->range.sole;

    if (!m->o->has_modifiers) {
        for (size_t i = 0; i < m->b->spec_count; i++) {
            check_one(m, i, rules->triggers[i].target_type, rules->triggers[i].target, true);
            check_own_pods(m, i);
        }
        return;
    }
    if (!m->range.known || rules->formula_target <= 0)
        return;
    if (sole >= 0 && m->range.divided_by == 0)
        check_one(m, m->owner[sole], rules->formula_type, rules->formula_target, false);
    if (rules->formula_type == TARGET_AVERAGE_VALUE)
        check_spare(m, m->range.added, rules->formula_target, &m->o->formula_place,
                    "spec.advanced.scalingModifiers.formula");
}

/*
 * metrics: entries of spec.triggers that have several metrics (solace) stand once for each, so that everything else knows triggers
 * with one metric only: each has its own target, is asked, and proposes its own replicas; the largest counts, as with KEDA's HPA.
 *
 * A formula knows a trigger by its name, which is one value: there the first metric is the trigger's, and a warning says so. Nor is
 * anything left out where they are too many: that is an error, and the object does not run.
 */
#include "policy/policy_internal.h"
#include "trigger/trigger.h"

static size_t metrics_of(const struct trigger_spec *spec, bool has_formula)
{
    return has_formula || !spec->type ? 1 : trigger_metrics(spec->type, spec->metadata);
}

static void warn_of_unused(struct building *b, const struct trigger_spec *spec)
{
    size_t count = spec->type ? trigger_metrics(spec->type, spec->metadata) : 1;

    if (count > 1)
        building_find(b, FINDING_WARNING, "no-effect", &spec->place,
                      arena_printf(b->scratch, "spec.triggers[%d].metadata", spec->index),
                      "write a trigger of its own for each target, with a name of its own",
                      "the trigger has %zu targets, and a formula knows one value of it: that of the first", count);
}

static size_t count_metrics(struct building *b, const struct trigger_spec *specs, size_t count, bool has_formula)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        total += metrics_of(&specs[i], has_formula);
        if (has_formula)
            warn_of_unused(b, &specs[i]);
    }
    if (total > TRIGGERS_MAX && count <= TRIGGERS_MAX) /* of too many triggers it was said when they were read */
        building_find(b, FINDING_ERROR, "limit", &b->meta->place, "spec.triggers", "divide them among several objects",
                      "the %zu triggers have %zu metrics; %d are allowed (TRIGGERS_MAX)", count, total, TRIGGERS_MAX);
    return total;
}

void spread_metrics(struct building *b, const struct trigger_spec *specs, size_t count, bool has_formula)
{
    size_t total = count_metrics(b, specs, count, has_formula);
    struct trigger_spec *all;

    b->specs = specs;
    b->spec_count = total < TRIGGERS_MAX ? total : TRIGGERS_MAX; /* more of them are an error already */
    if (total == count)
        return;
    b->specs = all = arena_array(b->scratch, total, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        for (size_t metric = 0; metric < metrics_of(&specs[i], has_formula); metric++) {
            *all = specs[i];
            all->metric = metric;
            if (metric > 0)
                all->name = NULL; /* it is the first one's; this one goes by the name of its metric */
            all++;
        }
    }
}

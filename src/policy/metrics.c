/*
 * metrics: entries of spec.triggers that have several metrics (solace) stand once for each, so that everything else knows triggers
 * with one metric only: each has its own target, is asked, and proposes its own replicas; the largest counts, as with KEDA's HPA.
 *
 * A formula knows a trigger by its name, which is one value: there the first metric is the trigger's.
 */
#include "policy/policy_internal.h"
#include "trigger/trigger.h"

static size_t metrics_of(const struct trigger_spec *spec, bool has_formula)
{
    return has_formula || !spec->type ? 1 : trigger_metrics(spec->type, spec->metadata);
}

void spread_metrics(struct building *b, const struct trigger_spec *specs, size_t count, bool has_formula)
{
    size_t total = 0, i;
    struct trigger_spec *all;

    for (i = 0; i < count; i++)
        total += metrics_of(&specs[i], has_formula);
    b->specs = specs;
    b->spec_count = total < TRIGGERS_MAX ? total : TRIGGERS_MAX;
    if (total == count)
        return;
    b->specs = all = arena_array(b->scratch, total, sizeof(*all));
    for (i = 0; i < count; i++) {
        for (size_t metric = 0; metric < metrics_of(&specs[i], has_formula); metric++) {
            *all = specs[i];
            all->metric = metric;
            if (metric > 0)
                all->name = NULL; /* it is the first one's; this one goes by the name of its metric */
            all++;
        }
    }
}

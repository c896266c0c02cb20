/*
 * objective: what an object is to achieve (weir.dev/slo), a formula over the names of its triggers and the state of the target, and what a
 * replica of it costs. Neither has a say in any decision: they are for who looks at the history.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

static void complain(struct building *b, const struct tree *slo, const char *remedy, const char *text)
{
    annotation_find(b, slo, FINDING_ERROR, "bad-slo", remedy, text);
}

/* Once, with nothing known: what it is that it gives, where that can be told. */
static bool gives_a_truth(struct building *b, const struct tree *slo, const struct formula *formula)
{
    static const double values[TRIGGERS_MAX];
    struct formula_state state = {.replicas = 1, .ready_replicas = 1, .max_replicas = 1, .target = 1};
    struct formula_env env = {.values = values, .state = &state, .now_ms = b->context->now_ms};
    struct formula_result result;

    formula_eval(formula, &env, &result);
    if (result.value.type != FORMULA_OTHER)
        return true;
    complain(b, slo, "let it end in a comparison, e.g. latency < 0.5",
             arena_printf(b->scratch, "gives %s, which neither holds nor does not", result.other_type));
    return false;
}

static struct formula *compile(struct building *b, const struct tree *slo)
{
    const char *names[TRIGGERS_MAX];
    struct formula_options options = {
        .names = names, .name_count = b->spec_count, .wrap = FORMULA_WRAP_NONE, .extensions = true, .history = true};
    struct formula_error err;

    for (size_t i = 0; i < b->spec_count; i++)
        names[i] = b->specs[i].name && !is_resource_type(b->specs[i].type) ? b->specs[i].name : NULL;
    struct formula *formula = formula_compile(slo->text, slo->length, &options, &err);
    if (!formula) {
        complain(b, slo,
                 err.fault == FAULT_UNKNOWN_NAME ? "use the names of the triggers, or of the state of the target"
                                                 : NULL,
                 arena_printf(b->scratch, "is no formula that could be used: %s (formula %d:%d)", err.text, err.line,
                              err.column));
        return NULL;
    }
    if (formula_memory_bytes(formula) > 0)
        complain(b, slo, "ask the history of the trigger instead, e.g. avg_over(latency, \"5m\") < 0.5",
                 "has a function that remembers, which an SLO cannot");
    else if (gives_a_truth(b, slo, formula))
        return formula;
    formula_unref(formula);
    return NULL;
}

void build_objective(struct building *b, const struct annotation_values *said)
{
    struct policy *p = b->policy;

    p->has_cost = said->cost_per_replica_hour >= 0;
    p->cost_per_replica_hour = p->has_cost ? said->cost_per_replica_hour : 0;
    p->slo = said->slo ? compile(b, said->slo) : NULL;
    for (size_t i = 0; p->slo && i < p->trigger_count; i++) {
        int64_t history_ms = formula_history_ms(p->slo, i);

        if (history_ms > p->triggers[i].history_ms)
            p->triggers[i].history_ms = history_ms;
    }
}

/*
 * sim_policy: the policy of a case, as rules of the production code, with signals of the model as its triggers.
 */
#include <stdlib.h>
#include <string.h>

#include "decide/hpa_object.h"
#include "sim/engine.h"
#include "sim_case.h"

#define START_AT_MS INT64_C(1700000000000) /* any */

struct policy_run {
    struct model *model;
    struct sim_engine *engine;
    struct decide_rules rules;
    struct scaling_behavior behavior;
    struct formula *formula;
    const struct signal_query *queries;
    bool keda;
};

/* ------------------------------------------------------------------ the world */

/* To a Prometheus trigger of KEDA a series that is not there is 0. */
static void on_read(void *arg, int64_t at_ms, struct sample *samples)
{
    struct policy_run *run = arg;

    (void)at_ms;
    model_snapshot(run->model);
    for (uint16_t i = 0; i < run->rules.trigger_count; i++) {
        double value = 0;
        bool found = model_read(run->model, &run->queries[i], &value);

        samples[i] =
            (struct sample){.state = found || run->keda ? SAMPLE_OK : SAMPLE_MISSING, .value = found ? value : 0};
    }
}

static void on_counts(void *arg, struct sim_engine_counts *out)
{
    struct policy_run *run = arg;
    struct model_counts counts;

    model_counts(run->model, &counts);
    *out = (struct sim_engine_counts){counts.replicas, counts.replicas, counts.ready};
}

static void on_decided(void *arg, const struct decision *decision, const struct sample *samples)
{
    struct policy_run *run = arg;

    (void)samples;
    if (decision->write)
        model_scale(run->model, decision->after);
}

/* ------------------------------------------------------------------ reading */

static const struct decide_trigger *read_triggers(struct decide_case *c, struct policy_run *run,
                                                  const struct tree *list, const char **names)
{
    size_t count = tree_count(list);
    struct decide_trigger *triggers = arena_array(c->arena, count + 1, sizeof(*triggers));
    struct signal_query *queries = arena_array(c->arena, count + 1, sizeof(*queries));
    uint16_t i = 0;

    for (const struct tree *t = first_of(list); t; t = t->next, i++) {
        names[i] = string_or(t, "name", "");
        triggers[i] = (struct decide_trigger){.kind = METRIC_EXTERNAL, .formula_name = i};
        queries[i] = (struct signal_query){.signal = sim_signal_named(string_or(t, "signal", "")),
                                           .window_ns = seconds_or(t, "window_s", 60),
                                           .quantile = number_or(t, "quantile", 90)};
    }
    run->queries = queries;
    run->rules.trigger_count = i;
    return triggers;
}

static struct formula *read_formula(struct decide_case *c, const struct tree *policy, const char **names, size_t count,
                                    bool keda)
{
    const char *text = string_or(policy, "formula", "");
    struct formula_error err;
    struct formula *formula = formula_compile(
        text, strlen(text),
        &(struct formula_options){.names = names, .name_count = count, .wrap = FORMULA_WRAP_KEDA, .extensions = !keda},
        &err);

    if (!formula)
        differ_text(c, "formula", "one that compiles", err.text);
    return formula;
}

static void read_rules(struct policy_run *run, const struct tree *policy)
{
    struct decide_rules *rules = &run->rules;
    const struct tree *behavior = tree_get(policy, "behavior");

    rules->min = count_or(policy, "min", 0);
    rules->max = count_or(policy, "max", 100);
    rules->idle = -1;
    rules->cooldown_ms = seconds_or(policy, "cooldown_s", 300) / 1000000;
    rules->created_at_ms = START_AT_MS;
    rules->formula = run->formula;
    rules->formula_target = number_or(policy, "target", 0);
    rules->formula_activation = number_or(policy, "activation", 0);
    rules->formula_activation_inclusive = rules->formula_activation != 0;
    rules->formula_type =
        string_equal(string_or(policy, "metricType", "AverageValue"), "Value") ? TARGET_VALUE : TARGET_AVERAGE_VALUE;
    rules->tolerance = 0.1;
    rules->downscale_stabilization_ms = 5 * MINUTE_MS;
    rules->missing_hold_ms = seconds_or(policy, "missing_hold_s", 1800) / 1000000;
    if (behavior && scaling_behavior_read(behavior, &run->behavior))
        rules->behavior = &run->behavior;
}

static struct sim_engine_options engine_options(struct policy_run *run, const struct tree *policy, int64_t step_ms)
{
    return (struct sim_engine_options){
        .kind = run->keda ? SIM_ENGINE_KEDA_HPA : SIM_ENGINE_WEIR,
        .rules = &run->rules,
        .world = {run, on_read, on_counts, on_decided},
        .start_at_ms = START_AT_MS,
        .step_ms = step_ms,
        .interval_ms = seconds_or(policy, "interval_s", 5) / 1000000,
        .scrape_ms = seconds_or(policy, "scrape_s", 15) / 1000000,
        .scrape_offset_ms = seconds_or(policy, "scrape_offset_s", 7) / 1000000,
    };
}

struct policy_run *policy_run_new(struct decide_case *c, const struct tree *policy, struct model *model,
                                  int64_t step_ms)
{
    const struct tree *list = tree_get(policy, "triggers");
    const char **names = arena_array(c->arena, tree_count(list) + 1, sizeof(*names));
    struct policy_run *run = mem_alloc(sizeof(*run));

    run->model = model;
    run->keda = string_equal(string_or(policy, "engine", ""), "keda-hpa");
    run->rules.triggers = read_triggers(c, run, list, names);
    run->formula = read_formula(c, policy, names, run->rules.trigger_count, run->keda);
    if (!run->formula) {
        policy_run_free(run);
        return NULL;
    }
    read_rules(run, policy);
    struct sim_engine_options options = engine_options(run, policy, step_ms);
    run->engine = sim_engine_new(&options);
    return run;
}

struct sim_engine *policy_run_engine(struct policy_run *run)
{
    return run->engine;
}

void policy_run_free(struct policy_run *run)
{
    if (!run)
        return;
    sim_engine_free(run->engine);
    formula_unref(run->formula);
    free(run);
}

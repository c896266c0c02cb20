/*
 * scaledobject: one poll of KEDA's operator, decided in hpa mode. A case names the outcome of the triggers (active,
 * error), so there are two: one whose value says active or not, one that fails or does not. Whether the failure is
 * past the threshold is not the case's question, so the threshold is out of reach.
 */
#include <stdio.h>
#include <string.h>

#include "decide/keda.h"
#include "decide_case.h"

static const char *annotation(const struct tree *in, const char *key)
{
    char full[100];

    snprintf(full, sizeof(full), "autoscaling.keda.sh/%s", key);
    return tree_string(tree_get(tree_get(in, "annotations"), full));
}

/* Unparsable or empty means true (keda-operator/01 1.5). */
static bool annotation_is_true(const struct tree *in, const char *key)
{
    static const char *const falses[] = {"0", "f", "F", "false", "FALSE", "False"};
    const char *value = annotation(in, key);

    for (size_t i = 0; value && i < sizeof(falses) / sizeof(falses[0]); i++)
        if (strcmp(value, falses[i]) == 0)
            return false;
    return value != NULL;
}

static void read_rules(const struct tree *in, const struct decide_trigger *triggers, struct decide_rules *out)
{
    const struct tree *spec = tree_get(in, "spec"), *fallback = tree_get(spec, "fallback");
    const char *paused_replicas = annotation(in, "paused-replicas");
    double count = 0;

    *out = (struct decide_rules){
        .mode = DECIDE_HPA,
        .min = count_or(spec, "minReplicaCount", 0),
        .max = count_or(spec, "maxReplicaCount", 100),
        .idle = count_or(spec, "idleReplicaCount", -1),
        .cooldown_ms = integer_or(spec, "cooldownPeriod", 300) * SECOND_MS,
        .initial_cooldown_ms = integer_or(spec, "initialCooldownPeriod", 0) * SECOND_MS,
        .created_at_ms = NOW_MS - integer_or(in, "createdAgeS", 0) * SECOND_MS,
        .trigger_count = 2,
        .triggers = triggers,
        .has_fallback = !is_null(fallback),
        .fallback_threshold = INT32_MAX,
        .fallback_replicas = count_or(fallback, "replicas", 0),
        .tolerance = 0.1,
        .missing_hold_ms = 30 * MINUTE_MS,
        .paused = annotation_is_true(in, "paused"),
        .paused_scale_in = annotation_is_true(in, "paused-scale-in"),
        .paused_scale_out = annotation_is_true(in, "paused-scale-out"),
        .force_activation = annotation_is_true(in, "force-activation"),
        .has_paused_replicas = paused_replicas != NULL,
    };
    if (paused_replicas && number_parse(paused_replicas, strlen(paused_replicas), &count))
        out->paused_replicas = (int32_t)count;
}

static void compare_condition(struct decide_case *c, const struct keda_view *view, enum keda_condition_type type)
{
    const struct keda_condition *got = &view->conditions[type];
    const struct tree *expect = tree_get(tree_get(c->expect, "conditions"), keda_condition_name(type));

    if (!expect && type != KEDA_FALLBACK && got->status != KEDA_UNTOUCHED)
        differ_text(c, keda_condition_name(type), "untouched", got->reason);
    compare_text(c, expect, "status", keda_status_name(got->status));
    compare_text(c, expect, "reason", got->reason ? got->reason : "");
}

static void compare_events(struct decide_case *c, const struct keda_view *view)
{
    const struct tree *events = tree_get(c->expect, "events");
    const char *got = view->activated     ? "Normal KEDAScaleTargetActivated"
                      : view->deactivated ? "Normal KEDAScaleTargetDeactivated"
                                          : NULL;

    if (!events)
        return;
    if (tree_count(events) != (got != NULL) || (got && !string_equal(tree_string(events->first), got)))
        differ_text(c, "events", events->first ? tree_string(events->first) : NULL, got);
}

static void compare(struct decide_case *c, const struct decision *d, const struct keda_view *view, bool updated)
{
    const struct tree *written = tree_get(c->expect, "written");
    int32_t expected = is_null(written) ? -1 : count_or(c->expect, "written", 0);

    if (written && expected != (d->write ? d->after : -1))
        differ(c, "written", expected, d->write ? d->after : -1);
    compare_flag(c, c->expect, "lastActiveUpdated", updated);
    for (int i = 0; i < KEDA_CONDITIONS; i++)
        compare_condition(c, view, (enum keda_condition_type)i);
    compare_events(c, view);
}

/* The rules by which hpa mode differs on purpose. */
static const char *deviation(const struct decide_rules *rules, const struct decision *d, bool failing, bool active)
{
    if (rules->has_paused_replicas && d->write)
        return "paused-replicas moves the target here; KEDA leaves that to its reconcile, which these cases do not run";
    if (failing && !active && rules->has_fallback && rules->fallback_replicas == 0)
        return "an error with fallback.replicas 0 waits for its threshold: an outage alone never takes the last "
               "replica "
               "(failure-modes Z1)";
    return NULL;
}

enum vector_outcome vector_scaledobject(const struct tree *tree, const char *path, struct vector_result *result)
{
    static const struct decide_trigger triggers[2] = {{.target = 1, .formula_name = -1},
                                                      {.target = 1, .formula_name = -1}};
    struct decide_case c = {
        .in = tree_get(tree, "in"), .expect = tree_get(tree, "expect"), .result = result, .same = true};
    bool active = flag(c.in, "active"), failing = flag(c.in, "error");
    struct sample samples[2] = {{.state = SAMPLE_OK, .value = active ? 1 : 0, .at_ms = NOW_MS},
                                {.state = failing ? SAMPLE_FAILED : SAMPLE_OK, .at_ms = NOW_MS}};
    struct decide_rules rules;
    struct decision d;
    struct keda_view view;

    (void)path;
    read_rules(c.in, triggers, &rules);
    struct decide_memory *memory = decide_memory_new(&rules);
    if (!is_null(tree_get(c.in, "lastActiveAgeS")))
        decide_memory_set_last_active(memory, NOW_MS - integer_or(c.in, "lastActiveAgeS", 0) * SECOND_MS);
    int64_t before_ms = decide_memory_last_active_at_ms(memory);
    decide(&rules,
           &(struct decide_facts){.now_ms = NOW_MS + 1, /* the poll comes a moment after the ages were taken */
                                  .replicas = count_or(c.in, "currentReplicas", 0),
                                  .status_replicas = count_or(c.in, "currentReplicas", 0),
                                  .ready_replicas = count_or(c.in, "currentReplicas", 0),
                                  .samples = samples},
           memory, false, &d);
    keda_view(&rules, &d, false, &view);
    compare(&c, &d, &view, decide_memory_last_active_at_ms(memory) != before_ms);
    decide_memory_free(memory);
    if (c.same)
        return VECTOR_PASSED;
    result->rule = deviation(&rules, &d, failing, active);
    return result->rule ? VECTOR_DEVIATING : VECTOR_FAILED;
}

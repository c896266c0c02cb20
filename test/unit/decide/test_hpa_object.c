/* A whole HorizontalPodAutoscaler: where a sync ends, what its conditions and events say; behavior as written; validation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "decide/hpa_object.h"

#define NOW (1000000 * SECOND_MS)

/* One External metric, AverageValue 10; pods exist and are ready as many as replicas. */
struct stage {
    struct hpa_object object;
    struct hpa_metric metrics[2];
    struct hpa_controller controller;
    struct hpa_sync_facts facts;
    struct hpa_samples samples[2];
    int64_t values[2];
    struct hpa_state state;
    struct hpa_outcome out;
};

static void stage_init(struct stage *s, int32_t replicas, int64_t milli)
{
    *s = (struct stage){.object = {.min = 1, .max = 10, .metric_count = 1}};
    s->metrics[0] = s->metrics[1] = (struct hpa_metric){.type = HPA_EXTERNAL, .has_average = true, .average = 10000};
    s->object.metrics = s->metrics;
    hpa_controller_default(&s->controller);
    s->values[0] = s->values[1] = milli;
    s->samples[0] = (struct hpa_samples){.values = &s->values[0], .count = 1};
    s->samples[1] = (struct hpa_samples){.values = &s->values[1], .count = 1};
    s->facts = (struct hpa_sync_facts){
        .now_ms = NOW, .replicas = replicas, .status_replicas = replicas, .samples = s->samples};
}

static void sync(struct stage *s, int64_t after_s)
{
    s->facts.now_ms += after_s * SECOND_MS;
    hpa_sync(&s->object, &s->controller, &s->facts, &s->state, &s->out);
    s->facts.replicas = s->facts.status_replicas = s->out.replicas;
}

static void assert_condition(const struct stage *s, enum hpa_condition_type type, bool status, const char *reason)
{
    const struct hpa_condition *condition = hpa_state_condition(&s->state, type);

    assert_non_null(condition);
    assert_int_equal(condition->status, status);
    assert_string_equal(hpa_reason_name(condition->reason), reason);
}

static void assert_events(const struct stage *s, const char *expect)
{
    char got[500] = "";

    for (size_t i = 0; i < s->out.event_count; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", hpa_reason_name(s->out.events[i]));
    assert_string_equal(got, expect);
}

static void a_sync_scales(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 2, 50000);
    sync(&s, 0);
    assert_int_equal(s.out.replicas, 4);
    assert_condition(&s, HPA_ABLE_TO_SCALE, true, "SucceededRescale");
    assert_condition(&s, HPA_SCALING_LIMITED, true, "ScaleUpLimit");
    assert_events(&s, "SuccessfulRescale ");
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 5);
    s.values[0] = 0;
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 5);
    assert_condition(&s, HPA_ABLE_TO_SCALE, true, "ScaleDownStabilized");
    hpa_state_done(&s.state);
}

static void where_a_sync_ends(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 3, 50000);
    s.facts.scale_get_failed = true;
    sync(&s, 0);
    assert_true(s.out.error);
    assert_condition(&s, HPA_ABLE_TO_SCALE, false, "FailedGetScale");
    assert_int_equal(s.state.wishes.count, 0);

    s.facts.scale_get_failed = false;
    s.facts.replicas = 0; /* rests, whatever the minimum is */
    sync(&s, 15);
    assert_condition(&s, HPA_SCALING_ACTIVE, false, "ScalingDisabled");
    assert_int_equal(s.out.replicas, 0);

    s.facts.replicas = 30; /* beyond its bounds: at once, and nothing is measured */
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 10);
    assert_false(s.out.measured);

    s.facts.scale_update_failed = true;
    s.values[0] = 400000;
    s.facts.replicas = 5;
    sync(&s, 15);
    assert_condition(&s, HPA_ABLE_TO_SCALE, false, "FailedUpdateScale");
    assert_events(&s, "FailedRescale ");
    assert_int_equal(s.state.desired, 10);
    hpa_state_done(&s.state);
}

static void selectors_are_needed(void **state)
{
    static const struct {
        enum hpa_selector selector;
        const char *condition, *events;
    } rows[] = {
        {HPA_SELECTOR_EMPTY, "InvalidSelector", "SelectorRequired FailedComputeMetricsReplicas "},
        {HPA_SELECTOR_INVALID, "InvalidSelector", "InvalidSelector FailedComputeMetricsReplicas "},
        {HPA_SELECTOR_AMBIGUOUS, "AmbiguousSelector", "AmbiguousSelector FailedComputeMetricsReplicas "},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct stage s;

        stage_init(&s, 3, 50000);
        s.facts.selector = rows[i].selector;
        sync(&s, 0);
        assert_true(s.out.error);
        assert_int_equal(s.out.replicas, 3);
        assert_condition(&s, HPA_SCALING_ACTIVE, false, rows[i].condition);
        assert_events(&s, rows[i].events);
        hpa_state_done(&s.state);
    }
}

static void one_failing_metric_forbids_only_going_down(void **state)
{
    struct stage s;

    (void)state;
    stage_init(&s, 4, 70000);
    s.object.metric_count = 2;
    s.samples[1].failed = true;
    sync(&s, 0);
    assert_int_equal(s.out.replicas, 7);
    assert_true(s.out.error);
    assert_events(&s, "FailedGetExternalMetric SuccessfulRescale ");
    s.values[0] = 10000;
    sync(&s, 600);
    assert_int_equal(s.out.replicas, 7);
    assert_condition(&s, HPA_SCALING_ACTIVE, false, "FailedGetExternalMetric");
    s.samples[1] = (struct hpa_samples){.values = s.values, .count = 0}; /* an empty answer fails, too */
    sync(&s, 15);
    assert_int_equal(s.out.proposals[1].fault, HPA_NO_METRICS);
    hpa_state_done(&s.state);
}

static void to_zero_and_back_with_the_gate(void **state)
{
    struct scaling_behavior behavior;
    struct stage s;

    (void)state;
    scaling_behavior_default(&behavior);
    behavior.down.window_s = 0;
    stage_init(&s, 3, 0);
    s.object.min = 0;
    s.object.behavior = &behavior;
    s.controller.scale_to_zero = true;
    sync(&s, 0);
    assert_int_equal(s.out.replicas, 0);
    assert_condition(&s, HPA_SCALED_TO_ZERO, true, "ScaledToZero");
    s.values[0] = 25000;
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 3);
    assert_condition(&s, HPA_SCALED_TO_ZERO, false, "NotScaledToZero");
    s.facts.replicas = 0; /* by somebody else: rests */
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 0);
    s.controller.scale_to_zero = false;
    sync(&s, 15);
    assert_null(hpa_state_condition(&s.state, HPA_SCALED_TO_ZERO));
    hpa_state_done(&s.state);
}

static void per_pod_and_object_metrics(void **state)
{
    struct pod_usage usage[2] = {{.has_usage = true, .has_request = true, .usage = 900, .request = 1000, .at_ms = NOW}};
    struct pod_fact pods[2];
    struct stage s;

    (void)state;
    for (int i = 0; i < 2; i++)
        pods[i] = (struct pod_fact){.phase = POD_RUNNING,
                                    .ready = POD_READY_TRUE,
                                    .start_at_ms = NOW - HOUR_MS,
                                    .ready_at_ms = NOW - HOUR_MS,
                                    .usage = usage};
    stage_init(&s, 2, 30000);
    s.object.metric_count = 2;
    s.metrics[0] = (struct hpa_metric){.type = HPA_RESOURCE, .cpu = true, .has_utilization = true, .utilization = 50};
    s.samples[0] = (struct hpa_samples){0};
    s.metrics[1] =
        (struct hpa_metric){.type = HPA_OBJECT, .target_type = TARGET_VALUE, .has_value = true, .value = 10000};
    s.facts.pods = pods;
    s.facts.pod_count = 2;
    sync(&s, 0);
    assert_int_equal(s.out.proposals[0].replicas, 4); /* 90 / 50 x 2 */
    assert_int_equal(s.out.proposals[1].replicas, 6); /* 3 x 2 ready */
    assert_int_equal(s.out.recommended, 6);
    hpa_state_done(&s.state);
}

static void tolerances_of_either_side(void **state)
{
    struct scaling_behavior behavior;
    struct stage s;

    (void)state;
    scaling_behavior_default(&behavior);
    behavior.up.tolerance = 0;
    behavior.down.tolerance = 0.5;
    behavior.down.window_s = 0;
    stage_init(&s, 5, 50500);
    s.object.behavior = &behavior;
    sync(&s, 0);
    assert_int_equal(s.out.replicas, 6);
    s.values[0] = 30000;
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 6);
    s.controller.configurable_tolerance = false;
    sync(&s, 15);
    assert_int_equal(s.out.replicas, 3);
    hpa_state_done(&s.state);
}

static void names_are_found(void **state)
{
    enum hpa_reason reason;
    enum hpa_condition_type type;

    (void)state;
    assert_true(hpa_reason_find("TooFewReplicas", &reason));
    assert_int_equal(reason, HPA_REASON_TooFewReplicas);
    assert_false(hpa_reason_find("Nonsense", &reason));
    assert_true(hpa_condition_find("ScalingLimited", &type));
    assert_int_equal(type, HPA_SCALING_LIMITED);
    assert_false(hpa_condition_find("Nonsense", &type));
}

/* ---- behavior and validation ---- */

static const struct tree *yaml(struct arena *arena, const char *source)
{
    struct tree *documents;
    struct error err;

    if (!tree_read_yaml("test", source, strlen(source), arena, &documents, &err))
        fail_msg("%s", err.text);
    return tree_index(documents, 0);
}

static void behavior_is_filled(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct scaling_behavior b;

    (void)state;
    assert_true(
        scaling_behavior_read(yaml(arena, "scaleUp: {policies: [{type: Percent, value: 50, periodSeconds: 60}],"
                                          " selectPolicy: Min, tolerance: 50m}\nscaleDown: {selectPolicy: Disabled}"),
                              &b));
    assert_int_equal(b.up.policy_count, 1);
    assert_true(b.up.policies[0].percent);
    assert_int_equal(b.up.select, SELECT_MIN);
    assert_true(b.up.tolerance == 0.05);
    assert_int_equal(b.up.window_s, 0);
    assert_int_equal(b.down.select, SELECT_DISABLED);
    assert_int_equal(b.down.window_s, -1);
    assert_int_equal(b.down.policies[0].value, 100);
    assert_true(scaling_behavior_read(yaml(arena, "{}"), &b));
    assert_int_equal(b.up.policy_count, 2);
    char many[1000] = "scaleUp: {policies: [";
    for (int i = 0; i < 9; i++)
        strcat(many, "{type: Pods, value: 1, periodSeconds: 15},");
    strcat(many, "]}");
    assert_false(scaling_behavior_read(yaml(arena, many), &b));
    arena_free(arena);
}

static void note(void *arg, const char *path, enum hpa_finding_kind kind, const char *text)
{
    assert_true(strlen(text) > 5);
    text_printf(arg, "%s:%s ", path, hpa_finding_name(kind));
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *spec, *expect;
    } rows[] = {
        {"{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, maxReplicas: 3, metrics: []}", ""},
        {"{scaleTargetRef: {kind: '', name: a/b}, maxReplicas: 0}",
         "spec.maxReplicas:Invalid spec.scaleTargetRef.kind:Required spec.scaleTargetRef.name:Invalid "},
        {"{scaleTargetRef: {apiVersion: a/b/c, kind: K, name: ..}, minReplicas: 4, maxReplicas: 3}",
         "spec.maxReplicas:Invalid spec.scaleTargetRef.name:Invalid spec.scaleTargetRef.apiVersion:Invalid "},
        {"{scaleTargetRef: {kind: K, name: web}, maxReplicas: 3, minReplicas: 0, metrics: [{type: Resource, resource: "
         "{name: "
         "cpu, target: {type: Utilization, averageUtilization: 0, averageValue: 1}}}]}",
         "spec.minReplicas:Invalid spec.metrics[0].resource.target.averageUtilization:Invalid "
         "spec.metrics[0].resource.target.averageValue:Forbidden spec.metrics:Forbidden "},
        {"{scaleTargetRef: {kind: K, name: web}, maxReplicas: 3, metrics: [{type: Nonsense, pods: {metric: {name: ''}, "
         "target: {type: AverageValue}}}]}",
         "spec.metrics[0].pods.metric.name:Required spec.metrics[0].pods.target.averageValue:Required "
         "spec.metrics[0].type:NotSupported "},
        {"{scaleTargetRef: {kind: K, name: web}, maxReplicas: 3, metrics: [{type: ContainerResource, "
         "containerResource: "
         "{name: gpu, container: A_b, target: {type: Utilization, averageUtilization: 5}}}]}",
         "spec.metrics[0].containerResource.name:Invalid spec.metrics[0].containerResource.container:Invalid "},
        {"{scaleTargetRef: {kind: K, name: web}, maxReplicas: 3, metrics: [{type: Object, object: {metric: {name: m}, "
         "describedObject: {kind: K, name: web}, target: {type: '', value: -1}}, pods: {}}]}",
         "spec.metrics[0].object.target.type:Required spec.metrics[0].object.target.type:Invalid "
         "spec.metrics[0].object.target.value:Invalid spec.metrics[0].pods:Forbidden "},
        {"{scaleTargetRef: {kind: K, name: web}, maxReplicas: 3, behavior: {scaleUp: {stabilizationWindowSeconds: "
         "3601, "
         "selectPolicy: max, tolerance: -1m, policies: [{type: Pod, value: 0, periodSeconds: 1801}]}, scaleDown: "
         "{policies: []}}}",
         "spec.behavior.scaleUp.stabilizationWindowSeconds:Invalid spec.behavior.scaleUp.selectPolicy:NotSupported "
         "spec.behavior.scaleUp.policies[0].type:NotSupported spec.behavior.scaleUp.policies[0].value:Invalid "
         "spec.behavior.scaleUp.policies[0].periodSeconds:Invalid spec.behavior.scaleUp.tolerance:Invalid "
         "spec.behavior.scaleDown.policies:Required "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct text found;

        text_init(&found, 10000);
        hpa_validate(yaml(arena, rows[i].spec), false, note, &found);
        assert_string_equal(found.bytes, rows[i].expect);
        text_done(&found);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_scales),
        cmocka_unit_test(where_a_sync_ends),
        cmocka_unit_test(selectors_are_needed),
        cmocka_unit_test(one_failing_metric_forbids_only_going_down),
        cmocka_unit_test(to_zero_and_back_with_the_gate),
        cmocka_unit_test(per_pod_and_object_metrics),
        cmocka_unit_test(tolerances_of_either_side),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(behavior_is_filled),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

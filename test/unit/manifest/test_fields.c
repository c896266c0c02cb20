/* The mechanism of tables: unknown, misplaced, repeated and missing fields, types, ranges and words. */
#include "check.h"

static const struct check_row rows[] = {
    {"plain", SPEC, ""},
    {"nulls are absent",
     HEAD "spec:\n  scaleTargetRef: {name: app, kind: ~}\n  advanced:\n  fallback: null\n  triggers: [" CRON "]\n", ""},
    {"misspelt", SPEC "  minReplicaCout: 1\n", "warning unknown-field spec.minReplicaCout\n", "minReplicaCount"},
    {"abbreviated", SPEC "  minReplicas: 1\n", "warning unknown-field spec.minReplicas\n", "minReplicaCount"},
    {"nonsense", SPEC "  zebra: 1\n", "warning unknown-field spec.zebra\n", "does nothing"},
    {"one level too far out", SPEC "pollingInterval: 5\n", "warning misplaced-field pollingInterval\n",
     "spec.pollingInterval"},
    {"one level too deep", HEAD "spec:\n  scaleTargetRef: {name: app, maxReplicaCount: 3}\n  triggers: [" CRON "]\n",
     "warning misplaced-field spec.scaleTargetRef.maxReplicaCount\n", "spec.maxReplicaCount"},
    {"beside its parent", SPEC "  advanced: {formula: a}\n", "warning misplaced-field spec.advanced.formula\n",
     "spec.advanced.scalingModifiers.formula"},
    {"in metadata",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, triggers: []}\nspec:\n  scaleTargetRef: "
     "{name: app}\n  triggers: [" CRON "]\n",
     "warning misplaced-field metadata.triggers\n", "spec.triggers"},
    {"parameters beside metadata",
     HEAD "spec:\n  scaleTargetRef: {name: app}\n  triggers: [{type: cron, timezone: UTC, metadata: {a: b}}]\n",
     "warning misplaced-field spec.triggers[0].timezone\n", "spec.triggers[0].metadata.timezone"},
    {"everything out of spec", HEAD "spec:\nscaleTargetRef: {name: app}\ntriggers: [" CRON "]\n",
     "error missing-required spec.scaleTargetRef\nerror missing-required spec.triggers\nwarning misplaced-field "
     "scaleTargetRef\n"
     "warning misplaced-field triggers\n",
     "indent it under spec"},
    {"twice", SPEC "  minReplicaCount: 1\n  minReplicaCount: 2\n", "warning duplicate-key spec.minReplicaCount\n"},
    {"unit", SPEC "  cooldownPeriod: 1h\n", "error wrong-type spec.cooldownPeriod\n", "3600"},
    {"part of a second", SPEC "  pollingInterval: 500ms\n", "error wrong-type spec.pollingInterval\n",
     "weir.dev/polling-interval"},
    {"number in quotes", SPEC "  minReplicaCount: \"2\"\n", "error wrong-type spec.minReplicaCount\n",
     "without quotes"},
    {"fraction", SPEC "  minReplicaCount: 1.5\n", "error wrong-type spec.minReplicaCount\n", "whole number"},
    {"whole float", SPEC "  minReplicaCount: 2.0\n  maxReplicaCount: 1e1\n", ""},
    {"below the range", SPEC "  pollingInterval: 0\n", "error bad-range spec.pollingInterval\n", "at least 1"},
    {"negative", SPEC "  idleReplicaCount: -1\n", "error bad-range spec.idleReplicaCount\n", "at least 0"},
    {"above int32", SPEC "  maxReplicaCount: 3000000000\n", "error bad-range spec.maxReplicaCount\n",
     "at most 2147483647"},
    {"bool for a number", SPEC "  maxReplicaCount: yes\n", "error wrong-type spec.maxReplicaCount\n"},
    {"text for a bool", SPEC "  advanced: {restoreToOriginalReplicaCount: \"true\"}\n",
     "error wrong-type spec.advanced.restoreToOriginalReplicaCount\n", "without quotes"},
    {"number for a text", SPEC "  advanced: {scalingModifiers: {formula: a, target: 25}}\n",
     "error wrong-type spec.advanced.scalingModifiers.target\n", "\"25\""},
    {"list in metadata",
     HEAD "spec:\n  scaleTargetRef: {name: app}\n  triggers: [{type: kafka, metadata: {bootstrapServers: [a, b]}}]\n",
     "error wrong-type spec.triggers[0].metadata.bootstrapServers\n", "\"a,b\""},
    {"bool in metadata",
     HEAD "spec:\n  scaleTargetRef: {name: app}\n  triggers: [{type: cron, metadata: {unsafeSsl: true}}]\n",
     "error wrong-type spec.triggers[0].metadata.unsafeSsl\n", "\"true\""},
    {"number in an annotation",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, annotations: "
     "{autoscaling.keda.sh/paused-replicas: 0}}\n"
     "spec:\n  scaleTargetRef: {name: app}\n  triggers: [" CRON "]\n",
     "error wrong-type metadata.annotations[autoscaling.keda.sh/paused-replicas]\n", "\"0\""},
    {"word of another field", JOB "spec:\n" TEMPLATE "  rollout: {strategy: default}\n  triggers: [" CRON "]\n",
     "error unknown-value spec.rollout.strategy\n", "gradual or immediate"},
    {"word in the wrong case", SPEC "  fallback: {failureThreshold: 3, replicas: 1, behavior: Static}\n",
     "error unknown-value spec.fallback.behavior\n", "write static"},
    {"mapping for a list", HEAD "spec:\n  scaleTargetRef: {name: app}\n  triggers: {type: cron}\n",
     "error wrong-type spec.triggers\n", "dash"},
    {"list for a mapping", HEAD "spec:\n  scaleTargetRef: [a]\n  triggers: [" CRON "]\n",
     "error wrong-type spec.scaleTargetRef\n"},
    {"text for a mapping", HEAD "spec:\n  scaleTargetRef: app\n  triggers: [" CRON "]\n",
     "error wrong-type spec.scaleTargetRef\n"},
    {"misspelt and required", HEAD "spec:\n  scaletargetRef: {name: app}\n  triggers: [" CRON "]\n",
     "error missing-required spec.scaleTargetRef\nwarning unknown-field spec.scaletargetRef\n",
     "write scaleTargetRef instead"},
    {"empty name of the target", HEAD "spec:\n  scaleTargetRef: {name: \"\"}\n  triggers: [" CRON "]\n",
     "error missing-required spec.scaleTargetRef.name\n"},
    {"behavior",
     SPEC "  advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleDown: "
          "{stabilizationWindowSeconds: 3700}\n"
          "        scaleUp: {selectPolicy: max, policies: [{type: Pods, value: 0, periodSeconds: 1801}], tolerance: "
          "\"-0.1\"}\n",
     "error bad-range spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds\n"
     "error unknown-value spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.selectPolicy\n"
     "error bad-range spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[0].value\n"
     "error bad-range spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[0].periodSeconds\n"
     "error bad-range spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.tolerance\n"},
    {"no policies", SPEC "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: []}}}}\n",
     "error missing-required spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies\n"},
};

static void test_fields(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), false);
}

/* A wrong type must not make the value vanish where it is clear what was meant: other checks go on with it. */
static void test_numbers_in_metadata_are_kept(void **state)
{
    struct checked c;

    (void)state;
    check_read(
        &c,
        HEAD
        "spec:\n  scaleTargetRef: {name: app}\n  triggers: [{type: x, metadata: {a: 50, b: {c: ~}, d: ~, e: yes}}]\n",
        false);
    const struct trigger_spec *trigger = &c.manifest->scaled_objects[0].triggers[0];
    assert_string_equal(tree_string(tree_get(trigger->metadata, "a")), "50");
    assert_null(tree_get(trigger->metadata, "b"));
    assert_null(tree_get(trigger->metadata, "d"));
    assert_int_equal(tree_count(trigger->metadata), 2);
    assert_true(trigger->unclear);
    assert_true(c.manifest->scaled_objects[0].meta.broken);
    check_done(&c);
}

static void test_places(void **state)
{
    struct checked c;

    (void)state;
    check_read(&c, "# nothing\n---\n" SPEC "  pollingInterval: 30s\n  zebra: 1\n", false);
    const struct finding *wrong = report_at(c.report, 0), *unknown = report_at(c.report, 1);
    assert_int_equal(wrong->place.line, 9);
    assert_int_equal(wrong->place.column, 20);
    assert_int_equal(wrong->place.doc, 0);
    assert_string_equal(wrong->place.file, "t.yaml");
    assert_string_equal(wrong->object, "ScaledObject shop/app");
    assert_int_equal(unknown->place.line, 10);
    assert_int_equal(unknown->place.column, 3);
    check_done(&c);
}

static void test_findings_are_bounded(void **state)
{
    struct text yaml;
    struct checked c;

    (void)state;
    text_init(&yaml, 1000 * 1000);
    text_add(&yaml, SPEC);
    for (int i = 0; i < 5000; i++)
        text_printf(&yaml, "  zebra%d: 1\n", i);
    check_read(&c, yaml.bytes, false);
    assert_true(report_count(c.report) < 1100);
    assert_true(check_says(c.report, "the rest is not shown"));
    check_done(&c);
    text_done(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_numbers_in_metadata_are_kept),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_findings_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

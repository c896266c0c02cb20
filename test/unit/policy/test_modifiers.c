/* What is said about formulas: the three AI policies as written, and the mistakes of the field. */
#include "check.h"

#define FORMULA(formula, more, triggers)                                                                               \
    HEAD("app")                                                                                                        \
    "  minReplicaCount: 0\n  advanced:\n    scalingModifiers:\n      formula: '" formula "'\n" more                    \
    "  triggers: [" triggers "]\n"
#define TARGET "      target: \"10\"\n"
#define F      "spec.advanced.scalingModifiers.formula"

#define RETRAINING                                                                                                     \
    FORMULA("validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0",                    \
            "      activationTarget: \"1\"\n",                                                                         \
            NAMED("validation_drift") ", " NAMED("available_gpus") ", " NAMED("request_queue_length"))
#define TOKEN_LATENCY(metric_type, min)                                                                                \
    HEAD("llm")                                                                                                        \
    "  minReplicaCount: " min                                                                                          \
    "\n  advanced: {scalingModifiers: {formula: \"1 / (tokens_per_min / pod_count)\", target: \"0.001\"" metric_type   \
    "}}\n"                                                                                                             \
    "  triggers: [" NAMED("tokens_per_min") ", {type: kubernetes-workload, name: pod_count, metadata: {podSelector: "  \
                                            "app=llm, value: \"1\"}}]\n"

static const struct check_row rows[] = {
    {"retraining", RETRAINING,
     "advice formula-missing-value " F "\nadvice formula-without-target spec.advanced.scalingModifiers.target\n",
     "switches on and off"},
    {"retraining in hpa mode", RETRAINING,
     "error formula-target spec.advanced.scalingModifiers.target\nadvice formula-missing-value " F
     "\nwarning formula-never-active spec.advanced.scalingModifiers.activationTarget\n",
     "never gets above 1", AS_HPA},
    {"retraining, strictly",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, annotations: "
     "{weir.dev/strict-activation: \"true\"}}\nspec:\n  scaleTargetRef: {name: app}\n"
     "  advanced: {scalingModifiers: {formula: \"a > 1 ? 1 : 0\", activationTarget: \"1\"}}\n  triggers: [" NAMED(
         "a") "]\n",
     "warning formula-never-active spec.advanced.scalingModifiers.activationTarget\nadvice formula-without-target "
     "spec.advanced.scalingModifiers.target\n"},
    {"token latency", TOKEN_LATENCY("", "1"),
     "warning formula-division-by-zero " F "\nwarning formula-positive-feedback " F
     "\nadvice average-value spec.advanced.scalingModifiers.metricType\nadvice formula-needs-replicas " F "\n"
     "advice threshold-ignored spec.triggers[1].metadata.value\n",
     "metricType Value the answer is ceil(ready replicas x value / 0.001)"},
    {"token latency by Value", TOKEN_LATENCY(", metricType: Value", "1"),
     "warning formula-division-by-zero " F "\nwarning formula-positive-feedback " F "\nadvice formula-needs-replicas " F
     "\nadvice threshold-ignored spec.triggers[1].metadata.value\n",
     "minReplicaCount: 1 keeps that above 0"},
    {"token latency from zero", TOKEN_LATENCY("", "0"),
     "warning formula-division-by-zero " F "\nwarning formula-positive-feedback " F
     "\nadvice average-value spec.advanced.scalingModifiers.metricType\nwarning formula-needs-replicas " F "\n"
     "advice threshold-ignored spec.triggers[1].metadata.value\n",
     "set minReplicaCount: 1"},
    {"rebalancing",
     FORMULA("tokens_per_min >= 5000 ? request_rate : 0", "      target: \"100\"\n      activationTarget: \"1\"\n",
             NAMED("tokens_per_min") ", " NAMED("request_rate")),
     ""},
    {"rebalancing for KEDA",
     FORMULA("tokens_per_min >= 5000 ? request_rate : 0", "      target: \"100\"\n      activationTarget: \"1\"\n",
             NAMED("tokens_per_min") ", " NAMED("request_rate")),
     "", NULL, AS_KEDA},
    {"no names", FORMULA("running + waiting * 10", TARGET, UNNAMED ", " UNNAMED),
     "error formula-unnamed-trigger " F "\n", "triggers[0] and triggers[1] have no name"},
    {"one without a name", FORMULA("a", TARGET, NAMED("a") ", " UNNAMED),
     "warning formula-unnamed-trigger spec.triggers[1]\n"},
    {"misspelt", FORMULA("runing", TARGET, NAMED("running")), "error formula-unknown-name " F "\n", "running"},
    {"dashes", FORMULA("max(queue-size / 2, queue-size)", TARGET, NAMED("queue-size")),
     "error formula-unknown-name " F "\n", "$env[\"queue-size\"]"},
    {"dashes by $env", FORMULA("$env[\"queue-size\"] * 2", TARGET, NAMED("queue-size")), ""},
    {"cpu",
     FORMULA("req + cpu", TARGET,
             NAMED("req") ", {type: cpu, name: cpu, metricType: Utilization, metadata: {value: \"60\"}}"),
     "error formula-resource-trigger " F "\n", "cpu is a cpu trigger"},
    {"memory without a name",
     FORMULA("req + memory", TARGET,
             NAMED("req") ", {type: memory, metricType: Utilization, metadata: {value: \"60\"}}"),
     "error formula-resource-trigger " F "\n"},
    {"the target for a metric", FORMULA("max(target * 1.5, 1)", "", UNNAMED), "error formula-ignores-triggers " F "\n",
     "not a metric"},
    {"the target that is not set", FORMULA("a / target", "", NAMED("a")),
     "warning formula-division-by-zero " F
     "\nadvice formula-without-target spec.advanced.scalingModifiers.target\nwarning formula-target " F "\n"},
    {"a constant", FORMULA("5", TARGET, NAMED("a")), "error formula-ignores-triggers " F "\n"},
    {"the calendar alone", FORMULA("hour(\"UTC\") >= 8 ? 30 : 0", TARGET, NAMED("a")),
     "advice formula-unused-trigger spec.triggers[0]\n", "does not use a"},
    {"a divisor that rests at 0", FORMULA("lag / gpu * 1.2", TARGET, NAMED("lag") ", " NAMED("gpu")),
     "warning formula-division-by-zero " F "\n", "divides by gpu"},
    {"a guarded divisor", FORMULA("gpu > 0 ? lag / gpu : 0", TARGET, NAMED("lag") ", " NAMED("gpu")), ""},
    {"a divisor of at least 1", FORMULA("lag / max(gpu, 1)", TARGET, NAMED("lag") ", " NAMED("gpu")),
     "advice formula-missing-value " F "\n"},
    {"no formula", HEAD("app") "  advanced: {scalingModifiers: {target: \"5\"}}\n  triggers: [" NAMED("a") "]\n",
     "error formula-missing " F "\n"},
    {"only a metric type",
     HEAD("app") "  advanced: {scalingModifiers: {formula: \"\", metricType: Value}}\n  triggers: [" NAMED("a") "]\n",
     "error formula-missing " F "\n"},
    {"a target with a unit", FORMULA("a", "      target: 10%\n", NAMED("a")),
     "error bad-number spec.advanced.scalingModifiers.target\n"},
    {"no target for KEDA", FORMULA("a", "", NAMED("a")), "error formula-target spec.advanced.scalingModifiers.target\n",
     NULL, AS_KEDA},
    {"target 0", FORMULA("a", "      target: \"0\"\n", NAMED("a")),
     "error formula-target spec.advanced.scalingModifiers.target\n", "more than 0"},
    {"activation that is no number", FORMULA("a", TARGET "      activationTarget: one\n", NAMED("a")),
     "error bad-number spec.advanced.scalingModifiers.activationTarget\n"},
    {"activation out of reach", FORMULA("a > 5 ? 1 : 0", TARGET "      activationTarget: \"2\"\n", NAMED("a")),
     "warning formula-never-active spec.advanced.scalingModifiers.activationTarget\n"
     "advice formula-below-target spec.advanced.scalingModifiers.target\n"},
    {"syntax", FORMULA("a +", TARGET, NAMED("a")), "error formula-syntax " F "\n", "formula 1:"},
    {"type", FORMULA("a > 5", TARGET, NAMED("a")), "error formula-type " F "\n"},
    {"replicas, ours", FORMULA("a * replicas", TARGET, NAMED("a")), ""},
    {"replicas, for KEDA", FORMULA("a * replicas", TARGET, NAMED("a")), "error formula-unknown-name " F "\n", NULL,
     AS_KEDA},
    {"thresholds that no longer count",
     FORMULA("a", TARGET,
             "{type: prometheus, name: a, metadata: {" PROM ", threshold: \"25\", activationThreshold: \"2\"}}"),
     "advice threshold-ignored spec.triggers[0].metadata.threshold\nadvice threshold-ignored "
     "spec.triggers[0].metadata.activationThreshold\n"},
    {"a threshold that says the same",
     FORMULA("a", TARGET, "{type: prometheus, name: a, metadata: {" PROM ", threshold: \"10\"}}"), ""},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

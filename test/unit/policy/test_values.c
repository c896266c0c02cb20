/* What the values of a formula and of queries mean for the replicas, and intervals against windows. */
#include "check.h"

#define T      "spec.triggers[0].metadata.query"
#define F      "spec.advanced.scalingModifiers.formula"
#define TARGET "spec.advanced.scalingModifiers.target"

/* more: fields of spec, one a line; modifiers: further members of scalingModifiers. */
#define FORMULA(formula, modifiers, more, triggers)                                                                    \
    HEAD("app")                                                                                                        \
    more "  advanced: {scalingModifiers: {formula: '" formula "', " modifiers "}}\n  triggers: [" triggers "]\n"
#define AB NAMED("a") ", " NAMED("b")
#define QUERY(query, threshold, more)                                                                                  \
    HEAD("app")                                                                                                        \
    more "  triggers: [{type: prometheus, metadata: {serverAddress: \"http://prom:9090\", query: '" query              \
         "', threshold: \"" threshold "\"}}]\n"
#define BY_VALUE(query)                                                                                                \
    HEAD("app")                                                                                                        \
    "  triggers: [{type: prometheus, metricType: Value, metadata: {serverAddress: \"http://prom:9090\", query: "       \
    "'" query "', threshold: \"5\"}}]\n"
#define ZERO_TOLERANCE "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {tolerance: \"0\"}}}}\n"
#define PODS           "{type: kubernetes-workload, name: peers, metadata: {podSelector: \"tier=web\", value: \"10\"}}"
#define DEPLOYMENT(label)                                                                                              \
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec: {selector: {matchLabels: {tier: " label  \
    "}}, template: {metadata: {labels: {tier: " label "}}, spec: {containers: [{name: c, image: i}]}}}\n"

static const struct check_row rows[] = {
    /* feedback */
    {"pods over load",
     FORMULA("pods / max(a, 1)", "target: \"2\"", "  minReplicaCount: 1\n", NAMED("a") ", " NAMED("pods")),
     "advice formula-missing-value " F "\nwarning formula-positive-feedback " F "\n", "up to 100"},
    {"a mean times the replicas is a total", FORMULA("a * replicas", "target: \"2\"", "", NAMED("a")), ""},
    {"and with Value a runaway", FORMULA("a * replicas", "target: \"2\", metricType: Value", "", NAMED("a")),
     "warning formula-positive-feedback " F "\n", "multiplies by them again"},
    {"a step controller",
     FORMULA("replicas + (a > 10 ? 1 : b > 3 ? -1 : 0)", "target: \"1\"", "  minReplicaCount: 1\n", AB),
     "advice formula-missing-value " F "\n"},
    {"a share of them that is ready",
     FORMULA("a * ready_replicas / max(replicas, 1)", "target: \"1\"", "  minReplicaCount: 1\n", NAMED("a")),
     "advice average-value spec.advanced.scalingModifiers.metricType\nadvice formula-needs-replicas " F "\n"},
    {"other pods than its own",
     FORMULA("peers / max(a, 1)", "target: \"2\"", "", NAMED("a") ", " PODS) DEPLOYMENT("db"),
     "advice formula-missing-value " F "\nadvice threshold-ignored spec.triggers[1].metadata.value\n"},
    {"its own pods", FORMULA("peers / max(a, 1)", "target: \"2\"", "", NAMED("a") ", " PODS) DEPLOYMENT("web"),
     "advice formula-missing-value " F "\nwarning formula-positive-feedback " F
     "\nadvice threshold-ignored spec.triggers[1].metadata.value\n"},
    /* reach */
    {"a switch", FORMULA("a > 5 ? 1 : 0", "target: \"1\"", "", NAMED("a")), "advice formula-below-target " TARGET "\n",
     "switch"},
    {"a switch of one replica", FORMULA("a > 5 ? 1 : 0", "target: \"1\"", "  maxReplicaCount: 1\n", NAMED("a")), ""},
    {"never more than one", FORMULA("min(a, 8)", "target: \"10\"", "", NAMED("a")),
     "warning formula-below-target " TARGET "\n", "never asks for more than 1 replica"},
    {"never above its minimum", FORMULA("min(a, 40)", "target: \"10\"", "  minReplicaCount: 4\n", NAMED("a")),
     "warning formula-below-target " TARGET "\n"},
    {"with Value, within the tolerance", FORMULA("min(a, 10.5)", "target: \"10\", metricType: Value", "", NAMED("a")),
     "warning formula-below-target " TARGET "\n"},
    {"with Value, above it", FORMULA("min(a, 12)", "target: \"10\", metricType: Value", "", NAMED("a")), ""},
    {"saturates", FORMULA("min(a, 50)", "target: \"10\"", "  maxReplicaCount: 20\n", NAMED("a")),
     "advice formula-saturates " F "\n", "asks for 5 replicas"},
    {"the default maximum says nothing", FORMULA("min(a, 50)", "target: \"10\"", "", NAMED("a")), ""},
    {"a cron gives what it says",
     FORMULA(
         "c", "target: \"1\"", "  maxReplicaCount: 10\n",
         "{type: cron, name: c, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"4\"}}"),
     "advice formula-always-active " F "\nadvice formula-saturates " F "\n"},
    /* missing */
    {"0 is best", FORMULA("a < 5 ? b : 0", "target: \"1\"", "", AB), "advice formula-missing-value " F "\n", "a ?? "},
    {"thought of", FORMULA("(a ?? 100) < 5 ? b : 0", "target: \"1\"", "", AB), ""},
    {"a failure by its own word",
     FORMULA("a < 5 ? 3 : 0", "target: \"1\"", "  maxReplicaCount: 3\n",
             "{type: prometheus, name: a, metadata: {" PROM ", threshold: \"1\", ignoreNullValues: \"false\"}}"),
     ""},
    /* arithmetic under the target */
    {"divided twice", FORMULA("ceil(a / 10)", "target: \"10\"", "", NAMED("a")), "warning divided-twice " TARGET "\n",
     "one replica for 100"},
    {"perhaps divided twice", FORMULA("a / 10", "target: \"10\"", "", NAMED("a")), "advice divided-twice " TARGET "\n"},
    {"counted, then divided", FORMULA("ceil(a / 10)", "target: \"3\"", "", NAMED("a")),
     "advice divided-twice " TARGET "\n"},
    {"counted", FORMULA("ceil(a / 10)", "target: \"1\"", "", NAMED("a")), ""},
    {"another unit", FORMULA("a / 1000", "target: \"10\"", "", NAMED("a")), ""},
    {"spare", FORMULA("a + 1", "target: \"1\"", "  minReplicaCount: 1\n", NAMED("a")),
     "advice spare-within-tolerance " F "\n", "with 10 or more"},
    {"spare of a small fleet",
     FORMULA("a + 1", "target: \"1\"", "  minReplicaCount: 1\n  maxReplicaCount: 8\n", NAMED("a")), ""},
    {"spare in a query", QUERY("sum(busy) + 2", "1", "  minReplicaCount: 1\n"), "advice spare-within-tolerance " T "\n",
     "with 20 or more"},
    {"spare without tolerance", QUERY("sum(busy) + 2", "1", ZERO_TOLERANCE), ""},
    {"divided twice in a query", QUERY("sum(queue) / 50", "50", ""), "advice divided-twice " T "\n"},
    /* totals, means and ratios */
    {"a total", QUERY("sum(queue)", "5", ""), ""},
    {"a mean", QUERY("avg(queue)", "5", ""), "advice mean-as-total " T "\n"},
    {"a quantile", QUERY("histogram_quantile(0.95, sum by (le) (rate(l_bucket[2m])))", "0.5", ""),
     "advice mean-as-total " T "\n"},
    {"a mean by Value", BY_VALUE("avg(queue)"), ""},
    {"a value per pod", QUERY("sum(queue) / count(up{app=\"a\"})", "5", ""), "advice average-value " T "\n"},
    {"a share", QUERY("sum(rate(r{code=~\"5..\"}[2m])) / sum(rate(r[2m]))", "0.5", ""),
     "warning ratio-as-total " T "\n", "never more than 2"},
    {"a share, small threshold", QUERY("sum(r{code=\"500\"}) / sum(r)", "0.01", ""), ""},
    {"a ratio", QUERY("sum(used) / sum(capacity)", "0.8", ""), "advice ratio-as-total " T "\n"},
    {"a bounded value", QUERY("clamp_max(sum(queue), 10)", "5", ""), "advice ratio-as-total " T "\n"},
    {"a total by Value", BY_VALUE("sum(queue)"), "advice total-under-value " T "\n"},
    {"a mean through a formula",
     FORMULA("a", "target: \"5\"", "",
             "{type: prometheus, name: a, metadata: {serverAddress: \"http://p:9090\", query: avg(queue), threshold: "
             "\"5\"}}"),
     "advice mean-as-total " T "\n"},
    {"a bounded value in a formula",
     FORMULA("a * 2", "target: \"5\"", "  maxReplicaCount: 4\n",
             "{type: prometheus, name: a, metadata: {serverAddress: \"http://p:9090\", query: \"clamp_max(sum(q), "
             "3)\", threshold: \"5\"}}"),
     "advice formula-saturates " F "\n"},
    {"a trigger that counts itself", HEAD("app") "  triggers: [" PODS "]\n" DEPLOYMENT("web"),
     "warning counts-itself spec.triggers[0].metadata.podSelector\n", "never more than runs already"},
    {"a trigger that counts others", HEAD("app") "  triggers: [" PODS "]\n" DEPLOYMENT("db"), ""},
    {"a trigger that may count itself", HEAD("app") "  triggers: [" PODS "]\n", ""},
    /* intervals */
    {"a window without samples", FORMULA("avg_over(a, \"10s\")", "target: \"5\"", "", NAMED("a")),
     "warning window-shorter-than-poll " F "\n", "one sample in it, or none"},
    {"one sample is no slope", FORMULA("max(rate(a, \"20s\"), 0)", "target: \"5\"", "", NAMED("a")),
     "warning window-shorter-than-poll " F "\n", "not two samples"},
    {"at 0 replicas only", FORMULA("avg_over(a, \"1m\")", "target: \"5\"", "  pollingInterval: 120\n", NAMED("a")),
     "advice window-shorter-than-poll " F "\n", "asked every 2 min"},
    {"never at 0",
     FORMULA("avg_over(a, \"1m\")", "target: \"5\"", "  pollingInterval: 120\n  minReplicaCount: 1\n", NAMED("a")), ""},
    {"the last good value is no window", FORMULA("recent(a, \"5s\") ?? 3", "target: \"1\"", "", NAMED("a")), ""},
    {"a query between polls", QUERY("sum(rate(r[1m]))", "5", "  pollingInterval: 300\n"),
     "advice window-shorter-than-poll " T "\n", "never seen"},
    {"a query of cached polls",
     HEAD("app") "  pollingInterval: 300\n  triggers: [{type: prometheus, useCachedMetrics: true, metadata: "
                 "{serverAddress: "
                 "\"http://p:9090\", query: \"sum(rate(r[1m]))\", threshold: \"5\"}}]\n",
     "warning window-shorter-than-poll " T "\n"},
    {"a query that looks back", QUERY("max_over_time(sum(rate(r[1m]))[10m:30s])", "5", "  pollingInterval: 300\n"), ""},
    {"a short cooldown", QUERY("sum(q)", "5", "  cooldownPeriod: 10\n"),
     "advice cooldown-shorter-than-poll spec.cooldownPeriod\n"},
    {"a long cooldown", QUERY("sum(q)", "5", "  cooldownPeriod: 3600\n"),
     "advice cooldown-holds-the-last spec.cooldownPeriod\n", "go after 5 min"},
    {"a long cooldown of one replica", QUERY("sum(q)", "5", "  cooldownPeriod: 3600\n  maxReplicaCount: 1\n"), ""},
    {"a long cooldown, and behavior",
     QUERY("sum(q)", "5",
           "  cooldownPeriod: 3600\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: "
           "{stabilizationWindowSeconds: 600}}}}\n"),
     ""},
    {"no cooldown on purpose", QUERY("sum(q)", "5", "  cooldownPeriod: 0\n"), ""},
    {"a cooldown of one KEDA poll", QUERY("sum(q)", "5", "  cooldownPeriod: 20\n"), ""},
    {"the same in hpa mode", QUERY("sum(q)", "5", "  cooldownPeriod: 20\n"),
     "advice cooldown-shorter-than-poll spec.cooldownPeriod\n", NULL, AS_HPA},
    /* names */
    {"a name of Weir's", FORMULA("replicas * 5", "target: \"10\"", "", NAMED("replicas")),
     "advice formula-shadowed-name spec.triggers[0].name\n", "hides replicas"},
    {"a function's name", FORMULA("rate * 2", "target: \"10\"", "", NAMED("rate")),
     "advice formula-shadowed-name spec.triggers[0].name\n"},
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

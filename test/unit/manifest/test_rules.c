/* KEDA's rules between the fields of one object: bounds, triggers, fallback, names, authentication. */
#include "check.h"

#define TARGET HEAD "spec:\n  scaleTargetRef: {name: app}\n"
#define CPU    "{type: cpu, metricType: Utilization, metadata: {value: \"50\"}}"
#define AUTH   "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: a}\nspec:\n"
#define EVENTS "apiVersion: eventing.keda.sh/v1alpha1\nkind: CloudEventSource\nmetadata: {name: a}\nspec:\n"
#define N63    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define NAMED(name, advanced)                                                                                          \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: " name                                         \
    "}\nspec:\n  scaleTargetRef: {name: app}\n" advanced "  triggers: [" CRON "]\n"

static const struct check_row rows[] = {
    {"minimum above maximum", SPEC "  minReplicaCount: 5\n  maxReplicaCount: 4\n",
     "error min-max spec.minReplicaCount\n", "less than or equal"},
    {"minimum above the default maximum", SPEC "  minReplicaCount: 101\n", "error min-max spec.minReplicaCount\n",
     "100 (the default)"},
    {"minimum equal to maximum", SPEC "  minReplicaCount: 4\n  maxReplicaCount: 4\n", ""},
    {"idle equal to minimum", SPEC "  idleReplicaCount: 1\n  minReplicaCount: 1\n",
     "error idle spec.idleReplicaCount\n", "less than"},
    {"idle 0 without minimum", SPEC "  idleReplicaCount: 0\n", "error idle spec.idleReplicaCount\n"},
    {"idle 0, minimum 0", SPEC "  idleReplicaCount: 0\n  minReplicaCount: 0\n", ""},
    {"idle below minimum", SPEC "  idleReplicaCount: 1\n  minReplicaCount: 2\n", ""},
    {"no triggers", TARGET "  triggers: []\n", "error missing-required spec.triggers\n", "at least one"},
    {"triggers null", TARGET "  triggers:\n", "error missing-required spec.triggers\n"},
    {"same name twice", TARGET "  triggers: [{type: x, name: a, metadata: {}}, {type: z, name: a, metadata: {}}]\n",
     "error duplicate-trigger-name spec.triggers[1].name\n", "triggers[0]"},
    {"no name twice", TARGET "  triggers: [{type: x, name: \"\", metadata: {}}, {type: z, metadata: {}}]\n", ""},
    {"cached cpu",
     TARGET "  minReplicaCount: 1\n  triggers: [{type: cpu, metadata: {value: \"1\"}, useCachedMetrics: true}]\n",
     "error cached-metrics spec.triggers[0].useCachedMetrics\n"},
    {"cached cron", TARGET "  triggers: [{type: cron, metadata: {}, useCachedMetrics: true}]\n",
     "error cached-metrics spec.triggers[0].useCachedMetrics\n"},
    {"cached other", TARGET "  triggers: [{type: kafka, metadata: {}, useCachedMetrics: true}]\n", ""},
    {"only cpu, to zero", TARGET "  triggers: [" CPU "]\n", "error scale-to-zero spec.minReplicaCount\n"},
    {"only cpu, from one", TARGET "  minReplicaCount: 1\n  triggers: [" CPU "]\n", ""},
    {"cpu and another, to zero", TARGET "  triggers: [" CPU ", " CRON "]\n", ""},
    {"fallback of cpu",
     TARGET "  minReplicaCount: 1\n  fallback: {failureThreshold: 1, replicas: 1}\n  triggers: [" CPU "]\n",
     "error fallback-unusable spec.fallback\n"},
    {"half a fallback", SPEC "  fallback: {replicas: 1}\n", "error missing-required spec.fallback.failureThreshold\n"},
    {"negative fallback", SPEC "  fallback: {failureThreshold: -1, replicas: -3}\n",
     "error bad-range spec.fallback.failureThreshold\nerror bad-range spec.fallback.replicas\n"},
    {"fallback by formula", SPEC "  fallback: {failureThreshold: 1, replicas: 1, behavior: scalingModifiers}\n",
     "error fallback-formula spec.fallback.behavior\n"},
    {"longest name", NAMED(N63, "  advanced: {horizontalPodAutoscalerConfig: {name: short}}\n"), ""},
    {"name too long for a label", NAMED(N63 "n", "  advanced: {horizontalPodAutoscalerConfig: {name: short}}\n"),
     "error name-too-long metadata.name\n"},
    {"name too long for its autoscaler", NAMED(N63, ""), "advice name-too-long metadata.name\n",
     "horizontalPodAutoscalerConfig.name"},
    {"name of the autoscaler too long", NAMED("app", "  advanced: {horizontalPodAutoscalerConfig: {name: " N63 "n}}\n"),
     "error name-too-long spec.advanced.horizontalPodAutoscalerConfig.name\n"},
    {"cooldown without effect", SPEC "  cooldownPeriod: 5\n  minReplicaCount: 1\n",
     "advice no-effect spec.cooldownPeriod\n"},
    {"empty modifiers", SPEC "  advanced: {scalingModifiers: {}}\n", ""},
    {"job", JOB "spec:\n" TEMPLATE "  triggers: [" CRON "]\n", ""},
    {"job without template", JOB "spec:\n  triggers: [" CRON "]\n", "error missing-required spec.jobTargetRef\n"},
    {"job with fallback", JOB "spec:\n" TEMPLATE "  fallback: {}\n  triggers: [" CRON "]\n",
     "warning unknown-field spec.fallback\n"},
    {"job with metricType", JOB "spec:\n" TEMPLATE "  triggers: [{type: x, metricType: Value, metadata: {}}]\n",
     "advice no-effect spec.triggers[0].metricType\n"},
    {"job with a minimum above its maximum",
     JOB "spec:\n" TEMPLATE "  minReplicaCount: 5\n  maxReplicaCount: 4\n  triggers: [" CRON "]\n",
     "warning min-max spec.minReplicaCount\n"},
    {"job that always restarts",
     JOB
     "spec:\n  jobTargetRef: {template: {spec: {restartPolicy: Always, containers: [{name: c}]}}}\n  triggers: [" CRON
     "]\n",
     "error unknown-value spec.jobTargetRef.template.spec.restartPolicy\n"},
    {"events", EVENTS "  destination: {http: {uri: \"https://h/p?x=1\"}}\n  authenticationRef: {name: a}\n", ""},
    {"events to Event Grid", EVENTS "  clusterName: c\n  destination: {azureEventGridTopic: {endpoint: e}}\n", ""},
    {"events to nobody", EVENTS "  clusterName: c\n", "error missing-required spec.destination\n"},
    {"events to no address", EVENTS "  destination: {http: {uri: \"h:80\"}}\n",
     "error bad-url spec.destination.http.uri\n", "https://host/path"},
    {"an unknown type of events",
     EVENTS "  destination: {http: {uri: \"http://h\"}}\n"
            "  eventSubscription: {includedEventTypes: [keda.scaledobject.ready.v1, keda.scaledobject.redy.v1]}\n",
     "error unknown-value spec.eventSubscription.includedEventTypes[1]\n", "write keda.scaledobject.ready.v1"},
    {"two lists of types",
     EVENTS "  destination: {http: {uri: \"http://h\"}}\n"
            "  eventSubscription: {includedEventTypes: [], excludedEventTypes: []}\n",
     "error conflict spec.eventSubscription.excludedEventTypes\n"},
    {"events of another group",
     "apiVersion: keda.sh/v1alpha1\nkind: ClusterCloudEventSource\nmetadata: {name: a}\nspec: {destination: {}}\n",
     "error unknown-api apiVersion\n", "eventing.keda.sh/v1alpha1"},
    {"authentication", AUTH "  podIdentity: {provider: aws, roleArn: r}\n  env: [{parameter: p, name: NAME}]\n", ""},
    {"half a secret", AUTH "  secretTargetRef: [{parameter: p, name: s}]\n",
     "error missing-required spec.secretTargetRef[0].key\n"},
    {"secret as a mapping", AUTH "  secretTargetRef: {parameter: p, name: s, key: k}\n",
     "error wrong-type spec.secretTargetRef\n", "dash"},
    {"identity host without tenant", AUTH "  podIdentity: {provider: azure-workload, identityAuthorityHost: h}\n",
     "error missing-required spec.podIdentity.identityAuthorityHost\n"},
    {"blank identity", AUTH "  podIdentity: {provider: azure-workload, identityId: \"\"}\n",
     "error missing-required spec.podIdentity.identityId\n"},
    {"role and owner", AUTH "  podIdentity: {provider: aws, roleArn: r, identityOwner: workload}\n",
     "error conflict spec.podIdentity.roleArn\n"},
    {"external id without role", AUTH "  podIdentity: {provider: aws, externalID: e}\n",
     "error missing-required spec.podIdentity.externalID\n"},
    {"provider", AUTH "  podIdentity: {provider: azure}\n", "error unknown-value spec.podIdentity.provider\n"},
    {"OAuth", AUTH "  oauth2: {type: password, clientId: \"\", tokenUrl: ftp://x}\n",
     "error unknown-value spec.oauth2.type\nerror missing-required spec.oauth2.clientId\nerror bad-url "
     "spec.oauth2.tokenUrl\n"},
    {"vault without secrets", AUTH "  hashiCorpVault: {address: a, authentication: token, secrets: []}\n",
     "error missing-required spec.hashiCorpVault.secrets\n"},
};

static void test_rules(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void test_too_many_triggers(void **state)
{
    struct text yaml;
    struct checked c;

    (void)state;
    text_init(&yaml, 100 * 1000);
    text_add(&yaml, TARGET "  triggers:\n");
    for (int i = 0; i < 101; i++)
        text_add(&yaml, "  - {type: x, metadata: {}}\n");
    check_read(&c, yaml.bytes, false);
    assert_string_equal(c.findings.bytes, "error limit spec.triggers\n");
    check_done(&c);
    text_done(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_too_many_triggers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

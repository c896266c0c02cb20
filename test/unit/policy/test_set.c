/* What needs several objects, and the types that are not built in. */
#include "check.h"

#define TRIGGER    "  triggers: [{type: prometheus, metadata: {" PROM ", threshold: \"5\"}}]\n"
#define AUTH(name) "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: " name "}\nspec: {}\n"
#define OBJECT(name, target)                                                                                           \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: " name "}\nspec:\n  scaleTargetRef: " target   \
    "\n" TRIGGER
#define DEPLOYMENT(name, container)                                                                                    \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " name "}\nspec: {selector: {matchLabels: {a: b}}, "      \
    "template: {metadata: {labels: {a: b}}, spec: {containers: [" container "]}}}\n"
#define WITH_AUTH                                                                                                      \
    "  triggers: [{type: prometheus, metadata: {" PROM ", threshold: \"5\"}, authenticationRef: {name: a}}]\n"
#define CPU                                                                                                            \
    HEAD("app")                                                                                                        \
    "  minReplicaCount: 1\n  triggers: [{type: cpu, metricType: Utilization, metadata: {value: "                       \
    "\"60\"}}]\n"
#define SCALER(name, more, kind)                                                                                       \
    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: " name more                           \
    "}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: " kind ", name: app}, maxReplicas: 3}\n"
#define OTHER(type, metadata) HEAD("app") "  triggers: [{type: " type ", metadata: {" metadata "}}]\n"

static const struct check_row rows[] = {
    {"two owners", OBJECT("a", "{name: app}") "---\n" OBJECT("b", "{name: app, kind: Deployment, apiVersion: apps/v1}"),
     "error two-owners spec.scaleTargetRef.name\n", "ScaledObject a"},
    {"an autoscaler beside it", OBJECT("a", "{name: app}") "---\n" SCALER("web", "", "Deployment"),
     "error two-owners spec.scaleTargetRef.name\n", "HorizontalPodAutoscaler web (t.yaml:8)"},
    {"an autoscaler in a list",
     OBJECT("a", "{name: app}") "---\napiVersion: v1\nkind: List\nitems: [{apiVersion: autoscaling/v1, kind: "
                                "HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {kind: "
                                "Deployment, name: app}}}]\n",
     "error two-owners spec.scaleTargetRef.name\n"},
    {"an autoscaler of something else", OBJECT("a", "{name: app}") "---\n" SCALER("web", "", "StatefulSet"), ""},
    {"an autoscaler elsewhere", OBJECT("a", "{name: app}") "---\n" SCALER("web", ", namespace: x", "Deployment"), ""},
    {"KEDA's own", OBJECT("a", "{name: app}") "---\n" SCALER("keda-hpa-a", "", "Deployment"), ""},
    {"one that is owned",
     OBJECT("a", "{name: app}") "---\n" SCALER("web", ", ownerReferences: [{kind: ScaledObject, name: a}]",
                                               "Deployment"),
     ""},
    {"one that is released",
     OBJECT("a", "{name: app}") "---\n" SCALER("web", ", annotations: {validations.keda.sh/hpa-ownership: \"false\"}",
                                               "Deployment"),
     ""},
    {"two kinds of one name", OBJECT("a", "{name: app}") "---\n" OBJECT("b", "{name: app, kind: StatefulSet}"), ""},
    {"twice the same", OBJECT("a", "{name: app}") "---\n" OBJECT("a", "{name: app}"),
     "warning duplicate-object metadata.name\n"},
    {"no authentications at all", HEAD("app") WITH_AUTH,
     "advice missing-authentication spec.triggers[0].authenticationRef.name\n"},
    {"another authentication", HEAD("app") WITH_AUTH "---\n" AUTH("b"),
     "warning missing-authentication spec.triggers[0].authenticationRef.name\n"},
    {"the authentication", HEAD("app") WITH_AUTH "---\n" AUTH("a"), ""},
    {"another target", OBJECT("a", "{name: app}") "---\n" DEPLOYMENT("other", "{name: c}"),
     "advice missing-target spec.scaleTargetRef.name\n"},
    {"the target", OBJECT("a", "{name: app}") "---\n" DEPLOYMENT("app", "{name: c}"), ""},
    {"utilization of nothing", CPU "---\n" DEPLOYMENT("app", "{name: c}"),
     "warning missing-requests spec.triggers[0]\n", "resources.requests.cpu"},
    {"the same for KEDA", CPU "---\n" DEPLOYMENT("app", "{name: c}"), "error missing-requests spec.triggers[0]\n", NULL,
     AS_KEDA},
    {"utilization of a limit", CPU "---\n" DEPLOYMENT("app", "{name: c, resources: {limits: {cpu: 1}}}"), ""},
    {"utilization of a default",
     CPU "---\n" DEPLOYMENT("app", "{name: c}") "---\napiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: "
                                                "{limits: [{type: Container, defaultRequest: {cpu: 1}}]}\n",
     ""},
    {"a target nothing could reach", OTHER("metrics-api", "url: 'http://h/', valueLocation: v, targetValue: \"-10\""),
     "error negative-target spec.triggers[0].metadata\n", "more than 0, not -10"},
    {"a type that is not there", OTHER("http", "host: x"), "error unknown-trigger-type spec.triggers[0].type\n"},
    {"a type that is not built in", OTHER("aws-sqs-queue", "queueURL: u, awsRegion: r, anything: x"),
     "advice parameters-not-checked spec.triggers[0].type\n", "aws-sqs-queue"},
    {"its required parameter", OTHER("aws-sqs-queue", "queueURL: u, region: r"),
     "error missing-parameter spec.triggers[0].metadata.awsRegion\nadvice parameters-not-checked "
     "spec.triggers[0].type\n",
     "you wrote region"},
    {"its parameter from the environment", OTHER("azure-queue", "queueName: q, connectionFromEnv: H"),
     "advice parameters-not-checked spec.triggers[0].type\n"},
    {"its neighbour", OTHER("redis-cluster", "addresses: a, stream: s"),
     "error missing-parameter spec.triggers[0].metadata.listName\nwarning unknown-parameter "
     "spec.triggers[0].metadata.stream\n",
     "redis-cluster needs listName"},
    {"its words", OTHER("azure-queue", "queueName: q, queueLengthStrategy: newest"),
     "advice parameters-not-checked spec.triggers[0].type\nerror unknown-value "
     "spec.triggers[0].metadata.queueLengthStrategy\n"},
    {"its removed parameter", OTHER("gcp-pubsub", "subscriptionSize: \"5\""),
     "advice parameters-not-checked spec.triggers[0].type\nerror removed-parameter "
     "spec.triggers[0].metadata.subscriptionSize\n",
     "mode and value"},
    {"broken elsewhere, and still looked at",
     HEAD("app") "  pollingInterval: 5s\n  triggers: [{type: http, metadata: {}}]\n",
     "error wrong-type spec.pollingInterval\nerror unknown-trigger-type spec.triggers[0].type\n"},
    {"no cascade from a placeholder",
     HEAD("app") "  triggers: [{type: prometheus, metadata: {serverAddress: {server}, query: x, threshold: \"1\"}}]\n",
     "error placeholder spec.triggers[0].metadata.serverAddress\n"},
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

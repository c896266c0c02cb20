/*
 * known_target: what a trigger of a type that is not built in is compared with. Which parameter is the target, what it is where none is written,
 * and which is the activation threshold: all that decisions, simulations and tests need to know of it, as long as somebody else says its values.
 *
 * Types that ask an outsider for their target (external, external-push), or that are several metrics in one (the two of Solace), are not here.
 */
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

struct known_target {
    const char *type;
    const char *targets; /* separated by blanks; the first that is written counts */
    double otherwise;    /* where none is; 0: one is required */
    const char *activation;
};
static const struct known_target known[] = {
    {"activemq", "targetQueueSize", 10, "activationTargetQueueSize"},
    {"apache-kafka", "lagThreshold", 10, "activationLagThreshold"},
    {"arangodb", "queryValue", 0, "activationQueryValue"},
    {"artemis-queue", "queueLength", 10, "activationQueueLength"},
    {"aws-cloudwatch", "targetMetricValue", 0, "activationTargetMetricValue"},
    {"aws-dynamodb", "targetValue", 0, "activationTargetValue"},
    {"aws-dynamodb-streams", "shardCount", 2, "activationShardCount"},
    {"aws-kinesis-stream", "shardCount", 2, "activationShardCount"},
    {"aws-sqs-queue", "queueLength", 5, "activationQueueLength"},
    {"azure-app-insights", "targetValue", 0, "activationTargetValue"},
    {"azure-blob", "blobCount", 5, "activationBlobCount"},
    {"azure-data-explorer", "threshold", 0, "activationThreshold"},
    {"azure-log-analytics", "threshold", 0, "activationThreshold"},
    {"azure-monitor", "targetValue", 0, "activationTargetValue"},
    {"azure-queue", "queueLength", 5, "activationQueueLength"},
    {"azure-servicebus", "messageCount", 5, "activationMessageCount"},
    {"beanstalkd", "value", 0, "activationValue"},
    {"cassandra", "targetQueryValue", 0, "activationTargetQueryValue"},
    {"clickhouse", "targetQueryValue", 0, "activationTargetQueryValue"},
    {"dynatrace", "threshold", 0, "activationThreshold"},
    {"elastic-forecast", "targetValue", 0, "activationTargetValue"},
    {"elasticsearch", "targetValue", 0, "activationTargetValue"},
    {"etcd", "value", 0, "activationValue"},
    {"forgejo-runner", "", 1, ""},
    {"gcp-cloudtasks", "value", 100, "activationValue"},
    {"gcp-pubsub", "value", 10, "activationValue"},
    {"gcp-spanner", "targetValue", 5, "activationValue"},
    {"gcp-stackdriver", "targetValue", 5, "activationTargetValue"},
    {"gcp-storage", "targetObjectCount", 100, "activationTargetObjectCount"},
    {"github-runner", "targetWorkflowQueueLength", 1, ""},
    {"graphite", "threshold", 100, "activationThreshold"},
    {"huawei-cloudeye", "targetMetricValue", 0, "activationTargetMetricValue"},
    {"ibmmq", "queueDepth", 20, "activationQueueDepth"},
    {"influxdb", "thresholdValue", 0, "activationThresholdValue"},
    {"kafka", "lagThreshold", 10, "activationLagThreshold"},
    {"kubernetes-resource", "targetValue", 0, "activationTargetValue"},
    {"liiklus", "lagThreshold", 10, "activationLagThreshold"},
    {"loki", "threshold", 0, "activationThreshold"},
    {"mongodb", "queryValue", 0, "activationQueryValue"},
    {"mssql", "targetValue", 0, "activationTargetValue"},
    {"mysql", "queryValue", 0, "activationQueryValue"},
    {"nats-jetstream", "lagThreshold", 10, "activationLagThreshold"},
    {"new-relic", "threshold", 0, "activationThreshold"},
    {"nsq", "depthThreshold", 10, "activationDepthThreshold"},
    {"opensearch", "targetValue", 0, "activationTargetValue"},
    {"openstack-metric", "threshold", 0, "activationThreshold"},
    {"openstack-swift", "objectCount", 2, "activationObjectCount"},
    {"predictkube", "threshold", 0, "activationThreshold"},
    {"pulsar", "msgBacklogThreshold", 10, "activationMsgBacklogThreshold"},
    {"rabbitmq", "value queueLength", 20, "activationValue"},
    {"redis-cluster", "listLength", 5, "activationListLength"},
    {"redis-cluster-streams", "pendingEntriesCount streamLength lagCount", 5, "activationLagCount"},
    {"redis-sentinel", "listLength", 5, "activationListLength"},
    {"redis-sentinel-streams", "pendingEntriesCount streamLength lagCount", 5, "activationLagCount"},
    {"selenium-grid", "", 1, "activationThreshold"},
    {"solarwinds", "targetValue", 0, "activationValue"},
    {"solr", "targetQueryValue", 0, "activationTargetQueryValue"},
    {"splunk", "targetValue", 0, "activationValue"},
    {"splunk-observability", "targetValue", 0, "activationTargetValue"},
    {"sumologic", "threshold", 0, "activationThreshold"},
    {"temporal", "targetQueueSize", 5, "activationTargetQueueSize"},
};
enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]), NAME_MAX_BYTES = 64 };

static const struct known_target *find(const char *type)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(known[i].type, type) == 0)
            return &known[i];
    return NULL;
}

static bool read_parameter(const struct tree *metadata, const char *name, double *value)
{
    return *name && tree_number(tree_get(metadata, name), value);
}

/* The first of the names that is a number in the metadata. */
static bool read_first(const struct tree *metadata, const char *names, double *value)
{
    char name[NAME_MAX_BYTES];

    while (*names) {
        size_t length = strcspn(names, " ");

        if (length < sizeof(name)) {
            memcpy(name, names, length);
            name[length] = '\0';
            if (read_parameter(metadata, name, value))
                return true;
        }
        names += length + (names[length] == ' ');
    }
    return false;
}

void known_target(const struct trigger_spec *spec, struct decide_trigger *rule)
{
    const struct known_target *row = find(spec->type);
    double value;

    if (spec->metric_type && strcmp(spec->metric_type, "Value") == 0)
        rule->target_type = TARGET_VALUE;
    if (!row)
        return;
    rule->target = read_first(spec->metadata, row->targets, &value) && value >= 0 ? value : row->otherwise;
    if (read_parameter(spec->metadata, row->activation, &value))
        rule->activation = value;
}

/*
 * types: the names of all trigger types, and which of them are built in. KEDA 2.21 knows 78; `inference` is ours. A name
 * that is known but not built in is no mistake of the manifest: lint says that its parameters were not checked.
 */
#include <string.h>

#include "trigger/trigger_internal.h"

#define DRIVER(word) extern const struct trigger_driver trigger_driver_##word;
#include "trigger/drivers.inc"
#undef DRIVER

const struct trigger_driver *const trigger_drivers[] = {
#define DRIVER(word) &trigger_driver_##word,
#include "trigger/drivers.inc"
#undef DRIVER
};
const size_t trigger_driver_count = sizeof(trigger_drivers) / sizeof(trigger_drivers[0]);

static const char *const names[] = {
    "activemq",
    "apache-kafka",
    "arangodb",
    "artemis-queue",
    "aws-cloudwatch",
    "aws-dynamodb",
    "aws-dynamodb-streams",
    "aws-kinesis-stream",
    "aws-sqs-queue",
    "azure-app-insights",
    "azure-blob",
    "azure-data-explorer",
    "azure-eventhub",
    "azure-log-analytics",
    "azure-monitor",
    "azure-pipelines",
    "azure-queue",
    "azure-servicebus",
    "beanstalkd",
    "cassandra",
    "clickhouse",
    "couchdb",
    "cpu",
    "cron",
    "datadog",
    "dynatrace",
    "elastic-forecast",
    "elasticsearch",
    "etcd",
    "external",
    "external-push",
    "forgejo-runner",
    "gcp-cloudtasks",
    "gcp-pubsub",
    "gcp-spanner",
    "gcp-stackdriver",
    "gcp-storage",
    "github-runner",
    "graphite",
    "huawei-cloudeye",
    "ibmmq",
    "inference",
    "influxdb",
    "kafka",
    "kubernetes-resource",
    "kubernetes-workload",
    "liiklus",
    "loki",
    "memory",
    "metrics-api",
    "mongodb",
    "mssql",
    "mysql",
    "nats-jetstream",
    "new-relic",
    "nsq",
    "opensearch",
    "openstack-metric",
    "openstack-swift",
    "postgresql",
    "predictkube",
    "prometheus",
    "pulsar",
    "rabbitmq",
    "redis",
    "redis-cluster",
    "redis-cluster-streams",
    "redis-sentinel",
    "redis-sentinel-streams",
    "redis-streams",
    "selenium-grid",
    "solace-direct-messaging",
    "solace-event-queue",
    "solarwinds",
    "solr",
    "splunk",
    "splunk-observability",
    "sumologic",
    "temporal",
};
enum { NAME_COUNT = sizeof(names) / sizeof(names[0]) };

const struct trigger_driver *trigger_driver_find(const char *type)
{
    for (size_t i = 0; type && i < trigger_driver_count; i++)
        if (strcmp(trigger_drivers[i]->type, type) == 0)
            return trigger_drivers[i];
    return NULL;
}

enum trigger_support trigger_support(const char *type)
{
    if (trigger_driver_find(type))
        return TRIGGER_BUILT_IN;
    for (size_t i = 0; type && i < NAME_COUNT; i++)
        if (strcmp(names[i], type) == 0)
            return TRIGGER_KNOWN;
    return TRIGGER_UNKNOWN;
}

const char *const *trigger_types(size_t *count)
{
    *count = NAME_COUNT;
    return names;
}

/* What people call things that have another name here; an edit distance would not find them. */
static const char *nickname(const char *type)
{
    static const char *const pairs[][2] = {
        {"http", "metrics-api"},  {"postgres", "postgresql"},
        {"sqs", "aws-sqs-queue"}, {"kinesis", "aws-kinesis-stream"},
        {"pubsub", "gcp-pubsub"}, {"servicebus", "azure-servicebus"},
        {"schedule", "cron"},     {"vllm", "inference"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (strcasecmp(pairs[i][0], type) == 0)
            return pairs[i][1];
    return NULL;
}

const char *trigger_nearest_type(const char *type)
{
    const char *near = type ? nickname(type) : NULL;

    return near || !type ? near : string_nearest(type, names, NAME_COUNT);
}

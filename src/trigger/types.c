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

/* Each with what KEDA calls its scaler (keda-operator/07 4.4). */
/* clang-format off */
#define TYPES(TYPE) \
    TYPE("activemq", "activeMQScaler") \
    TYPE("apache-kafka", "apacheKafkaScaler") \
    TYPE("arangodb", "arangoDBScaler") \
    TYPE("artemis-queue", "artemisScaler") \
    TYPE("aws-cloudwatch", "awsCloudwatchScaler") \
    TYPE("aws-dynamodb", "awsDynamoDBScaler") \
    TYPE("aws-dynamodb-streams", "awsDynamoDBStreamsScaler") \
    TYPE("aws-kinesis-stream", "awsKinesisStreamScaler") \
    TYPE("aws-sqs-queue", "awsSqsQueueScaler") \
    TYPE("azure-app-insights", "azureAppInsightsScaler") \
    TYPE("azure-blob", "azureBlobScaler") \
    TYPE("azure-data-explorer", "azureDataExplorerScaler") \
    TYPE("azure-eventhub", "azureEventHubScaler") \
    TYPE("azure-log-analytics", "azureLogAnalyticsScaler") \
    TYPE("azure-monitor", "azureMonitorScaler") \
    TYPE("azure-pipelines", "azurePipelinesScaler") \
    TYPE("azure-queue", "azureQueueScaler") \
    TYPE("azure-servicebus", "azureServiceBusScaler") \
    TYPE("beanstalkd", "BeanstalkdScaler") \
    TYPE("cassandra", "cassandraScaler") \
    TYPE("clickhouse", "clickhouseScaler") \
    TYPE("couchdb", "couchDBScaler") \
    TYPE("cpu", "cpuMemoryScaler") \
    TYPE("cron", "cronScaler") \
    TYPE("datadog", "datadogScaler") \
    TYPE("dynatrace", "dynatraceScaler") \
    TYPE("elastic-forecast", "elasticForecastScaler") \
    TYPE("elasticsearch", "elasticsearchScaler") \
    TYPE("etcd", "etcdScaler") \
    TYPE("external", "externalScaler") \
    TYPE("external-push", "externalPushScaler") \
    TYPE("forgejo-runner", "forgejoRunnerScaler") \
    TYPE("gcp-cloudtasks", "gcpCloudTasksScaler") \
    TYPE("gcp-pubsub", "pubsubScaler") \
    TYPE("gcp-spanner", "spannerScaler") \
    TYPE("gcp-stackdriver", "stackdriverScaler") \
    TYPE("gcp-storage", "gcsScaler") \
    TYPE("github-runner", "githubRunnerScaler") \
    TYPE("graphite", "graphiteScaler") \
    TYPE("huawei-cloudeye", "huaweiCloudeyeScaler") \
    TYPE("ibmmq", "ibmmqScaler") \
    TYPE("inference", "inferenceScaler") \
    TYPE("influxdb", "influxDBScaler") \
    TYPE("kafka", "kafkaScaler") \
    TYPE("kubernetes-resource", "kubernetesResourceScaler") \
    TYPE("kubernetes-workload", "kubernetesWorkloadScaler") \
    TYPE("liiklus", "liiklusScaler") \
    TYPE("loki", "lokiScaler") \
    TYPE("memory", "cpuMemoryScaler") \
    TYPE("metrics-api", "metricsAPIScaler") \
    TYPE("mongodb", "mongoDBScaler") \
    TYPE("mssql", "mssqlScaler") \
    TYPE("mysql", "mySQLScaler") \
    TYPE("nats-jetstream", "natsJetStreamScaler") \
    TYPE("new-relic", "newrelicScaler") \
    TYPE("nsq", "nsqScaler") \
    TYPE("opensearch", "opensearchScaler") \
    TYPE("openstack-metric", "openstackMetricScaler") \
    TYPE("openstack-swift", "openstackSwiftScaler") \
    TYPE("postgresql", "postgreSQLScaler") \
    TYPE("predictkube", "PredictKubeScaler") \
    TYPE("prometheus", "prometheusScaler") \
    TYPE("pulsar", "pulsarScaler") \
    TYPE("rabbitmq", "rabbitMQScaler") \
    TYPE("redis", "redisScaler") \
    TYPE("redis-cluster", "redisScaler") \
    TYPE("redis-cluster-streams", "redisStreamsScaler") \
    TYPE("redis-sentinel", "redisScaler") \
    TYPE("redis-sentinel-streams", "redisStreamsScaler") \
    TYPE("redis-streams", "redisStreamsScaler") \
    TYPE("selenium-grid", "seleniumGridScaler") \
    TYPE("solace-direct-messaging", "SolaceDMScaler") \
    TYPE("solace-event-queue", "SolaceScaler") \
    TYPE("solarwinds", "solarWindsScaler") \
    TYPE("solr", "solrScaler") \
    TYPE("splunk", "SplunkScaler") \
    TYPE("splunk-observability", "splunkObservabilityScaler") \
    TYPE("sumologic", "sumologicScaler") \
    TYPE("temporal", "temporalScaler")
/* clang-format on */
static const char *const names[] = {
#define TYPE(name, scaler) name,
    TYPES(TYPE)
#undef TYPE
};
static const char *const scalers[] = {
#define TYPE(name, scaler) scaler,
    TYPES(TYPE)
#undef TYPE
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

const char *trigger_scaler_name(const char *type)
{
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (strcmp(names[i], type) == 0)
            return scalers[i];
    return type;
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

/*
 * known: what lint can say about the trigger types that KEDA has and Weir has not built in: which parameters they cannot do
 * without, which words some take, and which KEDA has removed. A row is not read any more once its type is built in (types.c of
 * trigger/), for then its own table says all this and more.
 *
 * In a row a star means: a TriggerAuthentication may supply it. Of each parameter <name>FromEnv does as well.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

struct known_type {
    const char *type, *required; /* separated by blanks */
};
static const struct known_type types[] = {
    {"activemq", "password* username*"},
    {"apache-kafka", "consumerGroup"},
    {"arangodb", "collection dbName* endpoints* query"},
    {"artemis-queue", "password* username*"},
    {"aws-cloudwatch", "awsRegion* targetMetricValue"},
    {"aws-dynamodb", "awsRegion* expressionAttributeNames expressionAttributeValues keyConditionExpression tableName"},
    {"aws-dynamodb-streams", "awsRegion* tableName"},
    {"aws-kinesis-stream", "awsRegion* streamName"},
    {"aws-sqs-queue", "awsRegion* queueURL"},
    {"azure-app-insights", "applicationInsightsId* metricAggregationTimespan metricAggregationType metricId tenantId*"},
    {"azure-blob", "blobContainerName"},
    {"azure-data-explorer", "databaseName endpoint query threshold"},
    {"azure-log-analytics", "query threshold workspaceId*"},
    {"azure-monitor", "metricAggregationType metricName resourceURI subscriptionId targetValue tenantId"},
    {"azure-queue", "queueName"},
    {"beanstalkd", "server tube value"},
    {"cassandra", "keyspace password* query targetQueryValue username"},
    {"clickhouse", "query targetQueryValue"},
    {"dynatrace", "host* threshold token*"},
    {"elastic-forecast", "jobID targetValue"},
    {"elasticsearch", "index* targetValue* valueLocation*"},
    {"etcd", "endpoints watchKey"},
    {"external", "scalerAddress"},
    {"external-push", "scalerAddress"},
    {"forgejo-runner", "labels token*"},
    {"gcp-cloudtasks", "projectID queueName"},
    {"gcp-spanner", "databaseId instanceId query"},
    {"gcp-stackdriver", "filter projectId"},
    {"gcp-storage", "bucketName"},
    {"github-runner", "owner runnerScope"},
    {"graphite", "query queryTime serverAddress"},
    {"huawei-cloudeye", "dimensionName dimensionValue metricName namespace targetMetricValue"},
    {"ibmmq", "host username*"},
    {"influxdb", "query serverURL*"},
    {"kafka", "bootstrapServers consumerGroup"},
    {"kubernetes-resource", "key resourceKind resourceName targetValue"},
    {"liiklus", "address group topic"},
    {"loki", "query serverAddress threshold"},
    {"mongodb", "collection dbName* query queryValue"},
    {"mssql", "query targetValue"},
    {"mysql", "query queryValue"},
    {"nats-jetstream", "consumer natsServerMonitoringEndpoint* stream"},
    {"new-relic", "account* nrql queryKey* threshold"},
    {"nsq", "channel nsqLookupdHTTPAddresses topic"},
    {"opensearch", "addresses* index* targetValue* valueLocation*"},
    {"openstack-metric", "aggregationMethod granularity metricID metricsURL"},
    {"openstack-swift", "authURL* containerName"},
    {"predictkube", "historyTimeWindow predictHorizon prometheusAddress query queryStep"},
    {"pulsar", "adminURL* subscription topic"},
    {"rabbitmq", "host* queueName"},
    {"redis-cluster", "listName"},
    {"redis-cluster-streams", "stream"},
    {"redis-sentinel", "listName"},
    {"redis-sentinel-streams", "stream"},
    {"selenium-grid", "url*"},
    {"solace-direct-messaging", "clientNamePattern messageVpn solaceSempBaseURL username*"},
    {"solace-event-queue", "messageVpn queueName solaceSempBaseURL username*"},
    {"solarwinds", "aggregation host intervalS metricName targetValue"},
    {"solr", "collection host password* targetQueryValue username*"},
    {"splunk", "activationValue host savedSearchName targetValue username* valueField"},
    {"splunk-observability", "accessToken* activationTargetValue duration query queryAggregator realm* targetValue"},
    {"sumologic", "host queryType threshold timerange"},
    {"temporal", "endpoint taskQueue"},
};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

static const struct {
    const char *type, *name, *instead; /* instead: of a removed parameter. words: otherwise, the only ones there are */
    const char *words[6];
} special[] = {
    {"gcp-pubsub", "subscriptionSize", .instead = "mode and value"},
    {"huawei-cloudeye", "minMetricValue", .instead = "activationTargetMetricValue"},
    {"influxdb", "authToken", .instead = "authToken of a TriggerAuthentication, or authTokenFromEnv"},
    {"kafka", "offsetResetPolicy", .words = {"latest", "earliest"}},
    {"apache-kafka", "offsetResetPolicy", .words = {"latest", "earliest"}},
    {"kafka", "tls", .words = {"enable", "disable"}},
    {"apache-kafka", "tls", .words = {"enable", "disable"}},
    {"cassandra", "tls", .words = {"enable", "disable"}},
    {"azure-queue", "queueLengthStrategy", .words = {"all", "visibleonly"}},
    {"azure-servicebus", "operation", .words = {"sum", "max", "avg"}},
    {"kubernetes-resource", "format", .words = {"number", "json", "yaml"}},
    {"kubernetes-resource", "valueType", .words = {"float64", "int64", "quantity"}},
    {"kubernetes-resource", "resourceKind", .words = {"ConfigMap", "Secret"}},
    {"sumologic", "queryType", .words = {"logs", "metrics"}},
    {"rabbitmq", "mode",
     .words = {"QueueLength", "MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio",
               "ExpectedQueueConsumptionTime"}},
};

/* ------------------------------------------------------------------ parameters */

enum { NAME_MAX_BYTES = 64 };

/* The next word of a row, without its star; false at the end. */
static bool next_required(const char **row, char *name, bool *elsewhere)
{
    size_t length;

    *row += strspn(*row, " ");
    length = strcspn(*row, " ");
    if (length == 0 || length >= NAME_MAX_BYTES)
        return false;
    snprintf(name, NAME_MAX_BYTES, "%.*s", (int)length, *row);
    *elsewhere = name[length - 1] == '*';
    if (*elsewhere)
        name[length - 1] = 0;
    *row += length;
    return true;
}

static bool is_given(const struct tree *metadata, const char *name)
{
    char from_env[NAME_MAX_BYTES + 8];
    const char *text = tree_string(tree_get(metadata, name));

    snprintf(from_env, sizeof(from_env), "%sFromEnv", name);
    return (text && text[strspn(text, " \t\n")]) || tree_get(metadata, from_env);
}

/* A key that may be a slip of the pen for this name, and is not asked for itself. */
static const char *resembling(const struct known_type *type, const struct tree *metadata, const char *name)
{
    for (const struct tree *node = metadata->first; node; node = node->next) {
        if (!is_given(metadata, node->key) || strstr(type->required, node->key))
            continue;
        if (string_nearest(node->key, &name, 1) || strcasestr(name, node->key) || strcasestr(node->key, name))
            return node->key;
    }
    return NULL;
}

/* Another type whose required parameters are all there, two or more of them, or the one that the key names. */
static const char *better_type(const struct known_type *not_this, const struct tree *metadata)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        const char *row = types[i].required;
        char name[NAME_MAX_BYTES];
        bool elsewhere, all = true;
        size_t count = 0;

        while (all && next_required(&row, name, &elsewhere)) {
            all = is_given(metadata, name);
            count++;
        }
        if (all && &types[i] != not_this &&
            (count > 1 ||
             (string_starts(types[i].type, not_this->type) || string_starts(not_this->type, types[i].type))))
            return types[i].type;
    }
    return NULL;
}

static const char *field_of(struct building *b, const struct trigger_spec *spec, const char *name)
{
    return arena_printf(b->scratch, "%sspec.triggers[%d].metadata.%s", b->meta->path_prefix, spec->index, name);
}

static void find(struct building *b, const struct trigger_spec *spec, const char *code, const struct tree *node,
                 const char *name, const char *remedy, const char *text)
{
    struct finding about = {.severity = FINDING_ERROR, .code = code, .place = spec->place, .object = b->title};

    if (node) {
        about.place.line = node->line;
        about.place.column = node->column;
    }
    report_add(b->report, &about, field_of(b, spec, name), remedy, "%s", text);
}

static void complain_missing(struct building *b, const struct trigger_spec *spec, const struct known_type *type,
                             const char *name, bool elsewhere)
{
    const char *near = resembling(type, spec->metadata, name), *other = near ? NULL : better_type(type, spec->metadata);
    const char *remedy = near    ? arena_printf(b->scratch, "you wrote %s: the name is %s", near, name)
                         : other ? arena_printf(b->scratch, "did you mean type: %s? Its parameters are there", other)
                                 : arena_printf(b->scratch, "add %s", name);

    find(b, spec, "missing-parameter", NULL, name, remedy,
         arena_printf(b->scratch, "%s needs %s%s", type->type, name,
                      elsewhere ? " (here or in the TriggerAuthentication)" : ""));
}

/* Targets are not asked for where a formula has its own. */
static bool is_target(const char *name)
{
    return strstr(name, "hreshold") || string_starts(name, "target") || strcmp(name, "value") == 0 ||
           strcmp(name, "queryValue") == 0;
}

static void check_required(struct building *b, const struct trigger_spec *spec, bool as_metric_source)
{
    const struct known_type *type = NULL;
    const char *row;
    char name[NAME_MAX_BYTES];
    bool elsewhere;

    for (size_t i = 0; i < TYPE_COUNT && !type; i++)
        type = strcmp(types[i].type, spec->type) == 0 ? &types[i] : NULL;
    if (!type)
        return;
    row = type->required;
    while (next_required(&row, name, &elsewhere)) {
        if (!is_given(spec->metadata, name) && !(elsewhere && spec->auth_name) &&
            !(as_metric_source && is_target(name)))
            complain_missing(b, spec, type, name, elsewhere);
    }
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (size_t i = 0; i < 6 && words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return true;
    }
    return false;
}

static const char *list_of(struct building *b, const char *const *words)
{
    const char *list = words[0];

    for (size_t i = 1; i < 6 && words[i]; i++)
        list = arena_printf(b->scratch, "%s%s%s", list, i == 5 || !words[i + 1] ? " or " : ", ", words[i]);
    return list;
}

static void check_special(struct building *b, const struct trigger_spec *spec)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        const struct tree *node =
            strcmp(special[i].type, spec->type) == 0 ? tree_get(spec->metadata, special[i].name) : NULL;
        const char *text = tree_string(node);

        if (!text)
            continue;
        if (special[i].instead)
            find(b, spec, "removed-parameter", node, special[i].name,
                 arena_printf(b->scratch, "use %s", special[i].instead),
                 arena_printf(b->scratch, "%s of %s was removed: use %s", special[i].name, spec->type,
                              special[i].instead));
        else if (!is_one_of(text, special[i].words) && !strpbrk(text, ",$"))
            find(b, spec, "unknown-value", node, special[i].name, NULL,
                 arena_printf(b->scratch, "%s cannot be \"%.60s\": it is %s", special[i].name, text,
                              list_of(b, special[i].words)));
    }
}

void check_known_type(struct building *b, const struct trigger_spec *spec, bool as_metric_source)
{
    check_required(b, spec, as_metric_source);
    check_special(b, spec);
}

/*
 * external_documents: what discovery and OpenAPI say of external.metrics.k8s.io. All of it is constant: the one resource stands for
 * every metric, as KEDA's server has it since 2.10 (keda-operator/06 1.2). The model of OpenAPI refers to nothing
 * outside itself, so that the API server, which merges the documents of all its servers, meets no name twice.
 */
#include "serve/cluster_internal.h"

#define GROUP         "external.metrics.k8s.io"
#define GROUP_VERSION GROUP "/v1beta1"
#define VERSIONS      "{\"groupVersion\":\"" GROUP_VERSION "\",\"version\":\"v1beta1\"}"
#define PREFERRED     "\"versions\":[" VERSIONS "],\"preferredVersion\":" VERSIONS

const char external_group_list[] = "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":["
                                   "{\"name\":\"" GROUP "\"," PREFERRED "}]}";

const char external_group[] = "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"" GROUP "\"," PREFERRED "}";

const char external_resources[] =
    "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"" GROUP_VERSION "\",\"resources\":["
    "{\"name\":\"externalmetrics\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"ExternalMetricValueList\","
    "\"verbs\":[\"get\"]}]}";

/* The same in one answer, for API servers that ask /apis for it. */
const char external_group_discovery[] =
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":["
    "{\"metadata\":{\"name\":\"" GROUP "\",\"creationTimestamp\":null},\"versions\":[{\"version\":\"v1beta1\","
    "\"resources\":[{\"resource\":\"externalmetrics\",\"responseKind\":{\"group\":\"" GROUP
    "\",\"version\":\"v1beta1\",\"kind\":\"ExternalMetricValueList\"},\"scope\":\"Namespaced\",\"singularResource\":"
    "\"\","
    "\"verbs\":[\"get\"]}],\"freshness\":\"Current\"}]}]}";

/* ---- OpenAPI ---- */

#define TEXT        "{\"type\":\"string\"}"
#define MODEL       "io.k8s.metrics.pkg.apis.external_metrics.v1beta1."
#define LIST_MODEL  MODEL "ExternalMetricValueList"
#define VALUE_MODEL MODEL "ExternalMetricValue"

#define VALUE_SCHEMA                                                                                                   \
    "{\"description\":\"One value of an external metric.\",\"type\":\"object\",\"required\":[\"metricName\","          \
    "\"metricLabels\",\"timestamp\",\"value\"],\"properties\":{\"apiVersion\":" TEXT ",\"kind\":" TEXT                 \
    ",\"metricName\":" TEXT ",\"metricLabels\":{\"type\":\"object\",\"additionalProperties\":" TEXT "},"               \
    "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"                                                    \
    "\"window\":{\"type\":\"integer\",\"format\":\"int64\"},"                                                          \
    "\"value\":{\"description\":\"A quantity, such as 2500m.\",\"type\":\"string\"}}}"
#define LIST_SCHEMA(definitions)                                                                                       \
    "{\"description\":\"The values of one external metric.\",\"type\":\"object\",\"required\":[\"items\"],"            \
    "\"properties\":{\"apiVersion\":" TEXT ",\"kind\":" TEXT ",\"metadata\":{\"type\":\"object\"},"                    \
    "\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/" definitions "/" VALUE_MODEL "\"}}},"                      \
    "\"x-kubernetes-group-version-kind\":[{\"group\":\"" GROUP                                                         \
    "\",\"version\":\"v1beta1\",\"kind\":\"ExternalMetricValueList\"}]}"
#define MODELS(definitions) "\"" LIST_MODEL "\":" LIST_SCHEMA(definitions) ",\"" VALUE_MODEL "\":" VALUE_SCHEMA
#define INFO                "\"info\":{\"title\":\"Weir\",\"version\":\"" WEIR_VERSION "\"}"
#define PATH                "/apis/" GROUP_VERSION "/namespaces/{namespace}/{externalmetrics}"
#define OPERATION                                                                                                      \
    "\"description\":\"read the values of an external metric\",\"operationId\":\"readExternalMetricsV1beta1Values\""
#define GVK                                                                                                            \
    "\"x-kubernetes-action\":\"get\",\"x-kubernetes-group-version-kind\":{\"group\":\"" GROUP                          \
    "\",\"version\":\"v1beta1\",\"kind\":\"ExternalMetricValueList\"}"
#define PARAMETER(name, in, required, schema)                                                                          \
    "{\"name\":\"" name "\",\"in\":\"" in "\",\"required\":" required "," schema "}"
#define PARAMETERS(schema)                                                                                             \
    "\"parameters\":[" PARAMETER("namespace", "path", "true", schema) "," PARAMETER(                                   \
        "externalmetrics", "path", "true", schema) "," PARAMETER("labelSelector", "query", "false", schema) "]"
#define SCHEMA3 "\"schema\":{\"type\":\"string\"}"

const char external_openapi_v2[] =
    "{\"swagger\":\"2.0\"," INFO ",\"paths\":{\"" PATH "\":{\"get\":{" OPERATION
    ",\"produces\":[\"application/json\"],\"schemes\":[\"https\"],\"responses\":{\"200\":{\"description\":\"OK\","
    "\"schema\":{\"$ref\":\"#/definitions/" LIST_MODEL "\"}}}," GVK
    "}," PARAMETERS("\"type\":\"string\"") "}},"
                                           "\"definitions\":{" MODELS("definitions") "}}";

const char external_openapi_v3[] =
    "{\"paths\":{\"apis/" GROUP_VERSION "\":{\"serverRelativeURL\":\"/openapi/v3/apis/" GROUP_VERSION "\"}}}";

const char external_openapi_v3_group[] =
    "{\"openapi\":\"3.0.0\"," INFO ",\"paths\":{\"" PATH "\":{\"get\":{" OPERATION
    ",\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{\"application/json\":{\"schema\":"
    "{\"$ref\":\"#/components/schemas/" LIST_MODEL "\"}}}}}," GVK
    "}," PARAMETERS(SCHEMA3) "}},"
                             "\"components\":{\"schemas\":{" MODELS("components/schemas") "}}}";

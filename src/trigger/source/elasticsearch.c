/*
 * elasticsearch, opensearch: a number in the answer of a search, or of a search template, at a GJSON path. The two differ in how they
 * sign in: Elasticsearch by user or by an API key of its cloud, OpenSearch by user or by a client certificate. Facts:
 * triggers/elasticsearch.md, opensearch.md.
 *
 * KEDA looks for the path in whatever Elasticsearch answers, so that with ignoreNullValues a missing index is 0. Here an answer outside
 * 2xx is a failure for both; and a value of `parameters` keeps its own colons.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"
#include "trigger/family/elastic.h"

struct search {
    struct trigger_config common;
    struct elastic cluster;
    const struct param_list *index, *parameters;
    const char *template_name, *query, *location;
    enum param_switch nulls;
};

#define PARAM_STRUCT struct search
#define QUESTION_PARAMS                                                                                                \
    {"index",                                                                                                          \
     PARAM_LIST(index),                                                                                                \
     .from = "AM",                                                                                                     \
     .separator = ';',                                                                                                 \
     .required = true,                                                                                                 \
     .question = true,                                                                                                 \
     .help = "what is searched; several with ';'"},                                                                    \
        {"searchTemplateName", PARAM_TEXT(template_name), .from = "AM", .question = true,                              \
         .help = "id of a stored search template; else give query"},                                                   \
        {"query", PARAM_TEXT(query), .from = "AM", .question = true, .help = "body of the search, JSON"},              \
        {"parameters", PARAM_LIST(parameters), .separator = ';', .question = true,                                     \
         .help = "of the template: name:value;name:value"},                                                            \
        {"valueLocation",  PARAM_TEXT(location),                                                                       \
         .from = "AM",     .required = true,                                                                           \
         .question = true, .help = "GJSON path to the number in the answer, such as hits.total.value"},                \
        {"targetValue",    PARAM_NUMBER(common.target),                                                                \
         .from = "AM",     .role = ROLE_TARGET,                                                                        \
         .required = true, .help = "value one replica should carry"},                                                  \
        {"activationTargetValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",           \
         .help = "above it the object is active"},                                                                     \
    {                                                                                                                  \
        "ignoreNullValues", PARAM_SWITCH(nulls),                                                                       \
            .fallback = "false", .help = "true: null, or nothing at valueLocation, counts as 0; else it is a failure"  \
    }

static const struct param elasticsearch_params[] = {
    {"addresses", PARAM_LIST(cluster.addresses), .from = "AM",
     .help = "nodes, such as http://elasticsearch:9200; several with commas"},
    {"unsafeSsl", PARAM_BOOL(cluster.unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"username", PARAM_TEXT(cluster.username), .from = "AM", .help = "goes with addresses"},
    {"password", PARAM_SECRET(cluster.password), .from = "AEM", .help = "goes with addresses"},
    {"cloudID", PARAM_TEXT(cluster.cloud_id), .from = "AM", .help = "of Elastic Cloud, instead of addresses"},
    {"apiKey", PARAM_SECRET(cluster.api_key), .from = "AM", .help = "goes with cloudID"},
    QUESTION_PARAMS,
    {0},
};
static const struct param opensearch_params[] = {
    {"addresses", PARAM_LIST(cluster.addresses), .from = "AM", .required = true,
     .help = "nodes, such as https://opensearch:9200; several with commas"},
    {"unsafeSsl", PARAM_BOOL(cluster.unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"enableTLS", PARAM_BOOL(cluster.by_certificate), .from = "MA", .fallback = "false",
     .help = "sign in with clientCert and clientKey instead of a user"},
    {"username", PARAM_TEXT(cluster.username), .from = "AM", .help = "without enableTLS"},
    {"password", PARAM_SECRET(cluster.password), .from = "AEM", .help = "without enableTLS"},
    {"caCert", PARAM_TEXT(cluster.ca), .from = "AM", .help = "certificates trusted besides the system's, PEM"},
    {"clientCert", PARAM_TEXT(cluster.certificate), .from = "AM", .help = "with enableTLS: PEM"},
    {"clientKey", PARAM_SECRET(cluster.key), .from = "AM", .help = "with enableTLS: PEM"},
    QUESTION_PARAMS,
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules */

static bool prepare_question(struct search *c, struct trigger_check *check)
{
    if (!c->template_name && !c->query && !check_unknown(check, "searchTemplateName") && !check_unknown(check, "query"))
        return check_error(check, "query", "give one of the two", "there is neither a query nor a searchTemplateName");
    if (c->template_name && c->query)
        return check_error(check, "query", "leave out one of the two",
                           "query and searchTemplateName exclude each other");
    if (c->location && strchr(c->location, '['))
        check_warning(check, "valueLocation", "write the index as a part of its own: hits.hits.0._source.value",
                      "a GJSON path has no [...]: nothing will be found there");
    for (size_t i = 0; c->parameters && i < c->parameters->count; i++)
        if (*c->parameters->items[i] && !strchr(c->parameters->items[i], ':'))
            check_warning(check, "parameters", "write name:value;name:value",
                          "a parameter has no colon: every poll fails");
    return true;
}

static bool prepare_elasticsearch(void *config, struct trigger_check *check)
{
    struct search *c = config;
    bool good = elastic_check(&c->cluster, check);

    return prepare_question(c, check) && good;
}

static bool check_certificate(const struct elastic *c, struct trigger_check *check)
{
    if ((!c->certificate && !check_unknown(check, "clientCert")) || (!c->key && !check_unknown(check, "clientKey")))
        return check_error(check, "enableTLS", "give both, best in a Secret that a TriggerAuthentication names",
                           "enableTLS needs clientCert and clientKey");
    if (c->certificate && !strstr(c->certificate, "-----BEGIN CERTIFICATE-----"))
        return check_error(check, "clientCert", "put the PEM text of a certificate there",
                           "clientCert holds no certificate");
    return true;
}

static bool prepare_opensearch(void *config, struct trigger_check *check)
{
    struct search *c = config;
    bool good = c->cluster.by_certificate ? check_certificate(&c->cluster, check) : elastic_check(&c->cluster, check);

    if (c->cluster.ca && !strstr(c->cluster.ca, "-----BEGIN CERTIFICATE-----"))
        good = check_error(check, "caCert", "put the PEM text of a certificate there", "caCert holds no certificate");
    return prepare_question(c, check) && good;
}

static void elasticsearch_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct search *c = config;

    (void)input;
    text_printf(out, "elasticsearch-%s", c->template_name ? c->template_name : "query");
}

static void opensearch_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct search *c = config;

    (void)input;
    text_printf(out, "opensearch-%s", c->template_name ? c->template_name : "query");
}

static void destinations(const void *config, struct destinations *out)
{
    elastic_destinations(&((const struct search *)config)->cluster, out);
}

/* ------------------------------------------------------------------ asking */

static const char *search_path(const struct search *c, struct poll *poll)
{
    const char *path = "";

    for (size_t i = 0; i < c->index->count; i++)
        path = arena_printf(poll_arena(poll), "%s%s%s", path, i > 0 ? "," : "/",
                            path_tidy(poll_arena(poll), c->index->items[i]));
    return arena_printf(poll_arena(poll), "%s/_search%s", path, c->template_name ? "/template" : "");
}

static size_t trimmed(const char **begin, const char *end)
{
    while (*begin < end && **begin == ' ')
        ++*begin;
    while (end > *begin && end[-1] == ' ')
        end--;
    return (size_t)(end - *begin);
}

/* "name : value" as a member of a JSON object. */
static bool add_parameter(struct text *out, const char *item, bool first)
{
    const char *colon = strchr(item, ':'), *name = item, *value = colon ? colon + 1 : NULL;
    size_t name_length, value_length;

    if (!colon)
        return false;
    name_length = trimmed(&name, colon);
    value_length = trimmed(&value, value + strlen(value));
    if (name_length == 0)
        return false;
    text_add(out, first ? "" : ",");
    text_add_json_string(out, name, name_length);
    text_add_char(out, ':');
    return text_add_json_string(out, value, value_length);
}

/* {"id":"NAME","params":{...}}, without params where there are none. */
static bool write_template(const struct search *c, struct text *out)
{
    bool first = true;

    text_add(out, "{\"id\":");
    text_add_json_string(out, c->template_name, strlen(c->template_name));
    for (size_t i = 0; c->parameters && i < c->parameters->count; i++) {
        if (c->parameters->items[i][0] == '\0')
            continue;
        text_add(out, first ? ",\"params\":{" : "");
        if (!add_parameter(out, c->parameters->items[i], first))
            return false;
        first = false;
    }
    return text_add(out, first ? "}" : "}}");
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct search *c = config;

    return elastic_value(poll, reply->json, c->location, c->nulls);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct search *c = config;
    const char *body = c->query;
    struct text text;
    bool good = true;

    (void)none;
    if (c->template_name) {
        text_init(&text, REQUEST_BODY_MAX_BYTES);
        good = write_template(c, &text) && !text.overflowed;
        body = arena_copy(poll_arena(poll), text.bytes);
        text_done(&text);
    }
    if (!good)
        return poll_fail(poll, ERROR_INVALID,
                         "parameters have to be written name:value;name:value, and together with "
                         "less than REQUEST_BODY_MAX_BYTES");
    return elastic_send(poll, &c->cluster, search_path(c, poll), body, on_answer);
}

/* Its client refuses a query that is no JSON before it asks. */
static enum poll_next ask_opensearch(const void *config, struct poll *poll, const struct reply *none)
{
    const struct search *c = config;
    struct tree *json;
    struct error err;

    if (c->query && !tree_read_json(c->query, strlen(c->query), false, poll_arena(poll), &json, &err))
        return poll_fail(poll, ERROR_INVALID, "query is not JSON: %s", err.text);
    return ask(config, poll, none);
}

TRIGGER(elasticsearch) = {
    .type = "elasticsearch",
    .summary = "a number in the answer of an Elasticsearch search or search template",
    .about = "The value is the number, or the text of one, at `valueLocation` in the answer: the count of hits, an "
             "aggregation, a "
             "field of the first hit. With `ignoreNullValues` a null there, or nothing at all, counts as 0; without it "
             "that is a "
             "failure, as is every answer outside 2xx: a missing index never counts as 0. Where several addresses are "
             "given, the "
             "next one is asked when one cannot be reached.",
    .example = "triggers:\n"
               "  - type: elasticsearch\n"
               "    metadata:\n"
               "      addresses: http://elasticsearch:9200\n"
               "      username: weir\n"
               "      passwordFromEnv: ELASTIC_PASSWORD\n"
               "      index: jobs\n"
               "      query: '{\"query\":{\"term\":{\"state\":\"waiting\"}},\"size\":0,\"track_total_hits\":true}'\n"
               "      valueLocation: hits.total.value\n"
               "      targetValue: \"10\"\n",
    .locally = "docker run -p 127.0.0.1:9200:9200 -e discovery.type=single-node -e xpack.security.enabled=false "
               "docker.elastic.co/elasticsearch/elasticsearch:8.15.0\n"
               "curl -X POST -H 'Content-Type: application/json' 'http://127.0.0.1:9200/jobs/_doc?refresh=true' "
               "-d '{\"state\":\"waiting\"}'\n"
               "weir probe scaledobject.yaml\n",
    .params = elasticsearch_params,
    .config_size = sizeof(struct search),
    .memory_size = sizeof(struct nodes_memory),
    .scratch_size = sizeof(struct elastic_walk),
    .prepare = prepare_elasticsearch,
    .metric_name = elasticsearch_name,
    .destinations = destinations,
    .poll = ask,
};

TRIGGER(opensearch) = {
    .type = "opensearch",
    .summary = "a number in the answer of an OpenSearch search or search template",
    .about =
        "The value is the number, or the text of one, at `valueLocation` in the answer: the count of hits, an "
        "aggregation, a "
        "field of the first hit. With `ignoreNullValues` a null there, or nothing at all, counts as 0; without it that "
        "is a "
        "failure, as is every answer outside 2xx. `enableTLS` is about signing in with a client certificate; an https "
        "address alone does not need it.",
    .example = "triggers:\n"
               "  - type: opensearch\n"
               "    metadata:\n"
               "      addresses: https://opensearch:9200\n"
               "      username: weir\n"
               "      passwordFromEnv: OPENSEARCH_PASSWORD\n"
               "      index: jobs\n"
               "      query: '{\"query\":{\"term\":{\"state\":\"waiting\"}},\"size\":0,\"track_total_hits\":true}'\n"
               "      valueLocation: hits.total.value\n"
               "      targetValue: \"10\"\n",
    .locally = "docker run -p 127.0.0.1:9200:9200 -e discovery.type=single-node -e plugins.security.disabled=true "
               "-e DISABLE_INSTALL_DEMO_CONFIG=true opensearchproject/opensearch:2\n"
               "curl -X POST -H 'Content-Type: application/json' 'http://127.0.0.1:9200/jobs/_doc?refresh=true' "
               "-d '{\"state\":\"waiting\"}'\n"
               "weir probe scaledobject.yaml\n",
    .params = opensearch_params,
    .config_size = sizeof(struct search),
    .memory_size = sizeof(struct nodes_memory),
    .scratch_size = sizeof(struct elastic_walk),
    .prepare = prepare_opensearch,
    .metric_name = opensearch_name,
    .destinations = destinations,
    .poll = ask_opensearch,
};

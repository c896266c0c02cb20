/*
 * elastic-forecast: what a machine learning job of Elasticsearch expects for now + lookAhead. Facts: triggers/elastic-forecast.md.
 *
 *     ask --enough of the forecast is left--------------------------------> search -> on_found --nothing--> search the one before
 *        --not--> POST _forecast -> on_forecast (its id is remembered) ---^
 *
 * A forecast covers twice lookAhead and is renewed when less than lookAhead of it is left, by the poll that notices; KEDA has a
 * thread for that. A new forecast takes the job a moment to write, meanwhile the one before still answers. What KEDA reads as 0
 * (no forecast, a job that does not exist or is closed) is a failure or `missing` here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"
#include "trigger/family/elastic.h"

enum { FORECAST_ID_MAX_BYTES = 128 /* theirs have some 20 characters */ };

struct forecast {
    struct trigger_config common;
    struct elastic cluster;
    const char *job, *index, *partition, *by;
    int64_t look_ahead_ms;
};

struct forecast_memory {
    struct nodes_memory nodes;                                       /* first: nodes.c finds its own there */
    char id[FORECAST_ID_MAX_BYTES], previous[FORECAST_ID_MAX_BYTES]; /* "": none yet */
    int64_t until_ms;                                                /* the end of the current one, wall clock */
};
struct forecast_scratch {
    struct elastic_walk walk; /* first, likewise */
    const char *id;           /* the one looked for */
    const char *trouble;      /* why there is no newer one */
};

#define PARAM_STRUCT struct forecast
static const struct param params[] = {
    {"addresses", PARAM_LIST(cluster.addresses), .from = "AM",
     .help = "nodes, such as http://elasticsearch:9200; several with commas"},
    {"unsafeSsl", PARAM_BOOL(cluster.unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"username", PARAM_TEXT(cluster.username), .from = "AM", .help = "goes with addresses"},
    {"password", PARAM_SECRET(cluster.password), .from = "AEM", .help = "goes with addresses"},
    {"cloudID", PARAM_TEXT(cluster.cloud_id), .from = "AM", .help = "of Elastic Cloud, instead of addresses"},
    {"apiKey", PARAM_SECRET(cluster.api_key), .from = "AM", .help = "goes with cloudID"},
    {"jobID", PARAM_TEXT(job), .required = true, .help = "of the anomaly detection job"},
    {"lookAhead", PARAM_DURATION(look_ahead_ms), .fallback = "10m", .help = "how far ahead the forecast is read"},
    {"targetValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationTargetValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"index", PARAM_TEXT(index), .fallback = "*", .help = "of the results: what follows .ml-anomalies-"},
    {"partitionFieldValue", PARAM_TEXT(partition), .help = "of a job that is split: which part"},
    {"byFieldValue", PARAM_TEXT(by), .help = "likewise, of its by field"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct forecast *c = config;
    bool good = elastic_check(&c->cluster, check);

    if (c->common.target <= 0)
        good =
            check_error(check, "targetValue", "write a number greater than 0", "targetValue has to be greater than 0");
    if (c->look_ahead_ms <= 0)
        good = check_error(check, "lookAhead", "write it like 10m", "lookAhead has to be longer than nothing");
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct forecast *c = config;

    (void)input;
    text_printf(out, "elastic-forecast-%s", c->job);
}

static void destinations(const void *config, struct destinations *out)
{
    elastic_destinations(&((const struct forecast *)config)->cluster, out);
}

/* ------------------------------------------------------------------ reading the forecast */

static void add_term(struct text *out, const char *name, const char *value)
{
    if (!value)
        return;
    text_printf(out, "{\"term\":{\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
    text_add(out, "}},");
}

static const char *search_body(const struct forecast *c, struct poll *poll, const char *id)
{
    struct text out;
    const char *body;

    text_init(&out, REQUEST_BODY_MAX_BYTES);
    text_add(&out, "{\"size\":1,\"sort\":[{\"timestamp\":{\"order\":\"desc\"}}],"
                   "\"_source\":[\"forecast_prediction\",\"timestamp\"],\"query\":{\"bool\":{\"filter\":[");
    add_term(&out, "job_id", c->job);
    add_term(&out, "forecast_id", id);
    add_term(&out, "result_type", "model_forecast");
    add_term(&out, "partition_field_value", c->partition);
    add_term(&out, "by_field_value", c->by);
    text_printf(&out, "{\"range\":{\"timestamp\":{\"lte\":%" PRId64 "}}}]}}}", poll_now_ms(poll) + c->look_ahead_ms);
    body = out.overflowed ? NULL : arena_copy(poll_arena(poll), out.bytes);
    text_done(&out);
    return body;
}

static enum poll_next search(const struct forecast *c, struct poll *poll, const char *id);

static enum poll_next on_found(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct forecast *c = config;
    const struct forecast_memory *memory = poll_memory(poll);
    struct forecast_scratch *scratch = poll_scratch(poll);
    const struct tree *hits = tree_at(reply->json, "hits.hits");

    if (!hits || hits->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not one of a search");
    if (tree_count(hits) == 0 && scratch->id != memory->previous && memory->previous[0])
        return search(c, poll, memory->previous);
    if (tree_count(hits) == 0)
        return poll_missing(poll, SWITCH_UNSET, "the job has not written its forecast yet, or none for this time%s%s",
                            scratch->trouble ? "; " : "", scratch->trouble ? scratch->trouble : "");
    if (scratch->trouble)
        poll_note(poll, "an older forecast is used: %s", scratch->trouble);
    return elastic_value(poll, reply->json, "hits.hits.0._source.forecast_prediction", SWITCH_UNSET);
}

static enum poll_next search(const struct forecast *c, struct poll *poll, const char *id)
{
    struct forecast_scratch *scratch = poll_scratch(poll);
    const char *path =
                   arena_printf(poll_arena(poll), "/.ml-anomalies-%s/_search", path_tidy(poll_arena(poll), c->index)),
               *body = search_body(c, poll, id);

    if (!body)
        return poll_fail(poll, ERROR_LIMIT, "the search is longer than REQUEST_BODY_MAX_BYTES");
    scratch->id = id;
    return elastic_send(poll, &c->cluster, path, body, on_found);
}

/* ------------------------------------------------------------------ making one */

static int64_t span_s(const struct forecast *c)
{
    return (2 * c->look_ahead_ms + 999) / 1000;
}

static enum poll_next on_forecast(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct forecast *c = config;
    struct forecast_memory *memory = poll_memory(poll);
    struct forecast_scratch *scratch = poll_scratch(poll);
    const char *id = reply->failed ? NULL : tree_string(tree_get_fold(reply->json, "forecast_id"));

    if (reply->failed && (!memory->id[0] || memory->until_ms <= poll_now_ms(poll)))
        return poll_fail_with(poll, &reply->error);
    if (reply->failed) {
        scratch->trouble = arena_copy(poll_arena(poll), reply->error.text);
        return search(c, poll, memory->id);
    }
    if (!id || !*id || strlen(id) >= sizeof(memory->id))
        return poll_fail(poll, ERROR_NONSENSE, "job %s answered without the id of a forecast", c->job);
    memcpy(memory->previous, memory->id, sizeof(memory->previous));
    snprintf(memory->id, sizeof(memory->id), "%s", id);
    memory->until_ms = poll_now_ms(poll) + span_s(c) * 1000;
    return search(c, poll, memory->id);
}

static enum poll_next make(const struct forecast *c, struct poll *poll)
{
    struct arena *arena = poll_arena(poll);
    const char *path = arena_printf(arena, "/_ml/anomaly_detectors/%s/_forecast", path_part(arena, c->job));
    const char *body = arena_printf(arena, "{\"duration\":\"%llds\",\"expires_in\":\"%llds\"}", (long long)span_s(c),
                                    (long long)span_s(c));

    return elastic_try(poll, &c->cluster, path, body, on_forecast);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct forecast *c = config;
    const struct forecast_memory *memory = poll_memory(poll);

    (void)none;
    if (memory->id[0] && memory->until_ms - poll_now_ms(poll) >= c->look_ahead_ms)
        return search(c, poll, memory->id);
    return make(c, poll);
}

TRIGGER(elastic_forecast) = {
    .type = "elastic-forecast",
    .summary = "what an Elasticsearch machine learning job forecasts for the near future",
    .about =
        "The value is the forecast of an anomaly detection job for the time `lookAhead` from now. The forecast is made "
        "by the "
        "first poll and renewed when less than `lookAhead` of it is left. It is missing until the job has written it; "
        "a job "
        "that does not exist, or is closed, is a failure. The user needs `manage_ml` and may read `.ml-anomalies-*`.",
    .example = "triggers:\n"
               "  - type: elastic-forecast\n"
               "    metadata:\n"
               "      addresses: https://elasticsearch:9200\n"
               "      username: weir\n"
               "      passwordFromEnv: ELASTIC_PASSWORD\n"
               "      jobID: requests-per-second\n"
               "      lookAhead: 10m\n"
               "      targetValue: \"100\"\n",
    .locally = "docker run -p 127.0.0.1:9200:9200 -e discovery.type=single-node -e xpack.security.enabled=false "
               "-e xpack.license.self_generated.type=trial docker.elastic.co/elasticsearch/elasticsearch:8.15.0\n"
               "# make and open a job in Kibana, then:\n"
               "weir probe scaledobject.yaml\n",
    .params = params,
    .config_size = sizeof(struct forecast),
    .memory_size = sizeof(struct forecast_memory),
    .scratch_size = sizeof(struct forecast_scratch),
    .prepare = prepare,
    .metric_name = metric_name,
    .destinations = destinations,
    .poll = ask,
};

/*
 * influxdb: a number out of InfluxDB: version 2 by a Flux query, version 3 by InfluxQL or SQL. Facts: triggers/influxdb.md.
 *
 * Version 2 answers with annotated CSV (fluxcsv.h): the column _value of the first row. Version 3 is asked over its HTTP API, which
 * Core and Enterprise have: a JSON object for each row, of which the last one counts, as in KEDA, that speaks Arrow Flight. Where
 * a server has only the API of version 1 (Cloud Dedicated, Serverless, Clustered), InfluxQL is asked there.
 *
 * The number is the same either way. What differs: SQL on those three is had by Flight alone, and fails here with a word on what to do;
 * JSON has one kind of number, so unsigned and small integers, which KEDA refuses, count; no rows are missing, where KEDA has 0; and
 * an answer that breaks off is a failure, where KEDA takes what came before.
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/fluxcsv.h"
#include "trigger/driver.h"

enum version { VERSION_2, VERSION_3 };
enum { INFLUX_TIMEOUT_MS = 20 * 1000 /* of the original's client: Flux queries take their time */ };

struct influx {
    struct trigger_config common;
    const char *url, *query, *organization, *database, *query_type, *key;
    const struct secret *token;
    int version;
    bool unsafe, sql;
};

#define PARAM_STRUCT struct influx
static const struct param params[] = {
    {"serverURL", PARAM_URL(url), .from = "MA", .required = true, .help = "such as http://influxdb:8086"},
    {"query", PARAM_TEXT(query), .required = true, .help = "Flux (2), InfluxQL or SQL (3)"},
    {"thresholdValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET,
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activationThresholdValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION,
     .help = "above it the object is active; 0 unless given"},
    {"influxVersion", PARAM_CHOICE(version, "2,3"), .fallback = "2", .help = "2 or 3"},
    {"organizationName", PARAM_TEXT(organization), .from = "MEA", .help = "version 2: required"},
    {"authToken", PARAM_SECRET(token), .from = "EA", .help = "of the API"},
    {"queryType", PARAM_TEXT(query_type), .fallback = "InfluxQL",
     .help = "version 3: InfluxQL or FlightSQL (that is SQL)"},
    {"database", PARAM_TEXT(database), .from = "MA", .help = "version 3: required"},
    {"metricKey", PARAM_TEXT(key), .help = "version 3: the column that holds the number; required"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .help = "do not verify the server's certificate"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct influx *c = config;
    const struct tree *token = tree_get(check_input(check)->metadata, "authToken");
    bool good = true;

    c->sql = c->query_type && strcasecmp(c->query_type, "FlightSQL") == 0;
    if (tree_string(token) && *tree_string(token))
        good = check_error(check, "authToken", "use authTokenFromEnv, or a TriggerAuthentication",
                           "authToken in the metadata is readable for everybody: it was removed");
    if (c->version == VERSION_2 && !c->organization && !check_unknown(check, "organizationName"))
        good = check_error(check, "organizationName", "write it down", "version 2 needs organizationName");
    if (c->version == VERSION_3 && !c->database && !check_unknown(check, "database"))
        good = check_error(check, "database", "write it down", "version 3 needs a database");
    if (c->version == VERSION_3 && !c->key)
        good = check_error(check, "metricKey", "write the name of the column", "version 3 needs a metricKey");
    if (c->version == VERSION_3 && !c->sql && c->query_type && strcasecmp(c->query_type, "InfluxQL") != 0)
        good = check_error(check, "queryType", "write InfluxQL or FlightSQL",
                           "queryType %.40s is neither InfluxQL nor "
                           "FlightSQL",
                           c->query_type);
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "thresholdValue", "write the value one replica should carry",
                           "thresholdValue has to be given, and not 0");
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct influx *c = config;
    const char *of = c->version == VERSION_2 ? c->organization : c->database;

    (void)input;
    text_printf(out, "influxdb-%s", of ? of : "");
}

/* ------------------------------------------------------------------ version 2 */

static enum poll_next on_csv(const void *config, struct poll *poll, const struct reply *reply)
{
    struct fluxcsv_value value;
    struct error err;

    (void)config;
    if (!fluxcsv_first(reply->body, reply->length, "_value", poll_arena(poll), &value, &err))
        return poll_fail_with(poll, &err);
    if (!value.found)
        return poll_missing(poll, SWITCH_UNSET, "the query gave no rows");
    if (strcmp(value.type, "double") != 0 && strcmp(value.type, "long") != 0)
        return poll_fail(poll, ERROR_NONSENSE, "_value is a %.40s, neither double nor long: add |> toFloat()",
                         value.type);
    return poll_value(poll, value.number);
}

static enum poll_next ask_flux(const struct influx *c, struct poll *poll)
{
    struct request *r = request_post(poll, c->url, "/api/v2/query");
    struct http_auth nobody = {.modes = 0};
    struct text body;

    text_init(&body, REQUEST_BODY_MAX_BYTES);
    text_add(&body, "{\"query\":");
    text_add_json_string(&body, c->query, strlen(c->query));
    text_add(&body, ",\"type\":\"flux\",\"dialect\":{\"annotations\":[\"datatype\",\"group\",\"default\"],"
                    "\"delimiter\":\",\",\"header\":true}}");
    request_body(r, "application/json", arena_copy_bytes(poll_arena(poll), body.bytes, body.length), body.length);
    text_done(&body);
    request_query(r, "org", c->organization);
    request_header(r, "Accept", "application/csv");
    request_header_secret(r, "Authorization", "Token ", c->token);
    request_sign(r, &nobody, 0, true, c->unsafe);
    request_timeout(r, INFLUX_TIMEOUT_MS);
    request_raw(r);
    return poll_send(poll, r, on_csv);
}

/* ------------------------------------------------------------------ version 3 */

static enum poll_next take(const struct influx *c, struct poll *poll, const struct tree *cell)
{
    double value;

    if (!cell)
        return poll_fail(poll, ERROR_NONSENSE, "the last row has no column %.100s", c->key);
    if (cell->type != TREE_NUMBER || !tree_number(cell, &value))
        return poll_fail(poll, ERROR_NONSENSE, "column %.100s of the last row holds %s, not a number", c->key,
                         tree_type_name(cell->type));
    return poll_value(poll, value);
}

static enum poll_next on_rows(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct influx *c = config;
    const struct tree *rows = reply->json, *last = NULL;

    if (rows->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is %s, not a list of rows", tree_type_name(rows->type));
    for (const struct tree *row = rows->first; row; row = row->next)
        last = row;
    return last ? take(c, poll, tree_get(last, c->key)) : poll_missing(poll, SWITCH_UNSET, "the query gave no rows");
}

/* {"results":[{"series":[{"columns":[...],"values":[[...],...]}]}]}, or an "error" in place of "series". */
static enum poll_next on_series(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct influx *c = config;
    const struct tree *result = tree_at(reply->json, "results.0"), *last = NULL, *columns = NULL;
    const char *why = tree_string(tree_get(result, "error"));
    const struct tree *column, *value;

    if (!result || why)
        return poll_fail(poll, ERROR_NONSENSE, "the server reports an error: %.200s", why ? why : "no result");
    for (const struct tree *s = tree_get(result, "series") ? tree_get(result, "series")->first : NULL; s; s = s->next)
        for (const struct tree *row = tree_get(s, "values") ? tree_get(s, "values")->first : NULL; row;
             row = row->next) {
            last = row;
            columns = tree_get(s, "columns");
        }
    if (!last)
        return poll_missing(poll, SWITCH_UNSET, "the query gave no rows");
    column = columns ? columns->first : NULL;
    value = last->first;
    for (; column && value && !string_equal(tree_string(column), c->key); column = column->next)
        value = value->next;
    return take(c, poll, column ? value : NULL);
}

static struct request *get(const struct influx *c, struct poll *poll, const char *path)
{
    struct request *r = request_get(poll, c->url, path);
    struct http_auth auth = {.bearer = c->token, .modes = c->token ? HTTP_AUTH_BEARER : 0};

    request_query(r, "db", c->database);
    request_query(r, "q", c->query);
    request_sign(r, &auth, HTTP_AUTH_BEARER, true, c->unsafe);
    request_timeout(r, INFLUX_TIMEOUT_MS);
    return r;
}

/* 404 for the whole API is an older server, or one of InfluxData's clouds. A database that is not there is said in other words, or by the
   older API. */
static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct influx *c = config;

    if (!reply->failed)
        return on_rows(config, poll, reply);
    if (reply->status == 404 && !c->sql)
        return poll_send(poll, get(c, poll, "/query"), on_series);
    if (reply->status == 404)
        return poll_fail(poll, reply->error.kind,
                         "%s; if the database is there, this server takes SQL by Arrow Flight alone: use queryType "
                         "InfluxQL",
                         reply->error.text);
    return poll_fail_with(poll, &reply->error);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct influx *c = config;
    struct request *r;

    (void)none;
    if (c->version == VERSION_2)
        return ask_flux(c, poll);
    r = get(c, poll, c->sql ? "/api/v3/query_sql" : "/api/v3/query_influxql");
    request_query(r, "format", "json");
    return poll_try(poll, r, on_answer);
}

TRIGGER(influxdb) = {
    .type = "influxdb",
    .summary = "a number read from InfluxDB by Flux, InfluxQL or SQL",
    .about = "Version 2: the column `_value` of the first row of a Flux query, a double or a long. Version 3: the "
             "column `metricKey` of "
             "the last row, asked over HTTP (`/api/v3/query_sql`, `/api/v3/query_influxql`; InfluxQL also by "
             "`/query`). A query "
             "without rows is missing. KEDA asks version 3 by Arrow Flight, which gives the same number; but Cloud "
             "Dedicated, Cloud Serverless and Clustered answer SQL by Flight alone: there `queryType: InfluxQL` works, "
             "and FlightSQL is a failure that says so.",
    .example = "triggers:\n"
               "  - type: influxdb\n"
               "    metadata:\n"
               "      serverURL: http://influxdb:8086\n"
               "      organizationName: example\n"
               "      query: |\n"
               "        from(bucket: \"shop\") |> range(start: -5m) |> filter(fn: (r) => r._measurement == \"queue\")\n"
               "          |> last() |> toFloat()\n"
               "      thresholdValue: \"10\"\n"
               "      authTokenFromEnv: INFLUX_TOKEN\n",
    .locally =
        "docker run -p 127.0.0.1:8086:8086 -e DOCKER_INFLUXDB_INIT_MODE=setup -e DOCKER_INFLUXDB_INIT_USERNAME=me "
        "-e DOCKER_INFLUXDB_INIT_PASSWORD=changeme1 -e DOCKER_INFLUXDB_INIT_ORG=example "
        "-e DOCKER_INFLUXDB_INIT_BUCKET=shop -e DOCKER_INFLUXDB_INIT_ADMIN_TOKEN=t influxdb:2\n"
        "curl -H 'Authorization: Token t' 'http://127.0.0.1:8086/api/v2/write?org=example&bucket=shop' -d 'queue "
        "length=12'\n"
        "weir probe scaledobject.yaml\n",
    .params = params,
    .config_size = sizeof(struct influx),
    .prepare = prepare,
    .metric_name = metric_name,
    .poll = ask,
};

/*
 * predictkube: the larger one of what a Prometheus query gives now and what the PredictKube service expects it to give later. Facts:
 * triggers/predictkube.md.
 *
 *     ask -> POST query_range --405, 501--> GET query_range -> on_history -> gRPC GetPredictMetric -> on_forecast
 *
 * All samples of the history go to the service, which answers one number. The object is active by the present value, not by the forecast.
 * The service's address is fixed. A query without samples is `missing`; when the forecast fails, so does the poll.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "base/wire.h"
#include "trigger/common/form.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

enum {
    PROMETHEUS_TIMEOUT_MS = 15 * 1000,   /* of the original: a range over weeks takes its time */
    HISTORY_MAX_BYTES = 4 * 1024 * 1024, /* some 60,000 samples; Prometheus gives 11,000 of a series at most */
    STEP_UNLESS_GIVEN_MS = 5 * 60 * 1000,
};
#define SPAN_MAX_MS                                                                                                    \
    (100 * 365 * (int64_t)DAY_MS) /* what is longer is a slip; and sums stay far from the end of int64 */
static const char service[] = "api.predictkube.com:443";

struct predict {
    struct trigger_config common;
    const char *server, *query, *horizon_text, *step_text, *window_text;
    const struct secret *key;
    const struct http_auth *auth;
    int64_t horizon_ms, step_ms, window_ms;
    double activation; /* not common.activation: the value that is compared with it is not the value reported */
    int index;         /* of the trigger: part of the name under which the service knows the metric */
};
struct predict_scratch {
    double now_value;
};

#define PARAM_STRUCT struct predict
static const struct param params[] = {
    {"prometheusAddress", PARAM_URL(server), .required = true, .help = "such as http://prometheus:9090"},
    {"query", PARAM_TEXT(query), .required = true, .help = "PromQL whose history is sent"},
    {"predictHorizon", PARAM_TEXT(horizon_text), .required = true, .help = "how far ahead: 2h, 1d12h"},
    {"queryStep", PARAM_TEXT(step_text), .required = true, .help = "between two samples of the history: 2m"},
    {"historyTimeWindow", PARAM_TEXT(window_text), .required = true, .help = "how long the history is: 7d, 1w2d"},
    {"apiKey", PARAM_SECRET(key), .from = "A", .required = true, .help = "of PredictKube"},
    {"threshold", PARAM_NUMBER(common.target), .role = ROLE_TARGET,
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activationThreshold", PARAM_NUMBER(activation), .help = "above it the present value makes the object active"},
    {"authModes", PARAM_HTTP_AUTH(auth)},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ rules */

/* "1w2d3h": Go's units, and weeks and days. */
static bool parse_span(const char *text, int64_t *ms)
{
    int64_t sum = 0, ns;
    size_t digits;

    for (; (digits = strspn(text, "0123456789")) > 0 && digits < 5 && (text[digits] == 'w' || text[digits] == 'd') &&
           sum < SPAN_MAX_MS;
         text += digits + 1)
        sum += strtoll(text, NULL, 10) * (text[digits] == 'w' ? 7 * DAY_MS : DAY_MS);
    *ms = sum;
    if (*text == '\0')
        return sum > 0;
    if (!duration_parse_ns(text, strlen(text), &ns) || ns < 0)
        return false;
    *ms = sum + ns / 1000000;
    return true;
}

static bool read_span(struct trigger_check *check, const char *name, const char *text, int64_t *ms)
{
    return !text || parse_span(text, ms) ||
           check_error(check, name, "write it like 1w2d3h, 2h or 5m", "%s is no duration", name);
}

/* Three parts of base64url with dots between; the last may be empty. */
static bool looks_like_token(const char *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=";
    size_t first = strspn(key, letters), second;

    if (first == 0 || key[first] != '.')
        return false;
    key += first + 1;
    second = strspn(key, letters);
    return second > 0 && key[second] == '.' && key[second + 1 + strspn(key + second + 1, letters)] == '\0';
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct predict *c = config;
    bool good = read_span(check, "predictHorizon", c->horizon_text, &c->horizon_ms);

    good = read_span(check, "queryStep", c->step_text, &c->step_ms) && good;
    good = read_span(check, "historyTimeWindow", c->window_text, &c->window_ms) && good;
    if (c->step_ms == 0)
        c->step_ms = STEP_UNLESS_GIVEN_MS;
    c->index = check_input(check)->index;
    if (c->key && !looks_like_token(secret_reveal(c->key)))
        good = check_error(check, "apiKey", "copy it from PredictKube's mail", "apiKey is not a key of PredictKube");
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "threshold", "write the value one replica should carry",
                           "threshold has to be given, and not 0");
    return good;
}

/* The key goes to the service, and the credential's other parts to Prometheus. */
static void destinations(const void *config, struct destinations *out)
{
    const struct predict *c = config;

    if (c->server)
        destinations_add_url(out, c->server);
    destinations_add_list(out, service, 443);
}

static void target(const void *config, struct trigger_metric *metric)
{
    metric->activation = ((const struct predict *)config)->activation;
}

/* ------------------------------------------------------------------ the forecast */

static enum poll_next on_forecast(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct predict *c = config;
    const struct predict_scratch *scratch = poll_scratch(poll);
    struct wire_reader in = {(const uint8_t *)reply->body, (const uint8_t *)reply->body + reply->length, false};
    struct wire_field field;
    double forecast = 0;

    while (wire_next(&in, &field))
        if (field.number == 1 && field.type == WIRE_VARINT)
            forecast = (double)(int64_t)field.value;
    if (in.broken)
        return poll_fail(poll, ERROR_NONSENSE, "the forecast is not the message it should be");
    poll_activity(poll, scratch->now_value > c->activation);
    return poll_value(poll, forecast > scratch->now_value ? forecast : scratch->now_value);
}

/* {1: horizon in steps, 2: {1: {1: seconds, 2: nanoseconds}, 2: value, 3: name}, ...} */
static void write_sample(struct text *out, const char *name, double at_s, double value)
{
    size_t item = wire_begin(out, 2), time = wire_begin(out, 1);
    int64_t seconds = (int64_t)at_s;

    wire_varint(out, 1, (uint64_t)seconds);
    wire_varint(out, 2, (uint64_t)((at_s - (double)seconds) * 1e9));
    wire_end(out, time);
    wire_double(out, 2, value);
    wire_text(out, 3, name);
    wire_end(out, item);
}

/* ------------------------------------------------------------------ the history */

struct history {
    struct text *out;
    const char *name;
    size_t count;
    double last;
};

/* [time, "text"] */
static bool add_pair(struct history *h, const struct tree *pair)
{
    double at_s, value;

    if (!pair || pair->type != TREE_LIST || tree_count(pair) != 2 || !tree_number(tree_index(pair, 0), &at_s) ||
        at_s < 0 || at_s > 1e11 || tree_index(pair, 1)->type != TREE_STRING ||
        !tree_number(tree_index(pair, 1), &value))
        return false;
    write_sample(h->out, h->name, at_s, value);
    h->last = value;
    h->count++;
    return true;
}

/* A matrix has values in each series, a vector one value; a scalar and a string are the pair itself. */
static bool add_result(struct history *h, const struct tree *data)
{
    const char *type = tree_string(tree_get(data, "resultType"));
    const struct tree *result = tree_get(data, "result");

    if (!type || !result || result->type != TREE_LIST)
        return false;
    if (strcmp(type, "scalar") == 0 || strcmp(type, "string") == 0)
        return add_pair(h, result);
    for (const struct tree *series = result->first; series; series = series->next) {
        const struct tree *values = tree_get(series, "values");

        if (strcmp(type, "vector") == 0 && !add_pair(h, tree_get(series, "value")))
            return false;
        if (strcmp(type, "matrix") == 0)
            for (const struct tree *pair = values ? values->first : NULL; pair; pair = pair->next)
                if (!add_pair(h, pair))
                    return false;
    }
    return strcmp(type, "vector") == 0 || strcmp(type, "matrix") == 0;
}

static enum poll_next ask_forecast(const struct predict *c, struct poll *poll, struct text *message)
{
    struct grpc_peer peer = {.address = service, .tls = true};
    struct request *r = grpc_request(poll, &peer, "/services.MlEngineService/GetPredictMetric", message);

    request_header_secret(r, "x-auth-api-key", "", c->key);
    request_timeout(r, PROMETHEUS_TIMEOUT_MS);
    return poll_send(poll, r, on_forecast);
}

static enum poll_next on_history(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct predict *c = config;
    struct predict_scratch *scratch = poll_scratch(poll);
    const char *status = tree_string(tree_get(reply->json, "status"));
    struct text message;
    struct history h = {&message, arena_printf(poll_arena(poll), "s%d-predictkube-predictkube_metric", c->index), 0, 0};
    bool good;

    text_init(&message, HISTORY_MAX_BYTES);
    wire_varint(&message, 1, (uint64_t)(c->horizon_ms / c->step_ms));
    good = string_equal(status, "success") && add_result(&h, tree_get(reply->json, "data")) && !message.overflowed;
    scratch->now_value = h.last;
    if (good && h.count > 0)
        return ask_forecast(c, poll, &message);
    if (message.overflowed)
        poll_fail(poll, ERROR_LIMIT, "the history is longer than HISTORY_MAX_BYTES: choose a larger queryStep");
    else if (good)
        poll_missing(poll, SWITCH_UNSET, "the query has no samples in historyTimeWindow");
    else
        poll_fail(poll, ERROR_NONSENSE, "Prometheus' answer is not a history of numbers");
    text_done(&message);
    return POLL_ENDED;
}

static const char *seconds(struct arena *arena, int64_t ms)
{
    return arena_printf(arena, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}

/* The question as a form or as a query: both are written alike. */
static const char *question(const struct predict *c, struct poll *poll)
{
    struct arena *arena = poll_arena(poll);
    int64_t now_ms = poll_now_ms(poll), start_ms = now_ms > c->window_ms ? now_ms - c->window_ms : 0;
    struct text out;
    const char *text;

    text_init(&out, REQUEST_BODY_MAX_BYTES);
    text_add(&out, "query=");
    form_add(&out, c->query);
    text_printf(&out, "&start=%s&end=%s&step=%s", seconds(arena, start_ms), seconds(arena, now_ms),
                seconds(arena, c->step_ms));
    text = arena_copy(arena, out.bytes);
    text_done(&out);
    return text;
}

enum { MODES = HTTP_AUTH_BEARER | HTTP_AUTH_BASIC | HTTP_AUTH_TLS };

static enum poll_next on_posted(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct predict *c = config;
    struct request *r;

    if (!reply->failed)
        return on_history(config, poll, reply);
    if (reply->status != 405 && reply->status != 501)
        return poll_fail_with(poll, &reply->error);
    r = request_get(poll, c->server, arena_printf(poll_arena(poll), "/api/v1/query_range?%s", question(c, poll)));
    request_timeout(r, PROMETHEUS_TIMEOUT_MS);
    request_sign(r, c->auth, MODES, true, false);
    return poll_send(poll, r, on_history);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct predict *c = config;
    struct request *r = request_post(poll, c->server, "/api/v1/query_range");
    const char *body = question(c, poll);

    (void)none;
    request_body(r, "application/x-www-form-urlencoded", body, strlen(body));
    request_timeout(r, PROMETHEUS_TIMEOUT_MS);
    request_sign(r, c->auth, MODES, true, false);
    return poll_try(poll, r, on_posted);
}

TRIGGER(predictkube) = {
    .type = "predictkube",
    .summary = "the larger one of a Prometheus query's value and PredictKube's forecast of it",
    .about =
        "The value is the larger one of the last sample of the query's history and what the PredictKube service "
        "expects at "
        "`predictHorizon`. The object is active by the last sample alone. A history without samples is missing; a "
        "forecast that "
        "fails is a failure. The service gets the history: every sample of it, and the trigger's metric name. For a "
        "forecast that stays in the house use forecast() in a formula.",
    .example = "triggers:\n"
               "  - type: predictkube\n"
               "    metadata:\n"
               "      prometheusAddress: http://prometheus:9090\n"
               "      query: sum(rate(http_requests_total{app=\"checkout\"}[2m]))\n"
               "      predictHorizon: 2h\n"
               "      historyTimeWindow: 7d\n"
               "      queryStep: 2m\n"
               "      threshold: \"2000\"\n"
               "    authenticationRef:\n"
               "      name: predictkube\n"
               "---\n"
               "kind: TriggerAuthentication\n"
               "metadata:\n"
               "  name: predictkube\n"
               "spec:\n"
               "  secretTargetRef:\n"
               "    - {parameter: apiKey, name: predictkube, key: api-key}\n"
               "---\n"
               "kind: Secret\n"
               "metadata:\n"
               "  name: predictkube\n"
               "stringData:\n"
               "  api-key: aaaa.bbbb.cccc # as they sent it\n",
    .locally = "# the service's address is fixed: a key of theirs is needed\n"
               "docker run -p 127.0.0.1:9090:9090 prom/prometheus\n"
               "weir probe scaledobject.yaml\n",
    .metric = "predictkube-predictkube_metric",
    .params = params,
    .config_size = sizeof(struct predict),
    .scratch_size = sizeof(struct predict_scratch),
    .prepare = prepare,
    .target = target,
    .destinations = destinations,
    .poll = ask,
};

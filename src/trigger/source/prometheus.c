/*
 * prometheus: the single value of an instant PromQL query. Thanos, Mimir, VictoriaMetrics and the managed services answer
 * the same question. Facts: triggers/prometheus.md.
 *
 * A query can lack a value in three ways: no series, a NaN from 0/0, an Inf from x/0. KEDA reads all of them as 0 unless
 * ignoreNullValues is false. We keep the switch, but the sample says "missing" and why (DESIGN.md 3.5).
 */
#include "trigger/common/promanswer.h"
#include "trigger/driver.h"

struct prometheus {
    struct trigger_config common;
    const char *server, *query, *tenant, *gcp_credentials, *aws_region;
    const struct param_map *headers, *parameters;
    const struct http_auth *auth;
    int64_t timeout_ms;
    enum param_switch empty_is_zero;
    bool unsafe;
    bool
        cloud; /* signed in to by a cloud's identity, which is not built in: asked without it, the answer would be a refusal */
};

#define PARAM_STRUCT struct prometheus
static const struct param params[] = {
    {"serverAddress", PARAM_URL(server), .required = true,
     .help = "base URL of the query API, such as http://prometheus:9090"},
    {"query", PARAM_TEXT(query), .required = true, .help = "PromQL that yields one number"},
    {"threshold", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationThreshold", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"namespace", PARAM_TEXT(tenant), .help = "tenant, for servers that keep several apart"},
    {"queryParameters", PARAM_MAP(parameters), .help = "added to the URL: name=value,name=value"},
    {"customHeaders", PARAM_MAP(headers), .help = "added to the request: Name=value,Name=value"},
    {"ignoreNullValues", PARAM_SWITCH(empty_is_zero),
     .help = "true: an empty result counts as 0 at once; false: it is a failure; unset: it is missing, and held"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"timeout", PARAM_DURATION(timeout_ms), .help = "of the whole request"},
    {"authModes", PARAM_HTTP_AUTH(auth)},
    {"awsRegion", PARAM_TEXT(aws_region), .from = "MA", .help = "Amazon Managed Prometheus (not built in yet)"},
    {"identityOwner", PARAM_IGNORED("it belongs to Amazon's identities, which are not built in yet")},
    {"credentialsFromEnv", PARAM_TEXT(gcp_credentials), .aliases = "credentialsFromEnvFile",
     .help = "Google's managed Prometheus (not built in yet)"},
    {0},
};
#undef PARAM_STRUCT

enum { MODES = HTTP_AUTH_BEARER | HTTP_AUTH_BASIC | HTTP_AUTH_CUSTOM | HTTP_AUTH_TLS };

static bool prepare(void *config, struct trigger_check *check)
{
    struct prometheus *c = config;
    const char *provider = check_pod_identity(check);

    if (provider && c->auth && c->auth->modes)
        return check_error(check, "authModes", "leave out one of the two",
                           "authModes and pod identity %s exclude each other", provider);
    c->cloud = provider || c->gcp_credentials || c->aws_region;
    if (c->cloud)
        check_warning(check,
                      c->aws_region        ? "awsRegion"
                      : c->gcp_credentials ? "credentialsFromEnv"
                                           : NULL,
                      "use authModes: bearer with a token, or a proxy that signs in",
                      "signing in with a cloud identity is not built in: every poll fails");
    return true;
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct prometheus *c = config;

    return promanswer_value(poll, reply->json, c->empty_is_zero, "Prometheus");
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct prometheus *c = config;
    struct request *r;

    (void)none; /* nothing was asked yet */
    if (c->cloud)
        return poll_fail(poll, ERROR_INVALID,
                         "signing in with a cloud identity is not built in; use authModes: bearer");
    r = request_get(poll, c->server, "/api/v1/query");
    request_query(r, "query", c->query);
    request_query(r, "time", poll_time_rfc3339(poll));
    request_query(r, "namespace", c->tenant);
    request_query_map(r, c->parameters);
    request_headers(r, c->headers);
    request_timeout(r, c->timeout_ms);
    request_sign(r, c->auth, MODES, true, c->unsafe);
    return poll_send(poll, r, on_answer);
}

TRIGGER(prometheus) = {
    .type = "prometheus",
    .summary = "a number read from Prometheus by a PromQL query",
    .about = "The single value of an instant query; Thanos, Mimir and VictoriaMetrics answer alike. No series, NaN and "
             "infinities are no value: it is "
             "missing, counts as 0 with ignoreNullValues: \"true\", and is a failure with \"false\". Several series "
             "are a failure: write "
             "sum(...).",
    .example = "metadata:\n"
               "  serverAddress: http://prometheus.monitoring.svc:9090\n"
               "  query: sum(rate(http_requests_total{app=\"shop\"}[2m]))\n"
               "  threshold: \"100\"\n",
    .locally = "prometheus --web.listen-address=127.0.0.1:9090 --config.file=/etc/prometheus/prometheus.yml &\n"
               "weir probe shop.yaml      # serverAddress: http://localhost:9090, query: count(up)\n",
    .metric = "prometheus",
    .params = params,
    .config_size = sizeof(struct prometheus),
    .prepare = prepare,
    .poll = ask,
};

/*
 * loki: the single value of an instant LogQL query. The answer has the form of Prometheus' (promanswer.h). Facts: triggers/loki.md.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "trigger/common/promanswer.h"
#include "trigger/driver.h"

struct loki {
    struct trigger_config common;
    const char *server, *query, *tenant;
    const struct http_auth *auth;
    enum param_switch empty_is_zero;
    bool unsafe;
};

#define PARAM_STRUCT struct loki
static const struct param params[] = {
    {"serverAddress", PARAM_URL(server), .required = true, .help = "base URL of Loki, such as http://loki:3100"},
    {"query", PARAM_TEXT(query), .required = true, .help = "LogQL that yields one number"},
    {"threshold", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationThreshold", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"tenantName", PARAM_TEXT(tenant), .help = "sent as X-Scope-OrgID"},
    {"ignoreNullValues", PARAM_SWITCH(empty_is_zero),
     .help = "true: an empty result counts as 0 at once; false: it is a failure; unset: it is missing, and held"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"authModes", PARAM_HTTP_AUTH(auth)},
    {0},
};
#undef PARAM_STRUCT

/* Of a trigger that feeds a formula the threshold is not used, but has to be there. */
static bool prepare(void *config, struct trigger_check *check)
{
    struct loki *c = config;

    if (check_input(check)->as_metric_source)
        c->common.target = 0;
    return true;
}

enum { MODES = HTTP_AUTH_BEARER | HTTP_AUTH_BASIC | HTTP_AUTH_CUSTOM | HTTP_AUTH_TLS };

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct loki *c = config;

    return promanswer_value(poll, reply->json, c->empty_is_zero, "Loki");
}

/* The address may already have the path, or a leading part of it; its query does not count. */
static const char *query_url(const struct loki *c, struct arena *arena)
{
    static const char *const leading[] = {"/loki/api/v1/query", "/loki/api/v1", "/loki/api", "/loki"};
    size_t length = strcspn(c->server, "?#");
    char *base, *path;

    while (length > 0 && c->server[length - 1] == '/')
        length--;
    base = arena_copy_bytes(arena, c->server, length);
    path = strstr(base, "://");
    path = path ? strchr(path + 3, '/') : NULL;
    if (path && string_ends(path, leading[0]))
        return base;
    for (size_t i = 1; path && i < sizeof(leading) / sizeof(leading[0]); i++)
        if (strcmp(path, leading[i]) == 0)
            *path = '\0';
    return arena_printf(arena, "%s%s", base, leading[0]);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct loki *c = config;
    struct request *r = request_get(poll, query_url(c, poll_arena(poll)), "");

    (void)none;
    request_query(r, "query", c->query);
    request_header(r, "X-Scope-OrgID", c->tenant);
    request_sign(r, c->auth, MODES, true, c->unsafe);
    return poll_send(poll, r, on_answer);
}

TRIGGER(loki) = {
    .type = "loki",
    .summary = "a number read from Grafana Loki by a LogQL query",
    .about =
        "The value is that of the one series an instant query gives. No series, NaN and infinities are missing: they "
        "take nothing "
        "away until the hold is over, count as 0 at once with `ignoreNullValues: \"true\"`, and are a failure with "
        "`\"false\"`. More than one series is a failure: make it one with sum(...).",
    .example = "triggers:\n"
               "  - type: loki\n"
               "    metadata:\n"
               "      serverAddress: http://loki:3100\n"
               "      query: sum(rate({app=\"checkout\"} |= \"timeout\" [1m]))\n"
               "      threshold: \"5\"\n",
    .locally = "docker run -p 127.0.0.1:3100:3100 grafana/loki:3.2.0\n"
               "curl -H 'Content-Type: application/json' http://127.0.0.1:3100/loki/api/v1/push -d "
               "'{\"streams\":[{\"stream\":{\"app\":\"checkout\"},\"values\":[[\"'$(date +%s%N)'\",\"timeout\"]]}]}'\n"
               "weir probe scaledobject.yaml\n",
    .metric = "loki",
    .params = params,
    .config_size = sizeof(struct loki),
    .prepare = prepare,
    .poll = ask,
};

/*
 * graphite: the last value of one series that Graphite's render API gives. Facts: triggers/graphite.md.
 *
 * KEDA reads no series, or one without points, as 0, and does not look at the status. Here the first two are `missing`, and an answer
 * outside 2xx is a failure.
 */
#include <string.h>

#include "base/arena.h"
#include "base/tree.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct graphite {
    struct trigger_config common;
    const char *server, *query, *from, *username;
    const struct secret *password;
    int auth_mode;
};

#define PARAM_STRUCT struct graphite
static const struct param params[] = {
    {"serverAddress", PARAM_URL(server), .required = true, .help = "such as http://graphite:8080"},
    {"query", PARAM_TEXT(query), .required = true, .help = "target expression that gives one series"},
    {"threshold", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .fallback = "100",
     .help = "value one replica should carry"},
    {"activationThreshold", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"queryTime", PARAM_TEXT(from), .required = true, .help = "how far back points are looked for, such as -10Minutes"},
    {"authMode", PARAM_CHOICE(auth_mode, "basic"), .help = "basic, or leave it out"},
    {"username", PARAM_TEXT(username), .from = "A", .help = "for basic"},
    {"password", PARAM_SECRET(password), .from = "A", .help = "for basic; may be empty"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    const struct graphite *c = config;
    const struct tree *mode = tree_get(check_input(check)->metadata, "authMode");

    if (tree_string(mode) && *tree_string(mode) && !c->username && !check_unknown(check, "username"))
        return check_error(check, "username", "put it into the Secret that a TriggerAuthentication names",
                           "authMode: basic needs a username");
    return true;
}

/* The last point that has a value. */
static enum poll_next read_points(struct poll *poll, const struct tree *points)
{
    const struct tree *last = NULL;
    double value;

    if (!points || points->count == 0)
        return poll_missing(poll, SWITCH_UNSET, "the series has no points in this time");
    for (const struct tree *point = points->first; point; point = point->next) {
        if (point->type != TREE_LIST || tree_count(point) == 0)
            return poll_fail(poll, ERROR_NONSENSE, "a point of the series is not [value, time]");
        if (tree_index(point, 0)->type != TREE_NULL)
            last = tree_index(point, 0);
    }
    if (!last)
        return poll_fail(poll, ERROR_NONSENSE, "all points of the series are null: nothing was written in this time");
    if (last->type != TREE_NUMBER || !tree_number(last, &value))
        return poll_fail(poll, ERROR_NONSENSE, "the last point of the series is not a number");
    return poll_value(poll, value);
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *series = reply->json, *points = tree_get_fold(tree_index(series, 0), "datapoints");

    (void)config;
    if (series->type != TREE_LIST)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is %s, not a list of series", tree_type_name(series->type));
    if (tree_count(series) == 0)
        return poll_missing(poll, SWITCH_UNSET, "the query matched no series");
    if (tree_count(series) > 1)
        return poll_fail(poll, ERROR_NONSENSE, "the query gives %zu series; make it one, say with sumSeries(...)",
                         tree_count(series));
    if (points && points->type != TREE_LIST && points->type != TREE_NULL)
        return poll_fail(poll, ERROR_NONSENSE, "the points of the series are %s", tree_type_name(points->type));
    return read_points(poll, points);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct graphite *c = config;
    struct http_auth auth = {.username = c->username, .password = c->password, .modes = HTTP_AUTH_BASIC};
    /* The time stands in the URL as it is written: people escape it themselves where they have to. */
    struct request *r = request_get(
        poll, c->server, arena_printf(poll_arena(poll), "/render?from=%s", path_tidy(poll_arena(poll), c->from)));

    (void)none;
    request_query(r, "target", c->query);
    request_query(r, "format", "json");
    if (c->username)
        request_sign(r, &auth, HTTP_AUTH_BASIC, true, false);
    return poll_send(poll, r, on_answer);
}

TRIGGER(graphite) = {
    .type = "graphite",
    .summary = "the last value of a series read from Graphite",
    .about = "The value is the last point within `queryTime` that is not null. No series, and a series without points, "
             "are missing; a "
             "series of nulls alone, or more than one series, is a failure.",
    .example = "triggers:\n"
               "  - type: graphite\n"
               "    metadata:\n"
               "      serverAddress: http://graphite:8080\n"
               "      query: sumSeries(stats.counters.checkout.*.rate)\n"
               "      queryTime: -10Minutes\n"
               "      threshold: \"100\"\n",
    .locally = "docker run -p 127.0.0.1:8080:80 -p 127.0.0.1:2003:2003 graphiteapp/graphite-statsd\n"
               "echo \"stats.counters.checkout.a.rate 240 $(date +%s)\" | nc -q1 127.0.0.1 2003\n"
               "weir probe scaledobject.yaml\n",
    .metric = "graphite",
    .params = params,
    .config_size = sizeof(struct graphite),
    .prepare = prepare,
    .poll = ask,
};

/*
 * pulsar: messages of a topic that a subscription has not acknowledged, from the broker's admin API. Facts: triggers/pulsar.md.
 *
 * A broker that does not own the topic sends us to the one that does (307); the credential goes along only as far as the transport lets
 * it. A topic or subscription that is not there is a failure. Pulsar is known to count below 0 after acknowledgements were lost: that
 * is no value.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/member.h"
#include "trigger/common/path.h"
#include "trigger/driver.h"

struct pulsar {
    struct trigger_config common;
    struct http_auth auth;
    const char *url, *topic, *subscription, *tls;
    bool partitioned;
    const char *path; /* of the statistics, in the trigger's arena; NULL: no such topic can be asked for */
};

/* The shared block's parameters; those of OAuth may stand in the metadata too. */
#define PARAM_STRUCT struct pulsar
static const struct param params[] = {
    {"adminURL", PARAM_URL(url), .from = "ME", .required = true,
     .help = "base URL of the admin API, such as http://pulsar:8080"},
    {"topic", PARAM_TEXT(topic), .from = "ME", .required = true, .help = "persistent://tenant/namespace/name"},
    {"subscription", PARAM_TEXT(subscription), .from = "ME", .required = true, .help = "name of the subscription"},
    {"msgBacklogThreshold", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "10",
     .help = "messages one replica should carry"},
    {"activationMsgBacklogThreshold", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"isPartitionedTopic", PARAM_BOOL(partitioned), .fallback = "false", .help = "the topic has partitions"},
    {"tls", PARAM_TEXT(tls), .help = "enable: the older way to say authModes: tls"},
    {"authModes", PARAM_LIST(auth.mode_names), .aliases = "authMode", .from = "MA",
     .choices = "apiKey,basic,tls,bearer,custom,oauth", .exclusive = "bearer,basic,oauth",
     .help = "how to sign in: tls, and one of bearer, basic, oauth"},
    {"bearerToken", PARAM_SECRET(auth.bearer), .aliases = "token", .from = "A", .help = "for bearer"},
    {"username", PARAM_TEXT(auth.username), .from = "A", .help = "for basic"},
    {"password", PARAM_SECRET(auth.password), .from = "A", .help = "for basic; may be empty"},
    {"cert", PARAM_TEXT(auth.certificate), .from = "A", .help = "for tls: the client's certificate, PEM"},
    {"key", PARAM_SECRET(auth.key), .from = "A", .help = "for tls: its key, PEM"},
    {"ca", PARAM_TEXT(auth.ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"customAuthHeader", PARAM_TEXT(auth.custom_header), .from = "A", .hidden = true, .help = "without effect"},
    {"customAuthValue", PARAM_SECRET(auth.custom_value), .from = "A", .hidden = true, .help = "without effect"},
    {"apiKey", PARAM_SECRET(auth.api_key), .from = "MA", .hidden = true, .help = "without effect"},
    {"method", PARAM_CHOICE(auth.method, "header,query"), .from = "MA", .fallback = "header", .hidden = true,
     .help = "without effect"},
    {"keyParamName", PARAM_TEXT(auth.key_name), .from = "MA", .hidden = true, .help = "without effect"},
    {"oauthTokenURI", PARAM_TEXT(auth.token_url), .from = "AM", .address = true, .help = "for oauth"},
    {"scopes", PARAM_LIST(auth.scopes), .aliases = "scope", .from = "AM", .help = "for oauth"},
    {"clientID", PARAM_TEXT(auth.client_id), .from = "AM", .help = "for oauth"},
    {"clientSecret", PARAM_SECRET(auth.client_secret), .from = "A", .help = "for oauth"},
    {"endpointParams", PARAM_TEXT(auth.endpoint_params), .aliases = "EndpointParams", .from = "AM",
     .help = "for oauth"},
    {0},
};
#undef PARAM_STRUCT

enum { MODES = HTTP_AUTH_BEARER | HTTP_AUTH_BASIC | HTTP_AUTH_TLS | HTTP_AUTH_OAUTH };

/* tls: enable with a certificate or key is one mode more. */
static void add_tls_mode(struct pulsar *c, struct trigger_check *check)
{
    size_t count = c->auth.mode_names ? c->auth.mode_names->count : 0;
    struct param_list *list;

    if (!string_equal(c->tls, "enable") || (!c->auth.certificate && !c->auth.key))
        return;
    list = arena_alloc(check_arena(check), sizeof(*list) + (count + 1) * sizeof(list->items[0]));
    for (size_t i = 0; i < count; i++)
        list->items[i] = c->auth.mode_names->items[i];
    list->items[count] = "tls";
    list->count = count + 1;
    c->auth.mode_names = list;
}

/* What is left of the topic's name when every "persistent://" is out of it, as the original has it. */
static const char *bare_topic(struct arena *arena, const char *topic)
{
    static const char scheme[] = "persistent://";
    char *name = arena_copy(arena, topic), *hit;

    while ((hit = strstr(name, scheme))) {
        char *rest = hit + strlen(scheme);

        while ((*hit++ = *rest++) != '\0')
            ;
    }
    return name;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct pulsar *c = config;
    struct arena *arena = check_arena(check);

    add_tls_mode(c, check);
    http_auth_block.check(&c->auth, check);
    if (c->topic && string_starts(c->topic, "non-persistent://"))
        check_warning(check, "topic", "name a persistent topic",
                      "a topic that is not persistent has no backlog: every poll fails");
    else if (c->topic)
        c->path = arena_printf(arena, "/admin/v2/persistent/%s/%s", path_tidy(arena, bare_topic(arena, c->topic)),
                               c->partitioned ? "partitioned-stats" : "stats");
    return true;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct pulsar *c = config;

    (void)input;
    text_printf(out, "pulsar-%s-%s", c->topic ? c->topic : "", c->subscription ? c->subscription : "");
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct pulsar *c = config;
    const struct tree *all = tree_get_fold(reply->json, "subscriptions"), *one = tree_get(all, c->subscription);
    int64_t backlog;

    if (reply->json->type != TREE_MAP || (all && all->type != TREE_MAP && all->type != TREE_NULL))
        return poll_fail(poll, ERROR_NONSENSE, "the answer holds no statistics of a Pulsar topic");
    if (!one || one->type != TREE_MAP)
        return poll_fail(poll, ERROR_NONSENSE, "the topic has no subscription %.100s", c->subscription);
    switch (member_integer(one, "msgBacklog", &backlog)) {
    case MEMBER_WRONG:
        return poll_fail(poll, ERROR_NONSENSE, "the subscription's msgBacklog is not a whole number");
    case MEMBER_ABSENT:
        return poll_missing(poll, SWITCH_UNSET, "the subscription's statistics have no msgBacklog");
    case MEMBER_GIVEN:
        break;
    }
    if (backlog < 0)
        return poll_missing(poll, SWITCH_UNSET, "Pulsar counts %lld messages, which is no number of messages",
                            (long long)backlog);
    return poll_value(poll, (double)backlog);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct pulsar *c = config;
    const struct http_auth *auth = &c->auth;
    struct request *r;

    (void)none;
    if (!c->path)
        return poll_fail(poll, ERROR_INVALID, "a topic that is not persistent has no backlog");
    r = request_get(poll, c->url, c->path);
    request_status(r, 200, 200);
    request_header(r, "X-Pulsar-Auth-Method-Name",
                   auth->modes & HTTP_AUTH_BEARER  ? "token"
                   : auth->modes & HTTP_AUTH_BASIC ? "basic"
                   : auth->modes & HTTP_AUTH_TLS   ? "tls"
                                                   : NULL);
    request_sign(r, auth, MODES, false, false);
    return poll_send(poll, r, on_answer);
}

TRIGGER(pulsar) = {
    .type = "pulsar",
    .summary = "messages a Pulsar subscription has not acknowledged",
    .about = "The subscription's backlog as the admin API reports it; of a topic with partitions the sum. A topic or "
             "subscription that "
             "does not exist is a failure. metricType has no effect: the threshold is always per replica.",
    .example = "metadata:\n"
               "  adminURL: http://pulsar-proxy.pulsar.svc:8080\n"
               "  topic: persistent://public/default/orders\n"
               "  subscription: worker\n"
               "  msgBacklogThreshold: \"100\"\n"
               "  authModes: bearer\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  bearerToken: eyJhbGciOi...\n",
    .locally = "bin/pulsar standalone &   # an unpacked apache-pulsar\n"
               "curl -X PUT localhost:8080/admin/v2/persistent/public/default/orders\n"
               "curl -X PUT localhost:8080/admin/v2/persistent/public/default/orders/subscription/worker\n"
               "bin/pulsar-client produce persistent://public/default/orders -m hello -n 3\n"
               "weir probe orders.yaml    # adminURL: http://localhost:8080, without authModes\n",
    .params = params,
    .config_size = sizeof(struct pulsar),
    .average_only = true,
    .prepare = prepare,
    .metric_name = metric_name,
    .poll = ask,
};

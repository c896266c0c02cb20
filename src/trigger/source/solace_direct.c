/*
 * solace-direct-messaging: what consumers of direct messages are given: egress rates of all clients whose names contain a pattern, and
 * what is queued for them. From the broker's management API in XML (SEMP v1). Facts: triggers/solace-direct-messaging.md.
 *
 * Each target above 0 makes a metric of its own, and so a trigger of its own here. Clients exist only while they are connected, so a poll
 * that succeeds always says that there is work: such a trigger never takes an object to zero.
 *
 *     host -> POST show client stats -> POST show client queues -> value
 *       ^__ next host after any failure, once round, beginning with the one that worked last
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/xmlpath.h"
#include "trigger/driver.h"
#include "trigger/family/solace.h"

/* A unit of queued work has that many bytes. */
enum { WORK_BYTES = 2048, FACTOR_MAX = 100 };

/* In the order in which KEDA names the metrics. */
enum rate { RATE_BYTES, RATE_MEAN_BYTES, RATE_MESSAGES, RATE_MEAN_MESSAGES, RATES };
static const struct {
    const char *suffix, *element;
} rates[RATES] = {{"aggregatedClientTxByteRateTarget", "current-egress-byte-rate-per-second"},
                  {"aggregatedClientAverageTxByteRateTarget", "average-egress-byte-rate-per-minute"},
                  {"aggregatedClientTxMsgRateTarget", "current-egress-rate-per-second"},
                  {"aggregatedClientAverageTxMsgRateTarget", "average-egress-rate-per-minute"}};

struct direct {
    struct solace solace;
    const char *pattern;
    double factor, targets[RATES], unused[RATES];
    const char *stats_body, *queues_body; /* in the trigger's arena */
};
struct walk {
    struct nodes_walk nodes; /* first */
    double rate, queued;
};

#define PARAM_STRUCT struct direct
static const struct param params[] = {
    {"solaceSempBaseURL", PARAM_TEXT(solace.urls), .required = true,
     .help = "https://broker:943; several with commas are tried in turn"},
    {"messageVpn", PARAM_TEXT(solace.vpn), .required = true, .help = "the message VPN"},
    {"clientNamePattern", PARAM_TEXT(pattern), .required = true, .help = "what the clients' names contain, without *"},
    {"aggregatedClientTxMsgRateTarget", PARAM_WHOLE(targets[RATE_MESSAGES]), .fallback = "0",
     .help = "messages a second one replica should be given"},
    {"aggregatedClientTxByteRateTarget", PARAM_WHOLE(targets[RATE_BYTES]), .fallback = "0", .help = "bytes a second"},
    {"aggregatedClientAverageTxMsgRateTarget", PARAM_WHOLE(targets[RATE_MEAN_MESSAGES]), .fallback = "0",
     .help = "messages a second, mean of the last minute"},
    {"aggregatedClientAverageTxByteRateTarget", PARAM_WHOLE(targets[RATE_MEAN_BYTES]), .fallback = "0",
     .help = "bytes a second, mean of the last minute"},
    {"activationAggregatedClientTxMsgRateTarget", PARAM_WHOLE(unused[RATE_MESSAGES]), .fallback = "0",
     .help = "without effect, as in KEDA"},
    {"activationAggregatedClientTxByteRateTarget", PARAM_WHOLE(unused[RATE_BYTES]), .fallback = "0",
     .help = "without effect"},
    {"activationAggregatedClientAverageTxMsgRateTarget", PARAM_WHOLE(unused[RATE_MEAN_MESSAGES]), .fallback = "0",
     .help = "without effect"},
    {"activationAggregatedClientAverageTxByteRateTarget", PARAM_WHOLE(unused[RATE_MEAN_BYTES]), .fallback = "0",
     .help = "without effect"},
    {"queuedMessagesFactor", PARAM_WHOLE(factor), .fallback = "3",
     .help = "how much a queued message counts, 1 to 100: what was queued comes on top of the rate"},
    {"username", PARAM_TEXT(solace.auth.username), .from = "AE", .required = true, .help = "of the management API"},
    {"password", PARAM_SECRET(solace.auth.password), .from = "AE", .required = true, .help = "its password"},
    {"unsafeSSL", PARAM_BOOL(solace.unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {".metric", PARAM_INTEGER(solace.which), .hidden = true}, /* tells the triggers of one manifest entry apart */
    {0},
};
#undef PARAM_STRUCT

static const char *show_client(struct arena *arena, const char *pattern, const char *what)
{
    struct text out;
    const char *body;

    text_init(&out, HTTP_BODY_MAX_BYTES);
    text_add(&out, "<rpc><show><client><name>*");
    text_add_html(&out, pattern);
    text_printf(&out, "*</name>%s</client></show></rpc>", what);
    body = arena_copy_bytes(arena, out.bytes, out.length);
    text_done(&out);
    return body;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct direct *c = config;
    bool good = solace_prepare(&c->solace, check), any = false;

    for (size_t i = 0; i < RATES; i++)
        any |= c->targets[i] >= 1;
    if (!any)
        good = check_error(check, rates[RATE_MESSAGES].suffix, "write one of the four targets",
                           "there is no target of 1 or more");
    if (c->factor < 1 || c->factor > FACTOR_MAX)
        good = check_error(check, "queuedMessagesFactor", "write a number from 1 to 100",
                           "queuedMessagesFactor is not between 1 and %d", FACTOR_MAX);
    if (c->pattern && strchr(c->pattern, '*'))
        good = check_error(check, "clientNamePattern", "leave the * out: any name that contains the text counts",
                           "clientNamePattern has a *");
    if (c->pattern) {
        c->stats_body = show_client(check_arena(check), c->pattern, "<stats/>");
        c->queues_body = show_client(check_arena(check), c->pattern, "<stats></stats><queues></queues>");
    }
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct direct *c = config;

    (void)input;
    text_printf(out, "solace-dm-%s-%s", c->pattern ? c->pattern : "", rates[c->solace.which % RATES].suffix);
}

static void target(const void *config, struct trigger_metric *metric)
{
    const struct direct *c = config;

    metric->target = c->targets[c->solace.which % RATES];
}

/* ------------------------------------------------------------------ the answers */

static const struct tree *member(const struct tree *map, const char *name)
{
    for (const struct tree *m = map && map->type == TREE_MAP ? map->first : NULL; m; m = m->next)
        if (strcmp(m->key, name) == 0)
            return m;
    return NULL;
}

/* Absent is 0. */
static bool add_number(const struct tree *map, const char *name, double *sum)
{
    const struct tree *node = member(map, name);
    const char *text = tree_string(node);
    double value = 0;

    if (!node)
        return true;
    if (!text || text[strspn(text, "0123456789")] != '\0' || !number_parse(text, strlen(text), &value))
        return false;
    *sum += value;
    return true;
}

/* What the broker thought of the command: an attribute of the last element, <execute-result code="ok"/>. */
static bool was_executed(const char *body, struct error *err)
{
    const char *result = strstr(body, "<execute-result"), *end = result ? strchr(result, '>') : NULL;
    const char *ok = result ? strstr(result, "code=\"ok\"") : NULL;

    if (strstr(body, "<more-cookie>"))
        return error_set(err, ERROR_LIMIT, "the broker tells its clients in several parts: narrow clientNamePattern");
    return (ok && end && ok < end) ||
           error_set(err, ERROR_NONSENSE, "the broker refuses the command; check the user's rights and the VPN");
}

typedef bool take_client(const struct direct *c, struct walk *walk, const struct tree *client);

static bool take_rates(const struct direct *c, struct walk *walk, const struct tree *client)
{
    return add_number(member(client, "stats"), rates[c->solace.which % RATES].element, &walk->rate);
}

static bool take_queues(const struct direct *c, struct walk *walk, const struct tree *client)
{
    bool bytes = c->solace.which == RATE_BYTES || c->solace.which == RATE_MEAN_BYTES;

    for (const struct tree *q = client->first; q; q = q->next)
        if (strcmp(q->key, "client-queue") == 0 && string_equal(tree_string(member(q, "queue-priority")), "D-1") &&
            !add_number(q, bytes ? "length-work" : "length-msgs", &walk->queued))
            return false;
    return true;
}

static bool take_clients(const struct direct *c, struct walk *walk, struct arena *arena, const struct reply *reply,
                         take_client *take, struct error *err)
{
    static const char *const way[] = {"rpc-reply", "rpc", "show", "client", "primary-virtual-router"};
    const struct tree *at;

    if (reply->failed) {
        *err = reply->error;
        return false;
    }
    if (!xmlpath_tree(reply->body, reply->length, arena, &at, err) || !was_executed(reply->body, err))
        return false;
    if (!member(at, way[0]))
        return error_set(err, ERROR_NONSENSE, "the answer is not one of SEMP v1: its root is not rpc-reply");
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++)
        at = member(at, way[i]);
    for (const struct tree *client = at && at->type == TREE_MAP ? at->first : NULL; client; client = client->next)
        if (strcmp(client->key, "client") == 0 && client->type == TREE_MAP &&
            string_equal(tree_string(member(client, "message-vpn")), c->solace.vpn) && !take(c, walk, client))
            return error_set(err, ERROR_NONSENSE, "a figure of a client is not a whole number");
    return true;
}

/* ------------------------------------------------------------------ asking */

static struct request *post(const struct direct *c, struct poll *poll, size_t host, const char *body)
{
    struct request *r = request_post(poll, c->solace.hosts[host], "/SEMP");

    request_raw(r);
    request_body(r, "application/xml", body, strlen(body));
    request_sign(r, &c->solace.auth, HTTP_AUTH_BASIC, false, c->solace.unsafe);
    return r;
}

static struct request *ask_stats(const void *config, struct poll *poll, size_t host)
{
    return post(config, poll, host, ((const struct direct *)config)->stats_body);
}

static struct request *ask_queues(const void *config, struct poll *poll, size_t host)
{
    return post(config, poll, host, ((const struct direct *)config)->queues_body);
}

static enum poll_next on_queues(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct direct *c = config;
    struct walk *walk = poll_scratch(poll);
    bool bytes = c->solace.which == RATE_BYTES || c->solace.which == RATE_MEAN_BYTES;
    struct error why;

    walk->queued = 0;
    if (!take_clients(c, walk, poll_arena(poll), reply, take_queues, &why))
        return nodes_next(c, poll, &why);
    poll_activity(poll, true);
    return poll_value(poll, walk->rate + walk->queued * c->factor * (bytes ? WORK_BYTES : 1));
}

static enum poll_next on_stats(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct direct *c = config;
    struct walk *walk = poll_scratch(poll);
    struct error why;

    walk->rate = 0;
    if (!take_clients(c, walk, poll_arena(poll), reply, take_rates, &why))
        return nodes_next(c, poll, &why);
    return nodes_ask(c, poll, ask_queues, on_queues);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct direct *c = config;

    (void)none;
    return nodes_send(c, poll, c->solace.host_count, ask_stats, on_stats);
}

TRIGGER(solace_direct_messaging) = {
    .type = "solace-direct-messaging",
    .summary = "what consumers of Solace direct messages are given",
    .about = "Messages or bytes a second that the broker sends to all clients whose names contain the pattern, and for "
             "what is queued for "
             "them queuedMessagesFactor times as much on top. Each target above 0 makes a metric of its own. A poll "
             "that succeeds always "
             "keeps the object active, for the figures exist only while clients are connected.",
    .example = "metadata:\n"
               "  solaceSempBaseURL: https://broker.solace.svc:943\n"
               "  messageVpn: shop\n"
               "  clientNamePattern: order-worker\n"
               "  aggregatedClientTxMsgRateTarget: \"600\"\n"
               "metricType: Value\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  username: admin\n"
               "  password: secret\n",
    .locally = "docker run -p 8080:8080 --shm-size=1g -e username_admin_globalaccesslevel=admin -e "
               "username_admin_password=secret \\\n"
               "  solace/solace-pubsub-standard\n"
               "weir probe orders.yaml    # solaceSempBaseURL: http://localhost:8080, messageVpn: default\n",
    .targets =
        "aggregatedClientTxByteRateTarget,aggregatedClientAverageTxByteRateTarget,aggregatedClientTxMsgRateTarget,"
        "aggregatedClientAverageTxMsgRateTarget",
    .params = params,
    .config_size = sizeof(struct direct),
    .memory_size = sizeof(struct nodes_memory),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .destinations = solace_destinations,
    .poll = ask,
};

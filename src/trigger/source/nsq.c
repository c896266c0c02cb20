/*
 * nsq: messages waiting in a channel of an NSQ topic, over all nsqd that have the topic. Facts: triggers/nsq.md.
 *
 *     each lookupd: /lookup -> who has the topic -> each nsqd: /stats -> sum of the depths
 *
 * One host that does not answer makes the poll fail: a sum without its part would be too small. A topic that no lookupd knows has no
 * messages, as NSQ makes topics when the first message comes.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/member.h"
#include "trigger/driver.h"

enum { LOOKUPDS_MAX = 16, NSQDS_MAX = 256 }; /* three lookupd are usual; a busy site has some dozens of nsqd */

struct nsq {
    struct trigger_config common;
    const struct param_list *lookupds;
    const char *topic, *channel;
    bool https, unsafe;
};
struct walk {
    const char *nsqds[NSQDS_MAX]; /* host:port */
    size_t count;
    bool failed, too_many;
    struct error error; /* the first one */
    double depth;
};

#define PARAM_STRUCT struct nsq
static const struct param params[] = {
    {"nsqLookupdHTTPAddresses", PARAM_LIST(lookupds), .from = "ME", .required = true,
     .help = "host:port of every nsqlookupd, with commas"},
    {"topic", PARAM_TEXT(topic), .from = "ME", .required = true, .help = "the topic"},
    {"channel", PARAM_TEXT(channel), .from = "ME", .required = true,
     .help = "the channel; as long as it does not exist, the topic's own depth counts"},
    {"depthThreshold", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .from = "ME", .fallback = "10",
     .help = "messages one replica should carry"},
    {"activationDepthThreshold", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .from = "ME", .fallback = "0",
     .help = "above it the object is active"},
    {"useHttps", PARAM_BOOL(https), .from = "ME", .fallback = "false", .help = "speak TLS to nsqlookupd and nsqd"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .from = "ME", .fallback = "false",
     .help = "do not verify the servers' certificates"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct nsq *c = config;
    bool good = true;

    if (c->lookupds && (c->lookupds->count == 0 || !*c->lookupds->items[0]))
        good = check_error(check, "nsqLookupdHTTPAddresses", "write host:port", "no nsqlookupd is named");
    if (c->lookupds && c->lookupds->count > LOOKUPDS_MAX)
        good = check_error(check, "nsqLookupdHTTPAddresses", "name fewer", "more than %d nsqlookupd are named",
                           LOOKUPDS_MAX);
    if (c->common.target <= 0)
        good = check_error(check, "depthThreshold", "write a number above 0", "depthThreshold has to be above 0");
    if (c->common.activation < 0)
        good = check_error(check, "activationDepthThreshold", "write 0 or more",
                           "activationDepthThreshold cannot be below 0");
    return good;
}

static void destinations(const void *config, struct destinations *out)
{
    const struct nsq *c = config;

    for (size_t i = 0; c->lookupds && i < c->lookupds->count; i++)
        destinations_add_list(out, c->lookupds->items[i], c->https ? 443 : 80);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct nsq *c = config;

    (void)input;
    text_printf(out, "nsq-%s-%s", c->topic ? c->topic : "", c->channel ? c->channel : "");
}

static struct request *get(const struct nsq *c, struct poll *poll, const char *host, const char *path)
{
    struct request *r =
        request_get(poll, arena_printf(poll_arena(poll), "http%s://%s", c->https ? "s" : "", host), path);

    request_header(r, "Accept", "application/json; charset=utf-8");
    request_sign(r, NULL, 0, false, c->unsafe);
    return r;
}

static void give_up(struct poll *poll, const struct error *why)
{
    struct walk *walk = poll_scratch(poll);

    if (!walk->failed)
        walk->error = *why;
    walk->failed = true;
}

static void nonsense(struct poll *poll, const char *who)
{
    struct error err;

    error_set(&err, ERROR_NONSENSE, "%s answers something that is not its own", who);
    give_up(poll, &err);
}

/* ------------------------------------------------------------------ nsqd */

static double depth_of(const struct nsq *c, const struct tree *topic, bool *good)
{
    const struct tree *channels = tree_get_fold(topic, "channels");
    int64_t depth;
    bool paused = false;

    for (const struct tree *channel = channels && channels->type == TREE_LIST ? channels->first : NULL; channel;
         channel = channel->next) {
        if (strcmp(member_text(channel, "channel_name"), c->channel) != 0)
            continue;
        *good &= member_integer(channel, "depth", &depth) == MEMBER_GIVEN;
        return tree_bool(tree_get_fold(channel, "paused"), &paused) && paused ? 0 : (double)depth;
    }
    *good &= member_integer(topic, "depth", &depth) == MEMBER_GIVEN;
    return (double)depth;
}

static void each_stats(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct nsq *c = config;
    struct walk *walk = poll_scratch(poll);
    const struct tree *topics;
    bool good = true;

    if (reply->failed) {
        give_up(poll, &reply->error);
        return;
    }
    topics = tree_get_fold(reply->json, "topics");
    good = topics && (topics->type == TREE_LIST || topics->type == TREE_NULL);
    for (const struct tree *topic = good ? topics->first : NULL; topic; topic = topic->next)
        if (strcmp(member_text(topic, "topic_name"), c->topic) == 0)
            walk->depth += depth_of(c, topic, &good);
    if (!good)
        nonsense(poll, "nsqd");
}

static enum poll_next on_stats(const void *config, struct poll *poll, const struct reply *none)
{
    struct walk *walk = poll_scratch(poll);

    (void)config;
    (void)none;
    return walk->failed ? poll_fail_with(poll, &walk->error) : poll_value(poll, walk->depth);
}

/* ------------------------------------------------------------------ nsqlookupd */

static void add_nsqd(struct poll *poll, const char *host, int64_t port)
{
    struct walk *walk = poll_scratch(poll);
    const char *name =
        arena_printf(poll_arena(poll), strchr(host, ':') ? "[%s]:%lld" : "%s:%lld", host, (long long)port);

    for (size_t i = 0; i < walk->count; i++)
        if (strcmp(walk->nsqds[i], name) == 0)
            return;
    if (walk->count == NSQDS_MAX)
        walk->too_many = true;
    else
        walk->nsqds[walk->count++] = name;
}

static void each_lookup(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *producers;
    int64_t port;

    (void)config;
    if (!reply->failed && reply->status == 404)
        return; /* it does not know the topic */
    if (!reply->failed && reply->status != 200) {
        struct error err;

        error_set(&err, reply->status >= 500 ? ERROR_UNREACHABLE : ERROR_NONSENSE, "nsqlookupd answered %d",
                  reply->status);
        give_up(poll, &err);
        return;
    }
    if (reply->failed) {
        give_up(poll, &reply->error);
        return;
    }
    producers = tree_get_fold(reply->json, "producers");
    if (!producers || (producers->type != TREE_LIST && producers->type != TREE_NULL)) {
        nonsense(poll, "nsqlookupd");
        return;
    }
    for (const struct tree *p = producers->first; p; p = p->next) {
        const char *host = member_text(p, "broadcast_address");

        if (!*host || member_integer(p, "http_port", &port) != MEMBER_GIVEN)
            nonsense(poll, "nsqlookupd");
        else
            add_nsqd(poll, host, port);
    }
}

static enum poll_next on_lookups(const void *config, struct poll *poll, const struct reply *none)
{
    const struct nsq *c = config;
    struct walk *walk = poll_scratch(poll);
    struct request **requests;

    (void)none;
    if (walk->failed)
        return poll_fail_with(poll, &walk->error);
    if (walk->too_many)
        return poll_fail(poll, ERROR_LIMIT, "more than %d nsqd have the topic (NSQDS_MAX)", NSQDS_MAX);
    if (walk->count == 0)
        return poll_value(poll, 0);
    requests = arena_array(poll_arena(poll), walk->count, sizeof(*requests));
    for (size_t i = 0; i < walk->count; i++) {
        requests[i] = get(c, poll, walk->nsqds[i], "/stats?format=json&include_clients=false&include_mem=false");
        request_query(requests[i], "topic", c->topic);
        request_status(requests[i], 200, 200);
    }
    return poll_send_all(poll, requests, walk->count, each_stats, on_stats);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct nsq *c = config;
    struct request *requests[LOOKUPDS_MAX];

    (void)none;
    for (size_t i = 0; i < c->lookupds->count; i++) {
        requests[i] = get(c, poll, c->lookupds->items[i], "/lookup");
        request_query(requests[i], "topic", c->topic);
        request_status(requests[i], 200, 404);
    }
    return poll_send_all(poll, requests, c->lookupds->count, each_lookup, on_lookups);
}

TRIGGER(nsq) = {
    .type = "nsq",
    .summary = "messages waiting in a channel of an NSQ topic",
    .about = "The depth of the channel, summed over all nsqd that nsqlookupd names for the topic. A paused channel "
             "counts 0; where "
             "the channel does not exist yet, the topic's own depth counts. Messages in flight and deferred do not "
             "count. A host "
             "that does not answer makes the whole poll fail.",
    .example = "metadata:\n"
               "  nsqLookupdHTTPAddresses: nsqlookupd.nsq.svc:4161\n"
               "  topic: orders\n"
               "  channel: worker\n"
               "  depthThreshold: \"100\"\n",
    .locally =
        "nsqlookupd & nsqd -lookupd-tcp-address=127.0.0.1:4160 &     # go install github.com/nsqio/nsq/apps/...\n"
        "curl -d hello 'localhost:4151/pub?topic=orders'\n"
        "weir probe orders.yaml   # nsqLookupdHTTPAddresses: localhost:4161\n",
    .params = params,
    .config_size = sizeof(struct nsq),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .destinations = destinations,
    .poll = ask,
};

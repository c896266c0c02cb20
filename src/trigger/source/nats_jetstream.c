/*
 * nats-jetstream: what a JetStream consumer has before it: messages not delivered yet and messages not acknowledged. Read from the
 * server's monitoring port. Facts: triggers/nats-jetstream.md.
 *
 * In a cluster only the consumer's leader knows. Which server that is stands in the consumer's own entry; where it is asked is worked
 * out from the server's list of nodes, and remembered from poll to poll.
 *
 *     ask -> (remembered leader: /jsz) -> on_remembered --it still leads--> value
 *         -> (any server: /jsz) -> on_first --no cluster--> value
 *            -> /varz -> on_nodes --> each node: /varz -> on_names -> each node: /jsz -> on_leaders -> value
 *
 * While leaders change two servers may say that they lead, the old one with the figures of before: it counts which of them more servers
 * name, and where that is even there is no value. A stream or consumer that is not there is a failure. So is an answer that is no 200,
 * which KEDA reads all the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/member.h"
#include "trigger/driver.h"

enum {
    NODES_MAX = 32,
    NAME_BYTES = 256
}; /* a cluster has 3 or 5 servers, a supercluster some more; a name is a host's */

struct nats {
    struct trigger_config common;
    const char *account, *account_id, *endpoint, *stream, *consumer;
    bool https;
    const char *base; /* scheme://endpoint, in the trigger's arena */
};
struct memory {
    char leader[NAME_BYTES], base[NAME_BYTES]; /* the server that led at the last poll, and where it is asked */
};
struct node {
    const char *name, *base; /* name: NULL where it is not known yet */
    const char *says;        /* who leads, as it knows; NULL: it does not know the consumer, or did not answer */
    double value;            /* of the consumer, as it knows: right if it leads itself */
};
struct backlog {
    bool found;
    double value;
    const char *leader;
};
struct walk {
    struct node nodes[NODES_MAX];
    size_t count;
    struct error error; /* of a node that could not be asked */
};

#define PARAM_STRUCT struct nats
static const struct param params[] = {
    {"natsServerMonitoringEndpoint", PARAM_TEXT(endpoint), .from = "AM", .required = true,
     .help = "host:port of a server's monitoring port, without http://"},
    {"account", PARAM_TEXT(account), .from = "AM", .help = "name of the account, $G where there are none"},
    {"accountID", PARAM_TEXT(account_id), .from = "AM", .help = "its id, where that is another than its name"},
    {"stream", PARAM_TEXT(stream), .required = true, .help = "name of the stream"},
    {"consumer", PARAM_TEXT(consumer), .required = true, .help = "name of the durable consumer"},
    {"lagThreshold", PARAM_WHOLE(common.target), .role = ROLE_TARGET, .fallback = "10",
     .help = "messages one replica should carry"},
    {"activationLagThreshold", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"useHttps", PARAM_BOOL(https), .fallback = "false", .help = "speak TLS to the monitoring port"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct nats *c = config;

    if (c->endpoint)
        c->base = arena_printf(check_arena(check), "http%s://%s", c->https ? "s" : "", c->endpoint);
    if (c->endpoint && strstr(c->endpoint, "://"))
        check_warning(check, "natsServerMonitoringEndpoint", "leave the http:// out; useHttps: \"true\" means https",
                      "natsServerMonitoringEndpoint is host:port, not an address: every poll fails");
    if (!c->account_id)
        c->account_id = c->account;
    if (!c->account_id && !check_unknown(check, "account") && !check_unknown(check, "accountID"))
        return check_error(check, "account", "write account: $G where the server has no accounts",
                           "there is neither an account nor an accountID");
    return true;
}

static bool destination(const void *config, char *out, size_t size)
{
    const struct nats *c = config;

    return c->base && url_destination(c->base, out, size);
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct nats *c = config;

    (void)input;
    text_printf(out, "nats-jetstream-%s", c->stream ? c->stream : "");
}

/* ------------------------------------------------------------------ reading /jsz */

static const struct tree *first_of(const struct tree *map, const char *list)
{
    const struct tree *node = tree_get_fold(map, list);

    return node && node->type == TREE_LIST ? node->first : NULL;
}

static bool take_consumer(const struct tree *consumer, struct backlog *out)
{
    int64_t pending, unacknowledged;
    enum member one = member_integer(consumer, "num_pending", &pending);
    enum member two = member_integer(consumer, "num_ack_pending", &unacknowledged);

    if (one == MEMBER_WRONG || two == MEMBER_WRONG || (one == MEMBER_ABSENT && two == MEMBER_ABSENT))
        return false;
    out->found = true;
    out->value = (double)pending + (double)unacknowledged;
    out->leader = member_text(tree_get_fold(consumer, "cluster"), "leader");
    return true;
}

/* false: what is there cannot be read. Not found is no failure here: another server may know. */
static bool find_backlog(const struct nats *c, const struct tree *answer, struct backlog *out)
{
    *out = (struct backlog){.found = false, .leader = ""};
    for (const struct tree *account = first_of(answer, "account_details"); account; account = account->next) {
        if (!string_equal(member_text(account, "id"), c->account_id) &&
            !string_equal(member_text(account, "name"), c->account))
            continue;
        for (const struct tree *stream = first_of(account, "stream_detail"); stream; stream = stream->next) {
            if (strcmp(member_text(stream, "name"), c->stream) != 0)
                continue;
            for (const struct tree *consumer = first_of(stream, "consumer_detail"); consumer; consumer = consumer->next)
                if (strcmp(member_text(consumer, "name"), c->consumer) == 0)
                    return take_consumer(consumer, out);
        }
    }
    return true;
}

static struct request *jsz(const struct nats *c, struct poll *poll, const char *base)
{
    struct request *r = request_get(poll, base, "/jsz");

    request_query(r, "acc", c->account_id);
    request_query(r, "config", "true");
    request_query(r, "consumers", "true");
    return r;
}

static bool nonsense(struct error *err)
{
    return error_set(err, ERROR_NONSENSE, "the answer is not what NATS' monitoring port gives at /jsz");
}

static enum poll_next not_there(const struct nats *c, struct poll *poll)
{
    return poll_fail(poll, ERROR_NONSENSE,
                     "account %.60s has no consumer %.60s on a stream %.60s; check all three names (nats consumer ls)",
                     c->account_id, c->consumer, c->stream);
}

/* ------------------------------------------------------------------ in a cluster: who leads */

static void each_leader(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);
    struct node *node = &walk->nodes[reply->index];
    struct backlog backlog;

    if (reply->failed) {
        walk->error = reply->error;
    } else if (!find_backlog(config, reply->json, &backlog)) {
        nonsense(&walk->error);
    } else if (backlog.found) {
        node->says = arena_copy(poll_arena(poll), backlog.leader);
        node->value = backlog.value;
    }
}

static size_t votes_for(const struct walk *walk, const char *name)
{
    size_t votes = 0;

    for (size_t i = 0; i < walk->count; i++)
        votes += string_equal(walk->nodes[i].says, name);
    return votes;
}

/* Of those that say so themselves the one that most servers name; NULL: nobody does, or as many name another. A server may be listed
   under several addresses. */
static const struct node *leader_of(const struct walk *walk, bool *even)
{
    const struct node *best = NULL;
    size_t most = 0;

    *even = false;
    for (size_t i = 0; i < walk->count; i++) {
        const struct node *node = &walk->nodes[i];
        size_t votes = node->name && string_equal(node->says, node->name) ? votes_for(walk, node->name) : 0;

        if (votes == 0 || votes < most || (best && strcmp(best->name, node->name) == 0))
            continue;
        *even = votes == most;
        most = votes;
        best = node;
    }
    return *even ? NULL : best;
}

static enum poll_next no_leader(const struct nats *c, struct poll *poll, bool even)
{
    const struct walk *walk = poll_scratch(poll);

    if (even)
        return poll_fail(poll, ERROR_NONSENSE,
                         "two servers say that they lead consumer %.60s of stream %.60s: its leader is changing",
                         c->consumer, c->stream);
    if (walk->error.kind != ERROR_NONE)
        return poll_fail_with(poll, &walk->error);
    return poll_fail(poll, ERROR_NONSENSE,
                     "none of the %zu servers leads consumer %.60s of stream %.60s; check the names", walk->count,
                     c->consumer, c->stream);
}

static enum poll_next on_leaders(const void *config, struct poll *poll, const struct reply *none)
{
    struct memory *memory = poll_memory(poll);
    bool even;
    const struct node *leader = leader_of(poll_scratch(poll), &even);

    (void)none;
    if (!leader)
        return no_leader(config, poll, even);
    snprintf(memory->leader, sizeof(memory->leader), "%s", leader->name);
    if ((size_t)snprintf(memory->base, sizeof(memory->base), "%s", leader->base) >= sizeof(memory->base))
        memory->base[0] = '\0';
    return poll_value(poll, leader->value);
}

static enum poll_next ask_leaders(const struct nats *c, struct poll *poll)
{
    struct walk *walk = poll_scratch(poll);
    struct request *requests[NODES_MAX];

    for (size_t i = 0; i < walk->count; i++)
        requests[i] = jsz(c, poll, walk->nodes[i].base);
    return poll_send_all(poll, requests, walk->count, each_leader, on_leaders);
}

static void each_name(const void *config, struct poll *poll, const struct reply *reply)
{
    struct walk *walk = poll_scratch(poll);

    (void)config;
    if (reply->failed)
        walk->error = reply->error;
    else
        walk->nodes[reply->index].name = arena_copy(poll_arena(poll), member_text(reply->json, "server_name"));
}

static enum poll_next on_names(const void *config, struct poll *poll, const struct reply *none)
{
    (void)none;
    return ask_leaders(config, poll);
}

/* "10.0.0.1:4222" and "[v6]:4222" give the host; the monitoring port and scheme are the same on every server. */
static const char *advertised_base(const struct nats *c, struct arena *arena, const char *url)
{
    const char *host = strstr(url, "://") ? strstr(url, "://") + 3 : url,
               *bracket = *host == '[' ? strchr(host, ']') : NULL;
    size_t length = bracket ? (size_t)(bracket - host) + 1 : strcspn(host, ":/");
    const char *port = strrchr(c->endpoint, ':');

    if (port && strchr(port, ']'))
        port = NULL;
    return arena_printf(arena, "http%s://%.*s%.*s", c->https ? "s" : "", (int)length, host,
                        port ? (int)strcspn(port, "/") : 0, port ? port : "");
}

/* Nodes that do not say where they are reached: pods of a headless Service, named as the first label of their own URL. */
static const char *pod_base(const struct nats *c, struct arena *arena, const char *name)
{
    return arena_printf(arena, "http%s://%s.%s", c->https ? "s" : "", name, c->endpoint);
}

static enum poll_next on_nodes(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct nats *c = config;
    struct walk *walk = poll_scratch(poll);
    struct arena *arena = poll_arena(poll);
    const struct tree *url = first_of(reply->json, "connect_urls");
    bool advertised = url != NULL;
    struct request *requests[NODES_MAX];

    if (!advertised)
        url = first_of(tree_get_fold(reply->json, "cluster"), "urls");
    for (; url; url = url->next) {
        const char *text = tree_string(url);
        const char *name = text ? arena_copy_bytes(arena, text, strcspn(text, ".")) : "";

        if (!text || !*text)
            return poll_fail(poll, ERROR_NONSENSE, "the server's list of the cluster's nodes is not one of addresses");
        if (walk->count == NODES_MAX)
            return poll_fail(poll, ERROR_LIMIT, "the cluster has more than %d servers (NODES_MAX)", NODES_MAX);
        walk->nodes[walk->count++] = advertised ? (struct node){.base = advertised_base(c, arena, text)}
                                                : (struct node){.name = name, .base = pod_base(c, arena, name)};
    }
    if (walk->count == 0)
        return poll_fail(poll, ERROR_NONSENSE, "the server is one of a cluster and names no other nodes");
    if (!advertised)
        return ask_leaders(c, poll);
    for (size_t i = 0; i < walk->count; i++)
        requests[i] = request_get(poll, walk->nodes[i].base, "/varz");
    return poll_send_all(poll, requests, walk->count, each_name, on_names);
}

/* ------------------------------------------------------------------ the first answers */

static enum poll_next on_first(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct nats *c = config;
    struct backlog backlog;
    struct error err;
    int64_t size;

    if (reply->json->type != TREE_MAP || !find_backlog(c, reply->json, &backlog) ||
        member_integer(tree_get_fold(reply->json, "meta_cluster"), "cluster_size", &size) == MEMBER_WRONG) {
        nonsense(&err);
        return poll_fail_with(poll, &err);
    }
    if (size > 1)
        return poll_send(poll, request_get(poll, c->base, "/varz"), on_nodes);
    return backlog.found ? poll_value(poll, backlog.value) : not_there(c, poll);
}

/* Where it is down, or another one leads now: from the start. */
static enum poll_next on_remembered(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct nats *c = config;
    struct memory *memory = poll_memory(poll);
    struct backlog backlog;

    if (!reply->failed && find_backlog(c, reply->json, &backlog) && backlog.found &&
        strcmp(backlog.leader, memory->leader) == 0)
        return poll_value(poll, backlog.value);
    memory->base[0] = '\0';
    return poll_send(poll, jsz(c, poll, c->base), on_first);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct nats *c = config;
    const struct memory *memory = poll_memory(poll);
    struct request *request = jsz(c, poll, memory->base[0] ? arena_copy(poll_arena(poll), memory->base) : c->base);

    (void)none;
    if (memory->base[0])
        return poll_try(poll, request, on_remembered);
    return poll_send(poll, request, on_first);
}

TRIGGER(nats_jetstream) = {
    .type = "nats-jetstream",
    .summary = "messages a NATS JetStream consumer has before it",
    .about =
        "Messages of the stream that the consumer has not been given yet, and those given and not acknowledged. In a "
        "cluster "
        "they are asked of the server that leads the consumer. A stream or consumer that does not exist is a failure.",
    .example = "metadata:\n"
               "  natsServerMonitoringEndpoint: nats.nats.svc:8222\n"
               "  account: $G\n"
               "  stream: ORDERS\n"
               "  consumer: worker\n"
               "  lagThreshold: \"100\"\n",
    .locally = "apt-get install nats-server             # and nats: go install github.com/nats-io/natscli/nats@latest\n"
               "nats-server -a 127.0.0.1 -js -m 8222 &\n"
               "nats stream add ORDERS --subjects 'orders.>' --defaults\n"
               "nats consumer add ORDERS worker --pull --defaults && nats pub orders.new hello --count 3\n"
               "weir probe orders.yaml   # natsServerMonitoringEndpoint: localhost:8222\n",
    .params = params,
    .config_size = sizeof(struct nats),
    .memory_size = sizeof(struct memory),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .poll = ask,
};

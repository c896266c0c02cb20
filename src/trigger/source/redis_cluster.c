/*
 * redis-cluster, redis-cluster-streams: as redis and redis-streams, at the node that has the key. Facts:
 * triggers/redis-cluster.md, redis-cluster-streams.md.
 *
 *     the node that had it last, else a seed -> the question -> answer
 *         ^                                        \--MOVED, ASK--> that node: the question from its beginning
 *         \--- lost: forget it, next seed
 *
 * A trigger has one key, and a key has one slot: so no map of all slots is kept, but for each trigger the node that answered last.
 * Any node says with MOVED where a key is; to the node that ASK names the question goes with ASKING, and only this once.
 */
#include "trigger/family/redis_talk.h"

#include <string.h>

#include "base/arena.h"
#include "base/atom.h"

enum { REDIRECTS_MAX = 3 };

struct search {
    struct redis_place talk; /* first: redis_talk.c's */
    redis_ask *question;
};
struct memory { /* the node that has the key; host: an atom, or NULL */
    struct redis_node node;
};

#define PARAM_STRUCT struct redis_list
static const struct param list_params[] = {
    REDIS_ADDRESS_PARAMS("host:port of some nodes; asked one after the other until one answers"),
    REDIS_ACCESS_PARAMS,
    {"databaseIndex", PARAM_INTEGER(server.database), .fallback = "0",
     .help = "without effect: a cluster has database 0"},
    REDIS_LIST_PARAMS,
    {0},
};
#undef PARAM_STRUCT
#define PARAM_STRUCT struct redis_stream
static const struct param stream_params[] = {
    REDIS_ADDRESS_PARAMS("host:port of some nodes; asked one after the other until one answers"),
    REDIS_ACCESS_PARAMS,
    {"databaseIndex", PARAM_INTEGER(server.database), .fallback = "0",
     .help = "without effect: a cluster has database 0"},
    REDIS_STREAM_PARAMS,
    {0},
};
#undef PARAM_STRUCT

static void remember(struct memory *memory, const struct redis_node *node)
{
    const char *host = node ? atom_ref(node->host) : NULL; /* before the old one goes: it may be the same */

    atom_unref(memory->node.host);
    memory->node = (struct redis_node){host, node ? node->port : 0};
}

static void forget(void *memory)
{
    remember(memory, NULL);
}

static enum poll_next open_node(const struct redis *c, struct poll *poll, const struct redis_node *node)
{
    const struct search *place = poll_scratch(poll);
    const struct redis_greeting greeting = {.username = c->username, .password = c->password};

    return redis_open(c, poll, node, &greeting, redis_patience_ms(c->node_count), place->question);
}

static enum poll_next open_seed(const struct redis *c, struct poll *poll, const struct error *why)
{
    struct search *place = poll_scratch(poll);

    if (c->node_count == 0)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port to ask");
    if (place->talk.tried == c->node_count)
        return poll_fail_with(poll, why);
    return open_node(c, poll, &c->nodes[place->talk.tried++]);
}

static enum poll_next lost(const void *config, struct poll *poll, const struct error *why)
{
    struct search *place = poll_scratch(poll);

    remember(poll_memory(poll), NULL);
    place->talk.asking = false;
    return open_seed(config, poll, why);
}

/* "MOVED 3999 127.0.0.1:6381"; without a host it is that of the node just asked. */
static bool read_redirect(const struct resp *answer, struct poll *poll, struct redis_node *node)
{
    const struct search *place = poll_scratch(poll);
    const char *address = strrchr(answer->text, ' '), *colon = address ? strrchr(address, ':') : NULL;

    if (!colon)
        return false;
    address++;
    *node = redis_node_read(poll_arena(poll), address, 0);
    if (colon == address || (*address == '?' && colon == address + 1))
        node->host = place->talk.node.host;
    return node->port > 0;
}

static enum poll_next on_error(const void *config, struct poll *poll, const struct resp *answer)
{
    struct search *place = poll_scratch(poll);
    bool moved = resp_is_error(answer, "MOVED"), ask = resp_is_error(answer, "ASK");
    struct redis_node node;

    if (!moved && !ask)
        return talk_more(poll);
    if (!read_redirect(answer, poll, &node))
        return poll_fail(poll, ERROR_NONSENSE, "Redis sends us elsewhere, but not where: %.120s", answer->text);
    if (++place->talk.redirects > REDIRECTS_MAX)
        return poll_fail(poll, ERROR_UNREACHABLE, "the nodes of the cluster send us round: %.120s", answer->text);
    talk_keep(poll);
    if (moved)
        remember(poll_memory(poll), &node);
    place->talk.asking = ask;
    return open_node(config, poll, &node);
}

static enum poll_next begin(const struct redis *c, struct poll *poll, redis_ask *question)
{
    struct search *place = poll_scratch(poll);
    const struct memory *memory = poll_memory(poll);
    struct redis_node known;

    place->question = question;
    place->talk.on_error = on_error;
    if (!memory->node.host)
        return open_seed(c, poll, NULL);
    known = (struct redis_node){arena_copy(poll_arena(poll), memory->node.host), memory->node.port};
    return open_node(c, poll, &known);
}

static enum poll_next talk_list(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return bytes ? redis_hear(config, poll, bytes, length) : begin(config, poll, redis_ask_length);
}

static enum poll_next talk_stream(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return bytes ? redis_hear(config, poll, bytes, length) : begin(config, poll, redis_ask_stream);
}

#define LOCALLY                                                                                                        \
    "for port in 7001 7002 7003; do\n"                                                                                 \
    "  redis-server --port $port --cluster-enabled yes --cluster-config-file /tmp/nodes-$port.conf --daemonize yes\n"  \
    "done\n"                                                                                                           \
    "redis-cli --cluster create 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003 --cluster-yes\n"

TRIGGER(redis_cluster) = {
    .type = "redis-cluster",
    .summary = "elements of a list, set, sorted set or hash in a Redis Cluster",
    .about = "The number of elements under one key, as redis has it, at the node of the cluster that has the key. A "
             "key that is not there "
             "counts as 0; a slot that nobody serves is a failure.",
    .example = "metadata:\n"
               "  addresses: redis-0.shop.svc:6379,redis-1.shop.svc:6379,redis-2.shop.svc:6379\n"
               "  listName: orders\n"
               "  listLength: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n",
    .locally = LOCALLY "redis-cli -c -p 7001 RPUSH orders a b c\n"
                       "weir probe orders.yaml   # addresses: localhost:7001, without authenticationRef\n",
    .params = list_params,
    .config_size = sizeof(struct redis_list),
    .scratch_size = sizeof(struct search),
    .memory_size = sizeof(struct memory),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_list,
    .metric_name = redis_list_name,
    .destinations = redis_destinations,
    .forget = forget,
    .talk = talk_list,
    .lost = lost,
};

TRIGGER(redis_cluster_streams) = {
    .type = "redis-cluster-streams",
    .summary = "entries of a stream in a Redis Cluster: its length, what is pending, or a group's lag",
    .about = "Length, pending entries or lag of a stream, as redis-streams has them, at the node of the cluster that "
             "has the stream. A slot "
             "that nobody serves is a failure.",
    .example = "metadata:\n"
               "  addresses: redis-0.shop.svc:6379,redis-1.shop.svc:6379,redis-2.shop.svc:6379\n"
               "  stream: orders\n"
               "  consumerGroup: workers\n"
               "  lagCount: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n",
    .locally = LOCALLY "redis-cli -c -p 7001 XGROUP CREATE orders workers 0 MKSTREAM\n"
                       "redis-cli -c -p 7001 XADD orders '*' order 1\n"
                       "weir probe orders.yaml   # addresses: localhost:7001, without authenticationRef\n",
    .params = stream_params,
    .config_size = sizeof(struct redis_stream),
    .scratch_size = sizeof(struct search),
    .memory_size = sizeof(struct memory),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_stream,
    .metric_name = redis_stream_name,
    .target = redis_stream_target,
    .destinations = redis_destinations,
    .forget = forget,
    .talk = talk_stream,
    .lost = lost,
};

/*
 * redis-sentinel, redis-sentinel-streams: as redis and redis-streams, at the master that Sentinel names. Facts:
 * triggers/redis-sentinel.md, redis-sentinel-streams.md.
 *
 *     ask_sentinel -> SENTINEL get-master-addr-by-name -> on_master -> the master: redis_talk.c's questions
 *         ^--- next sentinel: lost, refused, or does not know the name ---/
 *
 * Sentinel is asked at every poll, on a connection that is kept: so a failover is followed at once, without a subscription. The one
 * that answered last is asked first.
 */
#include "trigger/family/redis_talk.h"

#include "base/arena.h"

struct search {
    struct redis_place talk; /* first: redis_talk.c's */
    redis_ask *question;     /* for the master */
    bool at_master;
    struct error first; /* what the first sentinel that did not help had to say */
};
struct memory {
    size_t sentinel; /* which answered last */
};

#define PARAM_STRUCT struct redis_list
static const struct param list_params[] = {
    REDIS_ADDRESS_PARAMS("host:port of the sentinels; asked one after the other until one answers"),
    REDIS_SENTINEL_PARAMS,
    REDIS_ACCESS_PARAMS,
    REDIS_DATABASE_PARAM,
    REDIS_LIST_PARAMS,
    {0},
};
#undef PARAM_STRUCT
#define PARAM_STRUCT struct redis_stream
static const struct param stream_params[] = {
    REDIS_ADDRESS_PARAMS("host:port of the sentinels; asked one after the other until one answers"),
    REDIS_SENTINEL_PARAMS,
    REDIS_ACCESS_PARAMS,
    REDIS_DATABASE_PARAM,
    REDIS_STREAM_PARAMS,
    {0},
};
#undef PARAM_STRUCT

static enum poll_next ask_master(const void *config, struct poll *poll);

static enum poll_next ask_sentinel(const struct redis *c, struct poll *poll)
{
    struct search *place = poll_scratch(poll);
    const struct memory *memory = poll_memory(poll);
    const struct redis_greeting greeting = {.username = c->sentinel_username, .password = c->sentinel_password};
    size_t next = (memory->sentinel + place->talk.tried) % (c->node_count > 0 ? c->node_count : 1);

    if (c->node_count == 0)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port of a sentinel to ask");
    if (place->talk.tried == c->node_count)
        return poll_fail_with(poll, &place->first);
    place->talk.tried++;
    return redis_open(c, poll, &c->nodes[next], &greeting, redis_patience_ms(c->node_count), ask_master);
}

/* Others may know better. The first one's words are kept, unless it was only out of reach and another one says more. */
static enum poll_next try_another(const struct redis *c, struct poll *poll, const struct error *why)
{
    struct search *place = poll_scratch(poll);

    if (place->first.kind == ERROR_NONE || (place->first.kind == ERROR_UNREACHABLE && why->kind != ERROR_UNREACHABLE))
        place->first = *why;
    return ask_sentinel(c, poll);
}

static enum poll_next lost(const void *config, struct poll *poll, const struct error *why)
{
    struct search *place = poll_scratch(poll);
    struct error reason;

    if (!place->at_master)
        return try_another(config, poll, why);
    error_set(&reason, why->kind, "the master that Sentinel names: %.300s", why->text);
    return poll_fail_with(poll, &reason);
}

static enum poll_next on_master(const void *config, struct poll *poll, const struct resp *answer)
{
    const struct redis *c = config;
    struct search *place = poll_scratch(poll);
    struct memory *memory = poll_memory(poll);
    const struct resp *host = answer->type == RESP_LIST ? answer->first : NULL, *port = host ? host->next : NULL;
    const struct redis_greeting greeting = redis_greeting_of(c);
    struct redis_node node;
    struct error why;

    talk_keep(poll); /* before it is left for the master or another sentinel */
    if (answer->type == RESP_ERROR) {
        error_set(&why, redis_kind(answer), "Sentinel says: %.120s", answer->text);
        return try_another(c, poll, &why);
    }
    if (!port || host->type != RESP_TEXT || port->type != RESP_TEXT) {
        error_set(&why, ERROR_NONSENSE, "Sentinel knows no master named \"%.60s\"; check sentinelMaster",
                  c->master ? c->master : "");
        return try_another(c, poll, &why);
    }
    node = redis_node_read(poll_arena(poll), arena_printf(poll_arena(poll), "[%s]:%s", host->text, port->text), 0);
    memory->sentinel = (memory->sentinel + place->talk.tried - 1) % c->node_count;
    place->at_master = true;
    return redis_open(c, poll, &node, &greeting, 0, place->question);
}

static enum poll_next ask_master(const void *config, struct poll *poll)
{
    const struct redis *c = config;

    return redis_say(poll, on_master, "SENTINEL", "get-master-addr-by-name", c->master ? c->master : "");
}

/* At Sentinel a refused greeting, too, is a reason to ask another one. */
static enum poll_next on_refused(const void *config, struct poll *poll, const struct resp *answer)
{
    const struct search *place = poll_scratch(poll);
    struct error why;

    if (place->at_master || place->talk.greetings == 0)
        return talk_more(poll);
    error_set(&why, redis_kind(answer), "Sentinel refuses us: %.120s", answer->text);
    return try_another(config, poll, &why);
}

static enum poll_next begin(const void *config, struct poll *poll, redis_ask *question)
{
    struct search *place = poll_scratch(poll);

    place->question = question;
    place->talk.on_error = on_refused;
    return ask_sentinel(config, poll);
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
    "redis-server --port 6379 --daemonize yes\n"                                                                       \
    "printf 'port 26379\\nsentinel monitor mymaster 127.0.0.1 6379 1\\n' > /tmp/sentinel.conf\n"                       \
    "redis-server /tmp/sentinel.conf --sentinel --daemonize yes\n"

TRIGGER(redis_sentinel) = {
    .type = "redis-sentinel",
    .summary = "elements of a Redis list, set, sorted set or hash, at the master that Sentinel names",
    .about = "The number of elements under one key, as redis has it, at the master that Sentinel names at the moment. "
             "A key that is not "
             "there counts as 0; no sentinel that answers, or a master none of them knows, is a failure.",
    .example = "metadata:\n"
               "  addresses: sentinel-0.shop.svc:26379,sentinel-1.shop.svc:26379\n"
               "  sentinelMaster: mymaster\n"
               "  listName: orders\n"
               "  listLength: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n"
               "  sentinelPassword: secret\n",
    .locally = LOCALLY "redis-cli RPUSH orders a b c\n"
                       "weir probe orders.yaml   # addresses: localhost:26379, without authenticationRef\n",
    .params = list_params,
    .config_size = sizeof(struct redis_list),
    .scratch_size = sizeof(struct search),
    .memory_size = sizeof(struct memory),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_list,
    .metric_name = redis_list_name,
    .destinations = redis_destinations,
    .talk = talk_list,
    .lost = lost,
};

TRIGGER(redis_sentinel_streams) = {
    .type = "redis-sentinel-streams",
    .summary = "entries of a Redis stream, at the master that Sentinel names",
    .about = "Length, pending entries or lag of a stream, as redis-streams has them, at the master that Sentinel names "
             "at the moment. No "
             "sentinel that answers, or a master none of them knows, is a failure.",
    .example = "metadata:\n"
               "  addresses: sentinel-0.shop.svc:26379,sentinel-1.shop.svc:26379\n"
               "  sentinelMaster: mymaster\n"
               "  stream: orders\n"
               "  consumerGroup: workers\n"
               "  lagCount: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n"
               "  sentinelPassword: secret\n",
    .locally = LOCALLY "redis-cli XGROUP CREATE orders workers 0 MKSTREAM\n"
                       "redis-cli XADD orders '*' order 1\n"
                       "weir probe orders.yaml   # addresses: localhost:26379, without authenticationRef\n",
    .params = stream_params,
    .config_size = sizeof(struct redis_stream),
    .scratch_size = sizeof(struct search),
    .memory_size = sizeof(struct memory),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_stream,
    .metric_name = redis_stream_name,
    .target = redis_stream_target,
    .destinations = redis_destinations,
    .talk = talk_stream,
    .lost = lost,
};

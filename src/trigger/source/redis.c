/*
 * redis, redis-streams: the length of a list, set, sorted set or hash; entries of a stream. Facts: triggers/redis.md,
 * redis-streams.md. How it is asked is redis_talk.c's; the relatives that find their server by Sentinel or in a cluster
 * differ only in how they connect.
 */
#include "trigger/family/redis_talk.h"

#define PARAM_STRUCT struct redis_list
static const struct param list_params[] = {
    REDIS_ADDRESS_PARAMS("host:port; only the first of several counts"),
    REDIS_ACCESS_PARAMS,
    REDIS_DATABASE_PARAM,
    REDIS_LIST_PARAMS,
    {0},
};
#undef PARAM_STRUCT
#define PARAM_STRUCT struct redis_stream
static const struct param stream_params[] = {
    REDIS_ADDRESS_PARAMS("host:port; only the first of several counts"),
    REDIS_ACCESS_PARAMS,
    REDIS_DATABASE_PARAM,
    REDIS_STREAM_PARAMS,
    {0},
};
#undef PARAM_STRUCT

static enum poll_next connect(const struct redis *c, struct poll *poll, redis_ask *ask)
{
    struct redis_greeting greeting = redis_greeting_of(c);

    if (c->node_count == 0)
        return poll_fail(poll, ERROR_INVALID, "there is no host:port to ask");
    return redis_open(c, poll, &c->nodes[0], &greeting, 0, ask);
}

static enum poll_next talk_list(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return bytes ? redis_hear(config, poll, bytes, length) : connect(config, poll, redis_ask_length);
}

static enum poll_next talk_stream(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    return bytes ? redis_hear(config, poll, bytes, length) : connect(config, poll, redis_ask_stream);
}

TRIGGER(redis) = {
    .type = "redis",
    .summary = "elements of a Redis list, set, sorted set or hash",
    .about = "The number of elements under one key: a list, a set, a sorted set or a hash. A key that is not there "
             "counts as 0, as "
             "Redis itself takes an empty list away; any other type of key is a failure.",
    .example = "metadata:\n"
               "  address: redis.shop.svc:6379\n"
               "  listName: orders\n"
               "  listLength: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n",
    .locally = "redis-server --port 6379 --daemonize yes\n"
               "redis-cli RPUSH orders a b c\n"
               "weir probe orders.yaml   # address: localhost:6379, without authenticationRef\n",
    .params = list_params,
    .config_size = sizeof(struct redis_list),
    .scratch_size = sizeof(struct redis_place),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_list,
    .metric_name = redis_list_name,
    .destinations = redis_destinations,
    .talk = talk_list,
};

TRIGGER(redis_streams) = {
    .type = "redis-streams",
    .summary = "entries of a Redis stream: its length, what is pending, or a group's lag",
    .about = "Without consumerGroup the number of entries of the stream; with it those delivered and not yet "
             "acknowledged; with lagCount, "
             "too, those not yet delivered (Redis 7). A stream that is not there counts as 0, a group that is not "
             "there is a failure "
             "where its pending entries are asked for. There is no value while Redis cannot tell the lag, because "
             "entries were deleted.",
    .example = "metadata:\n"
               "  address: redis.shop.svc:6379\n"
               "  stream: orders\n"
               "  consumerGroup: workers\n"
               "  lagCount: \"10\"\n"
               "authentication:          # a TriggerAuthentication's secretTargetRef\n"
               "  password: secret\n",
    .locally = "redis-server --port 6379 --daemonize yes\n"
               "redis-cli XGROUP CREATE orders workers 0 MKSTREAM\n"
               "redis-cli XADD orders '*' order 1\n"
               "weir probe orders.yaml   # address: localhost:6379, without authenticationRef\n",
    .params = stream_params,
    .config_size = sizeof(struct redis_stream),
    .scratch_size = sizeof(struct redis_place),
    .session_size = sizeof(struct redis_session),
    .prepare = redis_prepare_stream,
    .metric_name = redis_stream_name,
    .target = redis_stream_target,
    .destinations = redis_destinations,
    .talk = talk_stream,
};

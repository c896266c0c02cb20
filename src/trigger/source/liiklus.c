/*
 * liiklus: the lag of a consumer group behind a topic, over the gRPC interface of Liiklus (triggers/liiklus.md). A partition's lag is what
 * its end is ahead of the position the group has committed:
 *
 *     GetOffsets --> positions by partition --> GetEndOffsets --> ends by partition --> sum of the differences
 *
 * Never more is asked for than one replica a partition, because the others would have nothing to read. A group that is ahead of the end
 * (the topic was made anew) has no lag; in unsigned numbers it would have nearly endless one.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/wire.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

enum { PARTITIONS_MAX = 100 * 1000, CALL_TIMEOUT_MS = 10 * 1000 };

struct liiklus {
    struct trigger_config common;
    const char *address, *topic, *group;
    int64_t group_version, lag_threshold;
};

#define PARAM_STRUCT struct liiklus
static const struct param params[] = {
    {"address", PARAM_TEXT(address), .required = true, .help = "of Liiklus, host:port"},
    {"topic", PARAM_TEXT(topic), .required = true, .question = true, .help = "the topic"},
    {"group", PARAM_TEXT(group), .required = true, .question = true, .help = "the consumer group"},
    {"groupVersion", PARAM_INTEGER(group_version), .fallback = "0", .question = true, .help = "its version"},
    {"lagThreshold", PARAM_INTEGER(lag_threshold), .fallback = "10", .question = true,
     .help = "lag one replica should carry; no more than so much a partition counts"},
    {"activationLagThreshold", PARAM_WHOLE(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct liiklus *c = config;

    c->common.target = (double)c->lag_threshold;
    if (c->lag_threshold < 1)
        return check_error(check, "lagThreshold", "write the lag one replica should carry",
                           "lagThreshold has to be 1 or more, not %lld", (long long)c->lag_threshold);
    if (c->group_version < 0 || c->group_version > UINT32_MAX)
        return check_error(check, "groupVersion", "write a number from 0 on", "groupVersion is no version");
    check_warning(check, "address", "kafka reads the same lag from the brokers themselves",
                  "KEDA has announced that it will remove liiklus");
    return grpc_check_address(check, "address", c->address);
}

static void target(const void *config, struct trigger_metric *metric)
{
    metric->target = (double)((const struct liiklus *)config)->lag_threshold;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    (void)input;
    text_printf(out, "liiklus-%s", ((const struct liiklus *)config)->topic);
}

static bool destination(const void *config, char *out, size_t size)
{
    return grpc_destination(((const struct liiklus *)config)->address, out, size);
}

/* ------------------------------------------------------------------ maps of offsets */

struct offset {
    uint64_t partition, at;
};
struct walk { /* of a poll, in its scratch */
    struct offset *committed;
    size_t committed_count;
};

static bool read_offset(const struct wire_field *in, struct offset *out)
{
    struct wire_reader reader = {in->bytes, in->bytes + in->length, false};
    struct wire_field field;

    *out = (struct offset){0};
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT)
            out->partition = field.value;
        else if (field.number == 2 && field.type == WIRE_VARINT)
            out->at = field.value;
    }
    return !reader.broken;
}

/* Both answers are map<uint32 partition, uint64 offset> = 1. false: it is none, or one without bound. */
static bool read_offsets(const struct reply *reply, struct arena *arena, struct offset **out, size_t *count)
{
    const uint8_t *bytes = (const uint8_t *)reply->body;
    struct wire_reader reader = {bytes, bytes + reply->length, false};
    struct wire_field field;
    size_t room = reply->length / 2 + 1; /* an entry has two bytes at least */

    *count = 0;
    *out = arena_array(arena, room < PARTITIONS_MAX ? room : PARTITIONS_MAX, sizeof(**out));
    while (wire_next(&reader, &field)) {
        if (field.number != 1 || field.type != WIRE_BYTES)
            continue;
        if (*count == PARTITIONS_MAX || !read_offset(&field, &(*out)[*count]))
            return false;
        ++*count;
    }
    return !reader.broken;
}

static int by_partition(const void *a, const void *b)
{
    uint64_t one = ((const struct offset *)a)->partition, other = ((const struct offset *)b)->partition;

    return one < other ? -1 : one > other;
}

static uint64_t committed_at(const struct walk *walk, const struct offset *end)
{
    const struct offset *found =
        bsearch(end, walk->committed, walk->committed_count, sizeof(*walk->committed), by_partition);

    return found ? found->at : 0;
}

/* ------------------------------------------------------------------ a poll */

static enum poll_next on_ends(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct liiklus *c = config;
    const struct walk *walk = poll_scratch(poll);
    struct offset *ends;
    size_t count;
    double lag = 0, threshold = (double)c->lag_threshold;

    if (!read_offsets(reply, poll_arena(poll), &ends, &count))
        return poll_fail(poll, ERROR_NONSENSE, "the answer to GetEndOffsets cannot be read");
    for (size_t i = 0; i < count; i++) {
        uint64_t committed = committed_at(walk, &ends[i]);

        lag += ends[i].at > committed ? (double)(ends[i].at - committed) : 0;
    }
    if (floor(lag / threshold) > (double)count)
        lag = threshold * (double)count;
    return poll_value(poll, lag);
}

static struct request *call(const struct liiklus *c, struct poll *poll, const char *method, struct text *message)
{
    struct request *request = grpc_request(poll, &(struct grpc_peer){.address = c->address}, method, message);

    request_timeout(request, CALL_TIMEOUT_MS);
    return request;
}

static enum poll_next on_committed(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct liiklus *c = config;
    struct walk *walk = poll_scratch(poll);
    struct text message;

    if (!read_offsets(reply, poll_arena(poll), &walk->committed, &walk->committed_count))
        return poll_fail(poll, ERROR_NONSENSE, "the answer to GetOffsets cannot be read");
    qsort(walk->committed, walk->committed_count, sizeof(*walk->committed), by_partition);
    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    wire_text(&message, 1, c->topic);
    return poll_send(poll, call(c, poll, "/com.github.bsideup.liiklus.LiiklusService/GetEndOffsets", &message),
                     on_ends);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct liiklus *c = config;
    struct text message;

    (void)none;
    text_init(&message, GRPC_REQUEST_MAX_BYTES);
    wire_text(&message, 1, c->topic);
    wire_text(&message, 2, c->group);
    if (c->group_version > 0)
        wire_varint(&message, 3, (uint64_t)c->group_version);
    return poll_send(poll, call(c, poll, "/com.github.bsideup.liiklus.LiiklusService/GetOffsets", &message),
                     on_committed);
}

TRIGGER(liiklus) = {
    .type = "liiklus",
    .summary = "lag of a consumer group, asked of Liiklus (KEDA will remove it)",
    .about = "The value is the sum over the topic's partitions of what the end is ahead of the group's committed "
             "position; a partition the "
             "group never read counts whole. No more than lagThreshold for each partition counts, so there are never "
             "more replicas than "
             "partitions. A topic without partitions has lag 0.",
    .example = "metadata:\n"
               "  address: liiklus.shop.svc:6565\n"
               "  topic: orders\n"
               "  group: billing\n"
               "  lagThreshold: \"50\"",
    .locally = "docker run -p 6565:6565 bsideup/liiklus      # with its storages configured\n"
               "weir probe scaledobject.yaml",
    .params = params,
    .config_size = sizeof(struct liiklus),
    .scratch_size = sizeof(struct walk),
    .prepare = prepare,
    .metric_name = metric_name,
    .target = target,
    .destination = destination,
    .poll = ask,
};

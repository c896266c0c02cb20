/*
 * temporal: see temporal.h. Facts: triggers/temporal.md.
 */
#include "trigger/family/temporal.h"

#include <string.h>

#include "base/text.h"
#include "base/wire.h"
#include "trigger/grpc.h"

enum { VERSION_CURRENT = 2, VERSION_RAMPING = 3, VERSION_DRAINING = 4 };

/* ------------------------------------------------------------------ questions */

/* Every request begins with the namespace. */
static void begin(const struct temporal *c, struct text *message)
{
    wire_text(message, 1, c->ns);
}

void temporal_write_version(const struct temporal *c, struct text *message)
{
    size_t version;

    begin(c, message);
    version = wire_begin(message, 3);
    wire_text(message, 1, c->deployment_build);
    wire_text(message, 2, c->deployment);
    wire_end(message, version);
    wire_varint(message, 4, true); /* with figures */
}

void temporal_write_builds(const struct temporal *c, struct text *message)
{
    size_t part;

    begin(c, message);
    part = wire_begin(message, 2);
    wire_text(message, 1, c->queue);
    wire_end(message, part);
    wire_varint(message, 5, 1); /* the enhanced form of the answer */
    part = wire_begin(message, 6);
    wire_text(message, 1, c->build_id ? c->build_id : "");
    wire_varint(message, 2, c->unversioned);
    wire_varint(message, 3, c->all_active);
    wire_end(message, part);
    for (unsigned type = TEMPORAL_WORKFLOW; type < TEMPORAL_TYPES; type++)
        if (c->types & 1u << type)
            wire_varint(message, 7, type);
    wire_varint(message, 8, true); /* with figures */
}

void temporal_write_type(const struct temporal *c, enum temporal_type type, struct text *message)
{
    size_t queue;

    begin(c, message);
    queue = wire_begin(message, 2);
    wire_text(message, 1, c->queue);
    wire_varint(message, 2, 1); /* a queue by its plain name */
    wire_end(message, queue);
    wire_varint(message, 3, type);
    wire_varint(message, 8, true); /* with figures */
}

void temporal_count_query(const void *config, struct text *out)
{
    const struct temporal *c = config;

    text_printf(out, "ExecutionStatus = 'Running' AND TaskQueue = '%s'", c->count_queue ? c->count_queue : c->queue);
    if (c->deployment)
        text_printf(out, " AND TemporalWorkerDeploymentVersion = '%s:%s'", c->deployment, c->deployment_build);
    else if (!c->build_id && !c->all_active && !c->unversioned)
        text_add(out, " AND TemporalWorkerDeploymentVersion is null");
}

void temporal_write_count(const struct temporal *c, struct text *message)
{
    struct text query;

    text_init(&query, GRPC_REQUEST_MAX_BYTES);
    temporal_count_query(c, &query);
    begin(c, message);
    wire_text(message, 2, query.bytes);
    text_done(&query);
}

/* ------------------------------------------------------------------ answers */

/* Fields of a message one after the other, of those that are asked for. */
struct fields {
    struct wire_reader reader;
    struct wire_field at;
};

static struct fields fields_of(const void *bytes, size_t length)
{
    return (struct fields){.reader = {bytes, (const uint8_t *)bytes + length, false}};
}

static struct fields fields_in(const struct wire_field *message)
{
    return fields_of(message->bytes, message->length);
}

static bool next_message(struct fields *fields, unsigned number)
{
    while (wire_next(&fields->reader, &fields->at))
        if (fields->at.number == number && fields->at.type == WIRE_BYTES)
            return true;
    return false;
}

static uint64_t number_in(struct fields message, unsigned number, bool *broken)
{
    uint64_t value = 0;

    while (wire_next(&message.reader, &message.at))
        if (message.at.number == number && message.at.type == WIRE_VARINT)
            value = message.at.value;
    *broken |= message.reader.broken;
    return value;
}

/* Of the TaskQueueStats in field `number` of a message; without them 0. */
static double backlog_in(struct fields message, unsigned number, bool *broken)
{
    double backlog = 0;

    while (next_message(&message, number))
        backlog = (double)(int64_t)number_in(fields_in(&message.at), 1, broken);
    *broken |= message.reader.broken;
    return backlog;
}

static bool is_our_queue(const struct temporal *c, const struct wire_field *queue, bool *broken)
{
    struct fields name = fields_in(queue);
    uint64_t type = number_in(name, 2, broken);

    return next_message(&name, 1) && name.at.length == strlen(c->queue) &&
           memcmp(name.at.bytes, c->queue, name.at.length) == 0 && type < TEMPORAL_TYPES && (c->types & 1u << type);
}

bool temporal_read_version(const struct temporal *c, const void *bytes, size_t length, struct temporal_version *out)
{
    struct fields info = fields_of(bytes, length), queues = info;
    uint64_t status = 0;
    bool broken = false;

    *out = (struct temporal_version){.backlog = 0};
    while (next_message(&queues, 2))
        if (is_our_queue(c, &queues.at, &broken))
            out->backlog += backlog_in(fields_in(&queues.at), 3, &broken);
    while (next_message(&info, 1))
        status = number_in(fields_in(&info.at), 14, &broken);
    out->serves = status == VERSION_CURRENT || status == VERSION_RAMPING;
    out->is_draining = status == VERSION_DRAINING;
    return !broken && !queues.reader.broken && !info.reader.broken;
}

/* Of one entry of the map of versions: types by number, each with figures. */
static double version_backlog(const struct wire_field *entry, bool *broken)
{
    struct fields info = fields_in(entry);
    double backlog = 0;

    while (next_message(&info, 2)) {
        struct fields types = fields_in(&info.at);

        while (next_message(&types, 1)) {
            struct fields type = fields_in(&types.at);

            while (next_message(&type, 2))
                backlog += backlog_in(fields_in(&type.at), 2, broken);
            *broken |= type.reader.broken;
        }
        *broken |= types.reader.broken;
    }
    *broken |= info.reader.broken;
    return backlog;
}

bool temporal_read_builds(const void *bytes, size_t length, double *backlog, bool *too_old)
{
    struct fields versions = fields_of(bytes, length), pollers = versions, status = versions;
    bool broken = false, any = false;

    *backlog = 0;
    while (next_message(&versions, 3)) {
        any = true;
        *backlog += version_backlog(&versions.at, &broken);
    }
    *too_old = !any && (next_message(&pollers, 1) || next_message(&status, 2));
    return !broken && !versions.reader.broken;
}

bool temporal_read_type(const void *bytes, size_t length, double *backlog)
{
    bool broken = false;

    *backlog = backlog_in(fields_of(bytes, length), 5, &broken);
    return !broken;
}

bool temporal_read_count(const void *bytes, size_t length, uint64_t *count)
{
    bool broken = false;

    *count = number_in(fields_of(bytes, length), 1, &broken);
    return !broken;
}

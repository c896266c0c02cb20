/* message: see message.h. */
#include "export/message.h"

#include <math.h>
#include <string.h>

#include "base/wire.h"

static uint64_t nanoseconds(int64_t at_ms)
{
    return at_ms > 0 ? (uint64_t)at_ms * 1000 * 1000 : 0;
}

static void add_all(struct text *out, const struct text *part)
{
    if (part)
        text_append(out, part->bytes, part->length);
}

/* ------------------------------------------------------------------ attributes */

enum { VALUE_TEXT = 1, VALUE_BOOL = 2, VALUE_INTEGER = 3, VALUE_DOUBLE = 4 }; /* of AnyValue */

struct value_marks {
    size_t pair, value;
};

static struct value_marks begin_value(struct text *out, unsigned number, const char *key)
{
    struct value_marks marks = {.pair = wire_begin(out, number)};

    wire_text(out, 1, key);
    marks.value = wire_begin(out, 2);
    return marks;
}

static void end_value(struct text *out, struct value_marks marks)
{
    wire_end(out, marks.value);
    wire_end(out, marks.pair);
}

void attribute_text(struct text *out, unsigned number, const char *key, const char *value)
{
    struct value_marks marks;

    if (!value || !*value)
        return;
    marks = begin_value(out, number, key);
    wire_text(out, VALUE_TEXT, value);
    end_value(out, marks);
}

void attribute_integer(struct text *out, unsigned number, const char *key, int64_t value)
{
    struct value_marks marks = begin_value(out, number, key);

    wire_varint(out, VALUE_INTEGER, (uint64_t)value);
    end_value(out, marks);
}

void attribute_double(struct text *out, unsigned number, const char *key, double value)
{
    struct value_marks marks = begin_value(out, number, key);

    wire_double(out, VALUE_DOUBLE, value);
    end_value(out, marks);
}

void attribute_bool(struct text *out, unsigned number, const char *key, bool value)
{
    struct value_marks marks = begin_value(out, number, key);

    wire_varint(out, VALUE_BOOL, value);
    end_value(out, marks);
}

/* ------------------------------------------------------------------ metrics */

enum { CUMULATIVE = 2 };

static size_t begin_point(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms)
{
    size_t point = wire_begin(points, 1);

    add_all(points, attributes);
    if (since_ms > 0)
        wire_fixed64(points, 2, nanoseconds(since_ms));
    wire_fixed64(points, 3, nanoseconds(at_ms));
    return point;
}

void message_point_double(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                          double value)
{
    size_t point = begin_point(points, attributes, since_ms, at_ms);

    wire_double(points, 4, value);
    wire_end(points, point);
}

void message_point_integer(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                           int64_t value)
{
    size_t point = begin_point(points, attributes, since_ms, at_ms);

    wire_fixed64(points, 6, (uint64_t)value);
    wire_end(points, point);
}

static void add_packed(struct text *out, unsigned field, const void *values, size_t count)
{
    size_t mark = wire_begin(out, field);

    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        char bytes[8];

        memcpy(&bits, (const char *)values + i * sizeof(bits), sizeof(bits));
        for (int b = 0; b < 8; b++)
            bytes[b] = (char)(bits >> 8 * b);
        text_append(out, bytes, sizeof(bytes));
    }
    wire_end(out, mark);
}

void message_point_histogram(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                             double sum, const uint64_t *counts, const double *bounds, size_t bound_count)
{
    size_t point = begin_point(points, attributes, since_ms, at_ms);
    uint64_t count = 0;

    for (size_t i = 0; i <= bound_count; i++)
        count += counts[i];
    wire_fixed64(points, 4, count);
    wire_double(points, 5, sum);
    add_packed(points, 6, counts, bound_count + 1);
    add_packed(points, 7, bounds, bound_count);
    wire_end(points, point);
}

void message_metric(struct text *metrics, const char *name, const char *unit, const char *help, enum metric_shape shape,
                    const struct text *points)
{
    static const unsigned fields[] = {
        [METRIC_GAUGE] = 5, [METRIC_COUNTER] = 7, [METRIC_UP_DOWN] = 7, [METRIC_HISTOGRAM] = 9};
    size_t metric, data;

    if (points->length == 0)
        return;
    metric = wire_begin(metrics, 2);
    wire_text(metrics, 1, name);
    wire_text(metrics, 2, help);
    if (*unit)
        wire_text(metrics, 3, unit);
    data = wire_begin(metrics, fields[shape]);
    add_all(metrics, points);
    if (shape != METRIC_GAUGE)
        wire_varint(metrics, 2, CUMULATIVE);
    if (shape == METRIC_COUNTER)
        wire_varint(metrics, 3, true);
    wire_end(metrics, data);
    wire_end(metrics, metric);
}

/* ------------------------------------------------------------------ log records */

enum { TRACE_SAMPLED = 1 };

void message_log(struct text *records, const struct message_log *log)
{
    size_t record = wire_begin(records, 2), body;

    wire_fixed64(records, 1, nanoseconds(log->at_ms));
    wire_varint(records, 2, (uint64_t)log->severity);
    wire_text(records, 3, log->severity >= SEVERITY_WARN ? "WARN" : "INFO");
    body = wire_begin(records, 5);
    wire_text(records, VALUE_TEXT, log->body);
    wire_end(records, body);
    add_all(records, log->attributes);
    if (log->trace_id) {
        wire_fixed32(records, 8, TRACE_SAMPLED);
        wire_bytes(records, 9, log->trace_id, TRACE_ID_BYTES);
        wire_bytes(records, 10, log->span_id, SPAN_ID_BYTES);
    }
    wire_fixed64(records, 11, nanoseconds(log->seen_at_ms));
    wire_text(records, 12, log->event_name);
    wire_end(records, record);
}

/* ------------------------------------------------------------------ spans */

enum { STATUS_ERROR = 2 };

static void add_status(struct text *spans, const char *error)
{
    size_t status = wire_begin(spans, 15);

    wire_text(spans, 2, error);
    wire_varint(spans, 3, STATUS_ERROR);
    wire_end(spans, status);
}

void message_span(struct text *spans, const struct message_span *span)
{
    size_t mark = wire_begin(spans, 2);

    wire_bytes(spans, 1, span->trace_id, TRACE_ID_BYTES);
    wire_bytes(spans, 2, span->span_id, SPAN_ID_BYTES);
    if (span->parent_id)
        wire_bytes(spans, 4, span->parent_id, SPAN_ID_BYTES);
    wire_text(spans, 5, span->name);
    wire_varint(spans, 6, span->kind);
    wire_fixed64(spans, 7, nanoseconds(span->start_at_ms));
    wire_fixed64(spans, 8, nanoseconds(span->end_at_ms));
    add_all(spans, span->attributes);
    add_all(spans, span->events);
    if (span->error)
        add_status(spans, span->error);
    wire_fixed32(spans, 16, TRACE_SAMPLED);
    wire_end(spans, mark);
}

void message_span_event(struct text *events, int64_t at_ms, const char *name, const struct text *attributes)
{
    size_t mark = wire_begin(events, 11);

    wire_fixed64(events, 1, nanoseconds(at_ms));
    wire_text(events, 2, name);
    add_all(events, attributes);
    wire_end(events, mark);
}

/* ------------------------------------------------------------------ the whole */

void message_request(struct text *out, const struct text *resource, const struct message_scope *scope,
                     const char *parts, size_t length)
{
    size_t of_resource = wire_begin(out, 1), of_scope, mark;

    wire_bytes(out, 1, resource->bytes, resource->length);
    of_scope = wire_begin(out, 2);
    mark = wire_begin(out, 1);
    wire_text(out, 1, scope->name);
    wire_text(out, 2, scope->version);
    wire_end(out, mark);
    text_append(out, parts, length);
    wire_end(out, of_scope);
    wire_end(out, of_resource);
}

size_t message_overhead(const struct text *resource, const struct message_scope *scope)
{
    enum { FRAMES = 6, FRAME_BYTES = 11 }; /* a key of one byte and a length each */

    return resource->length + strlen(scope->name) + strlen(scope->version) + FRAMES * FRAME_BYTES;
}

/* ------------------------------------------------------------------ answers */

/* One line of plain text, cut where it is too long. */
static void take_words(const struct wire_field *field, char *out, size_t size)
{
    size_t length = field->length < size - 1 ? field->length : size - 1;

    memcpy(out, field->bytes, length);
    length = utf8_valid_prefix(out, length);
    out[length] = 0;
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
}

static bool read_partial(const struct wire_field *message, int64_t *rejected, char *why, size_t why_size)
{
    struct wire_reader in = {message->bytes, message->bytes + message->length, false};
    struct wire_field field;

    while (wire_next(&in, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT)
            *rejected = (int64_t)field.value;
        else if (field.number == 2 && field.type == WIRE_BYTES)
            take_words(&field, why, why_size);
    }
    return !in.broken;
}

bool message_read_partial(const char *bytes, size_t length, int64_t *rejected, char *why, size_t why_size)
{
    struct wire_reader in = {(const uint8_t *)bytes, (const uint8_t *)bytes + length, false};
    struct wire_field field;

    *rejected = 0;
    *why = 0;
    while (wire_next(&in, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES && !read_partial(&field, rejected, why, why_size))
            return false;
    }
    return !in.broken;
}

bool message_read_status(const char *bytes, size_t length, char *why, size_t why_size)
{
    struct wire_reader in = {(const uint8_t *)bytes, (const uint8_t *)bytes + length, false};
    struct wire_field field;

    *why = 0;
    while (wire_next(&in, &field)) {
        if (field.number == 2 && field.type == WIRE_BYTES)
            take_words(&field, why, why_size);
    }
    return !in.broken && *why;
}

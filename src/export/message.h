/*
 * message: OTLP's messages, as far as Weir sends and reads them. The numbers are those of opentelemetry-proto 1.x; tests read what is
 * written here with the definitions of that project.
 *
 *     struct text points, request;
 *     message_point(&points, &(struct message_point){.attributes = &attributes, .value = 3, ...});
 *     message_metric(&metrics, &metric, &points);
 *     message_request(&request, &resource, scope, &metrics);     -- the same shape for metrics, log records and spans
 *
 * Pure. Instants are ms; on the wire they are ns.
 */
#ifndef WEIR_EXPORT_MESSAGE_H
#define WEIR_EXPORT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

/* ---- attributes: each a field `number` of the message at hand; a text NULL or "" is left out ---- */
void attribute_text(struct text *out, unsigned number, const char *key, const char *value);
void attribute_integer(struct text *out, unsigned number, const char *key, int64_t value);
void attribute_double(struct text *out, unsigned number, const char *key, double value);
void attribute_bool(struct text *out, unsigned number, const char *key, bool value);
/* Where attributes stand. */
enum {
    ATTRIBUTES_OF_RESOURCE = 1,
    ATTRIBUTES_OF_POINT = 7,
    ATTRIBUTES_OF_HISTOGRAM_POINT = 9,
    ATTRIBUTES_OF_LOG = 6,
    ATTRIBUTES_OF_SPAN = 9,
    ATTRIBUTES_OF_SPAN_EVENT = 3,
};

/* ---- metrics ---- */
enum metric_shape {
    METRIC_GAUGE,
    METRIC_COUNTER /* only grows */,
    METRIC_UP_DOWN /* a sum that may fall */,
    METRIC_HISTOGRAM
};
/* attributes: encoded, may be shared by many points; NULL: none. since_ms: from when a sum or histogram counts, 0: a gauge. */
void message_point_double(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                          double value);
void message_point_integer(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                           int64_t value);
/* counts: one more than bounds. */
void message_point_histogram(struct text *points, const struct text *attributes, int64_t since_ms, int64_t at_ms,
                             double sum, const uint64_t *counts, const double *bounds, size_t bound_count);
/* Appends a metric with these points; nothing where there are none. */
void message_metric(struct text *metrics, const char *name, const char *unit, const char *help, enum metric_shape shape,
                    const struct text *points);

/* ---- log records ---- */
enum { SEVERITY_INFO = 9, SEVERITY_WARN = 13 };
struct message_log {
    int64_t at_ms, seen_at_ms;
    int severity;
    const char *body, *event_name;
    const struct text *attributes;
    const uint8_t *trace_id, *span_id; /* NULL: it belongs to no trace that is sent */
};
void message_log(struct text *records, const struct message_log *log);

/* ---- spans ---- */
enum span_kind { SPAN_INTERNAL = 1, SPAN_CLIENT = 3 };
struct message_span {
    const uint8_t *trace_id, *span_id, *parent_id; /* parent NULL: it is the root */
    const char *name;
    enum span_kind kind;
    int64_t start_at_ms, end_at_ms;
    const struct text *attributes, *events; /* encoded; NULL: none */
    const char *error;                      /* what went wrong; NULL: nothing */
};
void message_span(struct text *spans, const struct message_span *span);
void message_span_event(struct text *events, int64_t at_ms, const char *name, const struct text *attributes);

/* ---- the whole: parts are metrics, log records or spans ---- */
struct message_scope {
    const char *name, *version;
};
void message_request(struct text *out, const struct text *resource, const struct message_scope *scope,
                     const char *parts, size_t length);
/* How many bytes the whole has more than its parts, at most. */
size_t message_overhead(const struct text *resource, const struct message_scope *scope);

/* ---- answers ---- */
/* Of an Export...ServiceResponse: how many parts were refused, and why ("" where not said). false: it cannot be read. */
bool message_read_partial(const char *bytes, size_t length, int64_t *rejected, char *why, size_t why_size);
/* Of a google.rpc.Status, the body of a refusal. false: there is no message in it. */
bool message_read_status(const char *bytes, size_t length, char *why, size_t why_size);

#endif

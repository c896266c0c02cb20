/*
 * cloud_event: what happened, as a CloudEvent. The types, the source, the subject and the data are KEDA's (keda-operator/07 6), so that
 * what receives them today goes on; made once for each event, and shared by all who wait for it.
 *
 * Other than KEDA's: the id is that of the event and not of an attempt, so that a receiver can tell what it has had already; and the
 * time is when it happened, not when it was sent.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "export/export_internal.h"

/* Reasons of events of keda-operator/07 5 marked E. The two kinds of authentication say an update in the same words. */
static const struct {
    const char *kind, *reason, *type;
} types[] = {
    {"ScaledObject", "ScaledObjectReady", "keda.scaledobject.ready.v1"},
    {"ScaledObject", "ScaledObjectCheckFailed", "keda.scaledobject.failed.v1"},
    {"ScaledObject", "ScaledObjectUpdateFailed", "keda.scaledobject.failed.v1"},
    {"ScaledObject", "ScaledObjectDeleted", "keda.scaledobject.removed.v1"},
    {"ScaledObject", "ScaledObjectPaused", "keda.scaledobject.paused.v1"},
    {"ScaledObject", "ScaledObjectUnpaused", "keda.scaledobject.unpaused.v1"},
    {"ScaledJob", "ScaledJobReady", "keda.scaledjob.ready.v1"},
    {"ScaledJob", "ScaledJobCheckFailed", "keda.scaledjob.failed.v1"},
    {"ScaledJob", "ScaledJobUpdateFailed", "keda.scaledjob.failed.v1"},
    {"ScaledJob", "ScaledJobDeleted", "keda.scaledjob.removed.v1"},
    {"ScaledJob", "ScaledJobPaused", "keda.scaledjob.paused.v1"},
    {"ScaledJob", "ScaledJobUnpaused", "keda.scaledjob.unpaused.v1"},
    {"ScaledJob", "ScaledJobRolloutCleanupStarted", "keda.scaledjob.rolloutcleanup.started.v1"},
    {"ScaledJob", "ScaledJobRolloutCleanupCompleted", "keda.scaledjob.rolloutcleanup.completed.v1"},
    {"ScaledJob", "ScaledJobRolloutCleanupFailed", "keda.scaledjob.rolloutcleanup.failed.v1"},
    {"TriggerAuthentication", "TriggerAuthenticationAdded", "keda.authentication.triggerauthentication.created.v1"},
    {"TriggerAuthentication", "ClusterTriggerAuthenticationUpdated",
     "keda.authentication.triggerauthentication.updated.v1"},
    {"TriggerAuthentication", "TriggerAuthenticationDeleted", "keda.authentication.triggerauthentication.removed.v1"},
    {"ClusterTriggerAuthentication", "ClusterTriggerAuthenticationAdded",
     "keda.authentication.clustertriggerauthentication.created.v1"},
    {"ClusterTriggerAuthentication", "ClusterTriggerAuthenticationUpdated",
     "keda.authentication.clustertriggerauthentication.updated.v1"},
    {"ClusterTriggerAuthentication", "ClusterTriggerAuthenticationDeleted",
     "keda.authentication.clustertriggerauthentication.removed.v1"},
};

const char *cloud_event_type(const char *kind, const char *reason)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].reason, reason) == 0 && strcmp(types[i].kind, kind) == 0)
            return types[i].type;
    }
    return NULL;
}

/* ------------------------------------------------------------------ one event */

static char *lower_case(const char *text)
{
    char *copy = mem_copy(text);

    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

/* A message is cut where it is longer than one that explains; the receiver is no place for a log. */
static char *cut_message(const char *text)
{
    size_t length = strlen(text);
    char *copy = mem_copy(text);

    if (length > EVENT_MESSAGE_MAX_BYTES)
        copy[utf8_valid_prefix(copy, EVENT_MESSAGE_MAX_BYTES)] = 0;
    return copy;
}

static void write_uuid(char out[37])
{
    uint8_t b[16];

    random_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

struct cloud_event *cloud_event_new(const struct autoscaler_event *event, const char *type)
{
    struct cloud_event *e = mem_alloc(sizeof(*e));

    e->references = 1;
    write_uuid(e->id);
    e->type = type;
    e->ns = mem_copy(event->ns);
    e->kind = lower_case(event->kind);
    e->name = lower_case(event->name);
    e->reason = mem_copy(event->reason);
    e->message = cut_message(event->text);
    e->at_ms = event->at_ms;
    return e;
}

struct cloud_event *cloud_event_ref(struct cloud_event *event)
{
    event->references++;
    return event;
}

void cloud_event_unref(struct cloud_event *event)
{
    if (!event || --event->references > 0)
        return;
    free(event->ns);
    free(event->kind);
    free(event->name);
    free(event->reason);
    free(event->message);
    free(event);
}

/* ------------------------------------------------------------------ as it is sent */

void cloud_event_write_body(const struct cloud_event *event, struct text *out)
{
    text_add(out, "{\"reason\":");
    text_add_json_string(out, event->reason, strlen(event->reason));
    text_add(out, ",\"message\":");
    text_add_json_string(out, event->message, strlen(event->message));
    text_add_char(out, '}');
}

/* The HTTP binding of CloudEvents 1.0, 3.1.3.2: blanks, quotes, percent signs and all that is not printable ASCII. */
static void add_escaped(struct text *out, const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '%')
            text_printf(out, "%%%02X", *c);
        else
            text_add_char(out, (char)*c);
    }
}

void cloud_event_write_source(const char *cluster, const char *own_ns, struct text *out)
{
    text_add_char(out, '/');
    add_escaped(out, cluster);
    text_add_char(out, '/');
    add_escaped(out, own_ns);
    text_add(out, "/keda");
}

void cloud_event_write_subject(const struct cloud_event *event, const char *cluster, struct text *out)
{
    const char *const parts[] = {cluster, event->ns, event->kind, event->name};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        text_add_char(out, '/');
        add_escaped(out, parts[i]);
    }
}

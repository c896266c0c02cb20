/*
 * export_internal: what the files of this room share.
 *
 *     export.c         made, ended, who listens, /metrics
 *   OpenTelemetry
 *     config.c         what to send where: flags, and the environment that SDKs read
 *     sender.c         one signal's queue, batches, retries
 *     collect.c        metrics: a walk over the objects in small steps
 *     story.c          decisions as log records and traces
 *     message.c        OTLP's messages       wire.c  the bytes they are made of
 *   CloudEvents
 *     sources.c        CloudEventSources: which event goes to whom
 *     sink.c           one receiver's queue, retries
 *     cloud_event.c    what happened -> an event
 *   both
 *     pause.c          how long until it is tried again; random bytes
 */
#ifndef WEIR_EXPORT_INTERNAL_H
#define WEIR_EXPORT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autoscaler/autoscaler.h"
#include "base/text.h"
#include "export/export.h"
#include "net/transport.h"

struct arena;
struct event_source;

/* ---- pause.c ---- */
/* After so many failures in a row: from EXPORT_PAUSE_MIN_MS doubling to max_ms, a fifth more or less; the other side may ask for more. */
int64_t pause_ms(int failures, int64_t max_ms, int64_t asked_ms);
/* What Retry-After asks for, seconds or a date, RETRY_AFTER_MAX_MS at most; 0: nothing. */
int64_t pause_asked_ms(const struct http_reply *reply, int64_t now_ms);
void random_bytes(void *out, size_t length);

/* ---- config.c ---- */
enum otlp_signal { OTLP_METRICS, OTLP_LOGS, OTLP_TRACES, OTLP_SIGNALS };
struct otlp_target { /* where one signal goes; url NULL: it is not sent */
    const char *url;
    struct http_header *headers; /* values are secrets: they hold tokens */
    size_t header_count;
    const struct tls_identity *tls; /* NULL: nothing special */
    bool gzip;
    int64_t timeout_ms;
    int64_t delay_ms; /* how long what is there may wait for more */
    size_t queue_max, batch_max;
};
struct otlp_config {
    struct arena *arena; /* all texts are in it */
    struct otlp_target targets[OTLP_SIGNALS];
    int64_t interval_ms;  /* of metrics */
    double trace_ratio;   /* 0..1 of the traces are sent */
    struct text resource; /* encoded attributes */
};
/* false: a variable or an option is wrong. *out is NULL where nothing is to be sent. */
bool otlp_config_read(const struct export_options *options, struct otlp_config **out, struct error *err);
void otlp_config_free(struct otlp_config *config); /* NULL is fine */
const char *otlp_signal_name(enum otlp_signal signal);

/* ---- sender.c ---- */
struct sender;
struct sender_parts { /* borrowed for its life */
    struct loop *loop;
    struct transport *transport;
    const struct otlp_target *target;
    const struct text *resource;
    const char *signal; /* "metrics" */
    const char *scope;
};
struct sender *sender_new(const struct sender_parts *parts);
void sender_free(struct sender *sender); /* what waits is lost; NULL is fine */
/* bytes: whole fields of a Scope... message; items: how many metrics, records or spans are in them. Copied. */
void sender_add(struct sender *sender, const char *bytes, size_t length, size_t items);
/* What is not on its way yet is of no use any more: newer metrics come. */
void sender_forget(struct sender *sender);
void sender_hurry(struct sender *sender); /* waits for nothing from now on but for the other side */
bool sender_is_idle(const struct sender *sender);
struct sender_stats {
    uint64_t sent, dropped, rejected, failures; /* items, but failures: attempts */
    size_t queued, queued_bytes;
};
void sender_stats(const struct sender *sender, struct sender_stats *out);

/* ---- collect.c ---- */
struct collect;
struct collect *collect_new(const struct export_parts *parts, const struct otlp_config *config, struct sender *sender);
void collect_free(struct collect *collect); /* NULL is fine */
void collect_now(struct collect *collect);  /* the last time: at once, in one go */
/* keda.cloudeventsource.*, which others count. */
struct sources;
void collect_sources(struct collect *collect, const struct sources *sources);

/* ---- story.c ---- */
struct story;
/* Each sender may be NULL. */
struct story *story_new(const struct export_parts *parts, const struct otlp_config *config, struct sender *logs,
                        struct sender *traces);
void story_free(struct story *story); /* NULL is fine */
void story_decided(struct story *story, const struct autoscaler_decided *decided);
void story_written(struct story *story, const char *key, const struct error *err);
void story_gone(struct story *story, const char *key);
void story_finish(struct story *story);                        /* tells what it has begun, as far as it is known */
uint64_t story_dropped(const struct story *story, bool spans); /* before they came to a sender */

/* ---- cloud_event.c ---- */
struct cloud_event { /* counted: it may wait for several receivers */
    int references;
    char id[37]; /* a UUID */
    const char *type;
    char *ns, *kind, *name, *reason, *message; /* kind in lower case, and name in the subject */
    int64_t at_ms;
};
/* The type of CloudEvent a reason stands for; NULL: none is made of it. */
const char *cloud_event_type(const char *kind, const char *reason);
struct cloud_event *cloud_event_new(const struct autoscaler_event *event, const char *type);
struct cloud_event *cloud_event_ref(struct cloud_event *event);
void cloud_event_unref(struct cloud_event *event);
void cloud_event_write_body(const struct cloud_event *event, struct text *out);
/* "/<cluster>/<ns>/keda"; a value of a header, escaped as the HTTP binding has it. */
void cloud_event_write_source(const char *cluster, const char *own_ns, struct text *out);
void cloud_event_write_subject(const struct cloud_event *event, const char *cluster, struct text *out);

/* ---- sink.c ---- */
struct sink;
struct sink_options { /* copied, but for the parts */
    struct loop *loop;
    struct transport *transport;
    const char *url, *cluster, *own_ns;
    const char *ns; /* of the source, for egress rules; NULL: of the cluster. Not copied */
    /* It works, or it does not and why: at the first try and at each change. */
    void (*told)(void *arg, bool works, const char *why);
    /* May it try now? false: `sink_go` is called when its turn has come. left: its turn is over. */
    bool (*enter)(void *arg, struct sink *sink);
    void (*left)(void *arg, struct sink *sink);
    void (*counted)(void *arg, const char *ns, bool emitted); /* an attempt ended */
    void *arg;
};
struct sink *sink_new(const struct sink_options *options);
void sink_free(struct sink *sink);                                         /* NULL is fine */
void sink_change(struct sink *sink, const char *url, const char *cluster); /* what waits goes there now, and soon */
void sink_add(struct sink *sink, struct cloud_event *event);
void sink_go(struct sink *sink);
void sink_hurry(struct sink *sink);
bool sink_is_idle(const struct sink *sink);
uint64_t sink_dropped(const struct sink *sink);
/* Each event that waits. */
void sink_each(const struct sink *sink, void (*each)(void *arg, const struct cloud_event *event), void *arg);
struct sink **sink_place_in_line(struct sink *sink); /* for who lets them in: the next one waiting */

/* ---- sources.c ---- */
struct sources *sources_new(const struct export_parts *parts, const struct export_options *options);
void sources_free(struct sources *sources); /* NULL is fine */
void sources_event(struct sources *sources, const struct autoscaler_event *event);
void sources_hurry(struct sources *sources);
bool sources_are_idle(const struct sources *sources);
void sources_write_metrics(const struct sources *sources, struct text *out);
struct source_count { /* of one source and the namespace of the objects that events were about */
    const char *ns, *source;
    uint64_t emitted, failed;
};
void sources_each_count(const struct sources *sources, void (*each)(void *arg, const struct source_count *count),
                        void *arg);
void sources_each_queued(const struct sources *sources, void (*each)(void *arg, const char *ns, size_t count),
                         void *arg);
void sources_each(const struct sources *sources, void (*each)(void *arg, const char *ns), void *arg);

#endif

/*
 * trigger: one question to one source of metrics, and the engine that asks it. For callers; sources include driver.h.
 *
 *     struct trigger_metric metric;
 *     trigger_build(&input, report, &trigger, &metric)          -- parameters checked, nothing asked yet
 *     trigger_poll(engine, trigger, on_sample, slot);           -- completes exactly once, later
 *
 * A trigger is immutable and counted. Two with the same type, parameters (target and activation apart) and credentials are the
 * same pointer within an engine: one question, asked once for all who need it. A poll in flight holds a reference.
 * What a poll ends with is a sample: ok, missing or failed, and never anything else (DESIGN.md 3.5).
 */
#ifndef WEIR_TRIGGER_TRIGGER_H
#define WEIR_TRIGGER_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "base/report.h"
#include "decide/decide.h"
#include "series/series.h"

struct credential;
struct credential_store;
struct loop;
struct platform;
struct target_key;
struct text;
struct transport;
struct tree;

struct trigger;
struct trigger_engine;
struct trigger_poll;

/* ---- building ---- */
struct trigger_input {
    const char *type, *name;             /* name: NULL if it has none */
    int index;                           /* position in spec.triggers */
    size_t metric;                       /* which of trigger_metrics() */
    const struct tree *metadata;         /* map of strings */
    const struct credential *credential; /* what the TriggerAuthentication gave; NULL: none */
    bool credential_unknown;             /* lint: named but not at hand, so what it would supply is not missed */
    /* The value of a variable of the scale target's container, or NULL. env NULL: not at hand (lint). */
    const char *(*env)(void *arg, const char *name);
    void *env_arg;
    const char *metric_type; /* as written, or NULL */
    bool as_metric_source;   /* the object has scaling modifiers: a target of its own is not required */
    bool scaled_job;
    bool direct; /* direct or observe mode: negative values count, no rounding to 0.001 */
    const char *ns, *object_name;
    const struct target_key *target; /* scale target, for triggers that look at its replicas */
    int64_t interval_ms;             /* how often it will be asked */
    struct place place;              /* of the trigger, for findings */
    const char *object, *field;      /* "ScaledObject shop/checkout", "spec.triggers[1]" */
};
struct trigger_metric {
    const char *name; /* "s0-prometheus"; an atom, unref by trigger_metric_done */
    enum metric_kind kind;
    enum target_type target_type;
    double target, activation; /* target 0: none */
    const char *container;     /* cpu and memory: an atom, or NULL */
};
/* false: the report has errors. engine may be NULL (lint): then nothing is shared. */
bool trigger_build(struct trigger_engine *engine, const struct trigger_input *input, struct report *report,
                   struct trigger **out, struct trigger_metric *metric);
void trigger_metric_done(struct trigger_metric *metric);
/* How many metrics a trigger of this type with these parameters has: as many as it names targets above 0 (solace); else 1. Each is
   built as a trigger of its own. */
size_t trigger_metrics(const char *type, const struct tree *metadata);
/* Takes the "s<index>-" off a metric's name, as the external metrics API must; false: it has another prefix, or none. */
bool trigger_metric_strip(int index, const char *metric_name, const char **name);
struct trigger *trigger_ref(struct trigger *trigger);
void trigger_unref(struct trigger *trigger);
const char *trigger_destination(const struct trigger *trigger); /* "host:port", or "" */
/* Every host that its parameters make it connect to: all servers of a list, the one asked first first, and where tokens are had from.
   One may be told twice. host: without brackets, as it is written; port 0: not said, or host is the path of a Unix socket. What
   servers name when they are asked (redirects, the members of a cluster) is not among them. */
typedef void trigger_destination_each(void *arg, const char *host, int port);
void trigger_destinations(const struct trigger *trigger, trigger_destination_each *each, void *arg);
/* Equal questions have equal numbers; from run to run too, unless a secret is part of the question. */
uint64_t trigger_identity(const struct trigger *trigger);
bool trigger_is_resource(const struct trigger *trigger); /* cpu, memory: never polled */
size_t trigger_bytes(const struct trigger *trigger);
/* What it makes of an answer without a value, for types that know ignoreNullValues as KEDA's Prometheus-like ones do. */
enum trigger_nulls { NULLS_UNKNOWN /* the type has no such parameter */, NULLS_IGNORED, NULLS_FAIL };
enum trigger_nulls trigger_nulls(const struct trigger *trigger);
/* A place for whoever schedules its polls (autoscaler/ask.c); NULL at first. Not part of what the trigger is. */
void **trigger_place(struct trigger *trigger);

/* ---- what is built in, and what the names of the 78 types are ---- */
struct trigger_driver;
enum trigger_support { TRIGGER_BUILT_IN, TRIGGER_KNOWN /* KEDA's, not built in yet */, TRIGGER_UNKNOWN };
enum trigger_support trigger_support(const char *type);
const char *const *trigger_types(size_t *count); /* all known names, sorted */
const char *trigger_nearest_type(const char *type);
/* What KEDA calls the scaler of that type where a trigger has no name ("prometheusScaler"); a type it does not know is its own. */
const char *trigger_scaler_name(const char *type);
/* For `weir triggers TYPE` and docs/triggers/TYPE.md: all that its driver says of itself, in words (markdown or plain text). */
bool trigger_describe(const char *type, bool markdown, struct text *out);
void trigger_describe_all(struct text *out); /* a table of those built in, for docs/triggers.md */
/* What our tests ask: recorded conversations, a stand-in that speaks the protocol, or the source itself. */
enum trigger_tested { TESTED_RECORDED, TESTED_EMULATOR, TESTED_REAL };
enum trigger_tested trigger_tested(const char *type);
const char *trigger_tested_word(enum trigger_tested tested);
/* What a parameter may hold, by the table of its type: a credential, or what can be none (numbers, words of a list); else a text. */
enum trigger_secrecy { TRIGGER_PERHAPS, TRIGGER_PLAIN, TRIGGER_SECRET };
enum trigger_secrecy trigger_secrecy(const char *type, const char *parameter);

/* ---- asking ---- */
struct trigger_engine *trigger_engine_new(struct loop *loop, struct transport *transport, struct platform *platform);
void trigger_engine_free(struct trigger_engine *engine); /* cancels what is in flight */
/* What the triggers' credentials are resolved with (credential/credential.h); the engine's own. Whoever builds policies listens to it. */
struct credential_store *trigger_engine_credentials(struct trigger_engine *engine);

/* why: for missing and failed, else kind is ERROR_NONE. took_ms: from the first request to the end. */
typedef void trigger_poll_done(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms);
struct trigger_poll *trigger_poll_start(struct trigger_engine *engine, struct trigger *trigger, trigger_poll_done *done,
                                        void *arg);
void trigger_poll_cancel(struct trigger_poll *poll); /* done is not called */
/* What the source itself says one replica should carry, instead of a target in the manifest (external); 0: it has not said. */
double trigger_told_target(const struct trigger *trigger);
bool trigger_target_is_told(const struct trigger *trigger); /* of its type: there is no parameter for it */

/* ---- being told: sources that speak up by themselves (external-push) ---- */
bool trigger_pushes(const struct trigger *trigger);
struct trigger_push {
    bool active;  /* the source says that there is work now */
    bool changed; /* something else about it is new (its target): it should be asked */
};
/* Never inside trigger_listen; may stop listening. */
typedef void trigger_pushed(void *arg, const struct trigger_push *push);
/* Keeps the trigger's streams open until it is stopped: opened anew when they end or break, LISTEN_RETRY_MIN_MS later and then twice
   as long each time up to LISTEN_RETRY_MAX_MS, with some jitter. A reference to the trigger is held. One listening for each trigger,
   whoever shares it: the caller (autoscaler/ask.c) has one place for it. NULL: the type does not push. */
struct trigger_listening;
struct trigger_listening *trigger_listen(struct trigger_engine *engine, struct trigger *trigger, trigger_pushed *pushed,
                                         void *arg);
void trigger_listen_stop(struct trigger_listening *listening); /* NULL is fine */
/* Why a stream is not open now, for people; NULL: all are, as far as one can tell, or were given up as the source does not have them. */
const struct error *trigger_listen_why(const struct trigger_listening *listening);

enum { STATUS_NO_ANSWER = 0, STATUS_OTHER = -1 /* beyond HTTP_STATUSES_MAX different ones */ };
struct trigger_http_stats {
    int status; /* of HTTP, or one of the above */
    struct histogram took;
};
struct trigger_stats { /* per type, for /metrics */
    const char *type;
    uint64_t polls, ok, missing, failed, requests;
    uint64_t took_ms_total;
    struct histogram took;           /* of polls, from the first request to the end */
    struct trigger_http_stats *http; /* each request of its own, also those tried once more */
    size_t http_count;
};
size_t trigger_engine_stats(const struct trigger_engine *engine, const struct trigger_stats **out);

/* Who counts per object: told of each HTTP request that ended, and of each answer without a value. Neither calls back into the engine. */
struct trigger_observer {
    void *arg;
    void (*requested)(void *arg, struct trigger *trigger, int status); /* status as above */
    void (*empty)(void *arg, struct trigger *trigger);
};
void trigger_engine_observe(struct trigger_engine *engine,
                            const struct trigger_observer *observer); /* copied; NULL: nobody */

#endif

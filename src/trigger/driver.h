/*
 * driver: what a source of metrics is made of. For src/trigger/source/ and the engine; callers include trigger.h.
 *
 *     static const struct param params[] = {{"query", PARAM_TEXT(query), .required = true, .help = "..."}, {0}};
 *     static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none) { ... }
 *     TRIGGER(prometheus) = {.type = "prometheus", .params = params, .config_size = sizeof(struct ...), .poll = ask};
 *
 * A driver does no input or output and keeps nothing of its own: it says what to ask, and what an answer means. Sockets,
 * deadlines, retries, size limits, status codes, redirects, signing and request figures live once, in the engine. So the
 * same file runs against the network, against a recorded exchange and against injected faults.
 *
 * Parameters are a table. It drives parsing, lint, messages and the reference page (docs/triggers/), so that they agree.
 */
#ifndef WEIR_TRIGGER_DRIVER_H
#define WEIR_TRIGGER_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "trigger/trigger.h"

struct arena;
struct credential_client;
struct destinations;
struct http_header;
struct lazy;
struct param;
struct pod_view;
struct poll;
struct request;
struct secret;
struct selector;
struct text;
struct tls_identity;
struct trigger_check;
struct tree;

/* ------------------------------------------------------------------ parameters */

/* First member of every config. Target and activation are compared by decide(), never by a driver; they are not part of
   a trigger's identity, so a shared trigger has those of whoever built it first: use trigger_metric instead. */
struct trigger_config {
    double target, activation;
};

enum param_switch { SWITCH_UNSET, SWITCH_TRUE, SWITCH_FALSE }; /* a bool that knows whether somebody wrote it */
enum param_role { ROLE_NONE, ROLE_TARGET, ROLE_ACTIVATION };   /* not part of a trigger's identity */

struct param_list {
    size_t count;
    const char *items[];
};
struct param_map { /* in the order written */
    size_t count;
    struct param_pair {
        const char *key, *value;
    } pairs[];
};

/* How a text becomes a value (_common.md 2), and the C type of the field that takes it. */
enum param_kind {
    PARAM_KIND_TEXT,     /* const char *: an atom */
    PARAM_KIND_URL,      /* const char *: an atom; absolute http or https address */
    PARAM_KIND_SECRET,   /* const struct secret * */
    PARAM_KIND_NUMBER,   /* double: a JSON number */
    PARAM_KIND_WHOLE,    /* double: a JSON integer in the range of int64 */
    PARAM_KIND_INTEGER,  /* int64_t: the same */
    PARAM_KIND_BOOL,     /* bool */
    PARAM_KIND_SWITCH,   /* enum param_switch */
    PARAM_KIND_DURATION, /* int64_t, milliseconds: Go duration, or a plain number of milliseconds */
    PARAM_KIND_SPAN,     /* the same, but a plain number is refused (parameters of our own) */
    PARAM_KIND_CHOICE,   /* int: index among `choices`; -1 where KEDA's loose check lets a mixture through */
    PARAM_KIND_LIST,     /* const struct param_list *: split at commas, or at `separator` */
    PARAM_KIND_MAP,      /* const struct param_map *: name=value,name=value */
    PARAM_KIND_BLOCK,    /* pointer to a struct with a table of its own; NULL where nothing of it was given */
    PARAM_KIND_REMOVED,  /* no field: writing it is an error, `help` says what to do instead */
    PARAM_KIND_IGNORED,  /* no field: accepted, without effect; `help` says why */
};

struct param_block {
    const struct param *params;
    size_t size;
    /* Rules between the fields, and whether the block is kept at all: false drops it. */
    bool (*check)(void *block, struct trigger_check *check);
};

struct param {
    const char *name;
    enum param_kind kind;
    unsigned offset;
    const struct param_block *block;
    bool required;
    enum param_role role;
    const char *
        from; /* where it may be given, in the order of search: M metadata, E environment, A authentication; NULL: "M" */
    const char *aliases;   /* other names, comma separated, searched after `name` */
    const char *fallback;  /* value where absent, as a person would write it */
    const char *choices;   /* the only words allowed, comma separated */
    const char *exclusive; /* of these words at most one, comma separated */
    const char *help;      /* half a sentence */
    bool hidden;           /* not in the reference page */
    bool address;   /* a secret that is an address with credentials in it: shown without those; a text that is a URL */
    bool bytes;     /* a secret that need not be a text: taken as it is */
    char separator; /* of a list, where it is not a comma */
    bool question;  /* says what is asked, not of whom: two that differ in it alone can use one connection */
};

/* PARAM_NUMBER(f) and the like fill kind and offset, and do not compile if the field has another type. */
#define PARAM_FIELD(kind_, field_, type_)                                                                              \
    .kind = kind_, .offset = (unsigned)(offsetof(PARAM_STRUCT, field_) +                                               \
                                        0 * sizeof(char[_Generic(((PARAM_STRUCT *)0)->field_, type_ : 1)]))
#define PARAM_TEXT(field)          PARAM_FIELD(PARAM_KIND_TEXT, field, const char *)
#define PARAM_URL(field)           PARAM_FIELD(PARAM_KIND_URL, field, const char *)
#define PARAM_SECRET(field)        PARAM_FIELD(PARAM_KIND_SECRET, field, const struct secret *)
#define PARAM_NUMBER(field)        PARAM_FIELD(PARAM_KIND_NUMBER, field, double)
#define PARAM_WHOLE(field)         PARAM_FIELD(PARAM_KIND_WHOLE, field, double)
#define PARAM_INTEGER(field)       PARAM_FIELD(PARAM_KIND_INTEGER, field, int64_t)
#define PARAM_BOOL(field)          PARAM_FIELD(PARAM_KIND_BOOL, field, bool)
#define PARAM_SWITCH(field)        PARAM_FIELD(PARAM_KIND_SWITCH, field, enum param_switch)
#define PARAM_DURATION(field)      PARAM_FIELD(PARAM_KIND_DURATION, field, int64_t)
#define PARAM_SPAN(field)          PARAM_FIELD(PARAM_KIND_SPAN, field, int64_t)
#define PARAM_CHOICE(field, words) PARAM_FIELD(PARAM_KIND_CHOICE, field, int), .choices = words
#define PARAM_LIST(field)          PARAM_FIELD(PARAM_KIND_LIST, field, const struct param_list *)
#define PARAM_MAP(field)           PARAM_FIELD(PARAM_KIND_MAP, field, const struct param_map *)
#define PARAM_HTTP_AUTH(field)     PARAM_FIELD(PARAM_KIND_BLOCK, field, const struct http_auth *), .block = &http_auth_block
#define PARAM_REMOVED(instead)     .kind = PARAM_KIND_REMOVED, .help = instead
#define PARAM_IGNORED(why)         .kind = PARAM_KIND_IGNORED, .help = why

/* ------------------------------------------------------------------ rules between parameters */

/* Handed to prepare(): what the table could not say. */
const struct trigger_input *check_input(const struct trigger_check *check);
/* An error of the parameter, or of the trigger where name is NULL. Returns false. */
bool check_error(struct trigger_check *check, const char *name, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void check_warning(struct trigger_check *check, const char *name, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Something with this name may have been given where we cannot look now (lint without credential or environment). */
bool check_unknown(const struct trigger_check *check, const char *name);
/* Lives as long as the trigger. */
struct arena *check_arena(struct trigger_check *check);
/* Gone when the trigger is built: for texts, lists and maps that prepare() puts into fields of the table, which are copied. */
struct arena *check_scratch(struct trigger_check *check);
/* Of a type with several metrics: which of driver.targets this trigger is about. */
size_t check_target(const struct trigger_check *check);
/* The identity provider named by the TriggerAuthentication, or NULL ("none" included). */
const char *check_pod_identity(const struct trigger_check *check);

/* ------------------------------------------------------------------ HTTP authentication (_common.md 6) */

enum http_auth_mode {
    HTTP_AUTH_API_KEY = 1,
    HTTP_AUTH_BASIC = 2,
    HTTP_AUTH_TLS = 4,
    HTTP_AUTH_BEARER = 8,
    HTTP_AUTH_CUSTOM = 16,
    HTTP_AUTH_OAUTH = 32,
};
struct http_auth {
    const struct param_list *mode_names;
    const struct secret *bearer, *password, *key, *key_password, *api_key, *custom_value, *client_secret;
    const char *username, *certificate, *ca, *custom_header, *key_name, *token_url, *client_id, *endpoint_params;
    const struct param_list *scopes;
    int method;     /* 0 header, 1 query */
    unsigned modes; /* enum http_auth_mode */
};
extern const struct param_block http_auth_block;

/* ------------------------------------------------------------------ asking: requests */

/* What a step returns; only the functions below make one, so the compiler sees that every path ends. */
enum poll_next { POLL_WAITING, POLL_ENDED };

/* An answer whose status, size and time were in order. */
struct reply {
    int status;       /* 0: there was no answer */
    const char *body; /* ends with a 0 byte that does not count */
    size_t length;
    const struct http_header *headers;
    size_t header_count;
    const struct tree *json; /* the body, parsed once; NULL where the request said request_raw() */
    size_t index;            /* of several asked at once: which */
    bool
        failed; /* only for several at once, and for poll_try(): see error; status, body and headers are those of the refusal */
    struct error error;
};
const char *reply_header(const struct reply *reply, const char *lower_case_name);

typedef enum poll_next poll_step(const void *config, struct poll *poll, const struct reply *reply);
/* Digests one of several answers as it comes; keeps what it needs in the poll's scratch or arena. */
typedef void poll_each(const void *config, struct poll *poll, const struct reply *reply);

/* base + path; one '/' between them. A URL that is too long, or not http(s), ends the poll when it is sent. */
struct request *request_get(struct poll *poll, const char *base, const char *path);
struct request *request_post(struct poll *poll, const char *base, const char *path);
/* Only status and headers come back: request_raw() goes with it. */
struct request *request_head(struct poll *poll, const char *base, const char *path);
/* Adds name=value, escaped (a blank becomes '+'); NULL: left out. */
void request_query(struct request *request, const char *name, const char *value);
void request_query_map(struct request *request, const struct param_map *map);
/* Replaces the parameter if the URL has it (metrics-api's api key). */
void request_query_secret(struct request *request, const char *name, const struct secret *value);
void request_header(struct request *request, const char *name, const char *value);
/* prefix: "Bearer " and the like, or "" */
void request_header_secret(struct request *request, const char *name, const char *prefix, const struct secret *value);
void request_headers(struct request *request, const struct param_map *map);
void request_body(struct request *request, const char *content_type, const void *bytes, size_t length);
void request_raw(struct request *request);                      /* the answer is not JSON */
void request_status(struct request *request, int from, int to); /* what counts as good; 200..299 unless said */
void request_timeout(struct request *request, int64_t ms);      /* 0: HTTP_TIMEOUT_MS */
/* modes: those that have an effect for this type; oauth has for all that take the block (in KEDA: for pulsar alone, the others ask
   without credentials). first_only: the first of bearer, basic, oauth, custom, as prometheus has it; else each adds what is its own.
   The TLS parts of the block (ca included) always count; unsafe: unsafeSsl. */
void request_sign(struct request *request, const struct http_auth *auth, unsigned modes, bool first_only, bool unsafe);

/* The question, the answer or both hold a credential: they are wiped. No word of the answer is shown, but of a refusal (4xx, 5xx), which
   says why, and in which what we sent is hidden. */
void request_secret(struct request *request);

enum poll_next poll_send(struct poll *poll, struct request *request, poll_step *then);
/* The same, but then() is shown a failure, too (reply->failed): where a refusal says something, or another server may know. */
enum poll_next poll_try(struct poll *poll, struct request *request, poll_step *then);
/* Up to POLL_REQUESTS_MAX under way at a time, any number in a row up to POLL_FANOUT_MAX; each() sees them as they come, failed
   ones too; then() is called once, with NULL. */
enum poll_next poll_send_all(struct poll *poll, struct request **requests, size_t count, poll_each *each,
                             poll_step *then);
/* The first step of a driver with two forms (rabbitmq): what its parameters mean is the business of its query. */
enum poll_next poll_query(struct poll *poll);

/* ------------------------------------------------------------------ ending */

enum poll_next poll_value(struct poll *poll, double value); /* NaN and infinities are `missing` */
/* There is an answer, but no value in it. explicit: what the manifest says about that: unset -> missing, with 0 to use when the
   hold is over; true -> 0 counts at once; false -> failed (DESIGN.md 3.5). */
enum poll_next poll_missing(struct poll *poll, enum param_switch said, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum poll_next poll_missing_as(struct poll *poll, enum param_switch said, double stand_in, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
enum poll_next poll_fail(struct poll *poll, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum poll_next poll_fail_with(struct poll *poll, const struct error *error);
/* What one replica should carry, from a source that says that itself (external). Before the poll ends with a value. */
void poll_target(struct poll *poll, double target);
/* Whether there is work, from a source that says that itself: the activation threshold is not asked. Before the poll ends. */
void poll_activity(struct poll *poll, bool active);
/* Something worth knowing about a good value ("3 of 4 replicas answered"). */
void poll_note(struct poll *poll, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ what a poll knows */

int64_t poll_now_ms(const struct poll *poll);     /* wall clock, taken once a poll */
const char *poll_time_rfc3339(struct poll *poll); /* the same, whole seconds, "2026-01-01T00:00:00Z" */
struct arena *poll_arena(struct poll *poll);      /* emptied when the poll ends */
void *poll_scratch(struct poll *poll);            /* scratch_size bytes, zeroed for each poll */
void *poll_memory(struct poll *poll);             /* memory_size bytes, kept from poll to poll of this trigger */
/* account_size bytes, shared by all triggers of the driver with the same parameters but those marked `question`: what was got for signing
   in. Another trigger's poll may change them between two steps. */
void *poll_account(struct poll *poll);
const char *poll_namespace(const struct poll *poll);
/* Pods of the object's namespace that the selector matches. false: poll_fail was not called yet; *err says why. */
bool poll_pods(struct poll *poll, const struct selector *selector, const struct pod_view *const **pods, size_t *count,
               struct error *err);
/* One key of a Secret or ConfigMap of the object's namespace, as the platform has it; the caller unrefs it. false: *err says what is
   not there; a poll that fails with that is begun again where the platform does not know it yet. */
bool poll_data(struct poll *poll, bool secret, const char *name, const char *key, struct secret **value,
               struct error *err);
/* Pods of the scale target. */
bool poll_target_pods(struct poll *poll, const struct pod_view **pods, size_t *count, struct error *err);

/* ------------------------------------------------------------------ talking: bytes on a stream */

struct talk_address {
    const char *host;
    int port;
    bool tls;
    const struct tls_identity *identity;
    int64_t timeout_ms; /* of the whole talk; 0: HTTP_TIMEOUT_MS */
    int64_t
        patience_ms; /* with this server, for a first byte, where the driver knows others (lost); 0: all the time there is */
};
/* The first call, with nothing received, names the address (talk_open); each later one sees all bytes not yet taken, the
   first of them none at all: the stream is open. Ends like a poll, or waits for more (talk_more). */
typedef enum poll_next trigger_talk(const void *config, struct poll *poll, const char *bytes, size_t length);
enum poll_next talk_open(struct poll *poll, const struct talk_address *address); /* NULL identity: none */
void talk_write(struct poll *poll, const void *bytes, size_t length);
void talk_taken(struct poll *poll, size_t length); /* these bytes were understood and need not be shown again */
enum poll_next talk_more(struct poll *poll);

/* ------------------------------------------------------------------ sessions: connections that are kept

   A connection outlives the poll it was opened for. It is used by the next poll of any trigger with the same driver and the same
   parameters but for those marked `question`, target and activation: so a thousand objects on one server with one credential have
   a few connections, and a rotated secret has new ones. A session is what the driver knows about one: session_size bytes, zeroed
   when the connection is new. One poll has it at a time; at most sessions_max there are for one connection, and who comes later
   waits its turn, its deadline running. Kept CONNECTION_IDLE_MS after its last use, and not after a poll that did not end well
   in the middle of an answer. The engine closes streams; what a library holds, hang_up() gives back.

   A server that was not reached, or let us not in, is asked again by one poll at a time and ever less often, at least every
   SESSION_RETRY_MAX_MS; whoever comes meanwhile fails with the same words. So a restart costs a few dials, not one for each object.

   A talk finds session and stream together: talk_session() is zeroed where the stream is new, else the greeting is done. A kept
   stream that the server has closed meanwhile is replaced by a new one without a word. The stream is kept after a value or a missing
   one; after a failure, or before a second talk_open(), where talk_keep() said that the server answered in full and can be asked on.
   A query finds its session in query->memory; what of it is broken the driver replaces there itself. Its time begins when it gets one. */
/* A server could not be reached, or ended the conversation: the driver goes on with another one (talk_open), or ends (poll_fail_with). */
typedef enum poll_next trigger_lost(const void *config, struct poll *poll, const struct error *why);
void *talk_session(struct poll *poll);
void talk_keep(struct poll *poll);

/* ------------------------------------------------------------------ looking: pods and clock */
typedef enum poll_next trigger_read(const void *config, struct poll *poll);

/* ------------------------------------------------------------------ querying: a library that blocks, on a worker thread */

struct query {
    void *memory;           /* session_size bytes (see sessions); nobody else touches them meanwhile */
    void *own;              /* memory_size bytes, of this trigger from poll to poll; new after a call that hung */
    int64_t timeout_ms;     /* of the whole call, from the moment it has a thread: query_left_ms() says what remains */
    int64_t until_ticks_ms; /* the engine's; 0: as if it began only now */
    const struct secret *token; /* what driver.token asked for; NULL: it needs none */
    enum sample_state state;    /* to be set: SAMPLE_OK with value, else error */
    double value;
    enum sample_activity activity; /* as poll_activity() has it; left alone, the value decides */
    struct error error;
};
typedef void trigger_query(const void *config, struct query *query);
/* What remains of the query's time: the time-out of the next step (connect, sign in, statement, another attempt), asked anew before each,
   so that all steps together have one deadline. Never below 1, which libraries would take for "for ever"; query_is_over() says whether
   anything is left. On the worker's thread. */
int64_t query_left_ms(const struct query *query);
bool query_is_over(const struct query *query);

/* ------------------------------------------------------------------ listening: what a source tells by itself */

/* The request (trigger/grpc.h) that opens a stream of messages; NULL: there is no stream of this number. */
typedef struct request *trigger_listen_open(const void *config, struct poll *poll, size_t stream);
/* One message of it; false: it cannot be understood, and the stream is opened anew. push: zeroed; what stays so is not worth telling. */
typedef bool trigger_listen_heard(const void *config, size_t stream, const char *message, size_t length,
                                  struct trigger_push *push);

/* ------------------------------------------------------------------ the driver */

enum trigger_scope {
    SCOPE_NONE = 0,
    SCOPE_NAMESPACE = 1,
    SCOPE_TARGET = 2
}; /* what besides parameters makes a question */

struct trigger_driver {
    const char *type, *summary; /* "prometheus"; one line for people */
    /* For the reference page. about: what the value means and when there is none, one to four sentences. example: metadata (and
       authentication) of a trigger that works, YAML. locally: how to try it on one machine, commands. */
    const char *about, *example, *locally;
    const char *metric; /* the name in s0-<metric>, where it is constant */
    const char *
        targets; /* a type with several metrics: the parameters that are their targets, comma separated (trigger_metrics) */
    const struct param *params; /* ends with {0} */
    size_t config_size;         /* what params fill; immutable afterwards, so threads may read it */
    size_t memory_size, scratch_size, account_size;
    size_t session_size, sessions_max; /* 0 sessions_max: CONNECTIONS_KEPT_MAX */
    int64_t timeout_ms;                /* of a query; 0: HTTP_TIMEOUT_MS */
    enum trigger_scope scope;
    bool average_only; /* metricType is neither honoured nor checked: always AverageValue (pulsar) */
    bool resource;     /* cpu, memory: never asked; metricType means something else */

    struct lazy *library; /* loaded before prepare(); NULL: nothing is loaded for it */

    /* Rules between fields, and what can be worked out once (schedules, selectors). false: the report has an error. */
    bool (*prepare)(void *config, struct trigger_check *check);
    void (*release)(void *config); /* what prepare() acquired outside its arena */
    void (*metric_name)(const void *config, const struct trigger_input *input,
                        struct text *out);                             /* instead of `metric` */
    void (*target)(const void *config, struct trigger_metric *metric); /* instead of the parameter with ROLE_TARGET */
    /* Where it asks; one of the two, or neither: then the URL parameters are it. Egress rules, allowed hosts of credentials and people
       go by it, so a driver that may turn to one of several names all: destinations. What is read here must be what is dialled. */
    bool (*destination)(const void *config, char *out, size_t size);    /* one server: "host:port" */
    void (*destinations)(const void *config, struct destinations *out); /* each of a list, the one asked first first */
    void (*forget)(void *memory);                                       /* before memory is freed */
    void (*forget_account)(void *account);                              /* likewise */
    void (*hang_up)(
        void *session); /* before a session is freed; of a query on a worker thread: libraries wait for goodbyes */

    /* one; two only for a type with two protocols, where its parameters choose: */
    poll_step *poll;
    trigger_talk *talk;
    trigger_lost *lost; /* beside talk, for a driver that knows several servers; NULL: the poll fails */
    trigger_query *query;
    /* Beside query: who gives the token (OAuth2) that it goes out with; false: it needs none. Texts of the config or the arena; destination,
       ns and owner are the engine's to fill. A token that was refused (ERROR_DENIED) is replaced by another, once, and the query made again. */
    bool (*token)(const void *config, struct arena *arena, struct credential_client *out);
    trigger_read *read;

    /* Beside one of them, for a source that also tells by itself (trigger_listen): gRPC streams, numbered from 0. */
    trigger_listen_open *listen;
    trigger_listen_heard *heard;
    bool any_parameter; /* metadata that the table does not know is the source's own, and no mistake */
};

/* Host and port of an absolute http or https address, "host:port"; false: not one. For destination(). */
bool url_destination(const char *url, char *out, size_t size);
/* For destinations(). A host, without brackets, or the path of a Unix socket (port 0). */
void destinations_add(struct destinations *out, const char *host, int port);
/* Places with commas between them, "host:port" or "[v6]:port"; usual_port: of those without one. NULL: none. */
void destinations_add_list(struct destinations *out, const char *places, int usual_port);
void destinations_add_url(struct destinations *out, const char *url);

#define TRIGGER(word) const struct trigger_driver trigger_driver_##word

/* ------------------------------------------------------------------ for tests and tools */

const struct trigger_driver *trigger_driver_find(const char *type); /* NULL: not built in */
const struct trigger_driver *trigger_driver_of(const struct trigger *trigger);
const void *trigger_config_of(const struct trigger *trigger);

#endif

/*
 * What the files of src/trigger/ share: a trigger's memory, a poll under way, the engine.
 */
#ifndef WEIR_TRIGGER_INTERNAL_H
#define WEIR_TRIGGER_INTERNAL_H

#include "base/text.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "net/transport.h"
#include "platform/platform.h"
#include "trigger/driver.h"

struct exchange;
struct flight;
struct map;
struct party;
struct sent;
struct session;
struct session_server;

/* ------------------------------------------------------------------ a trigger */

/* One piece of memory: this head, the config, then the config's lists, maps and blocks. Texts are atoms. */
struct trigger {
    const struct trigger_driver *driver;
    struct trigger_engine *engine; /* NULL: not shared, or the engine is gone */
    struct trigger *next;          /* in the engine's bucket */
    struct flight *flight;         /* the poll under way: whoever asks meanwhile waits for the same answer */
    void *place;                   /* its scheduler's, see trigger_place() */
    void *memory;                  /* the driver's, from the first poll on; NULL while a worker has it */
    struct arena *arena;           /* what prepare() built; NULL: nothing */
    struct party *party;           /* who shares connections with it, from the first poll on that needs one */
    struct trigger *next_member, **member_link;
    struct target *watched;       /* the scale target, from the first poll that looks at it */
    struct target_key *target;    /* atoms; only for SCOPE_TARGET */
    const char *ns, *destination; /* atoms; ns only for SCOPE_NAMESPACE */
    const char *
        share; /* an atom: the namespace it was first built for: threads, streams and tokens it takes count for that; NULL: none */
    const char *allowed_hosts; /* an atom: where its credential may go (credential_may_go); NULL: anywhere */
    uint64_t identity;
    uint32_t bytes;
    int32_t references;
    double told_target; /* trigger_told_target */
    bool direct;
};
enum { TRIGGER_HEAD_BYTES = (sizeof(struct trigger) + 15) / 16 * 16 };

static inline void *trigger_config(struct trigger *trigger)
{
    return (char *)trigger + TRIGGER_HEAD_BYTES;
}

/* ------------------------------------------------------------------ params.c, config.c */

struct trigger_check {
    const struct trigger_input *input;
    struct report *report;
    const struct trigger_driver *driver;
    struct arena *scratch; /* of the build */
    struct arena *kept;    /* of the trigger; NULL until somebody needs it */
    size_t errors;
};

/* Fills config from the maps; every fault goes into the report. Texts lie in check->scratch, secrets are references. */
void params_read(struct trigger_check *check, void *config);
/* Metadata that no parameter took: misspelt, misplaced, or another type's. */
void params_check_unknown(struct trigger_check *check);
bool params_is_declared(const struct param *params, const char *key);

/* Walks over a config by its table. A sealed config has atoms; an unsealed one texts of the scratch arena. */
size_t config_extra_bytes(const struct param *params, const void *config);
void config_seal(const struct param *params, void *config, char **free_space);
bool config_equal(const struct param *params, const void *a, const void *b);
uint64_t config_hash(const struct param *params, const void *config, uint64_t seed);
/* The same without what is a `question`: may one use the other's connection? */
bool config_same_connection(const struct param *params, const void *a, const void *b);
uint64_t config_connection_hash(const struct param *params, const void *config, uint64_t seed);
void config_release(const struct param *params, void *config, bool sealed);

/* "s3-" + name, normalised (_common.md 4). */
void metric_name_write(int index, const char *name, struct text *out);
/* A value as KEDA publishes it: NaN, infinities and negatives are 0, three decimals (_common.md 3). */
double value_published(double value);

/* ------------------------------------------------------------------ destination.c */

/* trigger_destinations() of one that is not built yet: config as prepare() left it. */
void destinations_walk(const struct trigger_driver *driver, const void *config, trigger_destination_each *each,
                       void *arg);
/* Of these only what the driver's own question goes to: what a client library connects to by itself. */
void destinations_servers(const struct trigger_driver *driver, const void *config, trigger_destination_each *each,
                          void *arg);
/* "host:port" of the server that is asked first; false: the parameters name none. */
bool destinations_first(const struct trigger_driver *driver, const void *config, char *out, size_t size);

/* ------------------------------------------------------------------ a poll under way */

enum { FLIGHT_MAGIC = 0x464c5447, REQUEST_HEADERS_MAX = 24 };

struct trigger_poll { /* one who waits for an answer */
    struct trigger_poll *next;
    struct flight *flight; /* NULL: in the free list */
    trigger_poll_done *done;
    void *arg;
};

struct request {
    struct poll *poll;
    const char *method, *url; /* url: NULL while it still grows in poll->url */
    bool has_query, raw, bad; /* bad: something in it cannot be sent; poll_send says so */
    bool grpc;
    uint32_t grpc_allowed; /* by bit: statuses that are for the step, too */
    struct http_header headers[REQUEST_HEADERS_MAX];
    size_t header_count;
    const void *body;
    size_t body_length;
    int status_from, status_to;
    int64_t timeout_ms;
    struct tls_identity tls;
    bool has_tls;
    const struct http_auth *oauth; /* a token by this goes with it; NULL: none */
    bool secret;                   /* its answer holds a credential */
    uint64_t asker;                /* as whom we come, by secrets in its query (asker_of() in poll.c) */
};

enum flight_end { END_NONE, END_VALUE, END_MISSING, END_FAILED };

/* One exchange of a poll; several where a step asked several. */
struct asked {
    struct poll *poll;
    struct request *request;
    struct exchange *exchange; /* NULL: not under way */
    size_t index;
    int64_t deadline_ticks_ms, started_ticks_ms;
    int attempts;
    struct secret *token; /* it goes out with (OAuth2), or NULL */
    struct credential_waiter token_waiter;
    struct timer *token_timer;       /* until it has to be there; NULL: nobody waits */
    bool token_refused, wants_other; /* one was refused: another is asked for, once */
};

struct poll { /* what a driver sees; kept and used again, with its arena and texts */
    const void *config;
    struct arena *arena;
    void *scratch;
    void *account; /* for a request that opens a stream, and belongs to no flight; NULL: the flight's */
    int64_t now_ms;
    char now_text[32];

    /* the outcome */
    enum flight_end end;
    double value;
    bool stand_in;
    enum sample_activity activity;
    double told_target; /* 0: not said */
    bool empty;         /* the source answered without a value, whatever counts in its place */
    struct error why;

    /* requests of the current step (poll.c) */
    struct text url; /* of the request being built */
    struct request *building;
    struct secret *basic; /* "user:password" in base64, made once a poll (auth.c) */
    struct sent *sent;    /* every secret that went into a request: hidden in what is said of the answers (redact.c) */
    struct asked *asked;
    size_t asked_count, asked_next, asked_open, requests_made;
    poll_each *each;
    poll_step *then;
    bool tries;            /* a failed answer is for the step, too */
    struct reply *unasked; /* of one that tries: why it could not even be asked */

    /* the stream (talk.c) */
    struct text received;
    size_t taken, shown; /* how many of them the driver takes now, and has seen */
    bool got_bytes;
    bool keep; /* talk_keep() was called */
    int talk_attempts;
    struct talk_address address;
    int64_t talk_deadline_ticks_ms;
};

struct flight {       /* a poll under way */
    struct poll poll; /* first: a driver's struct poll leads back here */
    unsigned magic;
    struct trigger *trigger; /* a reference */
    struct trigger_engine *engine;
    struct flight *next, **link; /* of the engine's list of flights; next also of the free list */
    struct flight *next_ready;
    struct trigger_poll *waiting;
    struct job *job;
    struct query_job *query;
    struct secret *token; /* that a query goes out with, or NULL */
    struct credential_waiter token_waiter;
    bool token_refused;              /* one was, and another is asked for */
    struct session *session;         /* that it has */
    struct session_server *waits_at; /* for one that is free */
    struct flight *next_waiting;
    struct timer *timer;      /* the deadline of a talk, and of waiting for a session */
    struct timer *look;       /* until a talk is shown the bytes that it was not shown at once; NULL: it was */
    struct timer *pods_timer; /* until pods are known */
    bool pods_pending;        /* the driver asked for pods that the platform does not know yet */
    int64_t started_ticks_ms;
    bool starting; /* inside trigger_poll_start: nobody may be told yet */
    bool ready;    /* in the engine's list of those to be told in the next turn */
    bool telling;
};

struct backoff {             /* a destination that asked us to wait */
    const char *destination; /* an atom */
    uint64_t asker;          /* whom of us: see asker_of() in poll.c */
    int64_t until_ticks_ms;
};

enum { ENGINE_BUCKETS_FIRST = 64, BACKOFFS_MAX = 256, FREE_FLIGHTS_MAX = 64, FLIGHT_KEPT_BYTES = 64 * 1024 };
enum { PODS_LOOK_MS = 100, PODS_WAIT_MS = 5000 }; /* a list of pods takes some tens of milliseconds */

enum { PARTY_BUCKETS = 1024 }; /* ten thousand connections of different kinds are ten in each */

struct trigger_engine {
    struct loop *loop;
    struct transport *transport;
    struct platform *platform;
    struct credential_store *credentials;
    struct trigger **buckets;
    size_t bucket_count, trigger_count;
    struct flight *flights, *free_flights, *ready;
    size_t free_flight_count;
    struct timer *soon; /* tells the ready ones */
    struct party **parties;
    struct session_server *first_due, *last_due; /* to be served in the next turn */
    struct session_server *serving;              /* NULL again when it was freed meanwhile */
    struct session *oldest_idle, *newest_idle;
    size_t idle_sessions;
    bool sessions_ending;
    struct timer *sessions_soon, *sessions_idle;
    struct trigger_poll *free_polls;
    struct trigger_stats *stats; /* one per built-in driver, in the order of trigger_drivers */
    struct trigger_observer observer;
    struct backoff backoffs[BACKOFFS_MAX];
    size_t backoff_count;
    struct map *listening; /* by namespace: how many streams there are (listen.c); NULL: none yet */
    size_t listening_count;
};

/* The drivers built in, sorted by type. */
extern const struct trigger_driver *const trigger_drivers[];
extern const size_t trigger_driver_count;

/* ------------------------------------------------------------------ engine.c */

struct trigger *engine_find(struct trigger_engine *engine, const struct trigger *like, const void *config);
void engine_add(struct trigger_engine *engine, struct trigger *trigger);
void engine_remove(struct trigger_engine *engine, struct trigger *trigger);
struct flight *flight_of(struct poll *poll);
struct trigger_stats *flight_stats(const struct flight *flight);
/* An HTTP request of it has ended; status: see struct trigger_http_stats. */
void flight_count_request(struct flight *flight, int status, int64_t took_ms);
/* To be called last after every step: if the poll has its outcome, those who wait are told (in a later turn when called
   from inside a start), and the flight is over. */
void flight_after_step(struct flight *flight);
bool backoff_active(struct trigger_engine *engine, const char *destination, uint64_t asker, int64_t *left_ms);
void backoff_set(struct trigger_engine *engine, const char *destination, uint64_t asker, int64_t for_ms);

/* A request as the transport takes it; its memory lies in the poll's arena. false, and *err: it cannot be sent. */
bool request_finish(struct request *request, struct http_request *out, struct error *err);

/* ------------------------------------------------------------------ session.c */

struct session {                   /* a connection, and what the driver knows about it */
    struct session_server *server; /* NULL: a job has it that nobody waits for any more */
    struct session *next;          /* of the server's */
    struct session *older, *newer; /* while idle, by their last use */
    struct flight *flight;         /* that has it, or NULL */
    struct stream *stream;         /* of a talk */
    int64_t idle_since;
    bool busy; /* a flight has it, or a job does */
    bool kept; /* was used by another poll before */
    bool good; /* the server answered */
    _Alignas(16) char memory[];
};

/* Asks for a session with the server at this place. In a later turn it is given one (talk_begin, query_begin), or ends as failed. */
void session_want(struct flight *flight, const char *place, bool tls);
void session_unwant(struct flight *flight); /* no longer waits for one; nothing, if it does not */
size_t session_limit(const struct flight *flight);
/* What came of it: see the story of session.c. */
void session_worked(struct session *session);
void session_failed(struct session *session, const struct error *why);
bool session_is_away(const struct session *session); /* the server: no use in trying at once again */
void session_return(struct session *session, bool keep);
void session_drop(struct session *session);
void session_renew(struct session *session); /* as if it were new */
/* Takes a session from its server while a library's call hangs in it, and ends it when that is over. */
void session_disown(struct session *session);
void session_part(struct session *session, const struct trigger *trigger);
void party_leave(struct trigger *trigger);
void *account_of(struct trigger_engine *engine, struct trigger *trigger); /* see poll_account */
void sessions_start(struct trigger_engine *engine);
void sessions_stop(struct trigger_engine *engine);

/* talk.c, query.c: the flight has got its session. */
void talk_begin(struct flight *flight);
void query_begin(struct flight *flight);
/* The server of a talk is lost, whether it had a session or waited for one. */
void talk_lose(struct flight *flight, const struct error *why);

/* poll.c, talk.c, query.c: start, and give up what is under way. */
void http_start(struct flight *flight);
void http_stop(struct flight *flight);
void talk_start(struct flight *flight);
void talk_stop(struct flight *flight);
void query_start(struct flight *flight);
void query_stop(struct flight *flight);

/* auth.c: the token that a request goes out with. FOUND: asked->token. PENDING: asked->token_waiter is told. Else *err says why. */
enum lookup asked_token(struct asked *asked, struct error *err);
void asked_forget_token(struct asked *asked);

/* Takes the trigger's credentials, and all that were sent, out of what is said of it, and what a terminal would obey (redact.c). */
void redact(struct error *why, const struct trigger_driver *driver, const void *config, const struct sent *sent);
void poll_note_sent(struct poll *poll, const struct secret *secret);
void poll_forget_sent(struct poll *poll); /* before its arena is emptied */
/* For one that outlives the poll. */
struct sent *sent_copy(const struct sent *sent);
void sent_free(struct sent *copies);

/* A few words of an answer, safe to show: printable, short, on one line. */
void snippet_write(const char *bytes, size_t length, char *out, size_t size);

#endif

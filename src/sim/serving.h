/*
 * serving: an exact, deterministic model of replicas that serve a language model: prefill, decode, batches, KV cache, start-up, a
 * router. Rules: serving-model.md 1-3 (request model). The simulator runs policies against it; inference-sim is one replica of it in
 * real time, and the load generator's router is its router.
 *
 *     struct serving *s = serving_new(serving_profile("h100-8b"), &(struct serving_startup){.fixed_ns = 0}, 1);
 *     serving_begin(s, 0);                         -- step ends and readiness of this instant
 *     serving_arrive(s, 100, 3);                   -- arrivals, then questions, then writes
 *     serving_end(s);                              -- idle replicas plan their next step
 *     int64_t next_ns = serving_next_ns(s);        -- when something happens by itself
 *
 * All times are nanoseconds since the start of the run, all tokens are integers; there is no rounding, so results are equal bit
 * for bit everywhere. Instants must not go back. Pure: no clock, no input or output. Not for threads.
 */
#ifndef WEIR_SIM_SERVING_H
#define WEIR_SIM_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVING_NEVER INT64_MAX

struct serving_profile {
    int64_t prefill_tps;                 /* prompt tokens per second of a replica */
    int64_t itl_base_ns, itl_per_seq_ns; /* a decode step with batch B takes base + per_seq * B */
    int64_t max_batch, kv_tokens, chunk_tokens;
    int gpus;
};
/* "h100-8b", "h100x2-70b"; NULL: no such profile. */
const struct serving_profile *serving_profile(const char *name);

struct serving_startup { /* how long a new replica takes until it is ready */
    enum { STARTUP_FIXED, STARTUP_UNIFORM, STARTUP_TABLE } kind;
    int64_t fixed_ns, low_ns, high_ns;
    const int64_t *table_ns;
    size_t table_count;
    uint64_t seed;
};
int64_t serving_startup_ns(const struct serving_startup *startup, uint64_t replica);
/* SplitMix64, keyed: the k-th draw of a seed (serving-model.md 1). */
uint64_t serving_draw(uint64_t seed, uint64_t k);

enum replica_state { REPLICA_STARTING, REPLICA_READY, REPLICA_DRAINING, REPLICA_GONE };

struct serving_request { /* -1: not yet */
    int64_t arrival_ns, prompt, generated;
    int64_t replica, assigned_ns, admitted_ns, first_ns, finished_ns;
    bool rejected;
};
struct serving_replica {
    enum replica_state state;
    int64_t created_ns, ready_ns, draining_ns, gone_ns; /* ready: the planned time; draining, gone: -1 */
    int64_t waiting, running, kv, outstanding;
    int64_t prompt, generated, finished; /* tokens and requests so far; those within a leap too */
};
struct serving_event {
    int64_t at_ns;
    int32_t before, after;
};
struct serving_counters {
    int64_t prompt, generated, arrived, arriving_prompt, arriving_generated, finished;
};

struct serving;

struct serving *serving_new(const struct serving_profile *profile, const struct serving_startup *startup,
                            int32_t initial);
void serving_free(struct serving *serving);

/* Told of every decode step (or leap of equal ones) when it ends: `tokens` tokens that each came step_ns after the one before. */
typedef void serving_stepped(void *arg, int64_t step_ns, int64_t tokens);
void serving_watch(struct serving *serving, serving_stepped *stepped, void *arg);

int64_t serving_next_ns(const struct serving *serving);      /* SERVING_NEVER: nothing happens without us */
void serving_begin(struct serving *serving, int64_t now_ns); /* everything up to and at this instant: phases 1 and 2 */
size_t serving_arrive(struct serving *serving, int64_t prompt, int64_t generated); /* phase 3; its index */
void serving_scale(struct serving *serving, int32_t replicas);                     /* phases 5 and 6 */
void serving_end(struct serving *serving);                                         /* phase 7 */
/* begin, end for every instant of its own until there is none before `until_ns`; leaves the last instant ended. */
void serving_run_until(struct serving *serving, int64_t until_ns);

const struct serving_profile *serving_profile_of(const struct serving *serving);
int64_t serving_now_ns(const struct serving *serving);
size_t serving_requests(const struct serving *serving, const struct serving_request **out);
int64_t serving_generated(const struct serving *serving,
                          size_t request);                   /* tokens made by now, those within a leap too */
size_t serving_replica_count(const struct serving *serving); /* all there ever were */
size_t serving_live(const struct serving *serving, const size_t **ids); /* those that are not gone, rising */
struct serving_replica serving_replica(const struct serving *serving, size_t id);
size_t serving_events(const struct serving *serving, const struct serving_event **out);
size_t serving_open_requests(const struct serving *serving); /* neither finished nor rejected */
void serving_backlog(const struct serving *serving, int64_t *requests,
                     int64_t *tokens); /* arrived, not yet admitted anywhere */
/* The first step boundary at or after `from_ns`, those inside leaps too; SERVING_NEVER: no step is under way. */
int64_t serving_boundary_ns(const struct serving *serving, int64_t from_ns);

/* ---- signals (serving-model.md 3), at the instant begun ---- */
struct serving_signals {
    int64_t waiting, running, inflight_tokens;
    double kv_usage, kv_usage_max;
    int32_t replicas, ready_replicas, pending_replicas, draining_replicas;
    int64_t router; /* requests that wait for a ready replica */
    struct serving_counters counters;
};
void serving_signals(const struct serving *serving, struct serving_signals *out);
/* Quantile q (percent) over requests with a first token (itl: finished) in (now - window, now]; false: there is none. */
bool serving_ttft_ns(const struct serving *serving, int64_t window_ns, double quantile, double *out_ns);
bool serving_itl_ns(const struct serving *serving, int64_t window_ns, double quantile, double *out_ns);

/* The same as the servers see it: a request begins when it is given to a replica, and only replicas that are ready now tell. */
enum serving_span {
    SERVING_TTFT,   /* to the first token */
    SERVING_ITL,    /* from token to token */
    SERVING_E2E,    /* to the last token */
    SERVING_QUEUED, /* until it is admitted */
};
bool serving_span_ns(const struct serving *serving, enum serving_span span, int64_t window_ns, double quantile,
                     double *out_ns);
bool serving_share_within(const struct serving *serving, enum serving_span span, int64_t window_ns, int64_t limit_ns,
                          double *out);

#endif

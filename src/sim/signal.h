/*
 * signal: what a gateway in front of the serving model would report, by name (serving-model.md 3): the vocabulary of simulated triggers.
 *
 *     struct signal_history *h = signal_history_new();
 *     signal_snapshot(h, model);                       -- at every probe, scrape or tick, before reading
 *     if (signal_read(h, model, &(struct signal_query){SIGNAL_TOKENS_PER_MIN, 60 * S, 90}, &value)) ...
 *
 * Rates are taken between two snapshots of the counters: the newest and the newest that is at least a window old (or the first of all,
 * which is at time 0 with zeros). Latencies are quantiles over the requests of the window, in seconds. Pure. Not for threads.
 */
#ifndef WEIR_SIM_SIGNAL_H
#define WEIR_SIM_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/serving.h"

/* clang-format off */
#define SIM_SIGNALS(SIGNAL)                                                                                            \
    SIGNAL(WAITING, "waiting")                                                                                         \
    SIGNAL(RUNNING, "running")                                                                                         \
    SIGNAL(KV_USAGE, "kv_usage")                                                                                       \
    SIGNAL(KV_USAGE_MAX, "kv_usage_max")                                                                               \
    SIGNAL(INFLIGHT_TOKENS, "inflight_tokens")                                                                         \
    SIGNAL(REPLICAS, "replicas")                                                                                       \
    SIGNAL(READY_REPLICAS, "ready_replicas")                                                                           \
    SIGNAL(PENDING_REPLICAS, "pending_replicas")                                                                       \
    SIGNAL(TOKENS_PER_MIN, "tokens_per_min")                                                                           \
    SIGNAL(PROMPT_TOKENS_PER_MIN, "prompt_tokens_per_min")                                                             \
    SIGNAL(GENERATED_TOKENS_PER_MIN, "generated_tokens_per_min")                                                       \
    SIGNAL(REQUESTS_PER_S, "requests_per_s")                                                                           \
    SIGNAL(TTFT, "ttft")                                                                                               \
    SIGNAL(ITL, "itl")
/* clang-format on */

enum sim_signal {
#define SIGNAL(id, name) SIM_SIGNAL_##id,
    SIM_SIGNALS(SIGNAL)
#undef SIGNAL
        SIM_SIGNAL_COUNT
};
/* SIM_SIGNAL_COUNT: there is no signal of that name. */
enum sim_signal sim_signal_named(const char *name);

struct signal_query {
    enum sim_signal signal;
    int64_t window_ns;
    double quantile; /* percent; of ttft and itl */
};

struct signal_history;
struct signal_history *signal_history_new(void);
void signal_history_free(struct signal_history *history);
/* The counters at the model's instant; a second snapshot at the same instant replaces the first. */
void signal_snapshot(struct signal_history *history, const struct serving *model);
/* False: missing, nothing happened in the window that could be measured. */
bool signal_read(const struct signal_history *history, const struct serving *model, const struct signal_query *query,
                 double *value);

#endif

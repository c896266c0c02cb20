/*
 * signal: names, snapshots and rates. A rate is one division of exact integers, so that it is the same everywhere.
 */
#include "sim/signal.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define NS_PER_S 1000000000.0

enum sim_signal sim_signal_named(const char *name)
{
    static const char *const names[] = {
#define SIGNAL(id, name) name,
        SIM_SIGNALS(SIGNAL)
#undef SIGNAL
    };
    int i = 0;

    while (i < SIM_SIGNAL_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum sim_signal)i;
}

struct snapshot {
    int64_t at_ns;
    struct serving_counters counters;
};

struct signal_history {
    struct snapshot *snapshots; /* the first is at 0, with zeros; times rise */
    size_t count, size;
};

struct signal_history *signal_history_new(void)
{
    struct signal_history *h = mem_alloc(sizeof(*h));

    h->size = 64;
    h->snapshots = mem_array(h->size, sizeof(*h->snapshots));
    h->count = 1;
    return h;
}

void signal_history_free(struct signal_history *h)
{
    if (!h)
        return;
    free(h->snapshots);
    free(h);
}

void signal_snapshot(struct signal_history *h, const struct serving *model)
{
    struct serving_signals now;

    serving_signals(model, &now);
    if (h->snapshots[h->count - 1].at_ns < serving_now_ns(model)) {
        if (h->count == h->size) {
            h->size *= 2;
            h->snapshots = mem_grow(h->snapshots, h->size, sizeof(*h->snapshots));
        }
        h->count++;
    }
    h->snapshots[h->count - 1] = (struct snapshot){serving_now_ns(model), now.counters};
}

/* The newest snapshot that is no younger than at_ns, or the first of all. */
static const struct snapshot *snapshot_before(const struct signal_history *h, int64_t at_ns)
{
    size_t low = 0, high = h->count; /* snapshots[low] is old enough or the first; snapshots[high] is not */

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (h->snapshots[middle].at_ns <= at_ns)
            low = middle;
        else
            high = middle;
    }
    return &h->snapshots[low];
}

static int64_t counted(enum sim_signal signal, const struct serving_counters *c)
{
    switch (signal) {
    case SIM_SIGNAL_TOKENS_PER_MIN:
        return c->prompt + c->generated;
    case SIM_SIGNAL_PROMPT_TOKENS_PER_MIN:
        return c->prompt;
    case SIM_SIGNAL_GENERATED_TOKENS_PER_MIN:
        return c->generated;
    default:
        return c->arrived;
    }
}

static double rate(const struct signal_history *h, const struct signal_query *query, double per_s)
{
    const struct snapshot *newest = &h->snapshots[h->count - 1],
                          *base = snapshot_before(h, newest->at_ns - query->window_ns);
    int64_t span_ns = newest->at_ns - base->at_ns;

    if (span_ns == 0)
        return 0;
    return (double)(counted(query->signal, &newest->counters) - counted(query->signal, &base->counters)) * per_s *
           NS_PER_S / (double)span_ns;
}

bool signal_read(const struct signal_history *h, const struct serving *model, const struct signal_query *query,
                 double *value)
{
    struct serving_signals now;
    double ns = 0;
    bool found = true;

    serving_signals(model, &now);
    switch (query->signal) {
    case SIM_SIGNAL_WAITING:
        *value = (double)now.waiting;
        break;
    case SIM_SIGNAL_RUNNING:
        *value = (double)now.running;
        break;
    case SIM_SIGNAL_KV_USAGE:
        *value = now.kv_usage;
        break;
    case SIM_SIGNAL_KV_USAGE_MAX:
        *value = now.kv_usage_max;
        break;
    case SIM_SIGNAL_INFLIGHT_TOKENS:
        *value = (double)now.inflight_tokens;
        break;
    case SIM_SIGNAL_REPLICAS:
        *value = now.replicas;
        break;
    case SIM_SIGNAL_READY_REPLICAS:
        *value = now.ready_replicas;
        break;
    case SIM_SIGNAL_PENDING_REPLICAS:
        *value = now.pending_replicas;
        break;
    case SIM_SIGNAL_TOKENS_PER_MIN:
    case SIM_SIGNAL_PROMPT_TOKENS_PER_MIN:
    case SIM_SIGNAL_GENERATED_TOKENS_PER_MIN:
        *value = rate(h, query, 60);
        break;
    case SIM_SIGNAL_REQUESTS_PER_S:
        *value = rate(h, query, 1);
        break;
    case SIM_SIGNAL_TTFT:
        if ((found = serving_ttft_ns(model, query->window_ns, query->quantile, &ns)))
            *value = ns / NS_PER_S;
        break;
    case SIM_SIGNAL_ITL:
        if ((found = serving_itl_ns(model, query->window_ns, query->quantile, &ns)))
            *value = ns / NS_PER_S;
        break;
    case SIM_SIGNAL_COUNT:
        found = false;
        break;
    }
    return found;
}

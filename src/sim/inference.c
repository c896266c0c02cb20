/*
 * inference: snapshots of the replicas' counters, a row per ready replica, and what follows from them.
 */
#include "sim/inference.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define NS_PER_S 1000000000.0

struct row {
    size_t replica;
    int64_t prompt, generated, finished;
};
struct snapshot {
    int64_t at_ns;
    size_t first, count; /* rows, by replica */
};
struct inference_history {
    struct snapshot *snapshots;
    struct row *rows;
    size_t snapshot_count, snapshot_size, row_count, row_size;
    int64_t keep_ns;
};

struct inference_history *inference_history_new(void)
{
    struct inference_history *h = mem_alloc(sizeof(*h));

    h->keep_ns = INFERENCE_KEEP_NS;
    h->snapshot_size = 64;
    h->snapshots = mem_array(h->snapshot_size, sizeof(*h->snapshots));
    return h;
}

void inference_history_free(struct inference_history *h)
{
    if (!h)
        return;
    free(h->snapshots);
    free(h->rows);
    free(h);
}

/* ------------------------------------------------------------------ keeping */

/* When half of what is kept is too old, all of that goes at once. */
static void forget(struct inference_history *h, int64_t now_ns)
{
    size_t old = 0;

    while (old + 1 < h->snapshot_count && h->snapshots[old + 1].at_ns <= now_ns - h->keep_ns)
        old++;
    if (old < 64 || old * 2 < h->snapshot_count)
        return;
    size_t rows = h->snapshots[old].first;
    memmove(h->snapshots, h->snapshots + old, (h->snapshot_count - old) * sizeof(*h->snapshots));
    memmove(h->rows, h->rows + rows, (h->row_count - rows) * sizeof(*h->rows));
    h->snapshot_count -= old;
    h->row_count -= rows;
    for (size_t i = 0; i < h->snapshot_count; i++)
        h->snapshots[i].first -= rows;
}

static void add_row(struct inference_history *h, const struct row *row)
{
    if (h->row_count == h->row_size) {
        h->row_size = h->row_size ? h->row_size * 2 : 256;
        h->rows = mem_grow(h->rows, h->row_size, sizeof(*h->rows));
    }
    h->rows[h->row_count++] = *row;
}

static struct snapshot *add_snapshot(struct inference_history *h, int64_t at_ns)
{
    struct snapshot *last = &h->snapshots[h->snapshot_count > 0 ? h->snapshot_count - 1 : 0];

    if (h->snapshot_count > 0 && last->at_ns == at_ns) {
        h->row_count = last->first;
        last->count = 0;
        return last;
    }
    if (h->snapshot_count == h->snapshot_size) {
        h->snapshot_size *= 2;
        h->snapshots = mem_grow(h->snapshots, h->snapshot_size, sizeof(*h->snapshots));
    }
    last = &h->snapshots[h->snapshot_count++];
    *last = (struct snapshot){at_ns, h->row_count, 0};
    return last;
}

void inference_snapshot(struct inference_history *h, const struct serving *model)
{
    const size_t *ids;
    size_t live = serving_live(model, &ids);
    struct snapshot *s;

    forget(h, serving_now_ns(model));
    s = add_snapshot(h, serving_now_ns(model));
    for (size_t i = 0; i < live; i++) {
        struct serving_replica r = serving_replica(model, ids[i]);

        if (r.state != REPLICA_READY)
            continue;
        add_row(h, &(struct row){ids[i], r.prompt, r.generated, r.finished});
        s->count++;
    }
}

/* ------------------------------------------------------------------ rates */

/* The newest snapshot that is at least so old, or the first there is. */
static size_t snapshot_at(const struct inference_history *h, int64_t at_ns)
{
    size_t low = 0, high = h->snapshot_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (h->snapshots[middle].at_ns <= at_ns)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static const struct row *row_of(const struct inference_history *h, size_t snapshot, size_t replica)
{
    const struct snapshot *s = &h->snapshots[snapshot];

    for (size_t i = s->first; i < s->first + s->count; i++)
        if (h->rows[i].replica == replica)
            return &h->rows[i];
    return NULL;
}

struct rates { /* per second, of all ready replicas that have two snapshots */
    double prompt, generated, finished;
    size_t replicas;
};

static void add_rate(struct rates *rates, const struct row *from, const struct row *to, int64_t span_ns)
{
    double seconds = (double)span_ns / NS_PER_S;

    rates->prompt += (double)(to->prompt - from->prompt) / seconds;
    rates->generated += (double)(to->generated - from->generated) / seconds;
    rates->finished += (double)(to->finished - from->finished) / seconds;
    rates->replicas++;
}

static struct rates rates_of(const struct inference_history *h, int64_t window_ns)
{
    struct rates rates = {0};

    if (h->snapshot_count < 2)
        return rates;
    const struct snapshot *newest = &h->snapshots[h->snapshot_count - 1];
    size_t base = snapshot_at(h, newest->at_ns - window_ns);
    for (size_t i = newest->first; i < newest->first + newest->count; i++) {
        const struct row *to = &h->rows[i], *from = NULL;
        size_t at = base;

        while (at + 1 < h->snapshot_count && !(from = row_of(h, at, to->replica)))
            at++; /* it was not ready yet */
        if (from)
            add_rate(&rates, from, to, newest->at_ns - h->snapshots[at].at_ns);
    }
    return rates;
}

/* ------------------------------------------------------------------ signals */

static bool read_gauge(const struct serving *model, enum model_inference signal, double *value)
{
    struct serving_signals now;

    serving_signals(model, &now);
    *value = signal == MODEL_WAITING   ? (double)(now.waiting - now.router)
             : signal == MODEL_RUNNING ? (double)now.running
                                       : now.kv_usage;
    return true;
}

static bool read_rate(const struct inference_history *h, const struct model_inference_query *query, double *value)
{
    struct rates rates = rates_of(h, query->window_ns);

    switch (query->signal) {
    case MODEL_TOKENS_PER_MIN:
        *value = (rates.prompt + rates.generated) * 60;
        break;
    case MODEL_PROMPT_TOKENS_PER_MIN:
        *value = rates.prompt * 60;
        break;
    case MODEL_GENERATED_TOKENS_PER_MIN:
        *value = rates.generated * 60;
        break;
    case MODEL_MEAN_PROMPT_TOKENS:
        *value = rates.finished > 0 ? rates.prompt / rates.finished : 0;
        return rates.finished > 0;
    case MODEL_PREEMPTED_PER_S:
        *value = 0;
        break;
    default:
        *value = rates.finished;
        break;
    }
    return rates.replicas > 0;
}

static bool read_span(const struct serving *model, enum serving_span span, const struct model_inference_query *query,
                      double *value)
{
    double ns;

    if (!serving_span_ns(model, span, query->window_ns, query->quantile * 100, &ns))
        return false;
    *value = ns / NS_PER_S;
    return true;
}

/* The product of the shares within the limits that are given. */
static bool read_goodput(const struct serving *model, const struct model_inference_query *query, double *value)
{
    double ttft = 1, itl = 1;

    if (query->ttft_ns > 0 && !serving_share_within(model, SERVING_TTFT, query->window_ns, query->ttft_ns, &ttft))
        return false;
    if (query->itl_ns > 0 && !serving_share_within(model, SERVING_ITL, query->window_ns, query->itl_ns, &itl))
        return false;
    *value = ttft * itl;
    return true;
}

static bool any_ready(const struct serving *model)
{
    struct serving_signals now;

    serving_signals(model, &now);
    return now.ready_replicas > 0;
}

bool inference_read(struct inference_history *h, const struct serving *model, const struct model_inference_query *query,
                    double *value)
{
    if (query->window_ns > h->keep_ns)
        h->keep_ns = query->window_ns;
    if (!any_ready(model))
        return false;
    switch (query->signal) {
    case MODEL_WAITING:
    case MODEL_RUNNING:
    case MODEL_KV_USAGE:
        return read_gauge(model, query->signal, value);
    case MODEL_TTFT:
        return read_span(model, SERVING_TTFT, query, value);
    case MODEL_ITL:
        return read_span(model, SERVING_ITL, query, value);
    case MODEL_E2E:
        return read_span(model, SERVING_E2E, query, value);
    case MODEL_QUEUE_TIME:
        return read_span(model, SERVING_QUEUED, query, value);
    case MODEL_GOODPUT:
        return read_goodput(model, query, value);
    case MODEL_INFERENCE_COUNT:
        return false;
    default:
        return read_rate(h, query, value);
    }
}

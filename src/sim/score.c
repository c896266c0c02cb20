/*
 * score: the figures, each a walk over what the model remembers: requests, replicas, scale events.
 */
#include "sim/score.h"

#include <stdlib.h>

#include "base/arena.h"

#define NS_PER_S    INT64_C(1000000000)
#define REVERSAL_NS (600 * NS_PER_S) /* a slower reversal follows the load (serving-model.md 9) */
#define WINDOW_NS   (15 * NS_PER_S)
enum { WINDOW_S = 15, WINDOW_GOOD_PERCENT = 99 };

/* ------------------------------------------------------------------ one request */

int64_t score_allowed_ns(int64_t once_ns, int64_t each_ns, int64_t count)
{
    __int128 allowed = once_ns + (__int128)each_ns * count;

    return allowed > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)allowed;
}

static int64_t ttft_limit_ns(const struct serving_request *q, const struct score_goals *goals)
{
    return score_allowed_ns(goals->ttft_ns, goals->ttft_per_token_ns, q->prompt);
}

bool score_ttft_ok(const struct serving_request *q, const struct score_goals *goals)
{
    return q->first_ns >= 0 && q->first_ns - q->arrival_ns <= ttft_limit_ns(q, goals);
}

bool score_itl_ok(const struct serving_request *q, const struct score_goals *goals)
{
    return q->finished_ns >= 0 && q->finished_ns - q->first_ns <= score_allowed_ns(0, goals->itl_ns, q->generated - 1);
}

/* Within the limit on an idle replica: no policy could do better. */
static bool attainable(const struct serving_request *q, const struct score_goals *goals,
                       const struct serving_profile *profile)
{
    int64_t prompt_ns = (int64_t)((__int128)q->prompt * NS_PER_S / profile->prefill_tps);
    int64_t steps = (q->prompt + profile->chunk_tokens - 1) / profile->chunk_tokens;

    return !q->rejected && prompt_ns + steps * profile->itl_base_ns <= ttft_limit_ns(q, goals);
}

/* ------------------------------------------------------------------ shares */

struct tally {
    int64_t requests, in_slo, ttft_ok, itl_ok, attainable;
};

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 1;
}

static void score_shares(struct score *out, const struct serving *model, const struct score_goals *goals,
                         int64_t warmup_ns)
{
    const struct serving_request *requests;
    size_t count = serving_requests(model, &requests);
    struct tally t = {0};

    for (size_t i = 0; i < count; i++) {
        const struct serving_request *q = &requests[i];

        if (q->arrival_ns < warmup_ns)
            continue;
        bool ttft = score_ttft_ok(q, goals), itl = score_itl_ok(q, goals);
        t.requests++;
        t.ttft_ok += ttft;
        t.itl_ok += itl;
        t.in_slo += ttft && itl;
        t.attainable += attainable(q, goals, serving_profile_of(model));
    }
    out->requests = (double)t.requests;
    out->in_slo = share(t.in_slo, t.requests);
    out->ttft_ok = share(t.ttft_ok, t.requests);
    out->itl_ok = share(t.itl_ok, t.requests);
    out->attainable = share(t.attainable, t.requests);
}

/* ------------------------------------------------------------------ latencies */

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* Nearest rank: element max(1, ceil(q * n / 100)). */
static int64_t nearest_rank(const int64_t *sorted, size_t count, size_t percent)
{
    size_t rank = (percent * count + 99) / 100;

    return count == 0 ? -1 : sorted[rank > 0 ? rank - 1 : 0];
}

static void score_latencies(struct score *out, const struct serving *model, int64_t warmup_ns)
{
    const struct serving_request *requests;
    size_t count = serving_requests(model, &requests), served = 0;
    int64_t *ttft = mem_array(count ? count : 1, sizeof(*ttft));

    for (size_t i = 0; i < count; i++)
        if (requests[i].arrival_ns >= warmup_ns && requests[i].first_ns >= 0)
            ttft[served++] = requests[i].first_ns - requests[i].arrival_ns;
    qsort(ttft, served, sizeof(*ttft), by_value);
    out->ttft_p50_ns = nearest_rank(ttft, served, 50);
    out->ttft_p99_ns = nearest_rank(ttft, served, 99);
    free(ttft);
}

/* ------------------------------------------------------------------ bad stretches */

struct window {
    int64_t requests, in_slo;
};

/* The longest run of bad windows; one without arrivals is as its predecessor. */
static int64_t longest_bad(const struct window *windows, size_t count)
{
    int64_t run = 0, longest = 0;

    for (size_t i = 0; i < count; i++) {
        bool bad =
            windows[i].requests > 0 ? windows[i].in_slo * 100 < windows[i].requests * WINDOW_GOOD_PERCENT : run > 0;

        run = bad ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    return longest;
}

/* Windows cover the scored span; those of later arrivals follow. */
static void score_recovery(struct score *out, const struct serving *model, const struct score_goals *goals,
                           const struct score_span *span)
{
    const struct serving_request *requests;
    size_t request_count = serving_requests(model, &requests);
    int64_t end_ns = span->duration_ns;

    if (request_count > 0 && requests[request_count - 1].arrival_ns >= end_ns)
        end_ns = requests[request_count - 1].arrival_ns + 1;
    if (end_ns <= span->warmup_ns)
        return;
    size_t count = (size_t)((end_ns - span->warmup_ns + WINDOW_NS - 1) / WINDOW_NS);
    struct window *windows = mem_array(count, sizeof(*windows));
    for (size_t i = 0; i < request_count; i++) {
        if (requests[i].arrival_ns < span->warmup_ns)
            continue;
        struct window *w = &windows[(requests[i].arrival_ns - span->warmup_ns) / WINDOW_NS];
        w->requests++;
        w->in_slo += score_ttft_ok(&requests[i], goals) && score_itl_ok(&requests[i], goals);
    }
    out->recovery_s = (double)(longest_bad(windows, count) * WINDOW_S);
    free(windows);
}

/* ------------------------------------------------------------------ cost and calm */

static void score_cost(struct score *out, const struct serving *model, const struct score_span *span)
{
    int64_t total_ns = 0;

    for (size_t i = 0; i < serving_replica_count(model); i++) {
        struct serving_replica r = serving_replica(model, i);
        int64_t from = r.created_ns > span->warmup_ns ? r.created_ns : span->warmup_ns;
        int64_t to = r.gone_ns >= 0 && r.gone_ns < span->duration_ns ? r.gone_ns : span->duration_ns;

        if (to > from)
            total_ns += to - from;
    }
    out->replica_hours = (double)total_ns / (3600.0 * (double)NS_PER_S);
}

static int64_t magnitude(int64_t change)
{
    return change < 0 ? -change : change;
}

void score_moves(struct score_moves *out, const struct serving_event *events, size_t count,
                 const struct score_span *span)
{
    const struct serving_event *previous = NULL;

    *out = (struct score_moves){0};
    for (size_t i = 0; i < count; i++) {
        const struct serving_event *e = &events[i];
        int64_t change = (int64_t)e->after - e->before;

        if (e->at_ns < span->warmup_ns || e->at_ns >= span->duration_ns || change == 0)
            continue;
        out->events++;
        out->ups += change > 0;
        out->downs += change < 0;
        if (previous && e->at_ns - previous->at_ns <= REVERSAL_NS) {
            int64_t before = (int64_t)previous->after - previous->before;

            if ((before > 0) != (change > 0))
                out->oscillation += magnitude(before) < magnitude(change) ? magnitude(before) : magnitude(change);
        }
        previous = e;
    }
}

void score_watch(struct score_peaks *peaks, const struct serving *model)
{
    int64_t requests, tokens;

    serving_backlog(model, &requests, &tokens);
    if ((double)requests > peaks->waiting)
        peaks->waiting = (double)requests;
    if ((double)tokens > peaks->waiting_tokens)
        peaks->waiting_tokens = (double)tokens;
}

void score_run(struct score *out, const struct serving *model, const struct score_goals *goals,
               const struct score_span *span, const struct score_peaks *peaks)
{
    const struct serving_event *events;
    size_t event_count = serving_events(model, &events);

    *out = (struct score){.worst = *peaks};
    score_shares(out, model, goals, span->warmup_ns);
    score_latencies(out, model, span->warmup_ns);
    score_recovery(out, model, goals, span);
    score_cost(out, model, span);
    score_moves(&out->moves, events, event_count, span);
}

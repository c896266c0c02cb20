/*
 * score: how well a run of the serving model went: the share of requests in their goals, what it cost, how calm it was (serving-model.md 5).
 *
 *     struct score score;
 *     score_run(&score, model, &goals, &(struct score_span){.warmup_ns = 0, .duration_ns = D}, &peaks);
 *
 * A request is in SLO if its first token came within ttft_ns + ttft_per_token_ns * prompt of its arrival, and the rest within itl_ns a
 * token. Requests, cost and events before the warm-up's end do not count. Pure.
 */
#ifndef WEIR_SIM_SCORE_H
#define WEIR_SIM_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/serving.h"

struct score_goals {
    int64_t ttft_ns, ttft_per_token_ns, itl_ns;
};
#define SCORE_GOALS_DEFAULT ((struct score_goals){INT64_C(2000000000), 0, INT64_C(100000000)})

struct score_span {
    int64_t warmup_ns, duration_ns; /* [warm-up, duration) is scored */
};
struct score_peaks { /* the largest backlog at the end of an instant, see score_watch; amounts, in the fluid model */
    double waiting, waiting_tokens;
};
struct score_moves { /* scale events, and replicas moved and moved back within ten minutes */
    int64_t events, ups, downs, oscillation;
};
struct score {
    double requests;                /* a whole number; an amount, in the fluid model */
    double in_slo, ttft_ok, itl_ok; /* shares of all requests; 1 without any */
    double attainable;              /* likewise; -1: not known, in the fluid model */
    double replica_hours;
    struct score_moves moves;
    struct score_peaks worst;
    double recovery_s;                /* the longest stretch with under 99 % in SLO */
    int64_t ttft_p50_ns, ttft_p99_ns; /* -1: no request had a first token */
};

/* once + each * count, at most a quarter of what 64 bits hold: times can be added to it. */
int64_t score_allowed_ns(int64_t once_ns, int64_t each_ns, int64_t count);
bool score_ttft_ok(const struct serving_request *request, const struct score_goals *goals);
bool score_itl_ok(const struct serving_request *request, const struct score_goals *goals);
/* To be called at the end of every instant that counts. */
void score_watch(struct score_peaks *peaks, const struct serving *model);
void score_moves(struct score_moves *out, const struct serving_event *events, size_t count,
                 const struct score_span *span);
void score_run(struct score *out, const struct serving *model, const struct score_goals *goals,
               const struct score_span *span, const struct score_peaks *peaks);

#endif

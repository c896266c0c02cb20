/*
 * fluid: the serving model in amounts instead of requests, a step at a time: weeks of sums in a blink (serving-model.md 4).
 *
 *     struct fluid *f = fluid_new(&options, &err);
 *     fluid_begin(f, 0);               -- every step before this one is done; replicas whose time has come are ready
 *     fluid_read(f, &query, &value);   -- what the steps before left
 *     fluid_scale(f, 3);               -- acts on this step
 *     fluid_begin(f, 1);
 *
 *     demand of all steps (known from the start) --+
 *     replicas of this step -----------------------+--> served, backlog, batch, times --> a row per step, running sums beside it
 *
 * A step allocates nothing; a window of any length is the difference of two running sums. Waits are summed with their rounding
 * errors kept, so that a long overload does not blur what comes after it. Pure. Not for threads.
 */
#ifndef WEIR_SIM_FLUID_H
#define WEIR_SIM_FLUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/model.h"

/* ------------------------------------------------------------------ demand, known beforehand */

struct fluid_engine { /* a profile in seconds */
    double prefill_tps, base_s, per_sequence_s, max_batch, kv_tokens, chunk_tokens;
};
struct fluid_demand {                    /* of one step */
    double requests_per_s, tokens_per_s; /* tokens: prompt and generated */
    double prompt_share;                 /* of the tokens */
    double prompt_each, generated_each;  /* of a request */
    double batch_max;                    /* that the KV cache has room for */
    double cost_s;                       /* replica seconds a token costs at full batch */
    double idle_ttft_s;                  /* on an idle replica */
};
struct fluid_grid {
    struct fluid_engine engine;
    int64_t step_ns;
    double step_s;
    size_t count; /* steps */
    struct fluid_demand *demand;
    int32_t startup_steps;
};
/* false: of these options no fluid model can be made; err says why. */
bool fluid_grid_init(struct fluid_grid *grid, const struct model_options *options, struct error *err);
void fluid_grid_done(struct fluid_grid *grid);

/* ------------------------------------------------------------------ one replica's steady state, and what share that holds */

struct fluid_state {
    double base_s; /* mean time to the first token without a backlog */
    double batch, itl_s;
};
/* utilization: of its capacity; tokens_per_s: of one replica. */
void fluid_state(const struct fluid_engine *engine, const struct fluid_demand *demand, double utilization,
                 double tokens_per_s, struct fluid_state *out);
/* Shares within a limit, where the wait goes from one to the other in the step. */
double fluid_share_ttft(double limit_s, double base_s, double wait_before_s, double wait_after_s);
double fluid_share_itl(double limit_s, double itl_s);
/* Limits for a step of this demand. */
double fluid_ttft_limit_s(const struct score_goals *goals, const struct fluid_demand *demand);

/* ------------------------------------------------------------------ the model */

struct fluid_step { /* a step that is done */
    int32_t ready, starting, replicas;
    bool stuck; /* there was work and no replica: the waits have no end */
    double utilization, batch, itl_s, base_s;
    double wait_before_s, wait_after_s, wait_s, ttft_s;
    double backlog; /* tokens left */
    /* running sums up to and with this step */
    double prompt, generated, requests, finished;
    double wait_sum, wait_lost, base_sum,
        base_lost; /* with what rounding took away; waits without end are counted instead */
    int64_t stuck_sum;
};

struct fluid;
/* NULL and err: see fluid_grid_init. */
struct fluid *fluid_new(const struct model_options *options, struct error *err);
void fluid_free(struct fluid *fluid);

const struct fluid_grid *fluid_grid_of(const struct fluid *fluid);
/* Steps before this one are done, at most all there are. */
void fluid_begin(struct fluid *fluid, size_t step);
void fluid_cut(struct fluid *fluid); /* there are no more steps than those that are done */
size_t fluid_steps(const struct fluid *fluid, const struct fluid_step **out); /* those that are done */
void fluid_counts(const struct fluid *fluid, struct model_counts *out);
void fluid_scale(struct fluid *fluid, int32_t replicas);
size_t fluid_events(const struct fluid *fluid, const struct serving_event **out);

/* false: missing, there was no step yet. */
bool fluid_read(const struct fluid *fluid, const struct signal_query *query, double *value);
bool fluid_inference(const struct fluid *fluid, const struct model_inference_query *query, double *value);
/* The share of a step's requests in both goals. */
double fluid_share(const struct fluid *fluid, size_t step, const struct score_goals *goals);
void fluid_score(const struct fluid *fluid, const struct score_goals *goals, int64_t warmup_ns, struct score *out);

#endif

/*
 * model: a workload under demand, in either of two models: requests one by one (serving.h), or amounts in steps for weeks of sums
 * (fluid.h). What runs policies against it needs to know neither which it is nor how it works (serving-model.md 2-5).
 *
 *     struct model *m = model_new(&options, &err);
 *     model_until(m, now_ns);                          -- demand, step ends and readiness up to and at this instant (phases 1 to 3)
 *     model_read(m, &query, &value);                   -- phases 4 and 5: questions, then writes
 *     model_scale(m, 3);
 *     model_until(m, later_ns);                        -- closes the instant before
 *     model_finish(m);                                 -- demand that is still open is served, for an hour at most
 *     model_score(m, &goals, &score);
 *
 * Times are nanoseconds since the start; instants must not go back. In the fluid model an instant is a step: now_ns is cut to the step it
 * lies in, and a write acts on that step. Pure: no clock, no input or output. Not for threads; models of one process do not meet.
 */
#ifndef WEIR_SIM_MODEL_H
#define WEIR_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/score.h"
#include "sim/serving.h"
#include "sim/signal.h"
#include "sim/trace.h"

struct error;
struct fluid;

struct model_bucket { /* the mean over bucket_ns */
    double requests_per_s, prompt_tokens_per_s, generated_tokens_per_s;
};

struct model_options {
    struct serving_profile profile;
    struct serving_startup startup; /* the fluid model takes fixed ones, in whole steps */
    int32_t initial;                /* ready replicas at the start */
    int64_t duration_ns;            /* -1: until the demand ends, in whole minutes */
    int64_t warmup_ns;              /* not scored */
    /* requests one by one, by time; borrowed */
    const struct trace_request *requests;
    size_t request_count;
    /* or sums; borrowed. bucket_count > 0 chooses the fluid model */
    const struct model_bucket *buckets;
    size_t bucket_count;
    int64_t bucket_ns, step_ns; /* step 0: 15 s */
    double noise;               /* 0: none */
    uint64_t seed;
};

struct model;

/* false of a combination that has no meaning: err says which number is wrong, and what it may be. */
struct model *model_new(const struct model_options *options, struct error *err);
void model_free(struct model *model);

int64_t model_duration_ns(const struct model *model); /* of the fluid model: in whole steps */
/* What happens up to and at that instant. false: the run is over before it: the duration has passed, and every request is served or an
   hour more went by (serving-model.md 2.8). Nobody looks or writes then. */
bool model_until(struct model *model, int64_t now_ns);
void model_finish(struct model *model);
void model_cut(
    struct model *model); /* the run ends at this instant: what would have come later does not; before model_finish */

struct model_counts {
    int32_t replicas, ready, pending, draining; /* replicas: what was last written */
};
void model_counts(const struct model *model, struct model_counts *out);
void model_scale(struct model *model, int32_t replicas); /* at the instant of model_until */

/* Stores the counters of this instant, as every scrape, tick and probe does: rates are taken between snapshots (serving-model.md 3). */
void model_snapshot(struct model *model);
/* A signal as a gateway reports it. false: missing. */
bool model_read(const struct model *model, const struct signal_query *query, double *value);

/* What the trigger `inference` sees (docs/triggers/inference.md): ready replicas only, missing without any; windows between two snapshots,
   missing before there are two. Names as the trigger has them. */
/* clang-format off */
#define MODEL_INFERENCE(SIGNAL)                                                                                        \
    SIGNAL(WAITING, "waiting")                                                                                         \
    SIGNAL(RUNNING, "running")                                                                                         \
    SIGNAL(KV_USAGE, "kv_usage")                                                                                       \
    SIGNAL(REQUESTS_PER_S, "requests_per_s") /* finished ones */                                                       \
    SIGNAL(FINISHED_PER_S, "finished_per_s")                                                                           \
    SIGNAL(PREEMPTED_PER_S, "preempted_per_s") /* 0: nothing ever is */                                                \
    SIGNAL(TOKENS_PER_MIN, "tokens_per_min")                                                                           \
    SIGNAL(PROMPT_TOKENS_PER_MIN, "prompt_tokens_per_min")                                                             \
    SIGNAL(GENERATED_TOKENS_PER_MIN, "generated_tokens_per_min")                                                       \
    SIGNAL(MEAN_PROMPT_TOKENS, "mean_prompt_tokens")                                                                   \
    SIGNAL(TTFT, "ttft")                                                                                               \
    SIGNAL(ITL, "itl")                                                                                                 \
    SIGNAL(E2E, "e2e")                                                                                                 \
    SIGNAL(QUEUE_TIME, "queue_time")                                                                                   \
    SIGNAL(GOODPUT, "goodput")
/* clang-format on */
enum model_inference {
#define SIGNAL(id, name) MODEL_##id,
    MODEL_INFERENCE(SIGNAL)
#undef SIGNAL
        MODEL_INFERENCE_COUNT
};
enum model_inference model_inference_named(const char *name); /* MODEL_INFERENCE_COUNT: there is none of that name */
struct model_inference_query {
    enum model_inference signal;
    int64_t window_ns;
    double quantile;         /* 0..1; of ttft, itl, e2e, queue_time */
    int64_t ttft_ns, itl_ns; /* limits of goodput; 0: that one is not looked at */
};
bool model_inference(struct model *model, const struct model_inference_query *query, double *value);

/* After model_finish. Of the fluid model only what it knows (serving-model.md 5). */
void model_score(const struct model *model, const struct score_goals *goals, struct score *out);
size_t model_events(const struct model *model, const struct serving_event **out);
/* What is inside, to look at; the other one is NULL. */
const struct serving *model_serving(const struct model *model);
const struct fluid *model_fluid(const struct model *model);

#endif

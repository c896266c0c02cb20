/* engine_internal: what the two engines share: the moments of their tasks, what was read, the decision being made. */
#ifndef WEIR_SIM_ENGINE_INTERNAL_H
#define WEIR_SIM_ENGINE_INTERNAL_H

#include "decide/hpa_object.h"
#include "sim/engine.h"

struct sim_engine {
    struct sim_engine_options options;
    struct decide_rules rules; /* of keda-hpa: in hpa mode, as KEDA has them */
    struct decide_memory *memory;
    struct sample *samples; /* one per trigger */
    int64_t *good_at_ms;
    struct decision decision;
    int64_t next_scrape_ms, next_poll_ms, next_sync_ms; /* INT64_MAX: never */

    /* keda-hpa */
    struct scaling_behavior behavior;
    struct hpa_object hpa;
    struct hpa_controller controller;
    struct hpa_state state;
    struct hpa_metric *metrics;
    int32_t *metric_causes; /* of a metric: the trigger, or CAUSE_FORMULA */
    struct hpa_samples *hpa_samples;
    int64_t *milli; /* one per metric */
    bool needs_pods;
    struct pod_fact *pods;
    size_t pod_size;
    struct pod_usage *usage, *no_usage; /* of a ready pod and of one that is not: one per metric */
};

/* ---- engine.c ---- */
void sim_engine_read(struct sim_engine *e, int64_t now_ms);
void sim_engine_facts(const struct sim_engine *e, int64_t now_ms, struct decide_facts *out);

/* ---- engine_keda.c ---- */
void keda_engine_init(struct sim_engine *e);
void keda_engine_done(struct sim_engine *e);
void keda_engine_poll(struct sim_engine *e, int64_t now_ms);
void keda_engine_sync(struct sim_engine *e, int64_t now_ms);

/* ---- engine_words.c ---- */
/* The decision holds what KEDA's evaluation says; what the HPA made of it replaces what KEDA's operator would do. */
void keda_engine_tell(struct sim_engine *e, const struct hpa_outcome *outcome);

#endif

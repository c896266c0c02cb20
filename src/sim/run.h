/*
 * run: one run of a model to its end under scripted writes, an engine, or both: who looks and acts at which instant, in which order
 * (serving-model.md 2.7, 2.8).
 *
 *     run_model(&(struct run){.plan = writes, .plan_count = n, .engine = engine}, model);
 *     model_score(model, &goals, &score);
 *
 * Within an instant: step ends, readiness, arrivals; probes; then what the engine reads at its scrapes; scripted writes, the engine's polls and
 * ticks; its syncs; then new steps are planned. Pure. Not for threads.
 */
#ifndef WEIR_SIM_RUN_H
#define WEIR_SIM_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "sim/model.h"

struct sim_engine;

struct run_write { /* to /scale */
    int64_t at_ns;
    int32_t replicas;
};

struct run {
    const struct run_write *plan; /* by time */
    size_t plan_count;
    const int64_t *probes_ns; /* by time */
    size_t probe_count;
    void (*on_probe)(void *arg, struct model *model);
    void *arg;
    struct sim_engine *engine; /* NULL: none */
};

/* The model is new; it is finished afterwards. */
void run_model(const struct run *run, struct model *model);

#endif

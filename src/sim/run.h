/*
 * run: one run of the serving model from a trace: what happens at which instant, in which order (serving-model.md 2.7, 2.8).
 *
 *     struct run run = {.requests = requests, .request_count = n, .plan = writes, .plan_count = m, .duration_ns = -1};
 *     struct score_peaks peaks;
 *     run_until_served(&run, model, &peaks);
 *
 * Within an instant: step ends, readiness, arrivals; then probes look; then scripted writes; then new steps are planned. A run lasts to
 * its duration, and beyond it until every request is served, at most RUN_OVERTIME_NS. Pure. Not for threads.
 */
#ifndef WEIR_SIM_RUN_H
#define WEIR_SIM_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "sim/score.h"
#include "sim/serving.h"
#include "sim/trace.h"

#define RUN_OVERTIME_NS (3600 * INT64_C(1000000000)) /* what is not served an hour after the end is a miss */

struct run_write { /* to /scale */
    int64_t at_ns;
    int32_t replicas;
};

struct run {
    const struct trace_request *requests; /* by time */
    size_t request_count;
    const struct run_write *plan; /* by time */
    size_t plan_count;
    const int64_t *probes_ns; /* by time */
    size_t probe_count;
    void (*on_probe)(void *arg, const struct serving *model);
    void *arg;
    int64_t duration_ns; /* -1: the last arrival, rounded up to a whole minute */
    int64_t warmup_ns;
};

int64_t run_duration_ns(const struct run *run);
/* The model is new. peaks: of the backlog, from the warm-up's end on. */
void run_until_served(const struct run *run, struct serving *model, struct score_peaks *peaks);

#endif

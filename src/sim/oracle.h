/*
 * oracle: what an all-knowing policy would have cost (serving-model.md 6). Two numbers; the optimum lies between them.
 *     bound  provable: nobody can cost less at that share of requests in their goals; a result below it is a bug
 *     plan   what an all-knowing plan really cost in the model; ratios in reports are to it
 *
 * Pure, and slow: a bound takes seconds, a plan many runs of the model. `stop` (may be NULL) is looked at between rounds: true ends the
 * search with the best so far. Not for threads.
 */
#ifndef WEIR_SIM_ORACLE_H
#define WEIR_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/model.h"
#include "sim/run.h"

struct oracle_options {
    struct score_goals goals;
    double share; /* of requests in their goals that is wanted: 0.99 */
    const bool *stop;
};

struct oracle_plan {
    struct run_write *writes; /* malloc'ed */
    size_t count;
    int32_t initial;
    struct score score; /* of its run */
    bool reached;       /* false: no plan that was tried has that share; the score is of the best one */
};

/* Replica seconds; 0: nothing can be said. Of very large fleets it says less (SIM_BOUND_STATES_MAX, SIM_BOUND_MISSES_MAX). */
double oracle_bound(const struct model_options *options, const struct oracle_options *oracle);
/* The cheapest plan of those tried that reaches the share. */
void oracle_plan(const struct model_options *options, const struct oracle_options *oracle, struct oracle_plan *out);
void oracle_plan_free(struct oracle_plan *plan);

#endif

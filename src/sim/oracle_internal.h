/* oracle_internal: the parts of the oracle, each as serving-model.md 6 has it; the face is oracle.h. */
#ifndef WEIR_SIM_ORACLE_INTERNAL_H
#define WEIR_SIM_ORACLE_INTERNAL_H

#include "sim/fluid.h"
#include "sim/oracle.h"

/* ---- oracle.c: the best price ---- */
/* What a bound is at a price per missed request. */
typedef double oracle_at_price(void *arg, double price);
/* The highest value over the search: golden section on log10 of the price, and the price of 10^6. stop: NULL, or looked at between rounds. */
double oracle_search(oracle_at_price *at_price, void *arg, double log_low, double log_high, const bool *stop);

/* ---- oracle_bound.c: requests (6.1) ---- */
struct bound_options {
    struct serving_profile profile;
    const struct trace_request *requests; /* by time; borrowed */
    size_t request_count;
    int64_t startup_ns, start_ns, end_ns;
    int64_t cell_ns, units; /* BOUND_CELL_NS, BOUND_UNITS */
    struct score_goals goals;
    double share;
    const bool *stop;
};
#define BOUND_CELL_NS (5 * INT64_C(1000000000))
#define BOUND_UNITS   8
double bound_requests(const struct bound_options *options);

/* ---- oracle_fluid.c: amounts (6.2) ---- */
/* The share in their goals of a replica kept at that utilization, without waits. */
double fluid_share_at(const struct fluid_grid *grid, size_t step, const struct score_goals *goals, double utilization);
/* The highest utilization that holds the share. */
double fluid_limit(const struct fluid_grid *grid, size_t step, const struct score_goals *goals, double share);
/* Work of a step in replicas. */
double fluid_work(const struct fluid_demand *demand);
/* limits: fluid_limit of every step from `first` on. */
double bound_fluid(const struct fluid_grid *grid, size_t first, const double *limits, const struct oracle_options *o);

/* ---- oracle_plan.c (6.3) ---- */
/* Replicas that the load of each cell asks for, in replicas; malloc'ed. */
double *plan_load(const struct serving_profile *profile, const struct trace_request *requests, size_t count,
                  int64_t end_ns, size_t *cells);
/* need: how many it takes in each cell when loaded to that share of their time. */
void plan_need(const double *load, size_t cells, double utilization, size_t half, int32_t *need);
/* Short pauses of a level are kept: stopping and starting again would cost more. In place. */
void plan_levels(int32_t *need, size_t count, size_t gap);
/* The writes that have so many ready in each cell, `early` cells ahead of every rise. The first is `initial`. */
size_t plan_writes(const int32_t *need, size_t count, size_t early, int64_t cell_ns, int32_t *initial,
                   struct run_write *writes);
#define PLAN_CELL_NS (5 * INT64_C(1000000000))

#endif

/*
 * sim_oracle: the kinds about the oracle. Bounds hold to 1e-6 relative.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "sim/oracle_internal.h"
#include "sim_case.h"

#define BOUND_CLOSE 1e-6

static void compare_list(struct decide_case *c, const char *key, const double *got, size_t count)
{
    const struct tree *list = tree_get(c->expect, key), *node = first_of(list);

    if (!list || !same_count(c, key, list, count))
        return;
    for (size_t i = 0; i < count; i++, node = node->next) {
        char place[64];

        snprintf(place, sizeof(place), "%s[%zu]", key, i);
        compare_within(c, node, place, got[i], CLOSE);
    }
}

void run_bound(struct decide_case *c)
{
    struct trace trace = read_requests(tree_get(c->in, "requests"));
    struct bound_options options = {.requests = trace.requests,
                                    .request_count = trace.count,
                                    .startup_ns = integer_or(c->in, "startup_ns", 0),
                                    .start_ns = integer_or(c->in, "start_ns", 0),
                                    .end_ns = integer_or(c->in, "end_ns", 0),
                                    .cell_ns = integer_or(c->in, "cell_ns", BOUND_CELL_NS),
                                    .units = integer_or(c->in, "units", BOUND_UNITS),
                                    .goals = read_goals(tree_get(c->in, "slo")),
                                    .share = number_or(c->in, "share", 0.99)};

    if (!read_profile(tree_get(c->in, "profile"), &options.profile))
        differ_text(c, "profile", "a profile this runner can read", "something else");
    else
        compare_within(c, tree_get(c->expect, "replica_s"), "replica_s", bound_requests(&options), BOUND_CLOSE);
    trace_free(&trace);
}

void run_bound_fluid(struct decide_case *c)
{
    struct oracle_options oracle = {.goals = read_goals(tree_get(c->in, "slo")),
                                    .share = number_or(c->in, "share", 0.99)};
    struct model_options options;
    struct fluid_grid grid;
    struct error err;

    if (!read_fluid(c, &options))
        return;
    if (!fluid_grid_init(&grid, &options, &err))
        return differ_text(c, "model", "a run", err.text);
    double *work = arena_array(c->arena, grid.count + 1, sizeof(*work));
    double *limits = arena_array(c->arena, grid.count + 1, sizeof(*limits));
    for (size_t k = 0; k < grid.count; k++) {
        work[k] = fluid_work(&grid.demand[k]);
        limits[k] = fluid_limit(&grid, k, &oracle.goals, oracle.share);
    }
    compare_list(c, "work", work, grid.count);
    compare_list(c, "limit", limits, grid.count);
    compare_within(c, tree_get(c->expect, "replica_s"), "replica_s", bound_fluid(&grid, 0, limits, &oracle),
                   BOUND_CLOSE);
    fluid_grid_done(&grid);
}

static void compare_writes(struct decide_case *c, const struct run_write *writes, size_t count)
{
    const struct tree *list = tree_get(c->expect, "plan"), *row = first_of(list);

    if (!list || !same_count(c, "plan", list, count))
        return;
    for (size_t i = 0; i < count; i++, row = row->next)
        compare_row(c, "plan", i, row, (int64_t[]){writes[i].at_ns, writes[i].replicas}, 2, false);
}

void run_plan(struct decide_case *c)
{
    struct trace trace = read_requests(tree_get(c->in, "requests"));
    int64_t startup_ns = integer_or(c->in, "startup_ns", 0);
    struct serving_profile profile;
    size_t cells;
    int32_t initial;

    if (!read_profile(tree_get(c->in, "profile"), &profile)) {
        trace_free(&trace);
        return differ_text(c, "profile", "a profile this runner can read", "something else");
    }
    double *load = plan_load(&profile, trace.requests, trace.count, integer_or(c->in, "end_ns", 0), &cells);
    int32_t *need = arena_array(c->arena, cells + 1, sizeof(*need));
    struct run_write *writes = arena_array(c->arena, cells + 1, sizeof(*writes));
    plan_need(load, cells, number_or(c->in, "util", 1), (size_t)integer_or(c->in, "half", 0), need);
    plan_levels(need, cells, (size_t)(startup_ns / PLAN_CELL_NS));
    size_t count = plan_writes(need, cells, (size_t)((startup_ns + PLAN_CELL_NS - 1) / PLAN_CELL_NS), PLAN_CELL_NS,
                               &initial, writes);
    compare_list(c, "load", load, cells);
    compare_integer(c, c->expect, "initial", initial);
    compare_writes(c, writes, count);
    free(load);
    trace_free(&trace);
}

void run_levels(struct decide_case *c)
{
    const struct tree *list = tree_get(c->in, "need"), *expect = tree_get(c->expect, "n");
    int32_t *need = arena_array(c->arena, tree_count(list) + 1, sizeof(*need));
    size_t count = 0;

    for (const struct tree *n = first_of(list); n; n = n->next) {
        int64_t value = 0;

        tree_integer(n, &value);
        need[count++] = (int32_t)value;
    }
    plan_levels(need, count, (size_t)integer_or(c->in, "gap", 0));
    if (same_count(c, "n", expect, count))
        for (size_t i = 0; i < count; i++)
            compare_column(c, expect, i, "n", need[i], false);
}

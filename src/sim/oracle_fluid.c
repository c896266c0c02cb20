/*
 * oracle_fluid: the lower bound for amounts. Each step is judged by itself, as if it had neither a backlog nor a past: what share its
 * requests would be in with n replicas is known beforehand, so that a program over n alone finds the cheapest row (serving-model.md 6.2).
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "sim/oracle_internal.h"

#define NS_PER_S    1000000000.0
#define LIMIT_LEAST 0.05 /* a utilization below it would ask for fleets without end */
enum { LIMIT_HALVINGS = 30 };

double fluid_work(const struct fluid_demand *demand)
{
    return demand->tokens_per_s * demand->cost_s;
}

double fluid_share_at(const struct fluid_grid *grid, size_t step, const struct score_goals *goals, double utilization)
{
    const struct fluid_demand *d = &grid->demand[step];
    struct fluid_state state;

    fluid_state(&grid->engine, d, utilization, utilization / d->cost_s, &state);
    return fluid_share_ttft(fluid_ttft_limit_s(goals, d), state.base_s, 0, 0) *
           fluid_share_itl((double)goals->itl_ns / NS_PER_S, state.itl_s);
}

double fluid_limit(const struct fluid_grid *grid, size_t step, const struct score_goals *goals, double share)
{
    double low = 0, high = 1;

    if (fluid_share_at(grid, step, goals, 1) >= share)
        return 1;
    for (int i = 0; i < LIMIT_HALVINGS; i++) {
        double middle = (low + high) / 2;

        if (fluid_share_at(grid, step, goals, middle) >= share)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ------------------------------------------------------------------ the bound */

struct fluid_bound {
    const struct fluid_grid *grid;
    const struct oracle_options *options;
    size_t first;
    size_t width;    /* 0 to the largest number of replicas that can be worth it, or that there is room for */
    bool narrowed;   /* there was no room for all */
    double *misses;  /* requests missed, per step and replicas */
    double requests; /* all */
    double startup_s;
    double *cost;
};

static double miss_of(const struct fluid_grid *grid, size_t k, const struct score_goals *goals, size_t replicas)
{
    const struct fluid_demand *d = &grid->demand[k];
    double n = (double)replicas, work = fluid_work(d);

    if (!(d->tokens_per_s > 0))
        return 0;
    if (replicas == 0)
        return 1;
    if (n >= work)
        return 1 - fluid_share_at(grid, k, goals, work / n);
    return 1 - fmin(fluid_share_at(grid, k, goals, 1), fluid_ttft_limit_s(goals, d) / ((work / n - 1) * grid->step_s));
}

static size_t width_of(const struct fluid_grid *grid, size_t first, const double *limits)
{
    double most = 0;

    for (size_t k = first; k < grid->count; k++)
        most = fmax(most, ceil(fluid_work(&grid->demand[k]) / fmax(limits[k], LIMIT_LEAST)));
    return (size_t)most + 3; /* two more, and 0 */
}

static void fill_misses(struct fluid_bound *b)
{
    for (size_t k = b->first; k < b->grid->count; k++) {
        double requests = b->grid->demand[k].requests_per_s * b->grid->step_s,
               *misses = &b->misses[(k - b->first) * b->width];

        b->requests += requests;
        for (size_t n = 0; n < b->width; n++)
            misses[n] = requests * miss_of(b->grid, k, &b->options->goals, n);
        if (b->narrowed &&
            b->grid->demand[k].tokens_per_s > 0) /* any number beyond stands here, and misses no less than this */
            misses[b->width - 1] = requests * (1 - fluid_share_at(b->grid, k, &b->options->goals, 0));
    }
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double at_price(void *arg, double price)
{
    struct fluid_bound *b = arg;
    double best = INFINITY;

    for (size_t n = 0; n < b->width; n++)
        b->cost[n] = 0; /* the first number is free */
    for (size_t k = b->first; k < b->grid->count; k++) {
        const double *misses = &b->misses[(k - b->first) * b->width];
        double above = INFINITY, below = INFINITY;

        for (size_t n = b->width; k > b->first && n-- > 0;)
            b->cost[n] = above = least(above, b->cost[n]);
        for (size_t n = 0; k > b->first && n < b->width; n++)
            b->cost[n] = below = least(below + b->startup_s, b->cost[n]);
        for (size_t n = 0; n < b->width; n++)
            b->cost[n] += b->grid->step_s * (double)n + price * misses[n];
    }
    for (size_t n = 0; n < b->width; n++)
        best = least(best, b->cost[n]);
    return best - price * (1 - b->options->share) * b->requests;
}

double bound_fluid(const struct fluid_grid *grid, size_t first, const double *limits, const struct oracle_options *o)
{
    struct fluid_bound b = {.grid = grid, .options = o, .first = first, .width = width_of(grid, first, limits)};
    size_t room = SIM_BOUND_MISSES_MAX / (grid->count - first);

    b.startup_s = (double)grid->startup_steps * grid->step_s;
    if (b.width > room) {
        b.width = room;
        b.narrowed = true;
    }
    b.misses = mem_array((grid->count - first) * b.width, sizeof(double));
    b.cost = mem_array(b.width, sizeof(double));
    fill_misses(&b);
    double bound = oracle_search(at_price, &b, -6, 6, o->stop);
    free(b.misses);
    free(b.cost);
    return bound;
}

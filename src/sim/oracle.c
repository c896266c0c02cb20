/*
 * oracle: the search for the price at which a bound says most, and the face of both models. A price per missed request turns "at least
 * this share" into a sum to be minimised; every price gives a valid bound, so nothing can go wrong but that the bound is low.
 */
#include "sim/oracle.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "sim/oracle_internal.h"

#define GOLDEN 0.6180339887498949
enum { SEARCH_ROUNDS = 22 };

struct search {
    oracle_at_price *at_price;
    void *arg;
    double best;
};

static double look(struct search *s, double log_price)
{
    double value = s->at_price(s->arg, pow(10, log_price));

    if (value > s->best)
        s->best = value;
    return value;
}

double oracle_search(oracle_at_price *at_price, void *arg, double low, double high, const bool *stop)
{
    struct search s = {at_price, arg, -INFINITY};
    double left = high - GOLDEN * (high - low), right = low + GOLDEN * (high - low);
    double at_left = look(&s, left), at_right = look(&s, right);

    for (int round = 0; round < SEARCH_ROUNDS && !(stop && *stop); round++) {
        if (at_left < at_right) {
            low = left;
            left = right;
            at_left = at_right;
            right = low + GOLDEN * (high - low);
            at_right = look(&s, right);
        } else {
            high = right;
            right = left;
            at_right = at_left;
            left = high - GOLDEN * (high - low);
            at_left = look(&s, left);
        }
    }
    look(&s, 6);
    return s.best;
}

/* ------------------------------------------------------------------ the bound of either model */

static int64_t least_startup_ns(const struct serving_startup *s)
{
    int64_t least = s->kind == STARTUP_UNIFORM ? s->low_ns : s->fixed_ns;

    if (s->kind == STARTUP_TABLE)
        for (size_t i = 0; i < s->table_count; i++)
            if (i == 0 || s->table_ns[i] < least)
                least = s->table_ns[i];
    return least;
}

static double bound_of_buckets(const struct model_options *options, const struct oracle_options *oracle)
{
    struct fluid_grid grid;
    double bound = 0;

    if (!fluid_grid_init(&grid, options, NULL))
        return 0;
    size_t first = options->warmup_ns <= 0 ? 0 : (size_t)((options->warmup_ns + grid.step_ns - 1) / grid.step_ns);
    double *limits = mem_array(grid.count + 1, sizeof(*limits));
    for (size_t k = first; k < grid.count; k++)
        limits[k] = fluid_limit(&grid, k, &oracle->goals, oracle->share);
    if (first < grid.count)
        bound = bound_fluid(&grid, first, limits, oracle);
    free(limits);
    fluid_grid_done(&grid);
    return bound;
}

double oracle_bound(const struct model_options *options, const struct oracle_options *oracle)
{
    double bound;

    if (options->bucket_count > 0) {
        bound = bound_of_buckets(options, oracle);
    } else {
        struct model *model = model_new(options, NULL);
        int64_t end_ns = model ? model_duration_ns(model) : 0;

        model_free(model);
        bound = bound_requests(&(struct bound_options){.profile = options->profile,
                                                       .requests = options->requests,
                                                       .request_count = options->request_count,
                                                       .startup_ns = least_startup_ns(&options->startup),
                                                       .start_ns = options->warmup_ns,
                                                       .end_ns = end_ns,
                                                       .cell_ns = BOUND_CELL_NS,
                                                       .units = BOUND_UNITS,
                                                       .goals = oracle->goals,
                                                       .share = oracle->share,
                                                       .stop = oracle->stop});
    }
    return bound > 0 ? bound : 0;
}

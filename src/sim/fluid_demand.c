/*
 * fluid_demand: what each step of the fluid model is asked for, and what one replica makes of it when nothing changes. Both are known
 * before anything runs, so the oracle uses them too (serving-model.md 4.1, 4.2, 6.2).
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "sim/fluid.h"

#define NS_PER_S    1000000000.0
#define STEP_NS     (15 * INT64_C(1000000000))
#define NOISE_S     60.0 /* how long one draw of the noise lasts */
#define FULL_ENOUGH 0.95 /* beyond it the queue of a stationary replica has no mean */

/* ------------------------------------------------------------------ options */

static bool sound_profile(const struct serving_profile *p)
{
    return p->prefill_tps >= 1 && p->itl_base_ns >= 1 && p->itl_per_seq_ns >= 0 && p->max_batch >= 1 &&
           p->chunk_tokens >= 1 && p->kv_tokens >= 1;
}

static bool sound_buckets(const struct model_options *o, struct error *err)
{
    for (size_t i = 0; i < o->bucket_count; i++) {
        const struct model_bucket *b = &o->buckets[i];
        double all = b->requests_per_s + b->prompt_tokens_per_s + b->generated_tokens_per_s;

        if (!(b->requests_per_s >= 0 && b->prompt_tokens_per_s >= 0 && b->generated_tokens_per_s >= 0 && isfinite(all)))
            return error_set(err, ERROR_INVALID, "bucket %zu: rates are numbers of at least 0", i);
    }
    return true;
}

static bool sound_options(const struct model_options *o, int64_t step_ns, struct error *err)
{
    if (o->bucket_count == 0)
        return error_set(err, ERROR_INVALID, "the fluid model needs at least one bucket");
    if (!sound_profile(&o->profile))
        return error_set(err, ERROR_INVALID, "the profile's rates, times and sizes are whole numbers of at least 1");
    if (step_ns <= 0 || o->bucket_ns <= 0 || o->bucket_ns % step_ns != 0)
        return error_set(err, ERROR_INVALID,
                         "buckets of %g s are not a whole number of steps of %g s; choose a step that divides them",
                         (double)o->bucket_ns / NS_PER_S, (double)step_ns / NS_PER_S);
    if (o->startup.kind != STARTUP_FIXED || o->startup.fixed_ns < 0 || o->startup.fixed_ns % step_ns != 0)
        return error_set(err, ERROR_INVALID, "the fluid model takes one start-up time, a whole number of steps of %g s",
                         (double)step_ns / NS_PER_S);
    if ((double)o->bucket_count * ((double)o->bucket_ns / (double)step_ns) > SIM_STEPS_MAX)
        return error_set(err, ERROR_LIMIT, "the demand has more than %d steps (SIM_STEPS_MAX); choose longer ones",
                         SIM_STEPS_MAX);
    return sound_buckets(o, err);
}

/* ------------------------------------------------------------------ demand */

static struct fluid_engine engine_of(const struct serving_profile *p)
{
    return (struct fluid_engine){.prefill_tps = (double)p->prefill_tps,
                                 .base_s = (double)p->itl_base_ns / NS_PER_S,
                                 .per_sequence_s = (double)p->itl_per_seq_ns / NS_PER_S,
                                 .max_batch = (double)p->max_batch,
                                 .kv_tokens = (double)p->kv_tokens,
                                 .chunk_tokens = (double)p->chunk_tokens};
}

/* Between the middles of the buckets along a straight line, flat beyond the first and the last. */
static struct model_bucket rates_at(const struct model_options *o, double x)
{
    double i = floor(x);

    if (i < 0)
        return o->buckets[0];
    if (i >= (double)(o->bucket_count - 1))
        return o->buckets[o->bucket_count - 1];
    const struct model_bucket *a = &o->buckets[(size_t)i], *b = a + 1;
    double part = x - i;
    return (struct model_bucket){
        a->requests_per_s + part * (b->requests_per_s - a->requests_per_s),
        a->prompt_tokens_per_s + part * (b->prompt_tokens_per_s - a->prompt_tokens_per_s),
        a->generated_tokens_per_s + part * (b->generated_tokens_per_s - a->generated_tokens_per_s),
    };
}

static double noise_at(const struct model_options *o, double at_s)
{
    uint64_t slot = (uint64_t)floor(at_s / NOISE_S);

    return 1 + o->noise * (2 * (double)(serving_draw(o->seed, slot) >> 11) * 0x1p-53 - 1);
}

/* The shape of a request: of the step's own, else it stays as it was. */
static void shape(const struct fluid_engine *e, struct fluid_demand *d, const struct model_bucket *rates)
{
    double tokens = rates->prompt_tokens_per_s + rates->generated_tokens_per_s;

    if (!(tokens > 0 && rates->requests_per_s > 0))
        return;
    d->prompt_share = rates->prompt_tokens_per_s / tokens;
    d->prompt_each = rates->prompt_tokens_per_s / rates->requests_per_s;
    d->generated_each = rates->generated_tokens_per_s / rates->requests_per_s;
    d->batch_max = fmax(1, fmin(e->max_batch, floor(e->kv_tokens / (d->prompt_each + d->generated_each))));
    d->cost_s =
        d->prompt_share / e->prefill_tps + (1 - d->prompt_share) * (e->per_sequence_s + e->base_s / d->batch_max);
    d->idle_ttft_s = d->prompt_each / e->prefill_tps + e->base_s * ceil(d->prompt_each / e->chunk_tokens);
}

/* Before any demand: the shape of the first there will be. */
static struct fluid_demand first_shape(const struct fluid_engine *e, const struct model_options *o)
{
    struct fluid_demand d = {.batch_max = e->max_batch, .cost_s = e->per_sequence_s + e->base_s / e->max_batch};

    for (size_t i = 0; i < o->bucket_count; i++)
        if (o->buckets[i].requests_per_s > 0 &&
            o->buckets[i].prompt_tokens_per_s + o->buckets[i].generated_tokens_per_s > 0) {
            shape(e, &d, &o->buckets[i]);
            break;
        }
    return d;
}

static void fill_demand(struct fluid_grid *grid, const struct model_options *o)
{
    struct fluid_demand d = first_shape(&grid->engine, o);
    double bucket_s = (double)o->bucket_ns / NS_PER_S;

    for (size_t k = 0; k < grid->count; k++) {
        struct model_bucket rates = rates_at(o, ((double)k + 0.5) * grid->step_s / bucket_s - 0.5);

        if (o->noise != 0) {
            double factor = noise_at(o, (double)k * grid->step_s);

            rates.requests_per_s *= factor;
            rates.prompt_tokens_per_s *= factor;
            rates.generated_tokens_per_s *= factor;
        }
        shape(&grid->engine, &d, &rates);
        d.requests_per_s = rates.requests_per_s;
        d.tokens_per_s = rates.prompt_tokens_per_s + rates.generated_tokens_per_s;
        grid->demand[k] = d;
    }
}

static size_t steps_of(const struct model_options *o, int64_t step_ns)
{
    size_t all = o->bucket_count * (size_t)(o->bucket_ns / step_ns);
    size_t wanted = o->duration_ns < 0 ? all : (size_t)(o->duration_ns / step_ns);

    return wanted < all ? wanted : all;
}

bool fluid_grid_init(struct fluid_grid *grid, const struct model_options *options, struct error *err)
{
    int64_t step_ns = options->step_ns == 0 ? STEP_NS : options->step_ns;

    if (!sound_options(options, step_ns, err))
        return false;
    int64_t startup = options->startup.fixed_ns / step_ns;
    *grid = (struct fluid_grid){.engine = engine_of(&options->profile),
                                .step_ns = step_ns,
                                .step_s = (double)step_ns / NS_PER_S,
                                .count = steps_of(options, step_ns),
                                .startup_steps = (int32_t)(startup < SIM_STEPS_MAX ? startup : SIM_STEPS_MAX)};
    grid->demand = mem_array(grid->count ? grid->count : 1, sizeof(*grid->demand));
    fill_demand(grid, options);
    return true;
}

void fluid_grid_done(struct fluid_grid *grid)
{
    free(grid->demand);
    grid->demand = NULL;
}

/* ------------------------------------------------------------------ the steady state */

void fluid_state(const struct fluid_engine *e, const struct fluid_demand *d, double utilization, double tokens_per_s,
                 struct fluid_state *out)
{
    double u = fmin(utilization, FULL_ENOUGH);
    double prompt = d->prompt_share * tokens_per_s, generated = (1 - d->prompt_share) * tokens_per_s;
    double room = 1 - prompt / e->prefill_tps - generated * e->per_sequence_s;

    out->base_s = d->idle_ttft_s * (1 + 0.6 * u * u / (1 - u));
    out->batch = room > 0 ? fmin(d->batch_max, generated * e->base_s / room) : d->batch_max;
    out->itl_s = (e->base_s + e->per_sequence_s * out->batch) / fmax(0.05, 1 - prompt / e->prefill_tps);
}

/* How many of those that wait so long are in time: the rest of the way has an exponential tail. */
static double in_time(double limit_s, double base_s, double wait_s)
{
    return wait_s < limit_s ? 1 - exp((wait_s - limit_s) / base_s) : 0;
}

double fluid_share_ttft(double limit_s, double base_s, double wait_before_s, double wait_after_s)
{
    double low = fmin(wait_before_s, wait_after_s), high = fmax(wait_before_s, wait_after_s);
    double part = high <= limit_s ? 1 : low >= limit_s ? 0 : (limit_s - low) / (high - low);

    if (low == high)
        return part * in_time(limit_s, base_s, low);
    return part * (in_time(limit_s, base_s, low) + in_time(limit_s, base_s, fmin(high, limit_s))) / 2;
}

double fluid_share_itl(double limit_s, double itl_s)
{
    return itl_s > 0 ? fmax(0, fmin(1, (limit_s / itl_s - 0.6) / 0.8)) : 1;
}

double fluid_ttft_limit_s(const struct score_goals *goals, const struct fluid_demand *demand)
{
    return (double)goals->ttft_ns / NS_PER_S + (double)goals->ttft_per_token_ns / NS_PER_S * demand->prompt_each;
}

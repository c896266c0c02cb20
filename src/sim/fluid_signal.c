/*
 * fluid_signal: what a gateway, or the servers themselves, would report of the fluid model (serving-model.md 4.3). Windows are differences
 * of running sums; latencies come from the fitted shape of their distribution.
 */
#include <math.h>

#include "sim/fluid.h"

#define NS_PER_S 1000000000.0

struct view { /* the steps that are done */
    const struct fluid *fluid;
    const struct fluid_grid *grid;
    const struct fluid_step *steps, *last; /* last: NULL, there is none yet */
    size_t count;
};

static struct view view_of(const struct fluid *f)
{
    struct view v = {.fluid = f, .grid = fluid_grid_of(f)};

    v.count = fluid_steps(f, &v.steps);
    v.last = v.count > 0 ? &v.steps[v.count - 1] : NULL;
    return v;
}

/* Steps in a window: at least one, at most those there are. */
static size_t window_steps(const struct view *v, int64_t window_ns)
{
    size_t steps = window_ns < v->grid->step_ns ? 1 : (size_t)(window_ns / v->grid->step_ns);

    return steps < v->count ? steps : v->count;
}

static const struct fluid_step *before_window(const struct view *v, size_t steps)
{
    static const struct fluid_step nothing;

    return steps < v->count ? &v->steps[v->count - 1 - steps] : &nothing;
}

struct increase {
    double prompt, generated, requests, finished, seconds;
};

static struct increase increase_of(const struct view *v, int64_t window_ns)
{
    size_t steps = window_steps(v, window_ns);
    const struct fluid_step *base = before_window(v, steps);

    if (steps == 0)
        return (struct increase){.seconds = 1};
    return (struct increase){v->last->prompt - base->prompt, v->last->generated - base->generated,
                             v->last->requests - base->requests, v->last->finished - base->finished,
                             (double)steps * v->grid->step_s};
}

static const struct fluid_demand *last_demand(const struct view *v)
{
    return &v->grid->demand[v->count - 1];
}

static double tokens_each(const struct view *v)
{
    return v->count > 0 ? last_demand(v)->prompt_each + last_demand(v)->generated_each : 0;
}

/* Means over the window of the wait, and of what comes on top of it. */
static void mean_times(const struct view *v, int64_t window_ns, double *wait_s, double *base_s)
{
    size_t steps = window_steps(v, window_ns);
    const struct fluid_step *a = before_window(v, steps), *b = v->last;
    double n = (double)steps;

    *wait_s =
        b->stuck_sum > a->stuck_sum ? INFINITY : ((b->wait_sum - a->wait_sum) + (b->wait_lost - a->wait_lost)) / n;
    *base_s = ((b->base_sum - a->base_sum) + (b->base_lost - a->base_lost)) / n;
}

/* q: 0..1 */
static double ttft_of(const struct view *v, int64_t window_ns, double q)
{
    double wait_s, base_s;

    mean_times(v, window_ns, &wait_s, &base_s);
    return base_s > 0 ? wait_s - base_s * log(1 - q) : wait_s;
}

static double itl_of(const struct view *v, double q)
{
    return v->last->itl_s * (0.6 + 0.8 * q);
}

/* Those that have just become ready count with the batch of the step before, as if they had had one. */
static double running_of(const struct view *v)
{
    struct model_counts counts;

    fluid_counts(v->fluid, &counts);
    return v->last ? counts.ready * v->last->batch : 0;
}

static double waiting_of(const struct view *v)
{
    double each = tokens_each(v);

    return v->last && each > 0 ? v->last->backlog / each : 0;
}

static double kv_usage_of(const struct view *v)
{
    return v->last ? fmin(1, v->last->batch * tokens_each(v) / v->grid->engine.kv_tokens) : 0;
}

static double rate_of(const struct view *v, const struct signal_query *query)
{
    struct increase in = increase_of(v, query->window_ns);

    switch (query->signal) {
    case SIM_SIGNAL_TOKENS_PER_MIN:
        return (in.prompt + in.generated) / in.seconds * 60;
    case SIM_SIGNAL_PROMPT_TOKENS_PER_MIN:
        return in.prompt / in.seconds * 60;
    case SIM_SIGNAL_GENERATED_TOKENS_PER_MIN:
        return in.generated / in.seconds * 60;
    default:
        return in.requests / in.seconds;
    }
}

static double count_of(const struct fluid *f, enum sim_signal signal)
{
    struct model_counts counts;

    fluid_counts(f, &counts);
    return signal == SIM_SIGNAL_REPLICAS         ? counts.replicas
           : signal == SIM_SIGNAL_READY_REPLICAS ? counts.ready
                                                 : counts.pending;
}

bool fluid_read(const struct fluid *f, const struct signal_query *query, double *value)
{
    struct view v = view_of(f);

    switch (query->signal) {
    case SIM_SIGNAL_WAITING:
        *value = waiting_of(&v);
        break;
    case SIM_SIGNAL_RUNNING:
        *value = running_of(&v);
        break;
    case SIM_SIGNAL_KV_USAGE:
    case SIM_SIGNAL_KV_USAGE_MAX:
        *value = kv_usage_of(&v);
        break;
    case SIM_SIGNAL_INFLIGHT_TOKENS:
        *value = v.last ? v.last->backlog + running_of(&v) * tokens_each(&v) : 0;
        break;
    case SIM_SIGNAL_REPLICAS:
    case SIM_SIGNAL_READY_REPLICAS:
    case SIM_SIGNAL_PENDING_REPLICAS:
        *value = count_of(f, query->signal);
        break;
    case SIM_SIGNAL_TOKENS_PER_MIN:
    case SIM_SIGNAL_PROMPT_TOKENS_PER_MIN:
    case SIM_SIGNAL_GENERATED_TOKENS_PER_MIN:
    case SIM_SIGNAL_REQUESTS_PER_S:
        *value = rate_of(&v, query);
        break;
    case SIM_SIGNAL_TTFT:
        *value = v.last ? ttft_of(&v, query->window_ns, query->quantile / 100) : 0;
        return v.last != NULL;
    case SIM_SIGNAL_ITL:
        *value = v.last ? itl_of(&v, query->quantile / 100) : 0;
        return v.last != NULL;
    case SIM_SIGNAL_COUNT:
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ the trigger `inference` */

/* The mean over the window's steps of their shares, as far as limits are given. */
static double goodput_of(const struct view *v, const struct model_inference_query *query)
{
    size_t steps = window_steps(v, query->window_ns);
    double sum = 0;

    for (size_t k = v->count - steps; k < v->count; k++) {
        const struct fluid_step *s = &v->steps[k];
        double share = s->ready > 0 ? 1 : 0;

        if (share > 0 && query->ttft_ns > 0)
            share *= fluid_share_ttft((double)query->ttft_ns / NS_PER_S, s->base_s, s->wait_before_s, s->wait_after_s);
        if (share > 0 && query->itl_ns > 0)
            share *= fluid_share_itl((double)query->itl_ns / NS_PER_S, s->itl_s);
        sum += share;
    }
    return sum / (double)steps;
}

static double e2e_of(const struct view *v, const struct model_inference_query *query)
{
    return ttft_of(v, query->window_ns, query->quantile) +
           itl_of(v, query->quantile) * fmax(0, last_demand(v)->generated_each - 1);
}

static double queue_time_of(const struct view *v, int64_t window_ns)
{
    double wait_s, base_s;

    mean_times(v, window_ns, &wait_s, &base_s);
    return wait_s;
}

/* What servers and gateway report alike. */
static bool same_signal(enum model_inference signal, enum sim_signal *out)
{
    static const struct {
        enum model_inference theirs;
        enum sim_signal ours;
    } pairs[] = {{MODEL_WAITING, SIM_SIGNAL_WAITING},
                 {MODEL_RUNNING, SIM_SIGNAL_RUNNING},
                 {MODEL_KV_USAGE, SIM_SIGNAL_KV_USAGE},
                 {MODEL_TOKENS_PER_MIN, SIM_SIGNAL_TOKENS_PER_MIN},
                 {MODEL_PROMPT_TOKENS_PER_MIN, SIM_SIGNAL_PROMPT_TOKENS_PER_MIN},
                 {MODEL_GENERATED_TOKENS_PER_MIN, SIM_SIGNAL_GENERATED_TOKENS_PER_MIN},
                 {MODEL_TTFT, SIM_SIGNAL_TTFT},
                 {MODEL_ITL, SIM_SIGNAL_ITL}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i].theirs == signal) {
            *out = pairs[i].ours;
            return true;
        }
    return false;
}

static bool read_own(const struct view *v, const struct model_inference_query *query, double *value)
{
    struct increase in = increase_of(v, query->window_ns);

    switch (query->signal) {
    case MODEL_REQUESTS_PER_S:
    case MODEL_FINISHED_PER_S:
        *value = in.finished / in.seconds;
        return true;
    case MODEL_PREEMPTED_PER_S:
        *value = 0;
        return true;
    case MODEL_MEAN_PROMPT_TOKENS:
        *value = in.finished > 0 ? in.prompt / in.finished : 0;
        return in.finished > 0;
    case MODEL_E2E:
        *value = e2e_of(v, query);
        return true;
    case MODEL_QUEUE_TIME:
        *value = queue_time_of(v, query->window_ns);
        return true;
    case MODEL_GOODPUT:
        *value = goodput_of(v, query);
        return true;
    default:
        return false;
    }
}

bool fluid_inference(const struct fluid *f, const struct model_inference_query *query, double *value)
{
    struct view v = view_of(f);
    struct signal_query same = {.window_ns = query->window_ns, .quantile = query->quantile * 100};
    struct model_counts counts;
    bool found;

    fluid_counts(f, &counts);
    if (counts.ready == 0 || !v.last)
        return false;
    if (same_signal(query->signal, &same.signal))
        found = fluid_read(f, &same, value);
    else
        found = read_own(&v, query, value);
    return found && isfinite(*value); /* a server that serves nobody has no quantile to show */
}

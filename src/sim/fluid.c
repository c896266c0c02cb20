/*
 * fluid: replicas and backlog from step to step, and the score of all of them.
 */
#include "sim/fluid.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

#define NS_PER_S   1000000000.0
#define SHARE_GOOD 0.99 /* a step below it is bad (serving-model.md 5) */

struct batch { /* replicas that start together */
    size_t ready_at;
    int32_t count;
};

struct fluid {
    struct fluid_grid grid;
    size_t now;
    double backlog;
    int32_t ready, starting, replicas;
    struct batch *batches; /* a ring: each step can add one, and one is ready after startup_steps */
    size_t batch_first, batch_count, batch_size;
    struct fluid_step *steps;
    struct serving_event *events;
    size_t event_count, event_size;
};

struct fluid *fluid_new(const struct model_options *options, struct error *err)
{
    struct fluid_grid grid;

    if (!fluid_grid_init(&grid, options, err))
        return NULL;
    struct fluid *f = mem_alloc(sizeof(*f));
    f->grid = grid;
    f->ready = f->replicas = options->initial;
    f->batch_size = (size_t)grid.startup_steps + 1;
    if (f->batch_size > grid.count + 1)
        f->batch_size = grid.count + 1;
    f->batches = mem_array(f->batch_size, sizeof(*f->batches));
    f->steps = mem_array(grid.count ? grid.count : 1, sizeof(*f->steps));
    return f;
}

void fluid_free(struct fluid *f)
{
    if (!f)
        return;
    fluid_grid_done(&f->grid);
    free(f->batches);
    free(f->steps);
    free(f->events);
    free(f);
}

/* ------------------------------------------------------------------ replicas */

static struct batch *batch_at(const struct fluid *f, size_t i)
{
    return &f->batches[(f->batch_first + i) % f->batch_size];
}

static void become_ready(struct fluid *f)
{
    while (f->batch_count > 0 && batch_at(f, 0)->ready_at <= f->now) {
        f->ready += batch_at(f, 0)->count;
        f->starting -= batch_at(f, 0)->count;
        f->batch_first = (f->batch_first + 1) % f->batch_size;
        f->batch_count--;
    }
}

static void start_some(struct fluid *f, int32_t count)
{
    size_t ready_at = f->now + (size_t)f->grid.startup_steps;

    if (f->batch_count == 0 || batch_at(f, f->batch_count - 1)->ready_at != ready_at)
        *batch_at(f, f->batch_count++) = (struct batch){ready_at, 0};
    batch_at(f, f->batch_count - 1)->count += count;
    f->starting += count;
}

/* Those that start go first, the youngest of all before the others. */
static void remove_some(struct fluid *f, int32_t count)
{
    while (count > 0 && f->batch_count > 0) {
        struct batch *youngest = batch_at(f, f->batch_count - 1);
        int32_t part = youngest->count < count ? youngest->count : count;

        youngest->count -= part;
        f->starting -= part;
        count -= part;
        f->batch_count -= youngest->count == 0;
    }
    f->ready -= count < f->ready ? count : f->ready;
}

static void note_event(struct fluid *f, int32_t after)
{
    if (f->event_count == f->event_size) {
        f->event_size = f->event_size ? f->event_size * 2 : 64;
        f->events = mem_grow(f->events, f->event_size, sizeof(*f->events));
    }
    f->events[f->event_count++] = (struct serving_event){(int64_t)f->now * f->grid.step_ns, f->replicas, after};
}

void fluid_scale(struct fluid *f, int32_t replicas)
{
    int32_t have = f->ready + f->starting;

    if (replicas == f->replicas || f->now >= f->grid.count)
        return;
    note_event(f, replicas);
    f->replicas = replicas;
    if (replicas > have)
        start_some(f, replicas - have);
    else
        remove_some(f, have - replicas);
}

/* ------------------------------------------------------------------ one step */

/* A sum that keeps what rounding takes from it. */
static void add(double *sum, double *lost, double value)
{
    double whole = *sum + value, part = whole - *sum;

    *lost += (*sum - (whole - part)) + (value - part);
    *sum = whole;
}

/* serving-model.md 4.2, for at least one replica. */
static void serve(struct fluid *f, const struct fluid_demand *d, struct fluid_step *s, double have, double served,
                  double capacity)
{
    double rate = f->ready / d->cost_s;
    struct fluid_state state;

    s->utilization = served / capacity;
    s->wait_before_s = f->backlog / rate;
    s->wait_after_s = (have - served) / rate;
    fluid_state(&f->grid.engine, d, s->utilization, served / (f->ready * f->grid.step_s), &state);
    s->base_s = state.base_s;
    s->batch = state.batch;
    s->itl_s = state.itl_s;
    s->wait_s = (s->wait_before_s + s->wait_after_s) / 2;
    s->ttft_s = s->wait_s + s->base_s;
}

static void stand_still(struct fluid_step *s, double have)
{
    s->stuck = have > 0;
    if (s->stuck) {
        s->utilization = 1;
        s->wait_s = s->ttft_s = INFINITY;
    }
}

static void sum_up(struct fluid_step *s, const struct fluid_demand *d, double served, double step_s)
{
    double each = d->prompt_each + d->generated_each;

    s->prompt += served * d->prompt_share;
    s->generated += served * (1 - d->prompt_share);
    s->requests += d->requests_per_s * step_s;
    s->finished += each > 0 ? served / each : 0;
    s->stuck_sum += s->stuck;
    add(&s->wait_sum, &s->wait_lost, s->stuck ? 0 : s->wait_s);
    add(&s->base_sum, &s->base_lost, s->base_s);
}

static void run_step(struct fluid *f)
{
    const struct fluid_demand *d = &f->grid.demand[f->now];
    struct fluid_step *s = &f->steps[f->now];
    double capacity = f->ready / d->cost_s * f->grid.step_s, have = f->backlog + d->tokens_per_s * f->grid.step_s;
    double served = fmin(capacity, have);

    if (f->now > 0)
        *s = s[-1]; /* the running sums go on */
    s->stuck = false;
    s->ready = f->ready;
    s->starting = f->starting;
    s->replicas = f->replicas;
    s->utilization = s->batch = s->itl_s = s->base_s = s->wait_before_s = s->wait_after_s = s->wait_s = s->ttft_s = 0;
    if (f->ready > 0)
        serve(f, d, s, have, served, capacity);
    else
        stand_still(s, have);
    sum_up(s, d, served, f->grid.step_s);
    s->backlog = f->backlog = have - served;
}

void fluid_cut(struct fluid *f)
{
    f->grid.count = f->now;
}

void fluid_begin(struct fluid *f, size_t step)
{
    while (f->now < step && f->now < f->grid.count) {
        become_ready(f); /* created in this step with a start-up of 0 */
        run_step(f);
        f->now++;
        become_ready(f);
    }
}

/* ------------------------------------------------------------------ questions */

const struct fluid_grid *fluid_grid_of(const struct fluid *f)
{
    return &f->grid;
}

size_t fluid_steps(const struct fluid *f, const struct fluid_step **out)
{
    *out = f->steps;
    return f->now;
}

void fluid_counts(const struct fluid *f, struct model_counts *out)
{
    *out = (struct model_counts){.replicas = f->replicas, .ready = f->ready, .pending = f->starting};
}

size_t fluid_events(const struct fluid *f, const struct serving_event **out)
{
    *out = f->events;
    return f->event_count;
}

/* ------------------------------------------------------------------ score */

struct shares {
    double ttft, itl;
};

static struct shares shares_of(const struct fluid *f, size_t step, const struct score_goals *goals)
{
    const struct fluid_step *s = &f->steps[step];

    if (s->ready == 0)
        return (struct shares){0, 0};
    return (struct shares){fluid_share_ttft(fluid_ttft_limit_s(goals, &f->grid.demand[step]), s->base_s,
                                            s->wait_before_s, s->wait_after_s),
                           fluid_share_itl((double)goals->itl_ns / NS_PER_S, s->itl_s)};
}

double fluid_share(const struct fluid *f, size_t step, const struct score_goals *goals)
{
    struct shares shares = shares_of(f, step, goals);

    return shares.ttft * shares.itl;
}

static double waiting_requests(const struct fluid_demand *d, double backlog)
{
    double each = d->prompt_each + d->generated_each;

    return each > 0 ? backlog / each : 0;
}

struct tally {
    double requests, in_slo, ttft_ok, itl_ok, replica_s;
    size_t bad, longest; /* steps in a row */
};

static void count_step(struct tally *t, const struct fluid *f, size_t k, const struct score_goals *goals)
{
    const struct fluid_demand *d = &f->grid.demand[k];
    double requests = d->requests_per_s * f->grid.step_s;
    struct shares shares = shares_of(f, k, goals);
    bool bad = requests > 0 ? shares.ttft * shares.itl < SHARE_GOOD : t->bad > 0;

    t->requests += requests;
    t->in_slo += requests * shares.ttft * shares.itl;
    t->ttft_ok += requests * shares.ttft;
    t->itl_ok += requests * shares.itl;
    t->replica_s += (f->steps[k].ready + f->steps[k].starting) * f->grid.step_s;
    t->bad = bad ? t->bad + 1 : 0;
    t->longest = t->bad > t->longest ? t->bad : t->longest;
}

void fluid_score(const struct fluid *f, const struct score_goals *goals, int64_t warmup_ns, struct score *out)
{
    struct score_span span = {warmup_ns, (int64_t)f->grid.count * f->grid.step_ns};
    size_t first = warmup_ns <= 0 ? 0 : (size_t)((warmup_ns + f->grid.step_ns - 1) / f->grid.step_ns);
    struct tally t = {0};

    *out = (struct score){.attainable = -1, .ttft_p50_ns = -1, .ttft_p99_ns = -1};
    for (size_t k = first; k < f->now; k++) {
        count_step(&t, f, k, goals);
        out->worst.waiting = fmax(out->worst.waiting, waiting_requests(&f->grid.demand[k], f->steps[k].backlog));
        out->worst.waiting_tokens = fmax(out->worst.waiting_tokens, f->steps[k].backlog);
    }
    out->requests = t.requests;
    out->in_slo = t.requests > 0 ? t.in_slo / t.requests : 1;
    out->ttft_ok = t.requests > 0 ? t.ttft_ok / t.requests : 1;
    out->itl_ok = t.requests > 0 ? t.itl_ok / t.requests : 1;
    out->replica_hours = t.replica_s / 3600;
    out->recovery_s = (double)t.longest * f->grid.step_s;
    score_moves(&out->moves, f->events, f->event_count, &span);
}

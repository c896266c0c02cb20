/*
 * oracle_plan: what somebody would write who knows the demand beforehand, tried in the model itself (serving-model.md 6.3).
 *
 *     load of every cell --smoothed, at some utilization--> need --short pauses kept--> levels --a start-up earlier--> writes --> a run
 *
 * The utilization is the only thing that is searched for: the highest at which the run has the share. A minute or four of smoothing do for most
 * traces; for bursts that those do not catch there are narrower ones.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "sim/oracle_internal.h"

#define NS_PER_S    1000000000.0
#define DECODE_NS   (50 * INT64_C(1000000)) /* a token, in a plan's eyes */
#define PLAN_BATCH  32.0                    /* what a decode step's fixed cost is shared by */
#define LIMIT_LEAST 0.05

/* ------------------------------------------------------------------ from demand to writes */

static void add_load(double *load, size_t cells, const struct serving_profile *p, const struct trace_request *q)
{
    double prompt = (double)(q->prompt < 1 ? 1 : q->prompt);
    int64_t generated = q->generated < 1 ? 1 : q->generated;
    double base_ns = (double)p->itl_base_ns;
    double prefill_ns = prompt * NS_PER_S / (double)p->prefill_tps + base_ns * prompt / (double)p->chunk_tokens;
    double decode_ns = (double)(generated - 1) * ((double)p->itl_per_seq_ns + base_ns / PLAN_BATCH);
    size_t from = (size_t)(q->at_ns / PLAN_CELL_NS);
    size_t to = (size_t)((q->at_ns + DECODE_NS * generated) / PLAN_CELL_NS);

    if (from >= cells)
        return;
    to = to < cells ? to : cells - 1;
    load[from] += prefill_ns / (double)PLAN_CELL_NS;
    for (size_t i = from; i <= to; i++)
        load[i] += decode_ns / (double)(to - from + 1) / (double)PLAN_CELL_NS;
}

double *plan_load(const struct serving_profile *profile, const struct trace_request *requests, size_t count,
                  int64_t end_ns, size_t *cells)
{
    *cells = (size_t)((end_ns + PLAN_CELL_NS - 1) / PLAN_CELL_NS);
    double *load = mem_array(*cells ? *cells : 1, sizeof(*load));

    for (size_t i = 0; i < count; i++)
        add_load(load, *cells, profile, &requests[i]);
    return load;
}

void plan_need(const double *load, size_t cells, double utilization, size_t half, int32_t *need)
{
    for (size_t i = 0; i < cells; i++) {
        size_t from = i > half ? i - half : 0, to = i + half < cells ? i + half : cells - 1;
        double sum = 0;

        for (size_t j = from; j <= to; j++)
            sum += load[j];
        need[i] = (int32_t)fmax(1, ceil(sum / (double)(to - from + 1) / utilization - 1e-9));
    }
}

/* One level: pauses of at most gap cells, also the one at the start, are filled. */
static void keep_level(int32_t *need, size_t count, size_t gap, int32_t level)
{
    size_t pause = 0; /* cells below the level in a row */

    for (size_t i = 0; i < count; i++) {
        if (need[i] < level) {
            pause++;
            continue;
        }
        for (size_t j = i - pause; pause <= gap && j < i; j++)
            need[j] = level;
        pause = 0;
    }
}

void plan_levels(int32_t *need, size_t count, size_t gap)
{
    int32_t highest = 0;

    for (size_t i = 0; i < count; i++)
        highest = need[i] > highest ? need[i] : highest;
    for (int32_t level = highest; level > 0; level--)
        keep_level(need, count, gap, level);
}

static int32_t highest_ahead(const int32_t *need, size_t count, size_t i, size_t early)
{
    int32_t highest = need[i];

    for (size_t j = i + 1; j < count && j <= i + early; j++)
        highest = need[j] > highest ? need[j] : highest;
    return highest;
}

size_t plan_writes(const int32_t *need, size_t count, size_t early, int64_t cell_ns, int32_t *initial,
                   struct run_write *writes)
{
    size_t written = 0;
    int32_t now = *initial = count > 0 ? highest_ahead(need, count, 0, early) : 0;

    for (size_t i = 1; i < count; i++) {
        int32_t next = highest_ahead(need, count, i, early);

        if (next != now)
            writes[written++] = (struct run_write){(int64_t)i * cell_ns, next};
        now = next;
    }
    return written;
}

/* ------------------------------------------------------------------ trying */

struct planning {
    const struct model_options *options;
    const struct oracle_options *oracle;
    int64_t startup_ns, cell_ns;
    int32_t *need;
    size_t count;
    struct oracle_plan *best;
};

static int64_t longest_startup_ns(const struct serving_startup *s)
{
    int64_t longest = s->kind == STARTUP_UNIFORM ? s->high_ns : s->kind == STARTUP_FIXED ? s->fixed_ns : 0;

    if (s->kind == STARTUP_TABLE)
        for (size_t i = 0; i < s->table_count; i++)
            longest = s->table_ns[i] > longest ? s->table_ns[i] : longest;
    return longest;
}

static bool is_better(const struct oracle_plan *a, const struct oracle_plan *b)
{
    if (!b->writes || a->reached != b->reached)
        return !b->writes || a->reached;
    return a->reached ? a->score.replica_hours < b->score.replica_hours : a->score.in_slo > b->score.in_slo;
}

static void run_plan(const struct planning *p, struct oracle_plan *plan)
{
    struct model_options options = *p->options;

    options.initial = plan->initial;
    struct model *model = model_new(&options, NULL);
    if (!model)
        return;
    run_model(&(struct run){.plan = plan->writes, .plan_count = plan->count}, model);
    model_score(model, &p->oracle->goals, &plan->score);
    plan->reached = plan->score.in_slo >= p->oracle->share;
    model_free(model);
}

/* The need in p->need becomes a plan, is run, and kept if it is the best so far. Whether it reaches the share. */
static bool try_need(struct planning *p)
{
    struct oracle_plan plan = {.writes = mem_array(p->count + 1, sizeof(*plan.writes))};

    plan_levels(p->need, p->count, (size_t)(p->startup_ns / p->cell_ns));
    plan.count = plan_writes(p->need, p->count, (size_t)((p->startup_ns + p->cell_ns - 1) / p->cell_ns), p->cell_ns,
                             &plan.initial, plan.writes);
    run_plan(p, &plan);
    bool reached = plan.reached;
    if (is_better(&plan, p->best)) {
        free(p->best->writes);
        *p->best = plan;
    } else {
        free(plan.writes);
    }
    return reached;
}

static bool is_stopped(const struct planning *p)
{
    return p->oracle->stop && *p->oracle->stop;
}

/* ------------------------------------------------------------------ requests */

enum { UTILIZATIONS = 21 }; /* 0.30, 0.35 ... 1.30 */

static double utilization_at(int i)
{
    return 0.30 + 0.05 * i;
}

/* The highest utilization that reaches the share. */
static void search_utilization(struct planning *p, const double *load, size_t half)
{
    int low = -1, high = UTILIZATIONS; /* low reaches it, or is below all; high does not */

    while (high - low > 1 && !is_stopped(p)) {
        int middle = (low + high) / 2;

        plan_need(load, p->count, utilization_at(middle), half, p->need);
        if (try_need(p))
            low = middle;
        else
            high = middle;
    }
}

static void plan_requests(struct planning *p)
{
    static const size_t usual[] = {6, 24}, narrow[] = {0, 1, 2};
    struct model *model = model_new(p->options, NULL);

    if (!model)
        return;
    double *load = plan_load(&p->options->profile, p->options->requests, p->options->request_count,
                             model_duration_ns(model), &p->count);
    p->cell_ns = PLAN_CELL_NS;
    p->need = mem_array(p->count + 1, sizeof(*p->need));
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        search_utilization(p, load, usual[i]);
    for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]) && !p->best->reached; i++)
        search_utilization(p, load, narrow[i]);
    free(p->need);
    free(load);
    model_free(model);
}

/* ------------------------------------------------------------------ amounts */

static void need_at_share(struct planning *p, const struct fluid_grid *grid, double share)
{
    for (size_t k = 0; k < grid->count; k++)
        p->need[k] = (int32_t)fmax(
            1, ceil(fluid_work(&grid->demand[k]) / fmax(fluid_limit(grid, k, &p->oracle->goals, share), LIMIT_LEAST)));
}

/* The share asked of every step rises until that of the whole is there; the last ones are for goals above the usual. */
static void plan_buckets(struct planning *p)
{
    static const double shares[] = {0.80, 0.90, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999};
    struct fluid_grid grid;

    if (!fluid_grid_init(&grid, p->options, NULL))
        return;
    p->cell_ns = grid.step_ns;
    p->count = grid.count;
    p->need = mem_array(p->count + 1, sizeof(*p->need));
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]) && !is_stopped(p); i++) {
        need_at_share(p, &grid, shares[i]);
        if (try_need(p))
            break;
    }
    free(p->need);
    fluid_grid_done(&grid);
}

void oracle_plan(const struct model_options *options, const struct oracle_options *oracle, struct oracle_plan *out)
{
    struct planning p = {
        .options = options, .oracle = oracle, .startup_ns = longest_startup_ns(&options->startup), .best = out};

    *out = (struct oracle_plan){0};
    if (options->bucket_count > 0)
        plan_buckets(&p);
    else
        plan_requests(&p);
}

void oracle_plan_free(struct oracle_plan *plan)
{
    free(plan->writes);
    *plan = (struct oracle_plan){0};
}

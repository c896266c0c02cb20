/*
 * judge: watches a run in bins of equal length, and writes down what judge_find.c concludes from them.
 */
#include "sim/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "sim/fluid.h"
#include "sim/judge_internal.h"

#define NS_PER_S INT64_C(1000000000)

enum { BIN_MIN_MS = 5000 };

/* ------------------------------------------------------------------ demand */

static size_t bin_at(const struct judge *judge, int64_t at_ms)
{
    size_t bin = (size_t)(at_ms / judge->width_ms);

    return bin < judge->count ? bin : judge->count - 1;
}

static void sum_requests(struct judge *judge, const struct model_options *m)
{
    double seconds = (double)judge->width_ms / 1000;

    for (size_t i = 0; i < judge->count; i++)
        judge->bins[i].demand = 0;
    for (size_t i = 0; i < m->request_count; i++) {
        const struct trace_request *r = &m->requests[i];

        if (r->at_ns / NS_PER_MS < judge->s->duration_ms)
            judge->bins[bin_at(judge, r->at_ns / NS_PER_MS)].demand += (double)(r->prompt + r->generated) / seconds;
    }
}

static void sum_buckets(struct judge *judge, const struct model_options *m)
{
    for (size_t i = 0; i < judge->count; i++) {
        int64_t middle_ns = ((int64_t)i * judge->width_ms + judge->width_ms / 2) * NS_PER_MS;
        size_t bucket = (size_t)(middle_ns / m->bucket_ns);
        const struct model_bucket *b = &m->buckets[bucket < m->bucket_count ? bucket : m->bucket_count - 1];

        judge->bins[i].demand = b->prompt_tokens_per_s + b->generated_tokens_per_s;
    }
}

static void find_demand(struct judge *judge)
{
    const struct model_options *m = judge->s->options.model;

    if (m && m->request_count > 0)
        sum_requests(judge, m);
    else if (m)
        sum_buckets(judge, m);
}

/* ------------------------------------------------------------------ watching */

struct judge *judge_new(const struct simulation *s)
{
    struct judge *judge = mem_alloc(sizeof(*judge));
    size_t triggers = s->policy->trigger_count;

    judge->s = s;
    judge->policy = s->policy;
    judge->arena = arena_new(ARENA_USUAL);
    judge->width_ms = s->duration_ms / JUDGE_BINS + 1;
    if (judge->width_ms < BIN_MIN_MS)
        judge->width_ms = BIN_MIN_MS;
    judge->count = (size_t)((s->duration_ms + judge->width_ms - 1) / judge->width_ms);
    judge->probe_every = judge->count / JUDGE_PROBES + 1;
    judge->probed_bin = SIZE_MAX;
    judge->bins = mem_array(judge->count, sizeof(*judge->bins));
    judge->signals = mem_array(judge->count * triggers + 1, sizeof(*judge->signals));
    judge->effects = mem_array(triggers + 1, sizeof(*judge->effects));
    for (size_t i = 0; i < judge->count; i++)
        judge->bins[i] = (struct judge_bin){.wished = -1, .demand = NAN};
    for (size_t i = 0; i < judge->count * triggers; i++)
        judge->signals[i] = NAN;
    find_demand(judge);
    return judge;
}

void judge_free(struct judge *judge)
{
    if (!judge)
        return;
    free(judge->bins);
    free(judge->signals);
    free(judge->effects);
    arena_free(judge->arena);
    free(judge);
}

/* Work that is left behind is asked for, too. */
static void watch_open(struct judge *judge, struct judge_bin *bin)
{
    static const enum sim_signal signals[] = {SIM_SIGNAL_WAITING, SIM_SIGNAL_RUNNING};
    double open = 0, value;

    for (size_t i = 0; judge->s->model && i < 2; i++)
        if (model_read(judge->s->model, &(struct signal_query){.signal = signals[i]}, &value))
            open += value;
    if (open > bin->open)
        bin->open = open;
}

static void watch_signals(struct judge *judge, const struct simulation_tick *tick, size_t bin)
{
    for (size_t i = 0; i < tick->trigger_count; i++)
        if (tick->samples[i].state == SAMPLE_OK && !judge_follows_replicas(judge, i))
            judge->signals[bin * tick->trigger_count + i] = tick->samples[i].value;
}

void judge_tick(struct judge *judge, const struct simulation_tick *tick)
{
    const struct decision *d = tick->decision;
    size_t at = bin_at(judge, tick->at_ms);
    struct judge_bin *bin = &judge->bins[at];

    if (judge->last_over > 0)
        bin->over_max_ms += tick->at_ms - judge->last_ms;
    judge->last_ms = tick->at_ms;
    judge->last_over = d->wished > judge->policy->rules.max ? d->wished : 0;
    bin->seen = true;
    bin->replicas = tick->replicas;
    bin->ready = tick->ready;
    bin->starting = tick->pending;
    if (d->wished > bin->wished)
        bin->wished = d->wished;
    if (d->wished > judge->highest_wish)
        judge->highest_wish = d->wished;
    if (d->has_formula && d->formula_fault != FAULT_NONE) {
        bin->faulty = true;
        judge->fault_begin = d->fault_begin;
        judge->fault_end = d->fault_end;
    }
    watch_signals(judge, tick, at);
    watch_open(judge, bin);
    if (judge->policy->formula && judge->probed_bin != at && at % judge->probe_every == 0) {
        judge->probed_bin = at;
        judge_probe(judge, tick);
    }
}

/* ------------------------------------------------------------------ misses */

static bool in_goals(const struct serving_request *r, const struct score_goals *goals)
{
    return score_ttft_ok(r, goals) && score_itl_ok(r, goals);
}

static void count_requests(struct judge *judge, const struct serving *serving, const struct score_goals *goals)
{
    const struct serving_request *requests;
    size_t count = serving_requests(serving, &requests);

    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = requests[i].arrival_ns / NS_PER_MS;

        if (at_ms >= judge->s->result.duration_ms)
            continue;
        struct judge_bin *bin = &judge->bins[bin_at(judge, at_ms)];
        bin->requests++;
        bin->missed += !requests[i].rejected && !in_goals(&requests[i], goals);
    }
}

static void count_steps(struct judge *judge, const struct fluid *fluid, const struct score_goals *goals)
{
    const struct fluid_grid *grid = fluid_grid_of(fluid);
    const struct fluid_step *steps;
    size_t count = fluid_steps(fluid, &steps);

    for (size_t i = 0; i < count && i < grid->count; i++) {
        int64_t at_ms = (int64_t)i * (grid->step_ns / NS_PER_MS);

        if (at_ms >= judge->s->result.duration_ms)
            break;
        struct judge_bin *bin = &judge->bins[bin_at(judge, at_ms)];
        double requests = grid->demand[i].requests_per_s * grid->step_s;
        bin->requests += requests;
        bin->missed += requests * (1 - fluid_share(fluid, i, goals));
    }
}

static void count_misses(struct judge *judge, const struct score_goals *goals)
{
    const struct model *model = judge->s->model;

    if (!model)
        return;
    if (model_serving(model))
        count_requests(judge, model_serving(model), goals);
    else
        count_steps(judge, model_fluid(model), goals);
    for (size_t i = 0; i < judge->count; i++) {
        judge->requests += judge->bins[i].requests;
        judge->misses += judge->bins[i].missed;
    }
}

/* Bins without a decision go on as the one before. */
static void fill_gaps(struct judge *judge)
{
    size_t triggers = judge->policy->trigger_count;

    for (size_t i = 1; i < judge->count; i++) {
        struct judge_bin *bin = &judge->bins[i];
        const struct judge_bin *before = &judge->bins[i - 1];

        if (bin->seen || !before->seen || (int64_t)i * judge->width_ms >= judge->s->result.duration_ms)
            continue;
        bin->seen = true;
        bin->replicas = before->replicas;
        bin->ready = before->ready;
        bin->starting = before->starting;
        bin->wished = before->wished;
        bin->open = before->open;
        bin->faulty = before->faulty;
        if (triggers > 0)
            memcpy(&judge->signals[i * triggers], &judge->signals[(i - 1) * triggers],
                   triggers * sizeof(*judge->signals));
    }
}

void judge_finish(struct judge *judge, const struct score_goals *goals)
{
    fill_gaps(judge);
    count_misses(judge, goals);
    judge_find(judge);
}

/* ------------------------------------------------------------------ what was found */

size_t judge_count(const struct judge *judge)
{
    return judge->judgement_count;
}

const struct judgement *judge_at(const struct judge *judge, size_t i)
{
    return &judge->judgements[i];
}

void judge_write_text(const struct judge *judge, struct text *out)
{
    for (size_t i = 0; i < judge->judgement_count; i++) {
        const struct judgement *j = &judge->judgements[i];

        text_printf(out, "%s: %s [%s]\n", finding_severity_name(j->severity), j->text, j->code);
        if (j->term)
            text_printf(out, "    term: %s\n", j->term);
        if (j->remedy)
            text_printf(out, "    help: %s\n", j->remedy);
    }
}

static void put(const char *name, const char *value, struct text *out)
{
    if (!value)
        return;
    if (out->bytes[out->length - 1] != '{')
        text_add_char(out, ',');
    text_add_json_string(out, name, strlen(name));
    text_add_char(out, ':');
    text_add_json_string(out, value, strlen(value));
}

void judge_write_json(const struct judge *judge, struct text *out)
{
    text_add_char(out, '[');
    for (size_t i = 0; i < judge->judgement_count; i++) {
        const struct judgement *j = &judge->judgements[i];

        text_add(out, i ? ",{" : "{");
        put("severity", finding_severity_name(j->severity), out);
        put("code", j->code, out);
        put("text", j->text, out);
        put("term", j->term, out);
        put("remedy", j->remedy, out);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

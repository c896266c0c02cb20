/*
 * simulate_report: see simulate_report.h. Decisions and triggers come with each tick; demand, what waits and the share in the goals come from
 * the model, the last when the run is over, for only then every request has its end.
 */
#include "cli/simulate_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/fluid.h"
#include "sim/report.h"

#define NS_PER_MS INT64_C(1000000)
#define GOAL      0.99

enum { WINDOW_MS = 60 * 1000 /* of shares */ };

struct simulate_report {
    const struct simulation *simulation;
    struct sim_report *page;
    bool owns; /* the page, which has this run only */
    struct sim_report_run *run;
    uint16_t requests, tokens, waiting, share;
};

bool simulate_report_available(struct error *err)
{
    return sim_report_available(err);
}

struct simulate_report *simulate_report_join(struct sim_report *page, const char *name,
                                             const struct simulation *simulation, const struct simulate_setup *setup)
{
    struct simulate_report *r = mem_alloc(sizeof(*r));

    r->simulation = simulation;
    r->page = page;
    r->run =
        sim_report_run(r->page, &(struct sim_report_run_options){
                                    .name = name, .start_at_ms = setup->start_at_ms, .price_per_hour = setup->price});
    if (!simulation_model(simulation))
        return r;
    r->requests = sim_report_measure(r->run, SIM_REPORT_DEMAND, "requests per second", "1/s");
    r->tokens = sim_report_measure(r->run, SIM_REPORT_DEMAND, "tokens per second", "1/s");
    r->waiting = sim_report_measure(r->run, SIM_REPORT_BACKLOG, "waiting requests", "");
    r->share = sim_report_measure(r->run, SIM_REPORT_SLO, "share in SLO", "");
    sim_report_goal(r->run, r->share, GOAL);
    return r;
}

struct simulate_report *simulate_report_new(const struct simulation *simulation, const struct simulate_subject *subject,
                                            const struct simulate_setup *setup)
{
    struct simulate_report *r;
    char line[700];

    snprintf(line, sizeof(line), "%s of %s under %s%s%s%s%s", subject->object, subject->policy, subject->engine,
             subject->trace ? ", against " : "", subject->trace ? subject->trace : "", subject->model ? " on " : "",
             subject->model ? subject->model : "");
    r = simulate_report_join(sim_report_new("weir simulate", line), subject->policy, simulation, setup);
    r->owns = true;
    return r;
}

void simulate_report_free(struct simulate_report *r)
{
    if (!r)
        return;
    if (r->owns)
        sim_report_free(r->page);
    free(r);
}

static void value_of(struct simulate_report *r, uint16_t measure, enum sim_signal signal, double factor, int64_t at_ms)
{
    struct model *model = simulation_model(r->simulation);
    double value;

    if (model_read(model, &(struct signal_query){signal, WINDOW_MS * NS_PER_MS, 90}, &value))
        sim_report_value(r->run, measure, at_ms, value * factor);
}

void simulate_report_tick(struct simulate_report *r, const struct simulation_tick *tick)
{
    sim_report_tick(r->run, tick);
    if (!simulation_model(r->simulation))
        return;
    value_of(r, r->requests, SIM_SIGNAL_REQUESTS_PER_S, 1, tick->at_ms);
    value_of(r, r->tokens, SIM_SIGNAL_TOKENS_PER_MIN, 1.0 / 60, tick->at_ms);
    value_of(r, r->waiting, SIM_SIGNAL_WAITING, 1, tick->at_ms);
}

/* ------------------------------------------------------------------ shares in the goals */

struct window {
    double requests, good;
};

static void add_requests(const struct serving *serving, const struct score_goals *goals, struct window *windows,
                         size_t count)
{
    const struct serving_request *list;
    size_t requests = serving_requests(serving, &list);

    for (size_t i = 0; i < requests; i++) {
        size_t at = (size_t)(list[i].arrival_ns / NS_PER_MS / WINDOW_MS);

        if (at >= count)
            continue;
        windows[at].requests++;
        windows[at].good += score_ttft_ok(&list[i], goals) && score_itl_ok(&list[i], goals);
    }
}

static void add_steps(const struct fluid *fluid, const struct score_goals *goals, struct window *windows, size_t count)
{
    const struct fluid_grid *grid = fluid_grid_of(fluid);
    const struct fluid_step *steps;
    size_t done = fluid_steps(fluid, &steps);

    for (size_t i = 0; i < done && i < grid->count; i++) {
        size_t at = (size_t)((int64_t)i * grid->step_ns / NS_PER_MS / WINDOW_MS);
        double requests = grid->demand[i].requests_per_s * grid->step_s;

        if (at >= count)
            continue;
        windows[at].requests += requests;
        windows[at].good += requests * fluid_share(fluid, i, goals);
    }
}

static void add_shares(struct simulate_report *r, const struct simulate_figures *figures)
{
    struct model *model = simulation_model(r->simulation);
    size_t count = (size_t)(figures->result.duration_ms / WINDOW_MS) + 1;
    struct window *windows;

    if (!model)
        return;
    windows = mem_array(count, sizeof(*windows));
    if (model_serving(model))
        add_requests(model_serving(model), &figures->goals, windows, count);
    else
        add_steps(model_fluid(model), &figures->goals, windows, count);
    for (size_t i = 0; i < count; i++)
        sim_report_value(r->run, r->share, (int64_t)i * WINDOW_MS,
                         windows[i].requests > 0 ? windows[i].good / windows[i].requests : NAN);
    free(windows);
}

static void add_fact(void *arg, const char *name, const char *key, const char *words, double number, int better)
{
    struct simulate_report *r = arg;

    (void)key;
    if (name)
        sim_report_fact(r->run, name, words, number, (enum sim_report_better)better);
}

void simulate_report_finish(struct simulate_report *r, const struct simulate_figures *figures)
{
    add_shares(r, figures);
    if (figures->result.stopped)
        sim_report_finding(r->run, FINDING_WARNING, "interrupted", "the run was interrupted: this is a part of it",
                           NULL);
    simulate_facts(figures, add_fact, r);
    for (size_t i = 0; i < judge_count(figures->judge); i++) {
        const struct judgement *j = judge_at(figures->judge, i);

        sim_report_finding(r->run, j->severity, j->code, j->text, j->remedy);
    }
}

bool simulate_report_write(struct simulate_report *r, const struct simulate_figures *figures, const char *path,
                           struct error *err)
{
    simulate_report_finish(r, figures);
    return sim_report_write_file(r->page, path, err);
}

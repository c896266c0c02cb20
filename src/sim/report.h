/*
 * report: one HTML page about one or more runs: charts, every decision with its reason, the summary and what the judge found on top. It
 * is fed while a simulation runs and writes one file that needs nothing else.
 *
 *     struct sim_report *r = sim_report_new("weir simulate", "checkout.yaml against trace.csv");
 *     struct sim_report_run *run = sim_report_run(r, &(struct sim_report_run_options){.name = "checkout.yaml"});
 *     uint16_t queue = sim_report_measure(run, SIM_REPORT_BACKLOG, "waiting requests", "");
 *     simulation options: .on_tick = sim_report_tick, .arg = run;     -- or called from an on_tick of one's own
 *     sim_report_value(run, queue, at_ms, 12);                        -- while it runs, as often as there is something new
 *     sim_report_fact(run, "share in SLO", "99.31 %", 0.9931, SIM_REPORT_MORE_IS_BETTER);
 *     sim_report_finding(run, FINDING_WARNING, "oscillates", "replicas moved and moved back 12 times",
 *                        "widen the tolerance");
 *     sim_report_write_file(r, "out.html", &err);
 *     sim_report_free(r);
 *
 * Memory is bounded however long a run is: values share a grid of at most SIM_REPORT_ROWS_MAX rows, and a row that stands for many ticks
 * keeps the lowest and the highest of each, in their order. Scale events are all kept, up to SIM_REPORT_EVENTS_MAX. Decisions are kept
 * as runs of equal outcome; when there are too many of those, neighbours that moved nothing are folded, then others, and the page says so.
 * Words come from decide/words.c, numbers of the page from the caller or the ticks: nothing is computed twice. Same input, same
 * bytes. The curve of cost is the area under the wanted replicas. Times are milliseconds since the start of the run, and go up. Not for threads; each run
 * of a page may be fed by a thread of its own, once all have been made.
 */
#ifndef WEIR_SIM_REPORT_H
#define WEIR_SIM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/asset.h"
#include "base/report.h"
#include "base/text.h"
#include "sim/simulation.h"

struct error;
struct sim_report;
struct sim_report_run;

/* Chart.js, which the dashboard serves too; length 0: Weir was built without it. */
extern const struct asset asset_chart;

/* false: this Weir was built without Chart.js, and err says how to get one that has it. Ask before the run, not after it. */
bool sim_report_available(struct error *err);

struct sim_report *sim_report_new(const char *title, const char *subtitle);
void sim_report_free(struct sim_report *report);

struct sim_report_run_options {
    const char *name;      /* what tells it from others: "old.yaml", "checkout.yaml as keda-hpa" */
    int64_t start_at_ms;   /* wall clock at time 0; 0: only the time since the start is shown */
    double price_per_hour; /* of a replica; 0: none */
    const char *currency;  /* "$"; NULL: none */
};
/* At most SIM_REPORT_RUNS_MAX; NULL from then on. Owned by the report. */
struct sim_report_run *sim_report_run(struct sim_report *report, const struct sim_report_run_options *options);

/* A decision. A simulation_on_tick: arg is the run. */
void sim_report_tick(void *run, const struct simulation_tick *tick);

/* What the triggers do not say, and in which chart it stands. */
enum sim_report_chart {
    SIM_REPORT_DEMAND,  /* what came: requests or tokens per second */
    SIM_REPORT_BACKLOG, /* what waits */
    SIM_REPORT_SLO,     /* shares from 0 to 1 of what came in a window, given at the window's start */
};
/* Measures of one name in several runs share a chart. UINT16_MAX from SIM_REPORT_MEASURES_MAX on; such a one may be given values. */
uint16_t sim_report_measure(struct sim_report_run *run, enum sim_report_chart chart, const char *name,
                            const char *unit);
/* NaN: not known from here on. */
void sim_report_value(struct sim_report_run *run, uint16_t measure, int64_t at_ms, double value);
/* The goal of an SLO measure, drawn as a line: 0.99. */
void sim_report_goal(struct sim_report_run *run, uint16_t measure, double goal);

/* ---- on top of the page, in the order given; facts of one name stand in one row ---- */
enum sim_report_better { SIM_REPORT_NEITHER, SIM_REPORT_MORE_IS_BETTER, SIM_REPORT_LESS_IS_BETTER };
/* words: as the table of the command prints it; number: for telling which run is better. */
void sim_report_fact(struct sim_report_run *run, const char *name, const char *words, double number,
                     enum sim_report_better better);
/* What the judge found. remedy: what to do about it, or NULL. */
void sim_report_finding(struct sim_report_run *run, enum finding_severity severity, const char *code,
                        const char *sentence, const char *remedy);
/* Where runs part ways: [from, until), what differs, and why. */
void sim_report_parting(struct sim_report *report, int64_t from_ms, int64_t until_ms, const char *sentence);

/* ---- when all has been said ---- */
/* The data of the page as JSON, for tests; docs/simulate.md "The report" is its form. */
void sim_report_data(struct sim_report *report, struct text *out);
void sim_report_write(struct sim_report *report, struct text *out);
/* By a temporary file beside it, so that a page is whole or not there. */
bool sim_report_write_file(struct sim_report *report, const char *path, struct error *err);

#endif

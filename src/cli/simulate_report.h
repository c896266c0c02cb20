/* simulate_report: fills the page of --report (sim/report.h) while a simulation runs, and writes it. */
#ifndef WEIR_CLI_SIMULATE_REPORT_H
#define WEIR_CLI_SIMULATE_REPORT_H

#include <stdbool.h>

#include "cli/simulate_output.h"
#include "cli/simulate_setup.h"

struct error;
struct sim_report;
struct simulate_report;

bool simulate_report_available(struct error *err);
struct simulate_report *simulate_report_new(const struct simulation *simulation, const struct simulate_subject *subject,
                                            const struct simulate_setup *setup);
void simulate_report_free(struct simulate_report *report); /* NULL is fine */
void simulate_report_tick(struct simulate_report *report, const struct simulation_tick *tick);
/* For a page of several runs, which stays the caller's: joined before the run, finished while its simulation is still there. */
struct simulate_report *simulate_report_join(struct sim_report *page, const char *name,
                                             const struct simulation *simulation, const struct simulate_setup *setup);
void simulate_report_finish(struct simulate_report *report, const struct simulate_figures *figures);
bool simulate_report_write(struct simulate_report *report, const struct simulate_figures *figures, const char *path,
                           struct error *err);

#endif

/*
 * simulate_output: what a simulation is shown as: the moments at which something changed, then the summary. Fed by each tick.
 *
 *     struct simulate_output *o = simulate_output_new(&(struct simulate_subject){...});
 *     on_tick: simulate_output_tick(o, tick);
 *     simulate_output_text(o, &figures, &text);  or  simulate_output_json(o, &figures, &text);
 *     simulate_output_free(o);
 */
#ifndef WEIR_CLI_SIMULATE_OUTPUT_H
#define WEIR_CLI_SIMULATE_OUTPUT_H

#include <stdbool.h>

#include "base/text.h"
#include "sim/judge.h"
#include "sim/simulation.h"

struct simulate_subject {                                 /* borrowed */
    const char *policy, *object, *engine, *trace, *model; /* trace, model: NULL: none */
    int64_t start_at_ms;
    bool recorded; /* the trace is a recording */
};
struct simulate_figures {
    struct simulation_result result;
    struct score_goals goals;
    double price; /* of a replica's hour; 0: not asked for */
    const struct judge *judge;
    bool has_oracle, has_plan;
    double bound_hours; /* replica hours */
    struct score plan;
};

struct simulate_output;
struct simulate_output *simulate_output_new(const struct simulate_subject *subject);
void simulate_output_free(struct simulate_output *output);
void simulate_output_tick(struct simulate_output *output, const struct simulation_tick *tick);
void simulate_output_text(const struct simulate_output *output, const struct simulate_figures *figures, bool all,
                          struct text *out);
void simulate_output_json(const struct simulate_output *output, const struct simulate_figures *figures,
                          struct text *out);

/* The summary, a fact at a time: name for people, words, key and number for JSON. */
typedef void simulate_fact(void *arg, const char *name, const char *key, const char *words, double number, int better);
void simulate_facts(const struct simulate_figures *figures, simulate_fact *fact, void *arg);

#endif

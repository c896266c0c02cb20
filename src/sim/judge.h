/*
 * judge: what is wrong with the loop that a policy and its workload make, found by watching a simulation, and which term of the formula does it.
 *
 *     struct judge *j = judge_new(simulation);        -- before the run
 *     on_tick: judge_tick(j, tick);
 *     judge_finish(j, &goals);                        -- after the run
 *     judge_write_text(j, &text);
 *     judge_free(j);
 *
 * What it looks for (docs/simulate.md has a section for each code):
 *     against-demand   replicas go down when demand goes up
 *     runs-away        replicas rise, or stay up, where nothing is asked for, because more replicas ask for more
 *     oscillates       replicas move and move back although demand did not
 *     max-too-low      more is wished for than the maximum allows, for long
 *     content-in-need  requests miss their goals while the policy has all the replicas it wants
 *     too-late         requests miss their goals while replicas that were asked for are starting
 *
 * Which term: the formula is evaluated once more with one input a little higher (a trigger, or the number of replicas in every place in
 * which it stands), and the innermost sub-expression that turns a rise into a fall, or makes more of it, is the one. Memory is bounded
 * however long the run is. Not for threads.
 */
#ifndef WEIR_SIM_JUDGE_H
#define WEIR_SIM_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"
#include "sim/simulation.h"

struct judge;
struct text;

struct judgement {
    enum finding_severity severity;
    const char *code, *text, *remedy;
    const char *term; /* of the formula; NULL: none */
};

struct judge *judge_new(const struct simulation *simulation);
void judge_free(struct judge *judge); /* NULL is fine */
void judge_tick(struct judge *judge, const struct simulation_tick *tick);
void judge_finish(struct judge *judge, const struct score_goals *goals);

size_t judge_count(const struct judge *judge);
const struct judgement *judge_at(const struct judge *judge, size_t i);
/* One paragraph each; nothing where nothing was found. */
void judge_write_text(const struct judge *judge, struct text *out);
void judge_write_json(const struct judge *judge, struct text *out); /* an array */

#endif

/*
 * sim_case: what the kinds of simulation cases share: reading their inputs, and saying where an outcome differs. Integers are exact; numbers
 * with a point hold to 1e-9 relative.
 */
#ifndef WEIR_TEST_SIM_CASE_H
#define WEIR_TEST_SIM_CASE_H

#include "decide_case.h"
#include "sim/model.h"
#include "sim/run.h"

#define NS_PER_S INT64_C(1000000000)
#define CLOSE    1e-9

const struct tree *first_of(const struct tree *list);
int64_t integer_at(const struct tree *list, size_t index);
double number_at(const struct tree *list, size_t index);
int64_t seconds_or(const struct tree *map, const char *key, double unset_s); /* in nanoseconds */

bool read_profile(const struct tree *node, struct serving_profile *out);
uint64_t read_seed(const struct tree *map);
struct serving_startup read_startup(struct decide_case *c, const struct tree *map);
struct trace read_requests(const struct tree *list);
const struct run_write *read_plan(struct decide_case *c, size_t *count);
struct score_goals read_goals(const struct tree *slo);
/* The demand of the kinds `fluid` and `bound-fluid`. false: the profile cannot be read. */
bool read_fluid(struct decide_case *c, struct model_options *out);

void differ_words(struct decide_case *c, const char *place, const char *expected, const char *got);
/* got: -1 where there is nothing, for columns in which that can be. */
void compare_column(struct decide_case *c, const struct tree *row, size_t column, const char *place, int64_t got,
                    bool nullable);
void compare_row(struct decide_case *c, const char *what, size_t index, const struct tree *row, const int64_t *got,
                 size_t count, bool nullable);
bool same_count(struct decide_case *c, const char *what, const struct tree *list, size_t got);
/* "inf" is infinity. */
void compare_within(struct decide_case *c, const struct tree *node, const char *place, double got, double tolerance);
void compare_close(struct decide_case *c, const struct tree *map, const char *key, bool found, double got);

/* ---- sim_policy.c: `policy` of a case, as an engine on a model ---- */
struct policy_run;
/* NULL: the policy cannot be read, and the case says why. */
struct policy_run *policy_run_new(struct decide_case *c, const struct tree *policy, struct model *model,
                                  int64_t step_ms);
struct sim_engine *policy_run_engine(struct policy_run *run);
void policy_run_free(struct policy_run *run);

/* ---- sim_oracle.c ---- */
void run_bound(struct decide_case *c);
void run_bound_fluid(struct decide_case *c);
void run_plan(struct decide_case *c);
void run_levels(struct decide_case *c);

#endif

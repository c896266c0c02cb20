/*
 * tune: a search for the numbers of a policy that serve a workload best: what can be changed, how a candidate becomes a manifest, and the
 * search itself. Runs of candidates are left to the caller, who may spread them over processes.
 *
 *     if (!tune_find("policy.yaml", bytes, length, object, &space, &err)) ...       -- marked by "# weir:tune 10..1000", or inferred
 *     tune_search(&space, &options, evaluate, arg, &result);                       -- calls evaluate() with a generation at a time
 *     tune_manifest(&space, bytes, length, &result.list[i], &text, &err);           -- the candidate as a minimal edit of the file
 *     tune_result_free(&result);   tune_space_done(&space);
 *
 * Three things are wanted at once: requests in their goals, few replica hours, few scale events. A candidate that reaches the wanted share
 * beats every one that does not; of two that do not, the nearer one wins; else one dominates that is better in something and worse in nothing.
 * The front is all that nobody dominates. Method: NSGA-II (Deb et al. 2002) from a Latin hypercube, with simulated binary crossover and
 * polynomial mutation. Same seed, same result, however many evaluate at the same time. Pure.
 */
#ifndef WEIR_SIM_TUNE_H
#define WEIR_SIM_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/tree.h"

struct arena;
struct error;
struct text;

/* ---- what can be changed ---- */

struct tune_parameter {
    const char *path;    /* as in struct edit */
    enum tree_type type; /* what is written: TREE_NUMBER or TREE_STRING */
    double low, high;
    double now;    /* what is in force, a default included */
    bool whole;    /* no fractions */
    bool log;      /* factors matter, not differences */
    bool duration; /* written as 1.5s; numbers are seconds */
    bool is_there; /* false: its key is not in the file yet */
};
struct tune_space {
    struct arena *arena; /* owns the paths */
    size_t document;     /* of the file, as in struct edit */
    struct tune_parameter list[TUNE_PARAMETERS_MAX];
    size_t count;
    bool marked; /* the file says what may be changed; else it was inferred */
};

/* object: "NAMESPACE/NAME" or "NAME"; NULL: the only ScaledObject. false: err says where and why. */
bool tune_find(const char *file, const char *bytes, size_t length, const char *object, struct tune_space *out,
               struct error *err);
void tune_space_done(struct tune_space *space);

/* ---- candidates ---- */

struct tune_outcome { /* of a run, or of what could not be run */
    bool failed;      /* the manifest is refused: nothing is worse */
    double in_slo;    /* share, 0..1 */
    double replica_hours;
    double events, oscillation, recovery_s, ttft_p99_s; /* ttft_p99_s: -1: not known */
};
struct tune_candidate {
    double point[TUNE_PARAMETERS_MAX]; /* 0..1 each; of the first candidate, the manifest as it is, none count */
    bool as_written;
    struct tune_outcome outcome;
    size_t rank; /* 0: nobody dominates it */
    double crowding;
};

/* What a parameter is at that place of its range, as it is written. */
void tune_write_value(const struct tune_parameter *parameter, double place, struct text *out);
/* The number that stands there then. */
double tune_value(const struct tune_parameter *parameter, double place);
/* The file with the candidate's values. false: it cannot be edited so. */
bool tune_manifest(const struct tune_space *space, const char *file, const char *bytes, size_t length,
                   const struct tune_candidate *candidate, struct text *out, struct error *err);

/* ---- the search ---- */

struct tune_options {
    size_t candidates; /* evaluated in all; the manifest as it is among them */
    uint64_t seed;
    double share; /* of requests in their goals that is wanted */
};
struct tune_result {
    struct tune_candidate *list; /* all that were evaluated, the one as written first */
    size_t count;
    size_t
        *front; /* indices into list of those that nobody dominates, the cheapest first; no two with the same values */
    size_t front_count;
    bool stopped; /* before all candidates were evaluated */
};
/* Fills in outcomes. false: stop; these are thrown away. */
typedef bool tune_evaluate(void *arg, struct tune_candidate *candidates, size_t count);

void tune_search(const struct tune_space *space, const struct tune_options *options, tune_evaluate *evaluate, void *arg,
                 struct tune_result *out);
void tune_result_free(struct tune_result *result);
/* a is better in something that is wanted, and worse in nothing. */
bool tune_dominates(const struct tune_outcome *a, const struct tune_outcome *b, double share);

#endif

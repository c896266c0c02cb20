/*
 * compare: where two runs of a simulation part ways, and why.
 *
 *     struct compare_path *a = compare_path_new();                 -- a first run: how many replicas were wanted, and when
 *     on_tick: compare_path_tick(a, tick);
 *     count = compare_partings(a, b, end_ms, partings, COMPARE_PARTINGS_MAX);
 *     struct compare_witness *w = compare_witness_new(moments, n); -- a second run of the same: what was said at those moments
 *     on_tick: compare_witness_tick(w, tick);
 *     compare_witness_words(w, i);
 *
 * Runs are repeatable, so the words of the few decisions that matter are asked for in a second run instead of keeping those of all. Times are
 * milliseconds since the start. Pure. Not for threads.
 */
#ifndef WEIR_SIM_COMPARE_H
#define WEIR_SIM_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/simulation.h"

struct compare_path;

struct compare_path *compare_path_new(void);
void compare_path_free(struct compare_path *path);
void compare_path_tick(struct compare_path *path, const struct simulation_tick *tick);
/* The wish at that moment; -1: none yet. */
int32_t compare_path_at(const struct compare_path *path, int64_t at_ms);
/* From then on it is not known what was wished for (SIM_COMPARE_MOVES_MAX); INT64_MAX: it is. */
int64_t compare_path_end_ms(const struct compare_path *path);

struct parting {               /* a stretch in which two runs want different numbers */
    int64_t from_ms, until_ms; /* [from, until) */
    int32_t a, b;              /* at its start */
    int64_t widest_at_ms;
    int32_t widest_a, widest_b; /* where they differ most */
    double replica_seconds;     /* how much more b wants over the whole stretch; less is negative */
    double apart;               /* the same, each difference counted as positive */
};
/* Up to `most` of them by time: the first one, and those of the rest that are furthest apart. */
size_t compare_partings(const struct compare_path *a, const struct compare_path *b, int64_t end_ms, struct parting *out,
                        size_t most);

struct compare_witness;
/* moments: ascending; copied. */
struct compare_witness *compare_witness_new(const int64_t *moments_ms, size_t count);
void compare_witness_free(struct compare_witness *witness);
void compare_witness_tick(struct compare_witness *witness, const struct simulation_tick *tick);
/* What the decision in force at that moment said: "3 -> 5: ..."; "": there was none. */
const char *compare_witness_words(const struct compare_witness *witness, size_t index);

#endif

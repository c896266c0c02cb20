/*
 * history: how an object went over days, from the journal, in as many points as are asked for.
 *
 *     history_note(journal, "ScaledObject/shop/checkout", &facts);                      -- at every decision
 *     history_read(journal, "ScaledObject/shop/checkout", since_ms, until_ms, 300, on_point, &chart);
 *
 * What a decision saw counts until the next one, or until it is too old to say anything (hold_ms). So it is rolled up: of each span the
 * least, the mean over time and the greatest of replicas wanted and ready and of every trigger's value, how long a trigger had none, and how
 * long the SLO held. Spans get longer as they age:
 *
 *     5 min for the last day  ->  1 h for the last 8 days  ->  4 h for HISTORY_DAYS (30) days
 *
 * Only the span of now is in memory, so that a kill -9 takes no more than that; the others stand in the journal, packed, those of an hour,
 * a day and four days in a row of their own: some 660 spans in 40 rows. A span takes 6 bytes of an object at rest, and 32 of one with two
 * triggers whose values are new fractions at every poll: 21 kB for all, so that 10,000 of these take 280 MB with what SQLite adds, where
 * JOURNAL_MAX_BYTES is 384 MiB. When that is reached, decisions and samples go first, the oldest before the others, as long as an hour of them
 * is left; then the oldest spans.
 *
 * Whole numbers up to 16 million are kept as they are, others to 1/65,536, a mean to 1/65,535 of the way from the least to the greatest.
 * Loop thread only; work per call is bounded.
 */
#ifndef WEIR_JOURNAL_HISTORY_H
#define WEIR_JOURNAL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

struct journal;

/* ---- writing: with every decision, cheap (kept in memory until the span is over) ---- */
struct history_facts {
    int64_t at_ms;
    int64_t hold_ms;              /* how long they count where no others come; at most HISTORY_HOLD_MAX_MS */
    int32_t wanted, ready;        /* -1: unknown */
    const struct sample *samples; /* one per trigger; SAMPLE_NONE: nothing is known of it, as of cpu and memory */
    const char *const *triggers;  /* their names */
    size_t trigger_count;
    bool has_slo, slo_held; /* the annotation weir.dev/slo, evaluated */
};
void history_note(struct journal *journal, const char *object, const struct history_facts *facts);

/* ---- reading: what was noted until now, the span of now included ---- */
struct history_range { /* of a span; min NAN: there was no value in it */
    double min, mean, max;
};
struct history_point { /* valid during the call */
    int64_t begin_ms, end_ms;
    struct history_range wanted, ready;
    size_t trigger_count; /* the same ones in every point, in the same order */
    const struct history_trigger {
        const char *name;
        struct history_range value;
        double missing, failed; /* share of the time that it was asked, 0..1 */
    } * triggers;
    double slo; /* share of the time in which it held; NAN: not known */
    double scale_events;
};
typedef bool history_visit(void *arg, const struct history_point *point); /* false: stop */
/* Oldest first, in at most `points` (up to HISTORY_POINTS_MAX) points of equal length, a multiple of five minutes, which stand on a grid
   that does not move when the range does; the first and the last one are whole. Spans without anything are left out. Returns the length. */
int64_t history_read(struct journal *journal, const char *object, int64_t since_ms, int64_t until_ms, size_t points,
                     history_visit *visit, void *arg);
/* Sums over a span for overviews: replica-seconds (of ready ones), seconds in which the SLO held and was known, changes of the replicas
   wanted. A day takes some 0.1 ms: for thousands of objects spread them over time. */
struct history_totals {
    double replica_s, slo_held_s, slo_known_s;
    uint64_t scale_events;
};
void history_totals(struct journal *journal, const char *object, int64_t since_ms, int64_t until_ms,
                    struct history_totals *out);

/* ---- manifests as they were loaded: each new version of an object, without what may be secret ---- */
struct history_manifest { /* valid during the call */
    int64_t at_ms;
    uint64_t generation;
    const char *yaml; /* the one object's document, as text */
};
/* Is this the version that was put last? Then there is nothing to write. */
bool history_has_manifest(struct journal *journal, const char *object, uint64_t generation);
void history_put_manifest(struct journal *journal, const char *object, const struct history_manifest *manifest);
/* Newest first; HISTORY_MANIFESTS_MAX are kept of each object. What differs between two is not kept but found when they are shown
   (serve/history.c), as decisions are put in words when they are shown. */
typedef bool history_visit_manifest(void *arg, const struct history_manifest *manifest);
void history_manifests(struct journal *journal, const char *object, history_visit_manifest *visit, void *arg);

#endif

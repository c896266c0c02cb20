/*
 * history: how an object went over days, from the journal, in as many points as are asked for.
 *
 * What is written with every decision and, once a minute, with every sample (journal.h) is rolled up as it ages: a row per object and
 * five minutes, later per hour, for HISTORY_DAYS (30) days; each with the least, the mean and the greatest of replicas wanted and ready, of
 * every trigger's value, and how much of the span it had none. The oldest go first when JOURNAL_MAX_BYTES is reached.
 * Loop thread only; work per call is bounded.
 */
#ifndef WEIR_JOURNAL_HISTORY_H
#define WEIR_JOURNAL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

struct journal;

/* ---- writing: with every decision, cheap (kept in memory until the span is over or the journal commits) ---- */
struct history_facts {
    int64_t at_ms;
    int32_t wanted, ready;        /* -1: unknown */
    const struct sample *samples; /* one per trigger */
    const char *const *triggers;  /* their names */
    size_t trigger_count;
    bool has_slo, slo_held;       /* the annotation weir.dev/slo, evaluated */
};
void history_note(struct journal *journal, const char *object, const struct history_facts *facts);

/* ---- reading ---- */
struct history_range { /* of a span; min NAN: there was no value in it */
    double min, mean, max;
};
struct history_point { /* valid during the call */
    int64_t begin_ms, end_ms;
    struct history_range wanted, ready;
    size_t trigger_count;
    const struct history_trigger {
        const char *name;
        struct history_range value;
        double missing, failed; /* share of the span, 0..1 */
    } *triggers;
    double slo; /* share of the span in which it held; NAN: not known */
};
typedef bool history_visit(void *arg, const struct history_point *point); /* false: stop */
/* Oldest first, at_ms in (since, until], in at most HISTORY_POINTS_MAX points of equal length; spans without anything are left out. */
void history_read(struct journal *journal, const char *object, int64_t since_ms, int64_t until_ms, size_t points,
                  history_visit *visit, void *arg);
/* Sums over a span for overviews: replica-seconds (of ready ones), seconds in which the SLO held and was known. */
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
    const char *changes; /* what differs from the version before, in words (a line each); "" for the first */
};
void history_put_manifest(struct journal *journal, const char *object, const struct history_manifest *manifest);
/* Newest first; HISTORY_MANIFESTS_MAX are kept of each object. */
typedef bool history_visit_manifest(void *arg, const struct history_manifest *manifest);
void history_manifests(struct journal *journal, const char *object, history_visit_manifest *visit, void *arg);

#endif

/*
 * keda: what KEDA's operator would show and serve for a decision made in hpa mode: conditions, events, and the values
 * the HorizontalPodAutoscaler is fed. Views of the decision record, nothing is computed twice. Rules:
 * keda-operator/03.
 *
 *     decide(&rules, &facts, memory, false, &d);            -- rules.mode == DECIDE_HPA
 *     keda_view(&rules, &d, fallback_was_true, &view);
 *     if (keda_metric(&rules, &d, i, &metric)) ...serve metric.milli...
 */
#ifndef WEIR_DECIDE_KEDA_H
#define WEIR_DECIDE_KEDA_H

#include "decide/decide.h"

/* Is `fallback` in force? Not with negative numbers, nor beside modifiers whose target is no number above 0. */
bool keda_fallback_usable(const struct decide_rules *rules);

enum keda_condition_type { KEDA_READY, KEDA_ACTIVE, KEDA_FALLBACK, KEDA_PAUSED, KEDA_CONDITIONS };
enum keda_status { KEDA_UNTOUCHED, KEDA_TRUE, KEDA_FALSE, KEDA_UNKNOWN };
const char *keda_condition_name(enum keda_condition_type type); /* "Ready" ... */
const char *keda_status_name(enum keda_status status);          /* "True" ... */

struct keda_condition {
    enum keda_status status;
    const char *reason; /* static text */
};
struct keda_view {
    struct keda_condition conditions[KEDA_CONDITIONS];
    bool activated, deactivated;                   /* events KEDAScaleTargetActivated, ...Deactivated */
    bool fallback_activated, fallback_deactivated; /* events ScaledObjectFallbackActivated, ... */
};
void keda_view(const struct decide_rules *rules, const struct decision *decision, bool fallback_was_true,
               struct keda_view *out);

struct keda_metric {
    int64_t milli;
    bool composite;   /* goes by the name composite-metric, not by the trigger's */
    bool placeholder; /* -1: only the formula may see it, as nil; never serve it */
    bool failing;     /* status.health */
    int32_t failures;
};
/* What an evaluation of one trigger gives. false: an error (below the threshold, or no fallback); failing and
   failures are set. */
bool keda_metric(const struct decide_rules *rules, const struct decision *decision, size_t trigger,
                 struct keda_metric *out);
/* What composite-metric answers. false: an error. */
bool keda_composite(const struct decide_rules *rules, const struct decision *decision, int64_t *milli);

/* A double as KEDA makes a metric of it: NaN, infinities and negatives are 0; three decimals, rounded. */
int64_t keda_milli(double value);
/* A formula's result, cut (keda-operator/03 7). false: it does not fit, which KEDA does not see (failure-modes F2). */
bool keda_cut_milli(double value, int64_t *milli);
/* Targets below 0.1 would lose their digits in milli: target and value are both multiplied by this (1 otherwise). */
double keda_metric_scale(double target);

#endif

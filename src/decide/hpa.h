/*
 * hpa: Kubernetes' horizontal pod autoscaler v2 in pieces, each a pure function. Rules and numbers: hpa-algorithm.md.
 *
 * Quantities are integers of a unit, 10^-digits. Kubernetes' unit is 10^-3 (digits = 3) and so is that of hpa mode
 * and the vectors; direct mode takes a finer one for small targets (DESIGN.md 3.4). Every operation on doubles is
 * done as written, once rounded: some results differ by one from exact arithmetic and are kept so (hpa-algorithm.md
 * 16.3).
 *
 * Order of a sync: proposals (one per metric) -> combined by the caller -> stabilized -> limited. What was wished for
 * and what was done lately are lists of moments; the caller owns them. `decide()` strings the pieces together for
 * direct mode, hpa_object.h for a HorizontalPodAutoscaler with its conditions and events. No clock, no input or
 * output; not for threads.
 */
#ifndef WEIR_DECIDE_HPA_H
#define WEIR_DECIDE_HPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"

/* ------------------------------------------------------------------ arithmetic */

int32_t hpa_ceil32(double x);  /* saturating; NaN is 0 */
int32_t hpa_trunc32(double x); /* toward zero, saturating; NaN is 0 */
/* The least number of digits in 3..9 for which target x 10^digits is at least 1000 (DESIGN.md 3.4). */
int hpa_digits(double target);
/* value in units, rounded up, saturating; NaN is 0. */
int64_t hpa_units(double value, int digits);
/* The same for a target: never below 1, and a decimal that a double holds a hair too large is not rounded up for
   that. */
int64_t hpa_target_units(double target, int digits);
double hpa_from_units(int64_t units, int digits);

struct hpa_tolerance {
    double up, down;
};
bool hpa_within(const struct hpa_tolerance *tolerance, double ratio); /* both edges inclusive; NaN is outside */

/* ------------------------------------------------------------------ proposals (hpa-algorithm.md 5 and 6) */

enum hpa_fault { /* why a metric has no proposal */
                 HPA_OK,
                 HPA_NO_METRICS,       /* an empty answer */
                 HPA_NO_PODS,          /* the selector matches nothing */
                 HPA_PODS_UNREADY,     /* no usable sample left */
                 HPA_NO_MATCHING_PODS, /* samples and requests do not overlap, or the requests sum to 0 */
                 HPA_MISSING_REQUEST,
                 HPA_FETCH_FAILED,
};
const char *hpa_fault_name(enum hpa_fault fault); /* "no-metrics" ... */

struct hpa_proposal {
    enum hpa_fault fault;
    bool within; /* within the tolerance: replicas is what is there already */
    int32_t replicas;
    int64_t usage;       /* what status shows: the sum for Value, per pod for the averages */
    int64_t utilization; /* percent, truncated; utilization targets only */
};

/* Sum for Value targets: positive overflow saturates, negative overflow wraps, as in Kubernetes. */
int64_t hpa_sum(const int64_t *values, size_t count);
/* External metrics with an average: false when the running sum was ever negative, which Kubernetes takes for an
   overflow. */
bool hpa_sum_average(const int64_t *values, size_t count, int64_t *sum);

void hpa_propose_value(int64_t sum, int64_t target, int32_t spec_replicas, size_t pods, int32_t ready,
                       const struct hpa_tolerance *tolerance, struct hpa_proposal *out);
void hpa_propose_average(int64_t sum, int64_t target, int32_t status_replicas, const struct hpa_tolerance *tolerance,
                         struct hpa_proposal *out);
/* An external average that counts as an overflow: everything is asked for. */
void hpa_propose_everything(struct hpa_proposal *out);

enum hpa_pod_class { HPA_POD_IGNORED, HPA_POD_UNREADY, HPA_POD_MISSING, HPA_POD_COUNTED };

struct hpa_pods { /* one per-pod metric: Pods, Resource, ContainerResource */
    const struct pod_fact *pods;
    size_t pod_count;
    size_t usage;           /* which of each pod's usages */
    const int64_t *foreign; /* samples of pods that are not listed */
    size_t foreign_count;
    bool cpu;         /* readiness matters only for cpu */
    bool utilization; /* target is percent of the request, else an average in units */
    int64_t target;
    int32_t spec_replicas;
    int64_t now_ms, cpu_initialization_ms, readiness_delay_ms;
};
enum hpa_pod_class hpa_classify(const struct hpa_pods *metric, size_t pod);
void hpa_propose_pods(const struct hpa_pods *metric, const struct hpa_tolerance *tolerance, struct hpa_proposal *out);

/* ------------------------------------------------------------------ what was wished and done lately */

struct hpa_moment {
    int64_t at_ms;
    int32_t count; /* a recommendation, or by how much the scale was changed */
};
struct hpa_moments { /* grows; never beyond HPA_MOMENTS_MAX. Zeroed is empty */
    struct hpa_moment *items;
    uint16_t count, capacity;
};
void hpa_moments_done(struct hpa_moments *moments); /* frees, leaves it empty */
void hpa_moments_copy(struct hpa_moments *to, const struct hpa_moments *from);
/* Appends. Where the bound is reached the oldest entry is overwritten. */
void hpa_moments_add(struct hpa_moments *moments, int64_t at_ms, int32_t count);
/* Takes the place of the last entry (in list order) strictly older than window_ms, else appends: Kubernetes' way
   with both recommendations and events (hpa-algorithm.md 8, 9.2, 9.4). */
void hpa_moments_recycle(struct hpa_moments *moments, int64_t now_ms, int64_t window_ms, int32_t count);

/* ------------------------------------------------------------------ stabilization, limits (hpa-algorithm.md 8, 9) */

/* Without behavior: the highest of the window, its edge included. */
int32_t hpa_stabilize_plain(const struct hpa_moments *wishes, int64_t now_ms, int64_t window_ms, int32_t wish);
/* With behavior: current, pulled into [lowest of the up window, highest of the down window], edges excluded. highs
   and lows may be one list. */
int32_t hpa_stabilize(const struct hpa_moments *highs, const struct hpa_moments *lows, int64_t now_ms, int64_t up_ms,
                      int64_t down_ms, int32_t current, int32_t wish);

enum hpa_limit { HPA_WITHIN_RANGE, HPA_TOO_FEW, HPA_TOO_MANY, HPA_SCALE_UP_LIMIT, HPA_SCALE_DOWN_LIMIT };
const char *hpa_limit_name(enum hpa_limit limit); /* "DesiredWithinRange" ... */

int32_t hpa_limit_plain(int32_t current, int32_t desired, int32_t min, int32_t max, enum hpa_limit *why);
int32_t hpa_limit(const struct scaling_behavior *behavior, const struct hpa_moments *ups,
                  const struct hpa_moments *downs, int64_t now_ms, int32_t current, int32_t desired, int32_t min,
                  int32_t max, enum hpa_limit *why);
/* The longest policy period of a direction. */
int64_t hpa_longest_period_ms(const struct scaling_rules *rules);
/* A scale write was done: remembered in the list of its direction. */
void hpa_store_event(const struct scaling_behavior *behavior, struct hpa_moments *ups, struct hpa_moments *downs,
                     int64_t now_ms, int32_t before, int32_t after);

#endif

/*
 * hpa_object: a HorizontalPodAutoscaler as a whole: one sync with its conditions, events and status, the defaulting
 * of `behavior`, and the API server's validation. For hpa mode, the keda-hpa engine of the simulator, and lint.
 * decide() does not need it. Rules: hpa-algorithm.md 4, 7, 10 to 13; the newest release where releases differ (its
 * section 14).
 *
 *     struct hpa_state state = {0};
 *     hpa_sync(&object, &controller, &facts, &state, &outcome);      -- every 15 s
 *     if (outcome.rescaled) ... outcome.replicas ...
 *     hpa_state_done(&state);
 */
#ifndef WEIR_DECIDE_HPA_OBJECT_H
#define WEIR_DECIDE_HPA_OBJECT_H

#include "decide/hpa.h"

struct tree;

/* ------------------------------------------------------------------ what is asked for */

enum hpa_metric_type { HPA_EXTERNAL, HPA_OBJECT, HPA_PODS, HPA_RESOURCE, HPA_CONTAINER_RESOURCE };
const char *hpa_metric_type_name(enum hpa_metric_type type); /* "External" ... */

struct hpa_metric {
    enum hpa_metric_type type;
    enum target_type target_type; /* Object only: External goes by what is set (hpa-algorithm.md 5) */
    bool has_value, has_average, has_utilization, cpu;
    int64_t value, average; /* milli */
    int32_t utilization;    /* percent */
};
struct hpa_object {
    int32_t min, max;
    const struct scaling_behavior *behavior; /* NULL: absent */
    const struct hpa_metric *metrics;
    size_t metric_count;
};
struct hpa_controller { /* flags and feature gates of kube-controller-manager */
    int64_t downscale_stabilization_ms, cpu_initialization_ms, readiness_delay_ms;
    double tolerance;
    bool scale_to_zero, configurable_tolerance;
};
void hpa_controller_default(struct hpa_controller *controller);

/* ------------------------------------------------------------------ one sync */

enum hpa_selector { HPA_SELECTOR_GOOD, HPA_SELECTOR_EMPTY, HPA_SELECTOR_INVALID, HPA_SELECTOR_AMBIGUOUS };

struct
    hpa_samples { /* of one metric. External, Object: values, milli. Per pod: each pod's usage[index of the metric] */
    bool failed;
    const int64_t *values;
    size_t count;
};
struct hpa_sync_facts {
    int64_t now_ms;
    bool scale_get_failed, scale_update_failed;
    int32_t replicas, status_replicas;
    enum hpa_selector selector;
    const struct pod_fact *pods;
    size_t pod_count;
    const struct hpa_samples *samples; /* one per metric */
};

enum hpa_condition_type {
    HPA_ABLE_TO_SCALE,
    HPA_SCALING_ACTIVE,
    HPA_SCALING_LIMITED,
    HPA_SCALED_TO_ZERO,
    HPA_CONDITIONS
};

/* clang-format off */
#define HPA_REASONS(REASON)                                                                                            \
    REASON(SucceededGetScale) REASON(FailedGetScale) REASON(ReadyForNewScale) REASON(ScaleDownStabilized)              \
    REASON(ScaleUpStabilized) REASON(SucceededRescale) REASON(FailedUpdateScale) REASON(ValidMetricFound)              \
    REASON(ScalingDisabled) REASON(FailedGetResourceMetric) REASON(FailedGetContainerResourceMetric)                   \
    REASON(FailedGetPodsMetric) REASON(FailedGetObjectMetric) REASON(FailedGetExternalMetric)                          \
    REASON(InvalidSelector) REASON(AmbiguousSelector) REASON(DesiredWithinRange) REASON(TooFewReplicas)                \
    REASON(TooManyReplicas) REASON(ScaleUpLimit) REASON(ScaleDownLimit) REASON(ScaledToZero) REASON(NotScaledToZero)   \
    REASON(SuccessfulRescale) REASON(FailedRescale) REASON(FailedComputeMetricsReplicas) REASON(SelectorRequired)
/* clang-format on */
enum hpa_reason { /* of conditions and of events */
#define REASON(name) HPA_REASON_##name,
                  HPA_REASONS(REASON)
#undef REASON
                      HPA_REASON_COUNT
};
const char *hpa_reason_name(enum hpa_reason reason);
bool hpa_reason_find(const char *name, enum hpa_reason *out);
const char *hpa_condition_name(enum hpa_condition_type type); /* "AbleToScale" ... */
bool hpa_condition_find(const char *name, enum hpa_condition_type *out);

struct hpa_condition {
    enum hpa_condition_type type;
    bool status;
    enum hpa_reason reason;
};
struct hpa_state { /* lives as long as the HPA: history and conditions. Zeroed is new */
    struct hpa_moments wishes, ups, downs;
    bool wished; /* some recommendation was recorded */
    struct hpa_condition conditions[HPA_CONDITIONS];
    int condition_count; /* in the order in which they were first set */
    int32_t desired;     /* status.desiredReplicas */
};
void hpa_state_done(struct hpa_state *state);
const struct hpa_condition *hpa_state_condition(const struct hpa_state *state, enum hpa_condition_type type);
void hpa_state_set(struct hpa_state *state, enum hpa_condition_type type, bool status, enum hpa_reason reason);

struct hpa_outcome {
    int32_t replicas; /* of the scale after the sync */
    bool rescaled, error;
    bool computed; /* recommended and stabilized are set */
    int32_t recommended, stabilized;
    bool measured; /* proposals are filled: status.currentMetrics is not null */
    size_t proposal_count;
    struct hpa_proposal proposals[TRIGGERS_MAX]; /* fault: an entry with an empty type */
    size_t event_count;
    enum hpa_reason events[TRIGGERS_MAX + 4];
};
/* object->metric_count is at most TRIGGERS_MAX. */
void hpa_sync(const struct hpa_object *object, const struct hpa_controller *controller,
              const struct hpa_sync_facts *facts, struct hpa_state *state, struct hpa_outcome *out);

/* Stabilization and limits of one wish, remembered in state->wishes; sets AbleToScale and ScalingLimited. */
int32_t hpa_normalize(const struct hpa_object *object, const struct hpa_controller *controller, int64_t now_ms,
                      int32_t current, int32_t wish, struct hpa_state *state, int32_t *stabilized);

/* ------------------------------------------------------------------ behavior as written, and validation */

/* `behavior` of autoscaling/v2, defaults filled in (hpa-algorithm.md 12). behavior must have passed
   hpa_validate_behavior(); policies beyond SCALING_POLICIES_MAX are refused with false. */
bool scaling_behavior_read(const struct tree *behavior, struct scaling_behavior *out);

enum hpa_finding_kind { HPA_REQUIRED, HPA_INVALID, HPA_NOT_SUPPORTED, HPA_FORBIDDEN };
const char *hpa_finding_name(enum hpa_finding_kind kind); /* "Required" ... */
/* Called for each finding; path ("spec.metrics[0].type") and text (a remedy) are valid during the call only. */
typedef void hpa_found(void *arg, const char *path, enum hpa_finding_kind kind, const char *text);

/* What the API server refuses in `behavior`; prefix is the path it stands at ("spec.behavior"). */
void hpa_validate_behavior(const struct tree *behavior, const char *prefix, hpa_found *found, void *arg);
/* What the API server refuses in a HorizontalPodAutoscaler's spec after defaulting. zero_allowed: gate
   HPAScaleToZero, or the stored object has minReplicas 0 already. */
void hpa_validate(const struct tree *spec, bool zero_allowed, hpa_found *found, void *arg);

#endif

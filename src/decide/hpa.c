/*
 * hpa: the arithmetic of the horizontal pod autoscaler v2. Sections in comments are those of hpa-algorithm.md.
 *
 * Two things look wrong and are not. Ratios are doubles although everything else is integer, and each is rounded
 * exactly where Kubernetes rounds it: 10 % up from 50 is 56, because 50 x 1.1 is a hair above 55. And lists are not
 * sorted by time: a stale entry's place is taken again, so an order of insertion is all there is.
 */
#include "decide/hpa.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"

enum { DIGITS_MIN = 3, DIGITS_MAX = 9, UNITS_IN_TARGET_MIN = 1000 };

/* ------------------------------------------------------------------ arithmetic */

static double power_of_ten(int digits)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

    assert(digits >= 0 && digits <= DIGITS_MAX);
    return powers[digits];
}

/* To int32 once rounded: casting an out-of-range double is undefined in C, so it is cut first (2.2). */
static int32_t saturate32(double x)
{
    if (isnan(x))
        return 0;
    if (x >= (double)INT32_MAX)
        return INT32_MAX;
    return x <= (double)INT32_MIN ? INT32_MIN : (int32_t)x;
}

static int64_t saturate64(double x)
{
    if (isnan(x))
        return 0;
    if (x >= 9223372036854775807.0) /* rounds to 2^63, the first double that does not fit */
        return INT64_MAX;
    return x <= -9223372036854775808.0 ? INT64_MIN : (int64_t)x;
}

static int64_t add_saturating(int64_t a, int64_t b)
{
    int64_t sum;

    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return b > 0 ? INT64_MAX : INT64_MIN;
}

static int32_t add_saturating32(int32_t a, int64_t b)
{
    int64_t sum = add_saturating(a, b);

    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
}

int32_t hpa_ceil32(double x)
{
    return saturate32(ceil(x));
}

int32_t hpa_trunc32(double x)
{
    return saturate32(trunc(x));
}

int hpa_digits(double target)
{
    int digits = DIGITS_MIN;

    while (digits < DIGITS_MAX && !(target * power_of_ten(digits) >= UNITS_IN_TARGET_MIN))
        digits++;
    return digits;
}

int64_t hpa_units(double value, int digits)
{
    return saturate64(ceil(value * power_of_ten(digits)));
}

int64_t hpa_target_units(double target, int digits)
{
    /* 0.07 x 10^5 is 7000.000000000001 in doubles: the decimal that was meant is 7000 (serving-model.md 7.2). */
    int64_t units = saturate64(ceil(target * power_of_ten(digits) - 1e-9));

    return units < 1 ? 1 : units;
}

double hpa_from_units(int64_t units, int digits)
{
    return (double)units / power_of_ten(digits);
}

bool hpa_within(const struct hpa_tolerance *tolerance, double ratio)
{
    return 1.0 - tolerance->down <= ratio && ratio <= 1.0 + tolerance->up;
}

/* ------------------------------------------------------------------ Value and AverageValue (5) */

const char *hpa_fault_name(enum hpa_fault fault)
{
    static const char *const names[] = {
        "ok", "no-metrics", "no-pods", "pods-unready", "no-matching-pods", "missing-request", "fetch-failed",
    };

    return names[fault];
}

int64_t hpa_sum(const int64_t *values, size_t count)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        if (values[i] > 0 && sum > INT64_MAX - values[i])
            sum = INT64_MAX;
        else
            sum = (int64_t)((uint64_t)sum + (uint64_t)values[i]);
    }
    return sum;
}

bool hpa_sum_average(const int64_t *values, size_t count, int64_t *sum)
{
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        *sum = (int64_t)((uint64_t)*sum + (uint64_t)values[i]);
        if (*sum < 0)
            return false;
    }
    return true;
}

void hpa_propose_value(int64_t sum, int64_t target, int32_t spec_replicas, size_t pods, int32_t ready,
                       const struct hpa_tolerance *tolerance, struct hpa_proposal *out)
{
    double ratio = (double)sum / (double)target;

    *out = (struct hpa_proposal){.usage = sum};
    if (spec_replicas == 0) {
        out->replicas = hpa_ceil32(ratio);
    } else if (hpa_within(tolerance, ratio)) {
        out->within = true;
        out->replicas = spec_replicas;
    } else if (pods == 0) {
        out->fault = HPA_NO_PODS;
    } else {
        out->replicas = hpa_ceil32(ratio * (double)ready);
    }
}

void hpa_propose_average(int64_t sum, int64_t target, int32_t status_replicas, const struct hpa_tolerance *tolerance,
                         struct hpa_proposal *out)
{
    double ratio = (double)sum / ((double)target * (double)status_replicas);

    *out = (struct hpa_proposal){.within = hpa_within(tolerance, ratio)};
    out->replicas = out->within ? status_replicas : hpa_ceil32((double)sum / (double)target);
    if ((double)sum >= 9223372036854775807.0)
        out->usage = INT64_MAX;
    else if (status_replicas != 0)
        out->usage = saturate64(ceil((double)sum / (double)status_replicas));
}

void hpa_propose_everything(struct hpa_proposal *out)
{
    *out = (struct hpa_proposal){.replicas = INT32_MAX, .usage = INT64_MAX};
}

/* ------------------------------------------------------------------ per pod (6) */

struct usage_sum { /* of the samples that count so far */
    int64_t usage, request;
    size_t samples;   /* all, those of foreign pods included */
    size_t requested; /* those whose request is known */
};

enum hpa_pod_class hpa_classify(const struct hpa_pods *metric, size_t pod)
{
    const struct pod_fact *p = &metric->pods[pod];
    const struct pod_usage *usage = &p->usage[metric->usage];
    bool not_ready = p->ready == POD_READY_FALSE; /* unknown is not false (6.3) */
    bool unready;

    if (p->deleted || p->phase == POD_FAILED || p->phase == POD_SUCCEEDED)
        return HPA_POD_IGNORED;
    if (p->phase == POD_PENDING)
        return HPA_POD_UNREADY;
    if (!usage->has_usage)
        return HPA_POD_MISSING;
    if (!metric->cpu)
        return HPA_POD_COUNTED;
    if (p->ready == POD_READY_NONE || p->start_at_ms == 0)
        return HPA_POD_UNREADY;
    if (add_saturating(p->start_at_ms, metric->cpu_initialization_ms) > metric->now_ms)
        unready = not_ready || usage->at_ms < add_saturating(p->ready_at_ms, usage->window_ms);
    else
        unready = not_ready && add_saturating(p->start_at_ms, metric->readiness_delay_ms) > p->ready_at_ms;
    return unready ? HPA_POD_UNREADY : HPA_POD_COUNTED;
}

static void add_sample(struct usage_sum *sum, int64_t usage, int64_t request)
{
    sum->usage = add_saturating(sum->usage, usage);
    sum->request = add_saturating(sum->request, request < 0 ? 0 : request);
    sum->samples++;
    sum->requested++;
}

static int64_t percent_of(int64_t usage, int64_t request)
{
    int64_t hundredfold;

    if (__builtin_mul_overflow(usage, 100, &hundredfold))
        hundredfold = usage < 0 ? INT64_MIN : INT64_MAX;
    return hundredfold / request;
}

/* 6.4 and 6.5: the ratio of the samples to the target, and what status shows. false: out->fault says why there is
   none. */
static bool usage_ratio(const struct hpa_pods *metric, const struct usage_sum *sum, double *ratio,
                        struct hpa_proposal *out)
{
    if (!metric->utilization) {
        int64_t usage = sum->usage;

        if (sum->samples == 0) {
            out->fault = HPA_PODS_UNREADY;
            return false;
        }
        for (size_t i = 0; i < metric->foreign_count; i++)
            usage = add_saturating(usage, metric->foreign[i]);
        out->usage = usage / (int64_t)sum->samples;
        *ratio = (double)out->usage / (double)metric->target;
        return true;
    }
    if (sum->request == 0 || sum->requested == 0) {
        out->fault = HPA_NO_MATCHING_PODS;
        return false;
    }
    out->utilization = percent_of(sum->usage, sum->request);
    out->usage = sum->usage / (int64_t)sum->requested;
    *ratio = (double)out->utilization / (double)metric->target;
    return true;
}

/* What a pod without a sample is taken to use when the others are below target (6.6). */
static int64_t assumed_usage(const struct hpa_pods *metric, const struct pod_usage *usage)
{
    int64_t percent = metric->target > 100 ? metric->target : 100;
    int64_t product;

    if (!metric->utilization)
        return metric->target;
    if (__builtin_mul_overflow(usage->request, percent, &product))
        return INT64_MAX;
    return product / 100;
}

/* Pods that have no sample yet are filled in so that they damp the move, in either direction. */
static void add_assumed(const struct hpa_pods *metric, double ratio, bool with_unready, struct usage_sum *sum)
{
    for (size_t i = 0; i < metric->pod_count; i++) {
        const struct pod_usage *usage = &metric->pods[i].usage[metric->usage];
        enum hpa_pod_class class = hpa_classify(metric, i);

        if (class == HPA_POD_MISSING && ratio < 1.0)
            add_sample(sum, assumed_usage(metric, usage), usage->request);
        else if ((class == HPA_POD_MISSING && ratio > 1.0) || (class == HPA_POD_UNREADY && with_unready))
            add_sample(sum, 0, usage->request);
    }
}

/* 6.1 to 6.3: sums the counted pods, counts the others. */
static bool sum_pods(const struct hpa_pods *metric, struct usage_sum *sum, size_t *unready, size_t *missing,
                     struct hpa_proposal *out)
{
    size_t answered = metric->foreign_count;

    *unready = *missing = 0;
    for (size_t i = 0; i < metric->pod_count; i++) {
        const struct pod_usage *usage = &metric->pods[i].usage[metric->usage];
        enum hpa_pod_class class = hpa_classify(metric, i);

        if (metric->utilization && !usage->has_request) {
            out->fault = HPA_MISSING_REQUEST;
            return false;
        }
        answered += usage->has_usage;
        *unready += class == HPA_POD_UNREADY;
        *missing += class == HPA_POD_MISSING;
        if (class == HPA_POD_COUNTED)
            add_sample(sum, usage->usage, usage->request);
    }
    sum->samples += metric->foreign_count;
    if (answered == 0)
        out->fault = HPA_NO_METRICS;
    return answered > 0;
}

void hpa_propose_pods(const struct hpa_pods *metric, const struct hpa_tolerance *tolerance, struct hpa_proposal *out)
{
    struct usage_sum sum = {0};
    struct hpa_proposal second = {0};
    size_t unready, missing;
    double ratio, filled;

    *out = (struct hpa_proposal){.fault = metric->pod_count == 0 ? HPA_NO_PODS : HPA_OK};
    if (out->fault || !sum_pods(metric, &sum, &unready, &missing, out))
        return;
    size_t counted = sum.requested;
    if (!usage_ratio(metric, &sum, &ratio, out))
        return;

    bool with_unready = unready > 0 && ratio > 1.0;
    out->within = true;
    out->replicas = metric->spec_replicas;
    if (!with_unready && missing == 0) {
        out->within = hpa_within(tolerance, ratio);
        if (!out->within)
            out->replicas = hpa_ceil32(ratio * (double)counted);
        return;
    }
    add_assumed(metric, ratio, with_unready, &sum);
    if (!usage_ratio(metric, &sum, &filled, &second)) /* cannot happen: there were samples before */
        return;
    if (hpa_within(tolerance, filled) || (ratio < 1.0 && filled > 1.0) || (ratio > 1.0 && filled < 1.0))
        return;
    int32_t replicas = hpa_ceil32(filled * (double)sum.samples);
    if ((filled < 1.0 && replicas > metric->spec_replicas) || (filled > 1.0 && replicas < metric->spec_replicas))
        return;
    out->within = false;
    out->replicas = replicas;
}

/* ------------------------------------------------------------------ moments */

void hpa_moments_done(struct hpa_moments *moments)
{
    free(moments->items);
    *moments = (struct hpa_moments){0};
}

void hpa_moments_copy(struct hpa_moments *to, const struct hpa_moments *from)
{
    *to = (struct hpa_moments){.count = from->count, .capacity = from->count};
    if (from->count == 0)
        return;
    to->items = mem_array(from->count, sizeof(to->items[0]));
    memcpy(to->items, from->items, from->count * sizeof(to->items[0]));
}

void hpa_moments_add(struct hpa_moments *moments, int64_t at_ms, int32_t count)
{
    size_t place = moments->count;

    if (moments->count == HPA_MOMENTS_MAX) {
        place = 0;
        for (size_t i = 1; i < moments->count; i++)
            if (moments->items[i].at_ms < moments->items[place].at_ms)
                place = i;
    } else {
        if (moments->count == moments->capacity) {
            moments->capacity = (uint16_t)(moments->capacity == 0 ? 1 : moments->capacity * 2);
            moments->items = mem_grow(moments->items, moments->capacity, sizeof(moments->items[0]));
        }
        moments->count++;
    }
    moments->items[place] = (struct hpa_moment){.at_ms = at_ms, .count = count};
}

void hpa_moments_recycle(struct hpa_moments *moments, int64_t now_ms, int64_t window_ms, int32_t count)
{
    for (size_t i = moments->count; i > 0; i--) {
        if (moments->items[i - 1].at_ms < now_ms - window_ms) {
            moments->items[i - 1] = (struct hpa_moment){.at_ms = now_ms, .count = count};
            return;
        }
    }
    hpa_moments_add(moments, now_ms, count);
}

/* ------------------------------------------------------------------ stabilization (8, 9.2) */

int32_t hpa_stabilize_plain(const struct hpa_moments *wishes, int64_t now_ms, int64_t window_ms, int32_t wish)
{
    int32_t stable = wish;

    for (size_t i = 0; i < wishes->count; i++)
        if (wishes->items[i].at_ms >= now_ms - window_ms && wishes->items[i].count > stable)
            stable = wishes->items[i].count;
    return stable;
}

int32_t hpa_stabilize(const struct hpa_moments *highs, const struct hpa_moments *lows, int64_t now_ms, int64_t up_ms,
                      int64_t down_ms, int32_t current, int32_t wish)
{
    int32_t low = wish, high = wish;

    for (size_t i = 0; i < lows->count; i++)
        if (lows->items[i].at_ms > now_ms - up_ms && lows->items[i].count < low)
            low = lows->items[i].count;
    for (size_t i = 0; i < highs->count; i++)
        if (highs->items[i].at_ms > now_ms - down_ms && highs->items[i].count > high)
            high = highs->items[i].count;
    int32_t stable = current < low ? low : current;
    return stable > high ? high : stable;
}

/* ------------------------------------------------------------------ limits (8, 9.3, 9.4) */

const char *hpa_limit_name(enum hpa_limit limit)
{
    static const char *const names[] = {
        "DesiredWithinRange", "TooFewReplicas", "TooManyReplicas", "ScaleUpLimit", "ScaleDownLimit",
    };

    return names[limit];
}

int32_t hpa_limit_plain(int32_t current, int32_t desired, int32_t min, int32_t max, enum hpa_limit *why)
{
    int32_t cap = hpa_trunc32(fmax(2.0 * (double)current, 4.0));
    int32_t high = max > cap ? cap : max;

    if (desired < min) {
        *why = HPA_TOO_FEW;
        return min;
    }
    if (desired > high) {
        *why = max > cap ? HPA_SCALE_UP_LIMIT : HPA_TOO_MANY;
        return high;
    }
    *why = HPA_WITHIN_RANGE;
    return desired;
}

static int64_t changed_within(const struct hpa_moments *events, int64_t now_ms, int64_t period_ms)
{
    int64_t sum = 0;

    for (size_t i = 0; i < events->count; i++)
        if (events->items[i].at_ms > now_ms - period_ms)
            sum += events->items[i].count;
    return sum;
}

static int32_t policy_limit(const struct scaling_policy *policy, bool up, int32_t start)
{
    double share = (double)policy->value / 100;

    if (!policy->percent)
        return add_saturating32(start, up ? policy->value : -(int64_t)policy->value);
    return up ? hpa_ceil32((double)start * (1 + share)) : hpa_trunc32((double)start * (1 - share));
}

/* How far the policies of one direction let the scale go. Max is the largest change, which downwards is the
   smallest number. */
static int32_t direction_limit(const struct scaling_rules *rules, bool up, const struct hpa_moments *ups,
                               const struct hpa_moments *downs, int64_t now_ms, int32_t current)
{
    bool highest = (rules->select == SELECT_MIN) != up;
    int32_t limit = highest ? INT32_MIN : INT32_MAX;

    if (rules->select == SELECT_DISABLED)
        return current;
    for (int i = 0; i < rules->policy_count; i++) {
        int64_t period_ms = rules->policies[i].period_s * INT64_C(1000);
        int32_t start = add_saturating32(current, changed_within(downs, now_ms, period_ms) -
                                                      changed_within(ups, now_ms, period_ms));
        int32_t one = policy_limit(&rules->policies[i], up, start);

        limit = highest ? (one > limit ? one : limit) : (one < limit ? one : limit);
    }
    return limit;
}

int32_t hpa_limit(const struct scaling_behavior *behavior, const struct hpa_moments *ups,
                  const struct hpa_moments *downs, int64_t now_ms, int32_t current, int32_t desired, int32_t min,
                  int32_t max, enum hpa_limit *why)
{
    *why = HPA_WITHIN_RANGE;
    if (desired > current) {
        int32_t limit = direction_limit(&behavior->up, true, ups, downs, now_ms, current);
        int32_t rate = limit > current ? limit : current;
        int32_t high = max > rate ? rate : max;

        if (desired > high) {
            *why = max > rate ? HPA_SCALE_UP_LIMIT : HPA_TOO_MANY;
            return high;
        }
    } else if (desired < current) {
        int32_t limit = direction_limit(&behavior->down, false, ups, downs, now_ms, current);
        int32_t rate = limit < current ? limit : current;
        int32_t low = min < rate ? rate : min;

        if (desired < low) {
            *why = min < rate ? HPA_SCALE_DOWN_LIMIT : HPA_TOO_FEW;
            return low;
        }
    }
    return desired;
}

int64_t hpa_longest_period_ms(const struct scaling_rules *rules)
{
    int64_t longest_ms = 0;

    for (int i = 0; i < rules->policy_count; i++)
        if (rules->policies[i].period_s * INT64_C(1000) > longest_ms)
            longest_ms = rules->policies[i].period_s * INT64_C(1000);
    return longest_ms;
}

void hpa_store_event(const struct scaling_behavior *behavior, struct hpa_moments *ups, struct hpa_moments *downs,
                     int64_t now_ms, int32_t before, int32_t after)
{
    if (after > before)
        hpa_moments_recycle(ups, now_ms, hpa_longest_period_ms(&behavior->up),
                            add_saturating32(after, -(int64_t)before));
    else if (after < before)
        hpa_moments_recycle(downs, now_ms, hpa_longest_period_ms(&behavior->down),
                            add_saturating32(before, -(int64_t)after));
}

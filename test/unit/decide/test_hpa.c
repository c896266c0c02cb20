/* The autoscaler's arithmetic: the traps of hpa-algorithm.md 16, one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/time.h"
#include "decide/hpa.h"

#define NOW (1000000 * SECOND_MS)

static const struct hpa_tolerance usual = {0.1, 0.1};

static void average_counts_what_exists(void **state)
{
    static const struct {
        int64_t sum, target;
        int32_t status, expect;
        bool within;
    } rows[] = {
        {100000, 10000, 1, 10, false},
        {33000, 2000, 15, 15, true}, /* 1.1 is inside */
        {34000, 2000, 15, 17, false},
        {27000, 2000, 15, 15, true}, /* 0.9 is inside */
        {20000, 5000, 0, 4, false},  /* nothing exists: no tolerance */
        {0, 5000, 0, 0, false},      /* 0/0 is outside, too */
        {-5000, 1000, 3, -5, false}, /* the caller floors */
        {INT64_MAX, 1, 1, INT32_MAX, false},
    };
    struct hpa_proposal p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hpa_propose_average(rows[i].sum, rows[i].target, rows[i].status, &usual, &p);
        assert_int_equal(p.fault, HPA_OK);
        assert_int_equal(p.replicas, rows[i].expect);
        assert_int_equal(p.within, rows[i].within);
    }
}

static void value_multiplies_what_is_ready(void **state)
{
    static const struct {
        int64_t sum, target;
        int32_t spec;
        size_t pods;
        int32_t ready, expect;
        enum hpa_fault fault;
    } rows[] = {
        {30000, 10000, 5, 5, 2, 6, HPA_OK},      {30000, 10000, 5, 5, 0, 0, HPA_OK},
        {22000, 10000, 25, 25, 25, 56, HPA_OK}, /* 2.2 x 25 is a hair above 55 */
        {10500, 10000, 7, 0, 0, 7, HPA_OK},     /* within: pods are not looked at */
        {30000, 10000, 5, 0, 0, 0, HPA_NO_PODS}, {25000, 10000, 0, 0, 0, 3, HPA_OK}, /* from zero: the ratio alone */
    };
    struct hpa_proposal p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hpa_propose_value(rows[i].sum, rows[i].target, rows[i].spec, rows[i].pods, rows[i].ready, &usual, &p);
        assert_int_equal(p.fault, rows[i].fault);
        assert_int_equal(p.replicas, rows[i].expect);
    }
}

static void a_negative_running_sum_is_an_overflow(void **state)
{
    int64_t sum;

    (void)state;
    assert_false(hpa_sum_average((const int64_t[]){-5000, 10000}, 2, &sum));
    assert_true(hpa_sum_average((const int64_t[]){10000, -5000}, 2, &sum));
    assert_int_equal(sum, 5000);
    assert_int_equal(hpa_sum((const int64_t[]){INT64_MAX, 1}, 2), INT64_MAX);
}

static void a_unit_fits_its_target(void **state)
{
    static const struct {
        double target;
        int digits;
        int64_t units;
    } rows[] = {
        {5000, 3, 5000000}, {1, 3, 1000},        {0.5, 4, 5000}, {0.001, 6, 1000},
        {0.07, 5, 7000},    {0.0000001, 9, 100}, {0, 9, 1},      {NAN, 9, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hpa_digits(rows[i].target), rows[i].digits);
        assert_int_equal(hpa_target_units(rows[i].target, rows[i].digits), rows[i].units);
    }
    assert_int_equal(hpa_units(0.0010001, 6), 1001); /* up, always */
    assert_int_equal(hpa_units(INFINITY, 3), INT64_MAX);
    assert_int_equal(hpa_units(-INFINITY, 3), INT64_MIN);
    assert_int_equal(hpa_units(NAN, 3), 0);
}

static void conversions_saturate(void **state)
{
    (void)state;
    assert_int_equal(hpa_ceil32(1e300), INT32_MAX);
    assert_int_equal(hpa_ceil32(-1e300), INT32_MIN);
    assert_int_equal(hpa_trunc32(-0.9), 0);
    assert_int_equal(hpa_trunc32(NAN), 0);
}

/* ---- per pod ---- */

static struct pod_fact pod(struct pod_usage *usage, enum pod_phase phase, enum pod_ready ready)
{
    return (struct pod_fact){
        .phase = phase, .ready = ready, .start_at_ms = NOW - HOUR_MS, .ready_at_ms = NOW - HOUR_MS, .usage = usage};
}

static void pods_are_classified(void **state)
{
    struct pod_usage fresh = {.has_usage = true, .usage = 100, .at_ms = NOW, .window_ms = MINUTE_MS}, none = {0};
    struct pod_fact deleted = pod(&fresh, POD_RUNNING, POD_READY_TRUE), young = deleted, late = deleted,
                    never = deleted;
    struct hpa_pods metric = {
        .cpu = true, .now_ms = NOW, .cpu_initialization_ms = 300 * SECOND_MS, .readiness_delay_ms = 30 * SECOND_MS};

    (void)state;
    deleted.deleted = true;
    young.start_at_ms = NOW - 100 * SECOND_MS; /* ready for 30 s, but the sample's window reaches back to before */
    young.ready_at_ms = NOW - 30 * SECOND_MS;
    late.ready = POD_READY_FALSE; /* turned unready long after its start: it was ready once */
    late.ready_at_ms = NOW - MINUTE_MS;
    never.ready = POD_READY_FALSE;
    struct pod_fact pods[] = {deleted,
                              pod(&fresh, POD_FAILED, POD_READY_FALSE),
                              pod(&fresh, POD_PENDING, POD_READY_FALSE),
                              pod(&none, POD_RUNNING, POD_READY_TRUE),
                              young,
                              late,
                              never,
                              pod(&fresh, POD_RUNNING, POD_READY_UNKNOWN),
                              pod(&fresh, POD_RUNNING, POD_READY_NONE)};
    static const enum hpa_pod_class expect[] = {HPA_POD_IGNORED, HPA_POD_IGNORED, HPA_POD_UNREADY,
                                                HPA_POD_MISSING, HPA_POD_UNREADY, HPA_POD_COUNTED,
                                                HPA_POD_UNREADY, HPA_POD_COUNTED, HPA_POD_UNREADY};
    metric.pods = pods;
    metric.pod_count = sizeof(pods) / sizeof(pods[0]);
    for (size_t i = 0; i < metric.pod_count; i++)
        assert_int_equal(hpa_classify(&metric, i), expect[i]);
    metric.cpu = false; /* readiness matters only for cpu */
    assert_int_equal(hpa_classify(&metric, 6), HPA_POD_COUNTED);
}

static void missing_pods_damp_a_move(void **state)
{
    struct pod_usage low = {.has_usage = true, .has_request = true, .usage = 100, .request = 1000};
    struct pod_usage high = {.has_usage = true, .has_request = true, .usage = 1000, .request = 1000};
    struct pod_usage none = {.has_request = true, .request = 1000};
    struct pod_fact down[] = {pod(&low, POD_RUNNING, POD_READY_TRUE), pod(&low, POD_RUNNING, POD_READY_TRUE),
                              pod(&none, POD_RUNNING, POD_READY_TRUE)};
    struct pod_fact up[] = {pod(&high, POD_RUNNING, POD_READY_TRUE), pod(&none, POD_RUNNING, POD_READY_TRUE)};
    struct hpa_pods metric = {.pods = down, .pod_count = 3, .utilization = true, .target = 50, .spec_replicas = 3};
    struct hpa_proposal p;

    (void)state;
    hpa_propose_pods(&metric, &usual, &p); /* (100+100+1000)/3000 = 40 %: 0.8 x 3 */
    assert_int_equal(p.replicas, 3);
    assert_int_equal(p.utilization, 10); /* status shows the first ratio */
    metric.pods = up;
    metric.pod_count = metric.spec_replicas = 2;
    hpa_propose_pods(&metric, &usual, &p); /* 1000/2000 = 50 %: on target once the silent pod counts 0 */
    assert_int_equal(p.replicas, 2);
    up[1].usage = &(struct pod_usage){0};
    hpa_propose_pods(&metric, &usual, &p);
    assert_int_equal(p.fault, HPA_MISSING_REQUEST);
    metric.pod_count = 0;
    hpa_propose_pods(&metric, &usual, &p);
    assert_int_equal(p.fault, HPA_NO_PODS);
}

static void averages_truncate(void **state)
{
    struct pod_usage a = {.has_usage = true, .usage = 20000}, b = {.has_usage = true, .usage = 21000};
    struct pod_fact pods[] = {pod(&a, POD_RUNNING, POD_READY_TRUE), pod(&b, POD_RUNNING, POD_READY_TRUE),
                              pod(&b, POD_RUNNING, POD_READY_TRUE)};
    struct hpa_pods metric = {.pods = pods, .pod_count = 3, .target = 20000, .spec_replicas = 3};
    struct hpa_proposal p;

    (void)state;
    hpa_propose_pods(&metric, &usual, &p);
    assert_int_equal(p.usage, 20666);
    assert_true(p.within);
}

/* ---- limits ---- */

static void steps_without_behavior(void **state)
{
    static const struct {
        int32_t current, desired, min, max, expect;
        enum hpa_limit why;
    } rows[] = {
        {1, 9, 1, 10, 4, HPA_SCALE_UP_LIMIT}, {5, 50, 1, 100, 10, HPA_SCALE_UP_LIMIT},
        {5, 50, 1, 8, 8, HPA_TOO_MANY},       {5, 1, 3, 10, 3, HPA_TOO_FEW},
        {5, 4, 1, 10, 4, HPA_WITHIN_RANGE},   {INT32_MAX, INT32_MAX, 1, INT32_MAX, INT32_MAX, HPA_WITHIN_RANGE},
    };
    enum hpa_limit why;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hpa_limit_plain(rows[i].current, rows[i].desired, rows[i].min, rows[i].max, &why),
                         rows[i].expect);
        assert_int_equal(why, rows[i].why);
    }
}

static void steps_with_behavior(void **state)
{
    static const struct {
        bool up;
        struct scaling_policy policy;
        int32_t current, desired, expect;
    } rows[] = {
        {true, {true, 10, 60}, 50, 100, 56}, /* 50 x 1.1 is a hair above 55 */
        {true, {true, 10, 60}, 100, 200, 111}, {false, {true, 80, 60}, 5, 0, 0}, {false, {true, 80, 60}, 10, 0, 1},
        {true, {false, 3, 60}, 2, 9, 5},       {false, {false, 3, 60}, 9, 1, 6}, {true, {true, 300, 60}, 2, 99, 8},
    };
    enum hpa_limit why;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scaling_behavior behavior;
        struct hpa_moments none = {0};

        scaling_behavior_default(&behavior);
        struct scaling_rules *rules = rows[i].up ? &behavior.up : &behavior.down;
        rules->policy_count = 1;
        rules->policies[0] = rows[i].policy;
        assert_int_equal(hpa_limit(&behavior, &none, &none, NOW, rows[i].current, rows[i].desired, 0, 1000, &why),
                         rows[i].expect);
    }
}

static void both_lists_count_in_both_directions(void **state)
{
    struct scaling_behavior behavior;
    struct hpa_moments ups = {0}, downs = {0};
    enum hpa_limit why;

    (void)state;
    scaling_behavior_default(&behavior);
    behavior.up = behavior.down =
        (struct scaling_rules){.tolerance = -1, .policy_count = 1, .policies = {{false, 4, 60}}};
    hpa_moments_add(&ups, NOW - 59 * SECOND_MS, 4);
    assert_int_equal(hpa_limit(&behavior, &ups, &downs, NOW, 10, 20, 1, 100, &why), 10); /* 10-4+4 */
    assert_int_equal(why, HPA_SCALE_UP_LIMIT);
    assert_int_equal(hpa_limit(&behavior, &ups, &downs, NOW + SECOND_MS, 10, 20, 1, 100, &why),
                     14); /* just as old: gone */
    hpa_moments_add(&downs, NOW, 3);
    assert_int_equal(hpa_limit(&behavior, &ups, &downs, NOW, 10, 20, 1, 100, &why), 13); /* 10-4+3+4 */
    behavior.up.select = SELECT_DISABLED;
    assert_int_equal(hpa_limit(&behavior, &ups, &downs, NOW, 10, 20, 1, 100, &why), 10);
    hpa_moments_done(&ups);
    hpa_moments_done(&downs);
}

static void windows_have_their_edges(void **state)
{
    struct hpa_moments wishes = {0};

    (void)state;
    hpa_moments_add(&wishes, NOW - 300 * SECOND_MS, 9);
    assert_int_equal(hpa_stabilize_plain(&wishes, NOW, 300 * SECOND_MS, 2), 9);          /* included */
    assert_int_equal(hpa_stabilize(&wishes, &wishes, NOW, 0, 300 * SECOND_MS, 9, 2), 2); /* excluded */
    assert_int_equal(hpa_stabilize(&wishes, &wishes, NOW, 0, 301 * SECOND_MS, 9, 2), 9);
    hpa_moments_recycle(&wishes, NOW, 300 * SECOND_MS, 2); /* at the edge it is not stale yet */
    assert_int_equal(wishes.count, 2);
    hpa_moments_recycle(&wishes, NOW + 1, 300 * SECOND_MS, 3);
    assert_int_equal(wishes.count, 2);
    assert_int_equal(wishes.items[0].count, 3);
    hpa_moments_done(&wishes);
}

static void lists_are_bounded(void **state)
{
    struct hpa_moments moments = {0};

    (void)state;
    for (int i = 0; i < 3 * HPA_MOMENTS_MAX; i++)
        hpa_moments_add(&moments, i, i);
    assert_int_equal(moments.count, HPA_MOMENTS_MAX);
    hpa_moments_done(&moments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(average_counts_what_exists),
        cmocka_unit_test(value_multiplies_what_is_ready),
        cmocka_unit_test(a_negative_running_sum_is_an_overflow),
        cmocka_unit_test(a_unit_fits_its_target),
        cmocka_unit_test(conversions_saturate),
        cmocka_unit_test(pods_are_classified),
        cmocka_unit_test(missing_pods_damp_a_move),
        cmocka_unit_test(averages_truncate),
        cmocka_unit_test(steps_without_behavior),
        cmocka_unit_test(steps_with_behavior),
        cmocka_unit_test(both_lists_count_in_both_directions),
        cmocka_unit_test(windows_have_their_edges),
        cmocka_unit_test(lists_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* hpa mode: KEDA's loop between 0 and the minimum, its conditions, and what the HPA is fed. */
#include "world.h"

#include "decide/keda.h"

static void the_operator_jumps_to_the_minimum(void **state)
{
    struct world w;
    struct keda_view view;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.mode = DECIDE_HPA;
    world_say(&w, 0, 420);
    world_poll(&w, 0);
    assert_int_equal(w.replicas, 1);
    keda_view(&w.rules, &w.d, false, &view);
    assert_true(view.activated);
    assert_string_equal(view.conditions[KEDA_ACTIVE].reason, "ScalerActive");
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1); /* the rest is the HPA's */
    assert_non_null(find_step(&w.d, STEP_LEFT_TO_HPA));
    world_say(&w, 0, 0);
    world_poll(&w, 300000);
    keda_view(&w.rules, &w.d, false, &view);
    assert_string_equal(view.conditions[KEDA_ACTIVE].reason, "ScalerCooldown");
    w.replicas = 9; /* set by the HPA meanwhile */
    world_poll(&w, 1);
    assert_int_equal(w.replicas, 0);
    keda_view(&w.rules, &w.d, false, &view);
    assert_true(view.deactivated);
    world_done(&w);
}

static void errors_never_take_the_last_replica(void **state)
{
    struct world w;
    struct keda_view view;

    (void)state;
    world_init(&w, 2, 3);
    w.rules.mode = DECIDE_HPA;
    world_say(&w, 0, 0);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll_for(&w, DAY_MS, HOUR_MS);
    assert_int_equal(w.replicas, 3);
    keda_view(&w.rules, &w.d, false, &view);
    assert_string_equal(view.conditions[KEDA_READY].reason, "TriggerError");
    world_say(&w, 0, 5);
    world_poll(&w, 1000);
    keda_view(&w.rules, &w.d, false, &view);
    assert_string_equal(view.conditions[KEDA_READY].reason, "PartialTriggerError");
    w.replicas = -1;
    world_poll(&w, 1000);
    keda_view(&w.rules, &w.d, false, &view);
    assert_string_equal(view.conditions[KEDA_READY].reason, "ErrorGettingCurrentReplicas");
    world_done(&w);
}

static void fallback_is_served(void **state)
{
    struct world w;
    struct keda_view view;
    struct keda_metric metric;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.mode = DECIDE_HPA;
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 1;
    w.rules.fallback_replicas = 10;
    w.triggers[0].target = 0.333;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_false(keda_metric(&w.rules, &w.d, 0, &metric));
    assert_true(metric.failing);
    world_poll(&w, 15000);
    assert_true(keda_metric(&w.rules, &w.d, 0, &metric));
    assert_int_equal(metric.milli, 3330);
    keda_view(&w.rules, &w.d, false, &view);
    assert_true(view.fallback_activated);
    assert_string_equal(view.conditions[KEDA_FALLBACK].reason, "FallbackExists");
    world_say(&w, 0, 1);
    world_poll(&w, 15000);
    keda_view(&w.rules, &w.d, true, &view);
    assert_true(view.fallback_deactivated);
    world_done(&w);
}

static void a_missing_value_is_no_zero_here_either(void **state)
{
    struct world w;
    struct keda_metric metric;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.mode = DECIDE_HPA;
    world_say(&w, 0, 20);
    world_poll(&w, 0);
    world_lose(&w, 0, SAMPLE_MISSING);
    world_poll_for(&w, 20 * MINUTE_MS, MINUTE_MS);
    assert_false(keda_metric(&w.rules, &w.d, 0, &metric)); /* the HPA holds */
    assert_int_equal(w.replicas, 3);
    world_poll_for(&w, 12 * MINUTE_MS, MINUTE_MS);
    assert_true(keda_metric(&w.rules, &w.d, 0, &metric));
    assert_int_equal(metric.milli, 0);
    world_poll_for(&w, 6 * MINUTE_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void numbers_on_their_way(void **state)
{
    static const struct {
        double value;
        int64_t milli;
    } rows[] = {{1000, 1000000}, {0.5, 500},    {0.0004, 0},        {0.0006, 1},  {-3, 0},
                {NAN, 0},        {INFINITY, 0}, {1e300, INT64_MAX}, {16.1, 16100}};
    int64_t milli;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(keda_milli(rows[i].value), rows[i].milli);
    assert_true(keda_cut_milli(-3.0009, &milli));
    assert_int_equal(milli, -3000);
    assert_false(keda_cut_milli(INFINITY, &milli));
    assert_false(keda_cut_milli(NAN, &milli));
    assert_false(keda_cut_milli(1e16, &milli));
    assert_true(keda_metric_scale(0.1) == 1);
    assert_true(keda_metric_scale(5) == 1);
    assert_true(keda_metric_scale(0.001) == 1000);
    assert_true(keda_metric_scale(0.05) == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operator_jumps_to_the_minimum),
        cmocka_unit_test(errors_never_take_the_last_replica),
        cmocka_unit_test(fallback_is_served),
        cmocka_unit_test(a_missing_value_is_no_zero_here_either),
        cmocka_unit_test(numbers_on_their_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Direct mode: waking up, falling asleep, one sync of the algorithm, pauses, bounds. */
#include "world.h"

static void from_zero_to_the_computed_count(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    world_say(&w, 0, 0);
    assert_reason(world_poll(&w, 15000), REASON_INACTIVE);
    world_say(&w, 0, 420);
    assert_reason(world_poll(&w, 15000), REASON_ACTIVATED);
    assert_int_equal(w.replicas, 42); /* not limited to 4, nor to 1 */
    assert_int_equal(find_step(&w.d, STEP_ACTIVATED)->after, 1);
    world_done(&w);
}

static void waking_is_bounded(void **state)
{
    static const struct {
        int32_t min, max, expect;
        double value;
        enum decision_reason reason;
    } rows[] = {
        {0, 5, 5, 1000, REASON_AT_MAX},  {3, 10, 3, 1, REASON_ACTIVATED}, {0, 10, 1, 0.1, REASON_ACTIVATED},
        {3, 10, 3, 0, REASON_ACTIVATED}, {0, 0, 0, 1000, REASON_AT_MAX},  {5, 2, 2, 0, REASON_ACTIVATED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        world_init(&w, 1, 0);
        w.rules.min = rows[i].min;
        w.rules.max = rows[i].max;
        world_say(&w, 0, rows[i].value);
        world_poll(&w, 0);
        assert_int_equal(w.replicas, rows[i].expect);
        assert_reason(&w.d, rows[i].reason);
        world_done(&w);
    }
}

static void activation_is_strict(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.triggers[0].activation = 5;
    world_say(&w, 0, 5);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_say(&w, 0, 5.001);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    world_done(&w);
}

/* 4 wanted until 195 s, then nothing: 4 are kept by window and cooldown, then straight to 0 (field 103). */
static void to_zero_after_the_cooldown(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.cooldown_ms = 120 * SECOND_MS;
    world_say(&w, 0, 37);
    world_poll(&w, 0);
    assert_int_equal(w.replicas, 4);
    world_say(&w, 0, 0);
    world_poll_for(&w, 120 * SECOND_MS, 15 * SECOND_MS);
    assert_int_equal(w.replicas, 4); /* 120 s is not longer than 120 s */
    assert_reason(&w.d, REASON_COOLDOWN);
    assert_int_equal(w.d.next_at_ms, WORLD_START_MS + 120 * SECOND_MS + 1);
    world_poll(&w, 1);
    assert_int_equal(w.replicas, 0);
    assert_reason(&w.d, REASON_DEACTIVATED);
    world_say(&w, 0, 1); /* what was wished before the trip to zero is forgotten */
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    world_done(&w);
}

static void initial_cooldown_counts_from_creation(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.initial_cooldown_ms = 600 * SECOND_MS;
    world_say(&w, 0, 0);
    world_poll(&w, 600 * SECOND_MS);
    assert_true(w.replicas > 0);
    world_poll(&w, 1);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void idle_is_a_place_to_rest(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 6);
    w.rules.min = 3;
    w.rules.idle = 1;
    w.rules.cooldown_ms = 60 * SECOND_MS;
    world_say(&w, 0, 60);
    world_poll(&w, 15000);
    world_say(&w, 0, 0);
    world_poll_for(&w, 75 * SECOND_MS, 15 * SECOND_MS);
    assert_int_equal(w.replicas, 1);
    world_poll_for(&w, 300 * SECOND_MS, 15 * SECOND_MS); /* and does not flap (Z5) */
    assert_int_equal(w.replicas, 1);
    assert_reason(&w.d, REASON_INACTIVE);
    world_lose(&w, 0, SAMPLE_FAILED); /* nor does a failure end the rest */
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    world_say(&w, 0, 50);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5);
    world_done(&w);
}

static void without_behavior_a_decision_doubles_at_most(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    w.rules.min = 1;
    world_say(&w, 0, 900);
    static const int32_t expect[] = {4, 8, 16, 32, 64, 90};
    for (size_t i = 0; i < 6; i++) {
        world_poll(&w, 15000);
        assert_int_equal(w.replicas, expect[i]);
    }
    assert_reason(&w.d, REASON_ABOVE_TARGET);
    world_done(&w);
}

static void the_first_size_is_the_first_wish(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.min = 1;
    w.triggers[0].target = 21;
    world_say(&w, 0, 4);
    world_poll(&w, 0);
    assert_reason(&w.d, REASON_STABILIZED);
    assert_int_equal(w.d.next_at_ms, WORLD_START_MS + 300 * SECOND_MS + 1); /* the edge is included */
    world_poll_for(&w, 300 * SECOND_MS, 15 * SECOND_MS);
    assert_int_equal(w.replicas, 3);
    world_poll(&w, 1);
    assert_int_equal(w.replicas, 1);
    world_done(&w);
}

static void policies_are_obeyed(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 20);
    w.rules.min = 2;
    w.rules.max = 20;
    scaling_behavior_default(&w.behavior);
    w.behavior.down = w.behavior.up =
        (struct scaling_rules){.tolerance = -1, .policy_count = 2, .policies = {{true, 10, 60}, {false, 4, 60}}};
    w.rules.behavior = &w.behavior;
    world_say(&w, 0, 0);
    static const int32_t expect[] = {16, 16, 16, 16, 12, 12, 12, 12, 8, 8, 8, 8, 4, 4, 4, 4, 2};
    for (size_t i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
        world_poll(&w, 15000);
        assert_int_equal(w.replicas, expect[i]);
    }
    world_say(&w, 0, 200);
    world_poll(&w, 60000);
    assert_int_equal(w.replicas, 6);
    world_poll(&w, 15000);
    assert_reason(&w.d, REASON_RATE_LIMITED);
    assert_int_equal(w.d.next_at_ms, w.now_ms + 45 * SECOND_MS);
    world_done(&w);
}

/* The step from zero is not an event: a policy does not hold up what comes after it. */
static void waking_is_no_event(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    scaling_behavior_default(&w.behavior);
    w.rules.behavior = &w.behavior;
    world_say(&w, 0, 30);
    world_poll(&w, 0);
    assert_int_equal(w.replicas, 3);
    world_say(&w, 0, 200);
    world_poll(&w, 5000);
    assert_int_equal(w.replicas, 7); /* 3 + 4 */
    world_done(&w);
}

static void value_with_no_replica_yet_is_held(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    w.triggers[0].target_type = TARGET_VALUE;
    world_say(&w, 0, 50);
    w.memory = decide_memory_new(&w.rules);
    w.samples[0].at_ms = w.now_ms;
    decide(&w.rules, &(struct decide_facts){.now_ms = w.now_ms, .replicas = 4, .samples = w.samples}, w.memory, false,
           &w.d);
    assert_non_null(find_step(&w.d, STEP_NO_PODS));
    assert_reason(&w.d, REASON_HELD);
    assert_int_equal(w.d.after, 4);
    world_done(&w);
}

static void value_takes_the_ready_ones(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 2);
    w.rules.min = 1;
    w.triggers[0].target_type = TARGET_VALUE;
    world_say(&w, 0, 15);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 3);
    world_say(&w, 0, 10); /* on target: rests */
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 3);
    world_done(&w);
}

static void small_targets_keep_their_digits(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    w.triggers[0].target = 0.0001;
    world_say(&w, 0, 0.00035);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4); /* in milli both would be 1 */
    world_done(&w);
}

static void the_greatest_wins(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 3, 5);
    world_say(&w, 0, 20);
    world_say(&w, 1, 70);
    world_say(&w, 2, -40);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 7);
    assert_int_equal(w.d.wished, 7);
    assert_int_equal(w.d.inputs[0].proposal, 2);
    assert_int_equal(w.d.inputs[1].proposal, 7);
    assert_int_equal(w.d.inputs[2].proposal, 0);
    assert_int_equal(find_step(&w.d, STEP_OUTBID)->cause, 2);
    world_done(&w);
}

static void bounds_are_met_at_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 30);
    w.rules.min = 2;
    w.rules.max = 10;
    world_lose(&w, 0, SAMPLE_FAILED);
    assert_reason(world_poll(&w, 0), REASON_AT_MAX);
    assert_int_equal(w.replicas, 10);
    w.rules.min = 12;
    w.rules.max = 20;
    assert_reason(world_poll(&w, 1), REASON_AT_MIN);
    assert_int_equal(w.replicas, 12);
    world_done(&w);
}

static void pauses(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    world_say(&w, 0, 100);
    w.rules.paused = true;
    assert_reason(world_poll(&w, 15000), REASON_PAUSED);
    assert_int_equal(w.replicas, 4);
    w.rules.has_paused_replicas = true; /* moves the target, also to 0, and holds it there */
    world_poll_for(&w, 600 * SECOND_MS, 15 * SECOND_MS);
    assert_int_equal(w.replicas, 0);
    w.rules.paused = w.rules.has_paused_replicas = false;
    w.rules.paused_scale_out = true;
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    assert_reason(&w.d, REASON_PAUSED);
    w.rules.paused_scale_out = false;
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 10);
    w.rules.paused_scale_in = true;
    world_say(&w, 0, 0);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 10);
    w.rules.paused_scale_in = false;
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void force_activation(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.force_activation = true;
    world_say(&w, 0, 0);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 1);
    w.rules.force_activation = false;
    world_poll(&w, 300 * SECOND_MS);
    assert_int_equal(w.replicas, 1);
    world_poll(&w, 1000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void an_unreadable_scale_is_left_alone(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, -1);
    world_say(&w, 0, 100);
    assert_reason(world_poll(&w, 15000), REASON_UNREADABLE);
    assert_false(w.d.write);
    world_done(&w);
}

static void cpu_alone_is_always_active(void **state)
{
    struct world w;
    struct pod_usage usage = {.has_usage = true, .has_request = true, .usage = 900, .request = 1000};
    struct pod_fact pods[10];

    (void)state;
    world_init(&w, 1, 0);
    w.triggers[0] = (struct decide_trigger){
        .kind = METRIC_CPU, .target_type = TARGET_UTILIZATION, .target = 50, .formula_name = -1};
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 1);
    assert_non_null(find_step(&w.d, STEP_ALWAYS_ACTIVE));
    for (int i = 0; i < 10; i++)
        pods[i] = (struct pod_fact){.phase = POD_RUNNING,
                                    .ready = POD_READY_TRUE,
                                    .start_at_ms = WORLD_START_MS - HOUR_MS,
                                    .ready_at_ms = WORLD_START_MS - HOUR_MS,
                                    .usage = &usage};
    w.pods = pods;
    w.pod_count = 1;
    usage.at_ms = w.now_ms;
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 2); /* 90/50 x 1 */
    w.pod_count = 0;                 /* nothing known of the pods: held */
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 2);
    assert_reason(&w.d, REASON_HELD);
    world_done(&w);
}

static void very_many_triggers_still_close_the_chain(void **state)
{
    struct decide_trigger triggers[TRIGGERS_MAX];
    struct sample samples[TRIGGERS_MAX];
    struct world w;

    (void)state;
    world_init(&w, 1, 5);
    w.rules.trigger_count = TRIGGERS_MAX;
    w.rules.triggers = triggers;
    for (int i = 0; i < TRIGGERS_MAX; i++) {
        triggers[i] = (struct decide_trigger){.target = 10, .formula_name = -1};
        samples[i] = (struct sample){.state = SAMPLE_OK, .value = i % 7 == 0 ? i : i % 3, .at_ms = w.now_ms};
    }
    w.memory = decide_memory_new(&w.rules);
    decide(&w.rules,
           &(struct decide_facts){.now_ms = w.now_ms, .replicas = 5, .status_replicas = 5, .samples = samples},
           w.memory, false, &w.d);
    assert_true(decision_is_closed(&w.d));
    assert_int_equal(w.d.after, 10); /* 98 / 10 */
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_zero_to_the_computed_count),
        cmocka_unit_test(waking_is_bounded),
        cmocka_unit_test(activation_is_strict),
        cmocka_unit_test(to_zero_after_the_cooldown),
        cmocka_unit_test(initial_cooldown_counts_from_creation),
        cmocka_unit_test(idle_is_a_place_to_rest),
        cmocka_unit_test(without_behavior_a_decision_doubles_at_most),
        cmocka_unit_test(the_first_size_is_the_first_wish),
        cmocka_unit_test(policies_are_obeyed),
        cmocka_unit_test(waking_is_no_event),
        cmocka_unit_test(value_with_no_replica_yet_is_held),
        cmocka_unit_test(value_takes_the_ready_ones),
        cmocka_unit_test(small_targets_keep_their_digits),
        cmocka_unit_test(the_greatest_wins),
        cmocka_unit_test(bounds_are_met_at_once),
        cmocka_unit_test(pauses),
        cmocka_unit_test(force_activation),
        cmocka_unit_test(an_unreadable_scale_is_left_alone),
        cmocka_unit_test(cpu_alone_is_always_active),
        cmocka_unit_test(very_many_triggers_still_close_the_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* No data is not zero: missing and failed values, fallback, several triggers (failure-modes groups B and Z). */
#include "world.h"

static void missing_holds_for_its_time(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 2);
    w.rules.min = 2;
    w.triggers[0].target = 0.5;
    world_say(&w, 0, 2.4);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5);
    world_lose(&w, 0, SAMPLE_MISSING);
    world_poll(&w, 10000);
    int64_t since_ms = w.now_ms;
    assert_int_equal(w.d.next_at_ms, since_ms + 30 * MINUTE_MS + 1);
    world_poll_for(&w, 30 * MINUTE_MS, 10000);
    assert_int_equal(w.replicas, 5);
    assert_true(w.d.held);
    assert_reason(&w.d, REASON_HELD);
    assert_int_equal(w.d.inputs[0].state, SAMPLE_MISSING);
    world_poll_for(&w, 310 * SECOND_MS, 10000); /* the 0 KEDA would use, after the window */
    assert_int_equal(w.replicas, 2);
    assert_non_null(find_step(&w.d, STEP_HOLD_ENDED));
    world_done(&w);
}

static void a_good_value_ends_the_hold_and_the_count(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 5);
    world_say(&w, 0, 50);
    world_poll(&w, 0);
    for (int i = 0; i < 100; i++) { /* now and then one answer: never 30 minutes without */
        world_lose(&w, 0, SAMPLE_MISSING);
        world_poll_for(&w, 25 * MINUTE_MS, 5 * MINUTE_MS);
        world_say(&w, 0, 50);
        world_poll(&w, 15000);
        assert_int_equal(w.replicas, 5);
    }
    world_done(&w);
}

static void an_outage_is_not_a_while_of_empty_answers(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 5);
    world_say(&w, 0, 50);
    world_poll(&w, 0);
    world_lose(&w, 0, SAMPLE_MISSING);
    world_poll(&w, 15000);
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll_for(&w, 2 * HOUR_MS, MINUTE_MS);
    world_lose(&w, 0, SAMPLE_MISSING); /* it is back, and has nothing yet: held anew */
    world_poll_for(&w, 20 * MINUTE_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 5);
    world_done(&w);
}

static void how_long_missing_holds_is_a_setting(void **state)
{
    static const struct {
        int64_t hold_ms;
        int32_t expect; /* after an hour */
    } rows[] = {{30 * MINUTE_MS, 1}, {INT64_MAX, 5}, {0, 1}, {90 * MINUTE_MS, 5}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct world w;

        world_init(&w, 1, 5);
        w.rules.min = 1;
        w.rules.missing_hold_ms = rows[i].hold_ms;
        world_lose(&w, 0, SAMPLE_MISSING);
        world_poll_for(&w, HOUR_MS, MINUTE_MS);
        assert_int_equal(w.replicas, rows[i].expect);
        world_done(&w);
    }
}

static void a_stand_in_counts_at_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    w.rules.cooldown_ms = 60000;
    w.samples[0] = (struct sample){.state = SAMPLE_OK, .stand_in = true};
    world_poll(&w, 1);
    assert_true(w.d.inputs[0].stand_in);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void time_under_a_hold_is_not_inactivity(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    w.rules.cooldown_ms = 600 * SECOND_MS;
    w.triggers[0].target = 0.05;
    world_say(&w, 0, 0.04);
    world_poll(&w, 0);
    world_lose(&w, 0, SAMPLE_MISSING);
    world_poll_for(&w, 30 * MINUTE_MS + 15000, 15000);
    assert_int_equal(w.replicas, 1);
    world_poll_for(&w, 600 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 1); /* the cooldown began when the hold ended */
    world_poll_for(&w, 30 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void failure_without_fallback_holds_for_good(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 7);
    w.rules.cooldown_ms = 0;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll_for(&w, 7 * DAY_MS, HOUR_MS);
    assert_int_equal(w.replicas, 7);
    assert_true(w.d.error);
    world_say(&w, 0, NAN); /* a number that is none is a failure, whoever let it through */
    world_poll(&w, 1000);
    assert_int_equal(w.d.inputs[0].state, SAMPLE_FAILED);
    assert_int_equal(w.replicas, 7);
    world_say(&w, 0, INFINITY);
    world_poll(&w, 1000);
    assert_int_equal(w.replicas, 7);
    world_done(&w);
}

static void nobody_was_asked_yet(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 2, 7);
    world_say(&w, 0, 0);
    world_lose(&w, 1, SAMPLE_NONE);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 7);
    assert_false(w.d.error);
    assert_non_null(find_step(&w.d, STEP_NOT_ASKED));
    world_done(&w);
}

/* ---- fallback ---- */

static void fallback_waits_for_its_threshold(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 10;
    w.rules.fallback_replicas = 5;
    world_lose(&w, 0, SAMPLE_FAILED);
    for (int i = 0; i < 10; i++) {
        world_poll(&w, 15000);
        assert_int_equal(w.replicas, 1);
        assert_int_equal(w.d.inputs[0].failures, i + 1);
        assert_non_null(find_step(&w.d, STEP_FALLBACK_WAITS));
    }
    assert_reason(world_poll(&w, 15000), REASON_RATE_LIMITED); /* to 4, then 5 */
    assert_reason(world_poll(&w, 15000), REASON_FALLBACK);
    assert_int_equal(w.replicas, 5);
    assert_true(w.d.fallback);
    assert_false(w.d.error);
    world_done(&w);
}

static void a_sample_is_counted_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll(&w, 15000);
    for (int i = 0; i < 5; i++) /* decided again for other reasons: the same sample */
        world_poll(&w, 0);
    assert_int_equal(decide_memory_failures(w.memory, 0), 1);
    world_done(&w);
}

static void fallback_asks_for_replicas_directly(void **state)
{
    static const struct {
        enum fallback_behavior behavior;
        enum target_type type;
        double target;
        int32_t current, ready, replicas, expect;
    } rows[] = {
        {FALLBACK_STATIC, TARGET_AVERAGE_VALUE, 10, 8, 8, 10, 10},
        {FALLBACK_STATIC, TARGET_AVERAGE_VALUE, 0.333, 8, 8, 10, 10}, /* a fractional target (B8) */
        {FALLBACK_STATIC, TARGET_VALUE, 20, 8, 0, 10, 10},            /* none ready (B9) */
        {FALLBACK_STATIC, TARGET_VALUE, 20, 8, 3, 10, 10},
        {FALLBACK_CURRENT, TARGET_VALUE, 20, 8, 3, 10, 8},
        {FALLBACK_CURRENT_IF_HIGHER, TARGET_AVERAGE_VALUE, 5, 8, 8, 10, 10},
        {FALLBACK_CURRENT_IF_HIGHER, TARGET_AVERAGE_VALUE, 5, 12, 12, 10, 12},
        {FALLBACK_CURRENT_IF_LOWER, TARGET_AVERAGE_VALUE, 5, 8, 8, 10, 8},
        {FALLBACK_SCALING_MODIFIERS, TARGET_AVERAGE_VALUE, 5, 8, 8, 10, 10},
        {FALLBACK_STATIC, TARGET_AVERAGE_VALUE, 5, 8, 8, 500, 16}, /* still one decision's step; later the maximum */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        world_init(&w, 1, rows[i].current);
        w.ready = rows[i].ready;
        w.triggers[0].target = rows[i].target;
        w.triggers[0].target_type = rows[i].type;
        w.rules.has_fallback = true;
        w.rules.fallback_behavior = rows[i].behavior;
        w.rules.fallback_replicas = rows[i].replicas;
        world_lose(&w, 0, SAMPLE_FAILED);
        world_poll(&w, 15000);
        assert_int_equal(w.replicas, rows[i].expect);
        world_done(&w);
    }
}

/* B1: one of two fails for an hour. B2: all fail. B3: cpu or another trigger wants more. */
static void fallback_beside_others(void **state)
{
    static const enum target_type types[] = {TARGET_AVERAGE_VALUE, TARGET_VALUE};

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        struct world w;

        world_init(&w, 3, 6);
        w.rules.min = 1;
        w.rules.has_fallback = true;
        w.rules.fallback_threshold = 3;
        w.rules.fallback_replicas = 3;
        for (int i = 0; i < 3; i++) {
            w.triggers[i].target_type = types[t];
            world_say(&w, i, types[t] == TARGET_VALUE ? 10 : 60);
        }
        world_poll(&w, 15000);
        world_lose(&w, 1, SAMPLE_FAILED);
        for (int i = 0; i < 240; i++) {
            world_poll(&w, 15000);
            assert_int_equal(w.replicas, 6);
        }
        for (int i = 0; i < 3; i++)
            world_lose(&w, i, SAMPLE_FAILED);
        world_poll_for(&w, 10 * MINUTE_MS, 15000);
        assert_int_equal(w.replicas, 3);
        world_say(&w, 2, types[t] == TARGET_VALUE ? 40 : 120);
        world_poll_for(&w, MINUTE_MS, 60000);
        assert_true(w.replicas > 3);
        world_done(&w);
    }
}

/* Z1, B4: at zero, and an error with fallback.replicas 0 waits for its threshold. */
static void fallback_and_zero(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 3;
    w.rules.fallback_replicas = 4;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll_for(&w, 45000, 15000);
    assert_int_equal(w.replicas, 0);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4);
    assert_non_null(find_step(&w.d, STEP_FALLBACK_ACTIVE));
    world_done(&w);

    world_init(&w, 1, 4);
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 3;
    w.rules.fallback_replicas = 0;
    w.rules.cooldown_ms = 60000;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll_for(&w, 45000, 15000);
    assert_int_equal(w.replicas, 4);
    world_poll_for(&w, 60000, 15000);
    assert_int_equal(w.replicas, 4);
    world_poll_for(&w, 15000, 15000);
    assert_int_equal(w.replicas, 0);
    world_poll_for(&w, 600000, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void one_held_trigger_forbids_going_down_only(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 2, 5);
    world_say(&w, 0, 50);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5);
    world_say(&w, 0, 80);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 8);
    world_say(&w, 0, 0);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 8);
    assert_non_null(find_step(&w.d, STEP_HELD));
    world_done(&w);
}

static void a_minimum_does_not_wait_for_values(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.min = 2;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 2);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_holds_for_its_time),
        cmocka_unit_test(a_good_value_ends_the_hold_and_the_count),
        cmocka_unit_test(an_outage_is_not_a_while_of_empty_answers),
        cmocka_unit_test(how_long_missing_holds_is_a_setting),
        cmocka_unit_test(a_stand_in_counts_at_once),
        cmocka_unit_test(time_under_a_hold_is_not_inactivity),
        cmocka_unit_test(failure_without_fallback_holds_for_good),
        cmocka_unit_test(nobody_was_asked_yet),
        cmocka_unit_test(fallback_waits_for_its_threshold),
        cmocka_unit_test(a_sample_is_counted_once),
        cmocka_unit_test(fallback_asks_for_replicas_directly),
        cmocka_unit_test(fallback_beside_others),
        cmocka_unit_test(fallback_and_zero),
        cmocka_unit_test(one_held_trigger_forbids_going_down_only),
        cmocka_unit_test(a_minimum_does_not_wait_for_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The formula inside a decision: the three AI policies exactly as written, nil, holds, fallback (DESIGN.md 3.5 and
   5). */
#include "world.h"

/* ---- the three policies ---- */

static void retraining(void **state)
{
    static const char *const names[] = {"validation_drift", "available_gpus", "request_queue_length"};
    struct world w;

    (void)state;
    world_init(&w, 3, 0);
    world_formula(&w, "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0", names);
    w.rules.formula_activation = 1; /* explicit, not zero: inclusive */
    w.rules.formula_activation_inclusive = true;
    world_say(&w, 0, 0.2);
    world_say(&w, 1, 1);
    world_say(&w, 2, 10);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_say(&w, 1, 2);
    assert_reason(world_poll(&w, 15000), REASON_ACTIVATED);
    assert_int_equal(w.replicas, 1);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 1);
    assert_non_null(find_step(&w.d, STEP_NO_TARGET));
    world_say(&w, 0, 0.05);
    world_poll_for(&w, 300 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 1);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);

    world_init(&w, 3, 0); /* strict: 1 > 1 is false, as KEDA has it */
    world_formula(&w, "validation_drift > 0.1 && available_gpus >= 2 && request_queue_length < 1000 ? 1 : 0", names);
    w.rules.formula_activation = 1;
    world_say(&w, 0, 0.2);
    world_say(&w, 1, 2);
    world_say(&w, 2, 10);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void token_latency(void **state)
{
    static const char *const names[] = {"tokens_per_min", "pod_count"};
    struct world w;

    (void)state;
    world_init(&w, 2, 2);
    world_formula(&w, "1 / (tokens_per_min / pod_count)", names);
    w.rules.min = 1;
    w.rules.formula_target = 0.001;
    world_say(&w, 0, 500);
    world_say(&w, 1, 2);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4); /* 0.004 / 0.001: in milli it would be the same 4, and 0.0045 would too */
    world_say(&w, 0, 400);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5);
    world_say(&w, 0, 0); /* no tokens: 1/0 is no replica count */
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 5);
    assert_int_equal(w.d.formula_state, SAMPLE_FAILED);
    assert_int_equal(w.d.formula_fault, FAULT_NOT_FINITE);
    assert_true(w.d.error);
    world_say(&w, 0, 500); /* no pods counted, but traffic: 0, so the minimum after the window */
    world_say(&w, 1, 0);
    world_poll_for(&w, 330 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 1);
    world_done(&w);
}

static void token_latency_per_replica(void **state)
{
    static const char *const names[] = {"tokens_per_min", "pod_count"};
    struct world w;

    (void)state;
    world_init(&w, 2, 3);
    world_formula(&w, "1 / (tokens_per_min / pod_count)", names);
    w.rules.formula_type = TARGET_VALUE;
    w.rules.formula_target = 0.001;
    world_say(&w, 0, 2000);
    world_say(&w, 1, 3);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5); /* 0.0015 / 0.001 x 3 ready = 4.5 */
    world_done(&w);
}

static void model_rebalancing(void **state)
{
    static const char *const names[] = {"tokens_per_min", "request_rate"};
    struct world w;

    (void)state;
    world_init(&w, 2, 0);
    world_formula(&w, "tokens_per_min >= 5000 ? request_rate : 0", names);
    w.rules.formula_activation = 1;
    w.rules.formula_activation_inclusive = true;
    w.rules.formula_target = 100;
    world_say(&w, 0, 4999);
    world_say(&w, 1, 700);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_say(&w, 0, 5000);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 7);
    world_say(&w, 0, 100);
    world_poll_for(&w, 300 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 7);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

/* ---- nil, holds, fallback ---- */

static void a_default_works_at_once(void **state)
{
    static const char *const names[] = {"a"};
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    world_formula(&w, "a ?? 50", names);
    w.rules.formula_target = 10;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4);
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 5);
    assert_int_equal(w.d.formula_state, SAMPLE_OK);
    assert_false(w.d.held);
    world_done(&w);
}

static void a_missing_result_is_held_then_runs_with_stand_ins(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;

    (void)state;
    world_init(&w, 2, 6);
    world_formula(&w, "a + b", names);
    w.rules.min = 1;
    w.rules.formula_target = 10;
    world_say(&w, 0, 30);
    world_lose(&w, 1, SAMPLE_MISSING);
    w.samples[1].value = 10; /* what KEDA would use */
    world_poll_for(&w, 30 * MINUTE_MS, 15000);
    assert_int_equal(w.replicas, 6);
    assert_int_equal(w.d.formula_state, SAMPLE_MISSING);
    assert_int_equal(find_step(&w.d, STEP_HELD_MISSING)->cause, 1); /* names the trigger */
    world_poll_for(&w, 360 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 4);
    assert_int_equal(w.d.formula_state, SAMPLE_OK);
    world_done(&w);
}

static void a_failed_trigger_among_missing_ones_fails_the_result(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;

    (void)state;
    world_init(&w, 2, 6);
    world_formula(&w, "a + b", names);
    w.rules.formula_target = 10;
    world_lose(&w, 0, SAMPLE_MISSING);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll_for(&w, 5 * HOUR_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 6);
    assert_int_equal(w.d.formula_state, SAMPLE_FAILED);
    world_done(&w);
}

/* F1, F5, B8: a formula that fails at run time holds, then falls back, fractional target and all. */
static void a_failing_formula_falls_back(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;

    (void)state;
    world_init(&w, 2, 5);
    world_formula(&w, "a / b", names);
    w.rules.formula_target = 0.5;
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 3;
    w.rules.fallback_replicas = 8;
    world_say(&w, 0, 1);
    world_say(&w, 1, 0);
    for (int i = 0; i < 3; i++) {
        assert_reason(world_poll(&w, 15000), REASON_HELD);
        assert_int_equal(w.replicas, 5);
    }
    assert_reason(world_poll(&w, 15000), REASON_FALLBACK);
    assert_int_equal(w.replicas, 8);
    world_done(&w);
}

static void a_negative_result_asks_for_the_minimum(void **state)
{
    static const char *const names[] = {"a"};
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    world_formula(&w, "a - 100", names);
    w.rules.min = 2;
    w.rules.formula_target = 10;
    world_say(&w, 0, 20);
    world_poll_for(&w, 330 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 2);
    assert_non_null(find_step(&w.d, STEP_NEGATIVE));
    world_done(&w);
}

static void the_state_of_the_target_is_known(void **state)
{
    static const char *const names[] = {"a"};
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    world_formula(&w, "(replicas + 1) * target", names);
    w.rules.formula_target = 10;
    world_poll(&w, 15000);
    assert_int_equal(w.replicas, 4);
    world_done(&w);
}

static void what_a_formula_remembers_advances_once(void **state)
{
    static const char *const names[] = {"a"};
    struct world w;
    struct decision again;

    (void)state;
    world_init(&w, 1, 1);
    world_formula(&w, "held(a > 5, \"1m\") ? 20 : 10", names);
    w.rules.formula_target = 10;
    world_say(&w, 0, 9);
    world_poll(&w, 1000);
    struct decide_memory *copy = decide_memory_copy(w.memory);
    world_poll_for(&w, 61 * SECOND_MS, 1000);
    assert_int_equal(w.replicas, 2);
    decide(&w.rules,
           &(struct decide_facts){.now_ms = w.now_ms, .replicas = 1, .status_replicas = 1, .samples = w.samples}, copy,
           true, &again);
    assert_int_equal(again.after, 2);
    assert_true(again.trace_count > 0);
    assert_int_equal(again.trace[again.trace_count - 1].depth, 0);
    decide_memory_free(copy);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retraining),
        cmocka_unit_test(token_latency),
        cmocka_unit_test(token_latency_per_replica),
        cmocka_unit_test(model_rebalancing),
        cmocka_unit_test(a_default_works_at_once),
        cmocka_unit_test(a_missing_result_is_held_then_runs_with_stand_ins),
        cmocka_unit_test(a_failed_trigger_among_missing_ones_fails_the_result),
        cmocka_unit_test(a_failing_formula_falls_back),
        cmocka_unit_test(a_negative_result_asks_for_the_minimum),
        cmocka_unit_test(the_state_of_the_target_is_known),
        cmocka_unit_test(what_a_formula_remembers_advances_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The formula inside a decision: the three AI policies exactly as written, nil, holds, fallback (DESIGN.md 3.5 and
   5). */
#include "world.h"

#include "decide/keda.h"

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

/* ---- hpa mode ---- */

static void in_hpa_mode(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;
    int64_t milli;

    (void)state;
    world_init(&w, 2, 3);
    world_formula(&w, "a - b", names);
    w.rules.mode = DECIDE_HPA;
    w.rules.formula_target = 2;
    world_say(&w, 0, 2.0009);
    world_say(&w, 1, 5);
    world_poll(&w, 15000);
    assert_true(keda_composite(&w.rules, &w.d, &milli));
    assert_int_equal(milli, -2999); /* cut, and not floored at 0 */
    assert_false(w.d.active);
    world_lose(&w, 1, SAMPLE_MISSING);
    world_poll(&w, 15000);
    assert_false(keda_composite(&w.rules, &w.d, &milli));
    assert_true(w.d.held);
    w.rules.has_fallback = true;
    w.rules.fallback_replicas = 4;
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_true(keda_composite(&w.rules, &w.d, &milli)); /* the formula is skipped: target x replicas */
    assert_int_equal(milli, 8000);
    w.rules.fallback_behavior = FALLBACK_SCALING_MODIFIERS;
    world_poll(&w, 15000);
    assert_false(keda_composite(&w.rules, &w.d, &milli)); /* float - nil */
    assert_int_equal(w.d.formula_state, SAMPLE_FAILED);
    world_done(&w);
}

static void nil_in_hpa_mode(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;
    int64_t milli;

    (void)state;
    world_init(&w, 2, 3);
    world_formula(&w, "a ?? b", names);
    w.rules.mode = DECIDE_HPA;
    w.rules.formula_target = 2;
    w.rules.has_fallback = true;
    w.rules.fallback_replicas = 7;
    w.rules.fallback_behavior = FALLBACK_SCALING_MODIFIERS;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_say(&w, 1, 20);
    world_poll(&w, 15000);
    assert_true(keda_composite(&w.rules, &w.d, &milli));
    assert_int_equal(milli, 20000);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll(&w, 15000);
    assert_true(keda_composite(&w.rules, &w.d, &milli)); /* nil: replicas x target */
    assert_int_equal(milli, 14000);
    assert_true(w.d.active);
    world_done(&w);
}

static void a_result_too_large_for_milli(void **state)
{
    static const char *const names[] = {"a"};
    struct world w;
    int64_t milli;

    (void)state;
    world_init(&w, 1, 3);
    world_formula(&w, "a ** 3", names);
    w.rules.mode = DECIDE_HPA;
    w.rules.formula_target = 2;
    world_say(&w, 0, 1e6);
    world_poll_for(&w, HOUR_MS, MINUTE_MS);
    assert_false(keda_composite(&w.rules, &w.d, &milli));
    assert_int_equal(w.d.formula_fault, FAULT_NOT_FINITE);
    assert_int_equal(w.replicas, 3);
    w.rules.mode = DECIDE_DIRECT; /* here it is just a very large wish */
    world_poll(&w, MINUTE_MS);
    assert_int_equal(w.replicas, 6);
    world_done(&w);
}

/* ---- corners ---- */

static void stand_ins_that_fail(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;

    (void)state;
    world_init(&w, 2, 6);
    world_formula(&w, "a / b", names);
    w.rules.formula_target = 10;
    w.rules.missing_hold_ms = 5 * MINUTE_MS;
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 3;
    w.rules.fallback_replicas = 9;
    world_say(&w, 0, 30);
    world_lose(&w, 1, SAMPLE_MISSING); /* 0 in KEDA's eyes: then it divides by zero, and that is a failure */
    world_poll_for(&w, 5 * MINUTE_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 6);
    world_poll_for(&w, 3 * MINUTE_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 6);
    world_poll_for(&w, 5 * MINUTE_MS, MINUTE_MS);
    assert_int_equal(w.replicas, 9);
    world_done(&w);
}

static void not_asked_yet(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct world w;

    (void)state;
    world_init(&w, 2, 6);
    world_formula(&w, "a + b", names);
    w.rules.formula_target = 10;
    world_say(&w, 0, 1);
    world_lose(&w, 1, SAMPLE_NONE);
    world_poll(&w, 15000);
    assert_int_equal(find_step(&w.d, STEP_NOT_ASKED)->cause, 1);
    assert_int_equal(w.replicas, 6);
    world_done(&w);
}

static void a_formula_beside_cpu(void **state)
{
    static const char *const names[] = {NULL, "a"};
    struct pod_usage usage = {.has_usage = true, .has_request = true, .usage = 950, .request = 1000};
    struct pod_fact pod = {.phase = POD_RUNNING,
                           .ready = POD_READY_TRUE,
                           .start_at_ms = WORLD_START_MS - HOUR_MS,
                           .ready_at_ms = WORLD_START_MS - HOUR_MS,
                           .usage = &usage};
    struct pod_fact pods[] = {pod, pod, pod, pod};
    struct world w;

    (void)state;
    world_init(&w, 2, 4);
    w.triggers[0] = (struct decide_trigger){
        .kind = METRIC_CPU, .target_type = TARGET_UTILIZATION, .target = 50, .formula_name = -1};
    world_formula(&w, "a", names);
    w.rules.formula_target = 10;
    w.pods = pods;
    w.pod_count = 4;
    usage.at_ms = WORLD_START_MS;
    world_say(&w, 1, 50);
    world_poll(&w, 15000);
    assert_int_equal(w.d.inputs[0].proposal, 8); /* 95 / 50 x 4 */
    assert_int_equal(w.replicas, 8);
    world_say(&w, 1, 0); /* cpu takes no part in activity: the formula alone keeps it awake */
    world_poll_for(&w, 330 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void long_traces_keep_the_outside(void **state)
{
    static const char *const names[] = {"a"};
    char source[2000] = "a";
    struct world w;
    struct text out;

    (void)state;
    for (int i = 0; i < 150; i++)
        strcat(source, " + a");
    world_init(&w, 1, 1);
    world_formula(&w, source, names);
    w.rules.formula_target = 1000;
    world_say(&w, 0, 1);
    w.memory = decide_memory_new(&w.rules);
    decide(&w.rules, &(struct decide_facts){.now_ms = 1, .replicas = 1, .status_replicas = 1, .samples = w.samples},
           w.memory, true, &w.d);
    assert_int_equal(w.d.trace_count, DECISION_TRACE_MAX);
    assert_int_equal(w.d.trace[DECISION_TRACE_MAX - 1].depth, 0);
    assert_true(w.d.trace[DECISION_TRACE_MAX - 1].number == 151);
    text_init(&out, 1 << 20);
    decision_write_json(&w.d, &(struct decision_names){.formula = source}, &out);
    assert_non_null(strstr(out.bytes, "\"trace\":["));
    assert_non_null(strstr(out.bytes, "\"state\":\"ok\",\"value\":151"));
    text_done(&out);
    world_done(&w);
}

static void failures_are_told_with_their_place(void **state)
{
    static const char *const names[] = {"tokens_per_min", "pod_count"};
    static const char source[] = "1 / (tokens_per_min / pod_count)";
    struct world w;
    struct text out;

    (void)state;
    world_init(&w, 2, 2);
    world_formula(&w, source, names);
    w.rules.formula_target = 0.001;
    world_say(&w, 0, 0);
    world_say(&w, 1, 2);
    world_poll(&w, 15000);
    text_init(&out, 1 << 20);
    decision_write_summary(&w.d, &(struct decision_names){.triggers = names, .trigger_count = 2, .formula = source},
                           &out);
    assert_string_equal(out.bytes, "2: formula failed (1 in a row): nothing is taken away "
                                   "(not-finite in 1 / (tokens_per_min / pod_count))");
    text_clear(&out);
    decision_write_json(&w.d, &(struct decision_names){.triggers = names, .trigger_count = 2, .formula = source}, &out);
    assert_non_null(strstr(out.bytes, "\"fault\":\"not-finite\",\"place\":\"1 / (tokens_per_min / pod_count)\""));
    text_done(&out);
    world_done(&w);
}

static void an_edited_formula_remembers_nothing(void **state)
{
    static const char *const names[] = {"a"};
    struct world w, edited;
    struct text bytes;
    struct decide_memory *memory;

    (void)state;
    world_init(&w, 1, 1);
    world_formula(&w, "held(a > 5, \"1m\") ? 20 : 10", names);
    world_init(&edited, 1, 1);
    world_formula(&edited, "held(a > 7, \"1m\") ? 20 : 10", names);
    w.rules.formula_target = edited.rules.formula_target = 10;
    world_say(&w, 0, 9);
    world_poll_for(&w, 90000, 15000);
    memory = decide_memory_adapt(w.memory, &w.rules, names, &edited.rules, names);
    edited.memory = memory;
    edited.samples[0] = w.samples[0];
    edited.now_ms = w.now_ms;
    world_poll(&edited, 15000);
    assert_int_equal(edited.d.wished, 1); /* the minute begins anew */
    memory = decide_memory_adapt(w.memory, &w.rules, names, &w.rules, names);
    decide_memory_free(w.memory);
    w.memory = memory;
    world_poll(&w, 15000);
    assert_int_equal(w.d.wished, 2);
    text_init(&bytes, 10000);
    decide_memory_write(w.memory, &bytes);
    assert_false(decide_memory_read(&edited.rules, bytes.bytes, bytes.length, &memory)); /* of another text */
    assert_true(decide_memory_read(&w.rules, bytes.bytes, bytes.length, &memory));
    decide_memory_free(memory);
    text_done(&bytes);
    world_done(&w);
    world_done(&edited);
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
        cmocka_unit_test(in_hpa_mode),
        cmocka_unit_test(nil_in_hpa_mode),
        cmocka_unit_test(a_result_too_large_for_milli),
        cmocka_unit_test(stand_ins_that_fail),
        cmocka_unit_test(not_asked_yet),
        cmocka_unit_test(a_formula_beside_cpu),
        cmocka_unit_test(long_traces_keep_the_outside),
        cmocka_unit_test(failures_are_told_with_their_place),
        cmocka_unit_test(an_edited_formula_remembers_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

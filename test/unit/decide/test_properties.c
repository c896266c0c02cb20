/*
 * What holds whatever is said: decisions are closed and repeatable under any facts, constant input gives constant
 * output, and failures never lower a count. Rules and facts are drawn from a seed, extremes included.
 */
#include "world.h"

enum { RUNS = 4000, POLLS = 12 };

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint32_t below(uint64_t *seed, uint32_t bound)
{
    return (uint32_t)(next(seed) >> 33) % bound;
}

static int32_t any_count(uint64_t *seed)
{
    static const int32_t extremes[] = {INT32_MIN, -1, 0, 1, 2, 100, INT32_MAX - 1, INT32_MAX};

    return below(seed, 3) == 0 ? extremes[below(seed, 8)] : (int32_t)below(seed, 30);
}

static int64_t any_time(uint64_t *seed)
{
    static const int64_t extremes[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX / 2, INT64_MAX};

    return below(seed, 4) == 0 ? extremes[below(seed, 7)] : WORLD_START_MS + below(seed, 4000000);
}

static double any_number(uint64_t *seed)
{
    static const double extremes[] = {NAN, INFINITY, -INFINITY, 1e308, -1e308, 5e-324, 0, -0.0, -1, 9.3e15};

    return below(seed, 3) == 0 ? extremes[below(seed, 10)] : below(seed, 2000) / 7.0;
}

static void any_rules_of_a_direction(uint64_t *seed, struct scaling_rules *rules)
{
    rules->select = (enum select_policy)below(seed, 3);
    rules->window_s = (int32_t)below(seed, 4) * 100 - 1;
    rules->tolerance = below(seed, 2) ? -1 : any_number(seed);
    rules->policy_count = (uint8_t)below(seed, 4);
    for (int i = 0; i < rules->policy_count; i++)
        rules->policies[i] = (struct scaling_policy){below(seed, 2), any_count(seed), any_count(seed)};
}

static void any_trigger(uint64_t *seed, struct decide_trigger *trigger)
{
    *trigger = (struct decide_trigger){.kind = (enum metric_kind)below(seed, 3),
                                       .target_type = (enum target_type)below(seed, 3),
                                       .target = any_number(seed),
                                       .activation = any_number(seed),
                                       .formula_name = -1};
    if (below(seed, 2))
        trigger->kind = METRIC_EXTERNAL;
}

static void any_world(uint64_t *seed, struct world *w)
{
    world_init(w, (uint16_t)below(seed, WORLD_TRIGGERS_MAX), any_count(seed));
    for (int i = 0; i < w->rules.trigger_count; i++)
        any_trigger(seed, &w->triggers[i]);
    w->rules.mode = (enum decide_mode)below(seed, 3);
    w->rules.min = any_count(seed);
    w->rules.max = any_count(seed);
    w->rules.idle = any_count(seed);
    w->rules.cooldown_ms = any_time(seed);
    w->rules.initial_cooldown_ms = any_time(seed);
    w->rules.created_at_ms = any_time(seed);
    w->rules.missing_hold_ms = any_time(seed);
    w->rules.downscale_stabilization_ms = below(seed, 600000);
    w->rules.has_fallback = below(seed, 2);
    w->rules.fallback_behavior = (enum fallback_behavior)below(seed, 5);
    w->rules.fallback_threshold = any_count(seed);
    w->rules.fallback_replicas = any_count(seed);
    w->rules.paused = below(seed, 12) == 0;
    w->rules.has_paused_replicas = below(seed, 12) == 0;
    w->rules.paused_replicas = any_count(seed);
    w->rules.paused_scale_in = below(seed, 6) == 0;
    w->rules.paused_scale_out = below(seed, 6) == 0;
    w->rules.force_activation = below(seed, 6) == 0;
    any_rules_of_a_direction(seed, &w->behavior.up);
    any_rules_of_a_direction(seed, &w->behavior.down);
    w->rules.behavior = below(seed, 2) ? &w->behavior : NULL;
}

static void any_facts(uint64_t *seed, struct world *w, struct pod_fact *pods, struct pod_usage *usages,
                      struct decide_facts *facts)
{
    for (int i = 0; i < w->rules.trigger_count; i++)
        w->samples[i] =
            (struct sample){any_number(seed), any_time(seed), (enum sample_state)below(seed, 4), below(seed, 2)};
    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < WORLD_TRIGGERS_MAX; i++)
            usages[p * WORLD_TRIGGERS_MAX + i] = (struct pod_usage){below(seed, 2), below(seed, 5) > 0, any_time(seed),
                                                                    any_time(seed), any_time(seed),     any_time(seed)};
        pods[p] = (struct pod_fact){.phase = (enum pod_phase)below(seed, 5),
                                    .ready = (enum pod_ready)below(seed, 4),
                                    .deleted = below(seed, 8) == 0,
                                    .start_at_ms = any_time(seed),
                                    .ready_at_ms = any_time(seed),
                                    .usage = &usages[p * WORLD_TRIGGERS_MAX]};
    }
    *facts = (struct decide_facts){.now_ms = any_time(seed),
                                   .replicas = any_count(seed),
                                   .status_replicas = any_count(seed),
                                   .ready_replicas = any_count(seed),
                                   .samples = w->samples,
                                   .pods = pods,
                                   .pod_count = below(seed, 4),
                                   .pods_failed = below(seed, 8) == 0};
}

static void assert_same_bytes(const struct decision *a, const struct decision *b)
{
    size_t size_a, size_b;
    void *bytes_a = decision_pack(a, &size_a), *bytes_b = decision_pack(b, &size_b);
    struct decision back;

    assert_int_equal(size_a, size_b);
    assert_memory_equal(bytes_a, bytes_b, size_a);
    assert_true(decision_unpack(bytes_a, size_a, &back));
    free(bytes_a);
    free(bytes_b);
}

static void any_facts_lead_to_a_closed_decision(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= RUNS; run++) {
        uint64_t seed = run * 0x9E3779B97F4A7C15u;
        struct world w;
        struct pod_fact pods[3];
        struct pod_usage usages[3 * WORLD_TRIGGERS_MAX];

        any_world(&seed, &w);
        w.memory = decide_memory_new(&w.rules);
        for (int poll = 0; poll < POLLS; poll++) {
            struct decide_facts facts;
            struct decision again;

            any_facts(&seed, &w, pods, usages, &facts);
            struct decide_memory *copy = decide_memory_copy(w.memory);
            decide(&w.rules, &facts, w.memory, false, &w.d);
            decide(&w.rules, &facts, copy, false, &again);
            decide_memory_free(copy);
            assert_true(decision_is_closed(&w.d));
            assert_true(w.d.after >= 0 || !w.d.write);
            assert_same_bytes(&w.d, &again);
            decide_applied(&w.rules, w.memory, &w.d);
        }
        world_done(&w);
    }
}

/* S1: the same values for a day: after the first half hour nothing moves any more. Value keeps its ratio as pods
   come. */
static void constant_input_gives_constant_output(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 300; run++) {
        uint64_t seed = run * 0x9E3779B97F4A7C15u;
        struct world w;

        world_init(&w, 2, (int32_t)below(&seed, 20));
        w.rules.min = (int32_t)below(&seed, 3);
        scaling_behavior_default(&w.behavior);
        w.behavior.up.policies[1].value = 1 + (int32_t)below(&seed, 100);
        w.rules.behavior = below(&seed, 2) ? &w.behavior : NULL;
        world_say(&w, 0, below(&seed, 300));
        world_say(&w, 1, below(&seed, 300));
        world_poll_for(&w, HOUR_MS, 15000);
        int32_t settled = w.replicas;
        for (int i = 0; i < 24 * 60; i++) {
            world_poll(&w, MINUTE_MS);
            assert_int_equal(w.replicas, settled);
        }
        world_done(&w);
    }
}

/* Whatever fails or is missing (within its hold), for however long: no replica goes, as long as nothing good asks
   for fewer. */
static void failures_never_lower_replicas(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 300; run++) {
        uint64_t seed = run * 0x9E3779B97F4A7C15u;
        struct world w;
        int32_t highest;

        world_init(&w, 3, (int32_t)below(&seed, 20));
        w.rules.mode = below(&seed, 3) == 0 ? DECIDE_HPA : DECIDE_DIRECT;
        w.rules.min = (int32_t)below(&seed, 3);
        w.rules.missing_hold_ms = INT64_MAX;
        w.rules.cooldown_ms = below(&seed, 400) * SECOND_MS;
        for (int i = 0; i < 3; i++) {
            w.triggers[i].target_type = (enum target_type)below(&seed, 2);
            world_say(&w, i, 10 + below(&seed, 50));
        }
        world_poll_for(&w, MINUTE_MS, 15000);
        world_lose(&w, 0, below(&seed, 2) ? SAMPLE_FAILED : SAMPLE_MISSING);
        highest = w.replicas;
        for (int i = 0; i < 300; i++) {
            world_lose(&w, (int)below(&seed, 3), below(&seed, 2) ? SAMPLE_FAILED : SAMPLE_MISSING);
            world_poll(&w, below(&seed, 120) * SECOND_MS);
            assert_true(w.replicas >= highest);
            highest = w.replicas;
        }
        world_done(&w);
    }
}

/* S2: noise of one percent at a boundary stays inside the tolerance. */
static void noise_does_not_flap(void **state)
{
    struct world w;
    uint64_t seed = 42;
    int changes = 0;

    (void)state;
    world_init(&w, 1, 10);
    for (int i = 0; i < 5000; i++) {
        int32_t before = w.replicas;

        world_say(&w, 0, 100 + (below(&seed, 200) - 100.0) / 100);
        world_poll(&w, 15000);
        changes += w.replicas != before;
    }
    assert_int_equal(changes, 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_facts_lead_to_a_closed_decision),
        cmocka_unit_test(constant_input_gives_constant_output),
        cmocka_unit_test(failures_never_lower_replicas),
        cmocka_unit_test(noise_does_not_flap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

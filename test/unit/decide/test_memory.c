/* What is kept between decisions: the staircases give the same extremes as the full list, cost little, and survive
   being written. */
#include "world.h"

#include "decide/decide_internal.h"

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

/* Against the list that forgets nothing: every window that ends now has the same highest and lowest wish. */
static void staircases_equal_the_full_list(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct decide_memory memory = {0};
        struct hpa_moments all = {0};
        uint32_t dice = seed;
        int64_t now_ms = WORLD_START_MS;

        for (int i = 0; i < 400; i++) {
            int32_t wish = (int32_t)(draw(&dice) % 12), current = (int32_t)(draw(&dice) % 12);

            now_ms += draw(&dice) % 40000;
            for (int64_t window_ms = 0; window_ms <= 300000; window_ms += 60000) {
                assert_int_equal(hpa_stabilize_plain(&memory.highs, now_ms, window_ms, wish),
                                 hpa_stabilize_plain(&all, now_ms, window_ms, wish));
                assert_int_equal(
                    hpa_stabilize(&memory.highs, &memory.lows, now_ms, 300000 - window_ms, window_ms, current, wish),
                    hpa_stabilize(&all, &all, now_ms, 300000 - window_ms, window_ms, current, wish));
            }
            memory_wish(&memory, now_ms, 300000, wish);
            hpa_moments_add(&all, now_ms, wish);
        }
        memory_forget_wishes(&memory);
        hpa_moments_done(&all);
    }
}

static void a_steady_object_costs_little(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    world_say(&w, 0, 40);
    world_poll_for(&w, DAY_MS, 15000);
    assert_true(decide_memory_bytes(w.memory) <= 256);
    world_done(&w);
}

static void a_long_ramp_is_bounded_and_never_forgets_early(void **state)
{
    struct decide_memory memory = {0};
    int64_t now_ms = WORLD_START_MS;

    (void)state;
    for (int32_t wish = 5000; wish > 0; wish--) {
        memory_wish(&memory, now_ms, 3600 * SECOND_MS, wish);
        now_ms += 100;
        assert_true(hpa_stabilize_plain(&memory.highs, now_ms, 3600 * SECOND_MS, 0) == 5000);
    }
    assert_int_equal(memory.highs.count, HPA_MOMENTS_MAX);
    memory_forget_wishes(&memory);
}

static void a_clock_that_goes_back_holds_nothing_for_long(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    w.now_ms += 30 * DAY_MS; /* a wrong clock, until somebody sets it right */
    world_say(&w, 0, 40);
    world_poll(&w, 0);
    w.now_ms = WORLD_START_MS;
    world_say(&w, 0, 0);
    world_poll_for(&w, 600 * SECOND_MS, 15000);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

static void written_and_read_back(void **state)
{
    struct world w;
    struct text bytes;
    struct decide_memory *read = NULL;
    struct decision a, b;

    (void)state;
    text_init(&bytes, 1 << 20);
    world_init(&w, 3, 4);
    scaling_behavior_default(&w.behavior);
    w.rules.behavior = &w.behavior;
    world_say(&w, 0, 90);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_lose(&w, 2, SAMPLE_MISSING);
    world_poll_for(&w, MINUTE_MS, 15000);
    decide_memory_write(w.memory, &bytes);
    assert_true(bytes.length < 200);
    assert_true(decide_memory_read(&w.rules, bytes.bytes, bytes.length, &read));
    assert_int_equal(decide_memory_failures(read, 1), 4);
    assert_int_equal(decide_memory_last_active_at_ms(read), w.now_ms);

    struct decide_facts facts = {
        .now_ms = w.now_ms + 200000, .replicas = w.replicas, .status_replicas = w.replicas, .samples = w.samples};
    decide(&w.rules, &facts, w.memory, false, &a);
    decide(&w.rules, &facts, read, false, &b);
    size_t size_a, size_b;
    void *packed_a = decision_pack(&a, &size_a), *packed_b = decision_pack(&b, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(packed_a, packed_b, size_a);
    free(packed_a);
    free(packed_b);
    decide_memory_free(read);

    for (size_t cut = 0; cut < bytes.length; cut++) /* half a record is none */
        assert_false(decide_memory_read(&w.rules, bytes.bytes, cut, &read));
    w.rules.trigger_count = 2; /* nor is that of another shape */
    assert_false(decide_memory_read(&w.rules, bytes.bytes, bytes.length, &read));
    text_done(&bytes);
    world_done(&w);
}

static void an_edit_keeps_what_still_has_a_meaning(void **state)
{
    static const char *const old_names[] = {"a", "b"}, *const new_names[] = {"b", "c", "a"};
    struct world w;

    (void)state;
    world_init(&w, 2, 4);
    world_lose(&w, 0, SAMPLE_FAILED);
    world_say(&w, 1, 40);
    world_poll_for(&w, MINUTE_MS, 15000);
    struct decide_rules rules = w.rules;
    rules.trigger_count = 3;
    struct decide_memory *memory = decide_memory_adapt(w.memory, &w.rules, old_names, &rules, new_names);
    assert_int_equal(decide_memory_failures(memory, 0), 0);
    assert_int_equal(decide_memory_failures(memory, 1), 0);
    assert_int_equal(decide_memory_failures(memory, 2), 4);
    assert_int_equal(decide_memory_last_active_at_ms(memory), decide_memory_last_active_at_ms(w.memory));
    decide_memory_free(memory);
    world_done(&w);
}

static void zero_is_an_instant_too(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 1); /* a simulated clock starts at 0 */
    w.now_ms = w.rules.created_at_ms = 0;
    world_say(&w, 0, 5);
    world_poll(&w, 0);
    world_say(&w, 0, 0);
    world_poll(&w, 300 * SECOND_MS);
    assert_int_equal(w.replicas, 1);
    world_poll(&w, 1);
    assert_int_equal(w.replicas, 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(staircases_equal_the_full_list),
        cmocka_unit_test(a_steady_object_costs_little),
        cmocka_unit_test(a_long_ramp_is_bounded_and_never_forgets_early),
        cmocka_unit_test(a_clock_that_goes_back_holds_nothing_for_long),
        cmocka_unit_test(written_and_read_back),
        cmocka_unit_test(an_edit_keeps_what_still_has_a_meaning),
        cmocka_unit_test(zero_is_an_instant_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

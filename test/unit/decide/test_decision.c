/* The record: closed, comparable, packed, and in words. */
#include "world.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/tree.h"

static const char *const names[] = {"queue", "rate"};
static const struct decision_names words = {.triggers = names, .trigger_count = 2};

static void a_broken_chain_is_noticed(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 2, 3);
    world_say(&w, 0, 70);
    const struct decision *good = world_poll(&w, 0);
    struct decision d = *good;

    d.steps[d.step_count - 1].before++;
    assert_false(decision_is_closed(&d));
    d = *good;
    d.after++;
    assert_false(decision_is_closed(&d));
    d = *good;
    d.steps[1].measured = NAN;
    assert_false(decision_is_closed(&d));
    d = *good;
    d.steps[1].cause = 2;
    assert_false(decision_is_closed(&d));
    d = *good;
    d.step_count = 0;
    assert_false(decision_is_closed(&d));
    world_done(&w);
}

static void packed_is_small_and_whole(void **state)
{
    struct world w;
    struct decision back;
    size_t bytes, again;

    (void)state;
    world_init(&w, 2, 3);
    world_say(&w, 0, 70.25);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll(&w, 0);
    unsigned char *packed = decision_pack(&w.d, &bytes);
    assert_true(bytes < 200);
    assert_true(decision_unpack(packed, bytes, &back));
    assert_true(decision_same_outcome(&w.d, &back));
    void *twice = decision_pack(&back, &again);
    assert_int_equal(again, bytes);
    assert_memory_equal(packed, twice, bytes);
    for (size_t cut = 0; cut < bytes; cut++)
        assert_false(decision_unpack(packed, cut, &back));
    for (size_t i = 0; i < bytes; i++) { /* nonsense is refused or closed, never worse */
        packed[i] ^= 0x55;
        if (decision_unpack(packed, bytes, &back))
            assert_true(decision_is_closed(&back));
        packed[i] ^= 0x55;
    }
    free(packed);
    free(twice);
    world_done(&w);
}

static void the_same_to_a_person(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 2, 4);
    world_say(&w, 0, 40);
    struct decision a = *world_poll(&w, 0), b = *world_poll(&w, 15000);
    assert_true(decision_same_outcome(&a, &b));
    world_say(&w, 0, 41);
    b = *world_poll(&w, 15000);
    assert_true(decision_same_outcome(&a, &b)); /* a value may differ */
    world_lose(&w, 1, SAMPLE_FAILED);
    b = *world_poll(&w, 15000);
    assert_false(decision_same_outcome(&a, &b));
    world_done(&w);
}

/* ---- words ---- */

static void assert_summary(const struct decision *d, const char *expect)
{
    struct text out;

    text_init(&out, 100000);
    decision_write_summary(d, &words, &out);
    assert_string_equal(out.bytes, expect);
    text_done(&out);
}

static void summaries(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 2, 0);
    world_say(&w, 0, 0);
    world_say(&w, 1, 0);
    assert_summary(world_poll(&w, 0), "0: no trigger is active");
    world_say(&w, 0, 25);
    assert_summary(world_poll(&w, 15000), "0 -> 3: queue at 25 switches on (activation 0): from 0 to at least 1; "
                                          "queue at 25 against a target of 10 asks for 3");
    assert_summary(world_poll(&w, 15000), "3: queue at 25 against a target of 10 asks for 3");
    world_done(&w);
}

static void held_says_missing_until_when(void **state)
{
    struct world w;
    struct text out;

    (void)state;
    world_init(&w, 2, 3);
    world_lose(&w, 1, SAMPLE_MISSING);
    world_say(&w, 0, 1);
    world_poll(&w, 0);
    text_init(&out, 100000);
    for (uint16_t i = 0; i < w.d.step_count; i++)
        if (w.d.steps[i].kind == STEP_HELD_MISSING)
            decision_write_step(&w.d, i, &words, &out);
    assert_string_equal(out.bytes,
                        "rate is missing: no value for 0 s, so nothing is taken away before 2026-01-01T00:30:00Z");
    text_done(&out);
    world_done(&w);
}

static void numbers_are_readable(void **state)
{
    static const struct {
        double value;
        const char *expect;
    } rows[] = {{0.1 + 0.2, "0.3"},    {12.3456789, "12.35"}, {1234567, "1234567"}, {0.00035, "0.00035"},
                {1234.5678, "1234.6"}, {-0.0, "0"},           {1e21, "1e+21"},      {2.5, "2.5"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct decision d = {.step_count = 1,
                             .steps = {{.kind = STEP_NEGATIVE, .cause = CAUSE_FORMULA, .measured = rows[i].value}}};
        struct text out;

        text_init(&out, 1000);
        decision_write_step(&d, 0, NULL, &out);
        assert_non_null(strstr(out.bytes, "formula is "));
        assert_memory_equal(out.bytes + strlen("formula is "), rows[i].expect, strlen(rows[i].expect));
        assert_int_equal(out.bytes[strlen("formula is ") + strlen(rows[i].expect)], ',');
        text_done(&out);
    }
}

static void every_sentence_is_filled(void **state)
{
    (void)state;
    for (int kind = 0; kind < STEP_KINDS; kind++) {
        struct decision d = {
            .step_count = 1, .input_count = 1, .steps = {{.kind = (enum step_kind)kind, .measured = 90, .limit = 60}}};
        struct text out;

        text_init(&out, 10000);
        decision_write_step(&d, 0, &words, &out);
        assert_null(strpbrk(out.bytes, "{}"));
        assert_true(out.length > 10);
        text_done(&out);
    }
}

static void json_is_json(void **state)
{
    struct world w;
    struct text out;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json;
    struct error err;

    (void)state;
    text_init(&out, 1 << 20);
    world_init(&w, 2, 3);
    world_say(&w, 0, 70);
    world_lose(&w, 1, SAMPLE_FAILED);
    world_poll(&w, 0);
    decision_write_json(&w.d, &words, &out);
    assert_true(tree_read_json(out.bytes, out.length, false, arena, &json, &err));
    assert_string_equal(tree_string(tree_get(json, "reason")), "rate-limited");
    assert_string_equal(tree_string(tree_at(json, "inputs.1.state")), "failed");
    assert_string_equal(tree_string(tree_at(json, "inputs.0.name")), "queue");
    assert_string_equal(tree_string(tree_at(json, "steps.0.step")), "current");
    assert_int_equal(tree_count(tree_get(json, "steps")), w.d.step_count);
    text_done(&out);
    arena_free(arena);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_chain_is_noticed),    cmocka_unit_test(packed_is_small_and_whole),
        cmocka_unit_test(the_same_to_a_person),         cmocka_unit_test(summaries),
        cmocka_unit_test(held_says_missing_until_when), cmocka_unit_test(numbers_are_readable),
        cmocka_unit_test(every_sentence_is_filled),     cmocka_unit_test(json_is_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

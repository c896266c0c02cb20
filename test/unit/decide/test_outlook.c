/*
 * What it would take: edges that are edges, in both directions of a value, at once and after a while; and what is said of them. The last
 * two tests hold every edge of random rules against brute force, which polls as a running Weir would.
 */
#include "world.h"

#include <stdio.h>

#include "decide/outlook.h"

static const char *const names[] = {"requests", "users", "queue", "rate"};

static struct decide_facts facts_of(const struct world *w)
{
    return (struct decide_facts){.now_ms = w->now_ms,
                                 .replicas = w->replicas,
                                 .status_replicas = w->replicas,
                                 .ready_replicas = w->ready < 0 ? w->replicas : w->ready,
                                 .samples = w->samples,
                                 .good_at_ms = w->good_at_ms};
}

static void look(struct world *w, struct outlook *o)
{
    struct decide_facts facts = facts_of(w);

    if (!w->memory)
        w->memory = decide_memory_new(&w->rules);
    decide_outlook(&w->rules, &facts, w->memory, OUTLOOK_DECISIONS_MAX, o);
}

static void assert_edge(const struct outlook_edge *edge, double value, bool above, bool at, int32_t replicas)
{
    assert_true(edge->known);
    assert_true(fabs(edge->value - value) <= fabs(value) * 1e-6);
    assert_int_equal(edge->above, above);
    assert_int_equal(edge->at, at);
    assert_int_equal(edge->replicas, replicas);
}

/* ------------------------------------------------------------------ sentences */

struct heard {
    char text[2000];
};

static void hear(void *arg, const char *sentence)
{
    struct heard *heard = arg;
    size_t length = strlen(heard->text);

    snprintf(heard->text + length, sizeof(heard->text) - length, "%s%s", length > 0 ? "\n" : "", sentence);
}

static void assert_said(struct world *w, const char *expected)
{
    struct decision_names called = {.triggers = names, .trigger_count = w->rules.trigger_count};
    struct heard heard = {""};
    struct outlook o;

    look(w, &o);
    outlook_write_sentences(&o, &called, hear, &heard);
    assert_string_equal(heard.text, expected);
}

/* ------------------------------------------------------------------ edges */

/* 170 of 60 each is three, within the tolerance; more than 10 % above 180 is a fourth. */
static void a_value_rises_and_falls(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.triggers[0].target = 60;
    world_say(&w, 0, 170);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_int_equal(o.now, 3);
    assert_int_equal(o.at_ms, 0);
    assert_true(o.triggers[0].asked);
    assert_edge(&o.triggers[0].up, 198, true, false, 4);
    assert_int_equal(o.triggers[0].up.after_ms, 0);
    assert_edge(&o.triggers[0].down, 120, false, true, 2);
    assert_int_equal(o.triggers[0].down.after_ms, 300001);
    assert_int_equal(o.triggers[0].down.why, STEP_STABILIZED_DOWN);
    assert_said(&w, "requests above 198 would make it 4 (now 3)\n"
                    "requests at 120 or below for 5 min would make it 2 (now 3), when the stabilization window ends");
    world_done(&w);
}

static void at_zero_it_is_the_activation(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 2, 0);
    w.triggers[0].activation = 5;
    w.triggers[1].activation = 2.5;
    world_say(&w, 0, 0);
    world_say(&w, 1, 1);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_int_equal(o.now, 0);
    assert_edge(&o.triggers[0].up, 5, true, false, 1);
    assert_edge(&o.triggers[1].up, 2.5, true, false, 1);
    assert_false(o.triggers[0].down.known);
    assert_false(o.triggers[1].down.known);
    assert_said(&w, "requests above 5 would make it 1 (now 0)\nusers above 2.5 would make it 1 (now 0)");
    world_done(&w);
}

/* The value of a formula may fall where its trigger rises; and a name that it does not use is not asked for. */
static void a_formula_turns_it_round(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 2, 4);
    world_formula(&w, "1200 / requests", names);
    w.rules.formula_target = 10;
    world_say(&w, 0, 30);
    world_say(&w, 1, 7);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_int_equal(o.now, 4);
    assert_true(o.triggers[0].up.known && !o.triggers[0].up.above && o.triggers[0].up.replicas == 5);
    assert_true(fabs(o.triggers[0].up.value - 1200.0 / 44) < 1e-4);
    assert_true(o.triggers[0].down.known && o.triggers[0].down.above);
    assert_true(fabs(o.triggers[0].down.value - 40) < 1e-6);
    assert_int_equal(o.triggers[0].down.replicas, 3);
    assert_false(o.triggers[1].asked);
    assert_false(o.triggers[1].up.known);
    world_done(&w);
}

static void a_condition_has_its_edge_where_it_stands(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 2, 0);
    world_formula(&w, "requests >= 5000 && users < 12.5 ? 1 : 0", names);
    w.rules.formula_activation = 1;
    w.rules.formula_activation_inclusive = true;
    world_say(&w, 0, 4100);
    world_say(&w, 1, 3);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_edge(&o.triggers[0].up, 5000, true, true, 1);
    assert_false(o.triggers[1].up.known);
    world_say(&w, 0, 6000);
    world_say(&w, 1, 13);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_false(o.triggers[0].up.known);
    assert_edge(&o.triggers[1].up, 12.5, false, false, 1);
    assert_said(&w, "users below 12.5 would make it 1 (now 0)");
    world_done(&w);
}

/* No value at all: nothing is taken away. With any value something may be. */
static void a_failed_sample_is_held(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.downscale_stabilization_ms = 0;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_int_equal(o.now, 3);
    assert_edge(&o.triggers[0].up, 33, true, false, 4);
    assert_edge(&o.triggers[0].down, 20, false, true, 2);
    world_done(&w);
}

static void a_fallback_is_left_by_a_value(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.downscale_stabilization_ms = 0;
    w.rules.has_fallback = true;
    w.rules.fallback_threshold = 1;
    w.rules.fallback_replicas = 6;
    world_lose(&w, 0, SAMPLE_FAILED);
    world_poll_for(&w, 60000, 15000);
    look(&w, &o);
    assert_int_equal(o.now, 6);
    assert_edge(&o.triggers[0].up, 66, true, false, 7);
    assert_edge(&o.triggers[0].down, 50, false, true, 5);
    world_done(&w);
}

static void a_paused_object_stays(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 3);
    w.rules.paused = true;
    world_say(&w, 0, 500);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_true(o.paused);
    assert_false(o.triggers[0].up.known || o.triggers[0].down.known);
    assert_said(&w, "the object is paused: nothing changes before it is resumed");
    world_done(&w);
}

static void what_cannot_be_read_has_no_outlook(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, -1);
    world_say(&w, 0, 500);
    look(&w, &o);
    assert_int_equal(o.now, -1);
    assert_false(o.triggers[0].up.known || o.triggers[0].down.known || o.at_ms != 0);
    world_done(&w);
}

static void time_alone(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 6);
    world_say(&w, 0, 60);
    world_poll(&w, 15000);
    world_say(&w, 0, 20);
    world_poll(&w, 30000);
    look(&w, &o);
    assert_int_equal(o.now, 6);
    assert_int_equal(o.at_ms, WORLD_START_MS + 15000 + 300001);
    assert_int_equal(o.then, 2);
    assert_int_equal(o.why, STEP_STABILIZED_DOWN);
    assert_false(o.triggers[0].down.known); /* time will do it */
    assert_edge(&o.triggers[0].up, 66, true, false, 7);
    assert_said(&w, "with the values of now nothing changes before 2026-01-01T00:05:15Z, when the stabilization window "
                    "ends: then 2 "
                    "(now 6)\nrequests above 66 would make it 7 (now 6)");
    world_done(&w);
}

static void the_cooldown_ends(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    world_say(&w, 0, 5);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_edge(&o.triggers[0].down, 0, false, true, 0);
    assert_int_equal(o.triggers[0].down.after_ms, 300001);
    assert_int_equal(o.triggers[0].down.why, STEP_COOLDOWN);
    assert_said(&w, "requests above 11 would make it 2 (now 1)\nrequests at 0 for 5 min would make it 0 (now 1), when "
                    "the cooldown ends");
    world_say(&w, 0, 0);
    world_poll(&w, 60000);
    look(&w, &o);
    assert_int_equal(o.at_ms, WORLD_START_MS + 15000 + 300001);
    assert_int_equal(o.then, 0);
    assert_int_equal(o.why, STEP_COOLDOWN);
    world_done(&w);
}

static void bounds_are_said(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    w.rules.max = w.rules.min = 4;
    world_say(&w, 0, 500);
    world_poll(&w, 15000);
    assert_said(&w, "4 is the maximum: nothing makes it more\n4 is the minimum: nothing makes it fewer");
    w.rules.max = 10;
    w.replicas = 10;
    w.triggers[0].kind = METRIC_CPU;
    world_poll(&w, 15000);
    assert_said(&w,
                "10 is the maximum: nothing makes it more\nno value of one trigger alone would make it fewer than 10");
    world_done(&w);
}

/* The new answer joins those that the formula looks back at. */
static void history_takes_the_value_in(void **state)
{
    struct series *series[1] = {series_new(10 * MINUTE_MS, 100)};
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 1);
    world_formula(&w, "avg_over(requests, \"1m\")", names);
    w.rules.formula_target = 10;
    world_say(&w, 0, 10);
    w.samples[0].at_ms = w.good_at_ms[0] = w.now_ms;
    series_add(series[0], &w.samples[0]);
    w.now_ms += 15000;
    struct decide_facts facts = facts_of(&w);
    facts.series = series;
    w.memory = decide_memory_new(&w.rules);
    decide_outlook(&w.rules, &facts, w.memory, OUTLOOK_DECISIONS_MAX, &o);
    assert_edge(&o.triggers[0].up, 12, true, false, 2); /* (10 + 12) / 2 = 11 */
    assert_int_equal(series_count(series[0]), 1);
    series_free(series[0]);
    world_done(&w);
}

static void hpa_mode_switches_on_and_off(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 1, 0);
    w.rules.mode = DECIDE_HPA;
    world_say(&w, 0, 0);
    world_poll(&w, 15000);
    look(&w, &o);
    assert_edge(&o.triggers[0].up, 0, true, false, 1);
    assert_said(&w, "requests above 0 would make it 1 (now 0)\nhow many run, once there are any, is left to the "
                    "HorizontalPodAutoscaler");
    world_done(&w);
}

static void what_is_not_paid_for_is_not_tried(void **state)
{
    struct outlook o;
    struct world w;

    (void)state;
    world_init(&w, 2, 3);
    world_say(&w, 0, 30);
    world_say(&w, 1, 30);
    world_poll(&w, 15000);
    struct decide_facts facts = facts_of(&w);
    for (uint32_t budget = 0; budget < 2000; budget += 7) {
        decide_outlook(&w.rules, &facts, w.memory, budget, &o);
        assert_true(o.cut || budget > 100);
        if (o.triggers[0].up.known)
            assert_edge(&o.triggers[0].up, 33, true, false, 4);
    }
    assert_false(o.cut);
    world_done(&w);
}

/* ------------------------------------------------------------------ against brute force */

enum { HORIZON_MS = 1300 * 1000, POLL_MS = 5000 };

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

/* -1, 0, 1: fewer, the same, more than now, as the first other decision says while everybody goes on giving the same answers. */
static int direction_of(const struct world *w, int trigger, double value, int32_t now, bool *at_once)
{
    struct decide_memory *memory = decide_memory_copy(w->memory);
    struct decide_facts facts = facts_of(w);
    struct sample samples[WORLD_TRIGGERS_MAX];
    int64_t good[WORLD_TRIGGERS_MAX];
    struct decision d = {.after = now};

    memcpy(samples, w->samples, sizeof(samples));
    memcpy(good, w->good_at_ms, sizeof(good));
    if (trigger >= 0)
        samples[trigger] = (struct sample){.state = SAMPLE_OK, .value = value};
    facts.samples = samples;
    facts.good_at_ms = good;
    *at_once = true;
    for (int64_t after = 0; after <= HORIZON_MS && d.after == now; after += POLL_MS) {
        facts.now_ms = w->now_ms + after;
        for (int i = 0; i < w->rules.trigger_count; i++)
            if (samples[i].state == SAMPLE_OK && (after > 0 || i == trigger))
                samples[i].at_ms = good[i] = facts.now_ms;
        decide(&w->rules, &facts, memory, false, &d);
        *at_once = after == 0;
    }
    decide_memory_free(memory);
    return d.after < now ? -1 : d.after > now;
}

static void any_rules(uint64_t *seed, struct world *w)
{
    static const char *const formulas[] = {"requests + 2 * users",
                                           "requests * 100 / (users + 1)",
                                           "requests > 40 ? users : 0",
                                           "max(requests, 300 - users)",
                                           "requests >= 20 && users < 70 ? 1 : 0",
                                           "clamp(requests - users, 0, 90)",
                                           "(requests ?? 35) + users",
                                           "requests * replicas / 4",
                                           "500 / (requests + 1) + users"};

    world_init(w, 2, (int32_t)below(seed, 9));
    w->rules.min = (int32_t)below(seed, 3);
    w->rules.max = 3 + (int32_t)below(seed, 20);
    w->rules.idle = below(seed, 5) == 0 ? 0 : -1;
    w->rules.cooldown_ms = (int64_t)below(seed, 4) * 100 * SECOND_MS;
    w->rules.downscale_stabilization_ms = (int64_t)below(seed, 4) * 100 * SECOND_MS;
    w->rules.missing_hold_ms = (int64_t)below(seed, 3) * 200 * SECOND_MS;
    w->rules.has_fallback = below(seed, 3) == 0;
    w->rules.fallback_threshold = (int32_t)below(seed, 3);
    w->rules.fallback_replicas = (int32_t)below(seed, 9);
    w->rules.paused_scale_in = below(seed, 8) == 0;
    w->rules.paused_scale_out = below(seed, 8) == 0;
    w->rules.force_activation = below(seed, 8) == 0;
    w->rules.mode = below(seed, 6) == 0 ? DECIDE_HPA : DECIDE_DIRECT;
    scaling_behavior_default(&w->behavior);
    w->behavior.down.window_s = (int32_t)below(seed, 3) * 60;
    w->behavior.up.window_s = (int32_t)below(seed, 3) * 60;
    w->rules.behavior = below(seed, 2) ? &w->behavior : NULL;
    for (int i = 0; i < 2; i++) {
        w->triggers[i].target = 1 + below(seed, 50);
        w->triggers[i].activation = below(seed, 3) == 0 ? below(seed, 30) : 0;
        w->triggers[i].target_type = below(seed, 3) == 0 ? TARGET_VALUE : TARGET_AVERAGE_VALUE;
    }
    if (below(seed, 3) == 0)
        return;
    world_formula(w, formulas[below(seed, 9)], names);
    w->rules.formula_target = w->rules.mode == DECIDE_HPA || below(seed, 4) ? 1 + below(seed, 40) : 0;
    w->rules.formula_activation = below(seed, 3) ? 0 : below(seed, 20);
}

static void any_past(uint64_t *seed, struct world *w)
{
    for (int polls = 1 + (int)below(seed, 6); polls > 0; polls--) {
        for (int i = 0; i < 2; i++) {
            world_say(w, i, below(seed, 120) / (below(seed, 2) ? 1.0 : 7.0));
            if (below(seed, 6) == 0)
                world_lose(w, i, below(seed, 2) ? SAMPLE_MISSING : SAMPLE_FAILED);
        }
        world_poll(w, 15000 + (int64_t)below(seed, 90) * SECOND_MS);
    }
    w->now_ms += 5000;
}

/* Right behind the edge it is so, right before it is not. */
static void check_edge(const struct world *w, const struct outlook *o, int trigger, const struct outlook_edge *edge,
                       int wanted)
{
    double hair = fmax(fabs(edge->value), 1e-3) * 1e-5 * (edge->above ? 1 : -1), behind = edge->value + hair;
    bool at_once;

    if (!edge->known)
        return;
    if (behind < 0) /* nothing is tried there */
        behind = edge->value;
    assert_int_equal(direction_of(w, trigger, behind, o->now, &at_once), wanted);
    assert_true(at_once == (edge->after_ms == 0) || edge->any);
    assert_int_equal(edge->replicas > o->now ? 1 : -1, wanted);
    bool meets = direction_of(w, trigger, edge->value, o->now, &at_once) == wanted && at_once == (edge->after_ms == 0);
    assert_int_equal(meets, edge->at);
    if (edge->any)
        return;
    bool before = direction_of(w, trigger, edge->value - hair, o->now, &at_once) == wanted;
    assert_false(before && (at_once || o->at_ms == 0 || (o->then > o->now ? 1 : -1) != wanted));
}

static void every_edge_is_one(void **state)
{
    int edges = 0, waiting = 0, timed = 0;

    (void)state;
    for (uint64_t run = 1; run <= 600; run++) {
        uint64_t seed = run * 0x9E3779B97F4A7C15u;
        struct outlook o;
        struct world w;
        bool at_once;

        any_rules(&seed, &w);
        any_past(&seed, &w);
        look(&w, &o);
        assert_false(o.cut);
        assert_int_equal(direction_of(&w, -1, 0, o.now, &at_once), o.at_ms == 0 ? 0 : o.then > o.now ? 1 : -1);
        timed += o.at_ms != 0;
        for (int i = 0; i < 2; i++) {
            check_edge(&w, &o, i, &o.triggers[i].up, 1);
            check_edge(&w, &o, i, &o.triggers[i].down, -1);
            edges += o.triggers[i].up.known + o.triggers[i].down.known;
            waiting += o.triggers[i].up.after_ms > 0 || o.triggers[i].down.after_ms > 0;
        }
        world_done(&w);
    }
    assert_true(edges > 500 && waiting > 50 && timed > 50); /* or it would test little */
}

/* Where the outcome only rises with the value, the edge is the nearest there is: on a grid nothing else is found. */
static void no_edge_is_passed_over(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 120; run++) {
        uint64_t seed = run * 0xD1342543DE82EF95u;
        struct outlook o;
        struct world w;
        bool at_once;

        any_rules(&seed, &w);
        formula_unref(w.rules.formula);
        w.rules.formula = NULL;
        any_past(&seed, &w);
        look(&w, &o);
        for (double value = 0; value < 400; value += 3.7) {
            for (int i = 0; i < 2 && w.samples[i].state == SAMPLE_OK; i++) {
                const struct outlook_trigger *t = &o.triggers[i];
                int is = direction_of(&w, i, value, o.now, &at_once);

                if (o.at_ms != 0 && !at_once)
                    continue;
                if (is > 0)
                    assert_true(t->up.known && (t->up.above ? value >= t->up.value : value <= t->up.value));
                if (is < 0)
                    assert_true(t->down.known && (t->down.above ? value >= t->down.value : value <= t->down.value));
            }
        }
        world_done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_rises_and_falls),
        cmocka_unit_test(at_zero_it_is_the_activation),
        cmocka_unit_test(a_formula_turns_it_round),
        cmocka_unit_test(a_condition_has_its_edge_where_it_stands),
        cmocka_unit_test(a_failed_sample_is_held),
        cmocka_unit_test(a_fallback_is_left_by_a_value),
        cmocka_unit_test(a_paused_object_stays),
        cmocka_unit_test(what_cannot_be_read_has_no_outlook),
        cmocka_unit_test(time_alone),
        cmocka_unit_test(the_cooldown_ends),
        cmocka_unit_test(bounds_are_said),
        cmocka_unit_test(history_takes_the_value_in),
        cmocka_unit_test(hpa_mode_switches_on_and_off),
        cmocka_unit_test(what_is_not_paid_for_is_not_tried),
        cmocka_unit_test(every_edge_is_one),
        cmocka_unit_test(no_edge_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

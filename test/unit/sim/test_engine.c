/* The two engines on values from anywhere: moments of their tasks, what they make of failures, and that every decision is a closed chain. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"
#include "sim/engine.h"

#define START_AT_MS INT64_C(1700000000000)
enum { TRIGGERS = 3, LOG_MAX = 4000 };

struct entry {
    int64_t at_ms;
    int32_t before, after;
    enum decision_reason reason;
};
struct stand { /* a world by hand */
    struct decide_rules rules;
    struct decide_trigger triggers[TRIGGERS];
    struct sample (*say)(int64_t at_ms, uint16_t trigger);
    int32_t replicas, ready; /* ready: -1: all */
    struct decision last;
    struct entry log[LOG_MAX];
    size_t count, reads;
};

static void on_read(void *arg, int64_t at_ms, struct sample *samples)
{
    struct stand *stand = arg;

    stand->reads++;
    for (uint16_t i = 0; i < stand->rules.trigger_count; i++)
        samples[i] = stand->say(at_ms, i);
}

static void on_counts(void *arg, struct sim_engine_counts *out)
{
    struct stand *stand = arg;

    *out =
        (struct sim_engine_counts){stand->replicas, stand->replicas, stand->ready < 0 ? stand->replicas : stand->ready};
}

static bool is_finite(const struct decision *d)
{
    for (uint16_t i = 0; i < d->step_count; i++)
        if (!isfinite(d->steps[i].measured) || !isfinite(d->steps[i].limit))
            return false;
    return true;
}

static void on_decided(void *arg, const struct decision *d, const struct sample *samples)
{
    struct stand *stand = arg;

    (void)samples;
    assert_true(decision_is_closed(d));
    assert_true(is_finite(d));
    assert_int_equal(d->before, stand->replicas);
    assert_int_equal(d->write, d->after != d->before);
    assert_true(stand->count < LOG_MAX);
    stand->log[stand->count++] = (struct entry){d->at_ms - START_AT_MS, d->before, d->after, d->reason};
    stand->last = *d;
    stand->replicas = d->after;
}

static struct stand stand_of(struct sample (*say)(int64_t, uint16_t), uint16_t triggers)
{
    struct stand stand = {.say = say, .replicas = 1, .ready = -1};

    for (int i = 0; i < TRIGGERS; i++)
        stand.triggers[i] = (struct decide_trigger){.target = 10, .formula_name = -1};
    stand.rules = (struct decide_rules){.min = 1,
                                        .max = 20,
                                        .idle = -1,
                                        .cooldown_ms = 300000,
                                        .created_at_ms = START_AT_MS,
                                        .trigger_count = triggers,
                                        .tolerance = 0.1,
                                        .downscale_stabilization_ms = 300000,
                                        .missing_hold_ms = 1800000,
                                        .cpu_initialization_ms = 300000,
                                        .readiness_delay_ms = 30000};
    return stand;
}

static void play(struct stand *stand, enum sim_engine_kind kind, int64_t scrape_ms, int64_t until_ms)
{
    stand->rules.triggers = stand->triggers;
    struct sim_engine *engine =
        sim_engine_new(&(struct sim_engine_options){.kind = kind,
                                                    .rules = &stand->rules,
                                                    .world = {stand, on_read, on_counts, on_decided},
                                                    .start_at_ms = START_AT_MS,
                                                    .scrape_ms = scrape_ms,
                                                    .scrape_offset_ms = SIM_ENGINE_SCRAPE_OFFSET_MS});

    for (int64_t at; (at = sim_engine_next_ms(engine)) <= until_ms;)
        sim_engine_play(engine, at);
    sim_engine_free(engine);
}

static struct sample ok(double value)
{
    return (struct sample){.state = SAMPLE_OK, .value = value};
}

static struct formula *compiled(const char *text)
{
    static const char *const names[] = {"a", "b", "c"};
    struct formula_error err;
    struct formula *formula = formula_compile(
        text, strlen(text),
        &(struct formula_options){.names = names, .name_count = TRIGGERS, .wrap = FORMULA_WRAP_KEDA}, &err);

    if (!formula)
        fail_msg("%s", err.text);
    return formula;
}

static void use_formula(struct stand *stand, const char *text, double target)
{
    stand->rules.formula = compiled(text);
    stand->rules.formula_target = target;
    for (int i = 0; i < TRIGGERS; i++)
        stand->triggers[i].formula_name = i;
}

/* ------------------------------------------------------------------ moments */

static struct sample say_time(int64_t at_ms, uint16_t trigger)
{
    (void)trigger;
    return ok((double)at_ms / 1000);
}

static void tasks_have_their_moments(void **state)
{
    static const struct {
        enum sim_engine_kind kind;
        int64_t scrape_ms;
        size_t reads, decisions; /* in the first minute, its end included */
    } rows[] = {
        {SIM_ENGINE_WEIR, 0, 13, 13},
        {SIM_ENGINE_KEDA_HPA, 15000, 5, 3 + 5}, /* read at 0, 7, 22, 37, 52; polls at 0, 30, 60; syncs every 15 s */
        {SIM_ENGINE_KEDA_HPA, 0, 3 + 5, 3 + 5}, /* nobody scrapes: each asks */
        {SIM_ENGINE_KEDA_HPA, 60000, 2, 3 + 5}, /* at 0 and 7 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stand stand = stand_of(say_time, 1);

        play(&stand, rows[i].kind, rows[i].scrape_ms, 60000);
        assert_int_equal(stand.reads, rows[i].reads);
        assert_int_equal(stand.count, rows[i].decisions);
    }
}

/* With a scrape every 15 s from 7 s on, the sync at 30 s knows what was at 22 s. */
static void between_scrapes_the_old_value_counts(void **state)
{
    struct stand stand = stand_of(say_time, 1);

    (void)state;
    play(&stand, SIM_ENGINE_KEDA_HPA, 15000, 30000);
    assert_true(stand.last.inputs[0].value == 22);
    assert_int_equal(stand.last.inputs[0].age_ms, 8000);
    assert_int_equal(stand.replicas, 3);
}

/* ------------------------------------------------------------------ what values do */

static struct sample say_constant(int64_t at_ms, uint16_t trigger)
{
    (void)at_ms;
    return ok(trigger == 0 ? 42 : trigger == 1 ? 65 : 10);
}

static void constant_values_give_constant_counts(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct stand stand = stand_of(say_constant, 3);

        play(&stand, (enum sim_engine_kind)kind, 0, 3600000);
        assert_int_equal(stand.replicas, 7); /* the greatest of 4.2, 6.5 and 1 wins */
        for (size_t i = 20; i < stand.count; i++) {
            assert_int_equal(stand.log[i].before, stand.log[i].after);
            assert_int_equal(stand.log[i].reason, REASON_STEADY);
        }
        assert_int_equal(stand.last.inputs[1].proposal, 7);
    }
}

static struct sample say_then_nothing(int64_t at_ms, uint16_t trigger)
{
    (void)trigger;
    return at_ms < 60000 ? ok(100) : (struct sample){.state = SAMPLE_MISSING};
}

static struct sample say_then_fail(int64_t at_ms, uint16_t trigger)
{
    (void)trigger;
    return at_ms < 60000 ? ok(100) : (struct sample){.state = SAMPLE_FAILED};
}

/* What a switch changes: no data is 0 to KEDA, and what Weir holds for half an hour is gone after the window. A failure holds in both. */
static void no_data_is_not_the_same_to_both(void **state)
{
    static const struct {
        struct sample (*say)(int64_t, uint16_t);
        enum sim_engine_kind kind;
        int32_t after_20_min;
    } rows[] = {{say_then_nothing, SIM_ENGINE_WEIR, 10},
                {say_then_nothing, SIM_ENGINE_KEDA_HPA, 1},
                {say_then_fail, SIM_ENGINE_WEIR, 10},
                {say_then_fail, SIM_ENGINE_KEDA_HPA, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stand stand = stand_of(rows[i].say, 1);

        play(&stand, rows[i].kind, 0, 1200000);
        assert_int_equal(stand.replicas, rows[i].after_20_min);
    }
}

static void fallback_asks_after_its_threshold(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct stand stand = stand_of(say_then_fail, 1);
        bool seen = false;

        stand.rules.has_fallback = true;
        stand.rules.fallback_replicas = 15;
        stand.rules.fallback_threshold = 3;
        play(&stand, (enum sim_engine_kind)kind, 0, 1200000);
        assert_int_equal(stand.replicas, 15);
        for (size_t i = 0; i < stand.count; i++)
            seen |= stand.log[i].reason == REASON_FALLBACK && stand.log[i].after == 15;
        assert_true(seen);
    }
}

static struct sample say_zero(int64_t at_ms, uint16_t trigger)
{
    (void)at_ms;
    (void)trigger;
    return ok(0);
}

/* 1/0 is a failure to Weir and holds; KEDA hands 0 on, and the fleet goes to its minimum once the window is over. */
static void a_division_by_zero_is_zero_to_keda(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct stand stand = stand_of(say_zero, 3);

        use_formula(&stand, "1 / (a / b)", 0.5);
        stand.replicas = 8;
        play(&stand, (enum sim_engine_kind)kind, 0, 1200000);
        assert_int_equal(stand.replicas, kind == SIM_ENGINE_WEIR ? 8 : 1);
        formula_unref(stand.rules.formula);
    }
}

/* Activation looks at what is handed on: 4.0004 is 4.000, which is not above 4. */
static struct sample say_a_hair(int64_t at_ms, uint16_t trigger)
{
    (void)at_ms;
    (void)trigger;
    return ok(4.0004);
}

static void keda_cuts_before_it_compares(void **state)
{
    struct stand stand = stand_of(say_a_hair, 3);

    (void)state;
    use_formula(&stand, "a", 1);
    stand.rules.min = 0;
    stand.rules.formula_activation = 4;
    stand.replicas = 0;
    play(&stand, SIM_ENGINE_KEDA_HPA, 0, 300000);
    assert_int_equal(stand.replicas, 0);
    formula_unref(stand.rules.formula);
}

static struct sample say_busy_then_idle(int64_t at_ms, uint16_t trigger)
{
    (void)trigger;
    return ok(at_ms < 100000 ? 80 : 0);
}

static void zero_comes_after_the_cooldown_and_ends_at_a_poll(void **state)
{
    struct stand stand = stand_of(say_busy_then_idle, 1);
    int64_t zero_at_ms = -1;

    (void)state;
    stand.rules.min = 0;
    stand.rules.cooldown_ms = 60000;
    stand.replicas = 0;
    play(&stand, SIM_ENGINE_KEDA_HPA, 0, 600000);
    assert_int_equal(stand.log[0].after, 1); /* the poll wakes it, the sync of the same instant goes on */
    assert_int_equal(stand.log[1].after, 4); /* at most 4 where behavior is absent */
    for (size_t i = 0; i < stand.count && zero_at_ms < 0; i++)
        if (stand.log[i].after == 0)
            zero_at_ms = stand.log[i].at_ms;
    assert_int_equal(zero_at_ms, 180000); /* last active at 90 s: 150 is not later than 90 + 60 */
    assert_int_equal(stand.replicas, 0);
}

static struct sample say_cpu(int64_t at_ms, uint16_t trigger)
{
    (void)at_ms;
    (void)trigger;
    return ok(150);
}

/* Utilization in percent of each ready pod; pods that have just started are left out, as the HPA does. */
static void cpu_is_utilization(void **state)
{
    struct stand stand = stand_of(say_cpu, 1);

    (void)state;
    stand.triggers[0] = (struct decide_trigger){
        .kind = METRIC_CPU, .target_type = TARGET_UTILIZATION, .target = 50, .formula_name = -1};
    stand.replicas = 2;
    play(&stand, SIM_ENGINE_KEDA_HPA, 0, 0);
    assert_int_equal(stand.last.wished, 6);
    assert_int_equal(stand.replicas, 4); /* at most 4 where behavior is absent */
    assert_true(stand.last.inputs[0].value == 150);
    assert_int_equal(stand.last.inputs[0].state, SAMPLE_OK);
}

/* ------------------------------------------------------------------ limits and pauses */

static void bounds_and_pauses_hold(void **state)
{
    static const struct {
        int32_t replicas, expected;
        bool in, out, paused;
        int32_t paused_at; /* -1: none */
    } rows[] = {
        {30, 20, false, false, false, -1}, /* above the maximum */
        {12, 12, true, false, false, -1},  /* 42 asks for 5, and nothing may go */
        {2, 2, false, true, false, -1},    /* nothing may come */
        {3, 3, false, false, true, -1},    /* nothing may happen */
        {3, 9, false, false, false, 9},    /* nothing but this */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stand stand = stand_of(say_constant, 1);

        stand.replicas = rows[i].replicas;
        stand.rules.paused_scale_in = rows[i].in;
        stand.rules.paused_scale_out = rows[i].out;
        stand.rules.paused = rows[i].paused;
        stand.rules.has_paused_replicas = rows[i].paused_at >= 0;
        stand.rules.paused_replicas = rows[i].paused_at;
        play(&stand, SIM_ENGINE_KEDA_HPA, 0, rows[i].replicas > 20 ? 0 : 900000);
        assert_int_equal(stand.replicas, rows[i].expected);
    }
}

/* ------------------------------------------------------------------ whatever sources do */

static uint64_t noise = 1;

static struct sample say_anything(int64_t at_ms, uint16_t trigger)
{
    static const double odd[] = {0, -5, 1e300, NAN, INFINITY, -INFINITY, 0.0001, 12};

    (void)at_ms;
    noise = noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407) + trigger;
    return (struct sample){.state = (enum sample_state)(noise >> 33 & 3), .value = odd[noise >> 40 & 7]};
}

/* on_decided looks at every one. */
static void whatever_is_said_decisions_are_closed(void **state)
{
    static const char *const formulas[] = {NULL, "a / b", "a > 3 ? b : c", "(a ?? 2) * (b ?? 0)"};

    (void)state;
    for (size_t f = 0; f < sizeof(formulas) / sizeof(formulas[0]); f++)
        for (int kind = 0; kind < 2; kind++) {
            struct stand stand = stand_of(say_anything, 3);

            if (formulas[f])
                use_formula(&stand, formulas[f], 0.3);
            stand.rules.min = (int32_t)f % 2;
            stand.rules.has_fallback = f % 3 == 0;
            stand.rules.fallback_replicas = 4;
            stand.ready = 0;
            play(&stand, (enum sim_engine_kind)kind, 0, 3000000);
            assert_in_range(stand.replicas, 0, 20);
            formula_unref(stand.rules.formula);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_have_their_moments),
        cmocka_unit_test(between_scrapes_the_old_value_counts),
        cmocka_unit_test(constant_values_give_constant_counts),
        cmocka_unit_test(no_data_is_not_the_same_to_both),
        cmocka_unit_test(fallback_asks_after_its_threshold),
        cmocka_unit_test(a_division_by_zero_is_zero_to_keda),
        cmocka_unit_test(keda_cuts_before_it_compares),
        cmocka_unit_test(zero_comes_after_the_cooldown_and_ends_at_a_poll),
        cmocka_unit_test(cpu_is_utilization),
        cmocka_unit_test(bounds_and_pauses_hold),
        cmocka_unit_test(whatever_is_said_decisions_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

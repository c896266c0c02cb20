/*
 * test_properties: what must hold for every policy of a kind, tried on random ones. Each test runs so many policies on the simulation; the seed
 * and the policy of whatever fails are printed.
 *
 *     test_properties            SEEDS of each kind
 *     test_properties COUNT      so many
 *
 *     constant input, constant output        what a source says stays as it is: in the end nothing moves any more
 *     failures do not make it oscillate      a source tells one value, and now and then nothing or not at all: replicas go one way only
 *     more demand, no fewer replicas         two runs of one policy from one start: whoever has more to do never has fewer at any moment
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "sim/input.h"
#include "sim/simulation.h"

enum { SEEDS = 120, TRIGGERS = 2, MOVES_MAX = 4096, POLICY_MAX_BYTES = 16 * 1024 };

static uint64_t seeds = SEEDS;

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *dice, uint64_t sides)
{
    uint64_t z = dice->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % sides;
}

/* ------------------------------------------------------------------ policies */

struct kind {
    bool
        by_value; /* metricType: Value may be drawn: the value is that of one pod, and does not depend on how many there are */
    bool behavior; /* windows and policies may be drawn */
    bool exact;    /* tolerance 0 */
};

static void write_direction(struct dice *dice, const char *name, bool exact, struct text *out)
{
    static const int windows[] = {0, 30, 120, 300};

    text_printf(out, "        %s:\n          stabilizationWindowSeconds: %d\n", name, windows[roll(dice, 4)]);
    if (exact)
        text_add(out, "          tolerance: \"0\"\n");
    else if (roll(dice, 2))
        text_printf(out, "          policies: [{type: %s, value: %d, periodSeconds: %d}]\n",
                    roll(dice, 2) ? "Pods" : "Percent", 1 + (int)roll(dice, 100), 15 + (int)roll(dice, 60));
}

static void write_advanced(struct dice *dice, const struct kind *kind, struct text *out)
{
    static const char *const formulas[] = {"t0",      "t0 / 2 + t1",           "max(t0, t1)",      "ceil(t0) + 2 * t1",
                                           "t0 + t1", "t0 > 5 ? t0 : t1 - t1", "min(t0, 60) + t1", "clamp(t0, 1, 80)"};
    bool formula = roll(dice, 2), behavior = kind->exact || (kind->behavior && roll(dice, 2));

    if (!formula && !behavior)
        return;
    text_add(out, "  advanced:\n");
    if (formula)
        text_printf(out, "    scalingModifiers: {formula: \"%s\", target: \"%d\", metricType: %s}\n",
                    formulas[roll(dice, 8)], 1 + (int)roll(dice, 12),
                    kind->by_value && roll(dice, 2) ? "Value" : "AverageValue");
    if (!behavior)
        return;
    text_add(out, "    horizontalPodAutoscalerConfig:\n      behavior:\n");
    write_direction(dice, "scaleUp", kind->exact, out);
    write_direction(dice, "scaleDown", kind->exact, out);
}

static void write_policy(struct dice *dice, const struct kind *kind, struct text *out)
{
    int min = (int)roll(dice, 3);

    text_printf(out,
                "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\nspec:\n"
                "  scaleTargetRef: {name: a}\n  minReplicaCount: %d\n  maxReplicaCount: %d\n  cooldownPeriod: %d\n"
                "  pollingInterval: %d\n",
                min, min + 1 + (int)roll(dice, 30), (int)roll(dice, 300), 5 + (int)roll(dice, 55));
    write_advanced(dice, kind, out);
    text_add(out, "  triggers:\n");
    for (int i = 0; i < TRIGGERS; i++)
        text_printf(
            out,
            "  - {type: metrics-api, name: t%d, metadata: {url: 'http://a/', valueLocation: v, targetValue: '%d'}}\n",
            i, 1 + (int)roll(dice, 20));
}

/* ------------------------------------------------------------------ one run */

struct track { /* replicas from an instant on */
    int64_t at_ms[MOVES_MAX];
    int32_t replicas[MOVES_MAX];
    size_t count;
};

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct track *track = arg;
    int32_t replicas = tick->decision->write ? tick->decision->after : tick->replicas;

    if (track->count > 0 && track->replicas[track->count - 1] == replicas)
        return;
    assert_true(track->count < MOVES_MAX);
    track->at_ms[track->count] = tick->at_ms;
    track->replicas[track->count++] = replicas;
}

static void play(const struct text *policy, const struct input *input, int32_t initial, int64_t duration_ms,
                 struct track *track)
{
    struct simulation_options options = {.manifest_name = "a.yaml",
                                         .manifest = policy->bytes,
                                         .manifest_length = policy->length,
                                         .input = input,
                                         .start_at_ms = INT64_C(1767571200000),
                                         .duration_ms = duration_ms,
                                         .initial = initial,
                                         .ready_after_ms = 20 * SECOND_MS,
                                         .on_tick = on_tick,
                                         .arg = track,
                                         .quick = true};
    struct error err;
    struct simulation *simulation = simulation_new(&options, NULL, &err);

    if (!simulation)
        fail_msg("%s\n%s", policy->bytes, err.text);
    track->count = 0;
    simulation_run(simulation);
    simulation_free(simulation);
}

static void say(struct input *input, int trigger, int64_t at_ms, enum input_kind kind, double value)
{
    input_add(input, trigger == 0 ? "t0" : "t1", &(struct input_value){.at_ms = at_ms, .value = value, .kind = kind});
}

static int32_t replicas_at(const struct track *track, int64_t at_ms, int32_t initial)
{
    int32_t replicas = initial;

    for (size_t i = 0; i < track->count && track->at_ms[i] <= at_ms; i++)
        replicas = track->replicas[i];
    return replicas;
}

/* ------------------------------------------------------------------ the properties */

static void constant_input_constant_output(void **state)
{
    static const struct kind kind = {.by_value = true, .behavior = true};
    static struct track track;

    (void)state;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct dice dice = {seed * 7919 + 1};
        struct input *input = input_new();
        struct text policy;

        text_init(&policy, POLICY_MAX_BYTES);
        write_policy(&dice, &kind, &policy);
        for (int t = 0; t < TRIGGERS; t++)
            say(input, t, 0, INPUT_OK, (double)roll(&dice, 200) / 2);
        play(&policy, input, (int32_t)roll(&dice, 20), 8 * HOUR_MS, &track);
        if (track.at_ms[track.count - 1] >=
            6 * HOUR_MS) /* the slowest: one pod a minute, or a window of 5 minutes a step */
            fail_msg("seed %llu: at %lld s there are %d\n%s", (unsigned long long)seed,
                     (long long)track.at_ms[track.count - 1] / 1000, track.replicas[track.count - 1], policy.bytes);
        text_done(&policy);
        input_free(input);
    }
}

/* One value, with holes in it: shorter than what is held where the source answers without one, of any length where it does not answer. Only the
   first trigger is ever missing: a formula that misses one or the other in turn is missing all the time. */
static void say_with_failures(struct dice *dice, struct input *input, int trigger, double value)
{
    static const enum input_kind kinds[] = {INPUT_FAILED, INPUT_MISSING, INPUT_STALE};

    for (int64_t at_ms = 0; at_ms < 4 * HOUR_MS;) {
        enum input_kind kind = at_ms == 0 && roll(dice, 3) ? INPUT_OK : kinds[roll(dice, 3)];

        if (trigger > 0 && kind == INPUT_MISSING)
            kind = INPUT_FAILED;
        int64_t lasts_ms = 1000 * (1 + (int64_t)roll(dice, kind == INPUT_FAILED ? 3000 : 1200));

        if (at_ms == 0 && kind == INPUT_STALE)
            kind = INPUT_OK;
        say(input, trigger, at_ms, kind, value);
        at_ms += lasts_ms;
        say(input, trigger, at_ms, INPUT_OK, value);
        at_ms +=
            1000 * (61 + (int64_t)roll(dice, roll(dice, 4) ? 60 : 1200)); /* seen by a poll, so that holes stay apart */
    }
}

static void failures_do_not_make_it_oscillate(void **state)
{
    static const struct kind kind = {.behavior = true};
    static struct track track;

    (void)state;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct dice dice = {seed * 104729 + 2};
        struct input *input = input_new();
        struct text policy;
        int ups = 0, downs = 0;
        int32_t before = (int32_t)roll(&dice, 20), initial = before;

        text_init(&policy, POLICY_MAX_BYTES);
        write_policy(&dice, &kind, &policy);
        for (int t = 0; t < TRIGGERS; t++)
            say_with_failures(&dice, input, t, 1 + (double)roll(&dice, 200) / 2);
        play(&policy, input, initial, 4 * HOUR_MS, &track);
        for (size_t i = 0; i < track.count; before = track.replicas[i++]) {
            ups += track.replicas[i] > before;
            downs += track.replicas[i] < before;
        }
        if (ups > 0 && downs > 0)
            fail_msg("seed %llu: from %d on %d times up and %d times down\n%s", (unsigned long long)seed, initial, ups,
                     downs, policy.bytes);
        text_done(&policy);
        input_free(input);
    }
}

static void never_fewer(const struct track *less, const struct track *more, int32_t initial, uint64_t seed,
                        const char *policy)
{
    for (int64_t at_ms = 0; at_ms < 2 * HOUR_MS; at_ms += SECOND_MS) {
        int32_t a = replicas_at(less, at_ms, initial), b = replicas_at(more, at_ms, initial);

        if (b < a)
            fail_msg("seed %llu at %lld s: %d with more to do, %d with less\n%s", (unsigned long long)seed,
                     (long long)at_ms / 1000, b, a, policy);
    }
}

/* Demand that stays as it is: the tolerance keeps what runs, so two courses could cross; two constants from one start cannot. */
static void more_demand_no_fewer_replicas(void **state)
{
    static const struct kind kind = {.behavior = false};
    static struct track less, more;

    (void)state;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct dice dice = {seed * 15485863 + 3};
        struct input *inputs[] = {input_new(), input_new()};
        struct text policy;
        int32_t initial = (int32_t)roll(&dice, 20);

        text_init(&policy, POLICY_MAX_BYTES);
        write_policy(&dice, &kind, &policy);
        for (int t = 0; t < TRIGGERS; t++) {
            double value = (double)roll(&dice, 160) / 2;

            say(inputs[0], t, 0, INPUT_OK, value);
            say(inputs[1], t, 0, INPUT_OK, value + (double)roll(&dice, 50) / 4);
        }
        play(&policy, inputs[0], initial, 2 * HOUR_MS, &less);
        play(&policy, inputs[1], initial, 2 * HOUR_MS, &more);
        never_fewer(&less, &more, initial, seed, policy.bytes);
        text_done(&policy);
        input_free(inputs[0]);
        input_free(inputs[1]);
    }
}

/* Without a tolerance it holds for demand of any course. */
static void more_demand_at_every_moment(void **state)
{
    static const struct kind kind = {.exact = true};
    static struct track less, more;

    (void)state;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct dice dice = {seed * 32452843 + 4};
        struct input *inputs[] = {input_new(), input_new()};
        struct text policy;
        int32_t initial = (int32_t)roll(&dice, 20);

        text_init(&policy, POLICY_MAX_BYTES);
        write_policy(&dice, &kind, &policy);
        for (int t = 0; t < TRIGGERS; t++)
            for (int64_t at_ms = 0; at_ms < 2 * HOUR_MS; at_ms += 1000 * (20 + (int64_t)roll(&dice, 600))) {
                double value = 6 + (double)roll(&dice, 160) / 2;

                say(inputs[0], t, at_ms, INPUT_OK, value);
                say(inputs[1], t, at_ms, INPUT_OK, value + (double)roll(&dice, 50) / 4);
            }
        play(&policy, inputs[0], initial, 2 * HOUR_MS, &less);
        play(&policy, inputs[1], initial, 2 * HOUR_MS, &more);
        never_fewer(&less, &more, initial, seed, policy.bytes);
        text_done(&policy);
        input_free(inputs[0]);
        input_free(inputs[1]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_input_constant_output),
        cmocka_unit_test(failures_do_not_make_it_oscillate),
        cmocka_unit_test(more_demand_no_fewer_replicas),
        cmocka_unit_test(more_demand_at_every_moment),
    };

    if (argc > 1)
        seeds = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Simulations: what feeds a trigger and what does not, the same every time, and what the loop does with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "sim/judge.h"
#include "sim/simulation.h"

#define S 1000

/* A ScaledObject of app-a with these lines below spec.triggers. */
static const char *manifest_of(char *out, size_t size, const char *spec, const char *triggers)
{
    snprintf(out, size,
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app-a}\nspec:\n"
             "  scaleTargetRef: {name: app-a}\n  minReplicaCount: 1\n  maxReplicaCount: 10\n  pollingInterval: 5\n%s"
             "  triggers:\n%s",
             spec, triggers);
    return out;
}

#define PROMETHEUS                                                                                                     \
    "  - type: prometheus\n    name: load\n    metadata: {serverAddress: http://10.0.0.1, query: up, threshold: "      \
    "\"10\"%s}\n"
#define LOAD                                                                                                           \
    "  - {type: prometheus, name: load, metadata: {serverAddress: http://10.0.0.1, query: up, threshold: \"10\"}}\n"

struct seen {
    char log[8192]; /* "5:1>3 ..." scale events */
    struct sample last;
    int64_t ticks;
    enum decision_reason reason;
    double formula;
};

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    struct seen *seen = arg;
    size_t length = strlen(seen->log);

    seen->ticks++;
    seen->last = tick->samples[0];
    seen->reason = tick->decision->reason;
    seen->formula = tick->decision->formula.number;
    if (tick->decision->after != tick->decision->before)
        snprintf(seen->log + length, sizeof(seen->log) - length, "%lld:%d>%d ", (long long)tick->at_ms / 1000,
                 tick->decision->before, tick->decision->after);
}

static struct simulation *make(const char *manifest, const struct input *input, int64_t duration_ms, struct seen *seen,
                               struct error *err)
{
    return simulation_new(&(struct simulation_options){.manifest_name = "a.yaml",
                                                       .manifest = manifest,
                                                       .manifest_length = strlen(manifest),
                                                       .input = input,
                                                       .start_at_ms = INT64_C(1772409600000),
                                                       .duration_ms = duration_ms,
                                                       .initial = 1,
                                                       .on_tick = seen ? on_tick : NULL,
                                                       .arg = seen},
                          NULL, err);
}

static void run(const char *manifest, const struct input *input, int64_t duration_ms, struct seen *seen,
                struct simulation_result *result)
{
    struct score_goals goals = SCORE_GOALS_DEFAULT;
    struct error err = {.kind = ERROR_NONE};
    struct simulation *s;

    memset(seen, 0, sizeof(*seen));
    s = make(manifest, input, duration_ms, seen, &err);
    if (!s)
        fail_msg("%s: %s", err.where, err.text);
    simulation_run(s);
    simulation_result(s, &goals, result);
    simulation_free(s);
}

static struct input *notation(const char *column, const char *values, int64_t step_ms)
{
    struct input *input = input_new();
    struct error err;

    if (!input_read_notation(input, column, values, step_ms, &err))
        fail_msg("%s", err.text);
    return input;
}

/* ------------------------------------------------------------------ feeding */

static const struct {
    const char *parameters, *values;
    enum sample_state state;
    double value;
    bool stand_in;
} fed[] = {
    {"", "5x30", SAMPLE_OK, 5, false},
    {"", "5x30 _x30", SAMPLE_MISSING, 0, false},
    {"", "5x30 failedx30", SAMPLE_FAILED, 0, false},
    {"", "5x30 NaNx30", SAMPLE_MISSING, 0, false},
    {", ignoreNullValues: \"true\"", "5x30 NaNx30", SAMPLE_OK, 0, true},
    {", ignoreNullValues: \"true\"", "5x30 _x30", SAMPLE_OK, 0, true},
    {", ignoreNullValues: \"false\"", "5x30 +Infx30", SAMPLE_FAILED, 0, false},
    {", ignoreNullValues: \"false\"", "5x30 _x30", SAMPLE_FAILED, 0, false},
};

static void a_column_feeds_the_trigger_of_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(fed) / sizeof(fed[0]); i++) {
        struct input *input = notation("load", fed[i].values, S);
        struct simulation_result result;
        struct seen seen;
        char trigger[400], manifest[2000];

        snprintf(trigger, sizeof(trigger), PROMETHEUS, fed[i].parameters);
        run(manifest_of(manifest, sizeof(manifest), "", trigger), input, -1, &seen, &result);
        if (seen.last.state != fed[i].state || seen.last.value != fed[i].value || seen.last.stand_in != fed[i].stand_in)
            fail_msg("row %zu: state %d value %g", i, (int)seen.last.state, seen.last.value);
        input_free(input);
    }
}

static void a_stale_value_grows_old(void **state)
{
    struct input *input = notation("load", "7x9 stalex50", S);
    struct simulation_result result;
    struct seen seen;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, 60 * S, &seen, &result);
    assert_int_equal(seen.last.state, SAMPLE_OK);
    assert_true(seen.last.value == 7);
    assert_int_equal(seen.last.at_ms, INT64_C(1772409600000) + 5 * S);
    input_free(input);
}

static void what_nothing_feeds_is_named(void **state)
{
    struct input *input = notation("other", "7x9", S);
    struct error err = {.kind = ERROR_NONE};
    char manifest[2000];

    (void)state;
    assert_null(make(manifest_of(manifest, sizeof(manifest), "", LOAD), input, 60 * S, NULL, &err));
    assert_non_null(strstr(err.text, "load"));
    assert_non_null(strstr(err.text, "other"));
    assert_non_null(strstr(err.where, "spec.triggers[0]"));
    input_free(input);
}

static const struct {
    const char *manifest, *says;
} refused[] = {
    {"a: [", "a.yaml"},
    {"kind: Service\napiVersion: v1\nmetadata: {name: x}\n", "no ScaledObject"},
    {"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app-a}\nspec: {}\n", "scaleTargetRef"},
};

static void what_is_no_policy_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct error err = {.kind = ERROR_NONE};

        assert_null(make(refused[i].manifest, NULL, 60 * S, NULL, &err));
        if (!strstr(err.text, refused[i].says) && !strstr(err.where, refused[i].says))
            fail_msg("row %zu: %s: %s", i, err.where, err.text);
    }
}

/* ------------------------------------------------------------------ the loop */

static void a_constant_input_gives_a_constant_output(void **state)
{
    struct input *input = notation("load", "35x3600", S);
    struct simulation_result result;
    struct seen seen;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, -1, &seen, &result);
    assert_string_equal(seen.log, "0:1>4 ");
    assert_int_equal(result.ticks, 721);
    assert_int_equal(result.highest, 4);
    assert_int_equal(result.lowest, 1);
    assert_int_equal(result.moves.events, 1);
    assert_true(result.replica_seconds == 4 * 3601.0);
    input_free(input);
}

static void a_failing_source_moves_nothing(void **state)
{
    struct input *input = notation("load", "35x600 failedx600 35x600 _x600", S);
    struct simulation_result result;
    struct seen seen;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, -1, &seen, &result);
    assert_string_equal(seen.log, "0:1>4 ");
    input_free(input);
}

/* Whatever a source does to the same value, down to nothing for half an hour, replicas go where the value wants them and stay. */
static void no_pattern_of_failures_makes_replicas_move(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct input *input = input_new();
        struct simulation_result result;
        struct seen seen;
        char manifest[2000];

        for (int i = 0; i < 360; i++) {
            seed = seed * 1664525u + 1013904223u;
            input_add(input, "load", &(struct input_value){i * 5 * S, 35, (enum input_kind)((seed >> 16) % 4)});
        }
        run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, 1800 * S, &seen, &result);
        assert_int_equal(result.moves.events, 1);
        assert_int_equal(result.highest, 4);
        input_free(input);
    }
}

/* Of a formula that rises with it. */
static void more_demand_never_gives_fewer_replicas(void **state)
{
    int32_t before = 0;

    (void)state;
    for (int load = 0; load <= 120; load += 3) {
        struct simulation_result result;
        struct input *input;
        struct seen seen;
        char manifest[2000], values[40];

        snprintf(values, sizeof(values), "%dx119", load);
        input = notation("load", values, 5 * S);
        run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, -1, &seen, &result);
        assert_true(result.highest >= before);
        assert_true(result.highest >= 1 && result.highest <= 10);
        before = result.highest;
        input_free(input);
    }
    assert_int_equal(before, 10);
}

static void the_same_options_give_the_same_run(void **state)
{
    struct input *input = notation("load", "0+1x100 100-3x30 _x20 failedx5 60x200", 5 * S);
    struct simulation_result first, second;
    struct seen a, b;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, -1, &a, &first);
    run(manifest_of(manifest, sizeof(manifest), "", LOAD), input, -1, &b, &second);
    assert_string_equal(a.log, b.log);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_true(first.moves.events > 3);
    input_free(input);
}

static void pods_of_the_target_are_counted(void **state)
{
    static const char triggers[] =
        LOAD "  - {type: kubernetes-workload, name: pods, metadata: {podSelector: app=app-a}}\n";
    static const char formula[] =
        "  advanced: {scalingModifiers: {formula: \"load / pods\", target: \"10\", metricType: Value}}\n";
    struct input *input = notation("load", "30x100", S);
    struct simulation_result result;
    struct seen seen;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), formula, triggers), input, -1, &seen, &result);
    assert_string_equal(seen.log, "0:1>3 ");
    assert_true(seen.formula == 10);
    input_free(input);
}

static void on_judged(void *arg, const struct simulation_tick *tick)
{
    judge_tick(*(struct judge **)arg, tick);
}

static void what_oscillates_is_found_with_the_condition_that_does_it(void **state)
{
    static const char triggers[] =
        LOAD "  - {type: kubernetes-workload, name: pods, metadata: {podSelector: app=app-a, value: \"1\"}}\n";
    static const char formula[] =
        "  advanced:\n    scalingModifiers: {formula: \"pods > 3 ? load / 3 : load * 2\", target: \"10\"}\n"
        "    horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}\n";
    struct input *input = notation("load", "30x100", 5 * S);
    struct score_goals goals = SCORE_GOALS_DEFAULT;
    struct error err = {.kind = ERROR_NONE};
    struct judge *judge = NULL;
    char manifest[2000];

    (void)state;
    manifest_of(manifest, sizeof(manifest), formula, triggers);
    struct simulation *s = simulation_new(&(struct simulation_options){.manifest_name = "a.yaml",
                                                                       .manifest = manifest,
                                                                       .manifest_length = strlen(manifest),
                                                                       .input = input,
                                                                       .duration_ms = -1,
                                                                       .initial = 1,
                                                                       .on_tick = on_judged,
                                                                       .arg = &judge,
                                                                       .quick = true},
                                          NULL, &err);
    assert_non_null(s);
    judge = judge_new(s);
    simulation_run(s);
    judge_finish(judge, &goals);
    assert_int_equal(judge_count(judge), 1);
    assert_string_equal(judge_at(judge, 0)->code, "oscillates");
    assert_string_equal(judge_at(judge, 0)->term, "pods > 3");
    judge_free(judge);
    simulation_free(s);
    input_free(input);
}

static void other_objects_of_the_file_are_left_alone(void **state)
{
    static const char other[] = "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: jobs}\nspec:\n"
                                "  jobTargetRef: {template: {spec: {containers: [{name: a, image: b}]}}}\n"
                                "  triggers: [{type: cron, metadata: {timezone: UTC, start: 0 6 * * *, end: 0 8 * * *, "
                                "desiredReplicas: \"2\"}}]\n";
    struct input *input = notation("load", "35x100", S);
    struct simulation_result result;
    struct seen seen;
    char manifest[2000], both[4000];

    (void)state;
    snprintf(both, sizeof(both), "%s%s", manifest_of(manifest, sizeof(manifest), "", LOAD), other);
    run(both, input, -1, &seen, &result);
    assert_string_equal(seen.log, "0:1>4 ");
    input_free(input);
}

static void cron_reads_the_virtual_clock(void **state)
{
    static const char triggers[] =
        "  - {type: cron, metadata: {timezone: UTC, start: \"1 0 * * *\", end: \"10 0 * * *\", "
        "desiredReplicas: \"5\"}}\n";
    struct simulation_result result;
    struct seen seen;
    char manifest[2000];

    (void)state;
    run(manifest_of(manifest, sizeof(manifest), "", triggers), NULL, 1200 * S, &seen, &result);
    assert_string_equal(seen.log, "60:1>4 65:4>5 900:5>1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_feeds_the_trigger_of_its_name),
        cmocka_unit_test(a_stale_value_grows_old),
        cmocka_unit_test(what_nothing_feeds_is_named),
        cmocka_unit_test(what_is_no_policy_is_refused),
        cmocka_unit_test(a_constant_input_gives_a_constant_output),
        cmocka_unit_test(a_failing_source_moves_nothing),
        cmocka_unit_test(no_pattern_of_failures_makes_replicas_move),
        cmocka_unit_test(more_demand_never_gives_fewer_replicas),
        cmocka_unit_test(the_same_options_give_the_same_run),
        cmocka_unit_test(pods_of_the_target_are_counted),
        cmocka_unit_test(what_oscillates_is_found_with_the_condition_that_does_it),
        cmocka_unit_test(other_objects_of_the_file_are_left_alone),
        cmocka_unit_test(cron_reads_the_virtual_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

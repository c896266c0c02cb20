/* Failure modes of formulas (F1 to F9) and of fallback (B1 to B10). */
#include "modes.h"

#define FORMULA(text, more)                                                                                            \
    "  minReplicaCount: 0\n  cooldownPeriod: 30\n  advanced:\n    scalingModifiers: {formula: \"" text "\"" more "}\n"
#define TWO PROM("a", "one", "10", "") PROM("b", "two", "10", "")

static void two(struct running *r, double one, double other)
{
    *r = (struct running){.prom = {{.query = "one", .value = one}, {.query = "two", .value = other}}, .prom_count = 2};
}

/* F1: x/0 and 0/0 are not a number of replicas: the reason says so, and nothing moves. */
static void f1_division_by_zero_holds(void **state)
{
    const double dividends[] = {5, 0, -5};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct running r;

        two(&r, 30, 1);
        begin(&r, 3, FORMULA("a / b", ", target: '10'"), TWO);
        running_until(&r, 30);
        assert_int_equal(replicas(&r), 3);
        r.prom[0].value = dividends[i];
        r.prom[1].value = 0;
        always_within(&r, 3600, 3, 3);
        assert_string_equal(look(&r, APP).reason, "held");
        assert_string_equal(look(&r, APP).ready, "False");
        running_stop(&r);
    }
}

/* F2: a huge result asks for the maximum, it does not wrap to the minimum. */
static void f2_a_huge_result_is_the_maximum(void **state)
{
    struct running r;

    (void)state;
    two(&r, 1e9, 0);
    begin(&r, 1, FORMULA("a ^ 3", ", target: '10'"), TWO);
    running_until(&r, 600);
    assert_int_equal(replicas(&r), 100);
    running_stop(&r);
}

/* F3: what begins with float( is no special case. */
static void f3_float_in_front(void **state)
{
    struct running r;

    (void)state;
    two(&r, 5, 0);
    begin(&r, 0, FORMULA("float(a) > 1 ? 10 : 0", ", target: '2'"), TWO);
    running_until(&r, 60);
    assert_int_equal(replicas(&r), 5);
    running_stop(&r);
}

/* F4: a failed trigger is nil: in a sum and in max() that holds, with ?? it is what is written there. */
static void f4_nil_is_defined(void **state)
{
    static const struct {
        const char *spec;
        int32_t from, to;
    } cases[] = {
        {FORMULA("a + b", ", target: '10'"), 4, 4},
        {FORMULA("max(a, b)", ", target: '10'"), 4, 4},
        {FORMULA("a + (b ?? 30)", ", target: '10'"), 4, 7},
        {FORMULA("missing(b) ? 20 : a", ", target: '10'"), 4, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct running r;

        two(&r, 40, 0);
        begin(&r, 4, cases[i].spec, TWO);
        running_until(&r, 20);
        r.prom[1].mode = PROM_DOWN;
        running_until(&r, 1200);
        if (replicas(&r) != cases[i].to)
            fail_msg("case %zu: %d replicas: %s", i, replicas(&r), look(&r, APP).summary);
        running_stop(&r);
    }
}

/* F5: a run-time error with minimum 0 does not scale to zero. */
static void f5_an_error_is_not_inactive(void **state)
{
    struct running r;

    (void)state;
    two(&r, 40, 0);
    begin(&r, 4, FORMULA("[a, 2][int(b)]", ", target: '10'"), TWO);
    running_until(&r, 60);
    assert_int_equal(replicas(&r), 4);
    r.prom[1].value = 7;
    always_within(&r, 7200, 4, 4);
    assert_true(look(&r, APP).held);
    running_stop(&r);
}

/* F7: what would take for ever is refused or ends with an error that is held. */
static void f7_formulas_are_bounded(void **state)
{
    struct running r;
    char *deep = calloc(1, 20000), *yaml = calloc(1, 40000);

    (void)state;
    memset(deep, '(', 5000);
    strcat(deep, "a");
    memset(deep + strlen(deep), ')', 5000);
    snprintf(yaml, 40000,
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec:\n  scaleTargetRef: {name: "
             "app}\n"
             "  advanced:\n    scalingModifiers: {formula: \"%s\", target: '1'}\n  triggers:\n" TWO,
             deep);
    two(&r, 40, 0);
    running_start(&r, NULL);
    stage_workload(r.stage, "default", "Deployment", "app", 4);
    running_manifest(&r, "app.yaml", yaml);
    assert_string_not_equal(look(&r, APP).problem, "");
    running_manifest(&r, "app.yaml", object_yaml(FORMULA("int(a) % int(b)", ", target: '1'"), TWO));
    running_until(&r, 900);
    assert_int_equal(replicas(&r), 4);
    running_manifest(
        &r, "app.yaml",
        object_yaml(
            FORMULA("sum(map(1..900, {sum(map(1..900, {len(filter(1..900, {# > 1}))}))})) + a", ", target: '1'"), TWO));
    running_until(&r, 930);
    assert_int_equal(replicas(&r), 4);
    running_stop(&r);
    free(deep);
    free(yaml);
}

/* F8: a mistake in a branch that the first values do not reach is found when the manifest is read, or else holds. */
static void f8_all_branches_are_checked(void **state)
{
    struct running r;

    (void)state;
    two(&r, 40, 0);
    begin(&r, 4, FORMULA("a > 1000 ? 'many' : a", ", target: '10'"), TWO);
    running_until(&r, 20);
    r.prom[0].value = 2000; /* a branch with a text: not a number, so nothing moves */
    always_within(&r, 600, 4, 4);
    assert_true(look(&r, APP).held);
    running_manifest(&r, "app.yaml", object_yaml(FORMULA("a > 1000 ? c : a", ", target: '1'"), TWO));
    assert_non_null(strstr(look(&r, APP).problem, "c"));
    running_stop(&r);
}

/* F9: a trigger's activation is strict; an explicit activationTarget is inclusive, unless it is to be strict. */
static void f9_activation_at_equality(void **state)
{
    struct running r;

    (void)state;
    two(&r, 7, 0);
    begin(&r, 0, "",
          "  - type: prometheus\n    metadata: {serverAddress: 'http://prom:9090', query: one, threshold: '10', "
          "activationThreshold: '7'}\n");
    running_until(&r, 120);
    assert_int_equal(replicas(&r), 0);
    running_manifest(&r, "app.yaml", object_yaml(FORMULA("a", ", target: '10', activationTarget: '7'"), TWO));
    running_until(&r, 180);
    assert_int_equal(replicas(&r), 1);
    running_stop(&r);
    two(&r, 7, 0);
    running_start(&r, NULL);
    stage_workload(r.stage, "default", "Deployment", "app", 0);
    char yaml[4000];
    snprintf(yaml, sizeof(yaml),
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations: "
             "{weir.dev/strict-activation: 'true'}\n%s",
             strstr(object_yaml(FORMULA("a", ", target: '10', activationTarget: '7'"), TWO), "spec:"));
    running_manifest(&r, "app.yaml", yaml);
    running_until(&r, 180);
    assert_int_equal(replicas(&r), 0);
    running_stop(&r);
}

/* ------------------------------------------------------------------ fallback */

/* B1: one of two triggers fails for an hour: as many replicas as before, for both types. */
static void b1_one_of_two_fails(void **state)
{
    static const char *const triggers[] = {
        TWO,
        PROM("a", "one", "10", "    metricType: Value\n") PROM("b", "two", "10", "    metricType: Value\n"),
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct running r;

        two(&r, i == 0 ? 50 : 10, i == 0 ? 20 : 10);
        begin(&r, 5, "  minReplicaCount: 1\n", triggers[i]);
        running_until(&r, 60);
        r.prom[1].mode = PROM_DOWN;
        always_within(&r, 3660, 5, 5);
        running_stop(&r);
    }
}

/* B2, B8, B9: all fail: exactly the fallback, whatever the number of triggers, the target and the type. */
static void b2_all_fail(void **state)
{
    static const struct {
        const char *name, *spec, *triggers;
    } cases[] = {
        {"two triggers", "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 6}\n", TWO},
        {"value", "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 6}\n",
         PROM("a", "one", "10", "    metricType: Value\n")},
        {"fraction",
         "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 6}\n  advanced:\n    scalingModifiers: "
         "{formula: a + b, target: '0.5'}\n",
         TWO},
        {"formula value",
         "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 6}\n  advanced:\n    scalingModifiers: "
         "{formula: a + b, target: '3', metricType: Value}\n",
         TWO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct running r;

        two(&r, 0, 0);
        r.prom[0].mode = r.prom[1].mode = PROM_DOWN;
        begin(&r, 3, cases[i].spec, cases[i].triggers);
        running_until(&r, 20);
        assert_int_equal(replicas(&r), 3);
        running_until(&r, 600);
        if (replicas(&r) != 6)
            fail_msg("%s: %d replicas: %s", cases[i].name, replicas(&r), look(&r, APP).summary);
        running_stop(&r);
    }
}

/* B3: the fallback asks for 3, the processors for 12. */
static void b3_a_greater_wish_wins(void **state)
{
    struct running r;

    (void)state;
    two(&r, 0, 0);
    r.prom[0].mode = PROM_DOWN;
    begin(&r, 6, "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 3}\n",
          PROM("a", "one", "10", "") "  - {type: cpu, metricType: Utilization, metadata: {value: '50'}}\n");
    stage_workload_usage(r.stage, "app", 1.0, -1);
    running_until(&r, 10); /* 12 are enough */
    stage_workload_usage(r.stage, "app", 0.5, -1);
    running_until(&r, 240);
    assert_int_equal(replicas(&r), 12);
    running_stop(&r);
}

/* B4: fallback wakes an object at 0, with a minimum of 0 and above. */
static void b4_fallback_at_zero(void **state)
{
    static const char *const specs[] = {"  minReplicaCount: 0\n  fallback: {failureThreshold: 2, replicas: 3}\n",
                                        "  minReplicaCount: 2\n  fallback: {failureThreshold: 2, replicas: 3}\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct running r;

        two(&r, 0, 0);
        r.prom[0].mode = PROM_DOWN;
        begin(&r, 0, specs[i], PROM("a", "one", "10", ""));
        running_until(&r, 300);
        assert_int_equal(replicas(&r), 3);
        running_stop(&r);
    }
}

/* B5: a target of another kind. */
static void b5_other_target_kinds(void **state)
{
    struct running r;

    (void)state;
    two(&r, 0, 0);
    r.prom[0].mode = PROM_DOWN;
    running_start(&r, NULL);
    stage_workload(r.stage, "default", "Rollout", "app", 2);
    running_manifest(&r, "app.yaml",
                     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec:\n"
                     "  scaleTargetRef: {name: app, kind: Rollout, apiVersion: argoproj.io/v1alpha1}\n"
                     "  fallback: {failureThreshold: 2, replicas: 4}\n  triggers:\n" PROM("a", "one", "10", ""));
    running_until(&r, 300);
    assert_int_equal(replicas(&r), 4);
    running_stop(&r);
}

/* B9: no pod is ready and the source is away: still the configured number. */
static void b9_no_pod_ready(void **state)
{
    struct running r;

    (void)state;
    two(&r, 0, 0);
    r.prom[0].mode = PROM_DOWN;
    running_start(&r, &(struct stage_options){.start_at_ms = START_MS, .ready_after_ms = DAY_MS});
    stage_workload(r.stage, "default", "Deployment", "app", 2);
    stage_unready(r.stage, "app");
    running_manifest(&r, "app.yaml",
                     object_yaml("  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 5}\n",
                                 PROM("a", "one", "10", "    metricType: Value\n")));
    running_until(&r, 600);
    assert_int_equal(replicas(&r), 5);
    running_stop(&r);
}

/* B10: an outage is written down when it changes something, not with each failed question. */
static void b10_an_outage_is_not_written_down_over_and_over(void **state)
{
    struct running r;

    (void)state;
    two(&r, 50, 0);
    begin(&r, 5, "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 5}\n", PROM("a", "one", "10", ""));
    running_until(&r, 60);
    size_t before = journaled(&r, APP);
    r.prom[0].mode = PROM_DOWN;
    running_until(&r, 7200);
    assert_in_range(journaled(&r, APP) - before, 1, 4);
    running_stop(&r);
}

/* fallback.behavior: what runs now is kept, or is a bound of the configured number. */
static void b_the_behaviors(void **state)
{
    static const struct {
        const char *behavior;
        int32_t start, end;
    } cases[] = {
        {"static", 3, 6},
        {"static", 9, 6},
        {"currentReplicas", 3, 3},
        {"currentReplicas", 9, 9},
        {"currentReplicasIfHigher", 3, 6},
        {"currentReplicasIfHigher", 9, 9},
        {"currentReplicasIfLower", 3, 3},
        {"currentReplicasIfLower", 9, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct running r;
        char spec[300];

        snprintf(spec, sizeof(spec),
                 "  minReplicaCount: 1\n  fallback: {failureThreshold: 2, replicas: 6, behavior: %s}\n",
                 cases[i].behavior);
        two(&r, 0, 0);
        r.prom[0].mode = PROM_DOWN;
        begin(&r, cases[i].start, spec, PROM("a", "one", "10", ""));
        running_until(&r, 900);
        if (replicas(&r) != cases[i].end)
            fail_msg("%s from %d: %d: %s", cases[i].behavior, cases[i].start, replicas(&r), look(&r, APP).summary);
        running_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f1_division_by_zero_holds),
        cmocka_unit_test(f2_a_huge_result_is_the_maximum),
        cmocka_unit_test(f3_float_in_front),
        cmocka_unit_test(f4_nil_is_defined),
        cmocka_unit_test(f5_an_error_is_not_inactive),
        cmocka_unit_test(f7_formulas_are_bounded),
        cmocka_unit_test(f8_all_branches_are_checked),
        cmocka_unit_test(f9_activation_at_equality),
        cmocka_unit_test(b1_one_of_two_fails),
        cmocka_unit_test(b2_all_fail),
        cmocka_unit_test(b3_a_greater_wish_wins),
        cmocka_unit_test(b4_fallback_at_zero),
        cmocka_unit_test(b5_other_target_kinds),
        cmocka_unit_test(b9_no_pod_ready),
        cmocka_unit_test(b10_an_outage_is_not_written_down_over_and_over),
        cmocka_unit_test(b_the_behaviors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

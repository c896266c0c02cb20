/* Failure modes of zero, cooldown and idle (Z), of stability (S), of lifecycle (K), jobs (J), pauses (T) and records (O). */
#include "modes.h"

#include "base/limits.h"

static void one(struct running *r, double load)
{
    *r = (struct running){.prom = {{.query = "load", .value = load}}, .prom_count = 1};
}
#define LOAD PROM("a", "load", "10", "")

/* ------------------------------------------------------------------ zero */

/* Z1: an error is not inactivity; a fallback of 0, which somebody wrote down, is. */
static void z1_error_and_inactive(void **state)
{
    struct running r;

    (void)state;
    one(&r, 20);
    begin(&r, 2, "  minReplicaCount: 0\n  cooldownPeriod: 30\n", LOAD);
    running_until(&r, 30);
    r.prom[0].mode = PROM_DOWN;
    always_within(&r, 3600, 2, 2);
    running_manifest(
        &r, "app.yaml",
        object_yaml("  minReplicaCount: 0\n  cooldownPeriod: 30\n  fallback: {failureThreshold: 2, replicas: 0}\n",
                    LOAD));
    running_until(&r, 3900);
    assert_int_equal(replicas(&r), 0);
    assert_string_equal(look(&r, APP).reason, "inactive");
    running_stop(&r);
}

/* Z4: from zero to the computed number in one step. */
static void z4_wakes_to_the_computed_count(void **state)
{
    struct running r;
    int32_t first = 0;

    (void)state;
    one(&r, 0);
    begin(&r, 0, "  pollingInterval: 10\n", LOAD);
    running_until(&r, 60);
    r.prom[0].value = 700;
    for (int s = 61; first == 0 && s < 80; s++) {
        running_until(&r, s);
        first = replicas(&r);
    }
    assert_int_equal(first, 70);
    running_stop(&r);
}

/* Z5: idle does not flap; minimum = maximum is a constant; a maximum of 0 is refused. */
static void z5_idle_and_narrow_bounds(void **state)
{
    struct running r;

    (void)state;
    one(&r, 0);
    begin(&r, 4, "  minReplicaCount: 3\n  idleReplicaCount: 1\n  cooldownPeriod: 30\n", LOAD);
    running_until(&r, 400);
    always_within(&r, 3600, 1, 1);
    r.prom[0].value = 5;
    running_until(&r, 3640);
    always_within(&r, 7200, 3, 3);
    running_manifest(&r, "app.yaml", object_yaml("  minReplicaCount: 4\n  maxReplicaCount: 4\n", LOAD));
    running_until(&r, 7260);
    r.prom[0].value = 5000;
    always_within(&r, 7400, 4, 4);
    running_manifest(&r, "app.yaml", object_yaml("  maxReplicaCount: 0\n", LOAD));
    assert_string_not_equal(look(&r, APP).problem, "");
    running_stop(&r);
}

/* Z6: an edit that puts the minimum above the maximum is refused, and the old version stays. */
static void z6_a_refused_edit_keeps_the_old(void **state)
{
    struct running r;

    (void)state;
    one(&r, 30);
    begin(&r, 1, "  minReplicaCount: 1\n  maxReplicaCount: 8\n", LOAD);
    running_until(&r, 20);
    running_manifest(&r, "app.yaml", object_yaml("  minReplicaCount: 9\n  maxReplicaCount: 8\n", LOAD));
    r.prom[0].value = 60;
    running_until(&r, 60);
    assert_int_equal(replicas(&r), 6);
    assert_non_null(strstr(look(&r, APP).problem, "minReplicaCount"));
    running_stop(&r);
}

/* Z7: after three quarters of an hour at zero the first demand wakes it. */
static void z7_wakes_after_a_long_sleep(void **state)
{
    struct running r;

    (void)state;
    one(&r, 30);
    begin(&r, 1, "  minReplicaCount: 0\n  cooldownPeriod: 60\n  pollingInterval: 30\n", LOAD);
    running_until(&r, 100);
    r.prom[0].value = 0;
    running_until(&r, 100 + 45 * 60);
    assert_int_equal(replicas(&r), 0);
    r.prom[0].value = 1;
    running_until(&r, 131 + 45 * 60);
    assert_int_equal(replicas(&r), 1);
    running_stop(&r);
}

/* ------------------------------------------------------------------ stability */

static unsigned writes;
static int32_t highest;

static void note_write(void *arg, const char *name, int32_t before, int32_t after, int64_t since_ms)
{
    (void)arg, (void)name, (void)before, (void)since_ms;
    writes++;
    highest = after > highest ? after : highest;
}

/* S1: a day of constant input moves nothing, for both types and for a calendar under a percent policy. */
static void s1_constant_in_constant_out(void **state)
{
    static const struct {
        const char *spec, *triggers;
        double load;
    } cases[] = {
        {"  minReplicaCount: 1\n", LOAD, 47},
        {"  minReplicaCount: 1\n", PROM("a", "load", "10", "    metricType: Value\n"), 10.5},
        {"  minReplicaCount: 1\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: [{type: "
         "Percent, value: 10, periodSeconds: 60}]}}}}\n",
         "  - {type: cron, metadata: {timezone: UTC, start: '0 0 1 1 *', end: '59 23 31 12 *', desiredReplicas: "
         "'45'}}\n",
         0},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct running r;

        one(&r, cases[i].load);
        begin(&r, 4, cases[i].spec, cases[i].triggers);
        running_until(&r, 4 * 3600);
        writes = 0;
        stage_on_write(r.stage, note_write, NULL);
        running_until(&r, 28 * 3600);
        assert_int_equal(writes, 0);
        if (i == 2)
            assert_in_range(replicas(&r), 41, 45); /* 41 is within the tolerance of 45 */
        running_stop(&r);
    }
}

/* S2: noise of one percent at a boundary does not make it flap. */
static void s2_noise_at_a_boundary(void **state)
{
    struct running r;

    (void)state;
    one(&r, 50);
    begin(&r, 5, "  minReplicaCount: 1\n", LOAD);
    running_until(&r, 60);
    writes = 0;
    stage_on_write(r.stage, note_write, NULL);
    for (int64_t s = 60; s < 7200; s++) {
        r.prom[0].value = 50 + (double)(s * 7919 % 101 - 50) / 100;
        running_until(&r, s);
    }
    assert_int_equal(writes, 0);
    running_stop(&r);
}

/* S4: the mean a pod carries, told a minute late, is not mistaken for growing load: with Value the ready pods count. */
static void s4_a_lagging_mean_does_not_climb(void **state)
{
    struct running r;
    double past[61] = {0};

    (void)state;
    one(&r, 0);
    running_start(&r, &(struct stage_options){.start_at_ms = START_MS, .ready_after_ms = 60 * SECOND_MS});
    stage_workload(r.stage, "default", "Deployment", "app", 4);
    running_manifest(&r, "app.yaml",
                     object_yaml("  minReplicaCount: 1\n  maxReplicaCount: 100\n",
                                 PROM("a", "load", "10", "    metricType: Value\n")));
    highest = 0;
    stage_on_write(r.stage, note_write, NULL);
    for (int64_t s = 0; s < 3600; s++) { /* 80 in all: 8 pods are enough */
        int32_t ready = stage_ready(r.stage, "app");

        past[s % 61] = 80.0 / (ready > 0 ? ready : 1);
        r.prom[0].value = past[(s + 1) % 61] > 0 ? past[(s + 1) % 61] : 20;
        running_until(&r, s);
    }
    assert_in_range(highest, 8, 16);
    running_stop(&r);
}

/* S5: with a tolerance of 0 the 41st task on ten pods of four is served. */
static void s5_zero_tolerance(void **state)
{
    struct running r;

    (void)state;
    one(&r, 40);
    begin(
        &r, 10,
        "  minReplicaCount: 1\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {tolerance: '0'}}}}\n",
        PROM("a", "load", "4", ""));
    running_until(&r, 60);
    assert_int_equal(replicas(&r), 10);
    r.prom[0].value = 41;
    running_until(&r, 80);
    assert_int_equal(replicas(&r), 11);
    running_stop(&r);
}

/* ------------------------------------------------------------------ lifecycle */

/* K4: killed a thousand times, at every kind of moment: no wrong scale, and the pause is kept. */
static void k4_killed_at_any_moment(void **state)
{
    struct running r;

    (void)state;
    one(&r, 50);
    begin(&r, 5, "  minReplicaCount: 0\n  cooldownPeriod: 3600\n  pollingInterval: 5\n", LOAD);
    running_until(&r, 60);
    writes = 0;
    stage_on_write(r.stage, note_write, NULL);
    for (int i = 0; i < 1000; i++) {
        for (int step = 0; step < i % 17; step++)
            virtual_step(stage_world(r.stage));
        stage_restart(r.stage);
    }
    running_until(&r, stage_now_ms(r.stage) / 1000 + 60);
    assert_int_equal(writes, 0);
    assert_int_equal(replicas(&r), 5);
    r.prom[0].value = 0; /* and zero is reached all the same */
    running_until(&r, stage_now_ms(r.stage) / 1000 + 4000);
    assert_int_equal(replicas(&r), 0);
    running_stop(&r);
}

/* K4: the clock went back, and then it was killed: the journal's history from the later hour does not hide what comes now. */
static void k4_killed_after_the_clock_went_back(void **state)
{
    struct running r;

    (void)state;
    one(&r, 50);
    begin(&r, 5,
          "  minReplicaCount: 1\n  advanced:\n    scalingModifiers: {formula: \"recent(a, '2m') ?? 1\", target: '10'}\n"
          "    horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}\n",
          LOAD);
    running_until(&r, 600);
    virtual_jump(stage_world(r.stage), -5 * MINUTE_MS);
    always_within(&r, 620, 1, 5);
    running_until(&r, 900);
    assert_int_equal(replicas(&r), 5);
    virtual_jump(stage_world(r.stage), -5 * MINUTE_MS);
    running_until(&r, 1000);
    assert_int_equal(replicas(&r), 5);
    stage_restart(r.stage);
    always_within(&r, 1200, 5, 5);
    running_stop(&r);
}

/* K7: removed and made again under the same name, with another trigger: nothing of the old is left. */
static void k7_recreated_under_the_same_name(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 90}, {.query = "other", .value = 20}}, .prom_count = 2};

    (void)state;
    begin(&r, 1, "  minReplicaCount: 1\n", LOAD);
    running_until(&r, 5);
    assert_int_equal(replicas(&r), 4);
    for (int i = 0; i < 1000; i++) {
        running_manifest(&r, "app.yaml", NULL);
        running_manifest(&r, "app.yaml",
                         object_yaml("  minReplicaCount: 1\n", i % 2 ? LOAD : PROM("a", "other", "10", "")));
        virtual_step(stage_world(r.stage));
    }
    running_manifest(&r, "app.yaml", NULL);
    running_until(&r, stage_now_ms(r.stage) / 1000 + 40);
    unsigned asked = r.prom[0].asked;
    running_manifest(&r, "app.yaml", object_yaml("  minReplicaCount: 1\n", PROM("a", "other", "10", "")));
    running_until(&r, stage_now_ms(r.stage) / 1000 + 400);
    assert_int_equal(replicas(&r), 2);
    assert_int_equal(r.prom[0].asked, asked);
    running_stop(&r);
}

/* K8: five hundred objects in one file are gone at once when the file is. */
static void k8_many_removed_at_once(void **state)
{
    struct running r;
    struct text yaml;
    struct autoscaler_stats stats;

    (void)state;
    one(&r, 50);
    running_start(&r, NULL);
    text_init(&yaml, MANIFEST_FILE_MAX_BYTES);
    for (int i = 0; i < 500; i++)
        text_printf(&yaml,
                    "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: o%d}\nspec:\n  "
                    "scaleTargetRef: {name: o%d}\n"
                    "  triggers:\n" LOAD,
                    i, i);
    running_manifest(&r, "all.yaml", yaml.bytes);
    running_until(&r, 60);
    autoscaler_stats(stage_autoscaler(r.stage), &stats);
    assert_int_equal(stats.objects, 500);
    running_manifest(&r, "all.yaml", NULL);
    autoscaler_stats(stage_autoscaler(r.stage), &stats);
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.questions, 0); /* O1 */
    unsigned asked = r.prom[0].asked;
    running_until(&r, 300);
    assert_int_equal(r.prom[0].asked, asked);
    text_done(&yaml);
    running_stop(&r);
}

/* K10: a target that is not there is named, and served as soon as it is. */
static void k10_a_target_that_comes_later(void **state)
{
    struct running r;

    (void)state;
    one(&r, 50);
    running_start(&r, NULL);
    running_manifest(&r, "app.yaml", object_yaml("  minReplicaCount: 1\n", LOAD));
    running_until(&r, 120);
    assert_string_equal(look(&r, APP).reason, "target-unreadable");
    assert_int_equal(stage_writes(r.stage), 0);
    stage_workload(r.stage, "default", "Deployment", "app", 1);
    running_until(&r, 180);
    assert_int_equal(replicas(&r), 5);
    running_stop(&r);
}

/* K11: names as long as they may be; one character more is refused with the reason. */
static void k11_long_names(void **state)
{
    struct running r;
    char name[64], target[101], yaml[4000], key[200];

    (void)state;
    memset(name, 'a', sizeof(name));
    memset(target, 'b', sizeof(target));
    target[100] = '\0';
    one(&r, 50);
    running_start(&r, NULL);
    stage_workload(r.stage, "default", "Deployment", target, 1);
    for (int length = 63; length <= 64; length++) { /* 63: a label holds it */
        snprintf(yaml, sizeof(yaml),
                 "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: %.*s}\nspec:\n"
                 "  scaleTargetRef: {name: %s}\n  triggers:\n" LOAD,
                 length, name, target);
        running_manifest(&r, "app.yaml", yaml);
        snprintf(key, sizeof(key), "ScaledObject/default/%.*s", length, name);
        running_until(&r, length);
        assert_int_equal(look(&r, key).has_decision, length == 63);
    }
    assert_non_null(strstr(look(&r, key).problem, "63 are allowed"));
    assert_int_equal(stage_replicas(r.stage, target), 5);
    running_stop(&r);
}

/* K13: edited while its answer is on the way: the old answer decides nothing. */
static void k13_edited_in_the_middle_of_a_poll(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 90}, {.query = "slow", .mode = PROM_HANGS}},
                        .prom_count = 2};

    (void)state;
    begin(&r, 3, "  minReplicaCount: 0\n  cooldownPeriod: 5\n", PROM("a", "slow", "10", ""));
    for (int i = 0; i < 200; i++) {
        running_until(&r, 2 + i);
        running_manifest(
            &r, "app.yaml",
            object_yaml(i % 2 ? "  cooldownPeriod: 5\n" : "  cooldownPeriod: 6\n", PROM("a", "slow", "10", "")));
        assert_int_equal(replicas(&r), 3);
    }
    running_manifest(&r, "app.yaml", object_yaml("", LOAD));
    running_until(&r, 240);
    assert_int_equal(replicas(&r), 9);
    running_stop(&r);
}

/* ------------------------------------------------------------------ jobs, pauses, records */

#define JOB(more)                                                                                                      \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n"                                   \
    "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n"                  \
    "  pollingInterval: 2\n" more "  triggers:\n" PROM("a", "load", "1", "")

/* J1: 42 messages are 42 jobs, with minutes of pending pods and a poll every two seconds; and a kill in between makes no more. */
static void j1_as_many_jobs_as_messages(void **state)
{
    struct running r;

    (void)state;
    one(&r, 42);
    running_start(&r, NULL);
    running_manifest(&r, "job.yaml", JOB("  maxReplicaCount: 100\n"));
    running_until(&r, 120);
    assert_int_equal(stage_jobs(r.stage, "work", false), 42);
    stage_restart(r.stage);
    running_until(&r, 240);
    assert_int_equal(stage_jobs(r.stage, "work", false), 42);
    running_stop(&r);
}

/* J2: the minimum that runs already is part of what is needed. */
static void j2_the_minimum_is_deducted(void **state)
{
    struct running r;

    (void)state;
    one(&r, 8);
    running_start(&r, NULL);
    running_manifest(&r, "job.yaml", JOB("  minReplicaCount: 3\n  maxReplicaCount: 20\n"));
    running_until(&r, 120);
    assert_in_range(stage_jobs(r.stage, "work", false), 8, 11);
    assert_true(stage_jobs(r.stage, "work", false) <= 20);
    running_stop(&r);
}

/* The clock goes back an hour: jobs are still made for new messages. */
static void j_the_clock_goes_back(void **state)
{
    struct running r;

    (void)state;
    one(&r, 2);
    running_start(&r, NULL);
    running_manifest(&r, "job.yaml", JOB("  maxReplicaCount: 20\n"));
    running_until(&r, 30);
    assert_int_equal(stage_jobs(r.stage, "work", false), 2);
    virtual_jump(stage_world(r.stage), -HOUR_MS);
    running_until(&r, 40);
    r.prom[0].value = 5;
    running_until(&r, 60);
    assert_int_equal(stage_jobs(r.stage, "work", false), 5);
    running_stop(&r);
}

/* T3: paused and resumed a thousand times: never stuck, and obeyed in the end. */
static void t3_paused_and_resumed(void **state)
{
    static const char paused[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, annotations: "
                                 "{autoscaling.keda.sh/paused: 'true'}}\nspec:\n"
                                 "  scaleTargetRef: {name: app}\n  minReplicaCount: 1\n  triggers:\n" LOAD;
    struct running r;

    (void)state;
    one(&r, 20);
    begin(&r, 2, "  minReplicaCount: 1\n", LOAD);
    for (int i = 0; i < 1000; i++) {
        running_manifest(&r, "app.yaml", i % 2 ? object_yaml("  minReplicaCount: 1\n", LOAD) : paused);
        for (int step = 0; step < i % 5; step++)
            virtual_step(stage_world(r.stage));
        if (i % 97 == 0)
            stage_restart(r.stage);
    }
    running_manifest(&r, "app.yaml", paused);
    r.prom[0].value = 70;
    running_until(&r, stage_now_ms(r.stage) / 1000 + 100);
    assert_int_equal(replicas(&r), 2);
    running_manifest(&r, "app.yaml", object_yaml("  minReplicaCount: 1\n", LOAD));
    running_until(&r, stage_now_ms(r.stage) / 1000 + 60);
    assert_int_equal(replicas(&r), 7);
    running_stop(&r);
}

/* O2: it says so when it cannot decide, and that it can when it can. */
static void o2_it_knows_whether_it_can_decide(void **state)
{
    struct running r;
    const char *why;

    (void)state;
    one(&r, 20);
    begin(&r, 2, "", LOAD);
    running_until(&r, 100);
    assert_true(autoscaler_can_decide(stage_autoscaler(r.stage), &why));
    assert_null(why);
    running_stop(&r);
}

/* O3: a write that has to be made again has a record of its own. */
static void o3_each_change_has_its_record(void **state)
{
    struct running r;

    (void)state;
    one(&r, 50);
    begin(&r, 5, "  minReplicaCount: 1\n", LOAD);
    running_until(&r, 60);
    size_t before = journaled(&r, APP);
    writes = 0;
    stage_on_write(r.stage, note_write, NULL);
    for (int i = 0; i < 5; i++) { /* somebody else takes two away, again and again */
        stage_scale(r.stage, "app", 3);
        running_until(&r, 60 + 16 * (i + 1));
        assert_int_equal(replicas(&r), 5);
    }
    assert_int_equal(writes, 5);
    assert_in_range(journaled(&r, APP) - before, 5, 10);
    running_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(z1_error_and_inactive),
        cmocka_unit_test(z4_wakes_to_the_computed_count),
        cmocka_unit_test(z5_idle_and_narrow_bounds),
        cmocka_unit_test(z6_a_refused_edit_keeps_the_old),
        cmocka_unit_test(z7_wakes_after_a_long_sleep),
        cmocka_unit_test(s1_constant_in_constant_out),
        cmocka_unit_test(s2_noise_at_a_boundary),
        cmocka_unit_test(s4_a_lagging_mean_does_not_climb),
        cmocka_unit_test(s5_zero_tolerance),
        cmocka_unit_test(k4_killed_at_any_moment),
        cmocka_unit_test(k4_killed_after_the_clock_went_back),
        cmocka_unit_test(k7_recreated_under_the_same_name),
        cmocka_unit_test(k8_many_removed_at_once),
        cmocka_unit_test(k10_a_target_that_comes_later),
        cmocka_unit_test(k11_long_names),
        cmocka_unit_test(k13_edited_in_the_middle_of_a_poll),
        cmocka_unit_test(j1_as_many_jobs_as_messages),
        cmocka_unit_test(j2_the_minimum_is_deducted),
        cmocka_unit_test(j_the_clock_goes_back),
        cmocka_unit_test(t3_paused_and_resumed),
        cmocka_unit_test(o2_it_knows_whether_it_can_decide),
        cmocka_unit_test(o3_each_change_has_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The life of an object in the running system: up, held, fallback, down, paused, edited, removed, restarted. */
#include "running.h"

#define OBJECT "ScaledObject/default/app"

static const char head[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n";
static const char trigger[] = "  triggers:\n"
                              "  - type: prometheus\n"
                              "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";

static char *manifest(const char *annotations, const char *spec)
{
    static char yaml[4096];

    snprintf(yaml, sizeof(yaml), "%s%sspec:\n  scaleTargetRef: {name: app}\n%s%s", head, annotations, spec, trigger);
    return yaml;
}

static void start(struct running *r, int32_t replicas, double load)
{
    *r = (struct running){.prom = {{.query = "load", .value = load}}, .prom_count = 1};
    running_start(r, NULL);
    stage_workload(r->stage, "default", "Deployment", "app", replicas);
}

static void it_scales_up_at_once_and_down_after_the_window(void **state)
{
    struct running r;

    (void)state;
    start(&r, 1, 35);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 20);
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    r.prom[0].value = 15;
    running_until(&r, 290);
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    running_until(&r, 345);
    assert_int_equal(stage_replicas(r.stage, "app"), 2);
    assert_string_equal(look(&r, OBJECT).ready, "True");
    running_stop(&r);
}

static void zero_wakes_at_once_and_sleeps_after_the_cooldown(void **state)
{
    struct running r;

    (void)state;
    start(&r, 0, 0);
    running_manifest(&r, "a.yaml", manifest("", "  cooldownPeriod: 60\n"));
    running_until(&r, 100);
    assert_int_equal(stage_replicas(r.stage, "app"), 0);
    r.prom[0].value = 95;
    running_until(&r, 135);
    assert_int_equal(stage_replicas(r.stage, "app"), 10);
    r.prom[0].value = 0;
    running_until(&r, 180);
    assert_int_equal(stage_replicas(r.stage, "app"), 10);
    assert_string_equal(look(&r, OBJECT).reason, "cooldown");
    running_until(&r, 230);
    assert_int_equal(stage_replicas(r.stage, "app"), 0);
    running_stop(&r);
}

static void what_wakes_is_asked_often_at_once(void **state)
{
    struct running r;

    (void)state;
    start(&r, 0, 40);
    running_manifest(&r, "a.yaml", manifest("", "  pollingInterval: 1000\n"));
    running_until(&r, 20);
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    r.prom[0].value = 90;
    running_until(&r, 60);
    assert_int_equal(stage_replicas(r.stage, "app"), 9);
    running_stop(&r);
}

static void no_data_holds_for_half_an_hour(void **state)
{
    struct running r;

    (void)state;
    start(&r, 5, 50);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 60);
    r.prom[0].mode = PROM_EMPTY;
    running_until(&r, 1800);
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    assert_true(look(&r, OBJECT).held);
    assert_string_equal(look(&r, OBJECT).why, "the query matched no series");
    running_until(&r, 2300);
    assert_int_equal(stage_replicas(r.stage, "app"), 1);
    running_stop(&r);
}

static void a_failure_holds_for_good_or_until_fallback(void **state)
{
    struct running r;

    (void)state;
    start(&r, 5, 50);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 60);
    r.prom[0].mode = PROM_DOWN;
    running_until(&r, 7200);
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    assert_string_equal(look(&r, OBJECT).ready, "False");
    running_manifest(&r, "a.yaml",
                     manifest("", "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 7}\n"));
    running_until(&r, 7300);
    assert_int_equal(stage_replicas(r.stage, "app"), 7);
    assert_true(look(&r, OBJECT).fallback);
    r.prom[0].mode = PROM_VALUE;
    running_until(&r, 7700);
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    running_stop(&r);
}

static void an_edit_pauses_and_resumes(void **state)
{
    struct running r;

    (void)state;
    start(&r, 1, 30);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 20);
    assert_int_equal(stage_replicas(r.stage, "app"), 3);
    running_manifest(&r, "a.yaml",
                     manifest("  annotations: {autoscaling.keda.sh/paused: 'true'}\n", "  minReplicaCount: 1\n"));
    r.prom[0].value = 90;
    unsigned asked = r.prom[0].asked;
    running_until(&r, 120);
    assert_int_equal(stage_replicas(r.stage, "app"), 3);
    assert_string_equal(look(&r, OBJECT).reason, "paused");
    assert_int_equal(r.prom[0].asked, asked);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 180);
    assert_int_equal(stage_replicas(r.stage, "app"), 9);
    running_stop(&r);
}

static void a_bad_edit_changes_nothing_and_says_so(void **state)
{
    struct running r;

    (void)state;
    start(&r, 1, 30);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 20);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 5\n  maxReplicaCount: 2\n"));
    r.prom[0].value = 50;
    running_until(&r, 60);
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    assert_non_null(strstr(look(&r, OBJECT).problem, "maxReplicaCount"));
    assert_string_equal(look(&r, OBJECT).ready, "False");
    running_manifest(&r, "a.yaml", "apiVersion: keda.sh/v1alpha1\n  kind: [\n");
    running_until(&r, 80);
    assert_true(look(&r, OBJECT).has_policy);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n  maxReplicaCount: 4\n"));
    running_until(&r, 120);
    assert_string_equal(look(&r, OBJECT).problem, "");
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    running_stop(&r);
}

static void what_is_removed_is_forgotten_and_may_come_back(void **state)
{
    struct running r;
    struct autoscaler_stats stats;

    (void)state;
    start(&r, 2, 60);
    running_manifest(&r, "a.yaml",
                     manifest("", "  minReplicaCount: 1\n  advanced: {restoreToOriginalReplicaCount: true}\n"));
    running_until(&r, 20);
    assert_int_equal(stage_replicas(r.stage, "app"), 6);
    running_manifest(&r, "a.yaml", NULL);
    running_until(&r, 21);
    assert_int_equal(stage_replicas(r.stage, "app"), 2);
    assert_false(look(&r, OBJECT).found);
    autoscaler_stats(stage_autoscaler(r.stage), &stats);
    assert_int_equal(stats.objects, 0);
    assert_int_equal(stats.questions, 0);
    unsigned asked = r.prom[0].asked;
    running_until(&r, 100);
    assert_int_equal(r.prom[0].asked, asked);
    running_manifest(&r, "a.yaml", manifest("", "  minReplicaCount: 1\n"));
    running_until(&r, 120);
    assert_int_equal(stage_replicas(r.stage, "app"), 6);
    running_stop(&r);
}

static void a_restart_remembers_from_the_journal(void **state)
{
    struct running r;

    (void)state;
    start(&r, 2, 60);
    running_manifest(
        &r, "a.yaml",
        manifest("",
                 "  minReplicaCount: 0\n  cooldownPeriod: 300\n  advanced: {restoreToOriginalReplicaCount: true}\n"));
    running_until(&r, 90);
    assert_int_equal(stage_replicas(r.stage, "app"), 6);
    r.prom[0].value = 0;
    running_until(&r, 200);
    stage_restart(r.stage);
    assert_int_equal(look(&r, OBJECT).created_at_ms, START_MS);
    running_until(&r, 360); /* the cooldown goes on: neither forgotten (at once to zero) nor begun anew */
    assert_int_equal(stage_replicas(r.stage, "app"), 6);
    running_until(&r, 480);
    assert_int_equal(stage_replicas(r.stage, "app"), 0);
    stage_restart(r.stage);
    running_until(&r, 500);
    running_manifest(&r, "a.yaml", NULL);
    running_until(&r, 501);
    assert_int_equal(stage_replicas(r.stage, "app"), 2); /* the count before Weir, across two restarts */
    running_stop(&r);
}

static void cached_metrics_are_asked_at_the_polling_interval_only(void **state)
{
    static const char two[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec:\n"
        "  scaleTargetRef: {name: app}\n  pollingInterval: 60\n  minReplicaCount: 1\n  triggers:\n"
        "  - {type: prometheus, useCachedMetrics: true, metadata: {serverAddress: 'http://prom:9090', query: load, "
        "threshold: '10'}}\n"
        "  - {type: prometheus, metadata: {serverAddress: 'http://prom:9090', query: other, threshold: '10'}}\n";
    struct running r = {.prom = {{.query = "load", .value = 10}, {.query = "other", .value = 5}}, .prom_count = 2};

    (void)state;
    running_start(&r, NULL);
    stage_workload(r.stage, "default", "Deployment", "app", 1);
    running_manifest(&r, "a.yaml", two);
    running_until(&r, 10 * 60);
    assert_in_range(r.prom[0].asked, 10, 12);
    assert_in_range(r.prom[1].asked, 39, 42);
    running_stop(&r);
}

static void jobs_are_created_once_per_poll(void **state)
{
    static const char job[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n"
        "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n"
        "  pollingInterval: 10\n  maxReplicaCount: 20\n  triggers:\n"
        "  - {type: prometheus, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '1'}}\n";
    struct running r = {.prom = {{.query = "load", .value = 4}}, .prom_count = 1};

    (void)state;
    running_start(&r, NULL);
    running_manifest(&r, "j.yaml", job);
    running_until(&r, 5);
    assert_int_equal(stage_jobs(r.stage, "work", false), 4);
    running_until(&r, 100);
    assert_int_equal(stage_jobs(r.stage, "work", false), 4);
    r.prom[0].value = 7;
    running_until(&r, 120);
    assert_int_equal(stage_jobs(r.stage, "work", false), 7);
    running_stop(&r);
}

/* Four messages; each job has taken one. */
static void say_what_is_left(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static char body[128];
    struct stage *stage = *(struct stage **)arg;

    (void)request;
    snprintf(body, sizeof(body), "{\"status\":\"success\",\"data\":{\"result\":[{\"value\":[0,\"%d\"]}]}}",
             4 - (int)stage_jobs(stage, "work", false));
    reply->content_type = "application/json";
    reply->body = body;
    reply->after_ms = 1500;
}

/* Asked before the jobs were there, answered after: the same messages, not more of them. */
static void a_late_answer_creates_no_job_again(void **state)
{
    static const char job[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n"
        "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n"
        "  pollingInterval: 1\n  maxReplicaCount: 50\n  scalingStrategy: {strategy: eager}\n  triggers:\n"
        "  - {type: prometheus, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '1'}}\n";
    struct stage_options options = {.seed = 1, .start_at_ms = START_MS};
    struct running r = {.prom_count = 0};

    (void)state;
    for (options.write_takes_ms = 100; options.write_takes_ms <= 2500; options.write_takes_ms += 300) {
        running_start(&r, &options);
        virtual_answer(stage_world(r.stage), "http://prom", say_what_is_left, &r.stage);
        running_manifest(&r, "j.yaml", job);
        running_until(&r, 60);
        assert_int_equal(stage_jobs(r.stage, "work", false), 4);
        running_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_scales_up_at_once_and_down_after_the_window),
        cmocka_unit_test(zero_wakes_at_once_and_sleeps_after_the_cooldown),
        cmocka_unit_test(what_wakes_is_asked_often_at_once),
        cmocka_unit_test(no_data_holds_for_half_an_hour),
        cmocka_unit_test(a_failure_holds_for_good_or_until_fallback),
        cmocka_unit_test(an_edit_pauses_and_resumes),
        cmocka_unit_test(a_bad_edit_changes_nothing_and_says_so),
        cmocka_unit_test(what_is_removed_is_forgotten_and_may_come_back),
        cmocka_unit_test(a_restart_remembers_from_the_journal),
        cmocka_unit_test(cached_metrics_are_asked_at_the_polling_interval_only),
        cmocka_unit_test(jobs_are_created_once_per_poll),
        cmocka_unit_test(a_late_answer_creates_no_job_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

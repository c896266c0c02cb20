/* What somebody asks for by hand: pause, resume, refresh; on this machine, where it is kept beside the manifest, and in a cluster, where
   it is an annotation. */
#include "running.h"

#define OBJECT "ScaledObject/default/app"
#define JOB    "ScaledJob/default/work"

static const char trigger[] = "  triggers:\n"
                              "  - type: prometheus\n"
                              "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";

static char *manifest(const char *annotations)
{
    static char yaml[2048];

    snprintf(yaml, sizeof(yaml),
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations: {%s}\nspec:\n"
             "  scaleTargetRef: {name: app}\n  minReplicaCount: 1\n%s",
             annotations, trigger);
    return yaml;
}

static void begin(struct running *r)
{
    *r = (struct running){.prom = {{.query = "load", .value = 20}}, .prom_count = 1};
    running_start(r, NULL);
    stage_workload(r->stage, "default", "Deployment", "app", 1);
    running_manifest(r, "a.yaml", manifest(""));
    running_until(r, 20);
    assert_int_equal(stage_replicas(r->stage, "app"), 2);
}

struct outcome {
    int done;
    enum error_kind kind; /* of what done was told */
};

static void on_done(void *arg, const struct error *err)
{
    struct outcome *outcome = arg;

    outcome->done++;
    outcome->kind = err ? err->kind : ERROR_NONE;
}

static bool act(struct running *r, const char *key, enum autoscaler_action action, struct error *err)
{
    struct outcome outcome = {0};
    bool acts = autoscaler_act(stage_autoscaler(r->stage), key, action, "alice", "10.0.0.7:1", on_done, &outcome, err);

    running_until(r, stage_now_ms(r->stage) / SECOND_MS + 1);
    assert_int_equal(outcome.done, acts);
    return acts && outcome.kind == ERROR_NONE;
}

static bool does(struct running *r, enum autoscaler_action action)
{
    struct error err;

    return act(r, OBJECT, action, &err);
}

static bool is_paused(struct running *r)
{
    return strcmp(look(r, OBJECT).reason, "paused") == 0;
}

/* ------------------------------------------------------------------ here */

static void paused_nothing_is_asked_or_scaled(void **state)
{
    struct running r;
    unsigned asked;

    (void)state;
    begin(&r);
    assert_true(does(&r, ACTION_PAUSE));
    assert_true(is_paused(&r));
    asked = r.prom[0].asked;
    r.prom[0].value = 70;
    running_until(&r, 100);
    assert_int_equal(r.prom[0].asked, asked);
    assert_int_equal(stage_replicas(r.stage, "app"), 2);
    assert_true(does(&r, ACTION_PAUSE)); /* once more is no error */
    assert_true(does(&r, ACTION_RESUME));
    assert_int_equal(stage_replicas(r.stage, "app"), 4); /* at once, and no faster than at other times */
    assert_true(does(&r, ACTION_RESUME));
    assert_false(is_paused(&r));
    running_stop(&r);
}

/* What was asked for is found again after a kill -9; what was taken back too. */
static void a_restart_knows(void **state)
{
    struct running r;

    (void)state;
    begin(&r);
    assert_true(does(&r, ACTION_PAUSE));
    stage_restart(r.stage);
    r.prom[0].value = 70;
    running_until(&r, 100);
    assert_true(is_paused(&r));
    assert_int_equal(stage_replicas(r.stage, "app"), 2);
    assert_true(does(&r, ACTION_RESUME));
    stage_restart(r.stage);
    running_until(&r, 200);
    assert_false(is_paused(&r));
    assert_int_equal(stage_replicas(r.stage, "app"), 7);
    running_stop(&r);
}

/* A manifest that changes its mind is obeyed; one that changes in other ways leaves what was asked for. */
static void the_manifest_has_the_last_word(void **state)
{
    static const struct {
        const char *what, *before;
        enum autoscaler_action action;
        const char *after;
        bool paused;
    } rows[] = {
        {"paused, something else changes", "", ACTION_PAUSE, "a: b", true},
        {"paused, then by the manifest", "", ACTION_PAUSE, "autoscaling.keda.sh/paused: 'true'", true},
        {"resumed, something else changes", "autoscaling.keda.sh/paused: 'true'", ACTION_RESUME,
         "autoscaling.keda.sh/paused: 'true', a: b", false},
        {"resumed, then by the manifest", "autoscaling.keda.sh/paused: 'true'", ACTION_RESUME, "", false},
        {"resumed, then false", "autoscaling.keda.sh/paused: 'true'", ACTION_RESUME,
         "autoscaling.keda.sh/paused: 'false'", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct running r;

        begin(&r);
        running_manifest(&r, "a.yaml", manifest(rows[i].before));
        running_until(&r, 40);
        assert_true(does(&r, rows[i].action));
        assert_int_equal(is_paused(&r), rows[i].action == ACTION_PAUSE);
        running_manifest(&r, "a.yaml", manifest(rows[i].after));
        running_until(&r, 80);
        if (is_paused(&r) != rows[i].paused)
            fail_msg("%s", rows[i].what);
        /* And when the manifest changed its mind, it decides alone from then on. */
        running_manifest(&r, "a.yaml", manifest(""));
        running_until(&r, 120);
        assert_int_equal(is_paused(&r), i == 0);
        stage_restart(r.stage);
        running_until(&r, 160);
        assert_int_equal(is_paused(&r), i == 0);
        running_stop(&r);
    }
}

static void an_object_that_comes_back_begins_anew(void **state)
{
    struct running r;

    (void)state;
    begin(&r);
    assert_true(does(&r, ACTION_PAUSE));
    running_manifest(&r, "a.yaml", NULL);
    running_until(&r, 40);
    running_manifest(&r, "a.yaml", manifest(""));
    running_until(&r, 80);
    assert_false(is_paused(&r));
    running_stop(&r);
}

static void refresh_asks_now(void **state)
{
    struct running r;
    unsigned asked;

    (void)state;
    begin(&r);
    running_until(&r, 21);
    asked = r.prom[0].asked;
    r.prom[0].value = 50;
    assert_true(does(&r, ACTION_REFRESH));
    assert_int_equal(r.prom[0].asked, asked + 1);
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    running_stop(&r);
}

/* Two objects ask the same: the answer the other has just got is too old for who wants one now. */
static void refresh_is_not_content_with_anothers_answer(void **state)
{
    static const char other[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: other}\nspec:\n"
                                "  scaleTargetRef: {name: other}\n  triggers:\n  - type: prometheus\n"
                                "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";
    struct running r;
    unsigned asked;

    (void)state;
    begin(&r);
    stage_workload(r.stage, "default", "Deployment", "other", 1);
    running_manifest(&r, "b.yaml", other);
    running_until(&r, 60);
    assert_true(does(&r, ACTION_REFRESH));
    asked = r.prom[0].asked;
    assert_true(does(&r, ACTION_REFRESH));
    assert_int_equal(r.prom[0].asked, asked + 1);
    running_stop(&r);
}

static void what_is_not_possible(void **state)
{
    static const struct {
        const char *key, *annotations;
        enum autoscaler_action action;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {"ScaledObject/default/nothing", "", ACTION_PAUSE, ERROR_MISSING, "there is no ScaledObject/default/nothing"},
        {OBJECT, "autoscaling.keda.sh/paused: 'true'", ACTION_REFRESH, ERROR_INVALID, "resume it first"},
        {OBJECT, "autoscaling.keda.sh/paused-replicas: '3'", ACTION_RESUME, ERROR_INVALID, "held at 3 replicas"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct running r;
        struct error err;

        begin(&r);
        running_manifest(&r, "a.yaml", manifest(rows[i].annotations));
        running_until(&r, 40);
        assert_false(act(&r, rows[i].key, rows[i].action, &err));
        assert_int_equal(err.kind, rows[i].kind);
        assert_non_null(strstr(err.text, rows[i].text));
        running_stop(&r);
    }
}

static void jobs_are_paused_too(void **state)
{
    static const char job[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n  pollingInterval: 10\n"
        "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n"
        "  triggers:\n  - type: prometheus\n    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: "
        "'10'}\n";
    struct running r;
    struct error err;

    (void)state;
    begin(&r);
    r.prom[0].value = 0;
    running_manifest(&r, "j.yaml", job);
    running_until(&r, 30);
    assert_true(act(&r, JOB, ACTION_PAUSE, &err));
    r.prom[0].value = 30;
    running_until(&r, 90);
    assert_int_equal(stage_jobs(r.stage, "work", false), 0);
    assert_true(act(&r, JOB, ACTION_RESUME, &err));
    running_until(&r, 120);
    assert_int_equal(stage_jobs(r.stage, "work", false), 3);
    running_stop(&r);
}

/* ------------------------------------------------------------------ in a cluster */

static void in_a_cluster_it_is_an_annotation(void **state)
{
    struct running r = {.prom = {{.query = "load", .value = 20}}, .prom_count = 1};

    (void)state;
    running_start(&r, NULL);
    stage_cluster(r.stage);
    stage_workload(r.stage, "default", "Deployment", "app", 1);
    stage_resource(r.stage, manifest("\"a\": \"b\""));
    running_until(&r, 20);
    assert_true(does(&r, ACTION_PAUSE));
    running_until(&r, 25);
    assert_non_null(strstr(stage_metadata(r.stage, OBJECT), "\"autoscaling.keda.sh/paused\":\"true\""));
    assert_non_null(strstr(stage_metadata(r.stage, OBJECT), "\"a\":\"b\""));
    assert_true(is_paused(&r));
    assert_int_equal(stage_events(r.stage, OBJECT, "ActionRequested", "pause was asked for by alice"), 1);
    assert_true(does(&r, ACTION_RESUME));
    running_until(&r, 30);
    assert_null(strstr(stage_metadata(r.stage, OBJECT), "autoscaling.keda.sh/paused"));
    assert_false(is_paused(&r));
    running_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paused_nothing_is_asked_or_scaled),
        cmocka_unit_test(a_restart_knows),
        cmocka_unit_test(the_manifest_has_the_last_word),
        cmocka_unit_test(an_object_that_comes_back_begins_anew),
        cmocka_unit_test(refresh_asks_now),
        cmocka_unit_test(refresh_is_not_content_with_anothers_answer),
        cmocka_unit_test(what_is_not_possible),
        cmocka_unit_test(jobs_are_paused_too),
        cmocka_unit_test(in_a_cluster_it_is_an_annotation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The autoscaler in a cluster, on virtual time: what it says of an object (status, events), what it makes of what the control
 * plane tells, and what it leaves alone.
 */
#include "running.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/tree.h"

#define OBJECT "ScaledObject/shop/app"
#define HEAD                                                                                                           \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  namespace: shop\n  annotations: {"
#define SPEC                                                                                                           \
    "}\nspec:\n  scaleTargetRef: {name: app}\n  triggers:\n  - type: prometheus\n"                                     \
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n"
#define FALLBACK "  fallback: {failureThreshold: 2, replicas: 5}\n"

struct play {
    struct running r;
    int64_t now_s;
};

static void begin_at(struct play *p, int32_t replicas)
{
    *p = (struct play){
        .r = {.prom = {{.query = "load", .value = 30}, {.query = "other", .value = 10}}, .prom_count = 2}};
    running_start(&p->r, NULL);
    stage_cluster(p->r.stage);
    stage_workload(p->r.stage, "shop", "Deployment", "app", replicas);
}

static void end(struct play *p)
{
    running_stop(&p->r);
}

static void put(struct play *p, const char *annotations, const char *more)
{
    char yaml[4096];

    snprintf(yaml, sizeof(yaml), "%s%s%s%s", HEAD, annotations, SPEC, more);
    stage_resource(p->r.stage, yaml);
}

static void pass(struct play *p, int64_t s)
{
    running_until(&p->r, p->now_s += s);
}

/* ---- looking at a status ---- */

static void status_text(struct play *p, const char *key, const char *path, char *out, size_t size)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree;
    struct text text;
    const char *json = stage_status(p->r.stage, key);
    const struct tree *node;

    assert_non_null(json);
    assert_true(tree_read_json(json, strlen(json), false, arena, &tree, NULL));
    node = tree_at(tree, path);
    text_init(&text, 64 * 1024);
    if (node && node->type == TREE_STRING)
        text_add(&text, tree_string(node));
    else if (node)
        tree_write_json(node, &text);
    snprintf(out, size, "%s", text.bytes);
    text_done(&text);
    arena_free(arena);
}

static void assert_status(struct play *p, const char *path, const char *want)
{
    char have[2000];

    status_text(p, OBJECT, path, have, sizeof(have));
    assert_string_equal(have, want);
}

/* "True ScaledObjectReady" of one condition, and its message. */
static void condition(struct play *p, const char *key, const char *type, char *out, size_t size, char *message)
{
    char path[64], have[600];

    snprintf(out, size, "none");
    for (int i = 0; i < 5; i++) {
        char status[32], reason[100];

        snprintf(path, sizeof(path), "conditions.%d.type", i);
        status_text(p, key, path, have, sizeof(have));
        if (strcmp(have, type) != 0)
            continue;
        snprintf(path, sizeof(path), "conditions.%d.status", i);
        status_text(p, key, path, status, sizeof(status));
        snprintf(path, sizeof(path), "conditions.%d.reason", i);
        status_text(p, key, path, reason, sizeof(reason));
        snprintf(path, sizeof(path), "conditions.%d.message", i);
        status_text(p, key, path, message, 600);
        snprintf(out, size, "%s %s", status, reason);
    }
}

static void assert_condition(struct play *p, const char *type, const char *want, const char *message)
{
    char have[200], text[600] = "";

    condition(p, OBJECT, type, have, sizeof(have), text);
    assert_string_equal(have, want);
    if (message && !strstr(text, message))
        fail_msg("%s: the message is \"%s\", without \"%s\"", type, text, message);
}

static size_t events(struct play *p, const char *reason, const char *text)
{
    return stage_events(p->r.stage, OBJECT, reason, text);
}

/* ---- looking at the log ---- */

static FILE *log_file;
static int log_stderr;

static void log_begin(void)
{
    log_file = tmpfile();
    assert_non_null(log_file);
    fflush(stderr);
    log_stderr = dup(2);
    assert_int_equal(dup2(fileno(log_file), 2), 2);
    log_set_level(LOG_LEVEL_INFO);
}

/* How many lines have that in them so far. */
static size_t log_lines(const char *what)
{
    char line[4096];
    size_t count = 0;

    fflush(stderr);
    rewind(log_file);
    while (fgets(line, sizeof(line), log_file))
        count += strstr(line, what) != NULL;
    return count;
}

static void log_end(void)
{
    fflush(stderr);
    dup2(log_stderr, 2);
    close(log_stderr);
    fclose(log_file);
    log_set_level(LOG_LEVEL_ERROR);
}

/* ------------------------------------------------------------------ */

static void a_new_object_is_ready_with_one_write(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", "");
    pass(&p, 5);
    assert_condition(&p, "Ready", "True ScaledObjectReady", "is defined correctly and is ready for scaling");
    assert_condition(&p, "Active", "True ScalerActive", "triggers are active");
    assert_condition(&p, "Fallback", "False NoFallbackFound", NULL);
    assert_condition(&p, "Paused", "False ", NULL);
    assert_status(&p, "scaleTargetKind", "apps/v1.Deployment");
    assert_status(&p, "scaleTargetGVKR.resource", "deployments");
    assert_status(&p, "originalReplicaCount", "1");
    assert_status(&p, "externalMetricNames", "[\"s0-prometheus\"]");
    assert_status(&p, "triggersTypes", "prometheus");
    assert_status(&p, "triggersActivity", "{\"s0-prometheus\":{\"isActive\":true}}");
    assert_int_equal(stage_status_writes(p.r.stage), 1);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Started scalers watch"), 1);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Scaler prometheus is built"), 1);
    assert_int_equal(events(&p, "ScaledObjectReady", "ScaledObject is ready for scaling"), 1);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    end(&p);
}

static void steady_says_nothing_more(void **state)
{
    struct play p;
    size_t said;

    (void)state;
    begin_at(&p, 0);
    p.r.prom[0].value = 0;
    put(&p, "", FALLBACK);
    pass(&p, 60);
    uint64_t writes = stage_status_writes(p.r.stage);
    said = stage_events(p.r.stage, NULL, NULL, NULL);
    pass(&p, 24 * 3600);
    assert_int_equal(stage_status_writes(p.r.stage), writes);
    assert_int_equal(stage_events(p.r.stage, NULL, NULL, NULL), said);
    p.r.prom[0].value = 30;
    pass(&p, 120);
    writes = stage_status_writes(p.r.stage);
    pass(&p, 3600); /* active: the last activity is refreshed, six times an hour */
    assert_in_range(stage_status_writes(p.r.stage), writes + 5, writes + 7);
    end(&p);
}

static void the_last_activity_is_exact_once_it_is_over(void **state)
{
    struct play p;
    char at[64];
    int64_t ms;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", "");
    pass(&p, 200);
    p.r.prom[0].value = 0;
    pass(&p, 60);
    assert_condition(&p, "Active", "False ScalerCooldown", "cooling down");
    status_text(&p, OBJECT, "lastActiveTime", at, sizeof(at));
    assert_true(instant_parse(at, &ms));
    assert_in_range((uint64_t)(ms - START_MS), 180 * SECOND_MS, 202 * SECOND_MS);
    pass(&p, 600);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 0);
    assert_int_equal(events(&p, "KEDAScaleTargetDeactivated", "Deactivated apps/v1.Deployment shop/app from 3 to 0"),
                     1);
    p.r.prom[0].value = 30;
    pass(&p, 60);
    assert_int_equal(events(&p, "KEDAScaleTargetActivated", "from 0 to 3, triggered by s0-prometheus"), 1);
    end(&p);
}

static void failing_falls_back_with_few_writes(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", FALLBACK);
    pass(&p, 60);
    p.r.prom[0].mode = PROM_DOWN;
    uint64_t writes = stage_status_writes(p.r.stage);
    pass(&p, 3600);
    assert_condition(&p, "Fallback", "True FallbackExists", NULL);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    assert_status(&p, "health.s0-prometheus", "{\"numberOfFailures\":3,\"status\":\"Failing\"}");
    assert_int_equal(events(&p, "ScaledObjectFallbackActivated", "ScaledObject fallback is active"), 1);
    assert_int_equal(events(&p, "KEDAScalerFailed", NULL), 1);
    assert_in_range(stage_status_writes(p.r.stage), writes + 3, writes + 12);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 5);
    p.r.prom[0].mode = PROM_VALUE;
    pass(&p, 60);
    assert_condition(&p, "Fallback", "False NoFallbackFound", NULL);
    assert_status(&p, "health.s0-prometheus", "{\"numberOfFailures\":0,\"status\":\"Happy\"}");
    assert_int_equal(events(&p, "ScaledObjectFallbackDeactivated", NULL), 1);
    end(&p);
}

static void without_fallback_the_message_says_why(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 2);
    p.r.prom[0].mode = PROM_DENIES;
    put(&p, "", "");
    pass(&p, 120);
    assert_condition(&p, "Ready", "False TriggerError",
                     "Triggers defined in ScaledObject are not working correctly: s0-prometheus: ");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 2);
    uint64_t writes = stage_status_writes(p.r.stage);
    pass(&p, 3600); /* what is held is no inactivity: its last activity goes on, six times an hour */
    assert_in_range(stage_status_writes(p.r.stage), writes, writes + 7);
    end(&p);
}

static void every_kind_of_pause(void **state)
{
    static const struct {
        const char *annotations, *ready, *count;
        int32_t after;
    } cases[] = {
        {"autoscaling.keda.sh/paused: 'true'", "ScaledObject is paused", "", 1},
        {"autoscaling.keda.sh/paused: ''", "ScaledObject is paused", "", 1},
        {"autoscaling.keda.sh/paused-replicas: '7'", "ScaledObject is paused", "7", 7},
        {"autoscaling.keda.sh/paused-replicas: '0'", "ScaledObject is paused", "0", 0},
        {"autoscaling.keda.sh/paused-scale-out: 'true'", "ready for scaling", "", 1},
        {"autoscaling.keda.sh/paused-scale-in: 'true'", "ready for scaling", "", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play p;

        begin_at(&p, 1);
        put(&p, cases[i].annotations, "");
        pass(&p, 120);
        assert_condition(&p, "Paused", "True ScaledObjectPaused", "ScaledObject is paused");
        assert_condition(&p, "Ready", "True ScaledObjectReady", cases[i].ready);
        assert_status(&p, "pausedReplicaCount", cases[i].count);
        assert_int_equal(stage_replicas(p.r.stage, "app"), cases[i].after);
        put(&p, "", "");
        pass(&p, 120);
        assert_condition(&p, "Paused", "False ScaledObjectUnpaused", "pause annotation removed for ScaledObject");
        assert_status(&p, "pausedReplicaCount", "");
        assert_int_equal(events(&p, "ScaledObjectPaused", NULL), 1);
        assert_int_equal(events(&p, "ScaledObjectUnpaused", NULL), 1);
        assert_int_equal(events(&p, "ScaledObjectReady", NULL), 1);
        end(&p);
    }
}

static void a_pause_that_is_no_number_is_one_and_is_not_right(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "autoscaling.keda.sh/paused-replicas: 'many'", "");
    pass(&p, 60);
    assert_condition(&p, "Ready", "False ScaledObjectCheckFailed", "paused-replicas is no number");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    end(&p);
}

static void what_no_webhook_saw_is_said_and_harms_nobody(void **state)
{
    static const struct {
        const char *spec, *message;
    } cases[] = {
        {"spec: {}", ""},
        {"spec: {scaleTargetRef: {name: bad}, triggers: []}",
         "ScaledObject doesn't have correct triggers specification: spec.triggers"},
        {"spec: {scaleTargetRef: {name: bad}, minReplicaCount: 5, maxReplicaCount: 2, triggers: [{type: cron, "
         "metadata: "
         "{}}]}",
         "ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification: "},
        {"spec: {scaleTargetRef: {name: bad}, triggers: [{type: nosuchtype, metadata: {}}]}",
         "failed to ensure HPA is correctly created for ScaledObject: "},
        {"spec: 17", ""},
    };
    char yaml[1000], have[200], message[600];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play p;

        begin_at(&p, 1);
        stage_workload(p.r.stage, "shop", "Deployment", "bad", 1);
        snprintf(yaml, sizeof(yaml),
                 "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: bad, namespace: shop}\n%s\n",
                 cases[i].spec);
        stage_resource(p.r.stage, yaml);
        put(&p, "", "");
        pass(&p, 60);
        condition(&p, "ScaledObject/shop/bad", "Ready", have, sizeof(have), message);
        assert_string_equal(have, "False ScaledObjectCheckFailed");
        if (!strstr(message, cases[i].message))
            fail_msg("\"%s\" without \"%s\"", message, cases[i].message);
        condition(&p, "ScaledObject/shop/bad", "Active", have, sizeof(have), message);
        assert_string_equal(have, "Unknown UnknownState");
        assert_int_equal(stage_events(p.r.stage, "ScaledObject/shop/bad", "ScaledObjectCheckFailed", NULL), 1);
        assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
        assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
        end(&p);
    }
}

static void a_formula_that_fails_says_why(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 2);
    put(&p, "", "    name: load\n  advanced: {scalingModifiers: {formula: load / 0, target: '10'}}\n");
    pass(&p, 60);
    assert_condition(&p, "Ready", "False TriggerError", "the formula failed: not-finite");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 2);
    end(&p);
}

static void put_owner(struct play *p, const char *name, const char *query, const char *annotations)
{
    char yaml[2000];

    snprintf(
        yaml, sizeof(yaml),
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: %s, namespace: shop, annotations: {%s}}\n"
        "spec:\n  scaleTargetRef: {name: app}\n  triggers:\n"
        "  - {type: prometheus, metadata: {serverAddress: 'http://prom:9090', query: %s, threshold: '10'}}\n",
        name, annotations, query);
    stage_resource(p->r.stage, yaml);
}

static void assert_ready_of(struct play *p, const char *name, const char *want, const char *says)
{
    char key[100], have[200], message[600] = "";

    snprintf(key, sizeof(key), "ScaledObject/shop/%s", name);
    condition(p, key, "Ready", have, sizeof(have), message);
    if (strcmp(have, want) != 0 || !strstr(message, says))
        fail_msg("%s: %s \"%s\" instead of %s \"%s\"", name, have, message, want, says);
}

/* load asks for 3, other for 1: whoever writes is seen. */
static void a_target_has_one_owner_the_one_that_was_there_first(void **state)
{
    static const char refused[] = "the workload 'app' of type 'apps/v1.Deployment' is already managed by the "
                                  "ScaledObject 'b'";
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put_owner(&p, "c", "other", ""); /* told first, but of two made at once the name decides */
    put_owner(&p, "b", "load", "");
    put_owner(&p, "o", "other", "weir.dev/mode: observe");
    pass(&p, 60);
    put_owner(&p, "a", "other", "");
    pass(&p, 600);
    assert_ready_of(&p, "b", "True ScaledObjectReady", "");
    assert_ready_of(&p, "a", "False ScaledObjectCheckFailed", refused);
    assert_ready_of(&p, "c", "False ScaledObjectCheckFailed", refused);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);

    stage_restart(p.r.stage);
    pass(&p, 600);
    assert_ready_of(&p, "b", "True ScaledObjectReady", "");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);

    stage_resource_delete(p.r.stage, "ScaledObject/shop/b");
    pass(&p, 600);
    assert_ready_of(&p, "c", "True ScaledObjectReady", "");
    assert_ready_of(&p, "a", "False ScaledObjectCheckFailed", "ScaledObject 'c'");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    end(&p);
}

/* Refused, it goes on with what it scaled before, and nobody else gets that. */
static void who_turns_to_the_target_of_another_keeps_its_own(void **state)
{
    char have[200], message[600];
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_workload(p.r.stage, "shop", "Deployment", "mine", 1);
    put_owner(&p, "b", "load", "");
    stage_resource(p.r.stage, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: m, namespace: shop}\n"
                              "spec: {scaleTargetRef: {name: mine}, triggers: [{type: prometheus, metadata: "
                              "{serverAddress: 'http://prom:9090', query: load, threshold: '10'}}]}\n");
    pass(&p, 60);
    put_owner(&p, "m", "other", "");
    stage_resource(p.r.stage, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: w, namespace: shop}\n"
                              "spec: {scaleTargetRef: {name: mine}, triggers: [{type: prometheus, metadata: "
                              "{serverAddress: 'http://prom:9090', query: other, threshold: '10'}}]}\n");
    pass(&p, 600);
    assert_ready_of(&p, "m", "False ScaledObjectCheckFailed", "already managed by the ScaledObject 'b'");
    assert_ready_of(&p, "w", "False ScaledObjectCheckFailed", "already managed by the ScaledObject 'm'");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_int_equal(stage_replicas(p.r.stage, "mine"), 3);

    stage_resource_delete(p.r.stage, "ScaledObject/shop/b");
    pass(&p, 600);
    condition(&p, "ScaledObject/shop/w", "Ready", have, sizeof(have), message);
    assert_ready_of(&p, "m", "True ScaledObjectReady", "");
    assert_string_equal(have, "True ScaledObjectReady"); /* m has let go of it */
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    end(&p);
}

static void a_missing_target_is_said_and_found_later(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_workload_remove(p.r.stage, "app");
    put(&p, "", "");
    pass(&p, 60);
    assert_condition(&p, "Ready", "False ScaledObjectCheckFailed",
                     "ScaledObject doesn't have correct scaleTargetRef specification: ");
    assert_int_equal(events(&p, "ScaledObjectCheckFailed", "Target resource doesn't exist"), 1);
    assert_int_equal(events(&p, "ScaledObjectCheckFailed", "ScaledObject doesn't have correct scaleTargetRef"), 1);
    stage_workload(p.r.stage, "shop", "Deployment", "app", 1);
    pass(&p, 60);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    end(&p);
}

static void a_restart_knows_from_the_status(void **state)
{
    struct play p;
    char yaml[2000];

    (void)state;
    begin_at(&p, 3);
    p.r.prom[0].value = 0;
    snprintf(yaml, sizeof(yaml),
             "%sstatus:\n  lastActiveTime: '2025-12-31T23:58:00Z'\n  originalReplicaCount: 9\n  conditions:\n"
             "  - {type: Ready, status: 'True', reason: ScaledObjectReady}\n"
             "  - {type: Active, status: 'False', reason: ScalerCooldown}\n"
             "  - {type: Fallback, status: 'False'}\n  - {type: Paused, status: 'False'}\n",
             HEAD SPEC);
    stage_resource(p.r.stage, yaml);
    pass(&p, 170); /* two minutes of five were over already */
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_status(&p, "originalReplicaCount", "9");
    pass(&p, 120);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 0);
    assert_int_equal(events(&p, "KEDAScalersStarted", NULL), 0);
    assert_int_equal(events(&p, "ScaledObjectReady", NULL), 0);
    end(&p);
}

static void the_failures_of_before_count(void **state)
{
    struct play p;
    char yaml[2000];

    (void)state;
    begin_at(&p, 1);
    p.r.prom[0].mode = PROM_DOWN;
    snprintf(yaml, sizeof(yaml), "%sstatus: {health: {s0-prometheus: {numberOfFailures: 2, status: Failing}}}\n",
             HEAD SPEC FALLBACK);
    stage_resource(p.r.stage, yaml);
    pass(&p, 10); /* one poll, which is the third failure: up, as far as one may go at once */
    assert_int_equal(stage_replicas(p.r.stage, "app"), 4);
    end(&p);
}

/* Ten ran under the HPA; that the load is gone now is no reason to take nine away at the moment of the hand-over. */
static void a_hand_over_takes_nothing_away(void **state)
{
    struct play p;
    char yaml[2000];

    (void)state;
    begin_at(&p, 10);
    p.r.prom[0].value = 5;
    stage_put_hpa(p.r.stage, "shop", "keda-hpa-app", "uid-1");
    snprintf(yaml, sizeof(yaml),
             "%sstatus:\n  hpaName: keda-hpa-app\n  lastActiveTime: '2025-12-31T23:59:30Z'\n  conditions:\n"
             "  - {type: Ready, status: 'True', reason: ScaledObjectReady}\n"
             "  - {type: Active, status: 'True', reason: ScalerActive}\n",
             HEAD SPEC);
    stage_resource(p.r.stage, yaml);
    pass(&p, 240);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 10);
    assert_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_status(&p, "hpaName", "");
    pass(&p, 240);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    end(&p);
}

static void an_hpa_of_somebody_else_is_left_alone(void **state)
{
    struct play p;
    char yaml[2000];

    (void)state;
    begin_at(&p, 1);
    stage_put_hpa(p.r.stage, "shop", "mine", "uid-of-another");
    snprintf(yaml, sizeof(yaml), "%sstatus: {hpaName: mine}\n", HEAD SPEC);
    stage_resource(p.r.stage, yaml);
    pass(&p, 60);
    assert_non_null(stage_hpa(p.r.stage, "shop", "mine"));
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    end(&p);
}

static void observing_writes_nothing(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_put_hpa(p.r.stage, "shop", "keda-hpa-app", "uid-1");
    put(&p, "weir.dev/mode: observe", "");
    stage_resource(p.r.stage, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
                              "metadata: {name: bad, namespace: shop, annotations: {weir.dev/mode: observe}}\n"
                              "spec: {triggers: []}\n");
    pass(&p, 600);
    assert_int_equal(stage_status_writes(p.r.stage), 0);
    assert_int_equal(stage_events(p.r.stage, NULL, NULL, NULL), 0);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_int_equal(look(&p.r, OBJECT).after, 3); /* decided all the same */
    stage_resource(p.r.stage, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
                              "metadata: {name: bad, namespace: shop, annotations: {weir.dev/mode: observe}, "
                              "finalizers: [finalizer.keda.sh]}\nspec: {triggers: []}\n");
    stage_resource_delete(p.r.stage, OBJECT);
    stage_resource_delete(p.r.stage, "ScaledObject/shop/bad");
    pass(&p, 60);
    assert_true(stage_resource_exists(p.r.stage, "ScaledObject/shop/bad")); /* it is KEDA's to let go */
    assert_int_equal(stage_events(p.r.stage, NULL, NULL, NULL), 0);
    end(&p);
}

static void only_who_may_write_does(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_may_write(p.r.stage, false);
    put(&p, "", "");
    pass(&p, 120);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    assert_int_equal(stage_status_writes(p.r.stage), 0);
    stage_may_write(p.r.stage, true);
    pass(&p, 60);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    end(&p);
}

static void what_moves_away_is_not_touched(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", "  advanced: {restoreToOriginalReplicaCount: true}\n");
    pass(&p, 60);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    uint64_t writes = stage_status_writes(p.r.stage);
    size_t said = stage_events(p.r.stage, NULL, NULL, NULL);
    stage_resource_move(p.r.stage, OBJECT, true);
    pass(&p, 600);
    assert_false(look(&p.r, OBJECT).found);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_int_equal(stage_status_writes(p.r.stage), writes);
    assert_int_equal(stage_events(p.r.stage, NULL, NULL, NULL), said);
    stage_resource_move(p.r.stage, OBJECT, false);
    pass(&p, 60);
    assert_true(look(&p.r, OBJECT).has_decision);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_status(&p, "originalReplicaCount", "1");
    end(&p);
}

static void a_deleted_object_gives_back_and_lets_go(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_resource(p.r.stage,
                   "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
                   "metadata: {name: app, namespace: shop, finalizers: [finalizer.keda.sh]}\nspec:\n"
                   "  scaleTargetRef: {name: app}\n  advanced: {restoreToOriginalReplicaCount: true}\n  triggers:\n"
                   "  - type: prometheus\n"
                   "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n");
    pass(&p, 60);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    stage_resource_delete(p.r.stage, OBJECT);
    assert_true(stage_resource_exists(p.r.stage, OBJECT));
    pass(&p, 5);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 1);
    assert_false(stage_resource_exists(p.r.stage, OBJECT));
    assert_false(look(&p.r, OBJECT).found);
    assert_int_equal(events(&p, "ScaledObjectDeleted", "ScaledObject was deleted"), 1);
    end(&p);
}

static const char finalized[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
    "metadata: {name: app, namespace: shop, finalizers: [finalizer.keda.sh]}\nspec:\n"
    "  scaleTargetRef: {name: app}\n  advanced: {restoreToOriginalReplicaCount: true}\n  triggers:\n"
    "  - type: prometheus\n    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";

/* The lease is being renewed, and then it is not. */
static void an_end_waits_until_it_may_be_written(void **state)
{
    static const int64_t waits_s[] = {10, 120};

    (void)state;
    for (size_t i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
        bool in_time = i == 0;
        struct play p;

        begin_at(&p, 1);
        stage_resource(p.r.stage, finalized);
        pass(&p, 60);
        assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
        log_begin();
        stage_may_write(p.r.stage, false);
        stage_resource_delete(p.r.stage, OBJECT);
        pass(&p, waits_s[i]);
        assert_true(stage_resource_exists(p.r.stage, OBJECT));
        stage_may_write(p.r.stage, true);
        pass(&p, 5);
        assert_int_equal(stage_replicas(p.r.stage, "app"), in_time ? 1 : 3);
        assert_int_equal(stage_resource_exists(p.r.stage, OBJECT), !in_time);
        assert_int_equal(log_lines("left out"), in_time ? 0 : 1);
        log_end();
        end(&p);
    }
}

static void an_end_that_waits_does_not_outlive_us(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_resource(p.r.stage, finalized);
    pass(&p, 60);
    stage_may_write(p.r.stage, false);
    stage_resource_delete(p.r.stage, OBJECT);
    pass(&p, 5);
    end(&p);
}

static void made_anew_under_its_name_it_is_another(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", "");
    pass(&p, 60);
    stage_resource_delete(p.r.stage, OBJECT);
    put(&p, "", "");
    pass(&p, 60);
    assert_true(look(&p.r, OBJECT).has_decision);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    assert_status(&p, "originalReplicaCount", "3");
    end(&p);
}

/* ------------------------------------------------------------------ data and authentications */

#define AUTH                                                                                                           \
    "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login, namespace: shop}\n"            \
    "spec: {secretTargetRef: [{parameter: bearerToken, name: passwords, key: token}]}\n"
#define WITH_AUTH                                                                                                      \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: %s, namespace: shop}\nspec:\n"                 \
    "  scaleTargetRef: {name: app}\n  triggers:\n  - type: prometheus\n    authenticationRef: {name: login}\n"         \
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10', authModes: bearer}\n"

static void put_with_auth(struct play *p, const char *name)
{
    char yaml[1000];

    snprintf(yaml, sizeof(yaml), WITH_AUTH, name);
    stage_resource(p->r.stage, yaml);
}

static void data_is_waited_for(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", NULL);
    stage_resource(p.r.stage, AUTH);
    put_with_auth(&p, "app");
    pass(&p, 60);
    assert_true(look(&p.r, OBJECT).found);
    assert_false(look(&p.r, OBJECT).has_policy);
    assert_string_equal(look(&p.r, OBJECT).ready, "Unknown");
    assert_int_equal(stage_events(p.r.stage, OBJECT, NULL, NULL), 0);
    stage_data(p.r.stage, "shop", "passwords", "token", "secret-of-ours");
    pass(&p, 20);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    assert_status(&p, "authenticationsTypes", "login");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    assert_null(strstr(stage_status(p.r.stage, OBJECT), "secret-of-ours"));
    assert_int_equal(stage_events(p.r.stage, NULL, NULL, "secret-of-ours"), 0);
    end(&p);
}

static void a_rotated_secret_touches_its_users_only(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_workload(p.r.stage, "shop", "Deployment", "other", 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_resource(p.r.stage, AUTH);
    put_with_auth(&p, "app");
    stage_resource(p.r.stage,
                   "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: other, namespace: shop}\n"
                   "spec: {scaleTargetRef: {name: other}, triggers: [{type: prometheus, metadata: "
                   "{serverAddress: 'http://prom:9090', query: other, threshold: '10'}}]}\n");
    pass(&p, 60);
    uint64_t told = stage_told_again(p.r.stage);
    stage_data(p.r.stage, "shop", "passwords", "token", "two");
    pass(&p, 1);
    assert_int_equal(stage_told_again(p.r.stage), told + 1);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Scaler prometheus is built"), 2);
    stage_data(p.r.stage, "shop", "nobody", "token", "x");
    pass(&p, 1);
    assert_int_equal(stage_told_again(p.r.stage), told + 1);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    end(&p);
}

static void an_authentication_whose_users_are_observed_is_left_alone(void **state)
{
    static const char object[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
                                 "metadata: {name: app, namespace: shop, annotations: {weir.dev/mode: %s}}\nspec:\n"
                                 "  scaleTargetRef: {name: app}\n  triggers:\n  - type: prometheus\n"
                                 "    authenticationRef: {name: login}\n    metadata: {serverAddress: "
                                 "'http://prom:9090', query: load, threshold: '10', authModes: bearer}\n";
    struct play p;
    char yaml[1000], have[200];

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_resource(p.r.stage, AUTH "status: {scaledobjects: 'app,another', scaledjobs: ''}\n");
    snprintf(yaml, sizeof(yaml), object, "observe");
    stage_resource(p.r.stage, yaml);
    pass(&p, 60);
    assert_int_equal(look(&p.r, OBJECT).after, 3);
    assert_int_equal(stage_status_writes(p.r.stage), 0);
    snprintf(yaml, sizeof(yaml), object, "direct");
    stage_resource(p.r.stage, yaml);
    pass(&p, 60);
    status_text(&p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
    assert_string_equal(have, "app");
    end(&p);
}

/* Also where the list was right already when we came. */
static void the_last_user_of_an_authentication_leaves_an_empty_list(void **state)
{
    struct play p;
    char have[200];

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    put_with_auth(&p, "app");
    stage_resource(p.r.stage, AUTH "status: {scaledobjects: app, scaledjobs: ''}\n");
    pass(&p, 60);
    stage_resource_delete(p.r.stage, OBJECT);
    pass(&p, 5);
    status_text(&p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
    assert_string_equal(have, "");
    end(&p);
}

static void assert_users(struct play *p, const char *names)
{
    char have[200];

    status_text(p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
    assert_string_equal(have, names);
}

/* They are told one after the other when the lease is back: those not told yet use it all the same. */
static void while_not_all_users_are_known_again_their_list_stays(void **state)
{
    static const char *const all[] = {"ScaledObject/shop/b", "ScaledObject/shop/a", "TriggerAuthentication/shop/login"};
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_resource(p.r.stage, AUTH);
    put_with_auth(&p, "a");
    put_with_auth(&p, "b");
    pass(&p, 5);
    assert_users(&p, "a,b");
    for (int i = 0; i < 3; i++)
        stage_resource_move(p.r.stage, all[i], true);
    pass(&p, 5);
    stage_resource_move(p.r.stage, all[2], false);
    stage_resource_move(p.r.stage, all[1], false);
    pass(&p, 5);
    assert_users(&p, "a,b");
    end(&p);
}

/* Objects are spread over several Weirs: whoever writes the list names all of them, and it is written when it may be. */
static void users_that_other_weirs_look_after_are_listed(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_resource(p.r.stage, AUTH);
    put_with_auth(&p, "a");
    stage_elsewhere(p.r.stage, true);
    put_with_auth(&p, "b");
    put(&p, "", "");
    pass(&p, 5);
    assert_users(&p, "a,b");
    stage_resource_move(p.r.stage, "ScaledObject/shop/a", true);
    pass(&p, 5);
    assert_users(&p, "a,b");
    stage_may_write(p.r.stage, false);
    stage_resource_delete(p.r.stage, "ScaledObject/shop/b");
    pass(&p, 60);
    assert_users(&p, "a,b");
    stage_may_write(p.r.stage, true); /* who wrote it has ended */
    pass(&p, 60);
    assert_users(&p, "a");
    stage_elsewhere(p.r.stage, false);
    put_with_auth(&p, "b");
    stage_resource_move(p.r.stage, "ScaledObject/shop/a", false);
    pass(&p, 5);
    assert_users(&p, "a,b");
    end(&p);
}

/* The Weir that writes an authentication's list is another one for a while, and ends: what stands there is its. */
static void a_list_of_users_that_another_weir_wrote_is_mended(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_resource(p.r.stage, AUTH);
    put_with_auth(&p, "a");
    pass(&p, 5);
    assert_users(&p, "a");
    stage_may_write(p.r.stage, false);
    put_with_auth(&p, "b");
    pass(&p, 5);
    stage_resource(p.r.stage, AUTH "status: {scaledobjects: 'a,b', scaledjobs: ''}\n");
    stage_resource_delete(p.r.stage, "ScaledObject/shop/b");
    pass(&p, 5);
    stage_may_write(p.r.stage, true);
    pass(&p, 60);
    assert_users(&p, "a");
    end(&p);
}

static void the_last_user_left_while_another_weir_wrote(void **state)
{
    static const char other[] = "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\n"
                                "metadata: {name: n%d, namespace: shop}\n"
                                "spec: {secretTargetRef: [{parameter: bearerToken, name: passwords, key: token}]}\n";
    struct play p;
    char yaml[400];

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    stage_may_write(p.r.stage, false);
    stage_resource(p.r.stage, AUTH "status: {scaledobjects: app, scaledjobs: ''}\n");
    put_with_auth(&p, "app");
    pass(&p, 5);
    stage_resource_delete(p.r.stage, OBJECT);
    pass(&p, 5);
    for (int i = 0; i < 7; i++) { /* what is new meanwhile puts nothing off */
        snprintf(yaml, sizeof(yaml), other, i);
        stage_resource(p.r.stage, yaml);
        pass(&p, 10);
    }
    stage_may_write(p.r.stage, true);
    pass(&p, 13);
    assert_users(&p, "");
    end(&p);
}

/* By its name, at once, in an event and in the condition; until it is gone. */
static void another_autoscaler_is_named(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 3);
    put(&p, "", "");
    pass(&p, 20);
    assert_condition(&p, "Ready", "True ScaledObjectReady", "is defined correctly");
    stage_workload_rival(p.r.stage, "app", "by-hand");
    pass(&p, 60);
    assert_int_equal(events(&p, "KEDAScaleTargetContested", "the HorizontalPodAutoscaler by-hand"), 1);
    assert_int_equal(events(&p, "KEDAScaleTargetContested", NULL), 1);
    assert_condition(&p, "Ready", "True ScaledObjectReady",
                     "the HorizontalPodAutoscaler by-hand scales the same target");
    stage_workload_rival(p.r.stage, "app", NULL);
    pass(&p, 60);
    assert_condition(&p, "Ready", "True ScaledObjectReady", "is defined correctly");
    end(&p);
}

/* Once for each version that says something else; what was there before is no news. */
static void parameters_that_mean_nothing_are_said(void **state)
{
    static const char odd[] =
        HEAD "}\nspec:\n  scaleTargetRef: {name: app}\n  pollingInterval: %d\n  triggers:\n  - type: prometheus\n"
             "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10', treshold: '5'}\n%s";
    struct play p;
    char yaml[2000];

    (void)state;
    begin_at(&p, 1);
    for (int i = 0; i < 2; i++) {
        snprintf(yaml, sizeof(yaml), odd, 10 + i, "");
        stage_resource(p.r.stage, yaml);
        pass(&p, 5);
        assert_int_equal(events(&p, "KEDAScalerInfo", "treshold"), 1);
    }
    end(&p);
    begin_at(&p, 1);
    snprintf(yaml, sizeof(yaml), odd, 10,
             "status: {conditions: [{type: Ready, status: 'True', reason: ScaledObjectReady}]}\n");
    stage_resource(p.r.stage, yaml);
    pass(&p, 5);
    assert_int_equal(events(&p, "KEDAScalerInfo", NULL), 0);
    end(&p);
}

static void an_authentication_lists_its_users(void **state)
{
    struct play p;
    char have[200];

    (void)state;
    begin_at(&p, 1);
    stage_data(p.r.stage, "shop", "passwords", "token", "one");
    pass(&p, 5);
    stage_resource(p.r.stage, AUTH);
    pass(&p, 5);
    assert_int_equal(stage_events(p.r.stage, "TriggerAuthentication/shop/login", "TriggerAuthenticationAdded",
                                  "New TriggerAuthentication configured"),
                     1);
    for (int i = 0; i < 2; i++) {
        put_with_auth(&p, i ? "b" : "a");
        pass(&p, 5);
        status_text(&p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
        assert_string_equal(have, i ? "a,b" : "a");
    }
    stage_resource_delete(p.r.stage, "ScaledObject/shop/a");
    pass(&p, 5);
    status_text(&p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
    assert_string_equal(have, "b");
    stage_resource_delete(p.r.stage, "ScaledObject/shop/b");
    pass(&p, 5);
    status_text(&p, "TriggerAuthentication/shop/login", "scaledobjects", have, sizeof(have));
    assert_string_equal(have, "");
    stage_resource(
        p.r.stage,
        "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login, namespace: shop}\n"
        "spec: {secretTargetRef: [{parameter: bearerToken, name: passwords, key: other}]}\n");
    pass(&p, 5);
    assert_int_equal(stage_events(p.r.stage, NULL, "ClusterTriggerAuthenticationUpdated", "login is updated"), 1);
    stage_resource_delete(p.r.stage, "TriggerAuthentication/shop/login");
    pass(&p, 5);
    assert_int_equal(stage_events(p.r.stage, NULL, "TriggerAuthenticationDeleted", "was deleted"), 1);
    end(&p);
}

/* ------------------------------------------------------------------ hpa mode */

static void assert_in(const char *text, const char *part)
{
    assert_non_null(text);
    if (!strstr(text, part))
        fail_msg("%s\nis without\n%s", text, part);
}

static void hpa_mode_makes_keda_s_object(void **state)
{
    struct play p;
    const char *hpa;

    (void)state;
    begin_at(&p, 0);
    put(&p, "weir.dev/mode: hpa, team: a",
        "  minReplicaCount: 2\n  maxReplicaCount: 9\n"
        "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: "
        "{stabilizationWindowSeconds: 60}}}}\n");
    pass(&p, 60);
    hpa = stage_hpa(p.r.stage, "shop", "keda-hpa-app");
    assert_in(hpa, "\"minReplicas\":2,\"maxReplicas\":9");
    assert_in(hpa, "\"scaleTargetRef\":{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"app\"}");
    assert_in(hpa, "{\"type\":\"External\",\"external\":{\"metric\":{\"name\":\"s0-prometheus\",\"selector\":"
                   "{\"matchLabels\":{\"scaledobject.keda.sh/name\":\"app\"}}},\"target\":{\"type\":\"AverageValue\","
                   "\"averageValue\":\"10\"}}}");
    assert_in(hpa, "\"app.kubernetes.io/managed-by\":\"keda-operator\"");
    assert_in(hpa, "\"app.kubernetes.io/part-of\":\"app\"");
    assert_in(hpa, "\"team\":\"a\"");
    assert_in(hpa, "\"uid\":\"uid-1\",\"controller\":true,\"blockOwnerDeletion\":true");
    assert_in(hpa, "\"behavior\":{\"scaleDown\":{\"stabilizationWindowSeconds\":60}}");
    assert_in(stage_metadata(p.r.stage, OBJECT), "\"scaledobject.keda.sh/name\":\"app\"");
    assert_status(&p, "hpaName", "keda-hpa-app");
    assert_int_equal(stage_replicas(p.r.stage, "app"), 2); /* and no further: the HPA does the rest */
    stage_hpa_says(p.r.stage, "shop", "keda-hpa-app", "True", "ValidMetricFound", "fine");
    pass(&p, 60);
    assert_condition(&p, "HPAActive", "True HPAActive", "HPA is actively scaling");
    stage_hpa_says(p.r.stage, "shop", "keda-hpa-app", "False", "FailedGetExternalMetric", "no metrics");
    pass(&p, 60);
    assert_condition(&p, "HPAActive", "False FailedGetExternalMetric", "HPA is not actively scaling: no metrics");
    end(&p);
}

/* An HPA may ask at any time, and values are taken from the last decision by the place of their trigger. */
static void other_triggers_are_not_shown_with_the_decision_of_before(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    assert_true(look(&p.r, OBJECT).has_decision);
    p.r.prom[1].mode = PROM_HANGS;
    stage_resource(p.r.stage, HEAD "weir.dev/mode: hpa}\nspec:\n  scaleTargetRef: {name: app}\n  triggers:\n"
                                   "  - type: prometheus\n    metadata: {serverAddress: 'http://prom:9090', "
                                   "query: other, threshold: '10'}\n");
    pass(&p, 1);
    assert_true(look(&p.r, OBJECT).has_policy);
    assert_false(look(&p.r, OBJECT).has_decision);
    p.r.prom[1].mode = PROM_VALUE;
    pass(&p, 60);
    assert_true(look(&p.r, OBJECT).has_decision);
    end(&p);
}

static void pausing_takes_the_hpa_away(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    put(&p, "weir.dev/mode: hpa, autoscaling.keda.sh/paused: 'true'", "");
    pass(&p, 60);
    assert_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    put(&p, "weir.dev/mode: hpa, autoscaling.keda.sh/paused-scale-in: 'true'", "");
    pass(&p, 60);
    assert_in(stage_hpa(p.r.stage, "shop", "keda-hpa-app"), "\"scaleDown\":{\"selectPolicy\":\"Disabled\"}");
    end(&p);
}

static void renamed_the_old_hpa_goes(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    put(&p, "weir.dev/mode: hpa", "  advanced: {horizontalPodAutoscalerConfig: {name: mine}}\n");
    pass(&p, 60);
    assert_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_non_null(stage_hpa(p.r.stage, "shop", "mine"));
    assert_status(&p, "hpaName", "mine");
    end(&p);
}

/* Paused, renamed, deleted: the name in the status is no proof of whose it is. */
static void in_hpa_mode_too_an_hpa_of_somebody_else_stays(void **state)
{
    static const char *const annotations[] = {"weir.dev/mode: hpa",
                                              "weir.dev/mode: hpa, autoscaling.keda.sh/paused: 'true'"};
    char yaml[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++) {
        struct play p;

        begin_at(&p, 1);
        stage_put_hpa(p.r.stage, "shop", "victim", "uid-of-another");
        snprintf(
            yaml, sizeof(yaml),
            "%s%s}\nspec:\n  scaleTargetRef: {name: app}\n  advanced: {restoreToOriginalReplicaCount: "
            "true}\n  triggers:\n  - {type: prometheus, metadata: {serverAddress: 'http://prom:9090', query: load, "
            "threshold: '10'}}\nstatus: {hpaName: victim, originalReplicaCount: 1}\n",
            HEAD, annotations[i]);
        stage_resource(p.r.stage, yaml);
        pass(&p, 60);
        assert_non_null(stage_hpa(p.r.stage, "shop", "victim"));
        stage_resource_delete(p.r.stage, OBJECT);
        pass(&p, 60);
        assert_non_null(stage_hpa(p.r.stage, "shop", "victim"));
        end(&p);
    }
}

static void an_hpa_that_could_not_be_put_is_put_again(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_fail_writes(p.r.stage, 2); /* the second: the label that is set makes the object be told again */
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 20);
    assert_condition(&p, "Ready", "False ScaledObjectCheckFailed", "failed to ensure HPA is correctly created");
    pass(&p, 120);
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    end(&p);
}

/* No replica changes when the mode does: what ran under the HPA is what was wished for last. */
static void from_hpa_to_direct_and_to_observe(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    stage_scale(p.r.stage, "app", 8); /* as the HPA would */
    put(&p, "weir.dev/mode: direct", "");
    pass(&p, 120);
    assert_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_int_equal(stage_replicas(p.r.stage, "app"), 8);
    assert_status(&p, "hpaName", "");
    pass(&p, 300);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    put(&p, "weir.dev/mode: observe", "");
    pass(&p, 60);
    uint64_t writes = stage_status_writes(p.r.stage);
    pass(&p, 600);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_int_equal(stage_status_writes(p.r.stage), writes);
    end(&p);
}

static void a_small_target_keeps_its_digits(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "weir.dev/mode: hpa",
        "    name: load\n  - {type: cpu, metricType: Utilization, metadata: {value: '50'}}\n"
        "  advanced: {scalingModifiers: {formula: 'load / 1000', target: '0.0015'}}\n");
    pass(&p, 60);
    assert_in(stage_hpa(p.r.stage, "shop", "keda-hpa-app"),
              "\"name\":\"composite-metric\",\"selector\":{\"matchLabels\":{\"scaledobject.keda.sh/name\":\"app\"}}},"
              "\"target\":{\"type\":\"AverageValue\",\"averageValue\":\"1500m\"}");
    assert_in(stage_hpa(p.r.stage, "shop", "keda-hpa-app"),
              "\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":50}}");
    assert_null(strstr(stage_hpa(p.r.stage, "shop", "keda-hpa-app"), "s0-prometheus"));
    assert_status(&p, "compositeScalerName", "composite-metric");
    assert_status(&p, "resourceMetricNames", "[\"cpu\"]");
    end(&p);
}

/* ------------------------------------------------------------------ jobs, and many */

#define JOB "ScaledJob/shop/work"
#define JOB_YAML(annotations)                                                                                          \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work, namespace: shop, annotations: "             \
    "{" annotations                                                                                                    \
    "}}\nspec:\n  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n"       \
    "  triggers:\n  - type: prometheus\n"                                                                              \
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n"

static void assert_job_condition(struct play *p, const char *type, const char *want)
{
    char have[200], message[600];

    condition(p, JOB, type, have, sizeof(have), message);
    assert_string_equal(have, want);
}

static void a_scaled_job_says_what_it_does(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_resource(p.r.stage, JOB_YAML(""));
    pass(&p, 20);
    assert_job_condition(&p, "Ready", "True ScaledJobReady");
    assert_job_condition(&p, "Active", "True ScalerActive");
    assert_int_equal(stage_jobs(p.r.stage, "work", false), 3);
    assert_int_equal(stage_events(p.r.stage, JOB, "ScaledJobReady", "ScaledJob is ready for scaling"), 1);
    assert_int_equal(stage_events(p.r.stage, JOB, "ScaledJobActive", NULL), 1);
    stage_resource(p.r.stage, JOB_YAML("autoscaling.keda.sh/paused: 'true'"));
    pass(&p, 60);
    assert_job_condition(&p, "Paused", "True ScaledJobPaused");
    assert_int_equal(stage_jobs(p.r.stage, "work", false), 3);
    stage_resource(p.r.stage, JOB_YAML(""));
    p.r.prom[0].mode = PROM_DOWN;
    pass(&p, 60);
    assert_job_condition(&p, "Paused", "False ScaledJobUnpaused");
    assert_job_condition(&p, "Ready", "False TriggerError");
    assert_job_condition(&p, "Active", "False ScalerNotActive");
    stage_resource_delete(p.r.stage, JOB);
    pass(&p, 5);
    assert_int_equal(stage_events(p.r.stage, JOB, "ScaledJobDeleted", "ScaledJob was deleted"), 1);
    end(&p);
}

/* What is only observed, or held back, was not done. */
static void the_log_says_what_became_of_a_decision(void **state)
{
    static const struct {
        const char *annotations;
        bool may_write;
        size_t scaled, would, held;
    } rows[] = {
        {"", true, 1, 0, 0},
        {"weir.dev/mode: observe", true, 0, 1, 0},
        {"", false, 0, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct play p;

        begin_at(&p, 1);
        log_begin();
        stage_may_write(p.r.stage, rows[i].may_write);
        put(&p, rows[i].annotations, "");
        pass(&p, 60);
        assert_int_equal(log_lines("msg=scaled"), rows[i].scaled);
        assert_int_equal(log_lines("msg=\"would scale\""), rows[i].would);
        assert_int_equal(log_lines("msg=\"held back\""), rows[i].held);
        stage_may_write(p.r.stage, true);
        pass(&p, 60);
        assert_int_equal(log_lines("msg=scaled"), rows[i].would ? 0 : 1);
        log_end();
        end(&p);
    }
}

static void the_first_decision_waits_for_the_target(void **state)
{
    struct autoscaler_stats stats;
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_known(p.r.stage, false);
    put(&p, "", "");
    pass(&p, 10);
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_int_equal(stats.decisions, 0);
    stage_known(p.r.stage, true);
    pass(&p, 2);
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_in_range(stats.decisions, 1, 2);
    assert_int_equal(stats.by_reason[REASON_UNREADABLE], 0);
    assert_int_equal(stage_replicas(p.r.stage, "app"), 3);
    end(&p);
    begin_at(&p, 1);
    stage_known(p.r.stage, false); /* and stays so: that is worth a record */
    put(&p, "", "");
    pass(&p, 60);
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_true(stats.by_reason[REASON_UNREADABLE] > 0);
    end(&p);
}

/* KEDA looks at the target before it makes the HPA (keda-operator/02 4.2). */
static void hpa_mode_waits_for_the_target(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_workload_remove(p.r.stage, "app");
    put(&p, "weir.dev/mode: hpa", "");
    pass(&p, 60);
    assert_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_condition(&p, "Ready", "False ScaledObjectCheckFailed", "scaleTargetRef");
    stage_workload(p.r.stage, "shop", "Deployment", "app", 1);
    pass(&p, 60);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    assert_condition(&p, "Ready", "True ScaledObjectReady", NULL);
    stage_workload_remove(p.r.stage, "app"); /* one that is there stays */
    put(&p, "weir.dev/mode: hpa, team: a", "");
    pass(&p, 60);
    assert_non_null(stage_hpa(p.r.stage, "shop", "keda-hpa-app"));
    end(&p);
}

static void what_is_not_asked_any_more_is_said_to_be_stopped(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    put(&p, "", "");
    pass(&p, 5);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Started scalers watch"), 1);
    put(&p, "autoscaling.keda.sh/paused: 'true'", "");
    pass(&p, 60);
    assert_int_equal(events(&p, "KEDAScalersStopped", "Stopped scalers watch"), 1);
    put(&p, "", "");
    pass(&p, 60);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Started scalers watch"), 2);
    assert_int_equal(events(&p, "KEDAScalersStarted", "Scaler prometheus is built"), 2);
    put(&p, "autoscaling.keda.sh/paused-scale-in: 'true'", ""); /* it goes on in the other direction */
    pass(&p, 60);
    assert_int_equal(events(&p, "KEDAScalersStopped", NULL), 1);
    stage_resource_delete(p.r.stage, OBJECT);
    pass(&p, 5);
    assert_int_equal(events(&p, "KEDAScalersStopped", NULL), 2);
    end(&p);
}

static void a_target_without_scale_is_told_in_kedas_words(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_workload_without_scale(p.r.stage, "app");
    put(&p, "", "");
    pass(&p, 60);
    assert_condition(&p, "Ready", "False ScaledObjectCheckFailed",
                     "ScaledObject doesn't have correct scaleTargetRef specification: Target resource doesn't expose "
                     "/scale subresource: it is a stone");
    assert_int_equal(events(&p, "ScaledObjectCheckFailed", NULL), 2); /* in short, and in full */
    assert_int_equal(events(&p, "ScaledObjectCheckFailed", "/scale subresource"), 2);
    assert_int_equal(events(&p, "ScaledObjectCheckFailed", "it is a stone"), 1);
    end(&p);
}

static void a_scaled_job_waits_until_its_jobs_are_known(void **state)
{
    struct play p;

    (void)state;
    begin_at(&p, 1);
    stage_known(p.r.stage, false);
    stage_resource(p.r.stage, JOB_YAML(""));
    pass(&p, 70);
    assert_int_equal(stage_jobs(p.r.stage, "work", false), 0);
    assert_int_equal(stage_events(p.r.stage, JOB, "KEDAJobCreateFailed", NULL), 0);
    assert_int_equal(stage_events(p.r.stage, JOB, "ScaledJobActive", NULL), 0);
    stage_put_jobs(p.r.stage, "work", 1, 0);
    stage_known(p.r.stage, true);
    pass(&p, 2);
    assert_int_equal(stage_jobs(p.r.stage, "work", false), 3); /* of which there was one */
    end(&p);
}

#define STRATEGY(words) "  scalingStrategy: {" words "}\n"

static void pods_are_looked_at_for_strategies_that_count_what_is_pending(void **state)
{
    static const struct {
        const char *strategy, *conditions;
    } rows[] = {
        {"", NULL},
        {STRATEGY("strategy: custom, pendingPodConditions: [Ready]"), NULL},
        {STRATEGY("strategy: accurate"), ""},
        {STRATEGY("strategy: eager, pendingPodConditions: [Ready, PodScheduled]"), "Ready,PodScheduled"},
    };
    char yaml[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct play p;
        const char *have;

        begin_at(&p, 1);
        snprintf(yaml, sizeof(yaml), "%s%s", JOB_YAML(""), rows[i].strategy);
        stage_resource(p.r.stage, yaml);
        pass(&p, 5);
        have = stage_pending_conditions(p.r.stage, "work");
        if (rows[i].conditions)
            assert_string_equal(have, rows[i].conditions);
        else
            assert_null(have);
        end(&p);
    }
}

static void many_are_loaded_a_bounded_number_a_turn(void **state)
{
    enum { MANY = 1000 };
    struct play p;
    char yaml[1000];

    (void)state;
    begin_at(&p, 0);
    p.r.prom[0].value = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(yaml, sizeof(yaml),
                 "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app-%d, namespace: shop}\n"
                 "spec: {scaleTargetRef: {name: app-%d}, triggers: [{type: prometheus, metadata: "
                 "{serverAddress: 'http://prom:9090', query: load, threshold: '10'}}]}\n",
                 i, i);
        stage_resource(p.r.stage, yaml);
    }
    struct autoscaler_stats stats;
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_int_equal(stats.objects, 0); /* nothing is done where it is told */
    pass(&p, 10);
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_int_equal(stats.objects, MANY);
    assert_true(stats.first_decisions_done_at_ms > 0);
    assert_int_equal(stage_status_writes(p.r.stage), MANY);
    stage_restart(p.r.stage);
    pass(&p, 10);
    autoscaler_stats(stage_autoscaler(p.r.stage), &stats);
    assert_int_equal(stats.objects, MANY);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_object_is_ready_with_one_write),
        cmocka_unit_test(steady_says_nothing_more),
        cmocka_unit_test(the_last_activity_is_exact_once_it_is_over),
        cmocka_unit_test(failing_falls_back_with_few_writes),
        cmocka_unit_test(without_fallback_the_message_says_why),
        cmocka_unit_test(every_kind_of_pause),
        cmocka_unit_test(a_pause_that_is_no_number_is_one_and_is_not_right),
        cmocka_unit_test(what_no_webhook_saw_is_said_and_harms_nobody),
        cmocka_unit_test(a_formula_that_fails_says_why),
        cmocka_unit_test(a_target_has_one_owner_the_one_that_was_there_first),
        cmocka_unit_test(who_turns_to_the_target_of_another_keeps_its_own),
        cmocka_unit_test(a_missing_target_is_said_and_found_later),
        cmocka_unit_test(a_restart_knows_from_the_status),
        cmocka_unit_test(the_failures_of_before_count),
        cmocka_unit_test(a_hand_over_takes_nothing_away),
        cmocka_unit_test(an_hpa_of_somebody_else_is_left_alone),
        cmocka_unit_test(observing_writes_nothing),
        cmocka_unit_test(only_who_may_write_does),
        cmocka_unit_test(what_moves_away_is_not_touched),
        cmocka_unit_test(a_deleted_object_gives_back_and_lets_go),
        cmocka_unit_test(an_end_waits_until_it_may_be_written),
        cmocka_unit_test(an_end_that_waits_does_not_outlive_us),
        cmocka_unit_test(made_anew_under_its_name_it_is_another),
        cmocka_unit_test(data_is_waited_for),
        cmocka_unit_test(a_rotated_secret_touches_its_users_only),
        cmocka_unit_test(an_authentication_whose_users_are_observed_is_left_alone),
        cmocka_unit_test(the_last_user_of_an_authentication_leaves_an_empty_list),
        cmocka_unit_test(while_not_all_users_are_known_again_their_list_stays),
        cmocka_unit_test(users_that_other_weirs_look_after_are_listed),
        cmocka_unit_test(a_list_of_users_that_another_weir_wrote_is_mended),
        cmocka_unit_test(the_last_user_left_while_another_weir_wrote),
        cmocka_unit_test(parameters_that_mean_nothing_are_said),
        cmocka_unit_test(another_autoscaler_is_named),
        cmocka_unit_test(an_authentication_lists_its_users),
        cmocka_unit_test(hpa_mode_makes_keda_s_object),
        cmocka_unit_test(other_triggers_are_not_shown_with_the_decision_of_before),
        cmocka_unit_test(pausing_takes_the_hpa_away),
        cmocka_unit_test(renamed_the_old_hpa_goes),
        cmocka_unit_test(in_hpa_mode_too_an_hpa_of_somebody_else_stays),
        cmocka_unit_test(an_hpa_that_could_not_be_put_is_put_again),
        cmocka_unit_test(from_hpa_to_direct_and_to_observe),
        cmocka_unit_test(a_small_target_keeps_its_digits),
        cmocka_unit_test(a_scaled_job_says_what_it_does),
        cmocka_unit_test(the_log_says_what_became_of_a_decision),
        cmocka_unit_test(the_first_decision_waits_for_the_target),
        cmocka_unit_test(what_is_not_asked_any_more_is_said_to_be_stopped),
        cmocka_unit_test(hpa_mode_waits_for_the_target),
        cmocka_unit_test(a_target_without_scale_is_told_in_kedas_words),
        cmocka_unit_test(a_scaled_job_waits_until_its_jobs_are_known),
        cmocka_unit_test(pods_are_looked_at_for_strategies_that_count_what_is_pending),
        cmocka_unit_test(many_are_loaded_a_bounded_number_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who looks on is told what changed, once a turn; what went; what was decided; and what happened, in a cluster's words without a cluster. */
#include "running.h"

#include "autoscaler/autoscaler.h"

static const char manifest[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n%sspec:\n"
    "  scaleTargetRef: {name: app}\n  cooldownPeriod: 60\n  triggers:\n  - type: prometheus\n"
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";

struct heard {
    struct running running;
    struct autoscaler_listener listener;
    struct text words; /* of events, and of what went */
    int changed, decided;
};

static void on_changed(void *arg, const char *key)
{
    struct heard *h = arg;

    assert_string_equal(key, "ScaledObject/default/app");
    h->changed++;
}

static void on_gone(void *arg, const char *key)
{
    struct heard *h = arg;

    text_printf(&h->words, "gone %s;", key);
}

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    struct heard *h = arg;

    assert_non_null(decided->decision);
    h->decided++;
}

static void on_event(void *arg, const struct autoscaler_event *event)
{
    struct heard *h = arg;

    assert_string_equal(event->ns, "default");
    assert_string_equal(event->kind, "ScaledObject");
    assert_string_equal(event->name, "app");
    assert_true(*event->text && event->at_ms >= START_MS);
    text_printf(&h->words, "%s%s;", event->warning ? "!" : "", event->reason);
}

static void put(struct heard *h, const char *annotations)
{
    char yaml[1024];

    snprintf(yaml, sizeof(yaml), manifest, annotations);
    running_manifest(&h->running, "a.yaml", yaml);
}

static void begin(struct heard *h)
{
    *h = (struct heard){.running = {.prom = {{.query = "load"}}, .prom_count = 1}};
    running_start(&h->running, NULL);
    stage_workload(h->running.stage, "default", "Deployment", "app", 0);
    text_init(&h->words, 64 * 1024);
    h->listener = (struct autoscaler_listener){
        .arg = h, .changed = on_changed, .gone = on_gone, .decided = on_decided, .event = on_event};
    autoscaler_listen(stage_autoscaler(h->running.stage), &h->listener);
}

static void end(struct heard *h)
{
    autoscaler_unlisten(stage_autoscaler(h->running.stage), &h->listener);
    running_stop(&h->running);
    text_done(&h->words);
}

#define assert_heard(h, wanted)                                                                                        \
    do {                                                                                                               \
        assert_string_equal((h)->words.bytes, wanted);                                                                 \
        text_clear(&(h)->words);                                                                                       \
    } while (0)

static void events_without_a_cluster(void **state)
{
    struct heard h;

    (void)state;
    begin(&h);
    put(&h, "");
    running_until(&h.running, 40);
    assert_heard(&h, "KEDAScalersStarted;KEDAScalersStarted;ScaledObjectReady;");
    h.running.prom[0].value = 25;
    running_until(&h.running, 80);
    assert_heard(&h, "KEDAScaleTargetActivated;");
    h.running.prom[0].mode = PROM_DOWN;
    running_until(&h.running, 140);
    assert_heard(&h, "!KEDAScalerFailed;");
    h.running.prom[0].mode = PROM_VALUE;
    h.running.prom[0].value = 0;
    running_until(&h.running, 300);
    assert_heard(&h, "KEDAScaleTargetDeactivated;");
    put(&h, "  annotations: {autoscaling.keda.sh/paused: 'true'}\n");
    running_until(&h.running, 340);
    assert_heard(&h, "KEDAScalersStopped;ScaledObjectPaused;");
    running_manifest(&h.running, "a.yaml", NULL);
    running_until(&h.running, 350);
    assert_heard(&h, "!ScaledObjectDeleted;gone ScaledObject/default/app;");
    end(&h);
}

static void a_bad_manifest_is_an_event(void **state)
{
    struct heard h;

    (void)state;
    begin(&h);
    put(&h, "");
    running_until(&h.running, 40);
    text_clear(&h.words);
    running_manifest(&h.running, "a.yaml",
                     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\nspec: {}\n");
    running_until(&h.running, 50);
    assert_heard(&h, "!ScaledObjectCheckFailed;");
    end(&h);
}

/* Each poll is a decision; a replica that came, and a write that was done, are changes of a turn of their own at most. */
static void changes_are_told_once_a_turn(void **state)
{
    struct heard h;

    (void)state;
    begin(&h);
    put(&h, "");
    running_until(&h.running, 20);
    assert_true(h.decided >= 1 && h.changed >= h.decided);
    int before = h.changed, decided = h.decided;
    running_until(&h.running, 140);
    assert_true(h.decided - decided >= 3);
    assert_int_equal(h.changed - before, h.decided - decided);
    before = h.changed;
    autoscaler_unlisten(stage_autoscaler(h.running.stage), &h.listener);
    running_until(&h.running, 240);
    assert_int_equal(h.changed, before);
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_without_a_cluster),
        cmocka_unit_test(a_bad_manifest_is_an_event),
        cmocka_unit_test(changes_are_told_once_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* CloudEvents on virtual time: which event goes where, what it looks like, and what becomes of it when the receiver is slow, refuses it,
   or is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "export/export_internal.h"
#include "manifest/manifest.h"
#include "sim/stage.h"
#include "sim/virtual.h"

#define START_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

/* ------------------------------------------------------------------ receivers */

struct receiver {
    const char *url;
    int status;         /* 0: connection refused */
    bool never;         /* does not answer */
    const char *poison; /* answers 500 to what has this in its body */
    const char *retry_after;
    struct text got; /* a line for each request that was taken */
    char last[1200]; /* of the last request: all headers and the body */
    unsigned asked;
};

static const char *header_of(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return "";
}

static void on_request(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header header;
    struct receiver *r = arg;
    bool poisoned = r->poison && strstr(request->body, r->poison);
    size_t at = 0;

    r->asked++;
    for (size_t i = 0; i < request->header_count; i++)
        at += (size_t)snprintf(r->last + at, sizeof(r->last) - at, "%s: %s\n", request->headers[i].name,
                               request->headers[i].value);
    snprintf(r->last + at, sizeof(r->last) - at, "%s\n", (const char *)request->body);
    reply->status = poisoned ? 500 : r->status;
    reply->never = r->never;
    reply->refused = r->status == 0;
    if (r->retry_after) {
        header = (struct http_header){.name = "retry-after", .value = r->retry_after};
        reply->headers = &header;
        reply->header_count = 1;
    }
    if (reply->status >= 200 && reply->status < 300 && !r->never)
        text_printf(&r->got, "%s %s\n", header_of(request, "ce-type"), header_of(request, "ce-subject"));
}

/* ------------------------------------------------------------------ a platform that has sources only */

struct world {
    struct virtual_world *virtual;
    struct platform platform;
    struct sources *sources;
    const struct event_source_listener *listener;
    char active[300]; /* of the source told last: "shop/a True CloudEventSourceActive: ..." */
    unsigned told;
};
static struct world *the_world;

static void on_watch(struct platform *platform, const struct event_source_listener *listener)
{
    (void)platform;
    the_world->listener = listener;
}

static void on_active(struct platform *platform, const char *ns, const char *name, bool active, const char *reason,
                      const char *message)
{
    (void)platform;
    the_world->told++;
    snprintf(the_world->active, sizeof(the_world->active), "%s/%s %s %s: %s", ns, name, active ? "True" : "False",
             reason, message);
}

static const struct platform_ops ops = {.event_sources_watch = on_watch, .event_source_active = on_active};

static void start(struct world *w, const char *own_namespace)
{
    *w = (struct world){.virtual = virtual_world_new(1, START_MS), .platform = {&ops}};
    the_world = w;
    log_set_level(LOG_LEVEL_ERROR);
    w->sources = sources_new(&(struct export_parts){.loop = virtual_loop(w->virtual),
                                                    .transport = virtual_transport(w->virtual),
                                                    .platform = &w->platform},
                             &(struct export_options){.cluster_name = "prod", .own_namespace = own_namespace});
}

static void stop(struct world *w)
{
    sources_free(w->sources);
    assert_int_equal(virtual_pending(w->virtual), 0);
    virtual_world_free(w->virtual);
}

static void receive(struct world *w, struct receiver *r)
{
    text_init(&r->got, 1000 * 1000);
    virtual_answer(w->virtual, r->url, on_request, r);
}

static void source(struct world *w, const char *ns, const char *name, const struct event_source *is)
{
    w->listener->changed(w->listener->arg, ns, name, is);
}

static void happens(struct world *w, const char *ns, const char *kind, const char *name, const char *reason,
                    const char *text)
{
    sources_event(w->sources, &(struct autoscaler_event){.ns = ns,
                                                         .kind = kind,
                                                         .name = name,
                                                         .reason = reason,
                                                         .text = text,
                                                         .at_ms = loop_now_ms(virtual_loop(w->virtual))});
}

static void until(struct world *w, int64_t s)
{
    virtual_run_until(w->virtual, START_MS + s * SECOND_MS);
}

/* ------------------------------------------------------------------ what is sent */

static void an_event_is_sent_as_keda_sends_it(void **state)
{
    struct receiver r = {.url = "http://sink/events", .status = 202};
    struct world w;

    (void)state;
    start(&w, "weir");
    receive(&w, &r);
    source(&w, "", "all", &(struct event_source){.http_uri = "http://sink/events"});
    assert_string_equal(w.active, "/all True CloudEventSourceActive: events are sent as they come");
    happens(&w, "Shop\xc3\xa9", "ScaledObject", "Checkout", "ScaledObjectReady", "is \"ready\"");
    until(&w, 1);
    assert_int_equal(r.asked, 1);
    char *id = strstr(r.last, "ce-id: ");
    assert_non_null(id);
    memset(id + 7, 'x', 36);
    assert_string_equal(r.last, "ce-specversion: 1.0\n"
                                "ce-id: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
                                "ce-type: keda.scaledobject.ready.v1\n"
                                "ce-source: /prod/weir/keda\n"
                                "ce-subject: /prod/Shop%C3%A9/scaledobject/checkout\n"
                                "ce-time: 2026-01-01T00:00:00.000Z\n"
                                "Content-Type: application/json\n"
                                "{\"reason\":\"ScaledObjectReady\",\"message\":\"is \\\"ready\\\"\"}\n");
    text_done(&r.got);
    stop(&w);
}

static void reasons_have_types(void **state)
{
    static const struct {
        const char *kind, *reason, *type;
    } rows[] = {
        {"ScaledObject", "ScaledObjectCheckFailed", "keda.scaledobject.failed.v1"},
        {"ScaledObject", "ScaledObjectDeleted", "keda.scaledobject.removed.v1"},
        {"ScaledObject", "KEDAScalersStarted", NULL},
        {"ScaledJob", "ScaledJobRolloutCleanupFailed", "keda.scaledjob.rolloutcleanup.failed.v1"},
        {"ScaledJob", "ScaledObjectReady", NULL},
        {"TriggerAuthentication", "ClusterTriggerAuthenticationUpdated",
         "keda.authentication.triggerauthentication.updated.v1"},
        {"ClusterTriggerAuthentication", "ClusterTriggerAuthenticationUpdated",
         "keda.authentication.clustertriggerauthentication.updated.v1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *type = cloud_event_type(rows[i].kind, rows[i].reason);

        if (!string_equal(type, rows[i].type))
            fail_msg("%s %s: %s", rows[i].kind, rows[i].reason, type ? type : "none");
    }
    for (size_t i = 0; event_types[i]; i++) { /* each type there is comes of some reason */
        static const char *const kinds[] = {"ScaledObject", "ScaledJob", "TriggerAuthentication",
                                            "ClusterTriggerAuthentication"};
        static const char *const reasons[] = {"ScaledObjectReady",
                                              "ScaledObjectCheckFailed",
                                              "ScaledObjectDeleted",
                                              "ScaledObjectPaused",
                                              "ScaledObjectUnpaused",
                                              "ScaledJobReady",
                                              "ScaledJobCheckFailed",
                                              "ScaledJobDeleted",
                                              "ScaledJobPaused",
                                              "ScaledJobUnpaused",
                                              "ScaledJobRolloutCleanupStarted",
                                              "ScaledJobRolloutCleanupCompleted",
                                              "ScaledJobRolloutCleanupFailed",
                                              "TriggerAuthenticationAdded",
                                              "TriggerAuthenticationDeleted",
                                              "ClusterTriggerAuthenticationAdded",
                                              "ClusterTriggerAuthenticationUpdated",
                                              "ClusterTriggerAuthenticationDeleted"};
        bool found = false;

        for (size_t k = 0; k < 4; k++)
            for (size_t j = 0; j < sizeof(reasons) / sizeof(reasons[0]); j++)
                found |= string_equal(cloud_event_type(kinds[k], reasons[j]), event_types[i]);
        if (!found)
            fail_msg("nothing makes %s", event_types[i]);
    }
}

static void each_gets_what_it_asked_for(void **state)
{
    static const char *const ready[] = {"keda.scaledobject.ready.v1", NULL}, *const none[] = {NULL};
    static const struct {
        const char *name, *ns; /* of the source, in a cluster whose Weir is in namespace "weir" */
        const char *const *included, *const *excluded;
        const char *got;
    } rows[] = {
        {"its own namespace", "shop", NULL, NULL, "ready shop failed shop"},
        {"another namespace", "bank", NULL, NULL, "ready bank"},
        {"of the cluster", "", NULL, NULL, "ready shop failed shop ready bank updated"},
        {"in Weir's own namespace", "weir", NULL, NULL, "ready shop failed shop ready bank updated"},
        {"only some", "shop", ready, NULL, "ready shop"},
        {"all but some", "shop", NULL, ready, "failed shop"},
        {"empty lists", "shop", none, none, "ready shop failed shop"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct receiver r = {.url = "http://sink", .status = 200};
        struct world w;
        char got[300] = "", *rest, *line;

        start(&w, "weir");
        receive(&w, &r);
        source(&w, rows[i].ns, "s",
               &(struct event_source){
                   .http_uri = "http://sink/", .included = rows[i].included, .excluded = rows[i].excluded});
        happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
        happens(&w, "shop", "ScaledObject", "a", "ScaledObjectCheckFailed", "");
        happens(&w, "shop", "ScaledObject", "a", "KEDAScalersStarted", "");
        happens(&w, "bank", "ScaledObject", "b", "ScaledObjectReady", "");
        happens(&w, "", "ClusterTriggerAuthentication", "t", "ClusterTriggerAuthenticationUpdated", "");
        until(&w, 1);
        for (rest = r.got.bytes; (line = strsep(&rest, "\n")) && *line;) {
            char type[40], ns[40] = "";

            sscanf(line, "keda.%*[^.].%39[a-z]", type);
            if (strstr(line, "authentication"))
                snprintf(type, sizeof(type), "updated");
            sscanf(strstr(line, " /prod/") + 7, "%39[^/]", ns);
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s%s%s", *got ? " " : "", type, *ns ? " " : "",
                     ns);
        }
        if (strcmp(got, rows[i].got) != 0)
            fail_msg("%s: got \"%s\"", rows[i].name, got);
        text_done(&r.got);
        stop(&w);
    }
}

/* ------------------------------------------------------------------ receivers that do not take it */

static size_t lines(const struct text *text)
{
    size_t count = 0;

    for (size_t i = 0; i < text->length; i++)
        count += text->bytes[i] == '\n';
    return count;
}

static void a_receiver_that_was_away_gets_all_of_it_in_order(void **state)
{
    struct receiver r = {.url = "http://sink", .status = 0};
    struct world w;

    (void)state;
    start(&w, NULL);
    receive(&w, &r);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/"});
    for (int i = 0; i < 5; i++) {
        char name[8];

        snprintf(name, sizeof(name), "a%d", i);
        happens(&w, "shop", "ScaledObject", name, "ScaledObjectReady", "");
    }
    until(&w, 2);
    assert_non_null(strstr(w.active, "shop/s False CloudEventSourceFailed: "));
    assert_non_null(strstr(w.active, "tried again"));
    unsigned told = w.told;
    until(&w, 2 * 3600);                         /* far beyond five attempts */
    assert_int_equal(w.told, told);              /* said once */
    assert_true(r.asked > 100 && r.asked < 200); /* once a minute */
    r.status = 200;
    until(&w, 2 * 3600 + 100);
    assert_string_equal(r.got.bytes, "keda.scaledobject.ready.v1 /prod/shop/scaledobject/a0\n"
                                     "keda.scaledobject.ready.v1 /prod/shop/scaledobject/a1\n"
                                     "keda.scaledobject.ready.v1 /prod/shop/scaledobject/a2\n"
                                     "keda.scaledobject.ready.v1 /prod/shop/scaledobject/a3\n"
                                     "keda.scaledobject.ready.v1 /prod/shop/scaledobject/a4\n");
    assert_string_equal(w.active, "shop/s True CloudEventSourceActive: events are delivered");
    assert_true(sources_are_idle(w.sources));
    text_done(&r.got);
    stop(&w);
}

static void failures_are_told_in_words(void **state)
{
    static const struct {
        struct receiver receiver;
        const char *says;
    } rows[] = {
        {{.status = 500}, "the receiver answers 500"},
        {{.status = 404}, "the receiver answers 404"},
        {{.status = 308}, "redirects are not followed"},
        {{.status = 200, .never = true}, "10 s"},
        {{.status = 0}, "refused"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct receiver r = rows[i].receiver;
        struct world w;

        r.url = "http://sink";
        start(&w, NULL);
        receive(&w, &r);
        source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/?token=canary"});
        happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
        until(&w, 15);
        if (!strstr(w.active, "False") || !strstr(w.active, rows[i].says) || strstr(w.active, "canary"))
            fail_msg("row %zu: %s", i, w.active);
        text_done(&r.got);
        stop(&w);
    }
}

static void one_event_that_fails_does_not_keep_the_others(void **state)
{
    struct receiver r = {.url = "http://sink", .status = 200, .poison = "poison"};
    struct world w;

    (void)state;
    start(&w, NULL);
    receive(&w, &r);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/"});
    happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "poison");
    happens(&w, "shop", "ScaledObject", "b", "ScaledObjectReady", "");
    until(&w, 60);
    assert_int_equal(lines(&r.got), 1);
    assert_false(sources_are_idle(w.sources)); /* it is still tried */
    r.poison = NULL;
    until(&w, 300);
    assert_int_equal(lines(&r.got), 2);
    text_done(&r.got);
    stop(&w);
}

static void what_the_receiver_finds_wrong_is_given_up(void **state)
{
    struct receiver r = {.url = "http://sink", .status = 422};
    struct world w;
    struct text metrics;

    (void)state;
    start(&w, NULL);
    receive(&w, &r);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/"});
    happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
    until(&w, 300);
    assert_int_equal(r.asked, EVENT_ATTEMPTS);
    assert_true(sources_are_idle(w.sources));
    text_init(&metrics, 100 * 1000);
    sources_write_metrics(w.sources, &metrics);
    assert_non_null(strstr(metrics.bytes, "weir_cloudeventsource_events_dropped_total{namespace=\"shop\","
                                          "cloudeventsource=\"s\"} 1\n"));
    assert_non_null(strstr(metrics.bytes, "keda_cloudeventsource_events_emitted_total{namespace=\"shop\","
                                          "cloudeventsource=\"s\",eventsink=\"http\",state=\"failed\"} 5\n"));
    assert_non_null(strstr(metrics.bytes, "keda_cloudeventsource_events_queued{namespace=\"shop\"} 0\n"));
    assert_non_null(
        strstr(metrics.bytes, "weir_cloudeventsource_active{namespace=\"shop\",cloudeventsource=\"s\"} 0\n"));
    text_done(&metrics);
    text_done(&r.got);
    stop(&w);
}

static void retry_after_is_heard(void **state)
{
    struct receiver r = {.url = "http://sink", .status = 429, .retry_after = "120"};
    struct world w;

    (void)state;
    start(&w, NULL);
    receive(&w, &r);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/"});
    happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
    until(&w, 119);
    assert_int_equal(r.asked, 1);
    until(&w, 122);
    assert_int_equal(r.asked, 2);
    text_done(&r.got);
    stop(&w);
}

static void a_full_queue_loses_the_oldest(void **state)
{
    struct receiver r = {.url = "http://sink", .status = 0};
    struct world w;
    char name[16];

    (void)state;
    start(&w, NULL);
    receive(&w, &r);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://sink/"});
    for (int i = 0; i < EVENT_QUEUE_MAX + 100; i++) {
        snprintf(name, sizeof(name), "a%d", i);
        happens(&w, "shop", "ScaledObject", name, "ScaledObjectReady", "");
    }
    until(&w, 10);
    r.status = 200;
    until(&w, 1000);
    assert_int_equal(lines(&r.got), EVENT_QUEUE_MAX);
    assert_null(strstr(r.got.bytes, "/a99\n"));
    assert_non_null(strstr(r.got.bytes, "/a100\n"));
    snprintf(name, sizeof(name), "/a%d\n", EVENT_QUEUE_MAX + 99);
    assert_non_null(strstr(r.got.bytes, name));
    text_done(&r.got);
    stop(&w);
}

/* Receivers that hang do not keep the others from theirs for longer than a few time-outs. */
static void many_that_hang_do_not_starve_one_that_answers(void **state)
{
    struct receiver hangs = {.url = "http://hangs", .status = 200, .never = true};
    struct receiver fine = {.url = "http://fine", .status = 200};
    struct world w;
    char name[16];

    (void)state;
    start(&w, NULL);
    receive(&w, &hangs);
    receive(&w, &fine);
    for (int i = 0; i < 3 * EVENT_SINKS_UNDER_WAY_MAX; i++) {
        snprintf(name, sizeof(name), "h%d", i);
        source(&w, "shop", name, &(struct event_source){.http_uri = "http://hangs/"});
    }
    source(&w, "shop", "fine", &(struct event_source){.http_uri = "http://fine/"});
    happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
    until(&w, 5);
    assert_int_equal(hangs.asked, EVENT_SINKS_UNDER_WAY_MAX);
    until(&w, 31);
    assert_int_equal(lines(&fine.got), 1);
    text_done(&hangs.got);
    text_done(&fine.got);
    stop(&w);
}

/* ------------------------------------------------------------------ sources that change */

static void a_source_without_receiver_says_so(void **state)
{
    static const struct {
        struct event_source source;
        const char *says;
    } rows[] = {
        {{.topic_endpoint = "https://t.eventgrid.azure.net"}, "azureEventGridTopic is not built in"},
        {{.http_uri = "sink:80"}, "write it as https"},
        {{.cluster_name = "c"}, "there is no destination"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        start(&w, NULL);
        source(&w, "shop", "s", &rows[i].source);
        if (!strstr(w.active, "False CloudEventSourceFailed") || !strstr(w.active, rows[i].says))
            fail_msg("row %zu: %s", i, w.active);
        happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
        assert_true(sources_are_idle(w.sources));
        stop(&w);
    }
}

static void a_new_address_gets_what_waits(void **state)
{
    struct receiver old = {.url = "http://old", .status = 503}, new = {.url = "http://new", .status = 200};
    struct world w;

    (void)state;
    start(&w, NULL);
    receive(&w, &old);
    receive(&w, &new);
    source(&w, "shop", "s", &(struct event_source){.http_uri = "http://old/"});
    happens(&w, "shop", "ScaledObject", "a", "ScaledObjectReady", "");
    until(&w, 100);
    source(&w, "shop", "s",
           &(struct event_source){.http_uri = "http://new/", .topic_endpoint = "https://t", .cluster_name = "blue"});
    until(&w, 101);
    assert_string_equal(new.got.bytes, "keda.scaledobject.ready.v1 /blue/shop/scaledobject/a\n");
    assert_non_null(strstr(w.active, "True"));
    source(&w, "shop", "s", NULL);
    happens(&w, "shop", "ScaledObject", "b", "ScaledObjectReady", "");
    until(&w, 200);
    assert_int_equal(lines(&new.got), 1);
    text_done(&old.got);
    text_done(&new.got);
    stop(&w);
}

/* ------------------------------------------------------------------ objects of files */

static struct platform_ops stage_ops;

static void objects_of_files_say_what_happens_to_them(void **state)
{
    static const char yaml[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations: {%s}\nspec:\n"
        "  scaleTargetRef: {name: app}\n  triggers:\n  - type: cron\n"
        "    metadata: {timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: \"2\"}\n";
    struct receiver r = {.url = "http://sink", .status = 200};
    struct stage *stage = stage_new(&(struct stage_options){.seed = 1, .start_at_ms = START_MS});
    struct world w = {.virtual = stage_world(stage)};
    struct export *e;
    char text[1000];

    (void)state;
    the_world = &w;
    log_set_level(LOG_LEVEL_ERROR);
    stage_ops = *stage_platform(stage)->ops;
    stage_ops.event_sources_watch = on_watch;
    stage_ops.resources_watch = NULL;
    stage_platform(stage)->ops = &stage_ops;
    assert_true(export_new(&(struct export_parts){virtual_loop(w.virtual), virtual_transport(w.virtual),
                                                  stage_platform(stage), stage_autoscaler(stage)},
                           &(struct export_options){0}, &e, NULL));
    receive(&w, &r);
    source(&w, "default", "s", &(struct event_source){.http_uri = "http://sink/"});
    stage_workload(stage, "default", "Deployment", "app", 1);
    snprintf(text, sizeof(text), yaml, "");
    stage_manifest(stage, "a.yaml", text, strlen(text));
    stage_run_until(stage, 60 * SECOND_MS);
    snprintf(text, sizeof(text), yaml, "autoscaling.keda.sh/paused: \"true\"");
    stage_manifest(stage, "a.yaml", text, strlen(text));
    stage_run_until(stage, 120 * SECOND_MS);
    snprintf(text, sizeof(text), yaml, "");
    stage_manifest(stage, "a.yaml", text, strlen(text));
    stage_run_until(stage, 180 * SECOND_MS);
    snprintf(text, sizeof(text), "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\n");
    stage_manifest(stage, "a.yaml", text, strlen(text));
    stage_run_until(stage, 240 * SECOND_MS);
    stage_manifest(stage, "a.yaml", NULL, 0);
    stage_run_until(stage, 300 * SECOND_MS);
#define TYPE(name) "keda.scaledobject." name ".v1 /kubernetes-default/default/scaledobject/app\n"
    assert_string_equal(r.got.bytes, TYPE("ready") TYPE("paused") TYPE("unpaused") TYPE("failed") TYPE("removed"));
    text_done(&r.got);
    export_free(e);
    stage_free(stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_have_types),
        cmocka_unit_test(an_event_is_sent_as_keda_sends_it),
        cmocka_unit_test(each_gets_what_it_asked_for),
        cmocka_unit_test(a_receiver_that_was_away_gets_all_of_it_in_order),
        cmocka_unit_test(failures_are_told_in_words),
        cmocka_unit_test(one_event_that_fails_does_not_keep_the_others),
        cmocka_unit_test(what_the_receiver_finds_wrong_is_given_up),
        cmocka_unit_test(retry_after_is_heard),
        cmocka_unit_test(a_full_queue_loses_the_oldest),
        cmocka_unit_test(many_that_hang_do_not_starve_one_that_answers),
        cmocka_unit_test(a_source_without_receiver_says_so),
        cmocka_unit_test(a_new_address_gets_what_waits),
        cmocka_unit_test(objects_of_files_say_what_happens_to_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

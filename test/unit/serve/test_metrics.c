/* /metrics: lines, families, pages made at once and in slices, what is chosen of them, and that what is deleted is gone. */
#include "../autoscaler/running.h"
#include "fake_server.h"

#include <math.h>

#include "base/histogram.h"
#include "serve/metrics_internal.h"
#include "serve/serve.h"

#define OBJECT(name, query)                                                                                            \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: " name                                         \
    ", namespace: shop}\nspec:\n  scaleTargetRef: {name: app-a}\n  maxReplicaCount: 7\n  triggers:\n  - type: "        \
    "prometheus\n"                                                                                                     \
    "    metadata: {serverAddress: http://prom, query: " query ", threshold: \"10\"}\n"

struct page_test {
    struct running running;
    struct server server;
    struct serve_metrics *metrics;
    struct server_pending replies[3];
};

static int setup(void **state)
{
    struct page_test *t = mem_alloc(sizeof(*t));

    running_start(&t->running, NULL);
    t->running.prom_count = 2;
    t->running.prom[0] = (struct prometheus_says){"load", PROM_VALUE, 25, 0};
    t->running.prom[1] = (struct prometheus_says){"nothing", PROM_EMPTY, 0, 0};
    stage_workload(t->running.stage, "shop", "Deployment", "app-a", 1);
    t->metrics = serve_metrics_new(stage_autoscaler(t->running.stage));
    serve_metrics_route(t->metrics, &t->server);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct page_test *t = *state;

    serve_metrics_free(t->metrics);
    running_stop(&t->running);
    free(t);
    return 0;
}

static void ask(struct page_test *t, const char *path, int reply)
{
    fake_send(&t->server, &(struct fake_request){.path = path}, &t->replies[reply]);
}

static size_t lines_with(const char *page, const char *words)
{
    size_t count = 0;

    for (const char *at = page; (at = strstr(at, words)); at++)
        count++;
    return count;
}

#define assert_line(t, line) assert_non_null(strstr((t)->replies[0].body, "\n" line "\n"))

/* ------------------------------------------------------------------ lines */

static void labels_are_escaped(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 1000);
    metrics_label(&out, "a", "plain", true);
    metrics_label(&out, "b", "say \"x\\y\"\n", false);
    assert_string_equal(out.bytes, "a=\"plain\",b=\"say \\\"x\\\\y\\\"\\n\"");
    text_done(&out);
}

static void values_are_the_shortest_that_read_back(void **state)
{
    static const struct {
        double value;
        const char *line;
    } rows[] = {
        {0, " 0\n"},
        {-7, " -7\n"},
        {25, " 25\n"},
        {0.1, " 0.1\n"},
        {1e21, " 1e+21\n"},
        {NAN, " NaN\n"},
        {INFINITY, " +Inf\n"},
        {123456789012345.0, " 123456789012345\n"},
        {-INFINITY, " -Inf\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text out;

        text_init(&out, 1000);
        metrics_value(&out, rows[i].value);
        assert_string_equal(out.bytes, rows[i].line);
        text_done(&out);
    }
}

static void a_histogram_counts_up_to_each_bound(void **state)
{
    struct histogram h = {0};
    struct text out;

    (void)state;
    histogram_add(&h, -1);
    histogram_add(&h, 5);
    histogram_add(&h, 6);
    histogram_add(&h, 70000);
    assert_int_equal(histogram_count(&h), 4);
    text_init(&out, 10000);
    metrics_histogram(&out, "x", "a=\"b\"", &h, 5, 10);
    assert_string_equal(out.bytes, "x_bucket{a=\"b\",le=\"0.005\"} 2\nx_bucket{a=\"b\",le=\"0.01\"} 3\n"
                                   "x_bucket{a=\"b\",le=\"+Inf\"} 4\nx_sum{a=\"b\"} 70.011\nx_count{a=\"b\"} 4\n");
    text_clear(&out);
    metrics_histogram(&out, "x", "", &h, 60000, 60000);
    assert_string_equal(out.bytes, "x_bucket{le=\"60\"} 3\nx_bucket{le=\"+Inf\"} 4\nx_sum 70.011\nx_count 4\n");
    text_done(&out);
}

static void families_are_chosen_by_how_they_begin(void **state)
{
    (void)state;
    assert_true(metrics_chosen("", "weir_held"));
    assert_true(metrics_chosen("weir_", "weir_held"));
    assert_true(metrics_chosen("keda_,weir_held", "weir_held"));
    assert_false(metrics_chosen("keda_,weir_held", "weir_heap_bytes"));
    assert_false(metrics_chosen(",", "weir_held"));
}

/* ------------------------------------------------------------------ pages */

static void an_object_and_its_trigger_have_kedas_lines(void **state)
{
    struct page_test *t = *state;

    running_manifest(&t->running, "a.yaml", OBJECT("web", "load"));
    running_until(&t->running, 60);
    ask(t, "/metrics?family=keda_scale", 0);
    assert_int_equal(t->replies[0].status, 200);
    assert_false(t->replies[0].deferred);
    assert_string_equal(t->replies[0].type, "text/plain; version=0.0.4; charset=utf-8");
#define L                                                                                                              \
    "{namespace=\"shop\",metric=\"s0-prometheus\",scaledObject=\"web\",scaler=\"prometheusScaler\",triggerIndex="      \
    "\"0\",type=\"scaledobject\"}"
    assert_line(t, "keda_scaler_metrics_value" L " 25");
    assert_line(t, "keda_scaler_active" L " 1");
    assert_line(t, "keda_scaler_detail_errors_total" L " 0");
    assert_line(t, "keda_scaled_object_paused{namespace=\"shop\",scaledObject=\"web\"} 0");
    assert_line(t,
                "keda_scaler_empty_upstream_responses_total{namespace=\"shop\",scaledResource=\"web\",triggerName=\"\","
                "metricName=\"s0-prometheus\",resourceType=\"ScaledObject\",ignoreNullValues=\"true\"} 0");
    assert_non_null(
        strstr(t->replies[0].body,
               "keda_scaler_http_requests_total{namespace=\"shop\",scaled_resource=\"web\",scaler=\"prometheus\","
               "trigger_name=\"\",metric_name=\"s0-prometheus\",status_code=\"200\"} "));
    assert_null(strstr(t->replies[0].body, "weir_"));
}

static void what_is_counted_is_counted(void **state)
{
    struct page_test *t = *state;

    running_manifest(&t->running, "a.yaml", OBJECT("web", "nothing"));
    running_until(&t->running, 1);
    ask(t, "/metrics?family=keda_scaler_empty,keda_scaler_http_requests", 0);
    assert_non_null(strstr(t->replies[0].body, "ignoreNullValues=\"true\"} 1\n"));
    assert_non_null(strstr(t->replies[0].body, "status_code=\"200\"} 1\n"));
    t->running.prom[1].mode = PROM_DENIES;
    running_until(&t->running, 65);
    ask(t, "/metrics?family=keda_scaler_http_request", 0);
    assert_non_null(strstr(t->replies[0].body, "status_code=\"401\"} "));
    assert_non_null(strstr(t->replies[0].body, "keda_scaler_http_request_duration_seconds_bucket{scaler=\"prometheus\","
                                               "status_code=\"401\",le=\"0.005\"} "));
    t->running.prom[1].mode = PROM_HANGS;
    running_until(&t->running, 130);
    ask(t, "/metrics?family=keda_scaler_http_requests", 0);
    assert_non_null(strstr(t->replies[0].body, "status_code=\"error\"} "));
}

static void one_of_two_who_share_a_question_asked_it(void **state)
{
    struct page_test *t = *state;

    stage_workload(t->running.stage, "shop", "Deployment", "app-b", 1);
    running_manifest(&t->running, "a.yaml", OBJECT("web", "load"));
    running_manifest(&t->running, "b.yaml", OBJECT("web2", "load"));
    running_until(&t->running, 1);
    ask(t, "/metrics?family=keda_scaler_http_requests,weir_polls_shared", 0);
    assert_int_equal(lines_with(t->replies[0].body, "status_code=\"200\"} 1\n"), 1);
    assert_line(t, "weir_polls_shared_total 1");
}

static void decisions_are_timed(void **state)
{
    struct page_test *t = *state;

    running_manifest(&t->running, "a.yaml", OBJECT("web", "load"));
    running_until(&t->running, 5);
    ask(t, "/metrics?family=weir_decision_delay,weir_scale_delay,weir_decision_reason,weir_replicas", 0);
    assert_line(t, "weir_decision_delay_seconds_count 1");
    assert_line(t, "weir_scale_delay_seconds_count 1");
    assert_line(t, "weir_replicas_wanted{namespace=\"shop\",scaledObject=\"web\"} 3");
    assert_line(t, "weir_replicas_max{namespace=\"shop\",scaledObject=\"web\"} 7");
    assert_line(t, "weir_decision_reason{namespace=\"shop\",scaledObject=\"web\",reason=\"above-target\"} 1");
}

static void what_is_deleted_is_gone(void **state)
{
    struct page_test *t = *state;

    running_manifest(&t->running, "a.yaml", OBJECT("web", "load"));
    running_until(&t->running, 5);
    ask(t, "/metrics?family=weir_,keda_resource", 0);
    assert_non_null(strstr(t->replies[0].body, "scaledObject=\"web\""));
    running_manifest(&t->running, "a.yaml", NULL);
    running_until(&t->running, 6);
    ask(t, "/metrics?family=weir_,keda_resource", 0);
    assert_null(strstr(t->replies[0].body, "\"web\""));
    assert_null(strstr(t->replies[0].body, "scaled_object"));
}

/* ------------------------------------------------------------------ many objects: slices */

enum { MANY = METRICS_OBJECTS_PER_TURN + 10 };

static void put_many(struct page_test *t)
{
    char file[32], yaml[1024], name[16];

    for (int i = 0; i < MANY; i++) {
        snprintf(file, sizeof(file), "%d.yaml", i);
        snprintf(name, sizeof(name), "o%d", i);
        snprintf(yaml, sizeof(yaml), OBJECT("%s", "load"), name);
        running_manifest(&t->running, file, yaml);
    }
    running_until(&t->running, 60);
}

static void many_objects_are_shown_in_slices(void **state)
{
    struct page_test *t = *state;

    put_many(t);
    ask(t, "/metrics?family=weir_held", 0);
    ask(t, "/metrics?family=weir_held", 1);
    ask(t, "/metrics?family=weir_scales", 2);
    for (int i = 0; i < 3; i++)
        assert_true(t->replies[i].deferred && !t->replies[i].answered);
    running_until(&t->running, 61);
    for (int i = 0; i < 3; i++)
        assert_true(t->replies[i].answered && t->replies[i].status == 200);
    assert_int_equal(lines_with(t->replies[0].body, "\nweir_held{"), MANY);
    assert_string_equal(t->replies[0].body, t->replies[1].body);
    assert_int_equal(lines_with(t->replies[2].body, "\nweir_scales_total "), 1);
    assert_null(strstr(t->replies[2].body, "weir_held"));
}

static void an_object_may_go_while_a_page_is_made(void **state)
{
    struct page_test *t = *state;

    put_many(t);
    ask(t, "/metrics?family=weir_held", 0);
    running_manifest(&t->running, "70.yaml", NULL);
    running_until(&t->running, 61);
    assert_true(t->replies[0].answered);
    assert_int_equal(lines_with(t->replies[0].body, "\nweir_held{"), MANY - 1);
}

static void too_many_different_pages_are_put_off(void **state)
{
    struct page_test *t = *state;
    struct server_pending replies[METRICS_PAGES_MAX + 1];
    char path[64];

    put_many(t);
    for (int i = 0; i <= METRICS_PAGES_MAX; i++) {
        snprintf(path, sizeof(path), "/metrics?family=weir_held,%d", i);
        fake_send(&t->server, &(struct fake_request){.path = path}, &replies[i]);
    }
    assert_int_equal(replies[METRICS_PAGES_MAX].status, 503);
    running_until(&t->running, 61);
    for (int i = 0; i < METRICS_PAGES_MAX; i++)
        assert_int_equal(replies[i].status, 200);
}

static void a_page_under_way_may_be_left(void **state)
{
    struct page_test *t = *state;

    put_many(t);
    ask(t, "/metrics", 0);
    serve_metrics_free(t->metrics);
    t->metrics = NULL;
    running_until(&t->running, 61);
    assert_false(t->replies[0].answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(values_are_the_shortest_that_read_back),
        cmocka_unit_test(a_histogram_counts_up_to_each_bound),
        cmocka_unit_test(families_are_chosen_by_how_they_begin),
        cmocka_unit_test_setup_teardown(an_object_and_its_trigger_have_kedas_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_counted_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(one_of_two_who_share_a_question_asked_it, setup, teardown),
        cmocka_unit_test_setup_teardown(decisions_are_timed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_deleted_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(many_objects_are_shown_in_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(an_object_may_go_while_a_page_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_different_pages_are_put_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_under_way_may_be_left, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

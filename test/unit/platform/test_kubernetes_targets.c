/* Scale targets in a cluster, their pods, usage and variables: what is asked of the API server, and what is made of its answers. */
#include "kube_scale.h"

#include "base/secret.h"
#include "base/selector.h"

#define WEB     "/apis/apps/v1/namespaces/shop/deployments/web"
#define WIDGET  "/apis/example.com/v1/namespaces/shop/widgets/w"
#define POD     "/api/v1/namespaces/shop/pods/"
#define METRICS "GET /apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"

static const struct target_key web = {.ns = "shop", .name = "web"};
static const struct target_key widget = {.ns = "shop", .api_version = "example.com/v1", .kind = "Widget", .name = "w"};

static void put_web(struct kube_front *f, int replicas, int ready)
{
    char json[1000];

    snprintf(json, sizeof json,
             "{\"spec\":{\"replicas\":%d,\"selector\":{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":[{"
             "\"key\":\"tier\","
             "\"operator\":\"NotIn\",\"values\":[\"x\",\"y\"]}]}},\"status\":{\"replicas\":%d,\"readyReplicas\":%d}}",
             replicas, replicas, ready);
    kw_put(f->kw, WEB, json);
}

static struct target_view view_of(struct kube_front *f, struct target *target)
{
    struct target_view view;

    f->kw->platform->ops->target_view(target, &view);
    return view;
}

static void check_view(struct kube_front *f, struct target *target, int32_t replicas, int32_t status, int32_t ready)
{
    struct target_view view = view_of(f, target);

    if (!view.known)
        fail_msg("%s %s", view.error.where, view.error.text);
    assert_int_equal(view.replicas, replicas);
    assert_int_equal(view.status_replicas, status);
    assert_int_equal(view.ready_replicas, ready);
}

static void test_counts_come_from_the_watch(void **state)
{
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0};

    (void)state;
    put_web(f, 2, 1);
    kf_start(f);
    struct target *target = f->kw->platform->ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    assert_false(view_of(f, target).known);
    assert_int_equal(view_of(f, target).error.kind, ERROR_UNREACHABLE);
    kw_run(f->kw, 1000);
    check_view(f, target, 2, 2, 1);
    assert_string_equal(view_of(f, target).resource, "deployments");
    assert_int_equal(o.changed, 1);
    put_web(f, 3, 3);
    kw_run(f->kw, 60 * 1000);
    check_view(f, target, 3, 3, 3);
    assert_int_equal(kw_count(f->kw, "GET /apis/apps"), 1); /* the list, and nothing since */
    kw_delete(f->kw, WEB);
    kw_run(f->kw, 1000);
    assert_int_equal(view_of(f, target).error.kind, ERROR_MISSING);
    assert_string_equal(view_of(f, target).error.text, "Target resource doesn't exist");
    put_web(f, 5, 0);
    kw_run(f->kw, 1000);
    check_view(f, target, 5, 5, 0);
    f->kw->platform->ops->target_unwatch(target);
    kf_free(f);
}

/* A target and a pod that a new list shows, but so that they cannot be read. */
static void test_what_cannot_be_read_any_more_is_not_gone(void **state)
{
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0};
    struct arena *arena = arena_new(ARENA_USUAL);
    const struct pod_view **pods;
    char deep[1000];

    (void)state;
    put_web(f, 2, 2);
    kw_put(f->kw, POD "a", "{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"status\":{\"phase\":\"Running\"}}");
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    ops->pods_known(f->kw->platform, "shop", NULL);
    kw_run(f->kw, 1000);
    check_view(f, target, 2, 2, 2);
    kw_nest(deep, sizeof deep,
            "{\"spec\":{\"replicas\":3,\"x\":", "},\"status\":{\"replicas\":3,\"readyReplicas\":3}}");
    kw_put(f->kw, WEB, deep);
    kw_nest(deep, sizeof deep, "{\"metadata\":{\"labels\":{\"app\":\"web\"}},\"x\":", "}");
    kw_put(f->kw, POD "a", deep);
    kw_put(f->kw, POD "b", deep);
    kw_list_anew(f->kw, "deployments");
    kw_list_anew(f->kw, "pods");
    assert_int_equal(view_of(f, target).replicas, 3); /* by its /scale */
    assert_int_equal(ops->pods(f->kw->platform, "shop", NULL, arena, &pods), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pods[i]->label_count, 1);
        assert_int_equal(pods[i]->phase, strcmp(pods[i]->name, "a") == 0 ? POD_RUNNING : POD_PENDING);
    }
    ops->target_unwatch(target);
    arena_free(arena);
    kf_free(f);
}

/* Who else scales it is looked for when somebody asks, and while there is one, to see it go. */
static void test_another_autoscaler_is_named(void **state)
{
#define HPAS "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
#define HPA_OF(kind, name)                                                                                             \
    "{\"spec\":{\"scaleTargetRef\":{\"apiVersion\":\"apps/v1\",\"kind\":\"" kind "\",\"name\":\"" name "\"}}}"
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0};

    (void)state;
    put_web(f, 2, 2);
    kw_put(f->kw, HPAS "/other", HPA_OF("Deployment", "other"));
    kw_put(f->kw, HPAS "/kind", HPA_OF("StatefulSet", "web"));
    kw_put(f->kw, HPAS "/by-hand", HPA_OF("Deployment", "web"));
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    kw_run(f->kw, 60 * 1000);
    assert_null(view_of(f, target).rival);
    assert_int_equal(kw_count(f->kw, "GET " HPAS), 0);
    int told = o.changed;
    ops->target_look_rival(target);
    kw_run(f->kw, 100);
    assert_string_equal(view_of(f, target).rival, "by-hand");
    assert_int_equal(o.changed, told + 1);
    kw_run(f->kw, 100 * 1000);
    assert_int_equal(kw_count(f->kw, "GET " HPAS "/by-hand"), 3);
    assert_int_equal(kw_count(f->kw, "GET " HPAS), 4); /* all of them once: a namespace may have hundreds */
    assert_int_equal(o.changed, told + 1);
    kw_delete(f->kw, HPAS "/by-hand");
    kw_run(f->kw, 60 * 1000);
    assert_null(view_of(f, target).rival);
    assert_int_equal(o.changed, told + 2);
    kw_put(f->kw, HPAS "/second", HPA_OF("Deployment", "web"));
    ops->target_look_rival(target);
    kw_run(f->kw, 100);
    assert_string_equal(view_of(f, target).rival, "second");
    kw_put(f->kw, HPAS "/second", HPA_OF("Deployment", "other"));
    kw_run(f->kw, 60 * 1000);
    assert_null(view_of(f, target).rival);
    size_t asked = kw_count(f->kw, "GET " HPAS);
    kw_run(f->kw, 600 * 1000);
    assert_int_equal(kw_count(f->kw, "GET " HPAS), asked);
    ops->target_unwatch(target);
    kf_free(f);
#undef HPAS
#undef HPA_OF
}

/* What a watch told before somebody looked is known at once; only pods need the selector, which is read then. */
static void test_one_that_is_watched_later_costs_no_request(void **state)
{
    struct kube_front *f = kf_new();
    const struct target_key other = {.ns = "shop", .kind = "Deployment", .api_version = "apps/v1", .name = "other"};
    struct kf_outcome o = {0};

    (void)state;
    put_web(f, 2, 2);
    kf_start(f);
    f->metrics = "{\"items\":[]}";
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *first = ops->target_watch(f->kw->platform, &other, kf_changed, &o);
    kw_run(f->kw, 1000);
    assert_string_equal(view_of(f, first).error.text, "Target resource doesn't exist");
    put_web(f, 3, 2);
    kw_run(f->kw, 1000);
    struct target *second = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    check_view(f, second, 3, 3, 2);
    ops->target_unwatch(second);
    second = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    struct target *third = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    check_view(f, second, 3, 3, 2);
    check_view(f, third, 3, 3, 2);
    put_web(f, 4, 2);
    kw_run(f->kw, 1000);
    check_view(f, third, 4, 4, 2);
    assert_int_equal(kw_count(f->kw, "GET " WEB), 0);
    ops->target_unwatch(first);
    ops->target_unwatch(second);
    ops->target_unwatch(third);
    kf_free(f);
}

static void test_the_selector_of_one_watched_later_is_read_for_its_pods(void **state)
{
    struct kube_front *f = kf_new();
    const struct target_key other = {.ns = "shop", .kind = "Deployment", .api_version = "apps/v1", .name = "other"};
    struct kf_outcome o = {0};
    struct error err;

    (void)state;
    put_web(f, 2, 2);
    kf_start(f);
    f->metrics = "{\"items\":[]}";
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *first = ops->target_watch(f->kw->platform, &other, kf_changed, &o);
    kw_run(f->kw, 1000);
    struct target *second = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    int told = o.changed;
    assert_int_equal(ops->target_usage(second, &err), LOOKUP_PENDING);
    assert_int_equal(ops->target_usage(second, &err), LOOKUP_PENDING);
    kw_run(f->kw, 1000);
    assert_true(o.changed > told);
    ops->target_usage(second, &err);
    kw_run(f->kw, 2000);
    assert_int_equal(ops->target_usage(second, &err), LOOKUP_FOUND);
    assert_int_equal(kw_count(f->kw, "GET " WEB), 1);
    ops->target_unwatch(first);
    ops->target_unwatch(second);
    kf_free(f);
}

static void test_one_that_went_before_it_was_watched_is_not_known(void **state)
{
    struct kube_front *f = kf_new();
    const struct target_key other = {.ns = "shop", .kind = "Deployment", .api_version = "apps/v1", .name = "other"};
    struct kf_outcome o = {0};

    (void)state;
    put_web(f, 2, 2);
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *first = ops->target_watch(f->kw->platform, &other, kf_changed, &o);
    kw_run(f->kw, 1000);
    kw_delete(f->kw, WEB);
    kw_run(f->kw, 1000);
    struct target *second = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    assert_false(view_of(f, second).known);
    kw_run(f->kw, 1000);
    assert_string_equal(view_of(f, second).error.text, "Target resource doesn't exist");
    ops->target_unwatch(first);
    ops->target_unwatch(second);
    kf_free(f);
}

static void test_writes_compare_and_set(void **state)
{
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0}, second = {0};

    (void)state;
    put_web(f, 2, 2);
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    struct kubernetes_stats stats;
    kw_run(f->kw, 1000);

    ops->target_scale(target, 0, "deactivated", kf_done, &o);
    assert_int_equal(o.done, 0);
    kw_run(f->kw, 1000);
    assert_int_equal(o.done, 1);
    assert_false(o.failed);
    check_view(f, target, 0, 2, 2);
    ops->target_scale(target, 4, "activated", kf_done, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(o.done, 2);
    assert_false(o.failed);
    check_view(f, target, 4, 2, 2);

    ops->target_scale(target, 6, "proposed", kf_done, &o); /* somebody else is quicker */
    kw_merge_into(f->kw, WEB, "{\"spec\":{\"replicas\":9}}");
    kw_run(f->kw, 1000);
    assert_true(o.failed);
    assert_non_null(strstr(o.error.text, "conflict"));
    check_view(f, target, 9, 2, 2);
    platform_kubernetes_stats(f->kw->platform, &stats);
    assert_int_equal(stats.conflicts, 1);

    ops->target_scale(target, 1000, "proposed", kf_done, &o); /* refused for what it is */
    kw_run(f->kw, 1000);
    assert_true(o.failed);
    assert_null(strstr(o.error.text, "conflict"));

    ops->target_scale(target, 3, "one", kf_done, &o);
    ops->target_scale(target, 5, "two", kf_done, &o);
    ops->target_scale(target, 7, "three", kf_done, &second);
    ops->target_unwatch(target); /* what was asked for is carried out all the same */
    kw_run(f->kw, 1000);
    assert_int_equal(o.done, 6);
    assert_int_equal(second.done, 1);
    assert_false(second.failed);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(kw_get(f->kw, WEB), "spec"), "replicas")), 7);
    kf_free(f);
}

static void test_a_target_that_is_not_there_is_not_written(void **state)
{
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0};

    (void)state;
    kf_start(f);
    struct target *target = f->kw->platform->ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    kw_run(f->kw, 1000);
    f->kw->platform->ops->target_scale(target, 3, "activated", kf_done, &o);
    assert_int_equal(o.done, 0);
    kw_run(f->kw, 1000);
    assert_true(o.done == 1 && o.failed);
    assert_int_equal(kw_count(f->kw, "PATCH"), 0);
    f->kw->platform->ops->target_unwatch(target);
    kf_free(f);
}

static void test_other_kinds_are_read_at_their_scale_when_they_change(void **state)
{
    struct kube_front *f = kf_new();
    struct kf_outcome o = {0};

    (void)state;
    kw_put(f->kw, WIDGET, "{\"spec\":{\"size\":0},\"status\":{\"replicas\":0,\"selector\":\"app=w\"}}");
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &widget, kf_changed, &o);
    kw_run(f->kw, 5000);
    check_view(f, target, 0, 0, 0);
    assert_int_equal(kw_count(f->kw, "GET " WIDGET "/scale"), 1);
    kw_run(f->kw, 10 * 60 * 1000);
    assert_int_equal(kw_count(f->kw, "GET " WIDGET "/scale"), 1);
    ops->target_scale(target, 2, "activated", kf_done, &o);
    kw_run(f->kw, 5000);
    assert_false(o.failed);
    check_view(f, target, 2, 0, 0);
    for (int i = 0; i < 20; i++) /* a status that changes all the time */
        kw_merge_into(f->kw, WIDGET, "{\"status\":{\"replicas\":2,\"readyReplicas\":1}}");
    kw_run(f->kw, 5000);
    check_view(f, target, 2, 2, 1);
    assert_in_range(kw_count(f->kw, "GET " WIDGET "/scale"), 2, 4);
    ops->target_unwatch(target);
    kf_free(f);
}

static void test_a_kind_without_scale_is_told(void **state)
{
    static const char *const kinds[][2] = {{"Stone", "subresources.scale"}, {"Sky", "cluster-wide"}};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct target_key key = {.ns = "shop", .api_version = "example.com/v1", .kind = kinds[i][0], .name = "s"};
        struct kube_front *f = kf_new();
        struct kf_outcome o = {0};

        kf_start(f);
        struct target *target = f->kw->platform->ops->target_watch(f->kw->platform, &key, kf_changed, &o);
        kw_run(f->kw, 1000);
        assert_false(view_of(f, target).known);
        assert_true(
            string_starts(view_of(f, target).error.text, "Target resource doesn't expose /scale subresource: "));
        assert_non_null(strstr(view_of(f, target).error.text, kinds[i][1]));
        assert_true(o.changed > 0);
        assert_int_equal(kw_count(f->kw, "GET /apis/example.com/v1/"), 0); /* nothing is looked for */
        f->kw->platform->ops->target_unwatch(target);
        kf_free(f);
    }
}

/* ---- pods ---- */

static void put_pod(struct kube_front *f, const char *name, const char *labels, const char *phase, const char *ready)
{
    char path[200], json[1500];

    snprintf(path, sizeof path, POD "%s", name);
    snprintf(json, sizeof json,
             "{\"metadata\":{\"labels\":%s},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\",\"ports\":[{"
             "\"containerPort\":"
             "8080}],\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"1Ki\"}}},{\"name\":\"d\",\"resources\":"
             "{\"requests\":{"
             "\"cpu\":\"0.2\"}}}]},\"status\":{\"phase\":\"%s\",\"podIP\":\"10.0.0.1\",\"startTime\":\"2026-01-01T00:"
             "00:00Z\","
             "\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\",\"lastTransitionTime\":\"2026-01-01T00:00:05Z\"}],"
             "\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":2,\"state\":{\"waiting\":{\"reason\":"
             "\"CrashLoopBackOff\"}}}]}}",
             labels, phase, ready);
    kw_put(f->kw, path, json);
}

static void test_pods_are_watched_while_they_are_needed(void **state)
{
    struct kube_front *f = kf_new();
    const struct pod_view *pods;
    struct kf_outcome o = {0};
    struct error err;

    (void)state;
    put_web(f, 2, 1);
    put_pod(f, "web-1", "{\"app\":\"web\"}", "Running", "True");
    put_pod(f, "web-2", "{\"app\":\"web\",\"tier\":\"z\"}", "Running", "False");
    put_pod(f, "web-3", "{\"app\":\"web\",\"tier\":\"x\"}", "Running", "True");
    put_pod(f, "db-1", "{\"app\":\"db\"}", "Running", "True");
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->target_pods_shown(target, &pods), 0);
    kw_run(f->kw, 1000);
    assert_int_equal(kw_count(f->kw, "GET /api/v1/namespaces/shop/pods"), 0);
    assert_int_equal(ops->pods_known(f->kw->platform, "shop", &err), LOOKUP_PENDING);
    ops->target_pods(target, &pods);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->pods_known(f->kw->platform, "shop", &err), LOOKUP_FOUND);
    assert_int_equal(ops->target_pods(target, &pods), 2);
    const struct pod_view *one = &pods[strcmp(pods[0].name, "web-1") == 0 ? 0 : 1];
    assert_int_equal(one->phase, POD_RUNNING);
    assert_int_equal(one->ready, POD_READY_TRUE);
    assert_int_equal(one->ready_at_ms - one->start_at_ms, 5000);
    assert_string_equal(one->host, "10.0.0.1");
    assert_int_equal(one->port, 8080);
    assert_int_equal(one->restarts, 2);
    assert_true(one->cpu.has_request);
    assert_int_equal(one->cpu.request, 300);
    assert_false(one->memory.has_request); /* one container has none */
    assert_int_equal(one->containers[0].memory.request, 1024 * 1000);
    assert_string_equal(one == pods ? pods[1].note : pods[0].note, "c: CrashLoopBackOff");

    kw_delete(f->kw, POD "web-2");
    put_pod(f, "web-3", "{\"app\":\"web\"}", "Running", "True");  /* comes in */
    put_pod(f, "web-1", "{\"app\":\"gone\"}", "Running", "True"); /* goes out */
    kw_run(f->kw, 1000);
    assert_int_equal(ops->target_pods(target, &pods), 1);
    assert_string_equal(pods[0].name, "web-3");

    struct arena *arena = arena_new(ARENA_SMALL);
    struct selector *selector;
    const struct pod_view **found;
    assert_true(selector_parse("app in (web,gone)", arena, &selector, NULL));
    assert_int_equal(ops->pods(f->kw->platform, "shop", selector, arena, &found), 2);
    arena_free(arena);
    kw_run(f->kw, 20 * 60 * 1000); /* nobody asks */
    assert_int_equal(ops->pods_known(f->kw->platform, "shop", &err), LOOKUP_PENDING);
    ops->target_unwatch(target);
    kf_free(f);
}

static void test_many_namespaces_are_watched_at_once(void **state)
{
    struct kube_front *f = kf_new();
    struct error err;
    char ns[20], path[100];

    (void)state;
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "/api/v1/namespaces/n%d/pods/p", i);
        kw_put(f->kw, path, "{\"spec\":{},\"status\":{\"phase\":\"Running\"}}");
    }
    for (int i = 0; i < 40; i++) {
        snprintf(ns, sizeof ns, "n%d", i);
        ops->pods_known(f->kw->platform, ns, &err);
        kw_run(f->kw, 100);
    }
    kw_run(f->kw, 1000);
    struct arena *arena = arena_new(ARENA_SMALL);
    for (int i = 0; i < 40; i++) {
        const struct pod_view **found;
        snprintf(ns, sizeof ns, "n%d", i);
        assert_int_equal(ops->pods_known(f->kw->platform, ns, &err), LOOKUP_FOUND);
        assert_int_equal(ops->pods(f->kw->platform, ns, NULL, arena, &found), 1);
    }
    arena_free(arena);
    assert_int_equal(kw_count(f->kw, "GET /api/v1/pods"), 1);
    assert_int_equal(kw_count(f->kw, "GET /api/v1/namespaces/n"), 16);
    kf_free(f);
}

/* ---- usage ---- */

static void test_usage_as_the_hpa_reads_it(void **state)
{
    struct kube_front *f = kf_new();
    const struct pod_view *pods;
    struct kf_outcome o = {0};
    struct error err;

    (void)state;
    put_web(f, 2, 2);
    put_pod(f, "web-1", "{\"app\":\"web\"}", "Running", "True");
    put_pod(f, "web-2", "{\"app\":\"web\"}", "Running", "True");
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->target_usage(target, &err), LOOKUP_PENDING);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->target_usage(target, &err), LOOKUP_ABSENT);
    assert_non_null(strstr(err.text, "metrics-server"));

    f->metrics = "{\"items\":[{\"metadata\":{\"name\":\"web-1\"},\"timestamp\":\"2026-01-01T00:10:00Z\",\"window\":"
                 "\"20s\",\"containers\":["
                 "{\"name\":\"c\",\"usage\":{\"cpu\":\"123456789n\",\"memory\":\"2Ki\"}},{\"name\":\"d\",\"usage\":{"
                 "\"cpu\":\"1\"}}]}]}";
    kw_run(f->kw, 15 * 1000);
    ops->target_usage(target, &err);
    kw_run(f->kw, 1000);
    assert_int_equal(ops->target_usage(target, &err), LOOKUP_FOUND);
    assert_int_equal(ops->target_pods(target, &pods), 2);
    const struct pod_view *one = &pods[strcmp(pods[0].name, "web-1") == 0 ? 0 : 1],
                          *two = one == pods ? pods + 1 : pods;
    assert_true(one->cpu.has_usage);
    assert_int_equal(one->cpu.usage, 124 + 1000); /* each is rounded up by itself */
    assert_int_equal(one->cpu.window_ms, 20000);
    assert_false(one->memory.has_usage); /* container d lacks it */
    assert_true(one->containers[0].memory.has_usage);
    assert_int_equal(one->containers[0].memory.usage, 2048 * 1000);
    assert_false(two->cpu.has_usage);

    size_t asked = kw_count(f->kw, METRICS);
    for (int i = 0; i < 12; i++) { /* a poll each 5 s is no question each 5 s */
        ops->target_usage(target, &err);
        kw_run(f->kw, 5000);
    }
    assert_in_range(kw_count(f->kw, METRICS) - asked, 3, 5);
    put_pod(f, "web-1", "{\"app\":\"web\"}", "Running", "False"); /* its usage stays known when the pod changes */
    kw_run(f->kw, 100);
    ops->target_pods(target, &pods);
    assert_true(pods[0].cpu.has_usage || pods[1].cpu.has_usage);
    kw_run(f->kw, 30 * 60 * 1000);
    asked = kw_count(f->kw, METRICS);
    kw_run(f->kw, 30 * 60 * 1000); /* nobody needs it: nothing is asked */
    assert_int_equal(kw_count(f->kw, METRICS), asked);
    ops->target_unwatch(target);
    kf_free(f);
}

/* ---- variables ---- */

static void on_data(void *arg, const char *ns, const char *name)
{
    if (strcmp(ns, "shop") == 0 && strcmp(name, "web") == 0)
        (*(int *)arg)++;
}

static void check_env(struct kube_front *f, const char *container, const char *name, enum lookup lookup,
                      const char *value)
{
    struct secret *found = NULL;

    enum lookup got = f->kw->platform->ops->target_env(f->kw->platform, &web, container, name, &found);
    for (int i = 0; i < 5 && got == LOOKUP_PENDING; i++) {
        kw_run(f->kw, 1000);
        got = f->kw->platform->ops->target_env(f->kw->platform, &web, container, name, &found);
    }
    assert_int_equal(got, lookup);
    if (lookup == LOOKUP_FOUND)
        assert_string_equal(secret_reveal(found), value);
    secret_unref(found);
}

static void test_variables_of_a_container(void **state)
{
    struct kube_front *f = kf_new();
    struct secret *out = NULL;
    int told = 0;
    static const char template[] = "{\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"web\"}},"
                                   "\"template\":{\"spec\":{\"containers\":[{\"name\":"
                                   "\"c\",\"envFrom\":[{\"prefix\":\"P_\",\"secretRef\":{\"name\":\"s\"}},{"
                                   "\"configMapRef\":{\"name\":\"m\",\"optional\":true}}],"
                                   "\"env\":[{\"name\":\"A\",\"value\":\"%s\"},{\"name\":\"B\",\"value\":\"$(A)-$(P_"
                                   "key)-$(NONE)-$$(A)-$\"},{\"name\":\"S\","
                                   "\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"key\"}}},{\"name\":\"O\","
                                   "\"valueFrom\":{\"secretKeyRef\":{\"name\":"
                                   "\"none\",\"key\":\"x\",\"optional\":true}}},{\"name\":\"F\",\"valueFrom\":{"
                                   "\"fieldRef\":{\"fieldPath\":\"x\"}}},{\"name\":\"E\"},"
                                   "{\"name\":\"A2\",\"value\":\"$(LATER)\"},{\"name\":\"LATER\",\"value\":\"$(LATER)"
                                   "x\"}]},{\"name\":\"d\",\"env\":[{\"name\":\"A\","
                                   "\"value\":\"of d\"}]}]}}}}";
    char json[2000];

    (void)state;
    snprintf(json, sizeof json, template, "one");
    kw_put(f->kw, WEB, json);
    kw_put(f->kw, "/api/v1/namespaces/shop/secrets/s", "{\"data\":{\"key\":\"c2VjcmV0\"}}");
    kw_put(f->kw, "/api/v1/namespaces/shop/configmaps/m", "{\"data\":{\"FROM_MAP\":\"m1\"}}");
    kf_start(f);
    const struct platform_ops *ops = f->kw->platform->ops;
    ops->on_data_change(f->kw->platform, on_data, &told);
    assert_int_equal(ops->target_env(f->kw->platform, &web, NULL, "A", &out), LOOKUP_PENDING);
    kw_run(f->kw, 1000);
    assert_int_equal(told, 1);
    check_env(f, NULL, "A", LOOKUP_FOUND, "one");
    check_env(f, "", "B", LOOKUP_FOUND, "one-secret-$(NONE)-$(A)-$");
    check_env(f, "c", "S", LOOKUP_FOUND, "secret");
    check_env(f, "c", "P_key", LOOKUP_FOUND, "secret");
    check_env(f, "c", "key", LOOKUP_ABSENT, NULL);
    check_env(f, "c", "FROM_MAP", LOOKUP_FOUND, "m1");
    check_env(f, "c", "O", LOOKUP_ABSENT, NULL);
    check_env(f, "c", "F", LOOKUP_ABSENT, NULL);
    check_env(f, "c", "E", LOOKUP_FOUND, "");
    check_env(f, "c", "A2", LOOKUP_FOUND, "$(LATER)");
    check_env(f, "c", "LATER", LOOKUP_FOUND, "$(LATER)x");
    check_env(f, "d", "A", LOOKUP_FOUND, "of d");
    check_env(f, "e", "A", LOOKUP_ABSENT, NULL);

    struct kf_outcome o = {0}; /* once it is watched, a change is seen without asking */
    struct target *target = ops->target_watch(f->kw->platform, &web, kf_changed, &o);
    kw_run(f->kw, 1000);
    size_t asked = f->kw->request_count;
    told = 0;
    snprintf(json, sizeof json, template, "two");
    kw_put(f->kw, WEB, json);
    kw_run(f->kw, 1000);
    assert_int_equal(told, 1);
    assert_int_equal(f->kw->request_count, asked);
    check_env(f, NULL, "A", LOOKUP_FOUND, "two");
    ops->target_unwatch(target);
    kf_free(f);
}

static void test_variables_that_name_each_other_end(void **state)
{
    struct kube_front *f = kf_new();
    json_t *env = json_array(), *object;
    char name[20], value[200];

    (void)state;
    json_array_append_new(env, json_pack("{s:s,s:s}", "name", "V0", "value", ""));
    for (int i = 1; i < 60; i++) { /* each names the one before eight times: 8^59 look-ups, were there no bound */
        snprintf(name, sizeof name, "V%d", i);
        snprintf(value, sizeof value, "$(V%d)$(V%d)$(V%d)$(V%d)$(V%d)$(V%d)$(V%d)$(V%d)", i - 1, i - 1, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1);
        json_array_append_new(env, json_pack("{s:s,s:s}", "name", name, "value", value));
    }
    object = json_pack("{s:{s:i,s:{s:{s:[{s:s,s:o}]}}}}", "spec", "replicas", 1, "template", "spec", "containers",
                       "name", "c", "env", env);
    char *json = json_dumps(object, 0);
    kw_put(f->kw, WEB, json);
    free(json);
    json_decref(object);
    kf_start(f);
    struct secret *out = NULL;
    f->kw->platform->ops->target_env(f->kw->platform, &web, NULL, "V59", &out);
    kw_run(f->kw, 1000);
    enum lookup found = f->kw->platform->ops->target_env(f->kw->platform, &web, NULL, "V59", &out);
    assert_int_equal(found, LOOKUP_FOUND);
    secret_unref(out);
    kf_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_come_from_the_watch),
        cmocka_unit_test(test_what_cannot_be_read_any_more_is_not_gone),
        cmocka_unit_test(test_another_autoscaler_is_named),
        cmocka_unit_test(test_one_that_is_watched_later_costs_no_request),
        cmocka_unit_test(test_the_selector_of_one_watched_later_is_read_for_its_pods),
        cmocka_unit_test(test_one_that_went_before_it_was_watched_is_not_known),
        cmocka_unit_test(test_writes_compare_and_set),
        cmocka_unit_test(test_a_target_that_is_not_there_is_not_written),
        cmocka_unit_test(test_other_kinds_are_read_at_their_scale_when_they_change),
        cmocka_unit_test(test_a_kind_without_scale_is_told),
        cmocka_unit_test(test_pods_are_watched_while_they_are_needed),
        cmocka_unit_test(test_many_namespaces_are_watched_at_once),
        cmocka_unit_test(test_usage_as_the_hpa_reads_it),
        cmocka_unit_test(test_variables_of_a_container),
        cmocka_unit_test(test_variables_that_name_each_other_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

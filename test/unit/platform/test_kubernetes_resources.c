/* What is told of KEDA's objects in a cluster, and what is written into their status. */
#include "cluster_world.h"
#include "manifest/manifest.h"

#define SO(name)   "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/" name
#define TA(name)   "/apis/keda.sh/v1alpha1/namespaces/shop/triggerauthentications/" name
#define CTA(name)  "/apis/keda.sh/v1alpha1/clustertriggerauthentications/" name
#define SPEC       "{\"spec\":{\"x\":1}}"
#define FINALIZED  "\"finalizers\":[\"finalizer.keda.sh\"]"
#define DELETED_AT "\"deletionTimestamp\":\"2026-01-01T00:00:00Z\""

struct told { /* what resource_changed said, in words: "ScaledObject shop/a stays." */
    struct kube_world *kw;
    char text[8000];
    int synced;
};

static void on_changed(void *arg, const struct resource_view *view, enum resource_end ended)
{
    static const char *const kinds[] = {"TA", "CTA", "SO", "SJ"}, *const ends[] = {"stays", "deleted", "moved",
                                                                                   "elsewhere"};
    struct told *told = arg;
    size_t length = strlen(told->text);

    assert_true(ended != RESOURCE_STAYS || (view->tree != NULL && view->uid[0] != 0));
    snprintf(told->text + length, sizeof told->text - length, "%s %s/%s %s%s. ", kinds[view->kind], view->ns,
             view->name, ends[ended], ended != RESOURCE_STAYS && view->tree != NULL ? " with tree" : "");
}

static void on_synced(void *arg)
{
    struct told *told = arg;

    told->synced++;
}

static struct told *start(struct kube_world *kw, struct kubernetes_options options)
{
    static struct told told;

    told = (struct told){.kw = kw};
    options.write = true;
    kw_platform(kw, options);
    kw->platform->ops->resources_watch(kw->platform, on_changed, on_synced, &told);
    kw_run(kw, 1000);
    return &told;
}

static void expect(struct told *told, const char *text)
{
    assert_string_equal(told->text, text);
    told->text[0] = 0;
}

static void what_others_refer_to_comes_first(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, CTA("c"), SPEC);
    kw_put(kw, TA("t"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "TA shop/t stays. CTA /c stays. SO shop/a stays. ");
    assert_int_equal(told->synced, 1);
    kw_free(kw);
}

static void only_what_matters_is_told(void **state)
{
    static const struct {
        const char *patch, *told;
    } rows[] = {
        {"{\"status\":{\"conditions\":[]}}", ""},
        {"{\"metadata\":{\"managedFields\":[]}}", ""},
        {"{\"spec\":{\"x\":2}}", "SO shop/a stays. "},
        {"{\"metadata\":{\"labels\":{\"l\":\"1\"}}}", "SO shop/a stays. "},
        {"{\"metadata\":{\"annotations\":{\"l\":\"1\"}}}", "SO shop/a stays. "},
        {"{\"metadata\":{\"annotations\":{\"l\":\"1\"}}}", ""},
        {"{\"metadata\":{\"annotations\":{\"l\":null}}}", "SO shop/a stays. "},
        {"{\"metadata\":{\"generation\":7}}", ""},
        {"{\"metadata\":{" FINALIZED "}}", "SO shop/a stays. "},
        {"{\"metadata\":{" DELETED_AT "}}", "SO shop/a deleted with tree. "},
        {"{\"metadata\":{\"finalizers\":[]}}", ""},
    };
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. ");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kw_merge_into(kw, SO("a"), rows[i].patch);
        kw_run(kw, 10);
        if (strcmp(told->text, rows[i].told) != 0)
            fail_msg("%s: %s", rows[i].patch, told->text);
        told->text[0] = 0;
    }
    kw_delete(kw, SO("a"));
    kw_run(kw, 10);
    expect(told, ""); /* its deletion was told before */
    kw_free(kw);
}

static void ends_are_told_once(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, SO("waits"), "{\"metadata\":{" FINALIZED "," DELETED_AT "}}");
    kw_put(kw, SO("foreign"), "{\"metadata\":{\"finalizers\":[\"x\"]," DELETED_AT "}}");
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. SO shop/waits deleted with tree. ");
    kw_delete(kw, SO("a"));
    kw_run(kw, 10);
    expect(told, "SO shop/a deleted. ");
    kw_put(kw, SO("a"), SPEC); /* of the same name, and another object */
    kw_run(kw, 10);
    expect(told, "SO shop/a stays. ");
    kw_put(kw, SO("a"), "{\"metadata\":{\"uid\":\"new\"},\"spec\":{\"x\":1}}");
    kw_run(kw, 10);
    expect(told, "SO shop/a deleted. SO shop/a stays. ");
    kw_free(kw);
}

/* Its HPA is collected as garbage, and the object is asked for once more while its finalizer is taken off. */
static void read_again_it_has_not_ended_twice(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), "{\"metadata\":{" FINALIZED "}}");
    struct told *told = start(kw, (struct kubernetes_options){0});
    kw_merge_into(kw, SO("a"), "{\"metadata\":{" DELETED_AT "}}");
    kw_run(kw, 10);
    expect(told, "SO shop/a stays. SO shop/a deleted with tree. ");
    kw->platform->ops->resource_again(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a");
    kw_run(kw, 1000);
    expect(told, "");
    assert_int_equal(kw_count(kw, "GET " SO("a")), 1);
    kw_free(kw);
}

static void what_cannot_be_read_any_more_is_not_gone(void **state)
{
    struct kube_world *kw = kw_new();
    char deep[1000];

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, SO("b"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. SO shop/b stays. ");
    kw_nest(deep, sizeof deep, "{\"spec\":{\"x\":", "}}");
    kw_put(kw, SO("a"), deep);
    kw_run(kw, 1000);
    assert_non_null(strstr(kw->said, "shop/a is passed over"));
    kw_list_anew(kw, "scaledobjects");
    assert_int_equal(kw_count(kw, "GET /apis/keda.sh/v1alpha1/scaledobjects"), 2);
    expect(told, "");
    assert_null(strstr(kw->said, "can be watched again"));
    kw_put(kw, SO("a"), "{\"spec\":{\"x\":2}}"); /* mended */
    kw_run(kw, 1000);
    expect(told, "SO shop/a stays. ");
    kw_put(kw, SO("a"), deep);
    kw_delete(kw, SO("a"));
    kw_run(kw, 1000);
    expect(told, "SO shop/a deleted. "); /* that it is deleted can be read of any */
    kw_free(kw);
}

/* Of which object it is, is not known either: then none is gone. */
static void a_list_with_something_unknown_ends_nothing(void **state)
{
    struct kube_world *kw = kw_new();
    char deep[1000];

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. ");
    kw_nest(deep, sizeof deep, "{\"metadata\":{\"x\":", "}}");
    kw_put(kw, SO("a"), deep);
    kw_list_anew(kw, "scaledobjects");
    expect(told, "");
    kw_delete(kw, SO("a"));
    kw_list_anew(kw, "scaledobjects");
    expect(told, "SO shop/a deleted. ");
    kw_free(kw);
}

static void what_is_not_installed_holds_nothing_up(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_fault(kw, "GET /apis/keda.sh/v1alpha1/scaledjobs", 404, 3);
    kw_fault(kw, "GET /apis/keda.sh/v1alpha1/clustertriggerauthentications", 403, 1000);
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. ");
    assert_int_equal(told->synced, 1);
    assert_non_null(strstr(kw->said, "! scaledjobs are not installed"));
    assert_non_null(strstr(kw->said, "! clustertriggerauthentications cannot be watched: "));
    kw_put(kw, "/apis/keda.sh/v1alpha1/namespaces/shop/scaledjobs/j", SPEC);
    kw_run(kw, 120 * 1000);
    expect(told, "SJ shop/j stays. ");
    assert_non_null(strstr(kw->said, "scaledjobs can be watched again"));
    assert_null(strstr(strstr(kw->said, "clustertrigger") + 1, "clustertrigger")); /* said once */
    kw_free(kw);
}

static void only_the_namespaces_given_are_looked_at(void **state)
{
    static const char *const namespaces[] = {"shop", "park"};
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), "{\"metadata\":{\"labels\":{\"s\":\"1\"}},\"spec\":{\"x\":1}}");
    kw_put(kw, SO("unlabelled"), SPEC);
    kw_put(kw, TA("unlabelled"), SPEC);
    kw_put(kw, "/apis/keda.sh/v1alpha1/namespaces/other/scaledobjects/b", "{\"metadata\":{\"labels\":{\"s\":\"1\"}}}");
    struct told *told = start(
        kw, (struct kubernetes_options){.namespaces = namespaces, .namespace_count = 2, .object_selector = "s=1"});
    expect(told, "TA shop/unlabelled stays. SO shop/a stays. ");
    assert_int_equal(kw_count(kw, "GET /apis/keda.sh/v1alpha1/scaledobjects"), 0);
    kw_free(kw);
}

/* With Roles only, what is cluster-wide cannot be read; that is as it should be until somebody refers to it. */
static void a_weir_of_some_namespaces_may_do_without_what_is_cluster_wide(void **state)
{
    static const char *const namespaces[] = {"shop"};
    struct kube_world *kw = kw_new();
    struct error err = {0};

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_fault(kw, "GET /apis/keda.sh/v1alpha1/clustertriggerauthentications", 403, 1000);
    struct told *told = start(kw, (struct kubernetes_options){.namespaces = namespaces, .namespace_count = 1});
    expect(told, "SO shop/a stays. ");
    assert_string_equal(kw->said, "");
    const struct platform_ops *ops = kw->platform->ops;
    assert_true(ops->resources_readable(kw->platform, RESOURCE_TRIGGER_AUTH, &err));
    assert_false(ops->resources_readable(kw->platform, RESOURCE_CLUSTER_TRIGGER_AUTH, &err));
    assert_int_equal(err.kind, ERROR_DENIED);
    kw_free(kw);
}

/* ------------------------------------------------------------------ sources of events */

#define SOURCE_OF(kind, spec) "{\"apiVersion\":\"eventing.keda.sh/v1alpha1\",\"kind\":\"" kind "\",\"spec\":" spec "}"
#define EVENTING              "/apis/eventing.keda.sh/v1alpha1/"

static char sources_told[500];

static void on_source(void *arg, const char *ns, const char *name, const struct event_source *source)
{
    size_t at = strlen(sources_told);

    (void)arg; /* there is one listener */
    snprintf(sources_told + at, sizeof(sources_told) - at, "%s/%s %s. ", ns, name,
             !source            ? "gone"
             : source->http_uri ? source->http_uri
                                : "nowhere");
}

static void sources_of_events_are_told_apart_from_objects_and_have_a_status(void **state)
{
    static const struct event_source_listener listener = {.changed = on_source};
    struct kube_world *kw = kw_new();
    struct told told = {.kw = kw};
    const struct platform_ops *ops;

    (void)state;
    sources_told[0] = 0;
    kw_put(kw, EVENTING "namespaces/shop/cloudeventsources/ops",
           SOURCE_OF("CloudEventSource", "{\"destination\":{\"http\":{\"uri\":\"http://a/\"}}}"));
    kw_put(kw, EVENTING "clustercloudeventsources/all",
           SOURCE_OF("ClusterCloudEventSource", "{\"destination\":{\"azureEventGridTopic\":{\"endpoint\":\"e\"}}}"));
    kw_put(kw, SO("a"), SPEC);
    kw_platform(kw, (struct kubernetes_options){.write = true});
    ops = kw->platform->ops;
    ops->event_sources_watch(kw->platform, &listener);
    ops->resources_watch(kw->platform, on_changed, on_synced, &told);
    kw_run(kw, 1000);
    expect(&told, "SO shop/a stays. ");
    assert_string_equal(sources_told, "shop/ops http://a/. /all nowhere. ");
    ops->event_source_active(kw->platform, "shop", "ops", false, "CloudEventSourceFailed", "away");
    ops->event_source_active(kw->platform, "", "all", false, "CloudEventSourceFailed", "none");
    kw_run(kw, 2000);
    assert_int_equal(kw_count(kw, "PATCH " EVENTING "namespaces/shop/cloudeventsources/ops/status"), 1);
    assert_int_equal(kw_count(kw, "PATCH " EVENTING "clustercloudeventsources/all/status"), 1);
    ops->event_source_active(kw->platform, "shop", "ops", false, "CloudEventSourceFailed", "away");
    kw_run(kw, 4000); /* as it is already; and our own write is no change */
    assert_int_equal(kw_count(kw, "PATCH " EVENTING "namespaces/shop/cloudeventsources/ops/status"), 1);
    assert_string_equal(sources_told, "shop/ops http://a/. /all nowhere. ");
    sources_told[0] = 0;
    kw_delete(kw, EVENTING "namespaces/shop/cloudeventsources/ops");
    kw_run(kw, 5000);
    assert_string_equal(sources_told, "shop/ops gone. ");
    kw_free(kw);
}

static void one_can_be_told_again(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    expect(told, "SO shop/a stays. ");
    kw_fault(kw, "GET " SO("a"), 500, 2);
    kw->platform->ops->resource_again(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a");
    kw->platform->ops->resource_again(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a");
    kw->platform->ops->resource_again(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "nobody");
    kw_run(kw, 60 * 1000);
    expect(told, "SO shop/a stays. ");
    kw_free(kw);
}

/* ------------------------------------------------------------------ status */

static void merge(struct kube_world *kw, const char *name, const char *patch)
{
    kw->platform->ops->status_merge(kw->platform, RESOURCE_SCALED_OBJECT, "shop", name, patch, strlen(patch));
}

static void status_is_written_only_where_it_differs(void **state)
{
    static const struct {
        const char *patches[3], *sent; /* NULL: nothing */
    } rows[] = {
        {{"{\"a\":1}"}, NULL}, /* it is so already */
        {{"{\"a\":2}"}, "{\"status\":{\"a\":2}}"},
        {{"{\"a\":2}"}, NULL},
        {{"{\"b\":{\"x\":1}}", "{\"b\":{\"y\":2}}", "{\"a\":3}"}, "{\"status\":{\"b\":{\"x\":1,\"y\":2},\"a\":3}}"},
        {{"{\"a\":4}", "{\"a\":3}"}, NULL}, /* there and back */
        {{"{\"b\":null}"}, "{\"status\":{\"b\":null}}"},
        {{"{\"b\":null}"}, NULL},
        {{"{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}"},
         "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}"},
        {{"{\"conditions\":[{\"status\":\"True\",\"type\":\"Ready\"}]}"}, NULL},
    };
    struct kube_world *kw = kw_new();
    size_t sent = 0;

    (void)state;
    kw_put(kw, SO("a"), "{\"spec\":{},\"status\":{\"a\":1}}");
    struct told *told = start(kw, (struct kubernetes_options){0});
    told->text[0] = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[300];
        for (size_t j = 0; j < 3 && rows[i].patches[j] != NULL; j++)
            merge(kw, "a", rows[i].patches[j]);
        kw_run(kw, 500);
        sent += rows[i].sent != NULL;
        if (kw_count(kw, "PATCH") != sent)
            fail_msg("row %zu: %zu writes, %zu wanted; last: %s", i, kw_count(kw, "PATCH"), sent, kw_last(kw, "PATCH"));
        if (rows[i].sent == NULL)
            continue;
        snprintf(line, sizeof line, "PATCH " SO("a") "/status %s", rows[i].sent);
        assert_string_equal(kw_last(kw, "PATCH"), line);
    }
    expect(told, ""); /* none of it came back as a change */
    kw_free(kw);
}

static void what_somebody_else_wrote_is_seen(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), "{\"status\":{\"a\":1}}");
    start(kw, (struct kubernetes_options){0});
    kw_merge_into(kw, SO("a"), "{\"status\":{\"a\":9}}");
    kw_run(kw, 10);
    merge(kw, "a", "{\"a\":1}");
    kw_run(kw, 500);
    assert_int_equal(kw_count(kw, "PATCH"), 1);
    kw_free(kw);
}

static void failed_writes_are_tried_again_with_the_newest(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    start(kw, (struct kubernetes_options){0});
    kw_fault(kw, "PATCH " SO("a"), 500, 2);
    merge(kw, "a", "{\"a\":1,\"b\":1}");
    kw_run(kw, 500);
    merge(kw, "a", "{\"a\":2}");
    kw_run(kw, 30 * 1000);
    assert_int_equal(kw_count(kw, "PATCH"), 3);
    assert_string_equal(kw_last(kw, "PATCH"), "PATCH " SO("a") "/status {\"status\":{\"a\":2,\"b\":1}}");
    kw_free(kw);
}

static void statuses_of_the_gone_and_the_invalid_are_dropped(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, SO("b"), SPEC);
    kw_put(kw, SO("c"), SPEC);
    start(kw, (struct kubernetes_options){0});
    kw_fault(kw, "PATCH " SO("a"), 404, 1);
    kw_fault(kw, "PATCH " SO("b"), 422, 1);
    merge(kw, "a", "{\"a\":1}");
    merge(kw, "b", "{\"a\":1}");
    merge(kw, "c", "{\"a\":1}");
    merge(kw, "nobody", "{\"a\":1}");
    kw_delete(kw, SO("c"));
    kw_run(kw, 60 * 1000);
    assert_int_equal(kw_count(kw, "PATCH"), 2);
    assert_non_null(strstr(kw->said, "the status of ScaledObject shop/b is refused by the CRD"));
    kw_free(kw);
}

/* One object in trouble does not hide others, and a thousand do not fill the log. */
static void refused_statuses_are_said_of_some_objects(void **state)
{
    struct kube_world *kw = kw_new();
    char path[200], name[20];
    int said = 0;

    (void)state;
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, SO("o%d"), i);
        kw_put(kw, path, SPEC);
    }
    start(kw, (struct kubernetes_options){0});
    kw_fault(kw, "PATCH ", 422, 1000);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof name, "o%d", i);
            merge(kw, name, round ? "{\"a\":2}" : "{\"a\":1}");
        }
        kw_run(kw, 5000);
        said = 0;
        for (const char *at = kw->said; (at = strstr(at, "the status of ")) != NULL; at++)
            said++;
        assert_int_equal(said, 20);
    }
    kw_free(kw);
}

static void many_statuses_are_written_in_bounded_parallel(void **state)
{
    struct kube_world *kw = kw_new();
    char path[200], name[20];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, SO("s%d"), i);
        kw_put(kw, path, SPEC);
    }
    start(kw, (struct kubernetes_options){0});
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%d", i);
        merge(kw, name, "{\"a\":1}");
    }
    kw_run(kw, 5000);
    assert_int_equal(kw_count(kw, "PATCH"), 1000);
    struct kubernetes_stats stats;
    platform_kubernetes_stats(kw->platform, &stats);
    assert_int_equal(stats.status_writes, 1000);
    kw_free(kw);
}

static void on_merged(void *arg, const struct error *err)
{
    char *out = arg;

    snprintf(out, 400, "%s", err ? err->text : "done");
}

static void nothing_is_written_where_all_is_observed(void **state)
{
    static struct told told;
    struct kube_world *kw = kw_new();
    char said[400] = "";
    static const char patch[] = "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}";

    (void)state;
    told = (struct told){.kw = kw};
    kw_put(kw, SO("a"), SPEC);
    kw_platform(kw, (struct kubernetes_options){.write = false, .leader_elect = true});
    kw->platform->ops->resources_watch(kw->platform, on_changed, on_synced, &told);
    kw_run(kw, 1000);
    expect(&told, "SO shop/a stays. ");
    merge(kw, "a", "{\"a\":1}");
    kw->platform->ops->event(kw->platform, "shop", "ScaledObject", "a", false, "R", "t");
    kw->platform->ops->resource_merge(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a", patch, sizeof patch - 1,
                                      on_merged, said);
    kw->platform->ops->hpa_put(kw->platform, "shop", "h", "{}", 2, NULL, NULL);
    kw->platform->ops->hpa_delete(kw->platform, "shop", "h", "u", NULL, NULL);
    assert_false(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    kw_run(kw, 30 * 1000);
    assert_non_null(strstr(said, "only observed"));
    for (size_t i = 0; i < kw->request_count; i++)
        assert_memory_equal(kw->requests[i], "GET ", 4);
    kw_free(kw);
}

static void objects_are_merged_into(void **state)
{
    static const char patch[] = "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}";
    struct kube_world *kw = kw_new();
    char said[400] = "";

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){0});
    told->text[0] = 0;
    kw->platform->ops->resource_merge(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a", patch, sizeof patch - 1,
                                      on_merged, said);
    kw_run(kw, 1000);
    assert_string_equal(said, "done");
    expect(told, "SO shop/a stays. ");
    kw->platform->ops->resource_merge(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "nobody", patch, sizeof patch - 1,
                                      on_merged, said);
    kw_run(kw, 1000);
    assert_string_not_equal(said, "done");
    kw_free(kw);
}

/* ------------------------------------------------------------------ one of two */

static void a_standby_lists_nothing_and_takes_over(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, "/apis/coordination.k8s.io/v1/namespaces/weir/leases/weir-leader",
           "{\"spec\":{\"holderIdentity\":\"other\",\"leaseDurationSeconds\":15,\"leaseTransitions\":1}}");
    struct told *told = start(kw, (struct kubernetes_options){.leader_elect = true});
    expect(told, "");
    assert_int_equal(kw_count(kw, "GET /apis/keda.sh"), 0);
    kw_run(kw, 25 * 1000); /* the other is silent */
    expect(told, "SO shop/a stays. ");
    assert_true(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    /* Nobody answers any more: it is not the leader when its time is over, and lets go. */
    kw_fault(kw, "", 500, 1000000);
    kw_run(kw, 16 * 1000);
    assert_false(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    expect(told, "SO shop/a moved. ");
    kw_free(kw);
}

/* ------------------------------------------------------------------ several at once */

enum { SPREAD = 40 };

struct member { /* of a group, and how it stands with each object s0 ... */
    struct platform *platform;
    int has[SPREAD], auths;
    bool knows[SPREAD]; /* what it refers to, though it is another's */
};

static void on_spread(void *arg, const struct resource_view *view, enum resource_end ended)
{
    struct member *member = arg;
    int at = 0;

    if (view->kind == RESOURCE_TRIGGER_AUTH) {
        member->auths++;
        return;
    }
    assert_int_equal(sscanf(view->name, "s%d", &at), 1);
    member->knows[at] |= ended == RESOURCE_ELSEWHERE;
    if (ended == RESOURCE_ELSEWHERE && view->tree != NULL) {
        assert_int_equal(member->has[at], 0);
        return;
    }
    assert_int_equal(member->has[at], ended == RESOURCE_STAYS ? 0 : 1); /* told once, and moved once */
    member->has[at] = ended == RESOURCE_STAYS;
}

static void join(struct kube_world *kw, struct member *member, const char *identity)
{
    *member = (struct member){0};
    kw_platform(kw, (struct kubernetes_options){.write = true, .shard_group = "g", .identity = identity});
    member->platform = kw->platform;
    kw->platform = NULL;
    member->platform->ops->resources_watch(member->platform, on_spread, NULL, member);
}

static int count(const struct member *member)
{
    int has = 0;

    for (int i = 0; i < SPREAD; i++)
        has += member->has[i];
    return has;
}

/* Runs on for so long, and sees at every moment that no object has two writers, and nobody writes who was not told. */
static void watch_them(struct kube_world *kw, const struct member *a, const struct member *b, int64_t for_ms)
{
    char name[20];

    for (int64_t at = 0; at < for_ms; at += 100) {
        kw_run(kw, 100);
        for (int i = 0; i < SPREAD; i++) {
            snprintf(name, sizeof name, "s%d", i);
            bool by_a = a->platform->ops->may_write(a->platform, "shop", name);
            bool by_b = b->platform != NULL && b->platform->ops->may_write(b->platform, "shop", name);
            assert_false(by_a && by_b);
        }
    }
}

static void on_left(void *arg, const struct error *err)
{
    bool *left = arg;

    assert_null(err);
    *left = true;
}

static void objects_are_spread_and_move(void **state)
{
    struct kube_world *kw = kw_new();
    struct member a, b = {0};
    char path[200];
    bool left = false;

    (void)state;
    for (int i = 0; i < SPREAD; i++) {
        snprintf(path, sizeof path, SO("s%d"), i);
        kw_put(kw, path, SPEC);
    }
    kw_put(kw, TA("t"), SPEC);
    join(kw, &a, "a");
    watch_them(kw, &a, &b, 10 * 1000);
    assert_int_equal(count(&a), SPREAD);
    join(kw, &b, "b");
    watch_them(kw, &a, &b, 20 * 1000);
    assert_int_equal(count(&a) + count(&b), SPREAD);
    assert_in_range(count(&a), 5, 35);
    assert_int_equal(b.auths, 1); /* what others refer to is told to all */
    kw_merge_into(kw, SO("s0"), "{\"metadata\":{\"labels\":{\"l\":\"1\"}}}");
    for (int i = 0; i < SPREAD; i++)
        a.has[i] = i == 0 ? 0 : a.has[i], b.has[i] = i == 0 ? 0 : b.has[i]; /* it is told once more, to its owner */
    kw_run(kw, 100);
    assert_int_equal(a.has[0] + b.has[0], 1);
    for (int i = 0; i < SPREAD; i++) { /* and what an object refers to, to everybody */
        assert_true(a.has[i] || a.knows[i]);
        assert_true(b.has[i] || b.knows[i]);
    }
    b.platform->ops->stop(b.platform, false, on_left, &left);
    watch_them(kw, &a, &b, 5 * 1000);
    assert_true(left);
    b.platform->ops->free(b.platform);
    b.platform = NULL;
    watch_them(kw, &a, &b, 5 * 1000); /* at once, not after the Lease would have run out */
    assert_int_equal(count(&a), SPREAD);
    kw->platform = a.platform;
    kw_free(kw);
}

/* Its Lease could not be renewed in time, and nobody took over. */
static void what_changes_while_the_owner_is_in_doubt_is_not_lost(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    kw_put(kw, SO("goes"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){.shard_group = "g"});
    kw_run(kw, 5000);
    told->text[0] = 0;
    kw_fault(kw, "PATCH /apis/coordination.k8s.io", 500, 1000);
    kw_run(kw, 16 * 1000);
    assert_false(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    kw_put(kw, SO("a"), "{\"spec\":{\"x\":2}}");
    kw_delete(kw, SO("goes"));
    kw_run(kw, 100);
    expect(told, "SO shop/a stays. SO shop/goes deleted. ");
    kw_put(kw, SO("new"), SPEC); /* might be another's */
    kw_run(kw, 100);
    expect(told, "SO shop/new elsewhere with tree. ");
    kw->faults[0].times = 0;
    kw_run(kw, 5000);
    assert_true(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    expect(told, "SO shop/new stays. ");
    kw_free(kw);
}

static void what_waits_is_written_before_the_lease_is_given_up(void **state)
{
    struct kube_world *kw = kw_new();
    bool left = false;

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    start(kw, (struct kubernetes_options){.leader_elect = true});
    merge(kw, "a", "{\"a\":1}");
    kw->platform->ops->event(kw->platform, "shop", "ScaledObject", "a", false, "R", "t");
    kw->platform->ops->stop(kw->platform, false, on_left, &left);
    assert_false(left);
    kw_run(kw, 1000);
    assert_true(left);
    assert_int_equal(kw_count(kw, "PATCH " SO("a")), 1);
    assert_int_equal(kw_count(kw, "POST /apis/events.k8s.io"), 1);
    const json_t *lease = kw_get(kw, "/apis/coordination.k8s.io/v1/namespaces/weir/leases/weir-leader");
    const char *holder = json_string_value(json_object_get(json_object_get(lease, "spec"), "holderIdentity"));
    assert_true(holder == NULL || holder[0] == 0);
    kw_free(kw);
}

#define POD_OF_WEIR "/api/v1/namespaces/weir/pods/weir-1"

static const char *leader_label(struct kube_world *kw, const char *pod)
{
    const json_t *meta = json_object_get(kw_get(kw, pod), "metadata");
    const char *value = json_string_value(json_object_get(json_object_get(meta, "labels"), "weir.dev/leader"));

    return value ? value : "none";
}

/* A Service that wants metrics has to find the leader; a process before this one, in the same Pod, may have been it. */
static void the_pod_of_the_leader_is_labelled(void **state)
{
    struct kube_world *kw = kw_new();
    bool left = false;

    (void)state;
    kw_put(kw, POD_OF_WEIR, "{\"metadata\":{\"labels\":{\"app\":\"weir\",\"weir.dev/leader\":\"true\"}}}");
    kw_put(kw, "/apis/coordination.k8s.io/v1/namespaces/weir/leases/weir-leader",
           "{\"spec\":{\"holderIdentity\":\"other\",\"leaseDurationSeconds\":15,\"leaseTransitions\":1}}");
    start(kw, (struct kubernetes_options){.leader_elect = true, .leader_pod = "weir-1"});
    kw_run(kw, 1000);
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "none");
    kw_fault(kw, "PATCH " POD_OF_WEIR, 500, 2);
    kw_run(kw, 30 * 1000); /* the other is silent */
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "true");
    size_t patches = kw_count(kw, "PATCH " POD_OF_WEIR);
    kw_run(kw, 600 * 1000);
    assert_int_equal(kw_count(kw, "PATCH " POD_OF_WEIR), patches);
    kw->platform->ops->stop(kw->platform, false, on_left, &left);
    kw_run(kw, 1000);
    assert_true(left);
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "none");
    kw_free(kw);
}

/* One that was cut off, or killed, cannot: who leads after it does. Pods of another release keep theirs. */
static void who_leads_takes_the_label_off_others(void **state)
{
#define RELEASE(instance) "\"app.kubernetes.io/name\":\"weir\",\"app.kubernetes.io/instance\":\"" instance "\""
#define LEADS             "\"weir.dev/leader\":\"true\""
    static const char other[] = "/api/v1/namespaces/weir/pods/weir-2", third[] = "/api/v1/namespaces/weir/pods/weir-3",
                      theirs[] = "/api/v1/namespaces/weir/pods/test-1";
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, POD_OF_WEIR, "{\"metadata\":{\"labels\":{" RELEASE("prod") "}}}");
    kw_put(kw, other, "{\"metadata\":{\"labels\":{" RELEASE("prod") "," LEADS "}}}");
    kw_put(kw, third, "{\"metadata\":{\"labels\":{" RELEASE("prod") "," LEADS "}}}");
    kw_put(kw, theirs, "{\"metadata\":{\"labels\":{" RELEASE("test") "," LEADS "}}}");
    kw_fault(kw, "PATCH /api/v1/namespaces/weir/pods/weir-3", 500, 1);
    kw_fault(kw, "GET /api/v1/namespaces/weir/pods ", 403, 1);
    start(kw, (struct kubernetes_options){.leader_elect = true, .leader_pod = "weir-1"});
    kw_run(kw, 70 * 1000);
    assert_non_null(strstr(kw->said, "other Pods may still have the label of the leader"));
    assert_null(strstr(kw->said, "cannot be labelled"));
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "true");
    assert_string_equal(leader_label(kw, other), "none");
    assert_string_equal(leader_label(kw, third), "none");
    assert_string_equal(leader_label(kw, theirs), "true");
    size_t asked = kw->request_count;
    kw_run(kw, 1000);
    assert_true(kw->request_count - asked < 3); /* it is not looked for for ever: the Lease is all that is asked for */
    kw_free(kw);
#undef RELEASE
#undef LEADS
}

/* Somebody else has taken the Lease: the label goes although nothing of objects may be written any more. */
static void the_label_goes_with_the_lease(void **state)
{
    struct kube_world *kw = kw_new();

    (void)state;
    kw_put(kw, POD_OF_WEIR, "{\"metadata\":{\"labels\":{\"app\":\"weir\"}}}");
    start(kw, (struct kubernetes_options){.leader_elect = true, .leader_pod = "weir-1"});
    kw_run(kw, 5000);
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "true");
    kw_merge_into(
        kw, "/apis/coordination.k8s.io/v1/namespaces/weir/leases/weir-leader",
        "{\"spec\":{\"holderIdentity\":\"other\"},\"metadata\":{\"annotations\":{\"weir.dev/holder\":\"x\"}}}");
    kw_run(kw, 8 * 1000);
    assert_false(kw->platform->ops->may_write(kw->platform, "shop", "a"));
    assert_string_equal(leader_label(kw, POD_OF_WEIR), "none");
    kw_free(kw);
}

static void stopping_is_not_held_up_by_a_silent_server(void **state)
{
    struct kube_world *kw = kw_new();
    bool left = false;

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    start(kw, (struct kubernetes_options){.leader_elect = true});
    merge(kw, "a", "{\"a\":1}");
    virtual_answer(kw->world, "http://api", NULL, NULL);
    kw->platform->ops->stop(kw->platform, false, on_left, &left);
    kw_run(kw, 8 * 1000);
    assert_true(left);
    kw_free(kw);
}

/* Who listened is gone by then: not by a watch, not by what was asked for once more, not by a Secret. */
static void who_stops_is_told_nothing_more(void **state)
{
    struct kube_world *kw = kw_new();
    bool left = false;

    (void)state;
    kw_put(kw, SO("a"), SPEC);
    struct told *told = start(kw, (struct kubernetes_options){.leader_elect = true});
    told->text[0] = 0;
    kw_fault(kw, "PATCH ", 503, 2); /* so that stopping takes a while */
    merge(kw, "a", "{\"a\":1}");
    kw->platform->ops->resource_again(kw->platform, RESOURCE_SCALED_OBJECT, "shop", "a");
    kw->platform->ops->stop(kw->platform, false, on_left, &left);
    kw_put(kw, SO("b"), SPEC);
    kw_run(kw, 10 * 1000);
    assert_true(left);
    expect(told, "");
    kw_free(kw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_refer_to_comes_first),
        cmocka_unit_test(only_what_matters_is_told),
        cmocka_unit_test(ends_are_told_once),
        cmocka_unit_test(read_again_it_has_not_ended_twice),
        cmocka_unit_test(what_cannot_be_read_any_more_is_not_gone),
        cmocka_unit_test(a_list_with_something_unknown_ends_nothing),
        cmocka_unit_test(what_is_not_installed_holds_nothing_up),
        cmocka_unit_test(only_the_namespaces_given_are_looked_at),
        cmocka_unit_test(a_weir_of_some_namespaces_may_do_without_what_is_cluster_wide),
        cmocka_unit_test(sources_of_events_are_told_apart_from_objects_and_have_a_status),
        cmocka_unit_test(one_can_be_told_again),
        cmocka_unit_test(status_is_written_only_where_it_differs),
        cmocka_unit_test(what_somebody_else_wrote_is_seen),
        cmocka_unit_test(failed_writes_are_tried_again_with_the_newest),
        cmocka_unit_test(statuses_of_the_gone_and_the_invalid_are_dropped),
        cmocka_unit_test(refused_statuses_are_said_of_some_objects),
        cmocka_unit_test(many_statuses_are_written_in_bounded_parallel),
        cmocka_unit_test(nothing_is_written_where_all_is_observed),
        cmocka_unit_test(objects_are_merged_into),
        cmocka_unit_test(a_standby_lists_nothing_and_takes_over),
        cmocka_unit_test(objects_are_spread_and_move),
        cmocka_unit_test(what_changes_while_the_owner_is_in_doubt_is_not_lost),
        cmocka_unit_test(what_waits_is_written_before_the_lease_is_given_up),
        cmocka_unit_test(the_pod_of_the_leader_is_labelled),
        cmocka_unit_test(who_leads_takes_the_label_off_others),
        cmocka_unit_test(the_label_goes_with_the_lease),
        cmocka_unit_test(stopping_is_not_held_up_by_a_silent_server),
        cmocka_unit_test(who_stops_is_told_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

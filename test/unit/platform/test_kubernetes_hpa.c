/* HorizontalPodAutoscalers of hpa mode: created, taken over, mended, and left alone where nothing differs. */
#include "cluster_world.h"

#define HPA        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/h"
#define COLLECTION "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
#define SO         "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/a"

#define META(labels, annotations)                                                                                      \
    "\"apiVersion\":\"autoscaling/v2\",\"kind\":\"HorizontalPodAutoscaler\",\"metadata\":{\"name\":\"h\",\"labels\":"  \
    "{\"app.kubernetes.io/managed-by\":\"keda-operator\"" labels "},\"annotations\":{" annotations "},"                \
    "\"ownerReferences\":[{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"ScaledObject\",\"name\":\"a\","              \
    "\"uid\":\"u\",\"controller\":true,\"blockOwnerDeletion\":true}]}"
#define METRICS(target)                                                                                                \
    "\"metrics\":[{\"type\":\"External\",\"external\":{\"metric\":{\"name\":\"s0\"},\"target\":"                       \
    "{\"type\":\"AverageValue\",\"averageValue\":\"" target "\"}}}]"
#define BODY(meta, max, behavior, metrics)                                                                             \
    "{" meta ",\"spec\":{\"minReplicas\":1,\"maxReplicas\":" max behavior "," metrics "}}"

static const char plain[] = BODY(META("", ""), "10", "", METRICS("1000"));
static const char bigger[] = BODY(META("", ""), "20", "", METRICS("1000"));
static const char partial[] =
    BODY(META("", ""), "10", ",\"behavior\":{\"scaleDown\":{\"stabilizationWindowSeconds\":60}}", METRICS("1000"));
static const char disabled[] =
    BODY(META("", ""), "10", ",\"behavior\":{\"scaleDown\":{\"selectPolicy\":\"Disabled\"}}", METRICS("1000"));
static const char labelled[] = BODY(META(",\"team\":\"x\"", "\"note\":\"n\""), "10", "", METRICS("1000"));

struct put {
    int done, failed;
    char error[400];
};

static void on_put(void *arg, const struct error *err)
{
    struct put *put = arg;

    put->done++;
    put->failed += err != NULL;
    snprintf(put->error, sizeof put->error, "%s", err ? err->text : "");
}

static void on_resource(void *arg, const struct resource_view *view, enum resource_end ended)
{
    int *told = arg;

    (void)view, (void)ended;
    (*told)++;
}

static int told;

static struct kube_world *start(void)
{
    struct kube_world *kw = kw_new();

    told = 0;
    kw_put(kw, SO, "{\"spec\":{}}");
    return kw;
}

static void run(struct kube_world *kw)
{
    kw_platform(kw, (struct kubernetes_options){.write = true});
    kw->platform->ops->resources_watch(kw->platform, on_resource, NULL, &told);
    kw_run(kw, 1000);
    assert_int_equal(told, 1);
}

static void put(struct kube_world *kw, const char *json)
{
    struct put put = {0};

    kw->platform->ops->hpa_put(kw->platform, "shop", "h", json, strlen(json), on_put, &put);
    assert_int_equal(put.done, 0); /* never inside the call */
    kw_run(kw, 5000);
    assert_int_equal(put.done, 1);
    if (put.failed)
        fail_msg("%s", put.error);
}

static size_t writes(const struct kube_world *kw)
{
    return kw_count(kw, "POST " COLLECTION) + kw_count(kw, "PUT " COLLECTION) + kw_count(kw, "DELETE " COLLECTION);
}

static json_t *at(struct kube_world *kw, const char *a, const char *b)
{
    return json_object_get(json_object_get(kw_get(kw, HPA), a), b);
}

static void it_is_created_once_and_then_left_alone(void **state)
{
    static const char *const bodies[] = {plain, partial, disabled, labelled};

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct kube_world *kw = start();
        run(kw);
        put(kw, bodies[i]);
        assert_int_equal(writes(kw), 1);
        assert_int_equal(kw_count(kw, "POST"), 1);
        assert_int_equal(kw_count(kw, "GET " HPA), 0);
        put(kw, bodies[i]);
        assert_int_equal(writes(kw), 1);
        assert_int_equal(told, 1); /* what we wrote is nobody's edit */
        kw_free(kw);
    }
}

/* Nobody's edit, and nothing to be made anew. */
static void one_that_cannot_be_read_any_more_is_not_gone(void **state)
{
    struct kube_world *kw = start();
    struct hpa_view view;
    char deep[1000];

    (void)state;
    run(kw);
    put(kw, plain);
    kw_nest(deep, sizeof deep,
            "{\"metadata\":{\"labels\":{\"app.kubernetes.io/managed-by\":\"keda-operator\"}},\"spec\":", "}");
    kw_put(kw, HPA, deep);
    kw_list_anew(kw, "horizontalpodautoscalers");
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "h", &view), LOOKUP_FOUND);
    assert_int_equal(told, 1);
    kw_free(kw);
}

static void after_a_restart_nothing_is_sent_where_all_is_right(void **state)
{
    struct kube_world *kw = start();

    (void)state;
    run(kw);
    put(kw, partial);
    kw->platform->ops->free(kw->platform);
    told = 0;
    run(kw);
    put(kw, partial);
    assert_int_equal(writes(kw), 1);
    assert_int_equal(kw_count(kw, "GET " HPA), 0);
    kw_free(kw);
}

static void it_is_replaced_where_it_differs(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {{plain, bigger},     {bigger, plain},     {plain, partial},  {partial, plain},
                {partial, disabled}, {disabled, partial}, {plain, labelled}, {labelled, plain}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kube_world *kw = start();
        run(kw);
        put(kw, rows[i].from);
        put(kw, rows[i].to);
        if (writes(kw) != 2 || kw_count(kw, "PUT") != 1)
            fail_msg("row %zu: %zu writes", i, writes(kw));
        assert_non_null(strstr(kw_last(kw, "PUT"), "\"resourceVersion\""));
        put(kw, rows[i].to);
        assert_int_equal(writes(kw), 2);
        assert_int_equal(told, 1);
        kw_free(kw);
    }
}

static void labels_that_were_ours_go_and_those_of_others_stay(void **state)
{
    struct kube_world *kw = start();

    (void)state;
    run(kw);
    put(kw, labelled);
    kw_merge_into(kw, HPA, "{\"metadata\":{\"labels\":{\"foreign\":\"1\"},\"annotations\":{\"foreign\":\"2\"}}}");
    kw_run(kw, 1000);
    assert_int_equal(told, 2); /* whoever put it is asked, and finds nothing to do */
    put(kw, labelled);
    assert_int_equal(writes(kw), 1);
    put(kw, plain);
    assert_int_equal(writes(kw), 2);
    json_t *labels = at(kw, "metadata", "labels");
    assert_null(json_object_get(labels, "team"));
    assert_string_equal(json_string_value(json_object_get(labels, "foreign")), "1");
    assert_string_equal(json_string_value(json_object_get(at(kw, "metadata", "annotations"), "foreign")), "2");
    kw_free(kw);
}

static void one_that_has_the_name_is_taken_over(void **state)
{
    struct kube_world *kw = start();

    (void)state;
    kw_put(kw, HPA, "{\"spec\":{\"minReplicas\":3,\"maxReplicas\":4}}");
    run(kw);
    put(kw, plain);
    assert_int_equal(kw_count(kw, "POST"), 1); /* it has no label of ours: not known before */
    assert_int_equal(kw_count(kw, "GET " HPA), 1);
    assert_int_equal(kw_count(kw, "PUT"), 1);
    assert_int_equal(json_integer_value(at(kw, "spec", "maxReplicas")), 10);
    assert_int_equal(json_array_size(at(kw, "metadata", "ownerReferences")), 1);
    kw_free(kw);
}

static void edits_of_others_are_told_and_mended(void **state)
{
    static const struct {
        const char *patch;
        bool told, mended;
    } rows[] = {
        {"{\"spec\":{\"maxReplicas\":99}}", true, true},
        {"{\"spec\":{\"metrics\":[]}}", true, true},
        {"{\"spec\":{\"behavior\":{\"scaleDown\":{\"selectPolicy\":\"Disabled\"}}}}", true, true},
        {"{\"metadata\":{\"ownerReferences\":null}}", true, true},
        {"{\"status\":{\"desiredReplicas\":3}}", false, false},
        {"{\"metadata\":{\"annotations\":{\"x\":\"y\"}}}", true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kube_world *kw = start();
        run(kw);
        put(kw, partial);
        kw_merge_into(kw, HPA, rows[i].patch);
        kw_run(kw, 1000);
        if ((told == 2) != rows[i].told)
            fail_msg("%s: told %d times", rows[i].patch, told);
        put(kw, partial);
        if ((writes(kw) == 2) != rows[i].mended)
            fail_msg("%s: %zu writes", rows[i].patch, writes(kw));
        kw_free(kw);
    }
}

static void one_that_is_deleted_is_told_and_made_again(void **state)
{
    struct kube_world *kw = start();

    (void)state;
    run(kw);
    put(kw, plain);
    kw_delete(kw, HPA);
    kw_run(kw, 1000);
    assert_int_equal(told, 2);
    put(kw, plain);
    assert_int_equal(kw_count(kw, "POST"), 2);
    kw_free(kw);
}

static void conflicts_are_read_and_tried_again(void **state)
{
    struct kube_world *kw = start();

    (void)state;
    run(kw);
    put(kw, plain);
    kw_fault(kw, "PUT", 409, 2);
    put(kw, bigger);
    assert_int_equal(kw_count(kw, "PUT"), 3);
    assert_int_equal(kw_count(kw, "GET " HPA), 3);
    kw_fault(kw, "PUT", 409, 100);
    struct put result = {0};
    kw->platform->ops->hpa_put(kw->platform, "shop", "h", plain, strlen(plain), on_put, &result);
    kw_run(kw, 30 * 1000);
    assert_int_equal(result.failed, 1); /* and an end is made of it */
    assert_in_range(kw_count(kw, "PUT"), 6, 10);
    kw_free(kw);
}

static void a_later_put_replaces_an_earlier_one(void **state)
{
    struct kube_world *kw = start();
    struct put first = {0}, second = {0}, third = {0};

    (void)state;
    run(kw);
    put(kw, plain);
    kw->platform->ops->hpa_put(kw->platform, "shop", "h", partial, strlen(partial), on_put, &first);
    kw->platform->ops->hpa_put(kw->platform, "shop", "h", bigger, strlen(bigger), on_put, &second);
    kw_run(kw, 5000);
    assert_int_equal(first.done + second.done, 2);
    assert_int_equal(json_integer_value(at(kw, "spec", "maxReplicas")), 20);
    kw->platform->ops->hpa_put(kw->platform, "shop", "h", plain, strlen(plain), on_put, &first);
    kw->platform->ops->hpa_delete(kw->platform, "shop", "h", "u", on_put, &third);
    kw_run(kw, 5000);
    assert_int_equal(first.done, 2);
    assert_int_equal(third.done, 1);
    assert_null(kw_get(kw, HPA));
    assert_int_equal(told, 1);
    kw_free(kw);
}

static void deleting_is_done_when_it_is_gone(void **state)
{
    struct kube_world *kw = start();
    struct put result = {0};

    (void)state;
    kw_put(kw, HPA, "{\"metadata\":{\"uid\":\"its-own\",\"ownerReferences\":[{\"uid\":\"u\",\"controller\":true}]}}");
    run(kw);
    for (int i = 0; i < 2; i++) {
        kw->platform->ops->hpa_delete(kw->platform, "shop", "h", "u", on_put, &result);
        kw_run(kw, 1000);
    }
    assert_int_equal(result.done, 2);
    assert_int_equal(result.failed, 0);
    assert_null(kw_get(kw, HPA));
    assert_int_equal(kw_count(kw, "DELETE"), 1); /* the second time it is known that there is none */
    assert_non_null(strstr(kw_last(kw, "DELETE"), "\"preconditions\":{\"uid\":\"its-own\"}"));
    kw_free(kw);
}

/* The name comes from a status, which others may write. */
static void one_of_somebody_else_is_not_deleted(void **state)
{
    static const char *const owners[] = {"", ",\"ownerReferences\":[{\"uid\":\"other\",\"controller\":true}]",
                                         ",\"ownerReferences\":[{\"uid\":\"u\"}]"};
    char json[300];

    (void)state;
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        struct kube_world *kw = start();
        struct put result = {0};
        snprintf(json, sizeof json,
                 "{\"metadata\":{\"labels\":{\"app.kubernetes.io/managed-by\":\"keda-operator\"}%s}}", owners[i]);
        kw_put(kw, HPA, json);
        run(kw);
        kw->platform->ops->hpa_delete(kw->platform, "shop", "h", "u", on_put, &result);
        kw_run(kw, 1000);
        assert_int_equal(result.done, 1);
        assert_int_equal(result.failed, 0);
        assert_int_equal(kw_count(kw, "DELETE"), 0);
        assert_non_null(strstr(kw->said, "shop/h is not deleted"));
        kw_free(kw);
    }
}

static void one_that_was_put_for_another_is_not_touched(void **state)
{
    struct kube_world *kw = start();
    struct put result = {0};

    (void)state;
    run(kw);
    put(kw, plain);
    kw->platform->ops->hpa_delete(kw->platform, "shop", "h", "other", on_put, &result);
    kw_run(kw, 1000);
    assert_int_equal(result.done, 1);
    assert_int_equal(writes(kw), 1);
    kw_merge_into(kw, HPA, "{\"spec\":{\"maxReplicas\":99}}");
    kw_run(kw, 1000);
    assert_int_equal(told, 2); /* it still belongs to whom it was put for */
    kw_free(kw);
}

static void its_condition_is_shown(void **state)
{
    struct kube_world *kw = start();
    struct hpa_view view;

    (void)state;
    run(kw);
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "h", &view), LOOKUP_PENDING);
    kw_run(kw, 1000);
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "h", &view), LOOKUP_ABSENT);
    put(kw, plain);
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "h", &view), LOOKUP_FOUND);
    assert_null(view.scaling_active);
    kw_merge_into(kw, HPA,
                  "{\"status\":{\"conditions\":[{\"type\":\"AbleToScale\",\"status\":\"True\"},"
                  "{\"type\":\"ScalingActive\",\"status\":\"False\",\"reason\":\"R\",\"message\":\"m\"}]}}");
    kw_run(kw, 10);
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "h", &view), LOOKUP_FOUND);
    assert_string_equal(view.scaling_active, "False");
    assert_string_equal(view.reason, "R");
    assert_string_equal(view.message, "m");
    kw_free(kw);
}

static void without_the_right_to_list_they_are_read_one_by_one(void **state)
{
    struct kube_world *kw = start();
    struct hpa_view view;

    (void)state;
    kw_put(kw, HPA, "{\"spec\":{\"minReplicas\":3,\"maxReplicas\":4}}");
    kw_fault(kw, "GET /apis/autoscaling/v2/horizontalpodautoscalers", 403, 1000);
    run(kw);
    put(kw, plain);
    put(kw, plain);
    assert_int_equal(kw_count(kw, "PUT"), 1);
    kw_merge_into(kw, HPA, "{\"spec\":{\"maxReplicas\":99}}"); /* not seen, but found at the next */
    put(kw, plain);
    assert_int_equal(kw_count(kw, "PUT"), 2);
    assert_non_null(strstr(kw->said, "HorizontalPodAutoscalers cannot be watched"));
    assert_int_equal(kw->platform->ops->hpa_view(kw->platform, "shop", "other", &view), LOOKUP_DENIED);
    kw_free(kw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_created_once_and_then_left_alone),
        cmocka_unit_test(one_that_cannot_be_read_any_more_is_not_gone),
        cmocka_unit_test(after_a_restart_nothing_is_sent_where_all_is_right),
        cmocka_unit_test(it_is_replaced_where_it_differs),
        cmocka_unit_test(labels_that_were_ours_go_and_those_of_others_stay),
        cmocka_unit_test(one_that_has_the_name_is_taken_over),
        cmocka_unit_test(edits_of_others_are_told_and_mended),
        cmocka_unit_test(one_that_is_deleted_is_told_and_made_again),
        cmocka_unit_test(conflicts_are_read_and_tried_again),
        cmocka_unit_test(a_later_put_replaces_an_earlier_one),
        cmocka_unit_test(deleting_is_done_when_it_is_gone),
        cmocka_unit_test(one_of_somebody_else_is_not_deleted),
        cmocka_unit_test(one_that_was_put_for_another_is_not_touched),
        cmocka_unit_test(its_condition_is_shown),
        cmocka_unit_test(without_the_right_to_list_they_are_read_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

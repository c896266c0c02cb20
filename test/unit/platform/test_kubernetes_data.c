/* Secrets and ConfigMaps by name, and events. */
#include "cluster_world.h"

#include "base/secret.h"

#define SECRET(name) "/api/v1/namespaces/shop/secrets/" name
#define CONFIG(name) "/api/v1/namespaces/shop/configmaps/" name
#define SO(name)     "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/" name
#define EVENTS       "POST /apis/events.k8s.io/v1/namespaces/shop/events"

enum { MINUTE = 60 * 1000 };

struct changes {
    int count;
    char last[300];
};

static void on_change(void *arg, const char *ns, const char *name)
{
    struct changes *c = arg;

    c->count++;
    snprintf(c->last, sizeof c->last, "%s/%s", ns, name);
}

static void start(struct kube_world *kw, struct changes *changes)
{
    *changes = (struct changes){0};
    kw_platform(kw, (struct kubernetes_options){.write = true});
    kw->platform->ops->on_data_change(kw->platform, on_change, changes);
}

/* "pending", "absent", "denied", or "=" and the value */
static const char *look(struct kube_world *kw, bool secret, const char *name, const char *key)
{
    static char out[200];
    struct secret *value = NULL;
    const struct platform_ops *ops = kw->platform->ops;
    enum lookup found = (secret ? ops->secret_get : ops->config_get)(kw->platform, "shop", name, key, &value);

    if (found != LOOKUP_FOUND)
        return found == LOOKUP_PENDING ? "pending" : found == LOOKUP_DENIED ? "denied" : "absent";
    snprintf(out, sizeof out, "=%s", secret_reveal(value));
    secret_unref(value);
    return out;
}

static void values_are_read_by_name_and_kept_up_to_date(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    kw_put(kw, SECRET("s"), "{\"data\":{\"a\":\"aGVsbG8=\",\"empty\":\"\",\"bad\":\"!!!!\"}}");
    kw_put(kw, SECRET("other"), "{\"data\":{\"a\":\"eA==\"}}");
    kw_put(kw, CONFIG("s"), "{\"data\":{\"a\":\"plain\"},\"binaryData\":{\"b\":\"eA==\"}}");
    start(kw, &changes);
    assert_string_equal(look(kw, true, "s", "a"), "pending");
    assert_string_equal(look(kw, false, "s", "a"), "pending");
    assert_string_equal(look(kw, true, "none", "a"), "pending");
    kw_run(kw, 1000);
    assert_int_equal(changes.count, 3);
    assert_string_equal(look(kw, true, "s", "a"), "=hello");
    assert_string_equal(look(kw, true, "s", "empty"), "=");
    assert_string_equal(look(kw, true, "s", "bad"), "absent");
    assert_string_equal(look(kw, true, "s", "nokey"), "absent");
    assert_string_equal(look(kw, true, "none", "a"), "absent");
    assert_string_equal(look(kw, false, "s", "a"), "=plain");
    assert_string_equal(look(kw, false, "s", "b"), "absent");
    assert_string_equal(look(kw, true, "../s", "a"), "absent"); /* no such name can be */
    kw_merge_into(kw, SECRET("s"), "{\"data\":{\"a\":\"bmV3\"}}");
    kw_run(kw, 10);
    assert_int_equal(changes.count, 4);
    assert_string_equal(changes.last, "shop/s");
    assert_string_equal(look(kw, true, "s", "a"), "=new");
    kw_merge_into(kw, SECRET("s"), "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}"); /* no value differs */
    kw_run(kw, 10);
    assert_int_equal(changes.count, 4);
    kw_delete(kw, SECRET("s"));
    kw_put(kw, SECRET("none"), "{\"data\":{\"a\":\"eA==\"}}");
    kw_run(kw, 10);
    assert_int_equal(changes.count, 6);
    assert_string_equal(look(kw, true, "s", "a"), "absent");
    assert_string_equal(look(kw, true, "none", "a"), "=x");
    assert_int_equal(kw_count(kw, "GET /api/v1/secrets"), 0); /* never all of them */
    kw_free(kw);
}

static void what_cannot_be_read_any_more_is_not_gone(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;
    char deep[1000];

    (void)state;
    kw_put(kw, CONFIG("s"), "{\"data\":{\"a\":\"plain\"}}");
    start(kw, &changes);
    look(kw, false, "s", "a");
    kw_run(kw, 1000);
    kw_nest(deep, sizeof deep, "{\"data\":{\"a\":", "}}");
    kw_put(kw, CONFIG("s"), deep);
    kw_list_anew(kw, "configmaps");
    assert_string_equal(look(kw, false, "s", "a"), "=plain");
    kw_put(kw, CONFIG("s"), "{\"data\":{\"a\":\"new\"}}");
    kw_run(kw, 1000);
    assert_string_equal(look(kw, false, "s", "a"), "=new");
    kw_free(kw);
}

static void without_the_right_to_watch_they_are_asked_for(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    kw_put(kw, SECRET("s"), "{\"data\":{\"a\":\"aGVsbG8=\"}}");
    kw_fault(kw, "GET /api/v1/namespaces/shop/secrets ", 403, 100);
    kw_fault(kw, "GET " SECRET("denied"), 403, 100);
    start(kw, &changes);
    look(kw, true, "s", "a");
    look(kw, true, "denied", "a");
    kw_run(kw, 1000);
    assert_string_equal(look(kw, true, "s", "a"), "=hello");
    assert_string_equal(look(kw, true, "denied", "a"), "denied");
    assert_non_null(strstr(kw->said, "Secret shop/denied cannot be read"));
    kw_merge_into(kw, SECRET("s"), "{\"data\":{\"a\":\"bmV3\"}}");
    kw_run(kw, 31 * 1000);
    assert_string_equal(look(kw, true, "s", "a"), "=new");
    kw_run(kw, 10 * MINUTE);
    assert_in_range(kw_count(kw, "GET " SECRET("s")), 18, 24);
    kw_free(kw);
}

static void what_nobody_uses_any_more_is_dropped(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    kw_put(kw, SECRET("s"), "{\"data\":{\"a\":\"aGVsbG8=\"}}");
    start(kw, &changes);
    look(kw, true, "s", "a");
    kw_run(kw, 1000);
    assert_int_equal(changes.count, 1);
    kw_run(kw, 61 * MINUTE);
    assert_int_equal(changes.count, 2); /* whoever uses it asks again */
    assert_string_equal(look(kw, true, "s", "a"), "=hello");
    kw_run(kw, 10 * MINUTE);
    assert_string_equal(look(kw, true, "s", "a"), "=hello");
    kw_run(kw, 67 * MINUTE);
    assert_string_equal(look(kw, true, "s", "a"), "pending"); /* it was forgotten */
    kw_free(kw);
}

static void above_a_bound_they_are_asked_for_instead_of_watched(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;
    char name[40];

    (void)state;
    start(kw, &changes);
    kw_fault(kw, "GET /api/v1/namespaces/shop/secrets ", 500,
             1000000); /* so that no watch is opened: it is the lists that count */
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "s%d", i);
        look(kw, true, name, "a");
    }
    kw_run(kw, 5000);
    assert_int_equal(kw_count(kw, "GET /api/v1/namespaces/shop/secrets/s"), 300 - 256);
    kw_free(kw);
}

/* ------------------------------------------------------------------ events */

static void say(struct kube_world *kw, const char *kind, const char *name, bool warning, const char *reason,
                const char *text)
{
    kw->platform->ops->event(kw->platform, "shop", kind, name, warning, reason, text);
}

static void on_resource(void *arg, const struct resource_view *view, enum resource_end ended)
{
    (void)arg, (void)view, (void)ended;
}

static json_t *event_body(const struct kube_world *kw, const char *begins)
{
    const char *line = kw_last(kw, begins);
    json_t *body = json_loads(line[0] ? strchr(line, '{') : "", 0, NULL);

    assert_non_null(body);
    return body;
}

static const char *field(const json_t *body, const char *a, const char *b)
{
    const json_t *value = json_object_get(body, a);

    return json_string_value(b ? json_object_get(value, b) : value);
}

static void events_say_what_kubectl_shows(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;
    char text[3000];

    (void)state;
    kw_put(kw, SO("a"), "{\"metadata\":{\"uid\":\"the-uid\"}}");
    start(kw, &changes);
    kw->platform->ops->resources_watch(kw->platform, on_resource, NULL, NULL);
    kw_run(kw, 1000);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    say(kw, "ScaledObject", "a", true, "ScaledObjectCheckFailed", text);
    kw_run(kw, 1000);
    json_t *body = event_body(kw, EVENTS);
    assert_string_equal(field(body, "type", NULL), "Warning");
    assert_string_equal(field(body, "reason", NULL), "ScaledObjectCheckFailed");
    assert_string_equal(field(body, "action", NULL), "ScaledObjectCheckFailed");
    assert_string_equal(field(body, "reportingController", NULL), "weir");
    assert_string_equal(field(body, "reportingInstance", NULL), "me");
    assert_string_equal(field(body, "regarding", "apiVersion"), "keda.sh/v1alpha1");
    assert_string_equal(field(body, "regarding", "kind"), "ScaledObject");
    assert_string_equal(field(body, "regarding", "uid"), "the-uid");
    assert_int_equal(strlen(field(body, "note", NULL)), 1023);
    assert_int_equal(strlen(field(body, "eventTime", NULL)), strlen("2026-01-01T00:00:00.123000Z"));
    json_decref(body);
    kw_free(kw);
}

static void equal_events_are_one_series(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    start(kw, &changes);
    for (int i = 0; i < 100; i++) {
        say(kw, "ScaledObject", "a", true, "KEDAScalerFailed", "it failed");
        kw_run(kw, 1000);
    }
    say(kw, "ScaledObject", "a", true, "KEDAScalerFailed", "it failed otherwise");
    say(kw, "ScaledObject", "b", true, "KEDAScalerFailed", "it failed");
    kw_run(kw, 2 * MINUTE);
    assert_int_equal(kw_count(kw, EVENTS), 3);
    assert_in_range(kw_count(kw, "PATCH /apis/events.k8s.io"), 1, 4);
    json_t *body = event_body(kw, "PATCH /apis/events.k8s.io");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(body, "series"), "count")), 100);
    json_decref(body);
    kw_run(kw, 7 * MINUTE); /* the series is over */
    say(kw, "ScaledObject", "a", true, "KEDAScalerFailed", "it failed");
    kw_run(kw, 1000);
    assert_int_equal(kw_count(kw, EVENTS), 4);
    kw_free(kw);
}

static void one_object_cannot_flood(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;
    char text[40];

    (void)state;
    start(kw, &changes);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "failure %d", i);
        say(kw, "ScaledObject", "a", true, "KEDAScalerFailed", text);
    }
    say(kw, "ScaledObject", "b", false, "ScaledObjectReady", "ready");
    kw_run(kw, 10 * 1000);
    assert_int_equal(kw_count(kw, EVENTS), 21);
    kw_free(kw);
}

/* What is normal is left out in a crowd, warnings wait for their turn, and find room. */
static void all_together_are_bounded(void **state)
{
    static const struct {
        bool warning;
        size_t soon_least, soon_most, late_least, late_most;
        const char *said;
    } rows[] = {
        {false, 400, 400, 400, 400, "some that are not warnings are left out"},
        {true, 500, 600, 4096, 4196, "KUBE_EVENTS_QUEUED_MAX"},
    };
    char name[40];

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct kube_world *kw = kw_new();
        struct changes changes;

        start(kw, &changes);
        for (int i = 0; i < 9000; i++) {
            snprintf(name, sizeof name, "o%d", i);
            say(kw, "ScaledObject", name, rows[row].warning, "ScaledObjectReady", "ready");
        }
        kw_run(kw, 1000);
        assert_in_range(kw_count(kw, EVENTS), rows[row].soon_least, rows[row].soon_most);
        kw_run(kw, 4 * MINUTE);
        assert_in_range(kw_count(kw, EVENTS), rows[row].late_least, rows[row].late_most);
        assert_non_null(strstr(kw->said, rows[row].said));
        say(kw, "ScaledObject", "another", false, "ScaledObjectReady", "ready");
        kw_run(kw, 1000);
        assert_in_range(kw_count(kw, EVENTS), rows[row].late_least + 1, rows[row].late_most + 1);
        kw_free(kw);
    }
}

static void a_warning_is_told_after_a_crowd(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;
    char name[40];

    (void)state;
    start(kw, &changes);
    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "o%d", i);
        say(kw, "ScaledObject", name, false, "ScaledObjectReady", "ready");
    }
    say(kw, "ScaledObject", "ill", true, "KEDAScalerFailed", "it failed");
    kw_run(kw, 1000);
    json_t *body = event_body(kw, EVENTS);
    assert_string_equal(field(body, "reason", NULL), "KEDAScalerFailed");
    json_decref(body);
    kw_free(kw);
}

static void without_the_newer_group_the_old_one_is_used(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    kw_fault(kw, EVENTS, 403, 100);
    start(kw, &changes);
    say(kw, "ScaledObject", "a", false, "ScaledObjectReady", "ready");
    kw_run(kw, 1000);
    say(kw, "Deployment", "web", false, "KEDAScaleTargetActivated", "from 0 to 1");
    kw_run(kw, 1000);
    assert_int_equal(kw_count(kw, EVENTS), 1);
    assert_int_equal(kw_count(kw, "POST /api/v1/namespaces/shop/events"), 2);
    json_t *body = event_body(kw, "POST /api/v1");
    assert_string_equal(field(body, "message", NULL), "from 0 to 1");
    assert_string_equal(field(body, "involvedObject", "kind"), "Deployment");
    assert_string_equal(field(body, "source", "component"), "weir");
    json_decref(body);
    kw_free(kw);
}

static void what_has_no_namespace_is_told_in_default(void **state)
{
    struct kube_world *kw = kw_new();
    struct changes changes;

    (void)state;
    start(kw, &changes);
    kw->platform->ops->event(kw->platform, "", "ClusterTriggerAuthentication", "c", false,
                             "ClusterTriggerAuthenticationAdded", "added");
    kw_run(kw, 1000);
    assert_int_equal(kw_count(kw, "POST /apis/events.k8s.io/v1/namespaces/default/events"), 1);
    json_t *body = event_body(kw, "POST");
    assert_null(field(body, "regarding", "namespace"));
    json_decref(body);
    kw_free(kw);
}

struct told {
    int count;
    char token[40];
    int64_t left_ms;
    struct error err;
};

static void on_token(void *arg, const struct secret *token, int64_t left_ms, const struct error *err)
{
    struct told *told = arg;

    told->count++;
    told->left_ms = left_ms;
    told->err = err ? *err : (struct error){.kind = ERROR_NONE};
    snprintf(told->token, sizeof told->token, "%s", token ? secret_reveal(token) : "");
}

static void tokens_of_service_accounts(void **state)
{
    static const char request[] =
        "POST /api/v1/namespaces/shop/serviceaccounts/reader/token "
        "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{\"expirationSeconds\":3600}}";
    struct kube_world *kw = kw_new();
    struct changes changes;
    struct told told = {0};

    (void)state;
    kw_put(kw, "/api/v1/namespaces/shop/serviceaccounts/reader", "{}");
    start(kw, &changes);
    const struct platform_ops *ops = kw->platform->ops;
    ops->account_token(kw->platform, "shop", "reader", 3600, on_token, &told);
    assert_int_equal(told.count, 0);
    kw_run(kw, 1000);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.token, "t0ken");
    assert_in_range(told.left_ms, 1799 * 1000, 1800 * 1000);
    assert_int_equal(kw_count(kw, request), 1);
    ops->account_token(kw->platform, "shop", "nobody", 3600, on_token, &told);
    kw_run(kw, 1000);
    assert_int_equal(told.err.kind, ERROR_MISSING);
    assert_string_equal(told.err.text, "there is no ServiceAccount shop/nobody");
    kw_fault(kw, "POST /api/v1/namespaces/shop/serviceaccounts/reader/token", 403, 1);
    ops->account_token(kw->platform, "shop", "reader", 3600, on_token, &told);
    kw_run(kw, 1000);
    assert_int_equal(told.err.kind, ERROR_DENIED);
    assert_non_null(
        strstr(told.err.text, "resources: [serviceaccounts/token], resourceNames: [reader], verbs: [create]"));
    ops->account_token_cancel(ops->account_token(kw->platform, "shop", "reader", 3600, on_token, &told));
    kw_run(kw, 1000);
    assert_int_equal(told.count, 3);
    kw_free(kw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_by_name_and_kept_up_to_date),
        cmocka_unit_test(what_cannot_be_read_any_more_is_not_gone),
        cmocka_unit_test(without_the_right_to_watch_they_are_asked_for),
        cmocka_unit_test(what_nobody_uses_any_more_is_dropped),
        cmocka_unit_test(above_a_bound_they_are_asked_for_instead_of_watched),
        cmocka_unit_test(events_say_what_kubectl_shows),
        cmocka_unit_test(equal_events_are_one_series),
        cmocka_unit_test(one_object_cannot_flood),
        cmocka_unit_test(all_together_are_bounded),
        cmocka_unit_test(a_warning_is_told_after_a_crowd),
        cmocka_unit_test(without_the_newer_group_the_old_one_is_used),
        cmocka_unit_test(what_has_no_namespace_is_told_in_default),
        cmocka_unit_test(tokens_of_service_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requests to the API server: once, in order, bounded, asked again where that does no harm, and fenced. */
#include "kube_world.h"

static void on_reply(void *arg, const struct kube_reply *reply)
{
    text_printf(&heard, "%s:%d:%s ", (const char *)arg, reply->status,
                reply->error.kind == ERROR_NONE ? "ok" : error_kind_name(reply->error.kind));
}

static struct kube_ask *ask(const char *method, const char *path, const char *name)
{
    return kube_ask(kube,
                    &(struct kube_request){.method = method,
                                           .path = path,
                                           .body = strcmp(method, "GET") ? "{}" : NULL,
                                           .body_length = strcmp(method, "GET") ? 2 : 0,
                                           .priority = strcmp(method, "GET") ? KUBE_WRITE : KUBE_READ},
                    on_reply, (void *)name);
}

static void an_answer_comes_once_and_not_inside_the_call(void **state)
{
    (void)state;
    answers("GET /a", 0, 200, "{}");
    ask("GET", "/a", "a");
    assert_string_equal(heard.bytes, "");
    run_ms(60000);
    assert_string_equal(heard.bytes, "a:200:ok ");
    assert_string_equal(last_authorization, "Bearer secret");
}

static void writes_go_before_reads_and_both_are_bounded(void **state)
{
    struct kube_stats stats;
    char path[32];

    (void)state;
    answers("/slow", 0, 200, "{}")->after_ms = 1000;
    answers("/", 0, 200, "{}");
    for (int i = 0; i < KUBE_ASKS_MAX; i++)
        ask("GET", "/slow", "s");
    ask("GET", "/read", "r");
    ask("PUT", "/write", "w");
    kube_stats(kube, &stats);
    assert_int_equal(stats.asks_now, KUBE_ASKS_MAX);
    assert_int_equal(stats.waiting_now, 2);
    run_ms(500);
    assert_int_equal(count_of("/read") + count_of("/write"), 0);
    run_ms(2000);
    assert_true(strstr(asked.bytes, "PUT /write") < strstr(asked.bytes, "GET /read"));
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof path, "/n%d", i);
        ask("GET", path, "n");
    }
    run_ms(10000);
    assert_int_equal(count_of("GET /n"), 500);
}

/* What is asked again, and what not. */
static void some_failures_are_asked_again(void **state)
{
    static const struct {
        const char *method;
        int status;
        const char *retry_after;
        bool refused, again;
    } rows[] = {
        {"GET", 429, "1", false, true},     {"PUT", 429, "1", false, true},   {"GET", 503, NULL, false, true},
        {"PUT", 503, NULL, false, false},   {"PUT", 503, "1", false, true},   {"GET", 500, NULL, false, true},
        {"PATCH", 500, NULL, false, false}, {"GET", 0, NULL, true, true},     {"PUT", 0, NULL, true, false},
        {"GET", 409, NULL, false, false},   {"GET", 404, NULL, false, false}, {"GET", 403, NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer *first;

        script_count = 0;
        text_clear(&asked);
        text_clear(&heard);
        first = answers("/x", 1, rows[i].status, "{}");
        first->retry_after = rows[i].retry_after;
        first->refused = rows[i].refused;
        answers("/x", 0, 200, "{}");
        ask(rows[i].method, "/x", "x");
        run_ms(20000);
        if ((strcmp(heard.bytes, "x:200:ok ") == 0) != rows[i].again)
            fail_msg("row %zu: %s", i, heard.bytes);
        assert_int_equal(count_of("/x"), rows[i].again ? 2 : 1);
    }
}

static void retry_after_is_kept_and_keeps_reads_back(void **state)
{
    (void)state;
    answers("/x", 1, 429, "{}")->retry_after = "3";
    answers("/", 0, 200, "{}");
    ask("GET", "/x", "x");
    run_ms(100);
    ask("GET", "/other", "o");
    ask("PUT", "/write", "w");
    run_ms(2500);
    assert_string_equal(heard.bytes, "w:200:ok ");
    run_ms(1500);
    assert_non_null(strstr(heard.bytes, "o:200:ok"));
    assert_non_null(strstr(heard.bytes, "x:200:ok"));
}

static void a_deadline_ends_retries(void **state)
{
    (void)state;
    answers("/x", 0, 503, "{}");
    answers("/never", 0, 200, "{}")->never = true;
    ask("GET", "/x", "x");
    ask("GET", "/never", "n");
    run_ms(KUBE_TIMEOUT_MS + 10);
    assert_non_null(strstr(heard.bytes, "x:503:unreachable"));
    assert_non_null(strstr(heard.bytes, "n:0:unreachable"));
    assert_in_range(count_of("/x"), 4, 20);
}

static void one_that_waits_too_long_fails(void **state)
{
    (void)state;
    answers("/never", 0, 200, "{}")->never = true;
    for (int i = 0; i < KUBE_ASKS_MAX; i++)
        kube_ask(kube, &(struct kube_request){.method = "GET", .path = "/never", .timeout_ms = 2 * KUBE_QUEUE_WAIT_MS},
                 on_reply, "n");
    ask("GET", "/x", "x");
    run_ms(KUBE_QUEUE_WAIT_MS + 1);
    assert_string_equal(heard.bytes, "x:0:limit ");
    assert_int_equal(count_of("/x"), 0);
}

static void a_cancelled_one_is_never_heard_of(void **state)
{
    struct kube_ask *waiting, *out;

    (void)state;
    answers("/", 0, 200, "{}")->after_ms = 10;
    out = ask("GET", "/a", "a");
    for (int i = 1; i < KUBE_ASKS_MAX; i++)
        ask("GET", "/b", "b");
    waiting = ask("GET", "/c", "c");
    kube_cancel(waiting);
    kube_cancel(out);
    run_ms(1000);
    assert_null(strstr(heard.bytes, "a:"));
    assert_null(strstr(heard.bytes, "c:"));
    assert_int_equal(count_of("/c"), 0);
}

/* ---- fencing ---- */
static struct kube_ask *ask_fenced(const char *name)
{
    return kube_ask(
        kube, &(struct kube_request){.method = "PUT", .path = "/w", .body = "{}", .body_length = 2, .fenced = true},
        on_reply, (void *)name);
}

static void a_fenced_write_needs_the_fence(void **state)
{
    int64_t now_ms = loop_ticks_ms(virtual_loop(world));

    (void)state;
    answers("/w", 0, 200, "{}");
    kube_set_fence(kube, 0);
    ask_fenced("a");
    run_ms(10);
    assert_string_equal(heard.bytes, "a:0:denied ");
    assert_int_equal(count_of("/w"), 0);
    kube_set_fence(kube, now_ms + 5000);
    ask_fenced("b");
    run_ms(10);
    assert_non_null(strstr(heard.bytes, "b:200:ok"));
    assert_in_range(last_timeout_ms, 4900, 5000); /* not longer than the fence stands */
    run_ms(6000);
    ask_fenced("c");
    run_ms(10);
    assert_non_null(strstr(heard.bytes, "c:0:denied"));
}

static void a_fenced_write_is_asked_once(void **state)
{
    (void)state;
    answers("/w", 1, 429, "{}")->retry_after = "1";
    answers("/w", 0, 200, "{}");
    ask_fenced("a");
    run_ms(20000);
    assert_string_equal(heard.bytes, "a:429:unreachable ");
    assert_int_equal(count_of("/w"), 1);
}

static void a_falling_fence_cuts_off_and_leaves_doubt(void **state)
{
    (void)state;
    answers("/w", 0, 200, "{}")->after_ms = 1000;
    answers("/r", 0, 200, "{}")->after_ms = 1000;
    ask_fenced("a");
    ask("PUT", "/r", "r");
    run_ms(10);
    assert_int_not_equal(kube_fence_oldest(kube), UINT64_MAX);
    kube_set_fence(kube, 0);
    assert_string_equal(heard.bytes, "");
    assert_int_equal(kube_fence_oldest(kube), UINT64_MAX);
    assert_true(kube_fence_doubt_ms(kube) >= loop_ticks_ms(virtual_loop(world)) + LEASE_MARGIN_MS - 10);
    run_ms(2000);
    assert_string_equal(heard.bytes, "a:0:denied r:200:ok ");
}

static void a_held_fence_lets_what_is_out_end(void **state)
{
    (void)state;
    answers("/w", 0, 200, "{}")->after_ms = 100;
    ask_fenced("a");
    run_ms(10);
    kube_hold_fence(kube);
    assert_false(kube_may_write(kube));
    ask_fenced("b");
    run_ms(200);
    assert_string_equal(heard.bytes, "b:0:denied a:200:ok ");
    assert_int_equal(kube_fence_doubt_ms(kube), 0);
}

/* ---- what is said ---- */
static struct error last_error;
static bool last_conflict;
static char last_reason[64];

static void keep(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    last_error = reply->error;
    last_conflict = reply->conflict;
    snprintf(last_reason, sizeof last_reason, "%s", reply->reason);
}

static void errors_say_what_to_do(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *body;
        enum error_kind kind;
        const char *words;
    } rows[] = {
        {"GET", "/apis/apps/v1/deployments?watch=1", 403, "{\"message\":\"x cannot watch resource y\"}", ERROR_DENIED,
         "a ClusterRole the rule {apiGroups: [\"apps\"], resources: [\"deployments\"], verbs: [\"watch\"]}"},
        {"GET", "/api/v1/namespaces/shop/secrets/s", 403, NULL, ERROR_DENIED,
         "a Role in namespace shop the rule {apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"get\"]}"},
        {"PUT", "/apis/apps/v1/namespaces/shop/deployments/d/scale", 403,
         "{\"message\":\"u cannot update resource z\"}", ERROR_DENIED,
         "resources: [\"deployments/scale\"], verbs: [\"update\"]"},
        {"PUT", "/apis/apps/v1/namespaces/shop/deployments/d", 403, "{\"message\":\"exceeded quota\"}", ERROR_DENIED,
         "refuses it (403): exceeded quota"},
        {"GET", "/api/v1/namespaces/shop", 403, NULL, ERROR_DENIED, "resources: [\"namespaces\"], verbs: [\"get\"]"},
        {"GET", "/x", 200, "<html>hello", ERROR_NONSENSE, "it begins \"<html>hello\""},
        {"GET", "/x", 200, "{\"a\":", ERROR_NONSENSE, "it begins \"{\"a\":\""},
        {"GET", "/x", 404, "{\"message\":\"pods \\\"p\\\" not found\"}", ERROR_MISSING, "pods \"p\" not found (404)"},
        {"PUT", "/x", 422, "{\"message\":\"spec.x: Invalid\"}", ERROR_INVALID, "spec.x: Invalid (422)"},
        {"GET", "/x", 301, NULL, ERROR_NONSENSE,
         "http://api:6443 answers with status 301, a redirect, which is not followed"},
        {"PUT", "/x", 500, "oops", ERROR_UNREACHABLE, "status 500: \"oops\""},
        {"PUT", "/x", 401, NULL, ERROR_DENIED, "credentials"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script_count = 0;
        answers("/", 0, rows[i].status, rows[i].body);
        kube_ask(kube, &(struct kube_request){.method = rows[i].method, .path = rows[i].path, .no_retry = true}, keep,
                 NULL);
        run_ms(1000);
        if (last_error.kind != rows[i].kind || !strstr(last_error.text, rows[i].words))
            fail_msg("row %zu: %d %s", i, last_error.kind, last_error.text);
        assert_non_null(strstr(last_error.where, rows[i].method));
    }
}

/* What a Secret or a token says is in no error, and the transport is told to wipe it. */
static void credentials_are_neither_quoted_nor_kept(void **state)
{
    static const struct {
        const char *path;
        bool secret;
    } rows[] = {
        {"/api/v1/namespaces/shop/secrets/s", true},
        {"/api/v1/namespaces/shop/secrets?watch=1", true},
        {"/api/v1/secrets", true},
        {"/api/v1/namespaces/shop/serviceaccounts/reader/token", true},
        {"/apis/authentication.k8s.io/v1/tokenreviews", true},
        {"/api/v1/namespaces/secrets/pods/token", false},
        {"/api/v1/namespaces/shop/serviceaccounts/token", false},
        {"/apis/authorization.k8s.io/v1/subjectaccessreviews", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script_count = 0;
        answers("/", 1, 200, "{\"data\":{\"password\":\"aHVudGVyMg==\"");
        answers("/", 1, 500, "aHVudGVyMg==");
        for (int answer = 0; answer < 2; answer++) {
            kube_ask(kube, &(struct kube_request){.method = "GET", .path = rows[i].path, .no_retry = true}, keep, NULL);
            run_ms(1000);
            assert_true(last_error.kind != ERROR_NONE);
            assert_int_equal(strstr(last_error.text, "aHVudGVyMg==") == NULL, rows[i].secret);
            assert_int_equal(last_secret, rows[i].secret);
        }
    }
}

static void a_conflict_is_told(void **state)
{
    (void)state;
    answers("/", 0, 409, "{\"reason\":\"AlreadyExists\",\"message\":\"it is there\"}");
    kube_ask(kube, &(struct kube_request){.method = "POST", .path = "/x"}, keep, NULL);
    run_ms(100);
    assert_true(last_conflict);
    assert_string_equal(last_reason, "AlreadyExists");
}

static void paths_are_escaped(void **state)
{
    static const struct {
        const char *group, *version, *ns, *resource, *name, *subresource, *path;
    } rows[] = {
        {"", "v1", "shop", "pods", "p", NULL, "/api/v1/namespaces/shop/pods/p"},
        {"core", "v1", NULL, "nodes", NULL, NULL, "/api/v1/nodes"},
        {"apps", "v1", "", "deployments", "", "", "/apis/apps/v1/deployments"},
        {"apps", "v1", "shop", "deployments", "web", "scale", "/apis/apps/v1/namespaces/shop/deployments/web/scale"},
        {"a/b", "v1", "x y", "c", "../d?e", NULL, "/apis/-a-b/v1/namespaces/x%20y/c/-..-d%3Fe"},
        {"apps", "v1", "shop", "deployments", "web/scale", NULL,
         "/apis/apps/v1/namespaces/shop/deployments/-web-scale"},
        {"apps", "v1", "shop", "deployments", ".", NULL, "/apis/apps/v1/namespaces/shop/deployments/-."},
        {"apps", "v1", "shop", "deployments", "..", "scale", "/apis/apps/v1/namespaces/shop/deployments/-../scale"},
        {"apps", "..", "..", "deployments", "...", NULL, "/apis/apps/-../namespaces/-../deployments/..."},
    };
    struct text out;

    (void)state;
    text_init(&out, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_clear(&out);
        assert_true(kube_path(&out, rows[i].group, rows[i].version, rows[i].ns, rows[i].resource, rows[i].name,
                              rows[i].subresource));
        assert_string_equal(out.bytes, rows[i].path);
    }
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_once_and_not_inside_the_call),
        TEST(writes_go_before_reads_and_both_are_bounded),
        TEST(some_failures_are_asked_again),
        TEST(retry_after_is_kept_and_keeps_reads_back),
        TEST(a_deadline_ends_retries),
        TEST(one_that_waits_too_long_fails),
        TEST(a_cancelled_one_is_never_heard_of),
        TEST(a_fenced_write_needs_the_fence),
        TEST(a_fenced_write_is_asked_once),
        TEST(a_falling_fence_cuts_off_and_leaves_doubt),
        TEST(a_held_fence_lets_what_is_out_end),
        TEST(errors_say_what_to_do),
        TEST(credentials_are_neither_quoted_nor_kept),
        TEST(a_conflict_is_told),
        TEST(paths_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

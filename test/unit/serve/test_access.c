/* Who asks, and may they: certificates, headers of the front proxy, tokens; reviews, what is kept of them, and what waits. */
#include "cluster_stage.h"
#include "fake_server.h"

#include "base/limits.h"
#include "serve/cluster_internal.h"
#include "serve/serve.h"

static const char config_map[] =
    "\"data\":{\"client-ca-file\":\"CLIENT-CA\",\"requestheader-client-ca-file\":\"PROXY-CA\","
    "\"requestheader-allowed-names\":\"[\\\"front-proxy-client\\\"]\","
    "\"requestheader-username-headers\":\"[\\\"X-Remote-User\\\"]\","
    "\"requestheader-uid-headers\":\"[\\\"X-Remote-Uid\\\"]\","
    "\"requestheader-group-headers\":\"[\\\"X-Remote-Group\\\"]\","
    "\"requestheader-extra-headers-prefix\":\"[\\\"X-Remote-Extra-\\\"]\"}";
static const char config_maps[] = "/api/v1/namespaces/kube-system/configmaps";

/* The reviewer: token "good" is alice; alice may read s0-a in shop, the HPA controller everything, anonymous /open. */
static bool review(const char *body, char *out, size_t size)
{
    bool allowed;

    if (strstr(body, "broken"))
        return false;
    if (strstr(body, "TokenReview")) {
        snprintf(
            out, size, "%s",
            strstr(body, "\"token\":\"good\"")
                ? "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"alice\",\"uid\":\"u1\","
                  "\"groups\":[\"devs\"],\"extra\":{\"k\":[\"v\",\"w\"]}}}}"
            : strstr(body, "\"token\":\"root\"")
                ? "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"r\",\"groups\":[\"system:masters\"]}}}"
                : "{\"status\":{\"error\":\"no such token\"}}");
        return true;
    }
    allowed = strstr(body, "\"user\":\"hpa\"") ||
              (strstr(body, "\"user\":\"alice\"") && strstr(body, "\"namespace\":\"shop\"") &&
               strstr(body, "\"resource\":\"s0-a\"")) ||
              strstr(body, "\"path\":\"/open\"");
    snprintf(out, size, "{\"status\":{\"allowed\":%s}}", allowed ? "true" : "false");
    return true;
}

struct room {
    struct cluster_stage stage;
    struct server server;
    struct serve_access *access;
};

/* "/NS/METRIC" is a metric, all else a path. */
static void on_request(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct room *r = arg;
    struct access_attributes about = {.verb = "get", .path = request->path};

    if (request->segment_count == 2)
        about = (struct access_attributes){.verb = "list",
                                           .group = "external.metrics.k8s.io",
                                           .version = "v1beta1",
                                           .ns = request->segments[0],
                                           .resource = request->segments[1]};
    text_add(answer->body, "\"the answer\"");
    serve_access_release(r->access, request, &about, answer);
}

static void room_init(struct room *r)
{
    *r = (struct room){0};
    cluster_stage_init(&r->stage);
    r->stage.review = review;
    stage_put(&r->stage, config_maps, "extension-apiserver-authentication", config_map);
    r->access = serve_access_new(&(struct serve_access_options){.kube = r->stage.kube});
    server_route(&r->server, "GET", "/open", on_request, r);
    server_route(&r->server, "GET", "/closed", on_request, r);
    server_route(&r->server, "GET", "/@/@", on_request, r);
    stage_run(&r->stage, 100);
}

static void room_done(struct room *r)
{
    serve_access_free(r->access);
    cluster_stage_done(&r->stage);
}

static const struct server_pending *ask(struct room *r, const struct fake_request *request)
{
    static struct server_pending reply;

    fake_send(&r->server, request, &reply);
    stage_run(&r->stage, 100);
    assert_true(reply.answered);
    return &reply;
}

#define PROXY .verified_by = 1, .common_name = "front-proxy-client"

/* ------------------------------------------------------------------ who */

static void who_gets_what(void **state)
{
    static const struct {
        const char *what;
        struct fake_request request;
        int status;
        const char *part;    /* of the answer */
        const char *reviews; /* part of the last review's body, or NULL */
    } rows[] = {
        {"anonymous",
         {.path = "/shop/s0-a"},
         403,
         "User \\\"system:anonymous\\\" cannot list resource \\\"s0-a\\\"",
         "\"groups\":[\"system:unauthenticated\"]"},
        {"anonymous, open to all",
         {.path = "/open"},
         200,
         "the answer",
         "\"nonResourceAttributes\":{\"path\":\"/open\""},
        {"anonymous, closed", {.path = "/closed"}, 403, "cannot get path \\\"/closed\\\"", NULL},
        {"token",
         {.path = "/shop/s0-a", .headers = {{"Authorization", "Bearer good"}}},
         200,
         "the answer",
         "\"user\":\"alice\",\"uid\":\"u1\",\"groups\":[\"devs\",\"system:authenticated\"],\"extra\":{\"k\":[\"v\","
         "\"w\"]}"},
        {"token, another metric",
         {.path = "/shop/s0-b", .headers = {{"Authorization", "bearer good"}}},
         403,
         "s0-b.external.metrics.k8s.io is forbidden",
         "\"resource\":\"s0-b\""},
        {"token, another namespace",
         {.path = "/bank/s0-a", .headers = {{"Authorization", "Bearer good"}}},
         403,
         "in the namespace \\\"bank\\\"",
         NULL},
        {"bad token", {.path = "/open", .headers = {{"Authorization", "Bearer bad"}}}, 401, "Unauthorized", NULL},
        {"basic", {.path = "/open", .headers = {{"Authorization", "Basic Zm9v"}}}, 200, "the answer", NULL},
        {"a token of a master",
         {.path = "/closed", .headers = {{"Authorization", "Bearer root"}}},
         200,
         "the answer",
         NULL},
        {"client certificate",
         {.path = "/shop/s0-a", .verified_by = 2, .common_name = "alice", .organizations = {"devs", "ops"}},
         200,
         "the answer",
         "\"user\":\"alice\",\"groups\":[\"devs\",\"ops\",\"system:authenticated\"]"},
        {"master by certificate",
         {.path = "/closed", .verified_by = 2, .common_name = "admin", .organizations = {"system:masters"}},
         200,
         "the answer",
         NULL},
        {"front proxy",
         {.path = "/shop/s0-x",
          PROXY,
          .headers = {{"X-Remote-User", "hpa"},
                      {"x-remote-group", "g1"},
                      {"X-Remote-Group", "system:authenticated"},
                      {"X-Remote-Uid", "7"},
                      {"X-Remote-Extra-Authentication.kubernetes.io%2fPod-Name", "p"},
                      {"X-Remote-Extra-Scopes", "a"},
                      {"X-Remote-Extra-Scopes", "b"}}},
         200,
         "the answer",
         "\"user\":\"hpa\",\"uid\":\"7\",\"groups\":[\"g1\",\"system:authenticated\"],"
         "\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"p\"],\"scopes\":[\"a\",\"b\"]}"},
        {"front proxy for a master",
         {.path = "/closed", PROXY, .headers = {{"X-Remote-User", "x"}, {"X-Remote-Group", "system:masters"}}},
         200,
         "the answer",
         NULL},
        {"front proxy for nobody", {.path = "/closed", PROXY}, 403, "system:anonymous", NULL},
        {"another certificate of the proxy's CA",
         {.path = "/open", .verified_by = 1, .common_name = "mallory", .headers = {{"X-Remote-User", "hpa"}}},
         401,
         "Unauthorized",
         NULL},
        {"headers without the proxy",
         {.path = "/closed", .headers = {{"X-Remote-User", "x"}, {"X-Remote-Group", "system:masters"}}},
         403,
         "system:anonymous",
         NULL},
        {"headers behind a client's certificate",
         {.path = "/closed",
          .verified_by = 2,
          .common_name = "alice",
          .headers = {{"X-Remote-Group", "system:masters"}}},
         403,
         "User \\\"alice\\\"",
         NULL},
        {"a certificate that names nobody", {.path = "/open", .verified_by = 2}, 401, "Unauthorized", NULL},
        {"a review that fails",
         {.path = "/open", .headers = {{"Authorization", "Bearer broken"}}},
         500,
         "could not be asked who may do this",
         NULL},
    };
    struct room r;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        room_init(&r);
        const struct server_pending *reply = ask(&r, &rows[i].request);
        const char *last = r.stage.write_count ? r.stage.writes[r.stage.write_count - 1].body : "";
        if (reply->status != rows[i].status || !strstr(reply->body, rows[i].part) ||
            (rows[i].reviews && !strstr(last, rows[i].reviews)))
            fail_msg("%s: %d %s\nlast review: %s", rows[i].what, reply->status, reply->body, last);
        if (reply->status != 200)
            assert_null(strstr(reply->body, "the answer"));
        room_done(&r);
    }
}

static void the_newest_word_of_the_api_server_counts(void **state)
{
    struct fake_request request = {
        .path = "/closed", PROXY, .headers = {{"X-Remote-User", "x"}, {"X-Remote-Group", "system:masters"}}};
    struct room r;

    (void)state;
    room_init(&r);
    assert_int_equal(ask(&r, &request)->status, 200);
    stage_put(&r.stage, config_maps, "extension-apiserver-authentication",
              "\"data\":{\"requestheader-allowed-names\":\"[\\\"other\\\"]\"}");
    stage_run(&r.stage, 100);
    assert_int_equal(ask(&r, &request)->status, 401);
    stage_put(&r.stage, config_maps, "extension-apiserver-authentication",
              "\"data\":{\"requestheader-allowed-names\":\"{not a list\"}");
    stage_run(&r.stage, 100);
    assert_int_equal(ask(&r, &request)->status, 401); /* as before */
    stage_put(&r.stage, config_maps, "extension-apiserver-authentication", NULL);
    stage_run(&r.stage, 100);
    assert_int_equal(ask(&r, &request)->status, 401);
    room_done(&r);
}

static void one_authority_for_proxy_and_clients(void **state)
{
    struct room r;

    (void)state;
    room_init(&r);
    stage_put(&r.stage, config_maps, "extension-apiserver-authentication",
              "\"data\":{\"client-ca-file\":\"CA\",\"requestheader-client-ca-file\":\"CA\","
              "\"requestheader-allowed-names\":\"[\\\"front-proxy-client\\\"]\","
              "\"requestheader-username-headers\":\"[\\\"X-Remote-User\\\"]\"}");
    stage_run(&r.stage, 100);
    /* the client is itself, whatever its headers say */
    assert_int_equal(ask(&r, &(struct fake_request){.path = "/shop/s0-a",
                                                    .verified_by = 1,
                                                    .common_name = "alice",
                                                    .headers = {{"X-Remote-User", "hpa"}}})
                         ->status,
                     200);
    assert_non_null(strstr(r.stage.writes[r.stage.write_count - 1].body, "\"user\":\"alice\""));
    room_done(&r);
}

static void changed(void *arg)
{
    ++*(int *)arg;
}

static void authorities_of_clients(void **state)
{
    const char *proxy, *client;
    int changes = 0;
    struct room r;

    (void)state;
    room_init(&r);
    access_client_cas(r.access, &proxy, &client);
    assert_string_equal(proxy, "PROXY-CA");
    assert_string_equal(client, "CLIENT-CA");
    watchers_add(access_watchers(r.access), changed, &changes);
    stage_put(&r.stage, config_maps, "extension-apiserver-authentication",
              "\"data\":{\"requestheader-client-ca-file\":\"NEXT-CA\"}");
    stage_run(&r.stage, 100);
    access_client_cas(r.access, &proxy, &client);
    assert_string_equal(proxy, "NEXT-CA");
    assert_null(client);
    assert_int_equal(changes, 1);
    watchers_remove(access_watchers(r.access), &changes);
    room_done(&r);
}

/* ------------------------------------------------------------------ what is kept */

static void a_verdict_holds_for_ten_seconds(void **state)
{
    struct fake_request request = {.path = "/shop/s0-a", .headers = {{"Authorization", "Bearer good"}}};
    struct room r;
    struct server_pending reply;

    (void)state;
    room_init(&r);
    ask(&r, &request);
    assert_int_equal(stage_writes(&r.stage, "/tokenreviews"), 1);
    assert_int_equal(stage_writes(&r.stage, "/subjectaccessreviews"), 2); /* of all, then of this one */
    stage_run(&r.stage, ACCESS_CACHE_MS - 400);
    fake_send(&r.server, &request, &reply);
    assert_true(reply.answered && !reply.deferred && reply.status == 200); /* without waiting */
    assert_int_equal(r.stage.write_count, 3);
    stage_run(&r.stage, 400);
    ask(&r, &request);
    assert_int_equal(r.stage.write_count, 6);
    room_done(&r);
}

static void refusals_are_kept_and_failures_are_not(void **state)
{
    struct room r;

    (void)state;
    room_init(&r);
    for (int i = 0; i < 3; i++)
        ask(&r, &(struct fake_request){.path = "/closed"});
    assert_int_equal(r.stage.write_count, 1);
    for (int i = 0; i < 3; i++)
        ask(&r, &(struct fake_request){.path = "/open", .headers = {{"Authorization", "Bearer bad"}}});
    assert_int_equal(r.stage.write_count, 2);
    for (int i = 0; i < 3; i++)
        ask(&r, &(struct fake_request){.path = "/open", .headers = {{"Authorization", "Bearer broken"}}});
    assert_true(r.stage.write_count >= 5);
    room_done(&r);
}

/* The HPA controller asks for thousands of metrics: one review of all of them serves. */
static void who_may_read_all_is_reviewed_once(void **state)
{
    struct room r;

    (void)state;
    room_init(&r);
    for (int i = 0; i < 50; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/ns-%d/s0-%d", i % 7, i);
        assert_int_equal(
            ask(&r, &(struct fake_request){.path = path, PROXY, .headers = {{"X-Remote-User", "hpa"}}})->status, 200);
    }
    assert_int_equal(r.stage.write_count, 1);
    assert_non_null(strstr(r.stage.writes[0].body, "\"resource\":\"*\""));
    assert_null(strstr(r.stage.writes[0].body, "\"namespace\""));
    room_done(&r);
}

static void equal_questions_are_asked_once(void **state)
{
    enum { COUNT = 20 };
    static struct server_pending replies[COUNT];
    struct fake_request request = {.path = "/shop/s0-a", .headers = {{"Authorization", "Bearer good"}}};
    struct room r;

    (void)state;
    room_init(&r);
    r.stage.review_after_ms = 500;
    for (int i = 0; i < COUNT; i++)
        fake_send(&r.server, &request, &replies[i]);
    stage_run(&r.stage, 2000);
    for (int i = 0; i < COUNT; i++)
        assert_true(replies[i].deferred && replies[i].answered && replies[i].status == 200);
    assert_int_equal(r.stage.write_count, 3);
    room_done(&r);
}

static void no_more_wait_than_may(void **state)
{
    static struct server_pending replies[ACCESS_WAITING_MAX + 1];
    struct room r;

    (void)state;
    room_init(&r);
    r.stage.review_after_ms = 500;
    for (int i = 0; i <= ACCESS_WAITING_MAX; i++)
        fake_send(&r.server, &(struct fake_request){.path = "/open"}, &replies[i]);
    assert_int_equal(replies[ACCESS_WAITING_MAX].status, 503);
    stage_run(&r.stage, 1000);
    for (int i = 0; i < ACCESS_WAITING_MAX; i++)
        assert_int_equal(replies[i].status, 200);
    room_done(&r);
}

static void what_waits_at_the_end_is_refused(void **state)
{
    static struct server_pending reply;
    struct room r;

    (void)state;
    room_init(&r);
    r.stage.review_after_ms = 5000;
    fake_send(&r.server, &(struct fake_request){.path = "/open"}, &reply);
    stage_run(&r.stage, 100);
    assert_false(reply.answered);
    serve_access_free(r.access);
    assert_true(reply.answered && reply.status == 500);
    cluster_stage_done(&r.stage);
}

static void the_cache_is_bounded_and_forgets(void **state)
{
    struct access_cache *cache = access_cache_new();
    const struct access_entry yes = {.yes = true}, no = {0};
    char key[ACCESS_KEY_BYTES];

    (void)state;
    for (int i = 0; i < 2 * ACCESS_CACHE_MAX; i++) {
        access_key('a', NULL, 0, (const char *)&i, sizeof(i), key);
        access_cache_put(cache, key, &yes, 1000);
    }
    assert_int_equal(access_cache_count(cache), ACCESS_CACHE_MAX);
    assert_non_null(access_cache_get(cache, key, 1000 + ACCESS_CACHE_MS - 1));
    assert_null(access_cache_get(cache, key, 1000 + ACCESS_CACHE_MS));
    access_cache_put(cache, key, &no, 5000); /* what was said last counts */
    assert_false(access_cache_get(cache, key, 6000)->yes);
    access_cache_put(cache, "other", &yes, 1000 + ACCESS_CACHE_MS); /* all of the first instant go */
    assert_int_equal(access_cache_count(cache), 2);
    assert_false(access_cache_get(cache, key, 1000 + ACCESS_CACHE_MS)->yes);
    access_cache_free(cache);
}

static void tokens_are_not_kept(void **state)
{
    char one[ACCESS_KEY_BYTES], two[ACCESS_KEY_BYTES];

    (void)state;
    access_key('t', "salt", 4, "secret-token", 12, one);
    access_key('t', "pepp", 4, "secret-token", 12, two);
    assert_null(strstr(one, "secret"));
    assert_int_equal(strlen(one), 65);
    assert_string_not_equal(one, two); /* a table made beforehand does not help */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_what),
        cmocka_unit_test(the_newest_word_of_the_api_server_counts),
        cmocka_unit_test(one_authority_for_proxy_and_clients),
        cmocka_unit_test(authorities_of_clients),
        cmocka_unit_test(a_verdict_holds_for_ten_seconds),
        cmocka_unit_test(refusals_are_kept_and_failures_are_not),
        cmocka_unit_test(who_may_read_all_is_reviewed_once),
        cmocka_unit_test(equal_questions_are_asked_once),
        cmocka_unit_test(no_more_wait_than_may),
        cmocka_unit_test(what_waits_at_the_end_is_refused),
        cmocka_unit_test(the_cache_is_bounded_and_forgets),
        cmocka_unit_test(tokens_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

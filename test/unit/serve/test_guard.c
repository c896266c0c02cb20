/* Who may ask what: each way to be known, and what is refused to anybody; tokens that the API server knows; logging in and out. */
#include <sys/stat.h>

#include "cluster_stage.h"
#include "fake_server.h"

#include "base/limits.h"
#include "serve/guard.h"
#include "serve/guard_internal.h"
#include "serve/serve.h"

#define ALICE "alices-token-0123456789"
#define ROOT  "roots-token-0123456789"
#define JSON                                                                                                           \
    {                                                                                                                  \
        "Content-Type", "application/json"                                                                             \
    }

/* The reviewer: kube-alice may get everything and post what-if, kube-bob is nobody who may; "broken" breaks. */
static bool review(const char *body, char *out, size_t size)
{
    if (strstr(body, "broken"))
        return false;
    if (strstr(body, "TokenReview"))
        snprintf(
            out, size, "%s",
            strstr(body, "kube-alice") ? "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"alice@kube\"}}}"
            : strstr(body, "kube-bob") ? "{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"bob@kube\"}}}"
                                       : "{\"status\":{\"authenticated\":false}}");
    else
        snprintf(out, size, "{\"status\":{\"allowed\":%s}}",
                 strstr(body, "alice@kube") && strstr(body, "\"path\":\"/weir/") &&
                         (strstr(body, "\"verb\":\"get\"") || strstr(body, "what-if"))
                     ? "true"
                     : "false");
    return true;
}

struct room {
    struct cluster_stage stage;
    struct server server;
    struct serve_access *access;
    struct serve_guard *guard;
    char folder[64], tokens[96];
};

static void on_request(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct serve_asker asker = serve_asker_of(request);

    (void)arg;
    text_printf(answer->body, "in as '%s'%s", asker.user, asker.can_act ? ", may act" : "");
}

static void write_tokens(struct room *r, const char *text)
{
    FILE *file = fopen(r->tokens, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

struct setting {
    bool tokens, certificates, cluster, actions;
    const char *listen; /* NULL: loopback */
};

static void room_init(struct room *r, const struct setting *setting)
{
    static const struct {
        const char *method, *pattern;
    } routes[] = {{"GET", "/"},
                  {"HEAD", "/"},
                  {"GET", "/healthz"},
                  {"GET", "/readyz"},
                  {"GET", "/metrics"},
                  {"GET", "/api/v1/session"},
                  {"PUT", "/api/v1/log-levels"},
                  {"POST", "/api/v1/objects/@/@/what-if"},
                  {"POST", "/api/v1/objects/@/@/actions/@"}};
    struct serve_guard_options options = {.certificates = setting->certificates, .allow_actions = setting->actions};
    const char *listen = setting->listen ? setting->listen : "127.0.0.1:8642";
    struct error err;

    *r = (struct room){0};
    log_set_level(LOG_LEVEL_ERROR);
    cluster_stage_init(&r->stage);
    r->stage.review = review;
    snprintf(r->folder, sizeof(r->folder), "/tmp/weir-test-guard-%d", (int)getpid());
    snprintf(r->tokens, sizeof(r->tokens), "%s", r->folder);
    write_tokens(r, "# ours\n" ALICE " alice smith \n\n" ROOT "\r\n");
    if (setting->cluster)
        r->access = serve_access_new(&(struct serve_access_options){.kube = r->stage.kube, .tokens_only = true});
    options.loop = kube_loop(r->stage.kube);
    options.access = r->access;
    options.token_file = setting->tokens ? r->tokens : NULL;
    assert_true(serve_guard_new(&options, &r->guard, &err));
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        server_route(&r->server, routes[i].method, routes[i].pattern, on_request, r);
    serve_guard_server(r->guard, &r->server);
    assert_true(serve_guard_listens(r->guard, listen, listen, &err));
}

static void room_done(struct room *r)
{
    serve_access_free(r->access);
    serve_guard_free(r->guard);
    cluster_stage_done(&r->stage);
    unlink(r->tokens);
}

static const struct server_pending *ask(struct room *r, const struct fake_request *request)
{
    static struct server_pending reply;
    static struct fake_request sent;

    sent = *request;
    if (sent.by == LISTENER_UNIX) /* what a row does not say; who comes by the socket is tested apart */
        sent.by = LISTENER_TCP;
    fake_send(&r->server, &sent, &reply);
    stage_run(&r->stage, 100);
    assert_true(reply.answered);
    return &reply;
}

struct row {
    const char *what;
    struct fake_request request;
    int status;
    const char *part; /* of the answer */
};

static void check(struct room *r, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct server_pending *reply = ask(r, &rows[i].request);

        if (reply->status != rows[i].status || !strstr(reply->body, rows[i].part))
            fail_msg("%s: %d %s", rows[i].what, reply->status, reply->body);
    }
}

#define CHECK(room, rows) check(room, rows, sizeof(rows) / sizeof((rows)[0]))

/* ------------------------------------------------------------------ loopback */

static void loopback_is_open_for_reading(void **state)
{
    static const struct row rows[] = {
        {"localhost", {.path = "/", .headers = {{"Host", "localhost:8642"}}}, 200, "in as ''"},
        {"its number", {.path = "/", .headers = {{"Host", "127.0.0.1:8642"}}}, 200, "in as ''"},
        {"another number", {.path = "/", .headers = {{"Host", "127.3.2.1"}}}, 200, "in as ''"},
        {"IPv6", {.path = "/", .headers = {{"Host", "[::1]:9"}}}, 200, "in as ''"},
        {"IPv4 in IPv6", {.path = "/", .headers = {{"Host", "[::ffff:127.0.0.1]:9"}}}, 200, "in as ''"},
        {"no host", {.path = "/"}, 200, "in as ''"},
        {"metrics", {.path = "/metrics", .headers = {{"Host", "localhost"}}}, 200, "in as ''"},
        {"a name that means us", {.path = "/", .headers = {{"Host", "evil.example:8642"}}}, 403, "another machine"},
        {"a number in a name", {.path = "/", .headers = {{"Host", "127.0.0.1.evil.example"}}}, 403, "another machine"},
        {"localhost in a name", {.path = "/", .headers = {{"Host", "localhost.evil.example"}}}, 403, "another machine"},
        {"another number", {.path = "/", .headers = {{"Host", "10.0.0.1:8642"}}}, 403, "another machine"},
        {"an empty host", {.path = "/", .headers = {{"Host", ""}}}, 403, "another machine"},
        {"half a number", {.path = "/", .headers = {{"Host", "[::1"}}}, 403, "another machine"},
        {"health", {.path = "/healthz", .headers = {{"Host", "10.0.0.1:8642"}}}, 200, "in as ''"},
        {"ready", {.path = "/readyz", .headers = {{"Host", "10.0.0.1:8642"}}}, 200, "in as ''"},
        {"a token nobody asked for", {.path = "/", .headers = {{"Authorization", "Bearer x"}}}, 200, "in as ''"},
        {"what if", {.path = "/api/v1/objects/a/b/what-if", .method = "POST", .headers = {JSON}}, 200, "in as ''"},
        {"an action",
         {.path = "/api/v1/objects/a/b/actions/pause", .method = "POST", .headers = {JSON}},
         403,
         "--allow-actions"},
        {"log levels", {.path = "/api/v1/log-levels", .method = "PUT", .headers = {JSON}}, 403, "--allow-actions"},
        {"a login",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"x\"}"},
         409,
         "not asked for"},
    };
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){0});
    CHECK(&r, rows);
    room_done(&r);
}

static void the_host_one_listens_at_is_ours(void **state)
{
    struct room r;
    struct error err;

    (void)state;
    room_init(&r, &(struct setting){0});
    assert_true(serve_guard_listens(r.guard, "MyHost:8642", "127.0.1.1:8642", &err));
    assert_int_equal(ask(&r, &(struct fake_request){.path = "/", .headers = {{"Host", "myhost:8642"}}})->status, 200);
    assert_int_equal(ask(&r, &(struct fake_request){.path = "/", .headers = {{"Host", "myhost.evil"}}})->status, 403);
    room_done(&r);
}

/* ------------------------------------------------------------------ pages of others */

static void pages_of_others_are_refused(void **state)
{
#define WHAT_IF .path = "/api/v1/objects/a/b/what-if", .method = "POST"
    static const struct row rows[] = {
        {"own page", {WHAT_IF, .headers = {JSON, {"Sec-Fetch-Site", "same-origin"}}}, 200, "in as"},
        {"typed in", {.path = "/", .headers = {{"Sec-Fetch-Site", "none"}}}, 200, "in as"},
        {"a link",
         {.path = "/", .headers = {{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}},
         200,
         "in as"},
        {"a picture",
         {.path = "/", .headers = {{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "no-cors"}}},
         403,
         "origin"},
        {"another port", {.path = "/", .headers = {{"Sec-Fetch-Site", "same-site"}}}, 403, "origin"},
        {"a foreign form",
         {WHAT_IF, .headers = {JSON, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}}},
         403,
         "origin"},
        {"own origin",
         {WHAT_IF, .headers = {JSON, {"Host", "localhost:1"}, {"Origin", "http://localhost:1"}}},
         200,
         "in as"},
        {"another origin",
         {WHAT_IF, .headers = {JSON, {"Host", "localhost:1"}, {"Origin", "http://localhost:2"}}},
         403,
         "origin"},
        {"a sandbox", {WHAT_IF, .headers = {JSON, {"Host", "localhost:1"}, {"Origin", "null"}}}, 403, "origin"},
        {"read from another origin",
         {.path = "/", .headers = {{"Host", "localhost:1"}, {"Origin", "http://a"}}},
         403,
         "origin"},
        {"behind a proxy",
         {WHAT_IF, .headers = {JSON,
                               {"Host", "localhost:1"},
                               {"Origin", "https://weir.example"},
                               {"Sec-Fetch-Site", "same-origin"}}},
         200,
         "in as"},
        {"a login from elsewhere",
         {.path = "/login", .method = "POST", .headers = {JSON, {"Sec-Fetch-Site", "cross-site"}}},
         403,
         "origin"},
        {"no type", {WHAT_IF}, 415, "application/json"},
        {"a form",
         {WHAT_IF, .headers = {{"Content-Type", "application/x-www-form-urlencoded"}}},
         415,
         "application/json"},
        {"text", {WHAT_IF, .headers = {{"Content-Type", "text/plain"}}}, 415, "application/json"},
        {"like JSON", {WHAT_IF, .headers = {{"Content-Type", "application/jsonp"}}}, 415, "application/json"},
        {"JSON in capitals", {WHAT_IF, .headers = {{"Content-Type", "Application/JSON; charset=utf-8"}}}, 200, "in as"},
    };
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){0});
    CHECK(&r, rows);
    room_done(&r);
}

/* ------------------------------------------------------------------ tokens and certificates */

static void tokens_let_in(void **state)
{
#define BEARER(token)                                                                                                  \
    {                                                                                                                  \
        "Authorization", "Bearer " token                                                                               \
    }
    static const struct row rows[] = {
        {"nobody", {.path = "/api/v1/session"}, 401, "\"error\":\"nobody knows who asks"},
        {"a browser",
         {.path = "/", .headers = {{"Accept", "text/html,*/*"}}},
         401,
         "<form method=\"post\" action=\"/login\">"},
        {"the API in a browser", {.path = "/api/v1/session", .headers = {{"Accept", "text/html"}}}, 401, "{\"error\""},
        {"alice", {.path = "/", .headers = {BEARER(ALICE)}}, 200, "in as 'alice smith'"},
        {"any case", {.path = "/", .headers = {{"Authorization", "bearer  " ALICE}}}, 200, "in as 'alice smith'"},
        {"behind a proxy", {.path = "/", .headers = {{"X-Weir-Token", ALICE}}}, 200, "in as 'alice smith'"},
        {"no name", {.path = "/", .headers = {BEARER(ROOT)}}, 200, "in as 'line 4'"},
        {"half a token", {.path = "/", .headers = {BEARER("alices-token")}}, 401, "nobody knows"},
        {"more than a token", {.path = "/", .headers = {BEARER(ALICE "0")}}, 401, "nobody knows"},
        {"a name", {.path = "/", .headers = {BEARER("alice")}}, 401, "nobody knows"},
        {"a comment", {.path = "/", .headers = {BEARER("#")}}, 401, "nobody knows"},
        {"nothing", {.path = "/", .headers = {{"Authorization", "Bearer "}}}, 401, "nobody knows"},
        {"basic", {.path = "/", .headers = {{"Authorization", "Basic " ALICE}}}, 401, "nobody knows"},
        {"any host", {.path = "/", .headers = {BEARER(ALICE), {"Host", "weir.example"}}}, 200, "in as"},
        {"health", {.path = "/healthz"}, 200, "in as ''"},
        {"metrics", {.path = "/metrics"}, 401, "nobody knows"},
        {"an action",
         {.path = "/api/v1/objects/a/b/actions/pause", .method = "POST", .headers = {BEARER(ALICE), JSON}},
         403,
         "--allow-actions"},
    };
    struct room r;

    (void)state;
    for (int away = 0; away < 2; away++) {
        room_init(&r, &(struct setting){.tokens = true, .listen = away ? "10.0.0.1:8642" : NULL});
        CHECK(&r, rows);
        assert_string_equal(fake_answer_header(ask(&r, &(struct fake_request){.path = "/"}), "WWW-Authenticate"),
                            "Bearer realm=\"weir\"");
        room_done(&r);
    }
}

static void tokens_may_act_where_that_is_allowed(void **state)
{
    struct room r;
    const struct fake_request act = {
        .path = "/api/v1/objects/a/b/actions/pause", .method = "POST", .headers = {BEARER(ALICE), JSON}};

    (void)state;
    room_init(&r, &(struct setting){.tokens = true, .actions = true});
    assert_string_equal(ask(&r, &act)->body, "in as 'alice smith', may act");
    room_done(&r);
}

/* What is taken out ends within a second, with all that was logged in by it; a file that is gone lets in nobody. */
static void tokens_are_read_again(void **state)
{
    struct room r;
    const struct fake_request alice = {.path = "/", .headers = {BEARER(ALICE)}},
                              bob = {.path = "/", .headers = {BEARER("bobs-token-0123456789")}};

    (void)state;
    room_init(&r, &(struct setting){.tokens = true});
    assert_int_equal(ask(&r, &alice)->status, 200);
    assert_int_equal(ask(&r, &bob)->status, 401);
    write_tokens(&r, "bobs-token-0123456789 bob\n");
    stage_run(&r.stage, TOKENS_LOOK_MS);
    assert_int_equal(ask(&r, &alice)->status, 401);
    assert_string_equal(ask(&r, &bob)->body, "in as 'bob'");
    write_tokens(&r, "short bob\n");
    stage_run(&r.stage, TOKENS_LOOK_MS);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(ask(&r, &bob)->status, 401);
    unlink(r.tokens);
    stage_run(&r.stage, TOKENS_LOOK_MS);
    assert_int_equal(ask(&r, &bob)->status, 401);
    assert_int_equal(mkfifo(r.tokens, 0600), 0); /* nobody waits for what may never be written into it */
    stage_run(&r.stage, TOKENS_LOOK_MS);
    assert_int_equal(ask(&r, &bob)->status, 401);
    unlink(r.tokens);
    write_tokens(&r, "bobs-token-0123456789 bob again\n");
    stage_run(&r.stage, TOKENS_LOOK_MS);
    assert_string_equal(ask(&r, &bob)->body, "in as 'bob again'");
    room_done(&r);
}

static void certificates_let_in(void **state)
{
    static const struct row rows[] = {
        {"of the client CA",
         {.path = "/", .by = LISTENER_TLS, .verified_by = 2, .common_name = "carol"},
         200,
         "in as 'carol'"},
        {"of another CA", {.path = "/", .by = LISTENER_TLS, .verified_by = 1, .common_name = "carol"}, 401, "nobody"},
        {"none", {.path = "/", .by = LISTENER_TLS}, 401, "nobody"},
    };
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.certificates = true, .listen = "10.0.0.1:8642"});
    CHECK(&r, rows);
    room_done(&r);
}

static void the_owner_always_may(void **state)
{
    struct room r;
    struct server_pending reply;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true, .cluster = true, .actions = true, .listen = "10.0.0.1:8642"});
    fake_send(&r.server, &(struct fake_request){.path = "/", .by = LISTENER_UNIX}, &reply);
    assert_string_equal(reply.body, "in as 'owner', may act");
    room_done(&r);
}

/* ------------------------------------------------------------------ the cluster */

static void accounts_of_the_cluster(void **state)
{
    static const struct row rows[] = {
        {"nobody", {.path = "/api/v1/session"}, 401, "nobody knows who asks"},
        {"alice", {.path = "/api/v1/session", .headers = {BEARER("kube-alice")}}, 200, "in as 'alice@kube'"},
        {"alice again", {.path = "/api/v1/session", .headers = {BEARER("kube-alice")}}, 200, "in as 'alice@kube'"},
        {"alice, head", {.path = "/", .method = "HEAD", .headers = {BEARER("kube-alice")}}, 200, "in as"},
        {"alice, what if", {WHAT_IF, .headers = {BEARER("kube-alice"), JSON}}, 200, "in as 'alice@kube', may act"},
        {"alice, action",
         {.path = "/api/v1/objects/a/b/actions/pause", .method = "POST", .headers = {BEARER("kube-alice"), JSON}},
         403,
         "alice@kube may not post /weir/api/v1/objects/a/b/actions/pause; bind a ClusterRole"},
        {"bob", {.path = "/", .headers = {BEARER("kube-bob")}}, 403, "bob@kube may not get /weir/; bind a ClusterRole"},
        {"bob in a browser",
         {.path = "/", .headers = {BEARER("kube-bob"), {"Accept", "text/html"}}},
         403,
         "<p role=\"status\">bob@kube may not get /weir/;"},
        {"unknown", {.path = "/", .headers = {BEARER("kube-carol")}}, 401, "nobody knows who asks"},
        {"broken", {.path = "/", .headers = {BEARER("broken")}}, 503, "the API server could not be asked"},
        {"of the file", {.path = "/", .headers = {BEARER(ALICE)}}, 200, "in as 'alice smith'"},
    };
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true, .cluster = true, .actions = true, .listen = "10.0.0.1:8642"});
    CHECK(&r, rows);
    room_done(&r);
}

/* Who forwards a port to a pod needs no account, and the API server is not asked. */
static void loopback_of_a_pod_is_open(void **state)
{
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.cluster = true});
    assert_int_equal(ask(&r, &(struct fake_request){.path = "/", .headers = {{"Host", "localhost:8642"}}})->status,
                     200);
    assert_int_equal(r.stage.write_count, 0);
    room_done(&r);
}

static void what_waits_is_refused_at_the_end(void **state)
{
    static struct server_pending reply;
    const struct fake_request request = {.path = "/", .by = LISTENER_TCP, .headers = {BEARER("kube-alice")}};
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.cluster = true, .listen = "10.0.0.1:8642"});
    fake_send(&r.server, &request, &reply);
    assert_false(reply.answered);
    serve_access_free(r.access);
    r.access = NULL;
    assert_int_equal(reply.status, 503);
    room_done(&r);
}

/* ------------------------------------------------------------------ logging in */

/* "weir-session=..." of a Set-Cookie. */
static const char *cookie_of(const struct server_pending *reply)
{
    static char cookie[128];
    const char *set = fake_answer_header(reply, "Set-Cookie");

    assert_non_null(set);
    snprintf(cookie, sizeof(cookie), "%.*s", (int)strcspn(set, ";"), set);
    return cookie;
}

static const char *log_in(struct room *r, const char *token)
{
    char body[128];
    const struct server_pending *reply;

    snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
    reply = ask(r, &(struct fake_request){.path = "/login", .method = "POST", .headers = {JSON}, .body = body});
    assert_int_equal(reply->status, 200);
    return cookie_of(reply);
}

static const struct server_pending *come_with(struct room *r, const char *cookie)
{
    return ask(r, &(struct fake_request){.path = "/", .headers = {{"Cookie", cookie}}});
}

static void logins(void **state)
{
    static const struct row rows[] = {
        {"the page", {.path = "/login"}, 200, "<form"},
        {"alice",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"" ALICE "\"}"},
         200,
         "{\"user\":\"alice smith\"}"},
        {"a form",
         {.path = "/login",
          .method = "POST",
          .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
          .body = "token=" ALICE},
         303,
         ""},
        {"a form of somebody else",
         {.path = "/login",
          .method = "POST",
          .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
          .body = "token=no"},
         401,
         "<p role=\"status\">this token is nobody"},
        {"somebody else",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"no\"}"},
         401,
         "nobody"},
        {"of the cluster",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"kube-alice\"}"},
         200,
         "alice@kube"},
        {"who may not",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"kube-bob\"}"},
         403,
         "bob@kube may not"},
        {"broken",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"broken\"}"},
         503,
         "could not be asked"},
        {"no token", {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{}"}, 400, "there is no token"},
        {"no text",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":1}"},
         400,
         "there is no token"},
        {"empty",
         {.path = "/login", .method = "POST", .headers = {JSON}, .body = "{\"token\":\"\"}"},
         400,
         "there is no token"},
        {"no JSON", {.path = "/login", .method = "POST", .headers = {JSON}, .body = "token"}, 400, "there is no token"},
        {"nothing", {.path = "/login", .method = "POST", .headers = {JSON}}, 400, "there is no token"},
    };
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true, .cluster = true, .listen = "10.0.0.1:8642"});
    CHECK(&r, rows);
    room_done(&r);
}

static void a_cookie_stands_for_a_token(void **state)
{
    char alice[128], kube[128], both[300];
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true, .cluster = true, .listen = "10.0.0.1:8642"});
    snprintf(alice, sizeof(alice), "%s", log_in(&r, ALICE));
    snprintf(kube, sizeof(kube), "%s", log_in(&r, "kube-alice"));
    assert_string_not_equal(alice, kube);
    assert_int_equal(strlen(alice), strlen("weir-session=") + 64);
    assert_string_equal(come_with(&r, alice)->body, "in as 'alice smith'");
    assert_string_equal(come_with(&r, kube)->body, "in as 'alice@kube'");
    snprintf(both, sizeof(both), "a=b; %s; c=d", kube);
    assert_string_equal(come_with(&r, both)->body, "in as 'alice@kube'");
    snprintf(both, sizeof(both), "not-%s", kube);
    assert_int_equal(come_with(&r, both)->status, 401);
    kube[strlen(kube) - 1] ^= 1;
    assert_int_equal(come_with(&r, kube)->status, 401);
    assert_int_equal(come_with(&r, "weir-session=")->status, 401);
    write_tokens(&r, ROOT "\n"); /* alice's was taken out */
    stage_run(&r.stage, TOKENS_LOOK_MS);
    assert_int_equal(come_with(&r, alice)->status, 401);
    room_done(&r);
}

static void cookies_are_for_this_site_alone(void **state)
{
    const struct fake_request login = {
        .path = "/login", .method = "POST", .by = LISTENER_TLS, .headers = {JSON}, .body = "{\"token\":\"" ALICE "\"}"};
    const char *set;
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true});
    set = fake_answer_header(ask(&r, &login), "Set-Cookie");
    assert_non_null(strstr(set, "; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"));
    log_in(&r, ALICE);
    room_done(&r);
}

static void sessions_end(void **state)
{
    char cookie[128];
    const struct server_pending *reply;
    struct room r;

    (void)state;
    room_init(&r, &(struct setting){.tokens = true});
    snprintf(cookie, sizeof(cookie), "%s", log_in(&r, ALICE));
    reply = ask(&r, &(struct fake_request){.path = "/logout", .method = "POST", .headers = {JSON, {"Cookie", cookie}}});
    assert_int_equal(reply->status, 204);
    assert_non_null(strstr(fake_answer_header(reply, "Set-Cookie"), "Max-Age=0"));
    assert_int_equal(come_with(&r, cookie)->status, 401);

    snprintf(cookie, sizeof(cookie), "%s", log_in(&r, ALICE));
    stage_run(&r.stage, INT64_C(1000) * SESSION_S - 1000);
    assert_int_equal(come_with(&r, cookie)->status, 200);
    stage_run(&r.stage, 1000);
    assert_int_equal(come_with(&r, cookie)->status, 401);

    snprintf(cookie, sizeof(cookie), "%s", log_in(&r, ALICE));
    for (int i = 0; i < SESSIONS_MAX - 1; i++)
        log_in(&r, ROOT);
    assert_int_equal(come_with(&r, cookie)->status, 200);
    log_in(&r, ROOT); /* one more, and the oldest gives way */
    assert_int_equal(come_with(&r, cookie)->status, 401);
    room_done(&r);
}

/* ------------------------------------------------------------------ where it may listen */

static void others_have_to_be_known(void **state)
{
    static const struct {
        const char *bound;
        bool alone; /* without anything else */
    } rows[] = {
        {"127.0.0.1:8642", true}, {"127.0.1.1:1", true},  {"[::1]:8642", true},     {"[::ffff:127.0.0.1]:1", true},
        {"0.0.0.0:8642", false},  {"[::]:8642", false},   {"10.0.0.1:8642", false}, {"[fe80::1]:8642", false},
        {"1270.0.1:1", false},    {"128.0.0.1:1", false},
    };
    struct room r;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int known = 0; known < 4; known++) { /* not at all, by tokens, certificates, the cluster */
            struct error err;
            bool may;

            room_init(&r, &(struct setting){.tokens = known == 1, .certificates = known == 2});
            r.guard->access = known == 3 ? (struct serve_access *)&r : NULL; /* it is there; nobody asks it */
            may = serve_guard_listens(r.guard, rows[i].bound, rows[i].bound, &err);
            if (may != (rows[i].alone || known > 0) || (!may && !strstr(err.text, "add --token-file, or --client-ca")))
                fail_msg("%s, %d: %d", rows[i].bound, known, may);
            room_done(&r);
        }
    }
}

static void token_files(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "names no token"},
        {"# nobody\n\n", "names no token"},
        {"short\n", ":1: a token has 16 to 16384 characters"},
        {ALICE "\n\n  short alice\n", ":3: a token has 16"},
        {ALICE " alice", NULL},
        {"\t" ALICE "\talice\t\r\n", NULL},
    };
    struct guard_tokens *tokens;
    unsigned char digest[GUARD_DIGEST_BYTES];
    struct room r;
    struct error err;

    (void)state;
    room_init(&r, &(struct setting){0});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_tokens(&r, rows[i].text);
        if (rows[i].error) {
            assert_false(guard_tokens_new(kube_loop(r.stage.kube), r.tokens, &tokens, &err));
            if (!strstr(err.text, rows[i].error) || strstr(err.text, "short "))
                fail_msg("%zu: %s", i, err.text);
            continue;
        }
        assert_true(guard_tokens_new(kube_loop(r.stage.kube), r.tokens, &tokens, &err));
        assert_string_equal(guard_tokens_find(tokens, ALICE, digest), "alice");
        assert_string_equal(guard_tokens_name(tokens, digest), "alice");
        guard_tokens_free(tokens);
    }
    assert_false(guard_tokens_new(kube_loop(r.stage.kube), "/nowhere/tokens", &tokens, &err));
    assert_int_equal(err.kind, ERROR_MISSING);
    room_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_open_for_reading),
        cmocka_unit_test(the_host_one_listens_at_is_ours),
        cmocka_unit_test(pages_of_others_are_refused),
        cmocka_unit_test(tokens_let_in),
        cmocka_unit_test(tokens_may_act_where_that_is_allowed),
        cmocka_unit_test(tokens_are_read_again),
        cmocka_unit_test(certificates_let_in),
        cmocka_unit_test(the_owner_always_may),
        cmocka_unit_test(accounts_of_the_cluster),
        cmocka_unit_test(loopback_of_a_pod_is_open),
        cmocka_unit_test(what_waits_is_refused_at_the_end),
        cmocka_unit_test(logins),
        cmocka_unit_test(a_cookie_stands_for_a_token),
        cmocka_unit_test(cookies_are_for_this_site_alone),
        cmocka_unit_test(sessions_end),
        cmocka_unit_test(others_have_to_be_known),
        cmocka_unit_test(token_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

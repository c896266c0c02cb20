/* A store in the virtual world: with a platform that has service accounts, a listener, and a small stand-in for Vault. */
#ifndef TEST_CREDENTIAL_STORE_H
#define TEST_CREDENTIAL_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "sim/virtual.h"

#define START_MS (1767225600 * INT64_C(1000))
enum { SAID_MAX = 64 };

struct account_token { /* the platform's: one that was asked for */
    struct timer *timer;
    platform_token *done;
    void *arg;
    int number;
};

struct scene {
    struct platform platform; /* first */
    struct virtual_world *world;
    struct credential_store *store;
    struct arena *arena;
    int64_t ticks_ms;
    int told;
    char told_key[200];
    struct credential *credential;
    struct error err;
    bool cluster_kind;
    /* the platform's accounts */
    int tokens_made;
    bool no_accounts;
    /* the stand-in for Vault */
    char said[SAID_MAX][200]; /* "GET /v1/secret/data/a TOKEN BODY" */
    int said_count;
    const char *secret_body; /* what a read is answered with; NULL: 404 */
    int secret_status;
    char token[40]; /* the one that it takes */
    int logins, login_status, leases, lease_s, renew_s;
    int renewal_takes_ms;
    bool down, silent, forwards, refuses_reads;
};

/* ------------------------------------------------------------------ the platform */

static inline enum lookup scene_secret(struct platform *p, const char *ns, const char *name, const char *key,
                                       struct secret **out)
{
    char value[200];

    (void)p;
    snprintf(value, sizeof(value), "%s/%s/%s", ns, name, key);
    *out = secret_new(value, strlen(value));
    return strcmp(key, "gone") == 0 ? (secret_unref(*out), LOOKUP_ABSENT) : LOOKUP_FOUND;
}

/* header.payload.signature; the payload says {"sub":"system:serviceaccount:shop:reader"} */
#define ACCOUNT_TOKEN "e30.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6c2hvcDpyZWFkZXIifQ.c2ln"

static inline void scene_on_token(void *arg)
{
    struct account_token *t = arg;
    char token[200];
    struct secret *secret;

    snprintf(token, sizeof(token), "%s%d", ACCOUNT_TOKEN, t->number);
    secret = secret_new(token, strlen(token));
    loop_timer_free(t->timer);
    t->done(t->arg, secret, 3600 * 1000, NULL);
    secret_unref(secret);
    free(t);
}

static inline struct account_token *scene_account_token(struct platform *p, const char *ns, const char *account,
                                                        int64_t seconds, platform_token *done, void *arg)
{
    struct scene *s = (struct scene *)p;
    struct account_token *t = calloc(1, sizeof(*t));

    assert_string_equal(ns, "shop");
    assert_string_equal(account, "reader");
    assert_int_equal(seconds, 3600);
    *t = (struct account_token){.done = done, .arg = arg, .number = ++s->tokens_made};
    t->timer = loop_timer_new(virtual_loop(s->world), scene_on_token, t);
    loop_timer_set(t->timer, 30);
    return t;
}

static inline void scene_account_token_cancel(struct account_token *t)
{
    loop_timer_free(t->timer);
    free(t);
}

static const struct platform_ops scene_ops = {.name = "scene",
                                              .secret_get = scene_secret,
                                              .account_token = scene_account_token,
                                              .account_token_cancel = scene_account_token_cancel};

/* ------------------------------------------------------------------ the stand-in for Vault */

static inline const char *scene_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].secret ? secret_reveal(request->headers[i].secret) : request->headers[i].value;
    return "-";
}

static inline void scene_say(struct scene *s, const struct http_request *request, const char *path)
{
    char *line = s->said[s->said_count++ % SAID_MAX];

    snprintf(line, sizeof(s->said[0]), "%s %s %s %.*s", request->method, path, scene_header(request, "X-Vault-Token"),
             (int)request->body_length, request->body ? (const char *)request->body : "");
}

static inline void scene_vault(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header elsewhere = {.name = "location", .value = "http://active:8200/v1/x"};
    static char body[1000];
    struct scene *s = arg;
    const char *path = strstr(request->url, "/v1/");
    const char *token = scene_header(request, "X-Vault-Token");

    scene_say(s, request, path);
    assert_true(request->no_redirects && request->secret);
    reply->refused = s->down;
    reply->never = s->silent;
    reply->body = body;
    body[0] = '\0';
    if (s->forwards) {
        reply->status = 307;
        reply->headers = &elsewhere;
        reply->header_count = 1;
    } else if (string_ends(path, "/login") && s->login_status) {
        reply->status = s->login_status;
    } else if (string_ends(path, "/login")) {
        snprintf(s->token, sizeof(s->token), "login-%d", ++s->logins);
        snprintf(body, sizeof(body), "{\"auth\":{\"client_token\":\"%s\",\"lease_duration\":600,\"renewable\":true}}",
                 s->token);
    } else if (strcmp(token, s->token) != 0) {
        reply->status = 403;
        snprintf(body, sizeof(body), "{\"errors\":[\"permission denied for %s\"]}", token);
    } else if (string_ends(path, "/lookup-self")) {
        snprintf(body, sizeof(body), "{\"data\":{\"ttl\":0,\"renewable\":false}}");
    } else if (string_ends(path, "/renew-self")) {
        reply->after_ms = s->renewal_takes_ms;
        snprintf(body, sizeof(body), "{\"auth\":{\"client_token\":\"%s\",\"lease_duration\":600}}", token);
    } else if (string_ends(path, "/leases/renew")) {
        snprintf(body, sizeof(body), "{\"lease_id\":\"l\",\"lease_duration\":%d,\"renewable\":true}", s->renew_s);
    } else if (strstr(path, "/revoke")) {
        reply->status = 204;
    } else if (s->refuses_reads) {
        reply->status = 403;
    } else if (strstr(path, "/creds/") && !s->secret_body) {
        s->leases++;
        snprintf(body, sizeof(body),
                 "{\"lease_id\":\"lease-%d\",\"lease_duration\":%d,\"renewable\":true,\"data\":{\"password\":\"p%d\"}}",
                 s->leases, s->lease_s, s->leases);
    } else if (s->secret_body) {
        reply->status = s->secret_status ? s->secret_status : 200;
        reply->body = s->secret_body;
    } else {
        reply->status = 404;
        snprintf(body, sizeof(body), "{\"errors\":[]}");
    }
}

/* ------------------------------------------------------------------ a scene */

static inline void scene_changed(void *arg, const char *key)
{
    struct scene *s = arg;

    s->told++;
    snprintf(s->told_key, sizeof(s->told_key), "%s", key);
}

static inline void scene_begin(struct scene *s)
{
    *s = (struct scene){.platform = {.ops = &scene_ops}, .world = virtual_world_new(1, START_MS), .ticks_ms = START_MS};
    s->arena = arena_new(ARENA_USUAL);
    s->store = credential_store_new(&(struct credential_parts){
        .platform = &s->platform, .loop = virtual_loop(s->world), .transport = virtual_transport(s->world)});
    credential_store_listen(s->store, scene_changed, s);
    virtual_answer(s->world, "http://vault:8200/", scene_vault, s);
    strcpy(s->token, "t0");
    unsetenv("VAULT_ADDR");
    unsetenv("VAULT_TOKEN");
}

static inline void scene_pass(struct scene *s, int64_t ms)
{
    s->ticks_ms += ms;
    virtual_run_until(s->world, s->ticks_ms);
}

static inline enum lookup scene_resolve(struct scene *s, const char *spec)
{
    struct tree *docs;

    credential_unref(s->credential);
    s->credential = NULL;
    s->err = (struct error){.kind = ERROR_NONE};
    assert_true(tree_read_yaml("t", spec, strlen(spec), s->arena, &docs, NULL));
    return credential_store_resolve(s->store,
                                    &(struct credential_request){.spec = tree_index(docs, 0),
                                                                 .cluster_kind = s->cluster_kind,
                                                                 .key = "TriggerAuthentication/shop/a",
                                                                 .ns = "shop",
                                                                 .object_ns = "shop"},
                                    &s->credential, &s->err);
}

/* Waits until it is known. */
static inline enum lookup scene_settle(struct scene *s, const char *spec)
{
    enum lookup found = scene_resolve(s, spec);

    for (int i = 0; i < 100 && found == LOOKUP_PENDING; i++) {
        scene_pass(s, 100);
        found = scene_resolve(s, spec);
    }
    return found;
}

static inline const char *scene_value(const struct scene *s, const char *name)
{
    const struct secret *value = credential_get(s->credential, name);

    return value ? secret_reveal(value) : "(none)";
}

static inline const char *scene_last(const struct scene *s)
{
    return s->said_count ? s->said[(s->said_count - 1) % SAID_MAX] : "";
}

static inline uint32_t scene_kept(const struct scene *s)
{
    struct credential_stats stats;

    credential_store_stats(s->store, &stats);
    return stats.kept;
}

static inline void scene_end(struct scene *s)
{
    credential_store_free(s->store);
    credential_unref(s->credential);
    assert_int_equal(virtual_pending(s->world), 0);
    virtual_world_free(s->world);
    arena_free(s->arena);
}

#endif

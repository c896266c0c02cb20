/*
 * Objects whose credentials are fetched, on virtual time: they wait for them, use what comes, and are asked once more when a source refuses
 * what it was given. From files and in a cluster alike.
 */
#include "running.h"

#include "base/secret.h"

#define OBJECT "ScaledObject/shop/app"
#define AUTH                                                                                                           \
    "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: vault, namespace: shop}\nspec:\n"     \
    "  hashiCorpVault:\n    address: http://vault:8200\n    authentication: token\n    credential: {token: root}\n"    \
    "    secrets: [{parameter: bearerToken, path: secret/data/prom, key: token}]\n"
#define SCALED                                                                                                         \
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, namespace: shop}\nspec:\n"                \
    "  scaleTargetRef: {name: app}\n  triggers:\n  - type: prometheus\n    authenticationRef: {name: vault}\n"         \
    "    metadata: {serverAddress: 'http://api:9090', query: load, threshold: '10', authModes: bearer}\n"

struct world {
    struct running r;
    const char *kept, *wanted; /* what Vault has; what the API takes */
    char body[200], said[300];
    unsigned asked, refused, read;
    bool vault_hangs, cluster;
    int64_t now_s;
};

static const char *header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].secret ? secret_reveal(request->headers[i].secret) : request->headers[i].value;
    return "";
}

static void answer_vault(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct world *w = arg;

    reply->never = w->vault_hangs;
    reply->body = w->body;
    if (strcmp(header(request, "X-Vault-Token"), "root") != 0 || (!w->kept && !strstr(request->url, "lookup-self")))
        reply->status = 403;
    w->read += strstr(request->url, "/secret/") != NULL;
    snprintf(w->body, sizeof(w->body),
             strstr(request->url, "lookup-self") ? "{\"data\":{\"ttl\":0}}"
                                                 : "{\"data\":{\"data\":{\"token\":\"%s\"}}}",
             w->kept ? w->kept : "");
}

static void answer_api(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct world *w = arg;
    bool fine = strcmp(header(request, "Authorization"), w->wanted) == 0;

    w->asked++;
    w->refused += !fine;
    reply->status = fine ? 200 : 401;
    reply->body = w->said;
    snprintf(w->said, sizeof(w->said), "%s%s",
             fine ? "{\"status\":\"success\",\"data\":{\"result\":[{\"value\":[0,\"30\"]}]}}" : "not with ",
             fine ? "" : header(request, "Authorization"));
}

static void begin(struct world *w, bool cluster)
{
    *w = (struct world){.kept = "one-secret", .wanted = "one-secret", .cluster = cluster};
    running_start(&w->r, NULL);
    virtual_answer(stage_world(w->r.stage), "http://vault:8200", answer_vault, w);
    virtual_answer(stage_world(w->r.stage), "http://api:9090", answer_api, w);
    if (cluster)
        stage_cluster(w->r.stage);
    stage_workload(w->r.stage, "shop", "Deployment", "app", 1);
}

static void put(struct world *w)
{
    if (w->cluster) {
        stage_resource(w->r.stage, AUTH);
        stage_resource(w->r.stage, SCALED);
    } else {
        running_manifest(&w->r, "a.yaml", AUTH "---\n" SCALED);
    }
}

static void pass(struct world *w, int64_t s)
{
    running_until(&w->r, w->now_s += s);
}

static void fetched_and_rotated(void **state)
{
    (void)state;
    for (int cluster = 0; cluster < 2; cluster++) {
        struct world w;

        begin(&w, cluster);
        put(&w);
        pass(&w, 20);
        assert_int_equal(look(&w.r, OBJECT).after, 3);
        assert_int_equal(w.refused, 0); /* never asked without it */
        pass(&w, 60);
        unsigned asked = w.asked, polls = (unsigned)look(&w.r, OBJECT).polls;
        w.kept = w.wanted = "two-secret";
        pass(&w, 16); /* one poll, every 15 s: refused, read anew, asked once more */
        assert_int_equal(w.refused, 1);
        assert_in_range(w.asked, asked + 2, asked + 3);
        assert_true(look(&w.r, OBJECT).polls > polls);
        assert_string_equal(look(&w.r, OBJECT).why, "");
        pass(&w, 60);
        assert_int_equal(w.refused, 1);
        assert_null(strstr(look(&w.r, OBJECT).summary, "secret"));
        running_stop(&w.r);
    }
}

/* Vault answers nothing, then refuses, then has it: the object says each, and nothing is taken away meanwhile. */
static void not_there_yet(void **state)
{
    (void)state;
    for (int cluster = 0; cluster < 2; cluster++) {
        struct world w;

        begin(&w, cluster);
        w.vault_hangs = true;
        put(&w);
        pass(&w, 30);
        if (!strstr(look(&w.r, OBJECT).why, "Vault at vault:8200"))
            fail_msg("says %s", look(&w.r, OBJECT).why);
        assert_int_equal(w.asked, 0);
        w.vault_hangs = false;
        w.kept = NULL;
        pass(&w, 120);
        if (!strstr(look(&w.r, OBJECT).why, "answered 403"))
            fail_msg("says %s", look(&w.r, OBJECT).why);
        assert_int_equal(w.asked, 0);
        assert_int_equal(stage_replicas(w.r.stage, "app"), 1);
        w.kept = "one-secret";
        pass(&w, 120);
        assert_int_equal(look(&w.r, OBJECT).after, 3);
        assert_int_equal(w.refused, 0);
        running_stop(&w.r);
    }
}

/* A wrong credential that stays wrong: it is read again, but no storm comes of it. */
static void wrong_for_long(void **state)
{
    (void)state;
    for (int cluster = 0; cluster < 2; cluster++) {
        struct world w;

        begin(&w, cluster);
        w.wanted = "other";
        put(&w);
        pass(&w, 600);
        assert_in_range(w.asked, 20, 45);
        assert_in_range(w.read, 10, 45);
        assert_null(strstr(look(&w.r, OBJECT).why, "one-secret"));
        assert_non_null(strstr(look(&w.r, OBJECT).why, "***"));
        running_stop(&w.r);
    }
}

/* The object goes: so does, soon, what was kept for it. */
static void gone(void **state)
{
    (void)state;
    for (int cluster = 0; cluster < 2; cluster++) {
        struct world w;

        begin(&w, cluster);
        put(&w);
        pass(&w, 30);
        if (cluster)
            stage_resource_delete(w.r.stage, OBJECT);
        else
            running_manifest(&w.r, "a.yaml", NULL);
        pass(&w, 200);
        unsigned read = w.read;
        pass(&w, 600);
        assert_int_equal(w.read, read); /* nobody reads it any more */
        running_stop(&w.r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fetched_and_rotated), cmocka_unit_test(not_there_yet),
                                       cmocka_unit_test(wrong_for_long), cmocka_unit_test(gone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

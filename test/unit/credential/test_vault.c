/* Secrets of Vault, read from a small stand-in for it: logins, both versions of the key-value engine, leases, certificates. */
#include "store.h"

#define VAULT(auth, secrets) "{hashiCorpVault: {address: 'http://vault:8200', " auth ", secrets: [" secrets "]}}"
#define BY_TOKEN             "authentication: token, credential: {token: t0}"
#define BY_ACCOUNT           "authentication: kubernetes, mount: kubernetes, role: weir, credential: {serviceAccountName: reader}"
#define ONE                  "{parameter: p, path: secret/data/a, key: k}"

static void test_read(void **state)
{
    static const struct {
        const char *secrets, *body, *wanted;
    } rows[] = {
        {ONE, "{\"data\":{\"data\":{\"k\":\"v2\"},\"metadata\":{}}}", "v2"},
        {ONE, "{\"data\":{\"k\":\"v1\"}}", "v1"},
        {"{parameter: p, path: a/b, key: k, type: secret}", "{\"data\":{\"k\":\"v1\",\"data\":{\"k\":\"no\"}}}", "v1"},
        {"{parameter: p, path: a/b, key: k, type: secretV2}", "{\"data\":{\"data\":{\"k\":\"v2\"}}}", "v2"},
        {ONE, "{\"data\":{\"k\":15}}", "15"},
        {ONE, "{\"data\":{\"k\":true}}", "true"},
        {"{parameter: p, path: pki/issue/r, key: k, type: pki}", "{\"data\":{\"k\":[\"one\",\"two\"]}}", "one\ntwo"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        char spec[400];

        scene_begin(&s);
        s.secret_body = rows[i].body;
        snprintf(spec, sizeof(spec), VAULT(BY_TOKEN, "%s"), rows[i].secrets);
        assert_int_equal(scene_resolve(&s, spec), LOOKUP_PENDING);
        scene_pass(&s, 100);
        assert_true(s.told > 0);
        assert_string_equal(s.told_key, "TriggerAuthentication/shop/a");
        assert_int_equal(scene_resolve(&s, spec), LOOKUP_FOUND);
        assert_string_equal(scene_value(&s, "p"), rows[i].wanted);
        scene_end(&s);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *spec, *body, *says, *where;
        int status;
        enum lookup found;
    } rows[] = {
        {VAULT(BY_TOKEN, ONE), NULL, "has nothing at secret/data/a", "spec.hashiCorpVault.secrets[0]", 0,
         LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, ONE), "{\"data\":{\"data\":{\"other\":\"x\"}}}",
         "Vault secret/data/a, which is to supply p, has no k", "spec.hashiCorpVault.secrets[0]", 0, LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, ONE), "<html>", "cannot be understood", "spec.hashiCorpVault.secrets[0]", 0, LOOKUP_DENIED},
        {VAULT(BY_TOKEN, ONE), "{\"errors\":[\"sealed t0t0\"]}", "answered 503 to secret/data/a: sealed t0t0", "", 503,
         LOOKUP_DENIED},
        {VAULT("authentication: token, credential: {token: secret-token}", ONE), NULL,
         "answered 403 to the look at the token: permission denied for ***", "", 0, LOOKUP_DENIED},
        {VAULT("authentication: token", ONE), NULL, "credential.token is missing", "", 0, LOOKUP_ABSENT},
        {VAULT("authentication: kubernetes", ONE), NULL, "needs mount and role", "", 0, LOOKUP_ABSENT},
        {VAULT("authentication: kubernetes, mount: ../../sys, role: r", ONE), NULL, "needs mount and role", "", 0,
         LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: secret/../sys/seal, key: k}"), NULL, "path has to be", "", 0,
         LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: auth/token/lookup-self, key: id, type: secret}"), NULL, "about Vault",
         "", 0, LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: team/auth/token/lookup-self, key: id, type: secret}"), NULL,
         "about Vault", "", 0, LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: /sys/seal, key: k, type: pki}"), NULL, "about Vault", "", 0,
         LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: database/rotate-root/db, key: k, type: pki}"), NULL, "pki/issue/ROLE",
         "", 0, LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, key: k}"), NULL, "parameter, path and key are required", "", 0, LOOKUP_ABSENT},
        {VAULT(BY_TOKEN, "{parameter: p, path: a, key: k, type: x}"), NULL, "type has to be", "", 0, LOOKUP_ABSENT},
        {"{hashiCorpVault: {address: 'vault:8200', authentication: token, credential: {token: a}, secrets: [" ONE "]}}",
         NULL, "address has to be", "", 0, LOOKUP_ABSENT},
        {"{hashiCorpVault: {address: 'http://u:p@vault', authentication: token, credential: {token: a}, secrets: [" ONE
         "]}}",
         NULL, "address has to be", "", 0, LOOKUP_ABSENT},
        {"{hashiCorpVault: {address: 'http://vault:8200', authentication: token, secrets: []}}", NULL,
         "secrets is missing", "spec.hashiCorpVault", 0, LOOKUP_ABSENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;

        scene_begin(&s);
        s.secret_body = rows[i].body;
        s.secret_status = rows[i].status;
        enum lookup found = scene_settle(&s, rows[i].spec);
        if (found != rows[i].found || !strstr(s.err.text, rows[i].says) || !strstr(s.err.where, rows[i].where))
            fail_msg("row %zu: %d, says \"%s\" at \"%s\"", i, found, s.err.text, s.err.where);
        assert_null(s.credential);
        scene_end(&s);
    }
}

/* What is refused or gone takes the value away; what does not answer does not. Each time who uses it is told. */
static void test_changes(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    s.told = 0;
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"two\"}}}";
    scene_pass(&s, 61 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "two");
    s.down = true;
    scene_pass(&s, 300 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    s.down = false;
    s.secret_body = NULL;
    scene_pass(&s, 70 * 1000);
    assert_int_equal(s.told, 2);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_ABSENT);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"three\"}}}";
    scene_pass(&s, 70 * 1000);
    assert_int_equal(s.told, 3);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "three");
    scene_end(&s);
}

/* A source refused what it was given: it is read again at once, and who uses it is told only if it is another. */
static void test_denied(void **state)
{
    struct scene s;
    int said;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    scene_pass(&s, 20 * 1000);
    s.told = 0;
    said = s.said_count;
    credential_denied(s.credential);
    scene_pass(&s, 1000);
    assert_int_equal(s.said_count, said + 1);
    assert_int_equal(s.told, 0);
    credential_denied(s.credential); /* it was read just now */
    scene_pass(&s, 1000);
    assert_int_equal(s.said_count, said + 1);
    scene_pass(&s, 20 * 1000);
    credential_denied(s.credential); /* that was to no avail just now: not so soon again */
    scene_pass(&s, 1000);
    assert_int_equal(s.said_count, said + 1);
    scene_pass(&s, 10 * 1000);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"two\"}}}";
    credential_denied(s.credential);
    scene_pass(&s, 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "two");
    scene_end(&s);
}

/* One login for all who sign in alike, one read for all keys of a path. */
static void test_shared(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\",\"l\":\"two\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE ", {parameter: q, path: /secret/data/a, key: l}, "
                                                          "{parameter: r, path: secret/data/b, key: k}")),
                     LOOKUP_FOUND);
    assert_int_equal(s.said_count, 3); /* the token, and two paths */
    assert_string_equal(scene_value(&s, "q"), "two");
    assert_int_equal(scene_kept(&s), 3);
    credential_unref(s.credential);
    s.credential = NULL;
    scene_pass(&s, 200 * 1000);
    assert_int_equal(scene_kept(&s), 0);
    scene_end(&s);
}

static void test_account(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    assert_int_equal(s.tokens_made, 1);
    assert_string_equal(s.said[0],
                        "POST /v1/auth/kubernetes/login - {\"jwt\":\"" ACCOUNT_TOKEN "1\",\"role\":\"weir\"}");
    assert_string_equal(s.said[1], "GET /v1/secret/data/a login-1 ");
    scene_pass(&s, 3000 * 1000); /* its life is 600 s: it was renewed, and the account's token was, too */
    assert_int_equal(s.logins, 1);
    assert_int_equal(s.tokens_made, 2);
    /* revoked: the next read is refused, logs in anew and reads once more */
    strcpy(s.token, "revoked");
    s.told = 0;
    scene_pass(&s, 62 * 1000);
    assert_int_equal(s.logins, 2);
    assert_string_equal(scene_last(&s), "GET /v1/secret/data/a login-2 ");
    assert_int_equal(s.told, 0);
    assert_int_equal(scene_resolve(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    credential_unref(s.credential);
    s.credential = NULL;
    scene_pass(&s, 300 * 1000);
    assert_int_equal(scene_kept(&s), 0);
    assert_string_equal(scene_last(&s), "POST /v1/auth/token/revoke-self login-2 {}"); /* and given back */
    scene_end(&s);
}

#define CREDS VAULT(BY_TOKEN, "{parameter: p, path: database/creds/r, key: password}")

static int count_said(const struct scene *s, const char *words)
{
    int count = 0;

    for (int i = 0; i < s->said_count && i < SAID_MAX; i++)
        count += strstr(s->said[i], words) != NULL;
    return count;
}

static void test_leases(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.lease_s = s.renew_s = 300;
    assert_int_equal(scene_settle(&s, CREDS), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "p1");
    scene_pass(&s, 3000 * 1000);
    assert_int_equal(s.leases, 1); /* renewed all the time */
    assert_string_equal(scene_last(&s),
                        "POST /v1/sys/leases/renew t0 {\"lease_id\":\"lease-1\",\"increment\":\"300\"}");
    s.renew_s = 60; /* its longest life comes near */
    s.told = 0;
    scene_pass(&s, 250 * 1000);
    assert_int_equal(s.leases, 2);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "p2");
    s.renew_s = 300;
    /* refused by whom it is for: another one, and this one goes back a while later */
    scene_pass(&s, 20 * 1000);
    credential_denied(s.credential);
    scene_pass(&s, 1000);
    assert_int_equal(s.leases, 3);
    assert_int_equal(count_said(&s, "lease-2"), 0); /* others may use it until they were told */
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
    scene_pass(&s, 160 * 1000);
    assert_string_equal(scene_last(&s), "POST /v1/sys/leases/revoke t0 {\"lease_id\":\"lease-2\"}");
    credential_unref(s.credential);
    s.credential = NULL;
    scene_pass(&s, 100 * 1000);
    assert_string_equal(scene_last(&s), "POST /v1/sys/leases/revoke t0 {\"lease_id\":\"lease-3\"}");
    scene_end(&s);
}

/* What is more than is kept goes back; the lease in use is not taken away with it. */
static void test_lease_too_large(void **state)
{
    enum { LARGE = 270 * 1024 };
    char *body = calloc(1, LARGE + 200);
    struct scene s;
    int begun;

    (void)state;
    begun = snprintf(body, 200, "{\"lease_id\":\"large\",\"lease_duration\":300,\"data\":{\"password\":\"");
    memset(body + begun, 'x', LARGE);
    strcpy(body + begun + LARGE, "\"}}");
    scene_begin(&s);
    s.lease_s = s.renew_s = 300;
    assert_int_equal(scene_settle(&s, CREDS), LOOKUP_FOUND);
    scene_pass(&s, 20 * 1000);
    s.secret_body = body;
    credential_denied(s.credential);
    scene_pass(&s, 10 * 1000);
    assert_in_range(count_said(&s, "/leases/revoke t0 {\"lease_id\":\"large\"}"), 1, 10);
    assert_int_equal(count_said(&s, "/leases/revoke"), count_said(&s, "\"large\""));
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "p1");
    s.secret_body = NULL;
    scene_pass(&s, 60 * 1000);
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "p2");
    assert_int_equal(count_said(&s, "\"lease-1\""), 0);
    scene_pass(&s, 160 * 1000);
    assert_int_equal(count_said(&s, "/leases/revoke t0 {\"lease_id\":\"lease-1\"}"), 1);
    free(body);
    scene_end(&s);
}

/* A lease that Vault does not answer for is good until it ends, and no longer. */
static void test_lease_ends(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.lease_s = s.renew_s = 300;
    assert_int_equal(scene_settle(&s, CREDS), LOOKUP_FOUND);
    s.down = true;
    s.told = 0;
    scene_pass(&s, 290 * 1000);
    assert_int_equal(s.told, 0);
    scene_pass(&s, 30 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_DENIED);
    assert_int_equal(s.err.kind, ERROR_UNREACHABLE);
    s.down = false;
    scene_pass(&s, 70 * 1000);
    assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
    scene_end(&s);
}

/* A source that refuses everything costs a lease now and then, not one every few seconds. */
static void test_denied_for_ever(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.lease_s = s.renew_s = 7200;
    assert_int_equal(scene_settle(&s, CREDS), LOOKUP_FOUND);
    for (int i = 0; i < 360; i++) {
        scene_pass(&s, 10 * 1000);
        if (s.told > 0)
            assert_int_equal(scene_resolve(&s, CREDS), LOOKUP_FOUND);
        s.told = 0;
        credential_denied(s.credential);
    }
    assert_in_range(s.leases, 5, 10);
    assert_int_equal(count_said(&s, "/leases/revoke"), s.leases - 2); /* but this one, and the one before */
    scene_end(&s);
}

/* At the end what was lent goes back, also what nobody had time to give up. */
static void on_parted(void *arg)
{
    ++*(int *)arg;
}

static void test_parting(void **state)
{
    struct scene s;
    int parted = 0, said;

    (void)state;
    for (int down = 0; down < 2; down++) {
        scene_begin(&s);
        s.lease_s = s.renew_s = 300;
        assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, "{parameter: p, path: database/creds/r, key: password}")),
                         LOOKUP_FOUND);
        s.silent = down;
        credential_store_part(s.store, on_parted, &parted);
        assert_int_equal(parted, down);
        scene_pass(&s, 4000);
        assert_int_equal(parted, down + 1);
        assert_int_equal(count_said(&s, "POST /v1/sys/leases/revoke login-1 {\"lease_id\":\"lease-1\"}"), 1);
        assert_int_equal(count_said(&s, "POST /v1/auth/token/revoke-self login-1"), 1);
        said = s.said_count; /* and nothing new is lent */
        assert_int_equal(scene_resolve(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_PENDING);
        scene_pass(&s, 900 * 1000);
        assert_int_equal(s.said_count, said);
        scene_end(&s);
    }
}

/* A key that is not in a secret comes later. */
static void test_key_comes(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"other\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_ABSENT);
    scene_pass(&s, 400 * 1000);
    assert_int_equal(scene_kept(&s), 2);
    s.told = 0;
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"two\"}}}";
    scene_pass(&s, 61 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    /* who does not ask any more is forgotten, as ever */
    s.secret_body = "{\"data\":{\"data\":{\"other\":\"one\"}}}";
    scene_pass(&s, 61 * 1000);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_ABSENT);
    scene_pass(&s, 3600 * 1000);
    assert_int_equal(scene_kept(&s), 0);
    scene_end(&s);
}

/* A login that is refused and cannot be made anew, for Vault does not answer: who waits for it hears so, and uses what it has no longer. */
static void test_login_is_lost(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    scene_pass(&s, 20 * 1000);
    strcpy(s.token, "revoked");
    s.login_status = 503;
    s.told = 0;
    scene_pass(&s, 100 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_DENIED);
    s.login_status = 0;
    s.told = 0;
    scene_pass(&s, 70 * 1000);
    assert_true(s.told > 0);
    assert_int_equal(scene_resolve(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    scene_end(&s);
}

/* A read is refused while its login is being renewed: who waits for a new one hears that it stays. */
static void test_refused_in_renewal(void **state)
{
    struct scene s;
    int reads;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    s.renewal_takes_ms = 2500;
    assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    scene_pass(&s, 200 * 1000);
    credential_denied(s.credential); /* so that the last read is a while ago when the login is renewed */
    for (int i = 0; i < 4000 && count_said(&s, "renew-self") == 0; i++)
        scene_pass(&s, 100);
    reads = count_said(&s, "GET /v1/secret/data/a");
    s.refuses_reads = true;
    credential_denied(s.credential);
    scene_pass(&s, 500);
    assert_int_equal(count_said(&s, "GET /v1/secret/data/a"), reads + 1);
    s.refuses_reads = false;
    scene_pass(&s, 3000);
    assert_int_equal(count_said(&s, "renew-self"), 1);
    assert_int_equal(count_said(&s, "GET /v1/secret/data/a"), reads + 2);
    assert_int_equal(scene_resolve(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    scene_pass(&s, 70 * 1000);
    assert_int_equal(count_said(&s, "GET /v1/secret/data/a"), reads + 3);
    scene_end(&s);
}

/* Bytes are bounded, not only numbers: of one secret, and of what a namespace has together. */
static void test_bytes(void **state)
{
    enum { LARGE = 250 * 1024 };
    char *body = calloc(1, 300 * 1024), spec[400];
    enum lookup found = LOOKUP_FOUND;
    struct scene s;
    int secrets = 0;

    (void)state;
    scene_begin(&s);
    s.secret_body = body;
    for (int i = 0; i < 2; i++) {
        int length = i == 0 ? 270 * 1024 : LARGE, begun = snprintf(body, 100, "{\"data\":{\"k\":\"");

        memset(body + begun, 'x', (size_t)length);
        strcpy(body + begun + length, "\"}}");
        if (i == 0) {
            assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_DENIED);
            assert_non_null(strstr(s.err.text, "CREDENTIAL_KEPT_MAX_BYTES"));
        }
    }
    while (found == LOOKUP_FOUND && secrets < 100) {
        snprintf(spec, sizeof(spec), VAULT(BY_TOKEN, "{parameter: p, path: kv/a%d, key: k}"), secrets++);
        found = scene_settle(&s, spec);
    }
    assert_int_equal(secrets, 65); /* 64 fit, beside the one that was too large at first */
    assert_int_equal(found, LOOKUP_DENIED);
    assert_non_null(strstr(s.err.text, "namespace shop takes more than 16 MiB (CREDENTIAL_NAMESPACE_MAX_BYTES)"));
    scene_pass(&s, 200 * 1000); /* they are given up, and there is room again */
    assert_int_equal(scene_settle(&s, spec), LOOKUP_FOUND);
    free(body);
    scene_end(&s);
}

/* However short the life that Vault gives. */
static void test_short_life(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.lease_s = s.renew_s = 1;
    assert_int_equal(scene_settle(&s, CREDS), LOOKUP_FOUND);
    scene_pass(&s, 45 * 1000);
    assert_in_range(s.said_count, 2, 25); /* a read, and the return of what it replaces, every five seconds */
    scene_end(&s);
}

static void test_certificate(void **state)
{
    struct scene s;
    char body[200];

    (void)state;
    scene_begin(&s);
    snprintf(body, sizeof(body), "{\"data\":{\"certificate\":\"c\",\"private_key\":\"k\",\"expiration\":%lld}}",
             (long long)(START_MS / 1000 + 3600));
    s.secret_body = body;
    assert_int_equal(
        scene_settle(&s, VAULT(BY_TOKEN, "{parameter: cert, path: pki/issue/r, key: certificate, type: pki, pkiData: "
                                         "{commonName: weir, ttl: 1h}}, {parameter: key, path: pki/issue/r, key: "
                                         "private_key, type: pki, pkiData: {commonName: weir, ttl: 1h}}")),
        LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "cert"), "c");
    assert_string_equal(scene_value(&s, "key"), "k");
    assert_string_equal(scene_last(&s), "POST /v1/pki/issue/r t0 {\"common_name\":\"weir\",\"ttl\":\"1h\"}");
    assert_int_equal(s.said_count, 2);
    scene_pass(&s, 2000 * 1000);
    assert_int_equal(s.said_count, 2);
    scene_pass(&s, 500 * 1000);
    assert_int_equal(s.said_count, 3); /* two thirds of its life are over */
    scene_end(&s);
}

/* What is Weir's own is not for whoever writes a TriggerAuthentication (failure-modes A3). */
static void test_own(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    setenv("VAULT_TOKEN", "t0", 1);
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_ABSENT);
    assert_non_null(strstr(s.err.text, "$VAULT_TOKEN is only for a ClusterTriggerAuthentication"));
    assert_int_equal(scene_settle(&s, VAULT("authentication: kubernetes, mount: kubernetes, role: r", ONE)),
                     LOOKUP_ABSENT);
    assert_non_null(strstr(s.err.text, "/token is only for a ClusterTriggerAuthentication"));
    setenv("VAULT_ADDR", "http://VAULT:8200/", 1); /* which is no word about who may */
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_ABSENT);
    assert_int_equal(scene_settle(&s, VAULT("authentication: kubernetes, mount: kubernetes, role: r", ONE)),
                     LOOKUP_ABSENT);
    assert_int_equal(s.said_count, 0);
    credential_store_configure(s.store, &(struct credential_settings){.vault_namespaces = "other,shop"});
    setenv("VAULT_ADDR", "http://vault:8201", 1);
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_ABSENT);
    setenv("VAULT_ADDR", "http://vault:8200.evil", 1);
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_ABSENT);
    assert_int_equal(s.said_count, 0);
    setenv("VAULT_ADDR", "http://VAULT:8200/", 1);
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_FOUND);
    unsetenv("VAULT_ADDR");
    s.cluster_kind = true;
    assert_int_equal(scene_settle(&s, VAULT("authentication: token", ONE)), LOOKUP_FOUND);
    /* a file of the machine is nobody's to name, whoever writes it */
    assert_int_equal(scene_settle(&s, VAULT("authentication: kubernetes, mount: k, role: r, credential: "
                                            "{serviceAccount: /etc/passwd}",
                                            ONE)),
                     LOOKUP_DENIED);
    assert_non_null(strstr(s.err.text, "/etc/passwd is neither"));
    scene_end(&s);
    unsetenv("VAULT_TOKEN");
}

/* Where a cluster kind may be anybody's, too: its own account's token goes where flags say. */
static void test_own_where_named(void **state)
{
    static const char spec[] = VAULT("authentication: kubernetes, mount: kubernetes, role: r", ONE);
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.cluster_kind = true;
    credential_store_configure(s.store, &(struct credential_settings){.own_where_named = true});
    assert_int_equal(scene_settle(&s, spec), LOOKUP_ABSENT);
    assert_non_null(strstr(s.err.text, "to the Vault of $VAULT_ADDR alone"));
    setenv("VAULT_ADDR", "http://vault:8200", 1);
    assert_int_equal(scene_settle(&s, spec), LOOKUP_ABSENT);
    assert_non_null(strstr(s.err.text, "to the Vault of $VAULT_ADDR alone"));
    credential_store_configure(s.store,
                               &(struct credential_settings){.own_where_named = true, .vault_namespaces = "shop"});
    scene_settle(&s, spec); /* there is no such file here */
    assert_null(strstr(s.err.text, "alone"));
    assert_int_equal(s.said_count, 0);
    unsetenv("VAULT_ADDR");
    scene_end(&s);
}

/* No credential follows to another host. */
static void test_redirect(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.forwards = true;
    assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_DENIED);
    assert_non_null(strstr(s.err.text, "name the active node"));
    assert_int_equal(s.said_count, 1);
    scene_end(&s);
}

/* Who waits for what cannot be had is told when it can, however late; who does not ask any more is forgotten. */
static void test_patience(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.down = true;
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_DENIED);
    assert_int_equal(s.err.kind, ERROR_UNREACHABLE);
    for (int i = 0; i < 5; i++) {
        s.told = 0;
        scene_pass(&s, 700 * 1000);
        assert_true(s.told > 0); /* asked whether it is still wanted */
        assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_DENIED);
    }
    s.down = false;
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    s.told = 0;
    scene_pass(&s, 70 * 1000);
    assert_true(s.told > 0);
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    credential_unref(s.credential);
    s.credential = NULL;
    s.down = true;
    scene_pass(&s, 3600 * 1000);
    assert_int_equal(scene_kept(&s), 0);
    scene_end(&s);
}

/* One namespace may ask for much, but not for all: what it asks for beyond a bound is refused, others go on. */
static void test_bound(void **state)
{
    struct scene s;
    enum lookup found = LOOKUP_PENDING;
    int asked = 0;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    while (found == LOOKUP_PENDING && asked < 4000) {
        char spec[400];

        snprintf(spec, sizeof(spec), VAULT(BY_TOKEN, "{parameter: p, path: secret/data/a%d, key: k}"), asked++);
        found = scene_resolve(&s, spec);
    }
    assert_int_equal(asked, 2500); /* the login is one of them */
    assert_int_equal(s.err.kind, ERROR_LIMIT);
    assert_non_null(strstr(s.err.text, "namespace shop (CREDENTIAL_FETCHED_IN_NAMESPACE_MAX)"));
    s.cluster_kind = true; /* nobody's */
    assert_int_equal(scene_resolve(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_PENDING);
    s.cluster_kind = false;
    scene_pass(&s, 200 * 1000);
    assert_int_equal(scene_settle(&s, VAULT(BY_TOKEN, ONE)), LOOKUP_FOUND);
    scene_end(&s);
}

/* Credentials may be there longer than the store they come from. */
static void test_outlives(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    s.secret_body = "{\"data\":{\"data\":{\"k\":\"one\"}}}";
    assert_int_equal(scene_settle(&s, VAULT(BY_ACCOUNT, ONE)), LOOKUP_FOUND);
    credential_store_free(s.store);
    s.store = NULL;
    assert_string_equal(scene_value(&s, "p"), "one");
    scene_end(&s);
}

/* Whatever Vault answers, at whatever step: an outcome, and no more than our bounds. */
static void say_anything(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    const struct scene *s = arg;

    (void)request;
    reply->body = s->secret_body;
    reply->length = s->secret_body ? strlen(s->secret_body) : 0;
}

static char *nested(size_t depth)
{
    char *text = calloc(1, 2 * depth + 1);

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return text;
}

static void test_hostile(void **state)
{
    char *deep = nested(5000), *large = calloc(1, 2 * 1024 * 1024);
    const char *const bodies[] = {
        "",
        "null",
        "[]",
        "5",
        "<html>",
        "{\"data\":[]}",
        "{\"data\":{\"data\":[1,{},null]}}",
        "{\"data\":{\"data\":{}}}",
        "{\"data\":{\"k\":{\"a\":1},\"ttl\":-5}}",
        "{\"data\":{\"k\":null},\"lease_id\":5,\"lease_duration\":1e400}",
        "{\"auth\":{\"client_token\":\"\",\"lease_duration\":-1}}",
        "{\"auth\":{\"client_token\":\"x\",\"lease_duration\":9223372036854775807,\"renewable\":1}}",
        "{\"errors\":[{\"a\":\"\\u0000\"}]}",
        "{\"data\":{\"\xff\":\"\xc3\"}}",
        deep,
        large};

    (void)state;
    memset(large, 'x', 2 * 1024 * 1024 - 1);
    for (size_t i = 0; i < 2 * sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct scene s;

        scene_begin(&s);
        s.secret_body = bodies[i / 2];
        virtual_answer(s.world, "http://vault:8200/", say_anything, &s);
        enum lookup found = scene_settle(&s, i % 2 ? VAULT(BY_TOKEN, ONE) : VAULT(BY_ACCOUNT, ONE));
        if (found == LOOKUP_FOUND || found == LOOKUP_PENDING || s.err.text[0] == '\0')
            fail_msg("row %zu: %d, \"%s\"", i, found, s.err.text);
        assert_true(s.secret_body != large || strstr(s.err.text, "(CREDENTIAL_ANSWER_MAX_BYTES)"));
        scene_end(&s);
    }
    free(deep);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_lease_ends),
        cmocka_unit_test(test_certificate),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_outlives),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_parting),
        cmocka_unit_test(test_key_comes),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_login_is_lost),
        cmocka_unit_test(test_own_where_named),
        cmocka_unit_test(test_lease_too_large),
        cmocka_unit_test(test_refused_in_renewal),
        cmocka_unit_test(test_short_life),
        cmocka_unit_test(test_denied_for_ever),
        cmocka_unit_test(test_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sources of a TriggerAuthentication against a platform that knows a few things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"

static enum lookup answer(const char *value, struct secret **out)
{
    if (strcmp(value, "pending") == 0)
        return LOOKUP_PENDING;
    if (strcmp(value, "denied") == 0)
        return LOOKUP_DENIED;
    *out = secret_new(value, strlen(value));
    return LOOKUP_FOUND;
}

static enum lookup get_env(struct platform *p, const struct target_key *key, const char *container, const char *name,
                           struct secret **out)
{
    char value[100];

    (void)p;
    if (strcmp(name, "GONE") == 0)
        return LOOKUP_ABSENT;
    snprintf(value, sizeof(value), "%s:%s:%s", key->name, container ? container : "-", name);
    return answer(value, out);
}

/* A key answers with the namespace, the name and itself. */
static enum lookup get_data(const char *ns, const char *name, const char *key, struct secret **out)
{
    char value[100];

    if (strcmp(key, "gone") == 0)
        return LOOKUP_ABSENT;
    if (strcmp(key, "pending") == 0 || strcmp(key, "denied") == 0)
        return answer(key, out);
    snprintf(value, sizeof(value), "%s/%s/%s", ns, name, key);
    return answer(value, out);
}

static enum lookup get_secret(struct platform *p, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    (void)p;
    return get_data(ns, name, key, out);
}

static enum lookup get_config(struct platform *p, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    char text[50];

    (void)p;
    snprintf(text, sizeof(text), "config-%s", name);
    return get_data(ns, text, key, out);
}

static const struct platform_ops ops = {
    .name = "test", .target_env = get_env, .secret_get = get_secret, .config_get = get_config};

/* wanted: what parameter p then is; NULL: says must stand in the error, with its place. */
static const struct {
    const char *spec;
    enum lookup found;
    const char *wanted, *says, *where;
} rows[] = {
    {"{}", LOOKUP_FOUND},
    {"{podIdentity: {provider: none}}", LOOKUP_FOUND},
    {"{secretTargetRef: [{parameter: p, name: s, key: k}]}", LOOKUP_FOUND, "shop/s/k"},
    {"{configMapTargetRef: [{parameter: p, name: m, key: k}]}", LOOKUP_FOUND, "shop/config-m/k"},
    {"{env: [{parameter: p, name: VAR}]}", LOOKUP_FOUND, "web:-:VAR"},
    {"{env: [{parameter: p, name: VAR, containerName: side}]}", LOOKUP_FOUND, "web:side:VAR"},
    /* the later source wins, in KEDA's order, not in the file's */
    {"{secretTargetRef: [{parameter: p, name: s, key: k}], env: [{parameter: p, name: VAR}]}", LOOKUP_FOUND,
     "shop/s/k"},
    {"{configMapTargetRef: [{parameter: p, name: m, key: k}], env: [{parameter: p, name: VAR}]}", LOOKUP_FOUND,
     "shop/config-m/k"},
    {"{secretTargetRef: [{parameter: p, name: s, key: a}, {parameter: p, name: s, key: b}]}", LOOKUP_FOUND, "shop/s/b"},
    {"{secretTargetRef: [{parameter: p, name: s, key: gone}]}", LOOKUP_ABSENT, NULL, "the key gone of Secret shop/s",
     "spec.secretTargetRef[0]"},
    {"{configMapTargetRef: [{parameter: p, name: s, key: k}, {parameter: q, name: s, key: gone}]}", LOOKUP_ABSENT, NULL,
     "ConfigMap shop/s", "spec.configMapTargetRef[1]"},
    {"{env: [{parameter: p, name: GONE}]}", LOOKUP_ABSENT, NULL, "the variable GONE", "spec.env[0]"},
    {"{secretTargetRef: [{parameter: p, name: s, key: denied}]}", LOOKUP_DENIED, NULL,
     "a Role in namespace shop the rule {apiGroups: [\"\"], resources: [secrets], resourceNames: [s],",
     "spec.secretTargetRef[0]"},
    {"{secretTargetRef: [{parameter: p, name: s, key: pending}]}", LOOKUP_PENDING},
    {"{secretTargetRef: [{parameter: p, name: s}]}", LOOKUP_ABSENT, NULL, "key", "spec.secretTargetRef[0]"},
    {"{azureKeyVault: {vaultUri: a}}", LOOKUP_DENIED, NULL, "azureKeyVault is not built in", "spec.azureKeyVault"},
    {"{gcpSecretManager: {secrets: []}}", LOOKUP_DENIED, NULL, "gcpSecretManager", "spec.gcpSecretManager"},
    {"{awsSecretManager: {secrets: []}, secretTargetRef: [{parameter: p, name: s, key: k}]}", LOOKUP_DENIED, NULL,
     "awsSecretManager", "spec.awsSecretManager"},
    {"{boundServiceAccountToken: [{parameter: p, serviceAccountName: a}]}", LOOKUP_ABSENT, NULL,
     "there are no service accounts here", "spec.boundServiceAccountToken[0]"},
    {"{hashiCorpVault: {address: 'http://v', authentication: token, credential: {token: t}, secrets: [{parameter: p, "
     "path: s, "
     "key: k}]}}",
     LOOKUP_ABSENT, NULL, "Vault is asked where Weir runs", "spec.hashiCorpVault.secrets[0]"},
    {"{filePath: a}", LOOKUP_ABSENT, NULL, "only for a ClusterTriggerAuthentication", "spec.filePath"},
    {"{oauth2: {clientId: a}}", LOOKUP_ABSENT, NULL, "clientId and tokenUrl", "spec.oauth2"},
    {"{oauth2: {clientId: p, tokenUrl: 'https://t', scopes: [a, b], tokenUrlParams: {x: 'a b', z: '&'}, clientSecret: "
     "{valueFrom: "
     "{secretKeyRef: {name: s, key: k}}}}, secretTargetRef: [{parameter: p, name: s, key: k}]}",
     LOOKUP_FOUND, "shop/s/k"},
    {"{oauth2: {clientId: p, tokenUrl: 'https://t', clientSecret: {valueFrom: {secretKeyRef: {name: s, key: gone}}}}}",
     LOOKUP_ABSENT, NULL, "the key gone of Secret shop/s", "spec.oauth2.clientSecret.valueFrom.secretKeyRef"},
    {"{podIdentity: {provider: aws}}", LOOKUP_DENIED, NULL, "pod identity of aws", "spec.podIdentity.provider"},
};

static void test_sources(void **state)
{
    struct platform platform = {.ops = &ops};
    struct target_key target = {.ns = "shop", .api_version = "apps/v1", .kind = "Deployment", .name = "web"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct credential *credential = NULL;
        struct tree *docs;
        struct error err = {.kind = ERROR_NONE};

        assert_true(tree_read_yaml("t", rows[i].spec, strlen(rows[i].spec), arena, &docs, &err));
        enum lookup found = credential_resolve(
            &platform, &(struct credential_request){.spec = tree_index(docs, 0), .ns = "shop", .target = &target},
            &credential, &err);
        if (found != rows[i].found)
            fail_msg("%s: %d instead of %d", rows[i].spec, found, rows[i].found);
        assert_true((found == LOOKUP_FOUND) == (credential != NULL));
        if (rows[i].wanted)
            assert_string_equal(secret_reveal(credential_get(credential, "p")), rows[i].wanted);
        if (rows[i].says && (!strstr(err.text, rows[i].says) || strcmp(err.where, rows[i].where) != 0))
            fail_msg("%s: says \"%s\" at \"%s\"", rows[i].spec, err.text, err.where);
        credential_unref(credential);
        arena_free(arena);
    }
}

/* What a trigger with authModes: oauth asks for a token with. */
static void test_oauth2(void **state)
{
    static const char spec[] =
        "{oauth2: {type: clientCredentials, clientId: me, tokenUrl: 'https://t', scopes: [a, b], "
        "tokenUrlParams: {x: 'a b', z: '&'}, clientSecret: {valueFrom: {secretKeyRef: {name: s, key: k}}}}}";
    static const struct {
        const char *name, *value;
    } wanted[] = {{"oauthTokenURI", "https://t"},
                  {"clientID", "me"},
                  {"clientSecret", "shop/s/k"},
                  {"scopes", "a,b"},
                  {"endpointParams", "x=a+b&z=%26"}};
    struct platform platform = {.ops = &ops};
    struct arena *arena = arena_new(ARENA_USUAL);
    struct credential *credential = NULL;
    struct tree *docs;
    struct error err;

    (void)state;
    assert_true(tree_read_yaml("t", spec, strlen(spec), arena, &docs, &err));
    assert_int_equal(credential_resolve(&platform,
                                        &(struct credential_request){.spec = tree_index(docs, 0), .ns = "shop"},
                                        &credential, &err),
                     LOOKUP_FOUND);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_string_equal(secret_reveal(credential_get(credential, wanted[i].name)), wanted[i].value);
    assert_int_equal(credential->param_count, 5);
    credential_unref(credential);
    arena_free(arena);
}

static void test_set(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct credential *credential, *again;
    struct tree *docs;
    struct error err;

    (void)state;
    assert_true(tree_read_yaml("t", "{a: x, b: ''}", 13, arena, &docs, &err));
    credential = credential_from_tree(tree_index(docs, 0));
    again = credential_ref(credential);
    credential_unref(credential);
    assert_string_equal(secret_reveal(credential_get(again, "a")), "x");
    assert_int_equal(secret_length(credential_get(again, "b")), 0);
    assert_null(credential_get(again, "c"));
    assert_null(credential_get(NULL, "a"));
    credential_unref(again);
    credential_unref(NULL);
    arena_free(arena);
}

static void test_bound(void **state)
{
    struct platform platform = {.ops = &ops};
    struct arena *arena = arena_new(ARENA_USUAL);
    struct credential *credential = NULL;
    struct tree *docs;
    struct error err;
    struct text yaml;

    (void)state;
    text_init(&yaml, 100 * 1000);
    text_add(&yaml, "secretTargetRef:\n");
    for (int i = 0; i < 257; i++)
        text_printf(&yaml, "- {parameter: p%d, name: s, key: k}\n", i);
    assert_true(tree_read_yaml("t", yaml.bytes, yaml.length, arena, &docs, &err));
    assert_int_equal(credential_resolve(&platform,
                                        &(struct credential_request){.spec = tree_index(docs, 0), .ns = "shop"},
                                        &credential, &err),
                     LOOKUP_DENIED);
    assert_int_equal(err.kind, ERROR_LIMIT);
    text_done(&yaml);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sources), cmocka_unit_test(test_oauth2),
                                       cmocka_unit_test(test_set), cmocka_unit_test(test_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which hosts a credential may be sent to, and who may use it: annotations of its authentication (failure-modes A3). */
#include "store.h"

static void test_hosts(void **state)
{
    static const struct {
        const char *hosts, *place;
        bool may;
    } rows[] = {
        {NULL, "evil:80", true},
        {"", "db:5432", false},
        {"db", "db:5432", true},
        {"db", "DB.:5432", true},
        {"db.", "db:5432", true},
        {"db", "db2:5432", false},
        {"db", "db.evil:5432", false},
        {"db:5432", "db:5432", true},
        {"db:5432", "db:5433", false},
        {"db:5432", "db", false},
        {"a,  db:5432\n, c", "db:5432", true},
        {"*.example.com", "a.example.com:443", true},
        {"*.example.com", "a.b.EXAMPLE.com:443", true},
        {"*.example.com", "example.com:443", false},
        {"*.example.com", ".example.com:443", false},
        {"*.example.com", "evilexample.com:443", false},
        {"*.example.com:443", "a.example.com:444", false},
        {"10.0.0.7", "10.0.0.7:80", true},
        {"10.0.0.7", "10.0.0.70:80", false},
        {"10.0.0.7", "0xa.0.0.7:80", false},
        {"[fd00::7]:9090", "[fd00::7]:9090", true},
        {"[fd00::7]", "fd00::7:9090", true},
        {"[fd00::7]:9090", "[fd00::7]:9091", false},
        {"*.example.com", "x;host=evil;a=.example.com:3306", false},
        {"*.example.com", "plaintext://evil/.example.com:9092", false},
        {"*.example.com", "/tmp/x.example.com", false},
        {"*.example.com", "evil\\a.example.com:1433", false},
        {"*.example.com", "a_b-c.example.com.:443", true},
        {"db", "", false},
        {"db", "/var/run/db", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {.kind = ERROR_NONE};

        if (credential_may_go(rows[i].hosts, rows[i].place, &err) != rows[i].may)
            fail_msg("%s: %s", rows[i].hosts, rows[i].place);
        assert_true(rows[i].may || (err.kind == ERROR_INVALID && strstr(err.text, CREDENTIAL_HOSTS_ANNOTATION)));
    }
}

static enum lookup resolve_with(struct scene *s, const char *annotations, const char *ns)
{
    static const char spec[] = "{secretTargetRef: [{parameter: p, name: s, key: k}]}";
    struct tree *docs, *notes;

    credential_unref(s->credential);
    s->credential = NULL;
    assert_true(tree_read_yaml("t", spec, strlen(spec), s->arena, &docs, NULL));
    assert_true(tree_read_yaml("t", annotations, strlen(annotations), s->arena, &notes, NULL));
    return credential_store_resolve(s->store,
                                    &(struct credential_request){.spec = tree_index(docs, 0),
                                                                 .annotations = tree_index(notes, 0),
                                                                 .cluster_kind = true,
                                                                 .ns = "keda",
                                                                 .object_ns = ns},
                                    &s->credential, &s->err);
}

static void test_annotations(void **state)
{
    static const struct {
        const char *annotations, *ns, *says;
    } rows[] = {
        {"{other: x}", "shop", NULL},
        {"{weir.dev/allowed-hosts: '*.x, db:1, [::1]:2, 10.0.0.1'}", "shop", NULL},
        {"{weir.dev/allowed-hosts: '*'}", "shop", "'*' is no host"},
        {"{weir.dev/allowed-hosts: 'https://db'}", "shop", "'https://db' is no host"},
        {"{weir.dev/allowed-hosts: 'db:'}", "shop", "'db:' is no host"},
        {"{weir.dev/allowed-hosts: 'db:70000'}", "shop", "'db:70000' is no host"},
        {"{weir.dev/allowed-hosts: 'a*.b'}", "shop", "'a*.b' is no host"},
        {"{weir.dev/allowed-hosts: 'fd00::7'}", "shop", "'fd00::7' is no host"},
        {"{weir.dev/allowed-namespaces: 'a, shop'}", "shop", NULL},
        {"{weir.dev/allowed-namespaces: 'sh*'}", "shop", NULL},
        {"{weir.dev/allowed-namespaces: '*'}", "shop", NULL},
        {"{weir.dev/allowed-namespaces: 'shop'}", "shop2", "it is not for namespace shop2"},
        {"{weir.dev/allowed-namespaces: 'shop2'}", "shop", "it is not for namespace shop"},
        {"{weir.dev/allowed-namespaces: ''}", "shop", "it is not for namespace shop"},
        {"{weir.dev/allowed-namespaces: 'shopp*'}", "shop", "it is not for namespace shop"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;

        scene_begin(&s);
        enum lookup found = resolve_with(&s, rows[i].annotations, rows[i].ns);
        if ((found == LOOKUP_FOUND) != !rows[i].says || (rows[i].says && !strstr(s.err.text, rows[i].says)))
            fail_msg("%s: %d, says \"%s\"", rows[i].annotations, found, s.err.text);
        assert_true((s.credential != NULL) == !rows[i].says);
        scene_end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_annotations)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

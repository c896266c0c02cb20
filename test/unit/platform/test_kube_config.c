/* Where the API server is and who we are: kubeconfigs, their files that are replaced, credential plugins. */
#include <sys/stat.h>

#include "base/file.h"
#include "base/time.h"
#include "kube_world.h"

static char folder[64];

static void write_file(const char *name, const char *bytes)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, strlen(bytes), file), strlen(bytes));
    fclose(file);
    chmod(path, 0700);
}

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/weir-config-XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_file("ca.pem", "CA\n");
    write_file("empty", "  \n");
    write_file("token", "from-file\n");
    return set_up(state);
}

static int remove_folder(void **state)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    return tear_down(state);
}

static bool load(const char *yaml, struct kube_config **out, struct error *err)
{
    *out = NULL;
    write_file("config", yaml);
    return kube_config_load(&(struct kube_config_options){.path = path_of("config")}, out, err);
}

#define CONTEXT "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
#define USER    "users: [{name: u, user: {}}]\n"
#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://h:6443/'}}]\n"

static void good_ones(void **state)
{
    static const struct {
        const char *yaml, *server, *token, *ca;
        bool insecure;
    } rows[] = {
        {CLUSTER USER CONTEXT, "https://h:6443", NULL, NULL, false},
        {CLUSTER "users: [{name: u, user: {token: t}}]\n" CONTEXT, "https://h:6443", "t", NULL, false},
        {CLUSTER "users: [{name: u, user: {token: t, tokenFile: token}}]\n" CONTEXT, "https://h:6443", "from-file",
         NULL, false},
        {"clusters: [{name: c, cluster: {server: 'https://h/k8s/clusters/c-1', certificate-authority: ca.pem}}]\n" USER
             CONTEXT,
         "https://h/k8s/clusters/c-1", NULL, "CA", false},
        {"clusters: [{name: c, cluster: {server: 'h:6443', certificate-authority-data: Q0EyCg==}}]\n" USER CONTEXT,
         "https://h:6443", NULL, "CA2\n", false},
        {"clusters: [{name: c, cluster: {server: 'h:8080'}}]\n" USER CONTEXT, "http://h:8080", NULL, NULL, false},
        {"clusters: [{name: c, cluster: {server: 'https://h', insecure-skip-tls-verify: true}}]\n" USER CONTEXT,
         "https://h", NULL, NULL, true},
        {"{\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://"
         "h\"}}],\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":"
         "\"c\"}}],\"current-context\":\"x\"}",
         "https://h", NULL, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kube_config *config;
        struct kube_login login;
        struct error err = {0};

        if (!load(rows[i].yaml, &config, &err))
            fail_msg("row %zu: %s %s", i, err.where, err.text);
        assert_string_equal(kube_config_server(config), rows[i].server);
        assert_string_equal(kube_config_namespace(config), "default");
        kube_config_attach(config, virtual_loop(world), virtual_transport(world), NULL, NULL);
        assert_int_equal(kube_config_login(config, &login, &err), KUBE_LOGIN_READY);
        assert_true(string_equal(secret_reveal(login.token), rows[i].token));
        if (login.tls) {
            assert_true(string_equal(login.tls->ca_pem, rows[i].ca));
            assert_int_equal(login.tls->insecure, rows[i].insecure);
        }
        kube_config_free(config);
    }
}

static void bad_ones(void **state)
{
    static const struct {
        const char *yaml, *words;
    } rows[] = {
        {"- a\n", "not a kubeconfig"},
        {"a: [", "config:"},
        {"a: b\n", "no current-context"},
        {"current-context: z\n" CLUSTER, "no context \"z\""},
        {USER CONTEXT, "names the cluster \"c\""},
        {CLUSTER CONTEXT, "names the user \"u\""},
        {"clusters: [{name: c, cluster: {}}]\n" USER CONTEXT, "clusters[c] has no server"},
        {"clusters: [{name: c, cluster: {server: 'ftp://h'}}]\n" USER CONTEXT, "give a URL"},
        {"clusters: [{name: c, cluster: {server: 'https://u:secret@h?x'}}]\n" USER CONTEXT,
         "clusters[c].server has a user name in it; leave"},
        {"clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: nope.pem}}]\n" USER CONTEXT,
         "nope.pem"},
        {"clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: empty}}]\n" USER CONTEXT,
         "is empty"},
        {"clusters: [{name: c, cluster: {server: 'https://h', certificate-authority-data: '***'}}]\n" USER CONTEXT,
         "certificate-authority-data is not base64"},
        {"clusters: [{name: c, cluster: {server: 'https://h', insecure-skip-tls-verify: true, certificate-authority: "
         "ca.pem}}]\n" USER CONTEXT,
         "remove one"},
        {"clusters: [{name: c, cluster: {server: 'https://h', proxy-url: 'ftp://u:secret@p'}}]\n" USER CONTEXT,
         "clusters[c].proxy-url is not the URL of a proxy; give one"},
        {"clusters: [{name: c, cluster: {server: 'https://h', proxy-url: 'p:3128'}}]\n" USER CONTEXT, "proxy-url"},
        {CLUSTER "users: [{name: u, user: {username: a, password: b}}]\n" CONTEXT, "1.19"},
        {CLUSTER "users: [{name: u, user: {auth-provider: {name: gcp}}}]\n" CONTEXT, "1.26"},
        {CLUSTER "users: [{name: u, user: {client-certificate-data: Q0EyCg==}}]\n" CONTEXT, "no client-key"},
        {CLUSTER "users: [{name: u, user: {tokenFile: nope}}]\n" CONTEXT, "tokenFile"},
        {CLUSTER "users: [{name: u, user: {as-groups: [g]}}]\n" CONTEXT, "add \"as\""},
        {CLUSTER
         "users: [{name: u, user: {exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}}]\n" CONTEXT,
         "v1beta1"},
        {CLUSTER "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1}}}]\n" CONTEXT,
         "no command"},
        {CLUSTER "users: [{name: u, user: {exec: {command: x, interactiveMode: Always, apiVersion: "
                 "client.authentication.k8s.io/v1}}}]\n" CONTEXT,
         "nobody is there to ask"},
        {CLUSTER "users: [{name: u, user: {token: t, exec: {command: x, apiVersion: "
                 "client.authentication.k8s.io/v1}}}]\n" CONTEXT,
         "beside a token"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kube_config *config;
        struct error err = {0};

        if (load(rows[i].yaml, &config, &err))
            fail_msg("row %zu was taken", i);
        if (!strstr(err.text, rows[i].words) && !strstr(err.where, rows[i].words))
            fail_msg("row %zu: [%s] %s", i, err.where, err.text);
    }
}

static void several_files_are_one(void **state)
{
    struct kube_config *config;
    struct error err = {0};
    char paths[512];

    (void)state;
    write_file("one", "current-context: x\ncontexts: [{name: x, context: {cluster: c, namespace: shop}}]\n");
    write_file(
        "two",
        "current-context: y\nclusters: [{name: c, cluster: {server: 'https://two', certificate-authority: ca.pem}}]\n");
    snprintf(paths, sizeof paths, "%s/one:%s/not-there:%s/two", folder, folder, folder);
    setenv("KUBECONFIG", paths, 1);
    assert_true(kube_config_load(&(struct kube_config_options){0}, &config, &err));
    assert_string_equal(kube_config_server(config), "https://two");
    assert_string_equal(kube_config_namespace(config), "shop");
    kube_config_free(config);
    setenv("KUBECONFIG", "/nope/a:/nope/b", 1);
    assert_false(kube_config_load(&(struct kube_config_options){0}, &config, &err));
    assert_int_equal(err.kind, ERROR_MISSING);
    unsetenv("KUBECONFIG");
    assert_false(kube_config_load(&(struct kube_config_options){.in_cluster = true}, &config, &err));
    assert_non_null(strstr(err.text, "KUBERNETES_SERVICE_HOST"));
}

static void a_context_may_be_chosen(void **state)
{
    struct kube_config *config;
    struct error err = {0};

    (void)state;
    write_file("config", CLUSTER USER CONTEXT "");
    assert_false(
        kube_config_load(&(struct kube_config_options){.path = path_of("config"), .context = "z"}, &config, &err));
    assert_true(
        kube_config_load(&(struct kube_config_options){.path = path_of("config"), .context = "x"}, &config, &err));
    kube_config_free(config);
}

/* ---- with requests ---- */
static void note(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    text_printf(&heard, "%d:%s ", reply->status, reply->error.kind == ERROR_NONE ? "ok" : reply->error.text);
}

static void use_config(const char *yaml)
{
    struct kube_config *config;
    struct error err = {0};

    if (!load(yaml, &config, &err))
        fail_msg("%s %s", err.where, err.text);
    kube_free(kube);
    kube = kube_new(virtual_loop(world), virtual_transport(world), config);
}

static void use(const char *user)
{
    char yaml[4096];

    snprintf(yaml, sizeof yaml,
             "clusters: [{name: c, cluster: {server: '" API "'}}]\nusers: [{name: u, user: {%s}}]\n" CONTEXT, user);
    use_config(yaml);
}

static void get(void)
{
    kube_ask(kube, &(struct kube_request){.method = "GET", .path = "/x"}, note, NULL);
}

static void a_token_file_is_read_again(void **state)
{
    (void)state;
    answers("/x", 0, 200, "{}");
    use("tokenFile: token");
    get();
    run_ms(2000);
    assert_string_equal(last_authorization, "Bearer from-file");
    write_file("token", ""); /* being replaced */
    get();
    run_ms(2000);
    assert_string_equal(last_authorization, "Bearer from-file");
    write_file("token", "newer\n\n");
    get();
    run_ms(2000);
    assert_string_equal(last_authorization, "Bearer newer");
}

static void a_refused_token_is_read_again_at_once(void **state)
{
    (void)state;
    answers("/x", 1, 401, "{}");
    answers("/x", 1, 200, "{}");
    answers("/x", 0, 401, "{}");
    use("tokenFile: token");
    get(); /* its file is looked at now */
    write_file("token", "rotated");
    run_ms(500);
    assert_string_equal(heard.bytes, "200:ok ");
    assert_string_equal(last_authorization, "Bearer rotated");
    text_clear(&heard);
    get();
    run_ms(500);
    assert_non_null(strstr(heard.bytes, "401:"));
    assert_int_equal(count_of("/x"), 3); /* nothing newer: not asked again */
}

static void impersonation_is_sent(void **state)
{
    struct kube_login login;
    struct error err;
    struct kube_config *config;

    (void)state;
    assert_true(load(
        CLUSTER
        "users: [{name: u, user: {as: me, as-uid: '7', as-groups: [g1, g2], as-user-extra: {a/b: [x]}}}]\n" CONTEXT,
        &config, &err));
    kube_config_attach(config, virtual_loop(world), virtual_transport(world), NULL, NULL);
    assert_int_equal(kube_config_login(config, &login, &err), KUBE_LOGIN_READY);
    for (size_t i = 0; i < login.header_count; i++)
        text_printf(&heard, "%s=%s ", login.headers[i].name, login.headers[i].value);
    assert_string_equal(
        heard.bytes,
        "Impersonate-User=me Impersonate-Uid=7 Impersonate-Group=g1 Impersonate-Group=g2 Impersonate-Extra-a%2Fb=x ");
    kube_config_free(config);
}

/* As kubectl: whatever the environment says of proxies. */
static void a_proxy_of_the_cluster_is_used(void **state)
{
    static const struct {
        const char *written, *used;
    } rows[] = {{"http://u:secret@proxy:3128", "http://u:secret@proxy:3128"},
                {"https://proxy", "https://proxy"},
                {"socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1080"},
                {NULL, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[1000];

        snprintf(yaml, sizeof yaml, "clusters: [{name: c, cluster: {server: '" API "'%s%s}}]\n" USER CONTEXT,
                 rows[i].written ? ", proxy-url: " : "", rows[i].written ? rows[i].written : "");
        use_config(yaml);
        get();
        run_ms(100);
        assert_string_equal(last_proxy, rows[i].used);
    }
}

/* ---- plugins ---- */
#define EXEC(more) "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin" more "}"
#define GIVES(status)                                                                                                  \
    "#!/bin/sh\necho run >> $(dirname $0)/runs\ncat "                                                                  \
    "<<END\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status       \
    "}}\nEND\n"

static size_t runs(void)
{
    FILE *file = fopen(path_of("runs"), "r");
    size_t count = 0;

    for (int c; file && (c = fgetc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

static void a_plugin_gives_a_token_until_it_runs_out(void **state)
{
    char until[40], script_text[1024];

    (void)state;
    instant_format(START_MS + 60 * 1000, until, sizeof until);
    snprintf(script_text, sizeof script_text,
             GIVES("\"token\":\"t-$(wc -l < $(dirname $0)/runs)\",\"expirationTimestamp\":\"%s\""), until);
    write_file("plugin", script_text);
    answers("/x", 0, 200, "{}");
    use(EXEC(""));
    for (int i = 0; i < 5; i++)
        get();
    run_ms(10 * 1000);
    assert_string_equal(heard.bytes, "200:ok 200:ok 200:ok 200:ok 200:ok ");
    assert_string_equal(last_authorization, "Bearer t-1");
    assert_int_equal(runs(), 1);
    run_ms(45 * 1000);
    get();
    run_ms(1000);
    assert_int_equal(runs(), 2);
    assert_string_equal(last_authorization, "Bearer t-2");
}

static void a_refused_credential_makes_the_plugin_run_again(void **state)
{
    (void)state;
    write_file("plugin", GIVES("\"token\":\"t-$(wc -l < $(dirname $0)/runs)\""));
    answers("/x", 1, 200, "{}");
    answers("/x", 1, 401, "{}");
    answers("/x", 1, 200, "{}");
    answers("/x", 0, 401, "{}");
    use(EXEC(""));
    get();
    run_ms(KUBE_LOGIN_RETRY_MS + 1000);
    get();
    run_ms(1000);
    assert_string_equal(heard.bytes, "200:ok 200:ok ");
    assert_int_equal(runs(), 2);
    get(); /* refused again, but it has just run */
    run_ms(1000);
    assert_int_equal(runs(), 2);
}

static void a_plugin_is_told_where_the_cluster_is(void **state)
{
    (void)state;
    write_file("plugin", "#!/bin/sh\necho \"$A $B $1 $KUBERNETES_EXEC_INFO\" > $(dirname $0)/told\nread x; echo \"in "
                         "$x\" >> $(dirname $0)/told\n"
                         "echo "
                         "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/"
                         "v1\",\"status\":{\"token\":\"t\"}}'\n");
    answers("/x", 0, 200, "{}");
    setenv("A", "overwritten", 1);
    use(EXEC(", args: [one], provideClusterInfo: true, env: [{name: A, value: a}, {name: B, value: b}]"));
    unsetenv("A");
    get();
    run_ms(1000);
    assert_true(file_read(path_of("told"), &heard, NULL));
    assert_non_null(strstr(heard.bytes,
                           "a b one {\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
                           "\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"" API "\"}}}\nin \n"));
}

static void a_plugin_that_fails_says_why(void **state)
{
    static const struct {
        const char *plugin, *words;
    } rows[] = {
        {"#!/bin/sh\necho 'no such profile' >&2\necho more >&2\nexit 3\n",
         "exited with status 3 and wrote \"no such profile\"; try harder"},
        {"#!/bin/sh\nprintf '\\r\\n\\033[2J bad\\007 \\303\\244 \\377' >&2\nexit 3\n",
         "wrote \"?[2J bad? \303\244 ?\""},
        {"#!/bin/sh\necho 'token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0x-_A is bad at sts.eu-central-1.amazonaws.com' "
         ">&2\nexit 3\n",
         "wrote \"token ***.*** is bad at sts.eu-central-1.amazonaws.com\""},
        {"#!/bin/sh\necho \"denied $PLUGIN_TOKEN.\" >&2\nexit 3\n", "wrote \"denied ***.\""},
        {"#!/bin/sh\nhead -c 9000000 /dev/zero | tr '\\0' 'x' >&2\nexit 3\n", "xxxxx...\"; try harder"},
        {"#!/bin/sh\nexit 3\n", "exited with status 3; try harder"},
        {"#!/bin/sh\nkill -9 $$\n", "killed by signal 9"},
        {"#!/nope/sh\n", "cannot be started"},
        {"#!/bin/sh\necho hello\n", "something else than JSON"},
        {"#!/bin/sh\necho '{}'\n", "no ExecCredential"},
        {GIVES(""), "neither a token nor a certificate"},
        {GIVES("\"clientKeyData\":\"k\""), "not both"},
        {GIVES("\"token\":\"t\",\"expirationTimestamp\":\"soon\""), "no time"},
        {"#!/bin/sh\nhead -c 400000 /dev/zero\nsleep 100\n", "KUBE_EXEC_OUTPUT_MAX_BYTES"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_clear(&heard);
        write_file("plugin", rows[i].plugin);
        use(EXEC(", installHint: try harder, env: [{name: PLUGIN_TOKEN, value: hunter2}]"));
        get();
        get();
        run_ms(1000);
        if (!strstr(heard.bytes, rows[i].words))
            fail_msg("row %zu: %s", i, heard.bytes);
    }
    assert_int_equal(count_of("/x"), 0);
}

/* Also what it was given as arguments, or about the cluster. */
static void what_a_plugin_was_given_is_not_shown(void **state)
{
    static const char yaml[] =
        "clusters: [{name: c, cluster: {server: '" API "', proxy-url: 'http://me:pr0xyword@proxy'}}]\n"
        "users: [{name: u, user: {" EXEC(
            ", args: [get, --client-secret=opensesame, --token, wonderland]") "}}]\n" CONTEXT;

    (void)state;
    write_file("plugin", "#!/bin/sh\necho \"get: $2 $4 at http://me:pr0xyword@proxy\" >&2\nexit 3\n");
    use_config(yaml);
    get();
    run_ms(1000);
    if (!strstr(heard.bytes, "wrote \"get: --client-secret=*** *** at http://me:***@proxy\""))
        fail_msg("%s", heard.bytes);
}

static void base64_goes_both_ways(void **state)
{
    static const struct {
        const char *plain, *encoded;
    } rows[] = {{"", ""},
                {"a", "YQ=="},
                {"ab", "YWI="},
                {"abc", "YWJj"},
                {"a longer text, to have more than one step of forty-eight bytes", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text encoded, plain;

        text_init(&encoded, 1000);
        text_init(&plain, 1000);
        kube_base64_encode(rows[i].plain, strlen(rows[i].plain), &encoded);
        if (rows[i].encoded)
            assert_string_equal(encoded.bytes, rows[i].encoded);
        assert_true(kube_base64_decode(encoded.bytes, encoded.length, &plain));
        assert_string_equal(plain.bytes, rows[i].plain);
        text_done(&encoded);
        text_done(&plain);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

/* Whatever it signs in with: what listens in a pod is not for tenants. */
static void a_pod_is_told_by_its_surroundings(void **state)
{
    char server[KUBE_POD_SERVER_BYTES];

    (void)state;
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
    assert_true(kube_config_is_pod(server));
    assert_string_equal(server, "https://10.96.0.1:6443");
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    unsetenv("KUBERNETES_SERVICE_PORT");
    assert_true(kube_config_is_pod(server));
    assert_string_equal(server, "https://[fd00::1]:443");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kube_config_is_pod(server), access("/var/run/secrets/kubernetes.io/serviceaccount", F_OK) == 0);
    assert_string_equal(server, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(good_ones),
        CASE(bad_ones),
        CASE(several_files_are_one),
        CASE(a_context_may_be_chosen),
        CASE(a_token_file_is_read_again),
        CASE(a_refused_token_is_read_again_at_once),
        CASE(impersonation_is_sent),
        CASE(a_proxy_of_the_cluster_is_used),
        CASE(a_plugin_gives_a_token_until_it_runs_out),
        CASE(a_refused_credential_makes_the_plugin_run_again),
        CASE(a_plugin_is_told_where_the_cluster_is),
        CASE(a_plugin_that_fails_says_why),
        CASE(what_a_plugin_was_given_is_not_shown),
        CASE(base64_goes_both_ways),
        CASE(a_pod_is_told_by_its_surroundings),
    };

    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBECONFIG");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

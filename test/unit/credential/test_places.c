/* Where credentials are without a server: files below a root, and tokens of service accounts. */
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

static char root[200];

static void write_file(const char *name, const char *text)
{
    char path[400];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* As the kubelet mounts a Secret: the file is a link into a folder that is a link itself. Outside of the root there is another secret. */
static void make_root(void)
{
    char path[400];

    snprintf(root, sizeof(root), "/tmp/weir-files-XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file("outside.json", "{\"p\":\"out\"}");
    snprintf(path, sizeof(path), "%s/root", root);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/root/..2026", root);
    mkdir(path, 0700);
    write_file("root/..2026/creds.json", "{\"p\":\"one\",\"q\":\"\"}");
    snprintf(path, sizeof(path), "%s/root/..data", root);
    assert_int_equal(symlink("..2026", path), 0);
    snprintf(path, sizeof(path), "%s/root/creds.json", root);
    assert_int_equal(symlink("..data/creds.json", path), 0);
    snprintf(path, sizeof(path), "%s/root/up.json", root);
    assert_int_equal(symlink("../outside.json", path), 0);
    snprintf(path, sizeof(path), "%s/root/absolute.json", root);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    snprintf(path, sizeof(path), "%s/root/pipe", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    write_file("root/list.json", "[1]");
    write_file("root/number.json", "{\"p\":1}");
    write_file("root/text", "p: one");
    strcat(root, "/root");
}

static void remove_root(void)
{
    char command[500];

    root[strlen(root) - strlen("/root")] = '\0';
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path, *says;
    } rows[] = {
        {"creds.json", NULL},
        {"./creds.json", NULL},
        {"..data/creds.json", NULL},
        {"/etc/hostname", "has to be relative"},
        {"../outside.json", "without .."},
        {"a/../../outside.json", "without .."},
        {"..", "without .."},
        {"up.json", "leads out of"},
        {"absolute.json", "leads out of"},
        {"gone.json", "cannot be opened"},
        {"pipe", "is not a file"},
        {".", "is not a file"},
        {"list.json", "one JSON object of texts, not a list"},
        {"number.json", "p of the file number.json has to be a text"},
        {"text", "is not JSON"},
    };

    (void)state;
    make_root();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;
        char spec[200];

        scene_begin(&s);
        s.cluster_kind = true;
        credential_store_configure(s.store, &(struct credential_settings){.file_root = root});
        snprintf(spec, sizeof(spec), "{filePath: '%s', secretTargetRef: [{parameter: r, name: s, key: k}]}",
                 rows[i].path);
        enum lookup found = scene_resolve(&s, spec);
        if ((found == LOOKUP_FOUND) != !rows[i].says || (rows[i].says && !strstr(s.err.text, rows[i].says)))
            fail_msg("%s: %d, %s", rows[i].path, found, s.err.text);
        if (!rows[i].says) {
            assert_string_equal(scene_value(&s, "p"), "one");
            assert_string_equal(scene_value(&s, "q"), "");
            assert_string_equal(scene_value(&s, "r"), "(none)"); /* it replaces all others */
        }
        scene_end(&s);
    }
    remove_root();
}

static void test_who(void **state)
{
    struct scene s;

    (void)state;
    make_root();
    scene_begin(&s);
    credential_store_configure(s.store, &(struct credential_settings){.file_root = root});
    assert_int_equal(scene_resolve(&s, "{filePath: creds.json}"), LOOKUP_ABSENT);
    assert_non_null(strstr(s.err.text, "only for a ClusterTriggerAuthentication"));
    s.cluster_kind = true;
    credential_store_configure(s.store, &(struct credential_settings){.file_root = NULL});
    assert_int_not_equal(scene_resolve(&s, "{filePath: creds.json}"), LOOKUP_FOUND);
    assert_non_null(strstr(s.err.text, "--filepath-auth-root-path"));
    scene_end(&s);
    remove_root();
}

static void test_file_changes(void **state)
{
    struct scene s;
    char from[400], to[400];

    (void)state;
    make_root();
    scene_begin(&s);
    s.cluster_kind = true;
    credential_store_configure(s.store, &(struct credential_settings){.file_root = root});
    assert_int_equal(scene_resolve(&s, "{filePath: creds.json}"), LOOKUP_FOUND);
    scene_pass(&s, 20 * 1000);
    assert_int_equal(s.told, 0);
    snprintf(from, sizeof(from), "%s/new", root);
    write_file("..2026/other.json", "{\"p\":\"two\"}");
    assert_int_equal(symlink("..data/other.json", from), 0);
    snprintf(to, sizeof(to), "%s/creds.json", root);
    assert_int_equal(rename(from, to), 0);
    scene_pass(&s, 6 * 1000);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, "{filePath: creds.json}"), LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), "two");
    assert_int_equal(unlink(to), 0);
    scene_pass(&s, 6 * 1000);
    assert_int_equal(s.told, 2);
    assert_int_equal(scene_resolve(&s, "{filePath: creds.json}"), LOOKUP_ABSENT);
    scene_end(&s);
    remove_root();
}

static void test_account(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s);
    assert_int_equal(scene_resolve(&s, "{boundServiceAccountToken: [{parameter: p, serviceAccountName: reader}]}"),
                     LOOKUP_PENDING);
    scene_pass(&s, 100);
    assert_int_equal(s.told, 1);
    assert_int_equal(scene_resolve(&s, "{boundServiceAccountToken: [{parameter: p, serviceAccountName: reader}]}"),
                     LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), ACCOUNT_TOKEN "1");
    scene_pass(&s, 2500 * 1000);
    assert_int_equal(s.tokens_made, 1);
    scene_pass(&s, 500 * 1000); /* at four fifths of an hour */
    assert_int_equal(s.tokens_made, 2);
    assert_int_equal(s.told, 2);
    assert_int_equal(scene_resolve(&s, "{boundServiceAccountToken: [{parameter: p, serviceAccountName: reader}]}"),
                     LOOKUP_FOUND);
    assert_string_equal(scene_value(&s, "p"), ACCOUNT_TOKEN "2");
    credential_denied(s.credential);
    scene_pass(&s, 1000);
    assert_int_equal(s.tokens_made, 3);
    credential_denied(s.credential); /* it was made just now */
    scene_pass(&s, 1000);
    assert_int_equal(s.tokens_made, 3);
    /* the end comes while one is asked for */
    scene_pass(&s, 40 * 1000);
    credential_denied(s.credential);
    scene_pass(&s, 10);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_who),
                                       cmocka_unit_test(test_file_changes), cmocka_unit_test(test_account)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

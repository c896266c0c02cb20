/* Variables, arguments, ports and volumes of a process, as Kubernetes means them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "platform/local/config.h"
#include "platform/local/environment.h"
#include "platform/local/files.h"
#include "platform/local/spec.h"
#include "platform/local/volume.h"

/* ------------------------------------------------------------------ helpers */

struct world {
    struct arena *arena;
    struct report *report;
    struct config_store *configs;
    int changes;
};

static void count_change(void *arg, const char *ns, const char *name)
{
    struct world *w = arg;

    (void)ns;
    (void)name;
    w->changes++;
}

static struct config_data data_of(const char *name, bool secret, struct config_entry *entries, size_t count)
{
    return (struct config_data){.meta = {.kind = secret ? "Secret" : "ConfigMap", .ns = "shop", .name = name},
                                .secret = secret,
                                .entries = entries,
                                .entry_count = count};
}

static void set_configs(struct world *w, const char *file, struct config_data *configs, size_t count)
{
    struct manifest m = {.file = file, .configs = configs, .config_count = count};

    config_store_set(w->configs, file, &m, w->report);
}

static int setup(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    struct config_entry secret[] = {{"password", "s3cret", 6}, {"user", "ann", 3}},
                        config[] = {{"level", "debug", 5}, {"a=b", "x", 1}};
    struct config_data configs[] = {data_of("db", true, secret, 2), data_of("settings", false, config, 2)};

    *w = (struct world){.arena = arena_new(ARENA_USUAL), .report = report_new()};
    w->configs = config_store_new(count_change, w);
    set_configs(w, "a.yaml", configs, 2);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    arena_free(w->arena);
    report_free(w->report);
    config_store_free(w->configs);
    free(w);
    return 0;
}

static struct spec *spec_of(struct world *w, const struct container *container)
{
    struct object_meta meta = {.kind = "Deployment", .ns = "shop", .name = "web"};
    struct pod_template template = {.main = *container, .container_count = 1, .grace_period_s = -1};

    return spec_new(&template, &meta, "spec.template", "/srv/manifests", w->report);
}

static const char *value_in(char **envp, const char *name)
{
    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, name, strlen(name)) == 0 && (*envp)[strlen(name)] == '=')
            return *envp + strlen(name) + 1;
    }
    return NULL;
}

static const struct replica_identity who = {
    .ns = "shop", .pod_name = "web-2", .ordinal = "2", .volumes_dir = "/data/volumes", .port = 21000};

/* ------------------------------------------------------------------ variables */

static void variables_are_kubernetes_own(void **state)
{
    struct world *w = *state;
    const struct env_var env[] = {
        {.name = "PLAIN", .value = "1"},
        {.name = "TWICE", .value = "$(PLAIN)$(PLAIN)"},
        {.name = "UNKNOWN", .value = "a $(NO_SUCH) b"},
        {.name = "ESCAPED", .value = "$$(PLAIN) $$ $ $x $(PLAIN"},
        {.name = "LATER", .value = "$(AFTER)"},
        {.name = "AFTER", .value = "z"},
        {.name = "PLAIN", .value = "2"},
        {.name = "DB_PASSWORD", .secret_name = "db", .key = "password"},
        {.name = "LEVEL", .config_name = "settings", .key = "level"},
        {.name = "URL", .value = "http://$(DB_PASSWORD)@$(C_level):$(PORT)/$(WEIR_REPLICA)"},
        {.name = "NAME", .field_path = "metadata.name"},
        {.name = "NS", .field_path = "metadata.namespace"},
        {.name = "MAYBE", .secret_name = "db", .key = "absent", .optional = true},
        {.name = "PORT", .value = "8000"},
        {.name = "WEIR_REPLICA", .value = "17"},
        {.name = "EMPTY", .value = NULL},
    };
    const struct env_from from[] = {{.config_name = "settings", .prefix = "C_"},
                                    {.secret_name = "absent", .optional = true},
                                    {.secret_name = "db"}};
    const struct container c = {.command = (const char *const[]){"serve", "--port=$(PORT)", NULL},
                                .args = (const char *const[]){"$(user)", "$$(user)", "$(nobody)", NULL},
                                .env = env,
                                .env_count = sizeof env / sizeof env[0],
                                .env_from = from,
                                .env_from_count = 3};
    static const struct {
        const char *name, *value;
    } expected[] = {
        {"PLAIN", "2"},
        {"TWICE", "11"},
        {"UNKNOWN", "a $(NO_SUCH) b"},
        {"ESCAPED", "$(PLAIN) $ $ $x $(PLAIN"},
        {"LATER", "$(AFTER)"},
        {"AFTER", "z"},
        {"DB_PASSWORD", "s3cret"},
        {"LEVEL", "debug"},
        {"C_level", "debug"},
        {"URL", "http://s3cret@debug:21000/2"},
        {"NAME", "web-2"},
        {"NS", "shop"},
        {"MAYBE", NULL},
        {"PORT", "21000"},
        {"WEIR_REPLICA", "2"},
        {"WEIR_POD_NAME", "web-2"},
        {"WEIR_VOLUMES", "/data/volumes"},
        {"user", "ann"},
        {"EMPTY", ""},
        {"C_a", NULL},
        {"WEIR_TEST_PRIVATE", NULL},
    };
    struct process_image image;
    struct error err;

    setenv("WEIR_TEST_PRIVATE", "Weir's own", 1);
    struct spec *spec = spec_of(w, &c);
    assert_non_null(spec);
    assert_true(environment_make(spec, &who, w->configs, w->arena, &image, &err));
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const char *value = value_in(image.envp, expected[i].name);
        if ((value == NULL) != (expected[i].value == NULL) || (value != NULL && strcmp(value, expected[i].value) != 0))
            fail_msg("%s is %s, not %s", expected[i].name, value ? value : "unset",
                     expected[i].value ? expected[i].value : "unset");
    }
    assert_non_null(value_in(image.envp, "PATH"));
    assert_string_equal(image.argv[1], "--port=21000");
    assert_string_equal(image.argv[2], "ann");
    assert_string_equal(image.argv[3], "$(user)");
    assert_string_equal(image.argv[4], "$(nobody)");
    assert_null(image.argv[5]);
    spec_unref(spec);
}

static void what_is_missing_is_named(void **state)
{
    struct world *w = *state;
    static const struct {
        struct env_var var;
        const char *text;
    } cases[] = {
        {{.name = "A", .secret_name = "nope", .key = "k"}, "Secret shop/nope of variable A is in no manifest"},
        {{.name = "A", .config_name = "settings", .key = "k"},
         "ConfigMap shop/settings has no key \"k\", which variable A wants"},
        {{.name = "A", .config_name = "db", .key = "user"}, "ConfigMap shop/db of variable A is in no manifest"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct container c = {
            .command = (const char *const[]){"serve", NULL}, .env = &cases[i].var, .env_count = 1};
        struct spec *spec = spec_of(w, &c);
        struct process_image image;
        struct error err;
        assert_false(environment_make(spec, &who, w->configs, w->arena, &image, &err));
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.kind, ERROR_MISSING);
        spec_unref(spec);
    }
}

/* $(A)$(A), nested 40 times, is 2^40 bytes. */
static void growth_is_bounded(void **state)
{
    struct world *w = *state;
    struct env_var env[40];
    struct process_image image;
    struct error err;

    for (int i = 0; i < 40; i++)
        env[i] = (struct env_var){.name = arena_printf(w->arena, "V%d", i),
                                  .value = i == 0 ? "xxxxxxxx" : arena_printf(w->arena, "$(V%d)$(V%d)", i - 1, i - 1)};
    const struct container c = {.command = (const char *const[]){"serve", NULL}, .env = env, .env_count = 40};
    struct spec *spec = spec_of(w, &c);
    assert_false(environment_make(spec, &who, w->configs, w->arena, &image, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "LOCAL_ARGUMENT_MAX_BYTES"));
    spec_unref(spec);
}

static void one_variable_can_be_asked_for(void **state)
{
    struct world *w = *state;
    const struct env_var env[] = {{.name = "BROKEN", .secret_name = "nope", .key = "k"},
                                  {.name = "HOST", .value = "db"},
                                  {.name = "URL", .value = "tcp://$(HOST)"},
                                  {.name = "POD", .field_path = "metadata.name"}};
    static const struct {
        const char *name, *value;
    } cases[] = {{"URL", "tcp://db"}, {"BROKEN", NULL}, {"POD", NULL}, {"NONE", NULL}};
    struct spec_env e = {.container = "main", .vars = env, .var_count = 4};
    struct error err;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct secret *secret;
        bool found = environment_value(&e, "shop", w->configs, cases[i].name, &secret, &err);
        assert_int_equal(found, cases[i].value != NULL);
        if (found) {
            assert_string_equal(secret_reveal(secret), cases[i].value);
            secret_unref(secret);
        }
    }
}

/* ------------------------------------------------------------------ what cannot be meant here */

static void what_has_no_meaning_here_is_an_error_that_names_the_field(void **state)
{
    struct world *w = *state;
    const struct env_var ip = {.name = "IP", .field_path = "status.podIP"},
                         cpu = {.name = "CPU", .resource = "limits.cpu"};
    const char *const serve[] = {"serve", NULL}, *const none[] = {NULL};
    const struct volume host = {.name = "disk"}, up = {.name = "..", .empty_dir = true};
    const struct {
        struct container container;
        const struct volume *volume;
        const char *field;
    } cases[] = {
        {{.command = none}, NULL, "spec.template.spec.containers[0].command"},
        {{.command = serve, .env = &ip, .env_count = 1},
         NULL,
         "spec.template.spec.containers[0].env[0].valueFrom.fieldRef.fieldPath"},
        {{.command = serve, .env = &cpu, .env_count = 1},
         NULL,
         "spec.template.spec.containers[0].env[0].valueFrom.resourceFieldRef"},
        {{.command = serve}, &host, "spec.template.spec.volumes[0]"},
        {{.command = serve}, &up, "spec.template.spec.volumes[0]"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct object_meta meta = {.kind = "Deployment", .ns = "shop", .name = "web"};
        struct pod_template t = {.main = cases[i].container,
                                 .container_count = 1,
                                 .volumes = cases[i].volume,
                                 .volume_count = cases[i].volume != NULL};
        struct report *report = report_new();
        assert_null(spec_new(&t, &meta, "spec.template", "/srv", report));
        assert_int_equal(report_count(report), 1);
        assert_string_equal(report_at(report, 0)->field, cases[i].field);
        assert_non_null(report_at(report, 0)->remedy);
        report_free(report);
    }
    struct object_meta meta = {.kind = "Deployment", .ns = "shop", .name = "web"};
    struct pod_template two = {.main = {.command = serve}, .container_count = 2};
    struct spec *spec = spec_new(&two, &meta, "spec.template", "/srv", w->report);
    assert_non_null(spec);
    assert_int_equal(report_count_of(w->report, FINDING_WARNING), 1);
    assert_string_equal(spec->cwd, "/srv");
    spec_unref(spec);
}

/* ------------------------------------------------------------------ ports */

static void ports_are_mapped_where_the_manifest_says_so(void **state)
{
    struct world *w = *state;
    static const char ports[] =
        "[{\"name\":\"http\",\"containerPort\":8000},{\"name\":\"admin\",\"containerPort\":9000}]";
    const struct env_var port = {.name = "PORT", .value = "8000"}, other = {.name = "PORT", .value = "9000"};
    const char *const plain[] = {"serve", NULL}, *const refers[] = {"sh", "-c", "serve --port $PORT", NULL},
                      *const close_by[] = {"serve", "$PORTAL", NULL};
    const struct {
        const char *what;
        struct container container;
        bool declares;
        const char *port; /* NULL: the address */
        int means;
    } cases[] = {
        {"no ports: PORT", {.command = plain}, false, NULL, 21000},
        {"no ports: a number is itself", {.command = plain}, false, "7000", 7000},
        {"no ports: $PORT", {.command = plain}, false, "$PORT", 21000},
        {"declared and never mentioned: as it is", {.command = plain}, true, NULL, 8000},
        {"its name too", {.command = plain}, true, "http", 8000},
        {"$PORTAL is not $PORT", {.command = close_by}, true, NULL, 8000},
        {"mentioned: mapped", {.command = refers}, true, NULL, 21000},
        {"mentioned: by name", {.command = refers}, true, "http", 21000},
        {"mentioned: by number", {.command = refers}, true, "8000", 21000},
        {"another one is not", {.command = refers}, true, "admin", 9000},
        {"env says which", {.command = plain, .env = &port, .env_count = 1}, true, "http", 21000},
        {"env says the other", {.command = plain, .env = &other, .env_count = 1}, true, "http", 8000},
        {"and that is mapped", {.command = plain, .env = &other, .env_count = 1}, true, "admin", 21000},
        {"env alone", {.command = plain, .env = &port, .env_count = 1}, false, "8000", 21000},
        {"no such name", {.command = refers}, true, "grpc", 0},
    };
    struct tree *tree;
    struct error err;

    assert_true(tree_read_json(ports, sizeof ports - 1, false, w->arena, &tree, &err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct container c = cases[i].container;
        c.ports = cases[i].declares ? tree : NULL;
        struct spec *spec = spec_of(w, &c);
        assert_non_null(spec);
        if (spec_port(spec, cases[i].port, 21000) != cases[i].means)
            fail_msg("%s: %d, not %d", cases[i].what, spec_port(spec, cases[i].port, 21000), cases[i].means);
        spec_unref(spec);
    }
}

/* ------------------------------------------------------------------ volumes */

static bool file_says(const char *dir, const char *name, const char *expected)
{
    char path[PATH_MAX], bytes[100];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return expected == NULL;
    size_t n = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[n] = 0;
    fclose(file);
    return expected != NULL && strcmp(bytes, expected) == 0 && stat(path, &st) == 0 && (st.st_mode & 0777) == 0600;
}

static void volumes_follow_their_data(void **state)
{
    struct world *w = *state;
    static const char items[] = "[{\"key\":\"level\",\"path\":\"etc/log/level\"}]";
    struct tree *tree;
    struct error err = {0};
    char dir[] = "/tmp/weir-volume-test-XXXXXX", volumes[64];

    assert_non_null(mkdtemp(dir));
    snprintf(volumes, sizeof volumes, "%s/volumes", dir);
    assert_true(tree_read_json(items, sizeof items - 1, false, w->arena, &tree, &err));
    const struct volume v[] = {{.name = "creds", .secret_name = "db"},
                               {.name = "conf", .config_name = "settings", .items = tree},
                               {.name = "tmp", .empty_dir = true},
                               {.name = "maybe", .secret_name = "absent", .optional = true}};
    struct object_meta meta = {.kind = "Deployment", .ns = "shop", .name = "web"};
    struct pod_template t = {.main = {.command = (const char *const[]){"serve", NULL}},
                             .container_count = 1,
                             .volumes = v,
                             .volume_count = 4};
    struct spec *spec = spec_new(&t, &meta, "spec.template", "/srv", w->report);
    assert_non_null(spec);
    assert_true(volumes_write(volumes, spec, "shop", w->configs, &err));
    assert_true(file_says(volumes, "creds/password", "s3cret"));
    assert_true(file_says(volumes, "creds/user", "ann"));
    assert_true(file_says(volumes, "conf/etc/log/level", "debug"));
    assert_true(file_says(volumes, "conf/level", NULL));
    char own[128];
    snprintf(own, sizeof own, "%s/tmp", volumes);
    assert_true(file_write(own, "own", "kept", 4, &err));

    struct config_entry secret[] = {{"password", "n3w", 3}, {"../escape", "no", 2}};
    struct config_data next[] = {data_of("db", true, secret, 2)};
    w->changes = 0;
    set_configs(w, "a.yaml", next, 1); /* settings is gone, db is new */
    assert_int_equal(w->changes, 2);
    assert_false(volumes_write(volumes, spec, "shop", w->configs, &err));
    assert_string_equal(err.text, "ConfigMap shop/settings of volume conf is in no manifest");
    assert_true(file_says(volumes, "creds/password", "n3w"));
    assert_true(file_says(volumes, "creds/user", NULL));
    assert_true(file_says(volumes, "escape", NULL));
    assert_true(file_says(volumes, "conf/etc/log/level", "debug"));
    assert_true(file_says(volumes, "tmp/own", "kept"));
    w->changes = 0;
    set_configs(w, "a.yaml", next, 1);
    assert_int_equal(w->changes, 0);
    spec_unref(spec);
    assert_true(dir_remove(dir, &err));
}

static void a_name_belongs_to_the_first_file(void **state)
{
    struct world *w = *state;
    struct config_entry entries[] = {{"user", "bob", 3}};
    struct config_data other[] = {data_of("db", true, entries, 1)};

    set_configs(w, "b.yaml", other, 1);
    assert_int_equal(report_count_of(w->report, FINDING_ERROR), 1);
    assert_string_equal(secret_reveal(config_value_of(config_find(w->configs, true, "shop", "db"), "user")), "ann");
    set_configs(w, "b.yaml", NULL, 0);
    assert_non_null(config_find(w->configs, true, "shop", "db"));
}

/* ------------------------------------------------------------------ records */

static void records_survive_what_is_put_in_them(void **state)
{
    struct record record = {.bytes = ""};
    char text[64], long_text[RECORD_MAX_BYTES];

    (void)state;
    assert_true(record_put(&record, "text", "two\nlines"));
    assert_true(record_put_integer(&record, "number", INT64_MIN));
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_false(record_put(&record, "long", long_text));
    assert_true(record_put(&record, "last", ""));
    assert_true(record_text(&record, "text", text, sizeof text));
    assert_string_equal(text, "two lines");
    assert_true(record_integer(&record, "number", 0) == INT64_MIN);
    assert_false(record_text(&record, "long", text, sizeof text));
    assert_true(record_text(&record, "last", text, sizeof text));
    assert_string_equal(text, "");
    assert_int_equal(record_integer(&record, "text", 42), 42);
    assert_int_equal(record_integer(&record, "tex", 42), 42);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(variables_are_kubernetes_own),
        TEST(what_is_missing_is_named),
        TEST(growth_is_bounded),
        TEST(one_variable_can_be_asked_for),
        TEST(what_has_no_meaning_here_is_an_error_that_names_the_field),
        TEST(ports_are_mapped_where_the_manifest_says_so),
        TEST(volumes_follow_their_data),
        TEST(a_name_belongs_to_the_first_file),
        cmocka_unit_test(records_survive_what_is_put_in_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

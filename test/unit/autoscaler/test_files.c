/* Files as people change them: rewritten in place, replaced, renamed, split up, emptied. On real files and virtual time. */
#include "running.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define OBJECT "ScaledObject/default/app"

static const char object_yaml[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\nspec:\n  scaleTargetRef: {name: app}\n"
    "  triggers:\n  - type: prometheus\n"
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";

struct folder {
    struct running r;
    char path[64];
    int64_t now_s;
};

static void put(struct folder *f, const char *name, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void move(struct folder *f, const char *from, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];

    snprintf(old, sizeof(old), "%s/%s", f->path, from);
    snprintf(new, sizeof(new), "%s/%s", f->path, to ? to : "");
    assert_int_equal(to ? rename(old, new) : unlink(old), 0);
}

static void pass(struct folder *f, int64_t s)
{
    running_until(&f->r, f->now_s += s);
}

static void open_folder(struct folder *f)
{
    const char *paths[] = {f->path};

    *f = (struct folder){.path = "/tmp/weir-files-test-XXXXXX",
                         .r = {.prom = {{.query = "load", .value = 30}}, .prom_count = 1}};
    assert_non_null(mkdtemp(f->path));
    running_start(&f->r, NULL);
    stage_workload(f->r.stage, "default", "Deployment", "app", 1);
    put(f, "a.yaml", object_yaml);
    assert_true(autoscaler_watch_paths(stage_autoscaler(f->r.stage), paths, 1, NULL));
    pass(f, 60);
    assert_int_equal(stage_replicas(f->r.stage, "app"), 3);
}

static void close_folder(struct folder *f)
{
    static const char *const names[] = {"a.yaml", "b.yaml", "pipe.yaml"};
    char path[PATH_MAX];

    running_stop(&f->r);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->path), 0);
}

/* Kept, not removed and made anew: its life began at the start, and it went on polling. */
static void assert_kept(struct folder *f)
{
    uint64_t polls = look(&f->r, OBJECT).polls;

    assert_true(look(&f->r, OBJECT).has_policy);
    assert_int_equal(look(&f->r, OBJECT).created_at_ms, START_MS);
    pass(f, 60);
    assert_true(look(&f->r, OBJECT).polls > polls);
    assert_true(polls > 2);
}

static void half_a_file_is_not_read(void **state)
{
    struct folder f;

    (void)state;
    open_folder(&f);
    put(&f, "a.yaml", "# saved in place, the rest comes\n");
    running_until(&f.r, ++f.now_s); /* a look sees it */
    put(&f, "a.yaml", object_yaml);
    pass(&f, 5);
    assert_kept(&f);
    put(&f, "a.yaml", "# nothing any more\n");
    pass(&f, 5);
    assert_false(look(&f.r, OBJECT).found);
    close_folder(&f);
}

static void a_file_that_is_replaced_was_never_gone(void **state)
{
    struct folder f;

    (void)state;
    open_folder(&f);
    move(&f, "a.yaml", NULL);
    running_until(&f.r, ++f.now_s);
    put(&f, "a.yaml", object_yaml);
    pass(&f, 5);
    assert_kept(&f);
    move(&f, "a.yaml", NULL);
    pass(&f, 5);
    assert_false(look(&f.r, OBJECT).found);
    close_folder(&f);
}

static void a_renamed_file_takes_its_objects_along(void **state)
{
    struct folder f;

    (void)state;
    open_folder(&f);
    move(&f, "a.yaml", "b.yaml");
    pass(&f, 5);
    assert_kept(&f);
    assert_int_equal(report_count(autoscaler_report(stage_autoscaler(f.r.stage))), 0);
    put(&f, "a.yaml", object_yaml);
    put(&f, "b.yaml", "# moved\n");
    pass(&f, 5);
    assert_kept(&f);
    close_folder(&f);
}

static void the_second_of_two_files_takes_over_when_the_first_goes(void **state)
{
    struct folder f;

    (void)state;
    open_folder(&f);
    put(&f, "b.yaml", object_yaml);
    pass(&f, 5);
    assert_int_equal(report_count_of(autoscaler_report(stage_autoscaler(f.r.stage)), FINDING_ERROR), 1);
    move(&f, "a.yaml", NULL);
    pass(&f, 5);
    assert_kept(&f);
    assert_int_equal(report_count(autoscaler_report(stage_autoscaler(f.r.stage))), 0);
    close_folder(&f);
}

static void an_emptied_file_takes_nothing_away(void **state)
{
    struct folder f;

    (void)state;
    open_folder(&f);
    put(&f, "a.yaml", "");
    pass(&f, 5);
    assert_kept(&f);
    const struct report *report = autoscaler_report(stage_autoscaler(f.r.stage));
    assert_int_equal(report_count(report), 1);
    assert_non_null(strstr(report_at(report, 0)->text, "is empty"));
    close_folder(&f);
}

static void a_pipe_is_refused_not_waited_for(void **state)
{
    struct folder f;
    struct error err;
    char path[PATH_MAX];
    const char *paths[] = {path};

    (void)state;
    open_folder(&f);
    snprintf(path, sizeof(path), "%s/pipe.yaml", f.path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(autoscaler_watch_paths(stage_autoscaler(f.r.stage), paths, 1, &err));
    assert_non_null(strstr(err.text, "neither a file nor a folder"));
    close_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_file_is_not_read),
        cmocka_unit_test(a_file_that_is_replaced_was_never_gone),
        cmocka_unit_test(a_renamed_file_takes_its_objects_along),
        cmocka_unit_test(the_second_of_two_files_takes_over_when_the_first_goes),
        cmocka_unit_test(an_emptied_file_takes_nothing_away),
        cmocka_unit_test(a_pipe_is_refused_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

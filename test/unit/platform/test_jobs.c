/* Jobs of a ScaledJob with real processes: success, failure, retries, deadlines, deletion, and Weir's own death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim_main.h"

#include "local_world.h"

#include "base/selector.h"

static int setup(void **state)
{
    *state = world_new(own_path());
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* more: lines of the JobSpec, indented by 4. */
static const char *manifest(const char *script, const char *more)
{
    static char text[4096];

    snprintf(text, sizeof text,
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata:\n  name: work\nspec:\n"
             "  triggers:\n    - {type: cron, metadata: {timezone: UTC, start: 0 0 * * *, end: 1 0 * * *, "
             "desiredReplicas: '1'}}\n"
             "  jobTargetRef:\n%s    template:\n      metadata:\n        labels: {app: worker}\n      spec:\n"
             "        terminationGracePeriodSeconds: 1\n        containers:\n          - name: main\n"
             "            command: [\"/bin/sh\", \"-c\"]\n            args:\n              - |\n                %s\n",
             more, script);
    return text;
}

static struct job_owner *watch(struct world *w, uint64_t generation)
{
    return w->platform->ops->jobs_watch(w->platform, "default", "work", generation, world_changed, w);
}

static size_t jobs(struct world *w, struct job_owner *owner, const struct job_view **views)
{
    return w->platform->ops->jobs(owner, views);
}

static void create(struct world *w, struct job_owner *owner, int32_t count)
{
    w->platform->ops->jobs_create(owner, count, world_done, w);
}

/* In this order of letters: s succeeded, f failed, p pending, r running. */
static const char *shape(struct world *w, struct job_owner *owner)
{
    static char out[64];
    const struct job_view *views;
    size_t count = jobs(w, owner, &views);

    for (size_t i = 0; i < count; i++)
        out[i] = views[i].finished ? (views[i].succeeded ? 's' : 'f') : views[i].pending ? 'p' : 'r';
    out[count] = 0;
    return out;
}

static const char *job_file(struct world *w, struct job_owner *owner, const char *name)
{
    const struct job_view *views;

    return jobs(w, owner, &views) > 0 ? world_file(w, "ScaledJob.work", views[0].name, name) : "";
}

static void jobs_succeed_and_fail(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 7);
    const struct job_view *views;

    create(w, owner, 1);
    UNTIL(w, w->failed == 1); /* no template yet */
    world_apply(w, "/tmp/work.yaml", manifest("echo hello $WEIR_POD_NAME; exit 0", ""));
    world_no_findings(w);
    create(w, owner, 2);
    assert_string_equal(shape(w, owner), "pp");
    UNTIL(w, strcmp(shape(w, owner), "ss") == 0);
    UNTIL(w, w->done == 2);
    assert_int_equal(w->failed, 1);
    assert_int_equal(jobs(w, owner, &views), 2);
    assert_int_equal(strncmp(views[0].name, "work-", 5), 0);
    assert_string_not_equal(views[0].name, views[1].name);
    assert_int_equal(views[0].generation, 7);
    assert_true(views[0].created_at_ms > 0 && views[0].finished_at_ms >= views[0].created_at_ms);
    char expected[100];
    snprintf(expected, sizeof expected, "hello %s\n", views[0].name);
    assert_string_equal(job_file(w, owner, "log"), expected);

    world_apply(w, "/tmp/work.yaml", manifest("exit 1", "    backoffLimit: 0\n"));
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "ssf") == 0);
    w->platform->ops->jobs_unwatch(owner);
}

static void failures_are_retried_up_to_the_limit(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);

    world_apply(w, "/tmp/work.yaml", manifest("echo try; exit 1", "    backoffLimit: 1\n"));
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "f") == 0); /* the first restart comes at once */
    assert_int_equal(count_of(job_file(w, owner, "log"), "try\n"), 2);
}

static void a_new_pod_for_each_try_waits_longer(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);
    char text[4096];

    /* restartPolicy Never stands where containers does */
    snprintf(text, sizeof text, "%s", manifest("echo try; exit 1", ""));
    char *at = strstr(text, "        containers:"), rest[2048];
    snprintf(rest, sizeof rest, "        restartPolicy: Never\n%s", at);
    strcpy(at, rest);
    world_apply(w, "/tmp/work.yaml", text);
    world_no_findings(w);
    create(w, owner, 1);
    UNTIL(w, count_of(job_file(w, owner, "log"), "try\n") == 1 && strcmp(shape(w, owner), "p") == 0);
    world_turn(w, 300);
    assert_int_equal(count_of(job_file(w, owner, "log"), "try\n"), 1);
}

static void a_deadline_ends_a_job(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);

    world_apply(w, "/tmp/work.yaml",
                manifest("trap '' TERM; while :; do sleep 0.1; done", "    activeDeadlineSeconds: 1\n"));
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "r") == 0);
    UNTIL(w, strcmp(shape(w, owner), "f") == 0);
    assert_int_equal(processes_of(w), 0);
}

static void finished_jobs_go_after_their_time(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);

    world_apply(w, "/tmp/work.yaml", manifest("exit 0", "    ttlSecondsAfterFinished: 1\n"));
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "s") == 0);
    UNTIL(w, strcmp(shape(w, owner), "") == 0);
}

static void a_deleted_job_ends_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);
    const struct job_view *views;
    char path[PATH_MAX];

    world_apply(w, "/tmp/work.yaml", manifest("exec sleep 600", ""));
    create(w, owner, 3);
    UNTIL(w, strcmp(shape(w, owner), "rrr") == 0);
    size_t count = jobs(w, owner, &views);
    snprintf(path, sizeof path, "%s/local/default/ScaledJob.work/%s", w->dir, views[0].name);
    for (size_t i = 0; i < count; i++) /* the list stays as it is while they are deleted */
        w->platform->ops->job_delete(owner, views[i].name);
    w->platform->ops->job_delete(owner, "no-such-job");
    assert_int_equal(jobs(w, owner, &views), 0);
    UNTIL(w, processes_of(w) == 0 && access(path, F_OK) != 0);
}

static void jobs_go_with_their_scaled_job(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);
    char path[PATH_MAX];

    world_apply(w, "/tmp/work.yaml", manifest("exec sleep 600", ""));
    create(w, owner, 2);
    UNTIL(w, strcmp(shape(w, owner), "rr") == 0);
    world_apply(w, "/tmp/work.yaml", NULL);
    snprintf(path, sizeof path, "%s/local/default/ScaledJob.work", w->dir);
    UNTIL(w, processes_of(w) == 0 && access(path, F_OK) != 0);
    assert_string_equal(shape(w, owner), "");
}

static void too_many_jobs_are_refused(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);

    world_apply(w, "/tmp/work.yaml", manifest("exec sleep 600", "    backoffLimit: 0\n"));
    create(w, owner, 2000);
    UNTIL(w, w->failed == 1);
    assert_int_equal(w->error.kind, ERROR_LIMIT);
    assert_non_null(strstr(w->error.text, "LOCAL_JOBS_MAX"));
    world_apply(w, "/tmp/work.yaml", NULL);
}

static void pods_of_jobs_carry_the_template_s_labels(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);
    struct arena *arena = arena_new(ARENA_SMALL);
    struct selector *selector;
    const struct pod_view **pods;
    struct error err;

    world_apply(w, "/tmp/work.yaml", manifest("exec sleep 600", ""));
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "r") == 0);
    assert_true(selector_parse("app=worker,scaledjob.keda.sh/name=work", arena, &selector, &err));
    assert_int_equal(w->platform->ops->pods(w->platform, "default", selector, arena, &pods), 1);
    assert_int_equal(pods[0]->phase, POD_RUNNING);
    arena_free(arena);
}

/* ------------------------------------------------------------------ death of Weir */

/* A Weir of its own makes jobs, waits until `wanted` is their shape, and is killed. */
static void live_and_be_killed(struct world *w, const char *text, int32_t count, const char *wanted)
{
    int alive[2];
    char byte;

    world_close(w);
    assert_int_equal(pipe(alive), 0);
    pid_t pid = fork();
    if (pid == 0) {
        world_open(w, own_path());
        struct job_owner *owner = watch(w, 11);
        world_apply(w, "/tmp/work.yaml", text);
        create(w, owner, count);
        for (int i = 0; i < PATIENCE_TURNS && strcmp(shape(w, owner), wanted) != 0; i++)
            world_turn(w, TURN_MS);
        if (write(alive[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            world_turn(w, 1000);
    }
    close(alive[1]);
    assert_int_equal(read(alive[0], &byte, 1), 1);
    close(alive[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void touch(struct world *w, const char *name)
{
    assert_true(file_write(w->dir, name, "", 0, NULL));
}

/* Each job waits for a file of its ordinal's name in the data directory: "ok" or "bad" decides how it ends. */
static const char decided[] = "echo try; while :; do [ -e $WEIR_VOLUMES/../../../../../ok ] && exit 0; "
                              "[ -e $WEIR_VOLUMES/../../../../../bad ] && exit 1; sleep 0.05; done";

static void jobs_are_adopted_and_counted_once(void **state)
{
    struct world *w = *state;
    char text[4096];

    snprintf(text, sizeof text, "%s", manifest(decided, "    backoffLimit: 0\n"));
    live_and_be_killed(w, text, 2, "rr");
    world_open(w, own_path());
    struct job_owner *owner = watch(w, 12);
    const struct job_view *views;
    assert_string_equal(shape(w, owner), "rr"); /* before any manifest is read */
    assert_int_equal(jobs(w, owner, &views), 2);
    assert_int_equal(views[0].generation, 11);
    world_apply(w, "/tmp/work.yaml", text);
    world_turn(w, 100);
    assert_string_equal(shape(w, owner), "rr");
    touch(w, "ok");
    UNTIL(w, strcmp(shape(w, owner), "ss") == 0);
    assert_int_equal(count_of(job_file(w, owner, "log"), "try"), 1);
    for (int i = 0; i < 2; i++) {
        int64_t finished_at_ms = (jobs(w, owner, &views), views[0].finished_at_ms);
        world_stop(w, true);
        world_open(w, own_path());
        owner = watch(w, 12);
        world_apply(w, "/tmp/work.yaml", text);
        world_turn(w, 50);
        assert_string_equal(shape(w, owner), "ss");
        jobs(w, owner, &views);
        assert_true(views[0].finished_at_ms == finished_at_ms);
    }
}

static void an_end_while_weir_was_down_is_found(void **state)
{
    struct world *w = *state;
    char text[4096];

    snprintf(text, sizeof text, "%s", manifest(decided, "    backoffLimit: 0\n"));
    live_and_be_killed(w, text, 1, "r");
    touch(w, "bad");
    for (int i = 0; i < 500 && processes_of(w) > 0; i++)
        usleep(10 * 1000);
    world_open(w, own_path());
    struct job_owner *owner = watch(w, 12);
    assert_string_equal(shape(w, owner), "f"); /* its own backoffLimit, though no manifest was read yet */
}

static void a_stop_of_weir_is_no_failure(void **state)
{
    struct world *w = *state;
    struct job_owner *owner = watch(w, 1);
    char text[4096];

    snprintf(text, sizeof text, "%s", manifest(decided, "    backoffLimit: 0\n"));
    world_apply(w, "/tmp/work.yaml", text);
    create(w, owner, 1);
    UNTIL(w, strcmp(shape(w, owner), "r") == 0 && count_of(job_file(w, owner, "log"), "try") == 1);
    world_stop(w, false);
    assert_int_equal(processes_of(w), 0);
    touch(w, "ok");
    world_open(w, own_path());
    owner = watch(w, 1);
    world_apply(w, "/tmp/work.yaml", text);
    UNTIL(w, strcmp(shape(w, owner), "s") == 0);
    assert_int_equal(count_of(job_file(w, owner, "log"), "try"), 2);
}

int main(int argc, char **argv)
{
    SHIM_OR_TESTS(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(jobs_succeed_and_fail),
        TEST(failures_are_retried_up_to_the_limit),
        TEST(a_new_pod_for_each_try_waits_longer),
        TEST(a_deadline_ends_a_job),
        TEST(finished_jobs_go_after_their_time),
        TEST(a_deleted_job_ends_and_leaves_nothing),
        TEST(jobs_go_with_their_scaled_job),
        TEST(too_many_jobs_are_refused),
        TEST(pods_of_jobs_carry_the_template_s_labels),
        TEST(jobs_are_adopted_and_counted_once),
        TEST(an_end_while_weir_was_down_is_found),
        TEST(a_stop_of_weir_is_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

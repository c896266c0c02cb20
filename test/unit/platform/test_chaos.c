/*
 * Weirs, shims and commands are killed at random while replicas are scaled up and down at random, and jobs are made. Whatever
 * happens: no ordinal runs twice, no job is tried more often than its ends allow, and in the end there is exactly what is wanted.
 * The seed is fixed; WEIR_TEST_SEED and WEIR_TEST_ROUNDS choose others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim_main.h"

#include "local_world.h"

enum { ROUNDS = 25, ORDINALS = 6, JOBS = 8 };

static uint64_t seed = 1;

static uint32_t draw(uint32_t below) /* SplitMix64 */
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static const char web[] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 2\n"
                          "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
                          "    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n"
                          "        - {name: main, command: [sleep, '600']}\n";
static const char work[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n"
                           "  triggers:\n    - {type: cron, metadata: {timezone: UTC, start: 0 0 * * *, end: 1 0 * * "
                           "*, desiredReplicas: '1'}}\n"
                           "  jobTargetRef:\n    backoffLimit: 0\n    template:\n      spec:\n        containers:\n"
                           "          - {name: main, command: [sh, -c, 'echo try; sleep 0.2']}\n";

/* ------------------------------------------------------------------ what runs */

struct found {
    pid_t pid;
    bool shim;
    int ordinal; /* -1: not a replica's */
};

static bool read_whole(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(out, 1, size - 1, file) : 0;
    out[n] = 0;
    for (size_t i = 0; i < n; i++) {
        if (out[i] == 0)
            out[i] = '\n';
    }
    if (file)
        fclose(file);
    return n > 0;
}

/* Processes of this test's data directory. */
static size_t look(const struct world *w, struct found *out, size_t max)
{
    DIR *proc = opendir("/proc");
    char bytes[16384], wanted[256];
    size_t n = 0;

    snprintf(wanted, sizeof wanted, "WEIR_VOLUMES=%s/local/default/", w->dir);
    for (struct dirent *e; n < max && (e = readdir(proc)) != NULL;) {
        pid_t pid = atoi(e->d_name);
        char *at;
        if (pid <= 0 || !read_whole(pid, "environ", bytes, sizeof bytes) || (at = strstr(bytes, wanted)) == NULL)
            continue;
        out[n] = (struct found){.pid = pid, .ordinal = -1};
        sscanf(at + strlen(wanted), "Deployment.web/%d/", &out[n].ordinal);
        out[n].shim = read_whole(pid, "cmdline", bytes, sizeof bytes) && strncmp(bytes, "weir-shim", 9) == 0;
        n++;
    }
    closedir(proc);
    return n;
}

/* A shim forks before it executes, so for a moment there may be two of one ordinal: one that stays is one too many. */
static void assert_nothing_doubled(const struct world *w)
{
    struct found found[256];
    bool doubled = true;
    int ordinal = 0;

    for (int tries = 0; tries < 50 && doubled; tries++) {
        int shims[ORDINALS] = {0}, mains[ORDINALS] = {0};
        size_t n = look(w, found, 256);
        for (size_t i = 0; i < n; i++) {
            assert_true(found[i].ordinal < ORDINALS);
            if (found[i].ordinal >= 0)
                (found[i].shim ? shims : mains)[found[i].ordinal]++;
        }
        doubled = false;
        for (int i = 0; i < ORDINALS; i++) {
            if (shims[i] > 1 || mains[i] > 1) {
                doubled = true;
                ordinal = i;
            }
        }
        if (doubled)
            usleep(2 * 1000);
    }
    if (doubled)
        fail_msg("replica %d runs twice", ordinal);
}

static void kill_one(const struct world *w)
{
    struct found found[256];
    size_t n = look(w, found, 256);

    if (n == 0)
        return;
    const struct found *victim = &found[draw((uint32_t)n)];
    if (victim->ordinal >= 0) /* jobs are let alone: how often each was tried is asserted in the end */
        kill(victim->pid, SIGKILL);
}

/* ------------------------------------------------------------------ the test */

/* The life of a Weir, which ends when it is killed. The first makes the jobs, and says so. */
static void live(struct world *w, bool first, int told)
{
    world_open(w, own_path());
    struct target *t = world_watch(w, "Deployment", "web");
    struct job_owner *jobs = w->platform->ops->jobs_watch(w->platform, "default", "work", 1, world_changed, w);
    world_apply(w, "/tmp/web.yaml", web);
    world_apply(w, "/tmp/work.yaml", work);
    if (first) {
        w->platform->ops->jobs_create(jobs, JOBS, world_done, w);
        if (write(told, "x", 1) != 1)
            _exit(1);
    }
    for (;;) {
        world_scale(w, t, (int32_t)draw(ORDINALS + 1));
        world_turn(w, 5 + draw(60));
    }
}

static void end_of_jobs(struct world *w, struct job_owner *owner)
{
    const struct job_view *views;
    size_t count = w->platform->ops->jobs(owner, &views);

    assert_int_equal(count, JOBS);
    for (size_t i = 0; i < count; i++) {
        assert_true(views[i].succeeded);
        assert_int_equal(count_of(world_file(w, "ScaledJob.work", views[i].name, "log"), "try"), 1);
    }
}

static size_t finished(struct world *w, struct job_owner *owner)
{
    const struct job_view *views;
    size_t count = w->platform->ops->jobs(owner, &views), n = 0;

    for (size_t i = 0; i < count; i++)
        n += views[i].finished;
    return n;
}

static void nothing_is_doubled_or_lost(void **state)
{
    struct world *w = *state;
    const char *rounds = getenv("WEIR_TEST_ROUNDS"), *chosen = getenv("WEIR_TEST_SEED");
    struct found found[256];

    seed = chosen ? strtoull(chosen, NULL, 10) : 1;
    world_close(w);
    for (int round = 0, last = rounds ? atoi(rounds) : ROUNDS; round < last; round++) {
        int told[2];
        char byte;
        assert_int_equal(pipe(told), 0);
        pid_t pid = fork();
        if (pid == 0)
            live(w, round == 0, told[1]);
        close(told[1]);
        if (round == 0)
            assert_int_equal(read(told[0], &byte, 1), 1);
        usleep((1 + draw(250)) * 1000);
        close(told[0]);
        kill_one(w);
        assert_nothing_doubled(w);
        usleep(draw(100) * 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (draw(2) == 0)
            kill_one(w);
        seed += (uint64_t)round; /* the child's draws are not ours */
    }
    world_open(w, own_path());
    struct target *t = world_watch(w, "Deployment", "web");
    struct job_owner *jobs = w->platform->ops->jobs_watch(w->platform, "default", "work", 1, world_changed, w);
    world_apply(w, "/tmp/web.yaml", web);
    world_apply(w, "/tmp/work.yaml", work);
    /* Those that were killed often back off for minutes; down to none and up again, they start anew. */
    world_scale(w, t, 0);
    UNTIL(w, world_view(w, t).status_replicas == 0 && finished(w, jobs) == JOBS);
    UNTIL(w, look(w, found, 256) == 0);
    world_scale(w, t, 4);
    UNTIL(w, world_view(w, t).ready_replicas == 4);
    UNTIL(w, look(w, found, 256) == 8); /* four shims, four commands */
    assert_nothing_doubled(w);
    end_of_jobs(w, jobs);
}

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

int main(int argc, char **argv)
{
    SHIM_OR_TESTS(argc, argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(nothing_is_doubled_or_lost, setup, teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * local_world: a local platform on a real loop in a directory of its own, manifests as text, and a way to wait for things.
 *
 *     world_apply(w, "web.yaml", "apiVersion: apps/v1\nkind: Deployment\n...");
 *     UNTIL(w, ready(w, "web") == 2);
 */
#ifndef WEIR_TEST_LOCAL_WORLD_H
#define WEIR_TEST_LOCAL_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "net/transport.h"
#include "platform/local/files.h"
#include "platform/local/local.h"
#include "platform/platform.h"

enum { TURN_MS = 10, PATIENCE_TURNS = 2000 };

struct world {
    char dir[64];
    struct loop *loop;
    struct transport *transport;
    struct platform *platform;
    struct timer *timer;
    struct report *report;
    int changes, done, failed;
    struct error error;
};

#define UNTIL(w, condition)                                                                                            \
    do {                                                                                                               \
        int turns_left = PATIENCE_TURNS;                                                                               \
        while (!(condition) && turns_left-- > 0)                                                                       \
            world_turn(w, TURN_MS);                                                                                    \
        if (!(condition))                                                                                              \
            fail_msg("never: %s", #condition);                                                                         \
    } while (0)

static inline void world_halt(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

static inline void world_turn(struct world *w, int64_t ms)
{
    loop_timer_set(w->timer, ms);
    loop_run(w->loop);
}

static inline void world_done(void *arg, const struct error *err)
{
    struct world *w = arg;

    w->done++;
    if (err != NULL) {
        w->failed++;
        w->error = *err;
    }
}

static inline void world_changed(void *arg)
{
    ((struct world *)arg)->changes++;
}

static inline void world_open(struct world *w, const char *shim)
{
    struct error err;
    struct local_options options = {.data_dir = w->dir, .shim = shim, .base_dir = "/tmp"};

    if (!loop_new_real(&w->loop, &err) ||
        !transport_new_real(w->loop, &(struct transport_options){0}, &w->transport, &err) ||
        !platform_new_local(w->loop, w->transport, &options, &w->platform, &err))
        fail_msg("cannot open: %s", err.text);
    w->timer = loop_timer_new(w->loop, world_halt, w);
}

static inline void world_close(struct world *w)
{
    w->platform->ops->free(w->platform);
    transport_free(w->transport);
    loop_timer_free(w->timer);
    loop_free(w->loop);
    w->platform = NULL;
}

static inline void world_stop(struct world *w, bool leave_running)
{
    int before = w->done;

    w->platform->ops->stop(w->platform, leave_running, world_done, w);
    UNTIL(w, w->done > before);
    world_close(w);
}

static inline void world_apply(struct world *w, const char *file, const char *text)
{
    struct manifest *m = NULL;

    if (text != NULL)
        manifest_read(file, text, strlen(text), &(struct manifest_options){.local = true}, w->report, &m);
    w->platform->ops->manifest_set(w->platform, file, m, w->report);
    manifest_free(m);
}

static inline void world_no_findings(struct world *w)
{
    for (size_t i = 0; i < report_count(w->report); i++) {
        const struct finding *f = report_at(w->report, i);
        if (f->severity != FINDING_ADVICE)
            fail_msg("%s: %s", f->field, f->text);
    }
}

static inline struct target *world_watch(struct world *w, const char *kind, const char *name)
{
    return w->platform->ops->target_watch(
        w->platform, &(struct target_key){.ns = "default", .api_version = "apps/v1", .kind = kind, .name = name},
        world_changed, w);
}

static inline struct target_view world_view(struct world *w, struct target *t)
{
    struct target_view view;

    w->platform->ops->target_view(t, &view);
    return view;
}

static inline size_t world_pods(struct world *w, struct target *t, const struct pod_view **pods)
{
    return w->platform->ops->target_pods(t, pods);
}

static inline void world_scale(struct world *w, struct target *t, int32_t replicas)
{
    w->platform->ops->target_scale(t, replicas, "a test", world_done, w);
}

/* What a file of a replica's directory says; static. */
static inline const char *world_file(struct world *w, const char *workload, const char *replica, const char *name)
{
    static char bytes[8192];
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/local/default/%s/%s/%s", w->dir, workload, replica, name);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(bytes, 1, sizeof bytes - 1, file) : 0;
    bytes[n] = 0;
    if (file)
        fclose(file);
    return bytes;
}

static inline int count_of(const char *text, const char *part)
{
    int count = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* The process number in "main N START" of a replica. */
static inline pid_t main_of(struct world *w, const char *workload, const char *replica)
{
    const char *line = strstr(world_file(w, workload, replica, "process"), "main ");

    return line ? atoi(line + 5) : 0;
}

static inline pid_t shim_of(struct world *w, const char *workload, const char *replica)
{
    const char *line = strstr(world_file(w, workload, replica, "process"), "shim ");

    return line ? atoi(line + 5) : 0;
}

static inline bool is_running(pid_t pid)
{
    char path[64], line[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid > 0 ? fopen(path, "r") : NULL;
    if (file == NULL)
        return false;
    bool alive = fgets(line, sizeof line, file) != NULL && strrchr(line, ')')[2] != 'Z';
    fclose(file);
    return alive;
}

/* Processes that still run with the data directory in their environment: none may be left by a test. */
static inline int processes_of(const struct world *w)
{
    DIR *proc = opendir("/proc");
    int found = 0;

    for (struct dirent *e; proc && (e = readdir(proc)) != NULL;) {
        char path[300], bytes[16384];
        snprintf(path, sizeof path, "/proc/%s/environ", e->d_name);
        FILE *file = atoi(e->d_name) > 0 ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        size_t n = fread(bytes, 1, sizeof bytes - 1, file);
        fclose(file);
        found += memmem(bytes, n, w->dir, strlen(w->dir)) != NULL;
    }
    if (proc)
        closedir(proc);
    return found;
}

static inline struct world *world_new(const char *shim)
{
    struct world *w = mem_alloc(sizeof *w);

    snprintf(w->dir, sizeof w->dir, "/tmp/weir-local-test-XXXXXX");
    if (mkdtemp(w->dir) == NULL)
        fail_msg("no directory");
    w->report = report_new();
    world_open(w, shim);
    return w;
}

static inline void world_free(struct world *w)
{
    if (w->platform != NULL)
        world_stop(w, false);
    for (int i = 0; i < 200 && processes_of(w) > 0; i++)
        usleep(10 * 1000);
    assert_int_equal(processes_of(w), 0);
    dir_remove(w->dir, NULL);
    report_free(w->report);
    free(w);
}

#endif

/*
 * local: the platform's table over groups and jobsets, and what they share: notices, turns, usage, events, start and stop.
 *
 * Nothing is told from inside a call: changes mark notices and workloads due, and one flush in a later turn starts a few
 * processes, then tells those who watch. Only one Weir works in a data directory: it holds a lock on local/.lock
 * (no namespace begins with a dot).
 */
#include "platform/local/local_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"

enum {
    ORPHANS_AFTER_MS = 15 * 1000, /* after the start: the manifests have been read by then */
    ORPHANS_PERIOD_MS = 60 * 1000,
    LOCK_TRIES = 10,
    LOCK_PAUSE_MS = 20,
};

static struct local *local_of(struct platform *platform)
{
    return (struct local *)platform;
}

int64_t local_now_ms(const struct local *local)
{
    return loop_now_ms(local->loop);
}

/* ------------------------------------------------------------------ turns and notices */

static void arm_flush(struct local *local)
{
    loop_timer_set(local->flush_timer, 0);
}

void notice_mark(struct local *local, struct notice *notice)
{
    if (notice->due)
        return;
    notice->due = true;
    notice->next_due = local->due;
    local->due = notice;
    arm_flush(local);
}

static void take_off(struct notice **list, const struct notice *notice)
{
    for (; *list != NULL; list = &(*list)->next_due) {
        if (*list == notice) {
            *list = notice->next_due;
            return;
        }
    }
}

void notice_forget(struct local *local, struct notice *notice)
{
    if (!notice->due)
        return;
    take_off(&local->due, notice);
    take_off(&local->telling, notice);
}

void local_due_group(struct local *local, struct group *group)
{
    if (group->due)
        return;
    group->due = true;
    group->next_due = local->due_groups;
    local->due_groups = group;
    arm_flush(local);
}

void local_due_jobset(struct local *local, struct jobset *set)
{
    if (set->due)
        return;
    set->due = true;
    set->next_due = local->due_jobsets;
    local->due_jobsets = set;
    arm_flush(local);
}

static void reconcile_due(struct local *local)
{
    int starts_left = STARTS_PER_TURN_MAX;
    struct group *groups = local->due_groups;
    struct jobset *sets = local->due_jobsets;

    local->due_groups = NULL;
    local->due_jobsets = NULL;
    while (groups != NULL) {
        struct group *group = groups;
        groups = group->next_due;
        group->due = false;
        group_reconcile(group, &starts_left);
        group_forget_if_unused(group);
    }
    while (sets != NULL) {
        struct jobset *set = sets;
        sets = set->next_due;
        set->due = false;
        jobset_reconcile(set, &starts_left);
    }
}

/* Those told may watch and unwatch as they like: each is taken off before it is called, and what they mark is told later. */
static void on_flush(void *arg)
{
    struct local *local = arg;

    reconcile_due(local);
    local->telling = local->due;
    local->due = NULL;
    while (local->telling != NULL) {
        struct notice *notice = local->telling;
        local->telling = notice->next_due;
        notice->due = false;
        notice->changed(notice->arg);
    }
}

/* ------------------------------------------------------------------ answers in a later turn */

struct answer {
    platform_done *done;
    void *arg;
    bool failed;
    struct error error;
};

static void on_answer(void *arg)
{
    struct answer *answer = arg;

    answer->done(answer->arg, answer->failed ? &answer->error : NULL);
    free(answer);
}

static void answer_later(struct local *local, platform_done *done, void *arg, bool good, const struct error *err)
{
    if (done == NULL)
        return;
    struct answer *answer = mem_alloc(sizeof *answer);
    *answer = (struct answer){.done = done, .arg = arg, .failed = !good};
    if (!good)
        answer->error = *err;
    loop_post(local->loop, on_answer, answer);
}

/* ------------------------------------------------------------------ targets */

static struct target *target_watch(struct platform *platform, const struct target_key *key, platform_changed *changed,
                                   void *arg)
{
    struct group *group = group_get(local_of(platform), key->kind ? key->kind : "Deployment", key->ns, key->name);
    struct target *target = mem_alloc(sizeof *target);

    *target = (struct target){.notice = {.changed = changed, .arg = arg}, .group = group, .next = group->targets};
    group->targets = target;
    return target;
}

static void target_unwatch(struct target *target)
{
    struct group *group = target->group;

    for (struct target **at = &group->targets; *at != NULL; at = &(*at)->next) {
        if (*at == target) {
            *at = target->next;
            break;
        }
    }
    notice_forget(group->local, &target->notice);
    free(target);
    local_due_group(group->local, group); /* forgets it, should nobody else care */
}

static void target_view(struct target *target, struct target_view *out)
{
    group_view(target->group, out);
}

static size_t target_pods(struct target *target, const struct pod_view **out)
{
    return group_pods(target->group, out);
}

static void target_scale(struct target *target, int32_t replicas, const char *reason, platform_done *done, void *arg)
{
    struct group *group = target->group;
    struct error err = {0};
    char text[400];
    int32_t before = group->replicas;
    bool good = group_scale(group, replicas, &err);

    if (before != replicas) {
        snprintf(text, sizeof text, "from %d to %d: %.300s", (int)before, (int)replicas,
                 good ? reason ? reason : "" : err.text);
        local_event(group->local, group->ns, group->kind, group->name, !good, good ? "Scaled" : "FailedScale", text);
    }
    answer_later(group->local, done, arg, good, &err);
}

static const struct spec_env *container_env(const struct spec *spec, const char *container)
{
    if (container == NULL || container[0] == 0 || strcmp(container, spec->env.container) == 0)
        return &spec->env;
    for (size_t i = 0; i < spec->other_count; i++) {
        if (strcmp(spec->others[i].container, container) == 0)
            return &spec->others[i];
    }
    return NULL;
}

static enum lookup target_env(struct platform *platform, const struct target_key *key, const char *container,
                              const char *name, struct secret **out)
{
    struct local *local = local_of(platform);
    const char *kind = key->kind ? key->kind : "Deployment";
    const struct spec *spec = NULL;

    if (strcmp(kind, "ScaledJob") == 0 || strcmp(kind, "Job") == 0) {
        struct jobset *set = jobset_find(local, key->ns, key->name);
        spec = set ? set->spec : NULL;
    } else {
        struct group *group = group_find(local, kind, key->ns, key->name);
        spec = group ? group->spec : NULL;
    }
    const struct spec_env *env = spec ? container_env(spec, container) : NULL;
    return env != NULL && environment_value(env, key->ns, local->configs, name, out, NULL) ? LOOKUP_FOUND
                                                                                           : LOOKUP_ABSENT;
}

/* ------------------------------------------------------------------ pods */

struct pod_search {
    const char *ns;
    const struct selector *selector;
    struct arena *arena;
    const struct pod_view **list;
    size_t count, capacity;
};

static void consider(struct pod_search *search, const struct pod_view *pod)
{
    if (search->selector != NULL && !selector_matches(search->selector, pod->labels, pod->label_count))
        return;
    if (search->count == search->capacity) {
        const struct pod_view **old = search->list;
        search->capacity = search->capacity ? search->capacity * 2 : 32;
        search->list = arena_array(search->arena, search->capacity, sizeof(struct pod_view *));
        if (search->count > 0)
            memcpy(search->list, old, search->count * sizeof(struct pod_view *));
    }
    struct pod_view *copy = arena_alloc(search->arena, sizeof *copy);
    *copy = *pod;
    search->list[search->count++] = copy;
}

static size_t pods(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                   const struct pod_view ***out)
{
    struct local *local = local_of(platform);
    struct pod_search search = {.ns = ns, .selector = selector, .arena = arena};
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        const struct pod_view *views;
        size_t count = strcmp(group->ns, ns) == 0 ? group_pods(group, &views) : 0;
        for (size_t i = 0; i < count; i++)
            consider(&search, &views[i]);
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        struct pod_view view;
        for (size_t i = 0; strcmp(set->ns, ns) == 0 && i < set->count; i++) {
            job_view(set->list[i], &view);
            consider(&search, &view);
        }
    }
    *out = search.list;
    return search.count;
}

/* ------------------------------------------------------------------ jobs */

static struct job_owner *jobs_watch(struct platform *platform, const char *ns, const char *name, uint64_t generation,
                                    platform_changed *changed, void *arg)
{
    struct jobset *set = jobset_get(local_of(platform), ns, name);
    struct job_owner *owner = mem_alloc(sizeof *owner);

    *owner = (struct job_owner){
        .notice = {.changed = changed, .arg = arg}, .set = set, .generation = generation, .next = set->owners};
    set->owners = owner;
    return owner;
}

static void jobs_unwatch(struct job_owner *owner)
{
    struct jobset *set = owner->set;

    for (struct job_owner **at = &set->owners; *at != NULL; at = &(*at)->next) {
        if (*at == owner) {
            *at = owner->next;
            break;
        }
    }
    notice_forget(set->local, &owner->notice);
    free(owner);
}

static size_t jobs(struct job_owner *owner, const struct job_view **out)
{
    return jobset_views(owner->set, out);
}

static void jobs_create(struct job_owner *owner, int32_t count, platform_done *done, void *arg)
{
    struct error err = {0};
    bool good = jobset_create(owner->set, count, owner->generation, &err);

    if (!good)
        local_event(owner->set->local, owner->set->ns, "ScaledJob", owner->set->name, true, "KEDAJobCreateFailed",
                    err.text);
    answer_later(owner->set->local, done, arg, good, &err);
}

static void delete_job(struct job_owner *owner, const char *job_name)
{
    jobset_delete(owner->set, job_name);
}

/* ------------------------------------------------------------------ data */

static enum lookup data_get(struct platform *platform, bool secret, const char *ns, const char *name, const char *key,
                            struct secret **out)
{
    const struct config_object *object = config_find(local_of(platform)->configs, secret, ns, name);
    struct secret *value = object ? config_value_of(object, key) : NULL;

    if (value == NULL)
        return LOOKUP_ABSENT;
    *out = secret_ref(value);
    return LOOKUP_FOUND;
}

static enum lookup secret_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    return data_get(platform, true, ns, name, key, out);
}

static enum lookup config_get(struct platform *platform, const char *ns, const char *name, const char *key,
                              struct secret **out)
{
    return data_get(platform, false, ns, name, key, out);
}

static void on_data_change(struct platform *platform, void (*changed)(void *arg, const char *ns, const char *name),
                           void *arg)
{
    struct local *local = local_of(platform);

    local->data_watches = mem_grow(local->data_watches, local->data_watch_count + 1, sizeof *local->data_watches);
    local->data_watches[local->data_watch_count++] = (struct data_watch){changed, arg};
}

/* Called while a file is taken over; those told look the new values up, which are there already. */
static void config_was_changed(void *arg, const char *ns, const char *name)
{
    struct local *local = arg;
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        if (strcmp(group->ns, ns) == 0)
            group_changed_data(group, name);
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        if (strcmp(set->ns, ns) == 0)
            jobset_changed_data(set, name);
    }
    for (size_t i = 0; i < local->data_watch_count; i++)
        local->data_watches[i].changed(local->data_watches[i].arg, ns, name);
}

/* ------------------------------------------------------------------ events */

static void rotate_events(const char *path)
{
    char old[PATH_MAX];
    struct stat st;

    if (stat(path, &st) == 0 && st.st_size >= LOCAL_EVENTS_MAX_BYTES &&
        snprintf(old, sizeof old, "%s.1", path) < (int)sizeof old)
        rename(path, old);
}

void local_event(struct local *local, const char *ns, const char *kind, const char *name, bool warning,
                 const char *reason, const char *text)
{
    char path[PATH_MAX], now[40];

    if (snprintf(path, sizeof path, "%s/events.log", local->root) >= (int)sizeof path)
        return;
    rotate_events(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return; /* events are a convenience; what matters is in the views */
    instant_format_ms(local_now_ms(local), now, sizeof now);
    dprintf(fd, "%s %s %s %s/%s %s: %.*s\n", now, warning ? "Warning" : "Normal", kind, ns, name, reason,
            (int)strcspn(text, "\n"), text);
    close(fd);
}

static void event(struct platform *platform, const char *ns, const char *kind, const char *name, bool warning,
                  const char *reason, const char *text)
{
    local_event(local_of(platform), ns, kind, name, warning, reason, text);
}

/* ------------------------------------------------------------------ manifests */

static bool manifest_names_workload(const struct manifest *m, const struct group *group)
{
    for (size_t i = 0; m != NULL && i < m->workload_count; i++) {
        const struct object_meta *meta = &m->workloads[i].meta;
        if (string_equal(meta->kind, group->kind) && string_equal(meta->ns, group->ns) &&
            string_equal(meta->name, group->name))
            return true;
    }
    return false;
}

static bool manifest_names_job(const struct manifest *m, const struct jobset *set)
{
    for (size_t i = 0; m != NULL && i < m->scaled_job_count; i++) {
        const struct object_meta *meta = &m->scaled_jobs[i].meta;
        if (string_equal(meta->ns, set->ns) && string_equal(meta->name, set->name))
            return true;
    }
    return false;
}

/* Between manifests_begin and manifests_end, what the file does not name any more waits for another file to name it. */
static void remove_unnamed(struct local *local, const char *file, const struct manifest *m)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        if (!string_equal(group->file, file) || group->removed)
            continue;
        if (manifest_names_workload(m, group)) {
            group->claimed |= group->released;
            group->released = false;
        } else if (!group->released) {
            group_remove(group);
        }
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        if (!string_equal(set->file, file) || set->removed)
            continue;
        if (manifest_names_job(m, set)) {
            set->claimed |= set->released;
            set->released = false;
        } else if (!set->released) {
            jobset_remove(set);
        }
    }
}

static void release(struct local *local, const char *file)
{
    const char *key;
    void *value;

    config_store_release(local->configs, file);
    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        group->released |= group->claimed && string_equal(group->file, file);
        group->claimed &= !group->released;
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        set->released |= set->claimed && string_equal(set->file, file);
        set->claimed &= !set->released;
    }
}

static bool usable(const struct object_meta *meta, struct report *report)
{
    if (meta->broken)
        return false; /* said by the reader; what runs keeps running */
    if (local_name_is_good(meta->name) && local_name_is_good(meta->ns))
        return true;
    report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = "bad-name", .place = meta->place},
               "metadata.name", "use lower-case letters, digits and dashes, at most 200 of them",
               "the name cannot be a directory's");
    return false;
}

/* The directory of a manifest's file, absolute; for one that is no file (standard input) that of Weir. */
static char *directory_of(const struct local *local, const char *file)
{
    char resolved[PATH_MAX];

    if (realpath(file, resolved) == NULL)
        return mem_copy(local->base_dir);
    *strrchr(resolved, '/') = 0;
    return mem_copy(resolved[0] ? resolved : "/");
}

static char *absolute_file(const struct local *local, const char *file)
{
    char *out = NULL;

    if (file[0] == '/' || asprintf(&out, "%s/%s", local->base_dir, file) < 0)
        return mem_copy(file);
    return out;
}

static void manifest_set(struct platform *platform, const char *file, const struct manifest *m, struct report *report)
{
    struct local *local = local_of(platform);
    char *key = absolute_file(local, file), *dir = directory_of(local, file);

    config_store_set(local->configs, key, m, report);
    event_sources_set(local->event_sources, key, m);
    remove_unnamed(local, key, m);
    for (size_t i = 0; m != NULL && i < m->workload_count; i++) {
        const struct object_meta *meta = &m->workloads[i].meta;
        if (usable(meta, report))
            group_set(group_get(local, meta->kind, meta->ns, meta->name), key, dir, &m->workloads[i], report);
    }
    for (size_t i = 0; m != NULL && i < m->scaled_job_count; i++) {
        const struct object_meta *meta = &m->scaled_jobs[i].meta;
        if (usable(meta, report))
            jobset_set(jobset_get(local, meta->ns, meta->name), key, dir, &m->scaled_jobs[i], report);
    }
    free(key);
    free(dir);
}

static void event_sources_watch(struct platform *platform, const struct event_source_listener *listener)
{
    event_sources_listen(local_of(platform)->event_sources, listener);
}

static void manifests_begin(struct platform *platform, const char *const *files, size_t count)
{
    struct local *local = local_of(platform);

    event_sources_hold(local->event_sources, true);
    for (size_t i = 0; i < count; i++) {
        char *key = absolute_file(local, files[i]);
        release(local, key);
        free(key);
    }
}

static void manifests_end(struct platform *platform)
{
    struct local *local = local_of(platform);
    const char *key;
    void *value;

    event_sources_hold(local->event_sources, false);
    config_store_settle(local->configs);
    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        if (group->released)
            group_remove(group);
        group->released = false;
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        if (set->released)
            jobset_remove(set);
        set->released = false;
    }
}

/* What was left by an earlier Weir and whose file is gone. */
static bool is_orphan(const char *file, bool claimed, bool removed)
{
    return !claimed && !removed && file != NULL && access(file, F_OK) != 0 && errno == ENOENT;
}

static void on_orphans(void *arg)
{
    struct local *local = arg;
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);) {
        struct group *group = value;
        if (is_orphan(group->file, group->claimed, group->removed))
            group_remove(group);
    }
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        if (is_orphan(set->file, set->claimed, set->removed))
            jobset_remove(set);
    }
    loop_timer_set(local->orphan_timer, ORPHANS_PERIOD_MS);
}

/* ------------------------------------------------------------------ stop */

static size_t count_living(const struct local *local)
{
    const char *key;
    void *value;
    size_t living = 0;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);)
        living += group_living(value);
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);)
        living += jobset_living(value);
    return living;
}

void local_check_stopped(struct local *local)
{
    if (!local->stopping || local->stop_done == NULL || count_living(local) > 0)
        return;
    answer_later(local, local->stop_done, local->stop_arg, true, NULL);
    local->stop_done = NULL;
}

static void terminate_group(struct group *group)
{
    for (size_t i = group->count; i > 0; i--) {
        if (group->list[i - 1] != NULL)
            replica_event(group->list[i - 1], REPLICA_REMOVE);
    }
}

static void stop(struct platform *platform, bool leave_running, platform_done *done, void *arg)
{
    struct local *local = local_of(platform);
    const char *key;
    void *value;

    assert(!local->stopping);
    local->stopping = true;
    local->stop_done = done;
    local->stop_arg = arg;
    loop_timer_stop(local->orphan_timer);
    if (leave_running) {
        answer_later(local, done, arg, true, NULL);
        local->stop_done = NULL;
        return;
    }
    for (size_t at = 0; map_next(local->groups, &at, &key, &value);)
        terminate_group(value);
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);) {
        struct jobset *set = value;
        for (size_t i = 0; i < set->count; i++)
            job_stop(set->list[i]);
    }
    local_check_stopped(local);
}

static void local_free(struct platform *platform)
{
    struct local *local = local_of(platform);
    const char *key;
    void *value;

    for (size_t at = 0; map_next(local->groups, &at, &key, &value);)
        group_free(value);
    for (size_t at = 0; map_next(local->jobsets, &at, &key, &value);)
        jobset_free(value);
    map_free(local->groups);
    map_free(local->jobsets);
    event_sources_free(local->event_sources);
    config_store_free(local->configs);
    loop_timer_free(local->flush_timer);
    loop_timer_free(local->usage_timer);
    loop_timer_free(local->orphan_timer);
    if (local->lock_fd >= 0)
        close(local->lock_fd);
    free(local->data_watches);
    free(local->root);
    free(local->shim);
    free(local->base_dir);
    free(local);
}

static const struct platform_ops ops = {
    .name = "local",
    .no_hpa = "cannot be had on one machine: there is no HorizontalPodAutoscaler to feed",
    .target_watch = target_watch,
    .target_unwatch = target_unwatch,
    .target_view = target_view,
    .target_pods = target_pods,
    .target_scale = target_scale,
    .target_env = target_env,
    .pods = pods,
    .jobs_watch = jobs_watch,
    .jobs_unwatch = jobs_unwatch,
    .jobs = jobs,
    .jobs_create = jobs_create,
    .job_delete = delete_job,
    .secret_get = secret_get,
    .config_get = config_get,
    .on_data_change = on_data_change,
    .event = event,
    .event_sources_watch = event_sources_watch,
    .manifest_set = manifest_set,
    .manifests_begin = manifests_begin,
    .manifests_end = manifests_end,
    .stop = stop,
    .free = local_free,
};

/* ------------------------------------------------------------------ start */

/* A Weir that was killed a moment ago may still hold it, through a child that it was just starting. */
static bool lock_soon(int fd)
{
    for (int tries = LOCK_TRIES; flock(fd, LOCK_EX | LOCK_NB) != 0; tries--) {
        if (errno != EWOULDBLOCK || tries == 0)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000 * 1000}, NULL);
    }
    return true;
}

static bool lock_directory(struct local *local, struct error *err)
{
    char path[PATH_MAX], holder[32] = "";

    if (snprintf(path, sizeof path, "%s/.lock", local->root) >= (int)sizeof path)
        return error_set_machine(err, ENAMETOOLONG, "lock", local->root);
    local->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (local->lock_fd < 0)
        return error_set_machine(err, errno, "lock", path);
    if (!lock_soon(local->lock_fd)) {
        if (errno != EWOULDBLOCK)
            return error_set_machine(err, errno, "lock", path);
        ssize_t n = read(local->lock_fd, holder, sizeof holder - 1);
        holder[n > 0 ? n : 0] = 0;
        return error_set(err, ERROR_INVALID,
                         "another weir (process %.*s) already works in %s; stop it, or give this one its own "
                         "--data-dir",
                         (int)strcspn(holder, "\n"), holder[0] ? holder : "unknown", local->root);
    }
    if (ftruncate(local->lock_fd, 0) == 0)
        dprintf(local->lock_fd, "%d\n", (int)getpid());
    return true;
}

static char *shim_beside_us(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    char *out = NULL;
    if (slash == NULL || asprintf(&out, "%.*s/weir-shim", (int)(slash - path), path) < 0)
        return mem_copy("weir-shim");
    return out;
}

static char *absolute_root(const char *data_dir, struct error *err)
{
    char resolved[PATH_MAX], *out = NULL;

    if (!dir_make(data_dir, err))
        return NULL;
    if (realpath(data_dir, resolved) == NULL || asprintf(&out, "%s/local", resolved) < 0) {
        error_set_machine(err, errno, "use", data_dir);
        return NULL;
    }
    if (dir_make(out, err))
        return out;
    free(out);
    return NULL;
}

static char *base_directory(const char *base_dir)
{
    char resolved[PATH_MAX];

    return mem_copy(realpath(base_dir ? base_dir : ".", resolved) ? resolved : "/");
}

static bool check_shim(const char *shim, struct error *err)
{
    return access(shim, X_OK) == 0 ||
           error_set(err, ERROR_MISSING, "cannot use %s: %s; weir-shim belongs beside the weir program", shim,
                     strerror(errno));
}

bool platform_new_local(struct loop *real, struct transport *transport, const struct local_options *options,
                        struct platform **out, struct error *err)
{
    char *root = absolute_root(options->data_dir, err);

    if (root == NULL)
        return false;
    struct local *local = mem_alloc(sizeof *local);
    *local = (struct local){.platform = {.ops = &ops},
                            .loop = real,
                            .base = loop_event_base(real),
                            .transport = transport,
                            .root = root,
                            .shim = options->shim ? mem_copy(options->shim) : shim_beside_us(),
                            .base_dir = base_directory(options->base_dir),
                            .lock_fd = -1,
                            .groups = map_new(),
                            .jobsets = map_new()};
    local->configs = config_store_new(config_was_changed, local);
    local->event_sources = event_sources_new();
    local->flush_timer = loop_timer_new(real, on_flush, local);
    local->usage_timer = loop_timer_new(real, local_on_usage, local);
    local->orphan_timer = loop_timer_new(real, on_orphans, local);
    if (!check_shim(local->shim, err) || !lock_directory(local, err)) {
        local_free(&local->platform);
        return false;
    }
    local_scan(local);
    loop_timer_set(local->orphan_timer, ORPHANS_AFTER_MS);
    *out = &local->platform;
    return true;
}

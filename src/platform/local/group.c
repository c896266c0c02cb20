/*
 * group: a Deployment or StatefulSet: how many replicas there are to be, and with which template. Which of them start, go or are
 * renewed is planned by lifecycle.c; here the plan is carried out, a few starts a turn.
 *
 * The wanted count is kept in the directory (`workload`): what was scaled stays scaled over restarts and edits of the manifest,
 * whose `replicas` counts only at first sight, as with a HorizontalPodAutoscaler.
 */
#include "platform/local/local_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "platform/local/volume.h"

/* ------------------------------------------------------------------ find, make, free */

/* Names of targets come from ScaledObjects and may be anything. */
static char *key_of(const char *kind, const char *ns, const char *name)
{
    char *key;

    if (asprintf(&key, "%s %s/%s", kind, ns, name) < 0)
        abort();
    return key;
}

struct group *group_find(struct local *local, const char *kind, const char *ns, const char *name)
{
    char *key = key_of(kind, ns, name);
    struct group *group = map_get(local->groups, key);

    free(key);
    return group;
}

struct group *group_get(struct local *local, const char *kind, const char *ns, const char *name)
{
    struct group *group = group_find(local, kind, ns, name);
    struct text dir;

    if (group != NULL)
        return group;
    group = mem_alloc(sizeof *group);
    text_init(&dir, PATH_MAX);
    text_printf(&dir, "%s/%s/%s.%s", local->root, ns, kind, name);
    *group = (struct group){.local = local,
                            .kind = mem_copy(kind),
                            .ns = mem_copy(ns),
                            .name = mem_copy(name),
                            .dir = text_take(&dir),
                            .ordered = strcmp(kind, "StatefulSet") == 0,
                            .replicas = -1};
    text_done(&dir);
    char *key = key_of(kind, ns, name);
    map_put(local->groups, key, group);
    free(key);
    return group;
}

void group_free(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->list[i] != NULL)
            replica_free(group->list[i]);
    }
    while (group->targets != NULL) {
        struct target *target = group->targets;
        group->targets = target->next;
        notice_forget(group->local, &target->notice);
        free(target);
    }
    free(group->list);
    free(group->views);
    spec_unref(group->spec);
    free(group->kind);
    free(group->ns);
    free(group->name);
    free(group->file);
    free(group->dir);
    free(group);
}

void group_forget_if_unused(struct group *group)
{
    if (group->due || group->file != NULL || group->count != 0 || group->targets != NULL || group->spec != NULL)
        return;
    char *key = key_of(group->kind, group->ns, group->name);
    map_remove(group->local->groups, key);
    free(key);
    group_free(group);
}

void group_changed(struct group *group)
{
    for (struct target *t = group->targets; t != NULL; t = t->next)
        notice_mark(group->local, &t->notice);
    local_due_group(group->local, group);
}

size_t group_living(const struct group *group)
{
    size_t living = 0;

    for (size_t i = 0; i < group->count; i++)
        living += group->list[i] != NULL && replica_state_lives(group->list[i]->state);
    return living;
}

/* ------------------------------------------------------------------ the wanted count */

static bool write_workload(const struct group *group, struct error *err)
{
    struct record record = {.bytes = ""};

    record_put(&record, "kind", group->kind);
    record_put(&record, "file", group->file ? group->file : "");
    record_put_integer(&record, "replicas", group->replicas);
    return dir_make(group->dir, err) && record_write(group->dir, "workload", &record, err);
}

bool group_scale(struct group *group, int32_t replicas, struct error *err)
{
    if (group->spec == NULL || group->removed)
        return error_set(err, ERROR_MISSING, "%s %s/%s is in no manifest, so it cannot be scaled", group->kind,
                         group->ns, group->name);
    if (replicas < 0 || replicas > LOCAL_REPLICAS_MAX)
        return error_set(err, ERROR_LIMIT,
                         "%d replicas of %s %s/%s are not possible on one machine: the bound is %d "
                         "(LOCAL_REPLICAS_MAX); lower maxReplicaCount",
                         (int)replicas, group->kind, group->ns, group->name, LOCAL_REPLICAS_MAX);
    if (group->replicas == replicas)
        return true;
    group->replicas = replicas; /* in force even if it cannot be written down */
    group_changed(group);
    return write_workload(group, err);
}

/* ------------------------------------------------------------------ what a manifest says */

static void report_on(struct report *report, const struct object_meta *meta, const char *code, const char *field,
                      const char *remedy, const char *text)
{
    report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = code, .place = meta->place}, field, remedy,
               "%s", text);
}

/* The count at first sight. */
static int32_t first_replicas(const struct group *group, const struct workload *workload, struct report *report)
{
    int32_t written = -1, stated = workload->replicas >= 0 ? workload->replicas : 1;
    char kind[64], file[PATH_MAX];

    if (local_read_workload(group->dir, kind, sizeof kind, file, sizeof file, &written) && written >= 0)
        return written < LOCAL_REPLICAS_MAX ? written : LOCAL_REPLICAS_MAX;
    if (stated <= LOCAL_REPLICAS_MAX)
        return stated;
    report_on(report, &workload->meta, "limit", "spec.replicas", "write a smaller number",
              "more replicas than one machine may run (LOCAL_REPLICAS_MAX, 1024); that many are started");
    return LOCAL_REPLICAS_MAX;
}

static bool take_file(struct group *group, const char *file, const struct object_meta *meta, struct report *report)
{
    char text[PATH_MAX + 300];

    if (group->claimed && group->file != NULL && strcmp(group->file, file) != 0) {
        snprintf(text, sizeof text, "%s %s/%s is already defined in %s", group->kind, group->ns, group->name,
                 group->file);
        report_on(report, meta, "duplicate", "metadata.name", "remove one of the two", text);
        return false;
    }
    if (group->file == NULL || strcmp(group->file, file) != 0) {
        free(group->file);
        group->file = mem_copy(file);
    }
    return true;
}

static void recognize(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        if (group->list[i] != NULL)
            replica_recognize(group->list[i]);
    }
}

void group_set(struct group *group, const char *file, const char *file_dir, const struct workload *workload,
               struct report *report)
{
    struct error err = {0};

    if (!take_file(group, file, &workload->meta, report))
        return;
    group->claimed = true;
    group->released = false;
    struct spec *spec = spec_new(&workload->template, &workload->meta, "spec.template", file_dir, report);
    if (spec == NULL)
        return; /* what runs keeps running as it is */
    spec_unref(group->spec);
    group->spec = spec;
    recognize(group);
    if (group->replicas < 0 || group->removed)
        group->replicas = group->removed ? (workload->replicas >= 0 ? workload->replicas : 1)
                                         : first_replicas(group, workload, report);
    if (group->replicas > LOCAL_REPLICAS_MAX)
        group->replicas = LOCAL_REPLICAS_MAX;
    group->removed = false;
    if (!write_workload(group, &err))
        report_on(report, &workload->meta, "data-dir", "", NULL, err.text);
    group_changed(group);
}

void group_remove(struct group *group)
{
    group->removed = true;
    group->claimed = false;
    group_changed(group);
}

void group_changed_data(struct group *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++) {
        struct replica *r = group->list[i];
        if (r == NULL)
            continue;
        if (r->spec != NULL && replica_state_lives(r->state) && volumes_use(r->spec, name))
            replica_write_volumes(r);
        if (r->state == REPLICA_BACKOFF && r->start_at_ms == 0 && group->spec != NULL)
            replica_event(r, REPLICA_RENEW); /* perhaps that was what it waited for */
    }
}

/* ------------------------------------------------------------------ carrying the plan out */

static void fit_list(struct group *group, size_t wanted)
{
    while (group->count > wanted && group->list[group->count - 1] == NULL)
        group->count--;
    if (group->count >= wanted)
        return;
    group->list = mem_grow(group->list, wanted, sizeof(struct replica *));
    while (group->count < wanted)
        group->list[group->count++] = NULL;
}

static struct plan_replica plan_of(const struct replica *r)
{
    if (r == NULL)
        return (struct plan_replica){.state = REPLICA_GONE, .current = true};
    return (struct plan_replica){.state = r->state, .current = replica_is_current(r), .ready = r->ready};
}

/* false: no start is left in this turn. */
static bool carry_out(struct group *group, size_t ordinal, enum plan_action action, int *starts_left)
{
    if (action == PLAN_START) {
        if (*starts_left <= 0)
            return false;
        --*starts_left;
        if (group->list[ordinal] == NULL)
            group->list[ordinal] = replica_new(group, (int)ordinal);
        replica_event(group->list[ordinal], REPLICA_START);
    } else if (action == PLAN_REMOVE) {
        replica_event(group->list[ordinal], REPLICA_REMOVE);
    } else if (action == PLAN_RENEW) {
        replica_event(group->list[ordinal], REPLICA_RENEW);
    }
    return true;
}

static void remove_directory(struct group *group)
{
    struct error err;

    if (!dir_remove(group->dir, &err))
        local_event(group->local, group->ns, group->kind, group->name, true, "FailedRemove", err.text);
    spec_unref(group->spec);
    group->spec = NULL;
    group->replicas = -1;
    group->removed = false;
    free(group->file);
    group->file = NULL;
}

void group_reconcile(struct group *group, int *starts_left)
{
    size_t wanted = group->removed ? 0 : (size_t)(group->replicas > 0 ? group->replicas : 0);

    if ((group->spec == NULL && !group->removed) || group->local->stopping)
        return;
    fit_list(group, wanted);
    size_t count = group->count;
    struct plan_replica *replicas = mem_array(count + 1, sizeof *replicas);
    enum plan_action *actions = mem_array(count + 1, sizeof *actions);
    for (size_t i = 0; i < count; i++)
        replicas[i] = plan_of(group->list[i]);
    plan_replicas(replicas, count, wanted, group->ordered, actions);
    bool all = true;
    for (size_t i = 0; i < count; i++)
        all = carry_out(group, i, actions[i], starts_left) && all;
    free(replicas);
    free(actions);
    if (!all)
        local_due_group(group->local, group);
    fit_list(group, wanted);
    if (group->removed && group->count == 0)
        remove_directory(group);
}

/* What the next replica of this ordinal would stumble over goes; its log stays, for whoever wants to know why it went. */
static void clean_directory(const struct replica *r)
{
    static const char *const names[] = {"process", "exit", "replica"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (snprintf(path, sizeof path, "%s/%s", r->dir, names[i]) < (int)sizeof path)
            unlink(path);
    }
    if (snprintf(path, sizeof path, "%s/volumes", r->dir) < (int)sizeof path)
        dir_remove(path, NULL);
}

void group_drop(struct group *group, struct replica *r)
{
    group->list[r->ordinal] = NULL;
    if (!group->local->stopping && group->removed)
        dir_remove(r->dir, NULL);
    else if (!group->local->stopping)
        clean_directory(r);
    replica_free(r);
    group_changed(group);
    local_check_stopped(group->local);
}

/* ------------------------------------------------------------------ views */

static bool exists(const struct replica *r)
{
    return r != NULL && r->state != REPLICA_IDLE && r->state != REPLICA_GONE;
}

void group_view(const struct group *group, struct target_view *out)
{
    *out = (struct target_view){.known = group->spec != NULL && !group->removed, .replicas = group->replicas};
    if (!out->known && strcmp(group->kind, "Deployment") != 0 && strcmp(group->kind, "StatefulSet") != 0)
        error_set(&out->error, ERROR_INVALID, "kind %s does not run on this machine; Deployment and StatefulSet do",
                  group->kind);
    else if (!out->known && group->claimed)
        error_set(&out->error, ERROR_INVALID, "%s %s/%s cannot run here: mend the errors of its manifest in %s",
                  group->kind, group->ns, group->name, group->file);
    else if (!out->known)
        error_set(&out->error, ERROR_MISSING, "%s %s/%s is in no manifest; add the file it is in to those Weir reads",
                  group->kind, group->ns, group->name);
    for (size_t i = 0; i < group->count; i++) {
        const struct replica *r = group->list[i];
        if (!exists(r) || (replica_state_ends(r->state) && r->state != REPLICA_FAILING))
            continue; /* as a ReplicaSet counts: what is being deleted is not part of it any more */
        out->status_replicas++;
        out->ready_replicas += r->ready;
    }
}

size_t group_pods(struct group *group, const struct pod_view **out)
{
    size_t n = 0;

    local_want_usage(group->local);
    free(group->views);
    group->views = mem_array(group->count + 1, sizeof *group->views);
    for (size_t i = 0; i < group->count; i++) {
        if (exists(group->list[i]))
            replica_view(group->list[i], &group->views[n++]);
    }
    *out = group->views;
    return n;
}

/* ------------------------------------------------------------------ adoption */

void group_adopt(struct group *group)
{
    char path[PATH_MAX];

    for (int ordinal = LOCAL_REPLICAS_MAX - 1; ordinal >= 0; ordinal--) {
        if (snprintf(path, sizeof path, "%s/%d/replica", group->dir, ordinal) >= (int)sizeof path ||
            access(path, F_OK) != 0)
            continue;
        fit_list(group, (size_t)ordinal + 1);
        group->list[ordinal] = replica_new(group, ordinal);
        replica_adopt(group->list[ordinal]);
    }
}

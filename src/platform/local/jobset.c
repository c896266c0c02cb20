/*
 * jobset: the jobs of one ScaledJob, oldest first. How many there should be is decided elsewhere; here they are made, shown
 * and removed. Directories: <ns>/ScaledJob.<name>/<job>/, a job's name being the ScaledJob's with five random letters.
 */
#include "platform/local/local_internal.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "platform/local/volume.h"

enum { DEFAULT_BACKOFF_LIMIT = 6 }; /* of a batch/v1 Job */

/* ------------------------------------------------------------------ find, make, free */

static char *printed(const char *format, const char *a, const char *b, const char *c)
{
    char *out = NULL;

    if (asprintf(&out, format, a, b, c) < 0)
        abort();
    return out;
}

struct jobset *jobset_find(struct local *local, const char *ns, const char *name)
{
    char *key = printed("%s/%s%s", ns, name, "");
    struct jobset *set = map_get(local->jobsets, key);

    free(key);
    return set;
}

struct jobset *jobset_get(struct local *local, const char *ns, const char *name)
{
    struct jobset *set = jobset_find(local, ns, name);

    if (set != NULL)
        return set;
    set = mem_alloc(sizeof *set);
    *set = (struct jobset){.local = local,
                           .ns = mem_copy(ns),
                           .name = mem_copy(name),
                           .dir = printed("%s/%s/ScaledJob.%s", local->root, ns, name),
                           .backoff_limit = DEFAULT_BACKOFF_LIMIT,
                           .active_deadline_s = -1,
                           .ttl_s = -1};
    char *key = printed("%s/%s%s", ns, name, "");
    map_put(local->jobsets, key, set);
    free(key);
    return set;
}

void jobset_free(struct jobset *set)
{
    for (size_t i = 0; i < set->count; i++)
        job_free(set->list[i]);
    while (set->owners != NULL) {
        struct job_owner *owner = set->owners;
        set->owners = owner->next;
        notice_forget(set->local, &owner->notice);
        free(owner);
    }
    free(set->list);
    free(set->views);
    spec_unref(set->spec);
    free(set->ns);
    free(set->name);
    free(set->file);
    free(set->dir);
    free(set);
}

void jobset_changed(struct jobset *set)
{
    for (struct job_owner *o = set->owners; o != NULL; o = o->next)
        notice_mark(set->local, &o->notice);
    local_due_jobset(set->local, set);
}

size_t jobset_living(const struct jobset *set)
{
    size_t living = 0;

    for (size_t i = 0; i < set->count; i++)
        living += run_lives(&set->list[i]->run);
    return living;
}

static void add(struct jobset *set, struct job_process *job)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? set->capacity * 2 : 8;
        set->list = mem_grow(set->list, set->capacity, sizeof(struct job_process *));
    }
    set->list[set->count++] = job;
}

void jobset_drop(struct jobset *set, struct job_process *job)
{
    struct error err;

    for (size_t i = 0; i < set->count; i++) {
        if (set->list[i] != job)
            continue;
        memmove(set->list + i, set->list + i + 1, (set->count - i - 1) * sizeof(struct job_process *));
        set->count--;
        break;
    }
    if (!dir_remove(job->dir, &err))
        local_event(set->local, set->ns, "Job", job->name, true, "FailedRemove", err.text);
    free(set->views); /* they name it */
    set->views = NULL;
    job_free(job);
    jobset_changed(set);
}

/* ------------------------------------------------------------------ what a manifest says */

static void report_on(struct report *report, const struct object_meta *meta, enum finding_severity severity,
                      const char *code, const char *field, const char *remedy, const char *text)
{
    report_add(report, &(struct finding){.severity = severity, .code = code, .place = meta->place}, field, remedy, "%s",
               text);
}

static bool write_workload(const struct jobset *set, struct error *err)
{
    struct record record = {.bytes = ""};

    record_put(&record, "kind", "ScaledJob");
    record_put(&record, "file", set->file);
    return dir_make(set->dir, err) && record_write(set->dir, "workload", &record, err);
}

static bool take_file(struct jobset *set, const char *file, const struct object_meta *meta, struct report *report)
{
    char text[PATH_MAX + 300];

    if (set->claimed && set->file != NULL && strcmp(set->file, file) != 0) {
        snprintf(text, sizeof text, "ScaledJob %s/%s is already defined in %s", set->ns, set->name, set->file);
        report_on(report, meta, FINDING_ERROR, "duplicate", "metadata.name", "remove one of the two", text);
        return false;
    }
    if (set->file == NULL || strcmp(set->file, file) != 0) {
        free(set->file);
        set->file = mem_copy(file);
    }
    return true;
}

static void warn_about_counts(const struct job_spec *job, const struct object_meta *meta, struct report *report)
{
    if (job->completions > 1)
        report_on(report, meta, FINDING_WARNING, "one-process-per-job", "spec.jobTargetRef.completions",
                  "let the trigger ask for more jobs instead",
                  "a job on this machine is done when its process has succeeded once");
    if (job->parallelism > 1)
        report_on(report, meta, FINDING_WARNING, "one-process-per-job", "spec.jobTargetRef.parallelism",
                  "let the trigger ask for more jobs instead", "a job on this machine is one process");
}

void jobset_set(struct jobset *set, const char *file, const char *file_dir, const struct scaled_job *scaled_job,
                struct report *report)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct job_spec job;
    struct error err = {0};
    struct spec *spec = NULL;

    if (take_file(set, file, &scaled_job->meta, report)) {
        set->claimed = true;
        set->released = set->removed = false;
        if (!manifest_read_job_spec(scaled_job->job_template, arena, &job, &err))
            report_on(report, &scaled_job->meta, FINDING_ERROR, "not-on-this-machine", "spec.jobTargetRef", NULL,
                      err.text);
        else
            spec = spec_new(&job.template, &scaled_job->meta, "spec.jobTargetRef.template", file_dir, report);
    }
    if (spec != NULL) {
        warn_about_counts(&job, &scaled_job->meta, report);
        spec_unref(set->spec);
        set->spec = spec;
        set->backoff_limit = job.backoff_limit >= 0 ? job.backoff_limit : DEFAULT_BACKOFF_LIMIT;
        set->active_deadline_s = job.active_deadline_s;
        set->ttl_s = job.ttl_after_finished_s;
        if (!write_workload(set, &err))
            report_on(report, &scaled_job->meta, FINDING_ERROR, "data-dir", "", NULL, err.text);
        for (size_t i = 0; i < set->count; i++) {
            if (set->list[i]->spec == NULL)
                job_take_spec(set->list[i], spec); /* adopted: what it was made from was not kept */
        }
        jobset_changed(set);
    }
    arena_free(arena);
}

/* Jobs go with their ScaledJob, running ones too (keda-operator/04 1). */
void jobset_remove(struct jobset *set)
{
    set->removed = true;
    set->claimed = false;
    for (size_t i = 0; i < set->count; i++) {
        if (!set->list[i]->deleted)
            job_delete(set->list[i]);
    }
    jobset_changed(set);
}

/* ------------------------------------------------------------------ create, start, delete */

static void random_name(const struct jobset *set, char *out, size_t size)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789"; /* Kubernetes': no words by accident */
    unsigned char bytes[5];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        abort(); /* cannot fail for so few bytes */
    size_t n = (size_t)snprintf(out, size - 6, "%s-", set->name);
    for (size_t i = 0; i < sizeof bytes; i++)
        out[n + i] = letters[bytes[i] % (sizeof letters - 1)];
    out[n + sizeof bytes] = 0;
}

static bool name_is_taken(const struct jobset *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->list[i]->name, name) == 0)
            return true;
    }
    return false;
}

static bool create_one(struct jobset *set, uint64_t generation, struct error *err)
{
    char name[LOCAL_NAME_MAX_BYTES + 8];

    do
        random_name(set, name, sizeof name);
    while (name_is_taken(set, name));
    struct job_process *job = job_new(set, name);
    job->generation = generation;
    job->created_at_ms = local_now_ms(set->local);
    job_take_spec(job, set->spec);
    if (!job_write(job, err)) {
        job_free(job);
        return error_add_place(err, "ScaledJob %s/%s", set->ns, set->name);
    }
    add(set, job);
    return true;
}

bool jobset_create(struct jobset *set, int32_t count, uint64_t generation, struct error *err)
{
    size_t unfinished = 0;

    if (set->spec == NULL)
        return error_set(err, ERROR_MISSING, "ScaledJob %s/%s has no job template that can run on this machine",
                         set->ns, set->name);
    for (size_t i = 0; i < set->count; i++)
        unfinished += set->list[i]->phase != JOB_DONE;
    for (int32_t i = 0; i < count; i++, unfinished++) {
        if (unfinished >= LOCAL_JOBS_MAX)
            return error_set(err, ERROR_LIMIT,
                             "ScaledJob %s/%s has %d unfinished jobs, the most for one machine "
                             "(LOCAL_JOBS_MAX); lower maxReplicaCount",
                             set->ns, set->name, LOCAL_JOBS_MAX);
        if (!create_one(set, generation, err))
            return false;
    }
    jobset_changed(set);
    return true;
}

static bool may_start(const struct jobset *set, const struct job_process *job)
{
    return job->phase == JOB_WAITING && !job->deleted && !job->backing_off && (job->spec != NULL || set->spec != NULL);
}

static void remove_directory(struct jobset *set)
{
    dir_remove(set->dir, NULL);
    spec_unref(set->spec);
    set->spec = NULL;
    set->removed = false;
    free(set->file);
    set->file = NULL;
}

void jobset_reconcile(struct jobset *set, int *starts_left)
{
    if (set->local->stopping)
        return;
    for (size_t i = set->count; i > 0; i--) {
        struct job_process *job = set->list[i - 1];
        if (job->deleted && !job->unsure && !run_lives(&job->run))
            jobset_drop(set, job);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (!may_start(set, set->list[i]))
            continue;
        if (--*starts_left < 0) {
            *starts_left = 0;
            local_due_jobset(set->local, set);
            return;
        }
        job_start(set->list[i]);
    }
    if (set->removed && set->count == 0)
        remove_directory(set);
}

void jobset_changed_data(struct jobset *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        struct job_process *job = set->list[i];
        if (job->spec != NULL && run_lives(&job->run) && volumes_use(job->spec, name))
            job_write_volumes(job);
        if (job->refused && job->backing_off)
            job->backing_off = false; /* perhaps that was what it waited for */
    }
    jobset_changed(set);
}

void jobset_delete(struct jobset *set, const char *job_name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->list[i]->name, job_name) == 0 && !set->list[i]->deleted) {
            job_delete(set->list[i]);
            return;
        }
    }
}

/* ------------------------------------------------------------------ views */

size_t jobset_views(struct jobset *set, const struct job_view **out)
{
    size_t n = 0;

    free(set->views);
    set->views = mem_array(set->count + 1, sizeof *set->views);
    for (size_t i = 0; i < set->count; i++) {
        const struct job_process *job = set->list[i];
        if (job->deleted)
            continue;
        set->views[n++] = (struct job_view){.name = job->name,
                                            .finished = job->phase == JOB_DONE,
                                            .succeeded = job->succeeded,
                                            .created_at_ms = job->created_at_ms,
                                            .finished_at_ms = job->finished_at_ms,
                                            .pending = job->phase == JOB_WAITING || job->phase == JOB_STARTING,
                                            .generation = job->generation};
    }
    *out = set->views;
    return n;
}

/* ------------------------------------------------------------------ adoption */

static int compare_jobs(const void *a, const void *b)
{
    const struct job_process *x = *(struct job_process *const *)a, *y = *(struct job_process *const *)b;

    if (x->created_at_ms != y->created_at_ms)
        return x->created_at_ms < y->created_at_ms ? -1 : 1;
    return strcmp(x->name, y->name);
}

void jobset_adopt(struct jobset *set)
{
    DIR *dir = opendir(set->dir);

    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "workload") == 0)
            continue;
        struct job_process *job = job_new(set, entry->d_name);
        add(set, job);
        job_adopt(job);
    }
    closedir(dir);
    if (set->count > 0)
        qsort(set->list, set->count, sizeof(struct job_process *), compare_jobs);
}

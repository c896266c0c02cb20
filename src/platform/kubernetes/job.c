/*
 * job: the Jobs of ScaledJobs that there are; job_create.c makes new ones.
 *
 *     Jobs with the label scaledjob.keda.sh/name, watched: one reflector, or one per namespace  -->  sets by "ns/scaledjob"
 *
 * Everything that carries the label is kept, slim: the list of them all is the one list there is. It is asked for exactly, not
 * from the API server's cache: a Job that a Weir before us has just made must be in it. Before it was told nobody may conclude
 * anything, and nothing is created.
 *
 * A created Job counts as running until the watch shows it; the watch may be late. So a list that lacks it does not take it away for
 * UNSEEN_MS. A Job whose deletion we have asked for is not shown any more.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/job_internal.h"

enum {
    UNSEEN_MS = 60 * 1000, /* the longest an API server works on a request, and a watch may be behind */
    LINGER_MS = 60 * 1000, /* without any ScaledJob: one that is edited is let go and taken up again */
};

#define FIELD_MANAGER "?fieldManager=weir"

/* ------------------------------------------------------------------ sets and records */

void job_set_changed(struct job_set *set)
{
    for (struct job_owner *o = set->owners; o != NULL; o = o->next)
        kube_notice_mark(set->sets->k, &o->notice);
}

static bool key_of(char *out, size_t size, const char *ns, const char *name)
{
    return snprintf(out, size, "%s/%s", ns, name) < (int)size;
}

static struct job_set *set_find(struct job_sets *sets, const char *ns, const char *name)
{
    char key[600];

    return key_of(key, sizeof key, ns, name) ? map_get(sets->sets, key) : NULL;
}

static struct job_set *set_get(struct job_sets *sets, const char *ns, const char *name)
{
    struct job_set *set = set_find(sets, ns, name);
    char key[600], prefix[300];

    if (set != NULL || !key_of(key, sizeof key, ns, name))
        return set;
    set = mem_alloc(sizeof *set);
    snprintf(prefix, sizeof prefix, "%.253s-", name);
    *set = (struct job_set){
        .sets = sets, .ns = mem_copy(ns), .name = mem_copy(name), .prefix = mem_copy(prefix), .jobs = map_new()};
    map_put(sets->sets, key, set);
    return set;
}

/* One of the roll-out's is deleted, or cannot be; the last one says that all are. */
static void old_done(struct job_record *job, bool good)
{
    struct job_set *set = job->set;
    char note[100];

    if (!job->old)
        return;
    job->old = false;
    set->old_failed += !good;
    if (--set->old_left > 0)
        return;
    snprintf(note, sizeof note, "Deleted %" PRIu32 " jobs owned by the previous version of the scaledJob",
             set->old_asked);
    if (set->old_failed == 0)
        kubernetes_event_said(&set->sets->k->platform, set->ns, "ScaledJob", set->name, false,
                              "ScaledJobRolloutCleanupCompleted", note);
    set->old_asked = set->old_failed = 0;
}

static void record_drop(struct job_record *job)
{
    struct job_set *set = job->set;

    old_done(job, true);
    if (job->deletion != NULL)
        kube_cancel(job->deletion); /* it is gone already */
    map_remove(set->jobs, job->name);
    free(set->views); /* they name it */
    set->views = NULL;
    free(job->name);
    free(job);
}

void job_set_release(struct job_set *set)
{
    char key[600];

    if (set->owners != NULL || set->batches != NULL || map_count(set->jobs) > 0)
        return;
    if (set->reading != NULL)
        kube_cancel(set->reading);
    if (key_of(key, sizeof key, set->ns, set->name))
        map_remove(set->sets->sets, key);
    job_body_free(set->body);
    map_free(set->jobs);
    free(set->views);
    free(set->ns);
    free(set->name);
    free(set->prefix);
    free(set);
}

struct job_record *job_record_get(struct job_set *set, const char *name)
{
    struct job_record *job = map_get(set->jobs, name);

    if (job != NULL)
        return job;
    job = mem_alloc(sizeof *job);
    *job = (struct job_record){.set = set, .name = mem_copy(name), .idle = true};
    map_put(set->jobs, name, job);
    return job;
}

/* ------------------------------------------------------------------ reading a Job */

static int64_t instant_of(const struct tree *node)
{
    const char *text = tree_string(node);
    int64_t at_ms = 0;

    return text != NULL && instant_parse(text, &at_ms) ? at_ms : 0;
}

uint64_t job_number(const struct tree *node)
{
    const char *text = tree_string(node);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

/* The first of its conditions Complete and Failed that holds. A failed Job has no completionTime: when it failed will do. */
static void read_end(struct job_record *job, const struct tree *status)
{
    const struct tree *conditions = tree_get(status, "conditions");

    job->finished = job->succeeded = false;
    for (const struct tree *c = conditions ? conditions->first : NULL; c != NULL && !job->finished; c = c->next) {
        const char *type = tree_string(tree_get(c, "type"));
        bool complete = string_equal(type, "Complete");
        if ((!complete && !string_equal(type, "Failed")) || !string_equal(tree_string(tree_get(c, "status")), "True"))
            continue;
        job->finished = true;
        job->succeeded = complete;
        job->finished_at_ms = instant_of(tree_get(status, "completionTime"));
        if (job->finished_at_ms == 0)
            job->finished_at_ms = instant_of(tree_get(c, "lastTransitionTime"));
    }
}

void job_record_read(struct job_record *job, const struct tree *object)
{
    const struct tree *meta = tree_get(object, "metadata"), *status = tree_get(object, "status");
    const struct tree *annotations = tree_get(meta, "annotations");
    int64_t ready = 0, succeeded = 0;

    job->created_at_ms = instant_of(tree_get(meta, "creationTimestamp"));
    job->generation = job_number(tree_get(annotations, JOB_GENERATION_ANNOTATION));
    job->sequence = job_number(tree_get(annotations, JOB_SEQUENCE_ANNOTATION));
    job_number_seen(job->set, job->sequence);
    tree_integer(tree_get(status, "ready"), &ready);
    tree_integer(tree_get(status, "succeeded"), &succeeded);
    job->idle = ready == 0 && succeeded == 0;
    read_end(job, status);
}

/* ------------------------------------------------------------------ the watch */

static struct job_set *set_of(struct job_sets *sets, const struct tree *object, bool make)
{
    const char *owner = tree_string(tree_get(tree_at(object, "metadata.labels"), JOB_NAME_LABEL));
    const char *ns = tree_string(tree_at(object, "metadata.namespace"));

    if (owner == NULL || ns == NULL)
        return NULL;
    return make ? set_get(sets, ns, owner) : set_find(sets, ns, owner);
}

static void on_begin(void *arg)
{
    struct job_watch *w = arg;

    w->round = ++w->sets->rounds;
    w->unsure = false;
}

static void on_item(void *arg, const struct tree *object)
{
    struct job_watch *w = arg;
    struct job_set *set = set_of(w->sets, object, true);
    const char *name = tree_string(tree_at(object, "metadata.name"));

    if (set == NULL || name == NULL)
        return;
    struct job_record *job = job_record_get(set, name);
    job_record_read(job, object);
    job->seen = true;
    job->round = w->round;
    job_set_changed(set);
}

/* Too large to be read, not gone: one that was not known counts as running, for else it would be made once more. */
static void on_kept(void *arg, const struct tree *metadata)
{
    struct job_watch *w = arg;
    struct job_set *set = metadata ? set_of(w->sets, metadata, true) : NULL;
    struct job_record *job = set ? map_get(set->jobs, tree_string(tree_at(metadata, "metadata.name"))) : NULL;

    w->unsure |= metadata == NULL;
    if (job != NULL)
        job->round = w->round;
    else if (set != NULL)
        on_item(w, metadata);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct job_watch *w = arg;
    struct job_set *set = set_of(w->sets, last, false);
    struct job_record *job = set ? map_get(set->jobs, name) : NULL;

    (void)ns;
    if (job == NULL)
        return;
    record_drop(job);
    job_set_changed(set);
    job_set_release(set);
}

static bool covers(const struct job_watch *w, const struct job_set *set)
{
    return w->ns == NULL || strcmp(w->ns, set->ns) == 0;
}

/* Those that the list lacks are gone, but for what was made so lately that the list need not have it. */
static void drop_unlisted(struct job_watch *w, struct job_set *set)
{
    int64_t now_ms = loop_ticks_ms(w->sets->k->loop);
    void *value;

    for (size_t at = 0; map_next(set->jobs, &at, NULL, &value);) {
        struct job_record *job = value;
        bool fresh = !job->seen && now_ms - job->made_ms < UNSEEN_MS;
        if (job->round != w->round && !fresh)
            record_drop(job);
    }
}

static void on_synced(void *arg)
{
    struct job_watch *w = arg;
    void *value;

    w->synced = true;
    w->trouble = (struct error){0};
    for (size_t at = 0; map_next(w->sets->sets, &at, NULL, &value);) {
        struct job_set *set = value;
        if (!covers(w, set))
            continue;
        if (!w->unsure)
            drop_unlisted(w, set);
        job_set_changed(set);
        job_set_release(set);
    }
}

static void on_trouble(void *arg, const struct error *err)
{
    struct job_watch *w = arg;
    void *value;

    w->trouble = err ? *err : (struct error){0};
    for (size_t at = 0; !w->synced && map_next(w->sets->sets, &at, NULL, &value);)
        if (covers(w, value))
            job_set_changed(value);
}

static void watch(struct job_watch *w)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "batch", "v1", w->ns, "jobs", NULL, NULL);
    w->reflector = reflector_new(w->sets->k->kube, &(struct reflector_options){.path = path.bytes,
                                                                               .label_selector = JOB_NAME_LABEL,
                                                                               .exact = true,
                                                                               .begin = on_begin,
                                                                               .item = on_item,
                                                                               .gone = on_gone,
                                                                               .kept = on_kept,
                                                                               .synced = on_synced,
                                                                               .trouble = on_trouble,
                                                                               .arg = w});
    text_done(&path);
}

static void watch_jobs(struct job_sets *sets)
{
    const struct kubernetes *k = sets->k;

    if (sets->watches != NULL)
        return;
    sets->watch_count = k->namespace_count ? k->namespace_count : 1;
    sets->watches = mem_array(sets->watch_count, sizeof *sets->watches);
    for (size_t i = 0; i < sets->watch_count; i++) {
        sets->watches[i] = (struct job_watch){.sets = sets, .ns = k->namespace_count ? k->namespaces[i] : NULL};
        watch(&sets->watches[i]);
    }
}

struct job_watch *job_set_watch(const struct job_set *set)
{
    for (size_t i = 0; i < set->sets->watch_count; i++)
        if (covers(&set->sets->watches[i], set))
            return &set->sets->watches[i];
    return NULL;
}

static void forget_records(struct job_sets *sets)
{
    void *set, *job;

    for (size_t at = 0; map_next(sets->sets, &at, NULL, &set);) {
        for (size_t i = 0; map_next(((struct job_set *)set)->jobs, &i, NULL, &job);) {
            ((struct job_record *)job)->old = false; /* nobody knows */
            record_drop(job);
        }
        job_set_release(set);
    }
}

static void on_linger(void *arg)
{
    struct job_sets *sets = arg;

    if (sets->owners > 0 || sets->watches == NULL)
        return;
    for (size_t i = 0; i < sets->watch_count; i++)
        reflector_free(sets->watches[i].reflector);
    free(sets->watches);
    sets->watches = NULL;
    sets->watch_count = 0;
    forget_records(sets);
}

/* ------------------------------------------------------------------ owners */

struct job_owner *kubernetes_jobs_watch(struct platform *platform, const char *ns, const char *name,
                                        uint64_t generation, platform_changed *changed_call, void *arg)
{
    struct job_sets *sets = kubernetes_of(platform)->jobs;
    struct job_set *set = set_get(sets, ns, name);
    struct job_owner *owner = mem_alloc(sizeof *owner);

    *owner = (struct job_owner){
        .notice = {.changed = changed_call, .arg = arg}, .set = set, .generation = generation, .next = set->owners};
    if (set->owners == NULL && loop_ticks_ms(sets->k->loop) != set->left_ticks_ms)
        set->numbered = false; /* else it only got another version; meanwhile others may have made Jobs */
    set->owners = owner;
    sets->owners++;
    loop_timer_stop(sets->linger);
    watch_jobs(sets);
    return owner;
}

static void forget_conditions(struct job_owner *owner)
{
    for (size_t i = 0; i < owner->condition_count; i++)
        free(owner->conditions[i]);
    free(owner->conditions);
    owner->conditions = NULL;
    owner->condition_count = 0;
}

static void owner_free(struct job_owner *owner)
{
    struct job_set *set = owner->set;

    for (struct job_owner **at = &set->owners; *at != NULL; at = &(*at)->next) {
        if (*at == owner) {
            *at = owner->next;
            break;
        }
    }
    kube_notice_forget(set->sets->k, &owner->notice);
    pod_selection_free(owner->pods);
    forget_conditions(owner);
    free(owner);
    set->sets->owners--;
}

void kubernetes_jobs_unwatch(struct job_owner *owner)
{
    struct job_set *set = owner->set;
    struct job_sets *sets = set->sets;

    owner_free(owner);
    set->left_ticks_ms = loop_ticks_ms(sets->k->loop);
    job_set_release(set);
    if (sets->owners == 0)
        loop_timer_set(sets->linger, LINGER_MS);
}

static void on_pods_known(void *arg)
{
    struct job_owner *owner = arg;

    kube_notice_mark(owner->set->sets->k, &owner->notice);
}

void kubernetes_jobs_want_pending(struct job_owner *owner, const char *const *conditions, size_t count)
{
    const struct job_set *set = owner->set;
    char selector[400];

    forget_conditions(owner);
    owner->conditions = mem_array(count + 1, sizeof *owner->conditions);
    for (size_t i = 0; i < count; i++)
        owner->conditions[i] = mem_copy(conditions[i]);
    owner->condition_count = count;
    if (owner->pods == NULL) {
        snprintf(selector, sizeof selector, "%s=%.253s", JOB_NAME_LABEL, set->name);
        owner->pods = pod_selection_new(set->sets->k, set->ns, selector, on_pods_known, owner);
    }
    pod_selection_need(owner->pods);
}

enum lookup kubernetes_jobs_known(struct job_owner *owner, struct error *err)
{
    const struct job_watch *w = job_set_watch(owner->set);

    if (w == NULL) {
        error_set(err, ERROR_INVALID, "namespace %s is not one of those that are watched", owner->set->ns);
        return LOOKUP_DENIED;
    }
    if (!w->synced && w->trouble.kind == ERROR_DENIED) {
        if (err != NULL)
            *err = w->trouble;
        return LOOKUP_DENIED;
    }
    if (!w->synced) {
        error_set(err, ERROR_UNREACHABLE, "the Jobs of ScaledJob %s/%s are being listed", owner->set->ns,
                  owner->set->name);
        return LOOKUP_PENDING;
    }
    if (owner->pods == NULL)
        return LOOKUP_FOUND;
    pod_selection_need(owner->pods);
    return pod_selection_known(owner->pods, err) == LOOKUP_PENDING ? LOOKUP_PENDING : LOOKUP_FOUND;
}

/* ------------------------------------------------------------------ views */

static const char *job_of(const struct pod_view *pod)
{
    for (size_t i = 0; i < pod->label_count; i++)
        if (strcmp(pod->labels[i].key, "job-name") == 0 ||
            strcmp(pod->labels[i].key, "batch.kubernetes.io/job-name") == 0)
            return pod->labels[i].value;
    return NULL;
}

/* Does this pod make its Job more than pending (keda-operator/04 5)? */
static bool is_beyond_pending(const struct job_owner *owner, const struct pod_view *pod)
{
    const char *held;
    char type[256];

    if (owner->condition_count == 0)
        return pod->phase == POD_RUNNING || pod->phase == POD_SUCCEEDED;
    held = pod_conditions(owner->set->sets->k, owner->set->ns, pod->name);
    for (size_t i = 0; i < owner->condition_count; i++) {
        snprintf(type, sizeof type, "|%.250s|", owner->conditions[i]);
        if (strstr(held, type) == NULL)
            return false;
    }
    return true;
}

/* false: pods are not known, and the Jobs' own status has to do. */
static bool look_at_pods(struct job_owner *owner)
{
    const struct pod_view *pods;
    void *value;

    if (owner->pods == NULL)
        return false;
    pod_selection_need(owner->pods);
    if (pod_selection_known(owner->pods, NULL) != LOOKUP_FOUND)
        return false;
    for (size_t at = 0; map_next(owner->set->jobs, &at, NULL, &value);)
        ((struct job_record *)value)->has_pod = false;
    size_t count = pod_selection_views(owner->pods, &pods);
    for (size_t i = 0; i < count; i++) {
        const char *name = job_of(&pods[i]);
        struct job_record *job = name ? map_get(owner->set->jobs, name) : NULL;
        if (job != NULL && is_beyond_pending(owner, &pods[i]))
            job->has_pod = true;
    }
    return true;
}

/* Creations that have not been confirmed. */
static size_t count_coming(const struct job_set *set)
{
    size_t count = 0;

    for (const struct job_batch *b = set->batches; b != NULL; b = b->next)
        count += (size_t)b->left;
    return count;
}

static size_t add_coming(const struct job_set *set, struct job_view *views, size_t n)
{
    for (const struct job_batch *b = set->batches; b != NULL; b = b->next)
        for (int32_t i = 0; i < b->left; i++)
            views[n++] = (struct job_view){.name = set->prefix,
                                           .created_at_ms = loop_now_ms(set->sets->k->loop),
                                           .pending = true,
                                           .generation = b->generation};
    return n;
}

size_t kubernetes_jobs(struct job_owner *owner, const struct job_view **out)
{
    struct job_set *set = owner->set;
    bool exact = look_at_pods(owner);
    size_t n = 0;
    void *value;

    free(set->views);
    set->views = mem_array(map_count(set->jobs) + count_coming(set) + 1, sizeof *set->views);
    for (size_t at = 0; map_next(set->jobs, &at, NULL, &value);) {
        const struct job_record *job = value;
        if (job->deleting)
            continue;
        set->views[n++] = (struct job_view){.name = job->name,
                                            .finished = job->finished,
                                            .succeeded = job->succeeded,
                                            .created_at_ms = job->created_at_ms,
                                            .finished_at_ms = job->finished_at_ms,
                                            .pending = !job->finished && (exact ? !job->has_pod : job->idle),
                                            .generation = job->generation};
    }
    *out = set->views;
    return add_coming(set, set->views, n);
}

/* ------------------------------------------------------------------ asking */

struct kube_ask *job_ask(struct job_set *set, const char *method, const char *name, const struct text *body,
                         kube_done *done, void *arg)
{
    struct text path;
    bool read = strcmp(method, "GET") == 0;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "batch", "v1", set->ns, "jobs", name, NULL);
    if (name == NULL)
        text_add(&path, FIELD_MANAGER);
    struct kube_ask *ask = kube_ask(set->sets->k->kube,
                                    &(struct kube_request){.method = method,
                                                           .path = path.bytes,
                                                           .body = body ? body->bytes : NULL,
                                                           .body_length = body ? body->length : 0,
                                                           .priority = KUBE_WRITE,
                                                           .fenced = !read},
                                    done, arg);
    text_done(&path);
    return ask;
}

struct kube_ask *job_ask_scaled_job(struct job_set *set, kube_done *done)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, KEDA_GROUP, KEDA_VERSION, set->ns, kubernetes_plural(RESOURCE_SCALED_JOB), set->name, NULL);
    struct kube_ask *ask =
        kube_ask(set->sets->k->kube,
                 &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_WRITE}, done, set);
    text_done(&path);
    return ask;
}

/* ------------------------------------------------------------------ deleting */

static void on_deleted(void *arg, const struct kube_reply *reply)
{
    struct job_record *job = arg;
    struct job_set *set = job->set;
    struct text note;

    job->deletion = NULL;
    if (reply->error.kind == ERROR_NONE) {
        old_done(job, true);
        return; /* the watch tells when it is gone */
    }
    if (reply->status == 404) {
        record_drop(job);
        job_set_release(set);
        return;
    }
    job->deleting = false; /* it is shown again, and may be deleted again */
    old_done(job, false);
    text_init(&note, LOG_LINE_MAX_BYTES);
    text_printf(&note, "Failed to delete job %s: %s", job->name, reply->error.text);
    kubernetes_event_said(&set->sets->k->platform, set->ns, "ScaledJob", set->name, true,
                          "ScaledJobRolloutCleanupFailed", note.bytes);
    text_done(&note);
    job_set_changed(set);
}

static void send_deletion(struct job_record *job, bool foreground)
{
    struct text body;

    text_init(&body, LOG_LINE_MAX_BYTES);
    text_printf(&body, "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"%s\"}",
                foreground ? "Foreground" : "Background");
    job->deletion = job_ask(job->set, "DELETE", job->name, &body, on_deleted, job);
    text_done(&body);
}

/* Those that wait are the ones that are being deleted without a request. */
static void on_propagation(void *arg, const struct kube_reply *reply)
{
    struct job_set *set = arg;
    bool foreground = string_equal(tree_string(tree_at(reply->body, "spec.rollout.propagationPolicy")), "foreground");
    void *value;

    set->reading = NULL;
    for (size_t at = 0; map_next(set->jobs, &at, NULL, &value);) {
        struct job_record *job = value;
        if (!job->deleting || job->deletion != NULL)
            continue;
        if (reply->error.kind == ERROR_NONE) {
            send_deletion(job, foreground);
        } else {
            job->deleting = false;
            old_done(job, false);
        }
    }
    job_set_changed(set);
}

void kubernetes_job_delete(struct job_owner *owner, const char *job_name)
{
    struct job_set *set = owner->set;
    struct job_record *job = map_get(set->jobs, job_name);

    if (job == NULL || job->deleting || !set->sets->k->write)
        return;
    job->deleting = true;
    if (job->generation == owner->generation) {
        send_deletion(job, false); /* history goes in the background (keda-operator/04 8) */
        return;
    }
    job->old = true;
    set->old_left++;
    set->old_asked++;
    if (set->reading == NULL)
        set->reading = job_ask_scaled_job(set, on_propagation); /* how, the ScaledJob says (04 7) */
}

/* ------------------------------------------------------------------ birth and end */

struct job_sets *kubernetes_jobs_new(struct kubernetes *k)
{
    struct job_sets *sets = mem_alloc(sizeof *sets);

    sets->k = k;
    sets->sets = map_new();
    sets->linger = loop_timer_new(k->loop, on_linger, sets);
    return sets;
}

static void abandon(struct job_set *set)
{
    while (set->owners != NULL)
        owner_free(set->owners);
    job_creations_abandon(set);
}

void kubernetes_jobs_free(struct job_sets *sets)
{
    void *set;

    if (sets == NULL)
        return;
    for (size_t at = 0; map_next(sets->sets, &at, NULL, &set);)
        abandon(set);
    on_linger(sets);
    forget_records(sets);
    map_free(sets->sets);
    loop_timer_free(sets->linger);
    free(sets);
}

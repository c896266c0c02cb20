/*
 * stage_platform: the simulated platform. A target's pods follow its scale at once; each is ready ready_after_ms after it was
 * created. Writes take write_takes_ms and may be told to fail. Everything happens on the virtual loop.
 */
#include "sim/stage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/selector.h"
#include "base/text.h"
#include "net/loop.h"

/* ------------------------------------------------------------------ targets */

struct stage_target *stage_named(struct stage *stage, const char *name)
{
    struct stage_target *target = stage->targets;

    while (target && strcmp(target->name, name) != 0)
        target = target->next;
    return target;
}

struct stage_target *stage_find(struct stage *stage, const char *ns, const char *kind, const char *name, bool make)
{
    struct stage_target *target = stage->targets;

    while (target &&
           (strcmp(target->name, name) != 0 || strcmp(target->ns, ns) != 0 || strcmp(target->kind, kind) != 0))
        target = target->next;
    if (target || !make)
        return target;
    target = mem_alloc(sizeof(*target));
    target->stage = stage;
    target->cpu_ratio = target->memory_ratio = -1;
    snprintf(target->ns, sizeof(target->ns), "%s", ns);
    snprintf(target->kind, sizeof(target->kind), "%s", kind);
    snprintf(target->name, sizeof(target->name), "%s", name);
    if (strcmp(kind, "Pods") != 0) {
        target->labels[0] = (struct label){mem_copy("app"), mem_copy(name)};
        target->label_count = 1;
    }
    target->next = stage->targets;
    stage->targets = target;
    return target;
}

void stage_set_pods(struct stage_target *target, int32_t count, bool ready)
{
    int64_t ticks = loop_ticks_ms(target->stage->loop);

    target->replicas = count;
    if ((size_t)count > target->pod_count) {
        target->pods = mem_grow(target->pods, (size_t)count, sizeof(struct stage_pod));
        target->views = mem_grow(target->views, (size_t)count, sizeof(struct pod_view));
    }
    while (target->pod_count < (size_t)count) {
        struct stage_pod *pod = &target->pods[target->pod_count++];

        snprintf(pod->name, sizeof(pod->name), "%.60s-%u", target->name, target->next_pod++);
        pod->created_ticks_ms = ticks;
        pod->ready_ticks_ms = ready ? ticks : ticks + target->stage->options.ready_after_ms;
    }
    target->pod_count = (size_t)count; /* the youngest go */
}

/* Pods whose number a source tells, and usage that one tells, are looked up whenever somebody looks. */
static void follow_sources(struct stage_target *target)
{
    if (target->count)
        stage_set_pods(target, stage_source_count(target->count), true);
    if (target->cpu_source)
        target->cpu_ratio = stage_source_ratio(target->cpu_source);
    if (target->memory_source)
        target->memory_ratio = stage_source_ratio(target->memory_source);
}

static bool pod_is_ready(const struct stage_target *target, size_t i)
{
    return target->pods[i].ready_ticks_ms <= loop_ticks_ms(target->stage->loop);
}

static struct target *on_watch(struct platform *platform, const struct target_key *key, platform_changed *changed,
                               void *arg)
{
    struct stage_target *target = stage_find((struct stage *)platform, key->ns, key->kind, key->name, true);

    target->changed = changed; /* only for stage_known: polls look often enough */
    target->changed_arg = arg;
    return (struct target *)target;
}

static void on_unwatch(struct target *target)
{
    ((struct stage_target *)target)->changed = NULL; /* workloads outlive their watchers */
}

static void on_view(struct target *opaque, struct target_view *out)
{
    struct stage_target *target = (struct stage_target *)opaque;

    *out = (struct target_view){.known = false};
    if (target->stage->looking)
        return;
    *out = (struct target_view){
        .known = target->exists, .replicas = target->replicas, .status_replicas = (int32_t)target->pod_count};
    out->others_writes = target->others_writes;
    out->other = target->others_writes ? "kube-controller-manager" : NULL;
    out->rival = target->rival_asked ? target->rival : NULL;
    if (target->exists && target->stage->cluster && strcmp(target->kind, "Deployment") == 0) {
        out->group = "apps";
        out->version = "v1";
        out->kind = "Deployment";
        out->resource = "deployments";
    }
    if (target->without_scale)
        error_set(&out->error, ERROR_INVALID, "Target resource doesn't expose /scale subresource: it is a stone");
    else if (!target->exists)
        error_set(&out->error, ERROR_MISSING, "%s %s/%s does not exist", target->kind, target->ns, target->name);
    for (size_t i = 0; i < target->pod_count; i++)
        out->ready_replicas += pod_is_ready(target, i);
}

static void on_look_rival(struct target *target)
{
    ((struct stage_target *)target)->rival_asked = true;
}

static struct pod_usage usage_of(int64_t request, double ratio, int64_t now_ms)
{
    return (struct pod_usage){.has_usage = ratio >= 0,
                              .has_request = request > 0,
                              .request = request,
                              .usage = ratio >= 0 ? (int64_t)(ratio * (double)request + 0.5) : 0,
                              .at_ms = now_ms,
                              .window_ms = 15000};
}

static size_t on_pods(struct target *opaque, const struct pod_view **out)
{
    struct stage_target *target = (struct stage_target *)opaque;
    int64_t ticks = loop_ticks_ms(target->stage->loop), now = loop_now_ms(target->stage->loop);

    follow_sources(target);
    for (size_t i = 0; i < target->pod_count; i++) {
        const struct stage_pod *pod = &target->pods[i];

        target->views[i] = (struct pod_view){.name = pod->name,
                                             .phase = POD_RUNNING,
                                             .ready = pod_is_ready(target, i) ? POD_READY_TRUE : POD_READY_FALSE,
                                             .labels = target->labels,
                                             .label_count = target->label_count,
                                             .start_at_ms = now - (ticks - pod->created_ticks_ms),
                                             .ready_at_ms = now - (ticks - pod->ready_ticks_ms),
                                             .host = "127.0.0.1",
                                             .note = "",
                                             .node = target->own_nodes ? pod->name : "stage",
                                             .cpu = usage_of(target->cpu_request, target->cpu_ratio, now),
                                             .memory = usage_of(target->memory_request, target->memory_ratio, now)};
    }
    *out = target->views;
    return target->pod_count;
}

/* ------------------------------------------------------------------ writes */

static void land_scale(struct stage_write *write)
{
    struct stage *stage = write->stage;
    int32_t before = write->target->replicas;

    stage_set_pods(write->target, write->count, false);
    stage->writes++;
    if (stage->wrote)
        stage->wrote(stage->wrote_arg, write->target->name, before, write->count, stage_now_ms(stage));
}

static void add_job(struct stage_owner *owner, bool pending)
{
    struct stage_job **end = &owner->jobs, *job = mem_alloc(sizeof(*job));

    while (*end)
        end = &(*end)->next;
    snprintf(job->name, sizeof(job->name), "%.120s-%u", owner->name, owner->next_job++);
    job->pending = pending;
    job->created_at_ms = loop_now_ms(owner->stage->loop);
    job->generation = owner->generation;
    *end = job;
}

static void land_jobs(struct stage_write *write)
{
    for (int32_t i = 0; i < write->count; i++)
        add_job(write->owner, true);
    write->stage->writes++;
}

static void on_land(void *arg)
{
    struct stage_write *write = arg;
    struct stage *stage = write->stage;
    struct error err;
    bool fails = write->fails || stage->fail_writes > 0;

    if (fails) {
        stage->fail_writes -= !write->fails;
        error_set(&err, ERROR_UNREACHABLE, "the platform was told to fail this write");
    } else if (write->target && !write->target->exists) {
        fails = true;
        error_set(&err, ERROR_MISSING, "%s does not exist", write->target->name);
    } else if (write->target) {
        land_scale(write);
    } else {
        land_jobs(write);
    }
    write->done(write->arg, fails ? &err : NULL);
    loop_timer_free(write->timer);
    free(write);
}

static void begin_write(struct stage *stage, struct stage_write write)
{
    struct stage_write *copy = mem_alloc(sizeof(*copy));
    int64_t takes_ms = stage->options.write_takes_ms;

    *copy = write;
    copy->stage = stage;
    if (stage->obstruct)
        copy->fails =
            stage->obstruct(stage->obstruct_arg, write.target ? write.target->name : write.owner->name, &takes_ms);
    copy->timer = loop_timer_new(stage->loop, on_land, copy);
    loop_timer_set(copy->timer, takes_ms);
}

static void on_scale(struct target *opaque, int32_t replicas, const char *reason, platform_done *done, void *arg)
{
    struct stage_target *target = (struct stage_target *)opaque;

    (void)reason;
    begin_write(target->stage, (struct stage_write){.target = target, .count = replicas, .done = done, .arg = arg});
}

/* ------------------------------------------------------------------ jobs */

struct stage_owner *stage_owner_named(struct stage *stage, const char *name, bool make)
{
    struct stage_owner *owner = stage->owners;

    while (owner && strcmp(owner->name, name) != 0)
        owner = owner->next;
    if (owner || !make)
        return owner;
    owner = mem_alloc(sizeof(*owner));
    owner->stage = stage;
    snprintf(owner->name, sizeof(owner->name), "%s", name);
    owner->next = stage->owners;
    stage->owners = owner;
    return owner;
}

static struct job_owner *on_jobs_watch(struct platform *platform, const char *ns, const char *name, uint64_t generation,
                                       platform_changed *changed, void *arg)
{
    struct stage_owner *owner = stage_owner_named((struct stage *)platform, name, true);

    (void)ns;
    owner->changed = changed;
    owner->arg = arg;
    free(owner->pending_conditions);
    owner->pending_conditions = NULL;
    for (struct stage_job *job = owner->jobs; job; job = job->next)
        if (job->generation == 0) /* put there before anybody watched */
            job->generation = generation;
    owner->generation = generation;
    return (struct job_owner *)owner;
}

static void on_jobs_unwatch(struct job_owner *owner)
{
    ((struct stage_owner *)owner)->changed = NULL;
}

static enum lookup on_jobs_known(struct job_owner *owner, struct error *err)
{
    if (!((struct stage_owner *)owner)->stage->looking)
        return LOOKUP_FOUND;
    error_set(err, ERROR_UNREACHABLE, "the Jobs are being listed");
    return LOOKUP_PENDING;
}

static void on_jobs_want_pending(struct job_owner *opaque, const char *const *conditions, size_t count)
{
    struct stage_owner *owner = (struct stage_owner *)opaque;
    struct text list;

    text_init(&list, LOG_LINE_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        text_add(&list, i ? "," : "");
        text_add(&list, conditions[i]);
    }
    free(owner->pending_conditions);
    owner->pending_conditions = text_take(&list);
}

const char *stage_pending_conditions(struct stage *stage, const char *name)
{
    const struct stage_owner *owner = stage_owner_named(stage, name, false);

    return owner ? owner->pending_conditions : NULL;
}

void stage_known(struct stage *stage, bool known)
{
    stage->looking = !known;
    for (struct stage_owner *o = stage->owners; known && o; o = o->next)
        if (o->changed)
            o->changed(o->arg);
    for (struct stage_target *t = stage->targets; known && t; t = t->next)
        if (t->changed)
            t->changed(t->changed_arg);
}

static size_t on_jobs(struct job_owner *opaque, const struct job_view **out)
{
    struct stage_owner *owner = (struct stage_owner *)opaque;
    size_t count = 0;

    for (struct stage_job *job = owner->jobs; job; job = job->next) {
        owner->views = mem_grow(owner->views, count + 1, sizeof(struct job_view));
        owner->views[count++] = (struct job_view){.name = job->name,
                                                  .finished = job->finished,
                                                  .succeeded = job->succeeded,
                                                  .created_at_ms = job->created_at_ms,
                                                  .finished_at_ms = job->finished_at_ms,
                                                  .pending = job->pending,
                                                  .generation = job->generation};
    }
    *out = owner->views;
    return count;
}

void stage_put_jobs(struct stage *stage, const char *name, int32_t running, int32_t pending)
{
    struct stage_owner *owner = stage_owner_named(stage, name, true);

    for (int32_t i = 0; i < running + pending; i++)
        add_job(owner, i >= running);
    for (struct stage_job *job = owner->jobs; job; job = job->next) /* they have been there for an hour */
        if (job->created_at_ms == loop_now_ms(stage->loop))
            job->created_at_ms -= 3600 * 1000;
}

static void on_jobs_create(struct job_owner *opaque, int32_t count, platform_done *done, void *arg)
{
    struct stage_owner *owner = (struct stage_owner *)opaque;

    begin_write(owner->stage, (struct stage_write){.owner = owner, .count = count, .done = done, .arg = arg});
}

static void on_job_delete(struct job_owner *opaque, const char *name)
{
    struct stage_owner *owner = (struct stage_owner *)opaque;

    for (struct stage_job **at = &owner->jobs; *at; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0) {
            struct stage_job *gone = *at;

            *at = gone->next;
            free(gone);
            return;
        }
}

/* ------------------------------------------------------------------ the rest */

/* Simulated workloads have no environment and there are no Secrets, unless the stage invents them. */
static enum lookup invent(struct platform *platform, const char *name, struct secret **out)
{
    const char *value = stage_invented(name);

    if (!((struct stage *)platform)->options.invent)
        return LOOKUP_ABSENT;
    *out = secret_new(value, strlen(value));
    return LOOKUP_FOUND;
}

static enum lookup on_env(struct platform *platform, const struct target_key *key, const char *container,
                          const char *name, struct secret **out)
{
    (void)key, (void)container;
    return invent(platform, name, out);
}

static enum lookup on_data(struct platform *platform, const char *ns, const char *name, const char *key,
                           struct secret **out)
{
    enum lookup found;

    return stage_datum_find(platform, ns, name, key, &found, out) ? found : invent(platform, key, out);
}

static size_t on_select(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                        const struct pod_view ***out)
{
    struct stage *stage = (struct stage *)platform;
    const struct pod_view **list = NULL;
    size_t count = 0, total = 0;

    for (struct stage_target *t = stage->targets; t; t = t->next) {
        follow_sources(t);
        total += t->pod_count;
    }
    list = arena_array(arena, total ? total : 1, sizeof(*list));
    for (struct stage_target *t = stage->targets; t; t = t->next) {
        const struct pod_view *views;
        size_t pods = on_pods((struct target *)t, &views);

        for (size_t i = 0; strcmp(t->ns, ns) == 0 && selector_matches(selector, t->labels, t->label_count) && i < pods;
             i++)
            list[count++] = &views[i];
    }
    *out = list;
    return count;
}

static void on_stop(struct platform *platform, bool leave_running, platform_done *done, void *arg)
{
    (void)platform, (void)leave_running;
    done(arg, NULL);
}

static void on_free(struct platform *platform)
{
    (void)platform; /* stage_free */
}

const struct platform_ops stage_platform_ops = {
    .name = "stage",
    .target_watch = on_watch,
    .target_unwatch = on_unwatch,
    .target_view = on_view,
    .target_look_rival = on_look_rival,
    .target_pods = on_pods,
    .target_scale = on_scale,
    .target_env = on_env,
    .pods = on_select,
    .jobs_watch = on_jobs_watch,
    .jobs_unwatch = on_jobs_unwatch,
    .jobs = on_jobs,
    .jobs_known = on_jobs_known,
    .jobs_want_pending = on_jobs_want_pending,
    .jobs_create = on_jobs_create,
    .job_delete = on_job_delete,
    .secret_get = on_data,
    .config_get = on_data,
    .on_data_change = stage_on_data_change,
    .resources_watch = stage_on_resources_watch,
    .resource_again = stage_on_resource_again,
    .status_merge = stage_on_status_merge,
    .resource_merge = stage_on_resource_merge,
    .may_write = stage_on_may_write,
    .hpa_put = stage_on_hpa_put,
    .hpa_delete = stage_on_hpa_delete,
    .hpa_view = stage_on_hpa_view,
    .event = stage_on_event,
    .stop = on_stop,
    .free = on_free,
};

/*
 * stage: puts the virtual world, the simulated platform and the real autoscaler together.
 */
#include "sim/stage_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "journal/journal.h"
#include "trigger/trigger.h"

struct stage_file {
    char *name, *bytes;
    size_t length;
    struct stage_file *next;
};

static void start(struct stage *stage)
{
    struct transport *transport = virtual_transport(stage->world);

    stage->engine = trigger_engine_new(stage->loop, transport, &stage->platform);
    stage->autoscaler = autoscaler_new(&(struct autoscaler_parts){stage->loop, transport, &stage->platform,
                                                                  stage->engine, stage->journal, stage->options.hooks},
                                       &stage->settings);
    if (stage->cluster)
        autoscaler_watch_cluster(stage->autoscaler);
}

struct stage *stage_new(const struct stage_options *options)
{
    struct stage *stage = mem_alloc(sizeof(*stage));
    struct error err;

    stage->platform.ops = &stage_platform_ops;
    text_init(&stage->said, HTTP_BODY_MAX_BYTES);
    stage->options = *options;
    policy_settings_default(&stage->settings);
    if (options->settings)
        stage->settings = *options->settings;
    stage->world = virtual_world_new(options->seed, options->start_at_ms);
    stage->loop = virtual_loop(stage->world);
    stage->start_ticks_ms = loop_ticks_ms(stage->loop);
    if (!journal_open(options->journal, &stage->journal, &err))
        stage->journal = NULL;
    start(stage);
    return stage;
}

static void free_platform(struct stage *stage)
{
    for (struct stage_target *t = stage->targets, *next; t; t = next) {
        next = t->next;
        for (size_t i = 0; i < t->label_count; i++) {
            free((char *)t->labels[i].key);
            free((char *)t->labels[i].value);
        }
        free(t->pods);
        free(t->views);
        free(t);
    }
    for (struct stage_owner *o = stage->owners, *next; o; o = next) {
        next = o->next;
        for (struct stage_job *job = o->jobs, *after; job; job = after) {
            after = job->next;
            free(job);
        }
        free(o->views);
        free(o->pending_conditions);
        free(o);
    }
}

void stage_free(struct stage *stage)
{
    if (!stage)
        return;
    autoscaler_free(stage->autoscaler);
    trigger_engine_free(stage->engine);
    while (virtual_step(stage->world)) /* writes under way land, and free themselves */
        ;
    assert(virtual_pending(stage->world) == 0); /* nobody is left who could wait for an answer */
    journal_close(stage->journal);
    virtual_world_free(stage->world);
    free_platform(stage);
    stage_cluster_free(stage);
    stage_sources_free(stage);
    text_done(&stage->said);
    for (struct stage_file *f = stage->files, *next; f; f = next) {
        next = f->next;
        free(f->name);
        free(f->bytes);
        free(f);
    }
    free(stage);
}

struct virtual_world *stage_world(struct stage *stage)
{
    return stage->world;
}

struct autoscaler *stage_autoscaler(struct stage *stage)
{
    return stage->autoscaler;
}

struct platform *stage_platform(struct stage *stage)
{
    return &stage->platform;
}

void stage_workload(struct stage *stage, const char *ns, const char *kind, const char *name, int32_t replicas)
{
    struct stage_target *target = stage_find(stage, ns, kind, name, true);

    target->exists = true;
    target->cpu_request = target->memory_request = 1000;
    stage_set_pods(target, replicas, true);
    for (size_t i = 0; i < target->pod_count; i++) /* they have been there for an hour */
        target->pods[i].created_ticks_ms = target->pods[i].ready_ticks_ms = loop_ticks_ms(stage->loop) - 3600 * 1000;
}

void stage_workload_requests(struct stage *stage, const char *name, int64_t cpu_milli, int64_t memory_milli)
{
    struct stage_target *target = stage_named(stage, name);

    target->cpu_request = cpu_milli;
    target->memory_request = memory_milli;
}

void stage_workload_remove(struct stage *stage, const char *name)
{
    stage_named(stage, name)->exists = false;
}

void stage_workload_without_scale(struct stage *stage, const char *name)
{
    stage_workload_remove(stage, name);
    stage_named(stage, name)->without_scale = true;
}

void stage_workload_rival(struct stage *stage, const char *name, const char *hpa)
{
    struct stage_target *target = stage_named(stage, name);

    target->rival = hpa;
    target->others_writes += hpa != NULL;
}

void stage_workload_usage(struct stage *stage, const char *name, double cpu_ratio, double memory_ratio)
{
    struct stage_target *target = stage_named(stage, name);

    target->cpu_ratio = cpu_ratio;
    target->memory_ratio = memory_ratio;
}

void stage_manifest(struct stage *stage, const char *name, const char *bytes, size_t length)
{
    struct stage_file **at = &stage->files;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = mem_alloc(sizeof(**at));
        (*at)->name = mem_copy(name);
    }
    free((*at)->bytes);
    (*at)->bytes = NULL;
    if (bytes) {
        (*at)->bytes = mem_alloc(length + 1);
        memcpy((*at)->bytes, bytes, length);
        (*at)->length = length;
    }
    autoscaler_apply(stage->autoscaler, name, bytes, length);
}

void stage_restart(struct stage *stage)
{
    autoscaler_abandon(stage->autoscaler);
    trigger_engine_free(stage->engine);
    start(stage);
    for (struct stage_file *f = stage->files; f; f = f->next)
        if (f->bytes)
            autoscaler_apply(stage->autoscaler, f->name, f->bytes, f->length);
}

void stage_fail_writes(struct stage *stage, int n)
{
    stage->fail_writes = n;
}

void stage_on_begin(struct stage *stage, stage_obstruct *obstruct, void *arg)
{
    stage->obstruct = obstruct;
    stage->obstruct_arg = arg;
}

void stage_scale(struct stage *stage, const char *name, int32_t replicas)
{
    stage_set_pods(stage_named(stage, name), replicas, false);
}

void stage_unready(struct stage *stage, const char *name)
{
    struct stage_target *target = stage_named(stage, name);

    for (size_t i = 0; i < target->pod_count; i++)
        target->pods[i].ready_ticks_ms = loop_ticks_ms(stage->loop) + stage->options.ready_after_ms;
}

int64_t stage_now_ms(const struct stage *stage)
{
    return loop_ticks_ms(stage->loop) - stage->start_ticks_ms;
}

void stage_run_until(struct stage *stage, int64_t since_start_ms)
{
    virtual_run_until(stage->world, stage->start_ticks_ms + since_start_ms);
}

int32_t stage_replicas(struct stage *stage, const char *name)
{
    struct stage_target *target = stage_named(stage, name);

    return target && target->exists ? target->replicas : -1;
}

int32_t stage_ready(struct stage *stage, const char *name)
{
    struct stage_target *target = stage_named(stage, name);
    struct target_view view = {.known = false};

    if (target)
        stage_platform_ops.target_view((struct target *)target, &view);
    return view.ready_replicas;
}

uint64_t stage_writes(const struct stage *stage)
{
    return stage->writes;
}

void stage_on_write(struct stage *stage, stage_wrote *wrote, void *arg)
{
    stage->wrote = wrote;
    stage->wrote_arg = arg;
}

size_t stage_jobs(struct stage *stage, const char *name, bool finished)
{
    struct stage_owner *owner = stage_owner_named(stage, name, false);
    size_t count = 0;

    for (struct stage_job *job = owner ? owner->jobs : NULL; job; job = job->next)
        count += job->finished == finished;
    return count;
}

void stage_job_begin(struct stage *stage, const char *name)
{
    struct stage_owner *owner = stage_owner_named(stage, name, false);

    for (struct stage_job *job = owner ? owner->jobs : NULL; job; job = job->next)
        if (job->pending) {
            job->pending = false;
            return;
        }
}

bool stage_job_finish(struct stage *stage, const char *name, bool succeeded)
{
    struct stage_owner *owner = stage_owner_named(stage, name, false);

    for (struct stage_job *job = owner ? owner->jobs : NULL; job; job = job->next)
        if (!job->finished) {
            job->finished = true;
            job->succeeded = succeeded;
            job->pending = false;
            job->finished_at_ms = loop_now_ms(stage->loop);
            return true;
        }
    return false;
}

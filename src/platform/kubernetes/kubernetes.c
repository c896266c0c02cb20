/*
 * kubernetes: the platform's table over its files, who may write, and the start and stop of the whole.
 *
 * Who looks after an object, and who may write it now, are two questions. With a lease, the leader looks after all; with shards,
 * each member after those it owns; else this Weir after all. To write, the fence of the client must stand besides: the lease must
 * hold for as long as the request may take. Where nothing may be written at all (--read-only) there is neither lease nor shard,
 * and every Weir looks after everything.
 */
#include "platform/kubernetes/kubernetes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"
#include "platform/kubernetes/leader_label.h"
#include "platform/kubernetes/lease.h"

enum {
    FLUSH_LOOK_MS = 20,    /* at the end: is everything written yet? */
    FLUSH_MAX_MS = 2000,   /* longer would hold up a roll-out, and what is left is written by the next one */
    RELEASE_MAX_MS = 4000, /* lease.h: what is under way is heard to its end, 3 s at most */
};

/* ------------------------------------------------------------------ who may write */

bool kubernetes_is_ours(const struct kubernetes *k, const char *ns, const char *name)
{
    if (k->shards != NULL)
        return shards_own(k->shards, ns, name);
    return k->lease == NULL || lease_held(k->lease);
}

bool kubernetes_may_write(const struct kubernetes *k, const char *ns, const char *name)
{
    return k->write && kube_may_write(k->kube) && kubernetes_is_ours(k, ns, name);
}

bool kubernetes_not_ours(const struct kubernetes *k, const char *ns, const char *name, struct error *err)
{
    if (!k->write)
        return error_set(err, ERROR_DENIED,
                         "%s/%s is only observed: nothing is written into this cluster (--read-only)", ns, name);
    if (k->shards != NULL)
        return error_set(err, ERROR_DENIED, "%s/%s is another Weir's, or its owner is just changing", ns, name);
    return error_set(err, ERROR_DENIED, "%s/%s may not be written: the lease is not held by this Weir, but by %s", ns,
                     name, k->lease != NULL && lease_holder(k->lease)[0] != 0 ? lease_holder(k->lease) : "nobody");
}

void kubernetes_say(const struct kubernetes *k, bool warning, const char *format, ...)
{
    char text[640];
    va_list args;

    if (k->say == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    k->say(k->say_arg, warning, text);
}

static bool may_write(struct platform *platform, const char *ns, const char *name)
{
    return kubernetes_may_write(kubernetes_of(platform), ns, name);
}

static void on_leadership(void *arg, bool held)
{
    struct kubernetes *k = arg;

    k->stats.leader = held;
    leader_label_set(k->leader_label, held && !k->stopping);
    if (!k->stopping)
        kubernetes_resources_reassign(k->resources);
}

static void on_members(void *arg)
{
    struct kubernetes *k = arg;

    if (!k->stopping)
        kubernetes_resources_reassign(k->resources);
}

/* ------------------------------------------------------------------ stopping */

struct stopping {
    struct kubernetes *k;
    struct timer *timer;
    int64_t until_ticks;
    bool releasing;
    platform_done *done;
    void *arg;
};

static void stopped(struct stopping *s)
{
    platform_done *done = s->done;
    void *arg = s->arg;

    s->k->stop = NULL;
    loop_timer_free(s->timer);
    free(s);
    if (done != NULL)
        done(arg, NULL);
}

static void on_released(void *arg)
{
    stopped(arg);
}

/* false: there is nothing to release. */
static bool release(struct stopping *s)
{
    struct kubernetes *k = s->k;

    if (k->shards != NULL)
        shards_leave(k->shards, on_released, s);
    else if (k->lease != NULL && lease_held(k->lease))
        lease_release(k->lease, on_released, s);
    else
        return false;
    return true;
}

/* Nobody answers: it runs out by itself. */
static void let_run_out(struct kubernetes *k)
{
    lease_free(k->lease);
    shards_free(k->shards);
    k->lease = NULL;
    k->shards = NULL;
    kube_set_fence(k->kube, 0);
}

static void on_stopping(void *arg)
{
    struct stopping *s = arg;
    struct kubernetes *k = s->k;
    bool late = loop_ticks_ms(k->loop) >= s->until_ticks;

    if (s->releasing) {
        let_run_out(k);
        stopped(s);
    } else if (!late && (kubernetes_statuses_busy(k->statuses) || kubernetes_events_busy(k->events) ||
                         leader_label_busy(k->leader_label))) {
        loop_timer_set(s->timer, FLUSH_LOOK_MS);
    } else if (release(s)) {
        s->releasing = true;
        loop_timer_set(s->timer, RELEASE_MAX_MS);
    } else {
        stopped(s);
    }
}

/* Who was told of objects and data may be gone already, so nobody is any more. What waits to be written is, for a moment; then the lease
   is given up, so that the next Weir need not wait for its end. Replicas stay as they are: they are the cluster's. */
static void stop(struct platform *platform, bool leave_running, platform_done *done, void *arg)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct stopping *s = mem_alloc(sizeof *s);

    (void)leave_running;
    k->stopping = true;
    kubernetes_resources_stop(k->resources);
    kubernetes_data_stop(k->data);
    leader_label_set(k->leader_label, false);
    *s = (struct stopping){.k = k, .until_ticks = loop_ticks_ms(k->loop) + FLUSH_MAX_MS, .done = done, .arg = arg};
    s->timer = loop_timer_new(k->loop, on_stopping, s);
    k->stop = s;
    loop_timer_set(s->timer, 0);
}

static void kubernetes_free(struct platform *platform)
{
    struct kubernetes *k = kubernetes_of(platform);

    if (k->stop != NULL) {
        loop_timer_free(k->stop->timer);
        free(k->stop);
    }
    kubernetes_jobs_free(k->jobs);
    kubernetes_targets_free(k->targets);
    kubernetes_envs_free(k->envs);
    kubernetes_usages_free(k->usages);
    kubernetes_pods_free(k->pods);
    kubernetes_hpas_free(k->hpas);
    kubernetes_resources_free(k->resources);
    kubernetes_statuses_free(k->statuses);
    kubernetes_data_free(k->data);
    kubernetes_events_free(k->events);
    shards_free(k->shards);
    lease_free(k->lease);
    leader_label_free(k->leader_label);
    kube_free(k->kube);
    notices_free(k->notices);
    for (size_t i = 0; i < k->namespace_count; i++)
        free(k->namespaces[i]);
    free(k->namespaces);
    free(k->own_namespace);
    free(k->identity);
    free(k->object_selector);
    free(k);
}

/* ------------------------------------------------------------------ starting */

static const struct platform_ops ops = {
    .name = "kubernetes",
    .target_watch = kubernetes_target_watch,
    .target_unwatch = kubernetes_target_unwatch,
    .target_view = kubernetes_target_view,
    .target_look_rival = kubernetes_target_look_rival,
    .target_pods = kubernetes_target_pods,
    .target_usage = kubernetes_target_usage,
    .target_pods_shown = kubernetes_target_pods_shown,
    .target_scale = kubernetes_target_scale,
    .target_env = kubernetes_target_env,
    .pods = kubernetes_pods,
    .pods_known = kubernetes_pods_known,
    .jobs_watch = kubernetes_jobs_watch,
    .jobs_unwatch = kubernetes_jobs_unwatch,
    .jobs = kubernetes_jobs,
    .jobs_known = kubernetes_jobs_known,
    .jobs_want_pending = kubernetes_jobs_want_pending,
    .jobs_create = kubernetes_jobs_create,
    .job_delete = kubernetes_job_delete,
    .secret_get = kubernetes_secret_get,
    .config_get = kubernetes_config_get,
    .account_token = kubernetes_account_token,
    .account_token_cancel = kubernetes_account_token_cancel,
    .on_data_change = kubernetes_on_data_change,
    .resources_watch = kubernetes_resources_watch,
    .resources_readable = kubernetes_resources_readable,
    .resource_again = kubernetes_resource_again,
    .status_merge = kubernetes_status_merge,
    .resource_merge = kubernetes_resource_merge,
    .may_write = may_write,
    .hpa_put = kubernetes_hpa_put,
    .hpa_delete = kubernetes_hpa_delete,
    .hpa_view = kubernetes_hpa_view,
    .event = kubernetes_event,
    .event_sources_watch = kubernetes_event_sources_watch,
    .event_source_active = kubernetes_event_source_active,
    .stop = stop,
    .free = kubernetes_free,
};

static char *make_identity(const char *given)
{
    unsigned char mark[4];
    char host[200] = "weir";
    char text[256];

    if (given != NULL)
        return mem_copy(given);
    gethostname(host, sizeof host - 1);
    if (RAND_bytes(mark, sizeof mark) != 1)
        memset(mark, 0, sizeof mark);
    snprintf(text, sizeof text, "%s_%02x%02x%02x%02x", host, mark[0], mark[1], mark[2], mark[3]);
    return mem_copy(text);
}

static void copy_options(struct kubernetes *k, const struct kubernetes_options *o, const struct kube_config *config)
{
    k->namespaces = mem_array(o->namespace_count + 1, sizeof *k->namespaces);
    for (size_t i = 0; i < o->namespace_count; i++)
        k->namespaces[k->namespace_count++] = mem_copy(o->namespaces[i]);
    k->own_namespace = mem_copy(o->own_namespace ? o->own_namespace : kube_config_namespace(config));
    k->identity = make_identity(o->identity);
    k->object_selector = mem_copy(o->object_selector);
    k->write = o->write;
    k->say = o->say;
    k->say_arg = o->say_arg;
}

/* Before anything may be written, who may must be known: only one who is alone needs neither lease nor members. */
static void start_election(struct kubernetes *k, const struct kubernetes_options *o)
{
    kube_set_fence(k->kube, 0);
    if (!o->write)
        return;
    if (o->shard_group != NULL)
        k->shards = shards_new(k->kube, &(struct shards_options){.ns = k->own_namespace,
                                                                 .group = o->shard_group,
                                                                 .identity = k->identity,
                                                                 .duration_ms = o->lease_duration_ms,
                                                                 .retry_ms = o->lease_retry_ms,
                                                                 .changed = on_members,
                                                                 .arg = k});
    else if (o->leader_elect) {
        k->leader_label = o->leader_pod != NULL ? leader_label_new(k, o->leader_pod) : NULL;
        k->lease = lease_new(k->kube, &(struct lease_options){.ns = k->own_namespace,
                                                              .name = o->lease_name ? o->lease_name : "weir-leader",
                                                              .identity = k->identity,
                                                              .duration_ms = o->lease_duration_ms,
                                                              .renew_deadline_ms = o->lease_renew_deadline_ms,
                                                              .retry_ms = o->lease_retry_ms,
                                                              .changed = on_leadership,
                                                              .arg = k});
    } else
        kube_set_fence(k->kube, INT64_MAX);
}

static bool check(const struct kubernetes_options *o, struct error *err)
{
    if (o->leader_elect && o->shard_group != NULL)
        return error_set(
            err, ERROR_INVALID,
            "a leader and shards exclude each other: with shards every member works, take leader election away");
    for (size_t i = 0; i < o->namespace_count; i++) {
        if (o->namespaces[i] == NULL || o->namespaces[i][0] == 0)
            return error_set(err, ERROR_INVALID,
                             "an empty name in the list of namespaces; leave the list away to mean all");
    }
    return true;
}

bool platform_new_kubernetes(struct loop *loop, struct transport *transport, struct kube_config *config,
                             const struct kubernetes_options *options, struct platform **out, struct error *err)
{
    if (!check(options, err))
        return false;
    struct kubernetes *k = mem_alloc(sizeof *k);
    k->platform.ops = &ops;
    k->loop = loop;
    copy_options(k, options, config);
    k->kube = kube_new(loop, transport, config);
    k->notices = notices_new(loop);
    k->events = kubernetes_events_new(k);
    k->data = kubernetes_data_new(k);
    k->statuses = kubernetes_statuses_new(k);
    k->resources = kubernetes_resources_new(k);
    k->hpas = kubernetes_hpas_new(k);
    k->pods = kubernetes_pods_new(k);
    k->usages = kubernetes_usages_new(k);
    k->envs = kubernetes_envs_new(k);
    k->targets = kubernetes_targets_new(k);
    k->jobs = kubernetes_jobs_new(k);
    start_election(k, options);
    *out = &k->platform;
    return true;
}

struct kube *platform_kube(struct platform *kubernetes)
{
    return kubernetes_of(kubernetes)->kube;
}

void platform_kubernetes_stats(struct platform *kubernetes, struct kubernetes_stats *out)
{
    struct kubernetes *k = kubernetes_of(kubernetes);
    struct kube_stats stats;

    kube_stats(k->kube, &stats);
    *out = k->stats;
    out->leader = k->write && k->shards == NULL && kubernetes_is_ours(k, "", "");
    out->members = k->shards != NULL ? (uint32_t)shards_members(k->shards) : 1;
    out->conflicts += stats.conflicts; /* 409; target.c counts counts that were others meanwhile, which are 422 */
}

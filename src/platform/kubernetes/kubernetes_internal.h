/*
 * kubernetes_internal: what the files of the platform that is a cluster share.
 *
 *     kubernetes.c   the platform's table, who may write, start and stop of the whole
 *     notice.c       telling those who watch, in a later turn
 *     leader_label.c the label of the leader's Pod
 *
 *   what is asked for
 *     resource.c     KEDA's objects: told to the autoscaler, each only while it is ours
 *     status.c       what is written into their status
 *     data.c         Secrets and ConfigMaps, by name
 *     account.c      tokens of service accounts
 *     event.c        events
 *     hpa.c          HorizontalPodAutoscalers of hpa mode
 *
 *   what runs
 *     target.c       scale targets and their counts
 *     rival.c        which HorizontalPodAutoscaler scales one, too
 *     pod.c          pods of targets and of selectors
 *     usage.c        cpu and memory of pods
 *     env.c          variables of a target's container
 *     job.c          jobs of ScaledJobs
 *     job_create.c   new ones
 *
 * Each file keeps its state in a struct of its own, made by kubernetes_X_new and ended by kubernetes_X_free (NULL is fine), which
 * stops every reflector and request of it. All writes are fenced requests (client.h) and are not begun unless kubernetes_may_write;
 * with k->write false none is ever made. Below them, knowing nothing of the platform: client, reflector, discovery, lease, shards.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_INTERNAL_H
#define WEIR_PLATFORM_KUBERNETES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "platform/kubernetes/client.h"
#include "platform/kubernetes/kubernetes.h"
#include "platform/platform.h"

struct leader_label;
struct lease;
struct loop;
struct shards;
struct text;
struct timer;

struct kubernetes {
    struct platform platform; /* first */
    struct loop *loop;
    struct kube *kube;
    char **namespaces; /* looked at; none: all */
    size_t namespace_count;
    char *own_namespace, *identity, *object_selector; /* object_selector NULL: none */
    bool write;                                       /* false: nothing in the cluster is ever written */
    struct lease *lease;                              /* NULL: no election */
    struct shards *shards;                            /* NULL: no shards */
    struct leader_label *leader_label;                /* NULL: none is set */
    struct notices *notices;
    void (*say)(void *arg, bool warning, const char *text); /* or NULL; see kubernetes_say */
    void *say_arg;
    struct kubernetes_stats stats; /* counted where it happens: scales by target.c, ... */
    bool stopping;
    struct stopping *stop; /* kubernetes.c; NULL: not under way */

    struct resources *resources;
    struct statuses *statuses;
    struct data *data;
    struct events *events;
    struct hpas *hpas;
    struct targets *targets;
    struct pod_watches *pods;
    struct usages *usages;
    struct envs *envs;
    struct job_sets *jobs;
};

static inline struct kubernetes *kubernetes_of(struct platform *platform)
{
    return (struct kubernetes *)platform;
}

/* ---- who may write (kubernetes.c) ---- */
/* Is the object this Weir's to look after? Where nothing is written (observe) every one is, and every Weir looks. */
bool kubernetes_is_ours(const struct kubernetes *k, const char *ns, const char *name);
/* Ours, and a write sent now is certain to land before anybody else may write. */
bool kubernetes_may_write(const struct kubernetes *k, const char *ns, const char *name);
/* The error of a write that may not be made; returns false. */
bool kubernetes_not_ours(const struct kubernetes *k, const char *ns, const char *name, struct error *err);

/* For the log, once for each thing that begins or ends (kubernetes.h, say). */
void kubernetes_say(const struct kubernetes *k, bool warning, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- notices: one who watches; told in a later turn, once for any number of changes (notice.c) ---- */
struct kube_notice {
    platform_changed *changed;
    void *arg;
    bool due;
    struct kube_notice *next_due, **link_due;
};
struct notices *notices_new(struct loop *loop);
void notices_free(struct notices *notices);
void kube_notice_mark(struct kubernetes *k, struct kube_notice *notice);
/* Before its storage goes away, or it does not want to know any more; allowed while being told. */
void kube_notice_forget(struct kubernetes *k, struct kube_notice *notice);
/* Calls done in a later turn; err NULL: it was done. done NULL is fine. */
void kubernetes_answer_later(struct kubernetes *k, platform_done *done, void *arg, const struct error *err);

/* ---- metadata of an object as the API gives it (resource.c) ---- */
struct kube_meta { /* borrowed from the tree; absent texts are "" */
    const char *ns, *name, *uid, *resource_version;
    int64_t generation;
    int64_t created_at_ms; /* 0: none */
    bool deleting;
};
void kube_meta_read(const struct tree *object, struct kube_meta *out);
/* Group, version and plural of a kind of resource: "keda.sh", "v1alpha1", "scaledobjects"; and its kind, "ScaledObject". */
#define KEDA_GROUP     "keda.sh"
#define EVENTING_GROUP "eventing.keda.sh"
#define KEDA_VERSION   "v1alpha1" /* of both */
const char *kubernetes_plural(enum resource_kind kind);
const char *kubernetes_kind(enum resource_kind kind);
bool kubernetes_kind_of(const char *kind, enum resource_kind *out);
bool kubernetes_resource_path(struct text *out, enum resource_kind kind, const char *ns, const char *name,
                              const char *subresource);

/* ---- the files: made in this order, ended in the other ---- */
struct events *kubernetes_events_new(struct kubernetes *k);
void kubernetes_events_free(struct events *events);
struct data *kubernetes_data_new(struct kubernetes *k);
void kubernetes_data_free(struct data *data);
void kubernetes_data_stop(struct data *data); /* nobody is told any more; what is asked for is still found */
struct pod_watches *kubernetes_pods_new(struct kubernetes *k);
void kubernetes_pods_free(struct pod_watches *pods);
struct usages *kubernetes_usages_new(struct kubernetes *k);
void kubernetes_usages_free(struct usages *usages);
struct envs *kubernetes_envs_new(struct kubernetes *k);
void kubernetes_envs_free(struct envs *envs);
struct targets *kubernetes_targets_new(struct kubernetes *k);
void kubernetes_targets_free(struct targets *targets);
struct job_sets *kubernetes_jobs_new(struct kubernetes *k);
void kubernetes_jobs_free(struct job_sets *jobs);
struct hpas *kubernetes_hpas_new(struct kubernetes *k);
void kubernetes_hpas_free(struct hpas *hpas);
struct statuses *kubernetes_statuses_new(struct kubernetes *k);
void kubernetes_statuses_free(struct statuses *statuses);
struct resources *kubernetes_resources_new(struct kubernetes *k);
void kubernetes_resources_free(struct resources *resources);
void kubernetes_resources_stop(struct resources *resources); /* likewise; what waits to be written of them still is */

/* ---- entries of the platform's table (platform.h says what they promise) ---- */
/* target.c */
struct target *kubernetes_target_watch(struct platform *, const struct target_key *key, platform_changed *changed,
                                       void *arg);
void kubernetes_target_unwatch(struct target *);
void kubernetes_target_look_rival(struct target *);
void kubernetes_target_view(struct target *, struct target_view *out);
size_t kubernetes_target_pods(struct target *, const struct pod_view **out);
void kubernetes_target_scale(struct target *, int32_t replicas, const char *reason, platform_done *done, void *arg);
enum lookup kubernetes_target_usage(struct target *, struct error *err);
size_t kubernetes_target_pods_shown(struct target *, const struct pod_view **out);
/* env.c */
enum lookup kubernetes_target_env(struct platform *, const struct target_key *key, const char *container,
                                  const char *name, struct secret **out);
/* For resource.c: a ScaledJob was read. Its variables, should somebody have asked for some, are taken from here. */
void kubernetes_env_saw(struct kubernetes *k, const char *kind, const struct tree *object);
/* pod.c */
enum lookup kubernetes_pods_known(struct platform *, const char *ns, struct error *err);
size_t kubernetes_pods(struct platform *, const char *ns, const struct selector *selector, struct arena *arena,
                       const struct pod_view ***out);
/* job.c */
struct job_owner *kubernetes_jobs_watch(struct platform *, const char *ns, const char *name, uint64_t generation,
                                        platform_changed *changed, void *arg);
void kubernetes_jobs_unwatch(struct job_owner *);
size_t kubernetes_jobs(struct job_owner *, const struct job_view **out);
enum lookup kubernetes_jobs_known(struct job_owner *, struct error *err);
void kubernetes_jobs_want_pending(struct job_owner *, const char *const *conditions, size_t count);
void kubernetes_job_delete(struct job_owner *, const char *job_name);
/* job_create.c */
void kubernetes_jobs_create(struct job_owner *, int32_t count, platform_done *done, void *arg);
/* data.c */
enum lookup kubernetes_secret_get(struct platform *, const char *ns, const char *name, const char *key,
                                  struct secret **out);
enum lookup kubernetes_config_get(struct platform *, const char *ns, const char *name, const char *key,
                                  struct secret **out);
struct account_token *kubernetes_account_token(struct platform *, const char *ns, const char *account, int64_t seconds,
                                               platform_token *done, void *arg); /* account.c */
void kubernetes_account_token_cancel(struct account_token *token);
void kubernetes_on_data_change(struct platform *, void (*changed)(void *arg, const char *ns, const char *name),
                               void *arg);
/* Tells those of on_data_change, in a later turn (for env.c: name is a target's there). */
void kubernetes_data_tell(struct kubernetes *k, const char *ns, const char *name);
/* The whole of one, for envFrom: calls each with every key and value it has. LOOKUP_FOUND: they were told. */
typedef void kubernetes_data_each(void *arg, const char *key, struct secret *value);
enum lookup kubernetes_data_walk(struct kubernetes *k, bool secret, const char *ns, const char *name,
                                 kubernetes_data_each *each, void *arg);
/* resource.c */
void kubernetes_resources_watch(struct platform *, resource_changed *changed, void (*synced)(void *arg), void *arg);
bool kubernetes_resources_readable(struct platform *, enum resource_kind kind, struct error *err);
void kubernetes_resource_again(struct platform *, enum resource_kind kind, const char *ns, const char *name);
void kubernetes_resource_merge(struct platform *, enum resource_kind kind, const char *ns, const char *name,
                               const char *patch_json, size_t length, platform_done *done, void *arg);
void kubernetes_event_sources_watch(struct platform *, const struct event_source_listener *listener);
void kubernetes_event_source_active(struct platform *, const char *ns, const char *name, bool active,
                                    const char *reason, const char *message);
/* As kubernetes_event, of one that the autoscaler does not know of. */
void kubernetes_event_said(struct platform *, const char *ns, const char *kind, const char *name, bool warning,
                           const char *reason, const char *text);
void kubernetes_resources_reassign(struct resources *resources); /* who owns what may be otherwise now */
/* What is known of the status of an object that is looked after: kept by status.c, goes with the object. NULL: no such object. */
struct status;
struct status **kubernetes_resource_status(const struct kubernetes *k, enum resource_kind kind, const char *ns,
                                           const char *name);
void kubernetes_status_seen(struct statuses *statuses, struct status **status, const struct tree *object);
void kubernetes_status_gone(struct statuses *statuses, struct status *status); /* the object is; NULL is fine */
bool kubernetes_statuses_busy(const struct statuses *statuses);                /* something is about to be written */
bool kubernetes_statuses_jammed(const struct statuses *statuses);              /* as many as may be are under way */
bool kubernetes_events_busy(const struct events *events);
/* uid of one of KEDA's objects that was told; false: it is not known, and out is as it was. out holds 64 bytes. */
enum { KUBE_UID_BYTES = 64 };
bool kubernetes_resource_uid(const struct kubernetes *k, enum resource_kind kind, const char *ns, const char *name,
                             char out[KUBE_UID_BYTES]);
/* status.c */
void kubernetes_status_merge(struct platform *, enum resource_kind kind, const char *ns, const char *name,
                             const char *patch_json, size_t length);
/* hpa.c */
void kubernetes_hpa_put(struct platform *, const char *ns, const char *name, const char *json, size_t length,
                        platform_done *done, void *arg);
void kubernetes_hpa_delete(struct platform *, const char *ns, const char *name, const char *owner_uid,
                           platform_done *done, void *arg);
enum lookup kubernetes_hpa_view(struct platform *, const char *ns, const char *name, struct hpa_view *out);
/* event.c */
void kubernetes_event(struct platform *, const char *ns, const char *kind, const char *name, bool warning,
                      const char *reason, const char *text);
/* About an object that is not KEDA's (a target, a Job): api_version "apps/v1"; uid "" where it is not known. */
void kubernetes_event_about(struct kubernetes *k, const char *api_version, const char *kind, const char *ns,
                            const char *name, const char *uid, bool warning, const char *reason, const char *text);

#endif

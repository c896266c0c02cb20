/*
 * platform: the seam to the place where replicas live. local/ (processes on this machine), kubernetes/ (a cluster),
 * sim/ (virtual).
 *
 * Reads answer at once from what the platform last saw; whoever asked is told by a callback when it changes. Writes are
 * asynchronous and complete exactly once. Callbacks only mark things due. Loop thread only.
 */
#ifndef WEIR_PLATFORM_PLATFORM_H
#define WEIR_PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "decide/decide.h"

struct arena;
struct label;
struct manifest;
struct platform;
struct report;
struct secret;
struct selector;
struct text;
struct tree;

struct container_view { /* of a pod, where the platform tells them apart */
    const char *name;
    struct pod_usage cpu, memory;
};
struct pod_view {     /* one replica (or job process); borrowed, valid until the next turn */
    const char *name; /* "server-0" */
    const struct label *labels;
    size_t label_count;
    enum pod_phase phase;
    enum pod_ready ready;
    bool deleted;
    int64_t start_at_ms, ready_at_ms;
    const char *host; /* "127.0.0.1", or "" before it has an address */
    int port;         /* its first port, 0: none */
    const char *node;
    int restarts;
    const char *note;                        /* why it is not ready or not running, or "" */
    struct pod_usage cpu, memory;            /* of the whole pod */
    const struct container_view *containers; /* NULL: they are not told apart here */
    size_t container_count;
};

struct target_view {
    bool known; /* the scale could be read; else see error */
    struct error error;
    int32_t replicas, status_replicas, ready_replicas;
    /* In a cluster; else NULL. What the target is, as discovery says: "apps", "v1", "Deployment", "deployments". */
    const char *group, *version, *kind, *resource;
    /* How often somebody else changed spec.replicas since it is watched, and who did last: the field manager's name. Only where
       the target itself tells (metadata.managedFields of a Deployment and its like). */
    uint32_t others_writes;
    const char *other;
    /* The HorizontalPodAutoscaler that does it; NULL: there is none, or target_look_rival was never called. */
    const char *rival;
};

struct target; /* one scale target that somebody watches */
struct target_key {
    const char *ns, *api_version, *kind, *name;
};
typedef void platform_changed(void *arg);
typedef void platform_done(void *arg, const struct error *err); /* err NULL: done */
struct account_token;                                           /* one that was asked for */
/* err NULL: here it is, good for left_ms; borrowed for the call. */
typedef void platform_token(void *arg, const struct secret *token, int64_t left_ms, const struct error *err);

struct job_view {
    const char *name;
    bool finished, succeeded;
    int64_t created_at_ms, finished_at_ms;
    bool pending;        /* not one pod runs yet (keda-operator/04 5) */
    uint64_t generation; /* of the ScaledJob that made it */
};
struct job_owner; /* one ScaledJob */

enum lookup { LOOKUP_FOUND, LOOKUP_ABSENT, LOOKUP_PENDING /* ask again when told */, LOOKUP_DENIED };

/* ---- what is asked for, where the platform says it (a cluster); elsewhere files do ---- */
enum resource_kind {
    RESOURCE_TRIGGER_AUTH,
    RESOURCE_CLUSTER_TRIGGER_AUTH, /* ns "" */
    RESOURCE_SCALED_OBJECT,
    RESOURCE_SCALED_JOB,
    RESOURCE_EVENT_SOURCE,         /* CloudEventSource; told by event_sources_watch, not by resources_watch */
    RESOURCE_CLUSTER_EVENT_SOURCE, /* likewise, ns "" */
    RESOURCE_KINDS,
};
enum resource_end {
    RESOURCE_STAYS,
    RESOURCE_DELETED, /* it is gone, or is being deleted and waits for our finalizer */
    RESOURCE_MOVED,   /* this Weir is no longer the leader: forget it, touch nothing */
    /* Where objects are spread over several Weirs: it is another's. Told of those too, for what they refer to (tree) counts everywhere;
       tree NULL: it was this Weir's until now, refers to what it did, and is to be forgotten otherwise. */
    RESOURCE_ELSEWHERE,
};
struct resource_view { /* borrowed, valid during the call */
    enum resource_kind kind;
    const char *ns, *name, *uid;
    int64_t generation;      /* metadata.generation */
    int64_t created_at_ms;   /* metadata.creationTimestamp */
    bool deleting;           /* has a deletionTimestamp: whoever has a finalizer in it must let go */
    const struct tree *tree; /* the whole object as the API gave it; NULL when it is gone */
};
/* Told for each that this Weir is responsible for, and at each change of anything but its status. In an order in which what others
   refer to comes first. ended: see above; then only kind, ns and name are set, and tree if it is being deleted. */
typedef void resource_changed(void *arg, const struct resource_view *resource, enum resource_end ended);

/* ---- where events go (CloudEventSource, ClusterCloudEventSource) ---- */
struct event_source;
struct event_source_listener {
    void *arg;
    /* Each there is, and at each change of its spec; source NULL: it is gone. ns "": of the cluster kind. Borrowed for the call. */
    void (*changed)(void *arg, const char *ns, const char *name, const struct event_source *source);
    /* An event that the platform made itself (job_delete); those of the autoscaler go by its listeners. NULL is fine. */
    void (*event)(void *arg, const char *ns, const char *kind, const char *name, bool warning, const char *reason,
                  const char *text);
};

struct hpa_view { /* a HorizontalPodAutoscaler as it is */
    bool exists;
    const char *scaling_active, *reason, *message; /* its condition ScalingActive; NULL: it has none */
    const char *owner_uid; /* of its controller (an ownerReference with controller: true); NULL: it has none */
    bool differs; /* its spec, labels or annotations are not what hpa_put asked for last: somebody changed them */
};

struct platform_ops {
    const char *name;   /* "local" */
    const char *no_hpa; /* why an object cannot be in hpa mode here, to follow "weir.dev/mode"; NULL: it can */

    /* ---- what runs ---- */
    struct target *(*target_watch)(struct platform *, const struct target_key *key, platform_changed *changed,
                                   void *arg);
    void (*target_unwatch)(struct target *);
    void (*target_view)(struct target *, struct target_view *out);
    /* Looks which HorizontalPodAutoscaler scales the target, too; whoever watches it is told when there is one, and when it is gone.
       NULL: there are none here. */
    void (*target_look_rival)(struct target *);
    size_t (*target_pods)(struct target *, const struct pod_view **out);
    /* In a cluster pods and their usage are watched only while somebody needs them, and asking is needing (for some minutes). So
       there is a time in which they are not known yet. These say so; NULL, and always elsewhere: they are known.
       target_usage: is what target_pods says, with cpu and memory of the pods, all there is? FOUND: yes. PENDING: ask again when told.
       ABSENT (no metrics.k8s.io here), DENIED: err says why; decide's pods_failed.
       pods_known: the same of pods() in this namespace, without usage. */
    enum lookup (*target_usage)(struct target *, struct error *err);
    enum lookup (*pods_known)(struct platform *, const char *ns, struct error *err);
    /* As target_pods, but only what is watched anyway: for showing. NULL: target_pods will do. */
    size_t (*target_pods_shown)(struct target *, const struct pod_view **out);
    /* reason: for the platform's own log and events. A later call replaces one that has not begun. */
    void (*target_scale)(struct target *, int32_t replicas, const char *reason, platform_done *done, void *arg);
    /* Value of a variable of the target's container (container NULL: the first), for <name>FromEnv and `env` of a
       TriggerAuthentication. Secret, because it may come from one; caller unrefs. Where it was PENDING, and whenever the variables
       change, on_data_change is called with the target's namespace and name. */
    enum lookup (*target_env)(struct platform *, const struct target_key *key, const char *container, const char *name,
                              struct secret **out);
    /* All pods of a namespace that the selector matches. */
    size_t (*pods)(struct platform *, const char *ns, const struct selector *selector, struct arena *arena,
                   const struct pod_view ***out);

    /* ---- jobs ---- */
    /* generation: what jobs made for this watch carry. In a cluster metadata.generation of the ScaledJob, for KEDA writes it so
       (keda-operator/04 6). */
    struct job_owner *(*jobs_watch)(struct platform *, const char *ns, const char *name, uint64_t generation,
                                    platform_changed *changed, void *arg);
    void (*jobs_unwatch)(struct job_owner *);
    size_t (*jobs)(struct job_owner *, const struct job_view **out);
    /* Is what jobs() says all there is? Until then nothing may be concluded from it, and jobs_create refuses. NULL: always FOUND.
       PENDING: ask again when told. DENIED: err says why. */
    enum lookup (*jobs_known)(struct job_owner *, struct error *err);
    /* job_view.pending is needed exactly, as a strategy counts it (accurate, eager): costs a watch of pods, where without it a job's
       own status has to do. conditions: pendingPodConditions (keda-operator/04 5), copied. NULL: it is always exact. */
    void (*jobs_want_pending)(struct job_owner *, const char *const *conditions, size_t count);
    /* Jobs that are being created count as running at once, in jobs(). Each is tried; the events of it (KEDAJobsCreated,
       KEDAJobCreateFailed) are the cluster platform's to send, for it knows how many there are. Where what was decided on is not so any
       more, fewer are made, nothing failed, and it is decided anew. */
    void (*jobs_create)(struct job_owner *, int32_t count, platform_done *done, void *arg);
    /* In a cluster its events for Jobs of earlier generations are the platform's to send: ScaledJobRolloutCleanupFailed for each
       that cannot be deleted, ScaledJobRolloutCleanupCompleted when all that were asked for have been. */
    void (*job_delete)(struct job_owner *, const char *job_name);

    /* ---- data ---- */
    enum lookup (*secret_get)(struct platform *, const char *ns, const char *name, const char *key,
                              struct secret **out);
    enum lookup (*config_get)(struct platform *, const char *ns, const char *name, const char *key,
                              struct secret **out);
    /* A token of a service account (TokenRequest), good for about `seconds`. Completes exactly once, later, unless it is cancelled before.
       NULL, both: there are no service accounts here. */
    struct account_token *(*account_token)(struct platform *, const char *ns, const char *account, int64_t seconds,
                                           platform_token *done, void *arg);
    void (*account_token_cancel)(struct account_token *);
    /* Told whenever a Secret or ConfigMap that somebody asked for changes, or is known after LOOKUP_PENDING; and with the name of a
       target (or ScaledJob) whose variables were asked for by target_env, when those change, whatever they come from. */
    void (*on_data_change)(struct platform *, void (*changed)(void *arg, const char *ns, const char *name), void *arg);

    /* ---- objects in a cluster (all NULL elsewhere) ---- */
    /* From now on, until platform free. `synced` is called whenever all that there is was told (first at the start). */
    void (*resources_watch)(struct platform *, resource_changed *changed, void (*synced)(void *arg), void *arg);
    /* Can resources of this kind be read? false: err says why not, and what grants it. NULL: they can. */
    bool (*resources_readable)(struct platform *, enum resource_kind kind, struct error *err);
    /* Tells the resource again as it is now in the cluster (it is read anew: nothing is kept of it), by resource_changed. */
    void (*resource_again)(struct platform *, enum resource_kind kind, const char *ns, const char *name);
    /* Merges into the status, soon; patches of one object that have not gone out yet become one (RFC 7396). Nothing is sent where
       the status is so already. Lost when the object is gone or moved. */
    void (*status_merge)(struct platform *, enum resource_kind kind, const char *ns, const char *name,
                         const char *patch_json, size_t length);
    /* Merges into the object itself: finalizers, the label that KEDA sets. */
    void (*resource_merge)(struct platform *, enum resource_kind kind, const char *ns, const char *name,
                           const char *patch_json, size_t length, platform_done *done, void *arg);
    /* May what was decided for this object be written now? false: this Weir is not (or not certainly) the one who writes. */
    bool (*may_write)(struct platform *, const char *ns, const char *name);
    /* HorizontalPodAutoscalers of hpa mode. json: all of it, as it should be; it is created, taken over or replaced where it
       differs (keda-operator/02 5.3). */
    void (*hpa_put)(struct platform *, const char *ns, const char *name, const char *json, size_t length,
                    platform_done *done, void *arg);
    /* Deletes it if its controller is the object of this uid; any other is left alone, and that is no error: a name in a status may
       have been written there by anybody. */
    void (*hpa_delete)(struct platform *, const char *ns, const char *name, const char *owner_uid, platform_done *done,
                       void *arg);
    enum lookup (*hpa_view)(struct platform *, const char *ns, const char *name, struct hpa_view *out);

    /* ---- events ---- */
    void (*event)(struct platform *, const char *ns, const char *kind, const char *name, bool warning,
                  const char *reason, const char *text);

    /* Where they are to be sent besides. One listener, borrowed; called before resources_watch and manifest_set, and with NULL when it wants
       to know no more. NULL: there are no such sources here. */
    void (*event_sources_watch)(struct platform *, const struct event_source_listener *listener);
    /* Whether events get there, for the source's condition Active. Written only where it is other than what is there. NULL: nobody looks. */
    void (*event_source_active)(struct platform *, const char *ns, const char *name, bool active, const char *reason,
                                const char *message);

    /* Manifests of the files Weir watches: workloads, Secrets, ConfigMaps, job templates (local platform; NULL elsewhere).
       Replaces what this file said before; manifest NULL: the file is gone. Everything needed is copied. */
    void (*manifest_set)(struct platform *, const char *file, const struct manifest *manifest, struct report *report);
    /* Around the manifest_set of several files that changed together: what one of them named and another names now goes on without
       a break; what none of them names any more goes at the end. Without these two it goes at once. */
    void (*manifests_begin)(struct platform *, const char *const *files, size_t count);
    void (*manifests_end)(struct platform *);

    /* Stops: leave_running keeps replicas for the next Weir to adopt. done is called when all processes are gone. */
    void (*stop)(struct platform *, bool leave_running, platform_done *done, void *arg);
    void (*free)(struct platform *);
};
struct platform { /* first member of every implementation */
    const struct platform_ops *ops;
};

#endif

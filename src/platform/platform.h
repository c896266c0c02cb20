/*
 * platform: the seam to the place where replicas live. local/ (processes on this machine), kubernetes/ (later), sim/ (virtual).
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
    const char *note;             /* why it is not ready or not running, or "" */
    struct pod_usage cpu, memory; /* of the whole pod */
};

struct target_view {
    bool known; /* the scale could be read; else see error */
    struct error error;
    int32_t replicas, status_replicas, ready_replicas;
};

struct target; /* one scale target that somebody watches */
struct target_key {
    const char *ns, *api_version, *kind, *name;
};
typedef void platform_changed(void *arg);
typedef void platform_done(void *arg, const struct error *err); /* err NULL: done */

struct job_view {
    const char *name;
    bool finished, succeeded;
    int64_t created_at_ms, finished_at_ms;
    bool pending;        /* not one pod runs yet (keda-operator/04 5) */
    uint64_t generation; /* of the ScaledJob that made it */
};
struct job_owner; /* one ScaledJob */

enum lookup { LOOKUP_FOUND, LOOKUP_ABSENT, LOOKUP_PENDING /* ask again when told */, LOOKUP_DENIED };

struct platform_ops {
    const char *name;   /* "local" */
    const char *no_hpa; /* why an object cannot be in hpa mode here, to follow "weir.dev/mode"; NULL: it can */

    /* ---- what runs ---- */
    struct target *(*target_watch)(struct platform *, const struct target_key *key, platform_changed *changed,
                                   void *arg);
    void (*target_unwatch)(struct target *);
    void (*target_view)(struct target *, struct target_view *out);
    size_t (*target_pods)(struct target *, const struct pod_view **out);
    /* reason: for the platform's own log and events. A later call replaces one that has not begun. */
    void (*target_scale)(struct target *, int32_t replicas, const char *reason, platform_done *done, void *arg);
    /* Value of a variable of the target's container (container NULL: the first), for <name>FromEnv and `env` of a
       TriggerAuthentication. Secret, because it may come from one; caller unrefs. */
    enum lookup (*target_env)(struct platform *, const struct target_key *key, const char *container, const char *name,
                              struct secret **out);
    /* All pods of a namespace that the selector matches. */
    size_t (*pods)(struct platform *, const char *ns, const struct selector *selector, struct arena *arena,
                   const struct pod_view ***out);

    /* ---- jobs ---- */
    struct job_owner *(*jobs_watch)(struct platform *, const char *ns, const char *name, uint64_t generation,
                                    platform_changed *changed, void *arg);
    void (*jobs_unwatch)(struct job_owner *);
    size_t (*jobs)(struct job_owner *, const struct job_view **out);
    void (*jobs_create)(struct job_owner *, int32_t count, platform_done *done, void *arg);
    void (*job_delete)(struct job_owner *, const char *job_name);

    /* ---- data ---- */
    enum lookup (*secret_get)(struct platform *, const char *ns, const char *name, const char *key,
                              struct secret **out);
    enum lookup (*config_get)(struct platform *, const char *ns, const char *name, const char *key,
                              struct secret **out);
    /* Told whenever a Secret or ConfigMap that somebody asked for changes. */
    void (*on_data_change)(struct platform *, void (*changed)(void *arg, const char *ns, const char *name), void *arg);

    /* ---- events ---- */
    void (*event)(struct platform *, const char *ns, const char *kind, const char *name, bool warning,
                  const char *reason, const char *text);

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

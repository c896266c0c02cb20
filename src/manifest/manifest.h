/*
 * manifest: Kubernetes and KEDA resources as people wrote them: read with line numbers, checked, defaults known.
 *
 *     struct manifest *m;
 *     manifest_read("policy.yaml", bytes, length, report, &m);
 *     for (size_t i = 0; i < m->scaled_object_count; i++) ... m->scaled_objects[i] ...
 *     manifest_free(m);
 *
 * Pure: files are opened by the caller (cli, autoscaler). Everything in a manifest lives in its arena and dies with it; nothing
 * of it is kept once policy/ has made rules of it. A field that is absent is NULL, -1 (counts and seconds) or 0 (pointers
 * to trees); defaults are applied by the readers of the struct, named DEFAULT_* here, so that "unset" can be told from
 * "set to the default". All findings (unknown fields, wrong types, ranges, KEDA's admission rules that need one object
 * only) go into the report with file, line, column, path and remedy. An object with an error is still listed, `broken` set.
 * Rules: keda-operator/01 (fields, limits), 06 (admission), Kubernetes' own validation for the workload kinds.
 */
#ifndef WEIR_MANIFEST_MANIFEST_H
#define WEIR_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct arena;
struct error;
struct selector;
struct tree;

enum {
    DEFAULT_POLLING_INTERVAL_S = 30,
    DEFAULT_COOLDOWN_PERIOD_S = 300,
    DEFAULT_INITIAL_COOLDOWN_PERIOD_S = 0,
    DEFAULT_MIN_REPLICAS = 0,
    DEFAULT_MAX_REPLICAS = 100,
    DEFAULT_JOBS_HISTORY_LIMIT = 100,
    DEFAULT_GRACE_PERIOD_S = 30,
};

struct object_meta {
    const char *kind, *api_version;
    const char *ns, *name;                   /* ns "default" where unset; "" for cluster kinds */
    const struct tree *labels, *annotations; /* maps of strings, or NULL */
    const struct tree *tree;                 /* the whole object, as it was read */
    struct place place;                      /* of the document (or the List's item) */
    const char *path_prefix;                 /* "" or "items[1]." */
    uint64_t generation;                     /* hash of spec, data and annotations: changes when they do */
    bool broken;                             /* the report has an error for it */
};

struct target_ref {
    const char *api_version, *kind, *name,
        *env_container; /* defaults apps/v1, Deployment applied; env_container may be NULL */
    struct place place;
};

struct trigger_spec {
    const char *type, *name;           /* name NULL if unset or "" */
    const struct tree *metadata;       /* map of strings */
    const char *auth_name, *auth_kind; /* authenticationRef; kind defaulted; NULL: none */
    const char *metric_type;           /* as written, or NULL */
    bool use_cached_metrics;
    bool unclear; /* type or parameters are lost to an error already reported: nothing more to say about it */
    struct place place;
    int index;
    size_t metric; /* of a trigger with several, see policy/metrics.c; 0 as written */
};

struct scaled_object {
    struct object_meta meta;
    struct target_ref target;
    int32_t polling_interval_s, cooldown_period_s, initial_cooldown_period_s; /* -1: unset */
    int32_t idle_replicas, min_replicas, max_replicas;                        /* -1: unset */
    bool restore_to_original;
    const char *hpa_name;
    const struct tree *behavior; /* autoscaling/v2 behavior, checked; NULL: absent */
    bool has_modifiers;          /* any field of scalingModifiers is set */
    const char *formula, *formula_target, *formula_activation, *formula_metric_type; /* NULL: unset */
    struct place formula_place;
    bool has_fallback;
    int32_t fallback_threshold, fallback_replicas;
    const char *fallback_behavior; /* "static" where unset */
    const struct trigger_spec *triggers;
    size_t trigger_count;
};

struct scaled_job {
    struct object_meta meta;
    const struct tree *job_template; /* spec.jobTargetRef: a batch/v1 JobSpec */
    const char *env_container;
    int32_t polling_interval_s, min_replicas, max_replicas; /* -1: unset */
    int32_t successful_history, failed_history;             /* -1: unset */
    const char *rollout_strategy;                           /* "immediate" where unset */
    const char *strategy, *combination;                     /* "default", "max" where unset */
    int32_t custom_deduction;
    const char *custom_running_percentage; /* or NULL */
    const char *const *pending_conditions;
    size_t pending_condition_count;
    const struct trigger_spec *triggers;
    size_t trigger_count;
};

struct
    trigger_auth { /* TriggerAuthentication and its cluster kind (meta.kind tells); sources are read by credential/ */
    struct object_meta meta;
    const struct tree *spec;
};

struct env_var { /* one of value, secret, config is set */
    const char *name, *value;
    const char *secret_name, *config_name, *field_path, *resource; /* valueFrom */
    const char *key;
    bool optional;
};
struct env_from {
    const char *prefix, *secret_name, *config_name;
    bool optional;
};
struct volume {
    const char *name, *secret_name, *config_name;
    bool empty_dir;
    const struct tree *items; /* key -> path, or NULL: all keys */
    bool optional;
};
/* CloudEventSource and its cluster kind (meta.kind tells): where events are sent as CloudEvents. Texts NULL where unset. */
struct event_source {
    struct object_meta meta;
    const char *cluster_name;
    const char *http_uri, *topic_endpoint;         /* destinations; http counts where both are given */
    const char *const *included, *const *excluded; /* types of events, NULL-terminated; NULL: not given */
};
/* The types there are: "keda.scaledobject.ready.v1" ...; NULL-terminated. */
extern const char *const event_types[];
int event_type_index(const char *type); /* among them; -1: there is no such type */

enum probe_kind { PROBE_NONE, PROBE_HTTP, PROBE_TCP, PROBE_EXEC };
struct probe {
    enum probe_kind kind;
    const char *path, *scheme, *port; /* port: a number, a port's name, or "$PORT" */
    const struct tree *headers;
    const char *const *command; /* NULL-terminated */
    int32_t initial_delay_s, period_s, timeout_s, success_threshold,
        failure_threshold;  /* defaults applied: 0 10 1 1 3 */
    int32_t grace_period_s; /* -1: the pod's */
};
struct container {
    const char *name;
    const char *const *command, *const *args; /* NULL-terminated; command may be empty */
    const char *working_dir;
    const struct env_var *env;
    size_t env_count;
    const struct env_from *env_from;
    size_t env_from_count;
    const char *first_port; /* of `ports`: a number as text, or NULL */
    const struct tree *ports;
    struct probe readiness, liveness, startup;
    int64_t cpu_request_milli, memory_request_milli; /* -1: none (limits count where requests are absent) */
};
struct pod_template {
    const struct tree *labels;
    struct container main; /* the first container */
    size_t container_count;
    const struct volume *volumes;
    size_t volume_count;
    int32_t grace_period_s;
    const char *restart_policy; /* "Always" where unset */
    const struct tree *tree;    /* the whole template, for `FromEnv` of other containers and for Kubernetes */
};
struct workload { /* Deployment, StatefulSet (apps/v1) */
    struct object_meta meta;
    int32_t replicas; /* -1: unset (means 1) */
    const struct selector *selector;
    struct pod_template template;
};
/* A batch/v1 JobSpec (of a ScaledJob). */
struct job_spec {
    struct pod_template template;
    int32_t backoff_limit, completions, parallelism; /* -1: unset */
    int64_t active_deadline_s, ttl_after_finished_s; /* -1: unset */
};
bool manifest_read_job_spec(const struct tree *job_template, struct arena *arena, struct job_spec *out,
                            struct error *err);

struct config_data { /* Secret, ConfigMap: key -> bytes (data decoded from base64, stringData merged) */
    struct object_meta meta;
    bool secret;
    struct config_entry {
        const char *key;
        const char *bytes;
        size_t length;
    } * entries;
    size_t entry_count;
};

struct manifest {
    struct arena *arena;
    const char *file;
    struct tree *documents;
    struct scaled_object *scaled_objects;
    size_t scaled_object_count;
    struct scaled_job *scaled_jobs;
    size_t scaled_job_count;
    struct trigger_auth *trigger_auths;
    size_t trigger_auth_count;
    struct workload *workloads;
    size_t workload_count;
    struct config_data *configs;
    size_t config_count;
    struct event_source *event_sources;
    size_t event_source_count;
    size_t other_count; /* documents of kinds that Weir does not read (Service, Ingress ...) */
};

/* Reads all documents of one file. Never NULL in *out: what is not YAML is an error in the report, `documents` is NULL then, and
   only the documents of the file that could be read are there. local: the local platform will run the workloads, so fields it cannot mean are errors that name them. */
struct manifest_options {
    bool local;
    const char *default_namespace; /* NULL: "default" */
};
void manifest_read(const char *file, const char *bytes, size_t length, const struct manifest_options *options,
                   struct report *report, struct manifest **out);
/* The same for one object that is a tree already (of the API, of an admission review); the tree must outlive the manifest. */
void manifest_read_tree(const char *file, const struct tree *object, const struct manifest_options *options,
                        struct report *report, struct manifest **out);
void manifest_free(struct manifest *manifest);

/* A stable hash of what a node says, wherever it stands. */
uint64_t manifest_hash(const struct tree *node);

#endif

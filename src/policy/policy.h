/*
 * policy: manifest -> rules, program, triggers, findings. The one path for lint, webhook, test, simulate and run.
 *
 *     struct policy *p = policy_build(&scaled_object, &context, report);   -- NULL: the report says why
 *     decide(&p->rules, ...);
 *     policy_unref(p);
 *
 * A policy is immutable and counted; it keeps no tree of the manifest. A trigger whose credential or parameters are not right
 * yet does not make the others useless: its slot has trigger == NULL and the error, and counts as failed (09-quirks B 2).
 */
#ifndef WEIR_POLICY_POLICY_H
#define WEIR_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/decide.h"
#include "manifest/manifest.h"
#include "platform/platform.h"
#include "trigger/trigger.h"

struct credential;
struct text;
struct tree;

struct policy_settings { /* flags of `weir run`; policy_settings_default fills them */
    enum decide_mode mode;
    int64_t missing_hold_ms, downscale_stabilization_ms;
    bool strict_activation;
    bool keda_parity;              /* `--for keda`: the language without extensions, KEDA's refusals */
    const char *cluster_namespace; /* where Secrets of ClusterTriggerAuthentications are looked up; NULL: "default" */
    const char *file_root;         /* below which filePath is read; NULL: nowhere */
    const char *vault_namespaces;  /* who may sign in at $VAULT_ADDR as Weir; NULL: nobody but cluster kinds */
    bool own_where_named;          /* Weir's own service account is for those alone, not for all cluster kinds */
    int64_t account_token_ms;      /* life of a service account's token; 0: CREDENTIAL_ACCOUNT_TOKEN_MS */
};
void policy_settings_default(struct policy_settings *settings);

struct policy_context {
    const struct policy_settings *settings;
    struct trigger_engine *engine; /* NULL: lint, nothing is shared or asked */
    struct platform *platform;     /* NULL: lint; environment and credentials are then not at hand */
    /* The TriggerAuthentication of that name; NULL: not there. For lint: from the files given. */
    const struct trigger_auth *(*find_auth)(void *arg, const char *ns, const char *kind, const char *name);
    void *find_auth_arg;
    /* The workload of that name, for lint from the files given; NULL: not at hand. */
    const struct workload *(*find_workload)(void *arg, const struct target_key *target);
    void *find_workload_arg;
    int64_t now_ms;          /* becomes rules.created_at_ms of an object seen for the first time */
    uint64_t job_generation; /* of a ScaledJob in a cluster: its metadata.generation; 0: a hash of its job template */
};

/* Where a trigger's parameters come from, beside the manifest: "TriggerAuthentication" "redis", "Secret" "redis-password" ... */
struct policy_credential {
    const char *kind, *name; /* of the policy's arena */
    uint64_t mark;           /* of what it supplies, never shown: another one says that a value is another one */
};
struct policy_trigger {
    struct trigger *trigger;               /* NULL: see error */
    const char *name;                      /* the trigger's name, or its metric's "s0-..." where it has none; an atom */
    const char *metric_name;               /* an atom */
    const char *type;                      /* static or atom */
    int64_t history_ms;                    /* how far back the formula looks; 0: no series needed */
    struct policy_credential *credentials; /* of the policy's arena; those that could be resolved */
    uint32_t credential_count;
    bool named;
    bool use_cached_metrics;
    bool waits;                    /* error: it waits for data that the platform is still looking up */
    struct credential *credential; /* where something of it was fetched, which is kept as long as this; else NULL */
    struct error *error;           /* NULL, or why trigger is NULL (owned) */
};

/* Thousands are kept: in an order without holes. */
struct policy {
    const char *kind, *ns, *name; /* "ScaledObject" or "ScaledJob"; atoms */
    uint64_t generation;
    struct target_key target;   /* atoms; ScaledObject only */
    struct decide_rules rules;  /* ScaledObject */
    struct job_rules job_rules; /* ScaledJob */
    uint64_t job_generation;
    int32_t successful_history, failed_history;
    bool is_job;
    bool rollout_gradual;
    bool polling_interval_fixed; /* weir.dev/polling-interval: taken as it stands at any size */
    bool restore_to_original;
    bool paused_unreadable; /* paused-replicas is no number: paused, and not right (09-quirks R 2) */
    bool has_cost;          /* weir.dev/cost-per-replica-hour, in whatever money it is */
    uint32_t pending_condition_count, trigger_count, reference_count;
    int references;
    const char *const *pending_conditions; /* of the policy's arena: pendingPodConditions */
    int64_t polling_interval_ms;           /* at 0 replicas, of cached triggers and of ScaledJobs */
    struct policy_trigger *triggers;
    const char *const *names; /* triggers[i].name, for decision_names and decide_memory_adapt */
    /* What it was built with, to build it again when that changes (atoms): "TriggerAuthentication/ns/name",
       "ClusterTriggerAuthentication//name", "data/ns/name" (a Secret, a ConfigMap, or the target whose variables were asked for).
       In the order of the triggers, each once. */
    const char **references_to;
    struct formula *formula; /* owned; rules.formula borrows it */
    struct formula *slo; /* weir.dev/slo, with the triggers' names: true or not 0 while it is held; owned, or NULL */
    double cost_per_replica_hour;
    struct arena *arena; /* small things of this policy */
};

struct policy *policy_build_object(const struct scaled_object *object, const struct policy_context *context,
                                   struct report *report);
struct policy *policy_build_job(const struct scaled_job *job, const struct policy_context *context,
                                struct report *report);
bool policy_waits_for_data(const struct policy *policy); /* some trigger does: it is built again when that is known */
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy);
size_t policy_bytes(const struct policy *policy);
/* How long to wait between two polls of a trigger while the target has this many replicas (DESIGN.md 3.1). */
int64_t policy_interval_ms(const struct policy *policy, size_t trigger, int32_t replicas);

/* The object (object_meta.tree) as YAML, without what may be secret. false: it is too large to be shown. */
bool policy_write_shown(const struct tree *object, struct text *out);
/* May this parameter of a trigger of that type (NULL: of anything) be a credential, or have one in it? value may be NULL. */
bool policy_may_be_secret(const char *type, const char *key, const struct tree *value);

/* Findings that need several objects: two owners of one target, a missing TriggerAuthentication, a target that is not in the
   files although others are. */
void policy_check_set(const struct manifest *const *manifests, size_t count, const struct policy_context *context,
                      struct report *report);
/* All of lint for manifests already read: every object built, formulas examined, then policy_check_set. */
void policy_lint(const struct manifest *const *manifests, size_t count, const struct policy_context *context,
                 struct report *report);

#endif

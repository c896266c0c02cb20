/*
 * What the files of policy/ share: one object being built.
 */
#ifndef WEIR_POLICY_INTERNAL_H
#define WEIR_POLICY_INTERNAL_H

#include "base/arena.h"
#include "formula/range.h"
#include "policy/policy.h"

struct building {
    const struct policy_context *context;
    const struct object_meta *meta;
    const char *title;     /* "ScaledObject shop/checkout" */
    const char *container; /* envSourceContainerName, or NULL */
    const struct trigger_spec *specs;
    size_t spec_count;
    struct report *report;
    struct arena *scratch; /* dies with the building */
    struct policy *policy;
    struct decide_trigger *rules; /* of the triggers; in the policy's arena */
    enum decide_mode mode;
    bool strict;                  /* KEDA's refusals apply: hpa mode, or `--for keda` */
    size_t errors;                /* that make the object useless; a trigger's own are not among them */
    struct reference *references; /* in scratch, newest first */
    size_t reference_count;
};
struct reference {
    const char *name; /* an atom */
    struct reference *next;
};
/* The policy is built with that; format makes its name (policy.h). */
void building_refers(struct building *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A finding at a place of the object; field without the path's prefix. An error counts. */
void building_find(struct building *b, enum finding_severity severity, const char *code, const struct place *place,
                   const char *field, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* annotations.c: what begins with weir.dev/ or autoscaling.keda.sh/. */
struct annotation_values {
    enum decide_mode mode;
    int64_t missing_hold_ms, polling_interval_ms; /* interval 0: not given */
    bool strict_activation;
    bool paused, paused_scale_in, paused_scale_out, force_activation, has_paused_replicas, paused_unreadable;
    int32_t paused_replicas;
    const struct tree *slo;       /* weir.dev/slo, as written; NULL: none */
    double cost_per_replica_hour; /* negative: none */
};
/* A finding at an annotation: "weir.dev/mode is no mode: "fast"". */
void annotation_find(struct building *b, const struct tree *annotation, enum finding_severity severity,
                     const char *code, const char *remedy, const char *text);
void read_annotations(struct building *b, struct annotation_values *out);

/* triggers.c: policy->triggers and b->rules. An error of one is its own. */
/* metrics.c: sets b->specs. */
void spread_metrics(struct building *b, const struct trigger_spec *specs, size_t count, bool has_formula);
void build_triggers(struct building *b, bool as_metric_source, bool job);
bool is_resource_type(const char *type);

/* credentials.c: notes in the slot which sources gave the credential (NULL: none), and the variables of the target's container. */
struct credential;
struct secret;
void note_credentials(struct building *b, const struct trigger_spec *spec, const struct credential *credential,
                      struct secret *const *variables, size_t variable_count, struct policy_trigger *slot);

/* known.c: the least that can be said about a trigger of a type that is not built in. */
void check_known_type(struct building *b, const struct trigger_spec *spec, bool as_metric_source);
/* known_target.c: target and activation of such a trigger; the target stays 0 where it is not known. */
void known_target(const struct trigger_spec *spec, struct decide_trigger *rule);

/* modifiers.c: the formula, its target and activation into policy->rules; what is wrong or worth saying about it. range: of
   its values, for who asks further; known false where there is no formula. */
struct modifiers {
    struct building *b;
    const struct scaled_object *o;
    const char *names[TRIGGERS_MAX]; /* of the formula */
    size_t owner[TRIGGERS_MAX];      /* which trigger has it */
    size_t name_count;
    struct range_result range;
};
void build_modifiers(struct building *b, const struct scaled_object *object, bool strict_activation,
                     struct modifiers *out);
/* A finding at a field of scalingModifiers. */
void modifiers_say(struct modifiers *m, enum finding_severity severity, const char *code, const char *part,
                   const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* values.c: what the values of the formula can be, and what follows for the replicas (DESIGN.md 4). Fills m->range. */
void check_values(struct modifiers *m);
void find_values(struct modifiers *m);
/* Does the trigger count the pods of the object's own target? Only where that is in the files. */
bool surely_counts_own_pods(const struct building *b, const struct trigger_spec *spec);
/* Upwards: behavior's own, or the controller's. */
double upscale_tolerance(const struct building *b);

/* query.c: what kind of number a PromQL query gives, as far as its text says so. */
enum query_kind {
    QUERY_OTHER,
    QUERY_NUMBER,
    QUERY_TOTAL,   /* sum(...), count(...): grows with the load */
    QUERY_MEAN,    /* avg(...), a quantile: the same for a fleet of any size */
    QUERY_RATIO,   /* a / b */
    QUERY_PER_POD, /* a / count(pods) */
};
struct query_shape {
    enum query_kind kind;
    double low, high;  /* what PromQL itself guarantees, beside metrics being 0 or more */
    double divided_by; /* the outermost division by a number; 0: none */
    double added;      /* the outermost + number */
    int64_t window_ms; /* of the shortest range selector; 0: none, or not to be told */
};
void query_read(const char *promql, struct query_shape *out);
/* The query of a trigger of a type that asks in PromQL, or NULL. */
const struct tree *query_of(const struct trigger_spec *spec);

/* totals.c: does the answer of a query fit what metricType makes of it? */
void check_totals(struct modifiers *m);

/* objective.c: what the object is to achieve and what it costs, once its triggers are there. */
void build_objective(struct building *b, const struct annotation_values *said);

/* timing.c: intervals, windows and cooldowns against each other. modifiers NULL: a ScaledJob. */
void check_timing(struct building *b, struct modifiers *m);

/* empty.c: fields that are there without a value. */
void check_empty(const struct manifest *manifest, struct arena *arena, struct report *report);

/* set.c: for lint, the TriggerAuthentication of that name in the files given. */
struct manifest_set {
    const struct manifest *const *manifests;
    size_t count;
};
const struct trigger_auth *set_find_auth(void *set, const char *ns, const char *kind, const char *name);
const struct workload *set_find_workload(void *set, const struct target_key *target);

/* policy.c: builds even what the manifest room found broken, as far as it goes; for lint, so that one run finds all. */
struct policy *build_object(const struct scaled_object *object, const struct policy_context *context,
                            struct report *report);
struct policy *build_job(const struct scaled_job *job, const struct policy_context *context, struct report *report);

#endif

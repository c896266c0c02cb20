/*
 * What the files of policy/ share: one object being built.
 */
#ifndef WEIR_POLICY_INTERNAL_H
#define WEIR_POLICY_INTERNAL_H

#include "base/arena.h"
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
};
void read_annotations(struct building *b, struct annotation_values *out);

/* triggers.c: policy->triggers and b->rules. An error of one is its own. */
void build_triggers(struct building *b, bool as_metric_source, bool job);
bool is_resource_type(const char *type);

/* known.c: the least that can be said about a trigger of a type that is not built in. */
void check_known_type(struct building *b, const struct trigger_spec *spec, bool as_metric_source);

/* modifiers.c: the formula, its target and activation into policy->rules; what is wrong or worth saying about it. */
void build_modifiers(struct building *b, const struct scaled_object *object, bool strict_activation);

/* range.c: what values a formula can take, as far as its text says so (DESIGN.md 4). */
struct range_name {
    const char *name;
    double low; /* the least value: 0 for most sources, 1 for cron */
    bool pods;  /* counts pods: 0 while nothing runs */
};
enum { RANGE_DIVISORS_MAX = 8 };
struct range_result {
    bool known; /* false: the formula has parts that are not looked into; nothing else is set */
    double low, high;
    size_t divisor_count;
    struct range_divisor {
        char text[64];    /* the divisor as written */
        const char *name; /* the trigger in it that can be 0 */
        bool pods;        /* some name in it counts pods */
        bool zero;        /* it can be 0, and no condition says otherwise */
    } divisors[RANGE_DIVISORS_MAX];
};
void formula_range(const char *source, const struct range_name *names, size_t name_count, struct range_result *out);
/* Does the text use this identifier (outside strings and comments)? Members (a.name) and keys (name:) do not count. */
bool source_uses(const char *source, const char *identifier);

/* set.c: for lint, the TriggerAuthentication of that name in the files given. */
struct manifest_set {
    const struct manifest *const *manifests;
    size_t count;
};
const struct trigger_auth *set_find_auth(void *set, const char *ns, const char *kind, const char *name);

/* policy.c: builds even what the manifest room found broken, as far as it goes; for lint, so that one run finds all. */
struct policy *build_object(const struct scaled_object *object, const struct policy_context *context,
                            struct report *report);
struct policy *build_job(const struct scaled_job *job, const struct policy_context *context, struct report *report);

#endif

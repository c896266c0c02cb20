/*
 * admission: may this object be created, or changed so? KEDA's rules and KEDA's texts, in a fixed order, and what lint has to say as
 * warnings.
 *
 *     const struct admission *a = admission_begin(arena, &review, &settings);
 *     if (a->needs == 0) ...                                   -- else find out what it needs: facts of the cluster
 *     admission_decide(a, &facts, &answer);
 *     if (!answer.allowed) ... answer.code, answer.reason, answer.message ...
 *
 * Pure and total: whatever an object holds, there is an answer. Facts that could not be found out are named in facts.unknown: the
 * rules that ask for them are left out, and a warning says so. In hpa mode KEDA's rules hold as they are; in direct and observe
 * mode what only a HorizontalPodAutoscaler cannot do is admitted (a formula without target, DESIGN.md 5; a name that is too long for
 * one; a request that only an average value lacks). Rules: keda-operator/06 4.
 */
#ifndef WEIR_POLICY_ADMISSION_H
#define WEIR_POLICY_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct arena;
struct policy_settings;
struct tree;

/* ---- what is asked ---- */

enum admission_kind {
    ADMIT_SCALED_OBJECT,
    ADMIT_SCALED_JOB,
    ADMIT_TRIGGER_AUTHENTICATION,
    ADMIT_CLUSTER_TRIGGER_AUTHENTICATION,
    ADMIT_CLOUD_EVENT_SOURCE,
    ADMIT_CLUSTER_CLOUD_EVENT_SOURCE,
    ADMIT_KINDS
};
const char *admission_kind_name(enum admission_kind kind);
/* "/validate-keda-sh-v1alpha1-scaledobject": KEDA's path, which the ValidatingWebhookConfiguration names. */
const char *admission_path(enum admission_kind kind);

struct admission_review { /* borrowed: must live as long as the arena of admission_begin */
    enum admission_kind kind;
    bool update; /* else it is created */
    bool dry_run;
    const char *ns;                         /* of the request; NULL: the object says */
    const struct tree *object, *old_object; /* old_object NULL when created */
};

/* ---- what must be known about the cluster ---- */

enum admission_fact {
    ADMISSION_KIND = 1,     /* whether the target's kind exists */
    ADMISSION_SCALERS = 2,  /* HorizontalPodAutoscalers on the same target */
    ADMISSION_OBJECTS = 4,  /* other ScaledObjects with the same target, or the same HorizontalPodAutoscaler */
    ADMISSION_WORKLOAD = 8, /* the containers of the target */
    ADMISSION_LIMITS = 16,  /* the namespace's LimitRanges; only where a container of the target requests too little */
};
enum { ADMISSION_FACTS = 5 };

struct admission_target {
    const char *api_version, *kind, *name; /* defaults applied */
};
struct admission {  /* in the arena given */
    unsigned needs; /* enum admission_fact */
    const char *ns, *name;
    struct admission_target target;
    const char *hpa_name; /* that would be made for it */
    struct admission_object *internal;
};

struct admission_scaler { /* a HorizontalPodAutoscaler */
    const char *name;
    struct admission_target target;
    const char *owner; /* the ScaledObject in its ownerReferences, or NULL */
    bool released;     /* annotation validations.keda.sh/hpa-ownership: "false" */
};
struct admission_other { /* a ScaledObject of the namespace */
    const char *name;
    struct admission_target target;
    const char *hpa_name; /* as configured; NULL: made from its name */
};
struct admission_container {
    const char *name;
    bool cpu, memory; /* a request, or a limit, above 0 */
};
struct admission_facts {
    unsigned unknown;                 /* enum admission_fact: could not be found out ... */
    const char *why[ADMISSION_FACTS]; /* ... because; by bit, NULL: not said */
    bool kind_missing;
    const char *kind_note;                  /* the kind exists, but ...; or NULL */
    const struct admission_scaler *scalers; /* at least those on the target, in any order */
    size_t scaler_count;
    const struct admission_other *others; /* at least those that share target or hpa_name */
    size_t other_count;
    bool workload_missing;
    const struct admission_container *containers;
    size_t container_count;
    bool default_cpu, default_memory; /* some LimitRange gives containers a default */
};

/* A workload as the API has it -> its containers, in the arena. */
void admission_read_workload(const struct tree *workload, struct arena *arena, struct admission_facts *facts);
/* An item of a LimitRangeList; may be called for each. */
void admission_read_limits(const struct tree *limit_range, struct admission_facts *facts);
/* With the workload known: does the answer depend on the LimitRanges? */
bool admission_needs_limits(const struct admission *admission, const struct admission_facts *facts);
/* true: the same kind of the same group; versions of a group are views of one thing. */
bool admission_same_target(const struct admission_target *a, const struct admission_target *b);

/* ---- the answer ---- */

struct admission_answer { /* texts live in the arena of admission_begin, or are static */
    bool allowed;
    int code;            /* of a refusal: 403; 404 a target that is not there; 400 an object that cannot be read */
    const char *reason;  /* "Forbidden", "NotFound", "BadRequest" */
    const char *message; /* what people read */
    const char *label;   /* the reason label of KEDA's metric ("other-hpa"); NULL: not counted */
    const char *warnings[ADMISSION_WARNINGS_MAX];
    size_t warning_count;
    size_t keda_warning_count; /* the first so many are KEDA's own */
};

/* Reads the object and says what must be known. Never NULL. */
struct admission *admission_begin(struct arena *arena, const struct admission_review *review,
                                  const struct policy_settings *settings);
void admission_decide(const struct admission *admission, const struct admission_facts *facts,
                      struct admission_answer *out);

#endif

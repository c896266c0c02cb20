/* What the files of difference share: one object that is in both manifests, and the list that grows. */
#ifndef WEIR_SIM_DIFFERENCE_INTERNAL_H
#define WEIR_SIM_DIFFERENCE_INTERNAL_H

#include "sim/difference.h"

struct arena;

enum difference_kind { DIFFERENCE_ADDED, DIFFERENCE_REMOVED, DIFFERENCE_CHANGED };

struct difference {
    enum difference_kind kind;
    const char *object;         /* "ScaledObject shop/checkout" */
    const char *field;          /* "spec.cooldownPeriod"; "": the object as a whole */
    const char *before, *after; /* in words; NULL: there is nothing, or it is not shown */
    const char *text;           /* "scales to zero 5 min after the last activity, was 1 min" */
};

struct side { /* an object of one of the two; the manifest owns all but the policy */
    const struct object_meta *meta;
    const struct scaled_object *object; /* one of these two, or neither: an object of another kind */
    const struct scaled_job *job;
    const struct trigger_spec *triggers;
    size_t trigger_count;
    struct policy *policy;
};

struct differences {
    struct arena *arena;
    struct difference *list;
    size_t count;
};

/* Copies the texts. sentence: {before} and {after} stand for them. */
void difference_add(struct differences *d, enum difference_kind kind, const struct object_meta *meta, const char *field,
                    const char *before, const char *after, const char *sentence);
/* difference_policy.c: what two versions of one ScaledObject or ScaledJob decide differently. */
void difference_of_policies(struct differences *d, const struct side *before, const struct side *after);
/* difference_trigger.c */
void difference_of_triggers(struct differences *d, const struct side *before, const struct side *after);
/* "prometheus 'queue'" */
const char *trigger_title(struct arena *arena, const struct trigger_spec *spec);

/* "one replica for every 5", "replicas that hold it at 5": what a target of that type means. */
const char *target_words(struct arena *arena, double target, enum target_type type);
/* ": twice as many replicas for the same value", or "" where nothing can be said. */
const char *target_consequence(struct arena *arena, double before, double after);
const char *number_words(struct arena *arena, double number);

#endif

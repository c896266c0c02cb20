/*
 * What the files of admission share: an object as KEDA's own structs would hold it. The manifest room is no help here: it tells people
 * about every fault and leaves out what is faulty, while these rules are about the faulty values themselves (a negative
 * fallback.replicas), with the words KEDA's users know.
 */
#ifndef WEIR_POLICY_ADMISSION_INTERNAL_H
#define WEIR_POLICY_ADMISSION_INTERNAL_H

#include "decide/decide.h"
#include "policy/admission.h"
#include "policy/policy.h"

struct admission_number {
    bool set;
    int32_t value;
};
struct admission_trigger {
    const char *type, *name, *metric_type; /* "" where unset */
    const char *container;                 /* metadata.containerName, or "" */
    bool cached;
};
struct admission_object {
    const struct admission_review *review;
    const struct policy_settings *settings;
    struct arena *arena;
    enum decide_mode mode;   /* weir.dev/mode, or the flag's */
    const char *unreadable;  /* why the object cannot be read, or NULL */
    bool settled;            /* only a finalizer goes: nothing to say */
    bool transfer, released; /* annotations about the ownership of a HorizontalPodAutoscaler */
    struct admission_number polling_interval, cooldown, idle, min, max;
    struct admission_number fallback_threshold, fallback_replicas;
    bool has_fallback, has_modifiers;
    const char *fallback_behavior; /* "" where unset, as all texts here */
    const char *formula, *formula_target, *formula_metric_type;
    const char *configured_hpa_name;
    struct admission_trigger *triggers;
    size_t trigger_count;
};

/* admission_read.c: fills *out and the names of the admission. */
void admission_read(struct admission *admission, struct admission_object *out);
/* A text of a map, "" where it is not one. */
const char *admission_text(const struct tree *map, const char *key);

/* One answer being made. */
struct judge {
    const struct admission *admission;
    const struct admission_object *o;
    const struct admission_facts *facts;
    struct admission_answer *answer;
};
/* Returns false: refusing is one line. */
bool judge_refuse(struct judge *j, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
void judge_warn(struct judge *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* admission_object.c: the rules of ScaledObjects and ScaledJobs. */
bool judge_scaled_object(struct judge *j);
bool judge_scaled_job(struct judge *j);
unsigned scaled_object_needs(const struct admission *admission, const struct admission_object *o);
/* admission_auth.c: those of the other kinds. */
bool judge_authentication(struct judge *j);
bool judge_cloud_events(struct judge *j);

#endif

/* status_internal: what the files share that say of an object what it does (status.c has the story). */
#ifndef WEIR_AUTOSCALER_STATUS_INTERNAL_H
#define WEIR_AUTOSCALER_STATUS_INTERNAL_H

#include "autoscaler/autoscaler_internal.h"

enum {
    STATUS_MAX_BYTES = 256 * 1024, /* TRIGGERS_MAX names of some hundred bytes, thrice */
};

struct telling { /* one status in the making */
    struct object *object;
    struct standing *s;
    const struct policy *policy; /* NULL: it never was valid */
    const struct decision *decision;
    const struct job_decision *job;
    struct arena *arena;
    struct target_view target;
    const char **notes;                      /* why triggers have no value */
    struct condition conditions[CONDITIONS]; /* reasons are not atoms */
    const char *message[CONDITIONS];         /* NULL: the usual one of the reason */
    uint64_t detail;                         /* what of the messages counts as a change */
    int64_t last_active_at_ms;
    bool job_kind;
};

/* standing.c */
extern const char *const condition_names[CONDITIONS];
void condition_set(struct condition *c, enum keda_status status, const char *reason);
void names_add(struct names *names, const char *name);
void names_done(struct names *names);

/* status_condition.c */
void status_conditions(struct telling *t);
const char *status_message(const struct telling *t, enum condition_type type);
/* The HorizontalPodAutoscaler that scales the target besides Weir; NULL: none is known, or it is meant to. */
const char *status_rival(const struct telling *t);
bool status_never_built(const struct policy *policy); /* not one of its triggers could be */

/* status_patch.c */
void status_write(const struct telling *t, struct text *out);
int32_t status_failures(const struct telling *t, size_t i);
bool status_shows_health(const struct telling *t);

/* status_event.c */
const char *status_kind(const struct standing *s);
const char *status_place(const struct object *object, char *ns, size_t size);
bool status_speaks(struct object *object); /* may anything be said of it? */
void status_built(struct object *object, const struct policy *old);
const char *status_active_metrics(const struct object *object, const struct decision *decision, struct arena *arena);
void status_say_ready(struct telling *t);
void status_say_others(struct telling *t);
void status_say_failures(struct telling *t);
void status_say_contest(struct telling *t);

#endif

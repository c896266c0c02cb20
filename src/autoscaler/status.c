/*
 * status: what a cluster is told of an object, in KEDA's words: its status and its events (keda-operator/02 8, 04 9, 07 5).
 *
 *     decision, problem --> facts (conditions, counts, names) --> other than told last? --> events of what changed,
 *                                                                                          one patch of the whole status
 *
 * Nothing is said twice. Of what was told a hash is kept, and of each condition its status and reason; the texts are made only when
 * something is told. What changes with every poll and means nothing new is left out of the hash: the wording of an error (its
 * kind is in), failures beyond the threshold, the last activity of what is still active.
 *
 * status.lastActiveTime is therefore not refreshed each poll as KEDA does (09-quirks B 36): while an object is active, only each
 * LAST_ACTIVE_REFRESH_MS. That is safe, for a status with Active=True says to the next Weir that the activity lasted until it came.
 *
 *     standing.c           what is kept of an object
 *     status_condition.c   conditions
 *     status_patch.c       what is written
 *     status_event.c       events
 *
 * In observe mode nothing is told: the object may be somebody else's.
 */
#include "autoscaler/status_internal.h"

enum {
    LAST_ACTIVE_REFRESH_MS = 10 * 60 * 1000,
};

static void fill_last_active(struct telling *t)
{
    struct standing *s = t->s;
    bool lasts = t->decision ? t->decision->active || t->decision->held : t->job && t->job->active;
    int64_t last = 0;

    if (t->object->memory)
        last = decide_memory_last_active_at_ms(t->object->memory);
    else if (t->job && t->job->active)
        last = t->job->at_ms;
    else if (t->job)
        last = s->last_active_at_ms;
    if (t->job)
        s->last_active_at_ms = last;
    t->last_active_at_ms = s->last_active_told_at_ms;
    if (last > 0 && (!lasts || wall_elapsed(s->last_active_told_at_ms, last, LAST_ACTIVE_REFRESH_MS)))
        t->last_active_at_ms = last;
}

/* ------------------------------------------------------------------ the hash */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return hash_bytes(hash, &value, sizeof(value));
}

static uint64_t hash_of(const struct telling *t)
{
    uint64_t hash = mix(t->s->version, t->detail);

    for (int i = 0; i < CONDITIONS; i++)
        hash = hash_string(mix(hash, t->conditions[i].status), t->conditions[i].reason);
    if (t->conditions[CONDITION_ACTIVE].status == KEDA_TRUE)
        hash = mix(hash, t->message[CONDITION_ACTIVE] != NULL);
    hash = mix(hash, (uint64_t)t->last_active_at_ms);
    hash = mix(hash, (uint64_t)t->object->original_replicas);
    hash = hash_string(hash, t->s->hpa_name ? t->s->hpa_name : "");
    hash = hash_string(hash, t->target.resource ? t->target.resource : "");
    hash = hash_string(hash, t->target.version ? t->target.version : "");
    for (uint16_t i = 0; t->decision && !t->decision->paused && i < t->decision->input_count; i++) {
        hash = mix(hash, t->decision->inputs[i].active);
        if (status_shows_health(t))
            hash = mix(hash, (uint64_t)status_failures(t, i));
    }
    return hash ? hash : 1;
}

/* ------------------------------------------------------------------ */

static void tell(struct telling *t)
{
    struct platform *platform = t->object->a->parts.platform;
    struct standing *s = t->s;
    char ns[OBJECT_KEY_BYTES];
    const char *name = status_place(t->object, ns, sizeof(ns));
    struct text patch;

    status_say_ready(t);
    status_say_others(t);
    text_init(&patch, STATUS_MAX_BYTES);
    status_write(t, &patch);
    if (!patch.overflowed && platform->ops->status_merge && t->object->standing)
        platform->ops->status_merge(platform, s->kind, ns, name, patch.bytes, patch.length);
    text_done(&patch);
    for (int i = 0; i < CONDITIONS; i++)
        condition_set(&s->conditions[i], t->conditions[i].status, t->conditions[i].reason);
    s->last_active_told_at_ms = t->last_active_at_ms;
    if (t->decision && !t->decision->paused)
        names_done(&s->old_names);
}

/* What runs is being looked for: soon more will be known than that nothing is. */
static bool knows_target(const struct telling *t)
{
    bool looked_for = t->target.error.kind == ERROR_NONE || t->target.error.kind == ERROR_UNREACHABLE;

    t->s->target_seen |= t->target.known;
    return t->job_kind || !t->policy || t->object->problem || t->s->target_seen || !looked_for;
}

void status_tell(struct object *object, const struct decision *decision)
{
    struct telling t = {.object = object,
                        .s = standing_of(object),
                        .policy = object->policy,
                        .decision = decision,
                        .arena = object->a->turn};

    if (!status_speaks(object))
        return;
    t.job_kind = t.s->kind == RESOURCE_SCALED_JOB;
    if (t.job_kind && object->policy)
        t.job = object->last_job;
    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &t.target);
    if (!knows_target(&t))
        return;
    status_say_failures(&t);
    status_say_contest(&t);
    status_conditions(&t);
    fill_last_active(&t);
    uint64_t hash = hash_of(&t);
    if (hash == t.s->told)
        return;
    tell(&t);
    t.s->told = hash;
}

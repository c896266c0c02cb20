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
 * In observe mode nothing is told: the object may be somebody else's.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/tree.h"

enum {
    LAST_ACTIVE_REFRESH_MS = 10 * 60 * 1000,
    STATUS_MAX_BYTES = 256 * 1024, /* TRIGGERS_MAX names of some hundred bytes, thrice */
    MESSAGE_ERROR_BYTES = 512,
};

static const char *const condition_names[CONDITIONS] = {"Ready", "Active", "Fallback", "Paused", "HPAActive"};

/* ------------------------------------------------------------------ what is kept */

static void condition_set(struct condition *c, enum keda_status status, const char *reason)
{
    const char *old = c->reason;

    c->status = status;
    c->reason = atom_ref(reason ? reason : "");
    atom_unref(old);
}

static void names_add(struct names *names, const char *name)
{
    names->list = mem_grow(names->list, names->count + 1, sizeof(*names->list));
    names->list[names->count++] = atom_ref(name);
}

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        atom_unref(names->list[i]);
    free(names->list);
    *names = (struct names){0};
}

static void read_conditions(struct standing *s, const struct tree *list)
{
    for (const struct tree *item = list && list->type == TREE_LIST ? list->first : NULL; item; item = item->next) {
        const char *type = tree_string(tree_get(item, "type")), *status = tree_string(tree_get(item, "status"));

        for (int i = 0; type && status && i < CONDITIONS; i++) {
            if (strcmp(condition_names[i], type) != 0)
                continue;
            condition_set(&s->conditions[i],
                          strcmp(status, "True") == 0    ? KEDA_TRUE
                          : strcmp(status, "False") == 0 ? KEDA_FALSE
                                                         : KEDA_UNKNOWN,
                          tree_string(tree_get(item, "reason")));
            s->seen_before = true;
        }
    }
}

static void read_health(struct standing *s, const struct tree *health)
{
    const struct tree *item = health && health->type == TREE_MAP ? health->first : NULL;

    for (; item && s->old_names.count < TRIGGERS_MAX; item = item->next) {
        int64_t count = 0;

        names_add(&s->old_names, item->key);
        if (!tree_integer(tree_get(item, "numberOfFailures"), &count) || count <= 0 || count > INT32_MAX)
            continue;
        names_add(&s->failing, item->key);
        s->failing_counts = mem_grow(s->failing_counts, s->failing.count, sizeof(*s->failing_counts));
        s->failing_counts[s->failing.count - 1] = (int32_t)count;
    }
}

static void read_activity(struct standing *s, const struct tree *activity)
{
    const struct tree *item = activity && activity->type == TREE_MAP ? activity->first : NULL;

    for (; item && s->old_names.count < 2 * TRIGGERS_MAX; item = item->next)
        names_add(&s->old_names, item->key);
}

struct standing *standing_new(enum resource_kind kind, const struct tree *document)
{
    struct standing *s = mem_alloc(sizeof(*s));
    const struct tree *status = tree_get(document, "status");
    const char *created = tree_string(tree_at(document, "metadata.creationTimestamp"));
    const char *active = tree_string(tree_get(status, "lastActiveTime"));
    const char *uid = tree_string(tree_at(document, "metadata.uid")), *hpa = tree_string(tree_get(status, "hpaName"));
    int64_t original;

    s->kind = kind;
    s->uid = mem_copy(uid ? uid : "");
    s->original_replicas = -1;
    if (created)
        instant_parse(created, &s->created_at_ms);
    if (active)
        instant_parse(active, &s->last_active_at_ms);
    s->last_active_told_at_ms = s->last_active_at_ms;
    if (tree_integer(tree_get(status, "originalReplicaCount"), &original) && original >= 0 && original <= INT32_MAX)
        s->original_replicas = (int32_t)original;
    if (hpa && *hpa)
        s->hpa_name = mem_copy(hpa);
    for (int i = 0; i < CONDITIONS; i++)
        condition_set(&s->conditions[i], KEDA_UNTOUCHED, "");
    read_conditions(s, tree_get(status, "conditions"));
    read_health(s, tree_get(status, "health"));
    read_activity(s, tree_get(status, "triggersActivity"));
    s->take_over = s->seen_before;
    return s;
}

void standing_free(struct standing *s)
{
    if (!s)
        return;
    for (int i = 0; i < CONDITIONS; i++)
        atom_unref(s->conditions[i].reason);
    names_done(&s->old_names);
    names_done(&s->failing);
    free(s->failing_counts);
    free(s->uid);
    free(s->hpa_name);
    free(s->hpa_message);
    free(s->hpa_error);
    free(s);
}

/* ------------------------------------------------------------------ events */

static const char *kind_name(const struct standing *s)
{
    return s->kind == RESOURCE_SCALED_JOB ? "ScaledJob" : "ScaledObject";
}

/* "ScaledObject/shop/checkout" -> "shop" in the storage given, and "checkout". An object without a policy has its key only. */
static const char *place_of(const struct object *object, char *ns, size_t size)
{
    const char *first = strchr(object->key, '/') + 1, *second = strchr(first, '/');

    snprintf(ns, size, "%.*s", (int)(second - first), first);
    return second + 1;
}

static bool speaks(const struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;
    char ns[OBJECT_KEY_BYTES];
    const char *name;

    if (!object->standing || object->standing->silent || object->a->stopping)
        return false;
    name = place_of(object, ns, sizeof(ns));
    return !ops->may_write || ops->may_write(object->a->parts.platform, ns, name);
}

void status_event(struct object *object, bool warning, const char *reason, const char *format, ...)
{
    struct platform *platform = object->a->parts.platform;
    char ns[OBJECT_KEY_BYTES];
    const char *name;
    struct text text;
    va_list args;

    if (!speaks(object) || !platform->ops->event)
        return;
    name = place_of(object, ns, sizeof(ns));
    text_init(&text, LOG_LINE_MAX_BYTES);
    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    platform->ops->event(platform, ns, kind_name(object->standing), name, warning, reason, text.bytes);
    text_done(&text);
}

static bool had_trigger(const struct policy *old, const struct trigger *trigger)
{
    for (size_t i = 0; old && i < old->trigger_count; i++)
        if (old->triggers[i].trigger == trigger)
            return true;
    return false;
}

/* KEDA asks nothing for it; paused in one direction only, it goes on. */
static bool is_stopped(const struct policy *policy)
{
    return policy->is_job ? policy->job_rules.paused : policy->rules.paused || policy->rules.has_paused_replicas;
}

void status_stopped(struct object *object)
{
    if (object->standing->started)
        status_event(object, false, "KEDAScalersStopped", "Stopped scalers watch");
    object->standing->started = false;
}

/* After a restart the triggers of thousands of objects are built as they were: nobody needs to read of it. */
static void say_built(struct object *object, const struct policy *old)
{
    struct standing *s = object->standing;
    const struct policy *policy = object->policy;
    const struct policy *built = s->started ? old : NULL;
    bool quiet = s->seen_before && !old;

    if (is_stopped(policy)) {
        status_stopped(object);
        return;
    }
    if (!s->started && !quiet)
        status_event(object, false, "KEDAScalersStarted", "Started scalers watch");
    for (size_t i = 0; !quiet && i < policy->trigger_count; i++)
        if (policy->triggers[i].trigger && !had_trigger(built, policy->triggers[i].trigger))
            status_event(object, false, "KEDAScalersStarted", "Scaler %s is built", policy->triggers[i].type);
    s->started = true;
}

static void take_failures(struct object *object)
{
    struct standing *s = object->standing;
    const struct policy *policy = object->policy;

    for (size_t i = 0; object->memory && i < policy->rules.trigger_count; i++)
        for (size_t j = 0; j < s->failing.count; j++)
            if (string_equal(policy->triggers[i].metric_name, s->failing.list[j]))
                decide_memory_set_failures(object->memory, i, s->failing_counts[j]);
    names_done(&s->failing);
    free(s->failing_counts);
    s->failing_counts = NULL;
}

void standing_renew(struct object *object, const struct policy *old)
{
    struct standing *s = object->standing;
    bool was_direct = old && old->rules.mode == DECIDE_DIRECT;

    if (!s)
        return;
    s->version++;
    s->target_seen = false;
    memset(s->failed_said, 0, sizeof(s->failed_said));
    if (!old)
        take_failures(object);
    for (size_t i = 0; old && i < old->trigger_count && s->old_names.count < 2 * TRIGGERS_MAX; i++)
        names_add(&s->old_names, old->triggers[i].metric_name);
    if (old && !was_direct && object->policy->rules.mode == DECIDE_DIRECT)
        s->take_over = true;
    say_built(object, old);
}

static const char *scale_target(const struct object *object, struct arena *arena)
{
    const struct target_key *key = &object->policy->target;
    struct target_view view = {.known = false};

    object->a->parts.platform->ops->target_view(object->target, &view);
    if (!view.kind)
        return arena_printf(arena, "%s.%s %s/%s", key->api_version, key->kind, key->ns, key->name);
    return arena_printf(arena, "%s/%s.%s %s/%s", view.group, view.version, view.kind, key->ns, key->name);
}

static const char *active_metrics(const struct object *object, const struct decision *decision, struct arena *arena)
{
    const char *list = "";

    if (decision->has_formula)
        return "composite-metric";
    for (uint16_t i = 0; i < decision->input_count; i++)
        if (decision->inputs[i].active)
            list = arena_printf(arena, "%s%s%s", list, *list ? ";" : "", object->policy->triggers[i].metric_name);
    return list;
}

void status_scaled(struct object *object, const struct decision *d, const struct error *err)
{
    bool up = d->reason == REASON_ACTIVATED, down = d->reason == REASON_DEACTIVATED;
    struct arena *arena;
    const char *target;

    if (!object->standing || !object->policy || object->policy->is_job || !object->target || !(up || down))
        return;
    arena = arena_new(ARENA_SMALL);
    target = scale_target(object, arena);
    if (up && err)
        status_event(object, true, "KEDAScaleTargetActivationFailed", "Failed to scale %s from %d to %d: %s", target,
                     d->before, d->after, err->text);
    else if (up && object->policy->rules.force_activation && !*active_metrics(object, d, arena))
        status_event(object, false, "KEDAScaleTargetActivated",
                     "Scaled %s from %d to %d, caused by forced activation annotation", target, d->before, d->after);
    else if (up)
        status_event(object, false, "KEDAScaleTargetActivated", "Scaled %s from %d to %d, triggered by %s", target,
                     d->before, d->after, active_metrics(object, d, arena));
    else if (err)
        status_event(object, true, "KEDAScaleTargetDeactivationFailed", "Failed to deactivate %s from %d to %d: %s",
                     target, d->before, d->after, err->text);
    else
        status_event(object, false, "KEDAScaleTargetDeactivated", "Deactivated %s from %d to %d", target, d->before,
                     d->after);
    arena_free(arena);
}

/* ------------------------------------------------------------------ facts */

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

static void set(struct telling *t, enum condition_type type, enum keda_status status, const char *reason,
                const char *message)
{
    t->conditions[type] = (struct condition){status, reason};
    t->message[type] = message;
}

/* What KEDA calls the check that failed, by the field that is wrong (keda-operator/02 4.2, 04 1). */
static const char *failed_check(bool job, const char *problem)
{
    if (job)
        return string_starts(problem, "spec.triggers") ? "ScaledJob doesn't have correct triggers specification"
                                                       : "Failed to ensure ScaledJob is correctly created";
    if (string_starts(problem, "spec.scaleTargetRef"))
        return "ScaledObject doesn't have correct scaleTargetRef specification";
    if (string_starts(problem, "spec.minReplicaCount") || string_starts(problem, "spec.maxReplicaCount") ||
        string_starts(problem, "spec.idleReplicaCount"))
        return "ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification";
    if (string_starts(problem, "spec.triggers"))
        return "ScaledObject doesn't have correct triggers specification";
    return "failed to ensure HPA is correctly created for ScaledObject";
}

static void fail_check(struct telling *t, const char *context, const char *why)
{
    const char *message = arena_printf(t->arena, "%s: %s", context, why);

    set(t, CONDITION_READY, KEDA_FALSE, t->job_kind ? "ScaledJobCheckFailed" : "ScaledObjectCheckFailed", message);
    t->detail = hash_string(1, message);
}

/* The first trigger without a value, as ": queue: nobody answers"; "" where no reason is known. Its kind counts, not its words. */
static const char *first_failure(struct telling *t)
{
    for (size_t i = 0; i < t->policy->trigger_count; i++) {
        const struct error *why = t->policy->triggers[i].error;

        if (!why && t->object->triggers[i].question && t->object->triggers[i].sample.state == SAMPLE_FAILED)
            why = question_why(t->object->triggers[i].question);
        if (!why)
            continue;
        t->detail = 2 + i * 16 + (uint64_t)why->kind;
        return arena_printf(t->arena, ": %s: %.*s", t->policy->names[i], MESSAGE_ERROR_BYTES, why->text);
    }
    return "";
}

static bool never_built(const struct policy *policy)
{
    for (size_t i = 0; i < policy->trigger_count; i++)
        if (!policy->triggers[i].error)
            return false;
    return policy->trigger_count > 0;
}

static bool lacks_target(const struct telling *t)
{
    enum error_kind kind = t->target.error.kind;

    return t->policy && !t->job_kind && !t->target.known && (kind == ERROR_MISSING || kind == ERROR_INVALID);
}

/* true: a check of the object itself failed, whatever its triggers say. */
static bool check_fails(struct telling *t)
{
    const struct object *object = t->object;
    const struct error *missing = &t->target.error;

    if (object->problem)
        fail_check(t, failed_check(t->job_kind, object->problem), object->problem);
    else if (!t->policy)
        return false;
    else if (never_built(t->policy))
        fail_check(t, t->job_kind ? "Failed to ensure ScaledJob is correctly created" : failed_check(false, ""),
                   t->policy->triggers[0].error->text);
    else if (t->policy->paused_unreadable)
        fail_check(t, "failed to handle pausing of ScaledObject",
                   "annotation autoscaling.keda.sh/paused-replicas is no number");
    else if (lacks_target(t))
        fail_check(t, "ScaledObject doesn't have correct scaleTargetRef specification",
                   arena_printf(t->arena, "%s%s%s", missing->where, *missing->where ? ": " : "", missing->text));
    else if (t->s->hpa_error)
        fail_check(t, failed_check(false, ""), t->s->hpa_error);
    else
        return false;
    return true;
}

static void ready_by_poll(struct telling *t, enum keda_status status, const char *reason)
{
    const char *what = t->job_kind ? "ScaledJob" : "ScaledObject";
    const char *message = NULL;

    if (strcmp(reason, "TriggerError") == 0)
        message = arena_printf(t->arena, "Triggers defined in %s are not working correctly%s", what, first_failure(t));
    else if (strcmp(reason, "PartialTriggerError") == 0)
        message =
            arena_printf(t->arena, "Some triggers defined in %s are not working correctly%s", what, first_failure(t));
    else if (strcmp(reason, "ErrorGettingCurrentReplicas") == 0)
        message =
            arena_printf(t->arena, "Error getting current replicas count for ScaleTarget: %s", t->target.error.text);
    else if (!t->job_kind && (t->policy->rules.paused || t->policy->rules.has_paused_replicas))
        message = "ScaledObject is paused";
    else if (t->job_kind && t->policy->job_rules.paused)
        message = "ScaledJob is paused, skipping reconcile loop";
    if (message && t->detail == 0)
        t->detail = hash_string(3, reason);
    set(t, CONDITION_READY, status, reason, message);
}

/* ---- ScaledObject ---- */

static void pause_condition(struct telling *t)
{
    const struct decide_rules *rules = &t->policy->rules;
    const struct condition *was = &t->s->conditions[CONDITION_PAUSED];

    if (t->job_kind ? t->policy->job_rules.paused
                    : rules->paused || rules->has_paused_replicas || rules->paused_scale_in || rules->paused_scale_out)
        set(t, CONDITION_PAUSED, KEDA_TRUE, t->job_kind ? "ScaledJobPaused" : "ScaledObjectPaused", NULL);
    else if (was->status == KEDA_TRUE)
        set(t, CONDITION_PAUSED, KEDA_FALSE, t->job_kind ? "ScaledJobUnpaused" : "ScaledObjectUnpaused", NULL);
}

/* As KEDA puts the HPA's own condition (keda-operator/02 8). */
static void hpa_condition(struct telling *t)
{
    struct platform *platform = t->object->a->parts.platform;
    struct hpa_view view = {.exists = false};
    const char *message;

    if (!t->s->hpa_name || t->policy->rules.mode != DECIDE_HPA || !platform->ops->hpa_view ||
        platform->ops->hpa_view(platform, t->policy->ns, t->s->hpa_name, &view) != LOOKUP_FOUND || !view.exists ||
        !view.scaling_active)
        return;
    message = view.message ? view.message : "";
    if (strcmp(view.scaling_active, "True") == 0)
        set(t, CONDITION_HPA, KEDA_TRUE, "HPAActive", "HPA is actively scaling");
    else if (view.reason && strcmp(view.reason, "ScalingDisabled") == 0)
        set(t, CONDITION_HPA, KEDA_TRUE, "ScalingDisabled", message);
    else
        set(t, CONDITION_HPA, KEDA_FALSE, view.reason && *view.reason ? view.reason : "HPAMetricsUnavailable",
            arena_printf(t->arena, "HPA is not actively scaling: %s", message));
    free(t->s->hpa_message); /* paused, the HPA is gone, and its last word stays */
    t->s->hpa_message = mem_copy(t->message[CONDITION_HPA]);
}

static void conditions_of_object(struct telling *t)
{
    const struct decide_rules *rules = &t->policy->rules;
    struct keda_view view;
    bool failed = check_fails(t);

    pause_condition(t);
    if (!t->decision)
        return;
    keda_view(rules, t->decision, t->s->conditions[CONDITION_FALLBACK].status == KEDA_TRUE, &view);
    if (!failed)
        ready_by_poll(t, view.conditions[KEDA_READY].status, view.conditions[KEDA_READY].reason);
    if (view.conditions[KEDA_ACTIVE].status != KEDA_UNTOUCHED)
        set(t, CONDITION_ACTIVE, view.conditions[KEDA_ACTIVE].status, view.conditions[KEDA_ACTIVE].reason,
            rules->force_activation && t->decision->active && !*active_metrics(t->object, t->decision, t->arena)
                ? "Scaling is performed because activation is being forced by annotation"
                : NULL);
    if (!keda_fallback_usable(rules))
        set(t, CONDITION_FALLBACK, KEDA_FALSE, "NoFallbackFound", NULL);
    else if (view.conditions[KEDA_FALLBACK].status != KEDA_UNTOUCHED)
        set(t, CONDITION_FALLBACK, view.conditions[KEDA_FALLBACK].status, view.conditions[KEDA_FALLBACK].reason, NULL);
    hpa_condition(t);
}

/* ---- ScaledJob ---- */

static void conditions_of_job(struct telling *t)
{
    bool failed = check_fails(t);

    pause_condition(t);
    if (!t->job)
        return;
    if (!failed) {
        if (!t->job->error || t->policy->job_rules.paused)
            ready_by_poll(t, KEDA_TRUE, "ScaledJobReady");
        else if (t->job->active)
            ready_by_poll(t, KEDA_UNKNOWN, "PartialTriggerError");
        else
            ready_by_poll(t, KEDA_FALSE, "TriggerError");
    }
    if (!t->policy->job_rules.paused)
        set(t, CONDITION_ACTIVE, t->job->active ? KEDA_TRUE : KEDA_FALSE,
            t->job->active ? "ScalerActive" : "ScalerNotActive", NULL);
}

static void fill_conditions(struct telling *t)
{
    for (int i = 0; i < CONDITIONS; i++)
        t->conditions[i] = t->s->conditions[i];
    if (!t->policy)
        check_fails(t);
    else if (t->job_kind)
        conditions_of_job(t);
    else
        conditions_of_object(t);
    if (!t->policy || (t->policy->trigger_count > 0 && never_built(t->policy)) || lacks_target(t))
        set(t, CONDITION_ACTIVE, KEDA_UNKNOWN, "UnknownState", NULL);
    for (int i = 0; i < CONDITION_HPA; i++)
        if (t->conditions[i].status == KEDA_UNTOUCHED)
            set(t, (enum condition_type)i, i == CONDITION_PAUSED ? KEDA_FALSE : KEDA_UNKNOWN, "", NULL);
}

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

/* Past the threshold more failures mean nothing new. */
static int32_t shown_failures(const struct telling *t, size_t i)
{
    int32_t most =
        t->policy->rules.fallback_threshold < INT32_MAX ? t->policy->rules.fallback_threshold + 1 : INT32_MAX;
    int32_t failures = t->decision->inputs[i].failures;

    return failures < most ? failures : most;
}

static bool shows_health(const struct telling *t)
{
    return t->policy && !t->job_kind && t->decision && !t->decision->paused && keda_fallback_usable(&t->policy->rules);
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
        if (shows_health(t))
            hash = mix(hash, (uint64_t)shown_failures(t, i));
    }
    return hash ? hash : 1;
}

/* ------------------------------------------------------------------ the patch */

static const char *usual_message(const struct telling *t, enum condition_type type)
{
    static const struct {
        const char *reason, *object, *job;
    } texts[] = {
        {"ScaledObjectReady", "ScaledObject is defined correctly and is ready for scaling", ""},
        {"ScaledJobReady", "", "ScaledJob is defined correctly and is ready for scaling"},
        {"ScalerActive", "Scaling is performed because triggers are active",
         "Scaling is performed because triggers are active"},
        {"ScalerNotActive", "Scaling is not performed because triggers are not active",
         "Scaling is not performed because triggers are not active"},
        {"ScalerCooldown", "Scaler cooling down because triggers are not active", ""},
        {"UnknownState", "ScaledObject check failed", "ScaledJob check failed"},
        {"FallbackExists", "At least one trigger is falling back on this scaled object", ""},
        {"NoFallbackFound", "No fallbacks are active on this scaled object", ""},
        {"ScaledObjectPaused", "ScaledObject is paused", ""},
        {"ScaledObjectUnpaused", "pause annotation removed for ScaledObject", ""},
        {"ScaledJobPaused", "", "ScaledJob is paused"},
        {"ScaledJobUnpaused", "", "ScaledJob is unpaused"},
        {"ErrorGettingCurrentReplicas", "Error getting current replicas count for ScaleTarget", ""},
        {"TriggerError", "Triggers defined in ScaledObject are not working correctly",
         "Triggers defined in ScaledJob are not working correctly"},
        {"PartialTriggerError", "Some triggers defined in ScaledObject are not working correctly",
         "Some triggers defined in ScaledJob are not working correctly"},
    };

    if (t->message[type])
        return t->message[type];
    if (type == CONDITION_HPA)
        return t->s->hpa_message ? t->s->hpa_message : "";
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i].reason, t->conditions[type].reason) == 0)
            return t->job_kind ? texts[i].job : texts[i].object;
    return "";
}

static void add_key(struct text *out, const char *key)
{
    char last = out->bytes[out->length - 1];

    text_add(out, last == '{' || last == '[' ? "" : ",");
    text_add_json_string(out, key, strlen(key));
    text_add(out, ":");
}

static void add_string(struct text *out, const char *key, const char *value)
{
    add_key(out, key);
    text_add_json_string(out, value, strlen(value));
}

/* Leaves it away where it is empty: null takes away what may have stood there. */
static void add_string_or_null(struct text *out, const char *key, const char *value)
{
    if (value && *value) {
        add_string(out, key, value);
    } else {
        add_key(out, key);
        text_add(out, "null");
    }
}

static void add_conditions(const struct telling *t, struct text *out)
{
    add_key(out, "conditions");
    text_add(out, "[");
    for (int i = 0; i < CONDITIONS; i++) {
        const char *message = usual_message(t, (enum condition_type)i);

        if (t->conditions[i].status == KEDA_UNTOUCHED)
            continue;
        text_add(out, i ? ",{" : "{");
        add_string(out, "type", condition_names[i]);
        add_string(out, "status", keda_status_name(t->conditions[i].status));
        if (*t->conditions[i].reason)
            add_string(out, "reason", t->conditions[i].reason);
        if (*message)
            add_string(out, "message", message);
        text_add(out, "}");
    }
    text_add(out, "]");
}

/* Without repetition, with commas, in the order of the triggers. */
static void add_once(struct text *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list->bytes; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list->bytes || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
            return;
    text_add(list, list->length ? "," : "");
    text_add(list, word);
}

static void add_types(const struct telling *t, struct text *out)
{
    struct text types, auths;

    text_init(&types, STATUS_MAX_BYTES);
    text_init(&auths, STATUS_MAX_BYTES);
    for (size_t i = 0; i < t->policy->trigger_count; i++)
        add_once(&types, t->policy->triggers[i].type);
    for (size_t i = 0; i < t->policy->reference_count; i++) {
        const char *reference = t->policy->references_to[i];

        if (!string_starts(reference, "data/"))
            add_once(&auths, strrchr(reference, '/') + 1);
    }
    add_string_or_null(out, "triggersTypes", types.bytes);
    add_string_or_null(out, "authenticationsTypes", auths.bytes);
    text_done(&types);
    text_done(&auths);
}

static bool is_external(const struct telling *t, size_t i)
{
    return t->policy->rules.triggers[i].kind == METRIC_EXTERNAL && !t->policy->triggers[i].error;
}

static void add_metric_names(const struct telling *t, struct text *out)
{
    const struct decide_rules *rules = &t->policy->rules;

    add_key(out, "externalMetricNames");
    text_add(out, "[");
    for (size_t i = 0; i < rules->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        text_add(out, out->bytes[out->length - 1] == '[' ? "" : ",");
        text_add_json_string(out, t->policy->triggers[i].metric_name, strlen(t->policy->triggers[i].metric_name));
    }
    text_add(out, "]");
    add_key(out, "resourceMetricNames");
    text_add(out, "[");
    for (size_t i = 0; i < rules->trigger_count; i++) {
        if (rules->triggers[i].kind == METRIC_EXTERNAL || rules->triggers[i].container)
            continue;
        text_add(out, out->bytes[out->length - 1] == '[' ? "" : ",");
        text_add(out, rules->triggers[i].kind == METRIC_CPU ? "\"cpu\"" : "\"memory\"");
    }
    text_add(out, "]");
    add_string_or_null(out, "compositeScalerName", t->policy->formula ? "composite-metric" : NULL);
}

static bool is_current(const struct telling *t, const char *name)
{
    for (size_t i = 0; i < t->policy->trigger_count; i++)
        if (t->policy->triggers[i].metric_name == name && is_external(t, i))
            return true;
    return false;
}

static void add_old_names(const struct telling *t, struct text *out, bool all)
{
    for (size_t i = 0; i < t->s->old_names.count; i++) {
        if (!all && is_current(t, t->s->old_names.list[i]))
            continue;
        add_key(out, t->s->old_names.list[i]);
        text_add(out, "null");
    }
}

static void add_triggers(const struct telling *t, struct text *out)
{
    bool health = shows_health(t);

    add_key(out, "triggersActivity");
    text_add(out, "{");
    for (size_t i = 0; i < t->policy->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        add_key(out, t->policy->triggers[i].metric_name);
        text_printf(out, "{\"isActive\":%s}", t->decision->inputs[i].active ? "true" : "false");
    }
    add_old_names(t, out, false);
    text_add(out, "}");
    add_key(out, "health");
    text_add(out, "{");
    for (size_t i = 0; health && i < t->policy->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        add_key(out, t->policy->triggers[i].metric_name);
        text_printf(out, "{\"numberOfFailures\":%d,\"status\":\"%s\"}", shown_failures(t, i),
                    shown_failures(t, i) > 0 ? "Failing" : "Happy");
    }
    add_old_names(t, out, !health);
    text_add(out, "}");
}

static void add_target(const struct telling *t, struct text *out)
{
    const struct target_view *v = &t->target;
    const struct decide_rules *rules = &t->policy->rules;

    if (v->kind) {
        add_string(out, "scaleTargetKind", arena_printf(t->arena, "%s/%s.%s", v->group, v->version, v->kind));
        add_key(out, "scaleTargetGVKR");
        text_add(out, "{");
        add_string(out, "group", v->group);
        add_string(out, "version", v->version);
        add_string(out, "kind", v->kind);
        add_string(out, "resource", v->resource);
        text_add(out, "}");
    }
    if (t->object->original_replicas >= 0) {
        add_key(out, "originalReplicaCount");
        text_printf(out, "%d", t->object->original_replicas);
    }
    add_key(out, "pausedReplicaCount");
    if (rules->has_paused_replicas)
        text_printf(out, "%d", rules->paused_replicas);
    else
        text_add(out, "null");
    add_string_or_null(out, "hpaName", t->s->hpa_name);
}

static void write_patch(const struct telling *t, struct text *out)
{
    text_add(out, "{");
    add_conditions(t, out);
    if (t->last_active_at_ms > 0) {
        char at[32];

        instant_format(t->last_active_at_ms, at, sizeof(at));
        add_string(out, "lastActiveTime", at);
    }
    if (t->policy)
        add_types(t, out);
    if (t->policy && !t->job_kind) {
        add_target(t, out);
        add_metric_names(t, out);
        if (t->decision && !t->decision->paused)
            add_triggers(t, out);
    }
    text_add(out, "}");
}

/* ------------------------------------------------------------------ what changed, as events */

static bool is_poll_reason(const char *reason)
{
    return strcmp(reason, "TriggerError") == 0 || strcmp(reason, "PartialTriggerError") == 0 ||
           strcmp(reason, "ErrorGettingCurrentReplicas") == 0 || string_ends(reason, "Ready");
}

/* KEDA says this in short too (keda-operator/02 4.3): what the platform says of the target, to the first colon. NULL: it is not that. */
static const char *what_misses(const struct telling *t)
{
    const char *text = t->target.error.text;

    if (t->object->problem || t->job_kind || !t->policy || never_built(t->policy) || t->target.known)
        return NULL;
    if (string_starts(text, "Target resource"))
        return arena_printf(t->arena, "%.*s", (int)strcspn(text, ":"), text);
    return t->target.error.kind == ERROR_MISSING ? "Target resource doesn't exist" : NULL;
}

static void say_ready(struct telling *t)
{
    const struct condition *was = &t->s->conditions[CONDITION_READY], *is = &t->conditions[CONDITION_READY];
    const char *kind = kind_name(t->s);
    bool check = string_ends(is->reason, "CheckFailed");

    if (is->status == KEDA_TRUE && was->status != KEDA_TRUE && !(was->reason && is_poll_reason(was->reason)))
        status_event(t->object, false, is->reason, "%s is ready for scaling", kind);
    if (check && t->s->problem_said != t->detail) {
        const char *misses = what_misses(t);

        if (misses)
            status_event(t->object, true, is->reason, "%s", misses);
        status_event(t->object, true, is->reason, "%s", t->message[CONDITION_READY]);
    }
    t->s->problem_said = check ? t->detail : 0;
}

static void say_others(struct telling *t)
{
    const struct condition *was = t->s->conditions, *is = t->conditions;
    const char *kind = kind_name(t->s);
    const char *paused = is[CONDITION_PAUSED].reason;

    if (is[CONDITION_PAUSED].status == KEDA_TRUE && was[CONDITION_PAUSED].status != KEDA_TRUE)
        status_event(t->object, false, paused, "%s is paused", kind);
    else if (is[CONDITION_PAUSED].status == KEDA_FALSE && was[CONDITION_PAUSED].status == KEDA_TRUE)
        status_event(t->object, false, paused, "%s", usual_message(t, CONDITION_PAUSED));
    if (is[CONDITION_FALLBACK].status == KEDA_TRUE && was[CONDITION_FALLBACK].status != KEDA_TRUE)
        status_event(t->object, false, "ScaledObjectFallbackActivated", "ScaledObject fallback is active");
    else if (is[CONDITION_FALLBACK].status != KEDA_TRUE && was[CONDITION_FALLBACK].status == KEDA_TRUE)
        status_event(t->object, false, "ScaledObjectFallbackDeactivated", "ScaledObject fallback is no longer active");
    if (t->job_kind && is[CONDITION_ACTIVE].status != was[CONDITION_ACTIVE].status &&
        is[CONDITION_ACTIVE].status != KEDA_UNKNOWN &&
        (is[CONDITION_ACTIVE].status == KEDA_TRUE || was[CONDITION_ACTIVE].status == KEDA_TRUE))
        status_event(t->object, false,
                     is[CONDITION_ACTIVE].status == KEDA_TRUE ? "ScaledJobActive" : "ScaledJobInactive", "%s",
                     usual_message(t, CONDITION_ACTIVE));
}

/* Once for each outage of each trigger. */
static void say_failures(struct telling *t)
{
    for (size_t i = 0; t->policy && (t->decision || t->job) && i < t->policy->trigger_count; i++) {
        const struct policy_trigger *trigger = &t->policy->triggers[i];
        const struct object_trigger *state = &t->object->triggers[i];
        uint8_t *said = &t->s->failed_said[i / 8], bit = (uint8_t)(1u << i % 8);
        const struct error *why = trigger->error ? trigger->error
                                  : state->question && state->sample.state == SAMPLE_FAILED
                                      ? question_why(state->question)
                                      : NULL;

        if (why && !(*said & bit))
            status_event(t->object, true,
                         t->policy->formula && !trigger->error ? "KEDAMetricSourceFailed" : "KEDAScalerFailed", "%s",
                         why->text);
        if (why)
            *said |= bit;
        else if (state->sample.state == SAMPLE_OK || state->sample.state == SAMPLE_MISSING)
            *said &= (uint8_t)~bit;
    }
}

/* ------------------------------------------------------------------ */

static void tell(struct telling *t)
{
    struct platform *platform = t->object->a->parts.platform;
    struct standing *s = t->s;
    char ns[OBJECT_KEY_BYTES];
    const char *name = place_of(t->object, ns, sizeof(ns));
    struct text patch;

    say_ready(t);
    say_others(t);
    text_init(&patch, STATUS_MAX_BYTES);
    write_patch(t, &patch);
    if (!patch.overflowed && platform->ops->status_merge)
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
                        .s = object->standing,
                        .policy = object->policy,
                        .decision = decision,
                        .arena = object->a->turn};

    if (!speaks(object))
        return;
    t.job_kind = t.s->kind == RESOURCE_SCALED_JOB;
    if (t.job_kind && object->policy)
        t.job = object->last_job;
    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &t.target);
    if (!knows_target(&t))
        return;
    say_failures(&t);
    fill_conditions(&t);
    fill_last_active(&t);
    uint64_t hash = hash_of(&t);
    if (hash == t.s->told)
        return;
    tell(&t);
    t.s->told = hash;
}

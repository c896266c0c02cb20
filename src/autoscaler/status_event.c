/*
 * status_event: what happened to an object, as events in KEDA's words (keda-operator/07 5). Each is said when something begins or
 * ends, never because it goes on.
 */
#include "autoscaler/status_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { CONTEST_MS = 10 * 60 * 1000 /* by hand one scales now and then */ };

const char *status_kind(const struct standing *s)
{
    return s->kind == RESOURCE_SCALED_JOB ? "ScaledJob" : "ScaledObject";
}

/* "ScaledObject/shop/checkout" -> "shop" in the storage given, and "checkout". An object without a policy has its key only. */
const char *status_place(const struct object *object, char *ns, size_t size)
{
    const char *first = strchr(object->key, '/') + 1, *second = strchr(first, '/');

    snprintf(ns, size, "%.*s", (int)(second - first), first);
    return second + 1;
}

bool status_speaks(struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;
    const struct standing *s = object->a->stopping ? NULL : standing_of(object);
    char ns[OBJECT_KEY_BYTES];
    const char *name;

    if (!s || s->silent)
        return false;
    name = status_place(object, ns, sizeof(ns));
    return !object->standing || !ops->may_write || ops->may_write(object->a->parts.platform, ns, name);
}

void status_event(struct object *object, bool warning, const char *reason, const char *format, ...)
{
    struct platform *platform = object->a->parts.platform;
    char ns[OBJECT_KEY_BYTES];
    const char *name;
    struct text text;
    va_list args;

    if (!status_speaks(object))
        return;
    name = status_place(object, ns, sizeof(ns));
    text_init(&text, LOG_LINE_MAX_BYTES);
    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    if (platform->ops->event && object->standing)
        platform->ops->event(platform, ns, status_kind(object->standing), name, warning, reason, text.bytes);
    listeners_tell_event(object->a, &(struct autoscaler_event){.ns = ns,
                                                               .kind = status_kind(standing_of(object)),
                                                               .name = name,
                                                               .warning = warning,
                                                               .reason = reason,
                                                               .text = text.bytes,
                                                               .at_ms = loop_now_ms(object->a->parts.loop)});
    text_done(&text);
}

/* ------------------------------------------------------------------ triggers begin and end */

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
    struct standing *s = standing_of(object);

    if (s->started)
        status_event(object, false, "KEDAScalersStopped", "Stopped scalers watch");
    s->started = false;
}

/* After a restart the triggers of thousands of objects are built as they were: nobody needs to read of it. */
void status_built(struct object *object, const struct policy *old)
{
    struct standing *s = standing_of(object);
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

enum { INFOS_MAX = 8 /* of one object at once; the condition and lint say the rest */ };

/* What KEDA says so: parameters that mean nothing, and fields that have no effect. */
static bool is_info(const struct finding *f)
{
    static const char *const codes[] = {"unknown-parameter", "ignored-parameter", "no-effect"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(f->code, codes[i]) == 0)
            return true;
    return false;
}

void status_infos(struct object *object, const struct report *report, bool quiet)
{
    struct standing *s = standing_of(object);
    uint64_t hash = 0;
    int said = 0;

    for (size_t i = 0; i < report_count(report); i++)
        if (is_info(report_at(report, i)))
            hash = hash_string(hash, report_at(report, i)->text);
    if (!s || hash == s->infos_said)
        return;
    s->infos_said = hash;
    for (size_t i = 0; !quiet && i < report_count(report) && said < INFOS_MAX; i++) {
        const struct finding *f = report_at(report, i);

        if (!is_info(f))
            continue;
        status_event(object, f->severity == FINDING_WARNING, "KEDAScalerInfo", "%s: %s", f->field, f->text);
        said++;
    }
}

/* ------------------------------------------------------------------ to zero and back */

static const char *scale_target(const struct object *object, struct arena *arena)
{
    const struct target_key *key = &object->policy->target;
    struct target_view view = {.known = false};

    object->a->parts.platform->ops->target_view(object->target, &view);
    if (!view.kind)
        return arena_printf(arena, "%s.%s %s/%s", key->api_version, key->kind, key->ns, key->name);
    return arena_printf(arena, "%s/%s.%s %s/%s", view.group, view.version, view.kind, key->ns, key->name);
}

const char *status_active_metrics(const struct object *object, const struct decision *decision, struct arena *arena)
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

    if (!standing_of(object) || !object->policy || object->policy->is_job || !object->target || !(up || down))
        return;
    arena = arena_new(ARENA_SMALL);
    target = scale_target(object, arena);
    if (up && err)
        status_event(object, true, "KEDAScaleTargetActivationFailed", "Failed to scale %s from %d to %d: %s", target,
                     d->before, d->after, err->text);
    else if (up && object->policy->rules.force_activation && !*status_active_metrics(object, d, arena))
        status_event(object, false, "KEDAScaleTargetActivated",
                     "Scaled %s from %d to %d, caused by forced activation annotation", target, d->before, d->after);
    else if (up)
        status_event(object, false, "KEDAScaleTargetActivated", "Scaled %s from %d to %d, triggered by %s", target,
                     d->before, d->after, status_active_metrics(object, d, arena));
    else if (err)
        status_event(object, true, "KEDAScaleTargetDeactivationFailed", "Failed to deactivate %s from %d to %d: %s",
                     target, d->before, d->after, err->text);
    else
        status_event(object, false, "KEDAScaleTargetDeactivated", "Deactivated %s from %d to %d", target, d->before,
                     d->after);
    arena_free(arena);
}

/* ------------------------------------------------------------------ what changed since the last status */

/* A template that the API server refuses stays refused: Ready must not be True while nothing can run. */
void status_jobs_created(struct object *object, const struct error *err)
{
    struct standing *s = standing_of(object);

    if (!s)
        return;
    free(s->jobs_error);
    s->jobs_error = err && (err->kind == ERROR_INVALID || err->kind == ERROR_DENIED) ? mem_copy(err->text) : NULL;
}

static bool is_poll_reason(const char *reason)
{
    return strcmp(reason, "TriggerError") == 0 || strcmp(reason, "PartialTriggerError") == 0 ||
           strcmp(reason, "ErrorGettingCurrentReplicas") == 0 || string_ends(reason, "Ready");
}

/* KEDA says this in short too (keda-operator/02 4.3): what the platform says of the target, to the first colon. NULL: it is not that. */
static const char *what_misses(const struct telling *t)
{
    const char *text = t->target.error.text;

    if (t->object->problem || t->job_kind || !t->policy || status_never_built(t->policy) || t->target.known)
        return NULL;
    if (string_starts(text, "Target resource"))
        return arena_printf(t->arena, "%.*s", (int)strcspn(text, ":"), text);
    return t->target.error.kind == ERROR_MISSING ? "Target resource doesn't exist" : NULL;
}

void status_say_ready(struct telling *t)
{
    const struct condition *was = &t->s->conditions[CONDITION_READY], *is = &t->conditions[CONDITION_READY];
    const char *kind = status_kind(t->s);
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

void status_say_others(struct telling *t)
{
    const struct condition *was = t->s->conditions, *is = t->conditions;
    const char *kind = status_kind(t->s);
    const char *paused = is[CONDITION_PAUSED].reason;

    if (is[CONDITION_PAUSED].status == KEDA_TRUE && was[CONDITION_PAUSED].status != KEDA_TRUE)
        status_event(t->object, false, paused, "%s is paused", kind);
    else if (is[CONDITION_PAUSED].status == KEDA_FALSE && was[CONDITION_PAUSED].status == KEDA_TRUE)
        status_event(t->object, false, paused, "%s", status_message(t, CONDITION_PAUSED));
    if (is[CONDITION_FALLBACK].status == KEDA_TRUE && was[CONDITION_FALLBACK].status != KEDA_TRUE)
        status_event(t->object, false, "ScaledObjectFallbackActivated", "ScaledObject fallback is active");
    else if (is[CONDITION_FALLBACK].status != KEDA_TRUE && was[CONDITION_FALLBACK].status == KEDA_TRUE)
        status_event(t->object, false, "ScaledObjectFallbackDeactivated", "ScaledObject fallback is no longer active");
    if (t->job_kind && is[CONDITION_ACTIVE].status != was[CONDITION_ACTIVE].status &&
        is[CONDITION_ACTIVE].status != KEDA_UNKNOWN &&
        (is[CONDITION_ACTIVE].status == KEDA_TRUE || was[CONDITION_ACTIVE].status == KEDA_TRUE))
        status_event(t->object, false,
                     is[CONDITION_ACTIVE].status == KEDA_TRUE ? "ScaledJobActive" : "ScaledJobInactive", "%s",
                     status_message(t, CONDITION_ACTIVE));
}

/* Once for each outage of each trigger. */
void status_say_failures(struct telling *t)
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

#define HPA_CONTROLLER "kube-controller-manager"

static const char *remedy_for(const char *other)
{
    if (strcmp(other, HPA_CONTROLLER) == 0)
        return "likely by a HorizontalPodAutoscaler on it; delete that (kubectl get hpa)";
    if (strstr(other, "argo") != NULL)
        return "leave spec.replicas out of what Argo CD applies (ignoreDifferences)";
    if (strstr(other, "keda") != NULL)
        return "let only one of KEDA and Weir look after this object (annotation weir.dev/mode: observe)";
    return "only one may scale it; pause this object (autoscaling.keda.sh/paused) or stop the other";
}

/* An autoscaler writes again and again: it is named at once. */
static void say_rival(struct telling *t)
{
    struct standing *s = t->s;
    const char *rival = status_rival(t);

    if (string_equal(s->rival_said, rival))
        return;
    free(s->rival_said);
    s->rival_said = rival ? mem_copy(rival) : NULL;
    if (!rival)
        return;
    log_warning("the target is scaled by a HorizontalPodAutoscaler, too", "object", t->object->key, "name", rival,
                NULL);
    status_event(
        t->object, true, "KEDAScaleTargetContested",
        "the replicas of the target are also changed by the HorizontalPodAutoscaler %s: delete that, or pause this "
        "object (autoscaling.keda.sh/paused)",
        rival);
}

/* While the one of before is on its way out, it is no surprise; one that is known is looked after by the platform. */
static void look_for_rival(const struct telling *t)
{
    const struct platform_ops *ops = t->object->a->parts.platform->ops;

    if (ops->target_look_rival && !t->s->hpa_name && !t->target.rival && strcmp(t->target.other, HPA_CONTROLLER) == 0)
        ops->target_look_rival(t->object->target);
}

/* Once somebody else scales by hand, twice within minutes it is a contest. */
void status_say_contest(struct telling *t)
{
    struct standing *s = t->s;
    int64_t ticks = loop_ticks_ms(t->object->a->parts.loop);
    uint32_t news = t->target.others_writes - s->others_seen;
    bool again = news > 1 || (s->others_ticks_ms > 0 && ticks - s->others_ticks_ms < CONTEST_MS);

    say_rival(t);
    if (news == 0 || !t->target.other || !t->policy || t->policy->rules.mode != DECIDE_DIRECT)
        return;
    s->others_seen = t->target.others_writes;
    s->others_ticks_ms = ticks;
    look_for_rival(t);
    if (s->rival_said)
        return;
    if (!again || (s->others_said_ticks_ms > 0 && ticks - s->others_said_ticks_ms < CONTEST_MS))
        return;
    s->others_said_ticks_ms = ticks;
    log_warning("the target is scaled by somebody else, too", "object", t->object->key, "by", t->target.other, "remedy",
                remedy_for(t->target.other), NULL);
    status_event(t->object, true, "KEDAScaleTargetContested", "the replicas of the target are also changed by %s: %s",
                 t->target.other, remedy_for(t->target.other));
}

/*
 * status_condition: an object's conditions, from what is known of it: checks that failed, its last decision, its autoscaler (KEDA's
 * rules: keda-operator/02 8, 04 9).
 */
#include "autoscaler/status_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    MESSAGE_ERROR_BYTES = 512,
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

/* ": the formula failed: not-finite"; "" where it did not. */
static const char *formula_failure(struct telling *t)
{
    if (!t->decision || !t->decision->has_formula || t->decision->formula.type != FORMULA_FAILED)
        return "";
    t->detail = hash_string(4, formula_fault_name(t->decision->formula_fault));
    return arena_printf(t->arena, ": the formula failed: %s; see weir explain",
                        formula_fault_name(t->decision->formula_fault));
}

/* The first trigger without a value, as ": queue: nobody answers", else why the formula has none; "" where no reason is known. Its kind
   counts, not its words. */
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
    return formula_failure(t);
}

bool status_never_built(const struct policy *policy)
{
    for (size_t i = 0; i < policy->trigger_count; i++)
        if (!policy->triggers[i].error)
            return false;
    return policy->trigger_count > 0;
}

const char *status_rival(const struct telling *t)
{
    bool scales = t->policy && !t->job_kind && t->policy->rules.mode == DECIDE_DIRECT;

    return scales && !string_equal(t->target.rival, t->s->hpa_name) ? t->target.rival : NULL;
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
    else if (status_never_built(t->policy))
        fail_check(t, t->job_kind ? "Failed to ensure ScaledJob is correctly created" : failed_check(false, ""),
                   t->policy->triggers[0].error->text);
    else if (t->policy->paused_unreadable)
        fail_check(t, "failed to handle pausing of ScaledObject",
                   "annotation autoscaling.keda.sh/paused-replicas is no number");
    else if (lacks_target(t))
        fail_check(t, "ScaledObject doesn't have correct scaleTargetRef specification",
                   arena_printf(t->arena, "%s%s%s", missing->where, *missing->where ? ": " : "", missing->text));
    else if (t->s->jobs_error)
        fail_check(t, "failed to create jobs", t->s->jobs_error);
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
    else if (status_rival(t)) {
        message = arena_printf(
            t->arena,
            "ScaledObject is ready for scaling, but the HorizontalPodAutoscaler %s scales the same target, and "
            "the two undo each other's work: delete one of them",
            status_rival(t));
        t->detail = hash_string(5, status_rival(t));
    }
    if (message && t->detail == 0)
        t->detail = hash_string(3, reason);
    set(t, CONDITION_READY, status, reason, message);
}

/* ------------------------------------------------------------------ ScaledObject */

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
            rules->force_activation && t->decision->active && !*status_active_metrics(t->object, t->decision, t->arena)
                ? "Scaling is performed because activation is being forced by annotation"
                : NULL);
    if (!keda_fallback_usable(rules))
        set(t, CONDITION_FALLBACK, KEDA_FALSE, "NoFallbackFound", NULL);
    else if (view.conditions[KEDA_FALLBACK].status != KEDA_UNTOUCHED)
        set(t, CONDITION_FALLBACK, view.conditions[KEDA_FALLBACK].status, view.conditions[KEDA_FALLBACK].reason, NULL);
    hpa_condition(t);
}

/* ------------------------------------------------------------------ ScaledJob */

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

/* ------------------------------------------------------------------ both */

void status_conditions(struct telling *t)
{
    for (int i = 0; i < CONDITIONS; i++)
        t->conditions[i] = t->s->conditions[i];
    if (!t->policy)
        check_fails(t);
    else if (t->job_kind)
        conditions_of_job(t);
    else
        conditions_of_object(t);
    if (!t->policy || (t->policy->trigger_count > 0 && status_never_built(t->policy)) || lacks_target(t))
        set(t, CONDITION_ACTIVE, KEDA_UNKNOWN, "UnknownState", NULL);
    for (int i = 0; i < CONDITION_HPA; i++)
        if (t->conditions[i].status == KEDA_UNTOUCHED)
            set(t, (enum condition_type)i, i == CONDITION_PAUSED ? KEDA_FALSE : KEDA_UNKNOWN, "", NULL);
}

const char *status_message(const struct telling *t, enum condition_type type)
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

/*
 * keda: the tables of ScaledObject and ScaledJob, as KEDA's CRDs have them (keda-operator/01, sections 1 and 2). What holds
 * between fields is admission.c; what becomes of the values is policy/.
 */
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "manifest/manifest_internal.h"

/* ------------------------------------------------------------------ metadata */

static void check_metadata(struct reading *r, const struct path *path, void *out)
{
    struct object_meta *meta = out;
    const char *made = tree_string(tree_get(path->node, "generateName"));
    struct path at = path_member(path, "name", tree_get(path->node, "name"));

    if (meta->name || (at.node && at.node->type != TREE_NULL))
        return;
    if (made) {
        meta->name = made;
        complain(r, FINDING_WARNING, "generated-name", &at, "give it a name",
                 "the API server would make a name of generateName; without one the object is known as %s here", made);
    } else {
        complain(r, FINDING_ERROR, "missing-required", &at, NULL, "name is required in metadata");
    }
}

#define SCHEMA_STRUCT struct object_meta
static const struct field metadata_fields[] = {
    {"name", FIELD_TEXT(name), .filled = true},
    {"generateName", CHECK_TEXT()},
    {"namespace", FIELD_TEXT(ns)},
    {"labels", FIELD_TEXT_MAP(labels)},
    {"annotations", FIELD_TEXT_MAP(annotations)},
    /* what the API server adds, there in files that come from a cluster: */
    {"creationTimestamp", FIELD_ANY()},
    {"deletionGracePeriodSeconds", FIELD_ANY()},
    {"deletionTimestamp", FIELD_ANY()},
    {"finalizers", FIELD_ANY()},
    {"generation", FIELD_ANY()},
    {"managedFields", FIELD_ANY()},
    {"ownerReferences", FIELD_ANY()},
    {"resourceVersion", FIELD_ANY()},
    {"selfLink", FIELD_ANY()},
    {"uid", FIELD_ANY()},
    {0},
};
const struct schema metadata_schema = {.fields = metadata_fields, .check = check_metadata};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ target and triggers */

static void check_target(struct reading *r, const struct path *path, void *out)
{
    struct target_ref *target = out;

    target->place = place_of(r, path->node);
    if (!target->api_version || !target->api_version[0])
        target->api_version = "apps/v1";
    if (!target->kind || !target->kind[0])
        target->kind = "Deployment";
}

#define SCHEMA_STRUCT struct target_ref
static const struct field target_fields[] = {
    {"name", FIELD_TEXT(name), .required = true, .filled = true},
    {"kind", FIELD_TEXT(kind), .unset_text = "Deployment"},
    {"apiVersion", FIELD_TEXT(api_version), .unset_text = "apps/v1"},
    {"envSourceContainerName", FIELD_TEXT(env_container)},
    {"deploymentName", .type = TYPE_RETIRED, .remedy = "deploymentName is called name now"},
    {"containerName", .type = TYPE_RETIRED, .remedy = "containerName is called envSourceContainerName now"},
    {0},
};
static const struct schema target_schema = {.fields = target_fields, .check = check_target};
#undef SCHEMA_STRUCT

#define SCHEMA_STRUCT struct trigger_spec
static const char *const auth_kinds[] = {"TriggerAuthentication", "ClusterTriggerAuthentication", NULL};
static const struct field auth_ref_fields[] = {
    {"name", FIELD_TEXT(auth_name), .required = true},
    {"kind", FIELD_TEXT(auth_kind), .words = auth_kinds},
    {0},
};
static const struct schema auth_ref_schema = {.fields = auth_ref_fields};

static void check_trigger(struct reading *r, const struct path *path, void *out)
{
    struct trigger_spec *trigger = out;

    trigger->place = place_of(r, path->node);
    trigger->index = path->index;
    trigger->unclear |= !trigger->type || !trigger->metadata;
    if (trigger->name && !trigger->name[0])
        trigger->name = NULL;
    if (trigger->auth_name && !trigger->auth_kind)
        trigger->auth_kind = auth_kinds[0];
}

/* KEDA's CRD of ScaledJobs has no metricType: the API server drops it (keda-operator/01). */
static void check_job_trigger(struct reading *r, const struct path *path, void *out)
{
    struct trigger_spec *trigger = out;
    struct path at = path_member(path, "metricType", tree_get(path->node, "metricType"));

    check_trigger(r, path, out);
    if (trigger->metric_type)
        complain_key(r, FINDING_ADVICE, "no-effect", &at, "remove it", "metricType means nothing in a ScaledJob");
    trigger->metric_type = NULL;
}

static const struct field trigger_fields[] = {
    {"type", FIELD_TEXT(type), .required = true, .filled = true},
    {"name", FIELD_TEXT(name)},
    {"metadata", FIELD_CLEAR_TEXT_MAP(metadata, unclear), .required = true,
     .remedy = "indent the trigger's parameters under metadata"},
    {"authenticationRef", FIELD_GROUP(&auth_ref_schema)},
    {"metricType", FIELD_TEXT(metric_type)},
    {"useCachedMetrics", FIELD_BOOL(use_cached_metrics)},
    {0},
};
static const struct schema trigger_schema = {
    .fields = trigger_fields, .inner = "metadata", .size = sizeof(struct trigger_spec), .check = check_trigger};
static const struct schema job_trigger_schema = {
    .fields = trigger_fields, .inner = "metadata", .size = sizeof(struct trigger_spec), .check = check_job_trigger};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ ScaledObject */

#define SCHEMA_STRUCT struct scaled_object
static const char *const formula_types[] = {"AverageValue", "Value", NULL};
static const char *const fallback_behaviors[] = {
    "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers", NULL};

static void check_modifiers(struct reading *r, const struct path *path, void *out)
{
    struct scaled_object *object = out;
    const char **texts[] = {&object->formula, &object->formula_target, &object->formula_activation,
                            &object->formula_metric_type};
    const struct tree *formula = tree_get(path->node, "formula");

    object->formula_place = place_of(r, formula ? formula : path->node);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (*texts[i] && !(*texts[i])[0])
            *texts[i] = NULL; /* empty means unset to KEDA, which looks at Go strings */
        object->has_modifiers |= *texts[i] != NULL;
    }
}

static const struct field modifiers_fields[] = {
    {"formula", FIELD_TEXT(formula), .literal = true},
    {"target", FIELD_TEXT(formula_target)},
    {"activationTarget", FIELD_TEXT(formula_activation)},
    {"metricType", FIELD_TEXT(formula_metric_type), .words = formula_types},
    {0},
};
static const struct schema modifiers_schema = {.fields = modifiers_fields, .check = check_modifiers};

static const struct field hpa_fields[] = {
    {"name", FIELD_TEXT(hpa_name)},
    {"behavior", FIELD_TREE(behavior, &behavior_schema)},
    {0},
};
static const struct schema hpa_schema = {.fields = hpa_fields};

static const struct field advanced_fields[] = {
    {"restoreToOriginalReplicaCount", FIELD_BOOL(restore_to_original)},
    {"horizontalPodAutoscalerConfig", FIELD_GROUP(&hpa_schema)},
    {"scalingModifiers", FIELD_GROUP(&modifiers_schema)},
    {0},
};
static const struct schema advanced_schema = {.fields = advanced_fields};

static void check_fallback(struct reading *r, const struct path *path, void *out)
{
    (void)r;
    (void)path; /* that it is there is all we note */
    ((struct scaled_object *)out)->has_fallback = true;
}

static const struct field fallback_fields[] = {
    {"failureThreshold", FIELD_INT(fallback_threshold), .required = true},
    {"replicas", FIELD_INT(fallback_replicas), .required = true},
    {"behavior", FIELD_TEXT(fallback_behavior), .words = fallback_behaviors, .unset_text = "static"},
    {0},
};
static const struct schema fallback_schema = {.fields = fallback_fields, .check = check_fallback};

static const struct field object_spec_fields[] = {
    {"scaleTargetRef", FIELD_STRUCT(target, &target_schema), .required = true},
    {"pollingInterval", FIELD_INT(polling_interval_s), .min = 1, .unset = -1, .seconds = true},
    {"cooldownPeriod", FIELD_INT(cooldown_period_s), .unset = -1, .seconds = true},
    {"initialCooldownPeriod", FIELD_INT(initial_cooldown_period_s), .unset = -1, .seconds = true},
    {"idleReplicaCount", FIELD_INT(idle_replicas), .unset = -1},
    {"minReplicaCount", FIELD_INT(min_replicas), .unset = -1},
    {"maxReplicaCount", FIELD_INT(max_replicas), .min = 1, .unset = -1,
     .remedy = "to keep the target at 0, use the annotation autoscaling.keda.sh/paused-replicas: \"0\""},
    {"advanced", FIELD_GROUP(&advanced_schema)},
    {"triggers", FIELD_LIST(triggers, trigger_count, &trigger_schema), .required = true},
    {"fallback", FIELD_GROUP(&fallback_schema)},
    {"scaleType", .type = TYPE_RETIRED, .remedy = "jobs have a kind of their own now, ScaledJob"},
    {"jobTargetRef", .type = TYPE_RETIRED, .remedy = "jobs have a kind of their own now, ScaledJob"},
    {0},
};
static const struct schema object_spec_schema = {.fields = object_spec_fields};

static const struct field scaled_object_fields[] = {
    ROOT_FIELDS(struct scaled_object),
    {"spec", FIELD_GROUP(&object_spec_schema), .implied = true},
    {0},
};

static void check_scaled_object(struct reading *r, const struct path *path, void *out)
{
    admit_scaled_object(r, path, out);
}
const struct schema scaled_object_schema = {
    .fields = scaled_object_fields, .size = sizeof(struct scaled_object), .check = check_scaled_object};
#undef SCHEMA_STRUCT

/* ------------------------------------------------------------------ ScaledJob */

#define SCHEMA_STRUCT struct scaled_job
static const char *const rollouts[] = {"gradual", "immediate", NULL};
static const char *const propagations[] = {"foreground", "background", NULL};
static const char *const strategies[] = {"default", "custom", "accurate", "eager", NULL};
static const char *const combinations[] = {"max", "min", "avg", "sum", NULL};

static const struct field rollout_fields[] = {
    {"strategy", FIELD_TEXT(rollout_strategy), .words = rollouts, .unset_text = "immediate"},
    {"propagationPolicy", CHECK_TEXT(), .words = propagations},
    {0},
};
static const struct schema rollout_schema = {.fields = rollout_fields};

static const struct field strategy_fields[] = {
    {"strategy", FIELD_TEXT(strategy), .words = strategies, .unset_text = "default"},
    {"customScalingQueueLengthDeduction", FIELD_INT(custom_deduction), .min = INT32_MIN},
    {"customScalingRunningJobPercentage", FIELD_TEXT(custom_running_percentage)},
    {"pendingPodConditions", FIELD_COUNTED_TEXTS(pending_conditions, pending_condition_count)},
    {"multipleScalersCalculation", FIELD_TEXT(combination), .words = combinations, .unset_text = "max"},
    {0},
};
static const struct schema strategy_schema = {.fields = strategy_fields};

static void check_job_spec(struct reading *r, const struct path *path, void *out)
{
    struct scaled_job *job = out;
    const char *old = tree_string(tree_get(path->node, "rolloutStrategy"));
    struct path at = path_member(path, "jobTargetRef", job->job_template);
    struct job_spec spec;
    bool scan = r->scan_placeholders;

    if (old && (strcmp(old, rollouts[0]) == 0 || strcmp(old, rollouts[1]) == 0))
        job->rollout_strategy = old; /* the older field wins (keda-operator/01 2) */
    if (!job->job_template)
        return;
    memset(&spec, 0, sizeof(spec));
    r->scan_placeholders = false;
    schema_read(r, &job_spec_schema, &at, &spec);
    r->scan_placeholders = scan;
}

static const struct field scaled_job_spec_fields[] = {
    {"jobTargetRef", FIELD_TREE(job_template, &job_spec_schema), .required = true, .read_by_check = true},
    {"pollingInterval", FIELD_INT(polling_interval_s), .min = 1, .unset = -1, .seconds = true},
    {"successfulJobsHistoryLimit", FIELD_INT(successful_history), .unset = -1},
    {"failedJobsHistoryLimit", FIELD_INT(failed_history), .unset = -1},
    {"rolloutStrategy", CHECK_TEXT(), .words = rollouts},
    {"rollout", FIELD_GROUP(&rollout_schema)},
    {"envSourceContainerName", FIELD_TEXT(env_container)},
    {"minReplicaCount", FIELD_INT(min_replicas), .unset = -1},
    {"maxReplicaCount", FIELD_INT(max_replicas), .min = 1, .unset = -1},
    {"scalingStrategy", FIELD_GROUP(&strategy_schema)},
    {"triggers", FIELD_LIST(triggers, trigger_count, &job_trigger_schema), .required = true},
    {0},
};
static const struct schema scaled_job_spec_schema = {.fields = scaled_job_spec_fields, .check = check_job_spec};

static const struct field scaled_job_fields[] = {
    ROOT_FIELDS(struct scaled_job),
    {"spec", FIELD_GROUP(&scaled_job_spec_schema), .implied = true},
    {0},
};

static void check_scaled_job(struct reading *r, const struct path *path, void *out)
{
    admit_scaled_job(r, path, out);
}
const struct schema scaled_job_schema = {
    .fields = scaled_job_fields, .size = sizeof(struct scaled_job), .check = check_scaled_job};
#undef SCHEMA_STRUCT

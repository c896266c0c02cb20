/*
 * admission: what KEDA's CRDs and webhook refuse about one object beyond the types of its fields (keda-operator/01, 06 4.1).
 * Rules that need the formula or a trigger's parameters are policy/'s, rules that need several objects policy_check_set's.
 */
#include <string.h>

#include "base/limits.h"
#include "manifest/manifest_internal.h"

enum { LABEL_VALUE_MAX_BYTES = 63, HPA_NAME_PREFIX_BYTES = sizeof("keda-hpa-") - 1 };

static bool is_resource(const char *type)
{
    return type && (strcmp(type, "cpu") == 0 || strcmp(type, "memory") == 0);
}

/* A step to a field of spec, from a root that may lack anything. */
static struct path field_path(const struct path *spec, const char *name)
{
    return path_member(spec, name, spec->node ? tree_get(spec->node, name) : NULL);
}

/* ------------------------------------------------------------------ replicas */

static void check_bounds(struct reading *r, const struct path *spec, const struct scaled_object *o)
{
    int32_t max = o->max_replicas < 0 ? DEFAULT_MAX_REPLICAS : o->max_replicas;
    int32_t min = o->min_replicas < 0 ? 0 : o->min_replicas < 1 ? 1 : o->min_replicas; /* an explicit 0 counts as 1 */
    struct path at = field_path(spec, "minReplicaCount");

    if (min > max)
        complain(r, FINDING_ERROR, "min-max", &at, "raise maxReplicaCount or lower minReplicaCount",
                 "minReplicaCount %d must be less than or equal to maxReplicaCount %d%s", o->min_replicas, max,
                 o->max_replicas < 0 ? " (the default)" : "");
    at = field_path(spec, "idleReplicaCount");
    if (o->idle_replicas >= 0 && o->idle_replicas >= min)
        complain(r, FINDING_ERROR, "idle", &at, "leave idleReplicaCount out: the minimum already is the resting size",
                 "idleReplicaCount %d must be less than minReplicaCount %d", o->idle_replicas,
                 o->min_replicas < 0 ? 0 : o->min_replicas);
}

static size_t count_resources(const struct trigger_spec *triggers, size_t count)
{
    size_t resources = 0;

    for (size_t i = 0; i < count; i++)
        resources += is_resource(triggers[i].type);
    return resources;
}

static void check_scale_to_zero(struct reading *r, const struct path *spec, const struct scaled_object *o)
{
    struct path at = field_path(spec, "minReplicaCount");

    if (o->trigger_count > 0 && count_resources(o->triggers, o->trigger_count) == o->trigger_count &&
        o->min_replicas <= 0)
        complain(r, FINDING_ERROR, "scale-to-zero", &at,
                 "write minReplicaCount: 1, or add a trigger that can be measured without replicas",
                 "cpu and memory cannot be measured at 0 replicas: with only such triggers minReplicaCount must be at "
                 "least 1");
}

/* ------------------------------------------------------------------ triggers */

static bool caching_refused(const char *type)
{
    return is_resource(type) || (type && strcmp(type, "cron") == 0);
}

static void check_triggers(struct reading *r, const struct path *spec, const struct trigger_spec *triggers,
                           size_t count)
{
    struct path list = field_path(spec, "triggers");

    if (list.node && list.node->type == TREE_LIST && list.node->count == 0)
        complain(r, FINDING_ERROR, "missing-required", &list, "add a trigger",
                 "triggers is empty: at least one is required");
    if (count > TRIGGERS_MAX) {
        complain(r, FINDING_ERROR, "limit", &list, "divide them among several objects",
                 "there are %zu triggers; %d are allowed (TRIGGERS_MAX)", count, TRIGGERS_MAX);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct path item = path_item(&list, triggers[i].index, tree_index(list.node, (size_t)triggers[i].index));
        struct path at = path_member(&item, "useCachedMetrics", tree_get(item.node, "useCachedMetrics"));

        if (triggers[i].use_cached_metrics && caching_refused(triggers[i].type))
            complain(r, FINDING_ERROR, "cached-metrics", &at, "remove it",
                     "useCachedMetrics is not supported for %s triggers", triggers[i].type);
        for (size_t j = 0; triggers[i].name && j < i; j++) {
            if (!triggers[j].name || strcmp(triggers[j].name, triggers[i].name) != 0)
                continue;
            at = path_member(&item, "name", tree_get(item.node, "name"));
            complain(r, FINDING_ERROR, "duplicate-trigger-name", &at, "give each trigger a name of its own",
                     "the name %s is already that of triggers[%d]", triggers[i].name, triggers[j].index);
            break;
        }
    }
}

/* ------------------------------------------------------------------ fallback */

static void check_fallback(struct reading *r, const struct path *spec, const struct scaled_object *o)
{
    struct path at = field_path(spec, "fallback");
    struct path behavior = path_member(&at, "behavior", at.node ? tree_get(at.node, "behavior") : NULL);

    if (!o->has_fallback)
        return;
    if (!o->has_modifiers && o->trigger_count > 0 && count_resources(o->triggers, o->trigger_count) == o->trigger_count)
        complain(r, FINDING_ERROR, "fallback-unusable", &at,
                 "remove fallback, or add a trigger that is not cpu or memory",
                 "fallback needs at least one trigger that is not cpu or memory: those never fall back");
    if (o->fallback_behavior && strcmp(o->fallback_behavior, "scalingModifiers") == 0 && !o->formula)
        complain(r, FINDING_ERROR, "fallback-formula", &behavior,
                 "add advanced.scalingModifiers.formula, or choose another behavior",
                 "fallback.behavior scalingModifiers needs scalingModifiers.formula");
}

/* ------------------------------------------------------------------ names */

static void check_names(struct reading *r, const struct path *root, const struct path *spec,
                        const struct scaled_object *o)
{
    struct path metadata = path_member(root, "metadata", tree_get(root->node, "metadata"));
    struct path name = path_member(&metadata, "name", tree_get(metadata.node, "name"));
    struct path advanced = field_path(spec, "advanced");
    struct path hpa = path_member(&advanced, "horizontalPodAutoscalerConfig",
                                  tree_get(advanced.node, "horizontalPodAutoscalerConfig"));
    struct path hpa_name = path_member(&hpa, "name", tree_get(hpa.node, "name"));
    size_t length = o->meta.name ? strlen(o->meta.name) : 0;
    bool named = o->hpa_name && o->hpa_name[0];

    if (length > LABEL_VALUE_MAX_BYTES)
        complain(r, FINDING_ERROR, "name-too-long", &name, "choose a shorter name",
                 "the name has %zu characters; %d are allowed, because it becomes the label scaledobject.keda.sh/name",
                 length, LABEL_VALUE_MAX_BYTES);
    else if (!named && length + HPA_NAME_PREFIX_BYTES > LABEL_VALUE_MAX_BYTES) /* an error where one is made: policy/ */
        complain(r, FINDING_ADVICE, "name-too-long", &name,
                 "shorten it, or set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name",
                 "in hpa mode, and with KEDA, the autoscaler's name would be keda-hpa-%s, with %zu characters; %d are "
                 "allowed",
                 o->meta.name, length + HPA_NAME_PREFIX_BYTES, LABEL_VALUE_MAX_BYTES);
    if (named && strlen(o->hpa_name) > LABEL_VALUE_MAX_BYTES)
        complain(r, FINDING_ERROR, "name-too-long", &hpa_name, "choose a shorter name",
                 "the autoscaler's name has %zu characters; %d are allowed", strlen(o->hpa_name),
                 LABEL_VALUE_MAX_BYTES);
}

/* ------------------------------------------------------------------ settings without effect (KEDA's admission warnings) */

static void advise(struct reading *r, const struct path *spec, const struct scaled_object *o)
{
    struct path at = field_path(spec, "cooldownPeriod");

    if (o->cooldown_period_s >= 0 && o->min_replicas > 0 && o->idle_replicas < 0)
        complain_key(r, FINDING_ADVICE, "no-effect", &at,
                     "remove it, or lower minReplicaCount to 0; how soon replicas are taken away is "
                     "behavior.scaleDown.stabilizationWindowSeconds",
                     "cooldownPeriod counts only on the way to 0 or to idleReplicaCount, and minReplicaCount is %d",
                     o->min_replicas);
}

void admit_scaled_object(struct reading *r, const struct path *root, const struct scaled_object *o)
{
    struct path spec = path_member(root, "spec", tree_get(root->node, "spec"));
    struct path target = field_path(&spec, "scaleTargetRef");

    check_names(r, root, &spec, o);
    check_bounds(r, &spec, o);
    check_triggers(r, &spec, o->triggers, o->trigger_count);
    check_scale_to_zero(r, &spec, o);
    check_fallback(r, &spec, o);
    if (r->options->local && o->target.name)
        check_local_target(r, &target, &o->target);
    advise(r, &spec, o);
}

void admit_scaled_job(struct reading *r, const struct path *root, const struct scaled_job *job)
{
    struct path spec = path_member(root, "spec", tree_get(root->node, "spec"));
    struct path at = field_path(&spec, "minReplicaCount");
    int32_t max = job->max_replicas < 0 ? DEFAULT_MAX_REPLICAS : job->max_replicas;

    check_triggers(r, &spec, job->triggers, job->trigger_count);
    if (job->min_replicas > max)
        complain(r, FINDING_WARNING, "min-max", &at, "raise maxReplicaCount or lower minReplicaCount",
                 "minReplicaCount %d is more than maxReplicaCount %d, so %d counts", job->min_replicas, max, max);
}

/*
 * admission_object: what KEDA's webhook asks of a ScaledObject and of a ScaledJob (keda-operator/06 4.1, 4.2), and in its words. KEDA asks
 * in random order; here what a person can see in the object itself comes first, then what others have, and as in KEDA the triggers
 * as such come last.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/quantity.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/admission_internal.h"
#include "policy/policy_internal.h"

enum { LABEL_VALUE_MAX_BYTES = 63, FEW = 16 /* up to here comparing all pairs is cheaper than a table */ };

static bool hpa_mode(const struct judge *j)
{
    return j->o->mode == DECIDE_HPA;
}

/* ------------------------------------------------------------------ the object alone */

static bool check_names(struct judge *j)
{
    const struct admission *a = j->admission;
    size_t name = strlen(a->name), hpa = strlen(a->hpa_name);

    if (name > LABEL_VALUE_MAX_BYTES)
        return judge_refuse(j, "name-too-long",
                            "scaledobject name \"%s\" is %zu characters long; must be no more than %d characters "
                            "because it is used as the \"scaledobject.keda.sh/name\" label value",
                            a->name, name, LABEL_VALUE_MAX_BYTES);
    if (hpa > LABEL_VALUE_MAX_BYTES && hpa_mode(j))
        return judge_refuse(j, "hpa-name-too-long",
                            "HPA name \"%s\" derived from scaledobject is %zu characters long; must be no more than %d "
                            "characters; set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or "
                            "shorten the scaledobject name",
                            a->hpa_name, hpa, LABEL_VALUE_MAX_BYTES);
    return true;
}

/* An explicit 0 counts as 1, an absent minimum as 0 (09-quirks B 20). */
static bool check_bounds(struct judge *j)
{
    const struct admission_object *o = j->o;
    int32_t min = !o->min.set ? 0 : o->min.value > 0 ? o->min.value : 1;
    int32_t max = o->max.set ? o->max.value : DEFAULT_MAX_REPLICAS;

    if (min > max)
        return judge_refuse(j, "incorrect-replicas", "MinReplicaCount=%d must be less than MaxReplicaCount=%d", min,
                            max);
    if (o->idle.set && o->idle.value >= min)
        return judge_refuse(j, "incorrect-replicas", "IdleReplicaCount=%d must be less than MinReplicaCount=%d",
                            o->idle.value, min);
    return true;
}

static bool only_resources(const struct admission_object *o)
{
    for (size_t i = 0; i < o->trigger_count; i++) {
        if (!is_resource_type(o->triggers[i].type))
            return false;
    }
    return true;
}

static bool check_fallback(struct judge *j)
{
    const struct admission_object *o = j->o;

    if (!o->has_fallback)
        return true;
    if (o->fallback_threshold.value < 0 || o->fallback_replicas.value < 0)
        return judge_refuse(j, "incorrect-fallback",
                            "FailureThreshold=%d & Replicas=%d must both be greater than or equal to 0",
                            o->fallback_threshold.value, o->fallback_replicas.value);
    if (!o->has_modifiers && only_resources(o))
        return judge_refuse(j, "incorrect-fallback",
                            "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for "
                            "the fallback to be enabled");
    if (strcmp(o->fallback_behavior, "scalingModifiers") == 0 && !o->formula[0])
        return judge_refuse(j, "scaling-modifiers-fallback",
                            "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined");
    return true;
}

/* ------------------------------------------------------------------ the formula */

#define MODIFIERS_FORMULA "error validating formula in ScalingModifiers\n"
#define MODIFIERS_TARGET  "error validating target in ScalingModifiers\n"

static bool refuse_formula(struct judge *j, const struct formula_error *err)
{
    if (err->line > 0)
        return judge_refuse(j, "scaling-modifiers", MODIFIERS_FORMULA "%s (%d:%d)\n | %.200s", err->text, err->line,
                            err->column, j->o->formula);
    return judge_refuse(j, "scaling-modifiers", MODIFIERS_FORMULA "%s", err->text);
}

/* KEDA tries it with every trigger at -1 (keda-operator/03 7). What has no value yet is no fault of a formula with Weir's functions. */
static bool try_formula(struct judge *j, const struct formula *formula, size_t name_count)
{
    const struct admission_object *o = j->o;
    double *values = arena_array(o->arena, name_count ? name_count : 1, sizeof(*values));
    struct formula_state state = {.replicas = 1, .ready_replicas = 1, .target = 1};
    struct formula_env env = {.values = values, .state = &state};
    struct formula_result result;

    for (size_t i = 0; i < name_count; i++)
        values[i] = -1;
    state.min_replicas = o->min.set ? o->min.value : DEFAULT_MIN_REPLICAS;
    state.max_replicas = o->max.set ? o->max.value : DEFAULT_MAX_REPLICAS;
    formula_eval(formula, &env, &result);
    if (result.value.type != FORMULA_FAILED || !hpa_mode(j) ||
        (result.error.fault == FAULT_NIL_OPERAND && !o->settings->keda_parity))
        return true; /* elsewhere lint warns */
    return refuse_formula(j, &result.error);
}

static bool check_formula(struct judge *j)
{
    const struct admission_object *o = j->o;
    const char **names = arena_array(o->arena, o->trigger_count ? o->trigger_count : 1, sizeof(*names));
    struct formula_options options = {.names = names,
                                      .wrap = FORMULA_WRAP_KEDA,
                                      .extensions = !o->settings->keda_parity,
                                      .history = !o->settings->keda_parity};
    struct formula_error err;
    struct formula *formula;
    bool good;

    for (size_t i = 0; i < o->trigger_count; i++) {
        if (o->triggers[i].name[0] && !is_resource_type(o->triggers[i].type))
            names[options.name_count++] = o->triggers[i].name;
    }
    formula = formula_compile(o->formula, strlen(o->formula), &options, &err);
    if (!formula)
        return refuse_formula(j, &err);
    good = try_formula(j, formula, options.name_count);
    formula_unref(formula);
    return good;
}

static bool check_formula_target(struct judge *j)
{
    const char *target = j->o->formula_target;
    double value;

    if (!target[0] && !hpa_mode(j))
        return true; /* the formula then decides activation only (DESIGN.md 5) */
    if (!number_parse(target, strlen(target), &value))
        return judge_refuse(j, "scaling-modifiers",
                            MODIFIERS_TARGET "error converting target for scalingModifiers (string->float) to valid "
                                             "target: \"%.60s\" is no number",
                            target);
    if (value <= 0) /* as in KEDA nan passes, and lint says what it is */
        return judge_refuse(j, "scaling-modifiers",
                            MODIFIERS_TARGET "error converting target for scalingModifiers (string->float) to valid "
                                             "target: it must be more than 0, not %.60s",
                            target);
    if (strcmp(j->o->formula_metric_type, "Utilization") == 0)
        return judge_refuse(j, "scaling-modifiers",
                            MODIFIERS_TARGET "metricType is Utilization, but it needs to be AverageValue or Value");
    return true;
}

static bool check_modifiers(struct judge *j)
{
    const struct admission_object *o = j->o;

    if (!o->has_modifiers)
        return true;
    if (!o->formula[0])
        return judge_refuse(j, "scaling-modifiers", "error ScalingModifiers.Formula is mandatory");
    if (!o->formula_target[0] && hpa_mode(j))
        return judge_refuse(j, "scaling-modifiers", MODIFIERS_FORMULA "formula is given but target is empty");
    return check_formula(j) && check_formula_target(j);
}

/* ------------------------------------------------------------------ what others have */

/* "apps/v1.Deployment", with the slash that Kubernetes' core group leaves in front: "/v1.Pod". */
static const char *kind_text(struct judge *j)
{
    const struct admission_target *t = &j->admission->target;

    return arena_printf(j->o->arena, "%s%s.%s", strchr(t->api_version, '/') ? "" : "/", t->api_version, t->kind);
}

static bool knows(struct judge *j, enum admission_fact fact)
{
    return (j->facts->unknown & fact) == 0;
}

/* KEDA takes these two names for the kinds of apps, whatever the group, and asks nobody (09-quirks B 15): admitted, but said. */
static bool is_taken_as_known(const char *kind)
{
    return strcmp(kind, "Deployment") == 0 || strcmp(kind, "StatefulSet") == 0;
}

static bool check_kind(struct judge *j)
{
    const struct admission_target *t = &j->admission->target;
    const char *slash = strchr(t->api_version, '/');
    bool missing = knows(j, ADMISSION_KIND) && j->facts->kind_missing;

    if (slash && strchr(slash + 1, '/'))
        return judge_refuse(j, NULL, "unexpected GroupVersion string: %s", t->api_version);
    if (missing && !is_taken_as_known(t->kind))
        return judge_refuse(j, NULL, "no matches for kind \"%s\" in version \"%s\"", t->kind, t->api_version);
    if (missing)
        judge_warn(j, "spec.scaleTargetRef: there is no kind %s in %s", t->kind, t->api_version);
    if (j->facts->kind_note)
        judge_warn(j, "spec.scaleTargetRef: %s", j->facts->kind_note);
    return true;
}

static bool is_free(const struct judge *j, const struct admission_scaler *s)
{
    bool owned = s->owner && strcmp(s->owner, j->admission->name) == 0;

    /* KEDA reads the opt-out on the autoscaler and documents it for the ScaledObject (09-quirks B 20): both count */
    return owned || s->released || j->o->released || !admission_same_target(&s->target, &j->admission->target);
}

static bool check_scalers(struct judge *j)
{
    const struct admission *a = j->admission;

    for (size_t i = 0; knows(j, ADMISSION_SCALERS) && i < j->facts->scaler_count; i++) {
        const struct admission_scaler *s = &j->facts->scalers[i];

        if (is_free(j, s))
            continue;
        if (!j->o->transfer)
            return judge_refuse(j, "other-hpa", "the workload '%s' of type '%s' is already managed by the hpa '%s'",
                                a->target.name, kind_text(j), s->name);
        if (strcmp(j->o->configured_hpa_name, s->name) != 0)
            return judge_refuse(j, "transfer-ownership-missing-hpa-name",
                                "to take over the hpa '%s' of the workload '%s' its name has to be given in "
                                "spec.advanced.horizontalPodAutoscalerConfig.name",
                                s->name, a->target.name);
    }
    return true;
}

static bool same_hpa(const struct judge *j, const struct admission_other *other)
{
    static const char prefix[] = "keda-hpa-";
    const char *ours = j->admission->hpa_name;

    if (other->hpa_name && other->hpa_name[0])
        return strcmp(other->hpa_name, ours) == 0;
    return string_starts(ours, prefix) && strcmp(ours + strlen(prefix), other->name) == 0;
}

static bool check_others(struct judge *j)
{
    const struct admission *a = j->admission;

    for (size_t i = 0; knows(j, ADMISSION_OBJECTS) && i < j->facts->other_count; i++) {
        const struct admission_other *other = &j->facts->others[i];

        if (strcmp(other->name, a->name) == 0)
            continue;
        if (admission_same_target(&other->target, &a->target))
            return judge_refuse(j, "other-scaled-object",
                                "the workload '%s' of type '%s' is already managed by the ScaledObject '%s'",
                                a->target.name, kind_text(j), other->name);
        if (same_hpa(j, other))
            return judge_refuse(j, "other-scaled-object-hpa",
                                "the HPA '%s' is already managed by the ScaledObject '%s'", a->hpa_name, other->name);
    }
    return true;
}

/* ------------------------------------------------------------------ what cpu and memory triggers need */

/* KEDA looks into these two only, by their exact version. */
static bool is_looked_into(const struct admission_target *t)
{
    return strcmp(t->api_version, "apps/v1") == 0 &&
           (strcmp(t->kind, "Deployment") == 0 || strcmp(t->kind, "StatefulSet") == 0);
}

/* Direct mode reads usage itself: only a share of the request needs a request. */
static bool needs_request(const struct admission_object *o, const struct admission_trigger *trigger)
{
    return is_resource_type(trigger->type) &&
           (o->mode == DECIDE_HPA || strcmp(trigger->metric_type, "Utilization") == 0);
}

/* More than TRIGGERS_MAX do not work in Weir, as lint says: they are not compared with any number of containers. */
static size_t looked_at(const struct admission_object *o)
{
    return o->trigger_count < TRIGGERS_MAX ? o->trigger_count : TRIGGERS_MAX;
}

static bool any_needs_request(const struct admission_object *o)
{
    for (size_t i = 0; i < looked_at(o); i++) {
        if (needs_request(o, &o->triggers[i]))
            return true;
    }
    return false;
}

/* The first container that the trigger is about and that requests none of it, or NULL. */
static const struct admission_container *without_request(const struct admission_facts *facts,
                                                         const struct admission_trigger *trigger)
{
    bool cpu = strcmp(trigger->type, "cpu") == 0;

    for (size_t i = 0; i < facts->container_count; i++) {
        const struct admission_container *c = &facts->containers[i];

        if ((!trigger->container[0] || strcmp(trigger->container, c->name) == 0) && !(cpu ? c->cpu : c->memory))
            return c;
    }
    return NULL;
}

bool admission_needs_limits(const struct admission *a, const struct admission_facts *facts)
{
    const struct admission_object *o = a->internal;

    if (!(a->needs & ADMISSION_WORKLOAD) || (facts->unknown & ADMISSION_WORKLOAD) || facts->workload_missing)
        return false;
    for (size_t i = 0; i < looked_at(o); i++) {
        if (needs_request(o, &o->triggers[i]) && without_request(facts, &o->triggers[i]))
            return true;
    }
    return false;
}

static bool refuse_missing(struct judge *j)
{
    const struct admission_target *t = &j->admission->target;

    judge_refuse(j, "missing-requests", "%s.apps \"%s\" not found",
                 strcmp(t->kind, "Deployment") == 0 ? "deployments" : "statefulsets", t->name);
    j->answer->code = 404;
    j->answer->reason = "NotFound";
    return false;
}

static bool check_requests(struct judge *j)
{
    const struct admission_facts *facts = j->facts;

    if (!knows(j, ADMISSION_WORKLOAD) || !any_needs_request(j->o))
        return true;
    if (facts->workload_missing)
        return refuse_missing(j);
    for (size_t i = 0; i < looked_at(j->o); i++) {
        const struct admission_trigger *trigger = &j->o->triggers[i];
        const struct admission_container *c = needs_request(j->o, trigger) ? without_request(facts, trigger) : NULL;
        bool defaulted = strcmp(trigger->type, "cpu") == 0 ? facts->default_cpu : facts->default_memory;

        if (c && !defaulted && knows(j, ADMISSION_LIMITS))
            return judge_refuse(j, "missing-requests",
                                "the scaledobject has a %s trigger but the container %s doesn't have the %s request "
                                "defined",
                                trigger->type, c->name, trigger->type);
    }
    return true;
}

/* On a dry run the workload may be one that is to come with the object, so nothing is asked about it. */
static bool check_resources(struct judge *j)
{
    const struct admission_object *o = j->o;

    if (o->review->dry_run || !is_looked_into(&j->admission->target) || o->trigger_count == 0)
        return true;
    if (!check_requests(j))
        return false;
    if (only_resources(o) && (!o->min.set || o->min.value == 0))
        return judge_refuse(j, "scale-to-zero-requirements-not-met",
                            "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't "
                            "work in this case)");
    return true;
}

/* ------------------------------------------------------------------ triggers */

static const char *repeated_name(const struct admission_object *o)
{
    struct map *seen = o->trigger_count > FEW ? map_new() : NULL;
    const char *repeated = NULL;

    for (size_t i = 0; i < o->trigger_count && !repeated; i++) {
        const char *name = o->triggers[i].name;

        if (!name[0])
            continue;
        if (seen && map_put(seen, name, (void *)name))
            repeated = name;
        for (size_t k = 0; !seen && k < i && !repeated; k++)
            repeated = strcmp(o->triggers[k].name, name) == 0 ? name : NULL;
    }
    map_free(seen);
    return repeated;
}

static bool check_triggers(struct judge *j)
{
    const struct admission_object *o = j->o;
    const char *repeated;

    if (o->trigger_count == 0)
        return judge_refuse(j, "incorrect-triggers", "no triggers defined in the ScaledObject/ScaledJob");
    for (size_t i = 0; i < o->trigger_count; i++) {
        const char *type = o->triggers[i].type;

        if (o->triggers[i].cached && (is_resource_type(type) || strcmp(type, "cron") == 0))
            return judge_refuse(j, "incorrect-triggers",
                                "property \"useCachedMetrics\" is not supported for \"%s\" "
                                "scaler",
                                type);
    }
    repeated = repeated_name(o);
    if (repeated)
        return judge_refuse(j, "incorrect-triggers",
                            "triggerName \"%s\" is defined multiple times in the ScaledObject/ScaledJob, but it must "
                            "be unique",
                            repeated);
    return true;
}

/* ------------------------------------------------------------------ settings without effect */

static bool any_cached(const struct admission_object *o)
{
    for (size_t i = 0; i < o->trigger_count; i++) {
        if (o->triggers[i].cached)
            return true;
    }
    return false;
}

static void warn_settings(struct judge *j)
{
    const struct admission_object *o = j->o;

    if (o->idle.set || !o->min.set || o->min.value <= 0)
        return;
    if (o->polling_interval.set && hpa_mode(j) && !any_cached(o)) /* in direct mode it counts at every size */
        judge_warn(j,
                   "spec.pollingInterval has no effect while minReplicaCount is %d and no trigger has "
                   "useCachedMetrics",
                   o->min.value);
    if (o->cooldown.set)
        judge_warn(j, "spec.cooldownPeriod has no effect while minReplicaCount is %d: the object never goes to 0",
                   o->min.value);
}

/* ------------------------------------------------------------------ the kinds */

unsigned scaled_object_needs(const struct admission *a, const struct admission_object *o)
{
    unsigned needs = ADMISSION_SCALERS | ADMISSION_OBJECTS;

    if (!is_looked_into(&a->target))
        return needs | ADMISSION_KIND;
    if (!o->review->dry_run && any_needs_request(o))
        needs |= ADMISSION_WORKLOAD;
    return needs;
}

bool judge_scaled_object(struct judge *j)
{
    static bool (*const rules[])(struct judge *) = {check_names,     check_bounds,    check_fallback,
                                                    check_modifiers, check_kind,      check_scalers,
                                                    check_others,    check_resources, check_triggers};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i](j))
            return false;
    }
    warn_settings(j);
    return true;
}

bool judge_scaled_job(struct judge *j)
{
    return check_triggers(j);
}

/* ------------------------------------------------------------------ facts from trees */

/* AsApproximateFloat64() > 0 in KEDA; what cannot be read is not there. */
static bool is_positive(const struct tree *resources, const char *part, const char *resource)
{
    const struct tree *value = tree_get(tree_get(resources, part), resource);
    double number;

    return value && value->text && quantity_parse_double(value->text, &number) && number > 0;
}

void admission_read_workload(const struct tree *workload, struct arena *arena, struct admission_facts *facts)
{
    const struct tree *list = tree_at(workload, "spec.template.spec.containers");
    struct admission_container *out;

    if (!list || list->type != TREE_LIST)
        return;
    out = arena_array(arena, list->count ? list->count : 1, sizeof(*out));
    facts->containers = out;
    for (const struct tree *c = list->first; c; c = c->next, out++) {
        const struct tree *resources = tree_get(c, "resources");

        out->name = arena_copy(arena, admission_text(c, "name"));
        out->cpu = is_positive(resources, "requests", "cpu") || is_positive(resources, "limits", "cpu");
        out->memory = is_positive(resources, "requests", "memory") || is_positive(resources, "limits", "memory");
        facts->container_count++;
    }
}

void admission_read_limits(const struct tree *limit_range, struct admission_facts *facts)
{
    const struct tree *limits = tree_at(limit_range, "spec.limits");

    for (const struct tree *l = limits && limits->type == TREE_LIST ? limits->first : NULL; l; l = l->next) {
        if (strcmp(admission_text(l, "type"), "Container") != 0)
            continue;
        facts->default_cpu |= is_positive(l, "default", "cpu") || is_positive(l, "defaultRequest", "cpu");
        facts->default_memory |= is_positive(l, "default", "memory") || is_positive(l, "defaultRequest", "memory");
    }
}

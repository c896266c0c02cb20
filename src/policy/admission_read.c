/*
 * admission_read: a tree -> the values that KEDA's rules are about. Absent and null are the same, as in Go; a value of another type than
 * KEDA's structs have cannot be read there, and is refused with the name of the field (a schema would have refused it before).
 */
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/admission_internal.h"

struct reader {
    struct admission_object *o;
    const char *where; /* "spec.advanced.scalingModifiers" */
};

const char *admission_text(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text ? text : "";
}

/* ------------------------------------------------------------------ values */

static void refuse(struct reader *r, const char *key, const struct tree *node, const char *wanted)
{
    if (!r->o->unreadable) /* the first says enough */
        r->o->unreadable = arena_printf(r->o->arena, "%s%s%.100s must be %s, not %s", r->where,
                                        r->where[0] && key[0] ? "." : "", key, wanted, tree_type_name(node->type));
}

/* The member, or NULL where it is absent, null, or of another type. */
static const struct tree *take(struct reader *r, const struct tree *map, const char *key, enum tree_type type,
                               const char *wanted)
{
    const struct tree *node = tree_get(map, key);

    if (!node || node->type == TREE_NULL)
        return NULL;
    if (node->type == type)
        return node;
    refuse(r, key, node, wanted);
    return NULL;
}

static const char *take_text(struct reader *r, const struct tree *map, const char *key)
{
    const struct tree *node = take(r, map, key, TREE_STRING, "a string");

    return node ? node->text : "";
}

static bool take_bool(struct reader *r, const struct tree *map, const char *key)
{
    const struct tree *node = take(r, map, key, TREE_BOOL, "true or false");

    return node && node->boolean;
}

static struct admission_number take_number(struct reader *r, const struct tree *map, const char *key)
{
    const struct tree *node = take(r, map, key, TREE_NUMBER, "a whole number");
    int64_t value;

    if (!node)
        return (struct admission_number){0};
    if (tree_integer(node, &value) && value >= INT32_MIN && value <= INT32_MAX)
        return (struct admission_number){.set = true, .value = (int32_t)value};
    refuse(r, key, node, "a whole number of 32 bits");
    return (struct admission_number){0};
}

static const struct tree *take_map(struct reader *r, const struct tree *map, const char *key)
{
    return take(r, map, key, TREE_MAP, "a mapping");
}

static const struct tree *take_list(struct reader *r, const struct tree *map, const char *key)
{
    return take(r, map, key, TREE_LIST, "a list");
}

/* ------------------------------------------------------------------ parts */

static void read_mode(struct admission_object *o, const struct tree *annotations)
{
    static const struct {
        const char *word;
        enum decide_mode mode;
    } modes[] = {{"direct", DECIDE_DIRECT}, {"hpa", DECIDE_HPA}, {"observe", DECIDE_OBSERVE}};
    const char *said = admission_text(annotations, "weir.dev/mode");

    o->mode = o->settings->mode;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].word, said) == 0)
            o->mode = modes[i].mode;
    }
}

static void read_metadata(struct reader *r, struct admission *a)
{
    const struct admission_review *review = r->o->review;
    const struct tree *metadata = take_map(r, review->object, "metadata");
    const struct tree *annotations;

    r->where = "metadata";
    a->name = take_text(r, metadata, "name");
    a->ns = take_text(r, metadata, "namespace");
    if (review->ns && review->ns[0])
        a->ns = review->ns;
    annotations = take_map(r, metadata, "annotations");
    read_mode(r->o, annotations);
    r->o->transfer = strcmp(admission_text(annotations, "scaledobject.keda.sh/transfer-hpa-ownership"), "true") == 0;
    r->o->released = strcmp(admission_text(annotations, "validations.keda.sh/hpa-ownership"), "false") == 0;
}

static void read_trigger(struct reader *r, const struct tree *node, struct admission_trigger *out)
{
    const struct tree *metadata;

    r->where = "spec.triggers[]";
    *out = (struct admission_trigger){.type = "", .name = "", .metric_type = "", .container = ""};
    if (node->type != TREE_MAP) {
        if (node->type != TREE_NULL)
            refuse(r, "", node, "a mapping");
        return;
    }
    out->type = take_text(r, node, "type");
    out->name = take_text(r, node, "name");
    out->metric_type = take_text(r, node, "metricType");
    out->cached = take_bool(r, node, "useCachedMetrics");
    metadata = take_map(r, node, "metadata");
    r->where = "spec.triggers[].metadata";
    for (const struct tree *value = metadata ? metadata->first : NULL; value; value = value->next) {
        if (value->type != TREE_STRING && value->type != TREE_NULL)
            refuse(r, value->key, value, "a string (in quotes)");
    }
    out->container = admission_text(metadata, "containerName");
}

static void read_triggers(struct reader *r, const struct tree *spec)
{
    const struct tree *list = take_list(r, spec, "triggers");
    struct admission_object *o = r->o;

    o->triggers = arena_array(o->arena, tree_count(list) ? tree_count(list) : 1, sizeof(*o->triggers));
    for (const struct tree *node = list ? list->first : NULL; node; node = node->next)
        read_trigger(r, node, &o->triggers[o->trigger_count++]);
}

static void read_target(struct reader *r, const struct tree *spec, struct admission_target *target)
{
    const struct tree *ref = take_map(r, spec, "scaleTargetRef");

    r->where = "spec.scaleTargetRef";
    target->name = take_text(r, ref, "name");
    target->api_version = take_text(r, ref, "apiVersion");
    target->kind = take_text(r, ref, "kind");
    if (!target->api_version[0])
        target->api_version = "apps/v1";
    if (!target->kind[0])
        target->kind = "Deployment";
}

static void read_advanced(struct reader *r, const struct tree *spec)
{
    const struct tree *advanced = take_map(r, spec, "advanced"), *modifiers, *hpa;
    struct admission_object *o = r->o;

    r->where = "spec.advanced";
    modifiers = take_map(r, advanced, "scalingModifiers");
    hpa = take_map(r, advanced, "horizontalPodAutoscalerConfig");
    r->where = "spec.advanced.horizontalPodAutoscalerConfig";
    o->configured_hpa_name = take_text(r, hpa, "name");
    r->where = "spec.advanced.scalingModifiers";
    o->formula = take_text(r, modifiers, "formula");
    o->formula_target = take_text(r, modifiers, "target");
    o->formula_metric_type = take_text(r, modifiers, "metricType");
    o->has_modifiers = o->formula[0] || o->formula_target[0] || o->formula_metric_type[0] ||
                       take_text(r, modifiers, "activationTarget")[0];
}

static void read_fallback(struct reader *r, const struct tree *spec)
{
    const struct tree *fallback = take_map(r, spec, "fallback");
    struct admission_object *o = r->o;

    r->where = "spec.fallback";
    o->has_fallback = fallback != NULL;
    o->fallback_threshold = take_number(r, fallback, "failureThreshold");
    o->fallback_replicas = take_number(r, fallback, "replicas");
    o->fallback_behavior = take_text(r, fallback, "behavior");
}

static void read_scaled_object(struct reader *r, struct admission *a, const struct tree *spec)
{
    struct admission_object *o = r->o;

    o->polling_interval = take_number(r, spec, "pollingInterval");
    o->cooldown = take_number(r, spec, "cooldownPeriod");
    o->idle = take_number(r, spec, "idleReplicaCount");
    o->min = take_number(r, spec, "minReplicaCount");
    o->max = take_number(r, spec, "maxReplicaCount");
    read_target(r, spec, &a->target);
    r->where = "spec";
    read_advanced(r, spec);
    r->where = "spec";
    read_fallback(r, spec);
    a->hpa_name = o->configured_hpa_name[0] ? o->configured_hpa_name : arena_printf(o->arena, "keda-hpa-%s", a->name);
}

/* ------------------------------------------------------------------ updates without a question */

static size_t count_finalizers(const struct tree *object)
{
    const struct tree *list = tree_get(tree_get(object, "metadata"), "finalizers");

    return list && list->type == TREE_LIST ? list->count : 0;
}

/* A controller takes its finalizer away: an object that was admitted under older rules must not be stuck for that. */
static bool only_finalizer_goes(const struct admission_review *review)
{
    size_t now = count_finalizers(review->object), before = count_finalizers(review->old_object);
    bool goes = review->kind == ADMIT_SCALED_OBJECT ? now < before : now == 0 && before == 1;

    return review->update && review->old_object && goes &&
           manifest_hash(tree_get(review->object, "spec")) == manifest_hash(tree_get(review->old_object, "spec"));
}

void admission_read(struct admission *a, struct admission_object *o)
{
    struct reader r = {.o = o, .where = ""};
    const struct tree *spec;

    o->configured_hpa_name = o->formula = o->formula_target = o->formula_metric_type = o->fallback_behavior = "";
    a->target = (struct admission_target){"", "", ""};
    a->hpa_name = a->name = a->ns = "";
    if (!o->review->object || o->review->object->type != TREE_MAP) {
        o->unreadable = "the review has no object";
        return;
    }
    read_metadata(&r, a);
    o->settled = only_finalizer_goes(o->review);
    r.where = "";
    spec = take_map(&r, o->review->object, "spec");
    r.where = "spec";
    if (o->review->kind == ADMIT_SCALED_OBJECT)
        read_scaled_object(&r, a, spec);
    r.where = "spec";
    if (o->review->kind == ADMIT_SCALED_OBJECT || o->review->kind == ADMIT_SCALED_JOB)
        read_triggers(&r, spec);
}

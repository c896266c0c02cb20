/*
 * set: what can only be said of several objects, and lint as a whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/quantity.h"
#include "base/text.h"
#include "base/tree.h"
#include "policy/policy_internal.h"

/* ------------------------------------------------------------------ walking the set */

/* Everything named in all files: "kind/group/ns/name" -> what it is. */
struct index {
    struct map *owners;  /* of targets: the ScaledObject */
    struct map *objects; /* ScaledObjects and ScaledJobs by name */
    struct map *scalers; /* names of autoscalers in hpa mode */
    struct map *rivals;  /* HorizontalPodAutoscalers by target */
    struct map *workloads, *auths;
    const struct manifest *const *manifests;
    size_t manifest_count;
    bool strict; /* KEDA's refusals apply */
    struct arena *arena;
    struct report *report;
};

static const char *group_of(const char *api_version)
{
    return strchr(api_version, '/') ? api_version : "";
}

static const char *key_of(struct index *x, const char *kind, const char *group, const char *ns, const char *name)
{
    return arena_printf(x->arena, "%s %.*s %s/%s", kind, (int)strcspn(group, "/"), group, ns, name);
}

static const char *title_of(struct index *x, const struct object_meta *meta)
{
    return arena_printf(x->arena, "%s %s%s%s", meta->kind, meta->ns, meta->ns[0] ? "/" : "", meta->name);
}

static void find(struct index *x, enum finding_severity severity, const char *code, const struct object_meta *meta,
                 const struct place *place, const char *field, const char *remedy, const char *text)
{
    struct finding about = {.severity = severity, .code = code, .place = *place, .object = title_of(x, meta)};

    report_add(x->report, &about, arena_printf(x->arena, "%s%s", meta->path_prefix, field), remedy, "%s", text);
}

static const char *where(struct index *x, const struct object_meta *meta)
{
    return arena_printf(x->arena, "%s:%d", meta->place.file ? meta->place.file : "", meta->place.line);
}

/* ------------------------------------------------------------------ the rules */

static void check_twice(struct index *x, const struct object_meta *meta)
{
    const struct object_meta *old;

    if (!meta->name[0])
        return;
    old = map_put(x->objects, key_of(x, meta->kind, "", meta->ns, meta->name), (void *)meta);
    if (old)
        find(x, FINDING_WARNING, "duplicate-object", meta, &meta->place, "metadata.name",
             "keep one of them, or give it another name",
             arena_printf(x->arena, "%s is also in %s: the one read last counts", title_of(x, meta), where(x, old)));
}

static void check_owner(struct index *x, const struct scaled_object *o)
{
    const char *api_version = o->target.api_version ? o->target.api_version : "";
    const struct scaled_object *old;
    const char *key;

    if (!o->target.name || !o->target.kind)
        return;
    key = key_of(x, o->target.kind, group_of(api_version), o->meta.ns, o->target.name);
    old = map_get(x->owners, key);
    if (!old) {
        map_put(x->owners, key, (void *)o);
    } else if (strcmp(old->meta.name, o->meta.name) != 0) {
        find(x, FINDING_ERROR, "two-owners", &o->meta, &o->target.place, "spec.scaleTargetRef.name",
             "put the triggers of both into one object: the largest answer counts",
             arena_printf(x->arena,
                          "%s %s is already scaled by ScaledObject %s (%s): two owners would undo each other's work",
                          o->target.kind, o->target.name, old->meta.name, where(x, &old->meta)));
    }
}

/* ------------------------------------------------------------------ other autoscalers */

static const char *text_or(const struct tree *map, const char *path, const char *otherwise)
{
    const char *text = tree_string(tree_at(map, path));

    return text ? text : otherwise;
}

struct rival { /* a HorizontalPodAutoscaler that somebody wrote */
    const char *name, *where;
};

static bool is_released(const struct tree *annotations)
{
    return string_equal(tree_string(tree_get(annotations, "validations.keda.sh/hpa-ownership")), "false");
}

/* One that a ScaledObject owns came out of a cluster, and is KEDA's. */
static bool is_owned(const struct tree *object)
{
    const struct tree *owners = tree_at(object, "metadata.ownerReferences");

    for (const struct tree *o = owners && owners->type == TREE_LIST ? owners->first : NULL; o; o = o->next) {
        if (string_equal(tree_string(tree_get(o, "kind")), "ScaledObject"))
            return true;
    }
    return false;
}

static void index_rival(struct index *x, const char *file, const struct tree *object)
{
    const struct tree *target = tree_at(object, "spec.scaleTargetRef");
    const char *kind = tree_string(tree_get(target, "kind")), *name = tree_string(tree_get(target, "name"));
    struct rival *rival;

    if (!string_equal(tree_string(tree_get(object, "kind")), "HorizontalPodAutoscaler") || !kind || !name ||
        is_owned(object) || is_released(tree_at(object, "metadata.annotations")))
        return;
    rival = arena_alloc(x->arena, sizeof(*rival));
    rival->name = text_or(object, "metadata.name", "");
    rival->where = arena_printf(x->arena, "%s:%d", file ? file : "", object->line);
    map_put(x->rivals,
            key_of(x, kind, group_of(text_or(target, "apiVersion", "apps/v1")),
                   text_or(object, "metadata.namespace", "default"), name),
            rival);
}

/* Every object of the files, those in Lists included. */
static void index_rivals(struct index *x)
{
    for (size_t i = 0; i < x->manifest_count; i++) {
        const struct tree *documents = x->manifests[i]->documents;

        for (const struct tree *d = documents ? documents->first : NULL; d; d = d->next) {
            const struct tree *items = tree_get(d, "items");

            index_rival(x, x->manifests[i]->file, d);
            for (const struct tree *item = items && items->type == TREE_LIST ? items->first : NULL; item;
                 item = item->next)
                index_rival(x, x->manifests[i]->file, item);
        }
    }
}

static const char *scaler_name(struct index *x, const struct scaled_object *o)
{
    return o->hpa_name && o->hpa_name[0] ? o->hpa_name : arena_printf(x->arena, "keda-hpa-%s", o->meta.name);
}

/* KEDA refuses it as well, unless the object takes the autoscaler over by its name (keda-operator/06 4.1). */
static void check_rival(struct index *x, const struct scaled_object *o)
{
    const struct rival *rival;

    if (!o->target.name || !o->target.kind)
        return;
    rival = map_get(x->rivals, key_of(x, o->target.kind, group_of(o->target.api_version ? o->target.api_version : ""),
                                      o->meta.ns, o->target.name));
    if (!rival || strcmp(scaler_name(x, o), rival->name) == 0)
        return; /* KEDA's own, or one that is taken over */
    find(
        x, FINDING_ERROR, "two-owners", &o->meta, &o->target.place, "spec.scaleTargetRef.name",
        "remove the HorizontalPodAutoscaler, and let cpu and memory triggers do its part",
        arena_printf(x->arena,
                     "%s %s is also scaled by HorizontalPodAutoscaler %s (%s): two owners would undo each other's work",
                     o->target.kind, o->target.name, rival->name, rival->where));
}

static void check_scaler_name(struct index *x, const struct scaled_object *o)
{
    const char *name = scaler_name(x, o);
    const char *key = key_of(x, "HorizontalPodAutoscaler", "", o->meta.ns, name);
    const struct scaled_object *old = map_get(x->scalers, key);

    if (!old)
        map_put(x->scalers, key, (void *)o);
    else if (strcmp(old->meta.name, o->meta.name) != 0)
        find(x, FINDING_ERROR, "two-owners", &o->meta, &o->meta.place,
             "spec.advanced.horizontalPodAutoscalerConfig.name", "choose another name",
             arena_printf(x->arena, "the autoscaler %s is already that of ScaledObject %s", name, old->meta.name));
}

static void check_auth(struct index *x, const struct object_meta *meta, const struct trigger_spec *spec)
{
    bool cluster, known;
    const char *ns;

    if (!spec->auth_name)
        return;
    cluster = strcmp(spec->auth_kind, "ClusterTriggerAuthentication") == 0;
    ns = cluster ? "" : meta->ns;
    if (map_get(x->auths, key_of(x, spec->auth_kind, "", ns, spec->auth_name)))
        return;
    known = map_count(x->auths) > 0;
    find(x, known ? FINDING_WARNING : FINDING_ADVICE, "missing-authentication", meta, &spec->place,
         arena_printf(x->arena, "spec.triggers[%d].authenticationRef.name", spec->index),
         known ? "check name, kind and namespace" : "lint it together with this file to have it checked",
         arena_printf(x->arena, "%s %s%s%s is not in the files given", spec->auth_kind, ns, ns[0] ? "/" : "",
                      spec->auth_name));
}

/* A request, or the limit that stands in for it, above 0. */
static bool container_requests(const struct tree *container, const char *resource)
{
    const struct tree *resources = tree_get(container, "resources");
    const struct tree *parts[] = {tree_get(tree_get(resources, "requests"), resource),
                                  tree_get(tree_get(resources, "limits"), resource)};

    for (size_t i = 0; i < 2; i++) {
        int64_t milli;

        if (parts[i] && parts[i]->text && quantity_parse_milli(parts[i]->text, &milli) && milli > 0)
            return true;
    }
    return false;
}

/* The first container of the target (or the one the trigger names) that requests nothing of the resource, or NULL. */
static const char *container_without(const struct workload *w, const struct trigger_spec *spec)
{
    const struct tree *containers = tree_at(w->template.tree, "spec.containers");
    const char *only = tree_string(tree_get(spec->metadata, "containerName"));

    for (const struct tree *c = containers && containers->type == TREE_LIST ? containers->first : NULL; c;
         c = c->next) {
        const char *name = tree_string(tree_get(c, "name"));

        if ((!only || string_equal(only, name)) && !container_requests(c, spec->type))
            return name ? name : "";
    }
    return NULL;
}

/* A LimitRange with a default for containers gives requests to those that have none. */
static bool is_defaulted(const struct index *x, const char *ns, const char *resource)
{
    for (size_t i = 0; i < x->manifest_count; i++) {
        const struct tree *documents = x->manifests[i]->documents;

        for (const struct tree *d = documents ? documents->first : NULL; d; d = d->next) {
            const struct tree *limits = tree_at(d, "spec.limits");
            const char *its = tree_string(tree_at(d, "metadata.namespace"));

            if (!string_equal(tree_string(tree_get(d, "kind")), "LimitRange") || (its && strcmp(its, ns) != 0))
                continue;
            for (const struct tree *l = limits && limits->type == TREE_LIST ? limits->first : NULL; l; l = l->next) {
                if (string_equal(tree_string(tree_get(l, "type")), "Container") &&
                    (tree_get(tree_get(l, "default"), resource) || tree_get(tree_get(l, "defaultRequest"), resource)))
                    return true;
            }
        }
    }
    return false;
}

/* KEDA refuses both kinds of target; what only a share of the request needs is all we warn of (keda-operator/06 4.1). */
static void check_requests(struct index *x, const struct scaled_object *o, const struct workload *w,
                           const struct trigger_spec *spec)
{
    bool utilization = string_equal(spec->metric_type, "Utilization");
    const char *container;

    if (!is_resource_type(spec->type) || (!utilization && !x->strict))
        return;
    container = container_without(w, spec);
    if (container && !is_defaulted(x, o->meta.ns, spec->type))
        find(x, x->strict ? FINDING_ERROR : FINDING_WARNING, "missing-requests", &o->meta, &spec->place,
             arena_printf(x->arena, "spec.triggers[%d]", spec->index),
             arena_printf(x->arena, "add resources.requests.%s to the container", spec->type),
             arena_printf(x->arena, "there is a %s trigger, but the container %s of %s %s requests no %s", spec->type,
                          container, o->target.kind, o->target.name, spec->type));
}

static void check_workload(struct index *x, const struct scaled_object *o)
{
    const struct workload *w;

    if (!o->target.name || !o->target.kind || map_count(x->workloads) == 0)
        return;
    w = map_get(x->workloads, key_of(x, o->target.kind, group_of(o->target.api_version), o->meta.ns, o->target.name));
    if (!w) {
        find(x, FINDING_ADVICE, "missing-target", &o->meta, &o->target.place, "spec.scaleTargetRef.name",
             "check name, kind and namespace",
             arena_printf(x->arena, "%s %s/%s is not in the files given, although other workloads are", o->target.kind,
                          o->meta.ns, o->target.name));
        return;
    }
    for (size_t i = 0; i < o->trigger_count; i++)
        check_requests(x, o, w, &o->triggers[i]);
}

/* ------------------------------------------------------------------ all of them */

static void index_manifest(struct index *x, const struct manifest *m)
{
    for (size_t i = 0; i < m->workload_count; i++) {
        const struct workload *w = &m->workloads[i];

        map_put(x->workloads, key_of(x, w->meta.kind, "apps/v1", w->meta.ns, w->meta.name), (void *)w);
    }
    for (size_t i = 0; i < m->trigger_auth_count; i++) {
        const struct trigger_auth *a = &m->trigger_auths[i];

        map_put(x->auths, key_of(x, a->meta.kind, "", a->meta.ns, a->meta.name), (void *)a);
    }
}

static void check_manifest(struct index *x, const struct manifest *m)
{
    for (size_t i = 0; i < m->scaled_object_count; i++) {
        const struct scaled_object *o = &m->scaled_objects[i];

        check_twice(x, &o->meta);
        check_owner(x, o);
        check_rival(x, o);
        check_scaler_name(x, o);
        check_workload(x, o);
        for (size_t t = 0; t < o->trigger_count; t++)
            check_auth(x, &o->meta, &o->triggers[t]);
    }
    for (size_t i = 0; i < m->scaled_job_count; i++) {
        const struct scaled_job *job = &m->scaled_jobs[i];

        check_twice(x, &job->meta);
        for (size_t t = 0; t < job->trigger_count; t++)
            check_auth(x, &job->meta, &job->triggers[t]);
    }
}

void policy_check_set(const struct manifest *const *manifests, size_t count, const struct policy_context *context,
                      struct report *report)
{
    struct index x = {.owners = map_new(),
                      .objects = map_new(),
                      .scalers = map_new(),
                      .rivals = map_new(),
                      .workloads = map_new(),
                      .auths = map_new(),
                      .manifests = manifests,
                      .manifest_count = count,
                      .strict = context->settings->keda_parity || context->settings->mode == DECIDE_HPA,
                      .arena = arena_new(ARENA_USUAL),
                      .report = report};

    for (size_t i = 0; i < count; i++)
        index_manifest(&x, manifests[i]);
    index_rivals(&x);
    for (size_t i = 0; i < count; i++) {
        check_manifest(&x, manifests[i]);
        check_empty(manifests[i], x.arena, report);
    }
    map_free(x.owners);
    map_free(x.objects);
    map_free(x.scalers);
    map_free(x.rivals);
    map_free(x.workloads);
    map_free(x.auths);
    arena_free(x.arena);
}

const struct trigger_auth *set_find_auth(void *arg, const char *ns, const char *kind, const char *name)
{
    const struct manifest_set *set = arg;
    bool cluster = strcmp(kind, "ClusterTriggerAuthentication") == 0;

    for (size_t i = 0; i < set->count; i++) {
        for (size_t j = 0; j < set->manifests[i]->trigger_auth_count; j++) {
            const struct trigger_auth *auth = &set->manifests[i]->trigger_auths[j];

            if (strcmp(auth->meta.kind, kind) == 0 && strcmp(auth->meta.name, name) == 0 &&
                (cluster || strcmp(auth->meta.ns, ns) == 0))
                return auth;
        }
    }
    return NULL;
}

const struct workload *set_find_workload(void *arg, const struct target_key *target)
{
    const struct manifest_set *set = arg;

    for (size_t i = 0; i < set->count; i++) {
        for (size_t j = 0; j < set->manifests[i]->workload_count; j++) {
            const struct workload *w = &set->manifests[i]->workloads[j];

            if (strcmp(w->meta.name, target->name) == 0 && strcmp(w->meta.kind, target->kind) == 0 &&
                strcmp(w->meta.ns, target->ns) == 0)
                return w;
        }
    }
    return NULL;
}

void policy_lint(const struct manifest *const *manifests, size_t count, const struct policy_context *context,
                 struct report *report)
{
    struct manifest_set set = {.manifests = manifests, .count = count};
    struct policy_context with_set = *context;

    if (!with_set.find_auth) {
        with_set.find_auth = set_find_auth;
        with_set.find_auth_arg = &set;
    }
    if (!with_set.find_workload) {
        with_set.find_workload = set_find_workload;
        with_set.find_workload_arg = &set;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < manifests[i]->scaled_object_count; j++)
            policy_unref(build_object(&manifests[i]->scaled_objects[j], &with_set, report));
        for (size_t j = 0; j < manifests[i]->scaled_job_count; j++)
            policy_unref(build_job(&manifests[i]->scaled_jobs[j], &with_set, report));
    }
    policy_check_set(manifests, count, &with_set, report);
}

/*
 * hpa: the HorizontalPodAutoscaler of an object in hpa mode, as KEDA makes it (keda-operator/02 5), and the one that has to go when
 * Weir itself decides.
 *
 *     hpa mode     put when there is a target and the object says something new, or somebody changed it; deleted while paused; another name: the old goes
 *     direct mode  one that was there before (KEDA's, or ours of hpa mode) is deleted before anything is scaled: two would write
 *                  the same count. Only if this object owns it
 *     observe      nothing is touched
 *
 * What it must look like depends on parts of the manifest that nobody keeps (labels, behavior), so it is made where the object
 * is applied; when it has to be put again, the object is read again.
 */
#include "autoscaler/autoscaler_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tree.h"
#include "decide/hpa.h"
#include "manifest/manifest.h"

enum {
    HPA_MAX_BYTES = 1024 * 1024, /* etcd takes no more than 1.5 MiB */
    HPA_RETRY_MS = 30 * 1000,
    LABEL_VALUE_MAX_BYTES = 63, /* Kubernetes' */
};

#define NAME_LABEL      "scaledobject.keda.sh/name"
#define EXCLUDED_LABELS "scaledobject.keda.sh/hpa-excluded-labels"

/* ------------------------------------------------------------------ JSON */

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

/* ------------------------------------------------------------------ metadata */

/* An entry of a list with commas, whose blanks count (keda-operator/01 1.5). */
static bool is_listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, word, length) == 0 && (at[length] == 0 || at[length] == ','))
            return true;
    return false;
}

/* A label's value: cut, and then without what may not stand at the end. */
static void label_value(const char *text, char out[LABEL_VALUE_MAX_BYTES + 1])
{
    size_t length;

    snprintf(out, LABEL_VALUE_MAX_BYTES + 1, "%s", text);
    for (length = strlen(out); length > 0; length--) {
        char c = out[length - 1];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            break;
    }
    out[length] = 0;
}

static void add_labels(struct text *out, const struct scaled_object *so, const char *hpa_name)
{
    const char *excluded = tree_string(tree_get(so->meta.annotations, EXCLUDED_LABELS));
    const char *own[][2] = {{"app.kubernetes.io/name", NULL},
                            {"app.kubernetes.io/version", WEIR_VERSION},
                            {"app.kubernetes.io/part-of", so->meta.name},
                            {"app.kubernetes.io/managed-by", "keda-operator"},
                            {NAME_LABEL, so->meta.name}};
    char value[LABEL_VALUE_MAX_BYTES + 1];

    add_key(out, "labels");
    text_add(out, "{");
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (tree_get(so->meta.labels, own[i][0]) && !(excluded && is_listed(excluded, own[i][0])))
            continue; /* the object's own counts */
        label_value(own[i][1] ? own[i][1] : hpa_name, value);
        add_string(out, own[i][0], value);
    }
    for (const struct tree *l = so->meta.labels ? so->meta.labels->first : NULL; l; l = l->next)
        if (!(excluded && is_listed(excluded, l->key)) && tree_string(l))
            add_string(out, l->key, tree_string(l));
    text_add(out, "}");
}

static void add_metadata(struct text *out, const struct object *object, const struct scaled_object *so,
                         const char *hpa_name)
{
    add_key(out, "metadata");
    text_add(out, "{");
    add_string(out, "name", hpa_name);
    add_string(out, "namespace", so->meta.ns);
    add_labels(out, so, hpa_name);
    if (tree_count(so->meta.annotations) > 0) {
        add_key(out, "annotations");
        tree_write_json(so->meta.annotations, out);
    }
    add_key(out, "ownerReferences");
    text_add(out, "[{");
    add_string(out, "apiVersion", "keda.sh/v1alpha1");
    add_string(out, "kind", "ScaledObject");
    add_string(out, "name", so->meta.name);
    add_string(out, "uid", object->standing->uid);
    text_add(out, ",\"controller\":true,\"blockOwnerDeletion\":true}]}");
}

/* ------------------------------------------------------------------ spec */

/* Targets keep three decimals; smaller ones are multiplied together with their values (keda_metric_scale). */
static void add_quantity(struct text *out, const char *key, double value)
{
    double milli = ceil(value * 1000 - 1e-6);

    add_key(out, key);
    if (fmod(milli, 1000) == 0)
        text_printf(out, "\"%.0f\"", milli / 1000);
    else
        text_printf(out, "\"%.0fm\"", milli);
}

static void add_target(struct text *out, enum target_type type, double target)
{
    static const char *const types[] = {"AverageValue", "Value", "Utilization"};

    add_key(out, "target");
    text_add(out, "{");
    add_string(out, "type", types[type]);
    if (type == TARGET_UTILIZATION) {
        add_key(out, "averageUtilization");
        text_printf(out, "%.0f", target);
    } else {
        add_quantity(out, type == TARGET_VALUE ? "value" : "averageValue", target);
    }
    text_add(out, "}");
}

static void begin_metric(struct text *out, const char *type, const char *member)
{
    text_add(out, out->bytes[out->length - 1] == '[' ? "{" : ",{");
    add_string(out, "type", type);
    add_key(out, member);
    text_add(out, "{");
}

static void add_external(struct text *out, const char *so, const char *metric, enum target_type type, double target)
{
    begin_metric(out, "External", "external");
    add_key(out, "metric");
    text_add(out, "{");
    add_string(out, "name", metric);
    text_add(out, ",\"selector\":{\"matchLabels\":{");
    add_string(out, NAME_LABEL, so);
    text_add(out, "}}}");
    add_target(out, type, target * keda_metric_scale(target));
    text_add(out, "}}");
}

static void add_resource(struct text *out, const struct decide_trigger *trigger)
{
    const char *name = trigger->kind == METRIC_CPU ? "cpu" : "memory";

    if (trigger->container)
        begin_metric(out, "ContainerResource", "containerResource");
    else
        begin_metric(out, "Resource", "resource");
    add_string(out, "name", name);
    if (trigger->container)
        add_string(out, "container", trigger->container);
    add_target(out, trigger->target_type, trigger->target);
    text_add(out, "}}");
}

/* Of the manifest, or what the source itself says; 0: it has not said yet, and the HPA goes without that metric until then. */
static double external_target(const struct policy *policy, uint16_t i)
{
    const struct trigger *trigger = policy->triggers[i].trigger;
    double told = trigger ? trigger_told_target(trigger) : 0;

    return told > 0 ? told : policy->rules.triggers[i].target;
}

/* Another one says that the HPA is of other targets. */
static uint64_t told_targets(const struct policy *policy)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < policy->trigger_count; i++) {
        double told = policy->triggers[i].trigger ? trigger_told_target(policy->triggers[i].trigger) : 0;

        hash = hash_bytes(hash, &told, sizeof(told));
    }
    return hash;
}

/* By type, in the order of the triggers: ContainerResource, External, Resource. false: there is nothing to scale by. */
static bool add_metrics(struct text *out, const struct policy *policy)
{
    const struct decide_rules *rules = &policy->rules;
    size_t before;

    add_key(out, "metrics");
    text_add(out, "[");
    before = out->length;
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        if (!policy->triggers[i].error && rules->triggers[i].kind != METRIC_EXTERNAL && rules->triggers[i].container)
            add_resource(out, &rules->triggers[i]);
    for (uint16_t i = 0; !rules->formula && i < rules->trigger_count; i++)
        if (!policy->triggers[i].error && rules->triggers[i].kind == METRIC_EXTERNAL && external_target(policy, i) > 0)
            add_external(out, policy->name, policy->triggers[i].metric_name, rules->triggers[i].target_type,
                         external_target(policy, i));
    if (rules->formula)
        add_external(out, policy->name, "composite-metric", rules->formula_type, rules->formula_target);
    for (uint16_t i = 0; i < rules->trigger_count; i++)
        if (!policy->triggers[i].error && rules->triggers[i].kind != METRIC_EXTERNAL && !rules->triggers[i].container)
            add_resource(out, &rules->triggers[i]);
    text_add(out, "]");
    return out->length > before + 1;
}

static void add_direction(struct text *out, const char *key, const struct tree *written, bool disabled)
{
    if (!written && !disabled)
        return;
    add_key(out, key);
    if (!disabled) {
        tree_write_json(written, out);
        return;
    }
    text_add(out, "{");
    for (const struct tree *m = written && written->type == TREE_MAP ? written->first : NULL; m; m = m->next) {
        if (strcmp(m->key, "selectPolicy") == 0)
            continue;
        add_key(out, m->key);
        tree_write_json(m, out);
    }
    add_string(out, "selectPolicy", "Disabled");
    text_add(out, "}");
}

static void add_behavior(struct text *out, const struct decide_rules *rules, const struct tree *behavior)
{
    if (!behavior && !rules->paused_scale_in && !rules->paused_scale_out)
        return;
    add_key(out, "behavior");
    text_add(out, "{");
    add_direction(out, "scaleUp", tree_get(behavior, "scaleUp"), rules->paused_scale_out);
    add_direction(out, "scaleDown", tree_get(behavior, "scaleDown"), rules->paused_scale_in);
    text_add(out, "}");
}

static bool write_hpa(struct text *out, const struct object *object, const struct scaled_object *so,
                      const char *hpa_name)
{
    const struct decide_rules *rules = &object->policy->rules;
    bool metrics;

    text_add(out, "{\"apiVersion\":\"autoscaling/v2\",\"kind\":\"HorizontalPodAutoscaler\"");
    add_metadata(out, object, so, hpa_name);
    text_add(out, ",\"spec\":{\"scaleTargetRef\":{");
    add_string(out, "apiVersion", so->target.api_version);
    add_string(out, "kind", so->target.kind);
    add_string(out, "name", so->target.name);
    text_printf(out, "},\"minReplicas\":%d,\"maxReplicas\":%d", rules->min > 0 ? rules->min : 1, rules->max);
    metrics = add_metrics(out, object->policy);
    add_behavior(out, rules, so->behavior);
    text_add(out, "}}");
    return metrics && !out->overflowed;
}

/* ------------------------------------------------------------------ writes, and what became of them */

struct hpa_write {        /* under way; the object, or the autoscaler itself, may be gone when it is back */
    struct autoscaler *a; /* NULL: gone */
    char *key, *uid, *name;
    bool deletes;
    struct hpa_write *next;
};

static struct hpa_write *hpa_write_begin(struct object *object, const char *name, bool deletes)
{
    struct hpa_write *w = mem_alloc(sizeof(*w));

    *w = (struct hpa_write){.a = object->a,
                            .key = mem_copy(object->key),
                            .uid = mem_copy(object->standing->uid),
                            .name = mem_copy(name),
                            .deletes = deletes,
                            .next = object->a->hpa_writes};
    object->a->hpa_writes = w;
    return w;
}

static void set_error(struct object *object, const struct error *err)
{
    struct standing *s = object->standing;

    free(s->hpa_error);
    s->hpa_error = err ? mem_copy(err->text) : NULL;
    if (err)
        s->hpa_retry_ticks_ms = loop_ticks_ms(object->a->parts.loop) + HPA_RETRY_MS;
}

static void hpa_name_done(struct standing *s)
{
    free(s->hpa_error);
    s->hpa_error = NULL;
    free(s->hpa_name);
    s->hpa_name = NULL;
    s->hpa = HPA_NONE;
}

static void write_ended(struct object *object, const struct hpa_write *w, const struct error *err)
{
    struct standing *s = object->standing;
    bool current = string_equal(s->hpa_name, w->name);

    if (err)
        log_warning(w->deletes ? "a HorizontalPodAutoscaler could not be deleted"
                               : "a HorizontalPodAutoscaler could not be put",
                    "object", object->key, "name", w->name, "error", err->text, NULL);
    if (!current)
        return;
    s->hpa_busy = false;
    if (w->deletes && s->hpa == HPA_LEAVING && (!err || err->kind == ERROR_MISSING))
        hpa_name_done(s);
    else
        set_error(object, w->deletes && s->hpa != HPA_LEAVING ? NULL : err);
}

static void on_written(void *arg, const struct error *err)
{
    struct hpa_write *w = arg;
    struct object *object = w->a ? object_find(w->a, w->key) : NULL;

    for (struct hpa_write **at = w->a ? &w->a->hpa_writes : NULL; at && *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    if (object && object->standing && string_equal(object->standing->uid, w->uid))
        write_ended(object, w, err);
    free(w->key);
    free(w->uid);
    free(w->name);
    free(w);
}

void hpa_writes_abandon(struct autoscaler *a)
{
    for (struct hpa_write *w = a->hpa_writes; w; w = w->next)
        w->a = NULL;
    a->hpa_writes = NULL;
}

/* Only one that this object owns goes. KEDA deletes whatever has the name (keda-operator/02 4.1); but the name comes from the
   status, and whoever may write that might not delete HPAs. */
static void delete_hpa(struct object *object, const char *name)
{
    struct platform *platform = object->a->parts.platform;

    platform->ops->hpa_delete(platform, object->policy->ns, name, object->standing->uid, on_written,
                              hpa_write_begin(object, name, true));
}

/* ------------------------------------------------------------------ hpa mode */

/* KEDA selects an object's metrics by this label; its value is a label's, so a longer name cannot be (02 6). */
static void set_label(struct object *object, const struct scaled_object *so)
{
    struct platform *platform = object->a->parts.platform;
    struct text patch;

    if (string_equal(tree_string(tree_get(so->meta.labels, NAME_LABEL)), so->meta.name) ||
        !platform->ops->resource_merge)
        return;
    text_init(&patch, HPA_MAX_BYTES);
    text_add(&patch, "{\"metadata\":{\"labels\":{");
    add_string(&patch, NAME_LABEL, so->meta.name);
    text_add(&patch, "}}}");
    platform->ops->resource_merge(platform, RESOURCE_SCALED_OBJECT, so->meta.ns, so->meta.name, patch.bytes,
                                  patch.length, NULL, NULL);
    text_done(&patch);
}

static void put_hpa(struct object *object, const struct scaled_object *so)
{
    struct platform *platform = object->a->parts.platform;
    struct standing *s = object->standing;
    struct text json;
    char name[OBJECT_KEY_BYTES];

    snprintf(name, sizeof(name), "%s%s", so->hpa_name && *so->hpa_name ? "" : "keda-hpa-",
             so->hpa_name && *so->hpa_name ? so->hpa_name : so->meta.name);
    text_init(&json, HPA_MAX_BYTES);
    if (!write_hpa(&json, object, so, name)) {
        text_done(&json);
        return; /* no trigger could be built, and the status says why */
    }
    if (s->hpa_name && strcmp(s->hpa_name, name) != 0)
        delete_hpa(object, s->hpa_name);
    if (!string_equal(s->hpa_name, name)) {
        free(s->hpa_name);
        s->hpa_name = mem_copy(name);
    }
    s->hpa = HPA_PUT;
    s->hpa_targets = told_targets(object->policy);
    s->hpa_busy = true;
    set_label(object, so);
    platform->ops->hpa_put(platform, so->meta.ns, name, json.bytes, json.length, on_written,
                           hpa_write_begin(object, name, false));
    text_done(&json);
}

/* KEDA looks at the target first (keda-operator/02 4.2). One that was there before is not kept waiting: after a restart a thousand
   targets are being looked for. */
static bool finds_target(const struct object *object)
{
    struct target_view view = {.known = false};
    bool looked_for;

    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &view);
    looked_for = view.error.kind == ERROR_NONE || view.error.kind == ERROR_UNREACHABLE;
    return view.known || (object->standing->hpa_name && looked_for);
}

void hpa_arrange(struct object *object, const struct scaled_object *so)
{
    const struct decide_rules *rules = &object->policy->rules;
    const struct platform_ops *ops = object->a->parts.platform->ops;
    struct standing *s = object->standing;

    if (rules->mode == DECIDE_OBSERVE || !ops->hpa_put || !ops->hpa_delete)
        return;
    if (rules->mode == DECIDE_DIRECT) {
        if (s->hpa_name)
            s->hpa = HPA_LEAVING;
        return;
    }
    if (!object_may_write(object) || !finds_target(object)) {
        s->hpa = HPA_NONE; /* later: see hpa_look */
    } else if (!rules->paused && !rules->has_paused_replicas) {
        put_hpa(object, so);
    } else if (s->hpa_name) {
        s->hpa = HPA_NONE;
        delete_hpa(object, s->hpa_name);
    }
}

/* ------------------------------------------------------------------ once a decision */

/* The HPA of before: it goes if it is this object's. false: it may still be there. */
static bool leave(struct object *object)
{
    struct platform *platform = object->a->parts.platform;
    struct standing *s = object->standing;
    struct hpa_view view = {.exists = false};
    enum lookup found;

    if (s->hpa_busy)
        return false;
    found = platform->ops->hpa_view(platform, object->policy->ns, s->hpa_name, &view);
    if (found == LOOKUP_DENIED) { /* two would write the same count */
        struct error err;

        error_set(
            &err, ERROR_DENIED,
            "the HorizontalPodAutoscaler %s may be there still, and may not be read: allow get, list and watch of "
            "horizontalpodautoscalers, or delete it and status.hpaName",
            s->hpa_name);
        set_error(object, &err);
    }
    if (found == LOOKUP_PENDING || found == LOOKUP_DENIED)
        return false;
    if (found == LOOKUP_ABSENT || !view.exists || !string_equal(view.owner_uid, s->uid)) {
        hpa_name_done(s);
        return true;
    }
    if (object_may_write(object)) {
        s->hpa_busy = true;
        delete_hpa(object, s->hpa_name);
    }
    return false;
}

/* Is it as it should be? If not, the object is read again, and applied. */
static void mend(struct object *object)
{
    struct platform *platform = object->a->parts.platform;
    const struct decide_rules *rules = &object->policy->rules;
    struct standing *s = object->standing;
    struct hpa_view view = {.exists = false};
    bool wrong = s->hpa == HPA_NONE || s->hpa_error || s->hpa_targets != told_targets(object->policy);

    if (rules->paused || rules->has_paused_replicas || s->hpa_busy ||
        loop_ticks_ms(object->a->parts.loop) < s->hpa_retry_ticks_ms)
        return;
    if (s->hpa_name && s->hpa == HPA_PUT &&
        platform->ops->hpa_view(platform, object->policy->ns, s->hpa_name, &view) == LOOKUP_FOUND)
        wrong |= !view.exists || view.differs;
    if (!wrong || !object_may_write(object) || !finds_target(object))
        return;
    s->hpa_retry_ticks_ms = loop_ticks_ms(object->a->parts.loop) + HPA_RETRY_MS;
    cluster_again(object);
}

bool hpa_look(struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;
    struct standing *s = object->standing;

    if (!s || !ops->hpa_view)
        return true;
    if (object->policy->rules.mode == DECIDE_HPA)
        mend(object);
    return s->hpa != HPA_LEAVING || leave(object);
}

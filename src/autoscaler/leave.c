/*
 * leave: the end of an object in a cluster, after the object itself is forgotten. What was there before comes back, in an order
 * in which nobody works against it, and the API server may let the object go:
 *
 *     HPA of hpa mode is deleted --> replicas as they were (restoreToOriginalReplicaCount) --> KEDA's finalizer is taken off
 *
 * A step that fails is logged, and the next is made: a deletion never waits for us (keda-operator/02 3). Weir sets no finalizer;
 * one that KEDA left would keep the object, and its namespace, for ever. While it may not be written (the lease is being renewed) it
 * waits, but not for ever: whoever is the leader then is told of what still has a finalizer.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/tree.h"

enum { WAIT_MS = 1000, WAITS_MAX = 60 /* four times as long as a lease lasts */ };

#define KEDA_FINALIZER "finalizer.keda.sh"

enum leaving_step { LEAVING_HPA, LEAVING_REPLICAS, LEAVING_FINALIZER, LEAVING_DONE };

struct leaving {
    struct autoscaler *a; /* NULL: it ended meanwhile; nothing more is done */
    enum leaving_step step;
    enum resource_kind kind;
    char *ns, *name;
    char *hpa_name, *uid;  /* to be deleted first if the object of the uid owns it; NULL: none */
    struct target *target; /* to be restored; NULL: nothing is */
    int32_t replicas;
    char *patch;         /* takes the finalizer off; NULL: there is none of ours */
    struct timer *timer; /* it waits; NULL: it does not */
    int waits;
    struct leaving *next;
};

static void on_nothing(void *arg)
{
    (void)arg; /* its count is written, never read */
}

static void drop_target(struct leaving *l)
{
    if (l->target)
        l->a->parts.platform->ops->target_unwatch(l->target);
    l->target = NULL;
}

static void leaving_free(struct leaving *l)
{
    if (l->a) {
        for (struct leaving **at = &l->a->leavings; *at; at = &(*at)->next)
            if (*at == l) {
                *at = l->next;
                break;
            }
        drop_target(l);
    }
    loop_timer_free(l->timer);
    free(l->ns);
    free(l->name);
    free(l->hpa_name);
    free(l->uid);
    free(l->patch);
    free(l);
}

static void go_on(struct leaving *l);

static const char *const what[] = {"deleting its HorizontalPodAutoscaler", "restoring the original replica count",
                                   "taking the finalizer off", ""};

static void on_step(void *arg, const struct error *err)
{
    struct leaving *l = arg;

    if (err && l->a)
        log_warning("the end of an object", "namespace", l->ns, "name", l->name, "failed", what[l->step], "error",
                    err->text, NULL);
    if (!l->a) {
        leaving_free(l);
        return;
    }
    l->step++;
    go_on(l);
}

static bool is_needed(const struct leaving *l)
{
    const struct platform_ops *ops = l->a->parts.platform->ops;

    switch (l->step) {
    case LEAVING_HPA:
        return l->hpa_name && ops->hpa_delete;
    case LEAVING_REPLICAS:
        return l->target;
    case LEAVING_FINALIZER:
        return l->patch && ops->resource_merge;
    case LEAVING_DONE:
        break;
    }
    return false;
}

static void on_wait(void *arg)
{
    struct leaving *l = arg;

    loop_timer_free(l->timer);
    l->timer = NULL;
    go_on(l);
}

static void wait_a_little(struct leaving *l)
{
    if (l->waits++ == WAITS_MAX) {
        log_warning("the end of an object", "namespace", l->ns, "name", l->name, "left out", what[l->step], "error",
                    "this Weir may not write; if no other does it, do it by hand", NULL);
        leaving_free(l);
        return;
    }
    l->timer = loop_timer_new(l->a->parts.loop, on_wait, l);
    loop_timer_set(l->timer, WAIT_MS);
}

/* Steps call each other only by way of the platform, which completes nothing inside a call. */
static void go_on(struct leaving *l)
{
    struct platform *platform = l->a->parts.platform;
    const struct platform_ops *ops = platform->ops;

    while (l->step < LEAVING_DONE && !is_needed(l))
        l->step++;
    if (l->step == LEAVING_DONE)
        leaving_free(l);
    else if (ops->may_write && !ops->may_write(platform, l->ns, l->name))
        wait_a_little(l);
    else if (l->step == LEAVING_HPA)
        ops->hpa_delete(platform, l->ns, l->hpa_name, l->uid, on_step, l);
    else if (l->step == LEAVING_REPLICAS)
        ops->target_scale(l->target, l->replicas, "restore-original", on_step, l);
    else if (l->patch) /* is_needed saw to it */
        ops->resource_merge(platform, l->kind, l->ns, l->name, l->patch, strlen(l->patch), on_step, l);
}

/* The finalizers without KEDA's, as a patch; NULL: it is not among them. */
static char *without_finalizer(const struct tree *document)
{
    const struct tree *list = tree_at(document, "metadata.finalizers");
    struct text patch;
    bool found = false;
    int kept = 0;

    text_init(&patch, MANIFEST_FILE_MAX_BYTES);
    text_add(&patch, "{\"metadata\":{\"finalizers\":[");
    for (const struct tree *item = list && list->type == TREE_LIST ? list->first : NULL; item; item = item->next) {
        if (string_equal(tree_string(item), KEDA_FINALIZER)) {
            found = true;
            continue;
        }
        text_add(&patch, kept++ ? "," : "");
        tree_write_json(item, &patch);
    }
    text_add(&patch, "]}}");
    if (found)
        return text_take(&patch);
    text_done(&patch);
    return NULL;
}

static bool wants_restore(const struct object *object)
{
    const struct policy *policy = object ? object->policy : NULL;

    return policy && !policy->is_job && policy->restore_to_original && object->original_replicas >= 0 && object->target;
}

void leave_begin(struct autoscaler *a, enum resource_kind kind, const char *ns, const char *name,
                 const struct object *object, const struct tree *document)
{
    struct leaving *l = mem_alloc(sizeof(*l));

    *l = (struct leaving){.a = a, .kind = kind, .ns = mem_copy(ns), .name = mem_copy(name), .next = a->leavings};
    a->leavings = l;
    l->patch = without_finalizer(document);
    if (wants_restore(object)) {
        l->target = a->parts.platform->ops->target_watch(a->parts.platform, &object->policy->target, on_nothing, l);
        l->replicas = object->original_replicas;
        if (object->standing && object->standing->hpa_name && object->policy->rules.mode == DECIDE_HPA) {
            l->hpa_name = mem_copy(object->standing->hpa_name);
            l->uid = mem_copy(object->standing->uid);
        }
    }
    go_on(l);
}

void leavings_abandon(struct autoscaler *a)
{
    for (struct leaving *l = a->leavings, *next; l; l = next) {
        next = l->next;
        drop_target(l);
        l->a = NULL;
        if (l->timer)
            leaving_free(l); /* nobody comes back to it */
    }
    a->leavings = NULL;
}

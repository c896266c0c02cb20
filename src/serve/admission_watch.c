/*
 * admission_watch: all ScaledObjects, or all HorizontalPodAutoscalers, of the cluster (or of the namespaces that are looked at), each as a
 * claim. Not only the objects this Weir is responsible for: a conflict is one whoever serves the other object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/tree.h"
#include "platform/kubernetes/client.h"
#include "serve/admission_internal.h"

static const struct {
    const char *group, *version, *resource, *what;
} watched[] = {
    [WATCH_SCALERS] = {"autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscalers"},
    [WATCH_OBJECTS] = {"keda.sh", "v1alpha1", "scaledobjects", "ScaledObjects"},
};

struct source { /* one namespace, or all */
    struct cluster_watch *watch;
    struct reflector *reflector;
    char *ns; /* NULL: all */
    uint16_t number;
    bool synced; /* has been, once: what was known then still holds while it lists anew */
    bool failing;
    struct error trouble;
};
struct cluster_watch {
    enum watched_kind kind;
    struct claim_index *index;
    void (*changed)(void *arg);
    void *arg;
    bool overflowed; /* some claim found no place: the index cannot be trusted to be complete */
    size_t source_count;
    struct source sources[];
};

/* ------------------------------------------------------------------ claims */

static const char *text_of(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text ? text : "";
}

static const char *owner_of(const struct tree *metadata)
{
    const struct tree *owners = tree_get(metadata, "ownerReferences");

    for (const struct tree *o = owners && owners->type == TREE_LIST ? owners->first : NULL; o; o = o->next) {
        if (strcmp(text_of(o, "kind"), "ScaledObject") == 0)
            return text_of(o, "name");
    }
    return NULL;
}

static const char *or_usual(const char *text, const char *usual)
{
    return text[0] ? text : usual;
}

void claim_read(enum watched_kind kind, const struct tree *object, struct claim *out)
{
    const struct tree *metadata = tree_get(object, "metadata"), *spec = tree_get(object, "spec");
    const struct tree *target = tree_get(spec, "scaleTargetRef");
    const char *configured = text_of(tree_at(spec, "advanced.horizontalPodAutoscalerConfig"), "name");

    *out = (struct claim){.ns = text_of(metadata, "namespace"), .name = text_of(metadata, "name")};
    out->target =
        (struct admission_target){text_of(target, "apiVersion"), text_of(target, "kind"), text_of(target, "name")};
    if (kind == WATCH_OBJECTS) {
        out->target.api_version = or_usual(out->target.api_version, "apps/v1");
        out->target.kind = or_usual(out->target.kind, "Deployment");
        out->other = configured[0] ? configured : NULL;
        return;
    }
    out->other = owner_of(metadata);
    out->released =
        strcmp(text_of(tree_get(metadata, "annotations"), "validations.keda.sh/hpa-ownership"), "false") == 0;
}

/* ------------------------------------------------------------------ what the reflector says */

static void on_begin(void *arg)
{
    struct source *s = arg;

    claim_index_mark(s->watch->index, s->number);
}

static void on_item(void *arg, const struct tree *object)
{
    struct source *s = arg;
    struct claim claim;

    claim_read(s->watch->kind, object, &claim);
    claim.source = s->number;
    if (claim_index_put(s->watch->index, &claim) || s->watch->overflowed)
        return;
    s->watch->overflowed = true;
    log_warning("too many objects in the cluster for the webhook: conflicts with those on top are not seen", "objects",
                watched[s->watch->kind].what, "bound", "ADMISSION_INDEX_MAX", NULL);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct source *s = arg;

    (void)last; /* the name is enough */
    claim_index_remove(s->watch->index, ns, name);
}

static void on_synced(void *arg)
{
    struct source *s = arg;

    claim_index_sweep(s->watch->index, s->number);
    s->synced = true;
    s->watch->changed(s->watch->arg);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct source *s = arg;

    s->failing = err != NULL;
    if (!err)
        return;
    s->trouble = *err;
    log_warning("the webhook cannot look at other objects: conflicts with them may be admitted", "objects",
                watched[s->watch->kind].what, "error", err->text, NULL);
    s->watch->changed(s->watch->arg);
}

/* ------------------------------------------------------------------ the watch */

static void begin_source(struct cluster_watch *w, const struct serve_admission_options *options, size_t number)
{
    const char *ns = options->namespace_count > 0 ? options->namespaces[number] : NULL;
    struct source *s = &w->sources[number];
    struct text path;

    *s = (struct source){.watch = w, .number = (uint16_t)number, .ns = ns ? mem_copy(ns) : NULL};
    text_init(&path, 1024);
    kube_path(&path, watched[w->kind].group, watched[w->kind].version, ns, watched[w->kind].resource, NULL, NULL);
    s->reflector = reflector_new(options->kube, &(struct reflector_options){.path = path.bytes,
                                                                            .begin = on_begin,
                                                                            .item = on_item,
                                                                            .gone = on_gone,
                                                                            .synced = on_synced,
                                                                            .trouble = on_trouble,
                                                                            .arg = s});
    text_done(&path);
}

struct cluster_watch *cluster_watch_new(enum watched_kind kind, const struct serve_admission_options *options,
                                        void (*changed)(void *arg), void *arg)
{
    size_t count = options->namespace_count > 0 ? options->namespace_count : 1;
    struct cluster_watch *w = mem_alloc(sizeof(*w) + count * sizeof(struct source));

    w->kind = kind;
    w->index = claim_index_new(kind == WATCH_OBJECTS);
    w->changed = changed;
    w->arg = arg;
    w->source_count = count;
    for (size_t i = 0; i < count; i++)
        begin_source(w, options, i);
    return w;
}

void cluster_watch_free(struct cluster_watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->source_count; i++) {
        reflector_free(w->sources[i].reflector);
        free(w->sources[i].ns);
    }
    claim_index_free(w->index);
    free(w);
}

enum watch_state cluster_watch_state(const struct cluster_watch *w, const char *ns, const char **why)
{
    for (size_t i = 0; i < w->source_count; i++) {
        const struct source *s = &w->sources[i];

        if (s->ns && strcmp(s->ns, ns) != 0)
            continue;
        *why = s->trouble.text;
        return s->synced ? WATCH_COMPLETE : s->failing ? WATCH_FAILED : WATCH_WAITING;
    }
    *why = "this namespace is not watched";
    return WATCH_FAILED;
}

const struct claim_index *cluster_watch_index(const struct cluster_watch *w)
{
    return w->index;
}

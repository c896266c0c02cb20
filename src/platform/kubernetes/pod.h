/*
 * pod: the pods of a namespace, slim, and those of one selector among them. For target.c, usage.c and job.c.
 *
 *     struct pod_selection *web = pod_selection_new(k, "shop", "app=web", on_known, me);
 *     pod_selection_need(web);                            -- watched from now on, for some minutes
 *     if (pod_selection_known(web, &err) == LOOKUP_FOUND)
 *         count = pod_selection_views(web, &views);
 *
 * A namespace's pods are watched while somebody needs them: one reflector per namespace, or one for all when many are needed.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_POD_H
#define WEIR_PLATFORM_KUBERNETES_POD_H

#include "platform/kubernetes/kubernetes_internal.h"

struct pod_selection; /* one selector in one namespace */
/* changed (may be NULL) is called in a later turn, when what was pending is known, or cannot be. An unreadable selector selects nothing,
   and pod_selection_known says why. */
struct pod_selection *pod_selection_new(struct kubernetes *k, const char *ns, const char *selector,
                                        platform_changed *changed, void *arg);
void pod_selection_free(struct pod_selection *selection); /* NULL is fine */
void pod_selection_need(struct pod_selection *selection);
enum lookup pod_selection_known(struct pod_selection *selection, struct error *err);
/* What is known now; valid until the next turn. */
size_t pod_selection_views(struct pod_selection *selection, const struct pod_view **out);
const char *pod_selection_namespace(const struct pod_selection *selection);
const char *pod_selection_text(const struct pod_selection *selection);

/* Types of a pod's conditions whose status is True, each between bars: "|Ready|PodScheduled|"; "" if there is no such pod. */
const char *pod_conditions(struct kubernetes *k, const char *ns, const char *name);
/* Tells all selections of a namespace, in a later turn. */
void pods_tell(struct kubernetes *k, const char *ns);

/* ---- usage (usage.c) ---- */
struct pod_usage_item { /* of one pod, as metrics.k8s.io says */
    const char *name;
    int64_t at_ms, window_ms;
    const struct tree *containers; /* [{name, usage: {cpu, memory}}] */
};
/* Pods of the selection (NULL: of the namespace) have no usage from now on, but for those that are told then. */
void pods_usage_clear(struct kubernetes *k, const char *ns, struct pod_selection *selection);
void pods_usage_set(struct kubernetes *k, const char *ns, const struct pod_usage_item *item);

#endif

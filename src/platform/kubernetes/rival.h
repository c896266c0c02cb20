/*
 * rival: which HorizontalPodAutoscaler scales a target besides us.
 *
 *     struct rival *r = rival_new(k, &(struct rival_target){"shop", "apps", "Deployment", "web"}, on_change, arg);
 *     rival_look(r);                    -- the count was changed by the controller of HorizontalPodAutoscalers
 *     rival_name(r)                     -- "by-hand", once on_change was called; NULL: none
 *
 * That somebody else changes a count is seen in the target itself; who it is, only in the list of autoscalers. That is not watched, for
 * mostly there is none, but asked for when a count was changed, and as long as there is one once in a while: to see it go.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_RIVAL_H
#define WEIR_PLATFORM_KUBERNETES_RIVAL_H

struct kubernetes;

struct rival_target {
    const char *ns, *group, *kind, *name; /* borrowed for as long as the rival lives */
};

struct rival;
struct rival *rival_new(struct kubernetes *k, const struct rival_target *target, void (*changed)(void *arg), void *arg);
void rival_look(struct rival *rival);
const char *rival_name(const struct rival *rival); /* NULL in, NULL out */
void rival_free(struct rival *rival);              /* NULL is fine */

#endif

/*
 * listener: those who only look on while it runs (live views, exporters), told in the order in which they came.
 *
 * What changed is noted when it changes, once for each object, and told at the end of the next turn: whoever listens sees a decision
 * together with what it led to, and an object whose replicas come one by one is told of once a turn.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdlib.h>

void autoscaler_listen(struct autoscaler *a, struct autoscaler_listener *listener)
{
    struct autoscaler_listener **at = &a->listeners;

    while (*at)
        at = &(*at)->next;
    *at = listener;
    listener->next = NULL;
}

void autoscaler_unlisten(struct autoscaler *a, struct autoscaler_listener *listener)
{
    for (struct autoscaler_listener **at = &a->listeners; *at; at = &(*at)->next)
        if (*at == listener) {
            *at = listener->next;
            return;
        }
}

/* ------------------------------------------------------------------ what changed */

void object_mark_changed(struct object *object)
{
    struct autoscaler *a = object->a;

    if (object->changed_at != 0 || !a->listeners || a->stopping)
        return;
    if (a->changed_count == a->changed_size) {
        a->changed_size = a->changed_size ? a->changed_size * 2 : DUE_PER_TURN_MAX;
        a->changed = mem_grow(a->changed, a->changed_size, sizeof(struct object *));
    }
    a->changed[a->changed_count++] = object;
    object->changed_at = (uint32_t)a->changed_count;
    turn_arrange(a);
}

void changed_remove(struct object *object)
{
    struct autoscaler *a = object->a;

    if (object->changed_at == 0)
        return;
    struct object *last = a->changed[--a->changed_count];
    a->changed[object->changed_at - 1] = last;
    last->changed_at = object->changed_at;
    object->changed_at = 0;
}

void listeners_tell_changed(struct autoscaler *a)
{
    for (size_t i = 0; i < a->changed_count; i++) {
        a->changed[i]->changed_at = 0;
        for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
            if (l->changed)
                l->changed(l->arg, a->changed[i]->key);
    }
    a->changed_count = 0;
}

/* ------------------------------------------------------------------ what happened */

void listeners_tell_gone(const struct autoscaler *a, const char *key)
{
    for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
        if (l->gone)
            l->gone(l->arg, key);
}

void listeners_tell_decided(const struct autoscaler *a, const struct autoscaler_decided *decided)
{
    for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
        if (l->decided)
            l->decided(l->arg, decided);
}

void listeners_tell_written(const struct autoscaler *a, const char *key, const struct error *err)
{
    for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
        if (l->written)
            l->written(l->arg, key, err);
}

bool listeners_want_events(const struct autoscaler *a)
{
    for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
        if (l->event)
            return true;
    return false;
}

void listeners_tell_event(const struct autoscaler *a, const struct autoscaler_event *event)
{
    for (const struct autoscaler_listener *l = a->listeners; l; l = l->next)
        if (l->event)
            l->event(l->arg, event);
}

/*
 * refer: who refers to what, so that a change of one TriggerAuthentication, Secret or ConfigMap touches only the objects that
 * were built with it.
 *
 *     "data/shop/passwords" --> [checkout] <-> [cart]          one list for each thing; an object stands in one list for each
 *                                                              thing it refers to
 *
 * Entering and leaving take the same time however many refer to a thing.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdlib.h>

struct referred {     /* a thing, as long as somebody refers to it */
    const char *name; /* the map's own copy */
    struct referral *first, *last;
};
struct referral { /* one place in one list */
    struct referred *to;
    struct referrer *who;
    struct referral *next, *previous;
};

static void leave(struct map *index, struct referral *r)
{
    struct referred *to = r->to;

    if (r->previous)
        r->previous->next = r->next;
    else
        to->first = r->next;
    if (r->next)
        r->next->previous = r->previous;
    else
        to->last = r->previous;
    if (!to->first) {
        map_remove(index, to->name);
        free(to);
    }
}

static void enter(struct map *index, struct referral *r, struct referrer *who, const char *name)
{
    struct referred *to = map_get(index, name);

    if (!to) {
        to = mem_alloc(sizeof(*to));
        map_put(index, name, to);
        to->name = map_key(index, name);
    }
    *r = (struct referral){.to = to, .who = who, .previous = to->last};
    if (to->last)
        to->last->next = r;
    else
        to->first = r;
    to->last = r;
}

void refer_set(struct map *index, struct referrer *who, const char *const *names, size_t count)
{
    struct referral *places = count ? mem_array(count, sizeof(*places)) : NULL;

    for (size_t i = 0; i < count; i++)
        enter(index, &places[i], who, names[i]);
    for (size_t i = 0; i < who->count; i++)
        leave(index, &who->places[i]);
    free(who->places);
    who->places = places;
    who->count = count;
}

const char *refer_name(const struct referrer *who, size_t i)
{
    return who->places[i].to->name;
}

void refer_each(struct map *index, const char *name, void (*each)(void *arg, struct referrer *who), void *arg)
{
    const struct referred *to = map_get(index, name);

    for (struct referral *r = to ? to->first : NULL, *next; r; r = next) {
        next = r->next;
        each(arg, r->who);
    }
}

/*
 * catalogue: all objects in short, kept ready, so that a list of ten thousand costs no walk over their decisions.
 *
 *     if (catalogue_is_fresh(catalogue))                       -- else catalogue_when_fresh
 *         count = catalogue_find(catalogue, &filter, SORT_ATTENTION, 0, 100, entries, &matched);
 *         catalogue_rows(catalogue, entries, count, add_row, body);
 *
 * One small entry per object holds what lists filter, sort and count by. Listeners (autoscaler.h) mark entries stale; they are looked at
 * again when somebody asks, so an object that changes ten times between two questions costs one look. Its row, the JSON that answers
 * consist of, is made when it is first shown after that. While nobody has asked for CATALOGUE_IDLE_MS nothing is kept and nothing is
 * listened to; the first who asks then waits for some turns of the loop, CATALOGUE_SLICE objects each.
 * Loop thread only.
 */
#ifndef WEIR_SERVE_CATALOGUE_H
#define WEIR_SERVE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/serve_internal.h"

struct catalogue;
struct map;

struct catalogue *catalogue_new(struct autoscaler *a);
void catalogue_free(struct catalogue *c); /* before the autoscaler; NULL is fine */

/* Asks: are all entries as the objects are now? Looks at a slice of those that are not. */
bool catalogue_is_fresh(struct catalogue *c);
/* Calls done once they are: at once, or in a later turn. ended: the catalogue is being freed instead. Exactly once. */
typedef void catalogue_done(void *arg, bool ended);
void catalogue_when_fresh(struct catalogue *c, catalogue_done *done, void *arg);
/* As long as somebody holds it, it is kept, and entries that changed are noted for catalogue_moved. Counted. */
void catalogue_hold(struct catalogue *c);
void catalogue_release(struct catalogue *c);

/* ---- what there is; valid until the next turn ---- */
struct tally { /* of a namespace, or a type of trigger */
    const char *name;
    uint32_t objects;
    uint32_t users; /* what points here */
};
struct source {       /* what triggers of one type ask */
    const char *name; /* a destination; "" of a trigger that could not be built, or that asks nobody */
    const char *key;  /* of the map: the type in full, a blank, the name */
    struct tally *type;
    uint32_t objects, failing; /* objects that have it, and to which it gives nothing */
    int32_t took_ms;           /* the last time it was asked; 0: not yet */
    char *why;                 /* of the last failure, while there is one; NULL */
};
struct catalogue_totals {
    uint32_t objects, states[ROW_STATES];
    int64_t replicas;                   /* ready ones */
    uint32_t slo_objects, cost_objects; /* of the last day, of objects that have it and whose sums are known already */
    double slo_held_s, slo_known_s, replica_hours, cost;
    const struct map *namespaces, *types; /* of struct tally */
    const struct map *sources;            /* of struct source */
};
void catalogue_totals(const struct catalogue *c, struct catalogue_totals *out);

/* ---- lists, of a catalogue that is fresh ---- */
struct entry;
enum catalogue_sort { SORT_ATTENTION, SORT_NAME, SORT_REPLICAS, SORT_CHANGED, SORTS };
struct catalogue_filter {  /* zeroed: all objects */
    const char *ns, *type; /* NULL: any */
    const char *part;      /* of namespace/name, lower case; NULL or "": any */
    const char *kind;      /* NULL: any */
    uint32_t states;       /* bits 1 << enum row_state; 0: any */
};
/* Those that fit, from the offset-th on, in this order; returns how many (at most `most`), *matched: how many fit in all. */
size_t catalogue_find(struct catalogue *c, const struct catalogue_filter *filter, enum catalogue_sort sort,
                      size_t offset, size_t most, struct entry **out, size_t *matched);
typedef void catalogue_visit(void *arg, const char *row, size_t length);
void catalogue_rows(struct catalogue *c, struct entry *const *entries, size_t count, catalogue_visit *visit, void *arg);
/* Rows of which a person would say that they changed since this was asked last, or that came; at most so many, the rest stays noted.
   What changes with every poll (values in the summary) is no reason. Returns how many are left. */
size_t catalogue_moved(struct catalogue *c, size_t most, catalogue_visit *visit, void *arg);

#endif

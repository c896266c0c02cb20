/*
 * What the catalogue's own files share.
 *
 *     catalogue.c          entries: when they come, go, and are looked at again
 *     catalogue_source.c   what objects have in common: namespaces, types, sources
 *     catalogue_order.c    the orders of lists
 *     catalogue_account.c  objectives and costs
 *     catalogue_find.c     lists and rows
 */
#ifndef WEIR_SERVE_CATALOGUE_INTERNAL_H
#define WEIR_SERVE_CATALOGUE_INTERNAL_H

#include "net/loop.h"
#include "serve/catalogue.h"

enum entry_lists {
    LIST_STALE, /* to be looked at again */
    LIST_MOVED, /* whoever holds the catalogue is to be told */
    ENTRY_LISTS
};

struct entry_source {
    struct source *source; /* each once in an entry */
    bool failing;
};

struct account { /* of an object with an objective or a price */
    struct entry *entry;
    bool has_slo, has_cost, known; /* known: it was asked once */
    double cost_per_hour;
    double slo_held_s, slo_known_s, replica_s; /* of the last day, when it was asked */
    int64_t asked_ticks_ms;
    struct account *previous, *next;
};

struct entry {        /* what lists filter by stands first, in one line of the cache */
    const char *name; /* "shop/checkout" in the key */
    struct tally *ns;
    struct entry_source *sources;
    uint16_t source_count;
    uint8_t state, attention;
    bool is_job;
    bool quiet;       /* it was there before the catalogue: its first look is no news */
    int32_t replicas; /* ready, or jobs running; -1: not known */
    char *row;        /* JSON; NULL: to be made */
    uint32_t row_bytes;
    uint32_t rank;   /* among the names */
    const char *key; /* "ScaledObject/shop/checkout": the map's own copy */
    uint64_t shape;  /* hash of what a person would call a change; 0: never looked at */
    int64_t changed_at_ms;
    struct account *account;     /* NULL: it has neither */
    uint32_t place[ENTRY_LISTS]; /* its place in each list, from 1; 0: it is not in it */
};

struct entry_list { /* of entries, each of which knows its place */
    struct entry **items;
    size_t count, size;
};

struct traits {     /* of an entry: enough to see of most that they do not fit, without a look at them */
    uint32_t ns;    /* some bits of the pointer */
    uint16_t types; /* a bit for each type; several may share one */
    uint8_t state;
    bool is_job;
};
struct order_place { /* key and traits stand beside the pointer: searching touches no entry */
    uint64_t key;
    struct entry *entry;
    struct traits traits;
};
struct order {
    struct order_place *places;
    bool sorted;
};

struct orders { /* one for each way to sort, made when it is asked for */
    struct order by[SORTS];
    size_t count;
    bool ranked;
};
void orders_done(struct orders *orders);
/* An entry came or went. */
void orders_renew(struct orders *orders);
/* So many changed that sorting anew is cheaper than moving each. */
void orders_mix(struct orders *orders);
/* What an entry is sorted by, before and after it changed. */
struct order_keys {
    uint64_t by[SORTS];
    struct traits traits;
};
uint32_t ns_trait(const struct tally *ns);
uint16_t type_trait(const struct tally *type);
struct order_keys order_keys(const struct entry *entry);
void orders_move(struct orders *orders, const struct order_keys *before, struct entry *entry);
/* All entries in this order. */
const struct order_place *orders_get(struct orders *orders, enum catalogue_sort sort, const struct map *entries);

/* catalogue_source.c */
/* Of that name, made where there is none; counted. */
struct tally *tally_get(struct map *map, const char *name, size_t length);
void tally_put(struct map *map, struct tally *tally);
void entry_set_sources(struct catalogue *c, struct entry *entry, const struct object_status *s);
void entry_drop_sources(struct catalogue *c, struct entry *entry);

/* catalogue_account.c */
void account_set(struct catalogue *c, struct entry *entry, const struct policy *policy);
void account_drop(struct catalogue *c, struct entry *entry);
loop_callback accounts_step;

struct waiter {
    catalogue_done *done;
    void *arg;
    struct waiter *next;
};

struct catalogue {
    struct autoscaler *a;
    struct autoscaler_listener listener;
    struct timer *slice_timer, *idle_timer, *account_timer;
    struct map *entries; /* NULL: nobody asks */
    struct map *namespaces, *types, *sources;
    struct entry_list lists[ENTRY_LISTS];
    struct orders orders;
    struct catalogue_totals totals;
    struct waiter *waiters;
    struct account *accounts, *account_next; /* next: NULL: from the first */
    struct text scratch;                     /* names of sources, rows */
    int64_t asked_ticks_ms;
    size_t holders;
};

#endif

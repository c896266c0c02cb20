/*
 * catalogue_order: the orders in which lists show objects.
 *
 * Names give every entry a rank; a key is what an order sorts by with the rank behind it, in one number, so no two are equal and
 * comparing touches no text:
 *
 *     | value, 44 bits: least attention, most replicas, latest change first | rank, 20 bits |
 *
 * Beside the key stand the traits that lists filter by. An entry whose value changed is moved by two binary searches. Only when objects come or go all is ranked and sorted anew.
 */
#include "serve/catalogue_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"

enum { RANK_BITS = 20, ATTENTION_MOST = 100 };
#define VALUE_MAX ((INT64_C(1) << 44) - 1) /* in milliseconds the year 2527 */

_Static_assert(OBJECTS_MAX < 1 << RANK_BITS, "a rank must fit in a key");

void orders_done(struct orders *orders)
{
    for (int i = 0; i < SORTS; i++)
        free(orders->by[i].places);
    *orders = (struct orders){0};
}

void orders_mix(struct orders *orders)
{
    for (int i = 0; i < SORTS; i++)
        orders->by[i].sorted = false;
}

void orders_renew(struct orders *orders)
{
    orders->ranked = false;
    orders_mix(orders);
}

/* ------------------------------------------------------------------ keys */

static uint64_t descending(int64_t value)
{
    return (uint64_t)(VALUE_MAX - (value < 0 ? 0 : value > VALUE_MAX ? VALUE_MAX : value));
}

uint32_t ns_trait(const struct tally *ns)
{
    return (uint32_t)((uintptr_t)ns >> 4);
}

uint16_t type_trait(const struct tally *type)
{
    return (uint16_t)(1u << ((uintptr_t)type >> 5) % 16);
}

static struct traits traits_of(const struct entry *e)
{
    struct traits traits = {.ns = ns_trait(e->ns), .state = e->state, .is_job = e->is_job};

    for (size_t i = 0; i < e->source_count; i++)
        traits.types |= type_trait(e->sources[i].source->type);
    return traits;
}

struct order_keys order_keys(const struct entry *e)
{
    uint64_t rank = e->rank;

    return (struct order_keys){.traits = traits_of(e),
                               .by = {[SORT_ATTENTION] = (uint64_t)(ATTENTION_MOST - e->attention) << RANK_BITS | rank,
                                      [SORT_NAME] = rank,
                                      [SORT_REPLICAS] = descending((int64_t)e->replicas + 1) << RANK_BITS | rank,
                                      [SORT_CHANGED] = descending(e->changed_at_ms) << RANK_BITS | rank}};
}

static int by_place(const void *left, const void *right)
{
    const struct order_place *a = left, *b = right;

    return a->key < b->key ? -1 : a->key > b->key;
}

static int by_name(const void *left, const void *right)
{
    const struct order_place *a = left, *b = right;
    int order = strcmp(a->entry->name, b->entry->name);

    return order != 0 ? order : strcmp(a->entry->key, b->entry->key);
}

/* ------------------------------------------------------------------ moving one */

/* The first place whose key is not less. */
static size_t find(const struct order_place *places, size_t count, uint64_t key)
{
    size_t low = 0;

    while (count > 0) {
        size_t half = count / 2;

        if (places[low + half].key < key) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static void move(struct order *order, size_t count, uint64_t before, struct order_place after)
{
    struct order_place *places = order->places;
    size_t from = find(places, count, before), to = find(places, count, after.key);

    if (to > from) {
        to--; /* it leaves a place behind */
        memmove(places + from, places + from + 1, (to - from) * sizeof(*places));
    } else {
        memmove(places + to + 1, places + to, (from - to) * sizeof(*places));
    }
    places[to] = after;
}

void orders_move(struct orders *orders, const struct order_keys *before, struct entry *entry)
{
    struct order_keys after = order_keys(entry);
    bool other = before->traits.state != after.traits.state || before->traits.types != after.traits.types;

    for (int i = 0; i < SORTS; i++)
        if (orders->by[i].sorted && (before->by[i] != after.by[i] || other))
            move(&orders->by[i], orders->count, before->by[i],
                 (struct order_place){.key = after.by[i], .entry = entry, .traits = after.traits});
}

/* ------------------------------------------------------------------ sorting anew */

static void fill(struct order *order, const struct map *entries)
{
    const char *key;
    void *value;
    size_t at = 0;

    order->places = mem_grow(order->places, map_count(entries) + 1, sizeof(struct order_place));
    for (size_t cursor = 0; map_next(entries, &cursor, &key, &value);)
        order->places[at++] = (struct order_place){.entry = value, .traits = traits_of(value)};
}

static void rank(struct orders *orders, const struct map *entries)
{
    struct order *names = &orders->by[SORT_NAME];

    orders->count = map_count(entries);
    fill(names, entries);
    qsort(names->places, orders->count, sizeof(struct order_place), by_name);
    for (size_t i = 0; i < orders->count; i++) {
        names->places[i].entry->rank = (uint32_t)i;
        names->places[i].key = i;
    }
    names->sorted = orders->ranked = true;
}

const struct order_place *orders_get(struct orders *orders, enum catalogue_sort sort, const struct map *entries)
{
    struct order *order = &orders->by[sort];

    if (!orders->ranked)
        rank(orders, entries);
    if (order->sorted)
        return order->places;
    fill(order, entries);
    for (size_t i = 0; i < orders->count; i++)
        order->places[i].key = order_keys(order->places[i].entry).by[sort];
    qsort(order->places, orders->count, sizeof(struct order_place), by_place);
    order->sorted = true;
    return order->places;
}

/*
 * map: see map.h. Entries stand in one array in the order they were put; a table of indices finds them by hash:
 *
 *     table   [ -1 | 2 | -1 | 0 | 1 | -1 | ... ]        open addressing, linear probing, a power of two
 *     entries [ "a" -> x | "b" -> y | (removed) ]       the table is rebuilt when this array is full
 *
 * So a walk meets entries in the order they were put, the same in every run, although the hash is seeded: what is
 * computed from a map does not depend on luck. A removed entry keeps its place in the table until the next rebuild, which is
 * why removing while walking is safe.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/arena.h"

enum { EMPTY = -1, FIRST_ENTRIES = 8 };

struct entry { /* small: there are ten maps of all objects */
    char *key; /* NULL: removed */
    void *value;
    uint32_t hash, length;
};

struct map {
    struct entry *entries;
    int32_t *table;
    size_t used, capacity; /* of entries; the table has twice as many slots */
    size_t count;          /* entries that live */
    uint64_t seed;
};

static uint64_t process_seed(void)
{
    static uint64_t seed;

    if (!seed && getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)time(NULL) ^ (uintptr_t)&seed; /* early boot: better than nothing */
    seed |= 1;
    return seed;
}

static uint32_t hash_key(uint64_t seed, const char *key, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)key[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash ^ hash >> 32);
}

struct map *map_new(void)
{
    struct map *map = mem_alloc(sizeof *map);

    map->seed = process_seed();
    return map;
}

void map_free(struct map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->used; i++)
        free(map->entries[i].key);
    free(map->entries);
    free(map->table);
    free(map);
}

static size_t slot_of(const struct map *map, uint32_t hash)
{
    return hash & (2 * map->capacity - 1);
}

static size_t next_slot(const struct map *map, size_t slot)
{
    return (slot + 1) & (2 * map->capacity - 1);
}

static struct entry *find(const struct map *map, const char *key, size_t length, uint32_t hash)
{
    if (map->capacity == 0)
        return NULL;
    for (size_t slot = slot_of(map, hash); map->table[slot] != EMPTY; slot = next_slot(map, slot)) {
        struct entry *e = &map->entries[map->table[slot]];
        if (e->key && e->hash == hash && e->length == length && memcmp(e->key, key, length) == 0)
            return e;
    }
    return NULL;
}

static void link_entry(struct map *map, size_t index)
{
    size_t slot = slot_of(map, map->entries[index].hash);

    while (map->table[slot] != EMPTY)
        slot = next_slot(map, slot);
    map->table[slot] = (int32_t)index;
}

/* Drops what was removed; grows only if more than half is alive, so that put and remove in turns do not grow forever. */
static void rebuild(struct map *map)
{
    size_t capacity = map->capacity ? map->capacity : FIRST_ENTRIES;

    if (map->count * 2 >= capacity)
        capacity *= 2;
    assert(capacity <= INT32_MAX / 2);
    struct entry *entries = mem_array(capacity, sizeof *entries);
    size_t used = 0;
    for (size_t i = 0; i < map->used; i++)
        if (map->entries[i].key)
            entries[used++] = map->entries[i];
    free(map->entries);
    free(map->table);
    map->entries = entries;
    map->used = used;
    map->capacity = capacity;
    map->table = mem_array(2 * capacity, sizeof *map->table);
    memset(map->table, 0xff, 2 * capacity * sizeof *map->table); /* all EMPTY */
    for (size_t i = 0; i < used; i++)
        link_entry(map, i);
}

void *map_get_n(const struct map *map, const char *key, size_t length)
{
    const struct entry *e = find(map, key, length, hash_key(map->seed, key, length));

    return e ? e->value : NULL;
}

void *map_get(const struct map *map, const char *key)
{
    return map_get_n(map, key, strlen(key));
}

const char *map_key(const struct map *map, const char *key)
{
    size_t length = strlen(key);
    const struct entry *e = find(map, key, length, hash_key(map->seed, key, length));

    return e ? e->key : NULL;
}

void *map_put(struct map *map, const char *key, void *value)
{
    size_t length = strlen(key);
    uint32_t hash = hash_key(map->seed, key, length);
    struct entry *e = find(map, key, length, hash);

    assert(value);               /* map_get could not tell it from "not there" */
    assert(length < UINT32_MAX); /* no text from outside is that long (limits.h) */
    if (e) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (map->used == map->capacity)
        rebuild(map);
    map->entries[map->used] = (struct entry){mem_copy(key), value, hash, (uint32_t)length};
    link_entry(map, map->used++);
    map->count++;
    return NULL;
}

void *map_remove(struct map *map, const char *key)
{
    size_t length = strlen(key);
    struct entry *e = find(map, key, length, hash_key(map->seed, key, length));

    if (!e)
        return NULL;
    free(e->key);
    e->key = NULL;
    map->count--;
    return e->value;
}

size_t map_count(const struct map *map)
{
    return map->count;
}

bool map_next(const struct map *map, size_t *cursor, const char **key, void **value)
{
    while (*cursor < map->used) {
        const struct entry *e = &map->entries[(*cursor)++];
        if (!e->key)
            continue;
        if (key)
            *key = e->key;
        if (value)
            *value = e->value;
        return true;
    }
    return false;
}

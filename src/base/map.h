/*
 * map: text keys to pointers, open addressing; a walk meets the entries in the order in which they were put.
 *
 *     struct map *m = map_new();
 *     map_put(m, "shop/checkout", object);          -- the key is copied
 *     struct object *o = map_get(m, "shop/checkout");
 *     for (size_t i = 0; map_next(m, &i, &key, &value);) ...
 *
 * Hash is SipHash-free FNV-1a with a per-process seed: keys come from manifests, so their order must not be guessable.
 */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_new(void);
void map_free(struct map *map); /* not the values; NULL is fine */
void *map_get(const struct map *map, const char *key);
void *map_get_n(const struct map *map, const char *key, size_t length);
/* The map's own copy of a key that is there, valid until it is removed; NULL: it is not. */
const char *map_key(const struct map *map, const char *key);
/* Returns the value replaced, or NULL. value must not be NULL. */
void *map_put(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const char *key);
size_t map_count(const struct map *map);
/* *cursor starts at 0. Removing the entry just returned is allowed, adding while walking is not. */
bool map_next(const struct map *map, size_t *cursor, const char **key, void **value);

/* A stable 64-bit hash (the same in every process and version): poll spread, identity of questions, generations. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);
uint64_t hash_string(uint64_t seed, const char *string);

#endif

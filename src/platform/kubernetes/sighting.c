/* sighting: see sighting.h. */
#include "platform/kubernetes/sighting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"

enum { KEY_BYTES = 600 }; /* both names are at most 253 bytes long */

struct sightings {
    struct map *by_key; /* "ns/name" -> struct sighting */
};

static bool key_of(char out[KEY_BYTES], const char *ns, const char *name)
{
    return snprintf(out, KEY_BYTES, "%s/%s", ns, name) < KEY_BYTES;
}

struct sightings *sightings_new(void)
{
    struct sightings *s = mem_alloc(sizeof *s);

    s->by_key = map_new();
    return s;
}

void sightings_put(struct sightings *s, const char *ns, const char *name, const struct sighting *seen)
{
    char key[KEY_BYTES];

    if (!key_of(key, ns, name))
        return;
    struct sighting *kept = map_get(s->by_key, key);
    if (kept == NULL && map_count(s->by_key) >= SIGHTINGS_MAX)
        return;
    if (kept == NULL) {
        kept = mem_alloc(sizeof *kept);
        map_put(s->by_key, key, kept);
    }
    *kept = *seen;
}

bool sightings_take(struct sightings *s, const char *ns, const char *name, struct sighting *out)
{
    char key[KEY_BYTES];
    struct sighting *kept = key_of(key, ns, name) ? map_remove(s->by_key, key) : NULL;

    if (kept == NULL)
        return false;
    *out = *kept;
    free(kept);
    return true;
}

void sightings_sweep(struct sightings *s, const char *ns, uint64_t round)
{
    size_t length = ns != NULL ? strlen(ns) : 0;
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->by_key, &at, &key, &value);) {
        bool covered = ns == NULL || (strncmp(key, ns, length) == 0 && key[length] == '/');
        if (!covered || ((const struct sighting *)value)->round == round)
            continue;
        map_remove(s->by_key, key);
        free(value);
    }
}

void sightings_clear(struct sightings *s)
{
    sightings_sweep(s, NULL, UINT64_MAX); /* no round is as large */
}

void sightings_free(struct sightings *s)
{
    if (s == NULL)
        return;
    sightings_clear(s);
    map_free(s->by_key);
    free(s);
}

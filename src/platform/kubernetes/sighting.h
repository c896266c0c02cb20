/*
 * sighting: counts of objects that a watch told of while nobody looked at them.
 *
 *     sightings_put(s, "shop", "web", &(struct sighting){.replicas = 2, .version = 17, .round = 3});
 *     if (sightings_take(s, "shop", "web", &seen)) ...  -- somebody looks now: no request is needed
 *
 * A kind is watched as a whole, and mostly an object is there before anybody wants to scale it: without these the first look at each
 * would be a request, a thousand of them where a thousand are installed at once. SIGHTINGS_MAX are kept, 130 bytes each; what
 * comes on top is asked for when somebody looks. Pure.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_SIGHTING_H
#define WEIR_PLATFORM_KUBERNETES_SIGHTING_H

#include <stdbool.h>
#include <stdint.h>

struct sighting {
    int32_t replicas, status_replicas, ready;
    uint64_t version, round; /* of the list or watch that told it last (target.c) */
};

struct sightings;
struct sightings *sightings_new(void);
void sightings_free(struct sightings *sightings); /* NULL is fine */
void sightings_put(struct sightings *sightings, const char *ns, const char *name, const struct sighting *seen);
/* Out of the table; false: it is not there, and out is as it was. */
bool sightings_take(struct sightings *sightings, const char *ns, const char *name, struct sighting *out);
/* A list of this namespace (NULL: of all) has ended: what it did not tell is gone. */
void sightings_sweep(struct sightings *sightings, const char *ns, uint64_t round);
void sightings_clear(struct sightings *sightings);

#endif

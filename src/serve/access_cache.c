/*
 * access_cache: what reviews said lately: whose a token is, and whether somebody may do something. All entries live equally long, so
 * the order in which they came is the order in which they end: a ring of ACCESS_CACHE_MAX, the oldest giving way.
 * Keys are hashes: neither tokens nor names can be read out of it.
 */
#include "serve/cluster_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"

struct slot {
    struct access_entry entry;
    int64_t until_ticks_ms;
    char key[ACCESS_KEY_BYTES];
};
struct access_cache {
    struct map *slots; /* key -> struct slot */
    struct slot *ring[ACCESS_CACHE_MAX];
    size_t first, count;
};

struct access_cache *access_cache_new(void)
{
    struct access_cache *cache = mem_alloc(sizeof(*cache));

    cache->slots = map_new();
    return cache;
}

static void free_slot(struct slot *slot)
{
    free((char *)slot->entry.user.name);
    free((char *)slot->entry.user.spec);
    free(slot);
}

/* A key put again has a younger slot, which stays. */
static void drop_oldest(struct access_cache *cache)
{
    struct slot *slot = cache->ring[cache->first];

    cache->first = (cache->first + 1) % ACCESS_CACHE_MAX;
    cache->count--;
    if (map_get(cache->slots, slot->key) == slot)
        map_remove(cache->slots, slot->key);
    free_slot(slot);
}

void access_cache_free(struct access_cache *cache)
{
    while (cache->count > 0)
        drop_oldest(cache);
    map_free(cache->slots);
    free(cache);
}

const struct access_entry *access_cache_get(const struct access_cache *cache, const char *key, int64_t ticks_ms)
{
    const struct slot *slot = map_get(cache->slots, key);

    return slot && ticks_ms < slot->until_ticks_ms ? &slot->entry : NULL;
}

void access_cache_put(struct access_cache *cache, const char *key, const struct access_entry *entry, int64_t ticks_ms)
{
    struct slot *slot = mem_alloc(sizeof(*slot));

    assert(strlen(key) < sizeof(slot->key));
    while (cache->count > 0 &&
           (cache->count == ACCESS_CACHE_MAX || cache->ring[cache->first]->until_ticks_ms <= ticks_ms))
        drop_oldest(cache);
    slot->entry.yes = entry->yes;
    if (entry->user.name)
        slot->entry.user = (struct access_user){
            .name = mem_copy(entry->user.name), .spec = mem_copy(entry->user.spec), .master = entry->user.master};
    slot->until_ticks_ms = ticks_ms + ACCESS_CACHE_MS;
    memcpy(slot->key, key, strlen(key) + 1);
    map_put(cache->slots, slot->key, slot);
    cache->ring[(cache->first + cache->count++) % ACCESS_CACHE_MAX] = slot;
}

size_t access_cache_count(const struct access_cache *cache)
{
    return cache->count;
}

void access_key(char kind, const void *salt, size_t salt_length, const char *bytes, size_t length,
                char out[ACCESS_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool made = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, salt, salt_length) == 1 && EVP_DigestUpdate(context, bytes, length) == 1 &&
                EVP_DigestFinal_ex(context, digest, &digest_length) == 1;

    assert(made && 1 + 2 * digest_length < ACCESS_KEY_BYTES); /* SHA-256 is always there */
    EVP_MD_CTX_free(context);
    *out++ = kind;
    for (unsigned int i = 0; i < digest_length; i++) {
        *out++ = digits[digest[i] >> 4];
        *out++ = digits[digest[i] & 15];
    }
    *out = 0;
}

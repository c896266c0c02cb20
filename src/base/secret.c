/*
 * secret: see secret.h. The count is atomic because a worker thread may drop the last reference of a credential whose
 * object was replaced while it waited for a server.
 */
#include "base/secret.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/arena.h"
#include "base/map.h"

struct secret {
    atomic_uint references;
    size_t length;
    char bytes[]; /* and a 0 byte */
};

struct secret *secret_new(const void *bytes, size_t length)
{
    struct secret *secret = mem_alloc(sizeof *secret + length + 1);

    atomic_init(&secret->references, 1);
    secret->length = length;
    if (length)
        memcpy(secret->bytes, bytes, length);
    return secret;
}

struct secret *secret_ref(struct secret *secret)
{
    if (secret) {
        unsigned before = atomic_fetch_add(&secret->references, 1);
        assert(before > 0);
        (void)before;
    }
    return secret;
}

void secret_unref(struct secret *secret)
{
    if (!secret)
        return;
    unsigned before = atomic_fetch_sub(&secret->references, 1);
    assert(before > 0);
    if (before > 1)
        return;
    explicit_bzero(secret->bytes, secret->length);
    free(secret);
}

const char *secret_reveal(const struct secret *secret)
{
    return secret ? secret->bytes : NULL;
}

size_t secret_length(const struct secret *secret)
{
    return secret ? secret->length : 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    if (!a || !b)
        return a == b;
    return a->length == b->length && CRYPTO_memcmp(a->bytes, b->bytes, a->length) == 0;
}

uint64_t secret_fingerprint(const struct secret *secret)
{
    static uint64_t salt; /* set once, before threads exist or by the same value's owner: the loop */

    if (!salt && getrandom(&salt, sizeof salt, GRND_NONBLOCK) != sizeof salt)
        salt = (uint64_t)time(NULL) ^ (uintptr_t)&salt;
    return secret ? hash_bytes(salt | 1, secret->bytes, secret->length) : 0;
}

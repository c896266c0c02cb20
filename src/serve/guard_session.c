/*
 * guard_session: what a browser's cookie stands for. A page cannot send a token when somebody opens it, so POST /login takes the token
 * once and gives a random value for it, which only the browser and this process know, and only as long as this process lives.
 * Kept is its digest; with it a token's digest (a token that is taken out of the file ends its sessions) or, of a Kubernetes account, the
 * token itself, for the API server is asked again and again whether it still holds.
 *
 * All live equally long, so those that end first stand first; the oldest gives way where there are SESSIONS_MAX.
 */
#include "serve/guard_internal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "net/loop.h"

enum { VALUE_BYTES = 32, VALUE_CHARACTERS = 2 * VALUE_BYTES };
static const char cookie_name[] = "weir-session";

struct entry {
    unsigned char key[GUARD_DIGEST_BYTES]; /* of the cookie's value */
    struct guard_session session;
    int64_t until_ticks_ms;
};
struct guard_sessions {
    struct loop *loop;
    struct entry ring[SESSIONS_MAX];
    size_t first, count;
};

struct guard_sessions *guard_sessions_new(struct loop *loop)
{
    struct guard_sessions *sessions = mem_alloc(sizeof(*sessions));

    sessions->loop = loop;
    return sessions;
}

static struct entry *at(struct guard_sessions *sessions, size_t i)
{
    return &sessions->ring[(sessions->first + i) % SESSIONS_MAX];
}

/* Its place stays until it is the oldest. */
static void forget(struct entry *entry)
{
    secret_unref(entry->session.token);
    OPENSSL_cleanse(entry, sizeof(*entry));
    *entry = (struct entry){0};
}

static void drop_oldest(struct guard_sessions *sessions)
{
    forget(at(sessions, 0));
    sessions->first = (sessions->first + 1) % SESSIONS_MAX;
    sessions->count--;
}

static void drop_ended(struct guard_sessions *sessions)
{
    int64_t ticks_ms = loop_ticks_ms(sessions->loop);

    while (sessions->count > 0 && at(sessions, 0)->until_ticks_ms <= ticks_ms)
        drop_oldest(sessions);
}

void guard_sessions_free(struct guard_sessions *sessions)
{
    while (sessions->count > 0)
        drop_oldest(sessions);
    free(sessions);
}

static void key_of(const char *value, unsigned char out[GUARD_DIGEST_BYTES])
{
    if (EVP_Digest(value, VALUE_CHARACTERS, out, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* SHA-256 is always there */
}

void guard_sessions_begin(struct guard_sessions *sessions, const struct guard_session *session, bool secure,
                          struct text *cookie)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[VALUE_BYTES];
    char value[VALUE_CHARACTERS + 1];
    struct entry *entry;

    drop_ended(sessions);
    if (sessions->count == SESSIONS_MAX)
        drop_oldest(sessions);
    if (RAND_bytes(random, VALUE_BYTES) != 1)
        abort();
    for (int i = 0; i < VALUE_BYTES; i++) {
        value[2 * i] = digits[random[i] >> 4];
        value[2 * i + 1] = digits[random[i] & 15];
    }
    value[VALUE_CHARACTERS] = '\0';
    entry = at(sessions, sessions->count++);
    key_of(value, entry->key);
    entry->session = *session;
    if (session->token)
        secret_ref(session->token);
    entry->until_ticks_ms = loop_ticks_ms(sessions->loop) + (int64_t)SESSION_S * 1000;
    text_printf(cookie, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", cookie_name, value, SESSION_S,
                secure ? "; Secure" : "");
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(value, sizeof(value));
}

/* "a=b; weir-session=0123..." NULL: it is not there, or no value of ours. */
static const char *value_of(const struct server_request *request)
{
    const char *cookies = server_header(request, "Cookie");
    size_t name = sizeof(cookie_name) - 1;

    while (cookies) {
        cookies += strspn(cookies, " ;");
        if (strncmp(cookies, cookie_name, name) == 0 && cookies[name] == '=') {
            cookies += name + 1;
            return strcspn(cookies, "; ") == VALUE_CHARACTERS ? cookies : NULL;
        }
        cookies = strchr(cookies, ';');
    }
    return NULL;
}

static struct entry *find(struct guard_sessions *sessions, const struct server_request *request)
{
    const char *value = value_of(request);
    unsigned char key[GUARD_DIGEST_BYTES];
    struct entry *found = NULL;

    if (!value)
        return NULL;
    drop_ended(sessions);
    key_of(value, key);
    for (size_t i = 0; i < sessions->count; i++)
        if (at(sessions, i)->until_ticks_ms > 0 && CRYPTO_memcmp(at(sessions, i)->key, key, sizeof(key)) == 0)
            found = at(sessions, i);
    return found;
}

const struct guard_session *guard_sessions_find(struct guard_sessions *sessions, const struct server_request *request)
{
    const struct entry *entry = find(sessions, request);

    return entry ? &entry->session : NULL;
}

void guard_sessions_end(struct guard_sessions *sessions, const struct server_request *request, struct text *cookie)
{
    struct entry *entry = find(sessions, request);

    if (entry)
        forget(entry);
    text_printf(cookie, "%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", cookie_name);
}

/*
 * fetch: the store. What is fetched for credentials, once for all who need the same, and kept as long as somebody does.
 *
 *     fetch_key_* -> one struct fetched -> begin() -> fetched_found / fetched_failed -> those who asked are told, in a turn of its own
 *                                            ^                      |
 *                                            +--- again_ms, retry --+
 *
 * Values stay in use while they are fetched anew: only a source that says that they are gone, or refuses us, takes them away at once;
 * one that does not answer does so when they end. Who is told asks again, which is how the store knows that it still wants to be
 * told. What nobody holds, waits for or asked for lately is given back and wiped.
 *
 * One thing may need another (a secret a login, a login a token): it holds it, and is begun again when that changes.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential_internal.h"
#include "net/loop.h"
#include "net/transport.h"

enum {
    LOOK_MS = 15 * 1000,           /* between two looks for what nobody needs any more */
    ASK_AGAIN_MS = 10 * 60 * 1000, /* who was told and did not ask again within that is forgotten */
    RETRY_MS = 1000,               /* after the first failure; then twice as long, up to: */
    RETRY_MAX_MS = 60 * 1000,
    REFUSED_AGAIN_MS = 30 * 1000, /* after a refusal, or where there is nothing: somebody has to do something first */
    DENIED_AGAIN_MS = 15 * 1000,  /* what is younger is not what is wrong; then twice as long each time, up to: */
    DENIED_AGAIN_MAX_MS =
        900 * 1000, /* a source that refuses for ever, or a tenant who names one, costs a lease that often */
    DENIED_FORGET_MS = 3600 * 1000, /* a refusal so long after the last has another reason */
    PART_MS = 3000,                 /* for what is given back at the end */
    HEADERS_MAX = 6,
};

/* ------------------------------------------------------------------ values */

void values_free(struct map *values)
{
    const char *key;
    void *value;

    for (size_t at = 0; values && map_next(values, &at, &key, &value);)
        secret_unref(value);
    map_free(values);
}

static bool same_values(const struct map *a, const struct map *b)
{
    const char *key;
    void *value;

    if (!a || !b || map_count(a) != map_count(b))
        return a == b;
    for (size_t at = 0; map_next(a, &at, &key, &value);)
        if (!secret_equal(value, map_get(b, key)))
            return false;
    return true;
}

void secret_text_init(struct text *text, size_t bytes)
{
    char *room = mem_alloc(bytes);

    text_init(text, bytes);
    text_append(text, room, bytes);
    text_clear(text);
    free(room);
}

void secret_text_done(struct text *text)
{
    if (text->capacity > 0)
        explicit_bzero(text->bytes, text->capacity);
    text_done(text);
}

static size_t values_bytes(const struct map *values)
{
    enum { ROOM_OF_ONE = 96 }; /* in the map, and as a secret */
    const char *key;
    void *value;
    size_t bytes = 0;

    for (size_t at = 0; map_next(values, &at, &key, &value);)
        bytes += strlen(key) + secret_length(value) + ROOM_OF_ONE;
    return bytes;
}

/* ------------------------------------------------------------------ shares of the room there is */

static struct share *share_of(struct credential_store *store, const char *owner)
{
    struct share *share = map_get(store->shares, owner);

    if (!share) {
        share = mem_alloc(sizeof(*share));
        map_put(store->shares, owner, share);
    }
    return share;
}

/* Takes the values over. */
static void keep_values(struct fetched *f, struct map *values, size_t bytes)
{
    struct share *share = share_of(f->store, f->owner);

    share->bytes = share->bytes - f->bytes + bytes;
    f->store->bytes = f->store->bytes - f->bytes + bytes;
    f->bytes = bytes;
    values_free(f->values);
    f->values = values;
}

static void leave_share(struct fetched *f)
{
    struct share *share = share_of(f->store, f->owner);

    keep_values(f, NULL, 0);
    if (--share->count == 0)
        free(map_remove(f->store->shares, f->owner));
}

/* One namespace cannot take all the room there is. */
static bool fits(const struct fetched *f, size_t bytes, struct error *err)
{
    const struct share *share = map_get(f->store->shares, f->owner);

    if (bytes > CREDENTIAL_KEPT_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "%s has more than %d KiB (CREDENTIAL_KEPT_MAX_BYTES)", f->kind->what,
                         CREDENTIAL_KEPT_MAX_BYTES / 1024);
    if (f->owner[0] && share->bytes - f->bytes + bytes > CREDENTIAL_NAMESPACE_MAX_BYTES)
        return error_set(err, ERROR_LIMIT,
                         "what is fetched for the credentials of namespace %.63s takes more than %d MiB "
                         "(CREDENTIAL_NAMESPACE_MAX_BYTES)",
                         f->owner, CREDENTIAL_NAMESPACE_MAX_BYTES >> 20);
    return f->store->bytes - f->bytes + bytes <= CREDENTIAL_STORE_MAX_BYTES ||
           error_set(err, ERROR_LIMIT,
                     "what is fetched for credentials takes more than %d MiB (CREDENTIAL_STORE_MAX_BYTES)",
                     CREDENTIAL_STORE_MAX_BYTES >> 20);
}

/* ------------------------------------------------------------------ telling */

static void tell_waiters(struct fetched *f)
{
    f->telling = f->waiters;
    f->waiters = NULL;
    while (f->telling) {
        struct credential_waiter *w = f->telling;

        f->telling = w->next;
        w->on = NULL;
        w->told(w->arg);
    }
}

static void tell_keys(struct fetched *f)
{
    struct credential_store *store = f->store;
    const char *key;
    void *asked;

    f->tellings++;
    f->lacking = false; /* until they ask again */
    f->told_ticks_ms = loop_ticks_ms(store->parts.loop);
    if (map_count(f->keys) > 0)
        f->asked_ticks_ms = f->told_ticks_ms; /* they will ask soon */
    for (size_t at = 0; store->listener && map_next(f->keys, &at, &key, &asked);)
        store->listener(store->listener_arg, key);
}

static void on_tell(void *arg)
{
    struct credential_store *store = arg;
    struct fetched *f = store->changed;

    store->changed = NULL;
    while (f) {
        struct fetched *next = f->next_changed;

        f->changed = false;
        tell_waiters(f);
        tell_keys(f);
        f = next;
    }
}

/* In a turn of its own: it may become known within the call that asks for it. */
static void mark_changed(struct fetched *f)
{
    if (f->changed || (!f->waiters && map_count(f->keys) == 0))
        return;
    f->changed = true;
    f->next_changed = f->store->changed;
    f->store->changed = f;
    loop_timer_set(f->store->tell_timer, 0);
}

void fetched_wait(struct fetched *f, struct credential_waiter *waiter)
{
    credential_wait_end(waiter);
    waiter->on = f;
    waiter->next = f->waiters;
    f->waiters = waiter;
}

static bool take_out(struct credential_waiter **link, const struct credential_waiter *waiter)
{
    while (*link && *link != waiter)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = waiter->next;
    return true;
}

void credential_wait_end(struct credential_waiter *waiter)
{
    if (!waiter->on)
        return;
    if (!take_out(&waiter->on->waiters, waiter))
        take_out(&waiter->on->telling, waiter);
    waiter->on = NULL;
}

/* ------------------------------------------------------------------ fetching */

static void begin(struct fetched *f)
{
    if (f->store->parts_with_all)
        return;
    f->busy = true;
    f->stale = false;
    f->begun_ticks_ms = loop_ticks_ms(f->store->parts.loop);
    f->store->stats.fetches++;
    f->kind->begin(f);
}

static void on_again(void *arg)
{
    struct fetched *f = arg;

    if (!f->busy)
        begin(f);
}

void fetched_start(struct fetched *f)
{
    begin(f);
}

void fetched_again(struct fetched *f)
{
    int64_t wait_ms;

    if (!f->store || f->busy)
        return;
    f->anew = true;
    wait_ms = f->begun_ticks_ms + CREDENTIAL_REFRESH_MIN_MS - loop_ticks_ms(f->store->parts.loop);
    loop_timer_set(f->timer, wait_ms > 0 ? wait_ms : 0);
}

/* A tenth sooner or later, so that what was asked for together is not always asked for together; the same for the same thing. */
static int64_t spread_ms(const struct fetched *f, int64_t ms)
{
    return ms - ms / 10 + (int64_t)(hash_string(0, f->key) % (uint64_t)(ms / 10 + 1));
}

bool fetched_is_good(const struct fetched *f)
{
    return f->state == LOOKUP_FOUND && loop_ticks_ms(f->store->parts.loop) < f->ends_ticks_ms;
}

void fetched_stays(struct fetched *f, int64_t valid_ms, int64_t again_ms)
{
    f->busy = f->anew = false;
    f->failures = 0;
    f->ends_ticks_ms = valid_ms > 0 ? loop_ticks_ms(f->store->parts.loop) + valid_ms : INT64_MAX;
    if (f->stale)
        loop_timer_set(f->timer, 0);
    else if (again_ms > 0)
        loop_timer_set(f->timer,
                       spread_ms(f, again_ms > CREDENTIAL_REFRESH_MIN_MS ? again_ms : CREDENTIAL_REFRESH_MIN_MS));
    else
        loop_timer_stop(f->timer);
    if (f->waiters)
        mark_changed(f);
}

bool fetched_found(struct fetched *f, struct map *values, int64_t valid_ms, int64_t again_ms)
{
    bool same = f->state == LOOKUP_FOUND && same_values(f->values, values);
    size_t bytes = values_bytes(values);
    struct error err;

    if (!fits(f, bytes, &err)) {
        values_free(values);
        fetched_failed(f, &err);
        return false;
    }
    f->state = LOOKUP_FOUND;
    f->version += !same;
    keep_values(f, values, bytes);
    f->fetched_ticks_ms = loop_ticks_ms(f->store->parts.loop);
    fetched_stays(f, valid_ms, again_ms);
    if (!same)
        mark_changed(f);
    return true;
}

void fetched_found_one(struct fetched *f, struct secret *value, int64_t valid_ms, int64_t again_ms)
{
    struct map *values = map_new();

    map_put(values, "value", value);
    fetched_found(f, values, valid_ms, again_ms);
}

static bool is_temporary(enum error_kind kind)
{
    return kind == ERROR_UNREACHABLE || kind == ERROR_NONSENSE || kind == ERROR_LIMIT || kind == ERROR_INTERNAL;
}

static int64_t retry_ms(const struct fetched *f, enum error_kind kind)
{
    int64_t ms = is_temporary(kind) ? RETRY_MS : REFUSED_AGAIN_MS;

    for (int i = 1; i < f->failures && ms < RETRY_MAX_MS; i++)
        ms *= 2;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

void fetched_failed(struct fetched *f, const struct error *err)
{
    int64_t wait_ms, left_ms;

    f->busy = false;
    f->failures++;
    f->store->stats.failures++;
    wait_ms = spread_ms(f, retry_ms(f, err->kind));
    if (f->stale)
        wait_ms = 0;
    if (fetched_is_good(f) && is_temporary(err->kind)) {
        left_ms = f->ends_ticks_ms - loop_ticks_ms(f->store->parts.loop);
        loop_timer_set(f->timer, left_ms < wait_ms ? left_ms : wait_ms);
        if (f->waiters)
            mark_changed(f); /* some cannot go on with what there is */
        return;
    }
    if (f->state == LOOKUP_PENDING || f->state == LOOKUP_FOUND || f->why.kind != err->kind || f->waiters)
        mark_changed(f);
    f->version += f->state == LOOKUP_FOUND;
    keep_values(f, NULL, 0);
    f->anew = false;
    f->state = err->kind == ERROR_MISSING ? LOOKUP_ABSENT : LOOKUP_DENIED;
    f->why = *err;
    loop_timer_set(f->timer, wait_ms);
}

static void on_need(void *arg)
{
    struct fetched *f = arg;
    bool is_other = f->needed->version != f->need_version;

    if (f->exchange && is_other) /* it is asking already, with what it knew */
        f->stale = true;
    else if (!f->exchange && (f->busy || is_other))
        begin(f);
    else /* what it needs is as it was */
        fetched_wait(f->needed, &f->need);
}

enum lookup fetched_needs(struct fetched *f, struct fetched *other)
{
    if (f->needed != other) {
        fetched_hold(other);
        fetched_release(f->needed);
        f->needed = other;
    }
    other->asked_ticks_ms = loop_ticks_ms(f->store->parts.loop);
    f->need_version = other->version;
    f->need.told = on_need;
    f->need.arg = f;
    fetched_wait(other, &f->need);
    if (other->state != LOOKUP_FOUND && other->state != LOOKUP_PENDING)
        fetched_failed(f, &other->why);
    if (other->state == LOOKUP_FOUND && !fetched_is_good(other)) { /* over, and nobody knows better yet */
        fetched_again(other);
        return LOOKUP_PENDING;
    }
    return other->state;
}

/* ------------------------------------------------------------------ asking over HTTP */

static void on_http(void *arg, const struct http_reply *reply)
{
    struct fetched *f = arg;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct fetch_answer answer = {.status = reply->status, .error = reply->error};
    struct tree *json = NULL;

    f->exchange = NULL;
    if (reply->failed)
        answer.status = 0;
    else if (tree_read_json(reply->body, reply->body_length, false, arena, &json, NULL))
        answer.json = json;
    f->answered(f, &answer);
    tree_wipe(json);
    arena_free(arena);
}

/* The URL of a token server, or of Vault, is somebody's text: only where it clearly leads to one host is it used. */
bool fetch_address_host(const char *url, char *out, size_t size)
{
    const char *host, *end;

    if (!url || (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0))
        return false;
    host = strstr(url, "://") + 3;
    end = host + strcspn(host, "/?#");
    if (end == host || memchr(host, '@', (size_t)(end - host)) || (size_t)(end - host) >= size)
        return false;
    memcpy(out, host, (size_t)(end - host));
    out[end - host] = '\0';
    return true;
}

static struct http_request http_of(const struct fetched *f, const struct fetch_request *r, struct http_header *headers)
{
    size_t count = 0;

    assert(r->header_count < HEADERS_MAX);
    for (size_t i = 0; i < r->header_count; i++)
        headers[count++] = r->headers[i];
    if (r->content_type)
        headers[count++] = (struct http_header){.name = "Content-Type", .value = r->content_type};
    return (struct http_request){.method = r->method,
                                 .url = r->url,
                                 .headers = headers,
                                 .header_count = count,
                                 .body = r->body,
                                 .body_length = r->body_length,
                                 .tls = r->tls,
                                 .body_max_bytes = CREDENTIAL_ANSWER_MAX_BYTES,
                                 .body_bound = "CREDENTIAL_ANSWER_MAX_BYTES",
                                 .no_redirects = true,
                                 .ns = f->ns,
                                 .trusted = f->trusted,
                                 .secret = true};
}

void fetched_http(struct fetched *f, const struct fetch_request *request, fetch_answered *answered)
{
    struct http_header headers[HEADERS_MAX];
    struct http_request http = http_of(f, request, headers);
    struct transport *transport = f->store->parts.transport;

    assert(!f->exchange);
    f->answered = answered;
    f->exchange = transport_http(transport, &http, on_http, f);
}

/* ------------------------------------------------------------------ parting */

struct parting { /* a word that was sent, with no thing behind it any more */
    struct credential_store *store;
    struct parting *next;
    struct exchange *exchange;
};

static void parting_end(struct parting *parting)
{
    struct parting **link = &parting->store->partings;

    while (*link != parting)
        link = &(*link)->next;
    *link = parting->next;
    free(parting);
}

static void on_parted(void *arg, const struct http_reply *reply)
{
    struct parting *parting = arg;
    struct credential_store *store = parting->store;

    (void)reply;
    parting_end(parting);
    if (!store->partings && store->parted)
        loop_timer_set(store->part_timer, 0);
}

void fetch_parting_word(struct fetched *f, const struct fetch_request *request)
{
    struct http_header headers[HEADERS_MAX];
    struct http_request http = http_of(f, request, headers);
    struct parting *parting = mem_alloc(sizeof(*parting));

    *parting = (struct parting){.store = f->store, .next = f->store->partings};
    f->store->partings = parting;
    parting->exchange = transport_http(f->store->parts.transport, &http, on_parted, parting);
}

static void on_all_parted(void *arg)
{
    struct credential_store *store = arg;
    void (*parted)(void *arg) = store->parted;

    store->parted = NULL;
    parted(store->parted_arg);
}

/* Nothing is asked for any more: what was lent after the word that gives all back would stay lent. */
static void end_asking(struct fetched *f)
{
    if (f->exchange)
        transport_http_cancel(f->store->parts.transport, f->exchange);
    f->exchange = NULL;
    if (f->busy && f->kind->stop)
        f->kind->stop(f);
    f->busy = false;
    credential_wait_end(&f->need);
    loop_timer_stop(f->timer);
}

void credential_store_part(struct credential_store *store, void (*done)(void *arg), void *arg)
{
    const char *key;
    void *value;

    store->parted = done;
    store->parted_arg = arg;
    store->parts_with_all = true;
    loop_timer_stop(store->look_timer);
    for (size_t at = 0; map_next(store->all, &at, &key, &value);)
        end_asking(value);
    for (size_t at = 0; map_next(store->all, &at, &key, &value);) {
        struct fetched *f = value;

        if (f->kind->give_back)
            f->kind->give_back(f);
    }
    loop_timer_set(store->part_timer, store->partings ? PART_MS : 0);
}

/* ------------------------------------------------------------------ finding one */

void fetch_key_begin(struct fetch_key *key, const struct fetch_kind *kind, const char *ns)
{
    key->ns = key->owner = ns;
    key->md = EVP_MD_CTX_new();
    if (!key->md || !EVP_DigestInit_ex(key->md, EVP_sha256(), NULL))
        abort(); /* out of memory */
    fetch_key_add(key, kind->what);
    fetch_key_add(key, ns);
}

static void add_part(struct fetch_key *key, const char *bytes, size_t length)
{
    uint64_t size = bytes ? length : UINT64_MAX;

    EVP_DigestUpdate(key->md, &size, sizeof(size)); /* so that no part runs into the next */
    if (bytes)
        EVP_DigestUpdate(key->md, bytes, length);
}

void fetch_key_add(struct fetch_key *key, const char *text)
{
    add_part(key, text, text ? strlen(text) : 0);
}

void fetch_key_add_secret(struct fetch_key *key, const struct secret *secret)
{
    add_part(key, secret_reveal(secret), secret_length(secret));
}

static bool has_room(const struct credential_store *store, const char *owner, struct error *err)
{
    const struct share *share = owner ? map_get(store->shares, owner) : NULL;

    if (share && share->count >= CREDENTIAL_FETCHED_IN_NAMESPACE_MAX)
        return error_set(err, ERROR_LIMIT,
                         "more than %d things are fetched for the credentials of namespace %.63s "
                         "(CREDENTIAL_FETCHED_IN_NAMESPACE_MAX)",
                         CREDENTIAL_FETCHED_IN_NAMESPACE_MAX, owner);
    return map_count(store->all) < CREDENTIAL_FETCHED_MAX ||
           error_set(err, ERROR_LIMIT, "more than %d things are fetched for credentials (CREDENTIAL_FETCHED_MAX)",
                     CREDENTIAL_FETCHED_MAX);
}

static struct fetched *fetched_new(struct credential_store *store, const struct fetch_kind *kind, const char *key)
{
    struct fetched *f = mem_alloc(sizeof(*f));

    *f = (struct fetched){.store = store, .kind = kind, .state = LOOKUP_PENDING, .ends_ticks_ms = INT64_MAX};
    f->arena = arena_new(ARENA_SMALL);
    f->keys = map_new();
    f->timer = loop_timer_new(store->parts.loop, on_again, f);
    map_put(store->all, key, f);
    f->key = map_key(store->all, key);
    if (map_count(store->all) == 1)
        loop_timer_set(store->look_timer, LOOK_MS);
    return f;
}

struct fetched *fetch_key_end(struct fetch_key *key, struct credential_store *store, const struct fetch_kind *kind,
                              bool *is_new, struct error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned length = 0;
    struct fetched *f;

    EVP_DigestFinal_ex(key->md, digest, &length);
    EVP_MD_CTX_free(key->md);
    key->md = NULL;
    for (unsigned i = 0; i < length; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[2 * length] = '\0';
    f = map_get(store->all, hex);
    *is_new = !f;
    if (!f && !has_room(store, key->owner, err))
        return NULL;
    if (!f) {
        f = fetched_new(store, kind, hex);
        f->ns = arena_copy(f->arena, key->ns);
        f->owner = arena_copy(f->arena, key->owner ? key->owner : "");
        share_of(store, f->owner)->count++;
    }
    return f;
}

enum lookup fetched_ask(struct fetched *f, const char *key, struct error *err)
{
    f->asked_ticks_ms = loop_ticks_ms(f->store->parts.loop);
    if (key && map_count(f->keys) >= CREDENTIAL_ASKERS_MAX && !map_get(f->keys, key)) {
        error_set(err, ERROR_LIMIT, "%s is supplied by more than %d TriggerAuthentications (CREDENTIAL_ASKERS_MAX)",
                  f->kind->what, CREDENTIAL_ASKERS_MAX);
        return LOOKUP_DENIED;
    }
    if (key)
        map_put(f->keys, key, (void *)(f->tellings + 1));
    if (f->state != LOOKUP_FOUND && f->state != LOOKUP_PENDING)
        *err = f->why;
    return f->state;
}

void fetched_lacks(struct fetched *f)
{
    f->lacking = true;
}

const struct secret *fetched_value(const struct fetched *f, const char *name)
{
    return f->values ? map_get(f->values, name) : NULL;
}

/* ------------------------------------------------------------------ its end */

static void stop(struct fetched *f)
{
    end_asking(f);
    loop_timer_free(f->timer);
    f->timer = NULL;
}

static void fetched_destroy(struct fetched *f)
{
    if (f->kind->forget && f->spec)
        f->kind->forget(f->spec);
    values_free(f->values);
    map_free(f->keys);
    arena_free(f->arena);
    free(f);
}

struct fetched *fetched_hold(struct fetched *f)
{
    f->holders++;
    return f;
}

void fetched_release(struct fetched *f)
{
    if (!f)
        return;
    assert(f->holders > 0);
    f->holders--;
    if (f->store)
        f->asked_ticks_ms = loop_ticks_ms(f->store->parts.loop);
    else if (f->holders == 0)
        fetched_destroy(f);
}

static void drop(struct fetched *f)
{
    struct credential_store *store = f->store;

    assert(!f->changed && f->holders == 0 && !f->waiters);
    if (f->kind->give_back)
        f->kind->give_back(f);
    stop(f);
    fetched_release(f->needed);
    map_remove(store->all, f->key);
    leave_share(f);
    fetched_destroy(f);
}

/* Those who were told and did not ask again do not want to know any more. */
static void forget_silent(struct fetched *f, int64_t now)
{
    const char *key;
    void *asked;

    if (f->tellings == 0 || now - f->told_ticks_ms < ASK_AGAIN_MS)
        return;
    for (size_t at = 0; map_next(f->keys, &at, &key, &asked);)
        if ((uintptr_t)asked <= f->tellings)
            map_remove(f->keys, key);
}

/* What could not be had, or lacks what is wanted of it, may have no holders, only those who wait to be told: whether they still do is found out by telling. */
static bool is_unused(struct fetched *f, int64_t now)
{
    if (f->holders > 0 || f->waiters || f->changed || now - f->asked_ticks_ms < f->kind->unused_ms)
        return false;
    if ((f->state == LOOKUP_FOUND && !f->lacking) || map_count(f->keys) == 0)
        return true;
    if (now - f->asked_ticks_ms >= ASK_AGAIN_MS && now - f->told_ticks_ms >= ASK_AGAIN_MS)
        mark_changed(f);
    return false;
}

static void on_look(void *arg)
{
    struct credential_store *store = arg;
    int64_t now = loop_ticks_ms(store->parts.loop);
    const char *key;
    void *value;

    for (size_t at = 0; map_next(store->all, &at, &key, &value);) {
        forget_silent(value, now);
        if (is_unused(value, now))
            drop(value);
    }
    if (map_count(store->all) > 0)
        loop_timer_set(store->look_timer, LOOK_MS);
}

static int64_t denied_again_ms(const struct fetched *f)
{
    int64_t ms = DENIED_AGAIN_MS;

    for (int i = 0; i < f->denials && ms < DENIED_AGAIN_MAX_MS; i++)
        ms *= 2;
    return ms < DENIED_AGAIN_MAX_MS ? ms : DENIED_AGAIN_MAX_MS;
}

static void denied(struct fetched *f)
{
    int64_t now;

    if (!f->store || f->busy || f->state != LOOKUP_FOUND)
        return;
    now = loop_ticks_ms(f->store->parts.loop);
    if (f->denials > 0 && now - f->denied_ticks_ms >= DENIED_FORGET_MS)
        f->denials = 0;
    if (now - f->fetched_ticks_ms < DENIED_AGAIN_MS ||
        (f->denials > 0 && now - f->denied_ticks_ms < denied_again_ms(f)))
        return;
    f->denials++;
    f->denied_ticks_ms = now;
    fetched_again(f);
}

void credential_denied(const struct credential *credential)
{
    for (size_t i = 0; i < credential->held_count; i++)
        denied(credential->held[i]);
}

/* ------------------------------------------------------------------ the store */

struct credential_store *credential_store_new(const struct credential_parts *parts)
{
    struct credential_store *store = mem_alloc(sizeof(*store));

    store->parts = *parts;
    store->all = map_new();
    store->shares = map_new();
    if (parts->loop) {
        store->tell_timer = loop_timer_new(parts->loop, on_tell, store);
        store->look_timer = loop_timer_new(parts->loop, on_look, store);
        store->part_timer = loop_timer_new(parts->loop, on_all_parted, store);
    }
    return store;
}

void credential_store_configure(struct credential_store *store, const struct credential_settings *settings)
{
    free(store->file_root);
    free(store->vault_namespaces);
    store->settings = *settings;
    store->settings.file_root = store->file_root = mem_copy(settings->file_root);
    store->settings.vault_namespaces = store->vault_namespaces = mem_copy(settings->vault_namespaces);
}

void credential_store_listen(struct credential_store *store, void (*changed)(void *arg, const char *key), void *arg)
{
    store->listener = changed;
    store->listener_arg = arg;
}

void credential_store_free(struct credential_store *store)
{
    const char *key;
    void *value;

    if (!store)
        return;
    while (store->partings) {
        transport_http_cancel(store->parts.transport, store->partings->exchange);
        parting_end(store->partings);
    }
    for (size_t at = 0; map_next(store->all, &at, &key, &value);)
        stop(value);
    for (size_t at = 0; map_next(store->all, &at, &key, &value);) {
        struct fetched *f = value;

        while (f->waiters)
            credential_wait_end(f->waiters);
        f->store = NULL;
        f->key = NULL;
        fetched_hold(f); /* until all are without a store */
    }
    for (size_t at = 0; map_next(store->all, &at, &key, &value);)
        fetched_release(((struct fetched *)value)->needed);
    for (size_t at = 0; map_next(store->all, &at, &key, &value);)
        fetched_release(value);
    map_free(store->all);
    for (size_t at = 0; map_next(store->shares, &at, &key, &value);)
        free(value);
    map_free(store->shares);
    loop_timer_free(store->tell_timer);
    loop_timer_free(store->look_timer);
    loop_timer_free(store->part_timer);
    free(store->file_root);
    free(store->vault_namespaces);
    free(store);
}

void credential_store_stats(const struct credential_store *store, struct credential_stats *out)
{
    *out = store->stats;
    out->kept = (uint32_t)map_count(store->all);
}

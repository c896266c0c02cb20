/*
 * data: Secrets and ConfigMaps, each by its name.
 *
 *     nobody asks      ──secret_get──> PENDING ──> FOUND / ABSENT / DENIED, kept up to date, told when it differs
 *                                         │
 *              one reflector with the field selector metadata.name=... (RBAC: a Role with resourceNames allows it)
 *              or, where only `get` is allowed or KUBE_DATA_WATCHES_MAX are watched already, a GET every 30 s
 *
 * The secrets of a cluster are never listed (09-quirks B38): only what is referred to is read, and only its bytes are kept, as
 * secrets, wiped when they go. Whoever asks keeps what it was given and need not ask again until told, so whether one is still used
 * is found out by telling once in a while that it may have changed: who still uses it asks again, and what nobody asks for is
 * dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

enum {
    LOOK_EVERY_MS = 30 * 1000,         /* those that are not watched are asked for so often */
    UNASKED_AFTER_MS = 60 * 60 * 1000, /* then whoever uses it is told to ask again */
    DROPPED_AFTER_MS = 5 * 60 * 1000,  /* and so long after that it goes, nobody having asked */
    KEY_BYTES = 520,
};

struct datum {
    struct data *data;
    bool secret;
    char *ns, *name;
    enum lookup state;
    struct map *values; /* key -> struct secret; while FOUND */
    struct reflector *reflector;
    struct kube_ask *ask;     /* where it is not watched */
    bool listed;              /* in the list that is being told, it was there */
    int64_t asked_ticks;      /* somebody asked last */
    int64_t questioned_ticks; /* users were told to ask again; 0: not since */
};

struct data_watcher {
    void (*changed)(void *arg, const char *ns, const char *name);
    void *arg;
};

struct telling { /* a change that is not told yet */
    char *ns, *name;
    struct telling *next;
};

struct data {
    struct kubernetes *k;
    struct map *all; /* "s ns/name", "c ns/name" -> struct datum */
    size_t watched;  /* of them, by a reflector */
    struct timer *timer, *tell_timer;
    struct telling *tellings, **tellings_end;
    struct data_watcher *watchers;
    size_t watcher_count;
};

/* ------------------------------------------------------------------ values */

static void values_free(struct map *values)
{
    const char *key;
    void *value;

    for (size_t at = 0; values != NULL && map_next(values, &at, &key, &value);)
        secret_unref(value);
    map_free(values);
}

static bool same_values(const struct map *a, const struct map *b)
{
    const char *key;
    void *value;

    if (a == NULL || b == NULL || map_count(a) != map_count(b))
        return a == b;
    for (size_t at = 0; map_next(a, &at, &key, &value);) {
        const struct secret *other = map_get(b, key);
        if (other == NULL || !secret_equal(value, other))
            return false;
    }
    return true;
}

/* NULL: not base64. */
static struct secret *decode(const char *text, size_t length)
{
    struct secret *secret = NULL;
    unsigned char *bytes = mem_alloc(length / 4 * 3 + 4);
    int decoded = length % 4 == 0 && length <= KUBE_DATA_VALUES_MAX_BYTES
                      ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)length)
                      : -1;

    if (decoded >= 0) {
        size_t padding = length == 0 ? 0 : (size_t)(text[length - 1] == '=') + (size_t)(text[length - 2] == '=');
        secret = secret_new(bytes, (size_t)decoded - padding);
    }
    OPENSSL_cleanse(bytes, length / 4 * 3 + 4);
    free(bytes);
    return secret;
}

/* What cannot be read is left out: the key is absent then. */
static struct map *read_values(const struct datum *d, const struct tree *object)
{
    struct map *values = map_new();
    const struct tree *list = tree_get(object, "data");

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next) {
        if (one->type != TREE_STRING)
            continue;
        struct secret *value = d->secret ? decode(one->text, one->length) : secret_new(one->text, one->length);
        if (value != NULL)
            secret_unref(map_put(values, one->key, value));
    }
    return values;
}

/* ------------------------------------------------------------------ what is known */

/* In a later turn: what changed is often found while somebody looks something up. */
void kubernetes_data_tell(struct kubernetes *k, const char *ns, const char *name)
{
    struct data *data = k->data;
    struct telling *telling = mem_alloc(sizeof *telling);

    *telling = (struct telling){.ns = mem_copy(ns), .name = mem_copy(name)};
    if (data->tellings == NULL)
        loop_timer_set(data->tell_timer, 0);
    *data->tellings_end = telling;
    data->tellings_end = &telling->next;
}

static struct telling *telling_free(struct telling *telling)
{
    struct telling *next = telling->next;

    free(telling->ns);
    free(telling->name);
    free(telling);
    return next;
}

static void on_tell(void *arg)
{
    struct data *data = arg;
    struct telling *telling = data->tellings;

    data->tellings = NULL;
    data->tellings_end = &data->tellings;
    while (telling != NULL) {
        for (size_t i = 0; i < data->watcher_count; i++)
            data->watchers[i].changed(data->watchers[i].arg, telling->ns, telling->name);
        telling = telling_free(telling);
    }
}

/* Takes values over; NULL where there are none. */
static void know(struct datum *d, enum lookup state, struct map *values)
{
    bool same = d->state == state && same_values(d->values, values);
    struct map *old = d->values;

    d->state = state;
    d->values = values;
    values_free(old);
    if (!same)
        kubernetes_data_tell(d->data->k, d->ns, d->name);
}

static void know_object(struct datum *d, const struct tree *object)
{
    know(d, LOOKUP_FOUND, read_values(d, object));
}

/* ------------------------------------------------------------------ asking for those that are not watched */

static void on_answer(void *arg, const struct kube_reply *reply)
{
    struct datum *d = arg;

    d->ask = NULL;
    if (reply->error.kind == ERROR_NONE && reply->body != NULL)
        know_object(d, reply->body);
    else if (reply->error.kind == ERROR_MISSING)
        know(d, LOOKUP_ABSENT, NULL);
    else if (reply->error.kind == ERROR_DENIED) {
        if (d->state != LOOKUP_DENIED)
            kubernetes_say(d->data->k, true, "%s %s/%s cannot be read: %s", d->secret ? "Secret" : "ConfigMap", d->ns,
                           d->name, reply->error.text);
        know(d, LOOKUP_DENIED, NULL);
    } /* else: what is known stays, and the next look asks again */
}

static void ask(struct datum *d)
{
    struct text path;

    if (d->ask != NULL)
        return;
    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "", "v1", d->ns, d->secret ? "secrets" : "configmaps", d->name, NULL);
    d->ask = kube_ask(d->data->k->kube,
                      &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ}, on_answer, d);
    text_done(&path);
}

/* ------------------------------------------------------------------ watching */

static void on_begin(void *arg)
{
    struct datum *d = arg;

    d->listed = false;
}

static void on_item(void *arg, const struct tree *object)
{
    struct datum *d = arg;
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    if (strcmp(meta.name, d->name) != 0)
        return; /* a server that does not know the selector: nobody asked for this one */
    d->listed = true;
    know_object(d, object);
}

/* Too large to be read, not gone: what was known of it stands. */
static void on_kept(void *arg, const struct tree *metadata)
{
    struct datum *d = arg;
    const char *name = tree_string(tree_at(metadata, "metadata.name"));

    d->listed |= name == NULL || strcmp(name, d->name) == 0;
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct datum *d = arg;

    (void)ns, (void)last;
    if (strcmp(name, d->name) == 0)
        know(d, LOOKUP_ABSENT, NULL);
}

static void on_synced(void *arg)
{
    struct datum *d = arg;

    if (!d->listed)
        know(d, LOOKUP_ABSENT, NULL);
}

static void unwatch(struct datum *d)
{
    if (d->reflector == NULL)
        return;
    reflector_free(d->reflector);
    d->reflector = NULL;
    d->data->watched--;
}

static void on_trouble(void *arg, const struct error *err)
{
    struct datum *d = arg;

    if (err == NULL || err->kind != ERROR_DENIED)
        return; /* the reflector goes on trying; what is known stays */
    unwatch(d);
    ask(d);
}

static void watch(struct datum *d)
{
    struct text path, selector;

    text_init(&path, HTTP_URL_MAX_BYTES);
    text_init(&selector, KEY_BYTES);
    kube_path(&path, "", "v1", d->ns, d->secret ? "secrets" : "configmaps", NULL, NULL);
    text_printf(&selector, "metadata.name=%s", d->name);
    d->reflector = reflector_new(d->data->k->kube, &(struct reflector_options){.path = path.bytes,
                                                                               .field_selector = selector.bytes,
                                                                               .begin = on_begin,
                                                                               .item = on_item,
                                                                               .gone = on_gone,
                                                                               .kept = on_kept,
                                                                               .synced = on_synced,
                                                                               .trouble = on_trouble,
                                                                               .arg = d});
    d->data->watched++;
    text_done(&selector);
    text_done(&path);
}

/* ------------------------------------------------------------------ looking up */

static void datum_free(struct datum *d)
{
    unwatch(d);
    if (d->ask != NULL)
        kube_cancel(d->ask);
    values_free(d->values);
    free(d->ns);
    free(d->name);
    free(d);
}

static bool key_of(char out[KEY_BYTES], bool secret, const char *ns, const char *name)
{
    int length = snprintf(out, KEY_BYTES, "%c %s/%s", secret ? 's' : 'c', ns, name);

    return length > 0 && length < KEY_BYTES;
}

/* A name of the API's: anything else in a path or a selector would ask for something else. */
static bool is_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;

    return length > 0 && length <= 253 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

static struct datum *datum_of(struct data *data, bool secret, const char *ns, const char *name)
{
    char key[KEY_BYTES];

    if (!is_name(ns) || !is_name(name) || !key_of(key, secret, ns, name))
        return NULL;
    struct datum *d = map_get(data->all, key);
    if (d == NULL) {
        d = mem_alloc(sizeof *d);
        *d = (struct datum){
            .data = data, .secret = secret, .ns = mem_copy(ns), .name = mem_copy(name), .state = LOOKUP_PENDING};
        map_put(data->all, key, d);
        if (data->watched < KUBE_DATA_WATCHES_MAX)
            watch(d);
        else
            ask(d);
        if (map_count(data->all) == 1)
            loop_timer_set(data->timer, LOOK_EVERY_MS);
    }
    d->asked_ticks = loop_ticks_ms(data->k->loop);
    d->questioned_ticks = 0;
    return d;
}

static enum lookup get(struct platform *platform, bool secret, const char *ns, const char *name, const char *key,
                       struct secret **out)
{
    struct datum *d = datum_of(kubernetes_of(platform)->data, secret, ns, name);

    if (d == NULL)
        return LOOKUP_ABSENT;
    if (d->state != LOOKUP_FOUND)
        return d->state;
    struct secret *value = map_get(d->values, key);
    if (value == NULL)
        return LOOKUP_ABSENT;
    *out = secret_ref(value);
    return LOOKUP_FOUND;
}

enum lookup kubernetes_secret_get(struct platform *platform, const char *ns, const char *name, const char *key,
                                  struct secret **out)
{
    return get(platform, true, ns, name, key, out);
}

enum lookup kubernetes_config_get(struct platform *platform, const char *ns, const char *name, const char *key,
                                  struct secret **out)
{
    return get(platform, false, ns, name, key, out);
}

enum lookup kubernetes_data_walk(struct kubernetes *k, bool secret, const char *ns, const char *name,
                                 kubernetes_data_each *each, void *arg)
{
    struct datum *d = datum_of(k->data, secret, ns, name);
    const char *key;
    void *value;

    if (d == NULL)
        return LOOKUP_ABSENT;
    for (size_t at = 0; d->state == LOOKUP_FOUND && map_next(d->values, &at, &key, &value);)
        each(arg, key, value);
    return d->state;
}

void kubernetes_on_data_change(struct platform *platform, void (*changed)(void *arg, const char *ns, const char *name),
                               void *arg)
{
    struct data *data = kubernetes_of(platform)->data;

    data->watchers = mem_grow(data->watchers, data->watcher_count + 1, sizeof *data->watchers);
    data->watchers[data->watcher_count++] = (struct data_watcher){changed, arg};
}

void kubernetes_data_stop(struct data *data)
{
    data->watcher_count = 0;
}

/* ------------------------------------------------------------------ its life */

static bool is_unused(struct datum *d, int64_t now)
{
    if (d->questioned_ticks != 0)
        return now - d->questioned_ticks >= DROPPED_AFTER_MS;
    if (now - d->asked_ticks >= UNASKED_AFTER_MS) {
        d->questioned_ticks = now;
        kubernetes_data_tell(d->data->k, d->ns, d->name);
    }
    return false;
}

static void on_look(void *arg)
{
    struct data *data = arg;
    int64_t now = loop_ticks_ms(data->k->loop);
    const char *key;
    void *value;

    for (size_t at = 0; map_next(data->all, &at, &key, &value);) {
        struct datum *d = value;
        if (is_unused(d, now)) {
            map_remove(data->all, key);
            datum_free(d);
        } else if (d->reflector == NULL) {
            ask(d);
        }
    }
    if (map_count(data->all) > 0)
        loop_timer_set(data->timer, LOOK_EVERY_MS);
}

struct data *kubernetes_data_new(struct kubernetes *k)
{
    struct data *data = mem_alloc(sizeof *data);

    data->k = k;
    data->all = map_new();
    data->timer = loop_timer_new(k->loop, on_look, data);
    data->tell_timer = loop_timer_new(k->loop, on_tell, data);
    data->tellings_end = &data->tellings;
    return data;
}

void kubernetes_data_free(struct data *data)
{
    const char *key;
    void *value;

    if (data == NULL)
        return;
    for (size_t at = 0; map_next(data->all, &at, &key, &value);)
        datum_free(value);
    map_free(data->all);
    loop_timer_free(data->timer);
    loop_timer_free(data->tell_timer);
    for (struct telling *telling = data->tellings; telling != NULL;)
        telling = telling_free(telling);
    free(data->watchers);
    free(data);
}

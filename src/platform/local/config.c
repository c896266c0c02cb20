/* config: see config.h. Few objects, asked for at starts of processes and by credentials: one map is enough. */
#include "platform/local/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "manifest/manifest.h"

struct config_store {
    struct map *objects; /* "Secret ns/name" */
    config_changed *changed;
    void *arg;
};

static char *key_of(bool secret, const char *ns, const char *name)
{
    struct text key;

    text_init(&key, 4096);
    text_printf(&key, "%s %s/%s", secret ? "Secret" : "ConfigMap", ns, name);
    char *out = text_take(&key);
    text_done(&key);
    return out;
}

static void object_free(struct config_object *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < o->value_count; i++) {
        free(o->values[i].key);
        secret_unref(o->values[i].value);
    }
    free(o->values);
    free(o->file);
    free(o->ns);
    free(o->name);
    free(o);
}

static struct config_object *object_new(const char *file, const struct config_data *data)
{
    struct config_object *o = mem_alloc(sizeof *o);

    o->file = mem_copy(file);
    o->ns = mem_copy(data->meta.ns);
    o->name = mem_copy(data->meta.name);
    o->secret = data->secret;
    o->values = mem_array(data->entry_count + 1, sizeof *o->values);
    o->value_count = data->entry_count;
    for (size_t i = 0; i < data->entry_count; i++) {
        const struct config_entry *e = &data->entries[i];
        o->values[i] = (struct config_value){mem_copy(e->key), secret_new(e->bytes, e->length)};
    }
    return o;
}

struct secret *config_value_of(const struct config_object *object, const char *key)
{
    for (size_t i = 0; i < object->value_count; i++) {
        if (strcmp(object->values[i].key, key) == 0)
            return object->values[i].value;
    }
    return NULL;
}

static bool same_values(const struct config_object *a, const struct config_object *b)
{
    if (a->value_count != b->value_count)
        return false;
    for (size_t i = 0; i < a->value_count; i++) {
        struct secret *other = config_value_of(b, a->values[i].key);
        if (other == NULL || !secret_equal(a->values[i].value, other))
            return false;
    }
    return true;
}

const struct config_object *config_find(const struct config_store *store, bool secret, const char *ns, const char *name)
{
    char *key = key_of(secret, ns, name);
    const struct config_object *o = map_get(store->objects, key);

    free(key);
    return o;
}

/* ------------------------------------------------------------------ what a file says */

static bool manifest_has(const struct manifest *m, const struct config_object *o)
{
    for (size_t i = 0; m != NULL && i < m->config_count; i++) {
        const struct config_data *d = &m->configs[i];
        if (d->secret == o->secret && strcmp(d->meta.ns, o->ns) == 0 && strcmp(d->meta.name, o->name) == 0)
            return true;
    }
    return false;
}

static void drop(struct config_store *store, const char *key, struct config_object *o)
{
    map_remove(store->objects, key);
    store->changed(store->arg, o->ns, o->name);
    object_free(o);
}

static void drop_absent(struct config_store *store, const char *file, const struct manifest *m)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(store->objects, &i, &key, &value);) {
        struct config_object *o = value;
        if (strcmp(o->file, file) != 0)
            continue;
        if (manifest_has(m, o))
            o->released = false;
        else if (!o->released)
            drop(store, key, o);
    }
}

void config_store_release(struct config_store *store, const char *file)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(store->objects, &i, &key, &value);) {
        struct config_object *o = value;
        o->released |= strcmp(o->file, file) == 0;
    }
}

void config_store_settle(struct config_store *store)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(store->objects, &i, &key, &value);) {
        struct config_object *o = value;
        if (o->released)
            drop(store, key, o);
    }
}

static void put(struct config_store *store, const char *file, const struct config_data *data, struct report *report)
{
    char *key = key_of(data->secret, data->meta.ns, data->meta.name);
    struct config_object *old = map_get(store->objects, key), *o;

    if (old != NULL && strcmp(old->file, file) != 0 && !old->released) {
        report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = "duplicate", .place = data->meta.place},
                   "metadata.name", "remove one of the two", "%s is already defined in %s", key, old->file);
    } else {
        o = object_new(file, data);
        bool changed = old == NULL || !same_values(old, o);
        map_put(store->objects, key, o);
        object_free(old);
        if (changed)
            store->changed(store->arg, o->ns, o->name);
    }
    free(key);
}

void config_store_set(struct config_store *store, const char *file, const struct manifest *m, struct report *report)
{
    drop_absent(store, file, m);
    for (size_t i = 0; m != NULL && i < m->config_count; i++) {
        if (!m->configs[i].meta.broken)
            put(store, file, &m->configs[i], report);
    }
}

struct config_store *config_store_new(config_changed *changed, void *arg)
{
    struct config_store *store = mem_alloc(sizeof *store);

    *store = (struct config_store){.objects = map_new(), .changed = changed, .arg = arg};
    return store;
}

void config_store_free(struct config_store *store)
{
    const char *key;
    void *value;

    if (store == NULL)
        return;
    for (size_t i = 0; map_next(store->objects, &i, &key, &value);)
        object_free(value);
    map_free(store->objects);
    free(store);
}

/*
 * config: walks over a config by its parameter table. A config is built with its texts in the scratch arena of the build;
 * sealing makes it permanent: texts become atoms, lists, maps and blocks move behind the config into the same piece of
 * memory. So ten thousand triggers that share a server share its address, and a trigger is one allocation of exact size.
 *
 * Target and activation are no part of the question a trigger asks: they are left out where configs are compared.
 */
#include <string.h>

#include "base/atom.h"
#include "base/map.h"
#include "base/secret.h"
#include "trigger/trigger_internal.h"

static const char *const *text_field(const struct param *param, const void *config)
{
    return (const char *const *)((const char *)config + param->offset);
}

static const void *pointer_field(const struct param *param, const void *config)
{
    const void *pointer;

    memcpy(&pointer, (const char *)config + param->offset, sizeof(pointer));
    return pointer;
}

static size_t scalar_size(enum param_kind kind)
{
    switch (kind) {
    case PARAM_KIND_NUMBER:
    case PARAM_KIND_WHOLE:
        return sizeof(double);
    case PARAM_KIND_INTEGER:
    case PARAM_KIND_DURATION:
    case PARAM_KIND_SPAN:
        return sizeof(int64_t);
    case PARAM_KIND_BOOL:
        return sizeof(bool);
    case PARAM_KIND_SWITCH:
        return sizeof(enum param_switch);
    case PARAM_KIND_CHOICE:
        return sizeof(int);
    default:
        return 0;
    }
}

static size_t aligned(size_t bytes)
{
    return (bytes + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
}

static size_t list_bytes(const struct param_list *list)
{
    return sizeof(*list) + list->count * sizeof(list->items[0]);
}

static size_t map_bytes(const struct param_map *map)
{
    return sizeof(*map) + map->count * sizeof(map->pairs[0]);
}

size_t config_extra_bytes(const struct param *params, const void *config)
{
    size_t bytes = 0;

    for (const struct param *p = params; p->name; p++) {
        const void *pointer;

        if (p->kind != PARAM_KIND_LIST && p->kind != PARAM_KIND_MAP && p->kind != PARAM_KIND_BLOCK)
            continue;
        if (!(pointer = pointer_field(p, config)))
            continue;
        if (p->kind == PARAM_KIND_LIST)
            bytes += list_bytes(pointer);
        else if (p->kind == PARAM_KIND_MAP)
            bytes += map_bytes(pointer);
        else
            bytes += aligned(p->block->size) + config_extra_bytes(p->block->params, pointer);
    }
    return bytes;
}

static void *take(char **free_space, const void *from, size_t bytes)
{
    void *to = *free_space;

    memcpy(to, from, bytes);
    *free_space += aligned(bytes);
    return to;
}

static void seal_pointer(const struct param *param, void *config, const void *old, char **free_space)
{
    void *moved;

    if (param->kind == PARAM_KIND_LIST) {
        struct param_list *list = moved = take(free_space, old, list_bytes(old));

        for (size_t i = 0; i < list->count; i++)
            list->items[i] = atom_ref(list->items[i]);
    } else if (param->kind == PARAM_KIND_MAP) {
        struct param_map *map = moved = take(free_space, old, map_bytes(old));

        for (size_t i = 0; i < map->count; i++) {
            map->pairs[i].key = atom_ref(map->pairs[i].key);
            map->pairs[i].value = atom_ref(map->pairs[i].value);
        }
    } else {
        moved = take(free_space, old, param->block->size);
        config_seal(param->block->params, moved, free_space);
    }
    memcpy((char *)config + param->offset, &moved, sizeof(moved));
}

void config_seal(const struct param *params, void *config, char **free_space)
{
    for (const struct param *p = params; p->name; p++) {
        const void *pointer;

        if (p->kind == PARAM_KIND_TEXT || p->kind == PARAM_KIND_URL) {
            const char *atom = atom_ref(*text_field(p, config));

            memcpy((char *)config + p->offset, &atom, sizeof(atom));
        } else if (p->kind == PARAM_KIND_LIST || p->kind == PARAM_KIND_MAP || p->kind == PARAM_KIND_BLOCK) {
            if ((pointer = pointer_field(p, config)))
                seal_pointer(p, config, pointer, free_space);
        }
    }
}

static void release_list(const struct param_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        atom_unref(list->items[i]);
}

static void release_map(const struct param_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        atom_unref(map->pairs[i].key);
        atom_unref(map->pairs[i].value);
    }
}

void config_release(const struct param *params, void *config, bool sealed)
{
    for (const struct param *p = params; p->name; p++) {
        const void *pointer;

        if (p->kind == PARAM_KIND_REMOVED || p->kind == PARAM_KIND_IGNORED || scalar_size(p->kind) > 0 ||
            !(pointer = pointer_field(p, config)))
            continue;
        if (p->kind == PARAM_KIND_SECRET)
            secret_unref((struct secret *)(uintptr_t)pointer);
        else if (p->kind == PARAM_KIND_BLOCK)
            config_release(p->block->params, (void *)(uintptr_t)pointer, sealed);
        else if (!sealed)
            continue;
        else if (p->kind == PARAM_KIND_LIST)
            release_list(pointer);
        else if (p->kind == PARAM_KIND_MAP)
            release_map(pointer);
        else
            atom_unref(pointer);
    }
}

/* ------------------------------------------------------------------ the same question? */

static bool lists_equal(const struct param_list *a, const struct param_list *b)
{
    bool equal = a->count == b->count;

    for (size_t i = 0; equal && i < a->count; i++)
        equal = string_equal(a->items[i], b->items[i]);
    return equal;
}

static bool maps_equal(const struct param_map *a, const struct param_map *b)
{
    bool equal = a->count == b->count;

    for (size_t i = 0; equal && i < a->count; i++)
        equal = string_equal(a->pairs[i].key, b->pairs[i].key) && string_equal(a->pairs[i].value, b->pairs[i].value);
    return equal;
}

static bool field_equal(const struct param *param, const void *a, const void *b)
{
    size_t size = scalar_size(param->kind);
    const void *left, *right;

    if (param->kind == PARAM_KIND_REMOVED || param->kind == PARAM_KIND_IGNORED)
        return true;
    if (size > 0)
        return memcmp((const char *)a + param->offset, (const char *)b + param->offset, size) == 0;
    left = pointer_field(param, a);
    right = pointer_field(param, b);
    if (!left || !right)
        return left == right;
    switch (param->kind) {
    case PARAM_KIND_SECRET:
        return secret_equal(left, right);
    case PARAM_KIND_LIST:
        return lists_equal(left, right);
    case PARAM_KIND_MAP:
        return maps_equal(left, right);
    case PARAM_KIND_BLOCK:
        return config_equal(param->block->params, left, right);
    default:
        return string_equal(left, right);
    }
}

bool config_equal(const struct param *params, const void *a, const void *b)
{
    for (const struct param *p = params; p->name; p++)
        if (p->role == ROLE_NONE && !field_equal(p, a, b))
            return false;
    return true;
}

bool config_same_connection(const struct param *params, const void *a, const void *b)
{
    for (const struct param *p = params; p->name; p++)
        if (p->role == ROLE_NONE && !p->question && !field_equal(p, a, b))
            return false;
    return true;
}

static uint64_t hash_texts(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text ? text : "", text ? strlen(text) + 1 : 0);
}

static uint64_t field_hash(const struct param *param, const void *config, uint64_t hash)
{
    size_t size = scalar_size(param->kind);
    const void *pointer;

    if (size > 0)
        return hash_bytes(hash, (const char *)config + param->offset, size);
    if (param->kind == PARAM_KIND_REMOVED || param->kind == PARAM_KIND_IGNORED ||
        !(pointer = pointer_field(param, config)))
        return hash;
    if (param->kind == PARAM_KIND_SECRET) {
        uint64_t fingerprint = secret_fingerprint(pointer);

        return hash_bytes(hash, &fingerprint, sizeof(fingerprint));
    }
    if (param->kind == PARAM_KIND_LIST) {
        const struct param_list *list = pointer;

        for (size_t i = 0; i < list->count; i++)
            hash = hash_texts(hash, list->items[i]);
        return hash;
    }
    if (param->kind == PARAM_KIND_MAP) {
        const struct param_map *map = pointer;

        for (size_t i = 0; i < map->count; i++)
            hash = hash_texts(hash_texts(hash, map->pairs[i].key), map->pairs[i].value);
        return hash;
    }
    if (param->kind == PARAM_KIND_BLOCK)
        return config_hash(param->block->params, pointer, hash);
    return hash_texts(hash, pointer);
}

uint64_t config_hash(const struct param *params, const void *config, uint64_t seed)
{
    uint64_t hash = seed;

    for (const struct param *p = params; p->name; p++)
        if (p->role == ROLE_NONE && p->kind != PARAM_KIND_REMOVED && p->kind != PARAM_KIND_IGNORED)
            hash = field_hash(p, config, hash_bytes(hash, p->name, strlen(p->name)));
    return hash;
}

uint64_t config_connection_hash(const struct param *params, const void *config, uint64_t seed)
{
    uint64_t hash = seed;

    for (const struct param *p = params; p->name; p++)
        if (p->role == ROLE_NONE && !p->question)
            hash = field_hash(p, config, hash);
    return hash;
}

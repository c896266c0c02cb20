/*
 * access_config: what the API server says of those who ask its aggregated servers, in the ConfigMap
 * kube-system/extension-apiserver-authentication: the authority of its own client certificate (the front proxy), the names that may
 * be in it, the headers in which it says for whom it asks, and the authority of clients that have certificates of their own. Lists are JSON
 * in a text (keda-operator/06 1.4).
 */
#include "serve/cluster_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/tree.h"

static bool read_pem(const struct tree *data, const char *key, struct arena *arena, const char **out, struct error *err)
{
    const char *pem = tree_string(tree_get(data, key));

    if (!pem || !*pem)
        return true;
    if (strlen(pem) > ACCESS_CONFIG_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "%s has more than %d bytes (ACCESS_CONFIG_MAX_BYTES)", key,
                         ACCESS_CONFIG_MAX_BYTES);
    *out = arena_copy(arena, pem);
    return true;
}

static bool add_name(struct access_names *names, const struct tree *item, const char *key, struct arena *arena,
                     struct error *err)
{
    const char *name = tree_string(item);

    if (!name || strlen(name) != item->length)
        return error_set(err, ERROR_NONSENSE, "%s is no list of texts", key);
    if (!*name)
        return true;
    if (names->count == ACCESS_NAMES_MAX)
        return error_set(err, ERROR_LIMIT, "%s has more than %d entries (ACCESS_NAMES_MAX)", key, ACCESS_NAMES_MAX);
    names->list[names->count++] = arena_copy(arena, name);
    return true;
}

static bool read_names(const struct tree *data, const char *key, struct arena *arena, struct access_names *out,
                       struct error *err)
{
    const char *json = tree_string(tree_get(data, key));
    struct tree *list;

    if (!json || !*json)
        return true;
    if (!tree_read_json(json, strlen(json), false, arena, &list, err))
        return error_add_place(err, "%s", key);
    if (list->type == TREE_NULL)
        return true;
    if (list->type != TREE_LIST)
        return error_set(err, ERROR_NONSENSE, "%s is no list of texts", key);
    for (const struct tree *item = list->first; item; item = item->next)
        if (!add_name(out, item, key, arena, err))
            return false;
    return true;
}

static bool read_all(const struct tree *data, struct access_config *out, struct error *err)
{
    const struct {
        const char *key;
        struct access_names *names;
    } lists[] = {
        {"requestheader-allowed-names", &out->proxy_names},
        {"requestheader-username-headers", &out->user_headers},
        {"requestheader-uid-headers", &out->uid_headers},
        {"requestheader-group-headers", &out->group_headers},
        {"requestheader-extra-headers-prefix", &out->extra_prefixes},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (!read_names(data, lists[i].key, out->arena, lists[i].names, err))
            return false;
    return read_pem(data, "requestheader-client-ca-file", out->arena, &out->proxy_ca, err) &&
           read_pem(data, "client-ca-file", out->arena, &out->client_ca, err);
}

struct access_config *access_config_read(const struct tree *config_map, struct error *err)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct access_config *config = arena_alloc(arena, sizeof(*config));

    config->arena = arena;
    if (read_all(tree_get(config_map, "data"), config, err))
        return config;
    error_add_place(err, "ConfigMap kube-system/extension-apiserver-authentication");
    arena_free(arena);
    return NULL;
}

void access_config_free(struct access_config *config)
{
    if (config)
        arena_free(config->arena);
}

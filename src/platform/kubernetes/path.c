/*
 * path: the paths of the Kubernetes API, made and read.
 *
 *     /api/v1/namespaces/<ns>/<resource>/<name>/<subresource>                      the core group
 *     /apis/<group>/<version>/namespaces/<ns>/<resource>/<name>/<subresource>      all others
 *     either without namespaces/<ns>: cluster-wide resources, or all namespaces
 *
 * They are read to say which rule is missing when RBAC refuses, in the words of RBAC.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "platform/kubernetes/client_internal.h"

enum { SEGMENTS_MAX = 16 };

bool kube_escape(struct text *out, const char *string)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    bool fits = true;

    for (const char *c = string; *c; c++)
        fits = (strchr(plain, *c) ? text_add_char(out, *c) : text_printf(out, "%%%02X", (unsigned char)*c)) && fits;
    return fits;
}

/* "." and ".." would be taken out of the path on its way, and the request be about the collection above: a DELETE of the thing "." is one of
   all there are. A slash is one again once the API server has decoded it, so "web/scale" would be a part of web. No thing has such a name,
   nor one with a '-' in front. */
static bool add_segment(struct text *out, const char *segment)
{
    bool is_no_name = strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 || strchr(segment, '/');
    bool fits = text_add(out, is_no_name ? "/-" : "/");

    for (const char *c = segment; *c && fits; c++)
        fits = kube_escape(out, *c == '/' ? "-" : (char[]){*c, 0});
    return fits;
}

bool kube_path(struct text *out, const char *group, const char *version, const char *ns, const char *resource,
               const char *name, const char *subresource)
{
    bool fits = !group || !group[0] || string_equal(group, "core") ? text_add(out, "/api")
                                                                   : text_add(out, "/apis") && add_segment(out, group);

    fits = fits && add_segment(out, version);
    if (ns && ns[0])
        fits = fits && text_add(out, "/namespaces") && add_segment(out, ns);
    fits = fits && add_segment(out, resource);
    if (name && name[0])
        fits = fits && add_segment(out, name);
    if (subresource && subresource[0])
        fits = fits && add_segment(out, subresource);
    return fits;
}

/* The segments of a path up to its query. */
static size_t split(const char *path, struct arena *arena, const char *segments[SEGMENTS_MAX])
{
    char *copy = arena_copy_bytes(arena, path, strcspn(path, "?"));
    size_t count = 0;
    char *rest = NULL;

    for (char *s = strtok_r(copy, "/", &rest); s && count < SEGMENTS_MAX; s = strtok_r(NULL, "/", &rest))
        segments[count++] = s;
    return count;
}

bool kube_path_read(const char *path, struct arena *arena, struct kube_place *out)
{
    const char *segments[SEGMENTS_MAX + 1] = {0};
    size_t count = split(path, arena, segments), at;

    *out = (struct kube_place){"", "", "", "", "", ""};
    if (count >= 3 && strcmp(segments[0], "api") == 0) {
        out->version = segments[1];
        at = 2;
    } else if (count >= 4 && strcmp(segments[0], "apis") == 0) {
        out->group = segments[1];
        out->version = segments[2];
        at = 3;
    } else {
        return false;
    }
    if (strcmp(segments[at], "namespaces") == 0 && count > at + 2) { /* else the namespace itself is the resource */
        out->ns = segments[at + 1];
        at += 2;
    }
    out->resource = segments[at];
    if (at + 1 < count)
        out->name = segments[at + 1];
    if (at + 2 < count)
        out->subresource = segments[at + 2];
    return true;
}

bool kube_path_is_secret(const char *path)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct kube_place place;
    bool is_secret = kube_path_read(path, arena, &place) &&
                     (strcmp(place.resource, "secrets") == 0 || strcmp(place.resource, "tokenreviews") == 0 ||
                      (strcmp(place.resource, "serviceaccounts") == 0 && strcmp(place.subresource, "token") == 0));

    arena_free(arena);
    return is_secret;
}

static bool asks_to_watch(const char *path)
{
    const char *query = strchr(path, '?');

    return query && (strstr(query, "watch=1") || strstr(query, "watch=true"));
}

const char *kube_verb(const char *method, const char *path, const struct kube_place *place)
{
    if (strcmp(method, "GET") == 0)
        return asks_to_watch(path) ? "watch" : place->name[0] ? "get" : "list";
    if (strcmp(method, "POST") == 0)
        return "create";
    if (strcmp(method, "PUT") == 0)
        return "update";
    if (strcmp(method, "PATCH") == 0)
        return "patch";
    return place->name[0] ? "delete" : "deletecollection";
}

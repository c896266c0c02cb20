/*
 * event_source: the CloudEventSources of the files Weir watches, told to whoever sends events.
 *
 *     file ──> what it names, in an arena of its own ──> of each name the first file's counts ──> told where it is other than before
 *
 * What two files name is the first one's, and the second one's as soon as the first names it no more: so a file may be renamed, or a
 * source moved from one to another, without a break.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/text.h"
#include "platform/local/local_internal.h"

struct source_file {
    char *file;
    struct arena *arena;
    struct event_source *list;
    size_t count;
    struct source_file *next; /* in the order in which they came */
};

struct event_sources {
    const struct event_source_listener *listener; /* NULL: nobody wants to know */
    struct source_file *files;
    struct map *told; /* "ns/name" -> what was told last */
    bool held;        /* files that changed together are being read: what one names no more, another may */
};

struct told {
    uint64_t generation;
    bool seen;
    char key[]; /* ends with a 0 byte */
};

/* ------------------------------------------------------------------ what the files say */

static const char *const *copy_texts(struct arena *arena, const char *const *texts)
{
    const char **copy;
    size_t count = 0;

    while (texts && texts[count])
        count++;
    if (!texts)
        return NULL;
    copy = arena_array(arena, count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = arena_copy(arena, texts[i]);
    return copy;
}

static struct event_source copy_source(struct arena *arena, const struct event_source *source)
{
    struct event_source copy = {.cluster_name = arena_copy(arena, source->cluster_name),
                                .http_uri = arena_copy(arena, source->http_uri),
                                .topic_endpoint = arena_copy(arena, source->topic_endpoint),
                                .included = copy_texts(arena, source->included),
                                .excluded = copy_texts(arena, source->excluded)};

    copy.meta.kind = arena_copy(arena, source->meta.kind);
    copy.meta.ns = arena_copy(arena, source->meta.ns);
    copy.meta.name = arena_copy(arena, source->meta.name);
    copy.meta.generation = source->meta.generation;
    return copy;
}

static bool is_same(const struct object_meta *a, const struct object_meta *b)
{
    return strcmp(a->ns, b->ns) == 0 && strcmp(a->name, b->name) == 0;
}

static const struct event_source *find(const struct source_file *file, const struct object_meta *meta)
{
    for (size_t i = 0; file && i < file->count; i++) {
        if (is_same(&file->list[i].meta, meta))
            return &file->list[i];
    }
    return NULL;
}

/* One with an error stays what it was. */
static void fill(struct source_file *file, const struct source_file *old, const struct manifest *m)
{
    file->arena = arena_new(ARENA_USUAL);
    file->list = arena_array(file->arena, m->event_source_count, sizeof(*file->list));
    for (size_t i = 0; i < m->event_source_count; i++) {
        const struct event_source *source = &m->event_sources[i];

        if (source->meta.broken)
            source = find(old, &source->meta);
        if (source && !find(file, &source->meta))
            file->list[file->count++] = copy_source(file->arena, source);
    }
}

static struct source_file **place_of_file(struct event_sources *s, const char *name)
{
    struct source_file **at = &s->files;

    while (*at && strcmp((*at)->file, name) != 0)
        at = &(*at)->next;
    return at;
}

/* ------------------------------------------------------------------ telling */

static void tell(struct event_sources *s, const struct event_source *source)
{
    const char *ns = source->meta.ns, *name = source->meta.name;
    size_t length = strlen(ns) + strlen(name) + 2;
    char *key = mem_alloc(length);
    struct told *told;

    strcat(strcat(strcpy(key, ns), "/"), name); /* allocated to its length */
    told = map_get(s->told, key);
    if (!told) {
        told = mem_alloc(sizeof(*told) + length);
        strcpy(told->key, key);
        map_put(s->told, key, told);
    } else if (told->seen || told->generation == source->meta.generation) {
        told->seen = true;
        free(key);
        return;
    }
    told->seen = true;
    told->generation = source->meta.generation;
    s->listener->changed(s->listener->arg, ns, name, source);
    free(key);
}

static void tell_gone(struct event_sources *s)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(s->told, &at, &key, &value);) {
        struct told *told = value;
        char *slash = strchr(told->key, '/');

        if (told->seen) {
            told->seen = false;
            continue;
        }
        map_remove(s->told, key);
        *slash = 0;
        s->listener->changed(s->listener->arg, told->key, slash + 1, NULL);
        free(told);
    }
}

static void tell_all(struct event_sources *s)
{
    if (!s->listener || s->held)
        return;
    for (const struct source_file *file = s->files; file; file = file->next) {
        for (size_t i = 0; i < file->count; i++)
            tell(s, &file->list[i]);
    }
    tell_gone(s);
}

/* ------------------------------------------------------------------ for local.c */

static void file_free(struct source_file *file)
{
    if (!file)
        return;
    arena_free(file->arena);
    free(file->file);
    free(file);
}

void event_sources_set(struct event_sources *s, const char *name, const struct manifest *m)
{
    struct source_file **at = place_of_file(s, name), *old = *at, *file = NULL;

    if (m && m->event_source_count > 0) {
        file = mem_alloc(sizeof(*file));
        file->file = mem_copy(name);
        fill(file, old, m);
        file->next = old ? old->next : NULL;
        *at = file;
    } else if (old) {
        *at = old->next;
    }
    if (file || old)
        tell_all(s);
    file_free(old);
}

void event_sources_hold(struct event_sources *s, bool held)
{
    s->held = held;
    tell_all(s);
}

void event_sources_listen(struct event_sources *s, const struct event_source_listener *listener)
{
    s->listener = listener;
}

struct event_sources *event_sources_new(void)
{
    struct event_sources *s = mem_alloc(sizeof(*s));

    s->told = map_new();
    return s;
}

void event_sources_free(struct event_sources *s)
{
    const char *key;
    void *value;

    if (!s)
        return;
    while (s->files) {
        struct source_file *file = s->files;

        s->files = file->next;
        file_free(file);
    }
    for (size_t at = 0; map_next(s->told, &at, &key, &value);)
        free(value);
    map_free(s->told);
    free(s);
}

/*
 * catalogue_source: how many objects there are of each namespace and type, and which sources they ask. Counts follow the entries: what
 * no object has any more is forgotten.
 */
#include "serve/catalogue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"

enum { TALLY_NAME_BYTES = 256 /* Kubernetes allows 253 */ };

/* ------------------------------------------------------------------ tallies */

struct tally *tally_get(struct map *map, const char *name, size_t length)
{
    char copy[TALLY_NAME_BYTES];
    struct tally *tally;

    snprintf(copy, sizeof(copy), "%.*s", (int)length, name);
    tally = map_get(map, copy);
    if (!tally) {
        tally = mem_alloc(sizeof(*tally));
        map_put(map, copy, tally);
        tally->name = map_key(map, copy);
    }
    tally->users++;
    return tally;
}

void tally_put(struct map *map, struct tally *tally)
{
    if (--tally->users > 0)
        return;
    map_remove(map, tally->name);
    free(tally);
}

/* ------------------------------------------------------------------ sources */

static struct source *source_get(struct catalogue *c, const struct trigger_status *t)
{
    struct source *source;

    text_clear(&c->scratch);
    text_printf(&c->scratch, "%s %s", t->type, t->destination);
    source = map_get(c->sources, c->scratch.bytes);
    if (source)
        return source;
    source = mem_alloc(sizeof(*source));
    map_put(c->sources, c->scratch.bytes, source);
    source->key = map_key(c->sources, c->scratch.bytes);
    source->name = source->key + strlen(t->type) + 1;
    source->type = tally_get(c->types, t->type, strlen(t->type));
    return source;
}

static void source_note(struct source *source, const struct trigger_status *t)
{
    if (t->took_ms > 0)
        source->took_ms = t->took_ms > INT32_MAX ? INT32_MAX : (int32_t)t->took_ms;
    if (t->sample.state != SAMPLE_FAILED || string_equal(source->why, t->why))
        return;
    free(source->why);
    source->why = mem_copy(t->why);
}

static void source_drop_unused(struct catalogue *c, struct source *source)
{
    struct tally *type = source->type;

    if (source->failing == 0) {
        free(source->why);
        source->why = NULL;
    }
    if (source->objects > 0)
        return;
    map_remove(c->sources, source->key);
    free(source);
    tally_put(c->types, type);
}

/* An object counts once for a source and once for a type, however many triggers it has of it. by: 1, or -1 to take it back. */
static void count_sources(const struct entry_source *list, size_t count, int by)
{
    for (size_t i = 0; i < count; i++) {
        bool first_of_type = true;

        list[i].source->objects += (uint32_t)by;
        list[i].source->failing += list[i].failing ? (uint32_t)by : 0;
        for (size_t j = 0; j < i; j++)
            first_of_type &= list[j].source->type != list[i].source->type;
        if (first_of_type)
            list[i].source->type->objects += (uint32_t)by;
    }
}

static size_t gather_sources(struct catalogue *c, const struct object_status *s, struct entry_source *out)
{
    size_t count = 0;

    for (size_t i = 0; i < s->trigger_count; i++) {
        struct source *source = source_get(c, &s->triggers[i]);
        bool failing = s->triggers[i].sample.state == SAMPLE_FAILED;
        size_t at = 0;

        source_note(source, &s->triggers[i]);
        while (at < count && out[at].source != source)
            at++;
        if (at == count)
            out[count++] = (struct entry_source){.source = source};
        out[at].failing |= failing;
    }
    return count;
}

/* The new ones come before the old ones go: most are the same, and what is known of a source stays with it. */
static void replace_sources(struct catalogue *c, struct entry *entry, const struct entry_source *list, size_t count)
{
    struct entry_source *old = entry->sources;
    size_t old_count = entry->source_count;

    count_sources(list, count, 1);
    count_sources(old, old_count, -1);
    entry->sources = count > 0 ? mem_array(count, sizeof(*list)) : NULL;
    entry->source_count = (uint16_t)count;
    if (count > 0)
        memcpy(entry->sources, list, count * sizeof(*list));
    for (size_t i = 0; i < old_count; i++)
        source_drop_unused(c, old[i].source);
    free(old);
}

void entry_set_sources(struct catalogue *c, struct entry *entry, const struct object_status *s)
{
    struct entry_source list[TRIGGERS_MAX];

    replace_sources(c, entry, list, gather_sources(c, s, list));
}

void entry_drop_sources(struct catalogue *c, struct entry *entry)
{
    replace_sources(c, entry, NULL, 0);
}

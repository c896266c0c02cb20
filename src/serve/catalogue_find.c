/*
 * catalogue_find: lists and rows out of the catalogue. A list walks entries in their order and looks at what it filters by; the rows that
 * are shown are copies of what was made before, but for those of objects that changed since.
 */
#include "serve/catalogue_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"

static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* part is lower case, and not empty. A loop of its own: for names of some twenty characters strstr() takes twice as long. */
static bool has_part(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;

        while (part[i] && folded(text[i]) == part[i])
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

struct wanted { /* a filter with its names looked up */
    const struct tally *ns, *type;
    const char *part;
    uint32_t states;
    bool of_kind, is_job;
    bool all;             /* nothing is filtered */
    struct traits traits; /* of ns and type */
};

/* Exact for states and kinds. */
static bool may_fit(struct traits traits, const struct wanted *w)
{
    return w->states >> traits.state & 1 && (!w->ns || traits.ns == w->traits.ns) &&
           (!w->of_kind || traits.is_job == w->is_job) && (!w->type || (traits.types & w->traits.types) != 0);
}

static bool fits_exactly(const struct entry *entry, const struct wanted *w)
{
    bool of_type = !w->type;

    if (w->ns && entry->ns != w->ns)
        return false;
    for (size_t i = 0; i < entry->source_count && !of_type; i++)
        of_type = entry->sources[i].source->type == w->type;
    if (!of_type)
        return false;
    return !w->part || has_part(entry->name, w->part);
}

/* false: a name nobody has, so nothing fits. */
static bool look_up(const struct catalogue *c, const struct catalogue_filter *filter, struct wanted *out)
{
    *out = (struct wanted){.ns = filter->ns ? map_get(c->namespaces, filter->ns) : NULL,
                           .type = filter->type ? map_get(c->types, filter->type) : NULL,
                           .part = filter->part && *filter->part ? filter->part : NULL,
                           .states = filter->states ? filter->states : UINT32_MAX,
                           .of_kind = filter->kind != NULL,
                           .is_job = filter->kind && strcmp(filter->kind, "ScaledJob") == 0};
    out->traits = (struct traits){.ns = ns_trait(out->ns), .types = type_trait(out->type)};
    out->all = !filter->ns && !filter->type && !out->part && !filter->kind && filter->states == 0;
    return (!filter->ns || out->ns) && (!filter->type || out->type);
}

size_t catalogue_find(struct catalogue *c, const struct catalogue_filter *filter, enum catalogue_sort sort,
                      size_t offset, size_t most, struct entry **out, size_t *matched)
{
    const struct order_place *places = orders_get(&c->orders, sort, c->entries);
    size_t count = map_count(c->entries), found = 0;
    struct wanted wanted;

    *matched = 0;
    if (!look_up(c, filter, &wanted))
        return 0;
    if (wanted.all) {
        for (size_t i = offset; i < count && found < most; i++)
            out[found++] = places[i].entry;
        *matched = count;
        return found;
    }
    for (size_t i = 0; i < count; i++) {
        if (!may_fit(places[i].traits, &wanted) || !fits_exactly(places[i].entry, &wanted))
            continue;
        if (*matched >= offset && found < most)
            out[found++] = places[i].entry;
        ++*matched;
    }
    return found;
}

/* ------------------------------------------------------------------ rows */

static bool on_row(void *arg, const struct object_status *s)
{
    struct catalogue *c = arg;
    struct entry *entry = map_get(c->entries, s->key);
    struct json json = {.out = &c->scratch};

    text_clear(&c->scratch);
    json_put_open(&json, NULL, '{');
    row_write_members(&json, s);
    json_put_close(&json, '}');
    entry->row = mem_copy(c->scratch.bytes);
    entry->row_bytes = (uint32_t)c->scratch.length;
    return true;
}

void catalogue_rows(struct catalogue *c, struct entry *const *entries, size_t count, catalogue_visit *visit, void *arg)
{
    const char **keys = mem_array(count + 1, sizeof(*keys));
    size_t missing = 0;

    for (size_t i = 0; i < count; i++)
        if (!entries[i]->row)
            keys[missing++] = entries[i]->key;
    if (missing > 0)
        autoscaler_some_objects(c->a, keys, missing, on_row, c);
    free(keys);
    for (size_t i = 0; i < count; i++)
        if (entries[i]->row)
            visit(arg, entries[i]->row, entries[i]->row_bytes);
}

size_t catalogue_moved(struct catalogue *c, size_t most, catalogue_visit *visit, void *arg)
{
    struct entry_list *moved = &c->lists[LIST_MOVED];
    size_t count = moved->count < most ? moved->count : most;
    struct entry **list = mem_array(count + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++) {
        list[i] = moved->items[i];
        list[i]->place[LIST_MOVED] = 0;
    }
    moved->count -= count;
    for (size_t i = 0; i < moved->count; i++) { /* who waited longest is first */
        moved->items[i] = moved->items[i + count];
        moved->items[i]->place[LIST_MOVED] = (uint32_t)i + 1;
    }
    catalogue_rows(c, list, count, visit, arg);
    free(list);
    return moved->count;
}

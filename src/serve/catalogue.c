/*
 * catalogue: see catalogue.h.
 *
 *     changed (listener) -> stale list -> look (a slice) -> entry, totals, orders -> moved list
 *                                                            row: made when shown
 */
#include "serve/catalogue_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "net/loop.h"

enum { ORDER_MOVES_MAX = 64 /* in a slice; beyond that an order is sorted anew */ };

/* ------------------------------------------------------------------ lists of entries */

static void list_add(struct catalogue *c, enum entry_lists which, struct entry *entry)
{
    struct entry_list *list = &c->lists[which];

    if (entry->place[which] != 0)
        return;
    if (list->count == list->size) {
        list->size = list->size ? list->size * 2 : 64;
        list->items = mem_grow(list->items, list->size, sizeof(struct entry *));
    }
    list->items[list->count++] = entry;
    entry->place[which] = (uint32_t)list->count;
}

/* The last one takes its place. */
static void list_drop(struct catalogue *c, enum entry_lists which, struct entry *entry)
{
    struct entry_list *list = &c->lists[which];

    if (entry->place[which] == 0)
        return;
    struct entry *last = list->items[--list->count];
    list->items[entry->place[which] - 1] = last;
    last->place[which] = entry->place[which];
    entry->place[which] = 0;
}

static void list_clear(struct entry_list *list, enum entry_lists which)
{
    for (size_t i = 0; i < list->count; i++)
        list->items[i]->place[which] = 0;
    list->count = 0;
}

/* ------------------------------------------------------------------ entries */

static struct entry *entry_new(struct catalogue *c, const char *key)
{
    struct entry *entry = mem_alloc(sizeof(*entry));
    const char *slash;

    map_put(c->entries, key, entry);
    entry->key = map_key(c->entries, key);
    entry->name = strchr(entry->key, '/') + 1;
    entry->is_job = string_starts(entry->key, "ScaledJob/");
    slash = strchr(entry->name, '/');
    entry->ns = tally_get(c->namespaces, entry->name, slash ? (size_t)(slash - entry->name) : 0);
    entry->ns->objects++;
    entry->state = ROW_UNKNOWN;
    entry->replicas = -1;
    c->totals.objects++;
    c->totals.states[ROW_UNKNOWN]++;
    orders_renew(&c->orders);
    list_add(c, LIST_STALE, entry);
    return entry;
}

static void entry_free(struct catalogue *c, struct entry *entry)
{
    list_drop(c, LIST_STALE, entry);
    list_drop(c, LIST_MOVED, entry);
    entry_drop_sources(c, entry);
    account_drop(c, entry);
    entry->ns->objects--;
    tally_put(c->namespaces, entry->ns);
    c->totals.objects--;
    c->totals.states[entry->state]--;
    c->totals.replicas -= entry->replicas > 0 && !entry->is_job ? entry->replicas : 0;
    orders_renew(&c->orders);
    map_remove(c->entries, entry->key);
    free(entry->row);
    free(entry);
}

/* What runs of it, as far as is known. */
static int32_t replicas_of(const struct object_status *s)
{
    if (s->job_decision)
        return s->job_decision->running;
    return s->policy && !s->policy->is_job && s->target.known ? s->target.ready_replicas : -1;
}

/* A hash of the row but for its summary, whose numbers change with every poll. */
static uint64_t shape_of(const struct object_status *s)
{
    const struct decision *d = s->decision;
    const struct job_decision *job = s->job_decision;
    const struct target_view *t = &s->target;
    int64_t numbers[] = {row_state(s),
                         row_attention(s),
                         s->changed_at_ms,
                         s->policy ? (int64_t)s->policy->generation : -1,
                         t->known,
                         t->known ? t->replicas : 0,
                         t->known ? t->status_replicas : 0,
                         t->known ? t->ready_replicas : 0,
                         d ? d->after : -1,
                         d ? d->active << 3 | d->fallback << 2 | d->paused << 1 | d->held : -1,
                         d ? (int64_t)d->reason : -1,
                         job ? job->running : -1,
                         job ? job->pending : -1,
                         job ? job->active : -1};
    uint64_t hash = hash_bytes(0, numbers, sizeof(numbers));

    hash = hash_string(hash, s->ready);
    hash = hash_string(hash, s->ready_reason);
    hash = hash_string(hash, s->problem ? s->problem : "");
    hash = hash_string(hash, t->known ? "" : t->error.text);
    return hash ? hash : 1;
}

static void take_values(struct catalogue *c, struct entry *entry, const struct object_status *s)
{
    c->totals.states[entry->state]--;
    c->totals.replicas -= entry->replicas > 0 && !entry->is_job ? entry->replicas : 0;
    entry->state = (uint8_t)row_state(s);
    entry->attention = (uint8_t)row_attention(s);
    entry->replicas = replicas_of(s);
    entry->changed_at_ms = s->changed_at_ms;
    c->totals.states[entry->state]++;
    c->totals.replicas += entry->replicas > 0 && !entry->is_job ? entry->replicas : 0;
}

static bool on_look(void *arg, const struct object_status *s)
{
    struct catalogue *c = arg;
    struct entry *entry = map_get(c->entries, s->key);
    struct order_keys before = order_keys(entry);
    uint64_t shape = shape_of(s);

    take_values(c, entry, s);
    entry_set_sources(c, entry, s);
    account_set(c, entry, s->policy);
    orders_move(&c->orders, &before, entry);
    free(entry->row);
    entry->row = NULL;
    if (shape != entry->shape && !entry->quiet && c->holders > 0)
        list_add(c, LIST_MOVED, entry);
    entry->shape = shape;
    entry->quiet = false;
    return true;
}

/* Looks at some of those that changed. */
static void look(struct catalogue *c)
{
    struct entry_list *stale = &c->lists[LIST_STALE];
    const char *keys[CATALOGUE_SLICE];
    size_t count = 0;

    if (stale->count > ORDER_MOVES_MAX)
        orders_mix(&c->orders);
    while (count < CATALOGUE_SLICE && stale->count > 0) {
        struct entry *entry = stale->items[--stale->count];

        entry->place[LIST_STALE] = 0;
        keys[count++] = entry->key;
    }
    if (count > 0)
        autoscaler_some_objects(c->a, keys, count, on_look, c);
}

/* ------------------------------------------------------------------ listening */

static void on_changed(void *arg, const char *key)
{
    struct catalogue *c = arg;
    struct entry *entry = map_get(c->entries, key);

    if (entry)
        list_add(c, LIST_STALE, entry);
    else
        entry_new(c, key);
}

static void on_gone(void *arg, const char *key)
{
    struct catalogue *c = arg;
    struct entry *entry = map_get(c->entries, key);

    if (entry)
        entry_free(c, entry);
}

static void begin(struct catalogue *c)
{
    c->entries = map_new();
    c->namespaces = map_new();
    c->types = map_new();
    c->sources = map_new();
    text_clear(&c->scratch);
    autoscaler_keys(c->a, &c->scratch);
    for (size_t at = 0; at < c->scratch.length; at += strlen(c->scratch.bytes + at) + 1)
        entry_new(c, c->scratch.bytes + at)->quiet = true;
    c->listener = (struct autoscaler_listener){.arg = c, .changed = on_changed, .gone = on_gone};
    autoscaler_listen(c->a, &c->listener);
    loop_timer_set(c->idle_timer, CATALOGUE_IDLE_MS);
}

static void end(struct catalogue *c)
{
    const char *key;
    void *value;

    autoscaler_unlisten(c->a, &c->listener);
    for (size_t cursor = 0; map_next(c->entries, &cursor, &key, &value);)
        entry_free(c, value);
    assert(map_count(c->sources) == 0 && map_count(c->types) == 0 && map_count(c->namespaces) == 0);
    map_free(c->entries);
    map_free(c->namespaces);
    map_free(c->types);
    map_free(c->sources);
    c->entries = c->namespaces = c->types = c->sources = NULL;
    for (int i = 0; i < ENTRY_LISTS; i++) {
        free(c->lists[i].items);
        c->lists[i] = (struct entry_list){0};
    }
    orders_done(&c->orders);
    loop_timer_stop(c->idle_timer);
    loop_timer_stop(c->account_timer);
}

static void on_idle(void *arg)
{
    struct catalogue *c = arg;
    int64_t idle_ms = loop_ticks_ms(autoscaler_loop(c->a)) - c->asked_ticks_ms;

    if (c->holders > 0 || c->waiters || idle_ms < CATALOGUE_IDLE_MS)
        loop_timer_set(c->idle_timer, CATALOGUE_IDLE_MS);
    else
        end(c);
}

/* ------------------------------------------------------------------ asking */

bool catalogue_is_fresh(struct catalogue *c)
{
    c->asked_ticks_ms = loop_ticks_ms(autoscaler_loop(c->a));
    if (!c->entries)
        begin(c);
    if (c->waiters) /* who came first is looked for first */
        return false;
    look(c);
    return c->lists[LIST_STALE].count == 0;
}

static void answer_waiters(struct catalogue *c, bool ended)
{
    struct waiter *list = c->waiters;

    c->waiters = NULL;
    while (list) {
        struct waiter *next = list->next;

        list->done(list->arg, ended);
        free(list);
        list = next;
    }
}

static void on_slice(void *arg)
{
    struct catalogue *c = arg;

    look(c);
    if (c->lists[LIST_STALE].count > 0)
        loop_timer_set(c->slice_timer, 0);
    else
        answer_waiters(c, false);
}

void catalogue_when_fresh(struct catalogue *c, catalogue_done *done, void *arg)
{
    struct waiter *waiter, **last;

    if (catalogue_is_fresh(c)) {
        done(arg, false);
        return;
    }
    waiter = mem_alloc(sizeof(*waiter));
    *waiter = (struct waiter){.done = done, .arg = arg};
    if (!c->waiters)
        loop_timer_set(c->slice_timer, 0);
    for (last = &c->waiters; *last; last = &(*last)->next)
        ;
    *last = waiter;
}

void catalogue_hold(struct catalogue *c)
{
    if (c->holders++ == 0 && !c->entries)
        begin(c);
}

void catalogue_release(struct catalogue *c)
{
    assert(c->holders > 0);
    c->asked_ticks_ms = loop_ticks_ms(autoscaler_loop(c->a));
    if (--c->holders == 0)
        list_clear(&c->lists[LIST_MOVED], LIST_MOVED);
}

struct catalogue *catalogue_new(struct autoscaler *a)
{
    struct catalogue *c = mem_alloc(sizeof(*c));

    c->a = a;
    c->slice_timer = loop_timer_new(autoscaler_loop(a), on_slice, c);
    c->idle_timer = loop_timer_new(autoscaler_loop(a), on_idle, c);
    c->account_timer = loop_timer_new(autoscaler_loop(a), accounts_step, c);
    text_init(&c->scratch, SERVER_ANSWER_MAX_BYTES);
    return c;
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    answer_waiters(c, true);
    if (c->entries)
        end(c);
    loop_timer_free(c->slice_timer);
    loop_timer_free(c->idle_timer);
    loop_timer_free(c->account_timer);
    text_done(&c->scratch);
    free(c);
}

void catalogue_totals(const struct catalogue *c, struct catalogue_totals *out)
{
    *out = c->totals;
    out->namespaces = c->namespaces;
    out->types = c->types;
    out->sources = c->sources;
}

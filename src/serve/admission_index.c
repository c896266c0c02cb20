/*
 * admission_index: two questions, asked of up to a million objects in a microsecond: who else scales this target, and whose autoscaler has
 * this name? Each claim hangs in three chains, one per key:
 *
 *     names      hash(ns, name)                    -> claim -> claim
 *     targets    hash(ns, group, kind, name)       -> claim
 *     scalers    hash(ns, autoscaler)              -> claim -> claim
 *
 * The tables double when there are as many claims as places.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/map.h"
#include "serve/admission_internal.h"

enum { BY_NAME, BY_TARGET, BY_SCALER, CHAINS, FIRST_PLACES = 64, SCALER_NAME_BYTES = 300 };

struct entry {
    struct claim claim;
    struct entry *next[CHAINS];
    bool seen; /* since its source's list began */
};
struct claim_index {
    struct entry **places[CHAINS];
    size_t place_count, count;
    uint64_t seed; /* names are chosen by people: where they go must not be guessable */
    bool by_scaler;
};

/* ------------------------------------------------------------------ keys */

static uint64_t key_of_name(const struct claim_index *x, const char *ns, const char *name)
{
    return hash_string(hash_string(x->seed, ns), name);
}

static uint64_t key_of_target(const struct claim_index *x, const char *ns, const struct admission_target *t)
{
    size_t group = strchr(t->api_version, '/') ? strcspn(t->api_version, "/") : 0;

    return hash_string(hash_string(hash_bytes(hash_string(x->seed, ns), t->api_version, group), t->kind), t->name);
}

/* The autoscaler an object has or would have. */
static const char *scaler_of(const struct claim *c, char name[SCALER_NAME_BYTES])
{
    if (c->other && c->other[0])
        return c->other;
    snprintf(name, SCALER_NAME_BYTES, "keda-hpa-%s", c->name);
    return name;
}

static size_t place_of_entry(const struct claim_index *x, const struct claim *c, int chain)
{
    char name[SCALER_NAME_BYTES];
    uint64_t key = chain == BY_NAME     ? key_of_name(x, c->ns, c->name)
                   : chain == BY_TARGET ? key_of_target(x, c->ns, &c->target)
                                        : key_of_name(x, c->ns, scaler_of(c, name));

    return (size_t)key & (x->place_count - 1);
}

static int chain_count(const struct claim_index *x)
{
    return x->by_scaler ? CHAINS : BY_SCALER;
}

/* ------------------------------------------------------------------ chains */

static void link_entry(struct claim_index *x, struct entry *e)
{
    for (int chain = 0; chain < chain_count(x); chain++) {
        struct entry **place = &x->places[chain][place_of_entry(x, &e->claim, chain)];

        e->next[chain] = *place;
        *place = e;
    }
}

static void unlink_entry(struct claim_index *x, const struct entry *e)
{
    for (int chain = 0; chain < chain_count(x); chain++) {
        struct entry **link = &x->places[chain][place_of_entry(x, &e->claim, chain)];

        while (*link != e)
            link = &(*link)->next[chain];
        *link = e->next[chain];
    }
}

static void grow(struct claim_index *x)
{
    size_t old_count = x->place_count;
    struct entry **old = x->places[BY_NAME];

    x->place_count *= 2;
    for (int chain = 0; chain < chain_count(x); chain++) {
        if (chain != BY_NAME)
            free(x->places[chain]);
        x->places[chain] = mem_array(x->place_count, sizeof(struct entry *));
    }
    for (size_t i = 0; i < old_count; i++) {
        for (struct entry *e = old[i], *next; e; e = next) {
            next = e->next[BY_NAME];
            link_entry(x, e);
        }
    }
    free(old);
}

/* ------------------------------------------------------------------ life */

struct claim_index *claim_index_new(bool by_scaler)
{
    struct claim_index *x = mem_alloc(sizeof(*x));

    if (getrandom(&x->seed, sizeof(x->seed), 0) != sizeof(x->seed))
        x->seed = (uint64_t)(uintptr_t)x;
    x->by_scaler = by_scaler;
    x->place_count = FIRST_PLACES;
    for (int chain = 0; chain < chain_count(x); chain++)
        x->places[chain] = mem_array(x->place_count, sizeof(struct entry *));
    return x;
}

static void free_texts(struct claim *c)
{
    const char *texts[] = {c->ns, c->name, c->target.api_version, c->target.kind, c->target.name, c->other};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        atom_unref(texts[i]);
}

static void copy_claim(struct claim *to, const struct claim *from)
{
    *to = (struct claim){
        .ns = atom_ref(from->ns),
        .name = atom_ref(from->name),
        .target = {atom_ref(from->target.api_version), atom_ref(from->target.kind), atom_ref(from->target.name)},
        .other = atom_ref(from->other),
        .released = from->released,
        .source = from->source};
}

void claim_index_free(struct claim_index *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->place_count; i++) {
        for (struct entry *e = x->places[BY_NAME][i], *next; e; e = next) {
            next = e->next[BY_NAME];
            free_texts(&e->claim);
            free(e);
        }
    }
    for (int chain = 0; chain < CHAINS; chain++)
        free(x->places[chain]);
    free(x);
}

size_t claim_index_count(const struct claim_index *x)
{
    return x->count;
}

size_t claim_index_bytes(const struct claim_index *x)
{
    return x->count * sizeof(struct entry) + x->place_count * sizeof(struct entry *) * (size_t)chain_count(x);
}

/* ------------------------------------------------------------------ changes */

static struct entry *find(const struct claim_index *x, const char *ns, const char *name)
{
    struct entry *e = x->places[BY_NAME][(size_t)key_of_name(x, ns, name) & (x->place_count - 1)];

    while (e && (strcmp(e->claim.name, name) != 0 || strcmp(e->claim.ns, ns) != 0))
        e = e->next[BY_NAME];
    return e;
}

bool claim_index_put(struct claim_index *x, const struct claim *claim)
{
    struct entry *e = find(x, claim->ns, claim->name);

    if (!e && x->count == ADMISSION_INDEX_MAX)
        return false;
    if (!e) {
        if (x->count == x->place_count)
            grow(x);
        e = mem_alloc(sizeof(*e));
        x->count++;
        copy_claim(&e->claim, claim);
    } else {
        struct claim old = e->claim;

        unlink_entry(x, e);
        copy_claim(&e->claim, claim); /* before the old texts go: they are mostly the same */
        free_texts(&old);
    }
    e->seen = true;
    link_entry(x, e);
    return true;
}

static void drop(struct claim_index *x, struct entry *e)
{
    unlink_entry(x, e);
    free_texts(&e->claim);
    free(e);
    x->count--;
}

void claim_index_remove(struct claim_index *x, const char *ns, const char *name)
{
    struct entry *e = find(x, ns, name);

    if (e)
        drop(x, e);
}

void claim_index_mark(struct claim_index *x, uint16_t source)
{
    for (size_t i = 0; i < x->place_count; i++) {
        for (struct entry *e = x->places[BY_NAME][i]; e; e = e->next[BY_NAME])
            e->seen &= e->claim.source != source;
    }
}

void claim_index_sweep(struct claim_index *x, uint16_t source)
{
    for (size_t i = 0; i < x->place_count; i++) {
        for (struct entry *e = x->places[BY_NAME][i], *next; e; e = next) {
            next = e->next[BY_NAME];
            if (e->claim.source == source && !e->seen)
                drop(x, e);
        }
    }
}

/* ------------------------------------------------------------------ questions */

void claim_index_on_target(const struct claim_index *x, const char *ns, const struct admission_target *target,
                           claim_found *found, void *arg)
{
    size_t place = (size_t)key_of_target(x, ns, target) & (x->place_count - 1);

    for (const struct entry *e = x->places[BY_TARGET][place]; e; e = e->next[BY_TARGET]) {
        if (strcmp(e->claim.ns, ns) == 0 && admission_same_target(&e->claim.target, target))
            found(arg, &e->claim);
    }
}

void claim_index_on_scaler(const struct claim_index *x, const char *ns, const char *scaler, claim_found *found,
                           void *arg)
{
    size_t place = (size_t)key_of_name(x, ns, scaler) & (x->place_count - 1);
    char name[SCALER_NAME_BYTES];

    if (!x->by_scaler)
        return;
    for (const struct entry *e = x->places[BY_SCALER][place]; e; e = e->next[BY_SCALER]) {
        if (strcmp(e->claim.ns, ns) == 0 && strcmp(scaler_of(&e->claim, name), scaler) == 0)
            found(arg, &e->claim);
    }
}

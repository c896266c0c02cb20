/*
 * atom: see atom.h. A chained hash table of counted texts; the text a caller holds is the tail of its table entry, so
 * that counting needs no look-up.
 */
#include "base/atom.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"

struct atom {
    struct atom *next; /* in its bucket */
    uint32_t hash, references;
    char text[];
};

static struct {
    struct atom **buckets;
    size_t size, count; /* size is a power of two, or 0 before the first atom */
} table;

static struct atom *atom_of(const char *text)
{
    return (struct atom *)(text - offsetof(struct atom, text));
}

static struct atom **bucket_of(uint32_t hash)
{
    return &table.buckets[hash & (table.size - 1)];
}

static void grow(void)
{
    enum { FIRST_BUCKETS = 64 };
    struct atom **old = table.buckets;
    size_t old_size = table.size;

    table.size = old_size ? 2 * old_size : FIRST_BUCKETS;
    table.buckets = mem_array(table.size, sizeof *table.buckets);
    for (size_t i = 0; i < old_size; i++) {
        for (struct atom *a = old[i], *next; a; a = next) {
            next = a->next;
            a->next = *bucket_of(a->hash);
            *bucket_of(a->hash) = a;
        }
    }
    free(old);
}

const char *atom_ref(const char *string)
{
    if (!string)
        return NULL;
    if (table.count == table.size)
        grow();
    size_t length = strlen(string);
    uint32_t hash = (uint32_t)hash_bytes(0, string, length);
    for (struct atom *a = *bucket_of(hash); a; a = a->next)
        if (a->hash == hash && strcmp(a->text, string) == 0)
            return atom_again(a->text);
    struct atom *a = mem_alloc(sizeof *a + length + 1);
    memcpy(a->text, string, length + 1);
    a->hash = hash;
    a->references = 1;
    a->next = *bucket_of(hash);
    *bucket_of(hash) = a;
    table.count++;
    return a->text;
}

const char *atom_again(const char *atom)
{
    if (atom) {
        assert(atom_of(atom)->references > 0 && atom_of(atom)->references < UINT32_MAX);
        atom_of(atom)->references++;
    }
    return atom;
}

void atom_unref(const char *atom)
{
    if (!atom)
        return;
    struct atom *a = atom_of(atom);
    assert(a->references > 0);
    if (--a->references > 0)
        return;
    struct atom **at = bucket_of(a->hash);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    free(a);
    if (--table.count == 0) { /* gives everything back, so that leak checkers see nothing of ours */
        free(table.buckets);
        table.buckets = NULL;
        table.size = 0;
    }
}

size_t atom_count(void)
{
    return table.count;
}

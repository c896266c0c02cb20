/* patch: see patch.h. Recursion is bounded by TREE_DEPTH_MAX, which the reader of trees keeps. */
#include "platform/kubernetes/patch.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/quantity.h"
#include "base/text.h"
#include "base/tree.h"

enum { MAP_WORD = 0 }; /* in place of a value's hash */

static bool is_null(const struct tree *node)
{
    return node == NULL || node->type == TREE_NULL;
}

/* ------------------------------------------------------------------ hashes */

static bool is_quantity(const struct tree *node, int flags)
{
    return (flags & LEAVES_QUANTITIES) != 0 && node->key != NULL &&
           (strcmp(node->key, "value") == 0 || strcmp(node->key, "averageValue") == 0);
}

static uint64_t hash_scalar(const struct tree *node, int flags)
{
    uint64_t type = (uint64_t)node->type + 1;
    double value;

    if (node->type == TREE_BOOL)
        return hash_bytes(type, &node->boolean, sizeof node->boolean);
    if (is_quantity(node, flags) && quantity_parse_double(node->text, &value))
        return hash_bytes(99, &value, sizeof value);
    return hash_bytes(type, node->text, node->length);
}

uint64_t tree_hash(const struct tree *node, int flags)
{
    if (is_null(node))
        return 0;
    if (node->type != TREE_MAP && node->type != TREE_LIST)
        return hash_scalar(node, flags);
    uint64_t hash = node->type == TREE_MAP ? 0x6d61 : 0x6c69;
    for (const struct tree *child = node->first; child != NULL; child = child->next) {
        uint64_t one = tree_hash(child, flags);
        if (node->type == TREE_LIST)
            hash = hash_bytes(hash, &one, sizeof one);
        else if (!is_null(child))
            hash += hash_bytes(hash_string(7, child->key), &one, sizeof one);
    }
    return hash;
}

/* ------------------------------------------------------------------ leaves */

static uint32_t fold(uint64_t hash)
{
    return (uint32_t)(hash ^ (hash >> 32));
}

static uint64_t path_of(uint64_t parent, const char *key)
{
    return hash_string(parent, key);
}

static uint64_t word_of(uint64_t path, const struct tree *node, int flags)
{
    uint32_t value = MAP_WORD;

    if (node->type != TREE_MAP) {
        value = fold(tree_hash(node, flags));
        if (value == MAP_WORD)
            value = 1;
    }
    return (uint64_t)fold(path) << 32 | value;
}

void leaves_add_word(struct leaves_draft *d, uint64_t word)
{
    if (d->count == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 32;
        d->words = mem_grow(d->words, d->capacity, sizeof *d->words);
    }
    d->words[d->count++] = word;
}

static void add(struct leaves_draft *d, uint64_t path, const struct tree *node, int flags)
{
    if (is_null(node))
        return;
    leaves_add_word(d, word_of(path, node, flags));
    if (node->type != TREE_MAP)
        return;
    for (const struct tree *child = node->first; child != NULL; child = child->next)
        add(d, path_of(path, child->key), child, flags);
}

void leaves_add(struct leaves_draft *d, const char *path, const struct tree *node, int flags)
{
    add(d, hash_string(0, path), node, flags);
}

static int compare_words(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

struct leaves *leaves_take(struct leaves_draft *d)
{
    struct leaves *leaves = mem_alloc(sizeof *leaves + d->count * sizeof leaves->words[0]);

    leaves->count = (uint32_t)d->count;
    if (d->count > 0) {
        memcpy(leaves->words, d->words, d->count * sizeof leaves->words[0]);
        qsort(leaves->words, d->count, sizeof leaves->words[0], compare_words);
    }
    free(d->words);
    *d = (struct leaves_draft){0};
    return leaves;
}

bool leaves_have(const struct leaves *leaves, uint64_t word)
{
    return leaves != NULL && leaves->count > 0 &&
           bsearch(&word, leaves->words, leaves->count, sizeof word, compare_words) != NULL;
}

bool leaves_equal(const struct leaves *a, const struct leaves *b)
{
    return a != NULL && b != NULL && a->count == b->count &&
           memcmp(a->words, b->words, a->count * sizeof a->words[0]) == 0;
}

bool leaves_word_is_map(uint64_t word)
{
    return (uint32_t)word == MAP_WORD;
}

/* Is anything there at the path? */
static bool has_path(const struct leaves *leaves, uint64_t path)
{
    uint64_t least = (uint64_t)fold(path) << 32;
    size_t low = 0, high = leaves ? leaves->count : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (leaves->words[middle] < least)
            low = middle + 1;
        else
            high = middle;
    }
    return leaves != NULL && low < leaves->count && leaves->words[low] >> 32 == least >> 32;
}

/* ------------------------------------------------------------------ patches */

static bool changes(const struct tree *patch, uint64_t path, const struct leaves *now)
{
    if (is_null(patch))
        return has_path(now, path);
    if (!leaves_have(now, word_of(path, patch, 0)))
        return true;
    if (patch->type != TREE_MAP)
        return false;
    for (const struct tree *child = patch->first; child != NULL; child = child->next) {
        if (changes(child, path_of(path, child->key), now))
            return true;
    }
    return false;
}

bool patch_changes(const struct tree *patch, const struct leaves *now)
{
    if (patch != NULL && patch->type == TREE_MAP && patch->count == 0)
        return false;
    if (now == NULL || now->count == 0) { /* no status at all: null members take nothing away */
        for (const struct tree *child = patch ? patch->first : NULL; child != NULL; child = child->next) {
            if (!is_null(child))
                return true;
        }
        return false;
    }
    return changes(patch, hash_string(0, ""), now);
}

static bool write_member(struct text *out, bool first, const struct tree *node)
{
    bool good = first || text_add_char(out, ',');

    good = good && text_add_json_string(out, node->key, strlen(node->key)) && text_add_char(out, ':');
    return good;
}

static bool write_value(struct text *out, const struct tree *node)
{
    tree_write_json(node, out);
    return !out->overflowed;
}

bool patch_compose(const struct tree *first, const struct tree *second, struct text *out)
{
    bool none = true;

    if (first == NULL || second == NULL || first->type != TREE_MAP || second->type != TREE_MAP)
        return write_value(out, second ? second : first);
    if (!text_add_char(out, '{'))
        return false;
    for (const struct tree *a = first->first; a != NULL; a = a->next) {
        const struct tree *b = tree_get(second, a->key);
        if (!write_member(out, none, a) || !(b != NULL ? patch_compose(a, b, out) : write_value(out, a)))
            return false;
        none = false;
    }
    for (const struct tree *b = second->first; b != NULL; b = b->next) {
        if (tree_get(first, b->key) != NULL)
            continue;
        if (!write_member(out, none, b) || !write_value(out, b))
            return false;
        none = false;
    }
    return text_add_char(out, '}');
}

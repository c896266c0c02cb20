/*
 * tree: see tree.h. Questions about nodes, and JSON written from them; the readers are tree_json.c and tree_yaml.c.
 */
#include "base/tree.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree_internal.h"
#include "base/utf8.h"

void tree_mark_repeated(struct tree *map)
{
    enum { FEW = 16 }; /* up to here comparing all pairs is cheaper than a table */
    struct map *seen = map->count > FEW ? map_new() : NULL;

    for (struct tree *member = map->first; member; member = member->next) {
        if (seen) {
            member->repeated_key = map_put(seen, member->key, member) != NULL;
            continue;
        }
        for (const struct tree *other = map->first; other != member && !member->repeated_key; other = other->next)
            member->repeated_key = strcmp(other->key, member->key) == 0;
    }
    map_free(seen);
}

const char *tree_key_without_zeros(struct arena *arena, const char *key, size_t length)
{
    char *copy = arena_alloc(arena, 3 * length + 1), *out = copy;

    for (size_t i = 0; i < length; i++) {
        size_t size = key[i] ? 1 : strlen(UTF8_REPLACEMENT);
        memcpy(out, key[i] ? key + i : UTF8_REPLACEMENT, size);
        out += size;
    }
    return copy;
}

static const struct tree *get_n(const struct tree *map, const char *key, size_t length)
{
    const struct tree *found = NULL;

    if (!map || map->type != TREE_MAP)
        return NULL;
    for (const struct tree *member = map->first; member; member = member->next)
        if (strncmp(member->key, key, length) == 0 && member->key[length] == 0)
            found = member;
    return found;
}

const struct tree *tree_get(const struct tree *map, const char *key)
{
    return get_n(map, key, strlen(key));
}

const struct tree *tree_get_fold(const struct tree *map, const char *key)
{
    const struct tree *found = NULL;

    if (!map || map->type != TREE_MAP)
        return NULL;
    for (const struct tree *member = map->first; member; member = member->next)
        if (strcasecmp(member->key, key) == 0)
            found = member;
    return found;
}

const struct tree *tree_index(const struct tree *list, size_t index)
{
    if (!list || list->type != TREE_LIST || index >= list->count)
        return NULL;
    const struct tree *element = list->first;
    while (index-- > 0)
        element = element->next;
    return element;
}

static bool parse_index(const char *s, size_t length, size_t *index)
{
    *index = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)s[i]) || *index > TREE_NODES_MAX)
            return false;
        *index = *index * 10 + (size_t)(s[i] - '0');
    }
    return length > 0;
}

const struct tree *tree_at(const struct tree *node, const char *path)
{
    while (node && *path) {
        size_t length = strcspn(path, "."), index;
        if (node->type == TREE_LIST)
            node = parse_index(path, length, &index) ? tree_index(node, index) : NULL;
        else
            node = get_n(node, path, length);
        path += length + (path[length] == '.');
    }
    return node;
}

size_t tree_count(const struct tree *node)
{
    return node ? node->count : 0;
}

const char *tree_string(const struct tree *node)
{
    return node && node->type == TREE_STRING ? node->text : NULL;
}

bool tree_number(const struct tree *node, double *value)
{
    if (!node || (node->type != TREE_NUMBER && node->type != TREE_STRING))
        return false;
    if (node->type == TREE_NUMBER && node->line > 0)
        return yaml_number(node->text, node->length, value);
    return number_parse(node->text, node->length, value);
}

/* JSON: an integer literal. YAML goes through a double where the text is a float, so 5.0 and 1e3 are integers there. */
bool tree_integer(const struct tree *node, int64_t *value)
{
    double number;

    if (!node || node->type != TREE_NUMBER)
        return false;
    if (yaml_integer(node->text, node->length, value))
        return true;
    if (node->line == 0 || !yaml_number(node->text, node->length, &number) || number != trunc(number) ||
        fabs(number) >= 0x1p63)
        return false;
    *value = (int64_t)number;
    return true;
}

bool tree_bool(const struct tree *node, bool *value)
{
    if (!node || node->type != TREE_BOOL)
        return false;
    *value = node->boolean;
    return true;
}

const char *tree_type_name(enum tree_type type)
{
    switch (type) {
    case TREE_NULL:
        return "null";
    case TREE_BOOL:
        return "a boolean";
    case TREE_NUMBER:
        return "a number";
    case TREE_STRING:
        return "a string";
    case TREE_LIST:
        return "a list";
    case TREE_MAP:
        return "a map";
    }
    return "nothing";
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool is_json_number(const char *s)
{
    s += *s == '-';
    if (!isdigit((unsigned char)*s) || (*s == '0' && isdigit((unsigned char)s[1])))
        return false;
    s += strspn(s, "0123456789");
    if (*s == '.') {
        size_t digits = strspn(s + 1, "0123456789");
        if (digits == 0)
            return false;
        s += 1 + digits;
    }
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '+' || s[1] == '-');
        size_t digits = strspn(s, "0123456789");
        if (digits == 0)
            return false;
        s += digits;
    }
    return *s == 0;
}

/* Numbers go out as they came in where JSON has that form. */
static void write_number(const struct tree *node, struct text *out)
{
    int64_t integer;
    double number;

    if (is_json_number(node->text))
        text_append(out, node->text, node->length);
    else if (yaml_integer(node->text, node->length, &integer))
        text_printf(out, "%lld", (long long)integer);
    else if (yaml_number(node->text, node->length, &number) && isfinite(number))
        text_add_number(out, number);
    else
        text_add(out, "null"); /* JSON has no infinities and no NaN */
}

/* Depth is bounded by the readers (TREE_DEPTH_MAX). */
void tree_write_json(const struct tree *node, struct text *out)
{
    if (!node || node->type == TREE_NULL) {
        text_add(out, "null");
    } else if (node->type == TREE_BOOL) {
        text_add(out, node->boolean ? "true" : "false");
    } else if (node->type == TREE_NUMBER) {
        write_number(node, out);
    } else if (node->type == TREE_STRING) {
        text_add_json_string(out, node->text, node->length);
    } else {
        bool map = node->type == TREE_MAP;
        text_add_char(out, map ? '{' : '[');
        for (const struct tree *child = node->first; child && !out->overflowed; child = child->next) {
            text_add(out, child == node->first ? "" : ",");
            if (map) {
                text_add_json_string(out, child->key, strlen(child->key));
                text_add_char(out, ':');
            }
            tree_write_json(child, out);
        }
        text_add_char(out, map ? '}' : ']');
    }
}

/* Depth as above. */
void tree_wipe(const struct tree *node)
{
    for (; node; node = node->next) {
        if (node->text && node->length > 0)
            explicit_bzero((char *)(uintptr_t)node->text, node->length);
        tree_wipe(node->first);
    }
}

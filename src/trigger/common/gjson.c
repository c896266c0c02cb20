/*
 * gjson: a path is walked from left to right, one component at a time. Components are parted by '.' or '|'; they differ
 * only behind '#', where '.' goes on with each element and '|' with the list as a whole.
 *
 *     name  na*e  name\.x     member of a map; '*' and '?' are wildcards, '\' takes a character literally
 *     0                       element of a list
 *     #                       of a list: how many (last) or each (followed by '.')
 *     #(path op value)        the first element that fits; #(...)# all of them
 *     @name  @name:argument   a modifier: reverse, keys, values, flatten, this, fromstr, tostr, dig, join
 *     [a,b]  {"x":a,b}        several paths at once
 *
 * The tree was bounded when it was read; depth here is bounded by PATH_DEPTH_MAX, and what is made anew by the size of
 * what is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/gjson.h"
#include "trigger/driver.h"

enum { PATH_DEPTH_MAX = 32 };

static const struct tree *walk(const struct tree *node, const char *path, struct arena *arena, int depth);

/* ------------------------------------------------------------------ making nodes */

static struct tree *make(struct arena *arena, enum tree_type type)
{
    struct tree *node = arena_alloc(arena, sizeof(*node));

    node->type = type;
    return node;
}

static struct tree *make_text(struct arena *arena, enum tree_type type, const char *text, size_t length)
{
    struct tree *node = make(arena, type);

    node->text = arena_copy_bytes(arena, text, length);
    node->length = length;
    return node;
}

static struct tree *make_count(struct arena *arena, size_t count)
{
    char digits[32];

    return make_text(arena, TREE_NUMBER, digits, (size_t)snprintf(digits, sizeof(digits), "%zu", count));
}

/* A copy of the node alone becomes the last child; its own children are shared. */
static void append(struct arena *arena, struct tree *parent, const struct tree *child, const char *key)
{
    struct tree *copy = make(arena, child->type), *last = parent->first;

    *copy = *child;
    copy->next = NULL;
    copy->key = key;
    parent->count++;
    if (!last) {
        parent->first = copy;
        parent->text = (const char *)copy; /* while it is made: the last child, so that appending does not walk */
        return;
    }
    last = (struct tree *)(uintptr_t)parent->text;
    last->next = copy;
    parent->text = (const char *)copy;
}

static const struct tree *finished(struct tree *parent)
{
    parent->text = NULL;
    return parent;
}

/* ------------------------------------------------------------------ reading a path */

/* Past the bracket that closes the one at s; strings and '\' inside are skipped. NULL: none closes it. */
static const char *past_bracket(const char *s)
{
    int open = 0;
    bool quoted = false;

    for (; *s; s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (*s == '"')
            quoted = !quoted;
        else if (!quoted && strchr("([{", *s))
            open++;
        else if (!quoted && strchr(")]}", *s) && --open == 0)
            return s + 1;
    }
    return NULL;
}

/* Where the component that begins here ends: at '.', '|' or the end. */
static const char *component_end(const char *s)
{
    if (s[0] == '#' && (s[1] == '(' || s[1] == '[')) {
        const char *end = past_bracket(s + 1);

        if (!end)
            return NULL;
        return end + (*end == '#');
    }
    while (*s && *s != '.' && *s != '|')
        s += *s == '\\' && s[1] ? 2 : 1;
    return s;
}

/* Does the text fit the pattern? '*' any number, '?' one character. Iterative: the last '*' is where to try again. */
static bool fits_pattern(const char *pattern, size_t length, const char *text)
{
    const char *end = pattern + length, *star = NULL, *retry = NULL;

    while (*text) {
        const char *literal = pattern < end && *pattern == '\\' && pattern + 1 < end ? pattern + 1 : pattern;

        if (pattern < end && literal == pattern && *pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (pattern < end && ((literal == pattern && *pattern == '?') || *literal == *text)) {
            pattern = literal + 1;
            text++;
        } else if (star) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

static const struct tree *member(const struct tree *map, const char *name, size_t length)
{
    for (const struct tree *child = map->first; child; child = child->next)
        if (fits_pattern(name, length, child->key))
            return child;
    return NULL;
}

static const struct tree *element(const struct tree *list, const char *digits, size_t length)
{
    if (length == 0 || length > 9 || strspn(digits, "0123456789") < length)
        return NULL;
    return tree_index(list, strtoul(digits, NULL, 10));
}

/* ------------------------------------------------------------------ conditions */

struct condition {
    const char *path, *value; /* value: without its quotes */
    const char *op;           /* "=", "!=", "<", "<=", ">", ">=", "%", "!%"; "" exists */
};

static const char *unquoted(struct arena *arena, const char *text, size_t length)
{
    struct tree *string;

    if (length >= 2 && text[0] == '"' && tree_read_json(text, length, false, arena, &string, NULL) &&
        tree_string(string))
        return tree_string(string);
    return arena_copy_bytes(arena, text, length);
}

static void trim(const char **begin, const char **end)
{
    while (*begin < *end && **begin == ' ')
        (*begin)++;
    while (*end > *begin && (*end)[-1] == ' ')
        (*end)--;
}

static void parse_condition(const char *text, size_t length, struct arena *arena, struct condition *out)
{
    static const char *const ops[] = {"==", "!=", "<=", ">=", "!%", "=", "<", ">", "%"};
    const char *end = text + length, *s = text, *value, *value_end = end, *path = text, *path_end;
    size_t found = sizeof(ops) / sizeof(ops[0]);

    for (; s < end && found == sizeof(ops) / sizeof(ops[0]); s++) {
        if (*s == '\\' && s + 1 < end) {
            s++;
            continue;
        }
        if (*s == '(' || *s == '[' || *s == '{') {
            const char *past = past_bracket(s);

            s = past && past <= end ? past - 1 : end - 1;
            continue;
        }
        for (found = 0; found < sizeof(ops) / sizeof(ops[0]); found++)
            if (strncmp(s, ops[found], strlen(ops[found])) == 0)
                break;
        if (found < sizeof(ops) / sizeof(ops[0]))
            break;
    }
    path_end = s < end ? s : end;
    out->op = "";
    if (found < sizeof(ops) / sizeof(ops[0])) {
        out->op = strcmp(ops[found], "==") == 0 ? "=" : ops[found];
        value = s + strlen(ops[found]);
    } else {
        value = end;
    }
    trim(&path, &path_end);
    trim(&value, &value_end);
    out->path = arena_copy_bytes(arena, path, (size_t)(path_end - path));
    out->value = unquoted(arena, value, (size_t)(value_end - value));
}

static bool order_fits(const char *op, int order)
{
    switch (*op) {
    case '=':
        return order == 0;
    case '!':
        return order != 0;
    case '<':
        return order < 0 || (op[1] == '=' && order == 0);
    default:
        return order > 0 || (op[1] == '=' && order == 0);
    }
}

/* "~true" and the like ask what a value amounts to, not what it is. */
static bool amounts_to(const struct tree *value, const char *word, bool *result)
{
    double number = 0;
    bool truth = false;

    if (value && value->type == TREE_BOOL)
        truth = value->boolean;
    else if (value && value->type == TREE_NUMBER)
        truth = tree_number(value, &number) && number != 0;
    else if (value && value->type == TREE_STRING)
        truth = strcmp(value->text, "true") == 0 || strcmp(value->text, "1") == 0;
    if (strcmp(word, "*") == 0)
        *result = value != NULL;
    else if (strcmp(word, "null") == 0)
        *result = !value || value->type == TREE_NULL;
    else if (strcmp(word, "true") == 0)
        *result = truth;
    else if (strcmp(word, "false") == 0)
        *result = !truth;
    else
        return false;
    return true;
}

static bool value_fits(const struct tree *value, const struct condition *c)
{
    double left = 0, right = 0;
    bool wanted = false, pattern = strchr(c->op, '%') != NULL;

    if (c->value[0] == '~' && amounts_to(value, c->value + 1, &wanted))
        return *c->op == '!' ? !wanted : wanted;
    if (!value)
        return false;
    if (*c->op == '\0')
        return true;
    if (value->type == TREE_STRING && pattern)
        return fits_pattern(c->value, strlen(c->value), value->text) == (*c->op == '%');
    if (value->type == TREE_STRING)
        return order_fits(c->op, strcmp(value->text, c->value));
    if (value->type == TREE_NUMBER && !pattern) {
        if (!number_parse(c->value, strlen(c->value), &right))
            right = 0;
        return tree_number(value, &left) && order_fits(c->op, left < right ? -1 : left > right);
    }
    if (value->type == TREE_BOOL && !pattern)
        return order_fits(c->op, (int)value->boolean - (strcmp(c->value, "true") == 0));
    return false;
}

static bool element_fits(const struct tree *item, const struct condition *c, struct arena *arena, int depth)
{
    if (*c->path == '\0')
        return value_fits(item, c);
    if (item->type != TREE_MAP && item->type != TREE_LIST)
        return false;
    return value_fits(walk(item, c->path, arena, depth + 1), c);
}

/* ------------------------------------------------------------------ lists */

/* Goes on with each element, up to a '|', behind which the list made of the results is taken as a whole. */
static const struct tree *each(const struct tree *list, const char *path, struct arena *arena, int depth)
{
    const char *end = path;
    struct tree *results = make(arena, TREE_LIST);
    char *part;

    while (*end && *end != '|') {
        const char *next = component_end(end);

        if (!next)
            return NULL;
        end = *next == '.' ? next + 1 : next;
        if (*next == '.' && next[1] == '\0')
            break;
    }
    part = arena_copy_bytes(arena, path, (size_t)(end - path));
    for (const struct tree *item = list->first; item; item = item->next) {
        const struct tree *found = walk(item, part, arena, depth + 1);

        if (found)
            append(arena, results, found, NULL);
    }
    return *end == '|' ? walk(finished(results), end + 1, arena, depth + 1) : finished(results);
}

static const struct tree *query(const struct tree *list, const char *component, const char *end, struct arena *arena,
                                int depth)
{
    bool all = end[-1] == '#';
    const char *text_end = end - (all ? 2 : 1);
    struct condition condition;
    struct tree *matches = make(arena, TREE_LIST);

    parse_condition(component + 2, (size_t)(text_end - component - 2), arena, &condition);
    for (const struct tree *item = list->first; item; item = item->next) {
        if (!element_fits(item, &condition, arena, depth))
            continue;
        if (!all)
            return *end ? walk(item, end + 1, arena, depth + 1) : item;
        append(arena, matches, item, NULL);
    }
    if (!all)
        return NULL;
    if (*end == '.')
        return each(finished(matches), end + 1, arena, depth);
    return *end == '|' ? walk(finished(matches), end + 1, arena, depth + 1) : finished(matches);
}

static const struct tree *walk_list(const struct tree *list, const char *path, const char *end, struct arena *arena,
                                    int depth)
{
    const struct tree *item;

    if (path[0] == '#' && end - path == 1)
        return *end == '.' ? each(list, end + 1, arena, depth)
               : *end      ? walk(make_count(arena, list->count), end + 1, arena, depth + 1)
                           : make_count(arena, list->count);
    if (path[0] == '#' && (path[1] == '(' || path[1] == '[')) /* closed, or there would be no end */
        return query(list, path, end, arena, depth);
    item = element(list, path, (size_t)(end - path));
    return item && *end ? walk(item, end + 1, arena, depth + 1) : item;
}

/* ------------------------------------------------------------------ modifiers */

static const struct tree *reversed(const struct tree *node, struct arena *arena)
{
    struct tree *result = make(arena, node->type);
    const struct tree **items = arena_array(arena, node->count + 1, sizeof(*items));
    size_t count = 0;

    if (node->type != TREE_LIST && node->type != TREE_MAP)
        return node;
    for (const struct tree *child = node->first; child; child = child->next)
        items[count++] = child;
    while (count-- > 0)
        append(arena, result, items[count], items[count]->key);
    return finished(result);
}

static const struct tree *parts_of_map(const struct tree *node, bool keys, struct arena *arena)
{
    struct tree *result = make(arena, TREE_LIST);

    if (node->type == TREE_LIST && !keys)
        return node;
    for (const struct tree *child = node->first; child && node->type == TREE_MAP; child = child->next) {
        if (keys)
            append(arena, result, make_text(arena, TREE_STRING, child->key, strlen(child->key)), NULL);
        else
            append(arena, result, child, NULL);
    }
    return finished(result);
}

static void flatten_into(struct arena *arena, struct tree *result, const struct tree *list, bool deep, int depth)
{
    for (const struct tree *child = list->first; child; child = child->next) {
        if (child->type != TREE_LIST)
            append(arena, result, child, NULL);
        else if (deep && depth < TREE_DEPTH_MAX)
            flatten_into(arena, result, child, true, depth + 1);
        else
            for (const struct tree *grandchild = child->first; grandchild; grandchild = grandchild->next)
                append(arena, result, grandchild, NULL);
    }
}

static void dig_into(struct arena *arena, struct tree *result, const struct tree *node, const char *path, int depth)
{
    const struct tree *found = walk(node, path, arena, PATH_DEPTH_MAX / 2);

    if (found)
        append(arena, result, found, NULL);
    for (const struct tree *child = node->first; child && depth < TREE_DEPTH_MAX; child = child->next)
        if (child->type == TREE_LIST || child->type == TREE_MAP)
            dig_into(arena, result, child, path, depth + 1);
}

static const struct tree *joined(const struct tree *list, struct arena *arena)
{
    struct tree *result = make(arena, TREE_MAP);

    if (list->type != TREE_LIST)
        return list;
    /* Later members win: a member that comes again is put in only when it comes last. */
    for (const struct tree *map = list->first; map; map = map->next)
        for (const struct tree *child = map->type == TREE_MAP ? map->first : NULL; child; child = child->next) {
            bool later = false;

            for (const struct tree *other = map->next; other && !later; other = other->next)
                later = other->type == TREE_MAP && tree_get(other, child->key) != NULL;
            if (!later)
                append(arena, result, child, child->key);
        }
    return finished(result);
}

static const struct tree *from_string(const struct tree *node, struct arena *arena)
{
    struct tree *value;

    if (node->type != TREE_STRING || !tree_read_json(node->text, node->length, false, arena, &value, NULL))
        return NULL;
    return value;
}

static const struct tree *to_string(const struct tree *node, struct arena *arena)
{
    struct text text;
    struct tree *result;

    text_init(&text, HTTP_BODY_MAX_BYTES);
    tree_write_json(node, &text);
    result = make_text(arena, TREE_STRING, text.bytes, text.length);
    text_done(&text);
    return result;
}

static const struct tree *modified(const struct tree *node, const char *name, const char *argument, struct arena *arena)
{
    struct tree *result = make(arena, TREE_LIST);

    if (strcmp(name, "this") == 0 || strcmp(name, "valid") == 0 || strcmp(name, "pretty") == 0 ||
        strcmp(name, "ugly") == 0)
        return node;
    if (strcmp(name, "reverse") == 0)
        return reversed(node, arena);
    if (strcmp(name, "keys") == 0 || strcmp(name, "values") == 0)
        return parts_of_map(node, *name == 'k', arena);
    if (strcmp(name, "join") == 0)
        return joined(node, arena);
    if (strcmp(name, "fromstr") == 0)
        return from_string(node, arena);
    if (strcmp(name, "tostr") == 0)
        return to_string(node, arena);
    if (strcmp(name, "flatten") == 0 && node->type != TREE_LIST)
        return node;
    if (strcmp(name, "flatten") == 0)
        flatten_into(arena, result, node, strstr(argument, "\"deep\":true") != NULL, 0);
    else if (strcmp(name, "dig") == 0 && *argument)
        dig_into(arena, result, node, argument, 0);
    else
        return NULL;
    return finished(result);
}

static const struct tree *walk_modifier(const struct tree *node, const char *path, struct arena *arena, int depth)
{
    size_t name_length = strcspn(path + 1, ".|:");
    const char *end = path + 1 + name_length, *argument = "", *name = arena_copy_bytes(arena, path + 1, name_length);
    const struct tree *result;

    if (*end == ':') {
        const char *begin = end + 1;

        end = strchr("{[(", *begin) && *begin ? past_bracket(begin) : begin + strcspn(begin, "|");
        if (!end)
            return NULL;
        argument = unquoted(arena, begin, (size_t)(end - begin));
    }
    result = modified(node, name, argument, arena);
    return result && *end ? walk(result, end + 1, arena, depth + 1) : result;
}

/* ------------------------------------------------------------------ several paths at once */

static const char *selector_piece_end(const char *s, const char *end)
{
    bool quoted = false;

    for (; s < end; s++) {
        if (*s == '\\' && s + 1 < end)
            s++;
        else if (*s == '"')
            quoted = !quoted;
        else if (!quoted && strchr("([{", *s)) {
            const char *past = past_bracket(s);

            s = past && past <= end ? past - 1 : end - 1;
        } else if (!quoted && *s == ',')
            return s;
    }
    return end;
}

static const struct tree *walk_several(const struct tree *node, const char *path, struct arena *arena, int depth)
{
    bool map = *path == '{';
    const char *past = past_bracket(path), *s = path + 1, *end;
    struct tree *result = make(arena, map ? TREE_MAP : TREE_LIST);

    if (!past)
        return NULL;
    for (end = past - 1; s < end; s++) {
        const char *piece_end = selector_piece_end(s, end), *name = NULL, *begin = s;
        const struct tree *found;

        if (map && *s == '"') {
            const char *close = strchr(s + 1, '"');

            if (close && close < piece_end && close[1] == ':') {
                name = arena_copy_bytes(arena, s + 1, (size_t)(close - s - 1));
                begin = close + 2;
            }
        }
        found = walk(node, arena_copy_bytes(arena, begin, (size_t)(piece_end - begin)), arena, depth + 1);
        if (found)
            append(arena, result, found,
                   map ? name ? name : arena_copy_bytes(arena, begin, (size_t)(piece_end - begin)) : NULL);
        s = piece_end;
    }
    return *past ? walk(finished(result), past + 1, arena, depth + 1) : finished(result);
}

static const struct tree *walk(const struct tree *node, const char *path, struct arena *arena, int depth)
{
    const struct tree *child;
    const char *end;

    if (!node || depth > PATH_DEPTH_MAX || *path == '\0')
        return NULL;
    if (*path == '@')
        return walk_modifier(node, path, arena, depth);
    if (*path == '[' || *path == '{')
        return walk_several(node, path, arena, depth);
    end = component_end(path);
    if (!end)
        return NULL;
    if (node->type == TREE_LIST)
        return walk_list(node, path, end, arena, depth);
    if (node->type != TREE_MAP)
        return NULL;
    child = member(node, path, (size_t)(end - path));
    return child && *end ? walk(child, end + 1, arena, depth + 1) : child;
}

const struct tree *gjson_get(const struct tree *root, const char *path, struct arena *arena)
{
    return walk(root, path, arena, 0);
}

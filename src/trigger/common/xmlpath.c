/*
 * xmlpath: as much of XML as answers with a number in them need. Elements, text, CDATA and the five named and the numeric
 * entities are read; attributes, comments and processing instructions are skipped; a DOCTYPE is refused, for it could
 * define entities that explode.
 */
#include "trigger/common/xmlpath.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"

struct element {
    const char *name;
    size_t name_length;
    struct text text;
    struct element *first, *last, *next, *parent;
};

struct reader {
    const char *s, *end;
    struct arena *arena;
    struct element *root, *open; /* open: the innermost not closed */
    size_t depth, count;
    struct error *err;
};

static bool fault(struct reader *r, const char *what)
{
    return error_set(r->err, ERROR_NONSENSE, "the answer is not XML we can read: %s", what);
}

static bool starts(const struct reader *r, const char *word)
{
    size_t length = strlen(word);

    return (size_t)(r->end - r->s) >= length && memcmp(r->s, word, length) == 0;
}

/* Past the next occurrence of the word. */
static bool skip_past(struct reader *r, const char *word)
{
    const char *found = memmem(r->s, (size_t)(r->end - r->s), word, strlen(word));

    if (!found)
        return fault(r, "something in it does not end");
    r->s = found + strlen(word);
    return true;
}

static void add_character(struct text *text, unsigned long code)
{
    char bytes[4];

    if (code < 0x80) {
        text_add_char(text, (char)code);
        return;
    }
    if (code > 0x10ffff)
        return;
    bytes[0] = (char)(code < 0x800 ? 0xc0 | code >> 6 : code < 0x10000 ? 0xe0 | code >> 12 : 0xf0 | code >> 18);
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = 1; i < length; i++)
        bytes[i] = (char)(0x80 | (code >> 6 * (length - 1 - i) & 0x3f));
    text_append(text, bytes, length);
}

static bool read_entity(struct reader *r, struct text *text)
{
    static const char *const names[][2] = {
        {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&apos;", "'"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (starts(r, names[i][0])) {
            text_add(text, names[i][1]);
            r->s += strlen(names[i][0]);
            return true;
        }
    }
    if (starts(r, "&#")) {
        bool hex = starts(r, "&#x");
        char *end;
        unsigned long code = strtoul(r->s + (hex ? 3 : 2), &end, hex ? 16 : 10);

        if (*end == ';' && end < r->end) {
            add_character(text, code);
            r->s = end + 1;
            return true;
        }
    }
    return fault(r, "an entity nobody defined");
}

static bool name_end(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '/' || c == '>';
}

static bool read_name(struct reader *r, const char **name, size_t *length)
{
    *name = r->s;
    while (r->s < r->end && !name_end(*r->s) && *r->s != '<' && *r->s != '=')
        r->s++;
    *length = (size_t)(r->s - *name);
    return *length > 0 || fault(r, "an element without a name");
}

static void push(struct reader *r, struct element *element)
{
    element->parent = r->open;
    if (!r->open)
        r->root = element;
    else if (r->open->last)
        r->open->last->next = element;
    else
        r->open->first = element;
    if (r->open)
        r->open->last = element;
    r->open = element;
    r->depth++;
}

/* Attributes are skipped, but '>' and '/' inside their quotes do not end the tag. */
static bool read_tag(struct reader *r)
{
    struct element *element;
    char quote = 0;

    if (++r->count > TREE_NODES_MAX || r->depth >= TREE_DEPTH_MAX)
        return error_set(r->err, ERROR_LIMIT,
                         "the answer nests deeper than TREE_DEPTH_MAX, or has more elements than TREE_NODES_MAX");
    if (!r->open && r->root)
        return fault(r, "it has two roots");
    element = arena_alloc(r->arena, sizeof(*element));
    r->s++;
    if (!read_name(r, &element->name, &element->name_length))
        return false;
    text_init(&element->text, HTTP_BODY_MAX_BYTES);
    push(r, element);
    for (; r->s < r->end && (quote || *r->s != '>'); r->s++) {
        if (quote)
            quote = *r->s == quote ? 0 : quote;
        else if (*r->s == '"' || *r->s == '\'')
            quote = *r->s;
    }
    if (r->s == r->end)
        return fault(r, "a tag does not end");
    if (r->s[-1] == '/') {
        r->open = element->parent;
        r->depth--;
    }
    r->s++;
    return true;
}

static bool read_close(struct reader *r)
{
    const char *name;
    size_t length;

    r->s += 2;
    if (!read_name(r, &name, &length))
        return false;
    if (!r->open || r->open->name_length != length || memcmp(r->open->name, name, length) != 0)
        return fault(r, "an element is closed that is not open");
    r->open = r->open->parent;
    r->depth--;
    return skip_past(r, ">");
}

static bool read_cdata(struct reader *r)
{
    const char *begin = r->s + strlen("<![CDATA[");

    if (!skip_past(r, "]]>"))
        return false;
    if (r->open)
        text_append(&r->open->text, begin, (size_t)(r->s - 3 - begin));
    return true;
}

static bool read_markup(struct reader *r)
{
    if (starts(r, "<?"))
        return skip_past(r, "?>");
    if (starts(r, "<!--"))
        return skip_past(r, "-->");
    if (starts(r, "<![CDATA["))
        return read_cdata(r);
    if (starts(r, "<!"))
        return fault(r, "it has a DOCTYPE");
    return starts(r, "</") ? read_close(r) : read_tag(r);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool read_document(struct reader *r)
{
    if (starts(r, "\xef\xbb\xbf"))
        r->s += 3;
    while (r->s < r->end) {
        if (*r->s == '<') {
            if (!read_markup(r))
                return false;
        } else if (!r->open) {
            if (!is_space(*r->s))
                return fault(r, "text outside of the root");
            r->s++;
        } else if (*r->s == '&') {
            if (!read_entity(r, &r->open->text))
                return false;
        } else {
            text_add_char(&r->open->text, *r->s++);
        }
    }
    return (r->root && !r->open) || fault(r, r->root ? "it ends in the middle" : "it is empty");
}

/* ------------------------------------------------------------------ the path */

static bool is_named(const struct element *element, const char *name, size_t length)
{
    return element->name_length == length && memcmp(element->name, name, length) == 0;
}

static const struct element *sibling(const struct element *from, const char *name, size_t length, size_t index)
{
    for (; from; from = from->next)
        if (is_named(from, name, length) && index-- == 0)
            return from;
    return NULL;
}

static const struct element *follow(const struct element *root, const char *path)
{
    const struct element *at = root;
    size_t length = strcspn(path, ".");

    if (is_named(root, path, length)) {
        if (path[length] == '\0')
            return root;
        path += length + 1;
    }
    for (;;) {
        const char *name = path;
        size_t index = 0, name_length = strcspn(path, ".");

        path += name_length;
        if (*path == '.' && path[1] >= '0' && path[1] <= '9') {
            char *end;

            index = strtoul(path + 1, &end, 10);
            path = end;
        }
        at = sibling(at->first, name, name_length, index);
        if (!at || *path == '\0')
            return at;
        if (*path++ != '.')
            return NULL;
    }
}

static const char *trimmed(struct arena *arena, const struct text *text)
{
    const char *begin = text->bytes, *end = begin + text->length;

    while (begin < end && is_space(*begin))
        begin++;
    while (end > begin && is_space(end[-1]))
        end--;
    return arena_copy_bytes(arena, begin, (size_t)(end - begin));
}

static void free_texts(struct element *element)
{
    /* Down to the leaves and back up by the parents: no recursion, however deep. */
    while (element) {
        if (element->first) {
            struct element *child = element->first;

            element->first = NULL;
            element = child;
            continue;
        }
        text_done(&element->text);
        element = element->next ? element->next : element->parent;
    }
}

bool xmlpath_get(const char *body, size_t length, const char *path, struct arena *arena, const char **text,
                 struct error *err)
{
    struct reader r = {.s = body, .end = body + length, .arena = arena, .err = err};
    bool good = read_document(&r);

    assert(!good || r.root);
    const struct element *found = good ? follow(r.root, path) : NULL;

    if (good && !found)
        good = error_set(err, ERROR_NONSENSE, "the answer has nothing at %.100s", path);
    else if (good && found->first)
        good = error_set(err, ERROR_NONSENSE, "%.100s leads to an element with elements in it, not to text", path);
    else if (good)
        *text = trimmed(arena, &found->text);
    free_texts(r.root);
    return good;
}

/* ------------------------------------------------------------------ as a tree */

/* As deep as the reader lets elements nest: TREE_DEPTH_MAX. */
static struct tree *as_tree(const struct element *element, struct arena *arena)
{
    struct tree *node = arena_alloc(arena, sizeof(*node)), **last = &node->first;

    node->key = arena_copy_bytes(arena, element->name, element->name_length);
    node->type = element->first ? TREE_MAP : TREE_STRING;
    if (!element->first) {
        node->text = trimmed(arena, &element->text);
        node->length = strlen(node->text);
    }
    for (const struct element *child = element->first; child; child = child->next) {
        *last = as_tree(child, arena);
        last = &(*last)->next;
        node->count++;
    }
    return node;
}

bool xmlpath_tree(const char *body, size_t length, struct arena *arena, const struct tree **out, struct error *err)
{
    struct reader r = {.s = body, .end = body + length, .arena = arena, .err = err};
    bool good = read_document(&r);

    assert(!good || r.root);
    if (good && r.root) {
        struct tree *map = arena_alloc(arena, sizeof(*map));

        map->type = TREE_MAP;
        map->first = as_tree(r.root, arena);
        map->count = 1;
        *out = map;
    }
    free_texts(r.root);
    return good;
}

/*
 * tree_json: JSON (RFC 8259) into a tree, as Go's encoding/json reads it, since that is what KEDA's sources were read by:
 * strict syntax, numbers kept as written, bytes that are no UTF-8 and lone surrogates become U+FFFD, keys may repeat. Written
 * here rather than taken from jansson, which turns numbers into doubles and refuses what Go takes. One pass, one
 * allocation per node and string; recursion is bounded by TREE_DEPTH_MAX, memory by TREE_NODES_MAX.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree_internal.h"
#include "base/utf8.h"

struct reader {
    const char *start, *at, *end;
    struct arena *arena;
    size_t nodes;
    int depth;
    struct error *err;
};

/* wanted finishes "... where %s should be". */
static bool unexpected(struct reader *r, const char *wanted)
{
    size_t offset = (size_t)(r->at - r->start);

    if (r->at >= r->end)
        return error_set(r->err, ERROR_NONSENSE, "not JSON: it ends at byte %zu where %s should follow", offset,
                         wanted);
    unsigned char c = (unsigned char)*r->at;
    if (isprint(c))
        return error_set(r->err, ERROR_NONSENSE, "not JSON: '%c' at byte %zu where %s should be", c, offset, wanted);
    return error_set(r->err, ERROR_NONSENSE, "not JSON: byte 0x%02x at %zu where %s should be", c, offset, wanted);
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* ---- strings ---- */

/* The four digits of \uXXXX at `at`, or -1. */
static int hex4(const struct reader *r, const char *at)
{
    int value = 0;

    if (r->end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Behind "\u". Two halves of a pair make one character; a half alone is U+FFFD. */
static bool take_unicode(struct reader *r, char **out)
{
    int first = hex4(r, r->at);

    if (first < 0)
        return unexpected(r, "four hexadecimal digits");
    r->at += 4;
    uint32_t rune = (uint32_t)first;
    if (first >= 0xd800 && first < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
        int second = hex4(r, r->at + 2);
        if (second >= 0xdc00 && second < 0xe000) {
            rune = 0x10000 + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00);
            r->at += 6;
        }
    }
    *out += utf8_encode(rune, *out);
    return true;
}

static bool take_escape(struct reader *r, char **out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter = r->at < r->end && *r->at ? strchr(letters, *r->at) : NULL;

    if (letter) {
        r->at++;
        *(*out)++ = meanings[letter - letters];
        return true;
    }
    if (take(r, 'u'))
        return take_unicode(r, out);
    return unexpected(r, "one of \"\\/bfnrtu");
}

/* Where the closing quote is, and how long the string is at most: a broken byte grows to the three of U+FFFD. */
static const char *find_quote(const struct reader *r, size_t *most, bool *plain)
{
    const char *at = r->at;

    *most = 0;
    for (*plain = true; at < r->end && *at != '"'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '\\' || c >= 0x80) {
            *plain = false;
            *most += 2;
        }
        if (c == '\\' && at + 1 < r->end)
            at++;
    }
    *most += (size_t)(at - r->at);
    return at;
}

static bool check_controls(struct reader *r, const char *end)
{
    for (const char *at = r->at; at < end; at++) {
        if ((unsigned char)*at < 0x20) {
            r->at = at;
            return unexpected(r, "a character of a string, escaped,");
        }
    }
    return true;
}

/* Behind the opening quote. The text is in the arena and ends with a 0 byte. */
static bool take_string(struct reader *r, const char **text, size_t *length)
{
    size_t most;
    bool plain;
    const char *quote = find_quote(r, &most, &plain);

    if (quote >= r->end) {
        r->at = r->end;
        return unexpected(r, "the end of a string");
    }
    if (!check_controls(r, quote))
        return false;
    if (plain) {
        *length = (size_t)(quote - r->at);
        *text = arena_copy_bytes(r->arena, r->at, *length);
        r->at = quote + 1;
        return true;
    }
    char *start = arena_alloc(r->arena, most + 1), *out = start;
    while (r->at < quote) {
        if (take(r, '\\')) {
            if (!take_escape(r, &out))
                return false;
            continue;
        }
        size_t step = utf8_decode(r->at, (size_t)(quote - r->at), NULL);
        memcpy(out, step ? r->at : UTF8_REPLACEMENT, step ? step : 3);
        out += step ? step : 3;
        r->at += step ? step : 1;
    }
    r->at = quote + 1;
    *text = start;
    *length = (size_t)(out - start);
    return true;
}

/* A key is a C string: a 0 byte in it becomes U+FFFD, so that "a\u0000b" cannot pass for "a". */
static bool take_key(struct reader *r, const char **key)
{
    size_t length;

    if (!take(r, '"'))
        return unexpected(r, "a key in quotes");
    if (!take_string(r, key, &length))
        return false;
    if (memchr(*key, 0, length))
        *key = tree_key_without_zeros(r->arena, *key, length);
    skip_blanks(r);
    if (!take(r, ':'))
        return unexpected(r, "':'");
    return true;
}

/* ---- values ---- */

static bool take_value(struct reader *r, struct tree *node);

static bool take_digits(struct reader *r)
{
    if (r->at >= r->end || !isdigit((unsigned char)*r->at))
        return unexpected(r, "a digit");
    while (r->at < r->end && isdigit((unsigned char)*r->at))
        r->at++;
    return true;
}

static bool take_number(struct reader *r, struct tree *node)
{
    const char *start = r->at;

    take(r, '-');
    if (!take(r, '0') && !take_digits(r))
        return false;
    if (take(r, '.') && !take_digits(r))
        return false;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            take(r, '-');
        if (!take_digits(r))
            return false;
    }
    node->type = TREE_NUMBER;
    node->length = (size_t)(r->at - start);
    node->text = arena_copy_bytes(r->arena, start, node->length);
    return true;
}

static bool take_word(struct reader *r, struct tree *node)
{
    static const struct {
        const char *word;
        enum tree_type type;
        bool boolean;
    } words[] = {{"null", TREE_NULL, false}, {"true", TREE_BOOL, true}, {"false", TREE_BOOL, false}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].word);
        if ((size_t)(r->end - r->at) >= length && memcmp(r->at, words[i].word, length) == 0) {
            r->at += length;
            node->type = words[i].type;
            node->boolean = words[i].boolean;
            return true;
        }
    }
    return unexpected(r, "a value");
}

static struct tree *add_child(struct reader *r, struct tree *parent, struct tree **last)
{
    struct tree *child = arena_alloc(r->arena, sizeof *child);

    if (*last)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->count++;
    return child;
}

/* Behind the opening bracket. */
static bool take_children(struct reader *r, struct tree *parent)
{
    bool map = parent->type == TREE_MAP;
    char close = map ? '}' : ']';
    struct tree *last = NULL;

    skip_blanks(r);
    if (take(r, close))
        return true;
    for (;;) {
        const char *key = NULL;
        skip_blanks(r);
        if (map && !take_key(r, &key))
            return false;
        struct tree *child = add_child(r, parent, &last);
        child->key = key;
        if (!take_value(r, child))
            return false;
        skip_blanks(r);
        if (take(r, close))
            break;
        if (!take(r, ','))
            return unexpected(r, map ? "',' or '}'" : "',' or ']'");
    }
    if (map)
        tree_mark_repeated(parent);
    return true;
}

static bool take_collection(struct reader *r, struct tree *node)
{
    if (++r->depth > TREE_DEPTH_MAX)
        return error_set(r->err, ERROR_LIMIT, "JSON nested deeper than TREE_DEPTH_MAX (%d)", TREE_DEPTH_MAX);
    bool good = take_children(r, node);
    r->depth--;
    return good;
}

static bool take_value(struct reader *r, struct tree *node)
{
    if (++r->nodes > TREE_NODES_MAX)
        return error_set(r->err, ERROR_LIMIT, "JSON of more than TREE_NODES_MAX (%d) values", TREE_NODES_MAX);
    skip_blanks(r);
    char c = r->at < r->end ? *r->at : 0;
    if (c == '{' || c == '[') {
        r->at++;
        node->type = c == '{' ? TREE_MAP : TREE_LIST;
        return take_collection(r, node);
    }
    if (c == '"') {
        r->at++;
        node->type = TREE_STRING;
        return take_string(r, &node->text, &node->length);
    }
    return c == '-' || isdigit((unsigned char)c) ? take_number(r, node) : take_word(r, node);
}

bool tree_read_json(const char *bytes, size_t length, bool trailing, struct arena *arena, struct tree **out,
                    struct error *err)
{
    struct reader r = {.start = bytes, .at = bytes, .end = bytes + length, .arena = arena, .err = err};
    struct tree *root = arena_alloc(arena, sizeof *root);

    if (!take_value(&r, root))
        return false;
    skip_blanks(&r);
    if (r.at < r.end && !trailing)
        return unexpected(&r, "the end");
    *out = root;
    return true;
}

/*
 * selector: see selector.h. Text is read by a small tokenizer and a parser with one function per form; both forms end as
 * a list of requirements that must all hold. Grammar: triggers/kubernetes-workload.md; the checks on keys and values are
 * those Kubernetes makes on labels.
 */
#include "base/selector.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"

enum comparison { OP_IN, OP_NOT_IN, OP_EXISTS, OP_ABSENT, OP_GREATER, OP_LESS };

struct value {
    struct value *next;
    const char *text;
};

struct requirement {
    struct requirement *next;
    const char *key;
    enum comparison how;
    struct value *values; /* OP_IN, OP_NOT_IN */
    int64_t bound;        /* OP_GREATER, OP_LESS */
};

struct selector {
    struct requirement *requirements;
    bool nothing; /* matches no object at all */
};

/* ---- what a label may look like ---- */

/* Up to 63 letters, digits, '-', '_', '.', the first and the last a letter or digit. */
static bool is_name(const char *s, size_t length)
{
    if (length == 0 || length > 63 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[length - 1]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
            return false;
    return true;
}

/* A DNS subdomain: lower-case labels of letters, digits and '-', joined by points. */
static bool is_prefix(const char *s, size_t length)
{
    if (length == 0 || length > 253)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool alnum = isdigit((unsigned char)s[i]) || islower((unsigned char)s[i]);
        bool first = i == 0 || s[i - 1] == '.', last = i + 1 == length || s[i + 1] == '.';
        if (!alnum && (first || last || (s[i] != '-' && s[i] != '.')))
            return false;
    }
    return true;
}

static bool check_key(const char *key, struct error *err)
{
    const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;

    if (is_name(name, strlen(name)) && (!slash || is_prefix(key, (size_t)(slash - key))))
        return true;
    return error_set(err, ERROR_INVALID,
                     "\"%.100s\" is no label key; write name or prefix.example.com/name, the name of "
                     "at most 63 letters, digits, '-', '_' and '.'",
                     key);
}

static bool check_value(const char *value, struct error *err)
{
    if (value[0] == 0 || is_name(value, strlen(value)))
        return true;
    return error_set(err, ERROR_INVALID,
                     "\"%.100s\" is no label value; use at most 63 letters, digits, '-', '_' and '.', "
                     "beginning and ending with a letter or digit",
                     value);
}

static bool parse_integer(const char *s, int64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)s[0]) && !((s[0] == '-' || s[0] == '+') && isdigit((unsigned char)s[1])))
        return false;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (*end || errno)
        return false;
    *out = value;
    return true;
}

/* ---- text ---- */

enum token { END, WORD, COMMA, OPEN, CLOSE, BANG, EQUAL, NOT_EQUAL, GREATER, LESS };

struct parser {
    const char *at;    /* behind the current token */
    const char *start; /* of the current token */
    enum token token;
    const char *word; /* of a WORD */
    struct arena *arena;
    struct selector *selector;
    struct requirement **tail;
    struct error *err;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void next_word(struct parser *p)
{
    while (*p->at && !is_blank(*p->at) && !strchr("(),!=<>", *p->at))
        p->at++;
    p->word = arena_copy_bytes(p->arena, p->start, (size_t)(p->at - p->start));
    p->token = WORD;
}

static void next(struct parser *p)
{
    static const char marks[] = "(),!=<>";
    static const enum token tokens[] = {OPEN, CLOSE, COMMA, BANG, EQUAL, LESS, GREATER};

    while (is_blank(*p->at))
        p->at++;
    p->start = p->at;
    const char *mark = *p->at ? strchr(marks, *p->at) : NULL;
    if (*p->at == 0) {
        p->token = END;
    } else if (!mark) {
        next_word(p);
    } else {
        p->token = tokens[mark - marks];
        p->at++;
        if (*p->at == '=' && p->token == BANG)
            p->token = NOT_EQUAL;
        if (*p->at == '=' && (p->token == EQUAL || p->token == NOT_EQUAL))
            p->at++;
    }
}

static bool unexpected(struct parser *p, const char *wanted)
{
    if (p->token == END)
        return error_set(p->err, ERROR_INVALID, "the label selector ends where %s should follow", wanted);
    return error_set(p->err, ERROR_INVALID, "the label selector has \"%.*s\" where %s should be",
                     (int)(p->at - p->start), p->start, wanted);
}

static struct requirement *add_requirement(struct arena *arena, struct requirement ***tail, const char *key,
                                           enum comparison how)
{
    struct requirement *r = arena_alloc(arena, sizeof *r);

    r->key = key;
    r->how = how;
    **tail = r;
    *tail = &r->next;
    return r;
}

static bool add_value(struct arena *arena, struct requirement *r, const char *text, struct error *err)
{
    struct value *v = arena_alloc(arena, sizeof *v);

    if (!check_value(text, err))
        return false;
    v->text = text;
    v->next = r->values;
    r->values = v;
    return true;
}

/* (a, b): a place left empty, as in (a,) or (,a), is the empty value; () is an error. */
static bool parse_values(struct parser *p, struct requirement *r)
{
    if (p->token != OPEN)
        return unexpected(p, "\"(\"");
    next(p);
    if (p->token == CLOSE)
        return unexpected(p, "at least one value");
    for (;;) {
        const char *value = p->token == WORD ? p->word : "";
        if (!add_value(p->arena, r, value, p->err))
            return false;
        if (p->token == WORD)
            next(p);
        if (p->token == CLOSE)
            break;
        if (p->token != COMMA)
            return unexpected(p, "\",\" or \")\"");
        next(p);
    }
    next(p);
    return true;
}

static bool parse_exact(struct parser *p, const char *key, enum comparison how)
{
    struct requirement *r = add_requirement(p->arena, &p->tail, key, how);
    bool empty = p->token == END || p->token == COMMA;

    if (!empty && p->token != WORD)
        return unexpected(p, "a value");
    const char *value = empty ? "" : p->word;
    if (!empty)
        next(p);
    if (how == OP_IN || how == OP_NOT_IN)
        return add_value(p->arena, r, value, p->err);
    if (!parse_integer(value, &r->bound))
        return error_set(p->err, ERROR_INVALID, "\"%.64s\" after < or > is no integer", value);
    return true;
}

static bool parse_comparison(struct parser *p, const char *key)
{
    enum token token = p->token;

    if (token == WORD && (strcmp(p->word, "in") == 0 || strcmp(p->word, "notin") == 0)) {
        bool in = p->word[0] == 'i';
        next(p);
        return parse_values(p, add_requirement(p->arena, &p->tail, key, in ? OP_IN : OP_NOT_IN));
    }
    if (token != EQUAL && token != NOT_EQUAL && token != GREATER && token != LESS)
        return unexpected(p, "one of = == != in notin < >");
    next(p);
    return parse_exact(p, key,
                       token == EQUAL       ? OP_IN
                       : token == NOT_EQUAL ? OP_NOT_IN
                       : token == GREATER   ? OP_GREATER
                                            : OP_LESS);
}

static bool parse_requirement(struct parser *p)
{
    bool absent = p->token == BANG;

    if (absent)
        next(p);
    if (p->token != WORD)
        return unexpected(p, "a label key");
    const char *key = p->word;
    next(p);
    if (!check_key(key, p->err))
        return false;
    if (absent || p->token == END || p->token == COMMA) {
        add_requirement(p->arena, &p->tail, key, absent ? OP_ABSENT : OP_EXISTS);
        return true;
    }
    return parse_comparison(p, key);
}

bool selector_parse(const char *string, struct arena *arena, struct selector **out, struct error *err)
{
    struct parser p = {.at = string ? string : "", .word = "", .arena = arena, .err = err};

    p.selector = arena_alloc(arena, sizeof *p.selector);
    p.tail = &p.selector->requirements;
    next(&p);
    while (p.token != END) {
        if (!parse_requirement(&p))
            return false;
        if (p.token == END)
            break;
        if (p.token != COMMA)
            return unexpected(&p, "\",\"");
        next(&p);
        if (p.token == END)
            return unexpected(&p, "a label key");
    }
    *out = p.selector;
    return true;
}

/* ---- manifests ---- */

static bool from_labels(const struct tree *labels, struct arena *arena, struct requirement ***tail, struct error *err)
{
    if (labels && labels->type != TREE_MAP && labels->type != TREE_NULL)
        return error_set(err, ERROR_INVALID, "matchLabels is %s; write it as a map of labels",
                         tree_type_name(labels->type));
    for (const struct tree *l = labels ? labels->first : NULL; l; l = l->next) {
        const char *value = l->type == TREE_NULL ? "" : tree_string(l);
        if (!value)
            return error_set(err, ERROR_INVALID, "matchLabels.%.100s is %s; put quotes around it", l->key,
                             tree_type_name(l->type));
        if (!check_key(l->key, err))
            return false;
        struct requirement *r = add_requirement(arena, tail, arena_copy(arena, l->key), OP_IN);
        if (!add_value(arena, r, arena_copy(arena, value), err))
            return false;
    }
    return true;
}

static bool comparison_named(const char *name, enum comparison *how)
{
    static const char *const names[] = {
        [OP_IN] = "In", [OP_NOT_IN] = "NotIn", [OP_EXISTS] = "Exists", [OP_ABSENT] = "DoesNotExist"};

    for (int i = 0; name && i <= OP_ABSENT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *how = (enum comparison)i;
            return true;
        }
    }
    return false;
}

static bool from_expression(const struct tree *e, struct arena *arena, struct requirement ***tail, struct error *err)
{
    const char *key = tree_string(tree_get(e, "key")), *name = tree_string(tree_get(e, "operator"));
    const struct tree *values = tree_get(e, "values");
    enum comparison how;

    if (!key || !check_key(key, err))
        return key ? false : error_set(err, ERROR_INVALID, "an entry of matchExpressions needs a key");
    if (!comparison_named(name, &how))
        return error_set(err, ERROR_INVALID,
                         "operator \"%.64s\" of %.100s is unknown; use In, NotIn, Exists or DoesNotExist",
                         name ? name : "", key);
    bool with_values = how == OP_IN || how == OP_NOT_IN;
    if (with_values != (tree_count(values) > 0))
        return error_set(err, ERROR_INVALID,
                         with_values ? "operator %s of %.100s needs values" : "operator %s of %.100s takes no values",
                         name, key);
    struct requirement *r = add_requirement(arena, tail, arena_copy(arena, key), how);
    for (const struct tree *v = values ? values->first : NULL; v; v = v->next) {
        if (!tree_string(v))
            return error_set(err, ERROR_INVALID, "a value of %.100s is %s; put quotes around it", key,
                             tree_type_name(v->type));
        if (!add_value(arena, r, arena_copy(arena, tree_string(v)), err))
            return false;
    }
    return true;
}

bool selector_from_tree(const struct tree *node, struct arena *arena, struct selector **out, struct error *err)
{
    struct selector *selector = arena_alloc(arena, sizeof *selector);
    struct requirement **tail = &selector->requirements;

    if (node && node->type != TREE_MAP && node->type != TREE_NULL)
        return error_set(err, ERROR_INVALID, "the selector is %s; write matchLabels or matchExpressions under it",
                         tree_type_name(node->type));
    selector->nothing = !node || node->type == TREE_NULL;
    if (!from_labels(tree_get(node, "matchLabels"), arena, &tail, err))
        return false;
    const struct tree *expressions = tree_get(node, "matchExpressions");
    for (const struct tree *e = expressions ? expressions->first : NULL; e; e = e->next)
        if (!from_expression(e, arena, &tail, err))
            return false;
    *out = selector;
    return true;
}

/* ---- matching ---- */

static bool has_value(const struct requirement *r, const char *text)
{
    for (const struct value *v = r->values; v; v = v->next)
        if (strcmp(v->text, text) == 0)
            return true;
    return false;
}

static bool holds(const struct requirement *r, const char *value)
{
    int64_t number;

    switch (r->how) {
    case OP_IN:
        return value && has_value(r, value);
    case OP_NOT_IN:
        return !value || !has_value(r, value);
    case OP_EXISTS:
        return value;
    case OP_ABSENT:
        return !value;
    case OP_GREATER:
        return value && parse_integer(value, &number) && number > r->bound;
    case OP_LESS:
        return value && parse_integer(value, &number) && number < r->bound;
    }
    return false;
}

bool selector_matches(const struct selector *selector, const struct label *labels, size_t count)
{
    for (const struct requirement *r = selector->requirements; r; r = r->next) {
        const char *value = NULL;
        for (size_t i = 0; i < count && !value; i++)
            if (strcmp(labels[i].key, r->key) == 0)
                value = labels[i].value;
        if (!holds(r, value))
            return false;
    }
    return !selector->nothing;
}

/*
 * tree_yaml: YAML into a tree, from libyaml's stream of events, with a stack of our own in place of recursion.
 *
 *     events:  { key a [ scalar scalar ] key b *alias }        stack: one level per open list or map
 *
 * Meaning follows the reader Kubernetes uses (sigs.k8s.io/yaml on go-yaml 2), since that is what every manifest was written
 * against: YAML 1.1 words, `on:` as a key is "true", the value of a merge key (<<) counts where it stands, so it
 * replaces members written before it and is replaced by those after it.
 *
 * An alias shares the children of what it names; only its own node is new. Memory therefore grows with the file, not with the
 * expansion, but nodes are counted and depth is measured as expanded: who walks a tree has TREE_NODES_MAX steps and
 * TREE_DEPTH_MAX levels at most.
 */
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree_internal.h"

struct anchor {
    struct tree *node;
    size_t nodes;  /* in it, expanded; itself included */
    int height;    /* levels of lists and maps */
    bool complete; /* false while it is being read: an alias to it would be a circle */
};

struct level {
    struct tree *node, *last; /* the list or map and its last child */
    struct anchor *anchor;    /* of node, or NULL */
    size_t nodes_before;
    int height;           /* of the highest child so far */
    bool has_key, merges; /* has_key: the next node is the value of key */
    const char *key;
    int key_line, key_column;
};

struct reader {
    yaml_parser_t parser;
    const char *file;
    struct arena *arena;
    struct map *anchors; /* of the current document */
    struct level levels[TREE_DEPTH_MAX];
    int depth;
    size_t nodes;
    struct tree *documents, *last_document, *root;
    struct error *err;
};

/* The key of every merge; told from a quoted "<<" by its address. */
static const char merge_key[] = "<<";

static bool fail_at(struct reader *r, const yaml_mark_t *mark, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool fail_at(struct reader *r, const yaml_mark_t *mark, enum error_kind kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_setv(r->err, kind, format, args);
    va_end(args);
    return error_add_place(r->err, "%s:%zu:%zu", r->file, mark->line + 1, mark->column + 1);
}

/* ---- what a scalar means ---- */

static bool one_of(const char *text, size_t length, const char *words)
{
    for (const char *at = words; *at;) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, text, length) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static bool is_null(const char *text, size_t length)
{
    return length == 0 || one_of(text, length, "~ null Null NULL");
}

static void resolve_plain(struct tree *node)
{
    double number;

    node->type = TREE_STRING;
    if (is_null(node->text, node->length)) {
        node->type = TREE_NULL;
    } else if (one_of(node->text, node->length, "y Y yes Yes YES true True TRUE on On ON")) {
        node->type = TREE_BOOL;
        node->boolean = true;
    } else if (one_of(node->text, node->length, "n N no No NO false False FALSE off Off OFF")) {
        node->type = TREE_BOOL;
    } else if (yaml_number(node->text, node->length, &number)) {
        node->type = TREE_NUMBER;
    }
}

static bool decode_base64(struct reader *r, struct tree *node)
{
    char *plain = arena_alloc(r->arena, node->length + 1);
    size_t length = 0;

    for (size_t i = 0; i < node->length; i++)
        if (node->text[i] != '\n' && node->text[i] != '\r')
            plain[length++] = node->text[i];
    if (length % 4 != 0)
        return false;
    char *bytes = arena_alloc(r->arena, length / 4 * 3 + 1);
    int decoded = EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)plain, (int)length);
    if (decoded < 0)
        return false;
    for (size_t i = length; i > 0 && plain[i - 1] == '='; i--)
        decoded--;
    if (decoded < 0)
        return false;
    bytes[decoded] = 0;
    node->text = bytes;
    node->length = (size_t)decoded;
    node->type = TREE_STRING;
    return true;
}

/* An explicit tag: it must fit the text, except that any text is a string. Tags that are not YAML's own mean a string. */
static bool resolve_tagged(struct reader *r, struct tree *node, const char *tag)
{
    static const struct {
        const char *tag;
        enum tree_type type;
    } tags[] = {{YAML_BOOL_TAG, TREE_BOOL},
                {YAML_INT_TAG, TREE_NUMBER},
                {YAML_FLOAT_TAG, TREE_NUMBER},
                {YAML_NULL_TAG, TREE_NULL}};
    int64_t integer;

    node->type = TREE_STRING;
    if (strcmp(tag, "tag:yaml.org,2002:binary") == 0)
        return decode_base64(r, node);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        if (strcmp(tag, tags[i].tag) != 0)
            continue;
        resolve_plain(node);
        return node->type == tags[i].type &&
               (strcmp(tag, YAML_INT_TAG) != 0 || yaml_integer(node->text, node->length, &integer));
    }
    return true;
}

static bool resolve(struct reader *r, const yaml_event_t *event, struct tree *node)
{
    const char *tag = (const char *)event->data.scalar.tag;

    node->length = event->data.scalar.length;
    node->text = arena_copy_bytes(r->arena, event->data.scalar.value, node->length);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (tag && strcmp(tag, "!") != 0) {
        if (!resolve_tagged(r, node, tag))
            return fail_at(r, &event->start_mark, ERROR_INVALID,
                           "the text does not fit its tag %.64s; drop the tag or mend the text", tag);
    } else if (!node->quoted) {
        resolve_plain(node);
    } else {
        node->type = TREE_STRING;
    }
    return true;
}

/* ---- building ---- */

static struct level *top(struct reader *r)
{
    return r->depth ? &r->levels[r->depth - 1] : NULL;
}

static bool wants_key(struct reader *r)
{
    return r->depth && top(r)->node->type == TREE_MAP && !top(r)->has_key;
}

static bool count_nodes(struct reader *r, const yaml_mark_t *mark, size_t more)
{
    r->nodes += more;
    if (r->nodes <= TREE_NODES_MAX)
        return true;
    return fail_at(r, mark, ERROR_LIMIT, "more than TREE_NODES_MAX (%d) values, aliases expanded; split the file",
                   TREE_NODES_MAX);
}

static struct tree *new_node(struct reader *r, const yaml_mark_t *mark)
{
    struct tree *node = arena_alloc(r->arena, sizeof *node);

    node->line = (int)mark->line + 1;
    node->column = (int)mark->column + 1;
    return node;
}

static void append(struct tree *parent, struct tree **last, struct tree *child)
{
    if (*last)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->count++;
}

/* Puts a node where the stream stands: at the root, at the end of a list, or as the value of the pending key. */
static void attach(struct reader *r, struct tree *node)
{
    struct level *level = top(r);

    if (!level) {
        r->root = node;
        return;
    }
    if (level->node->type == TREE_MAP) {
        assert(level->has_key);
        node->key = level->key;
        node->key_line = level->key_line;
        node->key_column = level->key_column;
        level->has_key = false;
    }
    append(level->node, &level->last, node);
}

static void note_height(struct reader *r, int height)
{
    if (r->depth && top(r)->height < height)
        top(r)->height = height;
}

static struct anchor *set_anchor(struct reader *r, const yaml_char_t *name, struct tree *node)
{
    if (!name)
        return NULL;
    struct anchor *anchor = arena_alloc(r->arena, sizeof *anchor);
    *anchor = (struct anchor){.node = node, .nodes = 1, .complete = node->type != TREE_LIST && node->type != TREE_MAP};
    map_put(r->anchors, (const char *)name, anchor);
    return anchor;
}

static const struct anchor *find_anchor(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = map_get(r->anchors, name);

    if (!anchor)
        fail_at(r, &event->start_mark, ERROR_INVALID,
                "*%.64s names no anchor; write &%.64s where its value stands, before this line", name, name);
    else if (!anchor->complete)
        fail_at(r, &event->start_mark, ERROR_INVALID, "the value of &%.64s contains itself; take the alias out", name);
    else
        return anchor;
    return NULL;
}

/* ---- keys ---- */

/* Keys are strings in JSON: `on` is "true", 0x10 is "16". */
static const char *key_text(struct reader *r, const struct tree *node)
{
    int64_t integer;
    double number;
    struct text text;

    if (node->type == TREE_BOOL)
        return node->boolean ? "true" : "false";
    if (node->type == TREE_STRING)
        return memchr(node->text, 0, node->length) ? tree_key_without_zeros(r->arena, node->text, node->length)
                                                   : node->text;
    if (node->type != TREE_NUMBER)
        return NULL;
    if (yaml_integer(node->text, node->length, &integer))
        return arena_printf(r->arena, "%lld", (long long)integer);
    text_init(&text, SIZE_MAX);
    yaml_number(node->text, node->length, &number);
    text_add_number(&text, number);
    const char *key = arena_copy(r->arena, text.bytes);
    text_done(&text);
    return key;
}

static bool take_key(struct reader *r, const yaml_mark_t *mark, const struct tree *node, bool merge)
{
    struct level *level = top(r);

    assert(level); /* wants_key */
    level->key = merge ? merge_key : key_text(r, node);
    if (!level->key)
        return fail_at(r, mark, ERROR_INVALID, "a key is %s; put quotes around it", tree_type_name(node->type));
    level->merges |= merge;
    level->has_key = true;
    level->key_line = (int)mark->line + 1;
    level->key_column = (int)mark->column + 1;
    return true;
}

/* ---- merging ---- */

struct merging {
    struct tree *map, *last;
    struct map *members; /* key -> the member that counts */
    struct map *merged;  /* key -> the member, if it came by a merge */
    struct arena *arena;
};

/* The content of `from` in the place of `to`, which keeps its neighbours. */
static void overwrite(struct tree *to, const struct tree *from)
{
    struct tree *next = to->next;

    *to = *from;
    to->next = next;
}

static void merge_map(struct merging *m, const struct tree *source)
{
    for (const struct tree *from = source->first; from; from = from->next) {
        struct tree *to = map_get(m->members, from->key);
        if (!to) {
            to = arena_alloc(m->arena, sizeof *to);
            append(m->map, &m->last, to);
        }
        overwrite(to, from);
        to->repeated_key = false;
        map_put(m->members, to->key, to);
        map_put(m->merged, to->key, to);
    }
}

/* The earlier of several maps wins, so the last is merged first. */
static bool merge_value(struct merging *m, const struct tree *value)
{
    if (value->type == TREE_MAP) {
        merge_map(m, value);
        return true;
    }
    if (value->type != TREE_LIST)
        return false;
    const struct tree **elements = arena_array(m->arena, value->count, sizeof *elements);
    size_t count = 0;
    for (const struct tree *e = value->first; e; e = e->next)
        elements[count++] = e;
    for (size_t i = count; i > 0; i--) {
        if (elements[i - 1]->type != TREE_MAP)
            return false;
        merge_map(m, elements[i - 1]);
    }
    return true;
}

/* A member written out: replaces a merged one of its name, stands beside one written out before. */
static void merge_member(struct merging *m, struct tree *member)
{
    struct tree *merged = map_get(m->merged, member->key);

    if (merged) {
        overwrite(merged, member);
        map_remove(m->merged, member->key);
        return;
    }
    append(m->map, &m->last, member);
    member->repeated_key = map_put(m->members, member->key, member) != NULL;
}

/* Takes the map apart and puts it together again in the order written, with merges in their places. */
static bool apply_merges(struct reader *r, struct tree *map)
{
    struct merging m = {.map = map, .members = map_new(), .merged = map_new(), .arena = r->arena};
    struct tree *member = map->first;
    bool good = true;

    map->first = NULL;
    map->count = 0;
    for (struct tree *next; member && good; member = next) {
        next = member->next;
        member->next = NULL;
        if (member->key != merge_key)
            merge_member(&m, member);
        else if (!merge_value(&m, member)) {
            yaml_mark_t mark = {.line = (size_t)member->line - 1, .column = (size_t)member->column - 1};
            good = fail_at(r, &mark, ERROR_INVALID, "<< merges maps, but this is %s; give it an alias of a map",
                           tree_type_name(member->type));
        }
    }
    map_free(m.members);
    map_free(m.merged);
    return good;
}

/* ---- events ---- */

static bool on_scalar(struct reader *r, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    struct tree *node = new_node(r, mark);

    if (!count_nodes(r, mark, 1) || !resolve(r, event, node))
        return false;
    set_anchor(r, event->data.scalar.anchor, node);
    if (wants_key(r)) {
        bool merge =
            event->data.scalar.plain_implicit && node->type == TREE_STRING && strcmp(node->text, merge_key) == 0;
        return take_key(r, mark, node, merge);
    }
    attach(r, node);
    return true;
}

static bool on_alias(struct reader *r, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    const struct anchor *anchor = find_anchor(r, event);

    if (!anchor)
        return false;
    if (wants_key(r))
        return count_nodes(r, mark, 1) && take_key(r, mark, anchor->node, false);
    if (r->depth + anchor->height > TREE_DEPTH_MAX)
        return fail_at(r, mark, ERROR_LIMIT, "nested deeper than TREE_DEPTH_MAX (%d), aliases expanded",
                       TREE_DEPTH_MAX);
    struct tree *node = new_node(r, mark), place = *node;
    if (!count_nodes(r, mark, anchor->nodes))
        return false;
    *node = *anchor->node;
    node->line = place.line;
    node->column = place.column;
    node->next = NULL;
    node->key = NULL;
    node->key_line = node->key_column = 0;
    node->repeated_key = false;
    attach(r, node);
    note_height(r, anchor->height);
    return true;
}

static bool on_start(struct reader *r, const yaml_event_t *event, enum tree_type type, const yaml_char_t *anchor)
{
    const yaml_mark_t *mark = &event->start_mark;

    if (wants_key(r))
        return fail_at(r, mark, ERROR_INVALID, "a key is %s; keys are text (does a {{ }} want quotes?)",
                       tree_type_name(type));
    if (r->depth == TREE_DEPTH_MAX)
        return fail_at(r, mark, ERROR_LIMIT, "nested deeper than TREE_DEPTH_MAX (%d)", TREE_DEPTH_MAX);
    struct tree *node = new_node(r, mark);
    node->type = type;
    attach(r, node);
    struct level *level = &r->levels[r->depth++];
    *level = (struct level){.node = node, .nodes_before = r->nodes};
    level->anchor = set_anchor(r, anchor, node);
    return count_nodes(r, mark, 1);
}

static bool on_end(struct reader *r)
{
    struct level *level = top(r);

    assert(level && !level->has_key);
    int height = level->height + 1;
    r->depth--;
    if (level->merges && !apply_merges(r, level->node))
        return false;
    if (level->node->type == TREE_MAP && !level->merges)
        tree_mark_repeated(level->node);
    if (level->anchor) {
        level->anchor->nodes = r->nodes - level->nodes_before;
        level->anchor->height = height;
        level->anchor->complete = true;
    }
    note_height(r, height);
    return true;
}

static void on_document_start(struct reader *r)
{
    map_free(r->anchors);
    r->anchors = map_new();
    r->root = NULL;
}

static void on_document_end(struct reader *r)
{
    if (r->root && r->root->type != TREE_NULL)
        append(r->documents, &r->last_document, r->root);
}

static bool on_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        on_document_start(r);
        return true;
    case YAML_DOCUMENT_END_EVENT:
        on_document_end(r);
        return true;
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_ALIAS_EVENT:
        return on_alias(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(r, event, TREE_LIST, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_start(r, event, TREE_MAP, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(r);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
        return true;
    }
    return true;
}

/* ---- the stream ---- */

/* libyaml gives the place of bad bytes as an offset only. */
static yaml_mark_t mark_of_offset(const char *bytes, size_t length, size_t offset)
{
    yaml_mark_t mark = {.index = offset};

    for (size_t i = 0; i < offset && i < length; i++) {
        mark.column = bytes[i] == '\n' ? 0 : mark.column + (((unsigned char)bytes[i] & 0xc0) != 0x80);
        mark.line += bytes[i] == '\n';
    }
    return mark;
}

static bool fail_syntax(struct reader *r, const char *bytes, size_t length)
{
    const yaml_parser_t *p = &r->parser;
    yaml_mark_t mark = p->problem_mark;
    const char *problem = p->problem ? p->problem : "it cannot be read";

    if (p->error == YAML_MEMORY_ERROR)
        return error_set(r->err, ERROR_INTERNAL, "out of memory while reading YAML");
    if (p->error == YAML_READER_ERROR) {
        mark = mark_of_offset(bytes, length, p->problem_offset);
        return fail_at(r, &mark, ERROR_INVALID, "not YAML: %s; save the file as UTF-8 text", problem);
    }
    if (strstr(problem, "cannot start any token"))
        return fail_at(r, &mark, ERROR_INVALID,
                       "not YAML: a tab or one of @ ` %% begins a value here; indent with blanks, quote the rest");
    if (p->context && p->context_mark.line != mark.line)
        return fail_at(r, &mark, ERROR_INVALID,
                       "not YAML: %s (%s that begins on line %zu); check indentation and quotes", problem, p->context,
                       p->context_mark.line + 1);
    return fail_at(r, &mark, ERROR_INVALID, "not YAML: %s; check indentation and quotes", problem);
}

static bool read_events(struct reader *r, const char *bytes, size_t length)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return fail_syntax(r, bytes, length);
        more = event.type != YAML_STREAM_END_EVENT;
        bool good = on_event(r, &event);
        yaml_event_delete(&event);
        if (!good)
            return false;
    }
    return true;
}

bool tree_read_yaml(const char *file, const char *bytes, size_t length, struct arena *arena, struct tree **documents,
                    struct error *err)
{
    if (length > MANIFEST_FILE_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "larger than MANIFEST_FILE_MAX_BYTES (%d); split the file",
                  MANIFEST_FILE_MAX_BYTES);
        return error_add_place(err, "%s", file);
    }
    struct reader *r = mem_alloc(sizeof *r);
    r->file = file;
    r->arena = arena;
    r->err = err;
    r->documents = arena_alloc(arena, sizeof *r->documents);
    r->documents->type = TREE_LIST;
    bool good = yaml_parser_initialize(&r->parser);
    if (good) {
        yaml_parser_set_input_string(&r->parser, (const unsigned char *)bytes, length);
        good = read_events(r, bytes, length);
        yaml_parser_delete(&r->parser);
    } else {
        error_set(err, ERROR_INTERNAL, "out of memory while reading YAML");
    }
    if (good)
        *documents = r->documents;
    map_free(r->anchors);
    free(r);
    return good;
}

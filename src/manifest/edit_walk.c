/*
 * edit_walk: where in a file a path leads. libyaml's events carry marks, where a node begins and ends; they are kept as spans, a flat list:
 *
 *     events:  { key a { key b  scalar } key c scalar }          spans: the same, with the bytes they cover
 *
 * libyaml counts characters, spans count bytes. The spans of a node stand together, so a path is walked by skipping what is not on it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "manifest/edit_internal.h"

enum { KEY_BYTES_MAX = 256 }; /* keys longer than that are not asked for */

/* ---- the path ---- */

bool edit_read_path(struct editing *e)
{
    const char *at = e->edit->path;

    while (*at) {
        bool bracket = *at == '[';
        size_t length = bracket ? strcspn(++at, "]") : strcspn(at, ".[");

        if (length == 0 || (bracket && at[length] != ']'))
            return error_set(e->err, ERROR_INVALID, "'%s' is no path of a field; write it like spec.triggers[0].type",
                             e->edit->path);
        if (e->step_count == TREE_DEPTH_MAX)
            return error_set(e->err, ERROR_LIMIT, "a path may have %d steps (TREE_DEPTH_MAX)", TREE_DEPTH_MAX);
        e->steps[e->step_count++] = (struct step){at, length, bracket};
        at += length + bracket;
        at += *at == '.' && at[1];
    }
    return e->step_count > 0 || error_set(e->err, ERROR_INVALID, "the path of an edit is empty");
}

static bool step_is(const struct step *step, const char *key)
{
    return key && strlen(key) == step->length && memcmp(key, step->name, step->length) == 0;
}

bool edit_step_index(const struct step *step, size_t *index)
{
    *index = 0;
    for (size_t i = 0; i < step->length; i++) {
        if (step->name[i] < '0' || step->name[i] > '9' || *index > TREE_NODES_MAX)
            return false;
        *index = *index * 10 + (size_t)(step->name[i] - '0');
    }
    return step->bracket;
}

/* ---- spans ---- */

struct cursor { /* libyaml counts characters */
    const char *bytes;
    size_t length, byte, character;
};

static size_t byte_of(struct cursor *c, size_t character)
{
    while (c->character < character && c->byte < c->length) {
        c->byte++;
        while (c->byte < c->length && ((unsigned char)c->bytes[c->byte] & 0xc0) == 0x80)
            c->byte++;
        c->character++;
    }
    while (c->character > character && c->byte > 0) {
        c->byte--;
        while (c->byte > 0 && ((unsigned char)c->bytes[c->byte] & 0xc0) == 0x80)
            c->byte--;
        c->character--;
    }
    return c->byte;
}

static void add_span(struct editing *e, const yaml_event_t *event, bool flow, struct cursor *cursor)
{
    struct span span = {.type = event->type,
                        .flow = flow,
                        .line = (int)event->start_mark.line + 1,
                        .column = (int)event->start_mark.column + 1};

    span.begin = byte_of(cursor, event->start_mark.index);
    span.end = byte_of(cursor, event->end_mark.index);
    if (event->type == YAML_SCALAR_EVENT) {
        span.style = event->data.scalar.style;
        if (event->data.scalar.length <= KEY_BYTES_MAX)
            span.text = arena_copy_bytes(e->arena, event->data.scalar.value, event->data.scalar.length);
    }
    if ((e->count & (e->count - 1)) == 0) /* at every power of two */
        e->spans = mem_grow(e->spans, e->count ? 2 * e->count : 1, sizeof(*e->spans));
    e->spans[e->count++] = span;
}

bool span_opens(yaml_event_type_t type)
{
    return type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
}

bool span_closes(yaml_event_type_t type)
{
    return type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
}

static bool opens_flow(const yaml_event_t *event)
{
    return event->type == YAML_MAPPING_START_EVENT ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                                                   : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
}

/* Block style cannot stand within flow style: a depth says it all. */
void edit_read_spans(struct editing *e)
{
    struct cursor cursor = {.bytes = e->bytes, .length = e->length};
    yaml_parser_t parser;
    yaml_event_t event;
    bool going = true;
    int flow = 0;

    if (!yaml_parser_initialize(&parser))
        abort(); /* out of memory */
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)e->bytes, e->length);
    while (going && yaml_parser_parse(&parser, &event)) {
        going = event.type != YAML_STREAM_END_EVENT;
        flow += span_opens(event.type) && (flow > 0 || opens_flow(&event));
        add_span(e, &event, flow > 0, &cursor);
        flow -= span_closes(event.type) && flow > 0;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}

bool span_is_visible(const struct span *span)
{
    return span->flow || (!span_opens(span->type) && !span_closes(span->type));
}

size_t span_next(const struct editing *e, size_t i, size_t *end)
{
    int depth = 0;

    do {
        const struct span *span = &e->spans[i];

        depth += span_opens(span->type) - span_closes(span->type);
        if (span_is_visible(span))
            *end = span->end;
        i++;
    } while (depth > 0 && i < e->count);
    return i;
}

/* ---- walking ---- */

bool edit_find_root(struct editing *e, const struct tree *documents, size_t *root)
{
    const struct tree *document = tree_index(documents, e->edit->document);

    if (!document)
        return error_set(e->err, ERROR_INVALID, "there is no document %zu in the file; it has %zu", e->edit->document,
                         tree_count(documents));
    for (*root = 1; *root < e->count; (*root)++) {
        const struct span *span = &e->spans[*root];

        if (e->spans[*root - 1].type == YAML_DOCUMENT_START_EVENT && span->line == document->line &&
            span->column == document->column)
            return true;
    }
    return error_set(e->err, ERROR_INVALID, "document %zu cannot be found again", e->edit->document);
}

/* The member's value; of a key written twice the last, which counts. 0: the map has none of its own. */
static size_t find_member(const struct editing *e, size_t map, const struct step *step)
{
    size_t found = 0, end;

    for (size_t i = map + 1; e->spans[i].type != YAML_MAPPING_END_EVENT;) {
        size_t value = span_next(e, i, &end);

        if (step_is(step, e->spans[i].text))
            found = value;
        i = span_next(e, value, &end);
    }
    return found;
}

static size_t find_element(const struct editing *e, size_t list, size_t index)
{
    size_t i = list + 1, end;

    for (; e->spans[i].type != YAML_SEQUENCE_END_EVENT; i = span_next(e, i, &end))
        if (index-- == 0)
            return i;
    return 0;
}

bool edit_fail_step(struct editing *e, size_t at, size_t step, const char *what)
{
    const struct step *s = &e->steps[step];

    error_set(e->err, ERROR_INVALID, "the part %.*s of %s %s", (int)s->length, s->name, e->edit->path, what);
    return error_add_place(e->err, "%s:%d:%d", e->file, e->spans[at].line, e->spans[at].column);
}

bool edit_walk(struct editing *e, size_t root, size_t *node, size_t *steps)
{
    size_t at = root, i = 0, index;

    for (size_t next; i < e->step_count; i++, at = next) {
        const struct span *span = &e->spans[at];

        if (span->type == YAML_ALIAS_EVENT)
            return edit_fail_step(e, at, i,
                                  "lies in what an alias (*) shares with others; change it where its anchor (&) is");
        if (span->type == YAML_SEQUENCE_START_EVENT) {
            next = edit_step_index(&e->steps[i], &index) ? find_element(e, at, index) : 0;
            if (next == 0)
                return edit_fail_step(e, at, i, "is not in the list here; name an element that is there, like [0]");
        } else if (span->type == YAML_MAPPING_START_EVENT) {
            next = find_member(e, at, &e->steps[i]);
            if (next == 0)
                break;
        } else {
            break; /* a scalar: if it is null, a map may come of it */
        }
    }
    *node = at;
    *steps = i;
    return true;
}

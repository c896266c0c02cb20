/*
 * comment: see comment.h. First the places where a comment with the word could be are searched in the text; only where there is one,
 * libyaml's tokens say which of them lie within a scalar, and what each one stands before.
 */
#include "base/comment.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>
#include <yaml.h>

/* ------------------------------------------------------------------ candidates */

static bool starts_comment(const char *line, const char *at)
{
    return at == line || at[-1] == ' ' || at[-1] == '\t';
}

static bool only_blanks(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    return from == to;
}

/* In code points, as libyaml counts. */
static int column_of(const char *line, const char *at)
{
    int column = 1;

    for (const char *c = line; c < at; c++)
        column += ((unsigned char)*c & 0xC0) != 0x80;
    return column;
}

static bool read_candidate(const char *line, const char *end, int number, const char *word, struct comment *out)
{
    size_t length = strlen(word);

    for (const char *at = line; (at = memchr(at, '#', (size_t)(end - at))); at++) {
        const char *text = at + 1;

        while (text < end && (*text == ' ' || *text == '\t'))
            text++;
        if (!starts_comment(line, at) || (size_t)(end - text) < length || memcmp(text, word, length) != 0)
            continue;
        text += length;
        if (text < end && (isalnum((unsigned char)*text) || *text == '-' || *text == '_'))
            continue;
        while (end > text && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *out = (struct comment){.line = number,
                                .column = column_of(line, at),
                                .text = text,
                                .length = (size_t)(end - text),
                                .about = only_blanks(line, at) ? 0 : number,
                                .document_end = INT_MAX};
        return true;
    }
    return false;
}

static size_t find_candidates(const char *bytes, size_t length, const char *word, struct comment *out, size_t max)
{
    const char *end = bytes + length;
    size_t count = 0;
    int number = 1;

    if (!memmem(bytes, length, word, strlen(word)))
        return 0;
    for (const char *line = bytes; line < end && count < max; number++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));

        stop = stop ? stop : end;
        count += read_candidate(line, stop, number, word, &out[count]);
        line = stop < end ? stop + 1 : end;
    }
    return count;
}

/* ------------------------------------------------------------------ among the tokens */

struct reading {
    struct comment *list;
    size_t count;
    size_t next;  /* the first that no content has followed so far */
    bool content; /* the document has begun to hold something */
    int doc;
};

static bool is_before(int line, int column, const yaml_mark_t *mark)
{
    int there = (int)mark->line + 1;

    return line < there || (line == there && column < (int)mark->column + 1);
}

static void drop_within(struct reading *r, const yaml_token_t *token)
{
    for (size_t i = r->next; i < r->count; i++) {
        struct comment *c = &r->list[i];

        if (!is_before(c->line, c->column, &token->end_mark))
            return;
        c->column = is_before(c->line, c->column, &token->start_mark) ? c->column : 0; /* 0: none after all */
    }
}

/* Something stands on that line: the comments above it are about it. */
static void on_content(struct reading *r, int line)
{
    for (; r->next < r->count && r->list[r->next].line < line; r->next++) {
        struct comment *c = &r->list[r->next];

        c->doc = r->doc;
        if (c->about == 0) {
            c->about = line;
            c->head = !r->content;
        }
    }
    r->content = true;
}

static void on_document(struct reading *r, int line)
{
    for (size_t i = 0; i < r->count && r->list[i].line < line; i++) {
        if (r->list[i].document_end == INT_MAX && r->list[i].about > 0)
            r->list[i].document_end = line - 1;
    }
    if (!r->content)
        return;
    for (; r->next < r->count && r->list[r->next].line < line; r->next++)
        r->list[r->next].doc = r->doc; /* behind the last line of its document: about nothing, unless it shares one */
    r->doc++;
    r->content = false;
}

static bool is_content(yaml_token_type_t type)
{
    return type == YAML_SCALAR_TOKEN || type == YAML_ALIAS_TOKEN || type == YAML_ANCHOR_TOKEN ||
           type == YAML_TAG_TOKEN || type == YAML_BLOCK_ENTRY_TOKEN || type == YAML_FLOW_SEQUENCE_START_TOKEN ||
           type == YAML_FLOW_MAPPING_START_TOKEN || type == YAML_FLOW_SEQUENCE_END_TOKEN ||
           type == YAML_FLOW_MAPPING_END_TOKEN;
}

static void read_tokens(struct reading *r, const char *bytes, size_t length)
{
    yaml_parser_t parser;
    yaml_token_t token;
    bool more = true;

    if (!yaml_parser_initialize(&parser))
        return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
    while (more && yaml_parser_scan(&parser, &token)) {
        int line = (int)token.start_mark.line + 1;

        if (token.type == YAML_DOCUMENT_START_TOKEN)
            on_document(r, line);
        else if (is_content(token.type))
            on_content(r, line);
        if (token.type == YAML_SCALAR_TOKEN)
            drop_within(r, &token);
        more = token.type != YAML_STREAM_END_TOKEN && token.type != YAML_NO_TOKEN;
        yaml_token_delete(&token);
    }
    yaml_parser_delete(&parser);
}

size_t comments_find(const char *bytes, size_t length, const char *word, struct comment *out, size_t max)
{
    size_t found = find_candidates(bytes, length, word, out, max), kept = 0;
    struct reading r = {.list = out, .count = found};

    if (found == 0)
        return 0;
    read_tokens(&r, bytes, length);
    for (; r.next < found; r.next++)
        out[r.next].doc = r.doc;
    for (size_t i = 0; i < found; i++) {
        if (out[i].column > 0)
            out[kept++] = out[i];
    }
    return kept;
}

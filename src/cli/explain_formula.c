/*
 * explain_formula: a formula with the value of every part. Where it fits into a line, below the parts themselves:
 *
 *     queue / 10 + max(rate, 2)
 *     ╰───╯ 25         ╰──╯ 4
 *     ╰────────╯ 2.5
 *                  ╰──────────╯ 4
 *     ╰───────────────────────╯ 6.5
 *
 * else as a tree, each part under the one it belongs to. The record's trace has each part after its own parts, with its depth; a part that
 * was not needed (the other arm of a ?:) is not in it.
 */
#include "cli/explain_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cli/explain_view.h"
#include "cli/paper.h"

enum {
    INDENT = 2,
    USUAL_COLUMNS = 100, /* where the width is not known */
    ROWS_MAX = 24,       /* below a formula; more of them are no picture any more */
    TREE_VALUE_COLUMN = 64,
};

struct part {
    const json_t *json;
    int begin, end, depth; /* columns of the formula */
    int row;               /* below it, from 0 */
    int width;             /* of mark and value */
    int parent;            /* index; -1: none */
    char value[40];
};
struct parts {
    struct part *list;
    size_t count;
};

static void value_text(const json_t *value, char *out, size_t size)
{
    if (json_is_boolean(value))
        snprintf(out, size, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_number(value))
        explain_number(json_number_value(value), out, size);
    else
        snprintf(out, size, "no value");
}

/* Bytes of the formula to columns: a formula may have text in it that is not ASCII. */
static int column_of(const struct paper *paper, const char *formula, json_int_t byte)
{
    char *head = strndup(formula, byte > 0 ? (size_t)byte : 0);
    int column = paper_width(paper, head);

    free(head);
    return column;
}

static struct parts read_parts(const struct paper *paper, const json_t *view, const char *formula)
{
    const json_t *trace = json_object_get(view, "trace"), *json;
    struct parts parts = {mem_array(json_array_size(trace) + 1, sizeof(struct part)), 0};
    size_t i;

    json_array_foreach(trace, i, json)
    {
        struct part *p = &parts.list[parts.count++];

        p->json = json;
        p->begin = column_of(paper, formula, json_integer_value(json_object_get(json, "begin")));
        p->end = column_of(paper, formula, json_integer_value(json_object_get(json, "end")));
        p->depth = (int)json_integer_value(json_object_get(json, "depth"));
        value_text(json_object_get(json, "value"), p->value, sizeof(p->value));
        p->width = p->end - p->begin + 1 + paper_width(paper, p->value);
        p->parent = -1;
    }
    return parts;
}

/* The next one that is less deep is what a part belongs to. */
static void find_parents(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        for (size_t j = i + 1; j < parts->count; j++)
            if (parts->list[j].depth < parts->list[i].depth) {
                parts->list[i].parent = (int)j;
                break;
            }
}

/* ------------------------------------------------------------------ below the formula */

static bool meet(const struct part *a, const struct part *b)
{
    return a->begin < b->begin + b->width + 2 && b->begin < a->begin + a->width + 2;
}

/* Each below its own parts, in the first row where there is room. false: that takes too many rows. */
static bool place_parts(struct parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        struct part *p = &parts->list[i];

        for (size_t j = 0; j < i; j++)
            if (parts->list[j].parent == (int)i && parts->list[j].row >= p->row)
                p->row = parts->list[j].row + 1;
        for (size_t j = 0; j < i; j++)
            if (parts->list[j].row == p->row && meet(&parts->list[j], p)) {
                p->row++;
                j = (size_t)-1; /* from the first again */
            }
        if (p->row >= ROWS_MAX)
            return false;
    }
    return true;
}

static void put_mark(struct paper *paper, const struct part *p)
{
    int length = p->end - p->begin;

    paper_to(paper, INDENT + p->begin);
    if (length == 1) {
        paper_put(paper, INK_FAINT, "%s", paper->unicode ? "╵" : "^");
    } else {
        paper_put(paper, INK_FAINT, "%s", paper->unicode ? "╰" : "`");
        for (int i = 2; i < length; i++)
            paper_put(paper, INK_FAINT, "%s", paper->unicode ? "─" : "-");
        paper_put(paper, INK_FAINT, "%s", paper->unicode ? "╯" : "'");
    }
    paper_put(paper, INK_PLAIN, " ");
    paper_put(paper, INK_STRONG, "%s", p->value);
}

static const struct part *next_in_row(const struct parts *parts, int row, int after)
{
    const struct part *next = NULL;

    for (size_t i = 0; i < parts->count; i++) {
        const struct part *p = &parts->list[i];

        if (p->row == row && p->begin > after && (!next || p->begin < next->begin))
            next = p;
    }
    return next;
}

static void put_rows(struct paper *paper, const struct parts *parts)
{
    for (int row = 0; row < ROWS_MAX; row++) {
        const struct part *p = next_in_row(parts, row, -1);

        if (!p)
            return;
        for (; p; p = next_in_row(parts, row, p->begin))
            put_mark(paper, p);
        paper_end(paper);
    }
}

/* ------------------------------------------------------------------ as a tree */

/* Is there another part of the same parent after it? */
static bool has_sibling(const struct parts *parts, size_t i)
{
    for (size_t j = i + 1; j < parts->count; j++)
        if (parts->list[j].parent == parts->list[i].parent)
            return true;
    return false;
}

static void put_branch(struct paper *paper, const struct parts *parts, size_t i, bool own)
{
    const struct part *p = &parts->list[i];

    if (p->parent < 0)
        return;
    put_branch(paper, parts, (size_t)p->parent, false); /* as deep as the trace, which DECISION_TRACE_MAX bounds */
    bool more = has_sibling(parts, i);
    if (paper->unicode)
        paper_put(paper, INK_FAINT, "%s", own ? (more ? "├ " : "└ ") : more ? "│ " : "  ");
    else
        paper_put(paper, INK_FAINT, "%s", own ? (more ? "|-" : "`-") : more ? "| " : "  ");
}

/* A part with its line ends and runs of blanks as one blank, as much of it as there is room for. */
static void put_piece(struct paper *paper, const char *piece)
{
    int room = (paper->columns > 0 ? paper->columns : USUAL_COLUMNS) - paper->column - 16, used;
    struct text flat;

    text_init(&flat, strlen(piece) + 1);
    for (; *piece; piece++)
        if (!strchr(" \t\r\n", *piece))
            text_add_char(&flat, *piece);
        else if (flat.length > 0 && flat.bytes[flat.length - 1] != ' ')
            text_add_char(&flat, ' ');
    size_t length = paper_fit(paper->unicode, flat.bytes, flat.length, room > 16 ? room : 16, &used);
    paper_put(paper, INK_PLAIN, "%.*s", (int)length, flat.bytes);
    if (length < flat.length)
        paper_put(paper, INK_FAINT, "...");
    text_done(&flat);
}

static void put_tree(struct paper *paper, const struct parts *parts, int parent)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct part *p = &parts->list[i];

        if (p->parent != parent)
            continue;
        paper_to(paper, INDENT);
        put_branch(paper, parts, i, true);
        put_piece(paper, view_text(p->json, "text"));
        paper_put(paper, INK_FAINT, " = ");
        paper_put(paper, INK_STRONG, "%s", p->value);
        paper_end(paper);
        put_tree(paper, parts, (int)i); /* likewise */
    }
}

/* ------------------------------------------------------------------ the formula */

static void put_result(struct paper *paper, const json_t *formula)
{
    char value[40];

    value_text(json_object_get(formula, "value"), value, sizeof(value));
    paper_put(paper, INK_HEAD, "formula");
    if (*view_text(formula, "fault"))
        paper_put(paper, INK_BAD, " = %s", view_text(formula, "fault"));
    else
        paper_put(paper, INK_STRONG, " = %s", value);
    if (*view_text(formula, "place"))
        paper_put(paper, INK_BAD, " in %s", view_text(formula, "place"));
    paper_end(paper);
}

/* As it was written, line by line. */
static void put_source(struct paper *paper, const char *source)
{
    while (*source) {
        size_t length = strcspn(source, "\n");
        char *line = strndup(source, length);

        paper_to(paper, INDENT);
        paper_wrap(paper, INK_PLAIN, INDENT, line);
        free(line);
        source += length + (source[length] == '\n');
    }
}

void explain_put_formula(struct paper *paper, const json_t *view)
{
    const json_t *formula = json_object_get(view, "formula");
    const char *source = view_text(formula, "text");
    int columns = paper->columns > 0 ? paper->columns : USUAL_COLUMNS;

    if (!json_is_object(formula))
        return;
    struct parts parts = read_parts(paper, view, source);
    find_parents(&parts);
    bool picture = !strchr(source, '\n') && INDENT + paper_width(paper, source) + 16 <= columns && place_parts(&parts);
    paper_end(paper);
    put_result(paper, formula);
    put_source(paper, source);
    if (picture)
        put_rows(paper, &parts);
    else
        put_tree(paper, &parts, -1);
    free(parts.list);
}

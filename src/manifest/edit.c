/*
 * edit: see edit.h. The path is walked over the spans of the file (edit_walk.c). Then there are two cases. It ends at a scalar, or an alias: its
 * bytes are replaced. Or it leaves the file at some map: the rest of it is written behind the member it should follow, at the end of that
 * member's last line in block style, with a comma in flow style. Finally prove() reads both texts as trees and walks them side by side.
 */
#include "manifest/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "manifest/edit_internal.h"

/* ---- how a value is written ---- */

/* Without quotes it is a text, and this one, in flow style too. */
static bool is_plain(const char *value)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    const char *source = arena_printf(arena, "[%s]", value);
    struct tree *documents;
    struct error err;
    bool fine = !strpbrk(value, "#\r\n") && tree_read_yaml("", source, strlen(source), arena, &documents, &err);
    const struct tree *node = fine ? tree_at(documents, "0.0") : NULL;

    fine = node && node->type == TREE_STRING && string_equal(node->text, value) && tree_count(documents->first) == 1;
    arena_free(arena);
    return fine;
}

static void write_single(struct text *out, const char *value)
{
    text_add_char(out, '\'');
    for (; *value; value++) {
        text_add_char(out, *value);
        if (*value == '\'')
            text_add_char(out, '\'');
    }
    text_add_char(out, '\'');
}

/* style: of what stood there; YAML_ANY_SCALAR_STYLE: nothing did. */
static void write_value(struct editing *e, yaml_scalar_style_t style)
{
    const char *value = e->edit->value;

    if (e->edit->type != TREE_STRING) /* quotes would make a text of it */
        text_add(e->out, value);
    else if (style == YAML_SINGLE_QUOTED_SCALAR_STYLE && !strpbrk(value, "\r\n"))
        write_single(e->out, value);
    else if (style != YAML_DOUBLE_QUOTED_SCALAR_STYLE && is_plain(value))
        text_add(e->out, value);
    else
        text_add_json_string(e->out, value, strlen(value)); /* which YAML's double quotes can all read */
}

static void write_key(struct editing *e, const struct step *step, yaml_scalar_style_t style)
{
    char *key = arena_copy_bytes(e->arena, step->name, step->length);

    if (style == YAML_DOUBLE_QUOTED_SCALAR_STYLE || !is_plain(key))
        text_add_json_string(e->out, key, step->length);
    else
        text_add(e->out, key);
}

static void copy_old(struct editing *e, size_t begin, size_t end)
{
    text_append(e->out, e->bytes + begin, end - begin);
}

/* ---- replacing ---- */

/* Behind anchor and tag, which stay. */
static size_t content_begin(const struct editing *e, const struct span *span)
{
    size_t at = span->begin;

    while (at < span->end && (e->bytes[at] == '&' || e->bytes[at] == '!')) {
        while (at < span->end && !strchr(" \t\r\n", e->bytes[at]))
            at++;
        while (at < span->end && strchr(" \t\r\n", e->bytes[at]))
            at++;
    }
    return at;
}

/* A block text ends where the next line begins; the line's end is not part of it, and neither are empty lines after it. */
static size_t content_end(const struct editing *e, size_t begin, size_t end)
{
    while (end > begin && strchr(" \t\r\n", e->bytes[end - 1]))
        end--;
    return end;
}

static void replace_scalar(struct editing *e, const struct span *span)
{
    size_t begin = span->type == YAML_ALIAS_EVENT ? span->begin : content_begin(e, span);
    size_t end = begin < span->end ? content_end(e, begin, span->end) : begin;

    copy_old(e, 0, begin);
    if (begin > 0 && !strchr(" \t\r\n", e->bytes[begin - 1]) && begin == end)
        text_add_char(e->out, ' '); /* "key:" without a value */
    write_value(e, span->type == YAML_ALIAS_EVENT ? YAML_ANY_SCALAR_STYLE : span->style);
    copy_old(e, end, e->length);
}

/* ---- inserting ---- */

/* The order in which KEDA's pages write the fields of a map; one for all maps, since no two of them disagree. */
static const char usual_order[] =
    " apiVersion kind metadata spec type name namespace labels annotations scaleTargetRef jobTargetRef pollingInterval "
    "cooldownPeriod initialCooldownPeriod idleReplicaCount minReplicaCount maxReplicaCount fallback advanced triggers "
    "restoreToOriginalReplicaCount horizontalPodAutoscalerConfig scalingModifiers formula target activationTarget "
    "metricType behavior scaleUp scaleDown stabilizationWindowSeconds tolerance selectPolicy policies ";

/* Where the key stands in that order; what it does not name is last. */
static size_t rank_of(const char *key, size_t length)
{
    for (const char *at = usual_order + 1; *at; at += strcspn(at, " ") + 1)
        if (strcspn(at, " ") == length && memcmp(at, key, length) == 0)
            return (size_t)(at - usual_order);
    return sizeof(usual_order);
}

/* The member of the map that the new one follows: the key's span and where its value ends. The map is not empty. */
static size_t find_neighbour(const struct editing *e, size_t map, const struct step *step, size_t *end)
{
    size_t rank = rank_of(step->name, step->length), neighbour = 0;
    bool merges = false;

    for (size_t i = map + 1; e->spans[i].type != YAML_MAPPING_END_EVENT;) {
        const char *key = e->spans[i].text ? e->spans[i].text : "";
        size_t value_end = 0, at = i;

        merges = merges || strcmp(key, "<<") == 0; /* counts where it stands: what overrides it comes after it */
        i = span_next(e, span_next(e, i, &value_end), &value_end);
        if (neighbour == 0 || merges || rank_of(key, strlen(key)) <= rank) {
            neighbour = at;
            *end = value_end;
        }
    }
    return neighbour;
}

static size_t line_end(const struct editing *e, size_t at)
{
    while (at < e->length && e->bytes[at] != '\n' && e->bytes[at] != '\r')
        at++;
    return at;
}

static size_t line_begin(const struct editing *e, size_t at)
{
    while (at > 0 && e->bytes[at - 1] != '\n' && e->bytes[at - 1] != '\r')
        at--;
    return at;
}

static size_t next_line(const struct editing *e, size_t end)
{
    if (end < e->length && e->bytes[end] == '\r')
        end++;
    if (end < e->length && e->bytes[end] == '\n')
        end++;
    return end;
}

/* As the file has them. */
static const char *line_break(const struct editing *e)
{
    size_t end = line_end(e, 0);

    if (end == e->length || e->bytes[end] == '\n')
        return "\n";
    return end + 1 < e->length && e->bytes[end + 1] == '\n' ? "\r\n" : "\r";
}

/* Comments indented more deeply than the map's keys belong to what stands before them: the new member goes behind them. */
static size_t skip_comments(const struct editing *e, size_t end, int column)
{
    for (size_t next = next_line(e, end); next > end && next < e->length; next = next_line(e, next)) {
        size_t at = next, stop = line_end(e, next);

        while (at < stop && (e->bytes[at] == ' ' || e->bytes[at] == '\t'))
            at++;
        if (at < stop && (e->bytes[at] != '#' || (int)(at - next) < column))
            break;
        if (at < stop)
            end = stop;
        next = stop;
    }
    return end;
}

/* A block text whose trailing empty lines count (|+) ends behind them; all else at the end of its last line with something in it. */
static size_t block_end(const struct editing *e, const struct span *last, size_t end, int column)
{
    bool block = last->style == YAML_LITERAL_SCALAR_STYLE || last->style == YAML_FOLDED_SCALAR_STYLE;
    size_t begin = content_begin(e, last), header = line_end(e, begin);

    if (last->type != YAML_SCALAR_EVENT || !block)
        return skip_comments(e, line_end(e, end), column);
    if (memchr(e->bytes + begin, '+', header - begin)) {
        end -= end > begin && e->bytes[end - 1] == '\n';
        return end - (end > begin && e->bytes[end - 1] == '\r');
    }
    return skip_comments(e, content_end(e, begin, end), column);
}

/* "a:", deeper "b:", deeper "c: value"; each on a line of its own. */
static void write_block(struct editing *e, size_t steps, int indent, int deeper, yaml_scalar_style_t key_style)
{
    for (size_t i = steps; i < e->step_count; i++, indent += deeper) {
        text_add(e->out, line_break(e));
        for (int blank = 0; blank < indent; blank++)
            text_add_char(e->out, ' ');
        write_key(e, &e->steps[i], key_style);
        text_add_char(e->out, ':');
    }
    text_add_char(e->out, ' ');
    write_value(e, key_style == YAML_DOUBLE_QUOTED_SCALAR_STYLE ? key_style : YAML_ANY_SCALAR_STYLE);
}

/* "a: {b: {c: value}}" */
static void write_flow(struct editing *e, size_t steps, yaml_scalar_style_t key_style)
{
    for (size_t i = steps; i < e->step_count; i++) {
        text_add(e->out, i > steps ? "{" : "");
        write_key(e, &e->steps[i], key_style);
        text_add(e->out, ": ");
    }
    write_value(e, key_style == YAML_DOUBLE_QUOTED_SCALAR_STYLE ? key_style : YAML_ANY_SCALAR_STYLE);
    for (size_t i = steps; i + 1 < e->step_count; i++)
        text_add_char(e->out, '}');
}

static void insert_block(struct editing *e, size_t map, size_t steps, int parent_column)
{
    size_t end = 0, neighbour = find_neighbour(e, map, &e->steps[steps], &end), last = neighbour;
    int column = e->spans[map + 1].column - 1;
    int deeper = parent_column > 0 && column > parent_column - 1 ? column - (parent_column - 1) : 2;
    size_t behind = span_next(e, span_next(e, neighbour, &end), &end);

    for (size_t i = neighbour; i < behind; i++) /* the span that ends last */
        if (span_is_visible(&e->spans[i]))
            last = i;
    end = block_end(e, &e->spans[last], end, column + 1);
    copy_old(e, 0, end);
    write_block(e, steps, column, deeper, e->spans[map + 1].style);
    copy_old(e, end, e->length);
}

/* Members on lines of their own: the new one too. */
static bool starts_its_line(const struct editing *e, size_t at)
{
    size_t begin = line_begin(e, at);

    while (begin < at && (e->bytes[begin] == ' ' || e->bytes[begin] == '\t'))
        begin++;
    return begin == at;
}

static void insert_flow(struct editing *e, size_t map, size_t steps)
{
    size_t end = 0, neighbour, begin;

    if (e->spans[map + 1].type == YAML_MAPPING_END_EVENT) {
        copy_old(e, 0, e->spans[map].end); /* {} */
        write_flow(e, steps, YAML_ANY_SCALAR_STYLE);
        copy_old(e, e->spans[map].end, e->length);
        return;
    }
    neighbour = find_neighbour(e, map, &e->steps[steps], &end);
    begin = e->spans[neighbour].begin;
    copy_old(e, 0, end);
    text_add_char(e->out, ',');
    if (starts_its_line(e, begin) && e->spans[map].line < e->spans[neighbour].line) {
        text_add(e->out, line_break(e));
        copy_old(e, line_begin(e, begin), begin);
    } else {
        text_add_char(e->out, ' ');
    }
    write_flow(e, steps, e->spans[neighbour].style);
    copy_old(e, end, e->length);
}

/* "advanced:" with nothing, or null, where a map is wanted. key_column: of its key. */
static void replace_null(struct editing *e, const struct span *span, size_t steps, int key_column)
{
    size_t begin = content_begin(e, span), end = span->end > begin ? content_end(e, begin, span->end) : begin;
    size_t stop = line_end(e, end);

    if (span->flow || key_column == 0) {
        copy_old(e, 0, begin);
        text_add(e->out, begin > 0 && strchr(" \t", e->bytes[begin - 1]) ? "{" : " {");
        write_flow(e, steps, YAML_ANY_SCALAR_STYLE);
        text_add_char(e->out, '}');
        copy_old(e, end, e->length);
        return;
    }
    while (begin > 0 && begin < end && strchr(" \t", e->bytes[begin - 1]))
        begin--;
    copy_old(e, 0, begin);
    copy_old(e, end, stop);
    write_block(e, steps, key_column - 1 + 2, 2, YAML_ANY_SCALAR_STYLE);
    copy_old(e, stop, e->length);
}

/* ---- the proof ---- */

static bool same_node(const struct tree *a, const struct tree *b)
{
    return a->type == b->type && a->boolean == b->boolean && a->quoted == b->quoted && string_equal(a->key, b->key) &&
           a->repeated_key == b->repeated_key && a->length == b->length &&
           (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
}

/* Recursion is bounded by the depth of the tree (TREE_DEPTH_MAX). */
static bool same_tree(const struct tree *a, const struct tree *b)
{
    if (!same_node(a, b))
        return false;
    for (a = a->first, b = b->first; a && b; a = a->next, b = b->next)
        if (!same_tree(a, b))
            return false;
    return !a && !b;
}

static const struct tree *child_of(struct editing *e, const struct tree *node, const struct step *step)
{
    size_t index;

    if (node && node->type == TREE_LIST)
        return edit_step_index(step, &index) ? tree_index(node, index) : NULL;
    return node && node->type == TREE_MAP ? tree_get(node, arena_copy_bytes(e->arena, step->name, step->length)) : NULL;
}

/* What neither is nor holds what the edit is about. */
static bool same_others(const struct tree *a, const struct tree *a_child, const struct tree *b,
                        const struct tree *b_child)
{
    const struct tree *was = a ? a->first : NULL, *is = b->first;

    if (a && a->type != TREE_NULL && a->type != b->type)
        return false;
    for (;;) {
        was = was && was == a_child ? was->next : was;
        is = is && is == b_child ? is->next : is;
        if (!was || !is)
            return !was && !is;
        if (!same_tree(was, is))
            return false;
        was = was->next;
        is = is->next;
    }
}

static bool is_wanted(const struct edit *edit, const struct tree *node)
{
    if (node->type == TREE_BOOL && edit->type == TREE_BOOL)
        return strcmp(edit->value, node->boolean ? "true" : "false") == 0;
    return node->type == edit->type && node->text && strlen(edit->value) == node->length &&
           memcmp(node->text, edit->value, node->length) == 0;
}

static bool prove(struct editing *e, const struct tree *was, const struct tree *is)
{
    const struct tree *was_child = tree_index(was, e->edit->document), *is_child = tree_index(is, e->edit->document);

    for (size_t i = 0;; i++) {
        if (!is_child || !same_others(was, was_child, is, is_child))
            return false;
        was = was_child;
        is = is_child;
        if (i == e->step_count)
            return is_wanted(e->edit, is);
        was_child = child_of(e, was, &e->steps[i]);
        is_child = child_of(e, is, &e->steps[i]);
    }
}

/* ---- an edit ---- */

static bool is_collection(const struct tree *node)
{
    return node && (node->type == TREE_LIST || node->type == TREE_MAP);
}

/* All that is missing must be keys: a list's elements are not made up. */
static bool check_missing(struct editing *e, size_t at, size_t steps)
{
    size_t index;

    for (size_t i = steps; i < e->step_count; i++)
        if (edit_step_index(&e->steps[i], &index))
            return edit_fail_step(e, at, i, "is an element of a list that is not there; write the list first");
    return true;
}

static bool make(struct editing *e, const struct tree *documents)
{
    const struct tree *node = tree_index(documents, e->edit->document);
    size_t root = 0, at = 0, steps = 0;

    if (!edit_find_root(e, documents, &root) || !edit_walk(e, root, &at, &steps))
        return false;
    for (size_t i = 0; i < steps; i++)
        node = child_of(e, node, &e->steps[i]);
    if (steps == e->step_count) {
        if (is_collection(node))
            return edit_fail_step(e, at, steps - 1, "is a list or a map here, not one value; name a field in it");
        replace_scalar(e, &e->spans[at]);
        return true;
    }
    if (!check_missing(e, at, steps))
        return false;
    if (e->spans[at].type == YAML_MAPPING_START_EVENT && e->spans[at].flow)
        insert_flow(e, at, steps);
    else if (e->spans[at].type == YAML_MAPPING_START_EVENT)
        insert_block(e, at, steps, node ? node->key_column : 0);
    else if (node && node->type == TREE_NULL)
        replace_null(e, &e->spans[at], steps, node->key_column);
    else
        return edit_fail_step(e, at, steps, "would be a field of something that has none");
    return true;
}

static bool make_and_prove(struct editing *e, struct text *out)
{
    struct tree *was, *is;
    struct text text;
    bool fine;

    if (!edit_read_path(e) || !tree_read_yaml(e->file, e->bytes, e->length, e->arena, &was, e->err))
        return false;
    text_init(&text, MANIFEST_FILE_MAX_BYTES);
    e->out = &text;
    edit_read_spans(e);
    fine = make(e, was);
    if (fine && text.overflowed)
        fine = error_set(e->err, ERROR_LIMIT, "the file would have more than %d bytes (MANIFEST_FILE_MAX_BYTES)",
                         MANIFEST_FILE_MAX_BYTES);
    if (fine && !(tree_read_yaml(e->file, text.bytes, text.length, e->arena, &is, NULL) && prove(e, was, is)))
        fine = error_set(
            e->err, ERROR_INVALID,
            "this cannot be set without changing something else (is the value shared by an anchor?), change it "
            "by hand: %s to %s",
            e->edit->path, e->edit->value);
    if (fine && !text_append(out, text.bytes, text.length))
        fine = error_set(e->err, ERROR_LIMIT, "the edited file has more than %zu bytes", out->limit);
    text_done(&text);
    free(e->spans);
    return fine;
}

bool edit_apply(const char *file, const char *bytes, size_t length, const struct edit *edit, struct text *out,
                struct error *err)
{
    struct editing e = {
        .file = file, .bytes = bytes, .length = length, .edit = edit, .arena = arena_new(ARENA_USUAL), .err = err};
    size_t mark = length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0, before = out->length;
    struct error none;
    bool fine;

    e.err = err ? err : &none;
    e.bytes += mark; /* a byte order mark, as editors on Windows write it */
    e.length -= mark;
    text_append(out, bytes, mark);
    fine = make_and_prove(&e, out);
    if (!fine) {
        out->length = before;
        out->bytes[before] = '\0';
        if (!e.err->where[0])
            error_add_place(e.err, "%s", file);
    }
    arena_free(e.arena);
    return fine;
}

bool edit_apply_all(const char *file, const char *bytes, size_t length, const struct edit *edits, size_t count,
                    struct text *out, struct error *err)
{
    struct text now, next;
    bool fine = true;

    text_init(&now, MANIFEST_FILE_MAX_BYTES);
    text_append(&now, bytes, length);
    for (size_t i = 0; i < count && fine; i++) {
        text_init(&next, MANIFEST_FILE_MAX_BYTES);
        fine = edit_apply(file, now.bytes, now.length, &edits[i], &next, err);
        text_done(&now);
        now = next;
    }
    if (fine && (now.overflowed || !text_append(out, now.bytes, now.length)))
        fine = error_set(err, ERROR_LIMIT, "the edited file is too long for what shall hold it");
    text_done(&now);
    return fine;
}

const struct tree *edit_find(const struct tree *document, const char *path)
{
    struct edit edit = {.path = path};
    struct editing e = {.edit = &edit, .arena = arena_new(ARENA_SMALL)};
    const struct tree *node = edit_read_path(&e) ? document : NULL;

    for (size_t i = 0; node && i < e.step_count; i++)
        node = child_of(&e, node, &e.steps[i]);
    arena_free(e.arena);
    return node;
}

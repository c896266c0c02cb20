/*
 * fluxcsv: a table is a few lines that begin with '#', a line of names, and rows. Cells are as in RFC 4180: in quotes they may hold commas,
 * line ends and doubled quotes. Nothing is kept but the lines of the table being read.
 */
#include "trigger/common/fluxcsv.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"

enum { COLUMNS_MAX = 1024 /* tags and fields of one measurement: people have tens */ };

struct row {
    const char *cells[COLUMNS_MAX];
    size_t count;
};
struct table { /* what is known of the one being read */
    struct row *types, *defaults, *names, *row;
    bool has_types, has_defaults, has_names;
};

/* One cell; *at is left behind it, at a comma, a line end or the end. false: a quote is not closed. */
static bool read_cell(const char **at, const char *end, struct arena *arena, const char **cell)
{
    const char *begin = *at;
    char *out;
    size_t length = 0;

    if (begin == end || *begin != '"') {
        while (*at < end && **at != ',' && **at != '\n' && **at != '\r')
            ++*at;
        *cell = arena_copy_bytes(arena, begin, (size_t)(*at - begin));
        return true;
    }
    for (++*at; *at < end && (**at != '"' || (*at + 1 < end && (*at)[1] == '"')); ++*at, length++)
        *at += **at == '"';
    if (*at == end)
        return false;
    out = arena_alloc(arena, length + 1);
    length = 0;
    for (const char *c = begin + 1; c < *at; c++) {
        c += *c == '"';
        out[length++] = *c;
    }
    ++*at;
    *cell = out;
    return true;
}

static bool read_row(const char **at, const char *end, struct arena *arena, struct row *row, struct error *err)
{
    row->count = 0;
    for (;;) {
        if (row->count == COLUMNS_MAX)
            return error_set(err, ERROR_LIMIT, "the answer has more than %d columns (COLUMNS_MAX)", COLUMNS_MAX);
        if (!read_cell(at, end, arena, &row->cells[row->count++]))
            return error_set(err, ERROR_NONSENSE, "the answer ends within a quoted cell: it is cut short");
        if (*at < end && **at == ',') {
            ++*at;
            continue;
        }
        if (*at < end && **at != '\r' && **at != '\n')
            return error_set(err, ERROR_NONSENSE, "the answer is not CSV: something follows a quoted cell");
        *at += *at < end && **at == '\r';
        *at += *at < end && **at == '\n';
        return true;
    }
}

static const char *cell(const struct row *row, size_t column)
{
    return column < row->count ? row->cells[column] : "";
}

static bool is_empty(const struct row *row)
{
    return row->count == 1 && row->cells[0][0] == '\0';
}

static bool report(const struct table *t, struct error *err)
{
    const char *text = strcmp(cell(t->names, 0), "error") == 0 ? cell(t->row, 0) : cell(t->row, 1);

    return error_set(err, ERROR_NONSENSE, "the query failed: %.250s", text);
}

static bool take(const struct table *t, const char *column, struct arena *arena, struct fluxcsv_value *out,
                 struct error *err)
{
    size_t at = 1;
    const char *text;

    while (at < t->names->count && strcmp(t->names->cells[at], column) != 0)
        at++;
    if (at == t->names->count)
        return error_set(err, ERROR_NONSENSE, "the query's result has no column %s", column);
    out->found = true;
    out->type = arena_copy(arena, t->has_types ? cell(t->types, at) : "");
    text = cell(t->row, at);
    if (!*text && t->has_defaults)
        text = cell(t->defaults, at);
    if (strcmp(out->type, "double") != 0 && strcmp(out->type, "long") != 0)
        return true;
    if (!*text)
        return error_set(err, ERROR_NONSENSE, "%s of the first row is null", column);
    return number_parse(text, strlen(text), &out->number) ||
           error_set(err, ERROR_NONSENSE, "%s of the first row is not a number", column);
}

/* Annotations and names are moved from t->row to where they are kept. */
static void keep(struct row **place, bool *has, struct table *t)
{
    struct row *old = *place;

    *place = t->row;
    *has = true;
    t->row = old;
}

static bool is_error_table(const struct row *names)
{
    return strcmp(cell(names, 0), "error") == 0 || strcmp(cell(names, 1), "error") == 0;
}

bool fluxcsv_first(const char *bytes, size_t length, const char *column, struct arena *arena, struct fluxcsv_value *out,
                   struct error *err)
{
    const char *at = bytes, *end = bytes + length;
    struct row *rows = arena_array(arena, 4, sizeof(*rows));
    struct table t = {&rows[0], &rows[1], &rows[2], &rows[3], false, false, false};

    out->found = false;
    while (at < end) {
        if (!read_row(&at, end, arena, t.row, err))
            return false;
        if (is_empty(t.row)) {
            t.has_types = t.has_defaults = t.has_names = false;
        } else if (cell(t.row, 0)[0] == '#') {
            t.has_names = false; /* a table may follow without an empty line */
            if (strcmp(cell(t.row, 0), "#datatype") == 0)
                keep(&t.types, &t.has_types, &t);
            else if (strcmp(cell(t.row, 0), "#default") == 0)
                keep(&t.defaults, &t.has_defaults, &t);
        } else if (!t.has_names) {
            if (!t.has_types && !is_error_table(t.row))
                return error_set(err, ERROR_NONSENSE,
                                 "the answer is not CSV of a Flux query: is this InfluxDB's address?");
            keep(&t.names, &t.has_names, &t);
        } else {
            return is_error_table(t.names) ? report(&t, err) : take(&t, column, arena, out, err);
        }
    }
    return true;
}

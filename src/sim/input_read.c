/*
 * input_read: tells what a file holds by how it begins, and reads CSV. JSON begins with a brace; everything else is CSV with a heading,
 * as RFC 4180 has it, but for line ends within quotes.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/lines.h"
#include "base/text.h"
#include "base/tree.h"
#include "journal/recording.h"
#include "sim/cells.h"
#include "sim/input_internal.h"

/* ------------------------------------------------------------------ CSV */

struct csv {
    struct table table;
    struct cells cells;
    size_t width, time; /* cells of a row, and which of them is the time */
};

static bool take_heading_cell(struct csv *csv, bool *has_time, struct error *err)
{
    struct cells *cells = &csv->cells;
    char name[256];
    double number;
    uint16_t column;

    if (!*has_time && table_is_time_name(cells->cell, cells->length)) {
        csv->time = csv->width;
        csv->table.t_s = cells->length == 3;
        *has_time = true;
        return true;
    }
    if (cells->length == 0)
        return error_set(err, ERROR_INVALID, "the heading has a column without a name: name it, or take it out");
    if (number_parse(cells->cell, cells->length, &number))
        return error_set(err, ERROR_INVALID,
                         "the first line must name the columns, as in time,queue,rate: one for each trigger");
    if (cells->length >= sizeof(name))
        return error_set(err, ERROR_LIMIT, "the name of a column is longer than %zu bytes", sizeof(name) - 1);
    snprintf(name, sizeof(name), "%.*s", (int)cells->length, cells->cell);
    if (input_column(csv->table.part, name) != INPUT_NONE)
        return error_set(err, ERROR_INVALID, "there are two columns '%s': rename one", name);
    return input_new_column(csv->table.part, name, &column, err);
}

static bool read_heading(struct csv *csv, struct error *err)
{
    bool has_time = false;

    for (csv->width = 0; csv->cells.more; csv->width++)
        if (!cells_next(&csv->cells, err) || !take_heading_cell(csv, &has_time, err))
            return false;
    if (csv->width == 1 && !has_time && (strchr(csv->cells.start, ';') || strchr(csv->cells.start, '\t')))
        return error_set(err, ERROR_INVALID, "columns are separated by commas here, not by semicolons or tabs");
    if (!has_time)
        return error_set(err, ERROR_INVALID,
                         "no column is called time, t, t_s or timestamp: name the one with the times so");
    if (csv->width == 1)
        return error_set(err, ERROR_INVALID, "there is no column but the time: add one for each trigger");
    return true;
}

/* The time may stand after values: it is read first. */
static bool find_time(struct csv *csv, const char *line, size_t length, size_t number, struct error *err)
{
    struct cells *cells = &csv->cells;

    cells_of_line(cells, line, length);
    for (size_t i = 0; i <= csv->time; i++) {
        if (!cells->more)
            return error_set(err, ERROR_INVALID, "the row ends before its time");
        if (!cells_next(cells, err))
            return false;
    }
    return table_begin_row(&csv->table, number, cells->cell, cells->length, err);
}

static bool read_row(struct csv *csv, const char *line, size_t length, size_t number, struct error *err)
{
    struct cells *cells = &csv->cells;
    struct input_value value;
    uint16_t column = 0;
    size_t count = 0;

    if (!find_time(csv, line, length, number, err))
        return false;
    cells_of_line(cells, line, length);
    for (; cells->more; count++) {
        if (!cells_next(cells, err))
            return false;
        if (count == csv->time)
            continue;
        if (count >= csv->width)
            return error_set(err, ERROR_INVALID, "the heading has %zu columns, and this row more: is a comma too much?",
                             csv->width);
        if (!input_parse_word(cells->cell, cells->length, &csv->table.part->columns[column], &value, err) ||
            !table_add(&csv->table, column, &value, err))
            return false;
        column++;
    }
    if (count < csv->width)
        return error_set(
            err, ERROR_INVALID,
            "the heading has %zu columns, this row %zu: write all of them, nothing between two commas for a "
            "missing value",
            csv->width, count);
    return true;
}

static bool read_rows(struct csv *csv, struct lines *in, const char *line, size_t length, struct error *err)
{
    struct error ended = {.kind = ERROR_NONE};

    cells_of_line(&csv->cells, line, length);
    if (!read_heading(csv, err))
        return error_add_place(err, "%s:%zu:%zu", csv->table.name, lines_number(in), csv->cells.column);
    while (lines_next(in, &line, &length, &ended))
        if (length > 0 && !read_row(csv, line, length, lines_number(in), err))
            return error_add_place(err, "%s:%zu:%zu", csv->table.name, lines_number(in), csv->cells.column);
    if (ended.kind == ERROR_NONE)
        return table_finish(&csv->table, err);
    if (err)
        *err = ended;
    return error_add_place(err, "%s", csv->table.name);
}

static bool read_csv(struct input *part, const char *name, struct lines *in, const char *line, size_t length,
                     struct error *err)
{
    struct csv csv = {.table = {.part = part, .name = name}};

    cells_init(&csv.cells);
    bool fine = read_rows(&csv, in, line, length, err);
    cells_done(&csv.cells);
    table_done(&csv.table);
    return fine;
}

/* ------------------------------------------------------------------ which form it is */

static bool is_blank(const char *line, size_t length)
{
    return strspn(line, " \t") >= length;
}

static bool read_part(struct input *part, const char *name, struct lines *in, const char *column, struct error *err)
{
    struct error ended = {.kind = ERROR_NONE};
    const char *line;
    size_t length;

    do {
        if (!lines_next(in, &line, &length, &ended)) {
            if (ended.kind == ERROR_NONE)
                error_set(&ended, ERROR_INVALID, "the file is empty: it needs a heading with a time column, or JSON");
            if (err)
                *err = ended;
            return error_add_place(err, "%s", name);
        }
        if (lines_number(in) == 1 && length >= 3 &&
            memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* a mark spreadsheets write */
            line += 3;
            length -= 3;
        }
    } while (is_blank(line, length));
    if (line[strspn(line, " \t")] == '{')
        return input_read_json(part, name, in, line, length, column, err);
    return read_csv(part, name, in, line, length, err);
}

static bool read_lines(struct input *input, const char *name, struct lines *in, const char *column, struct error *err)
{
    struct input *part = input_new();
    bool fine = read_part(part, name, in, column, err);

    if (fine && !input_take(input, part, err)) {
        error_add_place(err, "%s", name);
        fine = false;
    }
    input_free(part);
    return fine;
}

bool input_read(struct input *input, const char *name, const char *bytes, size_t length, const char *column,
                struct error *err)
{
    struct lines *in = lines_of_bytes(bytes, length);
    bool fine = read_lines(input, name, in, column, err);

    lines_close(in);
    return fine;
}

bool input_read_file(struct input *input, const char *path, const char *column, struct error *err)
{
    if (strcmp(path, "-") != 0 && recording_is(path))
        return input_read_recording(input, path, NULL, err);
    struct lines *in = lines_open(path, err);
    bool fine = in && read_lines(input, path, in, column, err);

    lines_close(in);
    return fine;
}

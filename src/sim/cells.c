/* cells: see cells.h. */
#include "sim/cells.h"

#include "base/error.h"
#include "base/limits.h"

void cells_init(struct cells *cells)
{
    text_init(&cells->text, LINE_MAX_BYTES);
}

void cells_done(struct cells *cells)
{
    text_done(&cells->text);
}

void cells_of_line(struct cells *cells, const char *line, size_t length)
{
    cells->start = cells->at = line;
    cells->end = line + length;
    cells->more = true;
}

static void skip_blanks(struct cells *cells)
{
    while (cells->at < cells->end && (*cells->at == ' ' || *cells->at == '\t'))
        cells->at++;
}

static bool take_quoted(struct cells *cells, struct error *err)
{
    text_clear(&cells->text);
    for (cells->at++; cells->at < cells->end; cells->at++) {
        if (*cells->at != '"')
            text_add_char(&cells->text, *cells->at);
        else if (cells->at + 1 < cells->end && cells->at[1] == '"')
            text_add_char(&cells->text, *cells->at++);
        else
            break;
    }
    if (cells->at == cells->end)
        return error_set(err, ERROR_INVALID, "the quote that begins here has no end in this line: close it");
    cells->at++;
    cells->cell = cells->text.bytes;
    cells->length = cells->text.length;
    return true;
}

static void take_plain(struct cells *cells)
{
    cells->cell = cells->at;
    while (cells->at < cells->end && *cells->at != ',')
        cells->at++;
    cells->length = (size_t)(cells->at - cells->cell);
    while (cells->length > 0 && (cells->cell[cells->length - 1] == ' ' || cells->cell[cells->length - 1] == '\t'))
        cells->length--;
}

bool cells_next(struct cells *cells, struct error *err)
{
    skip_blanks(cells);
    cells->column = (size_t)(cells->at - cells->start) + 1;
    if (cells->at < cells->end && *cells->at == '"') {
        if (!take_quoted(cells, err))
            return false;
        skip_blanks(cells);
        if (cells->at < cells->end && *cells->at != ',')
            return error_set(err, ERROR_INVALID, "after a cell in quotes comes a comma or the end of the line");
    } else {
        take_plain(cells);
    }
    cells->more = cells->at < cells->end;
    cells->at += cells->more;
    return true;
}

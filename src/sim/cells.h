/*
 * cells: the cells of a line of CSV, as RFC 4180 has them, but for line ends within quotes. Blanks around a cell are not part of it.
 *
 *     struct cells cells;
 *     cells_init(&cells);
 *     cells_of_line(&cells, line, length);
 *     while (cells.more && cells_next(&cells, &err)) ...      -- cells.cell, cells.length, cells.column
 *     cells_done(&cells);
 */
#ifndef WEIR_SIM_CELLS_H
#define WEIR_SIM_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct error;

struct cells {
    const char *start, *at, *end;
    struct text text;      /* of a cell in quotes */
    const char *cell;      /* the one last taken, valid until the next */
    size_t length, column; /* 1-based byte of the line */
    bool more;
};

void cells_init(struct cells *cells);
void cells_done(struct cells *cells);
void cells_of_line(struct cells *cells, const char *line, size_t length); /* a line has one cell at least */
/* Only if there are more. false: quotes are wrong. */
bool cells_next(struct cells *cells, struct error *err);

#endif

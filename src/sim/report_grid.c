/*
 * report_grid: values over time in bounded memory. The first rows are a millisecond long; each time the grid is full, neighbours are joined. A
 * joined cell keeps the lowest and the highest of both and their order, so a spike of one tick is on the page of a week.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "sim/report_internal.h"

enum { FIRST_ROWS = 64, FIRST_COLUMNS = 16 };

void grid_init(struct grid *grid)
{
    *grid = (struct grid){.width_ms = 1};
}

void grid_done(struct grid *grid)
{
    for (size_t i = 0; i < grid->column_count; i++)
        free(grid->columns[i].cells);
    free(grid->columns);
    free(grid->first_ms);
    *grid = (struct grid){.width_ms = 1};
}

size_t grid_add_column(struct grid *grid)
{
    if (grid->column_count == grid->column_capacity) {
        grid->column_capacity = grid->column_capacity ? 2 * grid->column_capacity : FIRST_COLUMNS;
        grid->columns = mem_grow(grid->columns, grid->column_capacity, sizeof(*grid->columns));
    }
    grid->columns[grid->column_count] = (struct column){0};
    return grid->column_count++;
}

/* ------------------------------------------------------------------ joining */

static struct cell cell_join(const struct cell *a, const struct cell *b)
{
    struct cell joined = *a;

    if (!a->known) {
        joined = *b;
    } else if (b->known) {
        if (b->low < a->low) {
            joined.low = b->low;
            joined.high_first = true;
        }
        if (b->high > a->high) {
            joined.high = b->high;
            joined.high_first = b->low < a->low ? b->high_first : false;
        }
    }
    joined.gap = a->gap || b->gap;
    return joined;
}

static void column_join(struct column *column)
{
    static const struct cell nothing = {0};
    size_t half = (column->used + 1) / 2;

    for (size_t i = 0; i < half; i++)
        column->cells[i] =
            cell_join(&column->cells[2 * i], 2 * i + 1 < column->used ? &column->cells[2 * i + 1] : &nothing);
    column->used = half;
}

static void grid_join(struct grid *grid)
{
    size_t half = (grid->used + 1) / 2;

    for (size_t i = 0; i < half; i++) {
        int64_t first_ms = grid->first_ms[2 * i];

        if (first_ms < 0 && 2 * i + 1 < grid->used)
            first_ms = grid->first_ms[2 * i + 1];
        grid->first_ms[i] = first_ms;
    }
    grid->used = half;
    for (size_t i = 0; i < grid->column_count; i++)
        column_join(&grid->columns[i]);
    grid->width_ms *= 2;
}

void grid_narrow(struct grid *grid, size_t rows_max)
{
    while (grid->used > rows_max)
        grid_join(grid);
}

/* ------------------------------------------------------------------ putting */

static size_t grown(size_t capacity, size_t wanted)
{
    size_t to = capacity ? capacity : FIRST_ROWS;

    while (to < wanted)
        to *= 2;
    return to;
}

static size_t grid_row(struct grid *grid, int64_t at_ms)
{
    while (at_ms / grid->width_ms >= SIM_REPORT_ROWS_MAX)
        grid_join(grid);

    size_t row = (size_t)(at_ms / grid->width_ms);
    if (row >= grid->capacity) {
        grid->capacity = grown(grid->capacity, row + 1);
        grid->first_ms = mem_grow(grid->first_ms, grid->capacity, sizeof(*grid->first_ms));
    }
    for (; grid->used <= row; grid->used++)
        grid->first_ms[grid->used] = -1;
    if (grid->first_ms[row] < 0)
        grid->first_ms[row] = at_ms;
    return row;
}

static struct cell *column_cell(struct column *column, size_t row)
{
    if (row >= column->capacity) {
        column->capacity = grown(column->capacity, row + 1);
        column->cells = mem_grow(column->cells, column->capacity, sizeof(*column->cells));
    }
    for (; column->used <= row; column->used++)
        column->cells[column->used] = (struct cell){0};
    return &column->cells[row];
}

void grid_put(struct grid *grid, size_t column, int64_t at_ms, double value)
{
    size_t row = grid_row(grid, at_ms < 0 ? 0 : at_ms);
    struct cell *cell = column_cell(&grid->columns[column], row);
    struct cell now = {.known = isfinite(value), .gap = !isfinite(value)};

    if (now.known)
        now.low = now.high = value;
    *cell = cell_join(cell, &now);
}

/*
 * spark: values over time in one row of characters, each as high as its value.
 *
 *     struct spark_cell cells[60] = {...};
 *     spark_put(&paper, 0, 40, cells, 60);                    -- "▁▁▂▄▄▆█", or "__.:::*#" where the locale is not UTF-8
 *
 * A span in which there was no value shows that: '·' (or '?') missing, '×' (or 'x') failed, a blank where nobody looked.
 */
#ifndef WEIR_CLI_SPARK_H
#define WEIR_CLI_SPARK_H

#include <stddef.h>

struct paper;

enum spark_kind { SPARK_BLANK, SPARK_VALUE, SPARK_MISSING, SPARK_FAILED };
struct spark_cell {
    enum spark_kind kind;
    double value;
};
/* low is the lowest mark, high the highest; values beyond them are shown as these. */
void spark_put(struct paper *paper, double low, double high, const struct spark_cell *cells, size_t count);

#endif

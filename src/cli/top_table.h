/*
 * top_table: the table of `weir top`: which part of the list is looked at, in which order, and which object is chosen. Only the rows around
 * what is shown are asked for, so ten thousand objects are no more work than forty. Knows no screen: it writes lines on paper.
 *
 *     top_table_init(&table, data_dir, "");
 *     top_table_set_rows(&table, 20);
 *     top_table_fetch(&table);
 *     top_table_put(&table, &paper);                   -- a line of headings, and 20 rows at most
 */
#ifndef WEIR_CLI_TOP_TABLE_H
#define WEIR_CLI_TOP_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "cli/cli.h"

struct paper;

enum { TABLE_SORTS = 4 };

struct top_table {
    const char *data_dir;
    char ns[NAME_MAX_BYTES], filter[NAME_MAX_BYTES]; /* "": all */
    int sort;                                        /* index of top_table_sort_name */
    bool attention;                                  /* only objects that need it */
    long rows;                                       /* that are shown at once */
    long first, chosen;                              /* of the list: the first row shown, and the one that is chosen */
    json_t *answer;                                  /* what was asked last; NULL: nothing yet */
    long loaded;                                     /* the place in the list of its first object */
    long total, matched;
    struct error error; /* why the list is not the newest; kind ERROR_NONE: it is */
};

void top_table_init(struct top_table *table, const char *data_dir, const char *ns);
void top_table_done(struct top_table *table);
const char *top_table_sort_name(int sort);
/* How many fit on the screen. */
void top_table_set_rows(struct top_table *table, long rows);
void top_table_move(struct top_table *table, long by);
/* After what is looked for has changed: from the top again. */
void top_table_restart(struct top_table *table);
/* Is something to be shown that was not asked for yet? */
bool top_table_is_short(const struct top_table *table);
void top_table_fetch(struct top_table *table);
/* NULL: there is none. Borrowed until the next fetch. */
const json_t *top_table_chosen(const struct top_table *table);
/* The state of things in a line: how many there are, what is left out. */
void top_table_put_title(const struct top_table *table, struct paper *paper);
void top_table_put(const struct top_table *table, struct paper *paper);

#endif

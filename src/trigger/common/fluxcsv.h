/*
 * fluxcsv: the annotated CSV in which InfluxDB answers a Flux query, read as far as one cell.
 *
 *     #datatype,string,long,double       each column's type         } annotations, then the names of the columns,
 *     #default,_result,,                 what an empty cell means   } then the rows; an empty line ends a table
 *     ,result,table,_value
 *     ,,0,7.5
 */
#ifndef WEIR_TRIGGER_FLUXCSV_H
#define WEIR_TRIGGER_FLUXCSV_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

struct fluxcsv_value {
    bool found;       /* false: there are no rows */
    const char *type; /* "double", "long", "string" ... */
    double number;    /* of a double or a long */
};

/* The cell of a column in the first row of the first table that has one. false: it is no such CSV, has no such column, or tells of an
   error of the query. */
bool fluxcsv_first(const char *bytes, size_t length, const char *column, struct arena *arena, struct fluxcsv_value *out,
                   struct error *err);

#endif

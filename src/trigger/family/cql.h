/*
 * cql: Cassandra's native protocol (CQL binary protocol, versions 3 and 4), as far as a query for one number needs it. Pure.
 *
 *     cql_startup(&out, 4);                  -> CQL_READY, or CQL_AUTHENTICATE: cql_password(&out, 4, "me", "pw") -> CQL_AUTHENTICATED
 *     cql_query(&out, 4, "SELECT ...", 1);   -> CQL_ROWS, CQL_VOID or CQL_ERROR
 *
 * A frame is nine bytes, the last four its length, and a body. It is read once all of it is there. Without compression and events.
 */
#ifndef WEIR_TRIGGER_CQL_H
#define WEIR_TRIGGER_CQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct text;

enum cql_kind {
    CQL_MORE, /* not all of it is there */
    CQL_BAD,  /* *err says what is wrong with it */
    CQL_READY,
    CQL_AUTHENTICATE,
    CQL_AUTHENTICATED,
    CQL_ROWS,
    CQL_VOID, /* a statement that gives nothing */
    CQL_ERROR,
};
struct cql_frame {
    size_t used;
    /* AUTHENTICATE: the class that asks; ERROR: its code and words. Borrowed from the bytes, ends nowhere. */
    int32_t code;
    const char *text;
    size_t text_length;
    /* ROWS; of several columns nothing more is read */
    uint32_t columns, rows;
    bool is_null;
    char number[48]; /* the whole number in the first row's only column */
};
enum cql_kind cql_read(const char *bytes, size_t length, struct cql_frame *out, struct error *err);

void cql_startup(struct text *out, int version);
void cql_password(struct text *out, int version, const char *user, const char *password);
void cql_query(struct text *out, int version, const char *query, int consistency);

#endif

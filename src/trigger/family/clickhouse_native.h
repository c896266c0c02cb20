/*
 * clickhouse_native: ClickHouse's native protocol, as far as a query for one number needs it. Pure: bytes in, bytes out.
 *
 *     clickhouse_hello(&out, "default", "me", "pw");      -> CLICKHOUSE_HELLO, or CLICKHOUSE_EXCEPTION
 *     clickhouse_query(&out, "SELECT count() FROM jobs"); -> CLICKHOUSE_DATA ..., CLICKHOUSE_OTHER ..., CLICKHOUSE_END
 *
 * We say that we are as old as revision 54058: servers of today still speak to that, and in its simple form, without compression,
 * chunks, sparse columns or dictionaries. A packet is read once all of it is there; `needed` says how many bytes that takes at least.
 */
#ifndef WEIR_TRIGGER_CLICKHOUSE_NATIVE_H
#define WEIR_TRIGGER_CLICKHOUSE_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct text;

enum clickhouse_kind {
    CLICKHOUSE_MORE, /* not all of it is there: see needed */
    CLICKHOUSE_BAD,  /* *err says what is wrong with it */
    CLICKHOUSE_HELLO,
    CLICKHOUSE_DATA,
    CLICKHOUSE_EXCEPTION,
    CLICKHOUSE_END,
    CLICKHOUSE_OTHER, /* progress and the like */
};
struct clickhouse_packet {
    size_t used, needed;
    /* DATA: the first column alone is looked at; a block of no rows says what columns are to come */
    uint64_t columns, rows;
    char type[64];
    const char *text; /* of its first row: in the bytes, or below; NULL: there is none, or it is NULL */
    size_t text_length;
    char number[40];
    /* EXCEPTION */
    int32_t code;
    const char *message; /* in the bytes, ends nowhere */
    size_t message_length;
};
/* The packet at the start of the bytes. A column that cannot be read as a number or a text is BAD. */
enum clickhouse_kind clickhouse_read(const char *bytes, size_t length, struct clickhouse_packet *out,
                                     struct error *err);

void clickhouse_hello(struct text *out, const char *database, const char *user, const char *password);
void clickhouse_query(struct text *out, const char *sql);

#endif

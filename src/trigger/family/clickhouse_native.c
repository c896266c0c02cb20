/*
 * clickhouse_native: see clickhouse_native.h. Numbers are LEB128, texts a length and bytes; a column is its name, its type and
 * then the values of all rows, fixed in size or texts. Facts: triggers/clickhouse.md, proven on 18.16.
 */
#include "trigger/family/clickhouse_native.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

enum {
    REVISION = 54058,
    NESTED_MAX = 16,           /* exceptions within each other; servers send one or two */
    COLUMNS_MAX = 1000 * 1000, /* what is beyond is no count */
};
enum { CLIENT_HELLO = 0, CLIENT_QUERY = 1, CLIENT_DATA = 2 };
enum {
    SERVER_HELLO = 0,
    SERVER_DATA = 1,
    SERVER_EXCEPTION = 2,
    SERVER_PROGRESS = 3,
    SERVER_PONG = 4,
    SERVER_END = 5,
    SERVER_PROFILE = 6,
    SERVER_TOTALS = 7,
    SERVER_EXTREMES = 8,
};

/* ------------------------------------------------------------------ writing */

static void put_number(struct text *out, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        text_add_char(out, (char)(value | 128));
    text_add_char(out, (char)value);
}

static void put_text(struct text *out, const char *text)
{
    put_number(out, strlen(text));
    text_add(out, text);
}

static void put_version(struct text *out)
{
    put_text(out, "weir");
    put_number(out, 1);
    put_number(out, 0);
    put_number(out, REVISION);
}

void clickhouse_hello(struct text *out, const char *database, const char *user, const char *password)
{
    put_number(out, CLIENT_HELLO);
    put_version(out);
    put_text(out, database);
    put_text(out, user);
    put_text(out, password);
}

void clickhouse_query(struct text *out, const char *sql)
{
    static const char empty_block[] = {CLIENT_DATA, 0, 1, 0, 2, '\xff', '\xff', '\xff', '\xff', 0, 0, 0};

    put_number(out, CLIENT_QUERY);
    put_text(out, "");  /* the server names the query */
    put_number(out, 1); /* asked by a client, not by another server */
    put_text(out, "");
    put_text(out, "");
    put_text(out, "0.0.0.0:0");
    put_number(out, 1); /* over TCP */
    put_text(out, "");
    put_text(out, "");
    put_version(out);
    put_text(out, "");  /* no settings follow */
    put_number(out, 2); /* all stages */
    put_number(out, 0); /* no compression */
    put_text(out, sql);
    text_append(out, empty_block, sizeof(empty_block));
}

/* ------------------------------------------------------------------ reading */

struct reader {
    const unsigned char *begin, *at, *end;
    size_t needed; /* 0: all that was asked for was there */
    struct error *err;
    bool bad;
};

static bool stopped(const struct reader *r)
{
    return r->bad || r->needed > 0;
}

static void bad(struct reader *r, const char *what)
{
    if (!stopped(r))
        error_set(r->err, ERROR_NONSENSE, "that is not ClickHouse's native protocol: %s", what);
    r->bad = true;
}

/* Steps over `count` bytes; NULL: they are not all there. */
static const unsigned char *take(struct reader *r, uint64_t count)
{
    const unsigned char *here = r->at;

    if (stopped(r))
        return NULL;
    if (count > STREAM_REPLY_MAX_BYTES) {
        bad(r, "a part is larger than STREAM_REPLY_MAX_BYTES");
        return NULL;
    }
    if (count > (uint64_t)(r->end - r->at)) {
        r->needed = (size_t)(r->at - r->begin) + (size_t)count;
        return NULL;
    }
    r->at += count;
    return here;
}

static uint64_t take_number(struct reader *r)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *byte = take(r, 1);

        if (!byte)
            return 0;
        value |= (uint64_t)(*byte & 127) << shift;
        if (*byte < 128)
            return value;
    }
    bad(r, "a number without end");
    return 0;
}

static const char *take_text(struct reader *r, size_t *length)
{
    uint64_t bytes = take_number(r);
    const unsigned char *text = take(r, bytes);

    if (!text) {
        *length = 0;
        return "";
    }
    *length = (size_t)bytes;
    return (const char *)text;
}

static void skip_text(struct reader *r)
{
    take(r, take_number(r));
}

/* ------------------------------------------------------------------ columns */

enum shape { SHAPE_NONE, SHAPE_TEXT, SHAPE_UNSIGNED, SHAPE_SIGNED, SHAPE_FLOAT, SHAPE_BYTES };
struct column {
    enum shape shape;
    unsigned size; /* of one value; 0: a text with its length */
    unsigned scale;
    bool nullable;
};

/* "Int64" -> 8; 0: that is not one. */
static unsigned integer_size(const char *bits)
{
    char *end;
    unsigned long count = strtoul(bits, &end, 10);

    return *end == '\0' && count >= 8 && count <= 256 && count % 8 == 0 ? (unsigned)count / 8 : 0;
}

/* The number behind `before` and before `after`, which *at then stands behind; false: it does not say that. */
static bool read_size(const char **at, const char *before, const char *after, unsigned *out)
{
    const char *digits = *at + strlen(before);
    unsigned long number;
    char *end;

    if (!string_starts(*at, before) || *digits < '0' || *digits > '9')
        return false;
    number = strtoul(digits, &end, 10);
    if (!string_starts(end, after) || number > STREAM_REPLY_MAX_BYTES)
        return false;
    *at = end + strlen(after);
    *out = (unsigned)number;
    return true;
}

/* Decimal(18, 3), Decimal64(3): how many bytes, and digits behind the point. */
static bool read_decimal(const char *type, struct column *column)
{
    unsigned precision, scale;

    if (!read_size(&type, "Decimal(", ", ", &precision)) {
        if (!read_size(&type, "Decimal", "(", &precision))
            return false;
        precision = precision == 32 ? 9 : precision == 64 ? 18 : precision == 128 ? 38 : precision == 256 ? 76 : 0;
    }
    if (!read_size(&type, "", ")", &scale) || precision == 0 || precision > 76 || scale > precision)
        return false;
    *column = (struct column){.shape = SHAPE_SIGNED, .scale = scale, .nullable = column->nullable};
    column->size = precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32;
    return true;
}

static struct column column_of(char *type)
{
    struct column column = {.shape = SHAPE_NONE};
    unsigned size;

    if (string_starts(type, "Nullable(") && string_ends(type, ")")) {
        column.nullable = true;
        type += strlen("Nullable(");
        type[strlen(type) - 1] = '\0';
    }
    if (string_starts(type, "UInt") && (column.size = integer_size(type + 4)) > 0)
        column.shape = SHAPE_UNSIGNED;
    else if (string_starts(type, "Int") && (column.size = integer_size(type + 3)) > 0)
        column.shape = SHAPE_SIGNED;
    else if (strcmp(type, "Float32") == 0 || strcmp(type, "Float64") == 0)
        column = (struct column){.shape = SHAPE_FLOAT, .size = type[5] == '3' ? 4 : 8, .nullable = column.nullable};
    else if (strcmp(type, "String") == 0)
        column.shape = SHAPE_TEXT;
    else if (read_size(&(const char *){type}, "FixedString(", ")", &size) && size > 0)
        column = (struct column){.shape = SHAPE_BYTES, .size = size, .nullable = column.nullable};
    else if (strcmp(type, "Nothing") == 0 && column.nullable)
        column = (struct column){.shape = SHAPE_BYTES, .size = 1, .nullable = true};
    else
        read_decimal(type, &column);
    return column;
}

/* Little-endian two's complement of any size, divided by 10^scale. */
static double integer_value(const unsigned char *bytes, const struct column *column)
{
    bool negative = column->shape == SHAPE_SIGNED && bytes[column->size - 1] >= 128;
    long double value = 0;

    for (unsigned i = column->size; i > 0; i--)
        value = value * 256 + (negative ? 255 - bytes[i - 1] : bytes[i - 1]);
    if (negative)
        value = -value - 1;
    for (unsigned i = 0; i < column->scale; i++)
        value /= 10;
    return (double)value;
}

static double float_value(const unsigned char *bytes, const struct column *column)
{
    double wide;
    float narrow;

    if (column->size == 8) {
        memcpy(&wide, bytes, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, bytes, sizeof(narrow));
    return (double)narrow;
}

static void set_value(const unsigned char *bytes, const struct column *column, struct clickhouse_packet *out)
{
    double value;

    if (column->shape == SHAPE_BYTES) {
        out->text = (const char *)bytes;
        out->text_length = strnlen(out->text, column->size);
        return;
    }
    value = column->shape == SHAPE_FLOAT ? float_value(bytes, column) : integer_value(bytes, column);
    snprintf(out->number, sizeof(out->number), "%.17g", isnan(value) ? NAN : value); /* "-nan" is nobody's number */
    out->text = out->number;
    out->text_length = strlen(out->number);
}

static void read_texts(struct reader *r, uint64_t rows, bool is_null, struct clickhouse_packet *out)
{
    for (uint64_t i = 0; i < rows && !stopped(r); i++) {
        if (i == 0 && !is_null)
            out->text = take_text(r, &out->text_length);
        else
            skip_text(r);
    }
}

static void read_column(struct reader *r, const struct column *column, struct clickhouse_packet *out)
{
    const unsigned char *nulls = column->nullable ? take(r, out->rows) : NULL, *values;
    bool is_null = nulls && *nulls != 0;

    if (column->shape == SHAPE_TEXT) {
        read_texts(r, out->rows, is_null, out);
        return;
    }
    values = out->rows > STREAM_REPLY_MAX_BYTES ? take(r, out->rows) : take(r, out->rows * column->size);
    if (values && !is_null)
        set_value(values, column, out);
}

static void read_block_info(struct reader *r)
{
    for (uint64_t field; !stopped(r) && (field = take_number(r)) != 0;) {
        if (field > 2)
            bad(r, "a block says something unknown of itself");
        take(r, field == 1 ? 1 : 4);
    }
}

/* Of several columns only the count is wanted, and of a type that is no number only its name: the poll ends with that. */
static void read_block(struct reader *r, struct clickhouse_packet *out)
{
    struct column column;
    size_t length;
    const char *name;
    char type[sizeof(out->type)];

    skip_text(r);
    read_block_info(r);
    out->columns = take_number(r);
    out->rows = take_number(r);
    if (stopped(r) || out->columns == 0)
        return;
    if (out->columns > COLUMNS_MAX)
        bad(r, "too many columns");
    skip_text(r);
    name = take_text(r, &length);
    if (stopped(r) || out->columns > 1)
        return;
    snprintf(out->type, sizeof(out->type), "%.*s", (int)(length < sizeof(type) ? length : sizeof(type) - 1), name);
    memcpy(type, out->type, sizeof(type));
    column = column_of(type);
    if (column.shape == SHAPE_NONE && !stopped(r)) {
        error_set(r->err, ERROR_NONSENSE, "the query gives a %s, which is no number; write toFloat64(...)", out->type);
        r->bad = true;
    }
    if (out->rows > 0 && !stopped(r))
        read_column(r, &column, out);
}

/* ------------------------------------------------------------------ packets */

static void read_hello(struct reader *r)
{
    uint64_t revision;

    skip_text(r);
    take_number(r);
    take_number(r);
    revision = take_number(r);
    if (!stopped(r) && revision >= REVISION)
        skip_text(r); /* its time zone */
}

static void read_exception(struct reader *r, struct clickhouse_packet *out)
{
    for (int depth = 0; depth < NESTED_MAX && !stopped(r); depth++) {
        const unsigned char *code = take(r, 4), *more;
        size_t length;
        const char *message;

        skip_text(r);
        message = take_text(r, &length);
        skip_text(r);
        more = take(r, 1);
        if (depth == 0 && code && more) {
            memcpy(&out->code, code, sizeof(out->code));
            out->message = message;
            out->message_length = length;
        }
        if (!more || *more == 0)
            return;
    }
    bad(r, "exceptions nested too deep");
}

static enum clickhouse_kind read_packet(struct reader *r, struct clickhouse_packet *out)
{
    switch (take_number(r)) {
    case SERVER_HELLO:
        read_hello(r);
        return CLICKHOUSE_HELLO;
    case SERVER_DATA:
        read_block(r, out);
        return CLICKHOUSE_DATA;
    case SERVER_TOTALS:
    case SERVER_EXTREMES:
        read_block(r, out);
        return CLICKHOUSE_OTHER;
    case SERVER_EXCEPTION:
        read_exception(r, out);
        return CLICKHOUSE_EXCEPTION;
    case SERVER_PROGRESS:
        for (int i = 0; i < 3; i++)
            take_number(r);
        return CLICKHOUSE_OTHER;
    case SERVER_PROFILE:
        for (int i = 0; i < 3; i++)
            take_number(r);
        take(r, 1);
        take_number(r);
        take(r, 1);
        return CLICKHOUSE_OTHER;
    case SERVER_PONG:
        return CLICKHOUSE_OTHER;
    case SERVER_END:
        return CLICKHOUSE_END;
    default:
        bad(r, "an unknown packet (is this the native port, 9000 or 9440? does it want TLS?)");
        return CLICKHOUSE_BAD;
    }
}

enum clickhouse_kind clickhouse_read(const char *bytes, size_t length, struct clickhouse_packet *out, struct error *err)
{
    const unsigned char *begin = (const unsigned char *)bytes;
    struct reader r = {.begin = begin, .at = begin, .end = begin + length, .err = err};
    enum clickhouse_kind kind;

    memset(out, 0, sizeof(*out));
    kind = read_packet(&r, out);
    out->used = (size_t)(r.at - begin);
    out->needed = r.needed;
    return r.bad ? CLICKHOUSE_BAD : r.needed > 0 ? CLICKHOUSE_MORE : kind;
}

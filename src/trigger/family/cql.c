/* cql: see cql.h. Whole numbers are big-endian; a string has two bytes of length, a long string and bytes have four. */
#include "trigger/family/cql.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

enum {
    HEADER_BYTES = 9,
    PAGE_ROWS = 5000, /* the original's; a small page would make a count slow, for it is counted page by page */
};
enum {
    OP_ERROR = 0x00,
    OP_STARTUP = 0x01,
    OP_READY = 0x02,
    OP_AUTHENTICATE = 0x03,
    OP_QUERY = 0x07,
    OP_RESULT = 0x08,
    OP_AUTH_CHALLENGE = 0x0e,
    OP_AUTH_RESPONSE = 0x0f,
    OP_AUTH_SUCCESS = 0x10,
};

/* ------------------------------------------------------------------ writing */

static void put(struct text *out, uint32_t value, int bytes)
{
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        text_add_char(out, (char)(value >> shift & 255));
}

static void put_string(struct text *out, const char *string)
{
    put(out, (uint32_t)strlen(string), 2);
    text_add(out, string);
}

/* The header; its length is filled in by end(). Returns where the frame begins. */
static size_t begin(struct text *out, int version, int opcode)
{
    size_t at = out->length;

    text_add_char(out, (char)version);
    text_add_char(out, 0);
    put(out, 0, 2); /* one question at a time */
    text_add_char(out, (char)opcode);
    put(out, 0, 4);
    return at;
}

static void end(struct text *out, size_t at)
{
    uint32_t length;

    if (out->overflowed)
        return;
    length = (uint32_t)(out->length - at - HEADER_BYTES);
    for (int i = 0; i < 4; i++)
        out->bytes[at + 5 + (size_t)i] = (char)(length >> (24 - 8 * i) & 255);
}

void cql_startup(struct text *out, int version)
{
    size_t at = begin(out, version, OP_STARTUP);

    put(out, 1, 2);
    put_string(out, "CQL_VERSION");
    put_string(out, "3.0.0");
    end(out, at);
}

void cql_password(struct text *out, int version, const char *user, const char *password)
{
    size_t at = begin(out, version, OP_AUTH_RESPONSE);

    put(out, (uint32_t)(strlen(user) + strlen(password) + 2), 4);
    text_add_char(out, 0);
    text_add(out, user);
    text_add_char(out, 0);
    text_add(out, password);
    end(out, at);
}

void cql_query(struct text *out, int version, const char *query, int consistency)
{
    size_t at = begin(out, version, OP_QUERY);

    put(out, (uint32_t)strlen(query), 4);
    text_add(out, query);
    put(out, (uint32_t)consistency, 2);
    text_add_char(out, 0x04); /* with a page's size */
    put(out, PAGE_ROWS, 4);
    end(out, at);
}

/* ------------------------------------------------------------------ reading */

struct reader {
    const unsigned char *at, *end;
    bool bad;
};

static const unsigned char *take(struct reader *r, size_t count)
{
    const unsigned char *here = r->at;

    if (r->bad || count > (size_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    r->at += count;
    return here;
}

static uint32_t take_number(struct reader *r, size_t bytes)
{
    const unsigned char *here = take(r, bytes);
    uint32_t value = 0;

    for (size_t i = 0; here && i < bytes; i++)
        value = value << 8 | here[i];
    return value;
}

static const char *take_string(struct reader *r, size_t *length)
{
    const unsigned char *here;

    *length = take_number(r, 2);
    here = take(r, *length);
    return here ? (const char *)here : "";
}

static void skip_string(struct reader *r)
{
    take(r, take_number(r, 2));
}

/* Four bytes of length, of which those below 0 mean none. */
static const unsigned char *take_bytes(struct reader *r, size_t *length)
{
    int32_t count = (int32_t)take_number(r, 4);

    *length = 0;
    if (count < 0 || r->bad)
        return NULL;
    *length = (size_t)count;
    return take(r, *length);
}

static bool wrong(struct error *err, const char *what)
{
    return error_set(err, ERROR_NONSENSE, "that is not Cassandra's native protocol: %s", what);
}

/* ------------------------------------------------------------------ the rows of a result */

struct type {
    uint32_t id;
    const char *name;
    size_t size; /* of a whole number; 0: of any size; NOT_WHOLE: it is none */
};
#define NOT_WHOLE ((size_t)-1)

static const struct type types[] = {
    {0x01, "ascii", NOT_WHOLE},
    {0x02, "bigint", 8},
    {0x03, "blob", NOT_WHOLE},
    {0x04, "boolean", NOT_WHOLE},
    {0x05, "counter", 8},
    {0x06, "decimal", NOT_WHOLE},
    {0x07, "double", NOT_WHOLE},
    {0x08, "float", NOT_WHOLE},
    {0x09, "int", 4},
    {0x0b, "timestamp", 8},
    {0x0c, "uuid", NOT_WHOLE},
    {0x0d, "text", NOT_WHOLE},
    {0x0e, "varint", 0},
    {0x0f, "timeuuid", NOT_WHOLE},
    {0x10, "inet", NOT_WHOLE},
    {0x11, "date", NOT_WHOLE},
    {0x12, "time", 8},
    {0x13, "smallint", 2},
    {0x14, "tinyint", 1},
    {0x20, "list", NOT_WHOLE},
    {0x21, "map", NOT_WHOLE},
    {0x22, "set", NOT_WHOLE},
    {0x30, "user type", NOT_WHOLE},
    {0x31, "tuple", NOT_WHOLE},
};

static const struct type *find_type(uint32_t id)
{
    static const struct type unknown = {0, "type of its own", NOT_WHOLE};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].id == id)
            return &types[i];
    return &unknown;
}

/* Two's complement, greatest first, of any size: beyond 64 bits a double has to do. */
static void write_number(const unsigned char *bytes, size_t length, struct cql_frame *out)
{
    bool negative = bytes[0] >= 128;
    double value = 0;
    uint64_t exact = negative ? UINT64_MAX : 0;

    for (size_t i = 0; i < length; i++) {
        exact = exact << 8 | bytes[i];
        value = value * 256 + (negative ? 255 - bytes[i] : bytes[i]);
    }
    if (length <= 8)
        snprintf(out->number, sizeof(out->number), "%lld", (long long)exact);
    else
        snprintf(out->number, sizeof(out->number), "%.17g", negative ? -value - 1 : value);
}

static bool read_value(struct reader *r, const struct type *type, struct cql_frame *out, struct error *err)
{
    size_t length;
    const unsigned char *bytes = take_bytes(r, &length);

    if (r->bad)
        return wrong(err, "a row ends too early");
    out->is_null = !bytes || length == 0;
    if (!out->is_null && type->size != 0 && length != type->size)
        return wrong(err, "a number has another size than its type");
    if (!out->is_null)
        write_number(bytes, length, out);
    return true;
}

/* flags: 1 all columns are of one table, 2 there are more pages, 4 the columns are not named */
static bool read_rows(struct reader *r, struct cql_frame *out, struct error *err)
{
    uint32_t flags = take_number(r, 4);
    const struct type *type;
    size_t length;

    out->columns = take_number(r, 4);
    if (flags & 2)
        take_bytes(r, &length);
    if (r->bad || flags & 4)
        return wrong(err, "a result does not say what it holds");
    if (out->columns != 1)
        return true;
    skip_string(r);
    skip_string(r);
    skip_string(r);
    type = find_type(take_number(r, 2));
    if (r->bad)
        return wrong(err, "a result does not say what it holds");
    if (type->size == NOT_WHOLE)
        return error_set(err, ERROR_NONSENSE, "the query gives a %s; it has to give a whole number, as count(*) does",
                         type->name);
    out->rows = take_number(r, 4);
    if (r->bad || out->rows > INT32_MAX)
        return wrong(err, "a result does not say how much it holds");
    return out->rows == 0 || read_value(r, type, out, err);
}

static enum cql_kind read_result(struct reader *r, struct cql_frame *out, struct error *err)
{
    uint32_t kind = take_number(r, 4);

    if (r->bad) {
        wrong(err, "an empty result");
        return CQL_BAD;
    }
    if (kind != 2)
        return CQL_VOID;
    return read_rows(r, out, err) ? CQL_ROWS : CQL_BAD;
}

/* ------------------------------------------------------------------ frames */

/* What may stand before the answer itself: a trace's name, warnings, somebody's payload. */
static void skip_extras(struct reader *r, unsigned flags)
{
    uint32_t count;
    size_t length;

    if (flags & 2)
        take(r, 16);
    if (flags & 8)
        for (count = take_number(r, 2); count > 0 && !r->bad; count--)
            skip_string(r);
    if (flags & 4)
        for (count = take_number(r, 2); count > 0 && !r->bad; count--) {
            skip_string(r);
            take_bytes(r, &length);
        }
}

static enum cql_kind read_body(struct reader *r, unsigned opcode, struct cql_frame *out, struct error *err)
{
    switch (opcode) {
    case OP_ERROR:
        out->code = (int32_t)take_number(r, 4);
        out->text = take_string(r, &out->text_length);
        if (!r->bad)
            return CQL_ERROR;
        break;
    case OP_AUTHENTICATE:
        out->text = take_string(r, &out->text_length);
        if (!r->bad)
            return CQL_AUTHENTICATE;
        break;
    case OP_READY:
        return CQL_READY;
    case OP_AUTH_SUCCESS:
        return CQL_AUTHENTICATED;
    case OP_RESULT:
        return read_result(r, out, err);
    case OP_AUTH_CHALLENGE:
        error_set(err, ERROR_NONSENSE, "Cassandra asks for more than a user and password, which is not built in");
        return CQL_BAD;
    default:
        break;
    }
    wrong(err, "an answer that nobody asked for");
    return CQL_BAD;
}

enum cql_kind cql_read(const char *bytes, size_t length, struct cql_frame *out, struct error *err)
{
    struct reader r = {(const unsigned char *)bytes, (const unsigned char *)bytes + length, false};
    const unsigned char *header = take(&r, HEADER_BYTES);
    uint32_t body;

    memset(out, 0, sizeof(*out));
    if (length > 0 && bytes[0] != '\x83' && bytes[0] != '\x84') {
        wrong(err, "it begins with another byte (is this the native port, 9042? does it want TLS?)");
        return CQL_BAD;
    }
    if (!header)
        return CQL_MORE;
    body = (uint32_t)header[5] << 24 | (uint32_t)header[6] << 16 | (uint32_t)header[7] << 8 | header[8];
    if (body > STREAM_REPLY_MAX_BYTES - HEADER_BYTES) {
        wrong(err, "an answer larger than STREAM_REPLY_MAX_BYTES");
        return CQL_BAD;
    }
    if (length - HEADER_BYTES < body)
        return CQL_MORE;
    r.end = r.at + body;
    out->used = HEADER_BYTES + body;
    if (header[1] & 1) {
        wrong(err, "it is compressed");
        return CQL_BAD;
    }
    skip_extras(&r, header[1]);
    return read_body(&r, header[4], out, err);
}

/* wire: see wire.h. A field is a key (its number and how it is written) and a value; numbers of unknown size take 7 bits a byte. */
#include "base/wire.h"

#include <assert.h>
#include <string.h>

#include "base/text.h"

enum { VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

/* ------------------------------------------------------------------ writing */

static size_t put_varint(uint64_t value, uint8_t out[VARINT_BYTES_MAX])
{
    size_t length = 0;

    do {
        out[length++] = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        value >>= 7;
    } while (value > 0);
    return length;
}

static void add_varint(struct text *out, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];

    text_append(out, (const char *)bytes, put_varint(value, bytes));
}

static void add_key(struct text *out, unsigned field, enum wire_type type)
{
    add_varint(out, (uint64_t)field << 3 | type);
}

/* Least byte first, whatever this machine does. */
static void add_fixed(struct text *out, uint64_t value, size_t size)
{
    char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(value >> 8 * i);
    text_append(out, bytes, size);
}

void wire_varint(struct text *out, unsigned field, uint64_t value)
{
    add_key(out, field, WIRE_VARINT);
    add_varint(out, value);
}

void wire_fixed32(struct text *out, unsigned field, uint32_t value)
{
    add_key(out, field, WIRE_FIXED32);
    add_fixed(out, value, 4);
}

void wire_fixed64(struct text *out, unsigned field, uint64_t value)
{
    add_key(out, field, WIRE_FIXED64);
    add_fixed(out, value, 8);
}

void wire_double(struct text *out, unsigned field, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    wire_fixed64(out, field, bits);
}

void wire_bytes(struct text *out, unsigned field, const void *bytes, size_t length)
{
    add_key(out, field, WIRE_BYTES);
    add_varint(out, length);
    text_append(out, bytes, length);
}

void wire_text(struct text *out, unsigned field, const char *string)
{
    size_t length = strlen(string), mark;

    if (utf8_valid_prefix(string, length) == length) {
        wire_bytes(out, field, string, length);
        return;
    }
    mark = wire_begin(out, field);
    while (length > 0) {
        size_t good = utf8_valid_prefix(string, length);

        text_append(out, string, good);
        if (good < length) {
            text_add(out, "\xef\xbf\xbd");
            good++;
        }
        string += good;
        length -= good;
    }
    wire_end(out, mark);
}

size_t wire_begin(struct text *out, unsigned field)
{
    add_key(out, field, WIRE_BYTES);
    return out->length;
}

void wire_end(struct text *out, size_t mark)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    size_t body = out->length - mark, length = put_varint(body, bytes);

    assert(out->length >= mark);
    if (!text_append(out, (const char *)bytes, length)) /* makes the room; the place is in front */
        return;
    memmove(out->bytes + mark + length, out->bytes + mark, body);
    memcpy(out->bytes + mark, bytes, length);
}

/* ------------------------------------------------------------------ reading */

static bool fail(struct wire_reader *reader)
{
    reader->broken = true;
    reader->at = reader->end;
    return false;
}

static bool take_varint(struct wire_reader *reader, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < VARINT_BYTES_MAX && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;

        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            return false; /* more than 64 bits */
        *value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool take_fixed(struct wire_reader *reader, size_t size, uint64_t *value)
{
    *value = 0;
    if ((size_t)(reader->end - reader->at) < size)
        return false;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)reader->at[i] << 8 * i;
    reader->at += size;
    return true;
}

static bool take_bytes(struct wire_reader *reader, struct wire_field *field)
{
    uint64_t length;

    if (!take_varint(reader, &length) || length > (uint64_t)(reader->end - reader->at))
        return false;
    field->bytes = reader->at;
    field->length = (size_t)length;
    reader->at += length;
    return true;
}

bool wire_next(struct wire_reader *reader, struct wire_field *field)
{
    uint64_t key;
    bool good;

    if (reader->at == reader->end)
        return false;
    *field = (struct wire_field){0};
    if (!take_varint(reader, &key) || key >> 3 == 0 || key >> 3 > FIELD_NUMBER_MAX)
        return fail(reader);
    field->number = (unsigned)(key >> 3);
    field->type = (enum wire_type)(key & 7);
    switch (key & 7) {
    case WIRE_VARINT:
        good = take_varint(reader, &field->value);
        break;
    case WIRE_FIXED64:
        good = take_fixed(reader, 8, &field->value);
        break;
    case WIRE_BYTES:
        good = take_bytes(reader, field);
        break;
    case WIRE_FIXED32:
        good = take_fixed(reader, 4, &field->value);
        break;
    default:
        good = false; /* groups are of another time; nobody sends them */
    }
    return good || fail(reader);
}

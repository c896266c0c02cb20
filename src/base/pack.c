/*
 * pack: see pack.h. Integers are zigzag varints, so small ones take a byte. A number that is a small integer is coded as twice that, others as an
 * odd marker and eight raw bytes: most of a decision's numbers are counts.
 */
#include "base/pack.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"

static void put(struct coder *c, unsigned char byte)
{
    if (c->at == c->size) {
        c->size = c->size == 0 ? 64 : c->size * 2;
        c->bytes = mem_grow(c->bytes, c->size, 1);
    }
    c->bytes[c->at++] = byte;
}

static unsigned char get(struct coder *c)
{
    if (c->broken || c->at >= c->size) {
        c->broken = true;
        return 0;
    }
    return c->bytes[c->at++];
}

static void put_varint(struct coder *c, uint64_t value)
{
    while (value >= 0x80) {
        put(c, (unsigned char)(value | 0x80));
        value >>= 7;
    }
    put(c, (unsigned char)value);
}

static uint64_t get_varint(struct coder *c)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        unsigned char byte = get(c);

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    c->broken = true;
    return 0;
}

void code_integer(struct coder *c, int64_t *value)
{
    if (c->writing) {
        put_varint(c, ((uint64_t)*value << 1) ^ (uint64_t)(*value >> 63));
    } else {
        uint64_t coded = get_varint(c);

        *value = c->broken ? 0 : (int64_t)(coded >> 1) ^ -(int64_t)(coded & 1);
    }
}

void code_bytes(struct coder *c, void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (c->writing)
            put(c, ((unsigned char *)bytes)[i]);
        else
            ((unsigned char *)bytes)[i] = get(c);
    }
}

void code_number(struct coder *c, double *value)
{
    bool small = c->writing && *value == trunc(*value) && fabs(*value) < 1e15 && !(*value == 0 && signbit(*value));
    int64_t coded = small ? (int64_t)*value * 2 : 1;

    code_integer(c, &coded);
    int64_t whole = coded / 2;
    if (coded & 1)
        code_bytes(c, value, sizeof(*value));
    else if (!c->writing)
        *value = (double)whole;
}

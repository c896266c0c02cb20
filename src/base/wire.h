/*
 * wire: the bytes of protocol buffers, as far as OTLP and gRPC need them: written, and read field by field.
 *
 *     size_t resource = wire_begin(&out, 1);          -- a message within a message
 *     wire_text(&out, 1, "service.name");
 *     wire_end(&out, resource);                       -- only now its length is known, and put in front
 *
 *     struct wire_reader in = {bytes, bytes + length};
 *     while (wire_next(&in, &field)) ...              -- in.broken: it is no message
 *
 * Every field written is there, also where it holds what a reader would assume anyway: whoever writes decides what to leave out. What
 * does not fit into `out` sets out->overflowed; the bytes are then no message, and are to be thrown away. Pure.
 */
#ifndef WEIR_BASE_WIRE_H
#define WEIR_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text;

/* ---- writing ---- */
void wire_varint(struct text *out, unsigned field, uint64_t value); /* uint32, uint64, int64, bool, enum */
void wire_fixed32(struct text *out, unsigned field, uint32_t value);
void wire_fixed64(struct text *out, unsigned field, uint64_t value); /* also sfixed64 */
void wire_double(struct text *out, unsigned field, double value);
void wire_bytes(struct text *out, unsigned field, const void *bytes, size_t length);
void wire_text(struct text *out, unsigned field,
               const char *string); /* what is not UTF-8 becomes U+FFFD: no reader takes it */
/* A message begins; what is written until the wire_end with this mark is in it. */
size_t wire_begin(struct text *out, unsigned field);
void wire_end(struct text *out, size_t mark);

/* ---- reading ---- */
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
struct wire_reader {
    const uint8_t *at, *end;
    bool broken;
};
struct wire_field {
    unsigned number;
    enum wire_type type;
    uint64_t value;       /* of a varint, a fixed32 or a fixed64 */
    const uint8_t *bytes; /* of WIRE_BYTES; borrowed */
    size_t length;
};
/* false: that was all, or it is broken. */
bool wire_next(struct wire_reader *reader, struct wire_field *field);

#endif

/*
 * pack: plain data as bytes and back. One function describes a struct, for both directions: the coder knows which it is.
 *
 *     struct coder c = {.writing = true};                   struct coder c = {.bytes = bytes, .size = length};
 *     code_thing(&c, &thing);                               code_thing(&c, &thing);
 *     ... c.bytes, c.at ...; free(c.bytes);                 if (c.broken) ...
 *
 * Reading never trusts the bytes: a coder that runs out of them, or meets nonsense, is broken, and reads 0 from then on.
 */
#ifndef WEIR_BASE_PACK_H
#define WEIR_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coder {
    bool writing, broken;
    unsigned char *bytes;
    size_t at, size; /* writing: size grows */
};
void code_integer(struct coder *c, int64_t *value);
void code_number(struct coder *c, double *value);
void code_bytes(struct coder *c, void *bytes, size_t length);
#define CODE(c, field)                                                                                                 \
    do {                                                                                                               \
        int64_t coded_ = (int64_t)(field);                                                                             \
        code_integer(c, &coded_);                                                                                      \
        if (!(c)->writing)                                                                                             \
            (field) = (__typeof__(field))coded_;                                                                       \
    } while (0)

#endif

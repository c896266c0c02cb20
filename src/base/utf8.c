/*
 * utf8: see utf8.h. One table row per length of a sequence: the lead byte's pattern and the least value that needs it.
 */
#include "base/utf8.h"

#include <string.h>

#include "base/text.h"

static const struct {
    unsigned char mask, lead;
    uint32_t least;
} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

static int is_character(uint32_t rune)
{
    return rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff);
}

size_t utf8_decode(const char *bytes, size_t length, uint32_t *rune)
{
    for (size_t form = 0; form < 4 && form < length; form++) {
        unsigned char lead = (unsigned char)bytes[0];
        if ((lead & forms[form].mask) != forms[form].lead)
            continue;
        uint32_t value = lead & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i <= form; i++) {
            if (((unsigned char)bytes[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | ((unsigned char)bytes[i] & 0x3f);
        }
        if (value < forms[form].least || !is_character(value))
            return 0;
        if (rune)
            *rune = value;
        return form + 1;
    }
    return 0;
}

size_t utf8_encode(uint32_t rune, char out[4])
{
    if (!is_character(rune))
        rune = 0xfffd;
    size_t form = 3;
    while (form > 0 && rune < forms[form].least)
        form--;
    for (size_t i = form; i > 0; i--) {
        out[i] = (char)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    out[0] = (char)(forms[form].lead | rune);
    return form + 1;
}

size_t utf8_valid_prefix(const char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        size_t step = utf8_decode(bytes + at, length - at, NULL);
        if (!step)
            break;
        at += step;
    }
    return at;
}

bool utf8_is_control(uint32_t rune)
{
    return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || (rune >= 0x200e && rune <= 0x200f) ||
           (rune >= 0x2028 && rune <= 0x202e) || (rune >= 0x2066 && rune <= 0x2069);
}

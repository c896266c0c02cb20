/*
 * text: see text.h. An empty text points at a static 0 byte, so that bytes is never NULL and making one costs nothing.
 */
#include "base/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"

static char nothing[1]; /* never written: capacity is 0 while a text points here */

void text_init(struct text *text, size_t limit_bytes)
{
    *text = (struct text){.bytes = nothing, .limit = limit_bytes};
}

void text_done(struct text *text)
{
    if (text->capacity)
        free(text->bytes);
    text_init(text, text->limit);
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->overflowed = false;
    if (text->capacity)
        text->bytes[0] = 0;
}

/* Makes room for `more` bytes and the closing 0. */
static bool reserve(struct text *text, size_t more)
{
    enum { FIRST_BYTES = 64 };

    assert(text->bytes && text->length <= text->limit);
    if (more > text->limit - text->length) {
        text->overflowed = true;
        return false;
    }
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : FIRST_BYTES;
    while (capacity < needed)
        capacity *= 2;
    text->bytes = mem_grow(text->capacity ? text->bytes : NULL, capacity, 1);
    text->capacity = capacity;
    return true;
}

bool text_append(struct text *text, const char *bytes, size_t length)
{
    if (length == 0)
        return true;
    if (!reserve(text, length))
        return false;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
    return true;
}

bool text_add(struct text *text, const char *string)
{
    return !string || text_append(text, string, strlen(string));
}

bool text_add_char(struct text *text, char c)
{
    return text_append(text, &c, 1);
}

bool text_vprintf(struct text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    bool fits = length >= 0 && reserve(text, (size_t)length);
    if (fits) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    return fits;
}

bool text_printf(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    bool fits = text_vprintf(text, format, args);
    va_end(args);
    return fits;
}

static const char *json_escape(unsigned char c, char out[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        snprintf(out, 8, "\\u%04x", c);
        return out;
    }
}

static bool add_json_bytes(struct text *text, const char *string, size_t length)
{
    size_t plain = 0, i = 0;

    while (i < length) {
        unsigned char c = (unsigned char)string[i];
        size_t step = c >= 0x80 ? utf8_decode(string + i, length - i, NULL) : c >= 0x20 && c != '"' && c != '\\';
        if (step) {
            i += step;
            continue;
        }
        char buffer[8];
        if (!text_append(text, string + plain, i - plain) ||
            !text_add(text, c >= 0x80 ? UTF8_REPLACEMENT : json_escape(c, buffer)))
            return false;
        plain = ++i;
    }
    return text_append(text, string + plain, length - plain);
}

bool text_add_json_string(struct text *text, const char *string, size_t length)
{
    size_t before = text->length;

    if (text_add_char(text, '"') && add_json_bytes(text, string, length) && text_add_char(text, '"'))
        return true;
    text->length = before; /* over the limit: unchanged, as text_append promises */
    if (text->capacity)
        text->bytes[before] = 0;
    return false;
}

void text_tame(struct text *text, bool lines)
{
    for (size_t at = 0; at < text->length;) {
        uint32_t rune;
        size_t taken = utf8_decode(text->bytes + at, text->length - at, &rune);
        bool shown = taken > 0 && (!utf8_is_control(rune) || (lines && (rune == '\n' || rune == '\t')));

        taken = taken > 0 ? taken : 1;
        if (!shown)
            memset(text->bytes + at, '?', taken);
        at += taken;
    }
}

char *text_take(struct text *text)
{
    char *bytes = text->capacity ? text->bytes : mem_alloc(1);

    text_init(text, text->limit);
    return bytes;
}

bool string_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

char *string_trim(char *string, const char *blanks)
{
    char *end;

    string += strspn(string, blanks);
    end = string + strlen(string);
    while (end > string && strchr(blanks, end[-1]))
        end--;
    *end = '\0';
    return string;
}

bool string_starts(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool string_ends(const char *string, const char *suffix)
{
    size_t length = strlen(string), tail = strlen(suffix);

    return length >= tail && memcmp(string + length - tail, suffix, tail) == 0;
}

bool text_add_escaped(struct text *text, const char *bytes, size_t length, const char *kept, const char *blank)
{
    bool fits = true;

    for (size_t i = 0; fits && i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (plain || (c && strchr(kept, c)))
            fits = text_add_char(text, (char)c);
        else if (c == ' ')
            fits = text_add(text, blank);
        else
            fits = text_printf(text, "%%%02X", c);
    }
    return fits;
}

bool text_add_html(struct text *text, const char *string)
{
    for (; string && *string; string++) {
        if (*string == '<')
            text_add(text, "&lt;");
        else if (*string == '&')
            text_add(text, "&amp;");
        else if (*string == '"')
            text_add(text, "&quot;");
        else
            text_add_char(text, *string);
    }
    return !text->overflowed;
}

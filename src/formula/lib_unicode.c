/*
 * lib_unicode: code points in UTF-8, the classes the lexer asks for, and upper and lower case.
 *
 * Decoding is strict as Go's: overlong forms, surrogates and what is above U+10FFFF are invalid, and an invalid byte is one
 * U+FFFD of width 1, so that every string can be walked. Case is mapped point by point (no "ß" -> "SS"). The tables are
 * runs in ascending order, searched by bisection; tools/unicode-tables.go makes them from Go's own (expr-language.md 3, 8.7).
 */
#include "formula/library.h"

#include <ctype.h>

#include "base/text.h"
#include "formula/lib_unicode_tables.h"
#include "formula/library_internal.h"

enum { POINT_BAD = 0xfffd, POINT_MAX = 0x10ffff };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* How many bytes a sequence with this first byte has; 0: no sequence starts so. */
static size_t sequence_width(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2) /* continuations, and overlong forms of ASCII */
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0)
        return 3;
    return first < 0xf5 ? 4 : 0;
}

uint32_t lib_point_at(struct span s, size_t at, size_t *width)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)s.bytes[at];
    size_t count = sequence_width(first);
    uint32_t point = count < 2 ? first : first & (0x7fU >> count);

    *width = 1;
    if (count == 0 || count > s.length - at)
        return POINT_BAD;
    for (size_t i = 1; i < count; i++) {
        if (!is_continuation(s.bytes[at + i]))
            return POINT_BAD;
        point = point << 6 | ((unsigned char)s.bytes[at + i] & 0x3f);
    }
    if (point < least[count] || point > POINT_MAX || (point >= 0xd800 && point < 0xe000))
        return POINT_BAD;
    *width = count;
    return point;
}

uint32_t lib_point_before(struct span s, size_t end, size_t *width)
{
    size_t start = end - 1;
    uint32_t point;

    while (start > 0 && end - start < 4 && is_continuation(s.bytes[start]))
        start--;
    point = lib_point_at((struct span){s.bytes, end}, start, width);
    if (start + *width == end)
        return point;
    *width = 1; /* what starts there ends too early: the last byte stands alone */
    return POINT_BAD;
}

size_t lib_point_encode(uint32_t point, char out[4])
{
    if (point > POINT_MAX || (point >= 0xd800 && point < 0xe000))
        point = POINT_BAD;
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

bool lib_add_point(struct text *out, uint32_t point)
{
    char bytes[4];

    return text_append(out, bytes, lib_point_encode(point, bytes));
}

/* The run a code point is in: each entry is the first of a run shifted by 8, and its kind. */
static size_t run_of(const uint32_t *runs, size_t count, uint32_t point)
{
    size_t low = 0, high = count; /* runs[low] starts at or before the point, runs[high] after it */

    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (runs[middle] >> 8 <= point)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool in_categories(uint32_t point, uint32_t set)
{
    return (set >> (category_runs[run_of(category_runs, COUNT(category_runs), point)] & 0xff) & 1) != 0;
}

bool lib_point_is_letter(uint32_t point)
{
    if (point < 0x80)
        return (point | 0x20) >= 'a' && (point | 0x20) <= 'z';
    return in_categories(point, CATEGORIES_L);
}

bool lib_point_is_digit(uint32_t point)
{
    if (point < 0x80)
        return point >= '0' && point <= '9';
    return in_categories(point, CATEGORIES_Nd);
}

bool lib_point_is_space(uint32_t point)
{
    switch (point) {
    case ' ':
    case '\t':
    case '\n':
    case '\v':
    case '\f':
    case '\r':
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return true;
    default:
        return point >= 0x2000 && point <= 0x200a;
    }
}

static uint32_t map_case(const struct case_range *ranges, size_t count, uint32_t point)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct case_range *r = &ranges[middle];
        if (point > r->last)
            low = middle + 1;
        else if (point < r->first)
            high = middle;
        else
            return (point - r->first) % r->stride == 0 ? (uint32_t)((int32_t)point + r->delta) : point;
    }
    return point;
}

uint32_t lib_point_upper(uint32_t point)
{
    return map_case(to_upper, COUNT(to_upper), point);
}

uint32_t lib_point_lower(uint32_t point)
{
    return map_case(to_lower, COUNT(to_lower), point);
}

uint32_t lib_point_other_case(uint32_t point)
{
    return map_case(to_other_case, COUNT(to_other_case), point);
}

bool lib_next_cased(uint32_t *point)
{
    size_t low = 0, high = COUNT(to_other_case);

    while (low < high) { /* the first run that does not end before the point */
        size_t middle = (low + high) / 2;
        if (to_other_case[middle].last < *point)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == COUNT(to_other_case))
        return false;
    if (*point < to_other_case[low].first)
        *point = to_other_case[low].first;
    else
        *point += (*point - to_other_case[low].first) % to_other_case[low].stride;
    return true;
}

/* Names of properties are compared without case and without the characters that join words. */
static bool same_name(struct span name, const char *known)
{
    size_t at = 0;

    for (;; at++, known++) {
        while (at < name.length && memchr("_- ", name.bytes[at], 3))
            at++;
        while (*known == '_')
            known++;
        if (at == name.length || !*known)
            return at == name.length && !*known;
        if (tolower((unsigned char)name.bytes[at]) != tolower((unsigned char)*known))
            return false;
    }
}

/* Hands every run whose kind is in the set (of up to 256) to add(). */
static void each_run(const uint32_t *runs, size_t count, const bool set[256], lib_add_range *add, void *arg)
{
    for (size_t i = 0; i < count; i++)
        if (set[runs[i] & 0xff])
            add(arg, runs[i] >> 8, i + 1 < count ? (runs[i + 1] >> 8) - 1 : POINT_MAX);
}

bool lib_property_ranges(struct span name, lib_add_range *add, void *arg)
{
    bool set[256] = {false};

    for (size_t i = 0; i < COUNT(category_names); i++) {
        if (!same_name(name, category_names[i].name))
            continue;
        for (size_t kind = 0; kind < 32; kind++)
            set[kind] = (category_names[i].set >> kind & 1) != 0;
        each_run(category_runs, COUNT(category_runs), set, add, arg);
        return true;
    }
    for (size_t i = 1; i < COUNT(script_names); i++) {
        if (!same_name(name, script_names[i]))
            continue;
        set[i] = true;
        each_run(script_runs, COUNT(script_runs), set, add, arg);
        return true;
    }
    return false;
}

size_t lib_count_points(struct span s)
{
    size_t count = 0, width;

    for (size_t at = 0; at < s.length; at += width) {
        lib_point_at(s, at, &width);
        count++;
    }
    return count;
}

/*
 * lib_codec: base64 and JSON as Go's encoding/base64 and encoding/json have them.
 *
 * JSON is written so that it may stand in HTML (expr-language.md 8.7), and read by base/tree, whose reader is stricter than
 * Go's in one thing: bytes that are not UTF-8 and escaped halves of surrogate pairs are refused. They are replaced before.
 */
#include "formula/library.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"
#include "formula/library_internal.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool lib_base64_encode(struct span s, struct text *out)
{
    const unsigned char *in = (const unsigned char *)s.bytes;

    for (size_t i = 0; i < s.length; i += 3) {
        size_t left = s.length - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        char group[4] = {
            base64_digits[bits >> 18],
            base64_digits[bits >> 12 & 63],
            left > 1 ? base64_digits[bits >> 6 & 63] : '=',
            left > 2 ? base64_digits[bits & 63] : '=',
        };
        if (!text_append(out, group, sizeof(group)))
            return false;
    }
    return true;
}

static size_t skip_line_ends(struct span s, size_t at)
{
    while (at < s.length && (s.bytes[at] == '\n' || s.bytes[at] == '\r'))
        at++;
    return at;
}

static bool base64_wrong(struct error *err, size_t at)
{
    return error_set(err, ERROR_INVALID,
                     "this is not base64: byte %zu does not belong there; "
                     "use the standard alphabet and pad with = to a multiple of 4",
                     at);
}

/* After the digits of a last, short group: `missing` times = and nothing else. */
static bool base64_padding(struct span s, size_t at, int missing, struct error *err)
{
    for (; missing > 0; missing--) {
        if (at >= s.length || s.bytes[at] != '=')
            return base64_wrong(err, at);
        at = skip_line_ends(s, at + 1);
    }
    return at == s.length || base64_wrong(err, at);
}

/* A whole group of four digits, or what there is of it; *at moves behind it. */
static int base64_group(struct span s, size_t *at, uint32_t *bits)
{
    int count = 0;

    *bits = 0;
    while (count < 4 && *at < s.length) {
        const char *digit = s.bytes[*at] ? strchr(base64_digits, s.bytes[*at]) : NULL;
        if (!digit)
            break;
        *bits = *bits << 6 | (uint32_t)(digit - base64_digits);
        count++;
        *at = skip_line_ends(s, *at + 1);
    }
    *bits <<= 6 * (4 - count);
    return count;
}

bool lib_base64_decode(struct span s, struct text *out, struct error *err)
{
    size_t at = skip_line_ends(s, 0);
    uint32_t bits;

    while (at < s.length) {
        int count = base64_group(s, &at, &bits);
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};

        if (count < 2 || (count < 4 && !base64_padding(s, at, 4 - count, err)))
            return count < 2 ? base64_wrong(err, at) : false;
        if (!text_append(out, bytes, (size_t)count - 1))
            return error_set(err, ERROR_LIMIT, "the text behind the base64 is larger than %zu bytes", out->limit);
        if (count < 4)
            break;
    }
    return true;
}

/* The escape of a code point, or NULL where it stands for itself. `room` holds an escape that has to be made. */
static const char *json_escape(uint32_t point, size_t width, char room[8])
{
    switch (point) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case 0xfffd:
        return width == 1 ? "\\ufffd" : NULL; /* a byte that is not UTF-8 */
    case '<':
    case '>':
    case '&':
    case 0x2028:
    case 0x2029:
        break; /* HTML and JavaScript would trip over these */
    default:
        if (point >= 0x20)
            return NULL;
    }
    snprintf(room, 8, "\\u%04x", (unsigned)point & 0xffff);
    return room;
}

bool lib_json_add_string(struct text *out, struct span s)
{
    size_t plain = 0, width; /* bytes from here on need no escape and are not written yet */
    char room[8];

    if (!text_add_char(out, '"'))
        return false;
    for (size_t at = 0; at < s.length; at += width) {
        uint32_t point = lib_point_at(s, at, &width);
        const char *escape = json_escape(point, width, room);

        if (!escape)
            continue;
        if (!text_append(out, s.bytes + plain, at - plain) || !text_add(out, escape))
            return false;
        plain = at + width;
    }
    return text_append(out, s.bytes + plain, s.length - plain) && text_add_char(out, '"');
}

bool lib_json_add_float(struct text *out, double x, struct error *err)
{
    static const struct float_style style = {.plain_from = -6, .plain_below = 21, .exponent_width = 1};

    if (!isfinite(x))
        return error_set(err, ERROR_INVALID, "JSON has no %s; test the value before toJSON()",
                         isnan(x) ? "NaN"
                         : x > 0  ? "+Inf"
                                  : "-Inf");
    return lib_add_decimal(out, x, &style) ||
           error_set(err, ERROR_LIMIT, "the JSON is larger than %zu bytes", out->limit);
}

bool lib_json_add_bytes(struct text *out, struct span s)
{
    return text_add_char(out, '"') && lib_base64_encode(s, out) && text_add_char(out, '"');
}

bool lib_json_add_line(struct text *out, int depth)
{
    return text_printf(out, "\n%*s", 2 * depth, "");
}

/* The four hexadecimal digits of "\uXXXX" at s.bytes[at], or -1. */
static int32_t escaped_unit(struct span s, size_t at)
{
    int32_t unit = 0;

    if (s.length - at < 6 || s.bytes[at] != '\\' || s.bytes[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = s.bytes[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Copies one code point or escape, replacing what Go replaces. Returns how many bytes of s it took. */
static size_t copy_tolerantly(struct span s, size_t at, struct text *out)
{
    size_t width = 0;
    int32_t unit = escaped_unit(s, at), next;

    if (unit >= 0xd800 && unit < 0xe000) {
        next = unit < 0xdc00 ? escaped_unit(s, at + 6) : -1;
        if (next < 0xdc00 || next >= 0xe000) {
            text_add(out, "\\ufffd");
            return 6;
        }
        width = 12;
    } else if (s.bytes[at] == '\\' && at + 1 < s.length && (unsigned char)s.bytes[at + 1] < 0x80) {
        width = 2; /* so that in "\\ud800" the second backslash starts nothing */
    } else if (lib_point_at(s, at, &width) == 0xfffd && width == 1) {
        text_add(out, "\xef\xbf\xbd");
        return 1;
    }
    text_append(out, s.bytes + at, width);
    return width;
}

/* Every number must be a double: Go refuses 1e999. Recursion is bounded by TREE_DEPTH_MAX. */
static bool numbers_fit(const struct tree *node, struct error *err)
{
    double value;

    if (node->type == TREE_NUMBER && !tree_number(node, &value))
        return error_set(err, ERROR_INVALID, "the number %.40s in the JSON is too large", node->text);
    for (const struct tree *child = node->first; child; child = child->next)
        if (!numbers_fit(child, err))
            return false;
    return true;
}

bool lib_json_read(struct span s, struct arena *arena, struct tree **out, struct error *err)
{
    struct text clean;
    struct tree *tree;
    bool ok;

    text_init(&clean, 3 * s.length + 1);
    for (size_t at = 0; at < s.length;)
        at += copy_tolerantly(s, at, &clean);
    ok = tree_read_json(clean.bytes, clean.length, false, arena, &tree, err) && numbers_fit(tree, err);
    text_done(&clean);
    if (ok)
        *out = tree;
    return ok;
}

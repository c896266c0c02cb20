/*
 * lib_string: the string functions of the language (expr-language.md 8.7), with the corner cases of Go's strings package:
 * an empty separator splits into code points, replacing nothing inserts between them, n counts parts or replacements.
 *
 * Everything is linear in the bytes it reads and writes, whatever they are: a formula may hold a string of a megabyte, and
 * one call may not take a minute.
 */
#include "formula/library.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/text.h"

static struct span span_from(struct span s, size_t start)
{
    return (struct span){s.bytes + start, s.length - start};
}

static struct span span_to(struct span s, size_t end)
{
    return (struct span){s.bytes, end};
}

int lib_compare(struct span a, struct span b)
{
    int order = memcmp(a.bytes, b.bytes, a.length < b.length ? a.length : b.length);

    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

bool lib_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

int64_t lib_index_of(struct span s, struct span part)
{
    const char *found = memmem(s.bytes, s.length, part.bytes, part.length);

    return found ? found - s.bytes : -1;
}

static char *reversed(struct span s)
{
    char *copy = mem_alloc(s.length + 1);

    for (size_t i = 0; i < s.length; i++)
        copy[i] = s.bytes[s.length - 1 - i];
    return copy;
}

/* Searched backwards as a search forwards in reversed copies: memmem() is linear, comparing at every place is not. */
int64_t lib_last_index_of(struct span s, struct span part)
{
    int64_t at = -1;
    char *backwards, *part_backwards;
    const char *found;

    if (part.length > s.length)
        return -1;
    if (part.length == 0)
        return (int64_t)s.length;
    backwards = reversed(s);
    part_backwards = reversed(part);
    found = memmem(backwards, s.length, part_backwards, part.length);
    if (found)
        at = (int64_t)(s.length - part.length) - (found - backwards);
    free(part_backwards);
    free(backwards);
    return at;
}

bool lib_contains(struct span s, struct span part)
{
    return lib_index_of(s, part) >= 0;
}

bool lib_has_prefix(struct span s, struct span prefix)
{
    return s.length >= prefix.length && memcmp(s.bytes, prefix.bytes, prefix.length) == 0;
}

bool lib_has_suffix(struct span s, struct span suffix)
{
    return s.length >= suffix.length && memcmp(s.bytes + s.length - suffix.length, suffix.bytes, suffix.length) == 0;
}

/* A set of code points: one bit each up to the largest member. NULL bits: white space. */
struct point_set {
    uint8_t *bits;
    uint32_t largest;
};

static struct point_set set_of(struct span members)
{
    struct point_set set = {NULL, 0};
    size_t width;

    for (size_t at = 0; at < members.length; at += width) {
        uint32_t point = lib_point_at(members, at, &width);
        if (point > set.largest)
            set.largest = point;
    }
    set.bits = mem_alloc(set.largest / 8 + 1);
    for (size_t at = 0; at < members.length; at += width) {
        uint32_t point = lib_point_at(members, at, &width);
        set.bits[point / 8] |= (uint8_t)(1U << point % 8);
    }
    return set;
}

static bool set_has(const struct point_set *set, uint32_t point)
{
    if (!set->bits)
        return lib_point_is_space(point);
    return point <= set->largest && (set->bits[point / 8] & 1U << point % 8) != 0;
}

static struct span trim_points(struct span s, const struct point_set *set)
{
    size_t start = 0, end = s.length, width;

    while (start < end && set_has(set, lib_point_at(s, start, &width)))
        start += width;
    s = span_from(s, start);
    end -= start;
    while (end > 0 && set_has(set, lib_point_before(s, end, &width)))
        end -= width;
    return span_to(s, end);
}

struct span lib_trim_space(struct span s)
{
    return trim_points(s, &(struct point_set){NULL, 0});
}

struct span lib_trim(struct span s, struct span cutset)
{
    struct point_set set;

    if (cutset.length == 0)
        return s;
    set = set_of(cutset);
    s = trim_points(s, &set);
    free(set.bits);
    return s;
}

struct span lib_trim_prefix(struct span s, struct span prefix)
{
    return lib_has_prefix(s, prefix) ? span_from(s, prefix.length) : s;
}

struct span lib_trim_suffix(struct span s, struct span suffix)
{
    return lib_has_suffix(s, suffix) ? span_to(s, s.length - suffix.length) : s;
}

static bool map_points(struct span s, uint32_t (*map)(uint32_t), struct text *out)
{
    size_t width;

    for (size_t at = 0; at < s.length; at += width)
        if (!lib_add_point(out, map(lib_point_at(s, at, &width))))
            return false;
    return true;
}

bool lib_upper(struct span s, struct text *out)
{
    return map_points(s, lib_point_upper, out);
}

bool lib_lower(struct span s, struct text *out)
{
    return map_points(s, lib_point_lower, out);
}

/* Where parts go: counted all, kept as far as there is room. */
struct parts {
    struct span *at;
    size_t room, count;
};

static void parts_add(struct parts *parts, struct span part)
{
    if (parts->count < parts->room)
        parts->at[parts->count] = part;
    parts->count++;
}

/* limit: at most so many parts; the last one is the rest, whatever is in it. */
static void split_points(struct span s, size_t limit, struct parts *parts)
{
    size_t width;

    while (s.length > 0) {
        if (parts->count + 1 == limit) {
            parts_add(parts, s);
            return;
        }
        lib_point_at(s, 0, &width);
        parts_add(parts, span_to(s, width));
        s = span_from(s, width);
    }
}

static void split_at(struct span s, struct span separator, bool after, size_t limit, struct parts *parts)
{
    while (parts->count + 1 < limit) {
        int64_t found = lib_index_of(s, separator);
        size_t end = (size_t)found;

        if (found < 0)
            break;
        parts_add(parts, span_to(s, after ? end + separator.length : end));
        s = span_from(s, end + separator.length);
    }
    parts_add(parts, s);
}

size_t lib_split(struct span s, struct span separator, int64_t n, bool after, struct span *out, size_t room)
{
    struct parts parts = {.at = out, .room = room};
    size_t limit = n < 0 ? SIZE_MAX : (size_t)n;

    if (n == 0)
        return 0;
    if (separator.length == 0)
        split_points(s, limit, &parts);
    else
        split_at(s, separator, after, limit, &parts);
    return parts.count;
}

bool lib_join(const struct span *parts, size_t count, struct span glue, struct text *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && !text_append(out, glue.bytes, glue.length))
            return false;
        if (!text_append(out, parts[i].bytes, parts[i].length))
            return false;
    }
    return true;
}

/* "ab" with "-" for nothing is "-a-b-": before each code point, and once more at the end. */
static bool insert_between(struct span s, struct span with, size_t limit, struct text *out)
{
    size_t at = 0, width;

    for (size_t done = 0; done < limit; done++) {
        if (!text_append(out, with.bytes, with.length))
            return false;
        if (at == s.length)
            return true;
        lib_point_at(s, at, &width);
        if (!text_append(out, s.bytes + at, width))
            return false;
        at += width;
    }
    return text_append(out, s.bytes + at, s.length - at);
}

bool lib_replace(struct span s, struct span old, struct span with, int64_t n, struct text *out)
{
    size_t limit = n < 0 ? SIZE_MAX : (size_t)n;

    if (old.length == 0)
        return insert_between(s, with, limit, out);
    for (size_t done = 0; done < limit; done++) {
        int64_t found = lib_index_of(s, old);

        if (found < 0)
            break;
        if (!text_append(out, s.bytes, (size_t)found) || !text_append(out, with.bytes, with.length))
            return false;
        s = span_from(s, (size_t)found + old.length);
    }
    return text_append(out, s.bytes, s.length);
}

bool lib_repeat(struct span s, int64_t count, struct text *out)
{
    for (int64_t i = 0; s.length > 0 && i < count; i++)
        if (!text_append(out, s.bytes, s.length))
            return false;
    return true;
}

/*
 * lib_regex_set: sets of code points, as a class in brackets builds them up: ranges, named classes, Unicode properties, other
 * cases, complements. Ranges are added in any order and put in order when they are needed, or when there are too many: a
 * range that is folded adds up to three thousand single points, most of which it already has.
 */
#include "formula/lib_regex.h"

#include <stdlib.h>

#include "base/arena.h"

enum { POINT_MAX = 0x10ffff };

void set_builder_done(struct set_builder *set)
{
    free(set->ranges);
    *set = (struct set_builder){0};
}

static int by_first(const void *a, const void *b)
{
    const struct regex_range *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

void set_tidy(struct set_builder *set)
{
    size_t kept = 0;

    if (set->count == 0)
        return;
    qsort(set->ranges, set->count, sizeof(*set->ranges), by_first);
    for (size_t i = 1; i < set->count; i++) {
        struct regex_range *last = &set->ranges[kept], *next = &set->ranges[i];
        if (next->first > last->last + 1)
            set->ranges[++kept] = *next;
        else if (next->last > last->last)
            last->last = next->last;
    }
    set->count = kept + 1;
}

void set_add(struct set_builder *set, uint32_t first, uint32_t last)
{
    if (set->count == set->room) {
        set_tidy(set);
        if (set->count >= set->room / 2) {
            set->room = set->room ? 2 * set->room : 16;
            set->ranges = mem_grow(set->ranges, set->room, sizeof(*set->ranges));
        }
    }
    set->ranges[set->count++] = (struct regex_range){first, last};
}

void set_add_all(struct set_builder *set, const struct set_builder *other)
{
    for (size_t i = 0; i < other->count; i++)
        set_add(set, other->ranges[i].first, other->ranges[i].last);
}

/* Returns how many. */
static size_t add_other_cases(struct set_builder *set, uint32_t first, uint32_t last)
{
    size_t points = 0;

    for (uint32_t point = first; lib_next_cased(&point) && point <= last; point++)
        for (uint32_t other = lib_point_other_case(point); other != point; other = lib_point_other_case(other)) {
            set_add(set, other, other);
            points++;
        }
    return points;
}

size_t set_fold(struct set_builder *set)
{
    struct set_builder folded = {0};
    size_t points = 0;

    for (size_t i = 0; i < set->count; i++)
        points += add_other_cases(&folded, set->ranges[i].first, set->ranges[i].last);
    set_add_all(set, &folded);
    set_builder_done(&folded);
    return points;
}

void set_negate(struct set_builder *set)
{
    struct set_builder rest = {0};
    uint32_t next = 0;

    set_tidy(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            set_add(&rest, next, set->ranges[i].first - 1);
        next = set->ranges[i].last + 1;
    }
    if (next <= POINT_MAX)
        set_add(&rest, next, POINT_MAX);
    set_builder_done(set);
    *set = rest;
}

bool set_add_named(struct set_builder *set, struct span name)
{
    static const struct {
        const char *name, *pairs; /* first and last of each range */
    } classes[] = {
        {"d", "09"},           {"s", "\t\n\f\r  "}, {"w", "09AZ__az"}, {"alnum", "09AZaz"},  {"alpha", "AZaz"},
        {"blank", "\t\t  "},   {"digit", "09"},     {"graph", "!~"},   {"lower", "az"},      {"print", " ~"},
        {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZ__az"}, {"xdigit", "09AFaf"},
    };

    if (lib_equal(name, span_of("ascii")) ||
        lib_equal(name, span_of("cntrl"))) { /* these have a 0, which ends a string */
        set_add(set, 0, name.bytes[0] == 'a' ? 0x7f : 0x1f);
        set_add(set, 0x7f, 0x7f);
        return true;
    }
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (!lib_equal(name, span_of(classes[i].name)))
            continue;
        for (const char *pair = classes[i].pairs; *pair; pair += 2)
            set_add(set, (unsigned char)pair[0], (unsigned char)pair[1]);
        return true;
    }
    return false;
}

static void add_range(void *arg, uint32_t first, uint32_t last)
{
    set_add(arg, first, last);
}

bool set_add_property(struct set_builder *set, struct span name)
{
    static const char *const all = "any", *const ascii = "ascii", *const assigned = "assigned";
    char word[12] = "";
    size_t length = 0;

    /* the three that are neither category nor script */
    for (size_t i = 0; i < name.length && length + 1 < sizeof(word); i++)
        if (!memchr("_- ", name.bytes[i], 3))
            word[length++] = (char)(name.bytes[i] | 0x20);
    word[length] = '\0';
    if (strcmp(word, all) == 0) {
        set_add(set, 0, POINT_MAX);
    } else if (strcmp(word, ascii) == 0) {
        set_add(set, 0, 0x7f);
    } else if (strcmp(word, assigned) == 0) {
        struct set_builder unassigned = {0};

        set_add_property(&unassigned, span_of("Cn"));
        set_negate(&unassigned);
        set_add_all(set, &unassigned);
        set_builder_done(&unassigned);
    } else {
        return lib_property_ranges(name, add_range, set);
    }
    return true;
}

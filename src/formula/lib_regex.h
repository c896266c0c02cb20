/*
 * lib_regex: inside of regular expressions: what the parser (lib_regex.c), the builder of sets (lib_regex_set.c) and the
 * matcher (lib_regex_match.c) share. Nobody else includes it.
 *
 * A pattern becomes a program for a machine that is in many places at once:
 *
 *     (ab|[0-9]+)?$      0 SPLIT +7     to 1 and to 7
 *                        1 SPLIT +4     to 2 and to 5
 *                        2 POINT a
 *                        3 POINT b
 *                        4 JUMP +3      to 7
 *                        5 SET 0        [0-9]
 *                        6 SPLIT -1     to 7 and to 5
 *                        7 TEXT_END
 *                        8 MATCH
 *
 * Jumps are relative, so that a piece of the program can be moved and copied (x{3}).
 */
#ifndef WEIR_FORMULA_LIB_REGEX_H
#define WEIR_FORMULA_LIB_REGEX_H

#include "formula/library_internal.h"

enum regex_op {
    REGEX_POINT, /* takes the code point `arg` */
    REGEX_SET,   /* takes a code point of sets[arg] */
    REGEX_SPLIT, /* goes on at the next and at here + arg */
    REGEX_JUMP,  /* goes on at here + arg */
    REGEX_TEXT_BEGIN,
    REGEX_TEXT_END, /* these take nothing but must hold here */
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_WORD_EDGE,
    REGEX_WORD_INSIDE,
    REGEX_MATCH,
};

struct regex_instruction {
    enum regex_op op;
    int32_t arg;
};

struct regex_range {
    uint32_t first, last;
};

/* Ranges in ascending order that do not touch: ranges[start .. start + count) of the program. */
struct regex_set {
    uint32_t start, count;
};

struct lib_regex {
    struct regex_instruction *code;
    struct regex_range *ranges;
    struct regex_set *sets;
    size_t code_count, range_count, set_count;
};

/* ---- a set while it is being built ---- */

struct set_builder {
    struct regex_range *ranges;
    size_t count, room;
};

void set_builder_done(struct set_builder *set);
void set_add(struct set_builder *set, uint32_t first, uint32_t last);
void set_add_all(struct set_builder *set, const struct set_builder *other);
size_t set_fold(struct set_builder *set); /* adds the other cases of all members; returns how many */
void set_tidy(struct set_builder *set);   /* ascending, joined */
void set_negate(struct set_builder *set); /* tidy afterwards too */
/* \d, \s, \w (and the insides of [:...:]): false: no such class. */
bool set_add_named(struct set_builder *set, struct span name);
bool set_add_property(struct set_builder *set, struct span name);

#endif

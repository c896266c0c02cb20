/*
 * lib_regex: regular expressions of the language, from pattern to program.
 *
 * The language is RE2 as Go's regexp reads it: what it refuses (look-around, back-references, possessive and atomic groups,
 * \C, counts above 1000) is refused here, with its reasons, and `$` is the very end (expr-language.md 7, 8.7). It is our own
 * engine rather than PCRE2 because the promise is a bound on time, and PCRE2 backtracks: it could only give up where Go
 * answers. As a formula only asks whether there is a match, a parser and a set of places are all it takes.
 *
 * The program (lib_regex.h) is written while the pattern is read, without a tree: a repetition wraps the code of the last
 * atom, `|` wraps that of its branch, and open groups stand on a stack of their own, so nothing here recurses.
 *
 *     x*    SPLIT(behind) x JUMP(back)          x|y    SPLIT(y) x JUMP(end) y
 *     x+    x SPLIT(back)                       x?     SPLIT(behind) x
 */
#include "formula/lib_regex.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

enum {
    COUNT_MAX = 1000, /* of x{n}, and of the product of nested ones */
    POINT_MAX = 0x10ffff,
    SHOWN_MAX = 100, /* bytes of the pattern in an error */
};

enum regex_flag { FLAG_FOLD = 1, FLAG_LINES = 2, FLAG_DOT_ALL = 4, FLAG_UNGREEDY = 8 };

#define NOWHERE SIZE_MAX

struct group {
    size_t opened_at; /* place of its ( in the pattern */
    unsigned flags;   /* those around it, for after its ) */
    size_t start;     /* of its code */
    size_t branch;    /* of the code since the last | */
    int32_t jumps;    /* chain of JUMPs that wait for the end of the group, through their arg; -1: none */
    unsigned weight;  /* largest product of counts in it */
};

struct parser {
    struct span pattern;
    size_t at;
    unsigned flags;
    struct lib_regex *regex;
    struct group *groups;
    size_t group_count;
    size_t atom; /* start of the code of what a repetition would repeat, or NOWHERE */
    unsigned atom_weight;
    size_t ranges_made; /* that went into classes so far, folded ones too: what compiling costs */
    size_t repeat_at;   /* place of the repetition just read in the pattern, or NOWHERE */
    struct error *err;
};

static struct group *innermost(struct parser *p)
{
    return &p->groups[p->group_count - 1];
}

/* ---- errors ---- */

static bool fail_at(struct parser *p, const char *reason, size_t start, size_t end, const char *remedy)
{
    size_t shown = end - start < SHOWN_MAX ? end - start : SHOWN_MAX;

    shown = utf8_valid_prefix(p->pattern.bytes + start, shown);
    return error_set(p->err, ERROR_INVALID, "error parsing regexp: %s: `%.*s`%s", reason, (int)shown,
                     p->pattern.bytes + start, remedy);
}

static bool fail_from(struct parser *p, const char *reason, size_t start)
{
    return fail_at(p, reason, start, p->at, "");
}

static bool fail_large(struct parser *p)
{
    return error_set(p->err, ERROR_LIMIT,
                     "error parsing regexp: expression too large: it needs more than %d steps or "
                     "ranges; use smaller counts",
                     FORMULA_REGEX_SIZE_MAX);
}

/* ---- reading ---- */

static bool more(const struct parser *p)
{
    return p->at < p->pattern.length;
}

/* The byte so many behind the place, or 0 past the end. */
static char peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->pattern.length ? p->pattern.bytes[p->at + ahead] : '\0';
}

static bool accept(struct parser *p, const char *expected)
{
    if (!lib_has_prefix((struct span){p->pattern.bytes + p->at, p->pattern.length - p->at}, span_of(expected)))
        return false;
    p->at += strlen(expected);
    return true;
}

static uint32_t next_point(struct parser *p)
{
    size_t width;
    uint32_t point = lib_point_at(p->pattern, p->at, &width);

    p->at += width;
    return point;
}

/* Where `byte` comes next, or NOWHERE. */
static size_t find(const struct parser *p, char byte)
{
    const char *found = memchr(p->pattern.bytes + p->at, byte, p->pattern.length - p->at);

    return found ? (size_t)(found - p->pattern.bytes) : NOWHERE;
}

/* ---- writing code ---- */

static bool make_room(struct parser *p, size_t count)
{
    struct lib_regex *r = p->regex;

    if (r->code_count + count > FORMULA_REGEX_SIZE_MAX)
        return fail_large(p);
    /* grows at powers of two: no separate capacity is kept */
    for (size_t i = 0; i < count; i++)
        if (((r->code_count + i) & (r->code_count + i - 1)) == 0)
            r->code = mem_grow(r->code, r->code_count + i ? 2 * (r->code_count + i) : 1, sizeof(*r->code));
    return true;
}

static bool emit(struct parser *p, enum regex_op op, int64_t arg)
{
    if (!make_room(p, 1))
        return false;
    p->regex->code[p->regex->code_count++] = (struct regex_instruction){op, (int32_t)arg};
    return true;
}

/* In front of the code from `at` on, which moves back. Jumps are relative: those inside the moved code stay right. */
static bool insert(struct parser *p, size_t at, enum regex_op op, int64_t arg)
{
    struct regex_instruction *code;

    if (!make_room(p, 1))
        return false;
    code = p->regex->code;
    memmove(code + at + 1, code + at, (p->regex->code_count - at) * sizeof(*code));
    code[at] = (struct regex_instruction){op, (int32_t)arg};
    p->regex->code_count++;
    return true;
}

static bool copy_code(struct parser *p, size_t from, size_t count)
{
    if (!make_room(p, count))
        return false;
    if (count > 0)
        memcpy(p->regex->code + p->regex->code_count, p->regex->code + from, count * sizeof(*p->regex->code));
    p->regex->code_count += count;
    return true;
}

/* What follows is one thing to a repetition. */
static void begin_atom(struct parser *p)
{
    struct group *group = innermost(p);

    if (p->atom != NOWHERE && p->atom_weight > group->weight)
        group->weight = p->atom_weight;
    p->atom = p->regex->code_count;
    p->atom_weight = 1;
}

static void end_atoms(struct parser *p)
{
    begin_atom(p); /* for the weight of the last one */
    p->atom = NOWHERE;
}

static bool add_assertion(struct parser *p, enum regex_op op)
{
    begin_atom(p);
    return emit(p, op, 0);
}

/* Adds the other cases where flags say so, negates, moves all into `to` and empties the set. */
static bool finish_item(struct parser *p, struct set_builder *set, bool negated, struct set_builder *to)
{
    if (p->flags & FLAG_FOLD)
        p->ranges_made += set_fold(set);
    if (negated)
        set_negate(set);
    p->ranges_made += set->count;
    set_add_all(to, set);
    set_builder_done(set);
    return p->ranges_made <= FORMULA_REGEX_SIZE_MAX || fail_large(p);
}

/* Writes the set as an atom and empties it. */
static bool add_set(struct parser *p, struct set_builder *set)
{
    struct lib_regex *r = p->regex;
    bool ok;

    set_tidy(set);
    begin_atom(p);
    if (set->count == 1 && set->ranges[0].first == set->ranges[0].last) {
        ok = emit(p, REGEX_POINT, set->ranges[0].first);
    } else if (r->range_count + set->count > FORMULA_REGEX_SIZE_MAX) {
        ok = fail_large(p);
    } else {
        r->ranges = mem_grow(r->ranges, r->range_count + set->count + 1, sizeof(*r->ranges));
        if (set->count > 0)
            memcpy(r->ranges + r->range_count, set->ranges, set->count * sizeof(*r->ranges));
        r->sets = mem_grow(r->sets, r->set_count + 1, sizeof(*r->sets));
        r->sets[r->set_count] = (struct regex_set){(uint32_t)r->range_count, (uint32_t)set->count};
        r->range_count += set->count;
        ok = emit(p, REGEX_SET, (int64_t)r->set_count++);
    }
    set_builder_done(set);
    return ok;
}

static bool add_point(struct parser *p, uint32_t point)
{
    struct set_builder set = {0};

    if (!(p->flags & FLAG_FOLD) || lib_point_other_case(point) == point) {
        begin_atom(p);
        return emit(p, REGEX_POINT, point);
    }
    set_add(&set, point, point);
    set_fold(&set);
    return add_set(p, &set);
}

static bool add_dot(struct parser *p)
{
    struct set_builder set = {0};

    if (!(p->flags & FLAG_DOT_ALL))
        set_add(&set, '\n', '\n');
    set_negate(&set);
    return add_set(p, &set);
}

/* ---- repetition ---- */

static bool write_star(struct parser *p)
{
    int64_t length = (int64_t)(p->regex->code_count - p->atom);

    return insert(p, p->atom, REGEX_SPLIT, length + 2) && emit(p, REGEX_JUMP, -(length + 1));
}

static bool write_plus(struct parser *p, size_t length)
{
    return emit(p, REGEX_SPLIT, -(int64_t)length);
}

/* x{min,max} by copies: the required ones, then either a loop back or optional ones. max < 0: no end. */
static bool write_counted(struct parser *p, int min, int max)
{
    size_t from = p->atom, length = p->regex->code_count - from;

    if (max == 0) {
        p->regex->code_count = from;
        return true;
    }
    if (min == 0 && max < 0)
        return write_star(p);
    if (min == 0) {
        if (!insert(p, from, REGEX_SPLIT, (int64_t)length + 1))
            return false;
        for (int i = 1; i < max; i++)
            if (!copy_code(p, from, length + 1))
                return false;
        return true;
    }
    for (int i = 1; i < min; i++)
        if (!copy_code(p, from, length))
            return false;
    if (max < 0)
        return write_plus(p, length);
    for (int i = min; i < max; i++)
        if (!emit(p, REGEX_SPLIT, (int64_t)length + 1) || !copy_code(p, from, length))
            return false;
    return true;
}

/* RE2 refuses nested counts whose product is above COUNT_MAX. */
static bool weigh_counted(struct parser *p, int min, int max, size_t start)
{
    int count = max < 0 ? min : max;

    if (max == 0)
        p->atom_weight = 1; /* nothing is left of it */
    else if (count > 1)
        p->atom_weight *= (unsigned)count; /* both factors are at most COUNT_MAX */
    if (p->atom_weight > COUNT_MAX && (min >= 2 || max >= 2))
        return fail_from(p, "invalid repeat count", start);
    return true;
}

/* Behind the operator: an optional ?, and what it stands on. */
static bool check_repetition(struct parser *p, size_t start, size_t previous)
{
    accept(p, "?");
    if (previous != NOWHERE)
        return fail_at(p, "invalid nested repetition operator", previous, p->at,
                       "; possessive and doubled repetitions are not part of RE2");
    if (p->atom == NOWHERE)
        return fail_from(p, "missing argument to repetition operator", start);
    p->repeat_at = start;
    return true;
}

static bool parse_repetition(struct parser *p, size_t previous)
{
    size_t start = p->at;
    char op = p->pattern.bytes[p->at++];

    if (!check_repetition(p, start, previous))
        return false;
    if (op == '*')
        return write_star(p);
    if (op == '+')
        return write_plus(p, p->regex->code_count - p->atom);
    return write_counted(p, 0, 1);
}

/* Digits without a leading zero; what is far too large is -1. false: no number. */
static bool read_count(struct parser *p, int *count)
{
    size_t start = p->at;

    *count = 0;
    if (peek(p, 0) == '0' && peek(p, 1) >= '0' && peek(p, 1) <= '9')
        return false;
    for (; peek(p, 0) >= '0' && peek(p, 0) <= '9'; p->at++)
        if (*count >= 0)
            *count = *count > COUNT_MAX ? -1 : *count * 10 + (peek(p, 0) - '0');
    return p->at > start;
}

/* {2} {2,} {2,3}; anything else is not a count, and its { stands for itself. */
static bool read_counts(struct parser *p, int *min, int *max)
{
    if (!accept(p, "{") || !read_count(p, min))
        return false;
    *max = *min;
    if (accept(p, ",")) {
        *max = -1;
        if (peek(p, 0) != '}') {
            if (!read_count(p, max))
                return false;
            if (*max < 0)
                *min = -1;
        }
    }
    return accept(p, "}");
}

static bool parse_counted(struct parser *p, size_t previous)
{
    size_t start = p->at;
    int min, max;

    if (!read_counts(p, &min, &max)) {
        p->at = start + 1;
        return add_point(p, '{');
    }
    if (min < 0 || min > COUNT_MAX || max > COUNT_MAX || (max >= 0 && min > max))
        return fail_from(p, "invalid repeat count", start);
    return check_repetition(p, start, previous) && weigh_counted(p, min, max, start) && write_counted(p, min, max);
}

/* ---- escapes ---- */

/* Behind \x: two digits, or any number of them in braces. */
static bool read_hex(struct parser *p, uint32_t *point)
{
    size_t digits = 0;
    bool braces = accept(p, "{");
    int digit;

    *point = 0;
    while ((braces || digits < 2) && (digit = hex_digit(peek(p, 0))) >= 0) {
        *point = *point * 16 + (uint32_t)digit;
        if (*point > POINT_MAX)
            return false;
        digits++;
        p->at++;
    }
    return braces ? digits > 0 && accept(p, "}") : digits == 2;
}

/* Up to three octal digits, the first of which was read. */
static uint32_t read_octal(struct parser *p, char first)
{
    uint32_t point = (uint32_t)(first - '0');

    for (int i = 1; i < 3 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; i++)
        point = point * 8 + (uint32_t)(p->pattern.bytes[p->at++] - '0');
    return point;
}

/* An escape that stands for one code point. */
static bool parse_escape(struct parser *p, uint32_t *point)
{
    static const char letters[] = "afnrtv", meanings[] = "\a\f\n\r\t\v";
    size_t start = p->at++;
    const char *letter;
    char c;

    if (!more(p))
        return error_set(p->err, ERROR_INVALID,
                         "error parsing regexp: trailing backslash at end of expression: ``; "
                         "write \\\\ for a backslash");
    *point = next_point(p);
    c = *point < 0x80 ? (char)*point : 'C'; /* any letter that is no escape */
    letter = c ? strchr(letters, c) : NULL;
    if (letter)
        *point = (unsigned char)meanings[letter - letters];
    else if (c == '0' || (c >= '1' && c <= '7' && peek(p, 0) >= '0' && peek(p, 0) <= '7'))
        *point = read_octal(p, c);
    else if (c == 'x')
        return read_hex(p, point) || fail_from(p, "invalid escape sequence", start);
    else if (c >= '1' && c <= '9')
        return fail_at(p, "invalid escape sequence", start, p->at, "; back-references are not part of RE2");
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return fail_from(p, "invalid escape sequence", start);
    return true;
}

/* The name behind \p or \P: one letter, or what is in braces. Leaves the place behind it. */
static bool read_property_name(struct parser *p, size_t start, struct span *name)
{
    size_t first = p->at, end;

    if (peek(p, 0) != '{') {
        if (more(p))
            next_point(p);
        *name = (struct span){p->pattern.bytes + first, p->at - first};
        return true;
    }
    end = find(p, '}');
    if (end == NOWHERE)
        return fail_at(p, "invalid character class range", start, p->pattern.length, "; the brace is not closed");
    p->at = end + 1;
    *name = (struct span){p->pattern.bytes + first + 1, end - first - 1};
    return true;
}

/* Adds to a set what an escape for many code points means: \d \s \w \p{..} and their negations.
   *found false: the escape is something else, and nothing was read. */
static bool parse_class_escape(struct parser *p, struct set_builder *to, bool *found)
{
    size_t start = p->at;
    char c = peek(p, 1), lower = (char)(c | 0x20);
    bool negated = c != lower;
    struct set_builder set = {0};
    struct span name = {&lower, 1};

    *found = peek(p, 0) == '\\' && c && strchr("dDsSwWpP", c);
    if (!*found)
        return true;
    p->at += 2;
    if (lower == 'p') {
        if (!read_property_name(p, start, &name))
            return false;
        if (name.length > 0 && name.bytes[0] == '^') {
            negated = !negated;
            name = (struct span){name.bytes + 1, name.length - 1};
        }
        if (!set_add_property(&set, name))
            return fail_from(p, "invalid character class range", start);
    } else {
        set_add_named(&set, name);
    }
    return finish_item(p, &set, negated, to);
}

/* \Q...\E: every code point between stands for itself. */
static bool parse_quoted(struct parser *p)
{
    while (more(p) && !accept(p, "\\E"))
        if (!add_point(p, next_point(p)))
            return false;
    return true;
}

static bool parse_backslash(struct parser *p)
{
    struct set_builder set = {0};
    uint32_t point = 0;
    bool found;

    if (accept(p, "\\A"))
        return add_assertion(p, REGEX_TEXT_BEGIN);
    if (accept(p, "\\z"))
        return add_assertion(p, REGEX_TEXT_END);
    if (accept(p, "\\b"))
        return add_assertion(p, REGEX_WORD_EDGE);
    if (accept(p, "\\B"))
        return add_assertion(p, REGEX_WORD_INSIDE);
    if (accept(p, "\\Q"))
        return parse_quoted(p);
    if (!parse_class_escape(p, &set, &found)) {
        set_builder_done(&set);
        return false;
    }
    if (found)
        return add_set(p, &set);
    return parse_escape(p, &point) && add_point(p, point);
}

/* ---- classes in brackets ---- */

/* One end of a range. */
static bool parse_class_point(struct parser *p, size_t opened_at, uint32_t *point)
{
    if (!more(p))
        return fail_at(p, "missing closing ]", opened_at, p->pattern.length, "");
    if (peek(p, 0) == '\\')
        return parse_escape(p, point);
    *point = next_point(p);
    return true;
}

/* [:alpha:] or [:^alpha:]; *found false: not such a thing, and nothing was read. */
static bool parse_named_class(struct parser *p, struct set_builder *to, bool *found)
{
    size_t start = p->at;
    struct span rest = {p->pattern.bytes + p->at, p->pattern.length - p->at}, name;
    struct set_builder set = {0};
    int64_t end;
    bool negated;

    *found = false;
    if (!lib_has_prefix(rest, span_of("[:")) || rest.length < 3)
        return true;
    end = lib_index_of((struct span){rest.bytes + 2, rest.length - 2}, span_of(":]"));
    if (end < 0)
        return true;
    *found = true;
    p->at += (size_t)end + 4;
    negated = end > 0 && rest.bytes[2] == '^';
    name = (struct span){rest.bytes + 2 + negated, (size_t)end - negated};
    if (name.length < 2 || !set_add_named(&set, name)) /* "d" is not a name here */
        return fail_from(p, "invalid character class range", start);
    return finish_item(p, &set, negated, to);
}

static bool parse_class_range(struct parser *p, size_t opened_at, struct set_builder *to)
{
    size_t start = p->at;
    struct set_builder set = {0};
    uint32_t first = 0, last;

    if (!parse_class_point(p, opened_at, &first))
        return false;
    last = first;
    if (peek(p, 0) == '-' && p->at + 1 < p->pattern.length && peek(p, 1) != ']') {
        p->at++;
        if (!parse_class_point(p, opened_at, &last))
            return false;
        if (last < first)
            return fail_from(p, "invalid character class range", start);
    }
    set_add(&set, first, last);
    return finish_item(p, &set, false, to);
}

static bool parse_class_items(struct parser *p, size_t opened_at, struct set_builder *set)
{
    bool found;

    for (bool first = true; first || peek(p, 0) != ']' || !more(p); first = false) {
        if (!parse_named_class(p, set, &found))
            return false;
        if (!found && !parse_class_escape(p, set, &found))
            return false;
        if (!found && !parse_class_range(p, opened_at, set))
            return false;
    }
    p->at++; /* the ] */
    return true;
}

static bool parse_class(struct parser *p)
{
    size_t opened_at = p->at++;
    bool negated = accept(p, "^");
    struct set_builder set = {0};

    if (!parse_class_items(p, opened_at, &set)) {
        set_builder_done(&set);
        return false;
    }
    if (negated)
        set_negate(&set);
    return add_set(p, &set);
}

/* ---- groups ---- */

static bool open_group(struct parser *p, size_t opened_at, unsigned flags_inside)
{
    size_t code = p->regex->code_count;

    if (p->group_count > 0)
        begin_atom(p);
    if (p->group_count > FORMULA_REGEX_DEPTH_MAX)
        return error_set(p->err, ERROR_INVALID,
                         "error parsing regexp: expression nests too deeply: more than %d groups in "
                         "each other",
                         FORMULA_REGEX_DEPTH_MAX);
    p->groups = mem_grow(p->groups, p->group_count + 1, sizeof(*p->groups));
    p->groups[p->group_count++] = (struct group){opened_at, p->flags, code, code, -1, 1};
    p->flags = flags_inside;
    p->atom = NOWHERE;
    p->atom_weight = 1;
    return true;
}

/* SPLIT in front of the branch that ends here, JUMP behind it to where the group will end. */
static bool parse_bar(struct parser *p)
{
    struct group *group = innermost(p);
    int64_t length = (int64_t)(p->regex->code_count - group->branch);

    end_atoms(p);
    if (!insert(p, group->branch, REGEX_SPLIT, length + 2) || !emit(p, REGEX_JUMP, group->jumps))
        return false;
    group->jumps = (int32_t)p->regex->code_count - 1;
    group->branch = p->regex->code_count;
    return true;
}

/* The group is an atom of the one around it. */
static void close_group(struct parser *p)
{
    struct group group;
    int32_t jump, next;

    end_atoms(p);
    group = *innermost(p);
    for (jump = group.jumps; jump >= 0; jump = next) {
        next = p->regex->code[jump].arg;
        p->regex->code[jump].arg = (int32_t)p->regex->code_count - jump;
    }
    p->group_count--;
    p->flags = group.flags;
    p->atom = group.start;
    p->atom_weight = group.weight;
}

/* (?P<name>x) or (?<name>x), from the < on. Names only have to be well formed: a formula cannot ask for groups. */
static bool parse_name(struct parser *p, size_t opened_at)
{
    size_t end = find(p, '>');

    if (end == NOWHERE)
        return fail_at(p, "invalid named capture", opened_at, p->pattern.length, "; the > is missing");
    for (size_t i = p->at; i < end; i++) {
        char c = p->pattern.bytes[i];
        if (!(c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')))
            return fail_at(p, "invalid named capture", opened_at, end + 1, "");
    }
    if (end == p->at)
        return fail_at(p, "invalid named capture", opened_at, end + 1, "");
    p->at = end + 1;
    return open_group(p, opened_at, p->flags);
}

/* (?ims-U) sets flags to the end of the group around it, (?ims-U:x) for a group of its own. */
static bool parse_flags(struct parser *p, size_t opened_at)
{
    static const char letters[] = "imsU"; /* in the order of enum regex_flag */
    unsigned flags = p->flags;
    bool clearing = false, seen = false;

    while (more(p)) {
        uint32_t point = next_point(p);
        const char *letter = point > 0 && point < 0x80 ? strchr(letters, (int)point) : NULL;

        if (letter) {
            flags = clearing ? flags & ~(1U << (letter - letters)) : flags | 1U << (letter - letters);
            seen = true;
        } else if (point == '-' && !clearing) {
            clearing = true;
            seen = false;
        } else if ((point == ':' || point == ')') && (seen || !clearing)) {
            if (point == ':')
                return open_group(p, opened_at, flags);
            p->flags = flags;
            return true;
        } else {
            break;
        }
    }
    return fail_at(p, "invalid or unsupported Perl syntax", opened_at, p->at,
                   "; look-around, atomic groups, conditions and recursion are not part of RE2");
}

static bool parse_open(struct parser *p)
{
    size_t opened_at = p->at++;

    if (!accept(p, "?"))
        return open_group(p, opened_at, p->flags);
    if ((peek(p, 0) == 'P' && peek(p, 1) == '<' && p->at + 2 < p->pattern.length) ||
        (peek(p, 0) == '<' && p->at + 1 < p->pattern.length && peek(p, 1) != '=' && peek(p, 1) != '!')) {
        p->at += peek(p, 0) == 'P' ? 2 : 1;
        return parse_name(p, opened_at);
    }
    return parse_flags(p, opened_at);
}

static bool parse_close(struct parser *p)
{
    if (p->group_count == 1)
        return fail_at(p, "unexpected )", 0, p->pattern.length, "; write \\) for a parenthesis");
    p->at++;
    close_group(p);
    return true;
}

/* ---- the whole ---- */

static bool parse_item(struct parser *p)
{
    size_t previous = p->repeat_at; /* of the repetition right before, which must not be repeated itself */

    p->repeat_at = NOWHERE;
    switch (peek(p, 0)) {
    case '(':
        return parse_open(p);
    case ')':
        return parse_close(p);
    case '|':
        p->at++;
        return parse_bar(p);
    case '[':
        return parse_class(p);
    case '\\':
        return parse_backslash(p);
    case '*':
    case '+':
    case '?':
        return parse_repetition(p, previous);
    case '{':
        return parse_counted(p, previous);
    case '.':
        p->at++;
        return add_dot(p);
    case '^':
        p->at++;
        return add_assertion(p, p->flags & FLAG_LINES ? REGEX_LINE_BEGIN : REGEX_TEXT_BEGIN);
    case '$':
        p->at++;
        return add_assertion(p, p->flags & FLAG_LINES ? REGEX_LINE_END : REGEX_TEXT_END);
    default:
        return add_point(p, next_point(p));
    }
}

static bool parse(struct parser *p)
{
    if (p->pattern.length > FORMULA_REGEX_SOURCE_MAX_BYTES)
        return error_set(p->err, ERROR_LIMIT, "a regular expression may have %d bytes; this one has %zu",
                         FORMULA_REGEX_SOURCE_MAX_BYTES, p->pattern.length);
    if (utf8_valid_prefix(p->pattern.bytes, p->pattern.length) < p->pattern.length)
        return error_set(p->err, ERROR_INVALID, "error parsing regexp: invalid UTF-8");
    open_group(p, 0, 0);
    while (more(p))
        if (!parse_item(p))
            return false;
    if (p->group_count > 1)
        return fail_at(p, "missing closing )", 0, p->pattern.length, "");
    close_group(p);
    return emit(p, REGEX_MATCH, 0);
}

bool lib_regex_compile(struct span pattern, struct lib_regex **out, struct error *err)
{
    struct lib_regex *regex = mem_alloc(sizeof(*regex));
    struct parser p = {.pattern = pattern, .regex = regex, .atom = NOWHERE, .repeat_at = NOWHERE, .err = err};
    bool ok = parse(&p);

    free(p.groups);
    if (ok)
        *out = regex;
    else
        lib_regex_free(regex);
    return ok;
}

void lib_regex_free(struct lib_regex *regex)
{
    if (!regex)
        return;
    free(regex->code);
    free(regex->ranges);
    free(regex->sets);
    free(regex);
}

size_t lib_regex_bytes(const struct lib_regex *regex)
{
    return sizeof(*regex) + regex->code_count * sizeof(*regex->code) + regex->range_count * sizeof(*regex->ranges) +
           regex->set_count * sizeof(*regex->sets);
}

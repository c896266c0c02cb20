/*
 * lib_regex_match: runs the program of a regular expression over a text, in all its places at once.
 *
 * For every code point the set of places the program can be in is carried one step on; nothing is ever tried again, so the
 * time is bounded by length of the text x size of the program, whatever the pattern. That product is bounded too, as a
 * formula may bring both (FORMULA_REGEX_MATCH_MAX). Where in the text a match lies is not asked, so greed and groups do
 * not exist here. Bytes that are not UTF-8 are U+FFFD, one each, as for Go.
 */
#include "formula/lib_regex.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"

enum { NO_POINT = 0xffffffff }; /* before the first and after the last */

/* The places that wait for a code point, without repeats: `mark` of a place says at which position it was reached last. */
struct places {
    uint32_t *at;
    size_t count;
};

struct machine {
    const struct lib_regex *regex;
    struct places now, next;
    size_t *mark;
    uint32_t *stack;
    uint32_t before, after; /* code points around the position */
    size_t position;        /* counted from 1: marks start as 0 */
    long steps;
};

static bool is_word(uint32_t point)
{
    return point == '_' || (point >= '0' && point <= '9') || ((point | 0x20) >= 'a' && (point | 0x20) <= 'z');
}

static bool holds(const struct machine *m, enum regex_op op)
{
    switch (op) {
    case REGEX_TEXT_BEGIN:
        return m->before == NO_POINT;
    case REGEX_TEXT_END:
        return m->after == NO_POINT;
    case REGEX_LINE_BEGIN:
        return m->before == NO_POINT || m->before == '\n';
    case REGEX_LINE_END:
        return m->after == NO_POINT || m->after == '\n';
    case REGEX_WORD_EDGE:
        return is_word(m->before) != is_word(m->after);
    default:
        return is_word(m->before) == is_word(m->after);
    }
}

static bool set_has(const struct lib_regex *regex, int32_t set, uint32_t point)
{
    const struct regex_range *ranges = regex->ranges + regex->sets[set].start;
    size_t low = 0, high = regex->sets[set].count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (point > ranges[middle].last)
            low = middle + 1;
        else if (point < ranges[middle].first)
            high = middle;
        else
            return true;
    }
    return false;
}

static void push(struct machine *m, size_t *depth, size_t place)
{
    if (m->mark[place] == m->position)
        return;
    m->mark[place] = m->position;
    m->stack[(*depth)++] = (uint32_t)place;
}

/* Follows jumps and conditions from a place to all places that wait for a code point. true: one of the ends is MATCH. */
static bool reach(struct machine *m, struct places *to, size_t place)
{
    size_t depth = 0;

    push(m, &depth, place);
    while (depth > 0) {
        uint32_t here = m->stack[--depth];
        const struct regex_instruction *i = &m->regex->code[here];

        m->steps++;
        switch (i->op) {
        case REGEX_MATCH:
            return true;
        case REGEX_POINT:
        case REGEX_SET:
            to->at[to->count++] = here;
            break;
        case REGEX_SPLIT:
            push(m, &depth, (size_t)here + 1);
            push(m, &depth, (size_t)((int64_t)here + i->arg));
            break;
        case REGEX_JUMP:
            push(m, &depth, (size_t)((int64_t)here + i->arg));
            break;
        default:
            if (holds(m, i->op))
                push(m, &depth, (size_t)here + 1);
        }
    }
    return false;
}

/* Takes one code point: from the places of now to those of next. true: matched. */
static bool take(struct machine *m, uint32_t point)
{
    struct places swapped = m->now;

    m->next.count = 0;
    for (size_t i = 0; i < m->now.count; i++) {
        const struct regex_instruction *in = &m->regex->code[m->now.at[i]];

        m->steps++;
        if (in->op == REGEX_POINT ? (uint32_t)in->arg == point : set_has(m->regex, in->arg, point))
            if (reach(m, &m->next, (size_t)m->now.at[i] + 1))
                return true;
    }
    m->now = m->next;
    m->next = swapped;
    return reach(m, &m->now, 0); /* a match may begin anywhere */
}

/* false: too many steps. */
static bool run(struct machine *m, struct span subject, bool *matched)
{
    size_t at = 0, width = 0;

    m->before = NO_POINT;
    m->after = subject.length > 0 ? lib_point_at(subject, 0, &width) : NO_POINT;
    m->position = 1;
    *matched = reach(m, &m->now, 0);
    while (!*matched && m->after != NO_POINT) {
        at += width;
        m->before = m->after;
        m->after = at < subject.length ? lib_point_at(subject, at, &width) : NO_POINT;
        m->position++;
        *matched = take(m, m->before);
        if (m->steps > FORMULA_REGEX_MATCH_MAX)
            return false;
    }
    return true;
}

bool lib_regex_match(const struct lib_regex *regex, struct span subject, bool *matched, struct error *err)
{
    size_t count = regex->code_count;
    struct machine m = {.regex = regex};
    uint32_t *memory = mem_array(3 * count, sizeof(uint32_t));
    bool found = false, ok;

    m.now.at = memory;
    m.next.at = memory + count;
    m.stack = memory + 2 * count;
    m.mark = mem_array(count, sizeof(*m.mark));
    ok = run(&m, subject, &found);
    free(m.mark);
    free(memory);
    if (!ok)
        return error_set(err, ERROR_LIMIT,
                         "the regular expression takes more than %d steps on this text of %zu bytes; "
                         "make the pattern or the text shorter",
                         FORMULA_REGEX_MATCH_MAX, subject.length);
    *matched = found;
    return true;
}

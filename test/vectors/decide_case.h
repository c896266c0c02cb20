/*
 * decide_case: what the cases about decisions have in common: reading their inputs, and saying where an outcome
 * differs.
 */
#ifndef WEIR_TEST_DECIDE_CASE_H
#define WEIR_TEST_DECIDE_CASE_H

#include "base/arena.h"
#include "base/quantity.h"
#include "base/time.h"
#include "base/tree.h"
#include "decide/decide.h"
#include "vectors.h"

#define NOW_MS (INT64_C(1000000) * SECOND_MS) /* ages of the cases count back from here */

struct decide_case {
    const struct tree *in, *expect;
    struct arena *arena;
    struct vector_result *result;
    bool same;
};

static inline int64_t integer_or(const struct tree *map, const char *key, int64_t unset)
{
    int64_t value;

    return tree_integer(tree_get(map, key), &value) ? value : unset;
}

static inline int32_t count_or(const struct tree *map, const char *key, int32_t unset)
{
    return (int32_t)integer_or(map, key, unset);
}

static inline bool flag(const struct tree *map, const char *key)
{
    bool value = false;

    tree_bool(tree_get(map, key), &value);
    return value;
}

static inline bool is_null(const struct tree *node)
{
    return !node || node->type == TREE_NULL;
}

static inline int64_t milli_of(const struct tree *node)
{
    int64_t milli = 0;

    if (node && node->text)
        quantity_parse_milli(node->text, &milli);
    return milli;
}

/* A quantity, or a number, as a double; unset where it is none. */
static inline double number_or(const struct tree *map, const char *key, double unset)
{
    const struct tree *node = tree_get(map, key);
    double value;

    return node && node->text && quantity_parse_double(node->text, &value) ? value : unset;
}

static inline const char *string_or(const struct tree *map, const char *key, const char *unset)
{
    const char *string = tree_string(tree_get(map, key));

    return string ? string : unset;
}

/* ---- comparing ---- */

static inline void differ(struct decide_case *c, const char *key, int64_t expected, int64_t got)
{
    c->same = false;
    text_printf(&c->result->expected, "%s=%lld ", key, (long long)expected);
    text_printf(&c->result->got, "%s=%lld ", key, (long long)got);
}

static inline void differ_text(struct decide_case *c, const char *key, const char *expected, const char *got)
{
    c->same = false;
    text_printf(&c->result->expected, "%s=%s ", key, expected ? expected : "null");
    text_printf(&c->result->got, "%s=%s ", key, got ? got : "null");
}

static inline void compare_integer(struct decide_case *c, const struct tree *expect, const char *key, int64_t got)
{
    int64_t expected;

    if (tree_integer(tree_get(expect, key), &expected) && expected != got)
        differ(c, key, expected, got);
}

static inline void compare_flag(struct decide_case *c, const struct tree *expect, const char *key, bool got)
{
    bool expected;

    if (tree_bool(tree_get(expect, key), &expected) && expected != got)
        differ(c, key, expected, got);
}

static inline void compare_number(struct decide_case *c, const struct tree *expect, const char *key, double got)
{
    double expected;

    if (tree_number(tree_get(expect, key), &expected) && expected != got) {
        c->same = false;
        text_printf(&c->result->expected, "%s=%.17g ", key, expected);
        text_printf(&c->result->got, "%s=%.17g ", key, got);
    }
}

static inline void compare_text(struct decide_case *c, const struct tree *expect, const char *key, const char *got)
{
    const struct tree *node = tree_get(expect, key);

    if (node && !string_equal(tree_string(node), got))
        differ_text(c, key, tree_string(node), got);
}

#endif

/*
 * rewrite: what the original's optimizer does to a formula, as far as it shows (expr-language.md 6.1, 6.2): constants
 * are folded, `x && false` forgets x, filters become searches, sums over constant ranges become numbers.
 *
 * The original does this in passes over the finished tree; here each rule is tried once, when the node it starts from
 * is made, which comes to the same because every rule looks down only. Nodes may be shared (the middle of a comparison
 * chain stands in two comparisons), so a rule never changes a child: it makes a copy.
 */
#include <string.h>

#include "formula/formula_internal.h"

static bool is_number(const struct node *n)
{
    return n->kind == NODE_INT || n->kind == NODE_FLOAT;
}
static double number_of(const struct node *n)
{
    return n->kind == NODE_INT ? (double)n->integer : n->number;
}

static bool is_loop(const struct node *n, enum builtin id)
{
    return n->kind == NODE_LOOP && n->integer == id;
}

/* A filter that nothing has been done to yet. */
static bool is_filter(const struct node *n)
{
    return is_loop(n, BUILTIN_FILTER);
}

static bool is_constant_range(const struct node *n)
{
    return n->kind == NODE_BINARY && n->op == OP_RANGE && n->a->kind == NODE_INT && n->b->kind == NODE_INT;
}

static struct node *copy_of(struct compiler *c, const struct node *n)
{
    struct node *copy = arena_alloc(c->arena, sizeof(*copy));

    *copy = *n;
    copy->next = NULL;
    return copy;
}

static struct node *fold_int(struct node *n, int64_t value)
{
    n->kind = NODE_INT;
    n->integer = value;
    n->flags = FLAG_FOLDED;
    n->a = n->b = n->c = n->list = NULL;
    return n;
}

static struct node *fold_float(struct node *n, double value)
{
    n->kind = NODE_FLOAT;
    n->number = value;
    n->flags = FLAG_FOLDED;
    n->a = n->b = NULL;
    return n;
}

static struct node *fold_bool(struct node *n, bool value)
{
    fold_int(n, value);
    n->kind = NODE_BOOL;
    return n;
}

struct node *rewrite_unary(struct compiler *c, struct node *n)
{
    struct node *operand = n->a;

    if (n->op == OP_PLUS) { /* does nothing, not even to nil */
        operand = copy_of(c, operand);
        operand->flags |= FLAG_FOLDED;
        return operand;
    }
    if (n->op == OP_NEG && operand->kind == NODE_INT)
        return fold_int(n, (int64_t)(0 - (uint64_t)operand->integer));
    if (n->op == OP_NEG && operand->kind == NODE_FLOAT)
        return fold_float(n, -operand->number);
    if (n->op == OP_NOT && operand->kind == NODE_BOOL)
        return fold_bool(n, !operand->integer);
    return n;
}

/* ---- operators on constants ---- */

static struct node *fold_integers(struct compiler *c, struct node *n)
{
    int64_t x = n->a->integer, y = n->b->integer;

    switch (n->op) {
    case OP_ADD:
        return fold_int(n, (int64_t)((uint64_t)x + (uint64_t)y));
    case OP_SUB:
        return fold_int(n, (int64_t)((uint64_t)x - (uint64_t)y));
    case OP_MUL:
        return fold_int(n, (int64_t)((uint64_t)x * (uint64_t)y));
    case OP_EQ:
        return fold_bool(n, x == y);
    case OP_MOD:
        if (y == 0)
            compile_fold_fault(c, FAULT_DIVIDE_BY_ZERO, n, "integer divide by zero: % 0");
        return fold_int(n, y == 0 || y == -1 ? 0 : x % y);
    default:
        return n;
    }
}

static struct node *fold_numbers(struct node *n)
{
    double x = number_of(n->a), y = number_of(n->b);

    switch (n->op) {
    case OP_ADD:
        return fold_float(n, x + y);
    case OP_SUB:
        return fold_float(n, x - y);
    case OP_MUL:
        return fold_float(n, x * y);
    case OP_DIV:
        return fold_float(n, x / y);
    case OP_POW:
        return fold_float(n, lib_pow(x, y));
    default:
        return n;
    }
}

static struct node *fold_strings(struct compiler *c, struct node *n)
{
    struct span x = n->a->string, y = n->b->string;

    if (n->op == OP_EQ)
        return fold_bool(n, lib_equal(x, y));
    if (n->op == OP_ADD) {
        char *joined = arena_alloc(c->arena, x.length + y.length + 1);

        memcpy(joined, x.bytes, x.length);
        memcpy(joined + x.length, y.bytes, y.length);
        n->kind = NODE_STRING;
        n->flags = FLAG_FOLDED;
        n->string = (struct span){joined, x.length + y.length};
        n->a = n->b = NULL;
    }
    return n;
}

/* x && false is false whatever x is, and x && true is x; likewise for ||. */
static struct node *fold_logic(struct compiler *c, struct node *n)
{
    struct node *constant = n->a->kind == NODE_BOOL ? n->a : n->b->kind == NODE_BOOL ? n->b : NULL;
    struct node *other = constant == n->a ? n->b : n->a;

    if (!constant)
        return n;
    if ((constant->integer != 0) == (n->op == OP_OR))
        return fold_bool(n, n->op == OP_OR);
    other = copy_of(c, other);
    other->type = n->type; /* a bool to everyone above, even if x was of unknown type */
    other->flags |= FLAG_FOLDED;
    return other;
}

/* ---- loops with the same array ---- */

enum { SAME_DEPTH_MAX = 64 }; /* deeper trees count as different: they are only evaluated one after the other */

static bool same(const struct node *x, const struct node *y, int depth);

static bool same_or_none(const struct node *x, const struct node *y, int depth)
{
    return x && y ? same(x, y, depth) : x == y;
}

static bool same(const struct node *x, const struct node *y, int depth)
{
    const struct node *i = x->list, *j = y->list;

    if (x == y)
        return true;
    if (depth > SAME_DEPTH_MAX || x->kind != y->kind || x->op != y->op || x->integer != y->integer ||
        x->slot != y->slot || x->count != y->count || x->flags != y->flags || x->string.length != y->string.length ||
        (x->string.length && memcmp(x->string.bytes, y->string.bytes, x->string.length) != 0))
        return false;
    if (x->kind == NODE_LOCAL)
        return true;
    for (; i && j; i = i->next, j = j->next)
        if (!same(i, j, depth + 1))
            return false;
    return !i && !j && same_or_none(x->a, y->a, depth + 1) && same_or_none(x->b, y->b, depth + 1) &&
           same_or_none(x->c, y->c, depth + 1);
}

static struct node *both(struct compiler *c, enum op op, struct node *x, struct node *y)
{
    struct node *n = arena_alloc(c->arena, sizeof(*n));

    n->kind = NODE_BINARY;
    n->op = (uint8_t)op;
    n->type = TYPE_OF(BOOL);
    n->begin = n->place = x->begin;
    n->end = y->end;
    n->a = x;
    n->b = y;
    return n;
}

/* all(x, p) && all(x, q): one pass. Likewise any || any, none && none. */
static struct node *join_loops(struct compiler *c, struct node *n)
{
    struct node *x = n->a, *y = n->b, *joined;
    bool fits;

    if (x->kind != NODE_LOOP || y->kind != NODE_LOOP || x->integer != y->integer || !x->b || !y->b)
        return n;
    fits = n->op == OP_AND ? x->integer == BUILTIN_ALL || x->integer == BUILTIN_NONE : x->integer == BUILTIN_ANY;
    if (!fits || !same(x->a, y->a, 0))
        return n;
    joined = copy_of(c, x);
    joined->begin = n->begin;
    joined->end = n->end;
    joined->b = both(c, x->integer == BUILTIN_ALL ? OP_AND : OP_OR, x->b, y->b);
    return joined;
}

/* count(xs, p) >= k need not look further once it has found k. */
static struct node *limit_count(struct compiler *c, struct node *n)
{
    int64_t k = n->b->integer;
    bool above = n->op == OP_GT || n->op == OP_LE;

    if (n->b->kind != NODE_INT || !is_loop(n->a, BUILTIN_COUNT) || !n->a->b || k > INT32_MAX || k + above < 1)
        return n;
    n->a = copy_of(c, n->a);
    n->a->bound = (double)(k + above);
    return n;
}

/* ---- membership ---- */

static bool all_written(const struct node *array, enum node_kind kind)
{
    for (const struct node *e = array->list; e; e = e->next)
        if (e->kind != kind || (e->flags & FLAG_FOLDED))
            return false;
    return array->list != NULL;
}

static void choose_membership(struct node *n)
{
    const struct node *set = n->b;
    bool int_left = type_is(n->a->type, TYPE_INT);

    if ((set->kind == NODE_CONST || set->kind == NODE_ARRAY) && int_left && all_written(set, NODE_INT))
        n->slot = IN_INTS;
    else if ((set->kind == NODE_CONST || set->kind == NODE_ARRAY) && all_written(set, NODE_STRING))
        n->slot = IN_STRINGS;
    else if (is_constant_range(set) && int_left)
        n->slot = IN_INTERVAL;
}

struct node *rewrite_binary(struct compiler *c, struct node *n)
{
    const struct node *x = n->a, *y = n->b;

    switch (n->op) {
    case OP_AND:
    case OP_OR:
        if (x->kind == NODE_BOOL || y->kind == NODE_BOOL)
            return fold_logic(c, n);
        return join_loops(c, n);
    case OP_IN:
        choose_membership(n);
        return n;
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE:
        return limit_count(c, n);
    case OP_EQ:
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
    case OP_POW:
        break;
    default:
        return n;
    }
    if (x->kind == NODE_INT && y->kind == NODE_INT && n->op != OP_DIV && n->op != OP_POW)
        return fold_integers(c, n);
    if (is_number(x) && is_number(y))
        return fold_numbers(n);
    if (x->kind == NODE_STRING && y->kind == NODE_STRING)
        return fold_strings(c, n);
    if (x->kind == NODE_BOOL && y->kind == NODE_BOOL && n->op == OP_EQ)
        return fold_bool(n, x->integer == y->integer);
    return n;
}

struct node *rewrite_array(struct compiler *c, struct node *n)
{
    (void)c;
    for (const struct node *e = n->list; e; e = e->next)
        if (e->kind != NODE_INT && e->kind != NODE_FLOAT && e->kind != NODE_STRING && e->kind != NODE_BOOL)
            return n;
    if (n->list)
        n->kind = NODE_CONST;
    return n;
}

/* ---- filters ---- */

static struct node *search(struct compiler *c, const struct node *filter, enum builtin id, const struct node *whole,
                           uint8_t flags)
{
    struct node *n = copy_of(c, filter);

    n->integer = id;
    n->flags |= flags;
    n->type = whole->type;
    n->begin = whole->begin;
    n->end = whole->end;
    n->place = whole->place;
    return n;
}

/* filter(xs, p)[0] and [-1] stop at the first hit, or at the last. */
struct node *rewrite_index(struct compiler *c, struct node *n)
{
    if (!is_filter(n->a) || n->b->kind != NODE_INT || (n->flags & FLAG_OPTIONAL))
        return n;
    if (n->b->integer == 0)
        return search(c, n->a, BUILTIN_FIND, n, FLAG_THROWS);
    if (n->b->integer == -1)
        return search(c, n->a, BUILTIN_FIND_LAST, n, FLAG_THROWS);
    return n;
}

struct node *rewrite_call(struct compiler *c, struct node *n)
{
    if (n->count != 1 || !is_filter(n->list))
        return n;
    switch (n->integer) {
    case BUILTIN_FIRST:
        return search(c, n->list, BUILTIN_FIND, n, 0);
    case BUILTIN_LAST:
        return search(c, n->list, BUILTIN_FIND_LAST, n, 0);
    case BUILTIN_LEN:
        return search(c, n->list, BUILTIN_COUNT, n, 0);
    default:
        return n;
    }
}

/* ---- sums over constant ranges ---- */

static bool is_item(const struct node *n)
{
    return n->kind == NODE_POINTER && n->op == POINTER_ITEM;
}

/* The sum of p over from..to, for the forms of 6.2, modulo 2^64 like the loop it replaces. */
static bool closed_sum(const struct node *p, int64_t from, int64_t to, uint64_t *out)
{
    uint64_t count = (uint64_t)to - (uint64_t)from + 1; /* 0 for the whole of int64, as the loop would have it */
    __int128 ends = (__int128)from + to;
    uint64_t sum = count % 2 ? (uint64_t)(ends / 2) * count : (uint64_t)ends * (count / 2); /* one of the two is even */
    uint64_t k;

    *out = sum;
    if (!p || is_item(p))
        return true;
    if (p->kind != NODE_BINARY || (p->op != OP_MUL && p->op != OP_ADD && p->op != OP_SUB))
        return false;
    if (is_item(p->a) && p->b->kind == NODE_INT)
        k = (uint64_t)p->b->integer;
    else if (is_item(p->b) && p->a->kind == NODE_INT)
        k = (uint64_t)p->a->integer;
    else
        return false;
    if (p->op == OP_MUL)
        *out = sum * k;
    else if (p->op == OP_ADD)
        *out = sum + count * k;
    else
        *out = is_item(p->a) ? sum - count * k : count * k - sum;
    return true;
}

static bool is_running_sum(const struct node *p)
{
    return p && p->kind == NODE_BINARY && p->op == OP_ADD && p->a->kind == NODE_POINTER && p->b->kind == NODE_POINTER &&
           ((p->a->op == POINTER_ITEM && p->b->op == POINTER_ACC) ||
            (p->a->op == POINTER_ACC && p->b->op == POINTER_ITEM));
}

static struct node *sum_of_range(struct node *n)
{
    int64_t from, to;
    uint64_t sum;

    if (!is_constant_range(n->a) || n->a->a->integer > n->a->b->integer)
        return n;
    from = n->a->a->integer;
    to = n->a->b->integer;
    if (n->integer == BUILTIN_SUM && closed_sum(n->b, from, to, &sum))
        return fold_int(n, (int64_t)sum);
    if (n->integer == BUILTIN_REDUCE && is_running_sum(n->b) && (!n->c || n->c->kind == NODE_INT) &&
        closed_sum(NULL, from, to, &sum))
        return fold_int(n, (int64_t)(sum + (n->c ? (uint64_t)n->c->integer : 0)));
    return n;
}

struct node *rewrite_loop(struct compiler *c, struct node *n)
{
    const struct node *inner = n->a;

    if (n->integer == BUILTIN_SUM && !n->b && is_loop(inner, BUILTIN_MAP) && !inner->list) {
        n->a = inner->a;
        n->b = inner->b;
    } else if (n->integer == BUILTIN_FILTER && is_filter(inner)) {
        n->a = inner->a;
        n->b = both(c, OP_AND, inner->b, n->b);
    } else if (n->integer == BUILTIN_MAP && is_filter(inner) && !(n->flags & FLAG_USES_INDEX)) {
        n->a = inner->a;
        n->list = inner->b;
    }
    return n->integer == BUILTIN_SUM || n->integer == BUILTIN_REDUCE ? sum_of_range(n) : n;
}

/*
 * numeric: the fast path. A formula made of triggers, numbers, arithmetic, comparisons, logic, ?:, ??, let and the
 * aggregates over literal lists becomes three-address code on a frame of 8-byte registers:
 *
 *     [ the triggers it names | its constants | temporaries ]
 *
 * so that every operand of every instruction is one byte, and nothing is looked up, boxed, tested for its type or
 * allocated while it runs. "drift > 0.1 && gpus >= 2 ? 1 : 0" is four instructions: two compare-and-branch and two
 * returns.
 *
 * Exactness. Every value has a representation known when compiled (enum rep): bool, int64, double, or EITHER, a
 * number of which it is not known whether the original would hold an int or a float (`c ? 1 : a`). EITHER is held as
 * a double, which is the same number as long as the ints it may stand for are below 2^53 (node.bound); it is only let
 * into operations in which the two cannot be told apart. So not into `*` and unary minus: int 0 * -5 is 0, but 0.0 *
 * -5 is -0.0.
 *
 * What the fast path cannot decide it declines, before any harm: a nil trigger that is used as a number, an int
 * remainder by zero. numeric_run returns false, and the general path evaluates the formula and words the error.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula_internal.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

/* ---- judging nodes ---- */

static bool is_number_rep(uint8_t rep)
{
    return rep == REP_INT || rep == REP_FLOAT || rep == REP_EITHER;
}

static void judge(struct node *n, enum rep rep, double bound)
{
    n->rep = (uint8_t)rep;
    n->bound = bound;
    if (rep == REP_EITHER && bound > EXACT_MAX)
        n->rep = REP_NONE;
}

static double larger(double x, double y)
{
    return x > y ? x : y;
}

/* The representation of a value that is one of two. */
static enum rep join(const struct node *x, const struct node *y)
{
    if (x->rep == y->rep)
        return (enum rep)x->rep;
    return is_number_rep(x->rep) && is_number_rep(y->rep) ? REP_EITHER : REP_NONE;
}

static double int_bound(const struct node *n)
{
    return n->rep == REP_INT || n->rep == REP_EITHER ? n->bound : 0;
}

/* Int and float may be compared as doubles unless both might be large ints. */
static bool can_compare(const struct node *x, const struct node *y)
{
    if (!is_number_rep(x->rep) || !is_number_rep(y->rep))
        return false;
    if (x->rep == REP_FLOAT || y->rep == REP_FLOAT || x->rep == y->rep)
        return true;
    return int_bound(x) <= EXACT_MAX && int_bound(y) <= EXACT_MAX;
}

static void judge_equality(struct node *n)
{
    const struct node *x = n->a, *y = n->b;

    if (x->rep == REP_NIL || y->rep == REP_NIL) {
        if (x->rep > REP_NIL || y->rep > REP_NIL)
            judge(n, REP_BOOL, 0);
    } else if (x->rep == REP_BOOL && y->rep == REP_BOOL) {
        judge(n, REP_BOOL, 0);
    } else if (type_is(x->type, TYPE_INT) && type_is(y->type, TYPE_INT)) {
        /* the original trusts the static types here and fails where they are wrong (6.3) */
        if (x->rep == REP_INT && y->rep == REP_INT)
            judge(n, REP_BOOL, 0);
    } else if (can_compare(x, y)) {
        judge(n, REP_BOOL, 0);
    }
}

static void judge_sum(struct node *n, uint8_t x, double x_bound, uint8_t y, double y_bound)
{
    if (!is_number_rep(x) || !is_number_rep(y))
        n->rep = REP_NONE;
    else if (x == REP_FLOAT || y == REP_FLOAT)
        judge(n, REP_FLOAT, 0);
    else
        judge(n, x == REP_INT && y == REP_INT ? REP_INT : REP_EITHER, x_bound + y_bound);
}

static void judge_binary(struct node *n)
{
    const struct node *x = n->a, *y = n->b;
    bool numbers = is_number_rep(x->rep) && is_number_rep(y->rep);

    switch (n->op) {
    case OP_AND:
    case OP_OR:
        if (x->rep == REP_BOOL && y->rep == REP_BOOL)
            judge(n, REP_BOOL, 0);
        break;
    case OP_EQ:
    case OP_NE:
        judge_equality(n);
        break;
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE:
        if (can_compare(x, y))
            judge(n, REP_BOOL, 0);
        break;
    case OP_ADD:
    case OP_SUB:
        judge_sum(n, x->rep, x->bound, y->rep, y->bound);
        break;
    case OP_MUL:
        if (numbers && (x->rep == REP_FLOAT || y->rep == REP_FLOAT))
            judge(n, REP_FLOAT, 0);
        else if (x->rep == REP_INT && y->rep == REP_INT)
            judge(n, REP_INT, x->bound * y->bound);
        break;
    case OP_DIV:
    case OP_POW:
        if (numbers)
            judge(n, REP_FLOAT, 0);
        break;
    case OP_MOD:
        if (x->rep == REP_INT && y->rep == REP_INT)
            judge(n, REP_INT, y->bound);
        break;
    case OP_COALESCE:
        if (numbers)
            judge(n, join(x, y), larger(int_bound(x), int_bound(y)));
        break;
    default:
        break;
    }
}

static bool is_list(const struct node *n)
{
    return n->kind == NODE_ARRAY || n->kind == NODE_CONST;
}

/* min, max, mean, median: numbers, and literal lists of numbers among them. */
static void judge_aggregate(struct node *n)
{
    const struct node *winner = NULL;
    struct node seen = {.rep = REP_NONE};

    for (const struct node *a = n->list; a; a = a->next)
        for (const struct node *e = is_list(a) ? a->list : a; e; e = is_list(a) ? e->next : NULL) {
            if (!is_number_rep(e->rep))
                return;
            seen.rep = (uint8_t)(winner ? join(&seen, e) : (enum rep)e->rep);
            seen.bound = larger(seen.bound, int_bound(e));
            winner = e;
        }
    if (!winner)
        return;
    if (n->integer == BUILTIN_MEAN || n->integer == BUILTIN_MEDIAN)
        judge(n, REP_FLOAT, 0);
    else
        judge(n, (enum rep)seen.rep, seen.bound);
}

static void judge_call(struct node *n)
{
    const struct node *x = n->list;

    switch (n->integer) {
    case BUILTIN_MAX:
    case BUILTIN_MIN:
    case BUILTIN_MEAN:
    case BUILTIN_MEDIAN:
        judge_aggregate(n);
        return;
    case BUILTIN_ABS:
    case BUILTIN_CEIL:
    case BUILTIN_FLOOR:
    case BUILTIN_ROUND:
    case BUILTIN_INT:
    case BUILTIN_FLOAT:
        break;
    default:
        return;
    }
    if (n->count != 1 || !is_number_rep(x->rep))
        return;
    if (n->integer == BUILTIN_ABS)
        judge(n, (enum rep)x->rep, x->bound);
    else if (n->integer == BUILTIN_INT)
        judge(n, REP_INT, x->rep == REP_FLOAT ? 9223372036854775808.0 : x->bound);
    else
        judge(n, REP_FLOAT, 0);
}

/* sum([x, y, ...]) in the form that adds from the right (6.2). */
static bool is_list_sum(const struct node *n)
{
    return n->kind == NODE_LOOP && n->integer == BUILTIN_SUM && !n->b && n->a->kind == NODE_ARRAY && n->a->count >= 2;
}

static void judge_list_sum(struct node *n)
{
    bool floats = false, ints = true;
    double bound = 0;

    for (const struct node *e = n->a->list; e; e = e->next) {
        if (!is_number_rep(e->rep))
            return;
        floats |= e->rep == REP_FLOAT;
        ints &= e->rep == REP_INT;
        bound += int_bound(e);
    }
    if (ints)
        judge(n, REP_INT, bound);
    else if (bound <= EXACT_MAX)
        judge(n, floats ? REP_FLOAT : REP_EITHER, bound);
}

/* Conditions decided when compiled: x == nil where x is a number that cannot be nil here. 1, 0, or -1: not decided. */
static int decided(const struct node *n)
{
    const struct node *other;

    if (n->kind == NODE_BOOL)
        return n->integer != 0;
    if (n->kind != NODE_BINARY || (n->op != OP_EQ && n->op != OP_NE) || n->rep != REP_BOOL)
        return -1;
    if (n->a->rep != REP_NIL && n->b->rep != REP_NIL)
        return -1;
    other = n->a->rep == REP_NIL ? n->b : n->a;
    return other->kind == NODE_NAME || other->kind == NODE_STATE ? -1 : n->op == OP_NE;
}

static void judge_conditional(struct node *n)
{
    const struct node *taken;
    int known;

    if (n->a->rep != REP_BOOL)
        return;
    known = decided(n->a);
    taken = known == 1 ? n->b : n->c;
    if (known >= 0)
        judge(n, (enum rep)taken->rep, taken->bound);
    else if (n->b->rep > REP_NIL && n->c->rep > REP_NIL)
        judge(n, join(n->b, n->c), larger(int_bound(n->b), int_bound(n->c)));
}

void numeric_judge(struct node *n)
{
    double kept = n->bound; /* a loop's own use of the field */

    if (n->kind == NODE_LOOP && !is_list_sum(n))
        return;
    n->rep = REP_NONE;
    if (n->flags & FLAG_FAULTY)
        return;
    switch (n->kind) {
    case NODE_NIL:
        n->rep = REP_NIL;
        break;
    case NODE_BOOL:
        n->rep = REP_BOOL;
        break;
    case NODE_INT:
        judge(n, REP_INT, fabs((double)n->integer));
        break;
    case NODE_FLOAT:
    case NODE_NAME:
    case NODE_STATE:
        judge(n, REP_FLOAT, 0);
        break;
    case NODE_LOCAL:
        if (n->b && n->b->rep > REP_NIL)
            judge(n, (enum rep)n->b->rep, n->b->bound);
        break;
    case NODE_UNARY:
        if (n->op == OP_NOT ? n->a->rep == REP_BOOL : n->a->rep == REP_INT || n->a->rep == REP_FLOAT)
            judge(n, (enum rep)n->a->rep, n->a->bound);
        break;
    case NODE_BINARY:
        judge_binary(n);
        break;
    case NODE_CONDITIONAL:
        judge_conditional(n);
        break;
    case NODE_LET:
        if (n->a->rep > REP_NIL)
            judge(n, (enum rep)n->b->rep, n->b->bound);
        break;
    case NODE_CALL:
        judge_call(n);
        break;
    case NODE_LOOP:
        judge_list_sum(n);
        break;
    case NODE_EXTENSION:
        if (n->integer == EXTENSION_CLAMP && n->count == 3 && is_number_rep(n->list->rep) &&
            is_number_rep(n->list->next->rep) && is_number_rep(n->list->next->next->rep))
            judge(n, REP_FLOAT, 0);
        break;
    default:
        n->bound = kept;
        break;
    }
}

/* ---- the code ---- */

/* name, what it does; d, a, b are registers */
/* clang-format off */
#define NUMERIC_OPS(O)                                                                                                 \
    O(RETURN_FLOAT) O(RETURN_INT) O(RETURN_BOOL) /* a */                                                               \
    O(JUMP) O(JUMP_NIL) /* a: trigger register */ O(JUMP_TRUE) O(JUMP_FALSE) /* a */                                   \
    O(JUMP_LT) O(JUMP_LE) O(JUMP_EQ) O(JUMP_NOT_LT) O(JUMP_NOT_LE) O(JUMP_NOT_EQ) /* doubles a, b */                   \
    O(JUMP_INT_LT) O(JUMP_INT_LE) O(JUMP_INT_EQ) O(JUMP_INT_NOT_LT) O(JUMP_INT_NOT_LE) O(JUMP_INT_NOT_EQ)              \
    O(MOVE) O(ADD) O(SUB) O(MUL) O(DIV) O(POW) O(NEG) O(ABS) O(CEIL) O(FLOOR) O(ROUND) O(MIN) O(MAX)                   \
    O(MEDIAN) /* of the b doubles from a on, which it sorts */                                                         \
    O(INT_ADD) O(INT_SUB) O(INT_MUL) O(INT_MOD) O(INT_NEG) O(INT_ABS) O(INT_MIN) O(INT_MAX) O(TO_FLOAT) O(TO_INT)
/* clang-format on */

enum numeric_op {
#define O(name) NUMERIC_##name,
    NUMERIC_OPS(O)
#undef O
};

/* d = a op b; jump: where the jumping ones go. */
struct instruction {
    uint8_t op, d, a, b;
    uint32_t jump;
};

union reg {
    double f;
    int64_t i;
};

enum {
    COPIED_AT_ONCE = 4,
    FRAME_MAX = 256,
    STATE_BASE = 0xfff0,
    NO_VARIABLE = 0xffff
}; /* variable indices from STATE_BASE on are fields of formula_state */

struct numeric_variable {
    uint16_t index;
    bool strict; /* used as a number somewhere: a nil must be handled by the general path */
};

struct numeric {
    uint16_t variable_count, constant_count;
    uint32_t code_count : 31, uses_state : 1;
    /* followed by union reg constants[], struct instruction code[], struct numeric_variable variables[] */
};

static const union reg *constants_of(const struct numeric *n)
{
    return (const union reg *)(n + 1);
}

static const struct instruction *code_of(const struct numeric *n)
{
    return (const struct instruction *)(constants_of(n) + n->constant_count);
}

static const struct numeric_variable *variables_of(const struct numeric *n)
{
    return (const struct numeric_variable *)(code_of(n) + n->code_count);
}

/* ---- compiling ---- */

/* While compiling, a register has its bank in the high byte: how many triggers and constants there are is known at the end. */
enum { BANK_VARIABLE = 0x000, BANK_CONSTANT = 0x100, BANK_TEMPORARY = 0x200, ANYWHERE = 0xffff };

struct draft {
    uint8_t op;
    uint16_t d, a, b;
    uint32_t jump;
};

enum { NO_JUMP = UINT32_MAX }; /* ends a list of jumps still to be aimed, linked through their `jump` */

struct builder {
    struct arena *arena;
    struct draft *code;
    uint32_t count, capacity;
    uint16_t variable_count, constant_count, temporaries, most_temporaries;
    bool failed;              /* more than the frame holds: the general path will do */
    uint16_t *local_register; /* of a let variable, by slot */
    struct numeric_variable variables[FRAME_MAX];
    union reg constants[FRAME_MAX];
};

static uint32_t put(struct builder *b, enum numeric_op op, uint16_t d, uint16_t x, uint16_t y)
{
    if (b->count == b->capacity) {
        struct draft *bigger = arena_alloc(b->arena, (size_t)b->capacity * 4 * sizeof(*bigger));

        memcpy(bigger, b->code, b->count * sizeof(*bigger));
        b->code = bigger;
        b->capacity *= 4;
    }
    if (b->count >= FORMULA_CODE_MAX) {
        b->failed = true;
        b->count = 0;
    }
    b->code[b->count] = (struct draft){(uint8_t)op, d, x, y, NO_JUMP};
    return b->count++;
}

static void put_jump(struct builder *b, enum numeric_op op, uint16_t x, uint16_t y, uint32_t *list)
{
    uint32_t at = put(b, op, 0, x, y);

    b->code[at].jump = *list;
    *list = at;
}

static void aim_here(struct builder *b, uint32_t list)
{
    while (list != NO_JUMP && !b->failed) {
        uint32_t next = b->code[list].jump;

        b->code[list].jump = b->count;
        list = next;
    }
}

static uint16_t constant(struct builder *b, union reg value)
{
    for (uint16_t i = 0; i < b->constant_count; i++)
        if (b->constants[i].i == value.i)
            return BANK_CONSTANT | i;
    if (b->constant_count >= FRAME_MAX) {
        b->failed = true;
        return BANK_CONSTANT;
    }
    b->constants[b->constant_count] = value;
    return BANK_CONSTANT | b->constant_count++;
}

static uint16_t constant_int(struct builder *b, int64_t i)
{
    return constant(b, (union reg){.i = i});
}
static uint16_t constant_float(struct builder *b, double f)
{
    return constant(b, (union reg){.f = f});
}

static uint16_t variable(struct builder *b, const struct node *n, bool strict)
{
    uint16_t index = (uint16_t)(n->kind == NODE_STATE ? STATE_BASE + n->integer : n->integer);

    for (uint16_t i = 0; i < b->variable_count; i++)
        if (b->variables[i].index == index) {
            b->variables[i].strict |= strict;
            return BANK_VARIABLE | i;
        }
    if (b->variable_count >= FRAME_MAX) {
        b->failed = true;
        return BANK_VARIABLE;
    }
    b->variables[b->variable_count] = (struct numeric_variable){index, strict};
    return BANK_VARIABLE | b->variable_count++;
}

static uint16_t temporary(struct builder *b)
{
    if (b->temporaries >= FRAME_MAX - 1) {
        b->failed = true;
        return BANK_TEMPORARY;
    }
    if (++b->temporaries > b->most_temporaries)
        b->most_temporaries = b->temporaries;
    return (uint16_t)(BANK_TEMPORARY | (b->temporaries - 1));
}

static uint16_t target(struct builder *b, uint16_t wanted)
{
    return wanted == ANYWHERE ? temporary(b) : wanted;
}

static uint16_t settle(struct builder *b, uint16_t at, uint16_t wanted)
{
    if (wanted == ANYWHERE || wanted == at)
        return at;
    put(b, NUMERIC_MOVE, wanted, at, 0);
    return wanted;
}

/* EITHER is held as a double. */
static enum rep held_as(const struct node *n)
{
    return n->rep == REP_EITHER ? REP_FLOAT : (enum rep)n->rep;
}

static uint16_t emit(struct builder *b, const struct node *n, enum rep want, uint16_t wanted);
static void branch(struct builder *b, const struct node *n, bool sense, uint32_t *list);

static uint16_t emit_pair(struct builder *b, enum numeric_op op, const struct node *x, const struct node *y,
                          enum rep want, uint16_t wanted)
{
    uint16_t mark = b->temporaries, left = emit(b, x, want, ANYWHERE), right = emit(b, y, want, ANYWHERE), d;

    b->temporaries = mark;
    d = target(b, wanted);
    put(b, op, d, left, right);
    return d;
}

static uint16_t emit_one(struct builder *b, enum numeric_op op, const struct node *x, enum rep want, uint16_t wanted)
{
    uint16_t mark = b->temporaries, operand = emit(b, x, want, ANYWHERE), d;

    b->temporaries = mark;
    d = target(b, wanted);
    put(b, op, d, operand, 0);
    return d;
}

/* ---- conditions ---- */

static void branch_comparison(struct builder *b, enum numeric_op op, const struct node *x, const struct node *y,
                              uint32_t *list)
{
    bool ints = held_as(x) != REP_FLOAT && held_as(y) != REP_FLOAT; /* bools compare as ints */
    enum rep want = ints ? held_as(x) : REP_FLOAT;
    uint16_t mark = b->temporaries, left = emit(b, x, want, ANYWHERE), right = emit(b, y, want, ANYWHERE);

    b->temporaries = mark;
    put_jump(b, ints ? (enum numeric_op)(op + (NUMERIC_JUMP_INT_LT - NUMERIC_JUMP_LT)) : op, left, right, list);
}

/* x == nil, x being a trigger. */
static void branch_nil(struct builder *b, const struct node *n, bool sense, uint32_t *list)
{
    uint16_t x = variable(b, n->a->rep == REP_NIL ? n->b : n->a, false);
    uint32_t skip = NO_JUMP;

    if (sense == (n->op == OP_EQ)) {
        put_jump(b, NUMERIC_JUMP_NIL, x, 0, list);
        return;
    }
    put_jump(b, NUMERIC_JUMP_NIL, x, 0, &skip);
    put_jump(b, NUMERIC_JUMP, 0, 0, list);
    aim_here(b, skip);
}

/* x && y when false, x || y when true: either side may jump. The other two: the left side may skip the right one. */
static void branch_logic(struct builder *b, const struct node *n, bool sense, uint32_t *list)
{
    bool either = sense == (n->op == OP_OR);
    uint32_t skip = NO_JUMP;

    branch(b, n->a, either ? sense : !sense, either ? list : &skip);
    branch(b, n->b, sense, list);
    aim_here(b, skip);
}

static void branch(struct builder *b, const struct node *n, bool sense, uint32_t *list)
{
    int known = decided(n);
    uint16_t mark = b->temporaries;

    if (known >= 0) {
        if ((known == 1) == sense)
            put_jump(b, NUMERIC_JUMP, 0, 0, list);
        return;
    }
    if (n->kind == NODE_UNARY) {
        branch(b, n->a, !sense, list);
        return;
    }
    switch (n->kind == NODE_BINARY ? n->op : OP_NONE) {
    case OP_AND:
    case OP_OR:
        branch_logic(b, n, sense, list);
        return;
    case OP_LT:
        branch_comparison(b, sense ? NUMERIC_JUMP_LT : NUMERIC_JUMP_NOT_LT, n->a, n->b, list);
        return;
    case OP_LE:
        branch_comparison(b, sense ? NUMERIC_JUMP_LE : NUMERIC_JUMP_NOT_LE, n->a, n->b, list);
        return;
    case OP_GT:
        branch_comparison(b, sense ? NUMERIC_JUMP_LT : NUMERIC_JUMP_NOT_LT, n->b, n->a, list);
        return;
    case OP_GE:
        branch_comparison(b, sense ? NUMERIC_JUMP_LE : NUMERIC_JUMP_NOT_LE, n->b, n->a, list);
        return;
    case OP_EQ:
    case OP_NE:
        if (n->a->rep == REP_NIL || n->b->rep == REP_NIL)
            branch_nil(b, n, sense, list);
        else
            branch_comparison(b, sense == (n->op == OP_EQ) ? NUMERIC_JUMP_EQ : NUMERIC_JUMP_NOT_EQ, n->a, n->b, list);
        return;
    default: {
        uint16_t x = emit(b, n, REP_BOOL, ANYWHERE);

        b->temporaries = mark;
        put_jump(b, sense ? NUMERIC_JUMP_TRUE : NUMERIC_JUMP_FALSE, x, 0, list);
    }
    }
}

/* ---- values ---- */

static uint16_t emit_condition(struct builder *b, const struct node *n, uint16_t wanted)
{
    uint16_t d = target(b, wanted);
    uint32_t no = NO_JUMP, end = NO_JUMP;

    branch(b, n, false, &no);
    put(b, NUMERIC_MOVE, d, constant_int(b, 1), 0);
    put_jump(b, NUMERIC_JUMP, 0, 0, &end);
    aim_here(b, no);
    put(b, NUMERIC_MOVE, d, constant_int(b, 0), 0);
    aim_here(b, end);
    return d;
}

static uint16_t emit_conditional(struct builder *b, const struct node *n, enum rep want, uint16_t wanted)
{
    int known = decided(n->a);
    uint32_t no = NO_JUMP, end = NO_JUMP;
    uint16_t d;

    if (known >= 0)
        return emit(b, known ? n->b : n->c, want, wanted);
    d = target(b, wanted);
    branch(b, n->a, false, &no);
    emit(b, n->b, want, d);
    put_jump(b, NUMERIC_JUMP, 0, 0, &end);
    aim_here(b, no);
    emit(b, n->c, want, d);
    aim_here(b, end);
    return d;
}

/* x ?? y: only a trigger that stands directly before ?? may be nil here, also in a ?? b ?? c, which is (a ?? b) ?? c. */
static void emit_alternatives(struct builder *b, const struct node *n, enum rep want, uint16_t d, uint32_t *end)
{
    uint32_t nil = NO_JUMP;

    if (n->kind == NODE_BINARY && n->op == OP_COALESCE) {
        emit_alternatives(b, n->a, want, d, end);
        emit_alternatives(b, n->b, want, d, end);
        return;
    }
    if (n->kind != NODE_NAME && n->kind != NODE_STATE) {
        emit(b, n, want, d);
        put_jump(b, NUMERIC_JUMP, 0, 0, end);
        return;
    }
    put_jump(b, NUMERIC_JUMP_NIL, variable(b, n, false), 0, &nil);
    put(b, NUMERIC_MOVE, d, variable(b, n, false), 0);
    put_jump(b, NUMERIC_JUMP, 0, 0, end);
    aim_here(b, nil);
}

static uint16_t emit_coalesce(struct builder *b, const struct node *n, enum rep want, uint16_t wanted)
{
    uint16_t d = target(b, wanted);
    uint32_t end = NO_JUMP;

    emit_alternatives(b, n->a, want, d, &end);
    emit(b, n->b, want, d);
    aim_here(b, end);
    return d;
}

static uint16_t emit_arithmetic(struct builder *b, const struct node *n, uint16_t wanted)
{
    static const uint8_t floats[] = {[OP_ADD] = NUMERIC_ADD,
                                     [OP_SUB] = NUMERIC_SUB,
                                     [OP_MUL] = NUMERIC_MUL,
                                     [OP_DIV] = NUMERIC_DIV,
                                     [OP_POW] = NUMERIC_POW};
    static const uint8_t ints[] = {
        [OP_ADD] = NUMERIC_INT_ADD, [OP_SUB] = NUMERIC_INT_SUB, [OP_MUL] = NUMERIC_INT_MUL, [OP_MOD] = NUMERIC_INT_MOD};
    enum rep held = held_as(n);

    return emit_pair(b, (enum numeric_op)(held == REP_INT ? ints[n->op] : floats[n->op]), n->a, n->b, held, wanted);
}

/* min, max: the running winner. mean: the running sum, which starts as 0.0. */
static uint16_t emit_running(struct builder *b, const struct node *n, uint16_t wanted)
{
    bool mean = n->integer == BUILTIN_MEAN, most = n->integer == BUILTIN_MAX;
    enum rep held = held_as(n);
    enum numeric_op op = mean              ? NUMERIC_ADD
                         : held == REP_INT ? (most ? NUMERIC_INT_MAX : NUMERIC_INT_MIN)
                                           : (most ? NUMERIC_MAX : NUMERIC_MIN);
    uint16_t d = target(b, wanted), mark = b->temporaries, running = mean ? constant_float(b, 0) : ANYWHERE;
    int64_t count = 0;

    for (const struct node *a = n->list; a; a = a->next)
        for (const struct node *e = is_list(a) ? a->list : a; e; e = is_list(a) ? e->next : NULL, count++) {
            uint16_t x = emit(b, e, held, ANYWHERE);

            b->temporaries = mark;
            if (running != ANYWHERE)
                put(b, op, d, running, x);
            else
                settle(b, x, d);
            running = d;
        }
    if (mean)
        put(b, NUMERIC_DIV, d, d, constant_float(b, (double)count));
    return d;
}

static uint16_t emit_median(struct builder *b, const struct node *n, uint16_t wanted)
{
    uint16_t mark = b->temporaries, first = BANK_TEMPORARY | mark, d;

    for (const struct node *a = n->list; a; a = a->next)
        for (const struct node *e = is_list(a) ? a->list : a; e; e = is_list(a) ? e->next : NULL) {
            uint16_t place = temporary(b);

            emit(b, e, REP_FLOAT, place);
        }
    d = (uint16_t)(b->temporaries - mark); /* how many */
    b->temporaries = mark;
    put(b, NUMERIC_MEDIAN, target(b, wanted), first, d);
    return b->code[b->count - 1].d;
}

/* x1 + (x2 + (... + xk)): evaluated from the left, added from the right. */
static uint16_t emit_list_sum(struct builder *b, const struct node *n, uint16_t wanted)
{
    enum rep held = held_as(n);
    enum numeric_op op = held == REP_INT ? NUMERIC_INT_ADD : NUMERIC_ADD;
    uint16_t d = target(b, wanted), mark = b->temporaries;
    uint16_t *at = arena_alloc(b->arena, n->a->count * sizeof(*at));
    uint32_t count = 0;

    for (const struct node *e = n->a->list; e; e = e->next)
        at[count++] = emit(b, e, held, ANYWHERE);
    b->temporaries = mark;
    put(b, op, d, at[count - 2], at[count - 1]);
    for (uint32_t i = count - 2; i-- > 0;)
        put(b, op, d, at[i], d);
    return d;
}

static uint16_t emit_call(struct builder *b, const struct node *n, enum rep want, uint16_t wanted)
{
    const struct node *x = n->list;

    switch (n->integer) {
    case BUILTIN_MAX:
    case BUILTIN_MIN:
    case BUILTIN_MEAN:
        return emit_running(b, n, wanted);
    case BUILTIN_MEDIAN:
        return emit_median(b, n, wanted);
    case BUILTIN_ABS:
        return emit_one(b, held_as(n) == REP_INT ? NUMERIC_INT_ABS : NUMERIC_ABS, x, held_as(n), wanted);
    case BUILTIN_CEIL:
        return emit_one(b, NUMERIC_CEIL, x, REP_FLOAT, wanted);
    case BUILTIN_FLOOR:
        return emit_one(b, NUMERIC_FLOOR, x, REP_FLOAT, wanted);
    case BUILTIN_ROUND:
        return emit_one(b, NUMERIC_ROUND, x, REP_FLOAT, wanted);
    case BUILTIN_INT:
        return held_as(x) == REP_INT ? emit(b, x, want, wanted) : emit_one(b, NUMERIC_TO_INT, x, REP_FLOAT, wanted);
    default:
        return emit(b, x, REP_FLOAT, wanted);
    }
}

static uint16_t emit_clamp(struct builder *b, const struct node *n, uint16_t wanted)
{
    const struct node *x = n->list;
    uint16_t d = target(b, wanted), mark = b->temporaries, value = emit(b, x, REP_FLOAT, ANYWHERE);
    uint16_t low = emit(b, x->next, REP_FLOAT, ANYWHERE), high = emit(b, x->next->next, REP_FLOAT, ANYWHERE);

    b->temporaries = mark;
    put(b, NUMERIC_MAX, d, value, low);
    put(b, NUMERIC_MIN, d, d, high);
    return d;
}

static void bind(struct builder *b, const struct node *let)
{
    const struct node *value = let->a;
    bool movable =
        value->kind == NODE_NAME || value->kind == NODE_STATE || value->kind == NODE_INT || value->kind == NODE_FLOAT;

    b->local_register[let->slot] =
        movable ? emit(b, value, held_as(value), ANYWHERE) : emit(b, value, held_as(value), temporary(b));
}

static uint16_t emit_let(struct builder *b, const struct node *n, enum rep want, uint16_t wanted)
{
    uint16_t d = target(b, wanted), mark = b->temporaries;

    bind(b, n);
    emit(b, n->b, want, d);
    b->temporaries = mark;
    return d;
}

static uint16_t emit(struct builder *b, const struct node *n, enum rep want, uint16_t wanted)
{
    /* Ints become doubles here, as late as possible; literals at once, and choices in their branches. */
    if (want == REP_FLOAT && n->rep == REP_INT && n->kind != NODE_INT && n->kind != NODE_CONDITIONAL &&
        n->kind != NODE_LET)
        return emit_one(b, NUMERIC_TO_FLOAT, n, REP_INT, wanted);
    switch (n->kind) {
    case NODE_BOOL:
        return settle(b, constant_int(b, n->integer), wanted);
    case NODE_INT:
        return settle(b, want == REP_FLOAT ? constant_float(b, (double)n->integer) : constant_int(b, n->integer),
                      wanted);
    case NODE_FLOAT:
        return settle(b, constant_float(b, n->number), wanted);
    case NODE_NAME:
    case NODE_STATE:
        return settle(b, variable(b, n, true), wanted);
    case NODE_LOCAL:
        return settle(b, b->local_register[n->integer], wanted);
    case NODE_CONDITIONAL:
        return emit_conditional(b, n, want, wanted);
    case NODE_LET:
        return emit_let(b, n, want, wanted);
    case NODE_CALL:
        return emit_call(b, n, want, wanted);
    case NODE_LOOP:
        return emit_list_sum(b, n, wanted);
    case NODE_EXTENSION:
        return emit_clamp(b, n, wanted);
    default:
        break;
    }
    if (n->rep == REP_BOOL)
        return emit_condition(b, n, wanted);
    if (n->kind == NODE_UNARY)
        return emit_one(b, held_as(n) == REP_INT ? NUMERIC_INT_NEG : NUMERIC_NEG, n->a, held_as(n), wanted);
    return n->op == OP_COALESCE ? emit_coalesce(b, n, want, wanted) : emit_arithmetic(b, n, wanted);
}

/* The value of n is the value of the formula. */
static void emit_tail(struct builder *b, const struct node *n, enum rep want)
{
    uint32_t no = NO_JUMP;
    uint16_t at;

    if (n->kind == NODE_CONDITIONAL) {
        int known = decided(n->a);

        if (known >= 0) {
            emit_tail(b, known ? n->b : n->c, want);
            return;
        }
        branch(b, n->a, false, &no);
        emit_tail(b, n->b, want);
        aim_here(b, no);
        emit_tail(b, n->c, want);
    } else if (n->kind == NODE_LET) {
        bind(b, n);
        emit_tail(b, n->b, want);
    } else if (n->kind == NODE_CALL && n->integer == BUILTIN_FLOAT) {
        emit_tail(b, n->list, REP_FLOAT);
    } else {
        at = emit(b, n, want, ANYWHERE);
        put(b,
            want == REP_FLOAT ? NUMERIC_RETURN_FLOAT
            : want == REP_INT ? NUMERIC_RETURN_INT
                              : NUMERIC_RETURN_BOOL,
            0, at, 0);
    }
}

/* ---- from draft to code ---- */

static uint8_t place_of(const struct builder *b, uint16_t reg)
{
    uint16_t index = reg & 0xff;

    switch (reg & 0xff00) {
    case BANK_CONSTANT:
        return (uint8_t)(b->variable_count + index);
    case BANK_TEMPORARY:
        return (uint8_t)(b->variable_count + b->constant_count + index);
    default:
        return (uint8_t)index;
    }
}

static struct numeric *assemble(const struct builder *b, size_t *bytes)
{
    struct numeric *n;
    struct instruction *code;

    *bytes = sizeof(*n) + b->constant_count * sizeof(union reg) + b->count * sizeof(*code) +
             b->variable_count * sizeof(struct numeric_variable) + COPIED_AT_ONCE * sizeof(union reg);
    n = mem_alloc(*bytes);
    n->variable_count = b->variable_count;
    n->constant_count = b->constant_count;
    n->code_count = b->count & 0x7fffffff;
    for (uint16_t i = 0; i < b->variable_count; i++)
        n->uses_state |= b->variables[i].index >= STATE_BASE;
    memcpy(n + 1, b->constants, b->constant_count * sizeof(union reg));
    code = (struct instruction *)((union reg *)(n + 1) + b->constant_count);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct draft *from = &b->code[i];
        uint8_t second = from->op == NUMERIC_MEDIAN ? (uint8_t)from->b : place_of(b, from->b);

        code[i] = (struct instruction){from->op, place_of(b, from->d), place_of(b, from->a), second, from->jump};
    }
    memcpy(code + b->count, b->variables, b->variable_count * sizeof(struct numeric_variable));
    return n;
}

struct numeric *numeric_compile(struct compiler *c, struct node *root, size_t *bytes)
{
    struct builder b;

    if (root->rep != REP_BOOL && root->rep != REP_INT && root->rep != REP_FLOAT)
        return NULL;
    if (c->options->name_count >= STATE_BASE)
        return NULL;
    b.arena = c->arena;
    b.capacity = 32;
    b.code = arena_alloc(c->arena, b.capacity * sizeof(*b.code));
    b.count = 0;
    b.variable_count = b.constant_count = b.temporaries = b.most_temporaries = 0;
    b.failed = false;
    b.local_register = arena_alloc(c->arena, (c->slots + 1u) * sizeof(*b.local_register));
    emit_tail(&b, root, (enum rep)root->rep);
    if (b.failed || b.variable_count + b.constant_count + b.most_temporaries > FRAME_MAX)
        return NULL;
    return assemble(&b, bytes);
}

/* ---- running ---- */

static bool is_nil(const struct formula_env *env, uint16_t index)
{
    return index >= STATE_BASE ? env->state == NULL : env->nil && env->nil[index];
}

/* The triggers into the frame. false: one that matters is nil. */
static bool load_with_nils(const struct numeric *n, const struct formula_env *env, union reg *r)
{
    const struct numeric_variable *v = variables_of(n);

    for (uint16_t i = 0; i < n->variable_count; i++) {
        uint16_t index = v[i].index;

        r[i].f = 0;
        if (!is_nil(env, index))
            r[i].f = index >= STATE_BASE ? (&env->state->replicas)[index - STATE_BASE] : env->values[index];
        else if (v[i].strict)
            return false;
    }
    return true;
}

static inline bool load(const struct numeric *n, const struct formula_env *env, union reg *r)
{
    const struct numeric_variable *v = variables_of(n);
    const union reg *constants = constants_of(n);
    uint16_t count = n->variable_count;

    if (env->nil || n->uses_state) {
        if (!load_with_nils(n, env, r))
            return false;
    } else {
        for (uint16_t i = 0; i < count; i++)
            r[i].f = env->values[v[i].index];
    }
    for (uint16_t i = 0; i < n->constant_count; i += COPIED_AT_ONCE) /* beyond the last: room is kept at both ends */
        memcpy(r + count + i, constants + i, COPIED_AT_ONCE * sizeof(*r));
    return true;
}

static bool sorts_before(double x, double y)
{
    return x < y || (isnan(x) && !isnan(y));
}

/* NaNs sort first (8.2). */
static double median(union reg *values, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        double x = values[i].f;
        unsigned j = i;

        for (; j > 0 && sorts_before(x, values[j - 1].f); j--)
            values[j].f = values[j - 1].f;
        values[j].f = x;
    }
    return count % 2 ? values[count / 2].f : (values[count / 2 - 1].f + values[count / 2].f) / 2;
}

static void give(struct formula_result *result, enum formula_type type, double number, int64_t integer)
{
    result->value.type = type;
    result->value.number = number;
    result->value.integer = integer;
}

bool numeric_run(const struct numeric *code, const struct formula_env *env, struct formula_result *result)
{
    static const void *const labels[] = {
#define O(name) &&L_##name,
        NUMERIC_OPS(O)
#undef O
    };
    union reg r[FRAME_MAX + COPIED_AT_ONCE];
    const struct instruction *start = code_of(code), *i = start;

    if (!load(code, env, r))
        return false;
#define D  r[i->d]
#define A  r[i->a]
#define B  r[i->b]
#define GO goto *labels[i->op]
#define NEXT                                                                                                           \
    do {                                                                                                               \
        i++;                                                                                                           \
        GO;                                                                                                            \
    } while (0)
#define JUMP_IF(condition)                                                                                             \
    do {                                                                                                               \
        i = (condition) ? start + i->jump : i + 1;                                                                     \
        GO;                                                                                                            \
    } while (0)
    GO;
L_RETURN_FLOAT:
    give(result, FORMULA_NUMBER, A.f, 0);
    return true;
L_RETURN_INT:
    give(result, FORMULA_INT, (double)A.i, A.i);
    return true;
L_RETURN_BOOL:
    give(result, FORMULA_BOOL, (double)A.i, A.i);
    return true;
L_JUMP:
    i = start + i->jump;
    GO;
L_JUMP_NIL:
    JUMP_IF(is_nil(env, variables_of(code)[i->a].index));
L_JUMP_TRUE:
    JUMP_IF(A.i != 0);
L_JUMP_FALSE:
    JUMP_IF(A.i == 0);
L_JUMP_LT:
    JUMP_IF(A.f < B.f);
L_JUMP_LE:
    JUMP_IF(A.f <= B.f);
L_JUMP_EQ:
    JUMP_IF(A.f == B.f);
L_JUMP_NOT_LT:
    JUMP_IF(!(A.f < B.f));
L_JUMP_NOT_LE:
    JUMP_IF(!(A.f <= B.f));
L_JUMP_NOT_EQ:
    JUMP_IF(A.f != B.f);
L_JUMP_INT_LT:
    JUMP_IF(A.i < B.i);
L_JUMP_INT_LE:
    JUMP_IF(A.i <= B.i);
L_JUMP_INT_EQ:
    JUMP_IF(A.i == B.i);
L_JUMP_INT_NOT_LT:
    JUMP_IF(A.i >= B.i);
L_JUMP_INT_NOT_LE:
    JUMP_IF(A.i > B.i);
L_JUMP_INT_NOT_EQ:
    JUMP_IF(A.i != B.i);
L_MOVE:
    D = A;
    NEXT;
L_ADD:
    D.f = A.f + B.f;
    NEXT;
L_SUB:
    D.f = A.f - B.f;
    NEXT;
L_MUL:
    D.f = A.f * B.f;
    NEXT;
L_DIV:
    D.f = A.f / B.f;
    NEXT;
L_POW:
    D.f = lib_pow(A.f, B.f);
    NEXT;
L_NEG:
    D.f = -A.f;
    NEXT;
L_ABS:
    D.f = A.f < 0 ? -A.f : A.f;
    NEXT;
L_CEIL:
    D.f = ceil(A.f);
    NEXT;
L_FLOOR:
    D.f = floor(A.f);
    NEXT;
L_ROUND:
    D.f = lib_round(A.f);
    NEXT;
L_MIN:
    D.f = B.f < A.f ? B.f : A.f;
    NEXT;
L_MAX:
    D.f = B.f > A.f ? B.f : A.f;
    NEXT;
L_MEDIAN:
    D.f = median(&A, i->b);
    NEXT;
L_INT_ADD:
    D.i = (int64_t)((uint64_t)A.i + (uint64_t)B.i);
    NEXT;
L_INT_SUB:
    D.i = (int64_t)((uint64_t)A.i - (uint64_t)B.i);
    NEXT;
L_INT_MUL:
    D.i = (int64_t)((uint64_t)A.i * (uint64_t)B.i);
    NEXT;
L_INT_MOD:
    if (B.i == 0)
        return false;
    D.i = B.i == -1 ? 0 : A.i % B.i;
    NEXT;
L_INT_NEG:
    D.i = (int64_t)(0 - (uint64_t)A.i);
    NEXT;
L_INT_ABS:
    D.i = A.i < 0 ? (int64_t)(0 - (uint64_t)A.i) : A.i;
    NEXT;
L_INT_MIN:
    D.i = B.i < A.i ? B.i : A.i;
    NEXT;
L_INT_MAX:
    D.i = B.i > A.i ? B.i : A.i;
    NEXT;
L_TO_FLOAT:
    D.f = (double)A.i;
    NEXT;
L_TO_INT:
    D.i = lib_float_to_int(A.f);
    NEXT;
#undef D
#undef A
#undef B
#undef GO
#undef NEXT
#undef JUMP_IF
}

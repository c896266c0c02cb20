/*
 * range: see range.h. One walk over the nodes, bottom up; each gives a `reach`: bounds, and for every name whether it can
 * rise or fall with it.
 *
 *     conditions:  assume(a > 5, true) narrows a for the branch; undone behind it.
 *     guards:      names that a condition in force looks at. A divisor made of them counts as thought of, even where the
 *                  condition says nothing that narrows: whoever wrote `total(x) ? a / x : 0` has seen the 0.
 *     products:    p / x and x / p are remembered apart from sums, because a step controller (`replicas + step`) also rises
 *                  with the replicas and means no harm.
 *
 * Directions are kept as two sets of names. All pods share one bit, whichever name counts them.
 */
#include "formula/range.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "base/utf8.h"
#include "formula/formula_internal.h"
#include "formula/reach.h"

enum {
    RANGE_STEPS_MAX = 4 * FORMULA_NODES_MAX, /* comparison chains share operands, so nodes are met more than once */
    RANGE_DEPTH_MAX = 400,                   /* of nodes in each other; people write under 20 */
    RANGE_LOCALS_MAX = 32,                   /* let variables followed */
    RANGE_UNDO_MAX = 32,                     /* names that the conditions around one branch narrow */
    STATE_FIELDS = 6,
    PLACES = RANGE_NAMES_MAX + STATE_FIELDS, /* of the state behind the triggers */
};
#define ALL UINT64_MAX

enum state_field { STATE_REPLICAS, STATE_READY, STATE_PENDING, STATE_MIN, STATE_MAX, STATE_TARGET };

struct narrowed {
    int place;
    struct reach before;
};

struct walk {
    const char *source;
    size_t source_length;
    struct range_result *result;
    struct reach base[PLACES], env[PLACES]; /* as they are at any time; as the conditions around narrow them */
    struct reach locals[RANGE_LOCALS_MAX];
    uint64_t guards;
    bool any_time; /* within at_any_time() */
    struct narrowed undo[RANGE_UNDO_MAX];
    size_t undo_count;
    int depth;
    uint32_t steps;
};

/* ------------------------------------------------------------------ what a condition says */

static int place_of(const struct node *n)
{
    if (n->kind == NODE_NAME)
        return n->integer < RANGE_NAMES_MAX ? (int)n->integer : -1;
    return n->kind == NODE_STATE ? RANGE_NAMES_MAX + (int)n->integer : -1;
}

static void narrow(struct walk *w, int place, enum op op, const struct reach *than)
{
    struct reach now = w->env[place];

    if (w->undo_count == RANGE_UNDO_MAX || than->open || than->undefined)
        return;
    if (op == OP_GT || op == OP_GE || op == OP_EQ)
        now.low = fmax(now.low, than->low);
    if (op == OP_LT || op == OP_LE || op == OP_EQ)
        now.high = fmin(now.high, than->high);
    now.nonzero |= now.low > 0 || now.high < 0 || (op == OP_GT && than->low >= 0) || (op == OP_LT && than->high <= 0) ||
                   (op == OP_NE && than->low == 0 && than->high == 0);
    if (now.low > now.high)
        return; /* a branch that is never taken */
    w->undo[w->undo_count++] = (struct narrowed){place, w->env[place]};
    w->env[place] = now;
}

static void restore(struct walk *w, size_t count)
{
    while (w->undo_count > count) {
        struct narrowed *n = &w->undo[--w->undo_count];

        w->env[n->place] = n->before;
    }
}

static enum op opposite(enum op op)
{
    return op == OP_LT   ? OP_GE
           : op == OP_GE ? OP_LT
           : op == OP_GT ? OP_LE
           : op == OP_LE ? OP_GT
           : op == OP_EQ ? OP_NE
           : op == OP_NE ? OP_EQ
                         : OP_NONE;
}

static enum op mirrored(enum op op)
{
    return op == OP_LT ? OP_GT : op == OP_GT ? OP_LT : op == OP_LE ? OP_GE : op == OP_GE ? OP_LE : op;
}

static struct reach value_of(struct walk *w, const struct node *n);

static void assume(struct walk *w, const struct node *n, bool truth, int depth)
{
    enum op op = truth ? (enum op)n->op : opposite((enum op)n->op);

    if (depth > RANGE_DEPTH_MAX)
        return;
    if (n->kind == NODE_UNARY && n->op == OP_NOT) {
        assume(w, n->a, !truth, depth + 1);
    } else if (n->kind == NODE_BINARY && n->op == (truth ? OP_AND : OP_OR)) {
        assume(w, n->a, truth, depth + 1);
        assume(w, n->b, truth, depth + 1);
    } else if (n->kind == NODE_BINARY && opposite((enum op)n->op) != OP_NONE) {
        int left = place_of(n->a), right = place_of(n->b);
        struct reach than;

        if (left >= 0) {
            than = value_of(w, n->b);
            narrow(w, left, op, &than);
        }
        if (right >= 0) {
            than = value_of(w, n->a);
            narrow(w, right, mirrored(op), &than);
        }
    }
}

/* ------------------------------------------------------------------ what is noted on the way */

static void note_divisor(struct walk *w, const struct node *n, const struct reach *v)
{
    struct range_result *r = w->result;
    struct range_divisor *d;
    size_t begin = n->begin, end = n->end > w->source_length ? w->source_length : n->end, length;

    if (r->divisor_count == RANGE_DIVISORS_MAX || v->open || (v->names == 0 && v->low != 0))
        return;
    d = &r->divisors[r->divisor_count++];
    *d = (struct range_divisor){.name = -1,
                                .pods = ((v->up | v->down) & REACH_PODS) != 0,
                                .zero = v->low <= 0 && v->high >= 0 && !v->nonzero && (v->names & w->guards) == 0,
                                .quotient = n->kind == NODE_BINARY && n->op == OP_DIV};
    length = begin < end ? end - begin : 0;
    if (length >= sizeof(d->text))
        length = utf8_valid_prefix(w->source + begin, sizeof(d->text) - 1);
    memcpy(d->text, w->source + begin, length);
    for (int i = 0; i < RANGE_NAMES_MAX && d->name < 0; i++) {
        if ((v->names >> i & 1) && !w->env[i].nonzero && w->env[i].low <= 0)
            d->name = i;
    }
}

static void note_window(struct walk *w, const struct extension_info *x, const struct node *call)
{
    struct range_result *r = w->result;
    const struct node *argument = call->list;
    int64_t ns;

    if (r->window_count == RANGE_WINDOWS_MAX || !argument || argument->kind != NODE_NAME)
        return;
    for (const char *letter = x->arguments; argument && *letter; letter++, argument = argument->next) {
        if (*letter != 'w')
            continue;
        if (argument->kind == NODE_STRING && duration_parse_ns(argument->string.bytes, argument->string.length, &ns))
            ns /= 1000 * 1000;
        else if (argument->kind == NODE_INT && argument->integer > 0 && argument->integer < INT32_MAX)
            ns = argument->integer * 1000;
        else
            return;
        r->windows[r->window_count++] = (struct range_window){x->name, (int)call->list->integer, ns};
        return;
    }
}

/* ------------------------------------------------------------------ nodes */

static struct reach children_of(struct walk *w, const struct node *n)
{
    struct reach r = reach_unknown(), v;
    const struct node *parts[] = {n->a, n->b, n->c};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!parts[i])
            continue;
        v = value_of(w, parts[i]);
        reach_follow_both(&r, &v);
    }
    for (const struct node *item = n->list; item; item = item->next) {
        v = value_of(w, item);
        reach_follow_both(&r, &v);
    }
    r.open = true;
    return r;
}

static struct reach boolean(const struct reach *a, const struct reach *b)
{
    struct reach r = reach_between(0, 1);

    r.names = a->names | b->names;
    r.undefined = a->undefined || b->undefined;
    return r;
}

/* a > b rises with a and falls with b; of == and != nothing is said. */
static struct reach comparison(struct walk *w, const struct node *n)
{
    struct reach a = value_of(w, n->a), b = value_of(w, n->b), r = boolean(&a, &b);
    bool less = n->op == OP_LT || n->op == OP_LE;

    if (n->op == OP_EQ || n->op == OP_NE) {
        if (n->a->kind == NODE_NIL || n->b->kind == NODE_NIL)
            w->result->covered |= r.names;
        r.up = r.down = a.up | a.down | b.up | b.down;
        return r;
    }
    r.up = less ? a.down | b.up : a.up | b.down;
    r.down = less ? a.up | b.down : a.down | b.up;
    return r;
}

static struct reach logical(struct walk *w, const struct node *n)
{
    struct reach a = value_of(w, n->a), b, r;
    size_t undo = w->undo_count;
    uint64_t guards = w->guards;

    w->guards |= a.names;
    assume(w, n->a, n->op == OP_AND, 0);
    b = value_of(w, n->b);
    restore(w, undo);
    w->guards = guards;
    r = boolean(&a, &b);
    r.up = a.up | b.up;
    r.down = a.down | b.down;
    return r;
}

static struct reach coalesce(struct walk *w, const struct node *n)
{
    struct reach a = value_of(w, n->a), b;
    uint64_t guards = w->guards;

    w->result->covered |= a.names;
    w->guards |= a.names;
    b = n->b->kind == NODE_NIL ? a : value_of(w, n->b);
    w->guards = guards;
    return reach_join(a, b);
}

static struct reach binary(struct walk *w, const struct node *n)
{
    struct reach a, b;

    switch ((enum op)n->op) {
    case OP_AND:
    case OP_OR:
        return logical(w, n);
    case OP_COALESCE:
        return coalesce(w, n);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE:
        return comparison(w, n);
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD:
    case OP_POW:
        break;
    default:
        return children_of(w, n);
    }
    a = value_of(w, n->a);
    b = value_of(w, n->b);
    if (n->op == OP_DIV || n->op == OP_MOD)
        note_divisor(w, n->b, &b);
    return n->op == OP_ADD   ? reach_add(a, b)
           : n->op == OP_SUB ? reach_add(a, reach_negate(b))
           : n->op == OP_MUL ? reach_multiply(a, b)
           : n->op == OP_DIV ? reach_divide(a, b)
           : n->op == OP_MOD ? reach_remainder(a, b)
                             : reach_power(a, b);
}

static struct reach branch(struct walk *w, const struct node *condition, bool truth, const struct node *body)
{
    size_t undo = w->undo_count;
    struct reach v;

    assume(w, condition, truth, 0);
    v = body->kind == NODE_NIL ? reach_unknown() : value_of(w, body);
    restore(w, undo);
    return v;
}

static struct reach conditional(struct walk *w, const struct node *n)
{
    struct reach condition = value_of(w, n->a), yes, no, r, turned = reach_turned(condition);
    uint64_t guards = w->guards;

    w->guards |= condition.names;
    yes = branch(w, n->a, true, n->b);
    no = branch(w, n->a, false, n->c);
    w->guards = guards;
    r = n->b->kind == NODE_NIL ? no : n->c->kind == NODE_NIL ? yes : reach_join(yes, no);
    r.names |= condition.names;
    if (yes.low >= no.high)
        reach_follow(&r, &condition);
    else if (yes.high <= no.low)
        reach_follow(&r, &turned);
    else
        reach_follow_both(&r, &condition);
    r.open = (n->b->kind != NODE_NIL && yes.open) || (n->c->kind != NODE_NIL && no.open);
    return r;
}

static struct reach joined_list(struct walk *w, const struct node *list, enum builtin id)
{
    struct reach r = reach_unknown();
    bool any = false;

    for (const struct node *item = list; item; item = item->next) {
        struct reach v = item->kind == NODE_ARRAY && item->list ? joined_list(w, item->list, id) : value_of(w, item);

        r = !any                                     ? v
            : id == BUILTIN_MAX || id == BUILTIN_MIN ? reach_extreme(r, v, id == BUILTIN_MAX)
            : id == BUILTIN_SUM                      ? reach_add(r, v)
                                                     : reach_join(r, v);
        any = true;
    }
    return r;
}

static struct reach call(struct walk *w, const struct node *n)
{
    struct reach a;

    switch ((enum builtin)n->integer) {
    case BUILTIN_MAX:
    case BUILTIN_MIN:
    case BUILTIN_MEAN:
    case BUILTIN_MEDIAN:
        return joined_list(w, n->list, (enum builtin)n->integer);
    case BUILTIN_NOW:
        w->result->uses_clock = true;
        return children_of(w, n);
    default:
        break;
    }
    if (!n->list || n->list->next)
        return children_of(w, n);
    a = value_of(w, n->list);
    switch ((enum builtin)n->integer) {
    case BUILTIN_FLOAT:
        return a;
    case BUILTIN_CEIL:
        return reach_rounded(a, ceil);
    case BUILTIN_FLOOR:
        return reach_rounded(a, floor);
    case BUILTIN_ROUND:
        return reach_rounded(a, round);
    case BUILTIN_INT:
        return reach_int(a);
    case BUILTIN_ABS:
        return reach_absolute(a);
    default:
        return children_of(w, n);
    }
}

/* x >= high turns it on, x <= low off. */
static struct reach hysteresis(struct reach x, struct reach low, struct reach high)
{
    struct reach r = reach_between(0, 1), turned_low = reach_turned(low), turned_high = reach_turned(high);

    reach_follow(&r, &x);
    reach_follow(&r, &turned_low);
    reach_follow(&r, &turned_high);
    return r;
}

/* What a condition says holds now, and a window, an average or a memory has seen other times. */
static struct reach at_any_time(struct walk *w, const struct node *n)
{
    struct reach now[PLACES], v;
    bool outer = w->any_time;

    memcpy(now, w->env, sizeof(now));
    memcpy(w->env, w->base, sizeof(now));
    w->any_time = true;
    v = value_of(w, n);
    w->any_time = outer;
    memcpy(w->env, now, sizeof(now));
    return v;
}

static struct reach extension(struct walk *w, const struct node *n)
{
    const struct extension_info *x = &extension_table[n->integer];
    bool now = n->integer == EXTENSION_CLAMP;
    struct reach a = !n->list ? reach_unknown() : now ? value_of(w, n->list) : at_any_time(w, n->list);
    struct reach r = reach_between(-INFINITY, INFINITY);
    const struct node *second = n->list ? n->list->next : NULL, *third = second ? second->next : NULL;

    note_window(w, x, n);
    switch ((enum extension)n->integer) {
    case EXTENSION_CLAMP:
        return second && third ? reach_extreme(reach_extreme(a, value_of(w, second), true), value_of(w, third), false)
                               : r;
    case EXTENSION_HYSTERESIS:
        return second && third ? hysteresis(a, value_of(w, second), value_of(w, third)) : r;
    case EXTENSION_HELD:
    case EXTENSION_COOLDOWN:
        r = reach_between(0, 1);
        break;
    case EXTENSION_HOUR:
    case EXTENSION_MINUTE:
    case EXTENSION_WEEKDAY:
    case EXTENSION_BETWEEN:
        w->result->uses_clock = true;
        return reach_between(0, n->integer == EXTENSION_HOUR      ? 23
                                : n->integer == EXTENSION_MINUTE  ? 59
                                : n->integer == EXTENSION_WEEKDAY ? 6
                                                                  : 1);
    case EXTENSION_AGE:
    case EXTENSION_MISSING:
        w->result->covered |= a.names;
        r = reach_between(0, n->integer == EXTENSION_AGE ? INFINITY : 1);
        r.names = a.names;
        return r;
    case EXTENSION_RECENT:
        w->result->covered |= a.names;
        return a;
    case EXTENSION_AVG_OVER:
    case EXTENSION_MIN_OVER:
    case EXTENSION_MAX_OVER:
    case EXTENSION_QUANTILE_OVER:
    case EXTENSION_AGO:
    case EXTENSION_EMA:
        return a;
    case EXTENSION_SUM_OVER:
        r = reach_between(a.low >= 0 ? 0 : -INFINITY, a.high <= 0 ? 0 : INFINITY);
        break;
    case EXTENSION_STDDEV_OVER:
    case EXTENSION_RATE:
    case EXTENSION_INCREASE:
        r = reach_between(0, INFINITY);
        reach_follow_both(&r, &a);
        return r;
    case EXTENSION_DELTA:
    case EXTENSION_DERIV:
    case EXTENSION_PREDICT_LINEAR:
    case EXTENSION_COUNT_OF:
        reach_follow_both(&r, &a);
        return r;
    }
    reach_follow(&r, &a);
    return r;
}

static struct reach named(struct walk *w, const struct node *n)
{
    int place = place_of(n);

    if (n->kind == NODE_STATE && n->integer == STATE_TARGET)
        w->result->uses_target = true;
    else if (n->kind == NODE_STATE && n->integer <= STATE_PENDING)
        w->result->uses_replicas = true;
    return place >= 0 ? w->env[place] : reach_unknown();
}

/* A variable has the value of the moment. */
static struct reach local(struct walk *w, const struct node *n)
{
    struct reach v = n->integer < RANGE_LOCALS_MAX ? w->locals[n->integer] : reach_unknown();

    if (w->any_time) {
        v.low = -INFINITY;
        v.high = INFINITY;
        v.nonzero = false;
    }
    return v;
}

static struct reach let(struct walk *w, const struct node *n)
{
    struct reach v = value_of(w, n->a);

    if (n->slot < RANGE_LOCALS_MAX)
        w->locals[n->slot] = v;
    return value_of(w, n->b);
}

static struct reach unary(struct walk *w, const struct node *n)
{
    struct reach a = value_of(w, n->a), r;

    if (n->op == OP_NEG)
        return reach_negate(a);
    if (n->op != OP_NOT)
        return a;
    r = reach_turned(a);
    r.low = 0;
    r.high = 1;
    return r;
}

static struct reach inner(struct walk *w, const struct node *n)
{
    switch ((enum node_kind)n->kind) {
    case NODE_BOOL:
    case NODE_INT:
        return reach_constant((double)n->integer);
    case NODE_FLOAT:
        return reach_constant(n->number);
    case NODE_NAME:
    case NODE_STATE:
        return named(w, n);
    case NODE_LOCAL:
        return local(w, n);
    case NODE_LET:
        return let(w, n);
    case NODE_UNARY:
        return unary(w, n);
    case NODE_BINARY:
        return binary(w, n);
    case NODE_CONDITIONAL:
        return conditional(w, n);
    case NODE_CALL:
        return call(w, n);
    case NODE_EXTENSION:
        return extension(w, n);
    case NODE_CHAIN:
        return value_of(w, n->a);
    case NODE_LOOP:
        if (n->integer == BUILTIN_SUM && !n->b && n->a && n->a->kind == NODE_ARRAY && n->a->list)
            return joined_list(w, n->a->list, BUILTIN_SUM);
        return children_of(w, n);
    case NODE_ENV: {
        struct reach r = reach_unknown();

        r.names = r.up = r.down = ALL; /* as a whole: anything may be read */
        w->result->uses_clock = true;
        return r;
    }
    default:
        return children_of(w, n);
    }
}

static struct reach value_of(struct walk *w, const struct node *n)
{
    struct reach v;

    if (w->steps == RANGE_STEPS_MAX || w->depth == RANGE_DEPTH_MAX) {
        v = reach_unknown();
        v.names = v.up = v.down = ALL;
        return v;
    }
    w->steps++;
    w->depth++;
    v = inner(w, n);
    w->depth--;
    if (isnan(v.low) || isnan(v.high)) { /* constants that overflow, 0 / 0 */
        v.low = -INFINITY;
        v.high = INFINITY;
    }
    return v;
}

/* ------------------------------------------------------------------ the outermost arithmetic */

static bool is_number(const struct node *n, double *number)
{
    *number = n->kind == NODE_INT ? (double)n->integer : n->kind == NODE_FLOAT ? n->number : 0;
    return n->kind == NODE_INT || n->kind == NODE_FLOAT;
}

/* The one argument that is no constant, or NULL. */
static const struct node *only_argument(const struct node *n)
{
    const struct node *found = NULL;
    double ignored;

    for (const struct node *item = n->list; item; item = item->next) {
        if (is_number(item, &ignored) || item->kind == NODE_STATE)
            continue;
        if (found)
            return NULL;
        found = item;
    }
    return found;
}

static const struct node *peeled(const struct node *n, bool *counted)
{
    for (int i = 0; i < RANGE_DEPTH_MAX; i++) {
        const struct node *next = NULL;

        if (n->kind == NODE_CALL) {
            enum builtin id = (enum builtin)n->integer;

            *counted |= id == BUILTIN_CEIL;
            if (id == BUILTIN_CEIL || id == BUILTIN_FLOOR || id == BUILTIN_ROUND || id == BUILTIN_INT ||
                id == BUILTIN_FLOAT)
                next = n->list;
            else if (id == BUILTIN_MAX || id == BUILTIN_MIN)
                next = only_argument(n);
        } else if (n->kind == NODE_EXTENSION && n->integer == EXTENSION_CLAMP) {
            next = only_argument(n);
        }
        if (!next)
            return n;
        n = next;
    }
    return n;
}

static void find_shape(const struct node *root, struct range_result *out)
{
    const struct node *n = peeled(root, &out->counted), *rest = n;
    double number;

    if (n->kind == NODE_BINARY && n->op == OP_DIV && is_number(n->b, &number)) {
        out->divided_by = number;
        rest = n->a;
    } else if (n->kind == NODE_BINARY && n->op == OP_ADD && is_number(n->b, &number)) {
        out->added = number;
        rest = n->a;
    } else if (n->kind == NODE_BINARY && n->op == OP_ADD && is_number(n->a, &number)) {
        out->added = number;
        rest = n->b;
    }
    out->sole = rest->kind == NODE_NAME ? (int)rest->integer : -1;
}

/* ------------------------------------------------------------------ the whole */

static void set_state(struct walk *w, const struct formula_state *s)
{
    struct reach *state = &w->env[RANGE_NAMES_MAX];

    state[STATE_REPLICAS] = state[STATE_READY] = state[STATE_PENDING] = reach_between(0, s->max_replicas);
    state[STATE_MIN] = reach_constant(s->min_replicas);
    state[STATE_MAX] = reach_constant(s->max_replicas);
    state[STATE_TARGET] = reach_constant(s->target);
    for (int i = 0; i < STATE_FIELDS; i++)
        state[i].names = UINT64_C(1) << (RANGE_NAMES_MAX + i);
    state[STATE_REPLICAS].up = state[STATE_READY].up = REACH_PODS;
}

static void set_names(struct walk *w, const struct range_name *names, size_t count)
{
    for (size_t i = 0; i < count && i < RANGE_NAMES_MAX; i++) {
        w->env[i] = reach_between(names[i].low, names[i].high);
        w->env[i].names = UINT64_C(1) << i;
        w->env[i].up = names[i].pods ? REACH_PODS : w->env[i].names;
    }
}

void formula_range(const char *source, size_t length, const struct formula_options *options,
                   const struct range_name *names, const struct formula_state *state, struct range_result *out)
{
    struct formula_options plain = *options;
    struct walk w = {.source = source, .source_length = length, .result = out};
    struct compiler c;
    struct formula_error ignored;
    const struct node *root;
    struct reach v;

    memset(out, 0, sizeof(*out));
    out->sole = -1;
    plain.wrap = FORMULA_WRAP_NONE; /* so that places are those of the text */
    root = formula_parse(&c, source, length, &plain, &ignored);
    if (root) {
        set_state(&w, state);
        set_names(&w, names, options->name_count);
        memcpy(w.base, w.env, sizeof(w.base));
        v = value_of(&w, root);
        find_shape(root, out);
        out->known = true;
        out->low = v.low;
        out->high = v.high;
        out->undefined = v.undefined;
        out->rises = v.up & ~REACH_PODS;
        out->falls = v.down & ~REACH_PODS;
        out->rises_with_pods = (v.up & REACH_PODS) != 0;
        out->falls_with_pods = (v.down & REACH_PODS) != 0;
        out->feedback = v.product_up && !v.product_down && out->rises_with_pods && !out->falls_with_pods;
    }
    formula_parse_done(&c);
}

/*
 * check: the static types of expr-language.md 2, given to each node as it is made. A type is a prediction; where the
 * original predicts wrongly (6.3) so do we, because the prediction decides what compiles and which equality is used.
 *
 * Only the first fault is kept (compile_fault), and a node that has one gets the type "unknown", which passes every
 * later test.
 */
#include <stdio.h>
#include <string.h>

#include "formula/formula_internal.h"

static const char *kind_name(enum type_kind kind)
{
    switch (kind) {
    case TYPE_BOOL:
        return "bool";
    case TYPE_INT:
        return "int";
    case TYPE_UINT8:
        return "uint8";
    case TYPE_FLOAT:
        return "float64";
    case TYPE_STRING:
        return "string";
    case TYPE_MAP:
        return "map[string]interface {}";
    case TYPE_GROUPS:
        return "map[interface {}][]interface {}";
    case TYPE_TIME:
        return "time.Time";
    case TYPE_DURATION:
        return "time.Duration";
    case TYPE_MONTH:
        return "time.Month";
    case TYPE_WEEKDAY:
        return "time.Weekday";
    case TYPE_ZONE:
        return "*time.Location";
    case TYPE_FUNCTION:
        return "func";
    case TYPE_NIL:
        return "nil";
    case TYPE_UNKNOWN:
    case TYPE_ANY:
        return "unknown";
    }
    return "unknown";
}

const char *type_name(struct type t, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s", t.depth > 0 ? "[]interface {}" : kind_name((enum type_kind)t.kind));
    return buffer;
}

static bool is_bool(struct type t)
{
    return type_is(t, TYPE_BOOL);
}
static bool is_string(struct type t)
{
    return type_is(t, TYPE_STRING);
}
static bool is_time(struct type t)
{
    return type_is(t, TYPE_TIME);
}
static bool is_duration(struct type t)
{
    return type_is(t, TYPE_DURATION);
}
static bool is_nil(struct type t)
{
    return type_is(t, TYPE_NIL);
}
static bool is_array(struct type t)
{
    return t.depth > 0;
}
static bool is_map(struct type t)
{
    return type_is(t, TYPE_MAP) || type_is(t, TYPE_GROUPS);
}

/* What Go would call a numeric kind, named types of the time package included. */
static bool is_numeric_kind(struct type t)
{
    return type_is_number(t) || is_duration(t) || type_is(t, TYPE_MONTH) || type_is(t, TYPE_WEEKDAY);
}

enum { IS_NUMBER = 1, IS_INTEGER = 2, IS_STRING = 4, IS_BOOL = 8, IS_TIME = 16, IS_DURATION = 32, IS_BYTES = 64 };

static bool fits(struct type t, int kinds)
{
    return ((kinds & IS_NUMBER) && type_is_number(t)) || ((kinds & IS_INTEGER) && type_is_integer(t)) ||
           ((kinds & IS_STRING) && is_string(t)) || ((kinds & IS_BOOL) && is_bool(t)) ||
           ((kinds & IS_TIME) && is_time(t)) || ((kinds & IS_DURATION) && is_duration(t)) ||
           ((kinds & IS_BYTES) && t.depth == 1 && t.kind == TYPE_UINT8);
}

/* One side is not known, and the other is not either, or is of a kind the operator takes. */
static bool open_fits(struct type l, struct type r, int kinds)
{
    return (type_is_open(l) && (type_is_open(r) || fits(r, kinds))) || (type_is_open(r) && fits(l, kinds));
}

/* ---- operators ---- */

static void mismatch(struct compiler *c, struct node *n)
{
    char left[80], right[80];
    const char *symbol = c->lexer.text + n->place;
    int length = 1;

    while (length < 10 && (symbol[length] == symbol[0] || symbol[length] == '=' ||
                           ((symbol[0] | 0x20) >= 'a' && (symbol[0] | 0x20) <= 'z' && (symbol[length] | 0x20) >= 'a' &&
                            (symbol[length] | 0x20) <= 'z')))
        length++;
    compile_fault(c, FAULT_TYPE_MISMATCH, n->begin, n->end, n->place,
                  "invalid operation: %.*s (mismatched types %s and %s)%s", length, symbol,
                  type_name(n->a->type, left, sizeof(left)), type_name(n->b->type, right, sizeof(right)),
                  n->op == OP_MOD ? "; % takes whole numbers, use int(...)" : "");
    n->type = TYPE_OF(UNKNOWN);
}

static struct type wider(struct type l, struct type r)
{
    return type_is(l, TYPE_FLOAT) || type_is(r, TYPE_FLOAT) ? TYPE_OF(FLOAT) : TYPE_OF(INT);
}

static bool comparable(struct type l, struct type r)
{
    if (is_nil(l) || is_nil(r) || type_is_open(l) || type_is_open(r))
        return true;
    if (type_is_number(l) && type_is_number(r))
        return true;
    if (is_array(l) && is_array(r))
        return true;
    return type_same(l, r);
}

static bool check_add(struct type l, struct type r, struct type *out)
{
    if (type_is_number(l) && type_is_number(r))
        *out = wider(l, r);
    else if (is_string(l) && is_string(r))
        *out = TYPE_OF(STRING);
    else if ((is_time(l) && is_duration(r)) || (is_duration(l) && is_time(r)))
        *out = TYPE_OF(TIME);
    else if (is_duration(l) && is_duration(r))
        *out = TYPE_OF(DURATION);
    else if (open_fits(l, r, IS_NUMBER | IS_STRING | IS_TIME | IS_DURATION))
        *out = TYPE_OF(UNKNOWN);
    else
        return false;
    return true;
}

static bool check_subtract(struct type l, struct type r, struct type *out)
{
    if (type_is_number(l) && type_is_number(r))
        *out = wider(l, r);
    else if ((is_time(l) && is_time(r)) || (is_duration(l) && is_duration(r)))
        *out = TYPE_OF(DURATION);
    else if (is_time(l) && is_duration(r))
        *out = TYPE_OF(TIME);
    else if (open_fits(l, r, IS_NUMBER | IS_TIME | IS_DURATION))
        *out = TYPE_OF(UNKNOWN);
    else
        return false;
    return true;
}

static bool check_multiply(struct type l, struct type r, struct type *out)
{
    if (type_is_number(l) && type_is_number(r))
        *out = wider(l, r);
    else if ((is_duration(l) || type_is_number(l)) && (is_duration(r) || type_is_number(r)))
        *out = TYPE_OF(DURATION);
    else if (open_fits(l, r, IS_NUMBER | IS_DURATION))
        *out = TYPE_OF(UNKNOWN);
    else
        return false;
    return true;
}

static bool both_fit(struct type l, struct type r, int kinds)
{
    return (fits(l, kinds) && fits(r, kinds)) || open_fits(l, r, kinds);
}

static bool check_order(struct type l, struct type r)
{
    return (type_is_number(l) && type_is_number(r)) || (is_string(l) && is_string(r)) || (is_time(l) && is_time(r)) ||
           (is_duration(l) && is_duration(r)) || open_fits(l, r, IS_NUMBER | IS_STRING | IS_TIME | IS_DURATION);
}

static bool check_in(struct type l, struct type r)
{
    if (is_array(r))
        return comparable(l, (struct type){r.kind, (uint16_t)(r.depth - 1)});
    if (type_is(r, TYPE_MAP))
        return is_string(l) || type_is_open(l);
    if (type_is(r, TYPE_GROUPS) || type_is_open(r))
        return true;
    return type_is_open(l) && is_string(r);
}

static struct type check_coalesce(struct type l, struct type r)
{
    if (is_nil(l))
        return r;
    if (is_nil(r) || type_same(l, r) || (is_array(l) && is_array(r)))
        return l;
    return type_is(l, TYPE_ANY) && !type_is(r, TYPE_UNKNOWN) ? TYPE_OF(ANY) : TYPE_OF(UNKNOWN);
}

static bool check_matches(struct compiler *c, struct node *n)
{
    struct type l = n->a->type, r = n->b->type;
    struct lib_regex *regex;
    struct error err;

    if (!((fits(l, IS_STRING | IS_BYTES) && is_string(r)) || open_fits(l, r, IS_STRING)))
        return false;
    if (n->b->kind != NODE_STRING)
        return true;
    if (lib_regex_compile(n->b->string, &regex, &err))
        lib_regex_free(regex);
    else
        compile_fault(c, err.kind == ERROR_LIMIT ? FAULT_LIMIT : FAULT_BAD_REGEXP, n->b->begin, n->b->end, n->b->place,
                      "%s", err.text);
    return true;
}

void check_binary(struct compiler *c, struct node *n)
{
    struct type l = n->a->type, r = n->b->type;
    bool good;

    n->type = TYPE_OF(BOOL);
    switch (n->op) {
    case OP_OR:
    case OP_AND:
        good = both_fit(l, r, IS_BOOL);
        break;
    case OP_EQ:
    case OP_NE:
        good = comparable(l, r);
        break;
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE:
        good = check_order(l, r);
        break;
    case OP_IN:
        good = check_in(l, r);
        break;
    case OP_MATCHES:
        good = check_matches(c, n);
        break;
    case OP_CONTAINS:
    case OP_STARTS_WITH:
    case OP_ENDS_WITH:
        good = both_fit(l, r, IS_STRING);
        break;
    case OP_RANGE:
        good = both_fit(l, r, IS_INTEGER);
        n->type = (struct type){TYPE_INT, 1};
        break;
    case OP_ADD:
        good = check_add(l, r, &n->type);
        break;
    case OP_SUB:
        good = check_subtract(l, r, &n->type);
        break;
    case OP_MUL:
        good = check_multiply(l, r, &n->type);
        break;
    case OP_DIV:
    case OP_POW:
        good = both_fit(l, r, IS_NUMBER);
        n->type = TYPE_OF(FLOAT);
        break;
    case OP_MOD:
        good = both_fit(l, r, IS_INTEGER);
        n->type = TYPE_OF(INT);
        break;
    default:
        good = true;
        n->type = check_coalesce(l, r);
        break;
    }
    if (!good)
        mismatch(c, n);
}

void check_unary(struct compiler *c, struct node *n)
{
    struct type t = n->a->type;
    char name[80];

    n->type = n->op == OP_NOT ? TYPE_OF(BOOL) : t;
    if (type_is_open(t) || (n->op == OP_NOT ? is_bool(t) : type_is_number(t)))
        return;
    compile_fault(c, FAULT_TYPE_MISMATCH, n->begin, n->end, n->place, "invalid operation: %s (mismatched type %s)%s",
                  n->op == OP_NOT   ? "not"
                  : n->op == OP_NEG ? "-"
                                    : "+",
                  type_name(t, name, sizeof(name)),
                  n->op == OP_NOT && type_is_number(t) ? "; 'not' binds tighter than comparisons, write not (...)"
                                                       : "");
    n->type = TYPE_OF(UNKNOWN);
}

void check_condition(struct compiler *c, const struct node *condition)
{
    char name[80];

    if (!is_bool(condition->type) && !type_is_open(condition->type))
        compile_fault(c, FAULT_TYPE_MISMATCH, condition->begin, condition->end, condition->place,
                      "non-bool expression (type %s) used as condition; compare it with something, e.g. > 0",
                      type_name(condition->type, name, sizeof(name)));
}

void check_conditional(struct compiler *c, struct node *n)
{
    struct type x = n->b->type, y = n->c->type;

    (void)c;
    if (is_nil(x))
        n->type = y;
    else if (is_nil(y) || type_same(x, y))
        n->type = x;
    else if (is_array(x) && is_array(y))
        n->type = (struct type){TYPE_ANY, 1};
    else if (type_is(y, TYPE_ANY) && !type_is_open(x))
        n->type = x;
    else
        n->type = TYPE_OF(UNKNOWN);
}

/* ---- parts of values ---- */

static struct type element_of(struct type t)
{
    return t.depth > 0 ? (struct type){t.kind, (uint16_t)(t.depth - 1)} : TYPE_OF(UNKNOWN);
}

static struct type array_of(struct type t)
{
    return t.depth < UINT16_MAX ? (struct type){t.kind, (uint16_t)(t.depth + 1)} : (struct type){TYPE_UNKNOWN, 1};
}

static void bad_index(struct compiler *c, struct node *n, uint32_t place, const char *format, const char *a,
                      const char *b)
{
    char text[200];

    snprintf(text, sizeof(text), format, a, b);
    compile_fault(c, FAULT_BAD_INDEX, n->begin, n->end, place, "%s", text);
    n->type = TYPE_OF(UNKNOWN);
}

void check_index(struct compiler *c, struct node *n)
{
    struct type base = n->a->type, index = n->b->type;
    char left[80], right[80];

    type_name(base, left, sizeof(left));
    type_name(index, right, sizeof(right));
    if (type_is_open(base)) {
        n->type = TYPE_OF(UNKNOWN);
    } else if (is_array(base)) {
        n->type = element_of(base);
        if (!type_is_integer(index) && !type_is_open(index))
            bad_index(c, n, n->b->place, "array elements can only be selected using an integer (got %s)%s", right,
                      type_is(index, TYPE_FLOAT) ? "; use int(...)" : "");
    } else if (type_is(base, TYPE_GROUPS)) {
        n->type = (struct type){TYPE_ANY, 1};
    } else if (type_is(base, TYPE_MAP)) {
        n->type = TYPE_OF(ANY);
        if (!is_string(index) && !type_is_open(index))
            bad_index(c, n, n->b->place, "cannot use %s to get an element from %s", right, left);
    } else {
        bad_index(c, n, n->place, "type %s[%s] is undefined", left, right);
    }
}

void check_field(struct compiler *c, struct node *n)
{
    struct type base = n->a->type;
    char left[80], name[80];

    snprintf(name, sizeof(name), "%.*s", (int)(n->string.length > 60 ? 60 : n->string.length), n->string.bytes);
    if (type_is_open(base))
        n->type = TYPE_OF(UNKNOWN);
    else if (type_is(base, TYPE_MAP))
        n->type = TYPE_OF(ANY);
    else if (type_is(base, TYPE_GROUPS))
        n->type = (struct type){TYPE_ANY, 1};
    else if (base.depth == 0 && method_find((enum type_kind)base.kind, n->string.bytes, n->string.length) >= 0)
        n->type = TYPE_OF(FUNCTION);
    else if (is_array(base))
        bad_index(c, n, n->place, "array elements can only be selected using an integer (got string)%s%s", "", "");
    else
        bad_index(c, n, n->place, "type %s has no field %s", type_name(base, left, sizeof(left)), name);
}

static bool is_type_for(struct type t, char letter)
{
    switch (letter) {
    case 'd':
        return is_duration(t) || type_is_open(t);
    case 't':
        return is_time(t) || type_is_open(t);
    case 'i':
        return type_is_integer(t) || type_is_open(t);
    case 's':
        return is_string(t) || type_is_open(t);
    default:
        return type_is(t, TYPE_ZONE) || type_is_open(t);
    }
}

static void wrong_count(struct compiler *c, struct node *n, const char *name, size_t length)
{
    compile_fault(c, FAULT_ARG_COUNT, n->begin, n->end, n->place,
                  "wrong number of arguments in the call of %.*s (got %u)", (int)length, name, n->count);
    n->type = TYPE_OF(UNKNOWN);
    n->flags |= FLAG_FAULTY;
}

static void wrong_argument(struct compiler *c, struct node *n, const char *name, const struct node *argument)
{
    char type[80];

    compile_fault(c, FAULT_BAD_ARGUMENT, argument->begin, argument->end, argument->place,
                  "invalid argument for %s (type %s)%s", name, type_name(argument->type, type, sizeof(type)),
                  is_bool(argument->type) && n->kind == NODE_CALL && n->integer == BUILTIN_FLOAT
                      ? "; a formula must give a number, write (...) ? 1 : 0"
                      : "");
    n->type = TYPE_OF(UNKNOWN);
}

void check_method(struct compiler *c, struct node *n, struct span name)
{
    struct type base = n->a->type;
    const struct method_info *m;
    const struct node *argument = n->list;
    char left[80], label[40];
    int id;

    n->integer = -1;
    n->type = TYPE_OF(UNKNOWN);
    snprintf(label, sizeof(label), "%.*s", (int)(name.length > 30 ? 30 : name.length), name.bytes);
    if (type_is_open(base) || is_map(base))
        return;
    if (is_time(base) && (strcmp(label, "Date") == 0 || strcmp(label, "Clock") == 0)) {
        compile_fault(c, FAULT_NOT_CALLABLE, n->begin, n->end, n->place,
                      "%s returns more than two values; use Year, Month, Day ...", label);
        return;
    }
    id = base.depth > 0 ? -1 : method_find((enum type_kind)base.kind, name.bytes, name.length);
    if (id < 0) {
        bad_index(c, n, n->place, "type %s has no method %s", type_name(base, left, sizeof(left)), label);
        return;
    }
    m = &method_table[id];
    n->integer = id;
    n->type = (struct type){m->result, 0};
    if (n->count != strlen(m->arguments)) {
        wrong_count(c, n, name.bytes, name.length);
        return;
    }
    for (size_t i = 0; argument; argument = argument->next, i++)
        if (!is_type_for(argument->type, m->arguments[i])) {
            wrong_argument(c, n, label, argument);
            return;
        }
}

void check_slice(struct compiler *c, struct node *n)
{
    struct type base = n->a->type;
    const struct node *bounds[2] = {n->b, n->c};
    char left[80];

    n->type = base;
    if (!is_array(base) && !is_string(base) && !type_is_open(base)) {
        bad_index(c, n, n->place, "cannot slice %s%s", type_name(base, left, sizeof(left)), "");
        return;
    }
    if (type_is_open(base))
        n->type = TYPE_OF(UNKNOWN);
    for (int i = 0; i < 2; i++)
        if (bounds[i] && !type_is_integer(bounds[i]->type) && !type_is_open(bounds[i]->type)) {
            bad_index(c, n, bounds[i]->place, "non-integer slice index %s%s",
                      type_name(bounds[i]->type, left, sizeof(left)), "");
            return;
        }
}

/* All arrays are one kind; nil and unknown are one; any is a kind of its own (2.1). */
static int coarse_kind(struct type t)
{
    return t.depth > 0 ? -1 : type_is(t, TYPE_NIL) ? TYPE_UNKNOWN : t.kind;
}

void check_array(struct compiler *c, struct node *n)
{
    const struct node *last = n->list;
    bool same = true;

    (void)c;
    if (!last) {
        n->type = (struct type){TYPE_UNKNOWN, 1};
        return;
    }
    for (; last->next; last = last->next)
        same &= coarse_kind(last->type) == coarse_kind(last->next->type);
    n->type = same ? array_of(last->type) : (struct type){TYPE_ANY, 1};
}

/* ---- builtins ---- */

static bool is_split(const struct node *n)
{
    while (n && n->kind == NODE_LOCAL)
        n = n->b;
    return n && n->kind == NODE_CALL && (n->integer == BUILTIN_SPLIT || n->integer == BUILTIN_SPLIT_AFTER);
}

/* min, max, mean, median: numbers up to the first array or unknown argument; what follows is judged at run time. */
static void check_aggregate(struct compiler *c, struct node *n)
{
    n->type = n->list->type;
    for (const struct node *a = n->list; a; a = a->next) {
        if (is_array(a->type) || type_is_open(a->type)) {
            n->type = TYPE_OF(ANY);
            return;
        }
        if (!is_numeric_kind(a->type)) {
            wrong_argument(c, n, builtin_table[n->integer].name, a);
            return;
        }
    }
}

static void check_get(struct compiler *c, struct node *n)
{
    const struct node *base = n->list, *index = base->next;
    char left[80], right[80];

    n->type = TYPE_OF(UNKNOWN);
    type_name(base->type, left, sizeof(left));
    type_name(index->type, right, sizeof(right));
    if (type_is_open(base->type))
        return;
    if (is_array(base->type)) {
        n->type = element_of(base->type);
        if (!type_is_integer(index->type) && !type_is_open(index->type))
            bad_index(c, n, index->place, "non-integer index %s%s", right,
                      type_is(index->type, TYPE_FLOAT) ? "; use int(...)" : "");
    } else if (type_is(base->type, TYPE_GROUPS)) {
        n->type = (struct type){TYPE_ANY, 1};
    } else if (type_is(base->type, TYPE_MAP)) {
        n->type = TYPE_OF(ANY);
        if (!is_string(index->type) && !type_is_open(index->type))
            bad_index(c, n, index->place, "cannot use %s to get an element from %s", right, left);
    } else {
        bad_index(c, n, base->place, "type %s does not support indexing%s", left, "");
    }
}

/* What each builtin takes, a letter an argument (the last repeats), and gives. N a numeric kind, n one or text, s string, i int,
   a array, m map, L array, map or string, x anything. Results: s string, i int, f float, b bool, a array of any, m map,
   y any, p array of strings, t time, d duration, z zone, 1 the type of the first argument. */
static const struct {
    char takes[6];
    char gives;
} signatures[BUILTIN_COUNT_OF] = {
    [BUILTIN_LEN] = {"L", 'i'},
    [BUILTIN_TYPE] = {"x", 's'},
    [BUILTIN_ABS] = {"N", '1'},
    [BUILTIN_CEIL] = {"N", 'f'},
    [BUILTIN_FLOOR] = {"N", 'f'},
    [BUILTIN_ROUND] = {"N", 'f'},
    [BUILTIN_INT] = {"n", 'i'},
    [BUILTIN_FLOAT] = {"n", 'f'},
    [BUILTIN_STRING] = {"x", 's'},
    [BUILTIN_TRIM] = {"ss", 's'},
    [BUILTIN_TRIM_PREFIX] = {"ss", 's'},
    [BUILTIN_TRIM_SUFFIX] = {"ss", 's'},
    [BUILTIN_UPPER] = {"s", 's'},
    [BUILTIN_LOWER] = {"s", 's'},
    [BUILTIN_SPLIT] = {"ssi", 'p'},
    [BUILTIN_SPLIT_AFTER] = {"ssi", 'p'},
    [BUILTIN_REPLACE] = {"sssi", 's'},
    [BUILTIN_REPEAT] = {"si", 's'},
    [BUILTIN_JOIN] = {"as", 's'},
    [BUILTIN_INDEX_OF] = {"ss", 'i'},
    [BUILTIN_LAST_INDEX_OF] = {"ss", 'i'},
    [BUILTIN_HAS_PREFIX] = {"ss", 'b'},
    [BUILTIN_HAS_SUFFIX] = {"ss", 'b'},
    [BUILTIN_TO_JSON] = {"x", 's'},
    [BUILTIN_FROM_JSON] = {"s", 'y'},
    [BUILTIN_TO_BASE64] = {"s", 's'},
    [BUILTIN_FROM_BASE64] = {"s", 's'},
    [BUILTIN_NOW] = {"", 't'},
    [BUILTIN_DURATION] = {"s", 'd'},
    [BUILTIN_DATE] = {"xxx", 't'},
    [BUILTIN_TIMEZONE] = {"s", 'z'},
    [BUILTIN_FIRST] = {"a", 'y'},
    [BUILTIN_LAST] = {"a", 'y'},
    [BUILTIN_TAKE] = {"aI", 'a'},
    [BUILTIN_KEYS] = {"m", 'a'},
    [BUILTIN_VALUES] = {"m", 'a'},
    [BUILTIN_TO_PAIRS] = {"m", 'a'},
    [BUILTIN_FROM_PAIRS] = {"a", 'm'},
    [BUILTIN_REVERSE] = {"a", 'a'},
    [BUILTIN_UNIQ] = {"a", 'a'},
    [BUILTIN_CONCAT] = {"a", 'a'},
    [BUILTIN_FLATTEN] = {"a", 'a'},
    [BUILTIN_SORT] = {"as", 'a'},
    [BUILTIN_BITAND] = {"ii", 'i'},
    [BUILTIN_BITOR] = {"ii", 'i'},
    [BUILTIN_BITXOR] = {"ii", 'i'},
    [BUILTIN_BITNAND] = {"ii", 'i'},
    [BUILTIN_BITNOT] = {"i", 'i'},
    [BUILTIN_BITSHL] = {"ii", 'i'},
    [BUILTIN_BITSHR] = {"ii", 'i'},
    [BUILTIN_BITUSHR] = {"ii", 'i'},
};

static bool takes(char letter, struct type t)
{
    if (type_is_open(t))
        return true;
    switch (letter) {
    case 'L':
        return is_array(t) || is_map(t) || is_string(t);
    case 'N':
        return is_numeric_kind(t);
    case 'n':
        return is_numeric_kind(t) || is_string(t);
    case 's':
        return is_string(t);
    case 'i':
        return type_is_integer(t);
    case 'I':
        return type_is(t, TYPE_INT);
    case 'a':
        return is_array(t);
    case 'm':
        return is_map(t);
    default:
        return true;
    }
}

static struct type gives(char letter, const struct node *n)
{
    switch (letter) {
    case 's':
        return TYPE_OF(STRING);
    case 'i':
        return TYPE_OF(INT);
    case 'f':
        return TYPE_OF(FLOAT);
    case 'b':
        return TYPE_OF(BOOL);
    case 'a':
        return (struct type){TYPE_ANY, 1};
    case 'm':
        return TYPE_OF(MAP);
    case 'p':
        return (struct type){TYPE_STRING, 1};
    case 't':
        return TYPE_OF(TIME);
    case 'd':
        return TYPE_OF(DURATION);
    case 'z':
        return TYPE_OF(ZONE);
    case '1':
        return type_is_open(n->list->type) ? TYPE_OF(ANY) : n->list->type;
    default:
        return TYPE_OF(ANY);
    }
}

void check_call(struct compiler *c, struct node *n)
{
    const struct builtin_info *b = &builtin_table[n->integer];
    const char *letter = signatures[n->integer].takes;

    if (n->count < b->least || n->count > b->most) {
        wrong_count(c, n, b->name, b->name_length);
        return;
    }
    switch (n->integer) {
    case BUILTIN_MAX:
    case BUILTIN_MIN:
    case BUILTIN_MEAN:
    case BUILTIN_MEDIAN:
        check_aggregate(c, n);
        return;
    case BUILTIN_GET:
        check_get(c, n);
        return;
    default:
        break;
    }
    n->type = gives(signatures[n->integer].gives, n);
    if ((n->integer == BUILTIN_FIRST || n->integer == BUILTIN_LAST) && is_split(n->list))
        n->type = TYPE_OF(STRING);
    for (const struct node *a = n->list; a; a = a->next) {
        if (!takes(*letter, a->type)) {
            wrong_argument(c, n, b->name, a);
            return;
        }
        if (letter[1])
            letter++;
    }
}

/* ---- functions that loop ---- */

bool check_loop_array(struct compiler *c, enum builtin id, const struct node *array, struct type *item)
{
    char name[80];

    *item = element_of(array->type);
    if (is_array(array->type) || type_is_open(array->type))
        return true;
    compile_fault(c, FAULT_BAD_ARGUMENT, array->begin, array->end, array->place, "%s takes an array (got %s)%s",
                  builtin_table[id].name, type_name(array->type, name, sizeof(name)),
                  type_is_number(array->type) ? "; put the values in brackets: [a, b]" : "");
    return false;
}

static bool wants_bool(enum builtin id)
{
    return id == BUILTIN_ALL || id == BUILTIN_NONE || id == BUILTIN_ANY || id == BUILTIN_ONE || id == BUILTIN_FILTER ||
           id == BUILTIN_COUNT || (id >= BUILTIN_FIND && id <= BUILTIN_FIND_LAST_INDEX);
}

static struct type loop_type(const struct node *n)
{
    struct type array = n->a->type, item = element_of(array), predicate = n->b ? n->b->type : item;

    switch (n->integer) {
    case BUILTIN_ALL:
    case BUILTIN_NONE:
    case BUILTIN_ANY:
    case BUILTIN_ONE:
        return TYPE_OF(BOOL);
    case BUILTIN_FILTER:
        return is_array(array) ? array : (struct type){TYPE_UNKNOWN, 1};
    case BUILTIN_SORT_BY:
        return is_array(array) ? array : (struct type){TYPE_ANY, 1};
    case BUILTIN_MAP:
        return array_of(predicate);
    case BUILTIN_FIND:
    case BUILTIN_FIND_LAST:
        return item;
    case BUILTIN_SUM:
        return type_is_open(predicate) && n->b ? TYPE_OF(ANY) : predicate;
    case BUILTIN_GROUP_BY:
        return TYPE_OF(GROUPS);
    case BUILTIN_REDUCE:
        return predicate;
    default:
        return TYPE_OF(INT);
    }
}

void check_loop(struct compiler *c, struct node *n)
{
    enum builtin id = (enum builtin)n->integer;
    char name[80];

    n->type = loop_type(n);
    if (n->b && is_nil(n->b->type))
        compile_fault(c, FAULT_BAD_PREDICATE, n->b->begin, n->b->end, n->b->place, "the predicate of %s is always nil",
                      builtin_table[id].name);
    else if (n->b && wants_bool(id) && !is_bool(n->b->type) && !type_is_open(n->b->type))
        compile_fault(c, FAULT_BAD_PREDICATE, n->b->begin, n->b->end, n->b->place,
                      "the predicate of %s should be a condition (got %s)", builtin_table[id].name,
                      type_name(n->b->type, name, sizeof(name)));
    else if (n->c && id == BUILTIN_SORT_BY && !is_string(n->c->type) && !type_is_open(n->c->type))
        compile_fault(c, FAULT_BAD_ARGUMENT, n->c->begin, n->c->end, n->c->place,
                      "the order of sortBy is \"asc\" or \"desc\" (got %s)", type_name(n->c->type, name, sizeof(name)));
}

/* ---- Weir's own functions ---- */

static bool constant_number(const struct node *n, double *out)
{
    if (n->kind == NODE_INT)
        *out = (double)n->integer;
    else if (n->kind == NODE_FLOAT)
        *out = n->number;
    else
        return false;
    return true;
}

/* One argument against its letter; NULL, or what is wanted instead. */
static const char *extension_wants(char letter, const struct node *a)
{
    double q;

    switch (letter) {
    case 'n':
        return type_is_number(a->type) || type_is_open(a->type) ? NULL : "a number";
    case 'b':
        return is_bool(a->type) || type_is_open(a->type) ? NULL : "a condition";
    case 't':
        return a->kind == NODE_NAME ? NULL : "the name of a trigger (or $env[\"its-name\"])";
    case 'q':
        return constant_number(a, &q) && q >= 0 && q <= 1 ? NULL : "a constant from 0 to 1";
    case 'z':
    case 'c':
        return a->kind == NODE_STRING ? NULL
               : letter == 'z'        ? "a constant zone such as \"Europe/Paris\""
                                      : "a constant time of day such as \"08:00\"";
    default:
        return a->kind == NODE_STRING || constant_number(a, &q) ? NULL
                                                                : "a constant duration such as \"5m\" (or seconds)";
    }
}

void check_extension(struct compiler *c, struct node *n)
{
    const struct extension_info *x = &extension_table[n->integer];
    const char *letter = x->arguments;

    n->type = (struct type){x->result, 0};
    n->flags |= FLAG_FAULTY; /* until all is seen to be right */
    if (n->count != strlen(x->arguments)) {
        compile_fault(c, FAULT_ARG_COUNT, n->begin, n->end, n->place, "%s takes %zu argument%s (got %u)", x->name,
                      strlen(x->arguments), strlen(x->arguments) == 1 ? "" : "s", n->count);
        return;
    }
    if (x->memory && c->scopes) {
        compile_fault(
            c, FAULT_BAD_ARGUMENT, n->begin, n->end, n->place,
            "%s remembers one value between evaluations, so it cannot stand in a predicate; bind it with let before",
            x->name);
        return;
    }
    for (const struct node *a = n->list; a; a = a->next, letter++) {
        const char *wanted = extension_wants(*letter, a);

        if (wanted) {
            compile_fault(c, FAULT_BAD_ARGUMENT, a->begin, a->end, a->place, "%s: argument %d must be %s", x->name,
                          (int)(letter - x->arguments) + 1, wanted);
            return;
        }
    }
    if (x->memory && c->memory_slots >= FORMULA_MEMORY_SLOTS_MAX) {
        compile_fault(c, FAULT_LIMIT, n->begin, n->end, n->place, "more than %d calls that remember something",
                      FORMULA_MEMORY_SLOTS_MAX);
        return;
    }
    if (x->memory)
        n->slot = c->memory_slots++;
    n->flags &= (uint8_t)~FLAG_FAULTY;
}

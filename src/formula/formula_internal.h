/*
 * formula_internal: what the files of this room share. The way of a formula:
 *
 *     source --wrap--> text --lexer--> tokens --parser (grammar)--> nodes --check (types)--> --rewrite (section 6)-->
 *         numeric_compile: three-address code on unboxed 8-byte registers, when every type is certain      (fast path)
 *         emit:            stack code on boxed values, for everything else                                 (general path)
 *
 * Checking and rewriting happen as each node is made, bottom up, in one pass: the order in which the grammar
 * completes nodes is the order in which expr-lang's checker visits them, so the first fault found is the one it
 * reports. A syntax fault found later still wins over a type fault, and a type fault over a fault of folding: each
 * has a slot of its own.
 *
 * A formula that runs on the fast path keeps no general code: the rare evaluation that needs it (a nil that matters,
 * a trace, an error to word) compiles the text again, which takes about a microsecond. That halves what a formula
 * costs in memory.
 */
#ifndef WEIR_FORMULA_INTERNAL_H
#define WEIR_FORMULA_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "formula/formula.h"
#include "formula/library.h"

/* ---- static types (expr-language.md 2) ---- */

enum type_kind {
    TYPE_UNKNOWN, /* decided at run time */
    TYPE_ANY,     /* the same, but a ternary treats it differently (2.1) */
    TYPE_NIL,
    TYPE_BOOL,
    TYPE_INT,
    TYPE_UINT8,
    TYPE_FLOAT,
    TYPE_STRING,
    TYPE_MAP,
    TYPE_GROUPS, /* a map to arrays: what groupBy makes */
    TYPE_TIME,
    TYPE_DURATION,
    TYPE_MONTH,
    TYPE_WEEKDAY,
    TYPE_ZONE,
    TYPE_FUNCTION, /* a method that is not called, a builtin used as a value */
};

/* depth 2, kind INT: an array of arrays of int. Of an empty array literal: depth 1, UNKNOWN. */
struct type {
    uint16_t kind, depth;
};

#define TYPE_OF(k) ((struct type){TYPE_##k, 0})

static inline bool type_is(struct type t, enum type_kind kind)
{
    return t.depth == 0 && t.kind == kind;
}
static inline bool type_same(struct type a, struct type b)
{
    return a.kind == b.kind && a.depth == b.depth;
}
static inline bool type_is_open(struct type t)
{
    return t.depth == 0 && t.kind <= TYPE_ANY;
}
static inline bool type_is_integer(struct type t)
{
    return type_is(t, TYPE_INT) || type_is(t, TYPE_UINT8);
}
static inline bool type_is_number(struct type t)
{
    return type_is_integer(t) || type_is(t, TYPE_FLOAT);
}

/* ---- tokens ---- */

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, TOKEN_BYTES, TOKEN_OPERATOR };

enum op {
    OP_NONE,
    /* binary operators; their table is in parser.c */
    OP_PIPE,
    OP_OR,
    OP_AND,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_GT,
    OP_LE,
    OP_GE,
    OP_IN,
    OP_MATCHES,
    OP_CONTAINS,
    OP_STARTS_WITH,
    OP_ENDS_WITH,
    OP_RANGE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_COALESCE,
    OP_BINARY_LAST = OP_COALESCE,
    /* the rest */
    OP_NOT,
    OP_NEG,
    OP_PLUS,
    OP_LET,
    OP_IF,
    OP_ELSE,
    OP_QUESTION,
    OP_QUESTION_DOT,
    OP_COLON,
    OP_COLON_COLON,
    OP_DOT,
    OP_COMMA,
    OP_SEMICOLON,
    OP_ASSIGN,
    OP_HASH,
    OP_OPEN,
    OP_CLOSE,
    OP_OPEN_BRACKET,
    OP_CLOSE_BRACKET,
    OP_OPEN_BRACE,
    OP_CLOSE_BRACE,
    OP_NO_SUCH, /* a run of operator characters that means nothing: "<*", "&" */
};

struct token {
    uint8_t kind, op;
    uint32_t begin, end; /* bytes of the wrapped text */
};

struct lexer {
    const char *text; /* ends with a 0 byte */
    uint32_t length, at;
    bool after_hash;   /* identifier characters that follow are a pointer's name, even "in" or "1" */
    const char *fault; /* why the last token is TOKEN_END too early; static text */
    uint32_t fault_at;
};

void lexer_next(struct lexer *lexer, struct token *token);
/* The value of a string or byte array token, in the arena. false: an escape that cannot be. */
bool lexer_unquote(const char *text, const struct token *token, struct arena *arena, struct span *out);

/* ---- nodes ---- */

enum node_kind {
    NODE_NIL,
    NODE_BOOL,
    NODE_INT,
    NODE_FLOAT,
    NODE_STRING,
    NODE_BYTES,
    NODE_NAME,  /* integer: index of the trigger */
    NODE_LOCAL, /* integer: slot of the let variable; b: its value's node, for types only */
    NODE_ENV,   /* $env as a whole */
    NODE_STATE, /* integer: field of formula_state */
    NODE_BUILTIN_VALUE,
    NODE_POINTER, /* op: enum pointer */
    NODE_UNARY,
    NODE_BINARY,
    NODE_CONDITIONAL,
    NODE_INDEX,  /* a[b]; flag OPTIONAL: ?. */
    NODE_FIELD,  /* a.string; flag OPTIONAL */
    NODE_METHOD, /* a.method(list); integer: enum method, -1: by name at run time */
    NODE_SLICE,  /* a[b:c], both may be NULL */
    NODE_CHAIN,  /* where a `?.` that met nil ends */
    NODE_CALL,   /* integer: enum builtin; list: arguments */
    NODE_LOOP, /* integer: enum builtin; a array, b predicate, c initial value or order. After rewriting: list: a map's
                    filter; bound: count stops there (0: never); FLAG_THROWS: a find that must find */
    NODE_EXTENSION, /* integer: enum extension; list: arguments; slot: memory */
    NODE_ARRAY,
    NODE_MAP /* list: key, value, key, value */,
    NODE_CONST /* a folded array: list of literals */,
    NODE_LET,
    NODE_SEQUENCE,
};

enum {
    FLAG_FOLDED = 1,   /* made by folding: not a literal in the source */
    FLAG_OPTIONAL = 2, /* ?. */
    FLAG_THROWS = 4,
    FLAG_USES_INDEX = 8, /* the predicate of a loop names #index */
    FLAG_FAULTY = 16,    /* a call that cannot be made; only seen where the original does not look until run time */
};

/* NODE_BINARY OP_IN, in `slot`: which of the three specialised tests of 6.2 it has become. */
enum in_form { IN_GENERAL, IN_INTS, IN_STRINGS, IN_INTERVAL };

enum pointer { POINTER_ITEM, POINTER_INDEX, POINTER_ACC };

/* What the fast path may assume about the value (numeric.c). */
enum rep {
    REP_NONE, /* not for the fast path */
    REP_NIL,  /* the literal */
    REP_BOOL,
    REP_INT,
    REP_FLOAT,
    REP_EITHER, /* int or float, not known which: held as a double, which is exact below 2^53 (node.bound) */
};

struct node {
    uint8_t kind, op, rep, flags;
    struct type type;
    uint32_t begin, end, place; /* bytes of the wrapped text; place: where an error about it points */
    uint16_t slot;
    double bound; /* REP_INT, REP_EITHER: no int among the possible values is larger than this */
    union {
        int64_t integer;
        double number;
    };
    struct span string;
    struct node *a, *b, *c;
    struct node *list, *next; /* children of arrays, maps, calls, sequences, linked by next */
    uint32_t count;
};

/* ---- builtins ---- */

enum builtin_shape { SHAPE_CALL, SHAPE_LOOP };

/* id, name, least and most arguments (99: any number), shape, signature, summary */
#define BUILTINS(B)                                                                                                    \
    B(ALL, "all", 2, 2, SHAPE_LOOP, "all(array, predicate)", "true if the predicate holds for every element")          \
    B(NONE, "none", 2, 2, SHAPE_LOOP, "none(array, predicate)", "true if it holds for no element")                     \
    B(ANY, "any", 2, 2, SHAPE_LOOP, "any(array, predicate)", "true if it holds for at least one element")              \
    B(ONE, "one", 2, 2, SHAPE_LOOP, "one(array, predicate)", "true if it holds for exactly one element")               \
    B(FILTER, "filter", 2, 2, SHAPE_LOOP, "filter(array, predicate)", "the elements for which it holds")               \
    B(MAP, "map", 2, 2, SHAPE_LOOP, "map(array, predicate)", "the predicate's value for each element")                 \
    B(FIND, "find", 2, 2, SHAPE_LOOP, "find(array, predicate)", "the first element for which it holds, or nil")        \
    B(FIND_INDEX, "findIndex", 2, 2, SHAPE_LOOP, "findIndex(array, predicate)", "its index, or nil")                   \
    B(FIND_LAST, "findLast", 2, 2, SHAPE_LOOP, "findLast(array, predicate)", "the last such element, or nil")          \
    B(FIND_LAST_INDEX, "findLastIndex", 2, 2, SHAPE_LOOP, "findLastIndex(array, predicate)", "its index, or nil")      \
    B(COUNT, "count", 1, 2, SHAPE_LOOP, "count(array [, predicate])", "how many elements are true, or satisfy it")     \
    B(SUM, "sum", 1, 2, SHAPE_LOOP, "sum(array [, predicate])",                                                        \
      "the sum of the elements, or of the predicate's values")                                                         \
    B(GROUP_BY, "groupBy", 2, 2, SHAPE_LOOP, "groupBy(array, predicate)",                                              \
      "a map from the predicate's value to elements")                                                                  \
    B(SORT_BY, "sortBy", 2, 3, SHAPE_LOOP, "sortBy(array, predicate [, \"asc\"|\"desc\"])", "sorted by its value")     \
    B(REDUCE, "reduce", 2, 3, SHAPE_LOOP, "reduce(array, predicate [, initial])", "folds the elements into #acc")      \
    B(LEN, "len", 1, 1, SHAPE_CALL, "len(x)", "number of elements, entries or code points")                            \
    B(TYPE, "type", 1, 1, SHAPE_CALL, "type(x)", "the name of the value's type")                                       \
    B(ABS, "abs", 1, 1, SHAPE_CALL, "abs(number)", "without its sign")                                                 \
    B(CEIL, "ceil", 1, 1, SHAPE_CALL, "ceil(number)", "rounded up")                                                    \
    B(FLOOR, "floor", 1, 1, SHAPE_CALL, "floor(number)", "rounded down")                                               \
    B(ROUND, "round", 1, 1, SHAPE_CALL, "round(number)", "rounded, halves away from zero")                             \
    B(INT, "int", 1, 1, SHAPE_CALL, "int(number or string)", "as a whole number, cut towards zero")                    \
    B(FLOAT, "float", 1, 1, SHAPE_CALL, "float(number or string)", "as a double")                                      \
    B(STRING, "string", 1, 1, SHAPE_CALL, "string(x)", "as text")                                                      \
    B(TRIM, "trim", 1, 2, SHAPE_CALL, "trim(string [, cutset])",                                                       \
      "without white space, or these characters, at both ends")                                                        \
    B(TRIM_PREFIX, "trimPrefix", 1, 2, SHAPE_CALL, "trimPrefix(string [, prefix])", "without that beginning")          \
    B(TRIM_SUFFIX, "trimSuffix", 1, 2, SHAPE_CALL, "trimSuffix(string [, suffix])", "without that end")                \
    B(UPPER, "upper", 1, 1, SHAPE_CALL, "upper(string)", "in capitals")                                                \
    B(LOWER, "lower", 1, 1, SHAPE_CALL, "lower(string)", "in small letters")                                           \
    B(SPLIT, "split", 2, 3, SHAPE_CALL, "split(string, separator [, n])", "its parts")                                 \
    B(SPLIT_AFTER, "splitAfter", 2, 3, SHAPE_CALL, "splitAfter(string, separator [, n])",                              \
      "its parts, with separators")                                                                                    \
    B(REPLACE, "replace", 3, 4, SHAPE_CALL, "replace(string, old, new [, n])", "with old replaced by new")             \
    B(REPEAT, "repeat", 2, 2, SHAPE_CALL, "repeat(string, n)", "n times")                                              \
    B(JOIN, "join", 1, 2, SHAPE_CALL, "join(array of strings [, glue])", "joined")                                     \
    B(INDEX_OF, "indexOf", 2, 2, SHAPE_CALL, "indexOf(string, part)",                                                  \
      "where it first occurs, in bytes; -1 if nowhere")                                                                \
    B(LAST_INDEX_OF, "lastIndexOf", 2, 2, SHAPE_CALL, "lastIndexOf(string, part)", "where it last occurs")             \
    B(HAS_PREFIX, "hasPrefix", 2, 2, SHAPE_CALL, "hasPrefix(string, prefix)", "begins with it")                        \
    B(HAS_SUFFIX, "hasSuffix", 2, 2, SHAPE_CALL, "hasSuffix(string, suffix)", "ends with it")                          \
    B(MAX, "max", 1, 99, SHAPE_CALL, "max(x, ...)", "the largest of numbers and arrays of numbers")                    \
    B(MIN, "min", 1, 99, SHAPE_CALL, "min(x, ...)", "the smallest")                                                    \
    B(MEAN, "mean", 1, 99, SHAPE_CALL, "mean(x, ...)", "the arithmetic mean; 0 of nothing")                            \
    B(MEDIAN, "median", 1, 99, SHAPE_CALL, "median(x, ...)", "the median; 0 of nothing")                               \
    B(TO_JSON, "toJSON", 1, 1, SHAPE_CALL, "toJSON(x)", "as JSON text")                                                \
    B(FROM_JSON, "fromJSON", 1, 1, SHAPE_CALL, "fromJSON(string)", "the value of a JSON text")                         \
    B(TO_BASE64, "toBase64", 1, 1, SHAPE_CALL, "toBase64(string)", "encoded")                                          \
    B(FROM_BASE64, "fromBase64", 1, 1, SHAPE_CALL, "fromBase64(string)", "decoded")                                    \
    B(NOW, "now", 0, 0, SHAPE_CALL, "now()", "this instant, in the local zone")                                        \
    B(DURATION, "duration", 1, 1, SHAPE_CALL, "duration(string)", "a span such as \"1h30m\"")                          \
    B(DATE, "date", 1, 3, SHAPE_CALL, "date(string [, layout [, zone]])", "an instant from text")                      \
    B(TIMEZONE, "timezone", 1, 1, SHAPE_CALL, "timezone(name)", "a time zone")                                         \
    B(FIRST, "first", 1, 1, SHAPE_CALL, "first(array)", "its first element, or nil")                                   \
    B(LAST, "last", 1, 1, SHAPE_CALL, "last(array)", "its last element, or nil")                                       \
    B(GET, "get", 2, 2, SHAPE_CALL, "get(x, index or key)", "the element, or nil if there is none")                    \
    B(TAKE, "take", 2, 2, SHAPE_CALL, "take(array, n)", "its first n elements")                                        \
    B(KEYS, "keys", 1, 1, SHAPE_CALL, "keys(map)", "its keys")                                                         \
    B(VALUES, "values", 1, 1, SHAPE_CALL, "values(map)", "its values")                                                 \
    B(TO_PAIRS, "toPairs", 1, 1, SHAPE_CALL, "toPairs(map)", "an array of [key, value]")                               \
    B(FROM_PAIRS, "fromPairs", 1, 1, SHAPE_CALL, "fromPairs(array)", "a map from [key, value] pairs")                  \
    B(REVERSE, "reverse", 1, 1, SHAPE_CALL, "reverse(array)", "back to front")                                         \
    B(UNIQ, "uniq", 1, 1, SHAPE_CALL, "uniq(array)", "each element once")                                              \
    B(CONCAT, "concat", 1, 99, SHAPE_CALL, "concat(array, ...)", "one after the other")                                \
    B(FLATTEN, "flatten", 1, 1, SHAPE_CALL, "flatten(array)", "without nesting")                                       \
    B(SORT, "sort", 1, 2, SHAPE_CALL, "sort(array [, \"asc\"|\"desc\"])", "sorted")                                    \
    B(BITAND, "bitand", 2, 2, SHAPE_CALL, "bitand(int, int)", "bits in both")                                          \
    B(BITOR, "bitor", 2, 2, SHAPE_CALL, "bitor(int, int)", "bits in either")                                           \
    B(BITXOR, "bitxor", 2, 2, SHAPE_CALL, "bitxor(int, int)", "bits in one of them")                                   \
    B(BITNAND, "bitnand", 2, 2, SHAPE_CALL, "bitnand(int, int)", "bits of the first that are not in the second")       \
    B(BITNOT, "bitnot", 1, 1, SHAPE_CALL, "bitnot(int)", "every bit turned")                                           \
    B(BITSHL, "bitshl", 2, 2, SHAPE_CALL, "bitshl(int, count)", "shifted left")                                        \
    B(BITSHR, "bitshr", 2, 2, SHAPE_CALL, "bitshr(int, count)", "shifted right, keeping the sign")                     \
    B(BITUSHR, "bitushr", 2, 2, SHAPE_CALL, "bitushr(int, count)", "shifted right, filling with zeros")

enum builtin {
#define B(id, ...) BUILTIN_##id,
    BUILTINS(B)
#undef B
        BUILTIN_COUNT_OF
};

struct builtin_info {
    const char *name;
    uint8_t name_length, least, most, shape;
};
extern const struct builtin_info builtin_table[BUILTIN_COUNT_OF];
int builtin_find(const char *name, size_t length); /* -1: none */

/* ---- Weir's own functions (extension.c; DESIGN.md 4) ---- */

#define EXTENSIONS(X)                                                                                                  \
    X(CLAMP, "clamp", "nnn", FLOAT, 0, "clamp(x, low, high)", "x, but not below low nor above high")                   \
    X(HYSTERESIS, "hysteresis", "nnn", BOOL, 1, "hysteresis(x, low, high)",                                            \
      "becomes true at x >= high and false at x <= low; keeps its value in between")                                   \
    X(HELD, "held", "bd", BOOL, 1, "held(condition, \"2m\")", "true once the condition has held for that long")        \
    X(COOLDOWN, "cooldown", "bd", BOOL, 1, "cooldown(condition, \"10m\")",                                             \
      "true while the condition holds and for that long afterwards")                                                   \
    X(EMA, "ema", "nd", FLOAT, 1, "ema(x, \"5m\")", "moving average in which a value weighs half after that time")     \
    X(HOUR, "hour", "z", INT, 0, "hour(zone)", "hour of the day, 0..23")                                               \
    X(MINUTE, "minute", "z", INT, 0, "minute(zone)", "minute of the hour, 0..59")                                      \
    X(WEEKDAY, "weekday", "z", INT, 0, "weekday(zone)", "0 is Sunday, 6 is Saturday")                                  \
    X(BETWEEN, "between", "ccz", BOOL, 0, "between(\"08:00\", \"20:00\", zone)",                                       \
      "from the first time of day up to, not including, the second; over midnight if that is the smaller")             \
    X(AGE, "age", "t", FLOAT, 0, "age(trigger)", "seconds since its last good value, nil if there was none")           \
    X(MISSING, "missing", "t", BOOL, 0, "missing(trigger)", "true if its source answered without a value")             \
    X(RECENT, "recent", "tw", FLOAT, 0, "recent(trigger, \"10m\")", "its last good value no older than that")          \
    X(AVG_OVER, "avg_over", "tw", FLOAT, 0, "avg_over(trigger, \"5m\")", "mean over the window")                       \
    X(MIN_OVER, "min_over", "tw", FLOAT, 0, "min_over(trigger, \"5m\")", "least value in the window")                  \
    X(MAX_OVER, "max_over", "tw", FLOAT, 0, "max_over(trigger, \"5m\")", "largest value in the window")                \
    X(SUM_OVER, "sum_over", "tw", FLOAT, 0, "sum_over(trigger, \"5m\")", "sum of the samples in the window")           \
    X(QUANTILE_OVER, "quantile_over", "tqw", FLOAT, 0, "quantile_over(trigger, 0.95, \"5m\")",                         \
      "quantile over the window")                                                                                      \
    X(STDDEV_OVER, "stddev_over", "tw", FLOAT, 0, "stddev_over(trigger, \"5m\")",                                      \
      "standard deviation over the window")                                                                            \
    X(RATE, "rate", "tw", FLOAT, 0, "rate(counter, \"5m\")", "growth per second; a fall is a reset of the counter")    \
    X(INCREASE, "increase", "tw", FLOAT, 0, "increase(counter, \"5m\")", "growth over the window")                     \
    X(DELTA, "delta", "tw", FLOAT, 0, "delta(trigger, \"5m\")", "last minus first value in the window")                \
    X(DERIV, "deriv", "tw", FLOAT, 0, "deriv(trigger, \"5m\")", "slope per second over the window")                    \
    X(AGO, "ago", "tw", FLOAT, 0, "ago(trigger, \"1h\")", "the value that was current that long ago")                  \
    X(PREDICT_LINEAR, "predict_linear", "tww", FLOAT, 0, "predict_linear(trigger, \"10m\", \"5m\")",                   \
      "where the slope over the window leads after the second time")

enum extension {
#define X(id, ...) EXTENSION_##id,
    EXTENSIONS(X)
#undef X
        EXTENSION_COUNT_OF
};

/* Letters of `arguments`: n number, b bool, d duration, w window (a duration that asks for history), q quantile,
   c "HH:MM", z zone, t trigger. */
struct extension_info {
    const char *name, *arguments;
    uint8_t result, memory; /* memory: keeps a slot between evaluations */
};
extern const struct extension_info extension_table[EXTENSION_COUNT_OF];
int extension_find(const char *name, size_t length);
#define STATE_NAMES(S) S(replicas) S(ready_replicas) S(pending_replicas) S(min_replicas) S(max_replicas) S(target)
int state_find(const char *name, size_t length); /* index into formula_state's doubles, -1: none */

/* The constant arguments of one call, decoded when compiled. */
struct extension_call {
    uint8_t id, memory_slot, dynamic; /* dynamic: how many arguments are evaluated */
    uint16_t trigger;                 /* 't' */
    int64_t window_ms, second_ms;     /* 'd' and 'w'; "HH:MM" as minutes of the day */
    double quantile;
    const struct zone *zone;
};

/* What one call site keeps from evaluation to evaluation. All zero: never evaluated. */
struct extension_slot {
    double value;
    int64_t at_ms;
    uint8_t set, on;
};

/* ---- methods of times and durations ---- */

/* clang-format off */
#define METHODS(M)                                                                                                     \
    M(YEAR, "Year", TIME, "", INT)                                                                                     \
    M(DAY, "Day", TIME, "", INT)                                                                                       \
    M(HOUR, "Hour", TIME, "", INT)                                                                                     \
    M(MINUTE, "Minute", TIME, "", INT)                                                                                 \
    M(SECOND, "Second", TIME, "", INT)                                                                                 \
    M(NANOSECOND, "Nanosecond", TIME, "", INT)                                                                         \
    M(YEAR_DAY, "YearDay", TIME, "", INT)                                                                              \
    M(UNIX, "Unix", TIME, "", INT)                                                                                     \
    M(UNIX_MILLI, "UnixMilli", TIME, "", INT)                                                                          \
    M(UNIX_MICRO, "UnixMicro", TIME, "", INT)                                                                          \
    M(UNIX_NANO, "UnixNano", TIME, "", INT)                                                                            \
    M(WEEKDAY, "Weekday", TIME, "", WEEKDAY)                                                                           \
    M(MONTH, "Month", TIME, "", MONTH)                                                                                 \
    M(ISO_WEEK, "ISOWeek", TIME, "", INT)                                                                              \
    M(ADD, "Add", TIME, "d", TIME)                                                                                     \
    M(ADD_DATE, "AddDate", TIME, "iii", TIME)                                                                          \
    M(SUB, "Sub", TIME, "t", DURATION)                                                                                 \
    M(AFTER, "After", TIME, "t", BOOL)                                                                                 \
    M(BEFORE, "Before", TIME, "t", BOOL)                                                                               \
    M(EQUAL, "Equal", TIME, "t", BOOL)                                                                                 \
    M(COMPARE, "Compare", TIME, "t", INT)                                                                              \
    M(FORMAT, "Format", TIME, "s", STRING)                                                                             \
    M(IN, "In", TIME, "z", TIME)                                                                                       \
    M(UTC, "UTC", TIME, "", TIME)                                                                                      \
    M(LOCAL, "Local", TIME, "", TIME)                                                                                  \
    M(TRUNCATE, "Truncate", TIME, "d", TIME)                                                                           \
    M(ROUND, "Round", TIME, "d", TIME)                                                                                 \
    M(IS_ZERO, "IsZero", TIME, "", BOOL)                                                                               \
    M(STRING, "String", TIME, "", STRING)                                                                              \
    M(HOURS, "Hours", DURATION, "", FLOAT)                                                                             \
    M(MINUTES, "Minutes", DURATION, "", FLOAT)                                                                         \
    M(SECONDS, "Seconds", DURATION, "", FLOAT)                                                                         \
    M(MILLISECONDS, "Milliseconds", DURATION, "", INT)                                                                 \
    M(MICROSECONDS, "Microseconds", DURATION, "", INT)                                                                 \
    M(NANOSECONDS, "Nanoseconds", DURATION, "", INT)                                                                   \
    M(D_STRING, "String", DURATION, "", STRING)                                                                        \
    M(D_TRUNCATE, "Truncate", DURATION, "d", DURATION)                                                                 \
    M(D_ROUND, "Round", DURATION, "d", DURATION)                                                                       \
    M(D_ABS, "Abs", DURATION, "", DURATION)                                                                            \
    M(M_STRING, "String", MONTH, "", STRING)                                                                           \
    M(W_STRING, "String", WEEKDAY, "", STRING)                                                                         \
    M(Z_STRING, "String", ZONE, "", STRING)
/* clang-format on */

enum method {
#define M(id, ...) METHOD_##id,
    METHODS(M)
#undef M
        METHOD_COUNT_OF
};

struct method_info {
    const char *name, *arguments; /* d duration, t time, i int, s string, z zone */
    uint8_t receiver, result;
};
extern const struct method_info method_table[METHOD_COUNT_OF];
int method_find(enum type_kind receiver, const char *name, size_t length); /* -1: none */

/* ---- compiling ---- */

/* A name in sight: a let variable. */
struct variable {
    struct span name;
    struct type type;
    struct node *value;
    uint16_t slot;
    struct variable *outer;
};

struct compiler {
    struct arena *arena; /* of this compilation; gone afterwards */
    const struct formula_options *options;
    struct lexer lexer;
    struct token token;
    uint32_t prefix_length, user_length; /* where the user's text lies within the wrapped one */
    uint32_t last_end;                   /* of the token before the current one */
    uint32_t nodes;
    uint16_t depth, slots, memory_slots;
    struct variable *variables;
    struct scope *scopes; /* predicates around, innermost first */
    bool failed;          /* a syntax fault: stop as soon as possible */
    bool env_used;        /* $env as a whole: every trigger counts as used */
    bool tracing;
    struct formula_error syntax, semantic, folding; /* the first of each class */
    uint64_t *used;                                 /* a bit per trigger */
    int64_t *history_ms;                            /* NULL: none so far */
    struct node nothing;                            /* stands in for what could not be parsed */
};

struct scope {
    struct type item;
    uint8_t builtin;
    bool uses_index;
    struct scope *outer;
};

struct node *parse_formula(struct compiler *c);
/* formula.c: the nodes of a text, for who only looks at them; NULL and *err: it does not compile. Nodes live until done. */
const struct node *formula_parse(struct compiler *c, const char *source, size_t length,
                                 const struct formula_options *options, struct formula_error *err);
void formula_parse_done(struct compiler *c);

/* Report the first fault of a class; all return c->nothing or false so that failing is one line. */
struct node *compile_syntax(struct compiler *c, uint32_t begin, uint32_t end, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void compile_fault(struct compiler *c, enum formula_fault fault, uint32_t begin, uint32_t end, uint32_t place,
                   const char *format, ...) __attribute__((format(printf, 6, 7)));
void compile_fold_fault(struct compiler *c, enum formula_fault fault, const struct node *at, const char *text);
void fault_place(struct formula_error *err, const char *text, uint32_t place);
/* Suggests the nearest known name; call after compile_fault(UNKNOWN_NAME). */
void compile_unknown_name(struct compiler *c, struct span name, uint32_t begin, uint32_t end, bool call);

struct node *node_new(struct compiler *c, enum node_kind kind, uint32_t begin, uint32_t end); /* counts one node */

/* check.c: gives the node its type, or reports why it cannot have one. */
const char *type_name(struct type t, char *buffer, size_t size);
void check_unary(struct compiler *c, struct node *n);
void check_binary(struct compiler *c, struct node *n);
void check_condition(struct compiler *c, const struct node *condition);
void check_conditional(struct compiler *c, struct node *n);
void check_index(struct compiler *c, struct node *n);
void check_field(struct compiler *c, struct node *n);
void check_method(struct compiler *c, struct node *n, struct span name);
void check_slice(struct compiler *c, struct node *n);
void check_array(struct compiler *c, struct node *n);
void check_call(struct compiler *c, struct node *n);
bool check_loop_array(struct compiler *c, enum builtin id, const struct node *array, struct type *item);
void check_loop(struct compiler *c, struct node *n);
void check_extension(struct compiler *c, struct node *n);

/* rewrite.c: the node, or what takes its place (section 6). Types have been checked. */
struct node *rewrite_unary(struct compiler *c, struct node *n);
struct node *rewrite_binary(struct compiler *c, struct node *n);
struct node *rewrite_array(struct compiler *c, struct node *n);
struct node *rewrite_index(struct compiler *c, struct node *n);
struct node *rewrite_call(struct compiler *c, struct node *n);
struct node *rewrite_loop(struct compiler *c, struct node *n);

/* ---- the fast path ---- */

struct numeric;

/* Fills in rep and bound of a node whose children have theirs. */
void numeric_judge(struct node *n);
/* NULL: not a formula for the fast path. One block of memory, size in *bytes; free() it. */
struct numeric *numeric_compile(struct compiler *c, struct node *root, size_t *bytes);
/* false: the general path must decide (a nil that matters, an error). */
bool numeric_run(const struct numeric *code, const struct formula_env *env, struct formula_result *result);

/* ---- the general path ---- */

struct program;

/* NULL and *err: beyond a bound of ours, a zone that does not load. */
struct program *emit_program(struct compiler *c, struct node *root, struct formula_error *err);
void program_free(struct program *program);
size_t program_bytes(const struct program *program);

struct program_run {
    const struct formula_env *env;
    const char *const *names;
    size_t name_count;
    const char *source; /* the user's text, which begins at prefix_length of the text compiled */
    uint32_t prefix_length, user_length;
    struct extension_slot *memory;
    struct text *repr; /* NULL: not wanted */
    /* formula_check_finite: */
    bool find_unfinite;
    uint32_t unfinite_begin, unfinite_end;
    char unfinite_why[64];
};
void program_execute(const struct program *program, struct program_run *run, struct formula_result *result);

#endif

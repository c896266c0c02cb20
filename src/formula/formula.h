/*
 * formula: the language of scaling modifiers, compiled once, evaluated often.
 *
 *     const char *names[] = {"drift", "gpus"};
 *     struct formula *f = formula_compile("drift > 0.1 && gpus >= 2 ? 1 : 0",
 *                                         &(struct formula_options){.names = names, .name_count = 2,
 *                                                                   .wrap = FORMULA_WRAP_KEDA, .extensions = true}, &err);
 *     struct formula_env env = {.values = values, .now_ms = now_ms};
 *     struct formula_result r;
 *     formula_eval(f, &env, &r);                     -- r.type == FORMULA_NUMBER, r.number == 1
 *
 * The language is expr-lang as KEDA embeds it (docs/formula.md); on top of it come Weir's own names, which a
 * trigger's name always shadows. A program is immutable and may be shared by objects and threads; what it remembers
 * between evaluations (ema, held, cooldown, hysteresis) lives in memory of the caller. Numeric formulas run on
 * unboxed doubles and allocate nothing. Reads no clock, does no input or output (zones and patterns are loaded when
 * compiled).
 * Bounds: FORMULA_* in base/limits.h; every one is an error, never a stall.
 *
 * Weir's own names (extensions). A nil argument gives nil and leaves the memory alone; so does a window without a
 * good sample.
 *     hysteresis(x, low, high)   turns true at x >= high, false at x <= low, keeps in between; starts false
 *     held(cond, "2m")           true once cond was true at every evaluation for at least that long
 *     cooldown(cond, "10m")      true while cond is, and afterwards until that long has passed since it last was
 *     ema(x, "5m")               moving average by elapsed time: after one such time an old value weighs half; starts as x
 *     clamp(x, low, high), age(t) in seconds, missing(t), recent(t, w), avg_over(t, w) ... predict_linear(t, w, ahead)
 *     hour(zone), minute(zone), weekday(zone) (0 = Sunday), between("20:00", "08:00", zone) (from, not including to; over
 *     midnight if from is the later; never if they are equal)
 * Durations, zones, times of day and quantiles are constants; a plain number is seconds. t is a trigger's name, or
 * $env["its-name"].
 * A function that remembers keeps one slot per call site, untouched when its branch is not evaluated, cannot stand in
 * a predicate, and gives the same answer when evaluated again at the same instant.
 */
#ifndef WEIR_FORMULA_FORMULA_H
#define WEIR_FORMULA_FORMULA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct series;
struct text;
struct formula;

enum formula_wrap {
    FORMULA_WRAP_NONE,
    FORMULA_WRAP_KEDA, /* the textual wrapping of expr-language.md 1.1; positions in errors still refer to the user's text */
};

struct formula_options {
    const char *const
        *names; /* triggers, in the order of formula_env.values; an entry may be NULL (a trigger without name) */
    size_t name_count;
    enum formula_wrap wrap;
    bool extensions; /* Weir's own names (DESIGN.md 4); off for KEDA parity */
    bool history;    /* with extensions: series are available (not for `weir eval` of plain values) */
};

/* Classes of expr-language.md 10, plus our own limits. */
enum formula_fault {
    FAULT_NONE,
    FAULT_SYNTAX,
    FAULT_UNKNOWN_NAME,
    FAULT_UNKNOWN_POINTER,
    FAULT_TYPE_MISMATCH,
    FAULT_BAD_ARGUMENT,
    FAULT_ARG_COUNT,
    FAULT_BAD_PREDICATE,
    FAULT_BAD_INDEX,
    FAULT_NOT_CALLABLE,
    FAULT_REDECLARE,
    FAULT_DIVIDE_BY_ZERO,
    FAULT_BAD_REGEXP,
    FAULT_NODE_LIMIT,
    FAULT_NIL_OPERAND,
    FAULT_TYPE_ASSERTION,
    FAULT_BAD_CONVERSION,
    FAULT_NEGATIVE_SHIFT,
    FAULT_OUT_OF_RANGE,
    FAULT_MEMORY_BUDGET,
    FAULT_EMPTY_REDUCE,
    FAULT_BAD_ORDER,
    FAULT_BAD_KEY,
    FAULT_JSON,
    FAULT_BASE64,
    FAULT_BAD_TIME,
    FAULT_LIMIT,      /* a bound of ours: source, depth, steps, heap */
    FAULT_NOT_FINITE, /* the result is NaN or infinite: arithmetic, but never a replica count (formula_check_finite) */
};

struct formula_error {
    enum formula_fault fault;
    int line, column;  /* 1-based, in the user's text, columns in code points; 0 = no place */
    size_t begin, end; /* the sub-expression, as bytes of the user's text; equal = none */
    char text[384];    /* "unknown name 'tokens_per_mn', did you mean 'tokens_per_min'?" */
};

/* NULL and *err on failure. The caller owns the program: formula_unref. */
struct formula *formula_compile(const char *source, size_t length, const struct formula_options *options,
                                struct formula_error *err);
struct formula *formula_ref(struct formula *formula);
void formula_unref(struct formula *formula);
const char *formula_source(const struct formula *formula); /* the user's text */
size_t formula_bytes(const struct formula *formula);       /* memory it holds */
/* "formula:1:4: text\n | source line\n | ...^" as compilers show it. */
void formula_error_write(const struct formula_error *err, const char *source, struct text *out);
const char *formula_fault_name(enum formula_fault fault); /* "unknown-name" ... as in the vectors */
bool formula_fault_is_compile(enum formula_fault fault);

/* ---- what it needs ---- */
bool formula_uses(const struct formula *formula, size_t name); /* the text refers to this trigger (or to $env) */
int64_t formula_history_ms(const struct formula *formula, size_t name); /* how far back; 0: no history */
/* Bytes that functions with memory keep from evaluation to evaluation; 0 for most. Zeroed memory is the start. */
size_t formula_memory_bytes(const struct formula *formula);

/* ---- evaluation ---- */
enum formula_type {
    FORMULA_NIL,
    FORMULA_BOOL,
    FORMULA_INT,
    FORMULA_NUMBER /* a float64 */,
    FORMULA_OTHER /* string, array ... */,
    FORMULA_FAILED,
};

struct formula_state {
    double replicas, ready_replicas, pending_replicas, min_replicas, max_replicas, target;
};

struct formula_value {
    enum formula_type type;
    double number;   /* FORMULA_NUMBER; FORMULA_BOOL as 0 or 1; FORMULA_INT too where it fits */
    int64_t integer; /* FORMULA_INT */
};

struct formula_result {
    struct formula_value value;
    struct formula_error error; /* FORMULA_FAILED only */
    char other_type[16];        /* FORMULA_OTHER: as the `type` builtin names it */
};

/* Called for every sub-expression evaluated that is not a literal, in order of completion. begin..end are bytes of the
   user's text; depth 0 is the whole formula. repr is how `string()` prints the value, where trace_repr asks for it, else NULL; valid
   during the call only. */
typedef void formula_trace(void *arg, size_t begin, size_t end, int depth, const struct formula_value *value,
                           const char *repr);

/* Everything an evaluation may look at. Arrays have name_count entries. */
struct formula_env {
    const double *values; /* one per name */
    const bool *nil;      /* which values are nil; NULL: none is */
    const bool *missing;  /* for missing(x): the source answered without value; NULL: same as nil */
    const int64_t *at_ms; /* when the last good value of each name was taken, for age(x); NULL: not known (nil) */
    struct series *const *series;      /* for history functions; NULL or NULL entries: no good sample, hence nil */
    const struct formula_state *state; /* NULL: all names of the state are nil */
    int64_t now_ms;
    void *memory;         /* formula_memory_bytes(), or NULL: functions with memory start anew */
    formula_trace *trace; /* NULL: no trace, the fast path */
    void *trace_arg;
    bool trace_repr;
};

void formula_eval(const struct formula *formula, const struct formula_env *env, struct formula_result *result);
/* For who traces every evaluation: the code that traces is kept from the first one on, instead of compiled for each. It takes as much
   memory as the formula; such evaluations are for one thread at a time. */
void formula_keep_traced(struct formula *formula);
/* How `string()` would print the result, e.g. "[1 2]": evaluates with boxed values; for `weir eval` and the vectors.
   What is too long to print is cut, and repr->overflowed says so; the result is the same. */
void formula_eval_repr(const struct formula *formula, const struct formula_env *env, struct formula_result *result,
                       struct text *repr);
/* A result that is NaN or infinite becomes FORMULA_FAILED with the innermost sub-expression that made it:
   "1 / (tokens_per_min / pod_count): division by 0". Evaluates once more, traced; call it only when needed. */
void formula_check_finite(const struct formula *formula, const struct formula_env *env, struct formula_result *result);

/* ---- one table of all functions, for docs, completion and near names ---- */
struct formula_function {
    const char *name, *signature, *summary;
    bool extension;
};
const struct formula_function *formula_functions(size_t *count);

#endif

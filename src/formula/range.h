/*
 * range: which values a formula can take, read off its text: bounds, direction, divisors that can be 0 (DESIGN.md 4).
 *
 *     struct range_name names[] = {{.low = 0, .high = INFINITY}, {.low = 0, .high = INFINITY, .pods = true}};
 *     formula_range("1 / (tokens / pods)", length, &options, names, &state, &r);
 *     r.rises_with_pods, r.feedback          -- true: more pods, more of it
 *
 * Interval arithmetic over the nodes of the compiled text. A condition narrows what it compares within its branch
 * (`x > 0 ? a / x : 0` divides by something above 0). At what is not followed (closures, texts, methods) everything is
 * possible in every direction, so whatever is concluded holds for every value of the triggers within the bounds given.
 * Pure; a few microseconds for what people write, bounded by RANGE_STEPS_MAX for everything else.
 */
#ifndef WEIR_FORMULA_RANGE_H
#define WEIR_FORMULA_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formula/formula.h"

enum {
    RANGE_NAMES_MAX =
        56, /* triggers followed by name, the rest of a 64 bit set is for the state; of others nothing is concluded */
    RANGE_DIVISORS_MAX = 8,
    RANGE_WINDOWS_MAX = 8,
};

struct range_name { /* of a trigger, in the order of formula_options.names */
    double low, high;
    bool pods; /* counts the pods of the target */
};

struct range_result {
    bool known; /* false: it does not compile */
    double low, high;
    uint64_t rises, falls; /* bit i: the value can rise (fall) when trigger i rises; neither: it does not look at it */
    bool rises_with_pods, falls_with_pods; /* with replicas, ready_replicas and triggers that count pods */
    bool
        undefined; /* at some point 0 / 0 or the like, which max, min and comparisons pass over: rises and falls leave it out */
    bool feedback;    /* some product in it rises with the pods and falls with a load: p / x */
    uint64_t covered; /* a missing value of trigger i has been thought of: ??, missing(), recent(), == nil */
    bool uses_clock, uses_target, uses_replicas;

    size_t divisor_count;
    struct range_divisor {
        char text[64]; /* as written */
        int name;      /* the first trigger in it that can be 0, or -1 */
        bool pods;     /* something in it counts pods */
        bool zero;     /* it can be 0, and no condition around it looks at what is in it */
        bool quotient; /* it is a quotient itself */
    } divisors[RANGE_DIVISORS_MAX];

    size_t window_count;
    struct range_window {
        const char *function; /* static: "avg_over" */
        int name;
        int64_t window_ms;
    } windows[RANGE_WINDOWS_MAX];

    /* The outermost arithmetic, below ceil(), max(constant, ...) and the like; 0: none. */
    bool counted;      /* it ends in ceil(): whole replicas */
    double divided_by; /* x / 10 */
    double added;      /* x + 1 */
    int sole;          /* x itself is this trigger; -1: more than that */
};

/* state: min_replicas, max_replicas and target are taken as they stand; replicas are 0..max_replicas. */
void formula_range(const char *source, size_t length, const struct formula_options *options,
                   const struct range_name *names, const struct formula_state *state, struct range_result *out);

#endif

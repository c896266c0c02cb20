/*
 * reach: how far a value of a formula can go, and what moves it. Part of range: interval arithmetic with directions.
 */
#ifndef WEIR_FORMULA_REACH_H
#define WEIR_FORMULA_REACH_H

#include <stdbool.h>
#include <stdint.h>

/* Sets of names: bit i is trigger i, then the names of the state; whatever counts pods moves the last one. */
#define REACH_PODS (UINT64_C(1) << 63)

struct reach {
    double low, high;
    bool nonzero;   /* never 0, although the bounds may allow it */
    bool open;      /* not followed: the bounds mean nothing */
    bool vast;      /* may leave what an int holds although all triggers are of usual size: x / 0, 2 ** x */
    bool undefined; /* at some point not a number (0 / 0), which max, min and comparisons pass over without a word; the
                          bounds hold there too, the directions leave such points out */
    uint64_t names; /* mentioned in it */
    uint64_t up, down; /* it can rise, fall when they rise */
    bool product_up;   /* a product in it rises with the pods and falls with a load */
    bool product_down; /* ... falls with the pods and rises with a load */
};

struct reach reach_constant(double number);
struct reach reach_between(double low, double high);
/* Into v: it moves as `from` does, in the same direction; or in both. Mentions and marks go along. */
void reach_follow(struct reach *v, const struct reach *from);
/* The same with up and down exchanged. */
struct reach reach_turned(struct reach v);
void reach_follow_both(struct reach *v, const struct reach *from);
/* One of both. */
struct reach reach_join(struct reach a, struct reach b);
struct reach reach_negate(struct reach a);
struct reach reach_add(struct reach a, struct reach b);
struct reach reach_multiply(struct reach a, struct reach b);
struct reach reach_divide(struct reach a, struct reach b);
struct reach reach_remainder(struct reach a, struct reach b);
struct reach reach_power(struct reach a, struct reach b);
/* Of the larger, or the smaller, of both. */
struct reach reach_extreme(struct reach a, struct reach b, bool max);
/* round_it: ceil, floor, round, trunc. */
struct reach reach_rounded(struct reach a, double (*round_it)(double));
struct reach reach_absolute(struct reach a);
/* int(a): what an int cannot hold becomes the lowest there is (Go, and therefore expr). */
struct reach reach_int(struct reach a);
/* Not followed: anything, in bounds that mean nothing. */
struct reach reach_unknown(void);

#endif

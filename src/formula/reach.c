/*
 * reach: see reach.h. Bounds follow interval arithmetic; directions follow signs: a factor that can be of both signs makes its partner
 * move both ways. A product of pods and a load that move in opposite ways is remembered, because that, and not a sum, is a
 * feedback.
 */
#include "formula/reach.h"

#include <math.h>

/* Larger constants are not followed into an int: what is multiplied with them may not fit. */
#define USUAL_MAX 1e12

struct reach reach_constant(double number)
{
    return (struct reach){.low = number, .high = number, .nonzero = number != 0, .vast = fabs(number) > USUAL_MAX};
}

struct reach reach_between(double low, double high)
{
    return (struct reach){.low = low, .high = high, .nonzero = low > 0 || high < 0};
}

static void mention(struct reach *v, const struct reach *from)
{
    v->names |= from->names;
    v->product_up |= from->product_up;
    v->product_down |= from->product_down;
    v->open |= from->open;
    v->vast |= from->vast;
    v->undefined |= from->undefined;
}

static bool may_be_zero(const struct reach *v)
{
    return v->low <= 0 && v->high >= 0 && !v->nonzero;
}

void reach_follow(struct reach *v, const struct reach *from)
{
    v->up |= from->up;
    v->down |= from->down;
    mention(v, from);
}

struct reach reach_turned(struct reach v)
{
    struct reach r = v;

    r.up = v.down;
    r.down = v.up;
    r.product_up = v.product_down;
    r.product_down = v.product_up;
    return r;
}

void reach_follow_both(struct reach *v, const struct reach *from)
{
    struct reach turned = reach_turned(*from);

    reach_follow(v, from);
    reach_follow(v, &turned);
}

static bool reach_is_constant(const struct reach *v)
{
    return v->low == v->high && v->names == 0 && !v->open;
}

struct reach reach_join(struct reach a, struct reach b)
{
    struct reach r = {.low = fmin(a.low, b.low), .high = fmax(a.high, b.high), .nonzero = a.nonzero && b.nonzero};

    reach_follow(&r, &a);
    reach_follow(&r, &b);
    return r;
}

struct reach reach_negate(struct reach a)
{
    struct reach r = reach_turned(a);

    r.low = -a.high;
    r.high = -a.low;
    return r;
}

struct reach reach_add(struct reach a, struct reach b)
{
    struct reach r = {.low = a.low + b.low, .high = a.high + b.high};

    r.low = isnan(r.low) ? -INFINITY : r.low;
    r.high = isnan(r.high) ? INFINITY : r.high;
    r.nonzero = r.low > 0 || r.high < 0 || (a.low >= 0 && b.low >= 0 && (a.nonzero || b.nonzero));
    r.undefined = a.vast && b.vast; /* infinity less infinity */
    reach_follow(&r, &a);
    reach_follow(&r, &b);
    return r;
}

/* Of a factor with the other factor's sign. */
static void follow_factor(struct reach *r, const struct reach *factor, const struct reach *other)
{
    struct reach turned = reach_turned(*factor);

    if (other->open || (other->low < 0 && other->high > 0))
        reach_follow_both(r, factor);
    else
        reach_follow(r, other->low >= 0 ? factor : &turned);
}

/* One side moves with the pods, the other with a load, in opposite ways. */
static void note_product(struct reach *r, uint64_t a_up, uint64_t a_down, uint64_t b_up, uint64_t b_down)
{
    r->product_up |= ((a_up & REACH_PODS) && (b_down & ~REACH_PODS)) || ((b_up & REACH_PODS) && (a_down & ~REACH_PODS));
    r->product_down |=
        ((a_down & REACH_PODS) && (b_up & ~REACH_PODS)) || ((b_down & REACH_PODS) && (a_up & ~REACH_PODS));
}

/* Of the four corners; 0 times infinity is 0 here: the 0 is exact. */
struct reach reach_multiply(struct reach a, struct reach b)
{
    double corners[4] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
    struct reach r = {.low = INFINITY, .high = -INFINITY, .nonzero = a.nonzero && b.nonzero};

    for (int i = 0; i < 4; i++) {
        double c = isnan(corners[i]) ? 0 : corners[i];

        r.low = fmin(r.low, c);
        r.high = fmax(r.high, c);
    }
    follow_factor(&r, &a, &b);
    follow_factor(&r, &b, &a);
    note_product(&r, a.up, a.down, b.up, b.down);
    r.undefined |= a.vast || b.vast; /* 0 times infinity */
    return r;
}

/* 1 / b; of both signs, or through 0: anything. */
static struct reach reciprocal(struct reach b)
{
    struct reach r = reach_between(-INFINITY, INFINITY);

    if (b.low > 0 || b.high < 0)
        r = reach_between(1 / b.high, 1 / b.low);
    else if (b.low >= 0)
        r = reach_between(b.high > 0 ? 1 / b.high : 0, INFINITY);
    r.nonzero = true; /* but for 1 / infinity, which no trigger gives */
    if (b.low >= 0 || b.high <= 0) {
        struct reach turned = reach_turned(b);

        reach_follow(&r, &turned);
    } else {
        reach_follow_both(&r, &b);
    }
    return r;
}

struct reach reach_divide(struct reach a, struct reach b)
{
    struct reach r = reach_multiply(a, reciprocal(b));

    if (a.low >= 0 && b.low >= 0)
        r.low = fmax(r.low, 0);
    r.vast |= may_be_zero(&b);
    r.undefined |= may_be_zero(&a) && may_be_zero(&b);
    return r;
}

struct reach reach_remainder(struct reach a, struct reach b)
{
    struct reach r = reach_between(-INFINITY, INFINITY);

    if (a.low >= 0)
        r = reach_between(0, fmin(a.high, fmax(fabs(b.low), fabs(b.high))));
    reach_follow_both(&r, &a);
    reach_follow_both(&r, &b);
    r.undefined = true; /* by 0, of infinity */
    return r;
}

struct reach reach_power(struct reach a, struct reach b)
{
    struct reach r = reach_between(a.low >= 0 ? 0 : -INFINITY, INFINITY);

    r.nonzero = a.nonzero;
    r.vast = !reach_is_constant(&b) || b.low < 0 || b.low > 3;
    r.undefined = a.low < 0; /* a root of what is below 0 */
    if (a.low >= 0 && reach_is_constant(&b) && b.low > 0) {
        r.low = pow(a.low, b.low);
        r.high = pow(a.high, b.low);
        reach_follow(&r, &a);
    } else {
        reach_follow_both(&r, &a);
        reach_follow_both(&r, &b);
    }
    return r;
}

/* Where one is no number, the other may be the result. */
struct reach reach_extreme(struct reach a, struct reach b, bool max)
{
    struct reach r = {.low = max ? fmax(a.low, b.low) : fmin(a.low, b.low),
                      .high = max ? fmax(a.high, b.high) : fmin(a.high, b.high)};

    if (a.undefined) {
        r.low = fmin(r.low, b.low);
        r.high = fmax(r.high, b.high);
    }
    if (b.undefined) {
        r.low = fmin(r.low, a.low);
        r.high = fmax(r.high, a.high);
    }
    r.nonzero = r.low > 0 || r.high < 0 || (a.nonzero && b.nonzero) ||
                (max && ((a.nonzero && a.low >= 0 && !a.undefined) || (b.nonzero && b.low >= 0 && !b.undefined)));
    reach_follow(&r, &a);
    reach_follow(&r, &b);
    return r;
}

struct reach reach_rounded(struct reach a, double (*round_it)(double))
{
    struct reach r = a;

    r.low = round_it(a.low);
    r.high = round_it(a.high);
    r.nonzero = r.low > 0 || r.high < 0 || (round_it == ceil && a.nonzero && a.low >= 0);
    return r;
}

struct reach reach_int(struct reach a)
{
    struct reach r = reach_rounded(a, trunc);

    if (!a.vast)
        return r;
    r.low = fmin(r.low, (double)INT64_MIN);
    r.nonzero = false;
    reach_follow_both(&r, &a);
    return r;
}

struct reach reach_absolute(struct reach a)
{
    struct reach r = reach_between(a.low >= 0 ? a.low : a.high <= 0 ? -a.high : 0, fmax(fabs(a.low), fabs(a.high)));

    r.nonzero = a.nonzero;
    if (a.low >= 0)
        reach_follow(&r, &a);
    else
        reach_follow_both(&r, &a);
    return r;
}

struct reach reach_unknown(void)
{
    return (struct reach){.low = -INFINITY, .high = INFINITY, .open = true};
}

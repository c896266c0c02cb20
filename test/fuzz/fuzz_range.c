/*
 * fuzz_range: any text as a formula. What formula_range says of its values must hold for every evaluation with triggers within
 * their bounds: the result lies between low and high, and, where nothing in it is undefined, moves with a trigger only in the
 * directions named.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formula/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAMES = 4, PODS = 3 };
static const char *const names[NAMES] = {"a", "b", "s", "p"};
static const struct range_name ranges[NAMES] = {
    {0, INFINITY, false}, {0, INFINITY, false}, {0, 1, false}, {0, INFINITY, true}};
static const double tries[] = {0, 0.25, 1, 2.5, 7, 100};
enum { TRIES = sizeof(tries) / sizeof(tries[0]), SOURCE_MAX_BYTES = 300 };

/* NaN: nothing to compare. */
static double evaluate(const struct formula *f, const struct formula_state *state, const double values[NAMES])
{
    struct formula_env env = {.values = values, .state = state, .now_ms = 1700000000000};
    struct formula_result result;

    formula_eval(f, &env, &result);
    return result.value.type == FORMULA_NUMBER && isfinite(result.value.number) ? result.value.number : NAN;
}

static double slack(double x)
{
    return 1e-9 * (1 + fabs(x));
}

static void check_bounds(const struct range_result *r, double value)
{
    if (isnan(value))
        return;
    if (value < r->low - slack(r->low) || value > r->high + slack(r->high))
        abort();
}

static void check_direction(const struct range_result *r, int name, double before, double after)
{
    bool rises = name == PODS ? r->rises_with_pods : r->rises >> name & 1;
    bool falls = name == PODS ? r->falls_with_pods : r->falls >> name & 1;

    if (isnan(before) || isnan(after))
        return;
    if (!rises && after > before + slack(before))
        abort();
    if (!falls && after < before - slack(before))
        abort();
}

static void compare(const struct formula *f, const struct formula_state *state, const struct range_result *r,
                    uint32_t seed)
{
    double values[NAMES];

    for (int i = 0; i < NAMES; i++) {
        values[i] = tries[seed % TRIES];
        seed /= TRIES;
        values[i] = fmin(values[i], ranges[i].high);
    }
    double before = evaluate(f, state, values);
    check_bounds(r, before);
    if (r->undefined)
        return;
    for (int i = 0; i < NAMES; i++) {
        double old = values[i];

        values[i] = fmin(old + 1.5, ranges[i].high);
        check_direction(r, i, before, evaluate(f, state, values));
        values[i] = old;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct formula_options options = {
        .names = names, .name_count = NAMES, .wrap = FORMULA_WRAP_KEDA, .extensions = true, .history = true};
    struct formula_state state = {3, 2, 1, 1, 20, 10};
    struct range_result r;
    struct formula *f;

    if (size > SOURCE_MAX_BYTES)
        return 0;
    formula_range((const char *)data, size, &options, ranges, &state, &r);
    if (r.divisor_count > RANGE_DIVISORS_MAX || r.window_count > RANGE_WINDOWS_MAX)
        abort();
    f = formula_compile((const char *)data, size, &options, NULL);
    for (uint32_t seed = 0; f && r.known && seed < TRIES * TRIES * TRIES * TRIES; seed += 29)
        compare(f, &state, &r, seed);
    formula_unref(f);
    return 0;
}

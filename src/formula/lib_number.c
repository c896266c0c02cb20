/*
 * lib_number: numbers as text, and the arithmetic that C and Go do not share.
 *
 * Floats print with the fewest digits that read back as the same double, laid out in one of two ways (expr-language.md 9):
 * `string` turns to an exponent at 10^6, toJSON (lib_codec.c) at 10^21.
 */
#include "formula/library.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/tree.h"
#include "formula/library_internal.h"

bool lib_parse_int(struct span s, int64_t *out)
{
    bool negative = s.length > 0 && s.bytes[0] == '-';
    size_t at = s.length > 0 && (negative || s.bytes[0] == '+') ? 1 : 0;
    uint64_t value = 0, limit = (uint64_t)INT64_MAX + negative;

    if (at == s.length)
        return false;
    for (; at < s.length; at++) {
        unsigned digit = (unsigned char)s.bytes[at] - (unsigned)'0';
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

bool lib_parse_float(struct span s, double *out)
{
    return number_parse(s.bytes, s.length, out);
}

int64_t lib_float_to_int(double x)
{
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN;
}

double lib_round(double x)
{
    return round(x);
}

static bool is_odd_integer(double y)
{
    /* from 2^53 on every double is even */
    return fabs(y) < 0x1p53 && trunc(y) == y && fmod(y, 2) != 0;
}

/* x^y for the arguments at the edges: zeros, infinities, NaN, and the exponents whose answer needs no loop. */
static bool pow_special(double x, double y, double *out)
{
    if (y == 0 || x == 1)
        *out = 1;
    else if (y == 1)
        *out = x;
    else if (isnan(x) || isnan(y))
        *out = NAN;
    else if (x == 0 || (isinf(x) && !isinf(y)))
        *out = copysign((x == 0) == (y < 0) ? INFINITY : 0, is_odd_integer(y) ? x : 1);
    else if (isinf(y))
        *out = x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    else if (y == 0.5)
        *out = sqrt(x);
    else if (y == -0.5)
        *out = 1 / sqrt(x);
    else
        return false;
    return true;
}

/* Squares a mantissa in 0.5..1 and its exponent, and keeps the mantissa there. */
static void square(double *mantissa, int *exponent)
{
    *mantissa *= *mantissa;
    *exponent *= 2;
    if (*mantissa < 0.5) {
        *mantissa += *mantissa;
        *exponent -= 1;
    }
}

double lib_pow(double x, double y)
{
    enum { EXPONENT_FAR = 4096 }; /* twice what a double holds: overflow is certain */
    double whole, fraction, result = 1, mantissa;
    int exponent, result_exponent = 0;

    if (pow_special(x, y, &result))
        return result;
    fraction = modf(fabs(y), &whole);
    if (fraction != 0 && x < 0)
        return NAN;
    if (whole >= 0x1p63)
        return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
    if (fraction > 0.5) {
        fraction -= 1;
        whole += 1;
    }
    if (fraction != 0)
        result = exp(fraction * log(x));
    mantissa = frexp(x, &exponent);
    for (int64_t bits = (int64_t)whole; bits != 0; bits >>= 1) {
        if (exponent < -EXPONENT_FAR || exponent > EXPONENT_FAR) {
            result_exponent += exponent;
            break;
        }
        if (bits & 1) {
            result *= mantissa;
            result_exponent += exponent;
        }
        square(&mantissa, &exponent);
    }
    return y < 0 ? ldexp(1 / result, -result_exponent) : ldexp(result, result_exponent);
}

/* The decimal with `digits` digits nearest to x, into d; true if it reads back as x. */
static bool decimal_of(double x, int digits, struct decimal *d)
{
    char printed[40];

    snprintf(printed, sizeof(printed), "%.*e", digits - 1, x);
    d->digits[0] = printed[0];
    if (digits > 1)
        memcpy(d->digits + 1, printed + 2, (size_t)digits - 1);
    d->count = digits;
    d->exponent = (int)strtol(strchr(printed, 'e') + 1, NULL, 10);
    return strtod(printed, NULL) == x;
}

/* The next larger decimal of as many digits. */
static void decimal_step(struct decimal *d)
{
    int at = d->count - 1;

    while (at >= 0 && d->digits[at] == '9')
        d->digits[at--] = '0';
    if (at >= 0) {
        d->digits[at]++;
    } else {
        d->digits[0] = '1';
        d->exponent++;
    }
}

static bool decimal_reads_back(const struct decimal *d, double x)
{
    char printed[40];

    snprintf(printed, sizeof(printed), "%c.%.*se%d", d->digits[0], d->count - 1, d->digits + 1, d->exponent);
    return strtod(printed, NULL) == x;
}

/*
 * The nearest decimal of the fewest digits that reads back. Any double with a decimal of up to 15 digits is found at 15
 * (trailing zeros are cut), except for subnormals, which are tried from one digit on. Below a power of two doubles lie twice
 * as dense as above it: there the nearest decimal of n digits may belong to the neighbour below, and the next one be ours.
 */
void lib_shortest(double x, struct decimal *d)
{
    int mantissa_exponent;
    bool at_power_of_two = frexp(x, &mantissa_exponent) == 0.5;

    for (int digits = x < 0x1p-1022 ? 1 : 15; !decimal_of(x, digits, d); digits++) {
        decimal_step(d);
        if (at_power_of_two && decimal_reads_back(d, x))
            break;
    }
    while (d->count > 1 && d->digits[d->count - 1] == '0')
        d->count--;
}

/* 1234.5: the digits with a point among, before or behind them. */
static bool add_plain(struct text *out, const struct decimal *d)
{
    static const char zeros[] = "00000000000000000000000";

    if (d->exponent < 0)
        return text_printf(out, "0.%.*s%.*s", -d->exponent - 1, zeros, d->count, d->digits);
    if (d->count <= d->exponent + 1)
        return text_printf(out, "%.*s%.*s", d->count, d->digits, d->exponent + 1 - d->count, zeros);
    return text_printf(out, "%.*s.%.*s", d->exponent + 1, d->digits, d->count - d->exponent - 1,
                       d->digits + d->exponent + 1);
}

bool lib_add_decimal(struct text *out, double x, const struct float_style *style)
{
    struct decimal d;

    if (signbit(x) && !text_add_char(out, '-'))
        return false;
    if (x == 0)
        return text_add_char(out, '0');
    lib_shortest(fabs(x), &d);
    if (d.exponent >= style->plain_from && d.exponent < style->plain_below)
        return add_plain(out, &d);
    return text_printf(out, "%c%s%.*se%c%0*d", d.digits[0], d.count > 1 ? "." : "", d.count - 1, d.digits + 1,
                       d.exponent < 0 ? '-' : '+', style->exponent_width, abs(d.exponent));
}

bool lib_add_float(struct text *out, double x)
{
    static const struct float_style style = {.plain_from = -4, .plain_below = 6, .exponent_width = 2};

    if (isnan(x))
        return text_add(out, "NaN");
    if (isinf(x))
        return text_add(out, x > 0 ? "+Inf" : "-Inf");
    return lib_add_decimal(out, x, &style);
}

bool lib_add_int(struct text *out, int64_t x)
{
    return text_printf(out, "%" PRId64, x);
}

/*
 * quantity: see quantity.h. A quantity is read into a whole number of 10^-9, the finest Kubernetes keeps, with
 * everything below rounded away from zero; all else is integer arithmetic on that. Binary quantities end at 2^63-1 as in
 * Kubernetes, decimal ones, which have no end there, at 10^28: more than any replica count needs, and 128 bits hold it.
 * Reading goes through a small number of many limbs, because "0.1Pi" times 2^50 and dozens of decimals must come out
 * exactly.
 */
#include "base/quantity.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef unsigned __int128 wide; /* no struct: arithmetic is the point */

enum {
    NANO_DIGITS = 9,
    LIMBS = 16,         /* 512 bits: DIGITS_MAX decimals (333 bits) times 2^60 and 10^9 with room to spare */
    DIGITS_MAX = 100,   /* significant digits kept exactly; what comes after only says "and a bit more" */
    MAGNITUDE_MAX = 40, /* decimal places before the point from which the cap is certain */
};

static const wide binary_cap_nano = (wide)INT64_MAX * 1000000000;
static const wide decimal_cap_nano = (wide)10000000000000000000u * 1000000000 * 1000000000; /* 10^28 */

/* ---- numbers of many limbs, least first ---- */

static void big_mul_add(uint32_t n[LIMBS], uint32_t factor, uint32_t add)
{
    uint64_t carry = add;

    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)n[i] * factor;
        n[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static uint32_t big_div(uint32_t n[LIMBS], uint32_t divisor)
{
    uint64_t rest = 0;

    for (int i = LIMBS - 1; i >= 0; i--) {
        rest = rest << 32 | n[i];
        n[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

static wide big_capped(const uint32_t n[LIMBS], wide cap)
{
    wide value = 0;

    for (int i = LIMBS - 1; i >= 0; i--) {
        if (value > cap >> 32)
            return cap;
        value = value << 32 | n[i];
    }
    return value < cap ? value : cap;
}

/* ---- reading ---- */

struct scale {
    int ten, two; /* the suffix multiplies by 10^ten x 2^two */
};

static bool parse_exponent(const char *s, int *out)
{
    enum { FAR = 100000 }; /* beyond any magnitude that matters; Go's wrap-around at 2^31 is not worth keeping */
    bool negative = *s == '-';
    int value = 0;

    s += *s == '+' || *s == '-';
    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++)
        value = value < FAR ? value * 10 + (*s - '0') : FAR;
    *out = negative ? -value : value;
    return *s == 0;
}

static bool parse_suffix(const char *s, struct scale *out)
{
    static const char units[] = "num\0kMGTPE", binary[] = "KMGTPE";

    *out = (struct scale){0, 0};
    if (*s == 0)
        return true;
    const char *at;
    if (s[1] == 'i' && s[2] == 0 && (at = memchr(binary, *s, sizeof binary - 1))) {
        out->two = 10 * (int)(at - binary + 1);
        return true;
    }
    if ((*s == 'e' || *s == 'E') && s[1]) /* "1E" alone is exa */
        return parse_exponent(s + 1, &out->ten);
    if (s[1] || !(at = memchr(units, *s, sizeof units - 1)))
        return false;
    out->ten = 3 * (int)(at - units) - NANO_DIGITS;
    return true;
}

struct mantissa {
    uint32_t n[LIMBS];
    int ten;       /* the value is n x 10^ten */
    int places;    /* significant digits in n */
    bool leftover; /* digits beyond DIGITS_MAX that are not all 0 */
};

static void add_digit(struct mantissa *m, int digit, bool fraction)
{
    if (m->places == DIGITS_MAX) {
        m->leftover |= digit != 0;
        m->ten += !fraction;
        return;
    }
    if (m->places > 0 || digit > 0) {
        big_mul_add(m->n, 10, (uint32_t)digit);
        m->places++;
    }
    m->ten -= fraction;
}

/* Digits with at most one point; returns where they end, NULL if there is no digit. */
static const char *parse_mantissa(const char *s, struct mantissa *m)
{
    bool fraction = false, any = false;

    memset(m, 0, sizeof *m);
    for (;; s++) {
        if (*s == '.' && !fraction) {
            fraction = true;
        } else if (isdigit((unsigned char)*s)) {
            add_digit(m, *s - '0', fraction);
            any = true;
        } else {
            return any ? s : NULL;
        }
    }
}

/* |value| in 10^-9, rounded up, at most the cap. */
static wide to_nano(struct mantissa *m, struct scale scale)
{
    int ten = m->ten + scale.ten, magnitude = m->places + ten;
    bool leftover = m->leftover;
    wide cap_nano = scale.two ? binary_cap_nano : decimal_cap_nano;

    if (m->places == 0)
        return 0;
    if (magnitude > MAGNITUDE_MAX)
        return cap_nano;
    if (magnitude < -MAGNITUDE_MAX)
        return 1;
    for (int i = 0; i < scale.two; i += 10)
        big_mul_add(m->n, 1024, 0);
    for (ten += NANO_DIGITS; ten > 0; ten--)
        big_mul_add(m->n, 10, 0);
    for (; ten < 0; ten++)
        leftover |= big_div(m->n, 10) != 0;
    wide value = big_capped(m->n, cap_nano);
    return value < cap_nano && leftover ? value + 1 : value;
}

static bool parse_nano(const char *string, bool *negative, wide *nano)
{
    struct mantissa mantissa;
    struct scale scale;

    *negative = *string == '-';
    const char *end = parse_mantissa(string + (*string == '-' || *string == '+'), &mantissa);
    if (!end || !parse_suffix(end, &scale))
        return false;
    *nano = to_nano(&mantissa, scale);
    return true;
}

bool quantity_parse(const char *string, int digits, int64_t *out)
{
    bool negative;
    wide value, unit = 1;

    if (!string || !parse_nano(string, &negative, &value))
        return false;
    for (int i = digits; i < NANO_DIGITS; i++)
        unit *= 10;
    value = (value + unit - 1) / unit;
    if (value > (wide)INT64_MAX)
        *out = negative ? INT64_MIN : INT64_MAX;
    else
        *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

bool quantity_parse_milli(const char *string, int64_t *milli)
{
    return quantity_parse(string, 3, milli);
}

/* Strips whole thousands: the canonical mantissa and its decimal exponent, which names the suffix. */
static int canonical(wide *nano)
{
    int ten = -NANO_DIGITS;

    while (*nano && *nano % 1000 == 0 && ten < 18) {
        *nano /= 1000;
        ten += 3;
    }
    return *nano ? ten : 0;
}

bool quantity_parse_double(const char *string, double *value)
{
    bool negative;
    wide nano;

    if (!string || !parse_nano(string, &negative, &nano))
        return false;
    static const double powers[] = {1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18};
    int ten = canonical(&nano);
    double magnitude = (double)nano * powers[(ten + NANO_DIGITS) / 3]; /* two roundings, as in the HPA */
    *value = negative && nano ? -magnitude : magnitude;
    return true;
}

/* ---- writing ---- */

static void format_nano(bool negative, wide nano, char *out, size_t size)
{
    static const char suffixes[] = "num\0kMGTPE";
    static const wide split = (wide)1000000000000000000; /* printf knows no 128 bits: two halves */
    int ten = canonical(&nano);
    char suffix[2] = {suffixes[(ten + NANO_DIGITS) / 3], 0};
    const char *sign = negative && nano ? "-" : "";
    unsigned long long high = (unsigned long long)(nano / split), low = (unsigned long long)(nano % split);

    if (high)
        snprintf(out, size, "%s%llu%018llu%s", sign, high, low, suffix);
    else
        snprintf(out, size, "%s%llu%s", sign, low, suffix);
}

void quantity_format_milli(int64_t milli, char *out, size_t size)
{
    wide magnitude = milli < 0 ? (wide)(-(__int128)milli) : (wide)milli;

    format_nano(milli < 0, magnitude * 1000000, out, size);
}

void quantity_format_double(double value, char *out, size_t size)
{
    enum { LONGEST = 330 }; /* digits of DBL_MAX, the point and three places */
    char printed[LONGEST];
    bool negative;
    wide nano;

    if (!isfinite(value) || value < 0)
        value = 0;
    snprintf(printed, sizeof printed, "%.3f", value);
    if (!parse_nano(printed, &negative, &nano))
        nano = 0; /* cannot be: what was printed is a number */
    format_nano(negative, nano, out, size);
}

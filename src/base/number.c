/*
 * number: doubles to text and back. Writing looks for the fewest decimal digits that read back as the same double;
 * reading follows Go's strconv.ParseFloat, because KEDA's sources and manifests were read by it. The C library does the
 * rounding on both ways (it is exact there); the program never calls setlocale, so the decimal point is a point.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "base/tree.h"

/* Splits "d.ddde-07" into digits without trailing zeros and the exponent. */
static int take_digits(const char *printed, char digits[NUMBER_DIGITS_BYTES])
{
    int count = 0;

    for (; *printed && *printed != 'e'; printed++)
        if (isdigit((unsigned char)*printed))
            digits[count++] = *printed;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = 0;
    return (int)strtol(printed + 1, NULL, 10);
}

/* One more in the last place of "d.ddddde...", without carry out of the first digit (the caller checks the result). */
static void count_up(char *printed)
{
    char *last = strchr(printed, 'e') - 1;

    while (last > printed && (*last == '9' || *last == '.')) {
        if (*last == '9')
            *last = '0';
        last--;
    }
    if (*last != '9')
        ++*last;
}

/*
 * 15 digits name a normal double if any number of at most 15 does; subnormal ones may need fewer. Below a power of two
 * the doubles lie twice as close, so there the nearest 16-digit decimal may miss while the next one up hits.
 */
int number_digits(double value, char digits[NUMBER_DIGITS_BYTES])
{
    char printed[32];
    int exponent;

    value = fabs(value);
    for (int precision = isnormal(value) ? 15 : 1; precision < 17; precision++) {
        snprintf(printed, sizeof printed, "%.*e", precision - 1, value);
        if (strtod(printed, NULL) == value)
            return take_digits(printed, digits);
        if (precision == 16 && frexp(value, &exponent) == 0.5) {
            count_up(printed);
            if (strtod(printed, NULL) == value)
                return take_digits(printed, digits);
        }
    }
    snprintf(printed, sizeof printed, "%.16e", value);
    return take_digits(printed, digits);
}

static bool add_positional(struct text *text, const char *digits, int exponent)
{
    static const char zeros[] = "00000000000000000000000";
    int count = (int)strlen(digits), whole = exponent + 1;

    if (whole <= 0)
        return text_printf(text, "0.%.*s%s", -whole, zeros, digits);
    if (whole >= count)
        return text_printf(text, "%s%.*s", digits, whole - count, zeros);
    return text_printf(text, "%.*s.%s", whole, digits, digits + whole);
}

bool text_add_number(struct text *text, double value)
{
    enum { FIRST_EXPONENT_ABOVE = 21, LAST_EXPONENT_BELOW = -7 }; /* expr-language.md 9, column toJSON */
    char digits[NUMBER_DIGITS_BYTES] = "";

    if (isnan(value))
        return text_add(text, "NaN");
    if (isinf(value))
        return text_add(text, value > 0 ? "+Inf" : "-Inf");
    if (value == trunc(value) && fabs(value) < 1e15)
        return text_printf(text, "%s%lld", signbit(value) ? "-" : "", (long long)fabs(value));
    int exponent = number_digits(value, digits);
    char out[48];
    struct text number = {.bytes = out, .capacity = sizeof out, .limit = sizeof out - 1};
    if (signbit(value))
        text_add_char(&number, '-');
    if (exponent > LAST_EXPONENT_BELOW && exponent < FIRST_EXPONENT_ABOVE)
        add_positional(&number, digits, exponent);
    else
        text_printf(&number, "%c%s%se%+d", digits[0], digits[1] ? "." : "", digits + 1, exponent);
    return text_append(text, number.bytes, number.length);
}

/* ---- reading ---- */

static size_t skip_digits(const char *s, size_t at, size_t length, bool hex)
{
    while (at < length && (hex ? isxdigit((unsigned char)s[at]) : isdigit((unsigned char)s[at])))
        at++;
    return at;
}

/* Sign, digits with at most one point, exponent: mandatory and binary after 0x, optional and decimal else. */
static bool is_number_syntax(const char *s, size_t length)
{
    size_t at = length && (s[0] == '+' || s[0] == '-');
    bool hex = length - at > 2 && s[at] == '0' && (s[at + 1] | 0x20) == 'x';

    at += hex ? 2 : 0;
    size_t whole_end = skip_digits(s, at, length, hex), digits = whole_end - at;
    at = whole_end;
    if (at < length && s[at] == '.') {
        at = skip_digits(s, at + 1, length, hex);
        digits += at - whole_end - 1;
    }
    if (digits == 0)
        return false;
    if (at == length)
        return !hex;
    if ((s[at++] | 0x20) != (hex ? 'p' : 'e'))
        return false;
    if (at < length && (s[at] == '+' || s[at] == '-'))
        at++;
    return at < length && skip_digits(s, at, length, false) == length;
}

static bool word_is(const char *s, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(s, word, length) == 0;
}

static bool parse_word(const char *s, size_t length, double *value)
{
    size_t sign = length && (s[0] == '+' || s[0] == '-');

    if (word_is(s, length, "nan"))
        *value = NAN;
    else if (word_is(s + sign, length - sign, "inf") || word_is(s + sign, length - sign, "infinity"))
        *value = s[0] == '-' ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

/* As in Go's literals, 1_000: each stands between two digits; the x of 0x counts as one. */
static bool underscores_are_fine(const char *s, size_t length)
{
    size_t start = length && (s[0] == '+' || s[0] == '-');
    bool hex = length - start > 2 && s[start] == '0' && (s[start + 1] | 0x20) == 'x';
    bool digit = false; /* the character before */

    for (size_t i = start; i < length; i++) {
        bool next_is_digit =
            i + 1 < length && (hex ? isxdigit((unsigned char)s[i + 1]) : isdigit((unsigned char)s[i + 1]));
        if (s[i] == '_' && (!digit || !next_is_digit))
            return false;
        digit = hex ? isxdigit((unsigned char)s[i]) || i == start + 1 : isdigit((unsigned char)s[i]);
    }
    return true;
}

static size_t copy_digits(char *copy, const char *string, size_t length)
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++)
        if (string[i] != '_')
            copy[used++] = string[i];
    copy[used] = 0;
    return used;
}

bool number_parse(const char *string, size_t length, double *value)
{
    char short_copy[64];

    if (parse_word(string, length, value))
        return true;
    if (memchr(string, '_', length) && !underscores_are_fine(string, length))
        return false;
    char *copy = length < sizeof short_copy ? short_copy : mem_alloc(length + 1);
    bool good = is_number_syntax(copy, copy_digits(copy, string, length));
    double parsed = good ? strtod(copy, NULL) : 0;
    if (copy != short_copy)
        free(copy);
    if (!good || isinf(parsed))
        return false; /* out of range is an error in Go */
    *value = parsed;
    return true;
}

/*
 * yaml_number: which plain scalars of YAML are numbers, and what they are worth. Rules of the reader Kubernetes uses
 * (sigs.k8s.io/yaml on go-yaml 2): underscores are dropped; 0x, 0o, 0b and a leading 0 name a base; else a decimal float.
 * What looks like a number but does not fit (1e400) is a string there, and so it is here.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/tree_internal.h"

enum { SHORT_BYTES = 64 };

/* The text without underscores; `room` serves if it is long enough. Free with drop(). */
static char *plain_copy(const char *text, size_t length, char room[SHORT_BYTES])
{
    char *copy = length < SHORT_BYTES ? room : mem_alloc(length + 1);
    size_t used = 0;

    for (size_t i = 0; i < length; i++)
        if (text[i] != '_')
            copy[used++] = text[i];
    copy[used] = 0;
    return copy;
}

static void drop(char *copy, const char room[SHORT_BYTES])
{
    if (copy != room)
        free(copy);
}

/* 0x, 0o, 0b, 0 or nothing in front of the digits. */
static int take_base(const char **at)
{
    if ((*at)[0] != '0' || (*at)[1] == 0)
        return 10;
    char letter = (char)((*at)[1] | 0x20);
    int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    *at += base ? 2 : 1;
    return base ? base : 8;
}

static int digit_value(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    return isalpha((unsigned char)c) ? (c | 0x20) - 'a' + 10 : 99;
}

static bool parse_integer(const char *at, bool *negative, uint64_t *magnitude)
{
    *negative = *at == '-';
    at += *at == '-' || *at == '+';
    int base = take_base(&at);
    if (*at == 0)
        return false;
    for (*magnitude = 0; *at; at++) {
        int digit = digit_value(*at);
        if (digit >= base || __builtin_mul_overflow(*magnitude, (uint64_t)base, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)digit, magnitude))
            return false;
    }
    return !*negative || *magnitude <= UINT64_C(1) << 63;
}

bool yaml_integer(const char *text, size_t length, int64_t *value)
{
    char room[SHORT_BYTES];
    char *plain = plain_copy(text, length, room);
    bool negative;
    uint64_t magnitude;
    bool good = parse_integer(plain, &negative, &magnitude) && (negative || magnitude <= INT64_MAX);

    if (good)
        *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    drop(plain, room);
    return good;
}

static bool parse_word(const char *text, double *value)
{
    static const struct {
        const char *words[3];
        double value;
    } table[] = {
        {{".nan", ".NaN", ".NAN"}, NAN},
        {{".inf", ".Inf", ".INF"}, INFINITY},
        {{"+.inf", "+.Inf", "+.INF"}, INFINITY},
        {{"-.inf", "-.Inf", "-.INF"}, -INFINITY},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (int j = 0; j < 3; j++) {
            if (strcmp(text, table[i].words[j]) == 0) {
                *value = table[i].value;
                return true;
            }
        }
    }
    return false;
}

static bool parse_plain(const char *plain, double *value)
{
    bool negative;
    uint64_t magnitude;

    if (parse_word(plain, value))
        return true;
    if (parse_integer(plain, &negative, &magnitude)) {
        *value = negative ? -(double)magnitude : (double)magnitude;
        return true;
    }
    size_t length = strlen(plain);
    return strspn(plain, "0123456789+-.eE") == length && number_parse(plain, length, value);
}

bool yaml_number(const char *text, size_t length, double *value)
{
    char room[SHORT_BYTES];

    if (length == 0 || !strchr("+-.0123456789", text[0]) || memchr(text, 0, length))
        return false;
    if (text[0] == '.' && memchr(text, '_', length)) /* here underscores count as Go's literals have them */
        return number_parse(text, length, value);
    char *plain = plain_copy(text, length, room);
    bool good = parse_plain(plain, value);
    drop(plain, room);
    return good;
}

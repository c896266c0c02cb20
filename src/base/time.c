/*
 * time: see time.h. Durations follow Go's time package to the last nanosecond, because manifests and annotations were
 * written for it; the calendar is the proleptic Gregorian one, counted from 1 March so that leap days come last.
 */
#include "base/time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- durations ---- */

#define MINUTE_NS  UINT64_C(60000000000)
#define MICRO_SIGN "\xc2\xb5"          /* U+00B5; what Go writes */
#define GREEK_MU   "\xce\xbc"          /* U+03BC; what Go reads, too */
#define NS_LIMIT   (UINT64_C(1) << 63) /* one more than a positive duration can hold */

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},       {"us", 1000},      {MICRO_SIGN "s", 1000}, {GREEK_MU "s", 1000},
    {"ms", 1000000}, {"s", 1000000000}, {"m", MINUTE_NS},       {"h", 60 * MINUTE_NS},
};

struct cursor {
    const char *at, *end;
};

static bool on_digit(const struct cursor *c)
{
    return c->at < c->end && isdigit((unsigned char)*c->at);
}

/* false: more than a duration can hold. */
static bool take_whole(struct cursor *c, uint64_t *value)
{
    for (*value = 0; on_digit(c); c->at++) {
        if (*value > NS_LIMIT / 10)
            return false;
        *value = *value * 10 + (uint64_t)(*c->at - '0');
        if (*value > NS_LIMIT)
            return false;
    }
    return true;
}

/* Digits after the point; those that do not fit any more are too small to matter and dropped. */
static void take_fraction(struct cursor *c, uint64_t *value, double *scale)
{
    bool full = false;

    for (*value = 0, *scale = 1; on_digit(c); c->at++) {
        if (full || *value > (NS_LIMIT - 1) / 10) {
            full = true;
            continue;
        }
        uint64_t next = *value * 10 + (uint64_t)(*c->at - '0');
        if (next > NS_LIMIT) {
            full = true;
            continue;
        }
        *value = next;
        *scale *= 10;
    }
}

static bool take_unit(struct cursor *c, uint64_t *ns)
{
    const char *start = c->at;

    while (c->at < c->end && *c->at != '.' && !on_digit(c))
        c->at++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if ((size_t)(c->at - start) == strlen(units[i].name) &&
            memcmp(start, units[i].name, (size_t)(c->at - start)) == 0) {
            *ns = units[i].ns;
            return true;
        }
    }
    return false;
}

/* One "1.5h" of a duration, added to *total. */
static bool take_term(struct cursor *c, uint64_t *total)
{
    const char *start = c->at;
    uint64_t whole, fraction = 0, unit;
    double scale = 1;

    if (!take_whole(c, &whole))
        return false;
    bool digits = c->at > start;
    if (c->at < c->end && *c->at == '.') {
        start = ++c->at;
        take_fraction(c, &fraction, &scale);
        digits |= c->at > start;
    }
    if (!digits || !take_unit(c, &unit) || whole > NS_LIMIT / unit)
        return false;
    whole *= unit;
    if (fraction > 0)
        whole += (uint64_t)((double)fraction * ((double)unit / scale));
    *total += whole; /* both at most 2^63: no wrap */
    return whole <= NS_LIMIT && *total <= NS_LIMIT;
}

bool duration_parse_ns(const char *string, size_t length, int64_t *ns)
{
    struct cursor c = {string, string + length};
    bool negative = length && string[0] == '-';
    uint64_t total = 0;

    if (length && (string[0] == '-' || string[0] == '+'))
        c.at++;
    if (c.end - c.at == 1 && *c.at == '0') {
        *ns = 0;
        return true;
    }
    if (c.at == c.end)
        return false;
    while (c.at < c.end)
        if (!take_term(&c, &total))
            return false;
    if (!negative && total == NS_LIMIT)
        return false;
    *ns = negative ? (int64_t)(0 - total) : (int64_t)total;
    return true;
}

bool duration_parse_ms(const char *string, int64_t *ms)
{
    int64_t ns;

    if (!string || !duration_parse_ns(string, strlen(string), &ns) || (ns != 0 && ns / 1000000 == 0))
        return false;
    *ms = ns / 1000000;
    return true;
}

/* value x 10^-digits without trailing zeros. */
static int print_decimal(char *out, size_t size, uint64_t value, int digits, const char *unit)
{
    uint64_t one = 1, billion = UINT64_C(1000000000);
    char fraction[32] = "";

    for (int i = 0; i < digits; i++)
        one *= 10;
    if (value % one) {
        uint64_t billionths = value % one * (billion / one);
        snprintf(fraction, sizeof fraction, ".%09llu", (unsigned long long)billionths);
        for (size_t last = strlen(fraction) - 1; fraction[last] == '0'; last--)
            fraction[last] = 0;
    }
    return snprintf(out, size, "%llu%s%s", (unsigned long long)(value / one), fraction, unit);
}

void duration_format_ns(int64_t ns, char *out, size_t size)
{
    uint64_t value = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, minutes;
    char text[40], *at = text;
    size_t room = sizeof text;

    if (ns < 0) {
        *at++ = '-';
        room--;
    }
    if (value == 0) {
        snprintf(at, room, "0s");
    } else if (value < 1000) {
        print_decimal(at, room, value, 0, "ns");
    } else if (value < 1000000) {
        print_decimal(at, room, value, 3, MICRO_SIGN "s");
    } else if (value < 1000000000) {
        print_decimal(at, room, value, 6, "ms");
    } else {
        minutes = value / MINUTE_NS;
        int used = 0;
        if (minutes >= 60)
            used = snprintf(at, room, "%lluh%llum", (unsigned long long)(minutes / 60),
                            (unsigned long long)(minutes % 60));
        else if (minutes > 0)
            used = snprintf(at, room, "%llum", (unsigned long long)minutes);
        print_decimal(at + used, room - (size_t)used, value % MINUTE_NS, 9, "s");
    }
    snprintf(out, size, "%s", text);
}

void duration_format_words(int64_t ms, char *out, size_t size)
{
    static const struct {
        int64_t ms;
        const char *name;
    } words[] = {{DAY_MS, "d"}, {HOUR_MS, "h"}, {MINUTE_MS, "min"}, {SECOND_MS, "s"}, {1, "ms"}};
    const char *sign = ms < 0 ? "-" : "";
    uint64_t value = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    int i = 0;

    if (value == 0) {
        snprintf(out, size, "0 s");
        return;
    }
    while (value < (uint64_t)words[i].ms)
        i++;
    unsigned long long first = value / (uint64_t)words[i].ms, rest = value % (uint64_t)words[i].ms;
    if (i == 3 && first < 10 && rest >= 100) { /* below 10 s a tenth is worth saying */
        snprintf(out, size, "%s%llu.%llu s", sign, first, rest / 100);
        return;
    }
    unsigned long long second = i < 3 ? rest / (uint64_t)words[i + 1].ms : 0;
    if (second > 0)
        snprintf(out, size, "%s%llu %s %llu %s", sign, first, words[i].name, second, words[i + 1].name);
    else
        snprintf(out, size, "%s%llu %s", sign, first, words[i].name);
}

/* ---- the calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01 to the first of March-based year `y` (which starts 1 March y), plus the days of `m` months.
   Wraps for years no calendar has, as Go does; unsigned, so that this is no undefined behaviour. */
static uint64_t days_before(int64_t y, int m_from_march)
{
    uint64_t years = (uint64_t)y;
    uint64_t leaps = (uint64_t)floor_div(y, 4) - (uint64_t)floor_div(y, 100) + (uint64_t)floor_div(y, 400);

    return years * 365 + leaps + (uint64_t)((153 * m_from_march + 2) / 5) - 719468;
}

int64_t civil_to_seconds(int64_t year, int month, int day, int hour, int minute, int second)
{
    int64_t months = (int64_t)month - 3; /* from March */
    int64_t y = (int64_t)((uint64_t)year + (uint64_t)floor_div(months, 12));
    int m = (int)(months - 12 * floor_div(months, 12));
    uint64_t days = days_before(y, m) + (uint64_t)((int64_t)day - 1);

    return (int64_t)(days * 86400 + (uint64_t)((int64_t)hour * 3600) + (uint64_t)((int64_t)minute * 60) +
                     (uint64_t)(int64_t)second);
}

void civil_from_seconds(int64_t seconds, struct civil *out)
{
    int64_t days = floor_div(seconds, 86400);
    int of_day = (int)((uint64_t)seconds - (uint64_t)days * 86400); /* the product may lie below INT64_MIN */

    out->hour = of_day / 3600;
    out->minute = of_day / 60 % 60;
    out->second = of_day % 60;
    out->weekday = (int)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */

    int64_t from_march = days + 719468, era = floor_div(from_march, 146097);
    int of_era = (int)(from_march - era * 146097);
    int year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int m = (5 * of_year + 2) / 153;

    out->day = of_year - (153 * m + 2) / 5 + 1;
    out->month = m < 10 ? m + 3 : m - 9;
    out->year = era * 400 + year_of_era + (m >= 10);
    /* January and February end the year that began in March. */
    bool leap = (out->year % 4 == 0 && out->year % 100 != 0) || out->year % 400 == 0;
    out->yearday = of_year + 1 + (m < 10 ? 59 + leap : -306);
}

/* ---- instants ---- */

static bool take_number(const char **at, int digits, char after, int *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (!isdigit((unsigned char)**at))
            return false;
        *value = *value * 10 + (**at - '0');
    }
    if (!after)
        return true;
    return *(*at)++ == after;
}

static int days_in_month(int year, int month)
{
    return (int)((civil_to_seconds(year, month + 1, 1, 0, 0, 0) - civil_to_seconds(year, month, 1, 0, 0, 0)) / 86400);
}

/* ".123456" to milliseconds, the rest dropped. */
static bool take_milliseconds(const char **at, int *ms)
{
    int weight = 100;

    *ms = 0;
    if (**at != '.')
        return true;
    if (!isdigit((unsigned char)*++*at))
        return false;
    for (; isdigit((unsigned char)**at); ++*at, weight /= 10)
        *ms += (**at - '0') * weight;
    return true;
}

static bool take_offset(const char **at, int *offset_s)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;

    *offset_s = 0;
    if (**at == 'Z')
        return *++*at == 0;
    if (**at != '+' && **at != '-')
        return false;
    ++*at;
    if (!take_number(at, 2, ':', &hours) || !take_number(at, 2, 0, &minutes) || hours > 24 || minutes > 59)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return **at == 0;
}

bool instant_parse(const char *string, int64_t *at_ms)
{
    const char *at = string;
    int year, month, day, hour, minute, second, ms, offset_s;

    if (!string || !take_number(&at, 4, '-', &year) || !take_number(&at, 2, '-', &month) ||
        !take_number(&at, 2, 'T', &day) || !take_number(&at, 2, ':', &hour) || !take_number(&at, 2, ':', &minute) ||
        !take_number(&at, 2, 0, &second) || !take_milliseconds(&at, &ms) || !take_offset(&at, &offset_s))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 59)
        return false;
    *at_ms = (civil_to_seconds(year, month, day, hour, minute, second) - offset_s) * SECOND_MS + ms;
    return true;
}

static void print_instant(int64_t at_ms, bool with_ms, char *out, size_t size)
{
    int64_t seconds = floor_div(at_ms, SECOND_MS);
    struct civil c;
    char fraction[8] = "";

    civil_from_seconds(seconds, &c);
    if (with_ms)
        snprintf(fraction, sizeof fraction, ".%03d", (int)((uint64_t)at_ms - (uint64_t)seconds * SECOND_MS));
    snprintf(out, size, "%04lld-%02d-%02dT%02d:%02d:%02d%sZ", (long long)c.year, c.month, c.day, c.hour, c.minute,
             c.second, fraction);
}

void instant_format(int64_t at_ms, char *out, size_t size)
{
    print_instant(at_ms, false, out, size);
}

void instant_format_ms(int64_t at_ms, char *out, size_t size)
{
    print_instant(at_ms, true, out, size);
}

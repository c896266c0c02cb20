/*
 * lib_time: instants and durations with the arithmetic of Go's time package (expr-language.md 8.8).
 *
 * An instant is seconds and nanoseconds, and the zone it is shown in; what a clock there shows is computed when asked.
 * Go's seconds are int64 too but wrap at the ends of their range (year 292 thousand million), which is nonsense that nobody can
 * want; ours stop there.
 */
#include "formula/library.h"

#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/library_internal.h"

enum { NS_PER_S = 1000 * 1000 * 1000, S_PER_DAY = 24 * 3600 };

/* Seconds from January 1 of year 1, Go's zero time, to the epoch. */
#define ZERO_TO_EPOCH_S INT64_C(62135596800)
#define YEAR_MAX        INT64_C(292000000000) /* its seconds still fit */

static int64_t clamped(__int128 x)
{
    return x < INT64_MIN ? INT64_MIN : x > INT64_MAX ? INT64_MAX : (int64_t)x;
}

struct go_time lib_time_from_ms(int64_t at_ms, const struct zone *zone)
{
    int64_t seconds = at_ms / 1000 - (at_ms % 1000 < 0);

    return (struct go_time){
        .seconds = seconds, .nanoseconds = (int32_t)(at_ms - seconds * 1000) * 1000000, .zone = zone};
}

int lib_time_offset(const struct go_time *t, const char **name)
{
    if (t->zone)
        return zone_offset_s(t->zone, t->seconds, name);
    *name = t->zone_name;
    return t->offset_s;
}

void lib_time_civil(const struct go_time *t, struct civil *out)
{
    const char *name;

    civil_from_seconds(clamped((__int128)t->seconds + lib_time_offset(t, &name)), out);
}

/* The year whose week, Monday to Sunday, has this day: that of its Thursday. */
static int64_t iso_year(struct civil c)
{
    int to_thursday = 3 - (c.weekday + 6) % 7;
    int days = civil_to_seconds(c.year + 1, 1, 1, 0, 0, 0) - civil_to_seconds(c.year, 1, 1, 0, 0, 0) == 366 * S_PER_DAY
                   ? 366
                   : 365;

    if (c.yearday + to_thursday < 1)
        return c.year - 1;
    return c.yearday + to_thursday > days ? c.year + 1 : c.year;
}

/* The instant as a count of 10^-digits s; wraps beyond int64 as Go's does. */
static int64_t unix_count(const struct go_time *t, uint64_t per_second)
{
    return (int64_t)((uint64_t)t->seconds * per_second + (uint64_t)t->nanoseconds / (NS_PER_S / per_second));
}

int64_t lib_time_field(const struct go_time *t, enum lib_time_field field)
{
    struct civil c;

    lib_time_civil(t, &c);
    switch (field) {
    case LIB_TIME_YEAR:
        return c.year;
    case LIB_TIME_MONTH:
        return c.month;
    case LIB_TIME_DAY:
        return c.day;
    case LIB_TIME_HOUR:
        return c.hour;
    case LIB_TIME_MINUTE:
        return c.minute;
    case LIB_TIME_SECOND:
        return c.second;
    case LIB_TIME_NANOSECOND:
        return t->nanoseconds;
    case LIB_TIME_YEAR_DAY:
        return c.yearday;
    case LIB_TIME_WEEKDAY:
        return c.weekday;
    case LIB_TIME_UNIX:
        return t->seconds;
    case LIB_TIME_UNIX_MILLI:
        return unix_count(t, 1000);
    case LIB_TIME_UNIX_MICRO:
        return unix_count(t, 1000 * 1000);
    case LIB_TIME_UNIX_NANO:
        return unix_count(t, NS_PER_S);
    case LIB_TIME_ISO_YEAR:
        return iso_year(c);
    }
    return 0;
}

struct go_time lib_time_in(const struct go_time *t, const struct zone *zone)
{
    return (struct go_time){.seconds = t->seconds, .nanoseconds = t->nanoseconds, .zone = zone};
}

/* t moved to an instant given in nanoseconds since the epoch. */
static struct go_time moved_to(const struct go_time *t, __int128 ns)
{
    struct go_time moved = *t;
    __int128 seconds = ns / NS_PER_S - (ns % NS_PER_S < 0);

    moved.seconds = clamped(seconds);
    moved.nanoseconds = (int32_t)(ns - seconds * NS_PER_S);
    return moved;
}

static __int128 nanoseconds_of(const struct go_time *t)
{
    return (__int128)t->seconds * NS_PER_S + t->nanoseconds;
}

struct go_time lib_time_add(const struct go_time *t, int64_t ns)
{
    return moved_to(t, nanoseconds_of(t) + ns);
}

int64_t lib_civil_in_zone(const struct go_time *t, int64_t local_s)
{
    struct civil c;

    if (!t->zone)
        return clamped((__int128)local_s - t->offset_s);
    civil_from_seconds(local_s, &c);
    return zone_to_seconds(t->zone, c.year, c.month, c.day, c.hour, c.minute, c.second);
}

struct go_time lib_time_add_date(const struct go_time *t, int64_t years, int64_t months, int64_t days)
{
    struct go_time moved = *t;
    struct civil c;
    __int128 month, year;

    lib_time_civil(t, &c);
    month = (__int128)c.month - 1 + months;
    year = (__int128)c.year + years + month / 12 - (month % 12 < 0);
    month = (month % 12 + 12) % 12 + 1;
    year = year < -YEAR_MAX ? -YEAR_MAX : year > YEAR_MAX ? YEAR_MAX : year;
    moved.seconds = lib_civil_in_zone(
        t, clamped((__int128)civil_to_seconds((int64_t)year, (int)month, c.day, c.hour, c.minute, c.second) +
                   (__int128)days * S_PER_DAY));
    return moved;
}

int64_t lib_time_sub(const struct go_time *a, const struct go_time *b)
{
    return clamped(nanoseconds_of(a) - nanoseconds_of(b));
}

int lib_time_compare(const struct go_time *a, const struct go_time *b)
{
    if (a->seconds != b->seconds)
        return a->seconds < b->seconds ? -1 : 1;
    return (a->nanoseconds > b->nanoseconds) - (a->nanoseconds < b->nanoseconds);
}

/* How far t is past a multiple of the unit since year 1. */
static int64_t past_multiple(const struct go_time *t, int64_t ns)
{
    __int128 rest = (nanoseconds_of(t) + (__int128)ZERO_TO_EPOCH_S * NS_PER_S) % ns;

    return (int64_t)(rest < 0 ? rest + ns : rest);
}

static bool below_half(int64_t part, int64_t whole)
{
    return (uint64_t)part + (uint64_t)part < (uint64_t)whole;
}

struct go_time lib_time_truncate(const struct go_time *t, int64_t ns)
{
    return ns <= 0 ? *t : lib_time_add(t, -past_multiple(t, ns));
}

struct go_time lib_time_round(const struct go_time *t, int64_t ns)
{
    int64_t past = ns <= 0 ? 0 : past_multiple(t, ns);

    return lib_time_add(t, ns <= 0 ? 0 : below_half(past, ns) ? -past : ns - past);
}

bool lib_time_is_zero(const struct go_time *t)
{
    return t->seconds == -ZERO_TO_EPOCH_S && t->nanoseconds == 0;
}

bool lib_add_time(struct text *out, const struct go_time *t)
{
    return lib_time_format(t, span_of("2006-01-02 15:04:05.999999999 -0700 MST"), out);
}

/* RFC 3339 has years of four digits and offsets below a day. */
bool lib_json_add_time(struct text *out, const struct go_time *t, struct error *err)
{
    const char *name;
    int offset = lib_time_offset(t, &name);
    int64_t year = lib_time_field(t, LIB_TIME_YEAR);

    if (year < 0 || year > 9999)
        return error_set(err, ERROR_INVALID, "JSON has no date in the year %lld; years are 0 to 9999", (long long)year);
    if (offset <= -S_PER_DAY || offset >= S_PER_DAY)
        return error_set(err, ERROR_INVALID, "JSON has no date whose zone is a day or more from UTC");
    if (text_add_char(out, '"') && lib_time_format(t, span_of("2006-01-02T15:04:05.999999999Z07:00"), out) &&
        text_add_char(out, '"'))
        return true;
    return error_set(err, ERROR_LIMIT, "the JSON is larger than %zu bytes", out->limit);
}

const char *const lib_months[12] = {"January", "February", "March",     "April",   "May",      "June",
                                    "July",    "August",   "September", "October", "November", "December"};
const char *const lib_weekdays[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

bool lib_add_month(struct text *out, int64_t month)
{
    if (month >= 1 && month <= 12)
        return text_add(out, lib_months[month - 1]);
    return text_printf(out, "%%!Month(%llu)", (unsigned long long)month);
}

bool lib_add_weekday(struct text *out, int64_t weekday)
{
    if (weekday >= 0 && weekday <= 6)
        return text_add(out, lib_weekdays[weekday]);
    return text_printf(out, "%%!Weekday(%llu)", (unsigned long long)weekday);
}

/* ---- durations ---- */

/* Whole units and the rest are converted apart, so that whole units come out exact. */
static double in_units(int64_t ns, int64_t unit_ns)
{
    int64_t whole = ns / unit_ns, rest = ns % unit_ns;

    return (double)whole + (double)rest / (double)unit_ns;
}

double lib_duration_hours(int64_t ns)
{
    return in_units(ns, INT64_C(3600) * NS_PER_S);
}

double lib_duration_minutes(int64_t ns)
{
    return in_units(ns, INT64_C(60) * NS_PER_S);
}

double lib_duration_seconds(int64_t ns)
{
    return in_units(ns, NS_PER_S);
}

int64_t lib_duration_truncate(int64_t ns, int64_t unit)
{
    return unit <= 0 ? ns : ns - ns % unit;
}

int64_t lib_duration_round(int64_t ns, int64_t unit)
{
    int64_t rest = unit <= 0 ? 0 : ns % unit;

    if (rest == 0)
        return ns;
    if (below_half(rest < 0 ? -rest : rest, unit))
        return ns - rest;
    return clamped((__int128)ns - rest + (rest < 0 ? -unit : unit));
}

int64_t lib_duration_abs(int64_t ns)
{
    return ns == INT64_MIN ? INT64_MAX : ns < 0 ? -ns : ns;
}

bool lib_add_duration(struct text *out, int64_t ns)
{
    char room[40];

    duration_format_ns(ns, room, sizeof(room));
    return text_add(out, room);
}

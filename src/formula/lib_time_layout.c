/*
 * lib_time_layout: dates to text and back by an example. A layout is how Go's reference time, Mon Jan 2 15:04:05 MST 2006,
 * would be written; the parts of it that are found in a layout are its chunks, everything else stands for itself.
 *
 *     "Jan _2 15:04:05.000"     MONTH " " UNDER_DAY " " HOUR ":" ZERO_MINUTE ":" ZERO_SECOND FRACTION(3)
 *
 * One table of chunks drives both directions. When reading, Go is lenient in places: a blank in the layout takes any number of
 * blanks, fractions of a second may follow seconds unasked, names ignore case; a weekday is read but not checked.
 */
#include "formula/library.h"

#include <stdio.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/library_internal.h"

enum chunk_kind {
    CHUNK_NONE,
    YEAR,
    LONG_YEAR,
    MONTH,
    LONG_MONTH,
    NUMBER_MONTH,
    ZERO_MONTH,
    WEEKDAY,
    LONG_WEEKDAY,
    DAY,
    UNDER_DAY,
    ZERO_DAY,
    UNDER_YEARDAY,
    ZERO_YEARDAY,
    HOUR,
    HOUR12,
    ZERO_HOUR12,
    MINUTE,
    ZERO_MINUTE,
    SECOND,
    ZERO_SECOND,
    FRACTION,
    FRACTION_TRIMMED, /* .000 and .999, with their separator in front */
    UPPER_HALF,
    LOWER_HALF, /* PM, pm */
    ZONE_NAME,
    OFFSET,
};

/* What chunks look like, the longer of two that begin alike first. */
static const struct chunk_form {
    const char *text;
    enum chunk_kind kind;
} forms[] = {
    {"January", LONG_MONTH},
    {"Jan", MONTH},
    {"Monday", LONG_WEEKDAY},
    {"Mon", WEEKDAY},
    {"MST", ZONE_NAME},
    {"002", ZERO_YEARDAY},
    {"01", ZERO_MONTH},
    {"02", ZERO_DAY},
    {"03", ZERO_HOUR12},
    {"04", ZERO_MINUTE},
    {"05", ZERO_SECOND},
    {"06", YEAR},
    {"15", HOUR},
    {"1", NUMBER_MONTH},
    {"2006", LONG_YEAR},
    {"2", DAY},
    {"__2", UNDER_YEARDAY},
    {"_2", UNDER_DAY},
    {"3", HOUR12},
    {"4", MINUTE},
    {"5", SECOND},
    {"PM", UPPER_HALF},
    {"pm", LOWER_HALF},
    {"-07:00:00", OFFSET},
    {"-070000", OFFSET},
    {"-07:00", OFFSET},
    {"-0700", OFFSET},
    {"-07", OFFSET},
    {"Z07:00:00", OFFSET},
    {"Z070000", OFFSET},
    {"Z07:00", OFFSET},
    {"Z0700", OFFSET},
    {"Z07", OFFSET},
};

struct chunk {
    enum chunk_kind kind;
    struct span text; /* in the layout */
};

/* ---- layouts ---- */

static struct span rest_of(struct span s, size_t from)
{
    return (struct span){s.bytes + from, s.length - from};
}

static bool digit_at(struct span s, size_t at)
{
    return at < s.length && s.bytes[at] >= '0' && s.bytes[at] <= '9';
}

/* ".000" or ",999": how many bytes; 0 if it is no fraction, which must not be followed by other digits. */
static size_t fraction_length(struct span layout)
{
    size_t end = 1;

    if (layout.length < 2 || (layout.bytes[0] != '.' && layout.bytes[0] != ',') ||
        (layout.bytes[1] != '0' && layout.bytes[1] != '9'))
        return 0;
    while (end < layout.length && layout.bytes[end] == layout.bytes[1])
        end++;
    return digit_at(layout, end) ? 0 : end;
}

/* Does the form apply here, where its text was found? "Jan" does not begin "Janitor", and in "_2006" the _ is just a _. */
static bool form_applies(const struct chunk_form *form, struct span behind)
{
    if (form->kind == MONTH || form->kind == WEEKDAY)
        return behind.length == 0 || behind.bytes[0] < 'a' || behind.bytes[0] > 'z';
    return form->kind != UNDER_DAY || !lib_has_prefix(behind, span_of("006"));
}

static bool chunk_here(struct span layout, struct chunk *chunk)
{
    size_t fraction = fraction_length(layout);

    if (fraction > 0) {
        *chunk = (struct chunk){layout.bytes[1] == '0' ? FRACTION : FRACTION_TRIMMED, {layout.bytes, fraction}};
        return true;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct span text = span_of(forms[i].text);

        if (!lib_has_prefix(layout, text) || !form_applies(&forms[i], rest_of(layout, text.length)))
            continue;
        *chunk = (struct chunk){forms[i].kind, {layout.bytes, text.length}};
        return true;
    }
    return false;
}

/* The first chunk, and what stands before it; CHUNK_NONE: nothing but that. Leaves what stands behind it in *layout. */
static struct chunk next_chunk(struct span *layout, struct span *before)
{
    struct chunk chunk = {CHUNK_NONE, {"", 0}};

    for (size_t at = 0; at < layout->length; at++) {
        if (!chunk_here(rest_of(*layout, at), &chunk))
            continue;
        *before = (struct span){layout->bytes, at};
        *layout = rest_of(*layout, at + chunk.text.length);
        return chunk;
    }
    *before = *layout;
    *layout = rest_of(*layout, layout->length);
    return chunk;
}

/* ---- to text ---- */

static bool add_padded(struct text *out, int64_t x, int width)
{
    return text_printf(out, "%s%0*llu", x < 0 ? "-" : "", width,
                       x < 0 ? 0 - (unsigned long long)x : (unsigned long long)x);
}

/* The offset the way its form shows it: +0530, +05:30:00, or Z for UTC. */
static bool add_offset(struct text *out, int offset_s, struct span form)
{
    int minutes = offset_s / 60, size = minutes < 0 ? -minutes : minutes;
    const char *colon = form.length > 3 && form.bytes[3] == ':' ? ":" : "";

    if (offset_s == 0 && form.bytes[0] == 'Z')
        return text_add_char(out, 'Z');
    if (!text_printf(out, "%c%02d", minutes < 0 ? '-' : '+', size / 60))
        return false;
    if (form.length > 3 && !text_printf(out, "%s%02d", colon, size % 60))
        return false;
    return form.length < 7 || text_printf(out, "%s%02d", colon, (offset_s < 0 ? -offset_s : offset_s) % 60);
}

static bool add_zone_name(struct text *out, int offset_s, const char *name)
{
    return *name ? text_add(out, name) : add_offset(out, offset_s, span_of("-0700"));
}

static bool add_fraction(struct text *out, int32_t ns, const struct chunk *chunk)
{
    size_t digits = chunk->text.length - 1 < 9 ? chunk->text.length - 1 : 9;
    char all[12];

    snprintf(all, sizeof(all), "%09d", (int)ns);
    if (chunk->kind == FRACTION_TRIMMED)
        while (digits > 0 && all[digits - 1] == '0')
            digits--;
    return (chunk->kind == FRACTION_TRIMMED && digits == 0) ||
           (text_add_char(out, chunk->text.bytes[0]) && text_append(out, all, digits));
}

static bool add_chunk(struct text *out, const struct go_time *t, const struct civil *c, const struct chunk *chunk)
{
    const char *name;
    int offset_s = lib_time_offset(t, &name), hour12 = c->hour % 12 ? c->hour % 12 : 12;

    switch (chunk->kind) {
    case YEAR:
        return add_padded(out, c->year < 0 ? -(c->year % 100) : c->year % 100, 2);
    case LONG_YEAR:
        return add_padded(out, c->year, 4);
    case MONTH:
        return text_append(out, lib_months[c->month - 1], 3);
    case LONG_MONTH:
        return text_add(out, lib_months[c->month - 1]);
    case NUMBER_MONTH:
        return add_padded(out, c->month, 1);
    case ZERO_MONTH:
        return add_padded(out, c->month, 2);
    case WEEKDAY:
        return text_append(out, lib_weekdays[c->weekday], 3);
    case LONG_WEEKDAY:
        return text_add(out, lib_weekdays[c->weekday]);
    case DAY:
        return add_padded(out, c->day, 1);
    case UNDER_DAY:
        return text_printf(out, "%2d", c->day);
    case ZERO_DAY:
        return add_padded(out, c->day, 2);
    case UNDER_YEARDAY:
        return text_printf(out, "%3d", c->yearday);
    case ZERO_YEARDAY:
        return add_padded(out, c->yearday, 3);
    case HOUR:
        return add_padded(out, c->hour, 2);
    case HOUR12:
        return add_padded(out, hour12, 1);
    case ZERO_HOUR12:
        return add_padded(out, hour12, 2);
    case MINUTE:
        return add_padded(out, c->minute, 1);
    case ZERO_MINUTE:
        return add_padded(out, c->minute, 2);
    case SECOND:
        return add_padded(out, c->second, 1);
    case ZERO_SECOND:
        return add_padded(out, c->second, 2);
    case FRACTION:
    case FRACTION_TRIMMED:
        return add_fraction(out, t->nanoseconds, chunk);
    case UPPER_HALF:
        return text_add(out, c->hour >= 12 ? "PM" : "AM");
    case LOWER_HALF:
        return text_add(out, c->hour >= 12 ? "pm" : "am");
    case ZONE_NAME:
        return add_zone_name(out, offset_s, name);
    case OFFSET:
        return add_offset(out, offset_s, chunk->text);
    case CHUNK_NONE:
        break;
    }
    return true;
}

bool lib_time_format(const struct go_time *t, struct span layout, struct text *out)
{
    struct span before;
    struct chunk chunk;
    struct civil c;

    lib_time_civil(t, &c);
    do {
        chunk = next_chunk(&layout, &before);
        if (!text_append(out, before.bytes, before.length) || !add_chunk(out, t, &c, &chunk))
            return false;
    } while (chunk.kind != CHUNK_NONE);
    return true;
}

/* ---- from text ---- */

/* What has been read so far; -1: not there. */
struct reading {
    struct span value, layout; /* what is left of both */
    int year, month, day, yearday, hour, minute, second;
    int32_t ns;
    bool is_pm, is_am, is_utc, has_offset;
    int offset_s;
    struct span zone_name;
    const char *out_of_range; /* the name of what is, or NULL */
};

static void advance(struct reading *r, size_t count)
{
    r->value = rest_of(r->value, count);
}

static bool take_blanks(struct reading *r)
{
    bool any = r->value.length == 0 || r->value.bytes[0] == ' ';

    while (r->value.length > 0 && r->value.bytes[0] == ' ')
        advance(r, 1);
    return any;
}

/* What stands between chunks. */
static bool take_literal(struct reading *r, struct span literal)
{
    for (size_t i = 0; i < literal.length; i++) {
        if (literal.bytes[i] == ' ') {
            if (!take_blanks(r))
                return false;
            while (i + 1 < literal.length && literal.bytes[i + 1] == ' ')
                i++;
        } else if (r->value.length == 0 || r->value.bytes[0] != literal.bytes[i]) {
            return false;
        } else {
            advance(r, 1);
        }
    }
    return true;
}

/* One to `digits` digits, or with `fixed` exactly so many. */
static bool take_number(struct reading *r, int digits, bool fixed, int *out)
{
    int count = 0, number = 0;

    while (count < digits && digit_at(r->value, (size_t)count))
        number = number * 10 + (r->value.bytes[count++] - '0');
    if (count == 0 || (fixed && count != digits))
        return false;
    advance(r, (size_t)count);
    *out = number;
    return true;
}

/* A number that must lie in least..most. */
static bool take_ranged(struct reading *r, bool fixed, int least, int most, const char *name, int *out)
{
    if (!take_number(r, 2, fixed, out))
        return false;
    if (*out < least || *out > most)
        r->out_of_range = name;
    return true;
}

/* One of the names, or of their first three letters. */
static bool take_name(struct reading *r, const char *const *names, int count, bool whole, int *out)
{
    for (int i = 0; i < count; i++) {
        size_t length = whole ? strlen(names[i]) : 3;

        if (r->value.length < length || strncasecmp(r->value.bytes, names[i], length) != 0)
            continue;
        advance(r, length);
        *out = i;
        return true;
    }
    return false;
}

/* A separator and `digits` digits, of which nine count. */
static bool take_fraction(struct reading *r, size_t digits)
{
    int32_t ns = 0;

    if (r->value.length < digits + 1 || (r->value.bytes[0] != '.' && r->value.bytes[0] != ','))
        return false;
    for (size_t i = 1; i <= digits; i++)
        if (!digit_at(r->value, i))
            return false;
    for (size_t i = 1; i <= 9; i++)
        ns = ns * 10 + (i <= digits ? r->value.bytes[i] - '0' : 0);
    r->ns = ns;
    advance(r, digits + 1);
    return true;
}

static size_t digits_behind_separator(const struct reading *r)
{
    size_t count = 0;

    if (r->value.length > 0 && (r->value.bytes[0] == '.' || r->value.bytes[0] == ','))
        while (digit_at(r->value, count + 1))
            count++;
    return count;
}

/* Seconds, and a fraction that the layout does not ask for. */
static bool take_second(struct reading *r, bool fixed)
{
    struct span layout = r->layout, before;
    enum chunk_kind next;
    size_t digits;

    if (!take_ranged(r, fixed, 0, 59, "second", &r->second))
        return false;
    next = next_chunk(&layout, &before).kind;
    digits = digits_behind_separator(r);
    if (digits == 0 || next == FRACTION || next == FRACTION_TRIMMED)
        return true;
    return take_fraction(r, digits);
}

static bool take_half(struct reading *r, const char *am, const char *pm)
{
    r->is_pm = lib_has_prefix(r->value, span_of(pm));
    r->is_am = !r->is_pm && lib_has_prefix(r->value, span_of(am));
    if (!r->is_pm && !r->is_am)
        return false;
    advance(r, 2);
    return true;
}

/* Two digits of an offset, behind a colon where its form has one. */
static bool take_offset_part(struct reading *r, bool colon, int *out)
{
    if (colon && !take_literal(r, span_of(":")))
        return false;
    return take_number(r, 2, true, out);
}

static bool take_offset(struct reading *r, struct span form)
{
    bool colon = form.length > 3 && form.bytes[3] == ':';
    int hours, minutes = 0, seconds = 0;
    char sign = r->value.length > 0 ? r->value.bytes[0] : '\0';

    if (form.bytes[0] == 'Z' && sign == 'Z') {
        advance(r, 1);
        r->is_utc = true;
        return true;
    }
    if (sign != '+' && sign != '-')
        return false;
    advance(r, 1);
    if (!take_number(r, 2, true, &hours) || (form.length > 3 && !take_offset_part(r, colon, &minutes)) ||
        (form.length > 6 && !take_offset_part(r, colon, &seconds)))
        return false;
    if (hours > 24 || minutes > 60 || seconds > 60)
        r->out_of_range = "time zone offset";
    r->offset_s = (hours * 60 + minutes) * 60 + seconds;
    if (sign == '-')
        r->offset_s = -r->offset_s;
    r->has_offset = r->offset_s != -1; /* Go's mark for "none" */
    return true;
}

/* "+3", "-11": how many bytes; 0: no such thing. The size is at most 23. */
static size_t signed_hours_length(struct span s)
{
    int hours = 0;
    size_t end = 1;

    if (s.length < 2 || (s.bytes[0] != '+' && s.bytes[0] != '-'))
        return 0;
    for (; digit_at(s, end); end++) {
        hours = hours * 10 + (s.bytes[end] - '0');
        if (hours > 23)
            return 0;
    }
    return end > 1 ? end : 0;
}

/* How long the abbreviation of a zone is that s begins with; 0: none. They look like CET, CEST, GMT-3, +03, ChST, WITA. */
static size_t zone_name_length(struct span s)
{
    size_t capitals = 0;

    if (s.length < 3)
        return 0;
    if (lib_has_prefix(s, span_of("ChST")) || lib_has_prefix(s, span_of("MeST")))
        return 4;
    if (lib_has_prefix(s, span_of("GMT")))
        return 3 + signed_hours_length(rest_of(s, 3));
    if (s.bytes[0] == '+' || s.bytes[0] == '-')
        return signed_hours_length(s);
    while (capitals < 6 && capitals < s.length && s.bytes[capitals] >= 'A' && s.bytes[capitals] <= 'Z')
        capitals++;
    if (capitals == 3)
        return 3;
    if (capitals == 4)
        return s.bytes[3] == 'T' || lib_has_prefix(s, span_of("WITA")) ? 4 : 0;
    return capitals == 5 && s.bytes[4] == 'T' ? 5 : 0;
}

static bool take_zone_name(struct reading *r)
{
    size_t length;

    if (lib_has_prefix(r->value, span_of("UTC"))) {
        advance(r, 3);
        r->is_utc = true;
        return true;
    }
    length = zone_name_length(r->value);
    if (length == 0)
        return false;
    r->zone_name = (struct span){r->value.bytes, length};
    advance(r, length);
    return true;
}

static bool take_short_year(struct reading *r)
{
    if (!take_number(r, 2, true, &r->year))
        return false;
    r->year += r->year >= 69 ? 1900 : 2000; /* 69: in some zones the epoch is in 1969 */
    return true;
}

static bool take_padded(struct reading *r, int blanks, int digits, bool fixed, int *out)
{
    for (; blanks > 0 && r->value.length > 0 && r->value.bytes[0] == ' '; blanks--)
        advance(r, 1);
    return take_number(r, digits, fixed, out);
}

static bool take_month_name(struct reading *r, bool whole)
{
    if (!take_name(r, lib_months, 12, whole, &r->month))
        return false;
    r->month++;
    return true;
}

static bool take_chunk(struct reading *r, const struct chunk *chunk)
{
    int ignored;

    switch (chunk->kind) {
    case YEAR:
        return take_short_year(r);
    case LONG_YEAR:
        return take_number(r, 4, true, &r->year);
    case MONTH:
        return take_month_name(r, false);
    case LONG_MONTH:
        return take_month_name(r, true);
    case NUMBER_MONTH:
    case ZERO_MONTH:
        return take_ranged(r, chunk->kind == ZERO_MONTH, 1, 12, "month", &r->month);
    case WEEKDAY:
        return take_name(r, lib_weekdays, 7, false, &ignored);
    case LONG_WEEKDAY:
        return take_name(r, lib_weekdays, 7, true, &ignored);
    case DAY:
        return take_number(r, 2, false, &r->day);
    case ZERO_DAY:
        return take_number(r, 2, true, &r->day);
    case UNDER_DAY:
        return take_padded(r, 1, 2, false, &r->day);
    case UNDER_YEARDAY:
        return take_padded(r, 2, 3, false, &r->yearday);
    case ZERO_YEARDAY:
        return take_number(r, 3, true, &r->yearday);
    case HOUR:
        return take_ranged(r, false, 0, 23, "hour", &r->hour);
    case HOUR12:
    case ZERO_HOUR12:
        return take_ranged(r, chunk->kind == ZERO_HOUR12, 0, 12, "hour", &r->hour);
    case MINUTE:
    case ZERO_MINUTE:
        return take_ranged(r, chunk->kind == ZERO_MINUTE, 0, 59, "minute", &r->minute);
    case SECOND:
    case ZERO_SECOND:
        return take_second(r, chunk->kind == ZERO_SECOND);
    case FRACTION:
        return take_fraction(r, chunk->text.length - 1);
    case FRACTION_TRIMMED:
        return digits_behind_separator(r) == 0 || take_fraction(r, digits_behind_separator(r));
    case UPPER_HALF:
        return take_half(r, "AM", "PM");
    case LOWER_HALF:
        return take_half(r, "am", "pm");
    case ZONE_NAME:
        return take_zone_name(r);
    case OFFSET:
        return take_offset(r, chunk->text);
    case CHUNK_NONE:
        break;
    }
    return true;
}

static bool cannot_parse(struct error *err, struct span value, struct span layout, struct span rest, struct span as)
{
    return error_set(err, ERROR_INVALID,
                     "cannot parse \"%.*s\" of the date \"%.*s\" as \"%.*s\" of the layout \"%.*s\"",
                     (int)(rest.length < 40 ? rest.length : 40), rest.bytes,
                     (int)(value.length < 60 ? value.length : 60), value.bytes, (int)(as.length < 40 ? as.length : 40),
                     as.bytes, (int)(layout.length < 60 ? layout.length : 60), layout.bytes);
}

static bool out_of_range(struct error *err, struct span value, const char *what)
{
    return error_set(err, ERROR_INVALID, "the %s of the date \"%.*s\" is out of range", what,
                     (int)(value.length < 60 ? value.length : 60), value.bytes);
}

/* All chunks of the layout. */
static bool take_all(struct reading *r, struct span layout, struct span value, struct error *err)
{
    struct span before, rest;
    struct chunk chunk;

    r->value = value;
    r->layout = layout;
    do {
        chunk = next_chunk(&r->layout, &before);
        rest = r->value;
        if (!take_literal(r, before))
            return cannot_parse(err, value, layout, rest, before);
        rest = r->value;
        if (!take_chunk(r, &chunk))
            return cannot_parse(err, value, layout, rest, chunk.text);
        if (r->out_of_range)
            return out_of_range(err, value, r->out_of_range);
    } while (chunk.kind != CHUNK_NONE);
    if (r->value.length > 0)
        return cannot_parse(err, value, layout, r->value, span_of(""));
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* Month and day from the day of the year, with which they must agree if they were given too. */
static bool settle_yearday(struct reading *r)
{
    int month = 1, day = r->yearday;

    while (month <= 12 && day > days_in(r->year, month))
        day -= days_in(r->year, month++);
    if (day < 1 || month > 12 || (r->month >= 0 && r->month != month) || (r->day >= 0 && r->day != day))
        return false;
    r->month = month;
    r->day = day;
    return true;
}

static bool settle_date(struct reading *r, struct span value, struct error *err)
{
    if (r->is_pm && r->hour < 12)
        r->hour += 12;
    else if (r->is_am && r->hour == 12)
        r->hour = 0;
    if (r->yearday >= 0 && !settle_yearday(r))
        return out_of_range(err, value, "day of the year");
    if (r->month < 0)
        r->month = 1;
    if (r->day < 0)
        r->day = 1;
    if (r->day < 1 || r->day > days_in(r->year, r->month))
        return out_of_range(err, value, "day");
    return true;
}

/* ---- zones of what was read ---- */

/* Looks from..to for an abbreviation. *exact: it holds at the local time itself; else the offset is one it had some time. */
static bool probe_abbreviation(const struct zone *zone, struct span name, int64_t local_s, int64_t from_s, int64_t to_s,
                               bool *exact, int *offset_s)
{
    bool found = false;

    for (int64_t at_s = from_s; at_s <= to_s; at_s += 30 * 24 * 3600) {
        const char *abbreviation;
        int offset = zone_offset_s(zone, at_s, &abbreviation);

        if (!lib_equal(span_of(abbreviation), name))
            continue;
        if (!found)
            *offset_s = offset;
        found = true;
        offset = zone_offset_s(zone, local_s - offset, &abbreviation);
        *exact = lib_equal(span_of(abbreviation), name);
        if (*exact) {
            *offset_s = offset;
            return true;
        }
    }
    return found;
}

/* The offset that an abbreviation means in a zone, at best at the time in question, else whenever it was in use. */
static bool offset_of_name(const struct zone *zone, struct span name, int64_t local_s, int *offset_s)
{
    static const int64_t year_s = 366 * 24 * 3600, from_1840_s = INT64_C(-4102444800), to_2040_s = INT64_C(2208988800);
    bool exact = false, found;

    found = probe_abbreviation(zone, name, local_s, local_s - year_s, local_s + year_s, &exact, offset_s);
    return found || probe_abbreviation(zone, name, local_s, from_1840_s, to_2040_s, &exact, offset_s);
}

static void fix_zone(struct go_time *t, struct span name, int offset_s)
{
    t->zone = NULL;
    t->offset_s = offset_s;
    memset(t->zone_name, 0, sizeof(t->zone_name));
    memcpy(t->zone_name, name.bytes, name.length < sizeof(t->zone_name) - 1 ? name.length : sizeof(t->zone_name) - 1);
}

/* An offset was given: the zone at hand, if it has this offset then (and that name), else one of its own. */
static void settle_offset(const struct reading *r, int64_t local_s, const struct zone *zone, struct go_time *t)
{
    const char *abbreviation;
    int offset_s;

    t->seconds = local_s - r->offset_s;
    offset_s = zone_offset_s(zone, t->seconds, &abbreviation);
    if (offset_s == r->offset_s && (r->zone_name.length == 0 || lib_equal(span_of(abbreviation), r->zone_name)))
        t->zone = zone;
    else
        fix_zone(t, r->zone_name, r->offset_s);
}

/* Only an abbreviation was given: what it means in the zone at hand; else a name without meaning, and the clock is read as
   UTC's. GMT-3 is shown in its zone, but not even then does Go read the clock there. */
static void settle_zone_name(const struct reading *r, int64_t local_s, const struct zone *zone, struct go_time *t)
{
    int64_t hours = 0;
    int offset_s;

    if (offset_of_name(zone, r->zone_name, local_s, &offset_s)) {
        t->seconds = local_s - offset_s;
        t->zone = zone;
        return;
    }
    if (r->zone_name.length > 3 && lib_has_prefix(r->zone_name, span_of("GMT")))
        lib_parse_int(rest_of(r->zone_name, 3), &hours);
    t->seconds = local_s;
    fix_zone(t, r->zone_name, (int)hours * 3600);
}

bool lib_time_parse(struct span layout, struct span value, const struct zone *in, const struct zone *local,
                    struct go_time *out, struct error *err)
{
    struct reading r = {.month = -1, .day = -1, .yearday = -1, .zone_name = {"", 0}};
    const struct zone *lookup = in ? in : local ? local : zone_utc();
    struct go_time t = {0};
    int64_t local_s;

    if (!take_all(&r, layout, value, err) || !settle_date(&r, value, err))
        return false;
    local_s = civil_to_seconds(r.year, r.month, r.day, r.hour, r.minute, r.second);
    t.nanoseconds = r.ns;
    if (r.is_utc || (!r.has_offset && r.zone_name.length == 0)) {
        t.zone = r.is_utc || !in ? zone_utc() : in;
        t.seconds = lib_civil_in_zone(&t, local_s);
    } else if (r.has_offset) {
        settle_offset(&r, local_s, lookup, &t);
    } else {
        settle_zone_name(&r, local_s, lookup, &t);
    }
    *out = t;
    return true;
}

bool lib_date(struct span value, const struct zone *in, const struct zone *local, struct go_time *out,
              struct error *err)
{
    static const char *const layouts[] = {
        "2006-01-02",
        "15:04:05",
        "2006-01-02 15:04:05",
        "2006-01-02T15:04:05Z07:00",
        "02 Jan 06 15:04 MST",
        "Monday, 02-Jan-06 15:04:05 MST",
        "Mon, 02 Jan 2006 15:04:05 MST",
    };

    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (lib_time_parse(span_of(layouts[i]), value, in, local, out, NULL))
            return true;
    return error_set(err, ERROR_INVALID,
                     "\"%.*s\" is not a date; write 2006-01-02, 15:04:05, both, or RFC 3339, 822, 850 "
                     "or 1123, or give a layout",
                     (int)(value.length < 60 ? value.length : 60), value.bytes);
}

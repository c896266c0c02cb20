/*
 * library: what the functions of the language do to plain bytes, numbers and instants. Private to this room.
 *
 *     struct text out;
 *     text_init(&out, FORMULA_HEAP_MAX_BYTES);
 *     if (!lib_upper(span_of("straße"), &out))       -- only fails over the limit of `out`
 *         ...
 *
 * The language is Go's in everything that is not arithmetic: its strings, numbers as text, regular expressions, dates and
 * JSON are those of Go's standard library (expr-language.md 5.3, 5.4, 7, 8.7, 8.8, 9), and this file is that library as
 * far as a formula can reach it. It knows no values of the VM: strings are spans of bytes (any bytes; usually UTF-8),
 * results go into a text of the caller, whose limit is the only thing that can fail unless said otherwise.
 * A function that returns bool and takes a text returns false when the text is full: text->overflowed tells that apart
 * from input that is wrong; the text may then hold a part of the result. Nothing here reads a clock; only zone_load()
 * (base/time.h) reads files, and only the caller calls it. Everything is pure, so threads may call it at will.
 */
#ifndef WEIR_FORMULA_LIBRARY_H
#define WEIR_FORMULA_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;
struct error;
struct text;
struct tree;
struct zone;

/* Borrowed bytes: not ended by a 0, which may be among them. */
struct span {
    const char *bytes; /* never NULL, also when length is 0 */
    size_t length;
};

static inline struct span span_of(const char *string)
{
    return (struct span){string, strlen(string)};
}

/* ---- numbers (lib_number.c) ---- */

/* `int("12")`: sign, decimal digits, int64 range. false: anything else. */
bool lib_parse_int(struct span s, int64_t *out);
/* `float("1e3")`: the syntax of 5.4; correctly rounded. false: bad syntax or overflow (underflow is fine). Takes every
   decimal literal of the language once its underscores are gone. */
bool lib_parse_float(struct span s, double *out);
/* Truncation; what does not fit, NaN included, gives INT64_MIN as on amd64 (12). */
int64_t lib_float_to_int(double x);
double lib_pow(double x, double y);             /* `**`: 5.3, not C's pow() */
double lib_round(double x);                     /* half away from zero; keeps the sign of zero */
bool lib_add_float(struct text *out, double x); /* `string(x)`: section 9 */
bool lib_add_int(struct text *out, int64_t x);

/* ---- code points (lib_unicode.c) ---- */

/* The code point that starts at s.bytes[at] and its width in bytes. An invalid byte is U+FFFD of width 1 (a real U+FFFD has
   width 3). at < s.length. */
uint32_t lib_point_at(struct span s, size_t at, size_t *width);
/* Width of the code point that ends right before s.bytes[end]; end > 0. */
uint32_t lib_point_before(struct span s, size_t end, size_t *width);
/* UTF-8 of a code point, 1..4 bytes; surrogates and what is above U+10FFFF become U+FFFD. */
size_t lib_point_encode(uint32_t point, char out[4]);
bool lib_add_point(struct text *out, uint32_t point);
/* Classes of section 3, in the Unicode version of Go 1.26. */
bool lib_point_is_letter(uint32_t point);
bool lib_point_is_digit(uint32_t point); /* decimal digits (Nd) */
bool lib_point_is_space(uint32_t point);
uint32_t lib_point_upper(uint32_t point); /* one to one: "ß" stays */
uint32_t lib_point_lower(uint32_t point);
size_t lib_count_points(struct span s); /* `len(string)`; invalid bytes count one each */

/* ---- strings (lib_string.c) ---- */

int lib_compare(struct span a, struct span b); /* <0, 0, >0; by bytes */
bool lib_equal(struct span a, struct span b);
int64_t lib_index_of(struct span s, struct span part); /* in bytes; -1: absent */
int64_t lib_last_index_of(struct span s, struct span part);
bool lib_contains(struct span s, struct span part);
bool lib_has_prefix(struct span s, struct span prefix);
bool lib_has_suffix(struct span s, struct span suffix);
/* These give a part of s. */
struct span lib_trim_space(struct span s);               /* `trim(s)`: Unicode white space */
struct span lib_trim(struct span s, struct span cutset); /* `trim(s, cutset)`: any of its code points */
struct span lib_trim_prefix(struct span s, struct span prefix);
struct span lib_trim_suffix(struct span s, struct span suffix);
/* Bytes that are not UTF-8 become U+FFFD. */
bool lib_upper(struct span s, struct text *out);
bool lib_lower(struct span s, struct text *out);
/* `split`, and with `after` `splitAfter`: how many parts there are. The first `room` of them, parts of s, are written to
   `parts` (NULL with room 0: only count, then allocate). n = 0: none; n < 0: all; else at most n, the last one being the
   rest. An empty separator splits into code points. */
size_t lib_split(struct span s, struct span separator, int64_t n, bool after, struct span *parts, size_t room);
bool lib_join(const struct span *parts, size_t count, struct span glue, struct text *out);
bool lib_replace(struct span s, struct span old, struct span with, int64_t n, struct text *out); /* n < 0: all */
bool lib_repeat(struct span s, int64_t count, struct text *out); /* count >= 0: the caller has checked */

/* ---- regular expressions (lib_regex.c) ---- */

/* RE2's language as Go reads it, and a matcher linear in text x pattern. Immutable once compiled: threads may share it. */
struct lib_regex;

/* ERROR_INVALID: not RE2 ("error parsing regexp: ..." with Go's reasons); ERROR_LIMIT: beyond a bound of ours. Takes up to some
   20 ms for the worst of patterns: a caller that counts steps should charge its length. */
bool lib_regex_compile(struct span pattern, struct lib_regex **out, struct error *err);
void lib_regex_free(struct lib_regex *regex); /* NULL is fine */
size_t lib_regex_bytes(const struct lib_regex *regex);
/* Does any part of the subject match? false: ERROR_LIMIT, both are so long that it would take FORMULA_REGEX_MATCH_MAX steps. */
bool lib_regex_match(const struct lib_regex *regex, struct span subject, bool *matched, struct error *err);

/* ---- base64 and JSON (lib_codec.c) ---- */

bool lib_base64_encode(struct span s, struct text *out);
/* Standard alphabet, padded; line ends are skipped. false without out->overflowed: not base64, *err says where. */
bool lib_base64_decode(struct span s, struct text *out, struct error *err);

/* `toJSON`: the caller walks its value and writes with these; two spaces a level, `[` newline ..., "[]" and "{}" when empty. */
bool lib_json_add_string(struct text *out, struct span s); /* quoted; < > & and U+2028/9 escaped, bad bytes \ufffd */
bool lib_json_add_float(struct text *out, double x,
                        struct error *err);               /* false: NaN, infinity (ERROR_INVALID), limit */
bool lib_json_add_bytes(struct text *out, struct span s); /* a byte array: base64 in quotes */
bool lib_json_add_line(struct text *out, int depth);      /* a newline and 2 x depth spaces */
/* `fromJSON`: one value with Go's tolerance (bad UTF-8 and lone surrogates become U+FFFD). Numbers are for tree_number(), all
   of them are checked to fit a double; of repeated keys the last counts (tree_get). Nodes live in the arena. */
bool lib_json_read(struct span s, struct arena *arena, struct tree **out, struct error *err);

/* ---- instants (lib_time.c) ---- */

/*
 * Go's time.Time: an instant and the zone it is shown in. A parsed "+05:30" makes a zone that has only an offset and at
 * most a short name: then `zone` is NULL. Zones are borrowed: whoever loaded them keeps them as long as the value.
 */
struct go_time {
    int64_t seconds;     /* since 1970-01-01T00:00:00Z */
    int32_t nanoseconds; /* 0..999999999 */
    int32_t offset_s;    /* zone NULL only: seconds east of UTC */
    const struct zone *zone;
    char zone_name[8]; /* zone NULL only: "EST", "GMT+2", or "" */
};

enum lib_time_field {
    LIB_TIME_YEAR,
    LIB_TIME_MONTH, /* 1..12 */
    LIB_TIME_DAY,
    LIB_TIME_HOUR,
    LIB_TIME_MINUTE,
    LIB_TIME_SECOND,
    LIB_TIME_NANOSECOND,
    LIB_TIME_YEAR_DAY, /* 1..366 */
    LIB_TIME_WEEKDAY,  /* Sunday 0 */
    LIB_TIME_UNIX,
    LIB_TIME_UNIX_MILLI,
    LIB_TIME_UNIX_MICRO,
    LIB_TIME_UNIX_NANO, /* wraps outside 1678..2262, as in Go */
    LIB_TIME_ISO_YEAR,  /* of ISOWeek */
};

struct go_time lib_time_from_ms(int64_t at_ms, const struct zone *zone); /* `now()` */
int64_t lib_time_field(const struct go_time *t, enum lib_time_field field);
struct go_time lib_time_in(const struct go_time *t, const struct zone *zone); /* In, UTC, Local */
/* Where Go's int64 of seconds would wrap, ours stays at the end of the range. */
struct go_time lib_time_add(const struct go_time *t, int64_t ns); /* Add, `time + duration` */
struct go_time lib_time_add_date(const struct go_time *t, int64_t years, int64_t months, int64_t days);
int64_t lib_time_sub(const struct go_time *a, const struct go_time *b); /* a - b in ns, saturating as Go's */
int lib_time_compare(const struct go_time *a, const struct go_time *b); /* of the instants: Before, After, Equal, == */
struct go_time lib_time_truncate(const struct go_time *t, int64_t ns);  /* to multiples since year 1 */
struct go_time lib_time_round(const struct go_time *t, int64_t ns);
bool lib_time_is_zero(const struct go_time *t);               /* January 1 of year 1, 00:00 UTC */
bool lib_add_time(struct text *out, const struct go_time *t); /* `string(t)`: "2024-02-03 00:00:00 +0000 UTC" */
/* false: a year that is not 0..9999 (ERROR_INVALID), or the limit. */
bool lib_json_add_time(struct text *out, const struct go_time *t, struct error *err);
/* "July", "Sunday", and Go's "%!Month(13)" out of range. */
bool lib_add_month(struct text *out, int64_t month);
bool lib_add_weekday(struct text *out, int64_t weekday);

/* Durations are int64 nanoseconds; parsing is duration_parse_ns() of base/time.h. */
double lib_duration_hours(int64_t ns);
double lib_duration_minutes(int64_t ns);
double lib_duration_seconds(int64_t ns);
int64_t lib_duration_truncate(int64_t ns, int64_t unit);
int64_t lib_duration_round(int64_t ns, int64_t unit);
int64_t lib_duration_abs(int64_t ns);
bool lib_add_duration(struct text *out, int64_t ns); /* "1h30m0s" */

/* ---- dates as text (lib_time_layout.c) ---- */

/* Format: the layout is Go's reference time, "Mon Jan 2 15:04:05 MST 2006" and its kin. */
bool lib_time_format(const struct go_time *t, struct span layout, struct text *out);
/* Parse, and with `in` ParseInLocation. A text without zone is meant in `in`, or in UTC when that is NULL; the abbreviation
   or offset it names is looked up in `in`, or in `local` when that is NULL (NULL: UTC). */
bool lib_time_parse(struct span layout, struct span value, const struct zone *in, const struct zone *local,
                    struct go_time *out, struct error *err);
/* `date(s)` without a layout: the formats of 8.8 in their order. */
bool lib_date(struct span value, const struct zone *in, const struct zone *local, struct go_time *out,
              struct error *err);

#endif

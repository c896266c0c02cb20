/*
 * time: durations as people write them, instants as text, and what the calendar says in a time zone.
 *
 * Instants are milliseconds since 1970-01-01T00:00:00Z of the wall clock, in names that end with _at_ms; spans are milliseconds,
 * in names that end with _ms. This file reads no clock; only net/loop.h does. Zones come from the system's zoneinfo files,
 * are loaded when a formula or a cron trigger is compiled, and are immutable afterwards (threads may read them).
 */
#ifndef WEIR_BASE_TIME_H
#define WEIR_BASE_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

/* "1h30m", "250ms", "1.5s", "-2m"; Go's syntax and range (nanoseconds in an int64). */
bool duration_parse_ns(const char *string, size_t length, int64_t *ns);
bool duration_parse_ms(const char *string,
                       int64_t *ms); /* the same; false also if finer than a millisecond is lost to 0 */
/* "1h30m0s" as Go prints it; out holds at least 32 bytes. */
void duration_format_ns(int64_t ns, char *out, size_t size);
/* For people: "45 s", "5 min", "2 h 10 min"; at least 32 bytes. */
void duration_format_words(int64_t ms, char *out, size_t size);

/* RFC 3339, with or without fraction, Z or offset. */
bool instant_parse(const char *string, int64_t *at_ms);
void instant_format(int64_t at_ms, char *out, size_t size);    /* "2026-01-01T00:00:00Z", at least 32 bytes */
void instant_format_ms(int64_t at_ms, char *out, size_t size); /* "2026-01-01T00:00:00.123Z" */

/* Civil time of the proleptic Gregorian calendar. month 1..12, day 1..31, weekday 0 = Sunday, yearday 1..366. */
struct civil {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday;
};

int64_t civil_to_seconds(int64_t year, int month, int day, int hour, int minute, int second); /* normalises overflow */
void civil_from_seconds(int64_t seconds, struct civil *out);

struct zone;

/* name: IANA ("Europe/Paris"), "UTC", "" (UTC) or "Local". Names with ".." or a leading "/" are refused. Shared: each zone
   is loaded once per process; zone_unref when done. Directory: $ZONEINFO, else /usr/share/zoneinfo. */
bool zone_load(const char *name, const struct zone **out, struct error *err);
void zone_unref(const struct zone *zone);
const struct zone *zone_utc(void);
const char *zone_name(const struct zone *zone);
/* Seconds east of UTC at an instant (seconds since the epoch); abbreviation ("CEST") may be NULL. */
int zone_offset_s(const struct zone *zone, int64_t at_s, const char **abbreviation);
/* Local civil time to an instant; a time skipped or repeated by a change is resolved as Go's time.Date does
   (one of the two offsets around the change). */
int64_t zone_to_seconds(const struct zone *zone, int64_t year, int month, int day, int hour, int minute, int second);
void zone_civil(const struct zone *zone, int64_t at_s, struct civil *out);

#endif

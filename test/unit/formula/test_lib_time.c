/*
 * Dates and durations: what Go 1.26 prints, reads and computes, one row each. Needs the system's zoneinfo.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "formula/library.h"

static const struct {
    int64_t seconds;
    int32_t nanoseconds;
    const char *zone, *layout, *expected;
} formattings[] = {
    {1706968800, 0, "UTC", "2006-01-02T15:04:05.999999999Z07:00", "2024-02-03T14:00:00Z"},
    {1706968800, 0, "Europe/Paris", "Mon, 02 Jan 2006 15:04:05 MST", "Sat, 03 Feb 2024 15:00:00 CET"},
    {1706968800, 0, "America/New_York", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Saturday February  3 9:00:0 am 24  34 034 .000  -05:00:00 -0500"},
    {1706968800, 0, "Asia/Kolkata", "Jan _2 15:04:05.000000", "Feb  3 19:30:00.000000"},
    {1706968800, 0, "America/Sao_Paulo", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _2024 3 2 11 11AM 0 .0002"},
    {1719792000, 123456789, "Europe/Paris", "2006-01-02T15:04:05.999999999Z07:00",
     "2024-07-01T02:00:00.123456789+02:00"},
    {1719792000, 123456789, "America/New_York", "Mon, 02 Jan 2006 15:04:05 MST", "Sun, 30 Jun 2024 20:00:00 EDT"},
    {1719792000, 123456789, "Asia/Kolkata", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Monday July  1 5:30:0 am 24 183 183 .123 ,123 +05:30:00 +0530"},
    {1719792000, 123456789, "America/Sao_Paulo", "Jan _2 15:04:05.000000", "Jun 30 21:00:00.123456"},
    {1719792000, 123456789, "Australia/Lord_Howe", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _2024 1 7 10 10AM 30 .0007"},
    {-1, 5000000, "America/New_York", "2006-01-02T15:04:05.999999999Z07:00", "1969-12-31T18:59:59.005-05:00"},
    {-1, 5000000, "Asia/Kolkata", "Mon, 02 Jan 2006 15:04:05 MST", "Thu, 01 Jan 1970 05:29:59 IST"},
    {-1, 5000000, "America/Sao_Paulo", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Wednesday December 31 8:59:59 pm 69 365 365 .005 ,005 -03:00:00 -0300"},
    {-1, 5000000, "Australia/Lord_Howe", "Jan _2 15:04:05.000000", "Jan  1 09:59:59.005000"},
    {-1, 5000000, "UTC", "Janitor Month _2006 2 1 15 03PM 4 .0001", "Janitor Month _1969 31 12 23 11PM 59 .0012"},
    {0, 0, "Asia/Kolkata", "2006-01-02T15:04:05.999999999Z07:00", "1970-01-01T05:30:00+05:30"},
    {0, 0, "America/Sao_Paulo", "Mon, 02 Jan 2006 15:04:05 MST", "Wed, 31 Dec 1969 21:00:00 -03"},
    {0, 0, "Australia/Lord_Howe", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Thursday January  1 10:00:0 am 70   1 001 .000  +10:00:00 +1000"},
    {0, 0, "UTC", "Jan _2 15:04:05.000000", "Jan  1 00:00:00.000000"},
    {0, 0, "Europe/Paris", "Janitor Month _2006 2 1 15 03PM 4 .0001", "Janitor Month _1970 1 1 01 01AM 0 .0001"},
    {-62135596800, 0, "America/Sao_Paulo", "2006-01-02T15:04:05.999999999Z07:00", "0000-12-31T20:53:32-03:06"},
    {-62135596800, 0, "Australia/Lord_Howe", "Mon, 02 Jan 2006 15:04:05 MST", "Mon, 01 Jan 0001 10:36:20 LMT"},
    {-62135596800, 0, "UTC", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Monday January  1 12:00:0 am 01   1 001 .000  +00:00:00 Z"},
    {-62135596800, 0, "Europe/Paris", "Jan _2 15:04:05.000000", "Jan  1 00:09:21.000000"},
    {-62135596800, 0, "America/New_York", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _0000 31 12 19 07PM 3 .0012"},
    {253402300799, 999999999, "Australia/Lord_Howe", "2006-01-02T15:04:05.999999999Z07:00",
     "10000-01-01T10:59:59.999999999+11:00"},
    {253402300799, 999999999, "UTC", "Mon, 02 Jan 2006 15:04:05 MST", "Fri, 31 Dec 9999 23:59:59 UTC"},
    {253402300799, 999999999, "Europe/Paris", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Saturday January  1 12:59:59 am 00   1 001 .999 ,999 +01:00:00 +0100"},
    {253402300799, 999999999, "America/New_York", "Jan _2 15:04:05.000000", "Dec 31 18:59:59.999999"},
    {253402300799, 999999999, "Asia/Kolkata", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _10000 1 1 05 05AM 29 .0001"},
    {1711846800, 100000000, "UTC", "2006-01-02T15:04:05.999999999Z07:00", "2024-03-31T01:00:00.1Z"},
    {1711846800, 100000000, "Europe/Paris", "Mon, 02 Jan 2006 15:04:05 MST", "Sun, 31 Mar 2024 03:00:00 CEST"},
    {1711846800, 100000000, "America/New_York", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Saturday March 30 9:00:0 pm 24  90 090 .100 ,1 -04:00:00 -0400"},
    {1711846800, 100000000, "Asia/Kolkata", "Jan _2 15:04:05.000000", "Mar 31 06:30:00.100000"},
    {1711846800, 100000000, "America/Sao_Paulo", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _2024 30 3 22 10PM 0 .0003"},
    {-99999999999, 1, "Europe/Paris", "2006-01-02T15:04:05.999999999Z07:00", "-1199-02-15T14:22:42.000000001+00:09"},
    {-99999999999, 1, "America/New_York", "Mon, 02 Jan 2006 15:04:05 MST", "Thu, 15 Feb -1199 09:17:19 LMT"},
    {-99999999999, 1, "Asia/Kolkata", "Monday January _2 3:04:5 pm 06 __2 002 .000 ,999 -07:00:00 Z0700",
     "Thursday February 15 8:06:49 pm 99  46 046 .000  +05:53:28 +0553"},
    {-99999999999, 1, "America/Sao_Paulo", "Jan _2 15:04:05.000000", "Feb 15 11:06:53.000000"},
    {-99999999999, 1, "Australia/Lord_Howe", "Janitor Month _2006 2 1 15 03PM 4 .0001",
     "Janitor Month _-1199 16 2 00 12AM 49 .0002"},
};

/* in empty: Parse, else ParseInLocation; expected empty: refused. */
static const struct {
    const char *layout, *value, *in, *local, *expected;
} parsings[] = {
    {"2006-01-02", "2024-02-03", "", "", "2024-02-03 00:00:00 +0000 UTC"},
    {"2006-01-02", "2024-02-30", "", "", ""},
    {"2006-01-02", "2023-02-29", "", "", ""},
    {"2006-01-02", "2024-2-3", "", "", ""},
    {"2006-01-02", "2024-13-03", "", "", ""},
    {"2006-01-02", "2024-02-03x", "", "", ""},
    {"2006-01-02 15:04:05", "2024-07-01 12:00:00", "Europe/Paris", "", "2024-07-01 12:00:00 +0200 CEST"},
    {"2006-01-02 15:04:05", "2024-03-31 02:30:00", "Europe/Paris", "", "2024-03-31 03:30:00 +0200 CEST"},
    {"2006-01-02 15:04:05", "2024-10-27 02:30:00", "Europe/Paris", "", "2024-10-27 02:30:00 +0100 CET"},
    {"2006-01-02 15:04:05", "2024-07-01 12:00:00.25", "", "", "2024-07-01 12:00:00.25 +0000 UTC"},
    {"2006-01-02 15:04:05", "2024-07-01 24:00:00", "", "", ""},
    {"2006-01-02 15:04:05", "2024-07-01 12:60:00", "", "", ""},
    {"2006-01-02 15:04:05", "2024-07-01 12:00:60", "", "", ""},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00Z", "", "Europe/Paris", "2024-07-01 12:00:00 +0000 UTC"},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00+02:00", "", "Europe/Paris", "2024-07-01 12:00:00 +0200 CEST"},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00+05:30", "", "Europe/Paris", "2024-07-01 12:00:00 +0530 +0530"},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00+25:00", "", "", ""},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00,123456789123+00:00", "", "",
     "2024-07-01 12:00:00.123456789 +0000 UTC"},
    {"2006-01-02T15:04:05Z07:00", "2024-07-01T12:00:00", "", "", ""},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 MST", "", "", "2006-01-02 15:04:00 +0000 MST"},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 CET", "", "Europe/Paris", "2006-01-02 15:04:00 +0100 CET"},
    {"02 Jan 06 15:04 MST", "02 Jul 06 15:04 CET", "", "Europe/Paris", "2006-07-02 16:04:00 +0200 CEST"},
    {"02 Jan 06 15:04 MST", "02 Jul 06 15:04 EDT", "America/New_York", "", "2006-07-02 15:04:00 -0400 EDT"},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 GMT-3", "", "", "2006-01-02 12:04:00 -0300 GMT-3"},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 UTC", "Europe/Paris", "", "2006-01-02 15:04:00 +0000 UTC"},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 ABCD", "", "", ""},
    {"02 Jan 06 15:04 MST", "02 Jan 06 15:04 WITA", "", "", "2006-01-02 15:04:00 +0000 WITA"},
    {"Mon, 02 Jan 2006 15:04:05 MST", "Xxx, 02 Jan 2006 15:04:05 MST", "", "", ""},
    {"Mon, 02 Jan 2006 15:04:05 MST", "mon, 02 JAN 2006 15:04:05 mst", "", "", ""},
    {"Mon, 02 Jan 2006 15:04:05 MST", "Sun, 02 Jan 2006 15:04:05 GMT", "", "", "2006-01-02 15:04:05 +0000 GMT"},
    {"Mon, 02 Jan 2006 15:04:05 -0700", "Mon, 02 Jan 2006 15:04:05 -0700", "", "", "2006-01-02 15:04:05 -0700 -0700"},
    {"3:04PM", "12:05AM", "", "", "0000-01-01 00:05:00 +0000 UTC"},
    {"3:04PM", "12:05PM", "", "", "0000-01-01 12:05:00 +0000 UTC"},
    {"3:04PM", "3:05pm", "", "", ""},
    {"3:04PM", "13:05PM", "", "", ""},
    {"Mon Jan _2 15:04:05 2006", "Mon Jan  2 15:04:05 2006", "", "", "2006-01-02 15:04:05 +0000 UTC"},
    {"Mon Jan _2 15:04:05 2006", "Mon Jan 12 15:04:05 2006", "", "", "2006-01-12 15:04:05 +0000 UTC"},
    {"2006-002", "2024-060", "", "", "2024-02-29 00:00:00 +0000 UTC"},
    {"2006-002", "2023-060", "", "", "2023-03-01 00:00:00 +0000 UTC"},
    {"2006-002", "2023-366", "", "", ""},
    {"2006 01 002", "2023 03 060", "", "", "2023-03-01 00:00:00 +0000 UTC"},
    {"2006 __2", "2023   1", "", "", "2023-01-01 00:00:00 +0000 UTC"},
    {"06", "69", "", "", "1969-01-01 00:00:00 +0000 UTC"},
    {"06", "68", "", "", "2068-01-01 00:00:00 +0000 UTC"},
    {"05.000", "07.12", "", "", ""},
    {"05.000", "07.123", "", "", "0000-01-01 00:00:07.123 +0000 UTC"},
    {"05.999", "07", "", "", "0000-01-01 00:00:07 +0000 UTC"},
    {"05 .000000", "07 .123456", "", "", "0000-01-01 00:00:07.123456 +0000 UTC"},
    {"a b", "a   b", "", "", "0000-01-01 00:00:00 +0000 UTC"},
    {"a  b", "ab", "", "", ""},
    {"-07", "+05", "", "", "0000-01-01 00:00:00 +0500 +0500"},
    {"Z070000", "-013015", "", "", "0000-01-01 00:00:00 -0130 -0130"},
    {"-07:00 MST", "+03:00 EAT", "", "", "0000-01-01 00:00:00 +0300 EAT"},
    {"2006-01-02 15:04:05.999999999 -0700 MST", "2024-02-03 00:00:00 +0100 CET", "Europe/Paris", "",
     "2024-02-03 00:00:00 +0100 CET"},
    {"", "", "", "", "0000-01-01 00:00:00 +0000 UTC"},
    {"15:04:05", "10:11:12", "", "", "0000-01-01 10:11:12 +0000 UTC"},
    {"2006", "0000", "", "", "0000-01-01 00:00:00 +0000 UTC"},
};

static const struct {
    int64_t seconds;
    int32_t nanoseconds;
    const char *zone;
    int64_t fields[LIB_TIME_ISO_YEAR + 1];
} fields[] = {
    {1706968800,
     0,
     "UTC",
     {2024, 2, 3, 14, 0, 0, 0, 34, 6, 1706968800, 1706968800000, 1706968800000000, 1706968800000000000, 2024}},
    {1719792000,
     123456789,
     "Europe/Paris",
     {2024, 7, 1, 2, 0, 0, 123456789, 183, 1, 1719792000, 1719792000123, 1719792000123456, 1719792000123456789, 2024}},
    {-1, 5000000, "America/New_York", {1969, 12, 31, 18, 59, 59, 5000000, 365, 3, -1, -995, -995000, -995000000, 1970}},
    {0, 0, "Asia/Kolkata", {1970, 1, 1, 5, 30, 0, 0, 1, 4, 0, 0, 0, 0, 1970}},
    {-62135596800,
     0,
     "America/Sao_Paulo",
     {0, 12, 31, 20, 53, 32, 0, 366, 0, -62135596800, -62135596800000, -62135596800000000, -6795364578871345152, 0}},
    {253402300799,
     999999999,
     "Australia/Lord_Howe",
     {10000, 1, 1, 10, 59, 59, 999999999, 1, 6, 253402300799, 253402300799999, 253402300799999999, -4852116231933722625,
      9999}},
    {1711846800,
     100000000,
     "UTC",
     {2024, 3, 31, 1, 0, 0, 100000000, 91, 0, 1711846800, 1711846800100, 1711846800100000, 1711846800100000000, 2024}},
    {-99999999999,
     1,
     "Europe/Paris",
     {-1199, 2, 15, 14, 22, 42, 1, 46, 4, -99999999999, -99999999999000, -99999999999000000, -7766279630452241919,
      -1199}},
};

static const struct {
    const char *date;
    int64_t year;
} iso_years[] = {
    {"2024-12-30", 2025}, {"2025-01-01", 2025}, {"2021-01-03", 2020}, {"2021-01-04", 2021},
    {"2020-12-31", 2020}, {"2016-01-03", 2015}, {"2008-12-28", 2008}, {"2008-12-29", 2009},
};

/* In Paris. */
static const struct {
    const char *date;
    int64_t years, months, days;
    const char *expected;
} date_sums[] = {
    {"2024-01-31 12:00:00", 0, 1, 0, "2024-03-02 12:00:00 +0100 CET"},
    {"2024-02-29 12:00:00", 1, 0, 0, "2025-03-01 12:00:00 +0100 CET"},
    {"2024-03-30 02:30:00", 0, 0, 1, "2024-03-31 03:30:00 +0200 CEST"},
    {"2024-10-26 02:30:00", 0, 0, 1, "2024-10-27 02:30:00 +0100 CET"},
    {"2024-05-15 00:00:00", -1, -5, -15, "2022-11-30 00:00:00 +0100 CET"},
    {"2024-05-15 00:00:00", 0, 25, 400, "2027-07-20 00:00:00 +0200 CEST"},
    {"2024-05-15 00:00:00", 0, -29, 0, "2021-12-15 00:00:00 +0100 CET"},
};

/* Of 2024-07-01 09:32:01.987654321 and of a date in the year -1199. */
static const struct {
    int64_t unit_ns;
    const char *truncated, *rounded, *old_truncated, *old_rounded;
} roundings[] = {
    {INT64_C(1000000000), "2024-07-01 09:32:01 +0000 UTC", "2024-07-01 09:32:02 +0000 UTC",
     "-1199-02-15 14:13:21 +0000 UTC", "-1199-02-15 14:13:21 +0000 UTC"},
    {INT64_C(60000000000), "2024-07-01 09:32:00 +0000 UTC", "2024-07-01 09:32:00 +0000 UTC",
     "-1199-02-15 14:13:00 +0000 UTC", "-1199-02-15 14:13:00 +0000 UTC"},
    {INT64_C(3600000000000), "2024-07-01 09:00:00 +0000 UTC", "2024-07-01 10:00:00 +0000 UTC",
     "-1199-02-15 14:00:00 +0000 UTC", "-1199-02-15 14:00:00 +0000 UTC"},
    {INT64_C(86400000000000), "2024-07-01 00:00:00 +0000 UTC", "2024-07-01 00:00:00 +0000 UTC",
     "-1199-02-15 00:00:00 +0000 UTC", "-1199-02-16 00:00:00 +0000 UTC"},
    {INT64_C(604800000000000), "2024-07-01 00:00:00 +0000 UTC", "2024-07-01 00:00:00 +0000 UTC",
     "-1199-02-12 00:00:00 +0000 UTC", "-1199-02-19 00:00:00 +0000 UTC"},
    {INT64_C(1500000000), "2024-07-01 09:32:01.5 +0000 UTC", "2024-07-01 09:32:01.5 +0000 UTC",
     "-1199-02-15 14:13:21 +0000 UTC", "-1199-02-15 14:13:21 +0000 UTC"},
    {INT64_C(7), "2024-07-01 09:32:01.987654318 +0000 UTC", "2024-07-01 09:32:01.987654318 +0000 UTC",
     "-1199-02-15 14:13:21 +0000 UTC", "-1199-02-15 14:13:21 +0000 UTC"},
    {INT64_C(0), "2024-07-01 09:32:01.987654321 +0000 UTC", "2024-07-01 09:32:01.987654321 +0000 UTC",
     "-1199-02-15 14:13:21.000000001 +0000 UTC", "-1199-02-15 14:13:21.000000001 +0000 UTC"},
    {INT64_C(-5), "2024-07-01 09:32:01.987654321 +0000 UTC", "2024-07-01 09:32:01.987654321 +0000 UTC",
     "-1199-02-15 14:13:21.000000001 +0000 UTC", "-1199-02-15 14:13:21.000000001 +0000 UTC"},
    {INT64_C(1000000000000000000), "1997-05-23 16:00:00 +0000 UTC", "2029-01-29 17:46:40 +0000 UTC",
     "-1204-10-30 04:26:40 +0000 UTC", "-1204-10-30 04:26:40 +0000 UTC"},
};

static const struct {
    int64_t ns;
    const char *string;
    double hours, minutes, seconds;
    int64_t rounded, truncated, size; /* to seconds */
} durations[] = {
    {INT64_C(0), "0s", 0x0p+00, 0x0p+00, 0x0p+00, INT64_C(0), INT64_C(0), INT64_C(0)},
    {INT64_C(5400000000000), "1h30m0s", 0x1.8p+00, 0x1.68p+06, 0x1.518p+12, INT64_C(5400000000000),
     INT64_C(5400000000000), INT64_C(5400000000000)},
    {INT64_C(5400000000000), "1h30m0s", 0x1.8p+00, 0x1.68p+06, 0x1.518p+12, INT64_C(5400000000000),
     INT64_C(5400000000000), INT64_C(5400000000000)},
    {INT64_C(-1), "-1ns", -0x1.38bffe4ddaebep-42, -0x1.2533fe68fd3d2p-36, -0x1.12e0be826d695p-30, INT64_C(0),
     INT64_C(0), INT64_C(1)},
    {INT64_C(1), "1ns", 0x1.38bffe4ddaebep-42, 0x1.2533fe68fd3d2p-36, 0x1.12e0be826d695p-30, INT64_C(0), INT64_C(0),
     INT64_C(1)},
    {INT64_C(1500000000), "1.5s", 0x1.b4e81b4e81b4fp-12, 0x1.999999999999ap-06, 0x1.8p+00, INT64_C(2000000000),
     INT64_C(1000000000), INT64_C(1500000000)},
    {INT64_C(9223372036854775807), "2562047h47m16.854775807s", 0x1.38bffe4ddaebep+21, 0x1.2533fe68fd3d2p+27,
     0x1.12e0be826d695p+33, INT64_C(9223372036854775807), INT64_C(9223372036000000000), INT64_C(9223372036854775807)},
    {INT64_MIN, "-2562047h47m16.854775808s", -0x1.38bffe4ddaebep+21, -0x1.2533fe68fd3d2p+27, -0x1.12e0be826d695p+33,
     INT64_MIN, INT64_C(-9223372036000000000), INT64_C(9223372036854775807)},
    {INT64_C(129600000000007), "36h0m0.000000007s", 0x1.2000000000112p+05, 0x1.0e00000000101p+11, 0x1.fa400000001e1p+16,
     INT64_C(129600000000000), INT64_C(129600000000000), INT64_C(129600000000007)},
    {INT64_C(-2500000000), "-2.5s", -0x1.6c16c16c16c17p-11, -0x1.5555555555555p-05, -0x1.4p+01, INT64_C(-3000000000),
     INT64_C(-2000000000), INT64_C(2500000000)},
};

static const struct {
    const char *value, *expected;
} dates[] = {
    {"2024-02-03", "2024-02-03 00:00:00 +0000 UTC"},
    {"10:11:12", "0000-01-01 10:11:12 +0000 UTC"},
    {"2024-02-03 10:11:12", "2024-02-03 10:11:12 +0000 UTC"},
    {"2024-02-03T10:11:12Z", "2024-02-03 10:11:12 +0000 UTC"},
    {"2024-02-03T10:11:12.5+05:30", "2024-02-03 10:11:12.5 +0530 +0530"},
    {"03 Feb 24 10:11 UTC", "2024-02-03 10:11:00 +0000 UTC"},
    {"Saturday, 03-Feb-24 10:11:12 EST", "2024-02-03 10:11:12 +0000 EST"},
    {"Sat, 03 Feb 2024 10:11:12 GMT", "2024-02-03 10:11:12 +0000 GMT"},
    {"Sat, 03 Feb 2024 10:11:12 +0100", ""},
    {"brave", ""},
    {"", ""},
    {"2024-02-30", ""},
    {"2024-02-03T10:11:12", ""},
};

static const struct zone *zone_named(const char *name)
{
    const struct zone *zone;

    if (!zone_load(name, &zone, NULL))
        skip();
    return zone;
}

static void assert_time(const struct go_time *t, const char *expected)
{
    struct text out;

    text_init(&out, 200);
    assert_true(lib_add_time(&out, t));
    assert_string_equal(out.bytes, expected);
    text_done(&out);
}

static struct go_time date_in(const char *value, const struct zone *zone)
{
    struct go_time t;

    assert_true(lib_date(span_of(value), zone, NULL, &t, NULL));
    return t;
}

static void test_formatting(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 200);
    for (size_t i = 0; i < sizeof(formattings) / sizeof(formattings[0]); i++) {
        struct go_time t = {.seconds = formattings[i].seconds,
                            .nanoseconds = formattings[i].nanoseconds,
                            .zone = zone_named(formattings[i].zone)};
        text_clear(&out);
        assert_true(lib_time_format(&t, span_of(formattings[i].layout), &out));
        assert_string_equal(out.bytes, formattings[i].expected);
        zone_unref(t.zone);
    }
    text_done(&out);
}

static void test_parsing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parsings) / sizeof(parsings[0]); i++) {
        const struct zone *in = *parsings[i].in ? zone_named(parsings[i].in) : NULL;
        const struct zone *local = zone_named(parsings[i].local);
        struct go_time t;
        struct error err;
        bool ok = lib_time_parse(span_of(parsings[i].layout), span_of(parsings[i].value), in, local, &t, &err);

        if (ok != (*parsings[i].expected != '\0'))
            fail_msg("%s as %s: %s", parsings[i].value, parsings[i].layout, ok ? "accepted" : err.text);
        if (ok)
            assert_time(&t, parsings[i].expected);
        if (in)
            zone_unref(in);
        zone_unref(local);
    }
}

static void test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        struct go_time t;
        bool ok = lib_date(span_of(dates[i].value), NULL, NULL, &t, NULL);

        assert_int_equal(ok, *dates[i].expected != '\0');
        if (ok)
            assert_time(&t, dates[i].expected);
    }
}

static void test_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct go_time t = {
            .seconds = fields[i].seconds, .nanoseconds = fields[i].nanoseconds, .zone = zone_named(fields[i].zone)};
        for (int f = 0; f <= LIB_TIME_ISO_YEAR; f++)
            assert_true(lib_time_field(&t, (enum lib_time_field)f) == fields[i].fields[f]);
        zone_unref(t.zone);
    }
    for (size_t i = 0; i < sizeof(iso_years) / sizeof(iso_years[0]); i++) {
        struct go_time t = date_in(iso_years[i].date, NULL);
        assert_int_equal(lib_time_field(&t, LIB_TIME_ISO_YEAR), iso_years[i].year);
    }
}

static void test_date_sums(void **state)
{
    const struct zone *paris = zone_named("Europe/Paris");

    (void)state;
    for (size_t i = 0; i < sizeof(date_sums) / sizeof(date_sums[0]); i++) {
        struct go_time t = date_in(date_sums[i].date, paris);
        t = lib_time_add_date(&t, date_sums[i].years, date_sums[i].months, date_sums[i].days);
        assert_time(&t, date_sums[i].expected);
    }
    zone_unref(paris);
}

static void test_rounding(void **state)
{
    struct go_time t = {.seconds = 1719826321, .nanoseconds = 987654321, .zone = zone_utc()};
    struct go_time old = {.seconds = -99999999999, .nanoseconds = 1, .zone = zone_utc()};

    (void)state;
    for (size_t i = 0; i < sizeof(roundings) / sizeof(roundings[0]); i++) {
        struct go_time r = lib_time_truncate(&t, roundings[i].unit_ns);
        assert_time(&r, roundings[i].truncated);
        r = lib_time_round(&t, roundings[i].unit_ns);
        assert_time(&r, roundings[i].rounded);
        r = lib_time_truncate(&old, roundings[i].unit_ns);
        assert_time(&r, roundings[i].old_truncated);
        r = lib_time_round(&old, roundings[i].unit_ns);
        assert_time(&r, roundings[i].old_rounded);
    }
}

static void test_instants(void **state)
{
    struct go_time a = lib_time_from_ms(-1, zone_utc()), b = lib_time_from_ms(1500, zone_utc()),
                   zero = {.zone = zone_utc()};

    (void)state;
    assert_time(&a, "1969-12-31 23:59:59.999 +0000 UTC");
    assert_true(lib_time_sub(&b, &a) == 1501000000 && lib_time_sub(&a, &b) == -1501000000);
    assert_true(lib_time_compare(&a, &b) < 0 && lib_time_compare(&b, &a) > 0 && lib_time_compare(&a, &a) == 0);
    zero.seconds = INT64_C(-62135596800);
    assert_true(lib_time_is_zero(&zero) && !lib_time_is_zero(&a));
    assert_true(lib_time_sub(&b, &zero) == INT64_MAX && lib_time_sub(&zero, &b) == INT64_MIN);
    b = lib_time_add(&b, -1500000001);
    assert_time(&b, "1969-12-31 23:59:59.999999999 +0000 UTC");
}

/* Where seconds end, everything stays within them. */
static void test_ends_of_the_range(void **state)
{
    static const int64_t far[] = {INT64_MIN, INT64_MIN / 2, -1, 1, INT64_MAX / 2, INT64_MAX};
    struct text out;

    (void)state;
    text_init(&out, 300);
    for (size_t i = 0; i < 36; i++) {
        struct go_time t = {.seconds = far[i % 6], .nanoseconds = 999999999, .zone = zone_utc()};
        struct go_time sum = lib_time_add_date(&t, far[i / 6], far[i / 6], far[i / 6]);

        text_clear(&out);
        assert_true(lib_add_time(&out, &sum));
        sum = lib_time_add(&t, far[i / 6]);
        assert_true(sum.nanoseconds >= 0 && sum.nanoseconds <= 999999999);
        sum = lib_time_round(&t, far[i / 6]);
        assert_true(sum.nanoseconds >= 0 && sum.nanoseconds <= 999999999);
        assert_true(lib_time_field(&t, LIB_TIME_MONTH) >= 1);
    }
    text_done(&out);
}

static void test_other_zones(void **state)
{
    const struct zone *paris = zone_named("Europe/Paris");
    struct go_time t, moved;

    (void)state;
    assert_true(lib_time_parse(span_of("2006-01-02 -07:00"), span_of("2024-07-01 +05:30"), NULL, NULL, &t, NULL));
    assert_int_equal(t.offset_s, 19800);
    assert_null(t.zone);
    moved = lib_time_in(&t, paris);
    assert_time(&moved, "2024-06-30 20:30:00 +0200 CEST");
    assert_int_equal(lib_time_compare(&t, &moved), 0);
    moved = lib_time_add_date(&t, 0, 1, 0);
    assert_time(&moved, "2024-08-01 00:00:00 +0530 +0530");
    zone_unref(paris);
}

static void test_json(void **state)
{
    struct go_time t = {.seconds = 1719826321, .nanoseconds = 500000000, .zone = zone_utc()};
    struct error err;
    struct text out;

    (void)state;
    text_init(&out, 100);
    assert_true(lib_json_add_time(&out, &t, &err));
    assert_string_equal(out.bytes, "\"2024-07-01T09:32:01.5Z\"");
    t.seconds = INT64_C(253402300800);
    assert_false(lib_json_add_time(&out, &t, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    text_done(&out);
}

static void test_names(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 200);
    lib_add_month(&out, 7);
    lib_add_month(&out, 13);
    lib_add_weekday(&out, 0);
    lib_add_weekday(&out, -1);
    assert_string_equal(out.bytes, "July%!Month(13)Sunday%!Weekday(18446744073709551615)");
    text_done(&out);
}

static void test_durations(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        text_clear(&out);
        assert_true(lib_add_duration(&out, durations[i].ns));
        assert_string_equal(out.bytes, durations[i].string);
        assert_true(lib_duration_hours(durations[i].ns) == durations[i].hours);
        assert_true(lib_duration_minutes(durations[i].ns) == durations[i].minutes);
        assert_true(lib_duration_seconds(durations[i].ns) == durations[i].seconds);
        assert_true(lib_duration_round(durations[i].ns, 1000000000) == durations[i].rounded);
        assert_true(lib_duration_truncate(durations[i].ns, 1000000000) == durations[i].truncated);
        assert_true(lib_duration_abs(durations[i].ns) == durations[i].size);
    }
    assert_true(lib_duration_round(7, 0) == 7 && lib_duration_truncate(7, -1) == 7);
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formatting),  cmocka_unit_test(test_parsing),
        cmocka_unit_test(test_dates),       cmocka_unit_test(test_fields),
        cmocka_unit_test(test_date_sums),   cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_instants),    cmocka_unit_test(test_ends_of_the_range),
        cmocka_unit_test(test_other_zones), cmocka_unit_test(test_json),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

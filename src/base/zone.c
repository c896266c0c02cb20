/*
 * zone: what clocks show somewhere. Read from compiled zoneinfo files (RFC 8536):
 *
 *     header | version 1 block, 32-bit, skipped | header | version 2 block, 64-bit | "\n" POSIX rule "\n"
 *
 * The block is a sorted list of instants at which one of a few offsets begins; the rule ("CET-1CEST,M3.5.0,M10.5.0/3")
 * says how it goes on after the last of them. Which offset holds before the first, and how a local time that a change
 * skips or repeats is resolved, follow Go's time package, since that is what KEDA's cron trigger and expr's date functions
 * rest on. Zones are counted and kept in one list, owned by the loop's thread; a loaded zone never changes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"

enum {
    NAME_MAX_BYTES = 64,      /* IANA's longest is 32 */
    OFFSET_MAX_S = 26 * 3600, /* RFC 8536 3.2 asks writers to stay within this */
    RULE_TIME_MAX_H = 167,    /* RFC 8536 3.3.1 */
};

struct offset {
    int utc_s; /* seconds east of UTC */
    bool summer;
    const char *abbreviation;
};

/* When in a year a change happens, of the three forms a POSIX rule has. */
struct rule_date {
    enum { JULIAN, DAY_OF_YEAR, MONTH_WEEK_DAY } form; /* J1..365 without 29 February; 0..365; Mm.w.d */
    int day, week, month;
    int time_s; /* local time of the change */
};

struct rule {
    bool present, has_summer;
    struct offset standard, summer;
    struct rule_date start, end; /* of summer time */
    char names[2][16];
};

struct zone {
    struct zone *next;
    unsigned references;
    char name[NAME_MAX_BYTES];
    size_t changes, offsets;
    int64_t *change_s;      /* sorted */
    unsigned char *becomes; /* which offset holds from there */
    struct offset *offset;
    char *abbreviations;
    struct offset before; /* the first change */
    struct rule rule;
};

static struct zone *loaded;

static const struct zone utc = {.name = "UTC", .before = {0, false, "UTC"}};

/* Instants come from formulas too, so that any int64 can turn up: sums wrap as Go's do. */
static int64_t shift(int64_t at_s, int64_t by_s)
{
    return (int64_t)((uint64_t)at_s + (uint64_t)by_s);
}

/* ---- the POSIX rule ---- */

static bool take_name(const char **at, char out[16])
{
    bool quoted = **at == '<';
    size_t length = 0;

    *at += quoted;
    while (quoted ? **at && **at != '>' : isalpha((unsigned char)**at)) {
        if (length == 15)
            return false;
        out[length++] = *(*at)++;
    }
    out[length] = 0;
    if (quoted && *(*at)++ != '>')
        return false;
    return length >= 3;
}

static bool take_int(const char **at, int least, int most, int *value)
{
    if (!isdigit((unsigned char)**at))
        return false;
    for (*value = 0; isdigit((unsigned char)**at) && *value <= most; ++*at)
        *value = *value * 10 + (**at - '0');
    return *value >= least && *value <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **at, int *seconds)
{
    int sign = **at == '-' ? -1 : 1, part[3] = {0, 0, 0};

    *at += **at == '-' || **at == '+';
    if (!take_int(at, 0, RULE_TIME_MAX_H, &part[0]))
        return false;
    for (int i = 1; i < 3 && **at == ':'; i++) {
        ++*at;
        if (!take_int(at, 0, 59, &part[i]))
            return false;
    }
    *seconds = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool take_date(const char **at, struct rule_date *date)
{
    bool good;

    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        date->form = MONTH_WEEK_DAY;
        ++*at;
        good = take_int(at, 1, 12, &date->month) && *(*at)++ == '.' && take_int(at, 1, 5, &date->week) &&
               *(*at)++ == '.' && take_int(at, 0, 6, &date->day);
    } else if (**at == 'J') {
        date->form = JULIAN;
        ++*at;
        good = take_int(at, 1, 365, &date->day);
    } else {
        date->form = DAY_OF_YEAR;
        good = take_int(at, 0, 365, &date->day);
    }
    date->time_s = 2 * 3600;
    if (!good || **at != '/')
        return good;
    ++*at;
    return take_time(at, &date->time_s);
}

static bool parse_rule(const char *at, struct rule *rule)
{
    int west_s;

    if (!take_name(&at, rule->names[0]) || !take_time(&at, &west_s))
        return false;
    rule->standard = (struct offset){-west_s, false, rule->names[0]};
    rule->present = true;
    if (*at == 0)
        return true;
    rule->has_summer = true;
    if (!take_name(&at, rule->names[1]))
        return false;
    west_s -= 3600;
    if (*at && *at != ',' && !take_time(&at, &west_s))
        return false;
    rule->summer = (struct offset){-west_s, true, rule->names[1]};
    if (*at == 0) /* POSIX's default, the United States' */
        at = ",M3.2.0,M11.1.0";
    return take_date(&at, &rule->start) && take_date(&at, &rule->end) && *at == 0;
}

/* Local seconds since the epoch of a change in a year. */
static int64_t change_in_year(const struct rule_date *date, int64_t year)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    struct civil first;
    int day;

    switch (date->form) {
    case JULIAN:
        return civil_to_seconds(year, 1, date->day + (leap && date->day >= 60), 0, 0, date->time_s);
    case DAY_OF_YEAR:
        return civil_to_seconds(year, 1, date->day + 1, 0, 0, date->time_s);
    case MONTH_WEEK_DAY:
        break;
    }
    int64_t first_s = civil_to_seconds(year, date->month, 1, 0, 0, 0);
    int days = (int)((civil_to_seconds(year, date->month + 1, 1, 0, 0, 0) - first_s) / 86400);
    civil_from_seconds(first_s, &first);
    day = 1 + (date->day - first.weekday + 7) % 7 + 7 * (date->week - 1);
    if (day > days)
        day -= 7; /* week 5 means the last one */
    return civil_to_seconds(year, date->month, day, 0, 0, date->time_s);
}

static const struct offset *rule_offset(const struct rule *rule, int64_t at_s)
{
    struct civil local;

    if (!rule->has_summer)
        return &rule->standard;
    civil_from_seconds(shift(at_s, rule->standard.utc_s), &local);
    int64_t start = shift(change_in_year(&rule->start, local.year), -rule->standard.utc_s);
    int64_t end = shift(change_in_year(&rule->end, local.year), -rule->summer.utc_s);
    bool summer = start < end ? at_s >= start && at_s < end : at_s >= start || at_s < end; /* south: over new year */
    return summer ? &rule->summer : &rule->standard;
}

/* ---- the file ---- */

struct reader {
    const unsigned char *at, *end;
};

/* The next `length` bytes, or NULL if the file ends before. */
static const unsigned char *take_bytes(struct reader *r, size_t length)
{
    const unsigned char *bytes = r->at;

    if ((size_t)(r->end - r->at) < length)
        return NULL;
    r->at += length;
    return bytes;
}

static uint64_t big_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;

    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

struct header {
    int version;
    size_t ut_flags, std_flags, leaps, changes, offsets, abbreviation_bytes;
};

static bool read_header(struct reader *r, struct header *h)
{
    enum { HEADER_BYTES = 44, COUNTS_AT = 20 };
    const unsigned char *bytes = take_bytes(r, HEADER_BYTES);

    if (!bytes || memcmp(bytes, "TZif", 4) != 0)
        return false;
    h->version = bytes[4] ? bytes[4] - '0' : 1;
    size_t *counts[] = {&h->ut_flags, &h->std_flags, &h->leaps, &h->changes, &h->offsets, &h->abbreviation_bytes};
    for (size_t i = 0; i < 6; i++)
        *counts[i] = (size_t)big_endian(bytes + COUNTS_AT + 4 * i, 4);
    return h->offsets > 0 && h->offsets <= 256 && h->abbreviation_bytes > 0;
}

static bool skip_block(struct reader *r, const struct header *h, size_t time_bytes)
{
    return take_bytes(r, h->changes * (time_bytes + 1) + h->offsets * 6 + h->abbreviation_bytes +
                             h->leaps * (time_bytes + 4) + h->std_flags + h->ut_flags) != NULL;
}

static bool read_changes(struct zone *z, const unsigned char *times, const unsigned char *kinds, size_t time_bytes)
{
    z->change_s = mem_array(z->changes, sizeof *z->change_s);
    z->becomes = mem_array(z->changes, 1);
    for (size_t i = 0; i < z->changes; i++) {
        uint64_t raw = big_endian(times + i * time_bytes, (int)time_bytes);
        z->change_s[i] = time_bytes == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        z->becomes[i] = kinds[i];
        if (kinds[i] >= z->offsets || (i > 0 && z->change_s[i] <= z->change_s[i - 1]))
            return false;
    }
    return true;
}

static bool read_offsets(struct zone *z, const unsigned char *rows, const unsigned char *names, size_t name_bytes)
{
    z->abbreviations = mem_alloc(name_bytes + 1);
    memcpy(z->abbreviations, names, name_bytes);
    z->offset = mem_array(z->offsets, sizeof *z->offset);
    for (size_t i = 0; i < z->offsets; i++, rows += 6) {
        int utc_s = (int32_t)(uint32_t)big_endian(rows, 4);
        if (utc_s < -OFFSET_MAX_S || utc_s > OFFSET_MAX_S || rows[5] >= name_bytes)
            return false;
        z->offset[i] = (struct offset){utc_s, rows[4] != 0, z->abbreviations + rows[5]};
    }
    return true;
}

static bool read_block(struct reader *r, const struct header *h, size_t time_bytes, struct zone *z)
{
    const unsigned char *times = take_bytes(r, h->changes * time_bytes), *kinds = take_bytes(r, h->changes);
    const unsigned char *rows = take_bytes(r, h->offsets * 6), *names = take_bytes(r, h->abbreviation_bytes);

    z->changes = h->changes;
    z->offsets = h->offsets;
    if (!times || !kinds || !rows || !names || !take_bytes(r, h->leaps * (time_bytes + 4) + h->std_flags + h->ut_flags))
        return false;
    return read_offsets(z, rows, names, h->abbreviation_bytes) && read_changes(z, times, kinds, time_bytes);
}

static void read_footer(struct reader *r, struct zone *z)
{
    char text[128];
    size_t length = (size_t)(r->end - r->at);

    if (length < 2 || r->at[0] != '\n' || length - 2 >= sizeof text)
        return;
    const unsigned char *close = memchr(r->at + 1, '\n', length - 1);
    if (!close)
        return;
    length = (size_t)(close - r->at - 1);
    memcpy(text, r->at + 1, length);
    text[length] = 0;
    struct rule rule = {0};
    if (!parse_rule(text, &z->rule))
        z->rule = rule; /* a rule we cannot read: the last change holds for ever, as Go has it */
}

static bool used_by_change(const struct zone *z, size_t offset)
{
    for (size_t i = 0; i < z->changes; i++)
        if (z->becomes[i] == offset)
            return true;
    return false;
}

/* What held before the first change: the file does not say; these are Go's rules. */
static const struct offset *offset_before(const struct zone *z)
{
    if (z->changes == 0 || !used_by_change(z, 0))
        return &z->offset[0];
    size_t first = z->becomes[0];
    if (z->offset[first].summer)
        for (size_t i = first; i-- > 0;)
            if (!z->offset[i].summer)
                return &z->offset[i];
    for (size_t i = 0; i < z->offsets; i++)
        if (!z->offset[i].summer)
            return &z->offset[i];
    return &z->offset[0];
}

static bool parse_zone(const unsigned char *bytes, size_t length, struct zone *z)
{
    struct reader r = {bytes, bytes + length};
    struct header h;
    size_t time_bytes = 4;

    if (!read_header(&r, &h))
        return false;
    if (h.version >= 2) {
        if (!skip_block(&r, &h, time_bytes) || !read_header(&r, &h))
            return false;
        time_bytes = 8;
    }
    if (!read_block(&r, &h, time_bytes, z))
        return false;
    if (time_bytes == 8)
        read_footer(&r, z);
    z->before = *offset_before(z);
    return true;
}

/* ---- the list of zones ---- */

static void free_zone(struct zone *z)
{
    free(z->change_s);
    free(z->becomes);
    free(z->offset);
    free(z->abbreviations);
    free(z);
}

/* Where the file of a zone is, or NULL for UTC by another name. */
static const char *zone_path(const char *name, char *out, size_t size)
{
    const char *directory = getenv("ZONEINFO");

    if (strcmp(name, "Local") == 0) {
        const char *tz = getenv("TZ");
        if (!tz)
            return "/etc/localtime";
        name = tz + (*tz == ':');
        if (*name == '/')
            return name;
        if (*name == 0 || strstr(name, ".."))
            return NULL;
    }
    snprintf(out, size, "%s/%s", directory && *directory ? directory : "/usr/share/zoneinfo", name);
    return out;
}

static bool read_zone(const char *path, struct zone *z, struct error *err)
{
    unsigned char *bytes = mem_alloc(ZONE_FILE_MAX_BYTES + 1);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(bytes, 1, ZONE_FILE_MAX_BYTES + 1, file) : 0;
    bool opened = file && !ferror(file), good = false;

    if (file)
        fclose(file);
    if (!opened)
        error_set(err, ERROR_MISSING,
                  "no time zone \"%s\" (%s); use an IANA name such as Europe/Paris, and see that tzdata is installed",
                  z->name, path);
    else if (length > ZONE_FILE_MAX_BYTES)
        error_set(err, ERROR_LIMIT, "%s is larger than ZONE_FILE_MAX_BYTES (%d)", path, ZONE_FILE_MAX_BYTES);
    else if (!parse_zone(bytes, length, z))
        error_set(err, ERROR_NONSENSE, "%s is not a time zone file; see that tzdata is installed", path);
    else
        good = true;
    free(bytes);
    return good;
}

bool zone_load(const char *name, const struct zone **out, struct error *err)
{
    char path[512];

    if (*name == 0 || strcmp(name, "UTC") == 0) {
        *out = &utc;
        return true;
    }
    if (strlen(name) >= NAME_MAX_BYTES || strstr(name, "..") || strchr("/\\", name[0]))
        return error_set(err, ERROR_INVALID, "\"%.64s\" cannot be a time zone; use an IANA name such as Europe/Paris",
                         name);
    for (struct zone *z = loaded; z; z = z->next) {
        if (strcmp(z->name, name) == 0) {
            z->references++;
            *out = z;
            return true;
        }
    }
    const char *file = zone_path(name, path, sizeof path);
    if (!file) {
        *out = &utc;
        return true;
    }
    struct zone *z = mem_alloc(sizeof *z);
    snprintf(z->name, sizeof z->name, "%s", name);
    if (!read_zone(file, z, err)) {
        free_zone(z);
        return false;
    }
    z->references = 1;
    z->next = loaded;
    loaded = z;
    *out = z;
    return true;
}

void zone_unref(const struct zone *zone)
{
    for (struct zone **at = &loaded; *at; at = &(*at)->next) {
        if (*at != zone)
            continue;
        struct zone *z = *at;
        if (--z->references == 0) {
            *at = z->next;
            free_zone(z);
        }
        return;
    }
}

const struct zone *zone_utc(void)
{
    return &utc;
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

/* ---- questions ---- */

static const struct offset *offset_at(const struct zone *zone, int64_t at_s)
{
    size_t low = 0, high = zone->changes; /* the first change after at_s */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->change_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->changes && zone->rule.present)
        return rule_offset(&zone->rule, at_s);
    return low == 0 ? &zone->before : &zone->offset[zone->becomes[low - 1]];
}

int zone_offset_s(const struct zone *zone, int64_t at_s, const char **abbreviation)
{
    const struct offset *offset = offset_at(zone, at_s);

    if (abbreviation)
        *abbreviation = offset->abbreviation;
    return offset->utc_s;
}

/* Go looks the local time up as if it were UTC, and once more where the first answer led into another period. */
int64_t zone_to_seconds(const struct zone *zone, int64_t year, int month, int day, int hour, int minute, int second)
{
    int64_t local = civil_to_seconds(year, month, day, hour, minute, second);
    int offset_s = zone_offset_s(zone, local, NULL);

    if (offset_s == 0)
        return local;
    return shift(local, -zone_offset_s(zone, shift(local, -offset_s), NULL));
}

void zone_civil(const struct zone *zone, int64_t at_s, struct civil *out)
{
    civil_from_seconds(shift(at_s, zone_offset_s(zone, at_s, NULL)), out);
}

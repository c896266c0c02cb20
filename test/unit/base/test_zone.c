/* Time zones. The table was made with Go's time.Date, whose answers for skipped and repeated times we keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void local_times_are_resolved_as_go_does(void **state)
{
    static const struct {
        const char *zone;
        int year, month, day, hour, minute;
        int64_t at_s;
        int offset_s;
        const char *abbreviation;
    } cases[] = {
        {"Europe/Paris", 2026, 1, 15, 12, 0, 1768474800, 3600, "CET"},
        {"Europe/Paris", 2026, 7, 15, 12, 0, 1784109600, 7200, "CEST"},
        {"Europe/Paris", 2026, 3, 29, 2, 30, 1774747800, 7200, "CEST"},
        {"Europe/Paris", 2026, 10, 25, 2, 30, 1792891800, 3600, "CET"},
        {"Europe/Paris", 2100, 7, 1, 12, 0, 4118119200, 7200, "CEST"},
        {"Europe/Paris", 1850, 1, 1, 0, 0, -3786826161, 561, "LMT"},
        {"America/New_York", 2026, 3, 8, 2, 30, 1772951400, -18000, "EST"},
        {"America/New_York", 2026, 11, 1, 1, 30, 1793511000, -14400, "EDT"},
        {"Europe/London", 2026, 3, 29, 1, 30, 1774747800, 3600, "BST"},
        {"Europe/London", 2026, 10, 25, 1, 30, 1792891800, 0, "GMT"},
        {"Australia/Lord_Howe", 2026, 4, 5, 1, 45, 1775315700, 37800, "+1030"},
        {"America/Sao_Paulo", 2018, 11, 4, 0, 30, 1541298600, -10800, "-03"},
        {"Asia/Kolkata", 2026, 5, 5, 5, 5, 1777937700, 19800, "IST"},
        {"Pacific/Apia", 2011, 12, 30, 12, 0, 1325282400, 50400, "+14"},
        {"Europe/Dublin", 2060, 1, 1, 0, 0, 2840140800, 0, "GMT"},
        {"America/Nuuk", 2026, 3, 28, 23, 30, 1774744200, -7200, "-02"},
        {"Africa/Casablanca", 2087, 6, 1, 0, 0, 3705260400, 3600, "+01"},
        {"Antarctica/Troll", 2050, 3, 27, 1, 30, 2531957400, 7200, "+02"},
        {"Australia/Sydney", 2070, 12, 25, 9, 0, 3186684000, 39600, "AEDT"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct zone *zone;
        struct error err;
        const char *abbreviation;
        assert_true(zone_load(cases[i].zone, &zone, &err));
        assert_string_equal(zone_name(zone), cases[i].zone);
        int64_t at_s =
            zone_to_seconds(zone, cases[i].year, cases[i].month, cases[i].day, cases[i].hour, cases[i].minute, 0);
        assert_true(at_s == cases[i].at_s);
        assert_int_equal(zone_offset_s(zone, at_s, &abbreviation), cases[i].offset_s);
        assert_string_equal(abbreviation, cases[i].abbreviation);
        zone_unref(zone);
    }
}

static void a_zone_knows_its_civil_time(void **state)
{
    const struct zone *zone;
    struct civil c;

    (void)state;
    assert_true(zone_load("Asia/Kathmandu", &zone, NULL));
    zone_civil(zone, 1767225600, &c); /* 2026-01-01T00:00:00Z */
    assert_true(c.year == 2026 && c.month == 1 && c.day == 1 && c.hour == 5 && c.minute == 45 && c.weekday == 4);
    zone_civil(zone, INT64_MAX, &c); /* wraps, but neither traps nor hangs */
    zone_civil(zone, INT64_MIN, &c);
    zone_unref(zone);
    assert_true(zone_load("Europe/Paris", &zone, NULL));
    zone_offset_s(zone, INT64_MAX, NULL);
    zone_offset_s(zone, INT64_MIN, NULL);
    zone_to_seconds(zone, INT64_MAX, 1, 1, 0, 0, 0);
    zone_to_seconds(zone, INT64_MIN, 12, 31, 0, 0, 0);
    zone_unref(zone);
}

static void zones_are_shared(void **state)
{
    const struct zone *a, *b;

    (void)state;
    assert_true(zone_load("Europe/Paris", &a, NULL));
    assert_true(zone_load("Europe/Paris", &b, NULL));
    assert_ptr_equal(a, b);
    zone_unref(a);
    assert_string_equal(zone_name(b), "Europe/Paris"); /* still held */
    zone_unref(b);
    assert_true(zone_load("", &a, NULL));
    assert_ptr_equal(a, zone_utc());
    assert_true(zone_load("UTC", &b, NULL));
    assert_ptr_equal(b, zone_utc());
    assert_int_equal(zone_offset_s(a, 1767225600, NULL), 0);
    zone_unref(a); /* UTC is never freed */
    zone_unref(NULL);
}

static void names_that_are_no_zones_are_refused(void **state)
{
    static const struct {
        const char *name;
        enum error_kind kind;
    } cases[] = {
        {"../../etc/passwd", ERROR_INVALID},
        {"/etc/passwd", ERROR_INVALID},
        {"\\windows", ERROR_INVALID},
        {"Europe/..", ERROR_INVALID},
        {"a name that is longer than any name of a time zone could ever be, by far", ERROR_INVALID},
        {"Europe/Atlantis", ERROR_MISSING},
        {"Europe", ERROR_MISSING}, /* a directory */
        {"zone.tab", ERROR_NONSENSE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct zone *zone = NULL;
        struct error err;
        assert_false(zone_load(cases[i].name, &zone, &err));
        assert_null(zone);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void local_follows_the_environment(void **state)
{
    const struct zone *zone;

    (void)state;
    setenv("TZ", ":Asia/Tokyo", 1);
    assert_true(zone_load("Local", &zone, NULL));
    assert_int_equal(zone_offset_s(zone, 0, NULL), 9 * 3600);
    zone_unref(zone);
    setenv("TZ", "", 1);
    assert_true(zone_load("Local", &zone, NULL));
    assert_ptr_equal(zone, zone_utc());
    unsetenv("TZ");
}

/* ---- files that are not as they should be ---- */

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    static struct folder folder;

    strcpy(folder.path, "/tmp/weir-zone-XXXXXX");
    *state = &folder;
    if (!mkdtemp(folder.path))
        return -1;
    return setenv("ZONEINFO", folder.path, 1);
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    char path[128];

    unsetenv("ZONEINFO");
    snprintf(path, sizeof path, "%s/Test", folder->path);
    unlink(path);
    return rmdir(folder->path);
}

static void write_zone(const struct folder *folder, const unsigned char *bytes, size_t length)
{
    char path[128];

    snprintf(path, sizeof path, "%s/Test", folder->path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* A version 2 file without changes in its list: only a rule. */
static size_t make_zone(unsigned char *out, const char *rule)
{
    static const unsigned char header[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    static const unsigned char block[] = {0, 0, 0, 0, 0, 0, 'A', 'B', 'C', 0};
    unsigned char *at = out;

    for (int version = 1; version <= 2; version++) {
        memcpy(at, header, sizeof header);
        memcpy(at + sizeof header, block, sizeof block);
        at += sizeof header + sizeof block;
    }
    return (size_t)(at - out) + (size_t)sprintf((char *)at, "\n%s\n", rule);
}

static void rules_carry_on_after_the_last_change(void **state)
{
    static const struct {
        const char *rule;
        int year, month, day, hour; /* UTC */
        int offset_s;
        const char *abbreviation;
    } cases[] = {
        {"XST-2", 2026, 7, 1, 0, 7200, "XST"},
        {"<+0330>-3:30", 2026, 7, 1, 0, 12600, "+0330"},
        {"XST-1XDT,J60/0,J300/0", 2024, 2, 29, 22, 3600, "XST"}, /* J60 is 1 March in every year */
        {"XST-1XDT,J60/0,J300/0", 2024, 2, 29, 23, 7200, "XDT"},
        {"XST-1XDT,59/0,300/0", 2024, 2, 28, 23, 7200, "XDT"}, /* 59 is 29 February in a leap year */
        {"XST-1XDT,59/0,300/0", 2025, 2, 28, 23, 7200, "XDT"},
        {"XST-1XDT,59/0,300/0", 2025, 2, 28, 22, 3600, "XST"},
        {"XST5XDT", 2026, 3, 8, 6, -18000, "XST"}, /* no dates: those of the United States */
        {"XST5XDT", 2026, 3, 8, 7, -14400, "XDT"},
        {"XST5XDT", 2026, 11, 1, 6, -18000, "XST"},
        {"XST-10XDT,M10.1.0,M4.1.0/3", 2026, 1, 1, 0, 39600, "XDT"}, /* the south: summer over new year */
        {"XST-10XDT,M10.1.0,M4.1.0/3", 2026, 7, 1, 0, 36000, "XST"},
        {"XST3XDT,M3.5.0/-2,M10.5.0/-1", 2026, 3, 29, 0, -10800, "XST"}, /* hours before midnight */
        {"XST3XDT,M3.5.0/-2,M10.5.0/-1", 2026, 3, 29, 1, -7200, "XDT"},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 2026, 1, 1, 0, 0, "GMT"}, /* Ireland: winter is the exception */
        {"nonsense", 2026, 7, 1, 0, 0, "ABC"},
        {"XST-2,x", 2026, 7, 1, 0, 0, "ABC"},
        {"", 2026, 7, 1, 0, 0, "ABC"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char bytes[256];
        const struct zone *zone;
        const char *abbreviation;
        write_zone(*state, bytes, make_zone(bytes, cases[i].rule));
        assert_true(zone_load("Test", &zone, NULL));
        int64_t at_s = civil_to_seconds(cases[i].year, cases[i].month, cases[i].day, cases[i].hour, 0, 0);
        assert_int_equal(zone_offset_s(zone, at_s, &abbreviation), cases[i].offset_s);
        assert_string_equal(abbreviation, cases[i].abbreviation);
        zone_unref(zone);
    }
}

static size_t read_paris(unsigned char *bytes, size_t size)
{
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Paris", "r");

    assert_non_null(file);
    size_t length = fread(bytes, 1, size, file);
    fclose(file);
    return length;
}

/* Cut anywhere, or with any byte turned over: refused or read, but never beyond the end. */
static void broken_files_do_no_harm(void **state)
{
    unsigned char bytes[8192];
    size_t length = read_paris(bytes, sizeof bytes), refused = 0;
    const struct zone *zone;

    for (size_t cut = 0; cut < length; cut += 1 + cut / 20) {
        write_zone(*state, bytes, cut);
        if (zone_load("Test", &zone, NULL)) {
            zone_offset_s(zone, 1767225600, NULL);
            zone_unref(zone);
        } else {
            refused++;
        }
    }
    assert_true(refused > 50);
    for (size_t at = 0; at < length; at += 1 + at / 50) {
        bytes[at] ^= 0xff;
        write_zone(*state, bytes, length);
        if (zone_load("Test", &zone, NULL)) {
            zone_offset_s(zone, 1767225600, NULL);
            zone_offset_s(zone, -62135596800, NULL);
            zone_unref(zone);
        }
        bytes[at] ^= 0xff;
    }
    static unsigned char large[ZONE_FILE_MAX_BYTES + 1];
    struct error err;
    write_zone(*state, large, sizeof large);
    assert_false(zone_load("Test", &zone, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_times_are_resolved_as_go_does),
        cmocka_unit_test(a_zone_knows_its_civil_time),
        cmocka_unit_test(zones_are_shared),
        cmocka_unit_test(names_that_are_no_zones_are_refused),
        cmocka_unit_test(local_follows_the_environment),
        cmocka_unit_test_setup_teardown(rules_carry_on_after_the_last_change, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(broken_files_do_no_harm, make_folder, remove_folder),
    };

    if (access("/usr/share/zoneinfo/Europe/Paris", R_OK) != 0)
        return 77; /* meson: skipped, the machine has no tzdata */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

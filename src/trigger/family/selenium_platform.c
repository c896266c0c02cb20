/*
 * selenium_platform: a name is looked up, and what it stands for is compared. Two versions of one system match, a version and
 * the bare name of its system do not ("windows" is not "windows 11"): so the grid itself has it. Facts: triggers/selenium-grid.md.
 */
#include "trigger/family/selenium_platform.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum family { ALONE, WINDOWS, MAC, UNIX };

struct meaning {
    const char *canonical;
    enum family family;
};
static const struct {
    const char *name;
    struct meaning meaning;
} names[] = {
    {"", {"any", ALONE}},
    {"any", {"any", ALONE}},
    {"windows", {"windows", ALONE}},
    {"xp", {"Windows XP", WINDOWS}},
    {"winnt", {"Windows XP", WINDOWS}},
    {"windows_nt", {"Windows XP", WINDOWS}},
    {"windows nt", {"Windows XP", WINDOWS}},
    {"windows xp", {"Windows XP", WINDOWS}},
    {"windows server 2003", {"Windows XP", WINDOWS}},
    {"windows vista", {"Windows Vista", WINDOWS}},
    {"windows server 2008", {"Windows Vista", WINDOWS}},
    {"win7", {"Windows 7", WINDOWS}},
    {"windows 7", {"Windows 7", WINDOWS}},
    {"win8", {"Windows 8", WINDOWS}},
    {"windows 8", {"Windows 8", WINDOWS}},
    {"windows server 2012", {"Windows 8", WINDOWS}},
    {"win8.1", {"Windows 8.1", WINDOWS}},
    {"windows 8.1", {"Windows 8.1", WINDOWS}},
    {"win10", {"Windows 10", WINDOWS}},
    {"windows 10", {"Windows 10", WINDOWS}},
    {"win11", {"Windows 11", WINDOWS}},
    {"windows 11", {"Windows 11", WINDOWS}},
    {"mac", {"mac", ALONE}},
    {"darwin", {"mac", ALONE}},
    {"macos", {"mac", ALONE}},
    {"mac os x", {"mac", ALONE}},
    {"os x", {"mac", ALONE}},
    {"linux", {"linux", UNIX}},
    {"bsd", {"bsd", UNIX}},
    {"solaris", {"solaris", UNIX}},
    {"android", {"android", ALONE}},
    {"dalvik", {"android", ALONE}},
    {"ios", {"ios", ALONE}},
};
static const struct {
    const char *version, *name;
} macs[] = {
    {"10.6", "snow leopard"}, {"10.8", "mountain lion"}, {"10.9", "mavericks"},    {"10.10", "yosemite"},
    {"10.11", "el capitan"},  {"10.12", "sierra"},       {"10.13", "high sierra"}, {"10.14", "mojave"},
    {"10.15", "catalina"},    {"11.0", "big sur"},       {"12.0", "monterey"},     {"13.0", "ventura"},
    {"14.0", "sonoma"},       {"15.0", "sequoia"},
};

/* The version alone is what such a name stands for: "OS X 10.11" and "macos 10.11" are one. */
static const char *mac_version(const char *name)
{
    const char *number = strncasecmp(name, "os x ", 5) == 0    ? name + 5
                         : strncasecmp(name, "macos ", 6) == 0 ? name + 6
                                                               : "";

    for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
        if (strcasecmp(macs[i].name, name) == 0 || strcmp(macs[i].version, number) == 0)
            return macs[i].version;
    return NULL;
}

static struct meaning meaning_of(const char *name)
{
    const char *version = mac_version(name);

    if (version)
        return (struct meaning){version, MAC};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(names[i].name, name) == 0)
            return names[i].meaning;
    return (struct meaning){name, ALONE};
}

bool selenium_platforms_match(const char *a, const char *b)
{
    struct meaning one = meaning_of(a ? a : ""), other = meaning_of(b ? b : "");

    return strcasecmp(one.canonical, other.canonical) == 0 || (one.family != ALONE && one.family == other.family);
}

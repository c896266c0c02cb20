/*
 * cron: a number of replicas inside a recurring window of time, none outside. Facts and grammar: triggers/cron.md.
 *
 * Both ends are cron expressions; whoever fires next tells where we are: the window is open iff its end comes before its
 * next start, or in the same minute. An expression that never fires (30 February) counts as one that fires before all
 * others, as in the original, where "never" is the zero instant.
 *
 * The next instants are kept from poll to poll: they stay right until the first of them has come.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/time.h"
#include "trigger/driver.h"

enum { NEVER = 0, YEARS_AHEAD_MAX = 5 };

/* Which values fit; a star (also written ?, or with a step of 1) makes day of month and weekday both required. */
struct field {
    uint64_t fits;
    bool star;
};
struct schedule {
    struct field minute, hour, day, month, weekday;
    const struct zone *zone; /* of a TZ= prefix; NULL: the trigger's */
};

struct cron {
    struct trigger_config common;
    const char *timezone, *start, *end;
    int64_t replicas;
    struct schedule opens, closes;
    const struct zone *zone; /* NULL: there was none of that name when the trigger was built */
};

struct cron_memory {
    int64_t from_s, until_s; /* the instants below hold for [from, until) */
    int64_t opens_s, closes_s;
};

#define PARAM_STRUCT struct cron
static const struct param params[] = {
    {"timezone", PARAM_TEXT(timezone), .required = true, .help = "IANA name such as Europe/Paris, or UTC"},
    {"start", PARAM_TEXT(start), .required = true,
     .help = "when the window opens: minute hour day-of-month month day-of-week"},
    {"end", PARAM_TEXT(end), .required = true, .help = "when it closes"},
    {"desiredReplicas", PARAM_INTEGER(replicas), .required = true, .help = "replicas inside the window"},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ the grammar */

struct bounds {
    const char *name;
    int min, max;
    const char *words; /* three letters each, for min, min + 1 ... */
};
static const struct bounds minute_bounds = {"minute", 0, 59, NULL}, hour_bounds = {"hour", 0, 23, NULL},
                           day_bounds = {"day of month", 1, 31, NULL},
                           month_bounds = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                           weekday_bounds = {"day of week", 0, 6, "sunmontuewedthufrisat"};

static bool parse_value(const char *text, size_t length, const struct bounds *bounds, int *out)
{
    int value = 0;

    for (size_t i = 0; bounds->words && length == 3 && bounds->words[i]; i += 3) {
        if (strncasecmp(bounds->words + i, text, 3) == 0) {
            *out = bounds->min + (int)i / 3;
            return true;
        }
    }
    if (length == 0 || length > 4)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

static bool parse_step(const char *text, size_t length, int *out)
{
    static const struct bounds any = {"step", 0, 9999, NULL};

    return parse_value(text, length, &any, out);
}

/* One of *, ?, n, a-b, each with an optional /step. */
static bool parse_piece(const char *text, size_t length, const struct bounds *bounds, struct field *field,
                        struct error *err)
{
    const char *slash = memchr(text, '/', length), *dash;
    size_t range = slash ? (size_t)(slash - text) : length;
    int low = bounds->min, high = bounds->max, step = 1;
    bool star = range == 1 && (*text == '*' || *text == '?');

    if (slash && !parse_step(slash + 1, length - range - 1, &step))
        return error_set(err, ERROR_INVALID, "%s: %.*s has no number after '/'", bounds->name, (int)length, text);
    dash = memchr(text, '-', range);
    if (!star) {
        size_t first = dash ? (size_t)(dash - text) : range;

        if (!parse_value(text, first, bounds, &low) ||
            (dash && !parse_value(dash + 1, range - first - 1, bounds, &high)))
            return error_set(err, ERROR_INVALID, "%s: %.*s is none of *, n, a-b, each with /step", bounds->name,
                             (int)length, text);
        if (!dash && !slash)
            high = low;
    }
    if (low < bounds->min || high > bounds->max || low > high)
        return error_set(err, ERROR_INVALID, "%s: %.*s is outside %d-%d, or begins after its end", bounds->name,
                         (int)length, text, bounds->min, bounds->max);
    if (step == 0)
        return error_set(err, ERROR_INVALID, "%s: a step of 0", bounds->name);
    field->star |= star && step == 1;
    for (int value = low; value <= high; value += step)
        field->fits |= UINT64_C(1) << value;
    return true;
}

static bool parse_field(const char *text, size_t length, const struct bounds *bounds, struct field *field,
                        struct error *err)
{
    const char *end = text + length;

    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t piece = comma ? (size_t)(comma - text) : (size_t)(end - text);

        /* Empty pieces are nothing, as long as one is not: "1,,2". */
        if (piece > 0 && !parse_piece(text, piece, bounds, field, err))
            return false;
        if (!comma)
            break;
        text = comma + 1;
    }
    return field->fits != 0 || error_set(err, ERROR_INVALID, "%s is empty", bounds->name);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool parse_zone_prefix(const char **text, const struct zone **zone, struct error *err)
{
    const char *begin = strncmp(*text, "TZ=", 3) == 0        ? *text + 3
                        : strncmp(*text, "CRON_TZ=", 8) == 0 ? *text + 8
                                                             : NULL;
    const char *end = begin ? strchr(begin, ' ') : NULL;
    char name[100];

    if (!begin)
        return true;
    if (!end || (size_t)(end - begin) >= sizeof(name))
        return error_set(err, ERROR_INVALID, "a time zone and nothing after it");
    memcpy(name, begin, (size_t)(end - begin));
    name[end - begin] = '\0';
    *text = end;
    return zone_load(name, zone, err);
}

static bool parse_schedule(const char *text, struct schedule *out, struct error *err)
{
    struct {
        const struct bounds *bounds;
        struct field *field;
    } const fields[] = {{&minute_bounds, &out->minute},
                        {&hour_bounds, &out->hour},
                        {&day_bounds, &out->day},
                        {&month_bounds, &out->month},
                        {&weekday_bounds, &out->weekday}};

    if (!parse_zone_prefix(&text, &out->zone, err))
        return false;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *begin;

        while (is_blank(*text))
            text++;
        for (begin = text; *text && !is_blank(*text);)
            text++;
        if (begin == text)
            return error_set(err, ERROR_INVALID,
                             "it has %zu fields, five are due: minute hour day-of-month month day-of-week", i);
        if (!parse_field(begin, (size_t)(text - begin), fields[i].bounds, fields[i].field, err))
            return false;
    }
    while (is_blank(*text))
        text++;
    return *text == '\0' ||
           error_set(err, ERROR_INVALID, "it has more than five fields: minute hour day-of-month month day-of-week");
}

/* ------------------------------------------------------------------ when it fires next */

/* A place in local time, moved field by field; t is always the instant of it. */
struct walk {
    const struct zone *zone;
    int64_t t;
    struct civil at;
    bool aligned; /* the smaller fields are at their first value */
};

static void walk_to(struct walk *w, int64_t t)
{
    w->t = t;
    zone_civil(w->zone, t, &w->at);
}

static void walk_date(struct walk *w, int64_t year, int month, int day, int hour)
{
    walk_to(w, zone_to_seconds(w->zone, year, month, day, hour, 0, 0));
}

static bool fits(const struct field *field, int value)
{
    return (field->fits >> value & 1) != 0;
}

static bool day_fits(const struct schedule *s, const struct civil *at)
{
    bool by_date = fits(&s->day, at->day), by_weekday = fits(&s->weekday, at->weekday);

    return s->day.star || s->weekday.star ? by_date && by_weekday : by_date || by_weekday;
}

/* Each of these moves on until its field fits. false: it wrapped around, so the bigger fields have to be looked at again. */
static bool walk_month(struct walk *w, const struct schedule *s)
{
    while (!fits(&s->month, w->at.month)) {
        if (!w->aligned)
            walk_date(w, w->at.year, w->at.month, 1, 0);
        w->aligned = true;
        walk_to(w, zone_to_seconds(w->zone, w->at.year, w->at.month + 1, w->at.day, w->at.hour, w->at.minute,
                                   w->at.second));
        if (w->at.month == 1)
            return false;
    }
    return true;
}

/* Where midnight does not exist, a day added to one ends up beside it: back to the first hour there is. */
static void to_first_hour(struct walk *w)
{
    if (w->at.hour > 12)
        walk_to(w, w->t + (24 - w->at.hour) * 3600);
    else if (w->at.hour > 0)
        walk_to(w, w->t - w->at.hour * 3600);
}

static bool walk_day(struct walk *w, const struct schedule *s)
{
    while (!day_fits(s, &w->at)) {
        if (!w->aligned)
            walk_date(w, w->at.year, w->at.month, w->at.day, 0);
        w->aligned = true;
        walk_to(w, zone_to_seconds(w->zone, w->at.year, w->at.month, w->at.day + 1, w->at.hour, w->at.minute,
                                   w->at.second));
        to_first_hour(w);
        if (w->at.day == 1)
            return false;
    }
    return true;
}

static bool walk_hour(struct walk *w, const struct schedule *s)
{
    while (!fits(&s->hour, w->at.hour)) {
        if (!w->aligned)
            walk_date(w, w->at.year, w->at.month, w->at.day, w->at.hour);
        w->aligned = true;
        walk_to(w, w->t + 3600);
        if (w->at.hour == 0)
            return false;
    }
    return true;
}

static bool walk_minute(struct walk *w, const struct schedule *s)
{
    while (!fits(&s->minute, w->at.minute)) {
        w->aligned = true;
        walk_to(w, w->t - w->at.second + 60);
        if (w->at.minute == 0)
            return false;
    }
    return true;
}

/* The first fitting minute strictly later; NEVER: none within YEARS_AHEAD_MAX. */
static int64_t next_fire(const struct schedule *s, const struct zone *zone, int64_t now_s)
{
    struct walk w = {.zone = s->zone ? s->zone : zone};
    int64_t last_year;

    walk_to(&w, now_s + 1);
    last_year = w.at.year + YEARS_AHEAD_MAX;
    while (w.at.year <= last_year) {
        if (!walk_month(&w, s) || !walk_day(&w, s) || !walk_hour(&w, s) || !walk_minute(&w, s))
            continue;
        if (w.at.second == 0)
            return w.t;
        walk_to(&w, w.t - w.at.second + 60);
        w.aligned = true;
    }
    return NEVER;
}

/* ------------------------------------------------------------------ the trigger */

static bool prepare(void *config, struct trigger_check *check)
{
    struct cron *c = config;
    bool good = true;
    struct error err;

    if (c->start && !parse_schedule(c->start, &c->opens, &err))
        good = check_error(check, "start", "write it like \"0 8 * * 1-5\"", "start: %s", err.text);
    if (c->end && !parse_schedule(c->end, &c->closes, &err))
        good = check_error(check, "end", "write it like \"0 18 * * 1-5\"", "end: %s", err.text);
    if (c->start && c->end && strcmp(c->start, c->end) == 0)
        good = check_error(check, "end", "write when the window closes", "start and end are the same");
    if (c->replicas == 0)
        good = check_error(check, "desiredReplicas", "write a number greater than 0",
                           "desiredReplicas has to be given, and not 0");
    if (c->timezone && !zone_load(c->timezone, &c->zone, &err)) {
        c->zone = NULL;
        check_warning(check, "timezone", "write an IANA name such as Europe/Paris, or UTC",
                      "timezone: %s; every poll fails", err.text);
    }
    return good;
}

static void release(void *config)
{
    struct cron *c = config;

    zone_unref(c->zone);
    zone_unref(c->opens.zone);
    zone_unref(c->closes.zone);
}

static void add_expression(const char *expression, struct text *out)
{
    for (const char *s = expression; *s; s++) {
        if (*s == '*')
            text_add(out, "x");
        else if (*s == '/')
            text_add(out, "Sl");
        else if (*s == '?')
            text_add(out, "Qm");
        else if (*s == ',')
            text_add(out, "Cm");
        else if (*s != ' ')
            text_add_char(out, *s);
    }
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct cron *c = config;

    (void)input;
    text_printf(out, "cron-%s-", c->timezone ? c->timezone : "");
    add_expression(c->start ? c->start : "", out);
    text_add_char(out, '-');
    add_expression(c->end ? c->end : "", out);
}

/* One pod for each replica asked for: the count itself is the number of replicas. */
static void target(const void *config, struct trigger_metric *metric)
{
    (void)config;
    metric->target = 1;
}

static void refresh(const struct cron *c, struct cron_memory *m, int64_t now_s)
{
    if (m->until_s != 0 && now_s >= m->from_s && now_s < m->until_s)
        return;
    m->from_s = now_s;
    m->opens_s = next_fire(&c->opens, c->zone, now_s);
    m->closes_s = next_fire(&c->closes, c->zone, now_s);
    m->until_s = now_s + DAY_MS / 1000; /* "never" is looked at anew each day: there is always a year that comes near */
    if (m->opens_s != NEVER && m->opens_s < m->until_s)
        m->until_s = m->opens_s;
    if (m->closes_s != NEVER && m->closes_s < m->until_s)
        m->until_s = m->closes_s;
}

static bool is_open(const struct cron_memory *m)
{
    if (m->opens_s == NEVER)
        return true;
    return m->closes_s != NEVER && m->closes_s <= m->opens_s;
}

static enum poll_next look(const void *config, struct poll *poll)
{
    const struct cron *c = config;
    struct cron_memory *m = poll_memory(poll);

    if (!c->zone)
        return poll_fail(poll, ERROR_INVALID, "there is no time zone %s", c->timezone);
    refresh(c, m, poll_now_ms(poll) / 1000);
    return poll_value(poll, is_open(m) ? (double)c->replicas : 0);
}

TRIGGER(cron) = {
    .type = "cron",
    .summary = "a number of replicas inside a recurring window of time",
    .about = "desiredReplicas from each start until the next end, nothing outside: then the other triggers and the "
             "minimum decide. It needs no "
             "source, and always has a value; a time zone that this machine does not know is an error.",
    .example = "metadata:\n"
               "  timezone: Europe/Paris\n"
               "  start: 0 8 * * 1-5\n"
               "  end: 0 20 * * 1-5\n"
               "  desiredReplicas: \"10\"\n",
    .locally = "weir probe shop.yaml                       # what it says now\n"
               "weir simulate shop.yaml --duration 24h     # and over a day\n",
    .params = params,
    .config_size = sizeof(struct cron),
    .memory_size = sizeof(struct cron_memory),
    .prepare = prepare,
    .release = release,
    .metric_name = metric_name,
    .target = target,
    .read = look,
};

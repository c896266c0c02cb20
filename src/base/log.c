/*
 * log: see log.h. A line is made whole, then written by one write(), so that lines of threads do not mix. A line that
 * grows over its bound loses the pairs that do not fit and says so.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};
enum { LEVELS = sizeof level_names / sizeof level_names[0] };

static _Atomic(enum log_level) least_level = LOG_LEVEL_INFO;
static atomic_bool as_json;
static atomic_ulong counts[LEVELS];

void log_set_level(enum log_level level)
{
    atomic_store(&least_level, level);
}

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

bool log_level_parse(const char *name, enum log_level *level)
{
    if (strcasecmp(name, "warn") == 0)
        name = "warning";
    for (int i = 0; i < LEVELS; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return level >= atomic_load(&least_level);
}

unsigned long log_count(enum log_level level)
{
    return atomic_load(&counts[level]);
}

/* logfmt: quotes only where a reader could not tell where the value ends. */
static bool add_value(struct text *line, const char *value)
{
    size_t length = strlen(value);
    bool plain = length > 0 && utf8_valid_prefix(value, length) == length;

    for (const char *c = value; plain && *c; c++)
        plain = (unsigned char)*c > ' ' && *c != '"' && *c != '=' && *c != '\\' && *c != 0x7f;
    return plain ? text_add(line, value) : text_add_json_string(line, value, length);
}

static void add_pair(struct text *line, const char *key, const char *value, bool json)
{
    size_t before = line->length;
    bool fits = json ? text_add(line, line->length > 1 ? "," : "") && text_add_json_string(line, key, strlen(key)) &&
                           text_add_char(line, ':') && text_add_json_string(line, value, strlen(value))
                     : text_add(line, line->length > 0 ? " " : "") && text_add(line, key) && text_add_char(line, '=') &&
                           add_value(line, value);

    if (!fits) {
        line->length = before;
        line->bytes[before] = 0;
    }
}

static void write_line(enum log_level level, const char *message, va_list pairs)
{
    enum { ROOM_FOR_CUT_BYTES = 32 };
    bool json = atomic_load(&as_json);
    struct text line;
    struct timespec now;
    char at[32];

    atomic_fetch_add(&counts[level], 1);
    clock_gettime(CLOCK_REALTIME, &now);
    instant_format_ms(now.tv_sec * SECOND_MS + now.tv_nsec / 1000000, at, sizeof at);
    text_init(&line, LOG_LINE_MAX_BYTES - ROOM_FOR_CUT_BYTES);
    text_add(&line, json ? "{" : "");
    add_pair(&line, "time", at, json);
    add_pair(&line, "level", level_names[level], json);
    add_pair(&line, "msg", message, json);
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        add_pair(&line, key, value ? value : "", json);
    }
    line.limit = LOG_LINE_MAX_BYTES;
    if (line.overflowed)
        add_pair(&line, "cut", "true", json);
    text_add(&line, json ? "}\n" : "\n");
    (void)!write(STDERR_FILENO, line.bytes, line.length); /* when this fails, there is nowhere left to say so */
    text_done(&line);
}

#define LOG_FUNCTION(name, level)                                                                                      \
    void name(const char *message, ...)                                                                                \
    {                                                                                                                  \
        va_list pairs;                                                                                                 \
        if (!log_enabled(level))                                                                                       \
            return;                                                                                                    \
        va_start(pairs, message);                                                                                      \
        write_line(level, message, pairs);                                                                             \
        va_end(pairs);                                                                                                 \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)

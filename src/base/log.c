/*
 * log: see log.h. Levels are atomics, one a room, read without a lock. A line is made whole, then written by one write(), so that
 * lines of threads do not mix. A line that grows over its bound loses the pairs that do not fit and says so.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warning", "error"};
static const char *const room_names[LOG_ROOM_COUNT] = {
#define ROOM(name) #name,
    LOG_ROOMS(ROOM)
#undef ROOM
};

static _Atomic(enum log_level) general_level = LOG_LEVEL_INFO;
static _Atomic(int) own_levels[LOG_ROOM_COUNT]; /* 1 + the room's own level; 0: the general one */
static atomic_bool as_json;
static atomic_ulong counts[LOG_LEVELS];

/* ------------------------------------------------------------------ levels */

void log_levels_get(struct log_levels *levels)
{
    *levels = (struct log_levels){.general = atomic_load(&general_level)};
    for (int i = 0; i < LOG_ROOM_COUNT; i++) {
        int own = atomic_load(&own_levels[i]);

        levels->own[i] = own > 0;
        levels->rooms[i] = own > 0 ? (enum log_level)(own - 1) : levels->general;
    }
}

void log_levels_set(const struct log_levels *levels)
{
    atomic_store(&general_level, levels->general);
    for (int i = 0; i < LOG_ROOM_COUNT; i++)
        atomic_store(&own_levels[i], levels->own[i] ? 1 + (int)levels->rooms[i] : 0);
}

void log_set_level(enum log_level level)
{
    log_levels_set(&(struct log_levels){.general = level});
}

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

bool log_level_parse(const char *name, enum log_level *level)
{
    if (strcasecmp(name, "warn") == 0)
        name = "warning";
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level < LOG_LEVELS ? level_names[level] : "none";
}

bool log_room_find(const char *name, enum log_room *room)
{
    for (int i = 0; i < LOG_ROOM_none; i++) {
        if (strcmp(name, room_names[i]) == 0) {
            *room = (enum log_room)i;
            return true;
        }
    }
    return false;
}

const char *log_room_name(enum log_room room)
{
    return room < LOG_ROOM_none ? room_names[room] : "";
}

/* "LEVEL" or "ROOM=LEVEL" */
static bool parse_word(char *word, struct log_levels *levels, struct error *err)
{
    char *equals = strchr(word, '='), *name = equals ? equals + 1 : word;
    enum log_room room = LOG_ROOM_none;
    enum log_level level;

    if (!log_level_parse(name, &level))
        return error_set(err, ERROR_INVALID, "'%.40s' is no level: debug, info, warning or error", name);
    if (!equals) {
        levels->general = level;
        return true;
    }
    *equals = '\0';
    if (!log_room_find(word, &room))
        return error_set(err, ERROR_INVALID, "'%.40s' writes no log: autoscaler, export, serve and cli do", word);
    levels->own[room] = true;
    levels->rooms[room] = level;
    return true;
}

bool log_levels_parse(const char *text, struct log_levels *levels, struct error *err)
{
    struct log_levels parsed = *levels;
    char *copy = mem_copy(text), *save = NULL;
    bool fine = true;
    size_t words = 0;

    for (char *word = strtok_r(copy, ", ", &save); word && fine; word = strtok_r(NULL, ", ", &save), words++)
        fine = parse_word(word, &parsed, err);
    free(copy);
    if (fine && words == 0)
        fine = error_set(err, ERROR_INVALID, "there is no level: debug, info, warning or error");
    if (fine)
        *levels = parsed;
    return fine;
}

bool log_room_enabled(enum log_room room, enum log_level level)
{
    int own = atomic_load(&own_levels[room]);

    return level >= (own > 0 ? (enum log_level)(own - 1) : atomic_load(&general_level));
}

unsigned long log_count(enum log_level level)
{
    return atomic_load(&counts[level]);
}

/* ------------------------------------------------------------------ lines */

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

void log_write(enum log_room room, enum log_level level, const char *message, ...)
{
    enum { ROOM_FOR_CUT_BYTES = 32 };
    bool json = atomic_load(&as_json);
    struct text line;
    struct timespec now;
    char at[32];
    va_list pairs;

    atomic_fetch_add(&counts[level], 1);
    clock_gettime(CLOCK_REALTIME, &now);
    instant_format_ms(now.tv_sec * SECOND_MS + now.tv_nsec / 1000000, at, sizeof at);
    text_init(&line, LOG_LINE_MAX_BYTES - ROOM_FOR_CUT_BYTES);
    text_add(&line, json ? "{" : "");
    add_pair(&line, "time", at, json);
    add_pair(&line, "level", level_names[level], json);
    add_pair(&line, "msg", message, json);
    if (room != LOG_ROOM_none)
        add_pair(&line, "room", room_names[room], json);
    va_start(pairs, message);
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        add_pair(&line, key, value ? value : "", json);
    }
    va_end(pairs);
    line.limit = LOG_LINE_MAX_BYTES;
    if (line.overflowed)
        add_pair(&line, "cut", "true", json);
    text_add(&line, json ? "}\n" : "\n");
    (void)!write(STDERR_FILENO, line.bytes, line.length); /* when this fails, there is nowhere left to say so */
    text_done(&line);
}

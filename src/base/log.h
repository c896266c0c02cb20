/*
 * log: one line an event, logfmt or JSON, to standard error. Only autoscaler/, export/, serve/ and cli/ call it.
 *
 *     log_info("scaled", "object", "shop/checkout", "from", "1", "to", "3", "reason", "above-target", NULL);
 *
 * The message comes first, then pairs of C strings, then NULL. No secret can get in: a struct secret is not a string.
 * Values are quoted where they need it; a line over LOG_LINE_MAX_BYTES loses pairs and says cut=true. May be called from any
 * thread. The time of a line is the wall clock's: the one place beside net/loop.h that reads it.
 *
 * Each room that logs has a level of its own, or the general one; it may change while the process runs. A room is known by what it is
 * compiled with (-DWEIR_ROOM=serve, meson.build): a line of a room that is not in LOG_ROOMS does not compile. What is below the level
 * costs a comparison: the pairs are not even evaluated.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>

struct error;

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR, LOG_LEVELS };

#define LOG_ROOMS(ROOM) ROOM(autoscaler) ROOM(export) ROOM(serve) ROOM(cli)
enum log_room {
#define ROOM(name) LOG_ROOM_##name,
    LOG_ROOMS(ROOM)
#undef ROOM
        LOG_ROOM_none, /* tests and examples: the general level */
    LOG_ROOM_COUNT
};

#ifdef WEIR_ROOM
#define LOG_ROOM_PASTE(name) LOG_ROOM_##name
#define LOG_ROOM_NAMED(name) LOG_ROOM_PASTE(name)
#define LOG_ROOM_HERE        LOG_ROOM_NAMED(WEIR_ROOM)
#else
#define LOG_ROOM_HERE LOG_ROOM_none
#endif

/* ---- which lines are written ---- */
struct log_levels {
    enum log_level general;
    bool own[LOG_ROOM_COUNT]; /* the room has a level of its own: */
    enum log_level rooms[LOG_ROOM_COUNT];
};
void log_levels_get(struct log_levels *levels);
void log_levels_set(const struct log_levels *levels);
/* "info", "info,serve=debug", "serve=debug": what is not named stays as it is in *levels. false: *err says which word is wrong. */
bool log_levels_parse(const char *text, struct log_levels *levels, struct error *err);
void log_set_level(enum log_level level); /* of all rooms */
void log_set_json(bool json);
bool log_level_parse(const char *name, enum log_level *level);
const char *log_level_name(enum log_level level);
/* false: no room of that name logs. */
bool log_room_find(const char *name, enum log_room *room);
const char *log_room_name(enum log_room room);

/* ---- lines ---- */
bool log_room_enabled(enum log_room room, enum log_level level);
void log_write(enum log_room room, enum log_level level, const char *message, ...) __attribute__((sentinel));
#define log_enabled(level) log_room_enabled(LOG_ROOM_HERE, level)
#define log_at(level, ...)                                                                                             \
    do {                                                                                                               \
        if (log_enabled(level))                                                                                        \
            log_write(LOG_ROOM_HERE, level, __VA_ARGS__);                                                              \
    } while (0)
#define log_debug(...)   log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)    log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)   log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
/* How many lines of each level were written since the start (for /metrics). */
unsigned long log_count(enum log_level level);

#endif

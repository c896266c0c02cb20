/*
 * log_levels: which lines are logged, shown and changed while it runs (docs/openapi.yaml, LogLevels). Whether somebody may change them is
 * the gate's to say. A change holds until the process ends, and is itself a line of the log.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/tree.h"
#include "serve/serve_internal.h"

static void write_levels(const struct log_levels *levels, struct text *out)
{
    struct json json = {.out = out};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "level", log_level_name(levels->general));
    json_put_open(&json, "rooms", '{');
    for (int i = 0; i < LOG_ROOM_none; i++)
        if (levels->own[i])
            json_put_string(&json, log_room_name((enum log_room)i), log_level_name(levels->rooms[i]));
    json_put_close(&json, '}');
    json_put_close(&json, '}');
}

void serve_log_levels(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct log_levels levels;

    (void)arg, (void)request;
    log_levels_get(&levels);
    write_levels(&levels, answer->body);
}

/* The words of the contract, and only as it writes them. */
static bool read_level(const struct tree *node, const char *what, enum log_level *level, struct error *err)
{
    const char *name = tree_string(node);

    if (name && log_level_parse(name, level) && strcmp(name, log_level_name(*level)) == 0)
        return true;
    return error_set(err, ERROR_INVALID, "%.60s is one of debug, info, warning, error", what);
}

static bool read_rooms(const struct tree *rooms, struct log_levels *levels, struct error *err)
{
    if (rooms->type != TREE_MAP)
        return error_set(err, ERROR_INVALID, "rooms is an object: {\"serve\": \"debug\"}");
    for (const struct tree *member = rooms->first; member; member = member->next) {
        enum log_room room;

        if (!log_room_find(member->key, &room))
            return error_set(err, ERROR_INVALID, "rooms.%.60s writes no log: autoscaler, export, serve and cli do",
                             member->key);
        if (!read_level(member, member->key, &levels->rooms[room], err))
            return false;
        levels->own[room] = true;
    }
    return true;
}

/* What is not named has the general level from now on. */
static bool read_levels(const struct tree *body, struct log_levels *levels, struct error *err)
{
    *levels = (struct log_levels){.general = LOG_LEVEL_INFO};
    if (body->type != TREE_MAP)
        return error_set(err, ERROR_INVALID, "the body is an object: {\"level\": \"info\"}");
    for (const struct tree *member = body->first; member; member = member->next) {
        bool known = strcmp(member->key, "level") == 0 || strcmp(member->key, "rooms") == 0;

        if (!known)
            return error_set(err, ERROR_INVALID, "%.60s is not known here: level and rooms are", member->key);
    }
    const struct tree *rooms = tree_get(body, "rooms");
    return read_level(tree_get(body, "level"), "level", &levels->general, err) &&
           (!rooms || read_rooms(rooms, levels, err));
}

static bool is_json(const struct server_request *request)
{
    static const char json[] = "application/json";
    const char *type = server_header(request, "Content-Type");
    size_t length = type ? strcspn(type, "; ") : 0;

    return length == sizeof(json) - 1 && strncasecmp(type, json, length) == 0;
}

static void log_change(const struct log_levels *before, const struct log_levels *after)
{
    struct text from, to;

    text_init(&from, LOG_LINE_MAX_BYTES);
    text_init(&to, LOG_LINE_MAX_BYTES);
    write_levels(before, &from);
    write_levels(after, &to);
    log_warning("log levels changed", "reason", "asked", "from", from.bytes, "to", to.bytes, NULL);
    text_done(&from);
    text_done(&to);
}

void serve_set_log_levels(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct log_levels before, levels;
    struct arena *arena;
    struct tree *body;
    struct error err;

    (void)arg;
    if (!is_json(request)) {
        answer_refuse(answer, 415, "send it as Content-Type: application/json");
        return;
    }
    arena = arena_new(ARENA_SMALL);
    if (!tree_read_json(request->body, request->body_length, false, arena, &body, &err) ||
        !read_levels(body, &levels, &err)) {
        answer_refuse(answer, 400, "%s", err.text);
    } else {
        log_levels_get(&before);
        log_change(&before, &levels);
        log_levels_set(&levels);
        write_levels(&levels, answer->body);
    }
    arena_free(arena);
}

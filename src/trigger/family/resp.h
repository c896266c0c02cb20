/*
 * resp: the answers of Redis (RESP2), read from bytes as they come. Pure; for redis, redis-streams and their relatives.
 */
#ifndef WEIR_TRIGGER_RESP_H
#define WEIR_TRIGGER_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct text;

enum resp_type { RESP_TEXT, RESP_ERROR, RESP_INTEGER, RESP_LIST, RESP_NULL };

struct resp {
    enum resp_type type;
    const char *text; /* RESP_TEXT, RESP_ERROR: in the arena, ends with a 0 byte */
    size_t length;
    int64_t integer;
    struct resp *first, *next; /* of a list */
    size_t count;
};

enum resp_progress { RESP_DONE, RESP_MORE /* not all of it is there */, RESP_BAD };
/* One value from the start of the bytes. DONE: *used says how many it took. BAD: *err is set. */
enum resp_progress resp_read(const char *bytes, size_t length, struct arena *arena, struct resp **out, size_t *used,
                             struct error *err);
/* A command as an array of bulk strings; ends with NULL. */
void resp_command(struct text *out, const char *word, ...) __attribute__((sentinel));
/* Does an error reply begin with this code ("WRONGTYPE")? */
bool resp_is_error(const struct resp *reply, const char *code);

#endif

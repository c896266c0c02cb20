/*
 * resp: every value begins with a letter that says what it is, and ends its line with CR LF:
 *
 *     +text   -error   :integer   $length CR LF bytes   *count CR LF values
 *
 * The bytes are walked twice: first without a memory, to see whether all of the value is there; only then is it made. So
 * neither a count in a header nor an answer that comes in many small pieces costs memory.
 */
#include "trigger/family/resp.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

enum { RESP_DEPTH_MAX = 8 }; /* XINFO nests three deep */

struct reader {
    const char *s, *end;
    struct arena *arena; /* NULL: only looking whether it is complete */
    struct error *err;
};

/* The line that begins here, without CR LF; NULL: its end has not come. */
static const char *take_line(struct reader *r, size_t *length)
{
    const char *begin = r->s, *newline = memchr(r->s, '\n', (size_t)(r->end - r->s));

    if (!newline)
        return NULL;
    r->s = newline + 1;
    *length = (size_t)(newline - begin) - (newline > begin && newline[-1] == '\r');
    return begin;
}

static bool parse_int(const char *s, size_t length, int64_t *out)
{
    bool negative = length > 0 && *s == '-';
    uint64_t value = 0;

    if (negative || (length > 0 && *s == '+')) {
        s++;
        length--;
    }
    if (length == 0 || length > 19)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX)
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

static enum resp_progress read_value(struct reader *r, struct resp *out, int depth);

static enum resp_progress bad(struct reader *r, const char *what)
{
    error_set(r->err, ERROR_NONSENSE, "that is not a Redis answer: %s", what);
    return RESP_BAD;
}

static enum resp_progress read_bulk(struct reader *r, struct resp *out, int64_t length)
{
    if (length > STREAM_REPLY_MAX_BYTES)
        return bad(r, "a text longer than STREAM_REPLY_MAX_BYTES");
    if (r->end - r->s < length + 2)
        return RESP_MORE;
    if (r->s[length] != '\r' || r->s[length + 1] != '\n')
        return bad(r, "a text that does not end where it should");
    out->type = RESP_TEXT;
    out->text = r->arena ? arena_copy_bytes(r->arena, r->s, (size_t)length) : "";
    out->length = (size_t)length;
    r->s += length + 2;
    return RESP_DONE;
}

static enum resp_progress read_list(struct reader *r, struct resp *out, int64_t count, int depth)
{
    struct resp **link = &out->first;

    out->type = RESP_LIST;
    for (int64_t i = 0; i < count; i++) {
        struct resp unkept = {.type = RESP_NULL}, *item = r->arena ? arena_alloc(r->arena, sizeof(*item)) : &unkept;
        enum resp_progress progress = read_value(r, item, depth + 1);

        if (progress != RESP_DONE)
            return progress;
        if (item != &unkept) {
            *link = item;
            link = &item->next;
        }
        out->count++;
    }
    return RESP_DONE;
}

static enum resp_progress read_value(struct reader *r, struct resp *out, int depth)
{
    const char *line;
    size_t length;

    if (depth > RESP_DEPTH_MAX)
        return bad(r, "lists nested too deep");
    if (r->s == r->end)
        return RESP_MORE;
    if (!strchr("+-:$*", *r->s) || *r->s == '\0')
        return bad(r, "it begins with another character (is this a Redis port? does it want TLS?)");
    line = take_line(r, &length);
    if (!line)
        return RESP_MORE;
    if (*line == '+' || *line == '-') {
        out->type = *line == '+' ? RESP_TEXT : RESP_ERROR;
        out->text = r->arena ? arena_copy_bytes(r->arena, line + 1, length - 1) : "";
        out->length = length - 1;
        return RESP_DONE;
    }
    if (!parse_int(line + 1, length - 1, &out->integer))
        return bad(r, "a number is due");
    if (*line == ':') {
        out->type = RESP_INTEGER;
        return RESP_DONE;
    }
    if (out->integer < 0) {
        out->type = RESP_NULL;
        return RESP_DONE;
    }
    return *line == '$' ? read_bulk(r, out, out->integer) : read_list(r, out, out->integer, depth);
}

enum resp_progress resp_read(const char *bytes, size_t length, struct arena *arena, struct resp **out, size_t *used,
                             struct error *err)
{
    struct reader r = {bytes, bytes + length, NULL, err};
    struct resp look = {.type = RESP_NULL};
    enum resp_progress progress = read_value(&r, &look, 0);

    if (progress != RESP_DONE)
        return progress;
    r.s = bytes;
    r.arena = arena;
    *out = arena_alloc(arena, sizeof(**out));
    progress = read_value(&r, *out, 0);
    *used = (size_t)(r.s - bytes);
    return progress;
}

void resp_command(struct text *out, const char *word, ...)
{
    size_t count = 1;
    va_list args;

    va_start(args, word);
    while (va_arg(args, const char *))
        count++;
    va_end(args);
    text_printf(out, "*%zu\r\n", count);
    va_start(args, word);
    for (; word; word = va_arg(args, const char *)) {
        text_printf(out, "$%zu\r\n", strlen(word));
        text_add(out, word);
        text_add(out, "\r\n");
    }
    va_end(args);
}

bool resp_is_error(const struct resp *reply, const char *code)
{
    size_t length = strlen(code);

    return reply->type == RESP_ERROR && strncmp(reply->text, code, length) == 0 &&
           (reply->text[length] == ' ' || reply->text[length] == '\0');
}

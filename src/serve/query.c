/*
 * query: what a request asks for, checked. What is wrong with it is said with the parameter's name and what it may be (docs/openapi.yaml).
 */
#include "serve/serve_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"

enum { QUERY_CHOICES_MAX_BYTES = 256 };

void answer_refuse(struct server_answer *answer, int status, const char *format, ...)
{
    struct json json = {.out = answer->body};
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    answer->status = status;
    text_clear(answer->body);
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "error", text);
    json_put_close(&json, '}');
}

bool query_integer(const struct server_request *request, const char *name, long least, long most, long *value,
                   struct server_answer *answer)
{
    const char *text = server_query(request, name);
    char *end;

    if (!text)
        return true;
    long number = strtol(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && number >= least && number <= most) {
        *value = number;
        return true;
    }
    answer_refuse(answer, 400, "%s is a number from %ld to %ld", name, least, most);
    return false;
}

bool query_choice(const struct server_request *request, const char *name, const char *const *choices, size_t *value,
                  struct server_answer *answer)
{
    const char *text = server_query(request, name);
    struct text list;

    for (size_t i = 0; text && choices[i]; i++)
        if (strcmp(text, choices[i]) == 0) {
            *value = i;
            return true;
        }
    if (!text)
        return true;
    text_init(&list, QUERY_CHOICES_MAX_BYTES);
    for (size_t i = 0; choices[i]; i++)
        text_printf(&list, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
    answer_refuse(answer, 400, "%s is %s", name, list.bytes);
    text_done(&list);
    return false;
}

/* Characters are counted, not bytes. */
bool query_text(const struct server_request *request, const char *name, size_t most, char *out, size_t size,
                struct server_answer *answer)
{
    const char *text = server_query(request, name);
    size_t characters = 0;

    *out = '\0';
    if (!text)
        return true;
    for (const char *at = text; *at; at++)
        characters += ((unsigned char)*at & 0xc0) != 0x80;
    if (characters <= most && strlen(text) < size) {
        memcpy(out, text, strlen(text) + 1);
        return true;
    }
    answer_refuse(answer, 400, "%s has at most %zu characters", name, most);
    return false;
}

bool query_instant(const struct server_request *request, const char *name, int64_t now_ms, int64_t *at_ms,
                   struct server_answer *answer)
{
    const char *text = server_query(request, name);
    int64_t back_ms;

    if (!text || instant_parse(text, at_ms))
        return true;
    if (duration_parse_ms(text, &back_ms) && back_ms >= 0) {
        *at_ms = now_ms > back_ms ? now_ms - back_ms : 0;
        return true;
    }
    answer_refuse(answer, 400, "%s is an instant like 2026-01-31T12:00:00Z, or a span back from now like 6h", name);
    return false;
}

bool query_object(struct autoscaler *a, const struct server_request *request, char key[QUERY_KEY_BYTES],
                  struct server_answer *answer)
{
    static const char *const kinds[] = {"ScaledObject", "ScaledJob"};
    const char *kind = server_query(request, "kind");

    if (kind && strcmp(kind, kinds[0]) != 0 && strcmp(kind, kinds[1]) != 0) {
        answer_refuse(answer, 400, "kind is ScaledObject or ScaledJob");
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (kind && strcmp(kind, kinds[i]) != 0)
            continue;
        snprintf(key, QUERY_KEY_BYTES, "%s/%s/%s", kinds[i], request->segments[0], request->segments[1]);
        if (autoscaler_has_object(a, key))
            return true;
    }
    answer_refuse(answer, 404, "there is no such object; GET /api/v1/objects lists them");
    return false;
}

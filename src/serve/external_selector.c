/*
 * external_selector: which object a metric is asked of. The HorizontalPodAutoscaler sends the labels of its metric as
 * a selector; KEDA's server prints the parsed selector, splits it at commas and each part at '=', and goes on only with
 * exactly two pieces: so `k==v`, `k!=v`, `k in (v)` and a bare `k` are selectors, and errors all the same
 * (keda-operator/06 1.3). What is no selector at all never gets there: that is a bad request.
 */
#include "serve/cluster_internal.h"

#include <string.h>

#include "base/arena.h"
#include "base/selector.h"

static const char object_label[] = "scaledobject.keda.sh/name";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A piece without the blanks around it. */
static const char *trim(const char *begin, size_t *length)
{
    while (*length > 0 && is_blank(*begin)) {
        begin++;
        (*length)--;
    }
    while (*length > 0 && is_blank(begin[*length - 1]))
        (*length)--;
    return begin;
}

/* One part between commas. */
static bool read_part(const char *part, size_t length, char name[OBJECT_NAME_BYTES], struct error *err)
{
    const char *equals, *value;
    size_t key_length, value_length;

    part = trim(part, &length);
    equals = memchr(part, '=', length);
    if (!equals || (equals > part && equals[-1] == '!') ||
        memchr(equals + 1, '=', length - (size_t)(equals - part) - 1))
        return error_set(err, ERROR_INVALID, "invalid selector: [%.*s]", (int)(length < 200 ? length : 200), part);
    key_length = (size_t)(equals - part);
    value_length = length - key_length - 1;
    part = trim(part, &key_length);
    value = trim(equals + 1, &value_length);
    if (key_length != strlen(object_label) || memcmp(part, object_label, key_length) != 0)
        return true;
    if (value_length >= OBJECT_NAME_BYTES) /* the parser allows no such value; a bound here all the same */
        return error_set(err, ERROR_INVALID, "invalid selector: [%.100s]", part);
    memcpy(name, value, value_length);
    name[value_length] = 0;
    return true;
}

static bool read_parts(const char *at, char name[OBJECT_NAME_BYTES], struct error *err)
{
    for (;;) {
        size_t length = strcspn(at, ",");

        if (!read_part(at, length, name, err))
            return false;
        if (!at[length])
            return true;
        at += length + 1;
    }
}

bool external_selector_object(const char *selector, char name[OBJECT_NAME_BYTES], int *code, struct error *err)
{
    char found[OBJECT_NAME_BYTES] = "";
    struct arena *arena = arena_new(ARENA_USUAL);
    struct selector *parsed;
    bool is_selector = selector_parse(selector, arena, &parsed, err);

    arena_free(arena);
    *code = is_selector ? 500 : 400;
    if (!is_selector)
        return false;
    if (strspn(selector, " \t\r\n") < strlen(selector) && !read_parts(selector, found, err))
        return false;
    if (!*found)
        return error_set(err, ERROR_INVALID, "scaledObject name is not specified");
    memcpy(name, found, sizeof(found));
    return true;
}

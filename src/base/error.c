/*
 * error: see error.h. Texts are cut at the end of a whole character, so that what is shown, logged or put into JSON is
 * always valid UTF-8, even where a name from a manifest made the sentence too long.
 */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* vsnprintf into a fixed array; what does not fit goes, by whole characters. */
static void print_cut(char *out, size_t size, const char *format, va_list args)
{
    int length = vsnprintf(out, size, format, args);

    if (length < 0)
        out[0] = 0;
    else if ((size_t)length >= size)
        out[utf8_valid_prefix(out, size - 1)] = 0;
}

bool error_setv(struct error *err, enum error_kind kind, const char *format, va_list args)
{
    char text[sizeof err->text]; /* apart, so that the old text may be an argument of the new one */

    if (!err)
        return false;
    print_cut(text, sizeof text, format, args);
    memcpy(err->text, text, sizeof text);
    err->kind = kind;
    err->where[0] = 0;
    return false;
}

bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_setv(err, kind, format, args);
    va_end(args);
    return false;
}

bool error_add_place(struct error *err, const char *format, ...)
{
    char place[sizeof err->where], whole[2 * sizeof err->where + 1];
    va_list args;

    if (!err)
        return false;
    va_start(args, format);
    print_cut(place, sizeof place, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s%s%s", place, place[0] && err->where[0] ? " " : "", err->where);
    size_t length = strlen(whole);
    if (length >= sizeof err->where)
        length = utf8_valid_prefix(whole, sizeof err->where - 1);
    memcpy(err->where, whole, length);
    err->where[length] = 0;
    return false;
}

const char *error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_INVALID:
        return "invalid";
    case ERROR_DENIED:
        return "denied";
    case ERROR_UNREACHABLE:
        return "unreachable";
    case ERROR_NONSENSE:
        return "nonsense";
    case ERROR_LIMIT:
        return "limit";
    case ERROR_MISSING:
        return "missing";
    case ERROR_INTERNAL:
        return "internal";
    }
    return "unknown";
}

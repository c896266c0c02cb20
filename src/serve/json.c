/* json: a writer for answers. Small on purpose: lists of thousands of objects are written without a tree in between. */
#include "serve/serve_internal.h"

#include <math.h>
#include <string.h>

#include "base/time.h"

static void begin_member(struct json *json, const char *key)
{
    if (json->comma)
        text_add_char(json->out, ',');
    json->comma = true;
    if (key) {
        text_add_json_string(json->out, key, strlen(key));
        text_add_char(json->out, ':');
    }
}

void json_put_open(struct json *json, const char *key, char bracket)
{
    begin_member(json, key);
    text_add_char(json->out, bracket);
    json->comma = false;
}

void json_put_close(struct json *json, char bracket)
{
    text_add_char(json->out, bracket);
    json->comma = true;
}

void json_put_string(struct json *json, const char *key, const char *value)
{
    begin_member(json, key);
    if (value)
        text_add_json_string(json->out, value, strlen(value));
    else
        text_add(json->out, "null");
}

void json_put_number(struct json *json, const char *key, double value)
{
    begin_member(json, key);
    if (isfinite(value))
        text_add_number(json->out, value);
    else
        text_add(json->out, "null");
}

void json_put_integer(struct json *json, const char *key, int64_t value)
{
    begin_member(json, key);
    text_printf(json->out, "%lld", (long long)value);
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    begin_member(json, key);
    text_add(json->out, value ? "true" : "false");
}

void json_put_time(struct json *json, const char *key, int64_t at_ms)
{
    char time[32];

    if (at_ms != 0)
        instant_format_ms(at_ms, time, sizeof(time));
    json_put_string(json, key, at_ms != 0 ? time : NULL);
}

void json_put_raw(struct json *json, const char *key, const struct text *value)
{
    begin_member(json, key);
    text_append(json->out, value->bytes, value->length);
}

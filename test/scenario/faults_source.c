/*
 * faults_source: a source that changes its manner every so often. Which manner, and which value, follows from its seed and the
 * instant alone. From calm_from_ms on it tells one truth for ever.
 */
#include "faults.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/time.h"

enum { MANNER_S = 97 /* how long a manner lasts */, VALUE_S = 31, HUGE_BYTES = HTTP_BODY_MAX_BYTES + 1 };

static bool is_calm(const struct source *source)
{
    return stage_now_ms(source->stage) >= source->calm_from_ms;
}

static enum manner manner_now(const struct source *source)
{
    struct dice d = {mix(source->seed, (uint64_t)(stage_now_ms(source->stage) / (MANNER_S * SECOND_MS)))};

    if (is_calm(source) || chance(&d, 45))
        return MANNER_TRUE;
    return (enum manner)roll(&d, MANNERS);
}

double source_truth(const struct source *source)
{
    int64_t now_ms = is_calm(source) ? source->calm_from_ms : stage_now_ms(source->stage);
    struct dice d = {mix(source->seed + 1, (uint64_t)(now_ms / (VALUE_S * SECOND_MS)))};

    switch (roll(&d, 8)) {
    case 0:
        return 0;
    case 1:
        return source->type == SOURCE_REDIS ? 1e15 : 1e300;
    case 2:
        return source->type == SOURCE_REDIS ? 1 : -(double)roll(&d, 50);
    default:
        return (double)roll(&d, 1500) / (source->type == SOURCE_REDIS ? 1 : 8);
    }
}

bool source_said(const struct source *source, double value)
{
    for (unsigned i = 0; i < TRUTHS_KEPT && i < source->truth_count; i++)
        if (source->truths[i] == value)
            return true;
    return false;
}

static double tell(struct source *source)
{
    double value = source->type == SOURCE_REDIS ? floor(source_truth(source)) : source_truth(source);

    source->truths[source->truth_count++ % TRUTHS_KEPT] = value;
    return value;
}

/* ------------------------------------------------------------------ HTTP */

static char body[512];

static void say_number(struct source *source, const char *number)
{
    if (source->type == SOURCE_PROMETHEUS)
        snprintf(body, sizeof(body), "{\"status\":\"success\",\"data\":{\"result\":[{\"value\":[0,\"%s\"]}]}}", number);
    else
        snprintf(body, sizeof(body), "{\"a\":{\"b\":%s}}", number);
}

static void say_truth(struct source *source)
{
    char number[40];

    snprintf(number, sizeof(number), "%.17g", tell(source));
    say_number(source, number);
}

static const char *big(char fill)
{
    static char *bytes;

    if (!bytes)
        bytes = mem_alloc(HUGE_BYTES + 1);
    if (bytes[0] != fill)
        memset(bytes, fill, HUGE_BYTES);
    return bytes;
}

static void say_lie(struct source *source, enum manner manner, struct virtual_reply *reply)
{
    static const struct http_header later = {.name = "Retry-After", .value = "7"},
                                    itself = {.name = "Location", .value = "/again"};

    switch (manner) {
    case MANNER_EMPTY:
        snprintf(body, sizeof(body), "%s",
                 source->type == SOURCE_PROMETHEUS ? "{\"data\":{\"result\":[]}}" : "{\"a\":{\"b\":null}}");
        break;
    case MANNER_NAN:
        say_number(source, source->type == SOURCE_PROMETHEUS ? "NaN" : "\"NaN\"");
        break;
    case MANNER_INFINITE:
        say_number(source, source->type == SOURCE_PROMETHEUS ? "+Inf" : "1e999");
        break;
    case MANNER_HTML:
        snprintf(body, sizeof(body), "<html><body>99 problems</body></html>");
        break;
    case MANNER_CUT:
        snprintf(body, sizeof(body), "{\"data\":{\"result\":[{\"value\":[0,\"12");
        break;
    case MANNER_NO_BYTES:
        body[0] = '\0';
        break;
    case MANNER_NESTED:
        reply->body = big('[');
        reply->length = HTTP_BODY_MAX_BYTES / 16;
        break;
    case MANNER_WRONG_SHAPE:
        snprintf(body, sizeof(body), "{\"data\":{\"result\":\"load\"},\"a\":[1,2,3]}");
        break;
    case MANNER_TWO:
        snprintf(body, sizeof(body),
                 "{\"data\":{\"result\":[{\"value\":[0,\"5\"]},{\"value\":[0,\"6\"]}]},\"a\":{\"b\":{\"c\":7}}}");
        break;
    case MANNER_HUGE:
        reply->body = big('1');
        reply->length = HUGE_BYTES;
        break;
    case MANNER_DENIES:
        reply->status = 401;
        break;
    case MANNER_NOT_FOUND:
        reply->status = 404;
        break;
    case MANNER_TOO_MANY:
        reply->status = 429;
        reply->headers = &later;
        reply->header_count = 1;
        break;
    case MANNER_ERROR:
        reply->status = 500;
        break;
    case MANNER_LOOP:
        reply->status = 302;
        reply->headers = &itself;
        reply->header_count = 1;
        break;
    case MANNER_REFUSES:
        reply->refused = true;
        break;
    case MANNER_HANGS:
        reply->never = true;
        break;
    default:
        reply->after_ms = 60 * SECOND_MS;
        break;
    }
}

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct source *source = arg;
    enum manner manner = manner_now(source);

    (void)request;
    source->asked++;
    body[0] = '\0';
    reply->body = body;
    if (manner > MANNER_SLOW) {
        say_lie(source, manner, reply);
        return;
    }
    say_truth(source);
    if (manner == MANNER_SLOW)
        reply->after_ms = 200 + (int64_t)(mix(source->seed, source->asked) % 2000);
}

/* ------------------------------------------------------------------ Redis */

static void answer_number(struct source *source, struct virtual_stream *stream, bool type, int64_t after_ms)
{
    int length =
        type ? snprintf(body, sizeof(body), "+list\r\n") : snprintf(body, sizeof(body), ":%.0f\r\n", tell(source));

    virtual_stream_say(stream, body, (size_t)length, after_ms);
}

static void talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    struct source *source = arg;
    enum manner manner = manner_now(source);

    if (opened || length == 0) {
        if (manner == MANNER_REFUSES)
            virtual_stream_hang_up(stream, 0);
        return;
    }
    source->asked++;
    switch (manner) {
    case MANNER_TRUE:
        answer_number(source, stream, strncmp(bytes, "*2\r\n$4\r\nTYPE", 12) == 0, 0);
        break;
    case MANNER_SLOW:
        answer_number(source, stream, strncmp(bytes, "*2\r\n$4\r\nTYPE", 12) == 0, 900);
        break;
    case MANNER_HANGS:
    case MANNER_LATE:
        break;
    case MANNER_CUT:
        virtual_stream_say(stream, ":12", 3, 0);
        virtual_stream_hang_up(stream, 10);
        break;
    case MANNER_HUGE:
        virtual_stream_say(stream, "$999999999999\r\n", 15, 0);
        virtual_stream_say(stream, big('1'), STREAM_REPLY_MAX_BYTES + 1, 1);
        break;
    case MANNER_NESTED:
        for (int i = 0; i < 200; i++)
            virtual_stream_say(stream, "*1\r\n", 4, 0);
        break;
    case MANNER_DENIES:
        virtual_stream_say(stream, "-NOAUTH Authentication required.\r\n", 34, 0);
        break;
    case MANNER_ERROR:
        virtual_stream_say(stream, "-LOADING dataset in memory\r\n", 28, 0);
        break;
    default:
        virtual_stream_say(stream, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0);
        break;
    }
}

void source_begin(struct source *source)
{
    struct virtual_world *world = stage_world(source->stage);
    char place[80];

    if (source->type == SOURCE_REDIS) {
        snprintf(place, sizeof(place), "%s:6379", source->host);
        virtual_talk(world, place, talk, source);
    } else {
        snprintf(place, sizeof(place), "http://%s", source->host);
        virtual_answer(world, place, answer, source);
    }
}

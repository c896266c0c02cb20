/*
 * virtual_stream: byte streams without sockets. The client's side is a struct stream, the server's a struct virtual_stream, which
 * is the same thing seen from there.
 *
 *     open --> on_open, talk(opened) --> client writes --pump--> talk(bytes)
 *                                        server says  --queue--> on_bytes ... hang up --> on_end
 *
 * What is said waits in one queue whose times never go back, so bytes keep their order as TCP's do.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "sim/virtual_internal.h"

struct talker {
    virtual_talker *talk; /* NULL: refuses */
    void *arg;
    bool silent;
};

struct saying {
    struct saying *next;
    int64_t at_ms;
    bool hang_up;
    size_t length;
    char bytes[];
};

struct stream {
    struct virtual_world *world;
    struct stream *previous, *next;
    struct stream_request request; /* without host: see place */
    char place[300];
    struct event pump;    /* opens, then carries what the client wrote to the server */
    struct event deliver; /* what the server said */
    struct event idle;
    struct text written;
    struct saying *first, *last;
    struct error failure;
    bool open, failed, calling, closed;
};

static struct stream *client_of(struct virtual_stream *stream)
{
    return (struct stream *)(void *)stream;
}

static struct virtual_stream *server_of(struct stream *stream)
{
    return (struct virtual_stream *)(void *)stream;
}

/* ---- who talks ---- */
static struct talker *talker_for(struct virtual_world *world, const char *host_port)
{
    struct talker *talker = map_get(world->talkers, host_port);

    if (!talker) {
        talker = mem_alloc(sizeof *talker);
        map_put(world->talkers, host_port, talker);
    }
    return talker;
}

void virtual_talk(struct virtual_world *world, const char *host_port, virtual_talker *talk, void *arg)
{
    struct talker *talker = talker_for(world, host_port);

    talker->talk = talk;
    talker->arg = arg;
}

void virtual_talk_silent(struct virtual_world *world, const char *host_port, bool silent)
{
    talker_for(world, host_port)->silent = silent;
}

/* ---- the end ---- */
static void leave_all(struct stream *stream)
{
    struct virtual_world *world = stream->world;

    event_clear(world, &stream->pump);
    event_clear(world, &stream->deliver);
    event_clear(world, &stream->idle);
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        world->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    world->stream_count--;
}

static void free_stream(struct stream *stream)
{
    while (stream->first) {
        struct saying *gone = stream->first;

        stream->first = gone->next;
        free(gone);
    }
    text_done(&stream->written);
    free(stream);
}

static void end(struct stream *stream, enum stream_end why, const struct error *error)
{
    leave_all(stream);
    stream->calling = stream->closed = true; /* a close in on_end has nothing left to do */
    stream->request.on_end(stream->request.arg, stream, why, error);
    free_stream(stream);
}

/* Around every call to either side: the client may close the stream in it. False: it did, and the stream is gone. */
static bool after_call(struct stream *stream)
{
    stream->calling = false;
    if (!stream->closed)
        return true;
    free_stream(stream);
    return false;
}

static void fail_timed_out(struct event *event)
{
    struct stream *stream = owner_of(event, struct stream, idle);
    struct error error;

    if (stream->open)
        failure_idle(&error, stream->place, stream->request.idle_timeout_ms);
    else
        failure_timeout(&error, stream->place, PHASE_CONNECTING, stream->request.connect_timeout_ms);
    end(stream, STREAM_TIMED_OUT, &error);
}

static void note_traffic(struct stream *stream)
{
    if (stream->request.idle_timeout_ms > 0)
        event_after(stream->world, &stream->idle, stream->request.idle_timeout_ms, fail_timed_out);
    else
        event_clear(stream->world, &stream->idle);
}

static void fail_later(struct event *event)
{
    struct stream *stream = owner_of(event, struct stream, pump);

    end(stream, STREAM_FAILED, &stream->failure);
}

/* ---- bytes ---- */
static bool talk(struct stream *stream, const char *bytes, size_t length, bool opened)
{
    const struct talker *talker = map_get(stream->world->talkers, stream->place);

    if (!talker || !talker->talk)
        return true; /* it went away while connected, and says nothing */
    stream->calling = true;
    talker->talk(talker->arg, server_of(stream), bytes, length, opened);
    return after_call(stream);
}

static void pump(struct event *event)
{
    struct stream *stream = owner_of(event, struct stream, pump);
    size_t length = stream->written.length;
    char *bytes = text_take(&stream->written);

    note_traffic(stream);
    talk(stream, bytes, length, false);
    free(bytes);
}

static void deliver(struct event *event)
{
    struct stream *stream = owner_of(event, struct stream, deliver);
    struct saying *said = stream->first;
    bool hang_up = said->hang_up, alive = true;

    stream->first = said->next;
    if (!stream->first)
        stream->last = NULL;
    else
        event_at(stream->world, &stream->deliver, stream->first->at_ms, deliver);
    if (hang_up) {
        free(said);
        end(stream, STREAM_CLOSED_BY_PEER, NULL);
        return;
    }
    note_traffic(stream);
    if (stream->request.on_bytes) {
        stream->calling = true;
        stream->request.on_bytes(stream->request.arg, stream, said->bytes, said->length);
        alive = after_call(stream);
    }
    (void)alive; /* nothing of the stream is touched from here on */
    free(said);
}

static void say(struct stream *stream, const void *bytes, size_t length, int64_t after_ms, bool hang_up)
{
    struct saying *saying = mem_alloc(sizeof *saying + length + 1);
    int64_t at_ms = stream->world->ticks_ms + (after_ms > 0 ? after_ms : 0);

    saying->at_ms = stream->last && stream->last->at_ms > at_ms ? stream->last->at_ms : at_ms;
    saying->hang_up = hang_up;
    saying->length = length;
    if (length)
        memcpy(saying->bytes, bytes, length);
    if (stream->last) {
        stream->last->next = saying;
    } else {
        stream->first = saying;
        if (!stream->closed)
            event_at(stream->world, &stream->deliver, saying->at_ms, deliver);
    }
    stream->last = saying;
}

void virtual_stream_say(struct virtual_stream *stream, const void *bytes, size_t length, int64_t after_ms)
{
    if (length)
        say(client_of(stream), bytes, length, after_ms, false);
}

void virtual_stream_hang_up(struct virtual_stream *stream, int64_t after_ms)
{
    say(client_of(stream), NULL, 0, after_ms, true);
}

/* ---- the client's side ---- */
static void connect_now(struct event *event)
{
    struct stream *stream = owner_of(event, struct stream, pump);
    const struct talker *talker = map_get(stream->world->talkers, stream->place);

    if (talker && talker->silent)
        return; /* the connect time-out stands in the heap */
    if (!talker || !talker->talk) {
        failure_refused(&stream->failure, stream->place);
        end(stream, STREAM_FAILED, &stream->failure);
        return;
    }
    stream->open = true;
    note_traffic(stream);
    if (stream->written.length)
        event_after(stream->world, &stream->pump, 0, pump);
    if (!talk(stream, "", 0, true) || !stream->request.on_open)
        return;
    stream->calling = true;
    stream->request.on_open(stream->request.arg, stream);
    after_call(stream);
}

struct stream *virtual_stream_open(struct transport *transport, const struct stream_request *request)
{
    struct virtual_world *world = owner_of(transport, struct virtual_transport, transport)->world;
    struct stream *stream = mem_alloc(sizeof *stream);

    stream->world = world;
    stream->request = *request;
    stream->request.host = NULL;
    stream->request.identity = NULL;
    if (request->connect_timeout_ms <= 0)
        stream->request.connect_timeout_ms = HTTP_TIMEOUT_MS;
    stream_place(request, stream->place, sizeof stream->place);
    text_init(&stream->written, STREAM_WRITE_MAX_BYTES);
    stream->next = world->streams;
    if (world->streams)
        world->streams->previous = stream;
    world->streams = stream;
    world->stream_count++;
    event_after(world, &stream->pump, 0, connect_now);
    event_after(world, &stream->idle, stream->request.connect_timeout_ms, fail_timed_out);
    return stream;
}

void virtual_stream_write(struct stream *stream, const void *bytes, size_t length)
{
    if (stream->closed || stream->failed || length == 0)
        return;
    if (!text_append(&stream->written, bytes, length)) {
        stream->failed = true;
        failure_write_limit(&stream->failure, stream->place);
        event_after(stream->world, &stream->pump, 0, fail_later);
        return;
    }
    if (stream->open && !stream->pump.due.place)
        event_after(stream->world, &stream->pump, 0, pump);
}

void virtual_stream_close(struct stream *stream)
{
    if (stream->closed)
        return;
    stream->closed = true;
    leave_all(stream);
    if (!stream->calling)
        free_stream(stream);
}

void virtual_stream_init(struct virtual_world *world)
{
    world->talkers = map_new();
}

void virtual_stream_close_all(struct virtual_world *world)
{
    while (world->streams)
        virtual_stream_close(world->streams);
}

void virtual_stream_done(struct virtual_world *world)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(world->talkers, &i, &key, &value);)
        free(value);
    map_free(world->talkers);
}

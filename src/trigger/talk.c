/*
 * talk: speaking a protocol on a byte stream. The driver is a pure state machine: it is shown the bytes that came, writes
 * bytes, and ends the poll or waits for more. This file opens the stream, keeps the bytes not yet understood, and holds
 * the deadline of the whole talk.
 *
 * A connection that breaks before a byte came back is tried once more, if at least half of the time is left.
 */
#include <assert.h>
#include <stdio.h>

#include "trigger/trigger_internal.h"

static void close_stream(struct flight *flight)
{
    if (flight->poll.stream)
        flight->engine->transport->ops->stream_close(flight->poll.stream);
    flight->poll.stream = NULL;
}

/* Shows the driver all bytes it has not taken; drops those it takes now. */
static void show(struct flight *flight)
{
    struct poll *poll = &flight->poll;
    struct text *received = &poll->received;

    poll->taken = 0;
    flight->trigger->driver->talk(poll->config, poll, received->bytes, received->length);
    assert(poll->taken <= received->length);
    if (poll->end == END_NONE && poll->taken > 0) {
        received->length -= poll->taken;
        for (size_t i = 0; i <= received->length; i++)
            received->bytes[i] = received->bytes[i + poll->taken];
    }
    flight_after_step(flight);
}

static void on_open(void *arg, struct stream *stream)
{
    (void)stream;
    show(arg);
}

static void on_bytes(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    struct flight *flight = arg;

    (void)stream;
    flight->poll.got_bytes = true;
    if (text_append(&flight->poll.received, bytes, length)) {
        show(flight);
        return;
    }
    poll_fail(&flight->poll, ERROR_LIMIT, "%s:%d answers more than %d bytes (STREAM_REPLY_MAX_BYTES)",
              flight->poll.address.host, flight->poll.address.port, STREAM_REPLY_MAX_BYTES);
    flight_after_step(flight);
}

static void open_stream(struct flight *flight);

static void on_end(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    struct flight *flight = arg;
    struct poll *poll = &flight->poll;
    int64_t left = poll->talk_deadline_ticks_ms - loop_ticks_ms(flight->engine->loop);

    (void)stream;
    poll->stream = NULL;
    if (!poll->got_bytes && poll->talk_attempts <= POLL_RETRIES_MAX && left >= poll->address.timeout_ms / 2) {
        open_stream(flight);
        return;
    }
    if (why == STREAM_CLOSED_BY_PEER)
        poll_fail(poll, ERROR_UNREACHABLE, "%s:%d closed the connection in the middle of an answer", poll->address.host,
                  poll->address.port);
    else if (error && error->kind != ERROR_NONE)
        poll_fail_with(poll, error);
    else
        poll_fail(poll, ERROR_UNREACHABLE, "%s:%d cannot be reached", poll->address.host, poll->address.port);
    flight_after_step(flight);
}

static void open_stream(struct flight *flight)
{
    struct poll *poll = &flight->poll;
    int64_t left = poll->talk_deadline_ticks_ms - loop_ticks_ms(flight->engine->loop);
    struct stream_request request = {
        .host = poll->address.host,
        .port = poll->address.port,
        .tls = poll->address.tls,
        .identity = poll->address.identity,
        .connect_timeout_ms = left > 0 ? left : 1,
        .on_open = on_open,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .arg = flight,
    };

    poll->talk_attempts++;
    flight_stats(flight)->requests++;
    text_clear(&poll->received);
    poll->stream = flight->engine->transport->ops->stream_open(flight->engine->transport, &request);
}

static void on_deadline(void *arg)
{
    struct flight *flight = arg;
    struct poll *poll = &flight->poll;

    poll_fail(poll, ERROR_UNREACHABLE, "%s:%d did not answer within %lld ms", poll->address.host, poll->address.port,
              (long long)poll->address.timeout_ms);
    flight_after_step(flight);
}

enum poll_next talk_open(struct poll *poll, const struct talk_address *address)
{
    struct flight *flight = flight_of(poll);

    close_stream(flight);
    poll->address = *address;
    poll->got_bytes = false;
    poll->talk_attempts = 0;
    if (poll->address.timeout_ms <= 0)
        poll->address.timeout_ms = HTTP_TIMEOUT_MS;
    if (!flight->timer) {
        flight->timer = loop_timer_new(flight->engine->loop, on_deadline, flight);
        loop_timer_set(flight->timer, poll->address.timeout_ms);
        poll->talk_deadline_ticks_ms = loop_ticks_ms(flight->engine->loop) + poll->address.timeout_ms;
    }
    open_stream(flight);
    return POLL_WAITING;
}

void talk_write(struct poll *poll, const void *bytes, size_t length)
{
    struct flight *flight = flight_of(poll);

    if (poll->stream)
        flight->engine->transport->ops->stream_write(poll->stream, bytes, length);
}

void talk_taken(struct poll *poll, size_t length)
{
    poll->taken += length;
}

enum poll_next talk_more(struct poll *poll)
{
    (void)poll;
    return POLL_WAITING;
}

void talk_start(struct flight *flight)
{
    flight->trigger->driver->talk(flight->poll.config, &flight->poll, NULL, 0);
}

void talk_stop(struct flight *flight)
{
    close_stream(flight);
    if (flight->timer)
        loop_timer_free(flight->timer);
    flight->timer = NULL;
}

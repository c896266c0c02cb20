/*
 * talk: speaking a protocol on a byte stream. The driver is a pure state machine: it is shown the bytes that came, writes
 * bytes, and ends the poll or waits for more. This file opens streams, or takes one that was kept (session.c), keeps the bytes not
 * yet understood, and holds the deadline of the whole talk.
 *
 *     talk_open --> a session --new--> stream opens --> shown "" --> shown bytes ... --> kept for the next, or closed
 *                            \--kept--------------------^
 *
 * A connection that breaks before a byte came back is tried once more, if at least half of the time is left. One that was kept may
 * have died unnoticed: it is replaced as often as needed, and also when it is silent for half of the time. A kept stream on which
 * bytes come that nobody asked for is closed: they would be taken for an answer to what is asked next.
 *
 * A driver reads from the start each time it is shown bytes. So that a long answer in many small pieces costs no time without bound, it is
 * shown one that it did not understand again when that has grown by a half, or LOOK_LATER_MS later.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trigger/trigger_internal.h"

enum {
    PLACE_BYTES = 320, /* a name has 255 at most */
    BELL_LATER_MS = 50,
    SHOWN_AT_ONCE_BYTES = 4096, /* up to here every piece is shown: a microsecond or two */
    LOOK_LATER_MS = 10, /* a hundred times a second at most: some ms of each second for STREAM_REPLY_MAX_BYTES */
};

static int64_t time_left(const struct flight *flight)
{
    return flight->poll.talk_deadline_ticks_ms - loop_ticks_ms(flight->engine->loop);
}

static void forget_received(struct flight *flight)
{
    text_clear(&flight->poll.received);
    flight->poll.taken = flight->poll.shown = 0;
    loop_timer_free(flight->look);
    flight->look = NULL;
}

/* Shows the driver all bytes it has not taken; drops those it takes now. */
static void show_bytes(struct flight *flight)
{
    struct poll *poll = &flight->poll;
    struct text *received = &poll->received;

    loop_timer_free(flight->look);
    flight->look = NULL;
    poll->taken = 0;
    flight->trigger->driver->talk(poll->config, poll, received->bytes, received->length);
    assert(poll->taken <= received->length);
    received->length -= poll->taken;
    memmove(received->bytes, received->bytes + poll->taken, received->length + 1);
    poll->shown = received->length;
}

static void show(struct flight *flight)
{
    show_bytes(flight);
    flight_after_step(flight);
}

static void on_look(void *arg)
{
    show(arg);
}

static void show_in_time(struct flight *flight)
{
    const struct poll *poll = &flight->poll;

    if (poll->shown <= SHOWN_AT_ONCE_BYTES || poll->received.length - poll->shown >= poll->shown / 2) {
        show(flight);
    } else if (!flight->look) {
        flight->look = loop_timer_new(flight->engine->loop, on_look, flight);
        loop_timer_set(flight->look, LOOK_LATER_MS);
    }
}

/* ------------------------------------------------------------------ the session's end of the stream */

static void on_open(void *arg, struct stream *stream)
{
    struct session *session = arg;

    (void)stream;
    show(session->flight);
}

static void on_bytes(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    struct session *session = arg;
    struct flight *flight = session->flight;

    (void)stream;
    if (!flight) { /* nothing was asked */
        session_drop(session);
        return;
    }
    flight->poll.got_bytes = true;
    if (text_append(&flight->poll.received, bytes, length)) {
        show_in_time(flight);
        return;
    }
    poll_fail(&flight->poll, ERROR_LIMIT, "%s:%d answers more than %d bytes (STREAM_REPLY_MAX_BYTES)",
              flight->poll.address.host, flight->poll.address.port, STREAM_REPLY_MAX_BYTES);
    flight_after_step(flight);
}

static void open_stream(struct flight *flight);

static bool may_try_again(const struct flight *flight)
{
    const struct poll *poll = &flight->poll;

    if (poll->got_bytes)
        return false;
    if (flight->session->kept)
        return time_left(flight) > 0;
    return !flight->trigger->driver->lost && poll->talk_attempts <= POLL_RETRIES_MAX &&
           time_left(flight) >= poll->address.timeout_ms / 2 && !session_is_away(flight->session);
}

void talk_lose(struct flight *flight, const struct error *why)
{
    const struct trigger_driver *driver = flight->trigger->driver;
    struct error reason = *why; /* it may lie in what is let go here */

    if (flight->session) {
        session_failed(flight->session, &reason);
        session_return(flight->session, false);
    }
    forget_received(flight);
    if (driver->lost)
        driver->lost(flight->poll.config, &flight->poll, &reason);
    else
        poll_fail_with(&flight->poll, &reason);
    flight_after_step(flight);
}

/* The last bytes, which wait to be shown, may be all that was due. */
static bool has_all(struct flight *flight, const struct session *session)
{
    show_bytes(flight);
    if (flight->poll.end == END_NONE && flight->session == session)
        return false;
    flight_after_step(flight);
    return true;
}

static void on_end(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    struct session *session = arg;
    struct flight *flight = session->flight;
    struct error reason;

    (void)stream;
    session->stream = NULL;
    if (!flight) {
        session_drop(session);
        return;
    }
    if (flight->look && has_all(flight, session))
        return;
    if (may_try_again(flight)) {
        session_renew(session);
        open_stream(flight);
        return;
    }
    if (error && error->kind != ERROR_NONE)
        reason = *error;
    else if (why == STREAM_CLOSED_BY_PEER)
        error_set(&reason, ERROR_UNREACHABLE, "%.200s:%d closed the connection %s", flight->poll.address.host,
                  flight->poll.address.port,
                  flight->poll.got_bytes ? "in the middle of an answer" : "without an answer");
    else
        error_set(&reason, ERROR_UNREACHABLE, "%.200s:%d cannot be reached", flight->poll.address.host,
                  flight->poll.address.port);
    talk_lose(flight, &reason);
}

/* A little less than our own bell: the stream knows better what was slow. */
static int64_t connect_timeout(const struct flight *flight)
{
    int64_t left = time_left(flight), patience = flight->poll.address.patience_ms;

    left = patience > 0 && patience < left ? patience : left;
    return left > 2 * BELL_LATER_MS ? left - BELL_LATER_MS : left > 0 ? left : 1;
}

static void open_stream(struct flight *flight)
{
    struct poll *poll = &flight->poll;
    struct stream_request request = {
        .host = poll->address.host,
        .port = poll->address.port,
        .tls = poll->address.tls,
        .identity = poll->address.identity,
        .connect_timeout_ms = connect_timeout(flight),
        .on_open = on_open,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .arg = flight->session,
        .ns = flight->trigger->ns,
    };

    poll->talk_attempts++;
    flight_stats(flight)->requests++;
    forget_received(flight);
    flight->session->stream = flight->engine->transport->ops->stream_open(flight->engine->transport, &request);
}

/* Rings the bell when the patience with this server is over, or with it all time. A stream that was kept may be dead without anybody having
   noticed: half of the time is left for another one. */
static void set_bell(struct flight *flight)
{
    const struct talk_address *address = &flight->poll.address;
    int64_t left = time_left(flight), patience = address->patience_ms;

    if (patience <= 0)
        patience = flight->session->kept ? address->timeout_ms / 2 : left;
    loop_timer_set(flight->timer, patience < left ? patience : left > 0 ? left : 0);
}

void talk_begin(struct flight *flight)
{
    struct poll *poll = &flight->poll;

    forget_received(flight);
    poll->got_bytes = poll->keep = false;
    poll->talk_attempts = 0;
    set_bell(flight);
    if (!flight->session->stream) {
        open_stream(flight);
        return;
    }
    flight_stats(flight)->requests++;
    show(flight);
}

/* ------------------------------------------------------------------ the deadline */

static void out_of_time(struct flight *flight)
{
    struct poll *poll = &flight->poll;

    if (flight->waits_at)
        poll_fail(poll, ERROR_LIMIT, "none of the %zu connections to %.200s:%d became free within %lld ms",
                  session_limit(flight), poll->address.host, poll->address.port, (long long)poll->address.timeout_ms);
    else
        poll_fail(poll, ERROR_UNREACHABLE, "%.200s:%d did not answer within %lld ms", poll->address.host,
                  poll->address.port, (long long)poll->address.timeout_ms);
    flight_after_step(flight);
}

static void on_bell(void *arg)
{
    struct flight *flight = arg;
    const struct talk_address *address = &flight->poll.address;
    struct error why;

    if (time_left(flight) <= 0) {
        out_of_time(flight);
    } else if (!flight->session || flight->poll.got_bytes) {
        loop_timer_set(flight->timer, time_left(flight));
    } else if (flight->session->kept) {
        session_renew(flight->session);
        set_bell(flight);
        open_stream(flight);
    } else {
        error_set(&why, ERROR_UNREACHABLE, "%.200s:%d did not answer within %lld ms", address->host, address->port,
                  (long long)address->patience_ms);
        loop_timer_set(flight->timer, time_left(flight));
        talk_lose(flight, &why);
    }
}

/* ------------------------------------------------------------------ what drivers say */

/* The session goes back: it can be used on where the server has said all it was asked for, and nothing else. */
static void leave_session(struct flight *flight, bool answered)
{
    struct session *session = flight->session;

    if (!session)
        return;
    if (answered)
        session_worked(session);
    session_return(session, answered && session->stream && flight->poll.received.length == 0);
}

enum poll_next talk_open(struct poll *poll, const struct talk_address *address)
{
    struct flight *flight = flight_of(poll);
    char place[PLACE_BYTES];
    struct error why;

    poll->received.length -= poll->taken; /* what it takes in this very call */
    poll->taken = 0;
    leave_session(flight, poll->keep);
    poll->address = *address;
    if (poll->address.timeout_ms <= 0)
        poll->address.timeout_ms = HTTP_TIMEOUT_MS;
    else if (poll->address.timeout_ms > HTTP_TIMEOUT_MAX_MS) /* a deadline is a sum */
        poll->address.timeout_ms = HTTP_TIMEOUT_MAX_MS;
    if (!flight->timer) {
        flight->timer = loop_timer_new(flight->engine->loop, on_bell, flight);
        loop_timer_set(flight->timer, poll->address.timeout_ms);
        poll->talk_deadline_ticks_ms = loop_ticks_ms(flight->engine->loop) + poll->address.timeout_ms;
    }
    snprintf(place, sizeof(place), "%s:%d", address->host, address->port);
    if (!credential_may_go(flight->trigger->allowed_hosts, place, &why))
        return poll_fail_with(poll, &why);
    session_want(flight, place, address->tls);
    return POLL_WAITING;
}

void talk_write(struct poll *poll, const void *bytes, size_t length)
{
    struct flight *flight = flight_of(poll);

    if (flight->session && flight->session->stream)
        flight->engine->transport->ops->stream_write(flight->session->stream, bytes, length);
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

void *talk_session(struct poll *poll)
{
    struct session *session = flight_of(poll)->session;

    assert(session);
    return session->memory;
}

void talk_keep(struct poll *poll)
{
    poll->keep = true;
}

/* ------------------------------------------------------------------ for the engine */

void talk_start(struct flight *flight)
{
    flight->trigger->driver->talk(flight->poll.config, &flight->poll, NULL, 0);
}

void talk_stop(struct flight *flight)
{
    const struct poll *poll = &flight->poll;

    session_unwant(flight);
    if (!flight->query) {
        if (flight->session && poll->end == END_FAILED && !poll->keep)
            session_failed(flight->session, &poll->why);
        leave_session(flight, poll->end == END_VALUE || poll->end == END_MISSING || poll->keep);
    }
    loop_timer_free(flight->timer);
    loop_timer_free(flight->look);
    flight->timer = flight->look = NULL;
}

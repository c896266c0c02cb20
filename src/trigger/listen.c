/*
 * listen: hearing what a source tells by itself (external-push). Each stream is a gRPC call whose answer has no end:
 *
 *     open --> messages ... --> told to the caller, in a turn of its own
 *       ^          | ends well: LISTEN_RETRY_MIN_MS
 *       |__ wait __| breaks, is refused: twice as long as the last time, up to LISTEN_RETRY_MAX_MS; from the start if it had said something
 *                  | the source does not have it, and need not: for good
 *                  | says too much in a second: closed, and opened anew as one that broke and said nothing
 *
 * How many streams there may be is bounded, in all and for a namespace: what comes on top is polled, and tries again.
 *
 * A server sends the head of its answer with the first message, so no head is no failure; connecting has a bound. A peer that is gone without
 * a word is found out by the kernel (HTTP_DEAD_CONNECTION_MS). What a message means is the driver's to say; how many polls come of it the
 * caller bounds.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/time.h"
#include "trigger/grpc.h"
#include "trigger/trigger_internal.h"

enum { LISTEN_STREAMS_MAX = 2 /* of one trigger: external-push has as many */ };

struct ear { /* one stream */
    struct trigger_listening *listening;
    size_t number;
    struct exchange *exchange; /* NULL: not open */
    struct sent *sent;         /* secrets that it was opened with, as long as its answer may repeat them */
    struct timer *again;
    struct text held;
    char place[300];
    int64_t wait_ms; /* before it is opened next, if it breaks */
    uint64_t attempts;
    int64_t second_ticks_ms; /* when the second began in which so much was said: */
    size_t messages, bytes;
    bool heard, given_up, flooded;
    bool counted; /* it has its place among those of the namespace */
    uint32_t allowed;
    struct error why; /* not open, or what it says is no use; kind ERROR_NONE: all is well */
};

struct trigger_listening {
    struct trigger_engine *engine;
    struct trigger *trigger; /* a reference */
    trigger_pushed *pushed;
    void *arg;
    struct timer *tell;
    struct trigger_push push; /* heard and not told yet */
    size_t count;
    struct ear ears[LISTEN_STREAMS_MAX];
};

bool trigger_pushes(const struct trigger *trigger)
{
    return trigger->driver->listen != NULL;
}

/* ------------------------------------------------------------------ how many there may be */

static const char *owner_of(const struct trigger_listening *l)
{
    return l->trigger->share ? l->trigger->share : "";
}

static size_t count_of(const struct trigger_listening *l)
{
    return (size_t)(uintptr_t)map_get(l->engine->listening, owner_of(l));
}

static void set_count(struct trigger_listening *l, size_t count)
{
    if (count > 0)
        map_put(l->engine->listening, owner_of(l), (void *)(uintptr_t)count);
    else
        map_remove(l->engine->listening, owner_of(l));
}

static bool take_place(struct ear *ear)
{
    struct trigger_listening *l = ear->listening;
    struct trigger_engine *engine = l->engine;

    if (ear->counted)
        return true;
    if (!engine->listening)
        engine->listening = map_new();
    if (engine->listening_count >= LISTENING_MAX)
        return error_set(&ear->why, ERROR_LIMIT, "%d sources are listened to already (LISTENING_MAX)", LISTENING_MAX);
    if (count_of(l) >= LISTENING_IN_NAMESPACE_MAX)
        return error_set(&ear->why, ERROR_LIMIT,
                         "%d sources are listened to for namespace %.100s already (LISTENING_IN_NAMESPACE_MAX)",
                         LISTENING_IN_NAMESPACE_MAX, owner_of(l));
    engine->listening_count++;
    set_count(l, count_of(l) + 1);
    return ear->counted = true;
}

static void give_place(struct ear *ear)
{
    if (!ear->counted)
        return;
    ear->listening->engine->listening_count--;
    set_count(ear->listening, count_of(ear->listening) - 1);
    ear->counted = false;
}

/* ------------------------------------------------------------------ what is heard */

static void tell(void *arg)
{
    struct trigger_listening *l = arg;
    struct trigger_push push = l->push;

    l->push = (struct trigger_push){0};
    l->pushed(l->arg, &push);
}

static bool on_message(void *arg, const char *message, size_t length)
{
    struct ear *ear = arg;
    struct trigger_listening *l = ear->listening;
    struct trigger_push push = {0};

    if (!l->trigger->driver->heard(trigger_config(l->trigger), ear->number, message, length, &push))
        return false;
    ear->heard = true;
    ear->messages++;
    ear->why.kind = ERROR_NONE;
    l->push.active |= push.active;
    l->push.changed |= push.changed;
    if (push.active || push.changed)
        loop_timer_set(l->tell, 0);
    return true;
}

/* What one of these streams may say in a second: every message costs the loop some time that is everybody's. */
static size_t messages_max(const struct ear *ear)
{
    size_t streams = count_of(ear->listening);

    return streams > LISTEN_LOUD_STREAMS ? (size_t)LISTEN_MESSAGES_MAX * LISTEN_LOUD_STREAMS / streams
                                         : LISTEN_MESSAGES_MAX;
}

static bool says_too_much(struct ear *ear, size_t length)
{
    int64_t ticks_ms = loop_ticks_ms(ear->listening->engine->loop);

    if (ticks_ms - ear->second_ticks_ms >= SECOND_MS) {
        ear->second_ticks_ms = ticks_ms;
        ear->messages = ear->bytes = 0;
    }
    ear->bytes += length;
    return ear->flooded = ear->messages > messages_max(ear) || ear->bytes > LISTEN_MAX_BYTES;
}

static bool on_bytes(void *arg, const char *bytes, size_t length)
{
    struct ear *ear = arg;

    if (says_too_much(ear, length))
        return error_set(&ear->why, ERROR_LIMIT,
                         "%.200s says more than %zu messages, or %d MiB, in a second (LISTEN_MESSAGES_MAX, "
                         "LISTEN_MAX_BYTES)",
                         ear->place, messages_max(ear), LISTEN_MAX_BYTES >> 20);
    return grpc_take(&ear->held, bytes, length, ear->place, on_message, ear, &ear->why);
}

/* ------------------------------------------------------------------ opened, and opened anew */

/* Between three quarters of the time and all of it. */
static int64_t with_jitter(const struct ear *ear, int64_t wait_ms)
{
    uint64_t seed[] = {trigger_identity(ear->listening->trigger), ear->number, ear->attempts,
                       (uint64_t)loop_ticks_ms(ear->listening->engine->loop)};

    return wait_ms - (int64_t)(hash_bytes(0, seed, sizeof(seed)) % (uint64_t)(wait_ms / 4 + 1));
}

static void wait_and_open(struct ear *ear, bool ended_well)
{
    if (ended_well || (ear->heard && !ear->flooded))
        ear->wait_ms = LISTEN_RETRY_MIN_MS;
    loop_timer_set(ear->again, with_jitter(ear, ear->wait_ms));
    ear->wait_ms = ear->wait_ms * 2 > LISTEN_RETRY_MAX_MS ? LISTEN_RETRY_MAX_MS : ear->wait_ms * 2;
}

/* How it ended; false: ear->why says what was wrong. */
static bool judge_end(struct ear *ear, const struct http_reply *reply, enum grpc_status *status)
{
    if (reply->failed) {
        if (ear->why.kind == ERROR_NONE) /* else we would not take more of it */
            ear->why = reply->error;
        return false;
    }
    if (!grpc_read_status(reply, ear->place, status, &ear->why))
        return false;
    return *status == GRPC_OK || grpc_refusal(reply, ear->place, *status, &ear->why);
}

static void tell_no_secret(struct ear *ear, const struct sent *sent)
{
    redact(&ear->why, ear->listening->trigger->driver, trigger_config(ear->listening->trigger), sent);
}

static void forget_sent(struct ear *ear)
{
    sent_free(ear->sent);
    ear->sent = NULL;
}

static void on_end(void *arg, const struct http_reply *reply)
{
    struct ear *ear = arg;
    enum grpc_status status = GRPC_OK;
    bool well;

    ear->exchange = NULL;
    well = judge_end(ear, reply, &status);
    tell_no_secret(ear, ear->sent);
    forget_sent(ear);
    if (!well && !reply->failed && ear->allowed & (1u << status)) {
        ear->given_up = true;
        ear->why.kind = ERROR_NONE;
        give_place(ear);
        return;
    }
    if (well)
        ear->why.kind = ERROR_NONE;
    wait_and_open(ear, well);
}

/* The request is built as a poll's is, in memory of its own: the transport copies it. */
static struct request *build(struct ear *ear, struct poll *poll)
{
    struct trigger *trigger = ear->listening->trigger;

    *poll = (struct poll){.config = trigger_config_of(trigger), .arena = arena_new(ARENA_USUAL)};
    poll->now_ms = loop_now_ms(ear->listening->engine->loop);
    if (trigger->driver->account_size > 0)
        poll->account = account_of(ear->listening->engine, trigger);
    text_init(&poll->url, HTTP_URL_MAX_BYTES);
    return trigger->driver->listen(poll->config, poll, ear->number);
}

static void build_done(struct poll *poll)
{
    secret_unref(poll->basic);
    poll_forget_sent(poll);
    text_done(&poll->url);
    arena_free(poll->arena);
}

static void send_request(struct ear *ear)
{
    struct transport *transport = ear->listening->engine->transport;
    struct http_request http;
    struct poll poll;
    struct request *request = build(ear, &poll);

    assert(request && !ear->exchange);
    ear->allowed = request->grpc_allowed;
    if (request_finish(request, &http, &ear->why) && url_destination(http.url, ear->place, sizeof(ear->place)) &&
        credential_may_go(ear->listening->trigger->allowed_hosts, ear->place, &ear->why)) {
        http.ns = ear->listening->trigger->ns;
        http.on_body = on_bytes;
        http.uncounted = true; /* it has no end, so it must not take the place of polls */
        http.timeout_ms = HTTP_TIMEOUT_MAX_MS;
        http.connect_timeout_ms = HTTP_TIMEOUT_MS;
        ear->exchange = transport_http(transport, &http, on_end, ear);
        ear->sent = sent_copy(poll.sent);
    } else {
        tell_no_secret(ear, poll.sent);
        wait_and_open(ear, false);
    }
    build_done(&poll);
}

static void open_stream(void *arg)
{
    struct ear *ear = arg;

    text_clear(&ear->held);
    ear->heard = ear->flooded = false;
    ear->messages = ear->bytes = 0;
    ear->attempts++;
    ear->why.kind = ERROR_NONE; /* of the attempt before */
    if (take_place(ear))
        send_request(ear);
    else
        wait_and_open(ear, false);
}

/* ------------------------------------------------------------------ the listening */

static bool has_stream(struct ear *ear)
{
    struct poll poll;
    bool has = build(ear, &poll) != NULL;

    build_done(&poll);
    return has;
}

struct trigger_listening *trigger_listen(struct trigger_engine *engine, struct trigger *trigger, trigger_pushed *pushed,
                                         void *arg)
{
    struct trigger_listening *l;

    if (!trigger_pushes(trigger))
        return NULL;
    l = mem_alloc(sizeof(*l));
    l->engine = engine;
    l->trigger = trigger_ref(trigger);
    l->pushed = pushed;
    l->arg = arg;
    l->tell = loop_timer_new(engine->loop, tell, l);
    while (l->count < LISTEN_STREAMS_MAX) {
        struct ear *ear = &l->ears[l->count];

        *ear = (struct ear){.listening = l, .number = l->count, .wait_ms = LISTEN_RETRY_MIN_MS};
        if (!has_stream(ear))
            break;
        text_init(&ear->held, HTTP_BODY_MAX_BYTES);
        ear->again = loop_timer_new(engine->loop, open_stream, ear);
        loop_timer_set(ear->again, 0);
        l->count++;
    }
    return l;
}

void trigger_listen_stop(struct trigger_listening *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++) {
        if (l->ears[i].exchange)
            transport_http_cancel(l->engine->transport, l->ears[i].exchange);
        forget_sent(&l->ears[i]);
        loop_timer_free(l->ears[i].again);
        text_done(&l->ears[i].held);
        give_place(&l->ears[i]);
    }
    loop_timer_free(l->tell);
    trigger_unref(l->trigger);
    free(l);
}

const struct error *trigger_listen_why(const struct trigger_listening *l)
{
    for (size_t i = 0; l && i < l->count; i++)
        if (!l->ears[i].exchange && l->ears[i].why.kind != ERROR_NONE)
            return &l->ears[i].why;
    return NULL;
}

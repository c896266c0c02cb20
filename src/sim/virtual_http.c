/*
 * virtual_http: exchanges without sockets.
 *
 *     start --gate--> arrive --answerer--> answer after N ms --> done
 *        \___ waits ___/          \___ never, or too late ___ timeout at the deadline --> done
 *
 * One event at a time stands in the heap for each exchange. The deadline counts from the start, waiting at the gate included.
 *
 * An answer without end, once its head is there, has a queue of parts whose times never go back:
 *
 *     answer --> on_body ... --> part --> on_body ... --> the end, a break, or silence for too long --> done
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "sim/virtual_internal.h"

struct answerer {
    virtual_answerer *answer;
    void *arg;
};

enum { PIECE_MAX_BYTES = 4096 }; /* a piece may be as small as a byte: readers of answers without end must not care */

enum part_kind { PART_BYTES, PART_END, PART_BREAK };
struct part {
    struct part *next;
    int64_t at_ms;
    enum part_kind kind;
    size_t length;
    char bytes[];
};

struct exchange {
    struct event event;
    struct gate_ticket ticket;
    struct virtual_world *world;
    struct exchange *previous, *next;
    struct http_call *call;
    int64_t started_ms, deadline_ms;
    http_done *done;
    void *arg;
    struct http_reply reply; /* its texts are in answer */
    char *answer;
    /* an answer without end */
    struct virtual_body **open; /* the answerer's; the body is the exchange, seen from there */
    struct part *first, *last;
    int64_t heard_ms;
    bool flows; /* its head is here */
    bool calling, cancelled;
};

static void arrive(struct event *event);

/* ---- who answers ---- */
static void note_length(struct virtual_world *world, size_t length)
{
    size_t i = 0;

    while (i < world->prefix_length_count && world->prefix_lengths[i] > length)
        i++;
    if (i < world->prefix_length_count && world->prefix_lengths[i] == length)
        return;
    world->prefix_lengths =
        mem_grow(world->prefix_lengths, world->prefix_length_count + 1, sizeof *world->prefix_lengths);
    memmove(&world->prefix_lengths[i + 1], &world->prefix_lengths[i],
            (world->prefix_length_count - i) * sizeof *world->prefix_lengths);
    world->prefix_lengths[i] = length;
    world->prefix_length_count++;
}

void virtual_answer(struct virtual_world *world, const char *url_prefix, virtual_answerer *answer, void *arg)
{
    struct answerer *entry;

    if (!answer) {
        free(map_remove(world->answerers, url_prefix));
        return;
    }
    entry = mem_alloc(sizeof *entry);
    entry->answer = answer;
    entry->arg = arg;
    free(map_put(world->answerers, url_prefix, entry));
    note_length(world, strlen(url_prefix));
}

static const struct answerer *find_answerer(const struct virtual_world *world, const char *url)
{
    size_t length = strlen(url);

    for (size_t i = 0; i < world->prefix_length_count; i++) {
        const struct answerer *found;

        if (world->prefix_lengths[i] > length)
            continue;
        found = map_get_n(world->answerers, url, world->prefix_lengths[i]);
        if (found)
            return found;
    }
    return NULL;
}

/* ---- life of an exchange ---- */
static void enter_list(struct exchange *exchange)
{
    struct virtual_world *world = exchange->world;

    exchange->next = world->exchanges;
    if (world->exchanges)
        world->exchanges->previous = exchange;
    world->exchanges = exchange;
    world->exchange_count++;
}

/* Out of everything; the callback, if any, comes after and finds a free place. */
static void leave_all(struct exchange *exchange)
{
    struct virtual_world *world = exchange->world;

    if (exchange->open)
        *exchange->open = NULL;
    exchange->open = NULL;
    event_clear(world, &exchange->event);
    if (exchange->ticket.lane)
        gate_leave(world->gate, &exchange->ticket);
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        world->exchanges = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    world->exchange_count--;
}

static void free_exchange(struct exchange *exchange)
{
    while (exchange->first) {
        struct part *gone = exchange->first;

        exchange->first = gone->next;
        free(gone);
    }
    http_call_free(exchange->call);
    free(exchange->answer);
    free(exchange);
}

static void complete(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);

    leave_all(exchange);
    exchange->reply.took_ms = exchange->world->ticks_ms - exchange->started_ms;
    exchange->done(exchange->arg, &exchange->reply);
    free_exchange(exchange);
}

static void time_out(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);

    exchange->reply = (struct http_reply){.failed = true};
    failure_timeout(&exchange->reply.error, exchange->call->place,
                    exchange->ticket.waiting ? PHASE_QUEUED : PHASE_WAITING, exchange->call->request.timeout_ms);
    complete(event);
}

static void admit(void *arg, struct gate_ticket *ticket)
{
    struct exchange *exchange = owner_of(ticket, struct exchange, ticket);

    (void)arg;
    event_after(exchange->world, &exchange->event, 0, arrive);
}

/* ---- the answer ---- */
static size_t answer_size(const struct virtual_reply *reply)
{
    size_t size = (reply->header_count + 1) * sizeof(struct http_header) + reply->length + 1;

    for (size_t i = 0; i < reply->header_count; i++)
        size += strlen(reply->headers[i].name) + strlen(reply->headers[i].value) + 2;
    return size + (reply->content_type ? strlen(reply->content_type) + 1 : 0);
}

static char *put(char **place, const char *bytes, size_t length)
{
    char *copy = *place;

    assert(bytes || length == 0);
    if (length)
        memcpy(copy, bytes, length);
    copy[length] = 0;
    *place += length + 1;
    return copy;
}

static const char *put_lower(char **place, const char *string)
{
    char *copy = put(place, string, strlen(string));

    for (char *c = copy; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    return copy;
}

static void keep_answer(struct exchange *exchange, const struct virtual_reply *reply)
{
    struct http_header *headers;
    size_t count = 0;
    char *place;

    exchange->answer = mem_alloc(answer_size(reply));
    headers = (struct http_header *)(void *)exchange->answer;
    place = (char *)(headers + reply->header_count + 1);
    if (reply->content_type)
        headers[count++] = (struct http_header){.name = "content-type",
                                                .value = put(&place, reply->content_type, strlen(reply->content_type))};
    for (size_t i = 0; i < reply->header_count; i++) {
        headers[count].name = put_lower(&place, reply->headers[i].name);
        headers[count++].value = put(&place, reply->headers[i].value, strlen(reply->headers[i].value));
    }
    exchange->reply = (struct http_reply){.status = reply->status,
                                          .body = put(&place, reply->body, reply->length),
                                          .body_length = reply->length,
                                          .headers = headers,
                                          .header_count = count};
}

static void fail(struct exchange *exchange)
{
    exchange->reply.failed = true;
    complete(&exchange->event);
}

/* ---- an answer without end ---- */
/* False: the exchange is gone. */
static bool hand_over(struct exchange *exchange, const char *bytes, size_t length)
{
    const struct http_request *request = &exchange->call->request;
    bool more = true;

    exchange->heard_ms = exchange->world->ticks_ms;
    exchange->calling = true;
    while (length > 0 && more && !exchange->cancelled) {
        size_t piece = 1 + virtual_random(exchange->world) % (length < PIECE_MAX_BYTES ? length : PIECE_MAX_BYTES);

        more = request->on_body(exchange->arg, bytes, piece);
        bytes += piece;
        length -= piece;
    }
    exchange->calling = false;
    if (exchange->cancelled) {
        free_exchange(exchange);
        return false;
    }
    if (more)
        return true;
    failure_not_taken(&exchange->reply.error, exchange->call->place);
    fail(exchange);
    return false;
}

static void fall_silent(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);

    failure_idle(&exchange->reply.error, exchange->call->place, exchange->call->request.idle_timeout_ms);
    fail(exchange);
}

static void part_arrives(struct event *event);

static void wait_for_part(struct exchange *exchange)
{
    int64_t idle_ms = exchange->call->request.idle_timeout_ms;
    int64_t silent_at_ms = idle_ms > 0 ? exchange->heard_ms + idle_ms : INT64_MAX;

    if (exchange->first && exchange->first->at_ms < silent_at_ms)
        event_at(exchange->world, &exchange->event, exchange->first->at_ms, part_arrives);
    else if (idle_ms > 0)
        event_at(exchange->world, &exchange->event, silent_at_ms, fall_silent);
}

static void part_arrives(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);
    struct part *part = exchange->first;

    exchange->first = part->next;
    if (!exchange->first)
        exchange->last = NULL;
    if (part->kind == PART_BREAK) {
        failure_broken(&exchange->reply.error, exchange->call->place);
        fail(exchange);
    } else if (part->kind == PART_END) {
        complete(event);
    } else if (hand_over(exchange, part->bytes, part->length)) {
        wait_for_part(exchange);
    }
    free(part);
}

static void flow(struct exchange *exchange)
{
    const char *bytes = exchange->reply.body;
    size_t length = exchange->reply.body_length;

    exchange->flows = true;
    exchange->reply.body = "";
    exchange->reply.body_length = 0;
    if (!hand_over(exchange, bytes, length))
        return;
    if (exchange->open)
        wait_for_part(exchange);
    else
        complete(&exchange->event);
}

static void say(struct virtual_body *body, const void *bytes, size_t length, int64_t after_ms, enum part_kind kind)
{
    struct exchange *exchange = (struct exchange *)(void *)body;
    struct part *part;

    if (!exchange)
        return;
    part = mem_alloc(sizeof *part + length);
    part->at_ms = exchange->world->ticks_ms + (after_ms > 0 ? after_ms : 0);
    if (exchange->last && exchange->last->at_ms > part->at_ms)
        part->at_ms = exchange->last->at_ms;
    part->kind = kind;
    part->length = length;
    if (length)
        memcpy(part->bytes, bytes, length);
    if (exchange->last)
        exchange->last->next = part;
    else
        exchange->first = part;
    exchange->last = part;
    if (exchange->flows && !exchange->calling)
        wait_for_part(exchange);
}

void virtual_body_say(struct virtual_body *body, const void *bytes, size_t length, int64_t after_ms)
{
    if (length > 0)
        say(body, bytes, length, after_ms, PART_BYTES);
}

void virtual_body_end(struct virtual_body *body, int64_t after_ms)
{
    say(body, NULL, 0, after_ms, PART_END);
}

void virtual_body_break(struct virtual_body *body, int64_t after_ms)
{
    say(body, NULL, 0, after_ms, PART_BREAK);
}

/* ---- the answer is complete, or its head is there ---- */
static bool goes_to_reader(const struct exchange *exchange, int status)
{
    return exchange->call->request.on_body && status / 100 == 2;
}

static void enter_gate(struct exchange *exchange)
{
    struct virtual_world *world = exchange->world;

    if (exchange->call->request.uncounted || gate_enter(world->gate, &exchange->ticket, exchange->call->place))
        event_after(world, &exchange->event, 0, arrive);
    else
        event_at(world, &exchange->event, exchange->deadline_ms, time_out);
}

/* The answer is here: it may be a redirect, which is asked at once with what is left of the time. */
static void answered(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);
    const char *location = http_reply_header(&exchange->reply, "location");
    struct http_call *next;

    if (goes_to_reader(exchange, exchange->reply.status)) {
        flow(exchange);
        return;
    }
    if (exchange->call->request.no_redirects || !location || !http_status_redirects(exchange->reply.status)) {
        complete(event);
        return;
    }
    next = http_call_redirected(exchange->call, exchange->reply.status, location, &exchange->reply.error);
    free(exchange->answer);
    exchange->answer = NULL;
    exchange->reply = (struct http_reply){.error = exchange->reply.error};
    if (!next) {
        fail(exchange);
        return;
    }
    http_call_free(exchange->call);
    exchange->call = next;
    if (exchange->ticket.lane)
        gate_leave(exchange->world->gate, &exchange->ticket);
    enter_gate(exchange);
}

/* An answer that goes on is complete for nobody but a reader. */
static bool comes_in_time(const struct exchange *exchange, const struct virtual_reply *reply)
{
    return !reply->never && reply->after_ms < exchange->deadline_ms - exchange->world->ticks_ms &&
           (!reply->open || goes_to_reader(exchange, reply->status));
}

static void arrive(struct event *event)
{
    struct exchange *exchange = owner_of(event, struct exchange, event);
    struct virtual_world *world = exchange->world;
    const struct answerer *answerer = find_answerer(world, exchange->call->request.url);
    struct virtual_reply reply = {.status = 200};
    int64_t left_ms = exchange->deadline_ms - world->ticks_ms;

    if (answerer)
        answerer->answer(answerer->arg, &exchange->call->request, &reply);
    if (!answerer || reply.refused) {
        failure_refused(&exchange->reply.error, exchange->call->place);
        exchange->reply.failed = true;
        event_after(world, event, reply.after_ms < left_ms ? reply.after_ms : left_ms, complete);
        return;
    }
    if (!comes_in_time(exchange, &reply)) {
        event_at(world, event, exchange->deadline_ms, time_out);
        return;
    }
    if (reply.body && reply.length == 0)
        reply.length = strlen(reply.body);
    if (reply.length > exchange->call->request.body_max_bytes && !goes_to_reader(exchange, reply.status)) {
        failure_body_limit(&exchange->reply.error, exchange->call->place, &exchange->call->request);
        exchange->reply.failed = true;
        event_after(world, event, reply.after_ms, complete);
        return;
    }
    keep_answer(exchange, &reply);
    exchange->open = reply.open;
    if (reply.open)
        *reply.open = (struct virtual_body *)(void *)exchange;
    if (reply.after_ms <= 0)
        answered(event); /* this is a turn of its own already */
    else
        event_after(world, event, reply.after_ms, answered);
}

struct exchange *virtual_http(struct transport *transport, const struct http_request *request, http_done *done,
                              void *arg)
{
    struct virtual_world *world = owner_of(transport, struct virtual_transport, transport)->world;
    struct exchange *exchange = mem_alloc(sizeof *exchange);

    exchange->world = world;
    exchange->done = done;
    exchange->arg = arg;
    exchange->started_ms = world->ticks_ms;
    exchange->call = http_call_new(request, &exchange->reply.error);
    enter_list(exchange);
    if (!exchange->call) {
        exchange->reply.failed = true;
        event_after(world, &exchange->event, 0, complete);
        return exchange;
    }
    exchange->deadline_ms = exchange->started_ms + exchange->call->request.timeout_ms;
    enter_gate(exchange);
    return exchange;
}

void virtual_http_cancel(struct exchange *exchange)
{
    leave_all(exchange);
    exchange->cancelled = true;
    if (!exchange->calling)
        free_exchange(exchange);
}

void virtual_http_init(struct virtual_world *world)
{
    world->gate = gate_new(POLLS_IN_FLIGHT_MAX, POLLS_PER_DESTINATION_MAX, admit, world);
    world->answerers = map_new();
}

void virtual_http_cancel_all(struct virtual_world *world)
{
    while (world->exchanges)
        virtual_http_cancel(world->exchanges);
}

void virtual_http_done(struct virtual_world *world)
{
    const char *key;
    void *value;

    assert(!world->exchanges);
    for (size_t i = 0; map_next(world->answerers, &i, &key, &value);)
        free(value);
    map_free(world->answerers);
    free(world->prefix_lengths);
    gate_free(world->gate);
}

/*
 * http: the life of an exchange.
 *
 *     ask --gate--> on the wire --> ended --> done
 *      |  \ waits ___/    ^           |
 *      |   \ deadline     |_ redirect_|
 *      \__ known to fail (a URL, a key): told by the next kick
 *
 * Who waits at the gate presses after a third of its time: then more connections are opened to a server that is slow, not ill.
 *
 * An exchange is in exactly one of these places, and whatever happens leaves it through take_out(). The deadline is of the whole
 * exchange: waiting at the gate and redirects included. On the wire the library watches over it; only one that waits has
 * a timer of its own.
 *
 * An answer without end (on_body) has such a timer on the wire too: first for the head, then for silence. Its bytes are handed
 * over from inside the library, so that nothing is kept of them; what their reader asks and cancels there waits until the
 * library is through (http_curl.c).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "net/http_internal.h"

enum { REPLY_HEADERS_MAX = 1000 }; /* more of them in one answer are not read; usual are 5 to 20 */

/* ---- in and out ---- */
static void enter_list(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    exchange->next = client->exchanges;
    if (client->exchanges)
        client->exchanges->previous = exchange;
    client->exchanges = exchange;
    client->options.stats->exchanges_now++;
}

static void leave_failing(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    struct exchange *previous = NULL;

    for (struct exchange *e = client->failing; e; previous = e, e = e->next_failing) {
        if (e != exchange)
            continue;
        if (previous)
            previous->next_failing = e->next_failing;
        else
            client->failing = e->next_failing;
        if (client->last_failing == e)
            client->last_failing = previous;
        break;
    }
    exchange->failing = false;
}

/* Out of the gate and out of all lists. */
static void leave_lists(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    if (exchange->failing)
        leave_failing(exchange);
    loop_timer_free(exchange->patience);
    exchange->patience = NULL;
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        client->exchanges = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    client->options.stats->exchanges_now--;
    if (exchange->ticket.lane)
        gate_leave(client->gate, &exchange->ticket);
}

/* And off the wire. The slot stays: it holds the answer. */
static void take_out(struct exchange *exchange)
{
    if (exchange->slot)
        http_curl_stop(exchange);
    leave_lists(exchange);
}

static void free_exchange(struct exchange *exchange)
{
    if (exchange->slot)
        http_slot_free(exchange->slot);
    tls_profile_unref(exchange->profile);
    http_call_free(exchange->call);
    free(exchange);
}

void http_exchange_fail_later(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    exchange->failing = true;
    exchange->next_failing = NULL;
    if (client->last_failing && client->failing)
        client->last_failing->next_failing = exchange;
    else
        client->failing = exchange;
    client->last_failing = exchange;
    http_client_kick(client);
}

static void finish(struct exchange *exchange, struct http_reply *reply)
{
    struct http_client *client = exchange->client;

    take_out(exchange);
    reply->took_ms = loop_ticks_ms(client->options.loop) - exchange->started_ms;
    if (reply->failed)
        client->options.stats->failures++;
    exchange->done(exchange->arg, reply);
    free_exchange(exchange);
}

static void finish_failed(struct exchange *exchange)
{
    struct http_reply reply = {.failed = true, .error = exchange->error};

    finish(exchange, &reply);
}

void http_client_tell_failing(struct http_client *client)
{
    while (client->failing)
        finish_failed(client->failing); /* take_out removes it from the list */
}

/* ---- the gate ---- */
static void run_out_of_patience(void *arg)
{
    struct exchange *exchange = arg;
    int64_t left_ms = exchange->deadline_ms - loop_ticks_ms(exchange->client->options.loop);

    if (left_ms > 0) {
        loop_timer_set(exchange->patience, left_ms);
        gate_press(exchange->client->gate, &exchange->ticket);
        return;
    }
    failure_timeout(&exchange->error, exchange->call->place, PHASE_QUEUED, exchange->call->request.timeout_ms);
    finish_failed(exchange);
}

/* An answer without end is on the wire, and its head is late, or nothing was heard for some time. */
static void on_silence(void *arg)
{
    struct exchange *exchange = arg;
    const struct http_request *request = &exchange->call->request;
    int64_t quiet_ms = loop_ticks_ms(exchange->client->options.loop) - exchange->heard_ms;

    if (exchange->flows && quiet_ms < request->idle_timeout_ms) {
        loop_timer_set(exchange->patience, request->idle_timeout_ms - quiet_ms);
        return;
    }
    if (exchange->flows)
        failure_idle(&exchange->error, exchange->call->place, request->idle_timeout_ms);
    else
        failure_timeout(&exchange->error, exchange->call->place, http_phase(exchange->slot), request->timeout_ms);
    finish_failed(exchange);
}

static void go(struct exchange *exchange)
{
    struct loop *loop = exchange->client->options.loop;
    int64_t left_ms = exchange->deadline_ms - loop_ticks_ms(loop);

    loop_timer_free(exchange->patience);
    exchange->patience = NULL;
    if (left_ms > 0) {
        if (exchange->call->request.on_body) {
            exchange->patience = loop_timer_new(loop, on_silence, exchange);
            loop_timer_set(exchange->patience, left_ms);
        }
        http_curl_start(exchange, left_ms);
        return;
    }
    failure_timeout(&exchange->error, exchange->call->place, PHASE_QUEUED, exchange->call->request.timeout_ms);
    http_exchange_fail_later(exchange);
}

static void on_admit(void *arg, struct gate_ticket *ticket)
{
    (void)arg;
    go(owner_of(ticket, struct exchange, ticket));
}

/* ---- egress rules ---- */
static struct egress_caller caller_of(const struct http_call *call)
{
    return (struct egress_caller){.ns = call->request.ns, .host = call->host, .port = call->port};
}

/* http+unix never comes from a manifest. */
static bool is_free(const struct http_call *call)
{
    return call->request.trusted || strcmp(call->scheme, "http+unix") == 0;
}

bool http_egress_allows(const struct exchange *exchange, const struct sockaddr *address, const char **why)
{
    struct egress_caller caller = caller_of(exchange->call);
    const struct egress *rules = exchange->client->options.egress;

    if (!is_free(exchange->call))
        return egress_allows(rules, &caller, address, why);
    egress_learn_server(rules, &caller, address);
    return true;
}

bool http_egress_allows_again(const struct exchange *exchange, const char *address, int port, const char **why)
{
    struct egress_caller caller = caller_of(exchange->call);

    return is_free(exchange->call) || egress_allows_text(exchange->client->options.egress, &caller, address, port, why);
}

/* An address written in the URL: a proxy would connect to it for us, where the check at connect time does not reach. */
static bool egress_refuses_call(const struct http_client *client, const struct http_call *call, struct error *err)
{
    struct egress_caller caller = caller_of(call);
    const char *why;

    if (is_free(call) || egress_allows_host(client->options.egress, &caller, &why))
        return false;
    failure_egress(err, call->place, why);
    return true;
}

static void enter_gate(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    int64_t left_ms;

    if (egress_refuses_call(client, exchange->call, &exchange->error)) {
        http_exchange_fail_later(exchange);
        return;
    }
    if (exchange->call->request.uncounted || gate_enter(client->gate, &exchange->ticket, exchange->call->place)) {
        go(exchange);
        return;
    }
    client->options.stats->queued++;
    exchange->patience = loop_timer_new(client->options.loop, run_out_of_patience, exchange);
    left_ms = exchange->deadline_ms - loop_ticks_ms(client->options.loop);
    loop_timer_set(exchange->patience, left_ms > 0 ? (left_ms + QUEUE_PATIENCE_SHARE - 1) / QUEUE_PATIENCE_SHARE : 0);
    if (exchange->call->request.http2) /* all of them have one connection */
        gate_press(client->gate, &exchange->ticket);
}

/* ---- the answer ---- */
static void add_header(struct http_slot *slot, size_t *count, char *name, char *colon, char *end)
{
    char *value = colon + 1;

    for (char *c = name; c < colon; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    *colon = 0;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    *end = 0;
    if (*count >= slot->headers_room) {
        slot->headers_room = slot->headers_room ? 2 * slot->headers_room : 16;
        slot->headers = mem_grow(slot->headers, slot->headers_room, sizeof *slot->headers);
    }
    slot->headers[(*count)++] = (struct http_header){.name = name, .value = value};
}

/* Splits the lines where they stand. */
static size_t read_head(struct http_slot *slot)
{
    char *line = slot->head.bytes, *last = line + slot->head.length;
    size_t count = 0;

    while (line < last && count < REPLY_HEADERS_MAX) {
        char *end = memchr(line, '\n', (size_t)(last - line));
        char *colon;

        if (!end)
            end = last;
        colon = memchr(line, ':', (size_t)(end - line));
        if (colon)
            add_header(slot, &count, line, colon, end);
        line = end + 1;
    }
    return count;
}

static void follow(struct exchange *exchange, int status, const char *location)
{
    struct http_client *client = exchange->client;
    struct http_call *next = http_call_redirected(exchange->call, status, location, &exchange->error);
    struct tls_profile *profile = NULL;

    if (!next || !tls_profile_get(client->options.tls, next->request.tls, &profile, &exchange->error)) {
        http_call_free(next);
        finish_failed(exchange);
        return;
    }
    http_curl_stop(exchange);
    http_slot_free(exchange->slot);
    exchange->slot = NULL;
    loop_timer_free(exchange->patience);
    exchange->patience = NULL;
    http_call_free(exchange->call);
    tls_profile_unref(exchange->profile);
    exchange->call = next;
    exchange->profile = profile;
    if (exchange->ticket.lane)
        gate_leave(client->gate, &exchange->ticket);
    enter_gate(exchange);
}

/* ---- an answer without end ---- */
void http_exchange_begins(struct exchange *exchange)
{
    int64_t idle_ms = exchange->call->request.idle_timeout_ms;

    exchange->flows = true;
    exchange->heard_ms = loop_ticks_ms(exchange->client->options.loop);
    if (idle_ms > 0)
        loop_timer_set(exchange->patience, idle_ms);
    else
        loop_timer_stop(exchange->patience);
}

/* False: no more of it, because the reader says so or has cancelled. */
bool http_exchange_hears(struct exchange *exchange, const char *bytes, size_t length)
{
    exchange->heard_ms = loop_ticks_ms(exchange->client->options.loop);
    if (!exchange->call->request.on_body(exchange->arg, bytes, length))
        exchange->slot->not_taken = true;
    return !exchange->slot->not_taken && !exchange->cancelled;
}

void http_client_free_cancelled(struct http_client *client)
{
    while (client->cancelled) {
        struct exchange *exchange = client->cancelled;

        client->cancelled = exchange->next_later;
        http_curl_stop(exchange);
        free_exchange(exchange);
    }
}

static void begin_anew(struct exchange *exchange)
{
    http_curl_stop(exchange);
    http_slot_free(exchange->slot);
    exchange->slot = NULL;
    go(exchange);
}

void http_exchange_ended(struct exchange *exchange, CURLcode result)
{
    struct http_slot *slot = exchange->slot;
    struct http_reply reply = {0};
    const char *location;
    long status = 0;

    exchange->ended = true;
    if (result != CURLE_OK && http_curl_lacks_connection(exchange)) {
        if (http_curl_begins_anew(exchange))
            begin_anew(exchange);
        else
            finish_failed(exchange);
        return;
    }
    if (result != CURLE_OK) {
        http_explain(slot, result, &exchange->error);
        http_curl_note_lost(exchange);
        finish_failed(exchange);
        return;
    }
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    reply.status = (int)status;
    reply.header_count = read_head(slot);
    reply.headers = slot->headers;
    reply.body = slot->body.bytes;
    reply.body_length = slot->body.length;
    location = http_status_redirects((int)status) ? http_reply_header(&reply, "location") : NULL;
    if (location && !exchange->call->request.no_redirects)
        follow(exchange, (int)status, location);
    else
        finish(exchange, &reply);
}

/* ---- the client ---- */
struct exchange *http_client_ask(struct http_client *client, const struct http_request *request, http_done *done,
                                 void *arg)
{
    struct exchange *exchange = mem_alloc(sizeof *exchange);

    assert(done);
    exchange->client = client;
    exchange->done = done;
    exchange->arg = arg;
    exchange->started_ms = loop_ticks_ms(client->options.loop);
    enter_list(exchange);
    client->options.stats->exchanges++;
    exchange->call = http_call_new(request, &exchange->error);
    if (!exchange->call || !tls_profile_get(client->options.tls, request->tls, &exchange->profile, &exchange->error)) {
        http_exchange_fail_later(exchange);
        return exchange;
    }
    exchange->deadline_ms = exchange->started_ms + exchange->call->request.timeout_ms;
    enter_gate(exchange);
    return exchange;
}

void http_client_cancel(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    assert(!exchange->cancelled);
    if (!exchange->slot || !http_curl_is_busy(exchange)) {
        take_out(exchange);
        free_exchange(exchange);
        return;
    }
    leave_lists(exchange);
    exchange->cancelled = true;
    exchange->next_later = client->cancelled;
    client->cancelled = exchange;
}

bool http_client_new(const struct http_client_options *options, struct http_client **out, struct error *err)
{
    struct http_client *client = mem_alloc(sizeof *client);

    client->options = *options;
    client->gate = gate_new(POLLS_IN_FLIGHT_MAX, POLLS_PER_DESTINATION_MAX, on_admit, client);
    gate_hold_back(client->gate, POLLS_PER_DESTINATION_USUAL);
    if (!http_curl_open(client, err)) {
        http_client_free(client);
        return false;
    }
    *out = client;
    return true;
}

/* Those that wait go first, so that nothing is admitted only to be stopped. */
static void cancel_all(struct http_client *client)
{
    for (struct exchange *e = client->exchanges, *next; e; e = next) {
        next = e->next;
        if (e->ticket.waiting || e->failing)
            http_client_cancel(e);
    }
    while (client->exchanges)
        http_client_cancel(client->exchanges);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    cancel_all(client);
    http_curl_close(client);
    gate_free(client->gate);
    free(client);
}

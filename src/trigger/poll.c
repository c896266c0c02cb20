/*
 * poll: asking over HTTP. A driver's step builds a request and names the step that gets the answer; this file sends it, and
 * shows the step only answers that are in order.
 *
 *     step -> request_get ... poll_send(then) -> transport -> on_http -> judged: status, size, JSON -> then(reply) -> ...
 *
 * What is not in order ends the poll as failed, in words that name the host and the cause, never the query's secrets. A
 * connection that broke and a 5xx are tried once more if at least half of the time is left. A source that asks us to wait
 * (429 or 503 with Retry-After) is left alone so long, by all triggers that go there with the same credential: what one tenant has
 * used up, others may still have.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/tree.h"
#include "trigger/common/form.h"
#include "trigger/grpc.h"
#include "trigger/trigger_internal.h"

/* For a token before a request: asking twice, in both ways there are, and the least time between (CREDENTIAL_REFRESH_MIN_MS). */
enum { TOKEN_WAIT_MS = 2 * HTTP_TIMEOUT_MS + CREDENTIAL_REFRESH_MIN_MS + 1000 };

/* ------------------------------------------------------------------ building a request */

/* The URL of the request begun before moves out of the shared buffer. */
static void freeze(struct poll *poll)
{
    struct request *request = poll->building;

    poll->building = NULL;
    if (!request)
        return;
    request->bad |= poll->url.overflowed;
    request->url = arena_copy_bytes(poll->arena, poll->url.bytes, poll->url.length);
}

static struct request *begin_request(struct poll *poll, const char *method, const char *base, const char *path)
{
    struct request *request = arena_alloc(poll->arena, sizeof(*request));
    size_t length = strcspn(base, "#");

    freeze(poll);
    text_clear(&poll->url);
    poll->building = request;
    request->poll = poll;
    request->method = method;
    request->status_from = 200;
    request->status_to = 299;
    while (*path == '/' && length > 0 && base[length - 1] == '/')
        length--;
    text_append(&poll->url, base, length);
    text_add(&poll->url, path);
    request->has_query = strchr(poll->url.bytes, '?') != NULL;
    return request;
}

struct request *request_get(struct poll *poll, const char *base, const char *path)
{
    return begin_request(poll, "GET", base, path);
}

struct request *request_post(struct poll *poll, const char *base, const char *path)
{
    return begin_request(poll, "POST", base, path);
}

struct request *request_head(struct poll *poll, const char *base, const char *path)
{
    return begin_request(poll, "HEAD", base, path);
}

/* A query may hold ':', and times stay readable in logs of the source. */
static void url_escape(struct text *url, const char *value)
{
    form_add_but(url, value, ":");
}

static struct text *open_url(struct request *request)
{
    assert(request->poll->building == request);
    return &request->poll->url;
}

void request_query(struct request *request, const char *name, const char *value)
{
    struct text *url = open_url(request);

    if (!value)
        return;
    text_add_char(url, request->has_query ? '&' : '?');
    request->has_query = true;
    url_escape(url, name);
    text_add_char(url, '=');
    url_escape(url, value);
}

void request_query_map(struct request *request, const struct param_map *map)
{
    for (size_t i = 0; map && i < map->count; i++)
        request_query(request, map->pairs[i].key, map->pairs[i].value);
}

/* Takes name=... out of the URL's query. */
static void drop_parameter(struct request *request, const char *name)
{
    struct text *url = open_url(request);
    char *rest = strchr(url->bytes, '?'), *copy, *save = NULL;
    size_t name_length = strlen(name);

    if (!rest)
        return;
    copy = arena_copy(request->poll->arena, rest + 1);
    url->length = (size_t)(rest - url->bytes);
    url->bytes[url->length] = '\0';
    request->has_query = false;
    for (char *piece = strtok_r(copy, "&", &save); piece; piece = strtok_r(NULL, "&", &save)) {
        if (strncmp(piece, name, name_length) == 0 && (piece[name_length] == '=' || piece[name_length] == '\0'))
            continue;
        text_printf(url, "%c%s", request->has_query ? '&' : '?', piece);
        request->has_query = true;
    }
}

static uint64_t hash_with_secret(uint64_t hash, const struct secret *secret)
{
    uint64_t print = secret_fingerprint(secret);

    return hash_bytes(hash, &print, sizeof(print));
}

void request_query_secret(struct request *request, const char *name, const struct secret *value)
{
    drop_parameter(request, name);
    request_query(request, name, secret_reveal(value));
    request->asker = hash_with_secret(request->asker, value);
    if (value)
        poll_note_sent(request->poll, value);
}

/* Names and values are looked at by the transport, which says in its own words what cannot be sent. */
static void add_header(struct request *request, const char *name, const char *value, const struct secret *secret)
{
    if (request->header_count == REQUEST_HEADERS_MAX)
        request->bad = true;
    else
        request->headers[request->header_count++] = (struct http_header){name, value, secret};
}

void request_header(struct request *request, const char *name, const char *value)
{
    if (value)
        add_header(request, name, value, NULL);
}

void request_header_secret(struct request *request, const char *name, const char *prefix, const struct secret *value)
{
    if (!value)
        return;
    add_header(request, name, prefix, value);
    poll_note_sent(request->poll, value);
}

void request_headers(struct request *request, const struct param_map *map)
{
    for (size_t i = 0; map && i < map->count; i++)
        request_header(request, map->pairs[i].key, map->pairs[i].value);
}

void request_body(struct request *request, const char *content_type, const void *bytes, size_t length)
{
    request_header(request, "Content-Type", content_type);
    request->body = bytes;
    request->body_length = length;
}

void request_raw(struct request *request)
{
    request->raw = true;
}

void request_secret(struct request *request)
{
    request->secret = true;
}

void request_status(struct request *request, int from, int to)
{
    request->status_from = from;
    request->status_to = to;
}

/* Cut here as by the transport: a deadline is a sum. */
void request_timeout(struct request *request, int64_t ms)
{
    request->timeout_ms = ms < HTTP_TIMEOUT_MAX_MS ? ms : HTTP_TIMEOUT_MAX_MS;
}

/* ------------------------------------------------------------------ judging an answer */

void snippet_write(const char *bytes, size_t length, char *out, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < length && used + 4 < size; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c <= ' ' && (used == 0 || out[used - 1] == ' '))
            continue;
        out[used++] = (char)(c <= ' ' ? ' ' : c == 0x7f ? '?' : c);
    }
    used = utf8_valid_prefix(out, used);
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

const char *reply_header(const struct reply *reply, const char *lower_case_name)
{
    const struct http_reply like = {.headers = reply->headers, .header_count = reply->header_count};

    return http_reply_header(&like, lower_case_name);
}

static void destination_of(const struct request *request, char *out, size_t size)
{
    if (!url_destination(request->url, out, size))
        snprintf(out, size, "the address");
}

/* "name:password@" of an address. */
static size_t userinfo_of(const char *url, const char **out)
{
    const char *begin = strstr(url, "://"), *at = begin ? memrchr(begin + 3, '@', strcspn(begin + 3, "/?#")) : NULL;

    *out = at ? begin + 3 : "";
    return at ? (size_t)(at - *out) : 0;
}

/* As whom we come: what of the request is a credential, or names a tenant. Headers do, but for the one that says what we know already. */
static uint64_t asker_of(const struct request *request)
{
    const struct http_auth *oauth = request->oauth;
    uint64_t hash = request->asker;
    const char *user;
    size_t length = userinfo_of(request->url, &user);

    hash = hash_bytes(hash, user, length);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];

        if (strcasecmp(header->name, "If-None-Match") == 0)
            continue;
        hash = hash_string(hash_string(hash, header->name), header->value);
        if (header->secret)
            hash = hash_with_secret(hash, header->secret);
    }
    if (request->has_tls && request->tls.certificate_pem)
        hash = hash_string(hash, request->tls.certificate_pem);
    if (oauth)
        hash =
            hash_with_secret(hash_string(hash_string(hash, oauth->token_url), oauth->client_id), oauth->client_secret);
    return hash;
}

/* Of Retry-After: seconds, or a date; -1: none. */
static int64_t retry_after_ms(const struct http_reply *reply, int64_t now_ms)
{
    const char *value = http_reply_header(reply, "retry-after");
    struct tm when = {0};

    if (!value)
        return -1;
    if (*value >= '0' && *value <= '9')
        return (int64_t)(strtoul(value, NULL, 10) % 100000) * 1000;
    if (!strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &when))
        return -1;
    return (int64_t)timegm(&when) * 1000 - now_ms;
}

static bool refused_status(struct asked *asked, const struct http_reply *reply, struct error *err)
{
    struct trigger_engine *engine = flight_of(asked->poll)->engine;
    int64_t wait_ms = retry_after_ms(reply, asked->poll->now_ms);
    char host[300], words[100];

    destination_of(asked->request, host, sizeof(host));
    snippet_write(reply->body, asked->request->secret && reply->status < 400 ? 0 : reply->body_length, words,
                  sizeof(words));
    if ((reply->status == 429 || reply->status == 503) && wait_ms > 0) {
        backoff_set(engine, host, asker_of(asked->request), wait_ms);
        return error_set(err, ERROR_UNREACHABLE, "%s answered %d and asks to wait %lld s", host, reply->status,
                         (long long)(wait_ms + 999) / 1000);
    }
    if (reply->status == 401 || reply->status == 403)
        return error_set(err, ERROR_DENIED, "%s answered %d, it refuses us: check the credentials%s%s", host,
                         reply->status, *words ? ": " : "", words);
    return error_set(err, reply->status >= 500 || reply->status == 429 ? ERROR_UNREACHABLE : ERROR_NONSENSE,
                     "%s answered %d%s%s", host, reply->status, *words ? ": " : "", words);
}

static bool read_json(struct asked *asked, struct reply *reply, struct error *err)
{
    struct tree *json = NULL;
    struct error why;
    char host[300], words[80];

    if (tree_read_json(reply->body, reply->length, false, asked->poll->arena, &json, &why)) {
        reply->json = json;
        return true;
    }
    destination_of(asked->request, host, sizeof(host));
    snippet_write(reply->body, asked->request->secret ? 0 : reply->length, words, sizeof(words));
    return error_set(err, ERROR_NONSENSE, "%s answered something that is not JSON (%s)%s%s", host,
                     reply->length > 0 ? why.text : "it is empty", *words ? ": " : "", words);
}

static bool judge_grpc(struct asked *asked, const struct http_reply *from, struct reply *to, struct error *err)
{
    enum grpc_status status;
    char host[300];

    destination_of(asked->request, host, sizeof(host));
    to->body = "";
    to->length = 0;
    if (!grpc_read_status(from, host, &status, err))
        return false;
    if (status == GRPC_OK)
        return grpc_read_message(from->body, from->body_length, host, &to->body, &to->length, err);
    return (asked->request->grpc_allowed & (1u << status)) != 0 || grpc_refusal(from, host, status, err);
}

/* What is read of several answers at once is bounded in sum: see POLL_MEMORY_MAX_BYTES. */
static size_t body_max_bytes(const struct poll *poll)
{
    size_t at_once = poll->asked_count < POLL_REQUESTS_MAX ? poll->asked_count : POLL_REQUESTS_MAX;
    size_t share = POLL_MEMORY_MAX_BYTES / (at_once > 0 ? at_once : 1);

    return share < HTTP_BODY_MAX_BYTES ? share : HTTP_BODY_MAX_BYTES;
}

static bool explain_share(const struct poll *poll, struct error *err)
{
    struct error why = *err;

    if (body_max_bytes(poll) == HTTP_BODY_MAX_BYTES)
        return false;
    return error_set(err, ERROR_LIMIT, "%.250s (of %zu at once each has its share of POLL_MEMORY_MAX_BYTES)", why.text,
                     poll->asked_count);
}

/* From the transport's answer to what a step may see; false: *err says what is wrong with it. */
static bool judge(struct asked *asked, const struct http_reply *from, struct reply *to, struct error *err)
{
    const struct request *request = asked->request;

    if (from->failed) {
        *err = from->error;
        return err->kind == ERROR_LIMIT ? explain_share(asked->poll, err) : false;
    }
    to->status = from->status;
    to->headers = from->headers;
    to->header_count = from->header_count;
    to->body = from->status == 204 ? "" : from->body; /* 204 has no body, whatever was sent */
    to->length = from->status == 204 ? 0 : from->body_length;
    if (request->grpc)
        return judge_grpc(asked, from, to, err);
    if (from->status < request->status_from || from->status > request->status_to)
        return refused_status(asked, from, err);
    return request->raw || read_json(asked, to, err);
}

/* ------------------------------------------------------------------ sending */

static void on_http(void *arg, const struct http_reply *reply);

static bool can_be_sent(const struct request *request, struct error *err)
{
    char host[300];

    if (request->bad)
        return error_set(err, ERROR_LIMIT,
                         "the request cannot be sent: its address is longer than HTTP_URL_MAX_BYTES, or it has more "
                         "than %d headers",
                         REQUEST_HEADERS_MAX);
    if (!url_destination(request->url, host, sizeof(host)))
        return error_set(err, ERROR_INVALID, "\"%.60s\" is not an absolute http or https address", request->url);
    return true;
}

static struct http_request as_http(const struct request *request)
{
    return (struct http_request){
        .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .header_count = request->header_count,
        .body = request->body,
        .body_length = request->body_length,
        .tls = request->has_tls ? &request->tls : NULL,
        .http2 = request->grpc,
        .no_redirects = request->grpc,
        .secret = request->secret,
    };
}

bool request_finish(struct request *request, struct http_request *out, struct error *err)
{
    freeze(request->poll);
    *out = as_http(request);
    return can_be_sent(request, err);
}

static void on_token(void *arg);
static void on_no_token(void *arg);

/* However often it is told that there is none yet: one time for all. */
static void wait_for_token(struct asked *asked)
{
    if (asked->token_timer)
        return;
    asked->token_timer = loop_timer_new(flight_of(asked->poll)->engine->loop, on_no_token, asked);
    loop_timer_set(asked->token_timer, TOKEN_WAIT_MS);
}

/* With its token, if it needs one. false: there is none, *err says why. true: it is out, or waits for it. */
static bool start_exchange(struct asked *asked, struct error *err)
{
    struct flight *flight = flight_of(asked->poll);
    int64_t left = asked->deadline_ticks_ms - loop_ticks_ms(flight->engine->loop);
    struct http_request http = as_http(asked->request);
    struct http_header headers[REQUEST_HEADERS_MAX + 1];

    if (asked->request->oauth) {
        enum lookup found;

        asked->token_waiter.told = on_token;
        asked->token_waiter.arg = asked;
        found = asked_token(asked, err);
        if (found == LOOKUP_PENDING)
            wait_for_token(asked);
        if (found != LOOKUP_FOUND)
            return found == LOOKUP_PENDING;
        loop_timer_free(asked->token_timer);
        asked->token_timer = NULL;
        memcpy(headers, http.headers, http.header_count * sizeof(*headers));
        headers[http.header_count++] =
            (struct http_header){.name = "Authorization", .value = "Bearer ", .secret = asked->token};
        http.headers = headers;
    }
    http.timeout_ms = left > 0 ? left : 1;
    http.body_max_bytes = body_max_bytes(asked->poll);
    http.ns = flight->trigger->ns;
    asked->attempts++;
    asked->started_ticks_ms = loop_ticks_ms(flight->engine->loop);
    flight_stats(flight)->requests++;
    asked->exchange = flight->engine->transport->ops->http(flight->engine->transport, &http, on_http, asked);
    return true;
}

/* What can be said without asking. */
static bool may_ask(struct asked *asked, struct error *err)
{
    struct trigger_engine *engine = flight_of(asked->poll)->engine;
    char host[300];
    int64_t left_ms;

    if (!can_be_sent(asked->request, err))
        return false;
    destination_of(asked->request, host, sizeof(host));
    if (!credential_may_go(flight_of(asked->poll)->trigger->allowed_hosts, host, err))
        return false;
    if (engine->backoff_count > 0 && backoff_active(engine, host, asker_of(asked->request), &left_ms))
        return error_set(err, ERROR_UNREACHABLE, "%s asked to be left alone for %lld s more", host,
                         (long long)(left_ms + 999) / 1000);
    return true;
}

static void after_none(struct asked *asked, const struct error *why);

/* Starts the next ones, as many as may be under way. Those that cannot be asked are told at once: all of them before
   then() is called, so this never runs a step itself. */
static void start_more(struct poll *poll)
{
    while (poll->asked_next < poll->asked_count && poll->asked_open < POLL_REQUESTS_MAX && poll->end == END_NONE) {
        struct asked *asked = &poll->asked[poll->asked_next++];
        int64_t timeout = asked->request->timeout_ms > 0 ? asked->request->timeout_ms : HTTP_TIMEOUT_MS;
        struct error why;

        asked->deadline_ticks_ms = loop_ticks_ms(flight_of(poll)->engine->loop) + timeout;
        if (may_ask(asked, &why) && start_exchange(asked, &why))
            poll->asked_open++;
        else
            after_none(asked, &why);
    }
}

/* A single failure ends the poll, unless the step wants to see it; one of several is digested. */
static void after_one(struct asked *asked, struct reply *reply)
{
    struct poll *poll = asked->poll;

    if (poll->each)
        poll->each(poll->config, poll, reply);
    else if (reply->failed && !poll->tries)
        poll_fail_with(poll, &reply->error);
}

/* One that could not be asked. It has its answer before the step that asks has ended, so the answer is kept. */
static void after_none(struct asked *asked, const struct error *why)
{
    struct poll *poll = asked->poll;
    struct reply *reply = arena_alloc(poll->arena, sizeof(*reply));

    *reply = (struct reply){.index = asked->index, .failed = true, .error = *why};
    poll->unasked = reply;
    after_one(asked, reply);
}

static void forget_tokens(struct poll *poll)
{
    for (size_t i = 0; i < poll->asked_next && poll->asked; i++)
        asked_forget_token(&poll->asked[i]);
}

/* A step is given and takes the poll itself as its place: what was asked before is forgotten. */
static void run_step(struct poll *poll, const struct reply *reply)
{
    poll_step *then = poll->then;

    forget_tokens(poll);
    poll->asked = NULL;
    poll->asked_count = poll->asked_next = 0;
    then(poll->config, poll, reply);
}

static bool worth_retrying(const struct asked *asked, const struct http_reply *reply)
{
    const struct flight *flight = flight_of(asked->poll);
    int64_t timeout = asked->request->timeout_ms > 0 ? asked->request->timeout_ms : HTTP_TIMEOUT_MS;
    int64_t left = asked->deadline_ticks_ms - loop_ticks_ms(flight->engine->loop);

    if (asked->attempts > POLL_RETRIES_MAX || left < timeout / 2)
        return false;
    if (reply->failed)
        return reply->error.kind == ERROR_UNREACHABLE;
    if (asked->request->grpc && reply->status == 200)
        return string_equal(http_reply_header(reply, "grpc-status"), "14"); /* UNAVAILABLE */
    return reply->status >= 500 &&
           (reply->status < asked->request->status_from || reply->status > asked->request->status_to) &&
           !http_reply_header(reply, "retry-after");
}

/* A request has its answer, or will have none. */
static void end_exchange(struct asked *asked, struct reply *reply)
{
    struct poll *poll = asked->poll;

    asked_forget_token(asked); /* and its timer, which would end it once more while others are under way */
    poll->asked_open--;
    after_one(asked, reply);
    if (poll->end == END_NONE && !poll->each) {
        run_step(poll, reply);
    } else if (poll->end == END_NONE) {
        start_more(poll);
        if (poll->end == END_NONE && poll->asked_open == 0)
            run_step(poll, NULL);
    }
    flight_after_step(flight_of(poll));
}

/* It may have been revoked, or the server's clock is ahead: another one, once. */
static bool token_is_refused(struct asked *asked, const struct http_reply *reply)
{
    if (!asked->token || asked->token_refused || reply->failed || reply->status != 401)
        return false;
    asked->token_refused = asked->wants_other = true;
    return true;
}

static void on_http(void *arg, const struct http_reply *from)
{
    struct asked *asked = arg;
    struct flight *flight = flight_of(asked->poll);
    struct reply reply = {.index = asked->index};

    asked->exchange = NULL;
    flight_count_request(flight, from->failed ? STATUS_NO_ANSWER : from->status,
                         loop_ticks_ms(flight->engine->loop) - asked->started_ticks_ms);
    if ((worth_retrying(asked, from) || token_is_refused(asked, from)) && start_exchange(asked, &reply.error))
        return;
    reply.failed = !judge(asked, from, &reply, &reply.error);
    end_exchange(asked, &reply);
}

/* The token is there, or cannot be had. It did not take of the time that the server has for its answer. */
static void on_token(void *arg)
{
    struct asked *asked = arg;
    struct reply reply = {.index = asked->index};
    int64_t timeout = asked->request->timeout_ms > 0 ? asked->request->timeout_ms : HTTP_TIMEOUT_MS;

    asked->deadline_ticks_ms = loop_ticks_ms(flight_of(asked->poll)->engine->loop) + timeout;
    if (start_exchange(asked, &reply.error))
        return;
    reply.failed = true;
    end_exchange(asked, &reply);
}

/* Nobody was told whether there is one. */
static void on_no_token(void *arg)
{
    struct asked *asked = arg;
    struct reply reply = {.index = asked->index, .failed = true};
    char host[300] = "the server of tokens";

    url_destination(asked->request->oauth->token_url, host, sizeof(host));
    credential_wait_end(&asked->token_waiter);
    error_set(&reply.error, ERROR_UNREACHABLE, "no token came from %s within %d s", host, TOKEN_WAIT_MS / 1000);
    end_exchange(asked, &reply);
}

static enum poll_next send(struct poll *poll, struct request **requests, size_t count, poll_each *each, poll_step *then)
{
    freeze(poll);
    if (count > POLL_FANOUT_MAX || poll->requests_made + count > POLL_FANOUT_MAX)
        return poll_fail(poll, ERROR_LIMIT, "more than %d requests in one poll (POLL_FANOUT_MAX)", POLL_FANOUT_MAX);
    poll->requests_made += count;
    poll->each = each;
    poll->then = then;
    poll->asked = arena_array(poll->arena, count, sizeof(*poll->asked));
    poll->asked_count = count;
    poll->asked_next = 0;
    for (size_t i = 0; i < count; i++)
        poll->asked[i] = (struct asked){.poll = poll, .request = requests[i], .index = i};
    start_more(poll);
    if (poll->end == END_NONE && poll->asked_open == 0) /* not one; the bound above keeps steps from going round */
        run_step(poll, each ? NULL : poll->unasked);
    return poll->end == END_NONE ? POLL_WAITING : POLL_ENDED;
}

enum poll_next poll_send(struct poll *poll, struct request *request, poll_step *then)
{
    poll->tries = false;
    return send(poll, &request, 1, NULL, then);
}

enum poll_next poll_try(struct poll *poll, struct request *request, poll_step *then)
{
    poll->tries = true;
    return send(poll, &request, 1, NULL, then);
}

enum poll_next poll_send_all(struct poll *poll, struct request **requests, size_t count, poll_each *each,
                             poll_step *then)
{
    assert(count > 0);
    return send(poll, requests, count, each, then);
}

enum poll_next poll_query(struct poll *poll)
{
    struct flight *flight = flight_of(poll);

    assert(flight->trigger->driver->query);
    query_start(flight);
    return POLL_WAITING;
}

void http_start(struct flight *flight)
{
    flight->trigger->driver->poll(flight->poll.config, &flight->poll, NULL);
}

void http_stop(struct flight *flight)
{
    struct poll *poll = &flight->poll;

    forget_tokens(poll);
    for (size_t i = 0; i < poll->asked_next && poll->asked; i++) {
        if (poll->asked[i].exchange)
            flight->engine->transport->ops->http_cancel(poll->asked[i].exchange);
        poll->asked[i].exchange = NULL;
    }
    poll->asked_open = 0;
}

/*
 * server: HTTP on evhttp. Here are routes, decoding, answers, and the bounds that evhttp does not keep itself.
 *
 * A request becomes segments ("/api/v1/objects/shop/checkout" -> api v1 objects shop checkout), each percent-decoded after the
 * split, so that a name with %2F in it is one segment. The first route whose pattern fits decides; HEAD is answered by
 * the handler of GET, without the body.
 *
 *     request -> route? (404, 405) -> gate? (its refusal, or later) -> handler -> answer, or later, or a stream
 *
 * TLS is a second evhttp, whose connections server_tls.c makes. Its requests may be large (reviews of admission), but not where a gate
 * stands: nobody's megabytes wait there until it is known who sent them.
 *
 * An answer may wait (server_defer). evhttp does not read on meanwhile, so one connection has one request; when a connection
 * ends anyway, evhttp leaves the request to us, and frees it when the answer is sent to nobody.
 */
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>

#include "base/arena.h"
#include "base/error.h"
#include "net/loop.h"
#include "net/server_internal.h"

enum { BODY_KEPT_BYTES = 1024 * 1024 /* of an answer, for the next one */ };

/* ---- decoding ---- */
/* NULL: a bad escape, or one of the 0 byte. */
static char *decode(struct arena *arena, const char *text, size_t length, bool plus_is_blank)
{
    char *decoded = arena_alloc(arena, length + 1), *to = decoded;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '+' && plus_is_blank) {
            *to++ = ' ';
        } else if (text[i] != '%') {
            *to++ = text[i];
        } else {
            if (length - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
                return NULL;
            *to = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            if (!*to)
                return NULL;
            to++;
            i += 2;
        }
    }
    return decoded;
}

struct path {
    const char *segments[SEGMENTS_MAX];
    size_t count;
    const char *whole;
};

/* False: it cannot be decoded. More segments than any route has are cut: no route fits then. */
static bool read_path(struct arena *arena, const char *raw, struct path *path)
{
    path->count = 0;
    path->whole = decode(arena, raw, strlen(raw), false);
    if (!path->whole)
        return false;
    while (*raw) {
        size_t length;

        if (*raw == '/')
            raw++;
        length = strcspn(raw, "/");
        if (path->count == SEGMENTS_MAX)
            return true;
        path->segments[path->count] = decode(arena, raw, length, false);
        if (!path->segments[path->count++])
            return false;
        raw += length;
    }
    return true;
}

/* The first value of that name in "a=b&c=d". */
static const char *find_value(struct arena *arena, const char *pairs, const char *name)
{
    for (const char *at = pairs; at && *at;) {
        size_t length = strcspn(at, "&"), name_length = 0;
        const char *key;

        while (name_length < length && at[name_length] != '=')
            name_length++;
        key = decode(arena, at, name_length, true);
        if (key && strcmp(key, name) == 0) {
            size_t skip = name_length < length ? name_length + 1 : name_length;

            return decode(arena, at + skip, length - skip, true);
        }
        at += length;
        if (*at)
            at++;
    }
    return NULL;
}

const char *server_query(const struct server_request *request, const char *name)
{
    const struct incoming *in = request->internal;

    return find_value(in->server->arena, in->query, name);
}

const char *server_form(const struct server_request *request, const char *name)
{
    const struct incoming *in = request->internal;

    return find_value(in->server->arena, request->body, name);
}

const char *server_header(const struct server_request *request, const char *name)
{
    const struct incoming *in = request->internal;

    return evhttp_find_header(evhttp_request_get_input_headers(in->request), name);
}

void server_headers(const struct server_request *request, void (*visit)(void *arg, const char *name, const char *value),
                    void *arg)
{
    const struct incoming *in = request->internal;
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(in->request);

    for (const struct evkeyval *header = headers->tqh_first; header; header = header->next.tqe_next)
        visit(arg, header->key, header->value);
}

/* NULL: the connection has no TLS. */
static SSL *ssl_of(const struct incoming *in)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(in->request);

    return bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(connection));
}

void server_peer(const struct server_request *request, struct server_peer *out)
{
    const struct incoming *in = request->internal;
    SSL *ssl = ssl_of(in);

    *out = (struct server_peer){.verified_by = -1};
    if (ssl)
        server_tls_peer(ssl, out);
}

enum server_listener server_listener_of(const struct server_request *request)
{
    const struct incoming *in = request->internal;
    struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof own;

    if (ssl_of(in))
        return LISTENER_TLS;
    if (getsockname(server_request_fd(in->request), (struct sockaddr *)(void *)&own, &length) == 0 &&
        own.ss_family == AF_UNIX)
        return LISTENER_UNIX;
    return LISTENER_TCP;
}

const char *server_remote(const struct server_request *request)
{
    struct incoming *in = request->internal;
    struct sockaddr_storage other = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof other;
    char host[64], port[16];

    if (in->has_remote)
        return in->remote;
    in->has_remote = true;
    if (getpeername(server_request_fd(in->request), (struct sockaddr *)(void *)&other, &length) == 0 &&
        other.ss_family != AF_UNIX &&
        getnameinfo((struct sockaddr *)(void *)&other, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(in->remote, sizeof in->remote, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    return in->remote;
}

void server_set_asker(const struct server_request *request, const void *asker)
{
    ((struct incoming *)request->internal)->asker = asker;
}

const void *server_asker(const struct server_request *request)
{
    return ((const struct incoming *)request->internal)->asker;
}

void server_set_gate(struct server *server, server_gate *gate, void *arg)
{
    server->gate = gate;
    server->gate_arg = arg;
}

/* ---- routes ---- */
void server_route(struct server *server, const char *method, const char *pattern, server_handler *handler, void *arg)
{
    struct route *route = &server->routes[server->route_count++];
    size_t variables = 0;
    char *at;

    assert(server->route_count <= SERVER_ROUTES_MAX && pattern[0] == '/');
    route->method = method;
    route->pattern = mem_copy(pattern);
    route->handler = handler;
    route->arg = arg;
    for (at = route->pattern; *at;) {
        *at++ = 0;
        assert(route->segment_count < SEGMENTS_MAX);
        route->segments[route->segment_count++] = at;
        if (strncmp(at, "@", 1) == 0 && (at[1] == '/' || at[1] == 0))
            variables++;
        at += strcspn(at, "/");
    }
    assert(variables <= sizeof((struct server_request *)0)->segments / sizeof(char *));
}

static bool fits(const struct route *route, const struct path *path, struct server_request *request)
{
    if (route->segment_count != path->count)
        return false;
    request->segment_count = 0;
    for (size_t i = 0; i < path->count; i++) {
        if (strcmp(route->segments[i], "@") == 0 && path->segments[i][0])
            request->segments[request->segment_count++] = path->segments[i];
        else if (strcmp(route->segments[i], path->segments[i]) != 0)
            return false;
    }
    return true;
}

static const char *method_name(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    default:
        return "TRACE";
    }
}

/* The route that fits path and method; else the methods that the path allows, "" for none. */
static const struct route *find_route(const struct server *server, const struct path *path, const char *method,
                                      struct server_request *request, struct text *allow)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    for (size_t i = 0; i < server->route_count; i++) {
        const struct route *route = &server->routes[i];

        if (!fits(route, path, request))
            continue;
        if (strcmp(route->method, wanted) == 0)
            return route;
        text_printf(allow, "%s%s", allow->length ? ", " : "", route->method);
        if (strcmp(route->method, "GET") == 0)
            text_add(allow, ", HEAD");
    }
    return NULL;
}

/* ---- answers ---- */
static const char *status_words(int status)
{
    static const struct {
        int status;
        const char *words;
    } rows[] = {{200, "OK"},
                {201, "Created"},
                {202, "Accepted"},
                {204, "No Content"},
                {301, "Moved Permanently"},
                {302, "Found"},
                {303, "See Other"},
                {304, "Not Modified"},
                {307, "Temporary Redirect"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {409, "Conflict"},
                {413, "Content Too Large"},
                {415, "Unsupported Media Type"},
                {422, "Unprocessable Content"},
                {429, "Too Many Requests"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {503, "Service Unavailable"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].words;
    return "Answer";
}

static void say_error(struct server_answer *answer, int status, const char *sentence)
{
    answer->status = status;
    answer->content_type = "application/json";
    text_clear(answer->body);
    text_add(answer->body, "{\"error\":");
    text_add_json_string(answer->body, sentence, strlen(sentence));
    text_add(answer->body, "}\n");
}

static void free_bytes(const void *bytes, size_t length, void *arg)
{
    (void)length, (void)arg;
    free((void *)bytes);
}

void server_set_header(struct server *server, const char *name, const char *value)
{
    assert(server->fixed_header_count < FIXED_HEADERS_MAX);
    server->fixed_headers[server->fixed_header_count++] = (struct fixed_header){name, value};
}

static void set_header(struct evhttp_request *request, size_t *count, const char *name, const char *value)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    assert(*count < SERVER_ANSWER_HEADERS_MAX);
    ++*count;
    evhttp_remove_header(headers, name);
    evhttp_add_header(headers, name, value);
}

void server_answer_header(const struct server_request *request, const char *name, const char *value)
{
    struct incoming *in = request->internal;

    set_header(in->request, &in->header_count, name, value);
}

void server_pending_header(struct server_pending *pending, const char *name, const char *value)
{
    set_header(pending->request, &pending->header_count, name, value);
}

static void add_if_missing(struct evkeyvalq *headers, const char *name, const char *value)
{
    if (!evhttp_find_header(headers, name))
        evhttp_add_header(headers, name, value);
}

void server_add_headers(const struct server *server, struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    for (size_t i = 0; i < server->fixed_header_count; i++)
        add_if_missing(headers, server->fixed_headers[i].name, server->fixed_headers[i].value);
    add_if_missing(headers, "X-Content-Type-Options", "nosniff");
    add_if_missing(headers, "Cache-Control", "no-store");
}

static void send_answer(const struct server *server, struct evhttp_request *request, const struct server_answer *answer,
                        bool is_head)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    struct evbuffer *body = NULL;
    size_t length = answer->body->length;
    bool has_body = length > 0 && answer->status != 204 && answer->status != 304;
    char number[32];

    if (has_body)
        evhttp_add_header(headers, "Content-Type", answer->content_type);
    if (answer->allow)
        evhttp_add_header(headers, "Allow", answer->allow);
    server_add_headers(server, request);
    if (is_head) {
        snprintf(number, sizeof number, "%zu", length);
        evhttp_add_header(headers, "Content-Length", number);
    } else if (has_body) {
        char *bytes = text_take(answer->body); /* handed over, not copied: a list of all objects is large */

        body = evbuffer_new();
        if (!body || evbuffer_add_reference(body, bytes, length, free_bytes, NULL) < 0)
            free(bytes);
    }
    evhttp_send_reply(request, answer->status, status_words(answer->status), body);
    if (body)
        evbuffer_free(body);
}

/* NULL: the answer says why there is none. */
static const struct route *route_or_refuse(const struct incoming *in, const char *raw, struct server_request *request,
                                           struct server_answer *answer)
{
    const struct server *server = in->server;
    const struct route *route = NULL;
    struct text allow;
    struct path path;

    if (!read_path(server->arena, raw && *raw ? raw : "/", &path)) {
        say_error(answer, 400, "the path has an escape that cannot be decoded; write % as %25");
        return NULL;
    }
    if (in->query && !decode(server->arena, in->query, strlen(in->query), true)) {
        say_error(answer, 400, "the query has an escape that cannot be decoded; write % as %25");
        return NULL;
    }
    request->path = path.whole;
    text_init(&allow, 1024);
    route = find_route(server, &path, request->method, request, &allow);
    if (!route && allow.length) {
        answer->allow = arena_copy(server->arena, allow.bytes);
        say_error(answer, 405, "this path does not have that method; see the header Allow");
    } else if (!route) {
        say_error(answer, 404, "nothing is here; the API starts at /api/v1/objects");
    }
    text_done(&allow);
    return route;
}

/* false: the gate has refused, or makes it wait. */
static bool is_let_in(const struct incoming *in, const struct server_request *request, struct server_answer *answer)
{
    const struct server *server = in->server;

    if (!server->gate)
        return true;
    if (evbuffer_get_length(evhttp_request_get_input_buffer(in->request)) <= SERVER_REQUEST_MAX_BYTES)
        return server->gate(server->gate_arg, request, answer);
    say_error(answer, 413, "the body has more than 64 KiB (SERVER_REQUEST_MAX_BYTES)");
    return false;
}

static void take_body(const struct incoming *in, struct server_request *request)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(in->request);

    request->body_length = evbuffer_get_length(body);
    request->body = arena_copy_bytes(in->server->arena, evbuffer_pullup(body, -1), request->body_length);
    evbuffer_drain(body, request->body_length); /* it may wait long for its answer */
}

static void respond(struct incoming *in, bool admitted)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(in->request);
    struct server_request request = {.method = method_name(evhttp_request_get_command(in->request)), .internal = in};
    const struct route *route;

    in->query = evhttp_uri_get_query(uri);
    route = route_or_refuse(in, evhttp_uri_get_path(uri), &request, in->answer);
    if (!route || (!admitted && !is_let_in(in, &request, in->answer)))
        return;
    take_body(in, &request);
    route->handler(route->arg, &request, in->answer);
}

/* From the request to its answer, unless that is for later. */
static void answer_request(struct incoming *in, bool admitted)
{
    struct server *server = in->server;
    struct server_answer made = {.status = 200, .content_type = "application/json", .body = &server->body};

    assert(!in->answer && !server->answering);
    server->answering = true;
    in->answer = &made;
    in->is_head = evhttp_request_get_command(in->request) == EVHTTP_REQ_HEAD;
    text_clear(&server->body);
    server->body.overflowed = false;
    respond(in, admitted);
    if (server->body.overflowed)
        say_error(&made, 500, "the answer is larger than 64 MiB (SERVER_ANSWER_MAX_BYTES); ask for less");
    if (!in->pending && !in->streams)
        send_answer(server, in->request, &made, in->is_head);
    in->answer = NULL;
    arena_reset(server->arena);
    if (server->body.capacity > BODY_KEPT_BYTES) {
        text_done(&server->body);
        text_init(&server->body, SERVER_ANSWER_MAX_BYTES);
    }
    server->answering = false;
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct incoming in = {.server = arg, .request = request};

    server_note_request(in.server, request);
    if (ssl_of(&in))
        server_tls_request_read(ssl_of(&in));
    answer_request(&in, false);
}

/* ---- answers that wait ---- */
struct server_pending *server_defer(const struct server_request *request)
{
    struct incoming *in = request->internal;
    struct server *server = in->server;
    struct server_pending *pending = mem_alloc(sizeof *pending);

    assert(!in->pending);
    pending->server = server;
    pending->request = in->request;
    pending->is_head = in->is_head;
    pending->header_count = in->header_count;
    pending->next = server->pending;
    if (server->pending)
        server->pending->previous = pending;
    server->pending = pending;
    return in->pending = pending;
}

static void forget_pending(struct server_pending *pending)
{
    if (pending->previous)
        pending->previous->next = pending->next;
    else
        pending->server->pending = pending->next;
    if (pending->next)
        pending->next->previous = pending->previous;
    free(pending);
}

void server_complete(struct server_pending *pending, const struct server_answer *answer)
{
    struct server_answer whole = *answer;
    struct server *server = pending->server;
    struct evhttp_request *request = pending->request;
    bool is_head = pending->is_head;
    struct text nothing;

    forget_pending(pending);
    text_init(&nothing, 0);
    if (!whole.body)
        whole.body = &nothing;
    if (!whole.status)
        whole.status = 200;
    if (!whole.content_type)
        whole.content_type = "application/json";
    if (whole.body->overflowed)
        say_error(&whole, 500, "the answer is larger than its bound; ask for less");
    send_answer(server, request, &whole, is_head);
    text_done(&nothing);
}

void server_admit(struct server_pending *pending, const void *asker)
{
    struct incoming in = {
        .server = pending->server, .request = pending->request, .asker = asker, .header_count = pending->header_count};

    forget_pending(pending);
    if (evhttp_request_get_connection(in.request))
        answer_request(&in, true);
    else
        evhttp_request_free(in.request);
}

/* The requests of connections that are still there are evhttp's. */
static void drop_pending(struct server *server)
{
    while (server->pending) {
        if (!evhttp_request_get_connection(server->pending->request))
            evhttp_request_free(server->pending->request);
        forget_pending(server->pending);
    }
}

/* ---- the server ---- */
struct evhttp *server_new_http(struct server *server, struct bufferevent *(*on_accepted)(struct event_base *, void *),
                               ev_ssize_t body_max_bytes)
{
    struct evhttp *http = evhttp_new(loop_event_base(server->loop));

    if (!http)
        return NULL;
    evhttp_set_max_headers_size(http, SERVER_REQUEST_MAX_BYTES);
    evhttp_set_max_body_size(http, body_max_bytes);
    evhttp_set_timeout(http, SERVER_IDLE_TIMEOUT_S);
    evhttp_set_default_content_type(http, NULL); /* what has no body has no type */
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                         EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH | EVHTTP_REQ_TRACE);
    evhttp_set_bevcb(http, on_accepted, server);
    evhttp_set_gencb(http, on_request, server);
    return http;
}

bool server_new(struct loop *loop, struct server **out, struct error *err)
{
    struct server *server = mem_alloc(sizeof *server);

    server->loop = loop;
    server->http = server_new_http(server, server_on_connection, SERVER_REQUEST_MAX_BYTES);
    if (!server->http) {
        free(server);
        return error_set(err, ERROR_INTERNAL, "the HTTP server cannot be made: no memory");
    }
    server_connections_init(server);
    server->arena = arena_new(ARENA_USUAL);
    text_init(&server->body, SERVER_ANSWER_MAX_BYTES);
    *out = server;
    return true;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    server_streams_close(server);
    server_remove_unix_socket(server);
    drop_pending(server);
    evhttp_free(server->http); /* and listeners and connections */
    if (server->tls_http)
        evhttp_free(server->tls_http);
    SSL_CTX_free(server->tls);
    server_connections_done(server);
    for (size_t i = 0; i < server->route_count; i++)
        free(server->routes[i].pattern);
    arena_free(server->arena);
    text_done(&server->body);
    free(server);
}

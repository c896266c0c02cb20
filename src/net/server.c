/*
 * server: HTTP on evhttp. Here are routes, decoding, and the bounds that evhttp does not keep itself.
 *
 * A request becomes segments ("/api/v1/objects/shop/checkout" -> api v1 objects shop checkout), each percent-decoded after the
 * split, so that a name with %2F in it is one segment. The first route whose pattern fits decides; HEAD is answered by
 * the handler of GET, without the body.
 *
 * TLS is a second evhttp, whose connections server_tls.c makes. Its requests may be large (reviews of admission).
 *
 * An answer may wait (server_defer). evhttp does not read on meanwhile, so one connection has one request; when a connection
 * ends anyway, evhttp leaves the request to us, and frees it when the answer is sent to nobody.
 *
 * evhttp of libevent 2.1 neither counts connections nor says when one ends. So we note the descriptor and inode of each new
 * one, and when SERVER_CONNECTIONS_MAX are noted look which still are what they were. If all are, we stop accepting
 * until one is not; newcomers wait in the kernel's queue meanwhile. (Holding a reference to their bufferevents would keep the
 * events of a closed descriptor alive, and its successor would never be heard.) The same when the process has no descriptor left:
 * the kernel would tell us of the waiting newcomer again at once, and again.
 *
 * Anybody may connect and say nothing, or a byte a minute. So while newcomers wait, those who have asked nothing for SERVER_PATIENCE_MS
 * give way: first who never asked anything, then the one that was quiet longest; nobody whose answer is being made.
 */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/loop.h"
#include "net/server_internal.h"

enum {
    LISTENERS_MAX = 8,
    BACKLOG = 128,
    SEGMENTS_MAX = 16,             /* of a path; the deepest route has 10 */
    RECOUNT_MS = 100,              /* while full: how often we look whether a connection ended */
    SENT_AWAY_MAX = 16,            /* so many then: as many newcomers may come in */
    BODY_KEPT_BYTES = 1024 * 1024, /* of an answer, for the next one */
};

struct route {
    const char *method;
    char *pattern; /* split in place: segments, each ending with a 0 byte */
    const char *segments[SEGMENTS_MAX];
    size_t segment_count;
    server_handler *handler;
    void *arg;
};

struct connection {
    int fd;
    ino_t inode;
    int64_t heard_ticks_ms; /* of its last whole request; before the first, of its beginning */
    bool has_asked, sent_away;
};

struct server_pending {
    struct server *server;
    struct server_pending *previous, *next;
    struct evhttp_request *request;
    bool is_head;
};

struct server {
    struct loop *loop;
    struct evhttp *http, *tls_http; /* the latter NULL until somebody listens with TLS */
    SSL_CTX *tls;                   /* for new connections */
    struct server_pending *pending;
    struct evconnlistener *listeners[LISTENERS_MAX]; /* evhttp's */
    size_t listener_count;
    struct route routes[SERVER_ROUTES_MAX];
    size_t route_count;
    struct connection connections[SERVER_CONNECTIONS_MAX]; /* those noted; some may have ended */
    size_t connection_count;
    struct bufferevent
        *newcomers[SERVER_CONNECTIONS_MAX]; /* of this turn: evhttp is about to give them their descriptors */
    size_t newcomer_count;
    struct event *note_newcomers;
    bool full;
    bool starved;        /* the last accept failed, for want of descriptors or memory */
    struct server *next; /* of those there are */
    struct timer *recount;
    struct arena *arena; /* of the request being answered */
    struct text body;
    char addresses[LISTENERS_MAX][300]; /* on TCP */
    size_t address_count;
    char *unix_path;
    dev_t unix_device;
    ino_t unix_inode;
};

/* What stands behind request->internal. */
struct incoming {
    struct server *server;
    struct evhttp_request *request;
    const char *query;
    struct server_pending *pending;
    bool is_head;
};

/* libevent's callback about a failed accept knows only the evhttp. A process has one server, a test a few; all on one thread. */
static struct server *servers;

/* ---- connections ---- */
static bool inode_of(int fd, ino_t *inode)
{
    struct stat about;

    if (fd < 0 || fstat(fd, &about) < 0 || !S_ISSOCK(about.st_mode))
        return false;
    *inode = about.st_ino;
    return true;
}

static void forget_ended(struct server *server)
{
    size_t kept = 0;

    for (size_t i = 0; i < server->connection_count; i++) {
        struct connection connection = server->connections[i];
        ino_t inode;

        if (inode_of(connection.fd, &inode) && inode == connection.inode)
            server->connections[kept++] = connection;
    }
    server->connection_count = kept;
}

static int fd_of(struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);

    return connection ? bufferevent_getfd(evhttp_connection_get_bufferevent(connection)) : -1;
}

static void note_request(struct server *server, struct evhttp_request *request)
{
    int fd = fd_of(request);

    for (size_t i = 0; fd >= 0 && i < server->connection_count; i++) {
        if (server->connections[i].fd == fd) {
            server->connections[i].heard_ticks_ms = loop_ticks_ms(server->loop);
            server->connections[i].has_asked = true;
        }
    }
}

static bool is_being_answered(const struct server *server, const struct connection *connection)
{
    for (const struct server_pending *p = server->pending; p; p = p->next)
        if (fd_of(p->request) == connection->fd)
            return true;
    return false;
}

static bool newcomers_wait(const struct server *server)
{
    struct pollfd listeners[LISTENERS_MAX];

    for (size_t i = 0; i < server->listener_count; i++)
        listeners[i] = (struct pollfd){.fd = evconnlistener_get_fd(server->listeners[i]), .events = POLLIN};
    return poll(listeners, server->listener_count, 0) > 0;
}

static struct connection *quietest(struct server *server)
{
    int64_t patience_ends = loop_ticks_ms(server->loop) - SERVER_PATIENCE_MS;
    struct connection *found = NULL;

    for (size_t i = 0; i < server->connection_count; i++) {
        struct connection *c = &server->connections[i];

        if (c->sent_away || c->heard_ticks_ms > patience_ends || is_being_answered(server, c))
            continue;
        if (!found || (c->has_asked != found->has_asked ? found->has_asked : c->heard_ticks_ms < found->heard_ticks_ms))
            found = c;
    }
    return found;
}

/* To evhttp they ended themselves. They are known to be what they were: forget_ended has just looked. */
static void make_room(struct server *server)
{
    struct connection *c;

    for (int i = 0; i < SENT_AWAY_MAX && newcomers_wait(server) && (c = quietest(server)); i++) {
        c->sent_away = true;
        shutdown(c->fd, SHUT_RDWR);
    }
}

static bool is_full(const struct server *server)
{
    return server->starved || server->connection_count + server->newcomer_count >= SERVER_CONNECTIONS_MAX;
}

static void accept_or_wait(struct server *server)
{
    if (is_full(server))
        forget_ended(server);
    if (is_full(server)) {
        make_room(server);
        loop_timer_set(server->recount, RECOUNT_MS);
    }
    if (is_full(server) == server->full)
        return;
    server->full = is_full(server);
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->full)
            evconnlistener_disable(server->listeners[i]);
        else
            evconnlistener_enable(server->listeners[i]);
    }
}

static void on_recount(void *arg)
{
    struct server *server = arg;

    server->starved = false;
    accept_or_wait(server);
}

static void on_accept_failed(struct evconnlistener *listener, void *http)
{
    (void)listener;
    for (struct server *server = servers; server; server = server->next) {
        if (server->http != http && server->tls_http != http)
            continue;
        server->starved = true;
        accept_or_wait(server);
    }
}

/* Runs after the accepting and before any byte of theirs is read, so none can have ended. */
static void on_newcomers(evutil_socket_t none, short what, void *arg)
{
    struct server *server = arg;

    (void)none, (void)what;
    for (size_t i = 0; i < server->newcomer_count; i++) {
        struct connection connection = {.fd = bufferevent_getfd(server->newcomers[i]),
                                        .heard_ticks_ms = loop_ticks_ms(server->loop)};

        if (inode_of(connection.fd, &connection.inode))
            server->connections[server->connection_count++] = connection;
    }
    server->newcomer_count = 0;
}

/* evhttp asks for the bufferevent of a connection just accepted. Disabled listeners accept no more in the same turn either. */
static struct bufferevent *note_newcomer(struct server *server, struct bufferevent *connection)
{
    if (connection && !is_full(server)) {
        server->newcomers[server->newcomer_count++] = connection;
        event_active(server->note_newcomers, EV_TIMEOUT, 0);
    }
    accept_or_wait(server);
    return connection;
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    return note_newcomer(arg, bufferevent_socket_new(base, -1, 0));
}

static struct bufferevent *on_tls_connection(struct event_base *base, void *arg)
{
    struct server *server = arg;

    return note_newcomer(server, server_tls_connection(base, server->tls));
}

/* ---- decoding ---- */
static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

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
            if (length - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
                return NULL;
            *to = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
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

const char *server_query(const struct server_request *request, const char *name)
{
    const struct incoming *in = request->internal;
    struct arena *arena = in->server->arena;

    for (const char *at = in->query; at && *at;) {
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

static void send_answer(struct evhttp_request *request, const struct server_answer *answer, bool is_head)
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
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Cache-Control", "no-store");
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

static void respond(struct server *server, struct incoming *in, const char *method, struct server_answer *answer)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(in->request);
    const char *raw = evhttp_uri_get_path(uri);
    struct evbuffer *body = evhttp_request_get_input_buffer(in->request);
    struct server_request request = {.method = method, .internal = in};
    const struct route *route;
    struct text allow;
    struct path path;

    if (!read_path(server->arena, raw && *raw ? raw : "/", &path)) {
        say_error(answer, 400, "the path has an escape that cannot be decoded; write % as %25");
        return;
    }
    text_init(&allow, 1024);
    route = find_route(server, &path, method, &request, &allow);
    if (route) {
        in->query = evhttp_uri_get_query(uri);
        request.path = path.whole;
        request.body_length = evbuffer_get_length(body);
        request.body = arena_copy_bytes(server->arena, evbuffer_pullup(body, -1), request.body_length);
        evbuffer_drain(body, request.body_length); /* it may wait long for its answer */
        route->handler(route->arg, &request, answer);
    } else if (allow.length) {
        answer->allow = arena_copy(server->arena, allow.bytes);
        say_error(answer, 405, "this path does not have that method; see the header Allow");
    } else {
        say_error(answer, 404, "nothing is here; the API starts at /api/v1/objects");
    }
    text_done(&allow);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct server *server = arg;
    struct incoming in = {.server = server, .request = request};
    struct server_answer answer = {.status = 200, .content_type = "application/json", .body = &server->body};
    const char *method = method_name(evhttp_request_get_command(request));

    in.is_head = strcmp(method, "HEAD") == 0;
    note_request(server, request);
    if (ssl_of(&in))
        server_tls_request_read(ssl_of(&in));
    text_clear(&server->body);
    server->body.overflowed = false;
    respond(server, &in, method, &answer);
    if (server->body.overflowed)
        say_error(&answer, 500, "the answer is larger than 64 MiB (SERVER_ANSWER_MAX_BYTES); ask for less");
    if (!in.pending)
        send_answer(request, &answer, in.is_head);
    arena_reset(server->arena);
    if (server->body.capacity > BODY_KEPT_BYTES) {
        text_done(&server->body);
        text_init(&server->body, SERVER_ANSWER_MAX_BYTES);
    }
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
    send_answer(request, &whole, is_head);
    text_done(&nothing);
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
static struct evhttp *new_http(struct server *server, struct bufferevent *(*on_accepted)(struct event_base *, void *),
                               ev_ssize_t body_max_bytes)
{
    struct evhttp *http = evhttp_new(loop_event_base(server->loop));

    if (!http)
        return NULL;
    evhttp_set_max_headers_size(http, SERVER_REQUEST_MAX_BYTES);
    evhttp_set_max_body_size(http, body_max_bytes);
    evhttp_set_timeout(http, SERVER_IDLE_TIMEOUT_S);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                         EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_bevcb(http, on_accepted, server);
    evhttp_set_gencb(http, on_request, server);
    return http;
}

bool server_new(struct loop *loop, struct server **out, struct error *err)
{
    struct server *server = mem_alloc(sizeof *server);

    server->loop = loop;
    server->http = new_http(server, on_connection, SERVER_REQUEST_MAX_BYTES);
    if (!server->http) {
        free(server);
        return error_set(err, ERROR_INTERNAL, "the HTTP server cannot be made: no memory");
    }
    server->recount = loop_timer_new(loop, on_recount, server);
    server->note_newcomers = event_new(loop_event_base(loop), -1, 0, on_newcomers, server);
    assert(server->note_newcomers);
    server->arena = arena_new(ARENA_USUAL);
    text_init(&server->body, SERVER_ANSWER_MAX_BYTES);
    server->next = servers;
    servers = server;
    *out = server;
    return true;
}

/* Only if it is still the socket we made: another process may have replaced it. */
static void remove_unix_socket(struct server *server)
{
    struct stat about;

    if (server->unix_path && stat(server->unix_path, &about) == 0 && about.st_dev == server->unix_device &&
        about.st_ino == server->unix_inode)
        unlink(server->unix_path);
    free(server->unix_path);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    for (struct server **link = &servers; *link; link = &(*link)->next) {
        if (*link == server) {
            *link = server->next;
            break;
        }
    }
    remove_unix_socket(server);
    drop_pending(server);
    evhttp_free(server->http); /* and listeners and connections */
    if (server->tls_http)
        evhttp_free(server->tls_http);
    SSL_CTX_free(server->tls);
    event_free(server->note_newcomers);
    for (size_t i = 0; i < server->route_count; i++)
        free(server->routes[i].pattern);
    loop_timer_free(server->recount);
    arena_free(server->arena);
    text_done(&server->body);
    free(server);
}

/* Head and body of an answer are written one after the other: with Nagle's algorithm the body would wait for the acknowledgement of the
   head, which a client may put off for 40 ms. What is accepted inherits it; a Unix socket has no such thing. */
static void do_not_wait(struct evconnlistener *listener)
{
    const int yes = 1;

    setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* Both families where the machine has both. -1, and errno: it cannot be. */
static int bind_all(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why;
    const int yes = 1, no = 0;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0 && bind(fd, address, length) == 0)
        return fd;
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

static struct evconnlistener *make_listener(struct server *server, const struct sockaddr *address, socklen_t length)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    struct event_base *base = loop_event_base(server->loop);
    struct evconnlistener *listener;
    int fd;

    if (address->sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr))
        return evconnlistener_new_bind(base, NULL, NULL, flags, BACKLOG, address, (int)length);
    fd = bind_all(address, length);
    if (fd < 0)
        return NULL;
    listener = evconnlistener_new(base, NULL, NULL, flags, BACKLOG, fd);
    if (!listener)
        close(fd);
    return listener;
}

static bool listen_at(struct server *server, struct evhttp *http, const struct sockaddr *address, socklen_t length,
                      const char *name, struct error *err)
{
    struct evconnlistener *listener;

    if (server->listener_count == LISTENERS_MAX)
        return error_set(err, ERROR_LIMIT, "%.200s: a server listens at no more than %d addresses", name,
                         LISTENERS_MAX);
    listener = make_listener(server, address, length);
    if (!listener)
        return error_set(err, errno == EADDRINUSE || errno == EACCES ? ERROR_INVALID : ERROR_INTERNAL,
                         "cannot listen at %.200s: %s; choose another address", name, strerror(errno));
    if (!evhttp_bind_listener(http, listener)) {
        evconnlistener_free(listener);
        return error_set(err, ERROR_INTERNAL, "cannot listen at %.200s: no memory", name);
    }
    evconnlistener_set_error_cb(listener, on_accept_failed);
    do_not_wait(listener);
    server->listeners[server->listener_count++] = listener;
    return true;
}

static void note_address(struct server *server, struct evconnlistener *listener)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char *address = server->addresses[server->address_count++], host[128], port[16];

    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)(void *)&bound, &length) == 0 &&
        getnameinfo((struct sockaddr *)(void *)&bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(address, sizeof server->addresses[0], strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static bool split_address(const char *address, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t length;

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > 65535)
        return false;
    length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        length -= 2;
    } else if (memchr(address, ':', length)) {
        return false; /* an IPv6 address without brackets: where does the port start? */
    }
    if (length >= size)
        return false;
    memcpy(host, address, length);
    host[length] = 0;
    *port = colon + 1;
    return true;
}

/* No host: all addresses of both families, or all IPv4 ones where the machine knows no IPv6. */
static bool listen_all(struct server *server, struct evhttp *http, uint16_t port, const char *name, struct error *err)
{
    const struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
    const struct sockaddr_in old = {.sin_family = AF_INET, .sin_addr.s_addr = INADDR_ANY, .sin_port = htons(port)};

    errno = 0;
    if (listen_at(server, http, (const struct sockaddr *)(const void *)&all, sizeof all, name, err))
        return true;
    return (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
           listen_at(server, http, (const struct sockaddr *)(const void *)&old, sizeof old, name, err);
}

static bool listen_tcp(struct server *server, struct evhttp *http, const char *address, struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port;
    bool listens = false;

    if (!split_address(address, host, sizeof host, &port))
        return error_set(err, ERROR_INVALID,
                         "'%.100s' is no address to listen at; write host:port, such as 127.0.0.1:8642", address);
    if (host[0] == 0)
        listens = listen_all(server, http, (uint16_t)strtol(port, NULL, 10), address, err);
    else if (getaddrinfo(host, port, &hints, &found) != 0)
        return error_set(err, ERROR_INVALID, "'%.100s': this host is not known here; use an address of this machine",
                         address);
    for (const struct addrinfo *a = found; a && !listens; a = a->ai_next)
        listens = listen_at(server, http, a->ai_addr, a->ai_addrlen, address, err);
    if (found)
        freeaddrinfo(found);
    if (listens)
        note_address(server, server->listeners[server->listener_count - 1]);
    return listens;
}

bool server_listen_tcp(struct server *server, const char *address, struct error *err)
{
    return listen_tcp(server, server->http, address, err);
}

bool server_set_tls(struct server *server, const struct server_tls *tls, struct error *err)
{
    SSL_CTX *context = server_tls_context(tls, err);

    if (!context)
        return false;
    SSL_CTX_free(server->tls); /* connections made with it hold it */
    server->tls = context;
    return true;
}

bool server_listen_tls(struct server *server, const char *address, struct error *err)
{
    assert(server->tls);
    if (!server->tls_http) {
        server->tls_http = new_http(server, on_tls_connection, SERVER_REVIEW_MAX_BYTES);
        if (!server->tls_http)
            return error_set(err, ERROR_INTERNAL, "the HTTP server cannot be made: no memory");
    }
    return listen_tcp(server, server->tls_http, address, err);
}

/* A socket that nobody answers at is left over from a process that died. */
static bool make_way(const struct sockaddr_un *address, struct error *err)
{
    struct stat about;
    int fd;
    bool answers;

    if (lstat(address->sun_path, &about) < 0)
        return true;
    if (!S_ISSOCK(about.st_mode))
        return error_set(err, ERROR_INVALID, "%.108s exists and is no socket; remove it or choose another path",
                         address->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    answers = fd >= 0 &&
              (connect(fd, (const struct sockaddr *)(const void *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    if (answers)
        return error_set(err, ERROR_INVALID, "another process listens at %.108s; stop it, or use another --data-dir",
                         address->sun_path);
    unlink(address->sun_path);
    return true;
}

bool server_listen_unix(struct server *server, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat about;
    mode_t mask;
    bool listens;

    assert(!server->unix_path);
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERROR_INVALID,
                         "%.200s: the path of a Unix socket has at most %zu characters; use a shorter "
                         "--data-dir",
                         path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (!make_way(&address, err))
        return false;
    mask = umask(0177); /* so that it is 0600 from its first moment */
    listens =
        listen_at(server, server->http, (const struct sockaddr *)(const void *)&address, sizeof address, path, err);
    umask(mask);
    if (!listens)
        return false;
    server->unix_path = mem_copy(path);
    if (stat(path, &about) == 0) {
        server->unix_device = about.st_dev;
        server->unix_inode = about.st_ino;
    }
    return true;
}

const char *server_address_at(const struct server *server, size_t n)
{
    return n < server->address_count ? server->addresses[n] : NULL;
}

const char *server_address(const struct server *server)
{
    return server->addresses[0];
}

/*
 * server_connection: who is connected, and who gives way.
 *
 * evhttp of libevent 2.1 neither counts connections nor says when one ends. So we note the descriptor and inode of each new
 * one, and when SERVER_CONNECTIONS_MAX are noted look which still are what they were. If all are, we stop accepting
 * until one is not; newcomers wait in the kernel's queue meanwhile. (Holding a reference to their bufferevents would keep the
 * events of a closed descriptor alive, and its successor would never be heard.) The same when the process has no descriptor left:
 * the kernel would tell us of the waiting newcomer again at once, and again.
 *
 * Anybody may connect and say nothing, or a byte a minute. So while newcomers wait, those who have asked nothing for SERVER_PATIENCE_MS
 * give way: first who never asked anything, then the one that was quiet longest; nobody whose answer is being made. A stream
 * is such an answer as long as it lasts, and SERVER_STREAMS_MAX leaves places for others.
 */
#include "net/server_internal.h"

#include <assert.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <event2/event.h>

#include "net/loop.h"

enum {
    RECOUNT_MS = 100,   /* while full: how often we look whether a connection ended */
    SENT_AWAY_MAX = 16, /* so many then: as many newcomers may come in */
};
static_assert(SERVER_STREAMS_MAX < SERVER_CONNECTIONS_MAX, "streams would take all places");

/* libevent's callback about a failed accept knows only the evhttp. A process has one server, a test a few; all on one thread. */
static struct server *servers;

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

int server_request_fd(struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);

    return connection ? bufferevent_getfd(evhttp_connection_get_bufferevent(connection)) : -1;
}

struct connection *server_connection_of(struct server *server, struct evhttp_request *request)
{
    int fd = server_request_fd(request);

    for (size_t i = 0; fd >= 0 && i < server->connection_count; i++)
        if (server->connections[i].fd == fd)
            return &server->connections[i];
    return NULL;
}

void server_note_request(struct server *server, struct evhttp_request *request)
{
    struct connection *connection = server_connection_of(server, request);

    if (!connection)
        return;
    connection->heard_ticks_ms = loop_ticks_ms(server->loop);
    connection->has_asked = true;
}

static bool is_being_answered(const struct server *server, const struct connection *connection)
{
    if (connection->streams)
        return true;
    for (const struct server_pending *p = server->pending; p; p = p->next)
        if (server_request_fd(p->request) == connection->fd)
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

void server_on_accept_failed(struct evconnlistener *listener, void *http)
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

struct bufferevent *server_on_connection(struct event_base *base, void *arg)
{
    return note_newcomer(arg, bufferevent_socket_new(base, -1, 0));
}

struct bufferevent *server_on_tls_connection(struct event_base *base, void *arg)
{
    struct server *server = arg;

    return note_newcomer(server, server_tls_connection(base, server->tls));
}

void server_connections_init(struct server *server)
{
    server->recount = loop_timer_new(server->loop, on_recount, server);
    server->note_newcomers = event_new(loop_event_base(server->loop), -1, 0, on_newcomers, server);
    assert(server->note_newcomers);
    server->next = servers;
    servers = server;
}

void server_connections_done(struct server *server)
{
    for (struct server **link = &servers; *link; link = &(*link)->next) {
        if (*link == server) {
            *link = server->next;
            break;
        }
    }
    event_free(server->note_newcomers);
    loop_timer_free(server->recount);
}

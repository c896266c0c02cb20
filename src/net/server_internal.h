/*
 * server_internal: what the files of the server share.
 *
 *     server.c             routes, decoding, answers, those that wait
 *     server_connection.c  who is connected, and who gives way when all places are taken
 *     server_listen.c      addresses and sockets
 *     server_stream.c      answers without an end
 *     server_tls.c         what TLS adds
 */
#ifndef WEIR_NET_SERVER_INTERNAL_H
#define WEIR_NET_SERVER_INTERNAL_H

#include <stdint.h>
#include <sys/types.h>

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "base/limits.h"
#include "base/text.h"
#include "net/server.h"

struct event_base;
struct timer;

enum {
    LISTENERS_MAX = 8,
    SEGMENTS_MAX = 16,    /* of a path; the deepest route has 10 */
    FIXED_HEADERS_MAX = 8 /* of every answer of a server */
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
    bool streams; /* its answer has no end: it is quiet by nature */
};

struct fixed_header {
    const char *name, *value;
};

struct server {
    struct loop *loop;
    struct evhttp *http, *tls_http; /* the latter NULL until somebody listens with TLS */
    SSL_CTX *tls;                   /* for new connections */
    struct server_pending *pending;
    struct server_stream *streams;
    size_t stream_count;
    server_gate *gate;
    void *gate_arg;
    struct fixed_header fixed_headers[FIXED_HEADERS_MAX];
    size_t fixed_header_count;
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
    bool answering;
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
    struct server_answer *answer; /* what goes out when the handler returns, unless it waits or streams */
    const char *query;
    struct server_pending *pending;
    const void *asker; /* server_set_asker */
    size_t header_count;
    bool is_head, streams;
    bool has_remote;
    char remote[80];
};

struct server_pending {
    struct server *server;
    struct server_pending *previous, *next;
    struct evhttp_request *request;
    size_t header_count;
    bool is_head;
};

/* ---- server.c ---- */
/* An evhttp that answers for the server, timeouts and bounds set. NULL: no memory. */
struct evhttp *server_new_http(struct server *server, struct bufferevent *(*on_accepted)(struct event_base *, void *),
                               ev_ssize_t body_max_bytes);
/* What every answer has: the server's own headers, where no handler gave the same name another value. */
void server_add_headers(const struct server *server, struct evhttp_request *request);

/* ---- server_connection.c ---- */
void server_connections_init(struct server *server);
void server_connections_done(struct server *server);
int server_request_fd(struct evhttp_request *request); /* -1: its connection has ended */
struct connection *server_connection_of(struct server *server, struct evhttp_request *request); /* NULL likewise */
void server_note_request(struct server *server, struct evhttp_request *request);
struct bufferevent *server_on_connection(struct event_base *base, void *server);
struct bufferevent *server_on_tls_connection(struct event_base *base, void *server);
void server_on_accept_failed(struct evconnlistener *listener, void *http);

/* ---- server_listen.c ---- */
void server_remove_unix_socket(struct server *server);

/* ---- server_stream.c ---- */
void server_streams_close(struct server *server); /* each is told */

/* ---- server_tls.c ---- */
/* Everything new connections need, the CAs of clients included. NULL and *err: something of it cannot be used. */
SSL_CTX *server_tls_context(const struct server_tls *tls, struct error *err);
/* A connection just accepted, as evhttp wants it. Never NULL: evhttp would go on without TLS. */
struct bufferevent *server_tls_connection(struct event_base *base, SSL_CTX *context);
/* A request was read as a whole, and is about to be answered. */
void server_tls_request_read(SSL *ssl);
/* Texts in out live as long as the connection. */
void server_tls_peer(SSL *ssl, struct server_peer *out);

#endif

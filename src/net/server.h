/*
 * server: HTTP served by the loop (evhttp), on TCP and on a Unix socket, with the same handlers.
 *
 *     server_route(server, "GET", "/api/v1/objects", list_objects, autoscaler);
 *     server_listen_tcp(server, "127.0.0.1:8642", &err);
 *
 * Bounds: SERVER_* in base/limits.h. A slow client is closed after SERVER_IDLE_TIMEOUT_S. Answers are whole, but for streams.
 */
#ifndef WEIR_NET_SERVER_H
#define WEIR_NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct loop;
struct secret;
struct server;
struct text;

struct server_request {
    const char *method, *path; /* decoded path without query */
    const char *segments[8];   /* what stood in place of each "@" in the route, percent-decoded */
    size_t segment_count;
    const char *body;
    size_t body_length;
    void *internal;
};
struct server_answer { /* filled by the handler; 200 and "application/json" if it says nothing */
    int status;
    const char *content_type; /* static text */
    struct text *body;
    const char *allow; /* for 405 */
};
/* The query parameter's first value, decoded, valid during the handler; NULL if absent. */
const char *server_query(const struct server_request *request, const char *name);
/* The same of a body of application/x-www-form-urlencoded. */
const char *server_form(const struct server_request *request, const char *name);
const char *server_header(const struct server_request *request, const char *name);
/* Every header in the order sent, also those that are there more than once (X-Remote-Group). */
void server_headers(const struct server_request *request, void (*visit)(void *arg, const char *name, const char *value),
                    void *arg);

typedef void server_handler(void *arg, const struct server_request *request, struct server_answer *answer);

/* An answer that must wait for somebody else (an access review). The handler calls server_defer, copies what it needs of the request
   (which ends with the handler) and returns; its own answer is ignored. Later, exactly once, server_complete: also after the client
   has gone (it does nothing then). server_free completes what is pending by closing it; a handle is dead afterwards.
   The bytes of the answer's body are taken, and its text left empty. Nothing here bounds the wait: whoever defers has a deadline. */
struct server_pending;
struct server_pending *server_defer(const struct server_request *request);
void server_complete(struct server_pending *pending, const struct server_answer *answer);
void server_pending_header(struct server_pending *pending, const char *name,
                           const char *value); /* as server_answer_header */

/* An answer without an end: server-sent events. The handler calls server_stream_begin and returns; its own answer is ignored. NULL: there
   are SERVER_STREAMS_MAX already, and the request has been answered with 503. What the client does not read waits, up to
   SERVER_STREAM_MAX_BYTES: beyond that the stream is closed, for a client that is slow or dead may neither delay the loop nor grow it.
   closed is called exactly once, when the client has gone or was closed for being slow, never within server_stream_begin or _send, and
   not after server_stream_end; the stream is dead then. server_free closes all, and tells each. NULL also for HEAD, which has been answered
   with the headers. A client that takes nothing for SERVER_STREAM_STALL_S, though something waits for it, is closed too. */
struct server_stream;
typedef void server_stream_closed(void *arg);
struct server_stream *server_stream_begin(const struct server_request *request, const char *content_type,
                                          server_stream_closed *closed, void *arg);
/* false: it is being closed, as too slow; `closed` follows. */
bool server_stream_send(struct server_stream *stream, const char *bytes, size_t length);
void server_stream_end(struct server_stream *stream);
/* Bytes that wait for the client: whoever has much to tell sends the more when the less was taken. */
size_t server_stream_waiting(const struct server_stream *stream);

/* Asked before each handler, of every route: may this be answered? false: it has filled in the refusal, or has deferred (then it says so
   later, by server_complete with the refusal, or by server_admit, and the handler runs within that call). One per server; arg outlives
   it. The gate sees no body; what is larger than SERVER_REQUEST_MAX_BYTES is refused before it is asked. */
typedef bool server_gate(void *arg, const struct server_request *request, struct server_answer *refusal);
void server_set_gate(struct server *server, server_gate *gate, void *arg);
void server_admit(struct server_pending *pending, const void *asker);
/* What the gate found out about who asks, for handlers; NULL: no gate said anything. Not looked into here. */
void server_set_asker(const struct server_request *request, const void *asker);
const void *server_asker(const struct server_request *request);
/* Which listener it came by: LISTENER_UNIX (the owner of the data dir), LISTENER_TCP, LISTENER_TLS; and the other end's address. */
enum server_listener { LISTENER_UNIX, LISTENER_TCP, LISTENER_TLS };
enum server_listener server_listener_of(const struct server_request *request);
const char *server_remote(
    const struct server_request *request); /* "127.0.0.1:5123"; "" by a Unix socket; valid during the handler */
/* Headers of the answer beside Content-Type and Allow; values are copied. At most SERVER_ANSWER_HEADERS_MAX. They replace what every answer
   has: X-Content-Type-Options: nosniff, Cache-Control: no-store, and what server_set_header said. */
void server_answer_header(const struct server_request *request, const char *name, const char *value);
void server_set_header(struct server *server, const char *name,
                       const char *value); /* of every answer; static texts, few */

/* Who is at the other end of a TLS connection. */
struct server_peer {
    bool encrypted;
    int verified_by; /* which of server_tls.client_cas its certificate chains to; -1: no certificate, or none of them */
    const char *common_name; /* of a verified certificate; valid during the handler */
    const char *const *organizations;
    size_t organization_count;
};
void server_peer(const struct server_request *request, struct server_peer *out);

bool server_new(struct loop *real, struct server **out, struct error *err);
void server_free(struct server *server);
/* pattern: "/api/v1/objects/@/@" with an @ for each variable segment. Unknown paths get 404, known ones with another method 405. */
void server_route(struct server *server, const char *method, const char *pattern, server_handler *handler, void *arg);
/* "host:port", port 0 takes a free one. The address bound first is server_address(). */
bool server_listen_tcp(struct server *server, const char *address, struct error *err);
bool server_listen_unix(struct server *server, const char *path,
                        struct error *err); /* mode 0600; a stale socket is replaced */
const char *server_address(const struct server *server);

/* TLS for listeners of server_listen_tls, which take bodies up to SERVER_REVIEW_MAX_BYTES. May be called again at any time (rotation): new connections use it, old ones go on.
   A certificate of a client is asked for and never required: the handler decides by server_peer. NULL entries: no such CA. */
enum { SERVER_CLIENT_CAS = 2 };
struct server_tls {
    const char *certificate_pem; /* with its chain */
    const struct secret *key_pem;
    const char *client_cas[SERVER_CLIENT_CAS]; /* bundles of PEM */
    const char *min_version;                   /* "TLS12", "TLS13"; NULL: TLS13 */
};
bool server_set_tls(struct server *server, const struct server_tls *tls, struct error *err);
bool server_listen_tls(struct server *server, const char *address, struct error *err); /* after server_set_tls */
/* The address of the n-th listener on TCP, in the order in which they were opened; NULL: there are not so many. */
const char *server_address_at(const struct server *server, size_t n);

#endif

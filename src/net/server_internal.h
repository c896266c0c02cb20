/* server_internal: between the server (server.c) and what TLS adds to it (server_tls.c). */
#ifndef WEIR_NET_SERVER_INTERNAL_H
#define WEIR_NET_SERVER_INTERNAL_H

#include <openssl/ssl.h>

#include "net/server.h"

struct bufferevent;
struct event_base;

/* Everything new connections need, the CAs of clients included. NULL and *err: something of it cannot be used. */
SSL_CTX *server_tls_context(const struct server_tls *tls, struct error *err);
/* A connection just accepted, as evhttp wants it. Never NULL: evhttp would go on without TLS. */
struct bufferevent *server_tls_connection(struct event_base *base, SSL_CTX *context);
/* A request was read as a whole, and is about to be answered. */
void server_tls_request_read(SSL *ssl);
/* Texts in out live as long as the connection. */
void server_tls_peer(SSL *ssl, struct server_peer *out);

#endif

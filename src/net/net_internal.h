/* net_internal: what the files of the real transport share. */
#ifndef WEIR_NET_INTERNAL_H
#define WEIR_NET_INTERNAL_H

#include <openssl/ssl.h>

#include "net/egress.h"
#include "net/implement.h"
#include "net/loop.h"
#include "net/transport.h"

/* ---- TLS: identities as OpenSSL wants them, parsed once and shared ---- */
struct tls_pool;
struct tls_profile;
struct tls_pool *tls_pool_new(const char *const *ca_directories); /* minimum version from KEDA_HTTP_MIN_TLS_VERSION */
void tls_pool_free(struct tls_pool *pool);
/* The profile of this identity (NULL: nothing special), with a reference. *err is ERROR_INVALID for PEM that cannot be used. */
bool tls_profile_get(struct tls_pool *pool, const struct tls_identity *identity, struct tls_profile **out,
                     struct error *err);
void tls_profile_unref(struct tls_profile *profile); /* NULL is fine */
/* Differs between any two profiles and is never used again. */
uint64_t tls_profile_number(const struct tls_profile *profile);
bool tls_profile_insecure(const struct tls_profile *profile);
const char *tls_profile_server_name(const struct tls_profile *profile); /* or NULL */
/* Trust, client certificate and minimum version into a context. */
bool tls_profile_apply(const struct tls_profile *profile, SSL_CTX *context);
/* A connection from a context that is kept with the profile; host is what the certificate must be for. NULL: out of memory. */
SSL *tls_profile_connect(struct tls_profile *profile, const char *host);
/* Why OpenSSL failed, from its error queue and the result of verification; clears the queue. */
void tls_reason(const SSL *ssl, char *out, size_t size);

/* PEM, for the server as well. All certificates of a text, in order; returns how many. */
size_t tls_read_certificates(const char *pem, size_t length, STACK_OF(X509) * out);
EVP_PKEY *tls_read_key(const struct secret *pem, const struct secret *password); /* NULL: cannot be read */

/* ---- HTTP ---- */
struct http_client;
struct http_client_options {
    struct loop *loop;
    struct tls_pool *tls;
    struct transport_stats *stats;
    const char *user_agent;
    const struct egress *egress; /* NULL: none */
};
bool http_client_new(const struct http_client_options *options, struct http_client **out, struct error *err);
void http_client_free(struct http_client *client); /* cancels all */
struct exchange *http_client_ask(struct http_client *client, const struct http_request *request, http_done *done,
                                 void *arg);
void http_client_cancel(struct exchange *exchange);

/* ---- streams ---- */
struct stream_client;
struct stream_client_options {
    struct loop *loop;
    struct tls_pool *tls;
    struct transport_stats *stats;
    const struct egress *egress; /* NULL: none */
};
struct stream_client *stream_client_new(const struct stream_client_options *options); /* NULL: no file descriptor */
void stream_client_free(struct stream_client *client);                                /* closes all */
struct stream *stream_client_open(struct stream_client *client, const struct stream_request *request);
void stream_client_write(struct stream *stream, const void *bytes, size_t length);
void stream_client_close(struct stream *stream);

/* ---- jobs ---- */
struct workers;
/* NULL: no file descriptor to be had. */
struct workers *workers_new(struct loop *loop, struct transport_stats *stats, int threads_max, int destination_max,
                            int namespace_max);
/* Cancels all and ends the threads; what is stuck stays behind and is never waited for. */
void workers_free(struct workers *workers);
struct job *workers_start(struct workers *workers, const char *ns, const char *destination, int64_t timeout_ms,
                          job_work *work, job_done *done, void (*release)(void *arg), void *arg);
void workers_cancel(struct job *job);

#endif

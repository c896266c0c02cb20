/*
 * transport: the seam behind which bytes move. Three ways to ask: an HTTP exchange, a byte stream, a blocking job on a thread.
 * Real: transport_new_real() on libcurl and libevent. Virtual: sim/ (recorded exchanges, injected faults).
 *
 * Promises every implementation keeps: a thing started completes exactly once, never inside the call that started it; a
 * cancelled one never completes. Everything has a deadline and a size limit. Connections are shared per destination
 * and TLS identity. The bound on exchanges under way at once (POLLS_IN_FLIGHT_MAX, POLLS_PER_DESTINATION_MAX) is kept
 * here: what is over it waits in a queue, its deadline running.
 *
 * Inside a callback anything may be asked, written, closed or cancelled except to free the transport; and what just completed
 * is gone. Proxies come from the environment as Go reads it (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, either case); so do
 * KEDA_HTTP_MIN_TLS_VERSION (TLS12) and KEDA_HTTP_DISABLE_KEEP_ALIVE. A request that must not go out (a URL, a header, a key that
 * cannot be used, an address the egress rules refuse) completes as failed with ERROR_INVALID.
 */
#ifndef WEIR_NET_TRANSPORT_H
#define WEIR_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct egress;
struct loop;
struct secret;
struct text;
struct transport;

/* ---- TLS ---- */
struct tls_identity {   /* NULL where nothing is special. Immutable, counted by its owner, compared by content */
    bool insecure;      /* unsafeSsl: skips chain and host verification */
    bool only_ca;       /* ca_pem alone is trusted; else it is added to the system's pool */
    const char *ca_pem; /* or NULL */
    const char *certificate_pem; /* client certificate, or NULL */
    const struct secret *key_pem, *key_password;
    const char *server_name; /* instead of the host, or NULL */
};
/* For a client library with an OpenSSL context of its own (SSL_CTX): what is trusted, who we are, whose name the certificate has to
   bear. Reads the system's certificates: for worker threads. false: *err says what in the identity cannot be used. */
struct ssl_ctx_st;
bool tls_context_prepare(struct ssl_ctx_st *context, const struct tls_identity *identity, const char *host,
                         struct error *err);

/* ---- HTTP ---- */
struct http_header {
    const char *name, *value;
    const struct secret *secret; /* instead of value; "Bearer " and the like stand in value and come first */
};
struct http_request {   /* everything is copied or referenced by transport_http before it returns */
    const char *method; /* "GET" */
    const char *url;    /* absolute, already escaped; http, https, or "http+unix" never from a manifest */
    const struct http_header *headers;
    size_t header_count;
    const void *body; /* or NULL */
    size_t body_length;
    const struct tls_identity *tls;
    int64_t timeout_ms;     /* of the whole exchange; 0: HTTP_TIMEOUT_MS */
    size_t body_max_bytes;  /* of the answer; 0: HTTP_BODY_MAX_BYTES */
    const char *body_bound; /* static: its name, for people; NULL: the usual one, or who asks says it */
    bool http2;             /* gRPC */
    bool no_redirects;      /* else up to HTTP_REDIRECTS_MAX; secrets are dropped when scheme, host or port changes */
    /* For answers without end (a watch): the body of a 2xx answer is handed over as it comes, decoded, and reply.body stays empty.
       false: the exchange completes as failed with ERROR_INVALID. Bodies of other answers are collected as usual. arg is that of
       done. May cancel the exchange. timeout_ms counts until the head of the answer is there (0: HTTP_TIMEOUT_MS). */
    bool (*on_body)(void *arg, const char *bytes, size_t length);
    int64_t idle_timeout_ms; /* with on_body: so long without a byte ends it as failed; 0: none */
    int64_t
        connect_timeout_ms; /* name, connection and TLS handshake; 0: no more than timeout_ms says. For heads that may come late */
    /* Not one of the polls that the bounds count and make wait: the caller bounds itself (the Kubernetes API). */
    bool uncounted;
    /* Whose manifest names the destination: its egress rules apply (egress.h). NULL: those that are for all. */
    const char *ns;
    bool trusted; /* the destination was named by whoever runs Weir, not by a manifest: no egress rules */
    const char
        *proxy;  /* its URL (http, https, socks5h), whatever the environment says; NULL: those of the environment */
    bool secret; /* body and answer hold credentials: what is kept of them is wiped when it is over */
};
struct http_reply {     /* valid during the callback only */
    bool failed;        /* no answer: see error; the rest is empty */
    struct error error; /* UNREACHABLE, LIMIT, INVALID (a URL); names host and cause, never a secret */
    int status;
    const char *body; /* ends with a 0 byte that does not count; decoded (gzip, deflate) */
    size_t body_length;
    const struct http_header *headers; /* names in lower case; of the last response */
    size_t header_count;
    int64_t took_ms;
};
const char *http_reply_header(const struct http_reply *reply, const char *lower_case_name);

typedef void http_done(void *arg, const struct http_reply *reply);

/* ---- byte streams ---- */
struct stream;
enum stream_end { STREAM_CLOSED_BY_PEER, STREAM_FAILED, STREAM_TIMED_OUT };
struct stream_request {
    const char *
        host; /* name, IPv4, IPv6 without brackets, or a path that starts with '/' (Unix socket; local platform only) */
    int port;
    bool tls;
    const struct tls_identity *identity;
    int64_t connect_timeout_ms, idle_timeout_ms; /* idle: no byte in either direction; 0: none */
    void (*on_open)(void *arg, struct stream *stream);
    void (*on_bytes)(void *arg, struct stream *stream, const char *bytes, size_t length);
    void (*on_end)(void *arg, struct stream *stream, enum stream_end why,
                   const struct error *error); /* once; then it is gone */
    void *arg;
    const char *ns; /* as of http_request; read before stream_open returns */
    bool trusted;
};

/* ---- blocking jobs ---- */
struct job;
typedef void job_work(void *arg); /* on a worker thread: touches nothing but its arg */
/* How a job ended for whoever waits for it. It has its time-out twice: until it gets a thread, and from then on for its work. */
enum job_end {
    JOB_RETURNED,
    /* The work is still running and may still write to arg; done may only read what the work never writes. Its slot stays taken and is
       counted as stuck until the work returns. */
    JOB_HANGS,
    JOB_NOT_BEGUN, /* no thread became free for it; the work was not called, and never will be */
};
typedef void job_done(void *arg, enum job_end how); /* on the loop's thread */

struct transport_ops {
    struct exchange *(*http)(struct transport *, const struct http_request *, http_done *done, void *arg);
    void (*http_cancel)(struct exchange *);
    struct stream *(*stream_open)(struct transport *, const struct stream_request *);
    void (*stream_write)(struct stream *, const void *bytes, size_t length);
    void (*stream_close)(struct stream *); /* no callback afterwards */
    /* The handle is gone once done was called, whatever it said: no cancel after it.
       destination: what the slot limit counts by; and so does ns, whose manifest is behind it (NULL: nobody's). release(arg) is called
       on the loop's thread exactly once when neither the thread nor the loop needs arg any more, whatever happened before. done is not
       called after job_cancel. The one exception: work that still hangs when the transport is freed keeps its arg for good, for the
       thread may be using it. */
    struct job *(*work)(struct transport *, const char *ns, const char *destination, int64_t timeout_ms, job_work *work,
                        job_done *done, void (*release)(void *arg), void *arg);
    void (*work_cancel)(struct job *);
    struct egress *(*egress)(struct transport *); /* its rules, for work that connects by itself; NULL: none */
    void (*free)(struct transport *);             /* cancels all */
};
struct transport { /* first member of every implementation */
    const struct transport_ops *ops;
};

static inline struct exchange *transport_http(struct transport *t, const struct http_request *r, http_done *done,
                                              void *arg)
{
    return t->ops->http(t, r, done, arg);
}
static inline void transport_http_cancel(struct transport *t, struct exchange *e)
{
    t->ops->http_cancel(e);
}
static inline struct stream *transport_stream_open(struct transport *t, const struct stream_request *r)
{
    return t->ops->stream_open(t, r);
}
static inline void transport_stream_write(struct transport *t, struct stream *s, const void *bytes, size_t length)
{
    t->ops->stream_write(s, bytes, length);
}
static inline void transport_stream_close(struct transport *t, struct stream *s)
{
    t->ops->stream_close(s);
}
static inline struct job *transport_work(struct transport *t, const char *ns, const char *destination,
                                         int64_t timeout_ms, job_work *work, job_done *done, void (*release)(void *arg),
                                         void *arg)
{
    return t->ops->work(t, ns, destination, timeout_ms, work, done, release, arg);
}
static inline void transport_work_cancel(struct transport *t, struct job *j)
{
    t->ops->work_cancel(j);
}

static inline struct egress *transport_egress(struct transport *t)
{
    return t->ops->egress ? t->ops->egress(t) : NULL;
}

struct transport_stats {                                      /* for /metrics and leak tests */
    uint64_t exchanges, failures, connections_opened, queued; /* since the start */
    uint64_t stuck_jobs;                                      /* now: timed out, and their work has not returned */
    uint32_t exchanges_now, streams_now, jobs_now, connections_now;
};

struct transport_options {
    const char *user_agent;            /* NULL: "weir/<version>" */
    const char *const *ca_directories; /* every file in them is added to the pool (KEDA's --ca-dir); NULL */
    struct egress *egress;             /* the transport takes a reference; NULL: everything is allowed */
};
bool transport_new_real(struct loop *loop, const struct transport_options *options, struct transport **out,
                        struct error *err);
void transport_stats(const struct transport *real, struct transport_stats *out);
static inline void transport_free(struct transport *t)
{
    if (t)
        t->ops->free(t);
}

#endif

/*
 * transport_real: HTTP (http.c), byte streams (stream.c) and blocking jobs (workers.c) behind the one seam, on one loop and with one
 * pool of TLS identities.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "net/net_internal.h"

struct real_transport {
    struct transport transport; /* first */
    struct tls_pool *tls;
    struct http_client *http;
    struct stream_client *streams;
    struct workers *workers;
    struct egress *egress; /* NULL: none */
    struct transport_stats stats;
};

static struct real_transport *real(struct transport *transport)
{
    return (struct real_transport *)(void *)transport;
}

static struct exchange *ask(struct transport *transport, const struct http_request *request, http_done *done, void *arg)
{
    return http_client_ask(real(transport)->http, request, done, arg);
}

static struct stream *open_stream(struct transport *transport, const struct stream_request *request)
{
    return stream_client_open(real(transport)->streams, request);
}

static struct job *start_work(struct transport *transport, const char *ns, const char *destination, int64_t timeout_ms,
                              job_work *work, job_done *done, void (*release)(void *arg), void *arg)
{
    return workers_start(real(transport)->workers, ns, destination, timeout_ms, work, done, release, arg);
}

static struct egress *rules_of(struct transport *transport)
{
    return real(transport)->egress;
}

static void free_transport(struct transport *transport)
{
    struct real_transport *r = real(transport);

    http_client_free(r->http);
    stream_client_free(r->streams);
    workers_free(r->workers);
    tls_pool_free(r->tls);
    egress_drop_default(r->egress);
    egress_unref(r->egress);
    free(r);
}

static const struct transport_ops real_ops = {
    .http = ask,
    .http_cancel = http_client_cancel,
    .stream_open = open_stream,
    .stream_write = stream_client_write,
    .stream_close = stream_client_close,
    .work = start_work,
    .work_cancel = workers_cancel,
    .egress = rules_of,
    .free = free_transport,
};

/* OpenSSL under a byte stream writes with write(), which raises SIGPIPE when the peer is gone. An error is enough. */
static void ignore_broken_pipes(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

bool transport_new_real(struct loop *loop, const struct transport_options *options, struct transport **out,
                        struct error *err)
{
    static const struct transport_options defaults;
    struct real_transport *r = mem_alloc(sizeof *r);

    if (!options)
        options = &defaults;
    ignore_broken_pipes();
    r->transport.ops = &real_ops;
    r->egress = options->egress ? egress_ref(options->egress) : NULL;
    egress_set_default(r->egress);
    r->tls = tls_pool_new(options->ca_directories);
    r->workers =
        workers_new(loop, &r->stats, WORKER_THREADS_MAX, WORKERS_PER_DESTINATION_MAX, WORKERS_PER_NAMESPACE_MAX);
    r->streams = stream_client_new(
        &(struct stream_client_options){.loop = loop, .tls = r->tls, .stats = &r->stats, .egress = r->egress});
    if (!r->workers || !r->streams) {
        error_set(err, ERROR_INTERNAL,
                  "no file descriptors left for workers; raise the limit of open files (ulimit -n)");
        free_transport(&r->transport);
        return false;
    }
    if (!http_client_new(&(struct http_client_options){.loop = loop,
                                                       .tls = r->tls,
                                                       .stats = &r->stats,
                                                       .user_agent = options->user_agent,
                                                       .egress = r->egress},
                         &r->http, err)) {
        free_transport(&r->transport);
        return false;
    }
    *out = &r->transport;
    return true;
}

void transport_stats(const struct transport *transport, struct transport_stats *out)
{
    *out = ((const struct real_transport *)(const void *)transport)->stats;
}

/*
 * stream: bytes in both directions over TCP, TLS or a Unix socket.
 *
 *     open --> resolve --> connect (address after address) --> TLS --> open ... bytes ... end
 *
 * Everything starts in a later turn, so that nothing is called back inside stream_open. One timer stands for the time-out to
 * connect, and afterwards for the idle one. A stream that is closed inside its own callback is freed when that returns.
 *
 * Names are looked up by the system's resolver, which blocks, and so by workers of its own: a name that hangs holds one of
 * them. The egress rules see each address before it is used.
 */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>

#include "base/arena.h"
#include "base/limits.h"
#include "net/net_internal.h"

enum { BYTES_PER_CALL_MAX = 64 * 1024 };

struct stream {
    struct stream_client *client;
    struct stream *previous, *next;
    struct stream_request request; /* host is a copy, identity and ns are not kept */
    char *ns;
    struct tls_profile *profile;
    char place[300];
    enum failure_phase phase;
    bool open, calling, closed;
    struct timer *timer;
    struct event *step; /* starts; then watches over the connecting socket; then brings a failure found in a call */
    struct lookup *lookup;
    struct addrinfo *addresses, *next_address;
    int fd; /* while connecting */
    struct bufferevent *carrier;
    struct evbuffer *early; /* written before it was open */
    struct error failure;
};

struct lookup {            /* arg of the job; the worker touches name, port, result and found only */
    struct stream *stream; /* NULL: nobody waits any more */
    struct job *job;
    char *name, port[16];
    int result;
    struct addrinfo *found;
};

struct stream_client {
    struct stream_client_options options;
    struct workers *resolver;
    struct transport_stats lookups; /* not shown: they are no jobs of anybody's */
    struct stream *streams;
};

static void connect_next(struct stream *stream);

/* ---- the end ---- */
static void leave_all(struct stream *stream)
{
    struct stream_client *client = stream->client;

    loop_timer_free(stream->timer);
    stream->timer = NULL;
    if (stream->step)
        event_free(stream->step);
    stream->step = NULL;
    if (stream->lookup) {
        stream->lookup->stream = NULL;
        workers_cancel(stream->lookup->job);
    }
    stream->lookup = NULL;
    if (stream->carrier)
        bufferevent_free(stream->carrier); /* and with it the socket, the TLS state */
    stream->carrier = NULL;
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        client->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    client->options.stats->streams_now--;
}

static void free_stream(struct stream *stream)
{
    if (stream->addresses)
        freeaddrinfo(stream->addresses);
    if (stream->early)
        evbuffer_free(stream->early);
    tls_profile_unref(stream->profile);
    free((char *)stream->request.host);
    free(stream->ns);
    free(stream);
}

static void end(struct stream *stream, enum stream_end why, const struct error *error)
{
    leave_all(stream);
    stream->calling = stream->closed = true; /* a close in on_end has nothing left to do */
    if (why != STREAM_CLOSED_BY_PEER)
        stream->client->options.stats->failures++;
    stream->request.on_end(stream->request.arg, stream, why, error);
    free_stream(stream);
}

static void end_failed(struct stream *stream)
{
    struct error failure = stream->failure;

    end(stream, STREAM_FAILED, &failure);
}

/* False: it was closed in the call, and is gone. */
static bool after_call(struct stream *stream)
{
    stream->calling = false;
    if (!stream->closed)
        return true;
    free_stream(stream);
    return false;
}

static void on_timer(void *arg)
{
    struct stream *stream = arg;
    struct error error;

    if (stream->open)
        failure_idle(&error, stream->place, stream->request.idle_timeout_ms);
    else
        failure_timeout(&error, stream->place, stream->phase, stream->request.connect_timeout_ms);
    end(stream, STREAM_TIMED_OUT, &error);
}

static void note_traffic(struct stream *stream)
{
    if (stream->open && stream->request.idle_timeout_ms > 0)
        loop_timer_set(stream->timer, stream->request.idle_timeout_ms);
}

/* ---- open: bytes ---- */
static bool hand_bytes(struct stream *stream, struct evbuffer *input)
{
    size_t length = evbuffer_get_length(input);
    unsigned char *bytes;

    if (length > BYTES_PER_CALL_MAX)
        length = BYTES_PER_CALL_MAX;
    bytes = evbuffer_pullup(input, (ev_ssize_t)length);
    if (!stream->request.on_bytes) {
        evbuffer_drain(input, length);
        return true;
    }
    stream->calling = true;
    stream->request.on_bytes(stream->request.arg, stream, (const char *)bytes, length);
    if (stream->closed)
        return after_call(stream);
    evbuffer_drain(input, length);
    return after_call(stream);
}

/* False: the stream is gone. */
static bool hand_all(struct stream *stream)
{
    struct evbuffer *input = bufferevent_get_input(stream->carrier);

    while (evbuffer_get_length(input) > 0) {
        note_traffic(stream);
        if (!hand_bytes(stream, input))
            return false;
    }
    return true;
}

static void on_bytes(struct bufferevent *carrier, void *arg)
{
    (void)carrier;
    hand_all(arg);
}

static void on_drained(struct bufferevent *carrier, void *arg)
{
    (void)carrier;
    note_traffic(arg);
}

static void become_open(struct stream *stream)
{
    stream->open = true;
    loop_timer_stop(stream->timer);
    note_traffic(stream);
    if (stream->early)
        bufferevent_write_buffer(stream->carrier, stream->early);
    bufferevent_enable(stream->carrier, EV_READ | EV_WRITE);
    if (!stream->request.on_open)
        return;
    stream->calling = true;
    stream->request.on_open(stream->request.arg, stream);
    after_call(stream);
}

static void explain_tls(struct stream *stream)
{
    SSL *ssl = bufferevent_openssl_get_ssl(stream->carrier);
    unsigned long code = bufferevent_get_openssl_error(stream->carrier);
    char why[160];

    if (code)
        ERR_put_error(ERR_GET_LIB(code), 0, ERR_GET_REASON(code), __FILE__, __LINE__);
    tls_reason(ssl, why, sizeof why);
    error_set(&stream->failure, ERROR_UNREACHABLE, "%.120s: TLS: %.120s; check the certificates of both sides",
              stream->place, why);
}

static void on_event(struct bufferevent *carrier, short what, void *arg)
{
    struct stream *stream = arg;
    int number = EVUTIL_SOCKET_ERROR();

    (void)carrier;
    if (what & BEV_EVENT_CONNECTED) {
        become_open(stream);
        return;
    }
    if (stream->open && !hand_all(stream))
        return;
    if (!stream->open && stream->request.tls) {
        explain_tls(stream);
        end_failed(stream);
    } else if (what & BEV_EVENT_EOF) {
        end(stream, STREAM_CLOSED_BY_PEER, NULL);
    } else {
        error_set(&stream->failure, ERROR_UNREACHABLE, "%.200s: the connection broke: %s", stream->place,
                  stream->request.tls && bufferevent_get_openssl_error(stream->carrier) ? "TLS failed"
                                                                                        : strerror(number));
        end_failed(stream);
    }
}

/* ---- connecting ---- */
static void carry(struct stream *stream)
{
    struct event_base *base = loop_event_base(stream->client->options.loop);
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

    if (stream->request.tls) {
        SSL *ssl = tls_profile_connect(stream->profile, stream->request.host);

        stream->phase = PHASE_TLS;
        if (ssl)
            stream->carrier =
                bufferevent_openssl_socket_new(base, stream->fd, ssl, BUFFEREVENT_SSL_CONNECTING, options);
        if (stream->carrier)
            bufferevent_openssl_set_allow_dirty_shutdown(stream->carrier, 1);
        else
            SSL_free(ssl);
    } else {
        stream->carrier = bufferevent_socket_new(base, stream->fd, options);
    }
    if (!stream->carrier) {
        error_set(&stream->failure, ERROR_INTERNAL, "%.200s: no memory for a connection", stream->place);
        end_failed(stream);
        return;
    }
    stream->fd = -1; /* the carrier's */
    bufferevent_setcb(stream->carrier, on_bytes, on_drained, on_event, stream);
    if (stream->request.tls)
        bufferevent_enable(stream->carrier, EV_READ | EV_WRITE);
    else
        become_open(stream);
}

static void explain_connect(struct stream *stream, int number)
{
    failure_connect(&stream->failure, stream->place,
                    stream->request.host[0] == '/' && number == ENOENT ? ECONNREFUSED : number);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;
    int number = 0;
    socklen_t size = sizeof number;

    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    if (number == 0) {
        carry(stream);
        return;
    }
    explain_connect(stream, number);
    event_del(stream->step);
    close(stream->fd);
    stream->fd = -1;
    connect_next(stream);
}

static bool start_connect(struct stream *stream, const struct sockaddr *address, socklen_t length)
{
    stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd >= 0 && (connect(stream->fd, address, length) == 0 || errno == EINPROGRESS)) {
        stream->client->options.stats->connections_opened++;
        event_assign(stream->step, loop_event_base(stream->client->options.loop), stream->fd, EV_WRITE, on_connected,
                     stream);
        event_add(stream->step, NULL);
        return true;
    }
    explain_connect(stream, errno);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    return false;
}

static bool may_connect(struct stream *stream, const struct sockaddr *address)
{
    struct egress_caller caller = {.ns = stream->ns, .host = stream->request.host, .port = stream->request.port};
    const char *why;

    if (stream->request.trusted || egress_allows(stream->client->options.egress, &caller, address, &why))
        return true;
    failure_egress(&stream->failure, stream->place, why);
    return false;
}

/* The last address's failure is the stream's. */
static void connect_next(struct stream *stream)
{

    stream->phase = PHASE_CONNECTING;
    while (stream->next_address) {
        struct addrinfo *address = stream->next_address;

        stream->next_address = address->ai_next;
        if (may_connect(stream, address->ai_addr) && start_connect(stream, address->ai_addr, address->ai_addrlen))
            return;
    }
    end_failed(stream);
}

static void connect_unix(struct stream *stream)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    stream->phase = PHASE_CONNECTING;
    if (strlen(stream->request.host) >= sizeof address.sun_path)
        error_set(&stream->failure, ERROR_INVALID, "%.200s: the path of a Unix socket has at most %zu characters",
                  stream->place, sizeof address.sun_path - 1);
    else {
        memcpy(address.sun_path, stream->request.host, strlen(stream->request.host) + 1);
        if (may_connect(stream, (const struct sockaddr *)(const void *)&address) &&
            start_connect(stream, (const struct sockaddr *)(const void *)&address, sizeof address))
            return;
    }
    end_failed(stream);
}

static const struct addrinfo lookup_hints = {
    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};

static void look_up(void *arg) /* on a worker */
{
    struct lookup *lookup = arg;

    lookup->result = getaddrinfo(lookup->name, lookup->port, &lookup_hints, &lookup->found);
}

static void on_lookup(void *arg, enum job_end how)
{
    struct lookup *lookup = arg;
    struct stream *stream = lookup->stream;

    lookup->stream = NULL;
    stream->lookup = NULL;
    if (how != JOB_RETURNED)
        return; /* the stream's own timer is due in this very moment and says so */
    if (lookup->result != 0) {
        error_set(&stream->failure, ERROR_UNREACHABLE,
                  "%.200s: the name cannot be resolved; check the name and the DNS server", stream->place);
        end_failed(stream);
        return;
    }
    stream->addresses = stream->next_address = lookup->found;
    lookup->found = NULL;
    connect_next(stream);
}

static void release_lookup(void *arg)
{
    struct lookup *lookup = arg;

    if (lookup->found)
        freeaddrinfo(lookup->found);
    free(lookup->name);
    free(lookup);
}

static void resolve(struct stream *stream)
{
    struct addrinfo hints = lookup_hints;
    struct lookup *lookup;
    char port[16];

    hints.ai_flags = AI_NUMERICHOST;
    snprintf(port, sizeof port, "%d", stream->request.port);
    if (getaddrinfo(stream->request.host, port, &hints, &stream->addresses) == 0) {
        stream->next_address = stream->addresses;
        connect_next(stream);
        return;
    }
    stream->addresses = NULL;
    stream->phase = PHASE_RESOLVING;
    lookup = mem_alloc(sizeof *lookup);
    lookup->stream = stream;
    lookup->name = mem_copy(stream->request.host);
    snprintf(lookup->port, sizeof lookup->port, "%s", port);
    stream->lookup = lookup;
    lookup->job = workers_start(stream->client->resolver, NULL, lookup->name, stream->request.connect_timeout_ms,
                                look_up, on_lookup, release_lookup, lookup);
}

static void start(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd, (void)what;
    if (stream->failure.kind != ERROR_NONE)
        end_failed(stream);
    else if (stream->request.host[0] == '/')
        connect_unix(stream);
    else
        resolve(stream);
}

static void fail_in_later_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    end_failed(arg);
}

/* ---- the client ---- */
struct stream *stream_client_open(struct stream_client *client, const struct stream_request *request)
{
    struct stream *stream = mem_alloc(sizeof *stream);

    stream->client = client;
    stream->request = *request;
    stream->request.host = mem_copy(request->host);
    stream->request.identity = NULL;
    stream->request.ns = NULL;
    stream->ns = mem_copy(request->ns);
    stream->fd = -1;
    if (request->connect_timeout_ms <= 0)
        stream->request.connect_timeout_ms = HTTP_TIMEOUT_MS;
    stream_place(request, stream->place, sizeof stream->place);
    if (request->tls)
        tls_profile_get(client->options.tls, request->identity, &stream->profile, &stream->failure);
    if (request->host[0] != '/' && (request->port < 1 || request->port > 65535))
        error_set(&stream->failure, ERROR_INVALID, "%.200s: a port is a number from 1 to 65535", stream->place);
    stream->next = client->streams;
    if (client->streams)
        client->streams->previous = stream;
    client->streams = stream;
    client->options.stats->streams_now++;
    stream->timer = loop_timer_new(client->options.loop, on_timer, stream);
    loop_timer_set(stream->timer, stream->request.connect_timeout_ms);
    stream->step = event_new(loop_event_base(client->options.loop), -1, 0, start, stream);
    assert(stream->step);
    event_active(stream->step, EV_TIMEOUT, 0);
    return stream;
}

void stream_client_write(struct stream *stream, const void *bytes, size_t length)
{
    struct evbuffer *out;

    if (stream->closed || stream->failure.kind == ERROR_LIMIT || length == 0)
        return;
    if (!stream->open && !stream->early)
        stream->early = evbuffer_new();
    out = stream->open ? bufferevent_get_output(stream->carrier) : stream->early;
    if (evbuffer_get_length(out) + length > STREAM_WRITE_MAX_BYTES) {
        failure_write_limit(&stream->failure, stream->place);
        event_del(stream->step);
        event_assign(stream->step, loop_event_base(stream->client->options.loop), -1, 0, fail_in_later_turn, stream);
        event_active(stream->step, EV_TIMEOUT, 0);
        return;
    }
    if (stream->open)
        bufferevent_write(stream->carrier, bytes, length);
    else
        evbuffer_add(out, bytes, length);
    note_traffic(stream);
}

void stream_client_close(struct stream *stream)
{
    if (stream->closed)
        return;
    stream->closed = true;
    leave_all(stream);
    if (!stream->calling)
        free_stream(stream);
}

struct stream_client *stream_client_new(const struct stream_client_options *options)
{
    struct stream_client *client = mem_alloc(sizeof *client);

    client->options = *options;
    client->resolver = workers_new(options->loop, &client->lookups, RESOLVER_THREADS_MAX, 1, RESOLVER_THREADS_MAX);
    if (client->resolver)
        return client;
    free(client);
    return NULL;
}

void stream_client_free(struct stream_client *client)
{
    if (!client)
        return;
    while (client->streams)
        stream_client_close(client->streams);
    workers_free(client->resolver);
    free(client);
}

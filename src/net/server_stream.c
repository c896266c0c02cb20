/*
 * server_stream: answers without an end. What is sent goes into the output of the connection, chunked where the client speaks
 * HTTP/1.1; what the client has not read yet stays there, and is the bound of a stream.
 *
 *     begin -> send ... -> end                 the owner is done: what was sent still goes out, then the connection ends
 *                       -> too much waits      send says false; the socket is shut down, which evhttp takes for the end
 *                       -> nothing is taken    SERVER_STREAM_STALL_S without a byte written, though some wait
 *                       -> the client went     evhttp reads the end of its side, or the kernel gives up waiting for an acknowledgement
 *
 * The last three lead to one place, on_closed, when evhttp frees the connection: always from the loop, so never within a call of the
 * owner's. A stream has no time-out for reading, for the client has nothing to say; what it says nevertheless is thrown away as it comes,
 * for evhttp would keep it until the answer has ended.
 *
 * The kernel buffers too, unasked, megabytes for a connection. So much nobody wants to wait for live news: SERVER_STREAM_KERNEL_BYTES.
 */
#include "net/server_internal.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <event2/buffer.h>

#include "base/arena.h"

struct server_stream {
    struct server *server;
    struct server_stream *previous, *next;
    struct evhttp_request *request;
    struct evhttp_connection *connection;
    bool chunked; /* else the end of the connection is the end of the answer */
    server_stream_closed *closed;
    void *arg;
    bool too_slow;
};

static struct evbuffer *output_of(const struct server_stream *stream)
{
    return bufferevent_get_output(evhttp_connection_get_bufferevent(stream->connection));
}

static void link_stream(struct server *server, struct server_stream *stream)
{
    stream->server = server;
    stream->next = server->streams;
    if (server->streams)
        server->streams->previous = stream;
    server->streams = stream;
    server->stream_count++;
}

static void free_stream(struct server_stream *stream)
{
    struct server *server = stream->server;

    if (stream->previous)
        stream->previous->next = stream->next;
    else
        server->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    server->stream_count--;
    free(stream);
}

/* ---- the connection ---- */
static void throw_away(struct evbuffer *input, const struct evbuffer_cb_info *change, void *none)
{
    (void)none;
    if (change->n_added > 0)
        evbuffer_drain(input, evbuffer_get_length(input));
}

/* evhttp frees the connection. A request it has let go of is ours. */
static void on_closed(struct evhttp_connection *connection, void *arg)
{
    struct server_stream *stream = arg;
    server_stream_closed *closed = stream->closed;
    void *closed_arg = stream->arg;

    (void)connection;
    if (!evhttp_request_get_connection(stream->request))
        evhttp_request_free(stream->request);
    free_stream(stream);
    closed(closed_arg);
}

static void set_up_socket(int fd)
{
    const int kernel_bytes = SERVER_STREAM_KERNEL_BYTES / 2; /* the kernel doubles it, for its own needs */
    const unsigned patience_ms = SERVER_STREAM_STALL_S * 1000;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof kernel_bytes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms,
               sizeof patience_ms); /* a Unix socket has no such thing */
}

static void set_up_connection(struct server_stream *stream)
{
    static const struct timeval patience = {.tv_sec = SERVER_STREAM_STALL_S};
    struct bufferevent *bufferevent = evhttp_connection_get_bufferevent(stream->connection);
    struct connection *noted = server_connection_of(stream->server, stream->request);

    if (noted)
        noted->streams = true;
    set_up_socket(bufferevent_getfd(bufferevent));
    bufferevent_set_timeouts(bufferevent, NULL, &patience);
    evbuffer_add_cb(bufferevent_get_input(bufferevent), throw_away, NULL);
    evbuffer_drain(bufferevent_get_input(bufferevent), evbuffer_get_length(bufferevent_get_input(bufferevent)));
    evhttp_connection_set_closecb(stream->connection, on_closed, stream);
}

/* ---- for handlers ---- */
static bool may_begin(struct incoming *in, const char *content_type)
{
    struct server_answer *answer = in->answer;

    text_clear(answer->body);
    answer->status = in->is_head ? 200 : 503;
    answer->content_type = in->is_head ? content_type : "application/json";
    if (in->is_head)
        return false;
    if (in->server->stream_count < SERVER_STREAMS_MAX)
        return true;
    text_printf(answer->body,
                "{\"error\":\"%d clients listen already (SERVER_STREAMS_MAX); come again when one has gone\"}\n",
                SERVER_STREAMS_MAX);
    return false;
}

static void begin_answer(struct server_stream *stream, const char *content_type)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(stream->request);

    evhttp_add_header(headers, "Content-Type", content_type);
    evhttp_add_header(headers, "Connection", "close");     /* there is no next request: its end is the end */
    evhttp_add_header(headers, "X-Accel-Buffering", "no"); /* proxies of nginx's kind pass it on as it comes */
    server_add_headers(stream->server, stream->request);
    evhttp_send_reply_start(stream->request, 200, "OK");
    stream->chunked = evhttp_find_header(headers, "Transfer-Encoding") != NULL;
}

struct server_stream *server_stream_begin(const struct server_request *request, const char *content_type,
                                          server_stream_closed *closed, void *arg)
{
    struct incoming *in = request->internal;
    struct server_stream *stream;

    assert(!in->pending && !in->streams);
    if (!may_begin(in, content_type))
        return NULL;
    stream = mem_alloc(sizeof *stream);
    stream->request = in->request;
    stream->connection = evhttp_request_get_connection(in->request);
    stream->closed = closed;
    stream->arg = arg;
    assert(stream->connection);
    link_stream(in->server, stream);
    in->streams = true;
    set_up_connection(stream);
    begin_answer(stream, content_type);
    return stream;
}

size_t server_stream_waiting(const struct server_stream *stream)
{
    return evbuffer_get_length(output_of(stream));
}

/* Not by evhttp's own function: it makes a buffer of each piece, and a thousand small ones would take many times what they hold. */
static void put(struct server_stream *stream, const char *bytes, size_t length)
{
    struct evbuffer *output = output_of(stream);

    if (stream->chunked)
        evbuffer_add_printf(output, "%zx\r\n", length);
    evbuffer_add(output, bytes, length);
    if (stream->chunked)
        evbuffer_add(output, "\r\n", 2);
}

bool server_stream_send(struct server_stream *stream, const char *bytes, size_t length)
{
    if (stream->too_slow)
        return false;
    if (server_stream_waiting(stream) + length > SERVER_STREAM_MAX_BYTES) {
        stream->too_slow = true;
        shutdown(server_request_fd(stream->request), SHUT_RDWR);
        return false;
    }
    if (length > 0) /* a chunk of nothing would be the last */
        put(stream, bytes, length);
    return true;
}

void server_stream_end(struct server_stream *stream)
{
    evhttp_connection_set_closecb(stream->connection, NULL, NULL);
    evhttp_send_reply_end(stream->request);
    free_stream(stream);
}

void server_streams_close(struct server *server)
{
    while (server->streams) {
        struct server_stream *stream = server->streams;
        server_stream_closed *closed = stream->closed;
        void *arg = stream->arg;

        evhttp_connection_set_closecb(stream->connection, NULL, NULL);
        free_stream(stream);
        closed(arg);
    }
}

/* amqp: see amqp.h. */
#include "trigger/family/amqp.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/error.h"
#include "base/text.h"
#include "net/transport.h"
#include "trigger/common/lazy.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"

/* One channel, on which one question is asked at a time; frames as large as RabbitMQ itself proposes. */
enum { CHANNEL = 1, CHANNELS_MAX = 1, FRAME_MAX_BYTES = 131072, HEARTBEAT_S = 0 };

/* clang-format off */
#define FUNCTIONS(X) \
    X(amqp_channel_open) X(amqp_cstring_bytes) X(amqp_destroy_connection) X(amqp_error_string2) \
    X(amqp_get_rpc_reply) X(amqp_login_with_properties) X(amqp_maybe_release_buffers) \
    X(amqp_new_connection) X(amqp_queue_declare) X(amqp_send_method) X(amqp_set_handshake_timeout) \
    X(amqp_set_rpc_timeout) X(amqp_socket_open_noblock) X(amqp_ssl_socket_get_context) \
    X(amqp_ssl_socket_new) X(amqp_ssl_socket_set_verify_hostname) X(amqp_ssl_socket_set_verify_peer) \
    X(amqp_tcp_socket_new)
/* clang-format on */
static struct {
    FUNCTIONS(LAZY_POINTER)
} lib;
struct lazy amqp_library = LAZY(FUNCTIONS, "librabbitmq.so.4", "librabbitmq4", &lib, NULL);

static struct timeval time_left(const struct query *query)
{
    int64_t ms = query_left_ms(query);

    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* ------------------------------------------------------------------ what went wrong */

static void show_bytes(amqp_bytes_t bytes, char *out, size_t size)
{
    size_t length = bytes.len < size - 1 ? bytes.len : size - 1;

    memcpy(out, bytes.bytes ? bytes.bytes : "", bytes.bytes ? length : 0);
    out[bytes.bytes ? length : 0] = '\0';
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
}

/* Of a connection that the broker ends: ACCESS_REFUSED and NOT_ALLOWED are about who we are and which vhost is ours. A channel that it
   ends is about one queue alone, and says nothing to the others on the connection. */
static enum error_kind kind_of(unsigned code)
{
    if (code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED)
        return ERROR_DENIED;
    return code == AMQP_CONNECTION_FORCED || code == AMQP_RESOURCE_ERROR || code == AMQP_INTERNAL_ERROR
               ? ERROR_UNREACHABLE
               : ERROR_NONSENSE;
}

/* RabbitMQ's words begin with the reason's name ("NOT_FOUND - no queue 'x' in vhost '/'"). */
static bool refused(const struct amqp_server *server, enum error_kind kind, unsigned code, amqp_bytes_t text,
                    struct error *err)
{
    char words[200];

    show_bytes(text, words, sizeof(words));
    return error_set(err, kind, "%s:%d refuses (%u): %s", server->host, server->port, code, words);
}

static bool failed(const struct amqp_server *server, amqp_rpc_reply_t reply, struct error *err)
{
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *said = reply.reply.decoded;

        return refused(server, kind_of(said->reply_code), said->reply_code, said->reply_text, err);
    }
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *said = reply.reply.decoded;

        return refused(server, ERROR_NONSENSE, said->reply_code, said->reply_text, err);
    }
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        return error_set(err, ERROR_UNREACHABLE, "%s:%d: %s", server->host, server->port,
                         lib.amqp_error_string2(reply.library_error));
    return error_set(err, ERROR_NONSENSE, "%s:%d answers something that is not AMQP", server->host, server->port);
}

/* ------------------------------------------------------------------ the connection */

/* Name and chain are verified by OpenSSL itself, which also knows addresses; the library's own check does not. */
static amqp_socket_t *new_tls_socket(amqp_connection_state_t connection, const struct amqp_server *server,
                                     struct error *err)
{
    amqp_socket_t *socket = lib.amqp_ssl_socket_new(connection);

    if (!socket) {
        error_set(err, ERROR_INTERNAL, "no memory for a TLS socket");
        return NULL;
    }
    lib.amqp_ssl_socket_set_verify_peer(socket, !server->tls->insecure);
    lib.amqp_ssl_socket_set_verify_hostname(socket, false);
    return tls_context_prepare(lib.amqp_ssl_socket_get_context(socket), server->tls, server->host, err) ? socket : NULL;
}

static bool open_socket(amqp_connection_state_t connection, const struct amqp_server *server, struct query *query)
{
    struct timeval timeout = time_left(query);
    struct error *err = &query->error;
    amqp_socket_t *socket = server->tls ? new_tls_socket(connection, server, err) : lib.amqp_tcp_socket_new(connection);
    int status, number;

    if (!socket)
        return server->tls ? false : error_set(err, ERROR_INTERNAL, "no memory for a socket");
    errno = 0;
    status = lib.amqp_socket_open_noblock(socket, server->host, server->port, &timeout);
    number = errno;
    if (status == AMQP_STATUS_OK)
        return true;
    return error_set(err, ERROR_UNREACHABLE, "%s:%d cannot be reached: %s%s", server->host, server->port,
                     status == AMQP_STATUS_SOCKET_ERROR && number ? strerror(number) : lib.amqp_error_string2(status),
                     status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED || status == AMQP_STATUS_SSL_CONNECTION_FAILED
                         ? "; its certificate has to be of a known authority (ca) and bear its name"
                         : "");
}

static bool sign_in(amqp_connection_state_t connection, const struct amqp_server *server, struct query *query)
{
    struct timeval timeout = time_left(query);
    amqp_table_entry_t name = {.key = lib.amqp_cstring_bytes("connection_name"),
                               .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = lib.amqp_cstring_bytes("weir")}};
    amqp_table_t properties = {.num_entries = 1, .entries = &name};
    amqp_rpc_reply_t reply;

    lib.amqp_set_handshake_timeout(connection, &timeout);
    if (server
            ->external) /* the broker takes the name out of the certificate; the library wants some name all the same */
        reply = lib.amqp_login_with_properties(connection, server->vhost, CHANNELS_MAX, FRAME_MAX_BYTES, HEARTBEAT_S,
                                               &properties, AMQP_SASL_METHOD_EXTERNAL, server->user);
    else
        reply = lib.amqp_login_with_properties(connection, server->vhost, CHANNELS_MAX, FRAME_MAX_BYTES, HEARTBEAT_S,
                                               &properties, AMQP_SASL_METHOD_PLAIN, server->user, server->password);
    return reply.reply_type == AMQP_RESPONSE_NORMAL || failed(server, reply, &query->error);
}

static bool connect_to(const struct amqp_server *server, struct query *query)
{
    struct amqp_session *session = query->memory;
    amqp_connection_state_t connection = lib.amqp_new_connection();

    if (!connection)
        return error_set(&query->error, ERROR_INTERNAL, "no memory for a connection");
    if (open_socket(connection, server, query) && sign_in(connection, server, query)) {
        session->connection = connection;
        session->channel_open = false;
        return true;
    }
    lib.amqp_destroy_connection(connection);
    return false;
}

void amqp_hang_up(struct amqp_session *session)
{
    if (session->connection)
        lib.amqp_destroy_connection(session->connection); /* without goodbye: it would wait for the answer */
    *session = (struct amqp_session){.connection = NULL};
}

/* ------------------------------------------------------------------ the question */

/* The broker has closed the channel with its refusal; that has to be confirmed before it may be opened again. */
static void after_failure(struct amqp_session *session, amqp_rpc_reply_t reply)
{
    amqp_channel_close_ok_t confirmed = {.dummy = '\0'};

    session->channel_open = false;
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD ||
        lib.amqp_send_method(session->connection, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &confirmed) != AMQP_STATUS_OK)
        amqp_hang_up(session);
}

static bool fail_question(const struct amqp_server *server, struct query *query)
{
    struct amqp_session *session = query->memory;
    amqp_rpc_reply_t reply = lib.amqp_get_rpc_reply(session->connection);
    bool good = failed(server, reply, &query->error);

    after_failure(session, reply);
    return good;
}

static bool open_channel(const struct amqp_server *server, struct query *query)
{
    struct amqp_session *session = query->memory;
    struct timeval timeout = time_left(query);

    if (session->channel_open)
        return true;
    lib.amqp_set_rpc_timeout(session->connection, &timeout);
    if (!lib.amqp_channel_open(session->connection, CHANNEL))
        return fail_question(server, query);
    session->channel_open = true;
    return true;
}

static bool ask(const struct amqp_server *server, const char *queue, struct query *query, uint32_t *count)
{
    struct amqp_session *session = query->memory;
    const amqp_queue_declare_ok_t *answer;
    struct timeval timeout;

    if (!open_channel(server, query))
        return false;
    timeout = time_left(query);
    lib.amqp_set_rpc_timeout(session->connection, &timeout);
    answer = lib.amqp_queue_declare(session->connection, CHANNEL, lib.amqp_cstring_bytes(queue), true, false, false,
                                    false, (amqp_table_t){0}); /* passive: only looks */
    if (!answer)
        return fail_question(server, query);
    *count = answer->message_count;
    lib.amqp_maybe_release_buffers(session->connection);
    return true;
}

bool amqp_count(const struct amqp_server *server, const char *queue, struct query *query, uint32_t *count)
{
    struct amqp_session *session = query->memory;
    bool was_kept = session->connection != NULL;

    if (!was_kept && !connect_to(server, query))
        return false;
    if (ask(server, queue, query, count))
        return true;
    /* it was fresh, or it lives and the answer is a refusal, or no time is left for another one */
    if (!was_kept || session->connection || !query_may_retry(query))
        return false;
    return connect_to(server, query) && ask(server, queue, query, count);
}

/*
 * amqp: how many messages wait in a queue, asked by AMQP 0-9-1 (librabbitmq). Blocks: for worker threads.
 *
 *     struct amqp_server server = {.host = "mq", .port = 5672, .vhost = "/", .user = "guest", .password = "guest"};
 *     amqp_count(&session, &server, "orders", timeout_ms, &count, &err);
 *     amqp_hang_up(&session);
 *
 * The connection stays open from question to question; one that broke meanwhile is opened anew, once. A question that the broker
 * refuses (no such queue) costs the channel, not the connection. Heartbeats are off: nobody would send them between two polls.
 */
#ifndef WEIR_TRIGGER_AMQP_H
#define WEIR_TRIGGER_AMQP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct tls_identity;

struct amqp_session { /* zeroed: no connection */
    struct amqp_connection_state_t_ *connection;
    bool channel_open;
};
struct amqp_server {
    const char *host;
    int port;
    const char *vhost, *user, *password;
    const struct tls_identity *tls; /* NULL: plain */
    bool external;                  /* SASL EXTERNAL: the client certificate says who we are */
};

/* Messages that are ready. *err: UNREACHABLE, DENIED (the broker does not let us in), NONSENSE (it lets us in and refuses the question). */
bool amqp_count(struct amqp_session *session, const struct amqp_server *server, const char *queue, int64_t timeout_ms,
                uint32_t *count, struct error *err);
void amqp_hang_up(struct amqp_session *session);

#endif

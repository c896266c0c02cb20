/*
 * amqp: how many messages wait in a queue, asked by AMQP 0-9-1 (librabbitmq). Blocks: for worker threads.
 *
 *     struct amqp_server server = {.host = "mq", .port = 5672, .vhost = "/", .user = "guest", .password = "guest"};
 *     amqp_count(&server, "orders", query, &count);                      -- on the session of the query, within its time
 *     amqp_hang_up(&session);
 *
 * The connection stays open from question to question; one that broke meanwhile is opened anew, once. A question that the broker
 * refuses (no such queue) costs the channel, not the connection. Heartbeats are off: nobody would send them between two polls.
 */
#ifndef WEIR_TRIGGER_AMQP_H
#define WEIR_TRIGGER_AMQP_H

#include <stdbool.h>
#include <stdint.h>

struct lazy;
struct query;
struct tls_identity;

extern struct lazy amqp_library; /* for TRIGGER() */

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

/* Messages that are ready. false: query->error, UNREACHABLE, DENIED (the broker does not let us in), NONSENSE (it lets us in and refuses the question). */
bool amqp_count(const struct amqp_server *server, const char *queue, struct query *query, uint32_t *count);
void amqp_hang_up(struct amqp_session *session);

#endif

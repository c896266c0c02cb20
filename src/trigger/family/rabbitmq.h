/*
 * rabbitmq: what the two ways to ask RabbitMQ share: its parameters as the driver (source/rabbitmq.c) has read them.
 */
#ifndef WEIR_TRIGGER_RABBITMQ_H
#define WEIR_TRIGGER_RABBITMQ_H

#include "trigger/common/dsn.h"
#include "trigger/driver.h"

enum { AMQP_PORT = 5672, AMQPS_PORT = 5671 };
enum rabbitmq_protocol { PROTOCOL_AUTO, PROTOCOL_AMQP, PROTOCOL_HTTP };
enum rabbitmq_mode { MODE_LENGTH, MODE_MESSAGE_RATE, MODE_DELIVER_RATE, MODE_RATIO, MODE_TIME };

struct rabbitmq {
    struct trigger_config common;
    const struct secret *host;
    const char *queue, *vhost, *mode_name, *operation, *identity_resource;
    struct http_auth auth;
    double queue_length, activation;
    int64_t page_size, timeout_ms;
    int protocol, tls;
    bool unsafe, use_regex, exclude_unacknowledged;
    /* worked out in prepare() */
    enum rabbitmq_mode mode;
    bool http_host, identity;
    const char *base, *path; /* of the management API, in the trigger's arena */
};

/* The management API: where it is, worked out of host once; a poll's first step. */
void rabbitmq_http_address(struct rabbitmq *c, const struct dsn *dsn, struct arena *arena);
enum poll_next rabbitmq_http_ask(const struct rabbitmq *c, struct poll *poll);

/* AMQP, on the worker thread. */
void rabbitmq_amqp_query(const void *config, struct query *query);

#endif

/*
 * clickhouse: what the two ways to ask ClickHouse share: the parameters as the driver (source/clickhouse.c) has read them, and what they say
 * about the server.
 */
#ifndef WEIR_TRIGGER_CLICKHOUSE_H
#define WEIR_TRIGGER_CLICKHOUSE_H

#include "trigger/common/dsn.h"
#include "trigger/driver.h"

enum { CLICKHOUSE_TIMEOUT_MS = 10 * 1000 /* of the whole poll */ };

struct clickhouse {
    struct trigger_config common;
    const struct secret *connection, *password, *key, *key_password;
    const char *host, *port, *user, *database, *query, *certificate, *ca;
    int64_t idle_connections, open_connections, lifetime_ms;
    bool tls, unsafe;
};

struct clickhouse_server { /* texts lie in dsn, or are the config's */
    struct dsn dsn;
    const char *user, *password, *database;
    bool http, tls, unsafe;
};

/* false: the connection string is none. dsn_done(&out->dsn) in any case. */
bool clickhouse_server(const struct clickhouse *c, struct clickhouse_server *out, struct error *err);
bool clickhouse_host(const struct clickhouse *c, const struct clickhouse_server *server, char *host, int *port);
/* The options of the string that are settings of ClickHouse, one after the other; *at begins at 0. NULL: no more. */
const struct dsn_option *clickhouse_setting(const struct clickhouse_server *server, size_t *at);

/* Over HTTP, and by the native protocol: on a session. */
enum poll_next clickhouse_http_ask(const struct clickhouse *c, struct poll *poll,
                                   const struct clickhouse_server *server);
struct clickhouse_session {
    bool greeted; /* and all set */
};
enum { CLICKHOUSE_SCRATCH_BYTES = 2048 /* of a conversation, in the poll's scratch */ };
enum poll_next clickhouse_talk(const void *config, struct poll *poll, const char *bytes, size_t length);

#endif

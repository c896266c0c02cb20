/* clickhouse_server: where ClickHouse is and who asks, as a connection string or single parameters say it. See clickhouse.h. */
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "trigger/family/clickhouse.h"

enum { NATIVE_PORT = 9000 };

/* Of the string's options what the original's driver keeps to itself; the others are settings of the server. */
static const char own_words[] =
    "username,password,database,secure,skip_verify,tls_server_name,compress,debug,dial_timeout,read_timeout,"
    "write_timeout,http_path,protocol,max_open_conns,max_idle_conns,conn_max_lifetime,connection_open_strategy,"
    "compress_level,block_buffer_size,max_compression_buffer,client_info_product,http_proxy";

static bool is_on(const struct dsn *dsn, const char *key)
{
    const char *said = dsn_option(dsn, key);

    return said && dsn_word_in("true,1", said);
}

static const char *first_of(const char *a, const char *b)
{
    return a && *a ? a : b;
}

/* false: the connection string is none. */
bool clickhouse_server(const struct clickhouse *c, struct clickhouse_server *server, struct error *err)
{
    struct dsn *dsn = &server->dsn;

    *server = (struct clickhouse_server){.user = c->user, .database = c->database, .tls = c->tls, .unsafe = c->unsafe};
    if (!c->connection) {
        server->password = c->password ? secret_reveal(c->password) : "";
        return true;
    }
    if (!dsn_read_url(secret_reveal(c->connection), dsn, err))
        return false;
    server->http = strcmp(dsn->scheme, "http") == 0 || strcmp(dsn->scheme, "https") == 0;
    server->tls = c->tls || is_on(dsn, "secure");
    server->unsafe = c->unsafe || is_on(dsn, "skip_verify");
    server->user = first_of(dsn_option(dsn, "username"), first_of(dsn->user, "default"));
    server->password = first_of(dsn_option(dsn, "password"), first_of(dsn->password, ""));
    server->database = first_of(dsn_option(dsn, "database"), first_of(dsn->path, "default"));
    if (server->http && server->tls != (strcmp(dsn->scheme, "https") == 0))
        return error_set(err, ERROR_INVALID,
                         "connectionString: https goes with secure=true (or tls: true), http without");
    return true;
}

bool clickhouse_host(const struct clickhouse *c, const struct clickhouse_server *server, char *host, int *port)
{
    int usual = server->http ? (server->tls ? 443 : 80) : NATIVE_PORT;

    if (c->connection)
        return dsn_host(server->dsn.hosts, 0, usual, host, DSN_HOST_BYTES, port) && *port > 0;
    *port = c->port ? dsn_port(c->port) : 0;
    return c->host && *port > 0 && (size_t)snprintf(host, DSN_HOST_BYTES, "%s", c->host) < DSN_HOST_BYTES;
}

const struct dsn_option *clickhouse_setting(const struct clickhouse_server *server, size_t *at)
{
    return dsn_option_but(&server->dsn, own_words, at);
}

/*
 * clickhouse: the first column of the first row of a query. Facts: triggers/clickhouse.md.
 *
 * Two protocols, and a file for each: trigger/family/clickhouse_talk.c (scheme clickhouse, tcp, native, or host and port) and
 * trigger/family/clickhouse_http.c (scheme http, https). What the parameters say about the server: trigger/family/clickhouse_server.c.
 */
#include <stdio.h>

#include "trigger/family/clickhouse.h"

#define PARAM_STRUCT struct clickhouse
static const struct param params[] = {
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "SQL that yields one number, such as SELECT count() FROM jobs"},
    {"targetQueryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationTargetQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"connectionString", PARAM_SECRET(connection), .from = "AE",
     .help = "clickhouse://user:password@host:9000/database, or http(s)://...; then nothing below is needed"},
    {"host", PARAM_TEXT(host), .from = "MA", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "MA", .fallback = "9000", .help = "its native port"},
    {"username", PARAM_TEXT(user), .from = "MAE", .fallback = "default", .help = "database user"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "may be empty"},
    {"database", PARAM_TEXT(database), .from = "MA", .fallback = "default", .help = "database"},
    {"tls", PARAM_BOOL(tls), .from = "A", .fallback = "false", .help = "speak TLS"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .from = "A", .fallback = "false",
     .help = "do not verify the server's certificate"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "client certificate, PEM"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(key_password), .from = "A", .help = "of an encrypted key"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"maxIdleConns", PARAM_INTEGER(idle_connections), .from = "MA",
     .help = "no effect: connections are shared by all objects that ask the same server"},
    {"maxOpenConns", PARAM_INTEGER(open_connections), .from = "MA", .help = "no effect, likewise"},
    {"connMaxLifetime", PARAM_DURATION(lifetime_ms), .from = "MA", .help = "no effect, likewise"},
    {0},
};
#undef PARAM_STRUCT

static bool destination(const void *config, char *out, size_t size)
{
    struct clickhouse_server server = {.http = false};
    char host[DSN_HOST_BYTES];
    int port;
    bool good = clickhouse_server(config, &server, NULL) && clickhouse_host(config, &server, host, &port) &&
                (size_t)snprintf(out, size, "%s:%d", host, port) < size;

    dsn_done(&server.dsn);
    return good;
}

static void check_server(const struct clickhouse *c, struct trigger_check *check)
{
    struct clickhouse_server server = {.http = false};
    struct error err;
    char host[DSN_HOST_BYTES];
    int port;

    if (!clickhouse_server(c, &server, &err))
        check_warning(check, "connectionString", "mend it", "%s: every poll fails", err.text);
    else if (!clickhouse_host(c, &server, host, &port))
        check_warning(check, c->connection ? "connectionString" : "port", "write a host and a port between 1 and 65535",
                      "there is no host and port: every poll fails");
    dsn_done(&server.dsn);
}

static bool prepare(void *config, struct trigger_check *check)
{
    const struct clickhouse *c = config;
    bool good = true, unknown = check_unknown(check, "connectionString") || check_unknown(check, "host");

    if (!c->connection && !c->host && !unknown)
        good =
            check_error(check, "host", "give host, or connectionString", "there is neither connectionString nor host");
    if (c->tls && !c->certificate != !c->key)
        good = check_error(check, "cert", "give both, or none", "of cert and key only one is given");
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "targetQueryValue", "write the value one replica should carry",
                           "targetQueryValue may not be 0");
    if (c->connection || c->host)
        check_server(c, check);
    return good;
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    struct clickhouse_server server = {.http = false};
    struct error err;
    enum poll_next next;

    (void)none; /* nothing was asked yet */
    if (!clickhouse_server(config, &server, &err))
        next = poll_fail_with(poll, &err);
    else
        next = server.http ? clickhouse_http_ask(config, poll, &server) : clickhouse_talk(config, poll, NULL, 0);
    dsn_done(&server.dsn);
    return next;
}

TRIGGER(clickhouse) = {
    .type = "clickhouse",
    .summary = "a number read from ClickHouse by a query",
    .about = "The first column of the first row of the query, over the native protocol or HTTP. A query without a row "
             "is missing, "
             "and counts as 0 when the hold is over; NULL, several columns, dates, booleans and texts that are no "
             "number are failures.",
    .example = "metadata:\n"
               "  host: clickhouse.shop.svc\n"
               "  username: weir\n"
               "  database: jobs\n"
               "  query: SELECT count() FROM jobs WHERE state = 'waiting'\n"
               "  targetQueryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally = "clickhouse-server --config-file=/etc/clickhouse-server/config.xml &\n"
               "clickhouse-client --query \"CREATE TABLE jobs (state String) ENGINE = Memory\"\n"
               "clickhouse-client --query \"INSERT INTO jobs VALUES ('waiting')\"\n",
    .metric = "clickhouse",
    .params = params,
    .config_size = sizeof(struct clickhouse),
    .scratch_size = CLICKHOUSE_SCRATCH_BYTES,
    .session_size = sizeof(struct clickhouse_session),
    .prepare = prepare,
    .destination = destination,
    .poll = ask,
    .talk = clickhouse_talk,
};

/*
 * clickhouse: the first column of the first row of a query. Facts: triggers/clickhouse.md.
 *
 *     native (scheme clickhouse, tcp, native, or host and port):
 *         hello -> on_hello -> SET limits -> SET options? -> query -> data ... end -> value
 *     over HTTP (scheme http, https):
 *         POST /?database=... -> on_json -> value
 *
 * A kept connection has been greeted and goes on with the query at once. An answer is read to its end, so that the connection
 * can be asked again; rows behind the first do not count.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/transport.h"
#include "trigger/clickhouse_native.h"
#include "trigger/driver.h"
#include "trigger/dsn.h"
#include "trigger/sql.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000,   /* of the whole poll */
    QUERY_TIMEOUT_S = 8,            /* what the server may take for the query, so that it does not go on alone */
    COMMAND_MAX_BYTES = 256 * 1024, /* of a query: the server's own bound (max_query_size) */
    NATIVE_PORT = 9000,
};

struct clickhouse {
    struct trigger_config common;
    const struct secret *connection, *password, *key, *key_password;
    const char *host, *port, *user, *database, *query, *certificate, *ca;
    int64_t idle_connections, open_connections, lifetime_ms;
    bool tls, unsafe;
};

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

/* ------------------------------------------------------------------ where the server is */

struct server {
    struct dsn dsn;
    const char *user, *password, *database;
    bool http, tls, unsafe;
};

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
static bool find_server(const struct clickhouse *c, struct server *server, struct error *err)
{
    struct dsn *dsn = &server->dsn;

    *server = (struct server){.user = c->user, .database = c->database, .tls = c->tls, .unsafe = c->unsafe};
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

static bool find_host(const struct clickhouse *c, const struct server *server, char *host, int *port)
{
    int usual = server->http ? (server->tls ? 443 : 80) : NATIVE_PORT;

    if (c->connection)
        return dsn_host(server->dsn.hosts, 0, usual, host, DSN_HOST_BYTES, port) && *port > 0;
    *port = c->port ? dsn_port(c->port) : 0;
    return c->host && *port > 0 && (size_t)snprintf(host, DSN_HOST_BYTES, "%s", c->host) < DSN_HOST_BYTES;
}

static bool destination(const void *config, char *out, size_t size)
{
    struct server server = {.http = false};
    char host[DSN_HOST_BYTES];
    int port;
    bool good = find_server(config, &server, NULL) && find_host(config, &server, host, &port) &&
                (size_t)snprintf(out, size, "%s:%d", host, port) < size;

    dsn_done(&server.dsn);
    return good;
}

static void check_server(const struct clickhouse *c, struct trigger_check *check)
{
    struct server server = {.http = false};
    struct error err;
    char host[DSN_HOST_BYTES];
    int port;

    if (!find_server(c, &server, &err))
        check_warning(check, "connectionString", "mend it", "%s: every poll fails", err.text);
    else if (!find_host(c, &server, host, &port))
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

/* ------------------------------------------------------------------ the native protocol */

enum stage { STAGE_NEW, STAGE_HELLO, STAGE_LIMITS, STAGE_OPTIONS, STAGE_QUERY };
struct session {
    bool greeted; /* and all set */
};
struct talk_place {
    enum stage stage;
    size_t needed; /* fewer bytes are not worth looking at */
    size_t columns;
    bool has_row, refused;
    double value;
    struct error error;
    enum sample_state state;
    struct tls_identity identity;
};

static enum poll_next connect(const struct clickhouse *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct server server = {.http = false};
    char *host = arena_alloc(poll_arena(poll), DSN_HOST_BYTES);
    struct talk_address address = {.host = host, .timeout_ms = QUERY_TIMEOUT_MS, .identity = &at->identity};
    struct error err;
    const char *server_name;
    bool good = find_server(c, &server, &err);

    if (good && (!find_host(c, &server, host, &address.port) || *host == '/'))
        good = error_set(&err, ERROR_INVALID, "there is no host and port to ask");
    server_name = good ? dsn_option(&server.dsn, "tls_server_name") : NULL;
    address.tls = server.tls;
    at->identity = (struct tls_identity){.insecure = server.unsafe,
                                         .ca_pem = c->ca,
                                         .certificate_pem = c->certificate,
                                         .key_pem = c->key,
                                         .key_password = c->key_password,
                                         .server_name = arena_copy(poll_arena(poll), server_name)};
    dsn_done(&server.dsn);
    return good ? talk_open(poll, &address) : poll_fail_with(poll, &err);
}

static enum poll_next send(struct poll *poll, enum stage stage, struct text *packet)
{
    struct talk_place *at = poll_scratch(poll);

    talk_write(poll, packet->bytes, packet->length);
    explicit_bzero(packet->bytes, packet->length);
    text_done(packet);
    at->stage = stage;
    at->needed = 0;
    return talk_more(poll);
}

static enum poll_next send_query(struct poll *poll, enum stage stage, const char *sql)
{
    struct text packet;

    text_init(&packet, COMMAND_MAX_BYTES);
    clickhouse_query(&packet, sql);
    if (packet.overflowed) {
        text_done(&packet);
        return poll_fail(poll, ERROR_LIMIT, "the query is longer than %d bytes", COMMAND_MAX_BYTES);
    }
    return send(poll, stage, &packet);
}

static enum poll_next say_hello(const struct clickhouse *c, struct poll *poll)
{
    struct server server = {.http = false};
    struct text packet;
    struct error err;

    if (!find_server(c, &server, &err)) {
        dsn_done(&server.dsn);
        return poll_fail_with(poll, &err);
    }
    text_init(&packet, COMMAND_MAX_BYTES);
    clickhouse_hello(&packet, server.database, server.user, server.password);
    dsn_done(&server.dsn);
    return send(poll, STAGE_HELLO, &packet);
}

static bool is_own_word(const char *key)
{
    return dsn_word_in("username,password,database,secure,skip_verify,tls_server_name,compress,debug,dial_timeout,"
                       "read_timeout,write_timeout,http_path,protocol,max_open_conns,max_idle_conns,conn_max_lifetime,"
                       "connection_open_strategy,compress_level,block_buffer_size,max_compression_buffer,"
                       "client_info_product,http_proxy",
                       key);
}

/* The options of the string that are settings of the server, as one command; "" where there are none. */
static void write_settings(const struct clickhouse *c, struct text *out)
{
    struct server server = {.http = false};

    if (find_server(c, &server, NULL))
        for (size_t i = 0; i < server.dsn.option_count; i++) {
            const struct dsn_option *option = &server.dsn.options[i];

            if (is_own_word(option->key))
                continue;
            text_printf(out, "%s%s = '", out->length == 0 ? "SET " : ", ", option->key);
            for (const char *s = option->value; *s; s++)
                text_printf(out, *s == '\'' || *s == '\\' ? "\\%c" : "%c", *s);
            text_add(out, "'");
        }
    dsn_done(&server.dsn);
}

static enum poll_next refused(struct poll *poll, int32_t code, const char *message, size_t length, bool keep)
{
    static const int32_t denials[] = {192, 193, 194, 195, 291, 497, 516}; /* ErrorCodes.cpp: users, passwords, rights */
    static const int32_t passing[] = {159, 202, 209, 210, 241, 394};      /* time, sockets, memory, too many at once */
    enum error_kind kind = ERROR_NONSENSE;

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        kind = code == denials[i] ? ERROR_DENIED : kind;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        kind = code == passing[i] ? ERROR_UNREACHABLE : kind;
    if (keep)
        talk_keep(poll);
    return poll_fail(poll, kind, "ClickHouse refuses us (code %d): %.*s", code, (int)(length < 200 ? length : 200),
                     message);
}

/* What the first row says is worked out when it comes; the answer still has to be read to its end. */
static enum poll_next on_data(struct poll *poll, const struct clickhouse_packet *packet)
{
    struct talk_place *at = poll_scratch(poll);
    struct sql_answer answer = {
        .columns = packet->columns, .row = true, .text = packet->text, .length = packet->text_length};

    if (packet->columns > 0)
        at->columns = packet->columns;
    if (packet->columns > 1)
        return sql_end(poll, &answer, SQL_EMPTY_MISSING);
    if (packet->rows > 0 && !at->has_row) {
        at->has_row = true;
        at->state = sql_number(&answer, SQL_EMPTY_MISSING, &at->value, &at->error);
    }
    return talk_more(poll);
}

static enum poll_next on_end(const struct clickhouse *c, struct poll *poll)
{
    struct talk_place *at = poll_scratch(poll);
    struct session *session = talk_session(poll);
    struct text settings;
    enum poll_next next;

    if (at->stage == STAGE_QUERY) {
        if (!at->has_row)
            return sql_end(poll, &(struct sql_answer){.columns = at->columns}, SQL_EMPTY_MISSING);
        if (at->state == SAMPLE_OK)
            return poll_value(poll, at->value);
        if (at->state == SAMPLE_MISSING)
            return poll_missing(poll, SWITCH_UNSET, "%s", at->error.text);
        talk_keep(poll);
        return poll_fail_with(poll, &at->error);
    }
    text_init(&settings, COMMAND_MAX_BYTES);
    if (at->stage == STAGE_LIMITS)
        write_settings(c, &settings);
    session->greeted = settings.length == 0;
    next = session->greeted ? send_query(poll, STAGE_QUERY, c->query) : send_query(poll, STAGE_OPTIONS, settings.bytes);
    text_done(&settings);
    return next;
}

static enum poll_next on_packet(const struct clickhouse *c, struct poll *poll, enum clickhouse_kind kind,
                                const struct clickhouse_packet *packet)
{
    struct talk_place *at = poll_scratch(poll);
    char limits[64];

    if (kind == CLICKHOUSE_EXCEPTION && at->stage == STAGE_LIMITS)
        return on_end(c, poll); /* a user who may only read cannot set anything: our own deadline still holds */
    if (kind == CLICKHOUSE_EXCEPTION)
        return refused(poll, packet->code, packet->message, packet->message_length, at->stage == STAGE_QUERY);
    if ((kind == CLICKHOUSE_HELLO) != (at->stage == STAGE_HELLO))
        return poll_fail(poll, ERROR_NONSENSE, "ClickHouse answers something else than was asked for");
    if (kind == CLICKHOUSE_HELLO) {
        snprintf(limits, sizeof(limits), "SET max_execution_time = %d", QUERY_TIMEOUT_S);
        return send_query(poll, STAGE_LIMITS, limits);
    }
    if (kind == CLICKHOUSE_DATA && at->stage == STAGE_QUERY)
        return on_data(poll, packet);
    return kind == CLICKHOUSE_END ? on_end(c, poll) : talk_more(poll);
}

static enum poll_next talk(const void *config, struct poll *poll, const char *bytes, size_t length)
{
    const struct clickhouse *c = config;
    struct talk_place *at = poll_scratch(poll);
    enum poll_next next = POLL_WAITING;

    if (!bytes)
        return connect(c, poll);
    if (length == 0) { /* open, perhaps anew */
        at->has_row = false;
        at->columns = 0;
        return ((struct session *)talk_session(poll))->greeted ? send_query(poll, STAGE_QUERY, c->query)
                                                               : say_hello(c, poll);
    }
    while (next == POLL_WAITING && length > 0 && length >= at->needed) {
        struct clickhouse_packet packet;
        struct error err;
        enum clickhouse_kind kind = clickhouse_read(bytes, length, &packet, &err);

        if (kind == CLICKHOUSE_BAD)
            return poll_fail_with(poll, &err);
        at->needed = packet.needed;
        if (kind == CLICKHOUSE_MORE)
            return talk_more(poll);
        next = on_packet(c, poll, kind, &packet);
        talk_taken(poll, packet.used);
        bytes += packet.used;
        length -= packet.used;
    }
    return next;
}

/* ------------------------------------------------------------------ over HTTP */

/* {"meta":[{"name","type"}],"data":[["12"]]}: whole numbers of 64 bits come as texts. */
static enum poll_next on_json(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct tree *meta = tree_get(reply->json, "meta"), *data = tree_get(reply->json, "data");
    const struct tree *cell = tree_index(tree_index(data, 0), 0);
    struct sql_answer answer = {.columns = tree_count(meta), .row = tree_count(data) > 0};

    (void)config;
    if (!meta || !data)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not one of ClickHouse's (a FORMAT in the query?)");
    if (cell && cell->type != TREE_NULL) {
        answer.text = cell->type == TREE_NUMBER || cell->type == TREE_STRING ? cell->text : "";
        answer.length = cell->type == TREE_NUMBER || cell->type == TREE_STRING ? cell->length : 0;
    }
    return sql_end(poll, &answer, SQL_EMPTY_MISSING);
}

static enum poll_next ask_http(const struct clickhouse *c, struct poll *poll, const struct server *server)
{
    struct http_auth *auth = arena_alloc(poll_arena(poll), sizeof(*auth));
    struct secret *password = secret_new(server->password, strlen(server->password));
    const char *path = dsn_option(&server->dsn, "http_path");
    char host[DSN_HOST_BYTES] = "";
    struct request *r;
    int port = 0;

    find_host(c, server, host, &port);
    r = request_post(poll,
                     arena_printf(poll_arena(poll), strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
                                  server->dsn.scheme, host, port),
                     arena_printf(poll_arena(poll), "%s%s", path && *path == '/' ? "" : "/", path ? path : ""));
    request_query(r, "database", server->database);
    request_query(r, "default_format", "JSONCompact");
    for (size_t i = 0; i < server->dsn.option_count; i++)
        if (!is_own_word(server->dsn.options[i].key))
            request_query(r, server->dsn.options[i].key, server->dsn.options[i].value);
    request_body(r, "text/plain", c->query, strlen(c->query));
    request_timeout(r, QUERY_TIMEOUT_MS);
    *auth = (struct http_auth){.username = server->user,
                               .password = password,
                               .ca = c->ca,
                               .certificate = c->certificate,
                               .key = c->key,
                               .key_password = c->key_password,
                               .modes = HTTP_AUTH_BASIC | (c->certificate && c->key ? HTTP_AUTH_TLS : 0)};
    request_sign(r, auth, auth->modes, false, server->unsafe);
    auth->username = NULL; /* lives no longer than the connection string; both are in the signature now */
    auth->password = NULL;
    secret_unref(password);
    return poll_send(poll, r, on_json);
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    struct server server = {.http = false};
    struct error err;
    enum poll_next next;

    (void)none; /* nothing was asked yet */
    if (!find_server(config, &server, &err))
        next = poll_fail_with(poll, &err);
    else
        next = server.http ? ask_http(config, poll, &server) : talk(config, poll, NULL, 0);
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
    .scratch_size = sizeof(struct talk_place),
    .session_size = sizeof(struct session),
    .prepare = prepare,
    .destination = destination,
    .poll = ask,
    .talk = talk,
};

/*
 * mysql: the first column of the first row of a query, from MySQL or MariaDB. Facts: triggers/mysql.md.
 *
 * libmariadb looks up names and blocks, so all of this runs on a worker thread, on a connection that is a session. Its calls are the
 * ones that can be waited for (..._start, ..._cont), so that all steps of a poll have one deadline, however a server spreads its
 * bytes. A connection that the server dropped between two polls is replaced once; one that did not answer is not.
 *
 * The server is not trusted with more than the question: it may not ask for files of ours (LOCAL INFILE), nor for the password in
 * the clear unless the manifest says so, nor send rows larger than STREAM_REPLY_MAX_BYTES.
 */
#include <errmsg.h>
#include <errno.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "trigger/driver.h"
#include "trigger/dsn.h"
#include "trigger/pem_file.h"
#include "trigger/sql.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000,
    MYSQL_PORT_USUAL = 3306,
    CALL_STACK_BYTES =
        256 * 1024, /* of a call that waits: names are looked up and TLS is spoken on it; a tenth of it gets used */
    MYSQL_QUERY_TIMEOUT =
        3024,                /* MySQL's own word for ER_STATEMENT_TIMEOUT, which the header of MariaDB does not know */
    ROWS_SKIPPED_MAX = 1000, /* behind the first: with more it is cheaper to hang up than to read them */
};

struct mysql {
    struct trigger_config common;
    const struct secret *connection, *password;
    const char *host, *port, *user, *database, *query, *ca;
};
struct kept { /* a session */
    MYSQL *connection;
};

#define PARAM_STRUCT struct mysql
static const struct param params[] = {
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "SQL that yields one number, such as SELECT count(*) FROM jobs"},
    {"queryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"connectionString", PARAM_SECRET(connection), .from = "AE",
     .help = "user:password@tcp(host:3306)/database?tls=true; then nothing below is needed"},
    {"host", PARAM_TEXT(host), .from = "MA", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "MA", .help = "its port"},
    {"dbName", PARAM_TEXT(database), .from = "MA", .help = "database"},
    {"username", PARAM_TEXT(user), .from = "MAE", .help = "database user"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "may be empty"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM, for tls=true"},
    {"metricName", PARAM_IGNORED("the metric is named after the database")},
    {0},
};
#undef PARAM_STRUCT

/* ------------------------------------------------------------------ where the server is */

struct server {
    struct dsn dsn;
    char host[DSN_HOST_BYTES];
    int port;
    const char *socket; /* instead of both */
};

/* [user[:password]@][net[(address)]]/database[?key=value&...]: from the right, for a password may hold anything. */
static bool read_string(const char *text, struct server *server, struct error *err)
{
    struct dsn *dsn = &server->dsn;
    char *net = dsn_copy(dsn, text), *slash = strrchr(net, '/'), *at, *open, *options, *password;
    const char *address = "127.0.0.1";

    if (!slash)
        return error_set(err, ERROR_INVALID, "connectionString has no '/' before the database");
    *slash++ = '\0';
    options = strchr(slash, '?');
    if (options)
        *options++ = '\0';
    dsn_decode(slash);
    dsn->path = slash;
    at = strrchr(net, '@');
    if (at) {
        *at = '\0';
        dsn->user = net;
        password = strchr(net, ':');
        if (password)
            *password++ = '\0';
        dsn->password = password;
        net = at + 1;
    }
    open = strchr(net, '(');
    if (open) {
        if (!string_ends(open, ")"))
            return error_set(err, ERROR_INVALID, "the address in connectionString does not end with ')'");
        *open++ = '\0';
        open[strlen(open) - 1] = '\0';
        address = open;
    }
    if (strcmp(net, "unix") == 0)
        server->socket = open ? address : "/tmp/mysql.sock";
    else if (*net != '\0' && strcmp(net, "tcp") != 0)
        return error_set(err, ERROR_INVALID, "connectionString: there is no way \"%.20s\" to a server; write tcp", net);
    else if (!dsn_host(address, 0, MYSQL_PORT_USUAL, server->host, sizeof(server->host), &server->port) ||
             !server->port)
        return error_set(err, ERROR_INVALID, "connectionString has no host:port; write tcp(host:3306)");
    return dsn_read_options(dsn, options, '&', false, err);
}

static bool find_server(const struct mysql *c, struct server *server, struct error *err)
{
    memset(server, 0, sizeof(*server));
    if (c->connection)
        return read_string(secret_reveal(c->connection), server, err);
    server->port = c->port ? dsn_port(c->port) : MYSQL_PORT_USUAL;
    if (!c->host || strlen(c->host) >= sizeof(server->host) || server->port == 0)
        return error_set(err, ERROR_INVALID, "there is no host, or its port is not between 1 and 65535");
    snprintf(server->host, sizeof(server->host), "%s", c->host);
    server->dsn.user = c->user;
    server->dsn.password = c->password ? secret_reveal(c->password) : NULL;
    server->dsn.path = c->database;
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    const struct mysql *c = config;
    struct server server = {0};
    struct error err;

    if ((c->connection || c->host) && !find_server(c, &server, &err))
        check_warning(check, c->connection ? "connectionString" : "host", "mend it", "%s: every poll fails", err.text);
    else if (!c->connection && !c->host && !check_unknown(check, "connectionString") && !check_unknown(check, "host"))
        check_warning(check, "host", "give host, or connectionString",
                      "there is neither connectionString nor host: every poll fails");
    dsn_done(&server.dsn);
    return true;
}

static bool destination(const void *config, char *out, size_t size)
{
    struct server server;
    bool good = find_server(config, &server, NULL) &&
                (size_t)(server.socket ? snprintf(out, size, "%s", server.socket)
                                       : snprintf(out, size, "%s:%d", server.host, server.port)) < size;

    dsn_done(&server.dsn);
    return good;
}

/* As the original has it: all that follows the last '/' of the connection string, options included. */
static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct mysql *c = config;
    const char *slash = c->connection ? strrchr(secret_reveal(c->connection), '/') : NULL;

    (void)input;
    text_printf(out, "mysql-%s", c->connection ? (slash ? slash + 1 : "") : c->database ? c->database : "");
}

/* ------------------------------------------------------------------ on the worker thread */

static bool is_any_of(unsigned code, const unsigned *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code == codes[i])
            return true;
    return false;
}
#define ANY_OF(code, ...)                                                                                              \
    is_any_of(code, (const unsigned[]){__VA_ARGS__}, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

/* What the server, or the library, says against the connection. */
static enum error_kind kind_of_login(unsigned code)
{
    if (ANY_OF(code, ER_ACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
               ER_HOST_NOT_PRIVILEGED, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCESS_DENIED_CHANGE_USER_ERROR,
               ER_ACCOUNT_HAS_BEEN_LOCKED, CR_AUTH_PLUGIN_ERR, CR_PLUGIN_NOT_ALLOWED))
        return ERROR_DENIED;
    if (ANY_OF(code, ER_CON_COUNT_ERROR, ER_SERVER_SHUTDOWN, ER_HOST_IS_BLOCKED, ER_TOO_MANY_USER_CONNECTIONS,
               ER_USER_LIMIT_REACHED))
        return ERROR_UNREACHABLE;
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

/* What it says against a question is about this question: others who ask on the connection have nothing to do with it. */
static enum error_kind kind_of_refusal(unsigned code)
{
    if (code == ER_MUST_CHANGE_PASSWORD)
        return ERROR_DENIED;
    if (code == ER_STATEMENT_TIMEOUT || code == MYSQL_QUERY_TIMEOUT)
        return ERROR_LIMIT;
    if (ANY_OF(code, ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED))
        return ERROR_UNREACHABLE;
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

/* ------------------------------------------------------------------ on the worker thread: calls that wait */

/* Until there is what the library waits for, or the query's time is over, or the library's own. */
static int await(MYSQL *connection, int events, const struct query *query)
{
    struct pollfd fd = {.fd = mysql_get_socket(connection)};
    int64_t left = query_left_ms(query);
    int ready;

    fd.events = (short)((events & MYSQL_WAIT_READ ? POLLIN : 0) | (events & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                        (events & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
    if (events & MYSQL_WAIT_TIMEOUT && mysql_get_timeout_value_ms(connection) < left)
        left = mysql_get_timeout_value_ms(connection);
    do
        ready = query_is_over(query) ? 0 : poll(&fd, 1, (int)left);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return MYSQL_WAIT_TIMEOUT;
    return (fd.revents & POLLIN ? MYSQL_WAIT_READ : 0) | (fd.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
           (fd.revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0) |
           (fd.revents & (POLLERR | POLLHUP) ? events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE) : 0);
}

static bool send_command(MYSQL *connection, const char *sql, const struct query *query)
{
    int code, events = mysql_real_query_start(&code, connection, sql, strlen(sql));

    while (events)
        events = mysql_real_query_cont(&code, connection, await(connection, events, query));
    return code == 0;
}

static MYSQL_ROW fetch_row(MYSQL *connection, MYSQL_RES *result, const struct query *query)
{
    MYSQL_ROW row;
    int events = mysql_fetch_row_start(&row, result);

    while (events)
        events = mysql_fetch_row_cont(&row, result, await(connection, events, query));
    return row;
}

static bool next_result(MYSQL *connection, const struct query *query)
{
    int code, events = mysql_next_result_start(&code, connection);

    while (events)
        events = mysql_next_result_cont(&code, connection, await(connection, events, query));
    return code == 0;
}

/* ------------------------------------------------------------------ on the worker thread: connecting */

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (kept->connection)
        mysql_close(kept->connection);
    kept->connection = NULL;
}

static void begin_library(void)
{
    mysql_server_init(0, NULL, NULL);
}

enum tls_wish { TLS_NONE, TLS_CHECKED, TLS_UNCHECKED, TLS_PREFERRED, TLS_NO_SUCH };

static enum tls_wish tls_wish(const struct dsn *dsn)
{
    static const char *const words[] = {"false", "true", "skip-verify", "preferred"};
    const char *said = dsn_option(dsn, "tls");

    if (!said)
        return TLS_NONE;
    for (int i = TLS_NONE; i < TLS_NO_SUCH; i++)
        if (strcmp(said, words[i]) == 0)
            return (enum tls_wish)i;
    return TLS_NO_SUCH;
}

static void set_tls(MYSQL *connection, enum tls_wish wish, const char *ca_file)
{
    my_bool yes = 1, checked = wish == TLS_CHECKED;

    if (wish == TLS_NONE)
        return;
    mysql_ssl_set(connection, NULL, NULL, ca_file, checked ? X509_get_default_cert_dir() : NULL, NULL);
    mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &checked);
    if (wish != TLS_PREFERRED)
        mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &yes);
}

/* Of a time-out in the string (a Go duration) and ours the shorter; whole seconds, at least one. */
static unsigned timeout_s(const struct dsn *dsn, const char *key, int64_t ours_ms)
{
    const char *said = dsn_option(dsn, key);
    int64_t ns, ms = ours_ms;

    if (said && duration_parse_ns(said, strlen(said), &ns) && ns > 0 && ns / 1000000 < ms)
        ms = ns / 1000000;
    return ms < 1000 ? 1 : (unsigned)(ms / 1000);
}

static bool is_true(const struct dsn *dsn, const char *key)
{
    const char *said = dsn_option(dsn, key);

    return said && dsn_word_in("true,1", said);
}

static void set_options(MYSQL *connection, const struct server *server, int64_t timeout_ms)
{
    unsigned connect_s = timeout_s(&server->dsn, "timeout", timeout_ms * 2 / 5);
    unsigned read_s = timeout_s(&server->dsn, "readTimeout", timeout_ms / 2);
    unsigned write_s = timeout_s(&server->dsn, "writeTimeout", timeout_ms / 2);
    unsigned no_files = 0, protocol = server->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned long largest = STREAM_REPLY_MAX_BYTES;
    const char *charset = dsn_option(&server->dsn, "charset");
    size_t stack_bytes = CALL_STACK_BYTES;

    mysql_options(connection, MYSQL_OPT_NONBLOCK, &stack_bytes);
    mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(connection, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mysql_options(connection, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_options(connection, MYSQL_OPT_LOCAL_INFILE, &no_files);
    mysql_options(connection, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(connection, MYSQL_OPT_MAX_ALLOWED_PACKET, &largest);
    /* others ask this machine who it is (auth_gssapi_client), or whoever sits at its terminal (dialog) */
    mysql_options(
        connection, MARIADB_OPT_RESTRICTED_AUTH,
        is_true(&server->dsn, "allowCleartextPasswords")
            ? "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,mysql_clear_password"
            : "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519");
    if (is_true(&server->dsn, "compress"))
        mysql_options(connection, MYSQL_OPT_COMPRESS, NULL);
    if (charset && strlen(charset) < 40)
        mysql_options(connection, MYSQL_SET_CHARSET_NAME, strcmp(charset, "utf8") == 0 ? "utf8mb4" : charset);
}

/* What the driver of the original keeps to itself; everything else in the string is a variable of the session. */
static const char own_words[] =
    "tls,timeout,readTimeout,writeTimeout,charset,collation,compress,multiStatements,serverPubKey,allowNativePasswords,"
    "parseTime,loc,allowOldPasswords,interpolateParams,allowCleartextPasswords,rejectReadOnly,clientFoundRows,"
    "connectionAttributes,columnsWithAlias,checkConnLiveness,allowAllFiles,maxAllowedPacket,timeTruncate,"
    "allowFallbackToPlaintext";

/* What is set gives no rows: a server that sends some anyway, perhaps without end, is not listened to. */
static bool say(MYSQL *connection, const char *command, const struct query *query)
{
    return send_command(connection, command, query) && mysql_field_count(connection) == 0;
}

static bool set_variables(MYSQL *connection, const struct dsn *dsn, const struct query *query)
{
    char command[512];
    size_t at = 0;

    snprintf(command, sizeof(command), "SET SESSION max_statement_time=%.3f", (double)query->timeout_ms / 2000);
    if (!say(connection, command,
             query)) { /* MariaDB's; MySQL has its own, and what has neither is bound by our reading */
        snprintf(command, sizeof(command), "SET SESSION max_execution_time=%lld", (long long)query->timeout_ms / 2);
        say(connection, command, query);
    }
    for (const struct dsn_option *option; (option = dsn_option_but(dsn, own_words, &at));) {
        dsn_decode((char *)option->value);
        if ((size_t)snprintf(command, sizeof(command), "SET %s=%s", option->key, option->value) >= sizeof(command) ||
            !say(connection, command, query))
            return false;
    }
    return true;
}

static bool log_in(MYSQL *connection, const struct server *server, const struct query *query)
{
    const struct dsn *dsn = &server->dsn;
    unsigned long flags = is_true(dsn, "multiStatements") ? CLIENT_MULTI_STATEMENTS : 0;
    MYSQL *connected;
    int events = mysql_real_connect_start(
        &connected, connection, server->socket ? NULL : server->host, dsn->user, dsn->password ? dsn->password : "",
        dsn->path && *dsn->path ? dsn->path : NULL, (unsigned)server->port, server->socket, flags);

    while (events)
        events = mysql_real_connect_cont(&connected, connection, await(connection, events, query));
    return connected != NULL;
}

static bool connect_to(const struct mysql *c, const struct server *server, struct kept *kept, struct query *query)
{
    enum tls_wish wish = tls_wish(&server->dsn);
    struct pem_file ca = {.fd = -1};
    bool good;

    if (wish == TLS_NO_SUCH)
        return query_fail(query, ERROR_INVALID, "tls in connectionString is true, false, skip-verify or preferred", "");
    if (!server->dsn.user || !*server->dsn.user)
        return query_fail(query, ERROR_INVALID, "no user is given; the library would take the name that Weir runs as",
                          "");
    if (c->ca && wish == TLS_CHECKED && !pem_file_open(&ca, (const char *const[]){c->ca, NULL}, &query->error))
        return false;
    kept->connection = mysql_init(NULL);
    set_options(kept->connection, server, query_left_ms(query));
    set_tls(kept->connection, wish, ca.fd >= 0 ? ca.path : NULL);
    good = log_in(kept->connection, server, query);
    pem_file_close(&ca);
    if (!good)
        query_fail(query, kind_of_login(mysql_errno(kept->connection)), "MySQL lets us not in",
                   mysql_error(kept->connection));
    else if (!(good = set_variables(kept->connection, &server->dsn, query)))
        query_fail(query, ERROR_INVALID, "MySQL refuses a variable in connectionString", mysql_error(kept->connection));
    if (!good)
        hang_up(kept);
    return good;
}

static bool open_connection(const struct mysql *c, struct kept *kept, struct query *query)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct server server;
    bool good;

    pthread_once(&once, begin_library);
    good = find_server(c, &server, &query->error) && connect_to(c, &server, kept, query);
    dsn_done(&server.dsn);
    return good;
}

/* Bits come as bytes, and one of those can look like a digit. */
static void read_row(MYSQL *connection, MYSQL_RES *result, struct query *query)
{
    MYSQL_ROW row = fetch_row(connection, result, query);
    unsigned long *lengths = row ? mysql_fetch_lengths(result) : NULL;
    struct sql_answer answer = {.columns = mysql_num_fields(result), .row = row != NULL};

    if (row && row[0] && mysql_fetch_field_direct(result, 0)->type == MYSQL_TYPE_BIT) {
        query_fail(query, ERROR_NONSENSE, "the query gives bits; write + 0 behind the column", "");
        return;
    }
    answer.text = row ? row[0] : NULL;
    answer.length = lengths ? lengths[0] : 0;
    sql_answer(query, &answer, SQL_EMPTY_FAILS);
}

static void give_up(struct kept *kept, MYSQL_RES *result)
{
    shutdown(mysql_get_socket(kept->connection),
             SHUT_RDWR); /* else freeing the result would read all that is left of it */
    mysql_free_result(result);
    hang_up(kept);
}

/* Rows behind the first, and further results (a procedure has one), are read off, or the connection is given up. */
static void drain(struct kept *kept, MYSQL_RES *result, const struct query *query)
{
    int skipped = 0;

    for (;;) {
        while (result && skipped <= ROWS_SKIPPED_MAX && fetch_row(kept->connection, result, query))
            skipped++;
        if (skipped > ROWS_SKIPPED_MAX || mysql_errno(kept->connection)) {
            give_up(kept, result);
            return;
        }
        mysql_free_result(result);
        if (!mysql_more_results(kept->connection))
            return;
        if (!next_result(kept->connection, query)) {
            give_up(kept, NULL);
            return;
        }
        result = mysql_use_result(kept->connection);
        skipped++;
    }
}

/* false: the connection was gone before it could be asked, another one may do. */
static bool ask_once(const struct mysql *c, struct kept *kept, struct query *query)
{
    bool sent = send_command(kept->connection, c->query, query);
    MYSQL_RES *result = sent ? mysql_use_result(kept->connection) : NULL;
    unsigned code = mysql_errno(kept->connection);

    if (result) {
        read_row(kept->connection, result, query);
        code = mysql_errno(kept->connection);
        if (code)
            query_fail(query, kind_of_refusal(code), "MySQL breaks off its answer", mysql_error(kept->connection));
        drain(kept, result, query);
        return true;
    }
    if (code == 0) {
        query_fail(query, ERROR_NONSENSE, "the query gives no result; it has to be a SELECT", "");
        return true;
    }
    query_fail(query, kind_of_refusal(code), "MySQL refuses the query", mysql_error(kept->connection));
    if (kind_of_refusal(code) == ERROR_UNREACHABLE)
        hang_up(kept);
    return kept->connection != NULL;
}

static void run(const void *config, struct query *query)
{
    struct kept *kept = query->memory;
    bool was_kept = kept->connection != NULL;

    query->state = SAMPLE_FAILED;
    if (!kept->connection && !open_connection(config, kept, query))
        return;
    if (ask_once(config, kept, query) || !was_kept || !query_may_retry(query))
        return;
    if (open_connection(config, kept, query))
        ask_once(config, kept, query);
}

TRIGGER(mysql) = {
    .type = "mysql",
    .summary = "a number read from MySQL or MariaDB by a query",
    .about = "The first column of the first row of the query. No row, NULL, several columns, bits, dates and texts "
             "that are no "
             "number are failures, never 0: write count(*) or coalesce(..., 0), which always give a number.",
    .example = "metadata:\n"
               "  host: mysql.shop.svc\n"
               "  port: \"3306\"\n"
               "  username: weir\n"
               "  dbName: jobs\n"
               "  query: SELECT count(*) FROM jobs WHERE state = 'waiting'\n"
               "  queryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally =
        "mariadb-install-db --no-defaults --datadir=/tmp/my --auth-root-authentication-method=normal\n"
        "mariadbd --no-defaults --datadir=/tmp/my --bind-address=127.0.0.1 --port=3306 --socket=/tmp/my/my.sock &\n"
        "mariadb --no-defaults --socket=/tmp/my/my.sock -u root -e \"CREATE DATABASE jobs; CREATE TABLE jobs.jobs "
        "(state "
        "text); GRANT SELECT ON jobs.* TO weir@localhost IDENTIFIED BY 's3cret'\"\n",
    .params = params,
    .config_size = sizeof(struct mysql),
    .session_size = sizeof(struct kept),
    .timeout_ms = QUERY_TIMEOUT_MS,
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .hang_up = hang_up,
    .query = run,
};

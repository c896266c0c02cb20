/*
 * mysql: the first column of the first row of a query, from MySQL or MariaDB. Facts: triggers/mysql.md.
 *
 * libmariadb blocks, so all of this runs on a worker thread, on a connection that is a session; all steps of a poll have one deadline
 * (trigger/family/mysql_client.h). A connection that the server dropped between two polls is replaced once; one that did not answer is not.
 */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "base/text.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/mysql_client.h"
#include "trigger/family/mysql_server.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000,
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

static bool find_server(const struct mysql *c, struct mysql_server *server, struct error *err)
{
    memset(server, 0, sizeof(*server));
    if (c->connection)
        return mysql_server_read(secret_reveal(c->connection), server, err);
    server->port = c->port ? dsn_port(c->port) : MYSQL_PORT_USUAL;
    if (!c->host || strlen(c->host) >= sizeof(server->host) || server->port == 0)
        return error_set(err, ERROR_INVALID, "there is no host, or its port is not between 1 and 65535");
    if (!mysql_host_is_name(c->host))
        return error_set(err, ERROR_INVALID,
                         "the host holds something that no name does; write a name or an address alone, and options "
                         "into connectionString");
    snprintf(server->host, sizeof(server->host), "%s", c->host);
    server->dsn.user = c->user;
    server->dsn.password = c->password ? secret_reveal(c->password) : NULL;
    server->dsn.path = c->database;
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    const struct mysql *c = config;
    struct mysql_server server = {0};
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
    struct mysql_server server;
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

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (kept->connection)
        mariadb.mysql_close(kept->connection);
    kept->connection = NULL;
}

static bool open_connection(const struct mysql *c, struct kept *kept, struct query *query)
{
    struct mysql_server server;

    if (find_server(c, &server, &query->error))
        kept->connection = mysql_client_open(&server, c->ca, query);
    dsn_done(&server.dsn);
    return kept->connection != NULL;
}

/* What it says against a question is about this question: others who ask on the connection have nothing to do with it. */
static enum error_kind kind_of(unsigned code)
{
    if (code == ER_MUST_CHANGE_PASSWORD)
        return ERROR_DENIED;
    if (code == ER_STATEMENT_TIMEOUT || code == MYSQL_QUERY_TIMEOUT)
        return ERROR_LIMIT;
    if (code == ER_SERVER_SHUTDOWN || code == ER_CONNECTION_KILLED)
        return ERROR_UNREACHABLE;
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

/* Bits come as bytes, and one of those can look like a digit. */
static void read_row(MYSQL *connection, MYSQL_RES *result, struct query *query)
{
    MYSQL_ROW row = mysql_client_row(connection, result, query);
    unsigned long *lengths = row ? mariadb.mysql_fetch_lengths(result) : NULL;
    struct sql_answer answer = {.columns = mariadb.mysql_num_fields(result), .row = row != NULL};

    if (row && row[0] && mariadb.mysql_fetch_field_direct(result, 0)->type == MYSQL_TYPE_BIT) {
        query_fail(query, ERROR_NONSENSE, "the query gives bits; write + 0 behind the column", "");
        return;
    }
    answer.text = row ? row[0] : NULL;
    answer.length = lengths ? lengths[0] : 0;
    sql_answer(query, &answer, SQL_EMPTY_FAILS);
}

static void give_up(struct kept *kept, MYSQL_RES *result)
{
    shutdown(mariadb.mysql_get_socket(kept->connection),
             SHUT_RDWR); /* else freeing the result would read all that is left of it */
    mariadb.mysql_free_result(result);
    hang_up(kept);
}

/* Rows behind the first, and further results (a procedure has one), are read off, or the connection is given up. */
static void drain(struct kept *kept, MYSQL_RES *result, const struct query *query)
{
    int skipped = 0;

    for (;;) {
        while (result && skipped <= ROWS_SKIPPED_MAX && mysql_client_row(kept->connection, result, query))
            skipped++;
        if (skipped > ROWS_SKIPPED_MAX || mariadb.mysql_errno(kept->connection)) {
            give_up(kept, result);
            return;
        }
        mariadb.mysql_free_result(result);
        if (!mariadb.mysql_more_results(kept->connection))
            return;
        if (!mysql_client_next(kept->connection, query)) {
            give_up(kept, NULL);
            return;
        }
        result = mariadb.mysql_use_result(kept->connection);
        skipped++;
    }
}

/* false: the connection was gone before it could be asked, another one may do. */
static bool ask_once(const struct mysql *c, struct kept *kept, struct query *query)
{
    bool sent = mysql_client_send(kept->connection, c->query, query);
    MYSQL_RES *result = sent ? mariadb.mysql_use_result(kept->connection) : NULL;
    unsigned code = mariadb.mysql_errno(kept->connection);

    if (result) {
        read_row(kept->connection, result, query);
        code = mariadb.mysql_errno(kept->connection);
        if (code)
            query_fail(query, kind_of(code), "MySQL breaks off its answer", mariadb.mysql_error(kept->connection));
        drain(kept, result, query);
        return true;
    }
    if (code == 0) {
        query_fail(query, ERROR_NONSENSE, "the query gives no result; it has to be a SELECT", "");
        return true;
    }
    query_fail(query, kind_of(code), "MySQL refuses the query", mariadb.mysql_error(kept->connection));
    if (kind_of(code) == ERROR_UNREACHABLE)
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
        "apt-get install mariadb-server\n"
        "mariadb-install-db --no-defaults --user=$(id -un) --datadir=/tmp/my --auth-root-authentication-method=normal\n"
        "mariadbd --no-defaults --user=$(id -un) --datadir=/tmp/my --bind-address=127.0.0.1 --port=3306 "
        "--socket=/tmp/my/my.sock &\n"
        "mariadb --no-defaults --socket=/tmp/my/my.sock -u root -e \"CREATE DATABASE jobs; CREATE TABLE jobs.jobs "
        "(state "
        "text); GRANT SELECT ON jobs.* TO weir@localhost IDENTIFIED BY 's3cret'\"\n"
        "weir probe jobs.yaml      # host: localhost\n",
    .params = params,
    .config_size = sizeof(struct mysql),
    .session_size = sizeof(struct kept),
    .timeout_ms = QUERY_TIMEOUT_MS,
    .library = &mariadb_library,
    .prepare = prepare,
    .metric_name = metric_name,
    .destination = destination,
    .hang_up = hang_up,
    .query = run,
};

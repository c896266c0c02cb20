/*
 * postgresql: the first column of the first row of a query. Facts: triggers/postgresql.md.
 *
 * libpq looks up names and blocks, so all of this runs on a worker thread, and still waits by itself: the library would take in
 * whatever a server sends, for as long as it sends. The connection is the session's: other triggers that sign in to the same
 * database as the same user ask on it, too. A broken one is replaced once before the poll fails. Connecting, a statement, and a
 * silence of the network each have their time: a server that hangs costs one slot for a few seconds, not for ever.
 *
 * Only a real number is a value. No rows, NULL, two columns or a text that is no number are failures, never 0.
 */
#include <ctype.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "trigger/driver.h"
#include "trigger/dsn.h"
#include "trigger/sql.h"

enum { QUERY_TIMEOUT_MS = 10 * 1000, KEYWORDS_MAX = 16, USUAL_PORT = 5432 };

#define SLOW_QUERY "57014" /* the SQLSTATE of a statement_timeout: says nothing about the server */

struct postgresql {
    struct trigger_config common;
    const struct secret *connection, *password;
    const char *host, *port, *user, *database, *ssl_mode, *query;
    bool identity; /* signed in to by a cloud's identity, which is not built in */
};
struct kept { /* a session */
    PGconn *connection;
};

#define PARAM_STRUCT struct postgresql
static const struct param params[] = {
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "SQL that yields one number, such as SELECT count(*) FROM jobs"},
    {"targetQueryValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET,
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activationTargetQueryValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"connection", PARAM_SECRET(connection), .from = "AE",
     .help = "keyword=value text or postgres:// URL; then nothing below is needed"},
    {"host", PARAM_TEXT(host), .from = "AM", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "AM", .help = "its port"},
    {"userName", PARAM_TEXT(user), .from = "AM", .help = "database user"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "may be empty"},
    {"dbName", PARAM_TEXT(database), .from = "AM", .help = "database"},
    {"sslmode", PARAM_TEXT(ssl_mode), .from = "AM",
     .help = "disable, allow, prefer, require, verify-ca or verify-full"},
    {0},
};
#undef PARAM_STRUCT

static bool check_parts(struct postgresql *c, struct trigger_check *check)
{
    const struct {
        const char *name, *value;
    } parts[] = {
        {"host", c->host}, {"port", c->port}, {"userName", c->user}, {"dbName", c->database}, {"sslmode", c->ssl_mode}};
    bool good = true;

    if (c->connection || check_unknown(check, "connection"))
        return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!parts[i].value && !check_unknown(check, parts[i].name))
            good = check_error(check, parts[i].name, "give it here or in the TriggerAuthentication, or give connection",
                               "%s is needed where there is no connection", parts[i].name);
    return good;
}

static bool prepare(void *config, struct trigger_check *check)
{
    static const char *const modes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    struct postgresql *c = config;
    const char *provider = check_pod_identity(check);
    bool good = check_parts(c, check), known = !c->ssl_mode;

    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good = check_error(check, "targetQueryValue", "write the value one replica should carry",
                           "targetQueryValue has to be given, and not 0");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && !known; i++)
        known = strcmp(c->ssl_mode, modes[i]) == 0;
    if (!known)
        check_warning(check, "sslmode", "write disable, allow, prefer, require, verify-ca or verify-full",
                      "sslmode: there is no mode \"%.40s\", every poll fails", c->ssl_mode);
    c->identity = provider && (strcmp(provider, "azure-workload") == 0 || !c->connection);
    if (c->identity)
        check_warning(check, NULL, "use a password",
                      "signing in with pod identity %s is not built in: every poll fails", provider);
    return good;
}

/* libpq's lists: the i-th port belongs to the i-th host, one port to all. */
static int port_at(const char *ports, size_t index)
{
    char digits[8] = "";
    size_t length;

    for (const char *next; ports && index > 0 && (next = strchr(ports, ',')); index--)
        ports = next + 1;
    length = ports ? strcspn(ports, ",") : 0;
    if (length == 0 || length >= sizeof(digits))
        return USUAL_PORT;
    memcpy(digits, ports, length);
    return dsn_port(digits);
}

static void add_hosts(struct destinations *out, const char *hosts, const char *ports)
{
    char host[DSN_HOST_BYTES];

    for (size_t i = 0; hosts; i++) {
        size_t length = strcspn(hosts, ",");
        bool is_socket = hosts[0] == '/' || hosts[0] == '@';

        snprintf(host, sizeof(host), "%.*s", (int)length, hosts);
        destinations_add(out, host, is_socket ? 0 : port_at(ports, i));
        hosts = hosts[length] ? hosts + length + 1 : NULL;
    }
}

/* hostaddr is where libpq goes where both are given, and host whose certificate it expects there: both count. */
static void destinations(const void *config, struct destinations *out)
{
    const struct postgresql *c = config;
    const char *host = c->host, *address = NULL, *port = c->port;
    PQconninfoOption *options = c->connection ? PQconninfoParse(secret_reveal(c->connection), NULL) : NULL;

    if (c->connection)
        host = port = NULL;
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        host = strcmp(o->keyword, "host") == 0 ? o->val : host;
        address = strcmp(o->keyword, "hostaddr") == 0 ? o->val : address;
        port = strcmp(o->keyword, "port") == 0 ? o->val : port;
    }
    add_hosts(out, host, port);
    add_hosts(out, address, port);
    PQconninfoFree(options);
}

/* ------------------------------------------------------------------ on the worker thread: within bounds */

/* What a call may take: time, and bytes. libpq keeps whatever the server sends, and waits for the end of it while more comes. */
struct budget {
    int64_t until_ticks_ms;
    size_t bytes;
    enum { LEFT, NO_TIME, NO_ROOM } state;
};

static struct budget budget_for(int64_t timeout_ms)
{
    return (struct budget){.until_ticks_ms = query_ticks_ms() + timeout_ms, .bytes = STREAM_REPLY_MAX_BYTES};
}

static bool await(const PGconn *connection, short events, struct budget *budget)
{
    struct pollfd fd = {.fd = PQsocket(connection), .events = events};
    int64_t left = budget->until_ticks_ms - query_ticks_ms();
    int waiting = 0;

    if (left <= 0 || poll(&fd, 1, (int)left) <= 0) {
        budget->state = NO_TIME;
        return false;
    }
    if ((fd.revents & POLLIN) && ioctl(fd.fd, FIONREAD, &waiting) == 0) {
        if ((size_t)waiting > budget->bytes) {
            budget->state = NO_ROOM;
            return false;
        }
        budget->bytes -= (size_t)waiting;
    }
    return true;
}

static bool over_budget(struct query *query, const struct budget *budget, const char *what)
{
    if (budget->state == NO_ROOM)
        return query_fail(query, ERROR_LIMIT, what, "it sends more than 1 MiB (STREAM_REPLY_MAX_BYTES)");
    return query_fail(query, ERROR_UNREACHABLE, what, "timeout: it did not answer in time");
}

/* The next result; NULL: there is none any more, or the budget says so. */
static PGresult *next_result(PGconn *connection, struct budget *budget)
{
    while (PQisBusy(connection))
        if (!await(connection, POLLIN, budget) || !PQconsumeInput(connection))
            return NULL;
    return PQgetResult(connection);
}

static void close_connection(struct kept *kept)
{
    PQfinish(kept->connection);
    kept->connection = NULL;
}

/* ------------------------------------------------------------------ on the worker thread: connecting */

static bool is_denial(const char *message)
{
    return strstr(message, "authentication failed") || strstr(message, "no password supplied") ||
           strstr(message, "pg_hba.conf") || (strstr(message, "role \"") && strstr(message, "does not exist"));
}

/* Later keywords win in libpq: what is ours comes after what the connection text says. */
static PGconn *begin_connect(const struct postgresql *c, int64_t timeout_ms)
{
    const char *keywords[KEYWORDS_MAX], *values[KEYWORDS_MAX];
    char silence[32];
    size_t n = 0;

    snprintf(silence, sizeof(silence), "%lld", (long long)timeout_ms);
#define ADD(keyword, value) (keywords[n] = (keyword), values[n++] = (value))
    if (c->connection) {
        ADD("dbname", secret_reveal(c->connection));
    } else {
        ADD("host", c->host);
        ADD("port", c->port);
        ADD("user", c->user);
        ADD("dbname", c->database);
        ADD("sslmode", c->ssl_mode);
        if (c->password)
            ADD("password", secret_reveal(c->password));
    }
    ADD("tcp_user_timeout", silence); /* a connection whose other end is gone without a word */
    ADD("fallback_application_name", "weir");
#undef ADD
    keywords[n] = values[n] = NULL;
    return PQconnectStartParams(keywords, values, c->connection != NULL);
}

static bool not_connected(struct kept *kept, struct query *query, const struct budget *budget)
{
    const char *why = PQerrorMessage(kept->connection);
    bool invalid = strncmp(why, "invalid", 7) == 0; /* libpq does not understand the connection text */

    if (budget->state != LEFT)
        over_budget(query, budget, "PostgreSQL cannot be reached");
    else if (invalid)
        query_fail(query, ERROR_INVALID,
                   "libpq refuses the connection text (server settings go into options='-c name=value')", why);
    else
        query_fail(query, is_denial(why) ? ERROR_DENIED : ERROR_UNREACHABLE, "PostgreSQL cannot be reached", why);
    close_connection(kept);
    return false;
}

/* A pooler may refuse it; our own deadline still holds. */
static void set_statement_timeout(struct kept *kept, int64_t timeout_ms, struct budget *budget)
{
    char command[64];

    snprintf(command, sizeof(command), "SET statement_timeout = %lld", (long long)timeout_ms * 3 / 4);
    if (!PQsendQuery(kept->connection, command))
        return;
    for (PGresult *result; (result = next_result(kept->connection, budget));)
        PQclear(result);
}

static bool open_connection(const struct postgresql *c, struct kept *kept, struct query *query)
{
    struct budget budget = budget_for(query->timeout_ms / 2);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    kept->connection = begin_connect(c, query->timeout_ms);
    if (PQstatus(kept->connection) == CONNECTION_BAD)
        next = PGRES_POLLING_FAILED;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!await(kept->connection, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, &budget))
            break;
        next = PQconnectPoll(kept->connection);
    }
    if (next != PGRES_POLLING_OK)
        return not_connected(kept, query, &budget);
    set_statement_timeout(kept, query->timeout_ms, &budget);
    return budget.state == LEFT || not_connected(kept, query, &budget);
}

/* ------------------------------------------------------------------ on the worker thread: asking */

static void read_number(const PGresult *result, struct query *query)
{
    struct sql_answer answer = {.columns = (size_t)PQnfields(result), .row = PQntuples(result) > 0};

    if (answer.row && answer.columns > 0 && !PQgetisnull(result, 0, 0)) {
        answer.text = PQgetvalue(result, 0, 0);
        answer.length = (size_t)PQgetlength(result, 0, 0);
    }
    sql_answer(query, &answer, SQL_EMPTY_FAILS);
}

static void refused(const PGresult *result, bool alive, struct query *query)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE), *why = PQresultErrorMessage(result);

    query_fail(query,
               state && strncmp(state, "28", 2) == 0               ? ERROR_DENIED
               : state && strcmp(state, SLOW_QUERY) == 0           ? ERROR_LIMIT
               : !alive || (state && strncmp(state, "57", 2) == 0) ? ERROR_UNREACHABLE
                                                                   : ERROR_NONSENSE,
               "PostgreSQL refuses the query", why ? why : "");
}

/* Others ask on this connection next: what a query set, locked or left open is not theirs. */
static bool leaves_traces(const struct postgresql *c, const PGconn *connection)
{
    if (PQtransactionStatus(connection) != PQTRANS_IDLE || strcasestr(c->query, "advisory_lock"))
        return true;
    for (const char *at = c->query; (at = strcasestr(at, "set")); at += strlen("set"))
        if ((at == c->query || !(isalnum((unsigned char)at[-1]) || at[-1] == '_')) && !isalnum((unsigned char)at[3]))
            return true;
    return false;
}

/* The first row is the answer. What else there is may be long: it is not read, and the connection is given up instead. */
static void take_results(struct kept *kept, struct query *query, struct budget *budget)
{
    bool answered = false;

    for (PGresult *result; (result = next_result(kept->connection, budget));) {
        ExecStatusType status = PQresultStatus(result);
        bool is_row = status == PGRES_SINGLE_TUPLE, more = is_row && answered;

        if (is_row || (status == PGRES_TUPLES_OK && !answered)) {
            if (!more)
                read_number(result, query);
        } else if (status != PGRES_TUPLES_OK) {
            refused(result, PQstatus(kept->connection) == CONNECTION_OK, query);
        }
        answered = true;
        PQclear(result);
        if (more)
            return;
    }
    if (!answered && budget->state != LEFT)
        over_budget(query, budget, "PostgreSQL's answer");
    else if (!answered)
        query_fail(query, ERROR_UNREACHABLE, "PostgreSQL ended the connection", PQerrorMessage(kept->connection));
}

/* true: this is the outcome; false: the connection was dead, another one may do. */
static bool ask_once(const struct postgresql *c, struct kept *kept, struct query *query)
{
    struct budget budget = budget_for(query->timeout_ms);
    bool alive;

    if (PQsendQueryParams(kept->connection, c->query, 0, NULL, NULL, NULL, NULL, 0)) {
        PQsetSingleRowMode(kept->connection);
        take_results(kept, query, &budget);
    } else {
        query_fail(query, ERROR_UNREACHABLE, "PostgreSQL takes no question", PQerrorMessage(kept->connection));
    }
    alive = PQstatus(kept->connection) == CONNECTION_OK;
    if (!alive || leaves_traces(c, kept->connection))
        close_connection(kept);
    return alive;
}

/* Anything else would be a database's name to libpq, on whatever server it finds by itself. */
static bool is_connection_text(const char *text)
{
    return strchr(text, '=') || string_starts(text, "postgres://") || string_starts(text, "postgresql://");
}

static void run(const void *config, struct query *query)
{
    const struct postgresql *c = config;
    struct kept *kept = query->memory;
    bool was_kept = kept->connection != NULL;

    if (c->identity) {
        query_fail(query, ERROR_INVALID, "signing in with a pod identity is not built in; use a password", "");
        return;
    }
    if (c->connection && !is_connection_text(secret_reveal(c->connection))) {
        query_fail(query, ERROR_INVALID, "connection is neither key=value pairs nor a postgres:// address", "");
        return;
    }
    if (!kept->connection && !open_connection(c, kept, query))
        return;
    if (ask_once(c, kept, query) || !was_kept)
        return;
    if (open_connection(c, kept, query))
        ask_once(c, kept, query);
}

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (kept->connection)
        close_connection(kept);
}

TRIGGER(postgresql) = {
    .type = "postgresql",
    .summary = "a number read from PostgreSQL by a query",
    .about = "The first column of the first row of the query. No row, NULL and what is no number are failures, never "
             "0: write count(*) or "
             "coalesce(..., 0), which always give a number. All objects with the same server and user share a few "
             "connections.",
    .example = "metadata:\n"
               "  host: postgres.shop.svc\n"
               "  port: \"5432\"\n"
               "  userName: weir\n"
               "  dbName: shop\n"
               "  sslmode: require\n"
               "  query: SELECT count(*) FROM jobs WHERE state = 'waiting'\n"
               "  targetQueryValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally =
        "docker run -p 127.0.0.1:5432:5432 -e POSTGRES_PASSWORD=s3cret postgres:17\n"
        "psql -h localhost -U postgres -c \"CREATE TABLE jobs (state text); INSERT INTO jobs VALUES ('waiting')\"\n"
        "weir probe jobs.yaml      # host: localhost, userName: postgres, dbName: postgres, sslmode: disable\n",
    .metric = "postgresql",
    .params = params,
    .config_size = sizeof(struct postgresql),
    .session_size = sizeof(struct kept),
    .timeout_ms = QUERY_TIMEOUT_MS,
    .prepare = prepare,
    .destinations = destinations,
    .hang_up = hang_up,
    .query = run,
};

/*
 * postgresql: the first column of the first row of a query. Facts: triggers/postgresql.md.
 *
 * libpq looks up names and blocks, so all of this runs on a worker thread, and still waits by itself: the library would take in
 * whatever a server sends, for as long as it sends. The connection is the session's: other triggers that sign in to the same
 * database as the same user ask on it, too. A broken one is replaced once before the poll fails. All steps of a poll have one deadline,
 * and a statement and a silence of the network their own times: a server that hangs costs one slot for a few seconds, not for ever.
 *
 * What libpq is told of a connection, and what a connection text may not say: pg_words.h.
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
#include "trigger/common/dsn.h"
#include "trigger/common/pem_file.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/pg_words.h"

enum { QUERY_TIMEOUT_MS = 10 * 1000, USUAL_PORT = 5432 };

#define SLOW_QUERY "57014" /* the SQLSTATE of a statement_timeout: says nothing about the server */

struct postgresql {
    struct trigger_config common;
    const struct secret *connection, *password, *key, *key_password;
    const char *host, *port, *user, *database, *ssl_mode, *query, *ca, *certificate;
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
     .help = "keyword=value text or postgres:// URL, without files and services of the machine; then only certificates "
             "are needed below"},
    {"host", PARAM_TEXT(host), .from = "AM", .help = "name or address of the server"},
    {"port", PARAM_TEXT(port), .from = "AM", .help = "its port"},
    {"userName", PARAM_TEXT(user), .from = "AM", .help = "database user"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "may be empty"},
    {"dbName", PARAM_TEXT(database), .from = "AM", .help = "database"},
    {"sslmode", PARAM_TEXT(ssl_mode), .from = "AM",
     .help = "disable, allow, prefer, require, verify-ca or verify-full"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted instead of the system's, PEM"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "client certificate, PEM"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "its key, PEM"},
    {"keyPassword", PARAM_SECRET(key_password), .from = "A", .help = "of an encrypted key"},
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

static bool check_connection(const struct postgresql *c, struct trigger_check *check)
{
    struct error err;
    PQconninfoOption *words = c->connection ? pg_words_read(secret_reveal(c->connection), &err) : NULL;

    if (c->connection && !words)
        check_warning(check, "connection", "mend it", "%s: every poll fails", err.text);
    pg_words_free(words);
    return !c->certificate == !c->key || check_input(check)->credential_unknown ||
           check_error(check, "cert", "give both, or none", "of cert and key only one is given");
}

static bool prepare(void *config, struct trigger_check *check)
{
    static const char *const modes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    struct postgresql *c = config;
    const char *provider = check_pod_identity(check);
    bool good = check_parts(c, check), known = !c->ssl_mode;

    good = check_connection(c, check) && good;
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

/* What the connection says, or the single parameters; NULL: *err says what is wrong with it. */
static PQconninfoOption *read_words(const struct postgresql *c, struct error *err)
{
    PQconninfoOption *words;

    if (c->connection)
        return pg_words_read(secret_reveal(c->connection), err);
    words = pg_words_none();
    pg_words_set(words, "host", c->host);
    pg_words_set(words, "port", c->port);
    pg_words_set(words, "user", c->user);
    pg_words_set(words, "dbname", c->database);
    pg_words_set(words, "sslmode", c->ssl_mode);
    pg_words_set(words, "password", c->password ? secret_reveal(c->password) : NULL);
    if (pg_words_name_hosts(words, err))
        return words;
    pg_words_free(words);
    return NULL;
}

static void destinations(const void *config, struct destinations *out)
{
    PQconninfoOption *words = read_words(config, NULL);

    if (words)
        add_hosts(out, pg_words_get(words, "host"), pg_words_get(words, "port"));
    pg_words_free(words);
}

/* ------------------------------------------------------------------ on the worker thread: within bounds */

/* What a step may take: time, and bytes. libpq keeps whatever the server sends, and waits for the end of it while more comes. */
struct budget {
    int64_t until_ticks_ms;
    size_t bytes;
    enum { LEFT, NO_TIME, NO_ROOM } state;
};

static struct budget budget_for(int64_t left_ms)
{
    return (struct budget){.until_ticks_ms = query_ticks_ms() + left_ms, .bytes = STREAM_REPLY_MAX_BYTES};
}

static bool await(const PGconn *connection, short events, struct budget *budget)
{
    struct pollfd fd = {.fd = libpq.PQsocket(connection), .events = events};
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
    while (libpq.PQisBusy(connection))
        if (!await(connection, POLLIN, budget) || !libpq.PQconsumeInput(connection))
            return NULL;
    return libpq.PQgetResult(connection);
}

static void close_connection(struct kept *kept)
{
    libpq.PQfinish(kept->connection);
    kept->connection = NULL;
}

/* ------------------------------------------------------------------ on the worker thread: connecting */

static bool is_denial(const char *message)
{
    return strstr(message, "authentication failed") || strstr(message, "no password supplied") ||
           strstr(message, "pg_hba.conf") || (strstr(message, "role \"") && strstr(message, "does not exist"));
}

/* The certificates, as files that are there while they are read. */
struct files {
    struct pem_file ca, identity;
};

static bool open_files(const struct postgresql *c, struct files *files, struct error *err)
{
    *files = (struct files){.ca.fd = -1, .identity.fd = -1};
    if (c->ca && !pem_file_open(&files->ca, (const char *const[]){c->ca, NULL}, err))
        return false;
    return !c->certificate || !c->key ||
           pem_file_open(&files->identity, (const char *const[]){c->certificate, secret_reveal(c->key), NULL}, err);
}

static void close_files(struct files *files)
{
    pem_file_close(&files->ca);
    pem_file_close(&files->identity);
}

static bool begin_connect(const struct postgresql *c, const struct files *files, struct kept *kept, struct query *query)
{
    struct pg_files names = {.ca = files->ca.fd >= 0 ? files->ca.path : NULL,
                             .identity = files->identity.fd >= 0 ? files->identity.path : NULL,
                             .key_password = c->key_password ? secret_reveal(c->key_password) : NULL};
    PQconninfoOption *words = read_words(c, &query->error);
    char silence[32], *told;

    if (!words)
        return false;
    snprintf(silence, sizeof(silence), "%lld", (long long)query->timeout_ms);
    pg_words_set(words, "tcp_user_timeout", silence); /* a connection whose other end is gone without a word */
    pg_words_set(words, "fallback_application_name", "weir");
    told = pg_words_write(words, &names);
    pg_words_free(words);
    if (!told)
        return query_fail(query, ERROR_LIMIT, "the connection's parameters are longer than anything that can be meant",
                          "");
    kept->connection = libpq.PQconnectStart(told);
    explicit_bzero(told, strlen(told));
    free(told);
    return true;
}

static bool not_connected(struct kept *kept, struct query *query, const struct budget *budget)
{
    const char *why = libpq.PQerrorMessage(kept->connection);
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
    if (!libpq.PQsendQuery(kept->connection, command))
        return;
    for (PGresult *result; (result = next_result(kept->connection, budget));)
        libpq.PQclear(result);
}

static bool finish_connect(struct kept *kept, struct query *query, struct budget *budget)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    if (libpq.PQstatus(kept->connection) == CONNECTION_BAD)
        next = PGRES_POLLING_FAILED;
    while (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
        if (!await(kept->connection, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, budget))
            break;
        next = libpq.PQconnectPoll(kept->connection);
    }
    if (next != PGRES_POLLING_OK)
        return not_connected(kept, query, budget);
    set_statement_timeout(kept, query->timeout_ms, budget);
    return budget->state == LEFT || not_connected(kept, query, budget);
}

/* At most half of the time there is: the question wants some, too. */
static bool open_connection(const struct postgresql *c, struct kept *kept, struct query *query, int64_t left_ms)
{
    struct budget budget = budget_for(left_ms < query->timeout_ms / 2 ? left_ms : query->timeout_ms / 2);
    struct files files;
    bool good = open_files(c, &files, &query->error) && begin_connect(c, &files, kept, query) &&
                finish_connect(kept, query, &budget);

    close_files(&files);
    return good;
}

/* ------------------------------------------------------------------ on the worker thread: asking */

static void read_number(const PGresult *result, struct query *query)
{
    struct sql_answer answer = {.columns = (size_t)libpq.PQnfields(result), .row = libpq.PQntuples(result) > 0};

    if (answer.row && answer.columns > 0 && !libpq.PQgetisnull(result, 0, 0)) {
        answer.text = libpq.PQgetvalue(result, 0, 0);
        answer.length = (size_t)libpq.PQgetlength(result, 0, 0);
    }
    sql_answer(query, &answer, SQL_EMPTY_FAILS);
}

static void refused(const PGresult *result, bool alive, struct query *query)
{
    const char *state = libpq.PQresultErrorField(result, PG_DIAG_SQLSTATE), *why = libpq.PQresultErrorMessage(result);

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
    if (libpq.PQtransactionStatus(connection) != PQTRANS_IDLE || strcasestr(c->query, "advisory_lock"))
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
        ExecStatusType status = libpq.PQresultStatus(result);
        bool is_row = status == PGRES_SINGLE_TUPLE, more = is_row && answered;

        if (is_row || (status == PGRES_TUPLES_OK && !answered)) {
            if (!more)
                read_number(result, query);
        } else if (status != PGRES_TUPLES_OK) {
            refused(result, libpq.PQstatus(kept->connection) == CONNECTION_OK, query);
        }
        answered = true;
        libpq.PQclear(result);
        if (more)
            return;
    }
    if (!answered && budget->state != LEFT)
        over_budget(query, budget, "PostgreSQL's answer");
    else if (!answered)
        query_fail(query, ERROR_UNREACHABLE, "PostgreSQL ended the connection", libpq.PQerrorMessage(kept->connection));
}

/* true: this is the outcome; false: the connection was dead, another one may do. */
static bool ask_once(const struct postgresql *c, struct kept *kept, struct query *query, int64_t left_ms)
{
    struct budget budget = budget_for(left_ms);
    bool alive;

    if (libpq.PQsendQueryParams(kept->connection, c->query, 0, NULL, NULL, NULL, NULL, 0)) {
        libpq.PQsetSingleRowMode(kept->connection);
        take_results(kept, query, &budget);
    } else {
        query_fail(query, ERROR_UNREACHABLE, "PostgreSQL takes no question", libpq.PQerrorMessage(kept->connection));
    }
    alive = libpq.PQstatus(kept->connection) == CONNECTION_OK;
    if (!alive || leaves_traces(c, kept->connection))
        close_connection(kept);
    return alive;
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
    if (!kept->connection && !open_connection(c, kept, query, query_left_ms(query)))
        return;
    if (ask_once(c, kept, query, query_left_ms(query)) || !was_kept || !query_may_retry(query))
        return;
    if (open_connection(c, kept, query, query_left_ms(query)))
        ask_once(c, kept, query, query_left_ms(query));
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
    .library = &libpq_library,
    .prepare = prepare,
    .destinations = destinations,
    .hang_up = hang_up,
    .query = run,
};

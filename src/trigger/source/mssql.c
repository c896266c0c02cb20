/*
 * mssql: the first column of the first row of a query or procedure, from SQL Server. Facts: triggers/mssql.md.
 *
 * FreeTDS' db-lib blocks, so all of this runs on a worker thread, on a connection that is a session. All steps of a poll have one deadline.
 * Who the server is: mssql_server.h. How one logs in there: tds.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/mssql_server.h"
#include "trigger/family/tds.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000,
    ROWS_SKIPPED_MAX = 1000,
    NUMBER_BYTES = 64,
};

struct mssql {
    struct trigger_config common;
    const struct secret *connection, *password;
    const char *host, *user, *database, *query, *ca;
    int64_t port;
    bool identity; /* signed in to by a cloud's identity, which is not built in */
};
struct kept { /* a session */
    DBPROCESS *process;
};

#define PARAM_STRUCT struct mssql
static const struct param params[] = {
    {"query", PARAM_TEXT(query), .required = true, .question = true,
     .help = "T-SQL that yields one number, such as SELECT count(*) FROM jobs, or a procedure"},
    {"targetValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationTargetValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"connectionString", PARAM_SECRET(connection), .from = "AE",
     .help = "sqlserver://user:password@host:1433?database=jobs, or key=value;key=value; then nothing below is needed"},
    {"host", PARAM_TEXT(host), .from = "AM", .help = "name or address of the server"},
    {"port", PARAM_INTEGER(port), .from = "AM", .help = "its port; 1433 unless said"},
    {"database", PARAM_TEXT(database), .from = "AM", .help = "database; without it the user's own"},
    {"username", PARAM_TEXT(user), .from = "AM", .help = "SQL login"},
    {"password", PARAM_SECRET(password), .from = "AE", .help = "of the login"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted instead of the system's, PEM, for encrypt=true"},
    {0},
};
#undef PARAM_STRUCT

static bool find_server(const struct mssql *c, struct mssql_server *server, struct error *err)
{
    if (c->connection)
        return mssql_server_read(secret_reveal(c->connection), server, err);
    if (!mssql_server_set(server, c->host ? c->host : "", c->port > 0 && c->port <= 65535 ? (int)c->port : 0, err))
        return false;
    server->user = c->user;
    server->password = c->password ? secret_reveal(c->password) : NULL;
    server->database = c->database;
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct mssql *c = config;
    const char *provider = check_pod_identity(check);
    struct mssql_server server;
    struct error err;
    bool good = true;

    if (provider && strcmp(provider, "azure-workload") != 0)
        good = check_error(check, NULL, "use a password", "pod identity %s cannot sign in to SQL Server", provider);
    if (!c->connection && !c->host && !check_unknown(check, "connectionString") && !check_unknown(check, "host"))
        good =
            check_error(check, "host", "give host, or connectionString", "there is neither connectionString nor host");
    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        good =
            check_error(check, "targetValue", "write the value one replica should carry", "targetValue may not be 0");
    c->identity = provider != NULL;
    if (c->identity)
        check_warning(check, NULL, "use a password",
                      "signing in with pod identity azure-workload is not built in: every poll fails");
    if (!c->connection && !c->host)
        return good;
    if (!find_server(c, &server, &err))
        check_warning(check, c->connection ? "connectionString" : "host", "mend it", "%s: every poll fails", err.text);
    dsn_done(&server.dsn);
    return good;
}

static bool destination(const void *config, char *out, size_t size)
{
    struct mssql_server server;
    bool good = find_server(config, &server, NULL) &&
                (size_t)snprintf(out, size, strchr(server.host, ':') ? "[%s]" : "%s", server.host) < size;
    size_t length = good ? strlen(out) : 0;

    if (good && server.port != 0) /* of an instance it is not known: only a rule about all ports can mean it */
        good = (size_t)snprintf(out + length, size - length, ":%d", server.port) < size - length;

    dsn_done(&server.dsn);
    return good;
}

/* ------------------------------------------------------------------ on the worker thread */

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (kept->process)
        dblib.dbclose(kept->process);
    kept->process = NULL;
}

static bool open_connection(const struct mssql *c, struct kept *kept, struct query *query)
{
    struct mssql_server server;
    bool good = find_server(c, &server, &query->error);

    if (good && server.encryption == ENCRYPT_STRICT)
        good = query_fail(query, ERROR_INVALID, "encrypt=strict (TDS 8) is not built in; write encrypt=true", "");
    else
        good = good && (kept->process = tds_log_in(&server, c->ca, query_left_ms(query), &query->error)) != NULL;
    dsn_done(&server.dsn);
    return good;
}

/* Bits and dates would look like numbers once they are texts. */
static bool is_number_or_text(int type)
{
    static const int types[] = {SYBINT1,    SYBINT2,    SYBINT4, SYBINT8,    SYBFLT8, SYBREAL,     SYBMONEY, SYBMONEY4,
                                SYBDECIMAL, SYBNUMERIC, SYBCHAR, SYBVARCHAR, SYBTEXT, SYBNVARCHAR, SYBNTEXT};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i] == type)
            return true;
    return false;
}

static void read_row(DBPROCESS *process, struct query *query)
{
    struct sql_answer answer = {.columns = (size_t)dblib.dbnumcols(process), .row = true};
    char text[NUMBER_BYTES] = "";
    BYTE *bytes = answer.columns > 0 ? dblib.dbdata(process, 1) : NULL;
    DBINT length = bytes ? dblib.dbdatlen(process, 1) : 0, wrote;

    if (answer.columns == 1 && bytes && !is_number_or_text(dblib.dbcoltype(process, 1))) {
        query_fail(query, ERROR_NONSENSE, "the query gives a bit, a date or bytes; it has to give a number", "");
        return;
    }
    if (bytes) {
        tds_listen();
        wrote = dblib.dbconvert(process, dblib.dbcoltype(process, 1), bytes, length, SYBCHAR, (BYTE *)text,
                                sizeof(text) - 1);
        answer.text = text;
        answer.length = wrote > 0 && wrote < NUMBER_BYTES ? (size_t)wrote : 0;
        while (answer.length > 0 && text[answer.length - 1] == ' ') /* char(20) is filled up */
            answer.length--;
    }
    sql_answer(query, &answer, SQL_EMPTY_MISSING);
}

/* The rest is read off, or given up: the next question needs an empty connection. */
static void drain(struct kept *kept, const struct query *query)
{
    int skipped = 0;

    tds_limit(kept->process, query_left_ms(query));
    while (skipped < ROWS_SKIPPED_MAX && !query_is_over(query) && dblib.dbnextrow(kept->process) == REG_ROW)
        skipped++;
    if (skipped >= ROWS_SKIPPED_MAX || query_is_over(query) || dblib.dbcanquery(kept->process) != SUCCEED ||
        dblib.dbcancel(kept->process) != SUCCEED)
        hang_up(kept);
}

/* The first result with columns: a procedure may do other things before. */
static bool find_result(DBPROCESS *process, bool *broken)
{
    RETCODE code;

    while ((code = dblib.dbresults(process)) == SUCCEED)
        if (dblib.dbnumcols(process) > 0)
            return true;
    *broken = code == FAIL;
    return false;
}

/* What the server says against a question is about this question: others who ask on the connection have nothing to do with it. That it
   takes too long is, too, where it has just let us in. */
static void refused(struct query *query, bool was_kept)
{
    const struct tds_heard *heard = tds_heard();

    if (heard->timed_out)
        query_fail(query, was_kept ? ERROR_UNREACHABLE : ERROR_LIMIT, "SQL Server takes too long", heard->text);
    else
        query_fail(query, heard->number == 0 || heard->broken ? ERROR_UNREACHABLE : ERROR_NONSENSE,
                   "SQL Server refuses the query", heard->text);
}

static void take_result(DBPROCESS *process, struct query *query, bool was_kept)
{
    bool broken = true, found = find_result(process, &broken);
    STATUS row = found ? dblib.dbnextrow(process) : FAIL;

    if (found && row == REG_ROW)
        read_row(process, query);
    else if (found && row == NO_MORE_ROWS && tds_heard()->number == 0)
        sql_answer(query, &(struct sql_answer){.columns = (size_t)dblib.dbnumcols(process)}, SQL_EMPTY_MISSING);
    else if (!found && !broken && tds_heard()->number == 0)
        query_fail(query, ERROR_NONSENSE, "the query gives no result; it has to be a SELECT, or a procedure with one",
                   "");
    else
        refused(query, was_kept);
}

/* false: the connection was gone before it could be asked, another one may do. */
static bool ask_once(const struct mssql *c, struct kept *kept, struct query *query, bool was_kept)
{
    const struct tds_heard *heard = tds_heard();
    bool broken;

    tds_listen();
    tds_limit(kept->process, query_left_ms(query));
    if (dblib.dbcmd(kept->process, c->query) == SUCCEED && dblib.dbsqlexec(kept->process) == SUCCEED)
        take_result(kept->process, query, was_kept);
    else
        refused(query, was_kept);
    broken = heard->broken || dblib.dbdead(kept->process);
    if (broken)
        hang_up(kept);
    else
        drain(kept, query);
    return !broken || heard->timed_out;
}

static void run(const void *config, struct query *query)
{
    const struct mssql *c = config;
    struct kept *kept = query->memory;
    bool was_kept = kept->process != NULL;

    query->state = SAMPLE_FAILED;
    if (c->identity) {
        query_fail(query, ERROR_INVALID, "signing in with a pod identity is not built in; use a password", "");
        return;
    }
    if (!kept->process && !open_connection(c, kept, query))
        return;
    if (ask_once(c, kept, query, was_kept) || !was_kept || !query_may_retry(query))
        return;
    if (open_connection(c, kept, query))
        ask_once(c, kept, query, false);
}

TRIGGER(mssql) = {
    .type = "mssql",
    .summary = "a number read from SQL Server by a query",
    .about = "The first column of the first row of the query or procedure. A query without a row is missing, and "
             "counts as 0 when the "
             "hold is over; NULL, several columns, bits, dates and texts that are no number are failures.",
    .example = "metadata:\n"
               "  host: mssql.shop.svc\n"
               "  port: \"1433\"\n"
               "  username: weir\n"
               "  database: jobs\n"
               "  query: SELECT count(*) FROM jobs WHERE state = 'waiting'\n"
               "  targetValue: \"10\"\n"
               "authentication:\n"
               "  password: s3cret\n",
    .locally = "docker run -p 127.0.0.1:1433:1433 -e ACCEPT_EULA=Y -e MSSQL_SA_PASSWORD=S3cret-pw "
               "mcr.microsoft.com/mssql/server:2022-latest\n"
               "tsql -H 127.0.0.1 -p 1433 -U sa -P S3cret-pw\n",
    .metric = "mssql",
    .params = params,
    .config_size = sizeof(struct mssql),
    .session_size = sizeof(struct kept),
    .timeout_ms = QUERY_TIMEOUT_MS,
    .library = &dblib_library,
    .prepare = prepare,
    .destination = destination,
    .hang_up = hang_up,
    .query = run,
};

/*
 * mssql: the first column of the first row of a query or procedure, from SQL Server. Facts: triggers/mssql.md.
 *
 * FreeTDS' db-lib blocks, so all of this runs on a worker thread, on a connection that is a session. Login and query time-outs are
 * always set. db-lib reports through two functions for the whole process: what they hear is kept per thread, for whoever just called.
 *
 * Connection strings come in three shapes, told apart by how they begin: sqlserver://..., odbc:key=value;... and key=value;...
 */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sybdb.h>
#include <sybfront.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "trigger/driver.h"
#include "trigger/dsn.h"
#include "trigger/pem_file.h"
#include "trigger/sql.h"

enum {
    QUERY_TIMEOUT_MS = 10 * 1000,
    LOGIN_TIMEOUT_S = 4,
    ANSWER_TIMEOUT_S = 5, /* until the server says anything about a query */
    ROWS_SKIPPED_MAX = 1000,
    NUMBER_BYTES = 64,
    LOGIN_FAILED = 18456, /* of SQL Server's messages */
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

/* ------------------------------------------------------------------ where the server is */

enum encryption { ENCRYPT_LOGIN, ENCRYPT_NOT, ENCRYPT_ALL, ENCRYPT_STRICT };
struct server {
    struct dsn dsn;
    char host[DSN_HOST_BYTES], address[DSN_HOST_BYTES + 16]; /* host:port, or host\instance */
    int port;
    const char *user, *password, *database, *application;
    enum encryption encryption;
    bool unchecked; /* whatever certificate */
};

/* The first of these options that is there. */
static const char *option(const struct dsn *dsn, const char *const *names)
{
    const char *said = NULL;

    for (; *names && !said; names++)
        said = dsn_option(dsn, *names);
    return said;
}
#define OPTION(dsn, ...) option(dsn, (const char *const[]){__VA_ARGS__, NULL})

static bool read_encryption(struct server *server, struct error *err)
{
    const char *said = dsn_option(&server->dsn, "encrypt"), *trust = dsn_option(&server->dsn, "trustservercertificate");

    if (!said || dsn_word_in("false,optional,no,0,f", said))
        server->encryption = ENCRYPT_LOGIN;
    else if (dsn_word_in("disable", said))
        server->encryption = ENCRYPT_NOT;
    else if (dsn_word_in("true,mandatory,yes,1,t", said))
        server->encryption = ENCRYPT_ALL;
    else if (dsn_word_in("strict", said))
        server->encryption = ENCRYPT_STRICT;
    else
        return error_set(err, ERROR_INVALID, "encrypt in connectionString is true, false, disable or strict");
    server->unchecked = server->encryption != ENCRYPT_ALL || (trust && dsn_word_in("true,yes,1,t", trust));
    return true;
}

static bool set_server(struct server *server, const char *host, int port, const char *instance, struct error *err)
{
    size_t size = sizeof(server->address);
    int length;

    if (!*host || *host == '/' || strpbrk(host, " ,;[]\r\n"))
        return error_set(err, ERROR_INVALID, "there is no host; a port is a key of its own");
    snprintf(server->host, sizeof(server->host), "%s", host);
    server->port = port > 0 ? port : 1433;
    if (instance && *instance && port == 0)
        length = snprintf(server->address, size, "%s\\%s", host, instance);
    else
        length = snprintf(server->address, size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, server->port);
    return (size_t)length < size || error_set(err, ERROR_INVALID, "the host's name is too long");
}

static bool read_url(const char *text, struct server *server, struct error *err)
{
    char host[DSN_HOST_BYTES];
    int port;

    if (!dsn_read_url(text, &server->dsn, err))
        return false;
    server->user = server->dsn.user;
    server->password = server->dsn.password;
    server->database = dsn_option(&server->dsn, "database");
    if (!dsn_host(server->dsn.hosts, 0, 0, host, sizeof(host), &port))
        return error_set(err, ERROR_INVALID, "connectionString names no host");
    return set_server(server, host, port, server->dsn.path, err);
}

static bool read_keys(const char *text, char quotes, struct server *server, struct error *err)
{
    struct dsn *dsn = &server->dsn;
    const char *named, *port, *instance;
    char host[DSN_HOST_BYTES];

    if (!dsn_read_pairs(text, quotes, dsn, err))
        return false;
    named = OPTION(dsn, "server", "addr", "address", "network address", "data source");
    port = dsn_option(dsn, "port");
    server->user = OPTION(dsn, "user id", "user", "uid");
    server->password = OPTION(dsn, "password", "pwd");
    server->database = OPTION(dsn, "database", "initial catalog");
    if (named && strncasecmp(named, "tcp:", 4) == 0)
        named += 4;
    instance = named ? strchr(named, '\\') : NULL;
    if (!named || strlen(named) >= sizeof(host))
        return error_set(err, ERROR_INVALID, "connectionString has no server=");
    if (port && dsn_port(port) == 0)
        return error_set(err, ERROR_INVALID, "port in connectionString is not between 1 and 65535");
    snprintf(host, sizeof(host), "%.*s", (int)(instance ? instance - named : (ptrdiff_t)strlen(named)), named);
    if (strcmp(host, ".") == 0 || strcasecmp(host, "(local)") == 0)
        snprintf(host, sizeof(host), "localhost");
    return set_server(server, host, port ? dsn_port(port) : 0, instance ? instance + 1 : NULL, err);
}

static bool find_server(const struct mssql *c, struct server *server, struct error *err)
{
    const char *text = c->connection ? secret_reveal(c->connection) : NULL;
    bool good;

    memset(server, 0, sizeof(*server));
    if (!text) {
        server->user = c->user;
        server->password = c->user && c->password ? secret_reveal(c->password) : NULL;
        server->database = c->database;
        server->unchecked = true;
        return set_server(server, c->host ? c->host : "", c->port > 0 && c->port <= 65535 ? (int)c->port : 0, NULL,
                          err);
    }
    if (strncasecmp(text, "sqlserver://", 12) == 0)
        good = read_url(text, server, err);
    else if (strncasecmp(text, "odbc:", 5) == 0)
        good = read_keys(text + 5, '{', server, err);
    else
        good = read_keys(text, '"', server, err);
    server->application = OPTION(&server->dsn, "app name", "application name");
    return good && read_encryption(server, err);
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct mssql *c = config;
    const char *provider = check_pod_identity(check);
    struct server server;
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
    struct server server;
    bool good = find_server(config, &server, NULL) && (size_t)snprintf(out, size, "%s", server.address) < size;

    dsn_done(&server.dsn);
    return good;
}

/* ------------------------------------------------------------------ what db-lib reports */

struct heard { /* by this thread, since it last began to ask */
    char text[256];
    int number; /* of the server's message; 0: none */
    bool timed_out, broken;
};
static __thread struct heard heard;

static int on_error(DBPROCESS *process, int severity, int number, int system, char *text, char *system_text)
{
    (void)process;
    (void)severity;
    (void)system;
    (void)system_text;
    heard.timed_out |= number == SYBETIME;
    heard.broken |= number == SYBETIME || number == SYBEREAD || number == SYBEWRIT || number == SYBESEOF ||
                    number == SYBECONN || number == SYBEDDNE || number == SYBEFCON;
    if (!*heard.text && text)
        snprintf(heard.text, sizeof(heard.text), "%s", text);
    return INT_CANCEL;
}

/* Severity 10 and below is information: which database is open now. The first one that is worse says what it is about. */
static int on_message(DBPROCESS *process, DBINT number, int state, int severity, char *text, char *server,
                      char *procedure, int line)
{
    (void)process;
    (void)state;
    (void)server;
    (void)procedure;
    (void)line;
    if (severity > 10 && heard.number == 0) {
        heard.number = number;
        snprintf(heard.text, sizeof(heard.text), "%s", text ? text : "");
    }
    return 0;
}

static void begin_library(void)
{
    dbinit();
    dberrhandle(on_error);
    dbmsghandle(on_message);
    dbsetlogintime(LOGIN_TIMEOUT_S);
    dbsettime(ANSWER_TIMEOUT_S);
}

static enum error_kind kind_heard(void)
{
    static const int denials[] = {LOGIN_FAILED, 229,   230,   262,   300,   916,   4060,
                                  18450,        18451, 18452, 18470, 18486, 18487, 18488};

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (heard.number == denials[i])
            return ERROR_DENIED;
    return heard.number == 0 || heard.broken ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

/* ------------------------------------------------------------------ on the worker thread */

static void hang_up(void *session)
{
    struct kept *kept = session;

    if (kept->process)
        dbclose(kept->process);
    kept->process = NULL;
}

static LOGINREC *login_of(const struct server *server)
{
    LOGINREC *login = dblogin();

    if (server->user && *server->user) {
        DBSETLUSER(login, server->user);
        DBSETLPWD(login, server->password ? server->password : "");
    }
    if (server->database && *server->database)
        DBSETLDBNAME(login, server->database);
    DBSETLAPP(login, server->application && *server->application ? server->application : "weir");
    DBSETLENCRYPT(login, server->encryption == ENCRYPT_ALL);
    DBSETLUTF16(login, TRUE);
    DBSETLVERSION(login, DBVERSION_74);
    return login;
}

/* The library takes the wish to see the certificate checked from its configuration file alone: it gets one for this login. The file
   is the process's; others who log in meanwhile do not find their servers in it. */
static DBPROCESS *open_checked(const struct server *server, const char *ca, LOGINREC *login, struct error *err)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    static const char name[] = "weir's checked login";
    struct pem_file trust = {.fd = -1}, settings = {.fd = -1};
    DBPROCESS *process = NULL;
    char text[sizeof(server->host) + 300];

    if (ca && !pem_file_open(&trust, (const char *const[]){ca, NULL}, err))
        return NULL;
    snprintf(text, sizeof(text),
             "[%s]\nhost = %s\nport = %d\nencryption = require\nca file = %s\ncheck certificate hostname = yes\n", name,
             server->host, server->port, ca ? trust.path : "system");
    if (pem_file_open(&settings, (const char *const[]){text, NULL}, err)) {
        pthread_mutex_lock(&one_at_a_time);
        dbsetifile(settings.path);
        process = dbopen(login, name);
        pthread_mutex_unlock(&one_at_a_time);
    }
    pem_file_close(&settings);
    pem_file_close(&trust);
    return process;
}

static bool log_in(const struct mssql *c, const struct server *server, struct kept *kept, struct query *query)
{
    LOGINREC *login = login_of(server);

    memset(&heard, 0, sizeof(heard));
    kept->process =
        server->unchecked ? dbopen(login, server->address) : open_checked(server, c->ca, login, &query->error);
    dbloginfree(login);
    if (!kept->process)
        return query_fail(query, kind_heard(), "SQL Server lets us not in", heard.text);
    return true;
}

static bool open_connection(const struct mssql *c, struct kept *kept, struct query *query)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct server server;
    bool good;

    pthread_once(&once, begin_library);
    good = find_server(c, &server, &query->error);
    if (good && server.encryption == ENCRYPT_STRICT)
        good = query_fail(query, ERROR_INVALID, "encrypt=strict (TDS 8) is not built in; write encrypt=true", "");
    else
        good = good && log_in(c, &server, kept, query);
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
    struct sql_answer answer = {.columns = (size_t)dbnumcols(process), .row = true};
    char text[NUMBER_BYTES] = "";
    BYTE *bytes = answer.columns > 0 ? dbdata(process, 1) : NULL;
    DBINT length = bytes ? dbdatlen(process, 1) : 0, wrote;

    if (answer.columns == 1 && bytes && !is_number_or_text(dbcoltype(process, 1))) {
        query_fail(query, ERROR_NONSENSE, "the query gives a bit, a date or bytes; it has to give a number", "");
        return;
    }
    if (bytes) {
        memset(&heard, 0, sizeof(heard));
        wrote = dbconvert(process, dbcoltype(process, 1), bytes, length, SYBCHAR, (BYTE *)text, sizeof(text) - 1);
        answer.text = text;
        answer.length = wrote > 0 && wrote < NUMBER_BYTES ? (size_t)wrote : 0;
        while (answer.length > 0 && text[answer.length - 1] == ' ') /* char(20) is filled up */
            answer.length--;
    }
    sql_answer(query, &answer, SQL_EMPTY_MISSING);
}

/* The rest is read off, or given up: the next question needs an empty connection. */
static void drain(struct kept *kept)
{
    int skipped = 0;

    while (dbnextrow(kept->process) == REG_ROW && skipped++ < ROWS_SKIPPED_MAX)
        ;
    if (skipped >= ROWS_SKIPPED_MAX || dbcanquery(kept->process) != SUCCEED || dbcancel(kept->process) != SUCCEED)
        hang_up(kept);
}

/* The first result with columns: a procedure may do other things before. */
static bool find_result(DBPROCESS *process, bool *broken)
{
    RETCODE code;

    while ((code = dbresults(process)) == SUCCEED)
        if (dbnumcols(process) > 0)
            return true;
    *broken = code == FAIL;
    return false;
}

/* false: the connection was gone before it could be asked, another one may do. */
static bool ask_once(const struct mssql *c, struct kept *kept, struct query *query)
{
    bool broken = true, found;
    STATUS row;

    memset(&heard, 0, sizeof(heard));
    found = dbcmd(kept->process, c->query) == SUCCEED && dbsqlexec(kept->process) == SUCCEED &&
            find_result(kept->process, &broken);
    row = found ? dbnextrow(kept->process) : FAIL;
    if (found && row == REG_ROW)
        read_row(kept->process, query);
    else if (found && row == NO_MORE_ROWS && heard.number == 0)
        sql_answer(query, &(struct sql_answer){.columns = (size_t)dbnumcols(kept->process)}, SQL_EMPTY_MISSING);
    else if (!found && !broken && heard.number == 0)
        query_fail(query, ERROR_NONSENSE, "the query gives no result; it has to be a SELECT, or a procedure with one",
                   "");
    else
        query_fail(query, kind_heard(), heard.timed_out ? "SQL Server takes too long" : "SQL Server refuses the query",
                   heard.text);
    broken = heard.broken || dbdead(kept->process);
    if (broken)
        hang_up(kept);
    else
        drain(kept);
    return !broken || heard.timed_out;
}

static void run(const void *config, struct query *query)
{
    const struct mssql *c = config;
    struct kept *kept = query->memory;
    bool was_kept = kept->process != NULL;
    int64_t deadline = query_ticks_ms() + query->timeout_ms;

    query->state = SAMPLE_FAILED;
    if (c->identity) {
        query_fail(query, ERROR_INVALID, "signing in with a pod identity is not built in; use a password", "");
        return;
    }
    if (!kept->process && !open_connection(c, kept, query))
        return;
    if (ask_once(c, kept, query) || !was_kept || deadline - query_ticks_ms() < query->timeout_ms * 3 / 4)
        return;
    if (open_connection(c, kept, query))
        ask_once(c, kept, query);
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
    .prepare = prepare,
    .destination = destination,
    .hang_up = hang_up,
    .query = run,
};

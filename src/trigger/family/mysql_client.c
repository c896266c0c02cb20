/* mysql_client: see mysql_client.h. */
#include "trigger/family/mysql_client.h"

#include <errmsg.h>
#include <errno.h>
#include <mysqld_error.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "trigger/common/pem_file.h"
#include "trigger/common/sql.h"
#include "trigger/driver.h"
#include "trigger/family/mysql_server.h"

/* Of a call that waits: names are looked up and TLS is spoken on it; a tenth of it gets used. */
enum { CALL_STACK_BYTES = 256 * 1024 };

struct mariadb mariadb;
struct lazy mariadb_library = LAZY(MARIADB_FUNCTIONS, "libmariadb.so.3", "libmariadb3", &mariadb, NULL);

/* ------------------------------------------------------------------ calls that wait */

/* Until there is what the library waits for, or the query's time is over, or the library's own. */
static int await(MYSQL *connection, int events, const struct query *query)
{
    struct pollfd fd = {.fd = mariadb.mysql_get_socket(connection)};
    int64_t left = query_left_ms(query);
    int ready;

    fd.events = (short)((events & MYSQL_WAIT_READ ? POLLIN : 0) | (events & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                        (events & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
    if (events & MYSQL_WAIT_TIMEOUT && mariadb.mysql_get_timeout_value_ms(connection) < left)
        left = mariadb.mysql_get_timeout_value_ms(connection);
    do
        ready = query_is_over(query) ? 0 : poll(&fd, 1, (int)left);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return MYSQL_WAIT_TIMEOUT;
    return (fd.revents & POLLIN ? MYSQL_WAIT_READ : 0) | (fd.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
           (fd.revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0) |
           (fd.revents & (POLLERR | POLLHUP) ? events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE) : 0);
}

bool mysql_client_send(MYSQL *connection, const char *sql, const struct query *query)
{
    int code, events = mariadb.mysql_real_query_start(&code, connection, sql, strlen(sql));

    while (events)
        events = mariadb.mysql_real_query_cont(&code, connection, await(connection, events, query));
    return code == 0;
}

MYSQL_ROW mysql_client_row(MYSQL *connection, MYSQL_RES *result, const struct query *query)
{
    MYSQL_ROW row;
    int events = mariadb.mysql_fetch_row_start(&row, result);

    while (events)
        events = mariadb.mysql_fetch_row_cont(&row, result, await(connection, events, query));
    return row;
}

bool mysql_client_next(MYSQL *connection, const struct query *query)
{
    int code, events = mariadb.mysql_next_result_start(&code, connection);

    while (events)
        events = mariadb.mysql_next_result_cont(&code, connection, await(connection, events, query));
    return code == 0;
}

/* ------------------------------------------------------------------ logging in */

/* What the server, or the library, says against the connection. */
static enum error_kind kind_of(unsigned code)
{
    static const unsigned denials[] = {
        ER_ACCESS_DENIED_ERROR,
        ER_DBACCESS_DENIED_ERROR,
        ER_ACCESS_DENIED_NO_PASSWORD_ERROR,
        ER_HOST_NOT_PRIVILEGED,
        ER_MUST_CHANGE_PASSWORD_LOGIN,
        ER_ACCESS_DENIED_CHANGE_USER_ERROR,
        ER_ACCOUNT_HAS_BEEN_LOCKED,
        CR_AUTH_PLUGIN_ERR,
        CR_PLUGIN_NOT_ALLOWED,
    };
    static const unsigned passing[] = {ER_CON_COUNT_ERROR, ER_SERVER_SHUTDOWN, ER_HOST_IS_BLOCKED,
                                       ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED};

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
        if (code == denials[i])
            return ERROR_DENIED;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        if (code == passing[i])
            return ERROR_UNREACHABLE;
    return code >= CR_MIN_ERROR && code <= CR_MAX_ERROR ? ERROR_UNREACHABLE : ERROR_NONSENSE;
}

static void begin_library(void)
{
    mariadb.mysql_server_init(0, NULL, NULL);
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
    mariadb.mysql_ssl_set(connection, NULL, NULL, ca_file, checked ? X509_get_default_cert_dir() : NULL, NULL);
    mariadb.mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &checked);
    if (wish != TLS_PREFERRED)
        mariadb.mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &yes);
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

static void set_options(MYSQL *connection, const struct mysql_server *server, int64_t timeout_ms)
{
    unsigned connect_s = timeout_s(&server->dsn, "timeout", timeout_ms * 2 / 5);
    unsigned read_s = timeout_s(&server->dsn, "readTimeout", timeout_ms / 2);
    unsigned write_s = timeout_s(&server->dsn, "writeTimeout", timeout_ms / 2);
    unsigned no_files = 0, protocol = server->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned long largest = STREAM_REPLY_MAX_BYTES;
    const char *charset = dsn_option(&server->dsn, "charset");
    size_t stack_bytes = CALL_STACK_BYTES;

    mariadb.mysql_options(connection, MYSQL_OPT_NONBLOCK, &stack_bytes);
    mariadb.mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mariadb.mysql_options(connection, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mariadb.mysql_options(connection, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mariadb.mysql_options(connection, MYSQL_OPT_LOCAL_INFILE, &no_files);
    mariadb.mysql_options(connection, MYSQL_OPT_PROTOCOL, &protocol);
    mariadb.mysql_options(connection, MYSQL_OPT_MAX_ALLOWED_PACKET, &largest);
    /* others ask this machine who it is (auth_gssapi_client), or whoever sits at its terminal (dialog) */
    mariadb.mysql_options(
        connection, MARIADB_OPT_RESTRICTED_AUTH,
        is_true(&server->dsn, "allowCleartextPasswords")
            ? "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,mysql_clear_password"
            : "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519");
    if (is_true(&server->dsn, "compress"))
        mariadb.mysql_options(connection, MYSQL_OPT_COMPRESS, NULL);
    if (charset && strlen(charset) < 40)
        mariadb.mysql_options(connection, MYSQL_SET_CHARSET_NAME, strcmp(charset, "utf8") == 0 ? "utf8mb4" : charset);
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
    return mysql_client_send(connection, command, query) && mariadb.mysql_field_count(connection) == 0;
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

static bool log_in(MYSQL *connection, const struct mysql_server *server, const struct query *query)
{
    const struct dsn *dsn = &server->dsn;
    unsigned long flags = is_true(dsn, "multiStatements") ? CLIENT_MULTI_STATEMENTS : 0;
    MYSQL *connected;
    int events = mariadb.mysql_real_connect_start(
        &connected, connection, server->socket ? NULL : server->host, dsn->user, dsn->password ? dsn->password : "",
        dsn->path && *dsn->path ? dsn->path : NULL, (unsigned)server->port, server->socket, flags);

    while (events)
        events = mariadb.mysql_real_connect_cont(&connected, connection, await(connection, events, query));
    return connected != NULL;
}

static bool connect_to(MYSQL *connection, const struct mysql_server *server, enum tls_wish wish, const char *ca_file,
                       struct query *query)
{
    set_options(connection, server, query_left_ms(query));
    set_tls(connection, wish, ca_file);
    if (!log_in(connection, server, query)) {
        unsigned code = mariadb.mysql_errno(connection);

        return query_fail(query, kind_of(code),
                          kind_of(code) == ERROR_DENIED ? "MySQL lets us not in" : "no connection to MySQL",
                          code == CR_PLUGIN_NOT_ALLOWED /* the library's own text has a name that is gone by then */
                              ? "the way to sign in that it asks for is not allowed"
                              : mariadb.mysql_error(connection));
    }
    return set_variables(connection, &server->dsn, query) ||
           query_fail(query, ERROR_INVALID, "MySQL refuses a variable in connectionString",
                      mariadb.mysql_error(connection));
}

MYSQL *mysql_client_open(const struct mysql_server *server, const char *ca, struct query *query)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum tls_wish wish = tls_wish(&server->dsn);
    struct pem_file trust = {.fd = -1};
    MYSQL *connection = NULL;

    pthread_once(&once, begin_library);
    if (wish == TLS_NO_SUCH) {
        query_fail(query, ERROR_INVALID, "tls in connectionString is true, false, skip-verify or preferred", "");
    } else if (!server->dsn.user || !*server->dsn.user) {
        query_fail(query, ERROR_INVALID, "no user is given; the library would take the name that Weir runs as", "");
    } else if (!server->socket && !mysql_host_is_name(server->host)) {
        query_fail(query, ERROR_INVALID, "the host is no name, and the library would read options out of it", "");
    } else if (!ca || wish != TLS_CHECKED || pem_file_open(&trust, (const char *const[]){ca, NULL}, &query->error)) {
        connection = mariadb.mysql_init(NULL);
        if (!connect_to(connection, server, wish, trust.fd >= 0 ? trust.path : NULL, query)) {
            mariadb.mysql_close(connection);
            connection = NULL;
        }
    }
    pem_file_close(&trust);
    return connection;
}

/*
 * mysql_client: libmariadb, so that all calls of a query have one deadline, however a server spreads its bytes: the library's calls that can
 * be waited for (..._start, ..._cont), waited for here. For worker threads.
 *
 *     MYSQL *connection = mysql_client_open(&server, ca_pem, query);       -- NULL: the query has failed
 *     mysql_client_send(connection, "SELECT 1", query) ... mysql_use_result(connection) ... mysql_client_row(connection, result, query)
 *     mysql_close(connection);
 *
 * The server is not trusted with more than the question: it may not ask for files of ours (LOCAL INFILE), nor for the password in
 * the clear unless the manifest says so, nor who this machine is, nor send rows larger than STREAM_REPLY_MAX_BYTES.
 */
#ifndef WEIR_TRIGGER_MYSQL_CLIENT_H
#define WEIR_TRIGGER_MYSQL_CLIENT_H

#include <mysql.h>
#include <stdbool.h>

#include "trigger/common/lazy.h"

struct mysql_server;
struct query;

/* clang-format off */
#define MARIADB_FUNCTIONS(X) \
    X(mysql_close) X(mysql_errno) X(mysql_error) X(mysql_fetch_field_direct) X(mysql_fetch_lengths) \
    X(mysql_fetch_row_cont) X(mysql_fetch_row_start) X(mysql_field_count) X(mysql_free_result) \
    X(mysql_get_socket) X(mysql_get_timeout_value_ms) X(mysql_init) X(mysql_more_results) \
    X(mysql_next_result_cont) X(mysql_next_result_start) X(mysql_num_fields) X(mysql_options) \
    X(mysql_real_connect_cont) X(mysql_real_connect_start) X(mysql_real_query_cont) \
    X(mysql_real_query_start) X(mysql_server_init) X(mysql_ssl_set) X(mysql_use_result)
/* clang-format on */
extern struct mariadb {
    MARIADB_FUNCTIONS(LAZY_POINTER)
} mariadb;
extern struct lazy mariadb_library; /* for TRIGGER() */

/* Logged in, with what the connection string sets. ca: certificates trusted besides the system's, PEM, or NULL. */
MYSQL *mysql_client_open(const struct mysql_server *server, const char *ca, struct query *query);
/* As mysql_real_query, mysql_fetch_row and mysql_next_result; what went wrong is in mysql_errno(). */
bool mysql_client_send(MYSQL *connection, const char *sql, const struct query *query);
MYSQL_ROW mysql_client_row(MYSQL *connection, MYSQL_RES *result, const struct query *query);
bool mysql_client_next(MYSQL *connection, const struct query *query); /* false: there is none, or it failed */

#endif

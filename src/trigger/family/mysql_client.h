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

struct mysql_server;
struct query;

/* Logged in, with what the connection string sets. ca: certificates trusted besides the system's, PEM, or NULL. */
MYSQL *mysql_client_open(const struct mysql_server *server, const char *ca, struct query *query);
/* As mysql_real_query, mysql_fetch_row and mysql_next_result; what went wrong is in mysql_errno(). */
bool mysql_client_send(MYSQL *connection, const char *sql, const struct query *query);
MYSQL_ROW mysql_client_row(MYSQL *connection, MYSQL_RES *result, const struct query *query);
bool mysql_client_next(MYSQL *connection, const struct query *query); /* false: there is none, or it failed */

#endif

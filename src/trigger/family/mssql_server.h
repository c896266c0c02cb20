/*
 * mssql_server: where a SQL Server is and who signs in there, as a connection string or single parameters say it.
 *
 *     struct mssql_server server;
 *     if (!mssql_server_read("sqlserver://me:pw@db:1433?database=jobs", &server, &err)) ...
 *     dsn_done(&server.dsn);                       -- also after a failure
 *
 * Connection strings come in three shapes, told apart by how they begin: sqlserver://..., odbc:key=value;... and key=value;...
 * Also for worker threads.
 */
#ifndef WEIR_TRIGGER_MSSQL_SERVER_H
#define WEIR_TRIGGER_MSSQL_SERVER_H

#include "trigger/common/dsn.h"

enum mssql_encryption { ENCRYPT_LOGIN, ENCRYPT_NOT, ENCRYPT_ALL, ENCRYPT_STRICT };
enum { MSSQL_INSTANCE_BYTES = 64 };

struct mssql_server { /* texts lie in dsn, or are the caller's */
    struct dsn dsn;
    char host[DSN_HOST_BYTES], instance[MSSQL_INSTANCE_BYTES]; /* instance: "", or instead of a port */
    int port;                                                  /* 0: whatever the server says that the instance has */
    const char *user, *password, *database, *application;      /* or NULL */
    enum mssql_encryption encryption;
    bool unchecked; /* whatever certificate */
};

bool mssql_server_read(const char *connection, struct mssql_server *out, struct error *err);
/* From single parameters; port 0: the usual one. */
bool mssql_server_set(struct mssql_server *out, const char *host, int port, struct error *err);

#endif

/*
 * mysql_server: where a MySQL or MariaDB is and who signs in there, as a connection string says it.
 *
 *     struct mysql_server server = {.port = 0};
 *     if (!mysql_server_read("me:pw@tcp(db:3306)/jobs?tls=true", &server, &err)) ...
 *     dsn_done(&server.dsn);                       -- also after a failure
 *
 * Also for worker threads.
 */
#ifndef WEIR_TRIGGER_MYSQL_SERVER_H
#define WEIR_TRIGGER_MYSQL_SERVER_H

#include "trigger/common/dsn.h"

enum { MYSQL_PORT_USUAL = 3306 };

struct mysql_server { /* dsn: user, password, path (the database) and options */
    struct dsn dsn;
    char host[DSN_HOST_BYTES];
    int port;
    const char *socket; /* instead of both */
};

/* A name or an address, and nothing else: libmariadb reads more out of a host, a whole connection string ("x;local-infile=1"), a plugin
   ("name://x") or a list. */
bool mysql_host_is_name(const char *host);
bool mysql_server_read(const char *text, struct mysql_server *server, struct error *err);

#endif

/* mssql_server: see mssql_server.h. */
#include "trigger/family/mssql_server.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

enum { MSSQL_PORT = 1433, HOST_MAX_BYTES = 240 /* a DNS name has 253 at most, and FreeTDS lines of 255 */ };

/* The first of these options that is there. */
static const char *option(const struct dsn *dsn, const char *const *names)
{
    const char *said = NULL;

    for (; *names && !said; names++)
        said = dsn_option(dsn, *names);
    return said;
}
#define OPTION(dsn, ...) option(dsn, (const char *const[]){__VA_ARGS__, NULL})

static bool read_encryption(struct mssql_server *server, struct error *err)
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

/* Both go into lines of a configuration, where a comment, a section or another line begins with some of what is refused here. */
static bool set_place(struct mssql_server *server, const char *host, int port, const char *instance, struct error *err)
{
    static const char of_instances[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-";

    if (!*host || *host == '/' || strlen(host) > HOST_MAX_BYTES)
        return error_set(err, ERROR_INVALID, "there is no host; a port is a key of its own");
    for (const char *c = host; *c; c++)
        if ((unsigned char)*c <= ' ' || strchr(",;#=[]\\\"", *c))
            return error_set(err, ERROR_INVALID,
                             "the host's name holds something that no name does; a port is a key of its own");
    if (instance && (strspn(instance, of_instances) != strlen(instance) || strlen(instance) >= MSSQL_INSTANCE_BYTES))
        return error_set(err, ERROR_INVALID, "the instance's name holds something that no name does");
    snprintf(server->host, sizeof(server->host), "%s", host);
    snprintf(server->instance, sizeof(server->instance), "%s", instance && port == 0 ? instance : "");
    server->port = port > 0 ? port : *server->instance ? 0 : MSSQL_PORT;
    return true;
}

static bool read_url(const char *text, struct mssql_server *server, struct error *err)
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
    return set_place(server, host, port, server->dsn.path, err);
}

static bool read_keys(const char *text, char quotes, struct mssql_server *server, struct error *err)
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
    return set_place(server, host, port ? dsn_port(port) : 0, instance ? instance + 1 : NULL, err);
}

bool mssql_server_read(const char *connection, struct mssql_server *out, struct error *err)
{
    bool good;

    memset(out, 0, sizeof(*out));
    if (strncasecmp(connection, "sqlserver://", 12) == 0)
        good = read_url(connection, out, err);
    else if (strncasecmp(connection, "odbc:", 5) == 0)
        good = read_keys(connection + 5, '{', out, err);
    else
        good = read_keys(connection, '"', out, err);
    out->application = OPTION(&out->dsn, "app name", "application name");
    return good && read_encryption(out, err);
}

bool mssql_server_set(struct mssql_server *out, const char *host, int port, struct error *err)
{
    memset(out, 0, sizeof(*out));
    out->unchecked = true;
    return set_place(out, host, port, NULL, err);
}

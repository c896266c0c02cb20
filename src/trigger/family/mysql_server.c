/* mysql_server: see mysql_server.h. */
#include "trigger/family/mysql_server.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

bool mysql_host_is_name(const char *host)
{
    static const char of_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:%";

    return *host && !host[strspn(host, of_names)];
}

/* [user[:password]@][net[(address)]]/database[?key=value&...]: from the right, for a password may hold anything. */
bool mysql_server_read(const char *text, struct mysql_server *server, struct error *err)
{
    struct dsn *dsn = &server->dsn;
    char *net = dsn_copy(dsn, text), *slash = strrchr(net, '/'), *at, *open, *options, *password;
    const char *address = "127.0.0.1";

    if (!slash)
        return error_set(err, ERROR_INVALID, "connectionString has no '/' before the database");
    *slash++ = '\0';
    options = strchr(slash, '?');
    if (options)
        *options++ = '\0';
    dsn_decode(slash);
    dsn->path = slash;
    at = strrchr(net, '@');
    if (at) {
        *at = '\0';
        dsn->user = net;
        password = strchr(net, ':');
        if (password)
            *password++ = '\0';
        dsn->password = password;
        net = at + 1;
    }
    open = strchr(net, '(');
    if (open) {
        if (!string_ends(open, ")"))
            return error_set(err, ERROR_INVALID, "the address in connectionString does not end with ')'");
        *open++ = '\0';
        open[strlen(open) - 1] = '\0';
        address = open;
    }
    if (strcmp(net, "unix") == 0)
        server->socket = open ? address : "/tmp/mysql.sock";
    else if (*net != '\0' && strcmp(net, "tcp") != 0)
        return error_set(err, ERROR_INVALID, "connectionString: there is no way \"%.20s\" to a server; write tcp", net);
    else if (!dsn_host(address, 0, MYSQL_PORT_USUAL, server->host, sizeof(server->host), &server->port) ||
             !server->port)
        return error_set(err, ERROR_INVALID, "connectionString has no host:port; write tcp(host:3306)");
    else if (!mysql_host_is_name(server->host))
        return error_set(err, ERROR_INVALID,
                         "the host in connectionString holds something that no name does; write tcp(host:3306), and "
                         "options behind '?'");
    return dsn_read_options(dsn, options, '&', false, err);
}

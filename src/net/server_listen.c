/*
 * server_listen: addresses to listen at, on TCP with and without TLS, and the Unix socket.
 */
#include "net/server_internal.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "net/loop.h"

enum { BACKLOG = 128 };

/* Head and body of an answer are written one after the other: with Nagle's algorithm the body would wait for the acknowledgement of the
   head, which a client may put off for 40 ms. What is accepted inherits it; a Unix socket has no such thing. */
static void do_not_wait(struct evconnlistener *listener)
{
    const int yes = 1;

    setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* Both families where the machine has both. -1, and errno: it cannot be. */
static int bind_all(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why;
    const int yes = 1, no = 0;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0 && bind(fd, address, length) == 0)
        return fd;
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

static struct evconnlistener *make_listener(struct server *server, const struct sockaddr *address, socklen_t length)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    struct event_base *base = loop_event_base(server->loop);
    struct evconnlistener *listener;
    int fd;

    if (address->sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr))
        return evconnlistener_new_bind(base, NULL, NULL, flags, BACKLOG, address, (int)length);
    fd = bind_all(address, length);
    if (fd < 0)
        return NULL;
    listener = evconnlistener_new(base, NULL, NULL, flags, BACKLOG, fd);
    if (!listener)
        close(fd);
    return listener;
}

static bool listen_at(struct server *server, struct evhttp *http, const struct sockaddr *address, socklen_t length,
                      const char *name, struct error *err)
{
    struct evconnlistener *listener;

    if (server->listener_count == LISTENERS_MAX)
        return error_set(err, ERROR_LIMIT, "%.200s: a server listens at no more than %d addresses", name,
                         LISTENERS_MAX);
    listener = make_listener(server, address, length);
    if (!listener)
        return error_set(err, errno == EADDRINUSE || errno == EACCES ? ERROR_INVALID : ERROR_INTERNAL,
                         "cannot listen at %.200s: %s; choose another address", name, strerror(errno));
    if (!evhttp_bind_listener(http, listener)) {
        evconnlistener_free(listener);
        return error_set(err, ERROR_INTERNAL, "cannot listen at %.200s: no memory", name);
    }
    evconnlistener_set_error_cb(listener, server_on_accept_failed);
    do_not_wait(listener);
    server->listeners[server->listener_count++] = listener;
    return true;
}

static void note_address(struct server *server, struct evconnlistener *listener)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char *address = server->addresses[server->address_count++], host[128], port[16];

    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)(void *)&bound, &length) == 0 &&
        getnameinfo((struct sockaddr *)(void *)&bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(address, sizeof server->addresses[0], strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static bool split_address(const char *address, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t length;

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > 65535)
        return false;
    length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        length -= 2;
    } else if (memchr(address, ':', length)) {
        return false; /* an IPv6 address without brackets: where does the port start? */
    }
    if (length >= size)
        return false;
    memcpy(host, address, length);
    host[length] = 0;
    *port = colon + 1;
    return true;
}

/* No host: all addresses of both families, or all IPv4 ones where the machine knows no IPv6. */
static bool listen_all(struct server *server, struct evhttp *http, uint16_t port, const char *name, struct error *err)
{
    const struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
    const struct sockaddr_in old = {.sin_family = AF_INET, .sin_addr.s_addr = INADDR_ANY, .sin_port = htons(port)};

    errno = 0;
    if (listen_at(server, http, (const struct sockaddr *)(const void *)&all, sizeof all, name, err))
        return true;
    return (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
           listen_at(server, http, (const struct sockaddr *)(const void *)&old, sizeof old, name, err);
}

static bool listen_tcp(struct server *server, struct evhttp *http, const char *address, struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port;
    bool listens = false;

    if (!split_address(address, host, sizeof host, &port))
        return error_set(err, ERROR_INVALID,
                         "'%.100s' is no address to listen at; write host:port, such as 127.0.0.1:8642", address);
    if (host[0] == 0)
        listens = listen_all(server, http, (uint16_t)strtol(port, NULL, 10), address, err);
    else if (getaddrinfo(host, port, &hints, &found) != 0)
        return error_set(err, ERROR_INVALID, "'%.100s': this host is not known here; use an address of this machine",
                         address);
    for (const struct addrinfo *a = found; a && !listens; a = a->ai_next)
        listens = listen_at(server, http, a->ai_addr, a->ai_addrlen, address, err);
    if (found)
        freeaddrinfo(found);
    if (listens)
        note_address(server, server->listeners[server->listener_count - 1]);
    return listens;
}

bool server_listen_tcp(struct server *server, const char *address, struct error *err)
{
    return listen_tcp(server, server->http, address, err);
}

bool server_set_tls(struct server *server, const struct server_tls *tls, struct error *err)
{
    SSL_CTX *context = server_tls_context(tls, err);

    if (!context)
        return false;
    SSL_CTX_free(server->tls); /* connections made with it hold it */
    server->tls = context;
    return true;
}

bool server_listen_tls(struct server *server, const char *address, struct error *err)
{
    assert(server->tls);
    if (!server->tls_http) {
        server->tls_http = server_new_http(server, server_on_tls_connection, SERVER_REVIEW_MAX_BYTES);
        if (!server->tls_http)
            return error_set(err, ERROR_INTERNAL, "the HTTP server cannot be made: no memory");
    }
    return listen_tcp(server, server->tls_http, address, err);
}

/* A socket that nobody answers at is left over from a process that died. */
static bool make_way(const struct sockaddr_un *address, struct error *err)
{
    struct stat about;
    int fd;
    bool answers;

    if (lstat(address->sun_path, &about) < 0)
        return true;
    if (!S_ISSOCK(about.st_mode))
        return error_set(err, ERROR_INVALID, "%.108s exists and is no socket; remove it or choose another path",
                         address->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    answers = fd >= 0 &&
              (connect(fd, (const struct sockaddr *)(const void *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    if (answers)
        return error_set(err, ERROR_INVALID, "another process listens at %.108s; stop it, or use another --data-dir",
                         address->sun_path);
    unlink(address->sun_path);
    return true;
}

bool server_listen_unix(struct server *server, const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat about;
    mode_t mask;
    bool listens;

    assert(!server->unix_path);
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERROR_INVALID,
                         "%.200s: the path of a Unix socket has at most %zu characters; use a shorter "
                         "--data-dir",
                         path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (!make_way(&address, err))
        return false;
    mask = umask(0177); /* so that it is 0600 from its first moment */
    listens =
        listen_at(server, server->http, (const struct sockaddr *)(const void *)&address, sizeof address, path, err);
    umask(mask);
    if (!listens)
        return false;
    server->unix_path = mem_copy(path);
    if (stat(path, &about) == 0) {
        server->unix_device = about.st_dev;
        server->unix_inode = about.st_ino;
    }
    return true;
}

const char *server_address_at(const struct server *server, size_t n)
{
    return n < server->address_count ? server->addresses[n] : NULL;
}

const char *server_address(const struct server *server)
{
    return server->addresses[0];
}

/* Only if it is still the socket we made: another process may have replaced it. */
void server_remove_unix_socket(struct server *server)
{
    struct stat about;

    if (server->unix_path && stat(server->unix_path, &about) == 0 && about.st_dev == server->unix_device &&
        about.st_ino == server->unix_inode)
        unlink(server->unix_path);
    free(server->unix_path);
}

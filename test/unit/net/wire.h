/* wire: a client of a server that runs on the loop of the same thread, by TCP, a Unix socket or TLS. What it reads is what has come so far;
   waiting is letting the loop run. */
#ifndef TEST_UNIT_NET_WIRE_H
#define TEST_UNIT_NET_WIRE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "helper.h"

struct wire {
    int fd;
    SSL *ssl; /* NULL: no TLS */
    char got[64 * 1024];
    size_t length;
    bool ended;
};

static inline int wire_connect_tcp(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&to, sizeof to) < 0)
        abort();
    return fd;
}

static inline int wire_connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&to, sizeof to) < 0)
        abort();
    return fd;
}

static inline void wire_shake_hands(struct wire *wire)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    wire->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(wire->ssl, wire->fd);
    for (int i = 0; SSL_connect(wire->ssl) != 1; i++) {
        if (i == 1000)
            abort();
        run_for(2);
    }
}

static inline void wire_open(struct wire *wire, int fd, bool tls)
{
    *wire = (struct wire){.fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (tls)
        wire_shake_hands(wire);
}

static inline void wire_close(struct wire *wire)
{
    SSL_free(wire->ssl);
    if (wire->fd >= 0)
        close(wire->fd);
    ERR_clear_error();
    *wire = (struct wire){.fd = -1};
}

/* How much of it was taken. */
static inline size_t wire_say(struct wire *wire, const char *bytes, size_t length)
{
    ssize_t n = wire->ssl ? SSL_write(wire->ssl, bytes, (int)length) : send(wire->fd, bytes, length, MSG_NOSIGNAL);

    return n > 0 ? (size_t)n : 0;
}

static inline void wire_say_text(struct wire *wire, const char *text)
{
    wire_say(wire, text, strlen(text));
}

/* Appends what is there; what does not fit is dropped. */
static inline const char *wire_read(struct wire *wire)
{
    char bytes[16 * 1024];
    ssize_t n;

    for (;;) {
        n = wire->ssl ? SSL_read(wire->ssl, bytes, sizeof bytes) : recv(wire->fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            break;
        size_t room = sizeof wire->got - 1 - wire->length, taken = (size_t)n < room ? (size_t)n : room;
        memcpy(wire->got + wire->length, bytes, taken);
        wire->length += taken;
    }
    wire->ended = wire->ssl ? SSL_get_error(wire->ssl, (int)n) != SSL_ERROR_WANT_READ
                            : n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    ERR_clear_error();
    wire->got[wire->length] = 0;
    return wire->got;
}

/* Lets the loop run until the text has come, for a second. */
static inline bool wire_gets(struct wire *wire, const char *text)
{
    for (int i = 0; i < 200; i++) {
        if (strstr(wire_read(wire), text))
            return true;
        if (wire->ended)
            return false;
        run_for(5);
    }
    return false;
}

static inline bool wire_ends(struct wire *wire)
{
    for (int i = 0; i < 200; i++) {
        wire_read(wire);
        if (wire->ended)
            return true;
        run_for(5);
    }
    return false;
}

#endif

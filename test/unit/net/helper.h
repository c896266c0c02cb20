/* helper: a loop, a transport and small servers for the tests of this room. A raw server accepts connections on 127.0.0.1 and
   does with each, in a thread of its own, what its function says. */
#ifndef TEST_UNIT_NET_HELPER_H
#define TEST_UNIT_NET_HELPER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/loop.h"
#include "net/transport.h"

struct raw_server;
typedef void raw_serve(struct raw_server *server, int fd);
struct raw_server {
    int listener, stop_fd, port;
    _Atomic int accepted, live;
    raw_serve *serve;
    const char *answer; /* for serve_answer */
    char got[8192];     /* what the last connection sent */
    void *arg;
    pthread_t thread;
};

/* True when fd can be read; false when the server is told to stop, or after a second. */
static inline bool raw_wait(struct raw_server *server, int fd, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = server->stop_fd, .events = POLLIN}};

    return poll(fds, 2, timeout_ms) > 0 && !(fds[1].revents) && fds[0].revents;
}

struct raw_connection {
    struct raw_server *server;
    int fd;
};

static inline void *raw_connection_main(void *arg)
{
    struct raw_connection *connection = arg;

    connection->server->serve(connection->server, connection->fd);
    close(connection->fd);
    connection->server->live--;
    free(connection);
    return NULL;
}

static inline void raw_connected(struct raw_server *server, int fd)
{
    struct raw_connection *connection = malloc(sizeof *connection);
    pthread_t thread;

    connection->server = server;
    connection->fd = fd;
    server->accepted++;
    server->live++;
    pthread_create(&thread, NULL, raw_connection_main, connection);
    pthread_detach(thread);
}

static inline void *raw_main(void *arg)
{
    struct raw_server *server = arg;

    for (;;) {
        struct pollfd fds[2] = {{.fd = server->listener, .events = POLLIN}, {.fd = server->stop_fd, .events = POLLIN}};
        int fd;

        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        fd = accept(server->listener, NULL, NULL);
        if (fd >= 0)
            raw_connected(server, fd);
    }
}

static inline void raw_start(struct raw_server *server, raw_serve *serve, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    void *arg = server->arg;

    *server = (struct raw_server){0};
    server->arg = arg;
    server->serve = serve;
    server->answer = answer;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)(void *)&address, sizeof address) || listen(server->listener, 256))
        abort();
    getsockname(server->listener, (struct sockaddr *)(void *)&address, &length);
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, raw_main, server);
}

static inline void raw_stop(struct raw_server *server)
{
    const uint64_t one = 1;

    if (write(server->stop_fd, &one, sizeof one) < 0)
        abort();
    pthread_join(server->thread, NULL);
    while (server->live > 0)
        usleep(1000);
    close(server->listener);
    close(server->stop_fd);
}

/* Reads a request's head into server->got; false if the connection ended. */
static inline bool raw_read_head(struct raw_server *server, int fd)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char head[sizeof server->got] = "";
    size_t length = 0;

    while (!strstr(head, "\r\n\r\n")) {
        ssize_t n;

        if (length + 1 >= sizeof head || !raw_wait(server, fd, 5000))
            return false;
        n = recv(fd, head + length, sizeof head - 1 - length, 0);
        if (n <= 0)
            return false;
        length += (size_t)n;
    }
    pthread_mutex_lock(&lock);
    memcpy(server->got, head, sizeof head);
    pthread_mutex_unlock(&lock);
    return true;
}

static inline void raw_say(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        bytes += n;
        length -= (size_t)n;
    }
}

/* One answer, then the connection is closed. */
static inline void serve_answer(struct raw_server *server, int fd)
{
    if (raw_read_head(server, fd))
        raw_say(fd, server->answer, strlen(server->answer));
}

static inline int count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* ---- a loop that cannot hang a test ---- */
static struct loop *loop;
static struct transport *transport;

static inline void give_up(void *arg)
{
    (void)arg;
    fprintf(stderr, "nothing happened for 20 s\n");
    abort();
}

static inline void run_loop(void)
{
    struct timer *patience = loop_timer_new(loop, give_up, NULL);

    loop_timer_set(patience, 20 * 1000);
    loop_run(loop);
    loop_timer_free(patience);
}

static inline void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static inline void run_for(int64_t ms)
{
    struct timer *timer = loop_timer_new(loop, stop_loop, NULL);

    loop_timer_set(timer, ms);
    run_loop();
    loop_timer_free(timer);
}

static inline void start_all(const struct transport_options *options)
{
    struct error err;

    if (!loop_new_real(&loop, &err) || !transport_new_real(loop, options, &transport, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

static inline void stop_all(void)
{
    transport_free(transport);
    loop_free(loop);
    transport = NULL;
    loop = NULL;
}

#endif

/*
 * metric-server [PORT]: the cheapest honest peer of a poll: HTTP/1.1 with keep-alive that answers every GET with a Prometheus
 * instant-query result. The value is the number behind "n=" in the query, or 5; with "seconds=" in it, 5 and 10 by turns of that length,
 * which begin at another time for each n. Prints its port. One thread, epoll.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, REQUEST_MAX = 8192 };

static struct connection {
    size_t length;
    char bytes[REQUEST_MAX];
} * connections[CONNECTIONS_MAX];

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        perror("metric-server");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void answer(int fd, const char *request)
{
    const char *at = strstr(request, "n%3D");
    char body[200], all[500];
    const char *wave = strstr(request, "seconds%3D");
    int value = at ? atoi(at + 4) : 5, seconds = wave ? atoi(wave + 10) : 0;
    if (seconds > 0)
        value = (time(NULL) + value) / seconds % 2 ? 10 : 5;
    int body_length = snprintf(body, sizeof(body),
                               "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},"
                               "\"value\":[1700000000,\"%d\"]}]}}",
                               value);
    int length =
        snprintf(all, sizeof(all), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 body_length, body);

    if (write(fd, all, (size_t)length) < 0 && errno != EPIPE)
        perror("metric-server: write");
}

static int serve(int fd)
{
    struct connection *c = connections[fd];
    ssize_t got = read(fd, c->bytes + c->length, sizeof(c->bytes) - 1 - c->length);
    char *end;

    if (got <= 0)
        return 0;
    c->length += (size_t)got;
    c->bytes[c->length] = '\0';
    while ((end = strstr(c->bytes, "\r\n\r\n"))) {
        size_t used = (size_t)(end + 4 - c->bytes);

        answer(fd, c->bytes);
        c->length -= used;
        memmove(c->bytes, c->bytes + used, c->length + 1);
    }
    return c->length < sizeof(c->bytes) - 1;
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0), epoll = epoll_create1(EPOLL_CLOEXEC), yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;

            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0)
                    continue;
                if (fd >= CONNECTIONS_MAX) {
                    close(fd);
                    continue;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
                connections[fd] = calloc(1, sizeof(struct connection));
                event.data.fd = fd;
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            } else if (!serve(fd)) {
                close(fd);
                free(connections[fd]);
                connections[fd] = NULL;
            }
        }
    }
}

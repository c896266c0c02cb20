/*
 * api-client: the other side of the API's figures (bench/README.md).
 *
 *     api-client list PORT RATE SECONDS CONNECTIONS PATH...
 *         asks the paths in turn, RATE a second, whether the answers come or not: an answer's time counts from when its question was due,
 *         so one that waits for a free connection is not forgotten. {"requests","failed","p50_ms","p99_ms","max_ms","kb"}
 *     api-client stream PORT READERS DEAF SECONDS
 *         opens event streams and counts what arrives; DEAF more never read. {"events","least","bytes","closed","deaf_closed"}, where
 *         "least" is the fewest events that a reader got
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, SAMPLES_MAX = 1000 * 1000, TICK_US = 500 };

static struct event_base *base;

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "api-client: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ------------------------------------------------------------------ list */

struct asker {
    struct evhttp_connection *connection;
    double due_ms; /* of the question under way */
    int busy;
};

static struct asker askers[CONNECTIONS_MAX];
static int asker_count;
static char **paths;
static int path_count;
static double *samples, start_ms, rate, duration_ms;
static long sent, answered, failed;
static double bytes;

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct asker *asker = arg;

    asker->busy = 0;
    samples[answered++] = now_ms() - asker->due_ms;
    if (!request || evhttp_request_get_response_code(request) != 200)
        failed++;
    else
        bytes += (double)evbuffer_get_length(evhttp_request_get_input_buffer(request));
}

static void ask(struct asker *asker, double due_ms)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, asker);

    asker->due_ms = due_ms;
    asker->busy = 1;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "localhost");
    if (evhttp_make_request(asker->connection, request, EVHTTP_REQ_GET, paths[sent++ % path_count]) != 0)
        fail("request");
}

/* Questions that are due go out on connections that are free, the oldest first. */
static void on_tick(evutil_socket_t none, short what, void *arg)
{
    double now = now_ms();

    (void)none, (void)what, (void)arg;
    for (int i = 0; i < asker_count; i++) {
        double due = start_ms + (double)sent * 1e3 / rate;

        if (due > now || due > start_ms + duration_ms)
            break;
        if (!askers[i].busy)
            ask(&askers[i], due);
    }
    if (now > start_ms + duration_ms && answered == sent)
        event_base_loopbreak(base);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void run_list(int port, char **args, int count)
{
    struct timeval tick = {0, TICK_US};
    struct event *timer = event_new(base, -1, EV_PERSIST, on_tick, NULL);

    rate = atof(args[0]);
    duration_ms = atof(args[1]) * 1e3;
    asker_count = atoi(args[2]);
    paths = args + 3;
    path_count = count - 3;
    if (asker_count < 1 || asker_count > CONNECTIONS_MAX || rate * duration_ms / 1e3 > SAMPLES_MAX - CONNECTIONS_MAX)
        fail("too many");
    samples = calloc(SAMPLES_MAX, sizeof(*samples));
    for (int i = 0; i < asker_count; i++)
        askers[i].connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", (uint16_t)port);
    start_ms = now_ms();
    event_add(timer, &tick);
    event_base_dispatch(base);
    qsort(samples, (size_t)answered, sizeof(*samples), by_value);
    printf("{\"requests\": %ld, \"failed\": %ld, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"kb\": %.1f}\n",
           answered, failed, samples[answered / 2], samples[answered * 99 / 100], samples[answered - 1],
           bytes / 1024 / (double)answered);
}

/* ------------------------------------------------------------------ stream */

struct reader {
    struct bufferevent *socket;
    long events;
    size_t matched; /* of "\nevent: " */
};

static struct reader readers[CONNECTIONS_MAX];
static int deaf[CONNECTIONS_MAX];
static double read_bytes;
static int closed;
static const char question[] = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void on_bytes(struct bufferevent *socket, void *arg)
{
    static const char mark[] = "\nevent: ";
    struct reader *reader = arg;
    char chunk[65536];
    size_t length;

    while ((length = bufferevent_read(socket, chunk, sizeof(chunk))) > 0) {
        read_bytes += (double)length;
        for (size_t i = 0; i < length; i++) {
            reader->matched = chunk[i] == mark[reader->matched] ? reader->matched + 1 : chunk[i] == '\n';
            if (mark[reader->matched] != '\0')
                continue;
            reader->events++;
            reader->matched = 0;
        }
    }
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
    (void)socket, (void)arg;
    closed += (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("connect");
    return fd;
}

static void open_reader(struct reader *reader, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    reader->socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(reader->socket, on_bytes, NULL, on_event, reader);
    bufferevent_enable(reader->socket, EV_READ);
    if (bufferevent_socket_connect(reader->socket, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("connect");
    bufferevent_write(reader->socket, question, sizeof(question) - 1);
}

static void open_deaf(int *fd, int port)
{
    *fd = connect_to(port);
    if (write(*fd, question, sizeof(question) - 1) < 0)
        fail("write");
}

/* What still waits in the kernel is read; behind it stands the end, if there is one. */
static int was_closed(int fd)
{
    char chunk[65536];
    ssize_t length;

    while ((length = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
        ;
    return length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void run_stream(int port, char **args)
{
    int reader_count = atoi(args[0]), deaf_count = atoi(args[1]), deaf_closed = 0;
    struct timeval duration = {.tv_sec = atoi(args[2])};
    long events = 0, least = -1;

    if (reader_count > CONNECTIONS_MAX || deaf_count > CONNECTIONS_MAX)
        fail("too many");
    for (int i = 0; i < reader_count; i++)
        open_reader(&readers[i], port);
    for (int i = 0; i < deaf_count; i++)
        open_deaf(&deaf[i], port);
    event_base_loopexit(base, &duration);
    event_base_dispatch(base);
    for (int i = 0; i < reader_count; i++) {
        events += readers[i].events;
        if (least < 0 || readers[i].events < least)
            least = readers[i].events;
    }
    for (int i = 0; i < deaf_count; i++)
        deaf_closed += was_closed(deaf[i]);
    printf("{\"events\": %ld, \"least\": %ld, \"bytes\": %.0f, \"closed\": %d, \"deaf_closed\": %d}\n", events, least,
           read_bytes, closed, deaf_closed);
}

int main(int argc, char **argv)
{
    struct event_config *config = event_config_new();

    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER); /* else time goes in steps of 4 ms */
    base = event_base_new_with_config(config);
    event_config_free(config);
    if (argc > 6 && strcmp(argv[1], "list") == 0)
        run_list(atoi(argv[2]), argv + 3, argc - 3);
    else if (argc == 6 && strcmp(argv[1], "stream") == 0)
        run_stream(atoi(argv[2]), argv + 3);
    else
        return 2;
    return 0;
}

/* The server as clients see it: routes, decoding, bounds; what is sent is written byte for byte, for well-behaved libraries would
   not send it. Client and server share a thread: the client is a blocking socket in a second one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <event2/event.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/server.h"

static struct server *server;
static struct error err;

/* ---- handlers ---- */
static void show(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const char *q = server_query(request, "q");

    answer->content_type = "text/plain";
    text_printf(answer->body, "%s:%s", (const char *)arg, request->path);
    for (size_t i = 0; i < request->segment_count; i++)
        text_printf(answer->body, "|%s", request->segments[i]);
    text_printf(answer->body, "|q=%s|%.*s", q ? q : "none", (int)request->body_length, request->body);
}

static void refuse(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->status = 422;
    text_add(answer->body, "{}");
}

static void empty(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->status = 204;
}

static void overflow(void *arg, const struct server_request *request, struct server_answer *answer)
{
    char *chunk = mem_alloc(1024 * 1024);

    (void)arg, (void)request;
    for (int i = 0; i < 65; i++)
        text_append(answer->body, chunk, 1024 * 1024);
    free(chunk);
}

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/", show, "root");
    server_route(server, "GET", "/objects", show, "list");
    server_route(server, "GET", "/objects/@/@", show, "one");
    server_route(server, "PUT", "/objects/@/@", show, "put");
    server_route(server, "GET", "/objects/@/@/decisions", show, "decisions");
    server_route(server, "POST", "/post", show, "post");
    server_route(server, "GET", "/refuse", refuse, NULL);
    server_route(server, "GET", "/empty", empty, NULL);
    server_route(server, "GET", "/overflow", overflow, NULL);
    assert_true(server_listen_tcp(server, "127.0.0.1:0", &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    stop_all();
    return 0;
}

/* ---- a client ---- */
struct talk {
    const char *request;
    size_t length;
    const char *unix_path;
    bool ends; /* the client says that it will send no more */
    char answer[16 * 1024];
};

static int connect_to_server(const char *unix_path)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    address.sin_port = htons((uint16_t)strtoul(strrchr(server_address(server), ':') + 1, NULL, 10));
    if (unix_path)
        snprintf(local.sun_path, sizeof local.sun_path, "%s", unix_path);
    if (connect(fd, unix_path ? (struct sockaddr *)(void *)&local : (struct sockaddr *)(void *)&address,
                unix_path ? sizeof local : sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *talk_main(void *arg)
{
    struct talk *talk = arg;
    int fd = connect_to_server(talk->unix_path);
    size_t length = 0;
    ssize_t n;

    if (fd >= 0) {
        raw_say(fd, talk->request, talk->length);
        if (talk->ends)
            shutdown(fd, SHUT_WR);
        while (length + 1 < sizeof talk->answer &&
               (n = recv(fd, talk->answer + length, sizeof talk->answer - 1 - length, 0)) > 0)
            length += (size_t)n;
        close(fd);
    }
    talk->answer[length] = 0;
    loop_post(loop, stop_loop, NULL);
    return NULL;
}

static struct talk talk;

static const char *say(const char *request, size_t length)
{
    pthread_t thread;

    talk.request = request;
    talk.length = length;
    pthread_create(&thread, NULL, talk_main, &talk);
    run_loop();
    pthread_join(thread, NULL);
    return talk.answer;
}

static const char *ask(const char *line)
{
    char request[4096];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", line);
    return say(request, strlen(request));
}

/* ---- tests ---- */
static void routes_and_decoding(void **state)
{
    static const struct {
        const char *line, *status, *ending;
    } rows[] = {
        {"GET /", "200 OK", "root:/|q=none|"},
        {"GET /objects", "200 OK", "list:/objects|q=none|"},
        {"GET /objects?q=a%20b+c%2B&x=1", "200 OK", "list:/objects|q=a b c+|"},
        {"GET /objects?x=1&q=", "200 OK", "|q=|"},
        {"GET /objects?q", "200 OK", "|q=|"},
        {"GET /objects?qq=1", "200 OK", "|q=none|"},
        {"GET /objects?q=%zz", "400 Bad Request",
         "the query has an escape that cannot be decoded; write % as %25\"}\n"},
        {"GET /objects?x=%00&q=a", "400 Bad Request", "write % as %25\"}\n"},
        {"GET /objects/shop/checkout", "200 OK", "one:/objects/shop/checkout|shop|checkout|q=none|"},
        {"GET /objects/shop/a%2Fb", "200 OK", "one:/objects/shop/a/b|shop|a/b|q=none|"},
        {"GET /objects/shop/checkout/decisions?q=1", "200 OK", "|shop|checkout|q=1|"},
        {"PUT /objects/shop/checkout", "200 OK", "put:/objects/shop/checkout|shop|checkout|q=none|"},
        {"GET /objects/", "404 Not Found", "{\"error\":\"nothing is here; the API starts at /api/v1/objects\"}\n"},
        {"GET /objects//checkout", "404 Not Found", "\n"},
        {"GET /objects/%zz/a", "400 Bad Request", "write % as %25\"}\n"},
        {"GET /objects/%00/a", "400 Bad Request", "write % as %25\"}\n"},
        {"GET /objects/%2", "400 Bad Request", "write % as %25\"}\n"},
        {"GET /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t", "404 Not Found", "\n"},
        {"GET /refuse", "422 Unprocessable Content", "\r\n\r\n{}"},
        {"GET /empty", "204 No Content", "\r\n\r\n"},
        {"HEAD /objects", "200 OK", "\r\n\r\n"},
        {"HEAD /nothing", "404 Not Found", "\r\n\r\n"},
        {"GET /overflow", "500 Internal Server Error", "SERVER_ANSWER_MAX_BYTES); ask for less\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *answer = ask(rows[i].line);
        char status[64];

        snprintf(status, sizeof status, "HTTP/1.1 %s\r\n", rows[i].status);
        if (!string_starts(answer, status) || !string_ends(answer, rows[i].ending))
            fail_msg("%s: %s", rows[i].line, answer);
    }
    assert_non_null(strstr(ask("HEAD /objects"), "Content-Length: 21\r\n"));
    assert_non_null(strstr(ask("DELETE /objects/a/b"), "405 Method Not Allowed\r\n"));
    assert_non_null(strstr(talk.answer, "\r\nAllow: GET, HEAD, PUT\r\n"));
    assert_non_null(strstr(ask("GET /post"), "\r\nAllow: POST\r\n"));
}

static void bodies(void **state)
{
    static char request[SERVER_REQUEST_MAX_BYTES + 4096];
    static const char chunked[] =
        "POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    static const size_t sizes[] = {0, 1, 4096, 16384, SERVER_REQUEST_MAX_BYTES, SERVER_REQUEST_MAX_BYTES + 1};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int head =
            snprintf(request, sizeof request,
                     "POST /post HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", sizes[i]);

        memset(request + head, 'b', sizes[i]);
        say(request, (size_t)head + sizes[i]);
        if (!string_starts(talk.answer, sizes[i] <= SERVER_REQUEST_MAX_BYTES ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 413 "))
            fail_msg("%zu bytes: '%.200s'", sizes[i], talk.answer);
    }
    say(chunked, sizeof chunked - 1);
    assert_true(string_ends(talk.answer, "|abc"));
}

static void requests_nobody_should_send(void **state)
{
    static char long_header[SERVER_REQUEST_MAX_BYTES + 8192];
    static const char *const rows[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET http://[::1 HTTP/1.1\r\n\r\n",
        "BREW /coffee HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nNoColon\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /post HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /post HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET /objects/a",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
    };
    int at;

    (void)state;
    talk.ends = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        say(rows[i], strlen(rows[i]));
    talk.ends = false;
    at = snprintf(long_header, sizeof long_header, "GET /objects HTTP/1.1\r\nX: ");
    memset(long_header + at, 'x', SERVER_REQUEST_MAX_BYTES + 1000);
    strcpy(long_header + at + SERVER_REQUEST_MAX_BYTES + 1000, "\r\n\r\n");
    say(long_header, strlen(long_header));
    assert_null(strstr(talk.answer, "200 OK"));
    assert_true(string_starts(ask("GET /objects"), "HTTP/1.1 200 OK")); /* alive */
}

static void connections_are_kept_open(void **state)
{
    const char two[] =
        "GET /objects HTTP/1.1\r\nHost: x\r\n\r\nGET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    (void)state;
    say(two, strlen(two));
    assert_true(string_starts(talk.answer, "HTTP/1.1 200 OK"));
    assert_non_null(strstr(talk.answer, "HTTP/1.1 204 No Content"));
}

/* Once all places are taken a newcomer waits; it is served when one is free. */
static void connections_are_bounded(void **state)
{
    static int fds[SERVER_CONNECTIONS_MAX + 40];
    const int all = SERVER_CONNECTIONS_MAX + 40;
    int before, held;

    (void)state;
    ask("GET /objects");
    before = count_fds();
    for (int i = 0; i < all; i++) {
        fds[i] = connect_to_server(NULL);
        assert_true(fds[i] >= 0);
        if (i % 32 == 0)
            run_for(5);
    }
    run_for(150);
    held = count_fds() - before - all;
    assert_in_range(held, SERVER_CONNECTIONS_MAX - 2, SERVER_CONNECTIONS_MAX);
    for (int i = 0; i < SERVER_CONNECTIONS_MAX; i++)
        close(fds[i]);
    run_for(300);
    assert_true(string_starts(ask("GET /objects"), "HTTP/1.1 200 OK"));
    for (int i = SERVER_CONNECTIONS_MAX; i < all; i++)
        close(fds[i]);
    run_for(300);
    assert_true(count_fds() <= before + 2);
}

/* Who takes all places and says nothing, or no whole request, keeps nobody out. */
static void the_quiet_give_way_to_newcomers(void **state)
{
    static const char request[] = "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n";
    static int fds[SERVER_CONNECTIONS_MAX + 20];
    const int all = SERVER_CONNECTIONS_MAX + 20;
    char answer[512];

    (void)state;
    for (int i = 0; i < all; i++) {
        fds[i] = connect_to_server(NULL);
        assert_true(fds[i] >= 0);
        assert_true(send(fds[i], request, i == 0 ? sizeof request - 1 : 20, MSG_NOSIGNAL) > 0);
        if (i % 32 == 0)
            run_for(20);
    }
    assert_true(recv(fds[0], answer, sizeof answer, MSG_DONTWAIT) > 0);
    run_for(SERVER_PATIENCE_MS + 4 * 100);
    assert_true(string_starts(ask("GET /objects"), "HTTP/1.1 200 OK"));
    for (int i = 0; i < all; i++)
        close(fds[i]);
    run_for(300);
}

static int warnings;

static void count_warnings(int severity, const char *message)
{
    (void)message;
    warnings += severity >= EVENT_LOG_WARN;
}

/* Without a descriptor left for it a newcomer waits, and libevent does not try, and complain, again and again. */
static void newcomers_wait_for_a_descriptor(void **state)
{
    struct rlimit usual, tight;
    int client;

    (void)state;
    client = connect_to_server(NULL);
    assert_true(client >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    tight = usual;
    tight.rlim_cur = 3;
    event_set_log_callback(count_warnings);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    run_for(250);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    event_set_log_callback(NULL);
    assert_int_equal(warnings, 0);
    run_for(250);
    assert_true(string_starts(ask("GET /objects"), "HTTP/1.1 200 OK"));
    close(client);
    run_for(50);
}

static void unix_sockets(void **state)
{
    char path[64], file[64];
    struct stat about;
    struct server *second;
    int stale;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    snprintf(path, sizeof path, "/tmp/weir-test-server-%d.sock", (int)getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    stale = socket(AF_UNIX, SOCK_STREAM, 0); /* as a process leaves it that died */
    assert_int_equal(bind(stale, (struct sockaddr *)(void *)&address, sizeof address), 0);
    close(stale);
    assert_true(server_listen_unix(server, path, &err));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    talk.unix_path = path;
    assert_true(string_starts(ask("GET /objects"), "HTTP/1.1 200 OK"));
    talk.unix_path = NULL;

    assert_true(server_new(loop, &second, &err));
    assert_false(server_listen_unix(second, path, &err));
    assert_non_null(strstr(err.text, "another process listens at "));
    snprintf(file, sizeof file, "/tmp/weir-test-file-%d", (int)getpid());
    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_false(server_listen_unix(second, file, &err));
    assert_non_null(strstr(err.text, "exists and is no socket"));
    unlink(file);
    server_free(second);
    assert_int_equal(stat(path, &about), 0); /* not the second's to remove */
    server_free(server);
    assert_int_equal(stat(path, &about), -1);
    assert_true(server_new(loop, &server, &err));
}

static void addresses(void **state)
{
    static const struct {
        const char *address, *error;
    } rows[] = {
        {"127.0.0.1", "'127.0.0.1' is no address to listen at; write host:port"},
        {"127.0.0.1:", "is no address"},
        {"127.0.0.1:x", "is no address"},
        {"127.0.0.1:70000", "is no address"},
        {"::1:80", "is no address"},
        {"no-such-host.invalid:1", "this host is not known here"},
        {"192.0.2.1:1", "cannot listen at 192.0.2.1:1: "},
    };
    struct server *other;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(server_listen_tcp(server, rows[i].address, &err));
        if (!strstr(err.text, rows[i].error))
            fail_msg("%s: %s", rows[i].address, err.text);
    }
    assert_true(server_new(loop, &other, &err));
    assert_false(server_listen_tcp(other, server_address(server), &err));
    assert_non_null(strstr(err.text, "Address already in use; choose another address"));
    assert_true(server_listen_tcp(other, "localhost:0", &err));
    server_free(other);
}

static bool reaches(int family, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    bool connected;
    int fd;

    assert_int_equal(getaddrinfo(host, port, &hints, &found), 0);
    fd = socket(family, SOCK_STREAM, 0);
    connected = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return connected;
}

/* In a Pod of a cluster with IPv6 the API server and the Service come by either. */
static void without_a_host_both_families_are_served(void **state)
{
    struct server *other, *taken;
    char address[32];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool has_ipv6 = fd >= 0 && bind(fd, (struct sockaddr *)(void *)&local, sizeof local) == 0;

    (void)state;
    if (fd >= 0)
        close(fd);
    assert_true(server_new(loop, &other, &err));
    assert_true(server_new(loop, &taken, &err));
    assert_true(server_listen_tcp(other, ":0", &err));
    const char *port = strrchr(server_address(other), ':') + 1;
    assert_true(reaches(AF_INET, "127.0.0.1", port));
    assert_int_equal(reaches(AF_INET6, "::1", port), has_ipv6);
    snprintf(address, sizeof address, ":%s", port);
    assert_false(server_listen_tcp(taken, address, &err));
    assert_non_null(strstr(err.text, "Address already in use"));
    server_free(taken);
    server_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routes_and_decoding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_nobody_should_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_kept_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_quiet_give_way_to_newcomers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(newcomers_wait_for_a_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unix_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_host_both_families_are_served, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

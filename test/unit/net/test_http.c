/* Exchanges over real sockets on 127.0.0.1: what comes back, what fails and in which words, what is shared and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <sys/resource.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/egress.h"
#include "net/server.h"

static struct server *server;
static struct raw_server raw;
static char base[64]; /* "http://127.0.0.1:port" of `server` */
static int served;

/* ---- what the server says ---- */
static void say_hello(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    served++;
    text_add(answer->body, "hello");
}

static void echo(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const char *type = server_header(request, "content-type");

    (void)arg;
    answer->content_type = "text/plain";
    text_printf(answer->body, "%s %s [%s] %.*s", request->method, type ? type : "-", server_query(request, "q") ?: "-",
                (int)request->body_length, request->body);
}

static void say_much(void *arg, const struct server_request *request, struct server_answer *answer)
{
    size_t megabytes = strtoul(request->segments[0], NULL, 10);
    char *chunk = mem_alloc(1024 * 1024);

    (void)arg;
    memset(chunk, 'x', 1024 * 1024);
    while (megabytes--)
        text_append(answer->body, chunk, 1024 * 1024);
    free(chunk);
}

static int set_up(void **state)
{
    struct error err;

    (void)state;
    start_all(NULL);
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/hello", say_hello, NULL);
    server_route(server, "GET", "/echo", echo, NULL);
    server_route(server, "POST", "/echo", echo, NULL);
    server_route(server, "PUT", "/echo", echo, NULL);
    server_route(server, "GET", "/much/@", say_much, NULL);
    assert_true(server_listen_tcp(server, "127.0.0.1:0", &err));
    snprintf(base, sizeof base, "http://%s", server_address(server));
    served = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    transport_free(transport);
    server_free(server);
    loop_free(loop);
    return 0;
}

/* ---- asking ---- */
struct result {
    int dones;
    bool failed;
    struct error error;
    int status;
    char body[512], type[64];
    size_t body_length;
    int64_t took_ms;
    int *left; /* stops the loop at 0; NULL: at once */
};

static void keep(void *arg, const struct http_reply *reply)
{
    struct result *result = arg;

    result->dones++;
    result->failed = reply->failed;
    result->error = reply->error;
    result->status = reply->status;
    result->body_length = reply->body_length;
    snprintf(result->body, sizeof result->body, "%s", reply->body ? reply->body : "");
    snprintf(result->type, sizeof result->type, "%s", http_reply_header(reply, "content-type") ?: "");
    result->took_ms = reply->took_ms;
    if (!result->left || --*result->left == 0)
        loop_stop(loop);
}

static struct result ask_for(const struct http_request *request)
{
    struct result result = {0};

    transport_http(transport, request, keep, &result);
    assert_int_equal(result.dones, 0); /* never inside the call */
    run_loop();
    assert_int_equal(result.dones, 1);
    return result;
}

static char url[4096];

static const char *at(const char *path)
{
    snprintf(url, sizeof url, "%s%s", base, path);
    return url;
}

static const char *at_raw(const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", raw.port, path);
    return url;
}

static struct result get(const char *where)
{
    return ask_for(&(struct http_request){.method = "GET", .url = where, .timeout_ms = 5000});
}

static struct transport_stats stats(void)
{
    struct transport_stats now;

    transport_stats(transport, &now);
    return now;
}

/* ---- answers ---- */
static void methods_and_bodies(void **state)
{
    static const struct http_header typed = {.name = "Content-Type", .value = "application/json"};
    static const struct {
        struct http_request request;
        const char *path;
        int status;
        const char *body;
    } rows[] = {
        {{.method = "GET"}, "/hello", 200, "hello"},
        {{.method = "GET"}, "/echo?q=a%20b+c", 200, "GET - [a b c] "},
        {{.method = "POST", .body = "data", .body_length = 4}, "/echo", 200, "POST - [-] data"},
        {{.method = "POST", .body = "{}", .body_length = 2, .headers = &typed, .header_count = 1},
         "/echo",
         200,
         "POST application/json [-] {}"},
        {{.method = "PUT", .body = "p", .body_length = 1}, "/echo", 200, "PUT - [-] p"},
        {{.method = "POST"}, "/echo", 200, "POST - [-] "},
        {{.method = "HEAD"}, "/hello", 200, ""},
        {{.method = "GET"}, "/hello", 200, "hello"}, /* after the others: nothing of them is left in the handle */
        {{.method = "DELETE"},
         "/hello",
         405,
         "{\"error\":\"this path does not have that method; see the header Allow\"}\n"},
        {{.method = "GET"}, "/nothing", 404, "{\"error\":\"nothing is here; the API starts at /api/v1/objects\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_request request = rows[i].request;
        struct result result;

        request.url = at(rows[i].path);
        result = ask_for(&request);
        assert_false(result.failed);
        assert_int_equal(result.status, rows[i].status);
        assert_string_equal(result.body, rows[i].body);
    }
    assert_int_equal(stats().connections_opened, 1); /* one connection served them all */
}

static void large_bodies_and_their_bound(void **state)
{
    static const struct {
        const char *path;
        size_t max, length;
        const char *error;
    } rows[] = {
        {"/much/10", 20 * 1024 * 1024, 10 * 1024 * 1024, NULL},
        {"/much/4", 0, 4 * 1024 * 1024, NULL},
        {"/much/5", 0, 0, "the answer is larger than 4194304 bytes (HTTP_BODY_MAX_BYTES); ask for less"},
        {"/hello", 4, 0, "the answer is larger than 4 bytes"},
        {"/hello", 5, 5, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result = ask_for(&(struct http_request){
            .method = "GET", .url = at(rows[i].path), .body_max_bytes = rows[i].max, .timeout_ms = 9000});

        assert_int_equal(result.failed, rows[i].error != NULL);
        assert_int_equal(result.body_length, rows[i].length);
        if (rows[i].error) {
            assert_int_equal(result.error.kind, ERROR_LIMIT);
            assert_non_null(strstr(result.error.text, rows[i].error));
        }
    }
}

/* 100,000 zero bytes in 132; and "hello, packed world". */
/* clang-format off */
static const unsigned char bomb[] = {
    0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0, 0, 0, 0xc2,
    0xa0, 0xf5, 0x4f, 0x6d, 0x0d, 0x0f, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x57, 0x03, 0x7d, 0x95,
    0x11, 0xd4, 0xa0, 0x86, 0x01, 0,
};
/* clang-format on */
static const unsigned char packed_text[] = {0x1f, 0x8b, 0x08, 0,    0,    0,    0,    0,    0x02, 0x03,
                                            0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0x28, 0x48, 0x4c,
                                            0xce, 0x4e, 0x4d, 0x51, 0x28, 0xcf, 0x2f, 0xca, 0x49, 0x01,
                                            0,    0x48, 0xef, 0x2e, 0xcc, 0x13, 0,    0,    0};

static void serve_packed(struct raw_server *s, int fd)
{
    bool is_bomb;
    char head[200];

    if (!raw_read_head(s, fd))
        return;
    is_bomb = strstr(s->got, "/bomb") != NULL;
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             is_bomb ? sizeof bomb : sizeof packed_text);
    raw_say(fd, head, strlen(head));
    raw_say(fd, (const char *)(is_bomb ? bomb : packed_text), is_bomb ? sizeof bomb : sizeof packed_text);
}

static void packed_answers_count_unpacked(void **state)
{
    struct result result;

    (void)state;
    raw_start(&raw, serve_packed, NULL);
    result = get(at_raw("/text"));
    assert_string_equal(result.body, "hello, packed world");
    assert_non_null(strstr(raw.got, "Accept-Encoding: gzip, deflate\r\n"));
    result = ask_for(&(struct http_request){.method = "GET", .url = at_raw("/bomb"), .body_max_bytes = 99999});
    assert_true(result.failed);
    assert_int_equal(result.error.kind, ERROR_LIMIT);
    result = ask_for(&(struct http_request){.method = "GET", .url = at_raw("/bomb"), .body_max_bytes = 100000});
    assert_int_equal(result.body_length, 100000);
    raw_stop(&raw);
}

/* ---- what is sent ---- */
static void the_question_as_it_goes_out(void **state)
{
    struct secret *secret = secret_new("tok", 3);
    struct http_header headers[] = {{.name = "Authorization", .value = "Bearer ", .secret = secret},
                                    {.name = "X-Empty", .value = ""},
                                    {.name = "Accept", .value = "text/plain"}};

    (void)state;
    raw_start(&raw, serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    ask_for(&(struct http_request){.method = "GET", .url = at_raw("/p?q=1"), .headers = headers, .header_count = 3});
    assert_memory_equal(raw.got, "GET /p?q=1 HTTP/1.1\r\n", 21);
    assert_non_null(strstr(raw.got, "\r\nAuthorization: Bearer tok\r\n"));
    assert_non_null(strstr(raw.got, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(raw.got, "\r\nAccept: text/plain\r\n"));
    assert_non_null(strstr(raw.got, "\r\nUser-Agent: weir/"));
    get(at_raw("/")); /* the same handle */
    assert_null(strstr(raw.got, "Authorization"));
    raw_stop(&raw);
    secret_unref(secret);
}

static void what_must_not_go_out(void **state)
{
    struct secret *two_lines = secret_new("a\nX: b", 6);
    struct http_header bad_value = {.name = "X", .value = "a\r\nY: b"}, bad_name = {.name = "X Y", .value = "1"},
                       bad_secret = {.name = "X", .secret = two_lines};
    const struct {
        const char *url;
        struct http_header *header;
        const char *method, *error;
    } rows[] = {
        {"file:///etc/passwd", NULL, "GET", "the URL does not start with http:// or https://"},
        {"gopher://h/", NULL, "GET", "the URL does not start with"},
        {"", NULL, "GET", "the URL is empty"},
        {"http://", NULL, "GET", "the URL has no host"},
        {"http://h:0/", NULL, "GET", "the URL has a port that is not a number from 1 to 65535"},
        {"http://h:99999/", NULL, "GET", "the URL has a port"},
        {"http://a b/", NULL, "GET", "the URL has a blank"},
        {"http://good\\@evil/", NULL, "GET", ""},
        {"http://u@a@b/", NULL, "GET", "more than one @"},
        {"http://[::1/", NULL, "GET", "an IPv6 address that cannot be read"},
        {"http://h/", &bad_value, "GET", "the value of header X has a line break"},
        {"http://h/", &bad_name, "GET", "'X Y' is no name for an HTTP header"},
        {"http://h/", &bad_secret, "GET", "the secret for header X has a line break"},
        {"http://h/", NULL, "GE T", "'GE T' is no HTTP method"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result = ask_for(&(struct http_request){.method = rows[i].method,
                                                              .url = rows[i].url,
                                                              .headers = rows[i].header,
                                                              .header_count = rows[i].header ? 1 : 0});

        assert_true(result.failed);
        assert_non_null(strstr(result.error.text, rows[i].error));
        if (rows[i].error[0])
            assert_int_equal(result.error.kind, ERROR_INVALID);
    }
    secret_unref(two_lines);
}

/* ---- failures ---- */
static void serve_silence(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_wait(s, fd, 5000);
}

static void serve_trickle(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 41);
    while (!raw_wait(s, fd, 20) && send(fd, ".", 1, MSG_NOSIGNAL) == 1)
        ;
}

static void serve_half(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", 45);
}

static void serve_nothing(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
}

static void serve_nonsense(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, "SSH-2.0-OpenSSH_9.2\r\n", 21);
}

static void serve_huge_head(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 2000; i++)
        raw_say(fd, "X-Filler: 0123456789012345678901234567890123456789\r\n", 52);
    raw_say(fd, "\r\n", 2);
}

static void serve_bad_gzip(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nxxxxx", 67);
}

static void failures_say_what_happened(void **state)
{
    static const struct {
        raw_serve *serve;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {serve_silence, ERROR_UNREACHABLE,
         "timed out after 200 ms: connected, but no answer came; check the server, or allow more time"},
        {serve_trickle, ERROR_UNREACHABLE,
         "timed out after 200 ms: the answer began but did not end; ask for less, or allow more time"},
        {serve_half, ERROR_UNREACHABLE, "the connection broke before the answer was complete"},
        {serve_nothing, ERROR_UNREACHABLE, "closed the connection without an answer"},
        {serve_nonsense, ERROR_NONSENSE, "does not answer in HTTP; check the port"},
        {serve_huge_head, ERROR_LIMIT, "the header lines of the answer are larger than 65536 bytes"},
        {serve_bad_gzip, ERROR_NONSENSE, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result;
        char place[40];

        raw_start(&raw, rows[i].serve, NULL);
        result = ask_for(&(struct http_request){.method = "GET", .url = at_raw("/?secret=1"), .timeout_ms = 200});
        assert_true(result.failed);
        if (!strstr(result.error.text, rows[i].text) || result.error.kind != rows[i].kind)
            fail_msg("%zu: %s", i, result.error.text);
        snprintf(place, sizeof place, "127.0.0.1:%d", raw.port);
        assert_non_null(strstr(result.error.text, place));
        assert_null(strstr(result.error.text, "secret"));
        assert_true(result.took_ms < 1000);
        raw_stop(&raw);
    }
}

static void connections_that_fail(void **state)
{
    struct result result;
    char expected[200];

    (void)state;
    raw_start(&raw, serve_nothing, NULL);
    raw_stop(&raw); /* now nobody listens at that port */
    result = get(at_raw("/"));
    snprintf(expected, sizeof expected,
             "127.0.0.1:%d: connection refused; check that the server runs and listens there", raw.port);
    assert_string_equal(result.error.text, expected);
    assert_int_equal(result.error.kind, ERROR_UNREACHABLE);
    result = get("http://no-such-host.invalid/");
    assert_string_equal(result.error.text,
                        "no-such-host.invalid:80: the name cannot be resolved; check the name and the DNS server");
}

/* What is our own fault does not look like the server's. */
static void too_few_descriptors(void **state)
{
    struct rlimit usual, tight;
    struct result result;

    (void)state;
    raw_start(&raw, serve_nothing, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    tight = usual;
    tight.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    result = get(at_raw("/"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_int_equal(result.error.kind, ERROR_LIMIT);
    assert_non_null(strstr(result.error.text, "Too many open files on our side; raise the limit (ulimit -n)"));
    raw_stop(&raw);
}

/* "localhost" is ::1 and 127.0.0.1, and only the latter listens; silent sockets and refused ones leave nothing behind. */
static void names_with_two_addresses(void **state)
{
    char by_name[64];

    (void)state;
    snprintf(by_name, sizeof by_name, "http://localhost:%s/hello", strrchr(base, ':') + 1);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(get(by_name).body, "hello");
        assert_true(get("http://127.0.0.1:1/").failed);
    }
    assert_int_equal(stats().connections_now, 1);
}

/* ---- sharing ---- */
static void connections_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_int_equal(get(at("/hello")).status, 200);
    assert_int_equal(stats().connections_opened, 1);
    assert_int_equal(stats().connections_now, 1);
    assert_int_equal(stats().exchanges, 50);
    assert_int_equal(stats().failures, 0);
}

/* A server that closes a connection while it is not used costs nothing but a new one. */
static void a_connection_closed_meanwhile_is_replaced(void **state)
{
    (void)state;
    raw_start(&raw, serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(get(at_raw("/")).body, "ok");
        run_for(20);
    }
    assert_int_equal(stats().failures, 0);
    assert_true(stats().connections_now <= 1);
    raw_stop(&raw);
}

static void a_thousand_at_once_and_descriptors_stay_flat(void **state)
{
    enum { AT_ONCE = 1000, ROUNDS = 5 };
    struct result *results = mem_array(AT_ONCE, sizeof *results);
    int before = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        int left = AT_ONCE;

        for (int i = 0; i < AT_ONCE; i++) {
            results[i] = (struct result){.left = &left};
            transport_http(transport, &(struct http_request){.method = "GET", .url = at("/hello"), .timeout_ms = 15000},
                           keep, &results[i]);
        }
        assert_int_equal(stats().exchanges_now, AT_ONCE);
        run_loop();
        for (int i = 0; i < AT_ONCE; i++) {
            assert_int_equal(results[i].dones, 1);
            assert_int_equal(results[i].status, 200);
        }
        assert_int_equal(stats().exchanges_now, 0);
        if (round == 0)
            before = count_fds();
    }
    assert_int_equal(served, AT_ONCE * ROUNDS);
    assert_true(stats().queued >= AT_ONCE - POLLS_PER_DESTINATION_USUAL);
    assert_true(stats().connections_opened <= POLLS_PER_DESTINATION_USUAL);
    assert_true(count_fds() <= before + 2);
    free(results);
}

/* The last ones find all places taken by others who are given more time than they. */
static void deadlines_run_while_waiting(void **state)
{
    enum { WAITING = 10, ALL = POLLS_PER_DESTINATION_MAX + WAITING, LONG_MS = 600, SHORT_MS = 400 };
    struct result *results = mem_array(ALL, sizeof *results);
    int left = ALL;

    (void)state;
    raw_start(&raw, serve_silence, NULL);
    for (int i = 0; i < ALL; i++) {
        results[i].left = &left;
        transport_http(transport,
                       &(struct http_request){
                           .method = "GET", .url = at_raw("/"), .timeout_ms = i < ALL - WAITING ? LONG_MS : SHORT_MS},
                       keep, &results[i]);
    }
    run_loop();
    for (int i = 0; i < ALL; i++) {
        bool waited = i >= ALL - WAITING;

        assert_int_equal(results[i].dones, 1);
        assert_non_null(strstr(results[i].error.text, waited ? "timed out after 400 ms" : "timed out after 600 ms"));
        assert_true(results[i].took_ms >= (waited ? SHORT_MS : LONG_MS));
        if (waited)
            assert_non_null(strstr(results[i].error.text, "all places for requests were taken"));
    }
    raw_stop(&raw);
    free(results);
}

/* ---- cancelling ---- */
static void never(void *arg, const struct http_reply *reply)
{
    (void)reply;
    ++*(int *)arg;
}

static void cancelled_exchanges_are_silent(void **state)
{
    struct http_request silent, wrong = {.method = "GET", .url = "nonsense"};
    int calls = 0;
    struct exchange *many[POLLS_PER_DESTINATION_MAX + 20];

    (void)state;
    raw_start(&raw, serve_silence, NULL);
    silent = (struct http_request){.method = "GET", .url = at_raw("/"), .timeout_ms = 200};
    transport_http_cancel(transport, transport_http(transport, &wrong, never, &calls));
    transport_http_cancel(transport, transport_http(transport, &silent, never, &calls)); /* before it was sent */
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = transport_http(transport, &silent, never, &calls);
    run_for(50);
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        transport_http_cancel(transport, many[i]); /* on the wire, and waiting */
    run_for(300);
    assert_int_equal(calls, 0);
    assert_int_equal(stats().exchanges_now, 0);
    assert_int_equal(stats().connections_now, 0); /* an answer under way ends with its connection */
    raw_stop(&raw);
}

static struct exchange *other;
static int other_calls;

static void cancel_other(void *arg, const struct http_reply *reply)
{
    (void)arg, (void)reply;
    if (other)
        transport_http_cancel(transport, other);
    other = NULL;
    loop_post(loop, stop_loop, NULL);
}

static void a_callback_may_cancel_and_ask(void **state)
{
    struct http_request request = {.method = "GET", .url = at("/hello")};

    (void)state;
    for (int i = 0; i < 20; i++) { /* both are often complete in the same turn */
        transport_http(transport, &request, cancel_other, NULL);
        other = transport_http(transport, &request, never, &other_calls);
        run_loop();
        if (!other)
            continue;
    }
    assert_int_equal(stats().exchanges_now, 0);
}

static void freeing_cancels(void **state)
{
    int calls = 0;

    (void)state;
    raw_start(&raw, serve_silence, NULL);
    for (int i = 0; i < 200; i++)
        transport_http(transport, &(struct http_request){.method = "GET", .url = at_raw("/")}, never, &calls);
    run_for(30);
    transport_free(transport);
    run_for(30);
    transport = NULL;
    assert_int_equal(calls, 0);
    raw_stop(&raw);
}

/* ---- redirects ---- */
static char redirect_answer[300];

static void redirects(void **state)
{
    struct secret *secret = secret_new("tok", 3);
    struct http_header headers[] = {{.name = "X-Key", .secret = secret}, {.name = "X-Plain", .value = "1"}};
    struct raw_server first;
    struct http_request request = {.method = "GET", .headers = headers, .header_count = 2};
    struct result result;

    (void)state;
    raw_start(&raw, serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere");
    snprintf(redirect_answer, sizeof redirect_answer,
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/new?a=b\r\nContent-Length: 0\r\n\r\n", raw.port);
    first.arg = NULL;
    raw_start(&first, serve_answer, redirect_answer);
    snprintf(url, sizeof url, "http://name:pass@127.0.0.1:%d/old", first.port);
    request.url = url;
    result = ask_for(&request);
    assert_string_equal(result.body, "here");
    assert_non_null(strstr(first.got, "X-Key: tok"));
    assert_non_null(strstr(first.got, "Authorization: Basic"));
    assert_memory_equal(raw.got, "GET /new?a=b HTTP/1.1\r\n", 23);
    assert_non_null(strstr(raw.got, "X-Plain: 1"));
    assert_null(strstr(raw.got, "tok")); /* another port is another place */
    assert_null(strstr(raw.got, "Authorization"));

    request.no_redirects = true;
    result = ask_for(&request);
    assert_int_equal(result.status, 302);

    request.no_redirects = false;
    request.method = "POST";
    request.body = "password=x";
    request.body_length = 10;
    result = ask_for(&request); /* a 302 drops the body */
    assert_string_equal(result.body, "here");
    raw_stop(&first);
    redirect_answer[9 + 2] = '7'; /* 307 would repeat it */
    raw_start(&first, serve_answer, redirect_answer);
    snprintf(url, sizeof url, "http://name:pass@127.0.0.1:%d/old", first.port);
    result = ask_for(&request);
    assert_true(result.failed);
    assert_int_equal(result.error.kind, ERROR_INVALID);
    assert_non_null(strstr(result.error.text, "what is sent in a body is not sent on to another place"));
    raw_stop(&first);
    raw_stop(&raw);
    secret_unref(secret);
}

static void redirects_that_lead_nowhere(void **state)
{
    static const struct {
        const char *location;
        enum error_kind kind;
        const char *error;
    } rows[] = {
        {"/again", ERROR_LIMIT, "stopped after 10 redirects (HTTP_REDIRECTS_MAX)"},
        {"file:///etc/passwd", ERROR_NONSENSE, "redirects to a Location that is no http or https URL"},
        {"http://", ERROR_NONSENSE, "redirects to a Location"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result result;

        snprintf(redirect_answer, sizeof redirect_answer,
                 "HTTP/1.1 301 Moved\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 rows[i].location);
        raw_start(&raw, serve_answer, redirect_answer);
        result = get(at_raw("/"));
        assert_true(result.failed);
        assert_int_equal(result.error.kind, rows[i].kind);
        assert_non_null(strstr(result.error.text, rows[i].error));
        raw_stop(&raw);
    }
}

/* ---- egress, sockets, HTTP/2 ---- */
static void egress_rules(void **state)
{
    struct egress *rules = egress_new();
    const struct transport_options options = {.egress = rules};
    char by_name[64];
    struct result result;

    (void)state;
    transport_free(transport);
    egress_protect_loopback(rules);
    assert_true(transport_new_real(loop, &options, &transport, NULL));
    egress_unref(rules);
    result = get(at("/hello"));
    assert_true(result.failed);
    assert_int_equal(result.error.kind, ERROR_INVALID);
    assert_non_null(
        strstr(result.error.text, "its address is a loopback address, and the egress rules let nothing go there"));
    snprintf(by_name, sizeof by_name, "http://localhost:%s/hello", strrchr(base, ':') + 1);
    result = get(by_name); /* found out when the name was resolved */
    assert_true(result.failed);
    assert_non_null(strstr(result.error.text, "a loopback address"));
    result = get("http://169.254.169.254/latest/meta-data");
    assert_non_null(strstr(result.error.text, "a link-local address"));
    result = get("http://[::ffff:169.254.169.254]/");
    assert_non_null(strstr(result.error.text, "a link-local address"));
    assert_int_equal(served, 0);
    assert_int_equal(stats().connections_opened, 0);
}

/* A connection that is kept was opened for somebody with other rules. */
static void egress_of_kept_connections(void **state)
{
    struct egress *rules = egress_new();
    const struct transport_options options = {.egress = rules};
    struct http_request request = {.method = "GET", .timeout_ms = 5000};
    struct result result;

    (void)state;
    transport_free(transport);
    assert_true(egress_deny(rules, "shop=loopback", NULL));
    assert_true(transport_new_real(loop, &options, &transport, NULL));
    egress_unref(rules);
    request.url = at("/hello");
    assert_int_equal(ask_for(&request).status, 200);
    snprintf(url, sizeof url, "http://localhost:%s/hello", strrchr(base, ':') + 1);
    assert_int_equal(ask_for(&request).status, 200); /* by name: nothing can be said before it is resolved */
    assert_int_equal(stats().connections_opened, 2);
    for (int i = 0; i < 2; i++) {
        request.ns = "shop";
        request.url = i == 0 ? url : at("/hello");
        result = ask_for(&request);
        assert_true(result.failed);
        assert_int_equal(result.error.kind, ERROR_INVALID);
        assert_non_null(strstr(result.error.text, "named by shop=loopback of --deny-egress"));
        request.ns = "other";
        assert_int_equal(ask_for(&request).status, 200);
        request.ns = "shop";
        request.trusted = true;
        assert_int_equal(ask_for(&request).status, 200);
        request.trusted = false;
    }
    assert_int_equal(served, 6);
}

static void unix_sockets(void **state)
{
    char path[64], where[256];
    struct error err;
    struct result result;

    (void)state;
    snprintf(path, sizeof path, "/tmp/weir-test-%d.sock", (int)getpid());
    assert_true(server_listen_unix(server, path, &err));
    snprintf(where, sizeof where, "http+unix://%%2Ftmp%%2Fweir-test-%d.sock/echo?q=x", (int)getpid());
    result = get(where);
    assert_string_equal(result.body, "GET - [x] ");
    result = get(at("/hello")); /* the same handle over TCP again */
    assert_string_equal(result.body, "hello");
    result = get("http+unix://%2Ftmp%2Fweir-test-none.sock/");
    assert_true(result.failed);
    assert_non_null(strstr(result.error.text, "/tmp/weir-test-none.sock"));
}

static void proxies_from_the_environment(void **state)
{
    char proxy[64];
    struct result result;

    (void)state;
    raw_start(&raw, serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", raw.port);
    setenv("HTTP_PROXY", proxy, 1);
    setenv("NO_PROXY", "inner.invalid", 1);
    transport_free(transport);
    assert_true(transport_new_real(loop, NULL, &transport, NULL));
    unsetenv("HTTP_PROXY");
    unsetenv("NO_PROXY");
    result = get("http://outer.invalid/x");
    assert_string_equal(result.body, "proxy");
    assert_memory_equal(raw.got, "GET http://outer.invalid/x HTTP/1.1\r\n", 37);
    assert_true(get("http://inner.invalid/x").failed);    /* cannot be resolved, and is not given to the proxy */
    assert_string_equal(get(at("/hello")).body, "hello"); /* nor is this machine */
    raw_stop(&raw);
}

/* A request may name its own: the environment's, and its exceptions, do not count for it, and for nobody after it. */
static void a_proxy_of_ones_own(void **state)
{
    struct http_request request = {.method = "GET", .url = "http://localhost:1/x", .trusted = true};
    char proxy[64];

    (void)state;
    raw_start(&raw, serve_answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", raw.port);
    request.proxy = proxy;
    assert_string_equal(ask_for(&request).body, "proxy");
    assert_memory_equal(raw.got, "GET http://localhost:1/x HTTP/1.1\r\n", 35);
    assert_string_equal(get(at("/hello")).body, "hello");
    raw_stop(&raw);
}

static void serve_http2_preface(struct raw_server *s, int fd)
{
    ssize_t n = 0;

    if (raw_wait(s, fd, 2000))
        n = recv(fd, s->got, sizeof s->got - 1, 0);
    s->got[n > 0 ? n : 0] = 0;
}

static void http2_is_spoken_when_asked(void **state)
{
    struct result result;

    (void)state;
    raw_start(&raw, serve_http2_preface, NULL);
    result = ask_for(
        &(struct http_request){.method = "POST", .url = at_raw("/"), .http2 = true, .body = "x", .body_length = 1});
    assert_true(result.failed);
    assert_memory_equal(raw.got, "PRI * HTTP/2.0\r\n", 16);
    result = get(at("/hello")); /* the same handle in HTTP/1.1 again */
    assert_string_equal(result.error.text, "");
    assert_int_equal(result.status, 200);
    raw_stop(&raw);
}

/* An answer over HTTP/2 that is sent faster than it is read. */
enum { FLOOD_PIECE = 16 * 1000, FLOOD_PIECES = 1000 };
static struct {
    struct timer *timer;
    size_t heard, heard_when_due;
} flood;

static void serve_http2_flood(struct raw_server *s, int fd)
{
    static const char begin[] = "\0\0\0\4\0\0\0\0\0"      /* SETTINGS: none */
                                "\0\0\1\1\4\0\0\0\1\x88"; /* HEADERS of the first stream: 200 */
    static const char head[] = "\x00\x3e\x80\0\0\0\0\0\1", end[] = "\0\0\0\0\1\0\0\0\1"; /* DATA */
    static char piece[sizeof head - 1 + FLOOD_PIECE];

    serve_http2_preface(s, fd);
    memcpy(piece, head, sizeof head - 1);
    send(fd, begin, sizeof begin - 1, MSG_NOSIGNAL);
    for (int i = 0; i < FLOOD_PIECES; i++)
        if (send(fd, piece, sizeof piece, MSG_NOSIGNAL) < 0)
            return;
    send(fd, end, sizeof end - 1, MSG_NOSIGNAL);
    while (raw_wait(s, fd, 2000) && recv(fd, s->got, sizeof s->got, 0) > 0)
        ; /* with something unread, closing would take back what was sent */
}

static bool read_slowly(void *arg, const char *bytes, size_t length)
{
    (void)arg, (void)bytes;
    if (flood.heard == 0)
        loop_timer_set(flood.timer, 0);
    flood.heard += length;
    usleep(500);
    return true;
}

static void on_due(void *arg)
{
    (void)arg;
    flood.heard_when_due = flood.heard;
}

static void one_that_sends_fast_keeps_nobody_waiting(void **state)
{
    struct result result;

    (void)state;
    flood.heard = flood.heard_when_due = 0;
    flood.timer = loop_timer_new(loop, on_due, NULL);
    raw_start(&raw, serve_http2_flood, NULL);
    result = ask_for(&(struct http_request){
        .method = "GET", .url = at_raw("/"), .http2 = true, .on_body = read_slowly, .timeout_ms = 20000});
    assert_string_equal(result.error.text, "");
    assert_int_equal(flood.heard, (size_t)FLOOD_PIECE * FLOOD_PIECES);
    assert_in_range(flood.heard_when_due, 1, flood.heard / 2);
    loop_timer_free(flood.timer);
    raw_stop(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(methods_and_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_bodies_and_their_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packed_answers_count_unpacked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_question_as_it_goes_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_must_not_go_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_say_what_happened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_that_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_few_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_with_two_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_closed_meanwhile_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thousand_at_once_and_descriptors_stay_flat, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines_run_while_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_exchanges_are_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_may_cancel_and_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freeing_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redirects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redirects_that_lead_nowhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(egress_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(egress_of_kept_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unix_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(proxies_from_the_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_proxy_of_ones_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(http2_is_spoken_when_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_sends_fast_keeps_nobody_waiting, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

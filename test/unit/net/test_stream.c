/* Byte streams over TCP and Unix sockets: opened, spoken over, closed from either side, timed out, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <sys/un.h>

#include "base/limits.h"
#include "base/text.h"
#include "net/egress.h"

static struct raw_server raw;
static struct text heard;

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    text_init(&heard, 16 * 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_all();
    text_done(&heard);
    return 0;
}

static uint32_t streams_now(void)
{
    struct transport_stats stats;

    transport_stats(transport, &stats);
    return stats.streams_now;
}

/* ---- servers ---- */
static void serve_echo(struct raw_server *s, int fd)
{
    char bytes[4096];
    ssize_t n;

    while (raw_wait(s, fd, 5000) && (n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        raw_say(fd, bytes, (size_t)n);
}

static void serve_greeting(struct raw_server *s, int fd)
{
    (void)s;
    raw_say(fd, "bye", 3);
}

static void serve_flood(struct raw_server *s, int fd)
{
    static char bytes[1024 * 1024];

    (void)s;
    for (int i = 0; i < 10; i++)
        raw_say(fd, bytes, sizeof bytes);
}

static void serve_deaf(struct raw_server *s, int fd)
{
    (void)fd;
    raw_wait(s, s->stop_fd, 5000);
}

/* ---- clients ---- */
struct client {
    const char *first; /* written when open */
    bool closes_on_open, closes_on_bytes, closes_on_end;
    size_t received;
    int ends;
    enum stream_end why;
    struct error error;
};

static void on_open(void *arg, struct stream *stream)
{
    struct client *client = arg;

    text_add(&heard, "open ");
    if (client->first)
        transport_stream_write(transport, stream, client->first, strlen(client->first));
    if (client->closes_on_open) {
        transport_stream_close(transport, stream);
        transport_stream_write(transport, stream, "x", 0);
        loop_stop(loop);
    }
}

static void on_bytes(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    struct client *client = arg;

    client->received += length;
    if (length < 100)
        text_printf(&heard, "%.*s ", (int)length, bytes);
    if (client->closes_on_bytes) {
        transport_stream_close(transport, stream);
        loop_stop(loop);
    }
}

static void on_end(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    struct client *client = arg;

    client->ends++;
    client->why = why;
    client->error = error ? *error : (struct error){0};
    text_printf(&heard, "end%d", why);
    if (client->closes_on_end)
        transport_stream_close(transport, stream);
    loop_stop(loop);
}

static struct stream *open_stream(struct client *client, const char *host, int port, int64_t idle_ms)
{
    return transport_stream_open(transport, &(struct stream_request){.host = host,
                                                                     .port = port,
                                                                     .connect_timeout_ms = 2000,
                                                                     .idle_timeout_ms = idle_ms,
                                                                     .on_open = on_open,
                                                                     .on_bytes = on_bytes,
                                                                     .on_end = on_end,
                                                                     .arg = client});
}

static void lives_of_a_stream(void **state)
{
    static const struct {
        raw_serve *serve;
        struct client client;
        int64_t idle_ms;
        const char *heard, *error;
        int ends;
    } rows[] = {
        {serve_echo, {.first = "ping", .closes_on_bytes = true}, 0, "open ping ", "", 0},
        {serve_echo, {.closes_on_open = true}, 0, "open ", "", 0},
        {serve_greeting, {.closes_on_end = true}, 0, "open bye end0", "", 1},
        {serve_greeting, {.closes_on_bytes = true}, 0, "open bye ", "", 0},
        {serve_echo, {.first = "ping"}, 100, "open ping end2", "no byte in either direction for 100 ms", 1},
        {serve_deaf, {.first = "ping"}, 100, "open end2", "no byte in either direction for 100 ms", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = rows[i].client;

        text_clear(&heard);
        raw_start(&raw, rows[i].serve, NULL);
        open_stream(&client, i % 2 ? "127.0.0.1" : "localhost", raw.port, rows[i].idle_ms);
        assert_int_equal(heard.length, 0);
        run_loop();
        run_for(20); /* nothing comes after */
        assert_string_equal(heard.bytes, rows[i].heard);
        assert_int_equal(client.ends, rows[i].ends);
        assert_non_null(strstr(client.error.text, rows[i].error));
        assert_int_equal(streams_now(), 0);
        raw_stop(&raw);
    }
}

static void connections_that_fail(void **state)
{
    struct client client = {0};
    char expected[200];

    (void)state;
    raw_start(&raw, serve_deaf, NULL);
    raw_stop(&raw);
    open_stream(&client, "127.0.0.1", raw.port, 0);
    run_loop();
    snprintf(expected, sizeof expected,
             "127.0.0.1:%d: connection refused; check that the server runs and listens there", raw.port);
    assert_string_equal(client.error.text, expected);
    assert_int_equal(client.why, STREAM_FAILED);
    open_stream(&client, "no-such-host.invalid", 1, 0);
    run_loop();
    assert_non_null(strstr(client.error.text, "no-such-host.invalid:1: the name cannot be resolved"));
    open_stream(&client, "127.0.0.1", 70000, 0);
    run_loop();
    assert_int_equal(client.error.kind, ERROR_INVALID);
    open_stream(&client, "/tmp/weir-test-no-such.sock", 0, 0);
    run_loop();
    assert_non_null(strstr(client.error.text, "/tmp/weir-test-no-such.sock: connection refused"));
    assert_int_equal(client.ends, 4);
}

static void egress_rules(void **state)
{
    struct client client = {0};
    struct egress *rules = egress_new();

    (void)state;
    transport_free(transport);
    egress_protect_loopback(rules);
    assert_true(transport_new_real(loop, &(struct transport_options){.egress = rules}, &transport, NULL));
    egress_unref(rules);
    open_stream(&client, "localhost", 1, 0);
    run_loop();
    assert_non_null(strstr(client.error.text, "a loopback address, and the egress rules let nothing go there"));
}

/* A queue full of connections that nobody accepts: the kernel answers no more. */
static void connecting_times_out(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct client client = {0};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), held[8];

    (void)state;
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/weir-test-full-%d.sock", (int)getpid());
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    for (int i = 0; i < 8; i++) {
        held[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(held[i], (struct sockaddr *)(void *)&address, sizeof address) < 0) {
            /* full */
        }
    }
    open_stream(&client, address.sun_path, 0, 0);
    run_loop();
    assert_int_equal(client.ends, 1);
    assert_int_equal(client.error.kind, ERROR_UNREACHABLE);
    for (int i = 0; i < 8; i++)
        close(held[i]);
    close(listener);
    unlink(address.sun_path);
}

static void large_answers_arrive_whole(void **state)
{
    struct client client = {0};

    (void)state;
    raw_start(&raw, serve_flood, NULL);
    open_stream(&client, "127.0.0.1", raw.port, 0);
    run_loop();
    assert_int_equal(client.received, 10 * 1024 * 1024);
    assert_int_equal(client.why, STREAM_CLOSED_BY_PEER);
    raw_stop(&raw);
}

static void what_waits_to_be_sent_is_bounded(void **state)
{
    static char megabyte[1024 * 1024];
    struct client client = {0};
    struct stream *stream;

    (void)state;
    raw_start(&raw, serve_deaf, NULL);
    stream = open_stream(&client, "127.0.0.1", raw.port, 0);
    transport_stream_write(transport, stream, megabyte, sizeof megabyte); /* before it is open */
    transport_stream_write(transport, stream, megabyte, 1);
    transport_stream_write(transport, stream, megabyte, 1); /* after the bound: nothing */
    assert_int_equal(client.ends, 0);
    run_loop();
    assert_int_equal(client.ends, 1);
    assert_int_equal(client.error.kind, ERROR_LIMIT);
    assert_non_null(strstr(client.error.text, "STREAM_WRITE_MAX_BYTES"));
    raw_stop(&raw);
}

static void closed_and_freed_in_every_state(void **state)
{
    struct client clients[3] = {0};

    (void)state;
    raw_start(&raw, serve_echo, NULL);
    transport_stream_close(transport, open_stream(&clients[0], "localhost", raw.port, 0)); /* not begun */
    run_for(20);
    for (int turn = 0; turn < 4; turn++) {
        struct stream *stream = open_stream(&clients[1], "no-such-host.invalid", raw.port, 0);

        clients[1].ends = 0;
        run_for(turn); /* looking up, or not found already */
        if (!clients[1].ends)
            transport_stream_close(transport, stream);
    }
    open_stream(&clients[2], "127.0.0.1", raw.port, 0);
    open_stream(&clients[2], "localhost", raw.port, 0);
    run_for(20);
    assert_int_equal(streams_now(), 2);
    transport_free(transport);
    transport = NULL;
    assert_int_equal(clients[0].ends + clients[2].ends, 0);
    raw_stop(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lives_of_a_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_that_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(egress_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connecting_times_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_answers_arrive_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_to_be_sent_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_and_freed_in_every_state, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

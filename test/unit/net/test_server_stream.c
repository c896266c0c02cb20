/* Answers without an end, as clients on real sockets see them: what comes when, who is closed and when, and that slow, mute and lost
   clients cost no more than their bound and disturb nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/server.h"
#include "party.h"

enum { MANY = 200, PIECE = 64 * 1024 };
static const char ask_stream[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";

static struct party ca, server_party;
static struct server *server;
static struct error err;
static char unix_path[64];

/* ---- the side of the server ---- */
struct listener {
    struct server_stream *stream; /* NULL: it has ended */
    int closed;
};
static struct listener listeners[SERVER_STREAMS_MAX + 1];
static size_t listener_count;

static void on_closed(void *arg)
{
    struct listener *listener = arg;

    listener->closed++;
    listener->stream = NULL;
}

static void serve_stream(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct listener *listener = &listeners[listener_count];

    (void)arg;
    text_add(answer->body, "nobody sees this");
    *listener = (struct listener){0};
    listener->stream = server_stream_begin(request, "text/event-stream", on_closed, listener);
    if (!listener->stream)
        return;
    listener_count++;
    assert_true(server_stream_send(listener->stream, "data: hello\n\n", 13));
}

static void serve_short(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    text_add(answer->body, "short");
}

static int closed_count(void)
{
    int closed = 0;

    for (size_t i = 0; i < listener_count; i++)
        closed += listeners[i].closed;
    return closed;
}

static void tell_all(const char *text)
{
    for (size_t i = 0; i < listener_count; i++)
        if (listeners[i].stream)
            server_stream_send(listeners[i].stream, text, strlen(text));
}

static int set_up(void **state)
{
    struct secret *key = secret_new(server_party.key_pem, strlen(server_party.key_pem));

    (void)state;
    start_all(NULL);
    listener_count = 0;
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/stream", serve_stream, NULL);
    server_route(server, "GET", "/short", serve_short, NULL);
    snprintf(unix_path, sizeof unix_path, "/tmp/weir-test-stream-%d.sock", (int)getpid());
    assert_true(
        server_set_tls(server, &(struct server_tls){.certificate_pem = server_party.pem, .key_pem = key}, &err));
    assert_true(server_listen_tcp(server, "127.0.0.1:0", &err));
    assert_true(server_listen_tls(server, "127.0.0.1:0", &err));
    assert_true(server_listen_unix(server, unix_path, &err));
    secret_unref(key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    stop_all();
    return 0;
}

static int make_parties(void **state)
{
    (void)state;
    make_party(&ca, &(struct party_wish){.name = "servers"});
    make_party(&server_party, &(struct party_wish){.name = "server", .addresses = "IP:127.0.0.1", .issuer = &ca});
    return 0;
}

static int free_parties(void **state)
{
    (void)state;
    free_party(&ca);
    free_party(&server_party);
    return 0;
}

/* ---- the side of the client ---- */
enum way { BY_TCP, BY_TLS, BY_UNIX, WAYS };

static void open_by(struct wire *wire, enum way way)
{
    wire_open(wire, way == BY_UNIX ? wire_connect_unix(unix_path) : wire_connect_tcp(server_address_at(server, way)),
              way == BY_TLS);
}

static struct listener *open_stream(struct wire *wire, enum way way)
{
    open_by(wire, way);
    wire_say(wire, ask_stream, sizeof ask_stream - 1);
    assert_true(wire_gets(wire, "data: hello\n\n"));
    return &listeners[listener_count - 1];
}

static bool is_served(void)
{
    static struct wire wire;
    bool served;

    open_by(&wire, BY_TCP);
    wire_say_text(&wire, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n");
    served = wire_gets(&wire, "\r\n\r\nshort");
    wire_close(&wire);
    return served;
}

static struct wire one, other;

/* ---- tests ---- */
static void what_is_sent_comes_at_once(void **state)
{
    (void)state;
    for (enum way way = BY_TCP; way < WAYS; way++) {
        struct listener *listener = open_stream(&one, way);

        assert_true(string_starts(one.got, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(one.got, "\r\nContent-Type: text/event-stream\r\n"));
        assert_non_null(strstr(one.got, "\r\nTransfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(one.got, "\r\nCache-Control: no-store\r\n"));
        assert_non_null(strstr(one.got, "\r\n\r\nd\r\ndata: hello\n\n\r\n"));
        assert_true(server_stream_send(listener->stream, "", 0)); /* is not the end */
        assert_true(server_stream_send(listener->stream, "data: more\n\n", 12));
        assert_true(server_stream_waiting(listener->stream) > 12);
        assert_true(wire_gets(&one, "c\r\ndata: more\n\n\r\n"));
        assert_int_equal(server_stream_waiting(listener->stream), 0);
        server_stream_send(listener->stream, "last", 4);
        server_stream_end(listener->stream);
        assert_true(wire_ends(&one));
        assert_true(string_ends(one.got, "4\r\nlast\r\n0\r\n\r\n"));
        assert_int_equal(listener->closed, 0); /* the owner knows */
        wire_close(&one);
    }
}

static void a_client_of_before_gets_no_chunks(void **state)
{
    (void)state;
    open_by(&one, BY_TCP);
    wire_say_text(&one, "GET /stream HTTP/1.0\r\n\r\n");
    assert_true(wire_gets(&one, "\r\n\r\ndata: hello\n\n"));
    assert_null(strstr(one.got, "chunked"));
    server_stream_send(listeners[0].stream, "last", 4);
    server_stream_end(listeners[0].stream);
    assert_true(wire_ends(&one));
    assert_true(string_ends(one.got, "\r\n\r\ndata: hello\n\nlast"));
    wire_close(&one);
}

static void head_has_no_stream(void **state)
{
    (void)state;
    open_by(&one, BY_TCP);
    wire_say_text(&one, "HEAD /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(wire_ends(&one));
    assert_true(string_starts(one.got, "HTTP/1.1 200 OK\r\n"));
    assert_true(string_ends(one.got, "\r\n\r\n"));
    assert_int_equal(listener_count, 0);
    wire_close(&one);
}

static void who_leaves_is_noticed(void **state)
{
    (void)state;
    for (enum way way = BY_TCP; way < WAYS; way++) {
        struct listener *listener = open_stream(&one, way);

        assert_int_equal(listener->closed, 0);
        wire_close(&one);
        run_for(50);
        assert_int_equal(listener->closed, 1);
    }
}

/* Until it is full, then it is closed; what the others get is as before. */
static void who_never_reads_is_closed(void **state)
{
    char *piece = mem_alloc(PIECE);

    (void)state;
    memset(piece, 'x', PIECE);
    for (enum way way = BY_TCP; way < WAYS; way++) {
        struct listener *listener = open_stream(&one, way);
        struct listener *neighbour = open_stream(&other, BY_TCP);
        size_t sent = 0;

        while (server_stream_send(listener->stream, piece, PIECE)) {
            sent += PIECE;
            assert_true(sent < 64 * 1024 * 1024);
            assert_true(server_stream_waiting(listener->stream) <= SERVER_STREAM_MAX_BYTES + 64);
            run_for(1);
        }
        assert_true(sent >= SERVER_STREAM_MAX_BYTES - PIECE);
        assert_int_equal(listener->closed, 0); /* not within the call */
        assert_false(server_stream_send(listener->stream, "more", 4));
        run_for(50);
        assert_int_equal(listener->closed, 1);
        assert_true(server_stream_send(neighbour->stream, "data: fine\n\n", 12));
        assert_true(wire_gets(&other, "data: fine\n\n"));
        server_stream_end(neighbour->stream);
        wire_close(&one);
        wire_close(&other);
    }
    free(piece);
}

/* Less waits than may, but nothing of it is taken: a client that is lost, or whose machine sleeps. It takes as long as that may take. */
static void who_takes_nothing_for_long_is_closed(void **state)
{
    static struct wire wires[WAYS];
    struct listener *lost[WAYS];
    char *piece = mem_alloc(PIECE);

    (void)state;
    memset(piece, 'x', PIECE);
    for (enum way way = BY_TCP; way < WAYS; way++) {
        lost[way] = open_stream(&wires[way], way);
        while (server_stream_waiting(lost[way]->stream) < SERVER_STREAM_MAX_BYTES / 2) {
            assert_true(server_stream_send(lost[way]->stream, piece, PIECE));
            run_for(1);
        }
    }
    open_stream(&other, BY_TCP);
    for (int s = 0; s < SERVER_STREAM_STALL_S - 3; s++) {
        run_for(1000);
        tell_all("data: a word\n\n");
    }
    assert_int_equal(closed_count(), 0);
    for (int s = 0; s < 6; s++) {
        run_for(1000);
        tell_all("data: a word\n\n");
    }
    assert_int_equal(closed_count(), WAYS);
    assert_true(wire_gets(&other, "data: a word\n\n")); /* who reads stays */
    for (enum way way = BY_TCP; way < WAYS; way++) {
        assert_int_equal(lost[way]->closed, 1);
        wire_close(&wires[way]);
    }
    wire_close(&other);
    free(piece);
}

/* A stream that is too slow may be ended by its owner, who then is not told. */
static void who_is_too_slow_may_be_ended(void **state)
{
    char *piece = mem_alloc(SERVER_STREAM_MAX_BYTES + 1);
    struct listener *listener = open_stream(&one, BY_TCP);

    (void)state;
    assert_false(server_stream_send(listener->stream, piece, SERVER_STREAM_MAX_BYTES + 1));
    server_stream_end(listener->stream);
    run_for(50);
    assert_int_equal(listener->closed, 0);
    assert_true(wire_ends(&one));
    wire_close(&one);
    free(piece);
}

/* What a client says into its stream is thrown away, as much as it likes. */
static void who_talks_is_not_listened_to(void **state)
{
    char *piece = mem_alloc(PIECE);

    (void)state;
    for (enum way way = BY_TCP; way < WAYS; way++) {
        struct listener *listener = open_stream(&one, way);

        for (size_t said = 0; said < 16 * 1024 * 1024;) {
            size_t n = wire_say(&one, piece, PIECE);

            said += n;
            if (n == 0)
                run_for(1);
        }
        assert_true(server_stream_send(listener->stream, "data: fine\n\n", 12));
        assert_true(wire_gets(&one, "data: fine\n\n"));
        assert_int_equal(listener->closed, 0);
        wire_close(&one);
        run_for(20);
    }
    free(piece);
}

static void open_many(struct wire **wires, size_t count)
{
    *wires = mem_array(count, sizeof **wires);
    for (size_t i = 0; i < count; i++) {
        open_by(&(*wires)[i], BY_TCP);
        wire_say(&(*wires)[i], ask_stream, sizeof ask_stream - 1);
        if (i % 32 == 31)
            run_for(20);
    }
    for (size_t i = 0; i < count; i++)
        assert_true(wire_gets(&(*wires)[i], "\n\n"));
}

static void close_many(struct wire *wires, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wire_close(&wires[i]);
    free(wires);
    run_for(100);
}

static void many_listen(void **state)
{
    struct wire *wires;
    char text[32];

    (void)state;
    open_many(&wires, MANY);
    assert_int_equal(listener_count, MANY);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "data: %d\n\n", i);
        tell_all(text);
        run_for(1);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_true(wire_gets(&wires[i], "data: 99\n\n"));
    for (size_t i = 0; i < MANY; i += 2)
        wire_close(&wires[i]);
    run_for(100);
    assert_int_equal(closed_count(), MANY / 2);
    tell_all("data: half\n\n");
    for (size_t i = 1; i < MANY; i += 2)
        assert_true(wire_gets(&wires[i], "data: half\n\n"));
    close_many(wires, MANY);
    assert_int_equal(closed_count(), MANY);
}

/* One more is told to come again; and a stream that ends makes room for the next. */
static void there_are_not_too_many(void **state)
{
    struct wire *wires;

    (void)state;
    open_many(&wires, SERVER_STREAMS_MAX);
    open_by(&one, BY_TCP);
    wire_say(&one, ask_stream, sizeof ask_stream - 1);
    assert_true(wire_gets(&one, "SERVER_STREAMS_MAX"));
    assert_true(string_starts(one.got, "HTTP/1.1 503 Service Unavailable\r\n"));
    assert_true(is_served());
    wire_close(&wires[7]);
    wire_close(&one);
    run_for(50);
    open_stream(&one, BY_TCP);
    wire_close(&one);
    close_many(wires, SERVER_STREAMS_MAX);
}

/* A stream is quiet by nature, and keeps its place when newcomers wait for one; those who ask nothing give way. */
static void who_listens_does_not_give_way(void **state)
{
    enum { QUIET = SERVER_CONNECTIONS_MAX - MANY + 20 };
    static int fds[QUIET];
    struct wire *wires;

    (void)state;
    open_many(&wires, MANY);
    for (int i = 0; i < QUIET; i++) {
        fds[i] = wire_connect_tcp(server_address(server));
        if (i % 32 == 31)
            run_for(5);
    }
    run_for(SERVER_PATIENCE_MS + 4 * 100);
    assert_true(is_served());
    assert_int_equal(closed_count(), 0);
    tell_all("data: still here\n\n");
    for (size_t i = 0; i < MANY; i++)
        assert_true(wire_gets(&wires[i], "data: still here\n\n"));
    for (int i = 0; i < QUIET; i++)
        close(fds[i]);
    close_many(wires, MANY);
}

static void a_server_that_ends_closes_all(void **state)
{
    (void)state;
    for (enum way way = BY_TCP; way < WAYS; way++) {
        struct listener *listener = open_stream(way == BY_TCP ? &one : &other, way);

        server_stream_send(listener->stream, "data: never read\n\n", 18);
        if (way != BY_TCP)
            wire_close(&other);
    }
    server_free(server);
    server = NULL;
    assert_int_equal(closed_count(), 3);
    assert_true(wire_ends(&one));
    wire_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sent_comes_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_of_before_gets_no_chunks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_has_no_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_never_reads_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_takes_nothing_for_long_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_too_slow_may_be_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_talks_is_not_listened_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_listen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_are_not_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_listens_does_not_give_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_ends_closes_all, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}

/* The gate before all handlers: what it sees, refuses, puts off and lets in; where a request came from; headers of answers. */
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

static struct party ca, server_party;
static struct server *server;
static struct server_pending *pending;
static struct error err;
static char unix_path[64];
static int asked, handled;
static struct wire wire;

/* "X-Do: refuse", "wait", or else it is let in as who "X-Who" names. */
static bool gate(void *arg, const struct server_request *request, struct server_answer *refusal)
{
    const char *what = server_header(request, "X-Do");

    assert_ptr_equal(arg, &asked);
    asked++;
    assert_int_equal(request->body_length, 0);
    server_answer_header(request, "X-Gate", request->path);
    if (what && strcmp(what, "refuse") == 0) {
        refusal->status = 403;
        text_add(refusal->body, "{\"error\":\"no\"}");
        return false;
    }
    if (what && strcmp(what, "wait") == 0) {
        pending = server_defer(request);
        return false;
    }
    server_set_asker(request, "somebody");
    return true;
}

static void show(void *arg, const struct server_request *request, struct server_answer *answer)
{
    static const char *const names[] = {[LISTENER_UNIX] = "unix", [LISTENER_TCP] = "tcp", [LISTENER_TLS] = "tls"};
    const char *asker = server_asker(request), *remote = server_remote(request), *q = server_query(request, "q");

    (void)arg;
    handled++;
    assert_ptr_equal(remote, server_remote(request));
    server_answer_header(request, "Cache-Control", "max-age=60");
    server_answer_header(request, "X-Bad", "a\r\nX-Injected: 1");
    answer->content_type = "text/plain";
    text_printf(answer->body, "%s|%s|%s|%s|%.*s", names[server_listener_of(request)],
                string_starts(remote, "127.0.0.1:") ? "local" : remote, asker ? asker : "nobody", q ? q : "",
                (int)request->body_length, request->body);
}

static void show_later(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)answer;
    pending = server_defer(request);
}

static struct server_stream *stream;

static void on_closed(void *arg)
{
    (void)arg;
    stream = NULL;
}

static void show_stream(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)answer;
    stream = server_stream_begin(request, "text/event-stream", on_closed, NULL);
    server_stream_send(stream, "hello", 5);
}

static int set_up(void **state)
{
    struct secret *key = secret_new(server_party.key_pem, strlen(server_party.key_pem));

    (void)state;
    start_all(NULL);
    asked = handled = 0;
    pending = NULL;
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/show", show, NULL);
    server_route(server, "POST", "/show", show, NULL);
    server_route(server, "GET", "/later", show_later, NULL);
    server_route(server, "GET", "/stream", show_stream, NULL);
    server_set_gate(server, gate, &asked);
    server_set_header(server, "X-Always", "here");
    snprintf(unix_path, sizeof unix_path, "/tmp/weir-test-gate-%d.sock", (int)getpid());
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
    wire_close(&wire);
    server_free(server);
    stop_all();
    return 0;
}

static int make_parties(void **state)
{
    (void)state;
    wire.fd = -1;
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

static void begin_at(int fd, bool tls, const char *line, const char *headers)
{
    char request[1024];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", line, headers);
    if (wire.fd >= 0)
        wire_close(&wire);
    wire_open(&wire, fd, tls);
    wire_say(&wire, request, strlen(request));
}

static void begin(const char *line, const char *headers)
{
    begin_at(wire_connect_tcp(server_address(server)), false, line, headers);
}

static const char *ask(const char *line, const char *headers)
{
    begin(line, headers);
    assert_true(wire_ends(&wire));
    return wire.got;
}

static bool waits(void)
{
    for (int i = 0; i < 200 && !pending; i++)
        run_for(5);
    return pending != NULL;
}

static void a_gate_is_asked_before_handlers(void **state)
{
    static const struct {
        const char *line, *headers, *status, *ending;
        int asked, handled;
    } rows[] = {
        {"GET /show?q=1", "", "200 OK", "\r\n\r\ntcp|local|somebody|1|", 1, 1},
        {"POST /show", "Content-Length: 3\r\n\r\nabc", "200 OK", "\r\n\r\ntcp|local|somebody||abc", 1, 1},
        {"GET /show", "X-Do: refuse\r\n", "403 Forbidden", "{\"error\":\"no\"}", 1, 0},
        {"HEAD /show", "X-Do: refuse\r\n", "403 Forbidden", "\r\n\r\n", 1, 0},
        {"GET /nothing", "", "404 Not Found", "}\n", 0, 0},
        {"DELETE /show", "", "405 Method Not Allowed", "}\n", 0, 0},
        {"TRACE /show", "", "405 Method Not Allowed", "}\n", 0, 0},
        {"GET /%zz", "", "400 Bad Request", "}\n", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char status[64];

        asked = handled = 0;
        ask(rows[i].line, rows[i].headers);
        snprintf(status, sizeof status, "HTTP/1.1 %s\r\n", rows[i].status);
        if (!string_starts(wire.got, status) || !string_ends(wire.got, rows[i].ending) || asked != rows[i].asked ||
            handled != rows[i].handled || !strstr(wire.got, "\r\nX-Always: here\r\n"))
            fail_msg("%s: %d %d %s", rows[i].line, asked, handled, wire.got);
    }
}

static void headers_of_answers(void **state)
{
    (void)state;
    ask("GET /show", "");
    assert_non_null(strstr(wire.got, "\r\nX-Gate: /show\r\n"));
    assert_non_null(strstr(wire.got, "\r\nCache-Control: max-age=60\r\n"));
    assert_null(strstr(wire.got, "no-store"));
    assert_non_null(strstr(wire.got, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_null(strstr(wire.got, "X-Injected"));
    ask("GET /nothing", "");
    assert_non_null(strstr(wire.got, "\r\nCache-Control: no-store\r\n"));
}

static void where_it_came_by(void **state)
{
    (void)state;
    assert_true(string_ends(ask("GET /show", ""), "tcp|local|somebody||"));
    begin_at(wire_connect_tcp(server_address_at(server, 1)), true, "GET /show", "");
    assert_true(wire_ends(&wire));
    assert_true(string_ends(wire.got, "tls|local|somebody||"));
    begin_at(wire_connect_unix(unix_path), false, "GET /show", "");
    assert_true(wire_ends(&wire));
    assert_true(string_ends(wire.got, "unix||somebody||"));
}

static void a_gate_may_put_off(void **state)
{
    (void)state;
    begin("POST /show?q=2", "X-Do: wait\r\nContent-Length: 3\r\n\r\nabc");
    assert_true(waits());
    assert_int_equal(handled, 0);
    server_admit(pending, "later one");
    assert_int_equal(handled, 1);
    assert_true(wire_ends(&wire));
    assert_true(string_ends(wire.got, "tcp|local|later one|2|abc"));
    assert_non_null(strstr(wire.got, "\r\nX-Gate: /show\r\n"));
    assert_int_equal(asked, 1);
}

static void what_was_put_off_may_be_refused(void **state)
{
    struct text body;

    (void)state;
    text_init(&body, 100);
    text_add(&body, "no");
    begin("GET /show", "X-Do: wait\r\n");
    assert_true(waits());
    server_complete(pending, &(struct server_answer){.status = 401, .body = &body});
    assert_true(wire_ends(&wire));
    assert_true(string_starts(wire.got, "HTTP/1.1 401 Unauthorized\r\n"));
    assert_true(string_ends(wire.got, "\r\n\r\nno"));
    assert_int_equal(handled, 0);
    text_done(&body);
}

/* What was let in late may wait again, for its own reasons, or become a stream. */
static void what_was_put_off_may_be_anything(void **state)
{
    struct server_pending *first;

    (void)state;
    begin("GET /later", "X-Do: wait\r\n");
    assert_true(waits());
    first = pending;
    server_admit(first, NULL);
    server_complete(pending, &(struct server_answer){.status = 204});
    assert_true(wire_ends(&wire));
    assert_true(string_starts(wire.got, "HTTP/1.1 204 No Content\r\n"));

    pending = NULL;
    begin("GET /stream", "X-Do: wait\r\n");
    assert_true(waits());
    server_admit(pending, NULL);
    assert_true(wire_gets(&wire, "hello"));
    assert_non_null(stream);
    server_stream_end(stream);
    assert_true(wire_ends(&wire));
}

static void who_does_not_wait_for_the_gate(void **state)
{
    (void)state;
    begin("GET /show", "X-Do: wait\r\n");
    assert_true(waits());
    wire_close(&wire);
    run_for(50);
    server_admit(pending, "too late"); /* the answer goes to nobody */
    run_for(50);
    assert_true(string_ends(ask("GET /show", ""), "tcp|local|somebody||"));
    pending = NULL;
    begin("GET /stream", "X-Do: wait\r\n");
    assert_true(waits());
    wire_close(&wire);
    server_admit(pending, NULL);
    assert_non_null(stream);
    run_for(50);
    assert_null(stream); /* noticed as soon as something is to be said */
    pending = NULL;
    begin("GET /show", "X-Do: wait\r\n"); /* and one that is still waiting when the server ends */
    assert_true(waits());
}

/* Over TLS bodies may be large, but not where a gate has to think. */
static void bodies_before_a_gate_are_small(void **state)
{
    static char body[SERVER_REQUEST_MAX_BYTES + 2];
    static const size_t sizes[] = {SERVER_REQUEST_MAX_BYTES, SERVER_REQUEST_MAX_BYTES + 1};

    (void)state;
    memset(body, 'b', sizeof body);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char head[64];

        snprintf(head, sizeof head, "X-Do: refuse\r\nContent-Length: %zu\r\n", sizes[i]);
        begin_at(wire_connect_tcp(server_address_at(server, 1)), true, "POST /show", head);
        for (size_t said = 0; said < sizes[i];) {
            size_t n = wire_say(&wire, body + said, sizes[i] - said);

            said += n;
            if (n == 0)
                run_for(1);
        }
        assert_true(wire_ends(&wire));
        assert_true(string_starts(wire.got, i == 0 ? "HTTP/1.1 403 " : "HTTP/1.1 413 "));
    }
    assert_int_equal(asked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_gate_is_asked_before_handlers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_of_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_it_came_by, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gate_may_put_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_put_off_may_be_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_put_off_may_be_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_wait_for_the_gate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bodies_before_a_gate_are_small, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}

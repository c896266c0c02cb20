/* Answers without end: their bytes come as they are sent, whoever reads them may cancel and ask from there, and over HTTP/2 many
   of them share one connection. The HTTP/2 server here knows just enough of the protocol to answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/server.h"
#include "party.h"

static struct raw_server raw;
static char url[128];

static const char *at_raw(const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", raw.port, path);
    return url;
}

static int set_up(void **state)
{
    (void)state;
    start_all(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_all();
    return 0;
}

static struct transport_stats stats(void)
{
    struct transport_stats now;

    transport_stats(transport, &now);
    return now;
}

/* ---- who watches ---- */
struct watch {
    struct exchange *exchange;
    char heard[512];
    size_t length;
    int pieces, dones;
    const char *act_at; /* when this was heard: */
    bool cancels, refuses, asks;
    struct exchange *victim; /* cancelled too */
    struct watch *asked;     /* and this is what became of what was asked */
    int64_t first_ms, last_ms;
    struct error error;
    bool failed;
    int status;
    char body[64];
};

static int64_t started_ms;

static void on_end(void *arg, const struct http_reply *reply)
{
    struct watch *watch = arg;

    watch->dones++;
    watch->exchange = NULL;
    watch->failed = reply->failed;
    watch->error = reply->error;
    watch->status = reply->status;
    snprintf(watch->body, sizeof watch->body, "%s", reply->body ? reply->body : "");
    loop_stop(loop);
}

static void start_watch(struct watch *watch, const char *where, int64_t idle_timeout_ms);

static bool on_piece(void *arg, const char *bytes, size_t length)
{
    struct watch *watch = arg;

    watch->last_ms = loop_ticks_ms(loop) - started_ms;
    if (watch->pieces++ == 0)
        watch->first_ms = watch->last_ms;
    if (length > sizeof watch->heard - 1 - watch->length)
        length = sizeof watch->heard - 1 - watch->length;
    memcpy(watch->heard + watch->length, bytes, length);
    watch->length += length;
    if (!watch->act_at || !strstr(watch->heard, watch->act_at))
        return true;
    watch->act_at = NULL;
    if (watch->asks) {
        struct watch gone = {0};

        start_watch(&gone, at_raw("/never"), 0);
        start_watch(watch->asked, at_raw("/other"), 0);
        transport_http_cancel(transport, gone.exchange); /* before it could even start */
    }
    if (watch->victim)
        transport_http_cancel(transport, watch->victim);
    if (watch->cancels) {
        transport_http_cancel(transport, watch->exchange);
        loop_stop(loop);
    }
    return !watch->refuses;
}

static void start_watch(struct watch *watch, const char *where, int64_t idle_timeout_ms)
{
    started_ms = loop_ticks_ms(loop);
    watch->exchange = transport_http(transport,
                                     &(struct http_request){.method = "GET",
                                                            .url = where,
                                                            .timeout_ms = 400,
                                                            .idle_timeout_ms = idle_timeout_ms,
                                                            .body_max_bytes = 20,
                                                            .uncounted = true,
                                                            .on_body = on_piece},
                                     on_end, watch);
    assert_non_null(watch->exchange);
    assert_int_equal(watch->dones, 0);
}

/* ---- servers ---- */
static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/* Three chunks 300 ms apart, which is longer in all than the time allowed for the head; then the end. */
static void serve_slowly(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, head, sizeof head - 1);
    for (int i = 0; i < 3 && !raw_wait(s, fd, i ? 300 : 0); i++)
        raw_say(fd, "8\r\n{line..}\r\n", 13);
    raw_say(fd, "0\r\n\r\n", 5);
}

/* Goes on for ever after the first line, in silence. */
static void serve_and_hang(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, head, sizeof head - 1);
    raw_say(fd, "6\r\nhello\n\r\n", 11);
    raw_wait(s, fd, 5000);
}

static void serve_and_break(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_say(fd, head, sizeof head - 1);
    raw_say(fd, "6\r\nhello\n\r\n", 11);
}

static void serve_no_head(struct raw_server *s, int fd)
{
    raw_read_head(s, fd);
    raw_wait(s, fd, 5000);
}

static void serve_gone(struct raw_server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone";

    raw_read_head(s, fd);
    raw_say(fd, answer, sizeof answer - 1);
}

static void serve_large_refusal(struct raw_server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";

    raw_read_head(s, fd);
    raw_say(fd, answer, sizeof answer - 1);
}

/* The head of a refusal and then nothing: that is not an answer without end. */
static void serve_half_refusal(struct raw_server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\nabc";

    raw_read_head(s, fd);
    raw_say(fd, answer, sizeof answer - 1);
    raw_wait(s, fd, 5000);
}

/* {"type":"ADDED"} and {"type":"DELETED"}, each flushed. */
static const unsigned char packed[3][33] = {
    {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xaa, 0x56, 0x2a, 0xa9, 0x2c, 0x48, 0x55,
     0xb2, 0x52, 0x72, 0x74, 0x71, 0x71, 0x75, 0x51, 0xaa, 0xe5, 0x02, 0x00, 0x00, 0x00, 0xff, 0xff},
    {0xaa, 0x86, 0x09, 0xb8, 0xb8, 0xfa, 0xb8, 0x86, 0x80, 0x85, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff},
    {0x03, 0x00, 0x7e, 0x77, 0xa8, 0x46, 0x24, 0x00, 0x00, 0x00},
};
static const size_t packed_lengths[3] = {33, 16, 10};

static void serve_packed(struct raw_server *s, int fd)
{
    static const char packed_head[] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[64];

    raw_read_head(s, fd);
    raw_say(fd, packed_head, sizeof packed_head - 1);
    for (int i = 0; i < 3 && !raw_wait(s, fd, i ? 200 : 0); i++) {
        int length = snprintf(chunk, sizeof chunk, "%zx\r\n", packed_lengths[i]);

        memcpy(chunk + length, packed[i], packed_lengths[i]);
        memcpy(chunk + length + packed_lengths[i], "\r\n", 2);
        raw_say(fd, chunk, (size_t)length + packed_lengths[i] + 2);
    }
    raw_say(fd, "0\r\n\r\n", 5);
}

/* ---- what a reader sees ---- */
static void how_it_ends(void **state)
{
    static const struct {
        raw_serve *serve;
        int64_t idle_ms;
        bool refuses;
        int status; /* 0: failed */
        const char *heard, *end;
        enum error_kind kind;
    } rows[] = {
        {serve_slowly, 0, false, 200, "{line..}{line..}{line..}", "", ERROR_NONE},
        {serve_slowly, 800, false, 200, "{line..}{line..}{line..}", "", ERROR_NONE},
        {serve_slowly, 150, false, 0, "{line..}", "no byte in either direction for 150 ms; check", ERROR_UNREACHABLE},
        {serve_and_hang, 200, false, 0, "hello\n", "no byte in either direction for 200 ms", ERROR_UNREACHABLE},
        {serve_and_break, 0, false, 0, "hello\n", "the connection broke before the answer was complete",
         ERROR_UNREACHABLE},
        {serve_no_head, 60000, false, 0, "", "timed out after 400 ms: connected, but no answer came",
         ERROR_UNREACHABLE},
        {serve_gone, 0, false, 410, "", "gone", ERROR_NONE},
        {serve_large_refusal, 0, false, 0, "", "the answer is larger than 20 bytes", ERROR_LIMIT},
        {serve_half_refusal, 60000, false, 0, "", "timed out after 400 ms: the answer began but did not end",
         ERROR_UNREACHABLE},
        {serve_and_hang, 0, true, 0, "hello\n", "what it answered is of no use to who asked", ERROR_INVALID},
        {serve_packed, 0, false, 200, "{\"type\":\"ADDED\"}\n{\"type\":\"DELETED\"}\n", "", ERROR_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct watch watch = {.act_at = rows[i].refuses ? "hello" : NULL, .refuses = rows[i].refuses};

        raw_start(&raw, rows[i].serve, NULL);
        start_watch(&watch, at_raw("/"), rows[i].idle_ms);
        run_loop();
        if (watch.dones != 1 || watch.failed != !rows[i].status || watch.status != rows[i].status ||
            strcmp(watch.heard, rows[i].heard) != 0 ||
            !strstr(watch.failed ? watch.error.text : watch.body, rows[i].end))
            fail_msg("row %zu: '%s' %d %s %s", i, watch.heard, watch.status, watch.body, watch.error.text);
        assert_int_equal(watch.failed ? watch.error.kind : ERROR_NONE, rows[i].kind);
        raw_stop(&raw);
    }
    assert_int_equal(stats().exchanges_now, 0);
}

static void bytes_come_as_they_are_sent(void **state)
{
    raw_serve *const servers[] = {serve_slowly, serve_packed};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct watch watch = {0};

        raw_start(&raw, servers[i], NULL);
        start_watch(&watch, at_raw("/"), 0);
        run_loop();
        assert_true(watch.pieces >= 2);
        assert_true(watch.first_ms < 150 && watch.last_ms >= 180); /* not kept until the end */
        raw_stop(&raw);
    }
}

/* ---- what a reader may do ---- */
static void a_reader_may_cancel_itself_and_others(void **state)
{
    struct watch first = {.act_at = "hello", .cancels = true}, other = {0};

    (void)state;
    raw_start(&raw, serve_and_hang, NULL);
    start_watch(&other, at_raw("/"), 0);
    run_for(100);
    assert_string_equal(other.heard, "hello\n");
    first.victim = other.exchange;
    start_watch(&first, at_raw("/"), 0);
    run_loop();
    run_for(50);
    assert_string_equal(first.heard, "hello\n");
    assert_int_equal(first.dones + other.dones, 0);
    assert_int_equal(stats().exchanges_now, 0);
    assert_int_equal(stats().failures, 0);
    assert_int_equal(stats().connections_now, 0); /* half-read connections are of no use */
    raw_stop(&raw);
}

static void a_reader_may_ask(void **state)
{
    struct watch asked = {0}, watch = {.act_at = "hello", .asks = true, .asked = &asked};

    (void)state;
    raw_start(&raw, serve_and_break, NULL);
    start_watch(&watch, at_raw("/"), 0);
    run_loop();
    if (!asked.dones || !watch.dones)
        run_loop();
    assert_string_equal(watch.heard, "hello\n");
    assert_string_equal(asked.heard, "hello\n");
    assert_int_equal(asked.dones, 1);
    assert_int_equal(raw.accepted, 2); /* nothing of the one that was cancelled at once */
    assert_int_equal(stats().exchanges_now, 0);
    raw_stop(&raw);
}

static void cancelled_from_elsewhere(void **state)
{
    struct watch watch = {0}, left = {0};

    (void)state;
    raw_start(&raw, serve_and_hang, NULL);
    start_watch(&watch, at_raw("/"), 100);
    transport_http_cancel(transport, watch.exchange);
    start_watch(&watch, at_raw("/"), 5000);
    run_for(100);
    assert_string_equal(watch.heard, "hello\n");
    transport_http_cancel(transport, watch.exchange);
    run_for(50);
    assert_int_equal(watch.dones, 0);
    start_watch(&left, at_raw("/"), 5000);
    run_for(50);
    transport_free(transport); /* cancels it */
    transport = NULL;
    run_for(50);
    assert_int_equal(left.dones, 0);
    raw_stop(&raw);
}

static void redirected_watches(void **state)
{
    static struct raw_server there;
    struct watch watch = {0};
    char redirect[200];

    (void)state;
    raw_start(&there, serve_slowly, NULL);
    snprintf(redirect, sizeof redirect,
             "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 4\r\n\r\nbody", there.port);
    raw_start(&raw, serve_answer, redirect);
    start_watch(&watch, at_raw("/here"), 1000);
    run_loop();
    assert_string_equal(watch.heard, "{line..}{line..}{line..}");
    raw_stop(&raw);
    raw_stop(&there);
}

/* ---- uncounted ---- */
static void they_take_nobodys_place(void **state)
{
    enum { WATCHES = POLLS_PER_DESTINATION_MAX + 20 };
    static struct watch watches[WATCHES];
    struct watch poll = {0};
    int heard = 0;

    (void)state;
    memset(watches, 0, sizeof watches);
    raw_start(&raw, serve_and_hang, NULL);
    for (int i = 0; i < WATCHES; i++)
        start_watch(&watches[i], at_raw("/"), 0);
    transport_http(transport, &(struct http_request){.method = "GET", .url = at_raw("/"), .timeout_ms = 1500}, on_end,
                   &poll);
    run_loop();
    assert_non_null(strstr(poll.error.text, "the answer began but did not end")); /* a poll got a place at once */
    for (int i = 0; i < WATCHES; i++) {
        heard += strcmp(watches[i].heard, "hello\n") == 0;
        transport_http_cancel(transport, watches[i].exchange);
    }
    assert_int_equal(heard, WATCHES);
    assert_int_equal(stats().queued, 0);
    raw_stop(&raw);
}

/* ---- HTTP/2 ---- */
static struct party authority, server_party;
static SSL_CTX *context;
static _Atomic int watches_reset;
static bool endless[1024]; /* by stream */

enum { H2_DATA, H2_HEADERS, H2_RST_STREAM = 3, H2_SETTINGS, H2_PING = 6 };
enum { H2_END_STREAM = 1, H2_END_HEADERS = 4 };

static void say_frame(SSL *ssl, int type, int flags, uint32_t stream, const void *payload, size_t length)
{
    unsigned char frame[9 + 256] = {0,
                                    0,
                                    (unsigned char)length,
                                    (unsigned char)type,
                                    (unsigned char)flags,
                                    (unsigned char)(stream >> 24),
                                    (unsigned char)(stream >> 16),
                                    (unsigned char)(stream >> 8),
                                    (unsigned char)stream};

    if (length)
        memcpy(frame + 9, payload, length);
    SSL_write(ssl, frame, (int)(9 + length));
}

static bool read_fully(struct raw_server *s, SSL *ssl, int fd, void *bytes, size_t length)
{
    for (size_t got = 0; got < length;) {
        int n;

        if (SSL_pending(ssl) == 0 && !raw_wait(s, fd, 5000))
            return false;
        n = SSL_read(ssl, (char *)bytes + got, (int)(length - got));
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

/* A GET is answered without end, everything else with "ok" when it was read. */
static void answer_stream(SSL *ssl, uint32_t stream, bool is_get, bool ends)
{
    static const unsigned char ok_status = 0x88; /* ":status: 200", which HPACK has a number for */

    if (is_get) {
        endless[stream % 1024] = true;
        say_frame(ssl, H2_HEADERS, H2_END_HEADERS, stream, &ok_status, 1);
        say_frame(ssl, H2_DATA, 0, stream, "hello\n", 6);
    } else if (ends) {
        say_frame(ssl, H2_HEADERS, H2_END_HEADERS, stream, &ok_status, 1);
        say_frame(ssl, H2_DATA, H2_END_STREAM, stream, "ok", 2);
    }
}

static void serve_h2_frames(struct raw_server *s, SSL *ssl, int fd)
{
    unsigned char preface[24], head9[9], payload[16384];

    if (!read_fully(s, ssl, fd, preface, sizeof preface) || memcmp(preface, "PRI * HTTP/2.0", 14) != 0)
        return;
    say_frame(ssl, H2_SETTINGS, 0, 0, NULL, 0);
    while (read_fully(s, ssl, fd, head9, 9)) {
        size_t length = (size_t)head9[0] << 16 | (size_t)head9[1] << 8 | head9[2];
        uint32_t stream = (uint32_t)head9[5] << 24 | (uint32_t)head9[6] << 16 | (uint32_t)head9[7] << 8 | head9[8];
        bool ends = head9[4] & H2_END_STREAM;

        if (length > sizeof payload || !read_fully(s, ssl, fd, payload, length))
            return;
        if (head9[3] == H2_SETTINGS && !(head9[4] & 1))
            say_frame(ssl, H2_SETTINGS, 1, 0, NULL, 0);
        else if (head9[3] == H2_PING && !(head9[4] & 1))
            say_frame(ssl, H2_PING, 1, 0, payload, 8);
        else if (head9[3] == H2_HEADERS) /* ":method: GET" is number 2; a priority of 5 bytes may come first */
            answer_stream(ssl, stream, payload[head9[4] & 0x20 ? 5 : 0] == 0x82, ends);
        else if (head9[3] == H2_DATA)
            answer_stream(ssl, stream, false, ends);
        else if (head9[3] == H2_RST_STREAM && endless[stream % 1024]) /* libcurl resets uploads that are over, too */
            watches_reset++;
    }
}

static void serve_h2(struct raw_server *s, int fd)
{
    SSL *ssl = SSL_new(context);

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1)
        serve_h2_frames(s, ssl, fd);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                     unsigned in_length, void *none)
{
    (void)ssl, (void)none;
    return SSL_select_next_proto((unsigned char **)out, out_length, (const unsigned char *)"\x02h2", 3, in,
                                 in_length) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void make_server_parties(void)
{
    make_party(&authority, &(struct party_wish){.name = "authority"});
    make_party(&server_party,
               &(struct party_wish){.name = "server", .addresses = "IP:127.0.0.1", .issuer = &authority});
}

static int h2_set_up(void **state)
{
    make_server_parties();
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, server_party.certificate);
    SSL_CTX_use_PrivateKey(context, server_party.key);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    watches_reset = 0;
    memset(endless, 0, sizeof endless);
    raw_start(&raw, serve_h2, NULL);
    return set_up(state);
}

static int h2_tear_down(void **state)
{
    tear_down(state);
    raw_stop(&raw);
    SSL_CTX_free(context);
    free_party(&authority);
    free_party(&server_party);
    return 0;
}

enum { WATCHES = 10, WRITES = 30 };
static struct watch watches[WATCHES], writes[WRITES];

static void start_all_of_them(const char *place)
{
    const struct tls_identity identity = {.ca_pem = authority.pem};
    char where[96];

    memset(watches, 0, sizeof watches);
    memset(writes, 0, sizeof writes);
    snprintf(where, sizeof where, "https://%s/x", place);
    for (int i = 0; i < WATCHES + WRITES; i++) {
        bool is_watch = i % 4 == 0;
        struct watch *watch = is_watch ? &watches[i / 4] : &writes[i - i / 4 - 1];

        watch->exchange = transport_http(transport,
                                         &(struct http_request){.method = is_watch ? "GET"
                                                                          : i % 2  ? "POST"
                                                                                   : "PATCH",
                                                                .url = where,
                                                                .body = is_watch ? NULL : "{}",
                                                                .body_length = is_watch ? 0 : 2,
                                                                .tls = &identity,
                                                                .timeout_ms = 10000,
                                                                .uncounted = true,
                                                                .on_body = is_watch ? on_piece : NULL},
                                         on_end, watch);
    }
}

static bool all_written(void)
{
    for (int i = 0; i < WRITES; i++)
        if (!writes[i].dones)
            return false;
    return true;
}

static void one_connection_for_all(void **state)
{
    char place[64];

    (void)state;
    snprintf(place, sizeof place, "127.0.0.1:%d", raw.port);
    start_all_of_them(place);
    while (!all_written())
        run_loop();
    run_for(100);
    for (int i = 0; i < WRITES; i++)
        if (writes[i].failed || strcmp(writes[i].body, "ok") != 0)
            fail_msg("write %d: %s %s", i, writes[i].body, writes[i].error.text);
    for (int i = 0; i < WATCHES; i++)
        assert_string_equal(watches[i].heard, "hello\n");
    assert_int_equal(raw.accepted, 1);
    assert_int_equal(stats().connections_opened, 1);
    for (int i = 0; i < WATCHES / 2; i++)
        transport_http_cancel(transport, watches[i].exchange);
    start_all_of_them(place); /* those cancelled took nothing along */
    while (!all_written())
        run_loop();
    assert_int_equal(watches_reset, WATCHES / 2);
    assert_int_equal(raw.accepted, 1);
}

/* When the connection goes, everything on it ends, and what is asked next gets a new one. */
static void a_shared_connection_that_breaks(void **state)
{
    char place[64];
    int failed = 0;

    (void)state;
    snprintf(place, sizeof place, "127.0.0.1:%d", raw.port);
    start_all_of_them(place);
    while (!all_written())
        run_loop();
    raw_stop(&raw);
    for (int i = 0; i < WATCHES; i++)
        while (!watches[i].dones)
            run_loop();
    for (int i = 0; i < WATCHES; i++)
        failed += watches[i].failed;
    assert_int_equal(failed, WATCHES);
    assert_int_equal(stats().exchanges_now, 0);
    raw_start(&raw, serve_h2, NULL);
    snprintf(place, sizeof place, "127.0.0.1:%d", raw.port);
    start_all_of_them(place);
    while (!all_written())
        run_loop();
    assert_int_equal(raw.accepted, 1);
}

/* ---- and where the server knows HTTP/1.1 only ---- */
static void say_ok(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    text_add(answer->body, "ok");
}

static void servers_without_http2(void **state)
{
    struct secret *key = secret_new(server_party.key_pem, strlen(server_party.key_pem));
    struct server *server;
    struct error err;
    uint64_t opened;

    (void)state;
    assert_true(server_new(loop, &server, &err));
    server_route(server, "GET", "/x", say_ok, NULL);
    server_route(server, "POST", "/x", say_ok, NULL);
    server_route(server, "PATCH", "/x", say_ok, NULL);
    assert_true(
        server_set_tls(server, &(struct server_tls){.certificate_pem = server_party.pem, .key_pem = key}, &err));
    assert_true(server_listen_tls(server, "127.0.0.1:0", &err));
    for (int round = 0; round < 2; round++) {
        start_all_of_them(server_address(server));
        while (!all_written())
            run_loop();
        run_for(200);
        for (int i = 0; i < WRITES; i++)
            assert_string_equal(writes[i].body, "ok");
        for (int i = 0; i < WATCHES; i++)
            assert_string_equal(watches[i].heard, "ok");
        if (round == 0)
            opened = stats().connections_opened;
    }
    assert_in_range(opened, 1, WATCHES + WRITES); /* one that is through early leaves its own to another */
    assert_in_range(stats().connections_opened, opened, WATCHES + WRITES); /* kept and used again */
    server_free(server);
    secret_unref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(how_it_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_come_as_they_are_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_may_cancel_itself_and_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_may_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled_from_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redirected_watches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(they_take_nobodys_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_connection_for_all, h2_set_up, h2_tear_down),
        cmocka_unit_test_setup_teardown(a_shared_connection_that_breaks, h2_set_up, h2_tear_down),
        cmocka_unit_test_setup_teardown(servers_without_http2, h2_set_up, h2_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

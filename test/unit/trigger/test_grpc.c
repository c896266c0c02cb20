/* gRPC: addresses, statuses, messages in pieces; and listening to a source that tells by itself, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "net/transport.h"
#include "sim/virtual.h"
#include "trigger/driver.h"
#include "trigger/grpc.h"

static void addresses(void **state)
{
    static const struct {
        const char *address, *destination;
    } rows[] = {
        {"scaler:6000", "scaler:6000"},
        {"scaler", "scaler:443"},
        {"10.0.0.1:1", "10.0.0.1:1"},
        {"[::1]:6000", "[::1]:6000"},
        {"[::1]", "[::1]:443"},
        {"dns:///scaler.shop.svc:6000", "scaler.shop.svc:6000"},
        {"passthrough:///scaler:6000", "scaler:6000"},
        {"", NULL},
        {"http://scaler:6000", NULL},
        {"scaler:6000/path", NULL},
        {"user@scaler:6000", NULL},
        {"scaler:port", NULL},
        {"scaler:", NULL},
        {"::1", NULL},
        {"a b:1", NULL},
        {"unix:/run/scaler", NULL},
        {"dns://8.8.8.8/scaler:1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[300] = "";
        bool good = grpc_destination(rows[i].address, out, sizeof(out));

        if (good != (rows[i].destination != NULL) || (good && strcmp(out, rows[i].destination) != 0))
            fail_msg("%s: %s", rows[i].address, good ? out : "no address");
    }
}

/* ------------------------------------------------------------------ messages in pieces */

static bool keep(void *arg, const char *message, size_t length)
{
    text_append(arg, message, length);
    text_add_char(arg, '|');
    return length != 4;
}

static void messages_come_in_any_pieces(void **state)
{
    static const char bytes[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three\0\0\0";

    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        struct text held, out;
        struct error err = {0};

        text_init(&held, 100);
        text_init(&out, 100);
        for (size_t at = 0; at < sizeof(bytes) - 1; at += piece) {
            size_t left = sizeof(bytes) - 1 - at;

            assert_true(grpc_take(&held, bytes + at, left < piece ? left : piece, "s:1", keep, &out, &err));
        }
        assert_string_equal(out.bytes, "one||three|");
        assert_int_equal(held.length, 3);
        text_done(&held);
        text_done(&out);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *why;
    } rows[] = {
        {"\1\0\0\0\1x", 6, "compressed"},
        {"<html>", 6, "no message of gRPC"},
        {"\0\0\1\0\0x", 6, "more than 100 bytes"},
        {"\0\xff\xff\xff\xff", 5, "more than 100 bytes"},
        {"\0\0\0\0\4four", 9, "cannot be understood"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text held, out;
        struct error err = {0};

        text_init(&held, 100);
        text_init(&out, 100);
        assert_false(grpc_take(&held, rows[i].bytes, rows[i].length, "s:1", keep, &out, &err));
        assert_non_null(strstr(err.text, rows[i].why));
        text_done(&held);
        text_done(&out);
    }
}

/* ------------------------------------------------------------------ listening */

struct scene {
    struct virtual_world *world;
    struct trigger_engine *engine;
    struct trigger *trigger;
    struct trigger_listening *listening;
    struct virtual_body *body; /* of StreamIsActive, while it is open */
    int opened, specs, pushes, actives;
    const char *status, *type; /* what the stream is answered with at once; NULL: it stays open */
    int64_t opened_at_ms[16];
};

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header headers[2];
    struct scene *s = arg;

    assert_true(request->http2 && request->uncounted);
    headers[0] = (struct http_header){.name = "content-type", .value = "application/grpc"};
    headers[1] = (struct http_header){.name = "grpc-status", .value = "0"};
    reply->headers = headers;
    reply->header_count = 2;
    if (strstr(request->url, "StreamMetricSpec")) {
        headers[1].value = "12";
        s->specs++;
        return;
    }
    s->opened_at_ms[s->opened++ % 16] = loop_ticks_ms(virtual_loop(s->world));
    if (s->type)
        headers[0].value = s->type;
    if (s->status)
        headers[1].value = s->status;
    else
        reply->open = &s->body;
}

static void on_push(void *arg, const struct trigger_push *push)
{
    struct scene *s = arg;

    s->pushes++;
    s->actives += push->active;
}

static struct trigger *build_of(struct trigger_engine *engine, const char *type, const char *ns, const char *metadata,
                                const char *secrets)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();
    struct trigger_input input = {.type = type, .ns = ns, .object_name = "o", .direct = true};
    struct trigger *trigger = NULL;
    struct trigger_metric metric;
    struct credential *credential;
    struct tree *tree, *map;

    assert_true(tree_read_json(metadata, strlen(metadata), false, arena, &tree, NULL));
    assert_true(tree_read_json(secrets, strlen(secrets), false, arena, &map, NULL));
    input.metadata = tree;
    input.credential = credential = credential_from_tree(map);
    assert_true(trigger_build(engine, &input, report, &trigger, &metric));
    trigger_metric_done(&metric);
    credential_unref(credential);
    report_free(report);
    arena_free(arena);
    return trigger;
}

static struct trigger *build(struct trigger_engine *engine, const char *ns, const char *address)
{
    char metadata[100];

    snprintf(metadata, sizeof(metadata), "{\"scalerAddress\":\"%s\"}", address);
    return build_of(engine, "external-push", ns, metadata, "{}");
}

static void begin(struct scene *s)
{
    s->world = virtual_world_new(1, INT64_C(1767225600000));
    s->engine = trigger_engine_new(virtual_loop(s->world), virtual_transport(s->world), NULL);
    virtual_answer(s->world, "http://s:1", answer, s);
    s->trigger = build(s->engine, "shop", "s:1");
    s->listening = trigger_listen(s->engine, s->trigger, on_push, s);
    assert_non_null(s->listening);
}

static void pass(struct scene *s, int64_t ms)
{
    virtual_run_until(s->world, loop_ticks_ms(virtual_loop(s->world)) + ms);
}

static void end(struct scene *s)
{
    trigger_listen_stop(s->listening);
    assert_int_equal(virtual_pending(s->world), 0);
    trigger_unref(s->trigger);
    trigger_engine_free(s->engine);
    virtual_world_free(s->world);
}

static void a_push_is_told_and_false_is_not(void **state)
{
    struct scene s = {0};

    (void)state;
    begin(&s);
    pass(&s, 1000);
    assert_int_equal(s.opened, 1);
    virtual_body_say(s.body, "\0\0\0\0\2\x08\1", 7, 0); /* true */
    pass(&s, 10);
    assert_int_equal(s.actives, 1);
    virtual_body_say(s.body, "\0\0\0\0\0", 5, 0); /* false */
    pass(&s, 10);
    assert_int_equal(s.pushes, 1);
    for (int i = 0; i < 100; i++) /* a hundred at once are one */
        virtual_body_say(s.body, "\0\0\0\0\2\x08\1", 7, 0);
    pass(&s, 10);
    assert_in_range(s.pushes, 2, 101);
    assert_null(trigger_listen_why(s.listening));
    end(&s);
}

static void what_the_server_does_not_have_is_asked_once(void **state)
{
    struct scene s = {0};

    (void)state;
    begin(&s);
    pass(&s, HOUR_MS);
    assert_int_equal(s.specs, 1);
    assert_int_equal(s.opened, 1);
    end(&s);
}

static void waits_grow_and_begin_anew_after_a_good_end(void **state)
{
    static const int64_t waits[] = {2, 4, 8, 16, 32, 60, 60};
    struct scene s = {.status = "14"};

    (void)state;
    begin(&s);
    pass(&s, 250 * SECOND_MS);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]) && i + 1 < (size_t)s.opened; i++) {
        int64_t waited = s.opened_at_ms[i + 1] - s.opened_at_ms[i];

        if (waited < waits[i] * 750 || waited > waits[i] * 1000 + 10)
            fail_msg("wait %zu was %lld ms", i, (long long)waited);
    }
    assert_true(s.opened >= 7);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "UNAVAILABLE"));
    s.status = "0"; /* ends well each time: two seconds */
    pass(&s, 70 * SECOND_MS);
    s.opened = 0;
    pass(&s, 20 * SECOND_MS);
    assert_in_range(s.opened, 9, 14);
    assert_null(trigger_listen_why(s.listening));
    end(&s);
}

/* Messages of nothing are cheap to send: whoever sends too many is closed, and comes again later and later. */
static void who_says_too_much_is_not_heard(void **state)
{
    enum { PIECE = 5 * 1000 };
    static const char nothing[PIECE];
    static const int64_t waits[] = {2, 4, 8, 16};
    struct scene s = {0};

    (void)state;
    begin(&s);
    pass(&s, 1000);
    for (int i = 0; i < 20; i++) { /* a thousand each, but not within a second */
        virtual_body_say(s.body, nothing, PIECE, 0);
        pass(&s, 150);
    }
    assert_null(trigger_listen_why(s.listening));
    assert_int_equal(s.opened, 1);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        for (int piece = 0; piece < 20 && s.body; piece++) {
            virtual_body_say(s.body, nothing, PIECE, 0);
            pass(&s, 1);
        }
        assert_null(s.body);
        assert_non_null(strstr(trigger_listen_why(s.listening)->text, "LISTEN_MESSAGES_MAX"));
        pass(&s, waits[i] * 700);
        assert_int_equal(s.opened, 1 + (int)i);
        pass(&s, waits[i] * 350);
        assert_int_equal(s.opened, 2 + (int)i);
    }
    end(&s);
}

/* Large messages, with a field of three megabytes that nobody knows. */
static void who_says_too_many_bytes_is_not_heard(void **state)
{
    enum { FIELD = 3 * 1024 * 1024, MESSAGE = FIELD + 5, ALL = MESSAGE + 5 };
    char *large = calloc(1, ALL);
    struct scene s = {0};

    (void)state;
    assert_non_null(large);
    for (int i = 0; i < 4; i++) {
        large[1 + i] = (char)((unsigned)MESSAGE >> (24 - 8 * i));
        large[6 + i] = (char)(((unsigned)FIELD >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
    }
    large[5] = 0x7a; /* field 15, of so many bytes */
    begin(&s);
    pass(&s, 1000);
    for (int i = 0; i < 4; i++) { /* two within a second, and again */
        virtual_body_say(s.body, large, ALL, 0);
        pass(&s, i % 2 == 0 ? 1 : 1100);
    }
    assert_null(trigger_listen_why(s.listening));
    assert_int_equal(s.opened, 1);
    for (int i = 0; i < 3 && s.body; i++) {
        virtual_body_say(s.body, large, ALL, 0);
        pass(&s, 1);
    }
    assert_null(s.body);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "8 MiB"));
    end(&s);
    free(large);
}

static void a_break_and_nonsense_open_it_anew(void **state)
{
    struct scene s = {0};

    (void)state;
    begin(&s);
    pass(&s, 1000);
    virtual_body_break(s.body, 0);
    pass(&s, 3000);
    assert_int_equal(s.opened, 2);
    virtual_body_say(s.body, "<html>", 6, 0);
    pass(&s, 100);
    assert_null(s.body);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "no message of gRPC"));
    pass(&s, 5000);
    assert_int_equal(s.opened, 3);
    s.type = "text/html";
    s.status = "0";
    virtual_body_end(s.body, 0);
    pass(&s, 3000);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "text/html"));
    end(&s);
}

/* Of two failures the last one is why. */
static void the_last_failure_is_why(void **state)
{
    struct scene s = {.status = "14"};

    (void)state;
    begin(&s);
    pass(&s, 1000);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "UNAVAILABLE"));
    virtual_answer(s.world, "http://s:1", NULL, NULL);
    pass(&s, 3000);
    assert_null(strstr(trigger_listen_why(s.listening)->text, "UNAVAILABLE"));
    end(&s);
}

/* etcd: a token is given, the value is asked for with it, and the watch ends with the token in its words. */
static void answer_etcd(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header headers[3];
    bool is_watch = strstr(request->url, "/Watch") != NULL;

    *(int *)arg += is_watch;
    headers[0] = (struct http_header){.name = "content-type", .value = "application/grpc"};
    headers[1] = (struct http_header){.name = "grpc-status", .value = is_watch ? "14" : "0"};
    headers[2] = (struct http_header){.name = "grpc-message", .value = "over: t0ken-of-etcd"};
    reply->headers = headers;
    reply->header_count = is_watch ? 3 : 2;
    reply->body = "\0\0\0\0\17\x12\15t0ken-of-etcd"; /* AuthenticateResponse{token = 2} */
    reply->length = is_watch ? 0 : 5 + 15;
    assert_int_equal(request->secret, strstr(request->url, "/Authenticate") != NULL);
}

static void no_value(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    (void)arg, (void)why, (void)took_ms;
    assert_int_equal(sample->state, SAMPLE_FAILED); /* what is read of a key that is none */
}

static void a_token_is_not_told(void **state)
{
    struct virtual_world *world = virtual_world_new(1, INT64_C(1767225600000));
    struct trigger_engine *engine = trigger_engine_new(virtual_loop(world), virtual_transport(world), NULL);
    struct trigger *trigger =
        build_of(engine, "etcd", "shop", "{\"endpoints\":\"e:1\",\"watchKey\":\"k\",\"value\":\"5\"}",
                 "{\"username\":\"me\",\"password\":\"s3cret-pw\"}");
    struct trigger_listening *listening;
    int watches = 0;

    (void)state;
    virtual_answer(world, "http://e:1", answer_etcd, &watches);
    trigger_poll_start(engine, trigger, no_value, NULL);
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + SECOND_MS);
    listening = trigger_listen(engine, trigger, on_push, NULL);
    for (int i = 1; i <= 2; i++) { /* what is kept for one is not left over from the one before */
        virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + SECOND_MS * i);
        assert_int_equal(watches, i);
        assert_non_null(strstr(trigger_listen_why(listening)->text, "over: ***"));
    }
    trigger_listen_stop(listening);
    trigger_unref(trigger);
    trigger_engine_free(engine);
    virtual_world_free(world);
}

static void keep_open(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg, (void)request;
    reply->never = true;
}

/* What is above the bound is not heard, says why, and is when there is room. */
static void streams_of_a_namespace_are_bounded(void **state)
{
    enum { OF_EACH = 2, MANY = LISTENING_IN_NAMESPACE_MAX / OF_EACH };
    static struct trigger *triggers[MANY];
    static struct trigger_listening *listening[MANY];
    struct scene s = {0};
    struct trigger *neighbour;
    struct trigger_listening *other;
    char address[20];

    (void)state;
    begin(&s);
    trigger_listen_stop(s.listening);
    virtual_answer(s.world, "http://", keep_open, NULL);
    for (int i = 0; i < MANY; i++) {
        snprintf(address, sizeof(address), "many:%d", i + 1);
        triggers[i] = build(s.engine, "shop", address);
        listening[i] = trigger_listen(s.engine, triggers[i], on_push, &s);
    }
    pass(&s, 100);
    s.listening = trigger_listen(s.engine, s.trigger, on_push, &s);
    neighbour = build(s.engine, "garden", "s:2");
    other = trigger_listen(s.engine, neighbour, on_push, &s);
    pass(&s, 100);
    assert_null(trigger_listen_why(listening[MANY - 1]));
    assert_null(trigger_listen_why(other));
    assert_int_equal(trigger_listen_why(s.listening)->kind, ERROR_LIMIT);
    assert_non_null(strstr(trigger_listen_why(s.listening)->text, "LISTENING_IN_NAMESPACE_MAX"));
    trigger_listen_stop(listening[0]);
    listening[0] = NULL;
    pass(&s, 2 * LISTEN_RETRY_MAX_MS);
    assert_null(trigger_listen_why(s.listening));
    for (int i = 0; i < MANY; i++) {
        trigger_listen_stop(listening[i]);
        trigger_unref(triggers[i]);
    }
    trigger_listen_stop(other);
    trigger_unref(neighbour);
    end(&s);
}

static void stopping_between_message_and_push_tells_nothing(void **state)
{
    struct scene s = {0};

    (void)state;
    begin(&s);
    pass(&s, 1000);
    virtual_body_say(s.body, "\0\0\0\0\2\x08\1", 7, 0);
    virtual_step(s.world); /* the bytes */
    end(&s);
    assert_int_equal(s.pushes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(messages_come_in_any_pieces),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_push_is_told_and_false_is_not),
        cmocka_unit_test(the_last_failure_is_why),
        cmocka_unit_test(a_token_is_not_told),
        cmocka_unit_test(streams_of_a_namespace_are_bounded),
        cmocka_unit_test(what_the_server_does_not_have_is_asked_once),
        cmocka_unit_test(waits_grow_and_begin_anew_after_a_good_end),
        cmocka_unit_test(who_says_too_much_is_not_heard),
        cmocka_unit_test(who_says_too_many_bytes_is_not_heard),
        cmocka_unit_test(a_break_and_nonsense_open_it_anew),
        cmocka_unit_test(stopping_between_message_and_push_tells_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The virtual world keeps the promises of loop.h and transport.h: once, never inside the call, never after a cancel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "sim/virtual.h"

enum { START_MS = 1000 * 1000 };

static struct virtual_world *world;
static struct text heard; /* what happened, one letter or word after the other */

static int set_up(void **state)
{
    (void)state;
    world = virtual_world_new(7, START_MS);
    text_init(&heard, 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    virtual_world_free(world);
    text_done(&heard);
    return 0;
}

static int64_t elapsed_ms(void)
{
    return loop_ticks_ms(virtual_loop(world)) - START_MS;
}

/* ---- loop ---- */
static void note(void *arg)
{
    text_printf(&heard, "%s@%lld ", (const char *)arg, (long long)elapsed_ms());
}

static void timers_fire_in_order(void **state)
{
    struct loop *loop = virtual_loop(world);
    struct timer *a = loop_timer_new(loop, note, "a"), *b = loop_timer_new(loop, note, "b"),
                 *c = loop_timer_new(loop, note, "c"), *d = loop_timer_new(loop, note, "d");

    (void)state;
    loop_timer_set(a, 20);
    loop_timer_set(b, 10);
    loop_timer_set(c, 20);
    loop_timer_set(d, 5);
    loop_timer_set(d, 30); /* replaces */
    loop_post(loop, note, "p");
    virtual_run_until(world, START_MS + 20);
    assert_string_equal(heard.bytes, "p@0 b@10 a@20 c@20 ");
    loop_timer_stop(d);
    virtual_run_until(world, START_MS + 100);
    assert_string_equal(heard.bytes, "p@0 b@10 a@20 c@20 ");
    assert_int_equal(elapsed_ms(), 100);
    loop_timer_free(a), loop_timer_free(b), loop_timer_free(c), loop_timer_free(d), loop_timer_free(NULL);
    assert_false(virtual_step(world));
}

static struct timer *suicidal;

static void free_itself(void *arg)
{
    loop_timer_free(suicidal);
    note(arg);
}

static void a_timer_may_free_itself(void **state)
{
    (void)state;
    suicidal = loop_timer_new(virtual_loop(world), free_itself, "gone");
    loop_timer_set(suicidal, 1);
    while (virtual_step(world))
        ;
    assert_string_equal(heard.bytes, "gone@1 ");
}

static void the_wall_clock_jumps_and_ticks_do_not(void **state)
{
    struct loop *loop = virtual_loop(world);

    (void)state;
    virtual_jump(world, -5000);
    assert_int_equal(loop_now_ms(loop), START_MS - 5000);
    assert_int_equal(loop_ticks_ms(loop), START_MS);
    virtual_run_until(world, START_MS + 7);
    assert_int_equal(loop_now_ms(loop), START_MS - 4993);
}

static void stop_it(void *arg)
{
    note(arg);
    loop_stop(virtual_loop(world));
}

static void run_ends_with_stop(void **state)
{
    struct loop *loop = virtual_loop(world);

    (void)state;
    loop_post(loop, stop_it, "s");
    loop_post(loop, note, "later");
    loop_run(loop);
    assert_string_equal(heard.bytes, "s@0 ");
    loop_run(loop);
    assert_string_equal(heard.bytes, "s@0 later@0 ");
}

/* ---- http ---- */
static struct virtual_reply script;
static struct text asked;

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    text_printf(&heard, "ask:%s ", (const char *)arg);
    (void)request;
    *reply = script;
}

static void hear(void *arg, const struct http_reply *reply)
{
    if (reply->failed)
        text_printf(&heard, "%s@%lld: %s\n", (const char *)arg, (long long)elapsed_ms(), reply->error.text);
    else
        text_printf(&heard, "%s@%lld: %d %.*s\n", (const char *)arg, (long long)elapsed_ms(), reply->status,
                    (int)reply->body_length, reply->body);
    assert_int_equal(reply->took_ms, elapsed_ms());
}

static struct exchange *ask(const char *url)
{
    struct http_request request = {.method = "GET", .url = url, .timeout_ms = 500, .body_max_bytes = 100};

    return transport_http(virtual_transport(world), &request, hear, "r");
}

static void answers_and_failures(void **state)
{
    static char big[101];
    static const struct {
        const char *url;
        struct virtual_reply reply;
        const char *heard;
    } rows[] = {
        {"http://a/x", {.status = 200, .body = "hi"}, "ask:a r@0: 200 hi\n"},
        {"http://a/x", {.status = 503, .body = "no\0t", .length = 2, .after_ms = 40}, "ask:a r@40: 503 no\n"},
        {"http://a/x", {.status = 200, .after_ms = 499}, "ask:a r@499: 200 \n"},
        {"http://a/x",
         {.status = 200, .after_ms = 500},
         "ask:a r@500: a:80: timed out after 500 ms: connected, but no answer came; check the server, or allow more "
         "time\n"},
        {"http://a:81/",
         {.status = 200, .never = true},
         "ask:a r@500: a:81: timed out after 500 ms: connected, but no answer came; check the server, or allow more "
         "time\n"},
        {"http://a/x",
         {.refused = true, .after_ms = 2},
         "ask:a r@2: a:80: connection refused; check that the server runs and listens there\n"},
        {"http://nobody/", {0}, "r@0: nobody:80: connection refused; check that the server runs and listens there\n"},
        {"http://a/long/er", {.status = 200, .body = "L"}, "ask:longer r@0: 200 L\n"},
        {"http://a/x",
         {.status = 200, .body = big, .length = 101},
         "ask:a r@0: a:80: the answer is larger than 100 bytes (the bound of this question); ask for less\n"},
        {"ftp://a/x",
         {0},
         "r@0: the URL does not start with http:// or https://; write it like http://host:port/path\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tear_down(NULL), set_up(NULL);
        virtual_answer(world, "http://a", answer, "a");
        virtual_answer(world, "http://a/long", answer, "longer");
        script = rows[i].reply;
        ask(rows[i].url);
        assert_int_equal(heard.length, 0); /* never inside the call */
        assert_int_equal(virtual_pending(world), 1);
        while (virtual_step(world))
            ;
        assert_string_equal(heard.bytes, rows[i].heard);
        assert_int_equal(virtual_pending(world), 0);
    }
}

static void a_cancelled_exchange_is_silent(void **state)
{
    struct exchange *first, *second;

    (void)state;
    virtual_answer(world, "http://a", answer, "a");
    script = (struct virtual_reply){.status = 200, .after_ms = 10};
    first = ask("http://a/");
    transport_http_cancel(virtual_transport(world), first);
    second = ask("http://a/");
    virtual_run_until(world, START_MS + 5);
    transport_http_cancel(virtual_transport(world), second);
    while (virtual_step(world))
        ;
    assert_string_equal(heard.bytes, "ask:a ");
    assert_int_equal(virtual_pending(world), 0);
}

static void what_is_over_the_bound_waits_and_its_time_runs(void **state)
{
    (void)state;
    virtual_answer(world, "http://a", answer, "a");
    virtual_answer(world, "http://b", answer, "b");
    script = (struct virtual_reply){.status = 200, .after_ms = 300};
    for (int i = 0; i < POLLS_PER_DESTINATION_MAX + 1; i++)
        ask("http://a/");
    ask("http://b/");
    while (virtual_step(world))
        ;
    /* The last of a waits 300 ms and has 200 left, which is less than its answer takes; b does not wait. */
    assert_int_equal(virtual_pending(world), 0);
    assert_non_null(strstr(heard.bytes, "r@300: 200 \n"));
    assert_non_null(strstr(heard.bytes, "r@500: a:80: timed out after 500 ms"));
    assert_int_equal(elapsed_ms(), 500);
}

static void redirecting(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header elsewhere = {.name = "Location", .value = "http://b:1/there"};
    static const struct http_header onward = {.name = "Location", .value = "/again"};

    text_printf(arg, "%s %s", request->method, request->url);
    for (size_t i = 0; i < request->header_count; i++)
        text_printf(arg, " %s", request->headers[i].name);
    text_add(arg, "\n");
    reply->status = 302;
    reply->header_count = 1;
    if (strcmp(request->url, "http://a/start") == 0)
        reply->headers = &onward;
    else if (strcmp(request->url, "http://a/again") == 0)
        reply->headers = &elsewhere;
    else
        reply->status = 200, reply->header_count = 0;
}

static void secrets_stay_with_their_origin(void **state)
{
    struct secret *secret = secret_new("s", 1);
    struct http_header headers[] = {{.name = "X-Plain", .value = "1"},
                                    {.name = "X-Key", .secret = secret},
                                    {.name = "authorization", .value = "Basic x"},
                                    {.name = "Content-Type", .value = "text/plain"}};
    struct http_request request = {.method = "POST",
                                   .url = "http://a/start",
                                   .headers = headers,
                                   .header_count = 4,
                                   .body = "b",
                                   .body_length = 1};

    (void)state;
    text_init(&asked, 4096);
    virtual_answer(world, "http://", redirecting, &asked);
    transport_http(virtual_transport(world), &request, hear, "r");
    secret_unref(secret); /* the exchange holds its own */
    while (virtual_step(world))
        ;
    assert_string_equal(asked.bytes, "POST http://a/start X-Plain X-Key authorization Content-Type\n"
                                     "GET http://a/again X-Plain X-Key authorization\n"
                                     "GET http://b:1/there X-Plain\n");
    assert_string_equal(heard.bytes, "r@0: 200 \n");
    text_done(&asked);
}

static void redirecting_for_ever(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header self = {.name = "location", .value = "/"};

    (void)arg, (void)request;
    *reply = (struct virtual_reply){.status = 307, .headers = &self, .header_count = 1};
}

static void redirects_end(void **state)
{
    (void)state;
    virtual_answer(world, "http://a", redirecting_for_ever, NULL);
    ask("http://a/");
    while (virtual_step(world))
        ;
    assert_string_equal(heard.bytes,
                        "r@0: a:80: stopped after 10 redirects (HTTP_REDIRECTS_MAX); write the final address\n");
}

/* ---- answers without end ---- */
static struct virtual_body *body;
static struct exchange *watch;
static const char *stop_at; /* the reader has enough when it has heard this */
static bool stop_by_cancel;

static void watched(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg, (void)request;
    *reply = script;
    reply->open = script.open ? &body : NULL;
}

static bool read_piece(void *arg, const char *bytes, size_t length)
{
    (void)arg;
    assert_true(length > 0);
    text_append(&heard, bytes, length);
    if (!stop_at || !strstr(heard.bytes, stop_at))
        return true;
    if (stop_by_cancel)
        transport_http_cancel(virtual_transport(world), watch);
    return stop_by_cancel;
}

static void start_watch(const struct virtual_reply *reply, int64_t idle_timeout_ms)
{
    script = *reply;
    virtual_answer(world, "http://a", watched, NULL);
    watch = transport_http(virtual_transport(world),
                           &(struct http_request){.method = "GET",
                                                  .url = "http://a/",
                                                  .timeout_ms = 500,
                                                  .idle_timeout_ms = idle_timeout_ms,
                                                  .body_max_bytes = 8,
                                                  .on_body = read_piece},
                           hear, "r");
}

static void answers_without_end(void **state)
{
    static struct virtual_body *yes;
    static const struct {
        struct virtual_reply reply;
        int64_t idle_ms;
        const char *stop_at;
        bool cancel;
        const char *heard;
    } rows[] = {
        {{.status = 200, .body = "longer than its bound"}, 0, NULL, false, "longer than its boundr@0: 200 \n"},
        {{.status = 200, .body = "a ", .open = &yes}, 0, NULL, false, "a one two r@9000: 200 \n"},
        {{.status = 200, .after_ms = 400, .open = &yes}, 0, NULL, false, "one two r@9000: 200 \n"},
        {{.status = 200, .after_ms = 500, .open = &yes},
         0,
         NULL,
         false,
         "r@500: a:80: timed out after 500 ms: connected, but no answer came; check the server, or allow more time\n"},
        {{.status = 200, .open = &yes},
         1500,
         NULL,
         false,
         "one r@2500: a:80: no byte in either direction for 1500 ms; check the server, or allow more time\n"},
        {{.status = 200, .open = &yes},
         2000,
         NULL,
         false, /* a byte in the last moment is too late */
         "one r@3000: a:80: no byte in either direction for 2 s; check the server, or allow more time\n"},
        {{.status = 200, .body = "abcdef", .open = &yes}, 0, "c", true, ""},
        {{.status = 200, .body = "abcdef", .open = &yes}, 0, "two", true, ""},
        {{.status = 200, .body = "abcdef", .open = &yes},
         0,
         "c",
         false,
         "r@0: a:80: what it answered is of no use to who asked; check that it is the right server\n"},
        {{.status = 410, .body = "gone"}, 0, NULL, false, "r@0: 410 gone\n"},
        {{.status = 500, .body = "too long a page"},
         0,
         NULL,
         false,
         "r@0: a:80: the answer is larger than 8 bytes (the bound of this question); ask for less\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tear_down(NULL), set_up(NULL);
        stop_at = rows[i].stop_at;
        stop_by_cancel = rows[i].cancel;
        start_watch(&rows[i].reply, rows[i].idle_ms);
        virtual_run_until(world, START_MS);
        virtual_body_say(body, "one ", 4, 1000);
        virtual_body_say(body, "two ", 4, 3000);
        virtual_body_end(body, 9000);
        while (virtual_step(world))
            ;
        if (rows[i].heard[0] ? !string_ends(heard.bytes, rows[i].heard) : !!strstr(heard.bytes, "r@"))
            fail_msg("row %zu: %s", i, heard.bytes);
        assert_null(body);
        assert_int_equal(virtual_pending(world), 0);
    }
    stop_at = NULL;
}

static void a_body_ends_for_its_teller_too(void **state)
{
    static const struct virtual_reply open = {.status = 200, .open = &body};

    (void)state;
    start_watch(&open, 0);
    virtual_run_until(world, START_MS + 10);
    assert_non_null(body);
    virtual_body_say(body, "x", 1, 5);
    virtual_body_break(body, 0); /* not before what was said before */
    virtual_run_until(world, START_MS + 100);
    assert_string_equal(heard.bytes,
                        "xr@15: a:80: the connection broke before the answer was complete; look at the server's log\n");
    assert_null(body);
    start_watch(&open, 0);
    virtual_run_until(world, START_MS + 200);
    assert_non_null(body);
    transport_http_cancel(virtual_transport(world), watch);
    assert_null(body);
    virtual_body_say(body, "nobody", 6, 0);
    start_watch(&open, 0);
    virtual_run_until(world, START_MS + 300); /* and one is left for the world to cancel */
    assert_int_equal(virtual_pending(world), 1);
}

static void uncounted_exchanges_do_not_wait(void **state)
{
    (void)state;
    virtual_answer(world, "http://a", answer, "a");
    script = (struct virtual_reply){.status = 200, .after_ms = 300};
    for (int i = 0; i < POLLS_PER_DESTINATION_MAX; i++)
        ask("http://a/");
    for (int i = 0; i < 200; i++)
        transport_http(
            virtual_transport(world),
            &(struct http_request){.method = "GET", .url = "http://a/", .timeout_ms = 500, .uncounted = true}, hear,
            "u");
    while (virtual_step(world))
        ;
    assert_int_equal(elapsed_ms(), 300);
}

/* ---- streams ---- */
static void echo(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    text_printf(&heard, "server(%s%.*s) ", opened ? "opened" : "", (int)length, bytes);
    if (opened)
        return;
    virtual_stream_say(stream, bytes, length, 30);
    virtual_stream_say(stream, "!", 1, 0); /* not before what was said before */
    if (arg)
        virtual_stream_hang_up(stream, 50);
}

static void opened(void *arg, struct stream *stream)
{
    text_printf(&heard, "open@%lld ", (long long)elapsed_ms());
    transport_stream_write(virtual_transport(world), stream, "he", 2);
    transport_stream_write(virtual_transport(world), stream, "llo", 3);
    (void)arg;
}

static void got(void *arg, struct stream *stream, const char *bytes, size_t length)
{
    text_printf(&heard, "%.*s@%lld ", (int)length, bytes, (long long)elapsed_ms());
    if (arg && length == 1)
        transport_stream_close(virtual_transport(world), stream);
}

static void ended(void *arg, struct stream *stream, enum stream_end why, const struct error *error)
{
    (void)arg;
    text_printf(&heard, "end%d@%lld %s", why, (long long)elapsed_ms(), error ? error->text : "");
    transport_stream_close(virtual_transport(world), stream); /* allowed, and does nothing */
}

static void streams(void **state)
{
    static char closes[] = "x";
    static const struct {
        const char *host;
        int port;
        void *client, *server;
        int64_t idle_ms;
        const char *heard;
    } rows[] = {
        {"redis", 6379, NULL, closes, 0, "server(opened) open@0 server(hello) hello@30 !@30 end0@50 "},
        {"redis", 6379, closes, closes, 0, "server(opened) open@0 server(hello) hello@30 !@30 "},
        {"redis", 6379, NULL, NULL, 100,
         "server(opened) open@0 server(hello) hello@30 !@30 end2@130 redis:6379: no byte in either direction for 100 "
         "ms; "
         "check the server, or allow more time"},
        {"nobody", 1, NULL, NULL, 0,
         "end1@0 nobody:1: connection refused; check that the server runs and listens there"},
        {"::1", 1, NULL, NULL, 0, "end1@0 [::1]:1: connection refused; check that the server runs and listens there"},
        {"silent", 9, NULL, NULL, 0,
         "end2@200 silent:9: timed out after 200 ms: the connection was not accepted; check the address, the network "
         "policy and the firewall"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tear_down(NULL), set_up(NULL);
        virtual_talk(world, "redis:6379", echo, rows[i].server);
        virtual_talk(world, "silent:9", echo, NULL);
        virtual_talk_silent(world, "silent:9", true);
        transport_stream_open(virtual_transport(world), &(struct stream_request){.host = rows[i].host,
                                                                                 .port = rows[i].port,
                                                                                 .connect_timeout_ms = 200,
                                                                                 .idle_timeout_ms = rows[i].idle_ms,
                                                                                 .on_open = opened,
                                                                                 .on_bytes = got,
                                                                                 .on_end = ended,
                                                                                 .arg = rows[i].client});
        assert_int_equal(virtual_pending(world), 1);
        while (virtual_step(world))
            ;
        assert_string_equal(heard.bytes, rows[i].heard);
        assert_int_equal(virtual_pending(world), 0);
    }
}

/* ---- jobs ---- */
struct task {
    int works, dones, timeouts, releases;
};

static void work(void *arg)
{
    ((struct task *)arg)->works++;
}

static void done(void *arg, enum job_end how)
{
    struct task *task = arg;

    if (how != JOB_RETURNED)
        task->timeouts++;
    else
        task->dones++;
}

static void release(void *arg)
{
    ((struct task *)arg)->releases++;
}

static struct job *start(struct task *task, const char *destination)
{
    return transport_work(virtual_transport(world), NULL, destination, 100, work, done, release, task);
}

static void jobs_finish_once(void **state)
{
    struct task a = {0}, b = {0};

    (void)state;
    start(&a, "pg:5432");
    assert_int_equal(a.works, 0);
    transport_work_cancel(virtual_transport(world), start(&b, "pg:5432"));
    while (virtual_step(world))
        ;
    assert_memory_equal(&a, &((struct task){1, 1, 0, 1}), sizeof a);
    assert_memory_equal(&b, &((struct task){1, 0, 0, 1}), sizeof b); /* a thread had it already */
    assert_int_equal(virtual_pending(world), 0);
}

static void stuck_jobs_keep_their_place(void **state)
{
    struct task stuck[3] = {0}, other = {0}, after = {0};

    (void)state;
    virtual_work_delay(world, VIRTUAL_NEVER);
    for (int i = 0; i < 3; i++)
        start(&stuck[i], "kafka:9092");
    virtual_run_until(world, START_MS + 150);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stuck[i].timeouts, 1);
    assert_int_equal(stuck[1].releases, 0);
    assert_int_equal(stuck[2].releases, 1); /* it never got a thread */
    assert_int_equal(stuck[2].works, 0);
    virtual_work_delay(world, 0);
    start(&other, "pg:5432");
    start(&after, "kafka:9092");
    virtual_run_until(world, START_MS + 500);
    assert_int_equal(other.dones, 1);
    assert_int_equal(after.timeouts, 1); /* both places of that destination are gone */
    assert_int_equal(virtual_pending(world), 2);
    virtual_world_free(world);
    assert_int_equal(stuck[0].releases, 1);
    assert_int_equal(stuck[0].works, 0);
    world = virtual_world_new(7, START_MS);
}

/* ---- a whole run ---- */
static void random_answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg, (void)request;
    reply->after_ms = (int64_t)(virtual_random(world) % 600);
    reply->never = virtual_random(world) % 50 == 0;
    reply->refused = virtual_random(world) % 50 == 0;
    reply->body = "1";
}

static size_t completed;

static void ask_again(void *arg, const struct http_reply *reply)
{
    (void)arg;
    text_printf(&heard, "%d%lld", reply->status, (long long)elapsed_ms());
    if (++completed < 5000)
        transport_http(virtual_transport(world),
                       &(struct http_request){.method = "GET", .url = "http://a/", .timeout_ms = 500}, ask_again, NULL);
}

static char *run_once(uint64_t seed)
{
    tear_down(NULL), set_up(NULL);
    virtual_world_free(world);
    world = virtual_world_new(seed, START_MS);
    completed = 0;
    virtual_answer(world, "http://a", random_answer, NULL);
    for (int i = 0; i < 200; i++)
        transport_http(virtual_transport(world),
                       &(struct http_request){.method = "GET", .url = "http://a/", .timeout_ms = 500}, ask_again, NULL);
    while (virtual_step(world))
        ;
    assert_int_equal(virtual_pending(world), 0);
    assert_int_equal(completed, 5199);
    return text_take(&heard);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    char *a = run_once(1), *b = run_once(1), *c = run_once(2);

    (void)state;
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a), free(b), free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_may_free_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_wall_clock_jumps_and_ticks_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run_ends_with_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_and_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_exchange_is_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_over_the_bound_waits_and_its_time_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_stay_with_their_origin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(redirects_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_ends_for_its_teller_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uncounted_exchanges_do_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(jobs_finish_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stuck_jobs_keep_their_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_seed_gives_the_same_run, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The engine: sharing, waiting together, cancelling, and what is left when all is over. On a loop and a transport that do
   nothing by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/report.h"
#include "base/tree.h"
#include "net/loop.h"
#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/trigger.h"

/* ------------------------------------------------------------------ a loop by hand */

struct timer {
    struct timer_head head;
    loop_callback *callback;
    void *arg;
    bool set;
};
static struct timer *timers[64];
static size_t timer_count;

static int64_t zero(struct loop *loop)
{
    (void)loop;
    return 0;
}

static struct timer *timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
    struct timer *timer = calloc(1, sizeof(*timer));

    timer->head.loop = loop;
    timer->callback = callback;
    timer->arg = arg;
    timers[timer_count++] = timer;
    return timer;
}

static void timer_set(struct timer *timer, int64_t after_ms)
{
    (void)after_ms;
    timer->set = true;
}

static void timer_stop(struct timer *timer)
{
    timer->set = false;
}

static void timer_free(struct timer *timer)
{
    for (size_t i = 0; i < timer_count; i++)
        if (timers[i] == timer)
            timers[i--] = timers[--timer_count];
    free(timer);
}

static void turn(void)
{
    for (size_t i = 0; i < timer_count; i++) {
        if (timers[i]->set) {
            timers[i]->set = false;
            timers[i]->callback(timers[i]->arg);
        }
    }
}

static const struct loop_ops loop_ops = {.now_ms = zero,
                                         .ticks_ms = zero,
                                         .timer_new = timer_new,
                                         .timer_set = timer_set,
                                         .timer_stop = timer_stop,
                                         .timer_free = timer_free};
static struct loop loop = {&loop_ops};

/* ------------------------------------------------------------------ a transport by hand */

struct exchange {
    http_done *done;
    void *arg;
};
static struct exchange *exchanges[16];
static size_t exchange_count;

static struct exchange *http(struct transport *transport, const struct http_request *request, http_done *done,
                             void *arg)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    (void)transport;
    (void)request;
    *exchange = (struct exchange){done, arg};
    exchanges[exchange_count++] = exchange;
    return exchange;
}

static void http_cancel(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange_count; i++)
        if (exchanges[i] == exchange)
            exchanges[i--] = exchanges[--exchange_count];
    free(exchange);
}

static void answer(const char *body)
{
    struct exchange *exchange = exchanges[--exchange_count];
    struct http_reply reply = {.status = 200, .body = body, .body_length = strlen(body)};

    exchange->done(exchange->arg, &reply);
    free(exchange);
}

static struct {
    job_work *work;
    job_done *done;
    void (*release)(void *arg);
    void *arg;
    const char *ns; /* as long as the job has it */
    bool cancelled;
    int count;
} job;

static struct job *work(struct transport *transport, const char *ns, const char *destination, int64_t timeout_ms,
                        job_work *run, job_done *done, void (*release)(void *arg), void *arg)
{
    (void)transport;
    (void)destination;
    (void)timeout_ms;
    job.count++;
    job.ns = ns;
    job.work = run;
    job.done = done;
    job.release = release;
    job.arg = arg;
    job.cancelled = false;
    return (struct job *)&job;
}

static void work_cancel(struct job *unused)
{
    (void)unused;
    job.cancelled = true;
}

static const struct transport_ops transport_ops = {
    .http = http, .http_cancel = http_cancel, .work = work, .work_cancel = work_cancel};
static struct transport transport = {&transport_ops};

/* ------------------------------------------------------------------ the tests */

struct seen {
    int count;
    struct sample sample;
    struct error why;
    struct trigger_engine *engine;
    struct trigger *again; /* to be asked again from inside */
};

static void on_sample(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct seen *seen = arg;

    (void)took_ms;
    seen->count++;
    seen->sample = *sample;
    seen->why = *why;
    if (seen->again) {
        struct trigger *trigger = seen->again;

        seen->again = NULL;
        trigger_poll_start(seen->engine, trigger, on_sample, seen);
    }
}

static struct trigger *build(struct trigger_engine *engine, const char *type, const char *json)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();
    struct trigger_metric metric;
    struct trigger *trigger = NULL;
    struct tree *metadata;

    assert_true(tree_read_json(json, strlen(json), false, arena, &metadata, NULL));
    struct trigger_input input = {
        .type = type, .metadata = metadata, .direct = true, .ns = "shop", .as_metric_source = true};
    if (!trigger_build(engine, &input, report, &trigger, &metric))
        fail_msg("%s", report_at(report, 0)->text);
    trigger_metric_done(&metric);
    report_free(report);
    arena_free(arena);
    return trigger;
}

#define PROMETHEUS(threshold) "{\"serverAddress\":\"http://p:9090\",\"query\":\"up\",\"threshold\":\"" threshold "\"}"
#define ONE                   "{\"data\":{\"result\":[{\"value\":[1,\"1\"]}]}}"

/* Equal questions are one trigger, whatever their targets; asked together, they are asked once. */
static void test_shared(void **state)
{
    size_t atoms = atom_count();
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *a = build(engine, "prometheus", PROMETHEUS("1")), *b = build(engine, "prometheus", PROMETHEUS("2"));
    struct trigger *other =
        build(engine, "prometheus", "{\"serverAddress\":\"http://p:9090\",\"query\":\"down\",\"threshold\":\"1\"}");
    struct seen first = {0}, second = {0};

    (void)state;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_true(trigger_identity(a) != trigger_identity(other));
    assert_string_equal(trigger_destination(a), "p:9090");
    trigger_poll_start(engine, a, on_sample, &first);
    trigger_poll_start(engine, b, on_sample, &second);
    assert_int_equal(exchange_count, 1);
    answer(ONE);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
    assert_int_equal(second.sample.state, SAMPLE_OK);
    trigger_unref(a);
    trigger_unref(b);
    trigger_unref(other);
    trigger_engine_free(engine);
    assert_int_equal(atom_count(), atoms);
}

/* A question of a stream in another mode is another question. */
static void test_not_shared(void **state)
{
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *pending =
        build(engine, "redis-streams",
              "{\"address\":\"r:1\",\"stream\":\"s\",\"consumerGroup\":\"g\",\"pendingEntriesCount\":\"2\"}");
    struct trigger *lag = build(engine, "redis-streams",
                                "{\"address\":\"r:1\",\"stream\":\"s\",\"consumerGroup\":\"g\",\"lagCount\":\"2\"}");

    (void)state;
    assert_ptr_not_equal(pending, lag);
    trigger_unref(pending);
    trigger_unref(lag);
    trigger_engine_free(engine);
}

/* One of two gives up: the other is still told. The last one gives up: the exchange is cancelled. */
static void test_cancel(void **state)
{
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *a = build(engine, "prometheus", PROMETHEUS("1"));
    struct seen first = {0}, second = {0};
    struct trigger_poll *one = trigger_poll_start(engine, a, on_sample, &first);

    (void)state;
    trigger_poll_start(engine, a, on_sample, &second);
    trigger_poll_cancel(one);
    assert_int_equal(exchange_count, 1);
    answer(ONE);
    assert_int_equal(first.count, 0);
    assert_int_equal(second.count, 1);
    one = trigger_poll_start(engine, a, on_sample, &first);
    trigger_poll_cancel(one);
    assert_int_equal(exchange_count, 0);
    trigger_unref(a);
    trigger_engine_free(engine);
}

/* Asking again from inside the answer begins a new poll; the trigger may go while it is under way. */
static void test_again_from_inside(void **state)
{
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *a = build(engine, "prometheus", PROMETHEUS("1"));
    struct seen seen = {.engine = engine, .again = a};

    (void)state;
    trigger_poll_start(engine, a, on_sample, &seen);
    answer(ONE);
    assert_int_equal(seen.count, 1);
    assert_int_equal(exchange_count, 1);
    trigger_unref(a);
    answer(ONE);
    assert_int_equal(seen.count, 2);
    trigger_engine_free(engine);
}

/* What needs no request is told in a later turn, never inside the call. */
static void test_never_inside(void **state)
{
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *a =
        build(engine, "cron",
              "{\"timezone\":\"UTC\",\"start\":\"0 8 * * *\",\"end\":\"0 9 * * *\",\"desiredReplicas\":\"3\"}");
    struct seen seen = {0};
    struct trigger_poll *poll = trigger_poll_start(engine, a, on_sample, &seen);

    (void)state;
    assert_int_equal(seen.count, 0);
    turn();
    assert_int_equal(seen.count, 1);
    assert_true(seen.sample.value == 0);
    poll = trigger_poll_start(engine, a, on_sample, &seen);
    trigger_poll_cancel(poll);
    turn();
    assert_int_equal(seen.count, 1);
    trigger_unref(a);
    trigger_engine_free(engine);
    assert_int_equal(timer_count, 0);
}

/* The engine goes while a poll is under way and a trigger is still held. */
static void test_engine_first(void **state)
{
    size_t atoms = atom_count();
    struct trigger_engine *engine = trigger_engine_new(&loop, &transport, NULL);
    struct trigger *a = build(engine, "prometheus", PROMETHEUS("1"));
    struct seen seen = {0};

    (void)state;
    trigger_poll_start(engine, a, on_sample, &seen);
    trigger_engine_free(engine);
    assert_int_equal(exchange_count, 0);
    assert_int_equal(seen.count, 0);
    trigger_unref(a);
    assert_int_equal(atom_count(), atoms);
}

/* A library that hangs: the poll fails, the next one goes on without its memory, and all of it is freed when it comes back. */
static void test_stuck_query(void **state)
{
    struct trigger_engine *engine;
    struct trigger *a;
    struct seen seen = {0};
    void *stuck;

    (void)state;
    if (trigger_support("postgresql") != TRIGGER_BUILT_IN)
        return;
    engine = trigger_engine_new(&loop, &transport, NULL);
    a = build(engine, "postgresql",
              "{\"query\":\"SELECT "
              "1\",\"host\":\"h\",\"port\":\"1\",\"userName\":\"u\",\"dbName\":\"d\",\"sslmode\":\"disable\"}");
    trigger_poll_start(engine, a, on_sample, &seen);
    turn(); /* a session is handed out in a later turn */
    stuck = job.arg;
    job.done(job.arg, JOB_HANGS);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.sample.state, SAMPLE_FAILED);
    assert_int_equal(seen.why.kind, ERROR_UNREACHABLE);
    trigger_poll_start(engine, a, on_sample, &seen);
    turn();
    assert_ptr_not_equal(job.arg, stuck);
    trigger_engine_free(engine);
    assert_true(job.cancelled);
    trigger_unref(a);
    job.release(stuck);
    job.release(job.arg);
}

/* All threads are taken: that is not the library's fault, and its connection is as good as before. */
static void test_waiting_query(void **state)
{
    struct trigger_engine *engine;
    struct trigger *a;
    struct seen seen = {0};

    (void)state;
    if (trigger_support("postgresql") != TRIGGER_BUILT_IN)
        return;
    engine = trigger_engine_new(&loop, &transport, NULL);
    a = build(engine, "postgresql",
              "{\"query\":\"SELECT "
              "1\",\"host\":\"h\",\"port\":\"1\",\"userName\":\"u\",\"dbName\":\"d\",\"sslmode\":\"disable\"}");
    for (int i = 1; i <= 5; i++) { /* more often than there are sessions */
        trigger_poll_start(engine, a, on_sample, &seen);
        turn();
        job.done(job.arg, JOB_NOT_BEGUN);
        assert_int_equal(seen.count, i);
        assert_int_equal(seen.sample.state, SAMPLE_FAILED);
        assert_int_equal(seen.why.kind, ERROR_LIMIT);
        assert_non_null(strstr(seen.why.text, "no worker thread became free"));
        job.release(job.arg);
    }
    trigger_unref(a);
    job.work(job.arg); /* its goodbye */
    job.release(job.arg);
    trigger_engine_free(engine);
}

/* A library's goodbye may block: it waits for a thread however long there is none, and takes its namespace's. */
static void test_goodbye_waits(void **state)
{
    size_t atoms = atom_count();
    struct trigger_engine *engine;
    struct trigger *a;
    struct seen seen = {0};
    void *goodbye;

    (void)state;
    if (trigger_support("postgresql") != TRIGGER_BUILT_IN)
        return;
    engine = trigger_engine_new(&loop, &transport, NULL);
    a = build(engine, "postgresql",
              "{\"query\":\"SELECT "
              "1\",\"host\":\"h\",\"port\":\"1\",\"userName\":\"u\",\"dbName\":\"d\",\"sslmode\":\"disable\"}");
    trigger_poll_start(engine, a, on_sample, &seen);
    turn();
    job.done(job.arg, JOB_RETURNED);
    assert_int_equal(seen.count, 1);
    job.release(job.arg);
    job.count = 0;
    trigger_unref(a); /* its connection goes with the last that used it */
    assert_int_equal(job.count, 1);
    goodbye = job.arg;
    for (int i = 2; i <= 4; i++) {
        assert_string_equal(job.ns, "shop");
        job.done(goodbye, JOB_NOT_BEGUN);
        job.release(goodbye);
        assert_int_equal(job.count, i);
        assert_ptr_equal(job.arg, goodbye);
    }
    trigger_engine_free(engine); /* the transport outlives it */
    job.work(goodbye);
    job.done(goodbye, JOB_RETURNED);
    job.release(goodbye);
    assert_int_equal(job.count, 4);
    assert_int_equal(atom_count(), atoms);
}

/* 10,000 objects with a prometheus trigger each have to stay small. */
static void test_bytes(void **state)
{
    struct trigger *a = build(NULL, "prometheus", PROMETHEUS("1"));

    (void)state;
    assert_in_range(trigger_bytes(a), 100, 320);
    trigger_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),        cmocka_unit_test(test_not_shared),
        cmocka_unit_test(test_cancel),        cmocka_unit_test(test_again_from_inside),
        cmocka_unit_test(test_never_inside),  cmocka_unit_test(test_engine_first),
        cmocka_unit_test(test_stuck_query),   cmocka_unit_test(test_waiting_query),
        cmocka_unit_test(test_goodbye_waits), cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sessions: connections that are kept, shared and never mixed, on a Redis of a few lines in a world without sockets. */
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
#include "base/tree.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "sim/virtual.h"
#include "trigger/driver.h"
#include "trigger/trigger.h"
#include "trigger_test.h"

enum { CONNECTIONS_SEEN_MAX = 2000, OBJECTS = 1000, START_MS = 1000 * 1000 };

/* ------------------------------------------------------------------ a Redis of a few lines */

struct connection {
    struct virtual_stream *stream;
    char password[64];
    int asked; /* polls, by their TYPE */
};
static struct redis {
    struct connection seen[CONNECTIONS_SEEN_MAX];
    size_t opened;
    int64_t delay_ms;
    enum { SERVES, HANGS, HANGS_UP, WRONG_TYPE } mood;
} redis;

static struct connection *connection_of(struct virtual_stream *stream)
{
    for (size_t i = redis.opened; i-- > 0;)
        if (redis.seen[i].stream == stream)
            return &redis.seen[i];
    fail_msg("bytes on a connection nobody opened");
    return NULL;
}

static void say(struct virtual_stream *stream, const char *words)
{
    virtual_stream_say(stream, words, strlen(words), redis.delay_ms);
}

/* Commands come as "*2\r\n$4\r\nLLEN\r\n$1\r\nk\r\n", several in one go. */
static void talk(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    struct connection *c;
    char copy[4096], *save = NULL;

    (void)arg;
    if (opened) {
        assert_true(redis.opened < CONNECTIONS_SEEN_MAX);
        redis.seen[redis.opened++] = (struct connection){.stream = stream};
        return;
    }
    c = connection_of(stream);
    if (redis.mood == HANGS_UP)
        virtual_stream_hang_up(stream, 0);
    if (redis.mood == HANGS || redis.mood == HANGS_UP)
        return;
    snprintf(copy, sizeof(copy), "%.*s", (int)length, bytes);
    for (char *word = strtok_r(copy, "\r\n", &save); word; word = strtok_r(NULL, "\r\n", &save)) {
        if (strcmp(word, "AUTH") == 0) {
            strtok_r(NULL, "\r\n", &save);
            word = strtok_r(NULL, "\r\n", &save);
            assert_string_equal(c->password, "");
            snprintf(c->password, sizeof(c->password), "%s", word);
            say(stream, "+OK\r\n");
        } else if (strcmp(word, "TYPE") == 0) {
            c->asked++;
            say(stream, "+list\r\n");
        } else if (strcmp(word, "LLEN") == 0) {
            say(stream, redis.mood == WRONG_TYPE ? "-WRONGTYPE no\r\n" : ":7\r\n");
        }
    }
}

/* ------------------------------------------------------------------ the stage */

static size_t ok, failed;
static struct error last;

static int set_up(void **state)
{
    (void)state;
    memset(&redis, 0, sizeof(redis));
    ok = failed = 0;
    test_world_begin(START_MS);
    virtual_talk(world, "r:1", talk, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_world_end();
    return 0;
}

static void on_sample(void *arg, const struct sample *sample, const struct error *why, int64_t took_ms)
{
    struct trigger **again = arg;

    (void)took_ms;
    ok += sample->state == SAMPLE_OK;
    failed += sample->state == SAMPLE_FAILED;
    last = *why;
    if (sample->state == SAMPLE_OK)
        assert_true(sample->value == 7);
    if (again) {
        trigger_unref(*again);
        *again = NULL;
    }
}

static struct trigger *build(int key, const char *password)
{
    char json[200], secrets[100];

    snprintf(json, sizeof(json), "{\"address\":\"r:1\",\"listName\":\"list-%d\"}", key);
    snprintf(secrets, sizeof(secrets), "{\"password\":\"%s\"}", password ? password : "");
    return test_trigger("redis", json, password ? secrets : NULL);
}

static struct trigger_poll *ask(struct trigger *trigger)
{
    return trigger_poll_start(engine, trigger, on_sample, NULL);
}

/* ------------------------------------------------------------------ kept and shared */

/* The greeting is said once, the connection asked twice. */
static void test_kept(void **state)
{
    struct trigger *a = build(1, "pw");

    (void)state;
    ask(a);
    test_pass(100);
    ask(a);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 1);
    assert_int_equal(redis.seen[0].asked, 2);
    trigger_unref(a);
}

/* A thousand objects on one server with one credential have a few connections, and all get their answer. */
static void test_shared(void **state)
{
    static struct trigger *many[OBJECTS];

    (void)state;
    redis.delay_ms = 1;
    for (int i = 0; i < OBJECTS; i++)
        ask(many[i] = build(i, "pw"));
    test_pass(4000);
    assert_int_equal(ok, OBJECTS);
    assert_int_equal(redis.opened, CONNECTIONS_KEPT_MAX);
    for (int i = 0; i < OBJECTS; i++)
        trigger_unref(many[i]);
    test_pass(0);
    assert_int_equal(virtual_pending(world), 0); /* with the last trigger its connections go */
}

/* Whatever comes together in time: a connection has seen one password only. */
static void test_never_mixed(void **state)
{
    static const char *const passwords[] = {"one", "two", NULL};
    struct trigger *triggers[30];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 30; i++) {
            if (round == 0)
                triggers[i] = build(i, passwords[i % 3]);
            ask(triggers[i]);
        }
        test_pass(1000);
    }
    assert_int_equal(ok, 90);
    assert_in_range(redis.opened, 3, 3 * CONNECTIONS_KEPT_MAX);
    for (size_t p = 0; p < 3; p++) { /* the dumb server asserts that AUTH came once; here that each was asked enough */
        int asked = 0;

        for (size_t i = 0; i < redis.opened; i++)
            asked += strcmp(redis.seen[i].password, passwords[p] ? passwords[p] : "") == 0 ? redis.seen[i].asked : 0;
        assert_int_equal(asked, 30);
    }
    for (int i = 0; i < 30; i++)
        trigger_unref(triggers[i]);
}

/* A rotated secret has a new connection; the old one is closed with the last trigger that knew the old secret. */
static void test_rotated(void **state)
{
    struct trigger *before = build(1, "old"), *after;

    (void)state;
    ask(before);
    test_pass(100);
    after = build(1, "new");
    trigger_unref(before);
    assert_int_equal(virtual_pending(world), 0);
    ask(after);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 2);
    assert_string_equal(redis.seen[1].password, "new");
    trigger_unref(after);
}

/* A failure that is the question's alone leaves the connection open. */
static void test_kept_after_refusal(void **state)
{
    struct trigger *a = build(1, NULL);

    (void)state;
    redis.mood = WRONG_TYPE;
    ask(a);
    test_pass(100);
    ask(a);
    test_pass(100);
    assert_int_equal(failed, 2);
    assert_int_equal(redis.opened, 1);
    trigger_unref(a);
}

/* ------------------------------------------------------------------ what happens to an idle connection */

static void test_unexpected_bytes(void **state)
{
    struct trigger *a = build(1, NULL);

    (void)state;
    ask(a);
    test_pass(100);
    virtual_stream_say(redis.seen[0].stream, ":1000000\r\n", 10, 0);
    test_pass(100);
    assert_int_equal(virtual_pending(world), 0);
    ask(a);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 2);
    trigger_unref(a);
}

static void test_closed_while_idle(void **state)
{
    struct trigger *a = build(1, NULL);

    (void)state;
    ask(a);
    test_pass(100);
    virtual_stream_hang_up(redis.seen[0].stream, 0);
    test_pass(100);
    ask(a);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 2);
    trigger_unref(a);
}

/* The server closes it just when it is asked. */
static void hang_up_once(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    if (!opened && redis.opened == 1) {
        virtual_stream_hang_up(stream, 0);
        return;
    }
    talk(arg, stream, bytes, length, opened);
}

static void test_closed_when_asked(void **state)
{
    struct trigger *a = build(1, "pw");

    (void)state;
    ask(a);
    test_pass(100);
    virtual_talk(world, "r:1", hang_up_once, NULL);
    ask(a);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 2);
    assert_string_equal(redis.seen[1].password, "pw");
    trigger_unref(a);
}

/* One that is dead without a word: half of the time is left for another. */
static void be_silent_on_the_first(void *arg, struct virtual_stream *stream, const char *bytes, size_t length,
                                   bool opened)
{
    if (opened || redis.opened > 1)
        talk(arg, stream, bytes, length, opened);
}

static void test_dead_when_asked(void **state)
{
    struct trigger *a = build(1, NULL);

    (void)state;
    ask(a);
    test_pass(100);
    virtual_talk(world, "r:1", be_silent_on_the_first, NULL);
    ask(a);
    test_pass(2400);
    assert_int_equal(ok, 1);
    test_pass(200);
    assert_int_equal(ok, 2);
    assert_int_equal(redis.opened, 2);
    trigger_unref(a);
}

static void test_grows_old(void **state)
{
    struct trigger *a = build(1, NULL);

    (void)state;
    ask(a);
    test_pass(CONNECTION_IDLE_MS - 1);
    assert_int_equal(virtual_pending(world), 1);
    test_pass(10);
    assert_int_equal(virtual_pending(world), 0);
    trigger_unref(a);
}

/* However many servers there are: the idle ones are bounded, and those used last stay. */
static void test_bounded(void **state)
{
    static struct trigger *many[CONNECTIONS_IDLE_MAX + 50];
    const size_t count = sizeof(many) / sizeof(many[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        char json[200], place[32];

        snprintf(place, sizeof(place), "r%zu:1", i);
        snprintf(json, sizeof(json), "{\"address\":\"%s\",\"listName\":\"l\"}", place);
        virtual_talk(world, place, talk, NULL);
        ask(many[i] = test_trigger("redis", json, NULL));
        test_pass(1);
    }
    assert_int_equal(ok, count);
    assert_int_equal(virtual_pending(world), CONNECTIONS_IDLE_MAX);
    ask(many[count - 1]);
    test_pass(10);
    assert_int_equal(redis.opened, count);
    ask(many[0]);
    test_pass(10);
    assert_int_equal(redis.opened, count + 1);
    for (size_t i = 0; i < count; i++)
        trigger_unref(many[i]);
}

/* ------------------------------------------------------------------ a server that is away */

/* A thousand objects meet a server that is down, and find it when it is back: a few dials, not a thousand. */
static void test_no_storm(void **state)
{
    static struct trigger *many[OBJECTS];
    const struct trigger_stats *stats;
    uint64_t dials = 0;

    (void)state;
    virtual_talk(world, "r:1", NULL, NULL);
    for (int i = 0; i < OBJECTS; i++)
        many[i] = build(i, "pw");
    for (int i = 0; i < OBJECTS; i++) {
        ask(many[i]);
        test_pass(30); /* each is asked every 30 s */
    }
    test_pass(5000);
    for (size_t i = 0, count = trigger_engine_stats(engine, &stats); i < count; i++)
        dials += strcmp(stats[i].type, "redis") == 0 ? stats[i].requests : 0;
    assert_int_equal(failed, OBJECTS);
    assert_int_equal(last.kind, ERROR_UNREACHABLE);
    assert_in_range(dials, 2, 30 * 1000 / SESSION_RETRY_MAX_MS + 16);
    virtual_talk(world, "r:1", talk, NULL);
    test_pass(SESSION_RETRY_MAX_MS);
    for (int i = 0; i < OBJECTS; i++)
        ask(many[i]);
    test_pass(5000);
    assert_int_equal(ok, OBJECTS);
    assert_int_equal(redis.opened, CONNECTIONS_KEPT_MAX);
    for (int i = 0; i < OBJECTS; i++)
        trigger_unref(many[i]);
}

/* The server restarts while all are connected: each connection may find out by itself, and then one alone tries. */
static void test_restart(void **state)
{
    static struct trigger *many[OBJECTS];
    size_t dials;

    (void)state;
    for (int i = 0; i < OBJECTS; i++)
        ask(many[i] = build(i, "pw"));
    test_pass(5000);
    redis.mood = HANGS_UP;
    for (int i = 0; i < OBJECTS; i++) {
        ask(many[i]);
        test_pass(10);
    }
    dials = redis.opened;
    assert_int_equal(failed, OBJECTS);
    assert_in_range(dials, CONNECTIONS_KEPT_MAX, 10 * 1000 / SESSION_RETRY_MAX_MS + 8 * CONNECTIONS_KEPT_MAX);
    redis.mood = SERVES;
    test_pass(SESSION_RETRY_MAX_MS);
    ok = 0;
    for (int i = 0; i < OBJECTS; i++)
        ask(many[i]);
    test_pass(5000);
    assert_int_equal(ok, OBJECTS);
    assert_in_range(redis.opened - dials, 1, CONNECTIONS_KEPT_MAX);
    for (int i = 0; i < OBJECTS; i++)
        trigger_unref(many[i]);
}

/* A server that hangs costs its connections and the time of those who wait, and nothing is left. */
static void test_hangs(void **state)
{
    struct trigger *many[20];

    (void)state;
    redis.mood = HANGS;
    for (int i = 0; i < 20; i++)
        ask(many[i] = build(i, NULL));
    test_pass(4900);
    assert_int_equal(failed, 0);
    assert_int_equal(virtual_pending(world), CONNECTIONS_KEPT_MAX);
    test_pass(200);
    assert_int_equal(failed, 20);
    assert_int_equal(virtual_pending(world), 0);
    for (int i = 0; i < 20; i++)
        trigger_unref(many[i]);
}

/* By a library: the first job finds that nobody listens, the others are told. */
static void test_query_away(void **state)
{
    struct trigger *many[50];
    const struct trigger_stats *stats;

    (void)state;
    if (trigger_support("postgresql") != TRIGGER_BUILT_IN)
        return;
    for (int i = 0; i < 50; i++) {
        char json[200];

        snprintf(json, sizeof(json),
                 "{\"query\":\"SELECT %d\",\"host\":\"127.0.0.1\",\"port\":\"1\",\"userName\":\"u\",\"dbName\":\"d\","
                 "\"sslmode\":\"disable\"}",
                 i);
        ask(many[i] = test_trigger("postgresql", json, "{\"password\":\"pw\"}"));
    }
    test_pass(100);
    assert_int_equal(failed, 50);
    assert_int_equal(last.kind, ERROR_UNREACHABLE);
    for (size_t i = 0, count = trigger_engine_stats(engine, &stats); i < count; i++)
        if (strcmp(stats[i].type, "postgresql") == 0)
            assert_in_range(stats[i].requests, 1, 2 * WORKERS_PER_DESTINATION_MAX);
    for (int i = 0; i < 50; i++)
        trigger_unref(many[i]);
    test_pass(100); /* goodbyes are said */
}

/* ------------------------------------------------------------------ giving up */

/* Of those who wait, those who hold, and those whose trigger goes while they are told: nothing is left, others get their answer. */
static void test_cancel(void **state)
{
    struct trigger *many[12];
    struct trigger_poll *polls[12];

    (void)state;
    redis.delay_ms = 50;
    for (int i = 0; i < 12; i++)
        polls[i] = ask(many[i] = build(i, "pw"));
    test_pass(60);
    trigger_poll_cancel(polls[0]);  /* holds a connection in the middle of its answer */
    trigger_poll_cancel(polls[11]); /* waits */
    trigger_unref(many[0]);
    test_pass(5000);
    assert_int_equal(ok, 10);
    assert_in_range(redis.opened, CONNECTIONS_KEPT_MAX, CONNECTIONS_KEPT_MAX + 1);
    for (int i = 1; i < 12; i++)
        trigger_unref(many[i]);
}

static void test_goes_while_told(void **state)
{
    struct trigger *many[8];

    (void)state;
    virtual_talk(world, "r:1", NULL, NULL); /* all are told in one go that the server is away */
    for (int i = 0; i < 8; i++) {
        many[i] = build(i, NULL);
        trigger_poll_start(engine, many[i], on_sample, &many[i]);
    }
    test_pass(5000);
    assert_int_equal(failed, 8);
    assert_int_equal(virtual_pending(world), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_kept),
        TEST(test_shared),
        TEST(test_never_mixed),
        TEST(test_rotated),
        TEST(test_kept_after_refusal),
        TEST(test_unexpected_bytes),
        TEST(test_closed_while_idle),
        TEST(test_closed_when_asked),
        TEST(test_dead_when_asked),
        TEST(test_grows_old),
        TEST(test_bounded),
        TEST(test_no_storm),
        TEST(test_restart),
        TEST(test_hangs),
        TEST(test_query_away),
        TEST(test_cancel),
        TEST(test_goes_while_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

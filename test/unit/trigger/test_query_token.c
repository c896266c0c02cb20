/*
 * The token that a query on a worker thread goes out with: there before the job begins, another one after a refusal, in the same poll.
 * The driver is kafka's; its client is played here (the linker takes what is defined here), and lets in who has the token it likes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "sim/virtual.h"
#include "trigger/family/kafka_client.h"
#include "trigger/trigger.h"
#include "trigger_test.h"

enum { START_MS = 1000 * 1000 };

/* ------------------------------------------------------------------ a Kafka that looks at tokens */

static struct {
    int logins;
    char likes[32], saw[32], extensions[64];
} kafka;

int64_t kafka_now_ms(void)
{
    return 0;
}

bool kafka_client_open(struct kafka_client *client, const struct kafka_access *access, struct error *err)
{
    (void)client;
    kafka.logins++;
    snprintf(kafka.saw, sizeof(kafka.saw), "%s", access->token ? secret_reveal(access->token) : "none");
    kafka.extensions[0] = '\0';
    for (size_t i = 0; access->extensions && i < access->extensions->count; i++)
        strcat(strcat(kafka.extensions, access->extensions->texts[i]), ";");
    assert_null(access->password);
    return strcmp(kafka.saw, kafka.likes) == 0 || error_set(err, ERROR_DENIED, "Kafka refuses %s", kafka.saw);
}

void kafka_client_close(struct kafka_client *client)
{
    (void)client;
}

bool kafka_partitions(struct kafka_client *client, const char *topic, int64_t deadline_ms, int32_t *count,
                      struct error *err)
{
    (void)client, (void)topic, (void)deadline_ms, (void)err;
    *count = 1;
    return true;
}

bool kafka_offsets(struct kafka_client *client, const char *group, struct kafka_partition *partitions, size_t count,
                   int64_t deadline_ms, struct error *err)
{
    (void)client, (void)group, (void)deadline_ms, (void)err;
    assert_int_equal(count, 1);
    partitions[0].committed = 3;
    partitions[0].end = 10;
    return true;
}

bool kafka_group_topics(struct kafka_client *client, const char *group, struct arena *arena, int64_t deadline_ms,
                        const char *const **topics, size_t *count, struct error *err)
{
    (void)client, (void)group, (void)arena, (void)deadline_ms, (void)topics, (void)count;
    return error_set(err, ERROR_INTERNAL, "it has a topic");
}

/* ------------------------------------------------------------------ an issuer */

static struct {
    int made;
    bool refuses, silent;
    char scope[64];
} issuer;

static void issue(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static char body[128];
    const char *scope = strstr((const char *)request->body, "scope=");

    (void)arg;
    reply->never = issuer.silent;
    reply->status = issuer.refuses ? 401 : 200;
    snprintf(issuer.scope, sizeof(issuer.scope), "%.*s", scope ? (int)strcspn(scope, "&") : 0, scope ? scope : "");
    if (issuer.refuses)
        snprintf(body, sizeof(body), "{\"error\":\"invalid_client\"}");
    else
        snprintf(body, sizeof(body), "{\"access_token\":\"token-%d\",\"expires_in\":3600}", ++issuer.made);
    reply->body = body;
}

/* ------------------------------------------------------------------ the stage */

static int ok, failed;
static struct error last;

static int set_up(void **state)
{
    (void)state;
    memset(&kafka, 0, sizeof(kafka));
    memset(&issuer, 0, sizeof(issuer));
    ok = failed = 0;
    snprintf(kafka.likes, sizeof(kafka.likes), "token-1");
    test_world_begin(START_MS);
    virtual_answer(world, "http://issuer/", issue, NULL);
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
    (void)arg, (void)took_ms;
    ok += sample->state == SAMPLE_OK && sample->value == 7;
    failed += sample->state == SAMPLE_FAILED;
    last = *why;
}

static struct trigger *build(const char *group, const char *extensions)
{
    char json[400], secrets[400];

    snprintf(secrets, sizeof(secrets),
             "{\"username\":\"weir\",\"password\":\"s3cret\",\"oauthTokenEndpointUri\":\"http://issuer/token\","
             "\"scopes\":\"lag, ends\",\"oauthExtensions\":\"%s\"}",
             extensions);
    snprintf(json, sizeof(json),
             "{\"bootstrapServers\":\"kafka:9092\",\"consumerGroup\":\"%s\",\"topic\":\"t\",\"sasl\":\"oauthbearer\"}",
             group);
    return test_try_trigger("kafka", json, secrets, &last);
}

static struct trigger_poll *ask(struct trigger *trigger)
{
    return trigger_poll_start(engine, trigger, on_sample, NULL);
}

/* ------------------------------------------------------------------ tests */

static void test_before_the_job(void **state)
{
    struct trigger *a = build("a", "tenant=x,realm="), *b = build("b", "tenant=x,realm=");

    (void)state;
    ask(a);
    assert_int_equal(kafka.logins, 0);
    test_pass(100);
    ask(b);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(issuer.made, 1);
    assert_string_equal(issuer.scope, "scope=lag+ends");
    assert_string_equal(kafka.extensions, "tenant;x;realm;;");
    trigger_unref(a);
    trigger_unref(b);
    test_pass(100);
}

/* In the same poll, and once: nobody sees a failure. */
static void test_another_after_a_refusal(void **state)
{
    struct trigger *t = build("a", "");

    (void)state;
    ask(t);
    test_pass(10 * 1000);
    snprintf(kafka.likes, sizeof(kafka.likes), "token-2");
    ask(t);
    test_pass(100);
    assert_int_equal(ok, 2);
    assert_int_equal(failed, 0);
    assert_int_equal(kafka.logins, 3);
    snprintf(kafka.likes, sizeof(kafka.likes), "nothing");
    test_pass(10 * 1000);
    ask(t);
    test_pass(100);
    assert_int_equal(failed, 1);
    assert_int_equal(issuer.made, 3);
    assert_int_equal(last.kind, ERROR_DENIED);
    assert_non_null(strstr(last.text, "Kafka refuses"));
    assert_null(strstr(last.text, "token-"));
    trigger_unref(t);
    test_pass(100);
}

/* A token that was made just now is not what is wrong: what the broker said is told. */
static void test_new_one_is_refused(void **state)
{
    struct trigger *t = build("a", "");

    (void)state;
    snprintf(kafka.likes, sizeof(kafka.likes), "nothing");
    ask(t);
    test_pass(100);
    assert_int_equal(failed, 1);
    assert_int_equal(issuer.made, 1);
    assert_non_null(strstr(last.text, "Kafka refuses"));
    trigger_unref(t);
    test_pass(100);
}

static void test_no_token(void **state)
{
    struct trigger *t = build("a", "");

    (void)state;
    issuer.refuses = true;
    ask(t);
    test_pass(100);
    assert_int_equal(failed, 1);
    assert_int_equal(kafka.logins, 0);
    assert_non_null(strstr(last.text, "issuer"));
    trigger_unref(t);
    test_pass(100);
}

/* An issuer that says nothing ends the poll, and one that is given up leaves nothing behind. */
static void test_silence(void **state)
{
    struct trigger *t = build("a", "");

    (void)state;
    issuer.silent = true;
    ask(t);
    test_pass(20 * 1000);
    assert_int_equal(failed, 1);
    assert_int_equal(kafka.logins, 0);
    trigger_poll_cancel(ask(t));
    issuer.silent = false;
    trigger_unref(t);
    test_pass(60 * 1000);
    assert_int_equal(failed, 1);
}

static void test_extensions(void **state)
{
    static const char *const bad[] = {"a", "a=b=c", "a=b,c"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        last.text[0] = '\0';
        assert_null(build("a", bad[i]));
        assert_non_null(strstr(last.text, "oauthExtensions"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_before_the_job),
        TEST(test_another_after_a_refusal),
        TEST(test_new_one_is_refused),
        TEST(test_no_token),
        TEST(test_silence),
        TEST(test_extensions),
    };

    return trigger_support("kafka") == TRIGGER_BUILT_IN ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

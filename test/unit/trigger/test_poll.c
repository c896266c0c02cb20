/* Polls over HTTP and on streams, in a world without sockets: what a source may do to whom, and how much of it is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"
#include "trigger_test.h"

enum { START_MS = 1000 * 1000 };

/* ------------------------------------------------------------------ the stage */

static struct sample sample;
static struct error why;
static int64_t answered_at_ms;
static int answers;

static int set_up(void **state)
{
    (void)state;
    test_world_begin(START_MS);
    answers = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_world_end();
    return 0;
}

static void on_sample(void *arg, const struct sample *told, const struct error *error, int64_t took_ms)
{
    (void)arg, (void)took_ms;
    sample = *told;
    why = *error;
    answered_at_ms = loop_ticks_ms(virtual_loop(world));
    answers++;
}

static void poll_once(struct trigger *trigger)
{
    answers = 0;
    trigger_poll_start(engine, trigger, on_sample, NULL);
    test_pass(20 * SECOND_MS);
    assert_int_equal(answers, 1);
}

static void answer_at_length(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)request;
    reply->body = arg;
}

/* ------------------------------------------------------------------ sent away */

static struct {
    int asked;
    const char *limited; /* whose credential is used up: a header's secret, or the value of X-Scope-OrgID */
} limits;

static bool comes_as(const struct http_request *request, const char *whom)
{
    for (size_t i = 0; whom && i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];

        if (strcmp(header->secret ? secret_reveal(header->secret) : header->value, whom) == 0)
            return true;
    }
    return false;
}

static void answer_limited(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header after = {.name = "retry-after", .value = "60"};

    (void)arg;
    limits.asked++;
    reply->body =
        "{\"v\":3,\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"value\":[1,\"3\"]}]}}";
    if (!comes_as(request, limits.limited))
        return;
    reply->status = 429;
    reply->headers = &after;
    reply->header_count = 1;
}

static struct trigger *api(const char *value, const char *token)
{
    char metadata[200], secrets[100];

    snprintf(metadata, sizeof(metadata),
             "{\"url\":\"http://s:1/%s\",\"valueLocation\":\"v\",\"targetValue\":\"1\",\"authMode\":\"bearer\"}",
             value);
    snprintf(secrets, sizeof(secrets), "{\"token\":\"%s\"}", token);
    return test_trigger("metrics-api", metadata, secrets);
}

/* Who has used up what one credential may ask is left alone with it, and nobody else is. */
static void a_limit_is_of_one_credential(void **state)
{
    struct trigger *one = api("a", "token-one"), *same = api("b", "token-one"), *other = api("a", "token-two");

    (void)state;
    limits.asked = 0;
    limits.limited = "token-one";
    virtual_answer(world, "http://s:1", answer_limited, NULL);
    poll_once(one);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    assert_non_null(strstr(why.text, "asks to wait 60 s"));
    poll_once(same);
    assert_non_null(strstr(why.text, "left alone"));
    assert_int_equal(limits.asked, 1);
    poll_once(other);
    assert_int_equal(sample.state, SAMPLE_OK);
    assert_int_equal(limits.asked, 2);
    limits.limited = NULL;
    test_pass(60 * SECOND_MS);
    poll_once(same);
    assert_int_equal(sample.state, SAMPLE_OK);
    trigger_unref(one);
    trigger_unref(same);
    trigger_unref(other);
}

static struct trigger *logs(const char *tenant)
{
    char metadata[200];

    snprintf(metadata, sizeof(metadata),
             "{\"serverAddress\":\"http://s:1\",\"query\":\"q\",\"threshold\":\"1\",\"tenantName\":\"%s\"}", tenant);
    return test_trigger("loki", metadata, NULL);
}

static void a_limit_is_of_one_tenant(void **state)
{
    struct trigger *one = logs("red"), *other = logs("blue");

    (void)state;
    limits.limited = "red";
    virtual_answer(world, "http://s:1", answer_limited, NULL);
    poll_once(one);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    poll_once(other);
    assert_int_equal(sample.state, SAMPLE_OK);
    trigger_unref(one);
    trigger_unref(other);
}

/* More credentials than are remembered: the last one is, and nothing breaks. */
static void limits_are_remembered_up_to_a_bound(void **state)
{
    enum { MANY = 300 };
    struct trigger *triggers[MANY];
    char token[20];

    (void)state;
    virtual_answer(world, "http://s:1", answer_limited, NULL);
    for (int i = 0; i < MANY; i++) {
        snprintf(token, sizeof(token), "token-%d", i);
        triggers[i] = api("a", token);
        limits.limited = token;
        answers = 0;
        trigger_poll_start(engine, triggers[i], on_sample, NULL);
        test_pass(10);
        assert_int_equal(answers, 1);
        assert_non_null(strstr(why.text, "asks to wait"));
    }
    poll_once(triggers[MANY - 1]);
    assert_non_null(strstr(why.text, "left alone"));
    for (int i = 0; i < MANY; i++)
        trigger_unref(triggers[i]);
}

/* ------------------------------------------------------------------ answers that hold a credential */

/* As JSON, for the text of a Secret. */
static char *new_key(struct arena *arena)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *pem = BIO_new(BIO_s_mem());
    struct text text;
    char *bytes, *json;
    long length;

    assert_true(PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL));
    length = BIO_get_mem_data(pem, &bytes);
    text_init(&text, 10 * 1000);
    text_add_json_string(&text, bytes, (size_t)length);
    json = arena_copy(arena, text.bytes);
    text_done(&text);
    BIO_free(pem);
    EVP_PKEY_free(key);
    return json;
}

static void answer_with_choices(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    assert_true(request->secret);
    reply->status = 300; /* neither what was asked for nor a refusal */
    reply->body = arg;
}

/* Not a word of an answer is shown that gives a token, also where it cannot be read. */
static void a_token_that_comes_is_not_quoted(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct trigger *trigger = test_trigger("github-runner",
                                           "{\"githubApiURL\":\"http://g:1\",\"owner\":\"me\",\"runnerScope\":\"org\","
                                           "\"applicationID\":\"1\",\"installationID\":\"2\"}",
                                           arena_printf(arena, "{\"appKey\":%s}", new_key(arena)));

    (void)state;
    virtual_answer(world, "http://g:1", answer_at_length, "{\"token\":\"ghs_0123456789\",");
    poll_once(trigger);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    assert_non_null(strstr(why.text, "not JSON"));
    assert_null(strstr(why.text, "ghs_0123456789"));
    virtual_answer(world, "http://g:1", answer_with_choices, "{\"token\":\"ghs_0123456789\"}");
    poll_once(trigger);
    assert_non_null(strstr(why.text, "answered 300"));
    assert_null(strstr(why.text, "ghs_0123456789"));
    trigger_unref(trigger);
    arena_free(arena);
}

/* ------------------------------------------------------------------ tokens */

static bool is_refused;
static int asked_of_many;

static void answer_page(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)request;
    asked_of_many += arg != NULL;
    reply->body = "vllm:num_requests_waiting 1\n";
    reply->never = arg && is_refused;
    reply->status = !arg && is_refused ? 401 : 200;
}

static void answer_issuer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg, (void)request;
    reply->status = is_refused ? 400 : 200;
    reply->body = is_refused ? "{\"error\":\"invalid_client\"}" : "{\"access_token\":\"t0ken\",\"expires_in\":3600}";
}

/* One of several has its token refused, and there is no other: it ends once, also where the rest takes longer than a token may. */
static void one_without_a_token_ends_once(void **state)
{
    enum { MANY = 5 * POLL_REQUESTS_MAX };
    struct trigger *trigger;
    struct text metadata;

    (void)state;
    text_init(&metadata, 100 * 1000);
    text_add(&metadata, "{\"signal\":\"waiting\",\"target\":\"1\",\"authModes\":\"oauth\",\"urls\":\"http://a:1/m");
    for (int i = 0; i < MANY; i++)
        text_printf(&metadata, ",http://b:1/%d", i);
    text_add(&metadata, "\"}");
    virtual_answer(world, "http://a:1", answer_page, NULL);
    virtual_answer(world, "http://b:1", answer_page, &asked_of_many);
    virtual_answer(world, "http://issuer", answer_issuer, NULL);
    trigger = test_trigger("inference", metadata.bytes,
                           "{\"oauthTokenURI\":\"http://issuer/\",\"clientID\":\"c\",\"clientSecret\":\"s3cret\"}");
    is_refused = false;
    poll_once(trigger);
    assert_int_equal(sample.state, SAMPLE_OK);
    assert_int_equal(asked_of_many, MANY);
    is_refused = true; /* by now the token is no new one */
    poll_once(trigger);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    trigger_unref(trigger);
    text_done(&metadata);
}

/* ------------------------------------------------------------------ memory */

/* Each answer is within its bounds, and all together are too much. */
static void answers_are_bounded_in_sum(void **state)
{
    struct trigger *trigger =
        test_trigger("ibmmq", "{\"host\":\"http://s:1/mq\",\"queueName\":\"a,b,c,d,e,f\",\"queueDepth\":\"5\"}",
                     "{\"username\":\"u\",\"password\":\"p\"}");
    struct text body;

    (void)state;
    text_init(&body, HTTP_BODY_MAX_BYTES);
    text_add(&body, "{\"commandResponse\":[{\"parameters\":{\"curdepth\":5}}],\"more\":[1");
    for (int i = 0; i < 400 * 1000; i++)
        text_add(&body, ",1");
    text_add(&body, "]}");
    virtual_answer(world, "http://s:1", answer_at_length, body.bytes);
    poll_once(trigger);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    assert_int_equal(why.kind, ERROR_LIMIT);
    assert_non_null(strstr(why.text, "POLL_MEMORY_MAX_BYTES"));
    trigger_unref(trigger);
    text_done(&body);
}

/* ------------------------------------------------------------------ long answers on a stream */

static struct {
    struct virtual_stream *stream;
    const char *answer;
    size_t first; /* so much of the answer at once; the rest a second later */
    bool hangs_up;
} server;

static void serve(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    size_t all = strlen(server.answer);

    (void)arg, (void)length;
    if (opened || !bytes)
        return;
    virtual_stream_say(stream, server.answer, server.first, 0);
    virtual_stream_say(stream, server.answer + server.first, all - server.first, SECOND_MS);
    if (server.hangs_up)
        virtual_stream_hang_up(stream, SECOND_MS);
}

static void ask_redis(const char *answer, size_t first, bool hangs_up)
{
    struct trigger *trigger =
        test_trigger("redis", "{\"address\":\"r:1\",\"listName\":\"l\",\"listLength\":\"5\"}", NULL);

    server.answer = answer;
    server.first = first;
    server.hangs_up = hangs_up;
    virtual_talk(world, "r:1", serve, NULL);
    poll_once(trigger);
    trigger_unref(trigger);
}

/* What a driver has read in vain is shown to it again when it has grown by much, or a moment later: not with every byte. */
static void a_long_answer_is_not_read_for_every_piece(void **state)
{
    char *line = mem_array(10 * 1000 + 4, 1);

    (void)state;
    memset(line, 'a', 10 * 1000);
    memcpy(line, "-ERR ", 5);
    memcpy(line + 10 * 1000, "\r\n", 3);
    ask_redis(line, 10 * 1000, false);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    assert_non_null(strstr(why.text, "Redis says"));
    assert_in_range(answered_at_ms, START_MS + SECOND_MS + 1, START_MS + SECOND_MS + 100);
    free(line);
}

static void a_short_answer_is_read_at_once(void **state)
{
    (void)state;
    ask_redis("-ERR no\r\n", 5, false);
    assert_non_null(strstr(why.text, "Redis says"));
    assert_int_equal(answered_at_ms, START_MS + SECOND_MS);
}

static void the_last_bytes_before_the_end_count(void **state)
{
    char *line = mem_array(10 * 1000 + 4, 1);

    (void)state;
    memset(line, 'a', 10 * 1000);
    memcpy(line, "-ERR ", 5);
    memcpy(line + 10 * 1000, "\r\n", 3);
    ask_redis(line, 10 * 1000, true);
    assert_non_null(strstr(why.text, "Redis says"));
    free(line);
}

/* ------------------------------------------------------------------ how long it may take */

static void answer_after_two_seconds(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg;
    assert_int_equal(request->timeout_ms, HTTP_TIMEOUT_MAX_MS);
    reply->after_ms = 2 * SECOND_MS;
    reply->body = "{\"v\":3}";
}

/* The longest time there can be written is a long one, not one that was over long ago. */
static void no_time_is_too_long_to_be_waited_for(void **state)
{
    struct trigger *http = test_trigger("metrics-api",
                                        "{\"url\":\"http://s:1/v\",\"valueLocation\":\"v\",\"targetValue\":\"1\","
                                        "\"timeout\":\"9223372036854775807\"}",
                                        NULL);
    struct trigger *stream = test_trigger("beanstalkd",
                                          "{\"server\":\"r:1\",\"tube\":\"t\",\"value\":\"5\","
                                          "\"timeout\":\"9223372036854775807\"}",
                                          NULL);

    (void)state;
    virtual_answer(world, "http://s:1", answer_after_two_seconds, NULL);
    poll_once(http);
    assert_int_equal(sample.state, SAMPLE_OK);
    server.answer = "OUT_OF_MEMORY\r\n";
    server.first = 5;
    server.hangs_up = false;
    virtual_talk(world, "r:1", serve, NULL);
    poll_once(stream);
    assert_non_null(strstr(why.text, "OUT_OF_MEMORY"));
    trigger_unref(http);
    trigger_unref(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_limit_is_of_one_credential, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limit_is_of_one_tenant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_are_remembered_up_to_a_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_that_comes_is_not_quoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_without_a_token_ends_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_are_bounded_in_sum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_answer_is_not_read_for_every_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_answer_is_read_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_bytes_before_the_end_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_time_is_too_long_to_be_waited_for, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

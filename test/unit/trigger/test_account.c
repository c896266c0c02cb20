/* What triggers that come as the same to a source share: tokens, limits; and what one of them keeps of its answers. */
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
#include "trigger/driver.h"
#include "trigger/trigger.h"
#include "trigger_test.h"

enum {
    START_MS = 1000 * 1000,
    STEPS_MAX = 10 * 1000,
    NAME_BYTES = 300,
    RUNS = 100,
    REPOS = 60,
    KEPT_AT_MOST_BYTES = 1024 * 1024
};

static struct sample sample;
static struct error why;
static bool done;

static int set_up(void **state)
{
    (void)state;
    test_world_begin(START_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_world_end();
    return 0;
}

static void on_sample(void *arg, const struct sample *given, const struct error *error, int64_t took_ms)
{
    (void)arg;
    (void)took_ms;
    sample = *given;
    why = *error;
    done = true;
}

static void ask(struct trigger *trigger)
{
    done = false;
    trigger_poll_start(engine, trigger, on_sample, NULL);
    for (int i = 0; i < STEPS_MAX && !done && virtual_step(world); i++)
        ;
    assert_true(done);
}

static const char *header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].secret ? secret_reveal(request->headers[i].secret) : request->headers[i].value;
    return NULL;
}

/* ------------------------------------------------------------------ OpenStack */

static struct {
    int tokens;       /* given */
    const char *good; /* the one that is taken */
} keystone;

static void answer_keystone(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const char *const names[] = {"t0", "t1", "t2", "t3"};
    static struct http_header subject = {.name = "X-Subject-Token"};

    (void)arg;
    (void)request;
    keystone.good = subject.value = names[keystone.tokens++ % 4];
    *reply = (struct virtual_reply){.status = 201,
                                    .headers = &subject,
                                    .header_count = 1,
                                    .body = "{\"token\":{\"expires_at\":\"2100-01-01T00:00:00Z\"}}"};
}

static void answer_gnocchi(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    const char *token = header(request, "X-Auth-Token");

    (void)arg;
    if (token && strcmp(token, keystone.good) == 0)
        reply->body = "[[\"2026-01-01T00:00:00+00:00\",60.0,4]]";
    else
        reply->status = 401;
}

#define METRIC(id)                                                                                                     \
    "{\"metricsURL\":\"http://gnocchi/v1/metric\",\"metricID\":\"" id                                                  \
    "\",\"aggregationMethod\":\"mean\",\"granularity\":\"60\",\"threshold\":\"1\"}"
#define USER(password) "{\"authURL\":\"http://keystone/v3\",\"userID\":\"u\",\"password\":\"" password "\"}"

/* Metrics of one account are asked with one token; another password is another account; a token that is refused is replaced for all. */
static void test_one_token_for_an_account(void **state)
{
    struct trigger *one = test_trigger("openstack-metric", METRIC("a"), USER("p")),
                   *two = test_trigger("openstack-metric", METRIC("b"), USER("p")),
                   *other = test_trigger("openstack-metric", METRIC("a"), USER("q"));

    (void)state;
    memset(&keystone, 0, sizeof(keystone));
    virtual_answer(world, "http://keystone", answer_keystone, NULL);
    virtual_answer(world, "http://gnocchi", answer_gnocchi, NULL);
    ask(one);
    ask(two);
    assert_int_equal(sample.state, SAMPLE_OK);
    assert_int_equal(keystone.tokens, 1);
    ask(other);
    assert_int_equal(keystone.tokens, 2);
    ask(one); /* its token is no longer the good one */
    assert_int_equal(sample.state, SAMPLE_OK);
    assert_int_equal(keystone.tokens, 3);
    ask(two);
    assert_int_equal(sample.state, SAMPLE_OK);
    assert_int_equal(keystone.tokens, 3);
    trigger_unref(one);
    trigger_unref(two);
    trigger_unref(other);
}

/* ------------------------------------------------------------------ GitHub */

static struct {
    int asked, unchanged, runs;
    bool limited;
    char name[NAME_BYTES + 1];
    char body[RUNS * (NAME_BYTES + 100)];
} github;

/* Each repository has so many runs; their names are long. */
static void write_runs(void)
{
    size_t used = (size_t)snprintf(github.body, sizeof(github.body), "{\"workflow_runs\":[");

    memset(github.name, 'n', NAME_BYTES);
    for (int i = 0; i < github.runs; i++)
        used += (size_t)snprintf(github.body + used, sizeof(github.body) - used,
                                 "%s{\"id\":%d,\"status\":\"queued\",\"repository\":{\"name\":\"%s\"}}",
                                 i > 0 ? "," : "", i, github.name);
    snprintf(github.body + used, sizeof(github.body) - used, "]}");
}

static void answer_github(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header limit[] = {{.name = "X-RateLimit-Remaining", .value = "0"},
                                               {.name = "Retry-After", .value = "60"}},
                                    tag = {.name = "ETag", .value = "\"1\""};

    (void)arg;
    github.asked++;
    *reply = (struct virtual_reply){.status = 200, .headers = &tag, .header_count = 1, .body = github.body};
    if (github.limited)
        *reply = (struct virtual_reply){.status = 403, .headers = limit, .header_count = 2};
    else if (header(request, "If-None-Match")) {
        github.unchanged++;
        *reply = (struct virtual_reply){.status = 304};
    } else if (strstr(request->url, "/jobs")) {
        reply->body = "{\"jobs\":[]}";
    }
}

#define REPO(names)                                                                                                    \
    "{\"githubApiURL\":\"http://"                                                                                      \
    "github\",\"owner\":\"acme\",\"runnerScope\":\"org\",\"enableEtags\":\"true\",\"repos\":\"" names "\"}"

static void test_one_limit_for_a_token(void **state)
{
    struct trigger *one = test_trigger("github-runner", REPO("a"), "{\"personalAccessToken\":\"t\"}"),
                   *two = test_trigger("github-runner", REPO("b"), "{\"personalAccessToken\":\"t\"}"),
                   *other = test_trigger("github-runner", REPO("b"), "{\"personalAccessToken\":\"u\"}");

    (void)state;
    memset(&github, 0, sizeof(github));
    write_runs();
    virtual_answer(world, "http://github", answer_github, NULL);
    github.limited = true;
    ask(one);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    github.limited = false;
    github.asked = 0;
    ask(two);
    assert_int_equal(sample.state, SAMPLE_FAILED);
    assert_non_null(strstr(why.text, "rate limit is used up"));
    assert_int_equal(github.asked, 0);
    ask(other);
    assert_int_equal(sample.state, SAMPLE_OK);
    trigger_unref(one);
    trigger_unref(two);
    trigger_unref(other);
}

/* Many long answers: as many as fit are kept for the next poll, the others are asked for anew. That there are too many runs to be asked for
   their jobs ends both polls, after that. */
static void test_what_is_kept_is_bounded(void **state)
{
    char metadata[1024] = "";
    size_t used = (size_t)snprintf(metadata, sizeof(metadata), "%.*s", (int)(sizeof(REPO("")) - 3), REPO(""));
    struct trigger *trigger;

    (void)state;
    memset(&github, 0, sizeof(github));
    for (int i = 0; i < REPOS; i++)
        used += (size_t)snprintf(metadata + used, sizeof(metadata) - used, "%sr%d", i > 0 ? "," : "", i);
    snprintf(metadata + used, sizeof(metadata) - used, "\"}");
    github.runs = RUNS;
    write_runs();
    virtual_answer(world, "http://github", answer_github, NULL);
    trigger = test_trigger("github-runner", metadata, "{\"personalAccessToken\":\"t\"}");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(github.unchanged, 0);
        ask(trigger);
        assert_int_equal(why.kind, ERROR_LIMIT);
    }
    assert_int_equal(github.asked, 2 * 2 * REPOS);
    assert_in_range(github.unchanged, 1, KEPT_AT_MOST_BYTES / (RUNS * NAME_BYTES));
    trigger_unref(trigger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_token_for_an_account, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_limit_for_a_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A credential that is bound to hosts goes nowhere else: not where the manifest says, in whatever form, nor where a server sends it on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/loop.h"
#include "sim/virtual.h"
#include "trigger/trigger.h"

static struct virtual_world *world;
static struct trigger_engine *engine;
static struct arena *arena;
static struct report *report;
static struct sample last;
static struct error why;

static int set_up(void **state)
{
    (void)state;
    world = virtual_world_new(1, 1000 * 1000);
    engine = trigger_engine_new(virtual_loop(world), virtual_transport(world), NULL);
    arena = arena_new(ARENA_USUAL);
    report = report_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    report_free(report);
    arena_free(arena);
    trigger_engine_free(engine);
    assert_int_equal(virtual_pending(world), 0);
    virtual_world_free(world);
    return 0;
}

static const struct tree *read_map(const char *yaml)
{
    struct tree *docs;

    assert_true(tree_read_yaml("t", yaml, strlen(yaml), arena, &docs, NULL));
    return tree_index(docs, 0);
}

/* NULL: refused, the report says why. */
static struct trigger *build(const char *type, const char *metadata, const char *secrets, const char *hosts)
{
    struct credential *credential = credential_from_tree(read_map(secrets));
    struct trigger_input input = {.type = type,
                                  .metadata = read_map(metadata),
                                  .credential = credential,
                                  .direct = true,
                                  .ns = "shop",
                                  .field = "spec.triggers[0]",
                                  .as_metric_source = true};
    struct trigger_metric metric;
    struct trigger *trigger = NULL;

    credential->allowed_hosts = hosts;
    report_free(report);
    report = report_new();
    if (trigger_build(engine, &input, report, &trigger, &metric))
        trigger_metric_done(&metric);
    credential_unref(credential);
    return trigger;
}

/* ------------------------------------------------------------------ what the manifest says */

#define PULSAR "{adminURL: 'http://good:8080', topic: 'persistent://a/b/c', subscription: s, authModes: oauth}"

static const struct {
    const char *type, *metadata, *secrets, *hosts;
    const char *refused; /* the place that is named; NULL: it is built */
} rows[] = {
    {"prometheus", "{serverAddress: 'http://good:9090', query: up, threshold: '1'}", "{}", "good", NULL},
    {"prometheus", "{serverAddress: 'http://evil:9090', query: up, threshold: '1'}", "{}", "good", "evil:9090"},
    {"prometheus", "{serverAddress: 'http://evil:9090', query: up, threshold: '1'}", "{}", NULL, NULL},
    {"prometheus", "{serverAddress: 'http://good:9091', query: up, threshold: '1'}", "{}", "good:9090", "good:9091"},
    {"prometheus", "{serverAddress: 'http://evil:/', query: up, threshold: '1'}", "{}", "good", "evil:80"},
    {"prometheus", "{serverAddress: 'https://good:', query: up, threshold: '1'}", "{}", "good:443", NULL},
    {"prometheus", "{serverAddress: 'http://good@evil/', query: up, threshold: '1'}", "{}", "good", "evil:80"},
    {"elasticsearch",
     "{addresses: 'http://good:1,http://evil:1', index: i, searchTemplateName: t, valueLocation: v, targetValue: '1'}",
     "{username: u, password: p}", "good", "evil:1"},
    {"pulsar", PULSAR, "{oauthTokenURI: 'http://good:1/token', clientID: c, clientSecret: s}", "good", NULL},
    {"pulsar", PULSAR, "{oauthTokenURI: 'http://evil:1/token', clientID: c, clientSecret: s}", "good", "evil:1"},
    {"pulsar", PULSAR, "{oauthTokenURI: 'http://evil:/token', clientID: c, clientSecret: s}", "good", "evil:80"},
    {"redis", "{address: 'good:6379', listName: l}", "{password: p}", "good", NULL},
    {"redis", "{address: 'evil:6379', listName: l}", "{password: p}", "good", "evil:6379"},
    {"redis-cluster", "{addresses: 'good:1,evil:2', listName: l}", "{password: p}", "good", "evil:2"},
    {"etcd", "{endpoints: 'good:1,evil:2', watchKey: k, value: '1'}", "{username: u, password: p}", "good", "evil:2"},
    {"openstack-metric",
     "{metricsURL: 'http://good:1', metricID: m, aggregationMethod: mean, granularity: '300', threshold: '1'}",
     "{authURL: 'http://evil:5000/v3', userID: u, password: p, projectID: p}", "good", "evil:5000"},
    {"external", "{scalerAddress: 'evil:9090'}", "{}", "good", "evil:9090"},
    {"kafka", "{bootstrapServers: 'good:1,evil:2', topic: t, consumerGroup: g}", "{}", "good", "evil:2"},
    {"kafka", "{bootstrapServers: 'good:1', topic: t, consumerGroup: g}", "{}", "good", NULL},
    {"postgresql", "{query: q, targetQueryValue: '1'}", "{connection: 'host=good,evil port=1,2 dbname=d'}", "good",
     "evil:2"},
    {"postgresql", "{query: q, targetQueryValue: '1'}", "{connection: 'host=good hostaddr=10.6.6.6 dbname=d'}", "good",
     ""},
    {"postgresql", "{query: q, targetQueryValue: '1'}", "{connection: 'dbname=d'}", "good", ""},
    {"mongodb", "{dbName: d, collection: c, query: '{}', queryValue: '1'}",
     "{connectionString: 'mongodb://u:p@good:1,evil:2/'}", "good", "evil:2"},
    {"mysql", "{query: q, queryValue: '1'}", "{connectionString: 'u:p@tcp(evil:3306)/d'}", "good", "evil:3306"},
    {"mssql", "{query: q, targetValue: '1'}", "{connectionString: 'sqlserver://u:p@evil:1433'}", "good", "evil:1433"},
    {"mysql", "{host: 'x;host=evil;a=.good.org', port: '3306', dbName: d, username: u, query: q, queryValue: '1'}",
     "{password: p}", "*.good.org", ""},
    {"mssql", "{query: q, targetValue: '1'}", "{connectionString: 'sqlserver://u:p@good/instance'}", "good", NULL},
    {"mssql", "{query: q, targetValue: '1'}", "{connectionString: 'sqlserver://u:p@good/instance'}", "good:1433",
     "good"},
    {"mssql", "{query: q, targetValue: '1'}", "{connectionString: 'sqlserver://u:p@[fd00::7]/instance'}", "[fd00::7]",
     NULL},
    {"mssql", "{query: q, targetValue: '1'}", "{connectionString: 'sqlserver://u:p@[fd00::7:1433]/instance'}",
     "[fd00::7]", "[fd00::7:1433]"},
    {"rabbitmq", "{queueName: q, mode: QueueLength, value: '1'}", "{host: 'amqp://u:p@evil:5672/'}", "good",
     "evil:5672"},
    {"cron", "{timezone: UTC, start: '0 1 * * *', end: '0 2 * * *', desiredReplicas: '1'}", "{}", "good", NULL},
};

static const struct finding *find(const char *code)
{
    for (size_t i = 0; i < report_count(report); i++)
        if (strcmp(report_at(report, i)->code, code) == 0)
            return report_at(report, i);
    return NULL;
}

static void test_manifest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct trigger *trigger = build(rows[i].type, rows[i].metadata, rows[i].secrets, rows[i].hosts);
        const struct finding *found = find("host-not-allowed");
        char wanted[100];

        if (trigger_support(rows[i].type) != TRIGGER_BUILT_IN)
            continue; /* it is not built, whatever the hosts */
        snprintf(wanted, sizeof(wanted), "%s is not among the hosts", rows[i].refused ? rows[i].refused : "");
        if (!rows[i].refused && !trigger)
            fail_msg("row %zu, %s: %s", i, rows[i].type, found ? found->text : report_at(report, 0)->text);
        if (rows[i].refused && (trigger || !found || !strstr(found->text, rows[i].refused[0] ? wanted : "not among")))
            fail_msg("row %zu, %s: %s", i, rows[i].type, found ? found->text : "it is built, or has another fault");
        if (found)
            assert_string_equal(found->field, "spec.triggers[0]");
        trigger_unref(trigger);
    }
}

/* One who may ask does not ask for one who may not. */
static void test_shared(void **state)
{
    static const char metadata[] = "{serverAddress: 'http://good:9090', query: up, threshold: '1'}";
    struct trigger *free_one = build("prometheus", metadata, "{}", NULL);
    struct trigger *bound = build("prometheus", metadata, "{}", "good"), *again;

    (void)state;
    again = build("prometheus", metadata, "{}", "good");
    assert_ptr_not_equal(free_one, bound);
    assert_ptr_equal(bound, again);
    trigger_unref(free_one);
    trigger_unref(bound);
    trigger_unref(again);
}

/* ------------------------------------------------------------------ where servers send it on */

static void on_sample(void *arg, const struct sample *sample, const struct error *err, int64_t took_ms)
{
    (void)arg, (void)took_ms;
    last = *sample;
    why = *err;
}

static void ask(struct trigger *trigger)
{
    last = (struct sample){.state = SAMPLE_OK};
    trigger_poll_start(engine, trigger, on_sample, NULL);
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + 5000);
}

static void keystone(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header token = {.name = "x-subject-token", .value = "tok"};

    (void)arg, (void)request;
    reply->status = 201;
    reply->headers = &token;
    reply->header_count = 1;
    reply->body = "{\"token\":{\"catalog\":[{\"type\":\"object-store\",\"endpoints\":[{\"interface\":\"public\","
                  "\"url\":\"http://evil/v1\"}]}]}}";
}

static void count(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const struct http_header objects = {.name = "x-container-object-count", .value = "5"};

    (void)request;
    ++*(int *)arg;
    reply->status = 204;
    reply->headers = &objects;
    reply->header_count = 1;
}

static void test_sent_on(void **state)
{
    static const char secrets[] = "{authURL: 'http://good:5000/v3', userID: u, password: p, projectID: p}";
    struct trigger *trigger;
    int seen = 0;

    (void)state;
    virtual_answer(world, "http://good:5000/", keystone, NULL);
    virtual_answer(world, "http://evil/", count, &seen);
    trigger = build("openstack-swift", "{containerName: c, objectCount: '1'}", secrets, "good");
    assert_non_null(trigger);
    ask(trigger);
    assert_int_equal(last.state, SAMPLE_FAILED);
    assert_int_equal(why.kind, ERROR_INVALID);
    assert_non_null(strstr(why.text, "evil:80 is not among the hosts"));
    assert_int_equal(seen, 0);
    trigger_unref(trigger);
    trigger = build("openstack-swift", "{containerName: c, objectCount: '1'}", secrets, "good,evil");
    ask(trigger);
    assert_int_equal(last.state, SAMPLE_OK);
    assert_int_equal(seen, 1);
    trigger_unref(trigger);
}

/* What is clearly no place of the list is none. */
static void test_odd_token_address(void **state)
{
    static const char secrets[] = "{oauthTokenURI: 'http://evil:x/token', clientID: c, clientSecret: s}";
    struct trigger *trigger = build("pulsar", PULSAR, secrets, "good");
    int seen = 0;

    (void)state;
    virtual_answer(world, "http://good:8080/", count, &seen);
    assert_non_null(trigger);
    ask(trigger);
    assert_int_equal(last.state, SAMPLE_FAILED);
    assert_int_equal(why.kind, ERROR_INVALID);
    assert_non_null(strstr(why.text, "is not among the hosts"));
    assert_int_equal(seen, 0);
    trigger_unref(trigger);
}

static void sentinel(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    static const char master[] = "*2\r\n$4\r\nevil\r\n$4\r\n6379\r\n";

    (void)arg, (void)bytes, (void)length;
    if (!opened)
        virtual_stream_say(stream, master, strlen(master), 0);
}

static void refuse(void *arg, struct virtual_stream *stream, const char *bytes, size_t length, bool opened)
{
    (void)stream, (void)bytes, (void)length, (void)opened;
    ++*(int *)arg;
}

static void test_talked_on(void **state)
{
    struct trigger *trigger;
    int seen = 0;

    (void)state;
    virtual_talk(world, "good:26379", sentinel, NULL);
    virtual_talk(world, "evil:6379", refuse, &seen);
    trigger =
        build("redis-sentinel", "{addresses: 'good:26379', sentinelMaster: m, listName: l}", "{password: p}", "good");
    assert_non_null(trigger);
    ask(trigger);
    assert_int_equal(last.state, SAMPLE_FAILED);
    assert_non_null(strstr(why.text, "evil:6379 is not among the hosts"));
    assert_int_equal(seen, 0);
    trigger_unref(trigger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sent_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_odd_token_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_talked_on, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

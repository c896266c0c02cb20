/* Where a trigger asks: every server of a list, in each grammar there is for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/trigger.h"

static const struct row {
    const char *type, *metadata;
    const char *connection; /* of the variable CONNECTION */
    const char *first, *all;
} rows[] = {
    {"kafka", "{bootstrapServers: 'a:1,b,[::1]:3', consumerGroup: g, topic: t}", NULL, "a:1", "a:1 b:9092 ::1:3 "},
    {"redis", "{addresses: 'a:1', listName: l}", NULL, "a:1", "a:1 "},
    {"redis-cluster", "{addresses: 'a:1,b:2', listName: l}", NULL, "a:1", "a:1 b:2 "},
    {"redis-sentinel", "{hosts: 'a,b', ports: '1,2', listName: l, sentinelMaster: m}", NULL, "a:1", "a:1 b:2 "},
    {"elasticsearch",
     "{addresses: 'http://a:1,https://b', username: u, password: p, index: i, query: '{}', valueLocation: v, "
     "targetValue: '1'}",
     NULL, "a:1", "a:1 b:443 "},
    {"nsq", "{nsqLookupdHTTPAddresses: 'a:1,b:2', topic: t, channel: c}", NULL, "a:1", "a:1 b:2 "},
    {"etcd", "{endpoints: 'a:1,http://b:2', watchKey: k, value: '1'}", NULL, "a:1", "a:1 b:2 "},
    {"solace-event-queue",
     "{solaceSempBaseURL: 'http://a:1,https://b', messageVpn: v, queueName: q, messageCountTarget: '1', username: u, "
     "password: p}",
     NULL, "a:1", "a:1 b:443 "},
    {"prometheus", "{serverAddress: 'http://a:1/x', query: q, threshold: '1'}", NULL, "a:1", "a:1 "},
    {"beanstalkd", "{server: 'a:1', tube: t, value: '1'}", NULL, "a:1", "a:1 "},
    {"mongodb", "{connectionStringFromEnv: CONNECTION, dbName: d, collection: c, query: '{}', queryValue: '1'}",
     "mongodb://u:p@a:1,b,[::1]:3/?replicaSet=r", "a:1", "a:1 b:27017 ::1:3 "},
    {"mongodb", "{connectionStringFromEnv: CONNECTION, dbName: d, collection: c, query: '{}', queryValue: '1'}",
     "mongodb://%2Frun%2Fmongod.sock", "/run/mongod.sock:0", "/run/mongod.sock:0 "},
    {"mongodb", "{connectionStringFromEnv: CONNECTION, dbName: d, collection: c, query: '{}', queryValue: '1'}",
     "mongodb+srv://u:p@a.example.com/x", "a.example.com:27017", "a.example.com:27017 "},
    {"postgresql", "{connectionFromEnv: CONNECTION, query: q, targetQueryValue: '1'}", "host=a,b port=1,2 dbname=d",
     "a:1", "a:1 b:2 "},
    {"postgresql", "{connectionFromEnv: CONNECTION, query: q, targetQueryValue: '1'}", "postgres://u:p@a:1,b:2/d",
     "a:1", "a:1 b:2 "},
    {"postgresql", "{connectionFromEnv: CONNECTION, query: q, targetQueryValue: '1'}", "host=/run/pg,a port=7",
     "/run/pg:0", "/run/pg:0 a:7 "},
    {"mssql", "{connectionStringFromEnv: CONNECTION, query: q, targetValue: '1'}", "sqlserver://u:p@a", "a:1433",
     "a:1433 "},
    {"mssql", "{connectionStringFromEnv: CONNECTION, query: q, targetValue: '1'}", "sqlserver://u:p@a/instance", "a",
     "a:0 "},
    {"mssql", "{connectionStringFromEnv: CONNECTION, query: q, targetValue: '1'}", "sqlserver://u:p@[::1]/instance",
     "[::1]", "::1:0 "},
    {"mssql", "{connectionStringFromEnv: CONNECTION, query: q, targetValue: '1'}", "sqlserver://u:p@[::1]:7/instance",
     "[::1]:7", "::1:7 "},
    {"mysql", "{host: a, port: '1', username: u, dbName: d, query: q, queryValue: '1'}", NULL, "a:1", "a:1 "},
};

static const char *variable(void *arg, const char *name)
{
    return strcmp(name, "CONNECTION") == 0 ? arg : NULL;
}

static void add(void *arg, const char *host, int port)
{
    text_printf(arg, "%s:%d ", host, port);
}

static void check(const struct row *row)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();
    struct tree *documents;
    struct trigger *trigger;
    struct trigger_metric metric;
    struct text told;

    assert_true(tree_read_yaml("t", row->metadata, strlen(row->metadata), arena, &documents, NULL));
    struct trigger_input input = {.type = row->type,
                                  .metadata = tree_index(documents, 0),
                                  .env = variable,
                                  .env_arg = (void *)(uintptr_t)row->connection,
                                  .ns = "shop",
                                  .object_name = "web",
                                  .field = "spec.triggers[0]",
                                  .object = "ScaledObject shop/web"};
    if (!trigger_build(NULL, &input, report, &trigger, &metric))
        fail_msg("%s %s: %s", row->type, row->metadata, report_at(report, 0)->text);
    text_init(&told, 1000);
    trigger_destinations(trigger, add, &told);
    if (strcmp(told.bytes, row->all) != 0)
        fail_msg("%s %s: told %s", row->type, row->connection ? row->connection : row->metadata, told.bytes);
    assert_string_equal(trigger_destination(trigger), row->first);
    text_done(&told);
    trigger_metric_done(&metric);
    trigger_unref(trigger);
    report_free(report);
    arena_free(arena);
}

static void tells_every_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (trigger_support(rows[i].type) == TRIGGER_BUILT_IN)
            check(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_every_server)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

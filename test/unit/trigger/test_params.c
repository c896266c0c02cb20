/* Parameters: what is accepted, what is found wrong, where, and which remedy is named. */
#include <math.h>
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
#include "base/text.h"
#include "base/tree.h"
#include "trigger/trigger.h"

static const struct row {
    const char *type, *metadata; /* JSON */
    const char *code, *field;    /* of the first finding that is not advice; NULL: none */
    const char *mentions;        /* in its text or remedy */
} rows[] = {
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\"}", NULL, NULL, NULL},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"metricName\":\"x\"}", NULL,
     NULL, NULL},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\" 5 \"}", NULL, NULL, NULL},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"\xc2\xa0 5\xe2\x80\x83\"}", NULL,
     NULL, NULL},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"10s\"}", "bad-parameter",
     "spec.triggers[0].metadata.threshold", "\"10\""},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"80%\"}", "bad-parameter",
     "spec.triggers[0].metadata.threshold", "\"80\""},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"+5\"}", "bad-parameter",
     "spec.triggers[0].metadata.threshold", "number"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"null\"}", "bad-parameter",
     "spec.triggers[0].metadata.threshold", "number"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"1e400\"}", "bad-parameter",
     "spec.triggers[0].metadata.threshold", "number"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\"}", "missing-parameter",
     "spec.triggers[0].metadata.threshold", "threshold"},
    {"prometheus", "{\"serverAdress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\"}", "missing-parameter",
     "spec.triggers[0].metadata.serverAddress", "you wrote serverAdress"},
    {"prometheus", "{\"serverAddress\":\"p:9090\",\"query\":\"up\",\"threshold\":\"5\"}", "bad-url",
     "spec.triggers[0].metadata.serverAddress", "http://host:port"},
    {"prometheus", "{\"serverAddress\":\"http://${HOST}\",\"query\":\"up\",\"threshold\":\"5\"}", "bad-url",
     "spec.triggers[0].metadata.serverAddress", "http://host:port"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"minReplicaCount\":\"2\"}",
     "misplaced-field", "spec.triggers[0].metadata.minReplicaCount", "spec.minReplicaCount"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"metricType\":\"Value\"}",
     "misplaced-field", "spec.triggers[0].metadata.metricType", "spec.triggers[0].metricType"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"ignoreNullValue\":\"true\"}",
     "unknown-parameter", "spec.triggers[0].metadata.ignoreNullValue", "ignoreNullValues"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"queryFromEnv\":\"Q\"}",
     "unknown-parameter", "spec.triggers[0].metadata.queryFromEnv", "environment"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"timeout\":\"-1\"}",
     "bad-parameter", "spec.triggers[0].metadata.timeout", "milliseconds"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"customHeaders\":\"a=b,c\"}",
     "bad-parameter", "spec.triggers[0].metadata.customHeaders", "name=value"},
    {"prometheus",
     "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"authModes\":\"bearer,basic\"}",
     "bad-parameter", "spec.triggers[0].metadata.authModes", "at most one"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"authModes\":\"Bearer\"}",
     "unknown-value", "spec.triggers[0].metadata.authModes", "bearer"},
    {"prometheus", "{\"serverAddress\":\"http://p\",\"query\":\"up\",\"threshold\":\"5\",\"bearerToken\":\"x\"}",
     "misplaced-field", "spec.triggers[0].metadata.bearerToken", "TriggerAuthentication"},
    {"metrics-api", "{\"url\":\"http://p\",\"valueLocation\":\"a\",\"targetValue\":\"5\",\"format\":\"JSON\"}",
     "unknown-value", "spec.triggers[0].metadata.format", "json"},
    {"metrics-api", "{\"url\":\"http://p\",\"valueLocation\":\"a\",\"targetValue\":\"5\",\"format\":\"json,xml\"}",
     "unknown-value", "spec.triggers[0].metadata.format", "one word"},
    {"metrics-api", "{\"url\":\"http://p\",\"valueLocation\":\"a\"}", "bad-parameter",
     "spec.triggers[0].metadata.targetValue", "targetValue"},
    {"redis", "{\"address\":\"r:6379\",\"listName\":\"l\",\"listLength\":\"5.0\"}", "bad-parameter",
     "spec.triggers[0].metadata.listLength", "whole number"},
    {"redis", "{\"address\":\"r:6379\",\"listName\":\"l\",\"listLength\":\"9223372036854775808\"}", "bad-parameter",
     "spec.triggers[0].metadata.listLength", "whole number"},
    {"redis", "{\"address\":\"r:6379\",\"stream\":\"s\",\"consumerGroup\":\"g\",\"pendingEntriesCount\":\"1\"}",
     "missing-parameter", "spec.triggers[0].metadata.listName", "redis-streams"},
    {"cpu", "{\"value\":\"60\",\"type\":\"Utilization\"}", "metric-type", "spec.triggers[0].metricType", "Utilization"},
    {"htpp", "{}", "unknown-trigger-type", "spec.triggers[0].type", "htpp"},
    {"http", "{}", "unknown-trigger-type", "spec.triggers[0].type", "metrics-api"},
    {"aws-sqs-queue", "{}", "trigger-not-built-in", "spec.triggers[0].type", "aws-sqs-queue"},
    {"inference", "{\"url\":\"http://p\",\"signal\":\"waiting\",\"target\":\"5\",\"window\":\"60\"}", "bad-parameter",
     "spec.triggers[0].metadata.window", "unit"},
};

static struct trigger_input input_of(const char *type, const struct tree *metadata)
{
    return (struct trigger_input){.type = type,
                                  .metadata = metadata,
                                  .direct = true,
                                  .ns = "shop",
                                  .object_name = "web",
                                  .field = "spec.triggers[0]",
                                  .object = "ScaledObject shop/web"};
}

static void test_findings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct report *report = report_new();
        struct tree *metadata;
        struct trigger *trigger;
        struct trigger_metric metric;
        const struct finding *first = NULL;

        assert_true(tree_read_json(rows[i].metadata, strlen(rows[i].metadata), false, arena, &metadata, NULL));
        struct trigger_input input = input_of(rows[i].type, metadata);
        bool built = trigger_build(NULL, &input, report, &trigger, &metric);

        for (size_t f = 0; f < report_count(report) && !first; f++)
            if (report_at(report, f)->severity != FINDING_ADVICE)
                first = report_at(report, f);
        assert_int_equal(built, report_count_of(report, FINDING_ERROR) == 0);
        if (!rows[i].code) {
            if (first)
                print_error("row %zu: %s\n", i, first->text);
            assert_null(first);
        } else {
            assert_non_null(first);
            if (strcmp(first->code, rows[i].code) != 0 || strcmp(first->field, rows[i].field) != 0)
                print_error("row %zu: %s %s: %s\n", i, first->code, first->field, first->text);
            assert_string_equal(first->code, rows[i].code);
            assert_string_equal(first->field, rows[i].field);
            if (!strstr(first->text, rows[i].mentions) && !strstr(first->remedy ? first->remedy : "", rows[i].mentions))
                fail_msg("row %zu: %s does not stand in: %s / %s", i, rows[i].mentions, first->text, first->remedy);
        }
        if (built) {
            trigger_metric_done(&metric);
            trigger_unref(trigger);
        }
        report_free(report);
        arena_free(arena);
    }
}

/* In lint the credential and the environment are not at hand: what they would supply is not missed. */
static void test_unknown_is_not_missing(void **state)
{
    static const char json[] = "{\"query\":\"SELECT 1\",\"targetQueryValue\":\"5\"}";
    static const char by_env[] = "{\"addressFromEnv\":\"REDIS\",\"listName\":\"l\"}";
    struct arena *arena = arena_new(ARENA_USUAL);
    struct report *report = report_new();
    struct trigger *trigger = NULL;
    struct trigger_metric metric;
    struct tree *metadata;

    (void)state;
    if (trigger_support("postgresql") == TRIGGER_BUILT_IN) {
        assert_true(tree_read_json(json, sizeof(json) - 1, false, arena, &metadata, NULL));
        struct trigger_input input = input_of("postgresql", metadata);
        input.credential_unknown = true;
        assert_true(trigger_build(NULL, &input, report, &trigger, &metric));
        trigger_metric_done(&metric);
        trigger_unref(trigger);
        input.credential_unknown = false;
        assert_false(trigger_build(NULL, &input, report, &trigger, &metric));
    }
    assert_true(tree_read_json(by_env, sizeof(by_env) - 1, false, arena, &metadata, NULL));
    struct trigger_input input = input_of("redis", metadata);
    assert_true(trigger_build(NULL, &input, report, &trigger, &metric));
    assert_string_equal(metric.name, "s0-redis-l");
    trigger_metric_done(&metric);
    trigger_unref(trigger);
    report_free(report);
    arena_free(arena);
}

static void test_types(void **state)
{
    size_t count;
    const char *const *names = trigger_types(&count);
    struct text page;

    (void)state;
    assert_int_equal(count, 79); /* KEDA's 78, and inference */
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(names[i - 1], names[i]) < 0);
    for (size_t i = 0; i < count; i++) {
        text_init(&page, 1024 * 1024);
        assert_int_equal(trigger_describe(names[i], true, &page), trigger_support(names[i]) == TRIGGER_BUILT_IN);
        text_done(&page);
    }
    assert_int_equal(trigger_support("cron"), TRIGGER_BUILT_IN);
    assert_int_equal(trigger_support("aws-sqs-queue"), TRIGGER_KNOWN);
    assert_int_equal(trigger_support("nope"), TRIGGER_UNKNOWN);
    assert_string_equal(trigger_nearest_type("promethues"), "prometheus");
}

/* docs/triggers/ is made from the tables: `WEIR_WRITE_DOCS=1 unit-trigger-params` writes it anew. */
static void test_pages(void **state)
{
    const char *source = getenv("WEIR_SOURCE_DIR");
    size_t count;
    const char *const *names = trigger_types(&count);

    (void)state;
    for (size_t i = 0; i < count && source; i++) {
        char path[1000], stored[64 * 1024] = "";
        struct text page;
        FILE *file;

        if (trigger_support(names[i]) != TRIGGER_BUILT_IN)
            continue;
        text_init(&page, sizeof(stored) - 1);
        assert_true(trigger_describe(names[i], true, &page));
        snprintf(path, sizeof(path), "%s/docs/triggers/%s.md", source, names[i]);
        file = fopen(path, getenv("WEIR_WRITE_DOCS") ? "w+" : "r");
        if (!file)
            fail_msg("%s is not there", path);
        if (getenv("WEIR_WRITE_DOCS"))
            fwrite(page.bytes, 1, page.length, file);
        rewind(file);
        (void)!fread(stored, 1, sizeof(stored) - 1, file);
        fclose(file);
        assert_string_equal(stored, page.bytes);
        text_done(&page);
    }
}

static void test_metric_names(void **state)
{
    const char *rest = NULL;

    (void)state;
    assert_true(trigger_metric_strip(0, "s0-a-b", &rest));
    assert_string_equal(rest, "a-b");
    assert_false(trigger_metric_strip(1, "s0-a", &rest));
    assert_false(trigger_metric_strip(0, "0-a", &rest));
    assert_false(trigger_metric_strip(1, "s11-a", &rest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings), cmocka_unit_test(test_unknown_is_not_missing), cmocka_unit_test(test_types),
        cmocka_unit_test(test_pages),    cmocka_unit_test(test_metric_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

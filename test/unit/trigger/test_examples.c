/* What every driver says of itself for its reference page: it is there, and its example is one that works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "trigger/driver.h"
#include "trigger/trigger_internal.h"

static int faults;

/* All of them are said, not the first only. */
static bool __attribute__((format(printf, 1, 2))) fault(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    faults++;
    return false;
}

struct example {
    struct arena *arena;
    const struct tree *metadata, *metric_type;
    struct credential *credential; /* NULL: it has none */
};

/* The names that a TriggerAuthentication among the documents supplies, and what stands in the Secret beside it. */
static struct tree *supplied(const struct tree *documents, struct arena *arena)
{
    struct text json;
    struct tree *map = NULL;
    const char *comma = "";

    text_init(&json, 64 * 1024);
    text_add_char(&json, '{');
    for (const struct tree *d = documents->first; d; d = d->next)
        for (const struct tree *t = tree_at(d, "spec.secretTargetRef") ? tree_at(d, "spec.secretTargetRef")->first
                                                                       : NULL;
             t; t = t->next) {
            const char *name = tree_string(tree_get(t, "parameter")), *key = tree_string(tree_get(t, "key"));
            const char *value = "secret";

            for (const struct tree *s = documents->first; s && key; s = s->next)
                if (tree_string(tree_get(tree_get(s, "stringData"), key)))
                    value = tree_string(tree_get(tree_get(s, "stringData"), key));
            assert_non_null(name);
            text_printf(&json, "%s\"%s\":", comma, name);
            text_add_json_string(&json, value, strlen(value));
            comma = ",";
        }
    text_add_char(&json, '}');
    if (*comma)
        assert_true(tree_read_json(json.bytes, json.length, false, arena, &map, NULL));
    text_done(&json);
    return map;
}

/* As it stands on the page. */
static bool read_example(const struct trigger_driver *driver, struct example *out)
{
    struct tree *documents = NULL, *credential;
    const struct tree *trigger;
    struct text page;
    struct error err = {.text = ""};
    const char *begin, *end;

    text_init(&page, 256 * 1024);
    assert_true(trigger_describe(driver->type, true, &page));
    begin = strstr(page.bytes, "```yaml\n");
    assert_non_null(begin);
    begin += strlen("```yaml\n");
    end = strstr(begin, "```\n");
    assert_non_null(end);
    if (!tree_read_yaml(driver->type, begin, (size_t)(end - begin), out->arena, &documents, &err))
        return fault("%s: the example is no YAML: %s", driver->type, err.text);
    trigger = tree_at(documents, "0.triggers.0");
    if (!trigger || !string_equal(tree_string(tree_get(trigger, "type")), driver->type))
        return fault("%s: the example has another type, or none", driver->type);
    out->metadata = tree_get(trigger, "metadata");
    out->metric_type = tree_get(trigger, "metricType");
    credential = supplied(documents, out->arena);
    out->credential = credential ? credential_from_tree(credential) : NULL;
    if (tree_get(trigger, "authenticationRef") && !out->credential)
        fault("%s: what its authenticationRef supplies is not shown", driver->type);
    text_done(&page);
    return true;
}

static const char *variable(void *arg, const char *name)
{
    (void)arg, (void)name;
    return "value";
}

/* Not what an example could do without. */
static bool is_about_the_type(const struct finding *f)
{
    return f->severity != FINDING_ERROR && strstr(f->text, "KEDA has announced");
}

static void builds_without_findings(const struct trigger_driver *driver)
{
    static const struct target_key target = {"default", "apps/v1", "Deployment", "web"};
    struct example example = {.arena = arena_new(ARENA_USUAL)};
    struct report *report = report_new();
    struct trigger_metric metric;
    struct trigger *trigger;
    bool built;

    if (!read_example(driver, &example))
        return;
    struct trigger_input input = {.type = driver->type,
                                  .metadata = example.metadata,
                                  .credential = example.credential,
                                  .env = variable,
                                  .metric_type = example.metric_type ? tree_string(example.metric_type) : NULL,
                                  .ns = "default",
                                  .object_name = "web",
                                  .target = &target,
                                  .interval_ms = 30000,
                                  .object = "ScaledObject default/web",
                                  .field = "spec.triggers[0]"};
    built = trigger_build(NULL, &input, report, &trigger, &metric);
    for (size_t i = 0; i < report_count(report); i++)
        if (!is_about_the_type(report_at(report, i)))
            fault("%s: its example gives %s: %s", driver->type, report_at(report, i)->field,
                  report_at(report, i)->text);
    if (built) {
        trigger_metric_done(&metric);
        trigger_unref(trigger);
    }
    credential_unref(example.credential);
    report_free(report);
    arena_free(example.arena);
}

static void says_all_of_itself(const struct trigger_driver *driver)
{
    if (!driver->about || strlen(driver->about) < 20)
        fault("%s does not say what its value means (.about)", driver->type);
    if (!driver->example || strlen(driver->example) < 10)
        fault("%s has no example (.example)", driver->type);
    if (!driver->locally || strlen(driver->locally) < 10)
        fault("%s does not say how to try it on one machine (.locally)", driver->type);
}

static void examples(void **state)
{
    (void)state;
    faults = 0;
    for (size_t i = 0; i < trigger_driver_count; i++) {
        says_all_of_itself(trigger_drivers[i]);
        if (trigger_drivers[i]->example)
            builds_without_findings(trigger_drivers[i]);
    }
    assert_int_equal(faults, 0);
}

/* Is the type asked for in a test against servers: "redis", 'redis', type: redis? */
static bool is_asked(const char *source, const char *type)
{
    char pattern[300], command[1000];

    snprintf(pattern, sizeof(pattern), "(type: *|[\"'])%s([\"',} ]|\\\\n|$)", type);
    setenv("PATTERN", pattern, 1);
    snprintf(command, sizeof(command),
             "cd '%s/test' && grep -rqE -e \"$PATTERN\" --include='*.py' --include='*.yaml' servers server cluster e2e "
             "field",
             source);
    return system(command) == 0;
}

static bool is_recorded(const char *source, const char *type)
{
    char command[1000];

    snprintf(command, sizeof(command), "ls '%s'/test/exchange/%s/*.txt >/dev/null 2>&1", source, type);
    return system(command) == 0;
}

/* The table of describe.c says what is so. */
static void tests_are_there(void **state)
{
    const char *source = getenv("WEIR_SOURCE_DIR");

    (void)state;
    faults = 0;
    for (size_t i = 0; source && i < trigger_driver_count; i++) {
        const char *type = trigger_drivers[i]->type;

        if (trigger_tested(type) != TESTED_RECORDED && !is_asked(source, type))
            fault("%s is said to be tested against a server, and no test names it", type);
        if (trigger_tested(type) == TESTED_RECORDED && !is_recorded(source, type))
            fault("%s has neither a server to be tested against nor recorded conversations", type);
    }
    assert_int_equal(faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(tests_are_there)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

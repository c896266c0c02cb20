/*
 * describe: a driver in words, for `weir triggers TYPE` and docs/triggers/TYPE.md: what its value means, an example, its parameter table, how to
 * try it on one machine, and what it was tested against.
 */
#include <stdio.h>
#include <string.h>

#include "trigger/trigger_internal.h"

enum { EXAMPLE_MAX_BYTES = 4096 };

static const char *kind_words(const struct param *param)
{
    switch (param->kind) {
    case PARAM_KIND_NUMBER:
        return "number";
    case PARAM_KIND_WHOLE:
    case PARAM_KIND_INTEGER:
        return "whole number";
    case PARAM_KIND_BOOL:
    case PARAM_KIND_SWITCH:
        return "true or false";
    case PARAM_KIND_DURATION:
        return "duration, or milliseconds";
    case PARAM_KIND_SPAN:
        return "duration";
    case PARAM_KIND_CHOICE:
        return "word";
    case PARAM_KIND_LIST:
        return "list";
    case PARAM_KIND_MAP:
        return "name=value list";
    case PARAM_KIND_URL:
        return "URL";
    case PARAM_KIND_SECRET:
        return "secret";
    default:
        return "text";
    }
}

/* "metadata, environment, authentication": where it is looked for, in this order. */
static void write_places(const struct param *param, struct text *out)
{
    for (const char *map = param->from ? param->from : "M"; *map; map++)
        text_printf(out, "%s%s", map == (param->from ? param->from : map) ? "" : ", ",
                    *map == 'M'   ? "metadata"
                    : *map == 'E' ? "environment"
                                  : "authentication");
}

/* In a table cell '|' would begin the next one. */
static void write_cell(const char *string, bool markdown, struct text *out)
{
    for (const char *c = string ? string : ""; *c; c++) {
        if (*c == '|' && markdown)
            text_add_char(out, '\\');
        text_add_char(out, *c);
    }
}

static const char *standing(const struct param *param)
{
    return param->required ? "required" : param->fallback ? param->fallback : "";
}

static void write_param(const struct param *param, bool markdown, struct text *out)
{
    text_printf(out, markdown ? "| `%s`" : "  %s", param->name);
    if (param->aliases)
        text_printf(out, " (or %s)", param->aliases);
    text_add(out, markdown ? " | " : "\n      ");
    text_add(out, kind_words(param));
    text_add(out, markdown ? " | " : ", from ");
    write_places(param, out);
    text_add(out, markdown ? " | " : *standing(param) ? param->required ? ", " : ", default " : "");
    text_add(out, standing(param));
    text_add(out, markdown ? " | " : "\n      ");
    write_cell(param->help, markdown, out);
    if (param->choices && param->kind == PARAM_KIND_CHOICE && !strstr(param->help ? param->help : "", param->choices))
        text_printf(out, " (%s)", param->choices);
    text_add(out, markdown ? " |\n" : "\n");
}

static void write_table(const struct param *params, bool markdown, struct text *out)
{
    for (const struct param *p = params; p->name; p++) {
        if (p->hidden)
            continue;
        if (p->kind == PARAM_KIND_BLOCK)
            write_table(p->block->params, markdown, out);
        else if (p->kind != PARAM_KIND_REMOVED && p->kind != PARAM_KIND_IGNORED)
            write_param(p, markdown, out);
    }
}

static void write_without_effect(const struct param *params, bool markdown, struct text *out)
{
    for (const struct param *p = params; p->name; p++)
        if (p->kind == PARAM_KIND_REMOVED || p->kind == PARAM_KIND_IGNORED)
            text_printf(out, markdown ? "\n`%s` %s: %s.\n" : "\n  %s %s: %s\n", p->name,
                        p->kind == PARAM_KIND_REMOVED ? "was removed" : "has no effect", p->help);
}

/* ------------------------------------------------------------------ the example */

static void add_lines(const char *lines, const char *before, struct text *out)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");

        if (length > 0)
            text_add(out, before);
        text_append(out, lines, length);
        text_add_char(out, '\n');
        lines += length + (lines[length] == '\n');
    }
}

/* A line of the block's first level: "  password: secret". */
static bool is_member(const char *line)
{
    return string_starts(line, "  ") && line[2] != ' ' && line[2] != '#' && line[2] != '-' && strchr(line, ':');
}

/* The lines under "authentication:" as a TriggerAuthentication and the Secret it names. */
static void write_authentication(const char *type, const char *lines, struct text *out)
{
    text_printf(out,
                "---\napiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata:\n  name: %s\nspec:\n"
                "  secretTargetRef:\n",
                type);
    for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int length = is_member(line) ? (int)strcspn(line + 2, ":") : 0;

        if (length > 0)
            text_printf(out, "  - {parameter: %.*s, name: %s, key: %.*s}\n", length, line + 2, type, length, line + 2);
    }
    text_printf(out, "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\nstringData:\n", type);
    add_lines(lines, "", out);
}

/* "metadata:" with what belongs to the trigger, and perhaps "authentication:" with what it is given from elsewhere; or all of it, from "triggers:" on. */
static void write_example(const struct trigger_driver *driver, struct text *out)
{
    const char *example = driver->example, *authentication = strstr(example, "\nauthentication:");
    const char *lines = authentication ? strchr(authentication + 1, '\n') : NULL;
    char own[EXAMPLE_MAX_BYTES];

    if (string_starts(example, "triggers:")) {
        add_lines(example, "", out);
        return;
    }
    snprintf(own, sizeof(own), "%.*s", authentication ? (int)(authentication + 1 - example) : (int)strlen(example),
             example);
    text_printf(out, "triggers:\n- type: %s\n", driver->type);
    add_lines(own, "  ", out);
    if (!lines)
        return;
    text_printf(out, "  authenticationRef:\n    name: %s\n", driver->type);
    write_authentication(driver->type, lines + 1, out);
}

/* ------------------------------------------------------------------ how it is tested */

/* Not in the table: against recorded conversations alone, made from what its vendor documents. */
static const struct {
    const char *type;
    bool emulator; /* a stand-in that speaks the protocol, not the source itself */
} tested_with[] = {
    {"activemq", false},
    {"apache-kafka", false},
    {"artemis-queue", false},
    {"beanstalkd", false},
    {"cassandra", false},
    {"clickhouse", false},
    {"couchdb", true}, /* PouchDB */
    {"cpu", false},
    {"cron", false},
    {"elastic-forecast", true}, /* Elasticsearch without its machine learning: documents in the place of forecasts */
    {"elasticsearch", false},
    {"etcd", false},
    {"external", false},
    {"external-push", false},
    {"github-runner", true},
    {"graphite", false},
    {"inference", true}, /* examples/tools/inference-sim */
    {"influxdb", false},
    {"kafka", false},
    {"kubernetes-resource", false},
    {"kubernetes-workload", false},
    {"liiklus", true},
    {"loki", true}, /* Prometheus at the paths of Loki */
    {"memory", false},
    {"metrics-api", false},
    {"mongodb", true},
    {"mssql", true},
    {"mysql", false},
    {"nats-jetstream", false},
    {"nsq", false},
    {"opensearch", false},
    {"openstack-metric", false},
    {"openstack-swift", false},
    {"postgresql", false},
    {"prometheus", false},
    {"pulsar", false},
    {"rabbitmq", false},
    {"redis", false},
    {"redis-cluster", false},
    {"redis-cluster-streams", false},
    {"redis-sentinel", false},
    {"redis-sentinel-streams", false},
    {"redis-streams", false},
    {"selenium-grid", false},
    {"solr", false},
    {"temporal", false},
};

enum trigger_tested trigger_tested(const char *type)
{
    for (size_t i = 0; i < sizeof(tested_with) / sizeof(tested_with[0]); i++)
        if (strcmp(tested_with[i].type, type) == 0)
            return tested_with[i].emulator ? TESTED_EMULATOR : TESTED_REAL;
    return TESTED_RECORDED;
}

const char *trigger_tested_word(enum trigger_tested tested)
{
    static const char *const words[] = {"recorded", "emulator", "real"};

    return words[tested];
}

static const char *tested_sentence(const struct trigger_driver *driver)
{
    switch (trigger_tested(driver->type)) {
    case TESTED_REAL:
        return "Tested against the real thing.";
    case TESTED_EMULATOR:
        return "Tested against a stand-in that speaks its protocol.";
    case TESTED_RECORDED:
        break;
    }
    return "Tested against recorded conversations made from its documented interface: tell us where it differs.";
}

/* ------------------------------------------------------------------ the page */

static void write_places_note(bool markdown, struct text *out)
{
    text_add(out, markdown ? "*metadata* is `metadata.<parameter>` of the trigger; *environment* is "
                             "`metadata.<parameter>FromEnv`, which names a variable "
                             "of the scale target's\ncontainer; *authentication* is the TriggerAuthentication. They "
                             "are looked at in the order given.\n"
                           : "  environment: metadata.<parameter>FromEnv names a variable of the target's container; "
                             "authentication: the\n"
                             "  TriggerAuthentication. They are looked at in the order given.\n");
}

static void write_page(const struct trigger_driver *driver, struct text *out)
{
    text_printf(out,
                "# %s\n\n<!-- made from the driver in src/trigger/source/ by tools/make-docs -->\n\nScales on %s.\n",
                driver->type, driver->summary);
    if (driver->about)
        text_printf(out, "\n%s\n", driver->about);
    if (driver->example) {
        text_add(out, "\n```yaml\n");
        write_example(driver, out);
        text_add(out, "```\n");
    }
    text_add(out, "\n| parameter | type | from | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    write_table(driver->params, true, out);
    write_without_effect(driver->params, true, out);
    text_add_char(out, '\n');
    write_places_note(true, out);
    if (driver->locally) {
        text_add(out, "\n## On one machine\n\n```sh\n");
        add_lines(driver->locally, "", out);
        text_add(out, "```\n");
    }
    text_printf(out, "\n%s\n", tested_sentence(driver));
}

static void write_plain(const struct trigger_driver *driver, struct text *out)
{
    text_printf(out, "%s: %s\n\n", driver->type, driver->summary);
    if (driver->about)
        text_printf(out, "%s\n\n", driver->about);
    write_table(driver->params, false, out);
    write_without_effect(driver->params, false, out);
    text_add_char(out, '\n');
    write_places_note(false, out);
    if (driver->example) {
        text_add(out, "\nexample:\n\n");
        write_example(driver, out);
    }
    if (driver->locally) {
        text_add(out, "\non one machine:\n\n");
        add_lines(driver->locally, "  ", out);
    }
    text_printf(out, "\n%s\n", tested_sentence(driver));
}

bool trigger_describe(const char *type, bool markdown, struct text *out)
{
    const struct trigger_driver *driver = trigger_driver_find(type);

    if (!driver)
        return false;
    if (markdown)
        write_page(driver, out);
    else
        write_plain(driver, out);
    return true;
}

void trigger_describe_all(struct text *out)
{
    size_t count;
    const char *const *types = trigger_types(&count);

    text_add(out, "| type | scales on | tested |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        const struct trigger_driver *driver = trigger_driver_find(types[i]);

        if (!driver)
            continue;
        text_printf(out, "| [`%s`](triggers/%s.md) | ", driver->type, driver->type);
        write_cell(driver->summary, true, out);
        text_printf(out, " | %s |\n", trigger_tested_word(trigger_tested(driver->type)));
    }
}

/*
 * describe: a driver's parameter table in words, for `weir triggers TYPE` and docs/triggers/TYPE.md.
 */
#include <string.h>

#include "trigger/trigger_internal.h"

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

static void write_example(const struct trigger_driver *driver, struct text *out)
{
    text_printf(out, "triggers:\n- type: %s\n", driver->type);
    if (driver->resource)
        text_add(out, "  metricType: Utilization\n");
    text_add(out, "  metadata:\n");
    for (const struct param *p = driver->params; p->name; p++)
        if (p->required || (p->role == ROLE_TARGET && p == driver->params))
            text_printf(out, "    %s: \"...\"\n", p->name);
}

bool trigger_describe(const char *type, bool markdown, struct text *out)
{
    const struct trigger_driver *driver = trigger_driver_find(type);

    if (!driver)
        return false;
    if (markdown) {
        text_printf(out,
                    "# %s\n\n<!-- made from the table of its parameters in src/trigger/source/, see "
                    "test/unit/trigger/test_params.c -->\n\n",
                    type);
        text_printf(out, "Scales on %s.\n\n```yaml\n", driver->summary);
        write_example(driver, out);
        text_add(out, "```\n\n| parameter | type | from | default | meaning |\n| --- | --- | --- | --- | --- |\n");
    } else {
        text_printf(out, "%s: %s\n\n", type, driver->summary);
    }
    write_table(driver->params, markdown, out);
    write_without_effect(driver->params, markdown, out);
    text_add(out, "\n");
    text_add(out, markdown ? "*metadata* is `metadata.<parameter>` of the trigger; *environment* is "
                             "`metadata.<parameter>FromEnv`, which names a variable "
                             "of the scale target's\ncontainer; *authentication* is the TriggerAuthentication. They "
                             "are looked at in the order given.\n"
                           : "  environment: metadata.<parameter>FromEnv names a variable of the target's container; "
                             "authentication: the\n"
                             "  TriggerAuthentication. They are looked at in the order given.\n");
    return true;
}

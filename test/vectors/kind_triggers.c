/*
 * triggers: metadata -> accepted or refused, and what was understood. Cases of a type that is not built in are skipped, and said to be.
 */
#include <math.h>
#include <stdio.h>

#include "base/quantity.h"
#include "trigger_case.h"

static bool same_number(double a, double b)
{
    return fabs(a - b) <= 0.0005 + fabs(b) * 1e-12;
}

/* ------------------------------------------------------------------ params */

static const struct param *find_param(const struct param *params, const void **config, const char *name)
{
    for (const struct param *p = params; p->name; p++) {
        const void *inner;
        const struct param *found;

        if (p->kind == PARAM_KIND_BLOCK) {
            memcpy(&inner, (const char *)*config + p->offset, sizeof(inner));
            found = find_param(p->block->params, &inner, name);
            if (found) {
                *config = inner; /* NULL: the block is off */
                return found;
            }
        } else if (strcmp(p->name, name) == 0 || (p->aliases && strstr(p->aliases, name))) {
            return p;
        }
    }
    return NULL;
}

static bool same_list(const struct param_list *list, const struct tree *expected)
{
    if (tree_count(expected) != (list ? list->count : 0))
        return false;
    for (size_t i = 0; list && i < list->count; i++)
        if (!string_equal(list->items[i], tree_string(tree_index(expected, i))))
            return false;
    return true;
}

static bool same_map(const struct param_map *map, const struct tree *expected)
{
    if (!map || tree_count(expected) != map->count)
        return false;
    for (size_t i = 0; i < map->count; i++)
        if (!string_equal(map->pairs[i].value, tree_string(tree_get(expected, map->pairs[i].key))))
            return false;
    return true;
}

/* name=value&name=value, which the original takes apart: {"name": ["value"]}; in these cases without escapes. */
static bool same_query(const char *text, const struct tree *expected)
{
    struct text query;
    bool same;

    text_init(&query, 64 * 1024);
    for (const struct tree *name = expected->first; name; name = name->next)
        for (const struct tree *value = name->first; value; value = value->next)
            text_printf(&query, "%s%s=%s", query.length > 0 ? "&" : "", name->key, value->text);
    same = string_equal(text, query.bytes);
    text_done(&query);
    return same;
}

static bool same_choice(const struct param *param, int index, const char *expected)
{
    const char *words = param->choices;

    for (; index > 0 && words; index--)
        words = strchr(words, ',') ? strchr(words, ',') + 1 : NULL;
    return words && expected && strlen(expected) == strcspn(words, ",") &&
           strncmp(words, expected, strlen(expected)) == 0;
}

static bool same_param(const struct param *param, const void *config, const struct tree *expected)
{
    const void *field = (const char *)config + param->offset;
    double number = 0;
    bool truth = false;

    switch (param->kind) {
    case PARAM_KIND_TEXT:
    case PARAM_KIND_URL:
        return expected->type == TREE_MAP ? same_query(*(const char *const *)field, expected)
                                          : string_equal(*(const char *const *)field, tree_string(expected));
    case PARAM_KIND_SECRET:
        return *(struct secret *const *)field &&
               string_equal(secret_reveal(*(struct secret *const *)field), tree_string(expected));
    case PARAM_KIND_NUMBER:
    case PARAM_KIND_WHOLE:
        return tree_number(expected, &number) && same_number(*(const double *)field, number);
    case PARAM_KIND_INTEGER:
        return tree_number(expected, &number) && same_number((double)*(const int64_t *)field, number);
    case PARAM_KIND_BOOL:
        return tree_bool(expected, &truth) && *(const bool *)field == truth;
    case PARAM_KIND_SWITCH: /* unset: the original has its default there */
        return *(const enum param_switch *)field == SWITCH_UNSET ||
               (tree_bool(expected, &truth) && (*(const enum param_switch *)field == SWITCH_TRUE) == truth);
    case PARAM_KIND_DURATION:
    case PARAM_KIND_SPAN:
        return tree_number(tree_get(expected, "ms"), &number) && same_number((double)*(const int64_t *)field, number);
    case PARAM_KIND_CHOICE:
        return same_choice(param, *(const int *)field, tree_string(expected));
    case PARAM_KIND_LIST:
        return same_list(*(const struct param_list *const *)field, expected);
    case PARAM_KIND_MAP:
        return same_map(*(const struct param_map *const *)field, expected);
    default:
        return true;
    }
}

/* What the original rewrites: redis joins hosts and ports into addresses, postgresql composes a connection from its parts,
   apache-kafka counts out ranges of partitions, cassandra puts host and port together, mysql takes the database out of its connection
   string. */
static bool rewritten(const struct trigger_case *c, const char *name)
{
    const struct tree *m = c->input.metadata;

    if (strcmp(c->input.type, "apache-kafka") == 0 && strcmp(name, "partitionLimitation") == 0)
        return true;
    if (strcmp(c->input.type, "cassandra") == 0 && strcmp(name, "clusterIPAddress") == 0)
        return true;
    if (strcmp(c->input.type, "mysql") == 0 && strcmp(name, "dbName") == 0)
        return credential_get(c->credential, "connectionString") || tree_get(m, "connectionStringFromEnv");
    if (strncmp(c->input.type, "redis", 5) == 0 && strcmp(name, "address") == 0)
        return tree_get(m, "host") || tree_get(m, "hosts") || tree_get(m, "hostFromEnv") ||
               credential_get(c->credential, "host") || credential_get(c->credential, "hosts") ||
               tree_get(m, "hostsFromEnv");
    return strcmp(c->input.type, "postgresql") == 0 && strcmp(name, "connection") == 0 &&
           (c->credential || !tree_get(m, "connectionFromEnv")) && !credential_get(c->credential, "connection");
}

static bool params_agree(const struct trigger_case *c, const struct tree *expected, struct vector_result *result)
{
    for (const struct tree *node = expected ? expected->first : NULL; node; node = node->next) {
        const void *config = trigger_config_of(c->trigger);
        const struct param *param = find_param(trigger_driver_of(c->trigger)->params, &config, node->key);

        if (!param || !config || rewritten(c, node->key) || same_param(param, config, node))
            continue;
        text_printf(&result->expected, "param %s ", node->key);
        tree_write_json(node, &result->expected);
        text_printf(&result->got, "another value of %s", node->key);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ metrics */

/* KEDA publishes a target below 0 as 0, unless it is a whole number by its type (_common.md 3); here policy refuses both. */
static double published_target(const struct trigger *trigger, const struct trigger_metric *metric)
{
    for (const struct param *p = trigger_driver_of(trigger)->params; p->name && metric->target < 0; p++)
        if (p->role == ROLE_TARGET && p->kind == PARAM_KIND_NUMBER)
            return 0;
    return metric->target;
}

static const char *target_type_name(enum target_type type)
{
    return type == TARGET_AVERAGE_VALUE ? "AverageValue" : type == TARGET_VALUE ? "Value" : "Utilization";
}

static bool metric_agrees(const struct trigger *trigger, const struct trigger_metric *metric,
                          const struct tree *expected, struct vector_result *result)
{
    const char *name = tree_string(tree_get(expected, "name")), *resource = tree_string(tree_get(expected, "resource"));
    const char *target = tree_string(tree_get(expected, "target"));
    double number = 0;
    bool good = string_equal(target_type_name(metric->target_type), tree_string(tree_get(expected, "targetType")));

    good = good && (!target ||
                    (quantity_parse_double(target, &number) && same_number(published_target(trigger, metric), number)));
    if (resource)
        good = good && metric->kind == (strcmp(resource, "cpu") == 0 ? METRIC_CPU : METRIC_MEMORY) &&
               string_equal(metric->container, tree_string(tree_get(expected, "container")));
    else
        good = good && metric->kind == METRIC_EXTERNAL && string_equal(metric->name, name);
    if (!good) {
        tree_write_json(expected, &result->expected);
        text_printf(&result->got, "%s %s target %g container %s", metric->name, target_type_name(metric->target_type),
                    published_target(trigger, metric), metric->container ? metric->container : "-");
    }
    return good;
}

/* Each metric of a trigger with several is built as a trigger of its own. */
static bool metrics_agree(const struct trigger_case *c, const struct tree *in, const struct tree *expected,
                          struct vector_result *result)
{
    size_t count = trigger_metrics(c->input.type, c->input.metadata);
    bool good = true;

    if (expected && tree_count(expected) != count) {
        text_printf(&result->expected, "%zu metrics", tree_count(expected));
        text_printf(&result->got, "%zu", count);
        return false;
    }
    for (size_t i = 0; expected && i < count && good; i++) {
        struct trigger_case one;

        case_build_metric(&one, in, c->input.type, false, NULL, i);
        good = one.built && metric_agrees(one.trigger, &one.metric, tree_index(expected, i), result);
        case_done(&one);
    }
    return good;
}

static enum vector_outcome compare(const struct trigger_case *c, const struct tree *in, const struct tree *expect,
                                   struct vector_result *result)
{
    bool error = case_bool(expect, "error");

    if (error != !c->built && !(case_bool(expect, "buildError") && !c->built)) {
        text_add(&result->expected, error ? "an error" : "no error");
        text_add(&result->got, c->built ? "no error" : case_error(c));
        return VECTOR_FAILED;
    }
    if (!c->built)
        return VECTOR_PASSED;
    if (!params_agree(c, tree_get(expect, "params"), result))
        return VECTOR_FAILED;
    return metrics_agree(c, in, tree_get(expect, "metrics"), result) ? VECTOR_PASSED : VECTOR_FAILED;
}

enum vector_outcome vector_triggers(const struct tree *vector, const char *path, struct vector_result *result)
{
    const char *type = tree_string(tree_get(vector, "type"));
    struct trigger_case c;
    enum vector_outcome outcome;

    (void)path;
    if (!trigger_driver_find(type)) {
        text_add(&result->expected, "an answer");
        text_printf(&result->got, "trigger type %s is not built in", type ? type : "");
        return type && trigger_support(type) == TRIGGER_KNOWN ? VECTOR_SKIPPED : VECTOR_FAILED;
    }
    case_build(&c, tree_get(vector, "in"), type, false, NULL);
    outcome = compare(&c, tree_get(vector, "in"), tree_get(vector, "expect"), result);
    case_done(&c);
    return outcome;
}

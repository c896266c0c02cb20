/*
 * cpu, memory: a target for what the platform measures itself. They are never asked; decide() compares the usage of the
 * pods. Facts: triggers/cpu.md, memory.md.
 *
 * metricType says what `value` is: a percentage of the request (Utilization), or a quantity (AverageValue).
 */
#include <string.h>

#include "base/quantity.h"
#include "base/text.h"
#include "trigger/driver.h"

struct resource {
    struct trigger_config common; /* the target is worked out by prepare() */
    const char *value, *container;
};

#define PARAM_STRUCT struct resource
static const struct param params[] = {
    {"value", PARAM_TEXT(value), .required = true,
     .help = "Utilization: percent of the request, such as \"60\"; AverageValue: a quantity, such as \"500m\" or "
             "\"512Mi\""},
    {"containerName", PARAM_TEXT(container), .help = "count only this container of each pod"},
    {"type", PARAM_REMOVED("write metricType: Utilization or metricType: AverageValue beside type, outside metadata")},
    {0},
};
#undef PARAM_STRUCT

/* As Go's ParseInt: a sign of either kind, then digits, within int32. */
static bool parse_percent(const char *text, double *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    int64_t value = 0;

    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return false;
    for (; *digits; digits++) {
        value = value * 10 + (*digits - '0');
        if (value > (int64_t)INT32_MAX + (*text == '-'))
            return false;
    }
    *out = (double)(*text == '-' ? -value : value);
    return true;
}

static bool prepare(void *config, struct trigger_check *check)
{
    struct resource *c = config;
    const char *type = check_input(check)->metric_type;
    int64_t milli;

    if (!c->value || !type)
        return true; /* said already */
    if (strcmp(type, "Utilization") == 0 && !parse_percent(c->value, &c->common.target))
        return check_error(check, "value", "write the percentage alone, such as \"60\"",
                           "value: with Utilization it is a whole number of percent");
    if (strcmp(type, "AverageValue") == 0) {
        if (!quantity_parse_milli(c->value, &milli))
            return check_error(
                check, "value",
                "write a quantity such as \"500m\" or \"512Mi\"; a percentage needs metricType: Utilization",
                "value: with AverageValue it is a quantity");
        c->common.target = (double)milli / 1000;
    }
    return true;
}

static void target(const void *config, struct trigger_metric *metric)
{
    const struct resource *c = config;

    metric->target = c->common.target;
    metric->container = c->container;
}

static void cpu_target(const void *config, struct trigger_metric *metric)
{
    target(config, metric);
    metric->kind = METRIC_CPU;
}

static void memory_target(const void *config, struct trigger_metric *metric)
{
    target(config, metric);
    metric->kind = METRIC_MEMORY;
}

TRIGGER(cpu) = {
    .type = "cpu",
    .summary = "CPU usage of the replicas, measured by the platform",
    .about = "The mean CPU usage of the replicas: with metricType Utilization in percent of what they request, with "
             "AverageValue in cores. It is "
             "not asked but measured, in a cluster by metrics.k8s.io. There is no value where that is not known for "
             "any replica. An object with "
             "no other triggers cannot go to zero: nothing would wake it.",
    .example = "metricType: Utilization\n"
               "metadata:\n"
               "  value: \"60\"\n",
    .locally = "weir run worker.yaml      # a Deployment with a command, resources.requests.cpu, and the ScaledObject\n"
               "weir explain worker\n",
    .metric = "cpu",
    .params = params,
    .config_size = sizeof(struct resource),
    .resource = true,
    .prepare = prepare,
    .target = cpu_target,
};

TRIGGER(memory) = {
    .type = "memory",
    .summary = "memory usage of the replicas, measured by the platform",
    .about = "The mean memory usage of the replicas: with metricType Utilization in percent of what they request, with "
             "AverageValue in bytes. It "
             "is not asked but measured, in a cluster by metrics.k8s.io. There is no value where that is not known for "
             "any replica. An object "
             "with no other triggers cannot go to zero.",
    .example = "metricType: AverageValue\n"
               "metadata:\n"
               "  value: 500Mi\n",
    .locally = "weir run worker.yaml      # a Deployment with a command and the ScaledObject\n"
               "weir explain worker\n",
    .metric = "memory",
    .params = params,
    .config_size = sizeof(struct resource),
    .resource = true,
    .prepare = prepare,
    .target = memory_target,
};

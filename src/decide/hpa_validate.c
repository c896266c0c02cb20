/*
 * hpa_validate: `behavior` as people write it, its defaults, and what the API server refuses in a
 * HorizontalPodAutoscaler (hpa-algorithm.md 12 and 13). A null in JSON counts as absent, as in Go.
 */
#include "decide/hpa_object.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "base/text.h"
#include "base/tree.h"

enum { PATH_MAX_BYTES = 200, WINDOW_MAX_S = 3600, PERIOD_MAX_S = 1800 };

struct validation {
    hpa_found *found;
    void *arg;
};

const char *hpa_finding_name(enum hpa_finding_kind kind)
{
    static const char *const names[] = {"Required", "Invalid", "NotSupported", "Forbidden"};

    return names[kind];
}

/* ------------------------------------------------------------------ reading */

static const struct tree *member(const struct tree *map, const char *key)
{
    const struct tree *node = tree_get(map, key);

    return node && node->type != TREE_NULL ? node : NULL;
}

static const char *text_of(const struct tree *map, const char *key)
{
    const char *string = tree_string(member(map, key));

    return string ? string : "";
}

static int64_t integer_of(const struct tree *map, const char *key, int64_t unset)
{
    int64_t value;

    return tree_integer(member(map, key), &value) ? value : unset;
}

/* Quantities may be written as numbers too. */
static bool quantity_of(const struct tree *node, double *value)
{
    return node && node->text && quantity_parse_double(node->text, value);
}

static int32_t clamp32(int64_t value)
{
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

/* ------------------------------------------------------------------ defaults (12) */

void scaling_behavior_default(struct scaling_behavior *behavior)
{
    *behavior = (struct scaling_behavior){
        .up = {.select = SELECT_MAX, .tolerance = -1, .policy_count = 2, .policies = {{false, 4, 15}, {true, 100, 15}}},
        .down =
            {.select = SELECT_MAX, .window_s = -1, .tolerance = -1, .policy_count = 1, .policies = {{true, 100, 15}}},
    };
}

static bool read_policies(const struct tree *list, struct scaling_rules *out)
{
    if (!list)
        return true; /* the default ones stay; a list that is given replaces them */
    if (tree_count(list) > SCALING_POLICIES_MAX)
        return false;
    out->policy_count = 0;
    for (const struct tree *policy = list->first; policy; policy = policy->next)
        out->policies[out->policy_count++] =
            (struct scaling_policy){.percent = strcmp(text_of(policy, "type"), "Percent") == 0,
                                    .value = clamp32(integer_of(policy, "value", 0)),
                                    .period_s = clamp32(integer_of(policy, "periodSeconds", 0))};
    return true;
}

static bool read_direction(const struct tree *rules, struct scaling_rules *out)
{
    const char *select = text_of(rules, "selectPolicy");

    if (!rules)
        return true;
    if (member(rules, "selectPolicy")) /* any other word behaves as Max (9.3) */
        out->select = strcmp(select, "Min") == 0        ? SELECT_MIN
                      : strcmp(select, "Disabled") == 0 ? SELECT_DISABLED
                                                        : SELECT_MAX;
    out->window_s = clamp32(integer_of(rules, "stabilizationWindowSeconds", out->window_s));
    quantity_of(member(rules, "tolerance"), &out->tolerance);
    return read_policies(member(rules, "policies"), out);
}

bool scaling_behavior_read(const struct tree *behavior, struct scaling_behavior *out)
{
    struct scaling_behavior read;

    scaling_behavior_default(&read);
    if (!read_direction(member(behavior, "scaleUp"), &read.up) ||
        !read_direction(member(behavior, "scaleDown"), &read.down))
        return false;
    *out = read;
    return true;
}

/* ------------------------------------------------------------------ findings */

static void __attribute__((format(printf, 4, 5)))
find(const struct validation *v, enum hpa_finding_kind kind, const char *text, const char *format, ...)
{
    char path[PATH_MAX_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    v->found(v->arg, path, kind, text);
}

/* A place below another; what does not fit is cut, for it is shown to people only. */
static void __attribute__((format(printf, 2, 3))) place_below(char *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(out, PATH_MAX_BYTES, format, args);
    va_end(args);
}

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ behavior (13) */

static void validate_policy(const struct validation *v, const struct tree *policy, const char *path)
{
    static const char *const types[] = {"Pods", "Percent", NULL};
    int64_t period_s = integer_of(policy, "periodSeconds", 0);

    if (!one_of(text_of(policy, "type"), types))
        find(v, HPA_NOT_SUPPORTED, "use Pods or Percent", "%s.type", path);
    if (integer_of(policy, "value", 0) <= 0)
        find(v, HPA_INVALID, "give a number above 0", "%s.value", path);
    if (period_s < 1 || period_s > PERIOD_MAX_S)
        find(v, HPA_INVALID, "give 1 to 1800 seconds", "%s.periodSeconds", path);
}

static void validate_direction(const struct validation *v, const struct tree *rules, const char *path)
{
    static const char *const selects[] = {"Max", "Min", "Disabled", NULL};
    const struct tree *policies = member(rules, "policies");
    int64_t window_s = integer_of(rules, "stabilizationWindowSeconds", 0);
    double tolerance = 0;
    size_t index = 0;

    if (window_s < 0 || window_s > WINDOW_MAX_S)
        find(v, HPA_INVALID, "give 0 to 3600 seconds", "%s.stabilizationWindowSeconds", path);
    if (member(rules, "selectPolicy") && !one_of(text_of(rules, "selectPolicy"), selects))
        find(v, HPA_NOT_SUPPORTED, "use Max, Min or Disabled (case matters)", "%s.selectPolicy", path);
    if (policies && tree_count(policies) == 0)
        find(v, HPA_REQUIRED, "give at least one policy, or leave the list out for the defaults", "%s.policies", path);
    for (const struct tree *policy = policies ? policies->first : NULL; policy; policy = policy->next) {
        char place[PATH_MAX_BYTES];

        place_below(place, "%s.policies[%zu]", path, index++);
        validate_policy(v, policy, place);
    }
    if (member(rules, "tolerance") && (!quantity_of(member(rules, "tolerance"), &tolerance) || tolerance < 0))
        find(v, HPA_INVALID, "give a quantity of 0 or more, say \"0.05\" or \"50m\"", "%s.tolerance", path);
}

void hpa_validate_behavior(const struct tree *behavior, const char *prefix, hpa_found *found, void *arg)
{
    static const char *const directions[] = {"scaleUp", "scaleDown"};
    struct validation v = {found, arg};
    char path[PATH_MAX_BYTES];

    for (size_t i = 0; i < 2; i++) {
        const struct tree *rules = member(behavior, directions[i]);

        place_below(path, "%s.%s", prefix, directions[i]);
        if (rules)
            validate_direction(&v, rules, path);
    }
}

/* ------------------------------------------------------------------ metrics (13) */

/* A name that becomes one segment of an API path. */
static void validate_name(const struct validation *v, const char *name, const char *path)
{
    if (*name == '\0')
        find(v, HPA_REQUIRED, "a name is needed", "%s", path);
    else if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strpbrk(name, "/%"))
        find(v, HPA_INVALID, "a name may not be . or .. nor hold / or %", "%s", path);
}

static void validate_reference(const struct validation *v, const struct tree *reference, const char *path)
{
    const char *version = text_of(reference, "apiVersion");
    const char *slash = strchr(version, '/');
    char place[PATH_MAX_BYTES];

    place_below(place, "%s.kind", path);
    validate_name(v, text_of(reference, "kind"), place);
    place_below(place, "%s.name", path);
    validate_name(v, text_of(reference, "name"), place);
    if (slash && strchr(slash + 1, '/'))
        find(v, HPA_INVALID, "write group/version, e.g. apps/v1", "%s.apiVersion", path);
}

static void validate_metric_name(const struct validation *v, const struct tree *source, const char *path)
{
    char place[PATH_MAX_BYTES];

    place_below(place, "%s.metric.name", path);
    validate_name(v, text_of(member(source, "metric"), "name"), place);
}

static void validate_positive(const struct validation *v, const struct tree *target, const char *key, const char *path)
{
    double value;

    if (member(target, key) && (!quantity_of(member(target, key), &value) || value <= 0))
        find(v, HPA_INVALID, "give a quantity above 0", "%s.target.%s", path, key);
}

static const struct tree *validate_target(const struct validation *v, const struct tree *source, const char *path)
{
    static const char *const types[] = {"Utilization", "Value", "AverageValue", NULL};
    const struct tree *target = member(source, "target");
    const char *type = text_of(target, "type");

    if (*type == '\0')
        find(v, HPA_REQUIRED, "use Utilization, Value or AverageValue", "%s.target.type", path);
    if (!one_of(type, types))
        find(v, HPA_INVALID, "use Utilization, Value or AverageValue", "%s.target.type", path);
    validate_positive(v, target, "value", path);
    validate_positive(v, target, "averageValue", path);
    if (member(target, "averageUtilization") && integer_of(target, "averageUtilization", 0) < 1)
        find(v, HPA_INVALID, "give a percentage of 1 or more", "%s.target.averageUtilization", path);
    return target;
}

static void validate_object(const struct validation *v, const struct tree *source, const char *path)
{
    char place[PATH_MAX_BYTES];

    place_below(place, "%s.describedObject", path);
    validate_reference(v, member(source, "describedObject"), place);
    validate_metric_name(v, source, path);
    const struct tree *target = validate_target(v, source, path);
    if (!member(target, "value") && !member(target, "averageValue"))
        find(v, HPA_REQUIRED, "give value or averageValue", "%s.target.averageValue", path);
}

static void validate_external(const struct validation *v, const struct tree *source, const char *path)
{
    validate_metric_name(v, source, path);
    const struct tree *target = validate_target(v, source, path);
    if (!member(target, "value") && !member(target, "averageValue"))
        find(v, HPA_REQUIRED, "give value or averageValue", "%s.target.averageValue", path);
    if (member(target, "value") && member(target, "averageValue"))
        find(v, HPA_FORBIDDEN, "give either value or averageValue", "%s.target.value", path);
}

static void validate_pods(const struct validation *v, const struct tree *source, const char *path)
{
    validate_metric_name(v, source, path);
    if (!member(validate_target(v, source, path), "averageValue"))
        find(v, HPA_REQUIRED, "give averageValue", "%s.target.averageValue", path);
}

static void validate_resource(const struct validation *v, const struct tree *source, const char *path)
{
    if (*text_of(source, "name") == '\0')
        find(v, HPA_REQUIRED, "name the resource, e.g. cpu", "%s.name", path);
    const struct tree *target = validate_target(v, source, path);
    if (!member(target, "averageUtilization") && !member(target, "averageValue"))
        find(v, HPA_REQUIRED, "give averageUtilization or averageValue", "%s.target.averageUtilization", path);
    if (member(target, "averageUtilization") && member(target, "averageValue"))
        find(v, HPA_FORBIDDEN, "give either averageUtilization or averageValue", "%s.target.averageValue", path);
}

/* A DNS-1123 label: what a container is called. */
static bool is_label(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > 63 || name[0] == '-' || name[length - 1] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static void validate_container_resource(const struct validation *v, const struct tree *source, const char *path)
{
    static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", NULL};
    const char *name = text_of(source, "name"), *container = text_of(source, "container");

    if (*name && !one_of(name, standard) && strncmp(name, "hugepages-", 10) != 0 && !strchr(name, '/'))
        find(v, HPA_INVALID, "use cpu, memory, ephemeral-storage, hugepages-* or a name with a domain", "%s.name",
             path);
    if (*container == '\0')
        find(v, HPA_REQUIRED, "name the container", "%s.container", path);
    else if (!is_label(container))
        find(v, HPA_INVALID, "a container's name is lower-case letters, digits and dashes", "%s.container", path);
    validate_resource(v, source, path);
}

static const struct {
    const char *type, *source;
    void (*validate)(const struct validation *, const struct tree *, const char *);
} sources[] = {
    {"Object", "object", validate_object},
    {"External", "external", validate_external},
    {"Pods", "pods", validate_pods},
    {"Resource", "resource", validate_resource},
    {"ContainerResource", "containerResource", validate_container_resource},
};
enum { SOURCE_COUNT = sizeof(sources) / sizeof(sources[0]) };

static void validate_metric(const struct validation *v, const struct tree *metric, const char *path)
{
    const char *type = text_of(metric, "type");
    int expected = -1, present = 0;
    char place[PATH_MAX_BYTES];

    for (int i = 0; i < SOURCE_COUNT; i++) { /* only the first one that is there is looked into */
        const struct tree *source = member(metric, sources[i].source);

        place_below(place, "%s.%s", path, sources[i].source);
        if (source && present++ == 0)
            sources[i].validate(v, source, place);
        if (strcmp(type, sources[i].type) == 0)
            expected = i;
    }
    if (*type == '\0')
        find(v, HPA_REQUIRED, "say which kind of metric", "%s.type", path);
    if (expected < 0)
        find(v, HPA_NOT_SUPPORTED, "use Object, Pods, Resource, ContainerResource or External", "%s.type", path);
    else if (!member(metric, sources[expected].source))
        find(v, HPA_REQUIRED, "the member of the metric's type is needed", "%s.%s", path, sources[expected].source);
    for (int i = 0; i < SOURCE_COUNT && present != 1; i++)
        if (i != expected && member(metric, sources[i].source))
            find(v, HPA_FORBIDDEN, "only the member of the metric's type may be given", "%s.%s", path,
                 sources[i].source);
}

/* ------------------------------------------------------------------ the whole (13) */

static void validate_bounds(const struct validation *v, const struct tree *spec, bool zero_allowed)
{
    int64_t min = integer_of(spec, "minReplicas", 1), max = integer_of(spec, "maxReplicas", 0);

    if (min < (zero_allowed ? 0 : 1))
        find(v, HPA_INVALID, zero_allowed ? "give 0 or more" : "give 1 or more", "spec.minReplicas");
    if (max < 1)
        find(v, HPA_INVALID, "give 1 or more", "spec.maxReplicas");
    else if (max < min)
        find(v, HPA_INVALID, "maxReplicas may not be below minReplicas", "spec.maxReplicas");
}

void hpa_validate(const struct tree *spec, bool zero_allowed, hpa_found *found, void *arg)
{
    struct validation v = {found, arg};
    const struct tree *metrics = member(spec, "metrics");
    bool from_zero = false;
    size_t index = 0;

    validate_bounds(&v, spec, zero_allowed);
    validate_reference(&v, member(spec, "scaleTargetRef"), "spec.scaleTargetRef");
    for (const struct tree *metric = metrics ? metrics->first : NULL; metric; metric = metric->next) {
        char path[PATH_MAX_BYTES];

        place_below(path, "spec.metrics[%zu]", index++);
        validate_metric(&v, metric, path);
        from_zero |= strcmp(text_of(metric, "type"), "Object") == 0 || strcmp(text_of(metric, "type"), "External") == 0;
    }
    if (integer_of(spec, "minReplicas", 1) == 0 && !from_zero)
        find(&v, HPA_FORBIDDEN, "minReplicas 0 needs an Object or External metric", "spec.metrics");
    if (member(spec, "behavior"))
        hpa_validate_behavior(member(spec, "behavior"), "spec.behavior", found, arg);
}

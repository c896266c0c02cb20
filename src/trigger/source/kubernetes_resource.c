/*
 * kubernetes-resource: a number under one key of a ConfigMap or Secret of the object's namespace: the text itself, or a place in
 * the JSON or YAML that the text is. Facts: triggers/kubernetes-resource.md.
 *
 * The platform has watched both kinds since the first poll asked, so a poll costs nothing. On one machine the same objects come from
 * the files that Weir runs. A resource or key that is not there is a failure, never 0.
 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/quantity.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/dotpath.h"
#include "trigger/common/gjson.h"
#include "trigger/driver.h"

enum kind { KIND_CONFIG_MAP, KIND_SECRET };
enum format { FORMAT_NUMBER, FORMAT_JSON, FORMAT_YAML };
enum value_type { VALUE_FLOAT, VALUE_INTEGER, VALUE_QUANTITY };

struct resource {
    struct trigger_config common;
    const char *name, *key, *location;
    int kind, format, type;
};

#define PARAM_STRUCT struct resource
static const struct param params[] = {
    {"resourceKind", PARAM_CHOICE(kind, "ConfigMap,Secret"), .required = true, .help = "ConfigMap or Secret"},
    {"resourceName", PARAM_TEXT(name), .required = true, .help = "in the object's own namespace"},
    {"key", PARAM_TEXT(key), .required = true, .help = "of its data"},
    {"format", PARAM_CHOICE(format, "number,json,yaml"), .fallback = "number",
     .help = "of the text: number, json, yaml"},
    {"valueLocation", PARAM_TEXT(location), .help = "json: GJSON path, yaml: dotted path to the number"},
    {"valueType", PARAM_CHOICE(type, "float64,int64,quantity"), .fallback = "float64",
     .help = "float64, int64 (the fraction is cut), quantity (500m, 2Ki)"},
    {"targetValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET, .required = true,
     .help = "value one replica should carry"},
    {"activationTargetValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {0},
};
#undef PARAM_STRUCT

static bool prepare(void *config, struct trigger_check *check)
{
    struct resource *c = config;
    bool good = true;

    if (c->common.target <= 0 && !check_input(check)->as_metric_source)
        good =
            check_error(check, "targetValue", "write a number greater than 0", "targetValue has to be greater than 0");
    if (c->format == FORMAT_NUMBER && c->location)
        good = check_error(check, "valueLocation", "leave it out, or write format: json or format: yaml",
                           "valueLocation is for json and yaml");
    if (c->format != FORMAT_NUMBER && !c->location)
        good =
            check_error(check, "valueLocation", "write the path to the number", "json and yaml need a valueLocation");
    return good;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct resource *c = config;

    (void)input;
    text_printf(out, "%s-%s-%s", c->kind == KIND_SECRET ? "secret" : "configmap", c->name, c->key);
}

/* ------------------------------------------------------------------ numbers at the beginning of a text */

static size_t accept(const char *text, const char *one_of)
{
    return *text && strchr(one_of, *text) ? 1 : 0;
}

/* How much of the text is a number as Go's scanner takes it: digits with '_' between, fraction, exponent; NaN and Inf. */
static size_t float_length(const char *text)
{
    size_t n = accept(text, "+-");

    if (strncasecmp(text, "nan", 3) == 0)
        return 3;
    if (strncasecmp(text + n, "inf", 3) == 0)
        return n + 3;
    n += strspn(text + n, "0123456789_");
    if (text[n] == '.')
        n += 1 + strspn(text + n + 1, "0123456789_");
    if (text[n] == 'e' || text[n] == 'E') {
        n++;
        n += accept(text + n, "+-");
        n += strspn(text + n, "0123456789_");
    }
    return n;
}

static bool scan_float(const char *text, double *value)
{
    text += strspn(text, " \t");
    return strncasecmp(text, "0x", 2) != 0 && number_parse(text, float_length(text), value);
}

static bool scan_integer(const char *text, struct arena *arena, double *value)
{
    size_t sign, digits;
    struct tree number = {.type = TREE_NUMBER};
    int64_t whole;

    text += strspn(text, " \t");
    sign = accept(text, "+-");
    digits = strspn(text + sign, "0123456789");
    if (digits == 0)
        return false;
    number.text = arena_copy_bytes(arena, *text == '+' ? text + 1 : text, *text == '+' ? digits : sign + digits);
    number.length = strlen(number.text);
    if (!tree_integer(&number, &whole))
        return false;
    *value = (double)whole;
    return true;
}

static bool scan(const struct resource *c, const char *text, struct arena *arena, double *value)
{
    switch (c->type) {
    case VALUE_INTEGER:
        return scan_integer(text, arena, value);
    case VALUE_QUANTITY:
        return quantity_parse_double(text, value);
    default:
        return scan_float(text, value);
    }
}

/* ------------------------------------------------------------------ what the text says */

static enum poll_next unfit(const struct resource *c, struct poll *poll, const char *what)
{
    return poll_fail(poll, ERROR_NONSENSE, "key %s of %s %s %s", c->key,
                     c->kind == KIND_SECRET ? "Secret" : "ConfigMap", c->name, what);
}

static enum poll_next read_number(const struct resource *c, struct poll *poll, const char *text)
{
    double value;

    if (!scan(c, text, poll_arena(poll), &value))
        return unfit(c, poll, c->type == VALUE_QUANTITY ? "is not a quantity" : "does not begin with a number");
    return poll_value(poll, value);
}

static enum poll_next read_json(const struct resource *c, struct poll *poll, const char *text, size_t length)
{
    struct tree *root;
    const struct tree *node;
    double value;

    if (!tree_read_json(text, length, true, poll_arena(poll), &root, NULL))
        return unfit(c, poll, "is not JSON");
    node = gjson_get(root, c->location, poll_arena(poll));
    if (!node)
        return unfit(c, poll, "has nothing at valueLocation");
    if (node->type == TREE_NUMBER && tree_number(node, &value))
        return poll_value(poll, c->type == VALUE_INTEGER ? trunc(value) : value);
    if (node->type == TREE_STRING && c->type != VALUE_INTEGER && quantity_parse_double(tree_string(node), &value))
        return poll_value(poll, value);
    return unfit(c, poll, "has no number at valueLocation");
}

static enum poll_next read_yaml(const struct resource *c, struct poll *poll, const char *text, size_t length)
{
    struct tree *documents;
    const struct tree *node;
    double value;

    if (!tree_read_yaml("value", text, length, poll_arena(poll), &documents, NULL))
        return unfit(c, poll, "is not YAML");
    node = tree_index(documents, 0);
    if (!node || node->type != TREE_MAP)
        return unfit(c, poll, "is no YAML mapping");
    node = dotpath_get(node, c->location, poll_arena(poll));
    if (!node)
        return unfit(c, poll, "has nothing at valueLocation");
    if (node->type == TREE_NUMBER && tree_number(node, &value))
        return poll_value(poll, value);
    if (node->type == TREE_STRING &&
        (c->type == VALUE_QUANTITY ? quantity_parse_double(node->text, &value) : scan_float(node->text, &value)))
        return poll_value(poll, value);
    return unfit(c, poll, "has no number at valueLocation");
}

static enum poll_next look(const void *config, struct poll *poll)
{
    const struct resource *c = config;
    struct secret *data;
    enum poll_next next;
    struct error err;
    const char *text;
    size_t length;

    if (!poll_data(poll, c->kind == KIND_SECRET, c->name, c->key, &data, &err))
        return poll_fail_with(poll, &err);
    text = secret_reveal(data);
    length = secret_length(data);
    if (length == 0)
        next = unfit(c, poll, "is empty");
    else if (strlen(text) != length)
        next = unfit(c, poll, "holds a zero byte");
    else if (c->format == FORMAT_NUMBER)
        next = read_number(c, poll, text);
    else
        next = c->format == FORMAT_JSON ? read_json(c, poll, text, length) : read_yaml(c, poll, text, length);
    secret_unref(data);
    return next;
}

TRIGGER(kubernetes_resource) = {
    .type = "kubernetes-resource",
    .summary = "a number in a ConfigMap or Secret",
    .about = "The value is the number under a key of a ConfigMap or Secret of the object's own namespace, as it was at "
             "the time of the "
             "poll. A resource, key or path that is not there is a failure, never 0. A text in place of a number is "
             "read as far "
             "as it is one: `12abc` is 12, but for `quantity`.",
    .example = "triggers:\n"
               "  - type: kubernetes-resource\n"
               "    metadata:\n"
               "      resourceKind: ConfigMap\n"
               "      resourceName: planned\n"
               "      key: capacity.json\n"
               "      format: json\n"
               "      valueLocation: today.workers\n"
               "      targetValue: \"1\"\n",
    .locally = "# in the same file as the object:\n"
               "kind: ConfigMap\n"
               "apiVersion: v1\n"
               "metadata: {name: planned, namespace: default}\n"
               "data: {capacity.json: '{\"today\":{\"workers\":3}}'}\n"
               "# then:\n"
               "weir probe scaledobject.yaml\n",
    .params = params,
    .config_size = sizeof(struct resource),
    .scope = SCOPE_NAMESPACE,
    .prepare = prepare,
    .metric_name = metric_name,
    .read = look,
};

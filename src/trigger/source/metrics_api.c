/*
 * metrics-api: one number out of any HTTP answer: JSON, YAML, XML or the metrics page of Prometheus. Facts:
 * triggers/metrics-api.md.
 *
 * What valueLocation means depends on the format: a GJSON path, a dotted path (YAML, XML), or a metric selector
 * name{label="value"}. Text is read as a Kubernetes quantity ("500m" is 0.5). An answer without the number asked for is a
 * failure, never 0.
 */
#include <string.h>

#include "base/arena.h"
#include "base/quantity.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/dotpath.h"
#include "trigger/common/gjson.h"
#include "trigger/common/promtext.h"
#include "trigger/common/xmlpath.h"
#include "trigger/driver.h"

enum format { FORMAT_PROMETHEUS, FORMAT_JSON, FORMAT_XML, FORMAT_YAML };

struct metrics_api {
    struct trigger_config common;
    const char *url, *location;
    const struct http_auth *auth;
    int64_t timeout_ms;
    int format, aggregation;
    bool unsafe, aggregate;
};

#define PARAM_STRUCT struct metrics_api
static const struct param params[] = {
    {"url", PARAM_URL(url), .required = true, .help = "address of the API, such as http://api:8080/stats"},
    {"valueLocation", PARAM_TEXT(location), .required = true,
     .help =
         "where the number is: a GJSON path (json), a dotted path (yaml, xml), or name{label=\"value\"} (prometheus)"},
    {"targetValue", PARAM_NUMBER(common.target), .role = ROLE_TARGET,
     .help = "value one replica should carry; required unless a formula uses the trigger"},
    {"activationTargetValue", PARAM_NUMBER(common.activation), .role = ROLE_ACTIVATION, .fallback = "0",
     .help = "above it the object is active"},
    {"format", PARAM_CHOICE(format, "prometheus,json,xml,yaml"), .fallback = "json",
     .help = "of the answer: json, yaml, xml, prometheus"},
    {"unsafeSsl", PARAM_BOOL(unsafe), .fallback = "false", .help = "do not verify the server's certificate"},
    {"timeout", PARAM_DURATION(timeout_ms), .help = "of the whole request"},
    {"aggregateFromKubeServiceEndpoints", PARAM_BOOL(aggregate), .fallback = "false",
     .help = "ask every endpoint of the Service the URL names (needs a cluster)"},
    {"aggregationType", PARAM_CHOICE(aggregation, "average,sum,max,min"), .fallback = "average",
     .help = "over those endpoints"},
    {"authMode", PARAM_HTTP_AUTH(auth)},
    {0},
};
#undef PARAM_STRUCT

enum { MODES = HTTP_AUTH_API_KEY | HTTP_AUTH_BASIC | HTTP_AUTH_BEARER | HTTP_AUTH_TLS };

/* ------------------------------------------------------------------ json */

/* A number, or a text that is a quantity. */
static enum poll_next take_node(const struct metrics_api *c, struct poll *poll, const struct tree *node)
{
    double value;

    if (node && node->type == TREE_NUMBER && tree_number(node, &value))
        return poll_value(poll, value);
    if (!node)
        return poll_fail(poll, ERROR_NONSENSE, "the answer has nothing at %.100s", c->location);
    if (node->type == TREE_NUMBER)
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to a number too large to count with", c->location);
    if (node->type != TREE_STRING)
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to %s, not to a number", c->location,
                         tree_type_name(node->type));
    if (!quantity_parse_double(tree_string(node), &value))
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to a text that is not a quantity", c->location);
    return poll_value(poll, value);
}

static enum poll_next take_json(const struct metrics_api *c, struct poll *poll, const struct reply *reply)
{
    struct tree *root;
    struct error err;

    if (!tree_read_json(reply->body, reply->length, true, poll_arena(poll), &root, &err))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not JSON: %s",
                         reply->length > 0 ? err.text : "it is empty");
    return take_node(c, poll, gjson_get(root, c->location, poll_arena(poll)));
}

/* ------------------------------------------------------------------ yaml */

static bool beyond_int64(const struct tree *node)
{
    int64_t whole;

    return node && node->type == TREE_NUMBER && node->text[strspn(node->text, "+-0123456789")] == '\0' &&
           !tree_integer(node, &whole) && node->length > 18;
}

static enum poll_next take_yaml(const struct metrics_api *c, struct poll *poll, const struct reply *reply)
{
    struct tree *documents;
    const struct tree *node;
    struct error err;

    if (!tree_read_yaml("answer", reply->body, reply->length, poll_arena(poll), &documents, &err))
        return poll_fail(poll, ERROR_NONSENSE, "the answer is not YAML: %s", err.text);
    node = tree_index(documents, 0);
    if (!node || node->type != TREE_MAP)
        return poll_fail(poll, ERROR_NONSENSE, "the answer is no YAML mapping");
    node = dotpath_get(node, c->location, poll_arena(poll));
    if (beyond_int64(node))
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to a number beyond 64 bits", c->location);
    return take_node(c, poll, node);
}

/* ------------------------------------------------------------------ xml */

static enum poll_next take_xml(const struct metrics_api *c, struct poll *poll, const struct reply *reply)
{
    const char *text;
    double value;
    struct error err;

    if (!xmlpath_get(reply->body, reply->length, c->location, poll_arena(poll), &text, &err))
        return poll_fail_with(poll, &err);
    if (!quantity_parse_double(text, &value))
        return poll_fail(poll, ERROR_NONSENSE, "%.100s leads to a text that is not a quantity", c->location);
    return poll_value(poll, value);
}

/* ------------------------------------------------------------------ the metrics page */

struct wanted { /* the selector, and what was found */
    const char *name;
    size_t label_count;
    struct {
        const char *name, *value;
    } labels[PROMTEXT_LABELS_MAX];
    bool found, compound;
    double value;
};

static void skip_blanks(const char **s)
{
    *s += strspn(*s, " \t\r\n");
}

static const char *take_name(const char **s, const char *more, struct arena *arena)
{
    size_t length = strspn(*s, more);
    const char *name = **s >= '0' && **s <= '9' ? NULL : length > 0 ? arena_copy_bytes(arena, *s, length) : NULL;

    *s += length;
    return name;
}

/* A string of PromQL: in ", ' or `; only the first two know escapes. */
static const char *take_string(const char **s, struct arena *arena)
{
    char quote = **s, *out = arena_alloc(arena, strlen(*s) + 1);
    size_t length = 0;

    if (quote == '\0' || !strchr("\"'`", quote))
        return NULL;
    for (++*s; **s && **s != quote; ++*s) {
        if (**s == '\\' && quote != '`' && (*s)[1]) {
            ++*s;
            out[length++] = **s == 'n' ? '\n' : **s == 't' ? '\t' : **s == 'r' ? '\r' : **s;
        } else {
            out[length++] = **s;
        }
    }
    if (**s != quote)
        return NULL;
    ++*s;
    return out;
}

/* All four operators count as equality on the text, as in the original. */
static bool take_matcher(const char **s, struct wanted *w, struct arena *arena)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t n = w->label_count;

    if (n == PROMTEXT_LABELS_MAX || !(w->labels[n].name = take_name(s, letters, arena)))
        return false;
    skip_blanks(s);
    if (strncmp(*s, "!=", 2) == 0 || strncmp(*s, "=~", 2) == 0 || strncmp(*s, "!~", 2) == 0)
        *s += 2;
    else if (**s == '=')
        ++*s;
    else
        return false;
    skip_blanks(s);
    if (!(w->labels[n].value = take_string(s, arena)))
        return false;
    w->label_count++;
    skip_blanks(s);
    return true;
}

/* {__name__="x"} says the name as a label; it may be said once. */
static bool take_name_label(struct wanted *w)
{
    for (size_t i = 0; i < w->label_count; i++) {
        if (strcmp(w->labels[i].name, "__name__") != 0)
            continue;
        if (w->name)
            return false;
        w->name = w->labels[i].value;
        w->labels[i] = w->labels[--w->label_count];
    }
    return w->name != NULL;
}

/* name{label="value",...}; inf and nan are numbers in PromQL, not names. */
static bool parse_selector(const char *s, struct wanted *w, struct arena *arena)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";

    skip_blanks(&s);
    w->name = take_name(&s, letters, arena);
    if (w->name && (strcasecmp(w->name, "inf") == 0 || strcasecmp(w->name, "nan") == 0))
        return false;
    skip_blanks(&s);
    if (*s == '\0')
        return w->name != NULL;
    if (*s++ != '{')
        return false;
    for (skip_blanks(&s); *s != '}'; skip_blanks(&s)) {
        if (!take_matcher(&s, w, arena) || (*s != '}' && *s != ','))
            return false;
        s += *s == ',';
    }
    s++;
    skip_blanks(&s);
    return *s == '\0' && take_name_label(w);
}

static bool is_selector(const char *text)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    bool good = parse_selector(text, arena_alloc(arena, sizeof(struct wanted)), arena);

    arena_free(arena);
    return good;
}

static bool on_sample(void *arg, const struct promtext_sample *sample)
{
    struct wanted *w = arg;

    if (!promtext_named(sample, w->name))
        return true;
    if (sample->type >= PROMTEXT_HISTOGRAM) {
        w->compound = true;
        return true;
    }
    for (size_t i = 0; i < w->label_count; i++) {
        const struct promtext_label *label = promtext_label(sample, w->labels[i].name);

        if (!label || !promtext_label_equals(label, w->labels[i].value))
            return true;
    }
    w->found = true;
    w->value = sample->value;
    return false;
}

static enum poll_next take_page(const struct metrics_api *c, struct poll *poll, const struct reply *reply)
{
    struct wanted *w = arena_alloc(poll_arena(poll), sizeof(*w));
    struct error err;

    if (!parse_selector(c->location, w, poll_arena(poll)))
        return poll_fail(poll, ERROR_INVALID, "valueLocation %.100s is not a selector like name{label=\"value\"}",
                         c->location);
    if (!promtext_read(reply->body, reply->length, on_sample, w, &err))
        return poll_fail_with(poll, &err);
    if (!w->found)
        return poll_fail(poll, ERROR_NONSENSE,
                         w->compound ? "%.100s is part of a histogram or summary, not a plain number"
                                     : "the metrics page has no sample %.100s",
                         c->location);
    return poll_value(poll, w->value);
}

/* ------------------------------------------------------------------ the trigger */

static bool prepare(void *config, struct trigger_check *check)
{
    struct metrics_api *c = config;

    if (c->common.target == 0 && !check_input(check)->as_metric_source)
        return check_error(check, "targetValue", "write the value one replica should carry",
                           "targetValue has to be given, and not 0");
    if (c->aggregate)
        check_warning(check, "aggregateFromKubeServiceEndpoints",
                      "write one URL, or use the inference trigger with a selector",
                      "the endpoints of a Service are known in a cluster only: every poll fails");
    if (c->format == FORMAT_PROMETHEUS && c->location && !is_selector(c->location))
        check_warning(check, "valueLocation", "write it like name{label=\"value\"}",
                      "valueLocation is no metric selector: every poll fails");
    return true;
}

static void metric_name(const void *config, const struct trigger_input *input, struct text *out)
{
    const struct metrics_api *c = config;

    (void)input;
    text_printf(out, "metric-api-%s", c->location ? c->location : "");
}

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    const struct metrics_api *c = config;

    switch (c->format) {
    case FORMAT_JSON:
        return take_json(c, poll, reply);
    case FORMAT_YAML:
        return take_yaml(c, poll, reply);
    case FORMAT_XML:
        return take_xml(c, poll, reply);
    case FORMAT_PROMETHEUS:
        return take_page(c, poll, reply);
    }
    return poll_fail(poll, ERROR_INVALID, "format has to be one of json, yaml, xml, prometheus");
}

static enum poll_next ask(const void *config, struct poll *poll, const struct reply *none)
{
    const struct metrics_api *c = config;
    struct request *r;

    (void)none;
    if (c->aggregate)
        return poll_fail(poll, ERROR_INVALID,
                         "aggregateFromKubeServiceEndpoints needs a cluster, which this platform is not");
    r = request_get(poll, c->url, "");
    request_raw(r);
    request_status(r, 200, 200);
    request_timeout(r, c->timeout_ms);
    request_sign(r, c->auth, MODES, false, c->unsafe);
    return poll_send(poll, r, on_answer);
}

TRIGGER(metrics_api) = {
    .type = "metrics-api",
    .summary = "a number out of any HTTP answer: JSON, YAML, XML or a metrics page",
    .about = "The number at valueLocation in the answer: a path in JSON or YAML (GJSON), in XML (XPath), or the name "
             "of a metric with its labels. A "
             "text that reads as a number or a quantity (10k) counts as one. Nothing at that place, or something else, "
             "is a failure.",
    .example = "metadata:\n"
               "  url: http://api.shop.svc:8080/stats\n"
               "  valueLocation: queues.orders.waiting\n"
               "  targetValue: \"10\"\n"
               "  authMode: bearer\n"
               "authentication:\n"
               "  token: s3cret\n",
    .locally = "mkdir -p /tmp/api && echo '{\"queues\":{\"orders\":{\"waiting\":42}}}' > /tmp/api/stats\n"
               "python3 -m http.server 8080 --bind 127.0.0.1 --directory /tmp/api &\n"
               "weir probe orders.yaml    # url: http://localhost:8080/stats\n",
    .params = params,
    .config_size = sizeof(struct metrics_api),
    .prepare = prepare,
    .metric_name = metric_name,
    .poll = ask,
};

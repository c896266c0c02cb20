/*
 * external_metrics: external.metrics.k8s.io/v1beta1, which HorizontalPodAutoscalers of hpa mode are fed by. Paths, texts and
 * codes are those of KEDA's server (keda-operator/06 1); values are those of the last decision, through decide/keda.h, so that the HPA
 * counts with exactly what `weir explain` shows. Nothing is asked of a source here.
 *
 * A request costs the same however many objects there are: the object is found by its key, the reviewer's answer in a cache. The
 * answer is made at once and goes out when it may (serve_access_release).
 *
 * JSON only: a controller that prefers protobuf names the rest of the world behind it.
 */
#include "serve/serve.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/quantity.h"
#include "base/text.h"
#include "base/time.h"
#include "decide/keda.h"
#include "formula/formula.h"
#include "serve/cluster_internal.h"
#include "serve/serve_internal.h"

#define GROUP          "external.metrics.k8s.io"
#define GROUP_VERSION  GROUP "/v1beta1"
/* What KEDA's server says in front of every error of its operator; its users look for it. */
#define PROVIDER_ERROR "rpc error: code = Unknown desc = error when getting metric values "

enum { MESSAGE_BYTES = 1024, KEY_BYTES = 600 };

struct serve_external {
    struct autoscaler *autoscaler;
    struct serve_access *access;
};

/* ------------------------------------------------------------------ a value */

/* "2500e-3", "5", "1e3": how Kubernetes prints a quantity that is written with exponents, as KEDA's composite is. */
static void format_exponent(int64_t milli, char *out, size_t size)
{
    static const struct {
        char suffix;
        const char *exponent;
    } exponents[] = {{'m', "e-3"}, {'k', "e3"}, {'M', "e6"}, {'G', "e9"}, {'T', "e12"}, {'P', "e15"}, {'E', "e18"}};
    char plain[32];
    size_t length;
    const char *exponent = "";

    quantity_format_milli(milli, plain, sizeof(plain));
    length = strlen(plain);
    for (size_t i = 0; length > 0 && i < sizeof(exponents) / sizeof(exponents[0]); i++) {
        if (plain[length - 1] == exponents[i].suffix) {
            plain[length - 1] = 0;
            exponent = exponents[i].exponent;
            break;
        }
    }
    snprintf(out, size, "%s%s", plain, exponent);
}

/* The last decision in the unit in which the HPA counts: where a target is so small that milli would lose its digits, both are
   multiplied by keda_metric_scale (DESIGN.md 3.4). Copies only where something differs. */
struct scaled {
    const struct decide_rules *rules;
    const struct decision *decision;
    struct decide_rules own_rules;
    struct decide_trigger trigger_rules[TRIGGERS_MAX];
    struct decision *own_decision; /* or NULL */
};

static void scale_triggers(struct scaled *scaled, const struct decide_rules *rules, double by)
{
    assert(rules->trigger_count <= TRIGGERS_MAX);
    scaled->own_rules = *rules;
    for (uint16_t i = 0; i < rules->trigger_count; i++) {
        scaled->trigger_rules[i] = rules->triggers[i];
        scaled->trigger_rules[i].target *= by;
    }
    scaled->own_rules.triggers = scaled->trigger_rules;
    scaled->own_rules.formula_target *= by;
    scaled->rules = &scaled->own_rules;
}

static bool any_fallback(const struct decision *decision)
{
    for (uint16_t i = 0; i < decision->input_count; i++)
        if (decision->inputs[i].fallback)
            return true;
    return false;
}

static struct decision *own_decision(struct scaled *scaled)
{
    if (!scaled->own_decision) {
        scaled->own_decision = mem_alloc(sizeof(*scaled->own_decision));
        *scaled->own_decision = *scaled->decision;
        scaled->decision = scaled->own_decision;
    }
    return scaled->own_decision;
}

static void scale_decision(struct scaled *scaled, double by)
{
    struct decision *own = own_decision(scaled);

    for (uint16_t i = 0; i < own->input_count; i++)
        own->inputs[i].value *= by;
    if (own->formula.type == FORMULA_INT)
        own->formula = (struct formula_value){.type = FORMULA_NUMBER, .number = (double)own->formula.integer};
    own->formula.number *= by;
}

/* A fallback per ready replica is for those that are ready when the HPA asks, for it counts them then: divided by how many they were
   at the last poll, it would ask for fewer than the fallback says. */
static void count_ready(struct scaled *scaled, const struct object_status *s)
{
    if (s->target.known && s->target.ready_replicas != s->decision->ready && any_fallback(s->decision))
        own_decision(scaled)->ready = s->target.ready_replicas;
}

static void scaled_init(struct scaled *scaled, const struct object_status *s, double target)
{
    double by = keda_metric_scale(target);

    scaled->rules = &s->policy->rules;
    scaled->decision = s->decision;
    scaled->own_decision = NULL;
    count_ready(scaled, s);
    if (by == 1)
        return;
    scale_triggers(scaled, &s->policy->rules, by);
    scale_decision(scaled, by);
}

static void scaled_done(struct scaled *scaled)
{
    free(scaled->own_decision);
}

/* ------------------------------------------------------------------ the answer */

struct metric_question {
    const char *ns, *object, *metric;
    struct server_answer *answer;
};

/* KEDA's sentence, and behind it what is known of the cause. */
static void fail_metric(const struct metric_question *q, const char *because)
{
    char message[MESSAGE_BYTES];

    snprintf(message, sizeof(message), PROVIDER_ERROR "metric:%.253s encountered error%s%.600s", q->metric,
             *because ? ": " : "", because);
    answer_status(q->answer, 500, "", message);
}

static void fail_unmatched(const struct metric_question *q, const char *because)
{
    char message[MESSAGE_BYTES];

    snprintf(message, sizeof(message), PROVIDER_ERROR "no matching metrics found for %.253s%s%.400s", q->metric,
             *because ? ": " : "", because);
    answer_status(q->answer, 500, "", message);
}

static void put_item(struct json *json, const char *metric, int64_t at_ms, const char *value)
{
    char time[32];

    instant_format(at_ms, time, sizeof(time));
    json_put_open(json, NULL, '{');
    json_put_string(json, "metricName", metric);
    json_put_string(json, "metricLabels", NULL);
    json_put_string(json, "timestamp", time);
    json_put_string(json, "value", value);
    json_put_close(json, '}');
}

/* metric NULL: no items. */
static void answer_values(const struct metric_question *q, const char *metric, int64_t at_ms, const char *value)
{
    struct json json = {.out = q->answer->body};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "kind", "ExternalMetricValueList");
    json_put_string(&json, "apiVersion", GROUP_VERSION);
    json_put_open(&json, "metadata", '{');
    json_put_close(&json, '}');
    json_put_open(&json, "items", '[');
    if (metric)
        put_item(&json, metric, at_ms, value);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
}

/* Why a trigger gave no value. */
static const char *why_of(const struct object_status *s, size_t trigger)
{
    const struct trigger_status *t = trigger < s->trigger_count ? &s->triggers[trigger] : NULL;

    if (t && *t->why)
        return t->why;
    return t && t->sample.state == SAMPLE_NONE ? "it has not been asked yet" : "";
}

/* ------------------------------------------------------------------ a trigger's metric */

static bool find_trigger(const struct object_status *s, const char *metric, size_t *out)
{
    for (size_t i = 0; i < s->policy->trigger_count; i++) {
        if (s->policy->rules.triggers[i].kind == METRIC_EXTERNAL &&
            strcasecmp(s->policy->triggers[i].metric_name, metric) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void answer_trigger(const struct metric_question *q, const struct object_status *s)
{
    struct scaled scaled;
    struct keda_metric metric;
    char value[40];
    size_t i;

    if (!find_trigger(s, q->metric, &i)) {
        fail_unmatched(q, "");
        return;
    }
    if (i >= s->decision->input_count) {
        fail_metric(q, "it has not been asked yet");
        return;
    }
    scaled_init(&scaled, s, s->policy->rules.triggers[i].target);
    if (keda_metric(scaled.rules, scaled.decision, i, &metric) && !metric.placeholder) {
        quantity_format_milli(metric.milli, value, sizeof(value));
        answer_values(q, s->policy->triggers[i].metric_name, s->triggers[i].sample.at_ms, value);
    } else {
        fail_metric(q, why_of(s, i));
    }
    scaled_done(&scaled);
}

/* ------------------------------------------------------------------ the composite */

/* A formula that could not be computed from good values leaves the list empty, in KEDA's way (keda-operator/03 7); a
   result that is no number the HPA could use is an error, and so is a trigger without value. */
static void fail_composite(const struct metric_question *q, const struct object_status *s)
{
    const struct decision *d = s->decision;

    for (uint16_t i = 0; i < d->input_count; i++) {
        if (d->inputs[i].held) {
            fail_metric(q, why_of(s, i));
            return;
        }
    }
    if (d->has_formula && d->formula_fault != FAULT_NOT_FINITE)
        answer_values(q, NULL, 0, NULL);
    else
        fail_metric(q, d->has_formula ? "the formula's result is no finite number" : "it has not been asked yet");
}

/* Whatever metric of an object with modifiers is asked for. */
static void answer_composite(const struct metric_question *q, const struct object_status *s)
{
    struct scaled scaled;
    char value[40];
    int64_t milli;

    scaled_init(&scaled, s, s->policy->rules.formula_target);
    if (!keda_composite(scaled.rules, scaled.decision, &milli)) {
        fail_composite(q, s);
    } else {
        if (any_fallback(s->decision))
            quantity_format_milli(milli, value, sizeof(value));
        else
            format_exponent(milli, value, sizeof(value));
        answer_values(q, "composite-metric", s->decision->at_ms, value);
    }
    scaled_done(&scaled);
}

/* ------------------------------------------------------------------ the object */

static bool on_object(void *arg, const struct object_status *s)
{
    const struct metric_question *q = arg;
    char because[300];

    if (!s->policy) {
        snprintf(because, sizeof(because), "ScaledObject %.100s/%.100s is not in force, see its condition Ready", q->ns,
                 q->object);
        fail_metric(q, because);
    } else if (s->policy->rules.mode != DECIDE_HPA) {
        snprintf(because, sizeof(because),
                 "ScaledObject %.80s/%.80s is scaled by Weir itself; with the annotation weir.dev/mode: hpa a "
                 "HorizontalPodAutoscaler may ask for it",
                 q->ns, q->object);
        fail_unmatched(q, because);
    } else if (!s->decision) {
        fail_metric(q, "it has not been asked yet");
    } else if (s->policy->rules.formula) {
        answer_composite(q, s);
    } else {
        answer_trigger(q, s);
    }
    return true;
}

static void answer_metric(struct autoscaler *autoscaler, const char *ns, const char *metric, const char *selector,
                          struct server_answer *answer)
{
    char name[OBJECT_NAME_BYTES], key[KEY_BYTES], message[MESSAGE_BYTES];
    struct metric_question q = {.ns = ns, .object = name, .metric = metric, .answer = answer};
    struct error err;
    int code;

    if (!external_selector_object(selector, name, &code, &err)) {
        answer_status(answer, code, code == 400 ? "BadRequest" : "", err.text);
        return;
    }
    snprintf(key, sizeof(key), "ScaledObject/%.253s/%s", ns, name);
    if (autoscaler_object(autoscaler, key, on_object, &q))
        return;
    snprintf(message, sizeof(message), PROVIDER_ERROR "error getting scalers ScaledObject.keda.sh \"%s\" not found",
             name);
    answer_status(answer, 500, "", message);
}

/* ------------------------------------------------------------------ handlers */

static void release(const struct serve_external *service, const struct server_request *request,
                    const struct access_attributes *about, struct server_answer *answer)
{
    if (service->access)
        serve_access_release(service->access, request, about, answer);
}

static bool is_true(const char *value)
{
    return value && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static void on_metric(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const struct serve_external *service = arg;
    const char *ns = request->segments[0], *metric = request->segments[1];
    const char *selector = server_query(request, "labelSelector");
    bool watch = is_true(server_query(request, "watch"));

    if (watch)
        answer_status(answer, 405, "MethodNotAllowed", "watch is not supported on external metrics");
    else
        answer_metric(service->autoscaler, ns, metric, selector ? selector : "", answer);
    release(service, request,
            &(struct access_attributes){
                .verb = watch ? "watch" : "list", .group = GROUP, .version = "v1beta1", .ns = ns, .resource = metric},
            answer);
}

static void answer_document(const struct serve_external *service, const struct server_request *request,
                            const char *document, struct server_answer *answer)
{
    text_add(answer->body, document);
    release(service, request, &(struct access_attributes){.verb = "get", .path = request->path}, answer);
}

static void on_group_list(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const char *accept = server_header(request, "Accept");
    const char *wanted = accept ? strstr(accept, "as=APIGroupDiscoveryList") : NULL;

    if (wanted && strstr(accept, "v=v2;")) {
        answer->content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        answer_document(arg, request, external_group_discovery, answer);
    } else {
        answer_document(arg, request, external_group_list, answer);
    }
}

static void on_group(void *arg, const struct server_request *request, struct server_answer *answer)
{
    answer_document(arg, request, external_group, answer);
}

static void on_resources(void *arg, const struct server_request *request, struct server_answer *answer)
{
    answer_document(arg, request, external_resources, answer);
}

static void on_openapi_v2(void *arg, const struct server_request *request, struct server_answer *answer)
{
    answer_document(arg, request, external_openapi_v2, answer);
}

static void on_openapi_v3(void *arg, const struct server_request *request, struct server_answer *answer)
{
    answer_document(arg, request, external_openapi_v3, answer);
}

static void on_openapi_v3_group(void *arg, const struct server_request *request, struct server_answer *answer)
{
    answer_document(arg, request, external_openapi_v3_group, answer);
}

static void on_version(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "gitVersion", "v" WEIR_VERSION);
    json_put_close(&json, '}');
    answer_document(arg, request, "", answer);
}

/* Asked by everybody, always (keda-operator/06 1.4). */
static void on_health(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    answer->content_type = "text/plain; charset=utf-8";
    text_add(answer->body, "ok");
}

static void on_readiness(void *arg, const struct server_request *request, struct server_answer *answer)
{
    const struct serve_external *service = arg;
    const char *why;

    on_health(arg, request, answer);
    if (autoscaler_can_decide(service->autoscaler, &why))
        return;
    answer->status = 503;
    text_clear(answer->body);
    text_printf(answer->body, "%s\n", why);
}

struct serve_external *serve_external_new(struct server *server, struct autoscaler *autoscaler,
                                          struct serve_access *access)
{
    static const struct {
        const char *pattern;
        server_handler *handler;
    } routes[] = {
        {"/apis", on_group_list},
        {"/apis/" GROUP, on_group},
        {"/apis/" GROUP_VERSION, on_resources},
        {"/apis/" GROUP_VERSION "/namespaces/@/@", on_metric},
        {"/openapi/v2", on_openapi_v2},
        {"/openapi/v3", on_openapi_v3},
        {"/openapi/v3/apis/" GROUP_VERSION, on_openapi_v3_group},
        {"/version", on_version},
        {"/healthz", on_health},
        {"/livez", on_health},
        {"/readyz", on_readiness},
    };
    struct serve_external *service = mem_alloc(sizeof(*service));

    service->autoscaler = autoscaler;
    service->access = access;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        server_route(server, "GET", routes[i].pattern, routes[i].handler, service);
    return service;
}

void serve_external_free(struct serve_external *external)
{
    free(external);
}

/*
 * collect: the metrics, every interval. KEDA's OpenTelemetry instruments with their names and attributes (keda-operator/07 4.3), and
 * Weir's own as weir.*.
 *
 *     timer -> the keys of all objects -> EXPORT_OBJECTS_PER_STEP a step, points of each added -> totals -> given to the sender
 *
 * In steps, because ten thousand objects have some hundred thousand points: no decision waits for more than some of them. Whenever
 * there is enough for a request it is handed over, so that what is held is one request at a time; and what the sender has not
 * got rid of by the next interval is no news any more, and is dropped.
 *
 * KEDA drops what was not measured since the last export, and sends its version once (09-quirks B39); here what is known is
 * sent each time. Instruments that KEDA calls deprecated are there as well, for dashboards use them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/histogram.h"
#include "base/limits.h"
#include "base/map.h"
#include "export/export_internal.h"
#include "export/message.h"
#include "net/loop.h"
#include "trigger/trigger.h"

/* clang-format off */
#define FAMILIES(FAMILY) \
    FAMILY(BUILD, "keda.build.info", "", GAUGE, "Version of this process.") \
    FAMILY(VALUE, "keda.scaler.metrics.value", "", GAUGE, "The last value of each trigger.") \
    FAMILY(LATENCY_OLD, "keda.scaler.metrics.latency", "", GAUGE, "Deprecated: keda.scaler.metrics.latency.seconds in milliseconds.") \
    FAMILY(LATENCY, "keda.scaler.metrics.latency.seconds", "s", GAUGE, "How long the last poll of each trigger took.") \
    FAMILY(ACTIVE, "keda.scaler.active", "", GAUGE, "Whether each trigger is active.") \
    FAMILY(ERRORS, "keda.scaler.errors", "", COUNTER, "Polls of each trigger that failed.") \
    FAMILY(PAUSED, "keda.scaled.object.paused", "", GAUGE, "Whether a ScaledObject is paused by annotation.") \
    FAMILY(OBJECT_ERRORS, "keda.scaledobject.errors", "", COUNTER, "Evaluations of a ScaledObject with a failing trigger.") \
    FAMILY(JOB_ERRORS, "keda.scaledjob.errors", "", COUNTER, "Evaluations of a ScaledJob with a failing trigger.") \
    FAMILY(LATE_OLD, "keda.internal.scale.loop.latency", "", GAUGE, "Deprecated: keda.internal.scale.loop.latency.seconds in milliseconds.") \
    FAMILY(LATE, "keda.internal.scale.loop.latency.seconds", "s", GAUGE, "How late the last poll of each object was.") \
    FAMILY(EMPTY, "keda.scaler.empty.upstream.responses", "", COUNTER, "Answers without a value.") \
    FAMILY(REQUESTS, "keda.scaler.http.requests.count", "", COUNTER, "HTTP requests made for each trigger.") \
    FAMILY(REQUEST_TIME, "keda.scaler.http.request.duration.seconds", "s", HISTOGRAM, "How long HTTP requests took.") \
    FAMILY(TRIGGERS_OLD, "keda.trigger.totals", "", UP_DOWN, "Deprecated: keda.trigger.registered.count.") \
    FAMILY(TRIGGERS, "keda.trigger.registered.count", "", UP_DOWN, "Triggers known, by type.") \
    FAMILY(RESOURCES_OLD, "keda.resource.totals", "", UP_DOWN, "Deprecated: keda.resource.registered.count.") \
    FAMILY(RESOURCES, "keda.resource.registered.count", "", UP_DOWN, "Resources known, by type and namespace.") \
    FAMILY(EVENTS, "keda.cloudeventsource.events.emitted.count", "", COUNTER, "CloudEvents delivered, and attempts that failed.") \
    FAMILY(EVENTS_QUEUED, "keda.cloudeventsource.events.queued", "", GAUGE, "CloudEvents that wait.") \
    FAMILY(AGE, "weir.sample.age", "s", GAUGE, "Age of each trigger's last answer.") \
    FAMILY(WANTED, "weir.replicas.wanted", "{replica}", GAUGE, "Replicas the last decision asks for.") \
    FAMILY(READY, "weir.replicas.ready", "{replica}", GAUGE, "Ready replicas of the target.") \
    FAMILY(FORMULA, "weir.formula.value", "", GAUGE, "Result of the formula.") \
    FAMILY(FALLBACK, "weir.fallback.active", "", GAUGE, "Whether fallback decides.") \
    FAMILY(HELD, "weir.held", "", GAUGE, "Whether a missing or failed value holds the replicas.") \
    FAMILY(DECISIONS, "weir.decisions", "{decision}", COUNTER, "Decisions by reason.") \
    FAMILY(DECIDE_TIME, "weir.decision.duration", "s", HISTOGRAM, "From when an object was due to its decision.") \
    FAMILY(WRITE_TIME, "weir.write.duration", "s", HISTOGRAM, "From the last answer a decision waited for until its scale was written.") \
    FAMILY(POLLS, "weir.polls", "{poll}", COUNTER, "Polls by trigger type and how they ended.") \
    FAMILY(POLL_TIME, "weir.poll.duration", "s", HISTOGRAM, "How long polls took, by trigger type.") \
    FAMILY(SHARED, "weir.polls.shared", "{poll}", COUNTER, "Questions answered by another object's poll.") \
    FAMILY(SCALES, "weir.scales", "{scale}", COUNTER, "Replica counts and jobs written.") \
    FAMILY(SCALE_FAILURES, "weir.scale.failures", "{scale}", COUNTER, "Writes that failed.")
/* clang-format on */

enum family {
#define FAMILY(name, text, unit, shape, help) FAMILY_##name,
    FAMILIES(FAMILY)
#undef FAMILY
        FAMILY_COUNT
};
static const struct {
    const char *name, *unit, *help;
    enum metric_shape shape;
} families[FAMILY_COUNT] = {
#define FAMILY(name, text, unit, shape, help) {text, unit, help, METRIC_##shape},
    FAMILIES(FAMILY)
#undef FAMILY
};

struct points {
    struct text text;
    size_t count;
};

struct collect {
    struct export_parts parts;
    struct sender *sender;
    const struct sources *sources; /* NULL: none are sent */
    struct timer *interval_timer, *step_timer;
    int64_t interval_ms, started_at_ms;
    /* one collection */
    bool under_way;
    int64_t at_ms;
    struct text keys; /* each ended by a 0 byte */
    size_t key_at;
    struct points points[FAMILY_COUNT];
    size_t bytes; /* of all points */
    struct arena *arena;
    struct map *triggers, *resources; /* name -> uint64_t, in the arena */
    struct text attributes;           /* of the point at hand */
};

/* ------------------------------------------------------------------ points */

static int64_t since(const struct collect *c, enum family f, int64_t from_ms)
{
    return families[f].shape == METRIC_GAUGE ? 0 : from_ms > c->started_at_ms ? from_ms : c->started_at_ms;
}

static void hand_over(struct collect *c);

static void added(struct collect *c, enum family f, size_t before)
{
    c->points[f].count++;
    c->bytes += c->points[f].text.length - before;
    if (c->bytes >= EXPORT_BODY_MAX_BYTES)
        hand_over(c);
}

static void add_double(struct collect *c, enum family f, const struct text *attributes, double value)
{
    size_t before = c->points[f].text.length;

    message_point_double(&c->points[f].text, attributes, since(c, f, 0), c->at_ms, value);
    added(c, f, before);
}

static void add_integer(struct collect *c, enum family f, const struct text *attributes, int64_t from_ms, int64_t value)
{
    size_t before = c->points[f].text.length;

    message_point_integer(&c->points[f].text, attributes, since(c, f, from_ms), c->at_ms, value);
    added(c, f, before);
}

static void add_histogram(struct collect *c, enum family f, const struct text *attributes, const struct histogram *h)
{
    size_t before = c->points[f].text.length;
    double bounds[HISTOGRAM_BOUNDS];

    for (int i = 0; i < HISTOGRAM_BOUNDS; i++)
        bounds[i] = (double)histogram_bounds_ms[i] / 1000;
    message_point_histogram(&c->points[f].text, attributes, since(c, f, 0), c->at_ms, (double)h->sum_ms / 1000,
                            h->counts, bounds, HISTOGRAM_BOUNDS);
    added(c, f, before);
}

/* What is there of each family becomes one part; of what did not fit nothing is sent. */
static void hand_over(struct collect *c)
{
    struct text metrics;
    size_t count = 0;

    text_init(&metrics, EXPORT_PART_MAX_BYTES);
    for (int f = 0; f < FAMILY_COUNT; f++) {
        struct points *p = &c->points[f];

        message_metric(&metrics, families[f].name, families[f].unit, families[f].help, families[f].shape, &p->text);
        count += p->count;
        p->count = 0;
        text_clear(&p->text);
    }
    c->bytes = 0;
    if (metrics.length > 0 && !metrics.overflowed)
        sender_add(c->sender, metrics.bytes, metrics.length, count);
    text_done(&metrics);
}

/* ------------------------------------------------------------------ per trigger */

static void label(struct collect *c, const char *key, const char *value)
{
    attribute_text(&c->attributes, ATTRIBUTES_OF_POINT, key, value);
}

static void label_trigger(struct collect *c, const struct policy *policy, const char *scaler, size_t index,
                          const char *metric)
{
    char number[16];

    snprintf(number, sizeof(number), "%zu", index);
    text_clear(&c->attributes);
    label(c, "namespace", policy->ns);
    label(c, policy->is_job ? "scaledJob" : "scaledObject", policy->name);
    label(c, "scaler", scaler);
    label(c, policy->is_job ? "triggerIndex" : "scalerIndex", number);
    label(c, "metric", metric);
}

static const struct decision_input *input_of(const struct object_status *s, size_t i)
{
    if (s->decision)
        return i < s->decision->input_count ? &s->decision->inputs[i] : NULL;
    return s->job_decision && i < s->job_decision->input_count ? &s->job_decision->inputs[i] : NULL;
}

static void add_requests(struct collect *c, const struct object_status *s, const struct trigger_status *t)
{
    for (size_t i = 0; i < t->request_count; i++) {
        char status[16];

        snprintf(status, sizeof(status), "%d", t->requests[i].status);
        text_clear(&c->attributes);
        label(c, "namespace", s->policy->ns);
        label(c, "scaled_resource", s->policy->name);
        label(c, "scaler", t->type);
        label(c, "trigger_name", t->name);
        label(c, "metric_name", t->metric_name);
        label(c, "status_code",
              t->requests[i].status == STATUS_NO_ANSWER ? "error"
              : t->requests[i].status == STATUS_OTHER   ? "other"
                                                        : status);
        add_integer(c, FAMILY_REQUESTS, &c->attributes, s->created_at_ms, t->requests[i].count);
    }
}

static void add_empties(struct collect *c, const struct object_status *s, const struct trigger_status *t)
{
    if (t->nulls == NULLS_UNKNOWN)
        return;
    text_clear(&c->attributes);
    label(c, "namespace", s->policy->ns);
    label(c, "scaledResource", s->policy->name);
    label(c, "triggerName", t->name);
    label(c, "metricName", t->metric_name);
    label(c, "resourceType", s->policy->kind);
    label(c, "ignoreNullValues", t->nulls == NULLS_FAIL ? "false" : "true");
    add_integer(c, FAMILY_EMPTY, &c->attributes, s->created_at_ms, t->empties);
}

static void add_trigger(struct collect *c, const struct object_status *s, size_t i)
{
    const struct trigger_status *t = &s->triggers[i];
    const struct decision_input *input = input_of(s, i);
    bool composite = s->decision && s->decision->has_formula;

    label_trigger(c, s->policy, s->policy->triggers[i].named ? t->name : trigger_scaler_name(t->type), i,
                  t->metric_name ? t->metric_name : t->name);
    if (t->sample.state == SAMPLE_OK)
        add_double(c, FAMILY_VALUE, &c->attributes, t->sample.value);
    if (t->age_ms >= 0) {
        add_double(c, FAMILY_LATENCY, &c->attributes, (double)t->took_ms / 1000);
        add_double(c, FAMILY_LATENCY_OLD, &c->attributes, (double)t->took_ms);
        add_double(c, FAMILY_AGE, &c->attributes, (double)t->age_ms / 1000);
    }
    if (input && !composite)
        add_integer(c, FAMILY_ACTIVE, &c->attributes, 0, t->resource || input->active);
    add_integer(c, FAMILY_ERRORS, &c->attributes, s->created_at_ms, t->failures);
    add_requests(c, s, t);
    add_empties(c, s, t);
}

/* As KEDA: with modifiers only the composite has a say. */
static void add_composite(struct collect *c, const struct object_status *s)
{
    if (!s->decision || !s->decision->has_formula)
        return;
    label_trigger(c, s->policy, "composite-metric", 0, "composite-metric");
    if (s->decision->formula.type == FORMULA_NUMBER && isfinite(s->decision->formula.number))
        add_double(c, FAMILY_VALUE, &c->attributes, s->decision->formula.number);
    add_integer(c, FAMILY_ACTIVE, &c->attributes, 0, s->decision->active);
}

/* ------------------------------------------------------------------ per object */

static void add_lateness(struct collect *c, const struct object_status *s)
{
    text_clear(&c->attributes);
    label(c, "namespace", s->policy->ns);
    label(c, "type", s->policy->is_job ? "scaledjob" : "scaledobject");
    label(c, "name", s->policy->name);
    add_double(c, FAMILY_LATE, &c->attributes, (double)s->late_ms / 1000);
    add_double(c, FAMILY_LATE_OLD, &c->attributes, s->late_ms);
}

static void add_decision(struct collect *c, const struct object_status *s)
{
    const struct decision *d = s->decision;

    if (!d)
        return;
    add_integer(c, FAMILY_WANTED, &c->attributes, 0, d->after);
    add_integer(c, FAMILY_FALLBACK, &c->attributes, 0, d->fallback);
    add_integer(c, FAMILY_HELD, &c->attributes, 0, d->held);
    if (d->has_formula && d->formula.type == FORMULA_NUMBER && isfinite(d->formula.number))
        add_double(c, FAMILY_FORMULA, &c->attributes, d->formula.number);
}

static void add_object(struct collect *c, const struct object_status *s)
{
    const struct decide_rules *r = &s->policy->rules;
    bool job = s->policy->is_job;

    text_clear(&c->attributes);
    label(c, "namespace", s->policy->ns);
    label(c, job ? "scaledJob" : "scaledObject", s->policy->name);
    if (!job)
        add_integer(c, FAMILY_PAUSED, &c->attributes, 0,
                    r->paused || r->has_paused_replicas || r->paused_scale_in || r->paused_scale_out);
    add_integer(c, job ? FAMILY_JOB_ERRORS : FAMILY_OBJECT_ERRORS, &c->attributes, s->created_at_ms,
                (int64_t)s->errors);
    if (s->target.known)
        add_integer(c, FAMILY_READY, &c->attributes, 0, s->target.ready_replicas);
    add_decision(c, s);
    add_lateness(c, s);
}

static void count_up(struct collect *c, struct map *map, const char *name)
{
    uint64_t *count = map_get(map, name);

    if (!count) {
        count = arena_alloc(c->arena, sizeof(*count));
        map_put(map, name, count);
    }
    ++*count;
}

static bool on_object(void *arg, const struct object_status *s)
{
    struct collect *c = arg;
    char name[300];

    if (!s->policy)
        return true;
    snprintf(name, sizeof(name), "%s/%s", s->policy->is_job ? "scaled_job" : "scaled_object", s->policy->ns);
    count_up(c, c->resources, name);
    for (size_t i = 0; i < s->trigger_count; i++)
        count_up(c, c->triggers, s->triggers[i].type);
    if (!s->has_decision)
        return true;
    add_object(c, s);
    for (size_t i = 0; i < s->trigger_count; i++)
        add_trigger(c, s, i);
    add_composite(c, s);
    return true;
}

/* ------------------------------------------------------------------ the process */

static void label_one(struct collect *c, unsigned number, const char *key, const char *value)
{
    text_clear(&c->attributes);
    attribute_text(&c->attributes, number, key, value);
}

static void add_build(struct collect *c)
{
    text_clear(&c->attributes);
    label(c, "version", WEIR_VERSION);
    label(c, "goos", "linux"); /* as the metric that KEDA's dashboards know */
    add_integer(c, FAMILY_BUILD, &c->attributes, 0, 1);
}

static void on_authentication(void *arg, const char *kind, const char *ns)
{
    struct collect *c = arg;
    char name[300];

    snprintf(name, sizeof(name), "%s/%s", *ns ? "trigger_authentication" : "cluster_trigger_authentication",
             *ns ? ns : "default");
    (void)kind; /* one without a namespace is the cluster's */
    count_up(c, c->resources, name);
}

static void on_source(void *arg, const char *ns)
{
    struct collect *c = arg;
    char name[300];

    snprintf(name, sizeof(name), "cloudevent_source/%s", *ns ? ns : "default");
    count_up(c, c->resources, name);
}

static void add_registered(struct collect *c)
{
    const char *key;
    void *value;

    autoscaler_authentications(c->parts.autoscaler, on_authentication, c);
    if (c->sources)
        sources_each(c->sources, on_source, c);
    for (size_t at = 0; map_next(c->triggers, &at, &key, &value);) {
        label_one(c, ATTRIBUTES_OF_POINT, "type", key);
        add_integer(c, FAMILY_TRIGGERS, &c->attributes, 0, (int64_t) * (uint64_t *)value);
        add_integer(c, FAMILY_TRIGGERS_OLD, &c->attributes, 0, (int64_t) * (uint64_t *)value);
    }
    for (size_t at = 0; map_next(c->resources, &at, &key, &value);) {
        const char *slash = strchr(key, '/');
        char type[64];

        snprintf(type, sizeof(type), "%.*s", (int)(slash - key), key);
        label_one(c, ATTRIBUTES_OF_POINT, "type", type);
        label(c, "namespace", slash + 1);
        add_integer(c, FAMILY_RESOURCES, &c->attributes, 0, (int64_t) * (uint64_t *)value);
        add_integer(c, FAMILY_RESOURCES_OLD, &c->attributes, 0, (int64_t) * (uint64_t *)value);
    }
}

static void add_polls(struct collect *c, const struct trigger_stats *t)
{
    const struct {
        const char *result;
        uint64_t count;
    } results[] = {{"ok", t->ok}, {"missing", t->missing}, {"failed", t->failed}};

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        label_one(c, ATTRIBUTES_OF_POINT, "type", t->type);
        label(c, "result", results[i].result);
        add_integer(c, FAMILY_POLLS, &c->attributes, 0, (int64_t)results[i].count);
    }
    label_one(c, ATTRIBUTES_OF_HISTOGRAM_POINT, "type", t->type);
    add_histogram(c, FAMILY_POLL_TIME, &c->attributes, &t->took);
}

static void add_request_times(struct collect *c, const struct trigger_stats *t)
{
    for (size_t i = 0; i < t->http_count; i++) {
        char status[16];

        snprintf(status, sizeof(status), "%d", t->http[i].status);
        label_one(c, ATTRIBUTES_OF_HISTOGRAM_POINT, "scaler", t->type);
        attribute_text(&c->attributes, ATTRIBUTES_OF_HISTOGRAM_POINT, "status_code",
                       t->http[i].status == STATUS_NO_ANSWER ? "error"
                       : t->http[i].status == STATUS_OTHER   ? "other"
                                                             : status);
        add_histogram(c, FAMILY_REQUEST_TIME, &c->attributes, &t->http[i].took);
    }
}

static void add_engine(struct collect *c)
{
    const struct trigger_stats *list;
    size_t count = trigger_engine_stats(autoscaler_engine(c->parts.autoscaler), &list);

    for (size_t i = 0; i < count; i++) {
        if (list[i].polls == 0)
            continue;
        add_polls(c, &list[i]);
        add_request_times(c, &list[i]);
    }
}

static void add_process(struct collect *c)
{
    struct autoscaler_stats stats;

    autoscaler_stats(c->parts.autoscaler, &stats);
    for (int i = 0; i < REASON_COUNT; i++) {
        label_one(c, ATTRIBUTES_OF_POINT, "reason", decision_reason_name((enum decision_reason)i));
        add_integer(c, FAMILY_DECISIONS, &c->attributes, 0, (int64_t)stats.by_reason[i]);
    }
    add_histogram(c, FAMILY_DECIDE_TIME, NULL, &stats.decided);
    add_histogram(c, FAMILY_WRITE_TIME, NULL, &stats.written);
    add_integer(c, FAMILY_SHARED, NULL, 0, (int64_t)stats.polls_shared);
    add_integer(c, FAMILY_SCALES, NULL, 0, (int64_t)stats.scales);
    add_integer(c, FAMILY_SCALE_FAILURES, NULL, 0, (int64_t)stats.scale_failures);
}

/* ------------------------------------------------------------------ events */

static void on_count(void *arg, const struct source_count *count)
{
    struct collect *c = arg;
    const struct {
        const char *state;
        uint64_t count;
    } states[] = {{"emitted", count->emitted}, {"failed", count->failed}};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        label_one(c, ATTRIBUTES_OF_POINT, "namespace", count->ns);
        label(c, "cloudEventSource", count->source);
        label(c, "eventsink", "http");
        label(c, "state", states[i].state);
        add_integer(c, FAMILY_EVENTS, &c->attributes, 0, (int64_t)states[i].count);
    }
}

static void on_queued(void *arg, const char *ns, size_t count)
{
    struct collect *c = arg;

    label_one(c, ATTRIBUTES_OF_POINT, "namespace", ns);
    add_integer(c, FAMILY_EVENTS_QUEUED, &c->attributes, 0, (int64_t)count);
}

static void add_events(struct collect *c)
{
    if (!c->sources)
        return;
    sources_each_count(c->sources, on_count, c);
    sources_each_queued(c->sources, on_queued, c);
}

/* ------------------------------------------------------------------ a collection */

static void begin(struct collect *c)
{
    c->under_way = true;
    c->at_ms = loop_now_ms(c->parts.loop);
    c->key_at = 0;
    c->arena = arena_new(ARENA_USUAL);
    c->triggers = map_new();
    c->resources = map_new();
    text_init(&c->keys, EXPORT_KEYS_MAX_BYTES);
    autoscaler_keys(c->parts.autoscaler, &c->keys);
}

static void end(struct collect *c)
{
    map_free(c->triggers);
    map_free(c->resources);
    arena_free(c->arena);
    text_done(&c->keys);
    c->under_way = false;
}

/* Some objects; true: there are more. */
static bool step(struct collect *c, size_t max)
{
    const char *keys[EXPORT_OBJECTS_PER_STEP];

    while (max > 0 && c->key_at < c->keys.length) {
        size_t count = 0;

        for (; count < EXPORT_OBJECTS_PER_STEP && count < max && c->key_at < c->keys.length; count++) {
            keys[count] = c->keys.bytes + c->key_at;
            c->key_at += strlen(keys[count]) + 1;
        }
        autoscaler_some_objects(c->parts.autoscaler, keys, count, on_object, c);
        max -= count;
    }
    return c->key_at < c->keys.length;
}

static void complete(struct collect *c)
{
    add_build(c);
    add_registered(c);
    add_engine(c);
    add_process(c);
    add_events(c);
    hand_over(c);
    end(c);
}

static void on_step(void *arg)
{
    struct collect *c = arg;

    if (step(c, EXPORT_OBJECTS_PER_STEP))
        loop_timer_set(c->step_timer, 0);
    else
        complete(c);
}

static void on_interval(void *arg)
{
    struct collect *c = arg;

    loop_timer_set(c->interval_timer, c->interval_ms);
    if (c->under_way)
        return; /* more objects than fit into an interval */
    sender_forget(c->sender);
    begin(c);
    loop_timer_set(c->step_timer, 0);
}

void collect_now(struct collect *c)
{
    loop_timer_stop(c->interval_timer);
    loop_timer_stop(c->step_timer);
    if (c->under_way)
        end(c);
    sender_forget(c->sender);
    begin(c);
    step(c, SIZE_MAX);
    complete(c);
}

/* ------------------------------------------------------------------ life */

void collect_sources(struct collect *c, const struct sources *sources)
{
    c->sources = sources;
}

struct collect *collect_new(const struct export_parts *parts, const struct otlp_config *config, struct sender *sender)
{
    struct collect *c = mem_alloc(sizeof(*c));

    c->parts = *parts;
    c->sender = sender;
    c->interval_ms = config->interval_ms;
    c->started_at_ms = loop_now_ms(parts->loop);
    for (int f = 0; f < FAMILY_COUNT; f++)
        text_init(&c->points[f].text, EXPORT_PART_MAX_BYTES);
    text_init(&c->attributes, EXPORT_RESOURCE_MAX_BYTES);
    c->interval_timer = loop_timer_new(parts->loop, on_interval, c);
    c->step_timer = loop_timer_new(parts->loop, on_step, c);
    loop_timer_set(c->interval_timer, c->interval_ms);
    return c;
}

void collect_free(struct collect *c)
{
    if (!c)
        return;
    if (c->under_way)
        end(c);
    loop_timer_free(c->interval_timer);
    loop_timer_free(c->step_timer);
    for (int f = 0; f < FAMILY_COUNT; f++)
        text_done(&c->points[f].text);
    text_done(&c->attributes);
    free(c);
}

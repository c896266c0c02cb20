/*
 * story: decisions told as OpenTelemetry tells things: a log record for each whose outcome is a new one, and a trace for each.
 *
 *     decided (in the turn) -> noted, packed -> (after the turn) -> log record
 *                                                                -> trace:  decision ──┬── poll prometheus     one for each answer that is new
 *                                                                                      ├── formula
 *                                                                                      ├── decide              its steps are events
 *                                                                                      └── scale               until it was written
 *
 * A trace whose decision is being written waits for that, EXPORT_TRACE_WAIT_MS at most: a span is sent when it is over. Clocks here have
 * milliseconds, so formula and decide begin and end at once; how long deciding takes is a metric.
 *
 * Who decided when is kept for each object (some 100 bytes), to know what is new.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/map.h"
#include "export/export_internal.h"
#include "export/message.h"
#include "net/loop.h"
#include "trigger/trigger.h"

struct note { /* a decision, until the turn is over */
    struct note *next;
    char *key;
    struct policy *policy; /* counted */
    int64_t at_ms, previous_at_ms;
    void *packed; /* of an object */
    size_t packed_bytes;
    struct job_decision *job; /* of a job */
    bool news, writes;
    bool written; /* it is already: before this was told */
    int64_t written_at_ms;
    char *write_error; /* NULL: none */
};

struct trace { /* its spans but for the last two, while the scale is being written */
    struct trace *next, **link;
    struct known *known;
    uint8_t id[TRACE_ID_BYTES], root[SPAN_ID_BYTES];
    struct text spans, attributes; /* attributes: of the root */
    size_t count;
    int64_t start_at_ms, decided_at_ms, deadline_ticks_ms;
    bool failed; /* the decision has an error in it */
};

struct known { /* an object that decided */
    int64_t decided_at_ms;
    uint64_t outcome;
    struct note *writing; /* noted, and being written */
    struct trace *open;
};

struct story {
    struct export_parts parts;
    struct sender *logs, *traces; /* each may be NULL */
    double trace_ratio;
    struct map *objects; /* key -> struct known */
    struct note *first, **end;
    size_t count;
    struct timer *timer, *wait_timer;
    struct trace *waiting, **waiting_end; /* by deadline */
    struct decision *decision;            /* the one being told: too large for a stack */
    struct text attributes, events, words;
    uint64_t dropped_records, dropped_spans;
};

/* ------------------------------------------------------------------ what is new */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return hash_bytes(hash, &value, sizeof(value));
}

/* Of what decision_same_outcome compares. */
static uint64_t outcome_of(const struct decision *d)
{
    uint64_t hash = mix(mix(mix(1, (uint64_t)d->before), (uint64_t)d->after), d->reason);

    hash = mix(hash, (uint64_t)(d->active | d->held << 1 | d->fallback << 2 | d->paused << 3 | d->error << 4));
    hash = mix(mix(hash, d->formula_state), d->formula_fault);
    for (uint16_t i = 0; i < d->input_count; i++) {
        const struct decision_input *in = &d->inputs[i];

        hash = mix(hash, (uint64_t)(in->state | in->active << 4 | in->fallback << 5 | in->held << 6));
    }
    return hash;
}

static uint64_t outcome_of_job(const struct job_decision *d)
{
    return mix(mix(mix(2, (uint64_t)(d->active | d->error << 1)), (uint64_t)d->running), (uint64_t)d->create);
}

static struct known *known_of(struct story *s, const char *key)
{
    struct known *known = map_get(s->objects, key);

    if (!known) {
        known = mem_alloc(sizeof(*known));
        map_put(s->objects, key, known);
    }
    return known;
}

/* ------------------------------------------------------------------ notes */

static void note_free(struct note *note)
{
    policy_unref(note->policy);
    free(note->key);
    free(note->packed);
    free(note->job);
    free(note->write_error);
    free(note);
}

static struct note *note_new(const struct autoscaler_decided *d, const struct known *known)
{
    struct note *note = mem_alloc(sizeof(*note));

    note->key = mem_copy(d->key);
    note->policy = policy_ref((struct policy *)(uintptr_t)d->policy); /* counted, and not changed */
    note->at_ms = d->at_ms;
    note->previous_at_ms = known->decided_at_ms;
    if (d->decision) {
        note->packed = decision_pack(d->decision, &note->packed_bytes);
        note->writes = d->decision->write && d->policy->rules.mode != DECIDE_OBSERVE;
    } else {
        note->job = mem_alloc(sizeof(*note->job));
        *note->job = *d->job_decision;
        note->writes = d->job_decision->create > 0;
    }
    return note;
}

void story_decided(struct story *s, const struct autoscaler_decided *d)
{
    struct known *known = known_of(s, d->key);
    uint64_t outcome = d->decision ? outcome_of(d->decision) : outcome_of_job(d->job_decision);
    bool news = outcome != known->outcome;

    known->outcome = outcome;
    if ((s->traces || news) && s->count < EXPORT_NOTES_MAX) {
        struct note *note = note_new(d, known);

        note->news = news;
        if (note->writes && !known->open)
            known->writing = note;
        *s->end = note;
        s->end = &note->next;
        if (s->count++ == 0)
            loop_timer_set(s->timer, 0);
    } else {
        s->dropped_records += news && s->logs;
        s->dropped_spans += s->traces != NULL;
    }
    known->decided_at_ms = d->at_ms;
}

/* ------------------------------------------------------------------ attributes of both */

static void add_object(struct text *out, unsigned at, const struct note *note)
{
    const struct target_key *target = &note->policy->target;

    attribute_text(out, at, "k8s.namespace.name", note->policy->ns);
    if (!note->policy->is_job && string_equal(target->kind, "Deployment"))
        attribute_text(out, at, "k8s.deployment.name", target->name);
    if (!note->policy->is_job && string_equal(target->kind, "StatefulSet"))
        attribute_text(out, at, "k8s.statefulset.name", target->name);
    attribute_text(out, at, "weir.object", note->key);
    attribute_text(out, at, "weir.object.kind", note->policy->kind);
    attribute_text(out, at, "weir.object.name", note->policy->name);
}

static void add_decision(struct text *out, unsigned at, const struct decision *d)
{
    attribute_text(out, at, "weir.decision.reason", decision_reason_name(d->reason));
    if (d->before >= 0)
        attribute_integer(out, at, "weir.replicas.before", d->before);
    attribute_integer(out, at, "weir.replicas.after", d->after);
    attribute_integer(out, at, "weir.replicas.ready", d->ready);
    if (d->wished >= 0)
        attribute_integer(out, at, "weir.replicas.wished", d->wished);
    attribute_bool(out, at, "weir.decision.active", d->active);
    attribute_bool(out, at, "weir.decision.held", d->held);
    attribute_bool(out, at, "weir.decision.fallback", d->fallback);
    attribute_bool(out, at, "weir.decision.write", d->write);
    if (d->has_formula && d->formula.type == FORMULA_NUMBER)
        attribute_double(out, at, "weir.formula.value", d->formula.number);
}

static void add_job(struct text *out, unsigned at, const struct policy *policy, const struct job_decision *d)
{
    attribute_text(out, at, "weir.decision.reason", decision_reason_name(job_decision_reason(&policy->job_rules, d)));
    attribute_integer(out, at, "weir.replicas.before", d->running);
    attribute_integer(out, at, "weir.replicas.after", (int64_t)d->running + d->create);
    attribute_integer(out, at, "weir.jobs.pending", d->pending);
    attribute_double(out, at, "weir.jobs.queue_length", d->queue_length);
    attribute_bool(out, at, "weir.decision.active", d->active);
}

/* ------------------------------------------------------------------ the log record */

static void tell_log(struct story *s, const struct note *note, const struct trace *trace)
{
    const struct decision *d = note->job ? NULL : s->decision;
    struct decision_names names = {.triggers = note->policy->names,
                                   .trigger_count = note->policy->trigger_count,
                                   .formula = note->policy->formula ? formula_source(note->policy->formula) : NULL};
    bool warns = note->job ? note->job->error : d->held || d->error || d->fallback || d->reason == REASON_UNREADABLE;

    text_clear(&s->words);
    text_clear(&s->attributes);
    text_clear(&s->events);
    add_object(&s->attributes, ATTRIBUTES_OF_LOG, note);
    if (d) {
        decision_write_summary(d, &names, &s->words);
        add_decision(&s->attributes, ATTRIBUTES_OF_LOG, d);
    } else {
        job_decision_write_summary(note->job, &s->words);
        add_job(&s->attributes, ATTRIBUTES_OF_LOG, note->policy, note->job);
    }
    message_log(&s->events, &(struct message_log){.at_ms = note->at_ms,
                                                  .seen_at_ms = loop_now_ms(s->parts.loop),
                                                  .severity = warns ? SEVERITY_WARN : SEVERITY_INFO,
                                                  .body = s->words.bytes,
                                                  .event_name = "weir.decision",
                                                  .attributes = &s->attributes,
                                                  .trace_id = trace ? trace->id : NULL,
                                                  .span_id = trace ? trace->root : NULL});
    if (s->events.overflowed || s->attributes.overflowed)
        s->dropped_records++;
    else
        sender_add(s->logs, s->events.bytes, s->events.length, 1);
}

/* ------------------------------------------------------------------ spans */

static void add_span(struct trace *trace, const char *name, enum span_kind kind, int64_t start_at_ms, int64_t end_at_ms,
                     const struct text *attributes, const struct text *events, const char *error)
{
    uint8_t id[SPAN_ID_BYTES];

    random_bytes(id, sizeof(id));
    message_span(&trace->spans, &(struct message_span){.trace_id = trace->id,
                                                       .span_id = id,
                                                       .parent_id = trace->root,
                                                       .name = name,
                                                       .kind = kind,
                                                       .start_at_ms = start_at_ms,
                                                       .end_at_ms = end_at_ms,
                                                       .attributes = attributes,
                                                       .events = events,
                                                       .error = error});
    trace->count++;
}

/* "prom:9090" -> "prom", 9090. */
static void add_server(struct text *out, const char *destination)
{
    const char *colon = destination ? strrchr(destination, ':') : NULL;
    char host[256];

    if (!colon)
        return;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - destination), destination);
    attribute_text(out, ATTRIBUTES_OF_SPAN, "server.address", host);
    attribute_integer(out, ATTRIBUTES_OF_SPAN, "server.port", strtol(colon + 1, NULL, 10));
}

/* status NULL: it is not known any more how long it took. */
static void tell_poll(struct story *s, struct trace *trace, const struct note *note, const struct decision_input *input,
                      size_t i, const struct trigger_status *status)
{
    const struct policy_trigger *trigger = &note->policy->triggers[i];
    bool failed = input->state == SAMPLE_FAILED;
    const char *why = failed ? status && *status->why ? status->why : "failed" : NULL;
    int64_t end_at_ms = note->at_ms - input->age_ms, start_at_ms = end_at_ms - (status ? status->took_ms : 0);
    char name[128];

    text_clear(&s->attributes);
    attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.trigger.name", trigger->name);
    attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.trigger.type", trigger->type);
    attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.sample.state", sample_state_name(input->state));
    if (input->state == SAMPLE_OK)
        attribute_double(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.sample.value", input->value);
    if (failed)
        attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "error.type",
                       status ? error_kind_name(status->why_kind) : "_OTHER");
    add_server(&s->attributes, trigger->trigger ? trigger_destination(trigger->trigger) : NULL);
    snprintf(name, sizeof(name), "poll %s", trigger->type);
    if (start_at_ms < trace->start_at_ms)
        trace->start_at_ms = start_at_ms;
    add_span(trace, name, SPAN_CLIENT, start_at_ms, end_at_ms, &s->attributes, NULL, why);
}

/* Each answer that came since the last decision. */
static void tell_polls(struct story *s, struct trace *trace, const struct note *note,
                       const struct decision_input *inputs, size_t count, const struct object_status *status)
{
    for (size_t i = 0; i < count && i < note->policy->trigger_count; i++) {
        const struct trigger *trigger = note->policy->triggers[i].trigger;
        bool seen = status && status->policy == note->policy && i < status->trigger_count;

        if (!trigger || trigger_is_resource(trigger) || inputs[i].age_ms < 0 || inputs[i].state == SAMPLE_NONE ||
            note->at_ms - inputs[i].age_ms <= note->previous_at_ms)
            continue;
        tell_poll(s, trace, note, &inputs[i], i, seen ? &status->triggers[i] : NULL);
    }
}

static void tell_formula(struct story *s, struct trace *trace, const struct note *note)
{
    const struct decision *d = s->decision;
    bool failed = d->formula.type == FORMULA_FAILED;

    if (!d->has_formula)
        return;
    text_clear(&s->attributes);
    attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.formula.text",
                   note->policy->formula ? formula_source(note->policy->formula) : NULL);
    if (d->formula.type == FORMULA_NUMBER)
        attribute_double(&s->attributes, ATTRIBUTES_OF_SPAN, "weir.formula.value", d->formula.number);
    if (failed)
        attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "error.type", formula_fault_name(d->formula_fault));
    add_span(trace, "formula", SPAN_INTERNAL, note->at_ms, note->at_ms, &s->attributes, NULL,
             failed ? formula_fault_name(d->formula_fault) : NULL);
}

static void tell_steps(struct story *s, struct trace *trace, const struct note *note)
{
    struct decision_names names = {.triggers = note->policy->names,
                                   .trigger_count = note->policy->trigger_count,
                                   .formula = note->policy->formula ? formula_source(note->policy->formula) : NULL};

    text_clear(&s->events);
    for (uint16_t i = 0; i < s->decision->step_count; i++) {
        const struct decision_step *step = &s->decision->steps[i];

        text_clear(&s->words);
        decision_write_step(s->decision, i, &names, &s->words);
        text_clear(&s->attributes);
        attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN_EVENT, "weir.step.text", s->words.bytes);
        attribute_integer(&s->attributes, ATTRIBUTES_OF_SPAN_EVENT, "weir.replicas.before", step->before);
        attribute_integer(&s->attributes, ATTRIBUTES_OF_SPAN_EVENT, "weir.replicas.after", step->after);
        message_span_event(&s->events, note->at_ms, step_kind_name(step->kind), &s->attributes);
    }
    add_span(trace, "decide", SPAN_INTERNAL, note->at_ms, note->at_ms, NULL, &s->events, NULL);
}

/* ------------------------------------------------------------------ a trace */

/* By the id, so that who samples elsewhere by the same share takes the same ones. */
static struct trace *trace_new(struct story *s, const struct note *note)
{
    struct trace *trace = mem_alloc(sizeof(*trace));
    uint64_t number = 0;

    random_bytes(trace->id, sizeof(trace->id));
    random_bytes(trace->root, sizeof(trace->root));
    for (int i = 0; i < 8; i++)
        number = number << 8 | trace->id[8 + i];
    if (s->trace_ratio < 1 && (double)(number >> 1) >= s->trace_ratio * 0x1p63) {
        free(trace);
        return NULL;
    }
    text_init(&trace->spans, EXPORT_PART_MAX_BYTES);
    text_init(&trace->attributes, EXPORT_RESOURCE_MAX_BYTES);
    trace->start_at_ms = trace->decided_at_ms = note->at_ms;
    return trace;
}

static void trace_free(struct trace *trace)
{
    text_done(&trace->spans);
    text_done(&trace->attributes);
    free(trace);
}

/* The root comes last, for it ends last. */
static void trace_send(struct story *s, struct trace *trace, int64_t end_at_ms)
{
    message_span(&trace->spans, &(struct message_span){
                                    .trace_id = trace->id,
                                    .span_id = trace->root,
                                    .name = "decision",
                                    .kind = SPAN_INTERNAL,
                                    .start_at_ms = trace->start_at_ms,
                                    .end_at_ms = end_at_ms > trace->decided_at_ms ? end_at_ms : trace->decided_at_ms,
                                    .attributes = &trace->attributes,
                                    .error = trace->failed ? "not all triggers have a value" : NULL});
    if (trace->spans.overflowed || trace->attributes.overflowed)
        s->dropped_spans += trace->count + 1;
    else
        sender_add(s->traces, trace->spans.bytes, trace->spans.length, trace->count + 1);
    trace_free(trace);
}

static void trace_written(struct story *s, struct trace *trace, int64_t at_ms, const char *error)
{
    text_clear(&s->attributes);
    if (error)
        attribute_text(&s->attributes, ATTRIBUTES_OF_SPAN, "error.type", "write");
    add_span(trace, "scale", SPAN_INTERNAL, trace->decided_at_ms, at_ms, &s->attributes, NULL, error);
    trace_send(s, trace, at_ms);
}

/* ---- while it is being written ---- */

static void wait_for_write(struct story *s, struct known *known, struct trace *trace)
{
    trace->known = known;
    known->open = trace;
    trace->deadline_ticks_ms = loop_ticks_ms(s->parts.loop) + EXPORT_TRACE_WAIT_MS;
    trace->link = s->waiting_end;
    *s->waiting_end = trace;
    s->waiting_end = &trace->next;
    if (s->waiting == trace)
        loop_timer_set(s->wait_timer, EXPORT_TRACE_WAIT_MS);
}

static void stop_waiting(struct story *s, struct trace *trace)
{
    *trace->link = trace->next;
    if (trace->next)
        trace->next->link = trace->link;
    else
        s->waiting_end = trace->link;
    trace->known->open = NULL;
}

/* What was decided was not begun to be written, or takes very long: another Weir writes, an autoscaler of before is on its way out. */
static void on_waited(void *arg)
{
    struct story *s = arg;
    int64_t now = loop_ticks_ms(s->parts.loop);

    while (s->waiting && s->waiting->deadline_ticks_ms <= now) {
        struct trace *trace = s->waiting;

        stop_waiting(s, trace);
        trace_send(s, trace, trace->decided_at_ms);
    }
    if (s->waiting)
        loop_timer_set(s->wait_timer, s->waiting->deadline_ticks_ms - now);
}

/* ------------------------------------------------------------------ one note */

struct telling {
    struct story *story;
    const struct note *note;
    struct trace *trace;
};

static bool tell_spans(void *arg, const struct object_status *status)
{
    struct telling *t = arg;
    struct story *s = t->story;
    struct trace *trace = t->trace;
    const struct note *note = t->note;

    add_object(&trace->attributes, ATTRIBUTES_OF_SPAN, note);
    if (note->job) {
        trace->failed = note->job->error;
        tell_polls(s, trace, note, note->job->inputs, note->job->input_count, status);
        add_job(&trace->attributes, ATTRIBUTES_OF_SPAN, note->policy, note->job);
        add_span(trace, "decide", SPAN_INTERNAL, note->at_ms, note->at_ms, NULL, NULL, NULL);
    } else {
        trace->failed = s->decision->error;
        tell_polls(s, trace, note, s->decision->inputs, s->decision->input_count, status);
        add_decision(&trace->attributes, ATTRIBUTES_OF_SPAN, s->decision);
        tell_formula(s, trace, note);
        tell_steps(s, trace, note);
    }
    return true;
}

static void finish_trace(struct story *s, const struct note *note, struct trace *trace)
{
    struct known *known = map_get(s->objects, note->key);

    if (note->written)
        trace_written(s, trace, note->written_at_ms, note->write_error);
    else if (known && known->writing == note)
        wait_for_write(s, known, trace);
    else
        trace_send(s, trace, note->at_ms);
    if (known && known->writing == note)
        known->writing = NULL;
}

static void tell(struct story *s, const struct note *note)
{
    struct trace *trace = s->traces ? trace_new(s, note) : NULL;
    struct telling t = {.story = s, .note = note, .trace = trace};

    if (!note->job && !decision_unpack(note->packed, note->packed_bytes, s->decision)) {
        if (trace)
            trace_free(trace);
        return;
    }
    if (s->logs && note->news)
        tell_log(s, note, trace);
    if (!trace)
        return;
    if (!autoscaler_object(s->parts.autoscaler, note->key, tell_spans, &t))
        tell_spans(&t, NULL);
    finish_trace(s, note, trace);
}

static void tell_all(struct story *s, size_t max)
{
    while (s->first && max-- > 0) {
        struct note *note = s->first;
        struct known *known;

        s->first = note->next;
        if (!s->first)
            s->end = &s->first;
        s->count--;
        tell(s, note);
        known = map_get(s->objects, note->key);
        if (known && known->writing == note)
            known->writing = NULL; /* its trace is not among those that are sent */
        note_free(note);
    }
    if (s->first)
        loop_timer_set(s->timer, 0);
}

static void on_noted(void *arg)
{
    tell_all(arg, EXPORT_NOTES_PER_STEP);
}

/* ------------------------------------------------------------------ what else happens */

void story_written(struct story *s, const char *key, const struct error *err)
{
    struct known *known = map_get(s->objects, key);

    if (known && known->open) {
        struct trace *trace = known->open;

        stop_waiting(s, trace);
        trace_written(s, trace, loop_now_ms(s->parts.loop), err ? err->text : NULL);
    } else if (known && known->writing) {
        struct note *note = known->writing;

        note->written = true;
        note->written_at_ms = loop_now_ms(s->parts.loop);
        note->write_error = err ? mem_copy(err->text) : NULL;
        known->writing = NULL;
    }
}

static void forget(struct story *s, struct known *known)
{
    struct trace *trace = known->open;

    if (trace) {
        stop_waiting(s, trace);
        trace_send(s, trace, trace->decided_at_ms);
    }
    free(known);
}

void story_gone(struct story *s, const char *key)
{
    struct known *known = map_remove(s->objects, key);

    if (known)
        forget(s, known);
}

void story_finish(struct story *s)
{
    tell_all(s, SIZE_MAX);
    while (s->waiting) {
        struct trace *trace = s->waiting;

        stop_waiting(s, trace);
        trace_send(s, trace, trace->decided_at_ms);
    }
}

uint64_t story_dropped(const struct story *s, bool spans)
{
    return spans ? s->dropped_spans : s->dropped_records;
}

/* ------------------------------------------------------------------ life */

struct story *story_new(const struct export_parts *parts, const struct otlp_config *config, struct sender *logs,
                        struct sender *traces)
{
    struct story *s = mem_alloc(sizeof(*s));

    s->parts = *parts;
    s->logs = logs;
    s->traces = traces;
    s->trace_ratio = config->trace_ratio;
    s->objects = map_new();
    s->end = &s->first;
    s->waiting_end = &s->waiting;
    s->decision = mem_alloc(sizeof(*s->decision));
    text_init(&s->attributes, EXPORT_PART_MAX_BYTES);
    text_init(&s->events, EXPORT_PART_MAX_BYTES);
    text_init(&s->words, LOG_LINE_MAX_BYTES);
    s->timer = loop_timer_new(parts->loop, on_noted, s);
    s->wait_timer = loop_timer_new(parts->loop, on_waited, s);
    return s;
}

void story_free(struct story *s)
{
    const char *key;
    void *value;

    if (!s)
        return;
    while (s->first) {
        struct note *note = s->first;

        s->first = note->next;
        note_free(note);
    }
    while (s->waiting) {
        struct trace *trace = s->waiting;

        stop_waiting(s, trace);
        trace_free(trace);
    }
    for (size_t at = 0; map_next(s->objects, &at, &key, &value);)
        free(value);
    map_free(s->objects);
    loop_timer_free(s->timer);
    loop_timer_free(s->wait_timer);
    text_done(&s->attributes);
    text_done(&s->events);
    text_done(&s->words);
    free(s->decision);
    free(s);
}

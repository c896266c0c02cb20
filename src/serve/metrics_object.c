/*
 * metrics_object: what /metrics says of each object and its triggers. An object is shown once; its labels are written once and copied into
 * every line. Nothing is kept from page to page, so what is deleted is gone.
 */
#include "serve/metrics_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"

enum { FAMILY_MAX_BYTES = SERVER_ANSWER_MAX_BYTES };
enum { LABELS_OBJECT, LABELS_COMPOSITE, LABELS_TRIGGER /* and those after it */ };

/* What stands between the braces of a line, for the object that is being shown. */
struct labels {
    struct text text;
    size_t ends[LABELS_TRIGGER + TRIGGERS_MAX];
};
struct family { /* lines of one metric */
    const char *name;
    struct text *out;
    const struct labels *labels;
};

/* ------------------------------------------------------------------ labels */

/* KEDA's L; the name of a ScaledJob stands in scaledObject, too. */
static void add_trigger_labels(struct text *out, const struct object_status *s, const char *metric, const char *scaler,
                               size_t index)
{
    char number[16];

    snprintf(number, sizeof(number), "%zu", index);
    metrics_label(out, "namespace", s->policy->ns, true);
    metrics_label(out, "metric", metric, false);
    metrics_label(out, "scaledObject", s->policy->name, false);
    metrics_label(out, "scaler", scaler, false);
    metrics_label(out, "triggerIndex", number, false);
    metrics_label(out, "type", s->policy->is_job ? "scaledjob" : "scaledobject", false);
}

static void write_labels(struct labels *labels, const struct object_status *s)
{
    struct text *out = &labels->text;

    text_clear(out);
    metrics_label(out, "namespace", s->policy->ns, true);
    metrics_label(out, s->policy->is_job ? "scaledJob" : "scaledObject", s->policy->name, false);
    labels->ends[LABELS_OBJECT] = out->length;
    add_trigger_labels(out, s, "composite-metric", "composite-metric", 0);
    labels->ends[LABELS_COMPOSITE] = out->length;
    for (size_t i = 0; i < s->trigger_count && i < TRIGGERS_MAX; i++) {
        const struct trigger_status *t = &s->triggers[i];

        add_trigger_labels(out, s, t->metric_name ? t->metric_name : t->name,
                           s->policy->triggers[i].named ? t->name : trigger_scaler_name(t->type), i);
        labels->ends[LABELS_TRIGGER + i] = out->length;
    }
}

static void begin_line(const struct family *f, size_t which)
{
    size_t from = which == 0 ? 0 : f->labels->ends[which - 1];

    text_add(f->out, f->name);
    text_add_char(f->out, '{');
    text_append(f->out, f->labels->text.bytes + from, f->labels->ends[which] - from);
}

static void end_line(const struct family *f, double value)
{
    text_add_char(f->out, '}');
    metrics_value(f->out, value);
}

static void put(const struct family *f, size_t which, double value)
{
    begin_line(f, which);
    end_line(f, value);
}

static void put_with(const struct family *f, size_t which, const char *label, const char *word, double value)
{
    begin_line(f, which);
    metrics_label(f->out, label, word, false);
    end_line(f, value);
}

/* ------------------------------------------------------------------ per trigger (KEDA) */

static bool has_number(const struct object_status *s)
{
    return s->decision && s->decision->has_formula && s->decision->formula.type == FORMULA_NUMBER;
}

static void write_values(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        if (s->triggers[i].sample.state == SAMPLE_OK)
            put(f, LABELS_TRIGGER + i, s->triggers[i].sample.value);
    if (has_number(s))
        put(f, LABELS_COMPOSITE, s->decision->formula.number);
}

static void write_latency(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        if (s->triggers[i].age_ms >= 0)
            put(f, LABELS_TRIGGER + i, (double)s->triggers[i].took_ms / 1000);
}

static void write_active(const struct family *f, const struct object_status *s)
{
    size_t inputs = s->decision ? s->decision->input_count : s->job_decision ? s->job_decision->input_count : 0;

    if (s->decision && s->decision->has_formula) { /* as KEDA: with modifiers only the composite has a say */
        put(f, LABELS_COMPOSITE, s->decision->active);
        return;
    }
    for (size_t i = 0; i < s->trigger_count && i < inputs; i++) {
        const struct decision_input *input = s->decision ? &s->decision->inputs[i] : &s->job_decision->inputs[i];

        put(f, LABELS_TRIGGER + i, s->triggers[i].resource || input->active);
    }
}

static void write_failures(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        put(f, LABELS_TRIGGER + i, s->triggers[i].failures);
}

static const char *trigger_name(const struct object_status *s, size_t i)
{
    return s->policy->triggers[i].named ? s->triggers[i].name : "";
}

static void write_empties(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        const struct trigger_status *t = &s->triggers[i];

        if (t->nulls == NULLS_UNKNOWN)
            continue;
        text_add(f->out, f->name);
        text_add_char(f->out, '{');
        metrics_label(f->out, "namespace", s->policy->ns, true);
        metrics_label(f->out, "scaledResource", s->policy->name, false);
        metrics_label(f->out, "triggerName", trigger_name(s, i), false);
        metrics_label(f->out, "metricName", t->metric_name, false);
        metrics_label(f->out, "resourceType", s->policy->kind, false);
        metrics_label(f->out, "ignoreNullValues", t->nulls == NULLS_IGNORED ? "true" : "false", false);
        end_line(f, t->empties);
    }
}

static void write_requests(const struct family *f, const struct object_status *s)
{
    char buffer[16];

    for (size_t i = 0; i < s->trigger_count; i++) {
        const struct trigger_status *t = &s->triggers[i];

        for (size_t j = 0; j < t->request_count; j++) {
            text_add(f->out, f->name);
            text_add_char(f->out, '{');
            metrics_label(f->out, "namespace", s->policy->ns, true);
            metrics_label(f->out, "scaled_resource", s->policy->name, false);
            metrics_label(f->out, "scaler", t->type, false);
            metrics_label(f->out, "trigger_name", trigger_name(s, i), false);
            metrics_label(f->out, "metric_name", t->metric_name, false);
            metrics_label(f->out, "status_code", metrics_status_code(t->requests[j].status, buffer), false);
            end_line(f, t->requests[j].count);
        }
    }
}

/* ------------------------------------------------------------------ per object (KEDA) */

static void write_paused(const struct family *f, const struct object_status *s)
{
    const struct decide_rules *r = &s->policy->rules;

    if (!s->policy->is_job)
        put(f, LABELS_OBJECT, r->paused || r->has_paused_replicas || r->paused_scale_in || r->paused_scale_out);
}

static void write_object_errors(const struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job)
        put(f, LABELS_OBJECT, (double)s->errors);
}

static void write_job_errors(const struct family *f, const struct object_status *s)
{
    if (s->policy->is_job)
        put(f, LABELS_OBJECT, (double)s->errors);
}

static void write_lateness(const struct family *f, const struct object_status *s)
{
    text_add(f->out, f->name);
    text_add_char(f->out, '{');
    metrics_label(f->out, "namespace", s->policy->ns, true);
    metrics_label(f->out, "type", s->policy->is_job ? "scaledjob" : "scaledobject", false);
    metrics_label(f->out, "resource", s->policy->name, false);
    end_line(f, (double)s->late_ms / 1000);
}

/* ------------------------------------------------------------------ Weir's own */

static void write_age(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        if (s->triggers[i].age_ms >= 0)
            put(f, LABELS_TRIGGER + i, (double)s->triggers[i].age_ms / 1000);
}

static void write_state(const struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++)
        if (!s->triggers[i].resource)
            put_with(f, LABELS_TRIGGER + i, "state", sample_state_name(s->triggers[i].sample.state), 1);
}

static void write_info(const struct family *f, const struct object_status *s)
{
    static const char *const modes[] = {"direct", "hpa", "observe"};

    begin_line(f, LABELS_OBJECT);
    metrics_label(f->out, "mode", modes[s->policy->rules.mode], false);
    metrics_label(f->out, "target", s->policy->is_job || !s->policy->target.name ? "" : s->policy->target.name, false);
    end_line(f, 1);
}

static void write_reason(const struct family *f, const struct object_status *s)
{
    if (s->decision)
        put_with(f, LABELS_OBJECT, "reason", decision_reason_name(s->decision->reason), 1);
}

static void write_wanted(const struct family *f, const struct object_status *s)
{
    if (s->decision)
        put(f, LABELS_OBJECT, s->decision->after);
}

static void write_current(const struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job && s->target.known)
        put(f, LABELS_OBJECT, s->target.replicas);
}

static void write_ready(const struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job && s->target.known)
        put(f, LABELS_OBJECT, s->target.ready_replicas);
}

static void write_min(const struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job)
        put(f, LABELS_OBJECT, s->policy->rules.min);
}

static void write_max(const struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job)
        put(f, LABELS_OBJECT, s->policy->rules.max);
}

static void write_formula(const struct family *f, const struct object_status *s)
{
    if (has_number(s))
        put(f, LABELS_OBJECT, s->decision->formula.number);
}

static void write_fallback(const struct family *f, const struct object_status *s)
{
    if (s->decision)
        put(f, LABELS_OBJECT, s->decision->fallback);
}

static void write_held(const struct family *f, const struct object_status *s)
{
    if (s->decision)
        put(f, LABELS_OBJECT, s->decision->held);
}

static void write_slo(const struct family *f, const struct object_status *s)
{
    if (s->slo != SLO_UNKNOWN)
        put(f, LABELS_OBJECT, s->slo == SLO_HELD);
}

static void write_jobs(const struct family *f, const struct object_status *s)
{
    if (!s->job_decision)
        return;
    put_with(f, LABELS_OBJECT, "state", "running", s->job_decision->running - s->job_decision->pending);
    put_with(f, LABELS_OBJECT, "state", "pending", s->job_decision->pending);
}

static void write_refused(const struct family *f, const struct object_status *s)
{
    put(f, LABELS_OBJECT, s->problem != NULL);
}

static void write_changed(const struct family *f, const struct object_status *s)
{
    if (s->changed_at_ms > 0)
        put(f, LABELS_OBJECT, (double)s->changed_at_ms / 1000);
}

/* ------------------------------------------------------------------ all of them */

static const struct {
    const char *name, *type, *help;
    void (*write)(const struct family *family, const struct object_status *s);
} kinds[] = {
    {"keda_scaler_metrics_value", "gauge", "The last value of each trigger.", write_values},
    {"keda_scaler_metrics_latency_seconds", "gauge", "How long the last poll of each trigger took.", write_latency},
    {"keda_scaler_active", "gauge", "Whether each trigger is active.", write_active},
    {"keda_scaler_detail_errors_total", "counter", "Polls of each trigger that failed.", write_failures},
    {"keda_scaler_empty_upstream_responses_total", "counter", "Answers of each trigger's source without a value.",
     write_empties},
    {"keda_scaler_http_requests_total", "counter", "HTTP requests made for each trigger.", write_requests},
    {"keda_scaled_object_paused", "gauge", "Whether a ScaledObject is paused by annotation.", write_paused},
    {"keda_scaled_object_errors_total", "counter", "Evaluations of a ScaledObject with a failing trigger.",
     write_object_errors},
    {"keda_scaled_job_errors_total", "counter", "Evaluations of a ScaledJob with a failing trigger.", write_job_errors},
    {"keda_internal_scale_loop_latency_seconds", "gauge", "How late the last poll of each object was.", write_lateness},
    {"weir_object_info", "gauge", "1; how each object is treated, and what it scales.", write_info},
    {"weir_decision_reason", "gauge", "1 for the reason of each object's last decision.", write_reason},
    {"weir_outcome_changed_timestamp_seconds", "gauge", "When the outcome of each object's decisions last changed.",
     write_changed},
    {"weir_replicas_wanted", "gauge", "Replicas the last decision asks for.", write_wanted},
    {"weir_replicas_current", "gauge", "Replicas of the target, as its scale says.", write_current},
    {"weir_replicas_ready", "gauge", "Ready replicas of the target.", write_ready},
    {"weir_replicas_min", "gauge", "minReplicaCount.", write_min},
    {"weir_replicas_max", "gauge", "maxReplicaCount.", write_max},
    {"weir_formula_value", "gauge", "Result of the formula.", write_formula},
    {"weir_fallback_in_force", "gauge", "Whether fallback decides.", write_fallback},
    {"weir_held", "gauge", "Whether a missing or failed value holds the replicas.", write_held},
    {"weir_slo_held", "gauge", "Whether the objective of weir.dev/slo held at the last decision.", write_slo},
    {"weir_manifest_refused", "gauge", "Whether the newest version of a manifest is not in force.", write_refused},
    {"weir_jobs", "gauge", "Jobs of a ScaledJob that are not finished.", write_jobs},
    {"weir_sample_age_seconds", "gauge", "Age of each trigger's last answer.", write_age},
    {"weir_sample_state", "gauge", "1 for the state of each trigger's last answer.", write_state},
};
enum { FAMILIES = sizeof(kinds) / sizeof(kinds[0]) };

struct metrics_families {
    struct labels labels;
    struct text texts[FAMILIES];
    bool chosen[FAMILIES];
    size_t taken;
};

struct metrics_families *metrics_families_new(const char *only)
{
    struct metrics_families *families = mem_alloc(sizeof(*families));

    text_init(&families->labels.text, FAMILY_MAX_BYTES);
    for (size_t i = 0; i < FAMILIES; i++) {
        text_init(&families->texts[i], FAMILY_MAX_BYTES);
        families->chosen[i] = metrics_chosen(only, kinds[i].name);
        if (families->chosen[i])
            metrics_head(&families->texts[i], kinds[i].name, kinds[i].type, kinds[i].help);
    }
    return families;
}

void metrics_families_free(struct metrics_families *families)
{
    if (!families)
        return;
    for (size_t i = families->taken; i < FAMILIES; i++)
        text_done(&families->texts[i]);
    text_done(&families->labels.text);
    free(families);
}

void metrics_families_add(struct metrics_families *families, const struct object_status *s)
{
    struct family family = {.labels = &families->labels};

    write_labels(&families->labels, s);
    for (size_t i = 0; i < FAMILIES; i++) {
        if (!families->chosen[i])
            continue;
        family.name = kinds[i].name;
        family.out = &families->texts[i];
        kinds[i].write(&family, s);
    }
}

size_t metrics_families_bytes(const struct metrics_families *families)
{
    size_t bytes = 0;

    for (size_t i = families->taken; i < FAMILIES; i++)
        bytes += families->texts[i].length;
    return bytes;
}

bool metrics_families_take(struct metrics_families *families, struct text *out)
{
    if (families->taken == FAMILIES)
        return false;
    struct text *text = &families->texts[families->taken++];
    if (text->overflowed)
        out->overflowed = true;
    text_append(out, text->bytes, text->length);
    text_done(text);
    return true;
}

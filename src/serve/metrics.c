/*
 * metrics: Prometheus text. KEDA's names and labels, so that dashboards made for it work, and Weir's own as weir_*. One walk over the
 * objects fills a text per family; nothing is kept, so what is deleted is gone.
 */
#include "serve/serve_internal.h"

#include <assert.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "journal/journal.h"
#include "net/loop.h"
#include "trigger/trigger.h"

struct family {
    struct text *out; /* its own text */
    const char *name;
    struct text text;
};

static void add_label(struct text *out, const char *name, const char *value, bool first)
{
    text_printf(out, "%s%s=\"", first ? "" : ",", name);
    for (; *value; value++) {
        if (*value == '\n')
            text_add(out, "\\n");
        else if (*value == '"' || *value == '\\')
            text_printf(out, "\\%c", *value);
        else
            text_add_char(out, *value);
    }
    text_add_char(out, '"');
}

static void add_value(struct text *out, double value)
{
    text_add_char(out, ' ');
    text_add_number(out, value);
    text_add_char(out, '\n');
}

static void head(struct text *out, const char *name, const char *type, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct text *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    text_add(out, name);
    add_value(out, value);
}

/* ------------------------------------------------------------------ per trigger (KEDA) */

/* KEDA's label for a trigger without a name is the name of its implementation's type. */
static const char *scaler_label(const struct trigger_status *t, bool named)
{
    static const char *const labels[][2] = {
        {"cpu", "cpuMemoryScaler"},         {"cron", "cronScaler"},
        {"inference", "inferenceScaler"},   {"kubernetes-workload", "kubernetesWorkloadScaler"},
        {"memory", "cpuMemoryScaler"},      {"metrics-api", "metricsAPIScaler"},
        {"postgresql", "postgreSQLScaler"}, {"prometheus", "prometheusScaler"},
        {"redis", "redisScaler"},           {"redis-streams", "redisStreamsScaler"},
    };

    for (size_t i = 0; !named && i < sizeof(labels) / sizeof(labels[0]); i++)
        if (strcmp(labels[i][0], t->type) == 0)
            return labels[i][1];
    return t->name;
}

static void trigger_labels(struct family *f, const struct object_status *s, size_t i)
{
    const struct trigger_status *t = &s->triggers[i];
    char index[16];

    snprintf(index, sizeof(index), "%zu", i);
    text_printf(f->out, "%s{", f->name);
    add_label(f->out, "namespace", s->policy->ns, true);
    add_label(f->out, "metric", t->metric_name ? t->metric_name : t->name, false);
    add_label(f->out, "scaledObject", s->policy->name, false);
    add_label(f->out, "scaler", scaler_label(t, s->policy->triggers[i].named), false);
    add_label(f->out, "triggerIndex", index, false);
    add_label(f->out, "type", s->policy->is_job ? "scaledjob" : "scaledobject", false);
    text_add_char(f->out, '}');
}

static void composite_labels(struct family *f, const struct object_status *s)
{
    text_printf(f->out, "%s{", f->name);
    add_label(f->out, "namespace", s->policy->ns, true);
    add_label(f->out, "metric", "composite-metric", false);
    add_label(f->out, "scaledObject", s->policy->name, false);
    add_label(f->out, "scaler", "composite-metric", false);
    add_label(f->out, "triggerIndex", "0", false);
    add_label(f->out, "type", "scaledobject", false);
    text_add_char(f->out, '}');
}

static void write_values(struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        if (s->triggers[i].sample.state != SAMPLE_OK)
            continue;
        trigger_labels(f, s, i);
        add_value(f->out, s->triggers[i].sample.value);
    }
    if (s->decision && s->decision->has_formula && s->decision->formula.type == FORMULA_NUMBER) {
        composite_labels(f, s);
        add_value(f->out, s->decision->formula.number);
    }
}

static void write_latency(struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        if (s->triggers[i].age_ms < 0)
            continue;
        trigger_labels(f, s, i);
        add_value(f->out, (double)s->triggers[i].took_ms / 1000);
    }
}

static void write_active(struct family *f, const struct object_status *s)
{
    size_t inputs = s->decision ? s->decision->input_count : s->job_decision ? s->job_decision->input_count : 0;

    if (s->decision && s->decision->has_formula) { /* as KEDA: with modifiers only the composite has a say */
        composite_labels(f, s);
        add_value(f->out, s->decision->active);
        return;
    }
    for (size_t i = 0; i < s->trigger_count && i < inputs; i++) {
        const struct decision_input *input = s->decision ? &s->decision->inputs[i] : &s->job_decision->inputs[i];

        trigger_labels(f, s, i);
        add_value(f->out, s->triggers[i].resource || input->active);
    }
}

static void write_failures(struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        trigger_labels(f, s, i);
        add_value(f->out, s->triggers[i].failures);
    }
}

static void write_age(struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        if (s->triggers[i].age_ms < 0)
            continue;
        trigger_labels(f, s, i);
        add_value(f->out, (double)s->triggers[i].age_ms / 1000);
    }
}

static void write_state(struct family *f, const struct object_status *s)
{
    for (size_t i = 0; i < s->trigger_count; i++) {
        if (s->triggers[i].resource)
            continue;
        trigger_labels(f, s, i);
        f->out->bytes[--f->out->length] = '\0'; /* one more label */
        add_label(f->out, "state", sample_state_name(s->triggers[i].sample.state), false);
        text_add_char(f->out, '}');
        add_value(f->out, 1);
    }
}

/* ------------------------------------------------------------------ per object */

static void object_labels(struct family *f, const struct object_status *s)
{
    text_printf(f->out, "%s{", f->name);
    add_label(f->out, "namespace", s->policy->ns, true);
    add_label(f->out, s->policy->is_job ? "scaledJob" : "scaledObject", s->policy->name, false);
    text_add_char(f->out, '}');
}

static void write_paused(struct family *f, const struct object_status *s)
{
    const struct decide_rules *r = &s->policy->rules;

    if (s->policy->is_job)
        return;
    object_labels(f, s);
    add_value(f->out, r->paused || r->has_paused_replicas || r->paused_scale_in || r->paused_scale_out);
}

static void write_object_errors(struct family *f, const struct object_status *s)
{
    if (s->policy->is_job)
        return;
    object_labels(f, s);
    add_value(f->out, (double)s->errors);
}

static void write_job_errors(struct family *f, const struct object_status *s)
{
    if (!s->policy->is_job)
        return;
    object_labels(f, s);
    add_value(f->out, (double)s->errors);
}

static void write_lateness(struct family *f, const struct object_status *s)
{
    text_printf(f->out, "%s{", f->name);
    add_label(f->out, "namespace", s->policy->ns, true);
    add_label(f->out, "type", s->policy->is_job ? "scaledjob" : "scaledobject", false);
    add_label(f->out, "resource", s->policy->name, false);
    text_add_char(f->out, '}');
    add_value(f->out, (double)s->late_ms / 1000);
}

static void write_wanted(struct family *f, const struct object_status *s)
{
    if (!s->decision)
        return;
    object_labels(f, s);
    add_value(f->out, s->decision->after);
}

static void write_ready(struct family *f, const struct object_status *s)
{
    if (!s->target.known)
        return;
    object_labels(f, s);
    add_value(f->out, s->target.ready_replicas);
}

static void write_formula(struct family *f, const struct object_status *s)
{
    if (!s->decision || !s->decision->has_formula || s->decision->formula.type != FORMULA_NUMBER)
        return;
    object_labels(f, s);
    add_value(f->out, s->decision->formula.number);
}

static void write_fallback(struct family *f, const struct object_status *s)
{
    if (!s->decision)
        return;
    object_labels(f, s);
    add_value(f->out, s->decision->fallback);
}

static void write_held(struct family *f, const struct object_status *s)
{
    if (!s->decision)
        return;
    object_labels(f, s);
    add_value(f->out, s->decision->held);
}

static const struct {
    const char *name, *type, *help;
    void (*write)(struct family *family, const struct object_status *s);
} families[] = {
    {"keda_scaler_metrics_value", "gauge", "The last value of each trigger.", write_values},
    {"keda_scaler_metrics_latency_seconds", "gauge", "How long the last poll of each trigger took.", write_latency},
    {"keda_scaler_active", "gauge", "Whether each trigger is active.", write_active},
    {"keda_scaler_detail_errors_total", "counter", "Polls of each trigger that failed.", write_failures},
    {"keda_scaled_object_paused", "gauge", "Whether a ScaledObject is paused by annotation.", write_paused},
    {"keda_scaled_object_errors_total", "counter", "Evaluations of a ScaledObject with a failing trigger.",
     write_object_errors},
    {"keda_scaled_job_errors_total", "counter", "Evaluations of a ScaledJob with a failing trigger.", write_job_errors},
    {"keda_internal_scale_loop_latency_seconds", "gauge", "How late the last poll of each object was.", write_lateness},
    {"weir_sample_age_seconds", "gauge", "Age of each trigger's last answer.", write_age},
    {"weir_sample_state", "gauge", "1 for the state of each trigger's last answer.", write_state},
    {"weir_replicas_wanted", "gauge", "Replicas the last decision asks for.", write_wanted},
    {"weir_replicas_ready", "gauge", "Ready replicas of the target.", write_ready},
    {"weir_formula_value", "gauge", "Result of the formula.", write_formula},
    {"weir_fallback_in_force", "gauge", "Whether fallback decides.", write_fallback},
    {"weir_held", "gauge", "Whether a missing or failed value holds the replicas.", write_held},
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]), FAMILY_MAX_BYTES = 64 * 1024 * 1024 };

/* ------------------------------------------------------------------ the process */

struct totals {
    uint64_t objects, jobs;
    struct {
        const char *type;
        uint64_t count;
    } types[128];
    size_t type_count;
};

static void count_object(struct totals *totals, const struct object_status *s)
{
    if (s->policy->is_job)
        totals->jobs++;
    else
        totals->objects++;
    for (size_t i = 0; i < s->trigger_count; i++) {
        size_t t = 0;

        while (t < totals->type_count && strcmp(totals->types[t].type, s->triggers[i].type) != 0)
            t++;
        if (t == sizeof(totals->types) / sizeof(totals->types[0]))
            continue;
        if (t == totals->type_count)
            totals->types[totals->type_count++].type = s->triggers[i].type;
        totals->types[t].count++;
    }
}

struct walk {
    struct totals totals;
    struct family families[FAMILIES];
};

static bool on_object(void *arg, const struct object_status *s)
{
    struct walk *walk = arg;

    if (!s->policy)
        return true;
    count_object(&walk->totals, s);
    for (size_t i = 0; s->has_decision && i < FAMILIES; i++)
        families[i].write(&walk->families[i], s);
    return true;
}

static void write_families(struct walk *walk, struct autoscaler *a, struct text *out)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        struct family *f = &walk->families[i];

        text_init(&f->text, FAMILY_MAX_BYTES);
        f->out = &f->text;
        f->name = families[i].name;
        head(f->out, families[i].name, families[i].type, families[i].help);
    }
    autoscaler_objects(a, on_object, walk);
    for (size_t i = 0; i < FAMILIES; i++) {
        text_append(out, walk->families[i].text.bytes, walk->families[i].text.length);
        text_done(&walk->families[i].text);
    }
}

static void write_totals(const struct totals *totals, struct text *out)
{
    head(out, "keda_build_info", "gauge", "Version of this process.");
    text_add(out, "keda_build_info{version=\"" WEIR_VERSION
                  "\",git_commit=\"\",goversion=\"\",goos=\"linux\",goarch=\"\"} 1\n");
    head(out, "keda_resource_registered_total", "gauge", "Resources known, by type.");
    text_printf(out, "keda_resource_registered_total{type=\"scaled_object\"} %llu\n",
                (unsigned long long)totals->objects);
    text_printf(out, "keda_resource_registered_total{type=\"scaled_job\"} %llu\n", (unsigned long long)totals->jobs);
    head(out, "keda_trigger_registered_total", "gauge", "Triggers known, by type.");
    for (size_t i = 0; i < totals->type_count; i++)
        text_printf(out, "keda_trigger_registered_total{type=\"%s\"} %llu\n", totals->types[i].type,
                    (unsigned long long)totals->types[i].count);
}

static void write_sources(struct autoscaler *a, struct text *out)
{
    const struct trigger_stats *list;
    size_t count = trigger_engine_stats(autoscaler_engine(a), &list);

    head(out, "weir_polls_total", "counter", "Polls by trigger type and how they ended.");
    for (size_t i = 0; i < count; i++) {
        text_printf(out, "weir_polls_total{type=\"%s\",result=\"ok\"} %llu\n", list[i].type,
                    (unsigned long long)list[i].ok);
        text_printf(out, "weir_polls_total{type=\"%s\",result=\"missing\"} %llu\n", list[i].type,
                    (unsigned long long)list[i].missing);
        text_printf(out, "weir_polls_total{type=\"%s\",result=\"failed\"} %llu\n", list[i].type,
                    (unsigned long long)list[i].failed);
    }
    head(out, "weir_poll_requests_total", "counter", "Requests sent to sources, by trigger type.");
    for (size_t i = 0; i < count; i++)
        text_printf(out, "weir_poll_requests_total{type=\"%s\"} %llu\n", list[i].type,
                    (unsigned long long)list[i].requests);
}

static double heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (double)info.uordblks + (double)info.hblkhd;
}

static void write_process(struct autoscaler *a, double heap, struct text *out)
{
    struct autoscaler_stats stats;
    struct journal_stats journal = {.decisions = 0};

    autoscaler_stats(a, &stats);
    if (autoscaler_journal(a))
        journal_stats(autoscaler_journal(a), &journal);
    head(out, "weir_decisions_total", "counter", "Decisions by reason.");
    for (int i = 0; i < REASON_COUNT; i++)
        text_printf(out, "weir_decisions_total{reason=\"%s\"} %llu\n", decision_reason_name((enum decision_reason)i),
                    (unsigned long long)stats.by_reason[i]);
    single(out, "weir_object_polls_total", "counter", "Times an object was due.", (double)stats.polls);
    single(out, "weir_polls_shared_total", "counter", "Questions answered by another object's poll.",
           (double)stats.polls_shared);
    single(out, "weir_polls_late_total", "counter", "Polls later than a tenth of their interval.",
           (double)stats.polls_late);
    single(out, "weir_polls_skipped_total", "counter", "Polls left out because the one before still waited.",
           (double)stats.polls_skipped);
    single(out, "weir_questions", "gauge", "Different questions asked of sources.", (double)stats.questions);
    single(out, "weir_scales_total", "counter", "Replica counts and jobs written.", (double)stats.scales);
    single(out, "weir_scale_failures_total", "counter", "Writes that failed.", (double)stats.scale_failures);
    single(out, "weir_turns_total", "counter", "Turns of the loop that decided something.", (double)stats.turns);
    single(out, "weir_heap_bytes", "gauge", "Memory allocated and in use.", heap);
    single(out, "weir_journal_bytes", "gauge", "Size of the journal.", (double)journal.bytes);
    single(out, "weir_journal_decisions_total", "counter", "Decisions written down.", (double)journal.decisions);
    single(out, "weir_journal_failures_total", "counter", "Turns whose journal write failed.",
           (double)stats.journal_failures);
    single(out, "weir_first_decisions_done_seconds", "gauge",
           "From the start until every object had decided once; 0: not yet.",
           stats.first_decisions_done_at_ms ? (double)(stats.first_decisions_done_at_ms - stats.started_at_ms) / 1000
                                            : 0);
    head(out, "weir_log_lines_total", "counter", "Log lines by level.");
    text_printf(out, "weir_log_lines_total{level=\"warning\"} %lu\nweir_log_lines_total{level=\"error\"} %lu\n",
                log_count(LOG_LEVEL_WARNING), log_count(LOG_LEVEL_ERROR));
}

/* ------------------------------------------------------------------ what else runs in this process */

static struct {
    metrics_writer *write;
    void *arg;
} writers[METRICS_WRITERS_MAX];
static size_t writer_count;

void metrics_writer_add(metrics_writer *write, void *arg)
{
    assert(writer_count < METRICS_WRITERS_MAX);
    writers[writer_count].write = write;
    writers[writer_count++].arg = arg;
}

void metrics_writer_remove(void *arg)
{
    for (size_t i = 0; i < writer_count; i++) {
        if (writers[i].arg == arg)
            writers[i--] = writers[--writer_count];
    }
}

void serve_metrics(void *arg, const struct server_request *request, struct server_answer *answer)
{
    double heap = heap_bytes(); /* before this answer takes its own */
    struct walk *walk = mem_alloc(sizeof(*walk));

    (void)request;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    write_families(walk, arg, answer->body);
    write_totals(&walk->totals, answer->body);
    free(walk);
    write_sources(arg, answer->body);
    write_process(arg, heap, answer->body);
    for (size_t i = 0; i < writer_count; i++)
        writers[i].write(writers[i].arg, answer->body);
}

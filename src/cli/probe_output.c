/*
 * probe_output: see probe_output.h.
 *
 *     ScaledObject default/orders: 5 replicas, for 0 now
 *       queue     redis      42 of 10, active      3 ms
 *       errors    prometheus missing: the query matched no series
 *       0 -> 5: queue at 42 against a target of 10 asks for 5
 */
#include "cli/probe_output.h"

#include <stdio.h>
#include <string.h>

#include "autoscaler/autoscaler.h"
#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "policy/policy.h"

enum { REASON_MAX_BYTES = 4096, NAME_WIDTH = 24, TYPE_WIDTH = 20 };

bool probe_is_meant(const struct policy *policy, size_t i, const char *only)
{
    char place[24];

    snprintf(place, sizeof(place), "s%zu", i);
    return !only || string_equal(policy->names[i], only) || string_equal(policy->triggers[i].metric_name, only) ||
           string_equal(place, only);
}

/* ------------------------------------------------------------------ what is so */

struct answer {               /* one trigger, as it is shown */
    const char *state;        /* "ok", "missing", "failed" */
    const char *error, *note; /* or NULL */
    char words[300];          /* what one of them may point to */
    double target;            /* 0: none */
    bool is_active, knows_activity;
    int32_t proposal; /* replicas it asks for by itself; -1: none */
};

static bool is_paused(const struct policy *policy)
{
    return policy->is_job ? policy->job_rules.paused : policy->rules.paused;
}

/* Of one that has no sample: nobody asked, or nobody answered. */
static void explain_silence(const struct probe_output *o, const struct object_status *status,
                            const struct trigger_status *t, struct answer *a)
{
    char span[40];

    a->state = "missing";
    a->note = a->words;
    if (t->resource) {
        snprintf(a->words, sizeof(a->words), "it is read from the usage of the replicas' pods%s",
                 o->from_files ? ", which files do not tell: ask in the cluster, with --kubeconfig" : "");
    } else if (is_paused(status->policy)) {
        snprintf(a->words, sizeof(a->words), "the object is paused: its triggers are not asked");
    } else {
        duration_format_words(o->timeout_ms, span, sizeof(span));
        snprintf(a->words, sizeof(a->words), "no answer within %s (--timeout)", span);
        a->state = "failed";
        a->error = a->words;
        a->note = NULL;
    }
}

static void explain_sample(const struct trigger_status *t, struct answer *a)
{
    a->state = sample_state_name(t->sample.state);
    if (t->sample.state == SAMPLE_FAILED)
        a->error = *t->why ? t->why : "it failed, and nobody says why";
    else if (*t->why)
        a->note = t->why;
    else if (*t->note)
        a->note = t->note;
    else if (t->sample.stand_in)
        a->note = "the source has no value, and the manifest says which one counts then";
}

static const struct decision_input *input_of(const struct object_status *status, size_t i)
{
    if (status->decision)
        return i < status->decision->input_count ? &status->decision->inputs[i] : NULL;
    return status->job_decision && i < status->job_decision->input_count ? &status->job_decision->inputs[i] : NULL;
}

static double target_of(const struct policy *policy, size_t i)
{
    const struct decide_trigger *rules = policy->is_job ? policy->job_rules.triggers : policy->rules.triggers;
    double told = policy->triggers[i].trigger ? trigger_told_target(policy->triggers[i].trigger) : 0;

    return told > 0 ? told : rules[i].target;
}

/* It may point into itself, so it stays where it is. */
static void fill_answer(const struct probe_output *o, const struct object_status *status, size_t i, struct answer *a)
{
    const struct trigger_status *t = &status->triggers[i];
    const struct decision_input *input = input_of(status, i);

    *a = (struct answer){.target = target_of(status->policy, i), .proposal = -1};
    if (t->sample.state == SAMPLE_NONE)
        explain_silence(o, status, t, a);
    else
        explain_sample(t, a);
    if (!input || t->sample.state != SAMPLE_OK)
        return;
    a->knows_activity = !status->decision || !status->decision->has_formula; /* which then decides that */
    a->is_active = input->active;
    a->proposal = input->proposal;
}

/* -1: nothing was decided, or without some of the triggers. */
static int32_t wanted(const struct probe_output *o, const struct object_status *status)
{
    if (o->only)
        return -1;
    if (status->decision)
        return status->decision->after;
    return status->job_decision ? status->job_decision->running + status->job_decision->create : -1;
}

static int32_t running(const struct object_status *status)
{
    if (status->decision)
        return status->decision->before;
    return status->job_decision ? status->job_decision->running : -1;
}

static void write_reason(const struct probe_output *o, const struct object_status *status, struct text *out)
{
    if (status->problem && !status->policy)
        text_printf(out, "%s", status->problem);
    else if (o->only)
        text_printf(out, "not decided: only %s was asked", o->only);
    else if (status->decision)
        decision_write_summary(status->decision, &status->names, out);
    else if (status->job_decision)
        job_decision_write_summary(status->job_decision, out);
    else
        text_add(out, "not decided: not all is known");
}

/* ------------------------------------------------------------------ JSON */

static void add_member(struct text *out, const char *key, const char *value)
{
    if (!value)
        return;
    text_printf(out, ",\"%s\":", key);
    text_add_json_string(out, value, strlen(value));
}

static void add_number(struct text *out, const char *key, double value)
{
    text_printf(out, ",\"%s\":", key);
    text_add_number(out, value);
}

static void write_trigger_json(struct text *out, const struct trigger_status *t, const struct answer *a)
{
    text_add(out, "{\"name\":");
    text_add_json_string(out, t->name, strlen(t->name));
    add_member(out, "type", t->type);
    add_member(out, "state", a->state);
    if (t->sample.state == SAMPLE_OK)
        add_number(out, "value", t->sample.value);
    if (t->age_ms >= 0)
        text_printf(out, ",\"ageMs\":%lld", (long long)t->age_ms);
    else
        text_add(out, ",\"ageMs\":null");
    text_printf(out, ",\"tookMs\":%lld", (long long)t->took_ms);
    add_member(out, "error", a->error);
    add_member(out, "note", a->note);
    if (a->target > 0)
        add_number(out, "target", a->target);
    if (a->knows_activity)
        text_printf(out, ",\"active\":%s", a->is_active ? "true" : "false");
    if (a->proposal >= 0)
        text_printf(out, ",\"wants\":%d", a->proposal);
    text_add_char(out, '}');
}

/* ------------------------------------------------------------------ words */

static void pad(struct text *out, const char *word, int width)
{
    text_printf(out, " %-*s", width, word);
}

static void write_trigger_words(struct text *out, const struct trigger_status *t, const struct answer *a)
{
    const char *more = a->error ? a->error : a->note;

    text_add_char(out, ' ');
    pad(out, t->name, NAME_WIDTH);
    pad(out, t->type, TYPE_WIDTH);
    text_add_char(out, ' ');
    if (t->sample.state == SAMPLE_OK) {
        text_add_number(out, t->sample.value);
        if (a->target > 0) {
            text_add(out, " of ");
            text_add_number(out, a->target);
        }
        if (a->knows_activity)
            text_add(out, a->is_active ? ", active" : ", not active");
        if (a->proposal >= 0)
            text_printf(out, ", asks for %d", a->proposal);
        text_printf(out, "; %lld ms", (long long)t->took_ms);
    } else {
        text_add(out, a->state);
    }
    if (more)
        text_printf(out, ": %s", more);
    text_add_char(out, '\n');
}

/* ------------------------------------------------------------------ one object */

static void write_triggers(struct probe_output *o, const struct object_status *status)
{
    size_t shown = 0;

    for (size_t i = 0; i < status->trigger_count; i++) {
        struct answer a;

        if (!probe_is_meant(status->policy, i, o->only))
            continue;
        fill_answer(o, status, i, &a);
        o->triggers++;
        o->bad += strcmp(a.state, "ok") != 0;
        if (o->json) {
            text_add(o->out, shown++ > 0 ? "," : "");
            write_trigger_json(o->out, &status->triggers[i], &a);
        } else {
            write_trigger_words(o->out, &status->triggers[i], &a);
        }
    }
}

static void write_object_json(struct probe_output *o, const struct object_status *status, const char *reason)
{
    text_printf(o->out, "%s{\"object\":", o->objects > 1 ? "," : "");
    text_add_json_string(o->out, status->key, strlen(status->key));
    text_add(o->out, ",\"triggers\":[");
    if (status->policy)
        write_triggers(o, status);
    text_add_char(o->out, ']');
    if (!o->only && status->decision && status->decision->has_formula &&
        status->decision->formula.type == FORMULA_NUMBER)
        add_number(o->out, "formula", status->decision->formula.number);
    if (running(status) >= 0)
        text_printf(o->out, ",\"replicas\":%d", running(status));
    if (wanted(o, status) >= 0)
        text_printf(o->out, ",\"wants\":%d", wanted(o, status));
    add_member(o->out, "reason", reason);
    text_add_char(o->out, '}');
}

static void write_object_words(struct probe_output *o, const struct object_status *status, const char *reason)
{
    bool job = status->policy && status->policy->is_job;

    int32_t replicas = wanted(o, status), now = running(status);

    text_printf(o->out, "%s%s", o->objects > 1 ? "\n" : "", status->key);
    if (replicas >= 0)
        text_printf(o->out, ": would have %d %s%s, where %d run%s%s", replicas, job ? "job" : "replica",
                    replicas == 1 ? "" : "s", now, now == 1 ? "s" : "", o->from_files && !job ? " by the files" : "");
    text_add_char(o->out, '\n');
    if (status->policy)
        write_triggers(o, status);
    text_printf(o->out, "  %s\n", reason);
}

static bool concerns(const struct probe_output *o, const struct object_status *status)
{
    if (!status->policy || !o->only)
        return true;
    for (size_t i = 0; i < status->trigger_count; i++)
        if (probe_is_meant(status->policy, i, o->only))
            return true;
    return false;
}

void probe_output_object(struct probe_output *o, const struct object_status *status)
{
    struct text reason;

    if (!concerns(o, status))
        return;
    o->objects++;
    o->bad += status->policy == NULL;
    text_init(&reason, REASON_MAX_BYTES);
    write_reason(o, status, &reason);
    if (o->json)
        write_object_json(o, status, reason.bytes);
    else
        write_object_words(o, status, reason.bytes);
    text_done(&reason);
}

void probe_output_begin(struct probe_output *o)
{
    if (o->json)
        text_add(o->out, "{\"objects\":[");
}

void probe_output_end(struct probe_output *o)
{
    if (o->json)
        text_add(o->out, "]}\n");
    else
        text_tame(o->out, true);
}

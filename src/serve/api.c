/* api: objects, decisions and findings as JSON (docs/api.md). */
#include "serve/serve_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/time.h"
#include "formula/formula.h"
#include "journal/journal.h"
#include "net/loop.h"

enum { DECISIONS_SHOWN = 20, DECISIONS_SHOWN_MAX = 1000, ADDRESS_MAX = 300 };

static void fail(struct server_answer *answer, int status, const char *text)
{
    struct json json = {.out = answer->body};

    answer->status = status;
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "error", text);
    json_put_close(&json, '}');
}

/* ------------------------------------------------------------------ one object */

static const char *mode_name(enum decide_mode mode)
{
    return mode == DECIDE_HPA ? "hpa" : mode == DECIDE_OBSERVE ? "observe" : "direct";
}

static void write_target(struct json *json, const struct object_status *s)
{
    const struct policy *p = s->policy;

    json_put_open(json, "target", '{');
    json_put_string(json, "apiVersion", p->target.api_version);
    json_put_string(json, "kind", p->target.kind);
    json_put_string(json, "name", p->target.name);
    json_put_close(json, '}');
    json_put_integer(json, "minReplicas", p->rules.min);
    json_put_integer(json, "maxReplicas", p->rules.max);
    if (!s->target.known) {
        json_put_string(json, "targetError", s->target.error.text);
        return;
    }
    json_put_integer(json, "specReplicas", s->target.replicas);
    json_put_integer(json, "statusReplicas", s->target.status_replicas);
    json_put_integer(json, "readyReplicas", s->target.ready_replicas);
}

static void write_summary(struct json *json, const struct object_status *s)
{
    struct text summary;

    text_init(&summary, LOG_LINE_MAX_BYTES);
    if (s->decision)
        decision_write_summary(s->decision, &s->names, &summary);
    else if (s->job_decision)
        job_decision_write_summary(s->job_decision, &summary);
    json_put_string(json, "summary", summary.bytes);
    text_done(&summary);
}

/* What the list and the single object have in common. */
static void write_head(struct json *json, const struct object_status *s)
{
    const char *slash = strchr(s->key, '/');
    const char *name = slash ? strchr(slash + 1, '/') : NULL;
    char kind[64], ns[256];

    snprintf(kind, sizeof(kind), "%.*s", slash ? (int)(slash - s->key) : 0, s->key);
    snprintf(ns, sizeof(ns), "%.*s", name ? (int)(name - slash - 1) : 0, slash ? slash + 1 : "");
    json_put_string(json, "kind", kind);
    json_put_string(json, "namespace", ns);
    json_put_string(json, "name", name ? name + 1 : s->key);
    json_put_string(json, "file", s->file);
    json_put_string(json, "ready", s->ready);
    json_put_string(json, "readyReason", s->ready_reason);
    json_put_string(json, "problem", s->problem);
    if (!s->policy)
        return;
    json_put_string(json, "mode", mode_name(s->policy->rules.mode));
    if (!s->policy->is_job)
        write_target(json, s);
    if (s->decision) {
        json_put_integer(json, "wantedReplicas", s->decision->after);
        json_put_bool(json, "active", s->decision->active);
        json_put_bool(json, "fallback", s->decision->fallback);
        json_put_bool(json, "paused", s->decision->paused);
        json_put_bool(json, "held", s->decision->held);
        json_put_string(json, "reason", decision_reason_name(s->decision->reason));
    } else if (s->job_decision) {
        json_put_integer(json, "running", s->job_decision->running);
        json_put_integer(json, "pending", s->job_decision->pending);
        json_put_bool(json, "active", s->job_decision->active);
    }
    write_summary(json, s);
    json_put_time(json, "changedAt", s->changed_at_ms);
}

static void write_triggers(struct json *json, const struct object_status *s)
{
    json_put_open(json, "triggers", '[');
    for (size_t i = 0; i < s->trigger_count; i++) {
        const struct trigger_status *t = &s->triggers[i];
        const struct decide_trigger *rules =
            s->policy->is_job ? s->policy->job_rules.triggers : s->policy->rules.triggers;

        json_put_open(json, NULL, '{');
        json_put_string(json, "name", t->name);
        json_put_string(json, "type", t->type);
        json_put_string(json, "metricName", t->metric_name);
        json_put_string(json, "source", t->destination);
        json_put_string(json, "state", t->resource ? "resource" : sample_state_name(t->sample.state));
        if (t->sample.state == SAMPLE_OK)
            json_put_number(json, "value", t->sample.value);
        if (t->age_ms >= 0)
            json_put_number(json, "ageSeconds", (double)t->age_ms / 1000);
        if (*t->why)
            json_put_string(json, "why", t->why);
        if (rules[i].target != 0)
            json_put_number(json, "target", rules[i].target);
        json_put_number(json, "activation", rules[i].activation);
        json_put_number(json, "tookMs", (double)t->took_ms);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

static void write_replicas(struct json *json, const struct object_status *s)
{
    json_put_open(json, "replicas", '[');
    for (size_t i = 0; i < s->pod_count; i++) {
        const struct pod_view *pod = &s->pods[i];
        char address[ADDRESS_MAX];

        json_put_open(json, NULL, '{');
        json_put_string(json, "name", pod->name);
        json_put_bool(json, "ready", pod->ready == POD_READY_TRUE);
        json_put_bool(json, "terminating", pod->deleted);
        if (pod->port != 0) {
            snprintf(address, sizeof(address), strchr(pod->host, ':') ? "[%s]:%d" : "%s:%d", pod->host, pod->port);
            json_put_string(json, "address", address);
        }
        json_put_time(json, "startedAt", pod->start_at_ms);
        json_put_integer(json, "restarts", pod->restarts);
        if (pod->note && *pod->note)
            json_put_string(json, "note", pod->note);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

static void write_jobs(struct json *json, const struct object_status *s)
{
    json_put_open(json, "jobs", '[');
    for (size_t i = 0; i < s->job_count; i++) {
        const struct job_view *job = &s->jobs[i];

        json_put_open(json, NULL, '{');
        json_put_string(json, "name", job->name);
        json_put_string(json, "state",
                        !job->finished   ? (job->pending ? "pending" : "running")
                        : job->succeeded ? "succeeded"
                                         : "failed");
        json_put_time(json, "createdAt", job->created_at_ms);
        json_put_time(json, "finishedAt", job->finished_at_ms);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

static void write_decision(struct json *json, const char *key, const struct decision *decision,
                           const struct job_decision *job, const struct decision_names *names)
{
    struct text record;

    text_init(&record, 4 * 1024 * 1024);
    if (decision)
        decision_write_json(decision, names, &record);
    else if (job)
        job_decision_write_json(job, names, &record);
    else
        text_add(&record, "null");
    json_put_raw(json, key, &record);
    text_done(&record);
}

static bool on_object(void *arg, const struct object_status *s)
{
    struct json *json = arg;

    json_put_open(json, NULL, '{');
    write_head(json, s);
    if (s->policy) {
        json_put_time(json, "createdAt", s->created_at_ms);
        json_put_time(json, "lastActiveAt", s->last_active_at_ms);
        json_put_number(json, "nextPollInSeconds", (double)s->next_poll_in_ms / 1000);
        json_put_integer(json, "polls", (int64_t)s->polls);
        json_put_integer(json, "decisions", (int64_t)s->decisions);
        if (s->policy->formula)
            json_put_string(json, "formula", formula_source(s->policy->formula));
        write_triggers(json, s);
        if (s->policy->is_job)
            write_jobs(json, s);
        else
            write_replicas(json, s);
        write_decision(json, "decision", s->decision, s->job_decision, &s->names);
    }
    json_put_close(json, '}');
    return true;
}

/* ?kind= or the first that exists, ScaledObject before ScaledJob. */
static bool find_key(struct autoscaler *a, const struct server_request *request, char *key, size_t size)
{
    static const char *const kinds[] = {"ScaledObject", "ScaledJob"};
    const char *kind = server_query(request, "kind");

    for (size_t i = 0; i < 2; i++) {
        if (kind && strcmp(kind, kinds[i]) != 0)
            continue;
        snprintf(key, size, "%s/%s/%s", kinds[i], request->segments[0], request->segments[1]);
        if (autoscaler_has_object(a, key))
            return true;
    }
    return false;
}

void serve_object(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};
    char key[600];

    if (find_key(arg, request, key, sizeof(key)))
        autoscaler_object(arg, key, on_object, &json);
    else
        fail(answer, 404, "there is no such object; GET /api/v1/objects lists them");
}

/* ------------------------------------------------------------------ the list */

struct listing {
    struct json json;
    const char *ns, *kind;
};

static bool on_listed(void *arg, const struct object_status *s)
{
    struct listing *listing = arg;
    const char *behind_kind = strchr(s->key, '/');
    char prefix[300];

    assert(behind_kind);
    snprintf(prefix, sizeof(prefix), "/%s/", listing->ns ? listing->ns : "");
    if ((listing->kind &&
         (strncmp(s->key, listing->kind, strlen(listing->kind)) != 0 || s->key[strlen(listing->kind)] != '/')) ||
        (listing->ns && strncmp(behind_kind, prefix, strlen(prefix)) != 0))
        return true;
    json_put_open(&listing->json, NULL, '{');
    write_head(&listing->json, s);
    json_put_close(&listing->json, '}');
    return !listing->json.out->overflowed;
}

void serve_objects(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct listing listing = {
        .json = {.out = answer->body}, .ns = server_query(request, "namespace"), .kind = server_query(request, "kind")};

    json_put_open(&listing.json, NULL, '{');
    json_put_open(&listing.json, "objects", '[');
    autoscaler_objects(arg, on_listed, &listing);
    json_put_close(&listing.json, ']');
    json_put_close(&listing.json, '}');
}

/* ------------------------------------------------------------------ decisions */

static bool on_entry(void *arg, const struct journal_entry *entry)
{
    struct json *json = arg;
    size_t inputs = entry->decision ? entry->decision->input_count : entry->job_decision->input_count;

    json_put_open(json, NULL, '{');
    json_put_time(json, "at", entry->at_ms);
    write_decision(json, "decision", entry->decision, entry->job_decision, &entry->names);
    json_put_open(json, "notes", '[');
    for (size_t i = 0; i < inputs; i++)
        json_put_string(json, NULL, entry->notes[i]);
    json_put_close(json, ']');
    json_put_close(json, '}');
    return !json->out->overflowed;
}

static bool query_time(const struct server_request *request, const char *name, int64_t *at_ms,
                       struct server_answer *answer)
{
    const char *value = server_query(request, name);

    if (!value || instant_parse(value, at_ms))
        return true;
    fail(answer, 400, "since and until are instants like 2026-01-31T12:00:00Z");
    return false;
}

void serve_decisions(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct autoscaler *a = arg;
    struct json json = {.out = answer->body};
    const char *limit_text = server_query(request, "limit");
    int64_t since = 0, until = loop_now_ms(autoscaler_loop(a));
    long limit = limit_text ? strtol(limit_text, NULL, 10) : DECISIONS_SHOWN;
    char key[600];

    if (!query_time(request, "since", &since, answer) || !query_time(request, "until", &until, answer))
        return;
    if (limit < 1 || limit > DECISIONS_SHOWN_MAX) {
        fail(answer, 400, "limit is a number from 1 to 1000");
        return;
    }
    if (!find_key(a, request, key, sizeof(key))) {
        fail(answer, 404, "there is no such object; GET /api/v1/objects lists them");
        return;
    }
    json_put_open(&json, NULL, '{');
    json_put_open(&json, "decisions", '[');
    if (autoscaler_journal(a))
        journal_decisions(autoscaler_journal(a), key, since, until, (size_t)limit, on_entry, &json);
    json_put_close(&json, ']');
    json_put_close(&json, '}');
}

/* ------------------------------------------------------------------ the rest */

void serve_findings(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)request;
    report_write_json(autoscaler_report(arg), answer->body);
}

void serve_version(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};

    (void)arg, (void)request;
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "version", WEIR_VERSION);
    json_put_close(&json, '}');
}

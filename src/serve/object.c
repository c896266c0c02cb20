/* object: one object in full: its triggers, what runs of it, the last decision. */
#include "serve/serve_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "formula/formula.h"

enum { ADDRESS_MAX = 300, DECISION_JSON_MAX_BYTES = 4 * 1024 * 1024 };
#define END_MAX_MS                                                                                                     \
    253402300800000.0 /* the year 10000: no instant of RFC 3339 any more, and nothing that anybody waits for */

/* ------------------------------------------------------------------ triggers */

static void write_credentials(struct json *json, const struct trigger_status *t)
{
    if (t->credential_count == 0)
        return;
    json_put_open(json, "credentials", '[');
    for (size_t i = 0; i < t->credential_count; i++) {
        json_put_open(json, NULL, '{');
        json_put_string(json, "kind", t->credentials[i].kind);
        json_put_string(json, "name", t->credentials[i].name);
        json_put_number(json, "ageSeconds", (double)t->credentials[i].age_ms / 1000);
        json_put_close(json, '}');
    }
    json_put_close(json, ']');
}

static void write_sample(struct json *json, const struct trigger_status *t)
{
    json_put_string(json, "state", t->resource ? "resource" : sample_state_name(t->sample.state));
    if (t->sample.state == SAMPLE_OK)
        json_put_number(json, "value", t->sample.value);
    if (t->age_ms >= 0)
        json_put_number(json, "ageSeconds", (double)t->age_ms / 1000);
    if (*t->why)
        json_put_string(json, "why", t->why);
}

static void write_trigger(struct json *json, const struct trigger_status *t, const struct decide_trigger *rules)
{
    json_put_open(json, NULL, '{');
    json_put_string(json, "name", t->name);
    json_put_string(json, "type", t->type);
    json_put_string(json, "metricName", t->metric_name);
    json_put_string(json, "source", t->destination);
    write_sample(json, t);
    if (rules->target != 0)
        json_put_number(json, "target", rules->target);
    json_put_number(json, "activation", rules->activation);
    json_put_number(json, "tookMs", (double)t->took_ms);
    json_put_integer(json, "failures", t->failures);
    json_put_integer(json, "sharedWith", t->shared_with);
    write_credentials(json, t);
    json_put_close(json, '}');
}

static void write_triggers(struct json *json, const struct object_status *s)
{
    const struct decide_trigger *rules = s->policy->is_job ? s->policy->job_rules.triggers : s->policy->rules.triggers;

    json_put_open(json, "triggers", '[');
    for (size_t i = 0; i < s->trigger_count; i++)
        write_trigger(json, &s->triggers[i], &rules[i]);
    json_put_close(json, ']');
}

/* ------------------------------------------------------------------ what runs */

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

/* ------------------------------------------------------------------ decisions */

/* When what the last decision waits for ends: the first of its steps of that kind that says so; 0: it waits for no such thing. */
static int64_t end_of(const struct object_status *s, enum step_kind kind)
{
    int64_t first_ms = 0;

    for (uint16_t i = 0; s->decision && i < s->decision->step_count; i++) {
        const struct decision_step *step = &s->decision->steps[i];
        double end_ms = step->limit * 1000;

        if (step->kind == kind && end_ms > 0 && end_ms < END_MAX_MS && (first_ms == 0 || end_ms < (double)first_ms))
            first_ms = (int64_t)end_ms;
    }
    return first_ms;
}

static void write_rules(struct json *json, const struct object_status *s)
{
    const struct decide_rules *rules = &s->policy->rules;

    if (s->policy->is_job)
        return;
    if (rules->min == 0 || rules->idle >= 0)
        json_put_number(json, "cooldownSeconds", (double)rules->cooldown_ms / 1000);
    json_put_time(json, "cooldownEndsAt", end_of(s, STEP_COOLDOWN));
    json_put_time(json, "holdEndsAt", end_of(s, STEP_HELD_MISSING));
    if (!s->policy->formula)
        return;
    json_put_string(json, "formula", formula_source(s->policy->formula));
    if (rules->formula_target > 0)
        json_put_number(json, "formulaTarget", rules->formula_target);
}

void json_put_decision(struct json *json, const char *key, const struct decision *decision,
                       const struct job_decision *job, const struct decision_names *names)
{
    struct text record;

    text_init(&record, DECISION_JSON_MAX_BYTES);
    if (decision)
        decision_write_json(decision, names, &record);
    else if (job)
        job_decision_write_json(job, names, &record);
    else
        text_add(&record, "null");
    json_put_raw(json, key, &record);
    text_done(&record);
}

/* ------------------------------------------------------------------ the object */

bool object_write(void *arg, const struct object_status *s)
{
    struct json *json = arg;

    json_put_open(json, NULL, '{');
    row_write_members(json, s);
    if (s->policy) {
        json_put_time(json, "createdAt", s->created_at_ms);
        json_put_time(json, "lastActiveAt", s->last_active_at_ms);
        json_put_number(json, "nextPollInSeconds", (double)s->next_poll_in_ms / 1000);
        json_put_integer(json, "polls", (int64_t)s->polls);
        json_put_integer(json, "decisions", (int64_t)s->decisions);
        write_rules(json, s);
        write_triggers(json, s);
        if (s->policy->is_job)
            write_jobs(json, s);
        else
            write_replicas(json, s);
        json_put_decision(json, "decision", s->decision, s->job_decision, &s->names);
    }
    json_put_close(json, '}');
    return true;
}

void serve_object(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct json json = {.out = answer->body};
    char key[QUERY_KEY_BYTES];

    if (query_object(arg, request, key, answer))
        autoscaler_object(arg, key, object_write, &json);
}

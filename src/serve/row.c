/*
 * row: an object in short, as the list, the stream and the object in full have it; its state, and how much it needs somebody to look.
 *
 * The state is the worst that is true of an object. `attention` orders them for people: first what nobody will mend by itself (a manifest
 * that is not in force, a source that fails with no fallback), then what is bridged over (fallback, a value that is held), then an object
 * at its maximum that would have more; what somebody wanted so (paused) comes before what needs nobody.
 */
#include "serve/serve_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "decide/jobs.h"

enum { ATTENTION_AT_MAX = 40 };

static const struct {
    const char *name;
    int attention;
} states[ROW_STATES] = {
    [ROW_BAD] = {"bad", 100},  [ROW_FAILED] = {"failed", 80},  [ROW_FALLBACK] = {"fallback", 60},
    [ROW_HELD] = {"held", 50}, [ROW_PAUSED] = {"paused", 20},  [ROW_ACTIVE] = {"active", 0},
    [ROW_IDLE] = {"idle", 0},  [ROW_UNKNOWN] = {"unknown", 0},
};

const char *row_state_name(enum row_state state)
{
    return states[state].name;
}

static bool is_paused(const struct object_status *s)
{
    return (s->decision && s->decision->paused) ||
           (s->policy->is_job ? s->policy->job_rules.paused : s->policy->rules.paused);
}

/* A target that is being looked for has not failed. */
static bool has_failed(const struct object_status *s)
{
    bool lost = !s->policy->is_job && !s->target.known && s->target.error.kind != ERROR_NONE;

    return lost || (s->decision && s->decision->error) || (s->job_decision && s->job_decision->error);
}

enum row_state row_state(const struct object_status *s)
{
    if (s->problem)
        return ROW_BAD;
    if (!s->policy)
        return ROW_UNKNOWN;
    if (has_failed(s))
        return ROW_FAILED;
    if (s->decision && s->decision->fallback)
        return ROW_FALLBACK;
    if (s->decision && s->decision->held)
        return ROW_HELD;
    if (is_paused(s))
        return ROW_PAUSED;
    if (!s->has_decision)
        return ROW_UNKNOWN;
    return (s->decision ? s->decision->active : s->job_decision->active) ? ROW_ACTIVE : ROW_IDLE;
}

/* At its maximum, and what it wishes is more. */
static bool wants_more(const struct object_status *s)
{
    if (s->decision)
        return s->decision->wished > s->policy->rules.max;
    if (!s->job_decision)
        return false;
    struct job_bounds bounds = job_bounds(&s->policy->job_rules);
    return s->job_decision->max_scale >= bounds.max && s->job_decision->running >= bounds.max;
}

int row_attention(const struct object_status *s)
{
    int attention = states[row_state(s)].attention;

    if (attention < ATTENTION_AT_MAX && s->policy && !is_paused(s) && wants_more(s))
        return ATTENTION_AT_MAX;
    return attention;
}

/* ------------------------------------------------------------------ the row */

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

static bool seen_before(const struct object_status *s, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(s->triggers[j].type, s->triggers[i].type) == 0)
            return true;
    return false;
}

static void write_types(struct json *json, const struct object_status *s)
{
    json_put_open(json, "triggerTypes", '[');
    for (size_t i = 0; i < s->trigger_count; i++)
        if (!seen_before(s, i))
            json_put_string(json, NULL, s->triggers[i].type);
    json_put_close(json, ']');
}

void row_write_names(struct json *json, const char *key)
{
    const char *slash = strchr(key, '/');
    const char *name = slash ? strchr(slash + 1, '/') : NULL;
    char kind[64], ns[256];

    snprintf(kind, sizeof(kind), "%.*s", slash ? (int)(slash - key) : 0, key);
    snprintf(ns, sizeof(ns), "%.*s", name ? (int)(name - slash - 1) : 0, slash ? slash + 1 : "");
    json_put_string(json, "kind", kind);
    json_put_string(json, "namespace", ns);
    json_put_string(json, "name", name ? name + 1 : key);
}

void row_write_members(struct json *json, const struct object_status *s)
{
    row_write_names(json, s->key);
    json_put_string(json, "file", s->file);
    json_put_string(json, "ready", s->ready);
    json_put_string(json, "readyReason", s->ready_reason);
    json_put_string(json, "problem", s->problem);
    json_put_string(json, "state", row_state_name(row_state(s)));
    json_put_integer(json, "attention", row_attention(s));
    write_types(json, s);
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

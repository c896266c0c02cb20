/*
 * status_patch: the status as it is written, one merge patch of all of it. What stood there and is not so any more is taken away by
 * null: names of metrics above all, which come and go with triggers.
 */
#include "autoscaler/status_internal.h"

#include <stdio.h>
#include <string.h>

static void add_key(struct text *out, const char *key)
{
    char last = out->bytes[out->length - 1];

    text_add(out, last == '{' || last == '[' ? "" : ",");
    text_add_json_string(out, key, strlen(key));
    text_add(out, ":");
}

static void add_string(struct text *out, const char *key, const char *value)
{
    add_key(out, key);
    text_add_json_string(out, value, strlen(value));
}

/* Leaves it away where it is empty: null takes away what may have stood there. */
static void add_string_or_null(struct text *out, const char *key, const char *value)
{
    if (value && *value) {
        add_string(out, key, value);
    } else {
        add_key(out, key);
        text_add(out, "null");
    }
}

static void add_conditions(const struct telling *t, struct text *out)
{
    add_key(out, "conditions");
    text_add(out, "[");
    for (int i = 0; i < CONDITIONS; i++) {
        const char *message = status_message(t, (enum condition_type)i);

        if (t->conditions[i].status == KEDA_UNTOUCHED)
            continue;
        text_add(out, i ? ",{" : "{");
        add_string(out, "type", condition_names[i]);
        add_string(out, "status", keda_status_name(t->conditions[i].status));
        if (*t->conditions[i].reason)
            add_string(out, "reason", t->conditions[i].reason);
        if (*message)
            add_string(out, "message", message);
        text_add(out, "}");
    }
    text_add(out, "]");
}

/* Without repetition, with commas, in the order of the triggers. */
static void add_once(struct text *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list->bytes; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list->bytes || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
            return;
    text_add(list, list->length ? "," : "");
    text_add(list, word);
}

static void add_types(const struct telling *t, struct text *out)
{
    struct text types, auths;

    text_init(&types, STATUS_MAX_BYTES);
    text_init(&auths, STATUS_MAX_BYTES);
    for (size_t i = 0; i < t->policy->trigger_count; i++)
        add_once(&types, t->policy->triggers[i].type);
    for (size_t i = 0; i < t->policy->reference_count; i++) {
        const char *reference = t->policy->references_to[i];

        if (!string_starts(reference, "data/"))
            add_once(&auths, strrchr(reference, '/') + 1);
    }
    add_string_or_null(out, "triggersTypes", types.bytes);
    add_string_or_null(out, "authenticationsTypes", auths.bytes);
    text_done(&types);
    text_done(&auths);
}

static bool is_external(const struct telling *t, size_t i)
{
    return t->policy->rules.triggers[i].kind == METRIC_EXTERNAL && !t->policy->triggers[i].error;
}

static void add_metric_names(const struct telling *t, struct text *out)
{
    const struct decide_rules *rules = &t->policy->rules;

    add_key(out, "externalMetricNames");
    text_add(out, "[");
    for (size_t i = 0; i < rules->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        text_add(out, out->bytes[out->length - 1] == '[' ? "" : ",");
        text_add_json_string(out, t->policy->triggers[i].metric_name, strlen(t->policy->triggers[i].metric_name));
    }
    text_add(out, "]");
    add_key(out, "resourceMetricNames");
    text_add(out, "[");
    for (size_t i = 0; i < rules->trigger_count; i++) {
        if (rules->triggers[i].kind == METRIC_EXTERNAL || rules->triggers[i].container)
            continue;
        text_add(out, out->bytes[out->length - 1] == '[' ? "" : ",");
        text_add(out, rules->triggers[i].kind == METRIC_CPU ? "\"cpu\"" : "\"memory\"");
    }
    text_add(out, "]");
    add_string_or_null(out, "compositeScalerName", t->policy->formula ? "composite-metric" : NULL);
}

static bool is_current(const struct telling *t, const char *name)
{
    for (size_t i = 0; i < t->policy->trigger_count; i++)
        if (t->policy->triggers[i].metric_name == name && is_external(t, i))
            return true;
    return false;
}

static void add_old_names(const struct telling *t, struct text *out, bool all)
{
    for (size_t i = 0; i < t->s->old_names.count; i++) {
        if (!all && is_current(t, t->s->old_names.list[i]))
            continue;
        add_key(out, t->s->old_names.list[i]);
        text_add(out, "null");
    }
}

/* Past the threshold more failures mean nothing new. */
int32_t status_failures(const struct telling *t, size_t i)
{
    int32_t most =
        t->policy->rules.fallback_threshold < INT32_MAX ? t->policy->rules.fallback_threshold + 1 : INT32_MAX;
    int32_t failures = t->decision->inputs[i].failures;

    return failures < most ? failures : most;
}

bool status_shows_health(const struct telling *t)
{
    return t->policy && !t->job_kind && t->decision && !t->decision->paused && keda_fallback_usable(&t->policy->rules);
}

static void add_triggers(const struct telling *t, struct text *out)
{
    bool health = status_shows_health(t);

    add_key(out, "triggersActivity");
    text_add(out, "{");
    for (size_t i = 0; i < t->policy->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        add_key(out, t->policy->triggers[i].metric_name);
        text_printf(out, "{\"isActive\":%s}", t->decision->inputs[i].active ? "true" : "false");
    }
    add_old_names(t, out, false);
    text_add(out, "}");
    add_key(out, "health");
    text_add(out, "{");
    for (size_t i = 0; health && i < t->policy->trigger_count; i++) {
        if (!is_external(t, i))
            continue;
        add_key(out, t->policy->triggers[i].metric_name);
        text_printf(out, "{\"numberOfFailures\":%d,\"status\":\"%s\"}", status_failures(t, i),
                    status_failures(t, i) > 0 ? "Failing" : "Happy");
    }
    add_old_names(t, out, !health);
    text_add(out, "}");
}

static void add_target(const struct telling *t, struct text *out)
{
    const struct target_view *v = &t->target;
    const struct decide_rules *rules = &t->policy->rules;

    if (v->kind) {
        add_string(out, "scaleTargetKind", arena_printf(t->arena, "%s/%s.%s", v->group, v->version, v->kind));
        add_key(out, "scaleTargetGVKR");
        text_add(out, "{");
        add_string(out, "group", v->group);
        add_string(out, "version", v->version);
        add_string(out, "kind", v->kind);
        add_string(out, "resource", v->resource);
        text_add(out, "}");
    }
    if (t->object->original_replicas >= 0) {
        add_key(out, "originalReplicaCount");
        text_printf(out, "%d", t->object->original_replicas);
    }
    add_key(out, "pausedReplicaCount");
    if (rules->has_paused_replicas)
        text_printf(out, "%d", rules->paused_replicas);
    else
        text_add(out, "null");
    add_string_or_null(out, "hpaName", t->s->hpa_name);
}

void status_write(const struct telling *t, struct text *out)
{
    text_add(out, "{");
    add_conditions(t, out);
    if (t->last_active_at_ms > 0) {
        char at[32];

        instant_format(t->last_active_at_ms, at, sizeof(at));
        add_string(out, "lastActiveTime", at);
    }
    if (t->policy)
        add_types(t, out);
    if (t->policy && !t->job_kind) {
        add_target(t, out);
        add_metric_names(t, out);
        if (t->decision && !t->decision->paused)
            add_triggers(t, out);
    }
    text_add(out, "}");
}

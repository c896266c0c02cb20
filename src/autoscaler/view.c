/*
 * view: what is shown. Everything comes from the last decision and the last samples; nothing is asked or computed for it.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void view_triggers(const struct object *object, struct arena *arena, int64_t now_ms, struct object_status *out)
{
    const struct policy *policy = object->policy;
    struct trigger_status *list = arena_array(arena, policy->trigger_count ? policy->trigger_count : 1, sizeof(*list));

    for (size_t i = 0; i < policy->trigger_count; i++) {
        const struct policy_trigger *p = &policy->triggers[i];
        const struct object_trigger *t = &object->triggers[i];
        const struct error *why = p->error ? p->error : t->question ? question_why(t->question) : NULL;

        list[i] = (struct trigger_status){.name = p->name,
                                          .metric_name = p->metric_name,
                                          .type = p->type,
                                          .destination = p->trigger ? trigger_destination(p->trigger) : "",
                                          .sample = t->sample,
                                          .age_ms = -1,
                                          .why = why ? why->text : "",
                                          .note = t->question ? question_note(t->question) : "",
                                          .why_kind = why ? why->kind : ERROR_NONE,
                                          .took_ms = t->question ? question_took_ms(t->question) : 0,
                                          .shared_with = t->question ? question_users(t->question) - 1 : 0,
                                          .failures = t->failures,
                                          .requests = t->requests,
                                          .request_count = t->request_count,
                                          .nulls = (enum trigger_nulls)t->nulls,
                                          .empties = t->empties,
                                          .resource = p->trigger && trigger_is_resource(p->trigger)};
        if (t->sample.state != SAMPLE_NONE)
            list[i].age_ms = now_ms - t->sample.at_ms;
        else if (p->error)
            list[i].sample.state = SAMPLE_FAILED;
        credentials_view(object, i, arena, now_ms, &list[i]);
    }
    out->triggers = list;
    out->trigger_count = policy->trigger_count;
}

static void view_ready(struct object_status *out, const struct decision *decision)
{
    bool error = decision ? decision->error : out->job_decision && out->job_decision->error;
    bool active = decision ? decision->active : out->job_decision && out->job_decision->active;
    bool job = out->policy && out->policy->is_job;
    bool no_target = out->policy && !job && !out->target.known && out->target.error.kind != ERROR_NONE;

    out->ready = "True";
    out->ready_reason = job ? "ScaledJobReady" : "ScaledObjectReady";
    if (!out->policy && !out->problem) { /* it waits for data that is being looked up */
        out->ready = "Unknown";
        out->ready_reason = "";
    } else if (out->problem || no_target) {
        out->ready = "False";
        out->ready_reason = job ? "ScaledJobCheckFailed" : "ScaledObjectCheckFailed";
    } else if (error) {
        out->ready = active ? "Unknown" : "False";
        out->ready_reason = active ? "PartialTriggerError" : "TriggerError";
    }
}

static void view_platform(const struct object *object, struct object_status *out)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;

    if (object->target) {
        ops->target_view(object->target, &out->target);
        /* Showing is no need: it makes the platform watch nothing. */
        out->pod_count = ops->target_pods_shown ? ops->target_pods_shown(object->target, &out->pods)
                                                : ops->target_pods(object->target, &out->pods);
    }
    if (object->jobs)
        out->job_count = ops->jobs(object->jobs, &out->jobs);
}

/* What one walk over many objects uses again and again. */
struct showing {
    struct arena *arena;
    struct decision decision;
    autoscaler_visit *visit;
    void *arg;
};

static bool show(struct showing *on, struct object *object)
{
    struct loop *loop = object->a->parts.loop;
    struct object_status status = {.key = object->key,
                                   .file = object->file,
                                   .policy = object->policy,
                                   .problem = object->problem,
                                   .created_at_ms = object->created_at_ms,
                                   .job_decision = object->last_job,
                                   .changed_at_ms = object->changed_at_ms,
                                   .late_ms = object->late_ms,
                                   .polls = object->polls,
                                   .decisions = object->decisions,
                                   .slo = object->slo,
                                   .errors = object->errors};

    arena_reset(on->arena);
    if (object->last && decision_unpack(object->last, object->last_bytes, &on->decision))
        status.decision = &on->decision;
    status.has_decision = status.decision || status.job_decision;
    if (object->heap_index != UINT32_MAX)
        status.next_poll_in_ms = object->due_ticks_ms - loop_ticks_ms(loop);
    if (object->policy) {
        view_triggers(object, on->arena, loop_now_ms(loop), &status);
        view_platform(object, &status);
        status.names = object_names(object);
        status.last_active_at_ms = object->memory ? decide_memory_last_active_at_ms(object->memory) : 0;
    }
    view_ready(&status, status.decision);
    return on->visit(on->arg, &status);
}

static struct showing *showing_new(autoscaler_visit *visit, void *arg)
{
    struct showing *on = mem_alloc(sizeof(*on));

    on->arena = arena_new(ARENA_USUAL);
    on->visit = visit;
    on->arg = arg;
    return on;
}

static void showing_free(struct showing *on)
{
    arena_free(on->arena);
    free(on);
}

static int by_key(const void *left, const void *right)
{
    const struct object *const *a = left, *const *b = right;

    return strcmp((*a)->key, (*b)->key);
}

void autoscaler_objects(struct autoscaler *a, autoscaler_visit *visit, void *arg)
{
    size_t count = map_count(a->objects), at = 0;
    struct object **list = mem_array(count ? count : 1, sizeof(*list));
    struct showing *on = showing_new(visit, arg);
    const char *key;
    void *value;

    for (size_t cursor = 0; map_next(a->objects, &cursor, &key, &value);)
        list[at++] = value;
    qsort(list, count, sizeof(struct object *), by_key);
    for (size_t i = 0; i < count && show(on, list[i]); i++)
        ;
    showing_free(on);
    free(list);
}

bool autoscaler_object(struct autoscaler *a, const char *key, autoscaler_visit *visit, void *arg)
{
    struct object *object = object_find(a, key);

    if (!object)
        return false;
    struct showing *on = showing_new(visit, arg);
    show(on, object);
    showing_free(on);
    return true;
}

void autoscaler_some_objects(struct autoscaler *a, const char *const *keys, size_t count, autoscaler_visit *visit,
                             void *arg)
{
    struct showing *on = showing_new(visit, arg);
    bool more = true;

    for (size_t i = 0; i < count && more; i++) {
        struct object *object = object_find(a, keys[i]);

        more = !object || show(on, object);
    }
    showing_free(on);
}

bool autoscaler_has_object(struct autoscaler *a, const char *key)
{
    return object_find(a, key) != NULL;
}

void autoscaler_keys(const struct autoscaler *a, struct text *out)
{
    const char *key;
    void *value;

    for (size_t cursor = 0; map_next(a->objects, &cursor, &key, &value);)
        text_append(out, key, strlen(key) + 1);
}

void autoscaler_authentications(const struct autoscaler *a, void (*visit)(void *arg, const char *kind, const char *ns),
                                void *arg)
{
    char kind[sizeof("ClusterTriggerAuthentication")], ns[256];
    const char *key;
    void *value;

    for (size_t cursor = 0; map_next(a->auths, &cursor, &key, &value);) {
        size_t kind_length = strcspn(key, "/");

        snprintf(kind, sizeof(kind), "%.*s", (int)kind_length, key);
        snprintf(ns, sizeof(ns), "%.*s", (int)strcspn(key + kind_length + 1, "/"), key + kind_length + 1);
        visit(arg, kind, ns);
    }
}

void autoscaler_stats(const struct autoscaler *a, struct autoscaler_stats *out)
{
    *out = a->stats;
    out->objects = map_count(a->objects);
}

/*
 * standing: what is kept of an object that comes from a cluster, for what is said of it (status.c). It begins with the status it came
 * with: the memory of whoever looked after it before, for a pod has no disk.
 */
#include "autoscaler/status_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/tree.h"

const char *const condition_names[CONDITIONS] = {"Ready", "Active", "Fallback", "Paused", "HPAActive"};

void condition_set(struct condition *c, enum keda_status status, const char *reason)
{
    const char *old = c->reason;

    c->status = status;
    c->reason = atom_ref(reason ? reason : "");
    atom_unref(old);
}

void names_add(struct names *names, const char *name)
{
    names->list = mem_grow(names->list, names->count + 1, sizeof(*names->list));
    names->list[names->count++] = atom_ref(name);
}

void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        atom_unref(names->list[i]);
    free(names->list);
    *names = (struct names){0};
}

static void read_conditions(struct standing *s, const struct tree *list)
{
    for (const struct tree *item = list && list->type == TREE_LIST ? list->first : NULL; item; item = item->next) {
        const char *type = tree_string(tree_get(item, "type")), *status = tree_string(tree_get(item, "status"));

        for (int i = 0; type && status && i < CONDITIONS; i++) {
            if (strcmp(condition_names[i], type) != 0)
                continue;
            condition_set(&s->conditions[i],
                          strcmp(status, "True") == 0    ? KEDA_TRUE
                          : strcmp(status, "False") == 0 ? KEDA_FALSE
                                                         : KEDA_UNKNOWN,
                          tree_string(tree_get(item, "reason")));
            s->seen_before = true;
        }
    }
}

static void read_health(struct standing *s, const struct tree *health)
{
    const struct tree *item = health && health->type == TREE_MAP ? health->first : NULL;

    for (; item && s->old_names.count < TRIGGERS_MAX; item = item->next) {
        int64_t count = 0;

        names_add(&s->old_names, item->key);
        if (!tree_integer(tree_get(item, "numberOfFailures"), &count) || count <= 0 || count > INT32_MAX)
            continue;
        names_add(&s->failing, item->key);
        s->failing_counts = mem_grow(s->failing_counts, s->failing.count, sizeof(*s->failing_counts));
        s->failing_counts[s->failing.count - 1] = (int32_t)count;
    }
}

static void read_activity(struct standing *s, const struct tree *activity)
{
    const struct tree *item = activity && activity->type == TREE_MAP ? activity->first : NULL;

    for (; item && s->old_names.count < 2 * TRIGGERS_MAX; item = item->next)
        names_add(&s->old_names, item->key);
}

struct standing *standing_new(enum resource_kind kind, const struct tree *document)
{
    struct standing *s = mem_alloc(sizeof(*s));
    const struct tree *status = tree_get(document, "status");
    const char *created = tree_string(tree_at(document, "metadata.creationTimestamp"));
    const char *active = tree_string(tree_get(status, "lastActiveTime"));
    const char *uid = tree_string(tree_at(document, "metadata.uid")), *hpa = tree_string(tree_get(status, "hpaName"));
    int64_t original;

    s->kind = kind;
    s->uid = mem_copy(uid ? uid : "");
    s->original_replicas = -1;
    if (created)
        instant_parse(created, &s->created_at_ms);
    if (active)
        instant_parse(active, &s->last_active_at_ms);
    s->last_active_told_at_ms = s->last_active_at_ms;
    if (tree_integer(tree_get(status, "originalReplicaCount"), &original) && original >= 0 && original <= INT32_MAX)
        s->original_replicas = (int32_t)original;
    if (hpa && *hpa)
        s->hpa_name = mem_copy(hpa);
    for (int i = 0; i < CONDITIONS; i++)
        condition_set(&s->conditions[i], KEDA_UNTOUCHED, "");
    read_conditions(s, tree_get(status, "conditions"));
    read_health(s, tree_get(status, "health"));
    read_activity(s, tree_get(status, "triggersActivity"));
    s->take_over = s->seen_before;
    return s;
}

void standing_free(struct standing *s)
{
    if (!s)
        return;
    for (int i = 0; i < CONDITIONS; i++)
        atom_unref(s->conditions[i].reason);
    names_done(&s->old_names);
    names_done(&s->failing);
    free(s->failing_counts);
    free(s->uid);
    free(s->hpa_name);
    free(s->hpa_message);
    free(s->hpa_error);
    free(s->jobs_error);
    free(s->rival_said);
    free(s);
}

static void take_failures(struct object *object)
{
    struct standing *s = standing_of(object);
    const struct policy *policy = object->policy;

    for (size_t i = 0; object->memory && i < policy->rules.trigger_count; i++)
        for (size_t j = 0; j < s->failing.count; j++)
            if (string_equal(policy->triggers[i].metric_name, s->failing.list[j]))
                decide_memory_set_failures(object->memory, i, s->failing_counts[j]);
    names_done(&s->failing);
    free(s->failing_counts);
    s->failing_counts = NULL;
}

/* Of an object from a file only events are said, and only to who listens. */
struct standing *standing_of(struct object *object)
{
    if (object->standing)
        return object->standing;
    if (!object->told && listeners_want_events(object->a))
        object->told =
            standing_new(string_starts(object->key, "ScaledJob/") ? RESOURCE_SCALED_JOB : RESOURCE_SCALED_OBJECT, NULL);
    return object->told;
}

void standing_renew(struct object *object, const struct policy *old)
{
    struct standing *s = standing_of(object);
    bool was_direct = old && old->rules.mode == DECIDE_DIRECT;

    if (!s)
        return;
    if (!object->standing)
        s->silent = object->policy->rules.mode == DECIDE_OBSERVE;
    s->version++;
    s->target_seen = false;
    free(s->jobs_error);
    s->jobs_error = NULL;
    memset(s->failed_said, 0, sizeof(s->failed_said));
    if (!old)
        take_failures(object);
    for (size_t i = 0; old && i < old->trigger_count && s->old_names.count < 2 * TRIGGERS_MAX; i++)
        names_add(&s->old_names, old->triggers[i].metric_name);
    if (old && !was_direct && object->policy->rules.mode == DECIDE_DIRECT)
        s->take_over = true;
    status_built(object, old);
}

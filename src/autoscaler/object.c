/*
 * object: the birth, the new version and the end of one ScaledObject or ScaledJob.
 *
 *     put (first)  -> restored from the journal -> asked soon
 *     put (again)  -> what still has a meaning is carried over -> asked soon
 *     problem      -> the version in force stays; the text is shown
 *     remove       -> forgotten; restoreToOriginalReplicaCount gives back what was there before
 */
#include "autoscaler/autoscaler_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/atom.h"
#include "base/log.h"

struct object *object_find(struct autoscaler *a, const char *key)
{
    return map_get(a->objects, key);
}

static struct object *object_new(struct autoscaler *a, const char *key, const char *file)
{
    struct object *object = mem_alloc(sizeof(*object));

    object->a = a;
    object->file = atom_ref(file);
    object->heap_index = UINT32_MAX;
    object->original_replicas = -1;
    object->counted_first = true;
    a->first_pending++;
    a->stats.first_decisions_done_at_ms = 0;
    map_put(a->objects, key, object);
    object->key = map_key(a->objects, key);
    object_mark_changed(object);
    return object;
}

struct object *object_get(struct autoscaler *a, const char *key, const char *file)
{
    struct object *object = object_find(a, key);

    return object ? object : object_new(a, key, file);
}

/* ------------------------------------------------------------------ history */

static void preload_sample(void *arg, const char *trigger, const struct sample *sample)
{
    struct object *object = arg;

    if (sample->at_ms > loop_now_ms(object->a->parts.loop))
        return; /* from before the clock went back: it would make the series deaf for what comes now */
    for (size_t i = 0; i < object->policy->trigger_count; i++)
        if (object->triggers[i].series && string_equal(object->policy->names[i], trigger))
            series_add(object->triggers[i].series, sample);
}

static struct series *make_series(const struct policy *policy, size_t i)
{
    int64_t history = policy->triggers[i].history_ms;
    int64_t interval = policy_interval_ms(policy, i, 1);
    int64_t samples = history / (interval > 0 ? interval : SECOND_MS) + 16;

    if (history == 0)
        return NULL;
    return series_new(history, samples > HISTORY_SAMPLES_MAX ? HISTORY_SAMPLES_MAX : (size_t)samples);
}

static void copy_series(struct series *to, const struct series *from)
{
    for (size_t i = 0; to && from && i < series_count(from); i++)
        series_add(to, series_at(from, i));
}

/* ------------------------------------------------------------------ triggers */

static void free_triggers(struct object *object, struct object_trigger *triggers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (triggers[i].question)
            question_put(triggers[i].question, object);
        series_free(triggers[i].series);
        free(triggers[i].credentials_since_ms);
        free(triggers[i].requests);
    }
    free(triggers);
}

/* The samples and history of triggers that are the same question under the same name go on. */
static void carry_over(const struct policy *old, const struct object_trigger *from, struct object *object)
{
    const struct policy *policy = object->policy;

    for (size_t i = 0; old && i < policy->trigger_count; i++) {
        for (size_t j = 0; j < old->trigger_count; j++) {
            if (!string_equal(policy->names[i], old->names[j]) ||
                old->triggers[j].trigger != policy->triggers[i].trigger)
                continue;
            object->triggers[i].sample = from[j].sample;
            object->triggers[i].good_at_ms = from[j].good_at_ms;
            object->triggers[i].asked_ticks_ms = from[j].asked_ticks_ms;
            copy_series(object->triggers[i].series, from[j].series);
        }
    }
}

static void make_triggers(struct object *object)
{
    const struct policy *policy = object->policy;

    object->triggers = mem_array(policy->trigger_count ? policy->trigger_count : 1, sizeof(struct object_trigger));
    object->phase = hash_string(0, object->key);
    for (size_t i = policy->trigger_count; i-- > 0;) {
        struct trigger *trigger = policy->triggers[i].trigger;

        object->triggers[i].series = make_series(policy, i);
        if (!trigger || trigger_is_resource(trigger))
            continue;
        object->triggers[i].question = question_get(object->a, trigger);
        question_listen(object->triggers[i].question, object);
        object->triggers[i].nulls = (uint8_t)trigger_nulls(trigger);
        object->phase = trigger_identity(trigger);
    }
}

/* ------------------------------------------------------------------ target */

static bool was_unreadable(const struct object *object)
{
    struct target_view view = {.known = true};

    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &view);
    return (object->unreadable || object->original_replicas < 0) && view.known;
}

static void on_changed(void *arg)
{
    struct object *object = arg;

    object_mark_changed(object);
    if (object->policy && object->put_off && object->waiting == 0) {
        object->put_off = false;
        object_mark_due(object);
        return;
    }
    if (!object->policy || object->policy->is_job)
        return;
    /* Every poll looks anyway; only a target that could not be read until now is worth a poll of its own. */
    if (was_unreadable(object) && object->waiting == 0)
        schedule_start(object);
    else
        schedule_sooner(object);
}

static bool same_target(const struct policy *a, const struct policy *b)
{
    return string_equal(a->target.ns, b->target.ns) && string_equal(a->target.api_version, b->target.api_version) &&
           string_equal(a->target.kind, b->target.kind) && string_equal(a->target.name, b->target.name);
}

static void drop_target(struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;

    if (object->target)
        ops->target_unwatch(object->target);
    if (object->jobs)
        ops->jobs_unwatch(object->jobs);
    object->target = NULL;
    object->jobs = NULL;
}

/* Only these strategies count what is pending, and it costs a watch of pods (keda-operator/04 5). */
static void watch_jobs(struct object *object)
{
    struct platform *platform = object->a->parts.platform;
    const struct policy *policy = object->policy;
    enum job_strategy strategy = policy->job_rules.strategy;

    object->jobs =
        platform->ops->jobs_watch(platform, policy->ns, policy->name, policy->job_generation, on_changed, object);
    if (platform->ops->jobs_want_pending && (strategy == JOB_ACCURATE || strategy == JOB_EAGER))
        platform->ops->jobs_want_pending(object->jobs, policy->pending_conditions, policy->pending_condition_count);
}

static void watch_target(struct object *object, const struct policy *old)
{
    struct platform *platform = object->a->parts.platform;
    const struct policy *policy = object->policy;

    if (policy->is_job) {
        drop_target(object);
        watch_jobs(object);
        return;
    }
    if (object->target && old && same_target(old, policy))
        return;
    drop_target(object);
    if (old) /* else it may just have been restored */
        object->original_replicas = -1;
    object->target = platform->ops->target_watch(platform, &policy->target, on_changed, object);
}

/* ------------------------------------------------------------------ memory */

/* In a cluster the API server knows when the object was made, and the status what was before. */
static void restore_standing(struct object *object, int64_t now_ms)
{
    const struct standing *s = object->standing;

    object->created_at_ms = s->created_at_ms > 0 && s->created_at_ms < now_ms ? s->created_at_ms : now_ms;
    object->original_replicas = s->original_replicas;
}

/* What was active when its status was written last was so until now, as far as anybody knows (status.c). */
static void take_last_activity(struct object *object, int64_t now_ms)
{
    const struct standing *s = object->standing;
    int64_t last = s->conditions[CONDITION_ACTIVE].status == KEDA_TRUE ? now_ms : s->last_active_at_ms;

    if (object->memory && last > 0 && last > decide_memory_last_active_at_ms(object->memory))
        decide_memory_set_last_active(object->memory, last < now_ms ? last : now_ms);
}

/* After a restart: what the last Weir knew. The state was written up to STATE_JOURNAL_MS before it ended, so the last activity
   may have been that much later; a cooldown that is a little too long harms less than one too short. */
static void restore(struct object *object, int64_t now_ms)
{
    struct journal_state state;

    object->created_at_ms = now_ms;
    if (object->standing)
        restore_standing(object, now_ms);
    if (!object->a->parts.journal || !journal_get_state(object->a->parts.journal, object->key, &state))
        return;
    if (!object->standing)
        object->created_at_ms = state.created_at_ms;
    if (object->original_replicas < 0)
        object->original_replicas = state.original_replicas;
    if (!object->policy->is_job && state.generation == object->policy->generation) {
        object->policy->rules.created_at_ms = object->created_at_ms;
        if (!decide_memory_read(&object->policy->rules, state.memory, state.length, &object->memory))
            object->memory = NULL;
    }
    if (object->memory) {
        int64_t last = decide_memory_last_active_at_ms(object->memory);
        int64_t later = last + STATE_JOURNAL_MS < now_ms ? last + STATE_JOURNAL_MS : now_ms;

        if (last > 0 && later > last)
            decide_memory_set_last_active(object->memory, later);
    }
    free(state.memory);
}

static void make_memory(struct object *object, const struct policy *old, int64_t now_ms)
{
    struct policy *policy = object->policy;
    struct decide_memory *before = object->memory;

    if (!old || old->is_job != policy->is_job) {
        decide_memory_free(before);
        object->memory = NULL;
        restore(object, now_ms);
    } else if (!policy->is_job) {
        object->memory = decide_memory_adapt(before, &old->rules, old->names, &policy->rules, policy->names);
        decide_memory_free(before);
    }
    policy->rules.created_at_ms = object->created_at_ms;
    if (!object->memory && !policy->is_job)
        object->memory = decide_memory_new(&policy->rules);
    if (!old && object->standing)
        take_last_activity(object, now_ms);
}

/* ------------------------------------------------------------------ the three events */

static void preload_history(struct object *object, int64_t now_ms)
{
    int64_t longest = 0;

    for (size_t i = 0; i < object->policy->trigger_count; i++)
        if (object->policy->triggers[i].history_ms > longest)
            longest = object->policy->triggers[i].history_ms;
    if (longest > 0 && object->a->parts.journal)
        journal_samples(object->a->parts.journal, object->key, now_ms - longest, preload_sample, object);
}

void object_tell_loaded(const struct object *object)
{
    struct autoscaler *a = object->a;
    const struct autoscaler_hooks *hooks = a->parts.hooks;
    size_t count = object->policy->trigger_count;

    if (!hooks || !hooks->loaded)
        return;
    struct series **series = arena_array(a->turn, count, sizeof(*series));
    for (size_t i = 0; i < count; i++)
        series[i] = object->triggers[i].series;
    hooks->loaded(hooks->arg, &(struct autoscaler_loaded){.key = object->key,
                                                          .file = object->file,
                                                          .policy = object->policy,
                                                          .created_at_ms = object->created_at_ms,
                                                          .memory = object->memory,
                                                          .series = series});
}

void object_put(struct autoscaler *a, const char *key, const char *file, struct policy *policy, int64_t now_ms)
{
    struct object *object = object_get(a, key, file);
    struct policy *old = object->policy;
    struct object_trigger *old_triggers = object->triggers;
    size_t old_count = old ? old->trigger_count : 0;

    free((char *)object->problem);
    object->problem = NULL;
    object->policy = policy;
    action_put(object, !old);
    object->waiting = 0;
    make_triggers(object);
    make_memory(object, old, now_ms);
    carry_over(old, old_triggers, object);
    credentials_note(object, old, old_triggers, now_ms);
    if (!old)
        preload_history(object, now_ms);
    free_triggers(object, old_triggers, old_count);
    watch_target(object, old);
    standing_renew(object, old);
    object_log_put(object, old);
    policy_unref(old);
    free(object->last_job);
    object->last_job = NULL;
    free(
        object
            ->last); /* its inputs are those of other triggers: an HPA that asks now would be given one's value for another's */
    object->last = NULL;
    object_tell_loaded(object);
    object_mark_changed(object);
    due_remove(object);
    schedule_start(object);
}

void object_set_problem(struct autoscaler *a, const char *key, const char *file, const char *problem)
{
    struct object *object = object_get(a, key, file);

    if (object->counted_first && !object->policy) /* it will not decide: do not wait for it */
        object_count_first(object, loop_now_ms(a->parts.loop));
    if (!string_equal(object->problem, problem) && !is_rehearsal(a))
        log_warning(object->policy ? "bad manifest; the last good version stays in force" : "bad manifest", "object",
                    key, "reason", "refused", "file", file, "problem", problem, NULL);
    free((char *)object->problem);
    object->problem = mem_copy(problem);
    object_mark_changed(object);
    if (!object->standing && standing_of(object)) /* else cluster.c does */
        status_tell(object, NULL);
}

static void on_restored(void *arg, const struct error *err)
{
    (void)arg; /* the object is gone */
    if (err)
        log_warning("restoring the original replica count failed", "error", err->text, NULL);
}

static void restore_replicas(struct object *object)
{
    const struct policy *policy = object->policy;

    if (!policy || policy->is_job || !policy->restore_to_original || object->original_replicas < 0 || !object->target ||
        policy->rules.mode == DECIDE_OBSERVE || object->a->stopping)
        return;
    object->a->parts.platform->ops->target_scale(object->target, object->original_replicas, "restore-original",
                                                 on_restored, NULL);
}

static void object_free(struct object *object)
{
    struct autoscaler *a = object->a;

    schedule_remove(object);
    due_remove(object);
    changed_remove(object);
    if (!a->stopping)
        listeners_tell_gone(a, object->key);
    map_remove(a->objects, object->key);
    if (object->counted_first)
        a->first_pending--;
    free_triggers(object, object->triggers, object->policy ? object->policy->trigger_count : 0);
    drop_target(object);
    decide_memory_free(object->memory);
    policy_unref(object->policy);
    standing_free(object->standing);
    standing_free(object->told);
    free((char *)object->problem);
    free(object->last);
    free(object->last_job);
    atom_unref(object->file);
    free(object);
}

void object_forget(struct object *object)
{
    log_info("left to another", "object", object->key, "reason", "shard", NULL);
    object_free(object);
}

static void say_deleted(struct object *object)
{
    bool job = string_starts(object->key, "ScaledJob/");

    if (!standing_of(object))
        return;
    status_stopped(object);
    status_event(object, true, job ? "ScaledJobDeleted" : "ScaledObjectDeleted", "%s was deleted",
                 job ? "ScaledJob" : "ScaledObject");
}

void object_remove(struct object *object)
{
    struct autoscaler *a = object->a;

    if (!a->stopping) {
        if (!object->standing) { /* else cluster.c and leave.c do */
            restore_replicas(object);
            say_deleted(object);
        }
        if (a->parts.journal)
            journal_delete_state(a->parts.journal, object->key);
        commit_later(a);
        log_info("removed", "object", object->key, "reason", "gone", NULL);
    }
    object_free(object);
}

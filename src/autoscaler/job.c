/*
 * job: a ScaledJob's turn. Jobs of earlier generations go (unless the roll-out is gradual), new ones are created, finished ones
 * beyond the history limits are deleted (keda-operator/04 5, 7, 8).
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "decide/jobs.h"

static size_t job_views(const struct object *object, const struct job_view **views)
{
    return object->a->parts.platform->ops->jobs(object->jobs, views);
}

static void gather_jobs(struct object *object, struct job_facts *facts, struct arena *arena, int64_t now_ms)
{
    const struct policy *policy = object->policy;
    const struct job_view *views;
    size_t count = job_views(object, &views);
    struct sample *samples = arena_array(arena, policy->trigger_count, sizeof(*samples));

    for (size_t i = 0; i < policy->trigger_count; i++)
        samples[i] = policy->triggers[i].error ? (struct sample){.state = SAMPLE_FAILED, .at_ms = now_ms}
                                               : object->triggers[i].sample;
    if (object->jobs_created_at_ms >
        now_ms) /* the clock went back: what was created then must not forbid until it is then again */
        object->jobs_created_at_ms = now_ms;
    *facts = (struct job_facts){.now_ms = now_ms,
                                .samples = samples,
                                .targets = gather_targets(object, arena),
                                .created_last_at_ms = object->jobs_created_at_ms};
    if (object->write) /* what is being created answers these samples too */
        facts->created_last_at_ms = now_ms;
    for (size_t i = 0; i < count; i++) {
        if (views[i].created_at_ms > facts->created_last_at_ms && views[i].created_at_ms <= now_ms)
            facts->created_last_at_ms = views[i].created_at_ms;
        facts->running += !views[i].finished;
        facts->pending += !views[i].finished && views[i].pending;
    }
}

static bool same_job_outcome(const struct job_decision *a, const struct job_decision *b)
{
    return a->active == b->active && a->error == b->error && a->create == b->create && a->running == b->running;
}

static bool may_change_jobs(const struct object *object)
{
    return object->policy->rules.mode != DECIDE_OBSERVE && object_may_write(object);
}

enum decision_reason job_reason(const struct object *object)
{
    return job_decision_reason(&object->policy->job_rules, object->last_job);
}

static void log_jobs(const struct object *object, const struct job_decision *decision)
{
    struct text summary;
    char before[16], after[16];

    text_init(&summary, LOG_LINE_MAX_BYTES);
    job_decision_write_summary(decision, &summary);
    snprintf(before, sizeof(before), "%d", decision->running);
    snprintf(after, sizeof(after), "%d", decision->running + decision->create);
    log_info(decision->create == 0     ? "decided"
             : may_change_jobs(object) ? "creates jobs"
                                       : "would create jobs",
             "object", object->key, "from", before, "to", after, "reason", decision_reason_name(job_reason(object)),
             "why", summary.bytes, NULL);
    text_done(&summary);
}

static void roll_out(struct object *object)
{
    const struct job_view *views;
    size_t count = job_views(object, &views);

    const char **names = arena_array(object->a->turn, count ? count : 1, sizeof(*names));
    size_t old = 0;

    for (size_t i = 0; !object->policy->rollout_gradual && i < count; i++)
        if (views[i].generation != object->policy->job_generation)
            names[old++] = arena_copy(object->a->turn, views[i].name);
    if (old > 0)
        status_event(object, false, "ScaledJobRolloutCleanupStarted",
                     "Deleting %zu jobs owned by the previous version of the scaledJob", old);
    for (size_t i = 0; i < old; i++) /* the view changes while jobs are deleted; the platform says when they are */
        object->a->parts.platform->ops->job_delete(object->jobs, names[i]);
}

void job_decide(struct object *object, int64_t now_ms)
{
    struct autoscaler *a = object->a;
    struct job_facts facts;
    struct job_decision *decision = mem_alloc(sizeof(*decision));

    if (!object->policy->job_rules.paused && (!object->standing || may_change_jobs(object)))
        roll_out(object);
    gather_jobs(object, &facts, a->turn, now_ms);
    decide_jobs(&object->policy->job_rules, &facts, decision);
    tell_decided(a, &(struct autoscaler_decided){.key = object->key,
                                                 .policy = object->policy,
                                                 .at_ms = now_ms,
                                                 .job_facts = &facts,
                                                 .job_decision = decision});
    bool changed = !object->last_job || !same_job_outcome(object->last_job, decision);
    free(object->last_job);
    object->last_job = decision;
    object->decisions++;
    object->errors += decision->error;
    a->stats.decisions++;
    a->stats.by_reason[job_reason(object)]++;
    object_count_first(object, now_ms);
    history_tell_job(object, &facts, decision);
    if (!changed && decision->create == 0)
        return;
    object->changed_at_ms = now_ms;
    if (log_enabled(LOG_LEVEL_INFO) && !is_rehearsal(a))
        log_jobs(object, decision);
    a->commit_now = true;
    if (a->parts.journal) {
        struct decision_names names = object_names(object);

        journal_job_decision(a->parts.journal, object->key, object->policy->generation, decision, &names,
                             object_notes(object, a->turn));
        journal_put_state(a->parts.journal, object->key, object->policy->generation, object->created_at_ms, -1, NULL,
                          0);
    }
}

static void clean_up(struct object *object)
{
    const struct policy *policy = object->policy;
    const struct job_view *views;
    size_t count = job_views(object, &views), ended = 0;
    struct job_finished *list = arena_array(object->a->turn, count ? count : 1, sizeof(*list));
    const char **names = arena_array(object->a->turn, count ? count : 1, sizeof(*names));
    bool *remove = arena_array(object->a->turn, count ? count : 1, sizeof(*remove));

    for (size_t i = 0; i < count; i++) {
        if (!views[i].finished)
            continue;
        names[ended] = arena_copy(object->a->turn, views[i].name); /* the view changes while jobs are deleted */
        list[ended++] = (struct job_finished){.succeeded = views[i].succeeded, .at_ms = views[i].finished_at_ms};
    }
    job_history(list, ended, policy->successful_history, policy->failed_history, remove);
    for (size_t i = 0; i < ended; i++)
        if (remove[i])
            object->a->parts.platform->ops->job_delete(object->jobs, names[i]);
}

void job_apply(struct object *object, int64_t now_ms)
{
    const struct policy *policy = object->policy;

    if (policy->job_rules.paused || !object->last_job || !may_change_jobs(object))
        return;
    if (object->last_job->create > 0 && !object->write) {
        struct write *write = write_begin(object, NULL);

        object->jobs_created_at_ms = now_ms;
        object->a->parts.platform->ops->jobs_create(object->jobs, object->last_job->create, write_done, write);
    }
    clean_up(object);
}

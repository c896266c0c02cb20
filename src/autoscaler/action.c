/*
 * action: what somebody asks for by hand: pause, resume, refresh. Who may was decided elsewhere (serve); here it is done, and said.
 *
 * In a cluster pausing is KEDA's annotation, as if kubectl had set it, and comes back as a change of the object. On this machine the
 * file is the user's, so it is an override of what the file says:
 *
 *     said by the manifest --- the same as the override was made against? --yes--> the override counts
 *                                         |no
 *                                         v
 *                     it has changed its mind since: the override ends
 *
 * So a manifest that begins to say paused, or ends to, is obeyed. The override is written down before the answer, and a restart finds it.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "platform/platform.h"

enum { PATCH_BYTES = 256 };
static const char paused_annotation[] = "autoscaling.keda.sh/paused";
static const char *const action_names[] = {
    [ACTION_PAUSE] = "pause", [ACTION_RESUME] = "resume", [ACTION_REFRESH] = "refresh"};

static bool *paused_of(struct policy *policy)
{
    return policy->is_job ? &policy->job_rules.paused : &policy->rules.paused;
}

/* ------------------------------------------------------------------ overrides */

static void forget_override(struct object *object)
{
    if (object->override == OVERRIDE_NONE)
        return;
    object->override = OVERRIDE_NONE;
    if (object->a->parts.journal)
        journal_delete_override(object->a->parts.journal, object->key);
}

static void restore_override(struct object *object, bool said)
{
    struct journal_override kept;

    object->said_paused = said;
    if (!object->a->parts.journal || !journal_get_override(object->a->parts.journal, object->key, &kept))
        return;
    object->override = kept.paused ? OVERRIDE_PAUSED : OVERRIDE_RUNS;
    object->said_paused = kept.said_paused;
}

void action_put(struct object *object, bool is_new)
{
    bool *paused = paused_of(object->policy), said = *paused;

    if (object->standing || is_rehearsal(object->a))
        return;
    if (is_new)
        restore_override(object, said);
    if (object->override != OVERRIDE_NONE && object->said_paused != said) {
        forget_override(object);
        commit_later(object->a);
        log_info("what was asked for by hand ends: the manifest says now itself whether it is paused", "object",
                 object->key, NULL);
    }
    object->said_paused = said;
    if (object->override != OVERRIDE_NONE)
        *paused = object->override == OVERRIDE_PAUSED;
}

/* false: it could not be written down, and is not so. */
static bool set_override(struct object *object, enum override wanted, struct error *err)
{
    struct autoscaler *a = object->a;
    struct journal_override kept = {.paused = wanted == OVERRIDE_PAUSED, .said_paused = object->said_paused};

    if (a->parts.journal && wanted == OVERRIDE_NONE)
        journal_delete_override(a->parts.journal, object->key);
    else if (a->parts.journal)
        journal_put_override(a->parts.journal, object->key, &kept);
    turn_commit(a);
    if (a->journal_problem)
        return error_set(err, ERROR_INTERNAL,
                         "it cannot be written down, so a restart would not know of it: %s; see the log",
                         a->journal_problem);
    object->override = wanted;
    return true;
}

static bool override_here(struct object *object, bool pause, struct error *err)
{
    bool *paused = paused_of(object->policy);

    if (*paused == pause)
        return true;
    if (!set_override(object,
                      pause == object->said_paused ? OVERRIDE_NONE
                      : pause                      ? OVERRIDE_PAUSED
                                                   : OVERRIDE_RUNS,
                      err))
        return false;
    *paused = pause;
    object_mark_changed(object);
    schedule_start(object);
    return true;
}

/* ------------------------------------------------------------------ in a cluster */

struct acting { /* under way to the API server; the object, or the autoscaler itself, may be gone when it is back */
    enum autoscaler_action action;
    char *key;
    platform_done *done;
    void *arg;
};

static void on_annotated(void *arg, const struct error *err)
{
    struct acting *acting = arg;

    if (err)
        log_warning("an action failed", "action", action_names[acting->action], "object", acting->key, "error",
                    err->text, NULL);
    if (acting->done)
        acting->done(acting->arg, err);
    free(acting->key);
    free(acting);
}

static void annotate(struct object *object, enum autoscaler_action action, platform_done *done, void *arg)
{
    struct platform *platform = object->a->parts.platform;
    const struct policy *policy = object->policy;
    struct acting *acting = mem_alloc(sizeof(*acting));
    char patch[PATCH_BYTES];
    int length = snprintf(patch, sizeof(patch), "{\"metadata\":{\"annotations\":{\"%s\":%s}}}", paused_annotation,
                          action == ACTION_PAUSE ? "\"true\"" : "null");

    *acting = (struct acting){.action = action, .key = mem_copy(object->key), .done = done, .arg = arg};
    platform->ops->resource_merge(platform, object->standing->kind, policy->ns, policy->name, patch, (size_t)length,
                                  on_annotated, acting);
}

/* ------------------------------------------------------------------ refresh */

static bool refresh(struct object *object, struct error *err)
{
    if (*paused_of(object->policy))
        return error_set(err, ERROR_INVALID, "it is paused, and asks nothing; resume it first");
    for (size_t i = 0; i < object->policy->trigger_count; i++) {
        object->triggers[i].asked_ticks_ms = 0; /* also what useCachedMetrics would leave out */
        if (object->triggers[i].question)
            question_expire(object->triggers[i].question);
    }
    schedule_start(object);
    return true;
}

/* ------------------------------------------------------------------ for serve */

static bool can_resume(const struct policy *policy, struct error *err)
{
    if (policy->is_job || !policy->rules.has_paused_replicas)
        return true;
    return error_set(err, ERROR_INVALID,
                     "it is held at %d replicas by the annotation autoscaling.keda.sh/paused-replicas of its manifest; "
                     "take that away there",
                     policy->rules.paused_replicas);
}

static bool act(struct object *object, enum autoscaler_action action, platform_done *done, void *arg, struct error *err)
{
    if (action == ACTION_RESUME && !can_resume(object->policy, err))
        return false;
    if (action != ACTION_REFRESH && object->standing) {
        annotate(object, action, done, arg);
        return true;
    }
    if (action == ACTION_REFRESH ? !refresh(object, err) : !override_here(object, action == ACTION_PAUSE, err))
        return false;
    if (done)
        done(arg, NULL);
    return true;
}

bool autoscaler_act(struct autoscaler *a, const char *key, enum autoscaler_action action, const char *who,
                    const char *from, platform_done *done, void *arg, struct error *err)
{
    struct object *object = object_find(a, key);
    const char *name = action_names[action];

    if (!object || !object->policy)
        return error_set(err, object ? ERROR_INVALID : ERROR_MISSING,
                         object ? "%.200s has no manifest that is in force; mend it first" : "there is no %.200s", key);
    log_info("action", "action", name, "object", key, "who", who, "from", from, NULL);
    status_event(object, false, "ActionRequested", "%s was asked for by %s", name, *who ? who : from);
    if (act(object, action, done, arg, err))
        return true;
    log_warning("an action failed", "action", name, "object", key, "error", err->text, NULL);
    return false;
}

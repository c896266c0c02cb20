/*
 * turn: one turn of the loop. Replies, timers and files have only marked objects due; the thinking is all here.
 *
 *     gather (samples, replicas, pods -> facts) -> decide -> journal -> one commit -> apply -> schedule the next poll
 *
 * Bounded: DUE_PER_TURN_MAX objects a turn; the rest waits for the next one, after sockets had theirs.
 */
#include "autoscaler/autoscaler_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/log.h"
#include "net/transport.h"

void turn_arrange(struct autoscaler *a)
{
    if (a->turn_set || a->stopping)
        return;
    a->turn_set = true;
    loop_timer_set(a->turn_timer, 0);
}

void object_mark_due(struct object *object)
{
    struct autoscaler *a = object->a;

    if (object->due)
        return;
    object->due = true;
    if (object->due_since_ticks_ms == 0)
        object->due_since_ticks_ms = loop_ticks_ms(a->parts.loop);
    object->due_next = NULL;
    if (a->due_last)
        a->due_last->due_next = object;
    else
        a->due_first = object;
    a->due_last = object;
    turn_arrange(a);
}

void due_remove(struct object *object)
{
    struct autoscaler *a = object->a;
    struct object **at = &a->due_first;
    struct object *previous = NULL;

    if (!object->due)
        return;
    while (*at != object) {
        previous = *at;
        at = &(*at)->due_next;
    }
    *at = object->due_next;
    if (a->due_last == object)
        a->due_last = previous;
    object->due = false;
}

static void log_answer(const struct object *object, uint16_t index, const struct sample *sample)
{
    const struct question *question = object->triggers[index].question;
    const struct error *why = question ? question_why(question) : NULL;
    char took[32];
    struct text value;

    if (is_rehearsal(object->a))
        return;
    text_init(&value, 64);
    text_add_number(&value, sample->value);
    snprintf(took, sizeof(took), "%lldms", question ? (long long)question_took_ms(question) : 0);
    log_debug("answered", "object", object->key, "trigger", object->policy->names[index], "state",
              sample_state_name(sample->state), "value", value.bytes, "took", took, why ? "error" : NULL,
              why ? why->text : NULL, NULL);
    text_done(&value);
}

void object_answered(struct object *object, uint16_t index, const struct sample *sample)
{
    struct object_trigger *t = &object->triggers[index];

    object->answered_ticks_ms = loop_ticks_ms(object->a->parts.loop);
    t->sample = *sample;
    if (log_enabled(LOG_LEVEL_DEBUG))
        log_answer(object, index, sample);
    if (object->policy && object->policy->is_job &&
        t->question) /* what was created meanwhile may not be in the answer */
        t->sample.at_ms -= question_took_ms(t->question);
    t->failures += sample->state == SAMPLE_FAILED;
    if (sample->state == SAMPLE_OK)
        t->good_at_ms = sample->at_ms;
    if (t->series)
        series_add(t->series, sample);
    if (!t->waiting)
        return;
    t->waiting = false;
    if (--object->waiting == 0)
        object_mark_due(object);
}

/* There is work now: decided at once, with what is known, so that an object at 0 wakes before anything is asked. How much work there is
   the poll says that follows. */
void object_pushed(struct object *object, const struct question *question, const struct trigger_push *push)
{
    const struct policy *p = object->policy;

    if (!p || (p->is_job ? p->job_rules.paused : p->rules.paused))
        return;
    for (size_t i = 0; push->active && i < p->trigger_count; i++)
        if (object->triggers[i].question == question)
            object->triggers[i].sample.activity = ACTIVITY_ON;
    if (push->active && !p->is_job)
        object_mark_due(object);
    schedule_now(object);
}

/* ------------------------------------------------------------------ journal */

struct decision_names object_names(const struct object *object)
{
    const struct policy *p = object->policy;

    return (struct decision_names){.triggers = p->names,
                                   .trigger_count = p->trigger_count,
                                   .formula = p->formula ? formula_source(p->formula) : NULL};
}

/* Why each input has no value: error texts by input, NULL where there is one. */
const char **object_notes(const struct object *object, struct arena *arena)
{
    size_t count = object->policy->trigger_count;
    const char **notes = arena_array(arena, count ? count : 1, sizeof(*notes));

    for (size_t i = 0; i < count; i++) {
        const struct error *why = object->policy->triggers[i].error;

        if (!why && object->triggers[i].question)
            why = question_why(object->triggers[i].question);
        notes[i] = why ? why->text : NULL;
    }
    return notes;
}

static void journal_object(struct object *object, const struct decision *decision, bool changed, int64_t now_ms)
{
    struct autoscaler *a = object->a;
    struct journal *journal = a->parts.journal;

    if (!journal)
        return;
    for (size_t i = 0; i < object->policy->trigger_count; i++) {
        struct object_trigger *t = &object->triggers[i];

        if (t->sample.state == SAMPLE_NONE || !wall_elapsed(t->journaled_at_ms, now_ms, SAMPLE_JOURNAL_MS))
            continue;
        journal_sample(journal, object->key, object->policy->names[i], &t->sample);
        t->journaled_at_ms = now_ms;
    }
    a->commit_now |= changed;
    if (changed) {
        struct decision_names names = object_names(object);

        journal_decision(journal, object->key, object->policy->generation, decision, &names,
                         object_notes(object, a->turn));
    }
    if (changed || wall_elapsed(object->stated_at_ms, now_ms, STATE_JOURNAL_MS)) {
        struct text memory;

        text_init(&memory, 1024 * 1024);
        decide_memory_write(object->memory, &memory);
        journal_put_state(journal, object->key, object->policy->generation, object->created_at_ms,
                          object->original_replicas, memory.bytes, memory.length);
        text_done(&memory);
        object->stated_at_ms = now_ms;
    }
}

/* ------------------------------------------------------------------ decide */

/* What became of a decision: begun, a write of it is under way. */
static const char *outcome(const struct object *object, const struct decision *decision, bool begun)
{
    if (!decision->write)
        return "decided";
    if (object->policy->rules.mode == DECIDE_OBSERVE)
        return "would scale";
    return begun ? "scaled" : "held back";
}

static void log_unchanged(const struct object *object, const struct decision *decision)
{
    char count[16];

    if (is_rehearsal(object->a))
        return;
    snprintf(count, sizeof(count), "%d", decision->after);
    log_debug("unchanged", "object", object->key, "from", count, "to", count, "reason",
              decision_reason_name(decision->reason), NULL);
}

static void log_outcome(const struct object *object, const struct decision *decision, const char *what)
{
    struct decision_names names = object_names(object);
    struct target_view target = {.known = true};
    struct text summary;
    char before[16], after[16];

    if (is_rehearsal(object->a) || !log_enabled(LOG_LEVEL_INFO))
        return;

    if (decision->reason == REASON_UNREADABLE && object->target)
        object->a->parts.platform->ops->target_view(object->target, &target);
    text_init(&summary, LOG_LINE_MAX_BYTES);
    decision_write_summary(decision, &names, &summary);
    snprintf(before, sizeof(before), "%d", decision->before);
    snprintf(after, sizeof(after), "%d", decision->after);
    log_info(what, "object", object->key, "from", before, "to", after, "reason", decision_reason_name(decision->reason),
             "why", summary.bytes, target.known ? NULL : "error", target.error.text, NULL);
    text_done(&summary);
}

/* In a rehearsal nobody looks back: there is no journal, no log and no view. */
static bool keep_decision(struct object *object, const struct decision *decision)
{
    struct decision *last = &object->a->decisions[DUE_PER_TURN_MAX];

    if (is_rehearsal(object->a))
        return false;
    bool changed = !object->last || !decision_unpack(object->last, object->last_bytes, last) ||
                   !decision_same_outcome(last, decision);

    free(object->last);
    object->last = decision_pack(decision, &object->last_bytes);
    if (changed)
        object->changed_at_ms = decision->at_ms;
    return changed;
}

void object_count_first(struct object *object, int64_t now_ms)
{
    struct autoscaler *a = object->a;

    object->decided_once = true;
    if (!object->counted_first)
        return;
    object->counted_first = false;
    if (--a->first_pending == 0)
        a->stats.first_decisions_done_at_ms = now_ms;
}

void tell_decided(const struct autoscaler *a, const struct autoscaler_decided *decided)
{
    const struct autoscaler_hooks *hooks = a->parts.hooks;

    if (hooks && hooks->decided)
        hooks->decided(hooks->arg, decided);
    listeners_tell_decided(a, decided);
}

static bool is_traced(const struct object *object)
{
    const struct autoscaler_hooks *hooks = object->a->parts.hooks;

    return object->policy->formula && !(hooks && hooks->untraced);
}

static void note_target(struct object *object, const struct decide_facts *facts)
{
    object->unreadable = facts->replicas < 0;
    if (object->original_replicas < 0)
        object->original_replicas = facts->replicas;
}

static void object_decide(struct object *object, int64_t now_ms, struct decision *decision)
{
    struct autoscaler *a = object->a;
    const struct autoscaler_hooks *hooks = a->parts.hooks;
    struct decide_facts facts;

    object_gather(object, now_ms, a->turn, &facts);
    note_target(object, &facts);
    if (hooks && hooks->facts)
        hooks->facts(hooks->arg, object->policy, &facts, &object->memory);
    if (object->standing && object->standing->take_over && facts.replicas >= 0) {
        object->standing->take_over = false;
        if (object->policy->rules.mode == DECIDE_DIRECT) {
            decide_memory_take_over(&object->policy->rules, object->memory, now_ms, facts.replicas);
            object_tell_loaded(object);
        }
    }
    decide(&object->policy->rules, &facts, object->memory, is_traced(object), decision);
    assert(decision_is_closed(decision));
    tell_decided(a, &(struct autoscaler_decided){.key = object->key,
                                                 .policy = object->policy,
                                                 .at_ms = now_ms,
                                                 .facts = &facts,
                                                 .memory = object->memory,
                                                 .decision = decision});
    object->decisions++;
    object->errors += decision->error;
    a->stats.decisions++;
    a->stats.by_reason[decision->reason]++;
    bool tell = keep_decision(object, decision) || (decision->write && object->carried_out);
    journal_object(object, decision, tell, now_ms);
    history_tell(object, &facts, decision);
    object->say = tell;
    if (tell)
        object->carried_out = false;
    object_count_first(object, now_ms);
}

/* ------------------------------------------------------------------ apply */

struct write *write_begin(struct object *object, const struct decision *decision)
{
    struct autoscaler *a = object->a;
    struct write *write = mem_alloc(sizeof(*write));

    write->a = a;
    write->key = mem_copy(object->key);
    write->policy = policy_ref(object->policy);
    write->answered_ticks_ms = object->answered_ticks_ms;
    if (decision) {
        write->decision = mem_alloc(sizeof(*decision));
        *write->decision = *decision;
    }
    write->next = a->writes;
    a->writes = write;
    object->write = write;
    return write;
}

static void tell_applied(const struct autoscaler *a, const char *key)
{
    const struct autoscaler_hooks *hooks = a->parts.hooks;

    if (hooks && hooks->applied)
        hooks->applied(hooks->arg, key);
}

static void log_failure(const struct write *write, const struct object *object, const struct error *err)
{
    const struct decision *decision = write->decision;
    const struct job_decision *jobs = object ? object->last_job : NULL;
    char before[16], after[16];

    if (!decision && !jobs) {
        log_warning("creating jobs failed", "object", write->key, "error", err->text, NULL);
        return;
    }
    snprintf(before, sizeof(before), "%d", decision ? decision->before : jobs->running);
    snprintf(after, sizeof(after), "%d", decision ? decision->after : jobs->running + jobs->create);
    log_warning(decision ? "scale failed" : "creating jobs failed", "object", write->key, "from", before, "to", after,
                "reason", decision_reason_name(decision ? decision->reason : job_reason(object)), "error", err->text,
                NULL);
}

static void write_finish(struct write *write, const struct error *err)
{
    struct autoscaler *a = write->a;
    struct object *object = object_find(a, write->key);

    for (struct write **at = &a->writes; *at; at = &(*at)->next)
        if (*at == write) {
            *at = write->next;
            break;
        }
    if (object && object->write != write) /* of an earlier object of that name */
        object = NULL;
    if (object) {
        object->write = NULL;
        object_mark_changed(object);
        listeners_tell_written(a, object->key, err);
    }
    if (object && write->decision)
        status_scaled(object, write->decision, err);
    else if (object) { /* they were created until now, also where one failed */
        object->jobs_created_at_ms = loop_now_ms(a->parts.loop);
        status_jobs_created(object, err);
    }
    if (err) {
        a->stats.scale_failures++;
        if (!is_rehearsal(a))
            log_failure(write, object, err);
        return;
    }
    a->stats.scales++;
    if (write->answered_ticks_ms > 0)
        histogram_add(&a->stats.written, loop_ticks_ms(a->parts.loop) - write->answered_ticks_ms);
    if (object) {
        object->carried_out = true;
        if (write->decision)
            schedule_sooner(object);
    }
    if (object && object->policy == write->policy && write->decision) {
        decide_applied(&object->policy->rules, object->memory, write->decision);
        tell_applied(a, object->key);
    }
}

void write_done(void *arg, const struct error *err)
{
    struct write *write = arg;

    if (write->a)
        write_finish(write, err);
    free(write->key);
    policy_unref(write->policy);
    free(write->decision);
    free(write);
}

void writes_abandon(struct autoscaler *a)
{
    for (struct write *write = a->writes; write; write = write->next)
        write->a = NULL;
}

/* true: it has begun to be carried out. */
static bool begin_scaling(struct object *object, const struct decision *decision)
{
    struct autoscaler *a = object->a;
    bool free_to_scale = hpa_look(object);

    if (!decision->write || (object->policy->rules.mode == DECIDE_OBSERVE && !is_rehearsal(a)) || object->write ||
        !free_to_scale || !object_may_write(object))
        return false;
    a->parts.platform->ops->target_scale(object->target, decision->after, decision_reason_name(decision->reason),
                                         write_done, write_begin(object, decision));
    return true;
}

/* What had to be held back (an HPA is on its way out, another Weir writes, a write is under way) is said again when it is done. */
static void object_apply(struct object *object, const struct decision *decision)
{
    bool begun = begin_scaling(object, decision);

    if (object->say || (begun && object->held_back))
        log_outcome(object, decision, outcome(object, decision, begun));
    else if (log_enabled(LOG_LEVEL_DEBUG))
        log_unchanged(object, decision);
    object->held_back = decision->write && !begun;
    object->say = false;
}

/* ------------------------------------------------------------------ the turn */

static int due_take(struct autoscaler *a, struct object **due)
{
    int count = 0;

    while (count < DUE_PER_TURN_MAX && a->due_first) {
        struct object *object = a->due_first;

        a->due_first = object->due_next;
        if (!a->due_first)
            a->due_last = NULL;
        object->due = false;
        due[count++] = object;
    }
    return count;
}

static void checkpoint_work(void *path)
{
    journal_checkpoint(path);
}

static void checkpoint_done(void *path, enum job_end how)
{
    (void)path, (void)how; /* the journal asks again when it has grown */
}

/* fsync may take long: never on the loop's thread. */
static void checkpoint_if_due(struct autoscaler *a)
{
    const char *path = journal_checkpoint_due(a->parts.journal);

    if (path)
        a->parts.transport->ops->work(a->parts.transport, NULL, "journal", MINUTE_MS, checkpoint_work, checkpoint_done,
                                      free, mem_copy(path));
}

void turn_commit(void *arg)
{
    struct autoscaler *a = arg;
    struct error err;

    a->commit_set = a->commit_now = false;
    if (!a->parts.journal)
        return;
    if (journal_commit(a->parts.journal, &err)) {
        a->journal_problem = NULL;
        checkpoint_if_due(a);
        return;
    }
    a->stats.journal_failures++;
    if (!a->journal_problem)
        log_error("the journal cannot be written; decisions go on", "error", err.text, NULL);
    a->journal_problem = "the journal cannot be written";
}

/* Nothing is known of the target yet, neither that it is there nor that it is not. */
static bool looks_for_target(const struct object *object)
{
    struct target_view view = {.known = true};

    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &view);
    return !view.known && (view.error.kind == ERROR_NONE || view.error.kind == ERROR_UNREACHABLE);
}

void commit_later(struct autoscaler *a)
{
    if (!a->commit_timer || a->commit_set)
        return;
    a->commit_set = true;
    loop_timer_set(a->commit_timer, COMMIT_LATER_MS);
}

/* Jobs that are being listed are not none, a target that is being looked for is not unreadable, and usage that is being asked for has
   not failed: the platform tells when it knows. Usage is waited for only once, for other triggers may want more replicas
   meanwhile; a target for one interval, for one that cannot be read for long is worth a record. */
static bool must_wait(const struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;

    if (object->policy->is_job)
        return ops->jobs_known && object->jobs && ops->jobs_known(object->jobs, NULL) == LOOKUP_PENDING;
    if (object->decisions == 0 && object->polls < 2 && looks_for_target(object))
        return true;
    return object->decisions == 0 && gather_resources(object->policy) > 0 && gather_usage(object) == LOOKUP_PENDING;
}

/* Takes those off the list that have to wait; returns how many are left. */
static int put_off(struct object **due, int count)
{
    int left = 0;

    for (int i = 0; i < count; i++) {
        due[i]->put_off = must_wait(due[i]);
        if (due[i]->put_off)
            schedule_next(due[i]);
        else
            due[left++] = due[i];
    }
    return left;
}

static void count_delay(struct object *object)
{
    struct autoscaler *a = object->a;

    if (object->due_since_ticks_ms > 0)
        histogram_add(&a->stats.decided, loop_ticks_ms(a->parts.loop) - object->due_since_ticks_ms);
    object->due_since_ticks_ms = 0;
}

void turn_serve(void *arg)
{
    struct autoscaler *a = arg;
    struct object *due[DUE_PER_TURN_MAX];
    int64_t now_ms = loop_now_ms(a->parts.loop);
    int count;

    a->turn_set = false;
    if (a->stopping)
        return;
    count = put_off(due, due_take(a, due));
    a->stats.turns += count > 0;
    for (int i = 0; i < count; i++) {
        count_delay(due[i]);
        if (due[i]->policy->is_job)
            job_decide(due[i], now_ms);
        else
            object_decide(due[i], now_ms, &a->decisions[i]);
    }
    if (a->commit_now)
        turn_commit(a); /* one transaction, before anything is touched */
    else if (count > 0)
        commit_later(a); /* it can share one with others */
    for (int i = 0; i < count; i++) {
        if (due[i]->policy->is_job)
            job_apply(due[i], now_ms);
        else
            object_apply(due[i], &a->decisions[i]);
        if (standing_of(due[i]))
            status_tell(due[i], due[i]->policy->is_job ? NULL : &a->decisions[i]);
        due[i]->answered_ticks_ms = 0;
        schedule_next(due[i]);
        object_mark_changed(due[i]);
    }
    listeners_tell_changed(a);
    arena_reset(a->turn);
    if (a->due_first)
        turn_arrange(a);
}

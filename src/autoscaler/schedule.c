/*
 * schedule: when each object is asked next. A binary heap ordered by due time and one timer for its top.
 *
 * Polls are spread evenly and stay where they are: an object is asked whenever ticks = phase (mod interval), the phase being a
 * hash of its first question. Objects that ask the same thing share a phase, so their question is asked once; halving or
 * doubling the interval keeps the phase. Where nobody can tell, phases are whole steps of POLL_GRID_MS: polls that are due together cost
 * half as much as polls that each wake the process. A new object is asked at once, a crowd of them FIRST_POLL_STEP_MS apart.
 */
#include "autoscaler/autoscaler_internal.h"

#include <assert.h>
#include <stdlib.h>

static void heap_set(struct autoscaler *a, size_t i, struct due_object entry)
{
    a->heap[i] = entry;
    entry.object->heap_index = (uint32_t)i;
}

static size_t heap_up(struct autoscaler *a, size_t i)
{
    struct due_object entry = a->heap[i];

    for (; i > 0 && a->heap[(i - 1) / 2].due_ticks_ms > entry.due_ticks_ms; i = (i - 1) / 2)
        heap_set(a, i, a->heap[(i - 1) / 2]);
    heap_set(a, i, entry);
    return i;
}

static void heap_down(struct autoscaler *a, size_t i)
{
    struct due_object entry = a->heap[i];

    for (size_t child; (child = 2 * i + 1) < a->heap_count; i = child) {
        if (child + 1 < a->heap_count && a->heap[child + 1].due_ticks_ms < a->heap[child].due_ticks_ms)
            child++;
        if (a->heap[child].due_ticks_ms >= entry.due_ticks_ms)
            break;
        heap_set(a, i, a->heap[child]);
    }
    heap_set(a, i, entry);
}

static void heap_remove(struct object *object)
{
    struct autoscaler *a = object->a;
    size_t i = object->heap_index;

    if (i == UINT32_MAX)
        return;
    assert(a->heap[i].object == object);
    object->heap_index = UINT32_MAX;
    struct due_object last = a->heap[--a->heap_count];
    if (last.object == object)
        return;
    heap_set(a, i, last);
    heap_down(a, heap_up(a, i));
}

static void arm_timer(struct autoscaler *a)
{
    if (a->heap_count == 0) {
        loop_timer_stop(a->poll_timer);
        return;
    }
    int64_t in_ms = a->heap[0].due_ticks_ms - loop_ticks_ms(a->parts.loop);
    loop_timer_set(a->poll_timer, in_ms > 0 ? in_ms : 0);
}

static void heap_add(struct object *object, int64_t due_ticks_ms)
{
    struct autoscaler *a = object->a;

    heap_remove(object);
    if (a->heap_count == a->heap_size) {
        a->heap_size = a->heap_size ? a->heap_size * 2 : 64;
        a->heap = mem_grow(a->heap, a->heap_size, sizeof(struct due_object));
    }
    object->due_ticks_ms = due_ticks_ms;
    heap_set(a, a->heap_count++, (struct due_object){due_ticks_ms, object});
    heap_up(a, a->heap_count - 1);
    if (a->heap[0].object == object)
        arm_timer(a);
}

/* How often an object is asked: as often as its most eager trigger. */
static int64_t object_interval_ms(const struct object *object)
{
    const struct policy *p = object->policy;
    struct target_view view; /* large: only what is needed of it is set */
    int64_t shortest = p->polling_interval_ms;

    view.replicas = 0;
    if (object->target)
        object->a->parts.platform->ops->target_view(object->target, &view);
    for (size_t i = 0; i < p->trigger_count; i++) {
        int64_t interval = policy_interval_ms(p, i, view.replicas);
        if (interval < shortest)
            shortest = interval;
    }
    return shortest > 0 ? shortest : SECOND_MS;
}

/* The first instant after `after` at the object's phase. */
static int64_t at_phase(const struct object *object, int64_t after_ms, int64_t interval_ms)
{
    int64_t phase = (int64_t)(object->phase % (uint64_t)interval_ms);

    if (interval_ms >= POLL_GRID_FROM_MS)
        phase -= phase % POLL_GRID_MS;
    int64_t due = after_ms - after_ms % interval_ms + phase;

    return due > after_ms ? due : due + interval_ms;
}

void schedule_start(struct object *object)
{
    struct autoscaler *a = object->a;
    int64_t ticks = loop_ticks_ms(a->parts.loop);
    int64_t spread = a->first_poll_ticks_ms > ticks ? a->first_poll_ticks_ms : ticks;
    int64_t phase = at_phase(object, ticks, object_interval_ms(object));

    a->first_poll_ticks_ms = spread + FIRST_POLL_STEP_MS;
    heap_add(object, spread < phase ? spread : phase);
}

void schedule_next(struct object *object)
{
    const struct autoscaler_hooks *hooks = object->a->parts.hooks;
    int64_t ticks = loop_ticks_ms(object->a->parts.loop), interval;
    int64_t in_ms = hooks && hooks->next_poll_ms ? hooks->next_poll_ms(hooks->arg, object->key, object->policy) : -1;

    if (object->poll_now)
        return;
    if (in_ms >= 0) {
        heap_add(object, ticks + in_ms);
        return;
    }
    interval = object_interval_ms(object);
    if (object->standing && object->standing->hpa == HPA_LEAVING && interval > LEAVING_POLL_MS)
        interval = LEAVING_POLL_MS; /* nothing is scaled before it is gone */
    /* Not before a quarter of the interval is over: the first poll is wherever the object was loaded. */
    heap_add(object, at_phase(object, ticks + interval / 4, interval));
}

/* What runs says how often an object is asked, and that has changed: a wait from before is not longer than one of now. */
void schedule_sooner(struct object *object)
{
    int64_t interval = object_interval_ms(object);

    if (object->heap_index != UINT32_MAX &&
        object->due_ticks_ms > loop_ticks_ms(object->a->parts.loop) + interval + interval / 4)
        schedule_next(object);
}

void schedule_now(struct object *object)
{
    int64_t ticks = loop_ticks_ms(object->a->parts.loop), due = ticks;

    if (object->polled_ticks_ms > 0 && due < object->polled_ticks_ms + PUSH_LOOK_MS)
        due = object->polled_ticks_ms + PUSH_LOOK_MS;
    object->poll_now = true;
    if (object->heap_index == UINT32_MAX || object->due_ticks_ms > due)
        heap_add(object, due);
}

/* A trigger with useCachedMetrics is asked less often than its object; half an interval is room for late polls. */
static bool is_its_turn(const struct object *object, size_t i, int64_t ticks, int64_t interval)
{
    const struct object_trigger *t = &object->triggers[i];
    struct target_view view;

    if (t->asked_ticks_ms == 0 || !object->policy->triggers[i].use_cached_metrics || !object->target)
        return true;
    view.replicas = 0;
    object->a->parts.platform->ops->target_view(object->target, &view);
    return ticks - t->asked_ticks_ms + interval / 2 > policy_interval_ms(object->policy, i, view.replicas);
}

void schedule_remove(struct object *object)
{
    heap_remove(object);
}

static void start_poll(struct object *object, int64_t ticks)
{
    struct autoscaler *a = object->a;
    const struct policy *p = object->policy;
    int64_t interval = object_interval_ms(object);
    int64_t late = ticks - object->due_ticks_ms;

    if (object->waiting > 0 && object->poll_now) { /* what is asked now was asked before the source spoke up */
        heap_add(object, ticks + PUSH_LOOK_MS);
        return;
    }
    object->poll_now = false;
    if (object->waiting > 0) { /* the last poll still waits: a hanging source costs its own object's polls only */
        a->stats.polls_skipped++;
        schedule_next(object);
        return;
    }
    object->polled_ticks_ms = ticks;
    object->due_since_ticks_ms = object->due_ticks_ms;
    object->late_ms = late > UINT32_MAX ? UINT32_MAX : (uint32_t)late;
    a->stats.polls++;
    object->polls++;
    if (late * 10 > interval)
        a->stats.polls_late++;
    for (size_t i = 0; i < p->trigger_count; i++) {
        struct object_trigger *t = &object->triggers[i];

        if ((p->is_job ? p->job_rules.paused : p->rules.paused) || !is_its_turn(object, i, ticks, interval))
            continue;
        if (!t->question && (!p->triggers[i].error || !question_stand_in(object, (uint16_t)i)))
            continue;
        t->asked_ticks_ms = ticks;
        if (t->question && question_ask(t->question, object, (uint16_t)i, interval)) {
            t->waiting = true;
            object->waiting++;
        }
    }
    if (object->waiting == 0)
        object_mark_due(object);
}

void schedule_on_timer(void *arg)
{
    struct autoscaler *a = arg;
    int64_t ticks = loop_ticks_ms(a->parts.loop);

    /* Bounded work: what is left over is due in the next turn of the loop, after sockets had theirs. */
    for (int i = 0; i < DUE_PER_TURN_MAX && a->heap_count > 0 && a->heap[0].due_ticks_ms <= ticks; i++) {
        struct object *object = a->heap[0].object;

        heap_remove(object);
        start_poll(object, ticks);
    }
    arm_timer(a);
}

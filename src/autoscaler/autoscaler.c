/*
 * autoscaler: puts the running system together and takes it apart; what it does is in schedule.c and turn.c.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdlib.h>

enum { STUCK_MS = 60 * 1000 }; /* objects that are due but were not decided for that long: turns are stuck */

static void on_prune(void *arg)
{
    struct autoscaler *a = arg;

    bool more = journal_prune(a->parts.journal, loop_now_ms(a->parts.loop));

    loop_timer_set(a->prune_timer, more ? PRUNE_MORE_MS : PRUNE_MS);
}

struct autoscaler *autoscaler_new(const struct autoscaler_parts *parts, const struct policy_settings *settings)
{
    struct autoscaler *a = mem_alloc(sizeof(*a));

    a->parts = *parts;
    a->settings = *settings;
    a->stats.started_at_ms = loop_now_ms(parts->loop);
    a->objects = map_new();
    a->auths = map_new();
    a->turn = arena_new(ARENA_USUAL);
    a->decisions = mem_array(DUE_PER_TURN_MAX + 1, sizeof(struct decision));
    a->turn_timer = loop_timer_new(parts->loop, turn_serve, a);
    a->poll_timer = loop_timer_new(parts->loop, schedule_on_timer, a);
    questions_observe(a);
    credentials_start(a);
    a->report = report_new();
    a->files = files_new(a);
    if (parts->journal) {
        a->commit_timer = loop_timer_new(parts->loop, turn_commit, a);
        a->prune_timer = loop_timer_new(parts->loop, on_prune, a);
        loop_timer_set(a->prune_timer, PRUNE_MS);
    }
    return a;
}

/* The last words to the journal: what a restart needs of every object. */
static void write_states(struct autoscaler *a)
{
    const char *key;
    void *value;

    for (size_t at = 0; a->parts.journal && map_next(a->objects, &at, &key, &value);) {
        struct object *object = value;
        struct text memory;

        if (!object->memory)
            continue;
        text_init(&memory, 1024 * 1024);
        decide_memory_write(object->memory, &memory);
        journal_put_state(a->parts.journal, object->key, object->policy->generation, object->created_at_ms,
                          object->original_replicas, memory.bytes, memory.length);
        text_done(&memory);
    }
    if (a->parts.journal)
        journal_commit(a->parts.journal, NULL);
}

void autoscaler_abandon(struct autoscaler *a)
{
    const char *key;
    void *value;

    a->stopping = true;
    credentials_stop(a);
    if (a->parts.engine)
        trigger_engine_observe(a->parts.engine, NULL);
    for (size_t at = 0; map_next(a->objects, &at, &key, &value); at = 0)
        object_remove(value);
    files_free(a->files);
    cluster_free(a->cluster);
    writes_abandon(a);
    hpa_writes_abandon(a);
    leavings_abandon(a);
    loop_timer_free(a->turn_timer);
    loop_timer_free(a->poll_timer);
    loop_timer_free(a->file_timer);
    loop_timer_free(a->prune_timer);
    loop_timer_free(a->commit_timer);
    map_free(a->objects);
    auths_free(a);
    arena_free(a->turn);
    report_free(a->report);
    free(a->decisions);
    free(a->heap);
    free(a->changed);
    free(a);
}

void autoscaler_free(struct autoscaler *a)
{
    if (!a)
        return;
    write_states(a);
    autoscaler_abandon(a);
}

struct journal *autoscaler_journal(const struct autoscaler *a)
{
    return a->parts.journal;
}

struct trigger_engine *autoscaler_engine(const struct autoscaler *a)
{
    return a->parts.engine;
}

struct loop *autoscaler_loop(const struct autoscaler *a)
{
    return a->parts.loop;
}

const char *autoscaler_platform(const struct autoscaler *a)
{
    return a->parts.platform->ops->name;
}

bool autoscaler_can_decide(const struct autoscaler *a, const char **why)
{
    int64_t ticks = loop_ticks_ms(a->parts.loop);

    *why = NULL;
    if (a->stopping)
        *why = "stopping";
    else if (a->journal_problem)
        *why = a->journal_problem;
    else if (a->cluster && cluster_is_unread(a->cluster))
        *why = "the ScaledObjects of the cluster are not known: they are being read, or cannot be, and then the log "
               "says why";
    else if (a->heap_count > 0 && ticks - a->heap[0].due_ticks_ms > STUCK_MS)
        *why = "polls are more than a minute late";
    return *why == NULL;
}

/*
 * virtual_loop: timers and posts as events of the virtual world. A timer of 0 ms and a post come after what was already arranged
 * for this instant, as in the real loop, where they wait for the next turn.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "sim/virtual_internal.h"

struct virtual_timer {
    struct timer_head head; /* first */
    struct event event;
    loop_callback *callback;
    void *arg;
};

struct posted {
    struct event event;
    struct virtual_world *world;
    struct posted *previous, *next;
    loop_callback *callback;
    void *arg;
};

static struct virtual_world *world_of(struct loop *loop)
{
    return owner_of(loop, struct virtual_loop, loop)->world;
}

static struct virtual_timer *timer_of(struct timer *timer)
{
    return (struct virtual_timer *)(void *)timer;
}

static int64_t now_ms(struct loop *loop)
{
    return world_of(loop)->ticks_ms + world_of(loop)->jumped_ms;
}

static int64_t ticks_ms(struct loop *loop)
{
    return world_of(loop)->ticks_ms;
}

static void fire_timer(struct event *event)
{
    struct virtual_timer *timer = owner_of(event, struct virtual_timer, event);

    timer->callback(timer->arg); /* may free the timer */
}

static struct timer *timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
    struct virtual_timer *timer = mem_alloc(sizeof *timer);

    timer->head.loop = loop;
    timer->callback = callback;
    timer->arg = arg;
    return (struct timer *)(void *)timer;
}

static void timer_set(struct timer *timer, int64_t after_ms)
{
    event_after(world_of(timer_of(timer)->head.loop), &timer_of(timer)->event, after_ms, fire_timer);
}

static void timer_stop(struct timer *timer)
{
    event_clear(world_of(timer_of(timer)->head.loop), &timer_of(timer)->event);
}

static void timer_free(struct timer *timer)
{
    if (!timer)
        return;
    timer_stop(timer);
    free(timer_of(timer));
}

static void forget(struct posted *posted)
{
    if (posted->previous)
        posted->previous->next = posted->next;
    else
        posted->world->posted = posted->next;
    if (posted->next)
        posted->next->previous = posted->previous;
    free(posted);
}

static void fire_posted(struct event *event)
{
    struct posted *posted = owner_of(event, struct posted, event);
    loop_callback *callback = posted->callback;
    void *arg = posted->arg;

    forget(posted);
    callback(arg);
}

static void post(struct loop *loop, loop_callback *callback, void *arg)
{
    struct virtual_world *world = world_of(loop);
    struct posted *posted = mem_alloc(sizeof *posted);

    posted->world = world;
    posted->callback = callback;
    posted->arg = arg;
    posted->next = world->posted;
    if (world->posted)
        world->posted->previous = posted;
    world->posted = posted;
    event_after(world, &posted->event, 0, fire_posted);
}

static void run(struct loop *loop)
{
    struct virtual_world *world = world_of(loop);

    world->stopping = false;
    while (!world->stopping && virtual_step(world))
        ;
}

static void stop(struct loop *loop)
{
    world_of(loop)->stopping = true;
}

static void free_loop(struct loop *loop)
{
    virtual_loop_done(world_of(loop));
}

/* Posts that never came are dropped, as in the real loop; timers belong to who made them. */
void virtual_loop_done(struct virtual_world *world)
{
    while (world->posted) {
        event_clear(world, &world->posted->event);
        forget(world->posted);
    }
}

const struct loop_ops virtual_loop_ops = {
    .now_ms = now_ms,
    .ticks_ms = ticks_ms,
    .timer_new = timer_new,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .timer_free = timer_free,
    .post = post,
    .run = run,
    .stop = stop,
    .free = free_loop,
};

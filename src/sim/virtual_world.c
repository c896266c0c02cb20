/*
 * virtual_world: the heap of what will happen, the clock it moves, and the seed. Everything else hangs events into the heap.
 *
 * Time stands still while callbacks run and jumps to the next event between them, so an hour of an idle policy costs nothing.
 * Ticks start at the wall clock's start, so that a run without jumps shows one time only.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "sim/virtual_internal.h"

void event_at(struct virtual_world *world, struct event *event, int64_t at_ms, event_fire *fire)
{
    event->fire = fire;
    due_set(&world->events, &event->due, at_ms < world->ticks_ms ? world->ticks_ms : at_ms);
}

void event_after(struct virtual_world *world, struct event *event, int64_t after_ms, event_fire *fire)
{
    int64_t at_ms =
        after_ms > INT64_MAX - world->ticks_ms ? INT64_MAX : world->ticks_ms + (after_ms > 0 ? after_ms : 0);

    event_at(world, event, at_ms, fire);
}

void event_clear(struct virtual_world *world, struct event *event)
{
    due_clear(&world->events, &event->due);
}

static void free_transport(struct transport *transport)
{
    struct virtual_world *world = owner_of(transport, struct virtual_transport, transport)->world;

    virtual_http_cancel_all(world);
    virtual_stream_close_all(world);
    virtual_work_cancel_all(world);
}

static const struct transport_ops virtual_transport_ops = {
    .http = virtual_http,
    .http_cancel = virtual_http_cancel,
    .stream_open = virtual_stream_open,
    .stream_write = virtual_stream_write,
    .stream_close = virtual_stream_close,
    .work = virtual_work,
    .work_cancel = virtual_work_cancel,
    .free = free_transport,
};

struct virtual_world *virtual_world_new(uint64_t seed, int64_t start_at_ms)
{
    struct virtual_world *world = mem_alloc(sizeof *world);

    world->loop.loop.ops = &virtual_loop_ops;
    world->loop.world = world;
    world->transport.transport.ops = &virtual_transport_ops;
    world->transport.world = world;
    world->ticks_ms = start_at_ms;
    world->random = seed;
    virtual_http_init(world);
    virtual_stream_init(world);
    virtual_work_init(world);
    return world;
}

void virtual_world_free(struct virtual_world *world)
{
    if (!world)
        return;
    free_transport(&world->transport.transport);
    virtual_http_done(world);
    virtual_stream_done(world);
    virtual_work_done(world);
    virtual_loop_done(world);
    due_heap_done(&world->events);
    free(world);
}

struct loop *virtual_loop(struct virtual_world *world)
{
    return &world->loop.loop;
}

struct transport *virtual_transport(struct virtual_world *world)
{
    return &world->transport.transport;
}

uint64_t virtual_random(struct virtual_world *world)
{
    uint64_t z = (world->random += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

bool virtual_step(struct virtual_world *world)
{
    struct due *due = due_first(&world->events);
    struct event *event;

    if (!due || due->at_ms == INT64_MAX)
        return false;
    event = owner_of(due, struct event, due);
    assert(due->at_ms >= world->ticks_ms);
    world->ticks_ms = due->at_ms;
    due_clear(&world->events, due);
    event->fire(event);
    return true;
}

void virtual_run_until(struct virtual_world *world, int64_t ticks_at_ms)
{
    const struct due *due;

    world->stopping = false;
    while (!world->stopping && (due = due_first(&world->events)) && due->at_ms <= ticks_at_ms &&
           due->at_ms != INT64_MAX)
        virtual_step(world);
    if (!world->stopping && world->ticks_ms < ticks_at_ms)
        world->ticks_ms = ticks_at_ms;
}

void virtual_jump(struct virtual_world *world, int64_t by_ms)
{
    world->jumped_ms += by_ms;
}

size_t virtual_pending(const struct virtual_world *world)
{
    return world->exchange_count + world->stream_count + world->job_count;
}

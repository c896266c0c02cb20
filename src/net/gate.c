/*
 * gate: how many may be under way. Two bounds, one for all and a smaller one for a destination, so that a host that hangs
 * holds its own share and no more (failure-modes: a stuck source costs only its own polls).
 *
 *     waiting lanes (may admit)      A ----> C ----> D          lanes take turns: A's first, then C's, ...
 *                                    |       |       |
 *                                   a1      c1      d1          within a lane first come, first served
 *                                   a2
 *     a lane at its own bound is not in that ring, whoever waits in it
 */
#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "net/implement.h"

enum {
    LANES_KEPT = 1024
}; /* lanes without tickets are kept up to here, because their destinations will be asked again */

struct gate_lane {
    char *destination;
    size_t under_way;
    struct gate_ticket *first, *last; /* waiting */
    struct gate_lane *next_ready;
    bool ready; /* in the ring */
};

struct gate {
    size_t all_max, destination_max;
    gate_admit *admit;
    void *arg;
    size_t under_way, waiting;
    struct map *lanes;
    size_t sweep_at; /* this many lanes: look for idle ones; doubles with those in use, so that the cost stays small */
    struct gate_lane *first_ready, *last_ready;
};

struct gate *gate_new(size_t all_max, size_t destination_max, gate_admit *admit, void *arg)
{
    struct gate *gate = mem_alloc(sizeof *gate);

    assert(destination_max >= 1 && all_max >= destination_max);
    gate->all_max = all_max;
    gate->destination_max = destination_max;
    gate->admit = admit;
    gate->arg = arg;
    gate->lanes = map_new();
    gate->sweep_at = LANES_KEPT;
    return gate;
}

static void free_lane(struct gate_lane *lane)
{
    free(lane->destination);
    free(lane);
}

static void drop_idle_lanes(struct gate *gate)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(gate->lanes, &i, &key, &value);) {
        struct gate_lane *lane = value;

        if (lane->under_way == 0 && !lane->first && !lane->ready) {
            map_remove(gate->lanes, key);
            free_lane(lane);
        }
    }
    gate->sweep_at = map_count(gate->lanes) > LANES_KEPT / 2 ? 2 * map_count(gate->lanes) : LANES_KEPT;
}

static void make_ready(struct gate *gate, struct gate_lane *lane)
{
    if (lane->ready || !lane->first || lane->under_way >= gate->destination_max)
        return;
    lane->ready = true;
    lane->next_ready = NULL;
    if (gate->last_ready)
        gate->last_ready->next_ready = lane;
    else
        gate->first_ready = lane;
    gate->last_ready = lane;
}

static struct gate_lane *take_ready(struct gate *gate)
{
    struct gate_lane *lane = gate->first_ready;

    if (lane) {
        gate->first_ready = lane->next_ready;
        if (!gate->first_ready)
            gate->last_ready = NULL;
        lane->ready = false;
    }
    return lane;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    assert(gate->under_way == 0 && gate->waiting == 0);
    while (take_ready(gate))
        ; /* lanes whose tickets gave up */
    drop_idle_lanes(gate);
    map_free(gate->lanes);
    free(gate);
}

static struct gate_lane *lane_of(struct gate *gate, const char *destination)
{
    struct gate_lane *lane = map_get(gate->lanes, destination);

    if (lane)
        return lane;
    if (map_count(gate->lanes) >= gate->sweep_at)
        drop_idle_lanes(gate);
    lane = mem_alloc(sizeof *lane);
    lane->destination = mem_copy(destination);
    map_put(gate->lanes, destination, lane);
    return lane;
}

static void start_waiting(struct gate *gate, struct gate_lane *lane, struct gate_ticket *ticket)
{
    ticket->waiting = true;
    ticket->previous = lane->last;
    ticket->next = NULL;
    if (lane->last)
        lane->last->next = ticket;
    else
        lane->first = ticket;
    lane->last = ticket;
    gate->waiting++;
}

static void stop_waiting(struct gate *gate, struct gate_ticket *ticket)
{
    struct gate_lane *lane = ticket->lane;

    if (ticket->previous)
        ticket->previous->next = ticket->next;
    else
        lane->first = ticket->next;
    if (ticket->next)
        ticket->next->previous = ticket->previous;
    else
        lane->last = ticket->previous;
    ticket->previous = ticket->next = NULL;
    ticket->waiting = false;
    gate->waiting--;
}

bool gate_enter(struct gate *gate, struct gate_ticket *ticket, const char *destination)
{
    struct gate_lane *lane = lane_of(gate, destination);

    assert(!ticket->lane);
    ticket->lane = lane;
    if (gate->under_way < gate->all_max && lane->under_way < gate->destination_max && !lane->first) {
        lane->under_way++;
        gate->under_way++;
        return true;
    }
    start_waiting(gate, lane, ticket);
    make_ready(gate, lane);
    return false;
}

static void admit_next(struct gate *gate)
{
    while (gate->under_way < gate->all_max) {
        struct gate_lane *lane = take_ready(gate);
        struct gate_ticket *ticket;

        if (!lane)
            return;
        ticket = lane->first;
        if (!ticket || lane->under_way >= gate->destination_max)
            continue; /* those who waited here gave up, or the lane filled meanwhile */
        stop_waiting(gate, ticket);
        lane->under_way++;
        gate->under_way++;
        make_ready(gate, lane);
        gate->admit(gate->arg, ticket);
    }
}

void gate_leave(struct gate *gate, struct gate_ticket *ticket)
{
    struct gate_lane *lane = ticket->lane;

    assert(lane);
    if (ticket->waiting) {
        stop_waiting(gate, ticket);
    } else {
        assert(lane->under_way > 0 && gate->under_way > 0);
        lane->under_way--;
        gate->under_way--;
        make_ready(gate, lane);
    }
    ticket->lane = NULL;
    admit_next(gate);
}

size_t gate_under_way(const struct gate *gate)
{
    return gate->under_way;
}

size_t gate_waiting(const struct gate *gate)
{
    return gate->waiting;
}

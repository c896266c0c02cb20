/*
 * gate: how many may be under way. A bound for all; a smaller one for a destination, so that a host that hangs holds its own share and no
 * more (failure-modes: a stuck source costs only its own polls); and one for a share, where whoever asks is told apart, so that a namespace
 * with many hosts that hang does not hold all.
 *
 *     waiting lanes, in a ring:      A/x ----> C/x ----> A/y          a lane is a destination and a share; they take turns
 *                                     |         |         |
 *                                    a1        c1        a3           within a lane first come, first served
 *                                    a2
 *     a lane whose destination or share is at its bound keeps its place, and is passed over
 *
 * A gate may hold back: then of a destination no more than usual are under way, unless somebody presses who has waited long.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "net/implement.h"

enum {
    LANES_KEPT = 1024
}; /* lanes without tickets are kept up to here, because their destinations will be asked again */

struct count { /* of a destination, or of a share, over all their lanes */
    char *name;
    size_t under_way, lanes;
};

struct gate_lane {
    struct count *destination, *share; /* share NULL: it has no bound */
    struct gate_ticket *first, *last;  /* waiting */
    struct gate_lane *next;
    size_t under_way, pressing; /* of those who wait */
    bool in_ring;
};

struct gate {
    size_t all_max, destination_max, usual_max, share_max;
    gate_admit *admit;
    void *arg;
    size_t under_way, waiting;
    struct map *lanes, *destinations, *shares;
    size_t sweep_at; /* this many lanes: look for idle ones; doubles with those in use, so that the cost stays small */
    struct gate_lane *first, *last; /* the ring */
};

struct gate *gate_new(size_t all_max, size_t destination_max, gate_admit *admit, void *arg)
{
    struct gate *gate = mem_alloc(sizeof *gate);

    assert(destination_max >= 1 && all_max >= destination_max);
    gate->all_max = all_max;
    gate->destination_max = destination_max;
    gate->usual_max = destination_max;
    gate->share_max = all_max;
    gate->admit = admit;
    gate->arg = arg;
    gate->lanes = map_new();
    gate->destinations = map_new();
    gate->shares = map_new();
    gate->sweep_at = LANES_KEPT;
    return gate;
}

void gate_bound_shares(struct gate *gate, size_t share_max)
{
    assert(share_max >= 1);
    gate->share_max = share_max;
}

void gate_hold_back(struct gate *gate, size_t usual_max)
{
    assert(usual_max >= 1 && usual_max <= gate->destination_max);
    gate->usual_max = usual_max;
}

/* ---- lanes ---- */
static struct count *count_ref(struct map *counts, const char *name)
{
    struct count *count = map_get(counts, name);

    if (!count) {
        count = mem_alloc(sizeof *count);
        count->name = mem_copy(name);
        map_put(counts, name, count);
    }
    count->lanes++;
    return count;
}

static void count_unref(struct map *counts, struct count *count)
{
    if (!count || --count->lanes > 0)
        return;
    map_remove(counts, count->name);
    free(count->name);
    free(count);
}

static void drop_idle_lanes(struct gate *gate)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(gate->lanes, &i, &key, &value);) {
        struct gate_lane *lane = value;

        if (lane->under_way > 0 || lane->first || lane->in_ring)
            continue;
        map_remove(gate->lanes, key);
        count_unref(gate->destinations, lane->destination);
        count_unref(gate->shares, lane->share);
        free(lane);
    }
    gate->sweep_at = map_count(gate->lanes) > LANES_KEPT / 2 ? 2 * map_count(gate->lanes) : LANES_KEPT;
}

static struct gate_lane *lane_named(struct gate *gate, const char *key, const char *destination, const char *share)
{
    struct gate_lane *lane = map_get(gate->lanes, key);

    if (lane)
        return lane;
    if (map_count(gate->lanes) >= gate->sweep_at)
        drop_idle_lanes(gate);
    lane = mem_alloc(sizeof *lane);
    lane->destination = count_ref(gate->destinations, destination);
    lane->share = share ? count_ref(gate->shares, share) : NULL;
    map_put(gate->lanes, key, lane);
    return lane;
}

/* "destination", or "share\ndestination": neither has a line break. */
static struct gate_lane *lane_of(struct gate *gate, const char *destination, const char *share)
{
    size_t share_bytes = share ? strlen(share) : 0, bytes = strlen(destination) + 1;
    struct gate_lane *lane;
    char *key;

    if (!share)
        return lane_named(gate, destination, destination, NULL);
    key = mem_alloc(share_bytes + 1 + bytes);
    memcpy(key, share, share_bytes);
    key[share_bytes] = '\n';
    memcpy(key + share_bytes + 1, destination, bytes);
    lane = lane_named(gate, key, destination, share);
    free(key);
    return lane;
}

/* ---- the ring ---- */
static void append(struct gate *gate, struct gate_lane *lane)
{
    if (lane->in_ring || !lane->first)
        return;
    lane->in_ring = true;
    lane->next = NULL;
    if (gate->last)
        gate->last->next = lane;
    else
        gate->first = lane;
    gate->last = lane;
}

static void unlink_lane(struct gate *gate, struct gate_lane *previous, struct gate_lane *lane)
{
    if (previous)
        previous->next = lane->next;
    else
        gate->first = lane->next;
    if (gate->last == lane)
        gate->last = previous;
    lane->in_ring = false;
}

static bool has_room(const struct gate *gate, const struct gate_lane *lane)
{
    size_t max = lane->pressing > 0 ? gate->destination_max : gate->usual_max;

    return gate->under_way < gate->all_max && lane->destination->under_way < max &&
           (!lane->share || lane->share->under_way < gate->share_max);
}

/* Out of the ring: the first lane that may go on, and on the way those whose tickets gave up. NULL: none may. At most all_max /
   usual_max destinations are full at a time, so little is passed over but for shares that are. */
static struct gate_lane *take_next(struct gate *gate)
{
    struct gate_lane *previous = NULL;

    for (struct gate_lane *lane = gate->first, *next; lane; lane = next) {
        next = lane->next;
        if (!lane->first) {
            unlink_lane(gate, previous, lane);
        } else if (has_room(gate, lane)) {
            unlink_lane(gate, previous, lane);
            return lane;
        } else {
            previous = lane;
        }
    }
    return NULL;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    assert(gate->under_way == 0 && gate->waiting == 0);
    take_next(gate); /* lanes whose tickets gave up */
    drop_idle_lanes(gate);
    map_free(gate->lanes);
    map_free(gate->destinations);
    map_free(gate->shares);
    free(gate);
}

/* ---- tickets ---- */
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
    lane->pressing -= ticket->presses;
    ticket->previous = ticket->next = NULL;
    ticket->waiting = ticket->presses = false;
    gate->waiting--;
}

/* by: 1 or -1 */
static void add_under_way(struct gate *gate, struct gate_lane *lane, int by)
{
    gate->under_way += (size_t)by;
    lane->under_way += (size_t)by;
    lane->destination->under_way += (size_t)by;
    if (lane->share)
        lane->share->under_way += (size_t)by;
}

bool gate_enter_as(struct gate *gate, struct gate_ticket *ticket, const char *destination, const char *share)
{
    struct gate_lane *lane = lane_of(gate, destination, share);

    assert(!ticket->lane);
    ticket->lane = lane;
    if (has_room(gate, lane) && !lane->first) {
        add_under_way(gate, lane, 1);
        return true;
    }
    start_waiting(gate, lane, ticket);
    append(gate, lane);
    return false;
}

bool gate_enter(struct gate *gate, struct gate_ticket *ticket, const char *destination)
{
    return gate_enter_as(gate, ticket, destination, NULL);
}

static void admit_next(struct gate *gate)
{
    struct gate_lane *lane;

    while (gate->under_way < gate->all_max && (lane = take_next(gate))) {
        struct gate_ticket *ticket = lane->first;

        stop_waiting(gate, ticket);
        add_under_way(gate, lane, 1);
        append(gate, lane);
        gate->admit(gate->arg, ticket);
    }
}

void gate_press(struct gate *gate, struct gate_ticket *ticket)
{
    if (!ticket->waiting || ticket->presses)
        return;
    ticket->presses = true;
    ticket->lane->pressing++;
    admit_next(gate);
}

void gate_leave(struct gate *gate, struct gate_ticket *ticket)
{
    struct gate_lane *lane = ticket->lane;

    assert(lane);
    if (ticket->waiting) {
        stop_waiting(gate, ticket);
    } else {
        assert(lane->under_way > 0 && gate->under_way > 0);
        add_under_way(gate, lane, -1);
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

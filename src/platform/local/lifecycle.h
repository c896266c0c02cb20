/*
 * lifecycle: what becomes of a replica, as tables. Pure: no process, no file and no clock in it.
 *
 *                 START              STARTED
 *        IDLE ------------> STARTING --------> RUNNING
 *         ^  \                 |  ENDED, REFUSED  |  \
 *         |   REMOVE           v                  |   UNHEALTHY
 *         |    \--> GONE    BACKOFF <-- ENDED ----+----> FAILING -- ENDED --> BACKOFF
 *         |          ^         | START (its time has come)
 *         |   ENDED  |         v
 *         +-- RENEWING <--> LEAVING           (REMOVE and RENEW ask what lives to end; IDLE starts what is wanted)
 *
 * Three questions are answered here: what a replica does when something happens to it (lifecycle_next), how long one that
 * ended waits (backoff_*), and which replicas of a workload are to start, go or be renewed now (plan_replicas).
 * Back-off is the kubelet's: the first restart at once, then after 10 s, doubling to 5 min; forgotten after 10 min of running.
 */
#ifndef WEIR_PLATFORM_LOCAL_LIFECYCLE_H
#define WEIR_PLATFORM_LOCAL_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 10 * 1000,
    BACKOFF_MAX_MS = 5 * 60 * 1000,
    BACKOFF_FORGET_MS = 10 * 60 * 1000, /* of running */
};

enum replica_state {
    REPLICA_IDLE,     /* no process: not its turn yet */
    REPLICA_BACKOFF,  /* no process: it ended, and waits */
    REPLICA_STARTING, /* under a shim, the command not known to run yet */
    REPLICA_RUNNING,
    REPLICA_LEAVING,  /* asked to end, and not wanted any more */
    REPLICA_RENEWING, /* asked to end, to start anew at once */
    REPLICA_FAILING,  /* asked to end because a probe says so; then as if it had ended by itself */
    REPLICA_GONE,
};
enum { REPLICA_STATES = REPLICA_GONE + 1 };

enum replica_event {
    REPLICA_START,     /* it is its turn, or the back-off is over */
    REPLICA_STARTED,   /* the command runs */
    REPLICA_ENDED,     /* nothing of it is left */
    REPLICA_REFUSED,   /* it could not be started */
    REPLICA_REMOVE,    /* scaled down, or its workload is gone */
    REPLICA_RENEW,     /* its template changed */
    REPLICA_UNHEALTHY, /* liveness or startup probe */
};
enum { REPLICA_EVENTS = REPLICA_UNHEALTHY + 1 };

enum replica_action { /* what the caller does when it has entered the next state */
                      ACTION_NONE,
                      ACTION_SPAWN,
                      ACTION_PROBE,     /* begin probing */
                      ACTION_TERMINATE, /* ask it to end */
                      ACTION_DELAY,     /* back off */
                      ACTION_FORGET,    /* forget the back-off: what comes next is new */
                      ACTION_DROP,      /* remove the replica and its directory */
};

struct replica_step {
    enum replica_state next;
    enum replica_action action;
};
struct replica_step lifecycle_next(enum replica_state state, enum replica_event event);
const char *replica_state_name(enum replica_state state);
/* Whether a process may exist in this state. */
bool replica_state_lives(enum replica_state state);
/* Whether its end has been asked for. */
bool replica_state_ends(enum replica_state state);

/* How long a process that ended waits before the next start. *level: how often it ended soon, kept by the caller, 0 at first;
   ran_ms: how long it ran, -1 if it did not start at all. */
int64_t backoff_after_end(int *level, int64_t ran_ms);

struct plan_replica { /* in the order of ordinals 0, 1, 2 ... without gaps; absent ones have state GONE */
    enum replica_state state;
    bool current; /* runs, or would start, with the newest template */
    bool ready;
};
enum plan_action { PLAN_NOTHING, PLAN_START, PLAN_REMOVE, PLAN_RENEW };
/*
 * Fills actions[0..count). count is the larger of what exists and what is wanted.
 *
 * Deployment: everything wanted starts at once; everything above goes at once. StatefulSet (ordered): the next one starts when
 * all before it are ready, and the highest goes first, one at a time, when all that stay are there.
 * A changed template renews one replica at a time: first what does not work anyway, then ordinals upwards (StatefulSet: downwards),
 * the next one when all others are ready.
 */
void plan_replicas(const struct plan_replica *replicas, size_t count, size_t wanted, bool ordered,
                   enum plan_action *actions);

#endif

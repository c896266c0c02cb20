/* lifecycle: see lifecycle.h. The kubelet's back-off: "reset after 2 x the longest wait of running". */
#include "platform/local/lifecycle.h"

#include <assert.h>

/* ------------------------------------------------------------------ one replica */

#define STAY(state)                                                                                                    \
    {                                                                                                                  \
        REPLICA_##state, ACTION_NONE                                                                                   \
    }
#define GO(state, action)                                                                                              \
    {                                                                                                                  \
        REPLICA_##state, ACTION_##action                                                                               \
    }

/* clang-format off */
/* What cannot happen in a state stays without effect: a pipe may report late what the process's end has overtaken. */
static const struct replica_step steps[REPLICA_STATES][REPLICA_EVENTS] = {
    /*                   START              STARTED             ENDED                REFUSED
                         REMOVE             RENEW               UNHEALTHY */
    [REPLICA_IDLE] = {GO(STARTING, SPAWN), STAY(IDLE), STAY(IDLE), STAY(IDLE),
                      GO(GONE, DROP), STAY(IDLE), STAY(IDLE)},
    [REPLICA_BACKOFF] = {GO(STARTING, SPAWN), STAY(BACKOFF), STAY(BACKOFF), STAY(BACKOFF),
                         GO(GONE, DROP), GO(IDLE, FORGET), STAY(BACKOFF)},
    [REPLICA_STARTING] = {STAY(STARTING), GO(RUNNING, PROBE), GO(BACKOFF, DELAY), GO(BACKOFF, DELAY),
                          GO(LEAVING, TERMINATE), GO(RENEWING, TERMINATE), STAY(STARTING)},
    [REPLICA_RUNNING] = {STAY(RUNNING), STAY(RUNNING), GO(BACKOFF, DELAY), STAY(RUNNING),
                         GO(LEAVING, TERMINATE), GO(RENEWING, TERMINATE), GO(FAILING, TERMINATE)},
    [REPLICA_LEAVING] = {GO(RENEWING, NONE), STAY(LEAVING), GO(GONE, DROP), STAY(LEAVING),
                         STAY(LEAVING), STAY(LEAVING), STAY(LEAVING)},
    [REPLICA_RENEWING] = {STAY(RENEWING), STAY(RENEWING), GO(IDLE, FORGET), STAY(RENEWING),
                          GO(LEAVING, NONE), STAY(RENEWING), STAY(RENEWING)},
    [REPLICA_FAILING] = {STAY(FAILING), STAY(FAILING), GO(BACKOFF, DELAY), STAY(FAILING),
                         GO(LEAVING, NONE), GO(RENEWING, NONE), STAY(FAILING)},
    [REPLICA_GONE] = {STAY(GONE), STAY(GONE), STAY(GONE), STAY(GONE), STAY(GONE), STAY(GONE), STAY(GONE)},
};
/* clang-format on */

struct replica_step lifecycle_next(enum replica_state state, enum replica_event event)
{
    assert((unsigned)state < REPLICA_STATES && (unsigned)event < REPLICA_EVENTS);
    return steps[state][event];
}

const char *replica_state_name(enum replica_state state)
{
    static const char *const names[REPLICA_STATES] = {
        [REPLICA_IDLE] = "idle",       [REPLICA_BACKOFF] = "backoff", [REPLICA_STARTING] = "starting",
        [REPLICA_RUNNING] = "running", [REPLICA_LEAVING] = "leaving", [REPLICA_RENEWING] = "renewing",
        [REPLICA_FAILING] = "failing", [REPLICA_GONE] = "gone",
    };
    assert((unsigned)state < REPLICA_STATES);
    return names[state];
}

bool replica_state_lives(enum replica_state state)
{
    return state == REPLICA_STARTING || state == REPLICA_RUNNING || replica_state_ends(state);
}

bool replica_state_ends(enum replica_state state)
{
    return state == REPLICA_LEAVING || state == REPLICA_RENEWING || state == REPLICA_FAILING;
}

int64_t backoff_after_end(int *level, int64_t ran_ms)
{
    int64_t delay_ms = BACKOFF_FIRST_MS;

    if (ran_ms >= BACKOFF_FORGET_MS)
        *level = 0;
    if (ran_ms < 0 && *level == 0)
        *level = 1; /* what cannot be started gains nothing from being tried again at once */
    if (*level == 0) {
        *level = 1;
        return 0;
    }
    for (int i = 1; i < *level && delay_ms < BACKOFF_MAX_MS; i++)
        delay_ms *= 2;
    if (delay_ms < BACKOFF_MAX_MS)
        ++*level;
    return delay_ms < BACKOFF_MAX_MS ? delay_ms : BACKOFF_MAX_MS;
}

/* ------------------------------------------------------------------ the replicas of a workload */

static bool settled(const struct plan_replica *r)
{
    return r->state == REPLICA_RUNNING && r->ready;
}

static void plan_scale_up(const struct plan_replica *replicas, size_t wanted, bool ordered, enum plan_action *actions)
{
    for (size_t i = 0; i < wanted; i++) {
        enum replica_state state = replicas[i].state;
        if (state == REPLICA_GONE || state == REPLICA_IDLE || state == REPLICA_LEAVING)
            actions[i] = PLAN_START;
        if (ordered && !settled(&replicas[i]))
            return;
    }
}

static void plan_scale_down(const struct plan_replica *replicas, size_t count, size_t wanted, bool ordered,
                            enum plan_action *actions)
{
    for (size_t i = count; i > wanted; i--) {
        enum replica_state state = replicas[i - 1].state;
        if (state == REPLICA_GONE)
            continue;
        if (state != REPLICA_LEAVING)
            actions[i - 1] = PLAN_REMOVE;
        if (ordered)
            return;
    }
}

/* One that waits to be started takes the new template as it starts; one that backs off may be cured by it. */
static bool renew_what_is_down(const struct plan_replica *replicas, size_t wanted, enum plan_action *actions)
{
    bool found = false;

    for (size_t i = 0; i < wanted; i++) {
        if (!replicas[i].current && replicas[i].state == REPLICA_BACKOFF) {
            actions[i] = PLAN_RENEW;
            found = true;
        }
    }
    return found;
}

static void plan_rollout(const struct plan_replica *replicas, size_t wanted, bool ordered, enum plan_action *actions)
{
    size_t broken = wanted, old = wanted, unsettled = 0;

    if (renew_what_is_down(replicas, wanted, actions))
        return;
    for (size_t n = 0; n < wanted; n++) {
        size_t i = ordered ? wanted - 1 - n : n;
        bool lives = replicas[i].state == REPLICA_RUNNING || replicas[i].state == REPLICA_STARTING;
        if (!settled(&replicas[i]))
            unsettled++;
        if (replicas[i].current || !lives)
            continue;
        if (!settled(&replicas[i]) && broken == wanted)
            broken = i;
        if (old == wanted)
            old = i;
    }
    if (broken != wanted)
        actions[broken] = PLAN_RENEW; /* it serves nobody: replacing it costs nothing */
    else if (old != wanted && unsettled == 0)
        actions[old] = PLAN_RENEW;
}

void plan_replicas(const struct plan_replica *replicas, size_t count, size_t wanted, bool ordered,
                   enum plan_action *actions)
{
    assert(wanted <= count);
    for (size_t i = 0; i < count; i++)
        actions[i] = PLAN_NOTHING;
    plan_rollout(replicas, wanted, ordered, actions);
    plan_scale_up(replicas, wanted, ordered, actions);
    plan_scale_down(replicas, count, wanted, ordered, actions);
}

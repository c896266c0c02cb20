/* What becomes of a replica, how long it waits, and which of them move: tables only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/local/lifecycle.h"

/* ------------------------------------------------------------------ lives */

static void lives_end_where_they_should(void **state)
{
    static const struct {
        const char *what;
        enum replica_event events[8];
        size_t count;
        enum replica_state end;
        enum replica_action last;
    } lives[] = {
        {"a start", {REPLICA_START, REPLICA_STARTED}, 2, REPLICA_RUNNING, ACTION_PROBE},
        {"a crash backs off", {REPLICA_START, REPLICA_STARTED, REPLICA_ENDED}, 3, REPLICA_BACKOFF, ACTION_DELAY},
        {"and starts again",
         {REPLICA_START, REPLICA_STARTED, REPLICA_ENDED, REPLICA_START},
         4,
         REPLICA_STARTING,
         ACTION_SPAWN},
        {"no room to start", {REPLICA_START, REPLICA_REFUSED}, 2, REPLICA_BACKOFF, ACTION_DELAY},
        {"cannot be executed", {REPLICA_START, REPLICA_ENDED}, 2, REPLICA_BACKOFF, ACTION_DELAY},
        {"scaled down", {REPLICA_START, REPLICA_STARTED, REPLICA_REMOVE, REPLICA_ENDED}, 4, REPLICA_GONE, ACTION_DROP},
        {"scaled down while starting",
         {REPLICA_START, REPLICA_REMOVE, REPLICA_STARTED},
         3,
         REPLICA_LEAVING,
         ACTION_NONE},
        {"scaled down in back-off", {REPLICA_START, REPLICA_ENDED, REPLICA_REMOVE}, 3, REPLICA_GONE, ACTION_DROP},
        {"never started", {REPLICA_REMOVE}, 1, REPLICA_GONE, ACTION_DROP},
        {"wanted again while it leaves",
         {REPLICA_START, REPLICA_STARTED, REPLICA_REMOVE, REPLICA_START},
         4,
         REPLICA_RENEWING,
         ACTION_NONE},
        {"and comes back at once",
         {REPLICA_START, REPLICA_STARTED, REPLICA_REMOVE, REPLICA_START, REPLICA_ENDED},
         5,
         REPLICA_IDLE,
         ACTION_FORGET},
        {"renewed", {REPLICA_START, REPLICA_STARTED, REPLICA_RENEW, REPLICA_ENDED}, 4, REPLICA_IDLE, ACTION_FORGET},
        {"renewed in back-off", {REPLICA_START, REPLICA_ENDED, REPLICA_RENEW}, 3, REPLICA_IDLE, ACTION_FORGET},
        {"removed while renewed",
         {REPLICA_START, REPLICA_STARTED, REPLICA_RENEW, REPLICA_REMOVE, REPLICA_ENDED},
         5,
         REPLICA_GONE,
         ACTION_DROP},
        {"unhealthy", {REPLICA_START, REPLICA_STARTED, REPLICA_UNHEALTHY}, 3, REPLICA_FAILING, ACTION_TERMINATE},
        {"unhealthy backs off",
         {REPLICA_START, REPLICA_STARTED, REPLICA_UNHEALTHY, REPLICA_ENDED},
         4,
         REPLICA_BACKOFF,
         ACTION_DELAY},
        {"unhealthy and removed",
         {REPLICA_START, REPLICA_STARTED, REPLICA_UNHEALTHY, REPLICA_REMOVE, REPLICA_ENDED},
         5,
         REPLICA_GONE,
         ACTION_DROP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        struct replica_step step = {REPLICA_IDLE, ACTION_NONE};
        for (size_t e = 0; e < lives[i].count; e++)
            step = lifecycle_next(step.next, lives[i].events[e]);
        if (step.next != lives[i].end || step.action != lives[i].last)
            fail_msg("%s: ends %s with action %d, not %s with %d", lives[i].what, replica_state_name(step.next),
                     step.action, replica_state_name(lives[i].end), lives[i].last);
    }
}

/* Nothing that happens may spawn a process where one may live, or drop a replica whose process may. */
static void no_step_doubles_or_loses_a_process(void **state)
{
    (void)state;
    for (int s = 0; s < REPLICA_STATES; s++) {
        for (int e = 0; e < REPLICA_EVENTS; e++) {
            struct replica_step step = lifecycle_next(s, e);
            bool lived = replica_state_lives(s), over = e == REPLICA_ENDED || e == REPLICA_REFUSED;
            if (step.action == ACTION_SPAWN)
                assert_false(lived);
            if (step.action == ACTION_DROP)
                assert_true(!lived || over);
            if (lived && !over)
                assert_true(replica_state_lives(step.next));
            if (lived && e == REPLICA_ENDED)
                assert_false(replica_state_lives(step.next));
            assert_int_equal(step.action == ACTION_DROP, step.next == REPLICA_GONE && s != REPLICA_GONE);
        }
    }
}

/* ------------------------------------------------------------------ back-off */

static void backoff_doubles_and_is_forgotten(void **state)
{
    static const struct {
        int64_t ran_ms, waits_ms;
    } ends[] = {
        {50, 0},      {50, 10000},  {50, 20000},  {50, 40000},      {50, 80000},
        {50, 160000}, {50, 300000}, {50, 300000}, {599999, 300000}, {600000, 0} /* forgotten */,
        {50, 10000},  {-1, 20000},
    };
    int level = 0, unstartable = 0;

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        assert_int_equal(backoff_after_end(&level, ends[i].ran_ms), ends[i].waits_ms);
    assert_int_equal(backoff_after_end(&unstartable, -1), 10000);
    assert_int_equal(backoff_after_end(&unstartable, -1), 20000);
}

/* ------------------------------------------------------------------ plans */

/* One letter a replica: state, lower case where it has an old template.
   i idle, b back-off, s starting, r running, R running and ready, l leaving, n renewing, . absent; old ones: B S O (running) Q (and ready) */
static struct plan_replica replica_of(char c)
{
    switch (c) {
    case 'i':
        return (struct plan_replica){REPLICA_IDLE, true, false};
    case 'b':
        return (struct plan_replica){REPLICA_BACKOFF, true, false};
    case 's':
        return (struct plan_replica){REPLICA_STARTING, true, false};
    case 'r':
        return (struct plan_replica){REPLICA_RUNNING, true, false};
    case 'R':
        return (struct plan_replica){REPLICA_RUNNING, true, true};
    case 'l':
        return (struct plan_replica){REPLICA_LEAVING, true, false};
    case 'n':
        return (struct plan_replica){REPLICA_RENEWING, false, false};
    case 'B':
        return (struct plan_replica){REPLICA_BACKOFF, false, false};
    case 'S':
        return (struct plan_replica){REPLICA_STARTING, false, false};
    case 'O':
        return (struct plan_replica){REPLICA_RUNNING, false, false};
    case 'Q':
        return (struct plan_replica){REPLICA_RUNNING, false, true};
    default:
        return (struct plan_replica){REPLICA_GONE, true, false};
    }
}

static void plans_are_as_written(void **state)
{
    static const struct {
        const char *what;
        bool ordered;
        const char *replicas;
        size_t wanted;
        const char *actions; /* + start, - remove, * renew, . nothing */
    } plans[] = {
        {"a Deployment starts all", false, "...", 3, "+++"},
        {"and removes all above", false, "RRRR", 1, ".---"},
        {"what leaves is let go", false, "RRll", 2, "...."},
        {"what leaves comes back", false, "RRl", 3, "..+"},
        {"to zero", false, "Rsb", 0, "---"},
        {"what backs off waits", false, "Rb", 2, ".."},
        {"a StatefulSet starts one", true, "...", 3, "+.."},
        {"waits until it is ready", true, "r..", 3, "..."},
        {"then the next", true, "R..", 3, ".+."},
        {"goes from the top, one at a time", true, "RRRR", 1, "...-"},
        {"waits until that is gone", true, "RRRl", 1, "...."},
        {"then the next lower", true, "RRR.", 1, "..-."},
        {"a new template: the lowest first", false, "QQQ", 3, "*.."},
        {"waits for it", false, "nQQ", 3, "..."},
        {"waits until it is ready", false, "rQQ", 3, "..."},
        {"then the next", false, "RQQ", 3, ".*."},
        {"what does not work is renewed first", false, "QOQ", 3, ".*."},
        {"what backs off is renewed at once", false, "QBB", 3, ".**"},
        {"a StatefulSet from the top", true, "QQQ", 3, "..*"},
        {"one replica: it must go", false, "Q", 1, "*"},
        {"not those that go anyway", false, "RQ", 1, ".-"},
        {"a new template that does not start holds the rest", false, "bQQ", 3, "..."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        struct plan_replica replicas[8];
        enum plan_action actions[8];
        char got[9] = "";
        size_t count = 0;
        for (; count < 8 && plans[i].replicas[count] != 0; count++)
            replicas[count] = replica_of(plans[i].replicas[count]);
        plan_replicas(replicas, count, plans[i].wanted, plans[i].ordered, actions);
        for (size_t r = 0; r < count; r++)
            got[r] = ".+-*"[actions[r]];
        assert_string_equal(got, plans[i].actions);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_end_where_they_should),
        cmocka_unit_test(no_step_doubles_or_loses_a_process),
        cmocka_unit_test(backoff_doubles_and_is_forgotten),
        cmocka_unit_test(plans_are_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One leader at most, soon another when it goes, and none when the API server is away. */
#include "lease_world.h"

static struct lease *leases[NODES_MAX];
static int changes[NODES_MAX];
static bool released;

static void on_changed(void *arg, bool held)
{
    changes[(intptr_t)arg]++;
    assert_int_equal(held, lease_held(leases[(intptr_t)arg]));
}

static void start(int index, const char *identity)
{
    node_start(index);
    leases[index] = lease_new(nodes[index].kube, &(struct lease_options){.ns = "weir",
                                                                         .name = "leader",
                                                                         .identity = identity,
                                                                         .changed = on_changed,
                                                                         .arg = (void *)(intptr_t)index});
    changes[index] = 0;
}

static void stop(int index)
{
    lease_free(leases[index]);
    leases[index] = NULL;
    node_stop(index);
}

static int holders(void)
{
    int count = 0;

    for (int i = 0; i < NODES_MAX; i++)
        count += leases[i] && !nodes[i].paused && (lease_held(leases[i]) || kube_may_write(nodes[i].kube));
    return count;
}

static void check(void)
{
    if (holders() > 1)
        fail_msg("two hold the lease at %lld", (long long)ticks_now());
}

/* Time passes in small steps, and at none two hold it. The result: how long nobody did. */
static int64_t pass(int64_t ms)
{
    int64_t nobody_ms = 0;

    for (int64_t i = 0; i < ms; i += 20) {
        run_ms(20);
        check();
        nobody_ms += holders() == 0 ? 20 : 0;
    }
    return nobody_ms;
}

static int set_up(void **state)
{
    (void)state;
    world_start(3);
    memset(leases, 0, sizeof leases);
    released = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < NODES_MAX; i++)
        if (leases[i])
            stop(i);
    virtual_world_free(world);
    return 0;
}

static void one_of_several_holds_it(void **state)
{
    (void)state;
    start(0, "a");
    pass(1000);
    assert_true(lease_held(leases[0]));
    start(1, "b");
    start(2, "a"); /* the same name is not the same Weir */
    pass(60 * 1000);
    assert_true(lease_held(leases[0]));
    assert_string_equal(lease_holder(leases[1]), "a");
    assert_int_equal(changes[0], 1);
    assert_int_equal(store[0].transitions, 0);
    assert_in_range(writes, 28, 34); /* every two seconds */
}

static void a_dead_one_is_followed_within_two_seconds_of_its_end(void **state)
{
    int64_t dead_ms;

    (void)state;
    start(0, "a");
    pass(1000);
    start(1, "b");
    pass(10 * 1000);
    nodes[0].paused = true; /* for good */
    dead_ms = ticks_now();
    while (!lease_held(leases[1]) && ticks_now() < dead_ms + 60 * 1000)
        pass(20);
    assert_in_range(ticks_now() - dead_ms, 11 * 1000, 17 * 1000);
    assert_int_equal(store[0].transitions, 1);
    nodes[0].paused = false;
    stop(0);
}

static void on_released(void *arg)
{
    (void)arg;
    released = true;
}

static void one_that_releases_is_followed_at_once(void **state)
{
    int64_t at_ms;

    (void)state;
    start(0, "a");
    pass(1000);
    start(1, "b");
    pass(10 * 1000);
    lease_release(leases[0], on_released, NULL);
    assert_false(lease_held(leases[0]));
    at_ms = ticks_now();
    while (!lease_held(leases[1]) && ticks_now() < at_ms + 60 * 1000)
        pass(20);
    assert_true(released);
    assert_in_range(ticks_now() - at_ms, 0, 2000);
}

static bool object_written;
static void on_object(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    object_written = reply->status == 200;
    assert_false(released);
}

static void a_release_waits_for_what_is_under_way(void **state)
{
    (void)state;
    start(0, "a");
    pass(1000);
    nodes[0].answer_after_ms = 1500;
    kube_ask(nodes[0].kube, &(struct kube_request){.method = "PUT", .path = "/object/x", .fenced = true}, on_object,
             NULL);
    lease_release(leases[0], on_released, NULL);
    pass(5000);
    assert_true(object_written && released);
    assert_string_equal(store[0].holder, "");
}

static void an_api_server_that_is_away_takes_it(void **state)
{
    (void)state;
    start(0, "a");
    start(1, "b");
    pass(5000);
    int holder = lease_held(leases[0]) ? 0 : 1;
    nodes[0].cut = nodes[1].cut = true;
    pass(7000);
    assert_int_equal(holders(), 1); /* not yet renew_deadline */
    pass(4000);
    assert_int_equal(holders(), 0);
    pass(10 * 60 * 1000);
    nodes[0].cut = nodes[1].cut = false;
    assert_true(pass(8000) < 8000);
    assert_int_equal(holders(), 1);
    assert_true(lease_held(leases[holder])); /* who had it goes on */
}

static void a_paused_one_comes_back_without_it(void **state)
{
    for (int timers_first = 0; timers_first < 2; timers_first++) {
        (void)state;
        start(0, "a");
        pass(1000);
        start(1, "b");
        pass(5000);
        node_pause(&nodes[0]);
        pass(30 * 1000);
        assert_true(lease_held(leases[1]));
        node_resume(&nodes[0], timers_first, check);
        pass(30 * 1000);
        assert_true(lease_held(leases[1]));
        stop(0);
        stop(1);
        memset(store, 0, sizeof store);
    }
}

static void one_deleted_by_hand_is_made_again(void **state)
{
    (void)state;
    start(0, "a");
    pass(5000);
    store[0].exists = false;
    pass(5000);
    assert_true(lease_held(leases[0]));
    assert_true(store[0].exists);
}

/* Electors of another kind write their name and leave our mark as it was. */
static void who_writes_another_name_has_it(void **state)
{
    (void)state;
    start(0, "a");
    pass(5000);
    snprintf(store[0].holder, sizeof store[0].holder, "another");
    store[0].version = ++last_version;
    pass(5000);
    assert_false(lease_held(leases[0]));
    assert_string_equal(store[0].holder, "another");
    pass(15 * 1000); /* it is not renewed */
    assert_true(lease_held(leases[0]));
    assert_int_equal(store[0].transitions, 1);
}

static void wild_networks_make_no_two_leaders(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        start(i, "same");
    for (int i = 0; i < 600; i++) {
        struct node *node = &nodes[virtual_random(world) % 4];

        switch (virtual_random(world) % 6) {
        case 0:
            node->cut = !node->cut;
            break;
        case 1:
            node->loses_answers = !node->loses_answers;
            break;
        case 2:
            node->delivers_late = !node->delivers_late;
            break;
        case 3:
            if (node->paused)
                node_resume(node, virtual_random(world) % 2, check);
            else
                node_pause(node);
            break;
        case 4:
            node->answer_after_ms = (int64_t)(virtual_random(world) % 4000);
            break;
        default:
            node->cut = node->loses_answers = node->delivers_late = false;
            node->answer_after_ms = 0;
            break;
        }
        pass(100 + (int64_t)(virtual_random(world) % 6000));
    }
    for (int i = 0; i < 4; i++) {
        nodes[i].cut = nodes[i].loses_answers = nodes[i].delivers_late = false;
        nodes[i].answer_after_ms = 0;
        if (nodes[i].paused)
            node_resume(&nodes[i], false, check);
    }
    pass(40 * 1000);
    assert_int_equal(holders(), 1);
    pass(20 * 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_of_several_holds_it),
        TEST(a_dead_one_is_followed_within_two_seconds_of_its_end),
        TEST(one_that_releases_is_followed_at_once),
        TEST(a_release_waits_for_what_is_under_way),
        TEST(an_api_server_that_is_away_takes_it),
        TEST(a_paused_one_comes_back_without_it),
        TEST(one_deleted_by_hand_is_made_again),
        TEST(who_writes_another_name_has_it),
        TEST(wild_networks_make_no_two_leaders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

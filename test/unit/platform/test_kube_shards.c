/* Objects spread over several Weirs: each with one writer at most, whatever happens, and with exactly one soon after it has stopped. */
#include "lease_world.h"

enum { OBJECTS = 60 };

static struct shards *shards[NODES_MAX];
static char names[OBJECTS][24];
static int changes[NODES_MAX];
static int incarnation;

static void on_changed(void *arg)
{
    changes[(intptr_t)arg]++;
}

static void start(int index)
{
    static char identities[64][16];
    char *identity = identities[incarnation++ % 64];

    snprintf(identity, sizeof identities[0], "Pod_%d.", index);
    node_start(index);
    shards[index] = shards_new(nodes[index].kube, &(struct shards_options){.ns = "weir",
                                                                           .group = "main",
                                                                           .identity = identity,
                                                                           .changed = on_changed,
                                                                           .arg = (void *)(intptr_t)index});
}

static void stop(int index)
{
    shards_free(shards[index]);
    shards[index] = NULL;
    node_stop(index);
}

static int owner(int object)
{
    int found = -1;

    for (int i = 0; i < NODES_MAX; i++) {
        if (!shards[i] || nodes[i].paused || !shards_own(shards[i], "shop", names[object]))
            continue;
        if (found >= 0)
            fail_msg("object %d has the owners %d and %d at %lld", object, found, i, (long long)ticks_now());
        found = i;
    }
    return found;
}

static int owned(void)
{
    int count = 0;

    for (int i = 0; i < OBJECTS; i++)
        count += owner(i) >= 0;
    return count;
}

static void check(void)
{
    owned();
}

static void pass(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 20) {
        run_ms(20);
        check();
    }
}

static int share_of(int index)
{
    int count = 0;

    for (int i = 0; i < OBJECTS; i++)
        count += shards_own(shards[index], "shop", names[i]);
    return count;
}

/* How long until all objects have an owner. */
static int64_t until_all_owned(int64_t at_most_ms)
{
    int64_t began_ms = ticks_now();

    while (owned() < OBJECTS && ticks_now() - began_ms < at_most_ms)
        pass(20);
    return ticks_now() - began_ms;
}

static int set_up(void **state)
{
    (void)state;
    world_start(5);
    memset(shards, 0, sizeof shards);
    memset(changes, 0, sizeof changes);
    for (int i = 0; i < OBJECTS; i++)
        snprintf(names[i], sizeof names[i], "object-%d", i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < NODES_MAX; i++)
        if (shards[i])
            stop(i);
    run_ms(10 * 1000);
    virtual_world_free(world);
    return 0;
}

static void one_alone_owns_all_at_once(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(share_of(0), 0);
    assert_in_range(until_all_owned(60 * 1000), 0, 500);
    assert_int_equal(shards_members(shards[0]), 1);
    assert_true(changes[0] > 0);
    pass(60 * 1000);
    assert_int_equal(share_of(0), OBJECTS);
    assert_in_range(writes, 22, 42);
}

static void those_who_join_get_their_share(void **state)
{
    (void)state;
    start(0);
    pass(5000);
    start(1);
    pass(3000);
    assert_in_range(until_all_owned(60 * 1000), 0, 3000);
    start(2);
    pass(3000);
    assert_in_range(until_all_owned(60 * 1000), 0, 3000);
    for (int i = 0; i < 3; i++) {
        assert_in_range(share_of(i), 2, 45);
        assert_int_equal(shards_members(shards[i]), 3);
    }
}

static void only_the_share_of_who_comes_moves(void **state)
{
    int before[OBJECTS], moved = 0;

    (void)state;
    start(0);
    start(1);
    start(2);
    pass(10 * 1000);
    for (int i = 0; i < OBJECTS; i++)
        before[i] = owner(i);
    start(3);
    pass(10 * 1000);
    for (int i = 0; i < OBJECTS; i++) {
        assert_true(owner(i) == before[i] || owner(i) == 3);
        moved += owner(i) != before[i];
    }
    assert_in_range(moved, 1, OBJECTS / 2 + 5);
}

static void a_dead_one_is_followed(void **state)
{
    int64_t took_ms;

    (void)state;
    start(0);
    start(1);
    start(2);
    pass(10 * 1000);
    nodes[1].paused = true; /* kill -9 */
    took_ms = until_all_owned(60 * 1000);
    /* the Lease's 15 s, counted by each from when it saw the last renewal, and looks 2 s apart with half of it as jitter */
    assert_in_range(took_ms, 12 * 1000, 22 * 1000);
    nodes[1].paused = false;
    stop(1);
}

static bool has_left;
static void on_left(void *arg)
{
    (void)arg;
    has_left = true;
}

static void one_that_leaves_is_followed_at_once(void **state)
{
    (void)state;
    start(0);
    start(1);
    pass(10 * 1000);
    shards_leave(shards[1], on_left, NULL);
    assert_int_equal(share_of(1), 0);
    assert_in_range(until_all_owned(60 * 1000), 0, 3500);
    assert_true(has_left);
    pass(20 * 1000);
    assert_int_equal(owned(), OBJECTS);
    for (int i = 0, left = 0; i < LEASES_MAX; i++)
        assert_true(!store[i].exists || left++ < 1); /* what was left behind is gone */
}

static void an_api_server_that_is_away_stops_all_and_moves_nothing(void **state)
{
    int before[OBJECTS];

    (void)state;
    start(0);
    start(1);
    start(2);
    pass(10 * 1000);
    for (int i = 0; i < OBJECTS; i++)
        before[i] = owner(i);
    for (int i = 0; i < 3; i++)
        nodes[i].cut = true;
    pass(20 * 1000);
    assert_int_equal(owned(), 0);
    pass(10 * 60 * 1000);
    for (int i = 0; i < 3; i++)
        nodes[i].cut = false;
    assert_in_range(until_all_owned(60 * 1000), 0, 8000);
    pass(30 * 1000);
    for (int i = 0; i < OBJECTS; i++)
        assert_int_equal(owner(i), before[i]);
}

static void a_paused_one_comes_back(void **state)
{
    (void)state;
    for (int timers_first = 0; timers_first < 2; timers_first++) {
        start(0);
        start(1);
        pass(10 * 1000);
        node_pause(&nodes[0]);
        pass(40 * 1000);
        assert_int_equal(share_of(1), OBJECTS);
        node_resume(&nodes[0], timers_first, check);
        pass(15 * 1000);
        assert_int_equal(owned(), OBJECTS);
        assert_true(share_of(0) > 0 && share_of(1) > 0);
        stop(0);
        stop(1);
        pass(20 * 1000);
        memset(store, 0, sizeof store);
    }
}

static void a_lease_nobody_understands_blocks_until_it_runs_out(void **state)
{
    (void)state;
    start(0);
    pass(5000);
    store[100] = (struct stored){.exists = true,
                                 .name = "strange",
                                 .holder = "x",
                                 .group = "main",
                                 .seconds = 10,
                                 .version = 1000001,
                                 .uid = 1000002};
    pass(3000);
    assert_int_equal(owned(), 0);
    pass(20 * 1000);
    assert_int_equal(owned(), OBJECTS);
    assert_false(store[100].exists);
}

static void one_deleted_by_hand_joins_anew(void **state)
{
    (void)state;
    start(0);
    start(1);
    pass(10 * 1000);
    store[0].exists = false;
    pass(40 * 1000);
    assert_int_equal(owned(), OBJECTS);
}

/* ---- what was asked before is heard before another may ---- */
static int in_flight, asked_writes;
struct writing {
    int node, object;
    bool paused_meanwhile;
};
static struct writing *under_way[64];

static void on_object(void *arg, const struct kube_reply *reply)
{
    struct writing *w = arg;

    in_flight--;
    for (int i = 0; i < 64; i++)
        if (under_way[i] == w)
            under_way[i] = NULL;
    /* From when it was asked until it was heard nobody else may have become the owner. */
    if (reply->status == 200 && !w->paused_meanwhile)
        for (int i = 0; i < NODES_MAX; i++)
            if (i != w->node && shards[i] && !nodes[i].paused && shards_own(shards[i], "shop", names[w->object]))
                fail_msg("a write of %d to object %d ended when it was %d's", w->node, w->object, i);
    free(w);
}

static void write_something(void)
{
    int object = (int)(virtual_random(world) % OBJECTS), node = owner(object);
    struct writing *w;

    if (node < 0 || in_flight >= 64)
        return;
    w = mem_alloc(sizeof *w);
    *w = (struct writing){node, object, false};
    for (int i = 0; i < 64; i++)
        if (!under_way[i]) {
            under_way[i] = w;
            break;
        }
    in_flight++;
    asked_writes++;
    kube_ask(nodes[node].kube, &(struct kube_request){.method = "PUT", .path = "/object/x", .fenced = true}, on_object,
             w);
}

static void what_was_asked_before_is_heard_before_another_may(void **state)
{
    int64_t joined_ms;

    (void)state;
    start(0);
    pass(5000);
    nodes[0].object_after_ms = 6000;
    for (int i = 0; i < 20; i++)
        write_something();
    assert_int_equal(in_flight, 20);
    start(1);
    joined_ms = ticks_now();
    pass(5000);
    assert_int_equal(share_of(1), 0); /* node 0 has let go of it, but has not heard of its writes */
    assert_true(share_of(0) < OBJECTS && share_of(0) > 0);
    until_all_owned(60 * 1000);
    assert_in_range(ticks_now() - joined_ms, 5000, 15 * 1000);
    assert_int_equal(in_flight, 0);
}

static void pass_writing(int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 20) {
        run_ms(20);
        check();
        write_something();
        for (int k = 0; k < 64; k++)
            if (under_way[k] && nodes[under_way[k]->node].paused)
                under_way[k]->paused_meanwhile = true;
    }
}

static void all_well(void)
{
    for (int i = 0; i < NODES_MAX; i++) {
        nodes[i].cut = nodes[i].loses_answers = nodes[i].delivers_late = false;
        nodes[i].answer_after_ms = nodes[i].object_after_ms = 0;
        if (nodes[i].paused)
            node_resume(&nodes[i], virtual_random(world) % 2, check);
    }
}

static void happen(struct node *node)
{
    switch (virtual_random(world) % 8) {
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
    case 4:
        if (node->paused)
            node_resume(node, virtual_random(world) % 2, check);
        else
            node_pause(node);
        break;
    case 5:
        node->answer_after_ms = (int64_t)(virtual_random(world) % 4000);
        node->object_after_ms = (int64_t)(virtual_random(world) % 6000);
        break;
    case 6: /* dies, and another takes its place; a process that is paused dies as well */
        if (!node->paused && in_flight == 0) {
            int index = node->index;

            stop(index);
            start(index);
        }
        break;
    default:
        node->cut = node->loses_answers = node->delivers_late = false;
        node->answer_after_ms = node->object_after_ms = 0;
        break;
    }
}

static void in_wild_networks_no_object_has_two_writers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        virtual_world_free(world);
        world_start(seed);
        asked_writes = 0;
        for (int i = 0; i < 4; i++)
            start(i);
        for (int i = 0; i < 150; i++) {
            happen(&nodes[virtual_random(world) % 4]);
            pass_writing(100 + (int64_t)(virtual_random(world) % 5000));
        }
        all_well();
        pass(20 * 1000);
        assert_in_range(until_all_owned(60 * 1000), 0, 30 * 1000);
        assert_true(asked_writes > 500);
        pass(60 * 1000);
        for (int i = 0; i < 4; i++)
            assert_int_equal(shards_members(shards[i]), 4);
        for (int i = 0; i < 4; i++)
            stop(i);
        run_ms(60 * 1000);
        assert_int_equal(in_flight, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_alone_owns_all_at_once),
        TEST(those_who_join_get_their_share),
        TEST(only_the_share_of_who_comes_moves),
        TEST(a_dead_one_is_followed),
        TEST(one_that_leaves_is_followed_at_once),
        TEST(an_api_server_that_is_away_stops_all_and_moves_nothing),
        TEST(a_paused_one_comes_back),
        TEST(a_lease_nobody_understands_blocks_until_it_runs_out),
        TEST(one_deleted_by_hand_joins_anew),
        TEST(what_was_asked_before_is_heard_before_another_may),
        TEST(in_wild_networks_no_object_has_two_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The real loop: timers never early and in order, posts from threads, signals, clocks read once a turn. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper.h"

#include "base/text.h"

static struct text heard;

static int set_up(void **state)
{
    struct error err;

    (void)state;
    assert_true(loop_new_real(&loop, &err));
    text_init(&heard, 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    text_done(&heard);
    return 0;
}

static void note(void *arg)
{
    text_add(&heard, arg);
}

static void timers_fire_in_order(void **state)
{
    struct timer *t[5];
    static const struct {
        const char *name;
        int64_t after_ms;
    } rows[5] = {{"c", 20}, {"a", 0}, {"d", 20}, {"b", 10}, {"x", 15}};

    (void)state;
    for (int i = 0; i < 5; i++) {
        t[i] = loop_timer_new(loop, note, (void *)rows[i].name);
        loop_timer_set(t[i], rows[i].after_ms);
    }
    loop_timer_stop(t[4]);
    run_for(60);
    assert_string_equal(heard.bytes, "abcd");
    for (int i = 0; i < 5; i++)
        loop_timer_free(t[i]);
}

static struct timer *self;
static int64_t set_at_ms, earliest_ms;
static int fired;

static void measure(void *arg)
{
    int64_t took_ms = loop_ticks_ms(loop) - set_at_ms;

    (void)arg;
    if (took_ms < earliest_ms)
        earliest_ms = took_ms;
    if (++fired == 20) {
        loop_timer_free(self); /* inside its own callback */
        loop_stop(loop);
        return;
    }
    set_at_ms = loop_ticks_ms(loop);
    loop_timer_set(self, 7);
}

static void a_timer_is_never_early(void **state)
{
    (void)state;
    fired = 0;
    earliest_ms = 1000;
    self = loop_timer_new(loop, measure, NULL);
    set_at_ms = loop_ticks_ms(loop);
    loop_timer_set(self, 7);
    run_loop();
    assert_true(earliest_ms >= 7);
}

static size_t count;

static void count_one(void *arg)
{
    (void)arg;
    if (++count == 10000)
        loop_stop(loop);
}

static void ten_thousand_timers(void **state)
{
    struct timer **timers = malloc(10000 * sizeof *timers);

    (void)state;
    count = 0;
    for (int i = 0; i < 10000; i++) {
        timers[i] = loop_timer_new(loop, count_one, NULL);
        loop_timer_set(timers[i], (i * 7919) % 200);
    }
    run_loop();
    assert_int_equal(count, 10000);
    for (int i = 0; i < 10000; i++)
        loop_timer_free(timers[i]);
    free(timers);
}

static void again(void *arg)
{
    (void)arg;
    if (++count < 1000)
        loop_timer_set(self, 0);
}

/* A timer that re-arms itself with 0 does not keep others from running. */
static void no_timer_starves_the_rest(void **state)
{
    (void)state;
    count = 0;
    self = loop_timer_new(loop, again, NULL);
    loop_timer_set(self, 0);
    loop_post(loop, stop_loop, NULL);
    run_loop();
    assert_true(count < 1000);
    loop_timer_free(self);
}

static int64_t first_ms, second_ms;

static void read_twice(void *arg)
{
    (void)arg;
    first_ms = loop_now_ms(loop);
    usleep(5000);
    second_ms = loop_now_ms(loop);
    loop_stop(loop);
}

static void the_clock_stands_still_in_a_turn(void **state)
{
    (void)state;
    loop_post(loop, read_twice, NULL);
    run_loop();
    assert_int_equal(first_ms, second_ms);
    usleep(2000);
    assert_true(loop_now_ms(loop) > second_ms);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 2500; i++)
        loop_post(arg, count_one, NULL);
    return NULL;
}

static void other_threads_may_post(void **state)
{
    pthread_t threads[4];

    (void)state;
    count = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, post_many, loop);
    run_loop();
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count, 10000);
}

static void post_more(void *arg)
{
    note("1");
    loop_post(arg, note, "2");
    loop_post(arg, stop_loop, NULL);
}

static void posts_keep_their_order(void **state)
{
    (void)state;
    loop_post(loop, post_more, loop);
    loop_post(loop, note, "a");
    assert_int_equal(heard.length, 0);
    run_loop();
    assert_string_equal(heard.bytes, "1a2");
    loop_post(loop, note, "never"); /* dropped with the loop, and not a leak */
}

static void signals_arrive(void **state)
{
    struct signal_watch *watch = loop_on_signal(loop, SIGUSR1, stop_loop, NULL);

    (void)state;
    kill(getpid(), SIGUSR1);
    run_loop();
    loop_signal_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_is_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ten_thousand_timers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_timer_starves_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_clock_stands_still_in_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_threads_may_post, set_up, tear_down),
        cmocka_unit_test_setup_teardown(posts_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_arrive, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

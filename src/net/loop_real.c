/*
 * loop_real: the loop on libevent.
 *
 * Timers are our own heap under one timer of libevent: libevent's cost a lock each, and they follow the kernel's coarse clock,
 * which lags by some milliseconds, so that a timer could come before the ticks say it is due and its owner would find nothing to
 * do. Here a timer never comes early by loop_ticks_ms().
 *
 * Both clocks are read once a turn, by the first who asks; a turn is one event_base_loop(EVLOOP_ONCE), which waits first and then
 * calls back. Outside of a turn (before the loop runs) they are read each time.
 *
 * Other threads hand in callbacks through a list under a mutex; the first on an empty list wakes the loop through an eventfd.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "base/arena.h"
#include "base/error.h"
#include "net/implement.h"
#include "net/loop.h"

enum { LOOP_MAGIC = 0x4c6f6f70 };

struct posted {
    struct posted *next;
    loop_callback *callback;
    void *arg;
};

struct real_loop {
    struct loop loop; /* first */
    int magic;
    struct event_base *base;
    bool running, stopping;

    bool clock_is_read; /* in this turn */
    int64_t now_ms, ticks_ms;

    struct due_heap timers;
    struct event *alarm;
    int64_t alarm_at_ms; /* 0: not set */

    pthread_mutex_t posted_lock;
    struct posted *posted_first, *posted_last;
    int wake_fd;
    struct event *wake;
};

struct real_timer {
    struct timer_head head; /* first */
    struct due due;
    loop_callback *callback;
    void *arg;
};

struct signal_watch {
    struct event *event;
    loop_callback *callback;
    void *arg;
};

static struct real_loop *real(struct loop *loop)
{
    struct real_loop *r = (struct real_loop *)(void *)loop;

    assert(r->magic == LOOP_MAGIC);
    return r;
}

/* ---- clocks ---- */
static int64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / (1000 * 1000);
}

static void read_clocks(struct real_loop *r)
{
    if (r->clock_is_read)
        return;
    r->now_ms = read_clock(CLOCK_REALTIME);
    r->ticks_ms = read_clock(CLOCK_MONOTONIC);
    r->clock_is_read = r->running;
}

static int64_t now_ms(struct loop *loop)
{
    read_clocks(real(loop));
    return real(loop)->now_ms;
}

static int64_t ticks_ms(struct loop *loop)
{
    read_clocks(real(loop));
    return real(loop)->ticks_ms;
}

/* ---- timers ---- */
static void set_alarm(struct real_loop *r)
{
    const struct due *first = due_first(&r->timers);
    int64_t wait_ms;
    struct timeval wait;

    if (!first) {
        if (r->alarm_at_ms)
            evtimer_del(r->alarm);
        r->alarm_at_ms = 0;
        return;
    }
    if (first->at_ms == r->alarm_at_ms)
        return;
    read_clocks(r);
    wait_ms = first->at_ms > r->ticks_ms ? first->at_ms - r->ticks_ms : 0;
    wait.tv_sec = (time_t)(wait_ms / 1000);
    wait.tv_usec = (suseconds_t)(wait_ms % 1000 * 1000);
    evtimer_add(r->alarm, &wait);
    r->alarm_at_ms = first->at_ms;
}

/* What a callback sets for "now" is due in the next turn: an owner who re-arms with 0 must not starve the sockets. */
static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct real_loop *r = arg;
    uint64_t newest = r->timers.last_order;
    struct due *due;

    (void)fd, (void)what;
    r->alarm_at_ms = 0;
    read_clocks(r);
    while ((due = due_first(&r->timers)) && due->at_ms <= r->ticks_ms && due->order <= newest) {
        struct real_timer *timer = owner_of(due, struct real_timer, due);

        due_clear(&r->timers, due);
        timer->callback(timer->arg); /* may free the timer */
    }
    set_alarm(r);
}

static struct real_timer *timer_of(struct timer *timer)
{
    return (struct real_timer *)(void *)timer;
}

static struct timer *timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
    struct real_timer *timer = mem_alloc(sizeof *timer);

    timer->head.loop = loop;
    timer->callback = callback;
    timer->arg = arg;
    return (struct timer *)(void *)timer;
}

static void timer_set(struct timer *timer, int64_t after_ms)
{
    struct real_loop *r = real(timer_of(timer)->head.loop);

    read_clocks(r);
    if (after_ms < 0)
        after_ms = 0;
    due_set(&r->timers, &timer_of(timer)->due, after_ms > INT64_MAX - r->ticks_ms ? INT64_MAX : r->ticks_ms + after_ms);
    if (!r->alarm_at_ms || due_first(&r->timers)->at_ms < r->alarm_at_ms)
        set_alarm(r);
}

/* The alarm stays as it is: at worst it wakes the loop once for nothing. */
static void timer_stop(struct timer *timer)
{
    due_clear(&real(timer_of(timer)->head.loop)->timers, &timer_of(timer)->due);
}

static void timer_free(struct timer *timer)
{
    if (!timer)
        return;
    timer_stop(timer);
    free(timer_of(timer));
}

/* ---- posts ---- */
static void wake(struct real_loop *r)
{
    const uint64_t one = 1;

    /* EAGAIN means that the counter is full, and so the loop awake. */
    while (write(r->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void post(struct loop *loop, loop_callback *callback, void *arg)
{
    struct real_loop *r = real(loop);
    struct posted *posted = mem_alloc(sizeof *posted);
    bool was_empty;

    posted->callback = callback;
    posted->arg = arg;
    pthread_mutex_lock(&r->posted_lock);
    was_empty = !r->posted_first;
    if (was_empty)
        r->posted_first = posted;
    else
        r->posted_last->next = posted;
    r->posted_last = posted;
    pthread_mutex_unlock(&r->posted_lock);
    if (was_empty)
        wake(r);
}

static struct posted *take_posted(struct real_loop *r)
{
    struct posted *first;

    pthread_mutex_lock(&r->posted_lock);
    first = r->posted_first;
    r->posted_first = r->posted_last = NULL;
    pthread_mutex_unlock(&r->posted_lock);
    return first;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct real_loop *r = arg;
    uint64_t count;
    struct posted *posted;

    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
        return;
    posted = take_posted(r);
    while (posted) {
        struct posted *next = posted->next;

        posted->callback(posted->arg);
        free(posted);
        posted = next;
    }
}

/* ---- the loop ---- */
static void run(struct loop *loop)
{
    struct real_loop *r = real(loop);

    assert(!r->running);
    r->running = true;
    r->stopping = false;
    while (!r->stopping) {
        r->clock_is_read = false;
        if (event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
            break;
    }
    r->running = r->clock_is_read = false;
}

static void stop(struct loop *loop)
{
    real(loop)->stopping = true;
}

static void loop_real_free(struct loop *loop)
{
    struct real_loop *r = real(loop);
    struct posted *posted = take_posted(r);

    while (posted) {
        struct posted *next = posted->next;

        free(posted);
        posted = next;
    }
    if (r->wake)
        event_free(r->wake);
    if (r->alarm)
        event_free(r->alarm);
    if (r->base)
        event_base_free(r->base);
    if (r->wake_fd >= 0)
        close(r->wake_fd);
    pthread_mutex_destroy(&r->posted_lock);
    due_heap_done(&r->timers);
    free(r);
}

static const struct loop_ops real_ops = {
    .now_ms = now_ms,
    .ticks_ms = ticks_ms,
    .timer_new = timer_new,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .timer_free = timer_free,
    .post = post,
    .run = run,
    .stop = stop,
    .free = loop_real_free,
};

bool loop_new_real(struct loop **out, struct error *err)
{
    struct real_loop *r = mem_alloc(sizeof *r);

    r->loop.ops = &real_ops;
    r->magic = LOOP_MAGIC;
    pthread_mutex_init(&r->posted_lock, NULL);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake_fd < 0)
        goto fail;
    evthread_use_pthreads();
    r->base = event_base_new();
    if (!r->base)
        goto fail;
    r->alarm = evtimer_new(r->base, on_alarm, r);
    r->wake = event_new(r->base, r->wake_fd, EV_READ | EV_PERSIST, on_wake, r);
    if (!r->alarm || !r->wake || event_add(r->wake, NULL) < 0)
        goto fail;
    *out = &r->loop;
    return true;
fail:
    error_set(err, ERROR_INTERNAL, "cannot make the event loop: %s; raise the limit of open files (ulimit -n)",
              strerror(errno));
    loop_real_free(&r->loop);
    return false;
}

struct event_base *loop_event_base(struct loop *loop)
{
    return real(loop)->base;
}

/* ---- signals ---- */
static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct signal_watch *watch = arg;

    (void)number, (void)what;
    watch->callback(watch->arg);
}

struct signal_watch *loop_on_signal(struct loop *loop, int signal_number, loop_callback *callback, void *arg)
{
    struct signal_watch *watch = mem_alloc(sizeof *watch);

    watch->callback = callback;
    watch->arg = arg;
    watch->event = evsignal_new(real(loop)->base, signal_number, on_signal, watch);
    assert(watch->event);
    evsignal_add(watch->event, NULL);
    return watch;
}

void loop_signal_free(struct signal_watch *watch)
{
    if (!watch)
        return;
    event_free(watch->event);
    free(watch);
}

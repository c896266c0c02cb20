/*
 * loop: the seam behind which time passes. Real: loop_new_real() on libevent. Virtual: sim/ (virtual time, no sockets).
 *
 *     struct loop *loop = loop_new_real(&err);
 *     struct timer *t = loop_timer_new(loop, on_due, object);
 *     loop_timer_set(t, 250);
 *     loop_run(loop);
 *
 * Two clocks, each with its use: loop_now_ms() is the wall clock, taken once a turn: decisions, samples and the journal
 * use it, and it may jump. loop_ticks_ms() only goes forward: timers, deadlines and schedules use it.
 * Callbacks run on the loop's thread, one at a time, never inside the call that arranged them.
 */
#ifndef WEIR_NET_LOOP_H
#define WEIR_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct loop;
struct timer;
struct signal_watch;

typedef void loop_callback(void *arg);

struct loop_ops {
    int64_t (*now_ms)(struct loop *);
    int64_t (*ticks_ms)(struct loop *);
    struct timer *(*timer_new)(struct loop *, loop_callback *callback, void *arg);
    void (*timer_set)(struct timer *, int64_t after_ms); /* from now; replaces an earlier setting */
    void (*timer_stop)(struct timer *);
    void (*timer_free)(struct timer *); /* NULL is fine; allowed inside its own callback */
    /* Runs callback in a later turn. The only function another thread may call. */
    void (*post)(struct loop *, loop_callback *callback, void *arg);
    void (*run)(struct loop *); /* until loop_stop */
    void (*stop)(struct loop *);
    void (*free)(struct loop *);
};
struct loop { /* first member of every implementation */
    const struct loop_ops *ops;
};

static inline int64_t loop_now_ms(struct loop *l)
{
    return l->ops->now_ms(l);
}
static inline int64_t loop_ticks_ms(struct loop *l)
{
    return l->ops->ticks_ms(l);
}
static inline struct timer *loop_timer_new(struct loop *l, loop_callback *f, void *arg)
{
    return l->ops->timer_new(l, f, arg);
}
struct timer_head { /* first member of every implementation's timer */
    struct loop *loop;
};
void loop_timer_set(struct timer *timer, int64_t after_ms);
void loop_timer_stop(struct timer *timer);
void loop_timer_free(struct timer *timer);
static inline void loop_post(struct loop *l, loop_callback *f, void *arg)
{
    l->ops->post(l, f, arg);
}
static inline void loop_run(struct loop *l)
{
    l->ops->run(l);
}
static inline void loop_stop(struct loop *l)
{
    l->ops->stop(l);
}
static inline void loop_free(struct loop *l)
{
    l->ops->free(l);
}

/* The real loop. */
bool loop_new_real(struct loop **out, struct error *err);
struct event_base *loop_event_base(struct loop *real); /* for net/ and platform/local only */
/* Calls back when the process gets this signal (SIGTERM, SIGHUP, SIGCHLD). */
struct signal_watch *loop_on_signal(struct loop *real, int signal_number, loop_callback *callback, void *arg);
void loop_signal_free(struct signal_watch *watch);

#endif

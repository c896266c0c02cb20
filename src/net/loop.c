/*
 * loop: the calls that find their loop through the timer. What a loop does stands in loop_real.c and sim/virtual_loop.c.
 */
#include <assert.h>
#include <stddef.h>

#include "net/loop.h"

static const struct loop_ops *ops_of(struct timer *timer)
{
    const struct timer_head *head = (const struct timer_head *)(const void *)timer;

    assert(timer && head->loop);
    return head->loop->ops;
}

void loop_timer_set(struct timer *timer, int64_t after_ms)
{
    ops_of(timer)->timer_set(timer, after_ms);
}

void loop_timer_stop(struct timer *timer)
{
    ops_of(timer)->timer_stop(timer);
}

void loop_timer_free(struct timer *timer)
{
    if (timer)
        ops_of(timer)->timer_free(timer);
}

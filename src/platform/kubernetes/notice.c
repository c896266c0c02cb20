/*
 * notice: telling those who watch, and answering, in a later turn.
 *
 * What changes marks a notice; one flush tells each marked one once, however often it was marked. Those told may watch, unwatch
 * and mark as they like: each is taken off before it is called, and what is marked meanwhile is told in the next flush. A notice
 * knows the pointer that points to it, so that it can be taken off whichever list it is in.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

struct notices {
    struct timer *timer;
    struct kube_notice *due, *telling;
};

static void put_on(struct kube_notice **list, struct kube_notice *notice)
{
    notice->due = true;
    notice->next_due = *list;
    notice->link_due = list;
    if (*list != NULL)
        (*list)->link_due = &notice->next_due;
    *list = notice;
}

static void take_off(struct kube_notice *notice)
{
    *notice->link_due = notice->next_due;
    if (notice->next_due != NULL)
        notice->next_due->link_due = notice->link_due;
    notice->due = false;
}

static void on_flush(void *arg)
{
    struct notices *n = arg;

    n->telling = n->due;
    n->due = NULL;
    if (n->telling != NULL)
        n->telling->link_due = &n->telling;
    while (n->telling != NULL) {
        struct kube_notice *notice = n->telling;
        take_off(notice);
        notice->changed(notice->arg);
    }
}

struct notices *notices_new(struct loop *loop)
{
    struct notices *n = mem_alloc(sizeof *n);

    n->timer = loop_timer_new(loop, on_flush, n);
    return n;
}

void notices_free(struct notices *n)
{
    if (n == NULL)
        return;
    while (n->due != NULL)
        take_off(n->due);
    loop_timer_free(n->timer);
    free(n);
}

void kube_notice_mark(struct kubernetes *k, struct kube_notice *notice)
{
    if (notice->due || notice->changed == NULL)
        return;
    if (k->notices->due == NULL)
        loop_timer_set(k->notices->timer, 0);
    put_on(&k->notices->due, notice);
}

void kube_notice_forget(struct kubernetes *k, struct kube_notice *notice)
{
    (void)k; /* whose lists they are is known by the links */
    if (notice->due)
        take_off(notice);
}

/* ------------------------------------------------------------------ answers */

struct answer {
    platform_done *done;
    void *arg;
    bool failed;
    struct error error;
};

static void on_answer(void *arg)
{
    struct answer *answer = arg;

    answer->done(answer->arg, answer->failed ? &answer->error : NULL);
    free(answer);
}

void kubernetes_answer_later(struct kubernetes *k, platform_done *done, void *arg, const struct error *err)
{
    if (done == NULL)
        return;
    struct answer *answer = mem_alloc(sizeof *answer);
    *answer = (struct answer){.done = done, .arg = arg, .failed = err != NULL};
    if (err != NULL)
        answer->error = *err;
    loop_post(k->loop, on_answer, answer);
}

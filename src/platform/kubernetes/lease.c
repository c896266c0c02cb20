/*
 * lease: who may write, by one Lease.
 *
 *     standing by --GET: nobody's, or unchanged for its duration--> PATCH at that version --taken--> held
 *          ^                                                             | 409                        | PATCH every retry_ms
 *          |<------------------------------------------------------------+                            v
 *          +<--- 409: somebody else's; or no answer for renew_deadline_ms ------------------------- held
 *
 * Every write names the version it replaces, so the API server lets one of several through. No clock of another machine is read: a Lease
 * has run out when *we* saw the same version for as long as it says it lasts. Its holder counts from when it *asked* for the renewal
 * that made this version, which was earlier, and stops LEASE_MARGIN_MS before the end; so the two cannot overlap as long as clocks run
 * equally fast, to the margin's share of the duration. A holder that was paused finds its fence behind it, for the fence is a point of the
 * clock that goes on while one is paused. (The clock of a whole virtual machine may stand still with it: then only the resourceVersion
 * in what is written protects.)
 *
 * After a time in which the Lease could not be read, it is watched for its whole duration again: when an API server comes back,
 * everybody's Lease looks old.
 */
#include "platform/kubernetes/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"
#include "platform/kubernetes/lease_object.h"

enum {
    DURATION_MS = 15 * 1000,
    RENEW_DEADLINE_MS = 10 * 1000,
    RETRY_MS = 2 * 1000,
    DRAIN_STEP_MS = 20,
    DRAIN_MS = 3 * 1000
};

struct lease {
    struct kube *kube;
    struct lease_options options;
    char *ns, *name, *identity, *path, *collection, *holder;
    char nonce[LEASE_NONCE_BYTES];
    struct timer *timer, *deadline;
    struct kube_ask *ask;
    bool held;
    bool is_ours;                      /* the version we know is our own write */
    char version[LEASE_VERSION_BYTES]; /* "": not known */
    int64_t seen_ms;                   /* ticks: this version was first seen */
    int64_t read_ms;                   /* ticks: it was last read */
    int64_t lasts_ms, asked_ms, acquired_at_ms, transitions;
    /* giving it up */
    bool is_leaving;
    int64_t leaving_since_ms;
    void (*left)(void *arg);
    void *left_arg;
};

static void step(void *arg);

static int64_t ticks(const struct lease *lease)
{
    return loop_ticks_ms(kube_loop(lease->kube));
}

static int64_t margin(const struct lease *lease)
{
    return lease->options.duration_ms / 4 < LEASE_MARGIN_MS ? lease->options.duration_ms / 4 : LEASE_MARGIN_MS;
}

/* ---- held or not ---- */
static void set_held(struct lease *lease, bool held)
{
    if (!held) {
        loop_timer_stop(lease->deadline);
        kube_set_fence(lease->kube, 0);
    }
    if (lease->held == held)
        return;
    lease->held = held;
    if (lease->options.changed)
        lease->options.changed(lease->options.arg, held);
}

static void on_deadline(void *arg)
{
    set_held(arg, false);
}

static void renewed(struct lease *lease)
{
    int64_t fence_ms = lease->asked_ms + lease->options.duration_ms - margin(lease);
    int64_t deadline_ms = lease->asked_ms + lease->options.renew_deadline_ms;

    if (ticks(lease) >= fence_ms || ticks(lease) >= deadline_ms) {
        set_held(lease, false); /* the answer took too long to be of use */
        return;
    }
    kube_set_fence(lease->kube, fence_ms);
    loop_timer_set(lease->deadline, (deadline_ms < fence_ms ? deadline_ms : fence_ms) - ticks(lease));
    set_held(lease, true);
}

/* ---- what is known of it ---- */
static void keep_holder(struct lease *lease, const char *holder)
{
    if (strcmp(lease->holder, holder) == 0)
        return;
    free(lease->holder);
    lease->holder = mem_copy(holder);
}

/* True: there was a time in which we could not see it. */
static bool was_blind(const struct lease *lease)
{
    return ticks(lease) - lease->read_ms > lease->options.duration_ms / 2 + lease->options.retry_ms;
}

static void note(struct lease *lease, const struct lease_read *now)
{
    if (strcmp(lease->version, now->version) != 0 || was_blind(lease))
        lease->seen_ms = ticks(lease);
    snprintf(lease->version, sizeof lease->version, "%s", now->version);
    /* another kind of holder (client-go's) leaves our mark where it was, and writes itself in */
    lease->is_ours = strcmp(now->nonce, lease->nonce) == 0 && strcmp(now->holder, lease->identity) == 0;
    lease->lasts_ms = now->holder[0] ? now->duration_ms : 0;
    lease->transitions = now->transitions;
    lease->read_ms = ticks(lease);
    keep_holder(lease, now->holder);
}

static void forget(struct lease *lease)
{
    lease->version[0] = 0;
    lease->is_ours = false;
    keep_holder(lease, "");
}

static int64_t runs_out_in(const struct lease *lease)
{
    return lease->seen_ms + lease->lasts_ms - ticks(lease);
}

/* ---- asking ---- */
static void again_after(struct lease *lease, int64_t ms)
{
    if (!lease->is_leaving)
        loop_timer_set(lease->timer, ms);
}

/* Twice as often as the holder renews, and at the moment it runs out. */
static void stand_by(struct lease *lease)
{
    int64_t ms = kube_jitter(lease->kube, lease->options.retry_ms / 2), left_ms = runs_out_in(lease);

    again_after(lease, lease->version[0] && left_ms > 0 && left_ms < ms ? left_ms : ms);
}

static void send(struct lease *lease, const char *method, const char *path, const char *body, size_t length,
                 kube_done *done)
{
    struct kube_request request = {.method = method,
                                   .path = path,
                                   .body = body,
                                   .body_length = length,
                                   .no_retry = true,
                                   .priority = KUBE_WRITE,
                                   .timeout_ms = lease->options.renew_deadline_ms / 2,
                                   .content_type =
                                       strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL};

    lease->asked_ms = ticks(lease);
    lease->ask = kube_ask(lease->kube, &request, done, lease);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct lease *lease = arg;
    struct lease_read now;

    lease->ask = NULL;
    if (reply->error.kind == ERROR_NONE && lease_read(reply->body, lease->options.duration_ms, &now)) {
        note(lease, &now);
        if (lease->is_leaving)
            return;
        renewed(lease);
        again_after(lease, lease->options.retry_ms);
        return;
    }
    if (reply->conflict || reply->error.kind == ERROR_MISSING) { /* it is no longer what we know */
        forget(lease);
        again_after(lease, 0);
        return;
    }
    again_after(lease, kube_jitter(lease->kube, lease->options.retry_ms / 2));
}

static void write_lease(struct lease *lease, const char *holder, kube_done *done)
{
    int64_t now_ms = loop_now_ms(kube_loop(lease->kube));
    bool creates = !lease->version[0];
    struct text body;

    if (!lease->is_ours)
        lease->acquired_at_ms = now_ms;
    text_init(&body, LEASE_BODY_MAX_BYTES);
    lease_write(&(struct lease_write){.name = lease->name,
                                      .ns = lease->ns,
                                      .version = creates ? NULL : lease->version,
                                      .holder = holder,
                                      .nonce = lease->nonce,
                                      .duration_ms = holder[0] ? lease->options.duration_ms : 1000,
                                      .acquired_at_ms = lease->acquired_at_ms,
                                      .renewed_at_ms = now_ms,
                                      .transitions = lease->transitions + (creates || lease->is_ours ? 0 : 1)},
                &body);
    send(lease, creates ? "POST" : "PATCH", creates ? lease->collection : lease->path, body.bytes, body.length, done);
    text_done(&body);
}

static void on_read(void *arg, const struct kube_reply *reply)
{
    struct lease *lease = arg;
    struct lease_read now;

    lease->ask = NULL;
    if (lease->is_leaving)
        return;
    if (reply->error.kind == ERROR_MISSING) {
        forget(lease);
        lease->read_ms = ticks(lease);
        set_held(lease, false); /* somebody deleted it under us */
        write_lease(lease, lease->identity, on_written);
        return;
    }
    if (reply->error.kind != ERROR_NONE || !lease_read(reply->body, lease->options.duration_ms, &now)) {
        stand_by(lease);
        return;
    }
    note(lease, &now);
    if (!lease->is_ours)
        set_held(lease, false);
    if (lease->is_ours || runs_out_in(lease) <= 0)
        write_lease(lease, lease->identity, on_written);
    else
        stand_by(lease);
}

static void step(void *arg)
{
    struct lease *lease = arg;

    if (lease->ask)
        return;
    if (lease->is_ours)
        write_lease(lease, lease->identity, on_written);
    else
        send(lease, "GET", lease->path, NULL, 0, on_read);
}

/* ---- giving it up ---- */
static void tell_left(struct lease *lease)
{
    void (*left)(void *arg) = lease->left;

    lease->left = NULL;
    if (left)
        left(lease->left_arg);
}

static void on_left(void *arg, const struct kube_reply *reply)
{
    struct lease *lease = arg;

    on_written(arg, reply);
    tell_left(lease);
}

/* What is under way ends first, so that the next one does not meet it. */
static void drain(void *arg)
{
    struct lease *lease = arg;
    bool is_quiet =
        !lease->ask && kube_fence_oldest(lease->kube) == UINT64_MAX && ticks(lease) >= kube_fence_doubt_ms(lease->kube);
    bool is_late = ticks(lease) - lease->leaving_since_ms >= DRAIN_MS;

    if (!is_quiet && !is_late) {
        loop_timer_set(lease->deadline, DRAIN_STEP_MS);
        return;
    }
    if (lease->ask)
        kube_cancel(lease->ask);
    lease->ask = NULL;
    kube_set_fence(lease->kube, 0);
    if (is_quiet && lease->is_ours)
        write_lease(lease, "", on_left);
    else
        tell_left(lease); /* then it runs out by itself */
}

void lease_release(struct lease *lease, void (*done)(void *arg), void *arg)
{
    lease->held = false;
    lease->is_leaving = true;
    lease->leaving_since_ms = ticks(lease);
    lease->left = done;
    lease->left_arg = arg;
    kube_hold_fence(lease->kube);
    loop_timer_stop(lease->timer);
    loop_timer_free(lease->deadline);
    lease->deadline = loop_timer_new(kube_loop(lease->kube), drain, lease);
    loop_timer_set(lease->deadline, 0);
}

/* ---- the lease ---- */
static char *path_of(const char *ns, const char *name)
{
    struct text path;

    text_init(&path, KUBE_PATH_MAX_BYTES);
    kube_path(&path, "coordination.k8s.io", "v1", ns, "leases", name, NULL);
    return text_take(&path);
}

static int64_t or_usual(int64_t ms, int64_t usual_ms)
{
    return ms > 0 ? ms : usual_ms;
}

struct lease *lease_new(struct kube *kube, const struct lease_options *options)
{
    struct lease *lease = mem_alloc(sizeof *lease);
    struct lease_options *own = &lease->options;

    lease->kube = kube;
    *own = *options;
    own->duration_ms = or_usual(options->duration_ms, DURATION_MS);
    if (own->duration_ms > LEASE_DURATION_MAX_S * SECOND_MS)
        own->duration_ms = LEASE_DURATION_MAX_S * SECOND_MS; /* others believe no more */
    own->renew_deadline_ms = or_usual(options->renew_deadline_ms, RENEW_DEADLINE_MS);
    own->retry_ms = or_usual(options->retry_ms, RETRY_MS);
    lease->ns = mem_copy(options->ns);
    lease->name = mem_copy(options->name);
    lease->identity = mem_copy(options->identity);
    lease->holder = mem_copy("");
    lease->path = path_of(lease->ns, lease->name);
    lease->collection = path_of(lease->ns, NULL);
    lease_nonce(lease->nonce);
    lease->timer = loop_timer_new(kube_loop(kube), step, lease);
    lease->deadline = loop_timer_new(kube_loop(kube), on_deadline, lease);
    kube_set_fence(kube, 0);
    again_after(lease, 0);
    return lease;
}

bool lease_held(const struct lease *lease)
{
    return lease->held && kube_may_write(lease->kube);
}

const char *lease_holder(const struct lease *lease)
{
    return lease->holder;
}

void lease_free(struct lease *lease)
{
    if (!lease)
        return;
    if (lease->ask)
        kube_cancel(lease->ask);
    kube_set_fence(lease->kube, 0);
    loop_timer_free(lease->timer);
    loop_timer_free(lease->deadline);
    free(lease->ns);
    free(lease->name);
    free(lease->identity);
    free(lease->holder);
    free(lease->path);
    free(lease->collection);
    free(lease);
}

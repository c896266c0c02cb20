/*
 * virtual_work: blocking jobs without threads. A job holds its place among the workers for the delay that was set, then its
 * work is done in one go. One that hangs keeps its place, as a stuck thread would, and times out by its deadline, which begins with its place.
 *
 *     start --gate--> running --after the delay--> work, done, release
 *        \___ waits ____/ \__ deadline first: done(it hangs) ... work, release (when hanging: release with the world)
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "sim/virtual_internal.h"

struct job {
    struct event finish, deadline;
    struct gate_ticket ticket;
    struct virtual_world *world;
    struct job *previous, *next;
    int64_t timeout_ms;
    job_work *work;
    job_done *done; /* NULL: told already, or cancelled */
    void (*release)(void *arg);
    void *arg;
};

/* The last of a job. */
static void let_go(struct job *job)
{
    struct virtual_world *world = job->world;

    event_clear(world, &job->finish);
    event_clear(world, &job->deadline);
    if (job->previous)
        job->previous->next = job->next;
    else
        world->jobs = job->next;
    if (job->next)
        job->next->previous = job->previous;
    world->job_count--;
    if (job->ticket.lane)
        gate_leave(world->work_gate, &job->ticket);
    if (job->release)
        job->release(job->arg);
    free(job);
}

static void tell(struct job *job, enum job_end how)
{
    job_done *done = job->done;

    job->done = NULL;
    event_clear(job->world, &job->deadline);
    if (done)
        done(job->arg, how);
}

static void finish(struct event *event)
{
    struct job *job = owner_of(event, struct job, finish);

    job->work(job->arg);
    tell(job, JOB_RETURNED);
    let_go(job);
}

static void drop(struct event *event)
{
    let_go(owner_of(event, struct job, finish));
}

static void time_out(struct event *event)
{
    struct job *job = owner_of(event, struct job, deadline);
    bool never_ran = job->ticket.waiting;

    if (never_ran) /* no worker needs it any more, and a callback may start others */
        gate_leave(job->world->work_gate, &job->ticket);
    tell(job, never_ran ? JOB_NOT_BEGUN : JOB_HANGS);
    if (never_ran)
        let_go(job);
}

static void run(struct job *job)
{
    event_after(job->world, &job->finish, job->world->work_delay_ms, finish);
    event_after(job->world, &job->deadline, job->timeout_ms, time_out);
}

static void admit(void *arg, struct gate_ticket *ticket)
{
    (void)arg;
    run(owner_of(ticket, struct job, ticket));
}

struct job *virtual_work(struct transport *transport, const char *ns, const char *destination, int64_t timeout_ms,
                         job_work *work, job_done *done, void (*release)(void *arg), void *arg)
{
    struct virtual_world *world = owner_of(transport, struct virtual_transport, transport)->world;
    struct job *job = mem_alloc(sizeof *job);

    job->world = world;
    job->timeout_ms = timeout_ms > 0 ? timeout_ms : HTTP_TIMEOUT_MS;
    job->work = work;
    job->done = done;
    job->release = release;
    job->arg = arg;
    job->next = world->jobs;
    if (world->jobs)
        world->jobs->previous = job;
    world->jobs = job;
    world->job_count++;
    if (gate_enter_as(world->work_gate, &job->ticket, destination, ns))
        run(job);
    else
        event_after(world, &job->deadline, job->timeout_ms, time_out);
    return job;
}

void virtual_work_cancel(struct job *job)
{
    job->done = NULL;
    event_clear(job->world, &job->deadline);
    if (job->ticket.waiting) {
        gate_leave(job->world->work_gate, &job->ticket);
        event_after(job->world, &job->finish, 0, drop);
    }
}

void virtual_work_delay(struct virtual_world *world, int64_t after_ms)
{
    world->work_delay_ms = after_ms;
}

void virtual_work_init(struct virtual_world *world)
{
    world->work_gate = gate_new(WORKER_THREADS_MAX, WORKERS_PER_DESTINATION_MAX, admit, world);
    gate_bound_shares(world->work_gate, WORKERS_PER_NAMESPACE_MAX);
}

void virtual_work_cancel_all(struct virtual_world *world)
{
    for (struct job *job = world->jobs; job; job = job->next)
        job->done = NULL;
    while (world->jobs)
        let_go(world->jobs);
}

void virtual_work_done(struct virtual_world *world)
{
    gate_free(world->work_gate);
}

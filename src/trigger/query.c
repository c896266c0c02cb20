/*
 * query: asking through a library that blocks, on a worker thread of the transport.
 *
 * The job owns all that the worker touches: a reference to the trigger, whose config is immutable, the driver's memory (a
 * connection kept between polls), and the place of the result. When the job does not come back in time, the poll fails
 * and goes on without it: the memory stays with the stuck job, and the next poll begins with a new one.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "trigger/trigger_internal.h"

/* The library's own time-outs shall strike first: they know better what was slow. */
enum { QUERY_GRACE_MS = 1000 };

struct query_job {
    struct trigger *trigger; /* a reference */
    struct flight *flight;   /* NULL: nobody waits any more */
    struct query query;
};

static void on_worker(void *arg)
{
    struct query_job *job = arg;

    job->trigger->driver->query(trigger_config(job->trigger), &job->query);
}

static void take_result(struct poll *poll, const struct query *query)
{
    if (query->activity != ACTIVITY_BY_VALUE)
        poll_activity(poll, query->activity == ACTIVITY_ON);
    if (query->state == SAMPLE_OK)
        poll_value(poll, query->value);
    else if (query->state == SAMPLE_MISSING)
        poll_missing_as(poll, SWITCH_UNSET, query->value, "%s", query->error.text);
    else
        poll_fail_with(poll, &query->error);
}

static void on_done(void *arg, bool timed_out)
{
    struct query_job *job = arg;
    struct flight *flight = job->flight;

    flight->job = NULL;
    flight->query = NULL;
    job->flight = NULL;
    if (timed_out)
        poll_fail(&flight->poll, ERROR_UNREACHABLE, "%s did not answer within %lld ms, and its client library hangs",
                  trigger_destination(flight->trigger), (long long)job->query.timeout_ms);
    else
        take_result(&flight->poll, &job->query);
    flight_after_step(flight);
}

static void forget(const struct trigger_driver *driver, void *memory)
{
    if (memory && driver->forget)
        driver->forget(memory);
    free(memory);
}

static void on_release(void *arg)
{
    struct query_job *job = arg;
    struct trigger *trigger = job->trigger;

    if (trigger->memory)
        forget(trigger->driver, job->query.memory);
    else
        trigger->memory = job->query.memory;
    trigger_unref(trigger);
    free(job);
}

void query_start(struct flight *flight)
{
    struct trigger *trigger = flight->trigger;
    const struct trigger_driver *driver = trigger->driver;
    struct transport *transport = flight->engine->transport;
    struct query_job *job = mem_alloc(sizeof(*job));

    job->trigger = trigger_ref(trigger);
    job->flight = flight;
    job->query.timeout_ms = driver->timeout_ms > 0 ? driver->timeout_ms : HTTP_TIMEOUT_MS;
    job->query.memory = trigger->memory;
    trigger->memory = NULL;
    if (!job->query.memory && driver->memory_size > 0)
        job->query.memory = mem_alloc(driver->memory_size);
    flight->query = job;
    flight_stats(flight)->requests++;
    flight->job = transport->ops->work(transport, trigger_destination(trigger), job->query.timeout_ms + QUERY_GRACE_MS,
                                       on_worker, on_done, on_release, job);
}

void query_stop(struct flight *flight)
{
    if (flight->query)
        flight->query->flight = NULL;
    if (flight->job)
        flight->engine->transport->ops->work_cancel(flight->job);
    flight->query = NULL;
    flight->job = NULL;
}

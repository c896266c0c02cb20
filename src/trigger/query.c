/*
 * query: asking through a library that blocks, on a worker thread of the transport.
 *
 *     query_start --waits for a session--> query_begin --> job: driver->query on a thread --> outcome, session back
 *
 * The job owns all that the worker touches: a reference to the trigger, whose config is immutable, a session, the trigger's own
 * memory, and the place of the result. When the job does not come back in time, the poll fails and goes on without it: session
 * and memory stay with the stuck job until it does, and are ended then; the next poll begins with new ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "net/egress.h"
#include "trigger/sql.h"
#include "trigger/trigger_internal.h"

/* The library's own time-outs shall strike first: they know better what was slow. */
enum { QUERY_GRACE_MS = 1000 };

struct query_job {
    struct trigger *trigger; /* a reference */
    struct flight *flight;   /* NULL: nobody waits any more */
    struct session *session; /* NULL: it went back */
    struct query query;
    struct egress *egress; /* a reference; NULL: no rules */
    struct egress_caller caller;
    char host[300];
};

bool query_is_over(const struct query *query)
{
    return query->until_ticks_ms != 0 && query->until_ticks_ms <= query_ticks_ms();
}

int64_t query_left_ms(const struct query *query)
{
    int64_t left = query->until_ticks_ms - query_ticks_ms();

    if (query->until_ticks_ms == 0)
        return query->timeout_ms;
    return left > 1 ? left : 1;
}

static void on_worker(void *arg)
{
    struct query_job *job = arg;
    const char *why;

    job->query.until_ticks_ms = query_ticks_ms() + job->query.timeout_ms;
    egress_enter(job->egress, &job->caller);
    job->trigger->driver->query(trigger_config(job->trigger), &job->query);
    if (egress_leave(&why) && job->query.state == SAMPLE_FAILED) /* the library only knows that it was not allowed to */
        failure_egress(&job->query.error, trigger_destination(job->trigger), why);
}

/* "db:5432", "[::1]:5432" */
static void set_caller(struct query_job *job, struct transport *transport)
{
    const char *place = trigger_destination(job->trigger), *colon = strrchr(place, ':');
    bool brackets = place[0] == '[' && colon && colon > place + 1 && colon[-1] == ']';

    snprintf(job->host, sizeof(job->host), "%.*s",
             (int)((colon ? (size_t)(colon - place) : strlen(place)) - (brackets ? 2 : 0)), place + brackets);
    job->egress = transport_egress(transport);
    if (job->egress)
        egress_ref(job->egress);
    job->caller = (struct egress_caller){.ns = job->trigger->ns, .host = *job->host ? job->host : NULL};
    if (colon)
        job->caller.port = (int)strtol(colon + 1, NULL, 10);
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

static void take_back_session(struct query_job *job)
{
    struct session *session = job->session;

    job->session = NULL;
    if (job->query.state == SAMPLE_FAILED)
        session_failed(session, &job->query.error);
    else
        session_worked(session);
    session_return(session, true); /* the driver has mended what was broken, or will */
}

static void on_done(void *arg, bool timed_out)
{
    struct query_job *job = arg;
    struct flight *flight = job->flight;

    flight->job = NULL;
    flight->query = NULL;
    flight->session = NULL;
    job->flight = NULL;
    job->session->flight = NULL;
    if (timed_out) {
        session_disown(job->session);
        poll_fail(&flight->poll, ERROR_UNREACHABLE, "%s did not answer within %lld ms, and its client library hangs",
                  trigger_destination(flight->trigger), (long long)job->query.timeout_ms);
    } else {
        take_result(&flight->poll, &job->query);
        take_back_session(job);
    }
    flight_after_step(flight);
}

static void forget(const struct trigger_driver *driver, void *memory)
{
    if (memory && driver->forget)
        driver->forget(memory);
    free(memory);
}

/* Of a call that was given up. */
static void end_session(struct query_job *job)
{
    if (job->session && job->session->server)
        take_back_session(job);
    else if (job->session)
        session_part(job->session, job->trigger);
}

static void on_release(void *arg)
{
    struct query_job *job = arg;
    struct trigger *trigger = job->trigger;

    end_session(job);
    if (trigger->memory)
        forget(trigger->driver, job->query.own);
    else
        trigger->memory = job->query.own;
    trigger_unref(trigger);
    egress_unref(job->egress);
    free(job);
}

static int64_t timeout_of(const struct trigger_driver *driver)
{
    return driver->timeout_ms > 0 ? driver->timeout_ms : HTTP_TIMEOUT_MS;
}

void query_begin(struct flight *flight)
{
    struct trigger *trigger = flight->trigger;
    const struct trigger_driver *driver = trigger->driver;
    struct transport *transport = flight->engine->transport;
    struct query_job *job = mem_alloc(sizeof(*job));

    loop_timer_stop(flight->timer);
    job->trigger = trigger_ref(trigger);
    job->flight = flight;
    job->session = flight->session;
    job->query.timeout_ms = timeout_of(driver);
    job->query.memory = driver->session_size > 0 ? flight->session->memory : NULL;
    job->query.own = trigger->memory;
    job->query.state = SAMPLE_FAILED;
    trigger->memory = NULL;
    if (!job->query.own && driver->memory_size > 0)
        job->query.own = mem_alloc(driver->memory_size);
    set_caller(job, transport);
    flight->query = job;
    flight_stats(flight)->requests++;
    flight->job = transport->ops->work(transport, trigger_destination(trigger), job->query.timeout_ms + QUERY_GRACE_MS,
                                       on_worker, on_done, on_release, job);
}

static void on_wait_over(void *arg)
{
    struct flight *flight = arg;

    poll_fail(&flight->poll, ERROR_LIMIT, "none of the %zu connections to %s became free within %lld ms",
              session_limit(flight), trigger_destination(flight->trigger),
              (long long)timeout_of(flight->trigger->driver));
    flight_after_step(flight);
}

void query_start(struct flight *flight)
{
    flight->timer = loop_timer_new(flight->engine->loop, on_wait_over, flight);
    loop_timer_set(flight->timer, timeout_of(flight->trigger->driver));
    session_want(flight, trigger_destination(flight->trigger), false);
}

void query_stop(struct flight *flight)
{
    session_unwant(flight);
    if (flight->query) {
        flight->query->flight = NULL;
        flight->query->session->flight = NULL;
        flight->session = NULL;
    }
    if (flight->job)
        flight->engine->transport->ops->work_cancel(flight->job);
    flight->query = NULL;
    flight->job = NULL;
}

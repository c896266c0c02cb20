/*
 * query: asking through a library that blocks, on a worker thread of the transport.
 *
 *     query_start --waits for a token, if it needs one, and a session--> query_begin
 *                 --> job: driver->query on a thread --> outcome, session back
 *
 * The job owns all that the worker touches: a reference to the trigger, whose config is immutable, a session, the trigger's own
 * memory, and the place of the result. When the job does not come back in time, the poll fails and goes on without it: session
 * and memory stay with the stuck job until it does, and are ended then; the next poll begins with new ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "net/egress.h"
#include "trigger/common/dsn.h"
#include "trigger/common/sql.h"
#include "trigger/trigger_internal.h"

/* The library's own time-outs shall strike first: they know better what was slow. */
enum { QUERY_GRACE_MS = 1000 };

struct query_job {
    struct trigger *trigger; /* a reference */
    struct flight *flight;   /* NULL: nobody waits any more */
    struct session *session; /* NULL: it went back */
    struct query query;
    struct secret *token;          /* a reference; NULL: it needs none */
    struct egress *egress;         /* a reference; NULL: no rules */
    struct egress_caller *callers; /* one for each server its library may turn to; linked, hosts are copies */
    size_t caller_count;
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

/* Every name is judged before the library resolves the first: it may turn to any of them. */
static bool names_are_allowed(struct query_job *job)
{
    char place[DSN_HOST_BYTES + 16];
    const char *why;

    for (size_t i = 0; i < job->caller_count; i++) {
        const struct egress_caller *caller = &job->callers[i];

        if (egress_allows_host(job->egress, caller, &why))
            continue;
        snprintf(place, sizeof(place), strchr(caller->host, ':') ? "[%.*s]:%d" : "%.*s:%d", DSN_HOST_BYTES,
                 caller->host, caller->port);
        failure_egress(&job->query.error, place, why);
        return false;
    }
    return true;
}

static void on_worker(void *arg)
{
    struct query_job *job = arg;
    const char *why;

    if (!names_are_allowed(job))
        return;
    job->query.until_ticks_ms = query_ticks_ms() + job->query.timeout_ms;
    egress_enter(job->egress, job->callers);
    job->trigger->driver->query(trigger_config(job->trigger), &job->query);
    if (egress_leave(&why) && job->query.state == SAMPLE_FAILED) /* the library only knows that it was not allowed to */
        failure_egress(&job->query.error, trigger_destination(job->trigger), why);
}

static void add_caller(void *arg, const char *host, int port)
{
    struct query_job *job = arg;

    job->callers = mem_grow(job->callers, job->caller_count + 1, sizeof(*job->callers));
    job->callers[job->caller_count++] =
        (struct egress_caller){.ns = job->trigger->ns, .host = mem_copy(host), .port = port};
}

static void set_callers(struct query_job *job, struct transport *transport)
{
    job->egress = transport_egress(transport);
    if (!job->egress)
        return;
    egress_ref(job->egress);
    destinations_servers(job->trigger->driver, trigger_config(job->trigger), add_caller, job);
    if (job->caller_count == 0)
        add_caller(job, NULL, 0);
    for (size_t i = 1; i < job->caller_count; i++)
        job->callers[i - 1].next = &job->callers[i];
}

static void free_callers(struct query_job *job)
{
    for (size_t i = 0; i < job->caller_count; i++)
        free((char *)(uintptr_t)job->callers[i].host);
    free(job->callers);
    egress_unref(job->egress);
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

static int64_t timeout_of(const struct trigger_driver *driver)
{
    return driver->timeout_ms > 0 ? driver->timeout_ms : HTTP_TIMEOUT_MS;
}

/* ------------------------------------------------------------------ the token it goes out with */

static void on_token(void *arg);

/* FOUND: flight->token is good, or none is needed. PENDING: on_token is called. Else *err says why there is none. */
static enum lookup take_token(struct flight *flight, const struct secret *refused, struct error *err)
{
    struct trigger *trigger = flight->trigger;
    struct credential_client client;
    struct secret *token = NULL;
    enum lookup found;

    if (!trigger->driver->token || !trigger->driver->token(trigger_config(trigger), flight->poll.arena, &client))
        return LOOKUP_FOUND;
    client.destination = trigger_destination(trigger);
    client.ns = trigger->ns;
    client.owner = trigger->share;
    flight->token_waiter.told = on_token;
    flight->token_waiter.arg = flight;
    found = credential_store_token(flight->engine->credentials, &client, refused, &token, err, &flight->token_waiter);
    if (found == LOOKUP_FOUND) {
        secret_unref(flight->token);
        flight->token = token;
        poll_note_sent(&flight->poll, token);
    }
    return found;
}

static void want_session(struct flight *flight)
{
    loop_timer_set(flight->timer, timeout_of(flight->trigger->driver));
    session_want(flight, trigger_destination(flight->trigger), false);
}

static void on_token(void *arg)
{
    struct flight *flight = arg;
    struct error err;
    enum lookup found = take_token(flight, flight->token_refused ? flight->token : NULL, &err);

    if (found == LOOKUP_FOUND)
        want_session(flight);
    else if (found != LOOKUP_PENDING)
        poll_fail_with(&flight->poll, &err);
    flight_after_step(flight);
}

/* It may have been revoked, or the server's clock is ahead: another one, once. false: that is no use. */
static bool try_other_token(struct flight *flight, const struct query *query, struct session *session)
{
    struct error err;
    enum lookup found;

    if (!flight->token || flight->token_refused || query->state != SAMPLE_FAILED || query->error.kind != ERROR_DENIED)
        return false;
    flight->token_refused = true;
    found = take_token(flight, flight->token, &err);
    if (found != LOOKUP_FOUND && found != LOOKUP_PENDING)
        return false;
    session_return(session, true);
    loop_timer_set(flight->timer, timeout_of(flight->trigger->driver));
    if (found == LOOKUP_FOUND)
        want_session(flight);
    return true;
}

/* ------------------------------------------------------------------ the job */

static void never_began(struct query_job *job, struct flight *flight)
{
    session_return(job->session, true);
    job->session = NULL;
    poll_fail(
        &flight->poll, ERROR_LIMIT,
        "no worker thread became free to ask %s within %lld ms: %d may ask one server, %d for one namespace, %d in all "
        "(WORKERS_PER_DESTINATION_MAX, WORKERS_PER_NAMESPACE_MAX, WORKER_THREADS_MAX), and others are slow or hang",
        trigger_destination(flight->trigger), (long long)job->query.timeout_ms + QUERY_GRACE_MS,
        WORKERS_PER_DESTINATION_MAX, WORKERS_PER_NAMESPACE_MAX, WORKER_THREADS_MAX);
}

static void on_done(void *arg, enum job_end how)
{
    struct query_job *job = arg;
    struct flight *flight = job->flight;

    flight->job = NULL;
    flight->query = NULL;
    flight->session = NULL;
    job->flight = NULL;
    job->session->flight = NULL;
    if (how == JOB_NOT_BEGUN) {
        never_began(job, flight);
    } else if (how == JOB_HANGS) {
        session_disown(job->session);
        poll_fail(&flight->poll, ERROR_UNREACHABLE, "%s did not answer within %lld ms, and its client library hangs",
                  trigger_destination(flight->trigger), (long long)job->query.timeout_ms);
    } else if (try_other_token(flight, &job->query, job->session)) {
        job->session = NULL;
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
    secret_unref(job->token);
    free_callers(job);
    free(job);
}

/* It may have waited long for its turn: a token that others were given meanwhile is the better one. */
static void freshen_token(struct flight *flight)
{
    struct error err;

    if (flight->token && take_token(flight, NULL, &err) != LOOKUP_FOUND)
        credential_wait_end(&flight->token_waiter);
}

void query_begin(struct flight *flight)
{
    struct trigger *trigger = flight->trigger;
    const struct trigger_driver *driver = trigger->driver;
    struct transport *transport = flight->engine->transport;
    struct query_job *job = mem_alloc(sizeof(*job));

    loop_timer_stop(flight->timer);
    freshen_token(flight);
    job->token = secret_ref(flight->token);
    job->query.token = job->token;
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
    set_callers(job, transport);
    flight->query = job;
    flight_stats(flight)->requests++;
    flight->job = transport->ops->work(transport, trigger->share, trigger_destination(trigger),
                                       job->query.timeout_ms + QUERY_GRACE_MS, on_worker, on_done, on_release, job);
}

static void on_wait_over(void *arg)
{
    struct flight *flight = arg;
    const char *place = trigger_destination(flight->trigger);
    long long ms = timeout_of(flight->trigger->driver);

    if (flight->token_waiter.on)
        poll_fail(&flight->poll, ERROR_UNREACHABLE, "there was no token for %s within %lld ms", place, ms);
    else
        poll_fail(&flight->poll, ERROR_LIMIT, "none of the %zu connections to %s became free within %lld ms",
                  session_limit(flight), place, ms);
    flight_after_step(flight);
}

void query_start(struct flight *flight)
{
    struct error err;
    enum lookup found;

    flight->timer = loop_timer_new(flight->engine->loop, on_wait_over, flight);
    loop_timer_set(flight->timer, timeout_of(flight->trigger->driver));
    found = take_token(flight, NULL, &err);
    if (found == LOOKUP_FOUND)
        want_session(flight);
    else if (found != LOOKUP_PENDING)
        poll_fail_with(&flight->poll, &err);
}

void query_stop(struct flight *flight)
{
    session_unwant(flight);
    credential_wait_end(&flight->token_waiter);
    secret_unref(flight->token);
    flight->token = NULL;
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

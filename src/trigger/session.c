/*
 * session: connections that outlive a poll, and who may use them.
 *
 *     party     triggers of one driver whose connection parameters are equal, credentials included
 *     `- server    a place they speak to: one; more where a server names others (Sentinel, a cluster)
 *        `- session   a connection, with what the driver knows about it: one poll has it, or it is idle
 *     `- account   what the driver knows about whom it comes as: a token that all of them go out with
 *
 *     session_want --queue of the server--> (a later turn) talk_begin | query_begin ... session_return --> idle | gone
 *
 * A party is found by a hash, but it is the parameters themselves that are compared, with those of any member: so two credentials
 * never meet on one connection, whatever the hash says. A party ends with its last member, and its connections with it: what a
 * replaced credential opened is not kept.
 *
 * Sessions are handed out in a later turn only, so that no driver is called inside its own call. The one used last is taken first,
 * so that those too many grow old: after CONNECTION_IDLE_MS, or as the oldest of more than CONNECTIONS_IDLE_MAX, they go.
 *
 * A server that was not reached, or let us not in, is `away`: until its time is over all who come fail as the last one did, then
 * one of them tries. With a first attempt on a new connection it is away at once; a session that has worked before may fail
 * once without saying anything about others.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/map.h"
#include "trigger/trigger_internal.h"

enum { SESSION_RETRY_FIRST_MS = 250, GOODBYE_MS = 10 * 1000 };

struct session_server {
    struct party *party;
    struct session_server *next; /* of the party's */
    struct session_server *next_due;
    const char *place; /* an atom: host:port, or what a query's gate goes by */
    bool tls;
    bool due; /* in the engine's list of those to be served in the next turn */
    struct session *sessions;
    struct flight *first_waiting, *last_waiting;
    unsigned failures; /* in a row; 0: it is not away */
    int64_t retry_ticks_ms;
    struct error why;
};

struct party {
    struct trigger_engine *engine;
    const struct trigger_driver *driver;
    const char *share; /* an atom: as of the trigger that founded it */
    uint64_t hash;
    struct party *next; /* in its bucket */
    struct trigger *members;
    struct session_server *servers;
    void *account; /* the driver's, from the first poll on that asks for it */
};

/* ------------------------------------------------------------------ the end of a session */

struct goodbye { /* of a library's: it may block */
    struct transport *transport;
    const struct trigger_driver *driver;
    const char *share, *place; /* atoms; share: whose threads it takes */
    struct session *session;
    bool said, again;
};

static void say_goodbye(void *arg)
{
    struct goodbye *goodbye = arg;

    goodbye->driver->hang_up(goodbye->session->memory);
    goodbye->said = true;
}

static void nobody_waits(void *arg, enum job_end how)
{
    ((struct goodbye *)arg)->again = how == JOB_NOT_BEGUN;
}

static void goodbye_is_over(void *arg);

static void begin_goodbye(struct goodbye *goodbye)
{
    goodbye->again = false;
    goodbye->transport->ops->work(goodbye->transport, goodbye->share, goodbye->place, GOODBYE_MS, say_goodbye,
                                  nobody_waits, goodbye_is_over, goodbye);
}

static void goodbye_is_over(void *arg)
{
    struct goodbye *goodbye = arg;

    if (goodbye->again) { /* no thread became free for it: on this one it could hold up everything */
        begin_goodbye(goodbye);
        return;
    }
    if (!goodbye->said) /* the transport ended first */
        say_goodbye(goodbye);
    atom_unref(goodbye->share);
    atom_unref(goodbye->place);
    free(goodbye->session);
    free(goodbye);
}

static void session_free(struct session *session, const struct trigger_driver *driver)
{
    if (driver->hang_up && driver->session_size > 0)
        driver->hang_up(session->memory);
    free(session);
}

/* On a worker thread where a library may block; at the very end there are none any more. */
static void part(struct trigger_engine *engine, const struct trigger_driver *driver, const char *share,
                 const char *place, struct session *session)
{
    struct goodbye *goodbye;

    if (session->stream)
        engine->transport->ops->stream_close(session->stream);
    session->stream = NULL;
    if (!driver->query || !driver->hang_up || driver->session_size == 0 || engine->sessions_ending) {
        session_free(session, driver);
        return;
    }
    goodbye = mem_alloc(sizeof(*goodbye));
    *goodbye = (struct goodbye){.transport = engine->transport,
                                .driver = driver,
                                .share = atom_ref(share),
                                .place = atom_ref(place),
                                .session = session};
    begin_goodbye(goodbye);
}

static void idle_remove(struct trigger_engine *engine, struct session *session)
{
    *(session->older ? &session->older->newer : &engine->oldest_idle) = session->newer;
    *(session->newer ? &session->newer->older : &engine->newest_idle) = session->older;
    session->older = session->newer = NULL;
    engine->idle_sessions--;
}

static void server_mark_due(struct session_server *server)
{
    struct trigger_engine *engine = server->party->engine;

    if (server->due)
        return;
    server->due = true;
    *(engine->last_due ? &engine->last_due->next_due : &engine->first_due) = server;
    engine->last_due = server;
    loop_timer_set(engine->sessions_soon, 0);
}

static void due_remove(struct session_server *server)
{
    struct trigger_engine *engine = server->party->engine;
    struct session_server *previous = NULL;

    if (!server->due)
        return;
    for (struct session_server *s = engine->first_due; s != server; s = s->next_due)
        previous = s;
    *(previous ? &previous->next_due : &engine->first_due) = server->next_due;
    if (engine->last_due == server)
        engine->last_due = previous;
    server->next_due = NULL;
    server->due = false;
}

/* Out of its server, which may have another one instead. */
static void session_leave(struct session *session)
{
    struct session_server *server = session->server;
    struct session **link = &server->sessions;

    if (!session->busy)
        idle_remove(server->party->engine, session);
    while (*link != session) {
        assert(*link);
        link = &(*link)->next;
    }
    *link = session->next;
    session->server = NULL;
    if (server->first_waiting)
        server_mark_due(server);
}

void session_drop(struct session *session)
{
    struct session_server *server = session->server;
    const struct party *party = server->party;

    session_leave(session);
    part(party->engine, party->driver, party->share, server->place, session);
}

void session_disown(struct session *session)
{
    session_leave(session);
}

void session_part(struct session *session, const struct trigger *trigger)
{
    if (trigger->engine)
        part(trigger->engine, trigger->driver, trigger->share, trigger_destination(trigger), session);
    else
        session_free(session, trigger->driver);
}

void session_renew(struct session *session)
{
    const struct session_server *server = session->server;
    const struct trigger_driver *driver = server->party->driver;

    if (session->stream)
        server->party->engine->transport->ops->stream_close(session->stream);
    session->stream = NULL;
    if (driver->hang_up && driver->session_size > 0)
        driver->hang_up(session->memory);
    explicit_bzero(session->memory, driver->session_size);
    session->kept = session->good = false;
}

/* ------------------------------------------------------------------ parties and servers */

static struct party **party_bucket(struct trigger_engine *engine, uint64_t hash)
{
    return &engine->parties[hash % PARTY_BUCKETS];
}

static bool belongs(const struct party *party, const struct trigger *trigger)
{
    return party->driver == trigger->driver && string_equal(party->members->ns, trigger->ns) &&
           config_same_connection(party->driver->params, trigger_config_of(party->members), trigger_config_of(trigger));
}

static struct party *party_of(struct trigger_engine *engine, struct trigger *trigger)
{
    uint64_t hash = config_connection_hash(trigger->driver->params, trigger_config_of(trigger),
                                           hash_string(0, trigger->driver->type));
    struct party **bucket = party_bucket(engine, hash), *party = *bucket;

    if (trigger->party)
        return trigger->party;
    while (party && !(party->hash == hash && belongs(party, trigger)))
        party = party->next;
    if (!party) {
        party = mem_alloc(sizeof(*party));
        *party = (struct party){.engine = engine, .driver = trigger->driver, .hash = hash, .next = *bucket};
        party->share = atom_ref(trigger->share);
        *bucket = party;
    }
    trigger->party = party;
    trigger->next_member = party->members;
    trigger->member_link = &party->members;
    if (party->members)
        party->members->member_link = &trigger->next_member;
    party->members = trigger;
    return party;
}

static void server_free(struct session_server *server)
{
    struct trigger_engine *engine = server->party->engine;

    assert(!server->first_waiting);
    for (struct session *session = server->sessions, *next; session; session = next) {
        next = session->next;
        if (session->busy)
            session_disown(session); /* a job of a flight that was given up */
        else
            session_drop(session);
    }
    due_remove(server);
    if (engine->serving == server)
        engine->serving = NULL;
    atom_unref(server->place);
    free(server);
}

static void party_free(struct party *party)
{
    struct party **link = party_bucket(party->engine, party->hash);

    while (*link != party)
        link = &(*link)->next;
    *link = party->next;
    while (party->servers) {
        struct session_server *server = party->servers;

        party->servers = server->next;
        server_free(server);
    }
    if (party->account && party->driver->forget_account)
        party->driver->forget_account(party->account);
    free(party->account);
    atom_unref(party->share);
    free(party);
}

void *account_of(struct trigger_engine *engine, struct trigger *trigger)
{
    struct party *party = party_of(engine, trigger);

    if (!party->account)
        party->account = mem_alloc(party->driver->account_size);
    return party->account;
}

void *poll_account(struct poll *poll)
{
    return poll->account ? poll->account : account_of(flight_of(poll)->engine, flight_of(poll)->trigger);
}

void party_leave(struct trigger *trigger)
{
    struct party *party = trigger->party;

    if (!party)
        return;
    *trigger->member_link = trigger->next_member;
    if (trigger->next_member)
        trigger->next_member->member_link = trigger->member_link;
    trigger->party = NULL;
    if (!party->members)
        party_free(party);
}

static bool is_empty(const struct session_server *server, int64_t now)
{
    return !server->sessions && !server->first_waiting && !server->due && server->party->engine->serving != server &&
           (server->failures == 0 || server->retry_ticks_ms <= now);
}

/* The server at this place; those nobody needs any more are let go, as a server may name ever new ones. */
static struct session_server *server_of(struct party *party, const char *place, bool tls)
{
    int64_t now = loop_ticks_ms(party->engine->loop);
    struct session_server *found = NULL;

    for (struct session_server **link = &party->servers; *link;) {
        struct session_server *server = *link;

        if (strcmp(server->place, place) == 0 && server->tls == tls) {
            found = server;
        } else if (is_empty(server, now)) {
            *link = server->next;
            server_free(server);
            continue;
        }
        link = &server->next;
    }
    if (found)
        return found;
    found = mem_alloc(sizeof(*found));
    *found = (struct session_server){.party = party, .next = party->servers, .place = atom_ref(place), .tls = tls};
    party->servers = found;
    return found;
}

/* ------------------------------------------------------------------ handing out */

static struct flight *take_first(struct session_server *server)
{
    struct flight *flight = server->first_waiting;

    server->first_waiting = flight->next_waiting;
    if (!server->first_waiting)
        server->last_waiting = NULL;
    flight->next_waiting = NULL;
    flight->waits_at = NULL;
    return flight;
}

static size_t sessions_max(const struct trigger_driver *driver)
{
    if (driver->sessions_max > 0)
        return driver->sessions_max;
    return driver->query ? WORKERS_PER_DESTINATION_MAX : CONNECTIONS_KEPT_MAX;
}

/* The one that was used last. */
static struct session *idle_session(const struct session_server *server, size_t *count)
{
    struct session *found = NULL;

    *count = 0;
    for (struct session *session = server->sessions; session; session = session->next) {
        ++*count;
        if (!session->busy && (!found || session->idle_since > found->idle_since))
            found = session;
    }
    return found;
}

static struct session *session_new(struct session_server *server)
{
    struct session *session = mem_alloc(sizeof(*session) + server->party->driver->session_size);

    session->server = server;
    session->next = server->sessions;
    session->busy = true;
    server->sessions = session;
    return session;
}

/* NULL: none is free. A server that is away is tried by one alone. */
static struct session *session_at_hand(struct session_server *server)
{
    size_t count;
    struct session *session = idle_session(server, &count);

    if (session) {
        idle_remove(server->party->engine, session);
        session->busy = true;
        return session;
    }
    return count < (server->failures > 0 ? 1 : sessions_max(server->party->driver)) ? session_new(server) : NULL;
}

static void begin_with(struct flight *flight, struct session *session)
{
    session->flight = flight;
    flight->session = session;
    if (flight->trigger->driver->query)
        query_begin(flight);
    else
        talk_begin(flight);
}

static void refuse(struct flight *flight, const struct error *why)
{
    if (!flight->trigger->driver->query) {
        talk_lose(flight, why);
        return;
    }
    poll_fail_with(&flight->poll, why);
    flight_after_step(flight);
}

/* Each flight may end at once, and with it whatever was built on it, this server included. */
static void serve(struct session_server *server)
{
    struct trigger_engine *engine = server->party->engine;
    int64_t now = loop_ticks_ms(engine->loop);

    engine->serving = server;
    while (engine->serving && server->first_waiting) {
        bool away = server->failures > 0 && now < server->retry_ticks_ms;
        size_t count;
        struct session *session = away && !idle_session(server, &count) ? NULL : session_at_hand(server);

        if (session) {
            begin_with(take_first(server), session);
        } else if (away) {
            refuse(take_first(server), &server->why);
        } else {
            break;
        }
    }
    engine->serving = NULL;
}

static void serve_due(void *arg)
{
    struct trigger_engine *engine = arg;
    size_t count = 0;

    /* Those there are now, first come, first served: who asks again at once waits for the next turn. */
    for (const struct session_server *server = engine->first_due; server; server = server->next_due)
        count++;
    for (; count > 0 && engine->first_due; count--) {
        struct session_server *server = engine->first_due;

        due_remove(server);
        serve(server);
    }
}

void session_want(struct flight *flight, const char *place, bool tls)
{
    struct session_server *server = server_of(party_of(flight->engine, flight->trigger), place, tls);

    assert(!flight->session && !flight->waits_at);
    flight->waits_at = server;
    if (server->last_waiting)
        server->last_waiting->next_waiting = flight;
    else
        server->first_waiting = flight;
    server->last_waiting = flight;
    server_mark_due(server);
}

void session_unwant(struct flight *flight)
{
    struct session_server *server = flight->waits_at;
    struct flight *previous = NULL;

    if (!server)
        return;
    for (struct flight *f = server->first_waiting; f != flight; f = f->next_waiting) {
        assert(f);
        previous = f;
    }
    *(previous ? &previous->next_waiting : &server->first_waiting) = flight->next_waiting;
    if (server->last_waiting == flight)
        server->last_waiting = previous;
    flight->next_waiting = NULL;
    flight->waits_at = NULL;
}

size_t session_limit(const struct flight *flight)
{
    return sessions_max(flight->trigger->driver);
}

/* ------------------------------------------------------------------ taking back */

static void drop_old(void *arg)
{
    struct trigger_engine *engine = arg;
    int64_t now = loop_ticks_ms(engine->loop);

    while (engine->oldest_idle && engine->oldest_idle->idle_since + CONNECTION_IDLE_MS <= now)
        session_drop(engine->oldest_idle);
    if (engine->oldest_idle)
        loop_timer_set(engine->sessions_idle, engine->oldest_idle->idle_since + CONNECTION_IDLE_MS - now);
}

static void idle_add(struct trigger_engine *engine, struct session *session)
{
    session->idle_since = loop_ticks_ms(engine->loop);
    session->older = engine->newest_idle;
    *(session->older ? &session->older->newer : &engine->oldest_idle) = session;
    engine->newest_idle = session;
    if (engine->idle_sessions++ == 0)
        loop_timer_set(engine->sessions_idle, CONNECTION_IDLE_MS);
    if (engine->idle_sessions > CONNECTIONS_IDLE_MAX)
        session_drop(engine->oldest_idle);
}

void session_worked(struct session *session)
{
    session->good = true;
    session->server->failures = 0;
}

static int64_t retry_delay(unsigned failures)
{
    int64_t delay = SESSION_RETRY_FIRST_MS;

    while (--failures > 0 && delay < SESSION_RETRY_MAX_MS)
        delay *= 2;
    return delay < SESSION_RETRY_MAX_MS ? delay : SESSION_RETRY_MAX_MS;
}

void session_failed(struct session *session, const struct error *why)
{
    struct session_server *server = session->server;
    bool was_good = session->good;

    if (why->kind != ERROR_UNREACHABLE && why->kind != ERROR_DENIED)
        return;
    session->good = false;
    if (was_good)
        return;
    server->failures++;
    server->retry_ticks_ms = loop_ticks_ms(server->party->engine->loop) + retry_delay(server->failures);
    server->why = *why;
    server_mark_due(server);
}

bool session_is_away(const struct session *session)
{
    return session->server->failures > 0;
}

void session_return(struct session *session, bool keep)
{
    struct session_server *server = session->server;

    if (session->flight)
        session->flight->session = NULL;
    session->flight = NULL;
    if (!keep) {
        session_drop(session);
        return;
    }
    session->busy = false;
    session->kept = true;
    idle_add(server->party->engine, session);
    if (server->first_waiting)
        server_mark_due(server);
}

/* ------------------------------------------------------------------ with the engine */

void sessions_start(struct trigger_engine *engine)
{
    engine->parties = mem_array(PARTY_BUCKETS, sizeof(*engine->parties));
    engine->sessions_soon = loop_timer_new(engine->loop, serve_due, engine);
    engine->sessions_idle = loop_timer_new(engine->loop, drop_old, engine);
}

void sessions_stop(struct trigger_engine *engine)
{
    engine->sessions_ending = true;
    for (size_t i = 0; i < PARTY_BUCKETS; i++)
        while (engine->parties[i])
            party_leave(engine->parties[i]->members);
    loop_timer_free(engine->sessions_soon);
    loop_timer_free(engine->sessions_idle);
    free(engine->parties);
}

/*
 * engine: who asks what, and who waits for it. A poll under way is a flight; all who ask the same trigger meanwhile wait for
 * the same answer. The files beside this one know how to ask: poll.c over HTTP, talk.c on a stream, query.c on a thread; session.c
 * keeps the connections of the latter two.
 *
 *     trigger_poll_start -> flight -> driver's first step -> ... -> outcome -> flight_after_step -> everybody is told
 *
 * Nobody is told inside trigger_poll_start: an outcome that is there at once (a clock was read) waits in the `ready` list
 * for the next turn. Flights are used again with their arenas and buffers, so a poll allocates next to nothing.
 */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/time.h"
#include "credential/credential.h"
#include "trigger/trigger_internal.h"

/* ------------------------------------------------------------------ equal questions are one trigger */

static size_t bucket_of(const struct trigger_engine *engine, uint64_t identity)
{
    return (size_t)(identity & (engine->bucket_count - 1));
}

static bool same_target(const struct target_key *a, const struct target_key *b)
{
    if (!a || !b)
        return a == b;
    return string_equal(a->ns, b->ns) && string_equal(a->api_version, b->api_version) &&
           string_equal(a->kind, b->kind) && string_equal(a->name, b->name);
}

struct trigger *engine_find(struct trigger_engine *engine, const struct trigger *like, const void *config)
{
    for (struct trigger *t = engine->buckets[bucket_of(engine, like->identity)]; t; t = t->next)
        if (t->identity == like->identity && t->driver == like->driver && t->direct == like->direct &&
            string_equal(t->ns, like->ns) && string_equal(t->allowed_hosts, like->allowed_hosts) &&
            same_target(t->target, like->target) && config_equal(t->driver->params, trigger_config(t), config))
            return t;
    return NULL;
}

static void grow(struct trigger_engine *engine)
{
    struct trigger **old = engine->buckets;
    size_t old_count = engine->bucket_count;

    engine->bucket_count = old_count * 2;
    engine->buckets = mem_array(engine->bucket_count, sizeof(*engine->buckets));
    for (size_t i = 0; i < old_count; i++) {
        for (struct trigger *t = old[i], *next; t; t = next) {
            struct trigger **bucket = &engine->buckets[bucket_of(engine, t->identity)];

            next = t->next;
            t->next = *bucket;
            *bucket = t;
        }
    }
    free(old);
}

void engine_add(struct trigger_engine *engine, struct trigger *trigger)
{
    struct trigger **bucket;

    if (engine->trigger_count >= engine->bucket_count)
        grow(engine);
    bucket = &engine->buckets[bucket_of(engine, trigger->identity)];
    trigger->engine = engine;
    trigger->next = *bucket;
    *bucket = trigger;
    engine->trigger_count++;
}

void engine_remove(struct trigger_engine *engine, struct trigger *trigger)
{
    struct trigger **link = &engine->buckets[bucket_of(engine, trigger->identity)];

    while (*link != trigger) {
        assert(*link);
        link = &(*link)->next;
    }
    *link = trigger->next;
    engine->trigger_count--;
}

/* ------------------------------------------------------------------ destinations that sent us away */

static void backoffs_drop_past(struct trigger_engine *engine)
{
    int64_t now = loop_ticks_ms(engine->loop);

    for (size_t i = 0; i < engine->backoff_count;) {
        if (engine->backoffs[i].until_ticks_ms > now) {
            i++;
            continue;
        }
        atom_unref(engine->backoffs[i].destination);
        engine->backoffs[i] = engine->backoffs[--engine->backoff_count];
    }
}

static struct backoff *backoff_find(struct trigger_engine *engine, const char *destination, uint64_t asker)
{
    for (size_t i = 0; i < engine->backoff_count; i++)
        if (engine->backoffs[i].asker == asker && strcmp(engine->backoffs[i].destination, destination) == 0)
            return &engine->backoffs[i];
    return NULL;
}

bool backoff_active(struct trigger_engine *engine, const char *destination, uint64_t asker, int64_t *left_ms)
{
    const struct backoff *b;

    backoffs_drop_past(engine);
    b = backoff_find(engine, destination, asker);
    if (b)
        *left_ms = b->until_ticks_ms - loop_ticks_ms(engine->loop);
    return b != NULL;
}

/* Of too many the one goes that ends first: what it asked for is nearly done. */
static struct backoff *backoff_add(struct trigger_engine *engine, const char *destination, uint64_t asker)
{
    struct backoff *b = &engine->backoffs[0];

    if (engine->backoff_count < BACKOFFS_MAX) {
        b = &engine->backoffs[engine->backoff_count++];
    } else {
        for (size_t i = 1; i < engine->backoff_count; i++)
            if (engine->backoffs[i].until_ticks_ms < b->until_ticks_ms)
                b = &engine->backoffs[i];
        atom_unref(b->destination);
    }
    *b = (struct backoff){.destination = atom_ref(destination), .asker = asker};
    return b;
}

void backoff_set(struct trigger_engine *engine, const char *destination, uint64_t asker, int64_t for_ms)
{
    struct backoff *b = backoff_find(engine, destination, asker);

    if (!b)
        b = backoff_add(engine, destination, asker);
    b->until_ticks_ms = loop_ticks_ms(engine->loop) + (for_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : for_ms);
}

/* ------------------------------------------------------------------ flights */

struct flight *flight_of(struct poll *poll)
{
    struct flight *flight = (struct flight *)poll;

    assert(flight->magic == FLIGHT_MAGIC);
    return flight;
}

struct trigger_stats *flight_stats(const struct flight *flight)
{
    for (size_t i = 0;; i++) {
        assert(i < trigger_driver_count);
        if (trigger_drivers[i] == flight->trigger->driver)
            return &flight->engine->stats[i];
    }
}

static struct flight *flight_new(struct trigger_engine *engine, struct trigger *trigger)
{
    struct flight *flight = engine->free_flights;
    size_t scratch = trigger->driver->scratch_size;

    if (flight) {
        engine->free_flights = flight->next;
        engine->free_flight_count--;
    } else {
        flight = mem_alloc(sizeof(*flight));
        flight->poll.arena = arena_new(ARENA_USUAL);
        text_init(&flight->poll.url, HTTP_URL_MAX_BYTES);
        text_init(&flight->poll.received, STREAM_REPLY_MAX_BYTES);
    }
    flight->magic = FLIGHT_MAGIC;
    flight->engine = engine;
    flight->trigger = trigger_ref(trigger);
    flight->poll.config = trigger_config(trigger);
    flight->poll.scratch = scratch > 0 ? arena_alloc(flight->poll.arena, scratch) : NULL;
    flight->poll.now_ms = loop_now_ms(engine->loop);
    flight->started_ticks_ms = loop_ticks_ms(engine->loop);
    flight->next = engine->flights;
    flight->link = &engine->flights;
    if (flight->next)
        flight->next->link = &flight->next;
    engine->flights = flight;
    trigger->flight = flight;
    return flight;
}

/* Everything back to zero but the buffers; of these, what one large answer took is not kept for the next one. */
static void flight_clear(struct flight *flight)
{
    struct arena *arena = flight->poll.arena;
    struct text url = flight->poll.url, received = flight->poll.received;

    secret_unref(flight->poll.basic);
    poll_forget_sent(&flight->poll);
    memset(flight, 0, sizeof(*flight));
    arena_reset(arena);
    if (arena_bytes(arena) > FLIGHT_KEPT_BYTES) {
        arena_free(arena);
        arena = arena_new(ARENA_USUAL);
    }
    text_clear(&url);
    text_clear(&received);
    if (received.capacity > FLIGHT_KEPT_BYTES) {
        text_done(&received);
        text_init(&received, STREAM_REPLY_MAX_BYTES);
    }
    flight->poll.arena = arena;
    flight->poll.url = url;
    flight->poll.received = received;
}

static void flight_destroy(struct flight *flight)
{
    arena_free(flight->poll.arena);
    text_done(&flight->poll.url);
    text_done(&flight->poll.received);
    free(flight);
}

static void stop_everything(struct flight *flight)
{
    http_stop(flight);
    talk_stop(flight);
    query_stop(flight);
    loop_timer_free(flight->pods_timer);
    flight->pods_timer = NULL;
}

static void ready_remove(struct flight *flight)
{
    struct flight **link = &flight->engine->ready;

    while (flight->ready && *link != flight)
        link = &(*link)->next_ready;
    if (flight->ready)
        *link = flight->next_ready;
    flight->ready = false;
}

static void flight_free(struct flight *flight)
{
    struct trigger_engine *engine = flight->engine;
    struct trigger *trigger = flight->trigger;

    stop_everything(flight);
    ready_remove(flight);
    *flight->link = flight->next;
    if (flight->next)
        flight->next->link = flight->link;
    if (trigger->flight == flight)
        trigger->flight = NULL;
    flight_clear(flight);
    if (engine->free_flight_count < FREE_FLIGHTS_MAX) {
        flight->next = engine->free_flights;
        engine->free_flights = flight;
        engine->free_flight_count++;
    } else {
        flight_destroy(flight);
    }
    trigger_unref(trigger);
}

/* ------------------------------------------------------------------ the outcome */

static struct sample outcome(const struct flight *flight)
{
    const struct poll *poll = &flight->poll;
    struct sample sample = {.at_ms = loop_now_ms(flight->engine->loop), .value = poll->value};

    sample.state = poll->end == END_VALUE ? SAMPLE_OK : poll->end == END_MISSING ? SAMPLE_MISSING : SAMPLE_FAILED;
    sample.stand_in = poll->end == END_VALUE && poll->stand_in;
    sample.activity = (uint8_t)poll->activity;
    if (sample.state == SAMPLE_FAILED)
        sample.value = 0;
    else if (!flight->trigger->direct)
        sample.value = value_published(sample.value);
    return sample;
}

static void count_outcome(struct flight *flight, int64_t took_ms)
{
    struct trigger_stats *stats = flight_stats(flight);

    stats->ok += flight->poll.end == END_VALUE;
    stats->missing += flight->poll.end == END_MISSING;
    stats->failed += flight->poll.end == END_FAILED;
    stats->took_ms_total += (uint64_t)took_ms;
    histogram_add(&stats->took, took_ms);
    if (flight->poll.empty && flight->engine->observer.empty)
        flight->engine->observer.empty(flight->engine->observer.arg, flight->trigger);
}

/* A server may think of any number of statuses: those on top are counted together. */
static struct trigger_http_stats *http_stats(struct trigger_stats *stats, int status)
{
    size_t i = 0;

    while (i < stats->http_count && stats->http[i].status != status)
        i++;
    if (i < stats->http_count)
        return &stats->http[i];
    if (i == HTTP_STATUSES_MAX)
        return http_stats(stats, STATUS_OTHER);
    stats->http = mem_grow(stats->http, i + 1, sizeof(*stats->http));
    stats->http[i] = (struct trigger_http_stats){.status = i + 1 == HTTP_STATUSES_MAX ? STATUS_OTHER : status};
    stats->http_count++;
    return &stats->http[i];
}

void flight_count_request(struct flight *flight, int status, int64_t took_ms)
{
    const struct trigger_observer *observer = &flight->engine->observer;

    histogram_add(&http_stats(flight_stats(flight), status)->took, took_ms);
    if (observer->requested)
        observer->requested(observer->arg, flight->trigger, status);
}

static void poll_recycle(struct trigger_engine *engine, struct trigger_poll *waiter)
{
    waiter->flight = NULL;
    waiter->next = engine->free_polls;
    engine->free_polls = waiter;
}

/* From here on the trigger may be asked anew, also by those who are told now. */
static void flight_tell(struct flight *flight)
{
    struct trigger_engine *engine = flight->engine;
    int64_t took_ms = loop_ticks_ms(engine->loop) - flight->started_ticks_ms;
    struct sample sample = outcome(flight);

    count_outcome(flight, took_ms);
    redact(&flight->poll.why, flight->trigger->driver, flight->poll.config, flight->poll.sent);
    stop_everything(flight);
    flight->telling = true;
    flight->trigger->flight = NULL;
    if (flight->poll.told_target > 0)
        flight->trigger->told_target = flight->poll.told_target;
    while (flight->waiting) {
        struct trigger_poll *waiter = flight->waiting;
        trigger_poll_done *done = waiter->done;
        void *arg = waiter->arg;

        flight->waiting = waiter->next;
        poll_recycle(engine, waiter);
        done(arg, &sample, &flight->poll.why, took_ms);
    }
    flight_free(flight);
}

static void tell_ready(void *arg)
{
    struct trigger_engine *engine = arg;

    while (engine->ready) {
        struct flight *flight = engine->ready;

        engine->ready = flight->next_ready;
        flight->ready = false;
        flight_tell(flight);
    }
}

/* Answers are read into the poll's arena, one by one; each has a bound of its own, and so has their sum. */
static void bound_memory(struct flight *flight)
{
    if (flight->poll.end == END_NONE && arena_bytes(flight->poll.arena) > POLL_MEMORY_MAX_BYTES)
        poll_fail(&flight->poll, ERROR_LIMIT,
                  "what the sources answered to one poll takes more than %d MiB (POLL_MEMORY_MAX_BYTES); ask for less",
                  POLL_MEMORY_MAX_BYTES >> 20);
}

void flight_after_step(struct flight *flight)
{
    bound_memory(flight);
    if (flight->poll.end == END_NONE || flight->ready || flight->telling)
        return;
    if (!flight->starting) {
        flight_tell(flight);
        return;
    }
    flight->ready = true;
    flight->next_ready = flight->engine->ready;
    flight->engine->ready = flight;
    loop_timer_set(flight->engine->soon, 0);
}

/* ------------------------------------------------------------------ how a driver ends a poll */

static enum poll_next end_with(struct poll *poll, enum flight_end end, double value)
{
    assert(poll->end == END_NONE);
    poll->end = end;
    poll->value = value;
    return POLL_ENDED;
}

enum poll_next poll_value(struct poll *poll, double value)
{
    if (isnan(value))
        return poll_missing(poll, SWITCH_UNSET, "the value is not a number (NaN)");
    if (!isfinite(value))
        return poll_missing(poll, SWITCH_UNSET, "the value is infinite");
    return end_with(poll, END_VALUE, value);
}

void poll_activity(struct poll *poll, bool active)
{
    poll->activity = active ? ACTIVITY_ON : ACTIVITY_OFF;
}

static enum poll_next missing(struct poll *poll, enum param_switch said, double stand_in, const char *format,
                              va_list args)
{
    poll->empty = true;
    error_setv(&poll->why, said == SWITCH_FALSE ? ERROR_NONSENSE : ERROR_MISSING, format, args);
    if (said == SWITCH_FALSE)
        return end_with(poll, END_FAILED, 0);
    if (said == SWITCH_UNSET)
        return end_with(poll, END_MISSING, stand_in);
    poll->why.kind = ERROR_NONE;
    poll->stand_in = true;
    return end_with(poll, END_VALUE, stand_in);
}

enum poll_next poll_missing(struct poll *poll, enum param_switch said, const char *format, ...)
{
    enum poll_next next;
    va_list args;

    va_start(args, format);
    next = missing(poll, said, 0, format, args);
    va_end(args);
    return next;
}

enum poll_next poll_missing_as(struct poll *poll, enum param_switch said, double stand_in, const char *format, ...)
{
    enum poll_next next;
    va_list args;

    va_start(args, format);
    next = missing(poll, said, stand_in, format, args);
    va_end(args);
    return next;
}

enum poll_next poll_fail(struct poll *poll, enum error_kind kind, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_setv(&poll->why, kind, format, args);
    va_end(args);
    return end_with(poll, END_FAILED, 0);
}

enum poll_next poll_fail_with(struct poll *poll, const struct error *error)
{
    poll->why = *error;
    return end_with(poll, END_FAILED, 0);
}

void poll_target(struct poll *poll, double target)
{
    poll->told_target = isfinite(target) && target > 0 ? target : 0;
}

void poll_note(struct poll *poll, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_setv(&poll->why, ERROR_NONE, format, args);
    va_end(args);
}

/* ------------------------------------------------------------------ what a driver may look at */

int64_t poll_now_ms(const struct poll *poll)
{
    return poll->now_ms;
}

const char *poll_time_rfc3339(struct poll *poll)
{
    if (!poll->now_text[0])
        instant_format(poll->now_ms, poll->now_text, sizeof(poll->now_text));
    return poll->now_text;
}

struct arena *poll_arena(struct poll *poll)
{
    return poll->arena;
}

void *poll_scratch(struct poll *poll)
{
    return poll->scratch;
}

void *poll_memory(struct poll *poll)
{
    struct trigger *trigger = flight_of(poll)->trigger;

    if (!trigger->memory)
        trigger->memory = mem_alloc(trigger->driver->memory_size);
    return trigger->memory;
}

const char *poll_namespace(const struct poll *poll)
{
    return flight_of((struct poll *)poll)->trigger->ns;
}

/* In a cluster pods are known only some moments after somebody has asked for them: none seen yet is not none (platform.h). */
static bool pods_are_known(struct flight *flight, const char *ns, struct error *err)
{
    struct platform *platform = flight->engine->platform;
    enum lookup known = platform->ops->pods_known ? platform->ops->pods_known(platform, ns, err) : LOOKUP_FOUND;

    flight->pods_pending = known == LOOKUP_PENDING;
    return known == LOOKUP_FOUND;
}

bool poll_pods(struct poll *poll, const struct selector *selector, const struct pod_view *const **pods, size_t *count,
               struct error *err)
{
    struct flight *flight = flight_of(poll);
    struct platform *platform = flight->engine->platform;
    const struct pod_view **found = NULL;

    if (!platform || !platform->ops->pods)
        return error_set(err, ERROR_INVALID, "there is no platform here whose pods could be counted");
    if (!pods_are_known(flight, flight->trigger->ns, err))
        return false;
    *count = platform->ops->pods(platform, flight->trigger->ns, selector, poll->arena, &found);
    *pods = found;
    return true;
}

static void target_changed(void *arg)
{
    (void)arg; /* the next poll looks anew */
}

static bool target_is_known(struct flight *flight, struct error *err)
{
    struct trigger *trigger = flight->trigger;
    struct platform *platform = flight->engine->platform;
    struct target_view view;

    if (!platform->ops->pods_known)
        return true;
    platform->ops->target_view(trigger->watched, &view);
    if (view.known)
        return pods_are_known(flight, trigger->target->ns, err);
    flight->pods_pending = view.error.kind == ERROR_UNREACHABLE;
    *err = view.error;
    return false;
}

bool poll_target_pods(struct poll *poll, const struct pod_view **pods, size_t *count, struct error *err)
{
    struct flight *flight = flight_of(poll);
    struct trigger *trigger = flight->trigger;
    struct platform *platform = flight->engine->platform;

    if (!platform || !platform->ops->target_pods || !trigger->target)
        return error_set(err, ERROR_INVALID, "there is no scale target here whose replicas could be asked");
    if (!trigger->watched)
        trigger->watched = platform->ops->target_watch(platform, trigger->target, target_changed, trigger);
    if (!trigger->watched)
        return error_set(err, ERROR_MISSING, "the scale target %s is not there", trigger->target->name);
    if (!target_is_known(flight, err))
        return false;
    *count = platform->ops->target_pods(trigger->watched, pods);
    return true;
}

/* ------------------------------------------------------------------ starting and cancelling */

static void begin(struct flight *flight);

static void begin_again(void *arg)
{
    struct flight *flight = arg;

    if (flight->poll.scratch)
        memset(flight->poll.scratch, 0, flight->trigger->driver->scratch_size);
    flight->poll.end = END_NONE;
    begin(flight);
}

/* A poll that failed for want of pods that are being listed is no failure yet. */
static bool waits_for_pods(struct flight *flight)
{
    struct loop *loop = flight->engine->loop;

    if (flight->poll.end != END_FAILED || !flight->pods_pending ||
        loop_ticks_ms(loop) - flight->started_ticks_ms >= PODS_WAIT_MS)
        return false;
    flight->pods_pending = false;
    flight->poll.end = END_NONE;
    if (!flight->pods_timer)
        flight->pods_timer = loop_timer_new(loop, begin_again, flight);
    loop_timer_set(flight->pods_timer, PODS_LOOK_MS);
    return true;
}

static void begin(struct flight *flight)
{
    const struct trigger_driver *driver = flight->trigger->driver;

    if (driver->poll)
        http_start(flight);
    else if (driver->talk)
        talk_start(flight);
    else if (driver->query)
        query_start(flight);
    else if (driver->read)
        driver->read(flight->poll.config, &flight->poll);
    else
        poll_fail(&flight->poll, ERROR_INTERNAL, "%s is not asked: the platform measures it", driver->type);
    if (!waits_for_pods(flight))
        flight_after_step(flight);
}

struct trigger_poll *trigger_poll_start(struct trigger_engine *engine, struct trigger *trigger, trigger_poll_done *done,
                                        void *arg)
{
    struct trigger_poll *waiter = engine->free_polls;
    struct flight *flight = trigger->flight;
    struct trigger_poll **link;

    if (waiter)
        engine->free_polls = waiter->next;
    else
        waiter = mem_alloc(sizeof(*waiter));
    *waiter = (struct trigger_poll){.done = done, .arg = arg};
    if (!flight) {
        flight = flight_new(engine, trigger);
        flight_stats(flight)->polls++;
        flight->starting = true;
        begin(flight);
        flight->starting = false;
    }
    for (link = &flight->waiting; *link; link = &(*link)->next)
        ;
    *link = waiter;
    waiter->flight = flight;
    return waiter;
}

void trigger_poll_cancel(struct trigger_poll *waiter)
{
    struct flight *flight = waiter->flight;
    struct trigger_poll **link;

    if (!flight)
        return;
    for (link = &flight->waiting; *link != waiter; link = &(*link)->next)
        assert(*link);
    *link = waiter->next;
    poll_recycle(flight->engine, waiter);
    if (!flight->waiting && !flight->telling)
        flight_free(flight);
}

/* ------------------------------------------------------------------ the engine */

struct trigger_engine *trigger_engine_new(struct loop *loop, struct transport *transport, struct platform *platform)
{
    struct trigger_engine *engine = mem_alloc(sizeof(*engine));

    engine->loop = loop;
    engine->transport = transport;
    engine->platform = platform;
    engine->credentials =
        credential_store_new(&(struct credential_parts){.platform = platform, .loop = loop, .transport = transport});
    engine->bucket_count = ENGINE_BUCKETS_FIRST;
    engine->buckets = mem_array(engine->bucket_count, sizeof(*engine->buckets));
    engine->stats = mem_array(trigger_driver_count, sizeof(*engine->stats));
    for (size_t i = 0; i < trigger_driver_count; i++)
        engine->stats[i].type = trigger_drivers[i]->type;
    engine->soon = loop_timer_new(loop, tell_ready, engine);
    sessions_start(engine);
    return engine;
}

/* Triggers may outlive their engine: they are no longer shared, and stop watching. */
static void orphan(struct trigger_engine *engine)
{
    for (size_t i = 0; i < engine->bucket_count; i++) {
        for (struct trigger *t = engine->buckets[i]; t; t = t->next) {
            if (t->watched)
                engine->platform->ops->target_unwatch(t->watched);
            t->watched = NULL;
            t->engine = NULL;
        }
    }
}

void trigger_engine_free(struct trigger_engine *engine)
{
    if (!engine)
        return;
    while (engine->flights) {
        while (engine->flights->waiting) {
            struct trigger_poll *waiter = engine->flights->waiting;

            engine->flights->waiting = waiter->next;
            poll_recycle(engine, waiter);
        }
        flight_free(engine->flights);
    }
    sessions_stop(engine);
    orphan(engine);
    for (struct flight *f = engine->free_flights, *next; f; f = next) {
        next = f->next;
        flight_destroy(f);
    }
    for (struct trigger_poll *p = engine->free_polls, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    while (engine->backoff_count > 0)
        atom_unref(engine->backoffs[--engine->backoff_count].destination);
    loop_timer_free(engine->soon);
    map_free(engine->listening);
    credential_store_free(engine->credentials);
    free(engine->buckets);
    for (size_t i = 0; i < trigger_driver_count; i++)
        free(engine->stats[i].http);
    free(engine->stats);
    free(engine);
}

struct credential_store *trigger_engine_credentials(struct trigger_engine *engine)
{
    return engine->credentials;
}

size_t trigger_engine_stats(const struct trigger_engine *engine, const struct trigger_stats **out)
{
    *out = engine->stats;
    return trigger_driver_count;
}

void trigger_engine_observe(struct trigger_engine *engine, const struct trigger_observer *observer)
{
    engine->observer = observer ? *observer : (struct trigger_observer){0};
}

/*
 * sink: one receiver of CloudEvents. What is for it waits in a queue, and is sent one after the other.
 *
 *     sink_add -> queue -> (its turn) -> POST -> taken        -> gone
 *                   ^                         -> not answered -> a pause, and again, for good
 *                   |                         -> answered, with a failure, EVENT_ATTEMPTS times: behind the others; or, where the
 *                   +------ one of the event itself                 receiver says that it is wrong, gone
 *
 * A receiver that is away keeps its place: KEDA gives it up after five attempts, until somebody edits the source (09-quirks B19). Here the
 * pause doubles to EVENT_PAUSE_MAX_MS and stays there, and what does not fit into the queue meanwhile is dropped, the oldest first. One
 * event that the receiver cannot stand must not keep the others from it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/time.h"
#include "export/export_internal.h"
#include "net/loop.h"

enum { WHY_BYTES = 300 };

struct waiting { /* one event in the queue */
    struct waiting *next;
    struct cloud_event *event;
    int attempts; /* that were answered */
};

struct sink {
    struct sink_options o; /* url, cluster and own_ns are copies */
    struct waiting *first, **end;
    size_t count;
    struct timer *timer;
    struct exchange *exchange;
    struct sink *next_in_line; /* of those that wait to be let in */
    bool entered, in_line, pausing, hurry;
    bool told, works; /* what was told last */
    int failures;     /* in a row */
    uint64_t dropped;
};

/* ------------------------------------------------------------------ the queue */

static void pop(struct sink *s)
{
    struct waiting *w = s->first;

    s->first = w->next;
    if (!s->first)
        s->end = &s->first;
    s->count--;
    cloud_event_unref(w->event);
    free(w);
}

/* The first but for the one on its way. */
static void drop_oldest(struct sink *s)
{
    struct waiting **at = s->exchange ? &s->first->next : &s->first, *w = *at;

    *at = w->next;
    if (!*at)
        s->end = at;
    s->count--;
    s->dropped++;
    cloud_event_unref(w->event);
    free(w);
}

static void move_back(struct sink *s)
{
    struct waiting *w = s->first;

    if (!w->next)
        return;
    s->first = w->next;
    w->next = NULL;
    *s->end = w;
    s->end = &w->next;
}

/* ------------------------------------------------------------------ its turn */

static void tell(struct sink *s, bool works, const char *why)
{
    s->told = true;
    s->works = works;
    s->o.told(s->o.arg, works, why);
}

static void try_soon(struct sink *s)
{
    if (s->count == 0 || s->exchange || s->in_line || s->pausing)
        return;
    if (s->o.enter(s->o.arg, s))
        sink_go(s);
    else
        s->in_line = true;
}

static void leave(struct sink *s)
{
    if (s->entered)
        s->o.left(s->o.arg, s);
    s->entered = false;
}

static void on_pause_over(void *arg)
{
    struct sink *s = arg;

    s->pausing = false;
    try_soon(s);
}

static void pause_for(struct sink *s, int64_t asked_ms)
{
    s->pausing = true;
    loop_timer_set(s->timer, s->hurry ? EXPORT_PAUSE_MIN_MS : pause_ms(s->failures, EVENT_PAUSE_MAX_MS, asked_ms));
}

/* ------------------------------------------------------------------ one attempt */

static void on_reply(void *arg, const struct http_reply *reply);

static void post(struct sink *s)
{
    const struct cloud_event *e = s->first->event;
    struct text source, subject, body;
    char time[40];

    text_init(&source, EVENT_HEADER_MAX_BYTES);
    text_init(&subject, EVENT_HEADER_MAX_BYTES);
    text_init(&body, EVENT_BODY_MAX_BYTES);
    instant_format_ms(e->at_ms, time, sizeof(time));
    cloud_event_write_source(s->o.cluster, s->o.own_ns, &source);
    cloud_event_write_subject(e, s->o.cluster, &subject);
    cloud_event_write_body(e, &body);
    const struct http_header headers[] = {
        {.name = "ce-specversion", .value = "1.0"},
        {.name = "ce-id", .value = e->id},
        {.name = "ce-type", .value = e->type},
        {.name = "ce-source", .value = source.bytes},
        {.name = "ce-subject", .value = subject.bytes},
        {.name = "ce-time", .value = time},
        {.name = "Content-Type", .value = "application/json"},
    };
    s->exchange = transport_http(s->o.transport,
                                 &(struct http_request){.method = "POST",
                                                        .url = s->o.url,
                                                        .headers = headers,
                                                        .header_count = sizeof(headers) / sizeof(headers[0]),
                                                        .body = body.bytes,
                                                        .body_length = body.length,
                                                        .timeout_ms = EVENT_TIMEOUT_MS,
                                                        .body_max_bytes = EXPORT_ANSWER_MAX_BYTES,
                                                        .body_bound = "EXPORT_ANSWER_MAX_BYTES",
                                                        .no_redirects = true,
                                                        .uncounted = true,
                                                        .ns = s->o.ns},
                                 on_reply, s);
    text_done(&source);
    text_done(&subject);
    text_done(&body);
}

void sink_go(struct sink *s)
{
    s->in_line = false;
    s->entered = true;
    if (s->count > 0)
        post(s);
    else
        leave(s);
}

/* ------------------------------------------------------------------ its answer */

/* It was read and found wrong: that will not change. What may be mended at the receiver's end is not among these. */
static bool is_about_the_event(int status)
{
    return status == 400 || status == 413 || status == 415 || status == 422;
}

static void answered_badly(struct sink *s, const struct http_reply *reply)
{
    if (reply->failed || reply->status == 429 || ++s->first->attempts < EVENT_ATTEMPTS)
        return;
    if (is_about_the_event(reply->status)) {
        s->dropped++;
        pop(s);
    } else {
        s->first->attempts = 0;
        move_back(s);
    }
}

static void say_why(const struct http_reply *reply, char out[WHY_BYTES])
{
    if (reply->failed)
        snprintf(out, WHY_BYTES, "%.*s", WHY_BYTES - 1, reply->error.text);
    else if (reply->status >= 300 && reply->status < 400)
        snprintf(out, WHY_BYTES, "the receiver answers %d: redirects are not followed, write the address it means",
                 reply->status);
    else
        snprintf(out, WHY_BYTES, "the receiver answers %d", reply->status);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct sink *s = arg;
    bool taken = !reply->failed && reply->status >= 200 && reply->status < 300;
    char why[WHY_BYTES];

    s->exchange = NULL;
    s->o.counted(s->o.arg, s->first->event->ns, taken);
    if (taken) {
        s->failures = 0;
        pop(s);
        if (!s->told || !s->works)
            tell(s, true, "");
    } else {
        s->failures++;
        answered_badly(s, reply);
        say_why(reply, why);
        if (!s->told || s->works)
            tell(s, false, why);
        pause_for(s, pause_asked_ms(reply, loop_now_ms(s->o.loop)));
    }
    leave(s);
    try_soon(s);
}

/* ------------------------------------------------------------------ for sources.c */

void sink_add(struct sink *s, struct cloud_event *event)
{
    struct waiting *w = mem_alloc(sizeof(*w));

    w->event = cloud_event_ref(event);
    *s->end = w;
    s->end = &w->next;
    if (++s->count > EVENT_QUEUE_MAX)
        drop_oldest(s);
    if (!s->pausing && !s->exchange && !s->in_line) /* not within the turn that says it */
        loop_timer_set(s->timer, 0);
}

void sink_change(struct sink *s, const char *url, const char *cluster)
{
    char *old_url = (char *)s->o.url, *old_cluster = (char *)s->o.cluster;

    s->o.url = mem_copy(url);
    s->o.cluster = mem_copy(cluster);
    free(old_url);
    free(old_cluster);
    s->failures = 0;
    s->told = false;
    s->pausing = false;
    loop_timer_stop(s->timer);
    if (s->exchange) { /* to the old address: it is not known what became of it */
        transport_http_cancel(s->o.transport, s->exchange);
        s->exchange = NULL;
        leave(s);
    }
    try_soon(s);
}

void sink_hurry(struct sink *s)
{
    s->hurry = true;
    s->pausing = false;
    loop_timer_stop(s->timer);
    try_soon(s);
}

bool sink_is_idle(const struct sink *s)
{
    return s->count == 0;
}

uint64_t sink_dropped(const struct sink *s)
{
    return s->dropped;
}

void sink_each(const struct sink *s, void (*each)(void *arg, const struct cloud_event *event), void *arg)
{
    for (const struct waiting *w = s->first; w; w = w->next)
        each(arg, w->event);
}

struct sink **sink_place_in_line(struct sink *s)
{
    return &s->next_in_line;
}

struct sink *sink_new(const struct sink_options *options)
{
    struct sink *s = mem_alloc(sizeof(*s));

    s->o = *options;
    s->o.url = mem_copy(options->url);
    s->o.cluster = mem_copy(options->cluster);
    s->o.own_ns = mem_copy(options->own_ns);
    s->end = &s->first;
    s->timer = loop_timer_new(options->loop, on_pause_over, s);
    return s;
}

void sink_free(struct sink *s)
{
    if (!s)
        return;
    if (s->exchange)
        transport_http_cancel(s->o.transport, s->exchange);
    leave(s);
    loop_timer_free(s->timer);
    while (s->first)
        pop(s);
    free((char *)s->o.url);
    free((char *)s->o.cluster);
    free((char *)s->o.own_ns);
    free(s);
}

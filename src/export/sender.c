/*
 * sender: one signal on its way. Parts (metrics, log records, spans) wait in a queue; a batch of them is sent, one at a time.
 *
 *     sender_add -> queue -> (after a moment, or when there are enough) -> batch on the wire -> taken    -> gone
 *                     ^                                                          |  not now   -> a pause, and again
 *                     +------------ stays there until it is known ---------------+  refused   -> gone, and said
 *
 * What may be tried again is what OTLP says: no answer, and 429, 502, 503, 504, after a pause that doubles, or that the other side asks
 * for. All else that is no success will not get better by itself: the batch is given up. A queue that is full loses its oldest part,
 * but for those on the wire. That a receiver does not take what it is sent is said once, and once that it does again.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "export/export_internal.h"
#include "export/message.h"
#include "net/loop.h"

enum { GZIP_WINDOW_BITS = 15 + 16, WHY_BYTES = 200 };

struct part {
    struct part *next;
    size_t length, items;
    char bytes[];
};

struct sender {
    struct sender_parts parts;
    struct part *first, **end;
    size_t count, bytes; /* of parts in the queue */
    size_t flying;       /* so many of the first are on the wire */
    struct timer *timer;
    int64_t due_ticks_ms; /* what the timer is set to; INT64_MAX: it is not */
    struct exchange *exchange;
    int failures;
    bool hurry, failing, partial_said;
    struct sender_stats stats;
};

/* ------------------------------------------------------------------ the queue */

static void pop(struct sender *s)
{
    struct part *part = s->first;

    s->first = part->next;
    if (!s->first)
        s->end = &s->first;
    s->count--;
    s->bytes -= part->length;
    free(part);
}

/* The oldest that is not on the wire. */
static void drop_oldest(struct sender *s)
{
    struct part **at = &s->first, *part;

    for (size_t i = 0; i < s->flying; i++)
        at = &(*at)->next;
    part = *at;
    assert(part); /* count is more than flying */
    *at = part->next;
    if (!*at)
        s->end = at;
    s->count--;
    s->bytes -= part->length;
    s->stats.dropped += part->items;
    free(part);
}

static void arm(struct sender *s, int64_t after_ms)
{
    int64_t due = loop_ticks_ms(s->parts.loop) + after_ms;

    if (s->exchange || due >= s->due_ticks_ms)
        return;
    s->due_ticks_ms = due;
    loop_timer_set(s->timer, after_ms);
}

static void disarm(struct sender *s)
{
    s->due_ticks_ms = INT64_MAX;
    loop_timer_stop(s->timer);
}

/* While the other side does not take it, only the pause counts. */
static void arm_for_more(struct sender *s)
{
    if (s->count == 0 || s->failures > 0)
        return;
    arm(s, s->hurry || s->count >= s->parts.target->batch_max ? 0 : s->parts.target->delay_ms);
}

void sender_add(struct sender *s, const char *bytes, size_t length, size_t items)
{
    struct part *part;

    if (length > EXPORT_PART_MAX_BYTES) {
        s->stats.dropped += items;
        return;
    }
    part = mem_alloc(sizeof(*part) + length);
    part->length = length;
    part->items = items;
    memcpy(part->bytes, bytes, length);
    *s->end = part;
    s->end = &part->next;
    s->count++;
    s->bytes += length;
    while (s->count > s->flying + 1 && (s->count > s->parts.target->queue_max || s->bytes > EXPORT_QUEUE_MAX_BYTES))
        drop_oldest(s);
    arm_for_more(s);
}

void sender_forget(struct sender *s)
{
    while (s->count > s->flying)
        drop_oldest(s);
}

/* ------------------------------------------------------------------ one batch */

/* Which of the first parts go together: as many as may, one at least. */
static size_t choose_batch(const struct sender *s, struct text *body)
{
    size_t count = 0;

    for (const struct part *p = s->first; p && count < s->parts.target->batch_max; p = p->next, count++) {
        if (count > 0 && body->length + p->length > EXPORT_BODY_MAX_BYTES)
            break;
        text_append(body, p->bytes, p->length);
    }
    return count;
}

static bool compress_body(const struct text *plain, struct text *out)
{
    z_stream z = {0};
    uLong bound;
    int result;

    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    bound = deflateBound(&z, plain->length);
    char *bytes = mem_alloc(bound);
    z.next_in = (Bytef *)plain->bytes;
    z.avail_in = (uInt)plain->length;
    z.next_out = (Bytef *)bytes;
    z.avail_out = (uInt)bound;
    result = deflate(&z, Z_FINISH);
    if (result == Z_STREAM_END)
        text_append(out, bytes, z.total_out);
    deflateEnd(&z);
    free(bytes);
    return result == Z_STREAM_END && !out->overflowed;
}

static void on_reply(void *arg, const struct http_reply *reply);

static void post(struct sender *s, const struct text *body, bool gzip)
{
    const struct otlp_target *target = s->parts.target;
    struct http_header headers[EXPORT_HEADERS_MAX + 2] = {{.name = "Content-Type", .value = "application/x-protobuf"},
                                                          {.name = "Content-Encoding", .value = "gzip"}};
    size_t count = gzip ? 2 : 1;

    for (size_t i = 0; i < target->header_count; i++)
        headers[count++] = target->headers[i];
    s->exchange = transport_http(s->parts.transport,
                                 &(struct http_request){.method = "POST",
                                                        .url = target->url,
                                                        .headers = headers,
                                                        .header_count = count,
                                                        .body = body->bytes,
                                                        .body_length = body->length,
                                                        .tls = target->tls,
                                                        .timeout_ms = target->timeout_ms,
                                                        .body_max_bytes = EXPORT_ANSWER_MAX_BYTES,
                                                        .body_bound = "EXPORT_ANSWER_MAX_BYTES",
                                                        .no_redirects = true,
                                                        .uncounted = true,
                                                        .trusted = true},
                                 on_reply, s);
}

static void send_batch(struct sender *s)
{
    const struct message_scope scope = {s->parts.scope, WEIR_VERSION};
    struct text parts, body, packed;

    text_init(&parts, EXPORT_PART_MAX_BYTES + EXPORT_BODY_MAX_BYTES);
    s->flying = choose_batch(s, &parts);
    text_init(&body, parts.length + message_overhead(s->parts.resource, &scope));
    message_request(&body, s->parts.resource, &scope, parts.bytes, parts.length);
    text_init(&packed, body.length + 1024); /* what does not get smaller gets a little larger */
    if (s->parts.target->gzip && compress_body(&body, &packed))
        post(s, &packed, true);
    else
        post(s, &body, false);
    text_done(&packed);
    text_done(&body);
    text_done(&parts);
}

static void on_due(void *arg)
{
    struct sender *s = arg;

    s->due_ticks_ms = INT64_MAX;
    if (!s->exchange && s->count > 0)
        send_batch(s);
}

/* ------------------------------------------------------------------ its answer */

static void land(struct sender *s, uint64_t *counter)
{
    for (; s->flying > 0; s->flying--) {
        *counter += s->first->items;
        pop(s);
    }
}

static void say_failing(struct sender *s, const char *why, bool again)
{
    char count[24];

    snprintf(count, sizeof(count), "%zu", s->count);
    if (!s->failing)
        log_warning(again ? "telemetry cannot be delivered, and is tried again" : "telemetry is refused", "signal",
                    s->parts.signal, "to", s->parts.target->url, "why", why, "waiting", count, NULL);
    s->failing = true;
}

static void on_taken(struct sender *s, const struct http_reply *reply)
{
    char why[WHY_BYTES] = "", count[24];
    int64_t rejected = 0;
    bool read = message_read_partial(reply->body, reply->body_length, &rejected, why, sizeof(why));

    if (s->failing)
        log_info("telemetry is delivered again", "signal", s->parts.signal, "to", s->parts.target->url, NULL);
    s->failing = false;
    s->failures = 0;
    land(s, &s->stats.sent);
    if (!read || (rejected <= 0 && !*why))
        return;
    rejected = rejected > 0 ? rejected : 0;
    s->stats.rejected += (uint64_t)rejected;
    s->stats.sent -= (uint64_t)rejected < s->stats.sent ? (uint64_t)rejected : s->stats.sent;
    snprintf(count, sizeof(count), "%" PRId64, rejected);
    if (!s->partial_said)
        log_warning("telemetry is taken in part; said once", "signal", s->parts.signal, "to", s->parts.target->url,
                    "rejected", count, "why", why, NULL);
    s->partial_said = true;
}

static bool may_be_tried_again(const struct http_reply *reply)
{
    if (reply->failed)
        return reply->error.kind != ERROR_INVALID; /* an address or a header that can never be sent */
    return reply->status == 429 || (reply->status >= 502 && reply->status <= 504);
}

static void say_why(const struct http_reply *reply, char out[WHY_BYTES])
{
    char words[WHY_BYTES / 2] = "";

    if (reply->failed) {
        snprintf(out, WHY_BYTES, "%.*s", WHY_BYTES - 1, reply->error.text);
        return;
    }
    message_read_status(reply->body, reply->body_length, words, sizeof(words));
    snprintf(out, WHY_BYTES, "answered %d%s%s", reply->status, *words ? ": " : "", words);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct sender *s = arg;
    char why[WHY_BYTES];

    s->exchange = NULL;
    if (!reply->failed && reply->status >= 200 && reply->status < 300) {
        on_taken(s, reply);
        arm_for_more(s);
        return;
    }
    s->stats.failures++;
    say_why(reply, why);
    if (may_be_tried_again(reply)) {
        say_failing(s, why, true);
        s->flying = 0;
        arm(s, pause_ms(++s->failures, EXPORT_PAUSE_MAX_MS, pause_asked_ms(reply, loop_now_ms(s->parts.loop))));
    } else {
        say_failing(s, why, false);
        land(s, &s->stats.rejected);
        s->failures = 0;
        if (s->count > 0)
            arm(s, s->parts.target->delay_ms > EXPORT_PAUSE_MIN_MS ? s->parts.target->delay_ms : EXPORT_PAUSE_MIN_MS);
    }
}

/* ------------------------------------------------------------------ life */

/* The last words: what is being waited for is tried once more. */
void sender_hurry(struct sender *s)
{
    s->hurry = true;
    if (s->exchange || s->count == 0)
        return;
    disarm(s);
    arm(s, 0);
}

bool sender_is_idle(const struct sender *s)
{
    return s->count == 0;
}

void sender_stats(const struct sender *s, struct sender_stats *out)
{
    *out = s->stats;
    out->queued = s->count;
    out->queued_bytes = s->bytes;
}

struct sender *sender_new(const struct sender_parts *parts)
{
    struct sender *s = mem_alloc(sizeof(*s));

    s->parts = *parts;
    s->end = &s->first;
    s->due_ticks_ms = INT64_MAX;
    s->timer = loop_timer_new(parts->loop, on_due, s);
    return s;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    if (s->exchange)
        transport_http_cancel(s->parts.transport, s->exchange);
    loop_timer_free(s->timer);
    while (s->first)
        pop(s);
    free(s);
}

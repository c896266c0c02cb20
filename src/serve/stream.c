/*
 * stream: changes as they happen, as server-sent events (docs/openapi.yaml, /api/v1/stream).
 *
 *     listener: changed, gone -> noted -> STREAM_COALESCE_MS later: flush -> each event made once, sent to all who want it
 *
 * Of the list a row is sent when a person would call it changed (catalogue_moved), STREAM_ROWS_MAX in a flush, so that a source that
 * fails for ten thousand objects fills no line; of one object everything that a decision changed. A client that does not keep up is
 * closed by the server (SERVER_STREAM_MAX_BYTES), comes again, and asks for the list anew. Nothing waits for a client.
 */
#include "serve/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "net/loop.h"
#include "serve/guard.h"

enum { ROWS_AT_ONCE = 25 /* between two looks at how much it is */ };

struct subject { /* an object that streams are about */
    size_t streams;
    bool changed, gone;
};

struct stream {
    struct streams *all;
    struct server_stream *out;
    char *key;           /* of its subject; NULL: the list */
    bool knows_overview; /* of a list: it has had one */
    struct stream *previous, *next;
};

struct streams {
    struct serve_live *live;
    struct autoscaler_listener listener;
    struct timer *flush_timer, *overview_timer, *comment_timer;
    struct stream *first;
    size_t count, lists; /* lists: how many of them are of the list */
    struct map *subjects;
    struct text gone;   /* events of the list */
    struct text object; /* one, in JSON */
    struct text event;  /* what is being sent */
    uint64_t overview;  /* a hash of the one sent last; 0: none */
    bool flush_set;
};

/* ------------------------------------------------------------------ events */

static void begin_event(struct text *out, const char *name)
{
    text_printf(out, "event: %s\ndata: ", name);
}

static void end_event(struct text *out)
{
    text_add(out, "\n\n");
}

static void add_row(void *arg, const char *row, size_t length)
{
    struct text *out = arg;

    begin_event(out, "row");
    text_append(out, row, length);
    end_event(out);
}

static void add_gone(struct text *out, const char *key)
{
    struct json json = {.out = out};

    begin_event(out, "gone");
    json_put_open(&json, NULL, '{');
    row_write_names(&json, key);
    json_put_close(&json, '}');
    end_event(out);
}

static bool write_row(void *arg, const struct object_status *s)
{
    struct json *json = arg;

    json_put_open(json, NULL, '{');
    row_write_members(json, s);
    json_put_close(json, '}');
    return true;
}

/* One that is too large for an event (it has thousands of replicas) comes in short: then the client knows that it may ask. */
static void add_object(struct streams *all, const char *key)
{
    static const struct {
        const char *event;
        autoscaler_visit *write;
    } forms[] = {{"object", object_write}, {"row", write_row}};

    for (size_t i = 0; i < 2; i++) {
        struct json json = {.out = &all->object};

        text_clear(&all->object);
        if (!autoscaler_object(all->live->autoscaler, key, forms[i].write, &json))
            return;
        if (all->object.overflowed)
            continue;
        begin_event(&all->event, forms[i].event);
        text_append(&all->event, all->object.bytes, all->object.length);
        end_event(&all->event);
        return;
    }
}

/* ------------------------------------------------------------------ who listens */

static void subject_get(struct streams *all, const char *key)
{
    struct subject *subject = map_get(all->subjects, key);

    if (!subject) {
        subject = mem_alloc(sizeof(*subject));
        map_put(all->subjects, key, subject);
    }
    subject->streams++;
}

static void subject_put(struct streams *all, const char *key)
{
    struct subject *subject = map_get(all->subjects, key);

    if (--subject->streams == 0) {
        map_remove(all->subjects, key);
        free(subject);
    }
}

static void drop_stream(struct stream *stream)
{
    struct streams *all = stream->all;

    *(stream->previous ? &stream->previous->next : &all->first) = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    if (stream->key) {
        subject_put(all, stream->key);
    } else {
        catalogue_release(all->live->catalogue);
        if (--all->lists == 0) {
            loop_timer_stop(all->overview_timer);
            text_clear(&all->gone);
        }
    }
    if (--all->count == 0) {
        autoscaler_unlisten(all->live->autoscaler, &all->listener);
        loop_timer_stop(all->comment_timer);
    }
    free(stream->key);
    free(stream);
}

/* ------------------------------------------------------------------ sending */

/* What did not fit is lost for who wanted it: he comes again, and asks for what there is. The stream may be gone afterwards. */
static void send_text(struct stream *stream, const struct text *text)
{
    if (text->overflowed) {
        server_stream_end(stream->out);
        drop_stream(stream);
    } else if (text->length > 0) {
        server_stream_send(stream->out, text->bytes, text->length);
    }
}

static void send_lists(struct streams *all, const struct text *text, bool only_new)
{
    for (struct stream *stream = all->first, *next; stream; stream = next) {
        next = stream->next;
        if (!stream->key && !(only_new && stream->knows_overview))
            send_text(stream, text);
    }
}

/* The subject may be gone afterwards. */
static void send_subject(struct streams *all, const char *subject_key, struct subject *subject)
{
    char key[QUERY_KEY_BYTES];

    snprintf(key, sizeof(key), "%s", subject_key);
    text_clear(&all->event);
    if (subject->gone)
        add_gone(&all->event, key);
    if (subject->changed)
        add_object(all, key);
    subject->gone = subject->changed = false;
    for (struct stream *stream = all->first, *next; stream; stream = next) {
        next = stream->next;
        if (stream->key && strcmp(stream->key, key) == 0)
            send_text(stream, &all->event);
    }
}

static void flush_later(struct streams *all)
{
    if (all->flush_set)
        return;
    all->flush_set = true;
    loop_timer_set(all->flush_timer, STREAM_COALESCE_MS);
}

static void send_rows(void *arg, bool ended)
{
    struct streams *all = arg;
    size_t left = 1;

    if (ended || all->lists == 0)
        return;
    text_clear(&all->event);
    text_append(&all->event, all->gone.bytes, all->gone.length);
    all->event.overflowed |= all->gone.overflowed;
    text_clear(&all->gone);
    for (int rows = 0; left > 0 && rows < STREAM_ROWS_MAX && all->event.length < SERVER_STREAM_MAX_BYTES / 2;
         rows += ROWS_AT_ONCE)
        left = catalogue_moved(all->live->catalogue, ROWS_AT_ONCE, add_row, &all->event);
    if (left > 0)
        flush_later(all);
    send_lists(all, &all->event, false);
}

static void on_flush(void *arg)
{
    struct streams *all = arg;
    const char *key;
    void *value;

    all->flush_set = false;
    for (size_t cursor = 0; map_next(all->subjects, &cursor, &key, &value);) {
        struct subject *subject = value;

        if (subject->changed || subject->gone)
            send_subject(all, key, subject);
    }
    if (all->lists > 0)
        catalogue_when_fresh(all->live->catalogue, send_rows, all);
}

/* ------------------------------------------------------------------ the overview, now and then */

static void send_overview(void *arg, bool ended)
{
    struct streams *all = arg;
    uint64_t hash;

    if (ended || all->lists == 0)
        return;
    text_clear(&all->event);
    overview_write(all->live, false, &all->event);
    hash = hash_bytes(1, all->event.bytes, all->event.length);
    text_clear(&all->event);
    begin_event(&all->event, "overview");
    overview_write(all->live, true, &all->event);
    end_event(&all->event);
    send_lists(all, &all->event, hash == all->overview);
    all->overview = hash;
    for (struct stream *stream = all->first; stream; stream = stream->next)
        stream->knows_overview = true;
}

static void on_overview(void *arg)
{
    struct streams *all = arg;

    catalogue_when_fresh(all->live->catalogue, send_overview, all);
    loop_timer_set(all->overview_timer, STREAM_OVERVIEW_MS);
}

static void on_comment(void *arg)
{
    struct streams *all = arg;

    for (struct stream *stream = all->first; stream; stream = stream->next)
        server_stream_send(stream->out, ":\n\n", 3);
    loop_timer_set(all->comment_timer, STREAM_COMMENT_MS);
}

/* ------------------------------------------------------------------ listening */

static void on_changed(void *arg, const char *key)
{
    struct streams *all = arg;
    struct subject *subject = map_get(all->subjects, key);

    if (subject)
        subject->changed = true;
    if (subject || all->lists > 0)
        flush_later(all);
}

static void on_gone(void *arg, const char *key)
{
    struct streams *all = arg;
    struct subject *subject = map_get(all->subjects, key);

    if (subject) {
        subject->gone = true;
        subject->changed = false;
    }
    if (all->lists > 0)
        add_gone(&all->gone, key);
    if (subject || all->lists > 0)
        flush_later(all);
}

/* ------------------------------------------------------------------ a stream begins */

static void add_stream(struct streams *all, struct stream *stream)
{
    stream->next = all->first;
    if (all->first)
        all->first->previous = stream;
    all->first = stream;
    if (all->count++ == 0) {
        autoscaler_listen(all->live->autoscaler, &all->listener);
        loop_timer_set(all->comment_timer, STREAM_COMMENT_MS);
    }
    if (stream->key) {
        subject_get(all, stream->key);
        return;
    }
    catalogue_hold(all->live->catalogue);
    all->lists++;
    loop_timer_set(all->overview_timer, STREAM_COALESCE_MS);
}

static void on_closed(void *arg)
{
    drop_stream(arg);
}

static void send_first(struct stream *stream, const struct server_request *request)
{
    struct streams *all = stream->all;
    struct json json = {.out = &all->event};

    text_clear(&all->event);
    begin_event(&all->event, "hello");
    json_put_open(&json, NULL, '{');
    session_write_members(&json, all->live->autoscaler, request);
    json_put_close(&json, '}');
    end_event(&all->event);
    if (stream->key)
        add_object(all, stream->key);
    send_text(stream, &all->event);
}

static bool read_subject(struct streams *all, const struct server_request *request, const char **key,
                         struct server_answer *answer)
{
    const char *slash;

    *key = server_query(request, "object");
    if (!*key)
        return true;
    slash = strchr(*key, '/');
    if (!slash || !strchr(slash + 1, '/') ||
        !(string_starts(*key, "ScaledObject/") || string_starts(*key, "ScaledJob/")) ||
        strlen(*key) >= QUERY_KEY_BYTES) {
        answer_refuse(answer, 400, "object is like ScaledObject/shop/checkout or ScaledJob/shop/mail");
        return false;
    }
    if (autoscaler_has_object(all->live->autoscaler, *key))
        return true;
    answer_refuse(answer, 404, "there is no such object; GET /api/v1/objects lists them");
    return false;
}

void serve_stream(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct streams *all = ((struct serve_live *)arg)->streams;
    struct stream *stream;
    const char *key;

    if (!read_subject(all, request, &key, answer))
        return;
    server_answer_header(request, "X-Accel-Buffering", "no"); /* nginx would wait for a full buffer */
    stream = mem_alloc(sizeof(*stream));
    *stream = (struct stream){.all = all, .key = key ? mem_copy(key) : NULL};
    stream->out = server_stream_begin(request, "text/event-stream", on_closed, stream);
    if (!stream->out) {
        free(stream->key);
        free(stream);
        return;
    }
    add_stream(all, stream);
    send_first(stream, request);
}

size_t streams_count(const struct streams *all)
{
    return all->count;
}

struct streams *streams_new(struct serve_live *live)
{
    struct streams *all = mem_alloc(sizeof(*all));
    struct loop *loop = autoscaler_loop(live->autoscaler);

    all->live = live;
    all->listener = (struct autoscaler_listener){.arg = all, .changed = on_changed, .gone = on_gone};
    all->flush_timer = loop_timer_new(loop, on_flush, all);
    all->overview_timer = loop_timer_new(loop, on_overview, all);
    all->comment_timer = loop_timer_new(loop, on_comment, all);
    all->subjects = map_new();
    text_init(&all->gone, SERVER_STREAM_MAX_BYTES / 2);
    text_init(&all->object, SERVER_STREAM_MAX_BYTES / 2);
    text_init(&all->event, SERVER_STREAM_MAX_BYTES);
    return all;
}

void streams_free(struct streams *all)
{
    if (!all)
        return;
    while (all->first)
        drop_stream(all->first);
    loop_timer_free(all->flush_timer);
    loop_timer_free(all->overview_timer);
    loop_timer_free(all->comment_timer);
    map_free(all->subjects);
    text_done(&all->gone);
    text_done(&all->object);
    text_done(&all->event);
    free(all);
}

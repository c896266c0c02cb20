/*
 * reflector: a list that is kept up to date by a watch.
 *
 *          +---------------- 410, or what cannot be read ----------------+
 *          v                                                            |
 *     LISTING --page, page, ...--> WATCHING --ended, silent, lost--> WATCHING from the last resource version
 *          |                                          |
 *          +--- failed: pause, list again             +--- failed: pause, watch again
 *
 * Pauses grow from KUBE_BACKOFF_MIN_MS to KUBE_BACKOFF_MAX_MS, spread by half, and become short again only after a watch has held for
 * KUBE_STEADY_MS: a server that answers every watch with 410 gets a list every half a minute and no storm (failure-modes K2).
 * A watch that ended by itself, as it does every few minutes, or that was cut, goes on at once the first time. And whenever it has
 * brought something new: an API server with much to do ends the watches of those it cannot serve quickly enough, again and
 * again, and each pause would be added to what it is late already.
 *
 * Items of lists come one by one out of the stream (scan.c), each read into the one arena and forgotten. Callbacks may free the reflector:
 * while one runs `busy` stands, and the memory goes when it is back.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

enum { HTTP_GONE = 410, HTTP_TOO_MANY = 429, HTTP_SERVER_ERROR = 500, VERSION_BYTES = 64, RETURN_SPREAD_MS = 2000 };

enum watch_end { WATCH_GOES_ON, WATCH_AGAIN, WATCH_TOO_OLD, WATCH_NONSENSE };

struct reflector {
    struct kube *kube;
    struct reflector_options options;
    char *path, *label_selector, *field_selector;
    enum { LISTING, WATCHING } state;
    struct kube_ask *ask; /* or the timer runs */
    struct timer *timer;
    struct kube_scan scan;
    bool is_scanning, is_secret; /* is_secret: kube_path_is_secret */
    struct arena *arena;
    char version[VERSION_BYTES]; /* the newest of all items; "": none yet */
    char *continued;             /* the rest of the list, escaped; NULL: from the start */
    bool has_listed, has_begun, is_synced, in_trouble, has_skipped;
    bool has_advanced; /* this watch has brought a version that was not known */
    int64_t backoff_ms, watch_began_ms;
    unsigned failures; /* in a row */
    int pages;         /* of this list */
    enum watch_end end;
    struct error end_error;
    struct kube_listener listener;
    bool is_unanswered; /* it pauses because the API server is away */
    int busy;           /* callbacks under way */
    bool freed;
};

static void list(struct reflector *r);
static void watch(struct reflector *r);

/* ---- telling ---- */
static void free_now(struct reflector *r)
{
    if (r->is_scanning)
        kube_scan_done(&r->scan);
    arena_free(r->arena);
    loop_timer_free(r->timer);
    free(r->continued);
    free(r->path);
    free(r->label_selector);
    free(r->field_selector);
    free(r);
}

/* Around whatever calls back. False from leave(): it was freed meanwhile, and is gone. */
static void enter(struct reflector *r)
{
    r->busy++;
}

static bool leave(struct reflector *r)
{
    r->busy--;
    if (!r->freed)
        return true;
    if (r->busy == 0)
        free_now(r);
    return false;
}

/* Inside enter and leave. */
static void say_trouble(struct reflector *r, const struct error *err)
{
    if (r->freed || r->in_trouble == (err != NULL))
        return;
    r->in_trouble = err != NULL;
    if (r->options.trouble)
        r->options.trouble(r->options.arg, err);
}

/* ---- pauses ---- */
static void go_on(void *arg)
{
    struct reflector *r = arg;

    if (r->ask) { /* a watch after trouble, and it holds */
        enter(r);
        if (!r->has_skipped)
            say_trouble(r, NULL);
        leave(r);
    } else if (r->state == LISTING) {
        list(r);
    } else {
        watch(r);
    }
}

static void go_on_after(struct reflector *r, int64_t ms)
{
    loop_timer_set(r->timer, ms);
}

static int64_t next_pause(struct reflector *r)
{
    int64_t ms = r->backoff_ms;

    r->backoff_ms = 2 * ms < KUBE_BACKOFF_MAX_MS ? 2 * ms : KUBE_BACKOFF_MAX_MS;
    return kube_jitter(r->kube, ms);
}

static void forget_pages(struct reflector *r)
{
    free(r->continued);
    r->continued = NULL;
}

static void list_anew(struct reflector *r)
{
    forget_pages(r);
    r->state = LISTING;
    r->version[0] = 0;
}

/* A cut connection is no trouble yet: most are back at once. Everything else is said at once. */
static void failed(struct reflector *r, const struct error *err, const struct kube_reply *reply)
{
    int64_t ms = next_pause(r) + reply->retry_after_ms;

    r->is_unanswered = err == &reply->error && reply->status == 0 && err->kind == ERROR_UNREACHABLE;
    if (r->is_unanswered && ms > KUBE_AWAY_MS)
        ms = kube_jitter(r->kube, KUBE_AWAY_MS); /* nobody is there whom it could burden */
    r->failures++;
    if (!r->is_synced || r->failures > 1 || err->kind != ERROR_UNREACHABLE)
        say_trouble(r, err);
    if (!r->freed)
        go_on_after(r, ms);
}

/* ---- the query ---- */
static void add_query(struct text *out, const char *key, const char *value)
{
    if (!value || !value[0])
        return;
    text_add_char(out, strchr(out->bytes, '?') ? '&' : '?');
    text_add(out, key);
    text_add_char(out, '=');
    kube_escape(out, value);
}

static void begin_query(const struct reflector *r, struct text *out)
{
    text_init(out, KUBE_PATH_MAX_BYTES);
    text_add(out, r->path);
    add_query(out, "labelSelector", r->label_selector);
    add_query(out, "fieldSelector", r->field_selector);
}

/* ---- objects ---- */
static const char *version_of(const struct tree *object)
{
    return tree_string(tree_get(tree_get(object, "metadata"), "resourceVersion"));
}

static void keep_version(struct reflector *r, const char *version)
{
    if (!version || !version[0] || strlen(version) >= sizeof r->version || strcmp(version, r->version) == 0)
        return;
    snprintf(r->version, sizeof r->version, "%s", version);
    r->has_advanced = true;
}

static void say_item(struct reflector *r, const struct tree *object)
{
    if (!r->freed && r->options.item)
        r->options.item(r->options.arg, object);
}

static void say_gone(struct reflector *r, const struct tree *object)
{
    const struct tree *metadata = tree_get(object, "metadata");
    const char *ns = tree_string(tree_get(metadata, "namespace")), *name = tree_string(tree_get(metadata, "name"));

    if (name && !r->freed && r->options.gone)
        r->options.gone(r->options.arg, ns ? ns : "", name, object);
}

static bool nonsense(struct reflector *r, const char *what, const char *bytes, size_t length)
{
    char start[KUBE_SNIPPET_BYTES + 1];

    r->end = WATCH_NONSENSE;
    return error_set(&r->end_error, ERROR_NONSENSE, "%s%s: %s; it begins \"%s\"",
                     kube_config_url(kube_config_of(r->kube)), r->path, what,
                     kube_snippet(bytes, length, r->is_secret, start));
}

/* Of an object that cannot be read as a whole. NULL: not even that can. */
static const struct tree *read_metadata(struct reflector *r, const char *json, size_t length)
{
    size_t metadata_length = 0;
    const char *metadata = json ? kube_scan_member(json, length, "metadata", &metadata_length) : NULL;
    struct tree *object;
    struct text text;
    bool good;

    text_init(&text, KUBE_OBJECT_MAX_BYTES);
    text_add(&text, "{\"metadata\":");
    good = metadata && text_append(&text, metadata, metadata_length) && text_add_char(&text, '}');
    arena_reset(r->arena);
    good = good && tree_read_json(text.bytes, text.length, false, r->arena, &object, NULL) &&
           tree_string(tree_at(object, "metadata.name"));
    text_done(&text);
    return good ? object : NULL;
}

/* One object that is too deep or too large to be read must not keep all others away: it is passed over, and that is said. */
static void say_passed_over(struct reflector *r, const struct error *why, const struct tree *object)
{
    const char *ns = tree_string(tree_at(object, "metadata.namespace"));
    const char *name = tree_string(tree_at(object, "metadata.name"));
    struct error err;

    error_set(&err, ERROR_LIMIT, "%s%s: %s%s%s is passed over, and what was known of it stands: %s",
              kube_config_url(kube_config_of(r->kube)), r->path, ns ? ns : "", ns ? "/" : "", name ? name : "an object",
              why->text);
    r->has_skipped = true;
    say_trouble(r, &err);
}

static bool pass_over_item(struct reflector *r, const struct error *why, const char *json, size_t length)
{
    const struct tree *object = read_metadata(r, json, length);

    say_passed_over(r, why, object);
    if (!r->freed && r->options.kept)
        r->options.kept(r->options.arg, object);
    return !r->freed;
}

/* That it is gone can be told of any. */
static bool pass_over_event(struct reflector *r, const struct error *why, const char *json, size_t length)
{
    static const char deleted[] = "\"DELETED\"";
    size_t type_length = 0, object_length = 0;
    const char *type = kube_scan_member(json, length, "type", &type_length);
    const char *bytes = kube_scan_member(json, length, "object", &object_length);
    const struct tree *object = read_metadata(r, bytes, object_length);

    keep_version(r, version_of(object));
    if (object && type_length == strlen(deleted) && memcmp(type, deleted, type_length) == 0)
        say_gone(r, object);
    else
        say_passed_over(r, why, object);
    return !r->freed;
}

/* ---- a list ---- */
static bool on_listed(void *arg, const char *json, size_t length)
{
    struct reflector *r = arg;
    struct tree *object;
    struct error why;

    arena_reset(r->arena);
    if (!tree_read_json(json, length, false, r->arena, &object, &why))
        return why.kind == ERROR_LIMIT ? pass_over_item(r, &why, json, length) : nonsense(r, why.text, json, length);
    if (!tree_string(tree_at(object, "metadata.name")))
        return nonsense(r, "an item of the list has no metadata.name", json, length);
    say_item(r, object);
    if (r->is_secret)
        tree_wipe(object);
    return !r->freed;
}

static bool scan_words(struct reflector *r, enum kube_scan_end end, const char *bytes, size_t length)
{
    if (end == KUBE_SCAN_TOO_LONG)
        return nonsense(r, "an object is larger than 4 MiB (KUBE_OBJECT_MAX_BYTES)",
                        r->scan.piece.length ? r->scan.piece.bytes : bytes,
                        r->scan.piece.length ? r->scan.piece.length : length);
    if (end == KUBE_SCAN_NONSENSE)
        return nonsense(r, "the answer is not JSON", r->scan.envelope.length ? r->scan.envelope.bytes : bytes,
                        r->scan.envelope.length ? r->scan.envelope.length : length);
    return end == KUBE_SCAN_FINE;
}

static bool on_body(void *arg, const char *bytes, size_t length)
{
    struct reflector *r = arg;
    bool fine;

    enter(r);
    if (r->state == LISTING && !r->has_begun) {
        r->has_begun = true;
        if (r->options.begin)
            r->options.begin(r->options.arg);
    }
    fine = !r->freed && scan_words(r, kube_scan_feed(&r->scan, bytes, length), bytes, length);
    return leave(r) && fine;
}

static bool read_envelope(struct reflector *r)
{
    const struct text *envelope = kube_scan_envelope(&r->scan);
    const char *token;
    struct text escaped;
    struct tree *root;
    bool goes_round;

    if (!envelope)
        return nonsense(r, r->scan.is_nonsense ? "the answer is not JSON" : "the list was cut off",
                        r->scan.envelope.bytes, r->scan.envelope.length);
    arena_reset(r->arena);
    if (!tree_read_json(envelope->bytes, envelope->length, false, r->arena, &root, NULL) || !version_of(root))
        return nonsense(r, "the answer is no list: it has no metadata.resourceVersion", envelope->bytes,
                        envelope->length);
    keep_version(r, version_of(root));
    token = tree_string(tree_at(root, "metadata.continue"));
    text_init(&escaped, KUBE_PATH_MAX_BYTES);
    kube_escape(&escaped, token ? token : "");
    goes_round = (r->continued && strcmp(r->continued, escaped.bytes) == 0) || ++r->pages > KUBE_PAGES_MAX;
    forget_pages(r);
    if (escaped.length > 0)
        r->continued = text_take(&escaped);
    text_done(&escaped);
    return !goes_round || nonsense(r, "the list has no end (KUBE_PAGES_MAX)", envelope->bytes, envelope->length);
}

static void stop_scanning(struct reflector *r)
{
    if (r->is_scanning)
        kube_scan_done(&r->scan);
    r->is_scanning = false;
}

static void start_scanning(struct reflector *r, bool lines, bool (*item)(void *arg, const char *json, size_t length))
{
    stop_scanning(r);
    kube_scan_init(&r->scan, lines, item, r);
    r->scan.is_secret = r->is_secret;
    r->is_scanning = true;
    r->end = WATCH_GOES_ON;
    r->end_error = (struct error){0};
}

static void all_listed(struct reflector *r)
{
    r->has_listed = r->is_synced = true;
    r->state = WATCHING;
    r->has_begun = false;
    if (!r->has_skipped)
        say_trouble(r, NULL);
    if (!r->freed && r->options.synced)
        r->options.synced(r->options.arg);
    if (!r->freed)
        watch(r);
}

static void list_ended(struct reflector *r, const struct kube_reply *reply)
{
    bool fine = reply->error.kind == ERROR_NONE && r->end == WATCH_GOES_ON && read_envelope(r);

    stop_scanning(r);
    if (fine && r->continued) {
        list(r);
        return;
    }
    if (fine) {
        all_listed(r);
        return;
    }
    list_anew(r);
    if (reply->status == HTTP_GONE) /* the rest of the list is no longer there */
        r->has_listed = true;
    failed(r, r->end == WATCH_NONSENSE ? &r->end_error : &reply->error, reply);
}

static void on_list(void *arg, const struct kube_reply *reply)
{
    struct reflector *r = arg;

    r->ask = NULL;
    enter(r);
    list_ended(r, reply);
    leave(r);
}

/* From the server's cache the first time, which may be a moment behind; later as it is now, for what was told must not go back. */
static void list(struct reflector *r)
{
    struct text path;
    struct kube_stream stream = {.on_body = on_body, .silence_ms = KUBE_LIST_TIMEOUT_MS};
    struct kube_request request = {.method = "GET", .priority = KUBE_READ, .timeout_ms = KUBE_LIST_TIMEOUT_MS};

    begin_query(r, &path);
    text_printf(&path, "%climit=%d", strchr(path.bytes, '?') ? '&' : '?', KUBE_PAGE);
    if (r->continued)
        text_printf(&path, "&continue=%s", r->continued);
    else if (!r->has_listed && !r->options.exact)
        text_add(&path, "&resourceVersion=0");
    if (!r->continued) {
        r->has_begun = r->has_skipped = false;
        r->pages = 0;
    }
    start_scanning(r, false, on_listed);
    request.path = path.bytes;
    kube_count_list(r->kube);
    r->ask = kube_ask_stream(r->kube, &request, &stream, on_list, r);
    text_done(&path);
}

/* ---- a watch ---- */
static bool end_watch(struct reflector *r, enum watch_end end, enum error_kind kind, const char *words)
{
    r->end = end;
    error_set(&r->end_error, kind, "%s%s: the watch ended: %s", kube_config_url(kube_config_of(r->kube)), r->path,
              words);
    return false;
}

/* A Status in place of an object. */
static bool on_error_event(struct reflector *r, const struct tree *status)
{
    const char *message = tree_string(tree_get(status, "message")), *reason = tree_string(tree_get(status, "reason"));
    int64_t code = 0;

    if (!message)
        message = "the API server does not say why";
    tree_integer(tree_get(status, "code"), &code);
    if (code == HTTP_GONE || string_equal(reason, "Expired") || string_equal(reason, "Gone"))
        return end_watch(r, WATCH_TOO_OLD, ERROR_UNREACHABLE, message);
    if (code == HTTP_TOO_MANY || code > HTTP_SERVER_ERROR)
        return end_watch(r, WATCH_AGAIN, ERROR_UNREACHABLE, message);
    return end_watch(r, WATCH_NONSENSE, ERROR_UNREACHABLE, message);
}

static bool take_event(struct reflector *r, const struct tree *event, const char *json, size_t length)
{
    const char *type = tree_string(tree_get(event, "type"));
    const struct tree *object = tree_get(event, "object");

    if (string_equal(type, "ERROR"))
        return on_error_event(r, object);
    if (!type || !version_of(object))
        return nonsense(r, "an event has no type or no resourceVersion", json, length);
    keep_version(r, version_of(object));
    if (string_equal(type, "ADDED") || string_equal(type, "MODIFIED"))
        say_item(r, object);
    else if (string_equal(type, "DELETED"))
        say_gone(r, object);
    else if (!string_equal(type, "BOOKMARK"))
        return nonsense(r, "an event of an unknown type", json, length);
    return !r->freed;
}

static bool on_event(void *arg, const char *json, size_t length)
{
    struct reflector *r = arg;
    struct tree *event;
    struct error why;
    bool goes_on;

    arena_reset(r->arena);
    if (!tree_read_json(json, length, false, r->arena, &event, &why))
        return why.kind == ERROR_LIMIT ? pass_over_event(r, &why, json, length) : nonsense(r, why.text, json, length);
    goes_on = take_event(r, event, json, length);
    if (r->is_secret)
        tree_wipe(event);
    return goes_on;
}

static bool has_held(const struct reflector *r)
{
    return loop_ticks_ms(kube_loop(r->kube)) - r->watch_began_ms >= KUBE_STEADY_MS;
}

static void watch_ended(struct reflector *r, const struct kube_reply *reply)
{
    bool is_answer = reply->status / 100 == 2; /* it was a watch: it ran out, was cut, or we ended it */

    if (has_held(r)) {
        r->backoff_ms = KUBE_BACKOFF_MIN_MS;
        r->failures = 0;
    }
    if (r->end == WATCH_GOES_ON && reply->error.kind == ERROR_NONE)
        kube_scan_finish(&r->scan); /* may set the end */
    stop_scanning(r);
    if (r->freed)
        return;
    if (r->end == WATCH_TOO_OLD || r->end == WATCH_NONSENSE || reply->status == HTTP_GONE) {
        list_anew(r);
        failed(r, r->end == WATCH_GOES_ON ? &reply->error : &r->end_error, reply);
    } else if (r->end == WATCH_AGAIN) {
        failed(r, &r->end_error, reply);
    } else if (is_answer && reply->error.kind == ERROR_NONE && has_held(r)) {
        watch(r);
    } else if (is_answer && reply->error.kind == ERROR_NONE && r->has_advanced) {
        go_on_after(r, kube_jitter(r->kube, KUBE_PAUSE_MIN_MS));
    } else if (reply->error.kind == ERROR_NONE) {
        go_on_after(r, next_pause(r)); /* short, but nothing is wrong */
    } else {
        failed(r, &reply->error, reply);
    }
}

static void on_watch(void *arg, const struct kube_reply *reply)
{
    struct reflector *r = arg;

    r->ask = NULL;
    enter(r);
    watch_ended(r, reply);
    leave(r);
}

static void watch(struct reflector *r)
{
    struct text path;
    struct kube_stream stream = {.on_body = on_body, .silence_ms = KUBE_WATCH_SILENCE_MS, .endless = true};
    struct kube_request request = {.method = "GET", .priority = KUBE_READ};

    begin_query(r, &path);
    text_printf(&path, "%cwatch=1&allowWatchBookmarks=true&timeoutSeconds=%d", strchr(path.bytes, '?') ? '&' : '?',
                KUBE_WATCH_MIN_S + (int)(kube_random(r->kube) % KUBE_WATCH_SPREAD_S));
    add_query(&path, "resourceVersion", r->version);
    start_scanning(r, true, on_event);
    r->has_advanced = false;
    request.path = path.bytes;
    r->watch_began_ms = loop_ticks_ms(kube_loop(r->kube));
    kube_count_watch(r->kube);
    r->ask = kube_ask_stream(r->kube, &request, &stream, on_watch, r);
    if (r->in_trouble)
        go_on_after(r, KUBE_TIMEOUT_MS + 1); /* by then its head is there, or it has failed */
    text_done(&path);
}

/* ---- the reflector ---- */
static void on_return(void *arg)
{
    struct reflector *r = arg;

    if (r->is_unanswered && !r->ask)
        go_on_after(r, (int64_t)(kube_random(r->kube) % RETURN_SPREAD_MS));
}

struct reflector *reflector_new(struct kube *kube, const struct reflector_options *options)
{
    struct reflector *r = mem_alloc(sizeof *r);

    r->kube = kube;
    r->options = *options;
    r->path = mem_copy(options->path);
    r->is_secret = kube_path_is_secret(r->path);
    r->label_selector = options->label_selector ? mem_copy(options->label_selector) : NULL;
    r->field_selector = options->field_selector ? mem_copy(options->field_selector) : NULL;
    r->arena = arena_new(ARENA_USUAL);
    r->backoff_ms = KUBE_BACKOFF_MIN_MS;
    r->timer = loop_timer_new(kube_loop(kube), go_on, r);
    r->listener = (struct kube_listener){.returned = on_return, .arg = r};
    kube_listen(kube, &r->listener);
    list(r);
    return r;
}

void reflector_free(struct reflector *reflector)
{
    if (!reflector)
        return;
    assert(!reflector->freed);
    if (reflector->ask)
        kube_cancel(reflector->ask);
    reflector->ask = NULL;
    kube_unlisten(reflector->kube, &reflector->listener);
    loop_timer_stop(reflector->timer);
    if (reflector->busy > 0)
        reflector->freed = true;
    else
        free_now(reflector);
}

bool reflector_is_synced(const struct reflector *reflector)
{
    return reflector->is_synced;
}

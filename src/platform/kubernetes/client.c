/*
 * client: requests to a Kubernetes API server.
 *
 *     kube_ask --> waiting (writes, reads) --place free, login there--> out --answer--> done
 *                       ^                                               |
 *                       \--------- pausing <-- 429, 503, lost, 401 -----/
 *
 * An ask is in exactly one of these places; the one function that lets it go is finish(). A 429 keeps all reads back for as long as
 * the server says, not only the one that got it: whatever goes out meanwhile would only be sent away as well (failure-modes K2).
 *
 * A fenced write goes out once, while the fence is ahead, and its deadline ends before the fence does. When the fence falls, those
 * under way are cut off. One that was cut off or timed out may have reached the server all the same: until kube_fence_doubt_ms() nobody
 * may be told that this Weir writes no more (shards.c). What protects against a network that delivers such a write much later is
 * the resourceVersion in the write itself, which is for its writer to put there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

enum {
    HEADERS_MAX = 40, /* ours and those of an impersonation, which config.c bounds */
    HTTP_UNAUTHORIZED = 401,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
    HTTP_CONFLICT = 409,
    HTTP_GONE = 410,
    HTTP_TOO_MANY = 429,
    HTTP_UNAVAILABLE = 503,
    HTTP_SERVER_ERROR = 500,
};

enum ask_place { ASK_WAITING, ASK_PAUSING, ASK_OUT, ASK_FAILING };

struct kube_ask {
    struct kube *kube;
    struct kube_ask *previous, *next; /* in the list of its place */
    enum ask_place place;
    enum kube_priority priority;
    char *method, *path, *content_type, *body; /* the last is the block's end: all are one allocation */
    size_t body_length;
    int64_t timeout_ms;
    int64_t deadline_ms;                         /* ticks; 0: it has not gone out yet */
    int64_t out_until_ms;                        /* of the attempt that is out */
    bool fenced, no_retry, reasked_login, heard; /* heard: some of the answer was handed over */
    bool is_secret;                              /* kube_path_is_secret */
    struct kube_stream stream;
    struct http_header header; /* of the one who asks; name NULL: none */
    int attempts;
    uint64_t number, login_generation;
    struct exchange *exchange;
    struct timer *timer;
    struct error error; /* of one that is failing */
    kube_done *done;
    void *arg;
    char block[];
};

struct ask_list {
    struct kube_ask *first, *last;
    uint32_t count;
};

struct kube {
    struct loop *loop;
    struct transport *transport;
    struct kube_config *config;
    struct ask_list waiting[2]; /* by priority */
    struct ask_list pausing, out, endless, failing;
    int64_t fence_ms, fence_doubt_ms;
    bool is_fence_held;
    int64_t quiet_until_ms; /* reads are kept back until then */
    struct timer *quiet;
    struct kube_stats stats;
    uint64_t random, last_number;
    bool is_away; /* the last request got no answer */
    struct kube_listener *listeners;
    struct kube_discovery *discovery;
};

static void pump(struct kube *kube);

/* ---- lists ---- */
static struct ask_list *list_of(struct kube_ask *ask)
{
    struct kube *kube = ask->kube;

    switch (ask->place) {
    case ASK_WAITING:
        return &kube->waiting[ask->priority];
    case ASK_PAUSING:
        return &kube->pausing;
    case ASK_FAILING:
        return &kube->failing;
    case ASK_OUT:
        break;
    }
    return ask->stream.endless ? &kube->endless : &kube->out;
}

static void enter(struct kube_ask *ask, enum ask_place place)
{
    struct ask_list *list;

    ask->place = place;
    list = list_of(ask);
    ask->previous = list->last;
    ask->next = NULL;
    if (list->last)
        list->last->next = ask;
    else
        list->first = ask;
    list->last = ask;
    list->count++;
}

static void leave(struct kube_ask *ask)
{
    struct ask_list *list = list_of(ask);

    if (ask->previous)
        ask->previous->next = ask->next;
    else
        list->first = ask->next;
    if (ask->next)
        ask->next->previous = ask->previous;
    else
        list->last = ask->previous;
    ask->previous = ask->next = NULL;
    list->count--;
}

/* ---- chance ---- */
uint64_t kube_random(struct kube *kube)
{
    uint64_t z = kube->random += UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 */

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t kube_jitter(struct kube *kube, int64_t ms)
{
    return ms <= 0 ? 0 : ms / 2 + (int64_t)(kube_random(kube) % (uint64_t)(ms + 1));
}

static int64_t ticks(const struct kube *kube)
{
    return loop_ticks_ms(kube->loop);
}

/* ---- the end of an ask ---- */
static void free_ask(struct kube_ask *ask)
{
    if (ask->is_secret)
        explicit_bzero(ask->body, ask->body_length);
    loop_timer_free(ask->timer);
    free(ask);
}

/* A fenced write whose end nobody heard may land a little later. */
static void note_doubt(struct kube_ask *ask)
{
    int64_t until_ms = ticks(ask->kube) + LEASE_MARGIN_MS;

    if (ask->fenced && until_ms > ask->kube->fence_doubt_ms)
        ask->kube->fence_doubt_ms = until_ms;
}

static void count_end(struct kube *kube, const struct kube_reply *reply)
{
    kube->stats.conflicts += reply->conflict;
    if (reply->error.kind != ERROR_NONE && reply->error.kind != ERROR_MISSING && !reply->conflict)
        kube->stats.failures++;
}

/* Its place goes to the next one before the callback, which may do anything. */
static void finish(struct kube_ask *ask, const struct kube_reply *reply)
{
    struct kube *kube = ask->kube;

    leave(ask);
    count_end(kube, reply);
    pump(kube);
    ask->done(ask->arg, reply);
    free_ask(ask);
}

static void fail_now(void *arg)
{
    struct kube_ask *ask = arg;
    struct kube_reply reply = {.error = ask->error, .reason = ""};

    finish(ask, &reply);
}

/* In a turn of its own: nothing completes inside the call that asked. */
static void fail_soon(struct kube_ask *ask, const struct error *err)
{
    leave(ask);
    enter(ask, ASK_FAILING);
    ask->error = *err;
    loop_timer_free(ask->timer);
    ask->timer = loop_timer_new(ask->kube->loop, fail_now, ask);
    loop_timer_set(ask->timer, 0);
}

static void place_error(struct error *err, const struct kube_ask *ask)
{
    error_add_place(err, "%s %.*s", ask->method, (int)strcspn(ask->path, "?"), ask->path);
}

static void fail_soon_with(struct kube_ask *ask, enum error_kind kind, const char *text)
{
    struct error err;

    error_set(&err, kind, "%s", text);
    place_error(&err, ask);
    fail_soon(ask, &err);
}

/* ---- what the server said ---- */
/* RBAC's refusals name what may not be done; a 403 of an admission plugin or of a namespace that ends does not. */
static bool is_of_rbac(const char *message)
{
    return !message || (strstr(message, " cannot ") && strstr(message, " resource "));
}

/* The rule comes first: it must survive a long message. */
static void say_refused(struct error *err, const struct kube_ask *ask, const char *message, struct arena *arena)
{
    struct kube_place place;

    if (!kube_path_read(ask->path, arena, &place) || !is_of_rbac(message)) {
        error_set(err, ERROR_DENIED, "the API server refuses it (403): %s", message ? message : "it does not say why");
        return;
    }
    error_set(err, ERROR_DENIED,
              "refused; add to %s%s the rule {apiGroups: [\"%s\"], resources: [\"%s%s%s\"], verbs: [\"%s\"]} (the API "
              "server: %s)",
              place.ns[0] ? "a Role in namespace " : "a ClusterRole", place.ns, place.group, place.resource,
              place.subresource[0] ? "/" : "", place.subresource, kube_verb(ask->method, ask->path, &place),
              message ? message : "403");
}

static enum error_kind kind_of(int status)
{
    switch (status) {
    case HTTP_UNAUTHORIZED:
    case HTTP_FORBIDDEN:
        return ERROR_DENIED;
    case HTTP_NOT_FOUND:
        return ERROR_MISSING;
    case HTTP_GONE:
    case HTTP_TOO_MANY:
        return ERROR_UNREACHABLE;
    default:
        break;
    }
    return status >= HTTP_SERVER_ERROR ? ERROR_UNREACHABLE : status >= 400 ? ERROR_INVALID : ERROR_NONSENSE;
}

const char *kube_snippet(const char *bytes, size_t length, bool is_secret, char out[KUBE_SNIPPET_BYTES + 1])
{
    size_t count = length < KUBE_SNIPPET_BYTES ? length : KUBE_SNIPPET_BYTES;

    if (is_secret)
        return "(not shown: it may hold a credential)";
    for (size_t i = 0; i < count; i++)
        out[i] = bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : ' ';
    out[count] = 0;
    return out;
}

static void say_status(struct error *err, const struct kube_ask *ask, const struct http_reply *http,
                       const struct tree *body, struct arena *arena)
{
    const char *message = tree_string(tree_get(body, "message"));
    char start[KUBE_SNIPPET_BYTES + 1];

    if (http->status == HTTP_FORBIDDEN) {
        say_refused(err, ask, message, arena);
    } else if (http->status == HTTP_UNAUTHORIZED) {
        error_set(err, ERROR_DENIED,
                  "the API server does not take our credentials (401); renew the token or certificate of %s",
                  kube_config_server(ask->kube->config));
    } else if (message) {
        error_set(err, kind_of(http->status), "%s (%d)", message, http->status);
    } else {
        error_set(err, kind_of(http->status), "%s answers with status %d%s: \"%s\"",
                  kube_config_server(ask->kube->config), http->status,
                  http->status >= 300 && http->status < 400
                      ? ", a redirect, which is not followed; name the API server itself"
                      : "",
                  kube_snippet(http->body, http->body_length, ask->is_secret, start));
    }
}

static const struct tree *read_body(struct error *err, const struct kube_ask *ask, const struct http_reply *http,
                                    struct arena *arena)
{
    struct tree *body = NULL;
    struct error why;
    char start[KUBE_SNIPPET_BYTES + 1];

    if (http->body_length == 0)
        return NULL;
    if (tree_read_json(http->body, http->body_length, false, arena, &body, &why))
        return body;
    error_set(err, why.kind, "the answer cannot be read: %s; it begins \"%s\"", why.text,
              kube_snippet(http->body, http->body_length, ask->is_secret, start));
    return NULL;
}

static void read_reply(struct kube_ask *ask, const struct http_reply *http, struct arena *arena,
                       struct kube_reply *reply)
{
    *reply = (struct kube_reply){.status = http->status, .reason = ""};
    if (http->failed) {
        reply->status = 0;
        reply->error = http->error;
        error_add_place(&reply->error, "%s %.*s", ask->method, (int)strcspn(ask->path, "?"), ask->path);
        return;
    }
    reply->body = read_body(&reply->error, ask, http, arena);
    if (http->status / 100 != 2) {
        const char *reason = tree_string(tree_get(reply->body, "reason"));

        reply->reason = reason ? reason : "";
        reply->conflict = http->status == HTTP_CONFLICT;
        say_status(&reply->error, ask, http, reply->body, arena);
    }
    if (reply->error.kind != ERROR_NONE)
        place_error(&reply->error, ask);
}

/* ---- asking again ---- */
static int64_t retry_after_ms(const struct http_reply *http)
{
    const char *header = http->failed ? NULL : http_reply_header(http, "retry-after");
    char *end;
    long seconds = header ? strtol(header, &end, 10) : 0;

    if (!header || end == header || seconds < 0)
        return 0;
    return seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : seconds * 1000;
}

static bool may_ask_again(const struct kube_ask *ask, const struct http_reply *http)
{
    bool reads = strcmp(ask->method, "GET") == 0;

    if (ask->fenced || ask->no_retry || ask->stream.endless || ask->heard)
        return false;
    if (http->failed)
        return reads && http->error.kind == ERROR_UNREACHABLE;
    if (http->status == HTTP_TOO_MANY)
        return true;
    if (http->status == HTTP_UNAVAILABLE)
        return reads || retry_after_ms(http) > 0;
    return reads && http->status >= HTTP_SERVER_ERROR;
}

static int64_t pause_ms(const struct kube_ask *ask, const struct http_reply *http)
{
    int64_t least_ms = retry_after_ms(http), ms = KUBE_PAUSE_MIN_MS;

    for (int i = 1; i < ask->attempts && ms < KUBE_PAUSE_MAX_MS; i++)
        ms *= 2;
    ms = kube_jitter(ask->kube, ms < KUBE_PAUSE_MAX_MS ? ms : KUBE_PAUSE_MAX_MS);
    return least_ms + ms;
}

static void waited_too_long(void *arg)
{
    struct kube_ask *ask = arg;
    struct error err;

    error_set(&err, ERROR_LIMIT,
              "its time was over while it waited for its turn; %u requests are under way (KUBE_ASKS_MAX)",
              ask->kube->out.count);
    place_error(&err, ask);
    ask->error = err;
    fail_now(ask);
}

static void pause_over(void *arg)
{
    struct kube_ask *ask = arg;
    struct kube *kube = ask->kube;

    leave(ask);
    enter(ask, ASK_WAITING);
    loop_timer_free(ask->timer);
    ask->timer = loop_timer_new(kube->loop, waited_too_long, ask);
    loop_timer_set(ask->timer, ask->deadline_ms > ticks(kube) ? ask->deadline_ms - ticks(kube) : 0);
    pump(kube);
}

static void pause_for(struct kube_ask *ask, int64_t ms)
{
    struct kube *kube = ask->kube;

    kube->stats.retries++;
    leave(ask);
    enter(ask, ASK_PAUSING);
    loop_timer_free(ask->timer);
    ask->timer = loop_timer_new(kube->loop, pause_over, ask);
    loop_timer_set(ask->timer, ms);
    pump(kube);
}

static void quiet_over(void *arg)
{
    pump(arg);
}

static void keep_quiet(struct kube *kube, int64_t ms)
{
    int64_t until_ms = ticks(kube) + ms;

    if (until_ms <= kube->quiet_until_ms)
        return;
    kube->quiet_until_ms = until_ms;
    loop_timer_set(kube->quiet, ms);
}

/* ---- an answer ---- */
/* 401: what was given may have run out. Once for each ask: the file, or the plugin, may have something newer. */
static bool ask_with_new_login(struct kube_ask *ask, const struct http_reply *http)
{
    if (http->failed || http->status != HTTP_UNAUTHORIZED)
        return false;
    if (!kube_config_refused(ask->kube->config, ask->login_generation) || ask->reasked_login || ask->fenced)
        return false;
    ask->reasked_login = true;
    pause_for(ask, 0);
    return true;
}

static void note_presence(struct kube *kube, const struct http_reply *http)
{
    bool is_back = kube->is_away && !http->failed;

    if (http->failed && http->error.kind == ERROR_UNREACHABLE)
        kube->is_away = true;
    if (!is_back)
        return;
    kube->is_away = false;
    for (struct kube_listener *l = kube->listeners; l; l = l->next)
        l->returned(l->arg);
}

static void on_answer(void *arg, const struct http_reply *http)
{
    struct kube_ask *ask = arg;
    struct kube *kube = ask->kube;
    int64_t wait_ms;
    struct arena *arena;
    struct kube_reply reply;
    bool is_secret = ask->is_secret;

    ask->exchange = NULL;
    note_presence(kube, http);
    if (http->failed || http->status >= HTTP_SERVER_ERROR)
        note_doubt(ask);
    if (!http->failed && http->status == HTTP_TOO_MANY) {
        kube->stats.throttled++;
        keep_quiet(kube, retry_after_ms(http));
    }
    if (ask_with_new_login(ask, http))
        return;
    wait_ms = pause_ms(ask, http);
    if (may_ask_again(ask, http) && ticks(kube) + wait_ms < ask->deadline_ms) {
        pause_for(ask, wait_ms);
        return;
    }
    arena = arena_new(ARENA_USUAL);
    read_reply(ask, http, arena, &reply);
    reply.retry_after_ms = retry_after_ms(http);
    finish(ask, &reply);
    if (is_secret)
        tree_wipe(reply.body);
    arena_free(arena);
}

/* The ask may be gone afterwards: its reader may cancel. */
static bool on_bytes(void *arg, const char *bytes, size_t length)
{
    struct kube_ask *ask = arg;

    ask->heard = true;
    return ask->stream.on_body(ask->arg, bytes, length);
}

/* ---- going out ---- */
static size_t add_headers(const struct kube_ask *ask, const struct kube_login *login, struct http_header *headers)
{
    size_t count = 0;

    headers[count++] = (struct http_header){.name = "Accept", .value = "application/json"};
    if (ask->body_length > 0)
        headers[count++] = (struct http_header){.name = "Content-Type", .value = ask->content_type};
    if (login->token)
        headers[count++] = (struct http_header){.name = "Authorization", .value = "Bearer ", .secret = login->token};
    for (size_t i = 0; i < login->header_count && count < HEADERS_MAX; i++)
        headers[count++] = login->headers[i];
    if (ask->header.name && count < HEADERS_MAX)
        headers[count++] = ask->header;
    return count;
}

static void send(struct kube_ask *ask, const struct kube_login *login, int64_t timeout_ms)
{
    struct kube *kube = ask->kube;
    struct http_header headers[HEADERS_MAX];
    struct http_request request = {.method = ask->method,
                                   .headers = headers,
                                   .tls = login->tls,
                                   .timeout_ms = timeout_ms,
                                   .body = ask->body_length > 0 ? ask->body : NULL,
                                   .body_length = ask->body_length,
                                   .body_max_bytes = KUBE_BODY_MAX_BYTES,
                                   .body_bound = "KUBE_BODY_MAX_BYTES",
                                   .no_redirects = true,
                                   .uncounted = true,
                                   .trusted = true,
                                   .proxy = kube_config_proxy(kube->config),
                                   .secret = ask->is_secret};
    struct text url;

    text_init(&url, 2 * KUBE_PATH_MAX_BYTES);
    text_add(&url, kube_config_url(kube->config));
    text_add(&url, ask->path);
    request.url = url.bytes;
    request.header_count = add_headers(ask, login, headers);
    if (ask->stream.on_body) {
        request.on_body = on_bytes;
        request.idle_timeout_ms = ask->stream.silence_ms;
    }
    ask->attempts++;
    ask->login_generation = login->generation;
    kube->stats.requests++;
    ask->exchange = transport_http(kube->transport, &request, on_answer, ask);
    text_done(&url);
}

/* False: it may not go out any more, and fails soon. */
static bool time_left(struct kube_ask *ask, int64_t *left_ms)
{
    struct kube *kube = ask->kube;
    int64_t now_ms = ticks(kube);

    if (ask->deadline_ms == 0)
        ask->deadline_ms = now_ms + ask->timeout_ms;
    *left_ms = ask->deadline_ms - now_ms;
    if (ask->fenced && !kube_may_write(kube)) {
        fail_soon_with(ask, ERROR_DENIED, "not written: this Weir is not the one who writes any more");
        return false;
    }
    if (ask->fenced && kube->fence_ms != INT64_MAX && kube->fence_ms - now_ms < *left_ms)
        *left_ms = kube->fence_ms - now_ms;
    if (*left_ms > 0)
        return true;
    fail_soon_with(ask, ERROR_UNREACHABLE, "the API server did not answer in time");
    return false;
}

static struct kube_ask *next_waiting(struct kube *kube)
{
    struct kube_ask *write = kube->waiting[KUBE_WRITE].first;

    if (write || ticks(kube) < kube->quiet_until_ms)
        return write;
    return kube->waiting[KUBE_READ].first;
}

static void pump(struct kube *kube)
{
    struct kube_login login;
    struct kube_ask *ask;
    struct error err;

    while (kube->out.count < KUBE_ASKS_MAX && (ask = next_waiting(kube))) {
        enum kube_login_state state = kube_config_login(kube->config, &login, &err);
        int64_t left_ms;

        if (state == KUBE_LOGIN_WAIT)
            return; /* on_login comes back here */
        if (state == KUBE_LOGIN_FAILED) {
            place_error(&err, ask);
            fail_soon(ask, &err);
            continue;
        }
        if (!time_left(ask, &left_ms))
            continue;
        loop_timer_free(ask->timer);
        ask->timer = NULL;
        leave(ask);
        enter(ask, ASK_OUT);
        send(ask, &login, left_ms);
    }
}

static void on_login(void *arg)
{
    pump(arg);
}

/* ---- asking ---- */
static char *put(char **place, const char *bytes, size_t length)
{
    char *copy = *place;

    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = 0;
    *place += length + 1;
    return copy;
}

static struct kube_ask *new_ask(struct kube *kube, const struct kube_request *request)
{
    const char *type = request->content_type ? request->content_type : "application/json";
    size_t method = strlen(request->method), path = strlen(request->path), content = strlen(type);
    struct kube_ask *ask = mem_alloc(sizeof *ask + method + path + content + request->body_length + 4);
    char *place = ask->block;

    ask->kube = kube;
    ask->method = put(&place, request->method, method);
    ask->path = put(&place, request->path, path);
    ask->content_type = put(&place, type, content);
    ask->body = put(&place, request->body, request->body_length);
    ask->body_length = request->body_length;
    ask->priority = request->priority == KUBE_READ ? KUBE_READ : KUBE_WRITE;
    ask->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : KUBE_TIMEOUT_MS;
    ask->is_secret = kube_path_is_secret(ask->path);
    ask->fenced = request->fenced;
    ask->no_retry = request->no_retry;
    if (request->header_secret)
        ask->header = (struct http_header){.name = request->header_name, .secret = request->header_secret};
    ask->number = ++kube->last_number;
    return ask;
}

static const char *why_not(const struct kube *kube, const struct kube_request *request)
{
    if (request->fenced && !kube_may_write(kube))
        return "not written: this Weir is not the one who writes";
    if (strlen(request->path) > KUBE_PATH_MAX_BYTES)
        return "the path is too long (KUBE_PATH_MAX_BYTES)";
    if (kube->waiting[KUBE_READ].count + kube->waiting[KUBE_WRITE].count >= KUBE_QUEUE_MAX)
        return "too many requests wait already (KUBE_QUEUE_MAX)";
    return NULL;
}

struct kube_ask *kube_ask_stream(struct kube *kube, const struct kube_request *request,
                                 const struct kube_stream *stream, kube_done *done, void *arg)
{
    struct kube_ask *ask = new_ask(kube, request);
    const char *refusal = why_not(kube, request);

    ask->done = done;
    ask->arg = arg;
    if (stream)
        ask->stream = *stream;
    enter(ask, ASK_WAITING);
    if (refusal) {
        fail_soon_with(ask, request->fenced && !kube_may_write(kube) ? ERROR_DENIED : ERROR_LIMIT, refusal);
        return ask;
    }
    ask->timer = loop_timer_new(kube->loop, waited_too_long, ask);
    loop_timer_set(ask->timer, KUBE_QUEUE_WAIT_MS);
    pump(kube);
    return ask;
}

struct kube_ask *kube_ask(struct kube *kube, const struct kube_request *request, kube_done *done, void *arg)
{
    return kube_ask_stream(kube, request, NULL, done, arg);
}

static void take_back(struct kube_ask *ask)
{
    if (!ask->exchange)
        return;
    transport_http_cancel(ask->kube->transport, ask->exchange);
    ask->exchange = NULL;
    note_doubt(ask);
}

void kube_cancel(struct kube_ask *ask)
{
    struct kube *kube = ask->kube;

    take_back(ask);
    leave(ask);
    free_ask(ask);
    pump(kube);
}

/* ---- fencing ---- */
bool kube_may_write(const struct kube *kube)
{
    return !kube->is_fence_held && ticks(kube) < kube->fence_ms;
}

void kube_hold_fence(struct kube *kube)
{
    kube->is_fence_held = true;
    pump(kube); /* those that wait are refused */
}

static void cut_off(struct kube *kube)
{
    for (struct kube_ask *ask = kube->out.first, *next; ask; ask = next) {
        next = ask->next;
        if (!ask->fenced)
            continue;
        take_back(ask);
        fail_soon_with(ask, ERROR_DENIED, "cut off: this Weir is not the one who writes any more");
    }
    pump(kube);
}

void kube_set_fence(struct kube *kube, int64_t until_ticks_ms)
{
    kube->fence_ms = until_ticks_ms;
    kube->is_fence_held = false;
    if (!kube_may_write(kube))
        cut_off(kube);
}

static uint64_t oldest_in(const struct ask_list *list, uint64_t oldest)
{
    for (const struct kube_ask *ask = list->first; ask; ask = ask->next)
        if (ask->fenced && ask->number < oldest)
            oldest = ask->number;
    return oldest;
}

/* Those that pause are never fenced; those that fail were taken back. */
uint64_t kube_fence_oldest(const struct kube *kube)
{
    return oldest_in(&kube->out,
                     oldest_in(&kube->waiting[KUBE_WRITE], oldest_in(&kube->waiting[KUBE_READ], UINT64_MAX)));
}

uint64_t kube_fence_number(const struct kube *kube)
{
    return kube->last_number + 1;
}

int64_t kube_fence_doubt_ms(const struct kube *kube)
{
    return kube->fence_doubt_ms;
}

/* ---- the client ---- */
struct kube *kube_new(struct loop *loop, struct transport *transport, struct kube_config *config)
{
    struct kube *kube = mem_alloc(sizeof *kube);

    kube->loop = loop;
    kube->transport = transport;
    kube->config = config;
    if (getrandom(&kube->random, sizeof kube->random, GRND_NONBLOCK) != sizeof kube->random)
        kube->random = (uint64_t)loop_now_ms(loop) ^ (uint64_t)(uintptr_t)kube;
    kube->quiet = loop_timer_new(loop, quiet_over, kube);
    kube_config_attach(config, loop, transport, on_login, kube);
    return kube;
}

static void drop_all(struct ask_list *list)
{
    while (list->first) {
        struct kube_ask *ask = list->first;

        take_back(ask);
        leave(ask);
        free_ask(ask);
    }
}

void kube_free(struct kube *kube)
{
    if (!kube)
        return;
    kube_discovery_free(kube->discovery);
    drop_all(&kube->waiting[KUBE_WRITE]);
    drop_all(&kube->waiting[KUBE_READ]);
    drop_all(&kube->pausing);
    drop_all(&kube->failing);
    drop_all(&kube->out);
    drop_all(&kube->endless);
    loop_timer_free(kube->quiet);
    kube_config_free(kube->config);
    free(kube);
}

struct loop *kube_loop(const struct kube *kube)
{
    return kube->loop;
}

const struct kube_config *kube_config_of(const struct kube *kube)
{
    return kube->config;
}

void kube_listen(struct kube *kube, struct kube_listener *listener)
{
    listener->next = kube->listeners;
    if (kube->listeners)
        kube->listeners->previous = listener;
    kube->listeners = listener;
}

void kube_unlisten(struct kube *kube, struct kube_listener *listener)
{
    if (listener->previous)
        listener->previous->next = listener->next;
    else
        kube->listeners = listener->next;
    if (listener->next)
        listener->next->previous = listener->previous;
}

struct kube_discovery **kube_discovery_place(struct kube *kube)
{
    return &kube->discovery;
}

void kube_count_list(struct kube *kube)
{
    kube->stats.lists++;
}

void kube_count_watch(struct kube *kube)
{
    kube->stats.watches++;
}

void kube_stats(const struct kube *kube, struct kube_stats *out)
{
    *out = kube->stats;
    out->asks_now = kube->out.count;
    out->waiting_now = kube->waiting[KUBE_READ].count + kube->waiting[KUBE_WRITE].count + kube->pausing.count;
}

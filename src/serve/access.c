/*
 * access: who asks, and may they. Both are asked of the API server, as its own aggregated servers do
 * (keda-operator/06 1.4), and what it said holds for ACCESS_CACHE_MS:
 *
 *   request --> user known? --no, a token--> TokenReview --+
 *                  |                                       |
 *                  +<--------------------------------------+
 *                  v
 *            system:masters? --> allowed
 *                  v
 *   SubjectAccessReview of all resources of the group, in all namespaces --allowed--> allowed
 *                  v
 *   SubjectAccessReview of this one --> allowed or refused
 *
 * The wide question comes first because "*" means all of them (authorization.k8s.io/v1), and the HPA controller may read all: one
 * review every ten seconds for it, instead of one for each of its thousands of metrics.
 *
 * A request that must wait is a `question`. Questions with the same key share one `review`; when its answer is there, it
 * is put into the cache, and all questions of that key go on from there. Nobody is let in by an error: what cannot be
 * reviewed is refused with 500 and why.
 */
#include "serve/serve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "net/server.h"
#include "platform/kubernetes/client.h"
#include "serve/cluster_internal.h"
#include "serve/serve_internal.h"

enum { REVIEW_MAX_BYTES = 2 * ACCESS_USER_MAX_BYTES, SALT_BYTES = 32, MESSAGE_BYTES = 1024 };

enum stage { BY_TOKEN, WIDELY, NARROWLY };

struct question { /* one request on its way through the reviews; in its arena */
    struct question *next;
    struct serve_access *access;
    struct arena *arena;
    struct access_attributes about;
    struct access_user user; /* from WIDELY on */
    enum stage stage;
    const char *token;          /* of BY_TOKEN, only while the request is at hand */
    char key[ACCESS_KEY_BYTES]; /* of the review that is to answer */
    access_done *done;          /* one of the two */
    access_named_done *named;
    void *arg;
};

struct review { /* under way to the API server */
    struct review *next;
    struct serve_access *access;
    struct kube_ask *ask;
    char key[ACCESS_KEY_BYTES];
    bool of_token;
};

struct serve_access {
    struct kube *kube;
    struct loop *loop;
    char *client_ca; /* instead of the API server's; NULL */
    struct reflector *config_watch;
    struct access_config *config; /* NULL: not known yet, so no certificate is */
    struct access_cache *cache;
    struct review *reviews;
    struct question *waiting;
    size_t waiting_count;
    struct watchers watchers;
    unsigned char salt[SALT_BYTES];
    bool in_trouble; /* said that reviews fail */
};

/* ------------------------------------------------------------------ what the API server says of clients */

/* When it is gone, what was known goes on. */
static void on_config(void *arg, const struct tree *object)
{
    struct serve_access *access = arg;
    struct error err;
    struct access_config *config = access_config_read(object, &err);

    if (!config) {
        log_warning("clients of the aggregated API are known as before", "where", err.where, "error", err.text, NULL);
        return;
    }
    if (access->client_ca)
        config->client_ca = arena_copy(config->arena, access->client_ca);
    access_config_free(access->config);
    access->config = config;
    watchers_tell(&access->watchers);
}

static void on_config_trouble(void *arg, const struct error *err)
{
    (void)arg;
    if (err)
        log_warning("the front proxy's certificate cannot be verified: external metrics are refused", "error",
                    err->text, "remedy",
                    "bind Role extension-apiserver-authentication-reader in kube-system to Weir's ServiceAccount",
                    NULL);
}

struct serve_access *serve_access_new(const struct serve_access_options *options)
{
    struct serve_access *access = mem_alloc(sizeof(*access));

    access->kube = options->kube;
    access->loop = kube_loop(options->kube);
    access->client_ca = options->client_ca_pem ? mem_copy(options->client_ca_pem) : NULL;
    access->cache = access_cache_new();
    int filled = RAND_bytes(access->salt, SALT_BYTES);
    assert(filled == 1);
    if (options->tokens_only)
        return access;
    access->config_watch = reflector_new(
        access->kube, &(struct reflector_options){.path = "/api/v1/namespaces/kube-system/configmaps",
                                                  .field_selector = "metadata.name=extension-apiserver-authentication",
                                                  .item = on_config,
                                                  .trouble = on_config_trouble,
                                                  .arg = access});
    return access;
}

void access_client_cas(const struct serve_access *access, const char **proxy_ca, const char **client_ca)
{
    *proxy_ca = access->config ? access->config->proxy_ca : NULL;
    *client_ca = access->client_ca ? access->client_ca : access->config ? access->config->client_ca : NULL;
}

struct watchers *access_watchers(struct serve_access *access)
{
    return &access->watchers;
}

/* ------------------------------------------------------------------ refusals */

static void refuse_unknown(struct server_answer *refusal)
{
    answer_status(refusal, 401, "Unauthorized", "Unauthorized");
}

static void refuse_forbidden(const struct question *q, struct server_answer *refusal)
{
    const struct access_attributes *about = &q->about;
    struct text message;

    text_init(&message, MESSAGE_BYTES);
    if (about->resource) {
        text_printf(&message,
                    "%.250s.%s is forbidden: User \"%.250s\" cannot %s resource \"%.250s\" in API group \"%s\"",
                    about->resource, about->group, q->user.name, about->verb, about->resource, about->group);
        if (about->ns && *about->ns)
            text_printf(&message, " in the namespace \"%.100s\"", about->ns);
        else
            text_add(&message, " at the cluster scope");
    } else {
        text_printf(&message, "forbidden: User \"%.250s\" cannot %s path \"%.250s\"", q->user.name, about->verb,
                    about->path);
    }
    answer_status(refusal, 403, "Forbidden", message.bytes);
    text_done(&message);
}

static void refuse_unreviewed(const struct error *err, struct server_answer *refusal)
{
    struct text message;

    text_init(&message, MESSAGE_BYTES);
    text_printf(&message, "Internal error occurred: the API server could not be asked who may do this: %s", err->text);
    answer_status(refusal, 500, "InternalError", message.bytes);
    text_done(&message);
}

/* ------------------------------------------------------------------ questions */

static struct question *question_new(struct serve_access *access, const struct access_attributes *about)
{
    struct arena *arena = arena_new(2048);
    struct question *q = arena_alloc(arena, sizeof(*q));

    q->access = access;
    q->arena = arena;
    q->about = (struct access_attributes){.verb = arena_copy(arena, about->verb),
                                          .group = arena_copy(arena, about->group),
                                          .version = arena_copy(arena, about->version),
                                          .ns = arena_copy(arena, about->ns),
                                          .resource = arena_copy(arena, about->resource),
                                          .name = arena_copy(arena, about->name),
                                          .path = arena_copy(arena, about->path)};
    return q;
}

static void put_given(struct json *json, const char *key, const char *value)
{
    if (value && *value)
        json_put_string(json, key, value);
}

/* What is asked: this very thing, or everything of its group. */
static void write_attributes(const struct access_attributes *about, bool wide, struct json *json)
{
    if (!about->resource) {
        json_put_open(json, "nonResourceAttributes", '{');
        put_given(json, "path", about->path);
        put_given(json, "verb", about->verb);
    } else {
        json_put_open(json, "resourceAttributes", '{');
        put_given(json, "verb", about->verb);
        put_given(json, "group", about->group);
        put_given(json, "version", wide ? "*" : about->version);
        put_given(json, "resource", wide ? "*" : about->resource);
        put_given(json, "namespace", wide ? NULL : about->ns);
        put_given(json, "name", wide ? NULL : about->name);
    }
    json_put_close(json, '}');
}

static void write_access_review(const struct question *q, struct text *out)
{
    struct json json = {.out = out};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "apiVersion", "authorization.k8s.io/v1");
    json_put_string(&json, "kind", "SubjectAccessReview");
    json_put_open(&json, "spec", '{');
    text_add(out, q->user.spec);
    json.comma = true;
    write_attributes(&q->about, q->stage == WIDELY, &json);
    json_put_close(&json, '}');
    json_put_close(&json, '}');
}

static void write_token_review(const struct question *q, struct text *out)
{
    struct json json = {.out = out};

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "apiVersion", "authentication.k8s.io/v1");
    json_put_string(&json, "kind", "TokenReview");
    json_put_open(&json, "spec", '{');
    json_put_string(&json, "token", q->token);
    json_put_close(&json, '}');
    json_put_close(&json, '}');
}

static bool is_under_way(const struct serve_access *access, const char *key)
{
    for (const struct review *review = access->reviews; review; review = review->next)
        if (strcmp(review->key, key) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ one step after the other */

static kube_done on_review;

static void begin_review(struct question *q, const struct text *body)
{
    struct serve_access *access = q->access;
    struct review *review = mem_alloc(sizeof(*review));

    review->access = access;
    review->of_token = q->stage == BY_TOKEN;
    memcpy(review->key, q->key, sizeof(review->key));
    review->next = access->reviews;
    access->reviews = review;
    review->ask =
        kube_ask(access->kube,
                 &(struct kube_request){.method = "POST",
                                        .path = review->of_token ? "/apis/authentication.k8s.io/v1/tokenreviews"
                                                                 : "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                                        .body = body->bytes,
                                        .body_length = body->length,
                                        .priority = KUBE_WRITE},
                 on_review, review);
}

/* Looks the question's key up. NULL: it waits, and the review is under way. */
static const struct access_entry *look_up(struct question *q)
{
    struct serve_access *access = q->access;
    const struct access_entry *entry;
    struct text body;

    text_init(&body, REVIEW_MAX_BYTES);
    if (q->stage == BY_TOKEN) {
        access_key('t', access->salt, SALT_BYTES, q->token, strlen(q->token), q->key);
        write_token_review(q, &body);
    } else {
        write_access_review(q, &body);
        access_key('a', NULL, 0, body.bytes, body.length, q->key);
    }
    entry = access_cache_get(access->cache, q->key, loop_ticks_ms(access->loop));
    if (!entry && !is_under_way(access, q->key))
        begin_review(q, &body);
    OPENSSL_cleanse(body.bytes, body.length);
    text_done(&body);
    return entry;
}

static bool take_user(struct question *q, const struct access_entry *entry)
{
    if (!entry->yes)
        return false;
    q->user = (struct access_user){.name = arena_copy(q->arena, entry->user.name),
                                   .spec = arena_copy(q->arena, entry->user.spec),
                                   .master = entry->user.master};
    q->stage = q->about.resource ? WIDELY : NARROWLY;
    return true;
}

/* As far as what is known allows, from the entry that answers the question as it stands. */
static enum access_verdict go_on(struct question *q, const struct access_entry *entry, struct server_answer *refusal)
{
    for (;;) {
        if (q->stage == BY_TOKEN) {
            if (!take_user(q, entry)) {
                refuse_unknown(refusal);
                return ACCESS_REFUSED;
            }
            if (q->user.master)
                return ACCESS_ALLOWED;
        } else if (entry->yes) {
            return ACCESS_ALLOWED;
        } else if (q->stage == NARROWLY) {
            refuse_forbidden(q, refusal);
            return ACCESS_REFUSED;
        } else {
            q->stage = NARROWLY;
        }
        entry = look_up(q);
        if (!entry)
            return ACCESS_PENDING;
    }
}

static const char *name_of(const struct question *q)
{
    return q->user.name ? q->user.name : "";
}

static void finish(struct question *q, enum access_verdict verdict, const struct server_answer *refusal)
{
    q->access->waiting_count--;
    if (q->named)
        q->named(q->arg, verdict, name_of(q), refusal);
    else
        q->done(q->arg, verdict, refusal);
    arena_free(q->arena);
}

/* Those that wait for this review, taken out of the list: while they go on others may come. */
static struct question *take_waiting(struct serve_access *access, const char *key)
{
    struct question *taken = NULL, **tail = &taken;

    for (struct question **link = &access->waiting; *link;) {
        struct question *q = *link;

        if (strcmp(q->key, key) != 0) {
            link = &q->next;
            continue;
        }
        *link = q->next;
        q->next = NULL;
        *tail = q;
        tail = &q->next;
    }
    return taken;
}

static void wait(struct question *q)
{
    q->next = q->access->waiting;
    q->access->waiting = q;
}

static void answer_waiting(struct question *q, const struct access_entry *entry, const struct error *err)
{
    struct text body;
    struct server_answer refusal = {.body = &body};
    enum access_verdict verdict = ACCESS_REFUSED;

    text_init(&body, REVIEW_MAX_BYTES);
    if (entry)
        verdict = go_on(q, entry, &refusal);
    else
        refuse_unreviewed(err, &refusal);
    if (verdict == ACCESS_PENDING)
        wait(q);
    else
        finish(q, verdict, &refusal);
    text_done(&body);
}

/* ------------------------------------------------------------------ answers of the API server */

static bool read_review(const struct review *review, const struct kube_reply *reply, struct arena *arena,
                        struct access_entry *out, struct error *err)
{
    const struct tree *status = tree_get(reply->body, "status");
    bool yes = false;

    *out = (struct access_entry){0};
    if (reply->error.kind != ERROR_NONE) {
        *err = reply->error;
        return false;
    }
    if (!tree_bool(tree_get(status, review->of_token ? "authenticated" : "allowed"), &yes) && !status)
        return error_set(err, ERROR_NONSENSE, "a review came back without a status");
    out->yes = yes;
    if (yes && review->of_token && !access_user_of_review(tree_get(status, "user"), arena, &out->user))
        return error_set(err, ERROR_NONSENSE,
                         "a TokenReview names no user, or one of more than %d bytes "
                         "(ACCESS_USER_MAX_BYTES)",
                         ACCESS_USER_MAX_BYTES);
    return true;
}

static void note_trouble(struct serve_access *access, const struct error *err)
{
    if (err && !access->in_trouble)
        log_warning("requests are refused: the API server reviews nobody", "error", err->text, "remedy",
                    "bind ClusterRole system:auth-delegator to Weir's ServiceAccount", NULL);
    access->in_trouble = err != NULL;
}

static void forget_review(struct review *review)
{
    struct review **link = &review->access->reviews;

    while (*link != review)
        link = &(*link)->next;
    *link = review->next;
    free(review);
}

static void on_review(void *arg, const struct kube_reply *reply)
{
    struct review *review = arg;
    struct serve_access *access = review->access;
    struct arena *arena = arena_new(ARENA_SMALL);
    struct access_entry entry;
    struct error err = {0};
    bool is_read = read_review(review, reply, arena, &entry, &err);
    struct question *q = take_waiting(access, review->key), *next;

    if (is_read)
        access_cache_put(access->cache, review->key, &entry, loop_ticks_ms(access->loop));
    note_trouble(access, is_read ? NULL : &err);
    forget_review(review);
    for (; q; q = next) {
        next = q->next;
        answer_waiting(q, is_read ? &entry : NULL, &err);
    }
    arena_free(arena);
}

/* ------------------------------------------------------------------ for handlers */

/* What is known without waiting: the entry that go_on() begins with, or a verdict. */
static enum access_verdict begin(struct question *q, const struct server_request *request,
                                 struct server_answer *refusal)
{
    const struct access_entry *entry;

    switch (access_user_of_request(request, q->access->config, q->arena, &q->user, &q->token)) {
    case USER_REFUSED:
        refuse_unknown(refusal);
        return ACCESS_REFUSED;
    case USER_KNOWN:
        if (q->user.master)
            return ACCESS_ALLOWED;
        q->stage = q->about.resource ? WIDELY : NARROWLY;
        break;
    case USER_BY_TOKEN:
        q->stage = BY_TOKEN;
        break;
    }
    entry = look_up(q);
    return entry ? go_on(q, entry, refusal) : ACCESS_PENDING;
}

static bool is_room(const struct serve_access *access, struct server_answer *refusal)
{
    if (access->waiting_count < ACCESS_WAITING_MAX)
        return true;
    answer_status(refusal, 503, "ServiceUnavailable", "too many requests wait for a review (ACCESS_WAITING_MAX)");
    return false;
}

/* Keeps the question until its review is back, or ends it. */
static enum access_verdict keep_or_end(struct question *q, enum access_verdict verdict, void *arg)
{
    q->token = NULL;
    if (verdict == ACCESS_PENDING) {
        q->arg = arg;
        q->access->waiting_count++;
        wait(q);
    } else {
        arena_free(q->arena);
    }
    return verdict;
}

enum access_verdict serve_access_check(struct serve_access *access, const struct server_request *request,
                                       const struct access_attributes *attributes, struct server_answer *refusal,
                                       access_done *done, void *arg)
{
    struct question *q;

    if (!is_room(access, refusal))
        return ACCESS_REFUSED;
    q = question_new(access, attributes);
    q->done = done;
    return keep_or_end(q, begin(q, request, refusal), arg);
}

enum access_verdict serve_access_check_token(struct serve_access *access, const char *token,
                                             const struct access_attributes *attributes, struct text *user,
                                             struct server_answer *refusal, access_named_done *done, void *arg)
{
    struct question *q;
    const struct access_entry *entry;
    enum access_verdict verdict;

    if (!*token || strlen(token) > ACCESS_TOKEN_MAX_BYTES) {
        refuse_unknown(refusal);
        return ACCESS_REFUSED;
    }
    if (!is_room(access, refusal))
        return ACCESS_REFUSED;
    q = question_new(access, attributes);
    q->named = done;
    q->stage = BY_TOKEN;
    q->token = token;
    entry = look_up(q);
    verdict = entry ? go_on(q, entry, refusal) : ACCESS_PENDING;
    text_add(user, name_of(q));
    return keep_or_end(q, verdict, arg);
}

struct released { /* an answer that is made, and waits */
    struct server_pending *pending;
    struct server_answer answer;
    struct text body;
};

static void on_released(void *arg, enum access_verdict verdict, const struct server_answer *refusal)
{
    struct released *released = arg;

    server_complete(released->pending, verdict == ACCESS_ALLOWED ? &released->answer : refusal);
    text_done(&released->body);
    free(released);
}

void serve_access_release(struct serve_access *access, const struct server_request *request,
                          const struct access_attributes *attributes, struct server_answer *answer)
{
    struct released *released = mem_alloc(sizeof(*released));
    struct text refused;
    struct server_answer refusal = {.body = &refused};
    enum access_verdict verdict;

    text_init(&refused, REVIEW_MAX_BYTES);
    verdict = serve_access_check(access, request, attributes, &refusal, on_released, released);
    if (verdict == ACCESS_PENDING) {
        text_init(&released->body, answer->body->limit);
        text_append(&released->body, answer->body->bytes, answer->body->length);
        released->answer = *answer;
        released->answer.body = &released->body;
        released->pending = server_defer(request);
    } else {
        free(released);
    }
    if (verdict == ACCESS_REFUSED) {
        answer->status = refusal.status;
        answer->content_type = refusal.content_type;
        text_clear(answer->body);
        text_append(answer->body, refused.bytes, refused.length);
    }
    text_done(&refused);
}

/* ------------------------------------------------------------------ the end */

static void refuse_all(struct serve_access *access)
{
    struct error err;

    error_set(&err, ERROR_UNREACHABLE, "this server is being stopped");
    while (access->waiting) {
        struct question *q = access->waiting;

        access->waiting = q->next;
        answer_waiting(q, NULL, &err);
    }
}

void serve_access_free(struct serve_access *access)
{
    if (!access)
        return;
    while (access->reviews) {
        struct review *review = access->reviews;

        kube_cancel(review->ask);
        forget_review(review);
    }
    refuse_all(access);
    reflector_free(access->config_watch);
    access_config_free(access->config);
    access_cache_free(access->cache);
    watchers_done(&access->watchers);
    free(access->client_ca);
    free(access);
}

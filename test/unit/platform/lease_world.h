/*
 * lease_world: several Weirs, one API server that keeps Leases, and a network between them that is cut, loses answers, delivers late;
 * and Weirs that are paused (SIGSTOP): their clock goes on, and when they go on everything that was due comes at once.
 */
#ifndef TEST_PLATFORM_LEASE_WORLD_H
#define TEST_PLATFORM_LEASE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "platform/kubernetes/client_internal.h"
#include "platform/kubernetes/lease.h"
#include "sim/virtual.h"

enum { START_MS = 1000 * 1000, NODES_MAX = 6, LEASES_MAX = 512, BODY_BYTES = 4096 };

/* ---- the API server: Leases ---- */
struct stored {
    bool exists;
    char name[256], holder[128], nonce[64], claims[2048], group[64];
    bool has_claims;
    int64_t seconds, transitions, version, uid;
};
static struct stored store[LEASES_MAX];
static int64_t last_version;
static uint64_t writes;

struct node;
struct late {
    struct node *node;
    char method[16], url[1024], body[BODY_BYTES];
    struct timer *timer;
};

/* ---- a Weir's loop and transport, which can be paused ---- */
struct pausing_timer {
    struct timer_head head;
    struct timer *real;
    struct node *node;
    loop_callback *callback;
    void *arg;
    bool due;
    struct pausing_timer *previous, *next;
};
struct exchange {
    struct node *node;
    struct exchange *real;
    http_done *done;
    void *arg;
    bool arrived;
    struct http_reply reply;
    char *body;
    struct exchange *previous, *next;
};
struct node {
    struct loop loop;
    struct transport transport;
    bool paused, cut, loses_answers, delivers_late;
    int64_t answer_after_ms, object_after_ms; /* the latter of writes to objects */
    struct pausing_timer *timers;
    struct exchange *exchanges;
    struct kube *kube;
    int index;
    char url[32];
};

static struct virtual_world *world;
static struct node nodes[NODES_MAX];

static struct stored *find(const char *name)
{
    for (size_t i = 0; i < LEASES_MAX; i++)
        if (store[i].exists && strcmp(store[i].name, name) == 0)
            return &store[i];
    return NULL;
}

static void copy_text(char *to, size_t size, const struct tree *from)
{
    if (from && from->type == TREE_STRING)
        snprintf(to, size, "%s", from->text);
}

static void apply(struct stored *s, const struct tree *body)
{
    const struct tree *annotations = tree_at(body, "metadata.annotations");

    copy_text(s->name, sizeof s->name, tree_at(body, "metadata.name"));
    copy_text(s->holder, sizeof s->holder, tree_at(body, "spec.holderIdentity"));
    copy_text(s->nonce, sizeof s->nonce, tree_get(annotations, "weir.dev/holder"));
    copy_text(s->claims, sizeof s->claims, tree_get(annotations, "weir.dev/shards-claims"));
    s->has_claims = s->has_claims || tree_get(annotations, "weir.dev/shards-claims");
    copy_text(s->group, sizeof s->group, tree_get(tree_at(body, "metadata.labels"), "weir.dev/shards"));
    tree_integer(tree_at(body, "spec.leaseDurationSeconds"), &s->seconds);
    tree_integer(tree_at(body, "spec.leaseTransitions"), &s->transitions);
    s->version = ++last_version;
    writes++;
}

static void write_lease(const struct stored *s, struct text *out)
{
    text_printf(out,
                "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%lld\",\"uid\":\"u%lld\",\"annotations\":{\"weir."
                "dev/holder\":\"%s\"",
                s->name, (long long)s->version, (long long)s->uid, s->nonce);
    if (s->has_claims)
        text_printf(out, ",\"weir.dev/shards-claims\":\"%s\"", s->claims);
    text_printf(out, "}},\"spec\":{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":%lld,\"leaseTransitions\":%lld}}",
                s->holder, (long long)s->seconds, (long long)s->transitions);
}

static int post(const struct tree *body)
{
    const char *name = tree_string(tree_at(body, "metadata.name"));

    if (find(name))
        return 409;
    for (size_t i = 0; i < LEASES_MAX; i++) {
        if (store[i].exists)
            continue;
        store[i] = (struct stored){.exists = true, .uid = ++last_version};
        apply(&store[i], body);
        return 201;
    }
    return 500;
}

static bool is_at(const struct stored *s, const char *version)
{
    return !version || atoll(version) == s->version;
}

/* What the API server does with a request; the answer's body in out. */
static int do_request(const char *method, const char *url, const char *bytes, struct text *out)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *body = NULL;
    const char *slash = strrchr(url, '/');
    struct stored *s = find(slash + 1);
    int status = 200;

    if (bytes[0])
        assert_true(tree_read_json(bytes, strlen(bytes), false, arena, &body, NULL));
    if (strcmp(method, "POST") == 0) {
        status = post(body);
        s = find(tree_string(tree_at(body, "metadata.name")));
    } else if (strstr(url, "labelSelector")) {
        text_add(out, "{\"items\":[");
        for (size_t i = 0, count = 0; i < LEASES_MAX; i++) {
            if (!store[i].exists || !store[i].group[0])
                continue;
            text_add(out, count++ > 0 ? "," : "");
            write_lease(&store[i], out);
        }
        text_add(out, "]}");
    } else if (!s) {
        status = 404;
    } else if (strcmp(method, "PATCH") == 0) {
        if (is_at(s, tree_string(tree_at(body, "metadata.resourceVersion"))))
            apply(s, body);
        else
            status = 409;
    } else if (strcmp(method, "DELETE") == 0) {
        if (is_at(s, tree_string(tree_at(body, "preconditions.resourceVersion"))))
            s->exists = false;
        else
            status = 409;
    }
    if (out->length == 0 && status < 300 && s && s->exists)
        write_lease(s, out);
    if (out->length == 0)
        text_add(out, "{}");
    arena_free(arena);
    return status;
}

static void deliver_late(void *arg)
{
    struct late *late = arg;
    struct text out;

    text_init(&out, 1024 * 1024);
    do_request(late->method, late->url, late->body, &out);
    text_done(&out);
    loop_timer_free(late->timer);
    free(late);
}

static void send_late(struct node *node, const struct http_request *request)
{
    struct late *late = mem_alloc(sizeof *late);

    late->node = node;
    snprintf(late->method, sizeof late->method, "%s", request->method);
    snprintf(late->url, sizeof late->url, "%s", request->url);
    if (request->body)
        snprintf(late->body, sizeof late->body, "%.*s", (int)request->body_length, (const char *)request->body);
    late->timer = loop_timer_new(virtual_loop(world), deliver_late, late);
    loop_timer_set(late->timer, 1 + (int64_t)(virtual_random(world) % 8000));
}

static void serve(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct text out;
    struct node *node = arg;
    char body[BODY_BYTES] = "";

    if (!out.bytes)
        text_init(&out, 1024 * 1024);
    text_clear(&out);
    assert_true(request->body_length < sizeof body);
    if (request->body_length > 0)
        memcpy(body, request->body, request->body_length);
    reply->never = node->cut || node->loses_answers || node->delivers_late;
    reply->after_ms =
        node->answer_after_ms > 0 ? (int64_t)(virtual_random(world) % (uint64_t)node->answer_after_ms) : 0;
    if (node->cut)
        return;
    if (node->delivers_late) {
        send_late(node, request);
        return;
    }
    if (strstr(request->url, "/object/")) {
        reply->status = 200;
        reply->body = "{}";
        reply->after_ms += node->object_after_ms;
        return;
    }
    reply->status = do_request(request->method, request->url, body, &out);
    reply->body = out.bytes;
    reply->length = out.length;
}

/* ---- pausing ---- */
static int64_t node_now(struct loop *loop)
{
    (void)loop;
    return loop_now_ms(virtual_loop(world));
}

static int64_t node_ticks(struct loop *loop)
{
    (void)loop;
    return loop_ticks_ms(virtual_loop(world));
}

static void node_fire(void *arg)
{
    struct pausing_timer *t = arg;

    if (t->node->paused)
        t->due = true;
    else
        t->callback(t->arg);
}

static struct timer *node_timer_new(struct loop *loop, loop_callback *callback, void *arg)
{
    struct pausing_timer *t = mem_alloc(sizeof *t);

    t->head.loop = loop;
    t->node = (struct node *)(void *)loop;
    t->callback = callback;
    t->arg = arg;
    t->real = loop_timer_new(virtual_loop(world), node_fire, t);
    t->next = t->node->timers;
    if (t->next)
        t->next->previous = t;
    t->node->timers = t;
    return (struct timer *)(void *)t;
}

static void node_timer_set(struct timer *timer, int64_t after_ms)
{
    struct pausing_timer *t = (struct pausing_timer *)(void *)timer;

    t->due = false;
    loop_timer_set(t->real, after_ms);
}

static void node_timer_stop(struct timer *timer)
{
    struct pausing_timer *t = (struct pausing_timer *)(void *)timer;

    t->due = false;
    loop_timer_stop(t->real);
}

static void node_timer_free(struct timer *timer)
{
    struct pausing_timer *t = (struct pausing_timer *)(void *)timer;

    if (!t)
        return;
    if (t->previous)
        t->previous->next = t->next;
    else
        t->node->timers = t->next;
    if (t->next)
        t->next->previous = t->previous;
    loop_timer_free(t->real);
    free(t);
}

static const struct loop_ops node_loop_ops = {.now_ms = node_now,
                                              .ticks_ms = node_ticks,
                                              .timer_new = node_timer_new,
                                              .timer_set = node_timer_set,
                                              .timer_stop = node_timer_stop,
                                              .timer_free = node_timer_free};

static void drop_exchange(struct exchange *e)
{
    if (e->previous)
        e->previous->next = e->next;
    else
        e->node->exchanges = e->next;
    if (e->next)
        e->next->previous = e->previous;
    free(e->body);
    free(e);
}

static void hand_over(struct exchange *e, const struct http_reply *reply)
{
    e->done(e->arg, reply);
    drop_exchange(e);
}

static void node_reply(void *arg, const struct http_reply *reply)
{
    struct exchange *e = arg;

    e->real = NULL;
    if (!e->node->paused) {
        hand_over(e, reply);
        return;
    }
    e->arrived = true;
    e->reply = (struct http_reply){.failed = reply->failed, .error = reply->error, .status = reply->status};
    e->body = mem_alloc(reply->body_length + 1);
    if (reply->body_length > 0)
        memcpy(e->body, reply->body, reply->body_length);
    e->reply.body = e->body;
    e->reply.body_length = reply->body_length;
}

static struct exchange *node_http(struct transport *transport, const struct http_request *request, http_done *done,
                                  void *arg)
{
    struct node *node = (struct node *)(void *)((char *)transport - offsetof(struct node, transport));
    struct exchange *e = mem_alloc(sizeof *e);

    e->node = node;
    e->done = done;
    e->arg = arg;
    e->next = node->exchanges;
    if (e->next)
        e->next->previous = e;
    node->exchanges = e;
    e->real = transport_http(virtual_transport(world), request, node_reply, e);
    return e;
}

static void node_http_cancel(struct exchange *e)
{
    if (e->real)
        transport_http_cancel(virtual_transport(world), e->real);
    drop_exchange(e);
}

static const struct transport_ops node_transport_ops = {.http = node_http, .http_cancel = node_http_cancel};

static inline void node_pause(struct node *node)
{
    node->paused = true;
}

/* Answers first, as the real loop does, or timers first: whichever, all of it comes now. */
static inline void node_resume(struct node *node, bool timers_first, void (*check)(void))
{
    node->paused = false;
    for (int round = 0; round < 2; round++) {
        bool found = true;

        while (found) {
            found = false;
            for (struct pausing_timer *t = node->timers; (round == 0) == timers_first && t; t = t->next)
                if (t->due) {
                    t->due = false;
                    t->callback(t->arg);
                    found = true;
                    break;
                }
            for (struct exchange *e = node->exchanges; (round == 0) != timers_first && e; e = e->next)
                if (e->arrived) {
                    e->arrived = false;
                    hand_over(e, &e->reply);
                    found = true;
                    break;
                }
            if (check)
                check();
        }
    }
}

static inline struct kube_config *config_of(const char *url)
{
    char path[] = "/tmp/weir-kubeconfig-XXXXXX", yaml[256];
    int fd = mkstemp(path);
    struct kube_config *config = NULL;
    struct error err = {0};

    snprintf(yaml, sizeof yaml,
             "clusters: [{name: c, cluster: {server: '%s'}}]\ncontexts: [{name: x, context: {cluster: "
             "c}}]\ncurrent-context: x\n",
             url);
    assert_true(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    close(fd);
    if (!kube_config_load(&(struct kube_config_options){.path = path}, &config, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return config;
}

static inline void node_start(int index)
{
    struct node *node = &nodes[index];

    *node = (struct node){.loop.ops = &node_loop_ops, .transport.ops = &node_transport_ops, .index = index};
    snprintf(node->url, sizeof node->url, "http://n%d:1", index);
    virtual_answer(world, node->url, serve, node);
    node->kube = kube_new(&node->loop, &node->transport, config_of(node->url));
}

static inline void node_stop(int index)
{
    kube_free(nodes[index].kube);
    nodes[index].kube = NULL;
    assert_null(nodes[index].exchanges);
}

static inline void world_start(uint64_t seed)
{
    world = virtual_world_new(seed, START_MS);
    memset(store, 0, sizeof store);
    memset(nodes, 0, sizeof nodes);
    last_version = 0;
    writes = 0;
}

static inline void run_ms(int64_t ms)
{
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + ms);
}

static inline int64_t ticks_now(void)
{
    return loop_ticks_ms(virtual_loop(world));
}

#endif

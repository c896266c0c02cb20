/*
 * fuzz_kube: whatever an API server or a kubeconfig says. The first byte picks the reader:
 *
 *     0 a kubeconfig   1 the answer to a request   2 a list, then its watch: list, 0 byte, lines   3 the Leases of a group
 *     4 a list of resources (discovery)
 *
 * Whole clients run in the virtual world, so paths, pieces and pauses are under test too. A reflector that was told nonsense must not
 * have said `synced`, and must still be asking.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/tree.h"
#include "platform/kubernetes/client.h"
#include "platform/kubernetes/lease.h"
#include "sim/virtual.h"

enum { KINDS = 5, RUN_MS = 5000 };

static const char config_text[] = "clusters: [{name: c, cluster: {server: 'http://api:1'}}]\n"
                                  "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n";
static const char *body, *rest;
static size_t body_length, rest_length;
static struct virtual_body *open_body;
static int begun, synced, replies, lists;

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    (void)arg;
    reply->status = 200;
    reply->body = body;
    reply->length = body_length;
    lists += strstr(request->url, "limit=") != NULL;
    if (strstr(request->url, "watch=1")) {
        reply->body = rest;
        reply->length = rest_length;
        reply->open = rest_length % 2 ? &open_body : NULL;
    }
}

static struct kube_config *load(const char *bytes, size_t length)
{
    char path[] = "/tmp/weir-fuzz-kube-XXXXXX";
    int fd = mkstemp(path);
    struct kube_config *config = NULL;
    struct error err = {0};

    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length)
        abort();
    close(fd);
    if (!kube_config_load(&(struct kube_config_options){.path = path}, &config, &err))
        assert(err.kind != ERROR_NONE && err.text[0]);
    unlink(path);
    return config;
}

static void on_reply(void *arg, const struct kube_reply *reply)
{
    (void)arg;
    assert((reply->error.kind == ERROR_NONE) || reply->error.text[0]);
    replies++;
}

static void on_begin(void *arg)
{
    (void)arg;
    begun++;
}

static void on_item(void *arg, const struct tree *object)
{
    (void)arg;
    assert(tree_string(tree_at(object, "metadata.name")) || tree_at(object, "metadata.resourceVersion"));
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    (void)arg;
    assert(ns && name && last);
}

static void on_synced(void *arg)
{
    (void)arg;
    synced++;
    assert(begun > 0);
}

static void on_trouble(void *arg, const struct error *err)
{
    (void)arg;
    assert(!err || err->text[0]);
}

static void on_resource(void *arg, const struct kube_resource *resource, const struct error *err)
{
    (void)arg;
    assert(!resource == !!err);
    replies++;
}

static void on_shards(void *arg)
{
    (void)arg;
}

static void reflect(struct kube *kube, struct virtual_world *world)
{
    struct reflector *r = reflector_new(kube, &(struct reflector_options){.path = "/api/v1/pods",
                                                                          .begin = on_begin,
                                                                          .item = on_item,
                                                                          .gone = on_gone,
                                                                          .synced = on_synced,
                                                                          .trouble = on_trouble});
    const char *end = memchr(body, 0, body_length);

    rest = end ? end + 1 : body;
    rest_length = end ? body_length - (size_t)(end + 1 - body) : 0;
    body_length = end ? (size_t)(end - body) : body_length;
    begun = synced = lists = 0;
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + RUN_MS);
    assert(lists >= 1 && lists < 20);
    reflector_free(r);
}

static void share(struct kube *kube, struct virtual_world *world)
{
    struct shards *shards =
        shards_new(kube, &(struct shards_options){.ns = "n", .group = "g", .identity = "i", .changed = on_shards});

    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + RUN_MS);
    (void)shards_own(shards, "a", "b");
    assert(shards_members(shards) >= 1);
    shards_free(shards);
}

static void use(int kind, struct kube *kube, struct virtual_world *world)
{
    if (kind == 1) {
        kube_ask(kube,
                 &(struct kube_request){.method = "GET", .path = "/apis/a/v1/namespaces/n/x", .priority = KUBE_READ},
                 on_reply, NULL);
        virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + RUN_MS);
        assert(replies == 1);
    } else if (kind == 2) {
        reflect(kube, world);
    } else if (kind == 3) {
        share(kube, world);
    } else {
        kube_discover(kube, "a/v1", "Kind", on_resource, NULL);
        virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + RUN_MS);
        assert(replies == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtual_world *world;
    struct arena *arena;
    struct kube *kube;
    int kind;

    if (size == 0)
        return 0;
    kind = data[0] % KINDS;
    if (kind == 0) {
        kube_config_free(load((const char *)data + 1, size - 1));
        return 0;
    }
    arena = arena_new(ARENA_USUAL);
    body = arena_copy_bytes(arena, data + 1, size - 1); /* with a 0 byte behind it */
    body_length = size - 1;
    replies = 0;
    world = virtual_world_new(1, 1000 * 1000);
    virtual_answer(world, "http://api:1", answer, NULL);
    kube = kube_new(virtual_loop(world), virtual_transport(world), load(config_text, sizeof config_text - 1));
    kube_set_fence(kube, INT64_MAX);
    use(kind, kube, world);
    kube_free(kube);
    assert(virtual_pending(world) == 0);
    virtual_world_free(world);
    arena_free(arena);
    return 0;
}

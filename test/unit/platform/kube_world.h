/*
 * kube_world: a client of the Kubernetes API on virtual time, and an API server that says what a script says. What was asked stands in
 * `asked`, a line each: "GET /api/v1/pods?limit=500".
 */
#ifndef TEST_PLATFORM_KUBE_WORLD_H
#define TEST_PLATFORM_KUBE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "platform/kubernetes/client_internal.h"
#include "sim/virtual.h"

#define API "http://api:6443"
enum { START_MS = 1000 * 1000, SCRIPT_MAX = 64 };

/* The first whose words are in the request and who has times left answers. */
struct answer {
    const char *words;
    int times; /* 0: always */
    int status;
    const char *body;
    const char *retry_after;
    int64_t after_ms;
    bool never, refused;
    struct virtual_body **open;
    int used;
};

static struct virtual_world *world;
static struct kube *kube;
static struct text asked, heard;
static struct answer script[SCRIPT_MAX];
static size_t script_count;
static char last_authorization[256], last_proxy[256];
static int64_t last_timeout_ms;
static bool last_secret;

static inline struct answer *answers(const char *words, int times, int status, const char *body)
{
    assert_true(script_count < SCRIPT_MAX);
    script[script_count] = (struct answer){.words = words, .times = times, .status = status, .body = body};
    return &script[script_count++];
}

static void note_authorization(const struct http_request *request)
{
    last_authorization[0] = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, "Authorization") == 0)
            snprintf(last_authorization, sizeof last_authorization, "%s%s", request->headers[i].value,
                     secret_reveal(request->headers[i].secret));
}

static void serve(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static struct http_header retry_after;
    char line[4096];

    (void)arg;
    snprintf(line, sizeof line, "%s %s", request->method, request->url + strlen(API));
    text_printf(&asked, "%s\n", line);
    note_authorization(request);
    last_timeout_ms = request->timeout_ms;
    last_secret = request->secret;
    snprintf(last_proxy, sizeof last_proxy, "%s", request->proxy ? request->proxy : "");
    reply->status = 404;
    for (size_t i = 0; i < script_count; i++) {
        struct answer *a = &script[i];

        if (!strstr(line, a->words) || (a->times > 0 && a->used >= a->times))
            continue;
        a->used++;
        reply->status = a->status;
        reply->body = a->body;
        reply->after_ms = a->after_ms;
        reply->never = a->never;
        reply->refused = a->refused;
        reply->open = a->open;
        retry_after = (struct http_header){.name = "Retry-After", .value = a->retry_after};
        reply->headers = &retry_after;
        reply->header_count = a->retry_after ? 1 : 0;
        return;
    }
}

static inline struct kube_config *config_of(const char *yaml)
{
    char path[] = "/tmp/weir-kubeconfig-XXXXXX";
    int fd = mkstemp(path);
    struct kube_config *config = NULL;
    struct error err = {0};

    assert_true(fd >= 0 && write(fd, yaml, strlen(yaml)) == (ssize_t)strlen(yaml));
    close(fd);
    if (!kube_config_load(&(struct kube_config_options){.path = path}, &config, &err))
        fail_msg("%s %s", err.where, err.text);
    unlink(path);
    return config;
}

static const char plain_config[] = "clusters: [{name: c, cluster: {server: '" API "'}}]\n"
                                   "users: [{name: u, user: {token: secret}}]\n"
                                   "contexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}]\n"
                                   "current-context: x\n";

static int set_up(void **state)
{
    (void)state;
    world = virtual_world_new(7, START_MS);
    virtual_answer(world, API, serve, NULL);
    text_init(&asked, 16 * 1024 * 1024);
    text_init(&heard, 16 * 1024 * 1024);
    script_count = 0;
    kube = kube_new(virtual_loop(world), virtual_transport(world), config_of(plain_config));
    kube_set_fence(kube, INT64_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kube_free(kube);
    assert_int_equal(virtual_pending(world), 0);
    virtual_world_free(world);
    text_done(&asked);
    text_done(&heard);
    return 0;
}

static inline void run_ms(int64_t ms)
{
    virtual_run_until(world, loop_ticks_ms(virtual_loop(world)) + ms);
}

static inline int64_t elapsed_ms(void)
{
    return loop_ticks_ms(virtual_loop(world)) - START_MS;
}

static inline size_t count_of(const char *words)
{
    size_t count = 0;

    for (const char *at = asked.bytes; (at = strstr(at, words)); at += strlen(words))
        count++;
    return count;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

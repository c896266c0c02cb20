/*
 * service_proxy: see service_proxy.h. A GET is one question to the API server, before the first of them one more for the token, which is
 * asked anew when it has served for half its life, or when the service refuses it.
 */
#include "platform/kubernetes/service_proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "net/transport.h"
#include "platform/kubernetes/client_internal.h"

enum {
    TOKEN_LIFE_S = 600, /* the least that the API server makes */
    STOP_LOOK_MS = 100,
    HTTP_UNAUTHORIZED = 401,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
};

struct service_proxy {
    struct service_proxy_options options;
    struct arena *arena;
    struct loop *loop;
    struct transport *transport;
    struct kube *kube;
    char *ns; /* of the context */
    struct secret *token;
    int64_t token_until_ms; /* ticks: when another is asked for */
    struct timer *look;     /* whether to stop */

    struct kube_ask *ask; /* under way; NULL: none is */
    struct text *body;
    struct error error;
    int status;
};

/* ------------------------------------------------------------------ one question */

static bool on_body(void *arg, const char *bytes, size_t length)
{
    struct service_proxy *proxy = arg;

    return text_append(proxy->body, bytes, length);
}

/* The path is long, and nobody's business; which service is what can be mended. */
static void place_error(struct error *err, const struct service_proxy *proxy)
{
    err->where[0] = '\0';
    error_add_place(err, "Service %s/%s", proxy->options.ns, proxy->options.service);
}

/* A refusal of the service itself is {"error": "..."}; what the API server says of the way is a Status, which the client words. */
static void on_reply(void *arg, const struct kube_reply *reply)
{
    struct service_proxy *proxy = arg;
    const char *own = tree_string(tree_get(reply->body, "error"));

    proxy->ask = NULL;
    proxy->status = reply->status;
    proxy->error = reply->error;
    place_error(&proxy->error, proxy);
    if (own && reply->status == HTTP_UNAUTHORIZED)
        error_set(&proxy->error, ERROR_DENIED,
                  "Weir answers nobody it does not know (401); --weir-account says whose token "
                  "is shown to it");
    else if (own)
        error_set(&proxy->error, reply->status == HTTP_NOT_FOUND ? ERROR_MISSING : reply->error.kind, "%s", own);
    else if (reply->status == HTTP_NOT_FOUND)
        error_set(
            &proxy->error, ERROR_UNREACHABLE,
            "%s; is Weir's API on in its chart (api.enabled)? --weir-namespace and --weir-service say where it is",
            reply->error.text);
    else if (proxy->body->overflowed)
        error_set(&proxy->error, ERROR_LIMIT, "the answer is longer than %zu bytes", proxy->body->limit);
    loop_stop(proxy->loop);
}

static void on_token(void *arg, const struct kube_reply *reply)
{
    struct service_proxy *proxy = arg;
    const char *token = tree_string(tree_get(tree_get(reply->body, "status"), "token"));

    proxy->ask = NULL;
    proxy->error = reply->error;
    if (reply->error.kind == ERROR_NONE && token) {
        proxy->token = secret_new(token, strlen(token));
        proxy->token_until_ms = loop_ticks_ms(proxy->loop) + INT64_C(1000) * TOKEN_LIFE_S / 2;
    } else if (reply->error.kind == ERROR_NONE) {
        error_set(&proxy->error, ERROR_NONSENSE, "the API server made no token for ServiceAccount %s/%s",
                  proxy->options.ns, proxy->options.account);
    }
    loop_stop(proxy->loop);
}

static void look_whether_to_stop(void *arg)
{
    struct service_proxy *proxy = arg;

    if (proxy->options.stop && *proxy->options.stop)
        loop_stop(proxy->loop);
    else
        loop_timer_set(proxy->look, STOP_LOOK_MS);
}

/* Turns the loop until what was asked has its answer. */
static bool finish(struct service_proxy *proxy, struct error *err)
{
    loop_timer_set(proxy->look, STOP_LOOK_MS);
    loop_run(proxy->loop);
    loop_timer_stop(proxy->look);
    if (proxy->ask) {
        kube_cancel(proxy->ask);
        proxy->ask = NULL;
        return error_set(err, ERROR_UNREACHABLE, "interrupted");
    }
    if (proxy->error.kind == ERROR_NONE)
        return true;
    *err = proxy->error;
    return false;
}

/* ------------------------------------------------------------------ the token */

static void forget_token(struct service_proxy *proxy)
{
    secret_unref(proxy->token);
    proxy->token = NULL;
}

static bool get_token(struct service_proxy *proxy, struct error *err)
{
    struct text path, body;

    if (!*proxy->options.account || (proxy->token && loop_ticks_ms(proxy->loop) < proxy->token_until_ms))
        return true;
    forget_token(proxy);
    text_init(&path, KUBE_PATH_MAX_BYTES);
    text_init(&body, 1024);
    kube_path(&path, "", "v1", proxy->options.ns, "serviceaccounts", proxy->options.account, "token");
    text_printf(
        &body,
        "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{\"expirationSeconds\":%d}}",
        TOKEN_LIFE_S);
    proxy->ask = kube_ask(
        proxy->kube,
        &(struct kube_request){.method = "POST", .path = path.bytes, .body = body.bytes, .body_length = body.length},
        on_token, proxy);
    text_done(&body);
    text_done(&path);
    if (finish(proxy, err))
        return true;
    err->where[0] = '\0'; /* the text has the rule */
    return error_add_place(err, "a token to show Weir");
}

/* ------------------------------------------------------------------ asking */

static bool ask_once(struct service_proxy *proxy, const char *path, struct text *body, struct error *err)
{
    struct kube_stream stream = {.on_body = on_body};
    struct text whole;

    text_init(&whole, KUBE_PATH_MAX_BYTES);
    kube_path(&whole, "", "v1", proxy->options.ns, "services", proxy->options.service, "proxy");
    text_add(&whole, path);
    proxy->body = body;
    proxy->ask = kube_ask_stream(proxy->kube,
                                 &(struct kube_request){.method = "GET",
                                                        .path = whole.bytes,
                                                        .priority = KUBE_READ,
                                                        .no_retry = true,
                                                        .header_name = SERVICE_PROXY_HEADER,
                                                        .header_secret = proxy->token},
                                 &stream, on_reply, proxy);
    text_done(&whole);
    return finish(proxy, err);
}

bool service_proxy_get(struct service_proxy *proxy, const char *path, struct text *body, struct error *err)
{
    for (int attempt = 0;; attempt++) {
        bool had_token = proxy->token != NULL;

        if (!get_token(proxy, err))
            return false;
        text_clear(body);
        if (ask_once(proxy, path, body, err))
            return true;
        if (attempt > 0 || !had_token || proxy->status != HTTP_UNAUTHORIZED)
            return false;
        forget_token(proxy); /* it ran out earlier than it should, or the account was made anew */
    }
}

/* ------------------------------------------------------------------ the proxy */

static bool connect(struct service_proxy *proxy, struct error *err)
{
    const struct service_proxy_options *o = &proxy->options;
    struct kube_config *config;

    if (!kube_config_load(&(struct kube_config_options){.path = o->kubeconfig, .context = o->context}, &config, err))
        return false;
    proxy->ns = arena_copy(proxy->arena, kube_config_namespace(config));
    if (!loop_new_real(&proxy->loop, err) ||
        !transport_new_real(proxy->loop, &(struct transport_options){0}, &proxy->transport, err)) {
        kube_config_free(config);
        return false;
    }
    proxy->kube = kube_new(proxy->loop, proxy->transport, config);
    proxy->look = loop_timer_new(proxy->loop, look_whether_to_stop, proxy);
    return true;
}

bool service_proxy_new(const struct service_proxy_options *options, struct service_proxy **out, struct error *err)
{
    struct service_proxy *proxy = mem_alloc(sizeof(*proxy));

    proxy->arena = arena_new(ARENA_SMALL);
    proxy->options = *options;
    proxy->options.kubeconfig = arena_copy(proxy->arena, options->kubeconfig);
    proxy->options.context = arena_copy(proxy->arena, options->context);
    proxy->options.ns = arena_copy(proxy->arena, options->ns);
    proxy->options.service = arena_copy(proxy->arena, options->service);
    proxy->options.account = arena_copy(proxy->arena, options->account);
    if (connect(proxy, err)) {
        *out = proxy;
        return true;
    }
    service_proxy_free(proxy);
    return false;
}

void service_proxy_free(struct service_proxy *proxy)
{
    if (!proxy)
        return;
    forget_token(proxy);
    if (proxy->kube)
        kube_free(proxy->kube);
    if (proxy->look)
        loop_timer_free(proxy->look);
    transport_free(proxy->transport);
    if (proxy->loop)
        loop_free(proxy->loop);
    arena_free(proxy->arena);
    free(proxy);
}

const char *service_proxy_namespace(const struct service_proxy *proxy)
{
    return proxy->ns;
}

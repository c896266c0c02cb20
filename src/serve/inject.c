/*
 * inject: caBundle, by which the API server knows Weir's certificate, in the APIService of external.metrics.k8s.io and in all webhooks
 * of one ValidatingWebhookConfiguration (keda-operator/06 3). Each is one object that is watched; it is written only where it says something
 * else, so several Weirs that share an authority write once.
 *
 * Somebody else's bundle is replaced a moment later, not at once: when an authority is replaced, the Weir that has not
 * heard of it yet would put the old one back. An APIService that says insecureSkipTLSVerify was told so by a person, and is
 * left alone: the API server allows only one of the two.
 */
#include "serve/cluster_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client.h"
#include "serve/serve_internal.h"

enum { LATER_MS = 2000, RETRY_MS = 30 * 1000, PATCH_MAX_BYTES = 64 * 2 * CERTIFICATE_MAX_BYTES };

/* One object whose bundle is looked after. */
struct spot {
    struct injector *injector;
    const char *group, *version, *resource;
    char *name; /* NULL: not wanted */
    /* Writes what has to change. false: nothing. differs: it says something else, not only nothing. */
    bool (*patch)(const struct tree *object, const char *bundle, struct json *json, bool *differs);
    const char *content_type;
    struct reflector *watch;
    struct kube_ask *write;
    struct timer *timer;
    struct text body; /* of the patch under way */
    bool again;       /* it changed, or the bundle did, while something was under way */
};
struct injector {
    struct loop *loop;
    struct kube *kube;
    char *bundle; /* base64, or NULL: not known yet */
    struct spot api_service, webhooks;
};

/* ------------------------------------------------------------------ the two kinds of objects */

static bool is_same(const struct tree *bundle, const char *wanted, bool *differs)
{
    const char *text = tree_string(bundle);

    if (text && strcmp(text, wanted) == 0)
        return true;
    if (text && *text && strcmp(text, "Cg==") != 0) /* a line end: how manifests say "to be filled in" */
        *differs = true;
    return false;
}

/* A merge patch. */
static bool patch_api_service(const struct tree *object, const char *bundle, struct json *json, bool *differs)
{
    const struct tree *spec = tree_get(object, "spec");
    bool insecure = false;

    tree_bool(tree_get(spec, "insecureSkipTLSVerify"), &insecure);
    if (insecure || is_same(tree_get(spec, "caBundle"), bundle, differs))
        return false;
    json_put_open(json, NULL, '{');
    json_put_open(json, "spec", '{');
    json_put_string(json, "caBundle", bundle);
    json_put_close(json, '}');
    json_put_close(json, '}');
    return true;
}

static void put_operation(struct json *json, const char *op, size_t webhook, const char *member, const char *value)
{
    char path[80];

    snprintf(path, sizeof(path), "/webhooks/%zu/%s", webhook, member);
    json_put_open(json, NULL, '{');
    json_put_string(json, "op", op);
    json_put_string(json, "path", path);
    json_put_string(json, "value", value);
    json_put_close(json, '}');
}

/* A JSON patch: a merge would replace the list. Each webhook is named again, for the list may have changed meanwhile. */
static bool patch_webhooks(const struct tree *object, const char *bundle, struct json *json, bool *differs)
{
    const struct tree *webhooks = tree_get(object, "webhooks");
    size_t i = 0;
    bool any = false;

    json_put_open(json, NULL, '[');
    for (const struct tree *webhook = webhooks ? webhooks->first : NULL; webhook; webhook = webhook->next, i++) {
        const char *name = tree_string(tree_get(webhook, "name"));
        const struct tree *client = tree_get(webhook, "clientConfig");

        if (!name || !client || is_same(tree_get(client, "caBundle"), bundle, differs))
            continue;
        put_operation(json, "test", i, "name", name);
        put_operation(json, "add", i, "clientConfig/caBundle", bundle);
        any = true;
    }
    json_put_close(json, ']');
    return any;
}

/* ------------------------------------------------------------------ writing */

static void look_again(struct spot *spot)
{
    if (spot->again)
        loop_timer_set(spot->timer, LATER_MS);
    spot->again = false;
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct spot *spot = arg;

    spot->write = NULL;
    if (reply->error.kind == ERROR_NONE) {
        log_info("caBundle written", "resource", spot->resource, "name", spot->name, NULL);
        look_again(spot);
        return;
    }
    log_warning("caBundle cannot be written", "resource", spot->resource, "name", spot->name, "error",
                reply->error.text, NULL);
    loop_timer_set(spot->timer, RETRY_MS);
}

static void write_path(const struct spot *spot, bool with_name, struct text *out)
{
    kube_path(out, spot->group, spot->version, NULL, spot->resource, with_name ? spot->name : NULL, NULL);
}

static void send_patch(struct spot *spot)
{
    struct text path;

    text_init(&path, 1024);
    write_path(spot, true, &path);
    spot->write = kube_ask(spot->injector->kube,
                           &(struct kube_request){.method = "PATCH",
                                                  .path = path.bytes,
                                                  .content_type = spot->content_type,
                                                  .body = spot->body.bytes,
                                                  .body_length = spot->body.length,
                                                  .priority = KUBE_WRITE},
                           on_written, spot);
    text_done(&path);
}

static void look_at(struct spot *spot, const struct tree *object, bool may_differ)
{
    struct json json = {.out = &spot->body};
    bool differs = false;

    if (spot->write) {
        spot->again = true;
        return;
    }
    text_clear(&spot->body);
    loop_timer_stop(spot->timer);
    if (!spot->patch(object, spot->injector->bundle, &json, &differs))
        return;
    if (differs && !may_differ)
        loop_timer_set(spot->timer, LATER_MS);
    else
        send_patch(spot);
}

/* ------------------------------------------------------------------ reading */

static void on_item(void *arg, const struct tree *object)
{
    look_at(arg, object, false);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct spot *spot = arg;

    (void)ns, (void)name, (void)last;
    loop_timer_stop(spot->timer);
}

static void on_trouble(void *arg, const struct error *err)
{
    const struct spot *spot = arg;

    if (err)
        log_warning("caBundle cannot be looked after", "resource", spot->resource, "name", spot->name, "error",
                    err->text, NULL);
}

static void on_read(void *arg, const struct kube_reply *reply)
{
    struct spot *spot = arg;

    spot->write = NULL;
    spot->again = false;
    if (reply->error.kind == ERROR_NONE)
        look_at(spot, reply->body, true);
    else if (reply->error.kind != ERROR_MISSING)
        loop_timer_set(spot->timer, RETRY_MS);
}

/* Reads it anew: what the watch told is not kept, and may be old by now. */
static void read_again(void *arg)
{
    struct spot *spot = arg;
    struct text path;

    if (spot->write) {
        spot->again = true;
        return;
    }
    text_init(&path, 1024);
    write_path(spot, true, &path);
    spot->write =
        kube_ask(spot->injector->kube,
                 &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ}, on_read, spot);
    text_done(&path);
}

static void watch(struct spot *spot)
{
    struct text path, field;

    text_init(&path, 1024);
    text_init(&field, 1024);
    write_path(spot, false, &path);
    text_printf(&field, "metadata.name=%s", spot->name);
    spot->watch = reflector_new(spot->injector->kube, &(struct reflector_options){.path = path.bytes,
                                                                                  .field_selector = field.bytes,
                                                                                  .item = on_item,
                                                                                  .gone = on_gone,
                                                                                  .trouble = on_trouble,
                                                                                  .arg = spot});
    text_done(&field);
    text_done(&path);
}

/* ------------------------------------------------------------------ the whole */

static void spot_init(struct injector *injector, struct spot *spot, const char *name)
{
    spot->injector = injector;
    if (!name)
        return;
    spot->name = mem_copy(name);
    spot->timer = loop_timer_new(injector->loop, read_again, spot);
    text_init(&spot->body, PATCH_MAX_BYTES);
}

struct injector *injector_new(const struct injector_options *options)
{
    struct injector *injector = mem_alloc(sizeof(*injector));

    injector->loop = options->loop;
    injector->kube = options->kube;
    injector->api_service = (struct spot){.group = "apiregistration.k8s.io",
                                          .version = "v1",
                                          .resource = "apiservices",
                                          .patch = patch_api_service,
                                          .content_type = "application/merge-patch+json"};
    injector->webhooks = (struct spot){.group = "admissionregistration.k8s.io",
                                       .version = "v1",
                                       .resource = "validatingwebhookconfigurations",
                                       .patch = patch_webhooks,
                                       .content_type = "application/json-patch+json"};
    spot_init(injector, &injector->api_service, options->api_service);
    spot_init(injector, &injector->webhooks, options->webhook_configuration);
    return injector;
}

static void begin_or_again(struct spot *spot)
{
    if (!spot->name)
        return;
    if (spot->watch)
        read_again(spot);
    else
        watch(spot);
}

void injector_set(struct injector *injector, const char *ca_pem)
{
    size_t length = strlen(ca_pem);

    free(injector->bundle);
    injector->bundle = mem_alloc(4 * ((length + 2) / 3) + 1);
    EVP_EncodeBlock((unsigned char *)injector->bundle, (const unsigned char *)ca_pem, (int)length);
    begin_or_again(&injector->api_service);
    begin_or_again(&injector->webhooks);
}

static void spot_done(struct spot *spot)
{
    if (!spot->name)
        return;
    if (spot->write)
        kube_cancel(spot->write);
    reflector_free(spot->watch);
    loop_timer_free(spot->timer);
    text_done(&spot->body);
    free(spot->name);
}

void injector_free(struct injector *injector)
{
    if (!injector)
        return;
    spot_done(&injector->api_service);
    spot_done(&injector->webhooks);
    free(injector->bundle);
    free(injector);
}

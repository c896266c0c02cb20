/*
 * account: tokens of service accounts, by TokenRequest. Needs `create` of serviceaccounts/token, which a Role may give for each account by
 * its name; no role that Weir is installed with does (docs/credentials.md).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"

struct account_token {
    struct kubernetes *k;
    char *ns, *name;
    int64_t seconds;
    platform_token *done;
    void *arg;
    struct kube_ask *ask;
};

static void token_free(struct account_token *t)
{
    free(t->ns);
    free(t->name);
    free(t);
}

/* What is left of it, as the server's clock and ours see it; where it says nothing that can be read, what was asked for. */
static int64_t left_ms(const struct account_token *t, const struct tree *status)
{
    const char *ends = tree_string(tree_get(status, "expirationTimestamp"));
    int64_t at_ms;

    if (!ends || !instant_parse(ends, &at_ms) || at_ms <= loop_now_ms(t->k->loop))
        return t->seconds * 1000;
    return at_ms - loop_now_ms(t->k->loop);
}

static void explain(const struct account_token *t, const struct kube_reply *reply, struct error *err)
{
    if (reply->error.kind == ERROR_NONE)
        error_set(err, ERROR_NONSENSE, "the API server made no token of ServiceAccount %s/%s", t->ns, t->name);
    else if (reply->error.kind == ERROR_DENIED)
        error_set(err, ERROR_DENIED,
                  "no token of ServiceAccount %s/%s may be made; add to a Role in namespace %s the rule {apiGroups: "
                  "[\"\"], resources: [serviceaccounts/token], resourceNames: [%s], verbs: [create]}",
                  t->ns, t->name, t->ns, t->name);
    else if (reply->error.kind == ERROR_MISSING)
        error_set(err, ERROR_MISSING, "there is no ServiceAccount %s/%s", t->ns, t->name);
    else
        *err = reply->error;
}

static void on_token(void *arg, const struct kube_reply *reply)
{
    struct account_token *t = arg;
    const struct tree *status = tree_get(reply->body, "status"), *node = tree_get(status, "token");
    const char *token = reply->error.kind == ERROR_NONE ? tree_string(node) : NULL;
    struct error err;

    if (token && token[0]) {
        struct secret *secret = secret_new(node->text, node->length);

        t->done(t->arg, secret, left_ms(t, status), NULL);
        secret_unref(secret);
    } else {
        explain(t, reply, &err);
        t->done(t->arg, NULL, 0, &err);
    }
    token_free(t);
}

struct account_token *kubernetes_account_token(struct platform *platform, const char *ns, const char *account,
                                               int64_t seconds, platform_token *done, void *arg)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct account_token *t = mem_alloc(sizeof *t);
    struct text path, body;

    *t = (struct account_token){
        .k = k, .ns = mem_copy(ns), .name = mem_copy(account), .seconds = seconds, .done = done, .arg = arg};
    text_init(&path, HTTP_URL_MAX_BYTES);
    text_init(&body, 256);
    kube_path(&path, "", "v1", ns, "serviceaccounts", account, "token");
    text_printf(&body,
                "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{"
                "\"expirationSeconds\":%lld}}",
                (long long)seconds);
    t->ask = kube_ask(k->kube,
                      &(struct kube_request){.method = "POST",
                                             .path = path.bytes,
                                             .body = body.bytes,
                                             .body_length = body.length,
                                             .priority = KUBE_READ},
                      on_token, t);
    text_done(&body);
    text_done(&path);
    return t;
}

void kubernetes_account_token_cancel(struct account_token *token)
{
    kube_cancel(token->ask);
    token_free(token);
}

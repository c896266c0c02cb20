/*
 * client: requests to a Kubernetes API server, and lists that are kept up to date by watches.
 *
 *     kube_config_load(&(struct kube_config_options){.path = "~/.kube/config"}, &config, &err)
 *     struct kube *kube = kube_new(loop, transport, config);
 *     kube_ask(kube, &(struct kube_request){"GET", "/apis/apps/v1/namespaces/shop/deployments/web"}, on_reply, arg);
 *     struct reflector *r = reflector_new(kube, &(struct reflector_options){.path = "/apis/apps/v1/deployments", ...});
 *
 * What it promises: every request has a deadline and completes exactly once, never inside its own call; at most KUBE_ASKS_MAX are
 * under way, the others wait, writes before reads; 429 and 503 are asked again after Retry-After, with back-off and jitter; bodies
 * and lists are bounded. A token that is refused (401) is read anew (file, exec plugin) and the request asked once more.
 * Errors name the verb, the path and what the server said; a refusal by RBAC names verb, resource and the rule to add.
 * Loop thread only.
 */
#ifndef WEIR_PLATFORM_KUBERNETES_CLIENT_H
#define WEIR_PLATFORM_KUBERNETES_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct loop;
struct secret;
struct text;
struct transport;
struct tree;

/* ---- where the API server is, and who we are ---- */
struct kube_config; /* immutable once loaded, but for tokens that rotate */
struct kube_config_options {
    /* A kubeconfig; NULL: in-cluster if there is a service account, else $KUBECONFIG, else ~/.kube/config. */
    const char *path;
    const char *context; /* NULL: current-context */
    bool in_cluster;     /* only the service account of the pod */
};
/* false: err names file, entry and remedy. Files named in a kubeconfig are relative to it. Supports certificate-authority(-data),
   client-certificate(-data), client-key(-data), token, tokenFile, exec (v1, v1beta1), insecure-skip-tls-verify, tls-server-name,
   as (impersonation), proxy-url (http, https, socks5; without it proxies come from the environment, see transport.h); username/password
   and auth-provider, which Kubernetes took out, are refused by name. */
bool kube_config_load(const struct kube_config_options *options, struct kube_config **out, struct error *err);
void kube_config_free(struct kube_config *config);
const char *kube_config_namespace(const struct kube_config *config); /* of the context or the pod; "default" */
const char *kube_config_server(const struct kube_config *config);    /* for messages */
/* Whether this process runs in a pod, whatever it signs in with, and the address of its cluster's API server ("": not told). */
enum { KUBE_POD_SERVER_BYTES = 300 };
bool kube_config_is_pod(char server[KUBE_POD_SERVER_BYTES]);

/* ---- asking ---- */
struct kube;
/* Takes the config over. */
struct kube *kube_new(struct loop *loop, struct transport *transport, struct kube_config *config);
void kube_free(struct kube *kube); /* cancels what is under way; reflectors must be gone */
struct loop *kube_loop(const struct kube *kube);

enum kube_priority { KUBE_WRITE, KUBE_READ };
struct kube_request { /* copied before kube_ask returns */
    const char *method;
    const char *path;         /* with its query, escaped where needed: see kube_path */
    const char *content_type; /* "application/merge-patch+json"; NULL: application/json */
    const char *body;
    size_t body_length;
    enum kube_priority priority;
    /* From when it goes out first, all attempts included; 0: KUBE_TIMEOUT_MS. Before that it waits for its turn,
       KUBE_QUEUE_WAIT_MS at most. */
    int64_t timeout_ms;
    /* A write that may land only while we are the one who writes: it goes out only while kube_may_write(), with a deadline before
       the end of our lease, and is never asked again by the client itself. Refused as ERROR_DENIED otherwise, and when the fence
       falls while it is under way. Put the resourceVersion of what was decided on into it where that can be: a network may deliver
       bytes later than any deadline of ours. */
    bool fenced;
    /* One attempt; else 429, 503 and a lost connection are asked again for as long as the deadline allows (GET always; others only
       where the server says it did nothing: 429, 503 with Retry-After). */
    bool no_retry;
    const char *header_name; /* one more, for whom the API server passes the request on to; NULL, or static text */
    const struct secret *header_secret; /* its value; lives until the request is done; NULL: no header */
};
struct kube_reply {     /* valid during the callback */
    int status;         /* 0: no answer */
    struct error error; /* kind ERROR_NONE: 2xx. 404 is ERROR_MISSING, 401 and 403 ERROR_DENIED, 409 see conflict */
    bool conflict;
    const struct tree *body; /* what the server said, read; NULL when there is none or it could not be read */
    const char *reason;      /* Status.reason of a refusal ("AlreadyExists"), or "" */
    int64_t retry_after_ms;  /* what the server asks for, or 0 */
};
typedef void kube_done(void *arg, const struct kube_reply *reply);
struct kube_ask;
struct kube_ask *kube_ask(struct kube *kube, const struct kube_request *request, kube_done *done, void *arg);
void kube_cancel(struct kube_ask *ask);

/* "/apis/apps/v1/namespaces/shop/deployments/web/scale" from its parts, escaped. group "" or "core": /api/v1. ns NULL or "": all
   namespaces, or a cluster-wide resource; name, subresource NULL: none. */
bool kube_path(struct text *out, const char *group, const char *version, const char *ns, const char *resource,
               const char *name, const char *subresource);

/* ---- fencing: the lease we hold (lease.h sets it) ---- */
/* until_ticks_ms (loop_ticks_ms): writes that are fenced must have landed by then. INT64_MAX: no lease is needed; 0: not ours,
   as it is at first. */
void kube_set_fence(struct kube *kube, int64_t until_ticks_ms);
bool kube_may_write(const struct kube *kube);

/* ---- lists kept up to date ---- */
/*
 * begin -> item for each (a list has begun: what is not told until synced is gone) -> synced -> item / gone as they happen ->
 * sometimes begin again (the watch was too old), never more often than back-off allows. Lists are paged (KUBE_PAGE), begin from
 * resourceVersion=0 the first time, so that the server answers from its cache; watches ask for bookmarks and end by themselves after
 * some minutes; a watch that ends goes on from the last resource version without a list. 410 lists anew. Nothing of an item
 * is kept here but the newest resource version of all.
 */
struct reflector;
struct reflector_options {                       /* copied */
    const char *path;                            /* of the collection, no query */
    const char *label_selector, *field_selector; /* or NULL */
    /* Every list is asked for as it is now, not as the server's cache has it (no resourceVersion=0): where acting on what was just
       overtaken would do harm, as creating a job twice would. */
    bool exact;
    void (*begin)(void *arg);
    void (*item)(void *arg, const struct tree *object); /* added or modified; the object as the API gives it */
    void (*gone)(void *arg, const char *ns, const char *name, const struct tree *last);
    /* NULL only where nothing follows from what a list lacks. An object of the list is there, but too deep or too large to be read (trouble says so): what is known of it stands.
       metadata: an object of nothing else; NULL: not even that can be read, so it may be any. */
    void (*kept)(void *arg, const struct tree *metadata);
    void (*synced)(void *arg);
    /* Said once each time it cannot be listed or watched any more, with the rule to add where RBAC refuses; NULL err: it can again. */
    void (*trouble)(void *arg, const struct error *err);
    void *arg;
};
struct reflector *reflector_new(struct kube *kube, const struct reflector_options *options);
void reflector_free(struct reflector *reflector); /* NULL is fine; allowed inside its callbacks */
bool reflector_is_synced(const struct reflector *reflector);

/* ---- discovery ---- */
struct kube_resource { /* borrowed until the kube is freed */
    const char *group, *version, *kind, *plural;
    bool namespaced, has_scale;
};
/* Which resource a kind is ("apps/v1", "Deployment"). Deployment and StatefulSet of apps/v1 are known without asking. done is
   called with NULL and why when the group, the kind or its /scale is not there; asked again later, when a CRD may have come. Answers
   are kept some minutes. */
#define TARGET_WITHOUT_SCALE "Target resource doesn't expose /scale subresource" /* KEDA's words; the error begins so */
typedef void kube_resource_done(void *arg, const struct kube_resource *resource, const struct error *err);
void kube_discover(struct kube *kube, const char *api_version, const char *kind, kube_resource_done *done, void *arg);
void kube_discover_cancel(struct kube *kube, void *arg); /* done is not called with this arg any more */

struct kube_stats { /* since the start */
    uint64_t requests, failures, retries, lists, watches, throttled /* 429 */, conflicts;
    uint32_t asks_now, waiting_now;
};
void kube_stats(const struct kube *kube, struct kube_stats *out);

#endif

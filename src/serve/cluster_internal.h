/* What the files share that serve a Kubernetes cluster: Status objects, who is told of changes, keys and certificates. */
#ifndef WEIR_SERVE_CLUSTER_INTERNAL_H
#define WEIR_SERVE_CLUSTER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "serve/serve.h"

struct arena;
struct server_answer;
struct text;
struct tree;

/* ---- status.c: refusals as Kubernetes' clients read them ---- */
/* Fills answer with a Status of that code; reason may be "". */
void answer_status(struct server_answer *answer, int code, const char *reason, const char *message);

/* ---- watchers.c: who wants to know that something changed ---- */
typedef void watcher_changed(void *arg);
struct watcher;
struct watchers { /* zeroed: nobody */
    struct watcher *first;
};
void watchers_add(struct watchers *watchers, watcher_changed *changed, void *arg);
void watchers_remove(struct watchers *watchers, void *arg);
void watchers_tell(const struct watchers *watchers); /* nobody may be added or removed meanwhile */
void watchers_done(struct watchers *watchers);

/* ---- external_selector.c: which object a metric is asked of ---- */
/* The value of scaledobject.keda.sh/name in a selector, which may only say key=value, key=value ... (keda-operator/06 1.3).
   false: *code is 400 where it is no selector at all, else 500, and err->text what KEDA's server would say. */
enum { OBJECT_NAME_BYTES = 64 }; /* a label's value has at most 63 */
bool external_selector_object(const char *selector, char name[OBJECT_NAME_BYTES], int *code, struct error *err);

/* ---- external_documents.c: discovery and OpenAPI; constants ---- */
extern const char external_group_list[], external_group_discovery[], external_group[], external_resources[],
    external_openapi_v2[], external_openapi_v3[], external_openapi_v3_group[];

/* ---- access_config.c: what the API server says of those who ask (ConfigMap kube-system/extension-apiserver-authentication) ---- */
enum { ACCESS_NAMES_MAX = 16 }; /* of one list; the API server's flags hold one or two */
struct access_names {
    const char *list[ACCESS_NAMES_MAX];
    size_t count;
};
struct access_config {
    struct arena *arena;
    const char *proxy_ca, *client_ca; /* PEM; NULL: none */
    struct access_names proxy_names;  /* common names of the front proxy; none: any that its CA signed */
    struct access_names user_headers, uid_headers, group_headers, extra_prefixes;
};
/* NULL: it cannot be read; err says what. */
struct access_config *access_config_read(const struct tree *config_map, struct error *err);
void access_config_free(struct access_config *config); /* NULL is fine */

/* ---- access_user.c: who sent a request ---- */
struct access_user {  /* in the arena */
    const char *name; /* "system:anonymous" */
    const char *spec; /* members of a SubjectAccessReview's spec: "user":...,"groups":[...] */
    bool master;      /* of the group system:masters: may do everything */
};
enum access_known { USER_KNOWN, USER_BY_TOKEN /* *token is set; ask */, USER_REFUSED /* 401 */ };
enum access_known access_user_of_request(const struct server_request *request, const struct access_config *config,
                                         struct arena *arena, struct access_user *out, const char **token);
/* status.user of a TokenReview. false: it has no name, or is larger than ACCESS_USER_MAX_BYTES. */
bool access_user_of_review(const struct tree *user, struct arena *arena, struct access_user *out);

/* ---- access_cache.c: what reviews said lately ---- */
struct access_cache;
enum { ACCESS_KEY_BYTES = 66 };
struct access_entry {
    bool yes;                /* the token is somebody's; it is allowed */
    struct access_user user; /* of a token that is */
};
struct access_cache *access_cache_new(void);
void access_cache_free(struct access_cache *cache);
/* NULL: not known, or not any more. Valid until the next put. */
const struct access_entry *access_cache_get(const struct access_cache *cache, const char *key, int64_t ticks_ms);
void access_cache_put(struct access_cache *cache, const char *key, const struct access_entry *entry, int64_t ticks_ms);
size_t access_cache_count(const struct access_cache *cache);
/* A key that says nothing of what it stands for: kind and the SHA-256 of salt and bytes. */
void access_key(char kind, const void *salt, size_t salt_length, const char *bytes, size_t length,
                char out[ACCESS_KEY_BYTES]);

/* ---- access.c ---- */
/* CAs of the front proxy and of clients, or NULL; told when they change. */
void access_client_cas(const struct serve_access *access, const char **proxy_ca, const char **client_ca);
struct watchers *access_watchers(struct serve_access *access);

/* ---- pki.c: keys and certificates; pure but for randomness ---- */
struct pki_names {
    const char **list;
    size_t count;
};
/* What a Secret holds: ca.crt ca.key tls.crt tls.key. All owned; NULL where not there. */
struct pki_set {
    char *ca, *certificate; /* PEM; ca: the authority first, then those it replaced */
    struct secret *ca_key, *key;
};
void pki_set_done(struct pki_set *set);
/* Why the set cannot go on serving these names: err. Key fits, chain, names, it has begun, and more than PKI_RENEW_MS to go. */
bool pki_set_check(const struct pki_set *set, const struct pki_names *names, int64_t now_ms, struct error *err);
/* A set that can. The authority of old (NULL: none) is kept where it still serves, or else stays trusted in ca. */
bool pki_set_renew(const struct pki_set *old, const struct pki_names *names, int64_t now_ms, struct pki_set *out,
                   struct error *err);
/* Is it a certificate with its key? Sets when it ends. */
bool pki_pair_read(const char *certificate_pem, const struct secret *key, int64_t *expires_at_ms, struct error *err);
bool pki_set_equal(const struct pki_set *a, const struct pki_set *b);
#define PKI_CA_MS     (INT64_C(10) * 365 * 24 * 3600 * 1000)
#define PKI_SERVER_MS (INT64_C(365) * 24 * 3600 * 1000)
#define PKI_RENEW_MS  (INT64_C(90) * 24 * 3600 * 1000)

/* ---- certificate_files.c ---- */
/* Reads ca.crt, tls.crt, tls.key and, if with_ca_key, ca.key from a folder. What is not there stays NULL; false: it cannot be read. */
bool certificate_files_read(const char *folder, bool with_ca_key, struct pki_set *out, struct error *err);
struct certificate_paths { /* NULL: not looked for */
    const char *ca, *certificate, *key, *ca_key;
};
bool certificate_files_read_named(const struct certificate_paths *paths, struct pki_set *out, struct error *err);
/* Mode 0600, each replaced in one step. */
bool certificate_files_write(const char *folder, const struct pki_set *set, struct error *err);

/* ---- certificate_secret.c: the Secret all Weirs share ---- */
struct certificate_secret;
struct certificate_secret_options {
    struct loop *loop;
    struct kube *kube;
    const char *ns, *name;
    const struct pki_names *names; /* outlives it */
    /* A set that serves. shared false: made here because the Secret can neither be read nor written. Owned by the Secret. */
    void (*changed)(void *arg, const struct pki_set *set, bool shared);
    void *arg;
};
struct certificate_secret *certificate_secret_new(const struct certificate_secret_options *options);
void certificate_secret_check(struct certificate_secret *secret); /* is it time to renew? */
void certificate_secret_free(struct certificate_secret *secret);

/* ---- inject.c: caBundle ---- */
struct injector;
struct injector_options {
    struct loop *loop;
    struct kube *kube;
    const char *api_service, *webhook_configuration; /* or NULL */
};
struct injector *injector_new(const struct injector_options *options);
void injector_set(struct injector *injector, const char *ca_pem); /* what is to be there from now on */
void injector_free(struct injector *injector);

/* ---- certificate.c ---- */
struct watchers *certificates_watchers(struct certificates *certificates);

#endif

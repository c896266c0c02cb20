/*
 * credential: parameters that a TriggerAuthentication supplies, resolved to secrets.
 *
 *     struct credential_store *store = credential_store_new(&(struct credential_parts){platform, loop, transport});
 *     credential_store_listen(store, on_changed, arg);
 *     switch (credential_store_resolve(store, &(struct credential_request){...}, &credential, &err)) { ... }
 *
 * Env, secretTargetRef, configMapTargetRef and oauth2 are read from the platform, filePath from disk: there at once. What comes over
 * the network (HashiCorp Vault, tokens of service accounts) is fetched once for all who need it, kept and renewed before it ends:
 * credential_store_resolve says LOOKUP_PENDING the first time, and whoever asked is told when it is there, and whenever it has changed.
 * What nobody holds any more is given back and wiped. Sources that are not built in (the secret managers of clouds, pod identity)
 * are refused by name, so that no trigger runs without the credential its author meant.
 *
 * What is Weir's own (its service account, $VAULT_TOKEN) is sent to no address that only a tenant named; see docs/credentials.md.
 * Loop thread only.
 */
#ifndef WEIR_CREDENTIAL_CREDENTIAL_H
#define WEIR_CREDENTIAL_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

struct fetched;
struct loop;
struct tls_identity;
struct transport;
struct tree;

/* ---- what one trigger gets ---- */
struct credential_param {
    const char *name; /* borrowed from the set */
    struct secret *value;
    const char *kind,
        *source; /* where it comes from, for people: "Secret" "db-password", "ConfigMap", "Environment" (of the target's
                                  container), "Vault" (its path), "File", "ServiceAccount"; NULL: from plain pairs */
};
/* Immutable, counted. */
struct credential {
    struct arena *arena;
    struct credential_param *params;
    size_t param_count;
    const char *pod_identity;  /* provider, or NULL */
    const char *allowed_hosts; /* where it may go (credential_may_go); NULL: anywhere */
    struct fetched **held;     /* what of it was fetched: kept and renewed as long as somebody has this credential */
    size_t held_count;
    int references;
};

struct credential *credential_ref(struct credential *credential);
void credential_unref(struct credential *credential); /* NULL is fine */
const struct secret *credential_get(const struct credential *credential, const char *param);
/* From plain pairs, for tests and vectors. */
struct credential *credential_from_tree(const struct tree *map_of_strings);

/* ---- the store: what was fetched, for all ---- */
struct credential_store;
struct credential_parts { /* borrowed for the store's life */
    struct platform *platform;
    struct loop *loop; /* NULL with transport: what has to be fetched is refused */
    struct transport *transport;
};
struct credential_settings {  /* flags of `weir run`; copied */
    const char *file_root;    /* --filepath-auth-root-path; NULL: filePath is refused */
    int64_t account_token_ms; /* life of a service account's token; 0: CREDENTIAL_ACCOUNT_TOKEN_MS */
    const char *
        vault_namespaces; /* --vault-namespaces: whose TriggerAuthentications may sign in at $VAULT_ADDR as Weir; NULL: none */
    bool own_where_named; /* its own account's token goes there alone: a cluster kind may be anybody's, too */
};
struct credential_store *credential_store_new(const struct credential_parts *parts);
void credential_store_configure(struct credential_store *store, const struct credential_settings *settings);
/* Told in a later turn, with credential_request.key, when something arrived that it waited for, or changed: whoever was built with that
   TriggerAuthentication resolves anew. One listener; NULL: nobody. */
void credential_store_listen(struct credential_store *store, void (*changed)(void *arg, const char *key), void *arg);
/* Cancels what is under way. Credentials may outlive it. NULL is fine. */
void credential_store_free(struct credential_store *store);

/* ---- resolving ---- */
struct credential_request {
    const struct tree *spec; /* the `spec` of the TriggerAuthentication */
    bool cluster_kind; /* it is a ClusterTriggerAuthentication: made by who looks after the cluster, not by a tenant */
    const char *key;   /* who is told: "TriggerAuthentication/shop/vault"; NULL: nobody */
    const char *ns;    /* where its Secrets, ConfigMaps and service accounts are looked up */
    const char *object_ns;           /* of the scaled object; NULL: ns */
    const struct tree *annotations;  /* of the TriggerAuthentication: whom it is for (binding.c); NULL: none */
    const struct target_key *target; /* for `env` */
    const char *container;           /* NULL: the first */
};
/* LOOKUP_FOUND: *out is set. LOOKUP_PENDING: ask again when the platform or the store says so. Else *err says which source lacks what;
   where that was to be fetched, it is tried again, and who asked is told when it is there. */
enum lookup credential_store_resolve(struct credential_store *store, const struct credential_request *request,
                                     struct credential **out, struct error *err);
/* The same once, for who has no store: what has to be fetched is refused. */
enum lookup credential_resolve(struct platform *platform, const struct credential_request *request,
                               struct credential **out, struct error *err);
/* A source refused what this credential supplies: what of it was fetched is fetched anew, soon, and less often each time it was to no
   avail. Who asked is told only if it changed. */
void credential_denied(const struct credential *credential);
/* The end is near: what is lent (leases, logins) is given back. done, in a later turn: all have answered, or enough was waited for. */
void credential_store_part(struct credential_store *store, void (*done)(void *arg), void *arg);

/* ---- whom it is for ---- */
#define CREDENTIAL_HOSTS_ANNOTATION      "weir.dev/allowed-hosts"
#define CREDENTIAL_NAMESPACES_ANNOTATION "weir.dev/allowed-namespaces"
/* Only that, where what it supplies is not at hand (lint): a credential without parameters. false: it is not for that namespace, or what
   the annotations say cannot be read. */
bool credential_of_whom(const struct credential_request *request, struct credential **out, struct error *err);
/* To be asked before anything of a credential is given to a request, of every place it goes to. hosts: credential.allowed_hosts.
   place: "host:port". */
bool credential_may_go(const char *hosts, const char *place, struct error *err);

/* ---- tokens by OAuth2 client credentials, for requests ---- */
struct credential_client { /* borrowed for the call */
    const char *token_url, *id;
    const struct secret *secret; /* or NULL */
    const char *scopes;          /* joined by blanks, or NULL */
    const char *params;          /* more of the form, as a URL's query, or NULL */
    const struct tls_identity *tls;
    const char *destination; /* "host:port" where the token is used: each has its own */
    const char *ns;          /* whose manifest names them: its egress rules apply. NULL: nobody's */
    const char *owner;       /* then: whom it counts for */
};
struct credential_waiter { /* storage of the caller; told once, in a later turn, or ended */
    void (*told)(void *arg);
    void *arg;
    struct credential_waiter *next;
    struct fetched *on; /* NULL: does not wait */
};
/* FOUND: *token, which the caller unrefs. PENDING: ask again when the waiter is told. Else *err says why. refused: a token the
   destination just refused (or NULL): it is not given again, a new one is asked for instead. */
enum lookup credential_store_token(struct credential_store *store, const struct credential_client *client,
                                   const struct secret *refused, struct secret **token, struct error *err,
                                   struct credential_waiter *waiter);
void credential_wait_end(
    struct credential_waiter *waiter); /* it is not told any more; one that does not wait is fine */

struct credential_stats { /* for /metrics and leak tests */
    uint64_t fetches, failures;
    uint32_t kept; /* now */
};
void credential_store_stats(const struct credential_store *store, struct credential_stats *out);

#endif

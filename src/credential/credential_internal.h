/*
 * credential_internal: what the files of the room share.
 *
 *     credential.c   a credential, and the sources of a TriggerAuthentication walked in KEDA's order
 *     fetch.c        the store: what was fetched, kept, renewed, told of and given back
 *     account.c      tokens of service accounts
 *     vault.c        HashiCorp Vault and OpenBao: asking; vault_login.c: signing in; vault_secret.c: reading
 *     file.c         filePath
 *     binding.c      to which hosts a credential may go, and for which namespaces it is
 *     oauth.c        tokens by client credentials
 *
 * A kind of thing that is fetched is a struct fetch_kind. Its begin() fetches, the first time or anew, and ends with fetched_found or
 * fetched_failed, at once or later; or it waits for another thing that it needs, and is begun again when that is known or changed.
 */
#ifndef WEIR_CREDENTIAL_INTERNAL_H
#define WEIR_CREDENTIAL_INTERNAL_H

#include <openssl/evp.h>

#include "base/error.h"
#include "base/map.h"
#include "base/text.h"
#include "credential/credential.h"

struct arena;
struct exchange;
struct fetched;
struct http_header;
struct parting;
struct secret;
struct timer;

struct fetch_kind {
    const char *what;  /* "a Vault login": part of the key */
    int64_t unused_ms; /* kept so long while nobody holds or asks for it */
    void (*begin)(struct fetched *f);
    void (*stop)(struct fetched *f); /* beside its exchange, which the store cancels; NULL: nothing */
    void (*give_back)(
        struct fetched *f);     /* it is about to go, known or not: what was lent is returned; NULL: nothing */
    void (*forget)(void *spec); /* secrets of the spec; NULL: none */
};

/* What was asked for by HTTP, once the answer is there; valid during the call. */
struct fetch_answer {
    int status; /* 0: none, see error */
    struct error error;
    const struct tree *json; /* NULL: none, or it cannot be read */
};
typedef void fetch_answered(struct fetched *f, const struct fetch_answer *answer);

struct fetched {
    struct credential_store *store; /* NULL: gone, and only those who hold it are left */
    const struct fetch_kind *kind;
    const char *key; /* the map's own */
    struct arena *arena;
    void *spec; /* the kind's: what is asked for, in the arena */
    const char *ns;
    const char *owner; /* the namespace that it counts for; "": nobody's */
    bool trusted;      /* the destination is one that whoever runs Weir named (http_request.trusted) */

    enum lookup state;  /* PENDING until it is known the first time */
    struct map *values; /* name -> struct secret; while FOUND */
    size_t bytes;       /* of them */
    uint32_t version;   /* another one whenever the values are others, or lost */
    struct error why;   /* while neither FOUND nor PENDING */
    int64_t begun_ticks_ms, fetched_ticks_ms, ends_ticks_ms, asked_ticks_ms;
    int failures; /* in a row */
    int denials;  /* how often it was fetched anew because a source refused it; see credential_denied */
    int64_t denied_ticks_ms;
    struct timer *timer; /* begins it anew */

    bool busy; /* under way */
    bool anew; /* somebody refused what it has: renewing that is not enough */
    struct exchange *exchange;
    fetch_answered *answered;
    struct fetched *needed; /* held */
    struct credential_waiter need;
    uint32_t need_version; /* of what it needs, when it was begun */
    bool stale;            /* that changed while it was asked for: once more */

    uint32_t holders;
    struct map
        *keys; /* who is told: "TriggerAuthentication/shop/vault" -> the telling by which it asked last, plus 1 */
    uintptr_t tellings;
    bool lacking; /* somebody asked for a name that it does not have: it may come */
    int64_t told_ticks_ms;
    struct credential_waiter *waiters, *telling;
    bool changed; /* in the store's list of those to be told of */
    struct fetched *next_changed;
};

struct share { /* what a namespace has of the store */
    uint32_t count;
    size_t bytes;
};

struct credential_store {
    struct credential_parts parts;
    struct credential_settings settings;
    char *file_root, *vault_namespaces; /* of the settings */
    void (*listener)(void *arg, const char *key);
    void *listener_arg;
    struct map *all;    /* key -> struct fetched */
    struct map *shares; /* owner -> struct share */
    size_t bytes;
    struct fetched *changed;
    struct timer *tell_timer, *look_timer, *part_timer;
    bool parts_with_all;      /* nothing is fetched any more */
    struct parting *partings; /* words to be answered that nobody waits for, but who parts with all */
    void (*parted)(void *arg);
    void *parted_arg;
    struct credential_stats stats;
};

/* ---- finding one ---- */
/* What makes two things the same, told part by part; only a digest of it is kept, for tokens are among it. */
struct fetch_key {
    EVP_MD_CTX *md;
    const char *ns, *owner;
};
/* ns: whose manifest names the destination (http_request.ns); nothing is shared with others, and it counts as theirs. NULL: nobody's;
   then owner may be set, whom it counts for as the first who needed it. */
void fetch_key_begin(struct fetch_key *key, const struct fetch_kind *kind, const char *ns);
void fetch_key_add(struct fetch_key *key, const char *text); /* NULL is other than "" */
void fetch_key_add_secret(struct fetch_key *key, const struct secret *secret);
/* The thing of that key. *is_new: its spec is to be filled in, then fetched_start is to be called. NULL: there are too many, err says so. */
struct fetched *fetch_key_end(struct fetch_key *key, struct credential_store *store, const struct fetch_kind *kind,
                              bool *is_new, struct error *err);
void fetched_start(struct fetched *f);

/* ---- using it ---- */
/* What is known of it. Whoever asks with a key is told when that changes. */
enum lookup fetched_ask(struct fetched *f, const char *key, struct error *err);
const struct secret *fetched_value(const struct fetched *f, const char *name); /* while FOUND */
struct fetched *fetched_hold(struct fetched *f);
void fetched_release(struct fetched *f);
void fetched_wait(struct fetched *f, struct credential_waiter *waiter);
void fetched_again(struct fetched *f); /* soon, and not merely renewed; nothing while it is under way */
void fetched_lacks(
    struct fetched *f); /* it was asked for a name that it does not have: whoever asked is told when it changes */

/* ---- for kinds, within or after begin ---- */
/* f cannot be had without other: it is begun again whenever that changes. FOUND: go on. Else f waits, or has failed for the same reason. */
enum lookup fetched_needs(struct fetched *f, struct fetched *other);
/* Takes values over. valid_ms: so long they are good (0: for ever); again_ms: then it is fetched anew (0: never). false: there are more
   than are kept, and it has failed. */
bool fetched_found(struct fetched *f, struct map *values, int64_t valid_ms, int64_t again_ms);
void fetched_found_one(struct fetched *f, struct secret *value, int64_t valid_ms, int64_t again_ms); /* "value" */
void fetched_stays(struct fetched *f, int64_t valid_ms, int64_t again_ms); /* renewed: the values are the same */
void fetched_failed(struct fetched *f, const struct error *err);
bool fetched_is_good(const struct fetched *f); /* FOUND, and not over */
/* Redirects are not followed, question and answer are wiped. header_count: up to 6. */
struct fetch_request {
    const char *method, *url, *content_type;
    const char *body; /* or NULL */
    size_t body_length;
    const struct tls_identity *tls;
    struct http_header *headers;
    size_t header_count;
};
void fetched_http(struct fetched *f, const struct fetch_request *request, fetch_answered *answered);
/* The same for a thing that is going: nobody waits for the answer. */
void fetch_parting_word(struct fetched *f, const struct fetch_request *request);
/* "10.0.0.1:8200" of an absolute http or https address, without what may be secret in it; false: it is none, or has a user. */
bool fetch_address_host(const char *url, char *out, size_t size);

/* ---- the sources ---- */
struct source_place { /* where a source looks */
    struct credential_store *store;
    const struct credential_request *request;
};
struct fetched *account_token(struct credential_store *store, const char *ns, const char *account, struct error *err);
struct fetched *file_values(struct credential_store *store, const char *path, struct error *err);
/* One secret of spec.hashiCorpVault. *value: a reference. */
struct fetched *vault_secret(const struct source_place *place, const struct tree *vault, const struct tree *item,
                             struct error *err);
/* The whole of a file below root, whatever links lead to; false and why. out: begins here, ended by secret_text_done in any case. */
bool file_read_below(const char *root, const char *path, struct text *out, struct error *err);

/* binding.c: lists of hosts and of namespaces. */
bool binding_check_hosts(const char *hosts, struct error *err);
bool binding_admits(const char *namespaces, const char *ns);

void values_free(struct map *values);
/* A text for secrets: it never moves while it grows to `bytes`, and is wiped when it is done with. */
void secret_text_init(struct text *text, size_t bytes);
void secret_text_done(struct text *text);

#endif

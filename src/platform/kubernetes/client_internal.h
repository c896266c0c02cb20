/*
 * client_internal: what the files of the Kubernetes client share: who we are (config.c, exec.c), requests whose answer is handed
 * over as it comes (client.c for reflector.c), and reading a stream of objects (scan.c).
 */
#ifndef WEIR_PLATFORM_KUBERNETES_CLIENT_INTERNAL_H
#define WEIR_PLATFORM_KUBERNETES_CLIENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "net/transport.h"
#include "platform/kubernetes/client.h"

struct arena;
struct secret;
struct tree;

/* ---- who we are (config.c) ---- */
struct kube_login {                    /* borrowed until the next kube_config_login */
    const struct secret *token;        /* or NULL */
    const struct tls_identity *tls;    /* NULL: plain http */
    const struct http_header *headers; /* impersonation */
    size_t header_count;
    uint64_t generation; /* becomes another when any of the above does */
};
enum kube_login_state {
    KUBE_LOGIN_READY,
    KUBE_LOGIN_WAIT /* ready(arg) is called when to ask again */,
    KUBE_LOGIN_FAILED
};
/* For the life of a kube. ready is called in a turn of its own. */
void kube_config_attach(struct kube_config *config, struct loop *loop, struct transport *transport,
                        void (*ready)(void *arg), void *arg);
enum kube_login_state kube_config_login(struct kube_config *config, struct kube_login *out, struct error *err);
/* The API server did not take what login `generation` gave (401). true: something else may be given, ask again. */
bool kube_config_refused(struct kube_config *config, uint64_t generation);
/* "https://host:6443/prefix", no '/' at its end. */
const char *kube_config_url(const struct kube_config *config);

/* Through which it is reached; NULL: as the environment says. May hold a password. */
const char *kube_config_proxy(const struct kube_config *config);

/* Standard base64, line ends skipped; false: not base64, or over the limit of out. */
bool kube_base64_decode(const char *string, size_t length, struct text *out);
void kube_base64_encode(const char *bytes, size_t length, struct text *out);

/* ---- credential plugins (exec.c) ---- */
struct kube_exec;
struct kube_exec_cluster { /* for KUBERNETES_EXEC_INFO with provideClusterInfo */
    const char *server, *server_name, *ca_pem, *proxy_url;
    size_t ca_length;
    bool insecure;
    const struct tree *config; /* the extension client.authentication.k8s.io/exec, or NULL */
};
/* node: the `exec` of a user; place: "config user \"dev\"" for messages; folder: what a command with a '/' is relative to. */
bool kube_exec_new(const struct tree *node, const char *place, const char *folder,
                   const struct kube_exec_cluster *cluster, struct kube_exec **out, struct error *err);
void kube_exec_free(struct kube_exec *exec);
void kube_exec_attach(struct kube_exec *exec, struct loop *loop, struct transport *transport, void (*ready)(void *arg),
                      void *arg);
/* WAIT: it was started, or is running. The three are borrowed until the next call, each may be NULL. */
enum kube_login_state kube_exec_get(struct kube_exec *exec, const struct secret **token,
                                    const struct secret **certificate, const struct secret **key, uint64_t *generation,
                                    struct error *err);
/* What it gave was refused: it is run again, unless it has just been. */
bool kube_exec_refused(struct kube_exec *exec);

/* ---- requests whose answer is handed over as it comes (client.c) ---- */
struct kube_stream {
    bool (*on_body)(void *arg, const char *bytes,
                    size_t length); /* of a 2xx answer; arg is that of done. false: it is over */
    int64_t silence_ms;             /* so long without a byte ends it; 0: none */
    /* A watch: takes no place of KUBE_ASKS_MAX once it is out, is asked once only; timeout_ms until its head is there. */
    bool endless;
};
/* As kube_ask; reply.body is NULL where on_body had it. */
struct kube_ask *kube_ask_stream(struct kube *kube, const struct kube_request *request,
                                 const struct kube_stream *stream, kube_done *done, void *arg);
uint64_t kube_random(struct kube *kube);
/* Half of `ms` to one and a half. */
int64_t kube_jitter(struct kube *kube, int64_t ms);
void kube_count_list(struct kube *kube);
void kube_count_watch(struct kube *kube);
const struct kube_config *kube_config_of(const struct kube *kube);
/* Told when the API server answers again after it did not: whoever waits for it need not wait longer. Part of who listens. */
struct kube_listener {
    struct kube_listener *previous, *next;
    void (*returned)(void *arg); /* may only set timers */
    void *arg;
};
void kube_listen(struct kube *kube, struct kube_listener *listener);
void kube_unlisten(struct kube *kube, struct kube_listener *listener);
/* Of what is going on now and was asked with `fenced`: the oldest one's number; UINT64_MAX: none. kube_fence_number: the next one's. */
uint64_t kube_fence_oldest(const struct kube *kube);
uint64_t kube_fence_number(const struct kube *kube);
/* No fenced write goes out any more, but those under way may end: before a lease is given up. Until the next kube_set_fence. */
void kube_hold_fence(struct kube *kube);
/* Until then a fenced write whose end we did not hear may land yet (loop_ticks_ms; 0: there is none). */
int64_t kube_fence_doubt_ms(const struct kube *kube);
struct kube_discovery **kube_discovery_place(struct kube *kube);
void kube_discovery_free(struct kube_discovery *discovery);

/* What a path names, for messages and rules. Texts are in the arena. */
struct kube_place {
    const char *group, *version, *ns, *resource, *name, *subresource; /* "" where there is none */
};
bool kube_path_read(const char *path, struct arena *arena, struct kube_place *out);
/* Is what is asked or answered there a credential (Secrets, tokens, reviews of tokens)? Then it is wiped, and no part of it quoted. */
bool kube_path_is_secret(const char *path);
/* "get", "list", "watch", "create", "update", "patch", "delete": as RBAC names it. */
const char *kube_verb(const char *method, const char *path, const struct kube_place *place);
/* Printable bytes of the beginning of what cannot be read, for a message. */
enum { KUBE_SNIPPET_BYTES = 80 };
const char *kube_snippet(const char *bytes, size_t length, bool is_secret, char out[KUBE_SNIPPET_BYTES + 1]);
/* Everything but letters, digits and -._~ as %XX. */
bool kube_escape(struct text *out, const char *string);

/* ---- objects one by one out of a stream (scan.c) ---- */
/*
 * A list's answer is one JSON object that may be far larger than what may be held: its items are handed over one by one, and what is
 * left (kind, metadata) at the end. A watch's is one JSON object a line.
 */
struct kube_scan {
    bool (*item)(void *arg, const char *json, size_t length); /* false: stop */
    void *arg;
    bool lines;     /* a watch */
    bool is_secret; /* what was collected is wiped; set after kube_scan_init */
    struct text piece, envelope;
    /* of a list */
    int depth;
    int items_depth; /* of what is in "items"; 0: not in it */
    bool in_string, escaped, ended, is_nonsense;
    bool key_is_items; /* the last string of the outermost object was "items" */
    size_t key_begin;  /* where that string began in the envelope */
};
void kube_scan_init(struct kube_scan *scan, bool lines, bool (*item)(void *arg, const char *json, size_t length),
                    void *arg);
void kube_scan_done(struct kube_scan *scan);
enum kube_scan_end { KUBE_SCAN_FINE, KUBE_SCAN_STOPPED, KUBE_SCAN_TOO_LONG, KUBE_SCAN_NONSENSE };
enum kube_scan_end kube_scan_feed(struct kube_scan *scan, const char *bytes, size_t length);
/* At the end of a list: what there was but its items; NULL: it was cut off. */
const struct text *kube_scan_envelope(const struct kube_scan *scan);
/* At the end of a watch: a last line without its end is handed over. */
enum kube_scan_end kube_scan_finish(struct kube_scan *scan);
/* The bytes of a member of a JSON object that itself may be too large to be read; NULL: it has none. */
const char *kube_scan_member(const char *json, size_t length, const char *key, size_t *value_length);

#endif

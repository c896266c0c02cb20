/*
 * certificate_secret: the Secret in which all Weirs of a cluster keep their certificate. One object is watched; nothing is asked
 * again and again.
 *
 *   told by the watch: there, and it serves   --> used
 *                      not there              --> made, POST   --201--> used          --409--> the watch tells the winner's
 *                      there, not good enough --> made, PATCH  --200--> used          --409--> likewise
 *   once in a while: less than 90 days remain --> as "not good enough"
 *
 * The PATCH carries the resource version that was looked at, so only one of several Weirs renews, and the others use
 * what it made. Two that do not agree what is good enough (other names, a clock that is ahead) would answer each other for ever: each makes
 * one in PAUSE_MS at most. A Secret that may not be read or written leaves Weir with a certificate of its own, not shared and not
 * announced to anybody, until the rights are there.
 */
#include "serve/cluster_internal.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client.h"
#include "serve/serve_internal.h"

enum {
    BODY_MAX_BYTES = 8 * CERTIFICATE_MAX_BYTES,
    RETRY_MS = 30 * 1000,
    PAUSE_MS = 10 * 1000, /* between two that are made: see the head of this file */
};

struct certificate_secret {
    struct loop *loop;
    struct kube *kube;
    char *ns, *name;
    const struct pki_names *names;
    void (*changed)(void *arg, const struct pki_set *set, bool shared);
    void *arg;
    struct reflector *watch;
    struct timer *retry;
    struct kube_ask *write;
    int64_t pause_until_ticks_ms;
    struct pki_set seen;    /* what the Secret holds */
    struct pki_set offered; /* what is being written */
    struct pki_set used;
    bool is_shared;
    char *version; /* resource version of what was seen; NULL: there is no such Secret */
};

/* ------------------------------------------------------------------ base64, as Secrets are written */

static void put_base64(struct json *json, const char *key, const char *bytes, size_t length)
{
    char *encoded = mem_alloc(4 * ((length + 2) / 3) + 1);

    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)bytes, (int)length);
    json_put_string(json, key, encoded);
    OPENSSL_cleanse(encoded, strlen(encoded));
    free(encoded);
}

/* malloc'ed, with a 0 byte behind; NULL: not there, too large or not base64. */
static char *get_base64(const struct tree *data, const char *key, size_t *length)
{
    const struct tree *node = tree_get(data, key);
    const char *encoded = tree_string(node);
    size_t encoded_length = encoded ? strlen(encoded) : 0, padding = 0;
    char *bytes;
    int decoded;

    if (encoded_length == 0 || encoded_length % 4 != 0 || encoded_length > 2 * CERTIFICATE_MAX_BYTES)
        return NULL;
    while (padding < 2 && encoded[encoded_length - 1 - padding] == '=')
        padding++;
    bytes = mem_alloc(encoded_length);
    decoded = EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)encoded, (int)encoded_length);
    if (decoded < (int)padding) {
        free(bytes);
        return NULL;
    }
    *length = (size_t)decoded - padding;
    bytes[*length] = 0;
    return bytes;
}

static struct secret *get_key(const struct tree *data, const char *key)
{
    size_t length;
    char *bytes = get_base64(data, key, &length);
    struct secret *secret = bytes ? secret_new(bytes, length) : NULL;

    if (bytes)
        OPENSSL_cleanse(bytes, length);
    free(bytes);
    return secret;
}

static void read_set(const struct tree *object, struct pki_set *out)
{
    const struct tree *data = tree_get(object, "data");
    size_t length;

    *out = (struct pki_set){.ca = get_base64(data, "ca.crt", &length),
                            .certificate = get_base64(data, "tls.crt", &length),
                            .ca_key = get_key(data, "ca.key"),
                            .key = get_key(data, "tls.key")};
}

/* ------------------------------------------------------------------ what is used */

static struct pki_set set_copy(const struct pki_set *set)
{
    return (struct pki_set){.ca = set->ca ? mem_copy(set->ca) : NULL,
                            .certificate = set->certificate ? mem_copy(set->certificate) : NULL,
                            .ca_key = set->ca_key ? secret_ref(set->ca_key) : NULL,
                            .key = set->key ? secret_ref(set->key) : NULL};
}

static void use(struct certificate_secret *s, const struct pki_set *set, bool shared)
{
    struct pki_set copy;

    if (s->used.certificate && s->is_shared == shared && pki_set_equal(&s->used, set))
        return;
    copy = set_copy(set);
    pki_set_done(&s->used);
    s->used = copy;
    s->is_shared = shared;
    s->changed(s->arg, &s->used, shared);
}

/* So that TLS is there at all, for those who can be told to trust it by hand. */
static void use_own(struct certificate_secret *s)
{
    struct pki_set own;
    struct error err;

    if (s->used.certificate)
        return;
    if (!pki_set_renew(NULL, s->names, loop_now_ms(s->loop), &own, &err)) {
        log_error("there is no certificate", "error", err.text, NULL);
        return;
    }
    use(s, &own, false);
    pki_set_done(&own);
}

/* ------------------------------------------------------------------ writing */

static void write_data(const struct pki_set *set, struct json *json)
{
    json_put_open(json, "data", '{');
    put_base64(json, "ca.crt", set->ca, strlen(set->ca));
    put_base64(json, "ca.key", secret_reveal(set->ca_key), secret_length(set->ca_key));
    put_base64(json, "tls.crt", set->certificate, strlen(set->certificate));
    put_base64(json, "tls.key", secret_reveal(set->key), secret_length(set->key));
    json_put_close(json, '}');
}

static void write_new(const struct certificate_secret *s, struct json *json)
{
    json_put_open(json, NULL, '{');
    json_put_string(json, "apiVersion", "v1");
    json_put_string(json, "kind", "Secret");
    json_put_string(json, "type", "Opaque");
    json_put_open(json, "metadata", '{');
    json_put_string(json, "namespace", s->ns);
    json_put_string(json, "name", s->name);
    json_put_open(json, "labels", '{');
    json_put_string(json, "app.kubernetes.io/name", "weir");
    json_put_string(json, "app.kubernetes.io/part-of", "weir");
    json_put_close(json, '}');
    json_put_close(json, '}');
    write_data(&s->offered, json);
    json_put_close(json, '}');
}

static void write_patch(const struct certificate_secret *s, struct json *json)
{
    json_put_open(json, NULL, '{');
    json_put_open(json, "metadata", '{');
    json_put_string(json, "resourceVersion", s->version);
    json_put_close(json, '}');
    write_data(&s->offered, json);
    json_put_close(json, '}');
}

static void note_version(struct certificate_secret *s, const struct tree *object)
{
    const char *version = tree_string(tree_get(tree_get(object, "metadata"), "resourceVersion"));

    free(s->version);
    s->version = mem_copy(version ? version : "");
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct certificate_secret *s = arg;

    s->write = NULL;
    if (reply->error.kind == ERROR_NONE) {
        log_info("certificate written", "secret", s->name, "namespace", s->ns, NULL);
        pki_set_done(&s->seen);
        s->seen = s->offered;
        s->offered = (struct pki_set){0};
        note_version(s, reply->body);
        use(s, &s->seen, true);
        return;
    }
    pki_set_done(&s->offered);
    loop_timer_set(s->retry, RETRY_MS); /* a winner's is told by the watch long before */
    if (reply->conflict)
        return;
    log_warning("the certificate cannot be kept in its Secret", "secret", s->name, "namespace", s->ns, "error",
                reply->error.text, NULL);
    use_own(s);
}

static void ask_to_write(struct certificate_secret *s)
{
    struct text path, body;
    struct json json = {.out = &body};

    text_init(&path, 1024);
    text_init(&body, BODY_MAX_BYTES);
    kube_path(&path, "", "v1", s->ns, "secrets", s->version ? s->name : NULL, NULL);
    if (s->version)
        write_patch(s, &json);
    else
        write_new(s, &json);
    s->write = kube_ask(s->kube,
                        &(struct kube_request){.method = s->version ? "PATCH" : "POST",
                                               .path = path.bytes,
                                               .content_type = s->version ? "application/merge-patch+json" : NULL,
                                               .body = body.bytes,
                                               .body_length = body.length,
                                               .priority = KUBE_WRITE},
                        on_written, s);
    OPENSSL_cleanse(body.bytes, body.length);
    text_done(&body);
    text_done(&path);
}

static void renew(struct certificate_secret *s, const struct error *because)
{
    int64_t ticks_ms = loop_ticks_ms(s->loop);
    struct error err;

    if (s->write)
        return;
    if (ticks_ms < s->pause_until_ticks_ms) {
        loop_timer_set(s->retry, s->pause_until_ticks_ms - ticks_ms);
        return;
    }
    s->pause_until_ticks_ms = ticks_ms + PAUSE_MS;
    log_info("a new certificate is made", "because", because->text, NULL);
    if (pki_set_renew(&s->seen, s->names, loop_now_ms(s->loop), &s->offered, &err))
        ask_to_write(s);
    else
        log_error("there is no new certificate", "error", err.text, NULL);
}

/* ------------------------------------------------------------------ what the watch tells */

/* Is what was seen good enough? A set that still serves is used while its successor is being written. */
static void judge(struct certificate_secret *s)
{
    int64_t now_ms = loop_now_ms(s->loop), expires_at_ms;
    struct error err;

    if (pki_set_check(&s->seen, s->names, now_ms, &err) && s->version) {
        use(s, &s->seen, true);
        return;
    }
    if (s->version && s->seen.ca && pki_pair_read(s->seen.certificate, s->seen.key, &expires_at_ms, NULL) &&
        expires_at_ms > now_ms)
        use(s, &s->seen, true);
    if (!s->version)
        error_set(&err, ERROR_MISSING, "there is no Secret %.100s/%.100s yet", s->ns, s->name);
    renew(s, &err);
}

static void on_item(void *arg, const struct tree *object)
{
    struct certificate_secret *s = arg;

    pki_set_done(&s->seen);
    read_set(object, &s->seen);
    note_version(s, object);
    if (reflector_is_synced(s->watch)) /* else on_synced will */
        judge(s);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct certificate_secret *s = arg;

    (void)ns, (void)name, (void)last;
    free(s->version); /* whoever deleted it wants a new certificate; the authority that was seen stays */
    s->version = NULL;
    if (reflector_is_synced(s->watch))
        judge(s);
}

static void on_begin(void *arg)
{
    struct certificate_secret *s = arg;

    free(s->version);
    s->version = NULL;
}

static void on_synced(void *arg)
{
    judge(arg);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct certificate_secret *s = arg;

    if (!err)
        return;
    log_warning("the Secret of the certificate cannot be read", "secret", s->name, "namespace", s->ns, "error",
                err->text, NULL);
    if (err->kind == ERROR_DENIED)
        use_own(s);
}

/* ------------------------------------------------------------------ the whole */

static void on_retry(void *arg)
{
    certificate_secret_check(arg);
}

void certificate_secret_check(struct certificate_secret *s)
{
    if (reflector_is_synced(s->watch))
        judge(s);
}

struct certificate_secret *certificate_secret_new(const struct certificate_secret_options *options)
{
    struct certificate_secret *s = mem_alloc(sizeof(*s));
    struct text path, field;

    s->loop = options->loop;
    s->kube = options->kube;
    s->ns = mem_copy(options->ns);
    s->name = mem_copy(options->name);
    s->names = options->names;
    s->changed = options->changed;
    s->arg = options->arg;
    s->retry = loop_timer_new(s->loop, on_retry, s);
    text_init(&path, 1024);
    text_init(&field, 1024);
    kube_path(&path, "", "v1", s->ns, "secrets", NULL, NULL);
    text_printf(&field, "metadata.name=%s", s->name);
    s->watch = reflector_new(s->kube, &(struct reflector_options){.path = path.bytes,
                                                                  .field_selector = field.bytes,
                                                                  .begin = on_begin,
                                                                  .item = on_item,
                                                                  .gone = on_gone,
                                                                  .synced = on_synced,
                                                                  .trouble = on_trouble,
                                                                  .arg = s});
    text_done(&field);
    text_done(&path);
    return s;
}

void certificate_secret_free(struct certificate_secret *s)
{
    if (!s)
        return;
    if (s->write)
        kube_cancel(s->write);
    reflector_free(s->watch);
    loop_timer_free(s->retry);
    pki_set_done(&s->seen);
    pki_set_done(&s->offered);
    pki_set_done(&s->used);
    free(s->ns);
    free(s->name);
    free(s->version);
    free(s);
}

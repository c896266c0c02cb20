/*
 * certificate: what Weir's server shows, from one of four places (serve.h), renewed while it runs. Whoever uses it is told
 * when it changes; the place decides only where it is kept. The authority goes out as caBundle by inject.c.
 */
#include "serve/serve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "serve/cluster_internal.h"

enum {
    RENEW_CHECK_MS = 3600 * 1000, /* of 90 days */
    FILES_CHECK_MS = 10 * 1000,   /* a kubelet needs a minute to bring a Secret's change into a folder */
};

struct certificates {
    struct loop *loop;
    struct pki_names names;
    struct arena *arena;            /* names and paths */
    struct certificate_paths files; /* certificate NULL: none were named */
    const char *directory, *kept_in;
    struct certificate_secret *secret;
    struct injector *injector;
    struct timer *timer;
    struct pki_set set;
    int64_t expires_at_ms;
    struct watchers watchers;
    struct error trouble; /* said last; kind ERROR_NONE: none */
};

/* ------------------------------------------------------------------ names */

static bool add_name(struct certificates *c, const char *name, struct error *err)
{
    if (c->names.count == CERTIFICATE_NAMES_MAX)
        return error_set(err, ERROR_LIMIT, "a certificate is for at most %d names (CERTIFICATE_NAMES_MAX)",
                         CERTIFICATE_NAMES_MAX);
    c->names.list[c->names.count++] = name;
    return true;
}

static bool add_service(struct certificates *c, const char *service, const char *ns, const char *domain,
                        struct error *err)
{
    return add_name(c, arena_copy(c->arena, service), err) &&
           add_name(c, arena_printf(c->arena, "%s.%s", service, ns), err) &&
           add_name(c, arena_printf(c->arena, "%s.%s.svc", service, ns), err) &&
           add_name(c, arena_printf(c->arena, "%s.%s.svc.%s", service, ns, domain), err);
}

static bool add_names(struct certificates *c, const struct certificates_options *options, struct error *err)
{
    const char *domain = options->cluster_domain ? options->cluster_domain : "cluster.local";

    c->names.list = arena_array(c->arena, CERTIFICATE_NAMES_MAX, sizeof(*c->names.list));
    for (size_t i = 0; i < options->service_count; i++)
        if (!add_service(c, options->services[i], options->ns ? options->ns : "default", domain, err))
            return false;
    for (size_t i = 0; i < options->name_count; i++)
        if (!add_name(c, arena_copy(c->arena, options->names[i]), err))
            return false;
    return c->names.count > 0 || add_name(c, "localhost", err);
}

/* ------------------------------------------------------------------ what is shown */

/* Takes the set over. announce: its authority may go into caBundles. */
static void show(struct certificates *c, struct pki_set *set, bool announce)
{
    char until[32];

    pki_set_done(&c->set);
    c->set = *set;
    *set = (struct pki_set){0};
    if (!pki_pair_read(c->set.certificate, c->set.key, &c->expires_at_ms, NULL))
        c->expires_at_ms = 0;
    instant_format(c->expires_at_ms, until, sizeof(until));
    log_info("certificate in use", "until", until, NULL);
    if (announce && c->injector && c->set.ca)
        injector_set(c->injector, c->set.ca);
    watchers_tell(&c->watchers);
}

/* Once, not at every look. */
static void note_trouble(struct certificates *c, const struct error *err)
{
    if (c->trouble.kind == err->kind && strcmp(c->trouble.text, err->text) == 0)
        return;
    c->trouble = *err;
    log_warning("certificate as before", "from",
                c->files.certificate ? c->files.certificate
                : c->directory       ? c->directory
                                     : c->kept_in,
                "error", err->text, NULL);
}

/* ------------------------------------------------------------------ the places */

static void on_secret(void *arg, const struct pki_set *set, bool shared)
{
    struct certificates *c = arg;
    struct pki_set copy = {.ca = mem_copy(set->ca),
                           .certificate = mem_copy(set->certificate),
                           .ca_key = set->ca_key ? secret_ref(set->ca_key) : NULL,
                           .key = secret_ref(set->key)};

    show(c, &copy, shared);
}

/* Somebody else's files: whatever fits together is shown, also what ends soon. */
static bool look_at_others(struct certificates *c, struct error *err)
{
    struct pki_set set;
    int64_t expires_at_ms;

    if (c->files.certificate ? !certificate_files_read_named(&c->files, &set, err)
                             : !certificate_files_read(c->directory, false, &set, err))
        return false;
    if (c->files.ca && !set.ca) {
        error_set(err, ERROR_MISSING, "there is no CA in %.200s", c->files.ca);
    } else if (!set.certificate && !set.key) {
        error_set(err, ERROR_MISSING, "there is no certificate with its key in %.200s",
                  c->directory ? c->directory : c->files.certificate);
    } else if (pki_pair_read(set.certificate, set.key, &expires_at_ms, err)) {
        c->trouble = (struct error){0};
        if (pki_set_equal(&set, &c->set))
            pki_set_done(&set);
        else
            show(c, &set, true);
        return true;
    }
    pki_set_done(&set);
    return false;
}

/* What is there, or else what is made from it. keep NULL: in memory. */
static bool look_at_own(struct certificates *c, struct error *err)
{
    struct pki_set old = {0}, made;
    struct error why;
    int64_t now_ms = loop_now_ms(c->loop);

    if (c->set.certificate && pki_set_check(&c->set, &c->names, now_ms, &why))
        return true;
    if (c->kept_in && !certificate_files_read(c->kept_in, true, &old, err))
        return false;
    if (pki_set_check(&old, &c->names, now_ms, &why)) {
        show(c, &old, true);
        return true;
    }
    bool done = pki_set_renew(c->kept_in ? &old : &c->set, &c->names, now_ms, &made, err);
    pki_set_done(&old);
    if (done && c->kept_in && !certificate_files_write(c->kept_in, &made, err)) {
        pki_set_done(&made);
        done = false;
    }
    if (done)
        show(c, &made, true);
    return done;
}

static bool are_others(const struct certificates *c)
{
    return c->directory || c->files.certificate;
}

static void on_timer(void *arg)
{
    struct certificates *c = arg;
    struct error err;

    if (c->secret)
        certificate_secret_check(c->secret);
    else if (!(are_others(c) ? look_at_others(c, &err) : look_at_own(c, &err)))
        note_trouble(c, &err);
    loop_timer_set(c->timer, are_others(c) ? FILES_CHECK_MS : RENEW_CHECK_MS);
}

/* ------------------------------------------------------------------ the whole */

static void open_secret(struct certificates *c, const struct certificates_options *options)
{
    c->secret = certificate_secret_new(
        &(struct certificate_secret_options){.loop = c->loop,
                                             .kube = options->kube,
                                             .ns = options->ns ? options->ns : "default",
                                             .name = options->secret ? options->secret : "weir-certs",
                                             .names = &c->names,
                                             .changed = on_secret,
                                             .arg = c});
}

static bool begin(struct certificates *c, const struct certificates_options *options, struct error *err)
{
    if (!add_names(c, options, err))
        return false;
    if (options->kube && (options->api_service || options->webhook_configuration))
        c->injector = injector_new(&(struct injector_options){.loop = c->loop,
                                                              .kube = options->kube,
                                                              .api_service = options->api_service,
                                                              .webhook_configuration = options->webhook_configuration});
    if (c->files.certificate) {
        if (!look_at_others(c, err))
            return false;
    } else if (c->directory) {
        if (!look_at_others(c, err))
            note_trouble(c, err);
    } else if (options->kube) {
        open_secret(c, options);
    } else if (!look_at_own(c, err)) {
        return false;
    }
    loop_timer_set(c->timer, are_others(c) ? FILES_CHECK_MS : RENEW_CHECK_MS);
    return true;
}

bool certificates_new(const struct certificates_options *options, struct certificates **out, struct error *err)
{
    struct certificates *c = mem_alloc(sizeof(*c));

    c->loop = options->loop;
    c->arena = arena_new(ARENA_USUAL);
    c->directory = arena_copy(c->arena, options->directory);
    c->files = (struct certificate_paths){.ca = arena_copy(c->arena, options->ca_file),
                                          .certificate = arena_copy(c->arena, options->certificate_file),
                                          .key = arena_copy(c->arena, options->key_file)};
    c->kept_in = arena_copy(c->arena, options->kept_in);
    c->timer = loop_timer_new(c->loop, on_timer, c);
    if (!begin(c, options, err)) {
        certificates_free(c);
        return false;
    }
    *out = c;
    return true;
}

void certificates_free(struct certificates *c)
{
    if (!c)
        return;
    certificate_secret_free(c->secret);
    injector_free(c->injector);
    loop_timer_free(c->timer);
    watchers_done(&c->watchers);
    pki_set_done(&c->set);
    arena_free(c->arena);
    free(c);
}

bool certificates_view(const struct certificates *c, struct certificates_view *out)
{
    if (!c->set.certificate)
        return false;
    *out = (struct certificates_view){.certificate_pem = c->set.certificate,
                                      .key_pem = c->set.key,
                                      .ca_pem = c->set.ca ? c->set.ca : "",
                                      .expires_at_ms = c->expires_at_ms};
    return true;
}

struct watchers *certificates_watchers(struct certificates *c)
{
    return &c->watchers;
}

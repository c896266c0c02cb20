/*
 * kafka_kerberos: see kafka_kerberos.h.
 *
 *     worker thread                                 thread of the library, which has entered in its connect callback
 *     renew: password or keytab -> KDC -> ticket    sasl_client_new: gss_krb5_ccache_name(current)
 *            in a cache of a new name, current      then Cyrus SASL -> GSSAPI: the thread's cache -> ticket to the broker -> login
 *
 * GSSAPI keeps the name of a cache for each thread. Where that is set it looks nowhere else for tickets: neither in the process's own
 * cache nor in those of others. But where the cache of that name is gone, or its tickets have ended, it would turn to the client keytab of
 * whoever runs Weir. So the name is set anew for each login, none begins once the tickets have ended, and a cache that was replaced stays
 * for RETIRED_MS, longer than a login may last, and the last ones until the library's threads are gone.
 *
 * GSSAPI reads its krb5.conf by krb5_init_context(), as this program defines it (as net/egress_connect.c has connect()): on threads that have
 * entered that is the kerberosConfig of the trigger, where it has one, and never the process's. Nobody else calls it on such a thread: they
 * belong to one client of the library, and end with it.
 *
 * Cyrus SASL is asked for a connection through sasl_client_new(), likewise: where no protection of messages is wanted at all, which is what
 * librdkafka says by saying nothing, its module gets a credential for each step of a login and forgets all but the last, some 17 KB. So on
 * threads that have entered integrity is said to be welcome, and Kafka offers none.
 *
 * The library runs a command line for tickets of its own (kinit) unless it is told not to: kafka_handle.c does.
 */
#include "trigger/family/kafka_kerberos.h"

#include <dlfcn.h>
#include <errno.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <link.h>
#include <pthread.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/egress.h"
#include "trigger/common/pem_file.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_kdc.h"
#include "trigger/family/kafka_krb5conf.h"

enum {
    RETIRED_MS = 6 * KAFKA_TIMEOUT_MS,
    NAME_BYTES = 64, /* "MEMORY:" and six letters */
    /* Of a poll, which waits for KAFKA_QUEUE_MS, the broker gets KAFKA_TIMEOUT_MS; and of that a KDC in the middle of a login less, so that
       it is said why the login fails: before it the broker is dialled, and says what it speaks. */
    RENEW_PATIENCE_MS = KAFKA_QUEUE_MS - KAFKA_TIMEOUT_MS - 1000,
    LOGIN_PATIENCE_MS = KAFKA_TIMEOUT_MS - 1500,
};

static _Thread_local struct kafka_kerberos *entered; /* NULL: this thread is none of ours */

struct kept { /* a cache */
    krb5_ccache cache;
    char name[NAME_BYTES];
    int64_t until_ms; /* 0: it is the current one */
    struct kept *next;
};

struct kafka_kerberos {
    struct kafka_kdc *kdc; /* NULL: it never asked */
    krb5_context context;  /* the worker's */
    int64_t renew_at_ms;   /* the worker's */
    pthread_mutex_t lock;  /* what follows is read by the library's threads */
    struct kept *caches;   /* the current one first */
    int64_t ends_at_ms;    /* of its tickets */
};

bool kafka_kerberos_is_there(void)
{
    return true;
}

int64_t kafka_kerberos_fresh_ms(int64_t life_ms)
{
    return life_ms - life_ms / 5;
}

/* ------------------------------------------------------------------ what went wrong */

static enum error_kind kind_of(krb5_error_code code)
{
    switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
    case KRB5KDC_ERR_CLIENT_NOTYET:
    case KRB5KDC_ERR_CLIENT_REVOKED:
    case KRB5KDC_ERR_ETYPE_NOSUPP:
    case KRB5KDC_ERR_KEY_EXP:
    case KRB5KDC_ERR_POLICY:
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5_KDCREP_SKEW:
    case KRB5_KT_NOTFOUND:
    case KRB5_PREAUTH_FAILED:
        return ERROR_DENIED;
    case EAGAIN: /* the name of a KDC */
    case KRB5KDC_ERR_SVC_UNAVAILABLE:
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_CANT_RESOLVE:
        return ERROR_UNREACHABLE;
    default:
        return ERROR_INVALID;
    }
}

static bool fail(const struct kafka_kerberos *kerberos, krb5_error_code code, const struct kafka_access *a,
                 struct error *err)
{
    const char *why = krb5_get_error_message(kerberos->context, code);

    error_set(err, kind_of(code), "no Kerberos ticket for %.80s@%.80s: %.120s%s", a->username, a->realm, why,
              code != KRB5_REALM_UNKNOWN          ? ""
              : kafka_kdc_has_conf(kerberos->kdc) ? " (kerberosConfig has no kdc for it)"
                                                  : " (realms are those in the krb5.conf of whoever runs Weir)");
    krb5_free_error_message(kerberos->context, why);
    return false;
}

/* ------------------------------------------------------------------ asking for a ticket */

static krb5_error_code principal_of(krb5_context context, const struct kafka_access *a, krb5_principal *out)
{
    krb5_error_code code = krb5_parse_name_flags(context, a->username, KRB5_PRINCIPAL_PARSE_NO_REALM, out);

    return code ? code : krb5_set_principal_realm(context, *out, a->realm);
}

static krb5_error_code ask_with_keytab(krb5_context context, krb5_principal who, const char *path,
                                       krb5_get_init_creds_opt *options, krb5_creds *out)
{
    krb5_keytab keytab;
    char name[64];
    krb5_error_code code;

    snprintf(name, sizeof(name), "FILE:%s", path);
    code = krb5_kt_resolve(context, name, &keytab);
    if (code)
        return code;
    code = krb5_get_init_creds_keytab(context, out, who, keytab, 0, NULL, options);
    krb5_kt_close(context, keytab);
    return code;
}

/* The cache takes the ticket. No questions are asked of anybody (no prompter): a password that has ended is an error. */
static krb5_error_code ask(krb5_context context, const struct kafka_access *a, const struct pem_file *keytab,
                           krb5_ccache cache, int64_t *life_ms)
{
    krb5_get_init_creds_opt *options = NULL;
    krb5_principal who = NULL;
    krb5_creds creds = {0};
    krb5_error_code code = principal_of(context, a, &who);

    if (!code)
        code = krb5_get_init_creds_opt_alloc(context, &options);
    if (!code)
        code = krb5_get_init_creds_opt_set_out_ccache(context, options, cache);
    if (!code && keytab->fd >= 0)
        code = ask_with_keytab(context, who, keytab->path, options, &creds);
    else if (!code)
        code = krb5_get_init_creds_password(context, &creds, who, secret_reveal(a->password), NULL, NULL, 0, NULL,
                                            options);
    if (!code) /* seconds of 32 bits, which are to be read without a sign once they are large */
        *life_ms = ((int64_t)(uint32_t)creds.times.endtime -
                    (uint32_t)(creds.times.starttime ? creds.times.starttime : creds.times.authtime)) *
                   1000;
    krb5_free_cred_contents(context, &creds);
    krb5_get_init_creds_opt_free(context, options);
    krb5_free_principal(context, who);
    return code;
}

static krb5_error_code name_of(krb5_context context, krb5_ccache cache, char *out)
{
    char *full;
    krb5_error_code code = krb5_cc_get_full_name(context, cache, &full);

    if (code)
        return code;
    snprintf(out, NAME_BYTES, "%s", full);
    krb5_free_string(context, full);
    return strlen(out) < NAME_BYTES - 1 ? 0 : KRB5_CC_BADNAME;
}

static bool why_not(const struct kafka_kerberos *kerberos, krb5_error_code code, const struct kafka_access *a,
                    struct error *err)
{
    const char *refused;

    if (code != KRB5_KDC_UNREACH || !kafka_kdc_is_away(kerberos->kdc, &refused) || !refused)
        return fail(kerberos, code, a, err);
    failure_egress(err, "a KDC of the realm", refused);
    return false;
}

/* A cache with a ticket in it; NULL: *err says why there is none. */
static struct kept *fetch(struct kafka_kerberos *kerberos, const struct kafka_access *a, const struct pem_file *keytab,
                          int64_t *life_ms, struct error *err)
{
    krb5_context context = kerberos->context;
    struct kept *kept = mem_alloc(sizeof(*kept));
    krb5_error_code code = krb5_cc_new_unique(context, "MEMORY", NULL, &kept->cache);

    if (code) {
        fail(kerberos, code, a, err);
        free(kept);
        return NULL;
    }
    code = name_of(context, kept->cache, kept->name);
    egress_turn_elsewhere(NULL);
    kafka_kdc_wait(RENEW_PATIENCE_MS);
    if (!code)
        code = ask(context, a, keytab, kept->cache, life_ms);
    egress_turn_back();
    if (!code)
        return kept;
    why_not(kerberos, code, a, err);
    kafka_kdc_forget(kerberos->kdc);
    krb5_cc_destroy(context, kept->cache);
    free(kept);
    return NULL;
}

/* ------------------------------------------------------------------ keeping it */

struct kafka_kerberos *kafka_kerberos_new(void)
{
    struct kafka_kerberos *kerberos = mem_alloc(sizeof(*kerberos));

    pthread_mutex_init(&kerberos->lock, NULL);
    return kerberos;
}

/* All that may go: at the end, everything. */
static void drop_caches(struct kafka_kerberos *kerberos, int64_t now_ms, bool all)
{
    struct kept **at = &kerberos->caches, *kept;

    while ((kept = *at) != NULL) {
        if (!all && (kept->until_ms == 0 || now_ms < kept->until_ms)) {
            at = &kept->next;
            continue;
        }
        *at = kept->next;
        krb5_cc_destroy(kerberos->context, kept->cache); /* wipes the keys in it */
        free(kept);
    }
}

void kafka_kerberos_end(struct kafka_kerberos *kerberos)
{
    if (!kerberos)
        return;
    pthread_mutex_lock(&kerberos->lock);
    kerberos->ends_at_ms = 0;
    pthread_mutex_unlock(&kerberos->lock);
}

void kafka_kerberos_free(struct kafka_kerberos *kerberos)
{
    if (!kerberos)
        return;
    drop_caches(kerberos, 0, true);
    if (kerberos->context)
        krb5_free_context(kerberos->context);
    kafka_kdc_free(kerberos->kdc);
    pthread_mutex_destroy(&kerberos->lock);
    free(kerberos);
}

static void keep(struct kafka_kerberos *kerberos, struct kept *kept, int64_t now_ms, int64_t life_ms)
{
    pthread_mutex_lock(&kerberos->lock);
    if (kerberos->caches)
        kerberos->caches->until_ms = now_ms + RETIRED_MS;
    kept->next = kerberos->caches;
    kerberos->caches = kept;
    drop_caches(kerberos, now_ms, false);
    kerberos->ends_at_ms = now_ms + life_ms;
    pthread_mutex_unlock(&kerberos->lock);
    kerberos->renew_at_ms = now_ms + kafka_kerberos_fresh_ms(life_ms);
}

/* NULL: that of the process counts. false: *err says what is wrong with it. */
static bool read_conf(const struct kafka_access *a, struct kafka_krb5conf **out, struct error *err)
{
    const char *text = a->kerberos_config ? secret_reveal(a->kerberos_config) : "";

    *out = kafka_krb5conf_is_empty(text) ? NULL : kafka_krb5conf_read(text, a->realm, err);
    return *out || kafka_krb5conf_is_empty(text);
}

static bool open_context(struct kafka_kerberos *kerberos, const struct kafka_access *a, struct error *err)
{
    struct kafka_krb5conf *conf;
    const char *why;
    krb5_error_code code;

    if (kerberos->context)
        return true;
    if (!kerberos->kdc) {
        if (!read_conf(a, &conf, err))
            return false;
        kerberos->kdc = kafka_kdc_new(conf);
        kafka_krb5conf_unref(conf);
    }
    code = kafka_kdc_context(kerberos->kdc, &kerberos->context);
    if (!code)
        return true;
    kerberos->context = NULL;
    why = krb5_get_error_message(NULL, code);
    error_set(err, ERROR_INVALID, "%s cannot be used: %.200s",
              kafka_kdc_has_conf(kerberos->kdc) ? "kerberosConfig" : "the krb5.conf of whoever runs Weir", why);
    krb5_free_error_message(NULL, why);
    return false;
}

static bool renew_now(struct kafka_kerberos *kerberos, const struct kafka_access *a, int64_t now_ms, struct error *err)
{
    struct pem_file keytab = {.fd = -1};
    struct kept *kept;
    int64_t life_ms = 0;

    if (!open_context(kerberos, a, err) ||
        (a->keytab && !pem_file_open_bytes(&keytab, secret_reveal(a->keytab), secret_length(a->keytab), "keytab", err)))
        return false;
    kept = fetch(kerberos, a, &keytab, &life_ms, err);
    pem_file_close(&keytab);
    if (kept)
        keep(kerberos, kept, now_ms, life_ms);
    return kept != NULL;
}

bool kafka_kerberos_renew(struct kafka_kerberos *kerberos, const struct kafka_access *access, struct error *err)
{
    int64_t now_ms = kafka_now_ms(), left_ms = kerberos->ends_at_ms - now_ms;
    struct error why;

    if (kerberos->caches && now_ms < kerberos->renew_at_ms)
        return true;
    if (renew_now(kerberos, access, now_ms, &why))
        return true;
    if (!kerberos->caches || left_ms <= 0) {
        *err = why;
        return false;
    }
    kerberos->renew_at_ms =
        now_ms + left_ms - kafka_kerberos_fresh_ms(left_ms); /* a KDC that is away costs a poll its time */
    return true;
}

/* ------------------------------------------------------------------ on the library's threads */

static int find_heimdal(struct dl_phdr_info *library, size_t size, void *found)
{
    const char *slash = strrchr(library->dlpi_name, '/');

    (void)size;
    *(bool *)found = string_starts(slash ? slash + 1 : library->dlpi_name, "libgssapi.so."); /* MIT's: libgssapi_krb5 */
    return *(bool *)found;
}

static bool is_heimdal(void)
{
    bool found = false;

    dl_iterate_phdr(find_heimdal, &found);
    return found;
}

bool kafka_kerberos_is_ours(struct error *err)
{
    return !is_heimdal() ||
           error_set(
               err, ERROR_INVALID,
               "sasl: gssapi needs MIT's module of Cyrus SASL, and Heimdal's is installed: it would sign in with the "
               "tickets of the process (Debian: libsasl2-modules-gssapi-mit)");
}

/* The name of the cache with tickets that are good now; false: there is none. */
static bool name_now(struct kafka_kerberos *kerberos, char out[NAME_BYTES])
{
    bool good;

    pthread_mutex_lock(&kerberos->lock);
    good = kerberos->caches && kafka_now_ms() < kerberos->ends_at_ms;
    if (good)
        memcpy(out, kerberos->caches->name, NAME_BYTES);
    pthread_mutex_unlock(&kerberos->lock);
    return good;
}

bool kafka_kerberos_enter(struct kafka_kerberos *kerberos)
{
    char name[NAME_BYTES];

    entered = name_now(kerberos, name) && !is_heimdal() ? kerberos : NULL;
    return entered != NULL;
}

bool kafka_kerberos_lacks_kdc(const struct kafka_kerberos *kerberos, const char **refused)
{
    return kerberos->kdc && kafka_kdc_is_away(kerberos->kdc, refused);
}

/* A login begins on this thread: with the tickets that are current now. */
static bool take_tickets(struct kafka_kerberos *kerberos)
{
    char name[NAME_BYTES];
    OM_uint32 minor;

    return name_now(kerberos, name) && gss_krb5_ccache_name(&minor, name, NULL) == GSS_S_COMPLETE;
}

/* Under the name that GSSAPI calls. */
krb5_error_code krb5_init_context(krb5_context *out)
{
    char name[NAME_BYTES];

    if (!entered)
        return krb5_init_context_profile(NULL, 0, out);
    kafka_kdc_wait(name_now(entered, name) ? LOGIN_PATIENCE_MS : 0);
    return kafka_kdc_context(entered->kdc, out);
}

/* Under the name that librdkafka calls. */
int sasl_client_new(const char *service, const char *host, const char *local, const char *remote,
                    const sasl_callback_t *callbacks, unsigned flags, sasl_conn_t **out)
{
    int (*real)(const char *, const char *, const char *, const char *, const sasl_callback_t *, unsigned,
                sasl_conn_t **);
    const sasl_security_properties_t welcome = {.max_ssf = 1, .maxbufsize = 65536};
    int code;

    if (entered && !take_tickets(entered))
        return SASL_FAIL;
    *(void **)&real = dlsym(RTLD_NEXT, "sasl_client_new");
    code = real ? real(service, host, local, remote, callbacks, flags, out) : SASL_FAIL;
    if (code == SASL_OK && entered)
        sasl_setprop(*out, SASL_SEC_PROPS, &welcome);
    return code;
}

/*
 * tls: a TLS identity as OpenSSL wants it. PEM is parsed once for each different identity and kept while it is in use, because
 * reading a key costs more than a whole poll.
 *
 * A profile trusts the system's pool, what lies in the --ca-dir folders, and its own CA in addition (_common.md 7); or its own CA
 * only, as clients of the Kubernetes API do. Profiles without a CA of their own share one store. Two profiles never share a connection: each has a number that no other ever
 * gets, and the HTTP client makes it part of what connections are told apart by.
 */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/net_internal.h"

struct tls_profile {
    struct tls_profile *next;
    struct tls_pool *pool;
    uint64_t number;
    unsigned references;
    const struct tls_identity *seen_at; /* where the identity stood last time: only a hint of where to compare first */
    struct tls_identity identity;       /* a copy */
    X509_STORE *store;                  /* NULL: the pool's */
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    SSL_CTX *context; /* for streams, made when first needed */
};

struct tls_pool {
    struct tls_profile *profiles; /* lately used first */
    size_t count;
    uint64_t last_number;
    int min_version;
    STACK_OF(X509) * extra; /* from the --ca-dir folders */
    X509_STORE *store;      /* the system's and extra; read when it is needed first: it takes half a MiB */
};

/* ---- PEM ---- */
static BIO *open_pem(const char *bytes, size_t length)
{
    BIO *bio = length <= INT32_MAX ? BIO_new_mem_buf(bytes, (int)length) : NULL;

    ERR_clear_error();
    return bio;
}

/* All certificates of a text, in order. */
size_t tls_read_certificates(const char *pem, size_t length, STACK_OF(X509) * out)
{
    BIO *bio = open_pem(pem, length);
    X509 *certificate;
    size_t count = 0;

    while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        sk_X509_push(out, certificate);
        count++;
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static int give_password(char *buffer, int size, int writing, void *arg)
{
    const struct secret *password = arg;

    (void)writing;
    if (!password || secret_length(password) > (size_t)size)
        return -1;
    memcpy(buffer, secret_reveal(password), secret_length(password));
    return (int)secret_length(password);
}

EVP_PKEY *tls_read_key(const struct secret *pem, const struct secret *password)
{
    BIO *bio = open_pem(secret_reveal(pem), secret_length(pem));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *)password) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

/* ---- the pool of trust ---- */
static void read_ca_file(const char *path, STACK_OF(X509) * out)
{
    FILE *file = fopen(path, "re");
    struct text pem;
    char chunk[4096];
    size_t got;

    if (!file)
        return;
    text_init(&pem, MANIFEST_FILE_MAX_BYTES);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0 && text_append(&pem, chunk, got))
        ;
    tls_read_certificates(pem.bytes, pem.length, out);
    text_done(&pem);
    fclose(file);
}

/* A folder that does not exist is none; names starting with ".." are Kubernetes' own (_common.md 7). */
static void read_ca_directory(const char *path, STACK_OF(X509) * out)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        char name[4096];
        struct stat about;

        if (strncmp(entry->d_name, "..", 2) == 0 || strcmp(entry->d_name, ".") == 0)
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name && stat(name, &about) == 0 &&
            S_ISREG(about.st_mode))
            read_ca_file(name, out);
    }
    if (directory)
        closedir(directory);
}

static void add_all(X509_STORE *store, const STACK_OF(X509) * certificates)
{
    for (int i = 0; i < sk_X509_num(certificates); i++)
        X509_STORE_add_cert(store, sk_X509_value(certificates, i));
}

static X509_STORE *new_store(const struct tls_pool *pool, bool empty)
{
    X509_STORE *store = X509_STORE_new();

    assert(store);
    if (empty)
        return store;
    X509_STORE_set_default_paths(store); /* SSL_CERT_FILE and SSL_CERT_DIR are honoured */
    add_all(store, pool->extra);
    ERR_clear_error();
    return store;
}

static X509_STORE *store_of(const struct tls_profile *profile)
{
    struct tls_pool *pool = profile->pool;

    if (profile->store)
        return profile->store;
    if (!pool->store)
        pool->store = new_store(pool, false);
    return pool->store;
}

/* An unknown value is the default, as in KEDA; `lint` of the environment is the command line's business. */
static int min_version_from_environment(void)
{
    static const struct {
        const char *name;
        int version;
    } versions[] = {
        {"TLS10", TLS1_VERSION}, {"TLS11", TLS1_1_VERSION}, {"TLS12", TLS1_2_VERSION}, {"TLS13", TLS1_3_VERSION}};
    const char *wanted = getenv("KEDA_HTTP_MIN_TLS_VERSION");

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (string_equal(wanted, versions[i].name))
            return versions[i].version;
    return TLS1_2_VERSION;
}

struct tls_pool *tls_pool_new(const char *const *ca_directories)
{
    struct tls_pool *pool = mem_alloc(sizeof *pool);

    pool->min_version = min_version_from_environment();
    pool->extra = sk_X509_new_null();
    for (; ca_directories && *ca_directories; ca_directories++)
        read_ca_directory(*ca_directories, pool->extra);
    return pool;
}

/* ---- profiles ---- */
static void free_profile(struct tls_profile *profile)
{
    free((char *)profile->identity.ca_pem);
    free((char *)profile->identity.certificate_pem);
    free((char *)profile->identity.server_name);
    secret_unref((struct secret *)profile->identity.key_pem);
    secret_unref((struct secret *)profile->identity.key_password);
    X509_STORE_free(profile->store);
    X509_free(profile->certificate);
    sk_X509_pop_free(profile->chain, X509_free);
    EVP_PKEY_free(profile->key);
    SSL_CTX_free(profile->context);
    free(profile);
}

void tls_pool_free(struct tls_pool *pool)
{
    if (!pool)
        return;
    while (pool->profiles) {
        struct tls_profile *profile = pool->profiles;

        assert(profile->references == 0);
        pool->profiles = profile->next;
        free_profile(profile);
    }
    sk_X509_pop_free(pool->extra, X509_free);
    X509_STORE_free(pool->store);
    free(pool);
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return a == b || (a && b && secret_equal(a, b));
}

static bool same_identity(const struct tls_identity *a, const struct tls_identity *b)
{
    return a->insecure == b->insecure && a->only_ca == b->only_ca && string_equal(a->ca_pem, b->ca_pem) &&
           string_equal(a->certificate_pem, b->certificate_pem) && string_equal(a->server_name, b->server_name) &&
           same_secret(a->key_pem, b->key_pem) && same_secret(a->key_password, b->key_password);
}

static void forget_unused(struct tls_pool *pool)
{
    for (struct tls_profile **at = &pool->profiles; *at;) {
        struct tls_profile *profile = *at;

        if (profile->references > 0) {
            at = &profile->next;
            continue;
        }
        *at = profile->next;
        pool->count--;
        free_profile(profile);
    }
}

static bool load_client(struct tls_profile *profile, struct error *err)
{
    const struct tls_identity *identity = &profile->identity;

    if (!identity->certificate_pem || !*identity->certificate_pem || !identity->key_pem)
        return true; /* used only when both are there (_common.md 7) */
    profile->chain = sk_X509_new_null();
    if (tls_read_certificates(identity->certificate_pem, strlen(identity->certificate_pem), profile->chain) == 0)
        return error_set(err, ERROR_INVALID,
                         "the TLS client certificate has no certificate in PEM form; "
                         "it starts with -----BEGIN CERTIFICATE-----");
    profile->certificate = sk_X509_shift(profile->chain);
    profile->key = tls_read_key(identity->key_pem, identity->key_password);
    if (!profile->key)
        return error_set(err, ERROR_INVALID, "the TLS client key cannot be read as PEM%s",
                         identity->key_password ? ", or its password is wrong"
                                                : "; if it is encrypted, give the password");
    if (X509_check_private_key(profile->certificate, profile->key) != 1) {
        ERR_clear_error();
        return error_set(err, ERROR_INVALID,
                         "the TLS client key does not belong to the client certificate; "
                         "take both from the same Secret");
    }
    return true;
}

static bool load_trust(struct tls_profile *profile, struct error *err)
{
    STACK_OF(X509) * certificates;
    const char *pem = profile->identity.ca_pem;

    if (!pem || !*pem)
        return true; /* the pool's */
    certificates = sk_X509_new_null();
    if (tls_read_certificates(pem, strlen(pem), certificates) > 0) {
        profile->store = new_store(profile->pool, profile->identity.only_ca);
        add_all(profile->store, certificates);
        ERR_clear_error(); /* the same certificate twice is no mistake */
    }
    sk_X509_pop_free(certificates, X509_free);
    return profile->store || error_set(err, ERROR_INVALID,
                                       "the TLS ca has no certificate in PEM form; "
                                       "it starts with -----BEGIN CERTIFICATE-----");
}

static const char *copy_or_null(const char *string)
{
    return string ? mem_copy(string) : NULL;
}

static bool load_profile(struct tls_pool *pool, const struct tls_identity *identity, struct tls_profile **out,
                         struct error *err)
{
    struct tls_profile *profile = mem_alloc(sizeof *profile);

    profile->pool = pool;
    profile->number = ++pool->last_number;
    profile->identity.insecure = identity->insecure;
    profile->identity.only_ca = identity->only_ca;
    profile->identity.ca_pem = copy_or_null(identity->ca_pem);
    profile->identity.certificate_pem = copy_or_null(identity->certificate_pem);
    profile->identity.server_name = copy_or_null(identity->server_name);
    profile->identity.key_pem = identity->key_pem ? secret_ref((struct secret *)identity->key_pem) : NULL;
    profile->identity.key_password =
        identity->key_password ? secret_ref((struct secret *)identity->key_password) : NULL;
    if (!load_trust(profile, err) || !load_client(profile, err)) {
        free_profile(profile);
        return false;
    }
    *out = profile;
    return true;
}

static struct tls_profile **find(struct tls_pool *pool, const struct tls_identity *identity)
{
    for (struct tls_profile **at = &pool->profiles; *at; at = &(*at)->next)
        if ((*at)->seen_at == identity && same_identity(&(*at)->identity, identity))
            return at;
    for (struct tls_profile **at = &pool->profiles; *at; at = &(*at)->next)
        if (same_identity(&(*at)->identity, identity))
            return at;
    return NULL;
}

bool tls_profile_get(struct tls_pool *pool, const struct tls_identity *identity, struct tls_profile **out,
                     struct error *err)
{
    static const struct tls_identity nothing_special;
    struct tls_profile **at, *profile;

    if (!identity)
        identity = &nothing_special;
    at = find(pool, identity);
    if (at) {
        profile = *at;
        *at = profile->next;
    } else {
        if (pool->count >= TLS_PROFILES_KEPT)
            forget_unused(pool);
        if (!load_profile(pool, identity, &profile, err))
            return false;
        pool->count++;
    }
    profile->seen_at = identity;
    profile->next = pool->profiles;
    pool->profiles = profile;
    profile->references++;
    *out = profile;
    return true;
}

void tls_profile_unref(struct tls_profile *profile)
{
    if (!profile)
        return;
    assert(profile->references > 0);
    profile->references--;
}

uint64_t tls_profile_number(const struct tls_profile *profile)
{
    return profile->number;
}

bool tls_profile_insecure(const struct tls_profile *profile)
{
    return profile->identity.insecure;
}

const char *tls_profile_server_name(const struct tls_profile *profile)
{
    const char *name = profile->identity.server_name;

    return name && *name ? name : NULL;
}

/* ---- contexts and connections ---- */
bool tls_profile_apply(const struct tls_profile *profile, SSL_CTX *context)
{
    SSL_CTX_set1_cert_store(context, store_of(profile));
    if (SSL_CTX_set_min_proto_version(context, profile->pool->min_version) != 1)
        return false;
    if (!profile->certificate)
        return true;
    if (SSL_CTX_use_certificate(context, profile->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, profile->key) != 1)
        return false;
    for (int i = 0; i < sk_X509_num(profile->chain); i++)
        if (SSL_CTX_add1_chain_cert(context, sk_X509_value(profile->chain, i)) != 1)
            return false;
    return true;
}

static SSL_CTX *context_of(struct tls_profile *profile)
{
    SSL_CTX *context = profile->context;

    if (context)
        return context;
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !tls_profile_apply(profile, context)) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, profile->identity.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    profile->context = context;
    return context;
}

SSL *tls_profile_connect(struct tls_profile *profile, const char *host)
{
    SSL_CTX *context = context_of(profile);
    SSL *ssl = context ? SSL_new(context) : NULL;
    unsigned char address[sizeof(struct in6_addr)];

    if (!ssl)
        return NULL;
    if (tls_profile_server_name(profile))
        host = tls_profile_server_name(profile);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    } else {
        SSL_set_tlsext_host_name(ssl, host);
        SSL_set1_host(ssl, host);
    }
    return ssl;
}

bool tls_context_prepare(SSL_CTX *context, const struct tls_identity *identity, const char *host, struct error *err)
{
    struct tls_pool *pool = tls_pool_new(NULL);
    X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(context);
    struct tls_profile *profile = NULL;
    bool good = tls_profile_get(pool, identity, &profile, err);

    if (good && !tls_profile_apply(profile, context))
        good = error_set(err, ERROR_INVALID, "the TLS client certificate cannot be used");
    if (good && !identity->insecure) {
        if (identity->server_name && *identity->server_name)
            host = identity->server_name;
        if (X509_VERIFY_PARAM_set1_ip_asc(rules, host) != 1)
            X509_VERIFY_PARAM_set1_host(rules, host, 0);
    }
    ERR_clear_error();
    tls_profile_unref(profile);
    tls_pool_free(pool);
    return good;
}

void tls_reason(const SSL *ssl, char *out, size_t size)
{
    long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    if (verified != X509_V_OK)
        snprintf(out, size, "%s", X509_verify_cert_error_string(verified));
    else
        snprintf(out, size, "%s", reason ? reason : "the handshake was broken off");
    ERR_clear_error();
}

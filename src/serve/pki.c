/*
 * pki: keys and certificates that Weir makes for itself: an authority for ten years, and under it a server's certificate for one year
 * (keda-operator/06 3), both with ECDSA keys on P-256, made in a millisecond. Reads no clock; only randomness comes from outside.
 *
 * The authority is kept as long as it outlives what it signs, so that what clients trust does not change with each renewal. When it
 * is replaced, the old one stays behind the new in ca.crt, for servers that have not changed yet.
 */
#include "serve/cluster_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"

enum { SERIAL_BYTES = 16, COMMON_NAME_MAX = 64 /* of X.520 */, EARLIER_MS = 3600 * 1000 /* clocks that are behind */ };

static bool openssl_failed(struct error *err, const char *what)
{
    char reason[160];

    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    return error_set(err, ERROR_INTERNAL, "%s: %s", what, reason);
}

/* ------------------------------------------------------------------ PEM */

static BIO *open_bytes(const char *bytes, size_t length)
{
    return BIO_new_mem_buf(bytes, (int)length);
}

static int no_password(char *buffer, int size, int writing, void *arg)
{
    (void)buffer, (void)size, (void)writing, (void)arg;
    return -1; /* a key with a password is not read, rather than asked for on the terminal */
}

static X509 *read_certificate(const char *pem)
{
    BIO *bio = pem && strlen(pem) <= CERTIFICATE_MAX_BYTES ? open_bytes(pem, strlen(pem)) : NULL;
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

static EVP_PKEY *read_key(const struct secret *pem)
{
    BIO *bio =
        pem && secret_length(pem) <= CERTIFICATE_MAX_BYTES ? open_bytes(secret_reveal(pem), secret_length(pem)) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static char *write_certificate(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *pem = NULL;
    long length;

    if (bio && PEM_write_bio_X509(bio, certificate) == 1) {
        length = BIO_get_mem_data(bio, &bytes);
        pem = mem_alloc((size_t)length + 1);
        memcpy(pem, bytes, (size_t)length);
    }
    BIO_free(bio);
    return pem;
}

static struct secret *write_key(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    struct secret *pem = NULL;
    char *bytes;
    long length;

    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        length = BIO_get_mem_data(bio, &bytes);
        pem = secret_new(bytes, (size_t)length);
    }
    BIO_free(bio);
    return pem;
}

/* ------------------------------------------------------------------ making one */

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool set;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return set;
}

static bool set_times(X509 *certificate, int64_t now_ms, int64_t span_ms)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)((now_ms - EARLIER_MS) / 1000)) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)((now_ms + span_ms) / 1000));
}

static bool set_subject(X509 *certificate, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"weir.dev", -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return added;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool add_name(GENERAL_NAMES *names, const char *name)
{
    GENERAL_NAME *general = NULL;

    if (is_address(name)) {
        general = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, name, 0);
    } else {
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();

        general = GENERAL_NAME_new();
        if (text && general && ASN1_STRING_set(text, name, -1) == 1)
            GENERAL_NAME_set0_value(general, GEN_DNS, text);
    }
    return general && sk_GENERAL_NAME_push(names, general) > 0;
}

/* Not by a text: a name with a comma in it would become two. */
static bool add_names(X509 *certificate, const struct pki_names *names)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    bool added = all != NULL;

    for (size_t i = 0; added && i < names->count; i++)
        added = add_name(all, names->list[i]);
    added = added && X509_add1_ext_i2d(certificate, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(all);
    return added;
}

static bool add_extensions(X509 *certificate, X509 *issuer, const struct pki_names *names)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    if (!names)
        return add_extension(certificate, &context, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(certificate, &context, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature") &&
               add_extension(certificate, &context, NID_subject_key_identifier, "hash");
    return add_extension(certificate, &context, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, &context, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, &context, NID_ext_key_usage, "serverAuth,clientAuth") &&
           add_extension(certificate, &context, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always") &&
           add_names(certificate, names);
}

/* An authority where names is NULL; it signs itself. */
static bool fill(X509 *certificate, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const struct pki_names *names,
                 int64_t now_ms)
{
    const char *common_name = !names ? "weir-ca" : strlen(names->list[0]) <= COMMON_NAME_MAX ? names->list[0] : "weir";

    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_times(certificate, now_ms, names ? PKI_SERVER_MS : PKI_CA_MS) && set_subject(certificate, common_name) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
           X509_set_pubkey(certificate, key) == 1 && add_extensions(certificate, issuer, names) &&
           X509_sign(certificate, issuer_key, EVP_sha256()) > 0;
}

/* issuer NULL: an authority. */
static bool make(X509 *issuer, EVP_PKEY *issuer_key, const struct pki_names *names, int64_t now_ms, char **pem,
                 struct secret **key_pem, struct error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    char *written = NULL;
    struct secret *written_key = NULL;

    if (key && certificate &&
        fill(certificate, key, issuer ? issuer : certificate, issuer ? issuer_key : key, names, now_ms)) {
        written = write_certificate(certificate);
        written_key = write_key(key);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!written || !written_key) {
        free(written);
        secret_unref(written_key);
        return openssl_failed(err, "a certificate cannot be made");
    }
    *pem = written;
    *key_pem = written_key;
    return true;
}

/* ------------------------------------------------------------------ looking at one */

static bool time_of(const ASN1_TIME *time, int64_t *at_ms)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *at_ms = civil_to_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec) * 1000;
    return true;
}

static int64_t ends_at_ms(const X509 *certificate)
{
    int64_t at_ms;

    return time_of(X509_get0_notAfter(certificate), &at_ms) ? at_ms : 0;
}

/* One that was made while the clock was ahead would be refused by everybody until that time comes. */
static bool has_begun(const X509 *certificate, int64_t now_ms)
{
    int64_t at_ms;

    return time_of(X509_get0_notBefore(certificate), &at_ms) && at_ms <= now_ms;
}

bool pki_pair_read(const char *certificate_pem, const struct secret *key_pem, int64_t *expires_at_ms, struct error *err)
{
    X509 *certificate = read_certificate(certificate_pem);
    EVP_PKEY *key = read_key(key_pem);
    bool fits = certificate && key && X509_check_private_key(certificate, key) == 1;

    if (!certificate)
        error_set(err, ERROR_INVALID, "it holds no certificate in PEM");
    else if (!key)
        error_set(err, ERROR_INVALID, "its key cannot be read: it must be in PEM, without a password");
    else if (!fits)
        error_set(err, ERROR_INVALID, "its key belongs to another certificate");
    else
        *expires_at_ms = ends_at_ms(certificate);
    ERR_clear_error();
    X509_free(certificate);
    EVP_PKEY_free(key);
    return fits;
}

static bool has_name(X509 *certificate, const char *name)
{
    if (is_address(name))
        return X509_check_ip_asc(certificate, name, 0) == 1;
    return X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static bool has_names(X509 *certificate, const struct pki_names *names, struct error *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!has_name(certificate, names->list[i]))
            return error_set(err, ERROR_INVALID, "it is not for %.200s", names->list[i]);
    return true;
}

bool pki_set_check(const struct pki_set *set, const struct pki_names *names, int64_t now_ms, struct error *err)
{
    X509 *authority = read_certificate(set->ca), *certificate = NULL;
    EVP_PKEY *authority_key = authority ? X509_get0_pubkey(authority) : NULL;
    int64_t expires_at_ms;
    bool good = false;

    if (!authority_key)
        error_set(err, ERROR_INVALID, "its authority holds no certificate in PEM");
    else if (pki_pair_read(set->certificate, set->key, &expires_at_ms, err)) {
        certificate = read_certificate(set->certificate);
        if (expires_at_ms - now_ms < PKI_RENEW_MS)
            error_set(err, ERROR_INVALID, "less than 90 days remain of it");
        else if (!has_begun(certificate, now_ms) || !has_begun(authority, now_ms))
            error_set(err, ERROR_INVALID, "it begins in the future: it was made while a clock was wrong");
        else if (ends_at_ms(authority) < expires_at_ms)
            error_set(err, ERROR_INVALID, "its authority ends before it");
        else if (X509_verify(certificate, authority_key) != 1)
            error_set(err, ERROR_INVALID, "it is not signed by its authority");
        else
            good = has_names(certificate, names, err);
    }
    ERR_clear_error();
    X509_free(certificate);
    X509_free(authority);
    return good;
}

/* ------------------------------------------------------------------ renewing */

/* Can the authority sign for another year? */
static bool authority_serves(const struct pki_set *old, int64_t now_ms, X509 **authority, EVP_PKEY **key)
{
    int64_t ends;
    X509 *read;

    if (!pki_pair_read(old->ca, old->ca_key, &ends, NULL) || ends - now_ms < PKI_SERVER_MS + PKI_RENEW_MS)
        return false;
    read = read_certificate(old->ca);
    if (X509_check_ca(read) != 1 || !has_begun(read, now_ms)) {
        X509_free(read);
        return false;
    }
    *authority = read;
    *key = read_key(old->ca_key);
    return true;
}

/* The new authority, and the one before it. */
static char *with_old_authority(const char *pem, const struct pki_set *old)
{
    X509 *before = old ? read_certificate(old->ca) : NULL;
    char *before_pem = before ? write_certificate(before) : NULL;
    struct text both;
    char *taken;

    text_init(&both, 2 * CERTIFICATE_MAX_BYTES);
    text_add(&both, pem);
    text_add(&both, before_pem);
    taken = text_take(&both);
    text_done(&both);
    free(before_pem);
    X509_free(before);
    return taken;
}

static bool renew_authority(const struct pki_set *old, int64_t now_ms, struct pki_set *out, X509 **authority,
                            EVP_PKEY **key, struct error *err)
{
    char *pem = NULL;

    if (old && authority_serves(old, now_ms, authority, key)) {
        out->ca = mem_copy(old->ca);
        out->ca_key = secret_ref(old->ca_key);
        return true;
    }
    if (!make(NULL, NULL, NULL, now_ms, &pem, &out->ca_key, err))
        return false;
    out->ca = with_old_authority(pem, old);
    free(pem);
    *authority = read_certificate(out->ca);
    *key = read_key(out->ca_key);
    assert(*authority && *key);
    return true;
}

bool pki_set_renew(const struct pki_set *old, const struct pki_names *names, int64_t now_ms, struct pki_set *out,
                   struct error *err)
{
    struct pki_set made = {0};
    X509 *authority = NULL;
    EVP_PKEY *authority_key = NULL;
    bool renewed;

    assert(names->count > 0);
    renewed = renew_authority(old, now_ms, &made, &authority, &authority_key, err) &&
              make(authority, authority_key, names, now_ms, &made.certificate, &made.key, err);
    X509_free(authority);
    EVP_PKEY_free(authority_key);
    if (renewed)
        *out = made;
    else
        pki_set_done(&made);
    return renewed;
}

/* ------------------------------------------------------------------ sets */

void pki_set_done(struct pki_set *set)
{
    free(set->ca);
    free(set->certificate);
    secret_unref(set->ca_key);
    secret_unref(set->key);
    *set = (struct pki_set){0};
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return a == b || (a && b && secret_equal(a, b));
}

bool pki_set_equal(const struct pki_set *a, const struct pki_set *b)
{
    return string_equal(a->ca, b->ca) && string_equal(a->certificate, b->certificate) &&
           same_secret(a->ca_key, b->ca_key) && same_secret(a->key, b->key);
}

/* party: certificates for the tests of TLS, made on the spot: authorities, servers, clients, and those nobody should accept. */
#ifndef TEST_UNIT_NET_PARTY_H
#define TEST_UNIT_NET_PARTY_H

#include <stdbool.h>
#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct party {
    EVP_PKEY *key;
    X509 *certificate;
    char pem[4096], key_pem[4096];
};

struct party_wish {
    const char *name;
    const char *organizations[2];
    const char *addresses;      /* "IP:127.0.0.1,DNS:inner.example" */
    const char *extended_usage; /* "clientAuth" */
    const struct party *issuer; /* NULL: itself, an authority */
    bool authority;             /* signed by the issuer, and signs others */
    int ends_in_s;              /* 0: an hour */
};

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        abort();
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void write_pem(struct party *party)
{
    BIO *bio = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(bio, party->certificate);
    party->pem[BIO_read(bio, party->pem, sizeof party->pem - 1)] = 0;
    PEM_write_bio_PrivateKey(bio, party->key, NULL, NULL, 0, NULL, NULL);
    party->key_pem[BIO_read(bio, party->key_pem, sizeof party->key_pem - 1)] = 0;
    BIO_free(bio);
}

static inline void make_party(struct party *party, const struct party_wish *wish)
{
    static long serial = 1000;
    const struct party *issuer = wish->issuer ? wish->issuer : party;
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    party->key = EVP_EC_gen("P-256");
    party->certificate = certificate;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wish->ends_in_s ? wish->ends_in_s : 3600);
    X509_set_pubkey(certificate, party->key);
    for (int i = 0; i < 2 && wish->organizations[i]; i++)
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)wish->organizations[i], -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wish->name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate));
    if (issuer == party || wish->authority)
        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (wish->addresses)
        add_extension(certificate, issuer->certificate, NID_subject_alt_name, wish->addresses);
    if (wish->extended_usage)
        add_extension(certificate, issuer->certificate, NID_ext_key_usage, wish->extended_usage);
    X509_sign(certificate, issuer->key, EVP_sha256());
    write_pem(party);
}

static inline void free_party(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->certificate);
}

#endif

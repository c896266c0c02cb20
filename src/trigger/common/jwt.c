/*
 * jwt: header.claims.signature, each in the alphabet of base64 that URLs can hold.
 */
#include "trigger/common/jwt.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"

static int no_pass_phrase(char *buffer, int size, int writing, void *arg)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)arg;
    return -1; /* an encrypted key is refused instead of asked for at the terminal */
}

static EVP_PKEY *read_key(const struct secret *pem)
{
    BIO *bio = BIO_new_mem_buf(secret_reveal(pem), (int)secret_length(pem));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (key && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

bool jwt_key_is_good(const struct secret *pem)
{
    EVP_PKEY *key = read_key(pem);

    EVP_PKEY_free(key);
    return key != NULL;
}

static const char *for_url(struct arena *arena, const void *bytes, size_t length)
{
    char *out = arena_alloc(arena, (length + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)out, bytes, (int)length);
    for (char *c = out; *c; c++)
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
    out[strcspn(out, "=")] = '\0';
    return out;
}

static bool sign(EVP_PKEY *key, struct arena *arena, const char *text, unsigned char **signature, size_t *length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(context, NULL, length, (const unsigned char *)text, strlen(text)) == 1;

    *signature = good ? arena_alloc(arena, *length) : NULL;
    good = good && EVP_DigestSign(context, *signature, length, (const unsigned char *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

/* The key is freed. */
static bool make(struct arena *arena, EVP_PKEY *key, const char *header, const char *claims, const char **token,
                 struct error *err)
{
    const char *text =
        arena_printf(arena, "%s.%s", for_url(arena, header, strlen(header)), for_url(arena, claims, strlen(claims)));
    unsigned char *signature;
    size_t length;
    bool good = sign(key, arena, text, &signature, &length);

    EVP_PKEY_free(key);
    if (!good)
        return error_set(err, ERROR_INVALID, "nothing can be signed with this key");
    *token = arena_printf(arena, "%s.%s", text, for_url(arena, signature, length));
    return true;
}

bool jwt_sign_rs256(struct arena *arena, const struct secret *pem, const char *claims, const char **token,
                    struct error *err)
{
    EVP_PKEY *key = read_key(pem);

    if (!key)
        return error_set(err, ERROR_INVALID, "the key is no RSA key in PEM form without a pass phrase");
    return make(arena, key, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims, token, err);
}

bool jwt_sign_hs256(struct arena *arena, const struct secret *shared, const char *claims, const char **token,
                    struct error *err)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, (const unsigned char *)secret_reveal(shared),
                                                 secret_length(shared));

    if (!key)
        return error_set(err, ERROR_INVALID, "nothing can be signed with this secret");
    return make(arena, key, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", claims, token, err);
}

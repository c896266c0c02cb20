/*
 * jwt: a signed statement about ourselves, as sources ask for it before they hand out a token (RFC 7519, RS256 and HS256).
 */
#ifndef WEIR_TRIGGER_JWT_H
#define WEIR_TRIGGER_JWT_H

#include <stdbool.h>

struct arena;
struct error;
struct secret;

/* key_pem: an RSA key, PKCS#1 or PKCS#8. claims: a JSON object. *token lies in the arena, and is a credential as long as it is valid. */
bool jwt_sign_rs256(struct arena *arena, const struct secret *key_pem, const char *claims, const char **token,
                    struct error *err);
/* The same with a secret that both sides know. */
bool jwt_sign_hs256(struct arena *arena, const struct secret *shared, const char *claims, const char **token,
                    struct error *err);
/* Is it such a key? For lint. */
bool jwt_key_is_good(const struct secret *key_pem);

#endif

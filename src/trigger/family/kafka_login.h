/*
 * kafka_login: how a trigger signs in to Kafka: TLS, SASL, and where the token of OAUTHBEARER comes from. What parameters need each
 * other is checked when the trigger is built; what is legal and cannot be done here is said by name.
 *
 *     struct kafka { struct kafka_login login; ... };               -- filled by the driver's table: PARAM_TEXT(login.username)
 *     good = kafka_login_check(&c->login, apache, check);           -- prepare()
 *     kafka_login_token(&c->login, arena, &client)                  -- whom to ask for a token, before a poll
 *     access = kafka_login_access(&c->login);                       -- for kafka_client_open(), with brokers and token
 */
#ifndef WEIR_TRIGGER_KAFKA_LOGIN_H
#define WEIR_TRIGGER_KAFKA_LOGIN_H

#include <stdbool.h>

#include "trigger/family/kafka_client.h"

struct credential_client;
struct trigger_check;

/* The words of `sasl`; those of apache-kafka are others. */
#define KAFKA_SASL_WORDS        "none,plaintext,scram_sha256,scram_sha512,oauthbearer,gssapi"
#define KAFKA_APACHE_SASL_WORDS "none,plaintext,scram_sha256,scram_sha512,gssapi,aws_msk_iam"

enum kafka_sasl {
    KAFKA_SASL_NONE,
    KAFKA_SASL_PLAIN,
    KAFKA_SASL_SCRAM_256,
    KAFKA_SASL_SCRAM_512,
    KAFKA_SASL_OAUTH,
    KAFKA_SASL_KERBEROS,
    KAFKA_SASL_MSK,
    KAFKA_SASL_UNKNOWN,
};

struct kafka_login {
    int tls, sasl_word, provider; /* among "enable,disable", the words above, "bearer,aws_msk_iam" */
    bool unsafe_ssl, no_fast;     /* no_fast changes nothing: FAST is not used without a ticket to armour it with */
    const char *ca, *certificate, *username, *realm, *service, *region, *token_url, *scopes, *extensions;
    const struct secret *key, *key_password, *password, *keytab, *kerberos_config;

    enum kafka_sasl sasl;            /* worked out by kafka_login_check, */
    const struct kafka_pairs *pairs; /* as are the extensions */
};

/* false: the report has errors. */
bool kafka_login_check(struct kafka_login *login, bool apache, struct trigger_check *check);
/* What is legal and cannot be done here, as a sentence; NULL: nothing. */
const char *kafka_login_missing(const struct kafka_login *login);
/* false: it needs no token. */
bool kafka_login_token(const struct kafka_login *login, struct arena *arena, struct credential_client *out);
/* All but brokers and token. */
struct kafka_access kafka_login_access(const struct kafka_login *login);

#endif

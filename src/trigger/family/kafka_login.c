/*
 * kafka_login: see kafka_login.h. Facts: triggers/kafka.md, triggers/apache-kafka.md.
 *
 * Of Kerberos' parameters kerberosConfig has to be given, as KEDA demands. What it may say: kafka_krb5conf.h.
 */
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/transport.h"
#include "trigger/driver.h"
#include "trigger/family/kafka_kerberos.h"
#include "trigger/family/kafka_krb5conf.h"
#include "trigger/family/kafka_login.h"

enum { EXTENSIONS_MAX = 32 }; /* they go with every login */

static bool check_tls(const struct kafka_login *c, struct trigger_check *check)
{
    if (c->tls != 0 || check_unknown(check, "cert") || check_unknown(check, "key") || !c->certificate == !c->key)
        return true;
    return check_error(check, c->key ? "cert" : "key", "give both, or none", "cert and key belong together");
}

/* KEDA's apache-kafka does not say which of the two would win. */
static bool check_twice(const char *name, struct trigger_check *check)
{
    const struct trigger_input *input = check_input(check);
    bool metadata = tree_get(input->metadata, name) != NULL,
         authentication = input->credential && credential_get(input->credential, name) != NULL;

    return !metadata || !authentication ||
           check_error(check, name, "keep one of them", "%s is in the metadata and in the TriggerAuthentication", name);
}

static bool need(const void *value, const char *name, const char *what_for, struct trigger_check *check)
{
    return value || check_unknown(check, name) ||
           check_error(check, name, "put it into the TriggerAuthentication", "%s needs %s", what_for, name);
}

static bool check_kerberos_config(const struct kafka_login *c, struct trigger_check *check)
{
    const char *text = secret_reveal(c->kerberos_config);
    struct kafka_krb5conf *conf;
    struct error err;

    if (kafka_krb5conf_is_empty(text))
        return true;
    conf = kafka_krb5conf_read(text, c->realm ? c->realm : "", &err);
    if (!conf)
        return check_error(check, "kerberosConfig",
                           "write [libdefaults], [realms] and [domain_realm] as in a krb5.conf", "%s", err.text);
    if (kafka_krb5conf_ignored_line(conf))
        check_warning(check, "kerberosConfig", "write here what it would say",
                      "kerberosConfig line %d: nothing can be included; it has no effect",
                      kafka_krb5conf_ignored_line(conf));
    if (c->realm && !kafka_krb5conf_knows(conf, c->realm))
        check_warning(check, "kerberosConfig", "add [realms] with realm = { kdc = host }",
                      "kerberosConfig has no kdc for realm %.80s: every poll fails", c->realm);
    kafka_krb5conf_unref(conf);
    return true;
}

static bool check_kerberos(const struct kafka_login *c, struct trigger_check *check)
{
    bool good = need(c->username, "username", "sasl: gssapi", check);

    good = need(c->realm, "realm", "sasl: gssapi", check) && good;
    good = need(c->kerberos_config, "kerberosConfig", "sasl: gssapi", check) && good;
    good = (!c->kerberos_config || check_kerberos_config(c, check)) && good;
    if (!c->password == !c->keytab && !check_unknown(check, "password") && !check_unknown(check, "keytab"))
        good = check_error(check, "keytab", "give one of them", "sasl: gssapi needs either password or keytab");
    return good;
}

/* "name=value,name=value" in the arena. NULL: a piece of it, *bad, is none. */
static const struct kafka_pairs *read_pairs(const char *text, struct arena *arena, const char **bad)
{
    struct kafka_pairs *pairs = arena_alloc(arena, sizeof(*pairs) + sizeof(pairs->texts[0]) * 2 * EXTENSIONS_MAX);

    while (*text) {
        size_t length = strcspn(text, ",");
        char *name = arena_copy_bytes(arena, text, length), *equals = strchr(name, '=');

        *bad = name;
        if (!equals || strchr(equals + 1, '=') || pairs->count == (size_t)2 * EXTENSIONS_MAX)
            return NULL;
        *equals = '\0';
        pairs->texts[pairs->count++] = name;
        pairs->texts[pairs->count++] = equals + 1;
        text += length + (text[length] == ',');
    }
    return pairs;
}

static bool is_extension_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')))
            return false;
    return *name && strcmp(name, "auth") != 0;
}

static bool check_extensions(struct kafka_login *c, struct trigger_check *check)
{
    const char *bad = "";

    if (!c->extensions)
        return true;
    c->pairs = read_pairs(c->extensions, check_arena(check), &bad);
    if (!c->pairs)
        return check_error(check, "oauthExtensions", "write name=value,name=value, at most 32 of them",
                           "oauthExtensions: \"%.40s\" is not name=value, or one too many", bad);
    for (size_t i = 0; i < c->pairs->count; i += 2)
        if (!is_extension_name(c->pairs->texts[i]))
            check_warning(check, "oauthExtensions", "use letters only, and not auth",
                          "oauthExtensions: Kafka takes no extension with the name \"%.40s\": every poll fails",
                          c->pairs->texts[i]);
    return true;
}

static void check_token_url(const struct kafka_login *c, struct trigger_check *check)
{
    char place[300];

    if (c->token_url && !url_destination(c->token_url, place, sizeof(place)))
        check_warning(check, "oauthTokenEndpointUri", "write http://host/path or https://host/path",
                      "oauthTokenEndpointUri is no such address: every poll fails");
}

static bool check_msk(const struct kafka_login *c, bool apache, struct trigger_check *check)
{
    bool good = true;

    if (!c->region)
        good = check_error(check, "awsRegion", "write the cluster's region", "aws_msk_iam needs awsRegion");
    if (c->tls != 0 && !check_unknown(check, "tls"))
        good = check_error(check, "tls", "write tls: enable", "aws_msk_iam needs TLS");
    if (apache && !check_pod_identity(check)) {
        const struct credential *given = check_input(check)->credential;

        if (!check_unknown(check, "awsAccessKeyID") &&
            (!given || (!credential_get(given, "awsAccessKeyID") && !credential_get(given, "awsRoleArn"))))
            good =
                check_error(check, NULL, "put it into the TriggerAuthentication", "aws_msk_iam needs awsAccessKeyID");
    }
    return good;
}

static bool check_sasl(struct kafka_login *c, bool apache, struct trigger_check *check)
{
    bool good;

    switch (c->sasl) {
    case KAFKA_SASL_SCRAM_256:
    case KAFKA_SASL_SCRAM_512:
    case KAFKA_SASL_PLAIN:
        if (apache && c->sasl != KAFKA_SASL_PLAIN)
            return true;
        good = need(c->username, "username", "sasl", check);
        return need(c->password, "password", "sasl", check) && good;
    case KAFKA_SASL_OAUTH:
        good = need(c->username, "username", "sasl: oauthbearer", check);
        good = need(c->password, "password", "sasl: oauthbearer", check) && good;
        good = need(c->token_url, "oauthTokenEndpointUri", "sasl: oauthbearer", check) && good;
        check_token_url(c, check);
        return check_extensions(c, check) && good;
    case KAFKA_SASL_KERBEROS:
        return apache ? check_error(check, "sasl", "use kafka, or another mechanism", "apache-kafka has no gssapi")
                      : check_kerberos(c, check);
    case KAFKA_SASL_MSK:
        return check_msk(c, apache, check);
    default:
        return true;
    }
}

static enum kafka_sasl sasl_of(const struct kafka_login *c, bool is_apache)
{
    static const enum kafka_sasl kafka[] = {KAFKA_SASL_NONE,      KAFKA_SASL_PLAIN, KAFKA_SASL_SCRAM_256,
                                            KAFKA_SASL_SCRAM_512, KAFKA_SASL_OAUTH, KAFKA_SASL_KERBEROS};
    static const enum kafka_sasl apache[] = {KAFKA_SASL_NONE,      KAFKA_SASL_PLAIN,    KAFKA_SASL_SCRAM_256,
                                             KAFKA_SASL_SCRAM_512, KAFKA_SASL_KERBEROS, KAFKA_SASL_MSK};
    enum kafka_sasl sasl = c->sasl_word < 0 ? KAFKA_SASL_UNKNOWN : (is_apache ? apache : kafka)[c->sasl_word];

    return sasl == KAFKA_SASL_OAUTH && c->provider == 1 ? KAFKA_SASL_MSK : sasl;
}

const char *kafka_login_missing(const struct kafka_login *c)
{
    bool kerberos = c->sasl == KAFKA_SASL_KERBEROS && !kafka_kerberos_is_there();

    return kerberos                        ? "signing in by Kerberos (sasl: gssapi) is not built in"
           : c->sasl == KAFKA_SASL_MSK     ? "signing in with AWS credentials (aws_msk_iam) is not built in"
           : c->sasl == KAFKA_SASL_UNKNOWN ? "sasl names more than one mechanism"
                                           : NULL;
}

bool kafka_login_check(struct kafka_login *c, bool apache, struct trigger_check *check)
{
    bool good = !apache || check_twice("sasl", check);

    good = (!apache || check_twice("tls", check)) && good;
    c->sasl = sasl_of(c, apache);
    good = check_tls(c, check) && good;
    good = check_sasl(c, apache, check) && good;
    if (good && kafka_login_missing(c))
        check_warning(check, "sasl",
                      "use plaintext, scram_sha256, scram_sha512, a client certificate or, with kafka, oauthbearer",
                      "%s: every poll fails", kafka_login_missing(c));
    return good;
}

/* ------------------------------------------------------------------ for a poll */

/* "read, write" -> "read write"; NULL: none. */
static const char *scopes_of(struct arena *arena, const char *list)
{
    char *copy = list ? arena_copy(arena, list) : NULL, *save = NULL;
    const char *joined = NULL;

    for (char *word = copy ? strtok_r(copy, ", ", &save) : NULL; word; word = strtok_r(NULL, ", ", &save))
        joined = joined ? arena_printf(arena, "%s %s", joined, word) : word;
    return joined;
}

/* The server of tokens is another one than the brokers: it sees what is trusted, but no client certificate. */
bool kafka_login_token(const struct kafka_login *c, struct arena *arena, struct credential_client *out)
{
    struct tls_identity *tls = arena_alloc(arena, sizeof(*tls));

    if (c->sasl != KAFKA_SASL_OAUTH)
        return false;
    tls->ca_pem = c->ca;
    *out = (struct credential_client){.token_url = c->token_url,
                                      .id = c->username,
                                      .secret = c->password,
                                      .scopes = scopes_of(arena, c->scopes),
                                      .tls = c->ca ? tls : NULL};
    return true;
}

struct kafka_access kafka_login_access(const struct kafka_login *c)
{
    static const char *const mechanisms[] = {[KAFKA_SASL_PLAIN] = "PLAIN",
                                             [KAFKA_SASL_SCRAM_256] = "SCRAM-SHA-256",
                                             [KAFKA_SASL_SCRAM_512] = "SCRAM-SHA-512",
                                             [KAFKA_SASL_OAUTH] = "OAUTHBEARER",
                                             [KAFKA_SASL_KERBEROS] = "GSSAPI"};
    bool kerberos = c->sasl == KAFKA_SASL_KERBEROS;

    return (struct kafka_access){
        .mechanism = c->sasl <= KAFKA_SASL_KERBEROS ? mechanisms[c->sasl] : NULL,
        .username = c->username,
        .password =
            c->sasl == KAFKA_SASL_OAUTH ? NULL : c->password, /* the client's secret is none of the brokers' business */
        .realm = kerberos ? c->realm : NULL,
        .service = kerberos ? c->service : NULL,
        .keytab = kerberos ? c->keytab : NULL,
        .kerberos_config = kerberos ? c->kerberos_config : NULL,
        .extensions = c->pairs,
        .tls = c->tls == 0,
        .unsafe_ssl = c->unsafe_ssl,
        .ca = c->ca,
        .certificate = c->certificate,
        .key = c->key,
        .key_password = c->key_password,
    };
}

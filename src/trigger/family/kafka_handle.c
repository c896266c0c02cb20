/*
 * kafka_handle: opening and closing the library's handle (kafka_client.h): what it is told of brokers, TLS and login.
 *
 * One handle is one set of connections: a thread and a socket for each broker that is asked. A handle whose connections do not work is
 * closed at once: otherwise it would go on dialling, with a password that is refused.
 *
 * The handle has a group, although nothing is consumed: where a coordinator says that it is none any more, librdkafka looks for
 * another one on behalf of the handle's own group, and without one it takes the process down. It is the group that asks first, for
 * that one may be asked about. It is never joined; what it costs is one more connection, to its coordinator, and where it has none, or
 * may not be asked about, a small request (FindCoordinator) once or twice a second for as long as the handle lives.
 *
 * Tickets of Kerberos are ours to get and to renew (kafka_kerberos.h): the library would run a command line for them through a shell.
 *
 * A token of OAUTHBEARER is ours to renew (trigger/query.c has a good one for every poll): the library is given each new one, and is not
 * told when it ends.
 */
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "trigger/driver.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_kerberos.h"
#include "trigger/family/kafka_told.h"

enum {
    SCRAM_MENDED = 0x02060100, /* before, the last message of SCRAM repeated a part, which Kafka takes up to 3.9 only */
    DROPPED_MAX = 100,         /* at a poll */
    TOKEN_LIFE_MS =
        24 * 60 * 60 * 1000, /* longer than any poll: the library shall not wait for another one by itself */
};

struct setting {
    const char *name, *value; /* NULL: left alone */
};

static bool set_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t count, struct error *err)
{
    char why[256];

    for (size_t i = 0; i < count; i++)
        if (settings[i].value &&
            rd_kafka_conf_set(conf, settings[i].name, settings[i].value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
            return error_set(err, ERROR_INVALID, "%s cannot be used: %.200s", settings[i].name, why);
    return true;
}

/* A broker that answers more than KAFKA_REPLY_MAX_BYTES is not read; what the library fetches (we do not) has to fit in, too. */
static bool set_usual(rd_kafka_conf_t *conf, const char *group, struct error *err)
{
    char reply[24], fetch[24], patience[24];
    const struct setting usual[] = {
        {"client.id", "weir"},
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"isolation.level", "read_uncommitted"}, /* an end that an open transaction does not hide, as KEDA counts */
        {"allow.auto.create.topics", "false"},
        {"topic.metadata.refresh.interval.ms", "-1"}, /* we ask ourselves, and for less */
        {"receive.message.max.bytes", reply},
        {"fetch.max.bytes", fetch},
        {"message.max.bytes", "1000"},
        {"socket.timeout.ms", patience},
        {"socket.connection.setup.timeout.ms", patience},
        {"api.version.request.timeout.ms", patience},
        {"reconnect.backoff.max.ms", "1000"}, /* a poll does not last longer than a few attempts */
        {"socket.nagle.disable", "true"},
        {"log.connection.close", "false"},
        {"log_level", "0"},
    };

    snprintf(reply, sizeof(reply), "%d", KAFKA_REPLY_MAX_BYTES);
    snprintf(fetch, sizeof(fetch), "%d", KAFKA_REPLY_MAX_BYTES - 512);
    snprintf(patience, sizeof(patience), "%d", KAFKA_TIMEOUT_MS);
    return set_all(conf, usual, sizeof(usual) / sizeof(usual[0]), err);
}

/* Trust: the system's certificates, and `ca` beside them. Where it is not given the library finds the former by itself. */
static bool set_tls(rd_kafka_conf_t *conf, const struct kafka_access *a, struct error *err)
{
    struct stat found;
    const char *system = X509_get_default_cert_dir();
    const struct setting tls[] = {
        {"ssl.ca.location", a->ca && stat(system, &found) == 0 ? system : NULL},
        {"ssl.ca.pem", a->ca},
        {"ssl.certificate.pem", a->certificate},
        {"ssl.key.pem", a->key ? secret_reveal(a->key) : NULL},
        {"ssl.key.password", a->key_password ? secret_reveal(a->key_password) : NULL},
        {"enable.ssl.certificate.verification", a->unsafe_ssl ? "false" : "true"},
        {"ssl.endpoint.identification.algorithm", a->unsafe_ssl ? "none" : "https"},
    };

    return !a->tls || set_all(conf, tls, sizeof(tls) / sizeof(tls[0]), err);
}

static bool set_access(rd_kafka_conf_t *conf, const struct kafka_access *a, struct error *err)
{
    struct text brokers;
    const struct setting login[] = {
        {"security.protocol", a->mechanism ? (a->tls ? "sasl_ssl" : "sasl_plaintext")
                              : a->tls     ? "ssl"
                                           : "plaintext"},
        {"sasl.mechanisms", a->mechanism},
        {"sasl.username", a->realm ? NULL : a->username},
        {"sasl.password", a->password && !a->realm ? secret_reveal(a->password) : NULL},
        {"sasl.kerberos.service.name", a->service},
        {"sasl.kerberos.min.time.before.relogin", a->realm ? "0" : NULL}, /* never: no sasl.kerberos.kinit.cmd is run */
    };
    bool good;

    text_init(&brokers, KAFKA_BROKERS_MAX_BYTES);
    for (size_t i = 0; i < a->brokers->count; i++)
        text_printf(&brokers, "%s%s", i > 0 ? "," : "", a->brokers->items[i]);
    good = set_all(conf, &(struct setting){"bootstrap.servers", brokers.bytes}, 1, err) &&
           set_all(conf, login, sizeof(login) / sizeof(login[0]), err) && set_tls(conf, a, err);
    text_done(&brokers);
    return good;
}

/* What the handle has to say of its group, which nobody waits for: it would be kept for ever. */
static void drop_messages(rd_kafka_t *handle)
{
    rd_kafka_message_t *message;

    for (int i = 0; i < DROPPED_MAX && (message = rd_kafka_consumer_poll(handle, 0)) != NULL; i++)
        rd_kafka_message_destroy(message);
}

/* ------------------------------------------------------------------ the token */

/* The library copies it. */
static bool set_token(struct kafka_client *client, const struct kafka_access *a, struct error *err)
{
    const struct kafka_pairs *extensions = a->extensions;
    struct timespec now;
    char why[200];

    clock_gettime(CLOCK_REALTIME, &now);
    if (rd_kafka_oauthbearer_set_token(
            client->handle, secret_reveal(a->token), (int64_t)now.tv_sec * 1000 + TOKEN_LIFE_MS, a->username,
            extensions ? (const char **)(uintptr_t)extensions->texts : NULL, extensions ? extensions->count : 0, why,
            sizeof(why)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, ERROR_INVALID, "the token cannot be used: %.190s", why);
    secret_unref(client->token);
    client->token = secret_ref((struct secret *)(uintptr_t)a->token);
    return true;
}

static bool renew_token(struct kafka_client *client, const struct kafka_access *a, struct error *err)
{
    if (!a->token || secret_equal(client->token, a->token) || set_token(client, a, err))
        return true;
    kafka_client_close(client);
    return false;
}

/* ------------------------------------------------------------------ the ticket */

/* Before its threads begin: they may not sign in without one. */
static bool renew_ticket(struct kafka_client *client, const struct kafka_access *a, struct error *err)
{
    if (!a->realm)
        return true;
    if (!client->kerberos)
        client->kerberos = kafka_kerberos_new();
    if (kafka_kerberos_renew(client->kerberos, a, err))
        return true;
    kafka_client_close(client);
    return false;
}

/* ------------------------------------------------------------------ opening and closing */

int64_t kafka_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool kafka_client_open(struct kafka_client *client, const struct kafka_access *access, struct error *err)
{
    rd_kafka_conf_t *conf;
    char why[256];

    if (!renew_ticket(client, access, err))
        return false;
    if (client->handle) {
        drop_messages(client->handle);
        return renew_token(client, access, err);
    }
    conf = rd_kafka_conf_new();
    client->told = kafka_told_new(client->kerberos);
    kafka_told_listen(client->told, conf);
    if (!set_usual(conf, access->group, err) || !set_access(conf, access, err)) {
        rd_kafka_conf_destroy(conf);
        kafka_client_close(client);
        return false;
    }
    /* A consumer: it never creates topics, as a producer would by asking for one. */
    client->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!client->handle) {
        rd_kafka_conf_destroy(conf);
        kafka_client_close(client);
        return error_set(err, ERROR_INVALID, "the Kafka client cannot be set up: %.240s", why);
    }
    if (client->kerberos && !kafka_kerberos_is_ours(err)) {
        kafka_client_close(client);
        return false;
    }
    client->scram = access->mechanism && string_starts(access->mechanism, "SCRAM");
    client->answers = rd_kafka_queue_new(client->handle);
    return renew_token(client, access, err);
}

void kafka_client_close(struct kafka_client *client)
{
    kafka_topics_forget(client);
    kafka_kerberos_end(client->kerberos);
    if (client->answers)
        rd_kafka_queue_destroy(client->answers);
    if (client->handle)
        rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* there is no group to leave */
    kafka_told_free(client->told);
    kafka_kerberos_free(client->kerberos);
    secret_unref(client->token);
    memset(client, 0, sizeof(*client));
}

bool kafka_client_fail(struct kafka_client *client, struct error *err)
{
    char hint[160] = "";

    if (client->scram && rd_kafka_version() < SCRAM_MENDED)
        snprintf(
            hint, sizeof(hint),
            "; librdkafka before 2.6.1 (this is %s) cannot sign in to Kafka 4 by SCRAM: use sasl: plaintext with tls, "
            "or a client certificate",
            rd_kafka_version_str());
    rd_kafka_poll(client->handle, 0);
    kafka_told_error(client->told, hint, err);
    kafka_client_close(client);
    return false;
}

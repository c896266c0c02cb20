/*
 * kafka_client: the three questions that lag takes, asked of a Kafka cluster through librdkafka. For worker threads.
 *
 *     struct kafka_client client = {0};                    -- lives in a session, for many polls of many triggers
 *     if (kafka_client_open(&client, &access, &err) &&
 *         kafka_partitions(&client, "orders", deadline, &count, &err) &&        -- 1. how many partitions a topic has
 *         kafka_offsets(&client, "billing", partitions, n, deadline, &err)) ... -- 2. what the group committed, 3. where they end
 *     kafka_client_close(&client);
 *
 * Every call ends by its deadline (monotonic milliseconds, kafka_now_ms). Nothing is consumed, committed or created. A call that fails says
 * why, as far as the library knows it (kafka_told.h).
 */
#ifndef WEIR_TRIGGER_KAFKA_CLIENT_H
#define WEIR_TRIGGER_KAFKA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trigger/family/kafka_lag.h"

struct arena;
struct error;
struct map;
struct param_list;
struct secret;

enum {
    KAFKA_TIMEOUT_MS = 5 * 1000, /* of what is asked: dialling, TLS and login take a second where things are slow */
    KAFKA_QUEUE_MS =
        15 * 1000, /* for a turn on the connection: a thousand objects that start together take ten seconds */
    /* Of a topic's number of partitions. A poll of 15 s asks for it every fourth time; clients look for new partitions every five
       minutes, so nobody writes to one before we know it. */
    KAFKA_TOPIC_KEPT_MS = 60 * 1000,
};

struct kafka_pairs { /* name, value, name, value ... */
    size_t count;    /* of the texts */
    const char *texts[];
};

struct kafka_access { /* whom to ask, and as who; what stays the same for a session, but for the group */
    const struct param_list *brokers;
    const char *group;     /* the handle is opened with the one that asks first (kafka_handle.c) */
    const char *mechanism; /* "PLAIN", "SCRAM-SHA-256", "GSSAPI" ...; NULL: no login */
    const char *username;
    const struct secret *password;
    const struct secret *token;           /* for OAUTHBEARER; it may change from call to call. Else NULL */
    const struct kafka_pairs *extensions; /* told with it, or NULL */
    const char *realm, *service;          /* of GSSAPI: username@realm asks for a ticket to service/broker; else NULL */
    const struct secret *keytab;          /* instead of the password, or NULL */
    const struct secret *kerberos_config; /* its krb5.conf; NULL, or nothing but comments: that of the process */
    bool tls, unsafe_ssl;
    const char *ca, *certificate; /* PEM, or NULL */
    const struct secret *key, *key_password;
};

struct kafka_client { /* zeroed: not open */
    struct rd_kafka_s *handle;
    struct rd_kafka_queue_s *answers;
    struct map *topics; /* known for a while: name -> struct known_topic; NULL: none yet */
    struct kafka_told *told;
    struct secret *token;            /* that it has */
    struct kafka_kerberos *kerberos; /* its tickets; NULL: it signs in otherwise */
    bool scram;
};

int64_t kafka_now_ms(void);
/* Where it is open there is nothing to do but for a new token or a new ticket. */
bool kafka_client_open(struct kafka_client *client, const struct kafka_access *access, struct error *err);
void kafka_client_close(struct kafka_client *client);

/* Of a topic that is there; else *err names it. Kept for KAFKA_TOPIC_KEPT_MS. */
bool kafka_partitions(struct kafka_client *client, const char *topic, int64_t deadline_ms, int32_t *count,
                      struct error *err);
/* Fills committed and end of each. */
bool kafka_offsets(struct kafka_client *client, const char *group, struct kafka_partition *partitions, size_t count,
                   int64_t deadline_ms, struct error *err);
/* The topics on which the group has commits: texts of the arena. */
bool kafka_group_topics(struct kafka_client *client, const char *group, struct arena *arena, int64_t deadline_ms,
                        const char *const **topics, size_t *count, struct error *err);

/* Between kafka_client.c and kafka_handle.c. The connections do not work: what is known of the reason, and an end to them. Returns false. */
bool kafka_client_fail(struct kafka_client *client, struct error *err);
void kafka_topics_forget(struct kafka_client *client);

#endif

/*
 * kafka_kerberos: the tickets that sasl: gssapi signs in with, for one client of Kafka. They are had from a KDC by libkrb5 itself, with a
 * password or a keytab, and lie in a cache in memory that nobody else knows the name of.
 *
 *     struct kafka_kerberos *kerberos = kafka_kerberos_new();
 *     kafka_kerberos_renew(kerberos, &access, &err)        -- on a worker thread, before each poll: a ticket that is good for a while
 *     kafka_kerberos_enter(kerberos)                       -- on the library's thread that is about to sign in
 *     kafka_kerberos_end(kerberos);                        -- before those threads are waited for
 *     kafka_kerberos_free(kerberos);                       -- when those threads are gone: the tickets are wiped
 *
 * Realms and KDCs are those of kerberosConfig (kafka_krb5conf.h); where that says nothing, those of the krb5.conf of whoever runs Weir
 * ($KRB5_CONFIG, /etc/krb5.conf). Never both. A KDC is reached under the egress rules of the thread that asks, and waited for no longer than a
 * poll allows (kafka_kdc.h).
 */
#ifndef WEIR_TRIGGER_KAFKA_KERBEROS_H
#define WEIR_TRIGGER_KAFKA_KERBEROS_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct kafka_access;
struct kafka_kerberos;

/* Whether it was built in. */
bool kafka_kerberos_is_there(void);
struct kafka_kerberos *kafka_kerberos_new(void);
/* No login begins any more, and none turns to a KDC: the library's logins wait for each other, and its end for all of them. NULL is fine. */
void kafka_kerberos_end(struct kafka_kerberos *kerberos);
void kafka_kerberos_free(struct kafka_kerberos *kerberos); /* NULL is fine */
/* Asks the KDC where there is no ticket yet, or where it ends soon. A KDC that is away matters only when the ticket ends. access: always with the
   same kerberosConfig. */
bool kafka_kerberos_renew(struct kafka_kerberos *kerberos, const struct kafka_access *access, struct error *err);
/* From now on this thread signs in with these tickets, until it ends. false: there are none that are good now. */
bool kafka_kerberos_enter(struct kafka_kerberos *kerberos);
/* Whether the last question to a KDC, on any thread, got no answer. *refused: what the egress rules have against it, or NULL. */
bool kafka_kerberos_lacks_kdc(const struct kafka_kerberos *kerberos, const char **refused);
/* Whether the library that signs in takes its tickets from where we put them: that of Heimdal does not. */
bool kafka_kerberos_is_ours(struct error *err);

/* How long a ticket that lives for so long is used before another one is asked for. */
int64_t kafka_kerberos_fresh_ms(int64_t life_ms);

#endif

/*
 * kafka_krb5conf: kerberosConfig of kafka's sasl: gssapi, the krb5.conf that whoever writes a TriggerAuthentication gives, read as far as it
 * may speak: realms, their KDCs, which host is in which realm, and how tickets are asked for.
 *
 *     struct kafka_krb5conf *conf = kafka_krb5conf_read("[realms]\nSHOP.TEST = {\n kdc = kdc.shop\n}\n", "SHOP.TEST", &err);
 *     kafka_krb5conf_get(conf, (const char *const[]){"realms", "SHOP.TEST", "kdc", NULL}, 0)   -> "kdc.shop"
 *     kafka_krb5conf_unref(conf);
 *
 * Nobody but us parses that text: a krb5.conf as libkrb5 reads one includes files, loads modules, names keytabs and caches. What is not on
 * our list is as if it were not there, so none of that can act, whatever libkrb5 learns to read one day.
 *
 * Immutable; references are taken and given back on any thread. Knows nothing of libkrb5.
 */
#ifndef WEIR_TRIGGER_KAFKA_KRB5CONF_H
#define WEIR_TRIGGER_KAFKA_KRB5CONF_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct kafka_krb5conf;

/* Whether there is nothing in it but comments. */
bool kafka_krb5conf_is_empty(const char *text);
/* realm: what default_realm is where the text does not say. NULL: *err names the line that cannot be used. */
struct kafka_krb5conf *kafka_krb5conf_read(const char *text, const char *realm, struct error *err);
struct kafka_krb5conf *kafka_krb5conf_ref(struct kafka_krb5conf *conf);
void kafka_krb5conf_unref(struct kafka_krb5conf *conf); /* NULL is fine */

/* The index-th value of {section, name, NULL} or {section, subsection, name, NULL}; NULL: there is none. Lives as long as the reference. */
const char *kafka_krb5conf_get(const struct kafka_krb5conf *conf, const char *const *names, size_t index);
/* Whether DNS is asked for KDCs where the text names none. */
bool kafka_krb5conf_asks_dns(const struct kafka_krb5conf *conf);
/* Whether there is a way to the KDCs of that realm. */
bool kafka_krb5conf_knows(const struct kafka_krb5conf *conf, const char *realm);
/* The first line that would include something if it could; it has no effect. 0: there is none. */
int kafka_krb5conf_ignored_line(const struct kafka_krb5conf *conf);

#endif

/*
 * kafka_kdc: how libkrb5 comes to KDCs for one client of Kafka: by which krb5.conf, for how long, and why it did not.
 *
 *     struct kafka_kdc *kdc = kafka_kdc_new(conf);         -- conf NULL: the krb5.conf of whoever runs Weir
 *     kafka_kdc_context(kdc, &context);                    -- on any thread; for that thread
 *     kafka_kdc_wait(9000);                                -- from here on this thread waits no longer than that for KDCs
 *     ... libkrb5 asks ...
 *     if (kafka_kdc_is_away(kdc, &refused)) ...
 *     kafka_kdc_free(kdc);                                 -- when nobody asks any more; contexts may live on
 */
#ifndef WEIR_TRIGGER_KAFKA_KDC_H
#define WEIR_TRIGGER_KAFKA_KDC_H

#include <krb5.h>
#include <stdbool.h>
#include <stdint.h>

struct kafka_kdc;
struct kafka_krb5conf;

struct kafka_kdc *kafka_kdc_new(struct kafka_krb5conf *conf); /* takes a reference of its own */
void kafka_kdc_free(struct kafka_kdc *kdc);                   /* NULL is fine */
/* Whether it has a krb5.conf of its own. */
bool kafka_kdc_has_conf(const struct kafka_kdc *kdc);
krb5_error_code kafka_kdc_context(struct kafka_kdc *kdc, krb5_context *out);
void kafka_kdc_wait(int64_t patience_ms);
/* Whether the last question got no answer. *refused: what the egress rules have against it, as egress_allows() says; NULL: nothing. It lives as
   long as the rules of the thread that asked: kafka_kdc_forget() before those may go. */
bool kafka_kdc_is_away(const struct kafka_kdc *kdc, const char **refused);
void kafka_kdc_forget(struct kafka_kdc *kdc);

#endif

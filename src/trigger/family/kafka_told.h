/*
 * kafka_told: what librdkafka says by itself, and by the codes of its answers, in our words. The library dials again and again on threads
 * of its own and says nothing about it but in an error callback; a call then merely times out. So what the callback was told is kept
 * until a call fails, and then tells why: a refused login, a certificate, a name that does not resolve.
 *
 *     struct kafka_told *told = kafka_told_new(NULL);
 *     kafka_told_listen(told, conf);
 *     ... a call times out ... if (kafka_told_is_hopeless(told, since_ms)) kafka_told_error(told, hint, &err);
 *     kafka_told_free(told);                                   -- after the handle is gone
 *
 * Its threads connect through it as well: judged by the egress rules of whoever made it (net/egress.h), and with the tickets that are its
 * own where it signs in by Kerberos.
 */
#ifndef WEIR_TRIGGER_KAFKA_TOLD_H
#define WEIR_TRIGGER_KAFKA_TOLD_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

struct error;
struct kafka_kerberos;
struct kafka_told;

enum { KAFKA_SLICE_MS = 200 }; /* of waiting for a broker: so soon is a refused login seen */

/* Of the thread that will ask: its egress rules are kept. kerberos: it outlives this; NULL: no Kerberos. */
struct kafka_told *kafka_told_new(struct kafka_kerberos *kerberos);
void kafka_told_free(struct kafka_told *told); /* NULL is fine */
/* The library's callbacks for errors, logs and connecting. */
void kafka_told_listen(struct kafka_told *told, rd_kafka_conf_t *conf);
void kafka_told_forget(struct kafka_told *told); /* it was overcome */
/* Nothing that is waited for since then will come. */
bool kafka_told_is_hopeless(const struct kafka_told *told, int64_t since_ms);
/* Why the connections do not work. hint: added where it is the login that is refused; or "". */
void kafka_told_error(const struct kafka_told *told, const char *hint, struct error *err);

/* A code that only says that nobody answered. */
bool kafka_is_silence(rd_kafka_resp_err_t code);
/* Of an answer about one topic or group, `what`. Neither UNREACHABLE nor DENIED: those are said of a connection, which others use as well.
   Returns false. */
bool kafka_fail(struct error *err, rd_kafka_resp_err_t code, const char *what);

#endif

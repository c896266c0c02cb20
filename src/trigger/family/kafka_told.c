/*
 * kafka_told: see kafka_told.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "net/egress.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_kerberos.h"
#include "trigger/family/kafka_told.h"

enum {
    SURE_MS = 2 * KAFKA_SLICE_MS, /* one of several brokers may refuse what the next one takes */
    ALL_DOWN_MS =
        1500, /* each address of each broker was tried by then: a name often has an IPv6 address that nobody serves */
};

struct kafka_told {
    rd_kafka_resp_err_t code; /* the most telling one */
    int64_t at_ms;            /* when it came first; 0: nothing was said */
    bool all_down, by_gssapi; /* said before the broker could say anything */
    char text[200];
    struct kafka_kerberos *kerberos;
    struct egress_guard *guard; /* its threads connect for whom the client was opened */
};

struct kafka_told *kafka_told_new(struct kafka_kerberos *kerberos)
{
    struct kafka_told *told = mem_alloc(sizeof(*told));

    told->guard = egress_guard_new();
    told->kerberos = kerberos;
    return told;
}

void kafka_told_free(struct kafka_told *told)
{
    if (told)
        egress_guard_free(told->guard);
    free(told);
}

/* The guard stays: the library's threads look at it. */
void kafka_told_forget(struct kafka_told *told)
{
    told->code = RD_KAFKA_RESP_ERR_NO_ERROR;
    told->at_ms = 0;
    told->all_down = told->by_gssapi = false;
    told->text[0] = '\0';
}

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

bool kafka_is_silence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__WAIT_COORD ||
           code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT || code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

static int rank(rd_kafka_resp_err_t code)
{
    return is_refusal(code) ? 3 : code == RD_KAFKA_RESP_ERR__SSL ? 2 : code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

/* What GSSAPI says before it comes to the point would fill the text: "... (the point)". false: it is not GSSAPI that says it. */
static bool find_point(const char **reason, const char **end)
{
    static const char preamble[] = "Minor code may provide more information (";
    const char *found = strstr(*reason, preamble);

    if (!found)
        return false;
    *reason = found + strlen(preamble);
    if (*end > *reason && (*end)[-1] == ')')
        (*end)--;
    return true;
}

/* "sasl_ssl://b:9093/bootstrap: SASL authentication error: ... (after 312ms in state AUTH_REQ)": without the end. */
static void on_error(rd_kafka_t *handle, int code, const char *reason, void *arg)
{
    struct kafka_told *told = arg;
    const char *after = strstr(reason, " (after "), *end = after ? after : reason + strlen(reason);

    (void)handle;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        told->all_down = true;
        return;
    }
    if (rank((rd_kafka_resp_err_t)code) <= rank(told->code))
        return;
    told->code = (rd_kafka_resp_err_t)code;
    told->at_ms = kafka_now_ms();
    told->by_gssapi = find_point(&reason, &end);
    snprintf(told->text, sizeof(told->text), "%.*s", end > reason ? (int)(end - reason) : 0, reason);
    for (char *c = told->text; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *line)
{
    (void)handle, (void)level, (void)facility, (void)line; /* what matters comes as an error, too */
}

/* On one of the library's threads. */
static int on_connect(int fd, const struct sockaddr *address, int length, const char *id, void *opaque)
{
    const struct kafka_told *told = opaque;
    int number;

    (void)id;
    if (told->kerberos) {
        egress_guard_enter(told->guard); /* the library that signs in turns to a KDC, on this thread */
        if (!kafka_kerberos_enter(told->kerberos))
            return EACCES;
    }
    number = egress_guard_connect(told->guard, fd, address, (unsigned)length);
    return number == EINPROGRESS ? 0 : number;
}

void kafka_told_listen(struct kafka_told *told, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, told);
    rd_kafka_conf_set_connect_cb(conf, on_connect);
}

bool kafka_told_is_hopeless(const struct kafka_told *told, int64_t since_ms)
{
    int64_t now_ms = kafka_now_ms();

    return (rank(told->code) >= 2 && now_ms - told->at_ms >= SURE_MS) ||
           (told->all_down && now_ms - since_ms >= ALL_DOWN_MS);
}

/* A login by Kerberos ended before the broker had a say. */
static void ticket_error(const struct kafka_told *told, struct error *err)
{
    const char *refused = NULL;
    bool away = kafka_kerberos_lacks_kdc(told->kerberos, &refused);

    if (refused)
        failure_egress(err, "a KDC of the realm", refused);
    else
        error_set(err, away ? ERROR_UNREACHABLE : ERROR_DENIED, "no Kerberos ticket for the broker: %s", told->text);
}

void kafka_told_error(const struct kafka_told *told, const char *hint, struct error *err)
{
    bool refused = is_refusal(told->code);

    if (strstr(told->text, "No worthy mechs"))
        hint = "; the GSSAPI module of Cyrus SASL is not there (Debian: libsasl2-modules-gssapi-mit)";

    /* one broker of several may be out of bounds for as long as the handle lives: a login that another one refuses says more */
    if (!refused && egress_guard_refusal(told->guard))
        failure_egress(err, "a broker of Kafka", egress_guard_refusal(told->guard));
    else if (refused && told->kerberos && told->by_gssapi)
        ticket_error(told, err);
    else if (rank(told->code) > 0)
        error_set(err, refused ? ERROR_DENIED : ERROR_UNREACHABLE, "%s: %s%s",
                  refused                                ? "Kafka refuses the login"
                  : told->code == RD_KAFKA_RESP_ERR__SSL ? "no TLS connection to Kafka"
                                                         : "Kafka cannot be reached",
                  told->text, refused ? hint : "");
    else
        error_set(err, ERROR_UNREACHABLE, "Kafka did not answer within %d s", KAFKA_TIMEOUT_MS / 1000);
}

/* ------------------------------------------------------------------ answers */

static enum error_kind kind_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return ERROR_MISSING;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
        return ERROR_INVALID;
    default:
        return is_refusal(code) ? ERROR_INVALID : ERROR_NONSENSE;
    }
}

bool kafka_fail(struct error *err, rd_kafka_resp_err_t code, const char *what)
{
    const char *why = rd_kafka_err2str(code);

    why = string_starts(why, "Broker: ") ? why + 8 : string_starts(why, "Local: ") ? why + 7 : why;
    return error_set(err, kind_of(code), "%s: %s", what, why);
}

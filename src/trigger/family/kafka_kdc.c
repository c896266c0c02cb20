/*
 * kafka_kdc: see kafka_kdc.h.
 *
 * A krb5.conf of its own goes to libkrb5 not as a text but as answers: a profile whose relations are looked up in kafka_krb5conf.h. So there is
 * nothing that libkrb5 could include, load or run.
 *
 * libkrb5 has no time-out: each KDC that is silent costs three rounds of 1 s, and 14 s besides; it asks each address of each name. But it says
 * when it begins and ends to ask (its hooks), looks names up by getaddrinfo() and waits by poll(). In between these two of this program are
 * our own, as connect() is (net/egress_connect.c): poll() waits no longer than this thread may, and once the time is over both fail. A
 * look-up that has begun takes as long as DNS does.
 */
#include "trigger/family/kafka_kdc.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <profile.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/egress.h"
#include "trigger/common/dsn.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_krb5conf.h"

enum { KDC_PORT = 88 };

struct kafka_kdc {
    struct kafka_krb5conf *conf; /* NULL: that of the process */
    atomic_bool away;
    const char *_Atomic refused;
};

static _Thread_local int64_t until_ms; /* of this thread's patience; 0: there was never a need for it */
static _Thread_local bool asking;

struct server {
    struct egress_caller caller; /* with this name */
    char host[DSN_HOST_BYTES];
};

static _Thread_local struct server *servers; /* that this thread asks; NULL: their names are not known */

/* ------------------------------------------------------------------ what the krb5.conf says */

static void free_values(void *conf, char **values)
{
    (void)conf;
    free(values);
}

/* libkrb5 copies them. */
static long get_values(void *conf, const char *const *names, char ***out)
{
    size_t count = 0;
    char **values;

    while (kafka_krb5conf_get(conf, names, count))
        count++;
    if (count == 0)
        return PROF_NO_RELATION;
    values = mem_alloc((count + 1) * sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = (char *)(uintptr_t)kafka_krb5conf_get(conf, names, i);
    *out = values;
    return 0;
}

static void drop_conf(void *conf)
{
    kafka_krb5conf_unref(conf);
}

static long copy_conf(void *conf, void **out)
{
    *out = kafka_krb5conf_ref(conf);
    return 0;
}

static krb5_error_code context_of(struct kafka_krb5conf *conf, krb5_context *out)
{
    struct profile_vtable answers = {
        .minor_ver = 1, .get_values = get_values, .free_values = free_values, .cleanup = drop_conf, .copy = copy_conf};
    profile_t profile;
    krb5_error_code code;

    code = (krb5_error_code)profile_init_vtable(&answers, kafka_krb5conf_ref(conf), &profile);
    if (code) {
        kafka_krb5conf_unref(conf);
        return code;
    }
    code = krb5_init_context_profile(profile, KRB5_INIT_CONTEXT_SECURE, out); /* no variable of the process counts */
    profile_release(profile);
    return code;
}

/* ------------------------------------------------------------------ asking */

static void add_server(size_t *count, const char *place)
{
    struct server *added;

    servers = mem_grow(servers, *count + 1, sizeof(*servers));
    added = &servers[*count];
    *added = (struct server){.caller.ns = egress_namespace()};
    *count += dsn_host(place, 0, KDC_PORT, added->host, sizeof(added->host), &added->caller.port);
}

static const char *named(const struct kafka_krb5conf *conf, const char *realm, const char *word, size_t index)
{
    return kafka_krb5conf_get(conf, (const char *const[]){"realms", realm, word, NULL}, index);
}

/* Of KDCs there are two kinds, and libkrb5 does not tell which one it asks: where DNS tells those of one kind, the names of the other one
   say nothing of their addresses. */
static bool names_all(const struct kafka_krb5conf *conf, const char *realm)
{
    return !kafka_krb5conf_asks_dns(conf) || (named(conf, realm, "kdc", 0) && (named(conf, realm, "primary_kdc", 0) ||
                                                                               named(conf, realm, "master_kdc", 0)));
}

/* The KDCs that the krb5.conf names for that realm. They are judged by their names, too. */
static const struct egress_caller *name_servers(const struct kafka_krb5conf *conf, const char *realm)
{
    static const char *const words[] = {"kdc", "primary_kdc", "master_kdc"};
    const char *place;
    size_t count = 0;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t j = 0; (place = named(conf, realm, words[i], j)) != NULL; j++)
            add_server(&count, place);
    for (size_t i = 0; i < count; i++) { /* now that they move no more */
        servers[i].caller.host = servers[i].host;
        servers[i].caller.next = i + 1 < count ? &servers[i + 1].caller : NULL;
    }
    return count > 0 ? &servers[0].caller : NULL;
}

static krb5_error_code on_question(krb5_context context, void *arg, const krb5_data *realm, const krb5_data *message,
                                   krb5_data **other_message, krb5_data **answer)
{
    const struct kafka_kdc *kdc = arg;
    char *name = mem_alloc((size_t)realm->length + 1);

    (void)context, (void)message, (void)other_message, (void)answer;
    if (realm->length > 0)
        memcpy(name, realm->data, realm->length);
    egress_turn_elsewhere(kdc->conf && names_all(kdc->conf, name) ? name_servers(kdc->conf, name) : NULL);
    free(name);
    asking = true;
    return 0;
}

/* No KDC answered, none was able to, or it is not known where they are. */
static bool is_away(krb5_error_code code)
{
    return code == KRB5_KDC_UNREACH || code == KRB5KDC_ERR_SVC_UNAVAILABLE || code == EAGAIN;
}

static krb5_error_code on_answer(krb5_context context, void *arg, krb5_error_code code, const krb5_data *realm,
                                 const krb5_data *message, const krb5_data *answer, krb5_data **other_answer)
{
    struct kafka_kdc *kdc = arg;
    const char *refused = egress_turn_back();

    (void)realm, (void)message, (void)answer, (void)other_answer;
    egress_turn_elsewhere(NULL);
    free(servers);
    servers = NULL;
    asking = false;
    atomic_store(&kdc->away, is_away(code));
    atomic_store(&kdc->refused, code == KRB5_KDC_UNREACH ? refused : NULL);
    if (code == EAGAIN) /* its own text speaks of a resource */
        krb5_set_error_message(context, code, "the name of a KDC could not be looked up in time");
    return code;
}

static int poll_now(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec time = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};

    return (int)syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &time, NULL, 0);
}

/* To libkrb5 an error is the end of its question: neither the next round nor the next name's address is waited for. */
static int poll_patiently(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    int64_t left_ms = asking ? until_ms - kafka_now_ms() : 0;
    int ready;

    if (!asking || (timeout_ms >= 0 && timeout_ms < left_ms))
        return poll_now(fds, count, timeout_ms);
    ready = left_ms > 0 ? poll_now(fds, count, (int)left_ms) : 0; /* else not even what is there: it may never end */
    if (ready != 0)
        return ready;
    errno = ETIMEDOUT;
    return -1;
}

/* Under the names that libkrb5 calls, with and without the compiler's checks. */
int kafka_kdc_poll_for_all(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("poll");
int kafka_kdc_poll_for_all(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return poll_patiently(fds, count, timeout_ms);
}

int kafka_kdc_checked_poll_for_all(struct pollfd *fds, nfds_t count, int timeout_ms,
                                   size_t bytes) __asm__("__poll_chk");
int kafka_kdc_checked_poll_for_all(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes)
{
    if (bytes / sizeof(*fds) < count)
        abort();
    return poll_patiently(fds, count, timeout_ms);
}

int kafka_kdc_getaddrinfo_for_all(const char *name, const char *service, const struct addrinfo *hints,
                                  struct addrinfo **out) __asm__("getaddrinfo");
int kafka_kdc_getaddrinfo_for_all(const char *name, const char *service, const struct addrinfo *hints,
                                  struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (asking && kafka_now_ms() >= until_ms)
        return EAI_AGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real ? real(name, service, hints, out) : EAI_FAIL;
}

/* ------------------------------------------------------------------ for others */

struct kafka_kdc *kafka_kdc_new(struct kafka_krb5conf *conf)
{
    struct kafka_kdc *kdc = mem_alloc(sizeof(*kdc));

    kdc->conf = conf ? kafka_krb5conf_ref(conf) : NULL;
    return kdc;
}

void kafka_kdc_free(struct kafka_kdc *kdc)
{
    if (kdc)
        kafka_krb5conf_unref(kdc->conf);
    free(kdc);
}

bool kafka_kdc_has_conf(const struct kafka_kdc *kdc)
{
    return kdc->conf != NULL;
}

krb5_error_code kafka_kdc_context(struct kafka_kdc *kdc, krb5_context *out)
{
    krb5_error_code code = kdc->conf ? context_of(kdc->conf, out) : krb5_init_context_profile(NULL, 0, out);

    if (code)
        return code;
    krb5_set_kdc_send_hook(*out, on_question, kdc);
    krb5_set_kdc_recv_hook(*out, on_answer, kdc);
    return 0;
}

void kafka_kdc_wait(int64_t patience_ms)
{
    until_ms = kafka_now_ms() + patience_ms;
}

bool kafka_kdc_is_away(const struct kafka_kdc *kdc, const char **refused)
{
    *refused = atomic_load(&kdc->refused);
    return atomic_load(&kdc->away);
}

void kafka_kdc_forget(struct kafka_kdc *kdc)
{
    atomic_store(&kdc->refused, NULL);
    atomic_store(&kdc->away, false);
}

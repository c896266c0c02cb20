/*
 * sasl: gssapi: what its parameters need, and what is said where no ticket can be had. With a KDC: test/servers/test_kafka_kerberos.py.
 * The krb5.conf of these tests knows a realm whose KDC nobody serves, and one whose KDC has no name.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential.h"
#include "net/egress.h"
#include "trigger/family/kafka_client.h"
#include "trigger/family/kafka_kerberos.h"
#include "trigger/trigger.h"

/* ------------------------------------------------------------------ parameters */

#define WHO "\"username\":\"u\",\"realm\":\"R\""

static const struct row {
    const char *given;    /* by the TriggerAuthentication */
    const char *mentions; /* in the first finding that is not advice; NULL: there is none */
    bool built;
} rows[] = {
    {WHO ",\"kerberosConfig\":\"# ours\\n ; and ours\\n\",\"password\":\"p\"", NULL, true},
    {WHO ",\"kerberosConfig\":\"# ours\",\"keytab\":\"k\",\"kerberosServiceName\":\"broker\"", NULL, true},
    {WHO ",\"kerberosConfig\":\"[realms]\\nR={\\nkdc=a\\n}\",\"password\":\"p\"", NULL, true},
    {WHO ",\"kerberosConfig\":\"[realms]\\nQ={\\nkdc=a\\n}\",\"password\":\"p\"", "no kdc for realm R", true},
    {WHO ",\"kerberosConfig\":\"[libdefaults]\\ndns_lookup_kdc=true\",\"password\":\"p\"", NULL, true},
    {WHO ",\"kerberosConfig\":\"#\\n include /etc/passwd\",\"password\":\"p\"", "line 2: nothing can be included",
     true},
    {WHO ",\"kerberosConfig\":\"[realms]\\n include /x\",\"password\":\"p\"", "line 2: nothing can be included", false},
    {WHO ",\"password\":\"p\"", "sasl: gssapi needs kerberosConfig", false},
    {WHO ",\"kerberosConfig\":\"#\"", "either password or keytab", false},
    {WHO ",\"kerberosConfig\":\"#\",\"password\":\"p\",\"keytab\":\"k\"", "either password or keytab", false},
    {"\"realm\":\"R\",\"kerberosConfig\":\"#\",\"password\":\"p\"", "sasl: gssapi needs username", false},
    {"\"username\":\"u\",\"kerberosConfig\":\"#\",\"password\":\"p\"", "sasl: gssapi needs realm", false},
};

static struct tree *tree_of(struct arena *arena, const char *json)
{
    struct tree *tree;

    assert_true(tree_read_json(json, strlen(json), false, arena, &tree, NULL));
    return tree;
}

static const struct finding *first_of(const struct report *report)
{
    for (size_t i = 0; i < report_count(report); i++)
        if (report_at(report, i)->severity != FINDING_ADVICE)
            return report_at(report, i);
    return NULL;
}

static void test_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct report *report = report_new();
        struct credential *credential =
            credential_from_tree(tree_of(arena, arena_printf(arena, "{%s}", rows[i].given)));
        struct trigger_input input = {
            .type = "kafka",
            .metadata = tree_of(arena, "{\"bootstrapServers\":\"b\",\"consumerGroup\":\"g\",\"sasl\":\"gssapi\"}"),
            .credential = credential,
            .direct = true,
            .ns = "shop"};
        struct trigger *trigger;
        struct trigger_metric metric;
        const struct finding *first;

        assert_int_equal(trigger_build(NULL, &input, report, &trigger, &metric), rows[i].built);
        first = first_of(report);
        if (!first != !rows[i].mentions || (first && !strstr(first->text, rows[i].mentions)))
            fail_msg("row %zu: %s", i, first ? first->text : "nothing was found");
        if (rows[i].built) {
            trigger_metric_done(&metric);
            trigger_unref(trigger);
        }
        credential_unref(credential);
        report_free(report);
        arena_free(arena);
    }
}

/* ------------------------------------------------------------------ no ticket */

static char config[] = "/tmp/weir-krb5-XXXXXX";

static int write_config(void **state)
{
    static const char text[] = "[libdefaults]\ndns_lookup_kdc = false\n[realms]\nAWAY.TEST = {\n kdc = 127.0.0.1:9\n}\n"
                               "NAMELESS.TEST = {\n kdc = kdc.invalid.\n}\n";
    int fd = mkstemp(config);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    return setenv("KRB5_CONFIG", config, 1);
}

static int remove_config(void **state)
{
    (void)state;
    return unlink(config);
}

static void refuses(const struct kafka_access *access, enum error_kind kind, const char *mentions)
{
    struct kafka_kerberos *kerberos = kafka_kerberos_new();
    struct error err = {0};

    assert_false(kafka_kerberos_renew(kerberos, access, &err));
    if (err.kind != kind || !strstr(err.text, mentions) || strstr(err.text, "s3cret"))
        fail_msg("%s: %s", error_kind_name(err.kind), err.text);
    assert_false(kafka_kerberos_enter(kerberos)); /* never with what the process has */
    kafka_kerberos_free(kerberos);
}

static void test_no_ticket(void **state)
{
    struct secret *password = secret_new("s3cret", 6);
    struct kafka_access access = {.username = "u", .realm = "AWAY.TEST", .password = password};

    (void)state;
    refuses(&access, ERROR_UNREACHABLE, "no Kerberos ticket for u@AWAY.TEST");
    access.realm = "NAMELESS.TEST"; /* DNS says so, or there is none */
    refuses(&access, ERROR_UNREACHABLE, "no Kerberos ticket for u@NAMELESS.TEST");
    access.realm = "ELSEWHERE.TEST";
    refuses(&access, ERROR_INVALID, "those in the krb5.conf of whoever runs Weir");
    access.realm = "AWAY.TEST";
    access.username = "u@AWAY.TEST";
    refuses(&access, ERROR_INVALID, "no Kerberos ticket for u@AWAY.TEST@AWAY.TEST");
    secret_unref(password);
}

/* Says once that it cannot serve, over TCP: over UDP it would be asked again until the time is over. */
static void *serve_busy(void *arg)
{
    static const unsigned char busy[] = {
        /* its length, KRB-ERROR of 1970-01-01, KDC_ERR_SVC_UNAVAILABLE (29), realm R, principal R */
        0,   0,    0,   64,   0x7e, 0x3e, 0x30, 0x3c, 0xa0, 3,   2,    1,   5,    0xa1, 3,    2,    1,
        30,  0xa4, 17,  0x18, 15,   '1',  '9',  '7',  '0',  '0', '1',  '0', '1',  '0',  '0',  '0',  '0',
        '0', '0',  'Z', 0xa5, 3,    2,    1,    0,    0xa6, 3,   2,    1,   29,   0xa9, 3,    0x1b, 1,
        'R', 0xaa, 14,  0x30, 12,   0xa0, 3,    2,    1,    1,   0xa1, 5,   0x30, 3,    0x1b, 1,    'R'};
    char question[4096];
    int fd = accept(*(int *)arg, NULL, NULL);

    if (fd >= 0 && recv(fd, question, sizeof(question), 0) > 0)
        send(fd, busy, sizeof(busy), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void test_kdc_that_cannot_serve(void **state)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(here);
    const struct timeval patience = {.tv_sec = 5};
    struct secret *password = secret_new("s3cret", 6), *config_of_it;
    struct kafka_access access = {.username = "u", .realm = "R", .password = password};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    char text[100];

    (void)state;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&here, sizeof(here)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&here, &length), 0);
    snprintf(text, sizeof(text), "[libdefaults]\nudp_preference_limit = 1\n[realms]\nR = {\n kdc = 127.0.0.1:%d\n}\n",
             ntohs(here.sin_port));
    access.kerberos_config = config_of_it = secret_new(text, strlen(text));
    assert_int_equal(pthread_create(&thread, NULL, serve_busy, &fd), 0);
    refuses(&access, ERROR_UNREACHABLE, "service is not available");
    pthread_join(thread, NULL);
    close(fd);
    secret_unref(password);
    secret_unref(config_of_it);
}

/* The KDC is not the server that the trigger names: its address has to be allowed by itself. */
static void test_kdc_under_egress_rules(void **state)
{
    const struct egress_caller broker = {.ns = "shop", .host = "broker.example", .port = 9092};
    struct egress *rules = egress_new();
    struct secret *password = secret_new("s3cret", 6);
    const struct kafka_access access = {.username = "u", .realm = "AWAY.TEST", .password = password};
    struct error err;
    const char *why;

    (void)state;
    assert_true(egress_allow(rules, "broker.example,10.0.0.0/8", &err));
    assert_true(egress_deny(rules, "all", &err));
    egress_enter(rules, &broker);
    refuses(&access, ERROR_INVALID, "a KDC of the realm");
    assert_false(egress_leave(&why)); /* it is said already */
    egress_unref(rules);
    secret_unref(password);
}

/* A KDC that kerberosConfig names is judged by that name, too, and only its own realm's count; but none where some are in DNS. */
static void test_kdc_by_its_name(void **state)
{
#define OTHERS     "\n}\nQ = {\n kdc = q.example:9\n}\n"
#define KDC        "[realms]\nR = {\n kdc = localhost:9"
#define ASKING_DNS "[libdefaults]\ndns_lookup_kdc = true\n"
    static const char plain[] = KDC OTHERS, in_dns[] = ASKING_DNS KDC OTHERS,
                      both[] = ASKING_DNS KDC "\n master_kdc = localhost:9" OTHERS;
    const struct egress_caller broker = {.ns = "shop", .host = "broker.example", .port = 9092};
    static const struct {
        const char *text, *allowed, *denied;
        enum error_kind kind;
        const char *mentions;
    } of[] = {
        {plain, "shop=localhost", "all", ERROR_UNREACHABLE, "Cannot contact any KDC"},
        {plain, "shop=q.example", "all", ERROR_INVALID, "a KDC of the realm"},
        {plain, "loopback", "shop=localhost", ERROR_INVALID, "a KDC of the realm"},
        {plain, "loopback", "q.example", ERROR_UNREACHABLE, "Cannot contact any KDC"},
        {in_dns, "shop=localhost", "all", ERROR_INVALID, "a KDC of the realm"},
        {in_dns, "loopback", "all", ERROR_UNREACHABLE, "Cannot contact any KDC"},
        {both, "shop=localhost", "all", ERROR_UNREACHABLE, "Cannot contact any KDC"},
    };
    struct secret *password = secret_new("s3cret", 6);

    (void)state;
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        struct egress *rules = egress_new();
        struct secret *config_of_it = secret_new(of[i].text, strlen(of[i].text));
        const struct kafka_access access = {
            .username = "u", .realm = "R", .password = password, .kerberos_config = config_of_it};
        struct error err;
        const char *why;

        assert_true(egress_allow(rules, of[i].allowed, &err));
        assert_true(egress_deny(rules, of[i].denied, &err));
        egress_enter(rules, &broker);
        refuses(&access, of[i].kind, of[i].mentions);
        assert_false(egress_leave(&why));
        egress_unref(rules);
        secret_unref(config_of_it);
    }
    secret_unref(password);
}

/* Weir's own krb5.conf knows AWAY.TEST: what kerberosConfig says is all there is. */
static void test_config_is_all_there_is(void **state)
{
    struct secret *password = secret_new("s3cret", 6), *other = secret_new("[realms]\n", 9),
                  *bad = secret_new("[realms\n", 8);
    struct kafka_access access = {
        .username = "u", .realm = "AWAY.TEST", .password = password, .kerberos_config = other};

    (void)state;
    refuses(&access, ERROR_INVALID, "kerberosConfig has no kdc for it");
    access.kerberos_config = bad;
    refuses(&access, ERROR_INVALID, "kerberosConfig line 1");
    secret_unref(password);
    secret_unref(other);
    secret_unref(bad);
}

static void test_fresh(void **state)
{
    (void)state;
    assert_int_equal(kafka_kerberos_fresh_ms(36000 * 1000), 28800 * 1000);
    assert_int_equal(kafka_kerberos_fresh_ms(5), 4);
    assert_int_equal(kafka_kerberos_fresh_ms(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_no_ticket),
        cmocka_unit_test(test_kdc_that_cannot_serve),
        cmocka_unit_test(test_kdc_under_egress_rules),
        cmocka_unit_test(test_kdc_by_its_name),
        cmocka_unit_test(test_config_is_all_there_is),
        cmocka_unit_test(test_fresh),
    };

    if (!kafka_kerberos_is_there())
        return 0;
    return cmocka_run_group_tests(tests, write_config, remove_config);
}

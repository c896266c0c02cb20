/* Certificates that Weir makes, read back with OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/secret.h"
#include "base/time.h"
#include "serve/cluster_internal.h"

#define NOW (INT64_C(1767225600) * SECOND_MS)

static const char *names_list[] = {"weir",      "weir.ops",  "weir.ops.svc", "weir.ops.svc.cluster.local",
                                   "localhost", "127.0.0.1", "::1"};
static const struct pki_names names = {names_list, sizeof(names_list) / sizeof(names_list[0])};

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

static struct pki_set fresh(int64_t now_ms)
{
    struct pki_set set;
    struct error err;

    assert_true(pki_set_renew(NULL, &names, now_ms, &set, &err));
    return set;
}

static int count_certificates(const char *pem)
{
    int count = 0;

    for (; (pem = strstr(pem, "BEGIN CERTIFICATE")); pem++)
        count++;
    return count;
}

/* As Go's crypto/tls looks at it: chain, purpose and name. */
static bool verifies(const char *ca_pem, const char *certificate_pem, const char *host, int64_t now_ms)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *certificate = parse(certificate_pem);
    BIO *bio = BIO_new_mem_buf(ca_pem, -1);
    X509 *ca;

    while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        X509_STORE_add_cert(store, ca);
        X509_free(ca);
    }
    X509_STORE_CTX_init(context, store, certificate, NULL);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), (time_t)(now_ms / 1000));
    X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(context), host, 0);
    bool good = X509_verify_cert(context) == 1;
    X509_free(certificate);
    BIO_free(bio);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

static void a_server_is_known_by_its_authority(void **state)
{
    struct pki_set set = fresh(NOW);
    X509 *certificate = parse(set.certificate), *ca = parse(set.ca);
    struct error err;

    (void)state;
    assert_true(pki_set_check(&set, &names, NOW, &err));
    for (size_t i = 0; i < 5; i++)
        assert_true(verifies(set.ca, set.certificate, names_list[i], NOW));
    assert_false(verifies(set.ca, set.certificate, "other.ops.svc", NOW));
    assert_false(verifies(set.ca, set.certificate, "weir", NOW + 366 * DAY_MS));
    assert_int_equal(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "::1", 0), 1);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(certificate), 0);
    assert_int_equal(X509_get_version(certificate), X509_VERSION_3);
    assert_int_equal(X509_get_extended_key_usage(certificate), XKU_SSL_SERVER | XKU_SSL_CLIENT);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(certificate)), 256);
    assert_int_not_equal(X509_cmp(certificate, ca), 0);
    X509_free(certificate);
    X509_free(ca);
    pki_set_done(&set);
}

static void ten_years_and_one(void **state)
{
    struct pki_set set = fresh(NOW);
    int64_t server_ends, ca_ends;

    (void)state;
    assert_true(pki_pair_read(set.certificate, set.key, &server_ends, NULL));
    assert_true(pki_pair_read(set.ca, set.ca_key, &ca_ends, NULL));
    assert_int_equal(server_ends, NOW + 365 * DAY_MS);
    assert_int_equal(ca_ends, NOW + 3650 * DAY_MS);
    pki_set_done(&set);
}

static void what_is_not_good_enough(void **state)
{
    struct pki_set set = fresh(NOW), other = fresh(NOW), bad;
    const char *more_list[] = {"weir", "elsewhere"};
    const struct pki_names more = {more_list, 2};
    struct error err;

    (void)state;
    const struct {
        const char *what;
        struct pki_set set;
        const struct pki_names *names;
        int64_t now_ms;
        const char *text;
    } rows[] = {
        {"serves", set, &names, NOW + 274 * DAY_MS, NULL},
        {"89 days remain", set, &names, NOW + 276 * DAY_MS, "90 days"},
        {"a clock that is a little behind", set, &names, NOW - 50 * MINUTE_MS, NULL},
        {"made while the clock was ahead", set, &names, NOW - DAY_MS, "future"},
        {"nothing", {0}, &names, NOW, "authority"},
        {"no certificate", {.ca = set.ca, .key = set.key}, &names, NOW, "no certificate"},
        {"no key", {.ca = set.ca, .certificate = set.certificate}, &names, NOW, "key cannot be read"},
        {"text", {.ca = set.ca, .certificate = (char *)"hello", .key = set.key}, &names, NOW, "no certificate"},
        {"another's key", {.ca = set.ca, .certificate = set.certificate, .key = other.key}, &names, NOW, "another"},
        {"another's authority",
         {.ca = other.ca, .certificate = set.certificate, .key = set.key},
         &names,
         NOW,
         "signed"},
        {"another name", set, &more, NOW, "elsewhere"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bad = rows[i].set;
        bool good = pki_set_check(&bad, rows[i].names, rows[i].now_ms, &err);
        if (good != !rows[i].text || (rows[i].text && !strstr(err.text, rows[i].text)))
            fail_msg("%s: %s", rows[i].what, good ? "good" : err.text);
    }
    pki_set_done(&set);
    pki_set_done(&other);
}

static void an_authority_is_kept_while_it_serves(void **state)
{
    struct pki_set first = fresh(NOW), second, last;
    int64_t late = NOW + 9 * 365 * DAY_MS, ends;
    struct error err;

    (void)state;
    assert_true(pki_set_renew(&first, &names, NOW + 300 * DAY_MS, &second, &err));
    assert_string_equal(first.ca, second.ca);
    assert_string_not_equal(first.certificate, second.certificate);
    assert_true(pki_set_check(&second, &names, NOW + 300 * DAY_MS, &err));
    /* in its last year but one it could not outlive what it signs */
    assert_true(pki_set_renew(&second, &names, late, &last, &err));
    assert_int_equal(count_certificates(last.ca), 2);
    assert_true(pki_set_check(&last, &names, late, &err));
    assert_true(verifies(last.ca, last.certificate, "weir", late));
    assert_true(
        verifies(last.ca, second.certificate, "weir", NOW + 301 * DAY_MS)); /* those that have not changed yet */
    assert_true(pki_pair_read(last.ca, last.ca_key, &ends, NULL));
    assert_int_equal(ends, late + 3650 * DAY_MS);
    pki_set_done(&first);
    pki_set_done(&second);
    pki_set_done(&last);
}

static void a_set_without_the_authority_s_key_gets_a_new_authority(void **state)
{
    struct pki_set given = fresh(NOW), made;
    struct error err;

    (void)state;
    secret_unref(given.ca_key);
    given.ca_key = NULL;
    assert_true(pki_set_check(&given, &names, NOW, &err)); /* it serves as long as it lasts */
    assert_true(pki_set_renew(&given, &names, NOW, &made, &err));
    assert_int_equal(count_certificates(made.ca), 2);
    assert_true(pki_set_check(&made, &names, NOW, &err));
    pki_set_done(&given);
    pki_set_done(&made);
}

static void names_are_taken_as_they_are(void **state)
{
    static const char long_name[] = "a-service-with-a-name-as-long-as-they-may-be-0123456789-012345.ns.svc";
    const char *list[] = {long_name, "a,DNS:evil.example"};
    const struct pki_names odd = {list, 2};
    struct pki_set set;
    struct error err;

    (void)state;
    assert_true(pki_set_renew(NULL, &odd, NOW, &set, &err));
    assert_true(verifies(set.ca, set.certificate, long_name, NOW));
    assert_false(verifies(set.ca, set.certificate, "evil.example", NOW));
    pki_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_known_by_its_authority),
        cmocka_unit_test(ten_years_and_one),
        cmocka_unit_test(what_is_not_good_enough),
        cmocka_unit_test(an_authority_is_kept_while_it_serves),
        cmocka_unit_test(a_set_without_the_authority_s_key_gets_a_new_authority),
        cmocka_unit_test(names_are_taken_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

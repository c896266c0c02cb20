/* kerberosConfig: what of a krb5.conf counts, what is as if it were not there, and what is refused by its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "trigger/family/kafka_krb5conf.h"

#define REALMS(LINES)   "[realms]\nR = {\n" LINES "\n}\n"
#define DEFAULTS(LINES) "[libdefaults]\n" LINES "\n"

static const char *get(const struct kafka_krb5conf *conf, const char *path, size_t index)
{
    char copy[200], *names[5] = {0}, *save = NULL;
    size_t count = 0;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *word = strtok_r(copy, "/", &save); word && count < 4; word = strtok_r(NULL, "/", &save))
        names[count++] = word;
    return kafka_krb5conf_get(conf, (const char *const *)names, index);
}

static struct kafka_krb5conf *read_good(const char *text)
{
    struct error err = {0};
    struct kafka_krb5conf *conf = kafka_krb5conf_read(text, "R", &err);

    if (!conf)
        fail_msg("%s: %s", text, err.text);
    return conf;
}

/* ------------------------------------------------------------------ what counts */

static const struct row {
    const char *text, *path, *value; /* NULL: it is not there */
    size_t index;
} rows[] = {
    {REALMS(" kdc = a:88"), "realms/R/kdc", "a:88", 0},
    {REALMS(" kdc = a\n kdc = [::1]:88"), "realms/R/kdc", "[::1]:88", 1},
    {REALMS(" kdc = a") REALMS(" kdc = b"), "realms/R/kdc", "b", 1},
    {REALMS(" kdc = a") REALMS(" kdc = b"), "realms/R/kdc", NULL, 2},
    {REALMS("\tkdc=a\r"), "realms/R/kdc", "a", 0},
    {REALMS(" KDC = a # the main one"), "realms/R/kdc", "a", 0},
    {REALMS(" kdc = a:88*"), "realms/R/kdc", "a:88", 0},
    {REALMS(" kdc* = \"a\""), "realms/R/kdc", "a", 0},
    {REALMS(" master_kdc = a"), "realms/R/master_kdc", "a", 0},
    {REALMS(" kdc = a\n auth_to_local_names = {\n kdc = x\n  deeper = {\n kdc = y\n }\n }\n kdc = b"), "realms/R/kdc",
     "b", 1},
    {REALMS(" kdc = a\n x = {\n kdc = x\n }"), "realms/R/kdc", NULL, 1},
    {REALMS(" kdc = a\n auth_to_local = RULE:[1:$1@$0](.*@R)s/@.*//"), "realms/R/auth_to_local", NULL, 0},
    {"[realms]\nR =\n{\n kdc = a\n}\n", "realms/R/kdc", "a", 0},
    {"[realms]\nR = {\n kdc = a\n}\nQ = {\n kdc = b\n}\n", "realms/Q/kdc", "b", 0},
    {"[Realms] ; ours\nR = {\n kdc = a\n}\n", "realms/R/kdc", "a", 0},
    {"kdc = a\n[realms]\n kdc = b\n", "realms/kdc", NULL, 0},
    {DEFAULTS("default_realm = Q"), "libdefaults/default_realm", "Q", 0},
    {DEFAULTS("default_realm = Q\nDefault_Realm = P"), "libdefaults/default_realm", "P", 0},
    {DEFAULTS("default_realm = Q\ndefault_realm = P"), "libdefaults/default_realm", NULL, 1},
    {DEFAULTS("R = {\n default_realm = Q\n}"), "libdefaults/default_realm", "R", 0},
    {DEFAULTS("clockskew = 60"), "libdefaults/clockskew", "60", 0},
    {DEFAULTS("clockskew = 5m"), "libdefaults/clockskew", NULL, 0}, /* which libkrb5 could not read */
    {DEFAULTS("clockskew = 0:05"), "libdefaults/clockskew", NULL, 0},
    {DEFAULTS("clockskew = 9999999999"), "libdefaults/clockskew", NULL, 0},
    {DEFAULTS("realm_try_domains = -1"), "libdefaults/realm_try_domains", "-1", 0},
    {DEFAULTS("default_tkt_enctypes = aes256-cts aes128-cts"), "libdefaults/default_tkt_enctypes",
     "aes256-cts aes128-cts", 0},
    {DEFAULTS("ticket_lifetime ="), "libdefaults/ticket_lifetime", NULL, 0},
    {"[domain_realm]\n.Shop.Test = R\n", "domain_realm/.shop.test", "R", 0},
    {"[domain_realm]\nA = R\na = Q\n", "domain_realm/a", "Q", 0},
    /* as KEDA, where it does not say otherwise */
    {"[realms]", "libdefaults/default_realm", "R", 0},
    {"[realms]", "libdefaults/dns_lookup_kdc", "false", 0},
    {DEFAULTS("dns_lookup_kdc = true"), "libdefaults/dns_lookup_kdc", "true", 0},
    {"[realms]", "libdefaults/qualify_shortname", "", 0},
    {DEFAULTS("qualify_shortname = a.b"), "libdefaults/qualify_shortname", "a.b", 0},
    {"[realms]", "libdefaults/dns_canonicalize_hostname", "fallback", 0},
    {DEFAULTS("dns_canonicalize_hostname = true"), "libdefaults/dns_canonicalize_hostname", "fallback", 0},
    {DEFAULTS("dns_canonicalize_hostname = No"), "libdefaults/dns_canonicalize_hostname", "No", 0},
    /* as if it were not there */
    {DEFAULTS("default_ccache_name = FILE:/tmp/x"), "libdefaults/default_ccache_name", "MEMORY:weir-none", 0},
    {DEFAULTS("default_keytab_name = /etc/krb5.keytab"), "libdefaults/default_keytab_name", "MEMORY:weir-none", 0},
    {DEFAULTS("default_client_keytab_name = /x"), "libdefaults/default_client_keytab_name", "MEMORY:weir-none", 0},
    {DEFAULTS("plugin_base_dir = /tmp"), "libdefaults/plugin_base_dir", NULL, 0},
    {DEFAULTS("R = {\n plugin_base_dir = /tmp\n}"), "libdefaults/R/plugin_base_dir", NULL, 0},
    {DEFAULTS("kcm_socket = /run/x"), "libdefaults/kcm_socket", NULL, 0},
    {DEFAULTS("err_fmt = %M"), "libdefaults/err_fmt", NULL, 0},
    {REALMS(" http_anchors = FILE:/x"), "realms/R/http_anchors", NULL, 0},
    {REALMS(" pkinit_anchors = FILE:/x"), "realms/R/pkinit_anchors", NULL, 0},
    {REALMS(" admin_server = a"), "realms/R/admin_server", NULL, 0},
    {"[plugins]\nclpreauth = {\n module = x:/tmp/x.so\n}\n", "plugins/clpreauth/module", NULL, 0},
    {REALMS(" module = x\n include\t= /x\n kdc = a"), "realms/R/kdc", "a", 0},
    {"[logging]\ndefault = FILE:/tmp/x\n[plugins]\n}}}\n", "logging/default", NULL, 0},
    {"[appdefaults]\nkdc = a\n[dbmodules]\nnonsense\n", "appdefaults/kdc", NULL, 0},
    {"includedir /etc/krb5.conf.d/\nmodule /tmp/x.so:y\n" REALMS(" kdc = a"), "realms/R/kdc", "a", 0},
    /* questions of another shape */
    {REALMS(" kdc = a"), "realms/R", NULL, 0},
    {REALMS(" kdc = a"), "realms", NULL, 0},
    {REALMS(" kdc = a"), "realms/R/kdc/x", NULL, 0},
    {DEFAULTS("default_realm = Q"), "libdefaults/R/default_realm", NULL, 0},
};

static void test_what_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kafka_krb5conf *conf = read_good(rows[i].text);
        const char *value = get(conf, rows[i].path, rows[i].index);

        if (!value != !rows[i].value || (value && strcmp(value, rows[i].value) != 0))
            fail_msg("row %zu, %s of\n%s\nis %s", i, rows[i].path, rows[i].text, value ? value : "not there");
        kafka_krb5conf_unref(conf);
    }
}

/* ------------------------------------------------------------------ what is refused */

static const struct {
    const char *text, *mentions;
} refused[] = {
    {"[realms]\ninclude /etc/passwd\n", "line 2: nothing can be included"},
    {"# ours\n\n[libdefaults]\n  IncludeDir\t/etc\n", "line 4: nothing can be included"},
    {REALMS("module /tmp/x.so:y"), "line 3: nothing can be included"},
    {REALMS("a = {\n include /x\n}"), "line 4: nothing can be included"},
    {REALMS(" kdc = https://a/KdcProxy"), "line 3: a KDC is host or host:port"},
    {REALMS(" kdc = /run/kdc"), "line 3: a KDC is"},
    {REALMS(" kdc = a b"), "line 3: a KDC is"},
    {REALMS(" kdc = a:99999"), "line 3: a KDC is"},
    {REALMS(" kdc = {"), "line 5: a { before it is not closed"},
    {DEFAULTS("kdc_timesync = soon"), "line 2: it has to be a number"},
    {DEFAULTS("kdc_timesync = -"), "line 2: it has to be a number"},
    {DEFAULTS("udp_preference_limit = 9999999999"), "line 2: it has to be a number"},
    {DEFAULTS("default_realm = A\001B"), "line 2: the value is too long, or no text"},
    {DEFAULTS("default_realm"), "line 2: neither name = value nor a section"},
    {"[realms\n", "line 1: a [ without its ]"},
    {"[realms]\nR = {\n[libdefaults]\n", "line 3: a { before it is not closed"},
    {"[realms]\n}\n", "line 2: a } without its {"},
};

static void refuses(const char *text, const char *mentions)
{
    struct error err = {0};

    assert_null(kafka_krb5conf_read(text, "R", &err));
    if (!strstr(err.text, mentions))
        fail_msg("%.40s: %s", text, err.text);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        refuses(refused[i].text, refused[i].mentions);
}

/* ------------------------------------------------------------------ bounds */

/* head, then format with 0, 1 ... count - 1, then tail; to be freed. */
static char *repeat(const char *head, const char *line, int count, const char *tail)
{
    size_t size = strlen(head) + (strlen(line) + 20) * (size_t)count + strlen(tail) + 1, length;
    char *text = malloc(size);

    length = (size_t)snprintf(text, size, "%s", head);
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%d = R\n", line, i);
    snprintf(text + length, size - length, "%s", tail);
    return text;
}

static void test_too_much(void **state)
{
    char *hosts = repeat("[domain_realm]\n", "host", 1100, ""), *comments = repeat("", "# some words ", 5000, "");
    char *not_ours = repeat("[logging]\n", "x", 3000, REALMS(" kdc = a"));
    char *again = repeat("[domain_realm]\n", "host = ", 1100, "");
    char value[400];

    (void)state;
    refuses(hosts, "line 1002: more than RELATIONS_MAX");
    refuses(again, "line 1002: more than RELATIONS_MAX");
    refuses(comments, "more than TEXT_MAX_BYTES");
    kafka_krb5conf_unref(read_good(not_ours));
    snprintf(value, sizeof(value), DEFAULTS("default_realm = %0300d"), 1);
    refuses(value, "line 2: the value is too long");
    free(hosts), free(comments), free(not_ours), free(again);
}

static void test_more_kdcs_than_are_asked(void **state)
{
    char text[1000] = "[realms]\nR = {\n";
    struct kafka_krb5conf *conf;

    (void)state;
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "kdc = a%d\n", i);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "}\n");
    conf = read_good(text);
    assert_string_equal(get(conf, "realms/R/kdc", 7), "a7");
    assert_null(get(conf, "realms/R/kdc", 8));
    kafka_krb5conf_unref(conf);
}

/* ------------------------------------------------------------------ questions about the whole */

static void test_empty(void **state)
{
    (void)state;
    assert_true(kafka_krb5conf_is_empty(""));
    assert_true(kafka_krb5conf_is_empty("# ours\n ; and ours\r\n\n"));
    assert_false(kafka_krb5conf_is_empty("# ours\n[realms]"));
    assert_false(kafka_krb5conf_is_empty("include /x"));
}

static void test_known_realms(void **state)
{
    struct kafka_krb5conf *conf = read_good(REALMS(" kdc = a") "[libdefaults]\ndns_lookup_kdc = no\n");

    (void)state;
    assert_true(kafka_krb5conf_knows(conf, "R"));
    assert_false(kafka_krb5conf_knows(conf, "Q"));
    assert_false(kafka_krb5conf_asks_dns(conf));
    kafka_krb5conf_unref(conf);
    conf = read_good(DEFAULTS("dns_lookup_kdc = Yes"));
    assert_true(kafka_krb5conf_asks_dns(conf));
    assert_true(kafka_krb5conf_knows(conf, "Q"));
    kafka_krb5conf_unref(conf);
}

static void test_ignored_line(void **state)
{
    struct kafka_krb5conf *conf = read_good("# ours\nincludedir /etc/krb5.conf.d/\ninclude /x\n" REALMS("kdc = a"));

    (void)state;
    assert_int_equal(kafka_krb5conf_ignored_line(conf), 2);
    kafka_krb5conf_unref(conf);
    conf = read_good(REALMS("kdc = a") "[plugins]\nclpreauth = {\n module = x\n}\n");
    assert_int_equal(kafka_krb5conf_ignored_line(conf), 0);
    kafka_krb5conf_unref(conf);
}

/* It stays as long as somebody has a reference. */
static void test_references(void **state)
{
    struct kafka_krb5conf *conf = read_good(REALMS("kdc = a")), *other = kafka_krb5conf_ref(conf);

    (void)state;
    kafka_krb5conf_unref(conf);
    assert_string_equal(get(other, "realms/R/kdc", 0), "a");
    kafka_krb5conf_unref(other);
    kafka_krb5conf_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),  cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_too_much),     cmocka_unit_test(test_more_kdcs_than_are_asked),
        cmocka_unit_test(test_empty),        cmocka_unit_test(test_known_realms),
        cmocka_unit_test(test_ignored_line), cmocka_unit_test(test_references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

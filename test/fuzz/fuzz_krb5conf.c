/*
 * fuzz_krb5conf: whatever a kerberosConfig says, it is refused with a line, or it says no more than it may: values are short and printable,
 * KDCs are few, and names of caches, keytabs, modules and plug-ins do not come through.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "trigger/common/dsn.h"
#include "trigger/family/kafka_krb5conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *first(const struct kafka_krb5conf *conf, const char *section, const char *sub, const char *name)
{
    const char *const direct[] = {section, name, NULL}, *const below[] = {section, sub, name, NULL};

    return kafka_krb5conf_get(conf, sub ? below : direct, 0);
}

static void check_value(const char *value)
{
    assert(!value || strlen(value) <= 255);
    for (; value && *value; value++)
        assert((unsigned char)*value >= ' ' || *value == '\t');
}

static void check_closed(const struct kafka_krb5conf *conf)
{
    static const char *const names[] = {"default_ccache_name", "default_keytab_name", "default_client_keytab_name"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert(strcmp(first(conf, "libdefaults", NULL, names[i]), "MEMORY:weir-none") == 0);
    assert(!first(conf, "libdefaults", NULL, "plugin_base_dir"));
    assert(!first(conf, "libdefaults", "R", "plugin_base_dir"));
    assert(!first(conf, "realms", "R", "http_anchors"));
    assert(!first(conf, "plugins", "clpreauth", "module"));
    assert(!first(conf, "logging", NULL, "default"));
}

static void check_open(const struct kafka_krb5conf *conf)
{
    static const char *const names[] = {"default_realm", "dns_canonicalize_hostname", "dns_lookup_kdc", "clockskew",
                                        "ticket_lifetime"};
    const char *const kdc[] = {"realms", "R", "kdc", NULL}, *value;
    size_t count = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        check_value(first(conf, "libdefaults", NULL, names[i]));
    check_value(first(conf, "domain_realm", NULL, "a"));
    while ((value = kafka_krb5conf_get(conf, kdc, count)) != NULL) {
        assert(dsn_is_place(value));
        count++;
    }
    assert(count <= 8);
    assert(count == 0 || kafka_krb5conf_knows(conf, "R"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct error err = {0};
    struct kafka_krb5conf *conf;

    memcpy(text, data, size);
    text[size] = '\0';
    conf = kafka_krb5conf_read(text, "R", &err);
    if (conf) {
        check_closed(conf);
        check_open(conf);
        assert(!kafka_krb5conf_is_empty(text) || !kafka_krb5conf_knows(conf, "R"));
    } else {
        assert(strstr(err.text, "kerberosConfig"));
        assert(!kafka_krb5conf_is_empty(text) || size > 64 * 1024);
    }
    kafka_krb5conf_unref(conf);
    free(text);
    return 0;
}

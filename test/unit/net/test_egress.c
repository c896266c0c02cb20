/* Where manifests may have us connect to: rules, addresses in all their spellings, names, libraries that connect by themselves. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "net/egress.h"

static struct egress *make(const char *allow, const char *deny, bool in_cluster)
{
    struct egress *rules = egress_new();
    struct error err;

    if (in_cluster)
        egress_protect_loopback(rules);
    assert_true(egress_allow(rules, allow, &err));
    assert_true(egress_deny(rules, deny, &err));
    return rules;
}

static struct sockaddr_storage address_of(const char *string, int port)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, string, &v4.sin_addr) == 1)
        memcpy(&storage, &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, string, &v6.sin6_addr) == 1)
        memcpy(&storage, &v6, sizeof(v6));
    else
        fail_msg("%s is no address", string);
    return storage;
}

/* NULL: allowed. */
static const char *refusal(const struct egress *rules, const char *ns, const char *host, const char *address, int port)
{
    struct sockaddr_storage storage = address_of(address, port);
    struct egress_caller caller = {.ns = ns, .host = host, .port = port};
    const char *why = NULL;

    if (egress_allows(rules, &caller, (const struct sockaddr *)(const void *)&storage, &why))
        return NULL;
    assert_non_null(why);
    return why;
}

static void protects_by_default(void **state)
{
    static const struct {
        const char *address;
        bool outside, inside; /* allowed: on this machine, in a cluster */
    } rows[] = {
        {"10.0.0.1", true, true},
        {"8.8.8.8", true, true},
        {"2001:db8::1", true, true},
        {"127.0.0.1", true, false},
        {"127.8.9.10", true, false},
        {"0.0.0.0", true, false},
        {"::1", true, false},
        {"::", true, false},
        {"::ffff:127.0.0.1", true, false},
        {"::127.0.0.1", true, false},
        {"169.254.169.254", false, false},
        {"169.254.0.1", false, false},
        {"::ffff:169.254.169.254", false, false},
        {"::169.254.169.254", false, false},
        {"64:ff9b::a9fe:a9fe", false, false},
        {"64:ff9b::7f00:1", true, false},
        {"::ffff:0:169.254.169.254", false, false}, /* SIIT */
        {"::ffff:0:127.0.0.1", true, false},
        {"::ffff:0:10.0.0.1", true, true},
        {"64:ff9b:1::a9fe:a9fe", false, false},       /* NAT64 under a prefix of one's own: of 96 bits, */
        {"64:ff9b:1:0:a9:fea9:fe00:0", false, false}, /* of 64, */
        {"64:ff9b:1:a9:fe:a9fe::", false, false},     /* of 56, */
        {"64:ff9b:1:a9fe:a9:fe00::", false, false},   /* of 48 */
        {"64:ff9b:1::7f00:1", true, false},
        {"64:ff9b:1::a00:1", true, true},
        {"64:ff9b:2::a9fe:a9fe", true, true}, /* another prefix */
        {"2002:a9fe:a9fe::1", false, false},  /* 6to4 */
        {"2002:7f00:1::", true, false},
        {"2002:a00:1::1", true, true},
        {"2001:0:a9fe:a9fe::", false, false},           /* Teredo: its server, */
        {"2001:0:808:808:0:0:5601:5601", false, false}, /* and its client, inverted */
        {"2001:0:808:808:0:0:80ff:fffe", true, false},
        {"2001:db8:a9fe:a9fe::", true, true},
        {"fe80::1", false, false},
        {"febf::1", false, false},
        {"fec0::1", true, true},
        {"100.100.100.200", false, false},
        {"100.100.100.201", true, true},
        {"168.63.129.16", false, false},
        {"192.0.0.192", false, false},
        {"fd00:ec2::254", false, false},
        {"fd00:ec2::23", false, false},
        {"fd00:c1::a9fe:a9fe", false, false},
        {"fd00:100::100:200", false, false},
        {"fd00:42::42", false, false},
        {"fd00:a9fe:a9fe::1", false, false},
        {"fd20:ce::254", false, false},
        {"fd00:ec2::253", true, true},
    };
    struct egress *outside = make(NULL, NULL, false), *inside = make(NULL, NULL, true);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if ((refusal(outside, "shop", NULL, rows[i].address, 80) == NULL) != rows[i].outside)
            fail_msg("%s, on this machine", rows[i].address);
        if ((refusal(inside, "shop", NULL, rows[i].address, 80) == NULL) != rows[i].inside)
            fail_msg("%s, in a cluster", rows[i].address);
    }
    assert_string_equal(refusal(inside, NULL, NULL, "127.0.0.1", 1), "a loopback address");
    assert_string_equal(refusal(inside, NULL, NULL, "fe80::2", 1), "a link-local address");
    assert_null(refusal(NULL, "shop", NULL, "169.254.169.254", 80));
    egress_unref(outside);
    egress_unref(inside);
}

struct row { /* what rules make of a place */
    const char *allow, *deny, *ns, *host, *address;
    int port;
    bool allowed;
};

static void check(const struct row *row)
{
    struct egress *rules = make(row->allow, row->deny, true);
    const char *why = refusal(rules, row->ns, row->host, row->address, row->port);

    if ((why == NULL) != row->allowed)
        fail_msg("allow %s, deny %s: %s/%s %s:%d is %s", row->allow ? row->allow : "-", row->deny ? row->deny : "-",
                 row->ns ? row->ns : "-", row->host ? row->host : "-", row->address, row->port, why ? why : "allowed");
    egress_unref(rules);
}

static void opens_only_what_is_named(void **state)
{
    static const struct row rows[] = {
        {"loopback", NULL, "a", NULL, "127.0.0.1", 80, true},
        {"loopback", NULL, "a", NULL, "::ffff:127.0.0.1", 80, true},
        {"loopback", NULL, "a", NULL, "::1", 80, true},
        {"loopback", NULL, "a", NULL, "169.254.169.254", 80, false},
        {"127.0.0.1", NULL, "a", NULL, "127.0.0.1", 80, true},
        {"127.0.0.1", NULL, "a", NULL, "127.0.0.2", 80, false},
        {"127.0.0.1:9090", NULL, "a", NULL, "127.0.0.1", 9090, true},
        {"127.0.0.1:9090", NULL, "a", NULL, "127.0.0.1", 9091, false},
        {"[::1]:9090", NULL, "a", NULL, "::1", 9090, true},
        {"[::1]:9090", NULL, "a", NULL, "::1", 9091, false},
        {"a=127.0.0.1", NULL, "a", NULL, "127.0.0.1", 80, true},
        {"a=127.0.0.1", NULL, "b", NULL, "127.0.0.1", 80, false},
        {"a=127.0.0.1", NULL, NULL, NULL, "127.0.0.1", 80, false},
        {"all", NULL, "a", NULL, "127.0.0.1", 80, false},
        {"all", NULL, "a", NULL, "169.254.169.254", 80, false},
        {"0.0.0.0/0", NULL, "a", NULL, "169.254.169.254", 80, false},
        {"128.0.0.0/1", NULL, "a", NULL, "169.254.169.254", 80, false},
        {"::/0", NULL, "a", NULL, "fe80::1", 80, false},
        {"link-local", NULL, "a", NULL, "169.254.169.254", 80, false}, /* it is a metadata service, too */
        {"link-local", NULL, "a", NULL, "169.254.1.1", 80, true},
        {"link-local,metadata", NULL, "a", NULL, "169.254.169.254", 80, true},
        {"metadata", NULL, "a", NULL, "169.254.169.254", 80, true},
        {"169.254.169.254", NULL, "a", NULL, "169.254.169.254", 80, true},
        {"metadata.internal", NULL, "a", "metadata.internal", "169.254.169.254", 80, false}, /* names are chosen */
        {"localhost", NULL, "a", "localhost", "127.0.0.1", 80, false},
        {"loopback", "127.0.0.1:22", "a", NULL, "127.0.0.1", 22, false},
        {"loopback", "127.0.0.1:22", "a", NULL, "127.0.0.1", 80, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void most_specific_rule_decides(void **state)
{
    static const struct row rows[] = {
        {NULL, "10.0.0.0/8", "a", NULL, "10.1.2.3", 80, false},
        {NULL, "10.0.0.0/8", "a", NULL, "11.1.2.3", 80, true},
        {NULL, "10.0.0.0/8", "a", NULL, "::ffff:10.1.2.3", 80, false},
        {NULL, "10.128.0.0/9", "a", NULL, "10.127.255.255", 80, true},
        {NULL, "10.128.0.0/9", "a", NULL, "10.128.0.0", 80, false},
        {NULL, "fd00::/8", "a", NULL, "fd12::1", 80, false},
        {NULL, "10.0.0.0/8", "a", NULL, "2002:a01:203::1", 80, false}, /* what it leads to is refused, */
        {NULL, "10.0.0.0/8", "a", NULL, "64:ff9b:1::a01:203", 80, false},
        {NULL, "2002::/16", "a", NULL, "2002:808:808::1", 80, false}, /* or it is itself, */
        {"2002::/16", "all", "a", NULL, "2002:808:808::1", 80, true},
        {"2002::/16", "all,8.8.8.0/24", "a", NULL, "2002:808:808::1", 80, false},
        {"8.8.8.8", "all", "a", NULL, "2002:808:808::1", 80, false}, /* and its own are not those of the other */
        {NULL, "all", "a", NULL, "8.8.8.8", 80, false},
        {NULL, "all", "a", NULL, "2001:db8::1", 80, false},
        {"10.0.0.0/8", "all", "a", NULL, "10.1.2.3", 80, true},
        {"10.0.0.0/8", "all", "a", NULL, "8.8.8.8", 80, false},
        {"10.1.0.0/16", "10.0.0.0/8", "a", NULL, "10.1.2.3", 80, true},
        {"10.0.0.0/8", "10.1.0.0/16", "a", NULL, "10.1.2.3", 80, false},
        {"10.0.0.0/8", "10.0.0.0/8", "a", NULL, "10.1.2.3", 80, false},
        {"10.0.0.0/8:5432", "10.0.0.0/8", "a", NULL, "10.1.2.3", 5432, true},
        {"10.0.0.0/8:5432", "10.0.0.0/8", "a", NULL, "10.1.2.3", 5433, false},
        {"10.1.2.3", "a=10.0.0.0/8", "a", NULL, "10.1.2.3", 80, false},
        {"10.1.2.3", "a=10.0.0.0/8", "b", NULL, "10.1.2.3", 80, true},
        {"a=10.20.0.0/24", "a=all", "a", NULL, "10.20.0.9", 80, true},
        {"a=10.20.0.0/24", "a=all", "a", NULL, "10.20.1.9", 80, false},
        {"a=10.20.0.0/24", "a=all", "b", NULL, "10.20.1.9", 80, true},
        {NULL, "private", "a", NULL, "192.168.7.7", 80, false},
        {NULL, "private", "a", NULL, "fc00::1", 80, false},
        {NULL, "*.internal", "a", "db.internal", "8.8.8.8", 80, false},
        {NULL, "*.internal", "a", "DB.Internal.", "8.8.8.8", 80, false},
        {NULL, "*.internal", "a", "internal", "8.8.8.8", 80, true},
        {NULL, "*.internal", "a", "notinternal", "8.8.8.8", 80, true},
        {NULL, "db.internal", "a", "db.internal", "8.8.8.8", 80, false},
        {NULL, "db.internal", "a", "x.db.internal", "8.8.8.8", 80, true},
        {"db.internal", "*.internal", "a", "db.internal", "8.8.8.8", 80, true},
        {"*.internal", "db.internal", "a", "db.internal", "8.8.8.8", 80, false},
        {"*.internal", "all", "a", "a_b-c.internal.", "8.8.8.8", 80, true},
        {"*.internal", "all", "a", "x;host=evil;a=.internal", "8.8.8.8", 80,
         false}, /* no names, to one library or another */
        {"*.internal", "all", "a", "plaintext://evil/.internal", "8.8.8.8", 80, false},
        {"*.internal", "all", "a", "/tmp/x.internal", "8.8.8.8", 80, false},
        {NULL, "*.internal", "a", "x/.internal", "8.8.8.8", 80, false},
        {"api.example.com:443", "all", "a", "api.example.com", "8.8.8.8", 443, true},
        {"api.example.com:443", "all", "a", "api.example.com", "8.8.8.8", 80, false},
        {"api.example.com:443", "all", "a", "api.example.org", "8.8.8.8", 443, false},
        {"api.example.com", "8.8.8.8", "a", "api.example.com", "8.8.8.8", 443, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(&rows[i]);
}

static void judges_unix_sockets(void **state)
{
    static const struct {
        const char *allow, *deny, *ns;
        bool in_cluster, allowed;
    } rows[] = {
        {NULL, NULL, "a", false, true},     {NULL, NULL, "a", true, false},   {"unix", NULL, "a", true, true},
        {"b=unix", NULL, "a", true, false}, {"all", NULL, "a", true, false},  {NULL, "unix", "a", false, false},
        {NULL, "all", "a", false, false},   {"unix", "all", "a", true, true},
    };
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/docker.sock"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct egress *rules = make(rows[i].allow, rows[i].deny, rows[i].in_cluster);
        const struct egress_caller caller = {.ns = rows[i].ns, .host = "/run/docker.sock"};
        const char *why;

        if (egress_allows(rules, &caller, (const struct sockaddr *)(const void *)&address, &why) != rows[i].allowed)
            fail_msg("row %zu", i);
        egress_unref(rules);
    }
}

static void learn(const struct egress *rules, const struct egress_caller *caller, const char *address, int port)
{
    struct sockaddr_storage storage = address_of(address, port);

    egress_learn_server(rules, caller, (const struct sockaddr *)(const void *)&storage);
}

static void protects_the_api_server(void **state)
{
    struct egress *rules = make(NULL, NULL, false);
    const struct egress_caller by_name = {.host = "API.example.com", .port = 6443},
                               elsewhere = {.host = "metrics.example.com", .port = 6443},
                               by_name_of_a = {.ns = "a", .host = "api.example.com", .port = 6443};
    const char *why;

    (void)state;
    egress_protect_server(rules, "https://127.0.0.1:6443");
    egress_protect_server(rules, "https://10.96.0.1");
    egress_protect_server(rules, "https://[fd00::1]:6443/prefix");
    egress_protect_server(rules, "https://api.example.com.:6443");
    egress_protect_server(rules, "https://0x5050505:6443");
    assert_non_null(refusal(rules, "a", NULL, "5.5.5.5", 0x192b));
    assert_string_equal(refusal(rules, "a", NULL, "127.0.0.1", 6443), "that of the cluster's own API");
    assert_null(refusal(rules, "a", NULL, "127.0.0.1", 6444));
    assert_non_null(refusal(rules, "a", NULL, "10.96.0.1", 443));
    assert_null(refusal(rules, "a", NULL, "10.96.0.1", 80));
    assert_non_null(refusal(rules, "a", NULL, "fd00::1", 6443));
    assert_non_null(refusal(rules, "a", "api.example.com", "8.8.8.8", 6443));
    assert_null(refusal(rules, "a", "api.example.com", "8.8.8.8", 443));
    assert_false(egress_allows_host(rules, &by_name, &why));
    assert_null(refusal(rules, "a", NULL, "9.9.9.9", 6443));
    learn(rules, &by_name, "9.9.9.9", 6443); /* Weir was led there by that name: another name for it helps nobody */
    learn(rules, &by_name, "9.9.9.9", 6443);
    learn(rules, &by_name, "3.3.3.3", 3128); /* a proxy */
    learn(rules, &elsewhere, "4.4.4.4", 6443);
    assert_string_equal(refusal(rules, "a", "my.example.com", "9.9.9.9", 6443), "that of the cluster's own API");
    assert_non_null(refusal(rules, "a", NULL, "::ffff:9.9.9.9", 6443));
    assert_null(refusal(rules, "a", NULL, "9.9.9.9", 443));
    assert_null(refusal(rules, "a", NULL, "3.3.3.3", 3128));
    assert_null(refusal(rules, "a", NULL, "4.4.4.4", 6443));
    assert_true(egress_allow(rules, "a=127.0.0.1:6443", NULL));
    assert_null(refusal(rules, "a", NULL, "127.0.0.1", 6443));
    assert_non_null(refusal(rules, "b", NULL, "127.0.0.1", 6443));
    /* by its name it is open to whom that is opened, where it was learnt as well; by another name it is not */
    assert_true(egress_allow(rules, "a=*.example.com,a=my.example.com", NULL));
    assert_non_null(refusal(rules, "a", "api.example.com", "9.9.9.9", 6443));
    assert_true(egress_allow(rules, "a=api.example.com", NULL));
    assert_null(refusal(rules, "a", "api.example.com", "9.9.9.9", 6443));
    assert_true(egress_allows_host(rules, &by_name_of_a, &why));
    assert_non_null(refusal(rules, "b", "api.example.com", "9.9.9.9", 6443));
    assert_non_null(refusal(rules, "a", "my.example.com", "9.9.9.9", 6443));
    assert_non_null(refusal(rules, "a", NULL, "9.9.9.9", 6443));
    egress_unref(rules);
}

static void judges_names_early(void **state)
{
    struct egress *rules = make("a=10.0.0.0/8", "*.internal,169.254.169.254", true);
    const struct {
        struct egress_caller caller;
        bool allowed;
    } rows[] = {
        {{.ns = "b", .host = "db.internal", .port = 80}, false},
        {{.ns = "b", .host = "db.example", .port = 80}, true},
        {{.ns = "b", .host = "169.254.169.254", .port = 80}, false},
        {{.ns = "b", .host = "::1", .port = 80}, false},
        {{.ns = "b", .host = NULL, .port = 0}, true},
        {{.ns = "a", .host = "db.internal", .port = 80}, true}, /* its address counts */
        /* what a proxy would take for an address */
        {{.ns = "b", .host = "127.1", .port = 80}, false},
        {{.ns = "b", .host = "0x7f.1", .port = 80}, false},
        {{.ns = "b", .host = "2130706433", .port = 80}, false},
        {{.ns = "b", .host = "017700000001", .port = 80}, false},
        {{.ns = "b", .host = "0x7f000001.", .port = 80}, false},
        {{.ns = "b", .host = "127.0.0.1.", .port = 80}, false},
        {{.ns = "b", .host = "0xa9fea9fe", .port = 80}, false},
        {{.ns = "b", .host = "169.16689662", .port = 80}, false},
        {{.ns = "b", .host = "0", .port = 80}, false},
        {{.ns = "b", .host = "fe80::1%eth0", .port = 80}, false},
        {{.ns = "b", .host = "64:ff9b:1::7f00:1", .port = 80}, false},
        {{.ns = "b", .host = "10.1", .port = 80}, true},
        {{.ns = "b", .host = "0x7g.1", .port = 80}, true},
    };
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (egress_allows_host(rules, &rows[i].caller, &why) != rows[i].allowed)
            fail_msg("row %zu", i);
    assert_true(egress_allows_host(NULL, &rows[0].caller, &why));
    assert_ptr_equal(egress_scope(rules, "b"), NULL);
    assert_string_equal(egress_scope(rules, "a"), "a");
    assert_null(egress_scope(NULL, "a"));
    egress_unref(rules);
}

static void refuses_what_is_no_rule(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x",    "300.1.1.1",  "=10.0.0.1",
                                      "a=",          "10.0.0.1:0",  "10.0.0.1:http", "fd00::/129", "a b",
                                      "*",           "*.",          "10.0.0.0/+8",   ",10.0.0.1",  "x_y=*.*.z",
                                      "db/8",        "1.2.3",       "0x7f.1",        "[::1",       "[::1]:99999"};
    struct egress *rules = egress_new();
    struct error err;
    char longest[700];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (egress_allow(rules, bad[i], &err))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, "--allow-egress"));
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(egress_deny(rules, longest, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    for (int i = 0; i < 1000; i++)
        assert_true(egress_deny(rules, "10.0.0.1", &err));
    assert_false(egress_deny(rules, "10.0.0.1", &err));
    assert_non_null(strstr(err.text, "EGRESS_RULES_MAX"));
    egress_unref(rules);
}

/* A library was given several servers, and does not say to which of them it connects. */
static void judges_all_of_a_list(void **state)
{
    static const struct {
        const char *allow, *deny, *hosts[3], *address;
        int port;
        bool allowed;
    } rows[] = {
        {"*.internal", "all", {"a.internal", "b.internal"}, "10.0.0.1", 1, true},
        {"*.internal", "all", {"a.internal", "b.example"}, "10.0.0.1", 2, false},
        {"*.internal", "all", {"b.example", "a.internal"}, "10.0.0.1", 1, false},
        {NULL, "b.example", {"a.internal", "b.example"}, "10.0.0.1", 2, false},
        {"*.internal,10.0.0.2",
         "all",
         {"a.internal", "10.0.0.2"},
         "10.0.0.1",
         1,
         true}, /* a.internal's: not the other's */
        {"*.internal,10.0.0.2", "all", {"a.internal", "10.0.0.2"}, "10.0.0.2", 2, true},
        {"*.internal", "all", {"a.internal", "10.0.0.2"}, "10.0.0.2", 2, false},
        {"*.internal", "all", {"a.internal", "0x0a.2"}, "10.0.0.2", 2, false},
        {"10.0.0.1,10.0.0.2", "all", {"10.0.0.1", "10.0.0.2"}, "10.0.0.3", 1, false}, /* one they told it of */
        {"10.0.0.0/24", "all", {"10.0.0.1", "10.0.0.2"}, "10.0.0.3", 1, true},
        {"a.internal:1,b.internal:2", "all", {"a.internal", "b.internal"}, "10.0.0.1", 1, true}, /* by its port, a's */
        {"a.internal:1,b.internal:3", "all", {"a.internal", "b.internal"}, "10.0.0.1", 2, false},
        {"a.internal", "all", {"a.internal", "b.example"}, "10.0.0.1", 9, false}, /* a port of neither: of either */
        {"*.internal", "all", {"a.internal", "b.internal", "c.internal"}, "169.254.169.254", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct egress *rules = make(rows[i].allow, rows[i].deny, true);
        struct sockaddr_storage storage = address_of(rows[i].address, rows[i].port);
        struct egress_caller callers[3];
        const char *why;

        for (int k = 0; k < 3 && rows[i].hosts[k]; k++) {
            callers[k] = (struct egress_caller){.ns = "x", .host = rows[i].hosts[k], .port = k + 1};
            if (k > 0)
                callers[k - 1].next = &callers[k];
        }
        if (egress_allows(rules, callers, (const struct sockaddr *)(const void *)&storage, &why) != rows[i].allowed)
            fail_msg("row %zu", i);
        egress_unref(rules);
    }
}

static void refuses_what_it_does_not_know(void **state)
{
    static const struct {
        unsigned short family;
        bool allowed;
    } rows[] = {{AF_VSOCK, false}, {AF_BLUETOOTH, false}, {AF_PACKET, false}, {AF_UNSPEC, true}, {AF_NETLINK, true}};
    struct egress *rules = make("all", NULL, false);
    const struct egress_caller caller = {.ns = "a"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_storage address = {.ss_family = rows[i].family};
        const char *why = NULL;

        assert_int_equal(egress_allows(rules, &caller, (const struct sockaddr *)(const void *)&address, &why),
                         rows[i].allowed);
        assert_int_equal(why != NULL, !rows[i].allowed);
    }
    egress_unref(rules);
}

/* ------------------------------------------------------------------ libraries that connect by themselves */

struct trying {
    struct egress *rules;
    const struct egress_caller *caller;  /* NULL: a thread of the library's own */
    const struct egress_caller *servers; /* elsewhere */
    struct sockaddr_in address;
    enum { CONNECT, SENDTO, SENDMSG, SENDMMSG } how;
    int type, number; /* errno, or 0 */
    bool refused;
    const char *why;
};

static bool reach(int fd, struct trying *t)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&t->address;
    struct iovec bytes = {.iov_base = (char[]){"?"}, .iov_len = 1};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &t->address, .msg_namelen = sizeof(t->address), .msg_iov = &bytes, .msg_iovlen = 1}};

    switch (t->how) {
    case CONNECT:
        return connect(fd, address, sizeof(t->address)) == 0;
    case SENDTO:
        return sendto(fd, "?", 1, 0, address, sizeof(t->address)) == 1;
    case SENDMSG:
        return sendmsg(fd, &message.msg_hdr, 0) == 1;
    case SENDMMSG:
        return sendmmsg(fd, &message, 1, 0) == 1;
    }
    return false;
}

static void *try_to_connect(void *arg)
{
    struct trying *t = arg;
    int fd = socket(AF_INET, t->type, 0);

    if (t->caller)
        egress_enter(t->rules, t->caller);
    t->number = reach(fd, t) ? 0 : errno;
    if (t->caller)
        t->refused = egress_leave(&t->why);
    close(fd);
    return NULL;
}

static void run(struct trying *t)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, try_to_connect, t), 0);
    pthread_join(thread, NULL);
}

static int listen_here(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)address, size), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)address, &size), 0);
    return fd;
}

static void holds_libraries(void **state)
{
    struct egress *rules = make("a=loopback", NULL, true);
    const struct egress_caller a = {.ns = "a"}, b = {.ns = "b"};
    struct trying t = {.rules = rules, .caller = &a, .type = SOCK_STREAM};
    int listener = listen_here(&t.address), fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr *at = (const struct sockaddr *)(const void *)&t.address;
    struct egress_guard *guards[2];
    const char *why;

    (void)state;
    egress_set_default(rules);
    run(&t);
    assert_int_equal(t.number, 0);
    assert_false(t.refused);
    t.caller = &b;
    run(&t);
    assert_int_equal(t.number, EACCES);
    assert_true(t.refused);
    assert_string_equal(t.why, "a loopback address");
    t.caller = NULL; /* of a thread that nobody told anything */
    run(&t);
    assert_int_equal(t.number, EACCES);
    egress_enter(rules, &b);
    guards[0] = egress_guard_new();
    egress_leave(&why);
    egress_enter(rules, &a);
    guards[1] = egress_guard_new();
    egress_leave(&why);
    assert_null(egress_guard_new());
    assert_null(egress_guard_refusal(guards[0]));
    assert_int_equal(egress_guard_connect(guards[0], fd, at, sizeof(t.address)), EACCES);
    assert_string_equal(egress_guard_refusal(guards[0]), "a loopback address");
    assert_int_equal(egress_guard_connect(guards[1], fd, at, sizeof(t.address)), 0);
    egress_guard_free(guards[0]);
    egress_guard_free(guards[1]);
    egress_drop_default(rules);
    t.type = SOCK_STREAM;
    run(&t);
    assert_int_equal(t.number, 0);
    close(fd);
    close(listener);
    egress_unref(rules);
}

/* FreeTDS asks UDP 1434 where an instance listens, without a connect(). */
static void holds_datagrams(void **state)
{
    struct egress *rules = make("a=loopback", NULL, true);
    const struct egress_caller a = {.ns = "a"}, b = {.ns = "b"};
    struct trying t = {.rules = rules, .type = SOCK_DGRAM};
    socklen_t size = sizeof(t.address);
    int receiver = socket(AF_INET, SOCK_DGRAM, 0);

    (void)state;
    t.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(bind(receiver, (const struct sockaddr *)(const void *)&t.address, size), 0);
    assert_int_equal(getsockname(receiver, (struct sockaddr *)(void *)&t.address, &size), 0);
    for (t.how = CONNECT; t.how <= SENDMMSG; t.how++) {
        t.caller = &a;
        run(&t);
        assert_int_equal(t.number, 0);
        assert_false(t.refused);
        t.caller = &b;
        run(&t);
        assert_int_equal(t.number, EACCES);
        assert_string_equal(t.why, "a loopback address");
    }
    t.how = CONNECT;
    t.address.sin_port = htons(53); /* a library's own resolver */
    run(&t);
    assert_int_equal(t.number, 0);
    t.type = SOCK_STREAM;
    run(&t);
    assert_int_equal(t.number, EACCES);
    close(receiver);
    egress_unref(rules);
}

/* A library's thread that hangs may be the last that knows them. */
static void guards_outlive_rules(void **state)
{
    struct egress *rules = make(NULL, "b.example", true);
    const struct egress_caller second = {.ns = "b", .host = "b.example", .port = 1},
                               first = {.ns = "b", .host = "a.example", .port = 1, .next = &second};
    struct sockaddr_storage address = address_of("10.0.0.1", 1);
    struct egress_guard *guard;
    const char *why;

    (void)state;
    egress_enter(rules, &first);
    guard = egress_guard_new();
    egress_leave(&why);
    egress_unref(rules);
    assert_int_equal(
        egress_guard_connect(guard, -1, (const struct sockaddr *)(const void *)&address, sizeof(struct sockaddr_in)),
        EACCES);
    assert_string_equal(egress_guard_refusal(guard), "named by b.example of --deny-egress");
    egress_guard_free(guard);
}

/* A server that the caller does not name: an address that its name would open stays closed, and the refusal is told once. */
static void *turn_elsewhere(void *arg)
{
    struct trying *t = arg;
    int fd = socket(AF_INET, t->type, 0);
    const char *why;

    egress_enter(t->rules, t->caller);
    egress_turn_elsewhere(t->servers);
    t->number = reach(fd, t) ? 0 : errno;
    close(fd);
    t->why = egress_turn_back();
    t->refused = egress_leave(&why);
    return NULL;
}

static void judges_elsewhere(void **state)
{
    struct egress *rules = make("a.example", "all", false);
    const struct egress_caller named = {.ns = "a", .host = "a.example", .port = 1};
    struct trying t = {.rules = rules, .caller = &named, .type = SOCK_STREAM};
    int listener = listen_here(&t.address);
    pthread_t thread;

    (void)state;
    run(&t);
    assert_int_equal(t.number, 0);
    assert_int_equal(pthread_create(&thread, NULL, turn_elsewhere, &t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t.number, EACCES);
    assert_non_null(t.why);
    assert_false(t.refused);
    t.servers = &named; /* of a server that is named it counts, too */
    assert_int_equal(pthread_create(&thread, NULL, turn_elsewhere, &t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t.number, 0);
    close(listener);
    egress_unref(rules);
}

static void *enter_for_good(void *arg)
{
    struct trying *t = arg;
    struct egress_guard *guard;
    int fd = socket(AF_INET, t->type, 0);
    const char *why;

    egress_enter(t->rules, t->caller);
    guard = egress_guard_new();
    egress_leave(&why);
    egress_guard_enter(guard);
    t->number = reach(fd, t) ? 0 : errno;
    close(fd);
    egress_leave(&why);
    egress_guard_free(guard);
    return NULL;
}

static void library_threads_enter(void **state)
{
    struct egress *rules = make("a=loopback", NULL, true);
    const struct egress_caller a = {.ns = "a"}, b = {.ns = "b", .host = "x", .port = 1};
    struct trying t = {.rules = rules, .caller = &a, .type = SOCK_STREAM};
    int listener = listen_here(&t.address);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, enter_for_good, &t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t.number, 0);
    t.caller = &b;
    assert_int_equal(pthread_create(&thread, NULL, enter_for_good, &t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t.number, EACCES);
    close(listener);
    egress_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protects_by_default),
        cmocka_unit_test(opens_only_what_is_named),
        cmocka_unit_test(most_specific_rule_decides),
        cmocka_unit_test(judges_unix_sockets),
        cmocka_unit_test(protects_the_api_server),
        cmocka_unit_test(judges_names_early),
        cmocka_unit_test(refuses_what_is_no_rule),
        cmocka_unit_test(judges_all_of_a_list),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(holds_libraries),
        cmocka_unit_test(holds_datagrams),
        cmocka_unit_test(guards_outlive_rules),
        cmocka_unit_test(judges_elsewhere),
        cmocka_unit_test(library_threads_enter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

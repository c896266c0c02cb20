/*
 * egress: see egress.h. Every address is brought into one form first, so that nothing can be written in two ways; every rule is a net, a
 * name, all Unix sockets, or everything.
 *
 *     ::ffff:10.0.0.1, 64:ff9b::10.0.0.1 ...      is 10.0.0.1                 one reading: nothing else can be meant
 *     2002:0a00:0001::1, 64:ff9b:1::10.0.0.1 ...  is itself, and 10.0.0.1     it is an address of its own that a tunnel or a translator
 *                                                                             takes there: both are judged, and both must be allowed
 */
#include "net/egress.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

struct address {
    int family; /* 4 or 6 */
    uint8_t bytes[16];
};
struct net {
    struct address address;
    int bits;
};

enum rule_kind { RULE_NET, RULE_NAME, RULE_UNIX, RULE_ALL };
struct rule {
    enum rule_kind kind;
    bool allows;
    char *ns; /* NULL: for all */
    struct net net;
    char *name; /* "db.internal", or ".internal" for all names that end so */
    int port;   /* 0: any */
    char *why;  /* of one that refuses */
};
struct protected
{ /* only what names it as exactly opens it */
    struct net net;
    char *name; /* instead of the net, or NULL */
    int port;   /* 0: any */
    const char *what;
    const char *by; /* a net that was learnt: the name that led there, or NULL */
};

/* Addresses of servers that are protected by name, learnt when Weir itself connects to them; the oldest go. */
struct learned {
    pthread_mutex_t lock;
    struct protected list[EGRESS_LEARNED_MAX];
    size_t count; /* ever */
};

struct egress {
    int references; /* by any thread */
    bool protects_unix;
    struct rule *rules;
    size_t rule_count;
    struct protected *list;
    size_t count;
    struct learned *learned;
};

static const struct {
    const char *word, *nets[11];
} words[] = {
    {"loopback", {"127.0.0.0/8", "0.0.0.0/8", "::1", "::"}}, /* 0.0.0.0 reaches this machine as well */
    {"link-local", {"169.254.0.0/16", "fe80::/10"}},
    /* of Alibaba, Azure, Oracle; in IPv6 of AWS (and its pods' identities), Google, Oracle, Alibaba, Scaleway, Linode */
    {"metadata",
     {"169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23",
      "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:100::100:200", "fd00:42::42", "fd00:a9fe:a9fe::1"}},
    {"private", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
};
enum { WORDS = sizeof(words) / sizeof(words[0]), NETS_OF_WORD = sizeof(words[0].nets) / sizeof(words[0].nets[0]) };

/* ------------------------------------------------------------------ addresses */

/* An IPv4 address in the last four bytes: mapped (::ffff:a.b.c.d), compatible (::a.b.c.d, but not :: and ::1), translated (NAT64's
   64:ff9b::a.b.c.d, SIIT's ::ffff:0:a.b.c.d). */
static bool has_v4_inside(const struct in6_addr *address)
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b}, siit[12] = {[8] = 0xff, 0xff};

    return IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
           memcmp(address->s6_addr, nat64, sizeof(nat64)) == 0 || memcmp(address->s6_addr, siit, sizeof(siit)) == 0;
}

static struct address from_v4(const void *bytes)
{
    struct address a = {.family = 4};

    memcpy(a.bytes, bytes, 4);
    return a;
}

static struct address from_v6(const struct in6_addr *address)
{
    struct address a = {.family = 6};

    if (has_v4_inside(address))
        return from_v4(&address->s6_addr[12]);
    memcpy(a.bytes, address->s6_addr, 16);
    return a;
}

/* false: no address of the internet. */
static bool read_sockaddr(const struct sockaddr *from, struct address *out, int *port)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, from, sizeof(v4));
        *out = from_v4(&v4.sin_addr);
        *port = ntohs(v4.sin_port);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, from, sizeof(v6));
        *out = from_v6(&v6.sin6_addr);
        *port = ntohs(v6.sin6_port);
        return true;
    }
    return false;
}

static bool read_address(const char *string, struct address *out)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, string, &v4) == 1)
        *out = from_v4(&v4);
    else if (inet_pton(AF_INET6, string, &v6) == 1)
        *out = from_v6(&v6);
    else
        return false;
    return true;
}

static size_t name_length(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && name[length - 1] == '.' ? length - 1 : length; /* written as absolute */
}

/* As a manifest may write it and a resolver takes it: also 127.1, 0x7f.1, 2130706433, 127.0.0.1., fe80::1%eth0. */
static bool read_host(const char *host, struct address *out)
{
    char copy[EGRESS_RULE_MAX_BYTES];
    size_t length = name_length(host), zone = strcspn(host, "%");
    struct in_addr v4;

    length = zone < length ? zone : length;
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, host, length);
    copy[length] = '\0';
    if (read_address(copy, out))
        return true;
    if (inet_aton(copy, &v4) == 0)
        return false;
    *out = from_v4(&v4);
    return true;
}

/* Where an IPv6 address leads besides: IPv4 addresses that a tunnel or a translator finds in it. Of the translators' own prefix
   (64:ff9b:1::/48) it is theirs to say where in it (RFC 6052): all places count. */
static const struct {
    uint8_t prefix[6];
    int prefix_bytes;
    uint8_t at[4], inverted;
} tunnels[] = {
    {{0x20, 0x02}, 2, {2, 3, 4, 5}, 0},                    /* 6to4 */
    {{0x20, 0x01, 0, 0}, 4, {4, 5, 6, 7}, 0},              /* Teredo: its server */
    {{0x20, 0x01, 0, 0}, 4, {12, 13, 14, 15}, 0xff},       /* and its client */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, {12, 13, 14, 15}, 0}, /* NAT64 under a prefix of 96 bits, */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, {9, 10, 11, 12}, 0},  /* of 64 bits, */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, {7, 9, 10, 11}, 0},   /* of 56, */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, {6, 7, 9, 10}, 0},    /* of 48 */
};
enum { TUNNELS = sizeof(tunnels) / sizeof(tunnels[0]) };

/* false: the tunnel has nothing to do with the address, or leads to 0.0.0.0/8, which is nowhere (other bytes are meant). */
static bool through_tunnel(size_t tunnel, const struct address *address, struct address *out)
{
    uint8_t v4[4];

    if (address->family != 6 ||
        memcmp(address->bytes, tunnels[tunnel].prefix, (size_t)tunnels[tunnel].prefix_bytes) != 0)
        return false;
    for (size_t i = 0; i < sizeof(v4); i++)
        v4[i] = address->bytes[tunnels[tunnel].at[i]] ^ tunnels[tunnel].inverted;
    *out = from_v4(v4);
    return v4[0] != 0;
}

static int all_bits(const struct address *address)
{
    return address->family == 4 ? 32 : 128;
}

/* "10.0.0.0/8", "10.0.0.1". */
static bool read_net(const char *string, struct net *out)
{
    char address[INET6_ADDRSTRLEN + 1];
    const char *slash = strchr(string, '/');
    size_t length = slash ? (size_t)(slash - string) : strlen(string);
    char *end;
    long bits;

    if (length >= sizeof(address))
        return false;
    memcpy(address, string, length);
    address[length] = '\0';
    if (!read_address(address, &out->address))
        return false;
    bits = slash ? strtol(slash + 1, &end, 10) : all_bits(&out->address);
    if (slash && (end == slash + 1 || *end || slash[1] == '-' || slash[1] == '+'))
        return false;
    if (slash && out->address.family == 4 &&
        strchr(address, ':')) /* of ::ffff:10.0.0.0/104 only those of the IPv4 part */
        bits -= 96;
    out->bits = (int)bits;
    return bits >= 0 && bits <= all_bits(&out->address);
}

static bool net_has(const struct net *net, const struct address *address)
{
    int whole = net->bits / 8, rest = net->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);

    return net->address.family == address->family && memcmp(net->address.bytes, address->bytes, (size_t)whole) == 0 &&
           (rest == 0 || (net->address.bytes[whole] & mask) == (address->bytes[whole] & mask));
}

/* ------------------------------------------------------------------ names */

/* pattern: "db.internal", or ".internal". */
static bool name_matches(const char *pattern, const char *host)
{
    size_t length = name_length(host), wanted = strlen(pattern);

    if (pattern[0] == '.')
        return length > wanted && strncasecmp(host + length - wanted, pattern, wanted) == 0;
    return length == wanted && strncasecmp(host, pattern, wanted) == 0;
}

/* Only names have an ending that says whose they are: a path, a URL or a connection string, of which a library makes another host, may
   end like one, too. */
static bool is_name(const char *host)
{
    for (; *host; host++)
        if (!isalnum((unsigned char)*host) && !strchr("-_.", *host))
            return false;
    return true;
}

/* ------------------------------------------------------------------ making rules */

static const char *const *nets_of(const char *word)
{
    for (size_t i = 0; i < WORDS; i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].nets;
    return NULL;
}

static void protect(struct egress *rules, const struct protected *p)
{
    rules->list = mem_grow(rules->list, rules->count + 1, sizeof(*rules->list));
    rules->list[rules->count++] = *p;
}

static void protect_word(struct egress *rules, const char *word, const char *what)
{
    const char *const *nets = nets_of(word);

    for (size_t i = 0; i < NETS_OF_WORD && nets[i]; i++) {
        struct protected p = {.what = what};

        read_net(nets[i], &p.net);
        protect(rules, &p);
    }
}

struct egress *egress_new(void)
{
    struct egress *rules = mem_alloc(sizeof(*rules));

    rules->references = 1;
    rules->learned = mem_alloc(sizeof(*rules->learned));
    pthread_mutex_init(&rules->learned->lock, NULL);
    protect_word(rules, "link-local", "a link-local address");
    protect_word(rules, "metadata", "that of a cloud's metadata service");
    return rules;
}

struct egress *egress_ref(struct egress *rules)
{
    __atomic_add_fetch(&rules->references, 1, __ATOMIC_RELAXED);
    return rules;
}

void egress_unref(struct egress *rules)
{
    if (!rules || __atomic_sub_fetch(&rules->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    pthread_mutex_destroy(&rules->learned->lock);
    free(rules->learned);
    for (size_t i = 0; i < rules->rule_count; i++) {
        free(rules->rules[i].ns);
        free(rules->rules[i].name);
        free(rules->rules[i].why);
    }
    for (size_t i = 0; i < rules->count; i++)
        free(rules->list[i].name);
    free(rules->rules);
    free(rules->list);
    free(rules);
}

void egress_protect_loopback(struct egress *rules)
{
    rules->protects_unix = true;
    protect_word(rules, "loopback", "a loopback address");
}

/* "https://[::1]:6443/prefix" */
void egress_protect_server(struct egress *rules, const char *url)
{
    struct protected p = {.port = string_starts(url, "http:") ? 80 : 443, .what = "that of the cluster's own API"};
    const char *at = strstr(url, "://"), *colon;
    char host[300];
    size_t length;

    at = at ? at + 3 : url;
    length = strcspn(at, "/?#");
    colon = memchr(at, ']', length) ? memchr(strchr(at, ']'), ':', length - (size_t)(strchr(at, ']') - at))
                                    : memchr(at, ':', length);
    if (colon) {
        p.port = (int)strtol(colon + 1, NULL, 10);
        length = (size_t)(colon - at);
    }
    if (length > 1 && at[0] == '[' && at[length - 1] == ']') {
        at++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(host))
        return;
    memcpy(host, at, length);
    host[length] = '\0';
    host[name_length(host)] = '\0';
    if (read_host(host, &p.net.address))
        p.net.bits = all_bits(&p.net.address);
    else
        p.name = mem_copy(host);
    protect(rules, &p);
}

static bool same_place(const struct protected *a, const struct protected *b)
{
    return a->port == b->port && a->net.address.family == b->net.address.family &&
           memcmp(a->net.address.bytes, b->net.address.bytes, sizeof(a->net.address.bytes)) == 0;
}

static void learn(struct learned *learned, const struct protected *p)
{
    bool known = false;

    pthread_mutex_lock(&learned->lock);
    for (size_t i = 0; i < learned->count && i < EGRESS_LEARNED_MAX; i++)
        known |= same_place(&learned->list[i], p);
    if (!known)
        learned->list[learned->count++ % EGRESS_LEARNED_MAX] = *p;
    pthread_mutex_unlock(&learned->lock);
}

void egress_learn_server(const struct egress *rules, const struct egress_caller *caller, const struct sockaddr *address)
{
    for (size_t i = 0; rules && caller->host && i < rules->count; i++) {
        const struct protected *by_name = &rules->list[i];
        struct protected p = {.port = by_name->port, .what = by_name->what, .by = by_name->name};
        int port;

        if (!by_name->name || by_name->port != caller->port || !name_matches(by_name->name, caller->host) ||
            !read_sockaddr(address, &p.net.address, &port) || port != p.port) /* another port: that of a proxy */
            continue;
        p.net.bits = all_bits(&p.net.address);
        learn(rules->learned, &p);
    }
}

/* ------------------------------------------------------------------ reading rules */

struct reading {
    struct egress *rules;
    const char *option; /* "--allow-egress" */
    bool allows;
};

static void add_rule(struct reading *r, const struct rule *rule, const char *as_written)
{
    struct rule *kept;
    struct text why;

    r->rules->rules = mem_grow(r->rules->rules, r->rules->rule_count + 1, sizeof(*r->rules->rules));
    kept = &r->rules->rules[r->rules->rule_count++];
    *kept = *rule;
    kept->allows = r->allows;
    kept->ns = mem_copy(rule->ns);
    kept->name = mem_copy(rule->name);
    text_init(&why, EGRESS_RULE_MAX_BYTES + 100);
    text_printf(&why, "named by %s of %s", as_written, r->option);
    kept->why = text_take(&why);
    text_done(&why);
}

/* Takes ":443" off the end; an IPv6 address has colons of its own, and brackets where a port follows. */
static bool take_port(char *what, int *port)
{
    char *colon = strrchr(what, ':'), *bracket = strrchr(what, ']'), *end;
    long number;

    *port = 0;
    if (!colon || (bracket && bracket > colon) || (!bracket && strchr(what, ':') != colon))
        return true;
    number = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end || number < 1 || number > 65535)
        return false;
    *colon = '\0';
    *port = (int)number;
    return true;
}

static char *without_brackets(char *what)
{
    size_t length = strlen(what);

    if (length < 2 || what[0] != '[' || what[length - 1] != ']')
        return what;
    what[length - 1] = '\0';
    return what + 1;
}

/* "*.internal" becomes ".internal". What consists of digits, or what resolvers take for a number (0x7f.1), is an address that is wrong. */
static char *read_name(char *what)
{
    struct in_addr number;
    char *name = string_starts(what, "*.") ? what + 1 : what;
    size_t length = name_length(name);

    name[length] = '\0';
    if (length < (name[0] == '.' ? 2 : 1) || strspn(name, "0123456789./") == length || inet_aton(name, &number) != 0)
        return NULL;
    for (const char *c = name; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && !strchr("-_.", *c))
            return NULL;
    return name;
}

static bool read_what(struct reading *r, struct rule *rule, char *what, const char *as_written)
{
    const char *const *nets;

    if (!take_port(what, &rule->port))
        return false;
    what = without_brackets(what);
    nets = nets_of(what);
    for (size_t i = 0; nets && i < NETS_OF_WORD && nets[i]; i++) {
        rule->kind = RULE_NET;
        read_net(nets[i], &rule->net);
        add_rule(r, rule, as_written);
    }
    if (nets)
        return true;
    if (strcmp(what, "all") == 0)
        rule->kind = RULE_ALL;
    else if (strcmp(what, "unix") == 0)
        rule->kind = RULE_UNIX;
    else if (read_net(what, &rule->net))
        rule->kind = RULE_NET;
    else if ((rule->name = read_name(what)))
        rule->kind = RULE_NAME;
    else
        return false;
    add_rule(r, rule, as_written);
    return true;
}

static bool read_rule(struct reading *r, const char *written, size_t length, struct error *err)
{
    char as_written[EGRESS_RULE_MAX_BYTES], copy[EGRESS_RULE_MAX_BYTES], *what = copy, *equals;
    struct rule rule = {.kind = RULE_NET};

    if (length >= sizeof(copy))
        return error_set(err, ERROR_LIMIT, "%s: a rule has more than %d bytes (EGRESS_RULE_MAX_BYTES): %.80s...",
                         r->option, EGRESS_RULE_MAX_BYTES, written);
    if (r->rules->rule_count >= EGRESS_RULES_MAX)
        return error_set(err, ERROR_LIMIT, "%s: more than %d rules (EGRESS_RULES_MAX); name larger nets", r->option,
                         EGRESS_RULES_MAX);
    memcpy(copy, written, length);
    copy[length] = '\0';
    memcpy(as_written, copy, length + 1);
    equals = strchr(copy, '=');
    if (equals) {
        *equals = '\0';
        rule.ns = copy;
        what = equals + 1;
    }
    if ((!rule.ns || *rule.ns) && read_what(r, &rule, what, as_written))
        return true;
    return error_set(err, ERROR_INVALID,
                     "%s: '%s' is no rule; write [NAMESPACE=]WHAT[:PORT], where WHAT is an address, a net like "
                     "10.0.0.0/8, a name like db.internal or *.internal, or loopback, link-local, metadata, private, "
                     "unix or all",
                     r->option, as_written);
}

static bool read_list(struct reading *r, const char *list, struct error *err)
{
    while (list && *list) {
        size_t length = strcspn(list, ",");

        if (!read_rule(r, list, length, err))
            return false;
        list += length + (list[length] == ',');
    }
    return true;
}

bool egress_allow(struct egress *rules, const char *list, struct error *err)
{
    return read_list(&(struct reading){.rules = rules, .option = "--allow-egress", .allows = true}, list, err);
}

bool egress_deny(struct egress *rules, const char *list, struct error *err)
{
    return read_list(&(struct reading){.rules = rules, .option = "--deny-egress"}, list, err);
}

/* ------------------------------------------------------------------ judging */

struct question { /* one place somebody wants to connect to */
    const struct egress_caller *caller;
    bool is_unix;
    bool is_inside;                /* the address was found in another one: only what is said of addresses counts */
    const struct address *address; /* NULL: a Unix socket, or not known yet */
    int port;
};

static bool concerns(const struct rule *rule, const struct question *q)
{
    if (rule->ns && !string_equal(rule->ns, q->caller->ns))
        return false;
    return rule->port == 0 || rule->port == q->port;
}

static bool matches(const struct rule *rule, const struct question *q)
{
    if (!concerns(rule, q))
        return false;
    switch (rule->kind) {
    case RULE_NET:
        return q->address && net_has(&rule->net, q->address);
    case RULE_NAME:
        return q->caller->host && !q->is_unix && !q->is_inside && name_matches(rule->name, q->caller->host) &&
               (!rule->allows || is_name(q->caller->host));
    case RULE_UNIX:
        return q->is_unix;
    case RULE_ALL:
        return !q->is_inside;
    }
    return false;
}

/* The more specific, the larger: of one's own namespace; a name, the longer the better; a net by its bits, IPv4 in terms of IPv6; a port. */
static int weight(const struct rule *rule)
{
    int by_kind = 0;

    if (rule->kind == RULE_NET)
        by_kind = 1 + rule->net.bits + (rule->net.address.family == 4 ? 96 : 0);
    else if (rule->kind == RULE_NAME)
        by_kind = 200 + (int)strlen(rule->name) + (rule->name[0] == '.' ? 0 : EGRESS_RULE_MAX_BYTES);
    else if (rule->kind == RULE_UNIX)
        by_kind = 1;
    return ((rule->ns ? 4 * EGRESS_RULE_MAX_BYTES : 0) + by_kind) * 2 + (rule->port != 0);
}

static const struct rule *most_specific(const struct egress *rules, const struct question *q)
{
    const struct rule *best = NULL;

    for (size_t i = 0; i < rules->rule_count; i++) {
        const struct rule *rule = &rules->rules[i];

        if (matches(rule, q) &&
            (!best || weight(rule) > weight(best) || (weight(rule) == weight(best) && best->allows)))
            best = rule;
    }
    return best;
}

static bool rules_allow(const struct egress *rules, const struct question *q, const char **why)
{
    const struct rule *best = most_specific(rules, q);

    if (!best || best->allows)
        return true;
    *why = best->why;
    return false;
}

/* Names this very address, the name that led to it, or this very net or a smaller one. */
static bool opens(const struct rule *rule, const struct protected *p, const struct question *q)
{
    if (!rule->allows || !matches(rule, q))
        return false;
    if (p->name)
        return rule->kind == RULE_NAME && rule->name[0] != '.';
    if (p->by && rule->kind == RULE_NAME)
        return rule->name[0] != '.' && name_matches(rule->name, p->by);
    return rule->kind == RULE_NET && rule->net.bits >= p->net.bits;
}

static bool is_protected(const struct protected *p, const struct question *q)
{
    if (p->port != 0 && p->port != q->port)
        return false;
    if (p->name)
        return q->caller->host && !q->is_inside && name_matches(p->name, q->caller->host);
    return q->address && net_has(&p->net, q->address);
}

static bool is_closed(const struct egress *rules, const struct protected *p, const struct question *q)
{
    bool closed = is_protected(p, q);

    for (size_t i = 0; closed && i < rules->rule_count; i++)
        closed = !opens(&rules->rules[i], p, q);
    return closed;
}

static bool learned_allows(const struct egress *rules, const struct question *q, const char **why)
{
    struct learned *learned = rules->learned;
    bool allowed = true;

    pthread_mutex_lock(&learned->lock);
    for (size_t i = 0; allowed && i < learned->count && i < EGRESS_LEARNED_MAX; i++)
        if (is_closed(rules, &learned->list[i], q)) {
            *why = learned->list[i].what;
            allowed = false;
        }
    pthread_mutex_unlock(&learned->lock);
    return allowed;
}

static bool protection_allows(const struct egress *rules, const struct question *q, const char **why)
{
    for (size_t i = 0; i < rules->count; i++)
        if (is_closed(rules, &rules->list[i], q)) {
            *why = rules->list[i].what;
            return false;
        }
    return learned_allows(rules, q, why);
}

/* The address, and what it leads to besides. */
static bool allows_address(const struct egress *rules, const struct question *as_written, const struct address *address,
                           const char **why)
{
    struct question q = *as_written;
    struct address inside;
    bool allowed;

    q.address = address;
    allowed = protection_allows(rules, &q, why) && rules_allow(rules, &q, why);
    q.address = &inside;
    q.is_inside = true;
    for (size_t i = 0; allowed && i < TUNNELS; i++)
        allowed =
            !through_tunnel(i, address, &inside) || (protection_allows(rules, &q, why) && rules_allow(rules, &q, why));
    return allowed;
}

static bool allows_unix(const struct egress *rules, const struct question *q, const char **why)
{
    bool open = !rules->protects_unix;

    for (size_t i = 0; !open && i < rules->rule_count; i++)
        open = rules->rules[i].allows && rules->rules[i].kind == RULE_UNIX && matches(&rules->rules[i], q);
    if (open)
        return true;
    *why = "that of a Unix socket";
    return false;
}

static bool allows(const struct egress *rules, const struct egress_caller *caller, const struct sockaddr *address,
                   const char **why)
{
    struct question q = {.caller = caller, .is_unix = address->sa_family == AF_UNIX};
    struct address a;

    if (q.is_unix)
        return allows_unix(rules, &q, why) && rules_allow(rules, &q, why);
    if (read_sockaddr(address, &a, &q.port))
        return allows_address(rules, &q, &a, why);
    if (address->sa_family == AF_UNSPEC || address->sa_family == AF_NETLINK) /* an end, and this machine's kernel */
        return true;
    *why = "of a kind that no rule speaks of";
    return false;
}

/* Whether it may be this host that the address belongs to: a name may have any, an address only its own. */
static bool may_have(const struct egress_caller *caller, const struct sockaddr *address, bool same_port)
{
    struct address written, resolved;
    int port;

    if (!caller->host || !read_sockaddr(address, &resolved, &port))
        return true;
    if (same_port && caller->port != port)
        return false;
    return !read_host(caller->host, &written) ||
           (written.family == resolved.family && memcmp(written.bytes, resolved.bytes, sizeof(written.bytes)) == 0);
}

/* By all hosts that it may belong to: it is not known to which of them. */
static bool allows_as_any(const struct egress *rules, const struct egress_caller *first, const struct sockaddr *address,
                          bool same_port, bool *belongs, const char **why)
{
    *belongs = false;
    for (const struct egress_caller *c = first; c; c = c->next) {
        if (!may_have(c, address, same_port))
            continue;
        *belongs = true;
        if (!allows(rules, c, address, why))
            return false;
    }
    return true;
}

bool egress_allows(const struct egress *rules, const struct egress_caller *caller, const struct sockaddr *address,
                   const char **why)
{
    struct egress_caller nowhere = {.ns = NULL};
    bool belongs, allowed;

    if (!rules)
        return true;
    nowhere.ns = caller->ns;
    if (!caller->next)
        return allows(rules, caller, address, why);
    allowed = allows_as_any(rules, caller, address, true, &belongs, why);
    if (!belongs)
        allowed = allows_as_any(rules, caller, address, false, &belongs, why);
    return belongs ? allowed : allows(rules, &nowhere, address, why);
}

bool egress_allows_text(const struct egress *rules, const struct egress_caller *caller, const char *address, int port,
                        const char **why)
{
    struct question q = {.caller = caller, .port = port};
    struct address a;

    if (!rules)
        return true;
    if (read_host(address, &a))
        return allows_address(rules, &q, &a, why);
    return protection_allows(rules, &q, why) && rules_allow(rules, &q, why);
}

static bool has_own_rules(const struct egress *rules, const char *ns)
{
    for (size_t i = 0; i < rules->rule_count; i++)
        if (ns && rules->rules[i].ns && strcmp(rules->rules[i].ns, ns) == 0)
            return true;
    return false;
}

/* Of a name only what its address cannot change: a rule about the name itself, where no other may be more specific. */
bool egress_allows_host(const struct egress *rules, const struct egress_caller *caller, const char **why)
{
    struct question q = {.caller = caller, .port = caller->port};
    const struct rule *best;
    struct address a;

    if (!rules || !caller->host)
        return true;
    if (read_host(caller->host, &a))
        return egress_allows_text(rules, caller, caller->host, caller->port, why);
    if (!protection_allows(rules, &q, why))
        return false;
    best = most_specific(rules, &q);
    if (!best || best->allows || best->kind != RULE_NAME || (!best->ns && has_own_rules(rules, caller->ns)))
        return true;
    *why = best->why;
    return false;
}

const char *egress_scope(const struct egress *rules, const char *ns)
{
    return rules && has_own_rules(rules, ns) ? ns : NULL;
}

/*
 * kafka_krb5conf: see kafka_krb5conf.h. Line by line; what a line means depends on the section and on how many braces are open:
 *
 *     includedir /etc/krb5.conf.d/      before the first section: ignored, as KEDA does. Distributions begin their files so
 *     [libdefaults]
 *         dns_lookup_kdc = true         a relation
 *     [realms]
 *         SHOP.TEST = {                 depth 1: relations of the realm
 *             kdc = kdc.shop:88
 *             auth_to_local_names = {   depth 2: not ours, whatever it says
 *             }
 *         }
 *     [logging]                         not ours
 *
 * KEDA reads the file with gokrb5 and not with MIT's library. Where the two differ we do as gokrb5 does, for that is what the file was tried
 * with: names in any case, comments behind values, the last one of two counts, realms are not looked up in DNS unless it says so, and a
 * broker's principal has the name by which it is called. Where the KDC does not know that name, the one that DNS has for it is tried, too.
 * A clockskew of "5m", which gokrb5 understands and libkrb5 does not, is passed over: libkrb5's own 5 minutes hold.
 */
#include "trigger/family/kafka_krb5conf.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "trigger/common/dsn.h"

enum {
    TEXT_MAX_BYTES = 64 * 1024, /* those of large companies have some 10 KB */
    RELATIONS_MAX = 1000, /* hosts and realms, however often they are said: each is looked for among all before it */
    VALUE_MAX_BYTES = 255,
    DIGITS_MAX = 9, /* an int holds as many */
    KDCS_MAX =
        8, /* of a realm: a silent one costs a second each time round, and more are not reached before we give up */
};

enum kind { TEXT, NUMBER, SECONDS, HOST, CANONICAL };

/* What may be said. name NULL: any. */
static const struct allowed {
    const char *section, *name;
    enum kind kind;
} list[] = {
    {"libdefaults", "allow_des3", TEXT},
    {"libdefaults", "allow_rc4", TEXT},
    {"libdefaults", "allow_weak_crypto", TEXT},
    {"libdefaults", "canonicalize", TEXT},
    {"libdefaults", "clockskew", SECONDS},
    {"libdefaults", "default_realm", TEXT},
    {"libdefaults", "default_tgs_enctypes", TEXT},
    {"libdefaults", "default_tkt_enctypes", TEXT},
    {"libdefaults", "dns_canonicalize_hostname", CANONICAL},
    {"libdefaults", "dns_lookup_kdc", TEXT},
    {"libdefaults", "dns_lookup_realm", TEXT},
    {"libdefaults", "dns_uri_lookup", TEXT},
    {"libdefaults", "forwardable", TEXT},
    {"libdefaults", "kdc_timesync", NUMBER},
    {"libdefaults", "noaddresses", TEXT},
    {"libdefaults", "permitted_enctypes", TEXT},
    {"libdefaults", "proxiable", TEXT},
    {"libdefaults", "qualify_shortname", TEXT},
    {"libdefaults", "rdns", TEXT},
    {"libdefaults", "realm_try_domains", NUMBER},
    {"libdefaults", "renew_lifetime", TEXT},
    {"libdefaults", "ticket_lifetime", TEXT},
    {"libdefaults", "udp_preference_limit", NUMBER},
    {"realms", "default_domain", TEXT},
    {"realms", "kdc", HOST},
    {"realms", "master_kdc", HOST},
    {"realms", "primary_kdc", HOST},
    {"domain_realm", NULL, TEXT},
};

/* What holds where the text does not say otherwise; the last three it cannot say: nothing of the process, should anything ever ask. */
static const char *const ours[][2] = {
    {"dns_canonicalize_hostname", "fallback"},
    {"dns_lookup_kdc", "false"},
    {"qualify_shortname", ""},
    {"default_ccache_name", "MEMORY:weir-none"},
    {"default_keytab_name", "MEMORY:weir-none"},
    {"default_client_keytab_name", "MEMORY:weir-none"},
};

struct relation {
    const char *section, *sub /* NULL: right in the section */, *name, *value;
};

struct kafka_krb5conf {
    atomic_int references;
    int ignored_line;
    char *text, *realm; /* copies; relations point into them */
    struct relation *relations;
    size_t count;
};

struct reader {
    struct kafka_krb5conf *conf;
    const char *section; /* NULL: none yet; "": one that is not ours */
    const char *realm;   /* whose braces are open */
    const char *opening; /* name = , with its brace on the next line; NULL: none */
    int depth, line;
    size_t said; /* relations, each as often as it was said */
    struct error *err;
};

/* ------------------------------------------------------------------ relations */

static bool is_among(const struct relation *r, const char *section, const char *sub, const char *name)
{
    return string_equal(r->section, section) && string_equal(r->sub, sub) && string_equal(r->name, name);
}

static size_t count_of(const struct kafka_krb5conf *conf, const char *section, const char *sub, const char *name,
                       struct relation **last)
{
    size_t count = 0;

    for (size_t i = 0; i < conf->count; i++)
        if (is_among(&conf->relations[i], section, sub, name)) {
            *last = &conf->relations[i];
            count++;
        }
    return count;
}

static void append(struct kafka_krb5conf *conf, struct relation relation)
{
    conf->relations = mem_grow(conf->relations, conf->count + 1, sizeof(*conf->relations));
    conf->relations[conf->count++] = relation;
}

static void add_ours(struct kafka_krb5conf *conf)
{
    struct relation *stated;

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (count_of(conf, "libdefaults", NULL, ours[i][0], &stated) == 0)
            append(conf, (struct relation){"libdefaults", NULL, ours[i][0], ours[i][1]});
    if (count_of(conf, "libdefaults", NULL, "default_realm", &stated) == 0)
        append(conf, (struct relation){"libdefaults", NULL, "default_realm", conf->realm});
}

/* ------------------------------------------------------------------ values */

static bool is_true(const char *value)
{
    return value && dsn_word_in("y,yes,true,t,1,on", value);
}

static bool is_false(const char *value)
{
    return dsn_word_in("n,no,false,f,nil,0,off", value);
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

/* What libkrb5 cannot read as an int leaves it with none at all. */
static bool is_number(const char *value)
{
    value += *value == '-';
    return *value && strlen(value) <= DIGITS_MAX && strspn(value, "0123456789") == strlen(value);
}

static bool suits(enum kind kind, const char *value)
{
    switch (kind) {
    case NUMBER:
        return is_number(value);
    case HOST:
        return dsn_is_place(value);
    default:
        return true;
    }
}

/* ------------------------------------------------------------------ lines */

static bool fail(const struct reader *r, const char *what)
{
    return error_set(r->err, ERROR_INVALID, "kerberosConfig line %d: %s", r->line, what);
}

/* "text*": MIT's and gokrb5's word for the last one that counts. */
static char *without_star(char *text)
{
    size_t length = strlen(text);

    if (length > 0 && text[length - 1] == '*')
        text[length - 1] = '\0';
    return string_trim(text, " \t\r");
}

static char *without_quotes(char *text)
{
    size_t length = strlen(text);

    if (length < 2 || text[0] != '"' || text[length - 1] != '"')
        return text;
    text[length - 1] = '\0';
    return text + 1;
}

static bool is_directive(const char *line)
{
    static const char *const words[] = {"include", "includedir", "module"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);

        if (strncasecmp(line, words[i], length) == 0 && (line[length] == ' ' || line[length] == '\t'))
            return line[length + strspn(line + length, " \t")] != '='; /* else it is a relation with that name */
    }
    return false;
}

static const struct allowed *find_allowed(const char *section, const char *name)
{
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (strcmp(list[i].section, section) == 0 && (!list[i].name || strcasecmp(list[i].name, name) == 0))
            return &list[i];
    return NULL;
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

static bool keep(struct reader *r, const struct allowed *allowed, char *name, char *value)
{
    struct relation *last, relation = {allowed->section, r->depth > 0 ? r->realm : NULL, allowed->name, value};
    size_t count;

    if (++r->said > RELATIONS_MAX)
        return fail(r, "more than RELATIONS_MAX (1000) relations; leave out hosts and realms that are not needed");
    if (!allowed->name) {
        lower(name);
        relation.name = name;
    }
    count = count_of(r->conf, relation.section, relation.sub, relation.name, &last);
    if (count > 0 && allowed->kind != HOST) {
        last->value = value;
        return true;
    }
    if (allowed->kind == HOST && count >= KDCS_MAX)
        return true;
    append(r->conf, relation);
    return true;
}

static bool read_relation(struct reader *r, char *name, char *value)
{
    const struct allowed *allowed = find_allowed(r->section, name);

    if (!allowed)
        return true;
    value = without_quotes(value);
    if (allowed->kind == HOST)
        value = without_star(value);
    if (strlen(value) > VALUE_MAX_BYTES || !is_printable(value) || !is_printable(name))
        return fail(r, "the value is too long, or no text");
    if (!suits(allowed->kind, value))
        return fail(r, allowed->kind == HOST ? "a KDC is host or host:port, and [address]:port in IPv6"
                                             : "it has to be a number");
    if ((allowed->kind == CANONICAL && !is_false(value)) || (allowed->kind == SECONDS && !is_number(value)))
        return true;
    return keep(r, allowed, name, value);
}

static bool open_brace(struct reader *r, const char *name)
{
    r->opening = NULL;
    if (r->depth++ == 0)
        r->realm = name;
    return true;
}

static bool close_brace(struct reader *r)
{
    return r->depth-- > 0 || fail(r, "a } without its {");
}

/* Where relations of ours can stand. */
static bool is_read_here(const struct reader *r)
{
    return strcmp(r->section, "realms") == 0 ? r->depth == 1 : r->depth == 0;
}

static bool read_pair(struct reader *r, char *line, char *equals)
{
    char *name, *value = string_trim(equals + 1, " \t\r");

    *equals = '\0';
    name = without_star(string_trim(line, " \t\r"));
    if (strcmp(value, "{") == 0)
        return open_brace(r, name);
    r->opening = *value ? NULL : name;
    return !*value || !is_read_here(r) || read_relation(r, name, value);
}

static bool open_section(struct reader *r, char *line)
{
    char *end = strchr(line, ']');

    if (!end)
        return fail(r, "a [ without its ]");
    if (r->depth > 0)
        return fail(r, "a { before it is not closed");
    *end = '\0';
    line = string_trim(line + 1, " \t\r");
    r->section = "";
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (strcasecmp(list[i].section, line) == 0)
            r->section = list[i].section;
    return true;
}

static bool read_line(struct reader *r, char *line)
{
    const char *opening = r->opening;
    char *equals;

    line[strcspn(line, "#;")] = '\0';
    line = string_trim(line, " \t\r");
    if (!*line)
        return true;
    r->opening = NULL;
    if (*line == '[')
        return open_section(r, line);
    if (is_directive(line) && !r->conf->ignored_line && (!r->section || !*r->section))
        r->conf->ignored_line = r->line;
    if (!r->section || !*r->section)
        return true;
    if (is_directive(line))
        return fail(r, "nothing can be included; write here what it would say");
    if (*line == '}')
        return close_brace(r);
    if (*line == '{' && opening)
        return open_brace(r, opening);
    equals = strchr(line, '=');
    return equals ? read_pair(r, line, equals) : !is_read_here(r) || fail(r, "neither name = value nor a section");
}

static bool read_lines(struct reader *r)
{
    char *line = r->conf->text;

    while (line) {
        char *end = strchr(line, '\n');

        if (end)
            *end++ = '\0';
        r->line++;
        if (!read_line(r, line))
            return false;
        line = end;
    }
    return r->depth == 0 || fail(r, "a { before it is not closed");
}

/* ------------------------------------------------------------------ for others */

bool kafka_krb5conf_is_empty(const char *text)
{
    while (*text) {
        text += strspn(text, " \t\r\n");
        if (*text && *text != '#' && *text != ';')
            return false;
        text += strcspn(text, "\n");
    }
    return true;
}

struct kafka_krb5conf *kafka_krb5conf_read(const char *text, const char *realm, struct error *err)
{
    struct reader reader = {.err = err};

    if (strlen(text) > TEXT_MAX_BYTES) {
        error_set(err, ERROR_LIMIT, "kerberosConfig has more than TEXT_MAX_BYTES (%d); leave out what is not needed",
                  TEXT_MAX_BYTES);
        return NULL;
    }
    reader.conf = mem_alloc(sizeof(*reader.conf));
    reader.conf->references = 1;
    reader.conf->text = mem_copy(text);
    reader.conf->realm = mem_copy(realm);
    if (!read_lines(&reader)) {
        kafka_krb5conf_unref(reader.conf);
        return NULL;
    }
    add_ours(reader.conf);
    return reader.conf;
}

struct kafka_krb5conf *kafka_krb5conf_ref(struct kafka_krb5conf *conf)
{
    atomic_fetch_add(&conf->references, 1);
    return conf;
}

void kafka_krb5conf_unref(struct kafka_krb5conf *conf)
{
    if (!conf || atomic_fetch_sub(&conf->references, 1) > 1)
        return;
    free(conf->relations);
    free(conf->text);
    free(conf->realm);
    free(conf);
}

const char *kafka_krb5conf_get(const struct kafka_krb5conf *conf, const char *const *names, size_t index)
{
    const char *section = names[0], *sub, *name;

    if (!section || !names[1] || (names[2] && names[3]))
        return NULL;
    sub = names[2] ? names[1] : NULL;
    name = names[2] ? names[2] : names[1];
    for (size_t i = 0; i < conf->count; i++)
        if (is_among(&conf->relations[i], section, sub, name) && index-- == 0)
            return conf->relations[i].value;
    return NULL;
}

bool kafka_krb5conf_asks_dns(const struct kafka_krb5conf *conf)
{
    return is_true(kafka_krb5conf_get(conf, (const char *const[]){"libdefaults", "dns_lookup_kdc", NULL}, 0));
}

bool kafka_krb5conf_knows(const struct kafka_krb5conf *conf, const char *realm)
{
    return kafka_krb5conf_get(conf, (const char *const[]){"realms", realm, "kdc", NULL}, 0) ||
           kafka_krb5conf_asks_dns(conf);
}

int kafka_krb5conf_ignored_line(const struct kafka_krb5conf *conf)
{
    return conf->ignored_line;
}

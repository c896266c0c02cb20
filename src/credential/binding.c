/*
 * binding: where a credential may go and who may use it, as the annotations of its authentication say:
 *
 *     weir.dev/allowed-hosts: "*.example.com, db.internal:5432, 10.0.0.7, [fd00::7]:9090"
 *     weir.dev/allowed-namespaces: "shop, team-*"
 *
 * Whoever writes a trigger writes the address that its credential is sent to; a ClusterTriggerAuthentication may be referred to from any
 * namespace, so that its secrets go wherever any tenant says. This list is the word of who owns the secret. Hosts are compared as they
 * are written, not by what they resolve to: where a name leads is the egress rules' matter (net/egress.h). What is not clearly in the
 * list is refused.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "credential/credential_internal.h"

static const char separators[] = ", \t\r\n";

struct piece { /* of a text */
    const char *at;
    size_t length;
};

static bool next_piece(const char **list, struct piece *out)
{
    *list += strspn(*list, separators);
    out->at = *list;
    out->length = strcspn(*list, separators);
    *list += out->length;
    return out->length > 0;
}

/* "db:5432", "db", "[::1]:5432". Neither brackets nor the dot that ends an absolute name are part of a host. */
static void split_port(const struct piece *place, struct piece *host, struct piece *port)
{
    size_t colon = place->length;

    while (colon > 0 && place->at[colon - 1] != ':' && place->at[colon - 1] != ']')
        colon--;
    *port = (struct piece){NULL, 0};
    *host = *place;
    if (colon > 0 && place->at[colon - 1] == ':') {
        *port = (struct piece){place->at + colon, place->length - colon};
        host->length = colon - 1;
    }
    if (host->length > 1 && host->at[0] == '[' && host->at[host->length - 1] == ']')
        *host = (struct piece){host->at + 1, host->length - 2};
    else if (host->length > 1 && host->at[host->length - 1] == '.')
        host->length--;
}

static bool is_same(const struct piece *a, const struct piece *b)
{
    return a->length == b->length && (a->length == 0 || strncasecmp(a->at, b->at, a->length) == 0);
}

/* ------------------------------------------------------------------ hosts */

static bool is_host(const struct piece *host, bool is_address)
{
    bool wild = host->length > 2 && host->at[0] == '*' && host->at[1] == '.';

    for (size_t i = wild ? 1 : 0; i < host->length; i++)
        if (!isalnum((unsigned char)host->at[i]) && !strchr(is_address ? ":." : "-_.", host->at[i]))
            return false;
    return host->length > 0;
}

static bool is_port(const struct piece *port)
{
    long number = 0;

    for (size_t i = 0; i < port->length && number <= 65535; i++) {
        if (!isdigit((unsigned char)port->at[i]))
            return false;
        number = number * 10 + (port->at[i] - '0');
    }
    return number >= 1 && number <= 65535;
}

bool binding_check_hosts(const char *hosts, struct error *err)
{
    struct piece pattern, host, port;

    for (const char *at = hosts; at && next_piece(&at, &pattern);) {
        split_port(&pattern, &host, &port);
        if (!is_host(&host, host.at > pattern.at) || (port.at && !is_port(&port)))
            return error_set(
                err, ERROR_INVALID,
                "annotation " CREDENTIAL_HOSTS_ANNOTATION ": '%.*s' is no host; write names like "
                "db.internal or *.example.com, or addresses, with :PORT behind where only one port is meant",
                pattern.length < 100 ? (int)pattern.length : 100, pattern.at);
    }
    return true;
}

/* Only names have an ending that says whose they are: a path, a URL or a connection string may end like one, too. */
static bool host_matches(const struct piece *pattern, const struct piece *host)
{
    struct piece tail = {pattern->at + 1, pattern->length - 1};
    struct piece end;

    if (pattern->at[0] != '*')
        return is_same(pattern, host);
    if (host->length <= tail.length || !is_host(host, false))
        return false;
    end = (struct piece){host->at + host->length - tail.length, tail.length};
    return is_same(&tail, &end);
}

bool credential_may_go(const char *hosts, const char *place, struct error *err)
{
    struct piece whole = {place, strlen(place)}, host, port, pattern, wanted_host, wanted_port;

    if (!hosts)
        return true;
    split_port(&whole, &host, &port);
    for (const char *at = hosts; next_piece(&at, &pattern);) {
        split_port(&pattern, &wanted_host, &wanted_port);
        if (wanted_host.length > 0 && host_matches(&wanted_host, &host) &&
            (!wanted_port.at || is_same(&wanted_port, &port)))
            return true;
    }
    return error_set(err, ERROR_INVALID,
                     "%.100s is not among the hosts that this credential may be sent to: " CREDENTIAL_HOSTS_ANNOTATION
                     " of its authentication is \"%.120s\"; ask one of them, or have it added there",
                     *place ? place : "where this trigger asks", hosts);
}

/* ------------------------------------------------------------------ namespaces */

bool binding_admits(const char *namespaces, const char *ns)
{
    struct piece name = {ns, ns ? strlen(ns) : 0}, pattern;

    for (const char *at = namespaces; ns && at && next_piece(&at, &pattern);) {
        size_t length = pattern.length - (pattern.at[pattern.length - 1] == '*');

        if (pattern.length == length ? pattern.length == name.length && memcmp(pattern.at, ns, length) == 0
                                     : name.length >= length && memcmp(pattern.at, ns, length) == 0)
            return true;
    }
    return false;
}

/*
 * guard_origin: what a browser says of where it asks from. A page of any origin may make a browser ask this machine; it cannot read the
 * answer, but the asking alone could do harm, and a name of its own that suddenly means 127.0.0.1 (DNS rebinding) makes it one
 * origin with us. Against the first stand Sec-Fetch-Site, which browsers send to https and to loopback, and Origin, which all send with
 * anything but GET; against the second the Host header, which is then the name of the page.
 *
 * Sec-Fetch-Site is compared by the browser with what it sees in its address line, so behind a proxy it is right where Origin and Host
 * differ; so it is believed first.
 */
#include "serve/guard_internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX_BYTES = 256 };

/* "[::1]:8642" -> "::1". false: there is none, or too much of it. */
static bool host_of(const char *address, char host[HOST_MAX_BYTES])
{
    const char *end;

    if (*address == '[') {
        address++;
        end = strchr(address, ']');
    } else {
        end = address + strcspn(address, ":");
    }
    if (!end || end == address || end - address >= HOST_MAX_BYTES)
        return false;
    memcpy(host, address, (size_t)(end - address));
    host[end - address] = '\0';
    return true;
}

static bool is_loopback_number(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

bool origin_is_loopback(const char *address)
{
    char host[HOST_MAX_BYTES];

    return host_of(address, host) && is_loopback_number(host);
}

/* HTTP/1.0 has none, and no browser speaks it. */
bool origin_host_is_ours(const struct server_request *request, const char *listen)
{
    const char *said = server_header(request, "Host");
    char host[HOST_MAX_BYTES], own[HOST_MAX_BYTES];

    if (!said)
        return true;
    if (!host_of(said, host))
        return false;
    return strcasecmp(host, "localhost") == 0 || is_loopback_number(host) ||
           (host_of(listen, own) && strcasecmp(host, own) == 0);
}

static bool is_of_host(const char *origin, const char *host)
{
    const char *begin = strstr(origin, "://");

    return begin && host && strcasecmp(begin + 3, host) == 0;
}

static bool header_is(const struct server_request *request, const char *name, const char *value)
{
    const char *said = server_header(request, name);

    return said && strcmp(said, value) == 0;
}

static bool only_reads(const struct server_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

bool origin_is_foreign(const struct server_request *request)
{
    const char *site = server_header(request, "Sec-Fetch-Site"), *origin = server_header(request, "Origin");

    if (site && (strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0))
        return false;
    if (site)
        return !only_reads(request) || !header_is(request, "Sec-Fetch-Mode", "navigate");
    return origin && !is_of_host(origin, server_header(request, "Host"));
}

bool origin_wants_page(const struct server_request *request)
{
    const char *accept = server_header(request, "Accept");

    return only_reads(request) && accept && strstr(accept, "text/html") && strncmp(request->path, "/api/", 5) != 0;
}

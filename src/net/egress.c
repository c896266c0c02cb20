/*
 * egress: addresses a manifest may not make us talk to when the operator says so: this machine, and the link-local net, where
 * clouds answer with the node's credentials. The rules look at the address a name was resolved to, so that no name can
 * get around them, and see through IPv4 addresses that are written as IPv6.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "net/net_internal.h"

static bool refuses_v4(uint32_t address, bool loopback, bool link_local, const char **why)
{
    if (loopback && (address >> 24 == 127 || address >> 24 == 0)) { /* 0.0.0.0 reaches this machine as well */
        *why = "a loopback address";
        return true;
    }
    if (link_local && address >> 16 == (169U << 8 | 254)) {
        *why = "a link-local address";
        return true;
    }
    return false;
}

static bool refuses_v6(const struct in6_addr *address, bool loopback, bool link_local, const char **why)
{
    const uint8_t *b = address->s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(address) || (IN6_IS_ADDR_V4COMPAT(address) && !IN6_IS_ADDR_LOOPBACK(address)))
        return refuses_v4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15], loopback,
                          link_local, why);
    if (loopback && (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address))) {
        *why = "a loopback address";
        return true;
    }
    if (link_local && IN6_IS_ADDR_LINKLOCAL(address)) {
        *why = "a link-local address";
        return true;
    }
    return false;
}

bool egress_refuses(const struct sockaddr *address, bool loopback, bool link_local, const char **why)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (!loopback && !link_local)
        return false;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return refuses_v4(ntohl(v4.sin_addr.s_addr), loopback, link_local, why);
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return refuses_v6(&v6.sin6_addr, loopback, link_local, why);
    }
    return false;
}

bool egress_refuses_host(const char *host, bool loopback, bool link_local, const char **why)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (!loopback && !link_local)
        return false;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return refuses_v4(ntohl(v4.s_addr), loopback, link_local, why);
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return refuses_v6(&v6, loopback, link_local, why);
    return false;
}

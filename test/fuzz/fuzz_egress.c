/*
 * fuzz_egress: rules as --allow-egress and --deny-egress take them, and where they let one go. Six lines: what is allowed, what is refused,
 * the URL of the API server, a namespace, a host as a manifest writes it, and an IPv4 address and port, as six bytes. Whatever they are:
 *
 *     - who refuses more, opens nothing
 *     - an IPv4 address is the same one however it is written
 *     - what a library that knows several hosts may do, it may do as each of those that the address can belong to
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 6, LINE_MAX_BYTES = 600 };

struct input {
    char lines[LINES][LINE_MAX_BYTES];
    uint8_t address[4];
    int port;
};
enum { ALLOW, DENY, SERVER, NAMESPACE, HOST, ADDRESS };

static void read_input(const uint8_t *data, size_t size, struct input *in)
{
    for (int i = 0; i < LINES; i++) {
        const uint8_t *end = i < ADDRESS && size > 0 ? memchr(data, '\n', size) : NULL;
        size_t length = end ? (size_t)(end - data) : size, kept = length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES - 1;

        memset(in->lines[i], 0, LINE_MAX_BYTES);
        memcpy(in->lines[i], data, kept);
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    memcpy(in->address, in->lines[ADDRESS], sizeof(in->address));
    in->port = (uint8_t)in->lines[ADDRESS][4] << 8 | (uint8_t)in->lines[ADDRESS][5];
}

/* NULL: one of the lists is wrong, and says so. */
static struct egress *make(const struct input *in, bool refuses)
{
    struct egress *rules = egress_new();
    struct error err = {.kind = ERROR_NONE};

    egress_protect_loopback(rules);
    egress_protect_server(rules, in->lines[SERVER]);
    if (egress_allow(rules, in->lines[ALLOW], &err) && (!refuses || egress_deny(rules, in->lines[DENY], &err)))
        return rules;
    if ((err.kind != ERROR_INVALID && err.kind != ERROR_LIMIT) || !*err.text)
        abort();
    egress_unref(rules);
    return NULL;
}

static bool may_v4(const struct egress *rules, const struct egress_caller *caller, const struct input *in)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)in->port)};
    const char *why = NULL;
    bool allowed;

    memcpy(&v4.sin_addr, in->address, sizeof(in->address));
    allowed = egress_allows(rules, caller, (const struct sockaddr *)(const void *)&v4, &why);
    if (!allowed && !why)
        abort();
    return allowed;
}

static bool may_v6(const struct egress *rules, const struct egress_caller *caller, const struct input *in,
                   const char *prefix)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)in->port)};
    const char *why;

    inet_pton(AF_INET6, prefix, &v6.sin6_addr);
    memcpy(&v6.sin6_addr.s6_addr[12], in->address, sizeof(in->address));
    return egress_allows(rules, caller, (const struct sockaddr *)(const void *)&v6, &why);
}

static void compare_spellings(const struct egress *rules, const struct egress_caller *caller, const struct input *in)
{
    static const char *const prefixes[] = {"::ffff:0.0.0.0", "64:ff9b::", "::ffff:0:0:0"};
    const uint8_t *a = in->address;
    bool allowed = may_v4(rules, caller, in);
    const char *why;
    char text[40];

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (may_v6(rules, caller, in, prefixes[i]) != allowed)
            abort();
    snprintf(text, sizeof(text), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    if (egress_allows_text(rules, caller, text, in->port, &why) != allowed)
        abort();
    snprintf(text, sizeof(text), "0x%x.%u", a[0], a[1] << 16 | a[2] << 8 | a[3]);
    if (egress_allows_text(rules, caller, text, in->port, &why) != allowed)
        abort();
}

static void compare_lists(const struct egress *rules, const struct input *in, const char *ns)
{
    const struct egress_caller second = {.ns = ns, .host = "second.example", .port = in->port},
                               both = {.ns = ns, .host = in->lines[HOST], .port = in->port, .next = &second},
                               first = {.ns = ns, .host = in->lines[HOST], .port = in->port};
    bool is_name = strpbrk(in->lines[HOST], "ghijklmnopqrstuvwyz") && !strpbrk(in->lines[HOST], ":%");

    if (may_v4(rules, &both, in) && (!may_v4(rules, &second, in) || (is_name && !may_v4(rules, &first, in))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    struct egress *lenient, *strict;
    struct egress_caller caller;
    const char *why;

    read_input(data, size, &in);
    lenient = make(&in, false);
    strict = make(&in, true);
    caller = (struct egress_caller){.ns = *in.lines[NAMESPACE] ? in.lines[NAMESPACE] : NULL,
                                    .host = *in.lines[HOST] ? in.lines[HOST] : NULL,
                                    .port = in.port};
    if (strict) {
        if (may_v4(strict, &caller, &in) && !may_v4(lenient, &caller, &in))
            abort();
        egress_allows_host(strict, &caller, &why);
        compare_spellings(strict, &caller, &in);
        if (caller.host)
            compare_lists(strict, &in, caller.ns);
    }
    egress_unref(lenient);
    egress_unref(strict);
    return 0;
}

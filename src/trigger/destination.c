/*
 * destination: where a trigger asks, as far as its parameters say it: every server of a list, and where it has tokens from. Name rules of
 * egress and what a credential may be shown to are both about all of these, not about the one that happens to be asked first.
 *
 * What a server names only when it is asked (a redirect, the other members of its cluster) is judged when Weir turns there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trigger/common/dsn.h"
#include "trigger/trigger_internal.h"

enum { DESTINATION_BYTES = 300 }; /* a name has 253 at most; what is longer is nowhere, and told cut off */

struct destinations {
    trigger_destination_each *each;
    void *arg;
};

bool url_destination(const char *url, char *out, size_t size)
{
    bool secure = strncasecmp(url, "https://", 8) == 0;
    const char *host, *end, *at, *colon = NULL;

    if (!secure && strncasecmp(url, "http://", 7) != 0)
        return false;
    host = strstr(url, "://") + 3;
    end = host + strcspn(host, "/?#");
    for (at = end; at > host; at--)
        if (at[-1] == '@') {
            host = at;
            break;
        }
    for (const char *c = host; c < end; c++) {
        if ((unsigned char)*c <= ' ' || strchr("{}<>$\"\\^`|", *c))
            return false;
        colon = *c == ':' ? c : *c == ']' ? NULL : colon;
    }
    if (colon && colon + 1 == end) { /* "host:/" has the usual port, to the transport as well */
        end = colon;
        colon = NULL;
    }
    if (host == end || host == colon)
        return false;
    if (colon && strspn(colon + 1, "0123456789") != (size_t)(end - colon - 1))
        return false;
    if (colon)
        return (size_t)snprintf(out, size, "%.*s", (int)(end - host), host) < size;
    return (size_t)snprintf(out, size, "%.*s:%d", (int)(end - host), host, secure ? 443 : 80) < size;
}

/* ------------------------------------------------------------------ for drivers */

void destinations_add(struct destinations *out, const char *host, int port)
{
    if (*host)
        out->each(out->arg, host, port);
}

/* One of a list. */
static void add_place(struct destinations *out, const char *at, size_t length, int usual_port)
{
    char place[DESTINATION_BYTES], *host = place, *bracket, *colon;
    int port = usual_port;

    snprintf(place, sizeof(place), "%.*s", (int)length, at);
    bracket = place[0] == '[' ? strchr(place, ']') : NULL;
    colon = strrchr(bracket ? bracket : place, ':');
    if (colon) {
        port = dsn_port(colon + 1);
        *colon = '\0';
    }
    if (bracket) {
        *bracket = '\0';
        host = place + 1;
    }
    destinations_add(out, host, port);
}

void destinations_add_list(struct destinations *out, const char *places, int usual_port)
{
    const char *at = places;

    while (at && *at) {
        size_t blanks = strspn(at, " "), length = strcspn(at + blanks, ",");

        add_place(out, at + blanks, length, usual_port);
        at += blanks + length;
        at += *at == ',';
    }
}

void destinations_add_url(struct destinations *out, const char *url)
{
    char place[DESTINATION_BYTES];

    if (url_destination(url, place, sizeof(place)))
        add_place(out, place, strlen(place), 0);
}

/* ------------------------------------------------------------------ of a trigger */

static const char *text_at(const struct param *param, const void *config)
{
    const char *text;

    memcpy(&text, (const char *)config + param->offset, sizeof(text));
    return text;
}

/* Parameters that are an address by themselves; those of a block too. */
static void add_addresses(struct destinations *out, const struct param *params, const void *config)
{
    for (const struct param *p = params; p->name; p++) {
        bool address = p->kind == PARAM_KIND_URL || (p->kind == PARAM_KIND_TEXT && p->address);
        const void *text = address || p->kind == PARAM_KIND_BLOCK ? text_at(p, config) : NULL;

        if (text && address)
            destinations_add_url(out, text);
        else if (text)
            add_addresses(out, p->block->params, text);
    }
}

void destinations_servers(const struct trigger_driver *driver, const void *config, trigger_destination_each *each,
                          void *arg)
{
    struct destinations out = {.each = each, .arg = arg};
    char place[DESTINATION_BYTES];

    if (driver->destinations)
        driver->destinations(config, &out);
    else if (driver->destination && driver->destination(config, place, sizeof(place)))
        destinations_add_list(&out, place, 0);
}

void destinations_walk(const struct trigger_driver *driver, const void *config, trigger_destination_each *each,
                       void *arg)
{
    struct destinations out = {.each = each, .arg = arg};

    destinations_servers(driver, config, each, arg);
    add_addresses(&out, driver->params, config);
}

void trigger_destinations(const struct trigger *trigger, trigger_destination_each *each, void *arg)
{
    destinations_walk(trigger->driver, trigger_config_of(trigger), each, arg);
}

struct first {
    char *out;
    size_t size;
    bool found;
};

static void take_first(void *arg, const char *host, int port)
{
    struct first *first = arg;
    int length;

    if (first->found)
        return;
    length = snprintf(first->out, first->size, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
    first->found = length > 0 && (size_t)length < first->size;
}

static bool first_url(const struct trigger_driver *driver, const void *config, char *out, size_t size)
{
    for (const struct param *p = driver->params; p->name; p++)
        if (p->kind == PARAM_KIND_URL && text_at(p, config))
            return url_destination(text_at(p, config), out, size);
    return false;
}

bool destinations_first(const struct trigger_driver *driver, const void *config, char *out, size_t size)
{
    struct first first = {.out = out, .size = size};
    struct destinations all = {.each = take_first, .arg = &first};

    if (driver->destination)
        return driver->destination(config, out, size);
    if (!driver->destinations)
        return first_url(driver, config, out, size);
    driver->destinations(config, &all);
    return first.found;
}

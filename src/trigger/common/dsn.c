/* dsn: see dsn.h. */
#include "trigger/common/dsn.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

#define OF_NAMES     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define OF_ADDRESSES OF_NAMES ":%"

char *dsn_copy(struct dsn *dsn, const char *text)
{
    memset(dsn, 0, sizeof(*dsn));
    dsn->copy = mem_copy(text);
    dsn->copy_bytes = strlen(text);
    return dsn->copy;
}

void dsn_done(struct dsn *dsn)
{
    if (dsn->copy)
        explicit_bzero(dsn->copy, dsn->copy_bytes);
    free(dsn->copy);
    memset(dsn, 0, sizeof(*dsn));
}

void dsn_decode(char *text)
{
    char *out = text;

    for (; *text; text++) {
        int high = *text == '%' ? hex_digit(text[1]) : -1, low = high >= 0 ? hex_digit(text[2]) : -1;

        if (low >= 0 && high * 16 + low != 0) {
            *out++ = (char)(high * 16 + low);
            text += 2;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

void dsn_escape(struct text *out, const char *part)
{
    for (const unsigned char *c = (const unsigned char *)part; *c; c++) {
        bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-_.~", *c);

        text_printf(out, plain ? "%c" : "%%%02X", *c);
    }
}

static bool add_option(struct dsn *dsn, const char *key, const char *value, struct error *err)
{
    if (dsn->option_count == DSN_OPTIONS_MAX)
        return error_set(err, ERROR_LIMIT, "the connection string has more than %d options (DSN_OPTIONS_MAX)",
                         DSN_OPTIONS_MAX);
    dsn->options[dsn->option_count++] = (struct dsn_option){key, value};
    return true;
}

bool dsn_read_options(struct dsn *dsn, char *text, char separator, bool decoded, struct error *err)
{
    while (text && *text) {
        char *next = strchr(text, separator), *equals;

        if (next)
            *next++ = '\0';
        equals = strchr(text, '=');
        if (equals)
            *equals++ = '\0';
        if (decoded) {
            dsn_decode(text);
            if (equals)
                dsn_decode(equals);
        }
        if (*text && !add_option(dsn, text, equals ? equals : text + strlen(text), err))
            return false;
        text = next;
    }
    return true;
}

/* The part before `mark`; what follows it goes to *rest, NULL where there is no mark. */
static char *cut(char *text, char mark, char **rest)
{
    char *at = strchr(text, mark);

    *rest = at ? at + 1 : NULL;
    if (at)
        *at = '\0';
    return text;
}

/* user:pa/ss@host has, by the grammar, the host "user" and the port "pa", which is none. */
static bool has_odd_port(const char *authority)
{
    size_t length = strcspn(authority, "/?#");
    const char *colon = *authority == '[' ? NULL : memchr(authority, ':', length);

    return colon && strspn(colon + 1, "0123456789") < strcspn(colon + 1, ",/?#");
}

/* Where the hosts begin. A password with a bare '/' in it is meant as such, not as a path. */
static char *behind_user(char *authority)
{
    char *at = memrchr(authority, '@', strcspn(authority, "/?#"));

    if (!at && has_odd_port(authority))
        at = memrchr(authority, '@', strcspn(authority, "?#"));
    return at ? at + 1 : authority;
}

/* With a bare '?' or '#' in it nothing can be meant: a piece of it would stand where a host does, be shown and asked. */
static bool cuts_a_password(char *authority)
{
    return behind_user(authority) == authority && has_odd_port(authority) && strchr(authority, '@');
}

const char *dsn_url_path(const char *text)
{
    char *authority = strstr(text, "://");

    if (!authority)
        return text + strlen(text);
    authority = behind_user(authority + 3);
    return authority + strcspn(authority, "/?#");
}

bool dsn_read_url(const char *text, struct dsn *out, struct error *err)
{
    char *copy = dsn_copy(out, text), *authority = strstr(copy, "://"), *options, *path, *hosts, *password;

    if (!authority || authority == copy)
        return error_set(err, ERROR_INVALID, "the connection string does not begin with a scheme such as name://");
    *authority = '\0';
    out->scheme = copy;
    authority += 3;
    if (cuts_a_password(authority))
        return error_set(err, ERROR_INVALID,
                         "a user or password in the connection string has a bare '?' or '#': write %%3F or %%23");
    hosts = behind_user(authority);
    cut(hosts, '#', &options);
    cut(hosts, '?', &options);
    path = strchr(hosts, '/');
    if (path) {
        *path++ = '\0';
        dsn_decode(path);
        out->path = path;
    }
    if (hosts != authority) {
        hosts[-1] = '\0';
        out->user = cut(authority, ':', &password);
        dsn_decode(authority);
        if (password)
            dsn_decode(password);
        out->password = password;
    }
    dsn_decode(hosts);
    out->hosts = hosts;
    return dsn_read_options(out, options, '&', true, err);
}

/* A value that begins with the quote; *end: behind its end, NULL: it has none. */
static char *quoted(char *text, char close, char **end)
{
    char *out = text, *in = text;

    for (*end = NULL; *in; in++) {
        if (*in == close && in[1] != close) {
            *out = '\0';
            *end = in + 1;
            return text;
        }
        in += *in == close;
        *out++ = *in;
    }
    return text;
}

bool dsn_read_pairs(const char *text, char quotes, struct dsn *out, struct error *err)
{
    char *at = dsn_copy(out, text), close = quotes == '{' ? '}' : quotes;

    while (*(at += strspn(at, "; \t\r\n"))) {
        char *key = at, *value, *end, *equals = strchr(at, '=');
        bool in_quotes;

        if (!equals || memchr(at, ';', (size_t)(equals - at)))
            return error_set(err, ERROR_INVALID, "the connection string is not key=value;key=value");
        *equals = '\0';
        value = equals + 1 + strspn(equals + 1, " \t");
        in_quotes = *value == quotes;
        if (in_quotes) {
            value = quoted(value + 1, close, &end);
            if (!end)
                return error_set(err, ERROR_INVALID, "a quote in the connection string is not closed");
            at = end + strcspn(end, ";");
        } else {
            at = value + strcspn(value, ";");
            end = at;
        }
        at += *at == ';';
        if (*end)
            *end = '\0';
        if (!add_option(out, string_trim(key, " \t"), in_quotes ? value : string_trim(value, " \t"), err))
            return false;
    }
    return true;
}

const char *dsn_option(const struct dsn *dsn, const char *key)
{
    for (size_t i = dsn->option_count; i > 0; i--)
        if (strcasecmp(dsn->options[i - 1].key, key) == 0)
            return dsn->options[i - 1].value;
    return NULL;
}

bool dsn_word_in(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncasecmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

const struct dsn_option *dsn_option_but(const struct dsn *dsn, const char *words, size_t *at)
{
    while (*at < dsn->option_count) {
        const struct dsn_option *option = &dsn->options[(*at)++];

        if (!dsn_word_in(words, option->key))
            return option;
    }
    return NULL;
}

int dsn_port(const char *digits)
{
    size_t length = strlen(digits);
    long port = length > 0 && length <= 5 && strspn(digits, "0123456789") == length ? strtol(digits, NULL, 10) : 0;

    return port <= 65535 ? (int)port : 0;
}

bool dsn_is_place(const char *place)
{
    bool bracket = *place == '[';
    size_t length = strspn(place + bracket, bracket ? OF_ADDRESSES : OF_NAMES);
    const char *rest = place + bracket + length;

    if (length == 0 || length >= DSN_HOST_BYTES || (bracket && *rest++ != ']'))
        return false;
    return !*rest || (*rest == ':' && dsn_port(rest + 1) > 0);
}

bool dsn_host(const char *hosts, size_t index, int default_port, char *host, size_t size, int *port)
{
    const char *begin = hosts, *end, *colon, *host_end;
    char digits[8] = "";

    for (; begin && index > 0; index--) {
        begin = strchr(begin, ',');
        if (begin)
            begin++;
    }
    if (!begin)
        return false;
    begin += strspn(begin, " ");
    end = begin + strcspn(begin, ",");
    host_end = *begin == '[' ? memchr(begin, ']', (size_t)(end - begin)) : NULL;
    colon = memchr(host_end ? host_end : begin, ':', (size_t)(end - (host_end ? host_end : begin)));
    begin += host_end != NULL;
    host_end = host_end ? host_end : colon ? colon : end;
    if (colon && (size_t)(end - colon - 1) < sizeof(digits))
        memcpy(digits, colon + 1, (size_t)(end - colon - 1));
    *port = colon ? dsn_port(digits) : default_port;
    if (host_end == begin || (size_t)(host_end - begin) >= size)
        return false;
    memcpy(host, begin, (size_t)(host_end - begin));
    host[host_end - begin] = '\0';
    return true;
}

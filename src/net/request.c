/*
 * request: an HTTP request as a transport keeps it. It is checked once, here, so that nothing a manifest says can add a header
 * line or reach another protocol; it is copied into one block, because its caller's memory is gone when a redirect asks for it.
 *
 * Redirects are followed by us and not by the HTTP library: secrets are bound to scheme, host and port (DESIGN.md 3.9), and a
 * library knows neither which headers are secret nor that a body may hold one. The rest is what Go's client does, which KEDA
 * uses: 301, 302 and 303 become GET, 307 and 308 keep method and body.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/implement.h"

/* ---- the parts of a URL ---- */
struct url_parts {
    char scheme[16];
    const char *host; /* as written, with brackets */
    size_t host_length;
    int port;
    bool brackets;
    size_t user_at, user_length, path_at; /* offsets in the URL */
};

static bool url_fails(struct error *err, const char *what)
{
    return error_set(err, ERROR_INVALID, "the URL %s; write it like http://host:port/path", what);
}

static bool read_scheme(const char *url, struct url_parts *out, const char **rest)
{
    static const struct {
        const char *name;
        int port;
    } schemes[] = {{"http", 80}, {"https", 443}, {"http+unix", 0}};
    const char *colon = strstr(url, "://");

    if (!colon)
        return false;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i].name) == (size_t)(colon - url) &&
            strncasecmp(url, schemes[i].name, (size_t)(colon - url)) == 0) {
            snprintf(out->scheme, sizeof out->scheme, "%s", schemes[i].name);
            out->port = schemes[i].port;
            *rest = colon + 3;
            return true;
        }
    return false;
}

static bool read_port(const char *digits, size_t length, int *port)
{
    int value = 0;

    if (length == 0)
        return true; /* "host:/": the scheme's own port, as RFC 3986 has it */
    if (length > 5)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = 10 * value + (digits[i] - '0');
    }
    if (value < 1 || value > 65535)
        return false;
    *port = value;
    return true;
}

static bool host_is_clean(const char *host, size_t length, const char *allowed)
{
    for (size_t i = 0; i < length; i++) {
        char c = host[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(allowed, c)))
            return false;
    }
    return length > 0;
}

/* [user[:password]@]host[:port]. What is not clearly a host is refused: two readers of one odd URL must not disagree on
   where it leads, for secrets are bound to our reading and sent by the library's. */
static bool read_authority(const char *text, size_t length, struct url_parts *out, struct error *err)
{
    const char *at = memchr(text, '@', length);
    const char *end = text + length, *colon;

    if (at) {
        out->user_length = (size_t)(at + 1 - text);
        text = at + 1;
        if (memchr(text, '@', (size_t)(end - text)))
            return url_fails(err, "has more than one @; escape the one in the password as %40");
    }
    out->host = text;
    if (text < end && *text == '[') {
        const char *close = memchr(text, ']', (size_t)(end - text));

        if (!close || (close + 1 < end && close[1] != ':') ||
            !host_is_clean(text + 1, (size_t)(close - text - 1), ":.%"))
            return url_fails(err, "has an IPv6 address that cannot be read");
        out->brackets = true;
        out->host_length = (size_t)(close + 1 - text);
        colon = close + 1 < end ? close + 1 : NULL;
    } else {
        colon = memchr(text, ':', (size_t)(end - text));
        out->host_length = (size_t)((colon ? colon : end) - text);
        if (out->host_length == 0)
            return url_fails(err, "has no host");
        if (!host_is_clean(text, out->host_length, strcmp(out->scheme, "http+unix") == 0 ? "-._~%" : "-._"))
            return url_fails(err, "has a character in its host that no host name has");
    }
    if (colon && !read_port(colon + 1, (size_t)(end - colon - 1), &out->port))
        return url_fails(err, "has a port that is not a number from 1 to 65535");
    return true;
}

static bool read_url(const char *url, struct url_parts *out, struct error *err)
{
    const char *rest;

    *out = (struct url_parts){0};
    if (!url || !*url)
        return url_fails(err, "is empty");
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return url_fails(err, "has a blank or control character; escape it, a blank as %20");
    if (!read_scheme(url, out, &rest))
        return url_fails(err, "does not start with http:// or https://");
    out->user_at = (size_t)(rest - url);
    out->path_at = out->user_at + strcspn(rest, "/?#");
    return read_authority(rest, out->path_at - out->user_at, out, err);
}

/* ---- method and headers ---- */
static bool is_token(const char *text)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
              strchr("!#$%&'*+-.^_`|~", *text)))
            return false;
    return true;
}

static bool is_one_line(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return true;
}

static bool check_header(const struct http_header *header, struct error *err)
{
    if (!is_token(header->name))
        return error_set(err, ERROR_INVALID, "'%.60s' is no name for an HTTP header; use letters, digits and -",
                         header->name ? header->name : "");
    if (header->value && !is_one_line(header->value, strlen(header->value)))
        return error_set(err, ERROR_INVALID,
                         "the value of header %.60s has a line break or control character; remove it", header->name);
    if (header->secret && !is_one_line(secret_reveal(header->secret), secret_length(header->secret)))
        return error_set(err, ERROR_INVALID,
                         "the secret for header %.60s has a line break or control character; often it is the last "
                         "byte of a file, remove it from the Secret",
                         header->name);
    return true;
}

static bool check_request(const struct http_request *request, struct url_parts *parts, struct error *err)
{
    if (!read_url(request->url, parts, err))
        return false;
    if (!is_token(request->method))
        return error_set(err, ERROR_INVALID, "'%.20s' is no HTTP method", request->method ? request->method : "");
    for (size_t i = 0; i < request->header_count; i++)
        if (!check_header(&request->headers[i], err))
            return false;
    return true;
}

/* ---- the copy ---- */
static size_t text_size(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

static size_t block_size(const struct http_request *request, const struct url_parts *parts)
{
    size_t size = sizeof(struct http_call) + request->header_count * sizeof(struct http_header);

    for (size_t i = 0; i < request->header_count; i++)
        size += text_size(request->headers[i].name) + text_size(request->headers[i].value);
    if (request->tls)
        size += sizeof *request->tls + text_size(request->tls->ca_pem) + text_size(request->tls->certificate_pem) +
                text_size(request->tls->server_name);
    size += text_size(request->method) + text_size(request->url) + text_size(request->ns) + text_size(request->proxy) +
            request->body_length;
    /* host, place "host:65535", origin "scheme://host:65535", scheme; each with its 0 byte */
    return size + 3 * parts->host_length + 2 * sizeof ":65535" + 2 * sizeof parts->scheme + sizeof "://" + 8;
}

static char *put_bytes(char **place, const void *bytes, size_t length)
{
    char *copy = *place;

    if (length)
        memcpy(copy, bytes, length);
    *place += length;
    return copy;
}

static char *put_text(char **place, const char *string)
{
    return string ? put_bytes(place, string, strlen(string) + 1) : NULL;
}

static const struct secret *hold(const struct secret *secret)
{
    return secret ? secret_ref((struct secret *)secret) : NULL;
}

static void let_go(const struct secret *secret)
{
    secret_unref((struct secret *)secret);
}

static char *copy_headers(struct http_call *call, const struct http_request *from, char *place)
{
    struct http_header *headers = (struct http_header *)(void *)(call + 1);

    for (size_t i = 0; i < from->header_count; i++) {
        headers[i].name = put_text(&place, from->headers[i].name);
        headers[i].value = put_text(&place, from->headers[i].value);
        headers[i].secret = hold(from->headers[i].secret);
    }
    call->request.headers = headers;
    return place;
}

static char *copy_identity(struct http_call *call, const struct tls_identity *from, struct tls_identity *to,
                           char *place)
{
    if (!from)
        return place;
    *to = *from;
    to->ca_pem = put_text(&place, from->ca_pem);
    to->certificate_pem = put_text(&place, from->certificate_pem);
    to->server_name = put_text(&place, from->server_name);
    to->key_pem = hold(from->key_pem);
    to->key_password = hold(from->key_password);
    call->request.tls = to;
    return place;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (*from == '%' && strspn(from + 1, "0123456789abcdefABCDEF") >= 2) {
            const char digits[] = {from[1], from[2], 0};

            *to = (char)strtoul(digits, NULL, 16);
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
}

/* scheme, host, place and origin. */
static char *copy_destination(struct http_call *call, const struct url_parts *parts, char *place, char *end)
{
    const char *inner = parts->host + (parts->brackets ? 1 : 0);
    size_t length = parts->host_length - (parts->brackets ? 2 : 0);
    bool socket = strcmp(parts->scheme, "http+unix") == 0;
    char *host = put_bytes(&place, inner, length);
    int wrote;

    *place++ = 0;
    if (socket)
        unescape(host);
    else
        for (char *c = host; *c; c++)
            *c = lower(*c);
    call->host = host;
    call->port = parts->port;
    call->scheme = put_text(&place, parts->scheme);
    /* The place is the tail of the origin. */
    call->origin = put_bytes(&place, parts->scheme, strlen(parts->scheme));
    put_bytes(&place, "://", 3);
    call->place = place;
    if (parts->brackets)
        *place++ = '[';
    put_bytes(&place, host, strlen(host));
    if (parts->brackets)
        *place++ = ']';
    wrote = socket ? 0 : snprintf(place, (size_t)(end - place), ":%d", parts->port);
    assert(wrote >= 0 && wrote < end - place);
    place[wrote] = 0;
    return place + wrote + 1;
}

struct http_call *http_call_new(const struct http_request *request, struct error *err)
{
    struct url_parts parts;
    struct http_call *call;
    struct tls_identity *identity;
    size_t size;
    char *place, *end;

    if (!check_request(request, &parts, err))
        return NULL;
    size = block_size(request, &parts);
    call = mem_alloc(size);
    end = (char *)call + size;
    call->request = *request;
    identity = (struct tls_identity *)(void *)((struct http_header *)(void *)(call + 1) + request->header_count);
    place = (char *)(identity + (request->tls ? 1 : 0));
    place = copy_headers(call, request, place);
    place = copy_identity(call, request->tls, identity, place);
    call->request.method = put_text(&place, request->method);
    call->request.url = put_text(&place, request->url);
    call->request.ns = put_text(&place, request->ns);
    call->request.proxy = put_text(&place, request->proxy);
    call->user = call->request.url + parts.user_at;
    call->user_length = parts.user_length;
    call->path = call->request.url + parts.path_at;
    place = copy_destination(call, &parts, place, end);
    call->request.body = request->body ? put_bytes(&place, request->body, request->body_length) : NULL;
    assert(place <= end);
    if (!request->body)
        call->request.body_length = 0;
    if (request->timeout_ms <= 0)
        call->request.timeout_ms = HTTP_TIMEOUT_MS;
    if (request->timeout_ms > HTTP_TIMEOUT_MAX_MS)
        call->request.timeout_ms = HTTP_TIMEOUT_MAX_MS;
    if (request->body_max_bytes == 0)
        call->request.body_max_bytes = HTTP_BODY_MAX_BYTES;
    return call;
}

void http_call_free(struct http_call *call)
{
    if (!call)
        return;
    for (size_t i = 0; i < call->request.header_count; i++)
        let_go(call->request.headers[i].secret);
    if (call->request.tls) {
        let_go(call->request.tls->key_pem);
        let_go(call->request.tls->key_password);
    }
    if (call->request.secret && call->request.body)
        explicit_bzero((void *)(uintptr_t)call->request.body, call->request.body_length);
    free(call);
}

/* ---- redirects ---- */
bool http_status_redirects(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static char *resolve_location(const char *base, const char *location)
{
    CURLU *url = curl_url();
    char *resolved = NULL, *copy = NULL;

    if (curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &resolved, 0) == CURLUE_OK)
        copy = mem_copy(resolved);
    curl_free(resolved);
    curl_url_cleanup(url);
    return copy;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcasecmp(name, *names) == 0)
            return true;
    return false;
}

static size_t keep_headers(const struct http_call *call, bool same_origin, bool keep_body, struct http_header *out)
{
    static const char *const of_the_origin[] = {"authorization",       "cookie", "cookie2", "www-authenticate",
                                                "proxy-authorization", "host",   NULL};
    static const char *const of_the_body[] = {"content-type", "content-length", "content-encoding", "transfer-encoding",
                                              NULL};
    size_t count = 0;

    for (size_t i = 0; i < call->request.header_count; i++) {
        const struct http_header *header = &call->request.headers[i];

        if (!same_origin && (header->secret || is_one_of(header->name, of_the_origin)))
            continue;
        if (!keep_body && is_one_of(header->name, of_the_body))
            continue;
        out[count++] = *header;
    }
    return count;
}

static bool may_follow(const struct http_call *call, const struct http_call *next, bool sends_body, struct error *err)
{
    if (strcmp(next->scheme, "http+unix") == 0)
        return error_set(err, ERROR_INVALID, "%.120s redirects to a local socket, which is not followed", call->place);
    if (sends_body && strcmp(call->origin, next->origin) != 0)
        return error_set(err, ERROR_INVALID,
                         "%.100s redirects to %.120s; what is sent in a body is not sent on to another place, "
                         "so write that address in the first place",
                         call->place, next->origin);
    return true;
}

struct http_call *http_call_redirected(const struct http_call *call, int status, const char *location,
                                       struct error *err)
{
    const struct http_request *old = &call->request;
    bool keep_method =
        status == 307 || status == 308 || strcmp(old->method, "GET") == 0 || strcmp(old->method, "HEAD") == 0;
    struct http_header *headers = mem_array(old->header_count + 1, sizeof *headers);
    char *url = resolve_location(old->url, location);
    struct http_request request = *old;
    struct tls_identity identity;
    struct http_call *next = NULL;
    struct url_parts parts;
    struct error why;
    bool same_origin;

    if (!url || !read_url(url, &parts, &why)) {
        error_set(err, ERROR_NONSENSE, "%.120s redirects to a Location that is no http or https URL", call->place);
        goto out;
    }
    if (call->redirects >= HTTP_REDIRECTS_MAX) {
        error_set(err, ERROR_LIMIT, "%.120s: stopped after %d redirects (HTTP_REDIRECTS_MAX); write the final address",
                  call->place, HTTP_REDIRECTS_MAX);
        goto out;
    }
    request.url = url;
    if (!keep_method) {
        request.method = "GET";
        request.body = NULL;
    }
    /* First without headers, to learn the origin in the one way origins are made. */
    request.headers = NULL;
    request.header_count = 0;
    next = http_call_new(&request, err);
    if (!next || !may_follow(call, next, request.body != NULL, err))
        goto fail;
    same_origin = strcmp(call->origin, next->origin) == 0;
    http_call_free(next);
    request.header_count = keep_headers(call, same_origin, keep_method, headers);
    request.headers = headers;
    request.trusted &= same_origin;
    if (!same_origin && old->tls) {
        identity = *old->tls;
        identity.certificate_pem = identity.server_name = NULL;
        identity.key_pem = identity.key_password = NULL;
        request.tls = &identity;
    }
    next = http_call_new(&request, err);
    if (next)
        next->redirects = call->redirects + 1;
    goto out;
fail:
    http_call_free(next);
    next = NULL;
out:
    free(headers);
    free(url);
    return next;
}

/* ---- replies ---- */
const char *http_reply_header(const struct http_reply *reply, const char *lower_case_name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, lower_case_name) == 0)
            return reply->headers[i].value;
    return NULL;
}

/*
 * grpc: what gRPC lays on top of HTTP/2. A call is a POST whose body is one message in a frame; the answer is status 200, frames, and the
 * call's own status behind them, in the trailers (or in the head where there is nothing else):
 *
 *     frame: | 0, or 1: compressed | length, 4 bytes, greatest first | message |
 *
 * What answers instead may be a gateway or a web server: then the status of HTTP is what counts, as gRPC's own clients read it. Pure: the
 * bytes are carried by poll.c and listen.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "trigger/grpc.h"
#include "trigger/trigger_internal.h"

enum { FRAME_HEAD_BYTES = 5 };

/* ------------------------------------------------------------------ addresses */

static bool has_scheme(const char *address, const char *scheme, const char **rest)
{
    if (!string_starts(address, scheme))
        return false;
    *rest = address + strlen(scheme);
    return true;
}

/* The port of a name alone is 443, also without TLS: so gRPC's resolver has it. */
bool grpc_destination(const char *address, char *out, size_t size)
{
    const char *host = address, *end;
    char url[TRIGGER_NAME_MAX_BYTES];

    if (!has_scheme(address, "dns:///", &host) && !has_scheme(address, "passthrough:///", &host) &&
        !has_scheme(address, "ipv4:", &host) && !has_scheme(address, "ipv6:", &host) &&
        !has_scheme(address, "dns:", &host))
        host = address;
    end = strrchr(host, ']');
    if (strpbrk(host, "/?#@, ") || string_ends(host, ":") || (!end && strchr(host, ':') != strrchr(host, ':')))
        return false;
    if ((size_t)snprintf(url, sizeof(url), "http://%s%s", host, strchr(end ? end : host, ':') ? "" : ":443") >=
        sizeof(url))
        return false;
    return url_destination(url, out, size);
}

bool grpc_check_address(struct trigger_check *check, const char *parameter, const char *address)
{
    char destination[300];

    if (!address || grpc_destination(address, destination, sizeof(destination)))
        return true;
    return check_error(check, parameter, "write it as host:port, without http:// and path",
                       "%s is no address of a gRPC server", parameter);
}

/* ------------------------------------------------------------------ a call */

static void frame(const struct text *message, char *out)
{
    size_t length = message ? message->length : 0;

    out[0] = 0;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (char)(length >> (24 - 8 * i) & 0xff);
    if (length > 0)
        memcpy(out + FRAME_HEAD_BYTES, message->bytes, length);
}

struct request *grpc_request(struct poll *poll, const struct grpc_peer *peer, const char *method, struct text *message)
{
    size_t length = FRAME_HEAD_BYTES + (message ? message->length : 0);
    char destination[300] = "", base[320];
    char *body = arena_alloc(poll->arena, length);
    struct request *request;

    grpc_destination(peer->address, destination, sizeof(destination)); /* if it is none, sending says so */
    snprintf(base, sizeof(base), "%s://%s", peer->tls ? "https" : "http", destination);
    request = request_post(poll, base, method);
    request->grpc = true;
    request->bad |= message && message->overflowed;
    frame(message, body);
    request_body(request, "application/grpc", body, length);
    request_header(request, "te", "trailers");
    if (peer->tls && peer->identity) {
        request->tls = *peer->identity;
        request->has_tls = true;
    }
    if (message)
        text_done(message);
    return request;
}

void grpc_allow(struct request *request, enum grpc_status status)
{
    request->grpc_allowed |= 1u << status;
}

/* ------------------------------------------------------------------ the status of an answer */

static const char *status_name(enum grpc_status status)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};

    return names[status];
}

/* The last one counts: trailers come behind the head. A number that nobody knows is UNKNOWN. */
static bool find_status(const struct http_header *headers, size_t count, enum grpc_status *status)
{
    for (size_t i = count; i-- > 0;) {
        char *end;
        unsigned long number;

        if (strcmp(headers[i].name, "grpc-status") != 0)
            continue;
        number = strtoul(headers[i].value, &end, 10);
        *status =
            *headers[i].value && !*end && number <= GRPC_UNAUTHENTICATED ? (enum grpc_status)number : GRPC_UNKNOWN;
        return true;
    }
    return false;
}

enum grpc_status grpc_status_of(const struct reply *reply)
{
    enum grpc_status status = GRPC_UNKNOWN;

    find_status(reply->headers, reply->header_count, &status);
    return status;
}

/* What a gateway means (gRPC's own list of HTTP statuses). */
static bool refused_by_http(const struct http_reply *from, const char *place, struct error *err)
{
    enum error_kind kind = ERROR_NONSENSE;
    const char *remedy = "check that the address is that of a gRPC server";

    if (from->status == 401 || from->status == 403) {
        kind = ERROR_DENIED;
        remedy = "it refuses us: check the credentials";
    } else if (from->status == 429 || (from->status >= 502 && from->status <= 504)) {
        kind = ERROR_UNREACHABLE;
        remedy = "what stands in front of the server cannot reach it";
    }
    return error_set(err, kind, "%.200s answered HTTP %d; %s", place, from->status, remedy);
}

bool grpc_read_status(const struct http_reply *from, const char *place, enum grpc_status *status, struct error *err)
{
    const char *type = http_reply_header(from, "content-type");

    if (from->status == 200 && type && string_starts(type, "application/grpc")) {
        if (find_status(from->headers, from->header_count, status))
            return true;
        return error_set(err, ERROR_UNREACHABLE, "%.200s ended its answer without saying whether it is complete",
                         place);
    }
    if (from->status != 200 && find_status(from->headers, from->header_count, status) && *status != GRPC_OK)
        return true;
    if (from->status != 200)
        return refused_by_http(from, place, err);
    return error_set(err, ERROR_NONSENSE,
                     "%.200s does not answer in gRPC but with %.60s; check that the address is that of a gRPC server",
                     place, type ? type : "no content type");
}

/* grpc-message is percent-encoded. */
static void read_words(const struct http_reply *from, char *out, size_t size)
{
    const char *value = http_reply_header(from, "grpc-message");
    char plain[300];
    size_t length = 0;

    for (; value && *value && length < sizeof(plain); value++) {
        if (*value == '%' && hex_digit(value[1]) >= 0 && hex_digit(value[2]) >= 0) {
            plain[length++] = (char)(hex_digit(value[1]) << 4 | hex_digit(value[2]));
            value += 2;
        } else {
            plain[length++] = *value;
        }
    }
    snippet_write(plain, length, out, size);
}

bool grpc_refusal(const struct http_reply *from, const char *place, enum grpc_status status, struct error *err)
{
    enum error_kind kind = ERROR_NONSENSE;
    const char *remedy = "";
    char words[200];

    read_words(from, words, sizeof(words));
    switch (status) {
    case GRPC_UNAUTHENTICATED:
    case GRPC_PERMISSION_DENIED:
        kind = ERROR_DENIED;
        remedy = ", it refuses us: check the credentials";
        break;
    case GRPC_UNAVAILABLE:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_RESOURCE_EXHAUSTED:
    case GRPC_ABORTED:
    case GRPC_CANCELLED:
        kind = ERROR_UNREACHABLE;
        break;
    case GRPC_UNIMPLEMENTED:
        remedy = ", it does not have this service: check the address";
        break;
    default:
        break;
    }
    return error_set(err, kind, "%.120s answered %s%s%s%s", place, status_name(status), remedy, *words ? ": " : "",
                     words);
}

/* ------------------------------------------------------------------ messages */

static bool read_frame_head(const char *bytes, const char *place, size_t *length, struct error *err)
{
    const unsigned char *head = (const unsigned char *)bytes;

    if (head[0] == 1)
        return error_set(err, ERROR_NONSENSE, "%.200s sends compressed messages though nobody asked for them", place);
    if (head[0] != 0)
        return error_set(err, ERROR_NONSENSE, "%.200s sends something that is no message of gRPC", place);
    *length = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    return true;
}

bool grpc_read_message(const char *body, size_t length, const char *place, const char **message, size_t *message_length,
                       struct error *err)
{
    if (length < FRAME_HEAD_BYTES)
        return error_set(err, ERROR_NONSENSE, "%.200s says that all is well, but sends no message", place);
    if (!read_frame_head(body, place, message_length, err))
        return false;
    if (*message_length != length - FRAME_HEAD_BYTES)
        return error_set(err, ERROR_NONSENSE,
                         "%.200s sends a message of %zu bytes in a body of %zu: it is cut off, or "
                         "there are several",
                         place, *message_length, length - FRAME_HEAD_BYTES);
    *message = body + FRAME_HEAD_BYTES;
    return true;
}

bool grpc_take(struct text *held, const char *bytes, size_t length, const char *place, grpc_on_message *on_message,
               void *arg, struct error *err)
{
    size_t at = 0, size = 0;

    if (!text_append(held, bytes, length))
        return error_set(err, ERROR_LIMIT, "%.200s sends messages of more than %zu bytes", place, held->limit);
    while (held->length - at >= FRAME_HEAD_BYTES) {
        if (!read_frame_head(held->bytes + at, place, &size, err))
            return false;
        if (size > held->limit - FRAME_HEAD_BYTES)
            return error_set(err, ERROR_LIMIT, "%.200s sends messages of more than %zu bytes", place, held->limit);
        if (held->length - at - FRAME_HEAD_BYTES < size)
            break;
        if (!on_message(arg, held->bytes + at + FRAME_HEAD_BYTES, size))
            return error_set(err, ERROR_NONSENSE, "%.200s sends a message that cannot be understood", place);
        at += FRAME_HEAD_BYTES + size;
    }
    held->length -= at;
    memmove(held->bytes, held->bytes + at, held->length + 1);
    return true;
}

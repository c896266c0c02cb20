/*
 * failure: what goes wrong between us and a destination, in sentences that name host, cause and remedy. One place, so that a
 * virtual run shows people the very words a real one would. A phase tells where the time went: that is what one needs to know
 * to mend a time-out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "net/egress.h"
#include "net/implement.h"

static const char *const phase_words[] = {
    [PHASE_QUEUED] = "all places for requests were taken; ask fewer sources, or less often",
    [PHASE_RESOLVING] = "its name was still being looked up; check the name and the DNS server",
    [PHASE_CONNECTING] = "the connection was not accepted; check the address, the network policy and the firewall",
    [PHASE_TLS] = "the TLS handshake did not finish; check that the port speaks TLS",
    [PHASE_WAITING] = "connected, but no answer came; check the server, or allow more time",
    [PHASE_READING] = "the answer began but did not end; ask for less, or allow more time",
};

static void write_span(int64_t span_ms, char *out, size_t size)
{
    if (span_ms % 1000 == 0)
        snprintf(out, size, "%lld s", (long long)(span_ms / 1000));
    else
        snprintf(out, size, "%lld ms", (long long)span_ms);
}

void failure_timeout(struct error *err, const char *place, enum failure_phase phase, int64_t timeout_ms)
{
    char span[32];

    write_span(timeout_ms, span, sizeof span);
    error_set(err, ERROR_UNREACHABLE, "%.200s: timed out after %s: %s", place, span, phase_words[phase]);
}

void failure_refused(struct error *err, const char *place)
{
    error_set(err, ERROR_UNREACHABLE, "%.200s: connection refused; check that the server runs and listens there",
              place);
}

void failure_connect(struct error *err, const char *place, int number)
{
    if (number == ECONNREFUSED)
        failure_refused(err, place);
    else if (number == EMFILE || number == ENFILE)
        error_set(err, ERROR_LIMIT,
                  "%.200s: cannot connect: %s on our side; raise the limit (ulimit -n), or ask fewer sources", place,
                  strerror(number));
    else
        error_set(err, ERROR_UNREACHABLE, "%.200s: cannot connect: %s; check the address and the network", place,
                  strerror(number));
}

void failure_egress(struct error *err, const char *place, const char *why)
{
    error_set(err, ERROR_INVALID,
              "%.150s: its address is %.150s, and the egress rules let nothing go there; --allow-egress opens it",
              place, why);
}

void failure_body_limit(struct error *err, const char *place, const struct http_request *request)
{
    const char *bound = request->body_bound;

    if (!bound)
        bound = request->body_max_bytes == HTTP_BODY_MAX_BYTES ? "HTTP_BODY_MAX_BYTES" : "the bound of this question";
    error_set(err, ERROR_LIMIT, "%.200s: the answer is larger than %zu bytes (%s); ask for less", place,
              request->body_max_bytes, bound);
}

void failure_header_limit(struct error *err, const char *place)
{
    error_set(err, ERROR_LIMIT,
              "%.200s: the header lines of the answer are larger than %d bytes (HTTP_HEADERS_MAX_BYTES)", place,
              HTTP_HEADERS_MAX_BYTES);
}

void failure_idle(struct error *err, const char *place, int64_t timeout_ms)
{
    char span[32];

    write_span(timeout_ms, span, sizeof span);
    error_set(err, ERROR_UNREACHABLE,
              "%.200s: no byte in either direction for %s; check the server, or allow more time", place, span);
}

void failure_write_limit(struct error *err, const char *place)
{
    error_set(err, ERROR_LIMIT,
              "%.200s: more than %d bytes wait to be sent (STREAM_WRITE_MAX_BYTES); the server does not read", place,
              STREAM_WRITE_MAX_BYTES);
}

void failure_broken(struct error *err, const char *place)
{
    error_set(err, ERROR_UNREACHABLE,
              "%.200s: the connection broke before the answer was complete; look at the server's log", place);
}

void failure_not_taken(struct error *err, const char *place)
{
    error_set(err, ERROR_INVALID,
              "%.200s: what it answered is of no use to who asked; check that it is the right server", place);
}

void stream_place(const struct stream_request *request, char *out, size_t size)
{
    if (request->host[0] == '/')
        snprintf(out, size, "%s", request->host);
    else if (strchr(request->host, ':'))
        snprintf(out, size, "[%s]:%d", request->host, request->port);
    else
        snprintf(out, size, "%s:%d", request->host, request->port);
}

/*
 * http_error: why an exchange failed, from the library's code to a sentence with place, cause and remedy. The library's own
 * words are used only where they say more than its code (TLS); they come from the server's certificate, never from a secret.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "net/http_internal.h"

static curl_off_t spent_us(const struct http_slot *slot, CURLINFO what)
{
    curl_off_t us = 0;

    curl_easy_getinfo(slot->easy, what, &us);
    return us;
}

enum failure_phase http_phase(const struct http_slot *slot)
{
    if (spent_us(slot, CURLINFO_STARTTRANSFER_TIME_T) > 0 && slot->head.length > 0)
        return PHASE_READING;
    if (spent_us(slot, CURLINFO_PRETRANSFER_TIME_T) > 0)
        return PHASE_WAITING;
    if (slot->tls_began)
        return PHASE_TLS;
    return spent_us(slot, CURLINFO_NAMELOOKUP_TIME_T) > 0 ? PHASE_CONNECTING : PHASE_RESOLVING;
}

static void explain_connect(const struct http_slot *slot, struct error *err)
{
    const char *place = slot->exchange->call->place;
    long number = 0;

    curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &number);
    if (slot->no_socket)
        failure_connect(err, place, slot->no_socket);
    else
        failure_connect(err, place, number ? (int)number : ECONNREFUSED);
}

/* A bound of ours or a no of who asked, whatever the library made of our refusal to take more. */
static bool explain_refusal(const struct http_slot *slot, struct error *err)
{
    const struct http_call *call = slot->exchange->call;

    if (slot->body_overflows)
        failure_body_limit(err, call->place, &call->request);
    else if (slot->head_overflows)
        failure_header_limit(err, call->place);
    else if (slot->not_taken)
        failure_not_taken(err, call->place);
    return slot->body_overflows || slot->head_overflows || slot->not_taken;
}

/* Since TLS 1.3 a server refuses a client certificate only after the handshake, so a broken read may be about TLS too. */
static bool explain_tls(const struct http_slot *slot, CURLcode result, struct error *err)
{
    const char *place = slot->exchange->call->place, *remedy = "check the certificates of both sides";
    bool alert = strstr(slot->why, "alert") || strstr(slot->why, "SSL");

    switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION:
        remedy = "give the CA that signed its certificate, or correct the host name";
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        break;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        if (!alert)
            return false;
        break;
    default:
        return false;
    }
    error_set(err, ERROR_UNREACHABLE, "%.120s: TLS: %.120s; %s", place,
              slot->why[0] ? slot->why : curl_easy_strerror(result), remedy);
    return true;
}

static bool is_broken(CURLcode result)
{
    return result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR || result == CURLE_GOT_NOTHING ||
           result == CURLE_PARTIAL_FILE || result == CURLE_HTTP2 || result == CURLE_HTTP2_STREAM;
}

/* The connection was new and good, and the first thing that was asked broke it. */
static bool explain_first_words(const struct http_slot *slot, CURLcode result, struct error *err)
{
    const struct http_call *call = slot->exchange->call;
    bool tls = strcmp(call->scheme, "https") == 0;

    if (slot->status != 0 || !is_broken(result))
        return false;
    if (tls && slot->tls_began)
        error_set(err, ERROR_UNREACHABLE,
                  "%.200s: closed the connection after the TLS handshake, without an answer; it may %s", call->place,
                  call->request.tls && call->request.tls->certificate_pem
                      ? "not accept our client certificate: check cert and key, and who signed them"
                      : "want a client certificate");
    else if (!tls && call->request.http2)
        error_set(err, ERROR_UNREACHABLE,
                  "%.200s: closed the connection without an answer; it may want TLS, or speak no HTTP/2 (gRPC) there",
                  call->place);
    else
        return false;
    return true;
}

static const char *proxy_setting(const struct http_call *call)
{
    return call->request.proxy ? "proxy-url of the kubeconfig" : "HTTP_PROXY and HTTPS_PROXY";
}

void http_explain(const struct http_slot *slot, CURLcode result, struct error *err)
{
    const struct http_call *call = slot->exchange->call;

    if (slot->egress_refusal && (result == CURLE_COULDNT_CONNECT || result == CURLE_ABORTED_BY_CALLBACK)) {
        failure_egress(err, call->place, slot->egress_refusal);
        return;
    }
    if (explain_refusal(slot, err) || explain_tls(slot, result, err) || explain_first_words(slot, result, err))
        return;
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        failure_timeout(err, call->place, http_phase(slot), call->request.timeout_ms);
        break;
    case CURLE_COULDNT_CONNECT:
        explain_connect(slot, err);
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        error_set(err, ERROR_UNREACHABLE, "%.200s: the name cannot be resolved; check the name and the DNS server",
                  call->place);
        break;
    case CURLE_COULDNT_RESOLVE_PROXY:
        error_set(err, ERROR_UNREACHABLE, "%.200s: the name of the proxy cannot be resolved; check %s", call->place,
                  proxy_setting(call));
        break;
    case CURLE_PROXY:
        error_set(err, ERROR_UNREACHABLE, "%.200s: the proxy does not let us through; check %s", call->place,
                  proxy_setting(call));
        break;
    case CURLE_GOT_NOTHING:
        error_set(err, ERROR_UNREACHABLE, "%.200s: closed the connection without an answer; look at the server's log",
                  call->place);
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        failure_broken(err, call->place);
        break;
    case CURLE_URL_MALFORMAT:
        error_set(err, ERROR_INVALID, "%.200s: the URL cannot be read; write it like http://host:port/path",
                  call->place);
        break;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR:
        error_set(err, ERROR_NONSENSE, "%.200s: the answer is compressed in a way that cannot be read", call->place);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        error_set(err, ERROR_NONSENSE, "%.200s: does not answer in HTTP; check the port", call->place);
        break;
    default:
        error_set(err, ERROR_UNREACHABLE, "%.200s: %s", call->place, curl_easy_strerror(result));
        break;
    }
}

/*
 * grpc: calls of a gRPC service, as a driver makes them in the steps of a poll: one message there, one message back.
 *
 *     struct text message;
 *
 *     text_init(&message, GRPC_REQUEST_MAX_BYTES);
 *     wire_text(&message, 1, c->queue);                                     -- base/wire.h
 *     r = grpc_request(poll, &(struct grpc_peer){.address = c->address, .tls = c->tls}, "/pkg.Service/Method", &message);
 *     request_header_secret(r, "authorization", "Bearer ", c->key);         -- metadata of the call, if any
 *     return poll_send(poll, r, on_answer);                                 -- reply->body: the message of the answer
 *
 * poll_send(), poll_send_all(), request_header*() and request_timeout() (driver.h) are those of HTTP, which carries it; so are the
 * connections: one for a destination and TLS identity, with many calls under way on it. A step sees only answers with status OK, unless it
 * asked for others with grpc_allow(); what else is answered ends the poll as failed in the server's own words, as DENIED for
 * UNAUTHENTICATED and PERMISSION_DENIED, as UNREACHABLE for UNAVAILABLE (which is tried once more), DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED and ABORTED. Compressed messages are not asked for and not taken.
 */
#ifndef WEIR_TRIGGER_GRPC_H
#define WEIR_TRIGGER_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct http_reply;
struct poll;
struct reply;
struct request;
struct text;
struct tls_identity;
struct trigger_check;

enum { GRPC_REQUEST_MAX_BYTES = 256 * 1024 }; /* of a message of ours: names and parameters of one trigger */

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

struct grpc_peer {
    const char
        *address; /* "host:port", "[::1]:port" or "host" (port 443, as gRPC has it), also as "dns:///host:port" */
    bool tls;
    const struct tls_identity *identity; /* NULL: nothing special; its texts live as long as the trigger */
};

/* "host:port" of such an address; false: it is none. */
bool grpc_destination(const char *address, char *out, size_t size);
/* The same for prepare(): an error of the parameter where it is none. */
bool grpc_check_address(struct trigger_check *check, const char *parameter, const char *address);

/* method: "/package.Service/Method". message: copied, and then done with text_done(); NULL: the empty message. */
struct request *grpc_request(struct poll *poll, const struct grpc_peer *peer, const char *method, struct text *message);
/* Answers with this status are for the step, too: see grpc_status_of(); they have no message. */
void grpc_allow(struct request *request, enum grpc_status status);
enum grpc_status grpc_status_of(const struct reply *reply);

/* ---- for the engine: answers, and streams of messages (poll.c, listen.c) ---- */

/* The status of an answer. false: *err says why it has none: it is not one of gRPC, or a gateway's refusal. */
bool grpc_read_status(const struct http_reply *from, const char *place, enum grpc_status *status, struct error *err);
/* What a status other than OK means for us, with the server's words. Returns false. */
bool grpc_refusal(const struct http_reply *from, const char *place, enum grpc_status status, struct error *err);
/* The one message of a body. */
bool grpc_read_message(const char *body, size_t length, const char *place, const char **message, size_t *message_length,
                       struct error *err);
/* Takes bytes of a stream as they come, in any pieces, and hands over each message that is complete; held keeps the rest, and its limit
   bounds a message. false, and *err: that is no gRPC, or on_message had enough. */
typedef bool grpc_on_message(void *arg, const char *message, size_t length);
bool grpc_take(struct text *held, const char *bytes, size_t length, const char *place, grpc_on_message *on_message,
               void *arg, struct error *err);

#endif

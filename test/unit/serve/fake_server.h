/*
 * fake_server: the functions of net/server.h, as a test wants them: it sends a request by calling the handler of the route, and sees
 * the answer at once or when it is completed. For one test program; net's own are then not linked.
 */
#ifndef WEIR_TEST_SERVE_FAKE_SERVER_H
#define WEIR_TEST_SERVE_FAKE_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/server.h"

enum { FAKE_HEADERS_MAX = 8, FAKE_ROUTES_MAX = 64, FAKE_ANSWER_HEADERS_MAX = 16 };

struct fake_request {
    const char *path;          /* with its query, values not escaped */
    const char *method, *body; /* NULL: GET; none */
    enum server_listener by;   /* which listener; the first is the Unix socket */
    struct {
        const char *name, *value;
    } headers[FAKE_HEADERS_MAX];
    int verified_by; /* 0: of a peer without a certificate; else 1 + the place of its CA */
    const char *common_name, *organizations[4];
};
struct server_pending { /* what became of a request */
    bool answered, deferred;
    int status;
    char type[128], body[8192];
    struct {
        char name[64], value[512];
    } headers[FAKE_ANSWER_HEADERS_MAX];
    size_t header_count;
    struct server *server;
    const struct fake_request *request; /* of one that waits for the gate: sent again when it is let in */
};
struct server {
    struct {
        const char *method, *pattern;
        server_handler *handler;
        void *arg;
    } routes[FAKE_ROUTES_MAX];
    size_t route_count;
    server_gate *gate;
    void *gate_arg;
    int tls_sets, listens;
    bool refuses_to_listen;
    char certificate[8192], client_cas[SERVER_CLIENT_CAS][64];
};
struct fake_incoming {
    const struct fake_request *request;
    struct server_pending *reply;
    char query[1024], values[8][512];
    size_t value_count;
    const void *asker;
};

const char *server_query(const struct server_request *request, const char *name)
{
    struct fake_incoming *in = request->internal;
    size_t length = strlen(name);

    for (const char *at = in->query; *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, length) != 0 || at[length] != '=')
            continue;
        char *value = in->values[in->value_count++];
        snprintf(value, sizeof(in->values[0]), "%.*s", (int)strcspn(at + length + 1, "&"), at + length + 1);
        return value;
    }
    return NULL;
}

const char *server_header(const struct server_request *request, const char *name)
{
    const struct fake_incoming *in = request->internal;

    for (size_t i = 0; i < FAKE_HEADERS_MAX && in->request->headers[i].name; i++)
        if (strcasecmp(in->request->headers[i].name, name) == 0)
            return in->request->headers[i].value;
    return NULL;
}

void server_headers(const struct server_request *request, void (*visit)(void *arg, const char *name, const char *value),
                    void *arg)
{
    const struct fake_incoming *in = request->internal;

    for (size_t i = 0; i < FAKE_HEADERS_MAX && in->request->headers[i].name; i++)
        visit(arg, in->request->headers[i].name, in->request->headers[i].value);
}

void server_peer(const struct server_request *request, struct server_peer *out)
{
    const struct fake_request *r = ((struct fake_incoming *)request->internal)->request;

    *out = (struct server_peer){.encrypted = true, .verified_by = r->verified_by - 1, .common_name = r->common_name};
    out->organizations = r->organizations;
    while (out->organization_count < 4 && r->organizations[out->organization_count])
        out->organization_count++;
}

/* Values are taken as they are. */
const char *server_form(const struct server_request *request, const char *name)
{
    struct fake_incoming *in = request->internal;

    snprintf(in->query, sizeof(in->query), "%s", request->body);
    return server_query(request, name);
}

enum server_listener server_listener_of(const struct server_request *request)
{
    return ((struct fake_incoming *)request->internal)->request->by;
}

const char *server_remote(const struct server_request *request)
{
    return server_listener_of(request) == LISTENER_UNIX ? "" : "127.0.0.1:5123";
}

void server_pending_header(struct server_pending *reply, const char *name, const char *value)
{
    assert_true(reply->header_count < FAKE_ANSWER_HEADERS_MAX);
    snprintf(reply->headers[reply->header_count].name, sizeof(reply->headers[0].name), "%s", name);
    snprintf(reply->headers[reply->header_count++].value, sizeof(reply->headers[0].value), "%s", value);
}

void server_answer_header(const struct server_request *request, const char *name, const char *value)
{
    server_pending_header(((struct fake_incoming *)request->internal)->reply, name, value);
}

/* NULL: it is not there. */
static inline const char *fake_answer_header(const struct server_pending *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return NULL;
}

void server_set_header(struct server *server, const char *name, const char *value)
{
    (void)server, (void)name, (void)value;
}

void server_set_gate(struct server *server, server_gate *gate, void *arg)
{
    server->gate = gate;
    server->gate_arg = arg;
}

void server_set_asker(const struct server_request *request, const void *asker)
{
    ((struct fake_incoming *)request->internal)->asker = asker;
}

const void *server_asker(const struct server_request *request)
{
    return ((struct fake_incoming *)request->internal)->asker;
}

static inline void fake_note(struct server_pending *reply, const struct server_answer *answer)
{
    assert_false(reply->answered);
    reply->answered = true;
    reply->status = answer->status ? answer->status : 200;
    snprintf(reply->type, sizeof(reply->type), "%s", answer->content_type ? answer->content_type : "application/json");
    snprintf(reply->body, sizeof(reply->body), "%s", answer->body->bytes);
}

struct server_pending *server_defer(const struct server_request *request)
{
    struct fake_incoming *in = request->internal;

    in->reply->deferred = true;
    return in->reply;
}

void server_complete(struct server_pending *pending, const struct server_answer *answer)
{
    assert_true(pending->deferred);
    fake_note(pending, answer);
}

void server_route(struct server *server, const char *method, const char *pattern, server_handler *handler, void *arg)
{
    assert_true(server->route_count < FAKE_ROUTES_MAX);
    server->routes[server->route_count].method = method;
    server->routes[server->route_count].pattern = pattern;
    server->routes[server->route_count].handler = handler;
    server->routes[server->route_count++].arg = arg;
}

bool server_set_tls(struct server *server, const struct server_tls *tls, struct error *err)
{
    (void)err;
    server->tls_sets++;
    snprintf(server->certificate, sizeof(server->certificate), "%s", tls->certificate_pem);
    for (int i = 0; i < SERVER_CLIENT_CAS; i++)
        snprintf(server->client_cas[i], sizeof(server->client_cas[i]), "%s",
                 tls->client_cas[i] ? tls->client_cas[i] : "");
    return true;
}

bool server_listen_tls(struct server *server, const char *address, struct error *err)
{
    if (server->refuses_to_listen)
        return error_set(err, ERROR_INVALID, "cannot listen at %s", address);
    server->listens++;
    return true;
}

const char *server_address_at(const struct server *server, size_t n)
{
    return n < (size_t)server->listens ? "127.0.0.1:6443" : NULL;
}

/* Does the pattern fit? Segments are taken in the arena. */
static inline bool fake_fits(const char *pattern, const char *path, struct arena *arena, struct server_request *out)
{
    out->segment_count = 0;
    for (;;) {
        size_t length = strcspn(path, "/");

        if (pattern[0] == '@') {
            out->segments[out->segment_count++] = arena_copy_bytes(arena, path, length);
            pattern++, path += length;
        } else if (*pattern != *path) {
            return false;
        } else if (!*path) {
            return true;
        } else {
            pattern++, path++;
        }
    }
}

static inline void fake_run(struct server *server, const struct fake_request *request, struct server_pending *reply,
                            bool admitted, const void *asker)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct fake_incoming in = {.request = request, .reply = reply, .asker = asker};
    struct server_request r = {.method = request->method ? request->method : "GET", .internal = &in};
    struct server_answer answer = {.status = 200};
    struct text body;
    size_t length = strcspn(request->path, "?");

    text_init(&body, 1024 * 1024);
    answer.body = &body;
    r.path = arena_copy_bytes(arena, request->path, length);
    snprintf(in.query, sizeof(in.query), "%s", request->path[length] ? request->path + length + 1 : "");
    for (size_t i = 0; i < server->route_count; i++) {
        if (strcmp(server->routes[i].method, r.method) != 0 || !fake_fits(server->routes[i].pattern, r.path, arena, &r))
            continue;
        if (admitted || !server->gate || server->gate(server->gate_arg, &r, &answer)) {
            r.body = request->body ? request->body : "";
            r.body_length = strlen(r.body);
            server->routes[i].handler(server->routes[i].arg, &r, &answer);
        }
        if (!reply->deferred)
            fake_note(reply, &answer);
        break;
    }
    text_done(&body);
    arena_free(arena);
    if (!reply->deferred && !reply->answered)
        fail_msg("no route for %s", request->path);
}

/* The request has to live until then. */
void server_admit(struct server_pending *pending, const void *asker)
{
    assert_true(pending->deferred);
    pending->deferred = false;
    fake_run(pending->server, pending->request, pending, true, asker);
}

/* *reply must live until it is answered. */
static inline void fake_send(struct server *server, const struct fake_request *request, struct server_pending *reply)
{
    *reply = (struct server_pending){.server = server, .request = request};
    fake_run(server, request, reply, false, NULL);
}

#endif

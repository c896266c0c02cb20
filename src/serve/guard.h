/*
 * guard: who may ask the API what. Stands before every route of a server, but for /healthz and /readyz, which everybody may ask.
 *
 *     serve_guard_new(&(struct serve_guard_options){.loop = loop, .token_file = "tokens", .allow_actions = true}, &guard, &err);
 *     serve_guard_server(guard, server);            -- its gate, its headers, /login and /logout
 *     server_listen_tcp(server, "127.0.0.1:8642", &err);
 *     serve_guard_listens(guard, "127.0.0.1:8642", server_address(server), &err);
 *     ...
 *     serve_access_free(access), server_free(server), serve_guard_free(guard)     -- in this order
 *
 * By the Unix socket comes the owner of the data dir, who may. At a loopback address everybody on this machine may, unless something
 * below was asked for; at any other address somebody must be known: by a client's certificate, by a token of the file, or by a token of
 * a Kubernetes account that may do this with this path. A browser, which cannot send a token with a page, exchanges it for a cookie.
 * Whoever it is, only reading is allowed unless allow_actions says otherwise, and no page of another origin may ask for anything.
 */
#ifndef WEIR_SERVE_GUARD_H
#define WEIR_SERVE_GUARD_H

#include <stdbool.h>

struct error;
struct json;
struct loop;
struct autoscaler;
struct serve_access;
struct server;
struct server_request;

struct serve_guard_options { /* texts are copied */
    struct loop *loop;
    const char *token_file; /* lines of "token name"; NULL: none */
    bool certificates;      /* who shows one that server_tls.client_cas[1] vouches for is known by its common name */
    struct serve_access
        *access; /* asked at other addresses than loopback ones; outlives the guard's requests. NULL: no cluster */
    bool allow_actions;
};
struct serve_guard;
/* false: the tokens cannot be read, or are none. */
bool serve_guard_new(const struct serve_guard_options *options, struct serve_guard **out, struct error *err);
void serve_guard_free(struct serve_guard *guard); /* NULL is fine */
void serve_guard_server(struct serve_guard *guard, struct server *server);
/* Where it listens on TCP, as it was asked for and as it was bound. false: others than this machine could ask, and nobody is asked who
   they are. Until it is called nobody but the owner is let in. */
bool serve_guard_listens(struct serve_guard *guard, const char *asked, const char *bound, struct error *err);

/* Who asks, in a handler. Of a server without a guard: user "", who may not act. */
struct serve_asker {
    const char *user; /* "" where nobody is asked who they are; "owner" by the Unix socket */
    bool can_act;
};
struct serve_asker serve_asker_of(const struct server_request *request);

/* session.c: members of a Session (docs/openapi.yaml), into an object that is open. */
void session_write_members(struct json *json, const struct autoscaler *autoscaler,
                           const struct server_request *request);

#endif

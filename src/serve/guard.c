/*
 * guard: the gate (guard.h). A request passes, in this order:
 *
 *   /healthz, /readyz ------------------------------------------------------> let in
 *   a page of another origin (guard_origin.c) -----------------------------> 403
 *   not only reading: without --allow-actions (403), not as JSON (415)
 *   the Unix socket --------------------------------------------------------> the owner
 *   /login, /logout --------------------------------------------------------> let in: they find out themselves
 *   an open loopback address: Host is ours? ------------------------------> let in as nobody, or 403
 *   a client's certificate, a token of the file, a session of one ----------> known
 *   a Kubernetes token, or a session of one -> TokenReview, SubjectAccessReview of verb and path (access.c)
 *   else ---------------------------------------------------------------------> 401, for a browser with a page to log in
 *
 * The reviews take time; the request waits meanwhile (server_defer), and is let in or refused when they are back.
 */
#include "serve/guard.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "serve/guard_internal.h"
#include "serve/serve.h"
#include "serve/serve_internal.h"

enum { VERB_BYTES = 16, CLIENT_CA = 1 /* place in server_tls.client_cas (secure.c) */ };

/* ------------------------------------------------------------------ what may be done by anybody */

static bool path_is(const struct server_request *request, const char *path)
{
    return strcmp(request->path, path) == 0;
}

static bool only_reads(const struct server_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

static bool is_about_login(const struct server_request *request)
{
    return path_is(request, "/login") || path_is(request, "/logout");
}

static bool changes_nothing(const struct server_request *request)
{
    return only_reads(request) || is_about_login(request) ||
           (string_starts(request->path, "/api/v1/objects/") && string_ends(request->path, "/what-if"));
}

/* "application/json; charset=utf-8" is "application/json". */
static bool is_of_type(const struct server_request *request, const char *type)
{
    const char *said = server_header(request, "Content-Type");
    size_t length = strlen(type);

    return said && strncasecmp(said, type, length) == 0 && (said[length] == '\0' || strchr("; \t", said[length]));
}

/* A form of any page may be sent as other types without asking us first; as JSON it may not. */
static bool may_be_sent(const struct server_request *request)
{
    return only_reads(request) || is_of_type(request, "application/json") ||
           (is_about_login(request) && is_of_type(request, "application/x-www-form-urlencoded"));
}

static bool is_allowed_at_all(const struct serve_guard *guard, const struct server_request *request,
                              struct server_answer *refusal)
{
    if (origin_is_foreign(request))
        answer_refuse(refusal, 403, "a page of another origin asks; only pages of this server may");
    else if (!guard->allow_actions && !changes_nothing(request))
        answer_refuse(refusal, 403, "only reading is allowed here; start weir run with --allow-actions");
    else if (!may_be_sent(request))
        answer_refuse(refusal, 415, "send it with Content-Type: application/json, also where there is no body");
    else
        return true;
    return false;
}

/* ------------------------------------------------------------------ who it is */

static bool let_in(struct serve_guard *guard, const struct server_request *request, const char *user)
{
    text_clear(&guard->user);
    text_add(&guard->user, user);
    guard->asker =
        (struct serve_asker){.user = guard->user.bytes ? guard->user.bytes : "", .can_act = guard->allow_actions};
    if (request)
        server_set_asker(request, &guard->asker);
    return true;
}

/* A proxy that takes Authorization for itself, as the API server's does, passes the other one on. NULL: neither. */
static const char *token_of(const struct server_request *request)
{
    const char *value = server_header(request, "Authorization");

    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return server_header(request, "X-Weir-Token");
    value += 7;
    return value + strspn(value, " ");
}

static const char *name_by_certificate(const struct serve_guard *guard, const struct server_request *request)
{
    struct server_peer peer;

    if (!guard->certificates)
        return NULL;
    server_peer(request, &peer);
    return peer.verified_by == CLIENT_CA ? peer.common_name : NULL;
}

/* By what is known here. NULL: nobody; *token is then what is left to ask the API server about, or NULL. */
static const char *name_here(struct serve_guard *guard, const struct server_request *request, const char **token)
{
    const char *name = name_by_certificate(guard, request), *sent = token_of(request);
    const struct guard_session *session;
    unsigned char digest[GUARD_DIGEST_BYTES];

    *token = NULL;
    if (name)
        return name;
    if (sent) {
        name = guard_tokens_find(guard->tokens, sent, digest);
        *token = sent;
        return name;
    }
    session = guard_sessions_find(guard->sessions, request);
    if (session && !session->token)
        return guard_tokens_name(guard->tokens, session->digest);
    if (session)
        *token = secret_reveal(session->token);
    return NULL;
}

/* ------------------------------------------------------------------ reviews */

struct waiting { /* a request that the API server is asked about */
    struct serve_guard *guard;
    struct server_pending *pending;
    char verb[VERB_BYTES];
    char *path; /* GUARD_PATHS and that of the request */
    bool page;
};

static void make_verb(const char *method, char verb[VERB_BYTES])
{
    size_t i = 0;

    if (strcmp(method, "HEAD") == 0) /* who may get it may ask for its head */
        method = "GET";
    for (; method[i] && i + 1 < VERB_BYTES; i++)
        verb[i] = (char)tolower((unsigned char)method[i]);
    verb[i] = '\0';
}

static struct waiting *new_waiting(struct serve_guard *guard, const struct server_request *request)
{
    struct waiting *w = mem_alloc(sizeof(*w));
    size_t bytes = sizeof(GUARD_PATHS) + strlen(request->path);

    w->guard = guard;
    w->page = origin_wants_page(request);
    w->path = mem_alloc(bytes);
    snprintf(w->path, bytes, "%s%s", GUARD_PATHS, request->path);
    make_verb(request->method, w->verb);
    return w;
}

static void free_waiting(struct waiting *w)
{
    free(w->path);
    free(w);
}

static void on_reviewed(void *arg, enum access_verdict verdict, const char *user, const struct server_answer *refused)
{
    struct waiting *w = arg;
    struct server_answer refusal = {.status = 0};
    struct text body;

    if (verdict == ACCESS_ALLOWED) {
        let_in(w->guard, NULL, user);
        server_admit(w->pending, &w->guard->asker);
    } else {
        text_init(&body, SERVER_REFUSAL_MAX_BYTES);
        refusal.body = &body;
        guard_write_refusal(&refusal, refused->status, w->page, user, w->verb, w->path);
        server_complete(w->pending, &refusal);
        text_done(&body);
    }
    free_waiting(w);
}

static bool review(struct serve_guard *guard, const struct server_request *request, const char *token,
                   struct server_answer *refusal)
{
    struct waiting *w = new_waiting(guard, request);
    struct text user, told;
    struct server_answer refused = {.body = &told};
    struct access_attributes about = {.verb = w->verb, .path = w->path};
    enum access_verdict verdict;

    text_init(&user, ACCESS_USER_MAX_BYTES);
    text_init(&told, SERVER_ANSWER_MAX_BYTES);
    verdict = serve_access_check_token(guard->access, token, &about, &user, &refused, on_reviewed, w);
    if (verdict == ACCESS_PENDING) {
        w->pending = server_defer(request);
    } else {
        if (verdict == ACCESS_ALLOWED)
            let_in(guard, request, user.bytes);
        else
            guard_write_refusal(refusal, refused.status, w->page, user.bytes, w->verb, w->path);
        free_waiting(w);
    }
    text_done(&told);
    text_done(&user);
    return verdict == ACCESS_ALLOWED;
}

/* ------------------------------------------------------------------ the gate */

static bool identify(struct serve_guard *guard, const struct server_request *request, struct server_answer *refusal)
{
    const char *token, *name = name_here(guard, request, &token);

    if (name)
        return let_in(guard, request, name);
    if (token && guard->access)
        return review(guard, request, token, refusal);
    server_answer_header(request, "WWW-Authenticate", "Bearer realm=\"weir\"");
    guard_write_unknown(refusal, origin_wants_page(request));
    return false;
}

static bool gate(void *arg, const struct server_request *request, struct server_answer *refusal)
{
    struct serve_guard *guard = arg;

    if (path_is(request, "/healthz") || path_is(request, "/readyz"))
        return true;
    if (!is_allowed_at_all(guard, request, refusal))
        return false;
    if (server_listener_of(request) == LISTENER_UNIX)
        return let_in(guard, request, "owner");
    if (is_about_login(request))
        return let_in(guard, request, "");
    if (!guard->open)
        return identify(guard, request, refusal);
    if (origin_host_is_ours(request, guard->listen))
        return let_in(guard, request, "");
    answer_refuse(refusal, 403,
                  "the Host header names another machine; ask for 127.0.0.1 or localhost, or start weir run with "
                  "--token-file");
    return false;
}

/* ------------------------------------------------------------------ the whole */

/* No script, style or picture but our own, no frame around us, no plugin, no base. */
static const char content_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

void serve_guard_server(struct serve_guard *guard, struct server *server)
{
    server_set_gate(server, gate, guard);
    server_set_header(server, "Content-Security-Policy", content_policy);
    server_set_header(server, "Referrer-Policy", "no-referrer");
    server_set_header(server, "Cross-Origin-Opener-Policy", "same-origin");
    server_set_header(server, "Cross-Origin-Resource-Policy", "same-origin");
    guard_add_login(guard, server);
}

bool serve_guard_new(const struct serve_guard_options *options, struct serve_guard **out, struct error *err)
{
    struct serve_guard *guard = mem_alloc(sizeof(*guard));

    guard->loop = options->loop;
    guard->certificates = options->certificates;
    guard->allow_actions = options->allow_actions;
    guard->access = options->access;
    guard->sessions = guard_sessions_new(options->loop);
    text_init(&guard->user, ACCESS_USER_MAX_BYTES);
    if (options->token_file && !guard_tokens_new(options->loop, options->token_file, &guard->tokens, err)) {
        serve_guard_free(guard);
        return error_add_place(err, "--token-file");
    }
    *out = guard;
    return true;
}

bool serve_guard_listens(struct serve_guard *guard, const char *asked, const char *bound, struct error *err)
{
    bool loopback = origin_is_loopback(bound);

    free(guard->listen);
    guard->listen = mem_copy(asked);
    if (loopback) /* whoever is on this machine, or forwards a port to it, need not be an account of the cluster */
        guard->access = NULL;
    guard->open = loopback && !guard->tokens && !guard->certificates;
    return loopback || guard->tokens || guard->certificates || guard->access ||
           error_set(err, ERROR_INVALID,
                     "others than this machine could ask at %.100s, and nobody would be asked who they are; add "
                     "--token-file, or --client-ca with --tls-cert and --tls-key, or listen at 127.0.0.1",
                     bound);
}

void serve_guard_free(struct serve_guard *guard)
{
    if (!guard)
        return;
    guard_tokens_free(guard->tokens);
    guard_sessions_free(guard->sessions);
    text_done(&guard->user);
    free(guard->listen);
    free(guard);
}

struct serve_asker serve_asker_of(const struct server_request *request)
{
    const struct serve_asker *asker = server_asker(request);

    return asker ? *asker : (struct serve_asker){.user = ""};
}

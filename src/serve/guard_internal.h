/* What the files of the guard share. */
#ifndef WEIR_SERVE_GUARD_INTERNAL_H
#define WEIR_SERVE_GUARD_INTERNAL_H

#include <stdint.h>

#include "base/text.h"
#include "net/server.h"
#include "serve/guard.h"

struct secret;

/* ---- guard_origin.c: from where a browser asks ---- */
/* A page of another origin asks, and it is no link that somebody followed. */
bool origin_is_foreign(const struct server_request *request);
/* The name by which it was asked is one that only this machine answers to: a loopback address, localhost, or the host of `listen`. */
bool origin_host_is_ours(const struct server_request *request, const char *listen);
/* "127.0.0.1:8642", "[::1]:8642": can only this machine reach it? */
bool origin_is_loopback(const char *address);
bool origin_wants_page(const struct server_request *request); /* somebody looks at it in a browser */

/* ---- guard_tokens.c: the file ---- */
enum { GUARD_DIGEST_BYTES = 32 };
struct guard_tokens;
bool guard_tokens_new(struct loop *loop, const char *path, struct guard_tokens **out, struct error *err);
void guard_tokens_free(struct guard_tokens *tokens); /* NULL is fine */
/* Whose it is, valid until the next call; NULL: nobody's. The digest stands for it. NULL tokens: nobody's. */
const char *guard_tokens_find(struct guard_tokens *tokens, const char *token, unsigned char digest[GUARD_DIGEST_BYTES]);
/* Whose the token is of which that is the digest; NULL: it is not in the file any more. */
const char *guard_tokens_name(struct guard_tokens *tokens, const unsigned char digest[GUARD_DIGEST_BYTES]);

/* ---- guard_session.c: what a cookie stands for ---- */
struct guard_sessions;
struct guard_session {
    unsigned char digest[GUARD_DIGEST_BYTES]; /* of a token of the file; or */
    struct secret *token;                     /* of a Kubernetes account, asked again each time; NULL: of the file */
};
struct guard_sessions *guard_sessions_new(struct loop *loop);
void guard_sessions_free(struct guard_sessions *sessions);
/* Makes one and writes its Set-Cookie. The oldest gives way where there are SESSIONS_MAX. Takes a reference of the token. */
void guard_sessions_begin(struct guard_sessions *sessions, const struct guard_session *session, bool secure,
                          struct text *cookie);
/* Of the request's cookie; NULL: none, or not any more. Valid until the next begin or end. */
const struct guard_session *guard_sessions_find(struct guard_sessions *sessions, const struct server_request *request);
void guard_sessions_end(struct guard_sessions *sessions, const struct server_request *request, struct text *cookie);

/* ---- guard.c ---- */
struct serve_guard {
    struct loop *loop;
    struct guard_tokens *tokens; /* NULL: no file */
    struct guard_sessions *sessions;
    struct serve_access *access; /* NULL: not asked */
    char *listen;                /* as it was asked for; NULL: it does not listen on TCP */
    struct text user;
    struct serve_asker asker; /* of the request being handled */
    bool certificates, allow_actions;
    bool open; /* nobody on TCP is asked who they are */
};

/* ---- guard_login.c ---- */
void guard_add_login(struct serve_guard *guard, struct server *server);
void guard_write_login_page(struct server_answer *answer, int status, const char *sentence);
void guard_write_unknown(struct server_answer *answer, bool page); /* 401 */
/* What the API server is asked about stands below this, or each of its accounts might look: they all may get /api/ and what is below (the
   ClusterRole system:discovery), meaning the API server's own. */
#define GUARD_PATHS "/weir"
/* What the API server refused, in our words. */
void guard_write_refusal(struct server_answer *answer, int status, bool page, const char *user, const char *verb,
                         const char *path);

#endif

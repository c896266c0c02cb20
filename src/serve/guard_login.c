/*
 * guard_login: a token for a cookie, and back. POST /login takes the token as JSON ({"token": "..."}, from a script) or as a form (of the
 * page below, which needs no script); POST /logout ends the session. Where the API server knows the token, it is asked at once, so that
 * somebody who mistypes learns of it here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/tree.h"
#include "serve/guard_internal.h"
#include "serve/serve.h"
#include "serve/serve_internal.h"

static const char page_top[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Weir: log in</title>"
    "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"></head>"
    "<body><main><h1>Weir</h1>";
static const char page_end[] =
    "<form method=\"post\" action=\"/login\"><p><label>Token <input name=\"token\" type=\"password\" required "
    "autofocus "
    "autocomplete=\"current-password\"></label> <button>Log in</button></p></form></main></body></html>\n";

/* ------------------------------------------------------------------ refusals */

void guard_write_login_page(struct server_answer *answer, int status, const char *sentence)
{
    answer->status = status;
    answer->content_type = "text/html; charset=utf-8";
    text_clear(answer->body);
    text_add(answer->body, page_top);
    text_add(answer->body, "<p role=\"status\">");
    text_add_html(answer->body, sentence);
    text_add(answer->body, "</p>");
    text_add(answer->body, page_end);
}

static void write_either(struct server_answer *answer, int status, bool page, const char *sentence)
{
    if (page)
        guard_write_login_page(answer, status, sentence);
    else
        answer_refuse(answer, status, "%s", sentence);
}

void guard_write_unknown(struct server_answer *answer, bool page)
{
    write_either(answer, 401, page,
                 page ? "Who are you? A token lets you in."
                      : "nobody knows who asks; send Authorization: Bearer TOKEN, or log in with POST /login");
}

void guard_write_refusal(struct server_answer *answer, int status, bool page, const char *user, const char *verb,
                         const char *path)
{
    struct text sentence;

    if (status == 401) {
        guard_write_unknown(answer, page);
        return;
    }
    text_init(&sentence, SERVER_REFUSAL_MAX_BYTES);
    if (status == 403)
        text_printf(&sentence,
                    "%.200s may not %s %.200s; bind a ClusterRole with that verb and path in nonResourceURLs to them",
                    user, verb, path);
    else
        text_add(&sentence, "the API server could not be asked who may do this; Weir's log says why");
    write_either(answer, status == 403 ? 403 : 503, page, sentence.bytes);
    text_done(&sentence);
}

/* ------------------------------------------------------------------ logging in */

struct attempt {
    struct serve_guard *guard;
    struct server_pending *pending; /* NULL: it is answered within the handler */
    struct secret *token;
    bool form, secure;
};

static bool is_form(const struct server_request *request)
{
    const char *type = server_header(request, "Content-Type");

    return type && strstr(type, "form") != NULL;
}

/* NULL: the body has none. In the arena. */
static const char *read_token(const struct server_request *request, struct arena *arena)
{
    struct tree *body;
    struct error err;

    if (is_form(request))
        return server_form(request, "token");
    if (!tree_read_json(request->body, request->body_length, false, arena, &body, &err))
        return NULL;
    return tree_string(tree_get(body, "token"));
}

static void write_done(struct server_answer *answer, bool form, const char *user)
{
    struct json json = {.out = answer->body};

    if (form) {
        answer->status = 303;
        return;
    }
    json_put_open(&json, NULL, '{');
    json_put_string(&json, "user", user);
    json_put_close(&json, '}');
}

static void write_failed(struct server_answer *answer, bool form)
{
    write_either(answer, 401, form, "this token is nobody's; is it whole?");
}

/* "Set-Cookie", and for a form where to go. */
typedef void add_header(void *to, const char *name, const char *value);

static void add_to_request(void *request, const char *name, const char *value)
{
    server_answer_header(request, name, value);
}

static void add_to_pending(void *pending, const char *name, const char *value)
{
    server_pending_header(pending, name, value);
}

static void begin_session(const struct attempt *attempt, const struct guard_session *session, const char *user,
                          struct server_answer *answer, add_header *add, void *to)
{
    struct text cookie;

    text_init(&cookie, 512);
    guard_sessions_begin(attempt->guard->sessions, session, attempt->secure, &cookie);
    add(to, "Set-Cookie", cookie.bytes);
    text_done(&cookie);
    if (attempt->form)
        add(to, "Location", "/");
    write_done(answer, attempt->form, user);
    log_info("somebody logged in", "who", user, NULL);
}

static void on_reviewed(void *arg, enum access_verdict verdict, const char *user, const struct server_answer *refused)
{
    struct attempt *attempt = arg;
    struct guard_session session = {.token = attempt->token};
    struct server_answer answer = {.status = 200, .content_type = "application/json"};
    struct text body;

    text_init(&body, SERVER_REFUSAL_MAX_BYTES);
    answer.body = &body;
    if (verdict == ACCESS_ALLOWED)
        begin_session(attempt, &session, user, &answer, add_to_pending, attempt->pending);
    else if (refused->status == 401)
        write_failed(&answer, attempt->form);
    else
        guard_write_refusal(&answer, refused->status, attempt->form, user, "get", GUARD_PATHS "/api/v1/session");
    server_complete(attempt->pending, &answer);
    text_done(&body);
    secret_unref(attempt->token);
    free(attempt);
}

static void ask_cluster(const struct attempt *asked, const struct server_request *request, const char *token)
{
    const struct access_attributes about = {.verb = "get", .path = GUARD_PATHS "/api/v1/session"};
    struct attempt *attempt = mem_alloc(sizeof(*attempt));
    struct text user, told;
    struct server_answer refused = {.body = &told};
    enum access_verdict verdict;

    *attempt = *asked;
    attempt->token = secret_new(token, strlen(token));
    text_init(&user, ACCESS_USER_MAX_BYTES);
    text_init(&told, SERVER_ANSWER_MAX_BYTES);
    verdict = serve_access_check_token(attempt->guard->access, token, &about, &user, &refused, on_reviewed, attempt);
    attempt->pending = server_defer(request);
    if (verdict != ACCESS_PENDING)
        on_reviewed(attempt, verdict, user.bytes ? user.bytes : "", &refused);
    text_done(&told);
    text_done(&user);
}

static void serve_login(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct serve_guard *guard = arg;
    struct attempt attempt = {
        .guard = guard, .form = is_form(request), .secure = server_listener_of(request) == LISTENER_TLS};
    struct arena *arena = arena_new(ARENA_SMALL);
    const char *token = read_token(request, arena), *name;
    struct guard_session session = {.token = NULL};

    if (!token || !*token) {
        write_either(answer, 400, attempt.form, "there is no token in it; send {\"token\": \"...\"}");
    } else if (!guard->tokens && !guard->access) {
        write_either(answer, 409, attempt.form, "nobody has to log in here: tokens are not asked for");
    } else if ((name = guard_tokens_find(guard->tokens, token, session.digest))) {
        begin_session(&attempt, &session, name, answer, add_to_request, (void *)request);
    } else if (guard->access) {
        ask_cluster(&attempt, request, token);
    } else {
        write_failed(answer, attempt.form);
    }
    arena_free(arena);
}

static void serve_login_page(void *arg, const struct server_request *request, struct server_answer *answer)
{
    (void)arg, (void)request;
    guard_write_login_page(answer, 200, "A token lets you in.");
}

static void serve_logout(void *arg, const struct server_request *request, struct server_answer *answer)
{
    struct serve_guard *guard = arg;
    struct text cookie;

    text_init(&cookie, 512);
    guard_sessions_end(guard->sessions, request, &cookie);
    server_answer_header(request, "Set-Cookie", cookie.bytes);
    text_done(&cookie);
    answer->status = 204;
    if (!is_form(request))
        return;
    answer->status = 303;
    server_answer_header(request, "Location", "/login");
}

void guard_add_login(struct serve_guard *guard, struct server *server)
{
    server_route(server, "GET", "/login", serve_login_page, guard);
    server_route(server, "POST", "/login", serve_login, guard);
    server_route(server, "POST", "/logout", serve_logout, guard);
}

/*
 * github: what is asked of GitHub, apart from what it means. Facts: triggers/github-runner.md.
 *
 * An answer is kept as a digest, one line for each thing that matters; with ETags digests outlive the poll, and an answer "not modified"
 * costs nothing of the rate limit. While that is used up nothing is asked, and polls fail: what was counted before is no count of now, so
 * it is told with its age, and what runs stays as it is.
 */
#include "trigger/family/github.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "trigger/common/jwt.h"

enum {
    /* Of one answer: a page has a hundred runs of at most 130 characters. */
    DIGEST_MAX_BYTES = 64 * 1024,
    /* Of all that one trigger keeps: as many answers as one poll may ask for (POLL_FANOUT_MAX), of a kilobyte each. What does not fit is
       asked for anew each time. */
    DIGESTS_MAX_BYTES = 1024 * 1024,
    JWT_BACK_S = 30,            /* their clock may be behind ours */
    JWT_FOR_S = 120,            /* it is used at once */
    TOKEN_EARLY_MS = 60 * 1000, /* a token is renewed so long before its end */
    AT_A_TIME = 8,              /* GitHub asks not to be asked many things at once */
    LIMIT_MAX_S = 3600,         /* its limits are by the hour: nobody sends us away for longer */
};

struct digest { /* kept with its ETag */
    char *etag, *text;
    int64_t seen_ms; /* by the poll of that time */
};

static bool is_app(const struct github *account)
{
    return account->app != 0 || account->installation != 0 || account->key;
}

bool github_check(const struct github *c, struct trigger_check *check)
{
    const char *missing = NULL;

    if (!is_app(c))
        return c->token || check_unknown(check, "personalAccessToken") ||
               check_error(check, "personalAccessToken", "put one of them into the TriggerAuthentication",
                           "there is neither a personalAccessToken nor an appKey");
    if (c->app == 0 && !check_unknown(check, "applicationID"))
        missing = "applicationID";
    else if (c->installation == 0 && !check_unknown(check, "installationID"))
        missing = "installationID";
    else if (!c->key && !check_unknown(check, "appKey"))
        missing = "appKey";
    if (missing)
        return check_error(check, missing, "give all three",
                           "applicationID, installationID and appKey go together: %s "
                           "is not there",
                           missing);
    if (c->key && !jwt_key_is_good(c->key))
        check_warning(check, "appKey", "put the file there that GitHub gave, PEM text with its lines",
                      "appKey is no RSA key in PEM form: every poll fails");
    return true;
}

/* ------------------------------------------------------------------ digests kept from poll to poll */

static size_t digest_bytes(const char *asked, const char *etag, const char *text)
{
    return sizeof(struct digest) + strlen(asked) + strlen(etag) + strlen(text);
}

static void digest_drop(struct github_memory *memory, const char *asked)
{
    struct digest *digest = map_get(memory->digests, asked);

    if (!digest)
        return;
    memory->digests_bytes -= digest_bytes(asked, digest->etag, digest->text);
    map_remove(memory->digests, asked);
    free(digest->etag);
    free(digest->text);
    free(digest);
}

static void digest_keep(struct github_memory *memory, const char *asked, const char *etag, const char *text,
                        int64_t now_ms)
{
    struct digest *digest;

    if (!memory->digests)
        memory->digests = map_new();
    digest_drop(memory, asked);
    if (!etag || memory->digests_bytes + digest_bytes(asked, etag, text) > DIGESTS_MAX_BYTES)
        return;
    digest = mem_alloc(sizeof(*digest));
    *digest = (struct digest){mem_copy(etag), mem_copy(text), now_ms};
    map_put(memory->digests, asked, digest);
    memory->digests_bytes += digest_bytes(asked, etag, text);
}

/* What this poll had no use for is of repositories and runs that are gone. */
static void digests_prune(struct github_memory *memory, int64_t now_ms)
{
    const char *key;
    void *value;

    for (size_t i = 0; memory->digests && map_next(memory->digests, &i, &key, &value);)
        if (((const struct digest *)value)->seen_ms != now_ms)
            digest_drop(memory, key);
}

void github_forget(void *of)
{
    struct github_memory *memory = of;

    digests_prune(memory, -1);
    map_free(memory->digests);
    secret_unref(memory->jwt);
    secret_unref(memory->token);
}

void github_forget_account(void *of)
{
    secret_unref(((struct github_account *)of)->token);
}

/* ------------------------------------------------------------------ the rate limit */

static int64_t seconds(const char *text)
{
    long long value = strtoll(text, NULL, 10);

    return value < 0 ? 0 : value > INT64_C(100000000000) ? INT64_C(100000000000) : value;
}

/* Others ask with the same token: an answer that was under way meanwhile takes nothing back of a limit, which ends by itself. */
static void note_limit(struct poll *poll, const struct reply *reply)
{
    struct github_account *account = poll_account(poll);
    int64_t now_ms = poll_now_ms(poll);
    const char *remaining = reply_header(reply, "x-ratelimit-remaining"),
               *reset = reply_header(reply, "x-ratelimit-reset");
    const char *after = reply_header(reply, "retry-after");

    int64_t until_ms = 0;

    if (!remaining && !(reply->failed && after))
        return;
    if (remaining && strtoll(remaining, NULL, 10) == 0 && reset)
        until_ms = seconds(reset) * 1000;
    if (after && now_ms + seconds(after) * 1000 > until_ms)
        until_ms = now_ms + seconds(after) * 1000;
    if (until_ms > now_ms + LIMIT_MAX_S * 1000)
        until_ms = now_ms + LIMIT_MAX_S * 1000;
    if (until_ms > account->limited_until_ms)
        account->limited_until_ms = until_ms;
}

/* Ends the poll while GitHub has had enough of us. */
static enum poll_next stand_by(struct poll *poll)
{
    const struct github_memory *memory = poll_memory(poll);
    const struct github_account *account = poll_account(poll);
    int64_t now_ms = poll_now_ms(poll);
    char last[80] = "";

    if (memory->counted_ms != 0)
        snprintf(last, sizeof(last), "; %lld s ago there were %.0f jobs",
                 (long long)(now_ms - memory->counted_ms) / 1000, memory->count);
    return poll_fail(poll, ERROR_UNREACHABLE,
                     "GitHub's rate limit is used up for %lld s more%s: name the repos, or use enableEtags",
                     (long long)(account->limited_until_ms - now_ms + 999) / 1000, last);
}

static bool is_limited(struct poll *poll)
{
    return ((const struct github_account *)poll_account(poll))->limited_until_ms > poll_now_ms(poll);
}

static enum poll_next refused(struct poll *poll, const struct reply *reply)
{
    const struct github_memory *memory = poll_memory(poll);
    struct github_account *account = poll_account(poll);

    if (is_limited(poll))
        return stand_by(poll);
    if (reply->status == 401 && account->token == memory->token)
        account->token_until_ms = 0; /* of an App: a new one is asked for next time */
    return poll_fail_with(poll, &reply->error);
}

/* ------------------------------------------------------------------ one answer */

/* The answer is read into an arena of its own: of many large pages only what matters stays until the end of the poll. */
static const char *made(const void *config, struct poll *poll, const struct reply *reply, github_write *write)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json;
    struct text out;
    struct error err;
    const char *digest = NULL;

    text_init(&out, DIGEST_MAX_BYTES);
    if (tree_read_json(reply->body, reply->length, false, arena, &json, &err) && write(json, &out, config) &&
        !out.overflowed)
        digest = arena_copy(poll_arena(poll), out.bytes);
    text_done(&out);
    arena_free(arena);
    return digest;
}

const char *github_digest(const void *config, struct poll *poll, const struct reply *reply, github_write *write)
{
    struct github_memory *memory = poll_memory(poll);
    const struct github_walk *walk = poll_scratch(poll);
    const char *asked = walk->asked[walk->asked_from + reply->index], *text;
    struct digest *kept = memory->digests ? map_get(memory->digests, asked) : NULL;

    note_limit(poll, reply);
    if (reply->failed) {
        refused(poll, reply);
        return NULL;
    }
    if (reply->status == 304 && kept) {
        kept->seen_ms = poll_now_ms(poll);
        return arena_copy(poll_arena(poll), kept->text);
    }
    text = reply->status == 200 ? made(config, poll, reply, write) : NULL;
    if (!text) {
        poll_fail(poll, ERROR_NONSENSE, "GitHub answered %d%s to %.150s", reply->status,
                  reply->status == 200 ? " with something unexpected" : "", asked);
        return NULL;
    }
    if (walk->account->etags)
        digest_keep(memory, asked, reply_header(reply, "etag"), text, poll_now_ms(poll));
    return text;
}

/* ------------------------------------------------------------------ asking */

static struct request *get(struct poll *poll, const char *asked)
{
    const struct github *c = ((struct github_walk *)poll_scratch(poll))->account;
    const struct github_memory *memory = poll_memory(poll);
    const struct digest *kept = c->etags && memory->digests ? map_get(memory->digests, asked) : NULL;
    struct request *r = request_get(poll, c->url, asked);

    request_header(r, "Accept", "application/vnd.github.v3+json");
    request_header(r, "X-GitHub-Api-Version", "2022-11-28");
    request_header_secret(r, "Authorization", is_app(c) ? "token " : "Bearer ", is_app(c) ? memory->token : c->token);
    request_header(r, "If-None-Match", kept ? kept->etag : NULL);
    request_raw(r);
    request_status(r, 200, 304);
    return r;
}

static enum poll_next get_some(const void *config, struct poll *poll, const struct reply *none)
{
    struct github_walk *walk = poll_scratch(poll);
    struct request *requests[AT_A_TIME];
    size_t count = 0;

    if (walk->asked_to == walk->asked_count)
        return walk->then(config, poll, none);
    walk->asked_from = walk->asked_to;
    while (count < AT_A_TIME && walk->asked_to < walk->asked_count)
        requests[count++] = get(poll, walk->asked[walk->asked_to++]);
    return poll_send_all(poll, requests, count, walk->each, get_some);
}

enum poll_next github_get_all(const void *config, struct poll *poll, const char **asked, size_t count, poll_each *each,
                              poll_step *then)
{
    struct github_walk *walk = poll_scratch(poll);

    walk->asked = asked;
    walk->asked_count = count;
    walk->asked_from = walk->asked_to = 0;
    walk->each = each;
    walk->then = then;
    return get_some(config, poll, NULL);
}

/* ------------------------------------------------------------------ a token for an App */

/* This poll keeps the token that it began with, whatever others get meanwhile. */
static enum poll_next go_on(const void *config, struct poll *poll)
{
    struct github_memory *memory = poll_memory(poll);
    const struct github_account *account = poll_account(poll);

    secret_unref(memory->token);
    memory->token = account->token ? secret_ref(account->token) : NULL;
    return ((struct github_walk *)poll_scratch(poll))->then(config, poll, NULL);
}

static enum poll_next on_token(const void *config, struct poll *poll, const struct reply *reply)
{
    struct github_account *account = poll_account(poll);
    const struct tree *token = tree_get_fold(reply->json, "token");
    const char *until = tree_string(tree_get_fold(reply->json, "expires_at"));

    if (!tree_string(token) || !until || !instant_parse(until, &account->token_until_ms))
        return poll_fail(poll, ERROR_NONSENSE, "GitHub answered without a token for the App, or without its end");
    secret_unref(account->token);
    account->token = secret_new(token->text, token->length);
    return go_on(config, poll);
}

static enum poll_next ask_token(const struct github *c, struct poll *poll)
{
    struct github_memory *memory = poll_memory(poll);
    struct arena *arena = poll_arena(poll);
    long long now_s = poll_now_ms(poll) / 1000;
    const char *claims = arena_printf(arena, "{\"iss\":\"%lld\",\"iat\":%lld,\"exp\":%lld}", (long long)c->app,
                                      now_s - JWT_BACK_S, now_s + JWT_FOR_S);
    const char *jwt;
    struct request *r;
    struct error err;

    if (!jwt_sign_rs256(arena, c->key, claims, &jwt, &err))
        return poll_fail(poll, err.kind, "appKey: %s", err.text);
    secret_unref(memory->jwt);
    memory->jwt = secret_new(jwt, strlen(jwt));
    r = request_post(poll, c->url,
                     arena_printf(arena, "/app/installations/%lld/access_tokens", (long long)c->installation));
    request_header(r, "Accept", "application/vnd.github.v3+json");
    request_header_secret(r, "Authorization", "Bearer ", memory->jwt);
    request_secret(r);
    return poll_send(poll, r, on_token);
}

enum poll_next github_begin(const void *config, struct poll *poll, const struct github *account, poll_step *then)
{
    struct github_walk *walk = poll_scratch(poll);
    const struct github_account *shared = poll_account(poll);

    walk->account = account;
    walk->then = then;
    if (is_limited(poll))
        return stand_by(poll);
    if (is_app(account) && shared->token_until_ms - TOKEN_EARLY_MS <= poll_now_ms(poll))
        return ask_token(account, poll);
    return go_on(config, poll);
}

/* ------------------------------------------------------------------ the end */

void github_pass(struct poll *poll, const struct reply *reply)
{
    note_limit(poll, reply);
}

enum poll_next github_count(struct poll *poll, double count)
{
    struct github_memory *memory = poll_memory(poll);

    digests_prune(memory, poll_now_ms(poll));
    memory->count = count;
    memory->counted_ms = poll_now_ms(poll);
    return poll_value(poll, count);
}

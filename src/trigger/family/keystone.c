/*
 * keystone: a token first, then the question. Facts: triggers/openstack-metric.md, openstack-swift.md.
 *
 *     keystone_send -> token? --no--> log_in -> on_token -v
 *                             --yes----------------------> ask -> on_answer --401, old token--> log_in
 *                                                                           --else--> then
 *
 * KEDA asks Keystone before every poll whether the token is still good, and never sends the project or the ID of an application
 * credential in one of the two types; here the documented parameters are what is sent, and the service itself says when a token is
 * no longer good. The address may end in the version or not.
 */
#include "trigger/family/keystone.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "trigger/trigger_internal.h"

enum { TOKEN_EARLY_MS = 60 * 1000, TOKEN_UNKNOWN_MS = 5 * 60 * 1000 /* of a token that does not say when it ends */ };

static int64_t timeout_ms(const struct keystone *account)
{
    return account->timeout_s <= 0                           ? 0
           : account->timeout_s < HTTP_TIMEOUT_MAX_MS / 1000 ? account->timeout_s * 1000
                                                             : HTTP_TIMEOUT_MAX_MS;
}

void keystone_forget(void *of)
{
    struct keystone_memory *memory = of;

    secret_unref(memory->token);
    secret_unref(memory->question);
}

void keystone_forget_account(void *of)
{
    struct keystone_account *shared = of;

    secret_unref(shared->token);
    free(shared->storage_url);
}

const char *keystone_storage(struct poll *poll)
{
    return ((const struct keystone_account *)poll_account(poll))->storage_url;
}

bool keystone_check_url(const struct keystone *account, struct trigger_check *check)
{
    if (account->url && (string_ends(account->url, "/v2.0") || string_ends(account->url, "/v2.0/")))
        return check_error(check, "authURL", "write the address of version 3",
                           "version 2 of Keystone is not supported");
    return true;
}

/* ------------------------------------------------------------------ logging in */

static void add_string(struct text *out, const char *name, const char *value)
{
    text_printf(out, "\"%s\":", name);
    text_add_json_string(out, value ? value : "", value ? strlen(value) : 0);
}

/* It has a password in it, so that it is a secret itself. */
static struct secret *make_question(const struct keystone *a)
{
    struct text out;
    struct secret *question;

    text_init(&out, REQUEST_BODY_MAX_BYTES);
    text_add(&out, "{\"auth\":{\"identity\":{\"methods\":[");
    text_add(&out, a->by_password ? "\"password\"],\"password\":{\"user\":{"
                                  : "\"application_credential\"],\"application_credential\":{");
    add_string(&out, "id", a->by_password ? a->user : a->app);
    text_add_char(&out, ',');
    if (a->by_password)
        add_string(&out, "password", a->password ? secret_reveal(a->password) : NULL);
    else
        add_string(&out, "secret", a->app_secret ? secret_reveal(a->app_secret) : NULL);
    text_add(&out, a->by_password ? "}}}" : "}}");
    if (a->by_password && a->project) {
        text_add(&out, ",\"scope\":{\"project\":{");
        add_string(&out, "id", a->project);
        text_add(&out, "}}");
    }
    text_add(&out, "}}");
    question = secret_new(out.bytes, out.length);
    explicit_bzero(out.bytes, out.length);
    text_done(&out);
    return question;
}

static bool region_fits(const struct keystone *a, const struct tree *endpoint)
{
    return !a->region || string_equal(tree_string(tree_get(endpoint, "region")), a->region) ||
           string_equal(tree_string(tree_get(endpoint, "region_id")), a->region);
}

static const char *find_storage(const struct keystone *a, const struct tree *catalog)
{
    for (const struct tree *service = catalog ? catalog->first : NULL; service; service = service->next) {
        const struct tree *endpoints = tree_get(service, "endpoints");

        if (!string_equal(tree_string(tree_get(service, "type")), "object-store"))
            continue;
        for (const struct tree *e = endpoints ? endpoints->first : NULL; e; e = e->next)
            if (string_equal(tree_string(tree_get(e, "interface")), "public") && region_fits(a, e))
                return tree_string(tree_get(e, "url"));
    }
    return NULL;
}

static enum poll_next ask(const void *config, struct poll *poll);

static enum poll_next on_token(const void *config, struct poll *poll, const struct reply *reply)
{
    struct keystone_walk *walk = poll_scratch(poll);
    struct keystone_memory *memory = poll_memory(poll);
    struct keystone_account *shared = poll_account(poll);
    const struct tree *about = tree_get(reply->json, "token");
    const char *token = reply_header(reply, "x-subject-token"), *until = tree_string(tree_get(about, "expires_at"));
    const char *storage;

    secret_unref(memory->question);
    memory->question = NULL;
    if (!token || !*token)
        return poll_fail(poll, ERROR_NONSENSE, "Keystone answered without a token (X-Subject-Token)");
    secret_unref(shared->token);
    shared->token = secret_new(token, strlen(token));
    if (!until || !instant_parse(until, &shared->until_ms))
        shared->until_ms = poll_now_ms(poll) + TOKEN_UNKNOWN_MS;
    if (walk->account->wants_storage) {
        storage = find_storage(walk->account, tree_get(about, "catalog"));
        free(shared->storage_url);
        shared->storage_url = storage ? mem_copy(storage) : NULL;
    }
    walk->fresh = true;
    return ask(config, poll);
}

static enum poll_next log_in(struct poll *poll)
{
    const struct keystone *a = ((struct keystone_walk *)poll_scratch(poll))->account;
    bool versioned = string_ends(a->url, "/v3") || string_ends(a->url, "/v3/");
    struct request *r = request_post(poll, a->url, versioned ? "/auth/tokens" : "/v3/auth/tokens");
    struct keystone_memory *memory = poll_memory(poll);

    secret_unref(memory->question);
    memory->question = make_question(a);
    request_body(r, "application/json", secret_reveal(memory->question), secret_length(memory->question));
    request_secret(r);
    request_timeout(r, timeout_ms(a));
    return poll_send(poll, r, on_token);
}

/* ------------------------------------------------------------------ asking */

static enum poll_next sign_in(const void *config, struct poll *poll);

static enum poll_next on_answer(const void *config, struct poll *poll, const struct reply *reply)
{
    struct keystone_walk *walk = poll_scratch(poll);
    const struct keystone_memory *memory = poll_memory(poll);
    struct keystone_account *shared = poll_account(poll);

    if (!reply->failed)
        return walk->then(config, poll, reply);
    if (reply->status == 401 && shared->token == memory->token)
        shared->until_ms = 0;
    if (reply->status == 401 && !walk->fresh)
        return sign_in(config, poll);
    return poll_fail_with(poll, &reply->error);
}

/* The poll keeps the token that it goes out with, whatever others get meanwhile. */
static enum poll_next ask(const void *config, struct poll *poll)
{
    const struct keystone_walk *walk = poll_scratch(poll);
    struct keystone_memory *memory = poll_memory(poll);
    struct request *r = walk->make(config, poll);

    if (!r)
        return POLL_ENDED;
    secret_unref(memory->token);
    memory->token = secret_ref(((struct keystone_account *)poll_account(poll))->token);
    request_header_secret(r, "X-Auth-Token", "", memory->token);
    request_timeout(r, timeout_ms(walk->account));
    return poll_try(poll, r, on_answer);
}

/* With the token there is, if it is good; others may have got one meanwhile. */
static enum poll_next sign_in(const void *config, struct poll *poll)
{
    const struct keystone_account *shared = poll_account(poll);

    return shared->token && shared->until_ms - TOKEN_EARLY_MS > poll_now_ms(poll) ? ask(config, poll) : log_in(poll);
}

enum poll_next keystone_send(const void *config, struct poll *poll, const struct keystone *account, keystone_make *make,
                             poll_step *then)
{
    struct keystone_walk *walk = poll_scratch(poll);

    walk->account = account;
    walk->make = make;
    walk->then = then;
    return sign_in(config, poll);
}

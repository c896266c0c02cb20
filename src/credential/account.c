/*
 * account: tokens of service accounts, by TokenRequest: for boundServiceAccountToken, and to sign in at Vault as somebody of the object's
 * own namespace. KEDA keeps one until the first call that fails; here it is renewed at four fifths of its life, as the kubelet does.
 */
#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "credential/credential_internal.h"

struct account {
    const char *ns, *name;
    int64_t life_ms;
    struct account_token *asked;
};

static void on_token(void *arg, const struct secret *token, int64_t left_ms, const struct error *err)
{
    struct fetched *f = arg;
    struct account *spec = f->spec;

    spec->asked = NULL;
    if (err)
        fetched_failed(f, err);
    else
        fetched_found_one(f, secret_ref((struct secret *)(uintptr_t)token), left_ms, left_ms / 5 * 4);
}

static void begin(struct fetched *f)
{
    struct platform *platform = f->store->parts.platform;
    struct account *spec = f->spec;

    spec->asked = platform->ops->account_token(platform, spec->ns, spec->name, spec->life_ms / 1000, on_token, f);
}

static void stop(struct fetched *f)
{
    struct platform *platform = f->store->parts.platform;
    struct account *spec = f->spec;

    if (spec->asked)
        platform->ops->account_token_cancel(spec->asked);
    spec->asked = NULL;
}

static const struct fetch_kind kind = {
    .what = "a token of a service account", .unused_ms = CREDENTIAL_UNUSED_MS, .begin = begin, .stop = stop};

struct fetched *account_token(struct credential_store *store, const char *ns, const char *account, struct error *err)
{
    int64_t life_ms =
        store->settings.account_token_ms > 0 ? store->settings.account_token_ms : CREDENTIAL_ACCOUNT_TOKEN_MS;
    struct fetch_key key;
    struct fetched *f;
    bool is_new;

    if (!store->parts.loop || !store->parts.platform->ops->account_token) {
        error_set(err, ERROR_INVALID,
                  "there are no service accounts here, only in a cluster: give the token by secretTargetRef");
        return NULL;
    }
    fetch_key_begin(&key, &kind, ns);
    fetch_key_add(&key, ns);
    fetch_key_add(&key, account);
    f = fetch_key_end(&key, store, &kind, &is_new, err);
    if (f && is_new) {
        struct account *spec = f->spec = arena_alloc(f->arena, sizeof(*spec));

        *spec =
            (struct account){.ns = arena_copy(f->arena, ns), .name = arena_copy(f->arena, account), .life_ms = life_ms};
        fetched_start(f);
    }
    return f;
}

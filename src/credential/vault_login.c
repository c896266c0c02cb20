/*
 * vault_login: signing in at Vault, by a token or as a service account (auth/<mount>/login). A login is shared by all who sign in alike,
 * renewed at half of its life, made anew where Vault gives less and less, and given back when nobody needs it.
 *
 * What is Weir's own is used for nobody who may not have it: see may_use_own.
 */
#include "credential/vault_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "net/loop.h"

#define OWN_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"
#define OWN_TOKEN  OWN_FOLDER "/token"

/* ------------------------------------------------------------------ logins */

struct login {
    struct vault_server server;
    struct secret *token; /* by token; else: */
    const char *mount, *role;
    const char *account_ns, *account; /* whose token it is; account NULL: that of the file */
    const char *token_file;
    struct secret *sent; /* the account's token, while Vault looks at it */
    int64_t life_ms;     /* as it was at first; 0: for ever */
    bool renewable;
};

static void keep_sent(struct login *spec, struct secret *sent)
{
    secret_unref(spec->sent);
    spec->sent = sent;
}

/* Takes the token's reference. Half a life is left for renewing it; what cannot be renewed is logged in for anew then. */
static void login_found(struct fetched *f, struct secret *token, int64_t life, bool renewable)
{
    struct login *spec = f->spec;

    spec->life_ms = life;
    spec->renewable = renewable;
    fetched_found_one(f, token, life, renewable || !spec->token ? life / 2 : life);
}

static void on_login(struct fetched *f, const struct fetch_answer *answer)
{
    struct login *spec = f->spec;
    const struct tree *auth = tree_get(answer->json, "auth");
    const char *token = tree_string(tree_get(auth, "client_token"));
    struct error err;

    if (vault_is_fine(answer) && token && token[0]) {
        login_found(f, secret_new(token, strlen(token)), vault_life_ms(tree_get(auth, "lease_duration")),
                    vault_is_true(tree_get(auth, "renewable")));
    } else {
        vault_explain(&spec->server, answer, "the login", spec->sent, &err);
        fetched_failed(f, &err);
    }
    keep_sent(spec, NULL);
}

static void on_looked_up(struct fetched *f, const struct fetch_answer *answer)
{
    struct login *spec = f->spec;
    const struct tree *data = tree_get(answer->json, "data");
    struct error err;

    if (vault_is_fine(answer) && data) {
        login_found(f, secret_ref(spec->token), vault_life_ms(tree_get(data, "ttl")),
                    vault_is_true(tree_get(data, "renewable")));
        return;
    }
    vault_explain(&spec->server, answer, "the look at the token", spec->token, &err);
    fetched_failed(f, &err);
}

/* Without its padding, as tokens have it. false: it is none. out has room for as many bytes. */
static bool decode_base64url(const char *bytes, size_t length, struct text *out)
{
    size_t padded = (length + 3) / 4 * 4;
    struct text plain;
    int decoded = -1;

    if (length == 0 || length > CREDENTIAL_FILE_MAX_BYTES)
        return false;
    secret_text_init(&plain, padded);
    for (size_t i = 0; i < padded; i++) {
        char c = i < length ? bytes[i] : '=';

        text_add_char(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    if (padded <= out->limit)
        decoded = EVP_DecodeBlock((unsigned char *)out->bytes, (const unsigned char *)plain.bytes, (int)padded);
    secret_text_done(&plain);
    if (decoded < 0)
        return false;
    out->length = (size_t)decoded - (padded - length);
    out->bytes[out->length] = '\0';
    return true;
}

/* A token of a service account says whose it is: anything else is not sent to anybody. */
static bool is_account_token(const struct secret *token)
{
    static const char subject[] = "system:serviceaccount:";
    const char *bytes = secret_reveal(token), *first = strchr(bytes, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json = NULL;
    struct text payload;
    bool is = false;

    if (second) {
        secret_text_init(&payload, (size_t)(second - first) + 4);
        if (decode_base64url(first + 1, (size_t)(second - first - 1), &payload) &&
            tree_read_json(payload.bytes, payload.length, false, arena, &json, NULL))
            is = tree_string(tree_get(json, "sub")) && string_starts(tree_string(tree_get(json, "sub")), subject);
        tree_wipe(json);
        secret_text_done(&payload);
    }
    arena_free(arena);
    return is;
}

/* The path is Weir's own token, or one below --filepath-auth-root-path: the rest of the machine is nobody's to name. */
static struct secret *read_token_file(const struct fetched *f, const char *path, struct error *err)
{
    const char *root = f->store->settings.file_root;
    size_t length = root ? strlen(root) : 0;
    struct secret *token = NULL;
    struct text bytes;
    bool fine;

    while (length > 1 && root[length - 1] == '/')
        length--;
    if (strcmp(path, OWN_TOKEN) == 0) {
        fine = file_read_below(OWN_FOLDER, "token", &bytes, err);
    } else if (length > 0 && strncmp(path, root, length) == 0 && path[length] == '/') {
        fine = file_read_below(root, path + length + 1, &bytes, err);
    } else {
        text_init(&bytes, 0);
        fine = error_set(err, ERROR_INVALID, "the file %s is neither " OWN_TOKEN " nor below --filepath-auth-root-path",
                         path);
    }
    while (fine && bytes.length > 0 && strchr("\r\n \t", bytes.bytes[bytes.length - 1]))
        bytes.length--;
    if (fine)
        token = secret_new(bytes.bytes, bytes.length);
    secret_text_done(&bytes);
    return token;
}

/* A reference, or NULL: it waits for it, or has failed. */
static struct secret *get_account_token(struct fetched *f)
{
    struct login *spec = f->spec;
    struct secret *token;
    struct fetched *other;
    struct error err;

    if (!spec->account) {
        token = read_token_file(f, spec->token_file, &err);
        if (!token)
            fetched_failed(f, &err);
        return token;
    }
    other = account_token(f->store, spec->account_ns, spec->account, &err);
    if (!other) {
        fetched_failed(f, &err);
        return NULL;
    }
    if (fetched_needs(f, other) != LOOKUP_FOUND)
        return NULL;
    return secret_ref((struct secret *)(uintptr_t)fetched_value(other, "value"));
}

static void log_in_as_account(struct fetched *f)
{
    struct login *spec = f->spec;
    struct secret *token = get_account_token(f);
    struct text path, body;
    struct error err;

    if (!token)
        return;
    keep_sent(spec, token);
    if (!is_account_token(token)) {
        error_set(&err, ERROR_INVALID, "what is to be sent to Vault is not the token of a service account");
        keep_sent(spec, NULL);
        fetched_failed(f, &err);
        return;
    }
    text_init(&path, HTTP_URL_MAX_BYTES);
    text_printf(&path, "auth/%s/login", spec->mount);
    vault_write_body(&body, (const char *const[][2]){{"jwt", secret_reveal(token)}, {"role", spec->role}}, 2);
    vault_ask(f, &spec->server, &(struct vault_question){.method = "POST", .path = path.bytes, .body = &body},
              on_login);
    secret_text_done(&body);
    text_done(&path);
}

static void log_in(struct fetched *f)
{
    struct login *spec = f->spec;

    if (spec->token)
        vault_ask(f, &spec->server,
                  &(struct vault_question){.method = "GET", .path = "auth/token/lookup-self", .token = spec->token},
                  on_looked_up);
    else
        log_in_as_account(f);
}

/* Vault gives less and less as the longest life comes near: then a new login. */
static void on_login_renewed(struct fetched *f, const struct fetch_answer *answer)
{
    struct login *spec = f->spec;
    int64_t life = vault_life_ms(tree_at(answer->json, "auth.lease_duration"));
    struct error err;

    if (vault_is_fine(answer) && life > 0) {
        spec->renewable = spec->token || life >= spec->life_ms / 2;
        fetched_stays(f, life, life / 2);
    } else if (answer->status == 0 || vault_status_kind(answer->status) == ERROR_UNREACHABLE) {
        vault_explain(&spec->server, answer, "the renewal of the login", fetched_value(f, "value"), &err);
        fetched_failed(f, &err);
    } else {
        log_in(f);
    }
}

static void login_begin(struct fetched *f)
{
    struct login *spec = f->spec;
    struct text body;

    if (f->anew || !fetched_is_good(f) || !spec->renewable) {
        log_in(f);
        return;
    }
    vault_write_body(&body, NULL, 0);
    vault_ask(f, &spec->server,
              &(struct vault_question){
                  .method = "POST", .path = "auth/token/renew-self", .token = fetched_value(f, "value"), .body = &body},
              on_login_renewed);
    secret_text_done(&body);
}

/* A token that somebody gave us is theirs. */
static void login_give_back(struct fetched *f)
{
    struct login *spec = f->spec;
    struct text body;

    if (spec->token || !fetched_value(f, "value"))
        return;
    vault_write_body(&body, NULL, 0);
    vault_ask(
        f, &spec->server,
        &(struct vault_question){
            .method = "POST", .path = "auth/token/revoke-self", .token = fetched_value(f, "value"), .body = &body},
        NULL);
    secret_text_done(&body);
}

static void login_forget(void *arg)
{
    struct login *spec = arg;

    secret_unref(spec->token);
    keep_sent(spec, NULL);
}

static const struct fetch_kind login_kind = {.what = "a Vault login",
                                             .unused_ms = CREDENTIAL_UNUSED_MS,
                                             .begin = login_begin,
                                             .give_back = login_give_back,
                                             .forget = login_forget};

/* ------------------------------------------------------------------ which login */

static bool is_named(const struct source_place *place, const char *address)
{
    return vault_same_origin(getenv("VAULT_ADDR"), address) &&
           binding_admits(place->store->settings.vault_namespaces, place->request->ns);
}

/* Who looks after the cluster says it, by a cluster kind, or by a flag for all authentications of a namespace: those then read all that Weir
   itself may, so it goes to their Vault alone. */
static bool may_use_own(const struct source_place *place, const char *address)
{
    return place->request->cluster_kind || is_named(place, address);
}

#define OWN_IS_FOR                                                                                                     \
    "for a ClusterTriggerAuthentication, or for namespaces that --vault-namespaces names and the Vault of $VAULT_ADDR"

/* A reference, or NULL. */
static struct secret *choose_token(const struct source_place *place, const struct tree *vault, const char *address,
                                   struct error *err)
{
    const char *own = getenv("VAULT_TOKEN"), *given = tree_string(tree_at(vault, "credential.token"));
    bool may = may_use_own(place, address);

    if (own && *own && may)
        return secret_new(own, strlen(own));
    if (given && *given)
        return secret_new(given, strlen(given));
    if (own && *own)
        error_set(err, ERROR_DENIED, "credential.token is missing, and $VAULT_TOKEN is only " OWN_IS_FOR);
    else
        error_set(err, ERROR_MISSING, "credential.token is missing, and Weir has no $VAULT_TOKEN");
    return NULL;
}

static bool choose_account(const struct source_place *place, const struct tree *vault, struct login *out,
                           struct error *err)
{
    const struct tree *credential = tree_get(vault, "credential");
    const char *name = tree_string(tree_get(credential, "serviceAccountName"));
    const char *file = tree_string(tree_get(credential, "serviceAccount"));
    const struct credential_request *request = place->request;

    out->mount = tree_string(tree_get(vault, "mount"));
    out->role = tree_string(tree_get(vault, "role"));
    if (!vault_is_given(out->mount) || !vault_is_given(out->role) || !vault_is_path(out->mount))
        return error_set(err, ERROR_INVALID, "authentication: kubernetes needs mount and role");
    if (credential && credential->type == TREE_MAP && !vault_is_given(name) && !vault_is_given(file))
        return error_set(err, ERROR_INVALID, "credential needs serviceAccountName, or serviceAccount");
    if (vault_is_given(name)) { /* of the object's own namespace, whoever wrote the authentication */
        out->account = name;
        out->account_ns = request->object_ns ? request->object_ns : request->ns;
        return true;
    }
    out->token_file = vault_is_given(file) ? file : OWN_TOKEN;
    if (place->store->settings.own_where_named && strcmp(out->token_file, OWN_TOKEN) == 0 &&
        !is_named(place, out->server.address))
        return error_set(err, ERROR_DENIED,
                         "the token of " OWN_TOKEN " is sent from here to the Vault of $VAULT_ADDR alone, for "
                         "namespaces that --vault-namespaces names");
    if (may_use_own(place, out->server.address))
        return true;
    return error_set(err, ERROR_DENIED,
                     "the token of %s is only " OWN_IS_FOR ": name an account of the namespace by "
                     "credential.serviceAccountName",
                     out->token_file);
}

static void fill_login(struct fetched *f, const struct login *from)
{
    struct login *spec = f->spec = arena_alloc(f->arena, sizeof(*spec));

    spec->server.address = arena_copy(f->arena, from->server.address);
    spec->server.ns = arena_copy(f->arena, from->server.ns);
    spec->token = secret_ref(from->token);
    spec->mount = arena_copy(f->arena, from->mount);
    spec->role = arena_copy(f->arena, from->role);
    spec->account_ns = arena_copy(f->arena, from->account_ns);
    spec->account = arena_copy(f->arena, from->account);
    spec->token_file = arena_copy(f->arena, from->token_file);
}

static struct fetched *find_login(struct credential_store *store, const struct login *like, struct error *err)
{
    struct fetch_key key;
    struct fetched *f;
    bool is_new;

    fetch_key_begin(&key, &login_kind, like->server.of);
    fetch_key_add(&key, like->server.address);
    fetch_key_add(&key, like->server.ns);
    fetch_key_add_secret(&key, like->token);
    fetch_key_add(&key, like->mount);
    fetch_key_add(&key, like->role);
    fetch_key_add(&key, like->account_ns);
    fetch_key_add(&key, like->account);
    fetch_key_add(&key, like->token_file);
    f = fetch_key_end(&key, store, &login_kind, &is_new, err);
    if (f && is_new) {
        fill_login(f, like);
        f->trusted = like->server.trusted;
        fetched_start(f);
    }
    return f;
}

struct fetched *vault_login(const struct source_place *place, const struct tree *vault, struct vault_server *server,
                            struct error *err)
{
    const char *how = tree_string(tree_get(vault, "authentication"));
    struct login like = {.mount = NULL};
    struct fetched *f = NULL;
    bool fine;

    if (!vault_read_server(vault, server, err))
        return NULL;
    server->of = place->request->cluster_kind ? NULL : place->request->ns;
    server->trusted = vault_same_origin(getenv("VAULT_ADDR"), server->address);
    like.server = *server;
    if (how && strcmp(how, "token") == 0) {
        like.token = choose_token(place, vault, server->address, err);
        fine = like.token != NULL;
    } else if (how && strcmp(how, "kubernetes") == 0) {
        fine = choose_account(place, vault, &like, err);
    } else {
        fine = error_set(err, ERROR_INVALID, "authentication has to be token or kubernetes");
    }
    if (fine)
        f = find_login(place->store, &like, err);
    secret_unref(like.token);
    return f;
}

bool vault_login_is_lent(const struct fetched *login)
{
    return ((const struct login *)login->spec)->token != NULL;
}

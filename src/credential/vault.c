/*
 * vault: secrets of HashiCorp Vault and of OpenBao, which speaks the same (keda-operator/05 3).
 *
 *     a secret (path, type, pkiData) --needs--> a login (address, namespace, token | mount and role) --needs--> a token of an account
 *
 * A login is shared by all who sign in alike, renewed at half of its life and given back when nobody needs it. A secret is read once for
 * all its keys. What Vault lends (a lease) is renewed likewise, or asked for anew before it ends; a certificate is issued anew before it
 * ends; other secrets are read again every minute, for Vault tells nobody that they changed. A token that is refused before its time was
 * revoked: we log in anew and read once more.
 *
 * $VAULT_CACERT, $VAULT_SKIP_VERIFY, $VAULT_TLS_SERVER_NAME and $VAULT_NAMESPACE count as for Vault's own tools. $VAULT_TOKEN, and the
 * token of Weir's own service account, are Weir's: they go to the Vault that $VAULT_ADDR names, or that a ClusterTriggerAuthentication
 * does, and never to an address that a TriggerAuthentication alone says (KEDA sends them to any).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hide.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential_internal.h"
#include "net/loop.h"
#include "net/transport.h"

#define OWN_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"
#define OWN_TOKEN  OWN_FOLDER "/token"

enum {
    READ_AGAIN_MS = 60 * 1000,      /* what has no lease: the kubelet looks at mounted Secrets as often */
    LOGIN_AGAIN_MS = 10 * 1000,     /* a login refused sooner after it was made is not the reason */
    ADDRESS_MAX_BYTES = 2048,
};

struct server { /* which Vault, and whose part of it */
    const char *address, *ns;
    const char *of;  /* whose manifest names it; NULL: who looks after the cluster */
    bool trusted;    /* it is the one that $VAULT_ADDR names */
};

/* ------------------------------------------------------------------ asking */

/* false: it goes wrong before anything is asked; err says why. */
static bool read_environment(struct tls_identity *tls, struct text *ca, struct error *err)
{
    const char *file = getenv("VAULT_CACERT"), *skip = getenv("VAULT_SKIP_VERIFY"),
               *name = getenv("VAULT_TLS_SERVER_NAME");

    text_init(ca, CERTIFICATE_MAX_BYTES);
    *tls = (struct tls_identity){
        .insecure = skip && (strcmp(skip, "1") == 0 || strcasecmp(skip, "true") == 0 || strcasecmp(skip, "t") == 0),
        .server_name = name && *name ? name : NULL};
    if (!file || !*file)
        return true;
    if (!file_read_plain(file, ca, err))
        return error_add_place(err, "$VAULT_CACERT");
    tls->ca_pem = ca->bytes;
    return true;
}

struct question {
    const char *method, *path;
    const struct secret *token; /* or NULL */
    const struct text *body;    /* or NULL */
};

/* https://vault:8200/v1/ and the path, whose parts are escaped. */
static void write_url(const struct server *server, const char *path, struct text *url)
{
    size_t length = strlen(server->address);

    while (length > 0 && server->address[length - 1] == '/')
        length--;
    text_append(url, server->address, length);
    text_add(url, "/v1/");
    text_add_escaped(url, path, strlen(path), "-_.~/", "%20");
}

static void fill_request(const struct server *server, const struct question *q, const struct text *url,
                         const struct tls_identity *tls, struct http_header headers[3], struct fetch_request *out)
{
    size_t count = 0;

    headers[count++] = (struct http_header){.name = "X-Vault-Request", .value = "true"};
    if (q->token)
        headers[count++] = (struct http_header){.name = "X-Vault-Token", .secret = q->token};
    if (server->ns)
        headers[count++] = (struct http_header){.name = "X-Vault-Namespace", .value = server->ns};
    *out = (struct fetch_request){.method = q->method,
                                  .url = url->bytes,
                                  .content_type = q->body ? "application/json" : NULL,
                                  .body = q->body ? q->body->bytes : NULL,
                                  .body_length = q->body ? q->body->length : 0,
                                  .tls = tls,
                                  .headers = headers,
                                  .header_count = count};
}

/* answered NULL: nobody waits, f is going. */
static void ask(struct fetched *f, const struct server *server, const struct question *q, fetch_answered *answered)
{
    struct http_header headers[3];
    struct fetch_request request;
    struct tls_identity tls;
    struct text url, ca;
    struct error err;

    text_init(&url, HTTP_URL_MAX_BYTES);
    write_url(server, q->path, &url);
    if (read_environment(&tls, &ca, &err)) {
        fill_request(server, q, &url, &tls, headers, &request);
        if (answered)
            fetched_http(f, &request, answered);
        else
            fetch_parting_word(f, &request);
    } else if (answered) {
        fetched_failed(f, &err);
    }
    text_done(&ca);
    text_done(&url);
}

/* {"lease_id":"..."}: names and values in turn. */
static void write_body(struct text *body, const char *const pairs[][2], size_t count)
{
    size_t room = 16;

    for (size_t i = 0; i < count; i++)
        room += 2 * strlen(pairs[i][0]) + 6 * strlen(pairs[i][1]) + 8;
    secret_text_init(body, room);
    for (size_t i = 0; i < count; i++) {
        text_add(body, i ? "," : "{");
        text_add_json_string(body, pairs[i][0], strlen(pairs[i][0]));
        text_add_char(body, ':');
        text_add_json_string(body, pairs[i][1], strlen(pairs[i][1]));
    }
    text_add(body, count ? "}" : "{}");
}

/* ------------------------------------------------------------------ answers */

static enum error_kind kind_of_status(int status)
{
    if (status == 401 || status == 403)
        return ERROR_DENIED;
    if (status == 404)
        return ERROR_MISSING;
    if (status == 429 || status >= 472)
        return ERROR_UNREACHABLE;
    return status >= 300 && status < 500 ? ERROR_INVALID : ERROR_NONSENSE;
}

/* The first of Vault's errors, on one line and short; what we sent may be in it. */
static void write_words(const struct fetch_answer *answer, const struct secret *sent, char *out, size_t size)
{
    const char *words = tree_string(tree_index(tree_get(answer->json, "errors"), 0));

    snprintf(out, size, "%s%.150s", words ? ": " : "", words ? words : "");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
    if (sent)
        hide_secret_bytes(out, secret_reveal(sent), secret_length(sent));
}

static bool explain(const struct server *server, const struct fetch_answer *answer, const char *what,
                    const struct secret *sent, struct error *err)
{
    char host[300] = "Vault", words[200];

    fetch_address_host(server->address, host, sizeof(host));
    if (answer->status == 0)
        return error_set(err, answer->error.kind, "Vault at %s: %s", host, answer->error.text);
    write_words(answer, sent, words, sizeof(words));
    if (answer->status >= 300 && answer->status < 400)
        return error_set(err, ERROR_INVALID,
                         "Vault at %s sends %s elsewhere, where no credential may follow: name the active node", host,
                         what);
    if (answer->status >= 200 && answer->status < 300)
        return error_set(err, ERROR_NONSENSE, "Vault at %s answered %s with what cannot be understood", host, what);
    return error_set(err, kind_of_status(answer->status), "Vault at %s answered %d to %s%s", host, answer->status, what,
                     words);
}

static bool is_fine(const struct fetch_answer *answer)
{
    return answer->status >= 200 && answer->status < 300 && answer->json;
}

/* In seconds there, in ms here; 0 where there is none. */
static int64_t life_ms(const struct tree *seconds)
{
    int64_t s;

    return tree_integer(seconds, &s) && s > 0 ? (s < CREDENTIAL_LIFE_MAX_S ? s : CREDENTIAL_LIFE_MAX_S) * 1000 : 0;
}

static bool is_true(const struct tree *node)
{
    bool yes = false;

    return tree_bool(node, &yes) && yes;
}

/* ------------------------------------------------------------------ logins */

struct login {
    struct server server;
    struct secret *token;              /* by token; else: */
    const char *mount, *role;
    const char *account_ns, *account;  /* whose token it is; account NULL: that of the file */
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

    if (is_fine(answer) && token && token[0]) {
        login_found(f, secret_new(token, strlen(token)), life_ms(tree_get(auth, "lease_duration")),
                    is_true(tree_get(auth, "renewable")));
    } else {
        explain(&spec->server, answer, "the login", spec->sent, &err);
        fetched_failed(f, &err);
    }
    keep_sent(spec, NULL);
}

static void on_looked_up(struct fetched *f, const struct fetch_answer *answer)
{
    struct login *spec = f->spec;
    const struct tree *data = tree_get(answer->json, "data");
    struct error err;

    if (is_fine(answer) && data) {
        login_found(f, secret_ref(spec->token), life_ms(tree_get(data, "ttl")), is_true(tree_get(data, "renewable")));
        return;
    }
    explain(&spec->server, answer, "the look at the token", spec->token, &err);
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
    write_body(&body, (const char *const[][2]){{"jwt", secret_reveal(token)}, {"role", spec->role}}, 2);
    ask(f, &spec->server, &(struct question){.method = "POST", .path = path.bytes, .body = &body}, on_login);
    secret_text_done(&body);
    text_done(&path);
}

static void log_in(struct fetched *f)
{
    struct login *spec = f->spec;

    if (spec->token)
        ask(f, &spec->server,
            &(struct question){.method = "GET", .path = "auth/token/lookup-self", .token = spec->token}, on_looked_up);
    else
        log_in_as_account(f);
}

/* Vault gives less and less as the longest life comes near: then a new login. */
static void on_login_renewed(struct fetched *f, const struct fetch_answer *answer)
{
    struct login *spec = f->spec;
    int64_t life = life_ms(tree_at(answer->json, "auth.lease_duration"));
    struct error err;

    if (is_fine(answer) && life > 0) {
        spec->renewable = spec->token || life >= spec->life_ms / 2;
        fetched_stays(f, life, life / 2);
    } else if (answer->status == 0 || kind_of_status(answer->status) == ERROR_UNREACHABLE) {
        explain(&spec->server, answer, "the renewal of the login", fetched_value(f, "value"), &err);
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
    write_body(&body, NULL, 0);
    ask(f, &spec->server,
        &(struct question){
            .method = "POST", .path = "auth/token/renew-self", .token = fetched_value(f, "value"), .body = &body},
        on_login_renewed);
    secret_text_done(&body);
}

/* A token that somebody gave us is theirs. */
static void login_give_back(struct fetched *f)
{
    struct login *spec = f->spec;
    struct text body;

    if (spec->token)
        return;
    write_body(&body, NULL, 0);
    ask(f, &spec->server,
        &(struct question){
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

/* A path of names; none of them may lead elsewhere. */
static bool is_path(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");

        if (length == 0 || (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += length;
        if (*path == '/' && !*++path)
            return false;
    }
    return true;
}

/* Scheme, host and port as they are written; the user's own spelling counts for both. */
static bool same_origin(const char *a, const char *b)
{
    const char *from_a = a && strstr(a, "://") ? strstr(a, "://") + 3 : NULL;
    const char *from_b = b && strstr(b, "://") ? strstr(b, "://") + 3 : NULL;
    size_t length;

    if (!from_a || !from_b)
        return false;
    length = (size_t)(from_a - a) + strcspn(from_a, "/?#");
    return length == (size_t)(from_b - b) + strcspn(from_b, "/?#") && strncasecmp(a, b, length) == 0;
}

static bool may_use_own(const struct source_place *place, const char *address)
{
    return place->request->cluster_kind || same_origin(getenv("VAULT_ADDR"), address);
}

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
        error_set(err, ERROR_DENIED,
                  "credential.token is missing, and $VAULT_TOKEN is sent only to the Vault that $VAULT_ADDR names, or "
                  "that a ClusterTriggerAuthentication does");
    else
        error_set(err, ERROR_MISSING, "credential.token is missing, and Weir has no $VAULT_TOKEN");
    return NULL;
}

static bool is_given(const char *text)
{
    return text && *text;
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
    if (!is_given(out->mount) || !is_given(out->role) || !is_path(out->mount))
        return error_set(err, ERROR_INVALID, "authentication: kubernetes needs mount and role");
    if (credential && credential->type == TREE_MAP && !is_given(name) && !is_given(file))
        return error_set(err, ERROR_INVALID, "credential needs serviceAccountName, or serviceAccount");
    if (is_given(name)) { /* of the object's own namespace, whoever wrote the authentication */
        out->account = name;
        out->account_ns = request->object_ns ? request->object_ns : request->ns;
        return true;
    }
    out->token_file = is_given(file) ? file : OWN_TOKEN;
    if (may_use_own(place, out->server.address))
        return true;
    return error_set(err, ERROR_DENIED,
                     "the token of %s is sent only to the Vault that $VAULT_ADDR names, or that a "
                     "ClusterTriggerAuthentication does: name an account of the namespace by "
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

static bool read_server(const struct tree *vault, struct server *out, struct error *err)
{
    const char *ns = tree_string(tree_get(vault, "namespace"));
    char host[300];

    out->address = tree_string(tree_get(vault, "address"));
    out->ns = is_given(ns) ? ns : is_given(getenv("VAULT_NAMESPACE")) ? getenv("VAULT_NAMESPACE") : NULL;
    if (!fetch_address_host(out->address, host, sizeof(host)) || strlen(out->address) > ADDRESS_MAX_BYTES ||
        strpbrk(out->address, "?#"))
        return error_set(err, ERROR_INVALID, "address has to be an http or https address, like https://vault:8200");
    return true;
}

static struct fetched *vault_login(const struct source_place *place, const struct tree *vault, struct server *server,
                                   struct error *err)
{
    const char *how = tree_string(tree_get(vault, "authentication"));
    struct login like = {.mount = NULL};
    struct fetched *f = NULL;
    bool fine;

    if (!read_server(vault, server, err))
        return NULL;
    server->of = place->request->cluster_kind ? NULL : place->request->ns;
    server->trusted = same_origin(getenv("VAULT_ADDR"), server->address);
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

/* ------------------------------------------------------------------ secrets */

enum read_type { READ_EITHER, READ_FIRST, READ_SECOND, READ_PKI };

struct reading {
    struct server server;
    const char *path, *body; /* body: of a certificate that is asked for; NULL: it is read */
    enum read_type type;
    struct fetched *login;
    struct secret *token; /* with which it was asked */
    char *lease;          /* NULL: none */
    int64_t life_ms;      /* of the lease at first */
    bool renewable;
};

static struct secret *secret_of(const struct tree *node)
{
    struct secret *secret;
    struct text joined;
    size_t room = 1;

    if (node->type == TREE_STRING || node->type == TREE_NUMBER)
        return secret_new(node->text, node->length);
    if (node->type == TREE_BOOL)
        return secret_new(node->boolean ? "true" : "false", node->boolean ? 4 : 5);
    if (node->type != TREE_LIST)
        return NULL;
    for (const struct tree *item = node->first; item; item = item->next)
        room += item->length + 1;
    secret_text_init(&joined, room);
    for (const struct tree *item = node->first; item; item = item->next)
        if (item->type == TREE_STRING) {
            text_add(&joined, joined.length > 0 ? "\n" : "");
            text_append(&joined, item->text, item->length);
        }
    secret = secret_new(joined.bytes, joined.length);
    secret_text_done(&joined);
    return secret;
}

static struct map *take_fields(const struct tree *fields)
{
    struct map *values = map_new();

    for (const struct tree *m = fields->first; m; m = m->next) {
        struct secret *value = secret_of(m);

        if (value)
            secret_unref(map_put(values, m->key, value));
    }
    return values;
}

/* The second version of the key-value engine puts them one level deeper. NULL: there are none. */
static const struct tree *fields_of(const struct tree *data, enum read_type type)
{
    const struct tree *inner = tree_get(data, "data");
    bool second = type == READ_SECOND || (type == READ_EITHER && inner && inner->type == TREE_MAP);
    const struct tree *fields = second ? inner : data;

    return fields && fields->type == TREE_MAP && fields->count > 0 ? fields : NULL;
}

static void send_back(struct fetched *f, const char *lease)
{
    struct reading *spec = f->spec;
    const struct secret *token = fetched_value(spec->login, "value");
    struct text body;

    if (!token)
        return;
    write_body(&body, (const char *const[][2]){{"lease_id", lease}}, 1);
    ask(f, &spec->server,
        &(struct question){.method = "POST", .path = "sys/leases/revoke", .token = token, .body = &body}, NULL);
    secret_text_done(&body);
}

/* How long what was read is good, and when it is asked for again. A lease of before that was refused somewhere goes back. */
static void take_terms(struct fetched *f, const struct tree *answer, int64_t *valid_ms, int64_t *again_ms)
{
    struct reading *spec = f->spec;
    const char *lease = tree_string(tree_get(answer, "lease_id"));
    int64_t expires_s;

    if (spec->lease && f->anew && f->state == LOOKUP_FOUND)
        send_back(f, spec->lease);
    free(spec->lease);
    spec->lease = is_given(lease) ? mem_copy(lease) : NULL;
    spec->life_ms = life_ms(tree_get(answer, "lease_duration"));
    spec->renewable = spec->lease && is_true(tree_get(answer, "renewable"));
    *valid_ms = 0;
    *again_ms = READ_AGAIN_MS;
    if (spec->lease && spec->life_ms > 0) {
        *valid_ms = spec->life_ms;
        *again_ms = spec->life_ms / 2;
    } else if (spec->type == READ_PKI && tree_integer(tree_at(answer, "data.expiration"), &expires_s) &&
               expires_s > 0 && expires_s < INT64_MAX / 1000) {
        *valid_ms = expires_s * 1000 - loop_now_ms(f->store->parts.loop);
        *again_ms = *valid_ms > 2000 ? *valid_ms / 3 * 2 : READ_AGAIN_MS;
        *valid_ms = *valid_ms > 0 ? *valid_ms : 1;
    }
}

static void fail_reading(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    struct error err;
    char host[300] = "";

    fetch_address_host(spec->server.address, host, sizeof(host));
    if (answer->status == 404)
        error_set(&err, ERROR_MISSING,
                  "Vault at %s has nothing at %s; with the second version of the key-value engine the path has data/ "
                  "behind the mount",
                  host, spec->path);
    else
        explain(&spec->server, answer, spec->path, spec->token, &err);
    fetched_failed(f, &err);
}

/* A token that was good a while ago: perhaps it was revoked. true: it waits for a new one. */
static bool logs_in_anew(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    struct fetched *login = spec->login;

    if (answer->status != 403)
        return false;
    if (fetched_value(login, "value") && !secret_equal(fetched_value(login, "value"), spec->token)) {
        f->kind->begin(f); /* it has another one by now */
        return true;
    }
    if (!f->need.on || ((struct login *)login->spec)->token ||
        loop_ticks_ms(f->store->parts.loop) - login->fetched_ticks_ms < LOGIN_AGAIN_MS)
        return false;
    fetched_again(login);
    return true;
}

static void on_read(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    const struct tree *fields = is_fine(answer) ? fields_of(tree_get(answer->json, "data"), spec->type) : NULL;
    int64_t valid_ms, again_ms;

    if (fields) {
        take_terms(f, answer->json, &valid_ms, &again_ms);
        fetched_found(f, take_fields(fields), valid_ms, again_ms);
    } else if (is_fine(answer)) { /* read, and there is nothing in it */
        fail_reading(f, &(struct fetch_answer){.status = 404});
    } else if (!logs_in_anew(f, answer)) {
        fail_reading(f, answer);
    }
}

static void read_secret(struct fetched *f)
{
    struct reading *spec = f->spec;
    struct text body;

    text_init(&body, CREDENTIAL_ANSWER_MAX_BYTES);
    text_add(&body, spec->body);
    ask(f, &spec->server,
        &(struct question){.method = spec->body ? "POST" : "GET",
                           .path = spec->path,
                           .token = spec->token,
                           .body = spec->body ? &body : NULL},
        on_read);
    text_done(&body);
}

static void on_lease_renewed(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    int64_t life = life_ms(tree_get(answer->json, "lease_duration"));
    struct error err;

    if (is_fine(answer) && life > 0) {
        spec->renewable = life >= spec->life_ms / 2;
        fetched_stays(f, life, life / 2);
    } else if (answer->status == 0 || kind_of_status(answer->status) == ERROR_UNREACHABLE) {
        explain(&spec->server, answer, "the renewal of a lease", spec->token, &err);
        fetched_failed(f, &err);
    } else {
        read_secret(f);
    }
}

static void renew_lease(struct fetched *f)
{
    struct reading *spec = f->spec;
    char seconds[32];
    struct text body;

    snprintf(seconds, sizeof(seconds), "%lld", (long long)(spec->life_ms / 1000));
    write_body(&body, (const char *const[][2]){{"lease_id", spec->lease}, {"increment", seconds}}, 2);
    ask(f, &spec->server,
        &(struct question){.method = "POST", .path = "sys/leases/renew", .token = spec->token, .body = &body},
        on_lease_renewed);
    secret_text_done(&body);
}

static void reading_begin(struct fetched *f)
{
    struct reading *spec = f->spec;

    if (fetched_needs(f, spec->login) != LOOKUP_FOUND)
        return;
    /* What was lent to a token of before ends with it. */
    bool same = secret_equal(spec->token, fetched_value(spec->login, "value"));
    secret_unref(spec->token);
    spec->token = secret_ref((struct secret *)(uintptr_t)fetched_value(spec->login, "value"));
    if (same && !f->anew && spec->lease && spec->renewable && fetched_is_good(f))
        renew_lease(f);
    else
        read_secret(f);
}

static void reading_give_back(struct fetched *f)
{
    struct reading *spec = f->spec;

    if (spec->lease)
        send_back(f, spec->lease);
}

static void reading_forget(void *arg)
{
    struct reading *spec = arg;

    secret_unref(spec->token);
    free(spec->lease);
}

static const struct fetch_kind reading_kind = {.what = "a secret of Vault",
                                               .unused_ms = CREDENTIAL_UNUSED_MS,
                                               .begin = reading_begin,
                                               .give_back = reading_give_back,
                                               .forget = reading_forget};

/* ------------------------------------------------------------------ which secret */

static bool read_type(const struct tree *item, enum read_type *out, struct error *err)
{
    static const char *const names[] = {"", "secret", "secretV2", "pki"};
    const char *type = tree_string(tree_get(item, "type"));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(type ? type : "", names[i]) == 0) {
            *out = (enum read_type)i;
            return true;
        }
    return error_set(err, ERROR_INVALID, "type has to be secret, secretV2 or pki");
}

static void write_certificate_request(const struct tree *pki, struct text *body)
{
    static const char *const names[][2] = {{"commonName", "common_name"}, {"altNames", "alt_names"},
                                           {"ipSans", "ip_sans"},         {"uriSans", "uri_sans"},
                                           {"otherSans", "other_sans"},   {"ttl", "ttl"},
                                           {"format", "format"}};
    size_t written = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = tree_string(tree_get(pki, names[i][0]));

        if (!is_given(value))
            continue;
        text_printf(body, "%c\"%s\":", written++ ? ',' : '{', names[i][1]);
        text_add_json_string(body, value, strlen(value));
    }
    text_add(body, written ? "}" : "{}");
}

static struct fetched *find_reading(struct credential_store *store, const struct reading *like, struct error *err)
{
    struct fetch_key key;
    struct fetched *f;
    struct reading *spec;
    bool is_new;

    fetch_key_begin(&key, &reading_kind, like->server.of);
    fetch_key_add(&key, like->login->key);
    fetch_key_add(&key, like->path);
    fetch_key_add(&key, like->body);
    fetch_key_add(&key, (const char *[]){"either", "first", "second", "pki"}[like->type]);
    f = fetch_key_end(&key, store, &reading_kind, &is_new, err);
    if (!f || !is_new)
        return f;
    spec = f->spec = arena_alloc(f->arena, sizeof(*spec));
    spec->server.address = arena_copy(f->arena, like->server.address);
    spec->server.ns = arena_copy(f->arena, like->server.ns);
    spec->path = arena_copy(f->arena, like->path);
    spec->body = arena_copy(f->arena, like->body);
    spec->type = like->type;
    spec->login = like->login;
    f->trusted = like->server.trusted;
    fetched_start(f);
    return f;
}

struct fetched *vault_secret(const struct source_place *place, const struct tree *vault, const struct tree *item,
                             struct error *err)
{
    struct reading like = {.path = tree_string(tree_get(item, "path"))};
    struct fetched *f = NULL;
    struct text body;

    if (!place->store->parts.transport) {
        error_set(err, ERROR_INVALID, "Vault is asked where Weir runs, not here");
        return NULL;
    }
    while (like.path && *like.path == '/')
        like.path++;
    if (!is_given(like.path) || !is_path(like.path)) {
        error_set(err, ERROR_INVALID, "path has to be that of a secret, like secret/data/redis");
        return NULL;
    }
    text_init(&body, CREDENTIAL_ANSWER_MAX_BYTES);
    if (read_type(item, &like.type, err) && (like.login = vault_login(place, vault, &like.server, err))) {
        write_certificate_request(tree_get(item, "pkiData"), &body);
        like.body = like.type == READ_PKI ? body.bytes : NULL;
        f = find_reading(place->store, &like, err);
    }
    text_done(&body);
    return f;
}

/*
 * oauth: tokens by OAuth2 client credentials (RFC 6749 4.4), for triggers with authModes: oauth. One for each client and destination,
 * asked for by whoever needs it first, renewed at four fifths of its life, and anew when the destination refuses it.
 *
 * Where id and secret stand in the question nobody says beforehand: as Go's library does, first as a basic sign-in, and if that is refused
 * in the form (_common.md 6); what worked is remembered. The answer to a redirect would carry both elsewhere: none is followed.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hide.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential_internal.h"
#include "net/loop.h"
#include "net/transport.h"

enum {
    UNUSED_MS = 10 * 60 * 1000, /* longer than most polling intervals: nobody holds a token between two polls */
    MARGIN_MS = 10 * 1000,      /* clocks differ, and a question is under way for a while */
    YOUNG_MS = 5 * 1000,        /* a token that was refused sooner after it was made is not what is wrong */
};

enum style { STYLE_UNKNOWN, STYLE_BASIC, STYLE_FORM };

struct client {
    const char *token_url, *id, *scopes, *params, *host;
    struct secret *secret; /* or NULL */
    struct tls_identity tls;
    bool has_tls;
    enum style style, tried;
};

/* ------------------------------------------------------------------ asking */

static void add_field(struct text *form, const char *name, const char *bytes, size_t length)
{
    text_printf(form, "%s%s=", form->length > 0 ? "&" : "", name);
    text_add_escaped(form, bytes, length, "-_.~", "+");
}

static void write_form(const struct client *c, struct text *form)
{
    size_t secret_bytes = c->secret ? secret_length(c->secret) : 0;

    secret_text_init(form, 200 + 3 * (strlen(c->id) + secret_bytes + (c->scopes ? strlen(c->scopes) : 0)) +
                               (c->params ? strlen(c->params) : 0));
    add_field(form, "grant_type", "client_credentials", strlen("client_credentials"));
    if (c->scopes)
        add_field(form, "scope", c->scopes, strlen(c->scopes));
    if (c->tried == STYLE_FORM) {
        add_field(form, "client_id", c->id, strlen(c->id));
        if (c->secret)
            add_field(form, "client_secret", secret_reveal(c->secret), secret_bytes);
    }
    if (c->params && c->params[0])
        text_printf(form, "&%s", c->params);
}

/* Both are escaped before they are joined (RFC 6749 2.3.1): a colon in the id is not the one between them. */
static struct secret *make_basic(const struct client *c)
{
    size_t secret_bytes = c->secret ? secret_length(c->secret) : 0;
    struct secret *basic;
    struct text plain, encoded;

    secret_text_init(&plain, 3 * (strlen(c->id) + secret_bytes) + 1);
    text_add_escaped(&plain, c->id, strlen(c->id), "-_.~", "+");
    text_add_char(&plain, ':');
    if (c->secret)
        text_add_escaped(&plain, secret_reveal(c->secret), secret_bytes, "-_.~", "+");
    secret_text_init(&encoded, plain.length / 3 * 4 + 8);
    encoded.length =
        (size_t)EVP_EncodeBlock((unsigned char *)encoded.bytes, (const unsigned char *)plain.bytes, (int)plain.length);
    basic = secret_new(encoded.bytes, encoded.length);
    secret_text_done(&encoded);
    secret_text_done(&plain);
    return basic;
}

static void on_token(struct fetched *f, const struct fetch_answer *answer);

static void ask(struct fetched *f, enum style style)
{
    struct client *c = f->spec;
    struct secret *basic = NULL;
    struct http_header headers[2] = {{.name = "Accept", .value = "application/json"}};
    struct fetch_request request = {.method = "POST",
                                    .url = c->token_url,
                                    .content_type = "application/x-www-form-urlencoded",
                                    .tls = c->has_tls ? &c->tls : NULL,
                                    .headers = headers,
                                    .header_count = 1};
    struct text form;

    c->tried = style;
    if (style == STYLE_BASIC) {
        basic = make_basic(c);
        headers[request.header_count++] =
            (struct http_header){.name = "Authorization", .value = "Basic ", .secret = basic};
    }
    write_form(c, &form);
    request.body = form.bytes;
    request.body_length = form.length;
    fetched_http(f, &request, on_token);
    secret_text_done(&form);
    secret_unref(basic);
}

/* ------------------------------------------------------------------ the answer */

/* "invalid_client, no such client": short, on one line, without what we sent. */
static void write_words(const struct client *c, const struct tree *json, char *out, size_t size)
{
    const char *code = tree_string(tree_get(json, "error"));
    const char *words = tree_string(tree_get(json, "error_description"));

    snprintf(out, size, "%s%.50s%s%.120s", code ? ": " : "", code ? code : "", code && words ? ", " : "",
             code && words ? words : "");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
    if (c->secret)
        hide_secret_bytes(out, secret_reveal(c->secret), secret_length(c->secret));
}

static void explain(const struct client *c, const struct fetch_answer *answer, struct error *err)
{
    char words[250];

    write_words(c, answer->json, words, sizeof(words));
    if (answer->status == 0)
        error_set(err, answer->error.kind, "no token from %s: %s", c->host, answer->error.text);
    else if (answer->status == 400 || answer->status == 401 || answer->status == 403)
        error_set(err, ERROR_DENIED, "%s gives no token, it answered %d: check clientID and clientSecret%s", c->host,
                  answer->status, words);
    else if (answer->status >= 300 && answer->status < 400)
        error_set(err, ERROR_INVALID,
                  "%s sends the question for a token elsewhere, where no credential may follow: name the right "
                  "oauthTokenURI",
                  c->host);
    else if (answer->status == 429 || answer->status >= 500)
        error_set(err, ERROR_UNREACHABLE, "%s gives no token, it answered %d%s", c->host, answer->status, words);
    else
        error_set(err, answer->status == 404 ? ERROR_INVALID : ERROR_NONSENSE,
                  "%s gives no token, it answered %d without an access_token: is oauthTokenURI right?", c->host,
                  answer->status);
}

static void keep(struct fetched *f, const char *token, const struct tree *json)
{
    double seconds;
    int64_t life_ms = 0;

    if (tree_number(tree_get(json, "expires_in"), &seconds) && seconds >= 1)
        life_ms = (int64_t)(seconds < CREDENTIAL_LIFE_MAX_S ? seconds : CREDENTIAL_LIFE_MAX_S) * 1000;
    fetched_found_one(f, secret_new(token, strlen(token)), life_ms > 2 * MARGIN_MS ? life_ms - MARGIN_MS : life_ms,
                      life_ms / 5 * 4);
}

static void on_token(struct fetched *f, const struct fetch_answer *answer)
{
    struct client *c = f->spec;
    const char *token = tree_string(tree_get(answer->json, "access_token"));
    struct error err;

    if (answer->status >= 200 && answer->status < 300 && token && token[0]) {
        c->style = c->tried;
        keep(f, token, answer->json);
    } else if (c->style == STYLE_UNKNOWN && c->tried == STYLE_BASIC && answer->status >= 400 && answer->status < 500) {
        ask(f, STYLE_FORM);
    } else {
        explain(c, answer, &err);
        fetched_failed(f, &err);
    }
}

/* ------------------------------------------------------------------ the kind */

static void begin(struct fetched *f)
{
    const struct client *c = f->spec;

    ask(f, c->style == STYLE_UNKNOWN ? STYLE_BASIC : c->style);
}

static void forget(void *spec)
{
    struct client *c = spec;

    secret_unref(c->secret);
    secret_unref((struct secret *)(uintptr_t)c->tls.key_pem);
    secret_unref((struct secret *)(uintptr_t)c->tls.key_password);
}

static const struct fetch_kind kind = {
    .what = "an OAuth2 token", .unused_ms = UNUSED_MS, .begin = begin, .forget = forget};

static void add_identity(struct fetch_key *key, const struct tls_identity *tls)
{
    fetch_key_add(key, tls ? tls->insecure ? "insecure" : "" : NULL);
    fetch_key_add(key, tls && tls->only_ca ? "only" : "");
    fetch_key_add(key, tls ? tls->ca_pem : NULL);
    fetch_key_add(key, tls ? tls->certificate_pem : NULL);
    fetch_key_add_secret(key, tls ? tls->key_pem : NULL);
    fetch_key_add_secret(key, tls ? tls->key_password : NULL);
    fetch_key_add(key, tls ? tls->server_name : NULL);
}

static const struct secret *ref(const struct secret *secret)
{
    return secret_ref((struct secret *)(uintptr_t)secret);
}

static void copy_identity(struct arena *arena, const struct tls_identity *from, struct tls_identity *to)
{
    *to = *from;
    to->ca_pem = arena_copy(arena, from->ca_pem);
    to->certificate_pem = arena_copy(arena, from->certificate_pem);
    to->server_name = arena_copy(arena, from->server_name);
    to->key_pem = ref(from->key_pem);
    to->key_password = ref(from->key_password);
}

static void fill(struct fetched *f, const struct credential_client *from, const char *host)
{
    struct client *c = f->spec = arena_alloc(f->arena, sizeof(*c));

    c->token_url = arena_copy(f->arena, from->token_url);
    c->host = arena_copy(f->arena, host);
    c->id = arena_copy(f->arena, from->id);
    c->scopes = from->scopes && from->scopes[0] ? arena_copy(f->arena, from->scopes) : NULL;
    c->params = arena_copy(f->arena, from->params);
    c->secret = (struct secret *)(uintptr_t)ref(from->secret);
    c->has_tls = from->tls != NULL;
    if (from->tls)
        copy_identity(f->arena, from->tls, &c->tls);
}

static struct fetched *find(struct credential_store *store, const struct credential_client *client, struct error *err)
{
    struct fetch_key key;
    struct fetched *f;
    bool is_new;
    char host[300];

    if (!fetch_address_host(client->token_url, host, sizeof(host))) {
        error_set(err, ERROR_INVALID, "oauthTokenURI has to be an http or https address without a user in it");
        return NULL;
    }
    fetch_key_begin(&key, &kind, client->ns);
    key.owner = client->ns ? client->ns : client->owner;
    fetch_key_add(&key, client->token_url);
    fetch_key_add(&key, client->id);
    fetch_key_add_secret(&key, client->secret);
    fetch_key_add(&key, client->scopes);
    fetch_key_add(&key, client->params);
    fetch_key_add(&key, client->destination);
    add_identity(&key, client->tls);
    f = fetch_key_end(&key, store, &kind, &is_new, err);
    if (f && is_new) {
        fill(f, client, host);
        fetched_start(f);
    }
    return f;
}

/* A token that is over, or was just refused, is good for nothing. false: it was made just now, so another one would not help. */
static bool ask_anew(struct fetched *f, struct error *err)
{
    const struct client *c = f->spec;
    int64_t now = loop_ticks_ms(f->store->parts.loop);

    if (fetched_is_good(f) && now - f->fetched_ticks_ms < YOUNG_MS)
        return error_set(err, ERROR_DENIED, "a new token of %s is refused as well: check its scopes and audience",
                         c->host);
    f->ends_ticks_ms = now;
    fetched_again(f);
    return true;
}

enum lookup credential_store_token(struct credential_store *store, const struct credential_client *client,
                                   const struct secret *refused, struct secret **token, struct error *err,
                                   struct credential_waiter *waiter)
{
    struct fetched *f = find(store, client, err);
    const struct secret *value;

    if (!f)
        return LOOKUP_DENIED;
    enum lookup known = fetched_ask(f, NULL, err);
    if (known != LOOKUP_FOUND && known != LOOKUP_PENDING)
        return known;
    value = fetched_value(f, "value");
    if (known == LOOKUP_FOUND && fetched_is_good(f) && !(refused && secret_equal(value, refused))) {
        *token = secret_ref((struct secret *)(uintptr_t)value);
        return LOOKUP_FOUND;
    }
    if (known == LOOKUP_FOUND && !ask_anew(f, err))
        return LOOKUP_DENIED;
    fetched_wait(f, waiter);
    return LOOKUP_PENDING;
}

/*
 * auth: the parameters by which an HTTP source is signed in to, shared by all types that have them (_common.md 6), and
 * what they add to a request. Without authModes the whole block is off, but for `ca`, which is about the server.
 *
 * Secrets are handed to the transport as secrets: it alone reveals them, and drops them when a redirect leads elsewhere.
 *
 * A token by OAuth2 client credentials is not there when a request is signed: it is taken when the request goes out (asked_token),
 * from the store that keeps it for all polls of this client to this destination, or fetches it.
 */
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"
#include "credential/credential.h"
#include "trigger/trigger_internal.h"

#define PARAM_STRUCT struct http_auth
static const struct param auth_params[] = {
    {"authModes", PARAM_LIST(mode_names), .aliases = "authMode", .from = "MA",
     .choices = "apiKey,basic,tls,bearer,custom,oauth", .exclusive = "bearer,basic,oauth",
     .help = "how to sign in: apiKey, basic, tls, bearer, custom, oauth; several with commas"},
    {"bearerToken", PARAM_SECRET(bearer), .aliases = "token", .from = "A", .help = "for bearer"},
    {"username", PARAM_TEXT(username), .from = "A", .help = "for basic"},
    {"password", PARAM_SECRET(password), .from = "A", .help = "for basic; may be empty"},
    {"cert", PARAM_TEXT(certificate), .from = "A", .help = "for tls: the client's certificate, PEM"},
    {"key", PARAM_SECRET(key), .from = "A", .help = "for tls: its key, PEM"},
    {"ca", PARAM_TEXT(ca), .from = "A", .help = "certificates trusted besides the system's, PEM"},
    {"customAuthHeader", PARAM_TEXT(custom_header), .from = "A", .help = "for custom: the header's name"},
    {"customAuthValue", PARAM_SECRET(custom_value), .from = "A", .help = "for custom: its value"},
    {"apiKey", PARAM_SECRET(api_key), .from = "MA", .help = "for apiKey"},
    {"method", PARAM_CHOICE(method, "header,query"), .from = "MA", .fallback = "header",
     .help = "for apiKey: where it goes, header or query"},
    {"keyParamName", PARAM_TEXT(key_name), .from = "MA", .help = "for apiKey: the header's or parameter's name"},
    {"oauthTokenURI", PARAM_TEXT(token_url), .from = "A", .address = true, .help = "for oauth"},
    {"scopes", PARAM_LIST(scopes), .aliases = "scope", .from = "A", .help = "for oauth"},
    {"clientID", PARAM_TEXT(client_id), .from = "A", .help = "for oauth"},
    {"clientSecret", PARAM_SECRET(client_secret), .from = "A", .help = "for oauth"},
    {"endpointParams", PARAM_TEXT(endpoint_params), .from = "A", .help = "for oauth"},
    {0},
};
#undef PARAM_STRUCT

static unsigned mode_bit(const char *name)
{
    static const char *const names[] = {"apiKey", "basic", "tls", "bearer", "custom", "oauth"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return 1u << i;
    return 0;
}

static const char *given(const void *value)
{
    return value ? "given" : "not given";
}

/* In lint without the TriggerAuthentication at hand, what it would supply is not missed. */
static bool needs(struct trigger_check *check, const char *mode, const char *names, bool complete, const char *state)
{
    if (complete || check_input(check)->credential_unknown)
        return true;
    return check_error(check, "authModes",
                       "put them into the Secret the TriggerAuthentication refers to, or leave the mode out",
                       "authModes: %s needs %s (%s)", mode, names, state);
}

static void check_ca(struct trigger_check *check, const struct http_auth *auth)
{
    if (auth->ca && !strstr(auth->ca, "-----BEGIN CERTIFICATE-----"))
        check_warning(check, "ca", "put the PEM text of a certificate there",
                      "ca holds no certificate: every poll over https fails");
}

static bool auth_check(void *block, struct trigger_check *check)
{
    struct http_auth *auth = block;
    struct arena *scratch = check->scratch;

    for (size_t i = 0; auth->mode_names && i < auth->mode_names->count; i++)
        auth->modes |= mode_bit(auth->mode_names->items[i]);
    if (auth->modes & HTTP_AUTH_API_KEY)
        needs(check, "apiKey", "apiKey", auth->api_key, "not given");
    if (auth->modes & HTTP_AUTH_BASIC)
        needs(check, "basic", "username", auth->username, "not given");
    if (auth->modes & HTTP_AUTH_BEARER)
        needs(check, "bearer", "bearerToken", auth->bearer, "not given");
    if (auth->modes & HTTP_AUTH_TLS)
        needs(check, "tls", "cert and key", auth->certificate && auth->key,
              arena_printf(scratch, "cert is %s, key is %s", given(auth->certificate), given(auth->key)));
    if (auth->modes & HTTP_AUTH_CUSTOM)
        needs(check, "custom", "customAuthHeader and customAuthValue", auth->custom_header && auth->custom_value,
              arena_printf(scratch, "customAuthHeader is %s, customAuthValue is %s", given(auth->custom_header),
                           given(auth->custom_value)));
    if (auth->modes & HTTP_AUTH_OAUTH)
        needs(check, "oauth", "oauthTokenURI and clientID", auth->token_url && auth->client_id, "not given");
    check_ca(check, auth);
    return auth->modes != 0 || auth->ca != NULL;
}

const struct param_block http_auth_block = {auth_params, sizeof(struct http_auth), auth_check};

/* ------------------------------------------------------------------ signing */

static struct secret *encode_basic(struct arena *arena, const struct http_auth *auth)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t name_length = strlen(auth->username), secret_bytes = auth->password ? secret_length(auth->password) : 0;
    size_t length = name_length + 1 + secret_bytes, out = 0;
    unsigned char *plain = arena_alloc(arena, length + 3);
    char *encoded = arena_alloc(arena, (length + 2) / 3 * 4 + 1);
    struct secret *secret;

    memcpy(plain, auth->username, name_length);
    plain[name_length] = ':';
    if (secret_bytes > 0)
        memcpy(plain + name_length + 1, secret_reveal(auth->password), secret_bytes);
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = (unsigned)plain[i] << 16 | (unsigned)plain[i + 1] << 8 | plain[i + 2];

        encoded[out++] = digits[group >> 18 & 63];
        encoded[out++] = digits[group >> 12 & 63];
        encoded[out++] = i + 1 < length ? digits[group >> 6 & 63] : '=';
        encoded[out++] = i + 2 < length ? digits[group & 63] : '=';
    }
    secret = secret_new(encoded, out);
    explicit_bzero(plain, length);
    explicit_bzero(encoded, out);
    return secret;
}

/* Once a poll, however many requests it makes; all of them are of one trigger. */
static void sign_basic(struct request *request, const struct http_auth *auth)
{
    struct poll *poll = request->poll;

    if (!poll->basic)
        poll->basic = encode_basic(poll->arena, auth);
    request_header_secret(request, "Authorization", "Basic ", poll->basic);
}

static void sign_api_key(struct request *request, const struct http_auth *auth)
{
    if (auth->method == 1)
        request_query_secret(request, auth->key_name ? auth->key_name : "api_key", auth->api_key);
    else
        request_header_secret(request, auth->key_name ? auth->key_name : "X-API-KEY", "", auth->api_key);
}

static void sign_tls(struct request *request, const struct http_auth *auth, bool unsafe)
{
    request->tls.insecure = unsafe;
    request->tls.ca_pem = auth ? auth->ca : NULL;
    if (auth && auth->modes & HTTP_AUTH_TLS && auth->certificate && auth->key) {
        request->tls.certificate_pem = auth->certificate;
        request->tls.key_pem = auth->key;
        request->tls.key_password = auth->key_password;
    }
    request->has_tls = unsafe || request->tls.ca_pem || request->tls.certificate_pem;
}

void request_sign(struct request *request, const struct http_auth *auth, unsigned modes, bool first_only, bool unsafe)
{
    unsigned on = auth ? auth->modes & (modes | HTTP_AUTH_OAUTH) : 0;

    sign_tls(request, auth, unsafe);
    if (on & HTTP_AUTH_BEARER) {
        request_header_secret(request, "Authorization", "Bearer ", auth->bearer);
        if (first_only)
            return;
    }
    if (on & HTTP_AUTH_BASIC) {
        sign_basic(request, auth);
        if (first_only)
            return;
    }
    if (on & HTTP_AUTH_OAUTH) {
        request->oauth = auth;
        if (first_only)
            return;
    }
    if (on & HTTP_AUTH_CUSTOM)
        request_header_secret(request, auth->custom_header, "", auth->custom_value);
    if (on & HTTP_AUTH_API_KEY)
        sign_api_key(request, auth);
}

/* ------------------------------------------------------------------ tokens */

static const char *join_scopes(struct arena *arena, const struct param_list *scopes)
{
    const char *joined = NULL;

    for (size_t i = 0; scopes && i < scopes->count; i++)
        joined = joined ? arena_printf(arena, "%s %s", joined, scopes->items[i]) : scopes->items[i];
    return joined;
}

/* The server of tokens is another one than that of the request: it sees what is trusted, but no client certificate. */
enum lookup asked_token(struct asked *asked, struct error *err)
{
    struct poll *poll = asked->poll;
    const struct http_auth *auth = asked->request->oauth;
    struct tls_identity tls = {.insecure = asked->request->tls.insecure, .ca_pem = asked->request->tls.ca_pem};
    struct credential_client client = {.token_url = auth->token_url,
                                       .id = auth->client_id,
                                       .secret = auth->client_secret,
                                       .scopes = join_scopes(poll->arena, auth->scopes),
                                       .params = auth->endpoint_params,
                                       .tls = tls.insecure || tls.ca_pem ? &tls : NULL,
                                       .ns = flight_of(poll)->trigger->ns,
                                       .owner = flight_of(poll)->trigger->share};
    struct secret *token = NULL;
    char destination[300];
    enum lookup found;

    if (!url_destination(auth->token_url, destination, sizeof(destination)))
        destination[0] = '\0'; /* nowhere: among no hosts */
    if (!credential_may_go(flight_of(poll)->trigger->allowed_hosts, destination, err))
        return LOOKUP_DENIED;
    if (url_destination(asked->request->url, destination, sizeof(destination)))
        client.destination = destination;
    found = credential_store_token(flight_of(poll)->engine->credentials, &client,
                                   asked->wants_other ? asked->token : NULL, &token, err, &asked->token_waiter);
    if (found == LOOKUP_FOUND) {
        secret_unref(asked->token);
        asked->token = token;
        asked->wants_other = false;
        poll_note_sent(poll, token);
    }
    return found;
}

void asked_forget_token(struct asked *asked)
{
    credential_wait_end(&asked->token_waiter);
    loop_timer_free(asked->token_timer);
    asked->token_timer = NULL;
    secret_unref(asked->token);
    asked->token = NULL;
}

/*
 * vault: secrets of HashiCorp Vault and of OpenBao, which speaks the same (keda-operator/05 3).
 *
 *     a secret (path, type, pkiData) --needs--> a login (address, namespace, token | mount and role) --needs--> a token of an account
 *
 * A login is shared by all who sign in alike, renewed at half of its life and given back when nobody needs it. A secret is read once for
 * all its keys. What Vault lends (a lease) is renewed likewise, or asked for anew before it ends; a certificate is issued anew before it
 * ends; other secrets are read again every minute, for Vault tells nobody that they changed. A token that is refused before its time was
 * revoked: we log in anew and read once more. A lease that was replaced goes back a while later, for others may not know yet.
 *
 * $VAULT_CACERT, $VAULT_SKIP_VERIFY, $VAULT_TLS_SERVER_NAME and $VAULT_NAMESPACE count as for Vault's own tools. $VAULT_TOKEN, and the
 * token of Weir's own service account, are Weir's: they are for ClusterTriggerAuthentications, and for the namespaces that
 * --vault-namespaces names, but then only for the Vault of $VAULT_ADDR (KEDA sends them to any address that anybody writes).
 */
#include "credential/vault_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/hide.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "net/transport.h"

enum { ADDRESS_MAX_BYTES = 2048 };

/* ------------------------------------------------------------------ which Vault */

bool vault_is_given(const char *text)
{
    return text && *text;
}

bool vault_is_path(const char *path)
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
bool vault_same_origin(const char *a, const char *b)
{
    const char *from_a = a && strstr(a, "://") ? strstr(a, "://") + 3 : NULL;
    const char *from_b = b && strstr(b, "://") ? strstr(b, "://") + 3 : NULL;
    size_t length;

    if (!from_a || !from_b)
        return false;
    length = (size_t)(from_a - a) + strcspn(from_a, "/?#");
    return length == (size_t)(from_b - b) + strcspn(from_b, "/?#") && strncasecmp(a, b, length) == 0;
}

bool vault_read_server(const struct tree *vault, struct vault_server *out, struct error *err)
{
    const char *ns = tree_string(tree_get(vault, "namespace"));
    char host[300];

    out->address = tree_string(tree_get(vault, "address"));
    out->ns = vault_is_given(ns) ? ns : vault_is_given(getenv("VAULT_NAMESPACE")) ? getenv("VAULT_NAMESPACE") : NULL;
    if (!fetch_address_host(out->address, host, sizeof(host)) || strlen(out->address) > ADDRESS_MAX_BYTES ||
        strpbrk(out->address, "?#"))
        return error_set(err, ERROR_INVALID, "address has to be an http or https address, like https://vault:8200");
    return true;
}

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

/* https://vault:8200/v1/ and the path, whose parts are escaped. */
static void write_url(const struct vault_server *server, const char *path, struct text *url)
{
    size_t length = strlen(server->address);

    while (length > 0 && server->address[length - 1] == '/')
        length--;
    text_append(url, server->address, length);
    text_add(url, "/v1/");
    text_add_escaped(url, path, strlen(path), "-_.~/", "%20");
}

static void fill_request(const struct vault_server *server, const struct vault_question *q, const struct text *url,
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

void vault_ask(struct fetched *f, const struct vault_server *server, const struct vault_question *q,
               fetch_answered *answered)
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

void vault_write_body(struct text *body, const char *const pairs[][2], size_t count)
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

enum error_kind vault_status_kind(int status)
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

bool vault_explain(const struct vault_server *server, const struct fetch_answer *answer, const char *what,
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
    return error_set(err, vault_status_kind(answer->status), "Vault at %s answered %d to %s%s", host, answer->status,
                     what, words);
}

bool vault_is_fine(const struct fetch_answer *answer)
{
    return answer->status >= 200 && answer->status < 300 && answer->json;
}

/* In seconds there, in ms here; 0 where there is none. */
int64_t vault_life_ms(const struct tree *seconds)
{
    int64_t s;

    return tree_integer(seconds, &s) && s > 0 ? (s < CREDENTIAL_LIFE_MAX_S ? s : CREDENTIAL_LIFE_MAX_S) * 1000 : 0;
}

bool vault_is_true(const struct tree *node)
{
    bool yes = false;

    return tree_bool(node, &yes) && yes;
}

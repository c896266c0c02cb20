/*
 * vault_secret: reading what Vault keeps (both versions of the key-value engine, any other engine by its path) and having certificates
 * issued. Read once for all its keys; leases are renewed, certificates issued anew in time, the rest read again every minute.
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

enum {
    READ_AGAIN_MS = 60 * 1000,  /* what has no lease: the kubelet looks at mounted Secrets as often */
    LOGIN_AGAIN_MS = 10 * 1000, /* a login refused sooner after it was made is not the reason */
};

/* ------------------------------------------------------------------ secrets */

enum read_type { READ_EITHER, READ_FIRST, READ_SECOND, READ_PKI };

struct reading {
    struct vault_server server;
    const char *path, *body; /* body: of a certificate that is asked for; NULL: it is read */
    enum read_type type;
    struct fetched *login;
    struct secret *token; /* with which it was asked */
    char *lease;          /* NULL: none */
    char *old_lease;      /* that it replaced: perhaps still in use, so it goes back when the new one is looked after */
    bool logged_in_anew;  /* because of a refusal: the next one counts */
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

/* And forgets it. */
static void send_back(struct fetched *f, char **lease)
{
    struct reading *spec = f->spec;
    const struct secret *token = fetched_value(spec->login, "value");
    char *id = *lease;
    struct text body;

    *lease = NULL;
    if (!token || !id) {
        free(id);
        return;
    }
    vault_write_body(&body, (const char *const[][2]){{"lease_id", id}}, 1);
    vault_ask(f, &spec->server,
              &(struct vault_question){.method = "POST", .path = "sys/leases/revoke", .token = token, .body = &body},
              NULL);
    secret_text_done(&body);
    free(id);
}

static char *lease_of(const struct tree *answer)
{
    const char *lease = tree_string(tree_get(answer, "lease_id"));

    return vault_is_given(lease) ? mem_copy(lease) : NULL;
}

/* How long what was read is good, and when it is asked for again. */
static void read_terms(const struct fetched *f, const struct tree *answer, int64_t *valid_ms, int64_t *again_ms)
{
    const struct reading *spec = f->spec;
    int64_t life_ms = vault_life_ms(tree_get(answer, "lease_duration"));
    int64_t expires_s;

    *valid_ms = 0;
    *again_ms = READ_AGAIN_MS;
    if (vault_is_given(tree_string(tree_get(answer, "lease_id"))) && life_ms > 0) {
        *valid_ms = life_ms;
        *again_ms = life_ms / 2;
    } else if (spec->type == READ_PKI && tree_integer(tree_at(answer, "data.expiration"), &expires_s) &&
               expires_s > 0 && expires_s < INT64_MAX / 1000) {
        *valid_ms = expires_s * 1000 - loop_now_ms(f->store->parts.loop);
        *again_ms = *valid_ms > 2000 ? *valid_ms / 3 * 2 : READ_AGAIN_MS;
        *valid_ms = *valid_ms > 0 ? *valid_ms : 1;
    }
}

/* A lease whose values are not kept goes back; the one in use stays as it is. */
static void take(struct fetched *f, const struct tree *answer, const struct tree *fields)
{
    struct reading *spec = f->spec;
    char *lease = lease_of(answer);
    int64_t valid_ms, again_ms;

    read_terms(f, answer, &valid_ms, &again_ms);
    if (!fetched_found(f, take_fields(fields), valid_ms, again_ms)) {
        send_back(f, &lease);
        return;
    }
    send_back(f, &spec->old_lease);
    spec->old_lease = spec->lease;
    spec->lease = lease;
    spec->life_ms = vault_life_ms(tree_get(answer, "lease_duration"));
    spec->renewable = lease && vault_is_true(tree_get(answer, "renewable"));
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
        vault_explain(&spec->server, answer, spec->path, spec->token, &err);
    fetched_failed(f, &err);
}

/* A token that was good a while ago: perhaps it was revoked. true: it waits for a new one, or for why there is none. */
static bool logs_in_anew(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    struct fetched *login = spec->login;
    bool did_already = spec->logged_in_anew;

    spec->logged_in_anew = false;
    if (answer->status != 403 || did_already)
        return false;
    if (fetched_value(login, "value") && !secret_equal(fetched_value(login, "value"), spec->token)) {
        f->kind->begin(f); /* it has another one by now */
        return true;
    }
    if (!f->need.on || vault_login_is_lent(login) ||
        loop_ticks_ms(f->store->parts.loop) - login->fetched_ticks_ms < LOGIN_AGAIN_MS)
        return false;
    spec->logged_in_anew = true;
    fetched_again(login);
    return true;
}

static void on_read(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    const struct tree *fields = vault_is_fine(answer) ? fields_of(tree_get(answer->json, "data"), spec->type) : NULL;

    if (fields) {
        spec->logged_in_anew = false;
        take(f, answer->json, fields);
    } else if (vault_is_fine(answer)) { /* read, and there is nothing in it */
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
    vault_ask(f, &spec->server,
              &(struct vault_question){.method = spec->body ? "POST" : "GET",
                                       .path = spec->path,
                                       .token = spec->token,
                                       .body = spec->body ? &body : NULL},
              on_read);
    text_done(&body);
}

static void on_lease_renewed(struct fetched *f, const struct fetch_answer *answer)
{
    struct reading *spec = f->spec;
    int64_t life = vault_life_ms(tree_get(answer->json, "lease_duration"));
    struct error err;

    if (vault_is_fine(answer) && life > 0) {
        spec->renewable = life >= spec->life_ms / 2;
        send_back(f, &spec->old_lease);
        fetched_stays(f, life, life / 2);
    } else if (answer->status == 0 || vault_status_kind(answer->status) == ERROR_UNREACHABLE) {
        vault_explain(&spec->server, answer, "the renewal of a lease", spec->token, &err);
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
    vault_write_body(&body, (const char *const[][2]){{"lease_id", spec->lease}, {"increment", seconds}}, 2);
    vault_ask(
        f, &spec->server,
        &(struct vault_question){.method = "POST", .path = "sys/leases/renew", .token = spec->token, .body = &body},
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

    send_back(f, &spec->old_lease);
    send_back(f, &spec->lease);
}

static void reading_forget(void *arg)
{
    struct reading *spec = arg;

    secret_unref(spec->token);
    free(spec->lease);
    free(spec->old_lease);
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

        if (!vault_is_given(value))
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

/* What Vault says about itself, who is who and what logs in is no secret of an application's: with a login of Weir's own whoever
   writes a path could have its token read out to him, or act as Weir (a certificate is asked for by POST). */
static bool is_secret_path(const char *path, enum read_type type, struct error *err)
{
    static const char *const closed[] = {"auth/", "sys/", "identity/", "cubbyhole/"};

    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        if (string_starts(path, closed[i]) || strstr(path, "/auth/token/")) /* also behind the name of a namespace */
            return error_set(err, ERROR_INVALID,
                             "path is about Vault itself; it has to be that of a secret, like "
                             "secret/data/redis");
    if (type == READ_PKI && !strstr(path, "/issue/") && !strstr(path, "/sign/"))
        return error_set(err, ERROR_INVALID, "path of a certificate has to be like pki/issue/ROLE, or pki/sign/ROLE");
    return true;
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
    if (!like.path || *like.path == '\0' || !vault_is_path(like.path)) {
        error_set(err, ERROR_INVALID, "path has to be that of a secret, like secret/data/redis");
        return NULL;
    }
    text_init(&body, CREDENTIAL_ANSWER_MAX_BYTES);
    if (read_type(item, &like.type, err) && is_secret_path(like.path, like.type, err) &&
        (like.login = vault_login(place, vault, &like.server, err))) {
        write_certificate_request(tree_get(item, "pkiData"), &body);
        like.body = like.type == READ_PKI ? body.bytes : NULL;
        f = find_reading(place->store, &like, err);
    }
    text_done(&body);
    return f;
}

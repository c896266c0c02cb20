/*
 * access_user: who sent a request, as Kubernetes' own servers find out, the first that says anything:
 *
 *   certificate of the front proxy  -> the user named in its headers (only then are they believed)
 *   certificate of a client         -> its common name, its organizations are the groups
 *   Authorization: Bearer           -> whoever a TokenReview says
 *   else                            -> system:anonymous
 *
 * A user is kept as the text that goes into a SubjectAccessReview: nothing here needs more of it.
 */
#include "serve/cluster_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/server.h"
#include "serve/serve_internal.h"

static const char authenticated[] = "system:authenticated", unauthenticated[] = "system:unauthenticated",
                  masters[] = "system:masters", anonymous[] = "system:anonymous";

/* ------------------------------------------------------------------ a user as a text */

struct extra { /* one value of one key; equal keys stand together when they are written */
    struct extra *next;
    const char *key, *value;
    bool written;
};
struct draft {
    struct arena *arena;
    const char *name, *uid;
    struct text groups; /* JSON strings with commas between */
    bool is_master, is_said /* whether authenticated or not */;
    struct extra *extras, **tail;
};

static void draft_init(struct draft *draft, struct arena *arena)
{
    *draft = (struct draft){.arena = arena, .name = "", .uid = ""};
    draft->tail = &draft->extras;
    text_init(&draft->groups, ACCESS_USER_MAX_BYTES);
}

static void add_group(struct draft *draft, const char *group)
{
    if (draft->groups.length > 0)
        text_add_char(&draft->groups, ',');
    text_add_json_string(&draft->groups, group, strlen(group));
    if (strcmp(group, masters) == 0)
        draft->is_master = true;
    if (strcmp(group, authenticated) == 0 || strcmp(group, unauthenticated) == 0)
        draft->is_said = true;
}

static void add_extra(struct draft *draft, const char *key, const char *value)
{
    struct extra *extra = arena_alloc(draft->arena, sizeof(*extra));

    extra->key = key;
    extra->value = arena_copy(draft->arena, value);
    *draft->tail = extra;
    draft->tail = &extra->next;
}

static void write_extra(struct draft *draft, struct json *json)
{
    json_put_open(json, "extra", '{');
    for (struct extra *first = draft->extras; first && !json->out->overflowed; first = first->next) {
        if (first->written)
            continue;
        json_put_open(json, first->key, '[');
        for (struct extra *same = first; same; same = same->next) {
            if (same->written || strcmp(same->key, first->key) != 0)
                continue;
            same->written = true;
            json_put_string(json, NULL, same->value);
        }
        json_put_close(json, ']');
    }
    json_put_close(json, '}');
}

/* Ends the draft. false: nobody, or more than ACCESS_USER_MAX_BYTES. */
static bool draft_finish(struct draft *draft, struct access_user *out)
{
    struct text spec;
    struct json json = {.out = &spec};
    bool fits;

    if (!draft->is_said)
        add_group(draft, strcmp(draft->name, anonymous) == 0 ? unauthenticated : authenticated);
    text_init(&spec, ACCESS_USER_MAX_BYTES);
    json_put_string(&json, "user", draft->name);
    if (*draft->uid)
        json_put_string(&json, "uid", draft->uid);
    json_put_open(&json, "groups", '[');
    text_append(&spec, draft->groups.bytes, draft->groups.length);
    json_put_close(&json, ']');
    if (draft->extras)
        write_extra(draft, &json);
    fits = *draft->name && !spec.overflowed && !draft->groups.overflowed;
    if (fits) {
        *out = (struct access_user){.name = arena_copy(draft->arena, draft->name),
                                    .spec = arena_copy(draft->arena, spec.bytes),
                                    .master = draft->is_master};
    }
    text_done(&spec);
    text_done(&draft->groups);
    return fits;
}

/* ------------------------------------------------------------------ the front proxy's headers */

static bool is_one_of(const struct access_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcasecmp(names->list[i], name) == 0)
            return true;
    return false;
}

static int hex_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* In lower case, then %2f and the like decoded; as it stands where that cannot be done. */
static const char *extra_key(struct arena *arena, const char *encoded)
{
    char *lower = arena_copy(arena, encoded), *key = arena_copy(arena, encoded), *to = key;

    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    for (const char *c = lower; *c; c++) {
        if (*c != '%') {
            *to++ = *c;
            continue;
        }
        int high = hex_of(c[1]), low = high < 0 ? -1 : hex_of(c[2]);
        if (low < 0 || (high == 0 && low == 0))
            return lower;
        *to++ = (char)(high * 16 + low);
        c += 2;
    }
    *to = 0;
    return key;
}

struct reading_headers {
    const struct access_config *config;
    struct draft *draft;
};

static void read_header(void *arg, const char *name, const char *value)
{
    struct reading_headers *on = arg;
    const struct access_names *prefixes = &on->config->extra_prefixes;

    if (is_one_of(&on->config->group_headers, name) && *value)
        add_group(on->draft, value);
    for (size_t i = 0; i < prefixes->count; i++)
        if (strncasecmp(name, prefixes->list[i], strlen(prefixes->list[i])) == 0)
            add_extra(on->draft, extra_key(on->draft->arena, name + strlen(prefixes->list[i])), value);
}

static const char *first_header(const struct server_request *request, const struct access_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *value = server_header(request, names->list[i]);

        if (value && *value)
            return value;
    }
    return "";
}

static bool proxy_is_allowed(const struct access_config *config, const char *common_name)
{
    if (config->proxy_names.count == 0)
        return true;
    for (size_t i = 0; i < config->proxy_names.count; i++)
        if (common_name && strcmp(config->proxy_names.list[i], common_name) == 0)
            return true;
    return false;
}

static enum access_known user_of_proxy(const struct server_request *request, const struct access_config *config,
                                       const char *name, struct arena *arena, struct access_user *out)
{
    struct draft draft;

    draft_init(&draft, arena);
    draft.name = name;
    draft.uid = first_header(request, &config->uid_headers);
    server_headers(request, read_header, &(struct reading_headers){config, &draft});
    return draft_finish(&draft, out) ? USER_KNOWN : USER_REFUSED;
}

/* ------------------------------------------------------------------ the others */

static enum access_known user_of_certificate(const struct server_peer *peer, struct arena *arena,
                                             struct access_user *out)
{
    struct draft draft;

    draft_init(&draft, arena);
    draft.name = peer->common_name ? peer->common_name : "";
    for (size_t i = 0; i < peer->organization_count; i++)
        add_group(&draft, peer->organizations[i]);
    return draft_finish(&draft, out) ? USER_KNOWN : USER_REFUSED;
}

static enum access_known user_anonymous(struct arena *arena, struct access_user *out)
{
    struct draft draft;

    draft_init(&draft, arena);
    draft.name = anonymous;
    return draft_finish(&draft, out) ? USER_KNOWN : USER_REFUSED;
}

/* NULL: there is none. */
static const char *bearer_token(const struct server_request *request)
{
    const char *value = server_header(request, "Authorization");

    if (!value || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    value += 7;
    value += strspn(value, " ");
    return *value ? value : NULL;
}

enum access_known access_user_of_request(const struct server_request *request, const struct access_config *config,
                                         struct arena *arena, struct access_user *out, const char **token)
{
    enum { PROXY_CA, CLIENT_CA }; /* places in server_tls.client_cas (secure.c) */
    struct server_peer peer;
    bool by_client;

    server_peer(request, &peer);
    by_client = peer.verified_by == CLIENT_CA;
    if (config && peer.verified_by == PROXY_CA) {
        const char *name = first_header(request, &config->user_headers);
        bool allowed = proxy_is_allowed(config, peer.common_name);

        if (allowed && *name)
            return user_of_proxy(request, config, name, arena, out);
        by_client = config->proxy_ca &&
                    string_equal(config->proxy_ca, config->client_ca); /* one authority for both: it is a client */
        if (!allowed && !by_client)
            return USER_REFUSED;
    }
    if (by_client)
        return user_of_certificate(&peer, arena, out);
    *token = bearer_token(request);
    if (*token)
        return strlen(*token) <= ACCESS_TOKEN_MAX_BYTES ? USER_BY_TOKEN : USER_REFUSED;
    return user_anonymous(arena, out);
}

/* ------------------------------------------------------------------ a TokenReview's answer */

bool access_user_of_review(const struct tree *user, struct arena *arena, struct access_user *out)
{
    const struct tree *groups = tree_get(user, "groups"), *extra = tree_get(user, "extra");
    struct draft draft;

    draft_init(&draft, arena);
    if (tree_string(tree_get(user, "username")))
        draft.name = tree_string(tree_get(user, "username"));
    if (tree_string(tree_get(user, "uid")))
        draft.uid = tree_string(tree_get(user, "uid"));
    for (const struct tree *group = groups ? groups->first : NULL; group; group = group->next)
        if (tree_string(group))
            add_group(&draft, tree_string(group));
    for (const struct tree *key = extra ? extra->first : NULL; key; key = key->next)
        for (const struct tree *value = key->first; value; value = value->next)
            if (key->key && tree_string(value))
                add_extra(&draft, arena_copy(arena, key->key), tree_string(value));
    return draft_finish(&draft, out);
}

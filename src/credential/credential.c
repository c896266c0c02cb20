/*
 * credential: the sources of a TriggerAuthentication, walked in KEDA's order (keda-operator/05 2); of one parameter given twice the later
 * source counts. filePath replaces all others.
 *
 * KEDA passes on an empty text for what it cannot find, and the trigger then fails for another reason. Here a source that
 * lacks something is the error, named with its place; and one that we cannot ask at all is refused by name.
 */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"
#include "credential/credential_internal.h"

/* ------------------------------------------------------------------ the set */

static struct credential *credential_new(size_t capacity)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct credential *c = arena_alloc(arena, sizeof(*c));

    c->arena = arena;
    c->params = arena_array(arena, capacity + 1, sizeof(*c->params));
    c->held = arena_array(arena, capacity + 1, sizeof(*c->held));
    c->references = 1;
    return c;
}

struct credential *credential_ref(struct credential *credential)
{
    assert(credential->references > 0);
    credential->references++;
    return credential;
}

void credential_unref(struct credential *credential)
{
    if (!credential)
        return;
    assert(credential->references > 0);
    if (--credential->references > 0)
        return;
    for (size_t i = 0; i < credential->param_count; i++)
        secret_unref(credential->params[i].value);
    for (size_t i = 0; i < credential->held_count; i++)
        fetched_release(credential->held[i]);
    arena_free(credential->arena); /* the set itself is in it */
}

const struct secret *credential_get(const struct credential *credential, const char *param)
{
    for (size_t i = 0; credential && i < credential->param_count; i++) {
        if (strcmp(credential->params[i].name, param) == 0)
            return credential->params[i].value;
    }
    return NULL;
}

/* Once each, however many of its values are used. */
static void hold(struct credential *c, struct fetched *f)
{
    for (size_t i = 0; i < c->held_count; i++)
        if (c->held[i] == f)
            return;
    c->held[c->held_count++] = fetched_hold(f);
}

/* Takes the reference of value over. kind: static text, or NULL. */
static void put_param(struct credential *c, const char *name, struct secret *value, const char *kind,
                      const char *source)
{
    size_t i = 0;

    while (i < c->param_count && strcmp(c->params[i].name, name) != 0)
        i++;
    if (i == c->param_count)
        c->params[c->param_count++].name = arena_copy(c->arena, name);
    secret_unref(c->params[i].value);
    c->params[i].value = value;
    c->params[i].kind = kind;
    c->params[i].source = kind ? arena_copy(c->arena, source) : NULL;
}

struct credential *credential_from_tree(const struct tree *map_of_strings)
{
    struct credential *c = credential_new(tree_count(map_of_strings));

    for (const struct tree *m = map_of_strings ? map_of_strings->first : NULL; m; m = m->next) {
        if (m->type == TREE_STRING)
            put_param(c, m->key, secret_new(m->text, m->length), NULL, NULL);
    }
    return c;
}

/* ------------------------------------------------------------------ what a source is */

struct walk {
    struct source_place place;
    struct platform *platform;
    struct credential *credential;
    struct error *err;
};

static enum lookup fail(const struct walk *w, enum error_kind kind, const char *text, const char *source)
{
    error_set(w->err, kind, "%s", text);
    error_add_place(w->err, "spec.%s", source);
    return LOOKUP_ABSENT;
}

static const char *member(const struct tree *item, const char *name)
{
    const char *text = tree_string(tree_get(item, name));

    return text && text[0] ? text : NULL;
}

static bool is_given(const struct tree *source)
{
    return source && source->type != TREE_NULL && !(source->type == TREE_LIST && source->count == 0);
}

/* ------------------------------------------------------------------ env, configMapTargetRef, secretTargetRef */

static enum lookup look_up(const struct walk *w, const char *source, const struct tree *item, const char *name,
                           struct secret **value)
{
    const struct credential_request *r = w->place.request;
    const char *key = tree_string(tree_get(item, "key")), *container = tree_string(tree_get(item, "containerName"));

    if (strcmp(source, "env") == 0)
        return w->platform->ops->target_env(w->platform, r->target, container ? container : r->container, name, value);
    if (strcmp(source, "secretTargetRef") == 0)
        return w->platform->ops->secret_get(w->platform, r->ns, name, key, value);
    return w->platform->ops->config_get(w->platform, r->ns, name, key, value);
}

static const char *kind_of(const char *source)
{
    if (strcmp(source, "env") == 0)
        return "Environment";
    return strcmp(source, "secretTargetRef") == 0 ? "Secret" : "ConfigMap";
}

/* Who may not read it is told what to grant: one name, as no more is needed. */
static void explain_key(const struct walk *w, bool secret, const char *name, const char *key, const char *parameter,
                        enum lookup why)
{
    const char *kind = secret ? "Secret" : "ConfigMap", *ns = w->place.request->ns;

    if (why == LOOKUP_DENIED)
        error_set(
            w->err, ERROR_DENIED,
            "the key %s of %s %s/%s, which is to supply %s, may not be read; add to a Role in namespace %s the rule "
            "{apiGroups: [\"\"], resources: [%s], resourceNames: [%s], verbs: [get, list, watch]}",
            key, kind, ns, name, parameter, ns, secret ? "secrets" : "configmaps", name);
    else
        error_set(w->err, ERROR_MISSING, "the key %s of %s %s/%s, which is to supply %s, does not exist", key, kind, ns,
                  name, parameter);
}

static void explain(const struct walk *w, const char *source, size_t index, const struct tree *item, const char *name,
                    enum lookup why)
{
    const char *parameter = tree_string(tree_get(item, "parameter")), *key = tree_string(tree_get(item, "key"));
    bool secret = strcmp(source, "secretTargetRef") == 0;
    const char *verb = why == LOOKUP_DENIED ? "may not be read" : "does not exist";
    enum error_kind kind = why == LOOKUP_DENIED ? ERROR_DENIED : ERROR_MISSING;

    if (strcmp(source, "env") == 0)
        error_set(w->err, kind, "the variable %s, which is to supply %s, %s in the container of %s", name, parameter,
                  verb, w->place.request->target->name);
    else
        explain_key(w, secret, name, key, parameter, why);
    error_add_place(w->err, "spec.%s[%zu]", source, index);
}

static enum lookup resolve_item(const struct walk *w, const char *source, size_t index, const struct tree *item)
{
    const char *parameter = tree_string(tree_get(item, "parameter")), *name = tree_string(tree_get(item, "name"));
    bool is_env = strcmp(source, "env") == 0;
    const struct target_key *target = w->place.request->target;
    struct secret *value = NULL;
    enum lookup found;

    if (!parameter || !name || (!is_env && !tree_string(tree_get(item, "key")))) {
        error_set(w->err, ERROR_INVALID, "parameter, name%s are required", is_env ? "" : " and key");
        error_add_place(w->err, "spec.%s[%zu]", source, index);
        return LOOKUP_ABSENT;
    }
    if (is_env && !target) {
        error_set(w->err, ERROR_INVALID, "the variable %s cannot be read: there is no scale target with containers",
                  name);
        error_add_place(w->err, "spec.%s[%zu]", source, index);
        return LOOKUP_ABSENT;
    }
    found = look_up(w, source, item, name, &value);
    if (found == LOOKUP_FOUND)
        put_param(w->credential, parameter, value, kind_of(source), is_env ? target->name : name);
    else if (found != LOOKUP_PENDING)
        explain(w, source, index, item, name, found);
    return found;
}

/* Of several that are looked up all are asked for, so that they come together; what is missing counts more than what is not known yet. */
static enum lookup worse(enum lookup a, enum lookup b)
{
    if (a == LOOKUP_FOUND)
        return b;
    return a == LOOKUP_PENDING && b != LOOKUP_FOUND ? b : a;
}

typedef enum lookup resolve_one(const struct walk *w, const char *source, size_t index, const struct tree *item);

static enum lookup resolve_each(const struct walk *w, const struct tree *list, const char *source, resolve_one *one)
{
    enum lookup found = LOOKUP_FOUND;
    size_t index = 0;

    for (const struct tree *item = list->type == TREE_LIST ? list->first : NULL;
         item && (found == LOOKUP_FOUND || found == LOOKUP_PENDING); item = item->next)
        found = worse(found, one(w, source, index++, item));
    return found;
}

static enum lookup resolve_list(const struct walk *w, const struct tree *list, const char *source)
{
    return resolve_each(w, list, source, resolve_item);
}

/* ------------------------------------------------------------------ filePath */

static enum lookup resolve_file(const struct walk *w, const struct tree *node, const char *source)
{
    const char *path = tree_string(node), *name;
    struct fetched *f = NULL;
    enum lookup found;
    void *value;

    if (!w->place.request->cluster_kind)
        return fail(w, ERROR_INVALID, "filePath is only for a ClusterTriggerAuthentication: files are not a tenant's",
                    source);
    if (path)
        f = file_values(w->place.store, path, w->err);
    else
        error_set(w->err, ERROR_INVALID, "filePath has to be a text");
    found = f ? fetched_ask(f, w->place.request->key, w->err) : LOOKUP_ABSENT;
    if (found != LOOKUP_FOUND) {
        error_add_place(w->err, "spec.%s", source);
        return found;
    }
    hold(w->credential, f);
    for (size_t at = 0; map_next(f->values, &at, &name, &value);)
        put_param(w->credential, name, secret_ref(value), "File", path);
    return LOOKUP_FOUND;
}

/* ------------------------------------------------------------------ what is fetched */

/* The value of that name, of something that may not be known yet. */
static enum lookup take_fetched(const struct walk *w, struct fetched *f, const char *name, const char *parameter,
                                const char *kind, const char *from)
{
    enum lookup found = f ? fetched_ask(f, w->place.request->key, w->err) : LOOKUP_ABSENT;
    const struct secret *value = found == LOOKUP_FOUND ? fetched_value(f, name) : NULL;

    if (found != LOOKUP_FOUND)
        return found;
    hold(w->credential, f);
    if (!value) {
        fetched_lacks(f);
        error_set(w->err, ERROR_MISSING, "%s %s, which is to supply %s, has no %s", kind, from, parameter, name);
        return LOOKUP_ABSENT;
    }
    put_param(w->credential, parameter, secret_ref((struct secret *)(uintptr_t)value), kind, from);
    return LOOKUP_FOUND;
}

static enum lookup resolve_vault_secret(const struct walk *w, const char *source, size_t index, const struct tree *item)
{
    const char *parameter = member(item, "parameter"), *key = member(item, "key"), *path = member(item, "path");
    enum lookup found = LOOKUP_ABSENT;

    if (!parameter || !key || !path)
        error_set(w->err, ERROR_INVALID, "parameter, path and key are required");
    else
        found = take_fetched(w, vault_secret(&w->place, tree_get(w->place.request->spec, source), item, w->err), key,
                             parameter, "Vault", path);
    if (found != LOOKUP_FOUND && found != LOOKUP_PENDING)
        error_add_place(w->err, "spec.%s.secrets[%zu]", source, index);
    return found;
}

static enum lookup resolve_vault(const struct walk *w, const struct tree *vault, const char *source)
{
    const struct tree *secrets = tree_get(vault, "secrets");

    if (tree_count(secrets) == 0)
        return fail(w, ERROR_INVALID, "secrets is missing: at least one is required", source);
    return resolve_each(w, secrets, source, resolve_vault_secret);
}

static enum lookup resolve_account(const struct walk *w, const char *source, size_t index, const struct tree *item)
{
    const char *parameter = member(item, "parameter"), *account = member(item, "serviceAccountName");
    enum lookup found = LOOKUP_ABSENT;

    if (!parameter || !account)
        error_set(w->err, ERROR_INVALID, "parameter and serviceAccountName are required");
    else
        found = take_fetched(w, account_token(w->place.store, w->place.request->ns, account, w->err), "value",
                             parameter, "ServiceAccount", account);
    if (found != LOOKUP_FOUND && found != LOOKUP_PENDING)
        error_add_place(w->err, "spec.%s[%zu]", source, index);
    return found;
}

static enum lookup resolve_accounts(const struct walk *w, const struct tree *list, const char *source)
{
    return resolve_each(w, list, source, resolve_account);
}

/* ------------------------------------------------------------------ oauth2 */

/* Parameters that a trigger with authModes: oauth asks for a token with; nothing is fetched for them here. */
static void put_text(const struct walk *w, const char *parameter, const struct text *text)
{
    if (text->length > 0)
        put_param(w->credential, parameter, secret_new(text->bytes, text->length), "TriggerAuthentication", "oauth2");
}

static void put_scopes(const struct walk *w, const struct tree *scopes)
{
    struct text joined;

    text_init(&joined, CREDENTIAL_FORM_MAX_BYTES);
    for (const struct tree *s = scopes && scopes->type == TREE_LIST ? scopes->first : NULL; s; s = s->next)
        if (tree_string(s))
            text_printf(&joined, "%s%s", joined.length > 0 ? "," : "", s->text);
    put_text(w, "scopes", &joined);
    text_done(&joined);
}

static void put_form(const struct walk *w, const struct tree *params)
{
    struct text form;

    text_init(&form, CREDENTIAL_FORM_MAX_BYTES);
    for (const struct tree *p = params && params->type == TREE_MAP ? params->first : NULL; p; p = p->next) {
        if (!tree_string(p))
            continue;
        text_add(&form, form.length > 0 ? "&" : "");
        text_add_escaped(&form, p->key, strlen(p->key), "-_.~", "+");
        text_add_char(&form, '=');
        text_add_escaped(&form, p->text, p->length, "-_.~", "+");
    }
    put_text(w, "endpointParams", &form);
    text_done(&form);
}

static enum lookup put_client_secret(const struct walk *w, const struct tree *ref)
{
    const char *name = member(ref, "name"), *key = member(ref, "key");
    struct secret *value = NULL;
    enum lookup found;

    if (!name || !key)
        return fail(w, ERROR_INVALID, "name and key are required", "oauth2.clientSecret.valueFrom.secretKeyRef");
    found = w->platform->ops->secret_get(w->platform, w->place.request->ns, name, key, &value);
    if (found == LOOKUP_FOUND) {
        put_param(w->credential, "clientSecret", value, "Secret", name);
    } else if (found != LOOKUP_PENDING) {
        explain_key(w, true, name, key, "clientSecret", found);
        error_add_place(w->err, "spec.oauth2.clientSecret.valueFrom.secretKeyRef");
    }
    return found;
}

static enum lookup resolve_oauth2(const struct walk *w, const struct tree *oauth2, const char *source)
{
    const char *id = member(oauth2, "clientId"), *url = member(oauth2, "tokenUrl");
    const struct tree *secret = tree_get(oauth2, "clientSecret");

    if (!id || !url)
        return fail(w, ERROR_INVALID, "clientId and tokenUrl are required", source);
    put_param(w->credential, "oauthTokenURI", secret_new(url, strlen(url)), "TriggerAuthentication", "oauth2");
    put_param(w->credential, "clientID", secret_new(id, strlen(id)), "TriggerAuthentication", "oauth2");
    put_scopes(w, tree_get(oauth2, "scopes"));
    put_form(w, tree_get(oauth2, "tokenUrlParams"));
    return is_given(secret) ? put_client_secret(w, tree_at(secret, "valueFrom.secretKeyRef")) : LOOKUP_FOUND;
}

/* ------------------------------------------------------------------ all sources */

/* In the order in which they count. To build one in: a function here. resolve NULL: it is refused by name. */
static const struct source {
    const char *name;
    enum lookup (*resolve)(const struct walk *w, const struct tree *node, const char *name);
    bool alone; /* nothing after it counts, nor what came before */
} sources[] = {
    {"env", resolve_list},
    {"filePath", resolve_file, true},
    {"configMapTargetRef", resolve_list},
    {"secretTargetRef", resolve_list},
    {"hashiCorpVault", resolve_vault},
    {"azureKeyVault", NULL},
    {"gcpSecretManager", NULL},
    {"awsSecretManager", NULL},
    {"boundServiceAccountToken", resolve_accounts},
    {"oauth2", resolve_oauth2},
};
enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

static bool refuse_unknown(const struct tree *spec, struct error *err)
{
    const char *provider = tree_string(tree_at(spec, "podIdentity.provider"));

    for (size_t i = 0; i < SOURCES; i++) {
        if (sources[i].resolve || !is_given(tree_get(spec, sources[i].name)))
            continue;
        error_set(err, ERROR_INVALID,
                  "%s is not built in: use secretTargetRef, hashiCorpVault or another of the sources in "
                  "docs/credentials.md",
                  sources[i].name);
        return error_add_place(err, "spec.%s", sources[i].name);
    }
    if (provider && strcmp(provider, "none") != 0) {
        error_set(
            err, ERROR_INVALID,
            "pod identity of %s is not built in: use secretTargetRef, hashiCorpVault or another of the sources in "
            "docs/credentials.md",
            provider);
        return error_add_place(err, "spec.podIdentity.provider");
    }
    return true;
}

/* How many parameters there may be. A file has its own count. */
static bool within_bounds(const struct tree *spec, size_t *count, struct error *err)
{
    enum { OF_OAUTH2 = 5 };

    *count = OF_OAUTH2 + tree_count(tree_at(spec, "hashiCorpVault.secrets"));
    for (size_t i = 0; i < SOURCES; i++)
        if (tree_get(spec, sources[i].name) && tree_get(spec, sources[i].name)->type == TREE_LIST)
            *count += tree_get(spec, sources[i].name)->count;
    if (*count - OF_OAUTH2 > CREDENTIAL_PARAMS_MAX)
        return error_set(err, ERROR_LIMIT, "there are %zu parameters; %d are allowed (CREDENTIAL_PARAMS_MAX)",
                         *count - OF_OAUTH2, CREDENTIAL_PARAMS_MAX);
    if (is_given(tree_get(spec, "filePath")))
        *count += CREDENTIAL_PARAMS_MAX;
    return true;
}

static enum lookup walk_sources(const struct walk *w, const struct tree *spec)
{
    enum lookup found = LOOKUP_FOUND;

    for (size_t i = 0; i < SOURCES && (found == LOOKUP_FOUND || found == LOOKUP_PENDING); i++) {
        const struct tree *node = tree_get(spec, sources[i].name);

        if (is_given(node))
            found = worse(found, sources[i].resolve(w, node, sources[i].name));
    }
    return found;
}

/* Where one stands alone, only that is walked. */
static const struct tree *only_source(const struct tree *spec, size_t *index)
{
    for (*index = 0; *index < SOURCES; ++*index)
        if (sources[*index].alone && is_given(tree_get(spec, sources[*index].name)))
            return tree_get(spec, sources[*index].name);
    return NULL;
}

/* What the authentication says about whom it is for. */
static bool is_for(const struct credential_request *request, const char **hosts, struct error *err)
{
    const char *namespaces = tree_string(tree_get(request->annotations, CREDENTIAL_NAMESPACES_ANNOTATION));
    const char *ns = request->object_ns ? request->object_ns : request->ns;

    *hosts = tree_string(tree_get(request->annotations, CREDENTIAL_HOSTS_ANNOTATION));
    if (namespaces && !binding_admits(namespaces, ns))
        return error_set(err, ERROR_INVALID,
                         "it is not for namespace %.63s: " CREDENTIAL_NAMESPACES_ANNOTATION
                         " is \"%.150s\"; have it added there, or use a TriggerAuthentication of your own",
                         ns, namespaces);
    return binding_check_hosts(*hosts, err);
}

bool credential_of_whom(const struct credential_request *request, struct credential **out, struct error *err)
{
    const char *hosts;

    if (!is_for(request, &hosts, err))
        return false;
    *out = credential_new(0);
    (*out)->allowed_hosts = arena_copy((*out)->arena, hosts);
    return true;
}

enum lookup credential_store_resolve(struct credential_store *store, const struct credential_request *request,
                                     struct credential **out, struct error *err)
{
    struct walk w = {.place = {store, request}, .platform = store->parts.platform, .err = err};
    const struct tree *alone;
    const char *hosts;
    enum lookup found;
    size_t count, index;

    if (!is_for(request, &hosts, err) || !refuse_unknown(request->spec, err) ||
        !within_bounds(request->spec, &count, err))
        return LOOKUP_DENIED;
    w.credential = credential_new(count);
    w.credential->allowed_hosts = arena_copy(w.credential->arena, hosts);
    alone = only_source(request->spec, &index);
    found = alone ? sources[index].resolve(&w, alone, sources[index].name) : walk_sources(&w, request->spec);
    if (found == LOOKUP_FOUND)
        *out = w.credential;
    else
        credential_unref(w.credential);
    return found;
}

enum lookup credential_resolve(struct platform *platform, const struct credential_request *request,
                               struct credential **out, struct error *err)
{
    struct credential_store *store = credential_store_new(&(struct credential_parts){.platform = platform});
    enum lookup found = credential_store_resolve(store, request, out, err);

    credential_store_free(store);
    return found;
}

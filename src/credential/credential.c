/*
 * credential: the sources of a TriggerAuthentication, walked in KEDA's order (keda-operator/05 2): env, configMapTargetRef,
 * secretTargetRef; of one parameter given twice the later source counts.
 *
 * KEDA passes on an empty text for what it cannot find, and the trigger then fails for another reason. Here a source that
 * lacks something is the error, named with its place; and one that we cannot ask at all is refused by name.
 */
#include "credential/credential.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/tree.h"

/* ------------------------------------------------------------------ the set */

static struct credential *credential_new(size_t capacity)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct credential *c = arena_alloc(arena, sizeof(*c));

    c->arena = arena;
    c->params = arena_array(arena, capacity + 1, sizeof(*c->params));
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

/* ------------------------------------------------------------------ asking the platform */

struct sources {
    struct platform *platform;
    const char *ns, *container;
    const struct target_key *target;
    struct credential *credential;
    struct error *err;
};

static enum lookup look_up(const struct sources *s, const char *source, const struct tree *item, const char *name,
                           struct secret **value)
{
    const char *key = tree_string(tree_get(item, "key")), *container = tree_string(tree_get(item, "containerName"));

    if (strcmp(source, "env") == 0)
        return s->platform->ops->target_env(s->platform, s->target, container ? container : s->container, name, value);
    if (strcmp(source, "secretTargetRef") == 0)
        return s->platform->ops->secret_get(s->platform, s->ns, name, key, value);
    return s->platform->ops->config_get(s->platform, s->ns, name, key, value);
}

static const char *kind_of(const char *source)
{
    if (strcmp(source, "env") == 0)
        return "Environment";
    return strcmp(source, "secretTargetRef") == 0 ? "Secret" : "ConfigMap";
}

/* Who may not read it is told what to grant: one name, as no more is needed. */
static void explain_key(const struct sources *s, bool secret, const char *name, const char *key, const char *parameter,
                        enum lookup why)
{
    const char *kind = secret ? "Secret" : "ConfigMap";

    if (why == LOOKUP_DENIED)
        error_set(
            s->err, ERROR_DENIED,
            "the key %s of %s %s/%s, which is to supply %s, may not be read; add to a Role in namespace %s the rule "
            "{apiGroups: [\"\"], resources: [%s], resourceNames: [%s], verbs: [get, list, watch]}",
            key, kind, s->ns, name, parameter, s->ns, secret ? "secrets" : "configmaps", name);
    else
        error_set(s->err, ERROR_MISSING, "the key %s of %s %s/%s, which is to supply %s, does not exist", key, kind,
                  s->ns, name, parameter);
}

static void explain(const struct sources *s, const char *source, size_t index, const struct tree *item,
                    const char *name, enum lookup why)
{
    const char *parameter = tree_string(tree_get(item, "parameter")), *key = tree_string(tree_get(item, "key"));
    bool secret = strcmp(source, "secretTargetRef") == 0;
    const char *verb = why == LOOKUP_DENIED ? "may not be read" : "does not exist";
    enum error_kind kind = why == LOOKUP_DENIED ? ERROR_DENIED : ERROR_MISSING;

    if (strcmp(source, "env") == 0)
        error_set(s->err, kind, "the variable %s, which is to supply %s, %s in the container of %s", name, parameter,
                  verb, s->target->name);
    else
        explain_key(s, secret, name, key, parameter, why);
    error_add_place(s->err, "spec.%s[%zu]", source, index);
}

static enum lookup resolve_item(const struct sources *s, const char *source, size_t index, const struct tree *item)
{
    const char *parameter = tree_string(tree_get(item, "parameter")), *name = tree_string(tree_get(item, "name"));
    bool is_env = strcmp(source, "env") == 0;
    struct secret *value = NULL;
    enum lookup found;

    if (!parameter || !name || (!is_env && !tree_string(tree_get(item, "key")))) {
        error_set(s->err, ERROR_INVALID, "parameter, name%s are required", is_env ? "" : " and key");
        error_add_place(s->err, "spec.%s[%zu]", source, index);
        return LOOKUP_ABSENT;
    }
    if (is_env && !s->target) {
        error_set(s->err, ERROR_INVALID, "the variable %s cannot be read: there is no scale target with containers",
                  name);
        error_add_place(s->err, "spec.%s[%zu]", source, index);
        return LOOKUP_ABSENT;
    }
    found = look_up(s, source, item, name, &value);
    if (found == LOOKUP_FOUND)
        put_param(s->credential, parameter, value, kind_of(source), is_env ? s->target->name : name);
    else if (found != LOOKUP_PENDING)
        explain(s, source, index, item, name, found);
    return found;
}

static enum lookup resolve_source(const struct sources *s, const struct tree *spec, const char *source)
{
    const struct tree *list = tree_get(spec, source);
    size_t index = 0;

    for (const struct tree *item = list && list->type == TREE_LIST ? list->first : NULL; item;
         item = item->next, index++) {
        enum lookup found = resolve_item(s, source, index, item);

        if (found != LOOKUP_FOUND)
            return found;
    }
    return LOOKUP_FOUND;
}

/* ------------------------------------------------------------------ sources that are not built in */

static bool refuse_unknown(const struct tree *spec, struct error *err)
{
    static const char *const later[] = {
        "filePath",         "hashiCorpVault",           "azureKeyVault", "gcpSecretManager",
        "awsSecretManager", "boundServiceAccountToken", "oauth2"};
    const char *provider = tree_string(tree_at(spec, "podIdentity.provider"));

    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        const struct tree *source = tree_get(spec, later[i]);

        if (source && source->type != TREE_NULL && !(source->type == TREE_LIST && source->count == 0)) {
            error_set(err, ERROR_INVALID, "%s is not built in: use env, secretTargetRef or configMapTargetRef",
                      later[i]);
            return error_add_place(err, "spec.%s", later[i]);
        }
    }
    if (provider && strcmp(provider, "none") != 0) {
        error_set(err, ERROR_INVALID,
                  "pod identity of %s is not built in: use env, secretTargetRef or configMapTargetRef", provider);
        return error_add_place(err, "spec.podIdentity.provider");
    }
    return true;
}

static bool within_bounds(const struct tree *spec, size_t *count, struct error *err)
{
    *count = tree_count(tree_get(spec, "env")) + tree_count(tree_get(spec, "configMapTargetRef")) +
             tree_count(tree_get(spec, "secretTargetRef"));
    return *count <= CREDENTIAL_PARAMS_MAX ||
           error_set(err, ERROR_LIMIT, "there are %zu parameters; %d are allowed (CREDENTIAL_PARAMS_MAX)", *count,
                     CREDENTIAL_PARAMS_MAX);
}

enum lookup credential_resolve(struct platform *platform, const char *ns, const struct tree *spec,
                               const struct target_key *target, const char *container, struct credential **out,
                               struct error *err)
{
    static const char *const order[] = {"env", "configMapTargetRef", "secretTargetRef"};
    struct sources s = {.platform = platform, .ns = ns, .container = container, .target = target, .err = err};
    enum lookup found = LOOKUP_FOUND;
    size_t count;

    if (!refuse_unknown(spec, err) || !within_bounds(spec, &count, err))
        return LOOKUP_DENIED;
    s.credential = credential_new(count);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && found == LOOKUP_FOUND; i++)
        found = resolve_source(&s, spec, order[i]);
    if (found == LOOKUP_FOUND)
        *out = s.credential;
    else
        credential_unref(s.credential);
    return found;
}

/*
 * env: the variables of a target's container, for <name>FromEnv and `env` of a TriggerAuthentication.
 *
 * Of a target somebody asked for, only what its containers say of variables is kept, as compact JSON: read once by a GET, and from
 * then on from what passes by anyway (the watch of targets, the ScaledJobs that are told). Any kind will do whose pod template is at
 * spec.template; a ScaledJob's is at spec.jobTargetRef.template. Values of Secrets and ConfigMaps are not kept here: data.c has them.
 *
 * Rules are KEDA's (keda-operator/05 1): envFrom in order, then env in order, a later one replaces an earlier; $(NAME) is replaced by
 * what was defined before it, $$ is $, what is unknown stays as it is; fieldRef and resourceFieldRef define nothing. So a name is
 * looked for from the end to the beginning, and only the Secrets on that way are read. What KEDA makes an error for the whole object
 * (a Secret that is missing) is LOOKUP_ABSENT for the one variable.
 */
#include "platform/kubernetes/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/target.h"

enum {
    SWEEP_PERIOD_MS = 10 * 1000,
    DENIED_AGAIN_MS = 5 * 60 * 1000,
    UNASKED_MS = 10 * 60 * 1000,                  /* and not watched either: it goes */
    JOB_AGAIN_MS = 60 * 60 * 1000,                /* whether a ScaledJob is there still */
    LOOKUPS_MAX = 1000,                           /* for one variable: $(A) in $(B) in $(C) could go on for long */
    DEPTH_MAX = 32,                               /* of variables that name each other */
    EXPANDABLE_BYTES = 4,                         /* shorter rests are not looked at: "$(A)" has as many */
    ENVIRONMENT_MAX_BYTES = KUBE_PATCH_MAX_BYTES, /* of one target's containers; all of an object is hardly more */
};

struct env_record {
    struct envs *envs;
    char *api_version, *kind, *ns, *name;
    enum lookup state; /* PENDING: not read yet */
    char *json;        /* [{"name":..,"env":..,"envFrom":..}]; while FOUND */
    size_t length;
    struct kube_ask *ask;
    bool discovering;
    int64_t asked_ms, looked_ms; /* by somebody; by us. Of the loop's ticks */
};

struct envs {
    struct kubernetes *k;
    struct map *records; /* "apps/v1 Deployment ns/name" */
    struct timer *sweep;
    bool sweeping;
};

/* ------------------------------------------------------------------ records */

static bool key_of(char *out, size_t size, const char *api_version, const char *kind, const char *ns, const char *name)
{
    return snprintf(out, size, "%s %s %s/%s", api_version, kind, ns, name) < (int)size;
}

static bool is_job(const struct env_record *r)
{
    return strcmp(r->kind, "ScaledJob") == 0;
}

static void record_free(struct env_record *r)
{
    struct kubernetes *k = r->envs->k;
    char key[1200];

    if (r->ask != NULL)
        kube_cancel(r->ask);
    if (r->discovering)
        kube_discover_cancel(k->kube, r);
    if (key_of(key, sizeof key, r->api_version, r->kind, r->ns, r->name))
        map_remove(r->envs->records, key);
    free(r->api_version);
    free(r->kind);
    free(r->ns);
    free(r->name);
    free(r->json);
    free(r);
}

/* ------------------------------------------------------------------ what a pod template says */

static void add_member(struct text *out, const char *key, const struct tree *value)
{
    if (value == NULL)
        return;
    text_printf(out, ",\"%s\":", key);
    tree_write_json(value, out);
}

static void write_containers(const struct tree *containers, struct text *out)
{
    text_add_char(out, '[');
    for (const struct tree *c = containers->first; c != NULL; c = c->next) {
        const char *name = tree_string(tree_get(c, "name"));
        text_add(out, c == containers->first ? "{\"name\":" : ",{\"name\":");
        text_add_json_string(out, name ? name : "", name ? strlen(name) : 0);
        add_member(out, "env", tree_get(c, "env"));
        add_member(out, "envFrom", tree_get(c, "envFrom"));
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void know(struct env_record *r, enum lookup state, struct text *json)
{
    bool same = r->state == state && (json == NULL || (r->json != NULL && r->length == json->length &&
                                                       memcmp(r->json, json->bytes, json->length) == 0));

    r->looked_ms = loop_ticks_ms(r->envs->k->loop);
    if (same)
        return;
    r->state = state;
    free(r->json);
    r->length = json ? json->length : 0;
    r->json = json ? text_take(json) : NULL;
    kubernetes_data_tell(r->envs->k, r->ns, r->name);
}

static void take_object(struct env_record *r, const struct tree *object)
{
    const struct tree *containers =
        tree_at(object, is_job(r) ? "spec.jobTargetRef.template.spec.containers" : "spec.template.spec.containers");
    struct text json;

    if (containers == NULL || containers->type != TREE_LIST) {
        know(r, LOOKUP_ABSENT, NULL);
        return;
    }
    text_init(&json, ENVIRONMENT_MAX_BYTES);
    write_containers(containers, &json);
    if (json.overflowed)
        know(r, LOOKUP_ABSENT, NULL);
    else
        know(r, LOOKUP_FOUND, &json);
    text_done(&json);
}

void env_saw(struct kubernetes *k, const char *api_version, const char *kind, const struct tree *object)
{
    const char *ns = tree_string(tree_at(object, "metadata.namespace")),
               *name = tree_string(tree_at(object, "metadata.name"));
    struct env_record *r;
    char key[1200];

    if (map_count(k->envs->records) == 0 || name == NULL ||
        !key_of(key, sizeof key, api_version, kind, ns ? ns : "", name))
        return;
    r = map_get(k->envs->records, key);
    if (r != NULL)
        take_object(r, object);
}

void kubernetes_env_saw(struct kubernetes *k, const char *kind, const struct tree *object)
{
    env_saw(k, KEDA_GROUP "/" KEDA_VERSION, kind, object);
}

/* ------------------------------------------------------------------ asking for it */

static void on_object(void *arg, const struct kube_reply *reply)
{
    struct env_record *r = arg;

    r->ask = NULL;
    if (reply->error.kind == ERROR_NONE)
        take_object(r, reply->body);
    else if (reply->status == 404)
        know(r, LOOKUP_ABSENT, NULL);
    else if (reply->error.kind == ERROR_DENIED)
        know(r, LOOKUP_DENIED, NULL);
    /* else: what is known stays; where nothing is, the sweep asks again */
}

static void get(struct env_record *r, const char *group, const char *version, const char *plural)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, group, version, r->ns, plural, r->name, NULL);
    r->ask = kube_ask(r->envs->k->kube,
                      &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ}, on_object, r);
    text_done(&path);
}

static void on_discovered(void *arg, const struct kube_resource *resource, const struct error *err)
{
    struct env_record *r = arg;

    r->discovering = false;
    if (resource != NULL)
        get(r, resource->group, resource->version, resource->plural);
    else if (err != NULL && err->kind != ERROR_UNREACHABLE)
        know(r, err->kind == ERROR_DENIED ? LOOKUP_DENIED : LOOKUP_ABSENT, NULL);
}

static void look(struct env_record *r)
{
    struct kubernetes *k = r->envs->k;

    if (r->ask != NULL || r->discovering)
        return;
    r->looked_ms = loop_ticks_ms(k->loop);
    if (is_job(r)) {
        get(r, KEDA_GROUP, KEDA_VERSION, kubernetes_plural(RESOURCE_SCALED_JOB));
        return;
    }
    r->discovering = true;
    kube_discover(k->kube, r->api_version, r->kind, on_discovered, r);
}

static void sweep_record(struct env_record *r, int64_t now_ms)
{
    bool unasked = now_ms - r->asked_ms > UNASKED_MS, watched;

    if (r->state == LOOKUP_PENDING)
        look(r);
    else if (r->state == LOOKUP_DENIED && now_ms - r->looked_ms > DENIED_AGAIN_MS)
        look(r);
    if (!unasked)
        return;
    watched =
        is_job(r) ? r->state != LOOKUP_ABSENT : target_is_watched(r->envs->k, r->api_version, r->kind, r->ns, r->name);
    if (!watched)
        record_free(r);
    else if (is_job(r) && now_ms - r->looked_ms > JOB_AGAIN_MS)
        look(r);
}

static void on_sweep(void *arg)
{
    struct envs *envs = arg;
    void *value;

    for (size_t at = 0; map_next(envs->records, &at, NULL, &value);)
        sweep_record(value, loop_ticks_ms(envs->k->loop));
    envs->sweeping = map_count(envs->records) > 0;
    if (envs->sweeping)
        loop_timer_set(envs->sweep, SWEEP_PERIOD_MS);
}

static struct env_record *record_get(struct envs *envs, const char *api_version, const char *kind, const char *ns,
                                     const char *name)
{
    struct env_record *r;
    char key[1200];

    if (!key_of(key, sizeof key, api_version, kind, ns, name))
        return NULL;
    r = map_get(envs->records, key);
    if (r != NULL)
        return r;
    r = mem_alloc(sizeof *r);
    *r = (struct env_record){.envs = envs,
                             .api_version = mem_copy(api_version),
                             .kind = mem_copy(kind),
                             .ns = mem_copy(ns),
                             .name = mem_copy(name),
                             .state = LOOKUP_PENDING};
    map_put(envs->records, key, r);
    look(r);
    if (!envs->sweeping)
        loop_timer_set(envs->sweep, SWEEP_PERIOD_MS);
    envs->sweeping = true;
    return r;
}

/* ------------------------------------------------------------------ one variable */

struct resolving {
    struct kubernetes *k;
    const char *ns;
    const struct tree **env, **env_from; /* the entries: a list would be walked again and again */
    size_t env_count, env_from_count;
    int lookups_left;
};

static enum lookup resolve(struct resolving *r, size_t before, const char *name, size_t length, int depth,
                           struct text *out);

/* What stands at a '$' with at least EXPANDABLE_BYTES left; *used: how many bytes of the input that were. */
static enum lookup expand_one(struct resolving *r, size_t before, const char *at, int depth, size_t *used,
                              struct text *out)
{
    const char *end = at[1] == '(' ? strchr(at, ')') : NULL;
    enum lookup found = LOOKUP_ABSENT;

    *used = at[1] == '$' ? 2 : end != NULL ? (size_t)(end - at) + 1 : 1;
    if (end != NULL && depth < DEPTH_MAX)
        found = resolve(r, before, at + 2, (size_t)(end - at) - 2, depth + 1, out);
    if (found == LOOKUP_ABSENT)
        text_append(out, at, at[1] == '$' ? 1 : *used);
    return found == LOOKUP_ABSENT ? LOOKUP_FOUND : found;
}

static enum lookup expand(struct resolving *r, size_t before, const char *value, int depth, struct text *out)
{
    enum lookup found = LOOKUP_FOUND;
    size_t used;

    while (*value != 0 && found == LOOKUP_FOUND) {
        size_t plain = strcspn(value, "$");
        if (plain == 0 && strlen(value) < EXPANDABLE_BYTES)
            plain = strlen(value);
        text_append(out, value, plain);
        value += plain;
        if (*value != '$' || strlen(value) < EXPANDABLE_BYTES)
            continue;
        found = expand_one(r, before, value, depth, &used, out);
        value += used;
    }
    return found;
}

static enum lookup from_data(struct resolving *r, bool secret, const char *object, const char *key, struct text *out)
{
    struct secret *value = NULL;
    enum lookup found = LOOKUP_ABSENT;

    if (object != NULL && key != NULL)
        found = secret ? kubernetes_secret_get(&r->k->platform, r->ns, object, key, &value)
                       : kubernetes_config_get(&r->k->platform, r->ns, object, key, &value);
    if (found == LOOKUP_FOUND)
        text_append(out, secret_reveal(value), secret_length(value));
    secret_unref(value);
    return found;
}

/* *defines: whether this entry says anything of the variable at all. */
static enum lookup from_entry(struct resolving *r, const struct tree *entry, size_t index, int depth, bool *defines,
                              struct text *out)
{
    const struct tree *from = tree_get(entry, "valueFrom");
    const struct tree *secret = tree_get(from, "secretKeyRef"), *config = tree_get(from, "configMapKeyRef");
    const struct tree *ref = secret ? secret : config;
    const char *value = tree_string(tree_get(entry, "value"));
    bool optional = false;
    enum lookup found;

    *defines = true;
    if (value != NULL && value[0] != 0)
        return expand(r, index, value, depth, out);
    if (from == NULL)
        return LOOKUP_FOUND;
    tree_bool(tree_get(ref, "optional"), &optional);
    found = from_data(r, secret != NULL, tree_string(tree_get(ref, "name")), tree_string(tree_get(ref, "key")), out);
    *defines = ref != NULL && !(found == LOOKUP_ABSENT && optional);
    return found;
}

static enum lookup from_whole(struct resolving *r, const struct tree *entry, const char *name, struct text *out)
{
    const struct tree *secret = tree_get(entry, "secretRef"), *config = tree_get(entry, "configMapRef");
    const char *prefix = tree_string(tree_get(entry, "prefix"));
    size_t length = prefix ? strlen(prefix) : 0;

    if (length > 0 && strncmp(name, prefix, length) != 0)
        return LOOKUP_ABSENT;
    return from_data(r, secret != NULL, tree_string(tree_get(secret ? secret : config, "name")), name + length, out);
}

static enum lookup resolve_named(struct resolving *r, size_t before, const char *name, int depth, struct text *out)
{
    bool defines;

    for (size_t i = before; i > 0; i--) {
        const struct tree *entry = r->env[i - 1];
        if (!string_equal(tree_string(tree_get(entry, "name")), name))
            continue;
        enum lookup found = from_entry(r, entry, i - 1, depth, &defines, out);
        if (defines)
            return found;
    }
    for (size_t i = r->env_from_count; i > 0; i--) {
        enum lookup found = from_whole(r, r->env_from[i - 1], name, out);
        if (found != LOOKUP_ABSENT)
            return found;
    }
    return LOOKUP_ABSENT;
}

/* before: only the first so many entries of env count. */
static enum lookup resolve(struct resolving *r, size_t before, const char *name, size_t length, int depth,
                           struct text *out)
{
    char copy[256];

    if (length == 0 || length >= sizeof copy || --r->lookups_left < 0)
        return LOOKUP_ABSENT;
    memcpy(copy, name, length);
    copy[length] = 0;
    return resolve_named(r, before, copy, depth, out);
}

static const struct tree *find_container(const struct tree *containers, const char *name)
{
    if (name == NULL || name[0] == 0)
        return tree_index(containers, 0);
    for (const struct tree *c = containers ? containers->first : NULL; c != NULL; c = c->next)
        if (string_equal(tree_string(tree_get(c, "name")), name))
            return c;
    return NULL;
}

static const struct tree **entries(const struct tree *list, struct arena *arena, size_t *count)
{
    const struct tree **out = arena_array(arena, tree_count(list) + 1, sizeof(const struct tree *));

    for (const struct tree *entry = list ? list->first : NULL; entry != NULL; entry = entry->next)
        out[(*count)++] = entry;
    return out;
}

static enum lookup find_variable(struct env_record *record, const struct tree *containers, const char *container,
                                 const char *name, struct arena *arena, struct secret **out)
{
    const struct tree *c = find_container(containers, container);
    struct resolving r = {.k = record->envs->k, .ns = record->ns, .lookups_left = LOOKUPS_MAX};
    struct text value;

    r.env = entries(tree_get(c, "env"), arena, &r.env_count);
    r.env_from = entries(tree_get(c, "envFrom"), arena, &r.env_from_count);
    text_init(&value, LOCAL_ARGUMENT_MAX_BYTES);
    enum lookup found = resolve(&r, r.env_count, name, strlen(name), 0, &value);
    if (found == LOOKUP_FOUND && value.overflowed)
        found = LOOKUP_ABSENT; /* no process could be started with it */
    if (found == LOOKUP_FOUND)
        *out = secret_new(value.bytes, value.length);
    OPENSSL_cleanse(value.bytes, value.length);
    text_done(&value);
    return found;
}

enum lookup kubernetes_target_env(struct platform *platform, const struct target_key *key, const char *container,
                                  const char *name, struct secret **out)
{
    struct envs *envs = kubernetes_of(platform)->envs;
    struct env_record *r = record_get(envs, key->api_version && key->api_version[0] ? key->api_version : "apps/v1",
                                      key->kind && key->kind[0] ? key->kind : "Deployment", key->ns, key->name);
    struct tree *containers = NULL;
    enum lookup found = LOOKUP_ABSENT;

    if (r == NULL || name == NULL)
        return LOOKUP_ABSENT;
    r->asked_ms = loop_ticks_ms(envs->k->loop);
    if (r->state != LOOKUP_FOUND)
        return r->state;
    struct arena *arena = arena_new(ARENA_USUAL);
    if (tree_read_json(r->json, r->length, false, arena, &containers, NULL))
        found = find_variable(r, containers, container, name, arena, out);
    arena_free(arena);
    return found;
}

/* ------------------------------------------------------------------ birth and end */

struct envs *kubernetes_envs_new(struct kubernetes *k)
{
    struct envs *envs = mem_alloc(sizeof *envs);

    envs->k = k;
    envs->records = map_new();
    envs->sweep = loop_timer_new(k->loop, on_sweep, envs);
    return envs;
}

void kubernetes_envs_free(struct envs *envs)
{
    void *value;

    if (envs == NULL)
        return;
    for (size_t at = 0; map_next(envs->records, &at, NULL, &value);)
        record_free(value);
    map_free(envs->records);
    loop_timer_free(envs->sweep);
    free(envs);
}

/*
 * discovery: which resource a kind is, and whether it has /scale.
 *
 *     GET /apis/<group>/<version> -> {"resources":[{"name":"deployments","kind":"Deployment","namespaced":true},
 *                                                  {"name":"deployments/scale","kind":"Scale", ...}]}
 *
 * A group version is asked for once, however many wait for it, and what it has is kept KUBE_DISCOVERY_MS. What it has not is believed
 * for KUBE_DISCOVERY_MISSING_MS only: somebody may install the CRD after the object (failure-modes K10). An API server that cannot be
 * reached makes nothing unknown that was known.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/client_internal.h"

struct question {
    struct question *previous, *next; /* in its group version, or among those answered in the next turn */
    struct question **list;
    kube_resource_done *done;
    void *arg;
    const struct kube_resource *known; /* without asking */
    const char *refusal;               /* why it cannot be asked, or NULL */
    const char *api_version, *kind;    /* in storage */
    char storage[];
};

struct group_version {
    char *name;  /* "apps/v1" */
    char *group; /* "" of the core group */
    const char *version;
    struct arena *arena;
    struct map *kinds;   /* kind -> struct kube_resource; NULL: never answered */
    int64_t answered_ms; /* ticks */
    bool is_missing;
    struct error error; /* of the last answer, when that was none */
    struct kube_ask *ask;
    struct question *waiting;
    struct kube_discovery *discovery;
};

struct kube_discovery {
    struct kube *kube;
    struct arena *arena; /* what was handed out, for good */
    struct map *groups, *handed_out;
    struct question *answerable;
    struct timer *soon;
    size_t question_count, answerable_count;
};

static const struct kube_resource built_in[] = {
    {"apps", "v1", "Deployment", "deployments", true, true},
    {"apps", "v1", "StatefulSet", "statefulsets", true, true},
};

/* ---- questions ---- */
static void enter(struct question *question, struct question **list)
{
    question->list = list;
    question->previous = NULL;
    question->next = *list;
    if (*list)
        (*list)->previous = question;
    *list = question;
}

static void leave(struct question *question)
{
    if (question->previous)
        question->previous->next = question->next;
    else
        *question->list = question->next;
    if (question->next)
        question->next->previous = question->previous;
}

static void forget_question(struct kube_discovery *d, struct question *question)
{
    d->answerable_count -= question->list == &d->answerable;
    d->question_count--;
    leave(question);
    free(question);
}

/* ---- answers ---- */
/* What was handed out stays where it is, and follows what is true now. */
static const struct kube_resource *hand_out(struct kube_discovery *d, const struct group_version *g,
                                            const struct kube_resource *found)
{
    struct kube_resource *out;
    struct text key;

    text_init(&key, KUBE_PATH_MAX_BYTES);
    text_printf(&key, "%s/%s", g->name, found->kind);
    out = map_get(d->handed_out, key.bytes);
    if (!out) {
        out = arena_alloc(d->arena, sizeof *out);
        *out = (struct kube_resource){.group = arena_copy(d->arena, g->group),
                                      .version = arena_copy(d->arena, g->version),
                                      .kind = arena_copy(d->arena, found->kind),
                                      .plural = arena_copy(d->arena, found->plural)};
        map_put(d->handed_out, key.bytes, out);
    }
    text_done(&key);
    if (strcmp(out->plural, found->plural) != 0)
        out->plural = arena_copy(d->arena, found->plural);
    out->namespaced = found->namespaced;
    out->has_scale = found->has_scale;
    return out;
}

static void say_no_kind(struct error *err, const struct group_version *g, const char *kind)
{
    size_t count = 0;
    const char **kinds = mem_array(map_count(g->kinds) + 1, sizeof *kinds), *key, *near;
    void *value;

    for (size_t i = 0; map_next(g->kinds, &i, &key, &value);)
        kinds[count++] = key;
    near = string_nearest(kind, kinds, count);
    error_set(err, ERROR_MISSING, "%s has no kind \"%s\"%s%s%s; mend kind, or install its CRD", g->name, kind,
              near ? "; is it \"" : "", near ? near : "", near ? "\"?" : "");
    free(kinds);
}

static void answer(struct kube_discovery *d, const struct question *question)
{
    struct group_version *g = map_get(d->groups, question->api_version);
    struct kube_resource *found = g && g->kinds ? map_get(g->kinds, question->kind) : NULL;
    struct error err = {0};

    if (question->known || (found && found->has_scale)) {
        question->done(question->arg, question->known ? question->known : hand_out(d, g, found), NULL);
        return;
    }
    if (question->refusal || !g)
        error_set(&err, ERROR_INVALID, "%s %s: %s", question->api_version, question->kind,
                  question->refusal ? question->refusal : "it is not known any more; ask again");
    else if (found)
        error_set(&err, ERROR_INVALID,
                  TARGET_WITHOUT_SCALE ": %s of %s has no /scale subresource; add subresources.scale to its CRD",
                  question->kind, g->name);
    else if (g->kinds)
        say_no_kind(&err, g, question->kind);
    else
        err = g->error;
    question->done(question->arg, NULL, &err);
}

/* As many as there are now: what callbacks ask is for the next turn. */
static void answer_all(void *arg)
{
    struct kube_discovery *d = arg;

    for (size_t left = d->answerable_count; left > 0 && d->answerable; left--) {
        struct question *question = d->answerable;

        leave(question); /* whoever cancels in the callback does not find it */
        d->question_count--;
        d->answerable_count--;
        answer(d, question);
        free(question);
    }
    if (d->answerable)
        loop_timer_set(d->soon, 0);
}

static void answer_soon(struct kube_discovery *d, struct question *question)
{
    enter(question, &d->answerable);
    d->answerable_count++;
    loop_timer_set(d->soon, 0);
}

/* ---- asking ---- */
static void add_kind(struct group_version *g, struct map *kinds, const struct tree *entry)
{
    const char *kind = tree_string(tree_get(entry, "kind")), *plural = tree_string(tree_get(entry, "name"));
    struct kube_resource *resource;
    bool namespaced = false;

    if (!kind || !plural || strchr(plural, '/') || map_get(kinds, kind))
        return;
    tree_bool(tree_get(entry, "namespaced"), &namespaced);
    resource = arena_alloc(g->arena, sizeof *resource);
    *resource = (struct kube_resource){.group = g->group,
                                       .version = g->version,
                                       .kind = arena_copy(g->arena, kind),
                                       .plural = arena_copy(g->arena, plural),
                                       .namespaced = namespaced};
    map_put(kinds, kind, resource);
}

static void mark_scalable(struct map *kinds, const char *plural, size_t length)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(kinds, &i, &key, &value);) {
        struct kube_resource *resource = value;

        if (strlen(resource->plural) == length && strncmp(resource->plural, plural, length) == 0)
            resource->has_scale = true;
    }
}

static void read_resources(struct group_version *g, const struct tree *resources)
{
    struct map *kinds = map_new();

    arena_reset(g->arena);
    for (const struct tree *e = resources->first; e; e = e->next)
        add_kind(g, kinds, e);
    for (const struct tree *e = resources->first; e; e = e->next) {
        const char *name = tree_string(tree_get(e, "name"));

        if (name && string_ends(name, "/scale"))
            mark_scalable(kinds, name, strlen(name) - strlen("/scale"));
    }
    map_free(g->kinds);
    g->kinds = kinds;
}

static void forget_kinds(struct group_version *g)
{
    map_free(g->kinds);
    g->kinds = NULL;
}

static void on_resources(void *arg, const struct kube_reply *reply)
{
    struct group_version *g = arg;
    const struct tree *resources = tree_get(reply->body, "resources");

    g->ask = NULL;
    g->answered_ms = loop_ticks_ms(kube_loop(g->discovery->kube));
    g->is_missing = reply->error.kind == ERROR_MISSING;
    g->error = reply->error;
    if (reply->error.kind == ERROR_NONE && resources && resources->type == TREE_LIST)
        read_resources(g, resources);
    else if (reply->error.kind == ERROR_NONE)
        error_set(&g->error, ERROR_NONSENSE, "%s: the answer about %s is no list of resources",
                  kube_config_server(kube_config_of(g->discovery->kube)), g->name);
    if (g->is_missing) {
        forget_kinds(g);
        error_set(&g->error, ERROR_MISSING, "the API server has no \"%s\"; mend apiVersion, or install the CRD",
                  g->name);
    }
    while (g->waiting) {
        struct question *question = g->waiting;

        leave(question);
        answer_soon(g->discovery, question);
    }
}

static void ask(struct group_version *g)
{
    struct text path;
    struct kube_request request = {.method = "GET", .priority = KUBE_READ};

    text_init(&path, KUBE_PATH_MAX_BYTES);
    text_add(&path, g->group[0] ? "/apis/" : "/api/");
    if (g->group[0]) {
        kube_escape(&path, g->group);
        text_add_char(&path, '/');
    }
    kube_escape(&path, g->version);
    request.path = path.bytes;
    g->ask = kube_ask(g->discovery->kube, &request, on_resources, g);
    text_done(&path);
}

/* Does what is known about the group answer a question about this kind now? */
static bool is_answered(const struct group_version *g, const char *kind, int64_t now_ms)
{
    const struct kube_resource *found = g->kinds ? map_get(g->kinds, kind) : NULL;
    int64_t age_ms = now_ms - g->answered_ms;

    if (found && found->has_scale)
        return age_ms < KUBE_DISCOVERY_MS;
    if (g->kinds || g->is_missing || g->error.kind == ERROR_DENIED)
        return age_ms < KUBE_DISCOVERY_MISSING_MS;
    return false;
}

/* ---- group versions ---- */
static void free_group(struct group_version *g)
{
    if (g->ask)
        kube_cancel(g->ask);
    while (g->waiting)
        forget_question(g->discovery, g->waiting);
    map_free(g->kinds);
    arena_free(g->arena);
    free(g->name);
    free(g->group);
    free(g);
}

static bool is_asked_for(const struct kube_discovery *d, const char *name)
{
    for (const struct question *q = d->answerable; q; q = q->next)
        if (strcmp(q->api_version, name) == 0)
            return true;
    return false;
}

/* Those that do not exist are forgotten to make room: manifests can name any number of them. */
static void drop_missing(struct kube_discovery *d)
{
    const char *key;
    void *value;

    for (size_t i = 0; map_next(d->groups, &i, &key, &value);) {
        struct group_version *g = value;

        if (g->kinds || g->ask || g->waiting || is_asked_for(d, g->name))
            continue;
        map_remove(d->groups, key);
        free_group(g);
    }
}

static struct group_version *group_of(struct kube_discovery *d, const char *api_version)
{
    struct group_version *g = map_get(d->groups, api_version);
    const char *slash = strchr(api_version, '/');

    if (g)
        return g;
    if (map_count(d->groups) >= KUBE_DISCOVERY_GROUPS_MAX)
        drop_missing(d);
    if (map_count(d->groups) >= KUBE_DISCOVERY_GROUPS_MAX)
        return NULL;
    g = mem_alloc(sizeof *g);
    g->discovery = d;
    g->name = mem_copy(api_version);
    g->arena = arena_new(ARENA_SMALL);
    g->group = mem_copy(slash ? api_version : "");
    g->group[slash ? slash - api_version : 0] = 0;
    g->version = slash ? g->name + (slash - api_version) + 1 : g->name;
    map_put(d->groups, api_version, g);
    return g;
}

static struct kube_discovery *discovery_of(struct kube *kube)
{
    struct kube_discovery **place = kube_discovery_place(kube);

    if (!*place) {
        *place = mem_alloc(sizeof **place);
        (*place)->kube = kube;
        (*place)->arena = arena_new(ARENA_SMALL);
        (*place)->groups = map_new();
        (*place)->handed_out = map_new();
        (*place)->soon = loop_timer_new(kube_loop(kube), answer_all, *place);
    }
    return *place;
}

/* ---- what is known without asking, or cannot be asked ---- */
static const struct kube_resource *find_built_in(const char *api_version, const char *kind)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (strcmp(api_version, "apps/v1") == 0 && strcmp(kind, built_in[i].kind) == 0)
            return &built_in[i];
    return NULL;
}

static const char *why_not(const struct kube_discovery *d, const char *api_version, const char *kind)
{
    const char *slash = strchr(api_version, '/');

    if (!api_version[0] || !kind[0])
        return "apiVersion and kind must be given";
    if (slash && (slash == api_version || !slash[1] || strchr(slash + 1, '/')))
        return "apiVersion must be <group>/<version>, such as apps/v1";
    if (strlen(api_version) + strlen(kind) > KUBE_PATH_MAX_BYTES / 4)
        return "apiVersion and kind are too long (KUBE_PATH_MAX_BYTES)";
    if (d->question_count >= KUBE_DISCOVERY_WAITING_MAX)
        return "too many ask for kinds at once (KUBE_DISCOVERY_WAITING_MAX); try again";
    return NULL;
}

static struct question *new_question(const char *api_version, const char *kind, kube_resource_done *done, void *arg)
{
    size_t version_size = strlen(api_version) + 1, kind_size = strlen(kind) + 1;
    struct question *question = mem_alloc(sizeof *question + version_size + kind_size);

    memcpy(question->storage, api_version, version_size);
    memcpy(question->storage + version_size, kind, kind_size);
    question->api_version = question->storage;
    question->kind = question->storage + version_size;
    question->done = done;
    question->arg = arg;
    return question;
}

void kube_discover(struct kube *kube, const char *api_version, const char *kind, kube_resource_done *done, void *arg)
{
    struct kube_discovery *d = discovery_of(kube);
    struct question *question = new_question(api_version, kind, done, arg);
    struct group_version *g = NULL;

    question->known = find_built_in(api_version, kind);
    question->refusal = question->known ? NULL : why_not(d, api_version, kind);
    d->question_count++;
    if (!question->known && !question->refusal && !(g = group_of(d, api_version)))
        question->refusal = "too many group versions are named (KUBE_DISCOVERY_GROUPS_MAX)";
    if (!g || is_answered(g, kind, loop_ticks_ms(kube_loop(kube)))) {
        answer_soon(d, question);
        return;
    }
    enter(question, &g->waiting);
    if (!g->ask)
        ask(g);
}

static void cancel_in(struct kube_discovery *d, struct question *list, const void *arg)
{
    for (struct question *q = list, *next; q; q = next) {
        next = q->next;
        if (q->arg == arg)
            forget_question(d, q);
    }
}

void kube_discover_cancel(struct kube *kube, void *arg)
{
    struct kube_discovery *d = *kube_discovery_place(kube);
    const char *key;
    void *value;

    if (!d || d->question_count == 0)
        return;
    cancel_in(d, d->answerable, arg);
    for (size_t i = 0; map_next(d->groups, &i, &key, &value);)
        cancel_in(d, ((struct group_version *)value)->waiting, arg);
}

void kube_discovery_free(struct kube_discovery *discovery)
{
    const char *key;
    void *value;

    if (!discovery)
        return;
    while (discovery->answerable)
        forget_question(discovery, discovery->answerable);
    for (size_t i = 0; map_next(discovery->groups, &i, &key, &value);)
        free_group(value);
    map_free(discovery->groups);
    map_free(discovery->handed_out);
    loop_timer_free(discovery->soon);
    arena_free(discovery->arena);
    free(discovery);
}

/*
 * cluster: what is asked for in a cluster. The platform tells of resources; here they wait their turn, become objects, and are
 * built again when something they refer to changes.
 *
 *     resource_changed --> record: its JSON, pruned --> due --> RESOURCES_PER_TURN_MAX a turn --> manifest -> policy -> object
 *                                                        ^                                             |
 *                              data and auths change ----+-- (read again) <--- waits for data <--------+
 *
 * Of a resource only a record is kept. Its JSON, without status, managed fields and the like, lives from the moment it is told
 * until it was applied, or the data it waits for is known: a tree of ten thousand objects would take ten times as much, and
 * reading a text of some hundred bytes takes a few microseconds. When an object must be built again later, the platform is asked
 * to tell it again.
 *
 * Whatever is wrong with a resource is said in its own status and harms no other. The status it comes with at first sight is the
 * memory of whoever looked after it before: a pod has no disk.
 */
#include "autoscaler/autoscaler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atom.h"
#include "base/log.h"
#include "base/tree.h"
#include "manifest/manifest.h"

enum {
    WAIT_RETRY_MS = 5 * 1000,   /* data that is looked up is told when it comes; this is for what was told too early */
    USERS_RETRY_MS = 30 * 1000, /* lists that are another Weir's to write: it may be ours by then */
};

#define PLACE "the cluster" /* where its objects stand, as others stand in a file */

struct record {               /* one resource */
    struct referrer referrer; /* first: found from the index */
    struct cluster *cluster;
    const char *key; /* "ScaledObject/shop/checkout": the map's own copy */
    enum resource_kind kind;
    char *json; /* pruned; NULL: it was applied */
    int64_t generation;
    uint64_t users_told; /* of an authentication: hash of the lists in its status; 0: they are not known */
    enum resource_end end;
    bool due, waits, observed;
    bool again;      /* to be built even where nothing of it changed */
    bool users_due;  /* an authentication whose users changed */
    bool users_ours; /* there were some that we know of */
    bool applied;    /* an authentication that was kept once */
    struct record *next_due;
};

struct cluster {
    struct autoscaler *a;
    struct map *records; /* by key */
    struct map *index;   /* refer.c */
    struct record *first, *last;
    struct timer *timer, *wait_timer, *users_timer;
    const char *place; /* an atom */
    size_t waiting;
    bool timer_set, users_wait, synced, was_synced;
    int64_t started_at_ms;
};

static const char *const kind_names[RESOURCE_KINDS] = {"TriggerAuthentication", "ClusterTriggerAuthentication",
                                                       "ScaledObject", "ScaledJob"};

static bool is_auth(enum resource_kind kind)
{
    return kind == RESOURCE_TRIGGER_AUTH || kind == RESOURCE_CLUSTER_TRIGGER_AUTH;
}

static const struct platform_ops *ops_of(const struct cluster *c)
{
    return c->a->parts.platform->ops;
}

/* "ScaledObject/shop/checkout" -> "shop" (in the storage given), "checkout". */
static const char *split_key(const char *key, char *ns, size_t size)
{
    const char *first = strchr(key, '/') + 1, *second = strchr(first, '/');

    snprintf(ns, size, "%.*s", (int)(second - first), first);
    return second + 1;
}

/* ------------------------------------------------------------------ records and their turn */

static void mark_due(struct record *r)
{
    struct cluster *c = r->cluster;

    if (!r->due) {
        r->due = true;
        r->next_due = NULL;
        if (c->last)
            c->last->next_due = r;
        else
            c->first = r;
        c->last = r;
    }
    if (!c->timer_set) {
        c->timer_set = true;
        loop_timer_set(c->timer, 0);
    }
}

static struct record *record_get(struct cluster *c, enum resource_kind kind, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];
    struct record *r;

    snprintf(key, sizeof(key), "%s/%s/%s", kind_names[kind], kind == RESOURCE_CLUSTER_TRIGGER_AUTH ? "" : ns, name);
    r = map_get(c->records, key);
    if (r)
        return r;
    r = mem_alloc(sizeof(*r));
    r->cluster = c;
    r->kind = kind;
    map_put(c->records, key, r);
    r->key = map_key(c->records, key);
    return r;
}

static void set_waits(struct record *r, bool waits)
{
    r->cluster->waiting += (size_t)waits - (size_t)r->waits;
    r->waits = waits;
    if (waits)
        loop_timer_set(r->cluster->wait_timer, WAIT_RETRY_MS);
}

static void record_free(struct record *r)
{
    set_waits(r, false);
    map_remove(r->cluster->records, r->key);
    free(r->json);
    free(r);
}

/* ------------------------------------------------------------------ what is told */

static void add_member(struct text *out, const struct tree *map, const char *name)
{
    const struct tree *member = tree_get(map, name);

    if (!member || member->type == TREE_NULL)
        return;
    text_add(out, out->bytes[out->length - 1] == '{' ? "\"" : ",\"");
    text_add(out, name);
    text_add(out, "\":");
    tree_write_json(member, out);
}

/* What is needed of it: not its managed fields, and of its status only what is there at first sight. */
static char *prune(const struct tree *tree, enum resource_kind kind, bool with_status)
{
    static const char *const kept[] = {"name",       "namespace",         "labels",    "annotations", "uid",
                                       "generation", "creationTimestamp", "finalizers"};
    const struct tree *metadata = tree_get(tree, "metadata");
    struct text out;

    text_init(&out, MANIFEST_FILE_MAX_BYTES);
    text_printf(&out, "{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"%s\",\"metadata\":{", kind_names[kind]);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        add_member(&out, metadata, kept[i]);
    text_add(&out, "}");
    add_member(&out, tree, "spec");
    if (with_status)
        add_member(&out, tree, "status");
    text_add(&out, "}");
    return text_take(&out);
}

static void on_elsewhere(struct cluster *c, const struct resource_view *view);

static void on_resource(void *arg, const struct resource_view *view, enum resource_end end)
{
    struct cluster *c = arg;
    struct record *r;

    if (end == RESOURCE_ELSEWHERE) {
        on_elsewhere(c, view);
        return;
    }
    r = record_get(c, view->kind, view->ns ? view->ns : "", view->name);
    /* Authentications are everybody's: they move only when the lease is lost, and all are told again when it is back. */
    if (end == RESOURCE_MOVED && is_auth(view->kind))
        c->synced = false;
    free(r->json);
    r->json = NULL;
    r->end = end;
    if (view->tree)
        r->json = prune(view->tree, view->kind, is_auth(r->kind) ? !r->applied : !object_find(c->a, r->key));
    if (end == RESOURCE_STAYS)
        r->generation = view->generation;
    mark_due(r);
}

static bool may_write(const struct record *r)
{
    struct platform *platform = r->cluster->a->parts.platform;
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    return !platform->ops->may_write || platform->ops->may_write(platform, ns, name);
}

static void wait_for_users(struct cluster *c)
{
    if (!c->users_wait)
        loop_timer_set(c->users_timer, USERS_RETRY_MS);
    c->users_wait = true;
}

/* all: those too that may be told later only. */
static void tell_due_users(struct cluster *c, bool all)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(c->records, &at, &key, &value);) {
        struct record *r = value;

        if (r->users_due && (all || may_write(r)))
            mark_due(r);
        else if (r->users_due)
            wait_for_users(c);
    }
}

static void on_users(void *arg)
{
    struct cluster *c = arg;

    c->users_wait = false;
    tell_due_users(c, false);
}

static void on_synced(void *arg)
{
    struct cluster *c = arg;

    if (!c->synced)
        log_info("the objects of the cluster are known", NULL);
    c->synced = c->was_synced = true;
    tell_due_users(c, true);
}

bool cluster_is_unread(const struct cluster *cluster)
{
    struct platform *platform = cluster->a->parts.platform;
    const struct platform_ops *ops = platform->ops;

    if (!cluster->was_synced)
        return true;
    return map_count(cluster->records) == 0 && ops->resources_readable &&
           !ops->resources_readable(platform, RESOURCE_SCALED_OBJECT, NULL);
}

/* ------------------------------------------------------------------ built again */

/* Asks for the resource once more, unless it is at hand. */
static void again(struct record *r)
{
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    r->again = true;
    if (r->json)
        mark_due(r);
    else if (r->end == RESOURCE_STAYS)
        ops_of(r->cluster)->resource_again(r->cluster->a->parts.platform, r->kind, ns, name);
}

static void each_again(void *arg, struct referrer *who)
{
    (void)arg;
    again((struct record *)who);
}

void cluster_referred_changed(struct cluster *cluster, const char *name)
{
    refer_each(cluster->index, name, each_again, NULL);
}

/* A Secret, a ConfigMap, or a target whose variables are others now. */
static void on_data(void *arg, const char *ns, const char *name)
{
    struct cluster *c = arg;
    char key[OBJECT_KEY_BYTES];

    snprintf(key, sizeof(key), "data/%s/%s", ns, name);
    refer_each(c->index, key, each_again, NULL);
}

static void on_wait(void *arg)
{
    struct cluster *c = arg;
    const char *key;
    void *value;

    for (size_t at = 0; c->waiting > 0 && map_next(c->records, &at, &key, &value);) {
        struct record *r = value;

        if (r->waits && r->json)
            mark_due(r);
    }
    if (c->waiting > 0)
        loop_timer_set(c->wait_timer, WAIT_RETRY_MS);
}

void cluster_again(struct object *object)
{
    struct cluster *c = object->a->cluster;
    struct record *r = c ? map_get(c->records, object->key) : NULL;

    if (r)
        again(r);
}

/* As far as can be told of one that may have errors. */
static bool is_observed(const struct autoscaler *a, const struct tree *document)
{
    const char *mode = tree_string(tree_get(tree_at(document, "metadata.annotations"), "weir.dev/mode"));

    return mode ? strcmp(mode, "observe") == 0 : a->settings.mode == DECIDE_OBSERVE;
}

/* ------------------------------------------------------------------ authentications */

static void auth_event(const struct record *r, const char *reason, const char *text)
{
    struct platform *platform = r->cluster->a->parts.platform;
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    if (!may_write(r))
        return;
    if (platform->ops->event && !r->observed)
        platform->ops->event(platform, ns, kind_names[r->kind], name, false, reason, text);
    listeners_tell_event(r->cluster->a, &(struct autoscaler_event){.ns = ns,
                                                                   .kind = kind_names[r->kind],
                                                                   .name = name,
                                                                   .reason = reason,
                                                                   .text = text,
                                                                   .at_ms = loop_now_ms(r->cluster->a->parts.loop)});
}

/* KEDA calls an update by the cluster kind's reason, whichever of the two it is (09-quirks R 17). */
static void say_auth(const struct record *r, int64_t created_at_ms)
{
    char text[OBJECT_KEY_BYTES + 64], ns[OBJECT_KEY_BYTES], reason[64];

    if (r->applied) {
        snprintf(text, sizeof(text), "ClusterTriggerAuthentication %s is updated", split_key(r->key, ns, sizeof(ns)));
        auth_event(r, "ClusterTriggerAuthenticationUpdated", text);
    } else if (created_at_ms >= r->cluster->started_at_ms) { /* not at every start for all there are */
        snprintf(text, sizeof(text), "New %s configured", kind_names[r->kind]);
        snprintf(reason, sizeof(reason), "%sAdded", kind_names[r->kind]);
        auth_event(r, reason, text);
    }
}

static uint64_t users_hash(const char *objects, const char *jobs)
{
    return hash_string(hash_string(1, objects ? objects : ""), jobs ? jobs : "");
}

static void users_changed(struct cluster *c, const char *name)
{
    struct record *r;

    if (!string_starts(name, "TriggerAuthentication/") && !string_starts(name, "ClusterTriggerAuthentication/"))
        return;
    r = map_get(c->records, name);
    if (!r || !r->applied)
        return;
    r->users_due = true;
    mark_due(r);
}

static void apply_auth(struct record *r, const struct manifest *manifest, const struct tree *document,
                       const struct report *report)
{
    struct cluster *c = r->cluster;
    const struct trigger_auth *auth = manifest->trigger_auth_count > 0 ? manifest->trigger_auths : NULL;
    const struct tree *status = tree_get(document, "status");
    const char *created = tree_string(tree_at(document, "metadata.creationTimestamp"));
    int64_t created_at_ms = 0;

    if (!auth || auth->meta.broken) {
        log_warning("bad authentication; what it was before stays in force", "object", r->key, "problem",
                    report_count(report) > 0 ? report_at(report, 0)->text : "it cannot be read", NULL);
        return;
    }
    if (created)
        instant_parse(created, &created_at_ms);
    r->observed = is_observed(c->a, document);
    say_auth(r, created_at_ms);
    if (!r->applied)
        r->users_told =
            users_hash(tree_string(tree_get(status, "scaledobjects")), tree_string(tree_get(status, "scaledjobs")));
    r->applied = true;
    auth_keep(c->a, c->place, auth);
    refer_each(c->index, r->key, each_again, NULL);
    r->users_due = true;
}

struct users {
    struct text lists[2]; /* of ScaledObjects, of ScaledJobs */
    struct map *seen[2];  /* names stand there once, whatever their namespaces */
};

static void add_user(void *arg, struct referrer *who)
{
    const struct record *r = (const struct record *)who;
    int which = r->kind == RESOURCE_SCALED_JOB;
    struct users *users = arg;
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    if (r->observed || map_get(users->seen[which], name))
        return;
    map_put(users->seen[which], name, users);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order, so that every Weir would write the same. */
static void join_users(const struct map *seen, struct text *out)
{
    const char **names = mem_array(map_count(seen) + 1, sizeof(*names));
    size_t count = 0;
    void *value;

    for (size_t at = 0; map_next(seen, &at, &names[count], &value);)
        count++;
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        text_add(out, i ? "," : "");
        text_add(out, names[i]);
    }
    free(names);
}

/* Where nothing uses it that is ours to look after, the list is somebody else's: what is only observed, or not seen at all
   (--watch-label-selector), is not in ours. */
static bool is_ours_to_tell(struct record *r, const struct users *users)
{
    r->users_ours |= users->lists[0].length > 0 || users->lists[1].length > 0;
    return r->users_ours;
}

static void write_users(const struct record *r, const struct users *users)
{
    struct platform *platform = r->cluster->a->parts.platform;
    struct text patch;
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    text_init(&patch, STATUS_USERS_MAX_BYTES * 3);
    text_add(&patch, "{\"scaledobjects\":");
    text_add_json_string(&patch, users->lists[0].bytes, users->lists[0].length);
    text_add(&patch, ",\"scaledjobs\":");
    text_add_json_string(&patch, users->lists[1].bytes, users->lists[1].length);
    text_add(&patch, "}");
    platform->ops->status_merge(platform, r->kind, ns, name, patch.bytes, patch.length);
    text_done(&patch);
}

static void tell_users(struct record *r)
{
    const struct platform_ops *ops = ops_of(r->cluster);
    struct users users;

    if (!r->cluster->synced)
        return; /* it would be told that nobody uses it, and be told otherwise a moment later: see on_synced */
    for (int i = 0; i < 2; i++) {
        text_init(&users.lists[i], STATUS_USERS_MAX_BYTES);
        users.seen[i] = map_new();
    }
    refer_each(r->cluster->index, r->key, add_user, &users);
    for (int i = 0; i < 2; i++)
        join_users(users.seen[i], &users.lists[i]);
    uint64_t hash = users_hash(users.lists[0].bytes, users.lists[1].bytes);
    bool ours = is_ours_to_tell(r, &users);
    if (!may_write(r)) { /* another Weir writes it, and may end */
        r->users_told = 0;
        wait_for_users(r->cluster);
    } else {
        r->users_due = false;
        if (ours && hash != r->users_told && ops->status_merge) {
            r->users_told = hash;
            write_users(r, &users);
        }
    }
    for (int i = 0; i < 2; i++) {
        text_done(&users.lists[i]);
        map_free(users.seen[i]);
    }
}

/* ------------------------------------------------------------------ objects */

/* It was r's, or might have been: others who want to scale it may now. */
static void target_is_free(struct cluster *c, const char *name, const char *const *names, size_t count)
{
    if (!string_starts(name, "target/"))
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return;
    refer_each(c->index, name, each_again, NULL);
}

static void set_references(struct record *r, const char *const *names, size_t count)
{
    struct cluster *c = r->cluster;
    size_t before = r->referrer.count;
    const char **old = before ? mem_array(before, sizeof(*old)) : NULL;

    for (size_t i = 0; i < before; i++)
        old[i] = atom_ref(refer_name(&r->referrer, i));
    refer_set(c->index, &r->referrer, names, count);
    for (size_t i = 0; i < before; i++) {
        users_changed(c, old[i]);
        target_is_free(c, old[i], names, count);
        atom_unref(old[i]);
    }
    for (size_t i = 0; i < count; i++)
        users_changed(c, names[i]);
    free(old);
}

/* ---- those of other Weirs ---- */

/* What its triggers sign in with, as keys; out has room for all. */
static size_t read_auths(const struct resource_view *view, struct arena *arena, const char **out)
{
    const struct tree *triggers = tree_at(view->tree, "spec.triggers");
    size_t count = 0;

    for (const struct tree *t = triggers && triggers->type == TREE_LIST ? triggers->first : NULL; t; t = t->next) {
        const struct tree *reference = tree_get(t, "authenticationRef");
        const char *name = tree_string(tree_get(reference, "name")), *kind = tree_string(tree_get(reference, "kind"));
        char key[OBJECT_KEY_BYTES];

        if (!name || count == TRIGGERS_MAX)
            continue;
        auth_key(key, sizeof(key), kind && *kind ? kind : kind_names[RESOURCE_TRIGGER_AUTH], view->ns, name);
        out[count++] = arena_copy(arena, key);
    }
    return count;
}

static size_t kept_auths(const struct record *r, struct arena *arena, const char **out)
{
    size_t count = 0;

    for (size_t i = 0; i < r->referrer.count && count < TRIGGERS_MAX; i++) {
        const char *name = refer_name(&r->referrer, i);

        if (string_starts(name, "TriggerAuthentication/") || string_starts(name, "ClusterTriggerAuthentication/"))
            out[count++] = arena_copy(arena, name);
    }
    return count;
}

/* Of another Weir's object only what it signs in with is kept: an authentication says who uses it, whoever looks after them. */
static void on_elsewhere(struct cluster *c, const struct resource_view *view)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    const char **names = arena_array(arena, TRIGGERS_MAX, sizeof(*names));
    char key[OBJECT_KEY_BYTES];
    struct record *r;
    size_t count;

    snprintf(key, sizeof(key), "%s/%s/%s", kind_names[view->kind], view->ns, view->name);
    r = map_get(c->records, key);
    count = view->tree ? read_auths(view, arena, names) : r ? kept_auths(r, arena, names) : 0;
    if (r || count > 0) {
        r = record_get(c, view->kind, view->ns, view->name);
        free(r->json);
        r->json = NULL;
        r->end = RESOURCE_ELSEWHERE;
        if (view->tree)
            r->observed = is_observed(c->a, view->tree);
        set_references(r, names, count);
        mark_due(r);
    }
    arena_free(arena);
}

/* It was ours until now, or uses nothing any more. */
static void apply_elsewhere(struct record *r)
{
    struct object *object = object_find(r->cluster->a, r->key);

    set_waits(r, false);
    if (object && object->standing)
        object_forget(object);
    if (r->referrer.count == 0)
        record_free(r);
}

/* ---- one target, one owner ---- */

/* "target/shop/apps/Deployment/web"; NULL: it scales none. A version of the API is another way to the same thing. */
static const char *target_name(struct arena *arena, const struct policy *policy)
{
    const char *version = policy->is_job ? "" : policy->target.api_version, *slash = strchr(version, '/');

    if (policy->is_job || policy->rules.mode == DECIDE_OBSERVE)
        return NULL;
    return arena_printf(arena, "target/%s/%.*s/%s/%s", policy->target.ns, slash ? (int)(slash - version) : 0, version,
                        policy->target.kind, policy->target.name);
}

struct finding_owner {
    const struct record *asks;
    const char *target;
    struct arena *arena;
    struct object *found;
};

/* Who only wants to scale it does not count. */
static void find_owner(void *arg, struct referrer *who)
{
    struct finding_owner *on = arg;
    const struct record *r = (const struct record *)who;
    struct object *object = object_find(r->cluster->a, r->key);

    if (r != on->asks && object && object->policy && string_equal(target_name(on->arena, object->policy), on->target))
        on->found = object;
}

/* The webhook refuses who comes second; where it was not there, that is the younger one, whatever the order we are told in. */
static bool comes_first(const struct object *a, const struct object *b)
{
    int64_t a_ms = a->standing->created_at_ms, b_ms = b->standing ? b->standing->created_at_ms : 0;

    return b->standing && (a_ms != b_ms ? a_ms < b_ms : strcmp(a->key, b->key) < 0);
}

/* Who scales the target instead of r, in words; NULL: nobody. One that came later than r gives way, and is told so in its own turn. */
static const char *other_owner(const struct record *r, const char *target, const struct policy *policy,
                               struct arena *arena)
{
    struct finding_owner on = {.asks = r, .target = target, .arena = arena};
    const struct object *object = object_find(r->cluster->a, r->key);
    char ns[OBJECT_KEY_BYTES];

    refer_each(r->cluster->index, target, find_owner, &on);
    if (!on.found)
        return NULL;
    if (comes_first(object, on.found)) {
        struct record *other = map_get(r->cluster->records, on.found->key);

        object_forget(on.found);
        again(other);
        return NULL;
    }
    return arena_printf(arena,
                        "spec.scaleTargetRef.name: the workload '%s' of type '%s.%s' is already managed by the "
                        "ScaledObject '%s'; put the triggers of both into one",
                        policy->target.name, policy->target.api_version, policy->target.kind,
                        split_key(on.found->key, ns, sizeof(ns)));
}

static const char *on_built(void *arg, const struct policy *policy, struct arena *arena)
{
    struct record *r = arg;
    const struct object *object = object_find(r->cluster->a, r->key);
    const char *target = target_name(arena, policy);
    const char *refused = target ? other_owner(r, target, policy, arena) : NULL;
    /* Refused, the version before stays in force, and what that scales is its own. */
    const char *kept = refused && object->policy ? target_name(arena, object->policy) : NULL;
    const char **names = arena_alloc(arena, (policy->reference_count + 2) * sizeof(*names));
    size_t count = policy->reference_count;

    for (size_t i = 0; i < count; i++)
        names[i] = policy->references_to[i];
    if (target)
        names[count++] = target;
    if (kept)
        names[count++] = kept;
    r->observed = policy->rules.mode == DECIDE_OBSERVE;
    set_references(r, names, count);
    return refused;
}

/* Its first sight: what its status remembers. NULL: there are too many objects. */
static struct object *known_object(struct record *r, const struct tree *document)
{
    struct autoscaler *a = r->cluster->a;
    struct object *object = object_find(a, r->key);

    if (!object && map_count(a->objects) >= OBJECTS_MAX) {
        log_error("there are too many objects (OBJECTS_MAX); give some to another Weir", "object", r->key, NULL);
        return NULL;
    }
    if (object && !object->standing) {
        log_error("the object is also defined by a file; the cluster's is left out", "object", r->key, "file",
                  object->file, NULL);
        return NULL;
    }
    if (!object) {
        object = object_get(a, r->key, r->cluster->place);
        object->standing = standing_new(r->kind, document);
    }
    return object;
}

/* Deleted and made anew under the same name while nobody looked: not the same object. */
static void end_another(struct record *r, const struct tree *document)
{
    struct object *object = object_find(r->cluster->a, r->key);
    const char *uid = tree_string(tree_at(document, "metadata.uid"));

    if (object && object->standing && !string_equal(object->standing->uid, uid ? uid : ""))
        object_remove(object);
}

static void apply_scaled(struct record *r, const struct manifest *manifest, const struct tree *document,
                         struct report *report)
{
    const struct scaled_object *scaled_object = manifest->scaled_object_count > 0 ? manifest->scaled_objects : NULL;
    const struct scaled_job *scaled_job = manifest->scaled_job_count > 0 ? manifest->scaled_jobs : NULL;
    struct application on = {.file = r->cluster->place,
                             .scaled_object = scaled_object,
                             .scaled_job = scaled_job,
                             .again = r->again,
                             .report = report,
                             .job_generation = (uint64_t)r->generation,
                             .built = on_built,
                             .arg = r};
    struct object *object;
    bool quiet;

    end_another(r, document);
    object = known_object(r, document);
    if (!object)
        return;
    quiet = !object->policy && object->standing->seen_before;
    object->standing->silent = is_observed(r->cluster->a, document);
    if (!scaled_object && !scaled_job) {
        object_set_problem(r->cluster->a, r->key, r->cluster->place,
                           report_count(report) > 0 ? report_at(report, 0)->text : "it cannot be read");
        status_tell(object, NULL);
        return;
    }
    on.meta = scaled_object ? &scaled_object->meta : &scaled_job->meta;
    set_waits(r, !apply_object(r->cluster->a, r->key, &on));
    if (r->waits)
        return;
    r->again = false;
    status_infos(object, report, quiet);
    if (scaled_object && object->policy && !object->problem)
        hpa_arrange(object, scaled_object);
    if (object->problem)
        status_tell(object, NULL);
}

/* ------------------------------------------------------------------ one record */

static void end_record(struct record *r, const struct tree *document)
{
    struct autoscaler *a = r->cluster->a;
    struct object *object = object_find(a, r->key);
    char ns[OBJECT_KEY_BYTES];
    const char *name = split_key(r->key, ns, sizeof(ns));

    if (is_auth(r->kind)) {
        if (r->end == RESOURCE_DELETED && document && !is_observed(a, document))
            leave_begin(a, r->kind, ns, name, NULL, document);
        if (r->end == RESOURCE_DELETED && auth_drop(a, r->key)) {
            char reason[64], text[64];

            snprintf(reason, sizeof(reason), "%sDeleted", kind_names[r->kind]);
            snprintf(text, sizeof(text), "%s was deleted", kind_names[r->kind]);
            auth_event(r, reason, text);
            refer_each(r->cluster->index, r->key, each_again, NULL);
        } else {
            auth_drop(a, r->key);
        }
    } else if (object && !object->standing) {
        object = NULL; /* a file's */
    } else if (r->end == RESOURCE_MOVED && object) {
        object_forget(object);
    } else if (r->end == RESOURCE_DELETED) {
        if (object)
            status_stopped(object);
        if (object)
            status_event(object, true, r->kind == RESOURCE_SCALED_JOB ? "ScaledJobDeleted" : "ScaledObjectDeleted",
                         "%s was deleted", kind_names[r->kind]);
        if (object ? !object->standing->silent : document && !is_observed(a, document))
            leave_begin(a, r->kind, ns, name, object, document);
        if (object)
            object_remove(object);
    }
    if (!is_auth(r->kind))
        set_references(r, NULL, 0);
    record_free(r);
}

static void apply_document(struct record *r, const struct tree *document)
{
    struct manifest_options options = {.local = false};
    struct report *report = report_new();
    struct manifest *manifest;

    manifest_read_tree(PLACE, document, &options, report, &manifest);
    if (is_auth(r->kind))
        apply_auth(r, manifest, document, report);
    else
        apply_scaled(r, manifest, document, report);
    manifest_free(manifest);
    report_free(report);
}

static void apply(struct record *r)
{
    struct arena *arena;
    struct tree *document = NULL;
    struct error err;

    if (r->end == RESOURCE_ELSEWHERE) {
        apply_elsewhere(r);
        return;
    }
    arena = arena_new(ARENA_USUAL);
    if (r->json && !tree_read_json(r->json, strlen(r->json), false, arena, &document, &err))
        log_error("a resource cannot be read", "object", r->key, "error", err.text, NULL);
    if (r->end != RESOURCE_STAYS) {
        end_record(r, document);
        arena_free(arena);
        return;
    }
    if (document)
        apply_document(r, document);
    if (!r->waits) {
        free(r->json);
        r->json = NULL;
    }
    if (r->users_due)
        tell_users(r);
    arena_free(arena);
}

static void on_turn(void *arg)
{
    struct cluster *c = arg;

    c->timer_set = false;
    for (int i = 0; i < RESOURCES_PER_TURN_MAX && c->first; i++) {
        struct record *r = c->first;

        c->first = r->next_due;
        if (!c->first)
            c->last = NULL;
        r->due = false;
        apply(r);
    }
    if (c->first && !c->timer_set) {
        c->timer_set = true;
        loop_timer_set(c->timer, 0);
    }
}

/* ------------------------------------------------------------------ life */

void autoscaler_watch_cluster(struct autoscaler *a)
{
    struct platform *platform = a->parts.platform;
    struct cluster *c;

    if (a->cluster || !platform->ops->resources_watch)
        return;
    c = mem_alloc(sizeof(*c));
    c->a = a;
    c->records = map_new();
    c->index = map_new();
    c->place = atom_ref(PLACE);
    c->started_at_ms = loop_now_ms(a->parts.loop);
    c->started_at_ms -= c->started_at_ms % 1000; /* compared with what the API server says in whole seconds */
    c->timer = loop_timer_new(a->parts.loop, on_turn, c);
    c->wait_timer = loop_timer_new(a->parts.loop, on_wait, c);
    c->users_timer = loop_timer_new(a->parts.loop, on_users, c);
    a->cluster = c;
    platform->ops->on_data_change(platform, on_data, c);
    platform->ops->resources_watch(platform, on_resource, on_synced, c);
}

void cluster_free(struct cluster *c)
{
    const char *key;
    void *value;

    if (!c)
        return;
    for (size_t at = 0; map_next(c->records, &at, &key, &value);) {
        struct record *r = value;

        refer_set(c->index, &r->referrer, NULL, 0);
        free(r->json);
        free(r);
    }
    map_free(c->records);
    map_free(c->index);
    loop_timer_free(c->timer);
    loop_timer_free(c->wait_timer);
    loop_timer_free(c->users_timer);
    atom_unref(c->place);
    free(c);
}

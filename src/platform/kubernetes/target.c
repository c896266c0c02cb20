/*
 * target: scale targets, everything with a /scale subresource.
 *
 *     kind ("apps/v1 Deployment") -- discovery --> resource -- one reflector, or one per namespace --> scales by "ns/name"
 *     scale: the counts of one object that somebody watches; any number of targets look at it
 *
 * A kind is watched from its first target to its last. Of objects nobody looks at only the counts are kept (sighting.h), so that
 * one that is looked at later costs no request; their selector is read when somebody asks for pods. Where an object says its counts itself (Deployment, StatefulSet, ReplicaSet,
 * ReplicationController, Argo's Rollout) they are taken from the watch alone; any other kind keeps them where its CRD says, and
 * only /scale knows: it is read when the watch has told of a change, never by the clock.
 *
 * A write is a JSON patch of /scale that first tests the count it was decided from: the API server applies both or neither, and
 * tries again by itself when something else of the object changed meanwhile. A test that failed is 422, as is a count that the
 * object's own validation refuses; one look at /scale tells which. The answer of a write is what is shown from then on; for a
 * while older news of the watch are passed over. Texts of a target that is not there are KEDA's (keda-operator/02 4.3).
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/tree.h"
#include "net/loop.h"
#include "platform/kubernetes/env.h"
#include "platform/kubernetes/pod.h"
#include "platform/kubernetes/rival.h"
#include "platform/kubernetes/sighting.h"
#include "platform/kubernetes/target.h"
#include "platform/kubernetes/usage.h"

enum {
    DISCOVER_AGAIN_MS = 30 * 1000, /* a CRD may have been installed */
    READ_PAUSE_MS = 1000, /* between two looks at one /scale: an object's status may change many times a second */
    LOOK_FAILED_PAUSE_MS = 30 * 1000, /* after a look that failed: the client has asked several times by then */
    WRITTEN_HOLDS_MS =
        60 * 1000, /* so long older news than our write are passed over; resource versions may begin anew */
    PATCH_MAX_BYTES = 256,
    SELECTOR_MAX_BYTES = 16 * 1024, /* as text */
};

#define FIELD_MANAGER "weir"

struct target { /* one who looks */
    struct kube_notice notice;
    struct scale *scale;
    struct target *next;
};

struct scale_write {
    int32_t replicas, from;
    platform_done *done;
    void *arg;
};

struct scale { /* the counts of one object */
    struct scale_kind *kind;
    char *ns, *name;
    bool exists;          /* as the watch, or a question, has it */
    bool known;           /* the counts are */
    bool asked;           /* whether it exists is being asked, or the list that says it has not ended */
    bool selector_unread; /* the counts are of a sighting, which has none */
    bool look_again;
    bool writing, is_waiting;                 /* the two writes below are there */
    int32_t replicas, status_replicas, ready; /* ready -1: the object does not say, its pods do */
    uint32_t others_writes;                   /* counts of replicas that did not come from a Weir */
    uint64_t version, written_version;        /* resource versions; 0: none, or not a number */
    const char *other;                        /* atom: the manager who wrote the last of them; NULL: nobody did */
    struct rival *rival;                      /* NULL: nobody asked for one yet */
    int64_t written_until_ms;
    char *selector; /* as text; NULL: none */
    struct pod_selection *selection;
    struct error *error;   /* why it is not known; NULL: it is, or nothing has been heard */
    struct kube_ask *look; /* for the object, or its /scale */
    int64_t looked_ms;
    struct timer *pause; /* before the next look; made when needed */
    uint64_t round;
    struct kube_ask *ask;              /* of the write that is under way */
    struct error *refusal;             /* what a 422 to it said, while /scale is looked at */
    struct scale_write write, waiting; /* done and arg: of the caller */
    struct target *targets;
};

struct kind_watch {
    struct scale_kind *kind;
    const char *ns; /* NULL: all */
    struct reflector *reflector;
    bool synced;
    bool unsure; /* something of the list could not be read: what is not in it may be there */
    uint64_t round;
    struct error trouble;
};

struct scale_kind {
    struct targets *targets;
    char *api_version, *name;             /* "apps/v1", "Deployment" */
    const struct kube_resource *resource; /* NULL: not found, or not yet */
    enum { COUNTS_ELSEWHERE, COUNTS_INSIDE, COUNTS_OF_ROLLOUT } counts;
    struct error error; /* kind ERROR_NONE: being looked for, or found */
    bool discovering;
    struct timer *again;
    struct map *scales;
    struct sightings *sightings; /* of those that are not among the scales, where the counts are inside */
    struct kind_watch *watches;
    size_t watch_count;
};

struct targets {
    struct kubernetes *k;
    struct map *kinds; /* "apps/v1 Deployment" */
    uint64_t rounds;
};

/* ------------------------------------------------------------------ telling */

static void tell(struct scale *scale)
{
    for (struct target *t = scale->targets; t != NULL; t = t->next)
        kube_notice_mark(scale->kind->targets->k, &t->notice);
}

static void set_error(struct scale *scale, const struct error *err)
{
    free(scale->error);
    scale->error = NULL;
    if (err == NULL)
        return;
    scale->error = mem_alloc(sizeof *err);
    *scale->error = *err;
}

static void set_missing(struct scale *scale, const char *text)
{
    struct error err;

    error_set(&err, ERROR_MISSING, "%s", text);
    error_add_place(&err, "%s %s/%s", scale->kind->name, scale->ns, scale->name);
    set_error(scale, &err);
}

static void now_absent(struct scale *scale)
{
    scale->exists = scale->known = scale->asked = false;
    set_missing(scale, "Target resource doesn't exist");
    tell(scale);
}

/* ------------------------------------------------------------------ reading objects */

static bool count_of(const struct tree *node, int32_t *out)
{
    int64_t value;

    if (!tree_integer(node, &value) || value < 0)
        return false;
    *out = value > INT32_MAX ? INT32_MAX : (int32_t)value;
    return true;
}

static void add_requirement(struct text *out, const struct tree *expression)
{
    const char *key = tree_string(tree_get(expression, "key")), *how = tree_string(tree_get(expression, "operator"));
    const struct tree *values = tree_get(expression, "values");

    text_add(out, out->length ? "," : "");
    if (string_equal(how, "DoesNotExist"))
        text_add_char(out, '!');
    text_add(out, key);
    if (!string_equal(how, "In") && !string_equal(how, "NotIn"))
        return;
    text_add(out, string_equal(how, "In") ? " in (" : " notin (");
    for (const struct tree *v = values ? values->first : NULL; v != NULL; v = v->next)
        text_printf(out, "%s%s", v == values->first ? "" : ",", tree_string(v) ? tree_string(v) : "");
    text_add_char(out, ')');
}

/* A LabelSelector, or the plain map of a ReplicationController. */
static void selector_to_text(const struct tree *selector, struct text *out)
{
    const struct tree *labels = tree_get(selector, "matchLabels"), *list = tree_get(selector, "matchExpressions");
    bool plain = labels == NULL && list == NULL;

    if (plain)
        labels = selector;
    for (const struct tree *l = labels ? labels->first : NULL; l != NULL; l = l->next)
        if (tree_string(l) != NULL)
            text_printf(out, "%s%s=%s", out->length ? "," : "", l->key, tree_string(l));
    for (const struct tree *e = list ? list->first : NULL; e != NULL; e = e->next)
        add_requirement(out, e);
}

static void set_selector(struct scale *scale, const char *text)
{
    if (text != NULL && text[0] == 0)
        text = NULL; /* it would select everything; a target that names nothing has no pods we may know */
    if (string_equal(scale->selector, text))
        return;
    pod_selection_free(scale->selection);
    scale->selection = NULL;
    free(scale->selector);
    scale->selector = text ? mem_copy(text) : NULL;
}

static uint64_t version_of(const struct tree *object)
{
    const char *text = tree_string(tree_at(object, "metadata.resourceVersion"));
    char *end = NULL;
    unsigned long long version = text ? strtoull(text, &end, 10) : 0;

    return text != NULL && end != text && *end == 0 ? version : 0;
}

static bool is_old_news(const struct scale *scale, uint64_t version)
{
    return version != 0 && version < scale->written_version &&
           loop_ticks_ms(scale->kind->targets->k->loop) < scale->written_until_ms;
}

static void now_known(struct scale *scale, int32_t replicas, int32_t status_replicas, int32_t ready)
{
    bool same = scale->known && scale->replicas == replicas && scale->status_replicas == status_replicas &&
                scale->ready == ready;

    scale->exists = scale->known = true;
    scale->asked = false;
    scale->replicas = replicas;
    scale->status_replicas = status_replicas;
    scale->ready = ready;
    if (scale->error != NULL)
        set_error(scale, NULL);
    if (!same)
        tell(scale);
}

/* Counts that stand in the object itself. false: it has none. */
static bool read_counts(const struct scale_kind *kind, const struct tree *object, struct sighting *out)
{
    const struct tree *status = tree_get(object, "status");
    bool rollout = kind->counts == COUNTS_OF_ROLLOUT;

    *out = (struct sighting){.version = version_of(object)};
    if (!count_of(tree_at(object, "spec.replicas"), &out->replicas))
        return false;
    count_of(tree_get(status, rollout ? "HPAReplicas" : "replicas"), &out->status_replicas);
    count_of(tree_get(status, "readyReplicas"), &out->ready);
    return true;
}

static const char *const replicas_path[] = {"fieldsV1", "f:spec", "f:replicas"};

/* Who set spec.replicas to what it is; NULL: a Weir did, or nobody says. */
static const char *other_writer(const struct tree *object)
{
    const struct tree *managers = tree_at(object, "metadata.managedFields");
    const char *other = NULL;

    for (const struct tree *one = managers ? managers->first : NULL; one != NULL; one = one->next) {
        const char *name = tree_string(tree_get(one, "manager"));
        const struct tree *field = one;

        for (size_t i = 0; i < sizeof replicas_path / sizeof replicas_path[0]; i++)
            field = tree_get(field, replicas_path[i]);
        if (field == NULL || name == NULL)
            continue;
        if (string_equal(name, FIELD_MANAGER))
            return NULL;
        other = name;
    }
    return other;
}

/* Two who scale one target undo each other's work; it must be said who the other is (failure-modes T4). */
static void see_writer(struct scale *scale, const struct tree *object, int32_t replicas)
{
    const char *other = scale->known && scale->replicas != replicas ? other_writer(object) : NULL;
    const char *before = scale->other;

    if (other == NULL)
        return;
    scale->others_writes++;
    scale->other = atom_ref(other);
    atom_unref(before);
}

static void take_counts(struct scale *scale, const struct tree *object)
{
    struct sighting counts;
    struct text selector;

    if (!read_counts(scale->kind, object, &counts)) {
        scale->exists = true;
        scale->known = scale->asked = false;
        set_missing(scale, "the target has no spec.replicas; give it a number");
        tell(scale);
        return;
    }
    text_init(&selector, SELECTOR_MAX_BYTES);
    if (scale->kind->counts == COUNTS_OF_ROLLOUT)
        text_add(&selector, tree_string(tree_at(object, "status.selector")));
    else
        selector_to_text(tree_at(object, "spec.selector"), &selector);
    if (!selector.overflowed)
        set_selector(scale, selector.bytes);
    text_done(&selector);
    scale->selector_unread = false;
    see_writer(scale, object, counts.replicas);
    now_known(scale, counts.replicas, counts.status_replicas, counts.ready);
}

/* A Scale of autoscaling/v1: counts of 0 are left out. */
static void take_scale(struct scale *scale, const struct tree *body)
{
    int32_t replicas = 0, status_replicas = 0;
    const char *selector = tree_string(tree_at(body, "status.selector"));

    count_of(tree_at(body, "spec.replicas"), &replicas);
    count_of(tree_at(body, "status.replicas"), &status_replicas);
    scale->version = version_of(body);
    if (scale->kind->counts == COUNTS_ELSEWHERE)
        set_selector(scale, selector);
    now_known(scale, replicas, status_replicas, scale->ready);
}

/* ------------------------------------------------------------------ looking at one */

static void look(struct scale *scale, bool at_scale);

static bool covers(const struct kind_watch *w, const struct scale *scale)
{
    return w->ns == NULL || strcmp(w->ns, scale->ns) == 0;
}

static const struct kind_watch *watch_of(const struct scale *scale)
{
    for (size_t i = 0; i < scale->kind->watch_count; i++)
        if (covers(&scale->kind->watches[i], scale))
            return &scale->kind->watches[i];
    return NULL;
}

static void path_of(const struct scale *scale, const char *subresource, struct text *out)
{
    const struct kube_resource *r = scale->kind->resource;

    assert(r != NULL); /* nothing is asked for before the kind was found */
    kube_path(out, r->group, r->version, r->namespaced ? scale->ns : NULL, r->plural, scale->name, subresource);
}

static void take_object(struct scale *scale, const struct tree *object)
{
    uint64_t version = version_of(object);

    env_saw(scale->kind->targets->k, scale->kind->api_version, scale->kind->name, object);
    if (is_old_news(scale, version))
        return;
    if (scale->kind->counts != COUNTS_ELSEWHERE) {
        scale->version = version;
        take_counts(scale, object);
        return;
    }
    if (!count_of(tree_at(object, "status.readyReplicas"), &scale->ready))
        scale->ready = -1;
    scale->exists = true;
    if (version == 0 || version != scale->version || !scale->known)
        look(scale, true);
}

static bool counts_by_itself(const struct scale *scale)
{
    return scale->kind->counts != COUNTS_ELSEWHERE;
}

static void on_pause(void *arg)
{
    struct scale *scale = arg;

    if (scale->look_again && scale->look == NULL && !(scale->known && counts_by_itself(scale)))
        look(scale, scale->exists && !counts_by_itself(scale));
}

static void look_later(struct scale *scale, int64_t pause_ms)
{
    scale->look_again = true;
    if (scale->pause == NULL)
        scale->pause = loop_timer_new(scale->kind->targets->k->loop, on_pause, scale);
    loop_timer_set(scale->pause, pause_ms);
}

static void on_look_failed(struct scale *scale, const struct kube_reply *reply, bool at_scale)
{
    if (reply->status != 404) { /* what was known counts until something better is */
        if (!scale->known)
            set_error(scale, &reply->error);
        look_later(scale, LOOK_FAILED_PAUSE_MS);
    } else if (at_scale && scale->exists) {
        scale->known = scale->asked = false;
        set_missing(scale, TARGET_WITHOUT_SCALE);
    } else {
        now_absent(scale);
    }
    tell(scale);
}

static void on_object(void *arg, const struct kube_reply *reply)
{
    struct scale *scale = arg;
    const struct kind_watch *w = watch_of(scale);

    scale->look = NULL;
    if (!scale->asked) /* the watch has told meanwhile, and later than this answer was given */
        return;
    if (reply->error.kind != ERROR_NONE) {
        on_look_failed(scale, reply, false);
        return;
    }
    scale->round = w ? w->round : 0;
    bool was_unread = scale->selector_unread;
    take_object(scale, reply->body);
    if (was_unread && !scale->selector_unread)
        tell(scale); /* its pods can be looked for */
}

static void on_scale(void *arg, const struct kube_reply *reply)
{
    struct scale *scale = arg;
    bool again = scale->look_again;

    scale->look = NULL;
    if (reply->error.kind != ERROR_NONE)
        on_look_failed(scale, reply, true);
    else if (!is_old_news(scale, version_of(reply->body)))
        take_scale(scale, reply->body);
    if (again)
        look_later(scale, READ_PAUSE_MS);
}

static void look(struct scale *scale, bool at_scale)
{
    struct kubernetes *k = scale->kind->targets->k;
    int64_t now_ms = loop_ticks_ms(k->loop);
    bool too_soon = at_scale && scale->known && now_ms - scale->looked_ms < READ_PAUSE_MS;
    struct text path;

    if (scale->kind->resource == NULL)
        return; /* found again it is listed anew */
    scale->look_again = scale->look != NULL;
    if (scale->look == NULL && too_soon)
        look_later(scale, READ_PAUSE_MS);
    if (scale->look != NULL || too_soon)
        return;
    scale->looked_ms = now_ms;
    text_init(&path, HTTP_URL_MAX_BYTES);
    path_of(scale, at_scale ? "scale" : NULL, &path);
    scale->look = kube_ask(k->kube, &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ},
                           at_scale ? on_scale : on_object, scale);
    text_done(&path);
}

/* ------------------------------------------------------------------ a kind's watch */

static struct scale *find(struct scale_kind *kind, const char *ns, const char *name)
{
    char key[600]; /* both are at most 253 bytes long */

    if (snprintf(key, sizeof key, "%s/%s", ns, name) >= (int)sizeof key)
        return NULL;
    return map_get(kind->scales, key);
}

static struct scale *find_of(struct scale_kind *kind, const struct tree *object)
{
    const char *ns = tree_string(tree_at(object, "metadata.namespace")),
               *name = tree_string(tree_at(object, "metadata.name"));

    return name != NULL ? find(kind, ns ? ns : "", name) : NULL;
}

static void on_begin(void *arg)
{
    struct kind_watch *w = arg;

    w->round = ++w->kind->targets->rounds;
    w->unsure = false;
}

/* An object that nobody looks at. */
static void keep_sighting(struct kind_watch *w, const struct tree *object)
{
    const char *ns = tree_string(tree_at(object, "metadata.namespace")),
               *name = tree_string(tree_at(object, "metadata.name"));
    struct sighting seen;

    if (w->kind->counts == COUNTS_ELSEWHERE || ns == NULL || name == NULL || !read_counts(w->kind, object, &seen))
        return;
    seen.round = w->round;
    sightings_put(w->kind->sightings, ns, name, &seen);
}

static void on_item(void *arg, const struct tree *object)
{
    struct kind_watch *w = arg;
    struct scale *scale = find_of(w->kind, object);

    if (scale == NULL) {
        keep_sighting(w, object);
        return;
    }
    scale->round = w->round;
    take_object(scale, object);
}

/* Too large to be read, not gone: its /scale is small. */
static void on_kept(void *arg, const struct tree *metadata)
{
    struct kind_watch *w = arg;
    struct scale *scale = metadata ? find_of(w->kind, metadata) : NULL;

    w->unsure |= metadata == NULL;
    if (scale == NULL)
        return;
    scale->round = w->round;
    scale->exists = true;
    look(scale, true);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct kind_watch *w = arg;
    struct scale *scale = find(w->kind, ns ? ns : "", name);
    struct sighting seen;

    (void)last;
    if (scale != NULL)
        now_absent(scale);
    else
        sightings_take(w->kind->sightings, ns ? ns : "", name, &seen);
}

static void on_synced(void *arg)
{
    struct kind_watch *w = arg;
    void *value;

    w->synced = true;
    w->trouble = (struct error){0};
    if (!w->unsure)
        sightings_sweep(w->kind->sightings, w->ns, w->round);
    for (size_t at = 0; map_next(w->kind->scales, &at, NULL, &value);) {
        struct scale *scale = value;
        if (!covers(w, scale) || scale->round == w->round)
            continue;
        if (scale->round != 0 && !w->unsure)
            now_absent(scale); /* it was told in a list or watch before, and is not in this list */
        else if (scale->look == NULL && !scale->known)
            look(scale, false); /* it is watched since after the list began */
    }
}

static void forget_watches(struct scale_kind *kind)
{
    for (size_t i = 0; i < kind->watch_count; i++)
        reflector_free(kind->watches[i].reflector);
    free(kind->watches);
    kind->watches = NULL;
    kind->watch_count = 0;
    sightings_clear(kind->sightings);
}

/* The kind itself has gone: its CRD was deleted. */
static void kind_lost(struct scale_kind *kind, const struct error *err)
{
    void *value;

    kind->error = *err;
    kind->resource = NULL;
    for (size_t at = 0; map_next(kind->scales, &at, NULL, &value);) {
        struct scale *scale = value;
        if (scale->look != NULL)
            kube_cancel(scale->look);
        scale->look = NULL;
        scale->exists = scale->known = scale->look_again = false;
        set_error(scale, err);
        tell(scale);
    }
    loop_timer_set(kind->again, DISCOVER_AGAIN_MS);
    forget_watches(kind);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct kind_watch *w = arg;
    void *value;

    if (err != NULL && err->kind == ERROR_MISSING) {
        kind_lost(w->kind, err);
        return;
    }
    w->trouble = err ? *err : (struct error){0};
    for (size_t at = 0; map_next(w->kind->scales, &at, NULL, &value);)
        if (covers(w, value) && !((struct scale *)value)->known)
            tell(value);
}

static void watch(struct kind_watch *w)
{
    const struct kube_resource *r = w->kind->resource;
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, r->group, r->version, r->namespaced ? w->ns : NULL, r->plural, NULL, NULL);
    w->reflector = reflector_new(w->kind->targets->k->kube, &(struct reflector_options){.path = path.bytes,
                                                                                        .begin = on_begin,
                                                                                        .item = on_item,
                                                                                        .gone = on_gone,
                                                                                        .kept = on_kept,
                                                                                        .synced = on_synced,
                                                                                        .trouble = on_trouble,
                                                                                        .arg = w});
    text_done(&path);
}

static void watch_kind(struct scale_kind *kind)
{
    const struct kubernetes *k = kind->targets->k;

    kind->watch_count = k->namespace_count > 0 && kind->resource->namespaced ? k->namespace_count : 1;
    kind->watches = mem_array(kind->watch_count, sizeof *kind->watches);
    for (size_t i = 0; i < kind->watch_count; i++) {
        kind->watches[i].kind = kind;
        kind->watches[i].ns = k->namespace_count > 0 && kind->resource->namespaced ? k->namespaces[i] : NULL;
        watch(&kind->watches[i]);
    }
}

/* ------------------------------------------------------------------ kinds */

static void find_counts(struct scale_kind *kind)
{
    static const char *const apps[] = {"Deployment", "StatefulSet", "ReplicaSet"};
    const struct kube_resource *r = kind->resource;

    kind->counts = COUNTS_ELSEWHERE;
    for (size_t i = 0; i < sizeof apps / sizeof *apps; i++)
        if (strcmp(r->group, "apps") == 0 && strcmp(r->kind, apps[i]) == 0)
            kind->counts = COUNTS_INSIDE;
    if (r->group[0] == 0 && strcmp(r->kind, "ReplicationController") == 0)
        kind->counts = COUNTS_INSIDE;
    if (strcmp(r->group, "argoproj.io") == 0 && strcmp(r->kind, "Rollout") == 0)
        kind->counts = COUNTS_OF_ROLLOUT;
}

static void on_discovered(void *arg, const struct kube_resource *resource, const struct error *err)
{
    struct scale_kind *kind = arg;
    void *value;

    kind->discovering = false;
    if (resource != NULL && resource->has_scale && resource->namespaced) {
        kind->resource = resource;
        kind->error = (struct error){0};
        find_counts(kind);
        for (size_t at = 0; map_next(kind->scales, &at, NULL, &value);)
            set_error(value, NULL);
        watch_kind(kind);
        return;
    }
    if (err != NULL)
        kind->error = *err;
    else if (resource != NULL && resource->has_scale)
        error_set(&kind->error, ERROR_INVALID,
                  TARGET_WITHOUT_SCALE ": %s is cluster-wide, and only what is in the object's namespace can be scaled",
                  kind->name);
    else
        error_set(&kind->error, ERROR_INVALID, TARGET_WITHOUT_SCALE);
    loop_timer_set(kind->again, DISCOVER_AGAIN_MS);
    for (size_t at = 0; map_next(kind->scales, &at, NULL, &value);)
        tell(value);
}

static void discover(void *arg)
{
    struct scale_kind *kind = arg;

    if (kind->discovering)
        return;
    kind->discovering = true;
    kube_discover(kind->targets->k->kube, kind->api_version, kind->name, on_discovered, kind);
}

static struct scale_kind *kind_get(struct targets *targets, const char *api_version, const char *name)
{
    char key[600];

    snprintf(key, sizeof key, "%.250s %.250s", api_version, name);
    struct scale_kind *kind = map_get(targets->kinds, key);
    if (kind != NULL)
        return kind;
    kind = mem_alloc(sizeof *kind);
    *kind = (struct scale_kind){.targets = targets, .api_version = mem_copy(api_version), .name = mem_copy(name)};
    kind->scales = map_new();
    kind->sightings = sightings_new();
    kind->again = loop_timer_new(targets->k->loop, discover, kind);
    map_put(targets->kinds, key, kind);
    discover(kind);
    return kind;
}

static void kind_free(struct scale_kind *kind)
{
    char key[600];

    if (kind->discovering)
        kube_discover_cancel(kind->targets->k->kube, kind);
    forget_watches(kind);
    snprintf(key, sizeof key, "%.250s %.250s", kind->api_version, kind->name);
    map_remove(kind->targets->kinds, key);
    loop_timer_free(kind->again);
    map_free(kind->scales);
    sightings_free(kind->sightings);
    free(kind->api_version);
    free(kind->name);
    free(kind);
}

/* ------------------------------------------------------------------ scales */

/* What the watch told of it before anybody looked. */
static bool take_sighting(struct scale *scale)
{
    struct sighting seen;

    if (!sightings_take(scale->kind->sightings, scale->ns, scale->name, &seen))
        return false;
    scale->version = seen.version;
    scale->round = seen.round;
    scale->selector_unread = true;
    now_known(scale, seen.replicas, seen.status_replicas, seen.ready);
    return true;
}

/* The last who looked goes, and the watch goes on. */
static void leave_sighting(const struct scale *scale)
{
    const struct sighting seen = {scale->replicas, scale->status_replicas, scale->ready, scale->version, scale->round};

    if (scale->known && scale->kind->counts != COUNTS_ELSEWHERE && scale->kind->watches != NULL)
        sightings_put(scale->kind->sightings, scale->ns, scale->name, &seen);
}

static struct scale *scale_get(struct scale_kind *kind, const char *ns, const char *name)
{
    struct scale *scale = find(kind, ns, name);
    char key[600];

    if (scale != NULL)
        return scale;
    scale = mem_alloc(sizeof *scale);
    *scale = (struct scale){.kind = kind, .ns = mem_copy(ns), .name = mem_copy(name), .asked = true, .ready = -1};
    snprintf(key, sizeof key, "%.253s/%.253s", ns, name);
    map_put(kind->scales, key, scale);
    const struct kind_watch *w = watch_of(scale);
    if (!take_sighting(scale) && w != NULL && w->synced)
        look(scale, false); /* it is not there, or is not told yet, or is one too many */
    return scale;
}

static void scale_free(struct scale *scale)
{
    char key[600];

    assert(scale->targets == NULL);
    if (scale->look != NULL)
        kube_cancel(scale->look);
    if (scale->ask != NULL)
        kube_cancel(scale->ask);
    loop_timer_free(scale->pause);
    free(scale->refusal);
    pod_selection_free(scale->selection);
    snprintf(key, sizeof key, "%.253s/%.253s", scale->ns, scale->name);
    map_remove(scale->kind->scales, key);
    atom_unref(scale->other);
    rival_free(scale->rival);
    free(scale->selector);
    free(scale->error);
    free(scale->ns);
    free(scale->name);
    free(scale);
}

/* Nobody looks any more, and nothing is being written. */
static void release_if_unused(struct scale *scale)
{
    struct scale_kind *kind = scale->kind;

    if (scale->targets != NULL || scale->writing || scale->is_waiting)
        return;
    leave_sighting(scale);
    scale_free(scale);
    if (map_count(kind->scales) == 0)
        kind_free(kind);
}

/* Why it is not known, as far as one can tell now. */
static void explain(const struct scale *scale, struct error *err)
{
    const struct scale_kind *kind = scale->kind;
    const struct kind_watch *w = watch_of(scale);

    if (kind->error.kind != ERROR_NONE) {
        *err = kind->error;
        error_add_place(err, "%s %s/%s", kind->name, scale->ns, scale->name);
    } else if (scale->error != NULL) {
        *err = *scale->error;
    } else if (kind->resource != NULL && w == NULL) {
        error_set(err, ERROR_INVALID, "namespace %s is not one of those that are watched", scale->ns);
    } else if (w != NULL && w->trouble.kind != ERROR_NONE) {
        *err = w->trouble;
    } else {
        error_set(err, ERROR_UNREACHABLE, "%s %s/%s is being looked for", kind->name, scale->ns, scale->name);
    }
}

/* ------------------------------------------------------------------ writing */

static void begin_write(struct scale *scale);

/* The end of a write. What was waiting begins; the caller is told last, for it may end everything. */
static void end_write(struct scale *scale, const struct error *err)
{
    struct scale_write write = scale->write;

    scale->writing = false;
    scale->write = (struct scale_write){0};
    if (scale->is_waiting) {
        scale->write = scale->waiting;
        scale->is_waiting = false;
        if (scale->targets == NULL && scale->known)
            scale->write.from = scale->replicas; /* nobody is left who would decide anew */
        begin_write(scale);
    }
    release_if_unused(scale);
    if (write.done != NULL)
        write.done(write.arg, err);
}

static void set_conflict(const struct scale *scale, const struct scale_write *write, struct error *err)
{
    scale->kind->targets->k->stats.conflicts++;
    error_set(err, ERROR_UNREACHABLE,
              "conflict: %s %s/%s has %" PRId32 " replicas, not the %" PRId32 " from which %" PRId32
              " was decided; it is decided anew",
              scale->kind->name, scale->ns, scale->name, scale->replicas, write->from, write->replicas);
}

static void end_in_conflict(struct scale *scale)
{
    struct error err;

    set_conflict(scale, &scale->write, &err);
    end_write(scale, &err);
}

static void on_after_refusal(void *arg, const struct kube_reply *reply)
{
    struct scale *scale = arg;
    struct error said = *scale->refusal;

    scale->ask = NULL;
    free(scale->refusal);
    scale->refusal = NULL;
    if (reply->error.kind == ERROR_NONE)
        take_scale(scale, reply->body);
    if (reply->error.kind == ERROR_NONE && scale->replicas != scale->write.from)
        end_in_conflict(scale);
    else
        end_write(scale, reply->error.kind == ERROR_NONE ? &said : &reply->error);
}

static void look_after_refusal(struct scale *scale, const struct error *said)
{
    struct text path;

    scale->refusal = mem_alloc(sizeof *said);
    *scale->refusal = *said;
    text_init(&path, HTTP_URL_MAX_BYTES);
    path_of(scale, "scale", &path);
    scale->ask = kube_ask(scale->kind->targets->k->kube,
                          &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_WRITE},
                          on_after_refusal, scale);
    text_done(&path);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct scale *scale = arg;
    struct kubernetes *k = scale->kind->targets->k;

    scale->ask = NULL;
    if (reply->error.kind == ERROR_NONE) {
        k->stats.scales++;
        take_scale(scale, reply->body);
        scale->written_version = scale->version;
        scale->written_until_ms = loop_ticks_ms(k->loop) + WRITTEN_HOLDS_MS;
        end_write(scale, NULL);
    } else if (reply->status == 422 && scale->kind->resource != NULL) {
        look_after_refusal(scale, &reply->error);
    } else if (reply->conflict) {
        end_in_conflict(scale);
    } else {
        end_write(scale, &reply->error);
    }
}

/* A count of 0 is left out of a Scale, so that there is nothing to replace. */
static void write_patch(const struct scale_write *write, struct text *out)
{
    if (write->from == 0)
        text_printf(out, "[{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":null},");
    else
        text_printf(out, "[{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":%" PRId32 "},", write->from);
    text_printf(out, "{\"op\":\"%s\",\"path\":\"/spec/replicas\",\"value\":%" PRId32 "}]",
                write->from == 0 ? "add" : "replace", write->replicas);
}

static void send_write(struct scale *scale)
{
    struct text path, body;

    text_init(&path, HTTP_URL_MAX_BYTES);
    text_init(&body, PATCH_MAX_BYTES);
    path_of(scale, "scale", &path);
    text_add(&path, "?fieldManager=" FIELD_MANAGER);
    write_patch(&scale->write, &body);
    scale->ask = kube_ask(scale->kind->targets->k->kube,
                          &(struct kube_request){.method = "PATCH",
                                                 .path = path.bytes,
                                                 .content_type = "application/json-patch+json",
                                                 .body = body.bytes,
                                                 .body_length = body.length,
                                                 .priority = KUBE_WRITE,
                                                 .fenced = true},
                          on_written, scale);
    text_done(&body);
    text_done(&path);
}

static bool may_write(const struct scale *scale, const struct scale_write *write, struct error *err)
{
    if (!scale->kind->targets->k->write)
        return error_set(err, ERROR_DENIED, "nothing is written into this cluster (--read-only)");
    if (!scale->known || scale->kind->resource == NULL) {
        explain(scale, err);
        return false;
    }
    if (scale->replicas == write->from)
        return true;
    set_conflict(scale, write, err);
    return false;
}

/* scale->write is set. What may not be written is answered in a later turn. */
static void begin_write(struct scale *scale)
{
    struct kubernetes *k = scale->kind->targets->k;
    struct scale_write write = scale->write;
    struct error err;

    if (!may_write(scale, &write, &err)) {
        scale->write = (struct scale_write){0};
        kubernetes_answer_later(k, write.done, write.arg, &err);
        return;
    }
    scale->writing = true;
    send_write(scale);
}

void kubernetes_target_scale(struct target *target, int32_t replicas, const char *reason, platform_done *done,
                             void *arg)
{
    struct scale *scale = target->scale;
    struct kubernetes *k = scale->kind->targets->k;
    struct scale_write write = {.replicas = replicas, .from = scale->replicas, .done = done, .arg = arg};
    struct error replaced;

    (void)reason; /* the ScaledObject's events say it */
    if (!scale->writing) {
        scale->write = write;
        begin_write(scale);
        return;
    }
    if (scale->is_waiting) {
        error_set(&replaced, ERROR_DENIED, "a later count has taken the place of this one before it was written");
        kubernetes_answer_later(k, scale->waiting.done, scale->waiting.arg, &replaced);
    }
    write.from = scale->write.replicas; /* what there will be when its turn comes */
    scale->waiting = write;
    scale->is_waiting = true;
}

/* ------------------------------------------------------------------ those who look */

struct target *kubernetes_target_watch(struct platform *platform, const struct target_key *key,
                                       platform_changed *changed, void *arg)
{
    struct targets *targets = kubernetes_of(platform)->targets;
    struct scale_kind *kind = kind_get(targets, key->api_version && key->api_version[0] ? key->api_version : "apps/v1",
                                       key->kind && key->kind[0] ? key->kind : "Deployment");
    struct target *target = mem_alloc(sizeof *target);

    *target = (struct target){.notice = {.changed = changed, .arg = arg},
                              .scale = scale_get(kind, key->ns ? key->ns : "", key->name)};
    target->next = target->scale->targets;
    target->scale->targets = target;
    return target;
}

void kubernetes_target_unwatch(struct target *target)
{
    struct scale *scale = target->scale;

    for (struct target **at = &scale->targets; *at != NULL; at = &(*at)->next) {
        if (*at == target) {
            *at = target->next;
            break;
        }
    }
    kube_notice_forget(scale->kind->targets->k, &target->notice);
    free(target);
    release_if_unused(scale);
}

static void tell_news(void *arg)
{
    tell(arg);
}

static struct pod_selection *selection_of(struct scale *scale)
{
    if (scale->selector_unread && scale->look == NULL) {
        scale->asked = true;
        look(scale, false);
    }
    if (scale->selection == NULL && scale->selector != NULL)
        scale->selection = pod_selection_new(scale->kind->targets->k, scale->ns, scale->selector, tell_news, scale);
    return scale->selection;
}

size_t kubernetes_target_pods(struct target *target, const struct pod_view **out)
{
    struct pod_selection *selection = selection_of(target->scale);

    *out = NULL;
    if (selection == NULL)
        return 0;
    pod_selection_need(selection);
    return pod_selection_views(selection, out);
}

size_t kubernetes_target_pods_shown(struct target *target, const struct pod_view **out)
{
    *out = NULL;
    return target->scale->selection != NULL ? pod_selection_views(target->scale->selection, out) : 0;
}

/* Objects that do not say how many of their pods are ready: as the HPA counts them (hpa-algorithm.md 1). */
static int32_t count_ready(struct scale *scale)
{
    struct pod_selection *selection = scale->status_replicas > 0 ? selection_of(scale) : NULL;
    const struct pod_view *views;
    int32_t ready = 0;

    if (selection == NULL)
        return scale->status_replicas;
    pod_selection_need(selection);
    if (pod_selection_known(selection, NULL) != LOOKUP_FOUND)
        return scale->status_replicas;
    size_t count = pod_selection_views(selection, &views);
    for (size_t i = 0; i < count; i++)
        ready += views[i].phase == POD_RUNNING && views[i].ready == POD_READY_TRUE;
    return ready;
}

void kubernetes_target_view(struct target *target, struct target_view *out)
{
    struct scale *scale = target->scale;
    const struct kube_resource *r = scale->kind->resource;

    *out = (struct target_view){.known = scale->known && r != NULL, .replicas = -1};
    if (r != NULL) {
        out->group = r->group;
        out->version = r->version;
        out->kind = r->kind;
        out->resource = r->plural;
    }
    if (!out->known) {
        explain(scale, &out->error);
        return;
    }
    out->replicas = scale->replicas;
    out->status_replicas = scale->status_replicas;
    out->ready_replicas = scale->ready >= 0 ? scale->ready : count_ready(scale);
    out->others_writes = scale->others_writes;
    out->other = scale->other;
    out->rival = rival_name(scale->rival);
}

void kubernetes_target_look_rival(struct target *target)
{
    struct scale *scale = target->scale;
    const struct kube_resource *r = scale->kind->resource;

    if (r == NULL)
        return;
    if (scale->rival == NULL)
        scale->rival =
            rival_new(scale->kind->targets->k,
                      &(struct rival_target){scale->ns, r->group, scale->kind->name, scale->name}, tell_news, scale);
    rival_look(scale->rival);
}

enum lookup kubernetes_target_usage(struct target *target, struct error *err)
{
    struct scale *scale = target->scale;
    struct pod_selection *selection = selection_of(scale);

    if (!scale->known) {
        struct error why;
        explain(scale, &why);
        if (err != NULL)
            *err = why;
        return why.kind == ERROR_UNREACHABLE ? LOOKUP_PENDING : LOOKUP_ABSENT;
    }
    if (selection == NULL && scale->selector_unread)
        return LOOKUP_PENDING;
    if (selection == NULL) {
        error_set(err, ERROR_MISSING, "%s %s/%s names no pods: its /scale has no selector", scale->kind->name,
                  scale->ns, scale->name);
        return LOOKUP_ABSENT;
    }
    pod_selection_need(selection);
    enum lookup usage = usage_known(scale->kind->targets->k, selection, err);
    enum lookup pods = usage == LOOKUP_FOUND || usage == LOOKUP_PENDING ? pod_selection_known(selection, err) : usage;
    return pods == LOOKUP_FOUND ? usage : pods;
}

/* ------------------------------------------------------------------ for env.c (target.h) */

bool target_is_watched(struct kubernetes *k, const char *api_version, const char *kind, const char *ns,
                       const char *name)
{
    char key[600];

    snprintf(key, sizeof key, "%.250s %.250s", api_version, kind);
    struct scale_kind *found = map_get(k->targets->kinds, key);
    return found != NULL && find(found, ns, name) != NULL;
}

/* ------------------------------------------------------------------ birth and end */

struct targets *kubernetes_targets_new(struct kubernetes *k)
{
    struct targets *targets = mem_alloc(sizeof *targets);

    targets->k = k;
    targets->kinds = map_new();
    return targets;
}

static void abandon_write(bool is_one, const struct scale_write *write)
{
    struct error err;

    if (!is_one || write->done == NULL)
        return;
    error_set(&err, ERROR_UNREACHABLE, "Weir stops, and whether the count was written is not known");
    write->done(write->arg, &err);
}

static void abandon(struct scale *scale)
{
    while (scale->targets != NULL) {
        struct target *target = scale->targets;
        scale->targets = target->next;
        kube_notice_forget(scale->kind->targets->k, &target->notice);
        free(target);
    }
    abandon_write(scale->writing, &scale->write);
    abandon_write(scale->is_waiting, &scale->waiting);
    scale_free(scale);
}

void kubernetes_targets_free(struct targets *targets)
{
    void *kind, *scale;

    if (targets == NULL)
        return;
    for (size_t at = 0; map_next(targets->kinds, &at, NULL, &kind);) {
        for (size_t i = 0; map_next(((struct scale_kind *)kind)->scales, &i, NULL, &scale);)
            abandon(scale);
        kind_free(kind);
    }
    map_free(targets->kinds);
    free(targets);
}

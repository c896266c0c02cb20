/*
 * resource: KEDA's objects in the cluster, told to whoever looks after them.
 *
 *     feeds: a reflector for each kind and namespace      records: what was told, an object each
 *
 *     list, watch ──> item ──> ours? ──> differs in what matters? ──> told
 *                      └─ status.c sees its status
 *
 * An object is told when it is new or when its spec, labels, annotations, finalizers, deletion or uid differ; writes to its status,
 * ours above all, come back by the watch and are not (failure-modes K3). Of an object only a record is kept: a hash of that, its
 * uid, and where it came from. TriggerAuthentications are listed before what refers to them, and where events are sent before there are
 * any.
 *
 * Which objects are ours depends on the lease or on the shards. With a lease only the leader lists at all; with shards each lists
 * all objects, knows those of the others too, and when the owner changes, tells ELSEWHERE for those lost and reads those gained: one
 * by one when they are few, else all in a new list, which the API server answers from its cache. Authentications are told to every
 * member, for anybody's object may refer to them.
 *
 * Weir puts no finalizer on anything: 500 objects go as fast as the API server deletes them, Weir running or not. KEDA's own
 * (finalizer.keda.sh), left from before a hand-over, is let go: a deleted object that has it is told as RESOURCE_DELETED with its
 * tree, once. So restoring replicas is done on the deletion that the watch tells; who deletes while no Weir runs gets none
 * (09-quirks B32: KEDA holds the deletion up for it, for good where it is not running).
 *
 * A kind that is not installed, or that we may not list, is said once and asked for again by the reflector; the other kinds go on.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "manifest/manifest.h"
#include "net/loop.h"
#include "platform/kubernetes/kubernetes_internal.h"
#include "platform/kubernetes/patch.h"

#define KEDA_FINALIZER "finalizer.keda.sh"

enum {
    KEY_BYTES = 512,            /* "namespace/name": 253 each at most */
    AGAIN_RETRY_MS = 5 * 1000,  /* the client itself has tried for its whole deadline before */
    GAINED_ONE_BY_ONE_MAX = 16, /* more than so many are cheaper to list than to get */
};

struct feed {
    struct resources *resources;
    enum resource_kind kind;
    const char *ns; /* NULL: all, or the kind has none */
    struct reflector *reflector;
    uint16_t list;         /* counts the lists */
    bool unsure;           /* something of the list could not be read: what is not in it may be there */
    bool settled;          /* listed once, or known not to be there: whoever waits need not wait for it */
    struct error *trouble; /* NULL: none */
};

enum record_state { RECORD_UNTOLD, RECORD_TOLD, RECORD_ENDED /* its deletion was told; it waits for finalizers */ };

struct record {
    uint64_t hash;
    struct status *status; /* status.c */
    uint16_t feed, list;
    uint8_t state;
    char uid[]; /* ends with a 0 byte */
};

struct again { /* an object that is being read anew */
    struct resources *resources;
    enum resource_kind kind;
    char *ns, *name;
    struct kube_ask *ask;
    struct timer *timer; /* until it is asked once more */
};

struct merge { /* a write under way */
    struct resources *resources;
    struct kube_ask *ask;
    platform_done *done;
    void *arg;
    struct merge *next, **link;
};

struct resources {
    struct kubernetes *k;
    resource_changed *changed;
    void (*synced)(void *arg);
    void *arg;
    const struct event_source_listener *sources; /* NULL: they are not watched */
    bool watching;                               /* resources_watch was called */
    struct feed *feeds;
    size_t feed_count;
    bool objects_begun;                  /* the feeds of ScaledObjects and ScaledJobs are on */
    struct map *records[RESOURCE_KINDS]; /* "ns/name" -> struct record */
    struct map *again;                   /* "kind ns/name" -> struct again */
    struct merge *merges;
};

static const struct {
    const char *group, *kind, *plural;
    bool namespaced;
    bool shared; /* every member of a group of Weirs needs all of them, and before the objects */
    bool source; /* of events: told to whoever watches those */
} kinds[RESOURCE_KINDS] = {
    [RESOURCE_TRIGGER_AUTH] = {KEDA_GROUP, "TriggerAuthentication", "triggerauthentications", true, true},
    [RESOURCE_CLUSTER_TRIGGER_AUTH] = {KEDA_GROUP, "ClusterTriggerAuthentication", "clustertriggerauthentications",
                                       false, true},
    [RESOURCE_SCALED_OBJECT] = {KEDA_GROUP, "ScaledObject", "scaledobjects", true, false},
    [RESOURCE_SCALED_JOB] = {KEDA_GROUP, "ScaledJob", "scaledjobs", true, false},
    [RESOURCE_EVENT_SOURCE] = {EVENTING_GROUP, "CloudEventSource", "cloudeventsources", true, true, true},
    [RESOURCE_CLUSTER_EVENT_SOURCE] = {EVENTING_GROUP, "ClusterCloudEventSource", "clustercloudeventsources", false,
                                       true, true},
};

const char *kubernetes_plural(enum resource_kind kind)
{
    return kinds[kind].plural;
}

const char *kubernetes_kind(enum resource_kind kind)
{
    return kinds[kind].kind;
}

bool kubernetes_kind_of(const char *kind, enum resource_kind *out)
{
    for (int i = 0; i < RESOURCE_KINDS; i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            *out = (enum resource_kind)i;
            return true;
        }
    }
    return false;
}

bool kubernetes_resource_path(struct text *out, enum resource_kind kind, const char *ns, const char *name,
                              const char *subresource)
{
    return kube_path(out, kinds[kind].group, KEDA_VERSION, kinds[kind].namespaced ? ns : NULL, kinds[kind].plural, name,
                     subresource);
}

/* ------------------------------------------------------------------ reading objects */

static const char *text_of(const struct tree *map, const char *key)
{
    const char *text = tree_string(tree_get(map, key));

    return text ? text : "";
}

void kube_meta_read(const struct tree *object, struct kube_meta *out)
{
    const struct tree *meta = tree_get(object, "metadata");
    const char *created = text_of(meta, "creationTimestamp");

    *out = (struct kube_meta){
        .ns = text_of(meta, "namespace"),
        .name = text_of(meta, "name"),
        .uid = text_of(meta, "uid"),
        .resource_version = text_of(meta, "resourceVersion"),
        .deleting = tree_string(tree_get(meta, "deletionTimestamp")) != NULL,
    };
    tree_integer(tree_get(meta, "generation"), &out->generation);
    if (created[0] != 0)
        instant_parse(created, &out->created_at_ms);
}

static uint64_t hash_what_matters(const struct tree *object)
{
    const struct tree *meta = tree_get(object, "metadata");
    const struct tree *parts[] = {tree_get(object, "spec"), tree_get(meta, "labels"), tree_get(meta, "annotations"),
                                  tree_get(meta, "finalizers"), tree_get(meta, "deletionTimestamp")};
    uint64_t hash = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        uint64_t part = tree_hash(parts[i], 0);
        hash = hash_bytes(hash, &part, sizeof part);
    }
    return hash;
}

static bool has_finalizer(const struct tree *object)
{
    const struct tree *list = tree_at(object, "metadata.finalizers");

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next) {
        const char *text = tree_string(one);
        if (text != NULL && strcmp(text, KEDA_FINALIZER) == 0)
            return true;
    }
    return false;
}

static bool key_of(char out[KEY_BYTES], const char *ns, const char *name)
{
    int length = snprintf(out, KEY_BYTES, "%s/%s", ns, name);

    return length > 0 && length < KEY_BYTES;
}

/* ------------------------------------------------------------------ records */

static struct record *record_find(const struct resources *r, enum resource_kind kind, const char *ns, const char *name)
{
    char key[KEY_BYTES];

    return key_of(key, ns, name) ? map_get(r->records[kind], key) : NULL;
}

static struct record *record_new(struct resources *r, enum resource_kind kind, const struct kube_meta *meta)
{
    char key[KEY_BYTES];
    struct record *record = mem_alloc(sizeof *record + strlen(meta->uid) + 1);

    strcpy(record->uid, meta->uid); /* allocated to its length */
    if (key_of(key, meta->ns, meta->name))
        map_put(r->records[kind], key, record);
    return record;
}

static void record_free(struct resources *r, struct record *record)
{
    kubernetes_status_gone(r->k->statuses, record->status);
    free(record);
}

static void record_drop(struct resources *r, enum resource_kind kind, const char *ns, const char *name)
{
    char key[KEY_BYTES];
    struct record *record = key_of(key, ns, name) ? map_remove(r->records[kind], key) : NULL;

    if (record != NULL)
        record_free(r, record);
}

struct status **kubernetes_resource_status(const struct kubernetes *k, enum resource_kind kind, const char *ns,
                                           const char *name)
{
    struct record *record = record_find(k->resources, kind, ns, name);

    return record && record->state != RECORD_UNTOLD ? &record->status : NULL;
}

bool kubernetes_resource_uid(const struct kubernetes *k, enum resource_kind kind, const char *ns, const char *name,
                             char out[KUBE_UID_BYTES])
{
    const struct record *record = record_find(k->resources, kind, ns, name);

    if (record == NULL || record->uid[0] == 0)
        return false;
    snprintf(out, KUBE_UID_BYTES, "%s", record->uid);
    return true;
}

/* ------------------------------------------------------------------ telling */

static bool is_ours(const struct resources *r, enum resource_kind kind, const char *ns, const char *name)
{
    return kinds[kind].shared || kubernetes_is_ours(r->k, ns, name);
}

/* One that cannot be read as what it should be is as good as none; the API server's schema lets none through. */
static void tell_source(struct resources *r, const struct kube_meta *meta, const struct tree *object)
{
    struct report *report;
    struct manifest *manifest;

    if (r->sources == NULL)
        return;
    if (object == NULL) {
        r->sources->changed(r->sources->arg, meta->ns, meta->name, NULL);
        return;
    }
    report = report_new();
    manifest_read_tree("", object, &(struct manifest_options){0}, report, &manifest);
    r->sources->changed(r->sources->arg, meta->ns, meta->name,
                        manifest->event_source_count > 0 ? manifest->event_sources : NULL);
    manifest_free(manifest);
    report_free(report);
}

static void tell(struct resources *r, enum resource_kind kind, const struct kube_meta *meta, const struct tree *object,
                 enum resource_end end)
{
    struct resource_view view = {.kind = kind, .ns = meta->ns, .name = meta->name, .tree = object};

    if (kinds[kind].source) {
        tell_source(r, meta, end == RESOURCE_STAYS ? object : NULL);
        return;
    }
    if (object != NULL) {
        view.uid = meta->uid;
        view.generation = meta->generation;
        view.created_at_ms = meta->created_at_ms;
        view.deleting = meta->deleting;
    }
    if (object != NULL && kind == RESOURCE_SCALED_JOB)
        kubernetes_env_saw(r->k, kubernetes_kind(kind), object);
    r->changed(r->arg, &view, end);
}

static void tell_end(struct resources *r, enum resource_kind kind, const char *key, enum resource_end end)
{
    const char *slash = strchr(key, '/');
    char ns[KEY_BYTES];
    struct kube_meta meta = {.ns = ns, .name = slash + 1};

    assert(slash != NULL && slash - key < KEY_BYTES);
    memcpy(ns, key, (size_t)(slash - key));
    ns[slash - key] = 0;
    tell(r, kind, &meta, NULL, end);
}

/* An object as it is now. `anyway`: also where nothing differs. One that was told stays ours until it is let go: of the owner there is a
   doubt now and then, which ends with nothing told where it is still us. */
static void take(struct resources *r, enum resource_kind kind, struct record *record, const struct kube_meta *meta,
                 const struct tree *object, bool anyway)
{
    uint64_t hash = hash_what_matters(object);
    bool same = record->hash == hash;
    bool ours = record->state != RECORD_UNTOLD || is_ours(r, kind, meta->ns, meta->name);

    record->hash = hash;
    if (!ours) {
        if (!same && r->k->shards != NULL)
            tell(r, kind, meta, object, RESOURCE_ELSEWHERE);
        return;
    }
    kubernetes_status_seen(r->k->statuses, &record->status, object);
    if (!meta->deleting) {
        if (record->state == RECORD_TOLD && same && !anyway)
            return;
        record->state = RECORD_TOLD;
        tell(r, kind, meta, object, RESOURCE_STAYS);
    } else if (record->state == RECORD_TOLD || (record->state == RECORD_UNTOLD && (anyway || has_finalizer(object)))) {
        record->state = RECORD_ENDED;
        tell(r, kind, meta, object, RESOURCE_DELETED);
    }
}

/* That it is there was told: as ours, or as another member's. */
static bool was_told_of(const struct resources *r, const struct record *record)
{
    return record->state == RECORD_TOLD || (record->state == RECORD_UNTOLD && r->k->shards != NULL);
}

static void gone(struct resources *r, enum resource_kind kind, const char *ns, const char *name)
{
    struct record *record = record_find(r, kind, ns, name);

    if (record == NULL)
        return;
    if (was_told_of(r, record))
        tell(r, kind, &(struct kube_meta){.ns = ns, .name = name}, NULL, RESOURCE_DELETED);
    record_drop(r, kind, ns, name);
}

/* The record of an object as it comes; one of an earlier object of the same name has ended. */
static struct record *record_for(struct resources *r, enum resource_kind kind, const struct kube_meta *meta)
{
    struct record *record = record_find(r, kind, meta->ns, meta->name);

    if (record != NULL && strcmp(record->uid, meta->uid) != 0) {
        gone(r, kind, meta->ns, meta->name);
        record = NULL;
    }
    return record ? record : record_new(r, kind, meta);
}

/* ------------------------------------------------------------------ feeds */

static void on_begin(void *arg)
{
    struct feed *feed = arg;

    feed->list++;
    feed->unsure = false;
}

static void on_item(void *arg, const struct tree *object)
{
    struct feed *feed = arg;
    struct resources *r = feed->resources;
    struct kube_meta meta;
    char key[KEY_BYTES];

    kube_meta_read(object, &meta);
    if (meta.name[0] == 0 || !key_of(key, meta.ns, meta.name))
        return; /* no name the API would give */
    struct record *record = record_for(r, feed->kind, &meta);
    record->feed = (uint16_t)(feed - r->feeds);
    record->list = feed->list;
    take(r, feed->kind, record, &meta, object, false);
}

/* An object that has grown too large is not gone: it is looked after as it was, as one whose manifest became wrong is. */
static void on_kept(void *arg, const struct tree *metadata)
{
    struct feed *feed = arg;
    struct kube_meta meta;
    struct record *record;

    if (metadata == NULL) {
        feed->unsure = true;
        return;
    }
    kube_meta_read(metadata, &meta);
    record = record_find(feed->resources, feed->kind, meta.ns, meta.name);
    if (record != NULL && strcmp(record->uid, meta.uid) == 0)
        record->list = feed->list;
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct feed *feed = arg;

    (void)last;
    gone(feed->resources, feed->kind, ns, name);
}

static void drop_unlisted(struct feed *feed)
{
    struct resources *r = feed->resources;
    struct map *records = r->records[feed->kind];
    const char *key;
    void *value;

    for (size_t at = 0; map_next(records, &at, &key, &value);) {
        struct record *record = value;
        if (record->feed != feed - r->feeds || record->list == feed->list)
            continue;
        if (was_told_of(r, record))
            tell_end(r, feed->kind, key, RESOURCE_DELETED);
        map_remove(records, key);
        record_free(r, record);
    }
}

static bool all_settled(const struct resources *r, bool shared_only)
{
    for (size_t i = 0; i < r->feed_count; i++) {
        if (!r->feeds[i].settled && (!shared_only || kinds[r->feeds[i].kind].shared))
            return false;
    }
    return true;
}

bool kubernetes_resources_readable(struct platform *platform, enum resource_kind kind, struct error *err)
{
    const struct resources *r = kubernetes_of(platform)->resources;

    for (size_t i = 0; i < r->feed_count; i++) {
        if (r->feeds[i].kind != kind || r->feeds[i].trouble == NULL)
            continue;
        if (err != NULL)
            *err = *r->feeds[i].trouble;
        return false;
    }
    return true;
}

static void feed_start(struct feed *feed);

static void settle(struct feed *feed)
{
    struct resources *r = feed->resources;

    feed->settled = true;
    if (!r->objects_begun && all_settled(r, true)) {
        r->objects_begun = true;
        for (size_t i = 0; i < r->feed_count; i++) {
            if (!kinds[r->feeds[i].kind].shared)
                feed_start(&r->feeds[i]);
        }
    }
    if (all_settled(r, false) && r->synced != NULL)
        r->synced(r->arg);
}

static void on_synced(void *arg)
{
    struct feed *feed = arg;

    if (!feed->unsure)
        drop_unlisted(feed);
    settle(feed);
}

/* A Weir of some namespaces need not read what is cluster-wide: who refers to one of those is told (kubernetes_resources_readable). */
static bool may_do_without(const struct feed *feed, const struct error *err)
{
    return !kinds[feed->kind].namespaced && feed->resources->k->namespace_count > 0 && err->kind == ERROR_DENIED;
}

static void say_trouble(const struct feed *feed, const struct error *err)
{
    const struct kubernetes *k = feed->resources->k;
    const char *plural = kinds[feed->kind].plural, *in = feed->ns ? " in namespace " : "",
               *ns = feed->ns ? feed->ns : "";

    if (err == NULL)
        kubernetes_say(k, false, "%s%s%s can be watched again", plural, in, ns);
    else if (err->kind == ERROR_MISSING)
        kubernetes_say(k, true,
                       "%s are not installed in this cluster (no CRD %s.%s): none is looked after until they are",
                       plural, plural, kinds[feed->kind].group);
    else
        kubernetes_say(k, true, "%s%s%s cannot be watched: %s", plural, in, ns, err->text);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct feed *feed = arg;
    const struct error *known = err != NULL ? err : feed->trouble;

    if ((err != NULL) != (feed->trouble != NULL) && !may_do_without(feed, known))
        say_trouble(feed, err);
    free(feed->trouble);
    feed->trouble = NULL;
    if (err != NULL) {
        feed->trouble = mem_alloc(sizeof *err);
        *feed->trouble = *err;
    }
    if (err != NULL && !feed->settled && (err->kind == ERROR_MISSING || err->kind == ERROR_DENIED))
        settle(feed);
}

static void feed_start(struct feed *feed)
{
    struct kubernetes *k = feed->resources->k;
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, kinds[feed->kind].group, KEDA_VERSION, feed->ns, kinds[feed->kind].plural, NULL, NULL);
    reflector_free(feed->reflector);
    feed->reflector = reflector_new(k->kube, &(struct reflector_options){
                                                 .path = path.bytes,
                                                 .label_selector = kinds[feed->kind].shared ? NULL : k->object_selector,
                                                 .begin = on_begin,
                                                 .item = on_item,
                                                 .gone = on_gone,
                                                 .kept = on_kept,
                                                 .synced = on_synced,
                                                 .trouble = on_trouble,
                                                 .arg = feed,
                                             });
    text_done(&path);
}

static void feed_make(struct resources *r, enum resource_kind kind, const char *ns)
{
    r->feeds[r->feed_count++] = (struct feed){.resources = r, .kind = kind, .ns = ns};
}

static void start(struct resources *r)
{
    const struct kubernetes *k = r->k;

    assert(r->feed_count == 0);
    r->feeds = mem_array(RESOURCE_KINDS * (k->namespace_count + 1), sizeof *r->feeds);
    for (int kind = 0; kind < RESOURCE_KINDS; kind++) {
        if (kinds[kind].source && r->sources == NULL)
            continue;
        if (k->namespace_count == 0 || !kinds[kind].namespaced)
            feed_make(r, (enum resource_kind)kind, NULL);
        for (size_t i = 0; kinds[kind].namespaced && i < k->namespace_count; i++)
            feed_make(r, (enum resource_kind)kind, k->namespaces[i]);
    }
    for (size_t i = 0; i < r->feed_count; i++) {
        if (kinds[r->feeds[i].kind].shared)
            feed_start(&r->feeds[i]);
    }
}

static void forget_all(struct resources *r, bool tell_moved)
{
    for (int kind = RESOURCE_KINDS - 1; kind >= 0; kind--) {
        const char *key;
        void *value;
        for (size_t at = 0; map_next(r->records[kind], &at, &key, &value);) {
            struct record *record = value;
            if (tell_moved && record->state != RECORD_UNTOLD)
                tell_end(r, (enum resource_kind)kind, key, RESOURCE_MOVED);
            map_remove(r->records[kind], key);
            record_free(r, record);
        }
    }
}

/* ------------------------------------------------------------------ reading one anew */

static void again_free(struct again *again)
{
    if (again->ask != NULL)
        kube_cancel(again->ask);
    loop_timer_free(again->timer);
    free(again->ns);
    free(again->name);
    free(again);
}

static bool again_key(char out[KEY_BYTES], enum resource_kind kind, const char *ns, const char *name)
{
    int length = snprintf(out, KEY_BYTES, "%d %s/%s", (int)kind, ns, name);

    return length > 0 && length < KEY_BYTES;
}

static void again_done(struct again *again)
{
    char key[KEY_BYTES];

    if (again_key(key, again->kind, again->ns, again->name))
        map_remove(again->resources->again, key);
    again_free(again);
}

static void take_again(struct again *again, const struct tree *object)
{
    struct resources *r = again->resources;
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    struct record *known = record_find(r, again->kind, again->ns, again->name);
    if (known == NULL || strcmp(meta.name, again->name) != 0)
        return; /* it went meanwhile; should it be there again, the watch says so */
    uint16_t feed = known->feed, list = known->list;
    struct record *record = record_for(r, again->kind, &meta);

    record->feed = feed;
    record->list = list;
    take(r, again->kind, record, &meta, object, true);
}

static void on_again(void *arg, const struct kube_reply *reply)
{
    struct again *again = arg;

    again->ask = NULL;
    if (reply->error.kind == ERROR_MISSING) {
        gone(again->resources, again->kind, again->ns, again->name);
    } else if (reply->error.kind == ERROR_NONE && reply->body != NULL) {
        take_again(again, reply->body);
    } else {
        loop_timer_set(again->timer, AGAIN_RETRY_MS);
        return;
    }
    again_done(again);
}

static void again_ask(void *arg)
{
    struct again *again = arg;
    struct resources *r = again->resources;
    struct text path;

    if (record_find(r, again->kind, again->ns, again->name) == NULL) { /* it went meanwhile */
        again_done(again);
        return;
    }
    text_init(&path, HTTP_URL_MAX_BYTES);
    kubernetes_resource_path(&path, again->kind, again->ns, again->name, NULL);
    again->ask =
        kube_ask(r->k->kube, &(struct kube_request){.method = "GET", .path = path.bytes, .priority = KUBE_READ},
                 on_again, again);
    text_done(&path);
}

void kubernetes_resource_again(struct platform *platform, enum resource_kind kind, const char *ns, const char *name)
{
    struct resources *r = kubernetes_of(platform)->resources;
    char key[KEY_BYTES];

    if (!again_key(key, kind, ns, name) || map_get(r->again, key) != NULL || record_find(r, kind, ns, name) == NULL)
        return;
    struct again *again = mem_alloc(sizeof *again);
    *again = (struct again){.resources = r, .kind = kind, .ns = mem_copy(ns), .name = mem_copy(name)};
    again->timer = loop_timer_new(r->k->loop, again_ask, again);
    map_put(r->again, key, again);
    again_ask(again);
}

/* ------------------------------------------------------------------ who looks after what */

/* Walks the objects (not what they refer to) whose state and owner disagree: those we look after and that are another's, or those
   that are ours and were never told. each may change the record's state, and nothing else. */
static size_t walk_misplaced(struct resources *r, bool lost,
                             void (*each)(struct resources *r, enum resource_kind kind, const char *key, const char *ns,
                                          const char *name, struct record *record))
{
    size_t count = 0;

    for (int kind = 0; kind < RESOURCE_KINDS; kind++) {
        const char *key;
        void *value;
        for (size_t at = 0; !kinds[kind].shared && map_next(r->records[kind], &at, &key, &value);) {
            struct record *record = value;
            const char *slash = strchr(key, '/');
            char ns[KEY_BYTES];
            snprintf(ns, sizeof ns, "%.*s", (int)(slash - key), key);
            if ((record->state != RECORD_UNTOLD) != lost || kubernetes_is_ours(r->k, ns, slash + 1) == lost)
                continue;
            count++;
            if (each != NULL)
                each(r, (enum resource_kind)kind, key, ns, slash + 1, record);
        }
    }
    return count;
}

static void let_go(struct resources *r, enum resource_kind kind, const char *key, const char *ns, const char *name,
                   struct record *record)
{
    (void)ns, (void)name;
    record->state = RECORD_UNTOLD;
    kubernetes_status_gone(r->k->statuses, record->status);
    record->status = NULL;
    tell_end(r, kind, key, RESOURCE_ELSEWHERE);
}

static void get_one(struct resources *r, enum resource_kind kind, const char *key, const char *ns, const char *name,
                    struct record *record)
{
    (void)key, (void)record;
    kubernetes_resource_again(&r->k->platform, kind, ns, name);
}

static void read_gained(struct resources *r)
{
    if (walk_misplaced(r, false, NULL) <= GAINED_ONE_BY_ONE_MAX) {
        walk_misplaced(r, false, get_one);
        return;
    }
    for (size_t i = 0; i < r->feed_count; i++) {
        if (!kinds[r->feeds[i].kind].shared)
            feed_start(&r->feeds[i]);
    }
}

static void stop_reading(struct resources *r)
{
    const char *key;
    void *value;

    for (size_t i = 0; i < r->feed_count; i++) {
        reflector_free(r->feeds[i].reflector);
        free(r->feeds[i].trouble);
    }
    free(r->feeds);
    r->feeds = NULL;
    r->feed_count = 0;
    r->objects_begun = false;
    for (size_t at = 0; map_next(r->again, &at, &key, &value);) {
        map_remove(r->again, key);
        again_free(value);
    }
}

static void stop(struct resources *r, bool tell_moved)
{
    stop_reading(r);
    forget_all(r, tell_moved);
}

void kubernetes_resources_stop(struct resources *r)
{
    r->watching = false;
    stop_reading(r);
}

void kubernetes_resources_reassign(struct resources *r)
{
    const struct kubernetes *k = r->k;
    bool on = k->lease == NULL || kubernetes_is_ours(k, "", "");

    if (!r->watching)
        return;
    if (!on && r->feed_count > 0) {
        stop(r, true);
    } else if (on && r->feed_count == 0) {
        start(r);
    } else if (k->shards != NULL) {
        walk_misplaced(r, true, let_go);
        if (r->objects_begun)
            read_gained(r);
    }
}

/* ------------------------------------------------------------------ sources of events */

void kubernetes_event_sources_watch(struct platform *platform, const struct event_source_listener *listener)
{
    struct resources *r = kubernetes_of(platform)->resources;

    assert(listener == NULL || !r->watching);
    r->sources = listener;
}

/* What the platform says itself, for those who are told of events. */
void kubernetes_event_said(struct platform *platform, const char *ns, const char *kind, const char *name, bool warning,
                           const char *reason, const char *text)
{
    const struct event_source_listener *sources = kubernetes_of(platform)->resources->sources;

    kubernetes_event(platform, ns, kind, name, warning, reason, text);
    if (sources != NULL && sources->event != NULL)
        sources->event(sources->arg, ns, kind, name, warning, reason, text);
}

void kubernetes_event_source_active(struct platform *platform, const char *ns, const char *name, bool active,
                                    const char *reason, const char *message)
{
    struct text patch;

    text_init(&patch, KUBE_PATCH_MAX_BYTES);
    text_printf(&patch, "{\"conditions\":[{\"type\":\"Active\",\"status\":\"%s\",\"reason\":\"%s\",\"message\":",
                active ? "True" : "False", reason);
    text_add_json_string(&patch, message, strlen(message));
    text_add(&patch, "}]}");
    kubernetes_status_merge(platform, ns[0] ? RESOURCE_EVENT_SOURCE : RESOURCE_CLUSTER_EVENT_SOURCE, ns, name,
                            patch.bytes, patch.length);
    text_done(&patch);
}

/* ------------------------------------------------------------------ writing into an object */

static void merge_free(struct merge *merge)
{
    *merge->link = merge->next;
    if (merge->next != NULL)
        merge->next->link = merge->link;
    free(merge);
}

static void on_merged(void *arg, const struct kube_reply *reply)
{
    struct merge *merge = arg;
    platform_done *done = merge->done;
    void *done_arg = merge->arg;

    merge_free(merge);
    if (done != NULL)
        done(done_arg, reply->error.kind == ERROR_NONE ? NULL : &reply->error);
}

void kubernetes_resource_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                               const char *patch_json, size_t length, platform_done *done, void *arg)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct resources *r = k->resources;
    struct error err;
    struct text path;

    if (!kubernetes_may_write(k, ns, name)) {
        kubernetes_not_ours(k, ns, name, &err);
        kubernetes_answer_later(k, done, arg, &err);
        return;
    }
    struct merge *merge = mem_alloc(sizeof *merge);
    *merge = (struct merge){.resources = r, .done = done, .arg = arg, .next = r->merges, .link = &r->merges};
    if (r->merges != NULL)
        r->merges->link = &merge->next;
    r->merges = merge;
    text_init(&path, HTTP_URL_MAX_BYTES);
    kubernetes_resource_path(&path, kind, ns, name, NULL);
    merge->ask = kube_ask(k->kube,
                          &(struct kube_request){.method = "PATCH",
                                                 .path = path.bytes,
                                                 .content_type = "application/merge-patch+json",
                                                 .body = patch_json,
                                                 .body_length = length,
                                                 .priority = KUBE_WRITE,
                                                 .fenced = true},
                          on_merged, merge);
    text_done(&path);
}

/* ------------------------------------------------------------------ its life */

void kubernetes_resources_watch(struct platform *platform, resource_changed *changed, void (*synced)(void *arg),
                                void *arg)
{
    struct resources *r = kubernetes_of(platform)->resources;

    assert(!r->watching);
    r->changed = changed;
    r->synced = synced;
    r->arg = arg;
    r->watching = true;
    kubernetes_resources_reassign(r);
}

struct resources *kubernetes_resources_new(struct kubernetes *k)
{
    struct resources *r = mem_alloc(sizeof *r);

    r->k = k;
    r->again = map_new();
    for (int i = 0; i < RESOURCE_KINDS; i++)
        r->records[i] = map_new();
    return r;
}

void kubernetes_resources_free(struct resources *r)
{
    if (r == NULL)
        return;
    stop(r, false);
    while (r->merges != NULL) {
        kube_cancel(r->merges->ask);
        merge_free(r->merges);
    }
    for (int i = 0; i < RESOURCE_KINDS; i++)
        map_free(r->records[i]);
    map_free(r->again);
    free(r);
}

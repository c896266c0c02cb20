/*
 * hpa: the HorizontalPodAutoscalers of objects in hpa mode.
 *
 *     hpa_put ──> known, and all of it as it should be? ── yes ──> done, nothing sent
 *                   │ no, or it differs            not known
 *                   ▼                                  ▼
 *                  GET ──> differs? ──> PUT <──409── POST
 *                   ▲                    │
 *                   └──────── 409 ───────┘
 *
 * Who puts one says what all of it should be (keda-operator/02 5). What is ours in it: the spec as a whole, but for members that the
 * API server fills in itself (behavior, GO's rules for it are known: DEFAULTS), the owner, the labels and annotations that are put,
 * and those that an earlier Weir or KEDA put, as managedFields tell. Labels and annotations of others stay. So an update is sent
 * only for a real difference, always with the resourceVersion it was found in (09-quirks B13), and one with somebody else's
 * changes in it is never overwritten unseen. Whatever has the name is taken over, as KEDA does it (09-quirks R4).
 *
 * What there is comes from reflectors on HPAs labelled app.kubernetes.io/managed-by=keda-operator, on only while somebody is in hpa
 * mode. Of each only hashes are kept (patch.h) and its condition ScalingActive. When one that was put is edited or deleted by
 * somebody else, its ScaledObject is told again, and whoever looks after it puts it again; writes to its status are no such edit.
 */
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
#include "platform/kubernetes/kubernetes_internal.h"
#include "platform/kubernetes/patch.h"

#define GROUP      "autoscaling"
#define VERSION    "v2"
#define PLURAL     "horizontalpodautoscalers"
#define MANAGED_BY "app.kubernetes.io/managed-by=keda-operator"
/* What the API server adds to a behavior that does not say it (hpa-algorithm.md 8). */
#define DEFAULTS                                                                                                       \
    "{\"behavior\":{\"scaleUp\":{\"stabilizationWindowSeconds\":0,\"selectPolicy\":\"Max\",\"policies\":["             \
    "{\"type\":\"Pods\",\"value\":4,\"periodSeconds\":15},{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]}" \
    ","                                                                                                                \
    "\"scaleDown\":{\"selectPolicy\":\"Max\",\"policies\":[{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":15}]" \
    "}}}"

enum {
    TRIES_MAX = 5, /* of one put, each after somebody else was quicker */
    LOOK_EVERY_MS = 5 * 60 * 1000,
    UNUSED_AFTER_MS = 10 * 60 * 1000,
    KEY_BYTES = 520,
};

struct parts { /* of an HPA, as hashes */
    struct leaves *spec;
    struct leaves *meta;  /* labels, annotations, owners */
    struct leaves *owned; /* of the labels and annotations, those that we or KEDA put */
};

struct waiting {
    platform_done *done;
    void *arg;
};

struct hpa {
    struct hpas *hpas;
    const char *ns, *name; /* atoms */
    const char *owner;     /* atom: the ScaledObject it was put for; NULL: nobody put it */
    const char *owner_uid; /* atom: likewise, or of the one that wants it deleted */
    bool exists, deleted /* by us: it is known that none is there, labelled or not */;
    uint32_t list; /* it was last seen in */
    uint64_t version;
    struct parts parts;
    uint64_t hash, approved;               /* of the parts; as they were when last found right */
    const char *active, *reason, *message; /* atoms: its condition ScalingActive, or NULL */
    const char *controller;                /* atom: uid of the owner that has controller: true, or NULL */
    /* what is under way; a later one replaces what an earlier one wants */
    bool busy, deleting;
    uint32_t wish, sent_wish; /* counts what was asked for; the one that the last write was of */
    char *json;
    size_t json_length;
    int tries;
    struct kube_ask *ask;
    struct waiting *waiting;
    size_t waiting_count;
};

struct hpa_feed {
    struct hpas *hpas;
    const char *ns; /* NULL: all */
    struct reflector *reflector;
    uint32_t list;
    bool settled, blind; /* blind: it may not be listed */
    bool unsure;         /* something of the list could not be read: what is not in it may be there */
};

struct hpas {
    struct kubernetes *k;
    struct map *all; /* "ns/name" -> struct hpa */
    struct hpa_feed *feeds;
    size_t feed_count;
    struct leaves *defaults;
    struct timer *timer;
    int64_t used_ticks;
};

/* ------------------------------------------------------------------ what an HPA says */

static void parts_free(struct parts *parts)
{
    free(parts->spec);
    free(parts->meta);
    free(parts->owned);
    *parts = (struct parts){0};
}

/* Is the field ("f:labels", "app") in what this manager of the object has written? */
static bool manager_has(const struct tree *manager, const char *field, const char *key)
{
    const struct tree *fields = tree_get(tree_get(tree_get(manager, "fieldsV1"), "f:metadata"), field);
    char member[KEY_BYTES];

    return snprintf(member, sizeof member, "f:%s", key) < (int)sizeof member && tree_get(fields, member) != NULL;
}

static bool is_owned(const struct tree *object, const char *field, const char *key)
{
    const struct tree *managers = tree_at(object, "metadata.managedFields");

    for (const struct tree *one = managers ? managers->first : NULL; one != NULL; one = one->next) {
        const char *name = tree_string(tree_get(one, "manager"));
        if (name != NULL && (strcmp(name, "weir") == 0 || strcmp(name, "keda") == 0) && manager_has(one, field, key))
            return true;
    }
    return false;
}

static void add_owned(struct leaves_draft *draft, const struct tree *object, const char *field)
{
    const struct tree *list = tree_get(tree_get(object, "metadata"), field + 2); /* without "f:" */
    char path[KEY_BYTES];

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next) {
        if (is_owned(object, field, one->key) &&
            snprintf(path, sizeof path, "%s/%s", field + 2, one->key) < (int)sizeof path)
            leaves_add(draft, path, one, 0);
    }
}

/* Labels and annotations word by word under the paths that add_owned uses. */
static void add_members(struct leaves_draft *draft, const struct tree *object, const char *field)
{
    const struct tree *list = tree_get(tree_get(object, "metadata"), field);
    char path[KEY_BYTES];

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next) {
        if (snprintf(path, sizeof path, "%s/%s", field, one->key) < (int)sizeof path)
            leaves_add(draft, path, one, 0);
    }
}

static void parts_of(const struct tree *object, struct parts *out)
{
    struct leaves_draft spec = {0}, meta = {0}, owned = {0};

    leaves_add(&spec, "", tree_get(object, "spec"), LEAVES_QUANTITIES);
    add_members(&meta, object, "labels");
    add_members(&meta, object, "annotations");
    leaves_add(&meta, "owners", tree_at(object, "metadata.ownerReferences"), 0);
    add_owned(&owned, object, "f:labels");
    add_owned(&owned, object, "f:annotations");
    *out = (struct parts){leaves_take(&spec), leaves_take(&meta), leaves_take(&owned)};
}

static uint64_t parts_hash(const struct parts *parts)
{
    uint64_t hash = hash_bytes(1, parts->spec->words, parts->spec->count * sizeof parts->spec->words[0]);

    hash = hash_bytes(hash, parts->meta->words, parts->meta->count * sizeof parts->meta->words[0]);
    return hash_bytes(hash, parts->owned->words, parts->owned->count * sizeof parts->owned->words[0]);
}

/* Every word of a, but for maps, is in b or in besides. */
static bool all_in(const struct leaves *a, const struct leaves *b, const struct leaves *besides)
{
    for (uint32_t i = 0; a != NULL && i < a->count; i++) {
        uint64_t word = a->words[i];
        if (!leaves_word_is_map(word) && !leaves_have(b, word) && !leaves_have(besides, word))
            return false;
    }
    return true;
}

static bool is_right(const struct hpas *h, const struct parts *now, const struct tree *wanted)
{
    struct parts want;
    bool right;

    parts_of(wanted, &want);
    right = all_in(want.spec, now->spec, NULL) && all_in(now->spec, want.spec, h->defaults) &&
            all_in(want.meta, now->meta, NULL) && all_in(now->owned, want.meta, NULL);
    parts_free(&want);
    return right;
}

static void set_atom(const char **at, const char *string)
{
    const char *old = *at;

    *at = atom_ref(string);
    atom_unref(old);
}

static void see_condition(struct hpa *hpa, const struct tree *object)
{
    const struct tree *list = tree_at(object, "status.conditions"), *found = NULL;

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next) {
        const char *type = tree_string(tree_get(one, "type"));
        if (type != NULL && strcmp(type, "ScalingActive") == 0)
            found = one;
    }
    set_atom(&hpa->active, tree_string(tree_get(found, "status")));
    set_atom(&hpa->reason, tree_string(tree_get(found, "reason")));
    set_atom(&hpa->message, tree_string(tree_get(found, "message")));
}

static void see_controller(struct hpa *hpa, const struct tree *object)
{
    const struct tree *list = tree_at(object, "metadata.ownerReferences");
    const char *uid = NULL;
    bool controls;

    for (const struct tree *one = list ? list->first : NULL; one != NULL; one = one->next)
        if (tree_bool(tree_get(one, "controller"), &controls) && controls)
            uid = tree_string(tree_get(one, "uid"));
    set_atom(&hpa->controller, uid);
}

/* The HPA as it is now. false: it is older than what is known. */
static bool see(struct hpa *hpa, const struct tree *object)
{
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    uint64_t version = strtoull(meta.resource_version, NULL, 10);
    if (version != 0 && version < hpa->version)
        return false;
    hpa->exists = true;
    hpa->deleted = false;
    hpa->version = version;
    parts_free(&hpa->parts);
    parts_of(object, &hpa->parts);
    hpa->hash = parts_hash(&hpa->parts);
    see_condition(hpa, object);
    see_controller(hpa, object);
    return true;
}

static void see_gone(struct hpa *hpa)
{
    hpa->exists = false;
    hpa->approved = 0;
    parts_free(&hpa->parts);
    set_atom(&hpa->active, NULL);
    set_atom(&hpa->reason, NULL);
    set_atom(&hpa->message, NULL);
    set_atom(&hpa->controller, NULL);
}

/* ------------------------------------------------------------------ all of them */

static void hpa_free(struct hpa *hpa)
{
    if (hpa->ask != NULL)
        kube_cancel(hpa->ask);
    see_gone(hpa);
    atom_unref(hpa->ns);
    atom_unref(hpa->name);
    atom_unref(hpa->owner);
    atom_unref(hpa->owner_uid);
    free(hpa->json);
    free(hpa->waiting);
    free(hpa);
}

static bool key_of(char out[KEY_BYTES], const char *ns, const char *name)
{
    int length = snprintf(out, KEY_BYTES, "%s/%s", ns, name);

    return length > 0 && length < KEY_BYTES;
}

static struct hpa *find(const struct hpas *h, const char *ns, const char *name)
{
    char key[KEY_BYTES];

    return key_of(key, ns, name) ? map_get(h->all, key) : NULL;
}

/* Finds or makes; NULL: no such name can be. */
static struct hpa *hpa_of(struct hpas *h, const char *ns, const char *name)
{
    char key[KEY_BYTES];
    struct hpa *hpa = find(h, ns, name);

    if (hpa == NULL && key_of(key, ns, name)) {
        hpa = mem_alloc(sizeof *hpa);
        *hpa = (struct hpa){.hpas = h, .ns = atom_ref(ns), .name = atom_ref(name)};
        map_put(h->all, key, hpa);
    }
    return hpa;
}

static struct hpa_feed *feed_of(const struct hpas *h, const char *ns)
{
    for (size_t i = 0; i < h->feed_count; i++) {
        if (h->feeds[i].ns == NULL || strcmp(h->feeds[i].ns, ns) == 0)
            return &h->feeds[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ putting */

static void finish(struct hpa *hpa, const struct error *err)
{
    struct waiting *waiting = hpa->waiting;
    size_t count = hpa->waiting_count;

    hpa->busy = false;
    free(hpa->json);
    hpa->json = NULL;
    hpa->waiting = NULL;
    hpa->waiting_count = 0;
    for (size_t i = 0; i < count; i++)
        kubernetes_answer_later(hpa->hpas->k, waiting[i].done, waiting[i].arg, err);
    free(waiting);
}

static void ask(struct hpa *hpa, const char *method, const char *name, const struct text *body, kube_done *done)
{
    struct text path;

    hpa->sent_wish = hpa->wish;
    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, GROUP, VERSION, hpa->ns, PLURAL, name, NULL);
    if (body != NULL && strcmp(method, "DELETE") != 0)
        text_add(&path, "?fieldManager=weir");
    hpa->ask = kube_ask(hpa->hpas->k->kube,
                        &(struct kube_request){.method = method,
                                               .path = path.bytes,
                                               .body = body ? body->bytes : NULL,
                                               .body_length = body ? body->length : 0,
                                               .priority = KUBE_WRITE,
                                               .fenced = strcmp(method, "GET") != 0},
                        done, hpa);
    text_done(&path);
}

/* Whose the HPA is, is decided by its ScaledObject; one that is deleted may have none any more. */
static bool may_write(const struct hpa *hpa)
{
    const struct kubernetes *k = hpa->hpas->k;

    return hpa->owner != NULL ? kubernetes_may_write(k, hpa->ns, hpa->owner) : k->write && kube_may_write(k->kube);
}

/* Somebody else changed what was put: whoever put it puts it again. */
static void report_edit(struct hpa *hpa)
{
    struct kubernetes *k = hpa->hpas->k;

    if (hpa->owner != NULL && !hpa->busy && kubernetes_is_ours(k, hpa->ns, hpa->owner))
        kubernetes_resource_again(&k->platform, RESOURCE_SCALED_OBJECT, hpa->ns, hpa->owner);
}

static void go_on(struct hpa *hpa);

static void fail_to_read(struct hpa *hpa)
{
    struct error err;

    error_set(&err, ERROR_INTERNAL, "the HorizontalPodAutoscaler %s/%s could not be written down as JSON", hpa->ns,
              hpa->name);
    finish(hpa, &err);
}

/* Whatever was wanted when it was sent, what is wanted now counts. */
static void on_written(void *arg, const struct kube_reply *reply)
{
    struct hpa *hpa = arg;

    hpa->ask = NULL;
    if (reply->error.kind == ERROR_NONE) {
        if (reply->body != NULL && see(hpa, reply->body))
            hpa->approved = hpa->hash;
        if (hpa->sent_wish == hpa->wish)
            finish(hpa, NULL); /* right or not as compared here: what the API server made of it stands */
        else
            go_on(hpa);
        if (!hpa->exists)
            report_edit(hpa); /* deleted since */
    } else if (reply->status == 404 && hpa->exists) {
        see_gone(hpa);
        go_on(hpa);
    } else if (reply->conflict && hpa->tries < TRIES_MAX) {
        hpa->exists = true; /* whatever it is like: it is read first */
        go_on(hpa);
    } else {
        finish(hpa, &reply->error);
    }
}

static bool add_foreign(struct text *out, const struct tree *current, const struct tree *wanted, const char *field)
{
    const struct tree *want = tree_get(tree_get(wanted, "metadata"), field);
    const struct tree *have = tree_get(tree_get(current, "metadata"), field);
    char owned[32];
    bool none = true;

    snprintf(owned, sizeof owned, "f:%s", field);
    text_printf(out, ",\"%s\":{", field);
    for (const struct tree *one = want ? want->first : NULL; one != NULL; one = one->next) {
        text_add(out, none ? "" : ",");
        text_add_json_string(out, one->key, strlen(one->key));
        text_add_char(out, ':');
        tree_write_json(one, out);
        none = false;
    }
    for (const struct tree *one = have ? have->first : NULL; one != NULL; one = one->next) {
        if (tree_get(want, one->key) != NULL || is_owned(current, owned, one->key))
            continue;
        text_add(out, none ? "" : ",");
        text_add_json_string(out, one->key, strlen(one->key));
        text_add_char(out, ':');
        tree_write_json(one, out);
        none = false;
    }
    return text_add_char(out, '}');
}

/* wanted, with what must stay of the one that is there. */
static bool write_update(struct text *out, const struct tree *current, const struct tree *wanted)
{
    const struct tree *meta = tree_get(wanted, "metadata");
    const struct tree *finalizers = tree_at(current, "metadata.finalizers");

    text_add(out,
             "{\"apiVersion\":\"" GROUP "/" VERSION "\",\"kind\":\"HorizontalPodAutoscaler\",\"metadata\":{\"name\":");
    tree_write_json(tree_get(meta, "name"), out);
    text_add(out, ",\"namespace\":");
    tree_write_json(tree_get(tree_get(current, "metadata"), "namespace"), out);
    text_add(out, ",\"resourceVersion\":");
    tree_write_json(tree_get(tree_get(current, "metadata"), "resourceVersion"), out);
    add_foreign(out, current, wanted, "labels");
    add_foreign(out, current, wanted, "annotations");
    if (tree_get(meta, "ownerReferences") != NULL) {
        text_add(out, ",\"ownerReferences\":");
        tree_write_json(tree_get(meta, "ownerReferences"), out);
    }
    if (finalizers != NULL) {
        text_add(out, ",\"finalizers\":");
        tree_write_json(finalizers, out);
    }
    text_add(out, "},\"spec\":");
    tree_write_json(tree_get(wanted, "spec"), out);
    return text_add_char(out, '}');
}

static void update(struct hpa *hpa, const struct tree *current)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *wanted;
    struct text body;

    text_init(&body, KUBE_PATCH_MAX_BYTES);
    if (!tree_read_json(hpa->json, hpa->json_length, false, arena, &wanted, NULL)) {
        fail_to_read(hpa);
    } else if (is_right(hpa->hpas, &hpa->parts, wanted)) {
        hpa->approved = hpa->hash;
        finish(hpa, NULL);
    } else if (!write_update(&body, current, wanted)) {
        fail_to_read(hpa);
    } else {
        hpa->tries++;
        ask(hpa, "PUT", hpa->name, &body, on_written);
    }
    text_done(&body);
    arena_free(arena);
}

static void on_deleted(void *arg, const struct kube_reply *reply)
{
    struct hpa *hpa = arg;

    hpa->ask = NULL;
    if (reply->conflict && hpa->tries < TRIES_MAX) { /* another one has the name now */
        go_on(hpa);
        return;
    }
    if (reply->error.kind != ERROR_NONE && reply->error.kind != ERROR_MISSING) {
        finish(hpa, &reply->error);
        return;
    }
    see_gone(hpa);
    hpa->deleted = true;
    go_on(hpa);
}

/* The one that was read, and no other that came to the name since. */
static void delete (struct hpa *hpa, const struct tree *current)
{
    const char *uid = tree_string(tree_at(current, "metadata.uid"));
    struct text body;

    if (!string_equal(hpa->controller, hpa->owner_uid)) {
        kubernetes_say(
            hpa->hpas->k, true,
            "the HorizontalPodAutoscaler %s/%s is not deleted: it is not controlled by the ScaledObject whose "
            "status names it; delete it by hand if nobody needs it",
            hpa->ns, hpa->name);
        finish(hpa, NULL);
        return;
    }
    text_init(&body, KUBE_PATCH_MAX_BYTES);
    text_add(&body, "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":");
    text_add_json_string(&body, uid ? uid : "", uid ? strlen(uid) : 0);
    text_add(&body, "}}");
    hpa->tries++;
    ask(hpa, "DELETE", hpa->name, &body, on_deleted);
    text_done(&body);
}

static void on_read(void *arg, const struct kube_reply *reply)
{
    struct hpa *hpa = arg;

    hpa->ask = NULL;
    if (hpa->sent_wish != hpa->wish && hpa->deleting) {
        go_on(hpa);
    } else if (reply->error.kind == ERROR_MISSING) {
        see_gone(hpa);
        hpa->deleted = hpa->deleting;
        go_on(hpa);
    } else if (reply->error.kind != ERROR_NONE || reply->body == NULL) {
        finish(hpa, &reply->error);
    } else {
        see(hpa, reply->body);
        if (hpa->deleting)
            delete (hpa, reply->body);
        else
            update(hpa, reply->body);
    }
}

static void create(struct hpa *hpa)
{
    struct text body;

    text_init(&body, KUBE_PATCH_MAX_BYTES);
    if (!text_append(&body, hpa->json, hpa->json_length)) {
        fail_to_read(hpa);
    } else {
        hpa->tries++;
        ask(hpa, "POST", NULL, &body, on_written);
    }
    text_done(&body);
}

/* As it is known here, without asking. */
static bool is_right_already(struct hpa *hpa)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *wanted;
    bool right = hpa->exists && hpa->parts.spec != NULL &&
                 tree_read_json(hpa->json, hpa->json_length, false, arena, &wanted, NULL) &&
                 is_right(hpa->hpas, &hpa->parts, wanted);

    arena_free(arena);
    return right;
}

/* The next step towards what is wanted; not while a request is under way. */
static void go_on(struct hpa *hpa)
{
    const struct hpa_feed *feed = feed_of(hpa->hpas, hpa->ns);
    struct error err;

    if (!hpa->busy || hpa->ask != NULL)
        return;
    if (!may_write(hpa)) {
        kubernetes_not_ours(hpa->hpas->k, hpa->ns, hpa->name, &err);
        finish(hpa, &err);
    } else if (hpa->deleting && hpa->deleted) {
        finish(hpa, NULL);
    } else if (hpa->deleting) {
        ask(hpa, "GET", hpa->name, NULL, on_read);
    } else if (feed != NULL && !feed->settled) {
        return; /* on_synced goes on */
    } else if ((feed == NULL || !feed->blind) && is_right_already(hpa)) {
        hpa->approved = hpa->hash;
        finish(hpa, NULL);
    } else if (hpa->exists || (feed != NULL && feed->blind && hpa->tries == 0)) {
        hpa->tries += hpa->tries == 0;
        ask(hpa, "GET", hpa->name, NULL, on_read);
    } else if (hpa->tries < TRIES_MAX) {
        create(hpa);
    } else {
        error_set(&err, ERROR_UNREACHABLE,
                  "the HorizontalPodAutoscaler %s/%s goes and comes back all the time; somebody else writes it too",
                  hpa->ns, hpa->name);
        finish(hpa, &err);
    }
}

/* ------------------------------------------------------------------ what there is */

static void on_begin(void *arg)
{
    struct hpa_feed *feed = arg;

    feed->list++;
    feed->unsure = false;
}

static void on_item(void *arg, const struct tree *object)
{
    struct hpa_feed *feed = arg;
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    struct hpa *hpa = meta.name[0] != 0 ? hpa_of(feed->hpas, meta.ns, meta.name) : NULL;
    if (hpa == NULL)
        return;
    hpa->list = feed->list;
    if (see(hpa, object) && hpa->hash != hpa->approved)
        report_edit(hpa);
}

/* Too large to be read, not gone: what was known of it stands. */
static void on_kept(void *arg, const struct tree *metadata)
{
    struct hpa_feed *feed = arg;
    struct kube_meta meta;

    feed->unsure |= metadata == NULL;
    kube_meta_read(metadata, &meta);
    struct hpa *hpa = find(feed->hpas, meta.ns, meta.name);
    if (hpa != NULL)
        hpa->list = feed->list;
}

static void lose(struct hpa *hpa)
{
    see_gone(hpa);
    report_edit(hpa);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct hpa_feed *feed = arg;
    struct hpa *hpa = find(feed->hpas, ns, name);

    if (hpa == NULL || !hpa->exists)
        return;
    struct kube_meta meta = {.resource_version = "0"};
    if (last != NULL)
        kube_meta_read(last, &meta);
    uint64_t version = strtoull(meta.resource_version, NULL, 10);
    if (version != 0 && version < hpa->version)
        return; /* an earlier one of the name */
    hpa->version = version != 0 ? version : hpa->version;
    lose(hpa);
}

static void settle(struct hpa_feed *feed)
{
    struct hpas *h = feed->hpas;
    const char *key;
    void *value;

    feed->settled = true;
    for (size_t at = 0; map_next(h->all, &at, &key, &value);) {
        struct hpa *hpa = value;
        if (feed->ns == NULL || strcmp(feed->ns, hpa->ns) == 0)
            go_on(hpa);
    }
}

static void on_synced(void *arg)
{
    struct hpa_feed *feed = arg;
    const char *key;
    void *value;

    feed->blind = false;
    for (size_t at = 0; map_next(feed->hpas->all, &at, &key, &value);) {
        struct hpa *hpa = value;
        bool here = feed->ns == NULL || strcmp(feed->ns, hpa->ns) == 0;
        if (here && !feed->unsure && hpa->exists && hpa->list != feed->list && !hpa->busy)
            lose(hpa);
    }
    settle(feed);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct hpa_feed *feed = arg;

    if (err == NULL || err->kind != ERROR_DENIED)
        return;
    if (!feed->blind)
        kubernetes_say(feed->hpas->k, true,
                       "HorizontalPodAutoscalers cannot be watched, edits of them by others go unnoticed: %s",
                       err->text);
    feed->blind = true;
    settle(feed);
}

static void start_feed(struct hpas *h, const char *ns)
{
    struct hpa_feed *feed = &h->feeds[h->feed_count++];
    struct text path;

    *feed = (struct hpa_feed){.hpas = h, .ns = ns};
    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, GROUP, VERSION, ns, PLURAL, NULL, NULL);
    feed->reflector = reflector_new(h->k->kube, &(struct reflector_options){.path = path.bytes,
                                                                            .label_selector = MANAGED_BY,
                                                                            .begin = on_begin,
                                                                            .item = on_item,
                                                                            .gone = on_gone,
                                                                            .kept = on_kept,
                                                                            .synced = on_synced,
                                                                            .trouble = on_trouble,
                                                                            .arg = feed});
    text_done(&path);
}

/* Somebody is in hpa mode. */
static void use(struct hpas *h)
{
    const struct kubernetes *k = h->k;

    h->used_ticks = loop_ticks_ms(k->loop);
    if (h->feed_count > 0)
        return;
    h->feeds = mem_array(k->namespace_count + 1, sizeof *h->feeds);
    if (k->namespace_count == 0)
        start_feed(h, NULL);
    for (size_t i = 0; i < k->namespace_count; i++)
        start_feed(h, k->namespaces[i]);
    loop_timer_set(h->timer, LOOK_EVERY_MS);
}

static void stop(struct hpas *h)
{
    const char *key;
    void *value;

    for (size_t i = 0; i < h->feed_count; i++)
        reflector_free(h->feeds[i].reflector);
    free(h->feeds);
    h->feeds = NULL;
    h->feed_count = 0;
    for (size_t at = 0; map_next(h->all, &at, &key, &value);) {
        map_remove(h->all, key);
        hpa_free(value);
    }
}

static bool is_used(const struct hpas *h)
{
    const char *key;
    void *value;

    if (loop_ticks_ms(h->k->loop) - h->used_ticks < UNUSED_AFTER_MS)
        return true;
    for (size_t at = 0; map_next(h->all, &at, &key, &value);) {
        const struct hpa *hpa = value;
        if (hpa->busy || (hpa->owner != NULL && kubernetes_is_ours(h->k, hpa->ns, hpa->owner)))
            return true;
    }
    return false;
}

static bool is_needed(const struct hpa *hpa)
{
    char uid[KUBE_UID_BYTES];

    return hpa->exists || hpa->busy || hpa->ask != NULL ||
           (hpa->owner != NULL &&
            kubernetes_resource_uid(hpa->hpas->k, RESOURCE_SCALED_OBJECT, hpa->ns, hpa->owner, uid));
}

/* Those of objects that are gone: names may come and go for ever. */
static void forget_unneeded(struct hpas *h)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(h->all, &at, &key, &value);) {
        if (is_needed(value))
            continue;
        map_remove(h->all, key);
        hpa_free(value);
    }
}

static void on_look(void *arg)
{
    struct hpas *h = arg;

    if (!is_used(h)) {
        stop(h);
        return;
    }
    forget_unneeded(h);
    loop_timer_set(h->timer, LOOK_EVERY_MS);
}

/* ------------------------------------------------------------------ entries of the table */

static void begin(struct hpa *hpa, bool deleting, platform_done *done, void *arg)
{
    hpa->waiting = mem_grow(hpa->waiting, hpa->waiting_count + 1, sizeof *hpa->waiting);
    hpa->waiting[hpa->waiting_count++] = (struct waiting){done, arg};
    hpa->busy = true;
    hpa->wish++;
    hpa->deleting = deleting;
    hpa->tries = 0;
    go_on(hpa);
}

static void set_owner(struct hpa *hpa, const char *json, size_t length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *wanted = NULL;

    if (!tree_read_json(json, length, false, arena, &wanted, NULL))
        wanted = NULL;
    set_atom(&hpa->owner, tree_string(tree_at(wanted, "metadata.ownerReferences.0.name")));
    set_atom(&hpa->owner_uid, tree_string(tree_at(wanted, "metadata.ownerReferences.0.uid")));
    arena_free(arena);
}

void kubernetes_hpa_put(struct platform *platform, const char *ns, const char *name, const char *json, size_t length,
                        platform_done *done, void *arg)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct hpa *hpa = hpa_of(k->hpas, ns, name);
    struct error err;

    if (hpa == NULL) {
        error_set(&err, ERROR_INVALID, "%s/%s is too long for the name of a HorizontalPodAutoscaler", ns, name);
        kubernetes_answer_later(k, done, arg, &err);
        return;
    }
    use(k->hpas);
    set_owner(hpa, json, length);
    free(hpa->json);
    hpa->json = mem_alloc(length + 1);
    memcpy(hpa->json, json, length);
    hpa->json_length = length;
    begin(hpa, false, done, arg);
}

void kubernetes_hpa_delete(struct platform *platform, const char *ns, const char *name, const char *owner_uid,
                           platform_done *done, void *arg)
{
    struct kubernetes *k = kubernetes_of(platform);
    struct hpa *hpa = hpa_of(k->hpas, ns, name);

    /* No such name can be; or it was put for another, who goes on keeping it. */
    if (hpa == NULL || (hpa->owner != NULL && !string_equal(hpa->owner_uid, owner_uid))) {
        kubernetes_answer_later(k, done, arg, NULL);
        return;
    }
    set_atom(&hpa->owner, NULL);
    set_atom(&hpa->owner_uid, owner_uid);
    begin(hpa, true, done, arg);
}

enum lookup kubernetes_hpa_view(struct platform *platform, const char *ns, const char *name, struct hpa_view *out)
{
    struct hpas *h = kubernetes_of(platform)->hpas;

    use(h);
    const struct hpa_feed *feed = feed_of(h, ns);
    const struct hpa *hpa = find(h, ns, name);
    *out = (struct hpa_view){0};
    if (feed == NULL || feed->blind)
        return LOOKUP_DENIED;
    if (!feed->settled)
        return LOOKUP_PENDING;
    if (hpa == NULL || !hpa->exists)
        return LOOKUP_ABSENT;
    *out = (struct hpa_view){.exists = true,
                             .scaling_active = hpa->active,
                             .reason = hpa->reason,
                             .message = hpa->message,
                             .owner_uid = hpa->controller};
    return LOOKUP_FOUND;
}

/* ------------------------------------------------------------------ its life */

static struct leaves *read_defaults(void)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct leaves_draft draft = {0};
    struct tree *tree = NULL;

    if (tree_read_json(DEFAULTS, strlen(DEFAULTS), false, arena, &tree, NULL))
        leaves_add(&draft, "", tree, LEAVES_QUANTITIES);
    arena_free(arena);
    return leaves_take(&draft);
}

struct hpas *kubernetes_hpas_new(struct kubernetes *k)
{
    struct hpas *h = mem_alloc(sizeof *h);

    h->k = k;
    h->all = map_new();
    h->defaults = read_defaults();
    h->timer = loop_timer_new(k->loop, on_look, h);
    return h;
}

void kubernetes_hpas_free(struct hpas *h)
{
    if (h == NULL)
        return;
    stop(h);
    map_free(h->all);
    free(h->defaults);
    loop_timer_free(h->timer);
    free(h);
}

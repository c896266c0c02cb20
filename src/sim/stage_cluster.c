/*
 * stage_cluster: the simulated platform as a cluster. KEDA's objects are resources with a uid, a generation and a status; status
 * patches are merged, events and HorizontalPodAutoscalers are kept, Secrets and ConfigMaps have keys, and all of it can be looked
 * at. What the autoscaler asks for is answered in a later turn of the loop, as a control plane would.
 */
#include "sim/stage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"

enum { NAME_BYTES = 256 };

struct stage_resource {
    enum resource_kind kind;
    char ns[NAME_BYTES], name[NAME_BYTES];
    char *metadata, *spec, *status; /* JSON; metadata without what the control plane adds */
    char *finalizers;               /* JSON; NULL: none */
    uint64_t uid;
    int64_t generation, created_at_ms;
    bool deleting;
    struct stage_resource *next;
};
struct stage_event {
    char *key, *reason, *text;
    bool warning;
    struct stage_event *next;
};
struct stage_hpa {
    char ns[NAME_BYTES], name[NAME_BYTES];
    char *json, owner[64];
    bool differs;
    const char *active, *reason, *message;
    struct stage_hpa *next;
};
struct stage_datum {
    char place[3 * NAME_BYTES]; /* "ns/name/key" */
    char *value;                /* NULL: it is being looked up */
    struct stage_datum *next;
};
struct stage_cluster {
    resource_changed *changed;
    void *changed_arg;
    void (*data_changed)(void *arg, const char *ns, const char *name);
    void *data_arg;
    struct stage_resource *resources; /* in the order in which they were made */
    struct stage_event *events, **events_end;
    struct stage_hpa *hpas;
    struct stage_datum *data;
    uint64_t next_uid, status_writes, told_again;
    bool may_not_write, elsewhere;
};

static const char *const kinds[RESOURCE_KINDS] = {"TriggerAuthentication", "ClusterTriggerAuthentication",
                                                  "ScaledObject", "ScaledJob"};

static struct stage_cluster *cluster_of(struct platform *platform)
{
    return ((struct stage *)platform)->cluster;
}

/* ------------------------------------------------------------------ merging (RFC 7396) */

static void merge(const struct tree *old, const struct tree *patch, struct text *out);

static void add_member(struct text *out, const char *key)
{
    text_add(out, out->bytes[out->length - 1] == '{' ? "" : ",");
    text_add_json_string(out, key, strlen(key));
    text_add(out, ":");
}

static void merge_maps(const struct tree *old, const struct tree *patch, struct text *out)
{
    text_add(out, "{");
    for (const struct tree *m = old && old->type == TREE_MAP ? old->first : NULL; m; m = m->next) {
        if (tree_get(patch, m->key))
            continue;
        add_member(out, m->key);
        tree_write_json(m, out);
    }
    for (const struct tree *m = patch->first; m; m = m->next) {
        if (m->type == TREE_NULL)
            continue;
        add_member(out, m->key);
        merge(tree_get(old, m->key), m, out);
    }
    text_add(out, "}");
}

/* As deep as the patch, which the reader bounds. */
static void merge(const struct tree *old, const struct tree *patch, struct text *out)
{
    if (patch->type == TREE_MAP)
        merge_maps(old, patch, out);
    else
        tree_write_json(patch, out);
}

static void merge_into(char **json, const char *patch, size_t length)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *old = NULL, *new = NULL;
    struct text out;
    struct error err;

    text_init(&out, MANIFEST_FILE_MAX_BYTES);
    if (tree_read_json(*json, strlen(*json), false, arena, &old, &err) &&
        tree_read_json(patch, length, false, arena, &new, &err)) {
        merge(old, new, &out);
        free(*json);
        *json = text_take(&out);
    }
    text_done(&out);
    arena_free(arena);
}

/* ------------------------------------------------------------------ resources */

static struct stage_resource *resource_find(const struct stage_cluster *c, enum resource_kind kind, const char *ns,
                                            const char *name)
{
    struct stage_resource *r = c->resources;

    while (r && (r->kind != kind || strcmp(r->ns, ns) != 0 || strcmp(r->name, name) != 0))
        r = r->next;
    return r;
}

static void resource_free(struct stage_cluster *c, struct stage_resource *r)
{
    for (struct stage_resource **at = &c->resources; *at; at = &(*at)->next)
        if (*at == r) {
            *at = r->next;
            break;
        }
    free(r->metadata);
    free(r->spec);
    free(r->status);
    free(r->finalizers);
    free(r);
}

static void write_resource(const struct stage_resource *r, struct text *out)
{
    char created[32];

    instant_format(r->created_at_ms, created, sizeof(created));
    text_printf(out, "{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"%s\",\"metadata\":{", kinds[r->kind]);
    text_add(out, r->metadata);
    text_printf(out, "%s\"uid\":\"uid-%llu\",\"generation\":%lld,\"creationTimestamp\":\"%s\"", *r->metadata ? "," : "",
                (unsigned long long)r->uid, (long long)r->generation, created);
    text_add(out, ",\"managedFields\":[{\"manager\":\"kubectl\"}]");
    if (r->finalizers)
        text_printf(out, ",\"finalizers\":%s", r->finalizers);
    text_printf(out, "},\"spec\":%s,\"status\":%s}", r->spec, r->status);
}

static void tell(struct stage *stage, const struct stage_resource *r, enum resource_end end, bool with_tree)
{
    struct stage_cluster *c = stage->cluster;
    struct arena *arena = arena_new(ARENA_USUAL);
    struct resource_view view = {.kind = r->kind, .ns = r->ns, .name = r->name};
    struct tree *tree = NULL;
    struct text json;
    struct error err;

    text_init(&json, MANIFEST_FILE_MAX_BYTES);
    write_resource(r, &json);
    if (with_tree && tree_read_json(json.bytes, json.length, false, arena, &tree, &err))
        view.tree = tree;
    view.generation = r->generation;
    view.created_at_ms = r->created_at_ms;
    view.deleting = r->deleting;
    if (c->changed)
        c->changed(c->changed_arg, &view, end);
    text_done(&json);
    arena_free(arena);
}

static char *take_json(const struct tree *tree, const char *nothing)
{
    struct text out;

    if (!tree)
        return mem_copy(nothing);
    text_init(&out, MANIFEST_FILE_MAX_BYTES);
    tree_write_json(tree, &out);
    return text_take(&out);
}

/* The members of metadata, without braces and finalizers. */
static char *take_metadata(const struct tree *metadata)
{
    struct text out;

    text_init(&out, MANIFEST_FILE_MAX_BYTES);
    for (const struct tree *m = metadata->first; m; m = m->next) {
        if (strcmp(m->key, "finalizers") == 0)
            continue;
        text_add(&out, out.length ? "," : "");
        text_add_json_string(&out, m->key, strlen(m->key));
        text_add(&out, ":");
        tree_write_json(m, &out);
    }
    return text_take(&out);
}

static struct stage_resource *resource_make(struct stage *stage, enum resource_kind kind, const char *ns,
                                            const char *name)
{
    struct stage_cluster *c = stage->cluster;
    struct stage_resource *r = mem_alloc(sizeof(*r)), **end = &c->resources;

    r->kind = kind;
    snprintf(r->ns, sizeof(r->ns), "%s", ns);
    snprintf(r->name, sizeof(r->name), "%s", name);
    r->uid = ++c->next_uid;
    r->created_at_ms = loop_now_ms(stage->loop);
    r->status = mem_copy("{}");
    while (*end)
        end = &(*end)->next;
    *end = r;
    return r;
}

static enum resource_kind kind_of(const struct tree *document)
{
    enum resource_kind kind = RESOURCE_TRIGGER_AUTH;

    while (kind < RESOURCE_SCALED_JOB && !string_equal(tree_string(tree_get(document, "kind")), kinds[kind]))
        kind++;
    return kind;
}

static void apply(struct stage *stage, const struct tree *document)
{
    const struct tree *metadata = tree_get(document, "metadata"), *status = tree_get(document, "status");
    const char *ns = tree_string(tree_get(metadata, "namespace")), *name = tree_string(tree_get(metadata, "name"));
    enum resource_kind kind = kind_of(document);
    struct stage_resource *r;
    char *spec;

    ns = kind == RESOURCE_CLUSTER_TRIGGER_AUTH ? "" : ns ? ns : "default";
    r = resource_find(stage->cluster, kind, ns, name);
    if (!r)
        r = resource_make(stage, kind, ns, name);
    spec = take_json(tree_get(document, "spec"), "{}");
    r->generation += !r->spec || strcmp(spec, r->spec) != 0;
    free(r->spec);
    free(r->metadata);
    free(r->finalizers);
    r->spec = spec;
    r->metadata = take_metadata(metadata);
    r->finalizers = tree_get(metadata, "finalizers") ? take_json(tree_get(metadata, "finalizers"), "") : NULL;
    if (status) {
        free(r->status);
        r->status = take_json(status, "{}");
    }
    bool object = kind == RESOURCE_SCALED_OBJECT || kind == RESOURCE_SCALED_JOB;
    tell(stage, r, object && stage->cluster->elsewhere ? RESOURCE_ELSEWHERE : RESOURCE_STAYS, true);
}

void stage_resource(struct stage *stage, const char *yaml)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *documents;
    struct error err;

    stage_cluster(stage);
    if (tree_read_yaml("resource", yaml, strlen(yaml), arena, &documents, &err))
        for (const struct tree *d = documents->first; d; d = d->next)
            apply(stage, d);
    arena_free(arena);
}

static struct stage_resource *by_key(const struct stage *stage, const char *key)
{
    char have[3 * NAME_BYTES];

    for (struct stage_resource *r = stage->cluster->resources; r; r = r->next) {
        snprintf(have, sizeof(have), "%s/%s/%s", kinds[r->kind], r->ns, r->name);
        if (strcmp(have, key) == 0)
            return r;
    }
    return NULL;
}

void stage_resource_delete(struct stage *stage, const char *key)
{
    struct stage_resource *r = by_key(stage, key);

    if (!r)
        return;
    r->deleting = true;
    tell(stage, r, RESOURCE_DELETED, r->finalizers != NULL);
    if (!r->finalizers)
        resource_free(stage->cluster, r);
}

void stage_resource_move(struct stage *stage, const char *key, bool away)
{
    struct stage_resource *r = by_key(stage, key);

    if (r)
        tell(stage, r, !away ? RESOURCE_STAYS : stage->cluster->elsewhere ? RESOURCE_ELSEWHERE : RESOURCE_MOVED, !away);
}

bool stage_resource_exists(struct stage *stage, const char *key)
{
    return by_key(stage, key) != NULL;
}

const char *stage_status(struct stage *stage, const char *key)
{
    const struct stage_resource *r = by_key(stage, key);

    return r ? r->status : NULL;
}

const char *stage_metadata(struct stage *stage, const char *key)
{
    const struct stage_resource *r = by_key(stage, key);

    return r ? r->metadata : NULL;
}

uint64_t stage_status_writes(const struct stage *stage)
{
    return stage->cluster->status_writes;
}

uint64_t stage_told_again(const struct stage *stage)
{
    return stage->cluster->told_again;
}

/* ------------------------------------------------------------------ later: what is answered in another turn */

struct later {
    struct stage *stage;
    enum resource_kind kind;
    char ns[NAME_BYTES], name[NAME_BYTES];
    platform_done *done;
    void *arg;
    bool fails;
};

static struct later *later_new(struct platform *platform, const char *ns, const char *name, platform_done *done,
                               void *arg)
{
    struct later *later = mem_alloc(sizeof(*later));

    later->stage = (struct stage *)platform;
    snprintf(later->ns, sizeof(later->ns), "%s", ns);
    snprintf(later->name, sizeof(later->name), "%s", name);
    later->done = done;
    later->arg = arg;
    return later;
}

static void on_done(void *arg)
{
    struct later *later = arg;
    struct error err;

    if (later->fails)
        error_set(&err, ERROR_UNREACHABLE, "the platform was told to fail this write");
    if (later->done)
        later->done(later->arg, later->fails ? &err : NULL);
    free(later);
}

static void on_again(void *arg)
{
    struct later *later = arg;
    struct stage_resource *r = resource_find(later->stage->cluster, later->kind, later->ns, later->name);

    if (r && !r->deleting)
        tell(later->stage, r, RESOURCE_STAYS, true);
    free(later);
}

/* ------------------------------------------------------------------ the platform's entries */

static void tell_all(struct stage *stage)
{
    for (int kind = 0; kind < RESOURCE_KINDS; kind++)
        for (struct stage_resource *r = stage->cluster->resources; r; r = r->next)
            if ((int)r->kind == kind && !r->deleting)
                tell(stage, r, RESOURCE_STAYS, true);
}

void stage_on_resources_watch(struct platform *platform, resource_changed *changed, void (*synced)(void *arg),
                              void *arg)
{
    struct stage_cluster *c = cluster_of(platform);

    c->changed = changed;
    c->changed_arg = arg;
    tell_all((struct stage *)platform);
    synced(arg);
}

void stage_on_resource_again(struct platform *platform, enum resource_kind kind, const char *ns, const char *name)
{
    struct later *later = later_new(platform, ns, name, NULL, NULL);

    later->kind = kind;
    cluster_of(platform)->told_again++;
    loop_post(((struct stage *)platform)->loop, on_again, later);
}

void stage_on_status_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                           const char *patch, size_t length)
{
    struct stage_cluster *c = cluster_of(platform);
    struct stage_resource *r = resource_find(c, kind, ns, name);

    if (!r)
        return;
    c->status_writes++;
    merge_into(&r->status, patch, length);
}

void stage_on_resource_merge(struct platform *platform, enum resource_kind kind, const char *ns, const char *name,
                             const char *patch, size_t length, platform_done *done, void *arg)
{
    struct stage *stage = (struct stage *)platform;
    struct stage_resource *r = resource_find(stage->cluster, kind, ns, name);
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree = NULL;
    struct error err;

    if (r && tree_read_json(patch, length, false, arena, &tree, &err)) {
        bool says_more = tree_at(tree, "metadata.labels") || tree_at(tree, "metadata.annotations");
        const struct tree *finalizers = tree_at(tree, "metadata.finalizers");

        if (finalizers) {
            free(r->finalizers);
            r->finalizers = tree_count(finalizers) > 0 ? take_json(finalizers, "") : NULL;
        }
        if (says_more) {
            char *whole = mem_alloc(strlen(r->metadata) + 3);
            char *members = take_json(tree_get(tree, "metadata"), "{}");

            snprintf(whole, strlen(r->metadata) + 3, "{%s}", r->metadata);
            merge_into(&whole, members, strlen(members));
            free(members);
            free(r->metadata);
            r->metadata = mem_copy(whole + 1);
            r->metadata[strlen(r->metadata) - 1] = 0;
            free(whole);
            stage_on_resource_again(platform, kind, ns, name);
        }
        if (r->deleting && !r->finalizers)
            resource_free(stage->cluster, r);
    }
    arena_free(arena);
    loop_post(stage->loop, on_done, later_new(platform, ns, name, done, arg));
}

bool stage_on_may_write(struct platform *platform, const char *ns, const char *name)
{
    const struct stage_cluster *c = cluster_of(platform);

    (void)ns, (void)name;
    return !c || !c->may_not_write;
}

void stage_elsewhere(struct stage *stage, bool elsewhere)
{
    stage_cluster(stage);
    stage->cluster->elsewhere = elsewhere;
}

void stage_may_write(struct stage *stage, bool may)
{
    stage_cluster(stage);
    stage->cluster->may_not_write = !may;
}

/* ------------------------------------------------------------------ HorizontalPodAutoscalers */

static struct stage_hpa *hpa_find(const struct stage_cluster *c, const char *ns, const char *name)
{
    struct stage_hpa *hpa = c->hpas;

    while (hpa && (strcmp(hpa->ns, ns) != 0 || strcmp(hpa->name, name) != 0))
        hpa = hpa->next;
    return hpa;
}

static void hpa_store(struct stage_cluster *c, const char *ns, const char *name, const char *json, size_t length)
{
    struct stage_hpa *hpa = hpa_find(c, ns, name);
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *tree = NULL;
    const char *owner;

    if (!hpa) {
        hpa = mem_alloc(sizeof(*hpa));
        snprintf(hpa->ns, sizeof(hpa->ns), "%s", ns);
        snprintf(hpa->name, sizeof(hpa->name), "%s", name);
        hpa->next = c->hpas;
        c->hpas = hpa;
    }
    free(hpa->json);
    hpa->json = mem_alloc(length + 1);
    memcpy(hpa->json, json, length);
    hpa->differs = false;
    if (tree_read_json(json, length, false, arena, &tree, NULL)) {
        owner = tree_string(tree_at(tree, "metadata.ownerReferences.0.uid"));
        snprintf(hpa->owner, sizeof(hpa->owner), "%s", owner ? owner : "");
    }
    arena_free(arena);
}

static void hpa_remove(struct stage_cluster *c, const char *ns, const char *name)
{
    struct stage_hpa *hpa = hpa_find(c, ns, name);

    for (struct stage_hpa **at = &c->hpas; hpa && *at; at = &(*at)->next)
        if (*at == hpa) {
            *at = hpa->next;
            free(hpa->json);
            free(hpa);
            return;
        }
}

void stage_on_hpa_put(struct platform *platform, const char *ns, const char *name, const char *json, size_t length,
                      platform_done *done, void *arg)
{
    struct stage *stage = (struct stage *)platform;
    struct later *later = later_new(platform, ns, name, done, arg);

    later->fails = stage->fail_writes > 0;
    stage->fail_writes -= later->fails;
    if (!later->fails)
        hpa_store(stage->cluster, ns, name, json, length);
    loop_post(stage->loop, on_done, later);
}

void stage_on_hpa_delete(struct platform *platform, const char *ns, const char *name, const char *owner_uid,
                         platform_done *done, void *arg)
{
    const struct stage_hpa *hpa = hpa_find(cluster_of(platform), ns, name);

    if (hpa && strcmp(hpa->owner, owner_uid) == 0)
        hpa_remove(cluster_of(platform), ns, name);
    loop_post(((struct stage *)platform)->loop, on_done, later_new(platform, ns, name, done, arg));
}

enum lookup stage_on_hpa_view(struct platform *platform, const char *ns, const char *name, struct hpa_view *out)
{
    const struct stage_hpa *hpa = hpa_find(cluster_of(platform), ns, name);

    *out = (struct hpa_view){.exists = hpa != NULL};
    if (!hpa)
        return LOOKUP_ABSENT;
    out->owner_uid = *hpa->owner ? hpa->owner : NULL;
    out->differs = hpa->differs;
    out->scaling_active = hpa->active;
    out->reason = hpa->reason;
    out->message = hpa->message;
    return LOOKUP_FOUND;
}

const char *stage_hpa(struct stage *stage, const char *ns, const char *name)
{
    const struct stage_hpa *hpa = hpa_find(stage->cluster, ns, name);

    return hpa ? hpa->json : NULL;
}

void stage_put_hpa(struct stage *stage, const char *ns, const char *name, const char *owner_uid)
{
    char json[512];

    stage_cluster(stage);
    snprintf(json, sizeof(json), "{\"metadata\":{\"ownerReferences\":[{\"uid\":\"%s\"}]}}", owner_uid);
    hpa_store(stage->cluster, ns, name, json, strlen(json));
}

void stage_hpa_says(struct stage *stage, const char *ns, const char *name, const char *active, const char *reason,
                    const char *message)
{
    struct stage_hpa *hpa = hpa_find(stage->cluster, ns, name);

    if (hpa) {
        hpa->active = active;
        hpa->reason = reason;
        hpa->message = message;
    }
}

/* ------------------------------------------------------------------ events, data */

void stage_on_event(struct platform *platform, const char *ns, const char *kind, const char *name, bool warning,
                    const char *reason, const char *text)
{
    struct stage_cluster *c = cluster_of(platform);
    struct stage_event *event;
    char key[3 * NAME_BYTES];

    if (!c)
        return; /* nobody reads them */
    event = mem_alloc(sizeof(*event));
    snprintf(key, sizeof(key), "%s/%s/%s", kind, ns, name);
    *event = (struct stage_event){
        .key = mem_copy(key), .reason = mem_copy(reason), .text = mem_copy(text), .warning = warning};
    *c->events_end = event;
    c->events_end = &event->next;
}

size_t stage_events(const struct stage *stage, const char *key, const char *reason, const char *text)
{
    size_t count = 0;

    for (const struct stage_event *e = stage->cluster->events; e; e = e->next)
        count += (!key || strcmp(e->key, key) == 0) && (!reason || strcmp(e->reason, reason) == 0) &&
                 (!text || strstr(e->text, text));
    return count;
}

/* false: nobody said anything of it. */
bool stage_datum_find(struct platform *platform, const char *ns, const char *name, const char *key, enum lookup *found,
                      struct secret **out)
{
    const struct stage_cluster *c = cluster_of(platform);
    char place[3 * NAME_BYTES];

    snprintf(place, sizeof(place), "%s/%s/%s", ns, name, key);
    for (const struct stage_datum *d = c ? c->data : NULL; d; d = d->next) {
        if (strcmp(d->place, place) != 0)
            continue;
        *found = d->value ? LOOKUP_FOUND : LOOKUP_PENDING;
        if (d->value)
            *out = secret_new(d->value, strlen(d->value));
        return true;
    }
    return false;
}

void stage_data(struct stage *stage, const char *ns, const char *name, const char *key, const char *value)
{
    struct stage_datum *d;
    char place[3 * NAME_BYTES];

    stage_cluster(stage);
    snprintf(place, sizeof(place), "%s/%s/%s", ns, name, key);
    for (d = stage->cluster->data; d && strcmp(d->place, place) != 0;)
        d = d->next;
    if (!d) {
        d = mem_alloc(sizeof(*d));
        snprintf(d->place, sizeof(d->place), "%s", place);
        d->next = stage->cluster->data;
        stage->cluster->data = d;
    }
    free(d->value);
    d->value = value ? mem_copy(value) : NULL;
    if (value && stage->cluster->data_changed)
        stage->cluster->data_changed(stage->cluster->data_arg, ns, name);
}

void stage_on_data_change(struct platform *platform, void (*changed)(void *arg, const char *ns, const char *name),
                          void *arg)
{
    struct stage_cluster *c = cluster_of(platform);

    if (c) {
        c->data_changed = changed;
        c->data_arg = arg;
    }
}

/* ------------------------------------------------------------------ life */

void stage_cluster(struct stage *stage)
{
    if (stage->cluster)
        return;
    stage->cluster = mem_alloc(sizeof(*stage->cluster));
    stage->cluster->events_end = &stage->cluster->events;
    autoscaler_watch_cluster(stage->autoscaler);
}

void stage_cluster_free(struct stage *stage)
{
    struct stage_cluster *c = stage->cluster;

    if (!c)
        return;
    while (c->resources)
        resource_free(c, c->resources);
    while (c->hpas)
        hpa_remove(c, c->hpas->ns, c->hpas->name);
    for (struct stage_event *e = c->events, *next; e; e = next) {
        next = e->next;
        free(e->key);
        free(e->reason);
        free(e->text);
        free(e);
    }
    for (struct stage_datum *d = c->data, *next; d; d = next) {
        next = d->next;
        free(d->value);
        free(d);
    }
    free(c);
}

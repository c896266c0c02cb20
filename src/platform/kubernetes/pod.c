/*
 * pod: see pod.h. Of each pod a slim record is kept, its texts as atoms.
 *
 *     namespace -> pods by name
 *               -> buckets by "key=value", for those label keys that some selector demands
 *               -> selections, each with its bucket: who asks for the pods of a selector looks at its bucket alone
 *
 * Views are made anew when the bucket or the usage of the namespace has changed. A list that begins gives the reflector a new
 * round; what was not told in it when it is synced is gone. With more than NAMESPACES_WATCHED_MAX namespaces needed one reflector
 * watches all of them (if it may): the records stay, and count as known until the new list is there.
 *
 * Usage and requests are read as the HPA reads them (hpa-algorithm.md 6.1, 6.2): a pod in which one container lacks the figure
 * has none; restartable init containers count; requests of the pod as a whole, where it has some, go before those of its parts.
 */
#include "platform/kubernetes/pod.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/atom.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/quantity.h"
#include "base/selector.h"
#include "base/text.h"
#include "base/time.h"
#include "base/tree.h"
#include "net/loop.h"

enum {
    NAMESPACES_WATCHED_MAX = 16,      /* one by one; each is a connection's stream */
    NEEDED_MS = 10 * 60 * 1000,       /* after the last question: longer than nearly all polling intervals */
    SWEEP_PERIOD_MS = 60 * 1000,      /* who is not needed any more */
    REFUSED_AGAIN_MS = 5 * 60 * 1000, /* all namespaces at once were refused: tried again after this */
    NOTE_MAX_BYTES = 200,
};

struct pod {
    struct pod_view view; /* its texts are atoms */
    const char *conditions;
    uint64_t round;
};

struct bucket { /* pods with one label, of one value */
    struct pod **list;
    size_t count, capacity;
    uint64_t version;
};

struct pod_selection {
    struct pod_namespace *in;
    struct arena *arena; /* of the selector */
    char *text;
    struct selector *selector; /* NULL: cannot be read, see unreadable */
    struct error *unreadable;
    const char *key, *pair; /* "app" and "app=web", what it demands; NULL: nothing so simple */
    struct pod_view *views;
    size_t count;
    uint64_t version, usage_version; /* at which views were made; 0: never */
    struct kube_notice notice;
    struct pod_selection *next;
};

struct pod_namespace {
    struct pod_watches *w;
    char *name;
    struct map *pods;    /* by name */
    struct map *buckets; /* "key=value" */
    const char **keys;   /* labels the buckets are made of; atoms */
    size_t key_count;
    uint64_t version, usage_version, round;
    struct reflector *reflector;
    bool synced;
    bool unsure;             /* something of the list could not be read: what is not in it may be there */
    int64_t needed_until_ms; /* of the loop's ticks; 0: not needed */
    struct error trouble;    /* kind ERROR_NONE: none */
    struct kube_notice told; /* tells the selections */
    struct pod_selection *selections;
};

struct pod_watches {
    struct kubernetes *k;
    struct map *namespaces;
    struct reflector *all; /* instead of theirs; or NULL */
    bool all_synced, all_unsure;
    int64_t all_refused_until_ms;
    uint64_t all_round, rounds;
    size_t needed;
    struct timer *sweep;
    bool sweeping;
};

/* ------------------------------------------------------------------ reading a pod */

static enum pod_phase phase_of(const char *phase)
{
    static const char *const names[] = {
        [POD_PENDING] = "Pending", [POD_RUNNING] = "Running", [POD_SUCCEEDED] = "Succeeded", [POD_FAILED] = "Failed"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (string_equal(phase, names[i]))
            return (enum pod_phase)i;
    return phase == NULL ? POD_PENDING : POD_UNKNOWN;
}

static int64_t instant_of(const struct tree *node)
{
    const char *text = tree_string(node);
    int64_t at_ms = 0;

    return text != NULL && instant_parse(text, &at_ms) ? at_ms : 0;
}

static void read_ready(const struct tree *condition, struct pod_view *view)
{
    const char *status = tree_string(tree_get(condition, "status"));

    view->ready = string_equal(status, "True")    ? POD_READY_TRUE
                  : string_equal(status, "False") ? POD_READY_FALSE
                                                  : POD_READY_UNKNOWN;
    view->ready_at_ms = instant_of(tree_get(condition, "lastTransitionTime"));
}

static const char *read_conditions(const struct tree *conditions, struct pod_view *view)
{
    struct text held;

    text_init(&held, 4096);
    for (const struct tree *c = conditions ? conditions->first : NULL; c != NULL; c = c->next) {
        const char *type = tree_string(tree_get(c, "type"));
        if (string_equal(type, "Ready"))
            read_ready(c, view);
        if (type != NULL && string_equal(tree_string(tree_get(c, "status")), "True"))
            text_printf(&held, "%s%s|", held.length ? "" : "|", type);
    }
    const char *atom = atom_ref(held.bytes);
    text_done(&held);
    return atom;
}

static bool note_of_container(const struct tree *status, char *out, size_t size)
{
    static const char *const states[] = {"waiting", "terminated"};
    bool ready = false;

    if (tree_bool(tree_get(status, "ready"), &ready) && ready)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct tree *state = tree_get(tree_get(status, "state"), states[i]);
        const char *reason = tree_string(tree_get(state, "reason")), *message = tree_string(tree_get(state, "message"));
        const char *container = tree_string(tree_get(status, "name"));
        if (reason != NULL) {
            snprintf(out, size, "%.63s: %.63s%s%s", container ? container : "", reason, message ? ": " : "",
                     message ? message : "");
            return true;
        }
    }
    return false;
}

/* Why it is not ready: what a container waits for, else what the pod says, else why no node took it. */
static void find_note(const struct tree *status, const struct pod_view *view, char *out, size_t size)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const char *reason = tree_string(tree_get(status, "reason")), *message = tree_string(tree_get(status, "message"));
    const struct tree *conditions = tree_get(status, "conditions");

    out[0] = 0;
    if (view->ready == POD_READY_TRUE || view->phase == POD_SUCCEEDED)
        return;
    for (size_t i = 0; i < 2; i++) {
        const struct tree *list = tree_get(status, lists[i]);
        for (const struct tree *c = list ? list->first : NULL; c != NULL; c = c->next)
            if (!string_equal(tree_string(tree_at(c, "state.terminated.reason")), "Completed") &&
                note_of_container(c, out, size))
                return;
    }
    for (const struct tree *c = conditions ? conditions->first : NULL; c != NULL && reason == NULL; c = c->next)
        if (string_equal(tree_string(tree_get(c, "type")), "PodScheduled") &&
            string_equal(tree_string(tree_get(c, "status")), "False")) {
            reason = tree_string(tree_get(c, "reason"));
            message = tree_string(tree_get(c, "message"));
        }
    if (reason != NULL)
        snprintf(out, size, "%.63s%s%s", reason, message ? ": " : "", message ? message : "");
}

static bool quantity_of(const struct tree *map, const char *name, int64_t *milli)
{
    const struct tree *node = tree_get(map, name);

    return node != NULL && node->text != NULL && quantity_parse_milli(node->text, milli);
}

static int64_t add_clamped(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static bool counts_as_container(const struct tree *container, bool init)
{
    return !init || string_equal(tree_string(tree_get(container, "restartPolicy")), "Always");
}

static void sum_request(struct pod_usage *sum, const struct pod_usage *part)
{
    sum->has_request = sum->has_request && part->has_request;
    sum->request = add_clamped(sum->request, part->request);
}

static void pod_level_request(const struct tree *spec, const char *name, struct pod_usage *usage)
{
    int64_t milli;

    if (quantity_of(tree_at(spec, "resources.requests"), name, &milli)) {
        usage->has_request = true;
        usage->request = milli;
    }
}

static void read_containers(const struct tree *spec, struct pod_view *view)
{
    const struct tree *lists[] = {tree_get(spec, "containers"), tree_get(spec, "initContainers")};
    struct container_view *out = mem_array(tree_count(lists[0]) + tree_count(lists[1]) + 1, sizeof *out);
    size_t n = 0;

    view->cpu.has_request = view->memory.has_request = tree_count(lists[0]) > 0;
    for (size_t i = 0; i < 2; i++) {
        for (const struct tree *c = lists[i] ? lists[i]->first : NULL; c != NULL; c = c->next) {
            const struct tree *requests = tree_at(c, "resources.requests");
            if (!counts_as_container(c, i == 1))
                continue;
            out[n].name = atom_ref(tree_string(tree_get(c, "name")));
            out[n].cpu.has_request = quantity_of(requests, "cpu", &out[n].cpu.request);
            out[n].memory.has_request = quantity_of(requests, "memory", &out[n].memory.request);
            sum_request(&view->cpu, &out[n].cpu);
            sum_request(&view->memory, &out[n].memory);
            n++;
        }
    }
    pod_level_request(spec, "cpu", &view->cpu);
    pod_level_request(spec, "memory", &view->memory);
    view->containers = out;
    view->container_count = n;
}

static int first_port(const struct tree *spec)
{
    const struct tree *containers = tree_get(spec, "containers");
    int64_t port;

    for (const struct tree *c = containers ? containers->first : NULL; c != NULL; c = c->next)
        if (tree_integer(tree_at(c, "ports.0.containerPort"), &port) && port > 0 && port < 65536)
            return (int)port;
    return 0;
}

static int restarts_of(const struct tree *status)
{
    const struct tree *list = tree_get(status, "containerStatuses");
    int64_t sum = 0, one;

    for (const struct tree *c = list ? list->first : NULL; c != NULL; c = c->next)
        if (tree_integer(tree_get(c, "restartCount"), &one) && one > 0)
            sum = add_clamped(sum, one);
    return sum > INT32_MAX ? INT32_MAX : (int)sum;
}

static void read_labels(const struct tree *labels, struct pod_view *view)
{
    struct label *out = mem_array(tree_count(labels) + 1, sizeof *out);

    for (const struct tree *l = labels ? labels->first : NULL; l != NULL; l = l->next)
        if (tree_string(l) != NULL)
            out[view->label_count++] = (struct label){atom_ref(l->key), atom_ref(tree_string(l))};
    view->labels = out;
}

static void pod_read(struct pod *pod, const char *name, const struct tree *object)
{
    const struct tree *spec = tree_get(object, "spec"), *status = tree_get(object, "status");
    const char *host = tree_string(tree_get(status, "podIP")), *node = tree_string(tree_get(spec, "nodeName"));
    char note[NOTE_MAX_BYTES];

    pod->view = (struct pod_view){.name = atom_ref(name),
                                  .phase = phase_of(tree_string(tree_get(status, "phase"))),
                                  .deleted = tree_string(tree_at(object, "metadata.deletionTimestamp")) != NULL,
                                  .start_at_ms = instant_of(tree_get(status, "startTime")),
                                  .host = atom_ref(host ? host : ""),
                                  .port = first_port(spec),
                                  .node = atom_ref(node ? node : ""),
                                  .restarts = restarts_of(status)};
    pod->conditions = read_conditions(tree_get(status, "conditions"), &pod->view);
    read_labels(tree_at(object, "metadata.labels"), &pod->view);
    read_containers(spec, &pod->view);
    find_note(status, &pod->view, note, sizeof note);
    pod->view.note = atom_ref(note);
}

static void pod_done(struct pod *pod)
{
    struct pod_view *v = &pod->view;

    for (size_t i = 0; i < v->label_count; i++) {
        atom_unref(v->labels[i].key);
        atom_unref(v->labels[i].value);
    }
    for (size_t i = 0; i < v->container_count; i++)
        atom_unref(v->containers[i].name);
    free((void *)v->labels);
    free((void *)v->containers);
    atom_unref(v->name);
    atom_unref(v->host);
    atom_unref(v->node);
    atom_unref(v->note);
    atom_unref(pod->conditions);
}

/* ------------------------------------------------------------------ buckets */

static const char *label_value(const struct pod_view *view, const char *key)
{
    for (size_t i = 0; i < view->label_count; i++)
        if (view->labels[i].key == key || strcmp(view->labels[i].key, key) == 0)
            return view->labels[i].value;
    return NULL;
}

static struct bucket *bucket_of(struct pod_namespace *in, const struct pod *pod, const char *key, bool make)
{
    const char *value = label_value(&pod->view, key);
    char pair[512];

    if (value == NULL || snprintf(pair, sizeof pair, "%s=%s", key, value) >= (int)sizeof pair)
        return NULL; /* no selector is so long: keys have 253 + 64 bytes, values 63 */
    struct bucket *bucket = map_get(in->buckets, pair);
    if (bucket == NULL && make) {
        bucket = mem_alloc(sizeof *bucket);
        map_put(in->buckets, pair, bucket);
    }
    return bucket;
}

static void bucket_add(struct pod_namespace *in, struct bucket *bucket, struct pod *pod)
{
    if (bucket->count == bucket->capacity) {
        bucket->capacity = bucket->capacity ? bucket->capacity * 2 : 4;
        bucket->list = mem_grow(bucket->list, bucket->capacity, sizeof(struct pod *));
    }
    bucket->list[bucket->count++] = pod;
    bucket->version = ++in->version;
}

static void bucket_take(struct pod_namespace *in, struct bucket *bucket, const struct pod *pod)
{
    for (size_t i = 0; i < bucket->count; i++) {
        if (bucket->list[i] != pod)
            continue;
        bucket->list[i] = bucket->list[--bucket->count];
        break;
    }
    bucket->version = ++in->version;
}

static void index_pod(struct pod_namespace *in, struct pod *pod)
{
    in->version++;
    for (size_t i = 0; i < in->key_count; i++) {
        struct bucket *bucket = bucket_of(in, pod, in->keys[i], true);
        if (bucket != NULL)
            bucket_add(in, bucket, pod);
    }
}

static void unindex_pod(struct pod_namespace *in, struct pod *pod)
{
    in->version++;
    for (size_t i = 0; i < in->key_count; i++) {
        struct bucket *bucket = bucket_of(in, pod, in->keys[i], false);
        if (bucket != NULL)
            bucket_take(in, bucket, pod);
    }
}

static void index_key(struct pod_namespace *in, const char *key)
{
    void *value;

    for (size_t i = 0; i < in->key_count; i++)
        if (strcmp(in->keys[i], key) == 0)
            return;
    in->keys = mem_grow(in->keys, in->key_count + 1, sizeof *in->keys);
    in->keys[in->key_count++] = atom_ref(key);
    for (size_t at = 0; map_next(in->pods, &at, NULL, &value);) {
        struct bucket *bucket = bucket_of(in, value, key, true);
        if (bucket != NULL)
            bucket_add(in, bucket, value);
    }
}

/* ------------------------------------------------------------------ namespaces */

static void tell_selections(void *arg)
{
    struct pod_namespace *in = arg;

    for (struct pod_selection *s = in->selections; s != NULL; s = s->next)
        kube_notice_mark(in->w->k, &s->notice);
}

static struct pod_namespace *namespace_get(struct pod_watches *w, const char *name)
{
    struct pod_namespace *in = map_get(w->namespaces, name);

    if (in != NULL)
        return in;
    in = mem_alloc(sizeof *in);
    *in = (struct pod_namespace){.w = w,
                                 .name = mem_copy(name),
                                 .pods = map_new(),
                                 .buckets = map_new(),
                                 .version = 1,
                                 .usage_version = 1,
                                 .told = {.changed = tell_selections, .arg = in}};
    map_put(w->namespaces, name, in);
    return in;
}

static void drop_pod(struct pod_namespace *in, struct pod *pod)
{
    unindex_pod(in, pod);
    map_remove(in->pods, pod->view.name);
    pod_done(pod);
    free(pod);
}

/* Only pods told in this round are left. */
static void keep_round(struct pod_namespace *in, uint64_t round)
{
    void *value;

    for (size_t at = 0; map_next(in->pods, &at, NULL, &value);)
        if (((struct pod *)value)->round != round)
            drop_pod(in, value);
}

static void namespace_empty(struct pod_namespace *in)
{
    reflector_free(in->reflector);
    in->reflector = NULL;
    in->synced = false;
    in->trouble = (struct error){0};
    keep_round(in, UINT64_MAX);
}

static void namespace_free(struct pod_namespace *in)
{
    const char *key;
    void *value;

    assert(in->selections == NULL);
    namespace_empty(in);
    kube_notice_forget(in->w->k, &in->told);
    for (size_t at = 0; map_next(in->buckets, &at, &key, &value);) {
        free(((struct bucket *)value)->list);
        free(value);
    }
    for (size_t i = 0; i < in->key_count; i++)
        atom_unref(in->keys[i]);
    free(in->keys);
    map_free(in->buckets);
    map_free(in->pods);
    map_remove(in->w->namespaces, in->name);
    free(in->name);
    free(in);
}

/* A pod that is read anew keeps what is known of its usage: that comes from elsewhere. */
static void keep_usage(struct pod_view *now, const struct pod_view *before)
{
    struct pod_usage *const to[] = {&now->cpu, &now->memory};
    const struct pod_usage *const from[] = {&before->cpu, &before->memory};

    for (size_t i = 0; i < 2; i++) {
        to[i]->has_usage = from[i]->has_usage;
        to[i]->usage = from[i]->usage;
        to[i]->at_ms = from[i]->at_ms;
        to[i]->window_ms = from[i]->window_ms;
    }
}

static void keep_container_usage(struct pod_view *now, const struct pod_view *before)
{
    struct container_view *list = (struct container_view *)now->containers;

    for (size_t i = 0; i < now->container_count; i++) {
        for (size_t j = 0; j < before->container_count; j++) {
            struct pod_view to = {.cpu = list[i].cpu, .memory = list[i].memory};
            struct pod_view from = {.cpu = before->containers[j].cpu, .memory = before->containers[j].memory};
            if (list[i].name != before->containers[j].name)
                continue;
            keep_usage(&to, &from);
            list[i].cpu = to.cpu;
            list[i].memory = to.memory;
        }
    }
}

static void take_pod(struct pod_namespace *in, const char *name, const struct tree *object, uint64_t round)
{
    struct pod *pod = map_get(in->pods, name);

    if (pod == NULL) {
        pod = mem_alloc(sizeof *pod);
        pod_read(pod, name, object);
        map_put(in->pods, name, pod);
    } else {
        struct pod before = *pod;
        unindex_pod(in, pod);
        pod_read(pod, name, object);
        keep_usage(&pod->view, &before.view);
        keep_container_usage(&pod->view, &before.view);
        pod_done(&before);
    }
    pod->round = round;
    index_pod(in, pod);
}

/* Too large to be read, not gone: what was known of it stands, and of one that was not, only labels are. */
static void keep_pod(struct pod_namespace *in, const char *name, const struct tree *metadata, uint64_t round)
{
    struct pod *pod = map_get(in->pods, name);

    if (pod != NULL)
        pod->round = round;
    else
        take_pod(in, name, metadata, round);
}

/* ------------------------------------------------------------------ watching one namespace */

static void on_begin(void *arg)
{
    struct pod_namespace *in = arg;

    in->round = ++in->w->rounds;
    in->unsure = false;
}

static void on_item(void *arg, const struct tree *object)
{
    struct pod_namespace *in = arg;
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    if (meta.name[0] != 0)
        take_pod(in, meta.name, object, in->round);
}

static void on_kept(void *arg, const struct tree *metadata)
{
    struct pod_namespace *in = arg;
    struct kube_meta meta;

    in->unsure |= metadata == NULL;
    kube_meta_read(metadata, &meta);
    if (meta.name[0] != 0)
        keep_pod(in, meta.name, metadata, in->round);
}

static void on_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct pod_namespace *in = arg;
    struct pod *pod = map_get(in->pods, name);

    (void)ns;
    (void)last;
    if (pod != NULL)
        drop_pod(in, pod);
}

static void on_synced(void *arg)
{
    struct pod_namespace *in = arg;

    if (!in->unsure)
        keep_round(in, in->round);
    in->synced = true;
    in->trouble = (struct error){0};
    kube_notice_mark(in->w->k, &in->told);
}

static void on_trouble(void *arg, const struct error *err)
{
    struct pod_namespace *in = arg;

    in->trouble = err ? *err : (struct error){0};
    kube_notice_mark(in->w->k, &in->told);
}

static void watch_namespace(struct pod_namespace *in)
{
    struct text path;

    text_init(&path, HTTP_URL_MAX_BYTES);
    kube_path(&path, "", "v1", in->name, "pods", NULL, NULL);
    in->reflector = reflector_new(in->w->k->kube, &(struct reflector_options){.path = path.bytes,
                                                                              .begin = on_begin,
                                                                              .item = on_item,
                                                                              .gone = on_gone,
                                                                              .kept = on_kept,
                                                                              .synced = on_synced,
                                                                              .trouble = on_trouble,
                                                                              .arg = in});
    text_done(&path);
}

/* ------------------------------------------------------------------ watching all */

static void on_all_begin(void *arg)
{
    struct pod_watches *w = arg;

    w->all_round = ++w->rounds;
    w->all_unsure = false;
}

static void on_all_item(void *arg, const struct tree *object)
{
    struct pod_watches *w = arg;
    struct kube_meta meta;

    kube_meta_read(object, &meta);
    if (meta.ns[0] != 0 && meta.name[0] != 0)
        take_pod(namespace_get(w, meta.ns), meta.name, object, w->all_round);
}

static void on_all_kept(void *arg, const struct tree *metadata)
{
    struct pod_watches *w = arg;
    struct kube_meta meta;

    w->all_unsure |= metadata == NULL;
    kube_meta_read(metadata, &meta);
    if (meta.ns[0] != 0 && meta.name[0] != 0)
        keep_pod(namespace_get(w, meta.ns), meta.name, metadata, w->all_round);
}

static void on_all_gone(void *arg, const char *ns, const char *name, const struct tree *last)
{
    struct pod_watches *w = arg;
    struct pod_namespace *in = map_get(w->namespaces, ns);

    if (in != NULL)
        on_gone(in, ns, name, last);
}

static void on_all_synced(void *arg)
{
    struct pod_watches *w = arg;
    void *value;

    w->all_synced = true;
    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
        struct pod_namespace *in = value;
        if (!w->all_unsure)
            keep_round(in, w->all_round);
        in->synced = true;
        in->trouble = (struct error){0};
        kube_notice_mark(w->k, &in->told);
    }
}

/* Where all at once may not be watched, each namespace by itself perhaps may. */
static void on_all_trouble(void *arg, const struct error *err)
{
    struct pod_watches *w = arg;
    void *value;

    if (err != NULL && err->kind == ERROR_DENIED) {
        reflector_free(w->all);
        w->all = NULL;
        w->all_synced = false;
        w->all_refused_until_ms = loop_ticks_ms(w->k->loop) + REFUSED_AGAIN_MS;
        for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
            struct pod_namespace *in = value;
            if (in->needed_until_ms != 0 && in->reflector == NULL)
                watch_namespace(in);
        }
        return;
    }
    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
        struct pod_namespace *in = value;
        in->trouble = err ? *err : (struct error){0};
        kube_notice_mark(w->k, &in->told);
    }
}

static void watch_all(struct pod_watches *w)
{
    void *value;

    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
        struct pod_namespace *in = value; /* its pods stay, and count until all were listed */
        reflector_free(in->reflector);
        in->reflector = NULL;
    }
    w->all = reflector_new(w->k->kube, &(struct reflector_options){.path = "/api/v1/pods",
                                                                   .begin = on_all_begin,
                                                                   .item = on_all_item,
                                                                   .gone = on_all_gone,
                                                                   .kept = on_all_kept,
                                                                   .synced = on_all_synced,
                                                                   .trouble = on_all_trouble,
                                                                   .arg = w});
}

/* ------------------------------------------------------------------ need */

static void end_need(struct pod_namespace *in)
{
    in->needed_until_ms = 0;
    in->w->needed--;
    if (in->w->all != NULL)
        return;
    namespace_empty(in);
    if (in->selections == NULL)
        namespace_free(in);
}

static void end_all(struct pod_watches *w)
{
    void *value;

    reflector_free(w->all);
    w->all = NULL;
    w->all_synced = false;
    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
        struct pod_namespace *in = value;
        namespace_empty(in);
        if (in->selections == NULL)
            namespace_free(in);
    }
}

static void on_sweep(void *arg)
{
    struct pod_watches *w = arg;
    int64_t now_ms = loop_ticks_ms(w->k->loop);
    void *value;

    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);) {
        struct pod_namespace *in = value;
        if (in->needed_until_ms != 0 && in->needed_until_ms < now_ms)
            end_need(in);
    }
    if (w->all != NULL && w->needed == 0)
        end_all(w);
    w->sweeping = w->needed > 0;
    if (w->sweeping)
        loop_timer_set(w->sweep, SWEEP_PERIOD_MS);
}

static void begin_watch(struct pod_namespace *in)
{
    struct pod_watches *w = in->w;

    if (w->all != NULL) {
        in->synced = w->all_synced;
        return;
    }
    if (w->needed > NAMESPACES_WATCHED_MAX && w->k->namespace_count == 0 &&
        loop_ticks_ms(w->k->loop) >= w->all_refused_until_ms)
        watch_all(w);
    else
        watch_namespace(in);
}

static void need(struct pod_namespace *in)
{
    struct pod_watches *w = in->w;
    bool fresh = in->needed_until_ms == 0;

    in->needed_until_ms = loop_ticks_ms(w->k->loop) + NEEDED_MS;
    if (!fresh)
        return;
    w->needed++;
    begin_watch(in);
    if (!w->sweeping)
        loop_timer_set(w->sweep, SWEEP_PERIOD_MS);
    w->sweeping = true;
}

static enum lookup known(const struct pod_namespace *in, struct error *err)
{
    if (in->synced && in->trouble.kind != ERROR_DENIED)
        return LOOKUP_FOUND; /* also while the watch is interrupted: the last that was seen */
    if (in->trouble.kind == ERROR_NONE) {
        error_set(err, ERROR_UNREACHABLE, "the pods of namespace %s are being listed", in->name);
        return LOOKUP_PENDING;
    }
    if (err != NULL)
        *err = in->trouble;
    return in->trouble.kind == ERROR_DENIED ? LOOKUP_DENIED : LOOKUP_PENDING;
}

/* ------------------------------------------------------------------ selections */

/* The first "key=value" of a selector's text, for the index. Those with "in", "!" and the like begin otherwise or have blanks. */
static void find_pair(struct pod_selection *s)
{
    const char *at = s->text;

    while (*at != 0) {
        size_t length = strcspn(at, ","), key = strcspn(at, "=");
        bool simple = key > 0 && key < length && strcspn(at, " !()<>") >= length;
        const char *value = at + key + (simple && at[key + 1] == '=' ? 2 : 1);
        if (simple && value <= at + length) {
            s->key = arena_copy_bytes(s->arena, at, key);
            s->pair = arena_printf(s->arena, "%s=%.*s", s->key, (int)(at + length - value), value);
            return;
        }
        if (strcspn(at, "(") < length)
            return; /* commas in brackets */
        at += length + (at[length] == ',');
    }
}

struct pod_selection *pod_selection_new(struct kubernetes *k, const char *ns, const char *selector,
                                        platform_changed *changed, void *arg)
{
    struct pod_selection *s = mem_alloc(sizeof *s);
    struct error err;

    s->in = namespace_get(k->pods, ns);
    s->arena = arena_new(ARENA_SMALL);
    s->text = mem_copy(selector);
    s->notice = (struct kube_notice){.changed = changed, .arg = arg};
    if (!selector_parse(selector, s->arena, &s->selector, &err)) {
        s->unreadable = mem_alloc(sizeof err);
        *s->unreadable = err;
        error_add_place(s->unreadable, "%s selector %.60s", ns, selector);
        s->selector = NULL;
    }
    find_pair(s);
    if (s->key != NULL)
        index_key(s->in, s->key);
    s->next = s->in->selections;
    s->in->selections = s;
    return s;
}

void pod_selection_free(struct pod_selection *s)
{
    if (s == NULL)
        return;
    for (struct pod_selection **at = &s->in->selections; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    kube_notice_forget(s->in->w->k, &s->notice);
    if (s->in->selections == NULL && s->in->needed_until_ms == 0 && s->in->w->all == NULL)
        namespace_free(s->in);
    arena_free(s->arena);
    free(s->unreadable);
    free(s->views);
    free(s->text);
    free(s);
}

void pod_selection_need(struct pod_selection *s)
{
    need(s->in);
}

const char *pod_selection_namespace(const struct pod_selection *s)
{
    return s->in->name;
}

const char *pod_selection_text(const struct pod_selection *s)
{
    return s->text;
}

enum lookup pod_selection_known(struct pod_selection *s, struct error *err)
{
    if (s->unreadable == NULL)
        return known(s->in, err);
    if (err != NULL)
        *err = *s->unreadable;
    return LOOKUP_ABSENT;
}

static void consider(struct pod_selection *s, const struct pod *pod, size_t *capacity)
{
    if (!selector_matches(s->selector, pod->view.labels, pod->view.label_count))
        return;
    if (s->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 4;
        s->views = mem_grow(s->views, *capacity, sizeof *s->views);
    }
    s->views[s->count++] = pod->view;
}

static void make_views(struct pod_selection *s, const struct bucket *bucket)
{
    size_t capacity = 0;
    void *value;

    free(s->views);
    s->views = NULL;
    s->count = 0;
    if (s->key != NULL) {
        for (size_t i = 0; bucket != NULL && i < bucket->count; i++)
            consider(s, bucket->list[i], &capacity);
        return;
    }
    for (size_t at = 0; map_next(s->in->pods, &at, NULL, &value);)
        consider(s, value, &capacity);
}

size_t pod_selection_views(struct pod_selection *s, const struct pod_view **out)
{
    const struct bucket *bucket = s->key ? map_get(s->in->buckets, s->pair) : NULL;
    uint64_t version = s->key == NULL ? s->in->version : bucket ? bucket->version : 1;

    if (s->selector != NULL && (s->version != version || s->usage_version != s->in->usage_version)) {
        make_views(s, bucket);
        s->version = version;
        s->usage_version = s->in->usage_version;
    }
    *out = s->views;
    return s->count;
}

/* ------------------------------------------------------------------ pods of a namespace */

enum lookup kubernetes_pods_known(struct platform *platform, const char *ns, struct error *err)
{
    struct pod_namespace *in = namespace_get(kubernetes_of(platform)->pods, ns);

    need(in);
    return known(in, err);
}

size_t kubernetes_pods(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                       const struct pod_view ***out)
{
    struct pod_namespace *in = namespace_get(kubernetes_of(platform)->pods, ns);
    size_t count = 0;
    void *value;

    need(in);
    *out = arena_array(arena, map_count(in->pods) + 1, sizeof(struct pod_view *));
    for (size_t at = 0; map_next(in->pods, &at, NULL, &value);) {
        const struct pod *pod = value;
        if (selector == NULL || selector_matches(selector, pod->view.labels, pod->view.label_count))
            (*out)[count++] = &pod->view;
    }
    return count;
}

const char *pod_conditions(struct kubernetes *k, const char *ns, const char *name)
{
    const struct pod_namespace *in = map_get(k->pods->namespaces, ns);
    const struct pod *pod = in ? map_get(in->pods, name) : NULL;

    return pod ? pod->conditions : "";
}

void pods_tell(struct kubernetes *k, const char *ns)
{
    struct pod_namespace *in = map_get(k->pods->namespaces, ns);

    if (in != NULL)
        kube_notice_mark(k, &in->told);
}

/* ------------------------------------------------------------------ usage */

static void clear_usage(struct pod *pod)
{
    struct container_view *list = (struct container_view *)pod->view.containers;

    pod->view.cpu.has_usage = pod->view.memory.has_usage = false;
    for (size_t i = 0; i < pod->view.container_count; i++)
        list[i].cpu.has_usage = list[i].memory.has_usage = false;
}

void pods_usage_clear(struct kubernetes *k, const char *ns, struct pod_selection *selection)
{
    struct pod_namespace *in = map_get(k->pods->namespaces, ns);
    const struct pod_view *views;
    void *value;

    if (in == NULL)
        return;
    in->usage_version++;
    if (selection == NULL) {
        for (size_t at = 0; map_next(in->pods, &at, NULL, &value);)
            clear_usage(value);
        return;
    }
    size_t count = pod_selection_views(selection, &views);
    for (size_t i = 0; i < count; i++) {
        struct pod *pod = map_get(in->pods, views[i].name);
        if (pod != NULL)
            clear_usage(pod);
    }
    in->usage_version++; /* the views were just made with the old */
}

static void set_usage(struct pod_usage *usage, int64_t milli, const struct pod_usage_item *item)
{
    usage->has_usage = true;
    usage->usage = milli;
    usage->at_ms = item->at_ms;
    usage->window_ms = item->window_ms;
}

/* One resource of all containers of an item. */
static void set_resource(struct pod *pod, const struct pod_usage_item *item, bool cpu)
{
    struct container_view *list = (struct container_view *)pod->view.containers;
    bool whole = tree_count(item->containers) > 0;
    int64_t sum = 0, milli;

    for (const struct tree *c = item->containers ? item->containers->first : NULL; c != NULL; c = c->next) {
        const char *name = tree_string(tree_get(c, "name"));
        if (!quantity_of(tree_get(c, "usage"), cpu ? "cpu" : "memory", &milli)) {
            whole = false;
            continue;
        }
        sum = add_clamped(sum, milli);
        for (size_t i = 0; i < pod->view.container_count; i++)
            if (string_equal(list[i].name, name))
                set_usage(cpu ? &list[i].cpu : &list[i].memory, milli, item);
    }
    if (whole)
        set_usage(cpu ? &pod->view.cpu : &pod->view.memory, sum, item);
}

void pods_usage_set(struct kubernetes *k, const char *ns, const struct pod_usage_item *item)
{
    struct pod_namespace *in = map_get(k->pods->namespaces, ns);
    struct pod *pod = in ? map_get(in->pods, item->name) : NULL;

    if (pod == NULL)
        return;
    set_resource(pod, item, true);
    set_resource(pod, item, false);
    in->usage_version++;
}

/* ------------------------------------------------------------------ birth and end */

struct pod_watches *kubernetes_pods_new(struct kubernetes *k)
{
    struct pod_watches *w = mem_alloc(sizeof *w);

    w->k = k;
    w->namespaces = map_new();
    w->sweep = loop_timer_new(k->loop, on_sweep, w);
    return w;
}

void kubernetes_pods_free(struct pod_watches *w)
{
    void *value;

    if (w == NULL)
        return;
    reflector_free(w->all);
    w->all = NULL;
    for (size_t at = 0; map_next(w->namespaces, &at, NULL, &value);)
        namespace_free(value);
    map_free(w->namespaces);
    loop_timer_free(w->sweep);
    free(w);
}

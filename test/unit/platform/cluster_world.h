/*
 * cluster_world: a small API server on the virtual transport, and the platform that is a cluster on it.
 *
 * Objects are jansson values in a list; every change gets the next resourceVersion and is kept as a watch event, so that a watch
 * from any version is answered as the real one does. It knows equality selectors, merge patches, the status subresource, conflicts
 * by resourceVersion, what autoscaling/v2 fills in of a behavior, and who wrote which label. Every request is written down.
 */
#ifndef CLUSTER_WORLD_H
#define CLUSTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/time.h"
#include "net/loop.h"
#include "platform/kubernetes/client.h"
#include "platform/kubernetes/kubernetes.h"
#include "platform/platform.h"
#include "sim/virtual.h"

enum { OBJECTS = 8192, CHANGES = 16384, WATCHES = 64, REQUESTS = 32768, FAULTS = 16, KW_START = 1000000 };

struct kw_place { /* of a path */
    char group[100], ns[100], plural[100], name[260], sub[20];
};
struct kw_object {
    struct kw_place place;
    json_t *value;
};
struct kw_change {
    struct kw_place place;
    int version;
    const char *type;
    json_t *value;
};
struct kw_watch {
    struct kw_place place;
    char label[200], field[300];
    struct virtual_body *body;
};
struct kw_fault { /* the next `times` requests whose line begins so get this status */
    char begins[300];
    int status, times;
};
struct kube_world {
    struct virtual_world *world;
    struct platform *platform;
    struct kw_object objects[OBJECTS];
    size_t object_count;
    struct kw_change changes[CHANGES];
    size_t change_count;
    struct kw_watch watches[WATCHES];
    size_t watch_count;
    char *requests[REQUESTS]; /* "PATCH /apis/... BODY" */
    size_t request_count;
    struct kw_fault faults[FAULTS];
    size_t fault_count;
    int version;
    char said[16 * 1024];
    char reply[4 * 1024 * 1024];
};

/* ---- paths ---- */
static inline void kw_unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in != 0; in++, out++) {
        unsigned value;
        if (*in == '%' && sscanf(in + 1, "%2x", &value) == 1) {
            *out = (char)value;
            in += 2;
        } else {
            *out = *in;
        }
    }
    *out = 0;
}

static inline void kw_query(const char *url, const char *key, char *out, size_t size)
{
    const char *at = strchr(url, '?');

    out[0] = 0;
    while (at != NULL) {
        at++;
        size_t length = strlen(key);
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            snprintf(out, size, "%.*s", (int)strcspn(at + length + 1, "&"), at + length + 1);
            kw_unescape(out);
        }
        at = strchr(at, '&');
    }
}

static inline struct kw_place kw_parse(const char *url)
{
    struct kw_place p = {0};
    char path[1000], *parts[12] = {0}, *save = NULL;
    size_t count = 0, at;

    snprintf(path, sizeof path, "%.*s", (int)strcspn(url, "?"), url);
    for (char *part = strtok_r(path, "/", &save); part != NULL && count < 12; part = strtok_r(NULL, "/", &save))
        parts[count++] = part;
    at = strcmp(parts[0], "api") == 0 ? 2 : 3;
    if (at == 2)
        snprintf(p.group, sizeof p.group, "core");
    else
        snprintf(p.group, sizeof p.group, "%s", parts[1]);
    if (count > at + 2 && strcmp(parts[at], "namespaces") == 0) {
        snprintf(p.ns, sizeof p.ns, "%s", parts[at + 1]);
        at += 2;
    }
    snprintf(p.plural, sizeof p.plural, "%s", parts[at] ? parts[at] : "");
    if (count > at + 1)
        snprintf(p.name, sizeof p.name, "%s", parts[at + 1]);
    if (count > at + 2)
        snprintf(p.sub, sizeof p.sub, "%s", parts[at + 2]);
    kw_unescape(p.name);
    return p;
}

static inline bool kw_in(const struct kw_place *collection, const struct kw_place *object)
{
    return strcmp(collection->group, object->group) == 0 && strcmp(collection->plural, object->plural) == 0 &&
           (collection->ns[0] == 0 || strcmp(collection->ns, object->ns) == 0);
}

/* One of "key=value", "key!=value", "key". */
static inline bool kw_meets(const json_t *labels, const char *requirement, size_t length)
{
    char key[300];
    size_t key_length = strcspn(requirement, "!=,");

    snprintf(key, sizeof key, "%.*s", (int)key_length, requirement);
    const char *have = json_string_value(json_object_get(labels, key));
    if (key_length >= length)
        return have != NULL;
    bool negative = requirement[key_length] == '!';
    size_t before = key_length + (negative ? 2 : 1);
    bool same =
        have != NULL && strlen(have) == length - before && strncmp(have, requirement + before, strlen(have)) == 0;
    return same != negative;
}

static inline bool kw_selected(const struct kw_watch *w, const struct kw_place *place, const json_t *value)
{
    char pair[300];

    if (!kw_in(&w->place, place))
        return false;
    if (w->field[0] != 0) {
        snprintf(pair, sizeof pair, "metadata.name=%s", place->name);
        return strcmp(pair, w->field) == 0;
    }
    const json_t *labels = json_object_get(json_object_get(value, "metadata"), "labels");
    for (const char *at = w->label; *at != 0;) {
        size_t length = strcspn(at, ",");
        if (!kw_meets(labels, at, length))
            return false;
        at += length + (at[length] == ',');
    }
    return true;
}

/* ---- the store ---- */
static inline struct kw_object *kw_find(struct kube_world *kw, const struct kw_place *p)
{
    for (size_t i = 0; i < kw->object_count; i++) {
        const struct kw_place *o = &kw->objects[i].place;
        if (kw_in(p, o) && strcmp(o->ns, p->ns) == 0 && strcmp(o->name, p->name) == 0)
            return &kw->objects[i];
    }
    return NULL;
}

static inline void kw_change(struct kube_world *kw, const char *type, const struct kw_place *place, json_t *value)
{
    char version[20];
    struct kw_change *c = &kw->changes[kw->change_count++];

    assert_true(kw->change_count < CHANGES);
    snprintf(version, sizeof version, "%d", ++kw->version);
    json_object_set_new(json_object_get(value, "metadata"), "resourceVersion", json_string(version));
    *c = (struct kw_change){.place = *place, .version = kw->version, .type = type, .value = json_deep_copy(value)};
    char *text = json_dumps(value, JSON_COMPACT);
    for (size_t i = 0; i < kw->watch_count; i++) {
        struct kw_watch *w = &kw->watches[i];
        char line[64];
        if (w->body == NULL || !kw_selected(w, place, value))
            continue;
        int length = snprintf(line, sizeof line, "{\"type\":\"%s\",\"object\":", type);
        virtual_body_say(w->body, line, (size_t)length, 0);
        virtual_body_say(w->body, text, strlen(text), 0);
        virtual_body_say(w->body, "}\n", 2, 0);
    }
    free(text);
}

static inline void kw_default(json_t *rules, bool up)
{
    if (rules == NULL)
        return;
    if (up && json_object_get(rules, "stabilizationWindowSeconds") == NULL)
        json_object_set_new(rules, "stabilizationWindowSeconds", json_integer(0));
    if (json_object_get(rules, "selectPolicy") == NULL)
        json_object_set_new(rules, "selectPolicy", json_string("Max"));
    if (json_object_get(rules, "policies") == NULL)
        json_object_set_new(rules, "policies",
                            up ? json_pack("[{s:s,s:i,s:i},{s:s,s:i,s:i}]", "type", "Pods", "value", 4, "periodSeconds",
                                           15, "type", "Percent", "value", 100, "periodSeconds", 15)
                               : json_pack("[{s:s,s:i,s:i}]", "type", "Percent", "value", 100, "periodSeconds", 15));
}

/* What the real one does to what is stored. */
static inline void kw_admit(const struct kw_place *p, json_t *value, const char *manager)
{
    json_t *behavior = json_object_get(json_object_get(value, "spec"), "behavior"),
           *meta = json_object_get(value, "metadata");

    if (strcmp(p->plural, "horizontalpodautoscalers") == 0 && behavior != NULL) {
        if (json_object_get(behavior, "scaleUp") == NULL)
            json_object_set_new(behavior, "scaleUp", json_object());
        if (json_object_get(behavior, "scaleDown") == NULL)
            json_object_set_new(behavior, "scaleDown", json_object());
        kw_default(json_object_get(behavior, "scaleUp"), true);
        kw_default(json_object_get(behavior, "scaleDown"), false);
    }
    if (manager[0] != 0) {
        json_t *labels = json_object(), *have = json_object_get(meta, "labels"), *each;
        const char *key;
        json_object_foreach(have, key, each)
        {
            char field[200];
            snprintf(field, sizeof field, "f:%s", key);
            json_object_set_new(labels, field, json_object());
        }
        json_object_set_new(
            meta, "managedFields",
            json_pack("[{s:s,s:{s:{s:o}}}]", "manager", manager, "fieldsV1", "f:metadata", "f:labels", labels));
    }
    json_object_set_new(meta, "namespace", json_string(p->ns));
}

static inline json_t *kw_merge(json_t *target, json_t *patch)
{
    const char *key;
    json_t *value;

    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *out = json_is_object(target) ? json_deep_copy(target) : json_object();
    json_object_foreach(patch, key, value)
    {
        if (json_is_null(value))
            json_object_del(out, key);
        else
            json_object_set_new(out, key, kw_merge(json_object_get(out, key), value));
    }
    return out;
}

/* From outside: what other people and controllers do. */
static inline void kw_put(struct kube_world *kw, const char *path, const char *json)
{
    struct kw_place p = kw_parse(path);
    struct kw_object *o = kw_find(kw, &p);
    json_t *value = json_loads(json, 0, NULL);

    assert_non_null(value);
    if (json_object_get(value, "metadata") == NULL)
        json_object_set_new(value, "metadata", json_object());
    json_t *meta = json_object_get(value, "metadata");
    json_object_set_new(meta, "name", json_string(p.name));
    if (p.ns[0] != 0)
        json_object_set_new(meta, "namespace", json_string(p.ns));
    if (json_object_get(meta, "uid") == NULL) {
        char uid[64];
        json_t *old = o ? json_object_get(json_object_get(o->value, "metadata"), "uid") : NULL;
        snprintf(uid, sizeof uid, "uid-%d", kw->version + 1);
        json_object_set_new(meta, "uid", old ? json_deep_copy(old) : json_string(uid));
    }
    if (o == NULL) {
        assert_true(kw->object_count < OBJECTS);
        o = &kw->objects[kw->object_count++];
        *o = (struct kw_object){.place = p, .value = value};
        kw_change(kw, "ADDED", &p, value);
        return;
    }
    json_decref(o->value);
    o->value = value;
    kw_change(kw, "MODIFIED", &p, value);
}

static inline void kw_merge_into(struct kube_world *kw, const char *path, const char *patch)
{
    struct kw_place p = kw_parse(path);
    struct kw_object *o = kw_find(kw, &p);
    json_t *read = json_loads(patch, 0, NULL);

    assert_non_null(o);
    json_t *value = kw_merge(o->value, read);
    json_decref(read);
    json_decref(o->value);
    o->value = value;
    kw_change(kw, "MODIFIED", &p, value);
}

static inline void kw_delete(struct kube_world *kw, const char *path)
{
    struct kw_place p = kw_parse(path);
    struct kw_object *o = kw_find(kw, &p);

    assert_non_null(o);
    json_t *value = o->value;
    *o = kw->objects[--kw->object_count];
    kw_change(kw, "DELETED", &p, value);
    json_decref(value);
}

static inline json_t *kw_get(struct kube_world *kw, const char *path)
{
    struct kw_place p = kw_parse(path);
    struct kw_object *o = kw_find(kw, &p);

    return o ? o->value : NULL;
}

/* An object that is nested too deep to be read, between two texts. */
static inline void kw_nest(char *out, size_t size, const char *before, const char *after)
{
    size_t at = (size_t)snprintf(out, size, "%s", before);

    for (int i = 0; i < TREE_DEPTH_MAX + 20; i++)
        at += (size_t)snprintf(out + at, size - at, "[");
    for (int i = 0; i < TREE_DEPTH_MAX + 20; i++)
        at += (size_t)snprintf(out + at, size - at, "]");
    snprintf(out + at, size - at, "%s", after);
}

/* The watches of a resource are told that they are too old. */
static inline void kw_list_anew(struct kube_world *kw, const char *plural)
{
    static const char too_old[] = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n";

    for (size_t i = 0; i < kw->watch_count; i++)
        if (kw->watches[i].body != NULL && strcmp(kw->watches[i].place.plural, plural) == 0)
            virtual_body_say(kw->watches[i].body, too_old, strlen(too_old), 0);
    virtual_run_until(kw->world, loop_ticks_ms(virtual_loop(kw->world)) + 60 * 1000);
}

/* ---- answering ---- */
static inline void kw_say(struct kube_world *kw, struct virtual_reply *reply, int status, const json_t *value,
                          const char *reason)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

    if (text != NULL)
        snprintf(kw->reply, sizeof kw->reply, "%s", text);
    else
        snprintf(kw->reply, sizeof kw->reply,
                 "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"%s\",\"message\":\"%s\",\"code\":%d}",
                 reason, reason, status);
    free(text);
    reply->status = status;
    reply->content_type = "application/json";
    reply->body = kw->reply;
}

static inline void kw_list(struct kube_world *kw, const struct kw_watch *w, struct virtual_reply *reply)
{
    json_t *items = json_array();
    char version[20];

    snprintf(version, sizeof version, "%d", kw->version);
    for (size_t i = 0; i < kw->object_count; i++) {
        if (kw_selected(w, &kw->objects[i].place, kw->objects[i].value))
            json_array_append(items, kw->objects[i].value);
    }
    json_t *list =
        json_pack("{s:s,s:{s:s},s:o}", "kind", "List", "metadata", "resourceVersion", version, "items", items);
    kw_say(kw, reply, 200, list, "");
    json_decref(list);
}

static inline void kw_open(struct kube_world *kw, const struct kw_watch *w, const char *url,
                           struct virtual_reply *reply)
{
    char version[40];
    size_t at = 0, slot = kw->watch_count;

    for (size_t i = 0; i < kw->watch_count; i++) {
        if (kw->watches[i].body == NULL)
            slot = i;
    }
    assert_true(slot < WATCHES);
    kw->watch_count += slot == kw->watch_count;
    kw->watches[slot] = *w;
    kw_query(url, "resourceVersion", version, sizeof version);
    kw->reply[0] = 0;
    for (size_t i = 0; i < kw->change_count; i++) {
        const struct kw_change *c = &kw->changes[i];
        if (c->version <= atoi(version) || !kw_selected(w, &c->place, c->value))
            continue;
        char *text = json_dumps(c->value, JSON_COMPACT);
        at +=
            (size_t)snprintf(kw->reply + at, sizeof kw->reply - at, "{\"type\":\"%s\",\"object\":%s}\n", c->type, text);
        free(text);
    }
    reply->status = 200;
    reply->content_type = "application/json";
    reply->body = kw->reply;
    reply->open = &kw->watches[slot].body;
}

/* A token of a service account, for half of the time that was asked for. */
static inline void kw_token(struct kube_world *kw, bool there, const json_t *body, struct virtual_reply *reply)
{
    int64_t now_ms = loop_now_ms(virtual_loop(kw->world));
    json_int_t seconds = json_integer_value(json_object_get(json_object_get(body, "spec"), "expirationSeconds"));
    char ends[40];
    json_t *said;

    instant_format(now_ms + (int64_t)seconds * 500, ends, sizeof ends);
    said = json_pack("{s:{s:s,s:s}}", "status", "token", "t0ken", "expirationTimestamp", ends);
    kw_say(kw, reply, there ? 201 : 404, there ? said : NULL, "NotFound");
    json_decref(said);
}

static inline void kw_write(struct kube_world *kw, const struct http_request *r, struct kw_place p,
                            struct virtual_reply *reply)
{
    struct kw_object *o = p.name[0] != 0 ? kw_find(kw, &p) : NULL;
    json_t *body = r->body_length > 0 ? json_loadb(r->body, r->body_length, 0, NULL) : NULL;
    char manager[40];

    kw_query(r->url, "fieldManager", manager, sizeof manager);
    assert_true(body != NULL || strcmp(r->method, "DELETE") == 0);
    if (strcmp(r->method, "POST") == 0 && strcmp(p.sub, "token") == 0) {
        kw_token(kw, o != NULL, body, reply);
    } else if (strcmp(r->method, "POST") == 0) {
        snprintf(p.name, sizeof p.name, "%s",
                 json_string_value(json_object_get(json_object_get(body, "metadata"), "name")));
        if (kw_find(kw, &p) != NULL) {
            kw_say(kw, reply, 409, NULL, "AlreadyExists");
        } else {
            char path[600], *text;
            kw_admit(&p, body, manager);
            text = json_dumps(body, 0);
            snprintf(path, sizeof path, "/apis/%s/v1/namespaces/%s/%s/%s", p.group, p.ns, p.plural, p.name);
            kw_put(kw, path, text);
            free(text);
            kw_say(kw, reply, 201, kw_find(kw, &p)->value, "");
        }
    } else if (o == NULL) {
        kw_say(kw, reply, 404, NULL, "NotFound");
    } else if (strcmp(r->method, "DELETE") == 0) {
        json_t *value = o->value;
        *o = kw->objects[--kw->object_count];
        kw_change(kw, "DELETED", &p, value);
        kw_say(kw, reply, 200, value, "");
        json_decref(value);
    } else {
        json_t *meta = json_object_get(o->value, "metadata");
        json_t *new = NULL, *wrapped = NULL;
        const char *claimed = json_string_value(json_object_get(json_object_get(body, "metadata"), "resourceVersion"));
        if (claimed != NULL && strcmp(claimed, json_string_value(json_object_get(meta, "resourceVersion"))) != 0) {
            kw_say(kw, reply, 409, NULL, "Conflict");
        } else {
            if (strcmp(r->method, "PUT") == 0) {
                new = json_deep_copy(body);
                json_object_set(json_object_get(new, "metadata"), "uid", json_object_get(meta, "uid"));
                if (json_object_get(o->value, "status") != NULL)
                    json_object_set(new, "status", json_object_get(o->value, "status"));
                kw_admit(&p, new, manager);
            } else if (strcmp(p.sub, "status") == 0) {
                wrapped = json_pack("{s:O}", "status", json_object_get(body, "status"));
                new = kw_merge(o->value, wrapped);
                json_decref(wrapped);
            } else {
                new = kw_merge(o->value, body);
            }
            json_decref(o->value);
            o->value = new;
            kw_change(kw, "MODIFIED", &o->place, new);
            kw_say(kw, reply, 200, new, "");
        }
    }
    json_decref(body);
}

static inline void kw_answer(void *arg, const struct http_request *r, struct virtual_reply *reply)
{
    struct kube_world *kw = arg;
    const char *url = r->url + strlen("http://api");
    struct kw_watch w = {.place = kw_parse(url)};
    char line[2000], watch[10];

    snprintf(line, sizeof line, "%s %.*s %.*s", r->method, (int)strcspn(url, "?"), url, (int)r->body_length,
             r->body_length ? (const char *)r->body : "");
    kw_query(url, "watch", watch, sizeof watch);
    kw_query(url, "labelSelector", w.label, sizeof w.label);
    kw_query(url, "fieldSelector", w.field, sizeof w.field);
    if (watch[0] == 0) {
        assert_true(kw->request_count < REQUESTS);
        kw->requests[kw->request_count++] = mem_copy(line);
    }
    for (size_t i = 0; i < kw->fault_count; i++) {
        struct kw_fault *f = &kw->faults[i];
        if (f->times > 0 && strncmp(line, f->begins, strlen(f->begins)) == 0) {
            f->times--;
            kw_say(kw, reply, f->status, NULL,
                   f->status == 403   ? "Forbidden"
                   : f->status == 404 ? "NotFound"
                                      : "Failure");
            return;
        }
    }
    if (strcmp(r->method, "GET") != 0) {
        kw_write(kw, r, w.place, reply);
    } else if (w.place.name[0] != 0) {
        struct kw_object *o = kw_find(kw, &w.place);
        kw_say(kw, reply, o ? 200 : 404, o ? o->value : NULL, "NotFound");
    } else if (strcmp(watch, "1") == 0 || strcmp(watch, "true") == 0) {
        kw_open(kw, &w, url, reply);
    } else {
        kw_list(kw, &w, reply);
    }
}

/* ---- its life ---- */
static inline void kw_fault(struct kube_world *kw, const char *begins, int status, int times)
{
    struct kw_fault *f = &kw->faults[kw->fault_count++];

    assert_true(kw->fault_count <= FAULTS);
    snprintf(f->begins, sizeof f->begins, "%s", begins);
    f->status = status;
    f->times = times;
}

static inline void kw_on_say(void *arg, bool warning, const char *text)
{
    struct kube_world *kw = arg;
    size_t length = strlen(kw->said);

    snprintf(kw->said + length, sizeof kw->said - length, "%s%s\n", warning ? "! " : "", text);
}

static inline struct kube_world *kw_new(void)
{
    struct kube_world *kw = mem_alloc(sizeof *kw);

    kw->world = virtual_world_new(1, KW_START);
    kw->version = 100;
    virtual_answer(kw->world, "http://api", kw_answer, kw);
    return kw;
}

static inline void kw_platform(struct kube_world *kw, struct kubernetes_options options)
{
    static const char text[] = "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                               "contexts: [{name: c, context: {cluster: k, user: u, namespace: weir}}]\n"
                               "clusters: [{name: k, cluster: {server: http://api}}]\n"
                               "users: [{name: u, user: {}}]\n";
    char path[] = "/tmp/weir-kubeconfig-XXXXXX";
    int fd = mkstemp(path);
    struct kube_config *config;
    struct error err = {0};

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    bool good = kube_config_load(&(struct kube_config_options){.path = path}, &config, &err);
    unlink(path);
    if (!good)
        fail_msg("%s", err.text);
    options.say = kw_on_say;
    options.say_arg = kw;
    options.identity = options.identity != NULL ? options.identity : "me";
    assert_true(platform_new_kubernetes(virtual_loop(kw->world), virtual_transport(kw->world), config, &options,
                                        &kw->platform, &err));
}

static inline void kw_run(struct kube_world *kw, int64_t for_ms)
{
    virtual_run_until(kw->world, loop_ticks_ms(virtual_loop(kw->world)) + for_ms);
}

/* How many requests since the start (watches aside) begin so. */
static inline size_t kw_count(const struct kube_world *kw, const char *begins)
{
    size_t count = 0;

    for (size_t i = 0; i < kw->request_count; i++)
        count += strncmp(kw->requests[i], begins, strlen(begins)) == 0;
    return count;
}

/* The last request that begins so, or "". */
static inline const char *kw_last(const struct kube_world *kw, const char *begins)
{
    for (size_t i = kw->request_count; i-- > 0;) {
        if (strncmp(kw->requests[i], begins, strlen(begins)) == 0)
            return kw->requests[i];
    }
    return "";
}

static inline void kw_free(struct kube_world *kw)
{
    if (kw->platform != NULL)
        kw->platform->ops->free(kw->platform);
    for (size_t i = 0; i < kw->object_count; i++)
        json_decref(kw->objects[i].value);
    for (size_t i = 0; i < kw->change_count; i++)
        json_decref(kw->changes[i].value);
    for (size_t i = 0; i < kw->request_count; i++)
        free(kw->requests[i]);
    assert_int_equal(virtual_pending(kw->world), 0);
    virtual_world_free(kw->world);
    free(kw);
}

#endif

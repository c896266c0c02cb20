/*
 * kube_scale: what cluster_world's API server lacks for workloads: /scale of every kind, JSON patches with test, selectors on a label's
 * presence, metrics.k8s.io, discovery, and answers that are lost on their way.
 */
#ifndef KUBE_SCALE_H
#define KUBE_SCALE_H

#include "cluster_world.h"

struct kube_front {
    struct kube_world *kw;
    const char *metrics; /* body; NULL: not installed */
    const char *lose; /* the answer of the next request that begins so gets lost, though it is carried out; or NULL */
    int64_t post_takes_ms; /* to be answered */
    const char *field;     /* of spec, where the count of kinds of example.com is */
    char text[64 * 1024], url[2000];
};

static inline const char *kf_count_field(const struct kube_front *f, const struct kw_place *p)
{
    return strcmp(p->group, "example.com") == 0 ? f->field : "replicas";
}

static inline void kf_scale(struct kube_front *f, const struct kw_place *p, struct virtual_reply *reply)
{
    json_t *object = kw_find(f->kw, p)->value, *meta = json_object_get(object, "metadata");
    json_int_t count = json_integer_value(json_object_get(json_object_get(object, "spec"), kf_count_field(f, p)));
    json_t *status = json_object_get(object, "status");
    json_t *scale = json_pack("{s:s,s:{s:s,s:s},s:{},s:{s:I}}", "kind", "Scale", "metadata", "name", p->name,
                              "resourceVersion", json_string_value(json_object_get(meta, "resourceVersion")), "spec",
                              "status", "replicas", json_integer_value(json_object_get(status, "replicas")));

    if (count != 0) /* 0 is left out, as the real one does */
        json_object_set_new(json_object_get(scale, "spec"), "replicas", json_integer(count));
    if (json_object_get(status, "selector") != NULL)
        json_object_set(json_object_get(scale, "status"), "selector", json_object_get(status, "selector"));
    kw_say(f->kw, reply, 200, scale, "");
    json_decref(scale);
}

static inline void kf_patch(struct kube_front *f, const struct http_request *r, const struct kw_place *p,
                            struct virtual_reply *reply)
{
    struct kw_object *o = kw_find(f->kw, p);
    json_t *patch = json_loadb(r->body, r->body_length, 0, NULL), *spec = json_object_get(o->value, "spec");
    json_int_t now = json_integer_value(json_object_get(spec, kf_count_field(f, p)));
    json_int_t tested = json_integer_value(json_object_get(json_array_get(patch, 0), "value"));
    json_int_t wanted = json_integer_value(json_object_get(json_array_get(patch, 1), "value"));
    bool null = json_is_null(json_object_get(json_array_get(patch, 0), "value"));

    assert_string_equal(json_string_value(json_object_get(json_array_get(patch, 0), "op")), "test");
    json_decref(patch);
    if (null ? now != 0 : now != tested || now == 0) {
        kw_say(f->kw, reply, 422, NULL, "Invalid");
    } else if (wanted > 100) {
        kw_say(f->kw, reply, 422, NULL, "TooMany");
    } else {
        json_object_set_new(spec, kf_count_field(f, p), json_integer(wanted));
        kw_change(f->kw, "MODIFIED", &o->place, o->value);
        kf_scale(f, p, reply);
    }
}

static inline bool kf_special(struct kube_front *f, const struct http_request *r, const char *path,
                              struct virtual_reply *reply)
{
    struct kw_place p = kw_parse(path);

    if (strncmp(path, "/apis/metrics.k8s.io/", 21) == 0) {
        json_t *body = f->metrics ? json_loads(f->metrics, 0, NULL) : NULL;
        kw_say(f->kw, reply, body ? 200 : 404, body, "NotFound");
        json_decref(body);
        return true;
    }
    if (strcmp(path, "/apis/example.com/v1") == 0) {
        json_t *list = json_loads("{\"kind\":\"APIResourceList\",\"groupVersion\":\"example.com/v1\",\"resources\":["
                                  "{\"name\":\"widgets\",\"kind\":\"Widget\",\"namespaced\":true},"
                                  "{\"name\":\"widgets/scale\",\"kind\":\"Scale\",\"namespaced\":true},"
                                  "{\"name\":\"stones\",\"kind\":\"Stone\",\"namespaced\":true},"
                                  "{\"name\":\"skies\",\"kind\":\"Sky\",\"namespaced\":false},"
                                  "{\"name\":\"skies/scale\",\"kind\":\"Scale\",\"namespaced\":false}]}",
                                  0, NULL);
        kw_say(f->kw, reply, 200, list, "");
        json_decref(list);
        return true;
    }
    if (strcmp(p.sub, "scale") != 0 || kw_find(f->kw, &p) == NULL)
        return false;
    if (strcmp(r->method, "GET") == 0)
        kf_scale(f, &p, reply);
    else
        kf_patch(f, r, &p, reply);
    return true;
}

/* A label's presence as selector: those that have it are all there are in these tests. */
static inline void kf_simplify(struct kube_front *f, struct http_request *r)
{
    char *at;

    snprintf(f->url, sizeof f->url, "%s", r->url);
    at = strstr(f->url, "labelSelector=scaledjob.keda.sh%2Fname");
    if (at != NULL && strncmp(at + 38, "%3D", 3) != 0)
        memcpy(at, "x", 1);
    r->url = f->url;
}

static inline void kf_answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct kube_front *f = arg;
    struct http_request r = *request;
    char line[600];

    kf_simplify(f, &r);
    const char *path = r.url + strlen("http://api");
    snprintf(line, sizeof line, "%s %.*s", r.method, (int)strcspn(path, "?"), path);
    if (kf_special(f, &r, strncmp(path, "/apis", 5) == 0 ? line + strlen(r.method) + 1 : path, reply))
        f->kw->requests[f->kw->request_count++] = mem_copy(line);
    else
        kw_answer(f->kw, &r, reply);
    if (strcmp(r.method, "POST") == 0)
        reply->after_ms = f->post_takes_ms;
    if (f->lose != NULL && strncmp(line, f->lose, strlen(f->lose)) == 0) {
        f->lose = NULL;
        *reply = (struct virtual_reply){.never = true};
    }
}

static inline struct kube_front *kf_new(void)
{
    struct kube_front *f = mem_alloc(sizeof *f);

    f->kw = kw_new();
    f->field = "size";
    virtual_answer(f->kw->world, "http://api/", kf_answer, f);
    return f;
}

static inline void kf_start(struct kube_front *f)
{
    kw_platform(f->kw, (struct kubernetes_options){.write = true});
}

static inline void kf_free(struct kube_front *f)
{
    kw_free(f->kw);
    free(f);
}

/* What a write said, and how often callbacks came. */
struct kf_outcome {
    int done, changed;
    bool failed;
    struct error error;
};
static inline void kf_done(void *arg, const struct error *err)
{
    struct kf_outcome *o = arg;

    o->done++;
    o->failed = err != NULL;
    o->error = err ? *err : (struct error){0};
}
static inline void kf_changed(void *arg)
{
    ((struct kf_outcome *)arg)->changed++;
}

#endif

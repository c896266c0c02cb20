/*
 * cluster_stage: the client of the Kubernetes API on virtual time, and at its other end a small API server: a few objects that are listed,
 * watched and written, and reviews that a test answers.
 */
#ifndef WEIR_TEST_SERVE_CLUSTER_STAGE_H
#define WEIR_TEST_SERVE_CLUSTER_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "platform/kubernetes/client.h"
#include "sim/virtual.h"

enum { STAGE_OBJECTS_MAX = 8, STAGE_WATCHES_MAX = 4, STAGE_WRITES_MAX = 64, STAGE_JSON_BYTES = 32 * 1024 };
#define STAGE_START_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

struct stage_object {
    const char *collection, *name; /* "/api/v1/namespaces/ops/secrets", "weir-certs" */
    char *json;                    /* NULL: it is not there */
    int version;
    struct virtual_body *watches[STAGE_WATCHES_MAX]; /* NULL: free */
};
struct stage_write {
    char method[8], path[256], *body;
};
struct cluster_stage {
    struct virtual_world *world;
    struct kube *kube;
    struct stage_object objects[STAGE_OBJECTS_MAX];
    size_t object_count;
    struct stage_write writes[STAGE_WRITES_MAX]; /* POST and PATCH, reviews too, in the order in which they came */
    size_t write_count;
    int refuse_status; /* writes of objects are answered so; 0: done */
    bool refuse_lists; /* 403 */
    int version;
    /* Answers a review: its JSON into out; false: 500. */
    bool (*review)(const char *body, char *out, size_t size);
    int64_t review_after_ms;
    char reply[STAGE_JSON_BYTES];
};

static inline struct stage_object *stage_find(struct cluster_stage *s, const char *path, bool *is_collection)
{
    size_t length = strcspn(path, "?");

    for (size_t i = 0; i < s->object_count; i++) {
        struct stage_object *o = &s->objects[i];
        size_t collection = strlen(o->collection);

        if (length < collection || strncmp(path, o->collection, collection) != 0)
            continue;
        *is_collection = length == collection;
        if (*is_collection || (path[collection] == '/' && strlen(o->name) == length - collection - 1 &&
                               strncmp(path + collection + 1, o->name, strlen(o->name)) == 0))
            return o;
    }
    return NULL;
}

static inline void stage_tell(struct stage_object *o, const char *type, const char *json)
{
    struct text line;

    text_init(&line, STAGE_JSON_BYTES);
    text_printf(&line, "{\"type\":\"%s\",\"object\":%s}\n", type, json);
    for (int i = 0; i < STAGE_WATCHES_MAX; i++)
        virtual_body_say(o->watches[i], line.bytes, line.length, 1);
    text_done(&line);
}

/* What an object is from now on; members: without the outer braces, metadata apart. NULL: it is gone. */
static inline void stage_put(struct cluster_stage *s, const char *collection, const char *name, const char *members)
{
    struct stage_object *o = NULL;
    struct text json;

    for (size_t i = 0; i < s->object_count; i++)
        if (strcmp(s->objects[i].collection, collection) == 0 && strcmp(s->objects[i].name, name) == 0)
            o = &s->objects[i];
    if (!o) {
        assert_true(s->object_count < STAGE_OBJECTS_MAX);
        o = &s->objects[s->object_count++];
        *o = (struct stage_object){.collection = collection, .name = name};
    }
    s->version++;
    text_init(&json, STAGE_JSON_BYTES);
    text_printf(&json, "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%d\"},%s}", name, s->version,
                members ? members : "\"gone\":true");
    if (members || o->json)
        stage_tell(o, !members ? "DELETED" : o->json ? "MODIFIED" : "ADDED", json.bytes);
    free(o->json);
    o->version = s->version;
    o->json = members ? text_take(&json) : NULL;
    text_done(&json);
}

static inline void stage_list(struct cluster_stage *s, const struct stage_object *o, struct virtual_reply *reply)
{
    snprintf(s->reply, sizeof(s->reply), "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"%d\"},\"items\":[%s]}",
             s->version, o->json ? o->json : "");
    reply->body = s->reply;
}

static inline void stage_refuse(struct virtual_reply *reply, int status, const char *reason, struct cluster_stage *s)
{
    reply->status = status;
    snprintf(s->reply, sizeof(s->reply),
             "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"refused: %s\",\"reason\":\"%s\",\"code\":%d}",
             reason, reason, status);
    reply->body = s->reply;
}

static inline struct virtual_body **stage_free_watch(struct stage_object *o)
{
    for (int i = 0; i < STAGE_WATCHES_MAX; i++)
        if (!o->watches[i])
            return &o->watches[i];
    fail_msg("more than %d watches of %s", STAGE_WATCHES_MAX, o->name);
    return NULL;
}

/* From the version that was listed on. */
static inline void stage_watch(struct cluster_stage *s, struct stage_object *o, const char *path,
                               struct virtual_reply *reply)
{
    const char *since = strstr(path, "resourceVersion=");

    reply->open = stage_free_watch(o);
    reply->body = "";
    if (!since || !o->json || atoi(since + strlen("resourceVersion=")) >= o->version)
        return;
    snprintf(s->reply, sizeof(s->reply), "{\"type\":\"ADDED\",\"object\":%s}\n", o->json);
    reply->body = s->reply;
}

static inline void stage_get(struct cluster_stage *s, const char *path, struct virtual_reply *reply)
{
    bool is_collection;
    struct stage_object *o = stage_find(s, path, &is_collection);

    if (!o)
        stage_refuse(reply, 404, "NotFound", s);
    else if (s->refuse_lists)
        stage_refuse(reply, 403, "Forbidden", s);
    else if (is_collection && strstr(path, "watch=")) {
        stage_watch(s, o, path, reply);
    } else if (is_collection)
        stage_list(s, o, reply);
    else if (o->json)
        reply->body = o->json;
    else
        stage_refuse(reply, 404, "NotFound", s);
}

/* Secrets alone are really written: all their members stand in what is sent. */
static inline void stage_write(struct cluster_stage *s, const struct stage_write *write, struct virtual_reply *reply)
{
    bool is_collection = false;
    struct stage_object *o = stage_find(s, write->path, &is_collection);
    const char *data = strstr(write->body, "\"data\":{"), *version = strstr(write->body, "\"resourceVersion\":\"");
    char *members;

    assert_non_null(o);
    if (s->refuse_status) {
        stage_refuse(reply, s->refuse_status, s->refuse_status == 409 ? "Conflict" : "Forbidden", s);
        return;
    }
    if (!data) {
        reply->body = "{}";
        return;
    }
    if (is_collection ? o->json != NULL : !o->json || (version && atoi(version + 19) != s->version)) {
        stage_refuse(reply, 409, is_collection ? "AlreadyExists" : "Conflict", s);
        return;
    }
    members = mem_copy(data);
    *strrchr(members, '}') = 0;
    stage_put(s, o->collection, o->name, members);
    free(members);
    reply->status = is_collection ? 201 : 200;
    reply->body = o->json;
}

static inline void stage_answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    struct cluster_stage *s = arg;
    const char *path = request->url + strlen("http://api:8080");

    reply->content_type = "application/json";
    reply->after_ms = 1;
    if (strcmp(request->method, "GET") == 0) {
        stage_get(s, path, reply);
        return;
    }
    assert_true(s->write_count < STAGE_WRITES_MAX);
    struct stage_write *write = &s->writes[s->write_count++];
    snprintf(write->method, sizeof(write->method), "%s", request->method);
    snprintf(write->path, sizeof(write->path), "%s", path);
    write->body = mem_alloc(request->body_length + 1);
    memcpy(write->body, request->body, request->body_length);
    if (!strstr(path, "reviews")) {
        stage_write(s, write, reply);
        return;
    }
    reply->after_ms = s->review_after_ms;
    reply->status = 201;
    reply->body = s->reply;
    if (!s->review(write->body, s->reply, sizeof(s->reply)))
        stage_refuse(reply, 500, "InternalError", s);
}

static inline void cluster_stage_init(struct cluster_stage *s)
{
    static const char config[] = "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                                 "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
                                 "clusters: [{name: c, cluster: {server: 'http://api:8080'}}]\n"
                                 "users: [{name: u, user: {}}]\n";
    char path[] = "/tmp/weir-kubeconfig-XXXXXX";
    struct kube_config *loaded;
    struct error err;
    int fd = mkstemp(path);

    *s = (struct cluster_stage){.world = virtual_world_new(1, STAGE_START_MS), .review_after_ms = 1};
    assert_true(fd >= 0 && write(fd, config, strlen(config)) == (ssize_t)strlen(config));
    close(fd);
    if (!kube_config_load(&(struct kube_config_options){.path = path}, &loaded, &err))
        fail_msg("%s", err.text);
    unlink(path);
    virtual_answer(s->world, "http://api:8080", stage_answer, s);
    s->kube = kube_new(virtual_loop(s->world), virtual_transport(s->world), loaded);
    log_set_level(LOG_LEVEL_ERROR);
}

static inline void cluster_stage_done(struct cluster_stage *s)
{
    kube_free(s->kube);
    virtual_world_free(s->world);
    for (size_t i = 0; i < s->object_count; i++)
        free(s->objects[i].json);
    for (size_t i = 0; i < s->write_count; i++)
        free(s->writes[i].body);
}

static inline void stage_run(struct cluster_stage *s, int64_t ms)
{
    virtual_run_until(s->world, loop_now_ms(virtual_loop(s->world)) + ms);
}

/* How many writes went to a path that contains this. */
static inline size_t stage_writes(const struct cluster_stage *s, const char *part)
{
    size_t count = 0;

    for (size_t i = 0; i < s->write_count; i++)
        count += strstr(s->writes[i].path, part) != NULL;
    return count;
}

#endif

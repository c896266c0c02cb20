/*
 * The webhook on virtual time: reviews come in, a small API server has the facts (or is slow, or refuses them), answers go out. Also what the
 * parts do alone: the index of claims, and the counters.
 */
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
#include "base/atom.h"
#include "base/error.h"
#include "base/log.h"
#include "net/server.h"
#include "platform/kubernetes/client.h"
#include "serve/admission_internal.h"
#include "serve/serve_internal.h"
#include "sim/virtual.h"

/* ------------------------------------------------------------------ a server: requests are calls of handlers */

struct server_pending {
    bool deferred, answered;
    int status;
    char body[32 * 1024];
};
struct server {
    const char *paths[ADMIT_KINDS];
    server_handler *handlers[ADMIT_KINDS];
    void *args[ADMIT_KINDS];
    size_t count;
};

void server_route(struct server *server, const char *method, const char *pattern, server_handler *handler, void *arg)
{
    assert_string_equal(method, "POST");
    server->paths[server->count] = pattern;
    server->handlers[server->count] = handler;
    server->args[server->count++] = arg;
}

struct server_pending *server_defer(const struct server_request *request)
{
    struct server_pending *reply = request->internal;

    reply->deferred = true;
    return reply;
}

static void note(struct server_pending *reply, const struct server_answer *answer)
{
    assert_false(reply->answered);
    reply->answered = true;
    reply->status = answer->status;
    snprintf(reply->body, sizeof(reply->body), "%s", answer->body->bytes);
}

void server_complete(struct server_pending *pending, const struct server_answer *answer)
{
    assert_true(pending->deferred);
    note(pending, answer);
}

static void post(struct server *server, const char *path, const char *body, struct server_pending *reply)
{
    struct server_request request = {.method = "POST", .path = path, .internal = reply};
    struct server_answer answer = {.status = 200};
    char *copy = mem_copy(body); /* dies with the handler, as in the real one */
    struct text text;
    size_t i = 0;

    memset(reply, 0, sizeof(*reply));
    text_init(&text, 1024 * 1024);
    answer.body = &text;
    request.body = copy;
    request.body_length = strlen(body);
    while (i < server->count && strcmp(server->paths[i], path) != 0)
        i++;
    assert_true(i < server->count);
    server->handlers[i](server->args[i], &request, &answer);
    if (!reply->deferred)
        note(reply, &answer);
    memset(copy, 'x', request.body_length);
    free(copy);
    text_done(&text);
}

/* ------------------------------------------------------------------ a cluster */

struct cluster {
    struct virtual_world *world;
    struct kube *kube;
    struct server server;
    struct serve_admission *admission;
    struct virtual_body *objects_watch, *scalers_watch;
    int64_t delay_ms;      /* of all answers to GETs of one thing */
    int64_t list_delay_ms; /* of lists */
    bool refuse_lists, refuse_limits;
    const char *objects, *scalers; /* items */
    const char *workload, *limits; /* JSON; NULL: 404 */
    int asked;                     /* GETs of workloads, limits and kinds */
};

static void say(struct virtual_reply *reply, int status, const char *json)
{
    static char buffer[16 * 1024];

    snprintf(buffer, sizeof(buffer), "%s", json);
    reply->status = status;
    reply->body = buffer;
}

static void say_status(struct virtual_reply *reply, int code, const char *reason)
{
    char json[512];

    snprintf(json, sizeof(json), "{\"kind\":\"Status\",\"message\":\"no: %s\",\"reason\":\"%s\",\"code\":%d}", reason,
             reason, code);
    say(reply, code, json);
}

static void say_list(struct cluster *c, struct virtual_reply *reply, const char *items)
{
    char json[8192];

    snprintf(json, sizeof(json), "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[%s]}",
             items ? items : "");
    reply->after_ms = c->list_delay_ms ? c->list_delay_ms : 1;
    if (c->refuse_lists)
        say_status(reply, 403, "Forbidden");
    else
        say(reply, 200, json);
}

static void answer_list(struct cluster *c, const char *path, const char *items, struct virtual_body **watch,
                        struct virtual_reply *reply)
{
    if (!strstr(path, "watch=")) {
        say_list(c, reply, items);
        return;
    }
    reply->body = "";
    reply->open = watch;
}

static void answer(void *arg, const struct http_request *request, struct virtual_reply *reply)
{
    static const char kinds[] =
        "{\"kind\":\"APIResourceList\",\"groupVersion\":\"example.com/v1\",\"resources\":["
        "{\"name\":\"gadgets\",\"kind\":\"Gadget\",\"namespaced\":true,\"verbs\":[\"get\"]},"
        "{\"name\":\"gadgets/scale\",\"kind\":\"Scale\",\"namespaced\":true,\"verbs\":[\"get\"]},"
        "{\"name\":\"rocks\",\"kind\":\"Rock\",\"namespaced\":true,\"verbs\":[\"get\"]}]}";
    struct cluster *c = arg;
    const char *path = request->url + strlen("http://api:8080");

    reply->content_type = "application/json";
    if (strstr(path, "/scaledobjects")) {
        answer_list(c, path, c->objects, &c->objects_watch, reply);
        return;
    }
    if (strstr(path, "/horizontalpodautoscalers")) {
        answer_list(c, path, c->scalers, &c->scalers_watch, reply);
        return;
    }
    c->asked++;
    reply->after_ms = c->delay_ms ? c->delay_ms : 1;
    if (strstr(path, "/deployments/app") && c->workload)
        say(reply, 200, c->workload);
    else if (strstr(path, "/limitranges") && c->refuse_limits)
        say_status(reply, 403, "Forbidden");
    else if (strstr(path, "/limitranges"))
        say(reply, 200, c->limits ? c->limits : "{\"kind\":\"LimitRangeList\",\"items\":[]}");
    else if (strstr(path, "example.com/v1"))
        say(reply, 200, kinds);
    else
        say_status(reply, 404, "NotFound");
}

static struct kube *new_kube(struct virtual_world *world)
{
    static const char config[] = "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                                 "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
                                 "clusters: [{name: c, cluster: {server: 'http://api:8080'}}]\n"
                                 "users: [{name: u, user: {}}]\n";
    char path[] = "/tmp/weir-kubeconfig-XXXXXX";
    struct kube_config *loaded;
    struct error err;
    int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, config, strlen(config)) == (ssize_t)strlen(config));
    close(fd);
    if (!kube_config_load(&(struct kube_config_options){.path = path}, &loaded, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return kube_new(virtual_loop(world), virtual_transport(world), loaded);
}

static void run(struct cluster *c, int64_t ms)
{
    virtual_run_until(c->world, loop_now_ms(virtual_loop(c->world)) + ms);
}

static void begin(struct cluster *c, bool on_cluster)
{
    struct policy_settings settings;

    log_set_level(LOG_LEVEL_ERROR);
    policy_settings_default(&settings);
    settings.mode = DECIDE_HPA;
    c->world = virtual_world_new(1, 1000 * 1000);
    virtual_answer(c->world, "http://api:8080", answer, c);
    c->kube = new_kube(c->world);
    c->admission = serve_admission_new(
        &c->server, &(struct serve_admission_options){
                        .loop = virtual_loop(c->world), .kube = on_cluster ? c->kube : NULL, .settings = &settings});
}

static void end(struct cluster *c)
{
    serve_admission_free(c->admission);
    kube_free(c->kube);
    virtual_world_free(c->world);
}

/* ------------------------------------------------------------------ reviews */

#define SO_PATH "/validate-keda-sh-v1alpha1-scaledobject"
#define CRON                                                                                                           \
    "{\"type\":\"cron\",\"metadata\":{\"timezone\":\"UTC\",\"start\":\"0 * * * *\",\"end\":\"1 * * * "                 \
    "*\",\"desiredReplicas\":\"1\"}}"
#define CPU "{\"type\":\"cpu\",\"metricType\":\"Utilization\",\"metadata\":{\"value\":\"50\"}}"

static const char *review(const char *operation, const char *name, const char *target, const char *trigger)
{
    static char json[8192];

    snprintf(
        json, sizeof(json),
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
        "v1\",\"request\":{\"uid\":\"u-%s\",\"namespace\":\"ns\","
        "\"operation\":\"%s\",\"object\":{\"apiVersion\":\"keda.sh/"
        "v1alpha1\",\"kind\":\"ScaledObject\",\"metadata\":{\"name\":"
        "\"%s\",\"namespace\":\"ns\"},\"spec\":{\"minReplicaCount\":1,\"scaleTargetRef\":{%s},\"triggers\":[%s]}}}}",
        name, operation, name, target, trigger);
    return json;
}

static void expect(const struct server_pending *reply, const char *words)
{
    if (!strstr(reply->body, words))
        fail_msg("\"%s\" is not in %s", words, reply->body);
}

#define OTHER                                                                                                          \
    "{\"metadata\":{\"name\":\"other\",\"namespace\":\"ns\",\"resourceVersion\":\"3\"},\"spec\":{\"scaleTargetRef\":{" \
    "\"name\":\"taken\"}}}"
#define FOREIGN                                                                                                        \
    "{\"metadata\":{\"name\":\"hpa\",\"namespace\":\"ns\",\"resourceVersion\":\"4\"},\"spec\":{\"scaleTargetRef\":{"   \
    "\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"scaled\"}}}"

static void test_at_once(void **state)
{
    struct cluster c = {.objects = OTHER, .scalers = FOREIGN};
    struct serve_admission_stats stats;
    static struct server_pending reply;

    (void)state;
    begin(&c, true);
    assert_int_equal(c.server.count, ADMIT_KINDS);
    run(&c, 1000);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"app\"", CRON), &reply);
    assert_true(reply.answered && !reply.deferred);
    expect(&reply, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
                   "v1\",\"response\":{\"uid\":\"u-so\",\"allowed\":true}}");
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &reply);
    expect(&reply, "\"allowed\":false,\"status\":{\"status\":\"Failure\",\"message\":\"the workload 'taken' of type "
                   "'apps/v1.Deployment' is "
                   "already managed by the ScaledObject 'other'\",\"reason\":\"Forbidden\",\"code\":403}");
    post(&c.server, SO_PATH, review("UPDATE", "other", "\"name\":\"taken\"", CRON), &reply);
    expect(&reply, "\"allowed\":true");
    post(&c.server, SO_PATH, review("UPDATE", "so", "\"name\":\"scaled\"", CRON), &reply);
    expect(&reply, "by the hpa 'hpa'");
    post(&c.server, SO_PATH, review("DELETE", "so", "\"name\":\"scaled\"", CRON), &reply);
    expect(&reply, "\"uid\":\"u-so\",\"allowed\":true}");
    assert_int_equal(c.asked, 0);
    serve_admission_stats(c.admission, &stats);
    assert_int_equal(stats.allowed, 2);
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.objects, 1);
    assert_int_equal(stats.scalers, 1);
    end(&c);
}

/* What the watches say later counts at once. */
static void test_changes(void **state)
{
    static const char added[] = "{\"type\":\"ADDED\",\"object\":" OTHER "}\n",
                      gone[] = "{\"type\":\"DELETED\",\"object\":" OTHER "}\n";
    struct cluster c = {0};
    static struct server_pending reply;

    (void)state;
    begin(&c, true);
    run(&c, 1000);
    assert_non_null(c.objects_watch);
    virtual_body_say(c.objects_watch, added, sizeof(added) - 1, 1);
    run(&c, 100);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &reply);
    expect(&reply, "ScaledObject 'other'");
    virtual_body_say(c.objects_watch, gone, sizeof(gone) - 1, 1);
    run(&c, 100);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &reply);
    expect(&reply, "\"allowed\":true");
    end(&c);
}

/* Before the lists are there a review waits for them, but not for ever. */
static void test_waits_for_lists(void **state)
{
    struct cluster c = {.objects = OTHER, .list_delay_ms = 500};
    static struct server_pending reply, late;

    (void)state;
    begin(&c, true);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &reply);
    assert_true(reply.deferred && !reply.answered);
    run(&c, 600);
    assert_true(reply.answered);
    expect(&reply, "ScaledObject 'other'");
    end(&c);

    c = (struct cluster){.objects = OTHER, .list_delay_ms = 10000};
    begin(&c, true);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &late);
    run(&c, ADMISSION_WAIT_MS - 1);
    assert_false(late.answered);
    run(&c, 1);
    assert_true(late.answered);
    expect(&late, "\"allowed\":true,\"warnings\":[\"not checked: other HorizontalPodAutoscalers (not known in time)\"");
    end(&c);
}

/* What we may not list is said, with the rule that RBAC lacks, and nothing waits for it. */
static void test_refused_lists(void **state)
{
    struct cluster c = {.refuse_lists = true};
    struct serve_admission_stats stats;
    static struct server_pending reply;

    (void)state;
    begin(&c, true);
    run(&c, 1000);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"taken\"", CRON), &reply);
    assert_true(reply.answered && !reply.deferred);
    expect(&reply, "\"allowed\":true");
    expect(&reply, "not checked: other ScaledObjects (");
    serve_admission_stats(c.admission, &stats);
    assert_int_equal(stats.unchecked, 1);
    end(&c);
}

/* ------------------------------------------------------------------ what is asked for */

#define WORKLOAD(resources)                                                                                            \
    "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{" resources "}}]}}}}"
#define LIMITS              "{\"items\":[{\"spec\":{\"limits\":[{\"type\":\"Container\",\"defaultRequest\":{\"cpu\":\"1\"}}]}}]}"
#define KIND(kind, version) "\"name\":\"app\",\"kind\":\"" kind "\",\"apiVersion\":\"" version "\""

static void test_questions(void **state)
{
    static const struct {
        const char *name, *target, *trigger, *workload, *limits, *answer;
        int asked;
        bool refuse_limits;
    } rows[] = {
        {"a request", "\"name\":\"app\"", CPU, WORKLOAD("\"requests\":{\"cpu\":\"1\"}"), NULL, "\"allowed\":true}", 1},
        {"none", "\"name\":\"app\"", CPU, WORKLOAD(""), NULL, "the container c doesn't have the cpu request", 2},
        {"a default", "\"name\":\"app\"", CPU, WORKLOAD(""), LIMITS, "\"allowed\":true}", 2},
        {"limits that are not for us", "\"name\":\"app\"", CPU, WORKLOAD(""), NULL,
         "not checked: the LimitRanges of the namespace (", 2, true},
        {"no workload", "\"name\":\"app\"", CPU, NULL, NULL,
         "\"message\":\"deployments.apps \\\"app\\\" not found\",\"reason\":\"NotFound\",\"code\":404", 1},
        {"a kind", KIND("Gadget", "example.com/v1"), CRON, NULL, NULL, "\"allowed\":true}", 1},
        {"no such kind", KIND("Gidget", "example.com/v1"), CRON, NULL, NULL,
         "no matches for kind \\\"Gidget\\\" in version \\\"example.com/v1\\\"", 1},
        {"no such group", KIND("Gadget", "example.org/v1"), CRON, NULL, NULL, "no matches for kind", 1},
        {"a kind without scale", KIND("Rock", "example.com/v1"), CRON, NULL, NULL,
         "\"allowed\":true,\"warnings\":[\"spec.scaleTargetRef: ", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cluster c = {
            .workload = rows[i].workload, .limits = rows[i].limits, .refuse_limits = rows[i].refuse_limits};
        static struct server_pending reply;

        begin(&c, true);
        run(&c, 1000);
        post(&c.server, SO_PATH, review("CREATE", "so", rows[i].target, rows[i].trigger), &reply);
        assert_true(reply.deferred && !reply.answered);
        run(&c, 1000);
        if (!reply.answered || !strstr(reply.body, rows[i].answer) || c.asked != rows[i].asked)
            fail_msg("%s: asked %d times, %s", rows[i].name, c.asked, reply.body);
        end(&c);
    }
}

static void test_slow_answers(void **state)
{
    struct cluster c = {.workload = WORKLOAD(""), .delay_ms = 60000};
    static struct server_pending replies[3];

    (void)state;
    begin(&c, true);
    run(&c, 1000);
    post(&c.server, SO_PATH, review("CREATE", "a", "\"name\":\"app\"", CPU), &replies[0]);
    run(&c, 1000);
    post(&c.server, SO_PATH, review("CREATE", "b", KIND("Gadget", "example.com/v1"), CRON), &replies[1]);
    run(&c, 1999);
    assert_false(replies[0].answered);
    run(&c, 1);
    assert_true(replies[0].answered);
    expect(&replies[0], "\"allowed\":true,\"warnings\":[\"not checked: the containers of the target (");
    assert_false(replies[1].answered);
    run(&c, 1000);
    assert_true(replies[1].answered);
    expect(&replies[1], "not checked: whether the kind of the target exists (");
    post(&c.server, SO_PATH, review("CREATE", "c", "\"name\":\"app\"", CPU), &replies[2]); /* still waits at the end */
    end(&c);
    assert_true(replies[2].answered);
    expect(&replies[2], "\"allowed\":true");
}

static void test_too_many(void **state)
{
    struct cluster c = {.workload = WORKLOAD(""), .delay_ms = 60000};
    struct server_pending *replies = mem_array(ADMISSION_PENDING_MAX, sizeof(*replies));
    struct serve_admission_stats stats;
    static struct server_pending one_more;

    (void)state;
    begin(&c, true);
    run(&c, 1000);
    for (int i = 0; i < ADMISSION_PENDING_MAX; i++)
        post(&c.server, SO_PATH, review("CREATE", "a", "\"name\":\"app\"", CPU), &replies[i]);
    post(&c.server, SO_PATH, review("CREATE", "b", "\"name\":\"app\"", CPU), &one_more);
    assert_true(one_more.answered && !one_more.deferred);
    expect(&one_more, "too many reviews wait");
    serve_admission_stats(c.admission, &stats);
    assert_int_equal(stats.pending, ADMISSION_PENDING_MAX);
    run(&c, ADMISSION_WAIT_MS);
    for (int i = 0; i < ADMISSION_PENDING_MAX; i++)
        assert_true(replies[i].answered);
    serve_admission_stats(c.admission, &stats);
    assert_int_equal(stats.pending, 0);
    end(&c);
    free(replies);
}

static void test_too_large(void **state)
{
    enum { ITEMS = 200 * 1000, POSTS = 12 };
    struct cluster c = {.workload = WORKLOAD(""), .delay_ms = 60000};
    static struct server_pending replies[POSTS];
    struct serve_admission_stats stats;
    char *body = mem_alloc(2 * ITEMS + 10 * 1000);
    int at = snprintf(body, 100, "{\"more\":[0");

    (void)state;
    for (int i = 0; i < ITEMS; i++, at += 2)
        memcpy(body + at, ",0", 2);
    snprintf(body + at, 9000, "],%s", review("CREATE", "a", "\"name\":\"app\"", CPU) + 1);
    begin(&c, true);
    run(&c, 1000);
    for (int i = 0; i < POSTS; i++)
        post(&c.server, SO_PATH, body, &replies[i]);
    serve_admission_stats(c.admission, &stats);
    assert_in_range(stats.pending, 1, POSTS - 1);
    assert_true(replies[POSTS - 1].answered);
    expect(&replies[POSTS - 1], "the reviews that wait are too large");
    run(&c, ADMISSION_WAIT_MS);
    post(&c.server, SO_PATH, body, &replies[0]);
    assert_true(replies[0].deferred); /* there is room again */
    end(&c);
    free(body);
}

/* ------------------------------------------------------------------ what cannot be read */

static void test_bad_bodies(void **state)
{
    static const struct {
        const char *body, *says;
        int status;
    } rows[] = {
        {"", "not JSON", 400},
        {"<html>", "not JSON", 400},
        {"{}", "an AdmissionReview of admission.k8s.io/v1 is wanted", 400},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\",\"request\":{\"uid\":\"u\"}}",
         "set admissionReviewVersions", 400},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}", "no request.uid", 400},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
         "v1\",\"request\":{\"uid\":\"u\",\"operation\":\"CREATE\"}}",
         "\"uid\":\"u\",\"allowed\":false,\"status\":{\"status\":\"Failure\",\"message\":\"the object cannot be read: "
         "the review has no object\","
         "\"reason\":\"BadRequest\",\"code\":400}",
         200},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
         "v1\",\"request\":{\"uid\":\"u\",\"operation\":\"UPDATE\","
         "\"subResource\":\"status\",\"object\":5}}",
         "\"allowed\":true", 200},
    };
    struct cluster c = {0};

    (void)state;
    begin(&c, false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct server_pending reply;

        post(&c.server, SO_PATH, rows[i].body, &reply);
        if (reply.status != rows[i].status || !strstr(reply.body, rows[i].says))
            fail_msg("%s: %d %s", rows[i].body, reply.status, reply.body);
    }
    end(&c);
}

static void test_without_cluster(void **state)
{
    struct cluster c = {0};
    static struct server_pending reply;

    (void)state;
    begin(&c, false);
    post(&c.server, SO_PATH, review("CREATE", "so", "\"name\":\"app\"", CPU), &reply);
    expect(&reply, "\"allowed\":true");
    expect(&reply, "not checked: other ScaledObjects (Weir does not run on a cluster here)");
    end(&c);
}

/* ------------------------------------------------------------------ the index */

static void count_claim(void *arg, const struct claim *claim)
{
    (void)claim;
    ++*(int *)arg;
}

static int on_target(const struct claim_index *x, const char *ns, const char *version, const char *name)
{
    struct admission_target target = {version, "Deployment", name};
    int found = 0;

    claim_index_on_target(x, ns, &target, count_claim, &found);
    return found;
}

static int on_scaler(const struct claim_index *x, const char *ns, const char *name)
{
    int found = 0;

    claim_index_on_scaler(x, ns, name, count_claim, &found);
    return found;
}

static void put(struct claim_index *x, const char *ns, const char *name, const char *target, const char *other,
                uint16_t source)
{
    assert_true(claim_index_put(
        x, &(struct claim){
               .ns = ns, .name = name, .target = {"apps/v1", "Deployment", target}, .other = other, .source = source}));
}

static void test_index(void **state)
{
    size_t atoms = atom_count();
    struct claim_index *x = claim_index_new(true);
    char name[32], target[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "o%d", i);
        snprintf(target, sizeof(target), "t%d", i % 500);
        put(x, "ns", name, target, i % 2 ? NULL : "named", 0);
    }
    put(x, "other", "o1", "t1", NULL, 1);
    assert_int_equal(claim_index_count(x), 1001);
    assert_int_equal(on_target(x, "ns", "apps/v1", "t7"), 2);
    assert_int_equal(on_target(x, "ns", "apps/v2", "t7"), 2);
    assert_int_equal(on_target(x, "ns", "apps", "t7"), 0); /* that is a version of the core group */
    assert_int_equal(on_target(x, "other", "apps/v1", "t1"), 1);
    assert_int_equal(on_scaler(x, "ns", "keda-hpa-o7"), 1);
    assert_int_equal(on_scaler(x, "ns", "keda-hpa-o8"), 0);
    assert_int_equal(on_scaler(x, "ns", "named"), 500);
    put(x, "ns", "o7", "moved", "renamed", 0);
    assert_int_equal(claim_index_count(x), 1001);
    assert_int_equal(on_target(x, "ns", "apps/v1", "t7"), 1);
    assert_int_equal(on_target(x, "ns", "apps/v1", "moved"), 1);
    assert_int_equal(on_scaler(x, "ns", "keda-hpa-o7"), 0);
    claim_index_mark(x, 0);
    put(x, "ns", "o9", "t9", NULL, 0);
    claim_index_sweep(x, 0);
    assert_int_equal(claim_index_count(x), 2); /* that one, and the other source's */
    claim_index_remove(x, "other", "o1");
    claim_index_remove(x, "other", "o1");
    assert_int_equal(claim_index_count(x), 1);
    claim_index_free(x);
    assert_int_equal(atom_count(), atoms);
}

/* ------------------------------------------------------------------ counters */

static void test_counts(void **state)
{
    struct admission_counts *counts = admission_counts_new();
    char ns[32], long_one[65];
    struct text out;

    (void)state;
    text_init(&out, 1024 * 1024);
    memset(long_one, 'n', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = 0;
    admission_counts_add(counts, "shop", false, NULL);
    admission_counts_add(counts, "shop", false, "other-hpa");
    admission_counts_add(counts, "shop", true, "no such label");
    admission_counts_add(counts, "a\"b\n", true, NULL);
    admission_counts_write(counts, &out);
    assert_non_null(
        strstr(out.bytes, "keda_webhook_scaled_object_validations_total{namespace=\"shop\",action=\"create\"} 2\n"));
    assert_non_null(
        strstr(out.bytes, "keda_webhook_scaled_object_validations_total{namespace=\"shop\",action=\"update\"} 1\n"));
    assert_non_null(strstr(out.bytes, "keda_webhook_scaled_object_validation_errors_total{namespace=\"shop\",action="
                                      "\"create\",reason=\"other-hpa\"} 1\n"));
    assert_non_null(strstr(out.bytes, "{namespace=\"ab\",action=\"update\"} 1\n"));
    admission_counts_add(counts, long_one, false, NULL);
    for (int i = 0; i < ADMISSION_NAMESPACES_MAX + 10; i++) {
        snprintf(ns, sizeof(ns), "n%d", i);
        admission_counts_add(counts, ns, false, NULL);
    }
    text_clear(&out);
    admission_counts_write(counts, &out);
    assert_non_null(strstr(out.bytes, "{namespace=\"\",action=\"create\"} 13\n"));
    assert_null(strstr(out.bytes, long_one));
    admission_counts_free(counts);
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),         cmocka_unit_test(test_changes),
        cmocka_unit_test(test_waits_for_lists), cmocka_unit_test(test_refused_lists),
        cmocka_unit_test(test_questions),       cmocka_unit_test(test_slow_answers),
        cmocka_unit_test(test_too_many),        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_bad_bodies),      cmocka_unit_test(test_without_cluster),
        cmocka_unit_test(test_index),           cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

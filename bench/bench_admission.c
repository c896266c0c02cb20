/*
 * bench_admission: what a review costs, from the bytes the API server sends to the bytes it gets back, on one core and without the
 * network. A cluster of OBJECTS ScaledObjects and as many HorizontalPodAutoscalers is known, as the webhook's watches keep them; each
 * of the objects is then created and updated once more. Prints one JSON object:
 *
 *     {"webhook_per_s":..,"growth_bytes":..,"index_bytes":..,"objects":..,"reviews":..}
 *
 * webhook_per_s counts processor time, lint included. growth_bytes: by how much the process grew over all reviews but the first
 * thousand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "serve/admission_internal.h"

enum { OBJECTS = 60 * 1000, WARM_UP = 1000, REVIEW_MAX_BYTES = 64 * 1024 };

#define PROMETHEUS                                                                                                     \
    "{\"type\":\"prometheus\",\"name\":\"load\",\"metadata\":{\"serverAddress\":\"http://"                             \
    "prometheus.monitoring:9090\","                                                                                    \
    "\"query\":\"sum(rate(http_requests_total{app=\\\"app-%d\\\"}[2m]))\",\"threshold\":\"100\"}}"
#define CRON                                                                                                           \
    "{\"type\":\"cron\",\"name\":\"day\",\"metadata\":{\"timezone\":\"Europe/Paris\",\"start\":\"0 8 * * *\",\"end\":" \
    "\"0 20 * * *\",\"desiredReplicas\":\"%d\"}}"
#define MODIFIERS                                                                                                      \
    "\"advanced\":{\"scalingModifiers\":{\"formula\":\"max(load / 2, day)\",\"target\":\"2\"},"                        \
    "\"horizontalPodAutoscalerConfig\":{\"behavior\":{\"scaleDown\":{\"stabilizationWindowSeconds\":120}}}},"

/* As kubectl apply has it: the last manifest in an annotation, the fields' managers, the user. */
static int write_object(char *out, size_t size, int i)
{
    return snprintf(out, size,
                    "{\"apiVersion\":\"keda.sh/v1alpha1\",\"kind\":\"ScaledObject\",\"metadata\":{\"annotations\":{"
                    "\"kubectl.kubernetes.io/last-applied-configuration\":\"{\\\"apiVersion\\\":\\\"keda.sh/"
                    "v1alpha1\\\",\\\"kind\\\":"
                    "\\\"ScaledObject\\\",\\\"metadata\\\":{\\\"annotations\\\":{},\\\"name\\\":\\\"object-%d\\\","
                    "\\\"namespace\\\":"
                    "\\\"team-%d\\\"},\\\"spec\\\":{\\\"maxReplicaCount\\\":20,\\\"scaleTargetRef\\\":{\\\"name\\\":"
                    "\\\"app-%d\\\"}}}\\n\"},"
                    "\"creationTimestamp\":\"2026-08-20T10:00:00Z\",\"finalizers\":[\"finalizer.keda.sh\"],"
                    "\"generation\":1,\"labels\":"
                    "{\"app.kubernetes.io/"
                    "name\":\"app-%d\",\"team\":\"team-%d\"},\"managedFields\":[{\"apiVersion\":\"keda.sh/v1alpha1\","
                    "\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\".\":{},"
                    "\"f:kubectl.kubernetes.io/"
                    "last-applied-configuration\":{}},\"f:labels\":{\".\":{},\"f:team\":{}}},\"f:spec\":{\".\":{},"
                    "\"f:maxReplicaCount\":{},\"f:minReplicaCount\":{},\"f:scaleTargetRef\":{\".\":{},\"f:name\":{}},"
                    "\"f:triggers\":{}}},"
                    "\"manager\":\"kubectl-client-side-apply\",\"operation\":\"Update\",\"time\":\"2026-08-20T10:00:"
                    "00Z\"}],\"name\":"
                    "\"object-%d\",\"namespace\":\"team-%d\",\"uid\":\"7c1a3f0e-0000-4000-8000-%012d\"},\"spec\":{"
                    "\"scaleTargetRef\":"
                    "{\"name\":\"app-%d\"},\"minReplicaCount\":0,\"maxReplicaCount\":20,\"cooldownPeriod\":120,"
                    "\"pollingInterval\":15,"
                    "%s\"triggers\":[" PROMETHEUS "," CRON "]}}",
                    i, i % 100, i, i, i % 100, i, i % 100, i, i, i % 2 ? MODIFIERS : "", i, i % 7 + 1);
}

static size_t write_review(char *out, int i, bool update)
{
    static char object[REVIEW_MAX_BYTES];

    write_object(object, sizeof(object), i);
    return (size_t)snprintf(
        out, REVIEW_MAX_BYTES,
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
        "v1\",\"request\":{\"uid\":\"705ab4f5-6393-11e8-b7cc-"
        "%012d\",\"kind\":{\"group\":\"keda.sh\",\"version\":\"v1alpha1\",\"kind\":\"ScaledObject\"},\"resource\":{"
        "\"group\":"
        "\"keda.sh\",\"version\":\"v1alpha1\",\"resource\":\"scaledobjects\"},\"name\":\"object-%d\",\"namespace\":"
        "\"team-%d\","
        "\"operation\":\"%s\",\"userInfo\":{\"username\":\"kubernetes-admin\",\"groups\":[\"system:masters\","
        "\"system:authenticated\"]},\"object\":%s,\"oldObject\":%s,\"dryRun\":false,\"options\":{\"kind\":"
        "\"CreateOptions\","
        "\"apiVersion\":\"meta.k8s.io/v1\"}}}",
        i, i, i % 100, update ? "UPDATE" : "CREATE", object, update ? object : "null");
}

/* ------------------------------------------------------------------ the cluster that is known */

static void fill(struct claim_index *index, bool scalers)
{
    for (int i = 0; i < OBJECTS; i++) {
        char ns[32], name[32], target[32], owner[32];
        struct claim claim = {.ns = ns, .name = name, .target = {"apps/v1", "Deployment", target}};

        snprintf(ns, sizeof(ns), "team-%d", i % 100);
        snprintf(name, sizeof(name), "%sobject-%d", scalers ? "keda-hpa-" : "", i);
        snprintf(target, sizeof(target), "app-%d", i);
        snprintf(owner, sizeof(owner), "object-%d", i);
        claim.other = scalers ? owner : NULL;
        claim_index_put(index, &claim);
    }
}

struct world {
    struct claim_index *scalers, *objects;
    struct policy_settings settings;
    struct arena *arena;
    struct text out;
    struct admission_scaler found_scaler;
    struct admission_other found_other;
    struct admission_facts facts;
};

static void on_scaler(void *arg, const struct claim *c)
{
    struct world *w = arg;

    w->found_scaler = (struct admission_scaler){.name = c->name, .target = c->target, .owner = c->other};
    w->facts.scaler_count = 1;
}

static void on_other(void *arg, const struct claim *c)
{
    struct world *w = arg;

    w->found_other = (struct admission_other){.name = c->name, .target = c->target, .hpa_name = c->other};
    w->facts.other_count = 1;
}

static bool review(struct world *w, const char *body, size_t length)
{
    struct admission_answer answer;
    struct review_input input;
    const struct admission *a;
    struct error err;

    w->facts = (struct admission_facts){.scalers = &w->found_scaler, .others = &w->found_other};
    if (!review_read(body, length, ADMIT_SCALED_OBJECT, w->arena, &input, &err))
        return false;
    a = admission_begin(w->arena, &input.review, &w->settings);
    claim_index_on_target(w->scalers, a->ns, &a->target, on_scaler, w);
    claim_index_on_target(w->objects, a->ns, &a->target, on_other, w);
    claim_index_on_scaler(w->objects, a->ns, a->hpa_name, on_other, w);
    admission_decide(a, &w->facts, &answer);
    text_clear(&w->out);
    review_write(input.uid, &answer, &w->out);
    arena_reset(w->arena);
    return answer.allowed;
}

/* ------------------------------------------------------------------ figures */

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

int main(void)
{
    static char body[REVIEW_MAX_BYTES];
    struct world w = {
        .scalers = claim_index_new(false), .objects = claim_index_new(true), .arena = arena_new(ARENA_USUAL)};
    long before_index = resident_bytes(), index_bytes, base = 0;
    double spent = 0;
    int counted = 0;

    policy_settings_default(&w.settings);
    w.settings.mode = DECIDE_HPA;
    text_init(&w.out, REVIEW_MAX_BYTES);
    fill(w.objects, false);
    fill(w.scalers, true);
    index_bytes = resident_bytes() - before_index;
    for (int i = 0; i < OBJECTS; i++) {
        for (int update = 0; update < 2; update++) {
            size_t length = write_review(body, i, update);
            double start = cpu_s();

            if (!review(&w, body, length)) {
                fprintf(stderr, "object-%d was refused: %s\n", i, w.out.bytes);
                return 1;
            }
            spent += i >= WARM_UP ? cpu_s() - start : 0;
            counted += i >= WARM_UP;
        }
        if (i == WARM_UP)
            base = resident_bytes();
    }
    printf("{\"webhook_per_s\":%.0f,\"growth_bytes\":%ld,\"index_bytes\":%ld,\"objects\":%d,\"reviews\":%d}\n",
           counted / spent, resident_bytes() - base, index_bytes, OBJECTS, counted);
    text_done(&w.out);
    arena_free(w.arena);
    claim_index_free(w.objects);
    claim_index_free(w.scalers);
    return 0;
}

/*
 * faults_jobs: a ScaledJob among the objects. Whatever its source says and however often Weir is killed: never more unfinished jobs than
 * the maximum, and none that nobody asked for once the queue stands still.
 */
#include "faults.h"

#include <stdio.h>
#include <string.h>

#include "base/time.h"

static void put(struct jobs *jobs)
{
    static const char *const strategies[] = {"default", "accurate", "eager", "custom"};
    struct dice d = {mix(jobs->seed, 300 + jobs->version)};
    char yaml[2000];

    memmove(&jobs->max[1], &jobs->max[0], sizeof(jobs->max) - sizeof(jobs->max[0]));
    jobs->max[0] = 1 + (int32_t)roll(&d, 15);
    snprintf(yaml, sizeof(yaml),
             "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work%s}\nspec:\n"
             "  jobTargetRef: {template: {spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n"
             "  pollingInterval: %u\n  maxReplicaCount: %d\n  scalingStrategy: {strategy: %s}\n  triggers:\n"
             "  - {type: prometheus, metadata: {serverAddress: 'http://%s', query: load, threshold: '%u'}}\n",
             chance(&d, 8) ? ", annotations: {autoscaling.keda.sh/paused: 'true'}" : "", 1 + (unsigned)roll(&d, 20),
             jobs->max[0], strategies[roll(&d, 2)], jobs->source.host, 1 + (unsigned)roll(&d, 20));
    stage_manifest(jobs->stage, "jobs.yaml", yaml, strlen(yaml));
}

void jobs_begin(struct jobs *jobs, struct stage *stage, uint64_t seed, int64_t calm_from_ms)
{
    *jobs = (struct jobs){.stage = stage, .seed = seed};
    jobs->source =
        (struct source){.stage = stage, .seed = mix(seed, 55), .type = SOURCE_PROMETHEUS, .calm_from_ms = calm_from_ms};
    snprintf(jobs->source.host, sizeof(jobs->source.host), "src-jobs.local");
    source_begin(&jobs->source);
    put(jobs);
}

void jobs_happen(struct jobs *jobs, struct dice *d)
{
    for (uint64_t i = roll(d, 4); i > 0; i--)
        stage_job_begin(jobs->stage, "work");
    for (uint64_t i = roll(d, 4); i > 0; i--)
        stage_job_finish(jobs->stage, "work", chance(d, 70));
    if (chance(d, 5))
        stage_manifest(jobs->stage, "jobs.yaml", "{ not: [yaml", 12);
    if (chance(d, 8)) {
        jobs->version++;
        put(jobs);
    }
}

void jobs_calm(struct jobs *jobs)
{
    jobs->version++;
    put(jobs);
}

static size_t greatest_max(const struct jobs *jobs)
{
    int32_t max = 0;

    for (size_t i = 0; i < sizeof(jobs->max) / sizeof(jobs->max[0]); i++)
        max = jobs->max[i] > max ? jobs->max[i] : max;
    return (size_t)max;
}

const char *jobs_examine(struct jobs *jobs)
{
    size_t now = stage_jobs(jobs->stage, "work", false), before = jobs->seen;

    jobs->seen = now;
    if (now > before && now > greatest_max(jobs) &&
        (jobs->killed_ms == 0 || stage_now_ms(jobs->stage) - jobs->killed_ms > 45 * SECOND_MS))
        return "more jobs than the maximum were made";
    if (jobs->settled > 0 && now != jobs->settled - 1)
        return "the number of jobs changes although the queue stands still";
    return NULL;
}

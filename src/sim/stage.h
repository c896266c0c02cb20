/*
 * stage: the running system on virtual time. The real autoscaler, triggers, formulas and decisions on the virtual loop and transport,
 * and a simulated platform whose pods become ready when they are told to.
 *
 *     struct stage *s = stage_new(&(struct stage_options){.seed = 1, .start_at_ms = at_ms});
 *     stage_workload(s, "default", "Deployment", "app-a", 1);
 *     stage_manifest(s, "a.yaml", bytes, length);
 *     stage_run_until(s, 600 * SECOND_MS);                   -- since the start
 *     stage_replicas(s, "default", "Deployment", "app-a");
 *
 * Sources are whoever answers in the virtual world (virtual_answer, virtual_talk, stage_source). The platform can be made to lie and to fail.
 */
#ifndef WEIR_SIM_STAGE_H
#define WEIR_SIM_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "autoscaler/autoscaler.h"
#include "policy/policy.h"

struct stage;
struct virtual_world;

struct stage_options {
    uint64_t seed;
    int64_t start_at_ms;
    const struct policy_settings *settings; /* NULL: defaults */
    const char *journal;                    /* path, or NULL: in memory */
    int64_t ready_after_ms;                 /* of new pods */
    int64_t write_takes_ms;                 /* of a scale write */
    const struct autoscaler_hooks *hooks;   /* NULL: nobody looks on */
    bool invent; /* every variable, Secret and ConfigMap key that is asked for has some value */
};

struct stage *stage_new(const struct stage_options *options);
void stage_free(struct stage *stage);
struct virtual_world *stage_world(struct stage *stage);
struct autoscaler *stage_autoscaler(struct stage *stage);
struct platform *stage_platform(struct stage *stage);

/* A workload with so many ready pods; cpu and memory requests of a pod in milli units (0: none). */
void stage_workload(struct stage *stage, const char *ns, const char *kind, const char *name, int32_t replicas);
void stage_workload_requests(struct stage *stage, const char *name, int64_t cpu_milli, int64_t memory_milli);
void stage_workload_remove(struct stage *stage, const char *name);
/* A HorizontalPodAutoscaler of somebody else has changed the count; NULL: it is gone. hpa: static text. */
void stage_workload_rival(struct stage *stage, const char *name, const char *hpa);
void stage_workload_without_scale(struct stage *stage, const char *name); /* it is there, and has no count */
/* Usage of every pod as a share of its request (0.5: half); negative: the metrics are not there. */
void stage_workload_usage(struct stage *stage, const char *name, double cpu_ratio, double memory_ratio);
void stage_manifest(struct stage *stage, const char *file, const char *bytes, size_t length); /* bytes NULL: gone */

/* Kills the autoscaler without a word and starts a new one on the same journal and platform: kill -9 and restart. */
void stage_restart(struct stage *stage);
/* The next n scale writes fail. */
void stage_fail_writes(struct stage *stage, int n);
/* Asked as each write begins: true lets it fail; *takes_ms may be changed. NULL: nobody. */
typedef bool stage_obstruct(void *arg, const char *name, int64_t *takes_ms);
void stage_on_begin(struct stage *stage, stage_obstruct *obstruct, void *arg);
/* Somebody else writes the scale. */
void stage_scale(struct stage *stage, const char *name, int32_t replicas);
/* Pods of the workload stop being ready (and come back after ready_after_ms). */
void stage_unready(struct stage *stage, const char *name);

int64_t stage_now_ms(const struct stage *stage); /* since the start, without jumps */
void stage_run_until(struct stage *stage, int64_t since_start_ms);
int32_t stage_replicas(struct stage *stage, const char *name); /* spec; -1: there is no such workload */
int32_t stage_ready(struct stage *stage, const char *name);
uint64_t stage_writes(const struct stage *stage); /* scale writes that reached the platform */

/* Told of every scale write as it lands. */
typedef void stage_wrote(void *arg, const char *name, int32_t before, int32_t after, int64_t since_start_ms);
void stage_on_write(struct stage *stage, stage_wrote *wrote, void *arg);

/* ---- the stage as a cluster: objects are resources with a status; there is one from the first of these calls on ---- */
void stage_cluster(struct stage *stage);
void stage_resource(struct stage *stage,
                    const char *yaml); /* made, or changed; a status in it replaces the one there */
/* key: "ScaledObject/shop/checkout" */
void stage_resource_delete(struct stage *stage, const char *key);
void stage_resource_move(struct stage *stage, const char *key, bool away); /* to another Weir, or from it to this one */
bool stage_resource_exists(struct stage *stage, const char *key);
const char *stage_status(struct stage *stage, const char *key);   /* JSON; NULL: there is no such resource */
const char *stage_metadata(struct stage *stage, const char *key); /* the members, JSON without braces */
uint64_t stage_status_writes(const struct stage *stage);
uint64_t stage_told_again(const struct stage *stage); /* how often the autoscaler asked to be told again */
void stage_may_write(struct stage *stage, bool may);
/* Objects are spread over several Weirs, and what is made, changed or moved from now on is another's. */
void stage_elsewhere(struct stage *stage, bool elsewhere);
/* How many events there were of that object and reason whose text has that in it; NULL: any. */
size_t stage_events(const struct stage *stage, const char *key, const char *reason, const char *text);
const char *stage_hpa(struct stage *stage, const char *ns, const char *name); /* JSON; NULL: there is none */
void stage_put_hpa(struct stage *stage, const char *ns, const char *name, const char *owner_uid); /* somebody else's */
void stage_hpa_says(struct stage *stage, const char *ns, const char *name, const char *active, const char *reason,
                    const char *message);
/* A key of a Secret or ConfigMap; value NULL: it is being looked up. What nobody says is absent, or invented. */
void stage_data(struct stage *stage, const char *ns, const char *name, const char *key, const char *value);

/* ScaledJobs: jobs of that owner that run; finishing the oldest running one. */
size_t stage_jobs(struct stage *stage, const char *owner, bool finished);
/* Jobs that are there already; before the manifest or after it. */
void stage_put_jobs(struct stage *stage, const char *owner, int32_t running, int32_t pending);
/* false: Jobs are being listed and targets being looked for from now on, so that nothing can be concluded from them. */
void stage_known(struct stage *stage, bool known);
/* Conditions of pods by which pending is counted for that owner, with commas; NULL: nobody needs it exactly. */
const char *stage_pending_conditions(struct stage *stage, const char *owner);
void stage_job_begin(struct stage *stage, const char *owner); /* a pending one starts to run */
bool stage_job_finish(struct stage *stage, const char *owner, bool succeeded);

#endif

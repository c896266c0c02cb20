/*
 * jobs: the arithmetic of a ScaledJob in pieces (keda-operator/04-scaledjob.md); decide_jobs() strings them together.
 * Pure: what runs and what is finished is told by the caller.
 */
#ifndef WEIR_DECIDE_JOBS_H
#define WEIR_DECIDE_JOBS_H

#include "decide/decide.h"

struct job_bounds {
    int32_t min, max; /* max is the head-room above the minimum, not maxReplicaCount (section 2) */
};
struct job_bounds job_bounds(const struct job_rules *rules);

struct job_queue { /* of one trigger */
    double length, max_value;
    bool active;
};
/* How many jobs a queue asks for; target 0: none given, so none. */
double job_max_value(double length, double target, int32_t max);

struct job_wish { /* of all triggers together */
    bool active;
    double queue_length, max_value;
    int32_t scale_to, max_scale;
};
void job_combine(const struct job_queue *queues, size_t count, enum job_combination combination,
                 const struct job_bounds *bounds, struct job_wish *out);

/* How many more may run; may be negative. *scale_to may be replaced (below the minimum, and with eager). */
int32_t job_effective(const struct job_rules *rules, int32_t running, int32_t pending, int32_t max_scale,
                      int32_t *scale_to);

struct job_pod {
    enum pod_phase phase;
    const char *const *conditions; /* types whose status is True */
    size_t condition_count;
};
/* Is an unfinished job still waiting? wanted: pendingPodConditions; none: one pod that runs or succeeded is enough. */
bool job_is_pending(const char *const *wanted, size_t wanted_count, const struct job_pod *pods, size_t pod_count);

struct job_finished {
    bool succeeded;
    int64_t at_ms; /* completionTime; 0: none, taken for the oldest */
};
/* Which finished jobs are beyond the history limits: sets remove[i]; the oldest go first. */
void job_history(const struct job_finished *jobs, size_t count, int32_t successful_limit, int32_t failed_limit,
                 bool *remove);

#endif

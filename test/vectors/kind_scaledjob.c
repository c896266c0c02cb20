/*
 * scaledjob: the arithmetic of jobs. One kind for each of its steps: a trigger's queue, all queues together, how many
 * may run, which are pending, which finished ones go.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decide/jobs.h"
#include "decide_case.h"

enum { JOBS_MAX = 256, PODS_MAX = 64 };

static struct job_rules read_rules(const struct tree *in)
{
    const struct tree *strategy = tree_get(in, "scalingStrategy");
    const char *name = string_or(strategy, "strategy", ""),
               *combination = string_or(in, "multipleScalersCalculation", "");
    const char *ratio = string_or(strategy, "customScalingRunningJobPercentage", "");
    struct job_rules rules = {.min = count_or(in, "minReplicaCount", -1), .max = count_or(in, "maxReplicaCount", -1)};

    rules.strategy = strcmp(name, "custom") == 0     ? JOB_CUSTOM
                     : strcmp(name, "accurate") == 0 ? JOB_ACCURATE
                     : strcmp(name, "eager") == 0    ? JOB_EAGER
                                                     : JOB_DEFAULT;
    rules.combination = strcmp(combination, "min") == 0   ? JOB_COMBINE_MIN
                        : strcmp(combination, "avg") == 0 ? JOB_COMBINE_AVG
                        : strcmp(combination, "sum") == 0 ? JOB_COMBINE_SUM
                                                          : JOB_COMBINE_MAX;
    rules.custom_deduction = count_or(strategy, "customScalingQueueLengthDeduction", 0);
    if (!number_parse(ratio, strlen(ratio), &rules.custom_running_ratio))
        rules.custom_running_ratio = NAN;
    return rules;
}

static void run_queue(struct decide_case *c)
{
    const struct tree *specs = tree_get(c->in, "specs"), *metrics = tree_get(c->in, "metrics");
    double length = 0, target = 0;

    for (const struct tree *m = metrics->first; m; m = m->next)
        if (specs->first && string_equal(string_or(m, "name", ""), string_or(specs->first, "name", "")))
            length += number_or(m, "value", 0);
    for (const struct tree *s = specs->first; s; s = s->next)
        if (strcmp(string_or(s, "targetType", ""), "AverageValue") == 0)
            target += number_or(s, "target", 0);
    if (specs->count > 0)
        target /= (double)specs->count;
    struct job_rules rules = read_rules(c->in);
    compare_number(c, c->expect, "queueLength", length);
    compare_number(c, c->expect, "targetAverageValue", target);
    compare_number(c, c->expect, "maxValue", job_max_value(length, target, job_bounds(&rules).max));
}

static void run_combine(struct decide_case *c)
{
    const struct tree *scalers = tree_get(c->in, "scalers");
    struct job_rules rules = read_rules(c->in);
    struct job_bounds bounds = job_bounds(&rules);
    struct job_queue queues[TRIGGERS_MAX];
    struct job_wish wish;
    size_t count = 0;

    for (const struct tree *s = scalers->first; s && count < TRIGGERS_MAX; s = s->next)
        queues[count++] = (struct job_queue){.length = number_or(s, "queueLength", 0),
                                             .max_value = number_or(s, "maxValue", 0),
                                             .active = flag(s, "active")};
    for (size_t i = 0; i < count; i++) { /* binary fractions are not quantities */
        tree_number(tree_get(tree_index(scalers, i), "queueLength"), &queues[i].length);
        tree_number(tree_get(tree_index(scalers, i), "maxValue"), &queues[i].max_value);
    }
    job_combine(queues, count, rules.combination, &bounds, &wish);
    compare_flag(c, c->expect, "active", wish.active);
    compare_integer(c, c->expect, "scaleTo", wish.scale_to);
    compare_integer(c, c->expect, "maxScale", wish.max_scale);
    compare_number(c, c->expect, "maxValue", wish.max_value);
}

static void run_decision(struct decide_case *c)
{
    struct job_rules rules = read_rules(c->in);
    int32_t scale_to = count_or(c->in, "scaleTo", 0);
    int32_t effective = job_effective(&rules, count_or(c->in, "running", 0), count_or(c->in, "pending", 0),
                                      count_or(c->in, "maxScale", 0), &scale_to);
    int32_t created = effective < 0 ? 0 : effective < scale_to ? effective : scale_to;

    compare_integer(c, c->expect, "effectiveMaxScale", effective);
    compare_integer(c, c->expect, "scaleTo", scale_to);
    compare_integer(c, c->expect, "created", created);
}

static size_t read_strings(struct arena *arena, const struct tree *list, const char ***out)
{
    size_t count = 0;

    *out = arena_array(arena, tree_count(list) + 1, sizeof(**out));
    for (const struct tree *s = list ? list->first : NULL; s; s = s->next)
        (*out)[count++] = tree_string(s);
    return count;
}

static void read_pod(struct decide_case *c, const struct tree *p, struct job_pod *out)
{
    static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown"};
    const struct tree *conditions = tree_get(p, "conditions");
    const char **types = arena_array(c->arena, tree_count(conditions) + 1, sizeof(*types));

    *out = (struct job_pod){.phase = POD_UNKNOWN, .conditions = types};
    for (int i = 0; i < 5; i++)
        if (strcmp(string_or(p, "phase", ""), phases[i]) == 0)
            out->phase = (enum pod_phase)i;
    for (const struct tree *e = conditions ? conditions->first : NULL; e; e = e->next)
        if (strcmp(string_or(e, "status", ""), "True") == 0)
            types[out->condition_count++] = string_or(e, "type", "");
}

static void run_pending(struct decide_case *c)
{
    const char **wanted;
    size_t wanted_count = read_strings(c->arena, tree_get(c->in, "pendingPodConditions"), &wanted);
    int64_t running = 0, pending = 0;

    for (const struct tree *j = tree_get(c->in, "jobs")->first; j; j = j->next) {
        struct job_pod pods[PODS_MAX];
        const struct tree *list = tree_get(j, "pods");
        size_t count = 0;

        if (*string_or(j, "finished", ""))
            continue;
        for (const struct tree *p = list ? list->first : NULL; p && count < PODS_MAX; p = p->next)
            read_pod(c, p, &pods[count++]);
        running++;
        pending += job_is_pending(wanted, wanted_count, pods, count);
    }
    compare_integer(c, c->expect, "running", running);
    compare_integer(c, c->expect, "pending", pending);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void run_cleanup(struct decide_case *c)
{
    struct job_finished jobs[JOBS_MAX];
    const char *names[JOBS_MAX], *deleted[JOBS_MAX];
    bool remove[JOBS_MAX] = {false};
    size_t count = 0, gone = 0;

    for (const struct tree *j = tree_get(c->in, "jobs")->first; j && count < JOBS_MAX; j = j->next) {
        if (*string_or(j, "condition", "") == '\0')
            continue;
        names[count] = string_or(j, "name", "");
        jobs[count] = (struct job_finished){.succeeded = strcmp(string_or(j, "condition", ""), "Complete") == 0};
        instant_parse(string_or(j, "completionTime", ""), &jobs[count].at_ms);
        count++;
    }
    job_history(jobs, count, count_or(c->in, "successfulJobsHistoryLimit", 100),
                count_or(c->in, "failedJobsHistoryLimit", 100), remove);
    for (size_t i = 0; i < count; i++)
        if (remove[i])
            deleted[gone++] = names[i];
    qsort(deleted, gone, sizeof(deleted[0]), by_name);
    const struct tree *expected = tree_get(c->expect, "deleted");
    if (tree_count(expected) != gone)
        differ(c, "deleted", (int64_t)tree_count(expected), (int64_t)gone);
    for (size_t i = 0; i < gone && i < tree_count(expected); i++)
        if (!string_equal(tree_string(tree_index(expected, i)), deleted[i]))
            differ_text(c, "deleted", tree_string(tree_index(expected, i)), deleted[i]);
}

static const struct {
    const char *kind;
    void (*run)(struct decide_case *);
} kinds[] = {
    {"job-queue", run_queue},     {"job-combine", run_combine}, {"job-decision", run_decision},
    {"job-pending", run_pending}, {"job-cleanup", run_cleanup},
};

enum vector_outcome vector_scaledjob(const struct tree *c, const char *path, struct vector_result *result)
{
    struct decide_case one = {.in = tree_get(c, "in"), .expect = tree_get(c, "expect"), .result = result};
    const char *kind = string_or(c, "kind", "");

    (void)path;
    one.arena = arena_new(ARENA_USUAL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            one.same = true;
            kinds[i].run(&one);
        }
    }
    arena_free(one.arena);
    if (!one.same && result->got.length == 0)
        text_printf(&result->got, "no kind of case called %s", kind);
    return one.same ? VECTOR_PASSED : VECTOR_FAILED;
}

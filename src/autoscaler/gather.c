/*
 * gather: what is known of an object at this moment, as decide() takes it: the last samples, the replicas, the pods where a trigger is read
 * from them. For the turn, which decides with it, and for what_if.c, which changes some of it first. Nothing is asked or noted.
 */
#include "autoscaler/autoscaler_internal.h"

/* Of the container that the rules name, where the platform tells containers apart; else of the whole pod. */
static struct pod_usage usage_of(const struct pod_view *pod, const char *container, bool cpu)
{
    for (size_t i = 0; container && i < pod->container_count; i++)
        if (string_equal(pod->containers[i].name, container))
            return cpu ? pod->containers[i].cpu : pod->containers[i].memory;
    if (container && pod->containers)
        return (struct pod_usage){0};
    return cpu ? pod->cpu : pod->memory;
}

static void fill_usage(const struct policy *policy, const struct pod_view *pod, struct pod_usage *usage)
{
    size_t at = 0;

    for (size_t i = 0; i < policy->rules.trigger_count; i++) {
        const struct decide_trigger *trigger = &policy->rules.triggers[i];

        if (trigger->kind != METRIC_EXTERNAL)
            usage[at++] = usage_of(pod, trigger->container, trigger->kind == METRIC_CPU);
    }
}

size_t gather_resources(const struct policy *policy)
{
    size_t resources = 0;

    for (size_t i = 0; i < policy->rules.trigger_count; i++)
        resources += policy->rules.triggers[i].kind != METRIC_EXTERNAL;
    return resources;
}

enum lookup gather_usage(const struct object *object)
{
    const struct platform_ops *ops = object->a->parts.platform->ops;

    return ops->target_usage && object->target ? ops->target_usage(object->target, NULL) : LOOKUP_FOUND;
}

static void gather_pods(const struct object *object, struct decide_facts *facts, struct arena *arena)
{
    const struct pod_view *views;
    const struct policy *policy = object->policy;
    size_t resources = gather_resources(policy);

    if (resources == 0)
        return;
    facts->pods_failed = gather_usage(object) != LOOKUP_FOUND;
    size_t count = object->a->parts.platform->ops->target_pods(object->target, &views);
    struct pod_fact *pods = arena_array(arena, count ? count : 1, sizeof(*pods));
    for (size_t i = 0; i < count; i++) {
        struct pod_usage *usage = arena_array(arena, resources, sizeof(*usage));

        fill_usage(policy, &views[i], usage);
        pods[i] = (struct pod_fact){.name = views[i].name,
                                    .phase = views[i].phase,
                                    .ready = views[i].ready,
                                    .deleted = views[i].deleted,
                                    .start_at_ms = views[i].start_at_ms,
                                    .ready_at_ms = views[i].ready_at_ms,
                                    .usage = usage};
    }
    facts->pods = pods;
    facts->pod_count = count;
}

const double *gather_targets(const struct object *object, struct arena *arena)
{
    size_t count = object->policy->trigger_count;
    double *targets = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct trigger *trigger = object->policy->triggers[i].trigger;
        double target = trigger ? trigger_told_target(trigger) : 0;

        if (target <= 0)
            continue;
        if (!targets)
            targets = arena_array(arena, count, sizeof(*targets));
        targets[i] = target;
    }
    return targets;
}

/* A trigger that could not be built counts as failed: it makes none of the others useless (09-quirks 2.2). */
static struct sample trigger_sample(const struct object *object, size_t i, int64_t now_ms)
{
    if (object->policy->triggers[i].error && object->triggers[i].sample.state == SAMPLE_NONE)
        return (struct sample){.state = SAMPLE_FAILED, .at_ms = now_ms};
    return object->triggers[i].sample;
}

void object_gather(const struct object *object, int64_t now_ms, struct arena *arena, struct decide_facts *facts)
{
    size_t count = object->policy->trigger_count;
    struct sample *samples = arena_array(arena, count, sizeof(*samples));
    struct series **series = arena_array(arena, count, sizeof(*series));
    int64_t *good = arena_array(arena, count, sizeof(*good));
    struct target_view target; /* large: only what is needed of it is set */

    target.known = false;
    target.replicas = target.status_replicas = target.ready_replicas = 0;
    object->a->parts.platform->ops->target_view(object->target, &target);
    for (size_t i = 0; i < count; i++) {
        samples[i] = trigger_sample(object, i, now_ms);
        series[i] = object->triggers[i].series;
        good[i] = object->triggers[i].good_at_ms;
    }
    *facts = (struct decide_facts){.now_ms = now_ms,
                                   .replicas = target.known ? target.replicas : -1,
                                   .status_replicas = target.status_replicas,
                                   .ready_replicas = target.ready_replicas,
                                   .samples = samples,
                                   .series = series,
                                   .good_at_ms = good,
                                   .targets = gather_targets(object, arena)};
    gather_pods(object, facts, arena);
}

/*
 * simulation_platform: what runs in a simulation: the pods of one target, of the model or, without one, each ready so long after it was made.
 * Nothing else exists here: no Secrets, no Jobs, no cluster. The model is let run only when somebody looks.
 */
#include "sim/simulation_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/virtual.h"

enum { AGE_AT_START_MS = 3600 * 1000 }; /* pods that were there at the start are no newcomers to the HPA's rules */

static struct simulation *simulation_of(struct target *target)
{
    return (struct simulation *)(void *)target;
}

/* ------------------------------------------------------------------ pods without a model */

static void add_pods(struct simulation *s, int32_t count, int64_t created_ms)
{
    struct sim_pods *pods = &s->pods;

    if (pods->count + (size_t)count > pods->size) {
        pods->size = pods->count + (size_t)count + 16;
        pods->created_ms = mem_grow(pods->created_ms, pods->size, sizeof(*pods->created_ms));
    }
    for (int32_t i = 0; i < count; i++)
        pods->created_ms[pods->count++] = created_ms;
}

/* The youngest first: those that start before those that are ready. */
static void set_pods(struct simulation *s, int32_t replicas)
{
    if ((size_t)replicas < s->pods.count)
        s->pods.count = (size_t)replicas;
    else
        add_pods(s, replicas - (int32_t)s->pods.count, simulation_now_ms(s));
}

static int32_t ready_pods(const struct simulation *s)
{
    int64_t now = simulation_now_ms(s);
    size_t ready = s->pods.count;

    while (ready > 0 && s->pods.created_ms[ready - 1] + s->options.ready_after_ms > now)
        ready--;
    return (int32_t)ready;
}

void simulation_place(struct simulation *s, int32_t replicas, int32_t ready)
{
    simulation_count_time(s, simulation_now_ms(s));
    s->spec = replicas;
    s->pods.count = 0;
    add_pods(s, ready < replicas ? ready : replicas, simulation_now_ms(s) - s->options.ready_after_ms);
    add_pods(s, replicas - (int32_t)s->pods.count, simulation_now_ms(s));
}

void simulation_start_pods(struct simulation *s, int32_t replicas)
{
    s->spec = replicas;
    s->result.highest = s->result.lowest = replicas;
    if (!s->model)
        add_pods(s, replicas, -s->options.ready_after_ms - AGE_AT_START_MS);
}

/* ------------------------------------------------------------------ looking and writing */

void simulation_look(struct simulation *s)
{
    int64_t now = simulation_now_ms(s);

    if (s->model && now != s->model_at_ms) {
        s->finished |= !model_until(s->model, now * NS_PER_MS);
        s->model_at_ms = now;
        s->counts_known = s->snapshot_taken = false;
    }
    if (s->counts_known && s->model)
        return;
    if (s->model)
        model_counts(s->model, &s->counts);
    else
        s->counts = (struct model_counts){.replicas = s->spec, .ready = ready_pods(s)};
    if (!s->model)
        s->counts.pending = s->spec - s->counts.ready;
    s->counts_known = true;
}

void simulation_count_time(struct simulation *s, int64_t until_ms)
{
    if (until_ms > s->duration_ms)
        until_ms = s->duration_ms;
    if (until_ms <= s->counted_until_ms)
        return;
    s->result.replica_seconds += (double)s->spec * (double)(until_ms - s->counted_until_ms) / 1000;
    s->counted_until_ms = until_ms;
}

static void note_event(struct simulation *s, int32_t before, int32_t after)
{
    if (s->event_count == s->event_size) {
        s->event_size = s->event_size ? 2 * s->event_size : 64;
        s->events = mem_grow(s->events, s->event_size, sizeof(*s->events));
    }
    s->events[s->event_count++] =
        (struct serving_event){.at_ns = simulation_now_ms(s) * NS_PER_MS, .before = before, .after = after};
}

void simulation_scale(struct simulation *s, int32_t replicas)
{
    simulation_look(s);
    if (replicas == s->spec)
        return;
    simulation_count_time(s, simulation_now_ms(s));
    if (s->model) {
        model_scale(s->model, replicas);
    } else {
        note_event(s, s->spec, replicas);
        set_pods(s, replicas);
    }
    s->spec = replicas;
    s->counts_known = false;
    if (replicas > s->result.highest)
        s->result.highest = replicas;
    if (replicas < s->result.lowest)
        s->result.lowest = replicas;
}

/* ------------------------------------------------------------------ the platform's table */

static struct target *on_watch(struct platform *platform, const struct target_key *key, platform_changed *changed,
                               void *arg)
{
    (void)key, (void)changed, (void)arg;
    return (struct target *)(void *)platform;
}

static void on_unwatch(struct target *target)
{
    (void)target;
}

static void on_view(struct target *target, struct target_view *out)
{
    struct simulation *s = simulation_of(target);

    simulation_look(s);
    out->known = true;
    out->error.kind = ERROR_NONE; /* its texts are left as they are: half a KB, and asked for at every turn */
    out->replicas = s->counts.replicas;
    out->status_replicas = s->counts.ready + s->counts.pending;
    out->ready_replicas = s->counts.ready;
    out->group = out->version = out->kind = out->resource = NULL;
}

/* Usage and request of a pod in thousandths of what its container asks for (a core or a GiB where it does not say). */
static struct pod_usage usage_of(struct simulation *s, bool cpu, int64_t now_ms)
{
    int64_t request = s->workload ? (cpu ? s->workload->template.main.cpu_request_milli
                                         : s->workload->template.main.memory_request_milli)
                                  : -1;
    double ratio;

    if (request <= 0)
        request = cpu ? 1000 : INT64_C(1000) << 30;
    if (!simulation_usage(s, cpu, &ratio))
        return (struct pod_usage){.has_request = true, .request = request};
    return (struct pod_usage){.has_usage = true,
                              .has_request = true,
                              .usage = (int64_t)(ratio * (double)request + 0.5),
                              .request = request,
                              .at_ms = now_ms,
                              .window_ms = 60 * 1000};
}

static int64_t pod_age_ms(const struct simulation *s, size_t pod, bool ready)
{
    if (s->model)
        return ready ? AGE_AT_START_MS : 0;
    return simulation_now_ms(s) - s->pods.created_ms[pod];
}

/* Each on a node of its own. */
static size_t on_pods(struct target *target, const struct pod_view **out)
{
    struct simulation *s = simulation_of(target);
    int64_t now = loop_now_ms(s->loop);

    simulation_look(s);
    size_t ready = (size_t)s->counts.ready, count = ready + (size_t)s->counts.pending;
    struct pod_usage cpu = usage_of(s, true, now), memory = usage_of(s, false, now);
    free(s->views);
    s->views = mem_array(count ? count : 1, sizeof(*s->views));
    for (size_t i = 0; i < count; i++) {
        int64_t age = pod_age_ms(s, i, i < ready);

        s->views[i] = (struct pod_view){.name = "",
                                        .labels = s->labels,
                                        .label_count = s->label_count,
                                        .phase = i < ready ? POD_RUNNING : POD_PENDING,
                                        .ready = i < ready ? POD_READY_TRUE : POD_READY_FALSE,
                                        .start_at_ms = now - age,
                                        .ready_at_ms = now - age + (i < ready ? s->options.ready_after_ms : 0),
                                        .host = "127.0.0.1",
                                        .note = "",
                                        .node = "",
                                        .cpu = i < ready ? cpu : (struct pod_usage){0},
                                        .memory = i < ready ? memory : (struct pod_usage){0}};
    }
    *out = s->views;
    return count;
}

void simulation_landed(void *arg)
{
    struct simulation *s = arg;
    platform_done *done = s->landed;
    struct error err;

    s->landed = NULL;
    error_set(&err, ERROR_UNREACHABLE, "it was not carried out when it was recorded");
    if (done)
        done(s->landed_arg, simulation_replay_fails(s) ? &err : NULL);
}

/* It is carried out at once, and said a turn later; the autoscaler waits for that before it writes again. */
static void on_scale(struct target *target, int32_t replicas, const char *reason, platform_done *done, void *arg)
{
    struct simulation *s = simulation_of(target);

    (void)reason;
    if (!simulation_replay_fails(s))
        simulation_scale(s, replicas);
    s->landed = done;
    s->landed_arg = arg;
    loop_timer_set(s->landing, 0);
}

static enum lookup on_env(struct platform *platform, const struct target_key *key, const char *container,
                          const char *name, struct secret **out)
{
    (void)platform, (void)key, (void)container, (void)name, (void)out;
    return LOOKUP_ABSENT;
}

static enum lookup on_data(struct platform *platform, const char *ns, const char *name, const char *key,
                           struct secret **out)
{
    (void)platform, (void)ns, (void)name, (void)key, (void)out;
    return LOOKUP_ABSENT;
}

static size_t on_select(struct platform *platform, const char *ns, const struct selector *selector, struct arena *arena,
                        const struct pod_view ***out)
{
    (void)platform, (void)ns, (void)selector;
    *out = arena_array(arena, 1, sizeof(**out));
    return 0;
}

static void on_data_change(struct platform *platform, void (*changed)(void *arg, const char *ns, const char *name),
                           void *arg)
{
    (void)platform, (void)changed, (void)arg;
}

static void on_stop(struct platform *platform, bool leave_running, platform_done *done, void *arg)
{
    (void)platform, (void)leave_running;
    done(arg, NULL);
}

static void on_free(struct platform *platform)
{
    (void)platform; /* simulation_free */
}

const struct platform_ops simulation_platform_ops = {
    .name = "simulation",
    .target_watch = on_watch,
    .target_unwatch = on_unwatch,
    .target_view = on_view,
    .target_pods = on_pods,
    .target_scale = on_scale,
    .target_env = on_env,
    .pods = on_select,
    .secret_get = on_data,
    .config_get = on_data,
    .on_data_change = on_data_change,
    .stop = on_stop,
    .free = on_free,
};

/* A recording has all that a decision was made of: decided again from it alone, every tick is the same. */
#include "running.h"

#include <dirent.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoscaler/record.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "journal/recording.h"
#include "policy/policy.h"
#include "series/series.h"

static char folder[64];

static const char formula[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n"
    "spec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: 1\n  maxReplicaCount: 40\n  pollingInterval: 10\n"
    "  fallback: {failureThreshold: 3, replicas: 5}\n"
    "  advanced:\n"
    "    horizontalPodAutoscalerConfig:\n      behavior:\n"
    "        scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 20, periodSeconds: 30}]}\n"
    "        scaleUp: {policies: [{type: Pods, value: 4, periodSeconds: 30}]}\n"
    "    scalingModifiers: {target: '10', formula: 'max(avg_over(load, \"1m\"), ema(load, \"45s\")) + rate(count, "
    "\"2m\") + "
    "(missing(load) ? 3 : 0) + age(count) / 100'}\n"
    "  triggers:\n"
    "  - {type: prometheus, name: load, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}}\n"
    "  - {type: prometheus, name: count, metadata: {serverAddress: 'http://prom:9090', query: count, threshold: "
    "'10'}}\n";

static const char resource[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: web\n"
    "spec:\n  scaleTargetRef: {name: web}\n  minReplicaCount: 1\n  maxReplicaCount: 20\n"
    "  triggers:\n"
    "  - {type: cpu, metricType: Utilization, metadata: {value: '50'}}\n"
    "  - {type: prometheus, name: load, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}}\n";

static const char job[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata:\n  name: work\n"
    "spec:\n  pollingInterval: 10\n  jobTargetRef:\n    template:\n      spec:\n"
    "        restartPolicy: Never\n        containers: [{name: c, image: i}]\n"
    "  triggers:\n"
    "  - {type: prometheus, name: load, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}}\n";

/* ------------------------------------------------------------------ recording a run */

static struct autoscaler_record *record; /* NULL: not running */
static struct policy *policies[8];
static size_t policy_count;

static void on_loaded(void *arg, const struct autoscaler_loaded *loaded)
{
    (void)arg;
    assert_true(policy_count < 8);
    policies[policy_count++] = policy_ref((struct policy *)(uintptr_t)loaded->policy);
    autoscaler_record_hooks(record)->loaded(autoscaler_record_hooks(record)->arg, loaded);
}

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    (void)arg;
    autoscaler_record_hooks(record)->decided(autoscaler_record_hooks(record)->arg, decided);
}

static void on_applied(void *arg, const char *key)
{
    (void)arg;
    if (record)
        autoscaler_record_hooks(record)->applied(autoscaler_record_hooks(record)->arg, key);
}

static const struct autoscaler_hooks hooks = {.loaded = on_loaded, .decided = on_decided, .applied = on_applied};

static uint32_t dice(uint32_t sides)
{
    static uint32_t seed = 7;

    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

static void start_recording(struct running *r)
{
    struct error err;

    record = autoscaler_record_new(virtual_loop(stage_world(r->stage)), folder, &err);
    if (!record)
        fail_msg("%s", err.text);
}

/* Minutes of a source that moves, fails and comes back, writes that fail, pods that come late, and Weir killed in the middle. */
static void run(const char *yaml, const char *name, bool cluster)
{
    struct running r = {.prom = {{.query = "load", .value = 30}, {.query = "count"}}, .prom_count = 2};
    const struct stage_options options = {
        .seed = 3, .start_at_ms = START_MS, .ready_after_ms = 20000, .write_takes_ms = 300, .hooks = &hooks};

    running_start(&r, &options);
    start_recording(&r);
    stage_workload(r.stage, "default", "Deployment", name, 2);
    stage_workload_requests(r.stage, name, 1000, 1000);
    if (cluster)
        stage_resource(r.stage, yaml);
    else
        running_manifest(&r, "a.yaml", yaml);
    for (int64_t s = 5; s < 1800; s += 5) {
        r.prom[0].value = dice(4) ? r.prom[0].value : dice(200) / 1.7;
        r.prom[1].value += dice(50) / 3.0;
        r.prom[0].mode = s % 300 < 60 ? (enum prometheus_mode)dice(4) : PROM_VALUE;
        stage_workload_usage(r.stage, name, s % 400 < 50 ? -1 : dice(100) / 90.0, 0.5);
        if (dice(20) == 0)
            stage_fail_writes(r.stage, 1);
        if (s == 900) {
            autoscaler_record_free(record);
            record = NULL;
            start_recording(&r);
            stage_restart(r.stage);
        }
        running_until(&r, s);
    }
    autoscaler_record_free(record);
    record = NULL;
    running_stop(&r);
}

/* ------------------------------------------------------------------ deciding again */

struct replay {
    struct policy *policy; /* borrowed */
    struct decide_memory *memory;
    struct series *series[TRIGGERS_MAX];
    int64_t sampled_at_ms[TRIGGERS_MAX];
    struct decision last;
    size_t objects, ticks, writes, applied, values, held;
};

static void drop(struct replay *replay)
{
    decide_memory_free(replay->memory);
    for (size_t i = 0; i < TRIGGERS_MAX; i++) {
        series_free(replay->series[i]);
        replay->series[i] = NULL;
        replay->sampled_at_ms[i] = INT64_MIN;
    }
    replay->memory = NULL;
}

static void on_object(struct replay *replay, const struct recorded_object *object)
{
    struct policy *policy = replay->policy;

    drop(replay);
    replay->objects++;
    assert_true(object->generation == policy->generation);
    policy->rules.created_at_ms = object->created_at_ms;
    if (policy->is_job)
        return;
    assert_true(decide_memory_read(&policy->rules, object->memory, object->memory_length, &replay->memory));
    for (size_t i = 0; i < policy->trigger_count; i++) {
        int64_t history = policy->triggers[i].history_ms;

        if (history > 0)
            replay->series[i] = series_new(history, (size_t)(history / policy_interval_ms(policy, i, 1)) +
                                                        16); /* as the autoscaler has it */
    }
}

static void on_sample(struct replay *replay, const struct recording_entry *entry)
{
    for (size_t i = 0; i < replay->policy->trigger_count; i++)
        if (strcmp(replay->policy->names[i], entry->trigger) == 0)
            series_restore(replay->series[i], &entry->sample);
}

static void on_tick(struct replay *replay, const struct recorded_tick *tick)
{
    struct decide_facts facts = *tick->facts;
    struct decision *d = &replay->last;

    for (size_t i = 0; i < replay->policy->trigger_count; i++)
        if (replay->series[i] && facts.samples[i].at_ms > replay->sampled_at_ms[i] &&
            facts.samples[i].state != SAMPLE_NONE) {
            series_add(replay->series[i], &facts.samples[i]);
            replay->sampled_at_ms[i] = facts.samples[i].at_ms;
        }
    facts.series = replay->series;
    decide(&replay->policy->rules, &facts, replay->memory, false, d);
    replay->ticks++;
    replay->writes += d->write;
    replay->held += d->held;
    if (d->before != tick->before || d->after != tick->after || d->write != tick->write || d->active != tick->active ||
        d->reason != tick->reason)
        fail_msg("tick %zu: %d -> %d (%s), recorded %d -> %d (%s)", replay->ticks, d->before, d->after,
                 decision_reason_name(d->reason), tick->before, tick->after, decision_reason_name(tick->reason));
    if (tick->has_value) {
        assert_memory_equal(&d->formula.number, &tick->value, sizeof(double));
        replay->values++;
    }
}

static void on_job_tick(struct replay *replay, const struct recorded_job_tick *tick)
{
    struct job_decision d;

    decide_jobs(&replay->policy->job_rules, tick->facts, &d);
    replay->ticks++;
    replay->writes += d.create > 0;
    assert_int_equal(d.create, tick->create);
    assert_memory_equal(&d.queue_length, &tick->queue_length, sizeof(double));
}

static void replay_all(struct replay *replay)
{
    struct recording_entry entry;
    struct error err;
    struct recording *in = recording_open(folder, &err);

    replay->policy = policies[0];
    while (recording_next(in, &entry, &err)) {
        if (entry.kind == RECORDING_OBJECT)
            on_object(replay, &entry.object);
        else if (entry.kind == RECORDING_SAMPLE)
            on_sample(replay, &entry);
        else if (entry.kind == RECORDING_TICK)
            on_tick(replay, &entry.tick);
        else if (entry.kind == RECORDING_JOB_TICK)
            on_job_tick(replay, &entry.job_tick);
        else if (entry.kind == RECORDING_APPLIED) {
            decide_applied(&replay->policy->rules, replay->memory, &replay->last);
            replay->applied++;
        }
    }
    if (err.kind != ERROR_NONE)
        fail_msg("%s: %s", err.where, err.text);
    recording_close(in);
    drop(replay);
}

/* ------------------------------------------------------------------ tests */

static void a_formula_with_history_decides_the_same(void **state)
{
    struct replay replay = {.ticks = 0};

    (void)state;
    run(formula, "app", false);
    assert_int_equal(policy_count, 2); /* it was started twice */
    replay_all(&replay);
    assert_in_range(replay.ticks, 150, 400);
    assert_in_range(replay.writes, 20, 400);
    assert_in_range(replay.applied, 10, replay.writes - 1); /* some failed */
    assert_in_range(replay.values, 100, replay.ticks);
}

static void cpu_and_pods_decide_the_same(void **state)
{
    struct replay replay = {.ticks = 0};

    (void)state;
    run(resource, "web", false);
    replay_all(&replay);
    assert_in_range(replay.ticks, 100, 400);
    assert_in_range(replay.writes, 5, 400);
    assert_in_range(replay.held, 3, 400);
}

/* What ran when Weir came is a wish of that moment: the hand-over alone takes nothing away. */
static void taking_over_decides_the_same(void **state)
{
    struct replay replay = {.ticks = 0};
    struct text yaml;

    (void)state;
    text_init(&yaml, 4096);
    text_printf(&yaml,
                "%sstatus:\n  conditions:\n  - {type: Ready, status: 'True', reason: ScaledObjectReady}\n"
                "  - {type: Active, status: 'True', reason: ScalerActive}\n",
                formula);
    run(yaml.bytes, "app", true);
    text_done(&yaml);
    replay_all(&replay);
    assert_in_range(replay.objects, 4, 4); /* loaded and taken over, twice */
    assert_in_range(replay.ticks, 100, 400);
}

static void jobs_decide_the_same(void **state)
{
    struct replay replay = {.ticks = 0};

    (void)state;
    run(job, "work", false);
    replay_all(&replay);
    assert_in_range(replay.ticks, 150, 400);
    assert_in_range(replay.writes, 1, 400);
}

static int clean(void **state)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[400];

    (void)state;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            unlink(path);
        }
    if (dir)
        closedir(dir);
    while (policy_count > 0)
        policy_unref(policies[--policy_count]);
    return 0;
}

static int name_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/weir-record-%ld", (long)getpid());
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_formula_with_history_decides_the_same, clean),
        cmocka_unit_test_teardown(cpu_and_pods_decide_the_same, clean),
        cmocka_unit_test_teardown(taking_over_decides_the_same, clean),
        cmocka_unit_test_teardown(jobs_decide_the_same, clean),
    };
    return cmocka_run_group_tests(tests, name_folder, remove_folder);
}

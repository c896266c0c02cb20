/* A run that was recorded, simulated with the same policy, decides the same, tick by tick; with another one it parts where that differs. */
#include "../autoscaler/running.h"

#include <dirent.h>
#include <unistd.h>

#include "autoscaler/record.h"
#include "base/error.h"
#include "journal/recording.h"
#include "sim/simulation.h"

static const char policy[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n"
    "spec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: %d\n  maxReplicaCount: 40\n  pollingInterval: 10\n"
    "  fallback: {failureThreshold: 3, replicas: 5}\n  advanced:\n"
    "    horizontalPodAutoscalerConfig:\n      behavior:\n"
    "        scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 20, periodSeconds: 30}]}\n"
    "    scalingModifiers: {target: '10', formula: 'max(avg_over(load, \"1m\"), ema(load, \"45s\")) + rate(count, "
    "\"2m\") + "
    "(missing(load) ? 3 : 0) + age(count) / 100'}\n  triggers:\n"
    "  - {type: prometheus, name: load, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}}\n"
    "  - {type: prometheus, name: count, metadata: {serverAddress: 'http://prom:9090', query: count, threshold: "
    "'10'}}\n";
static const char by_cpu[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n"
    "spec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: %d\n  maxReplicaCount: 20\n  triggers:\n"
    "  - {type: cpu, metricType: Utilization, metadata: {value: '50'}}\n"
    "  - {type: prometheus, name: load, metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}}\n";

static char folder[64];
static struct autoscaler_record *record;

struct tick {
    int64_t at_ms;
    int32_t before, after;
    enum decision_reason reason;
    double value;
};
struct log {
    struct tick ticks[4096];
    size_t count;
};
static struct log lived, simulated;

static void note(struct log *log, int64_t at_ms, const struct decision *d)
{
    assert_true(log->count < sizeof(log->ticks) / sizeof(log->ticks[0]));
    log->ticks[log->count++] = (struct tick){at_ms, d->before, d->after, d->reason, d->formula.number};
}

/* ------------------------------------------------------------------ a run that is recorded */

static void on_loaded(void *arg, const struct autoscaler_loaded *loaded)
{
    (void)arg;
    autoscaler_record_hooks(record)->loaded(autoscaler_record_hooks(record)->arg, loaded);
}

static void on_decided(void *arg, const struct autoscaler_decided *decided)
{
    (void)arg;
    note(&lived, decided->at_ms, decided->decision);
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
    static uint32_t seed = 11;

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

static void begin_again(struct running *r)
{
    autoscaler_record_free(record);
    record = NULL;
    start_recording(r);
    stage_restart(r->stage);
}

/* Half an hour of a source that moves, fails and comes back, writes that fail, somebody else who scales, and a restart. */
static void live(const char *yaml)
{
    struct running r = {.prom = {{.query = "load", .value = 30}, {.query = "count"}}, .prom_count = 2};
    const struct stage_options options = {
        .seed = 3, .start_at_ms = START_MS, .ready_after_ms = 20000, .write_takes_ms = 300, .hooks = &hooks};

    lived.count = 0;
    running_start(&r, &options);
    start_recording(&r);
    stage_workload(r.stage, "default", "Deployment", "app", 2);
    running_manifest(&r, "a.yaml", yaml);
    for (int64_t s = 5; s < 1800; s += 5) {
        r.prom[0].value = dice(4) ? r.prom[0].value : dice(200) / 1.7;
        r.prom[1].value += dice(50) / 3.0;
        r.prom[0].mode = s % 300 < 60 ? (enum prometheus_mode)dice(4) : PROM_VALUE;
        stage_workload_usage(r.stage, "app", s % 400 < 50 ? -1 : dice(100) / 90.0, 0.5);
        if (dice(20) == 0)
            stage_fail_writes(r.stage, 1);
        if (s == 600)
            stage_scale(r.stage, "app", 7);
        if (s == 900)
            begin_again(&r);
        running_until(&r, s);
    }
    autoscaler_record_free(record);
    record = NULL;
    running_stop(&r);
}

/* ------------------------------------------------------------------ the same, simulated */

static void on_tick(void *arg, const struct simulation_tick *tick)
{
    (void)arg;
    note(&simulated, tick->decision->at_ms, tick->decision);
}

static void simulate(const char *yaml, struct simulation_result *result)
{
    struct score_goals goals = SCORE_GOALS_DEFAULT;
    struct error err = {.kind = ERROR_NONE};
    struct recording *recording = recording_open(folder, &err);
    struct simulation *s;

    simulated.count = 0;
    assert_non_null(recording);
    s = simulation_new(&(struct simulation_options){.manifest_name = "a.yaml",
                                                    .manifest = yaml,
                                                    .manifest_length = strlen(yaml),
                                                    .recording = recording,
                                                    .duration_ms = -1,
                                                    .initial = -1,
                                                    .on_tick = on_tick},
                       NULL, &err);
    if (!s)
        fail_msg("%s: %s", err.where, err.text);
    simulation_run(s);
    simulation_result(s, &goals, result);
    simulation_free(s);
    recording_close(recording);
}

static void same_ticks(void)
{
    assert_int_equal(simulated.count, lived.count);
    for (size_t i = 0; i < lived.count; i++) {
        const struct tick *a = &lived.ticks[i], *b = &simulated.ticks[i];

        if (a->at_ms != b->at_ms || a->before != b->before || a->after != b->after || a->reason != b->reason ||
            memcmp(&a->value, &b->value, sizeof(a->value)) != 0)
            fail_msg("tick %zu at %lld: %d -> %d %s %g; recorded at %lld: %d -> %d %s %g", i, (long long)b->at_ms,
                     b->before, b->after, decision_reason_name(b->reason), b->value, (long long)a->at_ms, a->before,
                     a->after, decision_reason_name(a->reason), a->value);
    }
}

static void round_trip(const char *format)
{
    struct simulation_result result;
    char yaml[2000];

    snprintf(yaml, sizeof(yaml), format, 1);
    live(yaml);
    simulate(yaml, &result);
    assert_true(lived.count > 100);
    assert_true(result.moves.events > 5);
    same_ticks();
    assert_int_equal(result.parted_ms, -1);
}

static void empty_folder(void)
{
    DIR *dir = opendir(folder);
    char path[600];

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(dir);
}

static void a_recorded_run_is_decided_again(void **state)
{
    (void)state;
    round_trip(policy);
    empty_folder();
}

static void a_recorded_run_by_cpu_is_decided_again(void **state)
{
    (void)state;
    round_trip(by_cpu);
    empty_folder();
}

static void another_policy_parts_from_the_record(void **state)
{
    struct simulation_result result;
    char yaml[2000];

    (void)state;
    snprintf(yaml, sizeof(yaml), policy, 1);
    live(yaml);
    snprintf(yaml, sizeof(yaml), policy, 6);
    simulate(yaml, &result);
    assert_true(result.parted_ms >= 0);
    assert_true(result.highest >= 6);
    for (size_t i = 0; i < simulated.count; i++)
        if (simulated.ticks[i].at_ms - START_MS > result.parted_ms + 60000 && simulated.ticks[i].after < 6)
            fail_msg("tick %zu: %d", i, simulated.ticks[i].after);
    empty_folder();
}

static void an_object_that_is_not_in_it_is_refused(void **state)
{
    struct error err = {.kind = ERROR_NONE};
    struct recording *recording;
    char yaml[2000], *name;

    (void)state;
    snprintf(yaml, sizeof(yaml), by_cpu, 1);
    live(yaml);
    name = strstr(yaml, "name: app");
    memcpy(name, "name: abc", 9);
    recording = recording_open(folder, &err);
    assert_null(simulation_new(&(struct simulation_options){.manifest_name = "a.yaml",
                                                            .manifest = yaml,
                                                            .manifest_length = strlen(yaml),
                                                            .recording = recording,
                                                            .duration_ms = -1},
                               NULL, &err));
    assert_non_null(strstr(err.text, "ScaledObject/default/abc"));
    recording_close(recording);
    empty_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_run_is_decided_again),
        cmocka_unit_test(a_recorded_run_by_cpu_is_decided_again),
        cmocka_unit_test(another_policy_parts_from_the_record),
        cmocka_unit_test(an_object_that_is_not_in_it_is_refused),
    };
    int failed;

    log_set_level(LOG_LEVEL_ERROR);
    snprintf(folder, sizeof(folder), "/tmp/weir-replay-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}

/* What the history is told by the running system: values, replicas, the SLO, scale events; and each version of a manifest, once. */
#include "running.h"

#include <math.h>

#include "journal/history.h"

#define OBJECT "ScaledObject/default/app"

static const char app[] =
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
    "metadata: {name: app, annotations: {weir.dev/slo: load < 50}}\n"
    "spec:\n  scaleTargetRef: {name: app}\n  minReplicaCount: 1\n  pollingInterval: 15\n  triggers:\n"
    "  - type: prometheus\n    name: load\n"
    "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10', ignoreNullValues: 'false'}\n";

static void start(struct running *r, const struct stage_options *options)
{
    *r = (struct running){.prom = {{.query = "load", .value = 20}}, .prom_count = 1};
    running_start(r, options);
    stage_workload(r->stage, "default", "Deployment", "app", 2);
}

static struct journal *journal_of(struct running *r)
{
    return autoscaler_journal(stage_autoscaler(r->stage));
}

static struct history_totals totals(struct running *r, int64_t from_s, int64_t to_s)
{
    struct history_totals t;

    history_totals(journal_of(r), OBJECT, START_MS + from_s * SECOND_MS, START_MS + to_s * SECOND_MS, &t);
    return t;
}

struct last {
    size_t points;
    char names[100];
    struct history_range wanted, value;
    double failed, slo;
};

static bool on_point(void *arg, const struct history_point *point)
{
    struct last *last = arg;

    assert_int_equal(point->trigger_count, 1);
    last->points++;
    snprintf(last->names, sizeof(last->names), "%s", point->triggers[0].name);
    last->wanted = point->wanted;
    last->value = point->triggers[0].value;
    last->failed = point->triggers[0].failed;
    last->slo = point->slo;
    return true;
}

static struct last read(struct running *r, int64_t from_s, int64_t to_s)
{
    struct last last = {.points = 0};

    history_read(journal_of(r), OBJECT, START_MS + from_s * SECOND_MS, START_MS + to_s * SECOND_MS, 1000, on_point,
                 &last);
    return last;
}

static void what_was_decided_is_what_is_drawn(void **state)
{
    struct running r;
    struct last last;

    (void)state;
    start(&r, NULL);
    running_manifest(&r, "a.yaml", app);
    running_until(&r, 600);
    r.prom[0].value = 80; /* 8 replicas, and the SLO is not held */
    running_until(&r, 1200);
    r.prom[0].mode = PROM_DOWN;
    running_until(&r, 1800);
    last = read(&r, 0, 600);
    assert_int_equal(last.points, 2);
    assert_string_equal(last.names, "load");
    assert_true(last.value.min == 20 && last.value.mean == 20 && last.value.max == 20);
    assert_true(last.wanted.max == 2 && last.slo == 1);
    last = read(&r, 900, 1200);
    assert_true(last.value.mean == 80 && last.wanted.min == 8 && last.slo == 0);
    last = read(&r, 1500, 1800);
    assert_true(isnan(last.value.mean) && isnan(last.slo));
    assert_float_equal(last.failed, 1, 0.001);
    assert_true(last.wanted.min == 8);
    assert_int_equal(totals(&r, 0, 1800).scale_events, 2); /* at most 4 at once: to 6, to 8 */
    assert_float_equal(totals(&r, 0, 1800).slo_known_s, 1200, 40);
    assert_float_equal(totals(&r, 0, 1800).slo_held_s, 600, 20);
    running_stop(&r);
}

static char *with(const char *old, const char *new)
{
    static char yaml[2000];
    const char *at = strstr(app, old);

    snprintf(yaml, sizeof(yaml), "%.*s%s%s", (int)(at - app), app, new, at + strlen(old));
    return yaml;
}

static void slow_polls_leave_no_gaps(void **state)
{
    struct running r;

    (void)state;
    start(&r, NULL);
    running_manifest(&r, "a.yaml", with("weir.dev/slo: load < 50", "weir.dev/polling-interval: 20m"));
    running_until(&r, 3 * 3600);
    assert_float_equal(totals(&r, 1200, 2 * 3600).replica_s, 2 * 6000, 1);
    running_stop(&r);
}

/* ------------------------------------------------------------------ manifests */

struct versions {
    int count;
    char newest[2000];
};

static bool on_manifest(void *arg, const struct history_manifest *manifest)
{
    struct versions *versions = arg;

    if (versions->count++ == 0)
        snprintf(versions->newest, sizeof(versions->newest), "%s", manifest->yaml);
    return true;
}

static struct versions versions_of(struct running *r)
{
    struct versions versions = {.count = 0};

    history_manifests(journal_of(r), OBJECT, on_manifest, &versions);
    return versions;
}

static void each_version_in_force_is_kept_once(void **state)
{
    struct running r;

    (void)state;
    start(&r, NULL);
    running_manifest(&r, "a.yaml", app);
    running_until(&r, 60);
    assert_int_equal(versions_of(&r).count, 1);
    running_manifest(&r, "a.yaml", app);
    stage_restart(r.stage);
    running_manifest(&r, "a.yaml", app);
    running_until(&r, 120);
    assert_int_equal(versions_of(&r).count, 1);
    running_manifest(&r, "a.yaml", with("minReplicaCount: 1", "minReplicaCount: 3"));
    running_until(&r, 180);
    assert_int_equal(versions_of(&r).count, 2);
    assert_non_null(strstr(versions_of(&r).newest, "minReplicaCount: 3\n"));
    running_manifest(&r, "a.yaml", with("minReplicaCount: 1", "minReplicaCount: x")); /* never in force */
    running_until(&r, 240);
    assert_int_equal(versions_of(&r).count, 2);
    running_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_decided_is_what_is_drawn),
        cmocka_unit_test(slow_polls_leave_no_gaps),
        cmocka_unit_test(each_version_in_force_is_kept_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* "What would be decided if": values, formulas, replicas and time that are not; and that asking changes nothing. */
#include "running.h"

#include "decide/outlook.h"

#define OBJECT "ScaledObject/default/app"

static const char manifest[] = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\nspec:\n"
                               "  scaleTargetRef: {name: app}\n%s"
                               "  triggers:\n"
                               "  - type: prometheus\n    name: requests\n"
                               "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n"
                               "  - type: prometheus\n    name: users\n"
                               "    metadata: {serverAddress: 'http://prom:9090', query: people, threshold: '10'}\n%s";
static const char formula[] =
    "  advanced: {scalingModifiers: {formula: 'avg_over(requests, \"1m\") + users', target: '10'}}\n";

static void start(struct running *r, const char *spec, const char *more)
{
    char yaml[4096];

    *r = (struct running){.prom = {{.query = "load", .value = 35}, {.query = "people", .value = 12}}, .prom_count = 2};
    running_start(r, NULL);
    stage_workload(r->stage, "default", "Deployment", "app", 1);
    snprintf(yaml, sizeof(yaml), manifest, spec, more);
    running_manifest(r, "a.yaml", yaml);
    running_until(r, 65);
}

struct shown {
    int32_t before, after;
    enum decision_reason reason;
    char formula[200];
    double result;
    int64_t age_ms;
    bool traced;
};

static void show(void *arg, const struct decision *d, const struct decision_names *names)
{
    struct shown *out = arg;

    *out = (struct shown){.before = d->before,
                          .after = d->after,
                          .reason = d->reason,
                          .result = d->formula.type == FORMULA_INT ? (double)d->formula.integer : d->formula.number,
                          .age_ms = d->inputs[0].age_ms,
                          .traced = d->trace_count > 0};
    snprintf(out->formula, sizeof(out->formula), "%s", names->formula ? names->formula : "");
}

static struct shown ask(struct running *r, const struct what_if *change)
{
    struct shown out;
    struct error err;

    if (!autoscaler_what_if(stage_autoscaler(r->stage), OBJECT, change, show, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static void assert_refused(struct running *r, const char *key, const struct what_if *change, enum error_kind kind,
                           const char *words)
{
    struct error err = {.kind = ERROR_NONE};
    struct shown out;

    assert_false(autoscaler_what_if(stage_autoscaler(r->stage), key, change, show, &out, &err));
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, words))
        fail_msg("%s: not in: %s", words, err.text);
}

/* ------------------------------------------------------------------ tests */

static void another_value(void **state)
{
    struct running r;

    (void)state;
    start(&r, "", "");
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    assert_int_equal(ask(&r, &(struct what_if){0}).after, 4);
    assert_int_equal(ask(&r, &(struct what_if){.value_count = 1, .values = {{"requests", SAMPLE_OK, 71}}}).after, 8);
    assert_int_equal(ask(&r, &(struct what_if){.value_count = 1, .values = {{"s1", SAMPLE_OK, 71}}}).after, 8);
    assert_int_equal(ask(&r, &(struct what_if){.value_count = 2,
                                               .values = {{"requests", SAMPLE_OK, 0}, {"users", SAMPLE_FAILED, 0}}})
                         .after,
                     4);
    assert_refused(&r, OBJECT, &(struct what_if){.value_count = 1, .values = {{"user", SAMPLE_OK, 1}}}, ERROR_INVALID,
                   "is users meant?");
    assert_refused(&r, OBJECT, &(struct what_if){.value_count = 1, .values = {{"s2", SAMPLE_OK, 1}}}, ERROR_INVALID,
                   "no trigger s2");
    running_stop(&r);
}

static void another_formula(void **state)
{
    struct running r;
    struct shown out;

    (void)state;
    start(&r, formula, "");
    assert_int_equal(stage_replicas(r.stage, "app"), 5);
    out = ask(&r, &(struct what_if){.formula = "max_over(requests, \"30s\") * 2 + users"});
    assert_int_equal(out.after, 9);
    assert_true(out.result == 82 && out.traced);
    assert_string_equal(out.formula, "max_over(requests, \"30s\") * 2 + users");
    assert_int_equal(ask(&r, &(struct what_if){.formula = "requests * 2", .target = 8}).after, 9);
    assert_int_equal(ask(&r, &(struct what_if){.target = 6}).after, 8);
    assert_refused(&r, OBJECT, &(struct what_if){.formula = "requests + user"}, ERROR_INVALID, "users");
    assert_refused(&r, OBJECT, &(struct what_if){.formula = "requests +"}, ERROR_INVALID, "formula 1:");
    running_stop(&r);
}

/* Five minutes of 10, then a minute of 35: what was kept for a window of one minute does not reach back so far. */
static void a_longer_window_reads_the_journal(void **state)
{
    struct running r;

    (void)state;
    start(&r, formula, "");
    r.prom[0].value = 10;
    running_until(&r, 600);
    r.prom[0].value = 35;
    running_until(&r, 720);
    assert_true(ask(&r, &(struct what_if){.formula = "max_over(users, \"9m\")"}).result == 12);
    assert_true(ask(&r, &(struct what_if){.formula = "min_over(requests, \"1m\")"}).result == 35);
    assert_true(ask(&r, &(struct what_if){.formula = "min_over(requests, \"9m\")"}).result == 10);
    running_stop(&r);
}

static void a_value_joins_the_history(void **state)
{
    struct running r;

    (void)state;
    start(&r, formula, "");
    assert_true(ask(&r, &(struct what_if){.value_count = 1,
                                          .values = {{"requests", SAMPLE_OK, 1000}},
                                          .formula = "max_over(requests, \"1m\")"})
                    .result == 1000);
    assert_true(ask(&r, &(struct what_if){.formula = "max_over(requests, \"1m\")"}).result == 35);
    running_stop(&r);
}

static void a_formula_where_there_was_none(void **state)
{
    struct running r;

    (void)state;
    start(&r, "", "");
    assert_int_equal(ask(&r, &(struct what_if){.formula = "requests + users", .target = 10}).after, 5);
    assert_refused(&r, OBJECT, &(struct what_if){.target = 10}, ERROR_INVALID, "there is none");
    running_stop(&r);
}

static void other_replicas(void **state)
{
    struct running r;
    struct shown out;

    (void)state;
    start(&r, "", "");
    out = ask(&r, &(struct what_if){.has_replicas = true, .replicas = 0});
    assert_int_equal(out.before, 0);
    assert_int_equal(out.after, 4);
    assert_int_equal(out.reason, REASON_ACTIVATED);
    running_stop(&r);
}

static void later(void **state)
{
    struct running r;
    struct shown out;

    (void)state;
    start(&r, "", "");
    r.prom[0].value = r.prom[1].value = 0;
    running_until(&r, 125);
    assert_int_equal(stage_replicas(r.stage, "app"), 4);
    assert_int_equal(ask(&r, &(struct what_if){.later_ms = MINUTE_MS}).after, 4);
    out = ask(&r, &(struct what_if){.later_ms = 5 * MINUTE_MS});
    assert_int_equal(out.after, 0);
    assert_true(out.age_ms >= 5 * MINUTE_MS);
    running_stop(&r);
}

/* Polls, decisions, the journal and what comes next are those of a run in which nobody asked. */
static void asking_changes_nothing(void **state)
{
    struct looked seen[2];
    size_t written[2];
    int32_t replicas[2];

    (void)state;
    for (int asks = 0; asks < 2; asks++) {
        struct running r;
        struct outlook *o = calloc(1, sizeof(*o));
        struct error err;

        start(&r, formula, "");
        for (int i = 0; i < 10 * asks; i++) { /* on a slow machine, some may be refused: it was asked a moment ago */
            struct what_if change = {.formula = "ema(requests, \"5m\") * 7",
                                     .value_count = 1,
                                     .values = {{"users", SAMPLE_OK, 1e6}},
                                     .later_ms = 999999};
            struct shown out;

            assert_true(autoscaler_what_if(stage_autoscaler(r.stage), OBJECT, &change, show, &out, &err) ||
                        (i > 0 && err.kind == ERROR_LIMIT));
            assert_true(autoscaler_outlook(stage_autoscaler(r.stage), OBJECT, o, &err) || err.kind == ERROR_LIMIT);
        }
        r.prom[0].value = 3;
        running_until(&r, 1200);
        seen[asks] = look(&r, OBJECT);
        written[asks] = journaled(&r, OBJECT);
        replicas[asks] = stage_replicas(r.stage, "app");
        free(o);
        running_stop(&r);
    }
    assert_int_equal(seen[0].polls, seen[1].polls);
    assert_int_equal(seen[0].decisions, seen[1].decisions);
    assert_string_equal(seen[0].summary, seen[1].summary);
    assert_int_equal(written[0], written[1]);
    assert_int_equal(replicas[0], replicas[1]);
}

static void what_has_no_decision_is_refused(void **state)
{
    static const char job[] =
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {name: work}\nspec:\n"
        "  jobTargetRef: {template: {spec: {containers: [{name: main, image: x, command: [x]}]}}}\n"
        "  triggers:\n  - type: prometheus\n"
        "    metadata: {serverAddress: 'http://prom:9090', query: load, threshold: '10'}\n";
    struct outlook *o = calloc(1, sizeof(*o));
    struct running r;
    struct error err;

    (void)state;
    start(&r, "", "");
    running_manifest(&r, "b.yaml", job);
    running_manifest(&r, "c.yaml",
                     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: bad}\nspec: {scaleTargetRef: "
                     "{name: x}, triggers: []}\n");
    running_until(&r, 90);
    assert_refused(&r, "ScaledObject/default/none", &(struct what_if){0}, ERROR_MISSING, "no object");
    assert_refused(&r, "ScaledJob/default/work", &(struct what_if){0}, ERROR_UNREACHABLE, "ScaledJob");
    assert_refused(&r, "ScaledObject/default/bad", &(struct what_if){0}, ERROR_UNREACHABLE, "in force");
    assert_false(autoscaler_outlook(stage_autoscaler(r.stage), "ScaledJob/default/work", o, &err));
    stage_workload_remove(r.stage, "app");
    running_until(&r, 150);
    assert_false(autoscaler_outlook(stage_autoscaler(r.stage), OBJECT, o, &err));
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_int_equal(ask(&r, &(struct what_if){0}).reason, REASON_UNREADABLE);
    assert_int_equal(ask(&r, &(struct what_if){.has_replicas = true, .replicas = 2}).after, 4);
    free(o);
    running_stop(&r);
}

static void resources_have_no_value_to_change(void **state)
{
    struct running r;

    (void)state;
    start(&r, "", "  - type: cpu\n    name: load\n    metricType: Utilization\n    metadata: {value: '50'}\n");
    assert_refused(&r, OBJECT, &(struct what_if){.value_count = 1, .values = {{"load", SAMPLE_OK, 1}}}, ERROR_INVALID,
                   "from the replicas");
    running_stop(&r);
}

/* A formula that takes long is answered, and then decisions have the loop for themselves for a while. */
static void a_long_question_is_paid_for(void **state)
{
    struct what_if slow = {.formula = "sum(map(1..200000, # % 7)) * 0 + requests"};
    struct outlook *o = calloc(1, sizeof(*o));
    struct error err;
    struct running r;

    (void)state;
    start(&r, formula, "");
    assert_true(ask(&r, &slow).result == 35);
    assert_refused(&r, OBJECT, &slow, ERROR_LIMIT, "ask again in");
    assert_false(autoscaler_outlook(stage_autoscaler(r.stage), OBJECT, o, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    running_until(&r, 120);
    assert_true(autoscaler_outlook(stage_autoscaler(r.stage), OBJECT, o, &err));
    assert_false(o->cut);
    free(o);
    running_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_value),
        cmocka_unit_test(another_formula),
        cmocka_unit_test(a_longer_window_reads_the_journal),
        cmocka_unit_test(a_value_joins_the_history),
        cmocka_unit_test(a_formula_where_there_was_none),
        cmocka_unit_test(other_replicas),
        cmocka_unit_test(later),
        cmocka_unit_test(asking_changes_nothing),
        cmocka_unit_test(what_has_no_decision_is_refused),
        cmocka_unit_test(resources_have_no_value_to_change),
        cmocka_unit_test(a_long_question_is_paid_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

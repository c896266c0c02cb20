/* What of a policy can be tuned, how values are written, and that the search finds what it should, the same way each time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "sim/tune.h"

#define HEAD   "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app, namespace: shop}\nspec:\n"
#define TARGET "  scaleTargetRef: {name: web}\n"
#define PROM(threshold)                                                                                                \
    "  - type: prometheus\n    name: q\n    metadata: {serverAddress: http://p, query: up, threshold: " threshold "\n"

/* ---- what is found ---- */

struct found_row {
    const char *name, *yaml, *object;
    const char *found; /* "path low..high now [whole] [log] [s];" */
    const char *error;
};

#define BEHAVIOR "spec.advanced.horizontalPodAutoscalerConfig.behavior."
#define WINDOWS                                                                                                        \
    BEHAVIOR "scaleDown.stabilizationWindowSeconds 0..900 300 whole;" BEHAVIOR                                         \
             "scaleUp.tolerance 0..0.3 0.1;" BEHAVIOR "scaleDown.tolerance 0..0.3 0.1;"

static const struct found_row found_rows[] = {
    {"inferred", HEAD TARGET "  maxReplicaCount: 10\n  triggers:\n" PROM("'5'}"), NULL,
     "spec.triggers[0].metadata.threshold 1.25..20 5 log;spec.minReplicaCount 0..5 0 whole;"
     "spec.pollingInterval 5..60 30 whole log;spec.cooldownPeriod 30..1800 300 whole log;" WINDOWS,
     NULL},
    {"never at zero", HEAD TARGET "  minReplicaCount: 2\n  maxReplicaCount: 3\n  triggers:\n" PROM("'100'}"), NULL,
     "spec.triggers[0].metadata.threshold 25..400 100 whole log;spec.minReplicaCount 1..3 2 whole;"
     "spec.pollingInterval 5..60 30 whole log;" WINDOWS,
     NULL},
    {"a formula's target counts, its triggers' do not",
     HEAD TARGET "  minReplicaCount: 1\n  maxReplicaCount: 1\n  pollingInterval: 5\n"
                 "  advanced: {scalingModifiers: {formula: q * 2, target: '8'}}\n  triggers:\n" PROM("'5'}"),
     NULL, "spec.advanced.scalingModifiers.target 2..32 8 log;spec.pollingInterval 5..60 5 whole log;" WINDOWS, NULL},
    {"marked",
     HEAD TARGET "  cooldownPeriod: 300 # weir:tune 10..600\n  triggers:\n" PROM("'5'} # what one does. # weir:tune"),
     NULL, "spec.cooldownPeriod 10..600 300 whole log;spec.triggers[0].metadata.threshold 1.25..20 5 log;", NULL},
    {"a duration",
     "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: app\n  annotations:\n"
     "    weir.dev/polling-interval: 2s # weir:tune 500ms..4s\nspec:\n" TARGET "  triggers:\n" PROM("'5'}"),
     NULL, "metadata.annotations[weir.dev/polling-interval] 0.5..4 2 s;", NULL},
    {"marks of another document",
     HEAD TARGET
     "  triggers:\n" PROM("'5'} # weir:tune 1..9") "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
                                                   "metadata: {name: other}\nspec:\n" TARGET
                                                   "  cooldownPeriod: 9 # weir:tune 1..20\n  triggers:\n" PROM("'5'}"),
     "other", "spec.cooldownPeriod 1..20 9 whole log;", NULL},
    {"several", HEAD TARGET "  triggers:\n" PROM("'5'}") "---\n" HEAD TARGET "  triggers:\n" PROM("'5'}"), NULL, NULL,
     "--object"},
    {"none of that name", HEAD TARGET "  triggers:\n" PROM("'5'}"), "shop/x", NULL, "no ScaledObject shop/x"},
    {"not YAML", "a: [1\n", NULL, NULL, "not YAML"},
    {"refused", HEAD TARGET "  pollingInterval: x\n  triggers:\n" PROM("'5'}"), NULL, NULL, "pollingInterval"},
    {"no number", HEAD TARGET "  triggers:\n" PROM("'5'}") "    metricType: Value # weir:tune 1..2\n", NULL, NULL,
     "no number"},
    {"no range", HEAD TARGET "  cooldownPeriod: 9 # weir:tune much\n  triggers:\n" PROM("'5'}"), NULL, NULL,
     "LOW..HIGH"},
    {"range upside down", HEAD TARGET "  cooldownPeriod: 9 # weir:tune 9..1\n  triggers:\n" PROM("'5'}"), NULL, NULL,
     "LOW..HIGH"},
    {"a range of durations for a number",
     HEAD TARGET "  cooldownPeriod: 9 # weir:tune 1s..20s\n  triggers:\n" PROM("'5'}"), NULL, NULL, "both durations"},
    {"around zero", HEAD TARGET "  minReplicaCount: 0 # weir:tune\n  triggers:\n" PROM("'5'}"), NULL, NULL, "around 0"},
    {"shared by an alias",
     HEAD TARGET "  cooldownPeriod: &t 9 # weir:tune 1..20\n  pollingInterval: *t\n  triggers:\n" PROM("'5'}"), NULL,
     NULL, "shared by an anchor"},
};

static void describe(const struct tune_space *space, struct text *out)
{
    for (size_t i = 0; i < space->count; i++) {
        const struct tune_parameter *p = &space->list[i];

        text_printf(out, "%s %.10g..%.10g %.10g%s%s%s;", p->path, p->low, p->high, p->now, p->whole ? " whole" : "",
                    p->log ? " log" : "", p->duration ? " s" : "");
    }
}

static void test_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(found_rows) / sizeof(found_rows[0]); i++) {
        const struct found_row *row = &found_rows[i];
        struct error err = {0};
        struct tune_space space;
        struct text text;

        text_init(&text, 10000);
        bool fine = tune_find("t.yaml", row->yaml, strlen(row->yaml), row->object, &space, &err);
        if (fine != (row->found != NULL))
            fail_msg("%s: %s %s", row->name, fine ? "was not refused" : err.where, err.text);
        if (fine)
            describe(&space, &text);
        if (fine && strcmp(text.bytes, row->found) != 0)
            fail_msg("%s: is\n%s\nwanted\n%s", row->name, text.bytes, row->found);
        if (!fine && !strstr(err.text, row->error))
            fail_msg("%s: says '%s', not '%s'", row->name, err.text, row->error);
        if (!fine && strncmp(err.where, "t.yaml", 6) != 0)
            fail_msg("%s: does not say where: '%s'", row->name, err.where);
        text_done(&text);
        tune_space_done(&space);
    }
}

/* ---- how values are written ---- */

static void test_values(void **state)
{
    static const struct {
        struct tune_parameter parameter;
        double place;
        const char *written;
    } rows[] = {
        {{.low = 0, .high = 900, .whole = true}, 0, "0"},
        {{.low = 0, .high = 900, .whole = true}, 0.3333, "300"},
        {{.low = 1, .high = 100, .log = true, .whole = true}, 0.5, "10"},
        {{.low = 1, .high = 100, .log = true}, 0.3, "3.98"},
        {{.low = 100000, .high = 1000000, .log = true, .whole = true}, 1, "1000000"},
        {{.low = 0.001, .high = 0.1, .log = true}, 0, "0.001"},
        {{.low = 0.5, .high = 4, .duration = true}, 0.5, "2.25s"},
        {{.low = 0, .high = 0.333333}, 1, "0.333"},
    };
    struct text text;

    (void)state;
    text_init(&text, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        text_clear(&text);
        tune_write_value(&rows[i].parameter, rows[i].place, &text);
        assert_string_equal(text.bytes, rows[i].written);
    }
    text_done(&text);
}

/* What stands as it is, or is the default, is not written. */
static void test_manifest(void **state)
{
    static const char yaml[] =
        HEAD TARGET "  cooldownPeriod: 300 # weir:tune 10..600\n  triggers:\n" PROM("'5'} # weir:tune 1..9");
    static const char after[] =
        HEAD TARGET "  cooldownPeriod: 300 # weir:tune 10..600\n  triggers:\n" PROM("'9'} # weir:tune 1..9");
    struct tune_candidate candidate = {.point = {0, 1}};
    struct tune_space space;
    struct error err;
    struct text out;

    (void)state;
    text_init(&out, 10000);
    assert_true(tune_find("t.yaml", yaml, strlen(yaml), NULL, &space, &err));
    candidate.point[0] = (log(300) - log(10)) / (log(600) - log(10));
    assert_true(tune_manifest(&space, "t.yaml", yaml, strlen(yaml), &candidate, &out, &err));
    assert_string_equal(out.bytes, after);
    text_clear(&out);
    candidate.as_written = true;
    assert_true(tune_manifest(&space, "t.yaml", yaml, strlen(yaml), &candidate, &out, &err));
    assert_string_equal(out.bytes, yaml);
    text_done(&out);
    tune_space_done(&space);
}

/* ---- who dominates ---- */

static void test_dominates(void **state)
{
    static const struct {
        struct tune_outcome a, b;
        bool dominates;
    } rows[] = {
        {{.in_slo = 1, .replica_hours = 5, .events = 5}, {.in_slo = 1, .replica_hours = 6, .events = 5}, true},
        {{.in_slo = 1, .replica_hours = 5, .events = 5}, {.in_slo = 1, .replica_hours = 5, .events = 5}, false},
        {{.in_slo = 1, .replica_hours = 5, .events = 9}, {.in_slo = 1, .replica_hours = 6, .events = 5}, false},
        {{.in_slo = 0.99, .replica_hours = 9, .events = 9}, {.in_slo = 0.98, .replica_hours = 1, .events = 1}, true},
        {{.in_slo = 0.98, .replica_hours = 9, .events = 9}, {.in_slo = 0.97, .replica_hours = 1, .events = 1}, true},
        {{.in_slo = 0.98, .replica_hours = 1, .events = 1}, {.in_slo = 0.99, .replica_hours = 9, .events = 9}, false},
        {{.in_slo = 0.1, .replica_hours = 9, .events = 9}, {.failed = true}, true},
        {{.failed = true}, {.failed = true}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (tune_dominates(&rows[i].a, &rows[i].b, 0.99) != rows[i].dominates)
            fail_msg("row %zu", i);
}

/* ---- the search ---- */

struct
    valley { /* a problem with a known answer: replicas cost x; enough are in SLO where x >= 0.3, events grow with |y - 0.7| */
    size_t evaluated, stop_after;
};

static bool evaluate(void *arg, struct tune_candidate *list, size_t count)
{
    struct valley *valley = arg;

    if (valley->stop_after && valley->evaluated + count > valley->stop_after)
        return false;
    for (size_t i = 0; i < count; i++) {
        double x = list[i].point[0], y = list[i].point[1];

        list[i].outcome = (struct tune_outcome){
            .in_slo = x >= 0.3 ? 1 : 0.9 + x / 4, .replica_hours = 10 + 100 * x, .events = round(fabs(y - 0.7) * 1000)};
    }
    valley->evaluated += count;
    return true;
}

static const struct tune_space square = {
    .list = {{.low = 0, .high = 1000, .now = 900, .whole = true}, {.low = 0, .high = 1000, .now = 0, .whole = true}},
    .count = 2};

/* How far the front is from the best of all, 40 replica hours without an event: a replica hour, or ten events, is one. */
static double nearest(const struct tune_result *result)
{
    double least = INFINITY;

    for (size_t i = 0; i < result->front_count; i++) {
        const struct tune_outcome *o = &result->list[result->front[i]].outcome;

        assert_true(o->in_slo == 1);
        least = fmin(least, o->replica_hours - 40 + o->events / 10);
    }
    return least;
}

static void test_search(void **state)
{
    struct tune_options options = {.candidates = 1000, .share = 0.99, .seed = 7};
    struct tune_result first, second;
    struct valley valley = {0};

    (void)state;
    tune_search(&square, &options, evaluate, &valley, &first);
    assert_int_equal(first.count, 1000);
    assert_false(first.stopped);
    assert_true(first.list[0].as_written);
    assert_true(first.front_count > 0);
    assert_true(nearest(&first) < 3);
    for (size_t i = 0; i + 1 < first.front_count; i++)
        assert_true(first.list[first.front[i]].outcome.replica_hours <=
                    first.list[first.front[i + 1]].outcome.replica_hours);
    assert_true(valley.evaluated <= 1000);
    tune_search(&square, &options, evaluate, &valley, &second);
    assert_int_equal(second.front_count, first.front_count);
    assert_memory_equal(second.list, first.list, first.count * sizeof(*first.list));
    options.seed = 8;
    tune_result_free(&second);
    tune_search(&square, &options, evaluate, &valley, &second);
    assert_memory_not_equal(second.list, first.list, first.count * sizeof(*first.list));
    tune_result_free(&first);
    tune_result_free(&second);
}

/* What was finished before somebody stopped it is there. */
static void test_stopped(void **state)
{
    struct tune_options options = {.candidates = 1000, .share = 0.99};
    struct valley valley = {.stop_after = 100};
    struct tune_result result;

    (void)state;
    tune_search(&square, &options, evaluate, &valley, &result);
    assert_true(result.stopped);
    assert_in_range(result.count, 40, 160);
    assert_true(result.front_count > 0);
    tune_result_free(&result);
    valley = (struct valley){.stop_after = 1};
    tune_search(&square, &options, evaluate, &valley, &result);
    assert_true(result.stopped && result.count == 0 && result.front_count == 0);
    tune_result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found),    cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_manifest), cmocka_unit_test(test_dominates),
                                       cmocka_unit_test(test_search),   cmocka_unit_test(test_stopped)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Tests of policies, run: what an expectation sees, what breaks an invariant, polls of ScaledJobs, what cannot be run, and the four forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/report.h"
#include "base/text.h"
#include "sim/case.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* queue: ten a replica. */
#define OBJECT(spec)                                                                                                   \
    "policy: |\n"                                                                                                      \
    "  apiVersion: keda.sh/v1alpha1\n"                                                                                 \
    "  kind: ScaledObject\n"                                                                                           \
    "  metadata: {name: shop}\n"                                                                                       \
    "  spec:\n"                                                                                                        \
    "    scaleTargetRef: {name: shop}\n"                                                                               \
    "    maxReplicaCount: 8\n"                                                                                         \
    "    cooldownPeriod: 60\n" spec "    triggers:\n"                                                                  \
    "    - type: prometheus\n"                                                                                         \
    "      name: queue\n"                                                                                              \
    "      metadata: {serverAddress: 'http://prom:9090', query: q, threshold: '10'}\n"
#define JOB                                                                                                            \
    "policy: |\n"                                                                                                      \
    "  apiVersion: keda.sh/v1alpha1\n"                                                                                 \
    "  kind: ScaledJob\n"                                                                                              \
    "  metadata: {name: work}\n"                                                                                       \
    "  spec:\n"                                                                                                        \
    "    jobTargetRef: {template: {spec: {containers: [{name: a, image: b}]}}}\n"                                      \
    "    maxReplicaCount: 8\n"                                                                                         \
    "    triggers:\n"                                                                                                  \
    "    - type: rabbitmq\n"                                                                                           \
    "      metadata: {queueName: q, mode: QueueLength, value: '5', hostFromEnv: H}\n"
#define FORMULA "    advanced: {scalingModifiers: {formula: queue / 2, target: '10'}}\n"
#define KAFKA   "    - {type: kafka, name: lag, metadata: {bootstrapServers: 'k:1', consumerGroup: g, topic: t}}\n"
#define BUSY    "tests:\n- start: {replicas: 1}\n  inputs: [{trigger: queue, values: 5x2 25x10}]\n"

static void run(const char *yaml, enum simulation_engine engine, struct report *report, struct case_file **file,
                struct case_result *result)
{
    *file = case_file_read("a.test.yaml", yaml, strlen(yaml), report);
    *result = (struct case_result){.outcome = CASE_BROKEN};
    if (case_file_load(*file, report))
        case_run(*file, 0, &(struct case_options){.engine = engine}, report, result);
}

static void outcomes(void **state)
{
    static const struct {
        const char *yaml;
        enum case_outcome outcome;
        const char *says; /* what was got, or a finding's text or remedy; NULL */
    } cases[] = {
        {OBJECT("") BUSY "  expect: [{at: 150s, replicas: 1}, {at: 3m, replicas: 3}, {at: 3m, active: true}]",
         CASE_PASSED, NULL},
        {OBJECT("") BUSY "  expect: [{at: 3m, replicas: {min: 2, max: 3}, reason: above-target}]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  expect: [{at: 3m, replicas: 4}]", CASE_FAILED, "3"},
        {OBJECT("") BUSY "  expect: [{at: 3m, replicas: {min: 4}}]", CASE_FAILED, "3"},
        {OBJECT("") BUSY "  expect: [{at: 3m, active: false}]", CASE_FAILED, "true"},
        {OBJECT("") BUSY "  expect: [{at: 3m, reason: steady}]", CASE_FAILED, "above-target"},
        {OBJECT("") BUSY "  expect: [{at: 3m, says: a target of 10}]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  expect: [{at: 3m, says: [a target of 10, gone]}]", CASE_FAILED, "no such words"},
        {OBJECT("") BUSY "  expect: [{says: at 25 against}]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  expect: [{reason: held}]", CASE_FAILED, "none like that"},
        {OBJECT("") BUSY "  expect: [{at: 3m, value: 1}]", CASE_FAILED, "no formula"},
        {OBJECT(FORMULA) BUSY "  expect: [{at: 3m, value: 12.5, replicas: 2}]", CASE_PASSED, NULL},
        {OBJECT(FORMULA) BUSY "  expect: [{at: 3m, says: 'queue = 25'}]", CASE_PASSED, NULL},
        {OBJECT(FORMULA) BUSY "  workload: {trace: a.csv}\n  expect: [{at: 3m, replicas: 2}]", CASE_BROKEN,
         "no models"},
        {OBJECT(FORMULA) BUSY "  expect: [{at: 3m, value: {max: 12}}]", CASE_FAILED, "12.5"},
        /* past the end of the inputs, the last value goes on */
        {OBJECT("") BUSY "  expect: [{at: 1h, replicas: 3}]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never above 3, never below 1, at most 1 scale event, always replicas < 4]",
         CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never above 2]", CASE_FAILED, "from 1 to 3"},
        {OBJECT("") BUSY "  invariants: [never above 2 to 170s]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never above 2 from 190s to 194s]", CASE_FAILED,
         "3"}, /* between two decisions */
        {OBJECT("") BUSY "  invariants: [at most 0 scale ups]", CASE_FAILED, "from 1 to 3"},
        {OBJECT("") BUSY "  invariants: [at most 0 scale downs, at most 0 scale events to 2m]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never above 2 while queue < 25]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never replicas < 3 while queue > 20]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [never replicas > 2 while queue > 20]", CASE_FAILED, "from 1 to 3"},
        {OBJECT("") "tests: [{start: {replicas: 3}, inputs: [{trigger: queue, series: [[0, ~]]}], duration: 5m,"
                    " invariants: [never replicas > 2 while queue < 30]}]",
         CASE_PASSED, NULL}, /* a formula without a value says nothing */
        {OBJECT("") BUSY "  invariants: [at most 1 replica hours]", CASE_PASSED, NULL},
        {OBJECT("") BUSY "  invariants: [at most 0.1 replica hours]", CASE_FAILED, "replica hours"},
        {OBJECT("") "tests: [{start: {replicas: 1}, inputs: [{trigger: queue, series: [[0, 25], [1m, 0]]}], "
                    "invariants: [never to zero],"
                    " duration: 10m}]",
         CASE_FAILED, "from 3 to 0"},
        {OBJECT(
             "") "tests: [{start: {replicas: 1}, inputs: [{trigger: queue, series: [[0, 25], [1m, 0]]}], duration: 10m,"
                 " invariants: [never to zero while queue > 0]}]",
         CASE_PASSED, NULL},
        /* no data: nothing is taken away, and after half an hour it is */
        {OBJECT("") "tests: [{start: {replicas: 3}, inputs: [{trigger: queue, series: [[0, 25], [1m, ~]]}],"
                    " expect: [{at: 29m, replicas: 3, reason: held}, {at: 40m, replicas: 0}]}]",
         CASE_PASSED, NULL},
        {OBJECT("") "tests: [{start: {replicas: 3}, inputs: [{trigger: queue, series: [[0, 25], [1m, failed]]}],"
                    " expect: [{at: 2h, replicas: 3, says: failed}]}]",
         CASE_PASSED, NULL},
        /* a mean over the pods */
        {OBJECT(
             "    advanced: {scalingModifiers: {formula: queue, target: '10', metricType: Value}}\n") "tests: [{start: "
                                                                                                      "{replicas: 2}, "
                                                                                                      "inputs: "
                                                                                                      "[{trigger: "
                                                                                                      "queue, series: "
                                                                                                      "[[0, 30]], "
                                                                                                      "divided_by: "
                                                                                                      "ready}],"
                                                                                                      " expect: [{at: "
                                                                                                      "5m, replicas: "
                                                                                                      "3, value: "
                                                                                                      "10}]}]",
         CASE_PASSED, NULL},
        /* a type that is not built in, by its target */
        {OBJECT("") KAFKA "tests: [{inputs: [{trigger: queue, values: '0'}, {trigger: lag, values: '55'}], expect: "
                          "[{at: 1m, replicas: 6}]}]",
         CASE_PASSED, NULL},
        {OBJECT("") "    - {type: external, name: far, metadata: {scalerAddress: 'a:1'}}\n" BUSY
                    "  expect: [{at: 1m, replicas: 1}]",
         CASE_BROKEN, "target of this trigger"},
        {OBJECT("") KAFKA BUSY "  expect: [{at: 1m, replicas: 1}]", CASE_BROKEN, "nothing feeds lag"},
        {OBJECT("") "tests: [{inputs: [{trigger: queu, values: '1'}], invariants: [never above 1]}]", CASE_BROKEN,
         "did you mean 'queue'?"},
        {OBJECT("") "tests: [{inputs: [{trigger: queue, values: '1'}, {trigger: s0, values: '1'}], invariants: [never "
                    "above 1]}]",
         CASE_BROKEN, "an input already"},
        {OBJECT("") "tests: [{inputs: [{trigger: queue, values: 1xx}], invariants: [never above 1]}]", CASE_BROKEN, ""},
        {OBJECT("") "tests: [{inputs: [{file: nowhere.csv}], invariants: [never above 1]}]", CASE_BROKEN,
         "nowhere.csv"},
        {OBJECT("") BUSY "  invariants: [never qeue > 3]", CASE_BROKEN, "did you mean 'queue'?"},
        {OBJECT("") BUSY "  object: cart\n  invariants: [never above 3]", CASE_BROKEN, "there is no object cart"},
        {OBJECT("    minReplicaCount: many\n") BUSY "  invariants: [never above 3]", CASE_BROKEN, ""},
        {OBJECT("") "tests: [{polls: [{values: {queue: 1}, create: 1}]}]", CASE_BROKEN, "is no ScaledJob"},
        {"policy: nowhere.yaml\ntests: [{invariants: [never above 3]}]", CASE_BROKEN, "nowhere.yaml cannot be opened"},
        {"policy: {kind: Service}\ntests: [{invariants: [never above 3]}]", CASE_BROKEN, "no ScaledObject"},
        {"policy: |\n  a: [\ntests: [{invariants: [never above 3]}]", CASE_BROKEN, ""},
        {JOB "tests: [{polls: [{values: {s0: 12}, create: 3}, {running: 2, values: {s0: 12}, create: 1}]}]",
         CASE_PASSED, NULL},
        {JOB "tests: [{polls: [{values: {s0: ~}, create: 0}, {values: {s0: failed}, create: 0}]}]", CASE_PASSED, NULL},
        {JOB "tests: [{polls: [{values: {s0: 12}, create: {max: 2}}]}]", CASE_FAILED, "3"},
        {JOB "tests: [{polls: [{values: {}, create: 3}]}]", CASE_BROKEN, "source of the trigger s0"},
        {JOB "tests: [{polls: [{values: {s0: much}, create: 3}]}]", CASE_BROKEN, "a number, null"},
        {JOB "tests: [{inputs: [{trigger: s0, values: '1'}], invariants: [never above 3]}]", CASE_BROKEN,
         "is a ScaledJob"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report *report = report_new();
        struct case_file *file;
        struct case_result result;
        struct text shown;
        bool said = !cases[i].says;

        run(cases[i].yaml, ENGINE_WEIR, report, &file, &result);
        text_init(&shown, 1 << 20);
        report_write_text(report, &shown);
        for (size_t f = 0; f < result.failure_count; f++) {
            said |= cases[i].says && strstr(result.failures[f].got, cases[i].says);
            text_printf(&shown, "%s: %s\n", result.failures[f].expected, result.failures[f].got);
        }
        said |= cases[i].says && strstr(shown.bytes, cases[i].says);
        if (result.outcome != cases[i].outcome || !said ||
            (result.outcome == CASE_BROKEN) != (report_count_of(report, FINDING_ERROR) > 0))
            fail_msg("%s\noutcome %d, not %d\n%s", cases[i].yaml, (int)result.outcome, (int)cases[i].outcome,
                     shown.bytes);
        text_done(&shown);
        case_result_done(&result);
        case_file_free(file);
        report_free(report);
    }
}

static void a_run_can_be_stopped(void **state)
{
    static const char yaml[] = OBJECT("") BUSY "  duration: 1000h\n  invariants: [never above 3]";
    struct report *report = report_new();
    struct case_file *file = case_file_read("a.test.yaml", yaml, strlen(yaml), report);
    struct case_result result;
    bool stop = true;

    (void)state;
    case_run(file, 0, &(struct case_options){.stop = &stop}, report, &result);
    assert_int_equal(result.outcome, CASE_STOPPED);
    assert_true(result.decisions < 10);
    case_result_done(&result);
    case_file_free(file);
    report_free(report);
}

/* KEDA and the HPA poll at other times: the same policy, the same end. */
static void the_other_engine_runs_too(void **state)
{
    struct report *report = report_new();
    struct case_file *file;
    struct case_result result;

    (void)state;
    run(OBJECT("") BUSY "  expect: [{at: 5m, replicas: 3}]", ENGINE_KEDA_HPA, report, &file, &result);
    assert_int_equal(result.outcome, CASE_PASSED);
    case_result_done(&result);
    case_file_free(file);
    report_free(report);
}

/* ------------------------------------------------------------------ forms */

/* A file with a test that passes, one that fails and one that is broken, all with names that need care. */
static void write_all(enum case_form form, struct text *out)
{
    static const char yaml[] = OBJECT(
        "") "tests:\n"
            "- {name: 'a <b> & \"c\" # d', inputs: [{trigger: queue, values: '1'}], invariants: [never above 1]}\n"
            "- {name: e, inputs: [{trigger: queue, values: '25x10'}], invariants: [never above 1]}\n"
            "- {name: f, inputs: [{trigger: queu, values: '1'}], invariants: [never above 1]}\n";
    struct case_writer writer = {.form = form, .out = out};
    struct report *report = report_new();
    struct case_file *file = case_file_read("a.test.yaml", yaml, strlen(yaml), report);

    case_write_open(&writer);
    case_write_file(&writer, file->name);
    assert_true(case_file_load(file, report));
    for (size_t i = 0; i < file->test_count; i++) {
        struct case_result result;

        case_run(file, i, &(struct case_options){.engine = ENGINE_WEIR}, report, &result);
        case_write_line(&writer, &(struct case_line){.file = file->name,
                                                     .name = file->tests[i].name,
                                                     .place = file->tests[i].place,
                                                     .result = &result,
                                                     .took_s = 0.25});
        case_result_done(&result);
    }
    case_write_file_end(&writer, report);
    case_write_close(&writer);
    case_file_free(file);
    report_free(report);
}

static void forms_say_the_same(void **state)
{
    static const struct {
        enum case_form form;
        const char *says[12];
    } cases[] = {
        {CASE_TEXT,
         {"ok     a.test.yaml: a <b> & \"c\" # d\n", "FAILED a.test.yaml: e\n", "BROKEN a.test.yaml: f\n",
          "at 0s: expected never above 1, got from 0 to 3", "decision: 0 -> 3", "queue = 25", "did you mean 'queue'?",
          "1 passed, 1 failed, 1 broken\n"}},
        {CASE_JUNIT,
         {"<?xml version=\"1.0\"", "tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\"",
          "name=\"a &lt;b&gt; &amp; &quot;c&quot; # d\"", "<failure message=\"at 0s: expected never above 1",
          "<error message=\"it could not be run\">", "<system-err>a.test.yaml:", "</testsuites>\n"}},
        {CASE_TAP,
         {"TAP version 14\n", "ok 1 - a.test.yaml: a <b> & \"c\" \\# d\n", "not ok 2 - a.test.yaml: e\n  ---\n",
          "not ok 3 - ", "# a.test.yaml:", "1..3\n"}},
        {CASE_JSON, {"\"name\":\"a <b> & \\\"c\\\" # d\"", "\"result\":\"failed\"", "\"passed\":1", "\"broken\":1"}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text out;

        text_init(&out, 1 << 20);
        write_all(cases[i].form, &out);
        for (size_t k = 0; k < COUNT(cases[i].says) && cases[i].says[k]; k++)
            if (!strstr(out.bytes, cases[i].says[k]))
                fail_msg("'%s' is not in\n%s", cases[i].says[k], out.bytes);
        if (cases[i].form == CASE_JSON) {
            json_t *json = json_loads(out.bytes, 0, NULL);
            assert_int_equal(json_array_size(json_object_get(json, "tests")), 4); /* the last has the findings */
            json_decref(json);
        }
        text_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes),
        cmocka_unit_test(a_run_can_be_stopped),
        cmocka_unit_test(the_other_engine_runs_too),
        cmocka_unit_test(forms_say_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

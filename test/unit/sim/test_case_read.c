/* Test files of policies: what is read, and what is refused with which words at which place; the grammar of invariants. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "sim/case.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct case_file *read(const char *yaml, struct report *report)
{
    return case_file_read("tests/a.test.yaml", yaml, strlen(yaml), report);
}

static void a_file_is_read(void **state)
{
    struct report *report = report_new();
    struct case_file *f = read("policy: ../a.yaml\n"
                               "object: shop/checkout\n"
                               "interval: 15s\n"
                               "start: {replicas: 2, ready_after: 60}\n"
                               "tests:\n"
                               "- name: busy\n"
                               "  start: {time: 2026-01-31T12:00:00Z}\n"
                               "  duration: 1h30m\n"
                               "  inputs:\n"
                               "  - {trigger: queue, values: 0x10 5+1x20}\n"
                               "  - {trigger: load, series: [[0, 1], [10m, failed], [20m, ~]], divided_by: ready}\n"
                               "  - {file: trace.csv}\n"
                               "  expect:\n"
                               "  - {at: 5m, replicas: 3, value: {min: 0.5}, active: true, says: [a, b]}\n"
                               "  - {reason: held}\n"
                               "  invariants: [never above 8]\n"
                               "- polls:\n"
                               "  - {running: 3, pending: 1, values: {queue: 12}, create: {min: 1, max: 2}}\n",
                               report);
    const struct case_test *t = f->tests;

    (void)state;
    assert_int_equal(report_count(report), 0);
    assert_false(f->broken);
    assert_string_equal(f->policy_name, "tests/../a.yaml");
    assert_int_equal(f->test_count, 2);
    assert_string_equal(t->name, "busy");
    assert_string_equal(t->object, "shop/checkout");
    assert_int_equal(t->place.line, 6);
    assert_int_equal(t->start.replicas, 2);
    assert_int_equal(t->start.ready_after_ms, 60000);
    assert_int_equal(t->start.at_ms, INT64_C(1769860800000));
    assert_int_equal(t->duration_ms, 5400000);
    assert_int_equal(t->input_count, 3);
    assert_string_equal(t->inputs[0].values, "0x10 5+1x20");
    assert_int_equal(t->inputs[0].step_ms, 15000);
    assert_int_equal(t->inputs[1].share, CASE_PER_READY);
    assert_string_equal(t->inputs[2].path, "trace.csv");
    assert_int_equal(t->expects[0].at_ms, 300000);
    assert_true(t->expects[0].replicas.min == 3 && t->expects[0].replicas.max == 3);
    assert_true(t->expects[0].value.min == 0.5 && isinf(t->expects[0].value.max));
    assert_int_equal(t->expects[0].active, CASE_YES);
    assert_int_equal(t->expects[0].say_count, 2);
    assert_int_equal(t->expects[1].at_ms, -1);
    assert_int_equal(t->invariants[0].kind, INVARIANT_ABOVE);
    assert_string_equal(t[1].name, "tests[1]");
    assert_int_equal(t[1].polls[0].pending, 1);
    assert_int_equal(t[1].start.at_ms, -1);
    case_file_free(f);
    report_free(report);
}

/* The policy may stand in the file itself, as text or as a map. */
static void a_policy_may_be_inline(void **state)
{
    static const char *const forms[] = {
        "policy: |\n  kind: A\n  b: 1\ntests: [{invariants: [never above 1]}]\n",
        "policy: {kind: A, b: 1}\ntests: [{invariants: [never above 1]}]\n",
        "policy: [{kind: A}, {kind: B}]\ntests: [{invariants: [never above 1]}]\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct report *report = report_new();
        struct case_file *f = read(forms[i], report);

        assert_int_equal(report_count(report), 0);
        assert_true(f->policy_inline && case_file_load(f, report));
        assert_non_null(strstr(f->manifest, "kind"));
        assert_string_equal(f->policy_name, "tests/a.test.yaml");
        case_file_free(f);
        report_free(report);
    }
}

#define HEAD      "policy: a.yaml\ntests:\n"
#define EXPECT(x) HEAD "- expect:\n  - " x "\n"
#define INPUT(x)  HEAD "- invariants: [never above 1]\n  inputs:\n  - " x "\n"

static void mistakes_are_named_where_they_are(void **state)
{
    static const struct {
        const char *yaml;
        int line, column;
        const char *says; /* in the sentence or the remedy */
    } cases[] = {
        {"", 1, 1, "one document"},
        {"a: [\n", 2, 0, ""},
        {"- a\n", 1, 1, "a map of policy"},
        {"tests: [{invariants: [never above 1]}]\n", 1, 1, "policy under test is missing"},
        {"policy: a.yaml\n", 1, 1, "no tests"},
        {"polcy: a.yaml\n", 1, 1, "did you mean 'policy'?"},
        {"policy: 5.5\npolicy: a\n", 2, 1, "twice"},
        {"policy: true\n", 1, 9, "path of a file"},
        {"policy: a.yaml\ntests: 5\n", 2, 8, "a list of tests"},
        {"policy: a.yaml\ninterval: 0s\n", 2, 11, "cannot be 0"},
        {"policy: a.yaml\ninterval: soon\n", 2, 11, "a time is due"},
        {"policy: a.yaml\nstart: {replicas: -1}\n", 2, 19, "whole number"},
        {"policy: a.yaml\nstart: {time: noon}\n", 2, 15, "instant"},
        {"policy: a.yaml\nstart: {time: 0001-01-01T00:00:00Z}\n", 2, 15, "from 1970 on"},
        {HEAD "- name: idle\n", 3, 3, "expects nothing"},
        {HEAD "- {nmae: x, expect: [{at: 1, replicas: 1}]}\n", 3, 4, "did you mean 'name'?"},
        {HEAD "- {polls: [{values: {a: 1}, create: 1}], invariants: [never above 1]}\n", 3, 3, "two tests"},
        {HEAD "- polls: [{values: {a: 1}, create: 1, running: 1, pending: 2}]\n", 3, 11, "2 jobs wait"},
        {HEAD "- polls: [{create: 1}]\n", 3, 11, "what the sources say"},
        {HEAD "- polls: [{values: {a: 1}}]\n", 3, 11, "how many jobs"},
        {EXPECT("{at: 5m}"), 4, 5, "nothing is expected"},
        {EXPECT("{replicas: 1}"), 4, 5, "not said when"},
        {EXPECT("{at: 5m, replicas: many}"), 4, 24, "a number is due"},
        {EXPECT("{at: 5m, replicas: {min: 3, max: 2}}"), 4, 24, "min is above max"},
        {EXPECT("{at: 5m, replicas: {}}"), 4, 24, "min or max"},
        {EXPECT("{at: 5m, replicas: {mn: 3}}"), 4, 25, "did you mean 'min'?"},
        {EXPECT("{at: 5m, active: perhaps}"), 4, 22, "true or false"},
        {EXPECT("{at: 5m, reason: abov-target}"), 4, 22, "did you mean 'above-target'?"},
        {EXPECT("{at: 5m, replica: 3}"), 4, 14, "did you mean 'replicas'?"},
        {EXPECT("{at: 401d, replicas: 3}"), 4, 10, "a time is due"},
        {EXPECT("{at: 9601h, replicas: 3}"), 4, 10, "at most 400 days"},
        {EXPECT("{at: -5m, replicas: 3}"), 4, 10, "a time is due"},
        {INPUT("{trigger: a}"), 5, 5, "what the source says"},
        {INPUT("{trigger: a, values: \"1\", file: b}"), 5, 5, "more than once"},
        {INPUT("{values: \"1\"}"), 5, 5, "which trigger"},
        {INPUT("{file: b, divided_by: ready}"), 5, 5, "which column"},
        {INPUT("{trigger: a, values: \"1\", divided_by: pods}"), 5, 43, "replicas, ready"},
        {INPUT("{trigger: a, series: []}"), 5, 26, "times and values"},
        {INPUT("{trigger: a, series: [[5m, 1], [4m, 2]]}"), 5, 36, "go up"},
        {INPUT("{trigger: a, series: [[5m]]}"), 5, 27, "a time and a value"},
        {INPUT("{trigger: a, series: [[5m, much]]}"), 5, 27, "a value is a number"},
        {HEAD "- {workload: {trce: a}, invariants: [never above 1]}\n", 3, 15, "did you mean 'trace'?"},
        {HEAD "- {workload: {profile: a}, invariants: [never above 1]}\n", 3, 14, "what demand"},
        {HEAD "- {workload: {trace: a, amplify: x}, invariants: [never above 1]}\n", 3, 34, "whole number"},
        {HEAD "- invariants: [at least 99 % in slo]\n", 3, 16, "there is none"},
        {HEAD "- invariants: [sometimes above 3]\n", 3, 16, "no invariant"},
        {HEAD "- invariants: [never above three]\n", 3, 16, "no whole number"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct report *report = report_new();
        struct case_file *f = read(cases[i].yaml, report);
        bool found = false;

        for (size_t k = 0; k < report_count(report); k++) {
            const struct finding *x = report_at(report, k);

            found |= x->place.line == cases[i].line && (cases[i].column == 0 || x->place.column == cases[i].column) &&
                     (strstr(x->text, cases[i].says) || (x->remedy && strstr(x->remedy, cases[i].says)));
        }
        if (!found || !f->broken || case_file_load(f, report)) {
            struct text shown;

            text_init(&shown, 1 << 20);
            report_write_text(report, &shown);
            fail_msg("%s\nshould say '%s' at %d:%d, and says\n%s", cases[i].yaml, cases[i].says, cases[i].line,
                     cases[i].column, shown.bytes);
        }
        case_file_free(f);
        report_free(report);
    }
}

static void invariants_are_sentences(void **state)
{
    static const struct {
        const char *text;
        enum invariant_kind kind;
        double limit;
        const char *condition, *guard;
        int64_t from_ms, to_ms;
    } cases[] = {
        {"never above 8", INVARIANT_ABOVE, 8, NULL, NULL, 0, INT64_MAX},
        {"  never   below 1 ", INVARIANT_BELOW, 1, NULL, NULL, 0, INT64_MAX},
        {"never to zero", INVARIANT_TO_ZERO, 0, NULL, NULL, 0, INT64_MAX},
        {"never to zero while tokens_per_min > 0", INVARIANT_TO_ZERO, 0, NULL, "tokens_per_min > 0", 0, INT64_MAX},
        {"at most 4 scale events", INVARIANT_EVENTS, 4, NULL, NULL, 0, INT64_MAX},
        {"at most 1 scale event", INVARIANT_EVENTS, 1, NULL, NULL, 0, INT64_MAX},
        {"at most 0 scale downs from 10m", INVARIANT_DOWNS, 0, NULL, NULL, 600000, INT64_MAX},
        {"at most 2 scale ups to 90", INVARIANT_UPS, 2, NULL, NULL, 0, 90000},
        {"at most 1.5 replica hours", INVARIANT_REPLICA_HOURS, 1.5, NULL, NULL, 0, INT64_MAX},
        {"at least 99 % in slo", INVARIANT_SLO, 99, NULL, NULL, 0, INT64_MAX},
        {"at least 99.5% in slo", INVARIANT_SLO, 99.5, NULL, NULL, 0, INT64_MAX},
        {"never above 0 from 60s to 15m", INVARIANT_ABOVE, 0, NULL, NULL, 60000, 900000},
        {"never above 0 to 15m from 60s", INVARIANT_ABOVE, 0, NULL, NULL, 60000, 900000},
        {"never replicas < 2 while queue > 10", INVARIANT_CONDITION, 0, "replicas < 2", "queue > 10", 0, INT64_MAX},
        {"always replicas >= 2 from 1m", INVARIANT_ALWAYS, 0, "replicas >= 2", NULL, 60000, INT64_MAX},
        {"never mode == ' while ' while a\n", INVARIANT_CONDITION, 0, "mode == ' while '", "a", 0, INT64_MAX},
        {"never above_all > 3", INVARIANT_CONDITION, 0, "above_all > 3", NULL, 0, INT64_MAX},
        {"never to_zero", INVARIANT_CONDITION, 0, "to_zero", NULL, 0, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct case_invariant read = {.field = "f", .place = {.line = 7}};
        struct error err;

        if (!case_invariant_parse(cases[i].text, arena, &read, &err))
            fail_msg("%s: %s", cases[i].text, err.text);
        if (read.kind != cases[i].kind || read.limit != cases[i].limit || read.from_ms != cases[i].from_ms ||
            read.to_ms != cases[i].to_ms || !string_equal(read.condition, cases[i].condition) ||
            !string_equal(read.guard, cases[i].guard))
            fail_msg("%s: kind %d limit %g condition %s guard %s", cases[i].text, (int)read.kind, read.limit,
                     read.condition, read.guard);
        assert_int_equal(read.place.line, 7);
        arena_free(arena);
    }
}

static void what_is_no_invariant_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is no invariant"},
        {"never", "is no invariant"},
        {"always", "is no invariant"},
        {"above 8", "never above N"},
        {"never above", "no whole number"},
        {"never above 8.5", "no whole number"},
        {"never above -1", "no whole number"},
        {"never below 1e9", "no whole number"},
        {"at most many scale events", "no whole number"},
        {"at most 4 events", "scale events"},
        {"at most 4", "scale events"},
        {"never above 8 while ", "a condition is missing"},
        {"never above 8 from 5m to 1m", "ends before"},
        {"at most 3 replica hours while a", "whole run"},
        {"at least 99 % in slo from 5m", "whole run"},
        {"at least 101 % in slo", "never more than 100 %"},
        {"at least 3 replicas", "requests in their goals"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct case_invariant read = {0};
        struct error err = {.kind = ERROR_NONE};

        if (case_invariant_parse(cases[i].text, arena, &read, &err) || !strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.text);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(a_policy_may_be_inline),
        cmocka_unit_test(mistakes_are_named_where_they_are),
        cmocka_unit_test(invariants_are_sentences),
        cmocka_unit_test(what_is_no_invariant_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Errors and reports: what people read when something is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/report.h"
#include "base/text.h"
#include "base/tree.h"

static void an_error_is_one_line(void **state)
{
    struct error err = {.where = "left from before"};

    (void)state;
    assert_false(error_set(&err, ERROR_LIMIT, "more than %d", 5));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_string_equal(err.text, "more than 5");
    assert_string_equal(err.where, "");
    assert_false(error_add_place(&err, "spec.triggers[%d]", 2));
    assert_false(error_add_place(&err, "a.yaml:%d", 3));
    assert_string_equal(err.where, "a.yaml:3 spec.triggers[2]");
    assert_false(error_set(&err, ERROR_INVALID, "in short: %s", err.text)); /* its own text as an argument */
    assert_string_equal(err.text, "in short: more than 5");
    assert_false(error_set(NULL, ERROR_INVALID, "nobody listens"));
    assert_false(error_add_place(NULL, "nobody listens"));
}

static void long_errors_are_cut_between_characters(void **state)
{
    struct error err;
    char name[2001];

    (void)state;
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    name[2000] = 0;
    for (int shift = 0; shift < 2; shift++) {
        error_set(&err, ERROR_INVALID, "%s%s", shift ? "x" : "", name);
        assert_int_equal(utf8_valid_prefix(err.text, strlen(err.text)), strlen(err.text));
        assert_in_range(strlen(err.text), sizeof err.text - 3, sizeof err.text - 1);
        error_add_place(&err, "%s%s", shift ? "x" : "", name);
        error_add_place(&err, "y");
        assert_int_equal(utf8_valid_prefix(err.where, strlen(err.where)), strlen(err.where));
        assert_in_range(strlen(err.where), sizeof err.where - 3, sizeof err.where - 1);
    }
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = ERROR_NONE; a <= ERROR_INTERNAL; a++)
        for (int b = ERROR_NONE; b < a; b++)
            assert_string_not_equal(error_kind_name((enum error_kind)a), error_kind_name((enum error_kind)b));
}

static struct report *example(void)
{
    struct report *report = report_new();
    char file[] = "b.yaml";

    report_add(report, &(struct finding){.severity = FINDING_ADVICE, .code = "no-place"}, NULL, NULL, "%s",
               "cannot be placed");
    report_add(report,
               &(struct finding){.severity = FINDING_ERROR,
                                 .code = "missing-required",
                                 .place = {file, 12, 7, 1},
                                 .object = "ScaledObject shop/checkout"},
               "spec.triggers[1].metadata.query", "say which query to ask", "query is %s", "required");
    report_add(report, &(struct finding){.severity = FINDING_WARNING, .code = "w", .place = {file, 3, 0, 0}}, "", NULL,
               "later");
    report_add(report, &(struct finding){.severity = FINDING_WARNING, .code = "w", .place = {file, 3, 0, 0}}, "f", NULL,
               "same place, after it");
    report_add(report, &(struct finding){.severity = FINDING_ERROR, .code = "e", .place = {"a.yaml", 99, 1, 5}}, "",
               NULL, "first file");
    memset(file, 'x', sizeof file - 1); /* the report has copies */
    report_sort(report);
    return report;
}

static void a_report_reads_like_a_compiler(void **state)
{
    struct report *report = example();
    struct text text;

    (void)state;
    text_init(&text, 10000);
    report_write_text(report, &text);
    assert_string_equal(text.bytes, "advice: cannot be placed [no-place]\n"
                                    "a.yaml:99:1: error: first file [e]\n"
                                    "b.yaml:3: warning: later [w]\n"
                                    "b.yaml:3: warning: same place, after it [w]\n"
                                    "    in f\n"
                                    "b.yaml:12:7: error: query is required [missing-required]\n"
                                    "    in ScaledObject shop/checkout: spec.triggers[1].metadata.query\n"
                                    "    help: say which query to ask\n");
    assert_int_equal(report_count(report), 5);
    assert_int_equal(report_count_of(report, FINDING_ERROR), 2);
    assert_int_equal(report_count_of(report, FINDING_ADVICE), 1);
    assert_string_equal(report_at(report, 4)->code, "missing-required");
    assert_null(report_at(report, 5));
    text_done(&text);
    report_free(report);
    report_free(NULL);
}

static void a_report_is_json(void **state)
{
    struct report *report = example();
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *json;
    struct error err;
    struct text text;
    int64_t line, document;

    (void)state;
    text_init(&text, 10000);
    report_write_json(report, &text);
    assert_true(tree_read_json(text.bytes, text.length, false, arena, &json, &err));
    assert_int_equal(tree_count(json), 5);
    assert_string_equal(tree_string(tree_at(json, "4.severity")), "error");
    assert_string_equal(tree_string(tree_at(json, "4.object")), "ScaledObject shop/checkout");
    assert_string_equal(tree_string(tree_at(json, "4.remedy")), "say which query to ask");
    assert_true(tree_integer(tree_at(json, "4.line"), &line) && line == 12);
    assert_true(tree_integer(tree_at(json, "4.document"), &document) && document == 1);
    assert_null(tree_at(json, "0.file"));
    text_done(&text);
    arena_free(arena);
    report_free(report);
}

static void an_empty_report_is_empty(void **state)
{
    struct report *report = report_new();
    struct text text;

    (void)state;
    text_init(&text, 100);
    report_sort(report);
    report_write_text(report, &text);
    assert_string_equal(text.bytes, "");
    report_write_json(report, &text);
    assert_string_equal(text.bytes, "[]\n");
    text_done(&text);
    report_free(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_one_line),
        cmocka_unit_test(long_errors_are_cut_between_characters),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
        cmocka_unit_test(a_report_reads_like_a_compiler),
        cmocka_unit_test(a_report_is_json),
        cmocka_unit_test(an_empty_report_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

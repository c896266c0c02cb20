/*
 * field_replicas: a case of `kind: replicas` as a test of policies, in the words of docs/testing.md, so that it runs as `weir test` runs one.
 *
 *     series: waiting: [[0, 4], [60, 9]]   ->  inputs: [{trigger: waiting, series: [[0, 4], [60, 9]]}]
 *     expect: replicas: - {at: 75, is: 3}  ->  expect: [{at: 75, replicas: {min: 3, max: 3}}]
 *     expect: never: {above: 0, from: 60}  ->  invariants: ["never above 0 from 60"]
 *     expect: why: [words]                 ->  expect: [{says: words}], at any time
 *     expect: create: - {running: 2, values: ...}  ->  polls
 */
#include "vectors.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/report.h"
#include "base/tree.h"
#include "sim/case.h"

enum vector_outcome field_replicas(const struct tree *c, const char *folder, struct vector_result *result);

enum { TEST_MAX_BYTES = 4 * 1024 * 1024 };
#define START "2026-03-02T00:00:00Z" /* a Monday */

/* ------------------------------------------------------------------ pieces of JSON */

static void add_key(const char *key, struct text *out)
{
    if (out->length > 0 && !strchr("{[", out->bytes[out->length - 1]))
        text_add_char(out, ',');
    if (key)
        text_printf(out, "\"%s\":", key);
}

static void add_string(const char *key, const char *string, struct text *out)
{
    add_key(key, out);
    text_add_json_string(out, string, strlen(string));
}

static void add_node(const char *key, const struct tree *node, struct text *out)
{
    if (!node)
        return;
    add_key(key, out);
    tree_write_json(node, out);
}

/* A source that fails is `error` in a case, and `failed` in a test; not a number is a word in both. */
static void add_value(const char *key, const struct tree *value, struct text *out)
{
    if (string_equal(tree_string(value), "error"))
        add_string(key, "failed", out);
    else if (value && value->type == TREE_NUMBER && value->length > 0 && !strpbrk(value->text, "0123456789"))
        add_string(key, strcasestr(value->text, "nan") ? "NaN" : value->text, out);
    else
        add_node(key, value, out);
}

/* ------------------------------------------------------------------ parts of a test */

static void add_series(const struct tree *series, struct text *out)
{
    add_key("series", out);
    text_add_char(out, '[');
    for (const struct tree *point = series ? series->first : NULL; point; point = point->next) {
        add_key(NULL, out);
        text_add_char(out, '[');
        add_node(NULL, tree_index(point, 0), out);
        add_value(NULL, tree_index(point, 1), out);
        text_add_char(out, ']');
    }
    text_add_char(out, ']');
}

static void add_inputs(const struct tree *c, struct text *out)
{
    const struct tree *all = tree_get(c, "series");

    add_key("inputs", out);
    text_add_char(out, '[');
    for (const struct tree *series = all ? all->first : NULL; series; series = series->next) {
        const struct tree *total = tree_get(series, "total");

        add_key(NULL, out);
        text_add_char(out, '{');
        add_string("trigger", series->key, out);
        add_node("divided_by", tree_get(series, "divided_by"), out);
        add_series(total ? total : series, out);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void add_expects(const struct tree *c, struct text *out)
{
    const struct tree *points = tree_at(c, "expect.replicas"), *why = tree_at(c, "expect.why");

    add_key("expect", out);
    text_add_char(out, '[');
    for (const struct tree *p = points ? points->first : NULL; p; p = p->next) {
        add_key(NULL, out);
        text_add_char(out, '{');
        add_node("at", tree_get(p, "at"), out);
        add_key("replicas", out);
        text_add_char(out, '{');
        add_node("min", tree_get(p, tree_get(p, "is") ? "is" : "min"), out);
        add_node("max", tree_get(p, tree_get(p, "is") ? "is" : "max"), out);
        text_add(out, "}}");
    }
    for (const struct tree *w = why ? why->first : NULL; w; w = w->next) {
        add_key(NULL, out);
        text_add_char(out, '{');
        add_string("says", w->text ? w->text : "", out);
        text_add_char(out, '}');
    }
    text_add_char(out, ']');
}

static void add_bound(const struct tree *never, const char *what, struct text *out)
{
    const struct tree *limit = tree_get(never, what);
    struct text sentence;

    if (!limit)
        return;
    text_init(&sentence, TEST_MAX_BYTES);
    text_printf(&sentence, "never %s %s", what, limit->text);
    if (tree_get(never, "from"))
        text_printf(&sentence, " from %s", tree_get(never, "from")->text);
    if (tree_get(never, "to"))
        text_printf(&sentence, " to %s", tree_get(never, "to")->text);
    add_string(NULL, sentence.bytes, out);
    text_done(&sentence);
}

static void add_invariants(const struct tree *c, struct text *out)
{
    const struct tree *never = tree_at(c, "expect.never");
    bool list = never && never->type == TREE_LIST;

    add_key("invariants", out);
    text_add_char(out, '[');
    for (const struct tree *n = list ? never->first : never; n; n = list ? n->next : NULL) {
        add_bound(n, "above", out);
        add_bound(n, "below", out);
    }
    text_add_char(out, ']');
}

static void add_polls(const struct tree *create, struct text *out)
{
    add_key("polls", out);
    text_add_char(out, '[');
    for (const struct tree *p = create->first; p; p = p->next) {
        const struct tree *values = tree_get(p, "values");

        add_key(NULL, out);
        text_add_char(out, '{');
        add_node("running", tree_get(p, "running"), out);
        add_node("pending", tree_get(p, "pending"), out);
        add_node("create", tree_get(p, "jobs"), out);
        add_key("values", out);
        text_add_char(out, '{');
        for (const struct tree *v = values ? values->first : NULL; v; v = v->next)
            add_value(v->key, v, out);
        text_add(out, "}}");
    }
    text_add_char(out, ']');
}

static void write_test(const struct tree *c, struct text *out)
{
    const struct tree *create = tree_at(c, "expect.create"), *clock = tree_get(c, "clock");
    const struct tree *replicas = tree_at(c, "start.replicas");

    text_add(out, "{\"policy\":\"manifest.yaml\",\"start\":{");
    add_string("time", tree_string(clock) ? tree_string(clock) : START, out);
    add_node("ready_after", tree_at(c, "pods.ready_after_s"), out);
    text_printf(out, ",\"replicas\":%s},\"tests\":[{", replicas && replicas->text ? replicas->text : "0");
    if (create) {
        add_polls(create, out);
    } else {
        add_inputs(c, out);
        add_expects(c, out);
        add_invariants(c, out);
    }
    text_add(out, "}]}");
}

/* ------------------------------------------------------------------ running it */

static void compare(const struct case_result *result, struct vector_result *out)
{
    for (size_t i = 0; i < result->failure_count; i++) {
        const struct case_failure *f = &result->failures[i];

        text_printf(&out->expected, "%s at %lld s; ", f->expected, (long long)(f->at_ms / 1000));
        text_printf(&out->got, "%s; ", f->got);
    }
}

static enum vector_outcome run(struct case_file *file, struct report *report, struct vector_result *out)
{
    struct case_options options = {.engine = ENGINE_WEIR};
    struct case_result result;
    enum case_outcome outcome = CASE_BROKEN;

    if (case_file_load(file, report)) {
        case_run(file, 0, &options, report, &result);
        outcome = result.outcome;
        compare(&result, out);
        case_result_done(&result);
    }
    for (size_t i = 0; i < report_count(report); i++)
        text_printf(&out->got, "%s ", report_at(report, i)->text);
    return outcome == CASE_PASSED ? VECTOR_PASSED : VECTOR_FAILED;
}

enum vector_outcome field_replicas(const struct tree *c, const char *folder, struct vector_result *result)
{
    struct report *report = report_new();
    struct text name, test;

    log_set_level(LOG_LEVEL_ERROR);
    text_init(&name, TEST_MAX_BYTES);
    text_init(&test, TEST_MAX_BYTES);
    text_printf(&name, "%s/case.yaml", folder);
    write_test(c, &test);
    struct case_file *file = case_file_read(name.bytes, test.bytes, test.length, report);
    enum vector_outcome outcome = run(file, report, result);
    case_file_free(file);
    text_done(&test);
    text_done(&name);
    report_free(report);
    return outcome;
}

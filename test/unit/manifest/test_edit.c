/* Edits of YAML: what stands afterwards, byte for byte; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"
#include "manifest/edit.h"

struct row {
    const char *name, *before, *path, *value;
    enum tree_type type;
    const char *after; /* NULL: refused, and says `error` */
    const char *error;
    size_t document;
};

static const struct row rows[] = {
    /* a value that is there */
    {"plain", "a: 1 # one\nb: 2\n", "a", "15", TREE_NUMBER, "a: 15 # one\nb: 2\n"},
    {"no line end", "a: 1", "a", "2", TREE_NUMBER, "a: 2"},
    {"deep", "a:\n  b:\n  - c: 1\n    d: 2\n", "a.b[0].d", "3", TREE_NUMBER, "a:\n  b:\n  - c: 1\n    d: 3\n"},
    {"double quotes", "a: \"10\"   # ten\n", "a", "20", TREE_STRING, "a: \"20\"   # ten\n"},
    {"single quotes", "a: '10'\n", "a", "20", TREE_STRING, "a: '20'\n"},
    {"a quote within quotes", "a: 'x'\n", "a", "it's", TREE_STRING, "a: 'it''s'\n"},
    {"a number that was a text", "a: \"10\"\n", "a", "20", TREE_NUMBER, "a: 20\n"},
    {"a text that was a number", "a: 10\n", "a", "20", TREE_STRING, "a: \"20\"\n"},
    {"a text that stays plain", "a: x\n", "a", "yz", TREE_STRING, "a: yz\n"},
    {"a text that cannot be plain", "a: x\n", "a", "y: z #1", TREE_STRING, "a: \"y: z #1\"\n"},
    {"a text of two lines", "a: 'x'\n", "a", "y\nz", TREE_STRING, "a: \"y\\nz\"\n"},
    {"yes is no text", "a: x\n", "a", "yes", TREE_STRING, "a: \"yes\"\n"},
    {"bool", "a: false # off\n", "a", "true", TREE_BOOL, "a: true # off\n"},
    {"flow", "a: {b: 1, c: [2, 3]}\n", "a.c[1]", "4", TREE_NUMBER, "a: {b: 1, c: [2, 4]}\n"},
    {"json", "{\"a\": {\"b\": 1}}\n", "a.b", "2", TREE_NUMBER, "{\"a\": {\"b\": 2}}\n"},
    {"CRLF", "a: 1\r\nb: 2\r\n", "b", "3", TREE_NUMBER, "a: 1\r\nb: 3\r\n"},
    {"not only ASCII", "ä: \"öü\" # ß\nb: 2\n", "b", "3", TREE_NUMBER, "ä: \"öü\" # ß\nb: 3\n"},
    {"byte order mark",
     "\xEF\xBB\xBF"
     "a: 1\n",
     "a", "2", TREE_NUMBER,
     "\xEF\xBB\xBF"
     "a: 2\n"},
    {"second document", "a: 1\n---\na: 1\n", "a", "2", TREE_NUMBER, "a: 1\n---\na: 2\n", NULL, 1},
    {"empty documents do not count", "---\n# nothing\n---\na: 1\n---\na: 1\n...\n", "a", "2", TREE_NUMBER,
     "---\n# nothing\n---\na: 2\n---\na: 1\n...\n"},
    {"key with dots", "a: {weir.dev/mode: hpa}\n", "a[weir.dev/mode]", "direct", TREE_STRING,
     "a: {weir.dev/mode: direct}\n"},
    {"key without a value", "a: # here\nb: 1\n", "a", "2", TREE_NUMBER, "a: 2 # here\nb: 1\n"},
    {"null in words", "a: ~\n", "a", "2", TREE_NUMBER, "a: 2\n"},
    {"written twice, the last counts", "a: 1\na: 2\n", "a", "3", TREE_NUMBER, "a: 1\na: 3\n"},
    {"block text", "a: |\n  x +\n  y\n\nb: 1\n", "a", "z", TREE_STRING, "a: z\n\nb: 1\n"},
    {"two lines without quotes", "a: x\n  y # c\nb: 1\n", "a", "z", TREE_STRING, "a: z # c\nb: 1\n"},
    {"tag", "a: !!str 5\n", "a", "6", TREE_STRING, "a: !!str \"6\"\n"},
    {"anchor nobody names", "a: &x 5\n", "a", "6", TREE_NUMBER, "a: &x 6\n"},
    {"alias of a scalar", "a: &x 5\nb: *x\n", "b", "6", TREE_NUMBER, "a: &x 5\nb: 6\n"},
    /* a key that is missing */
    {"at the end", "a: 1\nb: 2\n", "c", "3", TREE_NUMBER, "a: 1\nb: 2\nc: 3\n"},
    {"at the end without a line end", "a: 1", "c", "3", TREE_NUMBER, "a: 1\nc: 3"},
    {"in its usual place", "spec:\n  scaleTargetRef:\n    name: x\n  # who asks\n  triggers:\n  - type: cron\n",
     "spec.cooldownPeriod", "60", TREE_NUMBER,
     "spec:\n  scaleTargetRef:\n    name: x\n  cooldownPeriod: 60\n  # who asks\n  triggers:\n  - type: cron\n"},
    {"four blanks, and what is between is made", "spec:\n    triggers:\n    -   type: cron # c\n\n---\nb: 1\n",
     "spec.advanced.scalingModifiers.target", "5", TREE_STRING,
     "spec:\n    triggers:\n    -   type: cron # c\n    advanced:\n        scalingModifiers:\n            target: "
     "\"5\"\n\n---\nb: 1\n"},
    {"behind comments that belong to what is before", "a:\n  b:\n    c: 1\n    # d: 2\n\n    # e\n# f\n", "a.z", "1",
     TREE_NUMBER, "a:\n  b:\n    c: 1\n    # d: 2\n\n    # e\n  z: 1\n# f\n"},
    {"CRLF is kept", "a: 1\r\nb: 2\r\n", "c", "3", TREE_NUMBER, "a: 1\r\nb: 2\r\nc: 3\r\n"},
    {"in a list's element", "a:\n- b: 1\n  c: 2\n- b: 3\n", "a[0].d", "x", TREE_STRING,
     "a:\n- b: 1\n  c: 2\n  d: x\n- b: 3\n"},
    {"behind a block text", "a:\n  b: |\n    x\n\nc: 1\n", "a.d", "1", TREE_NUMBER,
     "a:\n  b: |\n    x\n  d: 1\n\nc: 1\n"},
    {"behind a block text whose empty lines count", "a:\n  b: |+\n    x\n\nc: 1\n", "a.d", "1", TREE_NUMBER,
     "a:\n  b: |+\n    x\n\n  d: 1\nc: 1\n"},
    {"behind a text of two lines", "a: 'x\n  y'\nb: 'x\n  y' # c\n", "d", "1", TREE_NUMBER,
     "a: 'x\n  y'\nb: 'x\n  y' # c\nd: 1\n"},
    {"flow, inserted", "a: {b: 1}\n", "a.c", "2", TREE_NUMBER, "a: {b: 1, c: 2}\n"},
    {"flow, a comma at the end", "a: {b: 1,}\n", "a.c", "2", TREE_NUMBER, "a: {b: 1, c: 2,}\n"},
    {"flow, empty", "a: {}\n", "a.c.d", "2", TREE_NUMBER, "a: {c: {d: 2}}\n"},
    {"flow, a line each", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n", "c", "y", TREE_STRING,
     "{\n  \"a\": 1,\n  \"b\": \"x\",\n  \"c\": \"y\"\n}\n"},
    {"where nothing stands", "a:\n  b: # later\nc: 1\n", "a.b.d", "2", TREE_NUMBER,
     "a:\n  b: # later\n    d: 2\nc: 1\n"},
    {"where null stands", "a: null\n", "a.d", "2", TREE_NUMBER, "a:\n  d: 2\n"},
    {"where null stands in flow", "{a: null, b: }\n", "b.d", "2", TREE_NUMBER, "{a: null, b: {d: 2}}\n"},
    {"an override of what is merged", "x: &x\n  a: 1\nz:\n  <<: *x\n  b: 2\n", "z.a", "3", TREE_NUMBER,
     "x: &x\n  a: 1\nz:\n  <<: *x\n  b: 2\n  a: 3\n"},
    {"annotation", "metadata:\n  name: x\nspec: {}\n", "metadata.annotations[weir.dev/polling-interval]", "1s",
     TREE_STRING, "metadata:\n  name: x\n  annotations:\n    weir.dev/polling-interval: 1s\nspec: {}\n"},
    /* refused */
    {"not YAML", "a: [1\n", "a", "2", TREE_NUMBER, NULL, "not YAML"},
    {"no such document", "a: 1\n", "a", "2", TREE_NUMBER, NULL, "it has 1", 1},
    {"through a scalar", "a: 1\n", "a.b", "2", TREE_NUMBER, NULL, "field of something that has none"},
    {"a map", "a: {b: 1}\n", "a", "2", TREE_NUMBER, NULL, "not one value"},
    {"past the end of a list", "a: [1]\n", "a[1]", "2", TREE_NUMBER, NULL, "not in the list"},
    {"a list that is not there", "a: 1\n", "b[0].c", "2", TREE_NUMBER, NULL, "write the list first"},
    {"a name in a list", "a: [1]\n", "a.b", "2", TREE_NUMBER, NULL, "not in the list"},
    {"shared by an alias", "a: &x 5\nb: *x\n", "a", "6", TREE_NUMBER, NULL, "shared by an anchor"},
    {"within what an alias shares", "a: &x {c: 5}\nb: *x\n", "b.c", "6", TREE_NUMBER, NULL, "shares with others"},
    {"a value that is not of its type", "a: 5\n", "a", "six", TREE_NUMBER, NULL, "cannot be set without"},
    {"more than a value", "a: 5\n", "a", "6\nb: 7", TREE_NUMBER, NULL, "cannot be set without"},
    {"a bool and a comment", "a: true\n", "a", "no # c", TREE_BOOL, NULL, "cannot be set without"},
    {"no path", "a: 5\n", "", "6", TREE_NUMBER, NULL, "path of an edit is empty"},
    {"half a path", "a: 5\n", "a[0", "6", TREE_NUMBER, NULL, "no path of a field"},
};

static void check_row(const struct row *row)
{
    struct edit edit = {.document = row->document, .path = row->path, .value = row->value, .type = row->type};
    struct error err = {0};
    struct text out;

    text_init(&out, 10000);
    bool fine = edit_apply("t.yaml", row->before, strlen(row->before), &edit, &out, &err);
    if (fine != (row->after != NULL))
        fail_msg("%s: %s %s", row->name, fine ? "was not refused" : err.where, fine ? out.bytes : err.text);
    if (row->after && strcmp(out.bytes, row->after) != 0)
        fail_msg("%s: is\n%s\nwanted\n%s", row->name, out.bytes, row->after);
    if (row->error && !strstr(err.text, row->error))
        fail_msg("%s: says '%s', not '%s'", row->name, err.text, row->error);
    if (row->error && strncmp(err.where, "t.yaml", 6) != 0)
        fail_msg("%s: does not say where: '%s'", row->name, err.where);
    text_done(&out);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i]);
}

/* What is set again to what it is, is what it was. */
static void test_several(void **state)
{
    static const char before[] = "spec:\n  minReplicaCount: 1\n  triggers: [{metadata: {threshold: '5'}}]\n";
    const struct edit edits[] = {{0, "spec.minReplicaCount", "2", TREE_NUMBER},
                                 {0, "spec.triggers[0].metadata.threshold", "7", TREE_STRING},
                                 {0, "spec.cooldownPeriod", "9", TREE_NUMBER}};
    struct error err;
    struct text out;

    (void)state;
    text_init(&out, 10000);
    assert_true(edit_apply_all("t.yaml", before, strlen(before), edits, 3, &out, &err));
    assert_string_equal(out.bytes, "spec:\n  minReplicaCount: 2\n  cooldownPeriod: 9\n  triggers: [{metadata: "
                                   "{threshold: '7'}}]\n");
    text_done(&out);
    text_init(&out, 20);
    assert_false(edit_apply_all("t.yaml", before, strlen(before), edits, 3, &out, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_int_equal(out.length, 0);
    text_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_several)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

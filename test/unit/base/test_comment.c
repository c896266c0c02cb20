/* Comments of YAML texts: where they stand, what they are about, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "base/comment.h"
#include "base/text.h"

/* found: "line:column doc about|head..end text", blank-separated by " / "; an end of INT_MAX is left out. */
static const struct {
    const char *name, *yaml, *found;
} rows[] = {
    {"none", "a: 1 # other\n", ""},
    {"behind something", "a: 1 # x one\nb: 2\n", "1:6 0 1 one"},
    {"before a line", "a: 1\n# x one\nb: 2\n", "2:1 0 3 one"},
    {"indented, with more between", "a:\n  # x one\n  # more\n\n  b: 2\n", "2:3 0 5 one"},
    {"without a blank", "a: 1 #x one\n", "1:6 0 1 one"},
    {"a longer word", "a: 1 # xy one\n# x-y\n", ""},
    {"not at its beginning", "a: 1 # see x one\n", ""},
    {"twice", "# x one\na: 1 # x two\n", "1:1 0 head one / 2:6 0 2 two"},
    {"head", "# license\n# x one\n\na: 1\nb: 2\n", "2:1 0 head one"},
    {"head before the mark", "# x one\n---\na: 1\n---\nb: 2\n", "1:1 0 head..3 one"},
    {"head of the second", "a: 1\n---\n# x one\nb: 2\n", "3:1 1 head one"},
    {"behind the last line", "a: 1\n# x one\n---\nb: 2\n", "2:1 0 0 one"},
    {"at the end", "a: 1\n# x one\n", "2:1 0 0 one"},
    {"empty documents do not count", "---\n---\na: 1\n---\nb: 2 # x one\n", "5:6 1 5 one"},
    {"in a string", "a: \"1 # x one\"\nb: '# x two'\n", ""},
    {"in a plain text", "a: b# x one\n", ""},
    {"in a block", "a: |\n  # x one\n  b\nc: 1 # x two\n", "4:6 0 4 two"},
    {"in a folded block", "a: >-\n  b\n  # x one\n# x two\nc: 1\n", "4:1 0 5 two"},
    {"in a list", "a:\n  - 1\n  # x one\n  - 2\n", "3:3 0 4 one"},
    {"in a flow", "a: {b: 1,\n  # x one\n  c: 2}\n", "2:3 0 3 one"},
    {"columns of code points", "a: \"\xc3\xa9\" # x one\n", "1:8 0 1 one"},
    {"carriage returns", "a: 1 # x one\r\nb: 2\r\n", "1:6 0 1 one"},
    {"without text", "a: 1 # x\n", "1:6 0 1 "},
    {"behind a fault", "a: \"b\n# x one\n", "2:1 0 0 one"},
    {"no newline at the end", "a: 1 # x one", "1:6 0 1 one"},
};

static void write_comment(const struct comment *c, struct text *out)
{
    text_printf(out, "%s%d:%d %d ", out->length ? " / " : "", c->line, c->column, c->doc);
    if (c->head)
        text_add(out, "head");
    else
        text_printf(out, "%d", c->about);
    if (c->head && c->document_end != INT_MAX)
        text_printf(out, "..%d", c->document_end);
    text_printf(out, " %.*s", c->length > 0 ? (int)c->length - 1 : 0, c->text + 1);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct comment list[8];
        size_t count = comments_find(rows[i].yaml, strlen(rows[i].yaml), "x", list, 8);
        struct text text;

        text_init(&text, 1000);
        for (size_t k = 0; k < count; k++)
            write_comment(&list[k], &text);
        if (strcmp(text.bytes, rows[i].found) != 0)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].name, text.bytes, rows[i].found);
        text_done(&text);
    }
}

static void test_at_most(void **state)
{
    struct comment list[2];
    const char *yaml = "a: 1 # x\nb: 1 # x\nc: 1 # x\n";

    (void)state;
    assert_int_equal(comments_find(yaml, strlen(yaml), "x", list, 2), 2);
    assert_int_equal(list[1].line, 2);
    assert_int_equal(comments_find("", 0, "x", list, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_at_most)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A tree written as YAML reads back as the same tree, whatever its texts look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"

static const char *const documents[] = {
    "a: 1\nb: '1'\nc: 1.50\nd: 0x1f\ne: 1e3\nf: '1e3'\ng: .inf\nh: '.inf'\n",
    "a: true\nb: 'true'\nc: 'Yes'\nd: 'n'\ne: 'on'\nf: off\n'on': x\n'null': y\n'1': z\n",
    "a: null\nb: 'null'\nc: '~'\nd: ''\ne: ~\n",
    "a: []\nb: {}\nc: [1, [2, {x: y}]]\nd: {e: {f: [g]}}\n",
    "a: \"x: y\"\nb: 'x #y'\nc: '- x'\nd: '? x'\ne: '@x'\nf: '%x'\ng: '!x'\nh: '&x'\ni: '*x'\nj: '[x'\nk: '{x'\nl: "
    "'|'\n",
    "a: \" x\"\nb: 'x '\nc: \"x\\ty\"\nd: \"\\u0001\"\ne: \"\\u0085\"\nf: 'x''y\"z'\ng: \"back\\\\slash\"\nh: "
    "\"x\\0y\"\n",
    "a: |\n  one\n  two\nb: |-\n  one\n  two\nc: |+\n  one\n\nd: \"\\n\"\ne: \"\\n x\"\nf: \" x\\ny \"\ng: \"x "
    "\\n\\ny\"\nh: \"a\\r\\nb\"\n",
    "a: 2026-01-01\nb: '2026-01-01'\nc: '12:30:45'\nd: 12e\ne: -5\nf: '-5'\ng: +5\nh: '=x'\ni: '<<'\n",
    "a: \"\\u00e9t\\u00e9 \\u2713 \\U0001F600\"\n\"\\u00e9\": 1\n\"a b: c\": 2\n\"\": 3\n",
    "- x\n- - y\n  - z\n- a: b\n  c:\n  - d\n",
    "just a text\n",
};

static const struct tree *read_one(struct arena *arena, const char *yaml, size_t length)
{
    struct tree *list;
    struct error err;

    if (!tree_read_yaml("t.yaml", yaml, length, arena, &list, &err))
        fail_msg("%s: %s\n%s", err.where, err.text, yaml);
    assert_int_equal(list->count, 1);
    return list->first;
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        const struct tree *tree = read_one(arena, documents[i], strlen(documents[i]));
        struct text yaml, before, after;

        text_init(&yaml, 10000);
        text_init(&before, 10000);
        text_init(&after, 10000);
        assert_true(tree_write_yaml(tree, &yaml));
        tree_write_json(tree, &before);
        tree_write_json(read_one(arena, yaml.bytes, yaml.length), &after);
        if (strcmp(before.bytes, after.bytes) != 0)
            fail_msg("written\n%sreads\n%s, not\n%s", yaml.bytes, after.bytes, before.bytes);
        text_done(&yaml);
        text_done(&before);
        text_done(&after);
        arena_free(arena);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct text yaml;

    (void)state;
    text_init(&yaml, 10);
    assert_false(tree_write_yaml(read_one(arena, documents[0], strlen(documents[0])), &yaml));
    text_done(&yaml);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* YAML into trees, with places. Kubernetes' reader (sigs.k8s.io/yaml) is the measure; its answers made the tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/tree.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = arena_new(ARENA_USUAL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct tree *yaml(const char *text)
{
    struct tree *documents = NULL;
    struct error err = {0};

    if (!tree_read_yaml("a.yaml", text, strlen(text), arena, &documents, &err))
        fail_msg("%s: %s", err.where, err.text);
    return documents;
}

static void assert_writes(const struct tree *tree, const char *expected)
{
    struct text text;

    text_init(&text, 1000000);
    tree_write_json(tree, &text);
    assert_string_equal(text.bytes, expected);
    text_done(&text);
}

static void scalars_mean_what_they_mean_to_kubernetes(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"y", "true"},
        {"Yes", "true"},
        {"on", "true"},
        {"True", "true"},
        {"yES", "\"yES\""},
        {"n", "false"},
        {"NO", "false"},
        {"Off", "false"},
        {"nay", "\"nay\""},
        {"~", "null"},
        {"null", "null"},
        {"Null", "null"},
        {"nUll", "\"nUll\""},
        {"5", "5"},
        {"+5", "5"},
        {"-5", "-5"},
        {"1.50", "1.50"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1e3", "1e3"},
        {"0x1F", "31"},
        {"-0x10", "-16"},
        {"0o17", "15"},
        {"017", "15"},
        {"089", "89"},
        {"0b11", "3"},
        {"-0b11", "-3"},
        {"1_000", "1000"},
        {"1__0", "10"},
        {"5_.0", "5"},
        {"._5", "\"._5\""},
        {"0x", "\"0x\""},
        {"1e400", "\"1e400\""},
        {".inf", "null"},
        {".nan", "null"},
        {"1:30", "\"1:30\""},
        {"2001-01-01", "\"2001-01-01\""},
        {"5s", "\"5s\""},
        {"\"5\"", "\"5\""},
        {"'yes'", "\"yes\""},
        {"|\n  5\n", "\"5\\n\""},
        {">-\n  a\n  b\n", "\"a b\""},
        {"!!str 5", "\"5\""},
        {"!!int \"5\"", "5"},
        {"!!float 5", "5"},
        {"!!bool yes", "true"},
        {"!!null ~", "null"},
        {"!foo 5", "\"5\""},
        {"! '5'", "\"5\""},
        {"!!binary aGVsbG8=", "\"hello\""},
        {"!!binary aGVsbA==", "\"hell\""},
        {"!!str", "\"\""},
        {"12345678901234567890", "12345678901234567890"},
        {"-", NULL},
        {"=", "\"=\""},
        {"<<", "\"<<\""},
        {"{{ x }}", NULL},
        {"\"\\u00e9\"", "\"\xc3\xa9\""},
        {"a\tb", "\"a\\tb\""},
        {"inf", "\"inf\""},
        {"NaN", "\"NaN\""},
        {"1,5", "\"1,5\""},
        {"0.1.2", "\"0.1.2\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text text;
        struct tree *documents;
        text_init(&text, 1000);
        text_printf(&text, "v: %s\n", cases[i].yaml);
        bool good = tree_read_yaml("a.yaml", text.bytes, text.length, arena, &documents, NULL);
        assert_int_equal(good, cases[i].json != NULL);
        if (good)
            assert_writes(tree_at(documents, "0.v"), cases[i].json);
        text_done(&text);
    }
}

static void documents_make_a_list(void **state)
{
    (void)state;
    assert_writes(yaml(""), "[]");
    assert_writes(yaml("# only a comment\n"), "[]");
    assert_writes(yaml("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n"), "[{\"a\":1},{\"b\":2}]");
    assert_writes(yaml("a: &x 1\n---\nb: &x 2\nc: *x\n"), "[{\"a\":1},{\"b\":2,\"c\":2}]");
    assert_writes(yaml("\xef\xbb\xbf"
                       "a: 1\n"),
                  "[{\"a\":1}]"); /* a byte order mark */
    assert_writes(yaml("{\n\t\"a\": [1, 2],\n\t\"b\": {\"c\":\"d\\/e\"}\n}\n"),
                  "[{\"a\":[1,2],\"b\":{\"c\":\"d/e\"}}]");
}

static void keys_are_strings(void **state)
{
    (void)state;
    assert_writes(yaml("on: 1\n2: b\n0x10: c\n1.50: d\n\"q\": e\n? x\n: f\n"),
                  "[{\"true\":1,\"2\":\"b\",\"16\":\"c\",\"1.5\":\"d\",\"q\":\"e\",\"x\":\"f\"}]");
    const struct tree *tree = yaml("\"a\\0b\": 1\n");
    assert_null(tree_at(tree, "0.a"));
}

static void places_are_kept(void **state)
{
    const struct tree *tree =
        yaml("# comment\nspec:\n  triggers:\n  - type: cron\n    list: [ {b: 5}]\n  \xc3\xa9: 'x'\n");
    static const struct {
        const char *path;
        int line, column, key_line, key_column;
    } cases[] = {
        {"0", 2, 1, 0, 0},
        {"0.spec", 3, 3, 2, 1},
        {"0.spec.triggers", 4, 3, 3, 3},
        {"0.spec.triggers.0", 4, 5, 0, 0},
        {"0.spec.triggers.0.type", 4, 11, 4, 5},
        {"0.spec.triggers.0.list", 5, 11, 5, 5},
        {"0.spec.triggers.0.list.0", 5, 13, 0, 0},
        {"0.spec.triggers.0.list.0.b", 5, 17, 5, 14},
        {"0.spec.\xc3\xa9", 6, 6, 6, 3}, /* columns count characters */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct tree *node = tree_at(tree, cases[i].path);
        assert_non_null(node);
        assert_int_equal(node->line, cases[i].line);
        assert_int_equal(node->column, cases[i].column);
        assert_int_equal(node->key_line, cases[i].key_line);
        assert_int_equal(node->key_column, cases[i].key_column);
    }
    assert_true(tree_at(tree, "0.spec.\xc3\xa9")->quoted);
    assert_false(tree_at(tree, "0.spec.triggers.0.type")->quoted);
}

static void aliases_and_merges_are_resolved(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"a: &x [1, {b: 2}]\nc: *x\n", "[{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}]}]"},
        {"a: &x 5\nb: [*x, *x]\n", "[{\"a\":5,\"b\":[5,5]}]"},
        {"&k a: 1\nb: *k\n", "[{\"a\":1,\"b\":\"a\"}]"},
        {"a: &x q\n*x : 1\n", "[{\"a\":\"q\",\"q\":1}]"},
        {"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  p: 5\n", "[{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":5,\"q\":2}}]"},
        /* a merge counts where it stands */
        {"a: &x {p: 1, q: 2}\nb:\n  p: 5\n  <<: *x\n  r: 3\n",
         "[{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":1,\"q\":2,\"r\":3}}]"},
        /* the first of several wins */
        {"<<: [{a: 1}, {a: 2, b: 3}]\nc: 1\n", "[{\"a\":1,\"b\":3,\"c\":1}]"},
        {"<<: {a: 1}\n<<: {b: 2}\n", "[{\"a\":1,\"b\":2}]"},
        {"<<: {<<: {a: 1}, b: 2}\n", "[{\"a\":1,\"b\":2}]"},
        {"\"<<\": {a: 1}\n", "[{\"<<\":{\"a\":1}}]"}, /* in quotes an ordinary key */
        {"<<: {}\na: 1\n", "[{\"a\":1}]"},
        {"a: &x {b: &y 1}\nc: *y\n", "[{\"a\":{\"b\":1},\"c\":1}]"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "[{\"a\":1,\"b\":2,\"c\":2}]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_writes(yaml(cases[i].yaml), cases[i].json);
    const struct tree *tree = yaml("a: &x\n  p: 1\nb:\n  <<: *x\n  p: 2\nc: *x\n");
    assert_false(tree_at(tree, "0.b.p")->repeated_key); /* overriding is what merges are for */
    assert_int_equal(tree_at(tree, "0.c")->line, 6);    /* where the alias stands */
    assert_int_equal(tree_at(tree, "0.c")->key_line, 6);
    assert_int_equal(tree_at(tree, "0.b.p")->line, 5);
}

static void repeated_keys_are_marked(void **state)
{
    const struct tree *tree = yaml("a: 1\nb: 2\na: 3\n<<: {c: 4}\nc: 5\nc: 6\n");
    int64_t value;

    (void)state;
    assert_true(tree_integer(tree_at(tree, "0.a"), &value) && value == 1 + 2);
    assert_true(tree_at(tree, "0.a")->repeated_key);
    assert_int_equal(tree_at(tree, "0.a")->key_line, 3);
    assert_false(tree_at(tree, "0.b")->repeated_key);
    assert_true(tree_at(tree, "0.c")->repeated_key);
    tree = yaml("a: 1\na: 2\n");
    assert_int_equal(tree_count(tree_at(tree, "0")), 2);
    assert_true(tree_at(tree, "0.a")->repeated_key);
}

static void wrong_yaml_says_where(void **state)
{
    static const struct {
        const char *yaml, *where, *part;
        enum error_kind kind;
    } cases[] = {
        {"a: 1\n  b: 2\n", "a.yaml:2:4", "mapping values are not allowed", ERROR_INVALID},
        {"a:\n\t- b\n", "a.yaml:2:1", "tab", ERROR_INVALID},
        {"a: [1, 2\nb: 3\n", "a.yaml:2:2", "line 1", ERROR_INVALID},
        {"a: \"x\n", "a.yaml:2:1", "unexpected end", ERROR_INVALID},
        {"a: \xff\n", "a.yaml:1:4", "UTF-8", ERROR_INVALID},
        {"a: *x\n", "a.yaml:1:4", "names no anchor", ERROR_INVALID},
        {"a: &x [*x]\n", "a.yaml:1:8", "contains itself", ERROR_INVALID},
        {"[a]: b\n", "a.yaml:1:1", "a key is a list", ERROR_INVALID},
        {"image: {{ .Values.image }}\n", "a.yaml:1:9", "a key is a map", ERROR_INVALID},
        {"~: 1\n", "a.yaml:1:1", "a key is null", ERROR_INVALID},
        {"<<: 5\n", "a.yaml:1:5", "merges maps", ERROR_INVALID},
        {"<<: [5]\n", "a.yaml:1:5", "merges maps", ERROR_INVALID},
        {"a: !!int x\n", "a.yaml:1:4", "tag", ERROR_INVALID},
        {"a: !!binary \"*\"\n", "a.yaml:1:4", "tag", ERROR_INVALID},
        {"a: !!binary ====\n", "a.yaml:1:4", "tag", ERROR_INVALID},
        {"a: @b\n", "a.yaml:1:4", "quote", ERROR_INVALID},
        {"a: 1\n---\nb: ]\n", "a.yaml:3:4", "not YAML", ERROR_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tree *documents = NULL;
        struct error err = {0};
        assert_false(tree_read_yaml("a.yaml", cases[i].yaml, strlen(cases[i].yaml), arena, &documents, &err));
        assert_null(documents);
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(err.where, cases[i].where);
        if (!strstr(err.text, cases[i].part))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].part);
    }
}

/* "Billion laughs": ten levels of ten aliases would be 10^10 values. */
static void an_alias_bomb_is_a_bound_that_is_hit(void **state)
{
    struct arena *small = arena_new(ARENA_USUAL);
    struct tree *documents;
    struct error err;
    struct text text;

    (void)state;
    text_init(&text, 100000);
    text_add(&text, "a0: &a0 [x]\n");
    for (int i = 1; i <= 10; i++) {
        text_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            text_printf(&text, "%s*a%d", j ? "," : "", i - 1);
        text_add(&text, "]\n");
    }
    assert_false(tree_read_yaml("bomb", text.bytes, text.length, small, &documents, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "TREE_NODES_MAX"));
    assert_true(arena_bytes(small) < 100000); /* children are shared: it was never expanded */
    arena_free(small);
    text_done(&text);
}

static void depth_is_bounded_through_aliases(void **state)
{
    struct tree *documents;
    struct error err;
    struct text text;

    (void)state;
    text_init(&text, 100000);
    text_add(&text, "- &a0 [x]\n");
    for (int i = 1; i <= TREE_DEPTH_MAX; i++)
        text_printf(&text, "- &a%d [*a%d]\n", i, i - 1);
    assert_false(tree_read_yaml("deep", text.bytes, text.length, arena, &documents, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "TREE_DEPTH_MAX"));
    text_clear(&text);
    for (int i = 0; i <= TREE_DEPTH_MAX; i++)
        text_add(&text, "[");
    assert_false(tree_read_yaml("deep", text.bytes, text.length, arena, &documents, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    text_done(&text);

    char *large = calloc(1, MANIFEST_FILE_MAX_BYTES + 1);
    assert_false(tree_read_yaml("large", large, MANIFEST_FILE_MAX_BYTES + 1, arena, &documents, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_string_equal(err.where, "large");
    free(large);
}

static void yaml_numbers_have_values(void **state)
{
    static const struct {
        const char *yaml;
        double number;
        bool is_integer;
        int64_t integer;
    } cases[] = {
        {"0x1F", 31, true, 31},
        {"017", 15, true, 15},
        {"1_000", 1000, true, 1000},
        {"5.0", 5, true, 5}, /* through a double, as Kubernetes does */
        {"1e3", 1000, true, 1000},
        {"1.5", 1.5, false, 0},
        {".inf", INFINITY, false, 0},
        {"-.Inf", -INFINITY, false, 0},
        {"18446744073709551615", 18446744073709551615.0, false, 0},
        {"123456789012345678901234567890", 123456789012345678901234567890.0, false, 0},
        {"-9223372036854775808", -0x1p63, true, INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        double number = 77;
        int64_t integer = 77;
        const struct tree *node = tree_at(yaml(cases[i].yaml), "0");
        assert_int_equal(node->type, TREE_NUMBER);
        assert_string_equal(node->text, cases[i].yaml); /* as written */
        assert_true(tree_number(node, &number) && number == cases[i].number);
        assert_int_equal(tree_integer(node, &integer), cases[i].is_integer);
        assert_true(integer == (cases[i].is_integer ? cases[i].integer : 77));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_mean_what_they_mean_to_kubernetes),
        cmocka_unit_test(documents_make_a_list),
        cmocka_unit_test(keys_are_strings),
        cmocka_unit_test(places_are_kept),
        cmocka_unit_test(aliases_and_merges_are_resolved),
        cmocka_unit_test(repeated_keys_are_marked),
        cmocka_unit_test(wrong_yaml_says_where),
        cmocka_unit_test(an_alias_bomb_is_a_bound_that_is_hit),
        cmocka_unit_test(depth_is_bounded_through_aliases),
        cmocka_unit_test(yaml_numbers_have_values),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

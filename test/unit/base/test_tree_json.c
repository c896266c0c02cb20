/* JSON into trees, and questions about trees. Go's encoding/json is the measure. */
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

static struct tree *json(const char *text)
{
    struct tree *tree = NULL;
    struct error err = {0};

    if (!tree_read_json(text, strlen(text), false, arena, &tree, &err))
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static void assert_writes(const struct tree *tree, const char *expected)
{
    struct text text;

    text_init(&text, 1000000);
    tree_write_json(tree, &text);
    assert_string_equal(text.bytes, expected);
    text_done(&text);
}

static void json_is_read_and_written(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"null", "null"},
        {" \t\r\n true \n", "true"},
        {"false", "false"},
        {"[]", "[]"},
        {"[ ]", "[]"},
        {"{ }", "{}"},
        {"[1 , 2,[3]]", "[1,2,[3]]"},
        {"{\"a\" : 1,\"b\":{\"c\":[null]}}", "{\"a\":1,\"b\":{\"c\":[null]}}"},
        {"1.50", "1.50"}, /* numbers as written */
        {"-0", "-0"},
        {"1E+3", "1E+3"},
        {"12345678901234567890123", "12345678901234567890123"},
        {"1e400", "1e400"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\""},
        {"\"\\u00e9\\u20ac\"", "\"\xc3\xa9\xe2\x82\xac\""},
        {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
        {"\"\\ud83d\"", "\"\xef\xbf\xbd\""},
        {"\"\\ud83dx\"", "\"\xef\xbf\xbdx\""},
        {"\"\\ud83d\\u0041\"", "\"\xef\xbf\xbd"
                               "A\""},
        {"\"\\ude00\\ud83d\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\"a\xff"
         "b\xc3\"",
         "\"a\xef\xbf\xbd"
         "b\xef\xbf\xbd\""},
        {"\"\\u0000\"", "\"\\u0000\""},
        {"{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"},
        {"\"\x7f\"", "\"\x7f\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_writes(json(cases[i].in), cases[i].out);
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const cases[] = {
        "",         " ",      "nul",       "True",   "[",       "[1",        "[1,",
        "[1,]",     "[,1]",   "{",         "{\"a\"", "{\"a\":", "{\"a\":1",  "{\"a\":1,}",
        "{a:1}",    "{1:2}",  "{\"a\" 1}", "[1 2]",  "]",       "01",        "1.",
        ".5",       "+1",     "-",         "1e",     "1e+",     "0x10",      "NaN",
        "Infinity", "\"",     "\"a",       "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"",
        "\"\n\"",   "\"\t\"", "1 2",       "{} []",  "'a'",     "[1]]",      "\357\273\2771",
        "\"\\"};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tree *tree = NULL;
        struct error err = {0};
        assert_false(tree_read_json(cases[i], strlen(cases[i]), false, arena, &tree, &err));
        assert_int_equal(err.kind, ERROR_NONSENSE);
        assert_null(tree);
    }
    assert_false(tree_read_json("1\0", 2, false, arena, &(struct tree *){NULL}, NULL));
}

static void an_error_says_where(void **state)
{
    struct tree *tree;
    struct error err;

    (void)state;
    assert_false(tree_read_json("{\"a\": nope}", 11, false, arena, &tree, &err));
    assert_string_equal(err.text, "not JSON: 'n' at byte 6 where a value should be");
    assert_false(tree_read_json("[1,", 3, false, arena, &tree, &err));
    assert_string_equal(err.text, "not JSON: it ends at byte 3 where a value should follow");
}

static void trailing_bytes_are_for_stream_readers(void **state)
{
    struct tree *tree;

    (void)state;
    assert_true(tree_read_json("{\"a\":1} garbage", 15, true, arena, &tree, NULL));
    assert_writes(tree, "{\"a\":1}");
    assert_false(tree_read_json("{\"a\":1} garbage", 15, false, arena, &tree, NULL));
}

static void depth_and_size_are_bounded(void **state)
{
    enum { DEEP = TREE_DEPTH_MAX + 1 };
    char deep[2 * DEEP];
    struct tree *tree;
    struct error err;

    (void)state;
    memset(deep, '[', DEEP);
    memset(deep + DEEP, ']', DEEP);
    assert_false(tree_read_json(deep, sizeof deep, false, arena, &tree, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_true(tree_read_json(deep + 1, sizeof deep - 2, false, arena, &tree, &err));

    size_t length = 2 * (TREE_NODES_MAX + 1);
    char *wide = malloc(length);
    for (size_t i = 0; i < length; i += 2)
        memcpy(wide + i, i ? ",1" : "[1", 2);
    assert_false(tree_read_json(wide, length, false, arena, &tree, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "TREE_NODES_MAX"));
    free(wide);
}

static void paths_lead_to_nodes(void **state)
{
    const struct tree *tree =
        json("{\"status\":\"success\",\"data\":{\"result\":[{\"metric\":{},\"value\":[1.5,\"42\"]},7]},\"\":0}");
    double value;

    (void)state;
    assert_true(tree_number(tree_at(tree, "data.result.0.value.1"), &value) && value == 42);
    assert_true(tree_number(tree_at(tree, "data.result.1"), &value) && value == 7);
    assert_int_equal(tree_count(tree_at(tree, "data.result")), 2);
    assert_ptr_equal(tree_at(tree, ""), tree);
    assert_null(tree_at(tree, "data.result.2"));
    assert_null(tree_at(tree, "data.result.x"));
    assert_null(tree_at(tree, "data.result.-1"));
    assert_null(tree_at(tree, "data.result.18446744073709551616")); /* does not wrap round to 0 */
    assert_null(tree_at(tree, "data.nothing.deeper"));
    assert_null(tree_at(tree, "status.x"));
    assert_null(tree_at(tree, "dat"));
    assert_null(tree_at(NULL, "a"));
    assert_int_equal(tree_count(NULL), 0);
    assert_null(tree_get(NULL, "a"));
    assert_null(tree_index(tree, 0)); /* a map has no index */
    assert_null(tree_string(NULL));
    assert_null(tree_string(tree_at(tree, "data.result.1")));
}

static void the_last_of_repeated_keys_counts(void **state)
{
    const struct tree *tree = json("{\"a\":1,\"A\":2,\"b\":3,\"a\":4}");
    int64_t value;

    (void)state;
    assert_true(tree_integer(tree_get(tree, "a"), &value) && value == 4);
    assert_true(tree_integer(tree_get_fold(tree, "a"), &value) && value == 4);
    assert_true(tree_integer(tree_get(tree, "A"), &value) && value == 2);
    assert_null(tree_get(tree, "B"));
    assert_true(tree_integer(tree_get_fold(tree, "B"), &value) && value == 3);
    assert_int_equal(tree_count(tree), 4);
    assert_false(tree->first->repeated_key);
    assert_true(tree_get(tree, "a")->repeated_key);
    assert_false(tree_get(tree, "A")->repeated_key);
}

static void repeated_keys_are_found_in_large_maps(void **state)
{
    struct text text;

    (void)state;
    text_init(&text, 1000000);
    for (int i = 0; i < 1000; i++)
        text_printf(&text, "%c\"key%d\":%d", i ? ',' : '{', i % 999, i);
    text_add(&text, "}");
    const struct tree *tree = json(text.bytes);
    for (const struct tree *member = tree->first; member; member = member->next)
        assert_int_equal(member->repeated_key, member->next == NULL); /* only the last */
    text_done(&text);
}

/* "a\0b" as a key must not answer to "a". */
static void a_zero_byte_in_a_key_hides_nothing(void **state)
{
    const struct tree *tree = json("{\"a\\u0000b\":1}");

    (void)state;
    assert_null(tree_get(tree, "a"));
    assert_non_null(tree_get(tree, "a\xef\xbf\xbd"
                                   "b"));
}

static void numbers_keep_what_was_written(void **state)
{
    static const struct {
        const char *json;
        bool is_number;
        double number;
        bool is_integer;
        int64_t integer;
    } cases[] = {
        {"5", true, 5, true, 5},
        {"-0", true, 0, true, 0},
        {"9223372036854775807", true, 0x1p63, true, INT64_MAX},
        {"-9223372036854775808", true, -0x1p63, true, INT64_MIN},
        {"9223372036854775808", true, 0x1p63, false, 0},
        {"5.0", true, 5, false, 0}, /* an integer is written as one */
        {"1e3", true, 1000, false, 0},
        {"1e400", false, 0, false, 0},
        {"\"5\"", true, 5, false, 0}, /* a string of a number */
        {"\"+Inf\"", true, INFINITY, false, 0},
        {"\"\"", false, 0, false, 0},
        {"\"5 \"", false, 0, false, 0},
        {"true", false, 0, false, 0},
        {"null", false, 0, false, 0},
        {"[5]", false, 0, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        double number = 77;
        int64_t integer = 77;
        const struct tree *tree = json(cases[i].json);
        assert_int_equal(tree_number(tree, &number), cases[i].is_number);
        assert_true(number == (cases[i].is_number ? cases[i].number : 77));
        assert_int_equal(tree_integer(tree, &integer), cases[i].is_integer);
        assert_true(integer == (cases[i].is_integer ? cases[i].integer : 77));
        assert_int_equal(tree->line, 0);
    }
    assert_string_equal(json("1.50")->text, "1.50");
}

static void booleans_are_booleans(void **state)
{
    bool value;

    (void)state;
    assert_true(tree_bool(json("true"), &value) && value);
    assert_true(tree_bool(json("false"), &value) && !value);
    assert_false(tree_bool(json("\"true\""), &value));
    assert_false(tree_bool(json("1"), &value));
    assert_false(tree_bool(NULL, &value));
    assert_string_equal(tree_type_name(TREE_LIST), "a list");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_and_written),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(an_error_says_where),
        cmocka_unit_test(trailing_bytes_are_for_stream_readers),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(paths_lead_to_nodes),
        cmocka_unit_test(the_last_of_repeated_keys_counts),
        cmocka_unit_test(repeated_keys_are_found_in_large_maps),
        cmocka_unit_test(a_zero_byte_in_a_key_hides_nothing),
        cmocka_unit_test(numbers_keep_what_was_written),
        cmocka_unit_test(booleans_are_booleans),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

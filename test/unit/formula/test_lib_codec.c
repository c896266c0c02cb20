/*
 * base64 and JSON: what Go 1.26 writes and reads, one row each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"
#include "formula/library.h"

static const struct {
    struct span bytes;
    const char *base64;
} encodings[] = {
    {{"", 0}, ""},
    {{"f", 1}, "Zg=="},
    {{"fo", 2}, "Zm8="},
    {{"foo", 3}, "Zm9v"},
    {{"foob", 4}, "Zm9vYg=="},
    {{"\000\377\376", 3}, "AP/+"},
    {{"any carnal pleas", 16}, "YW55IGNhcm5hbCBwbGVhcw=="},
};

static const struct {
    struct span base64;
    bool ok;
    struct span bytes;
} decodings[] = {
    {{"", 0}, true, {"", 0}},
    {{"Zm9v", 4}, true, {"foo", 3}},
    {{"Zm8=", 4}, true, {"fo", 2}},
    {{"Zg==", 4}, true, {"f", 1}},
    {{"Zm9v\nYmFy\015\n", 11}, true, {"foobar", 6}},
    {{"Z", 1}, false, {"", 0}},
    {{"Zm", 2}, false, {"", 0}},
    {{"Zm8", 3}, false, {"", 0}},
    {{"Zg=", 3}, false, {"", 0}},
    {{"Zg=\n=\n", 6}, true, {"f", 1}},
    {{"Zg==Zg==", 8}, false, {"", 0}},
    {{"====", 4}, false, {"", 0}},
    {{"=", 1}, false, {"", 0}},
    {{"Zm9v=", 5}, false, {"", 0}},
    {{"Zm9vY===", 8}, false, {"", 0}},
    {{"Zh==", 4}, true, {"f", 1}},
    {{"!mFy", 4}, false, {"", 0}},
    {{"Zm_v", 4}, false, {"", 0}},
    {{"Zm-v", 4}, false, {"", 0}},
    {{"Zg== ", 5}, false, {"", 0}},
    {{" Zg==", 5}, false, {"", 0}},
    {{"Zm\000v", 4}, false, {"", 0}},
};

static const struct {
    struct span bytes;
    const char *json;
} quotings[] = {
    {{"", 0}, "\"\""},
    {{"abc", 3}, "\"abc\""},
    {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
    {{"<image> & co", 12}, "\"\\u003cimage\\u003e \\u0026 co\""},
    {{"\010\014\n\015\011\000\037\177", 8}, "\"\\b\\f\\n\\r\\t\\u0000\\u001f\177\""},
    {{"\303\251\360\237\230\200", 6}, "\"\303\251\360\237\230\200\""},
    {{"\342\200\250\342\200\251\342\200\247", 9}, "\"\\u2028\\u2029\342\200\247\""},
    {{"a\377\357\277\275", 5}, "\"a\\ufffd\357\277\275\""},
    {{"\355\240\200", 3}, "\"\\ufffd\\ufffd\\ufffd\""},
    {{"/", 1}, "\"/\""},
};

static const struct {
    struct span json;
    bool ok;
    struct span string;
} readings[] = {
    {{"\"a\"", 3}, true, {"a", 1}},
    {{"\"\\u00e9\\n\\/\"", 12}, true, {"\303\251\n/", 4}},
    {{"\"\\ud83d\\ude00\"", 14}, true, {"\360\237\230\200", 4}},
    {{"\"\\ud800\"", 8}, true, {"\357\277\275", 3}},
    {{"\"\\udc00x\"", 9}, true, {"\357\277\275x", 4}},
    {{"\"\\ud800\\u0041\"", 14}, true, {"\357\277\275A", 4}},
    {{"\"\\ud800\\ud83d\\ude00\"", 20}, true, {"\357\277\275\360\237\230\200", 7}},
    {{"\"\\\\ud800\"", 9}, true, {"\\ud800", 6}},
    {{"\"\377\"", 3}, true, {"\357\277\275", 3}},
    {{"\"\344\270x\"", 5}, true, {"\357\277\275\357\277\275x", 7}},
    {{"\"\011\"", 3}, false, {"", 0}},
    {{"\"\\x\"", 4}, false, {"", 0}},
    {{"\"\\u12\"", 6}, false, {"", 0}},
    {{"\"a", 2}, false, {"", 0}},
    {{"\"a\" ", 4}, true, {"a", 1}},
    {{"\"a\"x", 4}, false, {"", 0}},
    {{"", 0}, false, {"", 0}},
    {{"'a'", 3}, false, {"", 0}},
};

static void test_base64(void **state)
{
    struct error err;
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        text_clear(&out);
        assert_true(lib_base64_encode(encodings[i].bytes, &out));
        assert_string_equal(out.bytes, encodings[i].base64);
    }
    for (size_t i = 0; i < sizeof(decodings) / sizeof(decodings[0]); i++) {
        text_clear(&out);
        if (lib_base64_decode(decodings[i].base64, &out, &err) != decodings[i].ok)
            fail_msg("\"%s\": %s", decodings[i].base64.bytes, decodings[i].ok ? err.text : "accepted");
        if (decodings[i].ok)
            assert_true(lib_equal((struct span){out.bytes, out.length}, decodings[i].bytes));
        else
            assert_int_equal(err.kind, ERROR_INVALID);
    }
    text_done(&out);
}

static void test_base64_limit(void **state)
{
    struct error err;
    struct text out;

    (void)state;
    text_init(&out, 2);
    assert_false(lib_base64_decode(span_of("Zm9v"), &out, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_false(lib_base64_encode(span_of("foo"), &out));
    text_done(&out);
}

static void test_quoting(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(quotings) / sizeof(quotings[0]); i++) {
        text_clear(&out);
        assert_true(lib_json_add_string(&out, quotings[i].bytes));
        assert_string_equal(out.bytes, quotings[i].json);
    }
    text_clear(&out);
    assert_true(lib_json_add_bytes(&out, span_of("foo")) && lib_json_add_line(&out, 2) && lib_json_add_line(&out, 0));
    assert_string_equal(out.bytes, "\"Zm9v\"\n    \n");
    text_done(&out);
}

static void test_strings_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct tree *tree = NULL;

        if (lib_json_read(readings[i].json, arena, &tree, NULL) != readings[i].ok)
            fail_msg("%s is %s", readings[i].json.bytes, readings[i].ok ? "refused" : "accepted");
        if (readings[i].ok)
            assert_true(lib_equal((struct span){tree->text, tree->length}, readings[i].string));
        arena_free(arena);
    }
}

static void test_values_read(void **state)
{
    static const struct {
        const char *json;
        bool ok;
        double first;
    } rows[] = {
        {"[19, 2.5, null, true]", true, 19},
        {"[-0]", true, 0},
        {"[1e400]", false, 0},
        {"[1,", false, 0},
        {"[01]", false, 0},
        {"[1e-400]", true, 0},
        {"[+1]", false, 0},
        {"[1] x", false, 0},
        {" \n[1]\t", true, 1},
        {"[12345678901234567890123]", true, 12345678901234567890123.0},
        {"{\"a\": 1, \"a\": 2}", true, 1},
        {"nul", false, 0},
        {"[NaN]", false, 0},
        {"[1,]", false, 0},
    };
    double number;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *arena = arena_new(ARENA_SMALL);
        struct tree *tree = NULL;

        if (lib_json_read(span_of(rows[i].json), arena, &tree, NULL) != rows[i].ok)
            fail_msg("%s is %s", rows[i].json, rows[i].ok ? "refused" : "accepted");
        if (rows[i].ok) {
            assert_true(tree_number(tree->first, &number));
            assert_true(number == rows[i].first);
        }
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),       cmocka_unit_test(test_base64_limit), cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_strings_read), cmocka_unit_test(test_values_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Texts with limits, numbers as text, UTF-8, suggestions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/tree.h"
#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void a_terminal_is_told_nothing(void **state)
{
    static const struct {
        const char *given, *rows, *line;
    } cases[] = {
        {"shop/caf\xc3\xa9", "shop/caf\xc3\xa9", "shop/caf\xc3\xa9"},
        {"a\x1b[31mred\x1b]0;t\a", "a?[31mred?]0;t?", "a?[31mred?]0;t?"},
        {"one\n\ttwo\r", "one\n\ttwo?", "one??two?"},
        {"\xc2\x9b"
         "31m \xe2\x80\xae \xff",
         "??31m ??? ?", "??31m ??? ?"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        bool lines = i % 2 == 0;
        struct text t;

        text_init(&t, 100);
        text_add(&t, cases[i / 2].given);
        text_tame(&t, lines);
        assert_string_equal(t.bytes, lines ? cases[i / 2].rows : cases[i / 2].line);
        text_done(&t);
    }
}

static void a_text_refuses_what_is_over_its_limit(void **state)
{
    struct text t;

    (void)state;
    text_init(&t, 5);
    assert_string_equal(t.bytes, "");
    assert_true(text_append(&t, "abc", 3));
    assert_false(text_append(&t, "def", 3));
    assert_true(t.overflowed);
    assert_string_equal(t.bytes, "abc"); /* unchanged */
    assert_true(text_printf(&t, "%d", 42));
    assert_false(text_printf(&t, "%d", 7));
    assert_string_equal(t.bytes, "abc42");
    text_clear(&t);
    assert_false(t.overflowed);
    assert_false(text_add_json_string(&t, "abcd", 4)); /* six with its quotes */
    assert_int_equal(t.length, 0);
    assert_true(text_add_json_string(&t, "abc", 3));
    assert_string_equal(t.bytes, "\"abc\"");
    text_done(&t);
}

static void taken_bytes_belong_to_the_caller(void **state)
{
    struct text t;

    (void)state;
    text_init(&t, 100);
    char *empty = text_take(&t);
    assert_string_equal(empty, "");
    free(empty);
    for (int i = 0; i < 100; i++)
        assert_true(text_add_char(&t, 'x'));
    char *bytes = text_take(&t);
    assert_int_equal(strlen(bytes), 100);
    assert_int_equal(t.length, 0);
    free(bytes);
    assert_true(text_add(&t, NULL)); /* adds nothing */
    text_done(&t);
}

static void json_strings_are_always_valid(void **state)
{
    static const struct {
        const char *in;
        size_t length;
        const char *out;
    } cases[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\n\r\t\b\x1f", 5, "\"\\n\\r\\t\\u0008\\u001f\""},
        {"\0", 1, "\"\\u0000\""},
        {"h\xc3\xa9", 3, "\"h\xc3\xa9\""},
        {"\xff", 1, "\"\xef\xbf\xbd\""},
        {"\xc3", 1, "\"\xef\xbf\xbd\""},                                 /* cut off */
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
        {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
        {"\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text t;
        text_init(&t, 1000);
        assert_true(text_add_json_string(&t, cases[i].in, cases[i].length));
        assert_string_equal(t.bytes, cases[i].out);
        text_done(&t);
    }
}

/* expr-language.md 9, column toJSON, and the edges of the format. */
static void numbers_are_written_shortest(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {100000, "100000"},
        {1234567.8, "1234567.8"},
        {1e15, "1000000000000000"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {123456789e15, "1.23456789e+23"},
        {0.00001, "0.00001"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {1.5e-7, "1.5e-7"},
        {1.0 / 3, "0.3333333333333333"},
        {0x1p-44, "5.684341886080802e-14"}, /* the nearest 16 digits do not read back, the next ones do */
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {-2.5, "-2.5"},
        {9007199254740992, "9007199254740992"},
        {NAN, "NaN"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text t;
        text_init(&t, 100);
        assert_true(text_add_number(&t, cases[i].value));
        assert_string_equal(t.bytes, cases[i].text);
        text_done(&t);
    }
}

static void any_double_reads_back(void **state)
{
    uint64_t bits = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double value, back;
        struct text t;
        bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        text_init(&t, 100);
        text_add_number(&t, value);
        assert_true(number_parse(t.bytes, t.length, &back));
        assert_memory_equal(&back, &value, sizeof value);
        text_done(&t);
    }
}

/* Go's strconv.ParseFloat. */
static void numbers_are_read_as_go_does(void **state)
{
    static const struct {
        const char *text;
        bool good;
        double value;
    } cases[] = {
        {"1", true, 1},
        {"+1.5", true, 1.5},
        {".5", true, 0.5},
        {"5.", true, 5},
        {"1e3", true, 1000},
        {"1E-3", true, 0.001},
        {"0x10p0", true, 16},
        {"0X1.8p1", true, 3},
        {"1_000", true, 1000},
        {"0x_1p1", true, 2},
        {"inf", true, INFINITY},
        {"-Infinity", true, -INFINITY},
        {"+INF", true, INFINITY},
        {"1e-400", true, 0},
        {"0000000000000000000000000000000000000000000000000000000000000000000000001", true, 1},
        {"", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1e", false, 0},
        {"e5", false, 0},
        {".", false, 0},
        {"-", false, 0},
        {"0x10", false, 0}, /* hexadecimal needs its exponent */
        {"0x", false, 0},
        {"1__0", false, 0},
        {"_1", false, 0},
        {"1_", false, 0},
        {"1_.5", false, 0},
        {"-nan", false, 0},
        {"infinit", false, 0},
        {"1e400", false, 0}, /* out of range */
        {"1,5", false, 0},
        {"12abc", false, 0},
    };
    double value;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        value = 77;
        assert_int_equal(number_parse(cases[i].text, strlen(cases[i].text), &value), cases[i].good);
        assert_true(value == (cases[i].good ? cases[i].value : 77));
    }
    assert_true(number_parse("nAn", 3, &value) && isnan(value));
    assert_true(number_parse("12abc", 2, &value) && value == 12); /* length counts, not the 0 byte */
    assert_false(number_parse("1\0", 2, &value));
}

static void utf8_is_strict(void **state)
{
    static const struct {
        const char *bytes;
        size_t length, prefix;
    } cases[] = {
        {"abc", 3, 3},          {"h\xc3\xa9!", 4, 4},
        {"h\xc3", 2, 1},        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf0\x9f\x98", 3, 0}, {"\xf4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\x80", 1, 0},         {"a\0b", 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(utf8_valid_prefix(cases[i].bytes, cases[i].length), cases[i].prefix);
    for (uint32_t rune = 0; rune <= 0x110000; rune += rune < 0x900 ? 1 : 0xfd) {
        char bytes[4];
        uint32_t back = 0;
        size_t length = utf8_encode(rune, bytes);
        bool character = rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff);
        assert_int_equal(utf8_decode(bytes, length, &back), length);
        assert_int_equal(back, character ? rune : 0xfffd);
    }
}

static void the_nearest_word_is_suggested(void **state)
{
    static const char *const words[] = {"threshold", "serverAddress",   "query",
                                        "a",         "maxReplicaCount", "minReplicaCount"};
    static const struct {
        const char *word, *suggestion;
    } cases[] = {
        {"treshold", "threshold"},
        {"ServerAdress", "serverAddress"},
        {"qurey", "query"}, /* neighbours swapped */
        {"maxReplicas", NULL},
        {"maxreplicacount", "maxReplicaCount"},
        {"minReplicaCuont", "minReplicaCount"},
        {"b", NULL}, /* nothing of it would be left */
        {"", NULL},
        {"somethingElseEntirely", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *found = string_nearest(cases[i].word, words, COUNT(words));
        if (cases[i].suggestion)
            assert_string_equal(found, cases[i].suggestion);
        else
            assert_null(found);
    }
    char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_null(string_nearest(endless, words, COUNT(words)));
}

static void string_questions(void **state)
{
    (void)state;
    assert_true(string_equal("a", "a"));
    assert_false(string_equal("a", "b"));
    assert_true(string_equal(NULL, NULL));
    assert_false(string_equal("a", NULL));
    assert_true(string_starts("abc", "ab"));
    assert_false(string_starts("a", "ab"));
    assert_true(string_ends("abc", "bc"));
    assert_false(string_ends("c", "bc"));
    assert_true(string_ends("c", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_refuses_what_is_over_its_limit),
        cmocka_unit_test(taken_bytes_belong_to_the_caller),
        cmocka_unit_test(json_strings_are_always_valid),
        cmocka_unit_test(numbers_are_written_shortest),
        cmocka_unit_test(any_double_reads_back),
        cmocka_unit_test(numbers_are_read_as_go_does),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(string_questions),
        cmocka_unit_test(a_terminal_is_told_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Strings and code points: what Go 1.26 makes of the same bytes, one row each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/text.h"
#include "formula/library.h"

static const struct {
    struct span text, upper, lower;
    size_t points;
} cases[] = {
    {{"", 0}, {"", 0}, {"", 0}, 0},
    {{"abc", 3}, {"ABC", 3}, {"abc", 3}, 3},
    {{"Stra\303\237e", 7}, {"STRA\303\237E", 7}, {"stra\303\237e", 7}, 6},
    {{"\307\206\307\205\307\204", 6}, {"\307\204\307\204\307\204", 6}, {"\307\206\307\206\307\206", 6}, 3},
    {{"\303\200\303\211\303\216", 6}, {"\303\200\303\211\303\216", 6}, {"\303\240\303\251\303\256", 6}, 3},
    {{"a\377b", 3}, {"A\357\277\275B", 5}, {"a\357\277\275b", 5}, 3},
    {{"\355\240\200", 3}, {"\357\277\275\357\277\275\357\277\275", 9}, {"\357\277\275\357\277\275\357\277\275", 9}, 3},
    {{"\304\261\304\260iI", 6}, {"I\304\260II", 5}, {"\304\261iii", 5}, 4},
    {{"\357\254\201", 3}, {"\357\254\201", 3}, {"\357\254\201", 3}, 1},
    {{"\317\203\317\202\316\243", 6}, {"\316\243\316\243\316\243", 6}, {"\317\203\317\202\317\203", 6}, 3},
    {{"K", 1}, {"K", 1}, {"k", 1}, 1},
    {{"\305\211", 2}, {"\305\211", 2}, {"\305\211", 2}, 1},
    {{"\320\260\320\261\320\262", 6}, {"\320\220\320\221\320\222", 6}, {"\320\260\320\261\320\262", 6}, 3},
    {{"\303\277\305\270", 4}, {"\305\270\305\270", 4}, {"\303\277\303\277", 4}, 2},
    {{"a\000b", 3}, {"A\000B", 3}, {"a\000b", 3}, 3},
    {{"\360\237\230\200", 4}, {"\360\237\230\200", 4}, {"\360\237\230\200", 4}, 1},
};

static const struct {
    struct span text, cutset, trimmed;
} trims[] = {
    {{"xxflamexx", 9}, {"x", 1}, {"flame", 5}},
    {{"delta", 5}, {"abc", 3}, {"delt", 4}},
    {{"", 0}, {"a", 1}, {"", 0}},
    {{"abc", 3}, {"", 0}, {"abc", 3}},
    {{"aaa", 3}, {"a", 1}, {"", 0}},
    {{"\303\251a\303\251", 5}, {"\303\251", 2}, {"a", 1}},
    {{"\377a\377", 3}, {"\377", 1}, {"a", 1}},
    {{"\377a\357\277\275", 5}, {"\357\277\275", 3}, {"a", 1}},
    {{"\344\270\255\346\226\207x\346\226\207\344\270\255", 13}, {"\344\270\255\346\226\207", 6}, {"x", 1}},
    {{"  a  ", 5}, {" ", 1}, {"a", 1}},
    {{"\344\270a", 3}, {"a", 1}, {"\344\270", 2}},
    {{"a\344\270", 3}, {"\270", 1}, {"a", 1}},
};

static const struct {
    struct span text, trimmed;
} spaces[] = {
    {{"  alpha ", 8}, {"alpha", 5}},
    {{"\011\n\013\014\015 x \302\205\302\240", 12}, {"x", 1}},
    {{"\342\200\203\343\200\200x\342\200\250", 10}, {"x", 1}},
    {{"\342\200\213x", 4}, {"\342\200\213x", 4}},
    {{"", 0}, {"", 0}},
    {{"   ", 3}, {"", 0}},
    {{"\240x", 2}, {"\240x", 2}},
    {{"x\302", 2}, {"x\302", 2}},
};

/* The parts in angle brackets. */
static const struct {
    struct span text, separator;
    int64_t n;
    struct span split, split_after;
} splits[] = {
    {{"a,b,c", 5}, {",", 1}, -1, {"<a><b><c>", 9}, {"<a,><b,><c>", 11}},
    {{"a,b,c", 5}, {",", 1}, 2, {"<a><b,c>", 8}, {"<a,><b,c>", 9}},
    {{"a,b,c", 5}, {",", 1}, 0, {"", 0}, {"", 0}},
    {{"a,b,c", 5}, {",", 1}, 1, {"<a,b,c>", 7}, {"<a,b,c>", 7}},
    {{"a,b,c", 5}, {",", 1}, 9, {"<a><b><c>", 9}, {"<a,><b,><c>", 11}},
    {{"", 0}, {",", 1}, -1, {"<>", 2}, {"<>", 2}},
    {{"", 0}, {"", 0}, -1, {"", 0}, {"", 0}},
    {{"", 0}, {"", 0}, 3, {"", 0}, {"", 0}},
    {{"abc", 3}, {"", 0}, -1, {"<a><b><c>", 9}, {"<a><b><c>", 9}},
    {{"abc", 3}, {"", 0}, 2, {"<a><bc>", 7}, {"<a><bc>", 7}},
    {{"abc", 3}, {"", 0}, 1, {"<abc>", 5}, {"<abc>", 5}},
    {{"a\303\251\377z", 5}, {"", 0}, -1, {"<a><\303\251><\377><z>", 13}, {"<a><\303\251><\377><z>", 13}},
    {{"a,,b,", 5}, {",", 1}, -1, {"<a><><b><>", 10}, {"<a,><,><b,><>", 13}},
    {{",", 1}, {",", 1}, -1, {"<><>", 4}, {"<,><>", 5}},
    {{"aaaa", 4}, {"aa", 2}, -1, {"<><><>", 6}, {"<aa><aa><>", 10}},
    {{"aaaaa", 5}, {"aa", 2}, 2, {"<><aaa>", 7}, {"<aa><aaa>", 9}},
    {{"abc", 3}, {"abcd", 4}, -1, {"<abc>", 5}, {"<abc>", 5}},
    {{"abc", 3}, {"abc", 3}, -1, {"<><>", 4}, {"<abc><>", 7}},
};

static const struct {
    struct span text, old, with;
    int64_t n;
    struct span replaced;
} replacements[] = {
    {{"aaaaalpha", 9}, {"a", 1}, {"b", 1}, 2, {"bbaaalpha", 9}},
    {{"abc", 3}, {"", 0}, {"-", 1}, -1, {"-a-b-c-", 7}},
    {{"abc", 3}, {"", 0}, {"-", 1}, 2, {"-a-bc", 5}},
    {{"abc", 3}, {"", 0}, {"-", 1}, 4, {"-a-b-c-", 7}},
    {{"", 0}, {"", 0}, {"-", 1}, -1, {"-", 1}},
    {{"", 0}, {"a", 1}, {"b", 1}, -1, {"", 0}},
    {{"a\303\251\377", 4}, {"", 0}, {".", 1}, -1, {".a.\303\251.\377.", 8}},
    {{"banana", 6}, {"ana", 3}, {"x", 1}, -1, {"bxna", 4}},
    {{"banana", 6}, {"a", 1}, {"", 0}, -1, {"bnn", 3}},
    {{"abc", 3}, {"x", 1}, {"y", 1}, -1, {"abc", 3}},
    {{"abc", 3}, {"a", 1}, {"b", 1}, 0, {"abc", 3}},
    {{"aaa", 3}, {"a", 1}, {"aa", 2}, -1, {"aaaaaa", 6}},
    {{"abc", 3}, {"", 0}, {"-", 1}, 0, {"abc", 3}},
};

static const struct {
    struct span text, part;
    int64_t first, last;
} places[] = {
    {{"banana", 6}, {"an", 2}, 1, 3},
    {{"banana", 6}, {"x", 1}, -1, -1},
    {{"banana", 6}, {"", 0}, 0, 6},
    {{"", 0}, {"", 0}, 0, 0},
    {{"", 0}, {"a", 1}, -1, -1},
    {{"banana", 6}, {"banana", 6}, 0, 0},
    {{"banana", 6}, {"bananas", 7}, -1, -1},
    {{"aaaa", 4}, {"aa", 2}, 0, 2},
    {{"a\000b\000", 4}, {"\000", 1}, 1, 3},
    {{"abab", 4}, {"b", 1}, 1, 3},
};

static void assert_span(struct span actual, struct span expected)
{
    if (!lib_equal(actual, expected))
        fail_msg("\"%.*s\" instead of \"%.*s\"", (int)actual.length, actual.bytes, (int)expected.length,
                 expected.bytes);
}

static void assert_text(struct text *out, struct span expected)
{
    assert_span((struct span){out->bytes, out->length}, expected);
    text_clear(out);
}

static void test_cases_and_counts(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(lib_upper(cases[i].text, &out));
        assert_text(&out, cases[i].upper);
        assert_true(lib_lower(cases[i].text, &out));
        assert_text(&out, cases[i].lower);
        assert_int_equal(lib_count_points(cases[i].text), cases[i].points);
    }
    text_done(&out);
}

static void test_trims(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(trims) / sizeof(trims[0]); i++)
        assert_span(lib_trim(trims[i].text, trims[i].cutset), trims[i].trimmed);
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        assert_span(lib_trim_space(spaces[i].text), spaces[i].trimmed);
    assert_span(lib_trim_prefix(span_of("aab"), span_of("a")), span_of("ab"));
    assert_span(lib_trim_prefix(span_of("aab"), span_of("b")), span_of("aab"));
    assert_span(lib_trim_suffix(span_of("abb"), span_of("b")), span_of("ab"));
    assert_span(lib_trim_suffix(span_of("b"), span_of("ab")), span_of("b"));
}

/* Counts first, then fetches, as callers do; and with room for one part only. */
static void check_split(size_t row, bool after, struct span expected)
{
    struct span text = splits[row].text, separator = splits[row].separator, parts[16],
                one[2] = {{"untouched", 9}, {"", 0}};
    size_t count = lib_split(text, separator, splits[row].n, after, NULL, 0);
    struct text out;

    assert_in_range(count, 0, 16);
    assert_int_equal(lib_split(text, separator, splits[row].n, after, parts, 16), count);
    assert_int_equal(lib_split(text, separator, splits[row].n, after, one + 1, 1), count);
    assert_span(one[0], span_of("untouched"));
    text_init(&out, 1000);
    for (size_t i = 0; i < count; i++) {
        text_add_char(&out, '<');
        text_append(&out, parts[i].bytes, parts[i].length);
        text_add_char(&out, '>');
    }
    assert_text(&out, expected);
    text_done(&out);
}

static void test_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
        check_split(i, false, splits[i].split);
        check_split(i, true, splits[i].split_after);
    }
}

static void test_replacements(void **state)
{
    struct text out;

    (void)state;
    text_init(&out, 100);
    for (size_t i = 0; i < sizeof(replacements) / sizeof(replacements[0]); i++) {
        assert_true(
            lib_replace(replacements[i].text, replacements[i].old, replacements[i].with, replacements[i].n, &out));
        assert_text(&out, replacements[i].replaced);
    }
    text_done(&out);
}

static void test_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        assert_int_equal(lib_index_of(places[i].text, places[i].part), places[i].first);
        assert_int_equal(lib_last_index_of(places[i].text, places[i].part), places[i].last);
        assert_int_equal(lib_contains(places[i].text, places[i].part), places[i].first >= 0);
    }
    assert_true(lib_has_prefix(span_of("abc"), span_of("")));
    assert_true(lib_has_suffix(span_of("abc"), span_of("bc")));
    assert_false(lib_has_suffix(span_of("c"), span_of("bc")));
    assert_false(lib_has_prefix(span_of("abc"), span_of("b")));
}

static void test_order(void **state)
{
    (void)state;
    assert_true(lib_compare(span_of("a"), span_of("b")) < 0);
    assert_true(lib_compare(span_of("a"), span_of("ab")) < 0);
    assert_true(lib_compare(span_of("\377"), span_of("a")) > 0); /* bytes have no sign */
    assert_true(lib_compare(span_of(""), span_of("")) == 0);
    assert_false(lib_equal((struct span){"a\0b", 3}, (struct span){"a\0c", 3}));
}

static void test_joins_and_repeats(void **state)
{
    struct span parts[] = {{"a", 1}, {"", 0}, {"bc", 2}};
    struct text out;

    (void)state;
    text_init(&out, 10);
    assert_true(lib_join(parts, 3, span_of("--"), &out));
    assert_text(&out, span_of("a----bc"));
    assert_true(lib_join(parts, 0, span_of("--"), &out));
    assert_text(&out, span_of(""));
    assert_true(lib_repeat(span_of("ab"), 5, &out));
    assert_text(&out, span_of("ababababab"));
    assert_true(lib_repeat(span_of(""), INT64_MAX, &out)); /* and at once */
    assert_text(&out, span_of(""));
    assert_false(lib_repeat(span_of("ab"), 6, &out));
    assert_true(out.overflowed);
    text_done(&out);
}

/* Half a megabyte that nearly matches everywhere: compared place by place this would take minutes. */
static void test_searches_are_linear(void **state)
{
    enum { LENGTH = 1 << 20 };
    char *bytes = malloc(LENGTH);
    struct span text = {bytes, LENGTH}, part = {bytes, LENGTH / 2};

    (void)state;
    memset(bytes, 'a', LENGTH);
    bytes[0] = 'b';
    assert_int_equal(lib_last_index_of(text, part), 0);
    part.bytes = bytes + 1;
    bytes[LENGTH / 2] = 'c';
    assert_int_equal(lib_index_of(text, part), 1);
    free(bytes);
}

/* ---- all code points ---- */

static uint32_t is_letter(uint32_t point)
{
    return lib_point_is_letter(point);
}

static uint32_t is_digit(uint32_t point)
{
    return lib_point_is_digit(point);
}

static uint32_t is_space(uint32_t point)
{
    return lib_point_is_space(point);
}

/* FNV-1a of three bytes of answer for every code point from 0 to U+10FFFF. */
static const struct {
    uint32_t (*question)(uint32_t);
    uint64_t hash;
} unicode[] = {
    {is_letter, UINT64_C(0x8d85bf54cfa44655)},       {is_digit, UINT64_C(0xcb33d2d7bd89848d)},
    {is_space, UINT64_C(0xdf358352889f639c)},        {lib_point_upper, UINT64_C(0xb53cf0116c6173a3)},
    {lib_point_lower, UINT64_C(0xdf271ca276c0fd36)},
};

static void test_all_code_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(unicode) / sizeof(unicode[0]); i++) {
        uint64_t hash = UINT64_C(14695981039346656037);

        for (uint32_t point = 0; point <= 0x10ffff; point++) {
            uint32_t answer = unicode[i].question(point);
            for (int shift = 0; shift < 24; shift += 8)
                hash = (hash ^ (answer >> shift & 0xff)) * UINT64_C(1099511628211);
        }
        assert_true(hash == unicode[i].hash);
    }
}

static void test_utf8_there_and_back(void **state)
{
    char bytes[4];
    size_t width;

    (void)state;
    for (uint32_t point = 0; point <= 0x110010; point++) {
        bool real = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        struct span s = {bytes, lib_point_encode(point, bytes)};

        assert_int_equal(lib_point_at(s, 0, &width), real ? point : 0xfffd);
        assert_int_equal(width, s.length);
        assert_int_equal(lib_point_before(s, s.length, &width), real ? point : 0xfffd);
        assert_int_equal(width, s.length);
    }
}

static void test_bad_utf8(void **state)
{
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",
                                      "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xff",         "\xe4\xb8",         "\xf0\x9f\x98"};
    size_t width;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct span s = span_of(bad[i]);
        assert_int_equal(lib_count_points(s), s.length);
        assert_int_equal(lib_point_at(s, 0, &width), 0xfffd);
        assert_int_equal(width, 1);
        assert_int_equal(lib_point_before(s, s.length, &width), 0xfffd);
        assert_int_equal(width, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_and_counts),
        cmocka_unit_test(test_trims),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_replacements),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_joins_and_repeats),
        cmocka_unit_test(test_searches_are_linear),
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_utf8_there_and_back),
        cmocka_unit_test(test_bad_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Regular expressions: which patterns Go 1.26 refuses and why, what the others match, and the bounds on time and size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "formula/library.h"

static const struct {
    struct span pattern;
    const char *refused; /* why, or "" */
} syntax[] = {
    {{"(\?=a)", 5}, "invalid or unsupported Perl syntax"},
    {{"(\?!a)", 5}, "invalid or unsupported Perl syntax"},
    {{"(\?<=a)", 6}, "invalid or unsupported Perl syntax"},
    {{"(\?<!a)", 6}, "invalid or unsupported Perl syntax"},
    {{"(\?>a)", 5}, "invalid or unsupported Perl syntax"},
    {{"a++", 3}, "invalid nested repetition operator"},
    {{"a*+", 3}, "invalid nested repetition operator"},
    {{"a**", 3}, "invalid nested repetition operator"},
    {{"a\?+", 3}, "invalid nested repetition operator"},
    {{"a\?\?\?", 4}, "invalid nested repetition operator"},
    {{"a\?\?", 3}, ""},
    {{"a*\?", 3}, ""},
    {{"(\?P=n)", 6}, "invalid or unsupported Perl syntax"},
    {{"(\?R)", 4}, "invalid or unsupported Perl syntax"},
    {{"(\?1)", 4}, "invalid or unsupported Perl syntax"},
    {{"\\1", 2}, "invalid escape sequence"},
    {{"\\8", 2}, "invalid escape sequence"},
    {{"(a)\\1", 5}, "invalid escape sequence"},
    {{"\\k<a>", 5}, "invalid escape sequence"},
    {{"\\C", 2}, "invalid escape sequence"},
    {{"\\R", 2}, "invalid escape sequence"},
    {{"\\X", 2}, "invalid escape sequence"},
    {{"\\K", 2}, "invalid escape sequence"},
    {{"\\G", 2}, "invalid escape sequence"},
    {{"\\Z", 2}, "invalid escape sequence"},
    {{"\\z", 2}, ""},
    {{"\\A", 2}, ""},
    {{"\\h", 2}, "invalid escape sequence"},
    {{"\\e", 2}, "invalid escape sequence"},
    {{"\\cA", 3}, "invalid escape sequence"},
    {{"\\E", 2}, "invalid escape sequence"},
    {{"\\", 1}, "trailing backslash at end of expression"},
    {{"[", 1}, "missing closing ]"},
    {{"[]", 2}, "missing closing ]"},
    {{"[]]", 3}, ""},
    {{"[^]", 3}, "missing closing ]"},
    {{"[a", 2}, "missing closing ]"},
    {{"[a-", 3}, "missing closing ]"},
    {{"[a-]", 4}, ""},
    {{"[b-a]", 5}, "invalid character class range"},
    {{"(", 1}, "missing closing )"},
    {{")", 1}, "unexpected )"},
    {{"(a", 2}, "missing closing )"},
    {{"a)", 2}, "unexpected )"},
    {{"*", 1}, "missing argument to repetition operator"},
    {{"+", 1}, "missing argument to repetition operator"},
    {{"(*)", 3}, "missing argument to repetition operator"},
    {{"|*", 2}, "missing argument to repetition operator"},
    {{"a|*", 3}, "missing argument to repetition operator"},
    {{"^*", 2}, ""},
    {{"(\?i)*", 5}, "missing argument to repetition operator"},
    {{"a(\?i)*", 6}, ""},
    {{"a*(\?i)*", 7}, ""},
    {{"{2}", 3}, "missing argument to repetition operator"},
    {{"{", 1}, ""},
    {{"a{", 2}, ""},
    {{"a{,3}", 5}, ""},
    {{"a{2,1}", 6}, "invalid repeat count"},
    {{"a{1001}", 7}, "invalid repeat count"},
    {{"a{1000}", 7}, ""},
    {{"(a{500}){2}", 11}, ""},
    {{"(a{501}){2}", 11}, "invalid repeat count"},
    {{"((a{100}){10}){2}", 17}, "invalid repeat count"},
    {{"((a{1000}){0}){3}", 17}, ""},
    {{"a{01}", 5}, ""},
    {{"a{99999999999}", 14}, "invalid repeat count"},
    {{"a{1,99999999999}", 16}, "invalid repeat count"},
    {{"x{2}{3}", 7}, "invalid nested repetition operator"},
    {{"x{2}*", 5}, "invalid nested repetition operator"},
    {{"(x{2})*", 7}, ""},
    {{"(\?z)", 4}, "invalid or unsupported Perl syntax"},
    {{"(\?", 2}, "invalid or unsupported Perl syntax"},
    {{"(\?i", 3}, "invalid or unsupported Perl syntax"},
    {{"(\?-)", 4}, "invalid or unsupported Perl syntax"},
    {{"(\?i-)", 5}, "invalid or unsupported Perl syntax"},
    {{"(\?i-s:a)", 8}, ""},
    {{"(\?)", 3}, ""},
    {{"(\?:)", 4}, ""},
    {{"(\?P<>a)", 7}, "invalid named capture"},
    {{"(\?P<n>a)", 8}, ""},
    {{"(\?<n>a)", 7}, ""},
    {{"(\?P<n", 5}, "invalid named capture"},
    {{"(\?<a b>c)", 9}, "invalid named capture"},
    {{"(\?#c)", 5}, "invalid or unsupported Perl syntax"},
    {{"(\?|a)", 5}, "invalid or unsupported Perl syntax"},
    {{"(\?(1)a)", 7}, "invalid or unsupported Perl syntax"},
    {{"\\p", 2}, "invalid character class range"},
    {{"\\pQ", 3}, "invalid character class range"},
    {{"\\pL", 3}, ""},
    {{"\\p{", 3}, "invalid character class range"},
    {{"\\p{}", 4}, "invalid character class range"},
    {{"\\p{Foo}", 7}, "invalid character class range"},
    {{"\\p{Letter}", 10}, ""},
    {{"\\p{^Greek}", 10}, ""},
    {{"\\p{uppercase letter}", 20}, ""},
    {{"\\p{ASCII}", 9}, ""},
    {{"\\p{Any}", 7}, ""},
    {{"\\p{IsL}", 7}, "invalid character class range"},
    {{"[[:foo:]]", 9}, "invalid character class range"},
    {{"[[:alpha:]", 10}, "missing closing ]"},
    {{"[[:alpha", 8}, "missing closing ]"},
    {{"[[:^word:]]", 11}, ""},
    {{"[[:d:]]", 7}, "invalid character class range"},
    {{"[a-\\d]", 6}, "invalid escape sequence"},
    {{"[\\b]", 4}, "invalid escape sequence"},
    {{"[\\Q]\\E]", 7}, "invalid escape sequence"},
    {{"\\x", 2}, "invalid escape sequence"},
    {{"\\x4", 3}, "invalid escape sequence"},
    {{"\\x41", 4}, ""},
    {{"\\x{", 3}, "invalid escape sequence"},
    {{"\\x{}", 4}, "invalid escape sequence"},
    {{"\\x{110000}", 10}, "invalid escape sequence"},
    {{"\\x{10ffff}", 10}, ""},
    {{"\\08", 3}, ""},
    {{"\\18", 3}, "invalid escape sequence"},
    {{"\\012", 4}, ""},
    {{"\\777", 4}, ""},
    {{"a\377b", 3}, "invalid UTF-8"},
    {{"\\Qabc", 5}, ""},
    {{"\\Q\\E*", 5}, "missing argument to repetition operator"},
    {{"\\Q*\\E+", 6}, ""},
    {{"\\-\\_\\!", 6}, ""},
    {{"\\\303\251", 3}, "invalid escape sequence"},
    {{"a||b", 4}, ""},
    {{"a{0,1000}", 9}, ""},
    {{"(a{0,100}){0,10}", 16}, ""},
    {{"(a{0,100}){0,11}", 16}, "invalid repeat count"},
};

static const struct {
    struct span pattern, subject;
    bool matches;
} matches[] = {
    {{"^[a-m]", 6}, {"house", 5}, true},
    {{"^[a-m]", 6}, {"zebra", 5}, false},
    {{"b$", 2}, {"ab", 2}, true},
    {{"b$", 2}, {"ab\n", 3}, false},
    {{"(\?m)b$", 6}, {"ab\nc", 4}, true},
    {{"(\?m)^c", 6}, {"ab\nc", 4}, true},
    {{"^c", 2}, {"ab\nc", 4}, false},
    {{"(\?m)$", 5}, {"a\n", 2}, true},
    {{"(\?m)^\\z", 7}, {"a\n", 2}, true},
    {{"a.b", 3}, {"a\nb", 3}, false},
    {{"(\?s)a.b", 7}, {"a\nb", 3}, true},
    {{"a.b", 3}, {"a\377b", 3}, true},
    {{"^..$", 4}, {"\303\251\377", 3}, true},
    {{"^.$", 3}, {"\344\270", 2}, false},
    {{"(\?i)stra\303\237e", 11}, {"STRA\303\237E", 7}, true},
    {{"(\?i)k", 5}, {"\342\204\252", 3}, true},
    {{"(\?i)\305\277", 6}, {"S", 1}, true},
    {{"(\?i)[k-l]", 9}, {"\342\204\252", 3}, true},
    {{"(\?i)[^k]", 8}, {"\342\204\252", 3}, false},
    {{"(\?i)\\W", 6}, {"\342\204\252", 3}, false},
    {{"(\?i)[\\W]", 8}, {"k", 1}, false},
    {{"(\?i)\\w", 6}, {"\305\277", 2}, true},
    {{"\\w", 2}, {"\303\251", 2}, false},
    {{"\\d", 2}, {"\331\243", 2}, false},
    {{"\\pN", 3}, {"\331\243", 2}, true},
    {{"\\s", 2}, {"\013", 1}, false},
    {{"[[:space:]]", 11}, {"\013", 1}, true},
    {{"\\s", 2}, {"\302\240", 2}, false},
    {{"\\bfoo\\b", 7}, {"a foo!", 6}, true},
    {{"\\bfoo\\b", 7}, {"afoo", 4}, false},
    {{"\\Boo", 4}, {"foo", 3}, true},
    {{"\\b\303\251", 4}, {"\303\251", 2}, false},
    {{"\\p{Greek}", 9}, {"\316\261", 2}, true},
    {{"\\p{Greek}", 9}, {"a", 1}, false},
    {{"\\P{Greek}", 9}, {"\316\261", 2}, false},
    {{"\\p{Lu}", 6}, {"a", 1}, false},
    {{"(\?i)\\p{Lu}", 10}, {"a", 1}, true},
    {{"(\?i)\\P{Lu}", 10}, {"a", 1}, false},
    {{"[^\\pL]", 6}, {"a1", 2}, true},
    {{"^(a+)+$", 7}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 31}, false},
    {{"^(a|a)*$", 8}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 41}, false},
    {{"^(\?:a\?){20}a{20}$", 17}, {"aaaaaaaaaaaaaaaaaaaa", 20}, true},
    {{"^(|a)+$", 7}, {"aaa", 3}, true},
    {{"^(a|b*\?)*c$", 11}, {"abbac", 5}, true},
    {{"^x{2,3}$", 8}, {"x", 1}, false},
    {{"^x{2,3}$", 8}, {"xxx", 3}, true},
    {{"^x{2,3}$", 8}, {"xxxx", 4}, false},
    {{"^x{2,}$", 7}, {"xxxxx", 5}, true},
    {{"^x{0,2}$", 8}, {"", 0}, true},
    {{"^x{0}$", 6}, {"x", 1}, false},
    {{"x{,2}", 5}, {"x{,2}", 5}, true},
    {{"^(ab|c){2}$", 11}, {"abc", 3}, true},
    {{"\\Qa.b*\\E+", 9}, {"a.b**", 5}, true},
    {{"\\Qa.b\\E", 7}, {"axb", 3}, false},
    {{"(\?U)a+", 6}, {"aa", 2}, true},
    {{"(\?i)a(\?-i)b", 11}, {"AB", 2}, false},
    {{"(\?i)a(\?-i)b", 11}, {"Ab", 2}, true},
    {{"((\?i)a)b", 8}, {"AB", 2}, false},
    {{"(\?i:a)b", 7}, {"AB", 2}, false},
    {{"", 0}, {"", 0}, true},
    {{"|a", 2}, {"b", 1}, true},
    {{"[a-]", 4}, {"-", 1}, true},
    {{"[]a]", 4}, {"]", 1}, true},
    {{"[^\\x00-\\x{10ffff}]", 18}, {"a", 1}, false},
    {{"\\x{1F600}", 9}, {"\360\237\230\200", 4}, true},
    {{"a\\x00b", 6}, {"a\000b", 3}, true},
    {{"^.$", 3}, {"\000", 1}, true},
    {{"\\x{fffd}", 8}, {"\377", 1}, true},
    {{"(\?P<year>\\d{4})-(\?<month>\\d\\d)", 30}, {"on 2024-02", 10}, true},
    {{"^-\?[0-9.]+$", 11}, {"-21", 3}, true},
    {{"^-\?[0-9.]+$", 11}, {"1e+06", 5}, false},
};

static void test_syntax(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++) {
        struct lib_regex *regex = NULL;
        struct error err;
        bool ok = lib_regex_compile(syntax[i].pattern, &regex, &err);

        if (ok != (*syntax[i].refused == '\0'))
            fail_msg("%s: %s", syntax[i].pattern.bytes, ok ? "accepted" : err.text);
        if (!ok && !strstr(err.text, syntax[i].refused))
            fail_msg("%s: \"%s\" does not say \"%s\"", syntax[i].pattern.bytes, err.text, syntax[i].refused);
        if (!ok)
            assert_int_equal(err.kind, ERROR_INVALID);
        lib_regex_free(regex);
    }
}

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        struct lib_regex *regex;
        bool matched = !matches[i].matches;

        assert_true(lib_regex_compile(matches[i].pattern, &regex, NULL));
        assert_in_range(lib_regex_bytes(regex), 1, 100000);
        for (int again = 0; again < 2; again++) {
            assert_true(lib_regex_match(regex, matches[i].subject, &matched, NULL));
            if (matched != matches[i].matches)
                fail_msg("%s on \"%s\"", matches[i].pattern.bytes, matches[i].subject.bytes);
        }
        lib_regex_free(regex);
    }
}

/* The reasons that need more than Go's words say what to do instead. */
static void test_remedies(void **state)
{
    static const char *const rows[][2] = {
        {"(?=a)", "look-around"}, {"(?<!a)", "look-around"}, {"(a)\\1", "back-references"}, {"a++", "possessive"}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lib_regex *regex;
        struct error err;
        assert_false(lib_regex_compile(span_of(rows[i][0]), &regex, &err));
        assert_non_null(strstr(err.text, rows[i][1]));
    }
}

static struct text repeated(const char *piece, size_t count)
{
    struct text text;

    text_init(&text, 64 * 1024 * 1024);
    lib_repeat(span_of(piece), (int64_t)count, &text);
    return text;
}

static void check_compile(const struct text *pattern, enum error_kind expected)
{
    struct lib_regex *regex = NULL;
    struct error err = {ERROR_NONE};

    lib_regex_compile((struct span){pattern->bytes, pattern->length}, &regex, &err);
    if (err.kind != expected)
        fail_msg("%s: \"%s\"", error_kind_name(err.kind), err.text);
    lib_regex_free(regex);
}

static void test_bounds_of_patterns(void **state)
{
    static const struct {
        const char *piece, *end;
        size_t count, ends;
        enum error_kind expected;
    } rows[] = {
        {"(", ")", FORMULA_REGEX_DEPTH_MAX, FORMULA_REGEX_DEPTH_MAX, ERROR_NONE},
        {"(", ")", FORMULA_REGEX_DEPTH_MAX + 1, FORMULA_REGEX_DEPTH_MAX + 1, ERROR_INVALID},
        {"a", "", FORMULA_REGEX_SOURCE_MAX_BYTES, 0, ERROR_NONE},
        {"a", "", FORMULA_REGEX_SOURCE_MAX_BYTES + 1, 0, ERROR_LIMIT},
        {"a{1000}", "", 50, 0, ERROR_NONE},
        {"a{1000}", "", 200, 0, ERROR_LIMIT},
        {"\\pL", "", 1000, 0, ERROR_LIMIT}, /* some 600 ranges each */
        {"(a|", ")*", 900, 900, ERROR_NONE},
        {"a|", "", 8000, 0, ERROR_NONE},
        {"(?i)[\\x00-\\x{10ffff}]", "", 20, 0, ERROR_NONE},
        {"(?i)[\\x00-\\x{10ffff}]", "", 700, 0, ERROR_LIMIT}, /* every one folds three thousand letters */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct text pattern = repeated(rows[i].piece, rows[i].count);
        lib_repeat(span_of(rows[i].end), (int64_t)rows[i].ends, &pattern);
        check_compile(&pattern, rows[i].expected);
        text_done(&pattern);
    }
}

/* A pattern of a thousand places on a megabyte: 10^9 steps are refused, and before they are taken. */
static void test_bound_of_time(void **state)
{
    struct text subject = repeated("a", 1 << 20);
    struct lib_regex *regex;
    struct error err;
    bool matched = true;
    clock_t start = clock();

    (void)state;
    assert_true(lib_regex_compile(span_of("a{1000}b"), &regex, NULL));
    assert_false(lib_regex_match(regex, (struct span){subject.bytes, subject.length}, &matched, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_true(matched); /* outputs are as they were */
    assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
    lib_regex_free(regex);
    lib_regex_free(NULL);
    text_done(&subject);
}

/* What makes a backtracking matcher take 2^n steps is plain work here. */
static void test_no_catastrophes(void **state)
{
    static const char *const patterns[] = {"^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"};
    struct text subject = repeated("a", 5000);
    bool matched;

    (void)state;
    text_add(&subject, "!");
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct lib_regex *regex;
        assert_true(lib_regex_compile(span_of(patterns[i]), &regex, NULL));
        assert_true(lib_regex_match(regex, (struct span){subject.bytes, subject.length}, &matched, NULL));
        assert_false(matched);
        lib_regex_free(regex);
    }
    text_done(&subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_remedies),      cmocka_unit_test(test_bounds_of_patterns),
        cmocka_unit_test(test_bound_of_time), cmocka_unit_test(test_no_catastrophes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

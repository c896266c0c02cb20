/*
 * The language in tables: lexing, grammar, types, arithmetic, builtins and the rewrites that show (expr-language.md).
 */
#include "formula_test.h"

static void test_lexing(void **state)
{
    static const struct test_row rows[] = {
        {"017", "int 17"},
        {"0x1F", "int 31"},
        {"0b101", "int 5"},
        {"0o17", "int 15"},
        {"1_000_", "int 1000"},
        {"1e3", "1000"},
        {".5", "0.5"},
        {"1.", "1"},
        {"1a", "refused syntax 1:1"},
        {"0x", "refused syntax 1:1"},
        {"1e", "refused syntax 1:1"},
        {"9223372036854775807", "int 9223372036854775807"},
        {"9223372036854775808", "refused syntax 1:1"},
        {"'it\\'s'", "string it's"},
        {"\"\\u{e9}\\x41\\101\"", "string \xc3\xa9"
                                  "AA"},
        {"\"\\'\"", "refused syntax 1:3"},
        {"`a``b`", "string a`b"},
        {"\"a", "refused syntax 1:1"},
        {"b\"\\xff\"", "array [255]"},
        {"b\"\\u0041\"", "refused syntax 1:1"},
        {"1 // end", "int 1"},
        {"1 /* in */ + 2", "int 3"},
        {"1 /* open", "refused syntax 1:3"},
        {"a<*b", "refused syntax 1:2"},
        {"a<-b", "true"},
        {"true ?.5 : 1", "refused syntax 1:6"},
        {"1 @ 2", "refused syntax 1:3"},
        {"\"\\U00110000\"", "refused syntax 1:1"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_grammar(void **state)
{
    static const struct test_row rows[] = {
        {"-2 ** 2", "-4"},
        {"2 ** 3 ** 2", "512"},
        {"1 + 2 * 3", "int 7"},
        {"1..3 + 1", "array [1 2 3 4]"},
        {"1 < a < 2", "true"},
        {"not (a == b)", "true"},
        {"not a == b", "refused type-mismatch 1:1"},
        {"1 + n ?? 2", "int 3"},
        {"n ?? 1 + 2", "refused syntax 1:8"},
        {"n ?? b ?? 5", "-2"},
        {"a ?: b", "refused type-mismatch 1:1"},
        {"a > 0 ? 1 : 0", "int 1"},
        {"a > 0 ?: false", "true"},
        {"if a > 0 {1} else {2}", "int 1"},
        {"if a > 9 {1} else if a > 1 {2} else {3}", "int 2"},
        {"if a > 0 {1}", "refused syntax 1:13"},
        {"1 + if a > 0 {1} else {2}", "refused syntax 1:5"},
        {"let x = 2; x * x", "int 4"},
        {"let a = 2; a", "refused redeclare 1:5"},
        {"let max = 2; max", "refused redeclare 1:5"},
        {"a; b", "-2"},
        {"[1, 2,]", "array [1 2]"},
        {"[,]", "refused syntax 1:2"},
        {"a | max(2)", "int 2"},
        {"[1,2] | map(# * 2) | sum()", "int 6"},
        {"2 in 1..3", "true"},
        {"2 not in 1..3", "false"},
        {"1 not + 2", "refused syntax 1:7"},
        {"{a: 1}.a", "int 1"},
        {"{a: 1}?.b?.c", "nil"},
        {"{a: 1}?.b.c", "fails nil-operand"},
        {"[1,2,3][-1]", "int 3"},
        {"[1,2,3][1:]", "array [2 3]"},
        {"(a)(b)", "refused syntax 1:4"},
        {"", "refused syntax 1:1"},
        {"#", "refused syntax 1:1"},
        {"::max(1, 2)", "int 2"},
        {"1[0]", "refused syntax 1:2"},
        {"map([1], {{x: #}})", "array [map[x:1]]"},
        {"map([3], # index)", "array [0]"},
        {"map([3], #in)", "refused unknown-pointer 1:10"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_types(void **state)
{
    static const struct test_row rows[] = {
        {"a % 2", "refused type-mismatch 1:3"},
        {"int(a) % 2", "int 1"},
        {"max(1, a) == 2", "fails type-assertion"},
        {"max(a, 1) == 2", "false"},
        {"mean(1, 2) == 1", "fails type-assertion"},
        {"(a > 9 ? 1 : max([1, a])) == 1", "fails type-assertion"},
        {"[1] == [1.0]", "true"},
        {"{x: 1} == {x: 1.0}", "false"},
        {"1 == 'a'", "refused type-mismatch 1:3"},
        {"nil + 1", "refused type-mismatch 1:5"},
        {"n + 1", "fails nil-operand"},
        {"+n", "nil"},
        {"n == nil", "true"},
        {"a ? 1 : 2", "refused type-mismatch 1:1"},
        {"a.x", "refused bad-index 1:3"},
        {"[1][1.0]", "refused bad-index 1:5"},
        {"a(1)", "refused not-callable 1:1"},
        {"$env['my-trigger'] + 1", "8"},
        {"$env.zz", "refused unknown-name 1:1"},
        {"$env?.zz", "nil"},
        {"get($env, 'b')", "-2"},
        {"len($env)", "int 4"},
        {"['x', 1][0][0]", "uint 120"},
        {"-(['b', 1][0][0])", "uint 158"},
        {"max(1, a) in 1..5", "true"},
        {"filter([1], nil)", "refused bad-predicate 1:13"},
        {"count([1, 2])", "fails type-assertion"},
        {"len(a)", "refused bad-argument 1:5"},
        {"max()", "refused arg-count 1:1"},
        {"type(max)", "string nil"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_rewrites(void **state)
{
    static const struct test_row rows[] = {
        {"1 % 0", "refused divide-by-zero 1:3"},
        {"a > 9 ? 1 % 0 : 1", "refused divide-by-zero 1:11"},
        {"n > 1 && false", "false"},
        {"n > 1 || true", "true"},
        {"(n ?? 0) > 1 || false", "false"},
        {"sum(1..100000000)", "int 5000000050000000"},
        {"len(1..100000000)", "fails memory-budget"},
        {"sum(1..3, # * 2)", "int 12"},
        {"reduce(1..3, #acc + #, 4)", "int 10"},
        {"sum([])", "int 0"},
        {"sum([0.1, 0.2, 0.3])", "0.6000000000000001"},
        {"filter([1, 0], 5 % # == 0)[0]", "int 1"},
        {"filter([1], # > 1)[0]", "fails out-of-range"},
        {"first(filter([1], # > 1))", "nil"},
        {"len(filter([1, 2], # > 1))", "int 1"},
        {"count([1, 1, 0], 5 % # == 0) >= 2", "true"},
        {"1 + findLast([1, 2], # > 0)", "int 3"},
        {"[9, last(filter([1, 2], # > 0))]", "array [9 2]"},
        {"all([1, 0], # < 1) && all([1, 0], 1 % # == 0)", "false"},
        {"map(filter([1, 2, 3], # > 1), # * 2)", "array [4 6]"},
        {"'a' matches '['", "refused bad-regexp 1:13"},
        {"max(1, a) in [1, 2]", "fails type-mismatch"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_functions(void **state)
{
    static const struct test_row rows[] = {
        {"round(-2.5)", "-3"},
        {"ceil(a)", "2"},
        {"abs(-9223372036854775807 - 1)", "int -9223372036854775808"},
        {"int('12')", "int 12"},
        {"int(' 12')", "fails bad-conversion"},
        {"float('0x1p4')", "16"},
        {"max([])", "nil"},
        {"max(n)", "nil"},
        {"max(a, n)", "fails nil-operand"},
        {"mean([])", "0"},
        {"median(1, [2, [3]])", "2"},
        {"sort([3, 1.5, 2], 'desc')", "array [3 2 1.5]"},
        {"sort([1], 'up')", "fails bad-order"},
        {"uniq([2, 2.0, 1])", "array [2 1]"},
        {"flatten([1, [2, [3]]])", "array [1 2 3]"},
        {"concat([]) ?? 5", "int 5"},
        {"take([1], -1)", "fails out-of-range"},
        {"groupBy([1, 2, 3], # % 2)[1]", "array [1 3]"},
        {"groupBy([1], [#])", "fails bad-key"},
        {"reduce([], #)", "fails empty-reduce"},
        {"find([1], # > 1)", "nil"},
        {"findIndex([1, 2], # > 1)", "int 1"},
        {"sortBy(['bb', 'a'], len(#))", "array [a bb]"},
        {"bitshl(1, 63)", "int -9223372036854775808"},
        {"bitshl(1, -1)", "fails negative-shift"},
        {"bitshr(-8, 1)", "int -4"},
        {"bitushr(-1, 64)", "int 0"},
        {"{x: 1, x: 2}.x", "int 1"},
        {"toJSON({b: [1, {}], a: '<'})", "string {\n  \"a\": \"\\u003c\",\n  \"b\": [\n    1,\n    {}\n  ]\n}"},
        {"fromJSON('[1, null]')", "array [1 <nil>]"},
        {"fromJSON('x')", "fails json"},
        {"fromBase64(toBase64('x'))", "string x"},
        {"fromBase64('?')", "fails base64"},
        {"split('a,b', ',')", "array [a b]"},
        {"join(['a', 'b'], '-')", "string a-b"},
        {"repeat('a', 1000001)", "fails memory-budget"},
        {"upper('\xc3\xa9')", "string \xc3\x89"},
        {"trim(' x ')", "string x"},
        {"replace('aa', 'a', 'b', 1)", "string ba"},
        {"'abc'[1:2]", "string b"},
        {"duration('1h') + duration('5m')", "time.Duration 1h5m0s"},
        {"duration('x')", "fails bad-time"},
        {"date('2024-08-18').Weekday()", "time.Weekday Sunday"},
        {"date('2024-01-11').YearDay()", "int 11"},
        {"date('2024-01-01').Date()", "refused not-callable 1:20"},
        {"now().Unix()", "int 1768478400"},
        {"date('2024-08-18').Format('02.01.2006')", "string 18.08.2024"},
        {"timezone('No/Where')", "fails bad-time"},
        {"string(1e6)", "string 1e+06"},
        {"map([1, 2], reduce([10, 20], #acc + #, #))", "array [40 40]"},
        {"keys({b: 1})", "array [b]"},
        {"fromPairs([['x', 4]]).x", "int 4"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_NONE, false, &env);
}

static void test_wrapping(void **state)
{
    static const struct test_row rows[] = {
        {"a > 1 ? 1 : 0", "1"},
        {"float(a) > 1", "true"},
        {" float(a) > 1", "refused bad-argument 1:11"},
        {"a // note", "refused syntax 1:10"},
        {"a // note\n", "1.5"},
        {"a) + (b", "-0.5"},
        {"a,", "1.5"},
        {"a;", "refused syntax 1:2"},
        {"let x = a; x; b", "-2"},
        {"n ?? 5", "5"},
        {"n ?? n", "nil"},
        {"a; n ?? b", "-2"},
        {"a > 1", "refused bad-argument 1:3"},
        {"let _kedaCompositeResult = n ?? 1; _kedaCompositeResult", "int 1"},
        {"'3.5'", "3.5"},
        {"zz + 1", "refused unknown-name 1:1"},
        {"\n  zz", "refused unknown-name 2:3"},
        {"'\xc3\xa9' + zz", "refused unknown-name 1:7"},
    };
    struct formula_env env = TEST_ENV;

    (void)state;
    TEST_ROWS(rows, FORMULA_WRAP_KEDA, false, &env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lexing),   cmocka_unit_test(test_grammar),   cmocka_unit_test(test_types),
        cmocka_unit_test(test_rewrites), cmocka_unit_test(test_functions), cmocka_unit_test(test_wrapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What reads answers: GJSON paths, metrics pages, RESP, XML paths. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "base/tree.h"
#include "trigger/common/gjson.h"
#include "trigger/common/promtext.h"
#include "trigger/common/xmlpath.h"
#include "trigger/family/resp.h"

/* ------------------------------------------------------------------ GJSON */

static const char document[] =
    "{\"name\":{\"first\":\"Tom\",\"last\":\"Anderson\"},\"age\":37,\"children\":[\"Sara\",\"Alex\",\"Jack\"],"
    "\"fav.movie\":\"Deer Hunter\",\"empty\":[],\"text\":\"{\\\"a\\\":5}\","
    "\"friends\":[{\"first\":\"Dale\",\"age\":44,\"nets\":[\"ig\",\"fb\"],\"ok\":true},"
    "{\"first\":\"Roger\",\"age\":68,\"nets\":[\"fb\"],\"ok\":false},{\"first\":\"Jane\",\"age\":47,\"nets\":[\"ig\"]}]"
    "}";

static const struct {
    const char *path, *json; /* NULL: nothing */
} paths[] = {
    {"name.last", "\"Anderson\""},
    {"age", "37"},
    {"name", "{\"first\":\"Tom\",\"last\":\"Anderson\"}"},
    {"children.1", "\"Alex\""},
    {"children.3", NULL},
    {"children.x", NULL},
    {"children.-1", NULL},
    {"age.x", NULL},
    {"", NULL},
    {"child*.2", "\"Jack\""},
    {"c?ildren.0", "\"Sara\""},
    {"fav\\.movie", "\"Deer Hunter\""},
    {"fav.movie", NULL},
    {"children.#", "3"},
    {"children.##", NULL},
    {"children.###", NULL},
    {"children.#one", NULL},
    {"empty.#", "0"},
    {"friends.#.age", "[44,68,47]"},
    {"friends.#.nets.#", "[2,1,1]"},
    {"friends.#.age|1", "68"},
    {"friends.#.none", "[]"},
    {"friends.#(age>45).first", "\"Roger\""},
    {"friends.#(age>45)#.first", "[\"Roger\",\"Jane\"]"},
    {"friends.#(age>45)#|0.first", "\"Roger\""},
    {"friends.#(age>45)#|#", "2"},
    {"friends.#(age>99)", NULL},
    {"friends.#(age>99)#", "[]"},
    {"friends.#(first==\"Jane\").age", "47"},
    {"friends.#(first=Jane).age", "47"},
    {"friends.#( first == \"Jane\" ).age", "47"},
    {"friends.#(first!=\"Dale\").age", "68"},
    {"friends.#(first%\"D*\").age", "44"},
    {"friends.#(first!%\"D*\").age", "68"},
    {"friends.#(age<=44).first", "\"Dale\""},
    {"friends.#(ok==true).first", "\"Dale\""},
    {"friends.#(ok==~false).first", "\"Roger\""},
    {"friends.#(ok==~null).first", "\"Jane\""},
    {"friends.#(nets.#(==\"fb\"))#.first", "[\"Dale\",\"Roger\"]"},
    {"children.#(%\"A*\")", "\"Alex\""},
    {"children.#(>\"J\")#", "[\"Sara\",\"Jack\"]"},
    {"children|@reverse|0", "\"Jack\""},
    {"name|@keys|1", "\"last\""},
    {"name|@values|0", "\"Tom\""},
    {"name.@this.first", "\"Tom\""},
    {"friends.#.nets|@flatten|#", "4"},
    {"text|@fromstr|a", "5"},
    {"age|@tostr", "\"37\""},
    {"@dig:age|#", "4"},
    {"[age,name.first]", "[37,\"Tom\"]"},
    {"{age,\"n\":name.first}|n", "\"Tom\""},
    {"friends|@join|first", "\"Jane\""},
    {"friends.#(age>45", NULL},
    {"[age", NULL},
    {"@nobody", NULL},
};

static void test_gjson(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    struct tree *root;

    (void)state;
    assert_true(tree_read_json(document, sizeof(document) - 1, false, arena, &root, NULL));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct tree *found = gjson_get(root, paths[i].path, arena);
        struct text text;

        text_init(&text, 4096);
        if (found)
            tree_write_json(found, &text);
        if (strcmp(text.bytes, paths[i].json ? paths[i].json : "") != 0)
            fail_msg("%s: expected %s, got %s", paths[i].path, paths[i].json ? paths[i].json : "nothing", text.bytes);
        text_done(&text);
    }
    arena_free(arena);
}

/* A path may be as deep as it likes, but not deeper than the stack is. */
static void test_gjson_depth(void **state)
{
    struct arena *arena = arena_new(ARENA_USUAL);
    char path[4001];
    struct tree *root;

    (void)state;
    assert_true(tree_read_json("{\"a\":1}", 7, false, arena, &root, NULL));
    for (size_t i = 0; i < 4000; i += 2)
        memcpy(path + i, "#(", 2);
    path[4000] = '\0';
    assert_null(gjson_get(root, path, arena));
    memset(path, '[', 4000);
    assert_null(gjson_get(root, path, arena));
    for (size_t i = 0; i < 4000; i += 10)
        memcpy(path + i, "@reverse|x", 10);
    (void)gjson_get(root, path, arena);
    arena_free(arena);
}

/* ------------------------------------------------------------------ metrics pages */

struct tally {
    size_t samples;
    double sum;
    enum promtext_type last;
    bool labelled;
};

static bool count(void *arg, const struct promtext_sample *sample)
{
    struct tally *tally = arg;

    tally->samples++;
    tally->sum += sample->value;
    tally->last = sample->type;
    tally->labelled = promtext_label(sample, "a") && promtext_label_equals(promtext_label(sample, "a"), "x\"y\n\\");
    return true;
}

static const struct {
    const char *page;
    bool good;
    size_t samples;
    double sum;
} pages[] = {
    {"", true, 0, 0},
    {"\n\n# comment\n#\n", true, 0, 0},
    {"a 1\nb 2", true, 2, 3},
    {"a 1\r\nb 2\r\n", true, 2, 3},
    {"\ta{} 1\n", true, 1, 1},
    {"a{x=\"1\",} 1.5e1 1700000000\n", true, 1, 15},
    {"a { x = \"1\" , y=\"2\" } -4\n", true, 1, -4},
    {"a 1 # {trace=\"x\"} 1\n", true, 1, 1},
    {"vllm:x_total 12345678901234567890\n", true, 1, 12345678901234567890.0},
    {"a 0x1p4\n", true, 1, 16},
    {"a\n", false, 0, 0},
    {"a x\n", false, 0, 0},
    {"a 1 2 3\n", false, 0, 0},
    {"1a 1\n", false, 0, 0},
    {"a{x=\"1} 1\n", false, 0, 0},
    {"a{x=1} 1\n", false, 0, 0},
    {"a{x=\"\\q\"} 1\n", false, 0, 0},
    {"a{=\"1\"} 1\n", false, 0, 0},
    {"a{x=\"1\" y=\"2\"} 1\n", false, 0, 0},
    {"a{", false, 0, 0},
    {"# TYPE a nonsense\n", false, 0, 0},
    {"# TYPE\n", false, 0, 0},
};

static void test_promtext(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct tally tally = {0};
        struct error err = {0};
        bool good = promtext_read(pages[i].page, strlen(pages[i].page), count, &tally, &err);

        if (good != pages[i].good)
            fail_msg("page %zu: %s", i, err.text);
        if (!good)
            continue;
        assert_int_equal(tally.samples, pages[i].samples);
        assert_true(tally.sum == pages[i].sum);
    }
}

static void test_promtext_families(void **state)
{
    static const char page[] = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE g gauge\ng 1\nh_count 1\n";
    static const char escapes[] = "m{a=\"x\\\"y\\n\\\\\"} 1\n";
    struct tally tally = {0};
    struct error err;

    (void)state;
    assert_true(promtext_read(page, sizeof(page) - 1, count, &tally, &err));
    assert_int_equal(tally.last, PROMTEXT_HISTOGRAM); /* also apart from its TYPE line */
    assert_true(promtext_read(escapes, sizeof(escapes) - 1, count, &tally, &err));
    assert_true(tally.labelled);
}

/* ------------------------------------------------------------------ RESP */

static const struct {
    const char *bytes;
    enum resp_progress progress;
    enum resp_type type;
    int64_t number; /* of an integer; the count of a list; the length of a text */
} replies[] = {
    {"", RESP_MORE, RESP_NULL, 0},
    {"+OK\r\n", RESP_DONE, RESP_TEXT, 2},
    {"+OK", RESP_MORE, RESP_NULL, 0},
    {"-ERR no\r\n", RESP_DONE, RESP_ERROR, 6},
    {":-12\r\n", RESP_DONE, RESP_INTEGER, -12},
    {":x\r\n", RESP_BAD, RESP_NULL, 0},
    {":99999999999999999999\r\n", RESP_BAD, RESP_NULL, 0},
    {"$3\r\nabc\r\n", RESP_DONE, RESP_TEXT, 3},
    {"$3\r\nabc", RESP_MORE, RESP_NULL, 0},
    {"$3\r\nabcd\r\n", RESP_BAD, RESP_NULL, 0},
    {"$-1\r\n", RESP_DONE, RESP_NULL, 0},
    {"$999999999\r\n", RESP_BAD, RESP_NULL, 0},
    {"*0\r\n", RESP_DONE, RESP_LIST, 0},
    {"*-1\r\n", RESP_DONE, RESP_NULL, 0},
    {"*2\r\n:1\r\n+a\r\n", RESP_DONE, RESP_LIST, 2},
    {"*2\r\n:1\r\n", RESP_MORE, RESP_NULL, 0},
    {"*1000000000\r\n:1\r\n", RESP_MORE, RESP_NULL, 0},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", RESP_BAD, RESP_NULL, 0},
    {"HTTP/1.1 400\r\n", RESP_BAD, RESP_NULL, 0},
};

static void test_resp(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        struct resp *value = NULL;
        struct error err;
        size_t used = 0, length = strlen(replies[i].bytes);
        enum resp_progress progress = resp_read(replies[i].bytes, length, arena, &value, &used, &err);

        if (progress != replies[i].progress)
            fail_msg("reply %zu: %d", i, progress);
        if (progress == RESP_DONE) {
            assert_int_equal(used, length);
            assert_int_equal(value->type, replies[i].type);
            if (value->type == RESP_INTEGER)
                assert_int_equal(value->integer, replies[i].number);
            else if (value->type == RESP_LIST)
                assert_int_equal(value->count, replies[i].number);
            else if (value->type != RESP_NULL)
                assert_int_equal(value->length, replies[i].number);
        }
        arena_free(arena);
    }
}

/* ------------------------------------------------------------------ XML */

static const struct {
    const char *body, *path, *text; /* NULL: an error */
} xmls[] = {
    {"<r><a>1</a></r>", "r.a", "1"},
    {"<r><a>1</a></r>", "a", "1"},
    {"<r> 5 </r>", "r", "5"},
    {"<r><a>1</a><a>2</a></r>", "r.a.1", "2"},
    {"<r><a>1</a></r>", "r.a.1", NULL},
    {"<r><a><b/></a></r>", "r.a", NULL},
    {"<r><a><b x='>'/></a></r>", "r.a.b", ""},
    {"<r><![CDATA[<5>]]></r>", "r", "<5>"},
    {"<r>&lt;&#65;&#x42;&amp;</r>", "r", "<AB&"},
    {"<r>&nope;</r>", "r", NULL},
    {"<?xml version='1.0'?><!-- <x> --><r>1</r>\n", "r", "1"},
    {"<r>1</r><s/>", "r", NULL},
    {"<r>1", "r", NULL},
    {"<r></s>", "r", NULL},
    {"<r", "r", NULL},
    {"", "r", NULL},
    {"text", "r", NULL},
    {"<!DOCTYPE r><r>1</r>", "r", NULL},
};

static void test_xml(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(xmls) / sizeof(xmls[0]); i++) {
        struct arena *arena = arena_new(ARENA_USUAL);
        const char *text = NULL;
        struct error err;

        if (!xmlpath_get(xmls[i].body, strlen(xmls[i].body), xmls[i].path, arena, &text, &err))
            text = NULL;
        if (!string_equal(text, xmls[i].text))
            fail_msg("xml %zu: expected %s, got %s", i, xmls[i].text ? xmls[i].text : "an error",
                     text ? text : err.text);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gjson),    cmocka_unit_test(test_gjson_depth),
        cmocka_unit_test(test_promtext), cmocka_unit_test(test_promtext_families),
        cmocka_unit_test(test_resp),     cmocka_unit_test(test_xml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

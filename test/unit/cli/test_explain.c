/* A view as text: the formula with its values, history in its place, countdowns. */
#include <jansson.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"
#include "cli/explain_output.h"
#include "cli/paper.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char *text_of(const struct paper *paper)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;
    char *text = calloc(1, paper->text.length + 1);

    while (paper_next(&reader, &span))
        strncat(text, span.bytes, span.length);
    return text;
}

static json_t *view_of(const char *json)
{
    json_error_t fault;
    json_t *view = json_loads(json, 0, &fault);

    if (!view)
        fail_msg("%s", fault.text);
    return view;
}

static void values_stand_below_their_parts(void **state)
{
    static const struct {
        int columns;
        bool unicode;
        const char *view, *shown;
    } rows[] = {
        {0, true,
         "{'formula':{'text':'ab / 10 + c','value':6.5},'trace':["
         "{'text':'ab','begin':0,'end':2,'depth':2,'value':25},{'text':'ab / "
         "10','begin':0,'end':7,'depth':1,'value':2.5},"
         "{'text':'c','begin':10,'end':11,'depth':1,'value':4},{'text':'ab / 10 + "
         "c','begin':0,'end':11,'depth':0,'value':6.5}]}",
         "\nformula = 6.5\n"
         "  ab / 10 + c\n"
         "  ╰╯ 25     ╵ 4\n"
         "  ╰─────╯ 2.5\n"
         "  ╰─────────╯ 6.5\n"},
        {0, false,
         "{'formula':{'text':'ab','value':true},'trace':[{'text':'ab','begin':0,'end':2,'depth':0,'value':true}]}",
         "\nformula = true\n"
         "  ab\n"
         "  `' true\n"},
        /* neighbours that have no room beside each other */
        {0, true,
         "{'formula':{'text':'a+b','value':300},'trace':[{'text':'a','begin':0,'end':1,'depth':1,'value':100},"
         "{'text':'b','begin':2,'end':3,'depth':1,'value':200},{'text':'a+b','begin':0,'end':3,'depth':0,'value':300}]"
         "}",
         "\nformula = 300\n"
         "  a+b\n"
         "  ╵ 100\n"
         "    ╵ 200\n"
         "  ╰─╯ 300\n"},
        /* too wide: a tree */
        {20, true,
         "{'formula':{'text':'aaaa * bbbb + "
         "cccc','value':7},'trace':[{'text':'aaaa','begin':0,'end':4,'depth':2,'value':2},"
         "{'text':'bbbb','begin':7,'end':11,'depth':2,'value':3},{'text':'aaaa * "
         "bbbb','begin':0,'end':11,'depth':1,'value':6},"
         "{'text':'cccc','begin':14,'end':18,'depth':1,'value':1},{'text':'aaaa * bbbb + "
         "cccc','begin':0,'end':18,'depth':0,'value':7}]}",
         "\nformula = 7\n"
         "  aaaa * bbbb + cccc\n"
         "  aaaa * bbbb + cc... = 7\n"
         "  ├ aaaa * bbbb = 6\n"
         "  │ ├ aaaa = 2\n"
         "  │ └ bbbb = 3\n"
         "  └ cccc = 1\n"},
        /* two lines: a tree too */
        {0, true,
         "{'formula':{'text':'a +\\n  b','value':3},'trace':[{'text':'a +\\n  "
         "b','begin':0,'end':7,'depth':0,'value':3}]}",
         "\nformula = 3\n"
         "  a +\n"
         "    b\n"
         "  a + b = 3\n"},
        {0, true, "{'formula':{'text':'1 / x','state':'failed','value':null,'fault':'division by 0','place':'1 / x'}}",
         "\nformula = division by 0 in 1 / x\n"
         "  1 / x\n"},
        {0, true, "{'reason':'steady'}", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *json = strdup(rows[i].view);
        struct paper paper;

        for (char *quote = json; (quote = strchr(quote, '\''));)
            *quote = '"';
        json_t *view = view_of(json);
        paper_init(&paper, rows[i].columns, rows[i].unicode);
        explain_put_formula(&paper, view);
        char *text = text_of(&paper);
        assert_string_equal(text, rows[i].shown);
        free(text);
        free(json);
        json_decref(view);
        paper_done(&paper);
    }
}

static void history_has_its_place_by_its_time(void **state)
{
    json_t *view =
        view_of("{\"history\":{\"since\":1000,\"until\":4600,\"spanSeconds\":60,\"times\":[1000,1060,4480,4540],"
                "\"wanted\":[[1,1,1],[2,2,2],[4,4,4],[4,4,4]],\"ready\":[[1,1,1],[1,1,1],[3,3.5,4],[4,4,4]],"
                "\"triggers\":[{\"name\":\"load\",\"target\":10,\"values\":[[5,5,5],[null,null,null],[null,null,null],["
                "40,40,40]],"
                "\"missing\":[0,1,0,0],\"failed\":[0,0,0.9,0]}],\"slo\":[1,0.5,null,0.75],\"events\":[]}}");
    struct paper paper;

    (void)state;
    paper_init(&paper, 0, false);
    explain_put_history(&paper, view);
    char *text = text_of(&paper);
    const char *load = strstr(text, "  load"), *wanted = strstr(text, "  wanted");
    assert_non_null(strstr(text, "history of 1 h"));
    assert_non_null(strstr(text, "  objective held          #="));
    assert_non_null(strstr(text, " 0.75  0.5..1\n"));
    assert_non_null(wanted);
    assert_non_null(load);
    assert_memory_equal(wanted + 26, "-=", 2);
    assert_memory_equal(wanted + 26 + 58, "## ", 3);
    assert_memory_equal(load + 26, ".?  ", 4);
    assert_memory_equal(load + 26 + 58, "x#     40  5..40, target 10\n", 28);
    free(text);
    json_decref(view);
    paper_done(&paper);
}

/* Reckoned from the moment it is shown, so that a page that is drawn again counts down. */
static void countdowns(void **state)
{
    static const struct {
        const char *at, *says;
    } rows[] = {
        {"2026-01-01T12:00:42Z", "the cooldown ends in 42 s, at 2026-01-01T12:00:42Z"},
        {"2026-01-01T12:00:00Z", NULL}, /* over */
        {"2026-01-01T11:00:00Z", NULL},
    };
    int64_t now_ms;

    (void)state;
    assert_true(instant_parse("2026-01-01T12:00:00Z", &now_ms));
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *view = json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:s,s:i}}", "namespace", "shop", "name", "app", "at",
                                 "2026-01-01T11:59:30Z", "summary", "3: it is inactive", "object", "state", "active",
                                 "cooldownEndsAt", rows[i].at, "readyReplicas", 3);
        struct paper paper;

        paper_init(&paper, 0, true);
        explain_put(&paper, view, false, now_ms);
        char *text = text_of(&paper);
        assert_non_null(strstr(text, "shop/app at 2026-01-01T11:59:30Z, 30 s ago: active\n"));
        if (rows[i].says)
            assert_non_null(strstr(text, rows[i].says));
        else
            assert_null(strstr(text, "cooldown"));
        free(text);
        json_decref(view);
        paper_done(&paper);
    }
}

/* What is known of each input, in lines that a narrow terminal has room for. */
static void inputs_of_every_width(void **state)
{
    json_t *view = view_of(
        "{\"namespace\":\"shop\",\"name\":\"app\",\"inputs\":[{\"name\":\"load\",\"state\":\"failed\",\"age_s\":3,"
        "\"failures\":4,\"why\":\"answered "
        "500\"}],\"object\":{\"triggers\":[{\"name\":\"load\",\"target\":10,\"tookMs\":7,"
        "\"sharedWith\":2,\"credentials\":[{\"kind\":\"Secret\",\"name\":\"token\",\"ageSeconds\":90}]}]}}");

    (void)state;
    for (int columns = 0; columns <= 200; columns += columns == 0 ? 40 : 10) {
        struct paper paper;
        char *text, *line, *rest;

        paper_init(&paper, columns, true);
        explain_put(&paper, view, false, 0);
        text = text_of(&paper);
        assert_non_null(strstr(text, "failed"));
        if (columns == 0)
            assert_non_null(strstr(
                text, "failed, 3.0 s old, 4 failures in a row, target 10, asked in 7 ms, shared with 2, Secret token "
                      "(read 1 min 30 s ago): answered 500\n"));
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            assert_true(columns == 0 || (int)strlen(line) <= columns + 1); /* a blank at the end may stand beyond */
        free(text);
        paper_done(&paper);
    }
    json_decref(view);
}

static int read_locale(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stand_below_their_parts),
        cmocka_unit_test(history_has_its_place_by_its_time),
        cmocka_unit_test(countdowns),
        cmocka_unit_test(inputs_of_every_width),
    };

    return cmocka_run_group_tests(tests, read_locale, NULL);
}

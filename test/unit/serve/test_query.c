/* Parameters of requests: what is taken, and what is refused with the parameter's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "serve/serve_internal.h"

#define NOW_MS (INT64_C(1767225600) * SECOND_MS) /* 2026-01-01 */

/* ------------------------------------------------------------------ the request, and who there is */

static const char *given, *given_kind;

const char *server_query(const struct server_request *request, const char *name)
{
    (void)request;
    return strcmp(name, "kind") == 0 ? given_kind : given;
}

bool autoscaler_has_object(struct autoscaler *a, const char *key)
{
    (void)a;
    return strcmp(key, "ScaledObject/shop/web") == 0 || strcmp(key, "ScaledJob/shop/web") == 0 ||
           strcmp(key, "ScaledJob/shop/mail") == 0;
}

static struct server_request request = {.segments = {"shop", "web"}};
static struct text body;
static struct server_answer answer;

static void ask(const char *value)
{
    given = value;
    given_kind = NULL;
    text_clear(&body);
    answer = (struct server_answer){.body = &body};
}

static void assert_refused(int status, const char *part)
{
    assert_int_equal(answer.status, status);
    if (!strstr(body.bytes, part))
        fail_msg("%s lacks %s", body.bytes, part);
}

/* ------------------------------------------------------------------ one kind after the other */

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        bool taken;
        long value;
    } cases[] = {
        {NULL, true, 7},    {"1", true, 1},    {"100", true, 100}, {"0", false, 0},
        {"101", false, 0},  {"-1", false, 0},  {"+5", false, 0},   {" 5", false, 0},
        {"5 ", false, 0},   {"5.0", false, 0}, {"", false, 0},     {"ten", false, 0},
        {"0x10", false, 0}, {"1e1", false, 0}, {"007", true, 7},   {"99999999999999999999", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        long value = 7;

        ask(cases[i].text);
        if (query_integer(&request, "limit", 1, 100, &value, &answer) != cases[i].taken)
            fail_msg("limit=%s", cases[i].text);
        assert_int_equal(value, cases[i].taken ? cases[i].value : 7);
        if (!cases[i].taken)
            assert_refused(400, "limit is a number from 1 to 100");
    }
}

static void test_choices(void **state)
{
    static const char *const colours[] = {"red", "green", "blue", NULL};
    size_t value = 9;

    (void)state;
    ask(NULL);
    assert_true(query_choice(&request, "colour", colours, &value, &answer));
    assert_int_equal(value, 9);
    ask("green");
    assert_true(query_choice(&request, "colour", colours, &value, &answer));
    assert_int_equal(value, 1);
    for (int i = 0; i < 3; i++) {
        ask((const char *[]){"Green", "", "greens"}[i]);
        assert_false(query_choice(&request, "colour", colours, &value, &answer));
        assert_refused(400, "colour is red, green or blue");
        assert_int_equal(value, 1);
    }
}

/* Characters are counted: five of two bytes are five. */
static void test_texts(void **state)
{
    char out[21];

    (void)state;
    ask(NULL);
    assert_true(query_text(&request, "q", 5, out, sizeof(out), &answer));
    assert_string_equal(out, "");
    ask("hello");
    assert_true(query_text(&request, "q", 5, out, sizeof(out), &answer));
    assert_string_equal(out, "hello");
    ask("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    assert_true(query_text(&request, "q", 5, out, sizeof(out), &answer));
    assert_string_equal(out, given);
    ask("hello!");
    assert_false(query_text(&request, "q", 5, out, sizeof(out), &answer));
    assert_refused(400, "q has at most 5 characters");
    ask("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"); /* no character at all */
    assert_false(query_text(&request, "q", 5, out, sizeof(out), &answer));
}

static void test_instants(void **state)
{
    int64_t at_ms = 3;

    (void)state;
    ask(NULL);
    assert_true(query_instant(&request, "since", NOW_MS, &at_ms, &answer));
    assert_int_equal(at_ms, 3);
    ask("2025-12-31T23:59:59Z");
    assert_true(query_instant(&request, "since", NOW_MS, &at_ms, &answer));
    assert_int_equal(at_ms, NOW_MS - SECOND_MS);
    ask("6h");
    assert_true(query_instant(&request, "since", NOW_MS, &at_ms, &answer));
    assert_int_equal(at_ms, NOW_MS - 6 * HOUR_MS);
    ask("2000000h"); /* before there were clocks */
    assert_true(query_instant(&request, "since", NOW_MS, &at_ms, &answer));
    assert_int_equal(at_ms, 0);
    for (int i = 0; i < 3; i++) {
        ask((const char *[]){"-1h", "yesterday", ""}[i]);
        assert_false(query_instant(&request, "since", NOW_MS, &at_ms, &answer));
        assert_refused(400, "since is an instant like");
    }
}

static void test_objects(void **state)
{
    static const struct {
        const char *name, *kind, *key; /* key NULL: refused */
        int status;
        const char *part;
    } cases[] = {
        {"web", NULL, "ScaledObject/shop/web", 0, ""},
        {"web", "ScaledJob", "ScaledJob/shop/web", 0, ""},
        {"mail", NULL, "ScaledJob/shop/mail", 0, ""},
        {"mail", "ScaledObject", NULL, 404, "there is no such object"},
        {"nobody", NULL, NULL, 404, "there is no such object"},
        {"web", "Deployment", NULL, 400, "kind is ScaledObject or ScaledJob"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char key[QUERY_KEY_BYTES];

        ask(NULL);
        given_kind = cases[i].kind;
        request.segments[1] = cases[i].name;
        assert_int_equal(query_object(NULL, &request, key, &answer), cases[i].key != NULL);
        if (cases[i].key)
            assert_string_equal(key, cases[i].key);
        else
            assert_refused(cases[i].status, cases[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_choices), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_instants), cmocka_unit_test(test_objects),
    };

    text_init(&body, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    text_done(&body);
    return failed;
}

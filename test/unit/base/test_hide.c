/* Secrets in the words of others: in whatever form they were written, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hide.h"

#define SECRET "p4ss+w/rd: \"x\"" /* base64: cDRzcyt3L3JkOiAieCI= */

static void every_form_is_hidden(void **state)
{
    static const struct {
        const char *words, *shown;
    } rows[] = {
        {"bad password " SECRET " given", "bad password *** given"},
        {SECRET, "***"},
        {SECRET SECRET, "******"},
        {"p4ss%2Bw%2Frd%3A%20%22x%22!", "***!"},
        {"p4ss%2bw/rd:+\"x\"", "***"}, /* some of it, in small letters */
        {"%70%34%73%73+w/rd: \"x\" ok", "*** ok"},
        {"{\"password\":\"p4ss+w/rd: \\\"x\\\"\"}", "{\"password\":\"***\"}"},
        {"p4ss\\u002bw\\/rd: \\u0022x\\u0022 and p4ss+w\\/rd: \\\"x\\\" ok",
         "*** and *** ok"}, /* as other writers of JSON have it */
        {"cDRzcyt3L3JkOiAieCI=", "***"},
        {"Basic bWU6cDRzcyt3L3JkOiAieCI= refused", "Basic *** refused"}, /* me:... */
        {"eCI6cDRzcyt3L3JkOiAieCI", "***"},                              /* x":... */
        {"token eDpwNHNzK3cvcmQ6ICJ4Ig==.", "token ***."},               /* x:... */
        {"cDRzcyt3L3JkOiAieCI url cDRzcyt3L3JkOiAieCI", "*** url ***"},
        {"it was p4ss+w/", "it was ***"}, /* cut off */
        {"it was p4ss%2Bw%2", "it was ***"},
        {"it was p4ss", "it was p4ss"}, /* too little to say */
        {"p4ss+w is not all of it", "p4ss+w is not all of it"},
        {"nothing of it", "nothing of it"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];

        snprintf(text, sizeof(text), "%s", rows[i].words);
        hide_secret_bytes(text, SECRET, strlen(SECRET));
        assert_string_equal(text, rows[i].shown);
    }
}

static void what_is_short_is_left(void **state)
{
    char text[] = "1 of 1: abc";

    (void)state;
    hide_secret_bytes(text, "1", 1);
    hide_secret_bytes(text, "abc", 3);
    hide_secret_bytes(text, "", 0);
    assert_string_equal(text, "1 of 1: abc");
}

static void addresses_have_secrets_in_two_places(void **state)
{
    static const struct {
        const char *url, *words, *shown;
    } rows[] = {
        {"http://me:hunter22@host/p", "me hunter22 host", "me *** host"},
        {"http://me:hun%2Fter2@host", "hun/ter2 or hun%2fter2", "*** or ***"},
        {"https://host/p?token=abcdef&n=1", "abcdef n 1", "*** n 1"},
        {"https://host/p?n=12345&key=a%20secret#x", "12345 a secret", "12345 ***"},
        {"http://host:8080/path", "host 8080 path", "host 8080 path"},
        {"host:hunter22@x", "hunter22", "hunter22"},
        {"http://me@host/?", "me host", "me host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];

        snprintf(text, sizeof(text), "%s", rows[i].words);
        hide_address_secrets(text, rows[i].url);
        assert_string_equal(text, rows[i].shown);
    }
}

static void pairs_name_their_secrets(void **state)
{
    static const struct {
        const char *pairs, *words, *shown;
    } rows[] = {
        {"host=db user=app password=hunter22", "app hunter22 db", "app *** db"},
        {"password = 'hunter 22' user=app", "hunter 22 app", "*** app"},
        {"Server=x;PWD=hunter22;Database=y", "hunter22 y", "*** y"},
        {"Endpoint=sb://x/;SharedAccessKeyName=all;SharedAccessKey=aGVsbG8=", "all aGVsbG8= x", "all *** x"},
        {"SELECT a FROM b WHERE c=12345", "12345", "12345"},
        {"password=", "x", "x"},
        {"=", "x", "x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];

        snprintf(text, sizeof(text), "%s", rows[i].words);
        hide_pair_secrets(text, rows[i].pairs);
        assert_string_equal(text, rows[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_hidden),
        cmocka_unit_test(what_is_short_is_left),
        cmocka_unit_test(addresses_have_secrets_in_two_places),
        cmocka_unit_test(pairs_name_their_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

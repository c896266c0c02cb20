/* The dashboard's files: who takes them compressed, and who has them already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/serve_internal.h"

static void test_takes_gzip(void **state)
{
    static const struct {
        const char *header;
        bool takes;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZIP", true},
        {"gzip, deflate, br, zstd", true},
        {"deflate, gzip;q=0.5", true},
        {"br;q=1.0,\tgzip ; q=0.8, *;q=0.1", true},
        {"gzip;q=0", false},
        {"gzip;q=0.0, br", false},
        {"*", true},
        {"*;q=0", false},
        {"identity, *;q=0", false},
        {"gzip;q=0, *", false},
        {"*, gzip;q=0", false},
        {"xgzip", false},
        {"gzipped", false},
        {"x-gzip", false},
        {",, ,gzip", true},
        {"gzip;", true},
        {"deflate", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (serve_takes_gzip(rows[i].header) != rows[i].takes)
            fail_msg("%s", rows[i].header ? rows[i].header : "no header");
}

static void test_has_tag(void **state)
{
    static const struct {
        const char *header;
        bool has;
    } rows[] = {
        {NULL, false},           {"", false},         {"*", true},
        {"\"abc\"", true},       {"W/\"abc\"", true}, {"\"x\", \"abc\"", true},
        {"\"abc-gzip\"", false}, /* compressed, and thus other bytes */
        {"abc", false},          {"\"xabc\"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (serve_has_tag(rows[i].header, "\"abc\"") != rows[i].has)
            fail_msg("%s", rows[i].header ? rows[i].header : "no header");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_gzip),
        cmocka_unit_test(test_has_tag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Values in one row of characters. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/paper.h"
#include "cli/spark.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { CELLS = 8 };

static void each_as_high_as_its_value(void **state)
{
    static const struct {
        double low, high;
        struct spark_cell cells[CELLS];
        const char *blocks, *marks;
    } rows[] = {
#define V(v) {SPARK_VALUE, v}
        {0, 7, {V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7)}, "▁▂▃▄▅▆▇█", "_.-:=+*#"},
        {0, 100, {V(0), V(0.1), V(50), V(99), V(100), V(200), V(-5), V(NAN)}, "▁▂▅███▁▁", "_.=###__"},
        {0, 0, {V(0), V(0), V(1), V(1), V(0), V(0), V(0), V(0)}, "▁▁▁▁▁▁▁▁", "________"}, /* no scale */
        {-4,
         3,
         {V(-4), V(-3), V(0), V(3), {SPARK_MISSING, 0}, {SPARK_FAILED, 0}, {SPARK_BLANK, 0}, V(3)},
         "▁▂▅█·× █",
         "_.=#?x #"},
#undef V
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int unicode = 0; unicode < 2; unicode++) {
            const char *expected = unicode ? rows[i].blocks : rows[i].marks;
            struct paper paper;
            char line[200] = "";
            struct paper_reader reader;
            struct paper_span span;

            paper_init(&paper, 0, unicode);
            spark_put(&paper, rows[i].low, rows[i].high, rows[i].cells, CELLS);
            reader = paper_read(&paper);
            while (paper_next(&reader, &span))
                strncat(line, span.bytes, span.length);
            assert_string_equal(line, expected);
            assert_int_equal(paper.column, CELLS);
            paper_done(&paper);
        }
}

static int read_locale(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_as_high_as_its_value)};

    return cmocka_run_group_tests(tests, read_locale, NULL);
}

/* Paper: what is let through, where lines break, and how it is read again. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/paper.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Spans with their ink as "<n>", plain ones without; lines end with "|". */
static void shown(const struct paper *paper, char *out, size_t size)
{
    struct paper_reader reader = paper_read(paper);
    struct paper_span span;

    out[0] = '\0';
    while (paper_next(&reader, &span)) {
        char ink[8] = "";
        size_t at = strlen(out);

        if (span.ink != INK_PLAIN)
            snprintf(ink, sizeof(ink), "<%d>", (int)span.ink);
        snprintf(out + at, size - at, "%s%.*s", paper_is_end(&span) ? "" : ink,
                 paper_is_end(&span) ? 1 : (int)span.length, paper_is_end(&span) ? "|" : span.bytes);
    }
}

static void controls_never_get_through(void **state)
{
    static const struct {
        bool unicode;
        const char *given, *shown;
    } rows[] = {
        {true, "plain", "plain|"},
        {true, "two\nlines\tand a tab", "two lines and a tab|"},
        {true, "\033]0;title\007", "?]0;title?|"},
        {true, "\x01\x02", "??|"}, /* inks are ours alone */
        {true,
         "\xc2\x9b"
         "31m",
         "?31m|"}, /* a control of eight bits */
        {true,
         "\xe2\x80\xae"
         "gpj",
         "?gpj|"},                 /* turns the direction of writing */
        {true, "\xff\xc3", "??|"}, /* no UTF-8 */
        {true, "\xe2\x96\x88", "\xe2\x96\x88|"},
        {false, "\xe2\x96\x88", "?|"},
        {false, "caf\xc3\xa9", "caf?|"},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper paper;

        paper_init(&paper, 0, rows[i].unicode);
        paper_put(&paper, INK_PLAIN, "%s", rows[i].given);
        paper_end(&paper);
        shown(&paper, out, sizeof(out));
        assert_string_equal(out, rows[i].shown);
        paper_done(&paper);
    }
}

static void lines_break_at_blanks(void **state)
{
    static const struct {
        int columns, indent;
        const char *given, *shown;
    } rows[] = {
        {0, 2, "never broken however long it is", "never broken however long it is|"},
        {10, 2, "one two three", "one two|  three|"},
        {10, 2, "exactly 10", "exactly 10|"},
        {10, 2, "abcdefghijklmno", "abcdefghij|  klmno|"}, /* a word longer than a line */
        {10, 2, "ab cdefghijklmno", "ab|  cdefghij|  klmno|"},
        {3, 4, "too narrow for an indent", "too narrow for an indent|"},
        {10, 0, "", "|"},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper paper;

        paper_init(&paper, rows[i].columns, true);
        paper_wrap(&paper, INK_PLAIN, rows[i].indent, rows[i].given);
        shown(&paper, out, sizeof(out));
        assert_string_equal(out, rows[i].shown);
        paper_done(&paper);
    }
}

static void inks_last_until_the_line_ends(void **state)
{
    struct paper paper;
    char out[200];

    (void)state;
    paper_init(&paper, 0, true);
    paper_put(&paper, INK_BAD, "a");
    paper_put(&paper, INK_BAD, "b");
    paper_put(&paper, INK_PLAIN, "c");
    paper_end(&paper);
    paper_put(&paper, INK_GOOD, "d");
    paper_end(&paper);
    paper_end(&paper);
    shown(&paper, out, sizeof(out));
    assert_string_equal(out, "<5>abc|<3>d||");
    assert_int_equal(paper_lines(&paper), 3);
    paper_clear(&paper);
    assert_int_equal(paper_lines(&paper), 0);
    paper_done(&paper);
}

static void columns_are_counted_as_they_are_seen(void **state)
{
    struct paper paper;
    int used;

    (void)state;
    paper_init(&paper, 0, true);
    assert_int_equal(paper_width(&paper, "caf\xc3\xa9"), 4);
    assert_int_equal(paper_width(&paper, "\xe6\xbc\xa2"), 2); /* as wide as two */
    assert_int_equal(paper_fit(true, "\xe6\xbc\xa2x", 4, 2, &used), 3);
    assert_int_equal(paper_fit(true, "\xe6\xbc\xa2x", 4, 1, &used), 0);
    assert_int_equal(used, 0);
    paper_put(&paper, INK_PLAIN, "caf\xc3\xa9");
    paper_to(&paper, 6);
    assert_int_equal(paper.column, 6);
    paper_to(&paper, 2); /* behind already: one blank */
    assert_int_equal(paper.column, 7);
    paper_done(&paper);
}

static int read_locale(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_never_get_through),
        cmocka_unit_test(lines_break_at_blanks),
        cmocka_unit_test(inks_last_until_the_line_ends),
        cmocka_unit_test(columns_are_counted_as_they_are_seen),
    };

    return cmocka_run_group_tests(tests, read_locale, NULL);
}

/* The table of weir top: what is asked for, and where the choice goes. Weir is a list of ten thousand names here. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/client.h"
#include "cli/paper.h"
#include "cli/top_table.h"

static long total, shift; /* shift: how many places every object moved down */
static int asked;
static char last_path[PATH_MAX_BYTES];
static bool away;

void percent_encode(const char *string, char *out, size_t size)
{
    snprintf(out, size, "%s", string);
}

static long parameter(const char *path, const char *name)
{
    const char *at = strstr(path, name);

    assert_non_null(at);
    return strtol(at + strlen(name), NULL, 10);
}

enum ask_result client_get(const char *data_dir, const char *path, struct text *body, struct error *err)
{
    long at = parameter(path, "offset="), end = at + parameter(path, "limit=");
    const char *comma = "";

    (void)data_dir;
    asked++;
    snprintf(last_path, sizeof(last_path), "%s", path);
    if (away) {
        error_set(err, ERROR_UNREACHABLE, "no Weir is running");
        return ASK_NOT_RUNNING;
    }
    text_add(body, "{\"objects\":[");
    for (; at < end && at < total; at++, comma = ",")
        text_printf(body,
                    "%s{\"kind\":\"ScaledObject\",\"namespace\":\"shop\",\"name\":\"app-%ld\",\"state\":\"active\"}",
                    comma, at - shift);
    text_printf(body, "],\"total\":%ld,\"matched\":%ld}", total, total);
    return ASK_OK;
}

static void chosen_is(const struct top_table *table, const char *name)
{
    const json_t *object = top_table_chosen(table);

    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "name")), name);
}

static struct top_table table_of(long rows)
{
    struct top_table table;

    total = 10000, shift = 0, asked = 0, away = false;
    top_table_init(&table, "", "");
    top_table_set_rows(&table, rows);
    top_table_fetch(&table);
    return table;
}

/* Within what is loaded nobody is asked. */
static void moving_asks_only_for_what_is_not_there(void **state)
{
    struct top_table table = table_of(20);

    (void)state;
    assert_string_equal(last_path, "/api/v1/objects?sort=attention&limit=60&offset=0");
    top_table_move(&table, 39);
    assert_int_equal(table.first, 20);
    assert_false(top_table_is_short(&table));
    top_table_move(&table, 21); /* past what is loaded */
    assert_true(top_table_is_short(&table));
    top_table_fetch(&table);
    assert_int_equal(parameter(last_path, "offset="), 21); /* a screen above, a screen below */
    chosen_is(&table, "app-60");
    top_table_move(&table, -5);
    assert_int_equal(table.first, 41);
    assert_int_equal(asked, 2);
    top_table_done(&table);
}

static void the_ends_of_the_list(void **state)
{
    struct top_table table = table_of(20);

    (void)state;
    top_table_move(&table, -1);
    assert_int_equal(table.chosen, 0);
    top_table_move(&table, table.matched);
    top_table_fetch(&table);
    assert_int_equal(table.first, 9980);
    chosen_is(&table, "app-9999");
    top_table_move(&table, 1);
    chosen_is(&table, "app-9999");
    total = 5; /* most of them go */
    top_table_fetch(&table);
    top_table_fetch(&table);
    assert_int_equal(table.first, 0);
    chosen_is(&table, "app-4");
    total = 0;
    top_table_fetch(&table);
    assert_null(top_table_chosen(&table));
    top_table_move(&table, 1);
    assert_int_equal(table.chosen, 0);
    top_table_done(&table);
}

/* Rows change places while one looks: the one that is chosen stays chosen, as long as it is on the screen. */
static void the_chosen_object_is_followed(void **state)
{
    struct top_table table = table_of(20);

    (void)state;
    top_table_move(&table, 3);
    chosen_is(&table, "app-3");
    shift = 2;
    top_table_fetch(&table);
    assert_int_equal(table.chosen, 5);
    chosen_is(&table, "app-3");
    shift = 1000;
    top_table_fetch(&table);
    assert_int_equal(table.chosen, 5);
    top_table_done(&table);
}

static void filters_are_part_of_the_question(void **state)
{
    struct top_table table = table_of(10);

    (void)state;
    top_table_move(&table, 500);
    snprintf(table.ns, sizeof(table.ns), "shop");
    snprintf(table.filter, sizeof(table.filter), "chat");
    table.attention = true;
    table.sort = 1;
    top_table_restart(&table);
    top_table_fetch(&table);
    assert_string_equal(last_path, "/api/v1/objects?sort=name&limit=30&offset=0&namespace=shop&q=chat&state=attention");
    assert_int_equal(table.chosen, 0);
    top_table_done(&table);
}

/* What was known stays on the screen. */
static void a_weir_that_goes(void **state)
{
    struct top_table table = table_of(10);

    (void)state;
    away = true;
    top_table_fetch(&table);
    assert_int_equal(table.error.kind, ERROR_UNREACHABLE);
    chosen_is(&table, "app-0");
    away = false;
    top_table_fetch(&table);
    assert_int_equal(table.error.kind, ERROR_NONE);
    top_table_done(&table);
}

/* No line is wider than the screen, however narrow; the name and the state are the last to go. */
static void every_width(void **state)
{
    struct top_table table = table_of(5);

    (void)state;
    for (int columns = 1; columns <= 300; columns++) {
        struct paper paper;
        struct paper_reader reader;
        struct paper_span span;
        size_t width = 0;

        paper_init(&paper, columns, false);
        top_table_put(&table, &paper);
        assert_int_equal(paper_lines(&paper), 6);
        reader = paper_read(&paper);
        while (paper_next(&reader, &span)) {
            width = paper_is_end(&span) ? 0 : width + span.length;
            if (columns >= 33)
                assert_true(width <= (size_t)columns + 1); /* a blank at the end is cut off */
        }
        paper_done(&paper);
    }
    top_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moving_asks_only_for_what_is_not_there),
        cmocka_unit_test(the_ends_of_the_list),
        cmocka_unit_test(the_chosen_object_is_followed),
        cmocka_unit_test(filters_are_part_of_the_question),
        cmocka_unit_test(a_weir_that_goes),
        cmocka_unit_test(every_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a line of the log looks like: standard error goes into a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/tree.h"

static char seen[2 * LOG_LINE_MAX_BYTES];
static int ends[2], stderr_before;

static void listen_to_stderr(void)
{
    assert_int_equal(pipe(ends), 0);
    stderr_before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static size_t heard(void)
{
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    ssize_t length = read(ends[0], seen, sizeof seen - 1);
    close(ends[0]);
    length = length < 0 ? 0 : length;
    seen[length] = 0;
    return (size_t)length;
}

static void a_line_is_logfmt(void **state)
{
    (void)state;
    listen_to_stderr();
    log_info("scaled up", "object", "shop/checkout", "from", "1", "why", "a \"b\"\nc=d", "none", "", "null", NULL,
             NULL);
    heard();
    const char *rest = strchr(seen, ' ');
    assert_memory_equal(seen, "time=20", 7);
    assert_non_null(rest);
    assert_string_equal(
        rest,
        " level=info msg=\"scaled up\" object=shop/checkout from=1 why=\"a \\\"b\\\"\\nc=d\" none=\"\" null=\"\"\n");
}

static void a_line_is_json(void **state)
{
    struct arena *arena = arena_new(ARENA_SMALL);
    struct tree *json;
    struct error err;

    (void)state;
    log_set_json(true);
    listen_to_stderr();
    log_warning("odd", "value", "\xff\n", NULL);
    size_t length = heard();
    log_set_json(false);
    assert_true(tree_read_json(seen, length, false, arena, &json, &err));
    assert_string_equal(tree_string(tree_get(json, "level")), "warning");
    assert_string_equal(tree_string(tree_get(json, "msg")), "odd");
    assert_string_equal(tree_string(tree_get(json, "value")), "\xef\xbf\xbd\n");
    arena_free(arena);
}

static void a_long_line_loses_what_does_not_fit(void **state)
{
    static char endless[LOG_LINE_MAX_BYTES];

    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    listen_to_stderr();
    log_error("long", "first", "1", "endless", endless, "last", "2", NULL);
    assert_in_range(heard(), 1, LOG_LINE_MAX_BYTES);
    assert_non_null(strstr(seen, " msg=long first=1 last=2 cut=true\n"));
}

static void levels_are_kept_and_counted(void **state)
{
    enum log_level level = LOG_LEVEL_INFO;

    (void)state;
    unsigned long before = log_count(LOG_LEVEL_DEBUG);
    log_debug("nobody hears this", NULL);
    assert_int_equal(log_count(LOG_LEVEL_DEBUG), before);
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("WARN", &level) && level == LOG_LEVEL_WARNING);
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    log_set_level(LOG_LEVEL_DEBUG);
    assert_true(log_enabled(LOG_LEVEL_DEBUG));
    listen_to_stderr();
    log_debug("heard", NULL);
    assert_true(heard() > 0);
    assert_int_equal(log_count(LOG_LEVEL_DEBUG), before + 1);
    log_set_level(LOG_LEVEL_INFO);
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
}

static void rooms_have_levels_of_their_own(void **state)
{
    struct log_levels levels, before;
    struct error err;

    (void)state;
    log_levels_get(&before);
    levels = before;
    assert_true(log_levels_parse("warning,serve=debug, cli=error", &levels, &err));
    log_levels_set(&levels);
    assert_false(log_enabled(LOG_LEVEL_INFO)); /* of no room: the general level */
    assert_true(log_room_enabled(LOG_ROOM_serve, LOG_LEVEL_DEBUG));
    assert_false(log_room_enabled(LOG_ROOM_autoscaler, LOG_LEVEL_INFO));
    assert_true(log_room_enabled(LOG_ROOM_autoscaler, LOG_LEVEL_WARNING));
    assert_false(log_room_enabled(LOG_ROOM_cli, LOG_LEVEL_WARNING));
    log_levels_get(&levels);
    assert_true(levels.own[LOG_ROOM_serve] && !levels.own[LOG_ROOM_export]);
    assert_int_equal(levels.rooms[LOG_ROOM_export], LOG_LEVEL_WARNING);
    log_set_level(LOG_LEVEL_INFO);
    assert_false(log_room_enabled(LOG_ROOM_serve, LOG_LEVEL_DEBUG));
}

static void levels_that_are_none_change_nothing(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"loud", "'loud' is no level"},   {"info,serve=", "'' is no level"},
        {"serve", "'serve' is no level"}, {"info,decide=debug", "'decide' writes no log"},
        {"", "there is no level"},        {",,", "there is no level"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct log_levels levels = {.general = LOG_LEVEL_ERROR};
        struct error err;

        assert_false(log_levels_parse(rows[i].text, &levels, &err));
        assert_non_null(strstr(err.text, rows[i].says));
        assert_int_equal(levels.general, LOG_LEVEL_ERROR);
        assert_false(levels.own[LOG_ROOM_serve]);
    }
}

static void a_line_names_its_room(void **state)
{
    (void)state;
    listen_to_stderr();
    log_write(LOG_ROOM_serve, LOG_LEVEL_INFO, "hello", "a", "b", NULL);
    heard();
    assert_non_null(strstr(seen, " msg=hello room=serve a=b\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_logfmt),
        cmocka_unit_test(a_line_is_json),
        cmocka_unit_test(a_long_line_loses_what_does_not_fit),
        cmocka_unit_test(levels_are_kept_and_counted),
        cmocka_unit_test(rooms_have_levels_of_their_own),
        cmocka_unit_test(levels_that_are_none_change_nothing),
        cmocka_unit_test(a_line_names_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lines of files, compressed or not, whole or cut, and of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/lines.h"

static char path[64];

static void write_file(const char *bytes, size_t length)
{
    FILE *out = fopen(path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    fclose(out);
}

static void expect_lines(struct lines *in, const char *const *wanted)
{
    const char *line;
    size_t length, count = 0;
    struct error err;

    while (lines_next(in, &line, &length, &err)) {
        assert_non_null(wanted[count]);
        assert_string_equal(line, wanted[count]);
        assert_int_equal(length, strlen(wanted[count]));
        assert_int_equal(lines_number(in), ++count);
    }
    assert_int_equal(err.kind, ERROR_NONE);
    assert_null(wanted[count]);
}

static const struct {
    const char *bytes;
    const char *lines[5];
    bool whole;
} cases[] = {
    {"a\nb\n", {"a", "b"}, true}, {"a\r\n\r\nb", {"a", "", "b"}, false}, {"", {NULL}, false}, {"\n", {""}, true},
    {"a\r", {"a\r"}, false},
};

static void bytes_and_files_give_the_same_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lines *in = lines_of_bytes(cases[i].bytes, strlen(cases[i].bytes));

        expect_lines(in, cases[i].lines);
        assert_int_equal(lines_whole(in), cases[i].whole);
        lines_close(in);
        write_file(cases[i].bytes, strlen(cases[i].bytes));
        in = lines_open(path, NULL);
        expect_lines(in, cases[i].lines);
        lines_close(in);
    }
}

static void long_lines_are_given_whole(void **state)
{
    enum { LENGTH = 300 * 1000 };
    char *bytes = malloc(2 * LENGTH + 2);
    const char *line;
    size_t length;

    (void)state;
    memset(bytes, 'x', 2 * LENGTH + 2);
    bytes[LENGTH] = bytes[2 * LENGTH + 1] = '\n';
    struct lines *in = lines_of_bytes(bytes, 2 * LENGTH + 2);
    for (int i = 0; i < 2; i++) {
        assert_true(lines_next(in, &line, &length, NULL));
        assert_int_equal(length, LENGTH);
    }
    assert_false(lines_next(in, &line, &length, NULL));
    lines_close(in);
    free(bytes);
}

/* As a writer leaves it that is killed after its last flush, in the middle of what came next. */
static size_t compress_unfinished(char *out, size_t size)
{
    z_stream z = {.next_out = (Bytef *)out, .avail_out = (uInt)size};
    char text[] = "first\nsecond\n";

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)text;
    z.avail_in = (uInt)strlen(text);
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    z.next_in = (Bytef *)"thi";
    z.avail_in = 3;
    assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    size_t length = size - z.avail_out;
    deflateEnd(&z);
    return length;
}

static void compressed_files_are_read_to_where_they_go(void **state)
{
    char bytes[1000];
    size_t length = compress_unfinished(bytes, sizeof(bytes));

    (void)state;
    write_file(bytes, length);
    struct lines *in = lines_open(path, NULL);
    lines_may_be_cut(in);
    expect_lines(in, (const char *const[]){"first", "second", "thi", NULL});
    assert_false(lines_whole(in));
    lines_close(in);
}

static void a_compressed_file_that_is_cut_is_an_error(void **state)
{
    char bytes[1000];
    size_t length = compress_unfinished(bytes, sizeof(bytes)), got, count = 0;
    struct error err;
    const char *line;

    (void)state;
    write_file(bytes, length);
    struct lines *in = lines_open(path, NULL);
    while (lines_next(in, &line, &got, &err))
        count++;
    assert_int_equal(count, 2); /* the part of a line that is there could be taken for another */
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "end in the middle, after line 2"));
    lines_close(in);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    char bytes[1000];
    size_t length = compress_unfinished(bytes, sizeof(bytes)), got;
    struct error err;
    const char *line;

    (void)state;
    bytes[10] = 7; /* a block of a kind that does not exist */
    write_file(bytes, length);
    struct lines *in = lines_open(path, &err);
    while (lines_next(in, &line, &got, &err))
        ;
    assert_int_equal(err.kind, ERROR_INTERNAL);
    assert_non_null(strstr(err.text, "cannot be read after line"));
    lines_close(in);
    assert_null(lines_open("/nowhere/at/all", &err));
    assert_int_equal(err.kind, ERROR_MISSING);
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/weir-lines-%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_files_give_the_same_lines),
        cmocka_unit_test(long_lines_are_given_whole),
        cmocka_unit_test(compressed_files_are_read_to_where_they_go),
        cmocka_unit_test(a_compressed_file_that_is_cut_is_an_error),
        cmocka_unit_test(what_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
